/* test_model_state.c - models whose layers keep state (running statistics, spectral norm's
 * vectors): training alone moves it, and it goes with the weights, back to the best epoch, out of a
 * failed step, into files. */
#include "gans.h"

#define ROW 8
#define LATENT 2

/* linear, batch norm, ReLU, linear; under spectral norm the last. */
static gm_layer *net(gm_context *ctx, int64_t in, int64_t out, int spectral)
{
    gm_layer *net = NULL, *last = NULL, *bounded = NULL;
    support_ok(ctx, gm_sequence_create(&net, ctx));
    support_ok(ctx, gm_sequence_add_linear(net, in, 6));
    support_ok(ctx, gm_sequence_add_batch_norm(net, 6));
    support_ok(ctx, gm_sequence_add_relu(net));
    support_ok(ctx, gm_linear_create(&last, ctx, 6, out, NULL));
    if (spectral) support_ok(ctx, gm_spectral_norm_create(&bounded, ctx, last, NULL));
    support_ok(ctx, gm_sequence_add(net, bounded ? bounded : last));
    gm_layer_release(bounded);
    gm_layer_release(last);
    return net;
}

static gm_vae *make_vae(gm_context *ctx, double rate)
{
    gm_layer *encoder = net(ctx, ROW, 2 * LATENT, 0), *back = net(ctx, LATENT, ROW, 0);
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_generator *decoder = NULL;
    gm_vae *vae = NULL;
    head.latent = LATENT;
    head.output = GM_OUTPUT_BERNOULLI;
    adam.rate = rate;
    support_ok(ctx, gm_generator_create(&decoder, ctx, back, &head));
    support_ok(ctx, gm_adam_create(&o.optimizer, ctx, &adam));
    support_ok(ctx, gm_vae_create(&vae, ctx, encoder, decoder, &o));
    gm_optimizer_release(o.optimizer);
    gm_generator_release(decoder);
    gm_layer_release(back);
    gm_layer_release(encoder);
    return vae;
}

static gm_gan *make_gan(gm_context *ctx)
{
    gm_layer *d = net(ctx, ROW, 1, 1), *forth = net(ctx, LATENT, ROW, 0);
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_generator *g = NULL;
    gm_gan *gan = NULL;
    head.latent = LATENT;
    head.output = GM_OUTPUT_DIRECT;
    support_ok(ctx, gm_generator_create(&g, ctx, forth, &head));
    support_ok(ctx, gm_gan_create(&gan, ctx, g, d, NULL));
    gm_generator_release(g);
    gm_layer_release(forth);
    gm_layer_release(d);
    return gan;
}

/* State of both halves of either family, one after the other. Free it. */
typedef struct state {
    float *value;
    int64_t count;
} state;

static state look(gm_model *model)
{
    gm_vae *vae = gm_vae_from_model(model);
    gm_gan *gan = gm_gan_from_model(model);
    const gm_params *a = gm_layer_state(vae ? gm_vae_encoder(vae) : gm_gan_discriminator(gan));
    const gm_params *b =
        gm_layer_state(gm_generator_net(vae ? gm_vae_decoder(vae) : gm_gan_generator(gan)));
    int64_t na = gm_params_elements(a), nb = gm_params_elements(b);
    state s = { malloc((size_t)(na + nb) * sizeof(float)), na + nb };
    ck_assert(s.value && na > 0 && nb > 0);
    ck_assert_int_eq(gm_params_read(a, na, s.value), GM_OK);
    ck_assert_int_eq(gm_params_read(b, nb, s.value + na), GM_OK);
    return s;
}

/* 1 if the model's state is what it was; frees that. */
static int as_before(gm_model *model, state *then)
{
    state now = look(model);
    int same = now.count == then->count &&
               !memcmp(now.value, then->value, (size_t)now.count * sizeof(float));
    free(now.value);
    free(then->value);
    return same;
}

typedef struct seen {
    double best;
    int64_t epochs;
} seen;

