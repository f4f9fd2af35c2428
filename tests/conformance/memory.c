/* memory.c - every family with every allocation failing once, from its making to its files. A call
 * that failed has changed nothing, and is made again. */
#include "conformance.h"
#include "sweep.h"

static float rows[CONFORMANCE_ROWS * MAKER_BITS];
static int64_t labels[CONFORMANCE_ROWS];

static gm_status dataset(sweep *s, gm_dataset **data, int labelled)
{
    static const int64_t shape[2] = { CONFORMANCE_ROWS, MAKER_BITS },
                         one[2] = { CONFORMANCE_ROWS, 1 };
    float classes[CONFORMANCE_ROWS];
    gm_dataset *of = NULL;
    gm_status status;
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++) classes[i] = (float)labels[i];
    MAKE(s, *data, gm_dataset_from_memory(data, s->ctx, 2, shape, rows));
    if (labelled) {
        MAKE(s, of, gm_dataset_from_memory(&of, s->ctx, 2, one, classes));
        DO(s, gm_dataset_attach_labels(*data, of));
    }
out:
    gm_dataset_release(of);
    return status;
}

static const maker *present;

/* A step that fails has moved nothing. */
static gm_status step(gm_model *model)
{
    const int64_t count = gm_params_elements(gm_model_params(model));
    float *w[2] = { malloc((size_t)count * sizeof(float)), malloc((size_t)count * sizeof(float)) };
    ck_assert(w[0] && w[1]);
    ck_assert_int_eq(gm_params_read(gm_model_params(model), count, w[0]), GM_OK);
    const int64_t steps = gm_model_steps(model);
    const gm_status status = gm_model_step(model, rows, CONFORMANCE_ROWS, NULL, 0, NULL);
    ck_assert_int_eq(gm_params_read(gm_model_params(model), count, w[1]), GM_OK);
    ck_assert_int_eq(!memcmp(w[0], w[1], (size_t)count * sizeof(float)), status != GM_OK);
    ck_assert_int_eq(gm_model_steps(model) - steps, status == GM_OK);
    free(w[0]);
    free(w[1]);
    return status;
}

/* Steps, samples and log p. */
static gm_status verbs(sweep *s)
{
    float drawn[5 * MAKER_BITS];
    double log_p[CONFORMANCE_ROWS], error[CONFORMANCE_ROWS];
    gm_model *model = NULL;
    gm_tensor *samples = NULL;
    gm_status status;
    ONCE(maker_make(&model, present, s->ctx, NULL));
    if (present->labels) DO(s, gm_model_set_labels(model, labels, CONFORMANCE_ROWS));
    for (int i = 0; i < 2 && gm_model_supports(model, GM_VERB_FIT); i++) DO(s, step(model));
    if (gm_model_supports(model, GM_VERB_LOG_PROB)) {
        DO(s, gm_model_log_prob(model, rows, CONFORMANCE_ROWS, log_p));
        DO(s, gm_model_log_prob_estimate(NULL, model, rows, CONFORMANCE_ROWS, NULL, log_p, error));
    }
    if (present->labels) DO(s, gm_model_set_labels(model, labels, 1));
    if (gm_model_supports(model, GM_VERB_SAMPLE)) {
        DO(s, conformance_sample(model, 5, drawn));
        MAKE(s, samples, gm_model_sample(&samples, model, 3));
    }
out:
    gm_tensor_release(samples);
    gm_model_release(model);
    return status;
}

/* What takes a dataset: a fit that watches a validation set, and evaluation. */
static gm_status datasets(sweep *s)
{
    double log_p[CONFORMANCE_ROWS];
    gm_metric metrics[GM_MAX_METRICS];
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT;
    gm_model *model = NULL;
    gm_dataset *data = NULL;
    gm_anomaly *scores = NULL;
    int32_t count;
    gm_status status;
    ONCE(maker_make(&model, present, s->ctx, NULL));
    ONCE(dataset(s, &data, present->labels > 0));
    if (gm_model_supports(model, GM_VERB_FIT)) {
        fit.epochs = 1;
        fit.batch = 12;
        fit.validation = data;
        fit.patience = 1;
        DO(s, gm_model_fit(model, data, &fit));
        DO(s, conformance_evaluate(model, data, 7, 0, metrics, GM_MAX_METRICS, &count));
    }
    if (gm_model_supports(model, GM_VERB_LOG_PROB)) {
        if (present->labels) DO(s, gm_model_set_labels(model, labels, CONFORMANCE_ROWS));
        DO(s, gm_evaluate_nll(&r, model, data, NULL));
        MAKE(s, scores, gm_anomaly_create(&scores, model, data, NULL));
        DO(s, gm_anomaly_score(scores, rows, CONFORMANCE_ROWS, log_p, NULL));
    }
out:
    gm_anomaly_release(scores);
    gm_dataset_release(data);
    gm_model_release(model);
    return status;
}

/* A checkpoint after a step, and a step after it. */
static gm_status files(sweep *s)
{
    char path[SUPPORT_PATH + 16];
    gm_model *model = NULL, *loaded = NULL;
    gm_status status;
    snprintf(path, sizeof path, "%s/model", s->folder);
    ONCE(maker_make(&model, present, s->ctx, NULL));
    if (present->labels) DO(s, gm_model_set_labels(model, labels, CONFORMANCE_ROWS));
    if (gm_model_supports(model, GM_VERB_FIT)) DO(s, step(model));
    DO(s, gm_model_save_checkpoint(model, path));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    if (present->labels) DO(s, gm_model_set_labels(loaded, labels, CONFORMANCE_ROWS));
    if (gm_model_supports(loaded, GM_VERB_FIT)) DO(s, step(loaded));
out:
    gm_model_release(loaded);
    gm_model_release(model);
    return status;
}

START_TEST(every_allocation_fails)
{
    char folder[SUPPORT_PATH];
    present = &makers[_i];
    conformance_rows(rows);
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++) labels[i] = conformance_label(i);
    support_memory_folder();
    support_folder_make(folder);
    const int64_t failures = sweep_run(present->name, verbs, folder, 2, 1) +
                             sweep_run(present->name, datasets, folder, 1, 1) +
                             sweep_run(present->name, files, folder, 1, 1);
    support_folder_remove(folder);
    printf("%s: %lld failures survived\n", present->name, (long long)failures);
}
END_TEST

/* After the first call with a count, no verb takes memory from the heap. */
START_TEST(no_allocation_after_the_first)
{
    conformance c = { .maker = &makers[_i], .verbs = &conformance_library };
    check_allocations(&c);
    ck_assert_msg(!c.failure[0], "%s", c.failure);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("conformance of memory");
    TCase *t = tcase_create("memory");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, no_allocation_after_the_first, 0, maker_count);
    tcase_add_loop_test(t, every_allocation_fails, 0, maker_count);
    suite_add_tcase(s, t);
    return s;
}
