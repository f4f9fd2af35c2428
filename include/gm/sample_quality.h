/* gm/sample_quality.h - samples of a model against data, on features.
 *
 * Features are computed by the host: usually the last hidden layer of a classifier, or pixels where
 * there is none. Numbers can be compared only for the same features.
 *
 * Common to all functions: samples and data are rows of features (gm_rows), borrowed for the call.
 * GM_E_INVALID: NULL, no rows, width < 1, more values than can be addressed, a value that is not
 * finite (array, row and column are in the line), an option out of range; GM_E_SHAPE: different
 * widths; GM_E_NUMERIC: a row is further than 1e18 from the mean; GM_E_CANCELLED; GM_E_NOMEM.
 * options NULL: all defaults. In results, samples and rows are the counts of samples and of data.
 */
#ifndef GM_SAMPLE_QUALITY_H
#define GM_SAMPLE_QUALITY_H

#include "gm/result.h"
#include "gm/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_mmd_evaluate_options {
    size_t size;
    double bandwidth; /* of the Gaussian kernel; default 0: the median distance
                         (gm_median_bandwidth) */
    /* use only this many rows of each set, from the first on; default 1000; 0: all */
    int64_t limit;
    int64_t permutations; /* default 999, 1 to 10^7 */
    uint64_t seed;        /* of the permutations, and of the rows for a median; default 1 */
    gm_progress_callback *on_progress; /* counts tiles, as the test's own */
    void *user;
} gm_mmd_evaluate_options;

#define GM_MMD_EVALUATE_OPTIONS_INIT                                                               \
    {                                                                                              \
        sizeof(gm_mmd_evaluate_options), 0.0, 1000, 999, 1, NULL, NULL                             \
    }

/* The two-sample test of gm/two_sample.h (Gretton et al. 2012) of samples against held-out data:
 * unbiased MMD^2 with one Gaussian kernel, and the p-value of the hypothesis that both come from
 * the same distribution. In *out, value is MMD^2 and p_value the p-value; sigma is the bandwidth, k
 * the number of permutations; standard_error is the standard deviation of MMD^2 under the
 * hypothesis. protocol "mmd-test". For other kernels take gm_two_sample_test itself. GM_E_INVALID
 * also: limit negative, bandwidth negative or NaN, no median (all or most distances are zero), too
 * many permutations; GM_E_SHAPE also: fewer than two rows. */
GM_API gm_status gm_mmd_evaluate(gm_result *out, gm_context *context, const gm_rows *samples,
                                 const gm_rows *data, const gm_mmd_evaluate_options *options);

typedef struct gm_kernel_distance_options {
    size_t size;
    int64_t subsets;                   /* default 100, at least 1 */
    int64_t subset;                    /* rows of each set in a subset; default 1000, at least 2 */
    uint64_t seed;                     /* of the subsets; default 1 */
    gm_progress_callback *on_progress; /* counts subsets */
    void *user;
} gm_kernel_distance_options;

#define GM_KERNEL_DISTANCE_OPTIONS_INIT                                                            \
    {                                                                                              \
        sizeof(gm_kernel_distance_options), 100, 1000, 1, NULL, NULL                               \
    }

/* KID (Binkowski, Sutherland, Arbel and Gretton 2018): unbiased MMD^2 with the kernel (a . b /
 * width + 1)^3, the mean over subsets that are drawn without replacement from each set. May be
 * negative. standard_error: sd over subsets / sqrt(subsets); subsets share rows, so it is too small
 * when a subset is a large part of the set. protocol "kid"; k is the number of subsets. Products
 * are in single precision, all else in double. Memory: 2 subset x width floats and a tile.
 * GM_E_INVALID also: subset larger than either set. */
GM_API gm_status gm_kernel_distance(gm_result *out, gm_context *context, const gm_rows *samples,
                                    const gm_rows *data, const gm_kernel_distance_options *options);

