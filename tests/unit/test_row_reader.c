/* test_row_reader.c - what datasets must be for the verbs that read them: rows of the model's
 * shape, and batches that it can work on to the last. */
#include "nets.h"

#define SIDE 4
#define ROW (3 * SIDE * SIDE)
#define ROWS 9

/* --- The shape of rows. Each maker gives a model of images [3, 4, 4] but the last, [6, 8]. */

typedef gm_model *make_fn(gm_context *ctx);

static const int64_t image[3] = { 3, SIDE, SIDE };

static gm_layer *to_image(gm_context *ctx, int64_t in, int reshape)
{
    gm_layer *net = nets_mlp(ctx, in, 0, ROW);
    if (reshape) support_ok(ctx, gm_sequence_add_reshape(net, 3, image));
    return net;
}

static gm_layer *from_image(gm_context *ctx, int64_t out, int reshape)
{
    gm_layer *net = NULL, *inner = NULL;
    support_ok(ctx, gm_sequence_create(&net, ctx));
    if (reshape) { /* within a part, to be found there */
        support_ok(ctx, gm_sequence_create(&inner, ctx));
        support_ok(ctx, gm_sequence_add_reshape(inner, 3, image));
        support_ok(ctx, gm_sequence_add(net, inner));
        gm_layer_release(inner);
    }
    support_ok(ctx, gm_sequence_add_conv2d(net, 3, 2, 3, 1, 1));
    support_ok(ctx, gm_sequence_add_flatten(net));
    support_ok(ctx, gm_sequence_add_linear(net, 2 * SIDE * SIDE, out));
    return net;
}

static gm_generator *images(gm_context *ctx, int32_t output, int reshape)
{
    gm_layer *net = to_image(ctx, 2, reshape);
    gm_generator *g = NULL;
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    o.latent = 2;
    o.output = output;
    support_ok(ctx, gm_generator_create(&g, ctx, net, &o));
    gm_layer_release(net);
    return g;
}

/* Axes that the decoder gives, or with which the encoder begins. */
static gm_model *make_vae(gm_context *ctx, int decoder)
{
    gm_layer *encoder = from_image(ctx, 4, !decoder);
    gm_generator *g = images(ctx, GM_OUTPUT_BERNOULLI, decoder);
    gm_vae *vae = NULL;
    support_ok(ctx, gm_vae_create(&vae, ctx, encoder, g, NULL));
    gm_layer_release(encoder);
    gm_generator_release(g);
    return gm_vae_model(vae);
}

static gm_model *vae_by_decoder(gm_context *ctx)
{
    return make_vae(ctx, 1);
}

static gm_model *vae_by_encoder(gm_context *ctx)
{
    return make_vae(ctx, 0);
}

/* Means and log-variances: twice the channels. */
static gm_model *vae_of_reals(gm_context *ctx)
{
    static const int64_t twice[3] = { 6, SIDE, SIDE };
    gm_layer *net = nets_mlp(ctx, 2, 0, 2 * ROW), *encoder = nets_mlp(ctx, ROW, 0, 4);
    gm_generator *g = NULL;
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    gm_vae *vae = NULL;
    o.latent = 2;
    o.output = GM_OUTPUT_GAUSSIAN;
    o.learn_variance = 1;
    support_ok(ctx, gm_sequence_add_reshape(net, 3, twice));
    support_ok(ctx, gm_generator_create(&g, ctx, net, &o));
    support_ok(ctx, gm_vae_create(&vae, ctx, encoder, g, NULL));
    gm_layer_release(net);
    gm_layer_release(encoder);
    gm_generator_release(g);
    return gm_vae_model(vae);
}

/* Logits of classes along the last axis. */
static gm_model *vae_of_classes(gm_context *ctx)
{
    static const int64_t logits[4] = { 3, SIDE, SIDE, 2 };
    gm_layer *net = nets_mlp(ctx, 2, 0, 2 * ROW), *encoder = nets_mlp(ctx, ROW, 0, 4);
    gm_generator *g = NULL;
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    gm_vae *vae = NULL;
    o.latent = 2;
    o.output = GM_OUTPUT_CATEGORICAL;
    o.classes = 2;
    support_ok(ctx, gm_sequence_add_reshape(net, 4, logits));
    support_ok(ctx, gm_generator_create(&g, ctx, net, &o));
    support_ok(ctx, gm_vae_create(&vae, ctx, encoder, g, NULL));
    gm_layer_release(net);
    gm_layer_release(encoder);
    gm_generator_release(g);
    return gm_vae_model(vae);
}