static int32_t watch(void *user, const gm_fit_report *p)
{
    seen *s = user;
    if (!p->epoch_end) return 0;
    double loss = nets_metric(p->validation, p->validation_count, "loss");
    if (!s->epochs++ || loss < s->best) s->best = loss;
    return 0;
}

/* What is put back must give the best epoch's validation loss to the last bit; weights alone do
 * not. */
START_TEST(best_epoch_comes_back_with_its_state)
{
    gm_context *ctx = support_context(41, 1);
    gm_dataset *data = nets_bits(ctx, 40, ROW), *check = nets_bits(ctx, 24, ROW);
    gm_vae *vae = make_vae(ctx, 0.5);
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    seen s = { 0 };
    o.epochs = 100;
    o.batch = 10;
    o.validation = check;
    o.patience = 3;
    o.on_report = watch;
    o.user = &s;
    support_ok(ctx, gm_model_fit(gm_vae_model(vae), data, &o));
    ck_assert_int_lt(s.epochs, 100);
    support_ok(ctx, gm_model_evaluate(gm_vae_model(vae), check, support_batches(10, 0), m,
                                      GM_MAX_METRICS, &count));
    ck_assert_msg(nets_metric(m, count, "loss") == s.best, "restored %.17g, best %.17g",
                  nets_metric(m, count, "loss"), s.best);
    gm_vae_release(vae);
    gm_dataset_release(check);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* Stops after as many epochs as *user holds. */
static int32_t count_down(void *user, const gm_fit_report *p)
{
    int64_t *left = user;
    return p->epoch_end && --*left == 0;
}

/* The same model and rows each time, as all is drawn from a new context's seed. */
typedef struct early {
    gm_context *ctx;
    gm_dataset *data, *check;
    gm_vae *vae;
    gm_fit_options o;
} early;

static early early_make(int64_t *left)
{
    early e = { support_context(41, 1), NULL, NULL, NULL, GM_FIT_OPTIONS_INIT };
    e.data = nets_bits(e.ctx, 40, ROW);
    e.check = nets_bits(e.ctx, 24, ROW);
    e.vae = make_vae(e.ctx, 0.5);
    e.o.epochs = 100;
    e.o.batch = 10;
    e.o.validation = e.check;
    e.o.patience = 3;
    e.o.on_report = count_down;
    e.o.user = left;
    return e;
}

static void early_free(early *e)
{
    gm_vae_release(e->vae);
    gm_dataset_release(e->check);
    gm_dataset_release(e->data);
    gm_context_release(e->ctx);
}

/* All parameters; free them. */
static float *weights(gm_model *model, int64_t *count)
{
    const gm_params *p = gm_model_params(model);
    *count = gm_params_elements(p);
    float *value = malloc((size_t)*count * sizeof *value);
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(gm_params_read(p, *count, value), GM_OK);
    return value;
}

static void ends_alike(gm_model *a, gm_model *b)
{
    int64_t count, other;
    float *x = weights(a, &count), *y = weights(b, &other);
    state s = look(a);
    ck_assert_int_eq(count, other);
    ck_assert(!memcmp(x, y, (size_t)count * sizeof *x));
    ck_assert(as_before(b, &s));
    ck_assert_int_eq(gm_model_epochs(a), gm_model_epochs(b));
    free(y);
    free(x);
}

/* A fit that stops early, stopped after each of its epochs and gone on with, from the file or by
 * the same model: the same epoch's weights and state, be it before the stop or after. */
START_TEST(early_stopping_goes_on)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    int64_t left = 0;
    early whole = early_make(&left);
    support_ok(whole.ctx, gm_model_fit(gm_vae_model(whole.vae), whole.data, &whole.o));
    const int64_t epochs = gm_model_epochs(gm_vae_model(whole.vae));
    ck_assert_int_lt(epochs, 100);
    ck_assert_int_gt(epochs, 3);
    for (int64_t k = 1; k <= epochs; k++)
        for (int loaded = 0; loaded < 2; loaded++) {
            early e = early_make(&left);
            gm_model *model = gm_vae_model(e.vae), *rest = NULL;
            e.o.checkpoint = path;
            left = k;
            support_fails(e.ctx, gm_model_fit(model, e.data, &e.o), GM_E_CANCELLED, "stopped");
            if (loaded) support_ok(e.ctx, gm_model_load(&rest, e.ctx, path));
            e.o.epochs = 100 - k;
            support_ok(e.ctx, gm_model_fit(loaded ? rest : model, e.data, &e.o));
            ends_alike(gm_vae_model(whole.vae), loaded ? rest : model);
            gm_model_release(rest);
            early_free(&e);
        }
    /* a fit that ran out of patience stays so, until the next one is told to begin anew */
    whole.o.epochs = 1;
    support_ok(whole.ctx, gm_model_fit(gm_vae_model(whole.vae), whole.data, &whole.o));
    ck_assert_int_eq(gm_model_epochs(gm_vae_model(whole.vae)), epochs);
    whole.o.anew = 1;
    support_ok(whole.ctx, gm_model_fit(gm_vae_model(whole.vae), whole.data, &whole.o));
    ck_assert_int_eq(gm_model_epochs(gm_vae_model(whole.vae)), epochs + 1);
    early_free(&whole);
    support_folder_remove(folder);
}
END_TEST

