/* result.c - what all evaluations give back. */
#include <string.h>

#include "models/model.h"

gm_status gm_result_check(gm_context *ctx, const char *what, const gm_result *out)
{
    if (!out) return gm_model_fail(ctx, GM_E_INVALID, "%s: out is NULL", what);
    if (out->size >= sizeof out->size && out->size <= sizeof *out) return GM_OK;
    return gm_model_fail(ctx, GM_E_INVALID, "%s: out->size is %zu, this library knows %zu", what,
                         out->size, sizeof *out);
}

void gm_result_give(gm_result *out, const gm_result *result)
{
    size_t size = out->size;
    memcpy(out, result, size);
    out->size = size;
}
