/* test_model.c - gm/model.h: the shared verbs, the fit loop, files, on every family. */
#include "nets.h"

static const gm_generator_options bernoulli = GM_GENERATOR_OPTIONS_INIT;

static gm_fit_options fit_of(int64_t epochs, int64_t batch)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    o.epochs = epochs;
    o.batch = batch;
    return o;
}

static void same_weights(gm_model *a, gm_model *b)
{
    int64_t na, nb;
    float *wa = nets_weights(a, &na), *wb = nets_weights(b, &nb);
    ck_assert_int_eq(na, nb);
    ck_assert_mem_eq(wa, wb, (size_t)na * sizeof *wa);
    free(wa);
    free(wb);
}

typedef struct seen {
    int64_t steps, epochs, stop_at;
    double last_loss;
    double validation;
} seen;

static int32_t watch(void *user, const gm_fit_report *p)
{
    seen *s = user;
    ck_assert_uint_eq(p->size, sizeof *p);
    ck_assert(p->metric_count >= 1 && !strcmp(p->metrics[0].name, "loss"));
    if (p->epoch_end) {
        s->epochs++;
        s->last_loss = p->metrics[0].value;
        if (p->validation_count) s->validation = p->validation[0].value;
    } else {
        s->steps++;
        ck_assert(p->row > 0 && p->row <= p->rows);
    }
    return s->stop_at && s->steps >= s->stop_at;
}

START_TEST(fit_reports_and_stops)
{
    gm_context *ctx = support_context(21, 1);
    gm_dataset *data = nets_bits(ctx, 50, 8), *check = nets_bits(ctx, 20, 8);
    gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, NULL);
    gm_model *model = gm_vae_model(vae);
    seen s = { 0 };
    gm_fit_options o = fit_of(3, 16);
    o.on_report = watch;
    o.user = &s;
    o.validation = check;
    support_ok(ctx, gm_model_fit(model, data, &o));
    ck_assert_int_eq(s.steps, 3 * 4);
    ck_assert_int_eq(s.epochs, 3);
    ck_assert(s.validation > 0 && s.last_loss > 0);
    ck_assert_int_eq(gm_model_steps(model), 12);
    ck_assert_int_eq(gm_model_epochs(model), 3);
    o.drop_last = 1;
    s.steps = 0;
    support_ok(ctx, gm_model_fit(model, data, &o));
    ck_assert_int_eq(s.steps, 3 * 3);
    s.steps = 0;
    s.stop_at = 2;
    support_fails(ctx, gm_model_fit(model, data, &o), GM_E_CANCELLED, "stopped by the host");
    s.stop_at = 0;
    support_ok(ctx, gm_model_fit(model, data, &o)); /* the model is intact */
    gm_vae_release(vae);
    gm_dataset_release(check);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

