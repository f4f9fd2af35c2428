/* gm/loss.h - losses on a tape, one value per row.
 *
 * Inputs have shape [n, ...]; the result has shape [n]: each row's loss summed over all its other
 * axes, in nats where it is a log-probability. gm_mean of the result is therefore the batch mean of
 * the loss per example.
 *
 * Targets may have n / K rows: each target row then serves K consecutive rows of the other
 * argument, as in bounds with K samples per example (see gm_repeat_rows). All other sizes must
 * agree.
 *
 * Statuses stick to the tape as described in gm/ops.h: GM_E_SHAPE: rank 0, sizes that do not fit;
 * GM_E_INVALID: a target value out of range (the error line gives its row, column and value);
 * GM_E_STALE; GM_E_NOMEM. There are gradients with respect to every argument; those of classes are
 * 0.
 *
 * A common offset of all logits does not cost precision. Where an argument is infinite the loss is
 * the limit, 0 or infinite, and the gradient of the logits is finite; where there is no limit, or
 * an argument is NaN, both are NaN. Each function says which.
 */
#ifndef GM_LOSS_H
#define GM_LOSS_H

#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Negative log-probability of a Bernoulli variable, from logits:
 * sum log(1 + e^l) - t l. logits [n, ...], target [n / K, ...] with values from 0 to 1
 * (GM_E_INVALID). At an infinite logit the loss is 0 if the target is the value that it predicts
 * with certainty, else infinite; the gradient is sigmoid(l) - t, computed with full relative
 * precision where it is small. */
GM_API gm_var gm_bce_with_logits(gm_tape *tape, gm_var logits, gm_var target);

/* Negative log-probability of a class, from logits: sum logsumexp(l) - l_class.
 * logits [n, k] and classes [n / K], or logits [n, ..., k] and classes [n / K, ...], in which case
 * the loss is summed over the middle axes. Classes are whole numbers from 0 to k - 1 stored as
 * float (GM_E_INVALID). A class whose logit is -infinity has an infinite loss. A single logit of
 * +infinity has all of the probability: the loss of its class is 0, that of all others infinite.
 * Loss and gradient are NaN where all logits are -infinity or several are +infinity. */
GM_API gm_var gm_cross_entropy(gm_tape *tape, gm_var logits, gm_var classes);

/* Sum, and mean, of (a - b)^2 over each row. a [n, ...], b [n / K, ...].
 * gm_mse: GM_E_SHAPE: a row has no elements. */
GM_API gm_var gm_squared_error(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_mse(gm_tape *tape, gm_var a, gm_var b);

/* Negative log-density of x under N(mean, e^log_variance):
 * sum 1/2 (log 2 pi + log_variance + (x - mean)^2 e^-log_variance).
 * mean [n, ...]; log_variance of the same shape, or one that broadcasts to it (one element, [d],
 * [n, 1]); x [n / K, ...]. The square overflows where |x - mean| e^(-log_variance / 2) is above
 * about 1.8e19: bound the log-variance (gm_clamp) when it is the output of a network. log_variance
 * -infinity: the loss is -infinity where x = mean, else +infinity; +infinity: +infinity. */
GM_API gm_var gm_gaussian_nll(gm_tape *tape, gm_var mean, gm_var log_variance, gm_var x);

/* KL(N(mean, e^log_variance) || N(0, 1)) = 1/2 sum mean^2 + e^log_variance - log_variance - 1
 * (Kingma and Welling 2014, appendix B). Both are [n, ...]. It is accurate also where it is small,
 * and infinite where an argument is. */
GM_API gm_var gm_gaussian_kl(gm_tape *tape, gm_var mean, gm_var log_variance);

#ifdef __cplusplus
}
#endif

#endif
