/* test_two_sample.c - gm/mmd.h: the two-sample test's level, power and p-values, moments,
 * refusals, and every allocation failing. */
#include "allocator.h"
#include "gm/sample_quality.h"
#include "gm/two_sample.h"
#include "mmd_naive.h"

/* Under a sanitizer fewer do. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define PAIRS 40
#else
#define PAIRS 400
#endif

static float *normal(int64_t count, uint64_t seed, double mean)
{
    float *out = malloc((size_t)count * sizeof *out);
    ck_assert_ptr_nonnull(out);
    naive_draw(out, count, seed, mean);
    return out;
}

static gm_mmd_kernel *gaussian(gm_context *ctx, double bandwidth)
{
    gm_mmd_kernel *k = NULL;
    support_ok(ctx, gm_mmd_kernel_create(&k, ctx));
    support_ok(ctx, gm_mmd_kernel_add_gaussian(k, 1, bandwidth));
    return k;
}

/* Of `pairs` pairs of samples how many are told apart at 0.05. */
static int rejections(int pairs, int64_t n, int64_t d, double shift, int32_t method,
                      int64_t permutations)
{
    gm_context *ctx = support_context(1, 2);
    gm_mmd_kernel *k = gaussian(ctx, sqrt((double)d));
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    float *x = normal(pairs * n * d, 11, 0), *y = normal(pairs * n * d, 12, shift);
    int count = 0;
    o.method = method;
    o.permutations = permutations;
    for (int i = 0; i < pairs; i++) {
        gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
        o.seed = (uint64_t)i;
        support_ok(ctx, gm_two_sample_test(&r, k, support_rows(x + i * n * d, n, d),
                                           support_rows(y + i * n * d, n, d), &o));
        count += r.p_value <= 0.05;
    }
    free(x);
    free(y);
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
    return count;
}

/* 5 %, give or take 4.5 deviations of so many pairs (two-sided 1 in 150 000, whatever the seeds).
 */
START_TEST(level)
{
    int linear = _i == GM_TWO_SAMPLE_LINEAR;
    int count = rejections(PAIRS, linear ? 120 : 25, 5, 0, _i, 99);
    ck_assert_msg(fabs(count - 0.05 * PAIRS) <= 4.5 * sqrt(0.05 * 0.95 * PAIRS), "%d of %d", count,
                  PAIRS);
}
END_TEST

/* The same of rows with few values, where most statistics are ties: p is at most 0.05 in no more
 * than 5 % of the pairs, give or take. */
static const struct discrete {
    const char *name;
    double rate; /* of ones; 0: whole numbers from 0 to 2 */
    int64_t n, m, d;
} discrete[] = { { "rare bits, 30 and 10 rows", 0.1, 30, 10, 1 },
                 { "rare bits, 50 and 50 rows", 0.05, 50, 50, 1 },
                 { "even bits", 0.5, 30, 30, 1 },
                 { "three columns", 0.1, 30, 30, 3 },
                 { "three values", 0, 20, 25, 2 } };

START_TEST(level_on_discrete_rows)
{
    enum { TESTS = 4 * PAIRS };
    const struct discrete *k = &discrete[_i];
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *kernel = gaussian(ctx, 1);
    gm_rng *rng = NULL;
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    int count = 0;
    support_ok(ctx, gm_rng_create(&rng, ctx, 3));
    o.permutations = 99;
    for (int i = 0; i < TESTS; i++) {
        float x[200];
        gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
        for (int j = 0; j < (k->n + k->m) * k->d; j++) {
            double u = gm_rng_double(rng);
            x[j] = k->rate > 0 ? u < k->rate : (float)floor(3 * u);
        }
        o.seed = (uint64_t)i;
        support_ok(ctx, gm_two_sample_test(&r, kernel, support_rows(x, k->n, k->d),
                                           support_rows(x + k->n * k->d, k->m, k->d), &o));
        count += r.p_value <= 0.05;
    }
    ck_assert_msg(count <= 0.05 * TESTS + 4.5 * sqrt(0.05 * 0.95 * TESTS), "%s: %d of %d", k->name,
                  count, TESTS);
    gm_rng_release(rng);
    gm_mmd_kernel_release(kernel);
    gm_context_release(ctx);
}
END_TEST

