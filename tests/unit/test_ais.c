/* test_ais.c - gm/ais.h: annealed importance sampling against exact values, refusals.
 */
#include "allocator.h"
#include "gm/ais.h"
#include "nets.h"

#define LOG_2PI 1.83787706640934548356

static void set(gm_params *params, const char *name, const float *values, int64_t count)
{
    gm_param *p = gm_params_find(params, name);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(gm_param_count(p), count);
    memcpy(gm_param_value(p), values, (size_t)count * sizeof *values);
}

#define D 3
static const float weight[D * 2] = { 1.5f, 0.5f, -1, 0.75f, 0.25f, 2 },
                              bias[D] = { 0.5f, -1, 0.25f };

/* x = W z + b + noise: linear and Gaussian. */
static gm_generator *linear(gm_context *ctx, double variance, double scale)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    head.output = GM_OUTPUT_GAUSSIAN;
    head.variance = variance;
    head.prior_scale = scale;
    gm_generator *g = nets_generator(ctx, 2, 0, D, head);
    set(gm_generator_params(g), "0.weight", weight, D * 2);
    set(gm_generator_params(g), "0.bias", bias, D);
    return g;
}

/* log N(x; b, s^2 W W^T + v I), by elimination. */
static double exact(const float *x, double variance, double scale)
{
    double s[D][D], r[D], log_det = 0, square = 0;
    for (int i = 0; i < D; i++) {
        r[i] = (double)x[i] - (double)bias[i];
        for (int j = 0; j < D; j++)
            s[i][j] = scale * scale *
                          ((double)weight[2 * i] * (double)weight[2 * j] +
                           (double)weight[2 * i + 1] * (double)weight[2 * j + 1]) +
                      (i == j ? variance : 0);
    }
    for (int i = 0; i < D; i++) {
        log_det += log(s[i][i]);
        square += r[i] * r[i] / s[i][i];
        for (int k = i + 1; k < D; k++) {
            double f = s[k][i] / s[i][i];
            for (int j = i; j < D; j++) s[k][j] -= f * s[i][j];
            r[k] -= f * r[i];
        }
    }
    return -0.5 * (D * LOG_2PI + log_det + square);
}

START_TEST(linear_gaussian_model_is_bracketed)
{
    enum { N = 16 };
    gm_context *ctx = support_context(1, 1);
    const double scale = 0.75, variance = 0.1;
    gm_generator *g = linear(ctx, variance, scale);
    gm_rng *rng = NULL;
    gm_tensor *z = NULL, *x = NULL;
    static const int64_t codes[2] = { N, 2 }, rows[2] = { N, D };
    double low[N], high[N], mean = 0;
    gm_result lower = GM_RESULT_INIT, upper = GM_RESULT_INIT;
    gm_ais_options o = GM_AIS_OPTIONS_INIT;
    support_ok(ctx, gm_rng_create(&rng, ctx, 5));
    support_ok(ctx, gm_tensor_create(&z, ctx, 2, codes));
    support_ok(ctx, gm_tensor_create(&x, ctx, 2, rows));
    support_ok(ctx, gm_generator_sample_prior(g, rng, N, gm_tensor_data(z)));
    support_ok(ctx,
               gm_generator_sample(g, gm_tensor_read(z), gm_tensor_shape(z)[0], gm_tensor_data(x)));
    o.chains = 32; /* all rows run together */
    o.temperatures = 500;
    o.leapfrog = 3;
    o.log_prob = low;
    support_ok(ctx, gm_ais(&lower, g, gm_tensor_read(x), N, &o));
    o.log_prob = high;
    support_ok(ctx, gm_ais_reverse(&upper, g, gm_tensor_read(x), gm_tensor_read(z), N, &o));
    for (int r = 0; r < N; r++) {
        double want = exact(gm_tensor_read(x) + r * D, variance, scale);
        mean += want / N;
        ck_assert_msg(fabs(low[r] - want) < 1 && fabs(high[r] - want) < 1,
                      "row %d: %g and %g, not %g", r, low[r], high[r], want);
    }
    ck_assert_msg(fabs(lower.value - mean) < 0.1 && fabs(upper.value - mean) < 0.1,
                  "%g and %g, not %g", lower.value, upper.value, mean);
    ck_assert_msg(lower.value < mean + 3 * lower.sampling_error &&
                      upper.value > mean - 3 * upper.sampling_error,
                  "%g to %g, not around %g", lower.value, upper.value, mean);
    /* One chain and few temperatures: a gap that is larger than the noise. */
    gm_result rough = GM_RESULT_INIT, over = GM_RESULT_INIT;
    o.chains = 1;
    o.temperatures = 40;
    support_ok(ctx, gm_ais(&rough, g, gm_tensor_read(x), N, &o));
    support_ok(ctx, gm_ais_reverse(&over, g, gm_tensor_read(x), gm_tensor_read(z), N, &o));
    ck_assert_msg(rough.value < mean - 0.2 && over.value > mean + 0.2, "%g to %g around %g",
                  rough.value, over.value, mean);
    ck_assert(isnan(rough.sampling_error));
    ck_assert(lower.rows == N && lower.k == 32 && lower.seed == 1 && lower.samples == 0);
    ck_assert(lower.sampling_error > 0 && lower.sampling_error < 0.1);
    ck_assert_msg(lower.acceptance > 0.5 && lower.acceptance < 0.8, "acceptance %g",
                  lower.acceptance);
    ck_assert_str_eq(lower.protocol, "ais");
    ck_assert_str_eq(upper.protocol, "ais-reverse");
    gm_tensor_release(x);
    gm_tensor_release(z);
    gm_rng_release(rng);
    gm_generator_release(g);
    gm_context_release(ctx);
}
END_TEST

