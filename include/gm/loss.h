/* gm/loss.h - losses on a tape, one value a row.
 *
 * Inputs have shape [n, ...]; the result has shape [n]: each row's loss summed over all its other
 * axes, in nats where it is a log-probability. gm_mean of it is therefore the mean over the batch
 * of the loss of one example.
 *
 * Targets may have n / K rows: each target row then serves K consecutive rows, as in bounds with K
 * samples for each example (see gm_repeat_rows). All other sizes must agree.
 *
 * Statuses stick to the tape as described in gm/ops.h: GM_E_SHAPE: rank 0, sizes that do not fit;
 * GM_E_INVALID: a target value out of range (the error line tells its row, column and value);
 * GM_E_STALE; GM_E_NOMEM. Gradients reach every argument; those of classes are 0.
 */
#ifndef GM_LOSS_H
#define GM_LOSS_H

#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Negative log-probability of a Bernoulli variable, from logits:
 * sum log(1 + e^l) - t l. logits [n, ...], target [n / K, ...] with values from 0 to 1
 * (GM_E_INVALID). */
GM_API gm_var gm_bce_with_logits(gm_tape *tape, gm_var logits, gm_var target);

/* Negative log-probability of a class, from logits: sum logsumexp(l) - l_class.
 * logits [n, k] and classes [n / K], or logits [n, ..., k] and classes [n / K, ...]: then summed
 * over the middle axes. Classes are whole numbers from 0 to k - 1 stored as float (GM_E_INVALID).
 */
GM_API gm_var gm_cross_entropy(gm_tape *tape, gm_var logits, gm_var classes);

/* Sum, and mean, of (a - b)^2 over each row. a [n, ...], b [n / K, ...].
 * gm_mse: GM_E_SHAPE: a row has no elements. */
GM_API gm_var gm_squared_error(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_mse(gm_tape *tape, gm_var a, gm_var b);

/* Negative log-density of x under N(mean, e^log_variance):
 * sum 1/2 (log 2 pi + log_variance + (x - mean)^2 e^-log_variance).
 * mean [n, ...]; log_variance of the same shape, or one that broadcasts to it (one element, [d],
 * [n, 1]); x [n / K, ...]. e^-log_variance overflows below about -88: bound the log-variance
 * (gm_clamp) where a network gives it. */
GM_API gm_var gm_gaussian_nll(gm_tape *tape, gm_var mean, gm_var log_variance, gm_var x);

/* KL(N(mean, e^log_variance) || N(0, 1)) = 1/2 sum mean^2 + e^log_variance - log_variance - 1
 * (Kingma and Welling 2014, appendix B). Both [n, ...]. */
GM_API gm_var gm_gaussian_kl(gm_tape *tape, gm_var mean, gm_var log_variance);

#ifdef __cplusplus
}
#endif

#endif
