/* test_parzen.c - gm/parzen.h: Parzen windows against sums in double, the choice of sigma,
 * refusals. */
#include "allocator.h"
#include "gm/parzen.h"
#include "gm/rng.h"
#include "support.h"

#define LOG_SQRT_2PI 0.91893853320467274178

/* log p of one row, by the formula. */
static double direct(int64_t d, const float *samples, int64_t n, const float *x, double sigma)
{
    double most = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < n; i++) {
            double squares = 0;
            for (int64_t j = 0; j < d; j++) {
                double v = (double)x[j] - (double)samples[i * d + j];
                squares += v * v;
            }
            double e = -squares / (2 * sigma * sigma);
            if (pass)
                sum += exp(e - most);
            else if (e > most)
                most = e;
        }
    return most + log(sum) - log((double)n) - (double)d * (log(sigma) + LOG_SQRT_2PI);
}

static float *normal(gm_context *ctx, uint64_t seed, int64_t count, double mean, double deviation)
{
    float *out = malloc((size_t)count * sizeof *out);
    gm_rng *rng = NULL;
    ck_assert_ptr_nonnull(out);
    support_ok(ctx, gm_rng_create(&rng, ctx, seed));
    support_ok(ctx, gm_rng_normal(rng, count, mean, deviation, out));
    gm_rng_release(rng);
    return out;
}

static double moments(const double *values, int64_t n, double *error)
{
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) mean += values[i] / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    *error = sqrt(squares / (double)(n - 1)) / sqrt((double)n);
    return mean;
}

/* Sizes around a tile and below one; data far from the origin, where a plain |x|^2 + |s|^2 - 2 x.s
 * has no digits left; sigmas from one where the nearest sample is all to one where all are alike.
 */
START_TEST(equals_the_direct_sum)
{
    static const int64_t sizes[][3] = { { 1, 1, 1 },    { 3, 7, 5 },     { 2, 1024, 9 },
                                        { 5, 1025, 3 }, { 4, 33, 1025 }, { 17, 2100, 40 } };
    static const double sigmas[] = { 0.01, 0.2, 1, 30 };
    gm_context *ctx = support_context(1, 2);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int far = 0; far < 2; far++) {
            int64_t d = sizes[k][0], n = sizes[k][1], m = sizes[k][2];
            float *samples = normal(ctx, 2 + k, n * d, far ? 1000 : 0.25, 0.5);
            float *rows = normal(ctx, 50 + k, m * d, far ? 1000 : 0.25, 0.6);
            double *log_prob = malloc((size_t)m * sizeof *log_prob);
            ck_assert_ptr_nonnull(log_prob);
            memcpy(rows, samples + (n - 1) * d,
                   (size_t)d * sizeof *rows); /* a row that is a sample */
            for (int s = 0; s < 4; s++) {
                gm_result r = GM_RESULT_INIT;
                support_ok(ctx, gm_parzen(&r, ctx, support_rows(samples, n, d),
                                          support_rows(rows, m, d), sigmas[s], NULL, log_prob));
                for (int64_t i = 0; i < m; i++) {
                    double want = direct(d, samples, n, rows + i * d, sigmas[s]);
                    double narrow = 2e-7 * (double)d * pow(1.5 / sigmas[s], 2); /* as promised */
                    double allowed = sigmas[s] < 0.1 ? narrow : 1e-5 * (1 + fabs(want));
                    ck_assert_msg(fabs(log_prob[i] - want) <= allowed,
                                  "%lld values, %lld samples, sigma %g, row %lld: %.9g, not %.9g",
                                  (long long)d, (long long)n, sigmas[s], (long long)i, log_prob[i],
                                  want);
                }
                double error, mean = m > 1 ? moments(log_prob, m, &error) : log_prob[0];
                ck_assert_double_eq_tol(r.value, mean, 1e-9 * (1 + fabs(mean)));
                if (m > 1)
                    ck_assert_double_eq_tol(r.standard_error, error, 1e-9 * (1 + error));
                else
                    ck_assert(isnan(r.standard_error));
                ck_assert(r.samples == n && r.rows == m && r.seed == 0 && r.sigma == sigmas[s]);
                ck_assert_str_eq(r.protocol, "parzen");
                ck_assert_uint_eq(r.size, sizeof r);
            }
            free(log_prob);
            free(rows);
            free(samples);
        }
    gm_context_release(ctx);
}
END_TEST

