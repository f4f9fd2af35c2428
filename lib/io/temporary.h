/* temporary.h - the names of temporary files, and those that dead processes left. */
#ifndef GM_IO_TEMPORARY_H
#define GM_IO_TEMPORARY_H

#include <stddef.h>

/* ".gm-" 16 hexadecimal digits ".tmp", with the 0. */
#define GM_TEMPORARY_NAME 25

/* A name that nobody can foretell. */
void gm_temporary_name(char name[GM_TEMPORARY_NAME]);

/* Removes temporary files of this user's that no living process has locked, from the folder that is
 * the first `folder` bytes of path (0: the working directory). `spare` has room for so many bytes
 * and a 0, and begins with them. What cannot be done is left. */
void gm_temporary_tidy(const char *path, size_t folder, char *spare);

#endif
