/* check_cancel.c - every long verb stops when its progress callback says so, with GM_E_CANCELLED,
 * and the model goes on as if it had not been asked. */
#include "conformance.h"
#include "gm/anomaly.h"
#include "gm/evaluate.h"
#include "models/family.h"

#define BATCH 8

typedef struct stopper {
    int64_t calls, stop_at; /* the call that stops, from 1 */
} stopper;

static int32_t stop_fit(void *user, const gm_fit_report *progress)
{
    stopper *s = user;
    (void)progress;
    return ++s->calls == s->stop_at;
}

static int32_t stop(void *user, int64_t done, int64_t total)
{
    stopper *s = user;
    if (done < 0 || done > total) s->stop_at = s->calls + 1;
    return ++s->calls == s->stop_at;
}

/* Stopped after the first update of two epochs, after the last of the first epoch, and at that
 * epoch's end: the model stands where steps by hand bring another, and a fit goes on from there. */
static void cancel_fit(conformance *c, int64_t stop_at)
{
    enum { UPDATES = (CONFORMANCE_ROWS + BATCH - 1) / BATCH };
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    int64_t labels[CONFORMANCE_ROWS];
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    stopper user = { 0, stop_at };
    subject s[2] = { { 0 } };
    const int64_t updates = stop_at > UPDATES ? UPDATES : stop_at;
    conformance_rows(rows);
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++) labels[i] = conformance_label(i);
    for (int k = 0; k < 2; k++)
        if (!subject_make(c, &s[k], 1)) goto out;
    if (!CAN(&s[0], FIT)) goto out;
    fit.epochs = 2;
    fit.batch = BATCH;
    fit.shuffle = 0;
    fit.on_report = stop_fit;
    fit.user = &user;
    const gm_status status = c->verbs->fit(s[0].model, s[0].data, &fit);
    HOLDS(c, status == GM_E_CANCELLED, "a fit that is stopped is %s", gm_status_name(status));
    HOLDS(c, support_says(gm_context_error(s[0].ctx), "stopped by the host"), "the line is \"%s\"",
          gm_context_error(s[0].ctx));
    HOLDS(c, user.calls == stop_at, "%lld calls, stopped at the %lldth", (long long)user.calls,
          (long long)stop_at);
    HOLDS(c, gm_model_steps(s[0].model) == updates, "%lld updates, expected %lld",
          (long long)gm_model_steps(s[0].model), (long long)updates);
    if (gm_model_supports(s[0].model, GM_VERB_SAVE) && !strcmp(c->maker->name, "sbn, chains"))
        goto out; /* its chains belong to the rows of a dataset, which steps by hand do not have */
    for (int64_t at = 0; at < updates * BATCH && at < CONFORMANCE_ROWS; at += BATCH) {
        const int64_t n = CONFORMANCE_ROWS - at < BATCH ? CONFORMANCE_ROWS - at : BATCH;
        if (c->maker->labels)
            SUCCEEDS(c, s[1].ctx, gm_model_set_labels(s[1].model, labels + at, n));
        SUCCEEDS(c, s[1].ctx, gm_model_step(s[1].model, rows + at * MAKER_BITS, n, NULL, 0, NULL));
    }
    fit.on_report = NULL;
    fit.epochs = 1;
    s[1].model->epochs = s[0].model->epochs; /* which steps do not count */
    s[1].model->pass = s[0].model->pass;
    HOLDS(c, s[0].model->epochs == (stop_at > UPDATES), "%lld epochs, stopped at call %lld",
          (long long)s[0].model->epochs, (long long)stop_at);
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1),
          "a fit that was stopped is not where its updates lead");
    for (int k = 0; k < 2; k++) SUCCEEDS(c, s[k].ctx, gm_model_fit(s[k].model, s[k].data, &fit));
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1), "it does not go on as another does");
out:
    for (int k = 0; k < 2; k++) subject_release(&s[k]);
}

/* log p and all that rests on it: stopped at its first call, then made again, it gives what it
 * gives a model that was never asked. */
