/* gm/mmd.h - the maximum mean discrepancy: how far two samples are apart, as a loss and as a test.
 *
 * A positive definite kernel k is an inner product of features, k(a, b) = <f(a), f(b)>, and the MMD
 * of two distributions is the distance of their mean features (Gretton, Borgwardt, Rasch,
 * Schoelkopf and Smola 2012):
 *
 *     MMD^2 = |E f(x) - E f(y)|^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)
 *
 * The features of a polynomial kernel of degree p with constant > 0 are all moments up to order p,
 * those of a Gaussian kernel (by its power series) the moments of every order: MMD 0 then means
 * equal distributions.
 *
 * Distances come from matrix products, in tiles: memory does not grow with the number of pairs.
 */
#ifndef GM_MMD_H
#define GM_MMD_H

#include "gm/archive.h"
#include "gm/evaluate.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A kernel: the sum of weighted parts, weight k(a, b) each. A sum with positive weights is positive
 * definite as its parts are. */
typedef struct gm_mmd_kernel gm_mmd_kernel;

/* A kernel without parts. It retains the context. GM_E_INVALID: NULL; GM_E_NOMEM. */
GM_API gm_status gm_mmd_kernel_create(gm_mmd_kernel **out, gm_context *context);
GM_API void gm_mmd_kernel_retain(gm_mmd_kernel *kernel);
GM_API void gm_mmd_kernel_release(gm_mmd_kernel *kernel);

/* Borrowed; NULL for NULL. */
GM_API gm_context *gm_mmd_kernel_context(const gm_mmd_kernel *kernel);

/* How many parts there are. */
GM_API int32_t gm_mmd_kernel_count(const gm_mmd_kernel *kernel);

/* Each adds a part, and fails with GM_E_INVALID (kernel NULL; a weight, bandwidth, length, alpha,
 * gamma or ratio that is not from 1e-18 to 1e18, NaN among them; more than 1024 parts) or
 * GM_E_NOMEM; the kernel is then as before. |.| is the Euclidean norm.
 *
 * Gaussian: exp(-|a - b|^2 / (2 bandwidth^2)); the bandwidth is a standard deviation, in the unit
 * of the data. Code that writes exp(-|a - b|^2 / (2 s)), as that of Li, Swersky and Zemel 2015
 * (GMMN; s = 2, 5, 10, 20, 40, 80), gives variances: bandwidth = sqrt(s). Code that writes
 * exp(-gamma |a - b|^2): bandwidth = 1 / sqrt(2 gamma). Gaussians each of half the variance of
 * another cost one exponential together. */
GM_API gm_status gm_mmd_kernel_add_gaussian(gm_mmd_kernel *kernel, double weight, double bandwidth);
/* `count` (1 to 1024) Gaussians of the same weight, of bandwidths smallest, smallest ratio,
 * smallest ratio^2 ...; all are added or none. */
GM_API gm_status gm_mmd_kernel_add_gaussians(gm_mmd_kernel *kernel, double weight, double smallest,
                                             double ratio, int32_t count);
/* exp(-|a - b| / bandwidth), with the Euclidean norm (not the sum of |a_i - b_i| that others take).
 * Where a = b its gradient is taken as 0. */
GM_API gm_status gm_mmd_kernel_add_laplacian(gm_mmd_kernel *kernel, double weight,
                                             double bandwidth);
/* (1 + |a - b|^2 / (2 alpha length^2))^-alpha: a mixture of Gaussians of all bandwidths; heavy
 * tails, so that samples far apart have gradients. */
GM_API gm_status gm_mmd_kernel_add_rational_quadratic(gm_mmd_kernel *kernel, double weight,
                                                      double alpha, double length);
/* (gamma a.b + constant)^degree, constant from 0 to 1e18, degree 1 to 16. */
GM_API gm_status gm_mmd_kernel_add_polynomial(gm_mmd_kernel *kernel, double weight, double gamma,
                                              double constant, int32_t degree);
/* a.b: the MMD is the distance of the two means. */
GM_API gm_status gm_mmd_kernel_add_linear(gm_mmd_kernel *kernel, double weight);

/* The kernel matrix: out[i y_count + j] = k(x_i, y_j), for x [x_count, row_size] and y [y_count,
 * row_size], row-major. All arrays are the caller's, borrowed for the call; y may be x. Distances
 * are those of the operation below: from single-precision products, exactly 0 for equal rows.
 * GM_E_INVALID: NULL, a kernel without parts, a count or row_size below 1, more values than can be
 * addressed; GM_E_NOMEM (for a workspace of at most 38 MiB, or three rows). */
