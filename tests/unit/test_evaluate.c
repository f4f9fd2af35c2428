/* test_evaluate.c - gm/evaluate.h: -log p(x) over a dataset, by an exact family and by an
 * estimate. */
#include "allocator.h"
#include "gm/evaluate.h"
#include "models/family.h"
#include "nets.h"

/* A family whose log p is exact: minus the sum of a row, less the label; NaN for a row that begins
 * with -1. */
static gm_status sum_log_prob(gm_model *model, const gm_batch *batch,
                              const gm_log_prob_options *how, double *out, double *error)
{
    (void)how;
    (void)error;
    for (int64_t i = 0; i < batch->count; i++) {
        const float *row = batch->rows + i * model->row_size;
        out[i] = batch->labels ? -(double)batch->labels[i] : 0;
        for (int64_t j = 0; j < model->row_size; j++) out[i] -= (double)row[j];
        if (row[0] == -1) out[i] = (double)NAN;
    }
    return GM_OK;
}

static void sum_destroy(gm_model *model)
{
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    gm_context_free(ctx, model, sizeof *model);
}

static const gm_family sum_family = { .name = "sum",
                                      .log_prob = sum_log_prob,
                                      .likelihood = gm_model_exact_likelihood,
                                      .destroy = sum_destroy };
/* The same as an estimate without samples, whose common term has an error. */
static gm_status annealed_likelihood(gm_model *model, int64_t samples, gm_likelihood *out)
{
    (void)model;
    (void)samples;
    out->kind = GM_LIKELIHOOD_ANNEALED;
    out->common_error = 0.25;
    return GM_OK;
}

static const gm_family annealed_family = { .name = "annealed",
                                           .log_prob = sum_log_prob,
                                           .likelihood = annealed_likelihood,
                                           .destroy = sum_destroy };

static gm_model *sum_model(gm_context *ctx, const gm_family *family, int64_t row_size,
                           int64_t classes)
{
    gm_model *model = gm_model_new(ctx, family, sizeof *model);
    ck_assert_ptr_nonnull(model);
    support_ok(ctx, gm_model_open(model));
    model->row_size = row_size;
    model->classes = classes;
    return model;
}

static gm_dataset *dataset(gm_context *ctx, int64_t rows, int64_t width, const float *values)
{
    int64_t shape[2] = { rows, width };
    gm_dataset *data = NULL;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, values));
    return data;
}