/* What a checkpoint says of its early stopping must fit its model. */
START_TEST(early_stopping_of_hostile_files)
{
    static const int64_t three = 3;
    static const float best[3] = { 0 };
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    int64_t left = 1;
    early e = early_make(&left);
    gm_model *model = NULL;
    gm_archive *archive = NULL;
    support_ok(e.ctx, gm_model_save_checkpoint(gm_vae_model(e.vae), path)); /* without a watch */
    support_ok(e.ctx, gm_archive_open(&archive, e.ctx, path));
    ck_assert(!gm_archive_has(archive, "fit.waited"));
    support_ok(e.ctx, gm_archive_set_int(archive, "fit.waited", -1));
    support_ok(e.ctx, gm_archive_write(archive, path));
    support_fails(e.ctx, gm_model_load(&model, e.ctx, path), GM_E_FORMAT, "fit.waited is -1");
    support_ok(e.ctx, gm_archive_set_int(archive, "fit.waited", 1));
    support_ok(e.ctx, gm_archive_write(archive, path));
    support_fails(e.ctx, gm_model_load(&model, e.ctx, path), GM_E_FORMAT, "fit.last");
    support_ok(e.ctx, gm_archive_put(archive, "fit.best", 1, &three, best));
    support_ok(e.ctx, gm_archive_write(archive, path));
    support_fails(e.ctx, gm_model_load(&model, e.ctx, path), GM_E_SHAPE, "[3]");
    ck_assert_ptr_null(model);
    gm_archive_release(archive);
    early_free(&e);
    support_folder_remove(folder);
}
END_TEST

static void train(gm_context *ctx, gm_model *model, gm_dataset *data, int64_t epochs)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    o.epochs = epochs;
    o.batch = 10;
    support_ok(ctx, gm_model_fit(model, data, &o));
}

