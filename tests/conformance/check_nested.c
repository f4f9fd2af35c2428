/* check_nested.c - a progress callback calls the model that is at work: samples, log p, metrics,
 * other labels. The call that is under way gives what it gives without that, told as often. */
#include "conformance.h"
#include "gm/anomaly.h"
#include "gm/autoregressive.h"
#include "gm/evaluate.h"
#include "models/family.h"

#define MANY 530 /* more than one group of rows */
#define MORE 600 /* than that */
#define BATCH 8

typedef struct nested {
    conformance *c;
    subject *s;
    int64_t calls;
    int on; /* 0: only counts */
} nested;

static float rows_inside[MORE * MAKER_BITS], drawn_inside[MORE * MAKER_BITS];
static double log_p_inside[MORE];

/* Verbs on many rows and on one, with labels of their own. */
static void call_verbs(conformance *c, subject *s)
{
    int64_t labels[MORE];
    for (int64_t i = 0; i < MORE; i++) labels[i] = 2 - i % 2;
    for (int64_t i = 0; i < MORE * MAKER_BITS; i++) rows_inside[i] = (float)(i * 5 % 13 < 6);
    for (int64_t count = MORE; count > 0; count -= MORE - 1) {
        if (c->maker->labels) SUCCEEDS(c, s->ctx, gm_model_set_labels(s->model, labels, count));
        if (CAN(s, LOG_PROB))
            SUCCEEDS(c, s->ctx, gm_model_log_prob(s->model, rows_inside, count, log_p_inside));
        if (CAN(s, SAMPLE)) SUCCEEDS(c, s->ctx, conformance_sample(s->model, count, drawn_inside));
    }
    if (CAN(s, FIT))
        SUCCEEDS(c, s->ctx, conformance_evaluate(s->model, s->data, 3, 7, NULL, 0, NULL));
out:;
}

static int32_t call_back(void *user, int64_t done, int64_t total)
{
    nested *n = user;
    gm_rng_state state;
    (void)done;
    (void)total;
    if (n->on && (n->calls < 3 || n->calls % 7 == 0)) {
        gm_rng_save(&state, n->s->model->rng);
        call_verbs(n->c, n->s);
        gm_rng_restore(n->s->model->rng, &state);
    }
    n->calls++;
    return 0;
}

/* What one model gives, with calls inside or without. */
typedef struct results {
    float sample[MANY * MAKER_BITS], given[MANY * MAKER_BITS], imputed[20 * MAKER_BITS];
    double log_prob[MANY], error[MANY], log_given[MANY], marginal[MANY];
    gm_metric metrics[GM_MAX_METRICS];
    int32_t metric_count;
    double nll, scores[CONFORMANCE_ROWS];
    int64_t calls[8];
} results;

static int set_label(conformance *c, subject *s)
{
    int64_t labels[MANY];
    for (int64_t i = 0; i < MANY; i++) labels[i] = i % MAKER_CLASSES;
    if (c->maker->labels) SUCCEEDS(c, s->ctx, gm_model_set_labels(s->model, labels, MANY));
    return 1;
out:
    return 0;
}

static void answer(conformance *c, subject *s, nested *n, const float *rows, results *r)
{
    uint8_t known[MANY * MAKER_BITS];
    int64_t order[MAKER_BITS];
    const gm_progress_options how = { sizeof how, call_back, n };
    gm_impute_options impute = GM_IMPUTE_OPTIONS_INIT;
    impute.draws = 5;
    impute.on_progress = call_back;
    impute.user = n;
    memcpy(r->given, rows, sizeof r->given);
    memcpy(r->imputed, rows, sizeof r->imputed);
    SUCCEEDS(c, s->ctx, gm_autoregressive_order(s->model, order));
    for (int64_t i = 0; i < MANY; i++)
        for (int64_t k = 0; k < MAKER_BITS; k++) known[i * MAKER_BITS + order[k]] = k < i % 4;
    if (!set_label(c, s)) goto out;
    n->calls = 0;
    SUCCEEDS(c, s->ctx,
             gm_autoregressive_sample_given(s->model, known, MANY, &how, r->given, r->log_given));
    r->calls[3] = n->calls;
    if (!set_label(c, s)) goto out;
    n->calls = 0;
    SUCCEEDS(c, s->ctx,
             gm_autoregressive_log_marginal(s->model, rows, known, MANY, &how, r->marginal));
    r->calls[4] = n->calls;
    n->calls = 0;
    if (c->maker->labels) SUCCEEDS(c, s->ctx, gm_model_set_labels(s->model, &(int64_t){ 1 }, 1));
    SUCCEEDS(c, s->ctx, gm_autoregressive_impute(s->model, known, 20, &impute, r->imputed));
    r->calls[5] = n->calls;
out:;
}

