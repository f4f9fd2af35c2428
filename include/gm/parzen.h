/* gm/parzen.h - Parzen windows: a likelihood estimate for models that can only be sampled (GAN,
 * GMMN). Breuleux, Bengio and Vincent 2011; as used by Goodfellow et al. 2014 for the table with
 * which later papers compare. A Gaussian of standard deviation sigma is placed on each of n samples
 * s_i of the model, and rows x of d values are evaluated under that mixture:
 *
 *     log p(x) = log sum_i exp(-|x - s_i|^2 / (2 sigma^2)) - log n - d log(sigma sqrt(2 pi))
 *
 * sigma is chosen on validation rows, never on the test rows. The numbers of two models can be
 * compared only under the same protocol: the same n, the same scale of the data (for images usually
 * [0, 1]), the same way of choosing sigma. In many dimensions it is a poor estimate and can rank
 * models wrongly (Theis, van den Oord and Bethge 2016). */
#ifndef GM_PARZEN_H
#define GM_PARZEN_H

#include "gm/result.h"
#include "gm/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_parzen_options {
    size_t size;
    gm_progress_callback *on_progress; /* counts rows */
    void *user;
} gm_parzen_options;

#define GM_PARZEN_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(gm_parzen_options), NULL, NULL                                                      \
    }

/* Evaluates rows under Gaussians of deviation sigma, in the unit of the data, centred on samples of
 * the same width. In *out, value is the mean log p of the rows. log_prob, if not NULL, receives log
 * p of each row, [rows->count]. samples and rows are borrowed for the call.
 *
 * Distances come from matrix products in single precision, of data centred on the mean of the
 * samples. Where their rounding could change an exponent by more than 1e-4, the distances to the
 * samples that matter for a row (those not much further away than the nearest one) are computed
 * again in double, so that small windows and distant clusters lose no precision; that to the
 * nearest sample always is. All sums over tiles are in double: the error of a row's log p is about
 * 1e-4 at most, and much less where distances and sigma are of similar size. The result is bit for
 * bit the same for any number of threads. 10 000 samples and 10 000 rows of 784 take a few seconds.
 * Memory: tiles, of a size that depends on the width alone.
 *
 * options NULL: all defaults. GM_E_INVALID: NULL (except options and log_prob), no rows, a width <
 * 1, more values than can be addressed, sigma not from 1e-18 to 1e18, a value that is not finite
 * (array, row and column are in the line), out->size unknown; GM_E_SHAPE: different widths;
 * GM_E_NUMERIC: a row or sample is further than 1e18 from the mean of the samples; GM_E_CANCELLED;
 * GM_E_NOMEM. After a failure *out is as before, and the contents of log_prob are unspecified. */
GM_API gm_status gm_parzen(gm_result *out, gm_context *context, const gm_rows *samples,
                           const gm_rows *rows, double sigma, const gm_parzen_options *options,
                           double *log_prob);

/* How many deviations the default list has: 10^(-1 + i/9), i = 0 .. 9, that is 0.1, 0.129, ... 1;
 * the list of Goodfellow et al. 2014. Li, Swersky and Zemel 2015 (GMMN) take 0.10, 0.11, ... 0.29.
 */
#define GM_PARZEN_SIGMAS 10

typedef struct gm_parzen_fit_options {
    size_t size;
    const double *sigmas;     /* candidates, borrowed for the call; NULL: the default list */
    int64_t sigma_count;      /* of sigmas, 1 to 10000; 0 with NULL */
    double *validation_means; /* NULL, or receives the mean log p of the validation rows for each
                                 candidate. If the best one is at an end of the list, the list is
                                 too short */
    gm_progress_callback *on_progress; /* counts validation rows, then test rows */
    void *user;
} gm_parzen_fit_options;

#define GM_PARZEN_FIT_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(gm_parzen_fit_options), NULL, 0, NULL, NULL, NULL                                   \
    }

/* The whole protocol: takes the candidate with the highest mean log p over the validation rows (the
 * first of equals), and evaluates the test rows with it. out->sigma is that candidate; the other
 * members concern the test rows. All distances are computed once for all candidates. options NULL:
 * all defaults. Statuses as gm_parzen; GM_E_INVALID also: sigmas and sigma_count do not fit each
 * other, a candidate out of range (which one is in the line). After a failure *out is as before,
 * and the contents of validation_means are unspecified. */
GM_API gm_status gm_parzen_fit(gm_result *out, gm_context *context, const gm_rows *samples,
                               const gm_rows *validation, const gm_rows *test,
                               const gm_parzen_fit_options *options);

#ifdef __cplusplus
}
#endif

#endif
