/* check_refusals.c - what no verb takes: NULL, counts below 1, rows of another size, a context of
 * another, labels that are missing or too many; each with its status, and the name and value in the
 * line. */
#include "conformance.h"
#include "gm/anomaly.h"
#include "gm/evaluate.h"
#include "models/family.h"

static void rows_and_counts(conformance *c, subject *s)
{
    float row[MAKER_BITS] = { 0 };
    double value;
    gm_tensor *drawn = NULL;
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_likelihood old = GM_LIKELIHOOD_INIT;
    if (CAN(s, FIT)) {
        REFUSES(c, s->ctx, gm_model_step(s->model, NULL, 1, NULL, 0, NULL), GM_E_INVALID, "NULL");
        REFUSES(c, s->ctx, gm_model_step(s->model, row, 0, NULL, 0, NULL), GM_E_INVALID,
                "count is 0");
        REFUSES(c, s->ctx, gm_model_step(s->model, row, -3, NULL, 0, NULL), GM_E_INVALID,
                "count is -3");
    } else {
        REFUSES(c, s->ctx, gm_model_step(s->model, row, 1, NULL, 0, NULL), GM_E_UNSUPPORTED,
                c->maker->family);
    }
    if (CAN(s, SAMPLE)) {
        REFUSES(c, s->ctx, conformance_sample(s->model, 1, NULL), GM_E_INVALID, "NULL");
        REFUSES(c, s->ctx, conformance_sample(s->model, -2, row), GM_E_INVALID, "count is -2");
        REFUSES(c, s->ctx, gm_model_sample(&drawn, s->model, 0), GM_E_INVALID, "count is 0");
        REFUSES(c, s->ctx, gm_model_sample(NULL, s->model, 1), GM_E_INVALID, "NULL");
    } else {
        REFUSES(c, s->ctx, conformance_sample(s->model, 1, row), GM_E_UNSUPPORTED,
                c->maker->family);
        REFUSES(c, s->ctx, gm_model_sample(&drawn, s->model, 1), GM_E_UNSUPPORTED,
                c->maker->family);
    }
    HOLDS(c, !drawn, "a refused sample leaves a tensor");
    if (CAN(s, LOG_PROB)) {
        REFUSES(c, s->ctx, gm_model_log_prob(s->model, NULL, 1, &value), GM_E_INVALID, "NULL");
        REFUSES(c, s->ctx, gm_model_log_prob(s->model, row, 1, NULL), GM_E_INVALID, "NULL");
        REFUSES(c, s->ctx, gm_model_log_prob(s->model, row, -1, &value), GM_E_INVALID,
                "count is -1");
        how.samples = -5;
        REFUSES(c, s->ctx, gm_model_log_prob_estimate(NULL, s->model, row, 1, &how, &value, NULL),
                GM_E_INVALID, "samples is -5");
        how.size = 1000000;
        HOLDS(c,
              gm_model_log_prob_estimate(NULL, s->model, row, 1, &how, &value, NULL) ==
                  GM_E_INVALID,
              "options of a size that is unknown are taken");
        old.size = 3;
        REFUSES(c, s->ctx, gm_model_likelihood(&old, s->model), GM_E_INVALID, "is 3");
        REFUSES(c, s->ctx, gm_model_likelihood(NULL, s->model), GM_E_INVALID, "NULL");
    } else {
        REFUSES(c, s->ctx, gm_model_log_prob(s->model, row, 1, &value), GM_E_UNSUPPORTED,
                c->maker->family);
    }
    REFUSES(c, s->ctx, gm_model_save(s->model, NULL), GM_E_INVALID, "path");
    HOLDS(c, gm_model_save(s->model, "/nowhere/at/all") == GM_E_IO, "a path that is none is taken");
    HOLDS(c,
          gm_model_step(NULL, row, 1, NULL, 0, NULL) == GM_E_INVALID &&
              conformance_sample(NULL, 1, row) == GM_E_INVALID &&
              gm_model_log_prob(NULL, row, 1, &value) == GM_E_INVALID &&
              gm_model_save(NULL, "x") == GM_E_INVALID,
          "no model is taken");
out:;
}

static void datasets(conformance *c, subject *s)
{
    static const int64_t wide[2] = { 4, MAKER_BITS + 1 };
    const float values[4 * (MAKER_BITS + 1)] = { 0 };
    gm_dataset *data = NULL;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_metric metrics[GM_MAX_METRICS];
    gm_result r = GM_RESULT_INIT;
    gm_anomaly *scores = NULL;
    int32_t count;
    SUCCEEDS(c, s->ctx, gm_dataset_from_memory(&data, s->ctx, 2, wide, values));
    if (CAN(s, FIT)) {
        fit.batch = 4;
        REFUSES(c, s->ctx, gm_model_fit(s->model, data, &fit), GM_E_SHAPE, "[7]");
        REFUSES(c, s->ctx,
                conformance_evaluate(s->model, data, 4, 0, metrics, GM_MAX_METRICS, &count),
                GM_E_SHAPE, "[7]");
        REFUSES(c, s->ctx, conformance_evaluate(s->model, s->data, 0, 0, NULL, 0, NULL),
                GM_E_INVALID, "batch is 0");
        REFUSES(c, s->ctx, conformance_evaluate(s->model, s->data, 4, -1, NULL, 0, NULL),
                GM_E_INVALID, "limit is -1");
        REFUSES(c, s->ctx, conformance_evaluate(s->model, NULL, 4, 0, NULL, 0, NULL), GM_E_INVALID,
                "NULL");
        REFUSES(c, s->ctx, gm_model_fit(s->model, NULL, &fit), GM_E_INVALID, "NULL");
        fit.batch = 0;
        REFUSES(c, s->ctx, gm_model_fit(s->model, s->data, &fit), GM_E_INVALID, "batch is 0");
        fit.batch = CONFORMANCE_ROWS + 1;
        REFUSES(c, s->ctx, gm_model_fit(s->model, s->data, &fit), GM_E_INVALID, "batch is 21");
        fit.batch = 4;
        fit.epochs = -1;
        REFUSES(c, s->ctx, gm_model_fit(s->model, s->data, &fit), GM_E_INVALID, "epochs is -1");
    } else {
        REFUSES(c, s->ctx, gm_model_fit(s->model, s->data, NULL), GM_E_UNSUPPORTED,
                c->maker->family);
        REFUSES(c, s->ctx, conformance_evaluate(s->model, s->data, 4, 0, NULL, 0, NULL),
                GM_E_UNSUPPORTED, c->maker->family);
    }
    if (CAN(s, LOG_PROB)) {
        HOLDS(c, gm_evaluate_nll(&r, s->model, data, NULL) == GM_E_SHAPE, "nll takes wide rows");
        HOLDS(c, gm_anomaly_create(&scores, s->model, data, NULL) == GM_E_SHAPE && !scores,
              "scores take wide rows");
    } else {
        HOLDS(c, gm_evaluate_nll(&r, s->model, s->data, NULL) == GM_E_UNSUPPORTED,
              "nll of a family without log_prob");
        HOLDS(c, gm_anomaly_create(&scores, s->model, s->data, NULL) == GM_E_UNSUPPORTED && !scores,
              "scores of a family without log_prob");
    }
out:
    gm_dataset_release(data);
}

