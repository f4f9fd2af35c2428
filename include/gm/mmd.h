/* gm/mmd.h - the maximum mean discrepancy: how far apart two samples are, as a number and as a
 * loss. The two-sample test is in gm/two_sample.h.
 *
 * A positive definite kernel k is an inner product of features, k(a, b) = <f(a), f(b)>, and the MMD
 * of two distributions is the distance between their mean features (Gretton, Borgwardt, Rasch,
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
#include "gm/result.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A kernel: a weighted sum of parts, sum_p weight_p k_p(a, b). With positive weights it is positive
 * definite, as its parts are. */
typedef struct gm_mmd_kernel gm_mmd_kernel;

/* Makes a kernel without parts, which retains the context. *out is NULL after a failure.
 * GM_E_INVALID: NULL; GM_E_NOMEM. Retain adds an owner, release removes one; both accept NULL. */
GM_API gm_status gm_mmd_kernel_create(gm_mmd_kernel **out, gm_context *context);
GM_API void gm_mmd_kernel_retain(gm_mmd_kernel *kernel);
GM_API void gm_mmd_kernel_release(gm_mmd_kernel *kernel);

/* The kernel's context, borrowed; NULL for NULL. */
GM_API gm_context *gm_mmd_kernel_context(const gm_mmd_kernel *kernel);

/* How many parts the kernel has. */
GM_API int32_t gm_mmd_kernel_count(const gm_mmd_kernel *kernel);

/* Each adds a part, and fails with GM_E_INVALID (kernel NULL; a weight, bandwidth, length, alpha,
 * gamma or ratio that is not from 1e-18 to 1e18, NaN among them; more than 1024 parts) or
 * GM_E_NOMEM; after a failure the kernel is as before. |.| is the Euclidean norm.
 *
 * Gaussian: exp(-|a - b|^2 / (2 bandwidth^2)); the bandwidth is a standard deviation, in the unit
 * of the data. For exp(-|a - b|^2 / (2 s)), with variances s as in the code of Li, Swersky and
 * Zemel 2015 (GMMN; s = 2, 5, 10, 20, 40, 80), bandwidth = sqrt(s). For exp(-gamma |a - b|^2),
 * bandwidth = 1 / sqrt(2 gamma). Gaussians whose variances are successive halves of one another
 * share a single exponential. */
GM_API gm_status gm_mmd_kernel_add_gaussian(gm_mmd_kernel *kernel, double weight, double bandwidth);
/* `count` (1 to 1024) Gaussians of the same weight, with bandwidths smallest, smallest ratio,
 * smallest ratio^2, ...; either all are added or none. */
GM_API gm_status gm_mmd_kernel_add_gaussians(gm_mmd_kernel *kernel, double weight, double smallest,
                                             double ratio, int32_t count);
/* exp(-|a - b| / bandwidth), with the Euclidean norm (not the sum of |a_i - b_i| that others take).
 * Where a = b its gradient is taken as 0. */
GM_API gm_status gm_mmd_kernel_add_laplacian(gm_mmd_kernel *kernel, double weight,
                                             double bandwidth);
/* (1 + |a - b|^2 / (2 alpha length^2))^-alpha: a mixture of Gaussians of all bandwidths, with heavy
 * tails, so that there are gradients also between distant samples. */
GM_API gm_status gm_mmd_kernel_add_rational_quadratic(gm_mmd_kernel *kernel, double weight,
                                                      double alpha, double length);
/* (gamma a.b + constant)^degree, constant from 0 to 1e18, degree 1 to 16. */
GM_API gm_status gm_mmd_kernel_add_polynomial(gm_mmd_kernel *kernel, double weight, double gamma,
                                              double constant, int32_t degree);
/* a.b, with which the MMD is the distance between the two means. */
GM_API gm_status gm_mmd_kernel_add_linear(gm_mmd_kernel *kernel, double weight);

/* The kernel matrix: values[i y->count + j] = k(x_i, y_j), into values [x->count, y->count]. x, y
 * and values are the caller's, borrowed for the call; y may be x. Distances are computed as in
 * gm_mmd2: from single-precision products, or from the rows themselves where these are close
 * compared with their lengths; exactly 0 for equal rows. GM_E_INVALID: NULL, a kernel without
 * parts, no rows, a width below 1, more values than can be addressed; GM_E_SHAPE: different widths;
 * GM_E_NOMEM (the workspace is at most 38 MiB, or three rows). */
GM_API gm_status gm_mmd_kernel_values(gm_mmd_kernel *kernel, const gm_rows *x, const gm_rows *y,
                                      float *values);

/* The same in double, each value computed from its two rows alone: bit for bit the same for the
 * same two rows, in either order and wherever they are in x and y, so that sums of equal terms can
 * be compared. Several times slower; allocates nothing. */
GM_API gm_status gm_mmd_kernel_exact_values(gm_mmd_kernel *kernel, const gm_rows *x,
                                            const gm_rows *y, double *values);

/* The median heuristic for a bandwidth: the median of |a - b| over all pairs of rows of both
 * samples taken together (Gretton et al. 2012, section 8); for an even number of pairs the mean of
 * the middle two. Of more than GM_MEDIAN_ROWS rows a random subset of that size is used, drawn with
 * `seed`. y may be NULL. Choosing the bandwidth on the data that are then tested leaves a
 * permutation test valid, because the choice does not depend on which row belongs to which sample.
 * GM_E_INVALID: NULL, no rows, a width below 1, fewer than two rows together, a value that is not
 * finite; all distances, or more than half of them, are zero, so that there is no bandwidth (the
 * line says which). GM_E_SHAPE: different widths; GM_E_NOMEM. */
