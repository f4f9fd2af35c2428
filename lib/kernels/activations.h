/* activations.h - the table of activations, which the operations, every fused operation, the layer
 * and the reader of files go by.
 *
 * A new activation is a row here, a constant and a function in gm/ops.h, its value and derivative
 * in isa_elementwise.inc, and its derivative as operations in autodiff/activation.c.
 */
#ifndef GM_KERNELS_ACTIVATIONS_H
#define GM_KERNELS_ACTIVATIONS_H

/* X(WORD, word, parameter, from_result)
 *   WORD         GM_ACTIVATION_WORD, GM_UNARY_WORD
 *   word         the operation gm_op_word, its name, and the name that gm_activation_name gives
 *   parameter    1: it has one, "slope", of at least 0
 *   from_result  1: the derivative follows from the result, so a fused operation, which keeps
 * nothing else, computes it; 0: it is recorded after the operation, as one of its own */
#define GM_ACTIVATION_TABLE(X)                                                                     \
    X(RELU, relu, 0, 1)                                                                            \
    X(LEAKY_RELU, leaky_relu, 1, 1)                                                                \
    X(ELU, elu, 1, 1)                                                                              \
    X(TANH, tanh, 0, 1)                                                                            \
    X(SIGMOID, sigmoid, 0, 1)                                                                      \
    X(SOFTPLUS, softplus, 0, 0)                                                                    \
    X(SILU, silu, 0, 0)                                                                            \
    X(GELU, gelu, 0, 0)                                                                            \
    X(GELU_TANH, gelu_tanh, 0, 0)

#endif