/* FID (Heusel et al. 2017): |m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)) of means and covariances
 * (divisor n - 1), all in double: the squared 2-Wasserstein distance of two Gaussians (Dowson and
 * Landau 1982). protocol "frechet"; standard_error is NaN: the estimate's bias, which falls as 1/n,
 * is larger than its spread. Compare values only for equal n. ridge, 0 or more, is added to the
 * diagonals of both covariances; 0 is fine also for singular ones, since nothing is inverted: with
 * S1 = L L^T, Tr (S1 S2)^(1/2) is the sum of the roots of the eigenvalues of L^T S2 L. A covariance
 * from no more rows than columns is always singular, and the distance is then far too large: the
 * context's log receives a warning. Memory: 3 width^2 doubles; time: rows width^2 + 6 width^3, on
 * one thread. GM_E_INVALID also: fewer than two rows, ridge negative or not finite. */
GM_API gm_status gm_frechet_distance(gm_result *out, gm_context *context, const gm_rows *samples,
                                     const gm_rows *data, double ridge);

typedef struct gm_precision_recall_options {
    size_t size;
    int64_t k; /* neighbours; default 3, from 1 to the rows of either set less one */
    gm_progress_callback *on_progress; /* counts rows */
    void *user;
} gm_precision_recall_options;

#define GM_PRECISION_RECALL_OPTIONS_INIT                                                           \
    {                                                                                              \
        sizeof(gm_precision_recall_options), 3, NULL, NULL                                         \
    }

/* Improved precision and recall (Kynkaanniemi et al. 2019). Each row of a set has a ball that
 * reaches to its k-th nearest other row of that set. precision: the share of samples that lie in
 * the ball of a data row; recall: the share of data rows that lie in the ball of a sample.
 * standard_error: sqrt(p (1 - p) / (n - 1)) with the n rows that were tested. Protocols
 * "precision", "recall". Either result may be NULL. Memory: tiles and about 9 bytes a row; time:
 * three products of all rows by all rows. GM_E_INVALID also: k too large, both NULL. */
GM_API gm_status gm_precision_recall(gm_result *precision, gm_result *recall, gm_context *context,
                                     const gm_rows *samples, const gm_rows *data,
                                     const gm_precision_recall_options *options);

typedef struct gm_nearest_options {
    size_t size;
    double threshold; /* a sample within this distance of a data row is a duplicate; default 0:
                         equal rows only */
    double *distance; /* NULL, or receives each sample's distance to its nearest data row */
    int64_t *index; /* NULL, or receives the number of that row (one of them if several are equally
                       near) */
    gm_progress_callback *on_progress; /* counts rows */
    void *user;
} gm_nearest_options;

#define GM_NEAREST_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_nearest_options), 0.0, NULL, NULL, NULL, NULL                                    \
    }

/* For each sample the nearest data row, by Euclidean distance: with the training set as data this
 * shows memorisation, which no other number here does. distance: the mean distance (protocol
 * "nearest"); duplicates: the share of samples within the threshold (protocol "duplicates", k their
 * number). The same for held-out data against the training set shows what is normal. Either result
 * may be NULL. Candidates are found by products in single precision; which of them is nearest, and
 * how near, is computed in double. GM_E_INVALID also: threshold negative or NaN, both NULL. */
GM_API gm_status gm_nearest_data(gm_result *distance, gm_result *duplicates, gm_context *context,
                                 const gm_rows *samples, const gm_rows *data,
                                 const gm_nearest_options *options);

typedef struct gm_diversity_options {
    size_t size;
    gm_progress_callback *on_progress; /* counts the rows of both sets */
    void *user;
} gm_diversity_options;

#define GM_DIVERSITY_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(gm_diversity_options), NULL, NULL                                                   \
    }

/* The mean distance between two samples divided by the mean distance between two data rows: 1 means
 * as diverse as the data, 0 a collapse to one point. standard_error: of the ratio, from those of
 * the two U-statistics (2 sd of the rows' means / sqrt(n); Hoeffding 1948), by the delta method.
 * protocol "diversity". options NULL: all defaults. GM_E_INVALID also: fewer than two rows, all
 * data rows are equal. */
GM_API gm_status gm_diversity(gm_result *out, gm_context *context, const gm_rows *samples,
                              const gm_rows *data, const gm_diversity_options *options);

#ifdef __cplusplus
}
#endif

#endif
