/* ops.c - gradient checks of the operations. The suite fails when an operation of the table has no
 * case, here or in a file that covered.h names.
 */
#include "autodiff/gradient.h"
#include "gm/conv.h"
#include "gm/gradient.h"
#include "gradcheck/covered.h"
#include "gradcheck/gradcheck.h"

/* clang-format off: one builder a line, one case a line. */
/* Each activation of the table, alone and in a linear layer. */
#define ACTIVATION_BUILD(WORD, word, ...)                                                          \
    BUILD(only_##word, gm_activate(t, v[0], GM_ACTIVATION_##WORD, 0.7))                            \
    BUILD(linear_with_##word, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_##WORD, 0.7))
#define ACTIVATION_CASE(WORD, word, ...)                                                           \
    { #word, "", build_only_##word, 1, { { 2, { 5, 7 }, -6, 6, 0.05, 0 } } },                      \
        { "linear",                                                                                \
          #word,                                                                                   \
          build_linear_with_##word,                                                                \
          3,                                                                                       \
          { { 2, { 4, 5 }, ANY }, { 2, { 3, 5 }, ANY }, { 1, { 3 }, ANY } } },
GM_ACTIVATION_TABLE(ACTIVATION_BUILD)

UNARY(neg)
UNARY(square)
UNARY(sqrt)
UNARY(abs)
UNARY(exp)
UNARY(log)
UNARY(normal_cdf)
UNARY(sin)
UNARY(cos)
UNARY(softmax)
UNARY(log_softmax)
UNARY(logsumexp)
UNARY(sum)
UNARY(mean)
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(minimum)
BINARY(maximum)
BINARY(gather)
BINARY(gaussian_draw)
BINARY(bce_with_logits)
BINARY(cross_entropy)
BINARY(squared_error)
BINARY(mse)
BINARY(gaussian_kl)
TERNARY(gaussian_nll)
TERNARY(where)

BUILD(scale, gm_scale(t, v[0], -1.75))
BUILD(shift, gm_shift(t, v[0], 0.3))
/* Kinks at 0 and 0.5: the cases avoid them. */
BUILD(clamp, gm_clamp(t, gm_shift(t, v[0], 0.5), 0.5, 1.0))
/* Ties, where each operand has half of the slope: to both sides at once. */
BUILD(maximum_self, gm_maximum(t, v[0], v[0]))
BUILD(minimum_self, gm_minimum(t, v[0], v[0]))
BUILD(where_less, gm_where(t, gm_less(t, v[0], v[1]), gm_square(t, v[1]), v[0]))
BUILD(mul_self, gm_mul(t, v[0], v[0]))
BUILD(div_self, gm_div(t, v[0], v[0]))
BUILD(sub_self, gm_sub(t, v[0], v[0]))
BUILD(add_outer, gm_mul(t, v[0], gm_reshape(t, v[0], 2, (int64_t[]){ 5, 1 })))

BUILD(max_last, gm_max(t, v[0], -1, 0))
BUILD(max_first, gm_max(t, v[0], 0, 0))
BUILD(max_middle, gm_max(t, v[0], 1, 1))
BUILD(min_first, gm_min(t, v[0], 0, 0))
BUILD(min_last, gm_min(t, v[0], -1, 1))
BUILD(cumsum_first, gm_cumsum(t, v[0], 0))
BUILD(cumsum_middle, gm_cumsum(t, v[0], 1))
BUILD(cumsum_last, gm_cumsum(t, v[0], -1))

static const int32_t axis0[] = { 0 }, axis1[] = { 1 }, axis_last[] = { -1 }, axes02[] = { 2, 0 },
                     axes13[] = { 1, 3 }, axes0123[] = { 0, 1, -1, 2 };
BUILD(sum0, gm_sum_axes(t, v[0], axis0, 1, 0))
BUILD(sum1, gm_sum_axes(t, v[0], axis1, 1, 1))
BUILD(sum_last, gm_sum_axes(t, v[0], axis_last, 1, 0))
BUILD(sum_none, gm_sum_axes(t, v[0], NULL, 0, 0))
BUILD(sum13, gm_sum_axes(t, v[0], axes13, 2, 0))
BUILD(mean02, gm_mean_axes(t, v[0], axes02, 2, 1))
BUILD(mean_last, gm_mean_axes(t, v[0], axis_last, 1, 0))
BUILD(mean_all, gm_mean_axes(t, v[0], axes0123, 4, 0))

BUILD(matmul, gm_matmul(t, v[0], v[1], 0, 0))
BUILD(matmul_ta, gm_matmul(t, v[0], v[1], 1, 0))
BUILD(matmul_tb, gm_matmul(t, v[0], v[1], 0, 1))
BUILD(matmul_tab, gm_matmul(t, v[0], v[1], 1, 1))
BUILD(matmul_self, gm_matmul(t, v[0], v[0], 1, 0))
BUILD(linear, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_NONE, 0))
BUILD(linear_bare, gm_linear(t, v[0], v[1], GM_NO_VAR, GM_ACTIVATION_NONE, 0))
BUILD(linear_bare_tanh, gm_linear(t, v[0], v[1], GM_NO_VAR, GM_ACTIVATION_TANH, 0))
BUILD(linear_relu, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_RELU, 0))
BUILD(linear_leaky, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_LEAKY_RELU, 0.2))
BUILD(linear_elu, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_ELU, 1.3))
BUILD(linear_tanh, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_TANH, 0))
BUILD(linear_sigmoid, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_SIGMOID, 0))
BUILD(linear_softplus, gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_SOFTPLUS, 0))
BUILD(pow, gm_pow(t, v[0], 2.7))
BUILD(pow_below, gm_pow(t, v[0], -1.3))
BUILD(pow_cube, gm_pow(t, v[0], 3))
BUILD(linear_self, gm_linear(t, v[0], v[0], GM_NO_VAR, GM_ACTIVATION_SIGMOID, 0))

