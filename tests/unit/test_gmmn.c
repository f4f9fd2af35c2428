/* test_gmmn.c - gm/gmmn.h: a step by hand, what is learned, codes, files, threads, memory,
 * refusals. */
#include "gans.h"

#define N 32

static gm_generator *uniform(gm_context *ctx, int64_t latent, int64_t hidden, int64_t row)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    head.prior = GM_PRIOR_UNIFORM;
    head.output = GM_OUTPUT_DIRECT;
    return nets_generator(ctx, latent, hidden, row, head);
}

static gm_mmd_kernel *gaussians(gm_context *ctx, double first, double second)
{
    gm_mmd_kernel *kernel = NULL;
    support_ok(ctx, gm_mmd_kernel_create(&kernel, ctx));
    support_ok(ctx, gm_mmd_kernel_add_gaussian(kernel, 1, first));
    if (second > 0) support_ok(ctx, gm_mmd_kernel_add_gaussian(kernel, 2, second));
    return kernel;
}

static gm_gmmn *make(gm_context *ctx, gm_generator *g, gm_gmmn_options o, double rate)
{
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_gmmn *gmmn = NULL;
    adam.rate = rate;
    support_ok(ctx, gm_adam_create(&o.optimizer, ctx, &adam));
    support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, &o));
    gm_optimizer_release(o.optimizer);
    return gmmn;
}

/* --- G's weights are 0, so that its samples are its bias b, and all can be had with pencil and
 * paper. */

static const float paper[2 * 4] = { 1, 0.5f, -0.5f, 2, 0.25f, -1, 1.5f, 0.75f };
static const float start[2] = { -0.25f, 0.5f };

/* sum_i w_i exp(-|a - b|^2 / (2 s_i^2)), s = 0.75 and 2, w = 1 and 2; and what it is times 1/s^2.
 */
static double k(const float *a, const float *b, double *slope)
{
    double d = 0, one, two;
    for (int i = 0; i < 2; i++) d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    one = exp(-d / (2 * 0.75 * 0.75)), two = 2 * exp(-d / 8);
    if (slope) *slope = one / (0.75 * 0.75) + two / 4;
    return one + two;
}

START_TEST(a_step_by_hand)
{
    gm_context *ctx = support_context(71, 1);
    static const int32_t losses[3] = { GM_GMMN_MMD2, GM_GMMN_MMD, GM_GMMN_MMD2 };
    static const int32_t estimators[3] = { GM_MMD_BIASED, GM_MMD_BIASED, GM_MMD_UNBIASED };
    for (int kind = 0; kind < 3; kind++) {
        gm_generator *g = uniform(ctx, 1, 0, 2);
        gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
        gm_gmmn *gmmn = NULL;
        gm_metric m[GM_MAX_METRICS];
        int32_t count;
        float *bias = gm_param_value(gm_params_find(gm_generator_params(g), "0.bias"));
        memset(gm_param_value(gm_params_find(gm_generator_params(g), "0.weight")), 0,
               2 * sizeof(float));
        memcpy(bias, start, sizeof start);
        o.loss = losses[kind];
        o.estimator = estimators[kind];
        o.samples = kind ? 3 : 0;
        o.kernel = gaussians(ctx, 0.75, 2);
        o.optimizer = gans_sgd(ctx, 0.25);
        support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, &o));
        ck_assert_ptr_eq(gm_gmmn_kernel(gmmn), o.kernel);
        gm_mmd_kernel_release(o.kernel);
        gm_optimizer_release(o.optimizer);
        support_ok(ctx, gm_model_step(gm_gmmn_model(gmmn), paper, 4, m, GM_MAX_METRICS, &count));
        double xy = 0, yy = 0, slope[2] = { 0 }, each;
        for (int i = 0; i < 4; i++) {
            xy += k(start, paper + 2 * i, &each) / 4;
            for (int c = 0; c < 2; c++) /* of -2 mean k(b, y) in b */
                slope[c] += 2 * each * ((double)start[c] - (double)paper[2 * i + c]) / 4;
            for (int j = 0; j < 4; j++)
                if (i != j || o.estimator == GM_MMD_BIASED)
                    yy += k(paper + 2 * i, paper + 2 * j, NULL) /
                          (o.estimator == GM_MMD_BIASED ? 16 : 12);
        }
        double mmd2 = 3 + yy - 2 * xy, loss = o.loss == GM_GMMN_MMD ? sqrt(mmd2) : mmd2;
        ck_assert_int_eq(count, 2);
        ck_assert_str_eq(m[0].name, "loss");
        ck_assert_double_eq_tol(m[0].value, loss, 1e-5);
        ck_assert_double_eq_tol(nets_metric(m, count, "mmd2"), mmd2, 1e-5);
        for (int c = 0; c < 2; c++) {
            double d = o.loss == GM_GMMN_MMD ? slope[c] / (2 * loss) : slope[c];
            ck_assert_double_eq_tol((double)bias[c], (double)start[c] - 0.25 * d, 1e-5);
        }
        gm_gmmn_release(gmmn);
        gm_generator_release(g);
    }
    gm_context_release(ctx);
}
END_TEST

