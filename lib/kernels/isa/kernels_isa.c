/* kernels_isa.c - the table of kernels for one instruction set.
 *
 * Compiled once per instruction set, with GM_ISA naming it: baseline, v3 or v4. Products and sums
 * may be fused here (-ffp-contract=fast); the random kernels, which must give the same bits
 * everywhere, are in kernels_random.c.
 */
#include "kernels/isa/random.h"
#include "kernels/isa/reduce.h"
#include "kernels/kernels.h"

#define GM_ISA_TEXT_baseline "baseline"
#define GM_ISA_TEXT_v3 "x86-64-v3"
#define GM_ISA_TEXT_v4 "x86-64-v4"

#include "kernels/isa/conv.inc"
#include "kernels/isa/elementwise.inc"
#include "kernels/isa/losses.inc"
#include "kernels/isa/maxout.inc"
#include "kernels/isa/mmd.inc"
#include "kernels/isa/nade.inc"
#include "kernels/isa/norm.inc"
#include "kernels/isa/product.inc"
#include "kernels/isa/rows.inc"
#include "kernels/isa/updates.inc"

extern const gm_kernels GM_ISA_NAME(gm_kernels_);

const gm_kernels GM_ISA_NAME(gm_kernels_) = {
    .name = GM_ISA_NAME(GM_ISA_TEXT_),
    .unary = unary,
    .unary_grad = unary_grad,
    .binary = binary,
    .binary_grad = binary_grad,
    .fill = fill,
    .axpy = axpy,
    .accumulate = accumulate,
    .mul_add = mul_add,
    .mask_below = mask_below,
    .sum = sum,
    .sum_squares = sum_squares,
    .dot = dot,
    .max = max,
    .all_finite = all_finite,
    .find_outside = find_outside,
    .add_bias = add_bias,
    .column_sums = column_sums,
    .softmax = softmax,
    .log_softmax = log_softmax,
    .logsumexp = logsumexp,
    .softmax_grad = softmax_grad,
    .log_softmax_grad = log_softmax_grad,
    .logsumexp_grad = logsumexp_grad,
    .maxout = maxout,
    .maxout_grad = maxout_grad,
    .channel_sums = channel_sums,
    .channel_affine = channel_affine,
    .channel_grad_sums = channel_grad_sums,
    .channel_grad = channel_grad,
    .norm_rows = norm_rows,
    .norm_rows_grad = norm_rows_grad,
    .norm_columns_grad = norm_columns_grad,
    .bce_rows = bce_rows,
    .bce_rows_grad = bce_rows_grad,
    .sqdist_rows = sqdist_rows,
    .pair_sqdist = pair_sqdist,
    .pair_dot = pair_dot,
    .gaussian_nll_rows = gaussian_nll_rows,
    .gaussian_nll_rows_grad = gaussian_nll_rows_grad,
    .gaussian_kl_rows = gaussian_kl_rows,
    .gaussian_kl_rows_grad = gaussian_kl_rows_grad,
    .pair_distances = pair_distances,
    .pair_kernel = pair_kernel,
    .philox_words = GM_ISA_NAME(gm_philox_words_),
    .uniform = GM_ISA_NAME(gm_uniform_),
    .normal = GM_ISA_NAME(gm_normal_),
    .bernoulli = GM_ISA_NAME(gm_bernoulli_),
    .dropout = GM_ISA_NAME(gm_dropout_),
    .bytes_to_float = bytes_to_float,
    .gather_product = gather_product,
    .product = product,
    .transpose = transpose,
    .copy_rows = copy_rows,
    .pool_max = pool_max,
    .nade_dots = nade_dots,
    .nade_units = nade_units,
    .nade_back = nade_back,
    .sgd = sgd,
    .adam = adam,
    .rmsprop = rmsprop,
    .adagrad = adagrad,
    .adadelta = adadelta,
    .ema = ema,
};