BUILD(resize_nearest, gm_resize(t, v[0], 5, 2, GM_RESIZE_NEAREST))
BUILD(resize_up, gm_resize(t, v[0], 5, 7, GM_RESIZE_BILINEAR))
BUILD(resize_down, gm_resize(t, v[0], 2, 3, GM_RESIZE_BILINEAR))
/* Its gradient is the operation itself, of the second variable. */
BUILD(resize_adjoint,
      gm_add(t, gm_square(t, v[0]),
             gm_gradient(t,
                         gm_sum(t, gm_mul(t, gm_resize(t, v[0], 5, 2, GM_RESIZE_BILINEAR), v[1])),
                         v[0])))
BUILD(maxout, gm_maxout(t, v[0], 3))
BUILD(maxout5, gm_maxout(t, v[0], 5))
BUILD(maxout7, gm_maxout(t, v[0], 7))
BUILD(maxout1, gm_maxout(t, v[0], 1))
BUILD(reshape, gm_square(t, gm_reshape(t, v[0], 3, (int64_t[]){ 2, -1, 3 })))
BUILD(transpose, gm_transpose(t, v[0], NULL))
BUILD(transpose_4, gm_transpose(t, v[0], (int32_t[]){ 2, 0, 3, 1 }))
BUILD(concat0, gm_concat(t, v, 3, 0))
BUILD(concat1, gm_concat(t, v, 3, -2))
BUILD(concat_self, gm_concat(t, (gm_var[]){ v[0], v[0], v[1], v[0] }, 4, 1))
BUILD(slice0, gm_slice(t, v[0], 0, 1, 3))
BUILD(slice_last, gm_slice(t, v[0], -1, 2, 5))
BUILD(slice_two, gm_mul(t, gm_slice(t, v[0], 1, 0, 3), gm_slice(t, v[0], 1, 1, 4)))
BUILD(repeat_rows, gm_repeat_rows(t, v[0], 3))
BUILD(broadcast, gm_broadcast(t, v[0], 3, (int64_t[]){ 2, 3, 5 }))
BUILD(broadcast_large, gm_broadcast(t, v[0], 2, (int64_t[]){ 300, 129 }))
BUILD(slope_abs, gm_mul(t, v[0], gm_slope(t, v[0], GM_UNARY_ABS, 0, 0)))
BUILD(slope_leaky, gm_mul(t, v[0], gm_slope(t, v[0], GM_UNARY_LEAKY_RELU, 0.2, 0)))
BUILD(slope_clamp, gm_mul(t, v[0], gm_slope(t, v[0], GM_UNARY_CLAMP, 0, 1)))
BUILD(scatter_rows, gm_scatter_rows(t, v[0], v[1], 5))
BUILD(dropout, gm_dropout(t, v[0], 0.4))
BUILD(kl_self, gm_gaussian_kl(t, v[0], v[0]))
BUILD(nll_self, gm_gaussian_nll(t, v[0], v[1], v[0]))
BUILD(nll_thrice, gm_gaussian_nll(t, v[0], v[0], v[0]))
BUILD(sample_self, gm_gaussian_draw(t, v[0], v[0]))
BUILD(bce_sigmoid, gm_bce_with_logits(t, v[0], gm_sigmoid(t, v[0])))
BUILD(square_self, gm_squared_error(t, gm_square(t, v[0]), v[0]))