static void measure(conformance *c, subject *s, nested *n, results *r)
{
    gm_nll_options nll = GM_NLL_OPTIONS_INIT;
    gm_anomaly_options scores = GM_ANOMALY_OPTIONS_INIT;
    gm_result result = GM_RESULT_INIT;
    gm_anomaly *anomaly = NULL;
    nll.batch = scores.batch = BATCH;
    nll.on_progress = scores.on_progress = call_back;
    nll.user = scores.user = n;
    n->calls = 0;
    SUCCEEDS(c, s->ctx, gm_evaluate_nll(&result, s->model, s->data, &nll));
    r->nll = result.value;
    SUCCEEDS(c, s->ctx, gm_anomaly_create(&anomaly, s->model, s->data, &scores));
    memcpy(r->scores, gm_anomaly_sorted(anomaly), sizeof r->scores);
    r->calls[7] = n->calls;
out:
    gm_anomaly_release(anomaly);
}

static void ask(conformance *c, subject *s, nested *n, const float *rows, results *r)
{
    const gm_progress_options how = { sizeof how, call_back, n };
    const gm_log_prob_options estimate = { sizeof estimate, 0, call_back, n };
    const gm_model_evaluate_options evaluate = { sizeof evaluate, BATCH, 0, call_back, n };
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    if (!set_label(c, s)) goto out;
    if (CAN(s, SAMPLE)) SUCCEEDS(c, s->ctx, gm_model_sample_into(s->model, MANY, &how, r->sample));
    r->calls[0] = n->calls;
    n->calls = 0;
    if (!set_label(c, s)) goto out;
    if (CAN(s, LOG_PROB))
        SUCCEEDS(c, s->ctx,
                 gm_model_log_prob_estimate(NULL, s->model, rows, MANY, &estimate, r->log_prob,
                                            r->error));
    r->calls[1] = n->calls;
    n->calls = 0;
    if (CAN(s, FIT))
        SUCCEEDS(c, s->ctx,
                 gm_model_evaluate(s->model, s->data, &evaluate, r->metrics, GM_MAX_METRICS,
                                   &r->metric_count));
    r->calls[2] = n->calls;
    if (s->model->family->autoregressive) answer(c, s, n, rows, r);
    if (CAN(s, LOG_PROB)) measure(c, s, n, r);
    n->calls = 0;
    fit.epochs = 2;
    fit.batch = BATCH;
    fit.on_progress = call_back;
    fit.user = n;
    if (CAN(s, FIT)) SUCCEEDS(c, s->ctx, gm_model_fit(s->model, s->data, &fit));
    r->calls[6] = n->calls;
out:;
}

void check_nested(conformance *c)
{
    subject s[2] = { { 0 } };
    float *rows = calloc(MANY * MAKER_BITS, sizeof *rows);
    results *r = calloc(2, sizeof *r);
    ck_assert(rows && r);
    for (int i = 0; i < MANY * MAKER_BITS; i++) rows[i] = (float)(i * 7 % 11 < 4);
    for (int k = 0; k < 2; k++) {
        nested n = { c, &s[k], 0, k };
        if (!subject_make(c, &s[k], 1)) goto out;
        ask(c, &s[k], &n, rows, &r[k]);
    }
#define AGREES(member)                                                                             \
    HOLDS(c, !memcmp(&r[0].member, &r[1].member, sizeof r[0].member),                              \
          #member " is another with calls inside")
    AGREES(calls);
    AGREES(sample);
    AGREES(log_prob);
    AGREES(error);
    AGREES(metrics);
    AGREES(given);
    AGREES(log_given);
    AGREES(marginal);
    AGREES(imputed);
    AGREES(nll);
    AGREES(scores);
    if (c->maker->labels) /* labels are the last ones set: those of the calls inside */
        for (int k = 0; k < 2; k++) subject_set_labels(c, &s[k], 0);
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1),
          "a fit with calls inside leads elsewhere");
out:
    for (int k = 0; k < 2; k++) subject_release(&s[k]);
    free(rows);
    free(r);
}
