/* conv.c - layers of images: convolutions. */
#include "gm/conv.h"

#include <math.h>

#include "base/options.h"
#include "kernels/conv/conv.h"
#include "nn/layer.h"

enum {
    IN,
    OUT,
    KERNEL_H,
    KERNEL_W,
    STRIDE_H,
    STRIDE_W,
    PADDING_H,
    PADDING_W,
    DILATION_H,
    DILATION_W,
    GROUPS,
    BIAS,
    EXTRA_H,
    EXTRA_W,
    NUMBERS
};

#define CONV_NAMES                                                                                 \
    "in", "out", "kernel_h", "kernel_w", "stride_h", "stride_w", "padding_h", "padding_w",         \
        "dilation_h", "dilation_w", "groups", "bias"
static const char *const names[NUMBERS] = { CONV_NAMES, "output_padding_h", "output_padding_w" };

static gm_status check_conv(gm_context *ctx, const char *kind, const gm_layer_attrs *a)
{
    for (int i = 0; i <= EXTRA_W; i++) {
        int zero = i == PADDING_H || i == PADDING_W || i == EXTRA_H || i == EXTRA_W || i == BIAS;
        int64_t least = zero ? 0 : 1, most = i == BIAS ? 1 : GM_CONV_LARGEST;
        if (a->ints[i] < least || a->ints[i] > most)
            return gm_fail(ctx, GM_E_INVALID, "%s: %s is %lld, expected %lld to %lld", kind,
                           names[i], (long long)a->ints[i], (long long)least, (long long)most);
    }
    if (a->ints[IN] % a->ints[GROUPS] || a->ints[OUT] % a->ints[GROUPS])
        return gm_fail(ctx, GM_E_INVALID,
                       "%s: groups is %lld, in is %lld, out is %lld, expected a divisor of both",
                       kind, (long long)a->ints[GROUPS], (long long)a->ints[IN],
                       (long long)a->ints[OUT]);
    for (int i = 0; i < 2; i++) {
        int64_t extra = a->ints[EXTRA_H + i], stride = a->ints[STRIDE_H + i],
                dilation = a->ints[DILATION_H + i];
        if (extra && extra >= stride && extra >= dilation)
            return gm_fail(
                ctx, GM_E_INVALID,
                "%s: %s is %lld, expected below the stride (%lld) or the dilation (%lld)", kind,
                names[EXTRA_H + i], (long long)extra, (long long)stride, (long long)dilation);
    }
    return GM_OK;
}

static gm_status check_conv2d(gm_context *ctx, gm_layer_attrs *a)
{
    if (a->ints[EXTRA_H] || a->ints[EXTRA_W])
        return gm_fail(ctx, GM_E_INVALID,
                       "conv2d: output padding is for transposed convolutions, expected 0");
    return check_conv(ctx, "conv2d", a);
}

static gm_status check_transpose(gm_context *ctx, gm_layer_attrs *a)
{
    return check_conv(ctx, "conv_transpose2d", a);
}

static int32_t arrays(const gm_layer_attrs *a, int64_t first, int64_t second,
                      gm_layer_array out[GM_LAYER_ARRAYS])
{
    gm_layer_array weight = {
        "weight", 4, { first, second / a->ints[GROUPS], a->ints[KERNEL_H], a->ints[KERNEL_W] }, 0
    };
    gm_layer_array bias = { "bias", 1, { a->ints[OUT] }, 0 };
    out[0] = weight;
    out[1] = bias;
    return a->ints[BIAS] ? 2 : 1;
}

static int32_t conv2d_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    return arrays(a, a->ints[OUT], a->ints[IN], out);
}

static int32_t transpose_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    return arrays(a, a->ints[IN], a->ints[OUT], out);
}

static gm_conv_options options_of(const gm_layer *layer)
{
    const int64_t *n = layer->attrs.ints;
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.stride_h = n[STRIDE_H];
    o.stride_w = n[STRIDE_W];
    o.padding_h = n[PADDING_H];
    o.padding_w = n[PADDING_W];
    o.dilation_h = n[DILATION_H];
    o.dilation_w = n[DILATION_W];
    o.output_padding_h = n[EXTRA_H];
    o.output_padding_w = n[EXTRA_W];
    o.groups = n[GROUPS];
    return o;
}