/* One column of bits: the statistic depends on the numbers of ones alone, so that the exact p is a
 * sum of hypergeometric probabilities. Every kernel, samples of equal and of different size, four
 * scales; by gm_mmd_evaluate too. 3 x 7 x 4 x 5 comparisons: within 5.5 deviations, 1 in 50 000 for
 * all. */
static double log_choose(int64_t n, int64_t k)
{
    return lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1);
}

/* n rows with a ones against m with b. */
static double bits_mmd2(int64_t n, int64_t a, int64_t m, int64_t b, const double k[3])
{
    double p = (double)n, q = (double)m, s = (double)a, t = (double)b;
    double xx = (p - s) * (p - s - 1) * k[0] + 2 * s * (p - s) * k[1] + s * (s - 1) * k[2];
    double yy = (q - t) * (q - t - 1) * k[0] + 2 * t * (q - t) * k[1] + t * (t - 1) * k[2];
    double xy = (p - s) * (q - t) * k[0] + (s * (q - t) + t * (p - s)) * k[1] + s * t * k[2];
    return xx / (p * (p - 1)) + yy / (q * (q - 1)) - 2 * xy / (p * q);
}

/* A constant in the kernel changes nothing, and without it no digits are lost. */
static double exact_p(int64_t n, int64_t a, int64_t m, int64_t b, const double value[3])
{
    double k[3] = { value[0] - value[1], 0, value[2] - value[1] };
    double seen = bits_mmd2(n, a, m, b, k), p = 0, slack = 1e-7 * (fabs(k[0]) + fabs(k[2]));
    for (int64_t i = 0; i <= a + b && i <= n; i++)
        if (a + b - i <= m && bits_mmd2(n, i, m, a + b - i, k) >= seen - slack)
            p += exp(log_choose(n, i) + log_choose(m, a + b - i) - log_choose(n + m, a + b));
    return fmin(p, 1);
}

START_TEST(ties_are_ties)
{
    enum { B = 499 };
    static const int64_t sizes[3][2] = { { 50, 50 }, { 30, 10 }, { 12, 31 } };
    static const int64_t ones[5][2] = { { 4, 0 }, { 0, 3 }, { 2, 6 }, { 5, 5 }, { 7, 2 } };
    static const float scales[4] = { 1, 0.1f, 3e-4f, 700 };
    gm_context *ctx = support_context(1, 2);
    gm_mmd_kernel *kernel = naive_kernel(ctx, _i);
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    o.permutations = B;
    for (int z = 0; z < 3; z++)
        for (int c = 0; c < 5; c++)
            for (int s = 0; s < 4; s++) {
                int64_t n = sizes[z][0], m = sizes[z][1], a = ones[c][0], b = ones[c][1];
                float x[100], zero = 0, one = scales[s];
                gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
                double k[3] = { naive_value(&zero, &zero, 1, _i), naive_value(&zero, &one, 1, _i),
                                naive_value(&one, &one, 1, _i) };
                for (int64_t i = 0; i < n; i++) x[i] = i < a ? one : 0;
                for (int64_t i = 0; i < m; i++) x[n + i] = i < b ? one : 0;
                o.seed = (uint64_t)(20 * z + 4 * c + s);
                support_ok(ctx, gm_two_sample_test(&r, kernel, support_rows(x, n, 1),
                                                   support_rows(x + n, m, 1), &o));
                double p = exact_p(n, a, m, b, k);
                ck_assert_msg(
                    fabs(r.p_value - p) <= 5.5 * sqrt(p * (1 - p) / B) + 1.5 / B,
                    "kernel %d, %lld of %lld ones against %lld of %lld, scale %g: p is %g, "
                    "exactly %g",
                    _i, (long long)a, (long long)n, (long long)b, (long long)m, (double)one,
                    r.p_value, p);
                if (_i != NAIVE_GAUSSIAN) continue;
                gm_mmd_evaluate_options e = GM_MMD_EVALUATE_OPTIONS_INIT;
                gm_result found = GM_RESULT_INIT;
                e.bandwidth = 1.25;
                e.permutations = B;
                support_ok(ctx, gm_mmd_evaluate(&found, ctx, support_rows(x, n, 1),
                                                support_rows(x + n, m, 1), &e));
                ck_assert_double_eq_tol(found.p_value, p, 5.5 * sqrt(p * (1 - p) / B) + 1.5 / B);
            }
    gm_mmd_kernel_release(kernel);
    gm_context_release(ctx);
}
END_TEST

