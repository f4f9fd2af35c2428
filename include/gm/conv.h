/* gm/conv.h - two-dimensional convolution, pooling and resizing: operations and layers.
 *
 * Images are [n, c, h, w], row-major: n images of c channels, h rows, w columns. Every function
 * here treats height and width alike; formulas are given for the height.
 *
 *     gm_layer *net = NULL;
 *     gm_sequence_create(&net, context);
 *     gm_sequence_add_conv2d(net, 1, 64, 4, 2, 1);     from [n, 1, 28, 28] to [n, 64, 14, 14]
 *     gm_sequence_add_leaky_relu(net, 0.2);
 *     gm_sequence_add_conv2d(net, 64, 128, 4, 2, 1);   to [n, 128, 7, 7]
 *     gm_sequence_add_flatten(net);
 *     gm_sequence_add_linear(net, 128 * 7 * 7, 1);
 *
 * The rules for all operations (gm/ops.h) and all layers (gm/layer.h) hold here: operations need no
 * check, and the first failure sticks to the tape; results are bit for bit the same for any number
 * of threads; after the first step with the same shapes nothing is allocated.
 *
 * GM_E_SHAPE, for every operation: the input does not have rank 4, or the output would be empty.
 * The error line gives a size that follows from a formula with its numbers:
 *     conv2d: height: (4 + 2*1 - 1*(7-1) - 1) / 1 + 1 is below 1 (input 4, padding 1, dilation 1,
 *     kernel 7, stride 1)
 * GM_E_INVALID: a number out of its range, or above 2^30. GM_E_NOMEM: no workspace.
 */
#ifndef GM_CONV_H
#define GM_CONV_H

#include "gm/layer.h"
#include "gm/ops.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The geometry of a convolution, for operations and layers; and, below the line "---", how a
 * layer's parameters are initialised, which operations ignore. */
typedef struct gm_conv_options {
    size_t size;                    /* set by the INIT macro */
    int64_t stride_h, stride_w;     /* 1 or more; default 1 */
    int64_t padding_h, padding_w;   /* zeros on each side, 0 or more; default 0 */
    int64_t dilation_h, dilation_w; /* distance between kernel taps, 1 or more; default 1 */
    /* transposed only: additional rows and columns at the lower and right edge; 0 or more, less
     * than the stride or less than the dilation; default 0 */
    int64_t output_padding_h, output_padding_w;
    int64_t groups; /* the channels are divided into this many groups, which are convolved
                       separately; default 1 */
    /* --- */
    int32_t bias;        /* 1: with a bias (default); 0: without */
    int32_t weight_init; /* GM_INIT_*; default GM_INIT_DEFAULT: uniform in +-1/sqrt(fan_in), fan_in
                            the weight's second size times kernel height times kernel width */
    double weight_a;     /* as in gm_param_init */
    double weight_b;
    int32_t bias_init; /* GM_INIT_*; default GM_INIT_DEFAULT: uniform in +-1/sqrt(fan_in), with the
                          weight's fan_in */
    int32_t reserved;  /* 0 */
    double bias_a;
    double bias_b;
} gm_conv_options;

#define GM_CONV_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(gm_conv_options), 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 1.0, 0.0, 0, 0, 1.0, 0.0         \
    }

/* --- Operations. */

/* Convolution (cross-correlation, as everywhere in this field), with the activation applied in the
 * same pass:
 *   y[n,o,i,j] = act(bias[o] + sum over c, a, b of
 *                    weight[o,c,a,b] x[n, c, i stride - padding + a dilation, likewise j])
 * x [n, c, h, w], weight [out, c / groups, kh, kw], bias [out] or GM_NO_VAR; the result is
 * [n, out, oh, ow] with
 *   oh = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1.
 * Group g of the output channels depends on group g of the input channels. Activations and slope as
 * in gm_activate. options: read during the call; NULL: the defaults. GM_E_SHAPE: channels, weight
 * and bias do not fit each other, groups does not divide the channels, the kernel is larger than
 * the padded image. GM_E_INVALID: options out of range, unknown activation, negative slope. */
GM_API gm_var gm_conv2d(gm_tape *tape, gm_var x, gm_var weight, gm_var bias,
                        const gm_conv_options *options, int32_t activation, double slope);

