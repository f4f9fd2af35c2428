/* test_vae_labels.c - gm/vae.h with labels: what a conditional VAE learns, its verbs, files and
 * refusals. */
#include "nets.h"

#define SIZE 8
#define CLASSES 3
#define ROWS 240

static const gm_generator_options bernoulli = GM_GENERATOR_OPTIONS_INIT;

/* Bit c of class k's pattern. */
static float pattern(int64_t k, int64_t c)
{
    return (float)(k == 0 ? c % 2 : k == 1 ? c < SIZE / 2 : c / 2 % 2);
}

/* Row r is the pattern of class r % 3, one bit in twenty turned. */
static gm_dataset *patterns(gm_context *ctx)
{
    static float x[ROWS * SIZE], labels[ROWS];
    const int64_t shape[2] = { ROWS, SIZE }, one[2] = { ROWS, 1 };
    gm_dataset *data = NULL, *of = NULL;
    gm_rng *rng = NULL;
    support_ok(ctx, gm_rng_create(&rng, ctx, 3));
    for (int64_t r = 0; r < ROWS; r++) {
        labels[r] = (float)(r % CLASSES);
        for (int64_t c = 0; c < SIZE; c++) {
            float bit = pattern(r % CLASSES, c);
            x[r * SIZE + c] = gm_rng_double(rng) < 0.05 ? 1 - bit : bit;
        }
    }
    gm_rng_release(rng);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, x));
    support_ok(ctx, gm_dataset_from_memory(&of, ctx, 2, one, labels));
    support_ok(ctx, gm_dataset_attach_labels(data, of));
    gm_dataset_release(of);
    return data;
}

static gm_vae *conditional(gm_context *ctx, int64_t samples)
{
    gm_generator_options head = bernoulli;
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    head.labels = CLASSES;
    o.samples = samples;
    return nets_vae(ctx, SIZE, 16, 2, head, &o);
}

static void set_label(gm_context *ctx, gm_vae *vae, int64_t label)
{
    support_ok(ctx, gm_model_set_labels(gm_vae_model(vae), &label, 1));
}

/* The rows are nearer to the pattern of class k than halfway, in every bit. */
static void is_pattern(gm_tensor *t, int64_t row, int64_t k)
{
    for (int64_t c = 0; c < SIZE; c++) {
        float p = gm_tensor_read(t)[row * SIZE + c];
        ck_assert_msg(fabsf(p - pattern(k, c)) < 0.4f, "row %d, class %d, bit %d: %g", (int)row,
                      (int)k, (int)c, (double)p);
    }
}

START_TEST(labels_choose_the_pattern)
{
    for (int64_t samples = 1; samples <= 5; samples += 4) { /* both bounds */
        gm_context *ctx = support_context(61, 1);
        gm_dataset *data = patterns(ctx);
        gm_vae *vae = conditional(ctx, samples);
        gm_model *model = gm_vae_model(vae);
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        gm_tensor *t = NULL;
        int64_t each[30], order[ROWS];
        double right[ROWS], wrong[ROWS], sum = 0;
        ck_assert_int_eq(gm_model_labels(model), CLASSES);
        fit.epochs = 100;
        fit.batch = 24;
        fit.validation = data;
        support_ok(ctx, gm_model_fit(model, data, &fit));
        for (int i = 0; i < 30; i++) each[i] = i % CLASSES;
        support_ok(ctx, gm_model_set_labels(model, each, 30));
        support_ok(ctx, gm_model_sample(&t, model, 30));
        for (int i = 0; i < 30; i++) is_pattern(t, i, i % CLASSES);
        gm_tensor_release(t);
        for (int64_t k = 0; k < CLASSES; k++) {
            set_label(ctx, vae, k);
            support_ok(ctx, gm_model_sample(&t, model, 10));
            for (int i = 0; i < 10; i++) is_pattern(t, i, k);
            gm_tensor_release(t);
        }
        /* log p(x | y) knows which label is right, row by row: with a label each, over several
         * groups of rows. */
        static float x[ROWS * SIZE];
        int64_t labels[ROWS], better = 0;
        for (int64_t i = 0; i < ROWS; i++) order[i] = i, labels[i] = i % CLASSES;
        support_ok(ctx, gm_dataset_read(data, order, ROWS, 0, x));
        support_ok(ctx, gm_model_set_labels(model, labels, ROWS));
        support_ok(ctx, gm_model_log_prob(model, x, ROWS, right));
        for (int64_t i = 0; i < ROWS; i++) labels[i] = (i + 1) % CLASSES;
        support_ok(ctx, gm_model_set_labels(model, labels, ROWS));
        support_ok(ctx, gm_model_log_prob(model, x, ROWS, wrong));
        for (int64_t i = 0; i < ROWS; i++)
            better += right[i] > wrong[i], sum += (right[i] - wrong[i]) / ROWS;
        ck_assert_msg(better > ROWS * 9 / 10 && sum > 2, "%d rows of %d, %g nats", (int)better,
                      ROWS, sum);
        gm_vae_release(vae);
        gm_dataset_release(data);
        gm_context_release(ctx);
    }
}
END_TEST