static gm_model *make_gan(gm_context *ctx, int generator)
{
    gm_layer *d = from_image(ctx, 1, !generator);
    gm_generator *g = images(ctx, GM_OUTPUT_DIRECT, generator);
    gm_gan *gan = NULL;
    support_ok(ctx, gm_gan_create(&gan, ctx, g, d, NULL));
    gm_layer_release(d);
    gm_generator_release(g);
    return gm_gan_model(gan);
}

static gm_model *gan_by_generator(gm_context *ctx)
{
    return make_gan(ctx, 1);
}

static gm_model *gan_by_discriminator(gm_context *ctx)
{
    return make_gan(ctx, 0);
}

static gm_autoencoder *coder(gm_context *ctx, int decoder)
{
    gm_layer *in = decoder ? nets_mlp(ctx, ROW, 0, 2) : from_image(ctx, 2, 1),
             *back = to_image(ctx, 2, decoder);
    gm_autoencoder *a = NULL;
    support_ok(ctx, gm_autoencoder_create(&a, ctx, ROW, in, back, NULL));
    gm_layer_release(in);
    gm_layer_release(back);
    return a;
}

static gm_model *autoencoder_by_decoder(gm_context *ctx)
{
    return gm_autoencoder_model(coder(ctx, 1));
}

static gm_model *autoencoder_by_encoder(gm_context *ctx)
{
    return gm_autoencoder_model(coder(ctx, 0));
}

static gm_model *gmmn_of_rows(gm_context *ctx)
{
    gm_generator *g = images(ctx, GM_OUTPUT_DIRECT, 1);
    gm_gmmn *gmmn = NULL;
    support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, NULL));
    gm_generator_release(g);
    return gm_gmmn_model(gmmn);
}

static gm_model *gmmn_of_codes(gm_context *ctx)
{
    gm_autoencoder *a = coder(ctx, 1);
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    gm_gmmn *gmmn = NULL;
    head.output = GM_OUTPUT_DIRECT;
    o.autoencoder = a;
    gm_generator *g = nets_generator(ctx, 2, 0, 2, head);
    support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, &o));
    gm_generator_release(g);
    gm_autoencoder_release(a);
    return gm_gmmn_model(gmmn);
}

static gm_model *pixelcnn(gm_context *ctx)
{
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *net = NULL;
    o.hidden = 2;
    o.blocks = 1;
    o.head = 2;
    o.first_kernel = 3;
    support_ok(ctx, gm_pixelcnn_create(&net, ctx, 6, 8, &o));
    return gm_pixelcnn_model(net);
}

static gm_model *loaded(gm_context *ctx)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_model *model = vae_by_decoder(ctx), *again = NULL;
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    support_ok(ctx, gm_model_save(model, path));
    support_ok(ctx, gm_model_load(&again, ctx, path));
    gm_model_release(model);
    support_folder_remove(folder);
    return again;
}

static make_fn *const makers[] = { vae_by_decoder,
                                   vae_by_encoder,
                                   vae_of_reals,
                                   vae_of_classes,
                                   gan_by_generator,
                                   gan_by_discriminator,
                                   autoencoder_by_decoder,
                                   autoencoder_by_encoder,
                                   gmmn_of_rows,
                                   gmmn_of_codes,
                                   pixelcnn,
                                   loaded };
#define MAKERS (sizeof makers / sizeof *makers)

static gm_status fit(gm_model *model, gm_dataset *data, gm_dataset *validation, int64_t batch)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    o.epochs = 1;
    o.batch = batch;
    o.validation = validation;
    return gm_model_fit(model, data, &o);
}