/* With one temperature nothing has moved when the weight is taken: the mean of p(x | z) over draws
 * of the prior, a bound far below; more chains than run at once give what the integral is. */
START_TEST(one_temperature_is_plain_importance_sampling)
{
    gm_context *ctx = support_context(1, 1);
    gm_generator *g = linear(ctx, 1, 1);
    const float x[D] = { 0.5f, -0.5f, 1 };
    gm_ais_options o = GM_AIS_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT;
    o.temperatures = 1;
    o.chains = 3000;
    o.leapfrog = 1;
    support_ok(ctx, gm_ais(&r, g, x, 1, &o));
    ck_assert(isnan(r.standard_error) && r.rows == 1 && r.k == 3000);
    ck_assert(r.sampling_error > 0 && r.sampling_error < 0.1);
    ck_assert_double_eq_tol(r.value, exact(x, 1, 1), support_bound(2) * r.sampling_error);
    gm_generator_release(g);
    gm_context_release(ctx);
}
END_TEST

/* log p(x) = log integral N(z) p(x | z) dz in one dimension, by the trapezium rule. */
static double integrate(gm_context *ctx, gm_generator *g, const float *x, int64_t width)
{
    enum { POINTS = 401 };
    static const int64_t codes[2] = { POINTS, 1 };
    int64_t rows[2] = { POINTS, width };
    gm_tensor *z = NULL, *xs = NULL;
    double out[POINTS], sum = 0, h = 16.0 / (POINTS - 1);
    support_ok(ctx, gm_tensor_create(&z, ctx, 2, codes));
    support_ok(ctx, gm_tensor_create(&xs, ctx, 2, rows));
    for (int i = 0; i < POINTS; i++) {
        gm_tensor_data(z)[i] = (float)(-8 + h * i);
        memcpy(gm_tensor_data(xs) + i * width, x, (size_t)width * sizeof *x);
    }
    support_ok(ctx, gm_generator_log_prob(g, gm_tensor_read(xs), gm_tensor_read(z),
                                          gm_tensor_shape(z)[0], out));
    for (int i = 0; i < POINTS; i++) {
        double at = -8 + h * i;
        sum += h * exp(out[i] - 0.5 * at * at - 0.5 * LOG_2PI);
    }
    gm_tensor_release(xs);
    gm_tensor_release(z);
    return log(sum);
}