/* --- Four clouds at the corners of a square. */

static float *corners(gm_context *ctx, int64_t rows, uint64_t seed)
{
    gm_rng *rng = NULL;
    float *x = malloc((size_t)rows * 2 * sizeof *x);
    ck_assert_ptr_nonnull(x);
    support_ok(ctx, gm_rng_create(&rng, ctx, seed));
    support_ok(ctx, gm_rng_normal(rng, 2 * rows, 0, 0.1, x));
    for (int64_t i = 0; i < 2 * rows; i++) x[i] += gm_rng_below(rng, 2) ? 1 : -1;
    gm_rng_release(rng);
    return x;
}

static double distance(gm_context *ctx, gm_gmmn *gmmn, const float *held, int64_t rows, int *least)
{
    gm_tape *tape = NULL;
    gm_tensor *t = NULL;
    const int64_t shape[2] = { rows, 2 };
    int in[4] = { 0 };
    gm_model_seed(gm_gmmn_model(gmmn), 3);
    support_ok(ctx, gm_model_sample(&t, gm_gmmn_model(gmmn), rows));
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    gm_var mmd2 = gm_mmd2(tape, gm_input(tape, t), gm_input_array(tape, 2, shape, held),
                          gm_gmmn_kernel(gmmn), GM_MMD_UNBIASED);
    support_ok(ctx, gm_tape_status(tape));
    double value = gm_scalar(tape, mmd2);
    for (int64_t i = 0; i < rows; i++) {
        const float *x = gm_tensor_read(t) + 2 * i;
        if (fabs(fabs((double)x[0]) - 1) < 0.4 && fabs(fabs((double)x[1]) - 1) < 0.4)
            in[(x[0] > 0) + 2 * (x[1] > 0)]++;
    }
    *least = in[0];
    for (int i = 1; i < 4; i++)
        if (in[i] < *least) *least = in[i];
    gm_tape_release(tape);
    gm_tensor_release(t);
    return value;
}