/* N(0, I) against N(0.3, I): 10 dimensions, 500 rows each. */
START_TEST(power)
{
    int count = rejections(10, 500, 10, 0.3, GM_TWO_SAMPLE_PERMUTATION, 99);
    ck_assert_msg(count >= 9, "%d of 10", count);
}
END_TEST

/* All 20 ways to order six rows, by the loop: each statistic must be that of a permutation drawn,
 * and p what enumerating gives. Rows on a grid make equal statistics, which count. */
START_TEST(equals_enumeration)
{
    static const float rows[6] = { 0, 1, 1, 3, 3, 4 };
    enum { B = 4000 };
    double *found = malloc(B * sizeof *found), ways[20];
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_GAUSSIAN);
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
    int count = 0, as_far = 0;
    for (int set = 0; set < 64; set++) {
        float x[3], y[3];
        int n = 0, m = 0;
        for (int i = 0; i < 6; i++)
            if (set >> i & 1)
                x[n++ % 3] = rows[i];
            else
                y[m++ % 3] = rows[i];
        if (n == 3) ways[count++] = naive_mmd2(x, 3, y, 3, 1, NAIVE_GAUSSIAN, GM_MMD_UNBIASED);
    }
    ck_assert_int_eq(count, 20);
    o.permutations = B;
    o.statistics = found;
    support_ok(
        ctx, gm_two_sample_test(&r, k, support_rows(rows, 3, 1), support_rows(rows + 3, 3, 1), &o));
    ck_assert_double_eq_tol(
        r.mmd2, naive_mmd2(rows, 3, rows + 3, 3, 1, NAIVE_GAUSSIAN, GM_MMD_UNBIASED), 1e-6);
    for (int i = 0; i < B; i++) {
        double least = 1;
        for (int j = 0; j < 20; j++) least = fmin(least, fabs(found[i] - ways[j]));
        ck_assert_double_lt(least, 1e-6);
    }
    for (int j = 0; j < 20; j++) as_far += ways[j] >= r.mmd2 - 1e-6;
    double p = as_far / 20.0;
    ck_assert_double_eq_tol(r.p_value, p, support_bound(2) * sqrt(p * (1 - p) / B));
    ck_assert(r.x_count == 3 && r.y_count == 3 && r.permutations == B);
    ck_assert_str_eq(r.protocol, "mmd permutation test");
    free(found);
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

/* More rows than a tile, samples of different size, several groups of permutations; the statistic
 * is the loop's, and neither threads nor what ran before change a bit. */
START_TEST(tiles_and_threads)
{
    enum { N = 700, M = 530, D = 3, B = 300 };
    float *x = normal(N * D, 1, 0), *y = normal(M * D, 2, 0.05);
    double found[3][B];
    gm_two_sample_result r[3];
    for (int i = 0; i < 3; i++) {
        gm_two_sample_result fresh = GM_TWO_SAMPLE_RESULT_INIT;
        gm_context *ctx = support_context((uint64_t)i, i + 1);
        gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_ALL);
        gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
        o.permutations = B;
        o.seed = 5;
        o.statistics = found[i];
        r[i] = fresh;
        support_ok(ctx,
                   gm_two_sample_test(&r[i], k, support_rows(x, N, D), support_rows(y, M, D), &o));
        gm_mmd_kernel_release(k);
        gm_context_release(ctx);
        ck_assert(r[i].mmd2 == r[0].mmd2 && r[i].p_value == r[0].p_value);
        ck_assert_int_eq(memcmp(found[i], found[0], sizeof found[0]), 0);
    }
    double want = naive_mmd2(x, N, y, M, D, NAIVE_ALL, GM_MMD_UNBIASED), mean = 0, squares = 0;
    ck_assert_double_eq_tol(r[0].mmd2, want, 1e-5 * fabs(want) + 1e-6);
    for (int i = 0; i < B; i++) mean += found[0][i] / B;
    for (int i = 0; i < B; i++) squares += (found[0][i] - mean) * (found[0][i] - mean);
    ck_assert_double_lt(fabs(mean), support_bound(2) * sqrt(squares / B / B)); /* 0 in the mean */
    ck_assert_double_eq_tol(r[0].standard_error, sqrt(squares / (B - 1)), 1e-9);
    ck_assert_uint_eq(r[0].seed, 5);
    free(x);
    free(y);
}
END_TEST