static gm_var with_weight(gm_layer *layer, gm_tape *tape, gm_var weight, gm_var x,
                          int32_t activation, double slope)
{
    const gm_params *p = layer->params;
    gm_conv_options o = options_of(layer);
    gm_var bias = p->count > 1 ? gm_parameter(tape, p->entries[1].param) : GM_NO_VAR;
    return layer->kind == &gm_kind_conv_transpose2d
               ? gm_conv_transpose2d(tape, x, weight, bias, &o, activation, slope)
               : gm_conv2d(tape, x, weight, bias, &o, activation, slope);
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

const gm_layer_kind gm_kind_conv2d = {
    .name = "conv2d",
    .row_wise = 1,
    .ints = { CONV_NAMES },
    .check = check_conv2d,
    .arrays = conv2d_arrays,
    .apply = apply,
    .fused = fused,
    .with_weight = with_weight,
};

const gm_layer_kind gm_kind_conv_transpose2d = {
    .name = "conv_transpose2d",
    .row_wise = 1,
    .ints = { CONV_NAMES, "output_padding_h", "output_padding_w" },
    .check = check_transpose,
    .arrays = transpose_arrays,
    .apply = apply,
    .fused = fused,
    .with_weight = with_weight,
};

gm_status gm_conv_make(gm_layer **out, gm_context *ctx, const gm_layer_kind *kind, int64_t in,
                       int64_t channels, int64_t kernel_h, int64_t kernel_w,
                       const gm_conv_options *options)
{
    if (out) *out = NULL;
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, kind->name, &o, sizeof o, options);
    if (status) return status;
    if (o.reserved)
        return gm_fail(ctx, GM_E_INVALID, "%s: reserved is %d, expected 0", kind->name,
                       (int)o.reserved);
    gm_layer_attrs attrs = { { in, channels, kernel_h, kernel_w, o.stride_h, o.stride_w,
                               o.padding_h, o.padding_w, o.dilation_h, o.dilation_w, o.groups,
                               o.bias, o.output_padding_h, o.output_padding_w },
                             { 0 } };
    status = gm_layer_make(out, ctx, kind, &attrs);
    if (status) return status;
    gm_param *weight = (*out)->params->entries[0].param;
    GM_TRY(gm_param_init(weight, o.weight_init, o.weight_a, o.weight_b, NULL));
    if (!o.bias) return GM_OK;
    gm_param *bias = (*out)->params->entries[1].param;
    double bound = 1 / sqrt((double)weight->shape[1] * (double)kernel_h * (double)kernel_w);
    GM_TRY(o.bias_init == GM_INIT_DEFAULT
               ? gm_param_init(bias, GM_INIT_UNIFORM, -bound, bound, NULL)
               : gm_param_init(bias, o.bias_init, o.bias_a, o.bias_b, NULL));
    return GM_OK;
out:
    return gm_layer_drop(out, status);
}

gm_status gm_conv2d_create(gm_layer **out, gm_context *ctx, int64_t in, int64_t out_channels,
                           int64_t kernel_h, int64_t kernel_w, const gm_conv_options *options)
{
    return gm_conv_make(out, ctx, &gm_kind_conv2d, in, out_channels, kernel_h, kernel_w, options);
}

gm_status gm_conv_transpose2d_create(gm_layer **out, gm_context *ctx, int64_t in,
                                     int64_t out_channels, int64_t kernel_h, int64_t kernel_w,
                                     const gm_conv_options *options)
{
    return gm_conv_make(out, ctx, &gm_kind_conv_transpose2d, in, out_channels, kernel_h, kernel_w,
                        options);
}

static gm_status add_conv(gm_layer *sequence, const gm_layer_kind *kind, int64_t in,
                          int64_t channels, int64_t kernel, int64_t stride, int64_t padding)
{
    gm_layer *part = NULL;
    gm_status status = gm_sequence_ready(sequence);
    if (status) return status;
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.stride_h = o.stride_w = stride;
    o.padding_h = o.padding_w = padding;
    status = gm_conv_make(&part, sequence->ctx, kind, in, channels, kernel, kernel, &o);
    return gm_sequence_add_made(sequence, part, status);
}

gm_status gm_sequence_add_conv2d(gm_layer *sequence, int64_t in, int64_t out_channels,
                                 int64_t kernel, int64_t stride, int64_t padding)
{
    return add_conv(sequence, &gm_kind_conv2d, in, out_channels, kernel, stride, padding);
}

gm_status gm_sequence_add_conv_transpose2d(gm_layer *sequence, int64_t in, int64_t out_channels,
                                           int64_t kernel, int64_t stride, int64_t padding)
{
    return add_conv(sequence, &gm_kind_conv_transpose2d, in, out_channels, kernel, stride, padding);
}