START_TEST(exact_values)
{
    gm_context *ctx = support_context(1, 1);
    gm_model *model = sum_model(ctx, &sum_family, 2, 0),
             *annealed = sum_model(ctx, &annealed_family, 2, 0);
    static const float values[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 10, 14 };
    static const int64_t batches[3] = { 1, 2, 100 };
    gm_dataset *data = dataset(ctx, 5, 2, values);
    double log_prob[5];
    for (int i = 0; i < 3; i++) {
        gm_nll_options o = GM_NLL_OPTIONS_INIT;
        gm_result r = GM_RESULT_INIT;
        o.batch = batches[i];
        o.log_prob = log_prob;
        support_ok(ctx, gm_evaluate_nll(&r, model, data, &o));
        ck_assert_double_eq_tol(r.value, 12, 1e-14); /* 3 7 11 15 24 */
        ck_assert_double_eq_tol(r.standard_error, sqrt((81 + 25 + 1 + 9 + 144) / 4.0 / 5), 1e-13);
        ck_assert(log_prob[0] == -3 && log_prob[4] == -24);
        ck_assert(r.rows == 5 && r.samples == 0 && r.k == 0 && r.seed == 0 &&
                  r.sampling_error == 0);
        ck_assert_str_eq(r.protocol, "exact");
        o.limit = 1;
        support_ok(ctx, gm_evaluate_nll(&r, model, data, &o));
        ck_assert(r.value == 3 && r.rows == 1 && isnan(r.standard_error));
        o.limit = 50;
        support_ok(ctx, gm_evaluate_nll(&r, annealed, data, &o));
        ck_assert(r.rows == 5 && r.k == 0 && r.seed == 0 && r.sampling_error == 0.25);
        ck_assert_str_eq(r.protocol, "annealed");
    }
    gm_dataset_release(data);
    gm_model_release(annealed);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

START_TEST(labels_of_the_dataset)
{
    gm_context *ctx = support_context(1, 1);
    gm_model *model = sum_model(ctx, &sum_family, 1, 3);
    static const float values[3] = { 1, 1, 1 }, classes[3] = { 0, 1, 2 };
    gm_dataset *data = dataset(ctx, 3, 1, values), *labels = dataset(ctx, 3, 1, classes);
    gm_nll_options o = GM_NLL_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT;
    o.batch = 2;
    support_fails(ctx, gm_evaluate_nll(&r, model, data, &o), GM_E_STATE, "nll");
    support_ok(ctx, gm_dataset_attach_labels(data, labels));
    support_ok(ctx, gm_evaluate_nll(&r, model, data, &o));
    ck_assert_double_eq_tol(r.value, 2, 1e-15);
    gm_dataset_release(labels);
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* A VAE: many draws agree with gm_vae_log_prob from other draws, and with gm_model_log_prob from
 * the same; what the model draws afterwards is as if nobody had looked. */
START_TEST(importance_estimate)
{
    enum { ROWS = 40, SIZE = 6 };
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    double one[ROWS], values[ROWS];
    gm_result first = GM_RESULT_INIT;
    for (int32_t threads = 1; threads <= 3; threads++) {
        gm_context *ctx = support_context(1, threads);
        gm_vae *vae = nets_vae(ctx, SIZE, 8, 2, head, NULL);
        gm_model *model = gm_vae_model(vae);
        gm_dataset *data = nets_bits(ctx, ROWS, SIZE);
        gm_tensor *before = NULL, *after = NULL, *rows = NULL;
        gm_result r = GM_RESULT_INIT, many = GM_RESULT_INIT, plain = GM_RESULT_INIT;
        gm_nll_options o = GM_NLL_OPTIONS_INIT;
        gm_model_seed(model, 5);
        support_ok(ctx, gm_model_sample(&before, model, 3));
        gm_model_seed(model, 5);
        o.batch = 16;
        o.samples = 3;
        o.log_prob = values;
        support_ok(ctx, gm_evaluate_nll(&r, model, data, &o));
        support_ok(ctx, gm_model_sample(&after, model, 3));
        ck_assert_mem_eq(gm_tensor_read(before), gm_tensor_read(after), 3 * SIZE * sizeof(float));
        ck_assert(r.k == 3 && r.seed == 1 && r.rows == ROWS && r.sampling_error > 0);
        ck_assert_str_eq(r.protocol, "importance");
        if (threads == 1) memcpy(one, values, sizeof one), first = r;
        ck_assert_mem_eq(one, values, sizeof one);
        ck_assert_mem_eq(&first, &r, sizeof r);
        if (threads > 1) goto next; /* the rest is not about threads */

        o.samples = 2000;
        support_ok(ctx, gm_evaluate_nll(&many, model, data, &o));
        ck_assert(many.sampling_error < r.sampling_error && many.k == 2000);
        double direct[ROWS], error[ROWS], mean = 0, variance = 0;
        support_ok(ctx, gm_dataset_read_tensor(&rows, data, 0, ROWS, 0));
        gm_model_seed(model, 99);
        support_ok(ctx, gm_vae_log_prob(vae, gm_tensor_read(rows), ROWS,
                                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                                .samples = 3000 },
                                        direct, error));
        for (int i = 0; i < ROWS; i++) {
            mean -= direct[i] / ROWS;
            variance += error[i] * error[i];
        }
        ck_assert_double_eq_tol(many.value, mean,
                                5 * hypot(many.sampling_error, sqrt(variance) / ROWS));
        o.samples = 0; /* the family's own number; gm_model_log_prob of the same stream agrees */
        o.batch = ROWS;
        o.seed = 42;
        support_ok(ctx, gm_evaluate_nll(&plain, model, data, &o));
        ck_assert(plain.k == 100 && plain.seed == 42);
        gm_model_seed(model, 42);
        support_ok(ctx, gm_model_log_prob(model, gm_tensor_read(rows), ROWS, direct));
        ck_assert_mem_eq(direct, values, sizeof values);
    next:
        gm_tensor_release(rows);
        gm_tensor_release(after);
        gm_tensor_release(before);
        gm_dataset_release(data);
        gm_vae_release(vae);
        gm_context_release(ctx);
    }
}
END_TEST

static int32_t stop_after_two(void *user, int64_t done, int64_t total)
{
    ck_assert_int_le(done, total);
    ck_assert_int_gt(done, *(int64_t *)user);
    *(int64_t *)user = done;
    return done >= 2;
}

#define REFUSED(call, text) support_fails(ctx, call, GM_E_INVALID, text)

START_TEST(refusals)
{
    gm_context *ctx = support_context(1, 1), *other = support_context(1, 1);
    gm_model *model = sum_model(ctx, &sum_family, 2, 0);
    static const float values[8] = { 1, 2, 3, 4, 5, 6, -1, 8 };
    gm_dataset *data = dataset(ctx, 4, 2, values), *wide = dataset(ctx, 2, 4, values);
    gm_dataset *foreign = dataset(other, 4, 2, values);
    gm_generator *g = nets_generator(ctx, 2, 0, 2, (gm_generator_options)GM_GENERATOR_OPTIONS_INIT);
    gm_nll_options o = GM_NLL_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT;
    int64_t done = 0;
    r.value = 7;
    ck_assert_int_eq(gm_evaluate_nll(&r, NULL, data, NULL), GM_E_INVALID);
    REFUSED(gm_evaluate_nll(NULL, model, data, NULL), "nll: out is NULL");
    REFUSED(gm_evaluate_nll(&r, model, NULL, NULL), "NULL");
    REFUSED(gm_evaluate_nll(&r, model, foreign, NULL), "another context");
    support_fails(ctx, gm_evaluate_nll(&r, model, wide, NULL), GM_E_SHAPE,
                  "[4], those of the model");
    support_fails(ctx, gm_evaluate_nll(&r, gm_generator_model(g), data, NULL), GM_E_UNSUPPORTED,
                  "the family generator has no log_prob");
    o.batch = 0;
    REFUSED(gm_evaluate_nll(&r, model, data, &o), "batch is 0");
    o.batch = 1;
    o.limit = -1;
    REFUSED(gm_evaluate_nll(&r, model, data, &o), "limit is -1");
    o.limit = 0;
    o.samples = -1;
    REFUSED(gm_evaluate_nll(&r, model, data, &o), "samples is -1");
    o.samples = 5;
    support_fails(ctx, gm_evaluate_nll(&r, model, data, &o), GM_E_UNSUPPORTED, "samples is 5");
    o.samples = 0;
    support_fails(ctx, gm_evaluate_nll(&r, model, data, &o), GM_E_NUMERIC, "log p of row 3 is nan");
    o.on_progress = stop_after_two;
    o.user = &done;
    support_fails(ctx, gm_evaluate_nll(&r, model, data, &o), GM_E_CANCELLED, "after 2 of ");
    ck_assert(r.value == 7 && done == 2);
    gm_generator_release(g);
    gm_dataset_release(foreign);
    gm_dataset_release(wide);
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(other);
    gm_context_release(ctx);
}
END_TEST

START_TEST(without_memory)
{
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        watched w;
        gm_allocator a = watched_begin(&w, -1);
        gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
        gm_context *ctx = NULL;
        gm_result r = GM_RESULT_INIT;
        gm_nll_options o = GM_NLL_OPTIONS_INIT;
        options.allocator = &a;
        o.samples = 2;
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &options), GM_OK);
        gm_vae *vae = nets_vae(ctx, 6, 0, 2, (gm_generator_options)GM_GENERATOR_OPTIONS_INIT, NULL);
        gm_dataset *data = nets_bits(ctx, 3, 6);
        w.fail_at = w.calls + n;
        gm_status s = gm_evaluate_nll(&r, gm_vae_model(vae), data, &o);
        int failed = w.calls > w.fail_at;
        if (failed) {
            failures++;
            ck_assert_int_eq(s, GM_E_NOMEM);
            ck_assert(gm_context_error(ctx)[0] && r.rows == 0);
            support_ok(ctx, gm_evaluate_nll(&r, gm_vae_model(vae), data, &o));
        } else {
            ck_assert_int_eq(s, GM_OK);
        }
        gm_dataset_release(data);
        gm_vae_release(vae);
        gm_context_release(ctx);
        ck_assert(watched_clean(&w));
        if (!failed) break;
    }
    ck_assert_int_gt(failures, 1);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("evaluate: nll");
    TCase *t = tcase_create("nll");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, exact_values);
    tcase_add_test(t, labels_of_the_dataset);
    tcase_add_test(t, importance_estimate);
    tcase_add_test(t, refusals);
    tcase_add_test(t, without_memory);
    suite_add_tcase(s, t);
    return s;
}
