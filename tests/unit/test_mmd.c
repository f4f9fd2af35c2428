/* test_mmd.c - gm/mmd.h: kernels and estimators against double loops, as operation and on arrays;
 * memory, threads, refusals. Gradients are in gradcheck/mmd.c. */
#include "allocator.h"
#include "gm/ops.h"
#include "mmd_naive.h"

static float *normal(int64_t count, uint64_t seed, double mean)
{
    float *out = malloc((size_t)count * sizeof *out);
    ck_assert_ptr_nonnull(out);
    naive_draw(out, count, seed, mean);
    return out;
}

static gm_var mmd(gm_tape *t, const float *x, int64_t n, const float *y, int64_t m, int64_t d,
                  gm_mmd_kernel *k, int32_t estimator)
{
    int64_t x_shape[2] = { n, d }, y_shape[2] = { m, d };
    return gm_mmd2(t, gm_input_array(t, 2, x_shape, x), gm_input_array(t, 2, y_shape, y), k,
                   estimator);
}

/* Every sort of kernel, every estimator; sizes about blocks and tiles; data far from the origin,
 * where a plain |x|^2 + |y|^2 - 2 x.y has no digits left (but not for polynomials, which grow). */
START_TEST(equals_the_double_loop)
{
    static const int64_t sizes[][3] = {
        { 2, 2, 1 }, { 3, 7, 5 }, { 50, 50, 40 }, { 258, 255, 3 }, { 1027, 9, 2 }
    };
    gm_context *ctx = support_context(1, 2);
    gm_tape *t = NULL;
    gm_mmd_kernel *k = naive_kernel(ctx, _i);
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int far = 0; far < (_i < NAIVE_POLYNOMIAL ? 2 : 1); far++) {
            int64_t n = sizes[s][0], m = sizes[s][1], d = sizes[s][2];
            float *x = normal(n * d, 3 + s, far ? 500 : 0.1),
                  *y = normal(m * d, 40 + s, far ? 501 : 1);
            for (int32_t e = GM_MMD_BIASED; e <= GM_MMD_BLOCK; e++) {
                if (e > GM_MMD_UNBIASED && n != m) continue;
                double want = naive_mmd2(x, n, y, m, d, _i, e);
                gm_result r = GM_RESULT_INIT;
                gm_tape_reset(t);
                double found = gm_scalar(t, mmd(t, x, n, y, m, d, k, e));
                support_ok(ctx, gm_tape_status(t));
                ck_assert_msg(fabs(found - want) <= 1e-5 * fabs(want) + 1e-7,
                              "kernel %d, estimator %d, [%lld, %lld] and [%lld, ..]: %.9g, the "
                              "loop gives %.9g",
                              _i, (int)e, (long long)n, (long long)d, (long long)m, found, want);
                support_ok(ctx, gm_mmd_estimate(&r, k, support_rows(x, n, d), support_rows(y, m, d),
                                                e, NULL));
                ck_assert_double_eq_tol(r.value, want, 1e-5 * fabs(want) + 1e-7);
                ck_assert(r.samples == n && r.rows == m && r.seed == 0);
                ck_assert_int_eq(isnan(r.standard_error), e <= GM_MMD_UNBIASED || n < 4);
            }
            free(x);
            free(y);
        }
    gm_mmd_kernel_release(k);
    gm_tape_release(t);
    gm_context_release(ctx);
}
END_TEST

START_TEST(values_are_the_kernel)
{
    enum { N = 260, M = 3, D = 4 };
    float *x = normal(N * D, 1, 0), *y = normal(M * D, 2, 0.5), out[N * M];
    gm_context *ctx = support_context(1, 2);
    gm_mmd_kernel *k = naive_kernel(ctx, _i);
    memcpy(y, x + 5 * D, D * sizeof *y); /* the same row: distance 0, not nearly 0 */
    support_ok(ctx, gm_mmd_kernel_values(k, support_rows(x, N, D), support_rows(y, M, D), out));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            ck_assert_double_eq_tol((double)out[i * M + j],
                                    naive_value(x + i * D, y + j * D, D, _i), 1e-5);
    ck_assert_double_eq_tol((double)out[5 * M], naive_value(y, y, D, _i),
                            2e-7 * naive_value(y, y, D, _i));
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
    free(x);
    free(y);
}
END_TEST

