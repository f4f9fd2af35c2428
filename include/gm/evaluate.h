/* gm/evaluate.h - how good a model is, in numbers.
 *
 * Parzen windows: a likelihood estimate for models that can only be sampled (GAN, GMMN). Breuleux,
 * Bengio and Vincent 2011; as used by Goodfellow et al. 2014 for the table that later papers
 * compare with. A Gaussian of deviation sigma is laid on each of n samples s_i of the model, and
 * rows x of d values are scored under that mixture:
 *
 *     log p(x) = log sum_i exp(-|x - s_i|^2 / (2 sigma^2)) - log n - d log(sigma sqrt(2 pi))
 *
 * sigma is chosen on validation rows, never on the test rows. The number compares models only under
 * the same protocol: the same n, the same scale of the data (for images usually [0, 1]), the same
 * way to choose sigma. In many dimensions it is a poor estimate and can rank models wrongly (Theis,
 * van den Oord and Bethge 2016); docs/evaluation.md says more.
 */
#ifndef GM_EVALUATE_H
#define GM_EVALUATE_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an evaluation found, and what must be told with the number so that another can be compared
 * with it. The caller sets `size` (the INIT macro does); a struct of an older caller gets its part.
 */
typedef struct gm_result {
    size_t size;
    double value; /* nats, unless the evaluation says otherwise; the mean over the rows where there
                     are rows */
    double standard_error; /* sd over the rows / sqrt(rows), sd with rows - 1; NaN where there is
                              one row or none. It tells of the choice of rows only, not of the
                              samples or of a training */
    int64_t samples;       /* how many samples of the model went into it; 0: none */
    int64_t rows;          /* how many test rows; 0: none */
    uint64_t seed;         /* of what was drawn at random; 0 where nothing was */
    const char *protocol;  /* static text: "parzen" */
    double sigma;          /* Parzen: the deviation of the windows; 0 for other protocols */
} gm_result;

#define GM_RESULT_INIT { sizeof(gm_result), 0.0, 0.0, 0, 0, 0, "", 0.0 }

/* Scores rows [row_count, row_size] under Gaussians of deviation sigma on samples [sample_count,
 * row_size]. Both arrays are in row-major order and borrowed for the call; sigma is in the unit of
 * the data. log_prob, if not NULL, receives log p of each row, row_count doubles.
 *
 * Distances come from matrix products in single precision, of data centred on the mean of the
 * samples; the distance to the nearest sample of each tile, and all sums over tiles, are in double.
 * log p of a row at distance r from that mean is off by about 1e-7 (r / sigma)^2 at most, and exact
 * to double where one sample is all that counts. The result is the same bits for any number of
 * threads. 10 000 samples and 10 000 rows of 784 take a few seconds. Memory: tiles, of a size that
 * depends on row_size alone.
 * on_row, if not NULL, is called on the calling thread after each finished group of rows with how
 * many rows are done; non-zero stops.
 *
 * GM_E_INVALID: NULL (but log_prob, on_row, user), a count or row_size < 1, more values than can be
 * addressed, sigma not from 1e-18 to 1e18, a value that is not finite (array, row and column are in
 * the line), out->size unknown; GM_E_NUMERIC: a row or sample is further than 1e18 from the mean of
 * the samples; GM_E_CANCELLED; GM_E_NOMEM. After a failure *out is as before, and log_prob holds
 * anything. */
GM_API gm_status gm_parzen(gm_result *out, gm_context *context, int64_t row_size,
                           const float *samples, int64_t sample_count, const float *rows,
                           int64_t row_count, double sigma, double *log_prob,
                           int32_t (*on_row)(void *user, int64_t done), void *user);

/* How many deviations the default list has: 10^(-1 + i/9), i = 0 .. 9, that is 0.1, 0.129, ... 1;
 * the list of Goodfellow et al. 2014. Li, Swersky and Zemel 2015 (GMMN) take 0.10, 0.11, ... 0.29.
 */
#define GM_PARZEN_LADDER 10

typedef struct gm_parzen_options {
    size_t size;
    const double *sigmas;     /* candidates, borrowed for the call; NULL: the default list */
    int64_t sigma_count;      /* of sigmas, 1 to 10000; 0 with NULL */
    double *validation_means; /* NULL, or receives the mean log p of the validation rows for each
                                 candidate. The best at either end of the list says that the list is
                                 too short */
    int32_t (*on_row)(void *user,
                      int64_t done); /* as in gm_parzen; counts validation rows, then test rows */
    void *user;
} gm_parzen_options;

#define GM_PARZEN_OPTIONS_INIT { sizeof(gm_parzen_options), NULL, 0, NULL, NULL, NULL }

/* The whole protocol: takes the candidate with the highest mean log p over the validation rows (the
 * first of equals), and scores the test rows with it: out->sigma, and the rest about the test rows.
 * All distances are computed once for all candidates. Arrays as in gm_parzen, each [its count,
 * row_size]. options NULL: all defaults. Statuses as gm_parzen; GM_E_INVALID also: sigmas and
 * sigma_count do not fit each other, a candidate out of range (which one is in the line). After a
 * failure *out is as before, and validation_means holds anything. */
GM_API gm_status gm_parzen_fit(gm_result *out, gm_context *context, int64_t row_size,
                               const float *samples, int64_t sample_count, const float *validation,
                               int64_t validation_count, const float *test, int64_t test_count,
                               const gm_parzen_options *options);

#ifdef __cplusplus
}
#endif

#endif
