/* test_dcgan.c - gm/dcgan.h: the networks' shapes and first weights, and short games between them.
 */
#include "gans.h"

static gm_dcgan_options small(void)
{
    gm_dcgan_options o = GM_DCGAN_OPTIONS_INIT;
    o.side = 16;
    o.width = 4;
    o.latent = 5;
    return o;
}

static gm_gan *make(gm_context *ctx, const gm_dcgan_options *o, const gm_gan_options *game)
{
    gm_generator *g = NULL;
    gm_layer *d = NULL;
    gm_gan *gan = NULL;
    support_ok(ctx, gm_dcgan_generator_create(&g, ctx, o));
    support_ok(ctx, gm_dcgan_discriminator_create(&d, ctx, o));
    support_ok(ctx, gm_gan_create(&gan, ctx, g, d, game));
    gm_layer_release(d);
    gm_generator_release(g);
    return gan;
}

/* rows in [-1, 1] with a bright half, so that there is something to learn; free them. */
static float *images(int64_t rows, int64_t size)
{
    float *x = malloc((size_t)(rows * size) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < rows * size; i++)
        x[i] = (float)((i % size < size / 2 ? 0.5 : -1) + 0.25 * (double)(i * 7 % 3));
    return x;
}

static void check_shapes(gm_context *ctx, gm_dcgan_options o)
{
    gm_generator *g = NULL;
    gm_layer *d = NULL;
    int64_t z[2] = { 3, o.latent + o.labels }, shape[GM_MAX_RANK];
    int64_t in[4] = { 3, o.channels + o.labels, o.side, o.side };
    int32_t rank;
    support_ok(ctx, gm_dcgan_generator_create(&g, ctx, &o));
    support_ok(ctx, gm_dcgan_discriminator_create(&d, ctx, &o));
    ck_assert_int_eq(gm_generator_latent(g), o.latent);
    ck_assert_int_eq(gm_generator_labels(g), o.labels);
    ck_assert_int_eq(gm_generator_output(g), GM_OUTPUT_DIRECT);
    ck_assert_int_eq(gm_generator_row_size(g), o.channels * o.side * o.side);
    support_ok(ctx, gm_layer_output(gm_generator_net(g), 2, z, &rank, shape));
    ck_assert_int_eq(rank, 4);
    ck_assert(shape[0] == 3 && shape[1] == o.channels && shape[2] == o.side && shape[3] == o.side);
    support_ok(ctx, gm_layer_output(d, 4, in, &rank, shape));
    ck_assert_int_eq(rank, 2);
    ck_assert(shape[0] == 3 && shape[1] == 1);
    gm_layer_release(d);
    gm_generator_release(g);
}

START_TEST(shapes)
{
    static const int64_t sides[] = { 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128 };
    gm_context *ctx = support_context(61, 1);
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        gm_dcgan_options o = small();
        o.side = sides[i];
        o.width = 2;
        check_shapes(ctx, o);
        o.channels = 3;
        o.labels = 4;
        for (o.discriminator_norm = 0; o.discriminator_norm < 3; o.discriminator_norm++)
            check_shapes(ctx, o);
        o.hidden = 7;
        for (o.discriminator_norm = 0; o.discriminator_norm < 3; o.discriminator_norm++)
            check_shapes(ctx, o);
        o.discriminator_norm = GM_DCGAN_BATCH_NORM;
        o.output = GM_ACTIVATION_SIGMOID;
        check_shapes(ctx, o);
    }
    gm_context_release(ctx);
}
END_TEST