GM_API gm_status gm_mmd_kernel_values(gm_mmd_kernel *kernel, int64_t row_size, const float *x,
                                      int64_t x_count, const float *y, int64_t y_count, float *out);

/* The median heuristic for a bandwidth: the median of |a - b| over all pairs of rows of both
 * samples taken together (Gretton et al. 2012, section 8); of an even number the mean of the middle
 * two. Of more than GM_MEDIAN_ROWS rows a subset of so many is taken, drawn from `seed`. y may be
 * NULL with y_count 0. Choosing a bandwidth on the data that a test then judges leaves a
 * permutation test valid, as the choice does not depend on which row is of which sample.
 * GM_E_INVALID: NULL, a count or row_size below 1, fewer than two rows together, a value that is
 * not finite; all distances are zero, or more than half of them, so that there is no bandwidth (the
 * line says which). GM_E_NOMEM. */
#define GM_MEDIAN_ROWS 1000
GM_API gm_status gm_median_bandwidth(double *out, gm_context *context, int64_t row_size,
                                     const float *x, int64_t x_count, const float *y,
                                     int64_t y_count, uint64_t seed);

/* A kernel in an archive: texts under prefix (at most 63 characters; NULL: ""), "<prefix>count",
 * "<prefix>0.kind", ...; and a new kernel out of them, which gives the same values bit for bit. The
 * file is not trusted. *out is NULL after a failure. GM_E_INVALID: NULL, a prefix that is too long,
 * a number out of the ranges above; GM_E_FORMAT: an entry is missing; GM_E_NOMEM. */
GM_API gm_status gm_archive_put_kernel(gm_archive *archive, const char *prefix,
                                       const gm_mmd_kernel *kernel);
GM_API gm_status gm_archive_get_kernel(gm_mmd_kernel **out, gm_archive *archive,
                                       const char *prefix);

/* Estimators of MMD^2 from x [n, d] and y [m, d].
 * Biased: all pairs, i = j among them, over n^2, m^2, n m. At least 0, and exactly 0 for a sample
 * and itself; too high by about 2 E k / n. The one to minimise with a square root.
 * Unbiased: pairs i != j over n (n - 1), m (m - 1); all pairs x, y over n m. May be below 0. n, m
 * at least 2.
 * Linear: the mean over i of k(x_2i, x_2i+1) + k(y_2i, y_2i+1) - k(x_2i, y_2i+1) - k(x_2i+1, y_2i).
 * Unbiased, in time n, of larger variance. n = m; an odd last row is left out.
 * Block: the mean of unbiased estimates over blocks of B neighbouring rows of each (Zaremba,
 * Gretton and Blaschko 2013). GM_MMD_BLOCK takes B = floor(sqrt n), at least 2; GM_MMD_BLOCKS_OF(B)
 * says it, 2 <= B < 2^23. n = m, at least B; rows that do not fill a block are left out. */
#define GM_MMD_BIASED 0
#define GM_MMD_UNBIASED 1
#define GM_MMD_LINEAR 2
#define GM_MMD_BLOCK 3
#define GM_MMD_BLOCKS_OF(rows) (GM_MMD_BLOCK | (int32_t)(rows) << 8)

/* MMD^2 of x [n, ...] and y [m, ...], whose other axes hold as many values; a result of rank 0,
 * with gradients into both. For the MMD itself take gm_sqrt, whose gradient at 0 is 0, of the
 * biased estimate. estimator: GM_MMD_*. The kernel is borrowed for the call.
 *
 * The gradient is computed with the value, when the recording has something to differentiate, and
 * takes as much memory as the inputs that need one; beside that, a workspace of at most 38 MiB (or
 * three rows, if these are larger), whatever n and m. gm_gradient does not get past this operation.
 * 50 000 rows against as many take 10^10 kernel values; there is no shortcut.
 *
 * These stick to the tape: GM_E_INVALID: kernel NULL, of another context or without parts;
 * estimator unknown. GM_E_SHAPE: rank below 2, different widths, fewer rows than the estimator
 * wants, n != m where they must be equal. GM_E_STALE; GM_E_NOMEM. Values that are not finite give a
 * result that is not. */
GM_API gm_var gm_mmd2(gm_tape *tape, gm_var x, gm_var y, gm_mmd_kernel *kernel, int32_t estimator);

