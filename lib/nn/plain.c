/* plain.c - the layers without parameters: activations, maxout, dropout, reshape, flatten. */
#include <float.h>
#include <string.h>

#include "autodiff/activation.h"
#include "nn/layer.h"

static gm_status check_activation(gm_context *ctx, gm_layer_attrs *a)
{
    int64_t kind = a->ints[0];
    const gm_activation_row *row =
        kind > 0 && kind <= INT32_MAX ? gm_activation_find((int32_t)kind) : NULL;
    if (!row)
        return gm_fail(ctx, GM_E_INVALID,
                       "activation: number is %lld, expected one of GM_ACTIVATION_* but not NONE",
                       (long long)kind);
    if (!row->parameter) a->reals[0] = 0;
    if (!(a->reals[0] >= 0 && a->reals[0] <= FLT_MAX))
        return gm_fail(ctx, GM_E_INVALID, "activation: slope is %g, expected at least 0",
                       a->reals[0]);
    return GM_OK;
}

static gm_var apply_activation(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return gm_activate(tape, x, (int32_t)layer->attrs.ints[0], layer->attrs.reals[0]);
}

const gm_layer_kind gm_kind_activation = {
    .name = "activation",
    .row_wise = 1,
    .ints = { "activation" },
    .reals = { "slope" },
    .check = check_activation,
    .apply = apply_activation,
};

gm_status gm_activation_create(gm_layer **out, gm_context *ctx, int32_t activation, double slope)
{
    gm_layer_attrs attrs = { { activation }, { slope } };
    return gm_layer_make(out, ctx, &gm_kind_activation, &attrs);
}

static gm_status check_maxout(gm_context *ctx, gm_layer_attrs *a)
{
    if (a->ints[0] < 1)
        return gm_fail(ctx, GM_E_INVALID, "maxout: pieces is %lld, expected at least 1",
                       (long long)a->ints[0]);
    return GM_OK;
}

static gm_var apply_maxout(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return gm_maxout(tape, x, layer->attrs.ints[0]);
}

const gm_layer_kind gm_kind_maxout = {
    .name = "maxout",
    .row_wise = 1,
    .ints = { "pieces" },
    .check = check_maxout,
    .apply = apply_maxout,
};

gm_status gm_maxout_create(gm_layer **out, gm_context *ctx, int64_t pieces)
{
    gm_layer_attrs attrs = { { pieces }, { 0 } };
    return gm_layer_make(out, ctx, &gm_kind_maxout, &attrs);
}

static gm_status check_dropout(gm_context *ctx, gm_layer_attrs *a)
{
    if (!(a->reals[0] >= 0 && a->reals[0] < 1))
        return gm_fail(ctx, GM_E_INVALID, "dropout: p is %g, expected 0 to below 1", a->reals[0]);
    return GM_OK;
}

static gm_var apply_dropout(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return gm_dropout(tape, x, layer->attrs.reals[0]);
}

const gm_layer_kind gm_kind_dropout = {
    .name = "dropout",
    .row_wise = 1,
    .reals = { "p" },
    .check = check_dropout,
    .apply = apply_dropout,
};

gm_status gm_dropout_create(gm_layer **out, gm_context *ctx, double p)
{
    gm_layer_attrs attrs = { { 0 }, { p } };
    return gm_layer_make(out, ctx, &gm_kind_dropout, &attrs);
}

static gm_status check_reshape(gm_context *ctx, gm_layer_attrs *a)
{
    if (a->ints[0] < 0 || a->ints[0] > GM_MAX_RANK - 1)
        return gm_fail(ctx, GM_E_INVALID, "reshape: rank is %lld, expected 0 to %d",
                       (long long)a->ints[0], GM_MAX_RANK - 1);
    for (int64_t i = 0; i < GM_MAX_RANK - 1; i++) {
        if (i >= a->ints[0])
            a->ints[1 + i] = 0;
        else if (a->ints[1 + i] < 1)
            return gm_fail(ctx, GM_E_INVALID,
                           "reshape: size of axis %lld is %lld, expected at least 1", (long long)i,
                           (long long)a->ints[1 + i]);
    }
    return GM_OK;
}

static gm_var apply_reshape(gm_layer *layer, gm_tape *tape, gm_var x)
{
    if (gm_rank(tape, x) == 0)
        return gm_tape_fail(tape, GM_E_SHAPE, "reshape: input is [], expected a batch axis");
    const int64_t *in = gm_shape(tape, x);
    int64_t shape[GM_MAX_RANK] = { in ? in[0] : 0 };
    memcpy(shape + 1, layer->attrs.ints + 1, (GM_MAX_RANK - 1) * sizeof *shape);
    return gm_reshape(tape, x, 1 + (int32_t)layer->attrs.ints[0], shape);
}

const gm_layer_kind gm_kind_reshape = {
    .name = "reshape",
    .row_wise = 1,
    .ints = { "rank", "size0", "size1", "size2", "size3", "size4" },
    .check = check_reshape,
    .apply = apply_reshape,
};

gm_status gm_reshape_create(gm_layer **out, gm_context *ctx, int32_t rank, const int64_t *shape)
{
    if (out) *out = NULL;
    if (rank > 0 && !shape) return gm_fail(ctx, GM_E_INVALID, "reshape: shape is NULL");
    gm_layer_attrs attrs = { { rank }, { 0 } };
    for (int32_t i = 0; i < rank && i < GM_MAX_RANK - 1; i++) attrs.ints[1 + i] = shape[i];
    return gm_layer_make(out, ctx, &gm_kind_reshape, &attrs);
}

static gm_var apply_flatten(gm_layer *layer, gm_tape *tape, gm_var x)
{
    (void)layer;
    int32_t rank = gm_rank(tape, x);
    if (rank == 0)
        return gm_tape_fail(tape, GM_E_SHAPE, "flatten: input is [], expected a batch axis");
    const int64_t *in = gm_shape(tape, x);
    int64_t shape[2] = { in ? in[0] : 0, 1 };
    for (int32_t i = 1; i < rank; i++) /* an empty batch may stand before sizes of any size */
        if (!gm_mul_size(shape[1], in[i], &shape[1]))
            return gm_tape_fail(tape, GM_E_SHAPE,
                                "flatten: the rows are more than memory can address");
    return gm_reshape(tape, x, 2, shape);
}

const gm_layer_kind gm_kind_flatten = {
    .name = "flatten",
    .row_wise = 1,
    .apply = apply_flatten,
};

gm_status gm_flatten_create(gm_layer **out, gm_context *ctx)
{
    return gm_layer_make(out, ctx, &gm_kind_flatten, NULL);
}