/* Every head, with a network that is not linear; with labels too. */
START_TEST(heads_against_an_integral)
{
    gm_context *ctx = support_context(3, 1);
    static const float bits[4] = { 1, 0, 1, 1 }, classes[4] = { 2, 0, 1, 1 };
    static const float reals[4] = { 0.5f, -1, 0.25f, 0 };
    static const int64_t label = 1;
    for (int kind = 0; kind < 4; kind++) {
        gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
        int64_t outputs = 4;
        const float *x = bits;
        if (kind == 1)
            head.output = GM_OUTPUT_GAUSSIAN, head.learn_variance = 1, outputs = 8, x = reals;
        if (kind == 2)
            head.output = GM_OUTPUT_CATEGORICAL, head.classes = 3, outputs = 12, x = classes;
        if (kind == 3) head.labels = 2;
        gm_generator *g = nets_generator(ctx, 1, 6, outputs, head);
        gm_params *params = gm_generator_params(g);
        for (int64_t i = 0; i < gm_params_count(params); i++) { /* stronger than at first */
            gm_param *p = gm_params_get(params, i);
            for (int64_t j = 0; j < gm_param_count(p); j++) gm_param_value(p)[j] *= 2;
        }
        if (kind == 3) support_ok(ctx, gm_model_set_labels(gm_generator_model(g), &label, 1));
        gm_result r = GM_RESULT_INIT, low = GM_RESULT_INIT, high = GM_RESULT_INIT;
        gm_ais_options o = GM_AIS_OPTIONS_INIT;
        o.temperatures = kind == 1 ? 1000 : 100; /* its variances can be small */
        o.leapfrog = 3;
        o.chains = 30;
        o.schedule = kind & 1 ? GM_AIS_LINEAR : GM_AIS_SIGMOID;
        support_ok(ctx, gm_ais(&r, g, x, 1, &o));
        double want = integrate(ctx, g, x, 4);
        ck_assert_msg(fabs(r.value - want) < 0.1 + support_bound(8) * r.sampling_error,
                      "kind %d: %g, not %g", kind, r.value, want);
        o.chains = 8;
        support_ok(ctx, gm_ais_bracket(&low, &high, g, 10, &o));
        ck_assert_msg(fabs(high.value - low.value) <
                          0.1 + support_bound(8) * (low.sampling_error + high.sampling_error),
                      "kind %d: %g to %g", kind, low.value, high.value);
        gm_generator_release(g);
    }
    gm_context_release(ctx);
}
END_TEST

/* The same bits for any threads and whatever was drawn before; another seed, another estimate;
 * nothing else has moved. */
START_TEST(same_bytes_from_a_seed)
{
    enum { ROWS = 70, WIDTH = 10 };
    double first[2 * ROWS], values[2 * ROWS];
    gm_result one = GM_RESULT_INIT;
    gm_ais_options o = GM_AIS_OPTIONS_INIT;
    o.chains = 8; /* 64 rows at a time */
    o.temperatures = 2;
    o.leapfrog = 1;
    for (int32_t threads = 1; threads <= 3; threads++) {
        gm_context *ctx = support_context(1, threads);
        gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
        gm_generator *g = nets_generator(ctx, 3, 200, WIDTH, head);
        gm_result low = GM_RESULT_INIT, high = GM_RESULT_INIT;
        gm_tensor *sample = NULL, *again = NULL;
        gm_model_seed(gm_generator_model(g), 7);
        support_ok(ctx, gm_model_sample(&sample, gm_generator_model(g), 3));
        gm_model_seed(gm_generator_model(g), 7);
        o.log_prob = values;
        o.seed = 4;
        support_ok(ctx, gm_ais_bracket(&low, &high, g, ROWS, &o));
        support_ok(ctx, gm_model_sample(&again, gm_generator_model(g), 3));
        ck_assert_mem_eq(gm_tensor_read(sample), gm_tensor_read(again), 3 * WIDTH * sizeof(float));
        if (threads == 1) memcpy(first, values, sizeof first), one = low;
        ck_assert_mem_eq(first, values, sizeof first);
        ck_assert_mem_eq(&one, &low, sizeof low);
        if (threads == 1) {
            o.seed = 5;
            support_ok(ctx, gm_ais_bracket(&low, &high, g, ROWS, &o));
            ck_assert(low.value != one.value && low.seed == 5);
        }
        gm_tensor_release(again);
        gm_tensor_release(sample);
        gm_generator_release(g);
        gm_context_release(ctx);
    }
}
END_TEST