/* The paper's figure 1, 64 x 64: four halvings, 1024 channels on the smallest map for width 128. */
START_TEST(the_papers_layers)
{
    gm_context *ctx = support_context(62, 1);
    gm_dcgan_options o = GM_DCGAN_OPTIONS_INIT;
    gm_generator *g = NULL;
    gm_layer *d = NULL;
    o.side = 64;
    o.channels = 3;
    o.width = 8; /* a sixteenth */
    support_ok(ctx, gm_dcgan_generator_create(&g, ctx, &o));
    support_ok(ctx, gm_dcgan_discriminator_create(&d, ctx, &o));
    /* Weights and biases of the linear layer, norms, four convolutions; no bias under a norm. */
    int64_t up =
        100 * 64 * 16 + 2 * (64 + 32 + 16 + 8) + 16 * (64 * 32 + 32 * 16 + 16 * 8 + 8 * 3) + 3;
    int64_t down = 16 * (3 * 8 + 8 * 16 + 16 * 32 + 32 * 64) + 8 + 2 * (16 + 32 + 64) + 64 * 16 + 1;
    ck_assert_int_eq(gm_params_elements(gm_generator_params(g)), up);
    ck_assert_int_eq(gm_params_elements(gm_layer_params(d)), down);
    gm_layer_release(d);
    gm_generator_release(g);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refusals)
{
    static const int64_t sides[] = { 0,  -16, 8,  12, 15,  17,  18,  30,       31,
                                     36, 44,  72, 88, 127, 130, 160, INT64_MAX };
    gm_context *ctx = support_context(63, 1);
    gm_generator *g = NULL;
    gm_layer *d = NULL;
    char text[64];
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        gm_dcgan_options o = GM_DCGAN_OPTIONS_INIT;
        o.side = sides[i];
        snprintf(text, sizeof text, "side is %g,", (double)sides[i]);
        support_fails(ctx, gm_dcgan_generator_create(&g, ctx, &o), GM_E_INVALID, text);
        ck_assert_ptr_null(g);
        support_fails(ctx, gm_dcgan_discriminator_create(&d, ctx, &o), GM_E_INVALID, text);
        ck_assert_ptr_null(d);
    }
#define BAD(member, value, text)                                                                   \
    do {                                                                                           \
        gm_dcgan_options o = GM_DCGAN_OPTIONS_INIT;                                                \
        o.member = (value);                                                                        \
        support_fails(ctx, gm_dcgan_generator_create(&g, ctx, &o), GM_E_INVALID, text);            \
        support_fails(ctx, gm_dcgan_discriminator_create(&d, ctx, &o), GM_E_INVALID, text);        \
        ck_assert(!g && !d);                                                                       \
    } while (0)
    BAD(channels, 0, "channels is 0");
    BAD(channels, 1025, "channels is 1025");
    BAD(width, 0, "width is 0");
    BAD(width, 4097, "width is 4097");
    BAD(latent, 0, "latent is 0");
    BAD(labels, -1, "labels is -1");
    BAD(labels, 4097, "labels is 4097");
    BAD(output, GM_ACTIVATION_RELU, "output is");
    BAD(discriminator_norm, 3, "discriminator_norm is 3");
    BAD(discriminator_norm, -1, "discriminator_norm is -1");
    BAD(hidden, -1, "hidden is -1");
    BAD(hidden, 65537, "hidden is 65537");
    BAD(deviation, 0, "deviation is 0");
    BAD(deviation, -0.02, "deviation is -0.02");
    BAD(deviation, NAN, "deviation is nan");
    BAD(deviation, INFINITY, "deviation is inf");
    BAD(size, 3, "size");
