/* gradient.h - gradients that are recorded: what an op's `gradient` entry gets, and what the
 * entries share.
 *
 * gm_gradient walks the recording backwards as gm_backward does, but instead of computing numbers
 * it asks each op for the chain rule at its node, written in operations. So what it leaves on the
 * tape is a function of the same variables, and gm_backward, or gm_gradient again, differentiates
 * it.
 */
#ifndef GM_AUTODIFF_GRADIENT_H
#define GM_AUTODIFF_GRADIENT_H

#include "autodiff/ops/ops.h"
#include "gm/gradient.h"

/* The chain rule at one node. An entry sets din[i] where wanted[i]: the sum over the output of dy
 * times the derivative, with exactly the shape of input i. What it leaves invalid counts as zero.
 * Failures stick to the tape. */
struct gm_chain {
    gm_tape *tape;
    const gm_node *node;
    gm_var in[GM_MAX_INPUTS], out;      /* of the recording: differentiable */
    const gm_node *from[GM_MAX_INPUTS]; /* the inputs' nodes, for their shapes */
    gm_var dy;                          /* gradient of the output, of its shape */
    uint8_t wanted[GM_MAX_INPUTS];
    gm_var din[GM_MAX_INPUTS];
};

/* v summed over the axes along which something of like's shape was repeated to v's; like's shape.
 */
gm_var gm_chain_sum_to(gm_tape *tape, gm_var v, const gm_node *like);
/* v with like's shape, of as many elements. */
gm_var gm_chain_reshape(gm_tape *tape, gm_var v, const gm_node *like);
/* v [n times, ...]: every `times` consecutive rows summed; like's shape, [n, ...]. */
gm_var gm_chain_fold_rows(gm_tape *tape, gm_var v, int64_t times, const gm_node *like);
/* dy times the derivative of an activation (GM_UNARY_*, not softplus) written in its result y:
 * fused activations keep nothing else. */
gm_var gm_chain_activation(gm_tape *tape, int32_t kind, float a, gm_var y, gm_var dy);

/* f'(x) of a piecewise linear GM_UNARY_*, as a constant. */
gm_var gm_slope(gm_tape *tape, gm_var x, int32_t kind, float a, float b);
/* A table of `rows` rows, into which a [m..., ...] is added at indices [m...]: what gm_gather's
 * gradient does. */
gm_var gm_scatter_rows(gm_tape *tape, gm_var a, gm_var indices, int64_t rows);

/* Entries of the losses (gradient_losses.c). */
void gm_gradient_bce(gm_chain *c);
void gm_gradient_class(gm_chain *c);
void gm_gradient_distance(gm_chain *c);
void gm_gradient_nll(gm_chain *c);
void gm_gradient_kl(gm_chain *c);

/* Entries of the convolutions (gradient_conv.c). */
void gm_gradient_conv(gm_chain *c);
void gm_gradient_conv_transpose(gm_chain *c);
void gm_gradient_conv_weight(gm_chain *c);

#endif
