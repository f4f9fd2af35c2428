/* masked.c - linear layers and convolutions whose weight is zero where a mask is. */
#include <math.h>
#include <string.h>

#include "base/options.h"
#include "gm/mask.h"
#include "nn/layer.h"

static const gm_param *mask_of(const gm_layer *layer)
{
    return layer->state->entries[0].param;
}

/* The layer's own arrays and, as state, the mask in the shape of its weight. */
static int32_t with_mask(int32_t count, gm_layer_array out[GM_LAYER_ARRAYS])
{
    out[count] = out[0];
    out[count].name = "mask";
    out[count].state = 1;
    return count + 1;
}

static int32_t linear_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    return with_mask(gm_kind_linear.arrays(a, out), out);
}

static int32_t conv_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    return with_mask(gm_kind_conv2d.arrays(a, out), out);
}

static gm_status check_linear(gm_context *ctx, gm_layer_attrs *a)
{
    return gm_kind_linear.check(ctx, a);
}

static gm_status check_conv(gm_context *ctx, gm_layer_attrs *a)
{
    return gm_kind_conv2d.check(ctx, a);
}

/* The gradient of a product by a constant is masked as its value is. */
static gm_var with_weight(gm_layer *layer, gm_tape *tape, gm_var weight, gm_var x,
                          int32_t activation, double slope)
{
    const gm_layer_kind *plain =
        layer->kind == &gm_kind_masked_linear ? &gm_kind_linear : &gm_kind_conv2d;
    const gm_param *mask = mask_of(layer);
    gm_var kept = gm_mul(tape, weight, gm_input_array(tape, mask->rank, mask->shape, mask->value));
    return plain->with_weight(layer, tape, kept, x, activation, slope);
}

static gm_var fused(gm_layer *layer, gm_tape *tape, gm_var x, int32_t activation, double slope)
{
    gm_var weight = gm_parameter(tape, layer->params->entries[0].param);
    return with_weight(layer, tape, weight, x, activation, slope);
}

static gm_var apply(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return fused(layer, tape, x, GM_ACTIVATION_NONE, 0);
}

/* Zeros where the mask is zero; not a product, which leaves -0 and NaN. */
static gm_status settle(gm_layer *layer)
{
    const gm_param *mask = mask_of(layer);
    gm_param *weight = layer->params->entries[0].param;
    const int64_t row = mask->count / mask->shape[0];
    for (int64_t i = 0; i < mask->count; i++) {
        const double m = (double)mask->value[i];
        if (m != 0 && m != 1)
            return gm_fail(layer->ctx, GM_E_INVALID,
                           "%s: element %lld of row %lld of the mask is %g, expected 0 or 1",
                           layer->kind->name, (long long)(i % row), (long long)(i / row), m);
        if (m != 0 || (weight->value[i] == 0 && !signbit(weight->value[i]))) continue;
        const gm_status status = gm_param_own(weight); /* a frozen model's is not written */
        if (status) return status;
        weight->value[i] = 0;
    }
    return GM_OK;
}

const gm_layer_kind gm_kind_masked_linear = {
    .name = "masked_linear",
    .row_wise = 1,
    .ints = { "in", "out", "bias" },
    .check = check_linear,
    .arrays = linear_arrays,
    .apply = apply,
    .fused = fused,
    .with_weight = with_weight,
    .settle = settle,
};

const gm_layer_kind gm_kind_masked_conv2d = {
    .name = "masked_conv2d",
    .row_wise = 1,
    .ints = { "in", "out", "kernel_h", "kernel_w", "stride_h", "stride_w", "padding_h", "padding_w",
              "dilation_h", "dilation_w", "groups", "bias" },
    .check = check_conv,
    .arrays = conv_arrays,
    .apply = apply,
    .fused = fused,
    .with_weight = with_weight,
    .settle = settle,
};

/* A layer that was just made gets its mask. */
static gm_status finish(gm_layer **out, gm_status made, const float *mask)
{
    if (made) return made;
    gm_param *own = (*out)->state->entries[0].param;
    memcpy(own->value, mask, (size_t)own->count * sizeof *mask);
    gm_status status = settle(*out);
    return status ? gm_layer_drop(out, status) : GM_OK;
}

gm_status gm_masked_linear_create(gm_layer **out_layer, gm_context *ctx, int64_t in_features,
                                  int64_t out_features, const float *mask,
                                  const gm_linear_options *options)
{
    if (out_layer) *out_layer = NULL;
    if (!mask) return gm_fail(ctx, GM_E_INVALID, "masked_linear: mask is NULL");
    return finish(
        out_layer,
        gm_linear_make(out_layer, ctx, &gm_kind_masked_linear, in_features, out_features, options),
        mask);
}

gm_status gm_masked_conv2d_create(gm_layer **out, gm_context *ctx, const int64_t shape[4],
                                  const float *mask, const gm_conv_options *options)
{
    if (out) *out = NULL;
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    if (!mask || !shape)
        return gm_fail(ctx, GM_E_INVALID, "masked_conv2d: %s is NULL", mask ? "shape" : "mask");
    int64_t in = 0;
    gm_status status = gm_options_check(ctx, "masked_conv2d", &o, sizeof o, options);
    if (status) return status;
    if (shape[1] < 1 || o.groups < 1 || !gm_mul_size(shape[1], o.groups, &in))
        return gm_fail(ctx, GM_E_INVALID,
                       "masked_conv2d: the weight has %lld channels a group, groups is %lld, "
                       "expected at least 1",
                       (long long)shape[1], (long long)o.groups);
    status =
        gm_conv_make(out, ctx, &gm_kind_masked_conv2d, in, shape[0], shape[2], shape[3], options);
    return finish(out, status, mask);
}

gm_status gm_sequence_add_masked_linear(gm_layer *sequence, int64_t in_features,
                                        int64_t out_features, const float *mask)
{
    gm_layer *part = NULL;
    gm_status status = gm_sequence_ready(sequence);
    if (status) return status;
    status = gm_masked_linear_create(&part, sequence->ctx, in_features, out_features, mask, NULL);
    return gm_sequence_add_made(sequence, part, status);
}

gm_status gm_sequence_add_masked_conv2d(gm_layer *sequence, int32_t type, int64_t in,
                                        int64_t out_channels, int64_t kernel, int64_t groups)
{
    gm_layer *part = NULL;
    gm_status status = gm_sequence_ready(sequence);
    if (status) return status;
    gm_context *ctx = sequence->ctx;
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.padding_h = o.padding_w = kernel > 0 ? (kernel - 1) / 2 : 0;
    /* Sizes are checked here, so that the mask can be written at once into the layer's own array.
     */
    status = gm_conv_make(&part, ctx, &gm_kind_masked_conv2d, in, out_channels, kernel, kernel, &o);
    if (!status)
        status = gm_mask_conv(ctx, type, (int64_t[]){ out_channels, in, kernel, kernel }, groups,
                              part->state->entries[0].param->value);
    if (!status) status = settle(part);
    if (status && part) status = gm_layer_drop(&part, status);
    return gm_sequence_add_made(sequence, part, status);
}

const float *gm_masked_layer_mask(const gm_layer *layer)
{
    return layer && layer->kind->settle == settle ? mask_of(layer)->value : NULL;
}