START_TEST(identical_samples_do_not_differ)
{
    float *x = normal(60, 1, 0);
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = gaussian(ctx, 1);
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    for (int32_t method = 0; method < 2; method++) {
        gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
        o.method = method;
        support_ok(ctx,
                   gm_two_sample_test(&r, k, support_rows(x, 30, 2), support_rows(x, 30, 2), &o));
        ck_assert_double_gt(r.p_value, 0.3);
    }
    for (int i = 0; i < 60; i++) x[i] = 3; /* every statistic is the same: all count */
    for (int32_t method = 0; method < 2; method++) {
        gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
        o.method = method;
        support_ok(ctx,
                   gm_two_sample_test(&r, k, support_rows(x, 10, 2), support_rows(x, 10, 2), &o));
        ck_assert_double_eq(r.p_value, 1);
    }
    free(x);
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

struct tiles {
    int64_t calls, total, stop_at;
};

static int32_t on_tile(void *user, int64_t done, int64_t total)
{
    struct tiles *t = user;
    ck_assert_int_eq(done, ++t->calls);
    t->total = total;
    return done == t->stop_at;
}

/* The host follows the tiles, and stops them: the result is as it was. */
START_TEST(stops)
{
    enum { N = 600, M = 520 }; /* two tiles of rows each: 4 x 5 / 2 tiles */
    float *x = normal(N, 1, 0), *y = normal(M, 2, 0);
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = gaussian(ctx, 1);
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
    struct tiles seen = { 0, 0, 0 };
    o.permutations = 20;
    o.on_progress = on_tile;
    o.user = &seen;
    support_ok(ctx, gm_two_sample_test(&r, k, support_rows(x, N, 1), support_rows(y, M, 1), &o));
    ck_assert(seen.calls == 20 && seen.total == 20);
    const gm_two_sample_result before = r;
    seen = (struct tiles){ 0, 0, 3 };
    support_fails(ctx, gm_two_sample_test(&r, k, support_rows(x, N, 1), support_rows(y, M, 1), &o),
                  GM_E_CANCELLED, "after 3 of 20 tiles");
    ck_assert_int_eq(seen.calls, 3);
    ck_assert(r.mmd2 == before.mmd2 && r.p_value == before.p_value);
    free(x);
    free(y);
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

START_TEST(moments)
{
    static const float x[8] = { 0, 5, 0, 5, 0, 5, 4, 5 }; /* columns 0 0 0 4 and 5 5 5 5 */
    gm_column_moments m[2];
    float *y = normal(20000, 3, 2);
    gm_context *ctx = support_context(1, 1);
    support_ok(ctx, gm_moments(ctx, support_rows(x, 4, 2), support_rows(y, 10000, 2), m));
    ck_assert(m[0].mean[0] == 1 && m[0].variance[0] == 3);
    ck_assert_double_eq_tol(m[0].skewness[0], 6 / (3 * sqrt(3)), 1e-12); /* m3 = (27 - 3) / 4 */
    ck_assert_double_eq_tol(m[0].kurtosis[0], 21.0 / 9, 1e-12);          /* m4 = (81 + 3) / 4 */
    ck_assert(m[1].mean[0] == 5 && m[1].variance[0] == 0);
    ck_assert(isnan(m[1].skewness[0]) && isnan(m[1].kurtosis[0]));
    for (int c = 0; c < 2; c++) {
        ck_assert_double_eq_tol(m[c].mean[1], 2, 0.04);
        ck_assert_double_eq_tol(m[c].variance[1], 1, 0.06);
        ck_assert_double_eq_tol(m[c].skewness[1], 0, 0.1);
        ck_assert_double_eq_tol(m[c].kurtosis[1], 3, 0.2);
    }
    support_ok(ctx, gm_moments(ctx, support_rows(y, 20000, 1), NULL, m));
    ck_assert_double_eq_tol(m[0].mean[0], 2, 0.03);
    ck_assert(isnan(m[0].mean[1]) && isnan(m[0].variance[1]));
    support_fails(ctx, gm_moments(ctx, support_rows(x, 2, 1), NULL, NULL), GM_E_INVALID,
                  "moments is NULL");
    support_fails(ctx, gm_moments(ctx, support_rows(NULL, 2, 1), NULL, m), GM_E_INVALID,
                  "x is NULL");
    support_fails(ctx, gm_moments(ctx, support_rows(x, 2, 1), support_rows(x, 0, 1), m),
                  GM_E_INVALID, "y is [0, 1]");
    support_fails(ctx, gm_moments(ctx, support_rows(x, 2, 0), support_rows(x, 2, 0), m),
                  GM_E_INVALID, "x is [2, 0]");
    ck_assert_int_eq(gm_moments(NULL, support_rows(x, 2, 1), support_rows(x, 2, 1), m),
                     GM_E_INVALID);
    gm_context_release(ctx);
    free(y);
}
END_TEST

/* By hand, in place as well; whether the large column hides the small one. */
START_TEST(standardised)
{
    static const float x[6] = { 1, 7, 3, 7, 5, 7 }, y[4] = { 1, 7, 15, 7 };
    float a[6], b[4], c[4];
    gm_context *ctx = support_context(1, 1);
    support_ok(ctx, gm_standardise(ctx, support_rows(x, 3, 2), support_rows(y, 2, 2), a, b));
    const double deviation = sqrt((16 + 4 + 0 + 16 + 100) / 5.0); /* about the mean of 5 */
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq_tol((double)a[2 * i], ((double)x[2 * i] - 5) / deviation, 1e-6);
        ck_assert(a[2 * i + 1] == 0); /* constant */
    }
    ck_assert_double_eq_tol((double)b[2], 10 / deviation, 1e-6);
    memcpy(c, y, sizeof c);
    support_ok(ctx, gm_standardise(ctx, support_rows(x, 3, 2), support_rows(c, 2, 2), a, c));
    ck_assert_mem_eq(b, c, sizeof b);

    /* column 0 is shifted by three deviations, column 1 is alike and 10^5 times as large */
    float *wide = normal(200, 3, 0), *p = malloc(400 * sizeof *p), *q = p + 200;
    double p_value[2];
    ck_assert_ptr_nonnull(p);
    for (int i = 0; i < 200; i++) p[i] = q[i] = i % 2 ? 1e5f * wide[i] : wide[i];
    for (int i = 0; i < 200; i++) q[i] = i % 2 ? 1e5f * wide[199 - i / 2] : wide[i] + 3;
    for (int scaled = 0; scaled < 2; scaled++) {
        gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
        double bandwidth;
        if (scaled)
            support_ok(ctx,
                       gm_standardise(ctx, support_rows(p, 100, 2), support_rows(q, 100, 2), p, q));
        support_ok(ctx, gm_median_bandwidth(&bandwidth, ctx, support_rows(p, 100, 2),
                                            support_rows(q, 100, 2), 1));
        gm_mmd_kernel *k = gaussian(ctx, bandwidth);
        support_ok(
            ctx, gm_two_sample_test(&r, k, support_rows(p, 100, 2), support_rows(q, 100, 2), NULL));
        p_value[scaled] = r.p_value;
        gm_mmd_kernel_release(k);
    }
    ck_assert_msg(p_value[0] > 0.01 && p_value[1] == 0.001, "p %g, standardised %g", p_value[0],
                  p_value[1]);
    free(p);
    free(wide);
    support_fails(ctx, gm_standardise(ctx, support_rows(x, 3, 2), support_rows(y, 2, 2), NULL, b),
                  GM_E_INVALID, "x_values is NULL");
    support_fails(ctx, gm_standardise(ctx, support_rows(x, 3, 2), support_rows(y, 2, 2), a, NULL),
                  GM_E_INVALID, "y_values is NULL");
    support_fails(ctx, gm_standardise(ctx, support_rows(x, 3, 2), NULL, a, b), GM_E_INVALID,
                  "y is NULL");
    support_fails(ctx, gm_standardise(ctx, support_rows(x, 3, 2), support_rows(y, 4, 1), a, b),
                  GM_E_SHAPE, "y of 1");
    ck_assert_int_eq(gm_standardise(NULL, support_rows(x, 3, 2), support_rows(y, 2, 2), a, b),
                     GM_E_INVALID);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refusals)
{
    static const float x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, broken[4] = { 1, 2, 3, NAN }, zeros[8];
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = gaussian(ctx, 1), *empty = NULL, *steep = NULL;
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
    support_ok(ctx, gm_mmd_kernel_create(&empty, ctx));
    support_ok(ctx, gm_mmd_kernel_create(&steep, ctx));
    support_ok(ctx, gm_mmd_kernel_add_polynomial(steep, 1e18, 1e18, 1, 16));
    r.mmd2 = 7;
    support_fails(ctx,
                  gm_two_sample_test(&r, k, support_rows(x, 1, 2), support_rows(x, 4, 2), NULL),
                  GM_E_SHAPE, "x has 1 rows, y 4, expected at least 2");
    support_fails(ctx,
                  gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(x, 0, 2), NULL),
                  GM_E_INVALID, "y is [0, 2]");
    support_fails(ctx,
                  gm_two_sample_test(&r, k, support_rows(NULL, 4, 2), support_rows(x, 4, 2), NULL),
                  GM_E_INVALID, "x is NULL");
    support_fails(
        ctx, gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(broken, 2, 2), NULL),
        GM_E_INVALID, "y: row 1, column 1 is nan");
    support_fails(ctx,
                  gm_two_sample_test(&r, empty, support_rows(x, 4, 2), support_rows(x, 4, 2), NULL),
                  GM_E_INVALID, "without parts");
    support_fails(ctx,
                  gm_two_sample_test(&r, steep, support_rows(x, 4, 2), support_rows(x, 4, 2), NULL),
                  GM_E_NUMERIC, "too steep");
    o.method = GM_TWO_SAMPLE_LINEAR;
    for (int same = 0; same < 2; same++)
        support_fails(ctx,
                      gm_two_sample_test(&r, steep, support_rows(x, 4, 2),
                                         support_rows(same ? x : zeros, 4, 2), &o),
                      GM_E_NUMERIC, "too steep");
    o.method = GM_TWO_SAMPLE_PERMUTATION;
    support_fails(ctx,
                  gm_two_sample_test(NULL, k, support_rows(x, 4, 2), support_rows(x, 4, 2), NULL),
                  GM_E_INVALID, "out is NULL");
    ck_assert_int_eq(
        gm_two_sample_test(&r, NULL, support_rows(x, 4, 2), support_rows(x, 4, 2), NULL),
        GM_E_INVALID);
    o.permutations = 10000;
    o.memory = 2000;
    support_fails(ctx, gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(x, 4, 2), &o),
                  GM_E_INVALID,
                  "10000 permutations of 8 rows are more than fit 2000 bytes; 999 do");
    o.permutations = 0;
    support_fails(ctx, gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(x, 4, 2), &o),
                  GM_E_INVALID, "permutations is 0, 1 to 10000000");
    o.permutations = 10;
    o.method = 2;
    support_fails(ctx, gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(x, 4, 2), &o),
                  GM_E_INVALID, "method is 2");
    o.method = GM_TWO_SAMPLE_LINEAR;
    support_fails(ctx, gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(x, 3, 2), &o),
                  GM_E_SHAPE, "x has 4 rows, y 3, expected as many of both");
    support_fails(ctx, gm_two_sample_test(&r, k, support_rows(x, 3, 2), support_rows(x, 3, 2), &o),
                  GM_E_SHAPE, "at least 4");
    o.reserved = 1;
    support_fails(ctx, gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(x, 4, 2), &o),
                  GM_E_INVALID, "reserved is 1");
    ck_assert(r.mmd2 == 7);
    o.reserved = 0;
    o.method = GM_TWO_SAMPLE_PERMUTATION;
    o.memory = 22;
    support_ok(ctx, gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(x, 4, 2),
                                       &o)); /* exactly what it takes */
    r.size = sizeof r.size + sizeof r.mmd2;  /* an older caller */
    r.p_value = 9;
    support_ok(ctx, gm_two_sample_test(&r, k, support_rows(x, 4, 2), support_rows(x, 4, 2), &o));
    ck_assert(r.p_value == 9 && r.mmd2 != 7);
    gm_mmd_kernel_release(k);
    gm_mmd_kernel_release(empty);
    gm_mmd_kernel_release(steep);
    gm_context_release(ctx);
}
END_TEST

