/* test_vae.c - gm/vae.h: the bound and the estimate against exact values, the verbs, refusals. */
#include "nets.h"

#define LOG_2PI 1.8378770664093454836

static const gm_generator_options bernoulli = GM_GENERATOR_OPTIONS_INIT;

static gm_generator_options gaussian(double variance)
{
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    o.output = GM_OUTPUT_GAUSSIAN;
    o.variance = variance;
    return o;
}

static void set(gm_vae *vae, const char *name, const float *values, int64_t count)
{
    gm_param *p = gm_params_find(gm_model_params(gm_vae_model(vae)), name);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(gm_param_count(p), count);
    memcpy(gm_param_value(p), values, (size_t)count * sizeof *values);
}

/* p(x) = N(b, W W' + v I) for three values and two latents. */
static double linear_gaussian(const float *w, const float *b, double v, const float *x)
{
    double c[3][3], d[3], l[3][3] = { { 0 } }, y[3], sum = 0;
    for (int i = 0; i < 3; i++) {
        d[i] = (double)x[i] - (double)b[i];
        for (int j = 0; j < 3; j++) {
            c[i][j] = i == j ? v : 0;
            for (int k = 0; k < 2; k++) c[i][j] += (double)w[2 * i + k] * (double)w[2 * j + k];
        }
    }
    for (int i = 0; i < 3; i++) { /* Cholesky, and L y = d */
        for (int j = 0; j <= i; j++) {
            double s = c[i][j];
            for (int k = 0; k < j; k++) s -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(s) : s / l[j][j];
        }
        y[i] = d[i];
        for (int k = 0; k < i; k++) y[i] -= l[i][k] * y[k];
        y[i] /= l[i][i];
        sum += -log(l[i][i]) - 0.5 * y[i] * y[i];
    }
    return sum - 1.5 * LOG_2PI;
}

START_TEST(estimate_of_a_linear_gaussian)
{
    gm_context *ctx = support_context(11, 1);
    gm_vae *vae = nets_vae(ctx, 3, 0, 2, gaussian(0.5), NULL);
    const float w[6] = { 1, 0.5f, -0.25f, 0.75f, 0.5f, -1 }, b[3] = { 0.5f, -0.5f, 0.25f };
    const float ew[12] = { 0.4f, -0.1f, 0.1f, 0.2f, 0.3f, -0.4f, 0, 0, 0, 0, 0, 0 };
    const float eb[4] = { 0, 0, -0.7f, -0.7f };
    set(vae, "decoder.0.weight", w, 6);
    set(vae, "decoder.0.bias", b, 3);
    set(vae, "encoder.0.weight", ew, 12);
    set(vae, "encoder.0.bias", eb, 4);
    const float x[15] = { 0, 0, 0, 1, -1, 0.5f, 2, 1, -1, -1.5f, 0.5f, 0.25f, 0.5f, -0.5f, 0.25f };
    double got[5], error[5], elbo[5], rec[5], kl[5];
    support_ok(ctx, gm_vae_log_prob(vae, x, 5,
                                    &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                            .samples = 30000 },
                                    got, error));
    support_ok(ctx, gm_vae_elbo(vae, x, 5, elbo, rec, kl));
    for (int i = 0; i < 5; i++) {
        double want = linear_gaussian(w, b, 0.5, x + 3 * i);
        ck_assert(error[i] > 0 && error[i] < 0.05);
        ck_assert_msg(fabs(got[i] - want) < support_bound(5) * error[i],
                      "row %d: %g, exact %g, error %g", i, got[i], want, error[i]);
        ck_assert_double_eq_tol(elbo[i], rec[i] - kl[i], 1e-9);
        ck_assert(kl[i] >= 0);
    }
    /* The mean of the bound over many draws is below log p(x). */
    double mean = 0;
    for (int k = 0; k < 400; k++) {
        support_ok(ctx, gm_vae_elbo(vae, x, 5, elbo, NULL, NULL));
        mean += elbo[1] / 400;
    }
    ck_assert(mean < linear_gaussian(w, b, 0.5, x + 3));
    gm_vae_release(vae);
    gm_context_release(ctx);
}
END_TEST