START_TEST(one_sample_is_a_gaussian)
{
    gm_context *ctx = support_context(1, 1);
    const float sample[2] = { 3, -1 }, rows[4] = { 3, -1, 3.5f, 1 };
    double log_prob[2];
    gm_result r = GM_RESULT_INIT;
    support_ok(ctx, gm_parzen(&r, ctx, support_rows(sample, 1, 2), support_rows(rows, 2, 2), 0.5,
                              NULL, log_prob));
    double peak = -2 * (log(0.5) + LOG_SQRT_2PI);
    ck_assert_double_eq_tol(log_prob[0], peak, 1e-14);
    ck_assert_double_eq_tol(log_prob[1], peak - 4.25 / 0.5, 1e-14);
    ck_assert_double_eq_tol(r.value, peak - 4.25, 1e-14);
    ck_assert_double_eq_tol(r.standard_error, 4.25,
                            1e-14); /* sd of two values 8.5 apart, over sqrt 2 */
    /* Far out, where every exponential is 0 in double, and with windows so narrow that 1e36 is in
     * the sum. */
    support_ok(ctx, gm_parzen(&r, ctx, support_rows(sample, 1, 2), support_rows(rows + 2, 1, 2),
                              1e-3, NULL, log_prob));
    ck_assert_double_eq_tol(log_prob[0], -4.25 / 2e-6 - 2 * (log(1e-3) + LOG_SQRT_2PI), 1e-6);
    support_ok(ctx, gm_parzen(&r, ctx, support_rows(rows, 2, 2), support_rows(rows, 1, 2), 1e-18,
                              NULL, log_prob));
    ck_assert_double_eq_tol(log_prob[0], -log(2) - 2 * (log(1e-18) + LOG_SQRT_2PI), 1e-9);
    support_ok(ctx, gm_parzen(&r, ctx, support_rows(rows, 2, 2), support_rows(rows, 1, 2), 1e18,
                              NULL, log_prob));
    ck_assert_double_eq_tol(log_prob[0], -2 * (log(1e18) + LOG_SQRT_2PI),
                            1e-6); /* a float's log 2 */
    /* A struct of an older caller gets its part. */
    gm_result old = GM_RESULT_INIT;
    old.size = offsetof(gm_result, samples);
    old.samples = -5;
    support_ok(ctx, gm_parzen(&old, ctx, support_rows(sample, 1, 2), support_rows(rows, 2, 2), 0.5,
                              NULL, NULL));
    ck_assert(old.size == offsetof(gm_result, samples) && old.samples == -5);
    ck_assert_double_eq_tol(old.value, peak - 4.25, 1e-14);
    gm_context_release(ctx);
}
END_TEST

/* Samples and rows of the same normal: the best sigma lies within the list, and is the one that
 * scoring each of them alone shows. */
