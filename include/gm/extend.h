/* gm/extend.h - for those who write layers, operations or families of their own: the context's
 * memory, its error line, its log, the rule for options, and tables by name. The library's families
 * use the same.
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

/* Tables by name, for as long as the context: the way a file's "flow" becomes the host's functions.
 * gm_context_register_family (gm/host_family.h) and gm_context_register_layer (gm/layer_file.h) say
 * what is in theirs and check it; other kinds are the host's own. `table` is a struct that begins
 * with its size (size_t, at most 4096) and is copied so far, as are kind and name; what it points
 * to stays the host's. kind and name: 1 to 31 characters of [A-Za-z0-9_.-]. GM_E_INVALID: NULL, a
 * kind, name or size that is none of these, a name that the kind has already; GM_E_NOMEM. */
GM_API gm_status gm_context_register(gm_context *context, const char *kind, const char *name,
                                     const void *table);
/* The context's copy, borrowed; NULL: none of that kind and name, or an argument NULL. */
GM_API const void *gm_context_registered(const gm_context *context, const char *kind,
                                         const char *name);

#ifdef __cplusplus
}
#endif

#endif