/* The bound of a small VAE with two samples for each row: x, then weights and biases. */
static gm_var build_chain(gm_tape *t, const gm_var *v)
{
    gm_var h = gm_linear(t, v[0], v[1], v[2], GM_ACTIVATION_TANH, 0);
    gm_var both = gm_linear(t, h, v[3], GM_NO_VAR, GM_ACTIVATION_NONE, 0);
    gm_var mean = gm_slice(t, both, 1, 0, 2), lv = gm_slice(t, both, 1, 2, 4);
    gm_var z = gm_gaussian_draw(t, gm_repeat_rows(t, mean, 2), gm_repeat_rows(t, lv, 2));
    gm_var logits = gm_linear(t, z, v[4], v[5], GM_ACTIVATION_NONE, 0);
    gm_var log_w = gm_sub(t, gm_repeat_rows(t, gm_neg(t, gm_gaussian_kl(t, mean, lv)), 2),
                          gm_bce_with_logits(t, logits, v[0]));
    return gm_logsumexp(t, gm_reshape(t, log_w, 2, (int64_t[]){ 3, 2 }));
}

static const grad_case cases[] = {
    { "neg", "", build_neg, 1, { { 2, { 3, 5 }, ANY } } },
    { "scale", "", build_scale, 1, { { 1, { 7 }, ANY } } },
    { "shift", "", build_shift, 1, { { 0, { 0 }, ANY } } },
    { "square", "", build_square, 1, { { 3, { 2, 3, 3 }, ANY } } },
    { "sqrt", "", build_sqrt, 1, { { 2, { 3, 5 }, POSITIVE } } },
    { "abs", "", build_abs, 1, { { 2, { 3, 5 }, SMOOTH } } },
    { "exp", "", build_exp, 1, { { 2, { 3, 11 }, ANY } } },
    { "exp", "large", build_exp, 1, { { 2, { 130, 257 }, ANY } } },
    { "log", "", build_log, 1, { { 2, { 3, 5 }, POSITIVE } } },
    GM_ACTIVATION_TABLE(ACTIVATION_CASE){
        "normal_cdf", "", build_normal_cdf, 1, { { 2, { 5, 7 }, -6, 6, 0, 0 } } },
    { "sin", "", build_sin, 1, { { 2, { 5, 7 }, -6, 6, 0, 0 } } },
    { "cos", "", build_cos, 1, { { 2, { 5, 7 }, -6, 6, 0, 0 } } },
    { "pow", "", build_pow, 1, { { 2, { 5, 7 }, POSITIVE } } },
    { "pow", "below", build_pow_below, 1, { { 2, { 5, 7 }, POSITIVE } } },
    { "pow", "cube", build_pow_cube, 1, { { 2, { 5, 7 }, ANY } } },
    { "clamp", "inside and below", build_clamp, 1, { { 2, { 5, 7 }, -0.45, 0.45, 0.05, 0 } } },
    { "clamp", "above", build_clamp, 1, { { 1, { 7 }, 0.55, 1.5, 0, 0 } } },

    { "add", "same", build_add, 2, { { 2, { 3, 5 }, ANY }, { 2, { 3, 5 }, ANY } } },
    { "add", "row", build_add, 2, { { 2, { 3, 5 }, ANY }, { 1, { 5 }, ANY } } },
    { "add", "large row", build_add, 2, { { 2, { 300, 129 }, ANY }, { 1, { 129 }, ANY } } },
    { "add", "column, reversed", build_add, 2, { { 2, { 3, 1 }, ANY }, { 2, { 3, 5 }, ANY } } },
    { "sub", "scalar", build_sub, 2, { { 2, { 3, 5 }, ANY }, { 0, { 0 }, ANY } } },
    { "sub", "outer", build_sub, 2, { { 2, { 4, 1 }, ANY }, { 2, { 1, 3 }, ANY } } },
    { "sub", "itself", build_sub_self, 1, { { 2, { 4, 1 }, ANY } } },
    { "mul", "same", build_mul, 2, { { 3, { 2, 3, 3 }, ANY }, { 3, { 2, 3, 3 }, ANY } } },
    { "mul", "channels", build_mul, 2, { { 4, { 2, 3, 2, 3 }, ANY }, { 3, { 3, 1, 1 }, ANY } } },
    { "mul", "crossed", build_mul, 2, { { 4, { 2, 1, 3, 1 }, ANY }, { 4, { 1, 4, 1, 5 }, ANY } } },
    { "mul",
      "rank 6",
      build_mul,
      2,
      { { 6, { 2, 1, 2, 3, 1, 2 }, ANY }, { 5, { 2, 1, 3, 2, 1 }, ANY } } },
    { "mul", "large column", build_mul, 2, { { 2, { 300, 129 }, ANY }, { 2, { 300, 1 }, ANY } } },
    { "mul", "large scalar", build_mul, 2, { { 2, { 300, 129 }, ANY }, { 2, { 1, 1 }, ANY } } },
    { "mul", "itself", build_mul_self, 1, { { 2, { 3, 5 }, ANY } } },
    { "mul", "itself, outer", build_add_outer, 1, { { 1, { 5 }, ANY } } },
    { "div", "same", build_div, 2, { { 2, { 3, 5 }, ANY }, { 2, { 3, 5 }, POSITIVE } } },
    { "div", "row below", build_div, 2, { { 2, { 3, 5 }, ANY }, { 1, { 5 }, POSITIVE } } },
    { "div", "row above", build_div, 2, { { 1, { 5 }, ANY }, { 2, { 3, 5 }, POSITIVE } } },
    { "div", "column", build_div, 2, { { 3, { 2, 3, 5 }, ANY }, { 3, { 2, 3, 1 }, POSITIVE } } },
    { "div", "itself", build_div_self, 1, { { 2, { 3, 5 }, POSITIVE } } },

    { "softmax", "", build_softmax, 1, { { 2, { 4, 7 }, ANY } } },
    { "softmax", "rank 1", build_softmax, 1, { { 1, { 9 }, ANY } } },
    { "log_softmax", "", build_log_softmax, 1, { { 3, { 2, 3, 5 }, ANY } } },
    { "logsumexp", "", build_logsumexp, 1, { { 3, { 2, 3, 5 }, ANY } } },
    { "logsumexp", "rank 1", build_logsumexp, 1, { { 1, { 17 }, ANY } } },

    { "maxout", "", build_maxout, 1, { { 2, { 4, 9 }, ANY } } },
    { "maxout", "5 pieces", build_maxout5, 1, { { 3, { 2, 3, 10 }, ANY } } },
    { "maxout", "7 pieces, rank 1", build_maxout7, 1, { { 1, { 21 }, ANY } } },
    { "maxout", "1 piece", build_maxout1, 1, { { 2, { 3, 4 }, ANY } } },
    { "maxout", "large", build_maxout5, 1, { { 2, { 90, 400 }, ANY } } },
    { "sum", "", build_sum, 1, { { 2, { 3, 5 }, ANY } } },
    { "sum", "large", build_sum, 1, { { 1, { 40001 }, ANY } } },
    { "mean", "", build_mean, 1, { { 3, { 3, 1, 5 }, ANY } } },
    { "sum_axes", "0", build_sum0, 1, { { 2, { 3, 5 }, ANY } } },
    { "sum_axes", "0, large", build_sum0, 1, { { 2, { 500, 70 }, ANY } } },
    { "sum_axes", "1 kept", build_sum1, 1, { { 3, { 3, 5, 2 }, ANY } } },
    { "sum_axes", "last", build_sum_last, 1, { { 2, { 3, 5 }, ANY } } },
    { "sum_axes", "none", build_sum_none, 1, { { 2, { 3, 5 }, ANY } } },
    { "sum_axes", "1 and 3", build_sum13, 1, { { 5, { 2, 3, 2, 3, 2 }, ANY } } },
    { "mean_axes", "0 and 2", build_mean02, 1, { { 3, { 3, 5, 2 }, ANY } } },
    { "mean_axes", "last", build_mean_last, 1, { { 2, { 3, 5 }, ANY } } },
    { "mean_axes", "all", build_mean_all, 1, { { 4, { 2, 3, 1, 4 }, ANY } } },

    { "matmul", "", build_matmul, 2, { { 2, { 3, 5 }, ANY }, { 2, { 5, 4 }, ANY } } },
    { "matmul", "a", build_matmul_ta, 2, { { 2, { 5, 3 }, ANY }, { 2, { 5, 4 }, ANY } } },
    { "matmul", "b", build_matmul_tb, 2, { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "matmul", "a, b", build_matmul_tab, 2, { { 2, { 5, 3 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "matmul", "batch", build_matmul, 2, { { 3, { 3, 2, 5 }, ANY }, { 3, { 3, 5, 4 }, ANY } } },
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
      { { 3, { 8, 2, 3 }, ANY }, { 3, { 8, 4, 2 }, ANY } } },
    { "matmul",
      "rank 4",
      build_matmul,
      2,
      { { 4, { 2, 3, 2, 4 }, ANY }, { 4, { 2, 3, 4, 2 }, ANY } } },
    { "matmul",
      "rank 4, a, b",
      build_matmul_tab,
      2,
      { { 4, { 2, 3, 4, 2 }, ANY }, { 4, { 2, 3, 3, 4 }, ANY } } },
    { "matmul",
      "rank 4, many",
      build_matmul_tb,
      2,
      { { 4, { 3, 4, 2, 3 }, ANY }, { 4, { 3, 4, 2, 3 }, ANY } } },
    { "matmul",
      "repeated matrix",
      build_matmul,
      2,
      { { 4, { 2, 3, 2, 4 }, ANY }, { 2, { 4, 3 }, ANY } } },
    { "matmul",
      "repeated heads",
      build_matmul_ta,
      2,
      { { 4, { 2, 1, 3, 2 }, ANY }, { 4, { 2, 5, 3, 2 }, ANY } } },
    { "matmul",
      "repeated crosswise",
      build_matmul_tab,
      2,
      { { 4, { 4, 1, 3, 2 }, ANY }, { 3, { 3, 2, 3 }, ANY } } },
    { "matmul", "itself", build_matmul_self, 1, { { 2, { 4, 3 }, ANY } } },
    { "matmul", "large", build_matmul, 2, { { 2, { 130, 70 }, ANY }, { 2, { 70, 140 }, ANY } } },

    { "linear",
      "",
      build_linear,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "rank 1",
      build_linear,
      3,
      { { 1, { 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "rank 3",
      build_linear_tanh,
      3,
      { { 3, { 2, 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear", "bare", build_linear_bare, 2, { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "linear",
      "bare, tanh",
      build_linear_bare_tanh,
      2,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "linear",
      "relu",
      build_linear_relu,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "leaky_relu",
      build_linear_leaky,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
    { "linear",
      "elu",
      build_linear_elu,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 1, { 4 }, ANY } } },
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
    { "linear", "itself", build_linear_self, 1, { { 2, { 4, 5 }, ANY } } },
    { "linear",
      "large",
      build_linear_tanh,
      3,
      { { 2, { 260, 33 }, -0.4, 0.4, 0, 0 },
        { 2, { 140, 33 }, -0.4, 0.4, 0, 0 },
        { 1, { 140 }, ANY } } },

    { "minimum", "same", build_minimum, 2, { { 2, { 3, 5 }, ANY }, { 2, { 3, 5 }, ANY } } },
    { "minimum", "outer", build_minimum, 2, { { 2, { 4, 1 }, ANY }, { 2, { 1, 3 }, ANY } } },
    { "minimum", "itself", build_minimum_self, 1, { { 2, { 4, 5 }, ANY } } },
    { "maximum", "row", build_maximum, 2, { { 2, { 3, 5 }, ANY }, { 1, { 5 }, ANY } } },
    { "maximum", "scalar", build_maximum, 2, { { 0, { 0 }, ANY }, { 2, { 130, 257 }, ANY } } },
    { "maximum", "itself", build_maximum_self, 1, { { 2, { 4, 5 }, ANY } } },
    { "where",
      "same",
      build_where,
      3,
      { { 2, { 3, 5 }, WHOLE(2) }, { 2, { 3, 5 }, ANY }, { 2, { 3, 5 }, ANY } } },
    { "where",
      "broadcast",
      build_where,
      3,
      { { 3, { 2, 3, 1 }, WHOLE(2) }, { 2, { 1, 5 }, ANY }, { 0, { 0 }, ANY } } },
    { "where",
      "large",
      build_where,
      3,
      { { 2, { 130, 257 }, WHOLE(2) }, { 1, { 257 }, ANY }, { 2, { 130, 1 }, ANY } } },
    { "where",
      "by a comparison",
      build_where_less,
      2,
      { { 2, { 3, 5 }, ANY }, { 2, { 3, 5 }, ANY } } },

    { "max", "last", build_max_last, 1, { { 2, { 3, 5 }, ANY } } },
    { "max", "middle", build_max_middle, 1, { { 3, { 2, 4, 3 }, ANY } } },
    { "max", "large", build_max_first, 1, { { 2, { 90, 700 }, ANY } } },
    { "min", "first", build_min_first, 1, { { 3, { 3, 2, 3 }, ANY } } },
    { "min", "last", build_min_last, 1, { { 1, { 6 }, ANY } } },
    { "cumsum", "first", build_cumsum_first, 1, { { 2, { 5, 3 }, ANY } } },
    { "cumsum", "middle", build_cumsum_middle, 1, { { 3, { 2, 4, 3 }, ANY } } },
    { "cumsum", "last", build_cumsum_last, 1, { { 2, { 2, 7 }, ANY } } },
    { "cumsum", "large", build_cumsum_first, 1, { { 2, { 90, 700 }, ANY } } },

    { "resize", "nearest", build_resize_nearest, 1, { { 4, { 2, 2, 3, 4 }, ANY } } },
    { "resize", "up", build_resize_up, 1, { { 4, { 2, 2, 2, 3 }, ANY } } },
    { "resize", "down", build_resize_down, 1, { { 4, { 1, 2, 5, 4 }, ANY } } },
    { "resize", "one pixel", build_resize_up, 1, { { 4, { 2, 2, 1, 1 }, ANY } } },
    { "resize", "large", build_resize_up, 1, { { 4, { 30, 20, 6, 7 }, ANY } } },
    { "resize_adjoint",
      "",
      build_resize_adjoint,
      2,
      { { 4, { 2, 2, 3, 4 }, ANY }, { 4, { 2, 2, 5, 2 }, ANY } } },

    { "reshape", "", build_reshape, 1, { { 2, { 6, 5 }, ANY } } },
    { "transpose", "", build_transpose, 1, { { 2, { 3, 5 }, ANY } } },
    { "transpose", "rank 3", build_transpose, 1, { { 3, { 2, 3, 4 }, ANY } } },
    { "transpose", "rank 4", build_transpose_4, 1, { { 4, { 2, 3, 4, 3 }, ANY } } },
    { "concat",
      "rows",
      build_concat0,
      3,
      { { 2, { 3, 5 }, ANY }, { 2, { 1, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "concat",
      "middle",
      build_concat1,
      3,
      { { 3, { 2, 3, 2 }, ANY }, { 3, { 2, 1, 2 }, ANY }, { 3, { 2, 2, 2 }, ANY } } },
    { "concat", "itself", build_concat_self, 2, { { 2, { 3, 2 }, ANY }, { 2, { 3, 1 }, ANY } } },
    { "slice", "rows", build_slice0, 1, { { 2, { 4, 5 }, ANY } } },
    { "slice", "last", build_slice_last, 1, { { 3, { 2, 2, 7 }, ANY } } },
    { "slice", "overlapping", build_slice_two, 1, { { 2, { 3, 5 }, ANY } } },
    { "gather", "", build_gather, 2, { { 2, { 5, 3 }, ANY }, { 1, { 9 }, WHOLE(5) } } },
    { "gather", "scalar index", build_gather, 2, { { 2, { 5, 3 }, ANY }, { 0, { 0 }, WHOLE(5) } } },
    { "gather",
      "rank 3 by 2",
      build_gather,
      2,
      { { 3, { 4, 2, 3 }, ANY }, { 2, { 3, 2 }, WHOLE(4) } } },
    { "gather", "rank 1", build_gather, 2, { { 1, { 4 }, ANY }, { 2, { 3, 2 }, WHOLE(4) } } },
    { "repeat_rows", "", build_repeat_rows, 1, { { 2, { 4, 5 }, ANY } } },
    { "repeat_rows", "rank 1", build_repeat_rows, 1, { { 1, { 4 }, ANY } } },
    { "broadcast", "row", build_broadcast, 1, { { 1, { 5 }, ANY } } },
    { "broadcast", "column", build_broadcast, 1, { { 2, { 3, 1 }, ANY } } },
    { "broadcast", "same", build_broadcast, 1, { { 3, { 2, 3, 5 }, ANY } } },
    { "broadcast", "large row", build_broadcast_large, 1, { { 1, { 129 }, ANY } } },
    { "broadcast", "large column", build_broadcast_large, 1, { { 2, { 300, 1 }, ANY } } },
    { "broadcast", "large scalar", build_broadcast_large, 1, { { 0, { 0 }, ANY } } },
    { "slope", "abs", build_slope_abs, 1, { { 2, { 5, 7 }, SMOOTH } } },
    { "slope", "leaky_relu", build_slope_leaky, 1, { { 2, { 5, 7 }, SMOOTH } } },
    { "slope", "clamp", build_slope_clamp, 1, { { 2, { 5, 7 }, -0.9, 0.9, 0.05, 0 } } },
    { "scatter_rows", "", build_scatter_rows, 2, { { 2, { 9, 3 }, ANY }, { 1, { 9 }, WHOLE(5) } } },
    { "scatter_rows",
      "scalar index",
      build_scatter_rows,
      2,
      { { 1, { 3 }, ANY }, { 0, { 0 }, WHOLE(5) } } },
    { "scatter_rows",
      "rank 2 by 2",
      build_scatter_rows,
      2,
      { { 3, { 3, 2, 2 }, ANY }, { 2, { 3, 2 }, WHOLE(5) } } },
    { "dropout", "", build_dropout, 1, { { 2, { 6, 7 }, ANY } } },
    { "dropout", "large", build_dropout, 1, { { 2, { 150, 130 }, ANY } } },
    { "gaussian_sample",
      "",
      build_gaussian_draw,
      2,
      { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "gaussian_sample",
      "large",
      build_gaussian_draw,
      2,
      { { 2, { 150, 130 }, ANY }, { 2, { 150, 130 }, ANY } } },
    { "gaussian_sample", "itself", build_sample_self, 1, { { 2, { 4, 5 }, ANY } } },

    { "bce_with_logits",
      "",
      build_bce_with_logits,
      2,
      { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, UNIT } } },
    { "bce_with_logits",
      "shared",
      build_bce_with_logits,
      2,
      { { 2, { 6, 5 }, ANY }, { 2, { 2, 5 }, UNIT } } },
    { "bce_with_logits",
      "rank 3",
      build_bce_with_logits,
      2,
      { { 3, { 3, 2, 2 }, ANY }, { 3, { 1, 2, 2 }, UNIT } } },
    { "bce_with_logits",
      "large",
      build_bce_with_logits,
      2,
      { { 2, { 60, 784 }, ANY }, { 2, { 20, 784 }, UNIT } } },
    { "bce_with_logits", "itself", build_bce_sigmoid, 1, { { 2, { 4, 5 }, ANY } } },
    { "cross_entropy",
      "",
      build_cross_entropy,
      2,
      { { 2, { 5, 4 }, ANY }, { 1, { 5 }, WHOLE(4) } } },
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
      "shared",
      build_squared_error,
      2,
      { { 2, { 6, 5 }, ANY }, { 2, { 3, 5 }, ANY } } },
    { "squared_error", "rank 1", build_squared_error, 2, { { 1, { 6 }, ANY }, { 1, { 6 }, ANY } } },
    { "squared_error",
      "large",
      build_squared_error,
      2,
      { { 2, { 30, 1100 }, ANY }, { 2, { 30, 1100 }, ANY } } },
    { "squared_error", "itself", build_square_self, 1, { { 2, { 4, 5 }, ANY } } },
    { "mse", "", build_mse, 2, { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "mse", "shared", build_mse, 2, { { 3, { 4, 2, 5 }, ANY }, { 3, { 2, 2, 5 }, ANY } } },
    { "gaussian_nll",
      "",
      build_gaussian_nll,
      3,
      { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "gaussian_nll",
      "shared x",
      build_gaussian_nll,
      3,
      { { 2, { 6, 5 }, ANY }, { 2, { 6, 5 }, ANY }, { 2, { 2, 5 }, ANY } } },
    { "gaussian_nll",
      "one variance",
      build_gaussian_nll,
      3,
      { { 2, { 6, 5 }, ANY }, { 0, { 0 }, ANY }, { 2, { 2, 5 }, ANY } } },
    { "gaussian_nll",
      "variance of columns",
      build_gaussian_nll,
      3,
      { { 2, { 6, 5 }, ANY }, { 1, { 5 }, ANY }, { 2, { 6, 5 }, ANY } } },
    { "gaussian_nll",
      "large",
      build_gaussian_nll,
      3,
      { { 2, { 30, 1100 }, ANY }, { 2, { 30, 1100 }, ANY }, { 2, { 30, 1100 }, ANY } } },
    { "gaussian_nll", "itself", build_nll_self, 2, { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "gaussian_nll", "three times", build_nll_thrice, 1, { { 2, { 4, 5 }, ANY } } },
    { "gaussian_kl", "", build_gaussian_kl, 2, { { 2, { 4, 5 }, ANY }, { 2, { 4, 5 }, ANY } } },
    { "gaussian_kl",
      "rank 3",
      build_gaussian_kl,
      2,
      { { 3, { 2, 2, 3 }, ANY }, { 3, { 2, 2, 3 }, ANY } } },
    { "gaussian_kl", "itself", build_kl_self, 1, { { 2, { 4, 5 }, ANY } } },

    { "chain",
      "a bound with two samples",
      build_chain,
      6,
      { { 2, { 3, 6 }, UNIT },
        { 2, { 5, 6 }, ANY },
        { 1, { 5 }, ANY },
        { 2, { 4, 5 }, -0.5, 0.5, 0, 0 },
        { 2, { 6, 2 }, ANY },
        { 1, { 6 }, ANY } } },
};

#define CASES ((int)(sizeof cases / sizeof cases[0]))

/* clang-format on */

START_TEST(test_once)
{
    run_case(&cases[_i], 1, 0);
}
END_TEST

START_TEST(test_twice)
{
    run_case(&cases[_i], 3, 1);
}
END_TEST

START_TEST(test_stop_gradient)
{
    gm_context *ctx = support_context(1, 1);
    gm_tape *t = NULL;
    float x[3] = { 1, -2, 3 };
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
    gm_var v = gm_variable(t, 1, (int64_t[]){ 3 }, x);
    gm_var loss = gm_sum(t, gm_mul(t, v, gm_stop_gradient(t, v)));
    ck_assert_int_eq(gm_backward(t, loss, NULL), GM_OK);
    const float *g = gm_gradient_of(t, v);
    for (int i = 0; i < 3; i++) ck_assert_double_eq(g[i], x[i]); /* not 2 x */
    gm_tape_release(t);
    gm_context_release(ctx);
}
END_TEST

/* Logits that share an offset: the gradient sums to 0, and to the rows' weight, to the last digits
 * of a double. */
START_TEST(test_offsets)
{
    gm_context *ctx = support_context(1, 1);
    gm_tape *t = NULL;
    const double o = 1099511627776.0, u = 2 + exp(-1);
    float x[3] = { o, o, o - 1 }, class = 0;
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
    gm_var a = gm_variable(t, 2, (int64_t[]){ 1, 3 }, x),
           b = gm_variable(t, 1, (int64_t[]){ 3 }, x);
    gm_var loss = gm_sum(t, gm_cross_entropy(t, a, gm_input_array(t, 1, (int64_t[]){ 1 }, &class)));
    gm_var whole = gm_logsumexp(t, b), again = gm_gradient(t, whole, b);
    ck_assert_int_eq(gm_backward(t, gm_add(t, loss, whole), NULL), GM_OK);
    ck_assert_double_eq_tol(gm_scalar(t, loss), log(u), 1e-14);
    for (int i = 0; i < 3; i++) {
        const double p = (i < 2 ? 1 : exp(-1)) / u;
        ck_assert_double_eq_tol(gm_gradient_of(t, a)[i], p - !i, 1e-14);
        ck_assert_double_eq_tol(gm_gradient_of(t, b)[i], p, 1e-14);
        ck_assert_double_eq_tol(gm_value(t, again)[i], p, 1e-14);
    }
    gm_tape_release(t);
    gm_context_release(ctx);
}
END_TEST

START_TEST(test_every_operation_has_a_case)
{
    static const char *const elsewhere[] = { COVERED_NORM,   COVERED_CONV, COVERED_MMD,
                                             COVERED_MASKED, COVERED_NADE, COVERED_TAPS };
    int operations = 0;
    for (const gm_op *const *op = gm_op_table; *op; op++, operations++) {
        int found = !(*op)->backward; /* a constant: one_hot; stop_gradient has a test of its own */
        for (int i = 0; i < CASES; i++) found |= !strcmp((*op)->name, cases[i].op);
        for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
            found |= !strcmp((*op)->name, elsewhere[i]);
        ck_assert_msg(found, "%s has no gradient check", (*op)->name);
    }
    ck_assert_int_ge(operations, 50);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("gradcheck: ops");
    TCase *tc = tcase_create("ops");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_once, 0, CASES);
    tcase_add_loop_test(tc, test_twice, 0, CASES);
    tcase_add_test(tc, test_stop_gradient);
    tcase_add_test(tc, test_offsets);
    tcase_add_test(tc, test_every_operation_has_a_case);
    suite_add_tcase(s, tc);
    return s;
}