START_TEST(sigma_is_chosen_on_validation_rows)
{
    static const double sigmas[6] = { 2, 0.02, 0.1, 0.3, 0.31, 0.7 };
    gm_context *ctx = support_context(1, 2);
    float *samples = normal(ctx, 1, 300 * 2, 0, 1), *valid = normal(ctx, 2, 200 * 2, 0, 1);
    float *test = normal(ctx, 3, 100 * 2, 0, 1);
    double means[6] = { 0 };
    int best = 0;
    gm_parzen_fit_options o = GM_PARZEN_FIT_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT, alone = GM_RESULT_INIT;
    o.sigmas = sigmas;
    o.sigma_count = 6;
    o.validation_means = means;
    support_ok(ctx, gm_parzen_fit(&r, ctx, support_rows(samples, 300, 2),
                                  support_rows(valid, 200, 2), support_rows(test, 100, 2), &o));
    for (int i = 0; i < 6; i++) {
        support_ok(ctx, gm_parzen(&alone, ctx, support_rows(samples, 300, 2),
                                  support_rows(valid, 200, 2), sigmas[i], NULL, NULL));
        /* The list decides which distances are measured exactly. */
        ck_assert_double_eq_tol(alone.value, means[i], 1e-6 * (1 + fabs(means[i])));
        if (means[i] > means[best]) best = i;
    }
    ck_assert(best == 3 || best == 4);
    ck_assert(r.sigma == sigmas[best]);
    support_ok(ctx, gm_parzen(&alone, ctx, support_rows(samples, 300, 2),
                              support_rows(test, 100, 2), r.sigma, NULL, NULL));
    ck_assert_mem_eq(&alone.value, &r.value, sizeof r.value);
    ck_assert(alone.standard_error == r.standard_error && r.rows == 100 && r.samples == 300);
    /* Validation rows decide, not test rows: a test set on the samples themselves wants the
     * smallest. */
    support_ok(ctx, gm_parzen_fit(&r, ctx, support_rows(samples, 300, 2),
                                  support_rows(valid, 200, 2), support_rows(samples, 300, 2), &o));
    ck_assert(r.sigma == sigmas[best]);
    support_ok(ctx, gm_parzen_fit(&r, ctx, support_rows(samples, 300, 2),
                                  support_rows(samples, 300, 2), support_rows(test, 100, 2), &o));
    ck_assert(r.sigma == 0.02);
    /* The default list, and the first of equals. */
    double by_sigma[GM_PARZEN_SIGMAS];
    gm_parzen_fit_options plain = GM_PARZEN_FIT_OPTIONS_INIT;
    plain.validation_means = by_sigma;
    support_ok(ctx, gm_parzen_fit(&r, ctx, support_rows(samples, 300, 2),
                                  support_rows(valid, 200, 2), support_rows(test, 100, 2), &plain));
    for (int i = 0; i < GM_PARZEN_SIGMAS; i++) {
        double sigma = pow(10, -1 + i / 9.0);
        support_ok(ctx, gm_parzen(&alone, ctx, support_rows(samples, 300, 2),
                                  support_rows(valid, 200, 2), sigma, NULL, NULL));
        ck_assert(alone.value == by_sigma[i]);
        ck_assert(by_sigma[i] <= by_sigma[0] || r.sigma != 0.1);
    }
    gm_result again = GM_RESULT_INIT;
    support_ok(ctx, gm_parzen_fit(&again, ctx, support_rows(samples, 300, 2),
                                  support_rows(valid, 200, 2), support_rows(test, 100, 2), NULL));
    ck_assert_mem_eq(&again, &r, sizeof r);
    free(test);
    free(valid);
    free(samples);
    gm_context_release(ctx);
}
END_TEST

START_TEST(same_bytes_for_any_threads)
{
    enum { D = 60, N = 1500, M = 1100 };
    double first[M], values[M];
    gm_result one = GM_RESULT_INIT;
    for (int32_t threads = 1; threads <= 3; threads++) {
        gm_context *ctx = support_context(1, threads);
        float *samples = normal(ctx, 1, N * D, 0.5, 0.3), *rows = normal(ctx, 2, M * D, 0.5, 0.3);
        gm_result r = GM_RESULT_INIT;
        support_ok(ctx, gm_parzen(&r, ctx, support_rows(samples, N, D), support_rows(rows, M, D),
                                  0.3, NULL, values));
        if (threads == 1) memcpy(first, values, sizeof first), one = r;
        ck_assert_mem_eq(first, values, sizeof first);
        ck_assert_mem_eq(&one, &r, sizeof r);
        free(rows);
        free(samples);
        gm_context_release(ctx);
    }
}
END_TEST

/* Many tiles take what one tile takes, and all of it comes back. */
START_TEST(memory_is_a_tile)
{
    enum { D = 3, MOST = 5000 };
    uint64_t peaks[2];
    static const int64_t counts[2] = { 1024, MOST };
    for (int i = 0; i < 2; i++) {
        gm_context *ctx = support_context(1, 2);
        float *samples = normal(ctx, 1, MOST * D, 0, 1), *rows = normal(ctx, 2, MOST * D, 0, 1);
        gm_memory_counters before, after;
        gm_result r = GM_RESULT_INIT;
        gm_context_memory(&before, ctx);
        support_ok(ctx, gm_parzen_fit(&r, ctx, support_rows(samples, counts[i], D),
                                      support_rows(rows, counts[i], D),
                                      support_rows(rows, counts[i], D), NULL));
        gm_context_memory(&after, ctx);
        ck_assert_uint_eq(after.bytes, before.bytes);
        peaks[i] = after.peak_bytes;
        free(rows);
        free(samples);
        gm_context_release(ctx);
    }
    ck_assert_uint_eq(peaks[0], peaks[1]);
    ck_assert_uint_lt(peaks[1], 64 << 20);
}
END_TEST

/* log p in long double, one pair after the other. */
static double by_pairs(const float *x, const float *samples, int64_t n, int64_t d, double sigma)
{
    long double best = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < n; i++) {
            long double square = 0;
            for (int64_t j = 0; j < d; j++) {
                long double away = (long double)x[j] - (long double)samples[i * d + j];
                square += away * away;
            }
            long double e = -square / (2 * (long double)sigma * (long double)sigma);
            if (!pass && e > best) best = e;
            if (pass) sum += expl(e - best);
        }
    return (double)(best + logl(sum) - logl((long double)n) -
                    (long double)d * (logl((long double)sigma) + 0.5L * logl(2 * acosl(-1.0L))));
}