/* Every verb that reads a dataset, on the one given. NULL: all take it. */
static void every_verb(gm_context *ctx, gm_model *model, gm_dataset *given, gm_dataset *good,
                       const char *refused)
{
    gm_result r = GM_RESULT_INIT;
    gm_anomaly *anomaly = NULL;
    const gm_status status[] = {
        GM_OK,
        fit(model, given, NULL, 3),
        fit(model, good, given, 3),
        gm_model_evaluate(model, given, support_batches(4, 0), NULL, 0, NULL),
        gm_evaluate_nll(&r, model, given, NULL),
        gm_anomaly_create(&anomaly, model, given, NULL),
    };
    const int scores = gm_model_supports(model, GM_VERB_LOG_PROB);
    for (int i = 1; i < 4 + 2 * scores; i++)
        ck_assert_msg(status[i] == (refused ? GM_E_SHAPE : GM_OK), "%s: verb %d: status %d: %s",
                      gm_model_family(model), i, (int)status[i], gm_context_error(ctx));
    gm_anomaly_release(anomaly);
    if (!refused) return;
    const int64_t steps = gm_model_steps(model);
    support_fails(ctx, fit(model, given, NULL, 3), GM_E_SHAPE, refused);
    support_fails(ctx, fit(model, good, given, 3), GM_E_SHAPE, refused);
    ck_assert(support_says(gm_context_error(ctx), "validation"));
    ck_assert_int_eq(gm_model_steps(model), steps); /* before the first step */
    support_fails(ctx, gm_model_evaluate(model, given, support_batches(4, 0), NULL, 0, NULL),
                  GM_E_SHAPE, refused);
    if (!scores) return;
    support_fails(ctx, gm_evaluate_nll(&r, model, given, NULL), GM_E_SHAPE, refused);
    support_fails(ctx, gm_anomaly_create(&anomaly, model, given, NULL), GM_E_SHAPE, refused);
}

START_TEST(rows_of_another_shape)
{
    static const int64_t last[4] = { ROWS, SIDE, SIDE, 3 }, flat[1] = { ROW };
    static const int64_t turned[3] = { ROWS, 8, 6 }, plane[2] = { 6, 8 }, four[4] = { 1, 3, 4, 4 };
    static float values[ROWS * ROW];
    for (int i = 0; i < ROWS * ROW; i++) values[i] = (float)(i * i % 7 < 3);
    for (size_t k = 0; k < MAKERS; k++) {
        const int planes = makers[k] == pixelcnn;
        gm_context *ctx = support_context(5, 1);
        gm_model *model = makers[k](ctx);
        gm_dataset *bad = NULL, *good = NULL, *rows = NULL, *view = NULL;
        support_ok(
            ctx, gm_dataset_from_memory(&bad, ctx, planes ? 3 : 4, planes ? turned : last, values));
        support_ok(ctx, gm_dataset_reshape(&rows, bad, 1, flat));
        support_ok(ctx, gm_dataset_reshape(&view, bad, 4, four));
        if (planes)
            support_ok(ctx, gm_dataset_reshape(&good, bad, 2, plane));
        else
            support_ok(ctx, gm_dataset_channels_first(&good, bad));
        every_verb(ctx, model, bad, good, planes ? "[8, 6]" : "[4, 4, 3]");
        every_verb(ctx, model, bad, good, planes ? "[6, 8]" : "[3, 4, 4]");
        every_verb(ctx, model, good, good, NULL);
        every_verb(ctx, model, rows, good, NULL);
        every_verb(ctx, model, view, good, NULL);
        gm_dataset *sets[] = { bad, good, rows, view };
        for (int i = 0; i < 4; i++) gm_dataset_release(sets[i]);
        gm_model_release(model);
        gm_context_release(ctx);
    }
}
END_TEST

/* A flat net has no axes to agree with. */
START_TEST(flat_models_take_any_shape)
{
    static const int64_t shape[4] = { ROWS, SIDE, SIDE, 3 }, wide[3] = { ROWS, 7, 7 };
    static float values[ROWS * 49];
    gm_context *ctx = support_context(5, 1), *other = support_context(5, 1);
    gm_vae *vae = nets_vae(ctx, ROW, 4, 2, (gm_generator_options)GM_GENERATOR_OPTIONS_INIT, NULL);
    gm_dataset *data = NULL, *large = NULL, *foreign = NULL;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 4, shape, values));
    support_ok(ctx, gm_dataset_from_memory(&large, ctx, 3, wide, values));
    support_ok(other, gm_dataset_from_memory(&foreign, other, 4, shape, values));
    every_verb(ctx, gm_vae_model(vae), data, data, NULL);
    every_verb(ctx, gm_vae_model(vae), large, data, "[7, 7]");
    every_verb(ctx, gm_vae_model(vae), large, data, "[48]");
    support_fails(ctx, fit(gm_vae_model(vae), foreign, NULL, 3), GM_E_INVALID, "another context");
    support_fails(ctx, fit(gm_vae_model(vae), data, foreign, 3), GM_E_INVALID, "another context");
    gm_dataset_release(data);
    gm_dataset_release(large);
    gm_dataset_release(foreign);
    gm_vae_release(vae);
    gm_context_release(ctx);
    gm_context_release(other);
}
END_TEST