/* With k draws each label serves k of them: log p(x | y) of rows with different labels is that of
 * each alone. */
START_TEST(labels_follow_their_rows)
{
    gm_context *ctx = support_context(62, 1);
    gm_vae *vae = conditional(ctx, 1);
    float x[6 * SIZE];
    int64_t labels[6];
    double together[6], alone, error[6];
    for (int i = 0; i < 6 * SIZE; i++) x[i] = (float)(i % 3 == 0);
    for (int i = 0; i < 6; i++) labels[i] = (i * 2 + 1) % CLASSES;
    /* So that a wrong label costs a lot. */
    gm_param *w = gm_params_find(gm_model_params(gm_vae_model(vae)), "decoder.0.weight");
    for (int64_t i = 0; i < gm_param_count(w); i++)
        if (i % (2 + CLASSES) >= 2) gm_param_value(w)[i] *= 20;
    support_ok(ctx, gm_model_set_labels(gm_vae_model(vae), labels, 6));
    support_ok(ctx, gm_vae_log_prob(vae, x, 6,
                                    &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                            .samples = 5000 },
                                    together, error));
    for (int i = 0; i < 6; i++) {
        set_label(ctx, vae, labels[i]);
        support_ok(ctx, gm_vae_log_prob(vae, x + i * SIZE, 1,
                                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                                .samples = 5000 },
                                        &alone, NULL));
        ck_assert_double_eq_tol(together[i], alone, 6 * error[i] + 1e-3);
        set_label(ctx, vae, (labels[i] + 1) % CLASSES);
        support_ok(ctx, gm_vae_log_prob(vae, x + i * SIZE, 1,
                                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                                .samples = 5000 },
                                        &alone, NULL));
        ck_assert(fabs(together[i] - alone) > 6 * error[i] + 1e-3);
    }
    gm_vae_release(vae);
    gm_context_release(ctx);
}
END_TEST

