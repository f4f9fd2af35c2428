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
    support_ok(ctx, gm_rng_normal(rng, rows * cols, 0, 1, gm_tensor_data(t)));
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
        support_ok(ctx, gm_generator_log_prob(g, gm_tensor_read(x), gm_tensor_read(z),
                                              gm_tensor_shape(z)[0], got));
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
        gm_tensor *z = filled(ctx, n, 2, 8), *mean = filled(ctx, n, 4, 1),
                  *x = filled(ctx, n, 4, 2);
        /* The same code everywhere: then the draws' mean is known. */
        for (int64_t i = 2; i < 2 * n; i++) gm_tensor_data(z)[i] = gm_tensor_read(z)[i % 2];
        support_ok(ctx, gm_generator_decode(g, gm_tensor_read(z), gm_tensor_shape(z)[0],
                                            gm_tensor_data(mean)));
        support_ok(ctx, gm_generator_sample(g, gm_tensor_read(z), gm_tensor_shape(z)[0],
                                            gm_tensor_data(x)));
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
            ck_assert_mem_eq(gm_tensor_read(x), gm_tensor_read(mean),
                             (size_t)n * 4 * sizeof(float));
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
        support_ok(ctx, gm_generator_sample_prior(g, rng, 10000, z));
        double squares = 0, most = 0;
        for (int i = 0; i < 20000; i++) {
            squares += (double)z[i] * (double)z[i];
            most = fmax(most, fabs((double)z[i]));
        }
        ck_assert_double_eq_tol(squares / 20000, prior ? 1.0 / 3 : 1.0, 0.05);
        if (prior)
            ck_assert(most <= 1);
        else
            ck_assert(most > 2);
        ck_assert_int_eq(gm_generator_sample_prior(g, rng, 0, z), GM_E_INVALID);
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
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_SHAPE,
                  "linear: input is [2, 3]");
    o.latent = 2;
    support_fails(ctx, gm_generator_create(&g, ctx, NULL, &o), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_generator_create(&g, ctx, foreign, &o), GM_E_INVALID, "another context");
    o.output = 9;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "output is 9");
    o.output = GM_OUTPUT_CATEGORICAL;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "classes is 0");
    o.classes = 3;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_SHAPE, "5 values");
    o.output = GM_OUTPUT_DIRECT;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "continuous data only");
    o.classes = 0;
    o.prior = -1;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "prior is -1");
    o.prior = GM_PRIOR_NORMAL;
    o.output = GM_OUTPUT_GAUSSIAN;
    o.variance = 0;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "variance is 0");
    o.output = GM_OUTPUT_DIRECT;
    support_ok(ctx, gm_generator_create(&g, ctx, net, &o));

    gm_tensor *z = filled(ctx, 3, 2, 1), *x = filled(ctx, 3, 5, 1);
    double out[3];
    support_fails(
        ctx,
        gm_generator_log_prob(g, gm_tensor_read(x), gm_tensor_read(z), gm_tensor_shape(z)[0], out),
        GM_E_UNSUPPORTED, "direct");
    support_fails(ctx, gm_generator_decode(g, gm_tensor_read(z), 0, gm_tensor_data(x)),
                  GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_generator_decode(g, NULL, 1, gm_tensor_data(x)), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_generator_sample(g, gm_tensor_read(z), 1, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_generator_log_prob(g, gm_tensor_read(x), gm_tensor_read(z), 3, NULL),
                  GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_generator_decode(NULL, gm_tensor_read(z), 1, gm_tensor_data(x)),
                     GM_E_INVALID);
    support_fails(ctx, gm_model_fit(gm_generator_model(g), NULL, NULL), GM_E_UNSUPPORTED, "fit");
    support_fails(ctx, gm_model_log_prob(gm_generator_model(g), gm_tensor_read(x), 3, out),
                  GM_E_UNSUPPORTED, "log_prob");
    ck_assert_ptr_null(gm_vae_from_model(gm_generator_model(g)));
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
    support_fails(
        ctx,
        gm_generator_log_prob(g, gm_tensor_read(x), gm_tensor_read(z), gm_tensor_shape(z)[0], out),
        GM_E_INVALID, "255");
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
    support_ok(ctx,
               gm_generator_decode(g, gm_tensor_read(z), gm_tensor_shape(z)[0], gm_tensor_data(x)));
    support_ok(ctx, gm_model_sample_into(gm_generator_model(g), gm_tensor_shape(x)[0], NULL,
                                         gm_tensor_data(x)));
    gm_context_memory(&before, ctx);
    support_ok(ctx,
               gm_generator_decode(g, gm_tensor_read(z), gm_tensor_shape(z)[0], gm_tensor_data(x)));
    support_ok(ctx, gm_model_sample_into(gm_generator_model(g), gm_tensor_shape(x)[0], NULL,
                                         gm_tensor_data(x)));
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    gm_tensor_release(x);
    gm_tensor_release(z);
    gm_generator_release(g);
    gm_context_release(ctx);
}
END_TEST

