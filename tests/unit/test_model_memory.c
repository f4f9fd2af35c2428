/* test_model_memory.c - what a model that was loaded holds: its weights, and no gradients, moments,
 * averages or way back before something needs them. */
#include "gm/gm.h"
#include "nets.h"

#define COLUMNS 256
#define HIDDEN 512
#define ROWS 2

/* A model whose weights are large beside the workspace of ROWS rows; NULL: its parts are released
 * with it. */
typedef gm_model *(*large_fn)(gm_context *ctx);

static gm_model *large_generator(gm_context *ctx)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    head.output = GM_OUTPUT_BERNOULLI;
    return gm_generator_model(nets_generator(ctx, COLUMNS, HIDDEN, COLUMNS, head));
}

static gm_model *large_vae(gm_context *ctx)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    head.output = GM_OUTPUT_BERNOULLI;
    o.log_prob_samples = 2;
    return gm_vae_model(nets_vae(ctx, COLUMNS, HIDDEN, 64, head, &o));
}

static gm_model *large_gan(gm_context *ctx)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_gan *gan = NULL;
    head.output = GM_OUTPUT_DIRECT;
    gm_generator *g = nets_generator(ctx, COLUMNS, HIDDEN, COLUMNS, head);
    gm_layer *discriminator = nets_mlp(ctx, COLUMNS, HIDDEN, 1);
    support_ok(ctx, gm_gan_create(&gan, ctx, g, discriminator, NULL));
    gm_layer_release(discriminator);
    gm_generator_release(g);
    return gm_gan_model(gan);
}

static gm_autoencoder *large_codes(gm_context *ctx)
{
    gm_autoencoder *net = NULL;
    gm_layer *encoder = nets_mlp(ctx, COLUMNS, HIDDEN, 64);
    gm_layer *decoder = nets_mlp(ctx, 64, HIDDEN, COLUMNS);
    support_ok(ctx, gm_autoencoder_create(&net, ctx, COLUMNS, encoder, decoder, NULL));
    gm_layer_release(encoder);
    gm_layer_release(decoder);
    return net;
}

static gm_model *large_autoencoder(gm_context *ctx)
{
    return gm_autoencoder_model(large_codes(ctx));
}

static gm_model *large_gmmn(gm_context *ctx)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    gm_gmmn *gmmn = NULL;
    head.output = GM_OUTPUT_DIRECT;
    o.autoencoder = large_codes(ctx);
    gm_generator *g = nets_generator(ctx, 64, HIDDEN, 64, head);
    support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, &o));
    gm_generator_release(g);
    gm_autoencoder_release(o.autoencoder);
    return gm_gmmn_model(gmmn);
}

static gm_model *large_linear_ar(gm_context *ctx)
{
    gm_linear_ar *ar = NULL;
    support_ok(ctx, gm_linear_ar_create(&ar, ctx, 2 * COLUMNS, NULL));
    return gm_linear_ar_model(ar);
}

static gm_model *large_neural_ar(gm_context *ctx)
{
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    gm_neural_ar *ar = NULL;
    o.hidden = 8;
    support_ok(ctx, gm_neural_ar_create(&ar, ctx, COLUMNS, &o));
    return gm_neural_ar_model(ar);
}

static gm_model *large_made(gm_context *ctx)
{
    static const int64_t hidden[1] = { HIDDEN };
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    gm_made *made = NULL;
    o.hidden = hidden;
    o.layers = 1;
    support_ok(ctx, gm_made_create(&made, ctx, COLUMNS, &o));
    return gm_made_model(made);
}

static gm_model *large_nade(gm_context *ctx)
{
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    gm_nade *nade = NULL;
    o.hidden = HIDDEN;
    support_ok(ctx, gm_nade_create(&nade, ctx, COLUMNS, &o));
    return gm_nade_model(nade);
}

static gm_model *large_pixelcnn(gm_context *ctx)
{
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *net = NULL;
    o.hidden = 128;
    o.blocks = 8;
    o.head = 512;
    support_ok(ctx, gm_pixelcnn_create(&net, ctx, 2, 3, &o));
    return gm_pixelcnn_model(net);
}

static const int64_t units[2] = { HIDDEN, COLUMNS };

static gm_model *large_sbn(gm_context *ctx)
{
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layer_count = 2;
    o.layers = units;
    o.log_prob_samples = 2;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, COLUMNS, &o));
    return gm_sbn_model(sbn);
}

static gm_model *large_rbm(gm_context *ctx)
{
    gm_rbm *rbm = NULL;
    support_ok(ctx, gm_rbm_create(&rbm, ctx, COLUMNS, HIDDEN, NULL));
    gm_rbm_set_log_z(rbm, 100, 0.1);
    return gm_rbm_model(rbm);
}

