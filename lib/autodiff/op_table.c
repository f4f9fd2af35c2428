/* op_table.c - every built-in operation, for the test that demands a gradient check of each. */
#include "autodiff/activation.h"

#define ROW(WORD, word, parameter, from_result) &gm_op_##word,

/* clang-format off */
const gm_op *const gm_op_table[] = {
    &gm_op_neg,         &gm_op_scale,           &gm_op_shift,         &gm_op_square,
    &gm_op_sqrt,        &gm_op_abs,             &gm_op_exp,           &gm_op_log,
    GM_ACTIVATION_TABLE(ROW)
    &gm_op_clamp,       &gm_op_normal_cdf,      &gm_op_sin,           &gm_op_cos,
    &gm_op_pow,         &gm_op_add,
    &gm_op_sub,         &gm_op_mul,             &gm_op_div,           &gm_op_softmax,
    &gm_op_log_softmax, &gm_op_logsumexp,       &gm_op_sum,           &gm_op_mean,
    &gm_op_sum_axes,    &gm_op_mean_axes,       &gm_op_matmul,        &gm_op_linear,
    &gm_op_reshape,     &gm_op_transpose,       &gm_op_concat,        &gm_op_slice,
    &gm_op_gather,      &gm_op_repeat_rows,     &gm_op_stop_gradient, &gm_op_dropout,
    &gm_op_gaussian_sample, &gm_op_bce_with_logits, &gm_op_cross_entropy, &gm_op_squared_error,
    &gm_op_mse,         &gm_op_gaussian_nll,    &gm_op_gaussian_kl,   &gm_op_maxout,
    &gm_op_one_hot,     &gm_op_broadcast,       &gm_op_slope,         &gm_op_scatter_rows,
    &gm_op_conv2d,      &gm_op_conv_transpose2d, &gm_op_conv2d_weight, &gm_op_max_pool2d,
    &gm_op_avg_pool2d,  &gm_op_upsample_nearest, &gm_op_pixel_shuffle,
    &gm_op_batch_norm,  &gm_op_layer_norm,      &gm_op_instance_norm, &gm_op_spectral_normalize,
    &gm_op_bernoulli_sample,
    &gm_op_mmd2,        &gm_op_masked_linear,   &gm_op_nade,
    &gm_op_nade_walk,   &gm_op_conv2d_taps,     &gm_op_gate,
    NULL,
};