START_TEST(verbs_take_labels)
{
    gm_context *ctx = support_context(63, 1);
    gm_vae *vae = conditional(ctx, 1);
    gm_model *model = gm_vae_model(vae);
    const int64_t xs[2] = { 4, SIZE }, zs[2] = { 4, 2 }, labels[4] = { 0, 1, 2, 1 };
    gm_tensor *x = NULL, *mean = NULL, *lv = NULL, *out = NULL, *decoded = NULL, *own = NULL,
              *a = NULL, *b = NULL;
    double elbo[4], rec[4], kl[4], log_prob[4];
    support_ok(ctx, gm_tensor_create(&x, ctx, 2, xs));
    support_ok(ctx, gm_tensor_create(&out, ctx, 2, xs));
    support_ok(ctx, gm_tensor_create(&decoded, ctx, 2, xs));
    support_ok(ctx, gm_tensor_create(&own, ctx, 2, xs));
    support_ok(ctx, gm_tensor_create(&mean, ctx, 2, zs));
    support_ok(ctx, gm_tensor_create(&lv, ctx, 2, zs));
    support_ok(ctx, gm_tensor_rows_view(&a, x, 0, 1));
    support_ok(ctx, gm_tensor_rows_view(&b, x, 1, 2));
    for (int i = 0; i < 4 * SIZE; i++) gm_tensor_data(x)[i] = (float)(i % 3 == 0);
    const float *rows = gm_tensor_read(x);
    for (int missing = 1; missing >= 0; missing--) { /* first none are set, then the wrong number */
        gm_status status = missing ? GM_E_STATE : GM_E_SHAPE;
        const char *line = missing ? "takes labels of 3 classes" : "2 labels are set";
        if (!missing) support_ok(ctx, gm_model_set_labels(model, labels, 2));
        support_fails(ctx,
                      gm_vae_encode(vae, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                    gm_tensor_data(mean), gm_tensor_data(lv)),
                      status, line);
        support_fails(
            ctx,
            gm_vae_decode(vae, gm_tensor_read(mean), gm_tensor_shape(mean)[0], gm_tensor_data(out)),
            status, line);
        support_fails(
            ctx,
            gm_vae_reconstruct(vae, gm_tensor_read(x), gm_tensor_shape(x)[0], gm_tensor_data(out)),
            status, line);
        support_fails(ctx,
                      gm_vae_interpolate(vae, gm_tensor_read(a), gm_tensor_read(b),
                                         gm_tensor_shape(out)[0], gm_tensor_data(out)),
                      status, line);
        support_fails(ctx, gm_vae_elbo(vae, rows, 4, elbo, rec, kl), status, line);
        support_fails(ctx, gm_model_log_prob(model, rows, 4, log_prob), status, line);
        support_fails(
            ctx, gm_model_sample_into(model, gm_tensor_shape(out)[0], NULL, gm_tensor_data(out)),
            status, line);
        support_fails(ctx, gm_model_step(model, rows, 4, NULL, 0, NULL), status, line);
    }
    support_ok(ctx, gm_model_set_labels(model, labels, 4));
    support_ok(ctx, gm_vae_encode(vae, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                  gm_tensor_data(mean), gm_tensor_data(lv)));
    support_ok(ctx, gm_vae_decode(vae, gm_tensor_read(mean), gm_tensor_shape(mean)[0],
                                  gm_tensor_data(decoded)));
    support_ok(ctx, gm_vae_reconstruct(vae, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                       gm_tensor_data(out)));
    ck_assert_mem_eq(gm_tensor_read(out), gm_tensor_read(decoded), 4 * SIZE * sizeof(float));
    /* The decoder alone says the same with the same labels, which it keeps by itself. */
    gm_model *decoder = gm_generator_model(gm_vae_decoder(vae));
    support_fails(ctx,
                  gm_generator_decode(gm_vae_decoder(vae), gm_tensor_read(mean),
                                      gm_tensor_shape(mean)[0], gm_tensor_data(own)),
                  GM_E_STATE, "generator: decode");
    support_ok(ctx, gm_model_set_labels(decoder, labels, 4));
    support_ok(ctx, gm_generator_decode(gm_vae_decoder(vae), gm_tensor_read(mean),
                                        gm_tensor_shape(mean)[0], gm_tensor_data(own)));
    ck_assert_mem_eq(gm_tensor_read(own), gm_tensor_read(decoded), 4 * SIZE * sizeof(float));
    support_ok(ctx, gm_vae_elbo(vae, rows, 4, elbo, rec, kl));
    for (int i = 0; i < 4; i++) ck_assert_double_eq_tol(elbo[i], rec[i] - kl[i], 1e-9);
    support_ok(ctx, gm_model_log_prob(model, rows, 4, log_prob));
    /* Another label, another code and another picture. */
    set_label(ctx, vae, 2);
    support_ok(ctx, gm_vae_reconstruct(vae, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                       gm_tensor_data(decoded)));
    for (int r = 0; r < 4; r++)
        ck_assert_int_eq(!memcmp(gm_tensor_read(out) + r * SIZE, gm_tensor_read(decoded) + r * SIZE,
                                 SIZE * sizeof(float)),
                         labels[r] == 2);
    /* One label for the whole line; its ends are the reconstructions. */
    support_ok(ctx, gm_vae_interpolate(vae, gm_tensor_read(a), gm_tensor_read(b),
                                       gm_tensor_shape(out)[0], gm_tensor_data(out)));
    for (int c = 0; c < SIZE; c++) {
        ck_assert_float_eq_tol(gm_tensor_read(out)[c], gm_tensor_read(decoded)[c], 1e-6f);
        ck_assert_float_eq_tol(gm_tensor_read(out)[3 * SIZE + c], gm_tensor_read(decoded)[SIZE + c],
                               1e-6f);
    }
    gm_tensor *all[] = { x, mean, lv, out, decoded, own, a, b };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) gm_tensor_release(all[i]);
    gm_vae_release(vae);
    gm_context_release(ctx);
}
END_TEST

