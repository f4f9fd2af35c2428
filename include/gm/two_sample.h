/* gm/two_sample.h - do two samples come from the same distribution? A test with the maximum mean
 * discrepancy (gm/mmd.h), the moments of columns, and standardisation. */
#ifndef GM_TWO_SAMPLE_H
#define GM_TWO_SAMPLE_H

#include "gm/mmd.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Methods of the two-sample test. */
#define GM_TWO_SAMPLE_PERMUTATION 0 /* unbiased MMD^2 against its values for permuted rows */
#define GM_TWO_SAMPLE_LINEAR 1      /* linear-time estimate against N(0, its standard error^2) */

typedef struct gm_two_sample_options {
    size_t size;
    int32_t method;       /* GM_TWO_SAMPLE_*; default PERMUTATION */
    int32_t reserved;     /* 0 */
    int64_t permutations; /* 1 to 10^7; default 999. The smallest possible p-value is 1 /
                             (permutations + 1) */
    uint64_t seed;        /* of the permutations; default 0 */
    uint64_t memory;      /* bytes that the permutations may take; default 2^28. Each takes about
                             (x->count + y->count) / 8 */
    double *statistics;   /* NULL, or receives MMD^2 of each permutation, [permutations] */
    gm_progress_callback *on_progress; /* counts tiles of the kernel matrix, at most 512 x 512
                                          values each; for LINEAR terms, as gm_mmd_estimate */
    void *user;
} gm_two_sample_options;

#define GM_TWO_SAMPLE_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(gm_two_sample_options), GM_TWO_SAMPLE_PERMUTATION, 0, 999, 0, (uint64_t)1 << 28,    \
            NULL, NULL, NULL                                                                       \
    }

typedef struct gm_two_sample_result {
    size_t size; /* set by the INIT macro */
    double mmd2; /* unbiased, or linear-time */
    double p_value;
    /* of mmd2 if both distributions are the same: the standard deviation of the permuted
     * statistics, or the standard error of the linear-time estimate */
    double standard_error;
    int64_t x_count, y_count;
    int64_t permutations; /* 0: linear */
    uint64_t seed;
    const char *protocol; /* static text: "mmd permutation test", "mmd linear-time test" */
} gm_two_sample_result;

#define GM_TWO_SAMPLE_RESULT_INIT                                                                  \
    {                                                                                              \
        sizeof(gm_two_sample_result), 0.0, 0.0, 0.0, 0, 0, 0, 0, ""                                \
    }

/* Tests the hypothesis that x and y come from the same distribution; small p-values speak against
 * it.
 *
 * Permutation: the rows of both are divided anew into samples of the same sizes, B times; with b of
 * these at least as far apart as the given ones, p = (b + 1) / (B + 1), which is valid for every
 * sample size (Phipson and Smyth 2010). Ties are recognised whatever the kernel, the counts and the
 * scale: kernel values are computed in double from their two rows alone and rounded to whole
 * numbers of 2^-29 of their range (of fewer bits beyond 46 000 rows), sums of these are exact, and
 * statistics that differ by no more than that rounding are equal. So p is right for discrete rows,
 * where most statistics are ties. The kernel matrix is made tile by tile, once for its range and
 * once for the statistics, and never kept: each tile serves all permutations by two matrix
 * products. Time: (x->count + y->count)^2 (width + 2 B) multiply-adds.
 *
 * Linear: mmd2 / standard_error is N(0, 1) for many rows (Gretton et al. 2012, section 6);
 * one-sided. Time: x->count width. It needs far more rows for the same power, and x->count =
 * y->count, at least 4. If the terms have no spread, p is 1, or 0 where mmd2 is above 0.
 *
 * Columns contribute according to their scale; gm_standardise brings all columns to scale 1.
 *
 * x and y are borrowed for the call. options NULL: all defaults. GM_E_INVALID: as gm_mmd_estimate;
 * options out of range; more permutations than fit options->memory (the line says how many do).
 * GM_E_SHAPE: different widths; fewer than two rows of either; for the linear test different counts
 * or fewer than four rows. GM_E_NUMERIC: the kernel overflows on these data (polynomials do).
 * GM_E_CANCELLED. GM_E_NOMEM. After a failure *out is as before, and the contents of statistics are
 * unspecified. */
GM_API gm_status gm_two_sample_test(gm_two_sample_result *out, gm_mmd_kernel *kernel,
                                    const gm_rows *x, const gm_rows *y,
                                    const gm_two_sample_options *options);

/* Moments of one column in both samples, [0] of x and [1] of y. Matching them one after the other
 * is what the MMD does at once: two distributions (of bounded support) are equal when all their
 * moments are. */
typedef struct gm_column_moments {
    double mean[2];
    double variance[2]; /* central moment m2 = sum (x - mean)^2 / n */
    double skewness[2]; /* m3 / m2^(3/2); 0 for symmetric ones; NaN where m2 is 0 */
    double kurtosis[2]; /* m4 / m2^2; 3 for Gaussians; NaN where m2 is 0 */
} gm_column_moments;

/* The moments of every column of x and y, into moments [width], one struct per column. In double,
 * in two passes. y may be NULL; its members are then NaN. GM_E_INVALID: NULL, no rows, a width
 * below 1, more values than can be addressed; GM_E_SHAPE: different widths. */
GM_API gm_status gm_moments(gm_context *context, const gm_rows *x, const gm_rows *y,
                            gm_column_moments *moments);

/* Standardises both samples: from each column its mean over the rows of x and y together is
 * subtracted, and the result is divided by the column's standard deviation over these (divisor
 * x->count + y->count); a column whose deviation is below 1e-7 of its mean's size becomes zeros. A
 * kernel of distances weights columns by their scale, so that the column with the largest scale
 * dominates: where units are arbitrary, standardise first, then choose the bandwidth
 * (gm_median_bandwidth) and test. The pooled mean and deviation do not depend on which row belongs
 * to which sample, so the permutation test stays exact. x_values [x->count, width] and y_values
 * [y->count, width] may be the samples' own arrays. In double, in two passes. GM_E_INVALID,
 * GM_E_SHAPE: as gm_moments, with y needed; x_values or y_values is NULL. */
GM_API gm_status gm_standardise(gm_context *context, const gm_rows *x, const gm_rows *y,
                                float *x_values, float *y_values);

#ifdef __cplusplus
}
#endif

#endif