/* log of the integral of p(z) p(x | z) over a grid on [-6, 6]^2. */
static double grid_log_prob(gm_context *ctx, gm_vae *vae, const float *x, int64_t size)
{
    enum { SIDE = 121 };
    const double step = 0.1;
    gm_tensor *z = NULL, *rows = NULL;
    int64_t zs[2] = { SIDE * SIDE, 2 }, xs[2] = { SIDE * SIDE, size };
    double *p = malloc(SIDE * SIDE * sizeof *p), most = -INFINITY, sum = 0;
    support_ok(ctx, gm_tensor_create(&z, ctx, 2, zs));
    support_ok(ctx, gm_tensor_create(&rows, ctx, 2, xs));
    for (int i = 0; i < SIDE * SIDE; i++) {
        gm_tensor_data(z)[2 * i] = (float)(-6 + step * (i / SIDE));
        gm_tensor_data(z)[2 * i + 1] = (float)(-6 + step * (i % SIDE));
        memcpy(gm_tensor_data(rows) + i * size, x, (size_t)size * sizeof *x);
    }
    support_ok(ctx, gm_generator_log_prob(gm_vae_decoder(vae), gm_tensor_read(rows),
                                          gm_tensor_read(z), gm_tensor_shape(z)[0], p));
    for (int i = 0; i < SIDE * SIDE; i++) {
        double a = -6 + step * (i / SIDE), b = -6 + step * (i % SIDE);
        p[i] += -LOG_2PI - 0.5 * (a * a + b * b) + 2 * log(step);
        most = fmax(most, p[i]);
    }
    for (int i = 0; i < SIDE * SIDE; i++) sum += exp(p[i] - most);
    free(p);
    gm_tensor_release(rows);
    gm_tensor_release(z);
    return most + log(sum);
}

START_TEST(estimate_of_two_latents_on_a_grid)
{
    gm_context *ctx = support_context(12, 1);
    gm_dataset *data = nets_bits(ctx, 200, 8);
    gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, NULL);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 30;
    fit.batch = 20;
    support_ok(ctx, gm_model_fit(gm_vae_model(vae), data, &fit));
    float rows[4 * 8];
    const int64_t index[4] = { 0, 1, 2, 3 };
    double got[4], error[4];
    support_ok(ctx, gm_dataset_read(data, index, 4, 0, rows));
    support_ok(ctx, gm_vae_log_prob(vae, rows, 4,
                                    &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                            .samples = 20000 },
                                    got, error));
    for (int i = 0; i < 4; i++) {
        double want = grid_log_prob(ctx, vae, rows + 8 * i, 8);
        ck_assert_msg(fabs(got[i] - want) < support_bound(4) * error[i] + 1e-4,
                      "row %d: %g, grid %g, error %g", i, got[i], want, error[i]);
    }
    gm_vae_release(vae);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* Every head learns: the bound rises well above that of the start. */