#define GM_MEDIAN_ROWS 1000
GM_API gm_status gm_median_bandwidth(double *out, gm_context *context, const gm_rows *x,
                                     const gm_rows *y, uint64_t seed);

/* Stores a kernel in an archive as texts under prefix (at most 63 characters; NULL: ""),
 * "<prefix>count", "<prefix>0.kind", ...; and makes a new kernel from them, which gives the same
 * values bit for bit. The file is not trusted. *out is NULL after a failure. GM_E_INVALID: NULL, a
 * prefix that is too long, a number out of the ranges above; GM_E_FORMAT: an entry is missing;
 * GM_E_NOMEM. */
GM_API gm_status gm_archive_put_kernel(gm_archive *archive, const char *prefix,
                                       const gm_mmd_kernel *kernel);
GM_API gm_status gm_archive_get_kernel(gm_mmd_kernel **out, gm_archive *archive,
                                       const char *prefix);

/* Estimators of MMD^2 from x [n, d] and y [m, d].
 *
 *   GM_MMD_BIASED    Sums over all pairs, including i = j, divided by n^2, m^2 and n m. At least 0,
 *                    and exactly 0 between a sample and itself; too high by about 2 E k / n. The
 *                    one to minimise with a square root.
 *   GM_MMD_UNBIASED  Pairs i != j divided by n (n - 1) and m (m - 1); all pairs x, y by n m. May be
 *                    below 0. n and m are at least 2.
 *   GM_MMD_LINEAR    The mean over i of
 *                    k(x_2i, x_2i+1) + k(y_2i, y_2i+1) - k(x_2i, y_2i+1) - k(x_2i+1, y_2i).
 *                    Unbiased, in time proportional to n, with a larger variance. n = m; an odd
 *                    last row is left out.
 *   GM_MMD_BLOCK     The mean of unbiased estimates over blocks of B neighbouring rows of each
 *                    sample (Zaremba, Gretton and Blaschko 2013), with B = floor(sqrt n), at least
 *                    2. n = m, at least B; rows that do not fill a block are left out.
 *   GM_MMD_BLOCKS_OF(B)  The same with the given B, 2 <= B < 2^23. */
#define GM_MMD_BIASED 0
#define GM_MMD_UNBIASED 1
#define GM_MMD_LINEAR 2
#define GM_MMD_BLOCK 3
#define GM_MMD_BLOCKS_OF(rows) (GM_MMD_BLOCK | (int32_t)(rows) << 8)

/* MMD^2 of x [n, ...] and y [m, ...], whose other axes have the same number of values; the result
 * has rank 0 and gradients with respect to both. For the MMD itself apply gm_sqrt, whose gradient
 * at 0 is 0, to the biased estimate. estimator: GM_MMD_*. The kernel is borrowed for the call.
 *
 * The gradient is computed together with the value if an input needs one, and takes as much memory
 * as the inputs that do; in addition there is a workspace of at most 38 MiB (or three rows, if
 * these are larger), whatever n and m. gm_gradient does not support this operation. The time grows
 * with the number of pairs: 50 000 rows against 50 000 take 10^10 kernel values.
 *
 * These stick to the tape: GM_E_INVALID: kernel NULL, of another context or without parts;
 * estimator unknown. GM_E_SHAPE: rank below 2, different widths, fewer rows than the estimator
 * needs, n != m where they must be equal. GM_E_STALE; GM_E_NOMEM. Values that are not finite give a
 * result that is not. */
GM_API gm_var gm_mmd2(gm_tape *tape, gm_var x, gm_var y, gm_mmd_kernel *kernel, int32_t estimator);

typedef struct gm_mmd_estimate_options {
    size_t size;
    /* Counts tiles of at most 512 x 512 kernel values; for the linear and the block estimate it
     * counts their terms (for the linear one it is called every 1024 terms). */
    gm_progress_callback *on_progress;
    void *user;
} gm_mmd_estimate_options;

#define GM_MMD_ESTIMATE_OPTIONS_INIT                                                               \
    {                                                                                              \
        sizeof(gm_mmd_estimate_options), NULL, NULL                                                \
    }

/* The same on plain rows, borrowed for the call. out->value is MMD^2, in the unit of the kernel;
 * standard_error is that of the linear and the block estimate (from the spread of their independent
 * terms), NaN for the others; samples and rows are the counts of x and y; protocol is "mmd2
 * biased", "mmd2 unbiased", "mmd2 linear" or "mmd2 block". The terms of the linear and the block
 * estimate are computed in double; terms that are 0 or equal up to rounding are treated as exactly
 * so, and so are their mean and its error: identical samples give exactly 0. Memory: a tile,
 * whatever the counts. options NULL: all defaults. Statuses as gm_mmd2, and GM_E_INVALID: NULL, no
 * rows, a width below 1, more values than can be addressed, a value that is not finite (array, row
 * and column are in the line), out->size unknown; GM_E_SHAPE: different widths; GM_E_CANCELLED.
 * After a failure *out is as before. */
GM_API gm_status gm_mmd_estimate(gm_result *out, gm_mmd_kernel *kernel, const gm_rows *x,
                                 const gm_rows *y, int32_t estimator,
                                 const gm_mmd_estimate_options *options);

#ifdef __cplusplus
}
#endif

#endif