START_TEST(a_mixture_is_matched)
{
    gm_context *ctx = support_context(72, 2);
    float *x = corners(ctx, 1024, 1), *held = corners(ctx, 400, 2);
    gm_dataset *data = gans_dataset(ctx, 1024, 2, x, NULL);
    for (int32_t loss = GM_GMMN_MMD2; loss <= GM_GMMN_MMD; loss++) {
        gm_generator *g = uniform(ctx, 2, 32, 2);
        gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        gm_metric m[2][GM_MAX_METRICS];
        int32_t count;
        int least;
        o.loss = loss;
        o.average = 0.9;
        o.kernel = gaussians(ctx, 0.25, 1);
        gm_gmmn *gmmn = make(ctx, g, o, 0.02);
        gm_model *model = gm_gmmn_model(gmmn);
        double before = distance(ctx, gmmn, held, 400, &least);
        support_ok(ctx, gm_model_evaluate(model, data, support_batches(256, 0), m[0],
                                          GM_MAX_METRICS, &count));
        fit.epochs = 60;
        fit.batch = 128;
        support_ok(ctx, gm_model_fit(model, data, &fit));
        support_ok(ctx, gm_model_evaluate(model, data, support_batches(256, 0), m[1],
                                          GM_MAX_METRICS, &count));
        double after = distance(ctx, gmmn, held, 400, &least);
        ck_assert_msg(after < before / 20, "loss %d: %g, before %g", (int)loss, after, before);
        ck_assert_msg(least > 50, "loss %d: %d of 400 samples in one corner", (int)loss, least);
        for (int i = 0; i < count; i++) ck_assert_double_lt(m[1][i].value, m[0][i].value / 2);
        gm_mmd_kernel_release(o.kernel);
        gm_gmmn_release(gmmn);
        gm_generator_release(g);
    }
    gm_dataset_release(data);
    free(held);
    free(x);
    gm_context_release(ctx);
}
END_TEST

/* --- In code space. */

/* 6 values a row of which 2 matter. */
static float *sheet(gm_context *ctx, int64_t rows)
{
    float *at = corners(ctx, rows, 4), *x = malloc((size_t)rows * 6 * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < 6; j++)
            x[6 * i + j] =
                (float)(0.5 + 0.3 * tanh((double)at[2 * i + j % 2] * (j < 3 ? 1 : -0.5)));
    free(at);
    return x;
}

static gm_autoencoder *make_autoencoder(gm_context *ctx)
{
    gm_layer *encoder = NULL, *decoder = nets_mlp(ctx, 2, 8, 6);
    gm_autoencoder_options o = GM_AUTOENCODER_OPTIONS_INIT;
    gm_autoencoder *a = NULL;
    support_ok(ctx, gm_sequence_create(&encoder, ctx));
    support_ok(ctx, gm_sequence_add_dropout(encoder, 0.1));
    support_ok(ctx, gm_sequence_add_linear(encoder, 6, 2));
    support_ok(ctx, gm_sequence_add_sigmoid(encoder));
    support_ok(ctx, gm_autoencoder_create(&a, ctx, 6, encoder, decoder, &o));
    gm_layer_release(decoder);
    gm_layer_release(encoder);
    return a;
}

/* Everything on. */
static gm_gmmn *make_rich(gm_context *ctx)
{
    gm_autoencoder *a = make_autoencoder(ctx);
    gm_generator *g = uniform(ctx, 2, 6, 2);
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    o.average = 0.75;
    o.samples = 24;
    o.kernel = gaussians(ctx, 0.25, 1);
    o.autoencoder = a;
    gm_gmmn *gmmn = make(ctx, g, o, 0.01);
    gm_mmd_kernel_release(o.kernel);
    gm_generator_release(g);
    gm_autoencoder_release(a);
    return gmmn;
}

static void steps(gm_context *ctx, gm_model *model, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) support_ok(ctx, gm_model_step(model, x, N, NULL, 0, NULL));
}

static void same_weights(gm_model *a, gm_model *b)
{
    int64_t n, m;
    float *x = nets_weights(a, &n), *y = nets_weights(b, &m);
    ck_assert_int_eq(n, m);
    ck_assert_mem_eq(x, y, (size_t)n * sizeof *x);
    free(x);
    free(y);
}