/* Windows that are narrow beside the lengths of rows: clusters far apart, small sigma, a large
 * offset, one column of another scale, rows on the samples. */
START_TEST(narrow_windows)
{
    enum { N = 300, M = 40, MOST = 10 };
    static const double sigmas[4] = { 1e-5, 0.01, 0.5, 20 };
    static const int64_t widths[3] = { 1, 4, MOST };
    gm_context *ctx = support_context(1, 2);
    float *samples = normal(ctx, 1, N * MOST, 0, 1), *rows = normal(ctx, 2, M * MOST, 0, 1);
    double log_prob[M];
    for (int where = 0; where < 6; where++)
        for (int w = 0; w < 3; w++)
            for (int s = 0; s < 4; s++) {
                int64_t d = widths[w];
                float a[N * MOST], b[M * MOST];
                gm_result r = GM_RESULT_INIT;
                for (int64_t i = 0; i < N * d; i++) {
                    double shift = where == 1 ? 1e4 * (double)(i / d % 2) : where == 2 ? 1000 : 0;
                    double scale = where == 3 && i % d == 0 ? 1e6 : where == 5 ? 1e-3 : 1;
                    a[i] = (float)(shift + scale * (double)samples[i]);
                    if (i < M * d) b[i] = (float)(shift + scale * (double)rows[i]);
                }
                if (where == 4) memcpy(b, a, sizeof b);
                support_ok(ctx, gm_parzen(&r, ctx, support_rows(a, N, d), support_rows(b, M, d),
                                          sigmas[s], NULL, log_prob));
                for (int i = 0; i < M; i++) {
                    double want = by_pairs(b + i * d, a, N, d, sigmas[s]);
                    ck_assert_msg(fabs(log_prob[i] - want) <= 2e-4 + 1e-9 * fabs(want),
                                  "rows %d, %lld columns, sigma %g, row %d: %.9g, by pairs %.9g",
                                  where, (long long)d, sigmas[s], i, log_prob[i], want);
                }
            }
    free(samples);
    free(rows);
    gm_context_release(ctx);
}
END_TEST

/* The fit finds the deviation of clusters that are far apart. */
START_TEST(distant_clusters_have_their_sigma)
{
    enum { N = 1000, M = 200, D = 4 };
    static const double sigmas[6] = { 0.05, 0.1, 0.2, 0.4, 0.8, 1.6 };
    gm_context *ctx = support_context(1, 2);
    float *a = normal(ctx, 1, N * D, 0, 0.5), *v = normal(ctx, 2, M * D, 0, 0.5);
    double means[2][6];
    gm_parzen_fit_options o = GM_PARZEN_FIT_OPTIONS_INIT;
    o.sigmas = sigmas;
    o.sigma_count = 6;
    for (int far = 0; far < 2; far++) { /* 2^13 apart, where floats still hold 2^-10 */
        gm_result r = GM_RESULT_INIT;
        for (int i = 0; i < N * D; i++)
            a[i] = rintf(a[i] * 512) / 512 + (i / D % 2 && far ? 8192 : 0);
        for (int i = 0; i < M * D; i++)
            v[i] = rintf(v[i] * 512) / 512 + (i / D % 2 && far ? 8192 : 0);
        o.validation_means = means[far];
        support_ok(ctx, gm_parzen_fit(&r, ctx, support_rows(a, N, D), support_rows(v, M, D),
                                      support_rows(v, M, D), &o));
        ck_assert_double_eq(r.sigma, 0.2);
    }
    free(a);
    free(v);
    gm_context_release(ctx);
}
END_TEST

typedef struct watch {
    int64_t calls, last, stop_at, total;
} watch;

static int32_t on_row(void *user, int64_t done, int64_t total)
{
    watch *w = user;
    ck_assert_int_eq(total, w->total);
    ck_assert_int_gt(done, w->last);
    w->calls++;
    w->last = done;
    return done >= w->stop_at;
}