START_TEST(files_keep_the_labels)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(64, 1), *other = support_context(1000, 1);
    gm_dataset *data = patterns(ctx), *same = patterns(other);
    gm_vae *vae = conditional(ctx, 1);
    gm_model *model = gm_vae_model(vae), *loaded = NULL;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_tensor *a = NULL, *b = NULL;
    int64_t n, m, label = 1;
    fit.epochs = 1;
    fit.batch = 50;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    support_ok(ctx, gm_model_save_checkpoint(model, path));
    support_ok(ctx, gm_model_fit(model, data, &fit));
    support_ok(other, gm_model_load(&loaded, other, path));
    ck_assert_int_eq(gm_model_labels(loaded), CLASSES);
    support_fails(other, gm_model_sample(&b, loaded, 3), GM_E_STATE, "labels of 3 classes");
    support_ok(other, gm_model_fit(loaded, same, &fit));
    float *w = nets_weights(model, &n), *v = nets_weights(loaded, &m);
    ck_assert_int_eq(n, m);
    ck_assert_mem_eq(w, v, (size_t)n * sizeof *w);
    support_ok(ctx, gm_model_set_labels(model, &label, 1));
    support_ok(other, gm_model_set_labels(loaded, &label, 1));
    support_ok(ctx, gm_model_sample(&a, model, 9));
    support_ok(other, gm_model_sample(&b, loaded, 9));
    ck_assert_mem_eq(gm_tensor_read(a), gm_tensor_read(b), 9 * SIZE * sizeof(float));
    gm_tensor_release(a);
    gm_tensor_release(b);
    free(w);
    free(v);
    gm_model_release(loaded);
    gm_vae_release(vae);
    gm_dataset_release(same);
    gm_dataset_release(data);
    gm_context_release(other);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

START_TEST(refusals)
{
    gm_context *ctx = support_context(65, 1);
    gm_generator_options head = bernoulli;
    head.labels = CLASSES;
    gm_generator *decoder = nets_generator(ctx, 2, 4, SIZE, head);
    gm_layer *narrow = nets_mlp(ctx, SIZE, 4, 4);
    gm_vae *vae = (gm_vae *)ctx;
    support_fails(ctx, gm_vae_create(&vae, ctx, narrow, decoder, NULL), GM_E_SHAPE,
                  "input is [2, 11]");
    ck_assert_ptr_null(vae);
    gm_generator_release(decoder);
    head = bernoulli;
    head.prior_scale = 2;
    decoder = nets_generator(ctx, 2, 4, SIZE, head);
    support_fails(ctx, gm_vae_create(&vae, ctx, narrow, decoder, NULL), GM_E_INVALID,
                  "prior_scale is 2");
    gm_generator_release(decoder);
    gm_layer_release(narrow);
    vae = nets_vae(ctx, SIZE, 4, 2, bernoulli, NULL);
    const int64_t label = 0;
    support_fails(ctx, gm_model_set_labels(gm_vae_model(vae), &label, 1), GM_E_UNSUPPORTED,
                  "takes no labels");
    ck_assert_int_eq(gm_model_labels(gm_vae_model(vae)), 0);
    gm_vae_release(vae);
    gm_context_release(ctx);
}
END_TEST

/* Pictures get the label as planes: [n, 1, 2, 4] becomes [n, 1 + 3, 2, 4], which the encoder
 * flattens. */