/* Clusters far apart: what is small beside the lengths of rows keeps its digits. */
START_TEST(distant_clusters)
{
    enum { N = 150, MOST = 16 };
    static float x[N * MOST], y[N * MOST], out[N * N];
    static double exact[N * N];
    float *a = normal(N * MOST, 1, 0), *b = normal(N * MOST, 2, 0);
    gm_context *ctx = support_context(1, 2);
    for (int sort = 0; sort < NAIVE_POLYNOMIAL; sort++)
        for (int64_t d = 1; d <= MOST; d *= 4)
            for (double apart = 10; apart < 2e6; apart *= 10) {
                gm_mmd_kernel *k = naive_kernel(ctx, sort);
                for (int64_t i = 0; i < N * d; i++) {
                    double shift = i / d % 2 ? apart : 0;
                    x[i] = (float)((double)a[i] + shift);
                    y[i] = (float)((double)b[i] + shift);
                }
                support_ok(ctx, gm_mmd_kernel_values(k, support_rows(x, N, d),
                                                     support_rows(y, N, d), out));
                support_ok(ctx, gm_mmd_kernel_exact_values(k, support_rows(x, N, d),
                                                           support_rows(y, N, d), exact));
                for (int i = 0; i < N * N; i++) {
                    double want = naive_value(x + i / N * d, y + i % N * d, d, sort);
                    ck_assert_msg(fabs((double)out[i] - want) <= 2e-5 * want + 2e-6,
                                  "kernel %d, %g apart, %lld columns: %.9g, the loop gives %.9g",
                                  sort, apart, (long long)d, (double)out[i], want);
                    ck_assert_double_eq_tol(exact[i], want, 1e-7 * want + 1e-12);
                }
                gm_mmd_kernel_release(k);
            }
    free(a);
    free(b);
    gm_context_release(ctx);
}
END_TEST

/* The same bits for the same two rows in either order and at any place. */
START_TEST(exact_values_depend_on_the_rows_alone)
{
    enum { N = 70, D = 21 };
    static double out[N * N], back[N * N], one;
    float *x = normal(N * D, 1, 0);
    gm_context *ctx = support_context(1, 3);
    gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_ALL);
    for (int i = 0; i < N * D; i++) x[i] = (float)floor(2 * (double)x[i]) * 0.1f;
    support_ok(ctx,
               gm_mmd_kernel_exact_values(k, support_rows(x, N, D), support_rows(x, N, D), out));
    support_ok(ctx, gm_mmd_kernel_exact_values(k, support_rows(x + D, N - 1, D),
                                               support_rows(x, N, D), back));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            support_ok(ctx, gm_mmd_kernel_exact_values(k, support_rows(x + i * D, 1, D),
                                                       support_rows(x + j * D, 1, D), &one));
            ck_assert(out[i * N + j] == one && out[j * N + i] == one);
            ck_assert(!i || back[(i - 1) * N + j] == one);
        }
    support_fails(ctx,
                  gm_mmd_kernel_exact_values(k, support_rows(x, 2, 2), support_rows(x, 2, 3), out),
                  GM_E_SHAPE, "x has rows of 2 values, y of 3");
    free(x);
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

