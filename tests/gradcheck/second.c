/* second.c - recorded gradients, in the double-precision build.
 *
 * For a case f on variables v, with y the sum of f times fixed weights:
 *   - gm_gradients(y, v) is what gm_backward computes, to rounding;
 *   - s, the sum of the squares of those gradients times other weights, has by gm_backward the
 * derivatives that central differences of gm_backward's first derivatives give, so the recorded
 * graph is checked against numbers it did not make;
 *   - gm_gradients(s, v) is again what gm_backward computes of s: third derivatives agree.
 * The suite fails when an operation of the table has a `gradient` entry and no case here.
 */
#include "autodiff/gradient.h"

#include "gm/conv.h"
#include "gm/layer.h"
#include "gm/norm.h"
#include "support.h"

#define NORM(eps, act, slope) (&(gm_norm_options){ sizeof(gm_norm_options), eps, 1, act, slope })

#define INPUTS 4
#define STEP 1e-5
#define FIRST 1e-12
#define SECOND 1e-6

typedef struct input {
    int32_t rank;
    int64_t shape[4];
    double low, high, gap; /* drawn from here, and this far from 0 */
    int64_t whole;         /* > 0: whole numbers below it; not varied */
} input;

typedef gm_var (*build_fn)(gm_tape *t, const gm_var *v);

typedef struct second_case {
    const char *op, *what;
    build_fn build;
    int count;
    input in[INPUTS];
} second_case;

/* clang-format off: one builder a line, one case a line. */
#define BUILD(word, expression)                                                                    \
    static gm_var build_##word(gm_tape *t, const gm_var *v)                                        \
    {                                                                                              \
        return expression;                                                                         \
    }
/* Linear functions are squared: else there is nothing to differentiate twice. */
#define SQUARED(word, expression) BUILD(word, gm_square(t, expression))

static const int32_t axis1[] = { 1 }, axes02[] = { 0, -1 };

SQUARED(neg, gm_neg(t, v[0]))
SQUARED(scale, gm_scale(t, v[0], -1.75))
SQUARED(shift, gm_shift(t, v[0], 0.3))
BUILD(square, gm_square(t, v[0]))
BUILD(square_cube, gm_mul(t, gm_square(t, v[0]), gm_square(t, gm_square(t, v[0]))))
BUILD(sqrt, gm_sqrt(t, v[0]))
BUILD(abs, gm_abs(t, gm_mul(t, v[0], v[1])))
BUILD(exp, gm_exp(t, v[0]))
BUILD(log, gm_log(t, v[0]))
/* Each activation of the table. */
#define ACTIVATION_BUILD(WORD, word, ...)                                                          \
    SQUARED(only_##word, gm_activate(t, v[0], GM_ACTIVATION_##WORD, 0.7))
#define ACTIVATION_CASE(WORD, word, ...)                                                           \
    { #word, "", build_only_##word, 1, { { 2, { 5, 7 }, SMOOTH } } },
#define ACTIVATION_NUMBER(WORD, ...) GM_ACTIVATION_##WORD,
GM_ACTIVATION_TABLE(ACTIVATION_BUILD)
BUILD(normal_cdf, gm_normal_cdf(t, v[0]))
BUILD(sin, gm_sin(t, v[0]))
BUILD(cos, gm_cos(t, v[0]))
BUILD(pow, gm_pow(t, v[0], 3.4))
SQUARED(clamp, gm_clamp(t, gm_shift(t, v[0], 0.5), 0.5, 1.0))

SQUARED(add, gm_add(t, v[0], v[1]))
SQUARED(sub, gm_sub(t, v[0], v[1]))
BUILD(mul, gm_mul(t, v[0], v[1]))
BUILD(mul_self, gm_mul(t, gm_exp(t, v[0]), v[0]))
BUILD(div, gm_div(t, v[0], v[1]))
BUILD(div_self, gm_div(t, gm_exp(t, v[0]), v[0]))

SQUARED(minimum, gm_minimum(t, v[0], v[1]))
SQUARED(maximum, gm_maximum(t, v[0], v[1]))
SQUARED(maximum_self, gm_maximum(t, v[0], v[0]))
SQUARED(where, gm_where(t, v[0], v[1], v[2]))

SQUARED(min, gm_min(t, v[0], 0, 1))
SQUARED(max, gm_max(t, v[0], 1, 0))
SQUARED(cumsum, gm_cumsum(t, v[0], 1))

BUILD(softmax, gm_softmax(t, v[0]))
BUILD(log_softmax, gm_log_softmax(t, v[0]))
BUILD(logsumexp, gm_logsumexp(t, v[0]))
SQUARED(sum, gm_sum(t, v[0]))
SQUARED(mean, gm_mean(t, v[0]))
SQUARED(sum_axes, gm_sum_axes(t, v[0], axis1, 1, 0))
SQUARED(sum_axes_02, gm_sum_axes(t, v[0], axes02, 2, 1))
SQUARED(mean_axes, gm_mean_axes(t, v[0], axes02, 2, 0))
SQUARED(broadcast, gm_broadcast(t, v[0], 3, (int64_t[]){ 2, 3, 4 }))

BUILD(matmul, gm_matmul(t, v[0], v[1], 0, 0))
BUILD(matmul_ta, gm_matmul(t, v[0], v[1], 1, 0))
BUILD(matmul_tb, gm_matmul(t, v[0], v[1], 0, 1))
BUILD(matmul_tab, gm_matmul(t, v[0], v[1], 1, 1))
BUILD(matmul_self, gm_matmul(t, v[0], v[0], 1, 0))
BUILD(linear, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_NONE, 0))
BUILD(linear_bare, gm_linear(t, v[0], v[1], GM_NO_VAR, GM_ACTIVATION_NONE, 0))
BUILD(linear_relu, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_RELU, 0))
BUILD(linear_leaky, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_LEAKY_RELU, 0.2))
BUILD(linear_elu, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_ELU, 1.3))
BUILD(linear_tanh, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_TANH, 0))
BUILD(linear_sigmoid, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_SIGMOID, 0))
BUILD(linear_softplus, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_SOFTPLUS, 0))