static void cancel_log_prob(conformance *c)
{
    enum { MANY = 700 }; /* more than one group of rows */
    float *rows = malloc(MANY * MAKER_BITS * sizeof *rows);
    double *value[2] = { malloc(MANY * sizeof(double)), malloc(MANY * sizeof(double)) };
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_nll_options nll = GM_NLL_OPTIONS_INIT;
    gm_anomaly_options scores = GM_ANOMALY_OPTIONS_INIT;
    gm_anomaly *anomaly = NULL;
    gm_result r[2] = { GM_RESULT_INIT, GM_RESULT_INIT };
    stopper user = { 0, 1 };
    subject s[2] = { { 0 } };
    const int64_t label = 1;
    ck_assert(rows && value[0] && value[1]);
    for (int i = 0; i < MANY * MAKER_BITS; i++) rows[i] = (float)(i * 7 % 11 < 4);
    for (int k = 0; k < 2; k++) {
        if (!subject_make(c, &s[k], 1)) goto out;
        if (!CAN(&s[k], LOG_PROB)) goto out;
        if (c->maker->labels) SUCCEEDS(c, s[k].ctx, gm_model_set_labels(s[k].model, &label, 1));
    }
    how.on_progress = stop;
    how.user = &user;
    nll.batch = BATCH;
    nll.on_progress = stop;
    nll.user = &user;
    scores.batch = BATCH;
    scores.on_progress = stop;
    scores.user = &user;
    gm_status status =
        c->verbs->log_prob_estimate(NULL, s[0].model, rows, MANY, &how, value[0], NULL);
    HOLDS(c, status == GM_E_CANCELLED, "log_prob that is stopped is %s", gm_status_name(status));
    HOLDS(c, user.calls == 1, "log_prob made %lld calls, stopped at the first",
          (long long)user.calls);
    user.calls = 0;
    REFUSES(c, s[0].ctx, gm_evaluate_nll(&r[0], s[0].model, s[0].data, &nll), GM_E_CANCELLED,
            "nll: stopped");
    user.calls = 0;
    REFUSES(c, s[0].ctx, gm_anomaly_create(&anomaly, s[0].model, s[0].data, &scores),
            GM_E_CANCELLED, "anomaly: stopped");
    HOLDS(c, !anomaly, "scores that are stopped leave a handle");
    nll.on_progress = NULL;
    for (int k = 0; k < 2; k++) {
        gm_model_seed(s[k].model, 9);
        SUCCEEDS(c, s[k].ctx, gm_model_log_prob(s[k].model, rows, MANY, value[k]));
        SUCCEEDS(c, s[k].ctx, gm_evaluate_nll(&r[k], s[k].model, s[k].data, &nll));
    }
    HOLDS(c, !memcmp(value[0], value[1], MANY * sizeof(double)),
          "log p after one that was stopped is another");
    HOLDS(c, !memcmp(&r[0], &r[1], sizeof r[0]), "nll after one that was stopped is another");
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1), "the model is another");
out:
    for (int k = 0; k < 2; k++) subject_release(&s[k]);
    free(rows);
    free(value[0]);
    free(value[1]);
}

/* Sampling and evaluation that are stopped: the next sample and metric are those of a model that
 * was never asked. */
static void cancel_sample_and_evaluate(conformance *c)
{
    float drawn[2][20 * MAKER_BITS] = { { 0 }, { 0 } };
    gm_metric metrics[2][GM_MAX_METRICS];
    int32_t count[2] = { 0, 0 };
    gm_progress_options how = GM_PROGRESS_OPTIONS_INIT;
    gm_model_evaluate_options evaluate = GM_MODEL_EVALUATE_OPTIONS_INIT;
    stopper user = { 0, 1 };
    subject s[2] = { { 0 } };
    const int64_t label = 1;
    how.on_progress = evaluate.on_progress = stop;
    how.user = evaluate.user = &user;
    evaluate.batch = BATCH;
    for (int k = 0; k < 2; k++) {
        if (!subject_make(c, &s[k], 1)) goto out;
        if (c->maker->labels) SUCCEEDS(c, s[k].ctx, gm_model_set_labels(s[k].model, &label, 1));
    }
    if (CAN(&s[0], SAMPLE)) {
        REFUSES(c, s[0].ctx, gm_model_sample_into(s[0].model, 20, &how, drawn[0]), GM_E_CANCELLED,
                "sample: stopped");
        for (int k = 0; k < 2; k++)
            SUCCEEDS(c, s[k].ctx, gm_model_sample_into(s[k].model, 20, NULL, drawn[k]));
        HOLDS(c, !memcmp(drawn[0], drawn[1], sizeof drawn[0]),
              "samples after some that were stopped are others");
    }
    user.calls = 0;
    if (CAN(&s[0], FIT)) {
        REFUSES(c, s[0].ctx, gm_model_evaluate(s[0].model, s[0].data, &evaluate, NULL, 0, NULL),
                GM_E_CANCELLED, "evaluate: stopped");
        evaluate.on_progress = NULL;
        for (int k = 0; k < 2; k++)
            SUCCEEDS(c, s[k].ctx,
                     gm_model_evaluate(s[k].model, s[k].data, &evaluate, metrics[k], GM_MAX_METRICS,
                                       &count[k]));
        HOLDS(c, count[0] == count[1] && metrics[0][0].value == metrics[1][0].value,
              "metrics after an evaluation that was stopped are others");
    }
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1), "the model is another");
out:
    for (int k = 0; k < 2; k++) subject_release(&s[k]);
}

void check_cancel(conformance *c)
{
    cancel_sample_and_evaluate(c);
    cancel_fit(c, 1);
    cancel_fit(c, 3);
    cancel_fit(c, 4);
    cancel_log_prob(c);
}