START_TEST(progress_and_cancelling)
{
    enum { M = 2500 };
    gm_context *ctx = support_context(1, 1);
    float *rows = normal(ctx, 1, M, 0, 1);
    watch w = { 0, 0, INT64_MAX, M };
    gm_result r = GM_RESULT_INIT;
    gm_parzen_fit_options o = GM_PARZEN_FIT_OPTIONS_INIT;
    gm_parzen_options once = GM_PARZEN_OPTIONS_INIT;
    once.on_progress = on_row;
    once.user = &w;
    support_ok(ctx, gm_parzen(&r, ctx, support_rows(rows, 10, 1), support_rows(rows, M, 1), 0.3,
                              &once, NULL));
    ck_assert(w.calls > 1 && w.last == M);
    w = (watch){ 0, 0, INT64_MAX, 2 * M - 1 };
    o.on_progress = on_row;
    o.user = &w;
    support_ok(ctx, gm_parzen_fit(&r, ctx, support_rows(rows, 10, 1), support_rows(rows, M, 1),
                                  support_rows(rows, M - 1, 1), &o));
    ck_assert_int_eq(w.last, 2 * M - 1);
    w = (watch){ 0, 0, 1, 2 * M };
    r = (gm_result)GM_RESULT_INIT;
    r.value = 7;
    support_fails(ctx,
                  gm_parzen_fit(&r, ctx, support_rows(rows, 10, 1), support_rows(rows, M, 1),
                                support_rows(rows, M, 1), &o),
                  GM_E_CANCELLED, "parzen: stopped by the host after 1024 of 5000 rows");
    ck_assert(w.calls == 1 && r.value == 7);
    free(rows);
    gm_context_release(ctx);
}
END_TEST

#define REFUSED(call, text) support_fails(ctx, call, GM_E_INVALID, text)

START_TEST(refusals)
{
    gm_context *ctx = support_context(1, 1);
    float good[6] = { 0, 1, 2, 3, 4, 5 }, bad[6] = { 0, 1, 2, 3, (float)NAN, 5 };
    double scores[3];
    static const double none[3] = { 0, -1, 1e-19 },
                        wild[3] = { (double)INFINITY, (double)NAN, 1e19 };
    gm_result r = GM_RESULT_INIT;
    r.value = 7;
    ck_assert_int_eq(
        gm_parzen(&r, NULL, support_rows(good, 3, 2), support_rows(good, 3, 2), 1, NULL, NULL),
        GM_E_INVALID);
    ck_assert_int_eq(gm_parzen_fit(&r, NULL, support_rows(good, 3, 2), support_rows(good, 3, 2),
                                   support_rows(good, 3, 2), NULL),
                     GM_E_INVALID);
    REFUSED(gm_parzen(NULL, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2), 1, NULL, NULL),
            "out is NULL");
    REFUSED(gm_parzen_fit(NULL, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2),
                          support_rows(good, 3, 2), NULL),
            "out is NULL");
    REFUSED(gm_parzen(&r, ctx, support_rows(NULL, 3, 2), support_rows(good, 3, 2), 1, NULL, NULL),
            "samples is NULL");
    REFUSED(gm_parzen(&r, ctx, support_rows(good, 3, 2), support_rows(NULL, 3, 2), 1, NULL, NULL),
            "rows is NULL");
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(NULL, 3, 2),
                          support_rows(good, 3, 2), NULL),
            "validation is NULL");
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2),
                          support_rows(NULL, 3, 2), NULL),
            "test is NULL");
    REFUSED(gm_parzen(&r, ctx, support_rows(good, 0, 2), support_rows(good, 3, 2), 1, NULL, NULL),
            "samples is [0, 2]");
    REFUSED(gm_parzen(&r, ctx, support_rows(good, 3, 2), support_rows(good, -1, 2), 1, NULL, NULL),
            "rows is [-1, 2]");
    REFUSED(gm_parzen(&r, ctx, support_rows(good, 3, 0), support_rows(good, 3, 0), 1, NULL, NULL),
            "samples is [3, 0]");
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(good, 0, 2),
                          support_rows(good, 3, 2), NULL),
            "validation is [0, 2]");
    REFUSED(gm_parzen(&r, ctx, support_rows(good, 3, INT64_MAX), support_rows(good, 3, INT64_MAX),
                      1, NULL, NULL),
            "addressed");
    REFUSED(gm_parzen(&r, ctx, support_rows(good, 3, 2), support_rows(bad, 3, 2), 1, NULL, scores),
            "rows: row 2, column 0 is nan");
    bad[4] = -(float)INFINITY;
    REFUSED(gm_parzen(&r, ctx, support_rows(bad, 2, 3), support_rows(good, 2, 3), 1, NULL, scores),
            "samples: row 1, column 1 is -inf");
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2),
                          support_rows(bad, 3, 2), NULL),
            "test: row 2, column 0 is -inf");
    for (int i = 0; i < 3; i++) {
        REFUSED(gm_parzen(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2), none[i],
                          NULL, NULL),
                "1e-18 to 1e+18");
        REFUSED(gm_parzen(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2), wild[i],
                          NULL, NULL),
                "1e-18 to 1e+18");
    }
    gm_parzen_fit_options o = GM_PARZEN_FIT_OPTIONS_INIT;
    double list[3] = { 1, 0.5, (double)NAN };
    o.sigmas = list;
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2),
                          support_rows(good, 3, 2), &o),
            "sigma_count is 0");
    o.sigma_count = 3;
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2),
                          support_rows(good, 3, 2), &o),
            "sigma 2 is nan");
    list[2] = 0;
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2),
                          support_rows(good, 3, 2), &o),
            "sigma 2 is 0");
    o.sigma_count = -1;
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2),
                          support_rows(good, 3, 2), &o),
            "sigma_count is -1");
    o.sigmas = NULL;
    o.sigma_count = 3;
    REFUSED(gm_parzen_fit(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2),
                          support_rows(good, 3, 2), &o),
            "sigmas is NULL");
    gm_result wrong = GM_RESULT_INIT;
    wrong.size = 3;
    REFUSED(
        gm_parzen(&wrong, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2), 1, NULL, NULL),
        "out->size is 3");
    wrong.size = 4096;
    REFUSED(
        gm_parzen(&wrong, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2), 1, NULL, NULL),
        "out->size is 4096");
    good[3] = (float)1e19;
    support_fails(
        ctx, gm_parzen(&r, ctx, support_rows(bad, 1, 2), support_rows(good, 3, 2), 1, NULL, NULL),
        GM_E_NUMERIC, "rows: row 1 is 1e+19 from the mean");
    support_fails(
        ctx, gm_parzen(&r, ctx, support_rows(good, 3, 2), support_rows(good, 3, 2), 1, NULL, NULL),
        GM_E_NUMERIC, "row 0 is 3.33333e+18 from the mean");
    ck_assert(r.value == 7 && r.size == sizeof r);
    gm_context_release(ctx);
}
END_TEST