START_TEST(every_head_learns)
{
    gm_context *ctx = support_context(13, 1);
    gm_dataset *data = nets_bits(ctx, 256, 8);
    for (int h = 0; h < 4; h++) {
        gm_generator_options head = bernoulli;
        if (h == 1) head = gaussian(0.25);
        if (h == 2) head = gaussian(1), head.learn_variance = 1;
        if (h == 3) head.output = GM_OUTPUT_CATEGORICAL, head.classes = 2;
        gm_vae *vae = nets_vae(ctx, 8, 16, 2, head, NULL);
        gm_metric first[GM_MAX_METRICS], last[GM_MAX_METRICS];
        int32_t count;
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        fit.epochs = 60;
        fit.batch = 32;
        support_ok(ctx, gm_model_evaluate(gm_vae_model(vae), data, support_batches(64, 0), first,
                                          GM_MAX_METRICS, &count));
        support_ok(ctx, gm_model_fit(gm_vae_model(vae), data, &fit));
        support_ok(ctx, gm_model_evaluate(gm_vae_model(vae), data, support_batches(64, 0), last,
                                          GM_MAX_METRICS, &count));
        ck_assert_msg(nets_metric(last, count, "elbo") > nets_metric(first, count, "elbo") + 0.8,
                      "head %d: %g, then %g", h, nets_metric(first, count, "elbo"),
                      nets_metric(last, count, "elbo"));
        gm_vae_release(vae);
    }
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

START_TEST(options_shape_the_loss)
{
    gm_context *ctx = support_context(14, 1);
    gm_dataset *data = nets_bits(ctx, 64, 8);
    gm_metric m[GM_MAX_METRICS];
    int32_t n;
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    for (int kind = 0; kind < 4; kind++) {
        gm_vae_options defaults = GM_VAE_OPTIONS_INIT;
        o = defaults;
        if (kind == 1) o.beta = 3;
        if (kind == 2) o.warmup_steps = 10;
        if (kind == 3) o.free_bits = 5;
        gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, &o);
        support_ok(ctx, gm_model_evaluate(gm_vae_model(vae), data, support_batches(64, 0), m,
                                          GM_MAX_METRICS, &n));
        double loss = nets_metric(m, n, "loss"), rec = nets_metric(m, n, "reconstruction"),
               kl = nets_metric(m, n, "kl");
        double want = kind == 0 ? rec + kl : kind == 1 ? rec + 3 * kl : kind == 2 ? rec : rec + 10;
        ck_assert_double_eq_tol(loss, want, 1e-4);
        ck_assert_double_eq_tol(nets_metric(m, n, "elbo"), -rec - kl, 1e-4);
        gm_vae_release(vae);
    }
    /* The k-sample bound is tighter on average (Burda et al. 2016, theorem 1). */
    double bound[2];
    for (int k = 0; k < 2; k++) {
        gm_vae_options defaults = GM_VAE_OPTIONS_INIT;
        o = defaults;
        o.samples = k ? 50 : 1;
        gm_context *same = support_context(14, 1);
        gm_dataset *rows = nets_bits(same, 64, 8);
        gm_vae *vae = nets_vae(same, 8, 6, 2, bernoulli, &o);
        gm_params *params = gm_model_params(gm_vae_model(vae)); /* so that q is far from p(z | x) */
        for (int64_t i = 0; i < gm_params_count(params); i++)
            for (int64_t j = 0; j < gm_param_count(gm_params_get(params, i)); j++)
                gm_param_value(gm_params_get(params, i))[j] *= 3;
        support_ok(same, gm_model_evaluate(gm_vae_model(vae), rows, support_batches(64, 0), m,
                                           GM_MAX_METRICS, &n));
        bound[k] = nets_metric(m, n, "elbo");
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        fit.epochs = 2;
        fit.batch = 16;
        support_ok(same, gm_model_fit(gm_vae_model(vae), rows, &fit));
        gm_vae_release(vae);
        gm_dataset_release(rows);
        gm_context_release(same);
    }
    ck_assert_msg(bound[1] > bound[0], "k = 1: %g, k = 50: %g", bound[0], bound[1]);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* The KL of each latent by hand: free bits below both, between them, above both. */
START_TEST(free_bits_are_of_each_latent)
{
    enum { N = 32, LATENT = 2 };
    for (int kind = 0; kind < 3; kind++) {
        gm_context *ctx = support_context(18, 1);
        gm_dataset *data = nets_bits(ctx, N, 8);
        gm_vae_options o = GM_VAE_OPTIONS_INIT;
        double kl[LATENT] = { 0 }, want = 0;
        float rows[N * 8], mean[N * LATENT], log_variance[N * LATENT];
        int64_t all[N];
        gm_metric m[GM_MAX_METRICS];
        int32_t n;
        /* the encoder's first weights do not depend on the options */
        for (int at = 0; at < 2; at++) {
            gm_context *same = support_context(18, 1);
            gm_vae *vae = nets_vae(same, 8, 6, LATENT, bernoulli, &o);
            if (at == 0) {
                for (int64_t i = 0; i < N; i++) all[i] = i;
                support_ok(ctx, gm_dataset_read(data, all, N, 0, rows));
                support_ok(same, gm_vae_encode(vae, rows, N, mean, log_variance));
                for (int i = 0; i < N * LATENT; i++) {
                    const double u = (double)mean[i], v = (double)log_variance[i];
                    kl[i % LATENT] += 0.5 * (u * u + exp(v) - v - 1) / N;
                }
                const double low = fmin(kl[0], kl[1]), high = fmax(kl[0], kl[1]);
                ck_assert(low > 0 && high > 1.1 * low);
                o.free_bits = kind == 0 ? low / 2 : kind == 1 ? (low + high) / 2 : 2 * high;
                for (int j = 0; j < LATENT; j++) want += fmax(kl[j], o.free_bits);
            } else {
                gm_dataset *here = nets_bits(same, N, 8);
                support_ok(same, gm_model_evaluate(gm_vae_model(vae), here, support_batches(N, 0),
                                                   m, GM_MAX_METRICS, &n));
                ck_assert_double_eq_tol(nets_metric(m, n, "kl"), kl[0] + kl[1], 1e-5);
                ck_assert_double_eq_tol(
                    nets_metric(m, n, "loss") - nets_metric(m, n, "reconstruction"), want, 1e-5);
                gm_dataset_release(here);
            }
            gm_vae_release(vae);
            gm_context_release(same);
        }
        gm_dataset_release(data);
        gm_context_release(ctx);
    }
}
END_TEST

/* With all weights 0 the codes tell nothing, all importance weights are p(x) = 2^-8, and so is
 * their mean, of however many. */
START_TEST(bound_of_equal_weights)
{
    for (int64_t k = 1; k < 8; k += 3) {
        gm_context *ctx = support_context(19, 1);
        gm_dataset *data = nets_bits(ctx, 16, 8);
        gm_vae_options o = GM_VAE_OPTIONS_INIT;
        gm_metric m[GM_MAX_METRICS];
        int32_t n;
        o.samples = k;
        gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, &o);
        gm_params *params = gm_model_params(gm_vae_model(vae));
        for (int64_t i = 0; i < gm_params_count(params); i++) {
            gm_param *p = gm_params_get(params, i);
            memset(gm_param_value(p), 0, (size_t)gm_param_count(p) * sizeof(float));
        }
        support_ok(ctx, gm_model_evaluate(gm_vae_model(vae), data, support_batches(16, 0), m,
                                          GM_MAX_METRICS, &n));
        ck_assert_double_eq_tol(nets_metric(m, n, "elbo"), -8 * log(2), 1e-5);
        gm_vae_release(vae);
        gm_dataset_release(data);
        gm_context_release(ctx);
    }
}
END_TEST