#undef BAD
    support_fails(ctx, gm_dcgan_generator_create(NULL, ctx, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dcgan_discriminator_create(NULL, ctx, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dcgan_generator_create(&g, NULL, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_dcgan_discriminator_create(&d, NULL, NULL), GM_E_INVALID);
    gm_context_release(ctx);
}
END_TEST

/* Weights N(0, deviation^2), gains 1, all else 0: what a parameter is, its rank and its name say.
 */
static void check_first_weights(const gm_params *params, double deviation)
{
    for (int64_t i = 0; i < gm_params_count(params); i++) {
        gm_param *p = gm_params_get(params, i);
        const char *name = gm_params_name(params, i);
        double n = (double)gm_param_count(p), sum = 0, squares = 0;
        for (int64_t j = 0; j < gm_param_count(p); j++) {
            double w = (double)gm_param_value(p)[j];
            sum += w;
            squares += w * w;
            if (gm_param_rank(p) == 1)
                ck_assert_msg(w == (strstr(name, "gamma") ? 1 : 0), "%s holds %g", name, w);
        }
        if (gm_param_rank(p) == 1) continue;
        double mean = sum / n, sd = sqrt(squares / n - mean * mean);
        ck_assert_msg(fabs(mean) < 5 * deviation / sqrt(n), "%s: mean %g", name, mean);
        ck_assert_msg(fabs(sd / deviation - 1) < 5 / sqrt(2 * n), "%s: deviation %g", name, sd);
    }
}

START_TEST(first_weights)
{
    gm_context *ctx = support_context(64, 1);
    gm_dcgan_options o = GM_DCGAN_OPTIONS_INIT;
    gm_generator *g = NULL;
    gm_layer *d = NULL;
    o.width = 16;
    for (int k = 0; k < 2; k++) {
        support_ok(ctx, gm_dcgan_generator_create(&g, ctx, &o));
        support_ok(ctx, gm_dcgan_discriminator_create(&d, ctx, &o));
        check_first_weights(gm_generator_params(g), k ? 0.25 : 0.02);
        check_first_weights(gm_layer_params(d), k ? 0.25 : 0.02);
        gm_layer_release(d);
        gm_generator_release(g);
        o.deviation = 0.25;
    }
    gm_context_release(ctx);
}
END_TEST

static void steps(gm_context *ctx, gm_gan *gan, const float *x, int64_t rows, int count)
{
    for (int i = 0; i < count; i++)
        support_ok(ctx, gm_model_step(gm_gan_model(gan), x, rows, NULL, 0, NULL));
}

/* Each kind of D, with and without labels: both players move, D tells data from samples, threads do
 * not matter. */
START_TEST(same_bytes_for_any_threads)
{
    const int64_t label[10] = { 0, 1, 2, 0, 1, 2, 0, 1, 2, 0 };
    for (int kind = 0; kind < 4; kind++) {
        gm_context *ctx[3];
        gm_gan *gan[3];
        for (int k = 0; k < 3; k++) {
            ctx[k] = support_context(65, k + 1);
            gm_dcgan_options o = small();
            o.channels = kind == 3 ? 3 : 1;
            o.labels = kind == 3 ? 3 : 0;
            o.hidden = kind == 2 ? 6 : 0;
            o.discriminator_norm = kind % 3;
            float *x = images(10, o.channels * 256);
            gan[k] = make(ctx[k], &o, NULL);
            gm_model *model = gm_gan_model(gan[k]);
            if (o.labels) support_ok(ctx[k], gm_model_set_labels(model, label, 10));
            gans_players first = gans_look(gan[k]);
            steps(ctx[k], gan[k], x, 10, 12);
            ck_assert_int_eq(gans_moved(gan[k], &first), GANS_G | GANS_D);
            gans_forget(&first);
            gm_metric m[GM_MAX_METRICS];
            int32_t count;
            support_ok(ctx[k], gm_model_step(model, x, 10, m, GM_MAX_METRICS, &count));
            ck_assert_msg(nets_metric(m, count, "d_data") > nets_metric(m, count, "d_samples"),
                          "kind %d: D(x) %g, D(G(z)) %g", kind, nets_metric(m, count, "d_data"),
                          nets_metric(m, count, "d_samples"));
            if (k) gans_same(gan[0], gan[k]);
            if (o.labels) support_ok(ctx[k], gm_model_set_labels(model, label, 9));
            if (k) {
                if (o.labels)
                    support_ok(ctx[0], gm_model_set_labels(gm_gan_model(gan[0]), label, 9));
                gans_same_samples(ctx[0], gm_gan_model(gan[0]), ctx[k], model, 9);
            }
            free(x);
        }
        for (int k = 0; k < 3; k++) {
            gm_gan_release(gan[k]);
            gm_context_release(ctx[k]);
        }
    }
}
END_TEST

START_TEST(no_allocation_in_a_step)
{
    for (int kind = 0; kind < 3; kind++) {
        gm_context *ctx = support_context(66, 2);
        gm_dcgan_options o = small();
        gm_memory_counters before, after;
        o.discriminator_norm = kind;
        float *x = images(8, 256);
        gm_gan *gan = make(ctx, &o, NULL);
        steps(ctx, gan, x, 8, 1);
        gm_context_memory(&before, ctx);
        steps(ctx, gan, x, 8, 3);
        gm_context_memory(&after, ctx);
        ck_assert_uint_eq(before.allocations, after.allocations);
        free(x);
        gm_gan_release(gan);
        gm_context_release(ctx);
    }
}
END_TEST

/* The net that the example trains, at batch 64. */
START_TEST(memory_of_training)
{
    gm_context *ctx = support_context(67, 2);
    gm_dcgan_options o = GM_DCGAN_OPTIONS_INIT;
    gm_memory_counters m;
    float *x = images(64, 784);
    gm_gan *gan = make(ctx, &o, NULL);
    steps(ctx, gan, x, 64, 2);
    gm_context_memory(&m, ctx);
    printf("dcgan: peak of %.0f MB at batch 64, width 64\n", (double)m.peak_bytes / 1e6);
    ck_assert_msg(m.peak_bytes < 600u * 1000 * 1000, "peak is %llu bytes",
                  (unsigned long long)m.peak_bytes);
    free(x);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* A checkpoint in the middle changes nothing, running statistics and all. */
START_TEST(saved_and_loaded)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int kind = 0; kind < 3; kind++) {
        gm_context *ctx = support_context(68, 1), *other = support_context(69, 1);
        gm_dcgan_options o = small();
        gm_model *loaded = NULL;
        o.discriminator_norm = kind;
        float *x = images(8, 256);
        gm_gan *gan = make(ctx, &o, NULL);
        steps(ctx, gan, x, 8, 3);
        support_ok(ctx, gm_model_save_checkpoint(gm_gan_model(gan), path));
        support_ok(other, gm_model_load(&loaded, other, path));
        steps(ctx, gan, x, 8, 3);
        steps(other, gm_gan_from_model(loaded), x, 8, 3);
        gans_same(gan, gm_gan_from_model(loaded));
        gans_same_samples(ctx, gm_gan_model(gan), other, loaded, 6);
        free(x);
        gm_model_release(loaded);
        gm_gan_release(gan);
        gm_context_release(other);
        gm_context_release(ctx);
    }
    support_folder_remove(folder);
}
END_TEST

/* Every norm here is over maps, 4 x 4 at least: one image is enough. */
START_TEST(a_batch_of_one)
{
    gm_context *ctx = support_context(70, 1);
    gm_dcgan_options o = small();
    float *x = images(1, 256);
    gm_gan *gan = make(ctx, &o, NULL);
    steps(ctx, gan, x, 1, 3);
    free(x);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* Batch norm has no second derivative here, and a penalty on single rows would not suit it. */
START_TEST(penalties)
{
    for (int32_t kind = GM_PENALTY_GRADIENT; kind <= GM_PENALTY_R1; kind++) {
        gm_context *ctx = support_context(71, 1);
        gm_dcgan_options o = small();
        gm_gan_options game = GM_GAN_OPTIONS_INIT;
        gm_metric m[GM_MAX_METRICS];
        int32_t count;
        game.penalty = kind;
        float *x = images(8, 256);
        gm_gan *gan = make(ctx, &o, &game);
        gans_players first = gans_look(gan);
        support_fails(ctx, gm_model_step(gm_gan_model(gan), x, 8, NULL, 0, NULL), GM_E_UNSUPPORTED,
                      "batch_norm");
        ck_assert_int_eq(gans_moved(gan, &first), 0);
        gans_forget(&first);
        gm_gan_release(gan);
        o.discriminator_norm = GM_DCGAN_NO_NORM;
        gan = make(ctx, &o, &game);
        first = gans_look(gan);
        steps(ctx, gan, x, 8, 3);
        support_ok(ctx, gm_model_step(gm_gan_model(gan), x, 8, m, GM_MAX_METRICS, &count));
        ck_assert(nets_metric(m, count, "penalty_norm") > 0);
        ck_assert_int_eq(gans_moved(gan, &first), GANS_G | GANS_D);
        gans_forget(&first);
        free(x);
        gm_gan_release(gan);
        gm_context_release(ctx);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("dcgan");
    TCase *t = tcase_create("dcgan");
    tcase_set_timeout(t, 240);
    tcase_add_test(t, shapes);
    tcase_add_test(t, the_papers_layers);
    tcase_add_test(t, refusals);
    tcase_add_test(t, first_weights);
    tcase_add_test(t, same_bytes_for_any_threads);
    tcase_add_test(t, no_allocation_in_a_step);
    tcase_add_test(t, memory_of_training);
    tcase_add_test(t, saved_and_loaded);
    tcase_add_test(t, a_batch_of_one);
    tcase_add_test(t, penalties);
    suite_add_tcase(s, t);
    return s;
}