/* Terms that are 0 or equal but for rounding are so exactly, whatever the kernel and the scale. */
START_TEST(ties_of_estimates)
{
    enum { N = 64, D = 3 };
    static const float scales[4] = { 1, 0.1f, 1e-3f, 1e3f };
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = naive_kernel(ctx, _i);
    float x[N * D], y[N * D];
    for (int s = 0; s < 4; s++)
        for (int32_t e = GM_MMD_LINEAR; e <= GM_MMD_BLOCK; e++) {
            gm_result r = GM_RESULT_INIT;
            for (int i = 0; i < N;
                 i++) /* pairs of the same two rows in turned order; blocks in turned order */
                for (int c = 0; c < D; c++) {
                    x[i * D + c] = scales[s] * (float)((i + c) % 2);
                    y[i * D + c] = scales[s] * (float)((i + c + 1) % 2);
                }
            support_ok(
                ctx, gm_mmd_estimate(&r, k, support_rows(x, N, D), support_rows(x, N, D), e, NULL));
            double of_itself = r.value;
            support_ok(
                ctx, gm_mmd_estimate(&r, k, support_rows(x, N, D), support_rows(y, N, D), e, NULL));
            ck_assert_msg(r.standard_error == 0, "kernel %d, estimator %d, scale %g: %g", _i,
                          (int)e, (double)scales[s], r.standard_error);
            if (e == GM_MMD_BLOCK)
                ck_assert_double_eq_tol(r.value, of_itself, 1e-12 * naive_value(x, x, D, _i));
            for (int i = 0; i < N * D; i++) y[i] = x[i] = scales[s];
            support_ok(
                ctx, gm_mmd_estimate(&r, k, support_rows(x, N, D), support_rows(y, N, D), e, NULL));
            ck_assert(r.value == 0 && r.standard_error == 0);
        }
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

struct progress {
    int64_t calls, done, total, stop_at;
};

static int32_t on_progress(void *user, int64_t done, int64_t total)
{
    struct progress *p = user;
    ck_assert(done > p->done && done <= total);
    p->calls++;
    p->done = done;
    p->total = total;
    return done >= p->stop_at;
}

/* Every estimate tells how far it is, to the end, and stops. */
START_TEST(estimates_tell_progress_and_stop)
{
    enum { N = 2500 };
    static const int64_t calls[4] = { 55, 55, 2, 50 };
    float *x = normal(N, 1, 0), *y = normal(N, 2, 0);
    gm_context *ctx = support_context(1, 2);
    gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_GAUSSIAN);
    gm_mmd_estimate_options o = GM_MMD_ESTIMATE_OPTIONS_INIT;
    struct progress p = { 0, 0, 0, INT64_MAX };
    gm_result r = GM_RESULT_INIT;
    o.on_progress = on_progress;
    o.user = &p;
    support_ok(ctx, gm_mmd_estimate(&r, k, support_rows(x, N, 1), support_rows(y, N, 1), _i, &o));
    ck_assert_msg(p.calls == calls[_i] && p.done == p.total, "%lld calls, %lld of %lld",
                  (long long)p.calls, (long long)p.done, (long long)p.total);
    p = (struct progress){ 0, 0, 0, 1 };
    r.value = 7;
    support_fails(ctx, gm_mmd_estimate(&r, k, support_rows(x, N, 1), support_rows(y, N, 1), _i, &o),
                  GM_E_CANCELLED, _i < 2 ? "after 1 of 55 tiles" : "terms");
    ck_assert(p.calls == 1 && r.value == 7);
    free(x);
    free(y);
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

/* Exactly 0 with a gradient of 0 through the root; and a sample in another order is near it, not
 * below, not NaN. */
START_TEST(identical_samples)
{
    enum { N = 300, D = 20 };
    const int64_t shape[2] = { N, D };
    float *x = normal(N * D, 1, 0.3), *y = malloc(N * D * sizeof *y);
    gm_context *ctx = support_context(1, 2);
    gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_ALL);
    gm_tape *t = NULL;
    memcpy(y, x, N * D * sizeof *y);
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
    gm_var v = gm_variable(t, 2, shape, x);
    gm_var root = gm_sqrt(t, gm_mmd2(t, v, gm_input_array(t, 2, shape, y), k, GM_MMD_BIASED));
    support_ok(ctx, gm_backward(t, root, NULL));
    ck_assert(gm_scalar(t, root) == 0);
    for (int i = 0; i < N * D; i++) ck_assert(gm_gradient_of(t, v)[i] == 0.0f);

    for (int i = 0; i < N; i++) memcpy(y + i * D, x + (N - 1 - i) * D, D * sizeof *y);
    gm_tape_reset(t);
    v = gm_variable(t, 2, shape, x);
    root = gm_sqrt(t, gm_mmd2(t, v, gm_input_array(t, 2, shape, y), k, GM_MMD_BIASED));
    support_ok(ctx, gm_backward(t, root, NULL));
    ck_assert(gm_scalar(t, root) >= 0 && gm_scalar(t, root) < 1e-2);
    for (int i = 0; i < N * D; i++) ck_assert(isfinite(gm_gradient_of(t, v)[i]));
    gm_mmd_kernel_release(k);
    gm_tape_release(t);
    gm_context_release(ctx);
    free(x);
    free(y);
}
END_TEST

/* Of samples of one distribution the unbiased estimates are 0 in the mean; the biased ones are not.
 */
START_TEST(unbiased_is_unbiased)
{
    enum { DRAWS = 2000, N = 8, D = 2 };
    float *x = normal(DRAWS * N * D, 5, 0), *y = normal(DRAWS * N * D, 6, 0);
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_GAUSSIAN);
    gm_tape *t = NULL;
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
    for (int32_t e = GM_MMD_BIASED; e <= GM_MMD_BLOCK; e++) {
        double mean = 0, squares = 0;
        for (int i = 0; i < DRAWS; i++) {
            gm_tape_reset(t);
            double v = gm_scalar(t, mmd(t, x + i * N * D, N, y + i * N * D, N, D, k, e));
            double away = v - mean;
            mean += away / (i + 1);
            squares += away * (v - mean);
        }
        double error = sqrt(squares / (DRAWS - 1) / DRAWS);
        ck_assert_msg(e == GM_MMD_BIASED ? mean > 10 * error
                                         : fabs(mean) < support_bound(10) * error,
                      "estimator %d: mean %g, standard error %g", (int)e, mean, error);
    }
    gm_mmd_kernel_release(k);
    gm_tape_release(t);
    gm_context_release(ctx);
    free(x);
    free(y);
}
END_TEST

