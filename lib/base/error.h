/* error.h - how a call fails: one line in the context, one jump to `out`. */
#ifndef GM_BASE_ERROR_H
#define GM_BASE_ERROR_H

#include "gm/context.h"

/* Jumps to the function's one exit when expr fails. Needs `gm_status status` and a label `out`. */
#define GM_TRY(expr)                                                                               \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != GM_OK) goto out;                                                             \
    } while (0)

/* Writes the line and returns `status`, so that `return gm_fail(...)` and `GM_TRY(gm_fail(...))`
 * read well. ctx may be NULL: then the text is lost. Allocates nothing. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
gm_status
gm_fail(gm_context *ctx, gm_status status, const char *format, ...);

gm_status gm_fail_memory(gm_context *ctx, const char *what);

/* A line to the host's log callback, if there is one. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void gm_log_line(gm_context *ctx, int32_t level, const char *format, ...);

/* "[128, 784]" into text; shortened with "..." when it does not fit. Returns text. */
#define GM_SHAPE_TEXT 96
const char *gm_shape_text(char text[GM_SHAPE_TEXT], int32_t rank, const int64_t *shape);

#endif
