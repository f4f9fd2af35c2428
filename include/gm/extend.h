/* gm/extend.h - for those who write layers, operations or families of their own: the library's own
 * families are written on public headers only, and need no more than this.
 */
#ifndef GM_EXTEND_H
#define GM_EXTEND_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Memory from the context's allocator, counted with the rest; 64-byte aligned, contents undefined.
 * NULL when there is none or size is 0. Give it back with the same size before the context goes.
 * Free accepts NULL. */
GM_API void *gm_context_allocate(gm_context *context, size_t size);
GM_API void gm_context_free(gm_context *context, void *pointer, size_t size);

/* Makes `line` (shortened to 511 bytes; line breaks become blanks) the context's error text and
 * returns `status`. */
GM_API gm_status gm_context_fail(gm_context *context, gm_status status, const char *line);

/* A line to the context's log callback, if it has one. level: GM_LOG_*. */
GM_API void gm_context_log(gm_context *context, int32_t level, const char *line);

/* The rule for sized options structs: copies `given` over `into`, which holds `known` bytes of
 * defaults. NULL keeps the defaults; a shorter struct of an older caller fills its part; in a
 * longer one of a newer caller the unknown bytes must be zero. GM_E_INVALID (`what` is in the line)
 * otherwise. */
GM_API gm_status gm_options_read(gm_context *context, const char *what, void *into, size_t known,
                                 const void *given);

#ifdef __cplusplus
}
#endif

#endif