START_TEST(images_get_planes)
{
    gm_context *ctx = support_context(66, 1);
    const int64_t image[3] = { 1, 2, 4 }, label = 2;
    gm_generator_options head = bernoulli;
    gm_layer *net = nets_mlp(ctx, 1 + CLASSES, 0, SIZE), *encoder = NULL;
    gm_generator *decoder = NULL;
    gm_vae *vae = NULL;
    gm_tensor *x = NULL, *mean = NULL;
    const int64_t xs[2] = { 1, SIZE }, zs[2] = { 1, 1 };
    head.latent = 1, head.labels = CLASSES;
    support_ok(ctx, gm_sequence_add_reshape(net, 3, image));
    support_ok(ctx, gm_sequence_create(&encoder, ctx));
    support_ok(ctx, gm_sequence_add_flatten(encoder));
    support_ok(ctx, gm_sequence_add_linear(encoder, SIZE * (1 + CLASSES), 2));
    support_ok(ctx, gm_generator_create(&decoder, ctx, net, &head));
    support_ok(ctx, gm_vae_create(&vae, ctx, encoder, decoder, NULL));
    support_ok(ctx, gm_tensor_create(&x, ctx, 2, xs));
    support_ok(ctx, gm_tensor_create(&mean, ctx, 2, zs));
    set_label(ctx, vae, label);
    support_ok(ctx,
               gm_vae_encode(vae, gm_tensor_read(x), gm_tensor_shape(x)[0], gm_tensor_data(mean),
                             NULL)); /* pixels 0: only the planes of the label count */
    gm_params *p = gm_layer_params(encoder);
    const float *w = gm_param_value(gm_params_find(p, "1.weight"));
    double want = (double)gm_param_value(gm_params_find(p, "1.bias"))[0];
    for (int c = 0; c < SIZE; c++) want += (double)w[SIZE * (1 + label) + c];
    ck_assert_double_eq_tol((double)gm_tensor_read(mean)[0], want, 1e-5);
    support_ok(ctx, gm_model_step(gm_vae_model(vae), gm_tensor_read(x), 1, NULL, 0, NULL));
    gm_tensor_release(x);
    gm_tensor_release(mean);
    gm_vae_release(vae);
    gm_generator_release(decoder);
    gm_layer_release(encoder);
    gm_layer_release(net);
    gm_context_release(ctx);
}
END_TEST

START_TEST(no_allocation_with_labels)
{
    gm_context *ctx = support_context(67, 2);
    gm_vae *vae = conditional(ctx, 3);
    gm_model *model = gm_vae_model(vae);
    const int64_t shape[2] = { 10, SIZE };
    float rows[10 * SIZE] = { 0 };
    double out[10];
    gm_tensor *t = NULL;
    gm_memory_counters before, after;
    support_ok(ctx, gm_tensor_create(&t, ctx, 2, shape));
    for (int i = 0; i < 2; i++) {
        gm_context_memory(&before, ctx);
        for (int64_t k = 0; k < 3; k++) {
            set_label(ctx, vae, k);
            support_ok(ctx, gm_model_step(model, rows, 10, NULL, 0, NULL));
            support_ok(ctx,
                       gm_model_sample_into(model, gm_tensor_shape(t)[0], NULL, gm_tensor_data(t)));
            support_ok(ctx, gm_vae_reconstruct(vae, gm_tensor_read(t), gm_tensor_shape(t)[0],
                                               gm_tensor_data(t)));
            support_ok(ctx, gm_model_log_prob(model, rows, 10, out));
        }
        gm_context_memory(&after, ctx);
    }
    ck_assert_uint_eq(before.allocations, after.allocations);
    gm_tensor_release(t);
    gm_vae_release(vae);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("vae: labels");
    TCase *t = tcase_create("labels");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, labels_choose_the_pattern);
    tcase_add_test(t, labels_follow_their_rows);
    tcase_add_test(t, verbs_take_labels);
    tcase_add_test(t, files_keep_the_labels);
    tcase_add_test(t, refusals);
    tcase_add_test(t, images_get_planes);
    tcase_add_test(t, no_allocation_with_labels);
    suite_add_tcase(s, t);
    return s;
}