/* Scoring and sampling change no state, and treat each row by itself: it is evaluation mode. */
START_TEST(only_training_moves_state)
{
    gm_context *ctx = support_context(42, 1);
    gm_dataset *data = nets_bits(ctx, 40, ROW);
    gm_vae *vae = make_vae(ctx, 1e-2);
    gm_gan *gan = make_gan(ctx);
    gm_model *models[2] = { gm_vae_model(vae), gm_gan_model(gan) };
    gm_tensor *rows = NULL, *out = NULL;
    double score[4], alone;
    support_ok(ctx, gm_dataset_read_tensor(&rows, data, 0, 4, 0));
    for (int k = 0; k < 2; k++) {
        gm_metric m[GM_MAX_METRICS];
        int32_t count;
        state then = look(models[k]);
        train(ctx, models[k], data, 3);
        ck_assert(!as_before(models[k], &then));
        then = look(models[k]);
        support_ok(ctx, gm_model_evaluate(models[k], data, support_batches(7, 0), m, GM_MAX_METRICS,
                                          &count));
        support_ok(ctx, gm_model_sample(&out, models[k], 5));
        gm_tensor_release(out);
        if (k) {
            support_ok(ctx, gm_gan_discriminate(gan, gm_tensor_read(rows), 4, score));
            support_ok(ctx, gm_gan_discriminate(gan, gm_tensor_read(rows) + 2 * ROW, 1, &alone));
            ck_assert_double_eq_tol(score[2], alone, 1e-6);
        } else {
            int64_t four[2] = { 4, LATENT }, one[2] = { 1, LATENT };
            gm_tensor *codes = NULL, *code = NULL, *third = NULL;
            support_ok(ctx,
                       gm_vae_log_prob(vae, gm_tensor_read(rows), 4,
                                       &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                               .samples = 300 },
                                       score, NULL));
            support_ok(ctx, gm_vae_elbo(vae, gm_tensor_read(rows), 4, score, NULL, NULL));
            support_ok(ctx, gm_tensor_create(&codes, ctx, 2, four));
            support_ok(ctx, gm_tensor_create(&code, ctx, 2, one));
            support_ok(ctx, gm_tensor_rows_view(&third, rows, 2, 3));
            support_ok(ctx, gm_vae_encode(vae, gm_tensor_read(rows), gm_tensor_shape(rows)[0],
                                          gm_tensor_data(codes), NULL));
            support_ok(ctx, gm_vae_encode(vae, gm_tensor_read(third), gm_tensor_shape(third)[0],
                                          gm_tensor_data(code), NULL));
            for (int i = 0; i < LATENT; i++)
                ck_assert_float_eq_tol(gm_tensor_read(codes)[2 * LATENT + i],
                                       gm_tensor_read(code)[i], 1e-5);
            gm_tensor_release(third);
            gm_tensor_release(code);
            gm_tensor_release(codes);
        }
        ck_assert_msg(as_before(models[k], &then), "%s moved state", gm_model_family(models[k]));
    }
    gm_tensor_release(rows);
    gm_gan_release(gan);
    gm_vae_release(vae);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* A batch of one has no variance: refused, nothing is changed. */