static gm_model *large_dbn(gm_context *ctx)
{
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    o.layer_count = 2;
    o.layers = units;
    o.log_prob_samples = 2;
    support_ok(ctx, gm_dbn_create(&dbn, ctx, COLUMNS, &o));
    support_ok(ctx, gm_dbn_grow(dbn, NULL));
    gm_rbm_set_log_z(gm_dbn_layer(dbn, 2), 100, 0.1);
    return gm_dbn_model(dbn);
}

static const struct {
    const char *family;
    large_fn make;
    double workspace; /* of an evaluation, in bytes, where it does not shrink with the rows */
} large[] = {
    { "generator", large_generator, 0 },
    { "vae", large_vae, 0 },
    { "gan", large_gan, 0 },
    { "autoencoder", large_autoencoder, 0 },
    { "gmmn", large_gmmn, 5 << 20 }, /* tiles of distances */
    { "linear_ar", large_linear_ar, 0 },
    { "neural_ar", large_neural_ar, 0 },
    { "made", large_made, 0 },
    { "nade", large_nade, 0 },
    { "pixelcnn", large_pixelcnn, 0 },
    { "sbn", large_sbn, 0 },
    { "rbm", large_rbm, 0 },
    { "dbn", large_dbn, 0 },
};

static uint64_t held(const gm_context *ctx)
{
    gm_memory_counters now;
    gm_context_memory(&now, ctx);
    return now.bytes;
}

/* Scores, samples and evaluates ROWS rows, as far as the family does. */
static void use(gm_context *ctx, gm_model *model)
{
    const int64_t shape[2] = { ROWS, gm_model_row_size(model) };
    gm_dataset *data = NULL;
    double log_prob[ROWS];
    float *rows = calloc((size_t)(shape[0] * shape[1]), sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    if (gm_model_supports(model, GM_VERB_LOG_PROB))
        support_ok(ctx, gm_model_log_prob(model, rows, ROWS, log_prob));
    if (gm_model_supports(model, GM_VERB_SAMPLE))
        support_ok(ctx, gm_model_sample_into(model, ROWS, rows));
    if (gm_model_supports(model, GM_VERB_FIT))
        support_ok(ctx, gm_model_evaluate(model, data, ROWS, 0, NULL, 0, NULL));
    gm_dataset_release(data);
    free(rows);
}

/* A model of the table out of a file, whose size is *bytes: that of the weights and a header. */
static gm_model *loaded(gm_context *ctx, int which, double *bytes)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32];
    gm_context *first = support_context(3, 1);
    gm_model *model = large[which].make(first);
    ck_assert_str_eq(gm_model_family(model), large[which].family);
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    support_ok(first, gm_model_save(model, path));
    gm_model_release(model);
    gm_context_release(first);
    model = NULL;
    support_ok(ctx, gm_model_load(&model, ctx, path));
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    *bytes = (double)ftell(file);
    fclose(file);
    support_folder_remove(folder);
    return model;
}

START_TEST(a_loaded_model_holds_its_weights)
{
    gm_context *ctx = support_context(3, 1);
    const uint64_t before = held(ctx);
    double weights;
    gm_model *model = loaded(ctx, _i, &weights);
    const double at_first = (double)(held(ctx) - before);
    ck_assert_msg(at_first < 1.1 * weights, "%s holds %g times its weights", large[_i].family,
                  at_first / weights);
    use(ctx, model);
    const double used = (double)(held(ctx) - before);
    printf("%s: %.0f bytes of weights, %.3f times as much loaded, %.3f after use\n",
           large[_i].family, weights, at_first / weights, used / weights);
    ck_assert_msg(used < 1.3 * weights + large[_i].workspace,
                  "%s holds %g times its weights after use", large[_i].family, used / weights);
    gm_model_release(model);
    ck_assert_uint_eq(held(ctx), before);
    gm_context_release(ctx);
}
END_TEST

/* What fitting needs comes with the first step, and stays. */
START_TEST(a_step_takes_what_it_needs)
{
    gm_context *ctx = support_context(3, 1);
    double weights;
    gm_model *model = loaded(ctx, _i, &weights);
    if (gm_model_supports(model, GM_VERB_FIT)) {
        float *rows = calloc((size_t)(ROWS * gm_model_row_size(model)), sizeof *rows);
        ck_assert_ptr_nonnull(rows);
        const uint64_t before = held(ctx);
        support_ok(ctx, gm_model_step(model, rows, ROWS, NULL, 0, NULL));
        const uint64_t after = held(ctx);
        if (gm_model_optimizer(model)) ck_assert_uint_gt(after, before);
        support_ok(ctx, gm_model_step(model, rows, ROWS, NULL, 0, NULL));
        ck_assert_uint_eq(held(ctx), after);
        free(rows);
    }
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("memory of models");
    TCase *t = tcase_create("memory");
    const int count = (int)(sizeof large / sizeof *large);
    tcase_add_loop_test(t, a_loaded_model_holds_its_weights, 0, count);
    tcase_add_loop_test(t, a_step_takes_what_it_needs, 0, count);
    suite_add_tcase(s, t);
    return s;
}
