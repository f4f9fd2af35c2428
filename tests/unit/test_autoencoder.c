/* test_autoencoder.c - gm/autoencoder.h: the losses by hand, stages, codes, files, threads, memory,
 * refusals. */
#include "nets.h"

#define ROW 6
#define N 16
static float rows[N * ROW];

static void fill_rows(void)
{
    for (int i = 0; i < N * ROW; i++) rows[i] = (float)((i * 7 + i / 5) % 8) / 8;
}

/* dropout, ROW-5-3 and 3-5-ROW; sigmoids inside. The last but one part of the encoder drops out
 * too. */
static gm_layer *net(gm_context *ctx, int encoder, double p)
{
    gm_layer *net = NULL;
    support_ok(ctx, gm_sequence_create(&net, ctx));
    if (encoder && p > 0) support_ok(ctx, gm_sequence_add_dropout(net, p));
    support_ok(ctx, gm_sequence_add_linear(net, encoder ? ROW : 3, 5));
    support_ok(ctx, gm_sequence_add_sigmoid(net));
    if (encoder && p > 0) support_ok(ctx, gm_sequence_add_dropout(net, p));
    support_ok(ctx, gm_sequence_add_linear(net, 5, encoder ? 3 : ROW));
    if (encoder) support_ok(ctx, gm_sequence_add_sigmoid(net));
    return net;
}

static gm_autoencoder *make(gm_context *ctx, int32_t reconstruction, double p, double rate)
{
    gm_layer *encoder = net(ctx, 1, p), *decoder = net(ctx, 0, p);
    gm_autoencoder_options o = GM_AUTOENCODER_OPTIONS_INIT;
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_autoencoder *a = NULL;
    adam.rate = rate;
    support_ok(ctx, gm_adam_create(&o.optimizer, ctx, &adam));
    o.reconstruction = reconstruction;
    support_ok(ctx, gm_autoencoder_create(&a, ctx, ROW, encoder, decoder, &o));
    gm_optimizer_release(o.optimizer);
    gm_layer_release(decoder);
    gm_layer_release(encoder);
    return a;
}

static const float *param(gm_autoencoder *a, const char *name)
{
    gm_param *p = gm_params_find(gm_model_params(gm_autoencoder_model(a)), name);
    ck_assert_msg(p != NULL, "no parameter %s", name);
    return gm_param_value(p);
}

/* y = w x + b. */
static void affine(gm_autoencoder *a, const char *part, int in, int out, const double *x, double *y)
{
    char name[64];
    snprintf(name, sizeof name, "%s.weight", part);
    const float *w = param(a, name);
    snprintf(name, sizeof name, "%s.bias", part);
    const float *b = param(a, name);
    for (int i = 0; i < out; i++) {
        y[i] = (double)b[i];
        for (int j = 0; j < in; j++) y[i] += (double)w[i * in + j] * x[j];
    }
}

static void squash(double *x, int n)
{
    for (int i = 0; i < n; i++) x[i] = 1 / (1 + exp(-x[i]));
}

static double error_of(int32_t reconstruction, const double *y, const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += reconstruction == GM_RECONSTRUCTION_SQUARED ? (y[i] - x[i]) * (y[i] - x[i])
                                                           : log1p(exp(y[i])) - x[i] * y[i];
    return sum;
}