START_TEST(a_batch_of_one_is_refused)
{
    gm_context *ctx = support_context(44, 1);
    gm_gan *gan = make_gan(ctx);
    float rows[ROW] = { 0 };
    state then = look(gm_gan_model(gan));
    gans_players players = gans_look(gan);
    support_fails(ctx, gm_model_step(gm_gan_model(gan), rows, 1, NULL, 0, NULL), GM_E_SHAPE,
                  "batch_norm");
    ck_assert(as_before(gm_gan_model(gan), &then));
    ck_assert_int_eq(gans_moved(gan, &players), 0);
    ck_assert_int_eq(gm_model_steps(gm_gan_model(gan)), 0);
    gans_forget(&players);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

typedef struct spoiler {
    int64_t calls, spoil_at; /* from 1 */
} spoiler;

static gm_var spoil(void *user, gm_tape *tape, gm_var x)
{
    spoiler *s = user;
    return ++s->calls == s->spoil_at ? gm_scale(tape, gm_scale(tape, x, 1e30), 1e30) : x;
}

/* D is judge of data, of samples, and of samples again in G's turn. When that third verdict is no
 * number, D's backward pass has completed and its state is written: all of it goes back with D's
 * weights. */
START_TEST(a_failed_step_leaves_state)
{
    gm_context *ctx = support_context(45, 1);
    spoiler user = { 0, 0 };
    gm_host_layer host = GM_HOST_LAYER_INIT;
    gm_layer *d = net(ctx, ROW, 1, 1), *last = NULL, *forth = net(ctx, LATENT, ROW, 0);
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_generator *g = NULL;
    gm_gan *gan = NULL;
    float rows[16 * ROW];
    for (int i = 0; i < 16 * ROW; i++) rows[i] = (float)(i % 5);
    host.type = "spoiler";
    host.apply = spoil;
    host.user = &user;
    support_ok(ctx, gm_layer_create_host(&last, ctx, &host, NULL));
    support_ok(ctx, gm_sequence_add(d, last));
    head.latent = LATENT;
    head.output = GM_OUTPUT_DIRECT;
    support_ok(ctx, gm_generator_create(&g, ctx, forth, &head));
    support_ok(ctx, gm_gan_create(&gan, ctx, g, d, NULL));
    gm_model *model = gm_gan_model(gan);
    for (int step = 0; step < 4; step++) {
        state then = look(model);
        gans_players players = gans_look(gan);
        user.calls = 0;
        user.spoil_at = step % 2 ? 3 : 0;
        gm_status s = gm_model_step(model, rows, 16, NULL, 0, NULL);
        ck_assert_int_eq(user.calls, 3);
        ck_assert_int_eq(s, step % 2 ? GM_E_NUMERIC : GM_OK);
        ck_assert_int_eq(as_before(model, &then), step % 2);
        ck_assert_int_eq(gans_moved(gan, &players), step % 2 ? 0 : GANS_G | GANS_D);
        gans_forget(&players);
    }
    gm_gan_release(gan);
    gm_generator_release(g);
    gm_layer_release(forth);
    gm_layer_release(last);
    gm_layer_release(d);
    gm_context_release(ctx);
}
END_TEST

/* Two epochs, a checkpoint, two more in another context: the weights and state of four at once, and
 * the same samples. */
START_TEST(files_hold_state)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int kind = 0; kind < 2; kind++) {
        gm_context *ctx[3];
        gm_model *model[2], *loaded = NULL, *plain = NULL;
        gm_dataset *data[3];
        for (int k = 0; k < 3; k++) {
            ctx[k] = support_context(43, 1);
            data[k] = nets_bits(ctx[k], 40, ROW);
        }
        for (int k = 0; k < 2; k++)
            model[k] = kind ? gm_gan_model(make_gan(ctx[k])) : gm_vae_model(make_vae(ctx[k], 1e-2));
        train(ctx[0], model[0], data[0], 4);
        train(ctx[1], model[1], data[1], 2);
        support_ok(ctx[1], gm_model_save_checkpoint(model[1], path));
        support_ok(ctx[2], gm_model_load(&loaded, ctx[2], path));
        state half = look(model[1]);
        ck_assert(as_before(loaded, &half));
        train(ctx[2], loaded, data[2], 2);
        state whole = look(model[0]);
        ck_assert_msg(as_before(loaded, &whole), "%s", gm_model_family(loaded));
        gans_same_samples(ctx[0], model[0], ctx[2], loaded, 9);
        support_ok(ctx[0], gm_model_save(model[0], path));
        support_ok(ctx[2], gm_model_load(&plain, ctx[2], path));
        gans_same_samples(ctx[0], model[0], ctx[2], plain, 9);
        gm_model_release(plain);
        gm_model_release(loaded);
        for (int k = 0; k < 2; k++) gm_model_release(model[k]);
        for (int k = 0; k < 3; k++) {
            gm_dataset_release(data[k]);
            gm_context_release(ctx[k]);
        }
    }
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("model_state");
    TCase *t = tcase_create("model_state");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, best_epoch_comes_back_with_its_state);
    tcase_add_test(t, early_stopping_goes_on);
    tcase_add_test(t, early_stopping_of_hostile_files);
    tcase_add_test(t, only_training_moves_state);
    tcase_add_test(t, a_batch_of_one_is_refused);
    tcase_add_test(t, a_failed_step_leaves_state);
    tcase_add_test(t, files_hold_state);
    suite_add_tcase(s, t);
    return s;
}