/* Pictures of another size and labels that count from 1: the line names the file, what it holds and
 * what the model takes. */
START_TEST(lines_name_files)
{
    static const uint8_t rows[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0,
                                    0, 3, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0 };
    static const uint8_t labels[] = { 0, 0, 8, 1, 0, 0, 0, 2, 1, 4 };
    char folder[SUPPORT_PATH], images[SUPPORT_PATH + 16], classes[SUPPORT_PATH + 16];
    gm_context *ctx = support_context(5, 1);
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_dataset *data = NULL, *of_rows = NULL;
    support_folder_make(folder);
    snprintf(images, sizeof images, "%s/images", folder);
    snprintf(classes, sizeof classes, "%s/labels", folder);
    support_file_write(images, rows, sizeof rows);
    support_file_write(classes, labels, sizeof labels);
    support_ok(ctx, gm_dataset_open_idx(&data, ctx, images));
    support_ok(ctx, gm_dataset_open_idx(&of_rows, ctx, classes));
    support_ok(ctx, gm_dataset_attach_labels(data, of_rows));
    head.labels = 4;
    gm_vae *six = nets_vae(ctx, 6, 4, 2, head, NULL), *nine = nets_vae(ctx, 9, 4, 2, head, NULL);
    support_fails(ctx, fit(gm_vae_model(nine), data, NULL, 2), GM_E_SHAPE, images);
    ck_assert(support_says(gm_context_error(ctx), "[2, 3]"));
    ck_assert(support_says(gm_context_error(ctx), "[9]"));
    support_fails(ctx, fit(gm_vae_model(six), data, NULL, 2), GM_E_INVALID, classes);
    ck_assert(support_says(gm_context_error(ctx), "from 1 to 4"));
    ck_assert(support_says(gm_context_error(ctx), "0 to 3"));
    gm_vae_release(six);
    gm_vae_release(nine);
    gm_dataset_release(of_rows);
    gm_dataset_release(data);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

/* --- A last batch of one row. */

static gm_layer *normed(gm_context *ctx, int64_t in, int64_t out, int batch_norm)
{
    gm_layer *net = nets_mlp(ctx, in, 0, 4);
    if (batch_norm) support_ok(ctx, gm_sequence_add_batch_norm(net, 4));
    support_ok(ctx, gm_sequence_add_relu(net));
    support_ok(ctx, gm_sequence_add_linear(net, 4, out));
    return net;
}

static gm_generator *normed_generator(gm_context *ctx, int32_t output, int batch_norm)
{
    gm_layer *net = normed(ctx, 2, 8, batch_norm);
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    gm_generator *g = NULL;
    o.latent = 2;
    o.output = output;
    support_ok(ctx, gm_generator_create(&g, ctx, net, &o));
    gm_layer_release(net);
    return g;
}

#define VAE 0
#define GAN 1
#define GMMN 2
#define AUTOENCODER 3
#define UNBIASED 4 /* a GMMN without batch norm, whose estimate has no pairs of one row */
#define KINDS 5

static gm_model *make_kind(gm_context *ctx, int kind, int batch_norm)
{
    gm_layer *net = normed(ctx, 8, kind == GAN ? 1 : kind == VAE ? 4 : 2, batch_norm), *back = NULL;
    gm_generator *g = NULL;
    gm_model *model = NULL;
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    if (kind == UNBIASED) o.loss = GM_GMMN_MMD2, o.estimator = GM_MMD_UNBIASED;
    if (kind != AUTOENCODER)
        g = normed_generator(ctx, kind == VAE ? GM_OUTPUT_BERNOULLI : GM_OUTPUT_DIRECT, batch_norm);
    if (kind == VAE) {
        gm_vae *vae = NULL;
        support_ok(ctx, gm_vae_create(&vae, ctx, net, g, NULL));
        model = gm_vae_model(vae);
    } else if (kind == GAN) {
        gm_gan *gan = NULL;
        support_ok(ctx, gm_gan_create(&gan, ctx, g, net, NULL));
        model = gm_gan_model(gan);
    } else if (kind == AUTOENCODER) {
        gm_autoencoder *a = NULL;
        back = nets_mlp(ctx, 2, 0, 8);
        support_ok(ctx, gm_autoencoder_create(&a, ctx, 8, net, back, NULL));
        model = gm_autoencoder_model(a);
    } else {
        gm_gmmn *gmmn = NULL;
        support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, &o));
        model = gm_gmmn_model(gmmn);
    }
    gm_layer_release(net);
    gm_layer_release(back);
    gm_generator_release(g);
    return model;
}

