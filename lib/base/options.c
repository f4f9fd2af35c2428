/* options.c - the check behind every sized options struct. */
#include "base/options.h"

#include <string.h>

#include "base/error.h"

gm_status gm_options_check(gm_context *ctx, const char *what, void *into, size_t known,
                           const void *given)
{
    if (!given) return GM_OK;
    size_t size;
    memcpy(&size, given, sizeof size);
    if (size < sizeof(size_t) || size > GM_OPTIONS_LARGEST)
        return gm_fail(ctx, GM_E_INVALID,
                       "%s: options size is %zu; start from the INIT macro, which sets it", what,
                       size);
    /* A struct that begins with a size_t is whole words of it; another size ends within a member.
     */
    if (size % sizeof size)
        return gm_fail(ctx, GM_E_INVALID,
                       "%s: options size is %zu, expected a multiple of %zu; start from the INIT "
                       "macro, which sets it",
                       what, size, sizeof size);
    const unsigned char *bytes = given;
    for (size_t i = known; i < size; i++)
        if (bytes[i])
            return gm_fail(ctx, GM_E_INVALID,
                           "%s: options have %zu bytes, this library knows %zu and byte %zu is not "
                           "zero",
                           what, size, known, i);
    memcpy(into, given, size < known ? size : known);
    memcpy(into, &known, sizeof known);
    return GM_OK;
}