/* The same on plain arrays x [x_count, row_size] and y [y_count, row_size], borrowed for the call.
 * out->value is MMD^2, in the unit of the kernel; standard_error that of the linear and the block
 * estimate (from the spread of their independent terms), NaN for the others; samples and rows the
 * rows of x and of y; protocol "mmd2 biased", "mmd2 unbiased", "mmd2 linear" or "mmd2 block".
 * Memory: as the operation's, so a tile's. As gm_mmd2, and GM_E_INVALID: NULL, a count or row_size
 * below 1, more values than can be addressed, a value that is not finite (array, row and column are
 * in the line), out->size unknown. After a failure *out is as before. */
GM_API gm_status gm_mmd_estimate(gm_result *out, gm_mmd_kernel *kernel, int64_t row_size,
                                 const float *x, int64_t x_count, const float *y, int64_t y_count,
                                 int32_t estimator);

/* Two-sample test: could both samples be of one distribution? */
#define GM_TWO_SAMPLE_PERMUTATION 0 /* unbiased MMD^2 against what it is when rows change sides */
#define GM_TWO_SAMPLE_LINEAR 1      /* linear-time estimate against N(0, its standard error^2) */

typedef struct gm_two_sample_options {
    size_t size;
    int32_t method;       /* GM_TWO_SAMPLE_*; default PERMUTATION */
    int32_t reserved;     /* 0 */
    int64_t permutations; /* 1 to 10^7; default 999. The smallest p-value is 1 / (it + 1) */
    uint64_t seed;        /* of the permutations; default 0 */
    uint64_t memory;      /* bytes that the permutations may take; default 2^28. Each takes
                             (x_count + y_count) / 8 */
    double *statistics;   /* NULL, or receives MMD^2 of each permutation */
    /* Called on the calling thread after each tile of the kernel matrix (at most 512 x 512 values),
     * how many of `total` are done; non-zero stops. NULL: not called; nor is it by LINEAR. */
    int32_t (*on_tile)(void *user, int64_t done, int64_t total);
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
    double standard_error; /* of mmd2 if both distributions are one: the deviation of the permuted
                              statistics, or that of the linear-time estimate */
    int64_t x_count, y_count;
    int64_t permutations; /* 0: linear */
    uint64_t seed;
    const char *protocol; /* static text: "mmd permutation test", "mmd linear-time test" */
} gm_two_sample_result;

#define GM_TWO_SAMPLE_RESULT_INIT                                                                  \
    {                                                                                              \
        sizeof(gm_two_sample_result), 0.0, 0.0, 0.0, 0, 0, 0, 0, ""                                \
    }

/* Small p-values speak against one distribution.
 * Permutation: the rows of both are dealt anew into samples of the same sizes, B times; with b of
 * these at least as far apart as the given ones, p = (b + 1) / (B + 1), which is valid for every
 * sample size (Phipson and Smyth 2010). What differs by rounding alone counts as equal. The kernel
 * matrix is made once, tile by tile, and never kept: each tile serves all permutations by one
 * matrix product. Time: (x_count + y_count)^2 (row_size + B) multiply-adds.
 *
 * Linear: mmd2 / standard_error is N(0, 1) for many rows (Gretton et al. 2012, section 6);
 * one-sided. Time: x_count row_size. It needs far more rows for the same power; x_count = y_count
 * >= 4.
 *
 * x [x_count, row_size], y [y_count, row_size], borrowed for the call. options NULL: all defaults.
 * GM_E_INVALID: as gm_mmd_estimate; options out of range; more permutations than fit
 * options->memory (the line tells how many do). GM_E_SHAPE: fewer than two rows of either; for the
 * linear test different counts or fewer than four rows. GM_E_NUMERIC: the kernel overflows on these
 * data (polynomials do). GM_E_CANCELLED: on_tile said so. GM_E_NOMEM. After a failure *out is as
 * before, and statistics holds anything. */
GM_API gm_status gm_two_sample_test(gm_two_sample_result *out, gm_mmd_kernel *kernel,
                                    int64_t row_size, const float *x, int64_t x_count,
                                    const float *y, int64_t y_count,
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

/* Of every column of x [x_count, row_size] and y [y_count, row_size] into out, row_size structs. In
 * double, in two passes. y may be NULL with y_count 0: then its part is NaN.
 * GM_E_INVALID: NULL, a count or row_size below 1, more values than can be addressed. */
GM_API gm_status gm_moments(gm_column_moments *out, gm_context *context, int64_t row_size,
                            const float *x, int64_t x_count, const float *y, int64_t y_count);

#ifdef __cplusplus
}
#endif

#endif