SQUARED(maxout, gm_maxout(t, v[0], 3))
SQUARED(gate, gm_gate(t, v[0]))
BUILD(layer_norm, gm_layer_norm(t, v[0], v[1], v[2], 1, NORM(1e-3, GM_ACTIVATION_TANH, 0)))
BUILD(layer_norm_two, gm_layer_norm(t, v[0], v[1], GM_NO_VAR, 2, NORM(0.1, GM_ACTIVATION_NONE, 0)))
BUILD(layer_norm_bare,
      gm_layer_norm(t, v[0], GM_NO_VAR, v[1], 1, NORM(1e-3, GM_ACTIVATION_SOFTPLUS, 0)))
BUILD(instance_norm,
      gm_instance_norm(t, v[0], v[1], v[2], NORM(1e-2, GM_ACTIVATION_LEAKY_RELU, 0.2)))
BUILD(instance_norm_bare, gm_instance_norm(t, v[0], GM_NO_VAR, GM_NO_VAR, NORM(1e-2, 0, 0)))

BUILD(group_norm, gm_group_norm(t, v[0], v[1], v[2], 2, NORM(1e-2, GM_ACTIVATION_TANH, 0)))
BUILD(group_norm_bare, gm_group_norm(t, v[0], GM_NO_VAR, GM_NO_VAR, 1, NORM(1e-2, 0, 0)))
SQUARED(resize, gm_resize(t, v[0], 5, 2, GM_RESIZE_BILINEAR))
SQUARED(resize_nearest, gm_resize(t, v[0], 2, 5, GM_RESIZE_NEAREST))
SQUARED(resize_adjoint,
        gm_gradient(t, gm_sum(t, gm_mul(t, gm_resize(t, v[0], 2, 5, GM_RESIZE_BILINEAR), v[1])),
                    v[0]))

SQUARED(reshape, gm_reshape(t, v[0], 3, (int64_t[]){ 2, -1, 3 }))
BUILD(transpose, gm_mul(t, gm_transpose(t, v[0], NULL), v[1]))
BUILD(transpose_3, gm_mul(t, gm_transpose(t, v[0], (int32_t[]){ 2, 0, 1 }), v[1]))
SQUARED(concat, gm_concat(t, (gm_var[]){ v[0], v[1], v[0] }, 3, -1))
SQUARED(slice, gm_slice(t, v[0], 1, 1, 3))
BUILD(slice_two, gm_mul(t, gm_slice(t, v[0], 1, 0, 3), gm_slice(t, v[0], 1, 1, 4)))
SQUARED(slice_all, gm_slice(t, v[0], 0, 0, 3))
SQUARED(gather, gm_gather(t, v[0], v[1]))
SQUARED(scatter, gm_scatter_rows(t, v[0], v[1], 4))
SQUARED(repeat_rows, gm_repeat_rows(t, v[0], 3))
SQUARED(dropout, gm_dropout(t, v[0], 0.4))
BUILD(gaussian_draw, gm_mul(t, gm_gaussian_draw(t, v[0], v[1]), v[0]))

BUILD(bce, gm_bce_with_logits(t, v[0], v[1]))
BUILD(cross_entropy, gm_cross_entropy(t, v[0], v[1]))
BUILD(squared_error, gm_squared_error(t, v[0], v[1]))
BUILD(mse, gm_mse(t, v[0], v[1]))
BUILD(nll, gm_gaussian_nll(t, v[0], v[1], v[2]))
BUILD(nll_self, gm_gaussian_nll(t, v[0], v[1], v[0]))
BUILD(kl, gm_gaussian_kl(t, v[0], v[1]))

#define BIAS_OR_NOT (v[2].recording ? v[2] : GM_NO_VAR)
#define CONV(word, activation, ...)                                                                \
    static gm_var build_##word(gm_tape *t, const gm_var *v)                                        \
    {                                                                                              \
        static const gm_conv_options o = { sizeof o, __VA_ARGS__ };                                \
        return gm_conv2d(t, v[0], v[1], BIAS_OR_NOT, &o, activation, 0.2);                         \
    }                                                                                              \
    static gm_var build_t##word(gm_tape *t, const gm_var *v)                                       \
    {                                                                                              \
        static const gm_conv_options o = { sizeof o, __VA_ARGS__ };                                \
        return gm_conv_transpose2d(t, v[0], v[1], BIAS_OR_NOT, &o, activation, 0.2);               \
    }