START_TEST(codes_and_pictures)
{
    gm_context *ctx = support_context(15, 1);
    gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, NULL);
    int64_t xs[2] = { 5, 8 }, zs[2] = { 5, 2 };
    gm_tensor *x = NULL, *mean = NULL, *lv = NULL, *out = NULL, *decoded = NULL, *a = NULL,
              *b = NULL;
    support_ok(ctx, gm_tensor_create(&x, ctx, 2, xs));
    support_ok(ctx, gm_tensor_create(&out, ctx, 2, xs));
    support_ok(ctx, gm_tensor_create(&decoded, ctx, 2, xs));
    support_ok(ctx, gm_tensor_create(&mean, ctx, 2, zs));
    support_ok(ctx, gm_tensor_create(&lv, ctx, 2, zs));
    for (int i = 0; i < 40; i++) gm_tensor_data(x)[i] = (float)(i % 3 == 0);
    support_ok(ctx, gm_vae_encode(vae, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                  gm_tensor_data(mean), gm_tensor_data(lv)));
    support_ok(ctx, gm_vae_decode(vae, gm_tensor_read(mean), gm_tensor_shape(mean)[0],
                                  gm_tensor_data(decoded)));
    support_ok(ctx, gm_vae_reconstruct(vae, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                       gm_tensor_data(out)));
    ck_assert_mem_eq(gm_tensor_read(out), gm_tensor_read(decoded), 40 * sizeof(float));
    /* Interpolation begins and ends at the reconstructions. */
    support_ok(ctx, gm_tensor_rows_view(&a, x, 0, 1));
    support_ok(ctx, gm_tensor_rows_view(&b, x, 1, 2));
    support_ok(ctx, gm_vae_interpolate(vae, gm_tensor_read(a), gm_tensor_read(b),
                                       gm_tensor_shape(decoded)[0], gm_tensor_data(decoded)));
    for (int c = 0; c < 8; c++) {
        ck_assert_float_eq_tol(gm_tensor_read(decoded)[c], gm_tensor_read(out)[c], 1e-6f);
        ck_assert_float_eq_tol(gm_tensor_read(decoded)[32 + c], gm_tensor_read(out)[8 + c], 1e-6f);
    }
    float *into = gm_tensor_data(out);
    support_fails(ctx, gm_vae_interpolate(vae, into, into, 1, into), GM_E_INVALID,
                  "count is 1, expected at least 2");
    support_fails(ctx, gm_vae_interpolate(vae, into, NULL, 2, into), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_vae_encode(vae, NULL, 1, into, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_vae_encode(vae, into, 0, into, NULL), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_vae_decode(vae, into, 1, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_vae_reconstruct(vae, into, -1, into), GM_E_INVALID, "count is -1");
    gm_tensor *all[] = { x, mean, lv, out, decoded, a, b };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) gm_tensor_release(all[i]);
    gm_vae_release(vae);
    gm_context_release(ctx);
}
END_TEST

static int32_t stop_at_once(void *user, int64_t done, int64_t total)
{
    ck_assert_int_eq(total, 2);
    *(int64_t *)user = done;
    return 1;
}