/* Many rows and chains take what a group takes. */
START_TEST(memory_is_a_group)
{
    uint64_t peaks[2];
    for (int i = 0; i < 2; i++) {
        gm_context *ctx = support_context(1, 1);
        gm_generator *g = linear(ctx, 1, 1);
        float x[200 * D] = { 0 };
        gm_memory_counters before, after;
        gm_result r = GM_RESULT_INIT;
        gm_ais_options o = GM_AIS_OPTIONS_INIT;
        o.temperatures = 2;
        o.leapfrog = 1;
        gm_context_memory(&before, ctx);
        support_ok(ctx, gm_ais(&r, g, x, i ? 200 : 32, &o));
        o.chains = i ? 2000 : 512;
        support_ok(ctx, gm_ais(&r, g, x, 1, &o));
        gm_context_memory(&after, ctx);
        ck_assert_uint_eq(after.bytes, before.bytes);
        peaks[i] = after.peak_bytes;
        gm_generator_release(g);
        gm_context_release(ctx);
    }
    ck_assert_msg(peaks[1] <= peaks[0] + 168 * sizeof(double), "%llu, then %llu",
                  (unsigned long long)peaks[0], (unsigned long long)peaks[1]);
}
END_TEST

typedef struct watch {
    int64_t calls, done, total, stop_at;
} watch;

static int32_t on_step(void *user, int64_t done, int64_t total)
{
    watch *w = user;
    ck_assert(done == w->done + 1 && done <= total && (!w->calls || total == w->total));
    w->calls++;
    w->done = done;
    w->total = total;
    return done >= w->stop_at;
}

#define REFUSED(call, text) support_fails(ctx, call, GM_E_INVALID, text)

