/* mmd.h - sums over all pairs of two samples, in tiles: the quadratic-time estimators of the
 * maximum mean discrepancy, with gradients, on plain arrays.
 *
 * A tile of products A B^T becomes squared distances |a|^2 + |b|^2 - 2 a.b (of data centred first,
 * which loses fewer digits; pairs much closer than they are long are computed directly, from the
 * rows as they were given), then kernel values and slopes. With the slopes W the gradient of
 * sum_ij k(a_i, b_j) is
 *
 *     by distance, W = 2 dk/d|a-b|^2:   d/da_i = (sum_j W_ij) a_i - sum_j W_ij b_j
 *     by product,  W = dk/d(a.b):       d/da_i = sum_j W_ij b_j
 *
 * so that a second product finishes it. Of a sample with itself only half the tiles are computed.
 * Tiles and blocks depend on sizes alone, and sums run in a fixed order: the same bits for any
 * number of threads.
 */
#ifndef GM_KERNELS_MMD_H
#define GM_KERNELS_MMD_H

#include <stddef.h>

#include "kernels/gemm.h"

typedef struct gm_mmd {
    gm_team *team;
    const gm_kernels *k;
    const gm_part *parts; /* those by distance first, then those by product */
    const double *exact;  /* `a` of each, not rounded to float */
    int32_t distances, products;
    int64_t d;
    void *work; /* gm_mmd_work_size(d) bytes, 64-byte aligned */
} gm_mmd;

/* At most 38 MiB, unless one row has more than 2^22 values. */
size_t gm_mmd_work_size(int64_t d);

/* xx sum k(x_i, x_j) + yy sum k(y_i, y_j) + xy sum k(x_i, y_j). diagonal: pairs i = j are in the
 * first two sums. */
typedef struct gm_mmd_sum {
    double xx, yy, xy;
    int diagonal;
} gm_mmd_sum;

/* x [n, d], y [m, d]. gx and gy: NULL, or the gradients are added to them. */
double gm_mmd_total(const gm_mmd *e, const gm_mmd_sum *s, const float *x, int64_t n, const float *y,
                    int64_t m, float *gx, float *gy);

/* out[i m + j] = k(x_i, y_j) */
void gm_mmd_values(const gm_mmd *e, const float *x, int64_t n, const float *y, int64_t m,
                   float *out);

/* The same in double and from the rows alone: the same bits for the same two rows, in either order,
 * wherever they stand. Needs no workspace. */
void gm_mmd_exact_values(const gm_mmd *e, const float *x, int64_t n, const float *y, int64_t m,
                         double *out);

/* The linear-time estimator: the mean over i = 0 .. pairs - 1 of
 *     k(x_2i, x_2i+1) + k(y_2i, y_2i+1) - k(x_2i, y_2i+1) - k(x_2i+1, y_2i)
 * Its gradients are added to gx and gy where these are not NULL. */
double gm_mmd_linear(const gm_mmd *e, const float *x, const float *y, int64_t pairs, float *gx,
                     float *gy);

#endif
