/* gm/mask.h - autoregressive masking: which weights may be non-zero, so that output i of a network
 * depends only on what comes before x_i in an order.
 *
 * Fully connected networks (MADE; Germain, Gregor, Murray and Larochelle 2015). Every unit has a
 * degree. The column at place k of the order (k = 0 ... D-1) has degree k + 1, as an input and as
 * an output; a hidden unit of degree m may depend on the columns of degree 1 ... m. A weight from
 * unit i to unit o is kept where
 *
 *     degree(o) >= degree(i)    into a hidden layer   (eq. 12)
 *     degree(o) >  degree(i)    into the outputs      (eq. 13; `strict`)
 *
 * Products of such masks keep the property through any number of layers.
 *
 *     gm_mask_input_degrees(ctx, NULL, 10, in);   10 columns in their natural order
 *     gm_mask_hidden_degrees(ctx, 32, 10, GM_DEGREES_SPREAD, 1, NULL, hidden);
 *     gm_mask_from_degrees(ctx, hidden, 32, in, 10, 0, first);
 *     gm_mask_from_degrees(ctx, in, 10, hidden, 32, 1, last);
 *     gm_masked_linear_create(&a, ctx, 10, 32, first, NULL);
 *     gm_masked_linear_create(&b, ctx, 32, 10, last, NULL);
 *
 * Convolutions (PixelCNN; van den Oord, Kalchbrenner and Kavukcuoglu 2016): an element of the
 * kernel is kept where it reads a pixel before the centre in raster order.
 *
 * Masks are arrays of 0 and 1 in the shape of the weight, in the caller's memory. Functions that
 * fill arrays write nothing when they fail. Statuses of all functions: GM_E_INVALID (NULL, a size
 * below 1 or so large that the mask could not be addressed, and what is named below), GM_E_NOMEM.
 */
#ifndef GM_MASK_H
#define GM_MASK_H

#include "gm/conv.h"
#include "gm/layer.h"
#include "gm/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How hidden units get their degrees, which range from `least` to D - 1 (or are 1 if D is 1). */
#define GM_DEGREES_SPREAD 0 /* spread as evenly as possible, in ascending order */
#define GM_DEGREES_CYCLIC 1 /* least, least + 1, ..., D - 1, least, ... */
#define GM_DEGREES_RANDOM 2 /* uniform, independent */

/* GM_OK if order [columns] is a permutation of 0 ... columns - 1, else GM_E_INVALID with the first
 * wrong place in the line. order[k] is the column that comes at place k. */
GM_API gm_status gm_mask_check_order(gm_context *context, const int64_t *order, int64_t columns);

/* The degrees of inputs and outputs, into degrees [columns]: the column at place k has degree k +
 * 1. order NULL: the natural one. GM_E_INVALID also: order is no permutation. */
GM_API gm_status gm_mask_input_degrees(gm_context *context, const int64_t *order, int64_t columns,
                                       int64_t *degrees);

/* The degrees of a hidden layer by kind, GM_DEGREES_*, into degrees [units]. least: the smallest
 * degree; for a second hidden layer pass the smallest one of the layer before, so that no unit is
 * cut off (Germain et al., section 4.1). rng: used by RANDOM only and not retained; NULL: a stream
 * of the context. With columns = 1 no output depends on anything, and all degrees are 1.
 * GM_E_INVALID also: an unknown kind, least not from 0 to max(1, columns - 1). */
GM_API gm_status gm_mask_hidden_degrees(gm_context *context, int64_t units, int64_t columns,
                                        int32_t kind, int64_t least, gm_rng *rng, int64_t *degrees);

/* Repeats each of degrees [count] `times` times in a row, into repeated [count times]: for outputs
 * with `times` numbers per column (classes, or a mean and a deviation), for one-hot inputs, or for
 * a group of hidden units per column. */
GM_API gm_status gm_mask_repeat_degrees(gm_context *context, const int64_t *degrees, int64_t count,
                                        int64_t times, int64_t *repeated);

/* mask [out_count, in_count]: 1 where degree(o) >= degree(i), or > if strict is not 0. Degrees that
 * cut units off are allowed, but a line in the context's log says so: a unit of degree d is cut off
 * if its row of the mask is all 0 although d >= 1 (strict: d > 1). */