/* What a step of each stage reports, a code and a row, against double loops. */
START_TEST(by_hand)
{
    gm_context *ctx = support_context(61, 1);
    fill_rows();
    for (int32_t kind = GM_RECONSTRUCTION_CROSS_ENTROPY; kind <= GM_RECONSTRUCTION_SQUARED;
         kind++) {
        gm_autoencoder *a = make(ctx, kind, 0, 0);
        const int64_t in[2] = { N, ROW }, code[2] = { N, 3 };
        gm_tensor *x = NULL, *c = NULL, *back = NULL;
        double want[3] = { 0 };
        support_ok(ctx, gm_tensor_create(&x, ctx, 2, in));
        support_ok(ctx, gm_tensor_create(&back, ctx, 2, in));
        support_ok(ctx, gm_tensor_create(&c, ctx, 2, code));
        memcpy(gm_tensor_data(x), rows, sizeof rows);
        support_ok(ctx, gm_autoencoder_encode(a, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                              gm_tensor_data(c)));
        support_ok(ctx, gm_autoencoder_decode(a, gm_tensor_read(c), gm_tensor_shape(c)[0],
                                              gm_tensor_data(back)));
        for (int i = 0; i < N; i++) {
            double r[ROW], h[5], z[3], h2[5], y[ROW], direct[ROW];
            for (int j = 0; j < ROW; j++) r[j] = (double)rows[i * ROW + j];
            affine(a, "encoder.0", ROW, 5, r, h);
            squash(h, 5);
            affine(a, "encoder.2", 5, 3, h, z);
            squash(z, 3);
            affine(a, "decoder.0", 3, 5, z, h2);
            squash(h2, 5);
            affine(a, "decoder.2", 5, ROW, h2, y);
            affine(a, "decoder.2", 5, ROW, h, direct); /* the outer pair alone */
            want[0] += error_of(kind, y, r, ROW) / N;
            want[1] += error_of(kind, direct, r, ROW) / N;
            want[2] += error_of(GM_RECONSTRUCTION_SQUARED, h2, h, 5) / N;
            if (kind == GM_RECONSTRUCTION_CROSS_ENTROPY) squash(y, ROW);
            for (int j = 0; j < 3; j++)
                ck_assert_double_eq_tol((double)gm_tensor_read(c)[3 * i + j], z[j], 1e-6);
            for (int j = 0; j < ROW; j++)
                ck_assert_double_eq_tol((double)gm_tensor_read(back)[ROW * i + j], y[j], 1e-6);
        }
        ck_assert_int_eq(gm_autoencoder_pairs(a), 2);
        for (int64_t stage = 0; stage <= 2; stage++) {
            gm_metric m[GM_MAX_METRICS];
            int32_t count;
            support_ok(ctx, gm_autoencoder_set_stage(a, stage));
            ck_assert_int_eq(gm_autoencoder_stage(a), stage);
            support_ok(ctx,
                       gm_model_step(gm_autoencoder_model(a), rows, N, m, GM_MAX_METRICS, &count));
            ck_assert_int_eq(count, 1);
            ck_assert_str_eq(m[0].name, "loss");
            ck_assert_double_eq_tol(m[0].value, want[stage], 1e-5);
        }
        gm_tensor_release(back);
        gm_tensor_release(c);
        gm_tensor_release(x);
        gm_autoencoder_release(a);
    }
    gm_context_release(ctx);
}
END_TEST

START_TEST(a_stage_moves_its_pair)
{
    gm_context *ctx = support_context(62, 1);
    gm_autoencoder *a = make(ctx, GM_RECONSTRUCTION_CROSS_ENTROPY, 0.25, 0.01);
    gm_model *model = gm_autoencoder_model(a);
    static const char *const parts[] = { "encoder.1.", "encoder.4.", "decoder.0.", "decoder.2." };
    static const int moves[3][4] = { { 1, 1, 1, 1 }, { 1, 0, 0, 1 }, { 0, 1, 1, 0 } };
    fill_rows();
    for (int stage = 2; stage >= 0; stage--) { /* after a stage its moments move nobody */
        int64_t n;
        support_ok(ctx, gm_autoencoder_set_stage(a, stage));
        for (int step = 0; step < 3; step++) {
            float *before = nets_weights(model, &n), *at = before;
            support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
            gm_params *all = gm_model_params(model);
            for (int64_t i = 0; i < gm_params_count(all); i++) {
                gm_param *p = gm_params_get(all, i);
                for (int k = 0; k < 4; k++)
                    if (!strncmp(gm_params_name(all, i), parts[k], strlen(parts[k])))
                        ck_assert_msg(!memcmp(at, gm_param_value(p),
                                              (size_t)gm_param_count(p) * sizeof *at) ==
                                          !moves[stage][k],
                                      "stage %d: %s", stage, gm_params_name(all, i));
                at += gm_param_count(p);
            }
            free(before);
        }
    }
    gm_autoencoder_release(a);
    gm_context_release(ctx);
}
END_TEST

/* Rows on a line in ROW dimensions: codes of 3 values keep them. */
static gm_dataset *line(gm_context *ctx)
{
    float x[256 * ROW];
    const int64_t shape[2] = { 256, ROW };
    gm_dataset *data = NULL;
    for (int i = 0; i < 256; i++)
        for (int j = 0; j < ROW; j++)
            x[i * ROW + j] = (float)(0.5 + 0.4 * sin((i % 64) / 10.0 + j));
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, x));
    return data;
}

