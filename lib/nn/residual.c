/* residual.c - a layer around another, whose output it adds to its input (He et al. 2016). */
#include <string.h>

#include "autodiff/tape.h"
#include "nn/layer.h"

static gm_var apply_residual(gm_layer *layer, gm_tape *tape, gm_var x)
{
    gm_var y = gm_apply(tape, layer->inner, x);
    int32_t rank = gm_rank(tape, x), given = gm_rank(tape, y);
    if (rank >= 0 && given >= 0 &&
        (rank != given ||
         memcmp(gm_shape(tape, x), gm_shape(tape, y), (size_t)rank * sizeof(int64_t)))) {
        char in[GM_SHAPE_TEXT], out[GM_SHAPE_TEXT];
        return gm_tape_stick(tape, gm_fail(layer->ctx, GM_E_SHAPE,
                                           "residual: input is %s, the inner layer gives %s",
                                           gm_shape_text(in, rank, gm_shape(tape, x)),
                                           gm_shape_text(out, given, gm_shape(tape, y))));
    }
    return gm_add(tape, x, y);
}

static gm_status hold_residual(gm_layer *layer, gm_layer *inner)
{
    gm_context *ctx = layer->ctx;
    if (!inner || inner->ctx != ctx)
        return gm_fail(ctx, GM_E_INVALID, "residual: the inner layer is %s",
                       inner ? "of another context" : "NULL");
    gm_status status = gm_sequence_status(inner);
    if (status) return status;
    if (inner->depth >= GM_LAYER_DEPTH)
        return gm_fail(ctx, GM_E_INVALID, "residual: nested deeper than %d", GM_LAYER_DEPTH);
    status = gm_layer_add_sets(layer, "0.", inner);
    if (status) return status;
    gm_layer_retain(inner);
    gm_layer_seal(inner);
    layer->inner = inner;
    layer->leaves = inner->leaves;
    layer->depth = inner->depth + 1;
    return GM_OK;
}

const gm_layer_kind gm_kind_residual = {
    .name = "residual",
    .row_wise = 1,
    .apply = apply_residual,
    .hold = hold_residual,
};

gm_status gm_residual_create(gm_layer **out, gm_context *ctx, gm_layer *inner)
{
    gm_status status = gm_layer_make(out, ctx, &gm_kind_residual, NULL);
    if (status) return status;
    status = hold_residual(*out, inner);
    return status ? gm_layer_drop(out, status) : GM_OK;
}

gm_layer *gm_residual_inner(const gm_layer *layer)
{
    return layer && layer->kind == &gm_kind_residual ? layer->inner : NULL;
}