GM_API gm_status gm_mask_from_degrees(gm_context *context, const int64_t *out_degrees,
                                      int64_t out_count, const int64_t *in_degrees,
                                      int64_t in_count, int32_t strict, float *mask);

/* mask [columns out_units, columns in_units] between groups of units, one group for each column, in
 * the order of the columns (the neural autoregressive network of Bengio and Bengio 2000): group i
 * of the outputs is connected to groups 0 ... i of the inputs if own is not 0, else to 0 ... i - 1.
 * For hidden groups, where h_i depends on x_1 ... x_i, own is 1; for outputs, where output i
 * depends on h_1 ... h_(i-1), own is 0. */
GM_API gm_status gm_mask_groups(gm_context *context, int64_t columns, int64_t out_units,
                                int64_t in_units, int32_t own, float *mask);

/* Masks of convolutions with odd kernels whose centre reads the output's own pixel (padding =
 * dilation (kernel - 1) / 2). They keep
 *
 *   GM_MASK_A           pixels before the centre and, at the centre, earlier channel groups; for a
 *                       first layer
 *   GM_MASK_B           the same and, at the centre, the unit's own channel group; for later layers
 *   GM_MASK_VERTICAL_A  rows above the centre's; for the first layer of a gated PixelCNN's vertical
 *                       stack
 *   GM_MASK_VERTICAL_B  these and the centre's row; for its later layers */
#define GM_MASK_A 0
#define GM_MASK_B 1
#define GM_MASK_VERTICAL_A 2
#define GM_MASK_VERTICAL_B 3

/* Fills a mask of this shape, [out, in, kernel_h, kernel_w]. groups: the channels are divided into
 * this many groups, of which an earlier one counts as before a later one at the same pixel (red,
 * green, blue): channel c of n is in group floor(c groups / n). With K classes per group, the
 * outputs of group g are thus channels g K ... g K + K - 1. With groups 1, A keeps nothing at the
 * centre and B everything. VERTICAL masks ignore groups. GM_E_INVALID also: an even kernel, an
 * unknown type, groups not from 1 to the smaller of in and out. */
GM_API gm_status gm_mask_conv(gm_context *context, int32_t type, const int64_t shape[4],
                              int64_t groups, float *mask);

/* Options of gm_masked_linear. */
typedef struct gm_masked_linear_options {
    size_t size;        /* set by the INIT macro */
    int32_t strict;     /* as in gm_mask_from_degrees; default 0 */
    int32_t activation; /* GM_ACTIVATION_*; default GM_ACTIVATION_NONE */
    double slope;       /* as in gm_activate; default 0 */
} gm_masked_linear_options;
#define GM_MASKED_LINEAR_OPTIONS_INIT                                                              \
    {                                                                                              \
        sizeof(gm_masked_linear_options), 0, 0, 0.0                                                \
    }

/* activation(x (mask weight)^T + bias) with the mask of gm_mask_from_degrees, in one pass and
 * without an array for the mask: x [..., in], weight [out, in], bias [out] or GM_NO_VAR,
 * out_degrees [out] and in_degrees [in], whole numbers below 2^22 stored as float (use
 * gm_input_array: they can then change from one recording to the next at no cost); the result is
 * [..., out]. The weight's gradient is zero where the mask is, and the gradient of degrees is zero.
 * Where degrees ascend on both sides the mask is a staircase, and about half of the arithmetic is
 * skipped. Activations and slope as in gm_activate. gm_gradient does not support this operation.
 * options: read during the call; NULL: the defaults. GM_E_SHAPE: sizes do not fit; GM_E_INVALID:
 * unknown activation, negative slope. */
GM_API gm_var gm_masked_linear(gm_tape *tape, gm_var x, gm_var weight, gm_var bias,
                               gm_var out_degrees, gm_var in_degrees,
                               const gm_masked_linear_options *options);