START_TEST(fit_refuses)
{
    gm_context *ctx = support_context(22, 1);
    gm_dataset *data = nets_bits(ctx, 50, 8), *wide = nets_bits(ctx, 50, 9);
    gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, NULL);
    gm_model *model = gm_vae_model(vae);
    gm_fit_options o = fit_of(0, 16);
    support_fails(ctx, gm_model_fit(model, data, &o), GM_E_INVALID, "epochs is 0");
    o = fit_of(1, 0);
    support_fails(ctx, gm_model_fit(model, data, &o), GM_E_INVALID, "batch is 0");
    o = fit_of(1, 51);
    support_fails(ctx, gm_model_fit(model, data, &o), GM_E_INVALID,
                  "batch is 51, the dataset has 50 rows");
    o = fit_of(1, 16);
    o.patience = 2;
    support_fails(ctx, gm_model_fit(model, data, &o), GM_E_INVALID, "no validation set");
    o = fit_of(1, 16);
    support_fails(ctx, gm_model_fit(model, wide, &o), GM_E_SHAPE, "[9], those of the model [8]");
    gm_dataset *values = NULL;
    const int64_t flat = 16;
    support_ok(ctx, gm_dataset_from_memory(&values, ctx, 1, &flat, (const float[16]){ 0 }));
    support_fails(ctx, gm_model_fit(model, values, &o), GM_E_SHAPE, "are single values, those of");
    gm_dataset_release(values);
    support_fails(ctx, gm_model_fit(model, NULL, &o), GM_E_INVALID, "data is NULL");
    o.checkpoint = "/nonexistent/folder/file";
    support_fails(ctx, gm_model_fit(model, data, &o), GM_E_IO, "/nonexistent/folder");
    ck_assert_int_eq(gm_model_fit(NULL, data, &o), GM_E_INVALID);
    float row[8] = { 0 };
    support_fails(ctx, gm_model_step(model, row, 0, NULL, 0, NULL), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_model_step(model, NULL, 1, NULL, 0, NULL), GM_E_INVALID, "NULL");
    gm_tensor *t = NULL;
    support_fails(ctx, gm_model_sample(&t, model, 0), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_model_sample_into(model, 0, NULL, row), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_model_sample_into(model, 1, NULL, NULL), GM_E_INVALID, "NULL");
    gm_vae_release(vae);
    gm_dataset_release(wide);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* A rate that explodes stops with GM_E_NUMERIC, and the weights that are left still give a finite
 * loss. */
START_TEST(explosion_keeps_the_last_good_weights)
{
    gm_context *ctx = support_context(23, 1);
    gm_dataset *data = nets_bits(ctx, 50, 8);
    gm_optimizer *sgd = NULL;
    gm_sgd_options so = GM_SGD_OPTIONS_INIT;
    so.rate = 1e37;
    support_ok(ctx, gm_sgd_create(&sgd, ctx, &so));
    gm_vae_options vo = GM_VAE_OPTIONS_INIT;
    vo.optimizer = sgd;
    gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, &vo);
    gm_fit_options o = fit_of(5, 16);
    support_fails(ctx, gm_model_fit(gm_vae_model(vae), data, &o), GM_E_NUMERIC, "kept");
    gm_metric m[GM_MAX_METRICS];
    int32_t n;
    support_ok(ctx, gm_model_evaluate(gm_vae_model(vae), data, support_batches(50, 0), m,
                                      GM_MAX_METRICS, &n));
    ck_assert_msg(isfinite(nets_metric(m, n, "loss")), "loss is %g", nets_metric(m, n, "loss"));
    gm_vae_release(vae);
    gm_optimizer_release(sgd);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* A hundred epochs at a rate that only makes the validation loss worse: the best weights come back.
 */
START_TEST(early_stopping_restores_the_best)
{
    gm_context *ctx = support_context(24, 1);
    gm_dataset *data = nets_bits(ctx, 40, 8), *check = nets_bits(ctx, 40, 8);
    gm_adam_options ao = GM_ADAM_OPTIONS_INIT;
    gm_optimizer *adam = NULL;
    ao.rate = 0.5;
    support_ok(ctx, gm_adam_create(&adam, ctx, &ao));
    gm_vae_options vo = GM_VAE_OPTIONS_INIT;
    vo.optimizer = adam;
    gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, &vo);
    seen s = { 0 };
    gm_fit_options o = fit_of(100, 10);
    o.validation = check;
    o.patience = 3;
    o.on_report = watch;
    o.user = &s;
    support_ok(ctx, gm_model_fit(gm_vae_model(vae), data, &o));
    ck_assert_int_lt(s.epochs, 100);
    gm_metric m[GM_MAX_METRICS];
    int32_t n;
    support_ok(ctx, gm_model_evaluate(gm_vae_model(vae), check, support_batches(10, 0), m,
                                      GM_MAX_METRICS, &n));
    ck_assert_msg(nets_metric(m, n, "loss") < s.validation, "restored %g, last %g",
                  nets_metric(m, n, "loss"), s.validation);
    gm_vae_release(vae);
    gm_optimizer_release(adam);
    gm_dataset_release(check);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* A rate of which no weight takes notice: the validation loss stays what it was, which is no
 * better, so that a fit waits from its second epoch on. */