/* Stride, padding, dilation of height and width; output padding; groups. */
CONV(conv, GM_ACTIVATION_NONE, 1, 1, 0, 0, 1, 1, 0, 0, 1)
CONV(conv_strided, GM_ACTIVATION_LEAKY_RELU, 2, 2, 1, 1, 1, 1, 0, 0, 1)
CONV(conv_crooked, GM_ACTIVATION_TANH, 2, 1, 0, 2, 1, 2, 0, 0, 1)
CONV(conv_groups, GM_ACTIVATION_ELU, 1, 2, 1, 0, 1, 1, 0, 0, 2)
static const gm_conv_geometry strided = { { 2, 1 }, { 1, 0 }, { 1, 1 }, 1 };
BUILD(conv_weight, gm_conv2d_weight(t, v[0], v[1], &strided, (int64_t[]){ 3, 2 }))
SQUARED(avg_pool, gm_avg_pool2d(t, v[0], 2, 2, 0))
SQUARED(avg_pool_padded, gm_avg_pool2d(t, v[0], 3, 2, 1))
SQUARED(upsample, gm_upsample_nearest(t, v[0], 2))
SQUARED(shuffle, gm_mul(t, gm_pixel_shuffle(t, v[0], 2), v[1]))

#define ANY -1.5, 1.5, 0, 0
#define SMOOTH -1.5, 1.5, 0.05, 0
#define POSITIVE 0.3, 2, 0, 0
#define UNIT 0.05, 0.95, 0, 0
#define WHOLE(n) 0, 0, 0, n

