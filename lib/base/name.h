/* name.h - the rule for names of parameters, layers and families. */
#ifndef GM_BASE_NAME_H
#define GM_BASE_NAME_H

#include <string.h>

#define GM_NAME_RULE "of [A-Za-z0-9_.-]"

/* 1 to room - 1 characters of [A-Za-z0-9_.-]. */
static inline int gm_name_fits(const char *name, size_t room)
{
    const size_t n = strlen(name);
    return n > 0 && n < room &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

#endif