START_TEST(equal_losses_are_waited_for)
{
    gm_context *ctx = support_context(24, 1);
    gm_dataset *data = nets_bits(ctx, 40, 8), *check = nets_bits(ctx, 40, 8);
    gm_sgd_options so = GM_SGD_OPTIONS_INIT;
    gm_optimizer *sgd = NULL;
    so.rate = 1e-30;
    support_ok(ctx, gm_sgd_create(&sgd, ctx, &so));
    gm_vae_options vo = GM_VAE_OPTIONS_INIT;
    vo.optimizer = sgd;
    gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, &vo);
    seen s = { 0 };
    gm_fit_options o = fit_of(100, 10);
    o.validation = check;
    o.patience = 3;
    o.on_report = watch;
    o.user = &s;
    support_ok(ctx, gm_model_fit(gm_vae_model(vae), data, &o));
    ck_assert_int_eq(s.epochs, 1 + o.patience);
    gm_vae_release(vae);
    gm_optimizer_release(sgd);
    gm_dataset_release(check);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

START_TEST(no_allocation_in_a_step)
{
    for (int32_t threads = 1; threads <= 2; threads++) {
        gm_context *ctx = support_context(25, threads);
        gm_vae_options vo = GM_VAE_OPTIONS_INIT;
        vo.samples = threads; /* both bounds */
        gm_vae *vae = nets_vae(ctx, 8, 6, 2, bernoulli, &vo);
        float rows[80] = { 0 };
        gm_memory_counters before, after;
        gm_tensor *t = NULL;
        int64_t shape[2] = { 10, 8 };
        double out[10];
        support_ok(ctx, gm_tensor_create(&t, ctx, 2, shape));
        for (int i = 0; i < 2; i++) {
            gm_context_memory(&before, ctx);
            for (int k = 0; k < 3; k++) {
                support_ok(ctx, gm_model_step(gm_vae_model(vae), rows, 10, NULL, 0, NULL));
                support_ok(ctx, gm_model_sample_into(gm_vae_model(vae), gm_tensor_shape(t)[0], NULL,
                                                     gm_tensor_data(t)));
                support_ok(ctx, gm_vae_reconstruct(vae, gm_tensor_read(t), gm_tensor_shape(t)[0],
                                                   gm_tensor_data(t)));
                support_ok(ctx, gm_model_log_prob(gm_vae_model(vae), rows, 10, out));
            }
            gm_context_memory(&after, ctx);
        }
        ck_assert_uint_eq(before.allocations, after.allocations);
        gm_tensor_release(t);
        gm_vae_release(vae);
        gm_context_release(ctx);
    }
}
END_TEST

/* Load, then sample with the same seed: the same bytes; also for data that only the family knows.
 */
START_TEST(files_round_trip)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int kind = 0; kind < 3; kind++) {
        gm_context *ctx = support_context(26, 1), *fresh = support_context(1000, 1);
        gm_generator_options head = bernoulli;
        if (kind == 1) head.output = GM_OUTPUT_GAUSSIAN, head.learn_variance = 1;
        gm_vae *vae = kind < 2 ? nets_vae(ctx, 8, 6, 2, head, NULL) : NULL;
        gm_generator *g = kind == 2 ? nets_generator(ctx, 3, 5, 8, head) : NULL;
        gm_model *model = vae ? gm_vae_model(vae) : gm_generator_model(g), *loaded = NULL;
        support_ok(ctx, gm_model_save(model, path));
        support_ok(fresh, gm_model_load(&loaded, fresh, path));
        ck_assert_str_eq(gm_model_family(model), gm_model_family(loaded));
        same_weights(model, loaded);
        /* Once with the states as saved, once from a seed. */
        for (int k = 0; k < 2; k++) {
            gm_tensor *a = NULL, *b = NULL;
            if (k) gm_model_seed(model, 5), gm_model_seed(loaded, 5);
            support_ok(ctx, gm_model_sample(&a, model, 9));
            support_ok(fresh, gm_model_sample(&b, loaded, 9));
            ck_assert_mem_eq(gm_tensor_read(a), gm_tensor_read(b), 72 * sizeof(float));
            gm_tensor_release(a);
            gm_tensor_release(b);
        }
        gm_model_release(loaded);
        gm_generator_release(g);
        gm_vae_release(vae);
        gm_context_release(fresh);
        gm_context_release(ctx);
    }
    support_folder_remove(folder);
}
END_TEST