/* Every allocation fails once: the status, nothing lost, and the same context goes on to the right
 * number. */
START_TEST(without_memory)
{
    const float samples[4] = { 0, 1, 2, 3 }, rows[2] = { 0.5f, 2.5f };
    int64_t failures = 0;
    for (int fit = 0; fit < 2; fit++)
        for (int64_t n = 0;; n++) {
            watched w;
            gm_allocator a = watched_begin(&w, -1);
            gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
            gm_context *ctx = NULL;
            gm_result r = GM_RESULT_INIT;
            o.allocator = &a;
            ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
            w.fail_at = w.calls + n;
            gm_status s =
                fit ? gm_parzen_fit(&r, ctx, support_rows(samples, 4, 1), support_rows(rows, 2, 1),
                                    support_rows(rows, 2, 1), NULL)
                    : gm_parzen(&r, ctx, support_rows(samples, 4, 1), support_rows(rows, 2, 1), 0.5,
                                NULL, NULL);
            int failed = w.calls > w.fail_at;
            if (failed) {
                failures++;
                ck_assert_int_eq(s, GM_E_NOMEM);
                ck_assert(gm_context_error(ctx)[0] && r.rows == 0);
                support_ok(ctx, gm_parzen(&r, ctx, support_rows(samples, 4, 1),
                                          support_rows(rows, 2, 1), 0.5, NULL, NULL));
            } else {
                ck_assert_int_eq(s, GM_OK);
            }
            ck_assert_int_eq(r.rows, 2);
            gm_context_release(ctx);
            ck_assert(watched_clean(&w));
            if (!failed) break;
        }
    ck_assert_int_gt(failures, 6);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("parzen");
    TCase *t = tcase_create("parzen");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, equals_the_direct_sum);
    tcase_add_test(t, one_sample_is_a_gaussian);
    tcase_add_test(t, sigma_is_chosen_on_validation_rows);
    tcase_add_test(t, narrow_windows);
    tcase_add_test(t, distant_clusters_have_their_sigma);
    tcase_add_test(t, same_bytes_for_any_threads);
    tcase_add_test(t, memory_is_a_tile);
    tcase_add_test(t, progress_and_cancelling);
    tcase_add_test(t, refusals);
    tcase_add_test(t, without_memory);
    suite_add_tcase(s, t);
    return s;
}
