/* error.c - the error line, the log line, shapes as text. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/context.h"

gm_status gm_fail(gm_context *ctx, gm_status status, const char *format, ...)
{
    const int64_t full_at = status == GM_E_NOMEM && ctx && ctx->sealed ? ctx->rows : 0;
    while (ctx && ctx->parent) ctx = ctx->parent; /* where the host looks */
    if (ctx) {
        /* Through a buffer of its own: an argument may be the present error text. */
        char line[sizeof ctx->error];
        va_list args;
        va_start(args, format);
        (void)vsnprintf(line, sizeof line, format, args);
        va_end(args);
        const size_t length = strlen(line);
        if (full_at)
            (void)snprintf(line + length, sizeof line - length,
                           "; the reader's memory is for %lld rows", (long long)full_at);
        for (char *p = line; *p; p++) {
            if (*p == '\n' || *p == '\r') *p = ' ';
            if (!strncmp(p, " -nan", 5)) memmove(p + 1, p + 2, strlen(p + 1)); /* no sign */
        }
        memcpy(ctx->error, line, strlen(line) + 1);
    }
    return status;
}

gm_status gm_fail_memory(gm_context *ctx, const char *what)
{
    return gm_fail(ctx, GM_E_NOMEM, "%s: the allocator returned no memory", what);
}

void gm_log_line(gm_context *ctx, int32_t level, const char *format, ...)
{
    if (!ctx || !ctx->log) return;
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ctx->log(ctx->log_user, level, line);
}

const char *gm_shape_text(char text[GM_SHAPE_TEXT], int32_t rank, const int64_t *shape)
{
    size_t at = 0;
    text[at++] = '[';
    for (int32_t i = 0; i < rank; i++) {
        int n =
            snprintf(text + at, GM_SHAPE_TEXT - at, "%s%lld", i ? ", " : "", (long long)shape[i]);
        if (n < 0 || at + (size_t)n + 2 > GM_SHAPE_TEXT - 4) {
            memcpy(text + at, "...", 3);
            at += 3;
            break;
        }
        at += (size_t)n;
    }
    text[at++] = ']';
    text[at] = '\0';
    return text;
}