/* Four epochs at once, and two, a checkpoint, a load in a context of another seed and two more: the
 * same bytes. */
START_TEST(resume_bit_for_bit)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(27, 1), *other = support_context(31, 2);
    gm_dataset *data = nets_bits(ctx, 50, 8), *data2 = nets_bits(other, 50, 8);
    gm_vae *whole = nets_vae(ctx, 8, 6, 2, bernoulli, NULL);
    gm_fit_options o = fit_of(4, 16);
    support_ok(ctx, gm_model_fit(gm_vae_model(whole), data, &o));

    gm_context *again = support_context(27, 1);
    gm_dataset *data3 = nets_bits(again, 50, 8);
    gm_vae *half = nets_vae(again, 8, 6, 2, bernoulli, NULL);
    gm_model *rest = NULL;
    o = fit_of(2, 16);
    o.checkpoint = path;
    support_ok(again, gm_model_fit(gm_vae_model(half), data3, &o));
    o.checkpoint = NULL;
    support_ok(other, gm_model_load(&rest, other, path));
    ck_assert_int_eq(gm_model_epochs(rest), 2);
    support_ok(other, gm_model_fit(rest, data2, &o));
    same_weights(gm_vae_model(whole), rest);
    gm_model_release(rest);
    gm_vae_release(half);
    gm_vae_release(whole);
    gm_dataset_release(data3);
    gm_dataset_release(data2);
    gm_dataset_release(data);
    gm_context_release(again);
    gm_context_release(other);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

/* What the file says of itself: its format, how far training is, each in its range. */
START_TEST(files_that_state_the_impossible)
{
    static const struct {
        const char *key;
        int64_t value;
        gm_status status;
        const char *line;
    } stated[] = { { "gm.format", 2, GM_E_VERSION, "format 2" },
                   { "gm.format", 0, GM_E_VERSION, "format 0" },
                   { "gm.format", -1, GM_E_VERSION, "format -1" },
                   { "gm.epochs", -1, GM_E_FORMAT, "epochs is -1" },
                   { "gm.epochs", INT64_MAX, GM_E_FORMAT, "epochs is 9223372036854775807" },
                   { "gm.steps", -1, GM_E_FORMAT, "steps is -1" },
                   { "gm.steps", INT64_MAX, GM_E_FORMAT, "steps is 9223372036854775807" } };
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(28, 1);
    gm_vae *vae = nets_vae(ctx, 2, 0, 1, bernoulli, NULL);
    for (size_t i = 0; i < sizeof stated / sizeof *stated; i++) {
        gm_archive *archive = NULL;
        gm_model *model = NULL;
        support_ok(ctx, gm_model_save(gm_vae_model(vae), path));
        support_ok(ctx, gm_archive_open(&archive, ctx, path));
        support_ok(ctx, gm_archive_set_int(archive, stated[i].key, stated[i].value));
        support_ok(ctx, gm_archive_write(archive, path));
        gm_archive_release(archive);
        support_fails(ctx, gm_model_load(&model, ctx, path), stated[i].status, stated[i].line);
        ck_assert_ptr_null(model);
    }
    gm_vae_release(vae);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

/* A last batch that is short counts by its rows. */
START_TEST(metrics_are_means_over_rows)
{
    static const float rows[5][3] = {
        { 0, 0, 0 }, { 0, 1, 0 }, { 0, 0, 0 }, { 0, 0, 0 }, { 1, 1, 1 }
    };
    static const int64_t shape[2] = { 5, 3 };
    gm_context *ctx = support_context(29, 1);
    gm_linear_ar *ar = NULL;
    gm_dataset *data = NULL;
    gm_metric m[2][GM_MAX_METRICS];
    int32_t count;
    support_ok(ctx, gm_linear_ar_create(&ar, ctx, 3, NULL));
    gm_model *model = gm_linear_ar_model(ar);
    for (int64_t i = 0; i < gm_params_count(gm_model_params(model)); i++) {
        gm_param *p = gm_params_get(gm_model_params(model), i);
        for (int64_t j = 0; j < gm_param_count(p); j++) gm_param_value(p)[j] = -1;
    }
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows[0]));
    for (int k = 0; k < 2; k++)
        support_ok(ctx, gm_model_evaluate(model, data, support_batches(k ? 4 : 5, 0), m[k],
                                          GM_MAX_METRICS, &count));
    ck_assert_double_eq_tol(nets_metric(m[0], count, "loss"), nets_metric(m[1], count, "loss"),
                            1e-6);
    gm_dataset_release(data);
    gm_linear_ar_release(ar);
    gm_context_release(ctx);
}
END_TEST