START_TEST(refusals)
{
    gm_context *ctx = support_context(16, 1);
    gm_layer *encoder = nets_mlp(ctx, 8, 6, 6);
    gm_generator *decoder = nets_generator(ctx, 2, 6, 8, bernoulli);
    gm_vae *vae = (gm_vae *)ctx;
    support_fails(ctx, gm_vae_create(&vae, ctx, encoder, decoder, NULL), GM_E_SHAPE,
                  "encoder gives 6 values a row; for the decoder's latent size 2, expected 4");
    ck_assert_ptr_null(vae);
    support_fails(ctx, gm_vae_create(&vae, ctx, NULL, decoder, NULL), GM_E_INVALID, "NULL");
    gm_layer_release(encoder);
    encoder = nets_mlp(ctx, 9, 6, 4);
    support_fails(ctx, gm_vae_create(&vae, ctx, encoder, decoder, NULL), GM_E_SHAPE,
                  "vae: encoder, tried on 2 rows: linear: input is [2, 8]");
    gm_layer_release(encoder);
    encoder = nets_mlp(ctx, 8, 6, 4);

    gm_generator_options o = bernoulli;
    o.prior = GM_PRIOR_UNIFORM;
    gm_generator *wrong = nets_generator(ctx, 2, 6, 8, o);
    support_fails(ctx, gm_vae_create(&vae, ctx, encoder, wrong, NULL), GM_E_INVALID, "uniform");
    gm_generator_release(wrong);
    o.prior = GM_PRIOR_NORMAL;
    o.output = GM_OUTPUT_DIRECT;
    wrong = nets_generator(ctx, 2, 6, 8, o);
    support_fails(ctx, gm_vae_create(&vae, ctx, encoder, wrong, NULL), GM_E_INVALID, "direct");
    gm_generator_release(wrong);

    gm_vae_options v = GM_VAE_OPTIONS_INIT;
    v.beta = -1;
    support_fails(ctx, gm_vae_create(&vae, ctx, encoder, decoder, &v), GM_E_INVALID, "beta is -1");
    v.beta = 1, v.samples = 0;
    support_fails(ctx, gm_vae_create(&vae, ctx, encoder, decoder, &v), GM_E_INVALID,
                  "samples is 0");
    v.samples = 5, v.free_bits = 1;
    support_fails(ctx, gm_vae_create(&vae, ctx, encoder, decoder, &v), GM_E_INVALID, "free bits");
    v.samples = 1, v.free_bits = NAN;
    support_fails(ctx, gm_vae_create(&vae, ctx, encoder, decoder, &v), GM_E_INVALID, "free_bits");
    v.free_bits = 0;
    support_ok(ctx, gm_vae_create(&vae, ctx, encoder, decoder, &v));
    v.optimizer = gm_model_optimizer(gm_vae_model(vae));
    gm_vae *second = NULL;
    support_fails(ctx, gm_vae_create(&second, ctx, encoder, decoder, &v), GM_E_STATE, "bound");

    float rows[16] = { 0 };
    double out[2];
    int64_t done = 0;
    rows[11] = 2;
    support_fails(ctx, gm_vae_elbo(vae, rows, 2, out, NULL, NULL), GM_E_INVALID, "2");
    support_fails(ctx, gm_model_step(gm_vae_model(vae), rows, 2, NULL, 0, NULL), GM_E_INVALID,
                  "row 1");
    rows[11] = 0;
    support_fails(ctx,
                  gm_vae_log_prob(
                      vae, rows, 2,
                      &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = -1 },
                      out, NULL),
                  GM_E_INVALID, "samples is -1");
    support_fails(
        ctx,
        gm_vae_log_prob(vae, rows, 0,
                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 5 },
                        out, NULL),
        GM_E_INVALID, "count is 0");
    support_fails(ctx,
                  gm_vae_log_prob(
                      vae, rows, 2,
                      &(gm_log_prob_options){ sizeof(gm_log_prob_options), 5, stop_at_once, &done },
                      out, NULL),
                  GM_E_CANCELLED, "2 of 2");
    ck_assert_int_eq(done, 2);
    /* Extreme log-variances stay finite. */
    gm_param *bias = gm_params_find(gm_model_params(gm_vae_model(vae)), "encoder.2.bias");
    for (int i = 0; i < 4; i++) gm_param_value(bias)[i] = i < 2 ? 0 : (float)1e30;
    support_ok(ctx, gm_vae_elbo(vae, rows, 2, out, NULL, NULL));
    ck_assert(isfinite(out[0]) && isfinite(out[1]));
    gm_vae_release(vae);
    gm_generator_release(decoder);
    gm_layer_release(encoder);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("vae");
    TCase *t = tcase_create("vae");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, estimate_of_a_linear_gaussian);
    tcase_add_test(t, estimate_of_two_latents_on_a_grid);
    tcase_add_test(t, every_head_learns);
    tcase_add_test(t, options_shape_the_loss);
    tcase_add_test(t, free_bits_are_of_each_latent);
    tcase_add_test(t, bound_of_equal_weights);
    tcase_add_test(t, codes_and_pictures);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
