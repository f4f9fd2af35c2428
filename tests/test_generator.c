/* test_generator.c - gm/generator.h: heads, priors, decode, draw, log p(x | z), refusals. */
#include "nets.h"

static gm_generator_options head_of(int32_t output)
{
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    o.output = output;
    if (output == GM_OUTPUT_CATEGORICAL) o.classes = 3;
    return o;
}

static gm_tensor *filled(gm_context *ctx, int64_t rows, int64_t cols, uint64_t seed)
{
    gm_tensor *t = NULL;
    gm_rng *rng = NULL;
    int64_t shape[2] = { rows, cols };
    support_ok(ctx, gm_tensor_create(&t, ctx, 2, shape));
    support_ok(ctx, gm_rng_create(&rng, ctx, seed));
    support_ok(ctx, gm_rng_normal(rng, gm_tensor_data(t), rows * cols, 0, 1));
    gm_rng_release(rng);
    return t;
}

/* The network by hand: W z + b. */
static double output_of(gm_generator *g, const float *z, int64_t unit)
{
    gm_params *p = gm_generator_params(g);
    int64_t latent = gm_generator_latent(g);
    const float *w = gm_param_value(gm_params_find(p, "0.weight"));
    double sum = (double)gm_param_value(gm_params_find(p, "0.bias"))[unit];
    for (int64_t i = 0; i < latent; i++) sum += (double)w[unit * latent + i] * (double)z[i];
    return sum;
}

START_TEST(log_prob_is_the_density)
{
    gm_context *ctx = support_context(3, 1);
    static const int32_t outputs[] = { GM_OUTPUT_BERNOULLI, GM_OUTPUT_GAUSSIAN, GM_OUTPUT_GAUSSIAN,
                                       GM_OUTPUT_CATEGORICAL };
    for (int h = 0; h < 4; h++) {
        gm_generator_options o = head_of(outputs[h]);
        int64_t row = 5, parts = 1;
        if (h == 1) o.variance = 0.3;
        if (h == 2) o.learn_variance = 1, parts = 2;
        if (h == 3) parts = 3;
        gm_generator *g = nets_generator(ctx, 2, 0, row * parts, o);
        ck_assert_int_eq(gm_generator_row_size(g), row);
        gm_tensor *z = filled(ctx, 7, 2, 5), *x = filled(ctx, 7, row, 6);
        float *values = gm_tensor_data(x);
        for (int i = 0; i < 35; i++) {
            if (h == 0) values[i] = values[i] > 0;
            if (h == 3) values[i] = (float)(i % 3);
        }
        double got[7];
        support_ok(ctx, gm_generator_log_prob(g, x, z, got));
        for (int r = 0; r < 7; r++) {
            const float *code = gm_tensor_read(z) + 2 * r;
            double want = 0;
            for (int64_t c = 0; c < row; c++) {
                double v = (double)values[r * row + c];
                if (h == 0) {
                    double p = 1 / (1 + exp(-output_of(g, code, c)));
                    want += v > 0 ? log(p) : log(1 - p);
                } else if (h == 3) {
                    double sum = 0;
                    for (int k = 0; k < 3; k++) sum += exp(output_of(g, code, 3 * c + k));
                    want += output_of(g, code, 3 * c + (int)v) - log(sum);
                } else {
                    double variance = h == 1 ? 0.3 : exp(output_of(g, code, row + c));
                    double d = v - output_of(g, code, c);
                    want += -0.5 * (log(2 * 3.14159265358979323846 * variance) + d * d / variance);
                }
            }
            ck_assert_double_eq_tol(got[r], want, 1e-4);
        }
        gm_tensor_release(x);
        gm_tensor_release(z);
        gm_generator_release(g);
    }
    gm_context_release(ctx);
}
END_TEST