static double test_loss(gm_context *ctx, gm_autoencoder *a, gm_dataset *data)
{
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    support_ok(ctx, gm_model_evaluate(gm_autoencoder_model(a), data, support_batches(64, 0), m,
                                      GM_MAX_METRICS, &count));
    return nets_metric(m, count, "loss");
}

START_TEST(learns_layer_by_layer_and_whole)
{
    gm_context *ctx = support_context(63, 1);
    gm_dataset *data = line(ctx);
    double joint[2];
    for (int layerwise = 0; layerwise < 2; layerwise++) {
        gm_autoencoder *a = make(ctx, GM_RECONSTRUCTION_SQUARED, 0, 0.01);
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        double first = test_loss(ctx, a, data);
        fit.batch = 32;
        for (int64_t stage = layerwise ? 1 : 3; stage <= 2; stage++) {
            support_ok(ctx, gm_autoencoder_set_stage(a, stage));
            double before = test_loss(ctx, a, data);
            fit.epochs = 30;
            support_ok(ctx, gm_model_fit(gm_autoencoder_model(a), data, &fit));
            ck_assert_double_lt(test_loss(ctx, a, data), before / 2);
        }
        support_ok(ctx, gm_autoencoder_set_stage(a, 0));
        fit.epochs = 60;
        support_ok(ctx, gm_model_fit(gm_autoencoder_model(a), data, &fit));
        joint[layerwise] = test_loss(ctx, a, data);
        ck_assert_msg(joint[layerwise] < first / 10, "%d: %g, before %g", layerwise,
                      joint[layerwise], first);
        gm_autoencoder_release(a);
    }
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

static void same_weights(gm_model *a, gm_model *b)
{
    int64_t n, m;
    float *x = nets_weights(a, &n), *y = nets_weights(b, &m);
    ck_assert_int_eq(n, m);
    ck_assert_mem_eq(x, y, (size_t)n * sizeof *x);
    free(x);
    free(y);
}

/* In the middle of a stage, with dropout: a checkpoint goes on bit for bit, in another context with
 * more threads. */
START_TEST(resume_bit_for_bit)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(64, 1), *other = support_context(1000, 3);
    gm_autoencoder *a = make(ctx, GM_RECONSTRUCTION_CROSS_ENTROPY, 0.25, 0.01);
    gm_model *model = gm_autoencoder_model(a), *rest = NULL;
    fill_rows();
    support_ok(ctx, gm_autoencoder_set_stage(a, 2));
    for (int i = 0; i < 4; i++) support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    support_ok(ctx, gm_model_save_checkpoint(model, path));
    support_ok(other, gm_model_load(&rest, other, path));
    ck_assert_str_eq(gm_model_family(rest), "autoencoder");
    gm_autoencoder *b = gm_autoencoder_from_model(rest);
    ck_assert_int_eq(gm_autoencoder_stage(b), 2);
    ck_assert_int_eq(gm_autoencoder_code_size(b), 3);
    for (int stage = 2; stage >= 0; stage -= 2) {
        support_ok(ctx, gm_autoencoder_set_stage(a, stage));
        support_ok(other, gm_autoencoder_set_stage(b, stage));
        for (int i = 0; i < 4; i++) {
            support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
            support_ok(other, gm_model_step(rest, rows, N, NULL, 0, NULL));
        }
        same_weights(model, rest);
    }
    gm_model_release(rest);
    /* A plain file: the same codes, and other things than it says are refused. */
    support_ok(ctx, gm_model_save(model, path));
    support_ok(other, gm_model_load(&rest, other, path));
    same_weights(model, rest);
    gm_model_release(rest);
    static const struct {
        const char *key;
        int64_t value;
        gm_status status;
        const char *line;
    } bad[] = { { "autoencoder.stage", 3, GM_E_INVALID, "stage is 3" },
                { "autoencoder.stage", -1, GM_E_INVALID, "stage is -1" },
                { "autoencoder.row_size", 0, GM_E_INVALID, "row_size is 0" },
                { "autoencoder.row_size", 7, GM_E_SHAPE, "7" },
                { "autoencoder.reconstruction", 2, GM_E_INVALID, "reconstruction" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_archive *archive = NULL;
        char wrong[SUPPORT_PATH + 16];
        snprintf(wrong, sizeof wrong, "%s/wrong", folder);
        support_ok(ctx, gm_archive_open(&archive, ctx, path));
        support_ok(ctx, gm_archive_set_int(archive, bad[i].key, bad[i].value));
        support_ok(ctx, gm_archive_write(archive, wrong));
        support_fails(other, gm_model_load(&rest, other, wrong), bad[i].status, bad[i].line);
        ck_assert_ptr_null(rest);
        gm_archive_release(archive);
    }
    gm_autoencoder_release(a);
    gm_context_release(other);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

START_TEST(no_allocation_in_a_step)
{
    gm_context *ctx = support_context(65, 2);
    gm_autoencoder *a = make(ctx, GM_RECONSTRUCTION_CROSS_ENTROPY, 0.25, 0.01);
    const int64_t in[2] = { N, ROW }, code[2] = { N, 3 };
    gm_tensor *x = NULL, *c = NULL;
    fill_rows();
    support_ok(ctx, gm_tensor_create(&x, ctx, 2, in));
    support_ok(ctx, gm_tensor_create(&c, ctx, 2, code));
    memcpy(gm_tensor_data(x), rows, sizeof rows);
    for (int64_t stage = 0; stage <= 2; stage++) {
        gm_memory_counters before, after;
        support_ok(ctx, gm_autoencoder_set_stage(a, stage));
        for (int i = 0; i < 3; i++) {
            gm_context_memory(&before, ctx);
            support_ok(ctx, gm_model_step(gm_autoencoder_model(a), rows, N, NULL, 0, NULL));
            support_ok(ctx, gm_autoencoder_encode(a, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                                  gm_tensor_data(c)));
            support_ok(ctx, gm_autoencoder_decode(a, gm_tensor_read(c), gm_tensor_shape(c)[0],
                                                  gm_tensor_data(x)));
            gm_context_memory(&after, ctx);
        }
        ck_assert_uint_eq(before.allocations, after.allocations);
    }
    gm_tensor_release(c);
    gm_tensor_release(x);
    gm_autoencoder_release(a);
    gm_context_release(ctx);
}
END_TEST

static int32_t change_stage(void *user, const gm_fit_report *p)
{
    (void)p;
    return gm_autoencoder_set_stage(user, 1) != GM_E_STATE;
}

START_TEST(refusals)
{
    gm_context *ctx = support_context(66, 1), *other = support_context(66, 1);
    gm_layer *encoder = net(ctx, 1, 0), *decoder = net(ctx, 0, 0), *foreign = net(other, 1, 0),
             *one = nets_mlp(ctx, 3, 0, ROW);
    gm_autoencoder_options o = GM_AUTOENCODER_OPTIONS_INIT;
    gm_autoencoder *a = (gm_autoencoder *)ctx;
    support_fails(ctx, gm_autoencoder_create(&a, ctx, ROW, NULL, decoder, NULL), GM_E_INVALID,
                  "NULL");
    ck_assert_ptr_null(a);
    support_fails(ctx, gm_autoencoder_create(NULL, ctx, ROW, encoder, decoder, NULL), GM_E_INVALID,
                  "NULL");
    support_fails(ctx, gm_autoencoder_create(&a, ctx, ROW, foreign, decoder, NULL), GM_E_INVALID,
                  "another context");
    support_fails(ctx, gm_autoencoder_create(&a, ctx, 0, encoder, decoder, NULL), GM_E_INVALID,
                  "row_size is 0");
    support_fails(ctx, gm_autoencoder_create(&a, ctx, 7, encoder, decoder, NULL), GM_E_SHAPE, "7");
    support_fails(ctx, gm_autoencoder_create(&a, ctx, ROW, encoder, encoder, NULL), GM_E_SHAPE,
                  "autoencoder: decoder, tried on 2 rows: linear: input is [2, 3]");
    support_fails(ctx, gm_autoencoder_create(&a, ctx, 3, decoder, decoder, NULL), GM_E_SHAPE, "");
    o.reconstruction = 2;
    support_fails(ctx, gm_autoencoder_create(&a, ctx, ROW, encoder, decoder, &o), GM_E_INVALID,
                  "reconstruction is 2");
    o.reconstruction = 0;
    o.size = 3;
    support_fails(ctx, gm_autoencoder_create(&a, ctx, ROW, encoder, decoder, &o), GM_E_INVALID,
                  "size");
    support_ok(ctx, gm_autoencoder_create(&a, ctx, ROW, encoder, one, NULL)); /* does not pair */
    ck_assert_int_eq(gm_autoencoder_pairs(a), 0);
    support_fails(ctx, gm_autoencoder_set_stage(a, 1), GM_E_INVALID,
                  "stage is 1, expected 0 to 0, the pairs");
    o.size = sizeof o;
    o.optimizer = gm_model_optimizer(gm_autoencoder_model(a));
    gm_autoencoder *b = NULL;
    support_fails(ctx, gm_autoencoder_create(&b, ctx, ROW, encoder, decoder, &o), GM_E_STATE,
                  "bound to");
    gm_autoencoder_release(a);

    support_ok(ctx, gm_autoencoder_create(&a, ctx, ROW, encoder, decoder, NULL));
    gm_model *model = gm_autoencoder_model(a);
    gm_tensor *t = NULL;
    double p;
    ck_assert(gm_model_supports(model, GM_VERB_FIT) && gm_model_supports(model, GM_VERB_SAVE));
    ck_assert(!gm_model_supports(model, GM_VERB_SAMPLE) &&
              !gm_model_supports(model, GM_VERB_LOG_PROB));
    support_fails(ctx, gm_model_sample(&t, model, 1), GM_E_UNSUPPORTED, "autoencoder");
    support_fails(ctx, gm_model_log_prob(model, rows, 1, &p), GM_E_UNSUPPORTED, "autoencoder");
    support_fails(ctx, gm_autoencoder_set_stage(a, 3), GM_E_INVALID,
                  "stage is 3, expected 0 to 2, the pairs");
    support_fails(ctx, gm_autoencoder_set_stage(a, -1), GM_E_INVALID, "stage is -1");
    ck_assert_int_eq(gm_autoencoder_stage(a), 0);
    gm_dataset *data = line(ctx);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 1;
    fit.on_report = change_stage;
    fit.user = a;
    support_ok(ctx, gm_model_fit(model, data, &fit)); /* the callback was refused each time */
    gm_dataset_release(data);
    const int64_t in[2] = { 2, ROW }, code[2] = { 3, 3 };
    gm_tensor *x = NULL, *c = NULL;
    support_ok(ctx, gm_tensor_create(&x, ctx, 2, in));
    support_ok(ctx, gm_tensor_create(&c, ctx, 2, code));
    support_fails(ctx, gm_autoencoder_encode(a, gm_tensor_read(x), 0, gm_tensor_data(c)),
                  GM_E_INVALID, "encode: an array is NULL, or count is 0");
    support_fails(ctx, gm_autoencoder_decode(a, gm_tensor_read(c), -1, gm_tensor_data(x)),
                  GM_E_INVALID, "count is -1");
    support_fails(ctx, gm_autoencoder_encode(a, NULL, 1, gm_tensor_data(c)), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_autoencoder_decode(a, gm_tensor_read(c), gm_tensor_shape(c)[0], NULL),
                  GM_E_INVALID, "NULL");
    ck_assert_int_eq(
        gm_autoencoder_encode(NULL, gm_tensor_read(x), gm_tensor_shape(x)[0], gm_tensor_data(c)),
        GM_E_INVALID);
    ck_assert_int_eq(gm_autoencoder_set_stage(NULL, 0), GM_E_INVALID);
    /* Rows that are not finite, or no grey values. */
    float bad[2 * ROW] = { 0 };
    bad[ROW + 1] = NAN;
    ck_assert_int_lt(gm_model_step(model, bad, 2, NULL, 0, NULL), 0);
    bad[ROW + 1] = 1.5f;
    support_fails(ctx, gm_model_step(model, bad, 2, NULL, 0, NULL), GM_E_INVALID, "1.5");
    ck_assert_ptr_null(gm_autoencoder_model(NULL));
    ck_assert_ptr_null(gm_autoencoder_from_model(NULL));
    ck_assert_ptr_eq(gm_autoencoder_encoder(a), encoder);
    ck_assert_ptr_eq(gm_autoencoder_decoder(a), decoder);
    gm_tape *tape = NULL;
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    (void)gm_autoencoder_apply_encoder(tape, NULL, GM_NO_VAR);
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "autoencoder is NULL");
    gm_tape_release(tape);
    gm_tensor_release(c);
    gm_tensor_release(x);
    gm_autoencoder_release(a);
    gm_layer *layers[] = { encoder, decoder, foreign, one };
    for (int i = 0; i < 4; i++) gm_layer_release(layers[i]);
    gm_context_release(other);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("autoencoder");
    TCase *t = tcase_create("autoencoder");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, by_hand);
    tcase_add_test(t, a_stage_moves_its_pair);
    tcase_add_test(t, learns_layer_by_layer_and_whole);
    tcase_add_test(t, resume_bit_for_bit);
    tcase_add_test(t, no_allocation_in_a_step);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