/* Linear and block estimates tell how sure they are: their spread over many draws. */
START_TEST(standard_errors)
{
    enum { DRAWS = 300, N = 64, D = 2 };
    float *x = normal(DRAWS * N * D, 5, 0), *y = normal(DRAWS * N * D, 6, 0.4);
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_GAUSSIAN);
    for (int32_t e = GM_MMD_LINEAR; e <= GM_MMD_BLOCK; e++) {
        double mean = 0, squares = 0, variance = 0;
        for (int i = 0; i < DRAWS; i++) {
            gm_result r = GM_RESULT_INIT;
            support_ok(ctx, gm_mmd_estimate(&r, k, support_rows(x + i * N * D, N, D),
                                            support_rows(y + i * N * D, N, D), e, NULL));
            double away = r.value - mean;
            mean += away / (i + 1);
            squares += away * (r.value - mean);
            variance += r.standard_error * r.standard_error / DRAWS;
        }
        double ratio = variance / (squares / (DRAWS - 1));
        ck_assert_msg(ratio > 0.75 && ratio < 1.33, "estimator %d: ratio %g", (int)e, ratio);
    }
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
    free(x);
    free(y);
}
END_TEST

/* Value and gradients of both samples. */
static float *all_bits(int32_t threads, int sort, int32_t estimator, int64_t n, int64_t m,
                       int64_t d)
{
    int64_t x_shape[2] = { n, d }, y_shape[2] = { m, d };
    float *x = normal(n * d, 1, 0), *y = normal(m * d, 2, 0.2);
    float *out = malloc((size_t)(1 + (n + m) * d) * sizeof *out);
    gm_context *ctx = support_context(1, threads);
    gm_mmd_kernel *k = naive_kernel(ctx, sort);
    gm_tape *t = NULL;
    ck_assert_ptr_nonnull(out);
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
    gm_var a = gm_variable(t, 2, x_shape, x), b = gm_variable(t, 2, y_shape, y);
    gm_var v = gm_mmd2(t, a, b, k, estimator);
    support_ok(ctx, gm_backward(t, v, NULL));
    out[0] = gm_value(t, v)[0];
    memcpy(out + 1, gm_gradient_of(t, a), (size_t)(n * d) * sizeof *out);
    memcpy(out + 1 + n * d, gm_gradient_of(t, b), (size_t)(m * d) * sizeof *out);
    gm_mmd_kernel_release(k);
    gm_tape_release(t);
    gm_context_release(ctx);
    free(x);
    free(y);
    return out;
}

START_TEST(same_bytes_for_any_threads)
{
    int64_t n = _i < 2 ? 1100 : 600, m = _i < 2 ? 300 : 600, d = 37;
    for (int sort = NAIVE_SERIES; sort <= NAIVE_ALL; sort += NAIVE_ALL - NAIVE_SERIES) {
        float *one = all_bits(1, sort, _i, n, m, d);
        for (int32_t threads = 2; threads < 5; threads++) {
            float *more = all_bits(threads, sort, _i, n, m, d);
            ck_assert_int_eq(memcmp(one, more, (size_t)(1 + (n + m) * d) * sizeof *one), 0);
            free(more);
        }
        free(one);
    }
}
END_TEST

START_TEST(a_second_step_allocates_nothing)
{
    enum { N = 130, D = 9 };
    const int64_t shape[2] = { N, D };
    float *x = normal(N * D, 1, 0), *y = normal(N * D, 2, 1);
    gm_context *ctx = support_context(1, 2);
    gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_ALL);
    gm_tape *t = NULL;
    gm_memory_counters first, last;
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
    for (int step = 0; step < 4; step++) {
        gm_tape_reset(t);
        gm_var v = gm_variable(t, 2, shape, x);
        gm_var cost = gm_sqrt(t, gm_mmd2(t, v, gm_input_array(t, 2, shape, y), k, GM_MMD_BIASED));
        support_ok(ctx, gm_backward(t, cost, NULL));
        gm_context_memory(step ? &last : &first, ctx);
    }
    ck_assert_uint_eq(first.allocations, last.allocations);
    gm_mmd_kernel_release(k);
    gm_tape_release(t);
    gm_context_release(ctx);
    free(x);
    free(y);
}
END_TEST

/* More rows take no more memory. */
START_TEST(memory_is_a_tile)
{
    enum { D = 3 };
    float *x = normal(6000 * D, 1, 0), *y = normal(5000 * D, 2, 1);
    uint64_t peak[2];
    for (int many = 0; many < 2; many++) {
        gm_context *ctx = support_context(1, 2);
        gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_SERIES);
        gm_memory_counters c;
        gm_result r = GM_RESULT_INIT;
        support_ok(ctx, gm_mmd_estimate(&r, k, support_rows(x, many ? 6000 : 10, D),
                                        support_rows(y, many ? 5000 : 10, D), GM_MMD_BIASED, NULL));
        gm_context_memory(&c, ctx);
        peak[many] = c.peak_bytes;
        gm_mmd_kernel_release(k);
        gm_context_release(ctx);
    }
    ck_assert_uint_eq(peak[0], peak[1]);
    ck_assert_uint_lt(peak[1], 8 << 20);
    free(x);
    free(y);
}
END_TEST