START_TEST(decode_and_draw)
{
    gm_context *ctx = support_context(4, 1);
    for (int32_t h = GM_OUTPUT_BERNOULLI; h <= GM_OUTPUT_DIRECT; h++) {
        gm_generator_options o = head_of(h);
        o.variance = 0.25;
        gm_generator *g = nets_generator(ctx, 2, 0, h == GM_OUTPUT_CATEGORICAL ? 12 : 4, o);
        int64_t n = 4000;
        gm_tensor *z = filled(ctx, n, 2, 8), *mean = filled(ctx, n, 4, 1), *x = filled(ctx, n, 4, 2);
        /* The same code everywhere: then the draws' mean is known. */
        for (int64_t i = 2; i < 2 * n; i++) gm_tensor_data(z)[i] = gm_tensor_read(z)[i % 2];
        support_ok(ctx, gm_generator_decode(g, z, mean));
        support_ok(ctx, gm_generator_draw(g, z, x));
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++) {
            double v = (double)gm_tensor_read(x)[4 * i];
            sum += v;
            squares += v * v;
        }
        double y = output_of(g, gm_tensor_read(z), 0), m = (double)gm_tensor_read(mean)[0];
        if (h == GM_OUTPUT_BERNOULLI) {
            ck_assert_double_eq_tol(m, 1 / (1 + exp(-y)), 1e-6);
            ck_assert_double_eq_tol(sum / (double)n, m, 0.04);
        } else if (h == GM_OUTPUT_GAUSSIAN) {
            ck_assert_double_eq_tol(m, y, 1e-5);
            ck_assert_double_eq_tol(sum / (double)n, m, 0.04);
            ck_assert_double_eq_tol(squares / (double)n - sum * sum / (double)(n * n), 0.25, 0.03);
        } else if (h == GM_OUTPUT_CATEGORICAL) {
            double e[3], total = 0, expected;
            for (int k = 0; k < 3; k++) total += e[k] = exp(output_of(g, gm_tensor_read(z), k));
            expected = (e[1] + 2 * e[2]) / total;
            ck_assert_double_eq_tol(sum / (double)n, expected, 0.06);
            int best = (int)m;
            for (int k = 0; k < 3; k++) ck_assert(e[k] <= e[best]);
        } else {
            ck_assert_double_eq_tol(m, y, 1e-5);
            ck_assert_mem_eq(gm_tensor_read(x), gm_tensor_read(mean), (size_t)n * 4 * sizeof(float));
        }
        gm_tensor_release(x);
        gm_tensor_release(mean);
        gm_tensor_release(z);
        gm_generator_release(g);
    }
    gm_context_release(ctx);
}
END_TEST

