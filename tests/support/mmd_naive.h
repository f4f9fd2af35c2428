/* mmd_naive.h - kernels and estimators of the maximum mean discrepancy as they are written down:
 * one pair after the other, in double. */
#ifndef GM_TESTS_MMD_NAIVE_H
#define GM_TESTS_MMD_NAIVE_H

#include "gm/mmd.h"
#include "gm/rng.h"
#include "support.h"

enum {
    NAIVE_GAUSSIAN,
    NAIVE_SERIES, /* the variances of the GMMN authors */
    NAIVE_LAPLACIAN,
    NAIVE_QUADRATIC,
    NAIVE_POLYNOMIAL,
    NAIVE_LINEAR,
    NAIVE_ALL,
    NAIVE_SORTS
};

static const double naive_variances[] = { 20, 2, 5, 80, 40, 10 };

/* All parts of sort `sort`, on ctx. */
static inline gm_mmd_kernel *naive_kernel(gm_context *ctx, int sort)
{
    gm_mmd_kernel *k = NULL;
    int all = sort == NAIVE_ALL;
    support_ok(ctx, gm_mmd_kernel_create(&k, ctx));
    if (all || sort == NAIVE_LINEAR) support_ok(ctx, gm_mmd_kernel_add_linear(k, 0.5));
    if (all || sort == NAIVE_LAPLACIAN) support_ok(ctx, gm_mmd_kernel_add_laplacian(k, 2, 1.5));
    if (all || sort == NAIVE_GAUSSIAN) support_ok(ctx, gm_mmd_kernel_add_gaussian(k, 0.75, 1.25));
    if (all || sort == NAIVE_SERIES)
        for (int i = 0; i < 6; i++)
            support_ok(ctx, gm_mmd_kernel_add_gaussian(k, 1, sqrt(naive_variances[i])));
    if (all || sort == NAIVE_QUADRATIC)
        support_ok(ctx, gm_mmd_kernel_add_rational_quadratic(k, 1.5, 0.5, 2));
    if (all || sort == NAIVE_POLYNOMIAL)
        support_ok(ctx, gm_mmd_kernel_add_polynomial(k, 0.25, 0.5, 1, 3));
    return k;
}

static inline double naive_value(const float *a, const float *b, int64_t d, int sort)
{
    double d2 = 0, p = 0, v = 0;
    int all = sort == NAIVE_ALL;
    for (int64_t i = 0; i < d; i++) {
        double away = (double)a[i] - (double)b[i];
        d2 += away * away;
        p += (double)a[i] * (double)b[i];
    }
    if (all || sort == NAIVE_LINEAR) v += 0.5 * p;
    if (all || sort == NAIVE_LAPLACIAN) v += 2 * exp(-sqrt(d2) / 1.5);
    if (all || sort == NAIVE_GAUSSIAN) v += 0.75 * exp(-d2 / (2 * 1.25 * 1.25));
    if (all || sort == NAIVE_SERIES)
        for (int i = 0; i < 6; i++) v += exp(-d2 / (2 * naive_variances[i]));
    if (all || sort == NAIVE_QUADRATIC) v += 1.5 * pow(1 + d2 / (2 * 0.5 * 2 * 2), -0.5);
    if (all || sort == NAIVE_POLYNOMIAL) v += 0.25 * pow(0.5 * p + 1, 3);
    return v;
}

/* Sum over all pairs; of a sample with itself (y NULL) without i = j unless `diagonal`. */
static inline double naive_sum(const float *x, int64_t n, const float *y, int64_t m, int64_t d,
                               int sort, int diagonal)
{
    long double sum = 0; /* of a million terms */
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < (y ? m : n); j++)
            if (y || i != j || diagonal)
                sum += naive_value(x + i * d, (y ? y : x) + j * d, d, sort);
    return (double)sum;
}

static inline double naive_mmd2(const float *x, int64_t n, const float *y, int64_t m, int64_t d,
                                int sort, int32_t estimator)
{
    int biased = estimator == GM_MMD_BIASED;
    double a = (double)n, b = (double)m, total = 0;
    int64_t block = (int64_t)floor(sqrt(a)) < 2 ? 2 : (int64_t)floor(sqrt(a));
    switch (estimator) {
    case GM_MMD_BIASED:
    case GM_MMD_UNBIASED:
        return naive_sum(x, n, NULL, 0, d, sort, biased) / (a * (biased ? a : a - 1)) +
               naive_sum(y, m, NULL, 0, d, sort, biased) / (b * (biased ? b : b - 1)) -
               2 * naive_sum(x, n, y, m, d, sort, 1) / (a * b);
    case GM_MMD_LINEAR:
        for (int64_t i = 0; i + 1 < n; i += 2) {
            const float *x0 = x + i * d, *x1 = x0 + d, *y0 = y + i * d, *y1 = y0 + d;
            total += naive_value(x0, x1, d, sort) + naive_value(y0, y1, d, sort) -
                     naive_value(x0, y1, d, sort) - naive_value(x1, y0, d, sort);
        }
        return total / (double)(n / 2);
    default:
        for (int64_t i = 0; i + block <= n; i += block)
            total += naive_mmd2(x + i * d, block, y + i * d, block, d, sort, GM_MMD_UNBIASED);
        return total / (double)(n / block);
    }
}

/* N(mean, 1) */
static inline void naive_draw(float *to, int64_t count, uint64_t seed, double mean)
{
    gm_context *ctx = support_context(seed, 1);
    gm_rng *rng = NULL;
    support_ok(ctx, gm_rng_create(&rng, ctx, seed));
    support_ok(ctx, gm_rng_normal(rng, count, mean, 1, to));
    gm_rng_release(rng);
    gm_context_release(ctx);
}

#endif
