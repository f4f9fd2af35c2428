/* options.h - the check behind every sized options struct. */
#ifndef GM_BASE_OPTIONS_H
#define GM_BASE_OPTIONS_H

#include <stddef.h>

#include "gm/context.h"

#define GM_OPTIONS_LARGEST ((size_t)4096) /* a size over this is not believed */

/* Copies the caller's struct (its first member is its size) over `into`, which holds the defaults
 * and has `known` bytes. NULL keeps the defaults. An older, shorter struct fills only its part; a
 * newer, longer one must have zeros behind `known`. GM_E_INVALID names `what` otherwise. */
gm_status gm_options_check(gm_context *ctx, const char *what, void *into, size_t known,
                           const void *given);

#endif
