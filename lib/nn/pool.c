/* pool.c - the layers of images that have no parameters: pooling and other sizes. */
#include "gm/conv.h"
#include "kernels/conv/conv.h"
#include "nn/layer.h"

static gm_status check_pool(gm_context *ctx, const char *kind, const gm_layer_attrs *a)
{
    int64_t kernel = a->ints[0], stride = a->ints[1], padding = a->ints[2];
    if (kernel < 1 || kernel > GM_CONV_LARGEST || stride < 1 || stride > GM_CONV_LARGEST)
        return gm_fail(ctx, GM_E_INVALID, "%s: kernel is %lld, stride is %lld, expected 1 to 2^30",
                       kind, (long long)kernel, (long long)stride);
    if (padding < 0 || padding > kernel / 2)
        return gm_fail(ctx, GM_E_INVALID,
                       "%s: padding is %lld, expected 0 to half the kernel (%lld)", kind,
                       (long long)padding, (long long)kernel);
    return GM_OK;
}

static gm_status check_max(gm_context *ctx, gm_layer_attrs *a)
{
    return check_pool(ctx, "max_pool2d", a);
}

static gm_status check_avg(gm_context *ctx, gm_layer_attrs *a)
{
    return check_pool(ctx, "avg_pool2d", a);
}

static gm_var apply_max(gm_layer *layer, gm_tape *tape, gm_var x)
{
    const int64_t *n = layer->attrs.ints;
    return gm_max_pool2d(tape, x, n[0], n[1], n[2]);
}

static gm_var apply_avg(gm_layer *layer, gm_tape *tape, gm_var x)
{
    const int64_t *n = layer->attrs.ints;
    return gm_avg_pool2d(tape, x, n[0], n[1], n[2]);
}

const gm_layer_kind gm_kind_max_pool2d = {
    .name = "max_pool2d",
    .row_wise = 1,
    .ints = { "kernel", "stride", "padding" },
    .check = check_max,
    .apply = apply_max,
};

const gm_layer_kind gm_kind_avg_pool2d = {
    .name = "avg_pool2d",
    .row_wise = 1,
    .ints = { "kernel", "stride", "padding" },
    .check = check_avg,
    .apply = apply_avg,
};

static gm_status check_factor(gm_context *ctx, const char *kind, const gm_layer_attrs *a)
{
    if (a->ints[0] >= 1 && a->ints[0] <= GM_CONV_LARGEST) return GM_OK;
    return gm_fail(ctx, GM_E_INVALID, "%s: factor is %lld, expected 1 to 2^30", kind,
                   (long long)a->ints[0]);
}

static gm_status check_upsample(gm_context *ctx, gm_layer_attrs *a)
{
    return check_factor(ctx, "upsample_nearest", a);
}

static gm_status check_shuffle(gm_context *ctx, gm_layer_attrs *a)
{
    return check_factor(ctx, "pixel_shuffle", a);
}

static gm_var apply_upsample(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return gm_upsample_nearest(tape, x, layer->attrs.ints[0]);
}

static gm_var apply_shuffle(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return gm_pixel_shuffle(tape, x, layer->attrs.ints[0]);
}

const gm_layer_kind gm_kind_upsample_nearest = {
    .name = "upsample_nearest",
    .row_wise = 1,
    .ints = { "factor" },
    .check = check_upsample,
    .apply = apply_upsample,
};

const gm_layer_kind gm_kind_pixel_shuffle = {
    .name = "pixel_shuffle",
    .row_wise = 1,
    .ints = { "factor" },
    .check = check_shuffle,
    .apply = apply_shuffle,
};

static gm_status check_resize(gm_context *ctx, gm_layer_attrs *a)
{
    for (int i = 0; i < 2; i++)
        if (a->ints[i] < 1 || a->ints[i] > GM_CONV_LARGEST)
            return gm_fail(ctx, GM_E_INVALID, "resize: %s is %lld, expected 1 to 2^30",
                           i ? "width" : "height", (long long)a->ints[i]);
    if (a->ints[2] != GM_RESIZE_NEAREST && a->ints[2] != GM_RESIZE_BILINEAR)
        return gm_fail(ctx, GM_E_INVALID, "resize: mode is %lld, expected one of GM_RESIZE_*",
                       (long long)a->ints[2]);
    return GM_OK;
}

static gm_var apply_resize(gm_layer *layer, gm_tape *tape, gm_var x)
{
    const int64_t *n = layer->attrs.ints;
    return gm_resize(tape, x, n[0], n[1], (int32_t)n[2]);
}

const gm_layer_kind gm_kind_resize = {
    .name = "resize",
    .row_wise = 1,
    .ints = { "height", "width", "mode" },
    .check = check_resize,
    .apply = apply_resize,
};

static gm_status make(gm_layer **out, gm_context *ctx, const gm_layer_kind *kind, int64_t a,
                      int64_t b, int64_t c)
{
    gm_layer_attrs attrs = { { a, b, c }, { 0 } };
    return gm_layer_make(out, ctx, kind, &attrs);
}

gm_status gm_max_pool2d_create(gm_layer **out, gm_context *ctx, int64_t kernel, int64_t stride,
                               int64_t padding)
{
    return make(out, ctx, &gm_kind_max_pool2d, kernel, stride, padding);
}

gm_status gm_avg_pool2d_create(gm_layer **out, gm_context *ctx, int64_t kernel, int64_t stride,
                               int64_t padding)
{
    return make(out, ctx, &gm_kind_avg_pool2d, kernel, stride, padding);
}

gm_status gm_upsample_nearest_create(gm_layer **out, gm_context *ctx, int64_t factor)
{
    return make(out, ctx, &gm_kind_upsample_nearest, factor, 0, 0);
}

gm_status gm_pixel_shuffle_create(gm_layer **out, gm_context *ctx, int64_t factor)
{
    return make(out, ctx, &gm_kind_pixel_shuffle, factor, 0, 0);
}

gm_status gm_resize_create(gm_layer **out, gm_context *ctx, int64_t height, int64_t width,
                           int32_t mode)
{
    return make(out, ctx, &gm_kind_resize, height, width, mode);
}

static gm_status add(gm_layer *sequence, const gm_layer_kind *kind, int64_t a, int64_t b, int64_t c)
{
    gm_layer *part = NULL;
    gm_status status = gm_sequence_ready(sequence);
    if (status) return status;
    status = make(&part, sequence->ctx, kind, a, b, c);
    return gm_sequence_add_made(sequence, part, status);
}

gm_status gm_sequence_add_max_pool2d(gm_layer *sequence, int64_t kernel, int64_t stride,
                                     int64_t padding)
{
    return add(sequence, &gm_kind_max_pool2d, kernel, stride, padding);
}

gm_status gm_sequence_add_avg_pool2d(gm_layer *sequence, int64_t kernel, int64_t stride,
                                     int64_t padding)
{
    return add(sequence, &gm_kind_avg_pool2d, kernel, stride, padding);
}

gm_status gm_sequence_add_upsample_nearest(gm_layer *sequence, int64_t factor)
{
    return add(sequence, &gm_kind_upsample_nearest, factor, 0, 0);
}

gm_status gm_sequence_add_pixel_shuffle(gm_layer *sequence, int64_t factor)
{
    return add(sequence, &gm_kind_pixel_shuffle, factor, 0, 0);
}

gm_status gm_sequence_add_resize(gm_layer *sequence, int64_t height, int64_t width, int32_t mode)
{
    return add(sequence, &gm_kind_resize, height, width, mode);
}
