/* gm/extend.h - for hosts that write layers, operations or families of their own: the context's
 * memory, its error line, its log, its thread, the rule for option structs, and tables by name. The
 * library's own families use the same functions.
 */
#ifndef GM_EXTEND_H
#define GM_EXTEND_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Memory from the context's allocator, counted with the rest; 64-byte aligned, contents undefined.
 * NULL when there is no memory or size is 0. Free it with the same size before the context is
 * released. gm_context_free accepts a NULL pointer. */
GM_API void *gm_context_allocate(gm_context *context, size_t size);
GM_API void gm_context_free(gm_context *context, void *pointer, size_t size);

/* Around what would not bear a second thread: between the two the context is in use by the calling
 * thread, whose calls may nest, and has one more owner. The library's long calls do so themselves
 * (gm/context.h). GM_E_STATE: another thread is inside, and there is no line, because the line is
 * that thread's; GM_E_INVALID: context is NULL. Leave, by the same thread, only after GM_OK. */
GM_API gm_status gm_context_enter(gm_context *context);
GM_API void gm_context_leave(gm_context *context);

/* Makes `line` (shortened to 511 bytes; line breaks become blanks) the context's error text and
 * returns `status`. */
GM_API gm_status gm_context_fail(gm_context *context, gm_status status, const char *line);

/* Passes a line to the context's log callback, if it has one. level: GM_LOG_*. */
GM_API void gm_context_log(gm_context *context, int32_t level, const char *line);

/* The rule for sized options structs: copies `given` over `into`, which holds `known` bytes of
 * defaults. given NULL keeps the defaults; a shorter struct, from an older caller, sets only the
 * members it has; in a longer one, from a newer caller, the unknown bytes must be zero. The size
 * is a multiple of sizeof(size_t), as that of every struct that begins with one is.
 * GM_E_INVALID (`what` is in the line) otherwise. */
GM_API gm_status gm_options_read(gm_context *context, const char *what, void *into, size_t known,
                                 const void *given);

/* Registers a table of functions under a name for as long as the context exists, so that a name in
 * a file ("flow") can be mapped to the host's functions. gm_context_register_family
 * (gm/host_family.h) and gm_context_register_layer (gm/layer_file.h) define their own tables and
 * check them; other kinds are up to the host. `table` is a struct that begins with its size in
 * bytes (size_t, at most 4096); that many bytes are copied, as are kind and name. What the table
 * points to still belongs to the host. kind and name: 1 to 31 characters of [A-Za-z0-9_.-].
 * GM_E_INVALID: NULL, a kind, name or size outside these limits, a name that the kind has already;
 * GM_E_NOMEM. */
GM_API gm_status gm_context_register(gm_context *context, const char *kind, const char *name,
                                     const void *table);
/* The context's copy of a registered table, borrowed; NULL if there is none of that kind and name,
 * or an argument is NULL. */
GM_API const void *gm_context_registered(const gm_context *context, const char *kind,
                                         const char *name);

#ifdef __cplusplus
}
#endif

#endif