/* exp(-d^2 / (2 s)) with the authors' s is a Gaussian of bandwidth sqrt(s); a sigmas is its parts.
 */
START_TEST(scales)
{
    const float a[2] = { 0, 0 }, b[2] = { 1.5f, -2 };
    float one = 0, other = 0;
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = NULL, *parts = NULL;
    support_ok(ctx, gm_mmd_kernel_create(&k, ctx));
    support_ok(ctx, gm_mmd_kernel_create(&parts, ctx));
    support_ok(ctx, gm_mmd_kernel_add_gaussians(k, 0.5, sqrt(5), sqrt(2), 5));
    double want = 0;
    for (int s = 80; s >= 5; s /= 2) {
        support_ok(ctx, gm_mmd_kernel_add_gaussian(parts, 0.5, sqrt(s)));
        want += 0.5 * exp(-6.25 / (2 * s));
    }
    ck_assert(gm_mmd_kernel_count(k) == 5 && gm_mmd_kernel_count(parts) == 5);
    support_ok(ctx, gm_mmd_kernel_values(k, support_rows(a, 1, 2), support_rows(b, 1, 2), &one));
    support_ok(ctx,
               gm_mmd_kernel_values(parts, support_rows(a, 1, 2), support_rows(b, 1, 2), &other));
    ck_assert(one == other);
    ck_assert_double_eq_tol((double)one, want, 1e-6);
    gm_mmd_kernel_retain(k);
    gm_mmd_kernel_release(k);
    ck_assert(gm_mmd_kernel_count(k) == 5 && gm_mmd_kernel_context(k) == ctx);
    for (int i = 0; i < 40; i++)
        support_ok(ctx, gm_mmd_kernel_add_linear(k, 1)); /* the arrays grow */
    ck_assert_int_eq(gm_mmd_kernel_count(k), 45);
    gm_mmd_kernel_release(k);
    gm_mmd_kernel_release(parts);
    gm_mmd_kernel_release(NULL);
    ck_assert(gm_mmd_kernel_count(NULL) == 0 && !gm_mmd_kernel_context(NULL));
    gm_context_release(ctx);
}
END_TEST

START_TEST(median_bandwidth)
{
    static const float line[4] = { 0, 1, 3, 7 }; /* distances 1 2 3 4 6 7 */
    static const float flat[6] = { 2, 2, 2, 2, 2, 2 }, mostly[4] = { 1, 1, 1, 5 };
    static const float broken[2] = { 1, NAN };
    float *many = normal(5000 * 3, 4, 0);
    double s = 0, other = 0;
    gm_context *ctx = support_context(1, 2);
    support_ok(ctx, gm_median_bandwidth(&s, ctx, support_rows(line, 4, 1), NULL, 0));
    ck_assert_double_eq(s, 3.5);
    support_ok(ctx, gm_median_bandwidth(&s, ctx, support_rows(line, 1, 1),
                                        support_rows(line + 2, 2, 1), 0)); /* 3 4 7 */
    ck_assert_double_eq(s, 4);
    /* |x - y|^2 / 2 is chi-squared with 3 degrees; its median is 2.366 */
    support_ok(ctx, gm_median_bandwidth(&s, ctx, support_rows(many, 5000, 3), NULL, 1));
    ck_assert_double_eq_tol(s, sqrt(2 * 2.366), 0.06);
    support_ok(ctx, gm_median_bandwidth(&other, ctx, support_rows(many, 2500, 3),
                                        support_rows(many + 7500, 2500, 3), 1));
    ck_assert(s == other);
    support_ok(ctx, gm_median_bandwidth(&other, ctx, support_rows(many, 5000, 3), NULL, 2));
    ck_assert(s != other);
    s = 9;
    support_fails(
        ctx, gm_median_bandwidth(&s, ctx, support_rows(flat, 2, 2), support_rows(flat, 1, 2), 0),
        GM_E_INVALID, "all distances are zero (3 pairs)");
    support_fails(ctx, gm_median_bandwidth(&s, ctx, support_rows(mostly, 4, 1), NULL, 0), GM_OK,
                  "");
    ck_assert_double_eq(s, 2); /* 0 0 0 4 4 4: the middle two are 0 and 4 */
    support_fails(
        ctx, gm_median_bandwidth(&s, ctx, support_rows(mostly, 3, 1), support_rows(flat, 1, 1), 0),
        GM_OK, "");
    support_fails(
        ctx, gm_median_bandwidth(&s, ctx, support_rows(flat, 6, 1), support_rows(line, 1, 1), 0),
        GM_E_INVALID, "15 of 21 distances are zero");
    support_fails(ctx, gm_median_bandwidth(&s, ctx, support_rows(line, 1, 1), NULL, 0),
                  GM_E_INVALID, "one row has no distances");
    support_fails(ctx, gm_median_bandwidth(&s, ctx, support_rows(broken, 2, 1), NULL, 0),
                  GM_E_INVALID, "distance is nan");
    support_fails(ctx, gm_median_bandwidth(&s, ctx, support_rows(NULL, 1, 1), NULL, 0),
                  GM_E_INVALID, "x is NULL");
    support_fails(ctx, gm_median_bandwidth(NULL, ctx, support_rows(line, 4, 1), NULL, 0),
                  GM_E_INVALID, "out is NULL");
    support_fails(ctx, gm_median_bandwidth(&s, ctx, support_rows(line, 4, 0), NULL, 0),
                  GM_E_INVALID, "x is [4, 0]");
    gm_context_release(ctx);
    free(many);
}
END_TEST