START_TEST(cancelling_and_refusals)
{
    gm_context *ctx = support_context(1, 1);
    gm_generator *g = linear(ctx, 1, 1);
    float x[2 * D] = { 0 };
    const float codes[4] = { 0 };
    watch w = { 0, 0, 0, INT64_MAX };
    gm_result r = GM_RESULT_INIT, s = GM_RESULT_INIT;
    gm_ais_options o = GM_AIS_OPTIONS_INIT;
    o.temperatures = 3;
    o.on_progress = on_step;
    o.user = &w;
    support_ok(ctx, gm_ais(&r, g, x, 2, &o));
    ck_assert(w.done == w.total && w.calls == w.total);
    w = (watch){ 0, 0, 0, 34 };
    r.value = 7;
    support_fails(ctx, gm_ais(&r, g, x, 2, &o), GM_E_CANCELLED, "stopped by the host after 34 of");
    ck_assert(r.value == 7 && w.calls == 34);
    o.on_progress = NULL;

    ck_assert_int_eq(gm_ais(&r, NULL, x, 2, &o), GM_E_INVALID);
    ck_assert_int_eq(gm_ais_bracket(&r, &s, NULL, 2, &o), GM_E_INVALID);
    REFUSED(gm_ais(NULL, g, x, 2, &o), "out is NULL");
    REFUSED(gm_ais(&r, g, NULL, 2, &o), "rows is NULL");
    REFUSED(gm_ais(&r, g, x, 0, &o), "rows is [0, 3]");
    REFUSED(gm_ais_reverse(&r, g, x, NULL, 2, &o), "codes is NULL");
    REFUSED(gm_ais_bracket(&r, &s, g, 0, &o), "count is 0");
    REFUSED(gm_ais_bracket(&r, NULL, g, 1, &o), "out is NULL");
    static const struct {
        int64_t chains, temperatures;
        int32_t schedule, leapfrog;
        double step, acceptance;
        const char *text;
    } wrong[] = {
        { 0, 3, 0, 10, 0.5, 0.65, "chains is 0" },
        { 16, 0, 0, 10, 0.5, 0.65, "temperatures is 0" },
        { 16, 3, 2, 10, 0.5, 0.65, "schedule is 2" },
        { 16, 3, 0, 0, 0.5, 0.65, "leapfrog is 0" },
        { 16, 3, 0, 10, 0, 0.65, "step is 0" },
        { 16, 3, 0, 10, (double)NAN, 0.65, "step is nan" },
        { 16, 3, 0, 10, 0.5, 1, "acceptance is 1" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        gm_ais_options bad = GM_AIS_OPTIONS_INIT;
        bad.chains = wrong[i].chains;
        bad.temperatures = wrong[i].temperatures;
        bad.schedule = wrong[i].schedule;
        bad.leapfrog = wrong[i].leapfrog;
        bad.step = wrong[i].step;
        bad.acceptance = wrong[i].acceptance;
        REFUSED(gm_ais(&r, g, x, 2, &bad), wrong[i].text);
    }
    x[4] = (float)NAN;
    REFUSED(gm_ais(&r, g, x, 2, &o), "rows: row 1, column 1 is nan");
    x[4] = (float)1e30;
    support_fails(ctx, gm_ais(&r, g, x, 2, &o), GM_E_NUMERIC, "row 1: log p(x | z)");
    gm_generator_release(g);

    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    head.output = GM_OUTPUT_DIRECT;
    g = nets_generator(ctx, 2, 0, D, head);
    support_fails(ctx, gm_ais(&r, g, x, 1, &o), GM_E_UNSUPPORTED, "output is direct");
    gm_generator_release(g);
    head.output = GM_OUTPUT_BERNOULLI;
    head.prior = GM_PRIOR_UNIFORM;
    g = nets_generator(ctx, 2, 0, D, head);
    support_fails(ctx, gm_ais_reverse(&r, g, x, codes, 1, &o), GM_E_UNSUPPORTED,
                  "prior is uniform");
    gm_generator_release(g);
    head.prior = GM_PRIOR_NORMAL;
    head.labels = 2;
    g = nets_generator(ctx, 2, 0, D, head);
    support_fails(ctx, gm_ais(&r, g, x, 1, &o), GM_E_STATE, "label");
    x[4] = 1.5f;
    REFUSED(gm_ais(&r, g, x, 2, &o), "row 1, column 1 is 1.5, 0 to 1");
    gm_generator_release(g);
    ck_assert(r.value == 7);
    gm_context_release(ctx);
}
END_TEST

START_TEST(without_memory)
{
    const float x[D] = { 0 };
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        watched w;
        gm_allocator a = watched_begin(&w, -1);
        gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
        gm_context *ctx = NULL;
        gm_result r = GM_RESULT_INIT, s = GM_RESULT_INIT;
        gm_ais_options o = GM_AIS_OPTIONS_INIT;
        options.allocator = &a;
        o.temperatures = 1;
        o.chains = 2;
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &options), GM_OK);
        gm_generator *g = linear(ctx, 1, 1);
        w.fail_at = w.calls + n;
        gm_status status = gm_ais_bracket(&r, &s, g, 1, &o);
        int failed = w.calls > w.fail_at;
        if (failed) {
            failures++;
            ck_assert_int_eq(status, GM_E_NOMEM);
            ck_assert(gm_context_error(ctx)[0] && r.rows == 0);
            support_ok(ctx, gm_ais(&r, g, x, 1, &o));
        } else {
            ck_assert_int_eq(status, GM_OK);
        }
        gm_generator_release(g);
        gm_context_release(ctx);
        ck_assert(watched_clean(&w));
        if (!failed) break;
    }
    ck_assert_int_gt(failures, 10);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("evaluate: ais");
    TCase *t = tcase_create("ais");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, linear_gaussian_model_is_bracketed);
    tcase_add_test(t, one_temperature_is_plain_importance_sampling);
    tcase_add_test(t, heads_against_an_integral);
    tcase_add_test(t, same_bytes_from_a_seed);
    tcase_add_test(t, memory_is_a_group);
    tcase_add_test(t, cancelling_and_refusals);
    tcase_add_test(t, without_memory);
    suite_add_tcase(s, t);
    return s;
}