/* Transposed convolution (Dumoulin and Visin 2016, ch. 4): what the gradient of gm_conv2d does to
 * the gradient of its result, with the bias and activation of a layer. x [n, c, h, w], weight
 * [c, out / groups, kh, kw], bias [out] or GM_NO_VAR; the result is [n, out, oh, ow] with
 *   oh = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.
 * For the same weight and options, <gm_conv2d(a), b> = <a, gm_conv_transpose2d(b)>. Computed as
 * stride_h x stride_w small convolutions, one for each phase of the output, so that no inserted
 * zeros are multiplied. Failures as those of gm_conv2d; GM_E_INVALID also: output_padding neither
 * below the stride nor below the dilation. */
GM_API gm_var gm_conv_transpose2d(gm_tape *tape, gm_var x, gm_var weight, gm_var bias,
                                  const gm_conv_options *options, int32_t activation, double slope);

/* Max and mean pooling over windows of kernel x kernel elements, `stride` apart:
 *   oh = floor((h + 2 padding - kernel) / stride) + 1.
 * Padding is never the maximum; in a mean it counts as zeros, and every window is divided by
 * kernel^2. The gradient of a maximum goes to the first of equal elements, row by row; NaN counts
 * as the largest. kernel and stride 1 or more, padding from 0 to kernel / 2 (GM_E_INVALID).
 * GM_E_SHAPE: the kernel is larger than the padded image; an image of more than 2^31 - 1 elements
 * (maximum). */
GM_API gm_var gm_max_pool2d(gm_tape *tape, gm_var x, int64_t kernel, int64_t stride,
                            int64_t padding);
GM_API gm_var gm_avg_pool2d(gm_tape *tape, gm_var x, int64_t kernel, int64_t stride,
                            int64_t padding);

#define GM_RESIZE_NEAREST 0
#define GM_RESIZE_BILINEAR 1

/* Resizes images to any other size, [n, c, h, w] to [n, c, height, width]. Pixels are squares and
 * the image's edges stay where they are (PyTorch's align_corners=False): row i of the result is at
 * r = (i + 1/2) h / height - 1/2. GM_RESIZE_NEAREST takes row floor(i h / height);
 * GM_RESIZE_BILINEAR takes the mean of row floor(r) and the next, weighted by nearness, with r
 * clamped to 0 .. h - 1; columns likewise. A row of weight 0 is not read. Making an image smaller
 * skips pixels; gm_avg_pool2d averages all of them. GM_E_SHAPE: rank not 4, an image without
 * pixels; GM_E_INVALID: height or width below 1 or over 2^30, an unknown mode. */
GM_API gm_var gm_resize(gm_tape *tape, gm_var x, int64_t height, int64_t width, int32_t mode);

/* Nearest-neighbour upsampling: each element becomes a square of factor x factor elements, [n, c,
 * h, w] to [n, c, h factor, w factor]. factor 1 or more (GM_E_INVALID). */
GM_API gm_var gm_upsample_nearest(gm_tape *tape, gm_var x, int64_t factor);

/* Rearranges channels into positions (Shi et al. 2016, eq. 4): [n, c factor^2, h, w] to
 * [n, c, h factor, w factor],
 *   y[n, c, i factor + a, j factor + b] = x[n, c factor^2 + a factor + b, i, j].
 * factor 1 or more (GM_E_INVALID). GM_E_SHAPE: factor^2 does not divide the channels. */
GM_API gm_var gm_pixel_shuffle(gm_tape *tape, gm_var x, int64_t factor);

/* Options of gm_conv2d_taps. */
typedef struct gm_taps_options {
    size_t size;         /* set by the INIT macro */
    const int64_t *taps; /* row and column of each tap, [count, 2]; not NULL */
    int64_t count;       /* of taps, 1 to 128 */
    int32_t relu;        /* not 0: f(x) is max(x, 0); default 0: f(x) is x */
    int32_t activation;  /* GM_ACTIVATION_*; default GM_ACTIVATION_NONE */
    double slope;        /* as in gm_activate; default 0 */
} gm_taps_options;
#define GM_TAPS_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(gm_taps_options), NULL, 0, 0, 0, 0.0                                                \
    }