/* Moments of 1e5 draws: deviation s, or uniform on [-s, s] with variance s^2 / 3; as an array and
 * on a tape. */
START_TEST(prior_scale)
{
    enum { DRAWS = 50000 };
    gm_context *ctx = support_context(4, 1);
    gm_rng *rng = NULL;
    gm_tape *tape = NULL;
    support_ok(ctx, gm_rng_create(&rng, ctx, 1));
    support_ok(ctx, gm_tape_create(&tape, ctx, rng));
    float *array = malloc(2 * DRAWS * sizeof *array);
    ck_assert_ptr_nonnull(array);
    for (int kind = 0; kind < 12; kind++) {
        const double scales[3] = { 1, 0.25, 3 };
        double s = scales[kind % 3], sum = 0, squares = 0, fourth = 0, most = 0;
        gm_generator_options o = head_of(GM_OUTPUT_DIRECT);
        o.prior = kind / 3 % 2;
        o.prior_scale = s;
        const float *z = array;
        gm_generator *g = nets_generator(ctx, 2, 3, 4, o);
        ck_assert_double_eq(gm_generator_prior_scale(g), s);
        if (kind < 6) {
            support_ok(ctx, gm_generator_sample_prior(g, rng, DRAWS, array));
        } else {
            gm_tape_reset(tape);
            gm_var drawn = gm_generator_draw_prior(tape, g, DRAWS);
            support_ok(ctx, gm_tape_status(tape));
            ck_assert_int_eq(gm_rank(tape, drawn), 2);
            ck_assert(gm_shape(tape, drawn)[0] == DRAWS && gm_shape(tape, drawn)[1] == 2);
            z = gm_value(tape, drawn);
        }
        for (int i = 0; i < 2 * DRAWS; i++) {
            double v = (double)z[i] / s;
            sum += v;
            squares += v * v;
            fourth += v * v * v * v;
            most = fmax(most, fabs(v));
        }
        double n = 2 * DRAWS;
        ck_assert_double_eq_tol(sum / n, 0, 0.02);
        ck_assert_double_eq_tol(squares / n, o.prior ? 1.0 / 3 : 1, o.prior ? 0.005 : 0.02);
        ck_assert_double_eq_tol(fourth / n, o.prior ? 1.0 / 5 : 3, o.prior ? 0.005 : 0.2);
        if (o.prior)
            ck_assert(most <= 1 && most > 0.999);
        else
            ck_assert(most > 3.5);
        gm_generator_release(g);
    }
    (void)gm_generator_draw_prior(tape, NULL, 3);
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "generator is NULL");
    ck_assert_double_eq(gm_generator_prior_scale(NULL), 0);
    free(array);
    gm_tape_release(tape);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(conditional_options)
{
    gm_context *ctx = support_context(4, 1);
    gm_layer *net = nets_mlp(ctx, 5, 3, 4);
    gm_generator_options o = head_of(GM_OUTPUT_DIRECT);
    gm_generator *g = NULL;
    o.latent = 2;
    o.labels = -1;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, "labels is -1");
    o.labels = INT64_MAX;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID,
                  "labels is 9223372036854775807");
    o.labels = 0;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_SHAPE,
                  "generator: net, tried on 2 rows: linear: input is [2, 2]");
    o.labels = 4;
    support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_SHAPE, "input is [2, 6]");
    o.labels = 3;
    const double scales[4] = { 0, -1, INFINITY, NAN };
    const char *const lines[4] = { "prior_scale is 0", "prior_scale is -1", "prior_scale is inf",
                                   "prior_scale is nan" };
    for (int i = 0; i < 4; i++) {
        o.prior_scale = scales[i];
        support_fails(ctx, gm_generator_create(&g, ctx, net, &o), GM_E_INVALID, lines[i]);
        ck_assert_ptr_null(g);
    }
    o.prior_scale = 1;
    support_ok(ctx, gm_generator_create(&g, ctx, net, &o));
    ck_assert_int_eq(gm_generator_labels(g), 3);
    ck_assert_int_eq(gm_model_labels(gm_generator_model(g)), 3);
    ck_assert_int_eq(gm_generator_labels(NULL), 0);
    gm_generator_release(g);
    gm_layer_release(net);
    gm_context_release(ctx);
}
END_TEST