START_TEST(priors)
{
    gm_context *ctx = support_context(4, 1);
    gm_rng *rng = NULL;
    support_ok(ctx, gm_rng_create(&rng, ctx, 1));
    float *z = malloc(20000 * sizeof *z);
    for (int32_t prior = GM_PRIOR_NORMAL; prior <= GM_PRIOR_UNIFORM; prior++) {
        gm_generator_options o = head_of(GM_OUTPUT_DIRECT);
        o.prior = prior;
        gm_generator *g = nets_generator(ctx, 2, 3, 4, o);
        support_ok(ctx, gm_generator_prior_sample(g, rng, 10000, z));
        double squares = 0, most = 0;
        for (int i = 0; i < 20000; i++) {
            squares += (double)z[i] * (double)z[i];
            most = fmax(most, fabs((double)z[i]));
        }
        ck_assert_double_eq_tol(squares / 20000, prior ? 1.0 / 3 : 1.0, 0.05);
        if (prior) ck_assert(most <= 1);
        else ck_assert(most > 2);
        ck_assert_int_eq(gm_generator_prior_sample(g, rng, 0, z), GM_E_INVALID);
        gm_generator_release(g);
    }
    free(z);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refusals)
{
    gm_context *ctx = support_context(4, 1), *other = support_context(4, 1);
    gm_layer *net = nets_mlp(ctx, 2, 3, 5), *foreign = nets_mlp(other, 2, 3, 5);
    gm_generator *g = (gm_generator *)ctx;
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    support_fails(ctx, gm_generator_create(&g, ctx, net, NULL), GM_E_INVALID, "latent is 0");
    ck_assert_ptr_null(g);
    o.latent = 3;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_SHAPE, "linear: input is [2, 3]");
    o.latent = 2;
    support_fails(ctx, gm_generator_create(&g, ctx, NULL, &o), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_generator_create(&g, ctx, foreign, &o), GM_E_INVALID, "another context");
    o.output = 9;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "output 9");
    o.output = GM_OUTPUT_CATEGORICAL;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "classes is 0");
    o.classes = 3;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_SHAPE, "5 values");
    o.output = GM_OUTPUT_DIRECT;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "continuous data only");
    o.classes = 0;
    o.prior = -1;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "prior -1");
    o.prior = GM_PRIOR_NORMAL;
    o.output = GM_OUTPUT_GAUSSIAN;
    o.variance = 0;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "variance is 0");
    o.output = GM_OUTPUT_DIRECT;
    support_ok(ctx, gm_generator_create(&g, ctx, net, &o));

    gm_tensor *z = filled(ctx, 3, 2, 1), *x = filled(ctx, 3, 5, 1), *bad = filled(ctx, 3, 4, 1);
    double out[3];
    support_fails(ctx, gm_generator_log_prob(g, x, z, out), GM_E_UNSUPPORTED, "direct");
    support_fails(ctx, gm_generator_decode(g, z, bad), GM_E_SHAPE, "12 (row size 5)");
    support_fails(ctx, gm_generator_decode(g, NULL, bad), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_model_fit(gm_generator_model(g), NULL, NULL), GM_E_UNSUPPORTED, "fit");
    support_fails(ctx, gm_model_log_prob(gm_generator_model(g), gm_tensor_read(x), 3, out),
                  GM_E_UNSUPPORTED, "log_prob");
    ck_assert_ptr_null(gm_vae_from_model(gm_generator_model(g)));
    gm_tensor_release(bad);
    gm_tensor_release(x);
    gm_tensor_release(z);
    gm_generator_release(g);

    /* Bernoulli data outside [0, 1] */
    o.output = GM_OUTPUT_BERNOULLI;
    support_ok(ctx, gm_generator_create(&g, ctx, net, &o));
    z = filled(ctx, 3, 2, 1);
    x = filled(ctx, 3, 5, 1);
    gm_tensor_fill(x, 1);
    gm_tensor_data(x)[7] = 255;
    support_fails(ctx, gm_generator_log_prob(g, x, z, out), GM_E_INVALID, "255");
    gm_tensor_release(x);
    gm_tensor_release(z);
    gm_generator_release(g);
    gm_layer_release(foreign);
    gm_layer_release(net);
    gm_context_release(other);
    gm_context_release(ctx);
}
END_TEST

START_TEST(no_allocation_in_decode)
{
    gm_context *ctx = support_context(4, 1);
    gm_generator *g = nets_generator(ctx, 3, 8, 10, head_of(GM_OUTPUT_BERNOULLI));
    gm_tensor *z = filled(ctx, 700, 3, 1), *x = filled(ctx, 700, 10, 1);
    gm_memory_counters before, after;
    support_ok(ctx, gm_generator_decode(g, z, x));
    support_ok(ctx, gm_model_sample_into(gm_generator_model(g), x));
    gm_context_memory(ctx, &before);
    support_ok(ctx, gm_generator_decode(g, z, x));
    support_ok(ctx, gm_model_sample_into(gm_generator_model(g), x));
    gm_context_memory(ctx, &after);
    ck_assert_uint_eq(before.allocations, after.allocations);
    gm_tensor_release(x);
    gm_tensor_release(z);
    gm_generator_release(g);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("generator");
    TCase *t = tcase_create("generator");
    tcase_add_test(t, log_prob_is_the_density);
    tcase_add_test(t, decode_and_draw);
    tcase_add_test(t, priors);
    tcase_add_test(t, refusals);
    tcase_add_test(t, no_allocation_in_decode);
    suite_add_tcase(s, t);
    return s;
}