/* All verbs, one after the other. */
static gm_status everything(gm_context *ctx)
{
    static const float x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    gm_mmd_kernel *k = NULL;
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
    gm_result value = GM_RESULT_INIT;
    double bandwidth = 0;
    float matrix[6];
    o.permutations = 3;
    gm_status s = gm_mmd_kernel_create(&k, ctx);
    if (!s)
        s = gm_median_bandwidth(&bandwidth, ctx, support_rows(x, 4, 1), support_rows(x + 4, 4, 1),
                                1);
    if (!s) s = gm_mmd_kernel_add_gaussians(k, 1, bandwidth, 2, 9);
    if (!s) s = gm_mmd_kernel_add_linear(k, 1);
    if (!s) s = gm_mmd_kernel_values(k, support_rows(x, 2, 1), support_rows(x, 3, 1), matrix);
    if (!s)
        s = gm_mmd_estimate(&value, k, support_rows(x, 4, 1), support_rows(x + 4, 4, 1),
                            GM_MMD_BIASED, NULL);
    if (!s) s = gm_two_sample_test(&r, k, support_rows(x, 4, 1), support_rows(x + 4, 4, 1), &o);
    o.method = GM_TWO_SAMPLE_LINEAR;
    if (!s) s = gm_two_sample_test(&r, k, support_rows(x, 4, 1), support_rows(x + 4, 4, 1), &o);
    ck_assert(k || s);
    if (s && k && gm_mmd_kernel_count(k)) ck_assert(gm_mmd_kernel_count(k) >= 9); /* all or none */
    gm_mmd_kernel_release(k);
    return s;
}

