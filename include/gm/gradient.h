/* gm/gradient.h - gradients as variables: second and higher derivatives.
 *
 * gm_backward gives gradients as numbers. gm_gradient records the gradient itself as operations on
 * the tape, so that it can be part of a loss, and gm_backward of that loss gives second derivatives
 * (differentiation of the recorded reverse sweep: Griewank and Walther 2008, ch. 5). That is what
 * gradient penalties need. WGAN-GP (Gulrajani et al. 2017), for a critic on points x [n, d] between
 * data and samples, lambda = 10:
 *
 *     gm_var x    = gm_input_array(tape, 2, shape, between);
 *     gm_var g    = gm_gradient(tape, gm_sum(tape, gm_apply(tape, critic, x)), x);
 *     gm_var norm = gm_sqrt(tape, gm_sum_axes(tape, gm_square(tape, g), (int32_t[]){ 1 }, 1, 0));
 *     gm_var cost = gm_scale(tape, gm_mean(tape, gm_square(tape, gm_shift(tape, norm, -1))), 10);
 *
 * The sum over the batch gives the gradients of all rows because row i of the critic's output
 * depends on row i of x alone; with batch normalisation in the critic that is not so. R1 (Mescheder
 * et al. 2018) is gamma / 2 times the mean of the squared norm, with x the data themselves.
 *
 * Operations with a recorded gradient are listed in docs/modules/ops.md; all others, including a
 * host's own operations, fail with GM_E_UNSUPPORTED when they lie between x and y. gm_stop_gradient
 * and host operations without a backward callback are constants, as for gm_backward. Where a
 * function has a kink (relu, abs, clamp, sqrt at 0) the derivative is that of gm_backward, and its
 * own derivative there is 0: a norm as above has derivatives 0, not NaN, where g is 0.
 */
#ifndef GM_GRADIENT_H
#define GM_GRADIENT_H

#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The gradient of y (one element) with respect to x, as a variable of x's shape. x is any variable
 * of the recording: an input, a gm_variable, a parameter, noise, or an intermediate result; it need
 * not be one for which gm_backward computes a gradient. Zeros where y does not depend on x. The
 * result can be differentiated with respect to everything that the gradient depends on, parameters
 * included. It may be called several times, also on its own results, for third and higher
 * derivatives. Each call records about two to five operations for each operation between x and y.
 * These failures stick to the tape, and an invalid variable is returned: GM_E_SHAPE: y does not
 * have exactly one element; GM_E_UNSUPPORTED: an operation between has no recorded gradient (the
 * error line has its name); GM_E_STALE; GM_E_NOMEM. */
GM_API gm_var gm_gradient(gm_tape *tape, gm_var y, gm_var x);

/* The same for `count` variables x[0] ..., in one sweep, into gradients[0] ... (both arrays are the
 * host's; gradients may be x). A variable of x may depend on another; each gets the total gradient
 * over all paths. Returns the tape's status; after a failure all of gradients are invalid
 * variables. Statuses as gm_gradient, and GM_E_INVALID: x or gradients NULL, count below 1 (these
 * stick to the tape), tape NULL. */
GM_API gm_status gm_gradients(gm_tape *tape, gm_var y, const gm_var *x, int32_t count,
                              gm_var *gradients);

#ifdef __cplusplus
}
#endif

#endif
