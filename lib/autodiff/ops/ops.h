/* ops.h - what the op files share: the rows of the op table, walks over strided arrays, argument
 * helpers. */
#ifndef GM_AUTODIFF_OPS_H
#define GM_AUTODIFF_OPS_H

#include <math.h>
#include <string.h>

#include "autodiff/tape.h"
#include "gm/loss.h"
#include "gm/norm.h"
#include "gm/ops.h"

/* Every operation, one word each, but those of an element or two, which stand in kernels/kernels.h
 * and kernels/activations.h: together the table of op_table.c. One that is defined and not here
 * fails tests/operations, one that is here needs a gradient check. slope, scatter_rows,
 * conv2d_weight and resize_adjoint are internal: what gradients need, recorded by gradient entries
 * alone. */
/* clang-format off */
#define GM_OP_TABLE(X)                                                                             \
    X(scale) X(shift) X(clamp) X(pow) X(where)                                                     \
    X(softmax) X(log_softmax) X(logsumexp) X(maxout) X(gate)                                       \
    X(sum) X(mean) X(sum_axes) X(mean_axes) X(broadcast) X(min) X(max) X(cumsum)                   \
    X(matmul) X(linear) X(masked_linear)                                                           \
    X(reshape) X(transpose) X(concat) X(slice) X(gather) X(scatter_rows) X(repeat_rows) X(one_hot) \
    X(stop_gradient) X(dropout) X(gaussian_sample) X(bernoulli_sample) X(slope)                    \
    X(batch_norm) X(layer_norm) X(group_norm) X(instance_norm) X(spectral_normalize)               \
    X(conv2d) X(conv_transpose2d) X(conv2d_weight) X(conv2d_taps)                                  \
    X(max_pool2d) X(avg_pool2d) X(upsample_nearest) X(pixel_shuffle) X(resize) X(resize_adjoint)   \
    X(nade) X(nade_walk)                                                                           \
    X(bce_with_logits) X(cross_entropy) X(squared_error) X(mse) X(gaussian_nll) X(gaussian_kl)     \
    X(mmd2)
/* clang-format on */
#define GM_OP_DECLARE(word) extern const gm_op gm_op_##word;
#define GM_OP_DECLARE_ROW(WORD, word) GM_OP_DECLARE(word)
GM_OP_TABLE(GM_OP_DECLARE)
GM_UNARY_TABLE(GM_OP_DECLARE_ROW)
GM_BINARY_TABLE(GM_OP_DECLARE_ROW)
GM_COMPARISON_TABLE(GM_OP_DECLARE_ROW)
#undef GM_OP_DECLARE
#undef GM_OP_DECLARE_ROW

/* The convolution family is closed under differentiation (kernels/conv.h has the map): with the
 * same geometry,
 *   conv2d(x, w):             dx = conv_transpose2d(dy, w), dw = conv2d_weight(x, dy)
 *   conv_transpose2d(y, w):   dy = conv2d(dx, w),           dw = conv2d_weight(dx, y)
 *   conv2d_weight(x, y) = w:  dx = conv_transpose2d(y, dw), dy = conv2d(x, dw)
 * These record one of the three without bias and activation, the size of the result given: rows and
 * columns of the input, the output, the kernel (which several sizes may fit). */
typedef struct gm_conv_geometry {
    int64_t stride[2], padding[2], dilation[2], groups;
} gm_conv_geometry;
gm_var gm_conv2d_sized(gm_tape *tape, gm_var x, gm_var w, const gm_conv_geometry *g,
                       const int64_t size[2]);
gm_var gm_conv_transpose2d_sized(gm_tape *tape, gm_var y, gm_var w, const gm_conv_geometry *g,
                                 const int64_t size[2]);
gm_var gm_conv2d_weight(gm_tape *tape, gm_var x, gm_var y, const gm_conv_geometry *g,
                        const int64_t kernel[2]);
/* What a node of one of the three ops was recorded with. */
typedef struct gm_conv_attr {
    gm_conv_geometry geometry;
    int64_t size[2]; /* of the result; 0: by the formula */
    int64_t output_padding[2];
    int32_t kind; /* GM_UNARY_*; its derivative is taken from its result */
    float slope;
} gm_conv_attr;

/* A walk over up to four arrays of one index space. Strides are in elements, 0 where an array is
 * repeated. Axes are merged as far as all arrays allow, so that the innermost run is long; its
 * strides are 0 or 1. */
#define GM_STRIDED_ARRAYS 4
typedef struct gm_strided {
    int32_t axes;
    int64_t size[GM_MAX_RANK];
    int64_t stride[GM_STRIDED_ARRAYS][GM_MAX_RANK];
} gm_strided;

void gm_strided_begin(gm_strided *g, int32_t rank, const int64_t *shape);
/* Array `which` has this shape (right-aligned; sizes are the index space's or 1). Unset arrays have
 * stride 0. */
void gm_strided_array(gm_strided *g, int which, int32_t rank, const int64_t *shape);
void gm_strided_merge(gm_strided *g);

/* A run of n elements, innermost axis; at[i] is where array i starts in it. */
typedef void (*gm_run_fn)(void *arg, const int64_t at[GM_STRIDED_ARRAYS], int64_t n, int add);

/* Visits the whole index space. Runs that fall on the same elements of array `target` come one
 * after the other in index order on one thread: the first with add = `add`, the others with add
 * = 1. The cut depends on sizes alone. The index space must not be empty. */
void gm_strided_walk(gm_team *team, const gm_strided *g, int target, int add, gm_run_fn fn,
                     void *arg);

/* Rows of `cols` elements that make a shard worth handing out. */
int64_t gm_grain_rows(int64_t cols);
/* Product of sizes. The tape has checked that it does not overflow. */
int64_t gm_sizes_product(const int64_t *sizes, int64_t count);
/* Zeros over the team; y (+)= x over the team. */
void gm_fill_over(const gm_call *c, float *y, float value, int64_t n);
void gm_accumulate_over(const gm_call *c, float *y, const float *x, int64_t n, int add);

/* Same rank and sizes. */
int gm_same_shape(const gm_node *a, const gm_node *b);
/* The output has the shape of input 0. */
void gm_infer_same(gm_call *c);
/* The output has the shape to which all inputs broadcast. GM_E_SHAPE: they do not. */
gm_status gm_infer_broadcast(gm_call *c);
/* "linear: input is [2], weight is [3, 4]<tail>" as GM_E_SHAPE; tail may be "". */
gm_status gm_fail_shapes(gm_call *c, const char *a, const gm_node *na, const char *b,
                         const gm_node *nb, const char *tail);

/* 1 when the tape can record: then an argument's fault may be put into the error line. */
int gm_tape_open(const gm_tape *tape);
/* A negative axis counts from the end; -1 when out of range. */
int32_t gm_axis_of(int32_t axis, int32_t rank);

/* What a function of each element is recorded with. */
typedef struct gm_unary_attr {
    int32_t kind; /* GM_UNARY_* */
    float a, b;
} gm_unary_attr;

/* Whole number from 0 to limit - 1; the value in *index. */
int gm_whole_below(float value, int64_t limit, int64_t *index);

#endif