/* Convolution over a list of taps, channels last: images are [n, h, w, c] here and nowhere else.
 *   y[n,i,j,o] = act(bias[o] + sum over t, c of weight[t,c,o] f(x[n, i + taps[2 t],
 *                    j + taps[2 t + 1], c])) + skip[n,i,j,o]
 * Positions outside the image read as 0. Taps that are not in the list cost nothing: for a masked
 * convolution (van den Oord et al. 2016) list the positions that the mask keeps; no masked weights
 * are stored. A single tap (0, 0) is a 1 x 1 convolution. x [n, h, w, c], weight [count, c, out];
 * bias [out], [n, out] (one for each image) or GM_NO_VAR; skip [n, h, w, out], the result's shape,
 * or GM_NO_VAR. Row and column of a tap are from -1024 to 1024; taps are read during the call.
 * Activations and slope as in gm_activate; with a skip connection only GM_ACTIVATION_NONE.
 * gm_gradient does not support this operation. GM_E_SHAPE: sizes do not fit, one other than n, h
 * and w is 0, one is above 2^30. GM_E_INVALID: a number out of its range, taps NULL, an activation
 * with a skip connection. */
GM_API gm_var gm_conv2d_taps(gm_tape *tape, gm_var x, gm_var weight, gm_var bias, gm_var skip,
                             const gm_taps_options *options);

/* --- Layers. Every constructor has the statuses of gm/layer.h. Applying a layer to an image that
 * does not fit is GM_E_SHAPE. */

/* gm_conv2d with a "weight" [out_channels, in / groups, kernel_h, kernel_w] and a "bias"
 * [out_channels] of its own. in, out_channels and the kernel's sizes at least 1. An activation that
 * follows it directly in a sequence is computed in the same pass.
 * options: read during the call; NULL: the defaults. GM_E_INVALID also: options out of range,
 * groups that do not divide in and out_channels, output padding not 0, an unknown initialiser;
 * GM_E_SHAPE: an initialiser that needs a matrix, for the bias. */
GM_API gm_status gm_conv2d_create(gm_layer **out, gm_context *context, int64_t in,
                                  int64_t out_channels, int64_t kernel_h, int64_t kernel_w,
                                  const gm_conv_options *options);

/* gm_conv_transpose2d with a "weight" [in, out_channels / groups, kernel_h, kernel_w]; otherwise as
 * gm_conv2d_create, except that output padding is allowed. */
GM_API gm_status gm_conv_transpose2d_create(gm_layer **out, gm_context *context, int64_t in,
                                            int64_t out_channels, int64_t kernel_h,
                                            int64_t kernel_w, const gm_conv_options *options);

/* The operations of the same names as layers. GM_E_INVALID also: numbers out of range. */
GM_API gm_status gm_max_pool2d_create(gm_layer **out, gm_context *context, int64_t kernel,
                                      int64_t stride, int64_t padding);
GM_API gm_status gm_avg_pool2d_create(gm_layer **out, gm_context *context, int64_t kernel,
                                      int64_t stride, int64_t padding);
GM_API gm_status gm_upsample_nearest_create(gm_layer **out, gm_context *context, int64_t factor);
GM_API gm_status gm_pixel_shuffle_create(gm_layer **out, gm_context *context, int64_t factor);
GM_API gm_status gm_resize_create(gm_layer **out, gm_context *context, int64_t height,
                                  int64_t width, int32_t mode);

/* Shortcuts as in gm/layer.h: make a layer, add it, release it; the sequence keeps the first error.
 * Kernels are square, stride and padding are the same for height and width, everything else is
 * default. Statuses: of the constructor and of gm_sequence_add. */
GM_API gm_status gm_sequence_add_conv2d(gm_layer *sequence, int64_t in, int64_t out_channels,
                                        int64_t kernel, int64_t stride, int64_t padding);
GM_API gm_status gm_sequence_add_conv_transpose2d(gm_layer *sequence, int64_t in,
                                                  int64_t out_channels, int64_t kernel,
                                                  int64_t stride, int64_t padding);
GM_API gm_status gm_sequence_add_max_pool2d(gm_layer *sequence, int64_t kernel, int64_t stride,
                                            int64_t padding);
GM_API gm_status gm_sequence_add_avg_pool2d(gm_layer *sequence, int64_t kernel, int64_t stride,
                                            int64_t padding);
GM_API gm_status gm_sequence_add_upsample_nearest(gm_layer *sequence, int64_t factor);
GM_API gm_status gm_sequence_add_pixel_shuffle(gm_layer *sequence, int64_t factor);
GM_API gm_status gm_sequence_add_resize(gm_layer *sequence, int64_t height, int64_t width,
                                        int32_t mode);

#ifdef __cplusplus
}
#endif

#endif