/* One linear layer: the label picks a column of its weights. */
START_TEST(labels_reach_the_network)
{
    gm_context *ctx = support_context(4, 1);
    gm_tape *tape = NULL;
    gm_generator_options o = head_of(GM_OUTPUT_GAUSSIAN);
    o.labels = 3;
    gm_generator *g = nets_generator(ctx, 2, 0, 4, o), *plain;
    const float *w = gm_param_value(gm_params_find(gm_generator_params(g), "0.weight"));
    const float *b = gm_param_value(gm_params_find(gm_generator_params(g), "0.bias"));
    const float codes[12] = { 1, 2, -1, 0.5f, 0, 3, 2, 2, -2, 1, 0.25f, 4 }, y[3] = { 2, 0, 1 },
                bad[3] = { 0, 3, 1 };
    const int64_t six[2] = { 6, 2 }, three[1] = { 3 }, labels[6] = { 2, 2, 0, 0, 1, 1 };
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    gm_var z = gm_input_array(tape, 2, six, codes); /* each label serves two rows */
    gm_var x = gm_generator_apply_labelled(tape, g, z, gm_input_array(tape, 1, three, y));
    support_ok(ctx, gm_tape_status(tape));
    gm_tensor *code = NULL, *out = NULL;
    const int64_t shape[2] = { 6, 4 };
    support_ok(ctx, gm_tensor_create_from(&code, ctx, 2, six, codes));
    support_ok(ctx, gm_tensor_create(&out, ctx, 2, shape));
    support_ok(ctx, gm_model_set_labels(gm_generator_model(g), labels, 6));
    support_ok(ctx, gm_generator_decode(g, gm_tensor_read(code), gm_tensor_shape(code)[0],
                                        gm_tensor_data(out)));
    double density[6];
    support_ok(ctx, gm_generator_log_prob(g, gm_tensor_read(out), gm_tensor_read(code),
                                          gm_tensor_shape(code)[0], density)); /* at the mean */
    for (int r = 0; r < 6; r++) {
        ck_assert_double_eq_tol(density[r], -2 * log(2 * 3.14159265358979323846), 1e-5);
        for (int u = 0; u < 4; u++) {
            const float *row = w + 5 * u;
            float want =
                row[0] * codes[2 * r] + row[1] * codes[2 * r + 1] + row[2 + labels[r]] + b[u];
            ck_assert_float_eq_tol(gm_value(tape, x)[4 * r + u], want, 1e-5f);
            ck_assert_float_eq_tol(gm_tensor_read(out)[4 * r + u], want, 1e-5f);
        }
    }
    /* A code and its label are scored together. */
    const int64_t other = 1;
    double lower[6];
    support_ok(ctx, gm_model_set_labels(gm_generator_model(g), &other, 1));
    support_ok(ctx, gm_generator_log_prob(g, gm_tensor_read(out), gm_tensor_read(code),
                                          gm_tensor_shape(code)[0], lower));
    for (int r = 0; r < 6; r++)
        ck_assert(labels[r] == 1 ? lower[r] >= density[r] : lower[r] < density[r]);
    /* Refusals, each on a recording of its own. */
    gm_tape_reset(tape);
    (void)gm_generator_apply(tape, g, gm_input_array(tape, 2, six, codes));
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "conditional, and no labels");
    gm_tape_reset(tape);
    gm_var stale = x;
    (void)gm_generator_apply_labelled(tape, g, gm_input_array(tape, 2, six, codes), stale);
    support_fails(ctx, gm_tape_status(tape), GM_E_STALE, "");
    gm_tape_reset(tape);
    z = gm_input_array(tape, 2, six, codes);
    (void)gm_generator_apply_labelled(tape, g, z, gm_input_array(tape, 1, three, bad));
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "3");
    gm_tape_reset(tape);
    const int64_t four[1] = { 4 };
    z = gm_input_array(tape, 2, six, codes);
    (void)gm_generator_apply_labelled(tape, g, z, gm_input_array(tape, 1, four, codes + 4));
    ck_assert_int_ne(gm_tape_status(tape), GM_OK);
    gm_tape_reset(tape);
    z = gm_input_array(tape, 2, six, codes);
    (void)gm_generator_apply_labelled(tape, g, z, gm_constant(tape, 1, four, 1));
    support_fails(ctx, gm_tape_status(tape), GM_E_SHAPE, "[6, 2]");
    gm_tape_reset(tape);
    o.labels = 0;
    plain = nets_generator(ctx, 2, 0, 4, o);
    z = gm_input_array(tape, 2, six, codes);
    (void)gm_generator_apply_labelled(tape, plain, z, gm_input_array(tape, 1, three, y));
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "takes no labels");
    gm_tape_reset(tape);
    (void)gm_generator_apply_labelled(tape, NULL, gm_input_array(tape, 2, six, codes), GM_NO_VAR);
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "generator is NULL");
    ck_assert_uint_eq(gm_generator_apply_labelled(NULL, g, z, GM_NO_VAR).recording, 0);
    /* The verbs. */
    gm_tensor *t = NULL;
    support_fails(ctx, gm_model_set_labels(gm_generator_model(plain), &other, 1), GM_E_UNSUPPORTED,
                  "takes no labels");
    support_ok(ctx, gm_model_set_labels(gm_generator_model(g), labels, 6));
    support_fails(ctx, gm_model_sample(&t, gm_generator_model(g), 5), GM_E_SHAPE,
                  "5 rows, but 6 labels");
    support_ok(ctx, gm_model_sample(&t, gm_generator_model(g), 6));
    support_ok(ctx, gm_generator_sample(g, gm_tensor_read(code), gm_tensor_shape(code)[0],
                                        gm_tensor_data(out)));
    gm_tensor_release(t);
    gm_tensor_release(code);
    gm_tensor_release(out);
    gm_generator_release(plain);
    gm_generator_release(g);
    gm_tape_release(tape);
    gm_context_release(ctx);
}
END_TEST

START_TEST(files_keep_prior_and_labels)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(4, 1);
    gm_generator_options o = head_of(GM_OUTPUT_DIRECT);
    o.labels = 3;
    o.prior = GM_PRIOR_UNIFORM;
    o.prior_scale = 0.1;
    gm_generator *g = nets_generator(ctx, 2, 0, 4, o);
    gm_model *loaded = NULL;
    support_ok(ctx, gm_model_save(gm_generator_model(g), path));
    support_ok(ctx, gm_model_load(&loaded, ctx, path));
    gm_generator *back = gm_generator_from_model(loaded);
    ck_assert_int_eq(gm_generator_labels(back), 3);
    ck_assert_int_eq(gm_generator_prior(back), GM_PRIOR_UNIFORM);
    ck_assert_double_eq(gm_generator_prior_scale(back), 0.1);
    gm_model_release(loaded);
    gm_generator_release(g);
    gm_context_release(ctx);
    support_folder_remove(folder);
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
    tcase_add_test(t, prior_scale);
    tcase_add_test(t, conditional_options);
    tcase_add_test(t, labels_reach_the_network);
    tcase_add_test(t, files_keep_prior_and_labels);
    suite_add_tcase(s, t);
    return s;
}
