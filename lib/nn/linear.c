/* linear.c - y = x weight^T + bias, and the embedding, which is the same on one-hot rows. */
#include <math.h>
#include <string.h>

#include "base/options.h"
#include "nn/layer.h"

enum { IN, OUT, BIAS };

static gm_status check_linear(gm_context *ctx, gm_layer_attrs *a)
{
    if (a->ints[IN] < 1 || a->ints[OUT] < 1)
        return gm_fail(ctx, GM_E_INVALID, "linear: in is %lld, out is %lld, expected at least 1",
                       (long long)a->ints[IN], (long long)a->ints[OUT]);
    if (a->ints[BIAS] != 0 && a->ints[BIAS] != 1)
        return gm_fail(ctx, GM_E_INVALID, "linear: bias is %lld, expected 0 or 1",
                       (long long)a->ints[BIAS]);
    return GM_OK;
}

static int32_t linear_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    gm_layer_array weight = { "weight", 2, { a->ints[OUT], a->ints[IN] }, 0 };
    gm_layer_array bias = { "bias", 1, { a->ints[OUT] }, 0 };
    out[0] = weight;
    out[1] = bias;
    return a->ints[BIAS] ? 2 : 1;
}

static gm_var linear_with_weight(gm_layer *layer, gm_tape *tape, gm_var weight, gm_var x,
                                 int32_t activation, double slope)
{
    const gm_params *p = layer->params;
    gm_var bias = p->count > 1 ? gm_parameter(tape, p->entries[1].param) : GM_NO_VAR;
    return gm_linear(tape, x, weight, bias, activation, slope);
}

static gm_var fused_linear(gm_layer *layer, gm_tape *tape, gm_var x, int32_t activation,
                           double slope)
{
    gm_var weight = gm_parameter(tape, layer->params->entries[0].param);
    return linear_with_weight(layer, tape, weight, x, activation, slope);
}

static gm_var apply_linear(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return fused_linear(layer, tape, x, GM_ACTIVATION_NONE, 0);
}

const gm_layer_kind gm_kind_linear = {
    .name = "linear",
    .row_wise = 1,
    .ints = { "in", "out", "bias" },
    .check = check_linear,
    .arrays = linear_arrays,
    .apply = apply_linear,
    .fused = fused_linear,
    .with_weight = linear_with_weight,
};

gm_status gm_linear_make(gm_layer **out_layer, gm_context *ctx, const gm_layer_kind *kind,
                         int64_t in, int64_t out, const gm_linear_options *options)
{
    if (out_layer) *out_layer = NULL;
    gm_linear_options o = GM_LINEAR_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, kind->name, &o, sizeof o, options);
    if (status) return status;
    if (o.reserved)
        return gm_fail(ctx, GM_E_INVALID, "%s: reserved is %d, expected 0", kind->name,
                       (int)o.reserved);
    gm_layer_attrs attrs = { { in, out, o.bias }, { 0 } };
    status = gm_layer_make(out_layer, ctx, kind, &attrs);
    if (status) return status;
    gm_params *p = (*out_layer)->params;
    GM_TRY(gm_param_init(p->entries[0].param, o.weight_init, o.weight_a, o.weight_b, NULL));
    if (!o.bias) return GM_OK;
    /* The bias's bound depends on the weight's columns, which its own shape does not have. */
    double bound = 1 / sqrt((double)in);
    GM_TRY(o.bias_init == GM_INIT_DEFAULT
               ? gm_param_init(p->entries[1].param, GM_INIT_UNIFORM, -bound, bound, NULL)
               : gm_param_init(p->entries[1].param, o.bias_init, o.bias_a, o.bias_b, NULL));
    return GM_OK;
out:
    return gm_layer_drop(out_layer, status);
}

gm_status gm_linear_create(gm_layer **out_layer, gm_context *ctx, int64_t in_features,
                           int64_t out_features, const gm_linear_options *options)
{
    return gm_linear_make(out_layer, ctx, &gm_kind_linear, in_features, out_features, options);
}

static gm_status check_embedding(gm_context *ctx, gm_layer_attrs *a)
{
    if (a->ints[0] < 1 || a->ints[1] < 1)
        return gm_fail(ctx, GM_E_INVALID,
                       "embedding: rows is %lld, width is %lld, expected at least 1",
                       (long long)a->ints[0], (long long)a->ints[1]);
    return GM_OK;
}

static int32_t embedding_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    gm_layer_array weight = { "weight", 2, { a->ints[0], a->ints[1] }, 0 };
    out[0] = weight;
    return 1;
}

static gm_var apply_embedding(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return gm_gather(tape, gm_parameter(tape, layer->params->entries[0].param), x);
}

const gm_layer_kind gm_kind_embedding = {
    .name = "embedding",
    .row_wise = 1,
    .ints = { "rows", "width" },
    .check = check_embedding,
    .arrays = embedding_arrays,
    .apply = apply_embedding,
};

gm_status gm_embedding_create(gm_layer **out, gm_context *ctx, int64_t rows, int64_t width)
{
    gm_layer_attrs attrs = { { rows, width }, { 0 } };
    gm_status status = gm_layer_make(out, ctx, &gm_kind_embedding, &attrs);
    if (status) return status;
    status = gm_param_init((*out)->params->entries[0].param, GM_INIT_NORMAL, 0, 1, NULL);
    return status ? gm_layer_drop(out, status) : GM_OK;
}