static const second_case cases[] = {
    { "neg", "", build_neg, 1, { { 2, { 3, 5 }, ANY } } },
    { "scale", "", build_scale, 1, { { 1, { 7 }, ANY } } },
    { "shift", "", build_shift, 1, { { 0, { 0 }, ANY } } },
    { "square", "", build_square, 1, { { 2, { 3, 5 }, ANY } } },
    { "square", "sixth power", build_square_cube, 1, { { 2, { 2, 2 }, ANY } } },
    { "sqrt", "", build_sqrt, 1, { { 2, { 3, 5 }, POSITIVE } } },
    { "abs", "", build_abs, 2, { { 2, { 3, 5 }, SMOOTH }, { 2, { 3, 5 }, SMOOTH } } },
    { "exp", "", build_exp, 1, { { 2, { 3, 5 }, ANY } } },
    { "exp", "large", build_exp, 1, { { 2, { 130, 257 }, ANY } } },
    { "log", "", build_log, 1, { { 2, { 3, 5 }, POSITIVE } } },
    GM_ACTIVATION_TABLE(ACTIVATION_CASE){
        "normal_cdf", "", build_normal_cdf, 1, { { 2, { 5, 7 }, ANY } } },
    { "sin", "", build_sin, 1, { { 2, { 5, 7 }, ANY } } },
    { "cos", "", build_cos, 1, { { 2, { 5, 7 }, ANY } } },
    { "pow", "", build_pow, 1, { { 2, { 5, 7 }, 0.3, 2, 0, 0 } } },
    { "clamp", "inside and below", build_clamp, 1, { { 2, { 5, 7 }, -0.45, 0.45, 0.05, 0 } } },
    { "clamp", "above", build_clamp, 1, { { 1, { 7 }, 0.55, 1.5, 0, 0 } } },

    { "add", "same", build_add, 2, { { 2, { 3, 5 }, ANY }, { 2, { 3, 5 }, ANY } } },
    { "add", "row", build_add, 2, { { 2, { 3, 5 }, ANY }, { 1, { 5 }, ANY } } },
    { "sub", "outer", build_sub, 2, { { 2, { 4, 1 }, ANY }, { 2, { 1, 3 }, ANY } } },
    { "sub", "scalar", build_sub, 2, { { 0, { 0 }, ANY }, { 3, { 2, 1, 3 }, ANY } } },
    { "mul", "same", build_mul, 2, { { 2, { 3, 5 }, ANY }, { 2, { 3, 5 }, ANY } } },
    { "mul", "channels", build_mul, 2, { { 4, { 2, 3, 2, 3 }, ANY }, { 3, { 3, 1, 1 }, ANY } } },
    { "mul", "crossed", build_mul, 2, { { 4, { 2, 1, 3, 1 }, ANY }, { 4, { 1, 4, 1, 3 }, ANY } } },
    { "mul", "itself", build_mul_self, 1, { { 2, { 3, 5 }, ANY } } },
    { "div", "same", build_div, 2, { { 2, { 3, 5 }, ANY }, { 2, { 3, 5 }, POSITIVE } } },
    { "div", "row below", build_div, 2, { { 2, { 3, 5 }, ANY }, { 1, { 5 }, POSITIVE } } },
    { "div", "row above", build_div, 2, { { 1, { 5 }, ANY }, { 2, { 3, 5 }, POSITIVE } } },
    { "div", "itself", build_div_self, 1, { { 2, { 3, 5 }, POSITIVE } } },

    { "softmax", "", build_softmax, 1, { { 2, { 4, 5 }, ANY } } },
    { "log_softmax", "", build_log_softmax, 1, { { 3, { 2, 3, 4 }, ANY } } },
    { "logsumexp", "", build_logsumexp, 1, { { 3, { 2, 3, 4 }, ANY } } },
    { "logsumexp", "rank 1", build_logsumexp, 1, { { 1, { 7 }, ANY } } },
    { "sum", "", build_sum, 1, { { 2, { 3, 5 }, ANY } } },
    { "sum", "scalar", build_sum, 1, { { 0, { 0 }, ANY } } },
    { "mean", "", build_mean, 1, { { 3, { 3, 1, 5 }, ANY } } },
    { "sum_axes", "1", build_sum_axes, 1, { { 3, { 2, 3, 4 }, ANY } } },
    { "sum_axes", "0 and 2 kept", build_sum_axes_02, 1, { { 3, { 2, 3, 4 }, ANY } } },
    { "mean_axes", "0 and 2", build_mean_axes, 1, { { 3, { 2, 3, 4 }, ANY } } },
    { "broadcast", "row", build_broadcast, 1, { { 1, { 4 }, ANY } } },
    { "broadcast", "column", build_broadcast, 1, { { 3, { 2, 1, 1 }, ANY } } },
    { "broadcast", "scalar", build_broadcast, 1, { { 0, { 0 }, ANY } } },

    { "matmul", "", build_matmul, 2, { { 2, { 3, 5 }, ANY }, { 2, { 5, 4 }, ANY } } },
    { "matmul", "a", build_matmul_ta, 2, { { 2, { 5, 3 }, ANY }, { 2, { 5, 4 }, ANY } } },
    { "matmul", "b", build_matmul_tb, 2, { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "matmul", "a, b", build_matmul_tab, 2, { { 2, { 5, 3 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "matmul", "batch", build_matmul, 2, { { 3, { 3, 2, 4 }, ANY }, { 3, { 3, 4, 2 }, ANY } } },
    { "matmul",
      "batch a",
      build_matmul_ta,
      2,
      { { 3, { 9, 2, 3 }, ANY }, { 3, { 9, 2, 2 }, ANY } } },
    { "matmul",
      "batch b",
      build_matmul_tb,
      2,
      { { 3, { 2, 2, 3 }, ANY }, { 3, { 2, 4, 3 }, ANY } } },
    { "matmul",
      "batch a, b",
      build_matmul_tab,
      2,
      { { 3, { 2, 2, 3 }, ANY }, { 3, { 2, 4, 2 }, ANY } } },
    { "matmul",
      "rank 4",
      build_matmul_tb,
      2,
      { { 4, { 2, 2, 2, 3 }, ANY }, { 4, { 2, 2, 2, 3 }, ANY } } },
    { "matmul",
      "repeated",
      build_matmul_ta,
      2,
      { { 4, { 2, 1, 2, 3 }, ANY }, { 3, { 2, 2, 2 }, ANY } } },
    { "matmul",
      "a, b, repeated",
      build_matmul_tab,
      2,
      { { 2, { 2, 3 }, ANY }, { 3, { 2, 3, 2 }, ANY } } },
    { "matmul", "itself", build_matmul_self, 1, { { 2, { 4, 3 }, ANY } } },
    { "linear",
      "",
      build_linear,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear", "bare", build_linear_bare, 2, { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "linear",
      "relu",
      build_linear_relu,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "leaky",
      build_linear_leaky,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "elu",
      build_linear_elu,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "tanh",
      build_linear_tanh,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "rank 1",
      build_linear_tanh,
      3,
      { { 1, { 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "rank 3",
      build_linear_tanh,
      3,
      { { 3, { 2, 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "sigmoid",
      build_linear_sigmoid,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "softplus",
      build_linear_softplus,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },

    { "maxout", "", build_maxout, 1, { { 3, { 2, 2, 6 }, ANY } } },
    { "gate", "", build_gate, 1, { { 3, { 2, 2, 6 }, ANY } } },
    { "layer_norm",
      "",
      build_layer_norm,
      3,
      { { 2, { 3, 6 }, ANY }, { 1, { 6 }, ANY }, { 1, { 6 }, ANY } } },
    { "layer_norm",
      "two axes",
      build_layer_norm_two,
      2,
      { { 3, { 3, 2, 4 }, ANY }, { 2, { 2, 4 }, ANY } } },
    { "layer_norm",
      "bare",
      build_layer_norm_bare,
      2,
      { { 3, { 2, 2, 5 }, ANY }, { 1, { 5 }, ANY } } },
    { "instance_norm",
      "",
      build_instance_norm,
      3,
      { { 4, { 2, 2, 2, 3 }, ANY }, { 1, { 2 }, ANY }, { 1, { 2 }, ANY } } },
    { "instance_norm", "bare", build_instance_norm_bare, 1, { { 4, { 1, 2, 3, 2 }, ANY } } },

    { "minimum", "", build_minimum, 2, { { 2, { 3, 5 }, ANY }, { 2, { 3, 1 }, ANY } } },
    { "maximum", "", build_maximum, 2, { { 2, { 3, 5 }, ANY }, { 1, { 5 }, ANY } } },
    { "maximum", "itself", build_maximum_self, 1, { { 2, { 3, 2 }, ANY } } },
    { "where",
      "",
      build_where,
      3,
      { { 2, { 3, 5 }, WHOLE(2) }, { 1, { 5 }, ANY }, { 2, { 3, 1 }, ANY } } },

    { "min", "", build_min, 1, { { 2, { 3, 5 }, ANY } } },
    { "max", "", build_max, 1, { { 3, { 2, 4, 3 }, ANY } } },
    { "cumsum", "", build_cumsum, 1, { { 3, { 2, 4, 3 }, ANY } } },
    { "group_norm",
      "",
      build_group_norm,
      3,
      { { 4, { 2, 4, 2, 1 }, ANY }, { 1, { 4 }, ANY }, { 1, { 4 }, ANY } } },
    { "group_norm", "bare", build_group_norm_bare, 1, { { 3, { 2, 2, 3 }, ANY } } },
    { "resize", "", build_resize, 1, { { 4, { 1, 2, 3, 3 }, ANY } } },
    { "resize", "nearest", build_resize_nearest, 1, { { 4, { 1, 2, 3, 3 }, ANY } } },
    { "resize_adjoint",
      "",
      build_resize_adjoint,
      2,
      { { 4, { 1, 2, 3, 2 }, ANY }, { 4, { 1, 2, 2, 5 }, ANY } } },
    { "reshape", "", build_reshape, 1, { { 2, { 6, 2 }, ANY } } },
    { "transpose", "", build_transpose, 2, { { 2, { 3, 5 }, ANY }, { 2, { 5, 3 }, ANY } } },
    { "transpose",
      "rank 3",
      build_transpose_3,
      2,
      { { 3, { 2, 3, 4 }, ANY }, { 3, { 4, 2, 3 }, ANY } } },
    { "concat", "", build_concat, 2, { { 2, { 3, 2 }, ANY }, { 2, { 3, 1 }, ANY } } },
    { "slice", "middle", build_slice, 1, { { 3, { 2, 4, 2 }, ANY } } },
    { "slice", "overlapping", build_slice_two, 1, { { 2, { 3, 4 }, ANY } } },
    { "slice", "all", build_slice_all, 1, { { 2, { 3, 2 }, ANY } } },
    { "gather", "", build_gather, 2, { { 2, { 5, 3 }, ANY }, { 1, { 9 }, WHOLE(5) } } },
    { "gather", "scalar index", build_gather, 2, { { 2, { 5, 3 }, ANY }, { 0, { 0 }, WHOLE(5) } } },
    { "gather",
      "rank 3 by 2",
      build_gather,
      2,
      { { 3, { 4, 2, 3 }, ANY }, { 2, { 3, 2 }, WHOLE(4) } } },
    { "scatter_rows", "", build_scatter, 2, { { 2, { 9, 3 }, ANY }, { 1, { 9 }, WHOLE(4) } } },
    { "scatter_rows",
      "rank 2",
      build_scatter,
      2,
      { { 3, { 3, 2, 2 }, ANY }, { 2, { 3, 2 }, WHOLE(4) } } },
    { "repeat_rows", "", build_repeat_rows, 1, { { 3, { 4, 2, 3 }, ANY } } },
    { "repeat_rows", "rank 1", build_repeat_rows, 1, { { 1, { 4 }, ANY } } },
    { "dropout", "", build_dropout, 1, { { 2, { 6, 7 }, ANY } } },
    { "gaussian_sample",
      "",
      build_gaussian_draw,
      2,
      { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },

    { "bce_with_logits", "", build_bce, 2, { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, UNIT } } },
    { "bce_with_logits", "shared", build_bce, 2, { { 2, { 6, 5 }, ANY }, { 2, { 2, 5 }, UNIT } } },
    { "cross_entropy",
      "shared",
      build_cross_entropy,
      2,
      { { 2, { 6, 4 }, ANY }, { 1, { 3 }, WHOLE(4) } } },
    { "cross_entropy",
      "rank 3, shared",
      build_cross_entropy,
      2,
      { { 3, { 4, 3, 4 }, ANY }, { 2, { 2, 3 }, WHOLE(4) } } },
    { "squared_error", "", build_squared_error, 2, { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "squared_error",
      "rank 1, shared",
      build_squared_error,
      2,
      { { 1, { 6 }, ANY }, { 1, { 2 }, ANY } } },
    { "mse", "shared", build_mse, 2, { { 3, { 4, 2, 5 }, ANY }, { 3, { 2, 2, 5 }, ANY } } },
    { "gaussian_nll",
      "",
      build_nll,
      3,
      { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "gaussian_nll",
      "shared x",
      build_nll,
      3,
      { { 2, { 6, 5 }, ANY }, { 1, { 5 }, ANY }, { 2, { 2, 5 }, ANY } } },
    { "gaussian_nll", "itself", build_nll_self, 2, { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "conv2d", "", build_conv, 2, { { 4, { 2, 2, 4, 3 }, ANY }, { 4, { 3, 2, 2, 2 }, ANY } } },
    { "conv2d",
      "strided, rows left over",
      build_conv_strided,
      3,
      { { 4, { 2, 2, 6, 4 }, ANY }, { 4, { 2, 2, 3, 3 }, ANY }, { 1, { 2 }, ANY } } },
    { "conv2d",
      "crooked",
      build_conv_crooked,
      3,
      { { 4, { 1, 2, 5, 3 }, ANY }, { 4, { 2, 2, 2, 3 }, ANY }, { 1, { 2 }, ANY } } },
    { "conv2d",
      "groups",
      build_conv_groups,
      3,
      { { 4, { 2, 2, 3, 4 }, ANY }, { 4, { 4, 1, 2, 3 }, ANY }, { 1, { 4 }, ANY } } },
    { "conv_transpose2d",
      "",
      build_tconv,
      2,
      { { 4, { 2, 2, 3, 2 }, ANY }, { 4, { 2, 3, 2, 2 }, ANY } } },
    { "conv_transpose2d",
      "strided",
      build_tconv_strided,
      3,
      { { 4, { 2, 2, 3, 2 }, ANY }, { 4, { 2, 2, 4, 3 }, ANY }, { 1, { 2 }, ANY } } },
    { "conv_transpose2d",
      "crooked",
      build_tconv_crooked,
      3,
      { { 4, { 1, 2, 2, 4 }, ANY }, { 4, { 2, 2, 2, 3 }, ANY }, { 1, { 2 }, ANY } } },
    { "conv_transpose2d",
      "groups",
      build_tconv_groups,
      3,
      { { 4, { 2, 2, 3, 2 }, ANY }, { 4, { 2, 2, 2, 3 }, ANY }, { 1, { 4 }, ANY } } },
    { "conv2d_weight",
      "",
      build_conv_weight,
      2,
      { { 4, { 2, 2, 5, 4 }, ANY }, { 4, { 2, 3, 3, 3 }, ANY } } },
    { "avg_pool2d", "", build_avg_pool, 1, { { 4, { 2, 2, 4, 6 }, ANY } } },
    { "avg_pool2d", "padded", build_avg_pool_padded, 1, { { 4, { 2, 1, 5, 4 }, ANY } } },
    { "upsample_nearest", "", build_upsample, 1, { { 4, { 2, 2, 2, 3 }, ANY } } },
    { "pixel_shuffle",
      "",
      build_shuffle,
      2,
      { { 4, { 2, 8, 2, 3 }, ANY }, { 4, { 2, 2, 4, 6 }, ANY } } },

    { "gaussian_kl", "", build_kl, 2, { { 3, { 2, 2, 3 }, ANY }, { 3, { 2, 2, 3 }, ANY } } },
};

#define CASES ((int)(sizeof cases / sizeof cases[0]))

/* clang-format on */

typedef struct trial {
    const second_case *c;
    gm_tape *tape;
    gm_rng_state start;
    float *data[INPUTS], *outer[INPUTS]; /* values; weights of the squared gradients */
    float *weight;
    int64_t count[INPUTS];
    gm_var in[INPUTS];
    gm_var y;
} trial;

static int64_t size_of(const input *in)
{
    int64_t n = 1;
    for (int32_t i = 0; i < in->rank; i++) n *= in->shape[i];
    return n;
}

static void draw(gm_rng *rng, const input *in, float *data, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (in->whole) {
            data[i] = (float)gm_rng_below(rng, in->whole);
            continue;
        }
        do {
            data[i] = in->low + (in->high - in->low) * gm_rng_double(rng);
        } while (fabs(data[i]) < in->gap);
    }
}

static void fine(const trial *r)
{
    ck_assert_msg(gm_tape_status(r->tape) == GM_OK, "%s (%s): %s", r->c->op, r->c->what,
                  gm_context_error(gm_tape_context(r->tape)));
}

static void record(trial *r, gm_rng *rng)
{
    gm_tape_reset(r->tape);
    gm_rng_restore(gm_tape_rng(r->tape), &r->start);
    for (int i = 0; i < r->c->count; i++)
        r->in[i] = gm_variable(r->tape, r->c->in[i].rank, r->c->in[i].shape, r->data[i]);
    gm_var f = r->c->build(r->tape, r->in);
    fine(r);
    int64_t n = gm_count(r->tape, f);
    if (!r->weight) {
        r->weight = calloc((size_t)n, sizeof *r->weight);
        for (int64_t i = 0; i < n; i++) r->weight[i] = gm_rng_double(rng) - 0.5;
    }
    gm_var w = gm_input_array(r->tape, gm_rank(r->tape, f), gm_shape(r->tape, f), r->weight);
    r->y = gm_sum(r->tape, gm_mul(r->tape, f, w));
}

/* s from gm_backward's numbers, without a recorded gradient. */
static double sum_of_squares(trial *r, gm_rng *rng)
{
    double s = 0;
    record(r, rng);
    ck_assert_int_eq(gm_backward(r->tape, r->y, NULL), GM_OK);
    for (int i = 0; i < r->c->count; i++) {
        const float *g = gm_gradient_of(r->tape, r->in[i]);
        for (int64_t k = 0; g && k < r->count[i]; k++) s += r->outer[i][k] * g[k] * g[k];
    }
    return s;
}

/* The recorded gradients of y are those of gm_backward. */
static void same_as_backward(trial *r, gm_var y, gm_var g[INPUTS], const char *order)
{
    ck_assert_int_eq(gm_gradients(r->tape, y, r->in, r->c->count, g), GM_OK);
    fine(r);
    ck_assert_int_eq(gm_backward(r->tape, y, NULL), GM_OK);
    for (int i = 0; i < r->c->count; i++) {
        const float *expected = gm_gradient_of(r->tape, r->in[i]);
        const float *found = gm_value(r->tape, g[i]);
        ck_assert_int_eq(gm_rank(r->tape, g[i]), r->c->in[i].rank);
        ck_assert_mem_eq(gm_shape(r->tape, g[i]), r->c->in[i].shape,
                         (size_t)r->c->in[i].rank * sizeof(int64_t));
        for (int64_t k = 0; k < r->count[i]; k++) {
            double e = expected ? expected[k] : 0;
            ck_assert_msg(fabs(found[k] - e) <= FIRST * (1 + fabs(e)),
                          "%s (%s): %s gradient of input %d, element %lld: recorded %.15g, "
                          "gm_backward gives %.15g",
                          r->c->op, r->c->what, order, i, (long long)k, found[k], e);
        }
    }
}

static void check_second(trial *r, gm_rng *rng)
{
    gm_var g[INPUTS], s = GM_NO_VAR, third[INPUTS];
    float *found[INPUTS];
    record(r, rng);
    same_as_backward(r, r->y, g, "first");
    for (int i = 0; i < r->c->count; i++) {
        gm_var w = gm_input_array(r->tape, r->c->in[i].rank, r->c->in[i].shape, r->outer[i]);
        gm_var part = gm_sum(r->tape, gm_mul(r->tape, gm_square(r->tape, g[i]), w));
        s = i ? gm_add(r->tape, s, part) : part;
    }
    double here = gm_scalar(r->tape, s);
    same_as_backward(r, s, third, "second"); /* leaves gm_backward's gradients of s */
    for (int i = 0; i < r->c->count; i++) {
        const float *of = gm_gradient_of(r->tape, r->in[i]);
        found[i] = calloc((size_t)r->count[i], sizeof(float));
        if (of) memcpy(found[i], of, (size_t)r->count[i] * sizeof(float));
    }
    ck_assert_double_eq_tol(sum_of_squares(r, rng), here, 1e-11 * (1 + fabs(here)));
    for (int i = 0; i < r->c->count; i++) {
        int64_t n = r->count[i], trials = n <= 64 ? n : 6;
        for (int64_t k = 0; k < trials && !r->c->in[i].whole; k++) {
            int64_t at = n <= 64 ? k : gm_rng_below(rng, n);
            double kept = r->data[i][at];
            r->data[i][at] = kept + STEP;
            double above = sum_of_squares(r, rng);
            r->data[i][at] = kept - STEP;
            double below = sum_of_squares(r, rng);
            r->data[i][at] = kept;
            double expected = (above - below) / (2 * STEP);
            ck_assert_msg(fabs(found[i][at] - expected) <= SECOND * (1 + fabs(expected)),
                          "%s (%s): second gradient of input %d, element %lld: %.12g, "
                          "differences give %.12g",
                          r->c->op, r->c->what, i, (long long)at, found[i][at], expected);
        }
        free(found[i]);
    }
}

static void run_case(const second_case *c, int32_t threads)
{
    gm_context *ctx = support_context(11, threads);
    gm_rng *rng = NULL;
    trial r = { .c = c };
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 5), GM_OK);
    ck_assert_int_eq(gm_tape_create(&r.tape, ctx, NULL), GM_OK);
    gm_rng_save(&r.start, gm_tape_rng(r.tape));
    for (int i = 0; i < c->count; i++) {
        r.count[i] = size_of(&c->in[i]);
        r.data[i] = malloc((size_t)r.count[i] * sizeof(float));
        r.outer[i] = malloc((size_t)r.count[i] * sizeof(float));
        draw(rng, &c->in[i], r.data[i], r.count[i]);
        for (int64_t k = 0; k < r.count[i]; k++) r.outer[i][k] = gm_rng_double(rng);
    }
    check_second(&r, rng);
    for (int i = 0; i < c->count; i++) {
        free(r.data[i]);
        free(r.outer[i]);
    }
    free(r.weight);
    gm_tape_release(r.tape);
    gm_rng_release(rng);
    gm_context_release(ctx);
}

START_TEST(test_case)
{
    run_case(&cases[_i], 1 + _i % 3);
}
END_TEST

START_TEST(test_every_entry_has_a_case)
{
    int entries = 0;
    for (const gm_op *const *op = gm_op_table; *op; op++) {
        int found = 0;
        for (int i = 0; i < CASES; i++) found |= !strcmp((*op)->name, cases[i].op);
        if ((*op)->gradient) entries++;
        ck_assert_msg(!(*op)->gradient == !found, "%s: %s", (*op)->name,
                      found ? "a case without an entry" : "an entry without a case");
    }
    ck_assert_int_ge(entries, 50);
}
END_TEST

/* x^5 five times: 5 x^4, 20 x^3, 60 x^2, 120 x, 120, and then 0. */
START_TEST(test_higher)
{
    static const double factor[] = { 5, 20, 60, 120, 120, 0 };
    gm_context *ctx = support_context(1, 1);
    gm_tape *t = NULL;
    const float x = 1.25;
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
    gm_var v = gm_input_array(t, 0, NULL, &x);
    gm_var y = gm_mul(t, v, gm_square(t, gm_square(t, v)));
    for (int k = 0; k < 6; k++) {
        double expected = factor[k] * (k < 5 ? pow(x, 4 - k) : 0);
        y = gm_gradient(t, y, v);
        ck_assert_int_eq(gm_tape_status(t), GM_OK);
        ck_assert_double_eq_tol(gm_scalar(t, y), expected, 1e-12 * (1 + expected));
    }
    gm_tape_release(t);
    gm_context_release(ctx);
}
END_TEST

/* WGAN-GP's penalty (Gulrajani et al. 2017) of a critic 3 -> 7 -> 5 -> 1, as a layer with
 * parameters. */
typedef struct critic {
    gm_tape *tape;
    gm_layer *net;
    float x[12];
} critic;

static double penalty(critic *c, int backward)
{
    static const int64_t shape[2] = { 4, 3 };
    static const int32_t columns[1] = { 1 };
    gm_tape *t = c->tape;
    gm_tape_reset(t);
    gm_var x = gm_input_array(t, 2, shape, c->x);
    gm_var g = gm_gradient(t, gm_sum(t, gm_apply(t, c->net, x)), x);
    gm_var norm = gm_sqrt(t, gm_sum_axes(t, gm_square(t, g), columns, 1, 0));
    gm_var cost = gm_scale(t, gm_mean(t, gm_square(t, gm_shift(t, norm, -1))), 10);
    ck_assert_msg(gm_tape_status(t) == GM_OK, "%s", gm_context_error(gm_tape_context(t)));
    if (backward) ck_assert_int_eq(gm_backward(t, cost, gm_layer_params(c->net)), GM_OK);
    return gm_scalar(t, cost);
}

static void add_activation(gm_layer *net, gm_context *ctx, int32_t kind)
{
    gm_layer *a = NULL;
    ck_assert_int_eq(gm_activation_create(&a, ctx, kind, 0.2), GM_OK);
    ck_assert_int_eq(gm_sequence_add(net, a), GM_OK);
    gm_layer_release(a);
}

static const int32_t kinds[] = { GM_ACTIVATION_TABLE(ACTIVATION_NUMBER) };
#define KINDS ((int)(sizeof kinds / sizeof *kinds))

START_TEST(test_penalty)
{
    int32_t kind = kinds[_i];
    gm_context *ctx = support_context(3, 2);
    gm_rng *rng = NULL;
    critic c;
    memset(&c, 0, sizeof c);
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 8), GM_OK);
    ck_assert_int_eq(gm_tape_create(&c.tape, ctx, NULL), GM_OK);
    ck_assert_int_eq(gm_sequence_create(&c.net, ctx), GM_OK);
    gm_sequence_add_linear(c.net, 3, 7);
    add_activation(c.net, ctx, kind);
    gm_sequence_add_linear(c.net, 7, 5);
    add_activation(c.net, ctx, kind);
    gm_sequence_add_linear(c.net, 5, 1);
    ck_assert_int_eq(gm_layer_init(c.net, GM_INIT_DEFAULT, 0, 0, rng), GM_OK);
    ck_assert_int_eq(gm_rng_normal(rng, 12, 0, 1, c.x), GM_OK);

    gm_params *params = gm_layer_params(c.net);
    int64_t n = gm_params_elements(params), at = 0, moved = 0;
    float *found = malloc((size_t)n * sizeof *found);
    ck_assert_double_gt(penalty(&c, 1), 0);
    for (int64_t p = 0; p < gm_params_count(params); p++) {
        gm_param *param = gm_params_get(params, p);
        memcpy(found + at, gm_param_gradient(param), (size_t)gm_param_count(param) * sizeof *found);
        at += gm_param_count(param);
    }
    at = 0;
    for (int64_t p = 0; p < gm_params_count(params); p++) {
        gm_param *param = gm_params_get(params, p);
        for (int64_t i = 0; i < gm_param_count(param); i++, at++) {
            float *w = gm_param_value(param) + i;
            double kept = *w;
            *w = kept + STEP;
            double above = penalty(&c, 0);
            *w = kept - STEP;
            double below = penalty(&c, 0);
            *w = kept;
            double expected = (above - below) / (2 * STEP);
            moved += expected != 0;
            ck_assert_msg(fabs(found[at] - expected) <= SECOND * (1 + fabs(expected)),
                          "activation %d, %s[%lld]: %.12g, differences give %.12g", (int)kind,
                          gm_param_name(param), (long long)i, found[at], expected);
        }
    }
    ck_assert_int_gt(moved, n / 4); /* of ReLUs, some are off */
    free(found);
    gm_layer_release(c.net);
    gm_tape_release(c.tape);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("gradcheck: second");
    TCase *tc = tcase_create("second");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_case, 0, CASES);
    tcase_add_test(tc, test_every_entry_has_a_case);
    tcase_add_test(tc, test_higher);
    tcase_add_loop_test(tc, test_penalty, 0, KINDS);
    suite_add_tcase(s, tc);
    return s;
}