/* None of it changes the model. */
void check_refusals(conformance *c)
{
    subject s[2] = { { 0 } };
    for (int k = 0; k < 2; k++)
        if (!subject_make(c, &s[k], 1) || !subject_set_labels(c, &s[k], 0)) goto out;
    rows_and_counts(c, &s[0]);
    datasets(c, &s[0]);
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1), "a refused call changed the model");
out:
    for (int k = 0; k < 2; k++) subject_release(&s[k]);
}

static void no_labels(conformance *c, subject *s)
{
    float row[2 * MAKER_BITS] = { 0 };
    const int64_t label = 0;
    double value[2];
    REFUSES(c, s->ctx, gm_model_set_labels(s->model, &label, 1), GM_E_UNSUPPORTED,
            c->maker->family);
    if (CAN(s, LOG_PROB)) SUCCEEDS(c, s->ctx, gm_model_log_prob(s->model, row, 2, value));
out:;
}

static void wrong_labels(conformance *c, subject *s)
{
    float row[2 * MAKER_BITS] = { 0 };
    double value[2];
    gm_dataset *bare = conformance_data(c, s->ctx, 0);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_anomaly *scores = NULL;
    gm_result r = GM_RESULT_INIT;
    int64_t labels[3] = { 0, 1, MAKER_CLASSES };
    if (!bare) goto out;
    fit.batch = 4;
    for (int set = 0; set < 2; set++) { /* none; then three where two rows are given */
        const gm_status expected = set ? GM_E_SHAPE : GM_E_STATE;
        const char *text = set ? "3 labels" : "labels of 3 classes";
        if (set) {
            labels[2] = MAKER_CLASSES - 1;
            SUCCEEDS(c, s->ctx, gm_model_set_labels(s->model, labels, 3));
        }
        if (CAN(s, FIT))
            REFUSES(c, s->ctx, gm_model_step(s->model, row, 2, NULL, 0, NULL), expected, text);
        if (CAN(s, SAMPLE))
            REFUSES(c, s->ctx, conformance_sample(s->model, 2, row), expected, text);
        if (CAN(s, LOG_PROB))
            REFUSES(c, s->ctx, gm_model_log_prob(s->model, row, 2, value), expected, text);
        if (CAN(s, FIT)) {
            REFUSES(c, s->ctx, gm_model_fit(s->model, bare, &fit), GM_E_STATE, "3 classes");
            fit.validation = bare;
            REFUSES(c, s->ctx, gm_model_fit(s->model, s->data, &fit), GM_E_STATE, "3 classes");
            fit.validation = NULL;
            REFUSES(c, s->ctx, conformance_evaluate(s->model, bare, 4, 0, NULL, 0, NULL),
                    GM_E_STATE, "3 classes");
        }
        if (CAN(s, LOG_PROB)) {
            REFUSES(c, s->ctx, gm_evaluate_nll(&r, s->model, bare, NULL), GM_E_STATE, "3 classes");
            REFUSES(c, s->ctx, gm_anomaly_create(&scores, s->model, bare, NULL), GM_E_STATE,
                    "3 classes");
        }
    }
    labels[2] = MAKER_CLASSES;
    REFUSES(c, s->ctx, gm_model_set_labels(s->model, labels, 3), GM_E_INVALID, "label at 2 is 3");
    labels[2] = -1;
    REFUSES(c, s->ctx, gm_model_set_labels(s->model, labels, 3), GM_E_INVALID, "label at 2 is -1");
    REFUSES(c, s->ctx, gm_model_set_labels(s->model, NULL, 3), GM_E_INVALID, "NULL");
    REFUSES(c, s->ctx, gm_model_set_labels(s->model, labels, 0), GM_E_INVALID, "count is 0");
out:
    gm_dataset_release(bare);
}

void check_label_refusals(conformance *c)
{
    subject s;
    if (!subject_make(c, &s, 1)) goto out;
    HOLDS(c, gm_model_labels(s.model) == c->maker->labels, "takes labels of %lld classes",
          (long long)gm_model_labels(s.model));
    (c->maker->labels ? wrong_labels : no_labels)(c, &s);
out:
    subject_release(&s);
}