START_TEST(last_batch_of_one_row)
{
    for (int kind = 0; kind < KINDS; kind++) {
        gm_context *ctx = support_context(6, 1);
        gm_dataset *odd = nets_bits(ctx, 33, 8), *even = nets_bits(ctx, 34, 8);
        gm_model *model = make_kind(ctx, kind, kind != UNBIASED);
        gm_fit_options o = GM_FIT_OPTIONS_INIT;
        o.epochs = 2;
        o.batch = 16;
        support_fails(ctx, gm_model_fit(model, odd, &o), GM_E_INVALID, "drop_last");
        ck_assert(support_says(gm_context_error(ctx), "last batch"));
        ck_assert(support_says(gm_context_error(ctx), "1 row"));
        ck_assert_int_eq(gm_model_steps(model), 0);
        ck_assert_int_eq(gm_model_epochs(model), 0);
        support_ok(ctx, gm_model_fit(model, even, &o));
        ck_assert_int_eq(gm_model_steps(model), 6);
        o.drop_last = 1;
        support_ok(ctx, gm_model_fit(model, odd, &o));
        ck_assert_int_eq(gm_model_steps(model), 10);
        /* The running statistics do for a last row of validation, but no pairs. */
        o.validation = odd;
        o.drop_last = 0;
        if (kind == UNBIASED) {
            support_fails(ctx, gm_model_fit(model, even, &o), GM_E_INVALID, "of validation");
            ck_assert_int_eq(gm_model_steps(model), 10);
        } else {
            support_ok(ctx, gm_model_fit(model, even, &o));
        }
        gm_model_release(model);
        gm_dataset_release(odd);
        gm_dataset_release(even);
        gm_context_release(ctx);
    }
}
END_TEST

/* Rows that fail in any batch are reported as what they are. */
START_TEST(last_batch_is_not_blamed)
{
    static const int64_t shape[2] = { 33, 8 };
    static float values[33 * 8];
    gm_context *ctx = support_context(6, 1);
    gm_model *model = make_kind(ctx, VAE, 1);
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    gm_dataset *data = NULL;
    values[3] = 2; /* no bit */
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, values));
    o.batch = 16;
    o.shuffle = 0;
    support_fails(ctx, gm_model_fit(model, data, &o), GM_E_INVALID, "is 2");
    ck_assert(!support_says(gm_context_error(ctx), "drop_last"));
    gm_model_release(model);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* Looking ahead draws nothing: a model that can train on one row trains as it would step by step.
 */
START_TEST(looking_ahead_changes_nothing)
{
    for (int kind = 0; kind < UNBIASED; kind++) {
        gm_context *ctx = support_context(6, 1);
        gm_dataset *data = nets_bits(ctx, 33, 8);
        gm_model *fitted = make_kind(ctx, kind, 0), *stepped = make_kind(ctx, kind, 0);
        float rows[16 * 8];
        int64_t index[16];
        gm_fit_options o = GM_FIT_OPTIONS_INIT;
        o.epochs = 1;
        o.batch = 16;
        o.shuffle = 0;
        int64_t count;
        float *weights = nets_weights(fitted, &count);
        support_ok(ctx, gm_params_write(gm_model_params(stepped), weights, count));
        gm_model_seed(fitted, 3);
        gm_model_seed(stepped, 3);
        support_ok(ctx, gm_model_fit(fitted, data, &o));
        for (int64_t begin = 0; begin < 33; begin += 16) {
            const int64_t n = begin < 32 ? 16 : 1;
            for (int64_t i = 0; i < n; i++) index[i] = begin + i;
            support_ok(ctx, gm_dataset_read(data, index, n, 0, rows));
            support_ok(ctx, gm_model_step(stepped, rows, n, NULL, 0, NULL));
        }
        nets_same_weights(fitted, stepped);
        free(weights);
        gm_model_release(fitted);
        gm_model_release(stepped);
        gm_dataset_release(data);
        gm_context_release(ctx);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *suite = suite_create("reader");
    TCase *tc = tcase_create("reader");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, rows_of_another_shape);
    tcase_add_test(tc, flat_models_take_any_shape);
    tcase_add_test(tc, lines_name_files);
    tcase_add_test(tc, last_batch_of_one_row);
    tcase_add_test(tc, last_batch_is_not_blamed);
    tcase_add_test(tc, looking_ahead_changes_nothing);
    suite_add_tcase(suite, tc);
    return suite;
}
