/* extend.c - the inner services that hosts may use too. */
#include "gm/extend.h"

#include "base/context.h"
#include "base/error.h"
#include "base/options.h"

void *gm_context_allocate(gm_context *ctx, size_t size)
{
    return ctx ? gm_memory_get(&ctx->memory, size) : NULL;
}

void gm_context_free(gm_context *ctx, void *pointer, size_t size)
{
    if (ctx) gm_memory_put(&ctx->memory, pointer, size);
}

gm_status gm_context_fail(gm_context *ctx, gm_status status, const char *line)
{
    return gm_fail(ctx, status, "%s", line ? line : "");
}

void gm_context_log(gm_context *ctx, int32_t level, const char *line)
{
    gm_log_line(ctx, level, "%s", line ? line : "");
}

gm_status gm_options_read(gm_context *ctx, const char *what, void *into, size_t known,
                          const void *given)
{
    if (!into) return gm_fail(ctx, GM_E_INVALID, "options: into is NULL");
    return gm_options_check(ctx, what ? what : "options", into, known, given);
}