START_TEST(codes_are_matched_and_decoded)
{
    gm_context *ctx = support_context(73, 1);
    float *x = sheet(ctx, 512);
    gm_dataset *data = gans_dataset(ctx, 512, 6, x, NULL);
    gm_autoencoder *a = make_autoencoder(ctx);
    gm_generator *g = uniform(ctx, 2, 16, 2);
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    fit.epochs = 20;
    fit.batch = 64;
    support_ok(ctx, gm_model_fit(gm_autoencoder_model(a), data, &fit));
    o.autoencoder = a;
    o.kernel = gaussians(ctx, 0.1, 0.5);
    gm_gmmn *gmmn = make(ctx, g, o, 0.02);
    gm_model *model = gm_gmmn_model(gmmn);
    ck_assert_int_eq(gm_model_row_size(model), 6);
    ck_assert_ptr_eq(gm_gmmn_autoencoder(gmmn), a);
    ck_assert_ptr_eq(gm_gmmn_generator(gmmn), g);
    int64_t n;
    float *rest = nets_weights(gm_autoencoder_model(a), &n), *still;
    support_ok(ctx,
               gm_model_evaluate(model, data, support_batches(256, 0), m, GM_MAX_METRICS, &count));
    double before = nets_metric(m, count, "mmd2");
    support_ok(ctx, gm_model_fit(model, data, &fit));
    support_ok(ctx,
               gm_model_evaluate(model, data, support_batches(256, 0), m, GM_MAX_METRICS, &count));
    ck_assert_double_lt(nets_metric(m, count, "mmd2"), before / 10);
    still = nets_weights(gm_autoencoder_model(a), &n);
    ck_assert_mem_eq(rest, still, (size_t)n * sizeof *rest); /* the autoencoder rests */
    /* A sample is a code of the generator, decoded. */
    const int64_t codes[2] = { 700, 2 }, rows[2] = { 700, 6 };
    gm_tensor *sample = NULL, *code = NULL, *back = NULL;
    support_ok(ctx, gm_tensor_create(&code, ctx, 2, codes));
    support_ok(ctx, gm_tensor_create(&back, ctx, 2, rows));
    gm_model_seed(model, 9);
    gm_model_seed(gm_generator_model(g), 9);
    support_ok(ctx, gm_model_sample(&sample, model, 700));
    support_ok(ctx, gm_model_sample_into(gm_generator_model(g), gm_tensor_shape(code)[0], NULL,
                                         gm_tensor_data(code)));
    support_ok(ctx, gm_autoencoder_decode(a, gm_tensor_read(code), gm_tensor_shape(code)[0],
                                          gm_tensor_data(back)));
    ck_assert_mem_eq(gm_tensor_read(sample), gm_tensor_read(back), 700 * 6 * sizeof(float));
    gm_tensor_release(sample);
    gm_tensor_release(code);
    gm_tensor_release(back);
    free(rest);
    free(still);
    gm_mmd_kernel_release(o.kernel);
    gm_gmmn_release(gmmn);
    gm_generator_release(g);
    gm_autoencoder_release(a);
    gm_dataset_release(data);
    free(x);
    gm_context_release(ctx);
}
END_TEST

/* --- Files. */