/* Every byte of a small file turned or cut off: a status each time, never a crash; and a host's
 * layer is refused. */
START_TEST(hostile_files)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(28, 1);
    gm_vae *vae = nets_vae(ctx, 2, 0, 1, bernoulli, NULL);
    gm_model *model = NULL;
    support_ok(ctx, gm_model_save_checkpoint(gm_vae_model(vae), path));
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    static unsigned char bytes[65536];
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    ck_assert(size > 1000 && size < sizeof bytes);
    int refused = 0;
    for (size_t i = 0; i < size; i += i < 600 ? 1 : 7) {
        unsigned char keep = bytes[i];
        bytes[i] = (unsigned char)(keep ^ (1 + i % 255));
        support_file_write(path, bytes, size);
        gm_status s = gm_model_load(&model, ctx, path);
        ck_assert((s == GM_OK) == (model != NULL));
        ck_assert(s == GM_OK || gm_context_error(ctx)[0]);
        refused += s != GM_OK;
        gm_model_release(model);
        bytes[i] = keep;
    }
    ck_assert_int_gt(refused, 100);
    for (size_t cut = 0; cut < size; cut += 97) {
        support_file_write(path, bytes, cut);
        ck_assert_int_ne(gm_model_load(&model, ctx, path), GM_OK);
        ck_assert_ptr_null(model);
    }
    support_fails(ctx, gm_model_load(&model, ctx, "/nonexistent"), GM_E_IO, "/nonexistent");
    support_fails(ctx, gm_model_load(&model, ctx, folder), GM_E_IO, folder);
    support_fails(ctx, gm_model_save(gm_vae_model(vae), "/dev/full"), GM_E_IO, "/dev");
    gm_vae_release(vae);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, fit_reports_and_stops);
    tcase_add_test(t, fit_refuses);
    tcase_add_test(t, explosion_keeps_the_last_good_weights);
    tcase_add_test(t, early_stopping_restores_the_best);
    tcase_add_test(t, equal_losses_are_waited_for);
    tcase_add_test(t, no_allocation_in_a_step);
    tcase_add_test(t, files_round_trip);
    tcase_add_test(t, resume_bit_for_bit);
    tcase_add_test(t, files_that_state_the_impossible);
    tcase_add_test(t, metrics_are_means_over_rows);
    tcase_add_test(t, hostile_files);
    suite_add_tcase(s, t);
    return s;
}