START_TEST(without_memory)
{
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        watched w;
        gm_allocator a = watched_begin(&w, -1);
        gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
        gm_context *ctx = NULL;
        o.allocator = &a;
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
        w.fail_at = w.calls + n;
        gm_status s = everything(ctx);
        int failed = w.calls > w.fail_at;
        failures += failed;
        ck_assert_int_eq(s, failed ? GM_E_NOMEM : GM_OK);
        ck_assert(!failed || gm_context_error(ctx)[0]);
        if (failed) support_ok(ctx, everything(ctx));
        gm_context_release(ctx);
        ck_assert(watched_clean(&w));
        if (!failed) break;
    }
    ck_assert_int_gt(failures, 12);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("mmd two-sample test");
    TCase *t = tcase_create("two_sample");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, level, 0, 2);
    tcase_add_loop_test(t, level_on_discrete_rows, 0, 5);
    tcase_add_loop_test(t, ties_are_ties, 0, NAIVE_SORTS);
    tcase_add_test(t, power);
    tcase_add_test(t, equals_enumeration);
    tcase_add_test(t, tiles_and_threads);
    tcase_add_test(t, identical_samples_do_not_differ);
    tcase_add_test(t, stops);
    tcase_add_test(t, moments);
    tcase_add_test(t, standardised);
    tcase_add_test(t, refusals);
    tcase_add_test(t, without_memory);
    suite_add_tcase(s, t);
    return s;
}