START_TEST(files_round_trip)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16], wrong[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    snprintf(wrong, sizeof wrong, "%s/wrong", folder);
    gm_context *ctx = support_context(74, 1), *other = support_context(1000, 1);
    gm_gmmn *gmmn = make_rich(ctx);
    gm_model *model = gm_gmmn_model(gmmn), *loaded = NULL;
    float *x = sheet(ctx, N);
    steps(ctx, model, x, 5);
    int64_t n;
    float *before = nets_weights(model, &n), *after;
    support_ok(ctx, gm_model_save(model, path));
    after = nets_weights(model, &n);
    ck_assert_mem_eq(before, after, (size_t)n * sizeof *before); /* averages are out again */
    support_ok(other, gm_model_load(&loaded, other, path));
    ck_assert_str_eq(gm_model_family(loaded), "gmmn");
    ck_assert_int_eq(gm_model_steps(loaded), 5);
    gans_same_samples(ctx, model, other, loaded, 40);
    float *filed = nets_weights(loaded, &n);
    ck_assert(memcmp(before, filed, (size_t)n * sizeof *before) != 0);
    free(filed);
    gm_gmmn *back = gm_gmmn_from_model(loaded);
    ck_assert_ptr_nonnull(back);
    ck_assert_ptr_null(gm_gmmn_from_model(gm_generator_model(gm_gmmn_generator(back))));
    same_weights(gm_autoencoder_model(gm_gmmn_autoencoder(gmmn)),
                 gm_autoencoder_model(gm_gmmn_autoencoder(back)));
    steps(other, loaded, x, 2);
    gm_model_release(loaded);
    static const struct {
        const char *key;
        int64_t value;
        const char *line;
    } bad[] = { { "gmmn.loss", 2, "loss is" },
                { "gmmn.estimator", 77, "estimator is" },
                { "gmmn.estimator", GM_MMD_UNBIASED, "unbiased" },
                { "gmmn.samples", -1, "samples is -1" },
                { "gmmn.average", 1, "average is 1" },
                { "generator.labels", 1, "" },
                { "generator.output", GM_OUTPUT_BERNOULLI, "output is 0" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_archive *archive = NULL;
        support_ok(ctx, gm_archive_open(&archive, ctx, path));
        support_ok(ctx, gm_archive_set_int(archive, bad[i].key, bad[i].value));
        support_ok(ctx, gm_archive_write(archive, wrong));
        gm_status status = gm_model_load(&loaded, other, wrong);
        ck_assert_msg(status == GM_E_INVALID || status == GM_E_SHAPE, "%s: %s", bad[i].key,
                      gm_status_name(status));
        ck_assert_msg(strstr(gm_context_error(other), bad[i].line) != NULL, "%s",
                      gm_context_error(other));
        ck_assert_ptr_null(loaded);
        gm_archive_release(archive);
    }
    free(before);
    free(after);
    free(x);
    gm_gmmn_release(gmmn);
    gm_context_release(other);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

/* Five steps, a checkpoint, and five more: by the model itself, and by one made from the file in
 * another context, with more threads. */
START_TEST(resume_bit_for_bit)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(75, 1), *other = support_context(1000, 2);
    gm_gmmn *gmmn = make_rich(ctx);
    gm_model *model = gm_gmmn_model(gmmn), *rest = NULL;
    float *x = sheet(ctx, N);
    steps(ctx, model, x, 5);
    support_ok(ctx, gm_model_save_checkpoint(model, path));
    support_ok(other, gm_model_load(&rest, other, path));
    steps(ctx, model, x, 5);
    steps(other, rest, x, 5);
    same_weights(model, rest);
    gans_same_samples(ctx, model, other, rest, 600);
    gm_model_release(rest);
    gm_gmmn_release(gmmn);
    free(x);
    gm_context_release(other);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

START_TEST(same_bytes_for_any_threads)
{
    gm_context *ctx[3];
    gm_gmmn *gmmn[3], *wide[3];
    for (int t = 0; t < 3; t++) {
        ctx[t] = support_context(76, t + 1);
        gmmn[t] = make_rich(ctx[t]);
        float *x = sheet(ctx[t], 300);
        steps(ctx[t], gm_gmmn_model(gmmn[t]), x, 10);
        same_weights(gm_gmmn_model(gmmn[0]), gm_gmmn_model(gmmn[t]));
        if (t)
            gans_same_samples(ctx[0], gm_gmmn_model(gmmn[0]), ctx[t], gm_gmmn_model(gmmn[t]), 600);
        /* Enough rows for several tiles, and the kernels by default. */
        gm_generator *g = uniform(ctx[t], 4, 20, 6);
        wide[t] = make(ctx[t], g, (gm_gmmn_options)GM_GMMN_OPTIONS_INIT, 0.01);
        for (int i = 0; i < 3; i++)
            support_ok(ctx[t], gm_model_step(gm_gmmn_model(wide[t]), x, 300, NULL, 0, NULL));
        same_weights(gm_gmmn_model(wide[0]), gm_gmmn_model(wide[t]));
        gm_generator_release(g);
        free(x);
    }
    for (int t = 0; t < 3; t++) {
        gm_gmmn_release(gmmn[t]);
        gm_gmmn_release(wide[t]);
        gm_context_release(ctx[t]);
    }
}
END_TEST

START_TEST(no_allocation_in_a_step)
{
    gm_context *ctx = support_context(77, 2);
    gm_gmmn *gmmn = make_rich(ctx);
    gm_model *model = gm_gmmn_model(gmmn);
    gm_tensor *t = NULL;
    const int64_t shape[2] = { N, 6 };
    gm_memory_counters before, after;
    float *x = sheet(ctx, N);
    support_ok(ctx, gm_tensor_create(&t, ctx, 2, shape));
    for (int i = 0; i < 2; i++) {
        gm_context_memory(&before, ctx);
        steps(ctx, model, x, 2);
        support_ok(ctx,
                   gm_model_sample_into(model, gm_tensor_shape(t)[0], NULL, gm_tensor_data(t)));
        gm_context_memory(&after, ctx);
    }
    ck_assert_uint_eq(before.allocations, after.allocations);
    gm_tensor_release(t);
    gm_gmmn_release(gmmn);
    free(x);
    gm_context_release(ctx);
}
END_TEST

/* --- Refusals. */

START_TEST(refusals)
{
    gm_context *ctx = support_context(78, 1), *other = support_context(78, 1);
    gm_generator *g = uniform(ctx, 2, 4, 2), *of_other = uniform(other, 2, 4, 2);
    const gm_gmmn_options good = GM_GMMN_OPTIONS_INIT;
    gm_gmmn_options o = good;
    gm_gmmn *gmmn = NULL;
#define REFUSED(member, value, line)                                                               \
    do {                                                                                           \
        o.member = (value);                                                                        \
        gmmn = (gm_gmmn *)ctx;                                                                     \
        support_fails(ctx, gm_gmmn_create(&gmmn, ctx, g, &o), GM_E_INVALID, line);                 \
        ck_assert_ptr_null(gmmn);                                                                  \
        o = good;                                                                                  \
    } while (0)
    REFUSED(loss, 2, "loss is 2");
    REFUSED(loss, -1, "loss is -1");
    REFUSED(estimator, -1, "estimator is -1");
    REFUSED(estimator, 9, "estimator is 9");
    REFUSED(estimator, GM_MMD_UNBIASED, "the unbiased estimate can be negative");
    REFUSED(samples, -1, "samples is -1, 0 or at least 1");
    o.loss = GM_GMMN_MMD2;
    o.estimator = GM_MMD_UNBIASED;
    REFUSED(samples, 1, "samples is 1, 0 or at least 2");
    REFUSED(average, 1, "average is 1");
    REFUSED(average, -0.5, "average is -0.5");
    REFUSED(average, NAN, "average is nan");
    REFUSED(size, 3, "size");
    gm_mmd_kernel *kernel = gaussians(other, 1, 0);
    REFUSED(kernel, kernel, "kernel is of another context");
    gm_mmd_kernel_release(kernel);
    gm_autoencoder *foreign = make_autoencoder(other);
    REFUSED(autoencoder, foreign, "autoencoder is of another context");
    gm_autoencoder_release(foreign);
#undef REFUSED
    support_fails(ctx, gm_gmmn_create(&gmmn, ctx, of_other, NULL), GM_E_INVALID, "another context");
    support_fails(ctx, gm_gmmn_create(&gmmn, ctx, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_gmmn_create(NULL, ctx, g, NULL), GM_E_INVALID, "NULL");
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_generator *bits = nets_generator(ctx, 2, 4, 2, head);
    support_fails(ctx, gm_gmmn_create(&gmmn, ctx, bits, NULL), GM_E_INVALID,
                  "output is 0, expected a direct one");
    head.output = GM_OUTPUT_DIRECT;
    head.labels = 3;
    gm_generator *conditional = nets_generator(ctx, 2, 4, 2, head);
    support_fails(ctx, gm_gmmn_create(&gmmn, ctx, conditional, NULL), GM_E_INVALID,
                  "labels of 3 classes");
    gm_layer *empty = NULL;
    gm_generator *still = NULL;
    support_ok(ctx, gm_sequence_create(&empty, ctx));
    head.labels = 0;
    head.latent = 2;
    support_ok(ctx, gm_generator_create(&still, ctx, empty, &head));
    support_fails(ctx, gm_gmmn_create(&gmmn, ctx, still, NULL), GM_E_INVALID, "no parameters");
    gm_generator *wide = uniform(ctx, 2, 4, 6);
    o.autoencoder = make_autoencoder(ctx);
    support_fails(ctx, gm_gmmn_create(&gmmn, ctx, wide, &o), GM_E_SHAPE,
                  "rows of 6 values, the autoencoder's codes have 2");
    gm_autoencoder_release(o.autoencoder);
    o = good;
    o.optimizer = gans_sgd(ctx, 0.1);
    support_ok(ctx, gm_optimizer_add(o.optimizer, gm_generator_params(wide)));
    support_fails(ctx, gm_gmmn_create(&gmmn, ctx, g, &o), GM_E_STATE, "bound to");
    gm_optimizer_release(o.optimizer);

    support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, NULL)); /* nothing was spoilt */
    gm_model *model = gm_gmmn_model(gmmn);
    float bad[2 * 3] = { 0 };
    double p;
    int64_t n;
    ck_assert(gm_model_supports(model, GM_VERB_FIT) && gm_model_supports(model, GM_VERB_SAMPLE) &&
              gm_model_supports(model, GM_VERB_SAVE) &&
              !gm_model_supports(model, GM_VERB_LOG_PROB));
    support_fails(ctx, gm_model_log_prob(model, bad, 1, &p), GM_E_UNSUPPORTED, "gmmn");
    float *before = nets_weights(model, &n), *after;
    bad[3] = NAN;
    ck_assert_int_lt(gm_model_step(model, bad, 3, NULL, 0, NULL), 0);
    after = nets_weights(model, &n);
    ck_assert_mem_eq(before, after, (size_t)n * sizeof *before);
    ck_assert_int_eq(gm_model_steps(model), 0);
    bad[3] = 0;
    support_ok(ctx, gm_model_step(model, bad, 3, NULL, 0, NULL));
    ck_assert_ptr_null(gm_gmmn_model(NULL));
    ck_assert_ptr_null(gm_gmmn_from_model(NULL));
    ck_assert_ptr_null(gm_gmmn_autoencoder(gmmn));
    free(before);
    free(after);
    gm_gmmn_release(gmmn);
    o = good;
    o.loss = GM_GMMN_MMD2;
    o.estimator = GM_MMD_UNBIASED;
    support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, &o));
    support_fails(ctx, gm_model_step(gm_gmmn_model(gmmn), bad, 1, NULL, 0, NULL), GM_E_SHAPE,
                  "at least 2");
    support_ok(ctx, gm_model_step(gm_gmmn_model(gmmn), bad, 2, NULL, 0, NULL));
    gm_gmmn_release(gmmn);
    gm_generator *all[] = { g, bits, conditional, still, wide, of_other };
    for (int i = 0; i < 6; i++) gm_generator_release(all[i]);
    gm_layer_release(empty);
    gm_context_release(other);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("gmmn");
    TCase *t = tcase_create("gmmn");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_step_by_hand);
    tcase_add_test(t, a_mixture_is_matched);
    tcase_add_test(t, codes_are_matched_and_decoded);
    tcase_add_test(t, files_round_trip);
    tcase_add_test(t, resume_bit_for_bit);
    tcase_add_test(t, same_bytes_for_any_threads);
    tcase_add_test(t, no_allocation_in_a_step);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
