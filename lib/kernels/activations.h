/* activations.h - the table of activations, which the operations, every fused operation, the layer,
 * the reader of files and the tests read.
 *
 * A new activation is a row here, a constant and a function in gm/ops.h, its value and derivative
 * in isa/elementwise.inc, and its derivative as operations in autodiff/activation.c.
 */
#ifndef GM_KERNELS_ACTIVATIONS_H
#define GM_KERNELS_ACTIVATIONS_H

/* X(WORD, word, parameter, from_result, formula)
 *   WORD         GM_ACTIVATION_WORD, GM_UNARY_WORD
 *   word         the operation gm_op_word, its name, and the name that gm_activation_name gives
 *   parameter    1: it has one, "slope", of at least 0
 *   from_result  1: the derivative follows from the result, so a fused operation, which keeps
 * nothing else, computes it; 0: it is recorded after the operation, as one of its own
 *   formula      of double v and slope a, by the C library: what tests hold the kernels to */
/* clang-format off */
#define GM_ACTIVATION_TABLE(X)                                                                     \
    X(RELU, relu, 0, 1, v > 0 ? v : 0)                                                             \
    X(LEAKY_RELU, leaky_relu, 1, 1, v > 0 ? v : a * v)                                             \
    X(ELU, elu, 1, 1, v > 0 ? v : a * expm1(v))                                                    \
    X(TANH, tanh, 0, 1, tanh(v))                                                                   \
    X(SIGMOID, sigmoid, 0, 1, 1 / (1 + exp(-v)))                                                   \
    X(SOFTPLUS, softplus, 0, 0, log1p(exp(v)))                                                     \
    X(SILU, silu, 0, 0, v / (1 + exp(-v)))                                                         \
    X(GELU, gelu, 0, 0, v * 0.5 * erfc(-v / sqrt(2)))                                              \
    X(GELU_TANH, gelu_tanh, 0, 0,                                                                  \
      v / 2 * (1 + tanh(0.79788456080286536 * v * (1 + 0.044715 * v * v))))
/* clang-format on */

#endif