/* --- Layers. Their weight is stored masked: where the mask is 0 the parameter and its gradient are
 * exactly zero from its creation on, so every optimizer of gm/optimizer.h leaves it at zero, also
 * with weight decay and momentum. The weight is nevertheless multiplied by the mask before each
 * product, so that the property also holds for values that a host writes into the parameter.
 * gm_layer_init and loading set masked elements to zero again. The mask is state ("mask" in
 * gm_layer_state): saved with the layer, and not updated by optimizers. An activation that follows
 * in a sequence is computed in the same pass. (A model that changes its masks while training, such
 * as gm/made.h, keeps full weights instead.) */

/* gm_linear_create with a mask [out_features, in_features], which is copied; type "masked_linear".
 * GM_E_INVALID also: an element of mask that is neither 0 nor 1 (row, column and value in the
 * line). The default initialiser ignores the mask: fan_in is in_features. */
GM_API gm_status gm_masked_linear_create(gm_layer **out_layer, gm_context *context,
                                         int64_t in_features, int64_t out_features,
                                         const float *mask, const gm_linear_options *options);

/* gm_conv2d_create with a mask of the weight's shape, [out, in / groups, kernel_h, kernel_w], which
 * is copied; type "masked_conv2d". (`groups` in options divide the convolution itself, as in
 * gm_conv2d; the groups of gm_mask_conv concern only the mask.) */
GM_API gm_status gm_masked_conv2d_create(gm_layer **out, gm_context *context,
                                         const int64_t shape[4], const float *mask,
                                         const gm_conv_options *options);

/* Shortcuts as in gm/layer.h. The convolution has the mask of gm_mask_conv with this type and
 * groups, and padding (kernel - 1) / 2, so that images keep their size. */
GM_API gm_status gm_sequence_add_masked_linear(gm_layer *sequence, int64_t in_features,
                                               int64_t out_features, const float *mask);
GM_API gm_status gm_sequence_add_masked_conv2d(gm_layer *sequence, int32_t type, int64_t in,
                                               int64_t out_channels, int64_t kernel,
                                               int64_t groups);

/* The mask of a masked layer in the shape of its weight, borrowed; NULL for other layers and NULL.
 */
GM_API const float *gm_masked_layer_mask(const gm_layer *layer);

/* --- Checking that a layer is autoregressive. */

typedef struct gm_mask_check_options {
    size_t size;
    int32_t rank;     /* rank of one row as the layer expects it, without the batch axis; default 0:
                         flat, [columns] */
    int32_t reserved; /* 0 */
    const int64_t *shape; /* `rank` sizes whose product is `columns` */
    int64_t inner; /* where the `width` numbers of a column are in the output: number k of column a
                      inner + b is element (a width + k) inner + b. Default 1: next to each other.
                      For K class planes per image plane, as a PixelCNN gives them, inner is the
                      number of pixels of a plane */
    int64_t draws; /* random inputs; default 3, at least 1 */
    uint64_t seed; /* of those; default 1 */
} gm_mask_check_options;

#define GM_MASK_CHECK_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(gm_mask_check_options), 0, 0, NULL, 1, 3, 1                                         \
    }

/* Checks that a layer [n, columns] -> [n, columns width] is autoregressive for an order: computes
 * the whole Jacobian at random inputs (standard normal), and tests whether an output of a column
 * has a non-zero derivative with respect to that column itself or a later one. It runs in
 * evaluation mode; parameters and random streams of the context are not changed. order NULL: the
 * natural one. options NULL: all defaults. GM_OK: the layer is autoregressive at these inputs (a
 * path that is inactive there, such as a ReLU below zero, is not seen: hence several draws).
 * GM_E_STATE: it is not; the line names the first offending pair, and *output and *input (each may
 * be NULL) receive the element of the output and the column of the input; they are -1 otherwise.
 * GM_E_NUMERIC: a derivative is not finite. GM_E_SHAPE: the output does not have columns width
 * elements per row. GM_E_INVALID: order is no permutation, options out of range, inner does not
 * divide columns. What the layer reports. */
GM_API gm_status gm_mask_check_layer(gm_layer *layer, const int64_t *order, int64_t columns,
                                     int64_t width, const gm_mask_check_options *options,
                                     int64_t *output, int64_t *input);

#ifdef __cplusplus
}
#endif

#endif