START_TEST(kernels_refuse)
{
    static const double bad[] = { 0, -1, NAN, INFINITY, 1e-19 };
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = NULL;
    ck_assert_int_eq(gm_mmd_kernel_create(&k, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_mmd_kernel_create(NULL, ctx), GM_E_INVALID);
    support_ok(ctx, gm_mmd_kernel_create(&k, ctx));
    for (int i = 0; i < 5; i++) {
        double v = bad[i];
        support_fails(ctx, gm_mmd_kernel_add_gaussian(k, 1, v), GM_E_INVALID, "bandwidth is");
        support_fails(ctx, gm_mmd_kernel_add_laplacian(k, 1, v), GM_E_INVALID, "bandwidth is");
        support_fails(ctx, gm_mmd_kernel_add_gaussians(k, 1, v, 2, 3), GM_E_INVALID,
                      "bandwidth is");
        support_fails(ctx, gm_mmd_kernel_add_gaussians(k, 1, 1, v, 3), GM_E_INVALID, "ratio is");
        support_fails(ctx, gm_mmd_kernel_add_gaussians(k, v, 1, 2, 3), GM_E_INVALID, "weight is");
        support_fails(ctx, gm_mmd_kernel_add_rational_quadratic(k, 1, v, 1), GM_E_INVALID,
                      "alpha is");
        support_fails(ctx, gm_mmd_kernel_add_rational_quadratic(k, 1, 1, v), GM_E_INVALID,
                      "length is");
        support_fails(ctx, gm_mmd_kernel_add_polynomial(k, 1, v, 1, 2), GM_E_INVALID, "gamma is");
        support_fails(ctx, gm_mmd_kernel_add_gaussian(k, v, 1), GM_E_INVALID, "weight is");
        support_fails(ctx, gm_mmd_kernel_add_linear(k, v), GM_E_INVALID, "weight is");
    }
    support_fails(ctx, gm_mmd_kernel_add_gaussian(k, 1, -2), GM_E_INVALID,
                  "kernel: bandwidth is -2, expected 1e-18 to 1e+18");
    support_fails(ctx, gm_mmd_kernel_add_gaussians(k, 1, 1, 10, 20), GM_E_INVALID, "1e+19");
    support_fails(ctx, gm_mmd_kernel_add_gaussians(k, 1, 1, 2, 0), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_mmd_kernel_add_polynomial(k, 1, 1, -1, 2), GM_E_INVALID,
                  "constant is -1");
    support_fails(ctx, gm_mmd_kernel_add_polynomial(k, 1, 1, 0, 0), GM_E_INVALID, "degree is 0");
    support_fails(ctx, gm_mmd_kernel_add_polynomial(k, 1, 1, 0, 17), GM_E_INVALID, "degree is 17");
    ck_assert_int_eq(gm_mmd_kernel_count(k), 0);
    support_ok(ctx, gm_mmd_kernel_add_gaussians(k, 1, 1, 1, 1024));
    support_fails(ctx, gm_mmd_kernel_add_linear(k, 1), GM_E_INVALID, "1024 parts and 1 more");
    ck_assert_int_eq(gm_mmd_kernel_add_gaussian(NULL, 1, 1), GM_E_INVALID);
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

static void refused(gm_tape *t, gm_var v, gm_status status, const char *text)
{
    ck_assert_int_eq(v.recording, 0);
    ck_assert_int_eq(gm_tape_status(t), status);
    support_fails(gm_tape_context(t), gm_tape_status(t), status, text);
    gm_tape_reset(t);
}

START_TEST(estimators_refuse)
{
    static const float x[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const float broken[4] = { 1, 2, INFINITY, 4 };
    const int64_t two[1] = { 2 };
    gm_context *ctx = support_context(1, 1), *other = support_context(2, 1);
    gm_mmd_kernel *k = naive_kernel(ctx, NAIVE_SERIES),
                  *foreign = naive_kernel(other, NAIVE_SERIES);
    gm_mmd_kernel *empty = NULL;
    gm_tape *t = NULL;
    gm_result r = GM_RESULT_INIT;
    float out[4];
    support_ok(ctx, gm_mmd_kernel_create(&empty, ctx));
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
    refused(t, mmd(t, x, 1, x, 6, 2, k, GM_MMD_UNBIASED), GM_E_SHAPE,
            "mmd2: x has 1 rows, y 6, expected at least 2");
    refused(t, mmd(t, x, 6, x, 1, 2, k, GM_MMD_UNBIASED), GM_E_SHAPE, "y 1, expected at least 2");
    refused(t, mmd(t, x, 6, x, 5, 2, k, GM_MMD_LINEAR), GM_E_SHAPE, "as many of both");
    refused(t, mmd(t, x, 6, x, 5, 2, k, GM_MMD_BLOCK), GM_E_SHAPE, "as many of both");
    refused(t, mmd(t, x, 6, x, 6, 2, k, GM_MMD_BLOCKS_OF(7)), GM_E_SHAPE, "at least 7");
    refused(t, mmd(t, x, 6, x, 6, 2, k, GM_MMD_BLOCKS_OF(1)), GM_E_INVALID, "estimator is");
    refused(t, mmd(t, x, 6, x, 6, 2, k, 4), GM_E_INVALID, "estimator is 4");
    refused(t, mmd(t, x, 6, x, 6, 2, k, -1), GM_E_INVALID, "estimator is -1");
    refused(t, mmd(t, x, 6, x, 6, 2, NULL, 0), GM_E_INVALID, "the kernel is NULL");
    refused(t, mmd(t, x, 6, x, 6, 2, foreign, 0), GM_E_INVALID, "of another context");
    refused(t, mmd(t, x, 6, x, 6, 2, empty, 0), GM_E_INVALID, "without parts");
    refused(t, mmd(t, x, 0, x, 6, 2, k, 0), GM_E_SHAPE, "x has 0 rows");
    refused(t,
            gm_mmd2(t, gm_input_array(t, 2, (int64_t[]){ 3, 4 }, x),
                    gm_input_array(t, 2, (int64_t[]){ 4, 3 }, x), k, 0),
            GM_E_SHAPE, "mmd2: x is [3, 4], y is [4, 3]");
    refused(t, gm_mmd2(t, gm_input_array(t, 1, two, x), gm_input_array(t, 1, two, x), k, 0),
            GM_E_SHAPE, "x is [2]");

    r.value = 7;
    support_fails(
        ctx,
        gm_mmd_estimate(&r, k, support_rows(x, 1, 2), support_rows(x, 6, 2), GM_MMD_UNBIASED, NULL),
        GM_E_SHAPE, "x has 1 rows, y 6, expected at least 2");
    support_fails(
        ctx,
        gm_mmd_estimate(&r, k, support_rows(x, 6, 2), support_rows(x, 5, 2), GM_MMD_LINEAR, NULL),
        GM_E_SHAPE, "as many of both");
    support_fails(ctx,
                  gm_mmd_estimate(&r, k, support_rows(x, 6, 2), support_rows(x, 6, 2),
                                  GM_MMD_BLOCKS_OF(7), NULL),
                  GM_E_SHAPE, "at least 7");
    support_fails(ctx,
                  gm_mmd_estimate(&r, k, support_rows(x, 6, 2), support_rows(x, 6, 2), 9, NULL),
                  GM_E_INVALID, "estimator is 9");
    support_fails(ctx,
                  gm_mmd_estimate(&r, k, support_rows(x, 6, 2), support_rows(x, 6, 2),
                                  GM_MMD_LINEAR | 1 << 8, NULL),
                  GM_E_INVALID, "estimator is 258");
    support_fails(
        ctx, gm_mmd_estimate(&r, k, support_rows(x, 6, 2), support_rows(broken, 2, 2), 0, NULL),
        GM_E_INVALID, "mmd: y: row 1, column 0 is inf");
    support_fails(ctx,
                  gm_mmd_estimate(&r, k, support_rows(NULL, 6, 2), support_rows(x, 6, 2), 0, NULL),
                  GM_E_INVALID, "x is NULL");
    support_fails(ctx,
                  gm_mmd_estimate(&r, k, support_rows(x, 0, 2), support_rows(x, 6, 2), 0, NULL),
                  GM_E_INVALID, "x is [0, 2]");
    support_fails(ctx,
                  gm_mmd_estimate(&r, k, support_rows(x, 6, INT64_MAX),
                                  support_rows(x, 6, INT64_MAX), 0, NULL),
                  GM_E_INVALID, "addressed");
    support_fails(ctx,
                  gm_mmd_estimate(&r, empty, support_rows(x, 6, 2), support_rows(x, 6, 2), 0, NULL),
                  GM_E_INVALID, "without parts");
    support_fails(ctx,
                  gm_mmd_estimate(NULL, k, support_rows(x, 6, 2), support_rows(x, 6, 2), 0, NULL),
                  GM_E_INVALID, "out is NULL");
    ck_assert_int_eq(
        gm_mmd_estimate(&r, NULL, support_rows(x, 6, 2), support_rows(x, 6, 2), 0, NULL),
        GM_E_INVALID);
    ck_assert(r.value == 7);
    support_fails(ctx, gm_mmd_kernel_values(k, support_rows(x, 2, 2), support_rows(x, 2, 2), NULL),
                  GM_E_INVALID, "values is NULL");
    support_fails(ctx,
                  gm_mmd_kernel_values(k, support_rows(NULL, 2, 2), support_rows(x, 2, 2), out),
                  GM_E_INVALID, "x is NULL");
    support_fails(ctx,
                  gm_mmd_kernel_values(empty, support_rows(x, 2, 2), support_rows(x, 2, 2), out),
                  GM_E_INVALID, "without parts");
    ck_assert_int_eq(gm_mmd_kernel_values(NULL, support_rows(x, 2, 2), support_rows(x, 2, 2), out),
                     GM_E_INVALID);
    gm_mmd_kernel_release(k);
    gm_mmd_kernel_release(empty);
    gm_mmd_kernel_release(foreign);
    gm_tape_release(t);
    gm_context_release(ctx);
    gm_context_release(other);
}
END_TEST

/* What is not finite in a recording comes out as not finite, so that a training stops. */
START_TEST(nan_stays)
{
    float x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, y[8] = { 2, 3, 4, 5, 6, 7, 8, NAN };
    gm_context *ctx = support_context(1, 1);
    gm_tape *t = NULL;
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
    for (int sort = 0; sort < NAIVE_SORTS; sort++)
        for (int32_t e = GM_MMD_BIASED; e <= GM_MMD_BLOCK; e++) {
            gm_mmd_kernel *k = naive_kernel(ctx, sort);
            gm_tape_reset(t);
            ck_assert(!isfinite(gm_scalar(t, mmd(t, x, 4, y, 4, 2, k, e))));
            support_ok(ctx, gm_tape_status(t));
            gm_mmd_kernel_release(k);
        }
    gm_tape_release(t);
    gm_context_release(ctx);
}
END_TEST

/* An estimate from kernel values that overflow is not finite, and not 0. */
START_TEST(overflow_stays)
{
    const float x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, zeros[8] = { 0 };
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *k = NULL;
    support_ok(ctx, gm_mmd_kernel_create(&k, ctx));
    support_ok(ctx, gm_mmd_kernel_add_polynomial(k, 1e18, 1e18, 1, 16));
    for (int32_t e = GM_MMD_BIASED; e <= GM_MMD_BLOCK; e++) {
        gm_result r = GM_RESULT_INIT;
        support_ok(
            ctx, gm_mmd_estimate(&r, k, support_rows(x, 4, 2), support_rows(zeros, 4, 2), e, NULL));
        ck_assert_msg(!isfinite(r.value), "estimator %d gives %g", (int)e, r.value);
    }
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("mmd");
    TCase *t = tcase_create("mmd");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, equals_the_double_loop, 0, NAIVE_SORTS);
    tcase_add_loop_test(t, values_are_the_kernel, 0, NAIVE_SORTS);
    tcase_add_test(t, identical_samples);
    tcase_add_test(t, distant_clusters);
    tcase_add_test(t, exact_values_depend_on_the_rows_alone);
    tcase_add_loop_test(t, ties_of_estimates, 0, NAIVE_SORTS);
    tcase_add_loop_test(t, estimates_tell_progress_and_stop, GM_MMD_BIASED, GM_MMD_BLOCK + 1);
    tcase_add_test(t, unbiased_is_unbiased);
    tcase_add_test(t, standard_errors);
    tcase_add_loop_test(t, same_bytes_for_any_threads, GM_MMD_BIASED, GM_MMD_BLOCK + 1);
    tcase_add_test(t, a_second_step_allocates_nothing);
    tcase_add_test(t, memory_is_a_tile);
    tcase_add_test(t, scales);
    tcase_add_test(t, median_bandwidth);
    tcase_add_test(t, kernels_refuse);
    tcase_add_test(t, estimators_refuse);
    tcase_add_test(t, nan_stays);
    tcase_add_test(t, overflow_stays);
    suite_add_tcase(s, t);
    return s;
}
