/* check_stream.c - evaluation leaves the model's random stream, and all else of it, as it was. */
#include "conformance.h"
#include "gm/anomaly.h"
#include "gm/evaluate.h"
#include "models/family.h"

/* Everything that evaluates: metrics, the mean log p, and anomaly scores. */
static int evaluate(conformance *c, subject *s)
{
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    double log_p[CONFORMANCE_ROWS], quantile[CONFORMANCE_ROWS];
    gm_metric metrics[GM_MAX_METRICS];
    gm_nll_options nll = GM_NLL_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT;
    gm_anomaly *scores = NULL;
    int32_t count;
    conformance_rows(rows);
    if (CAN(s, FIT))
        SUCCEEDS(c, s->ctx,
                 c->verbs->evaluate(s->model, s->data, 8, 0, metrics, GM_MAX_METRICS, &count));
    if (CAN(s, LOG_PROB)) {
        nll.batch = 8;
        SUCCEEDS(c, s->ctx, gm_evaluate_nll(&r, s->model, s->data, &nll));
        SUCCEEDS(c, s->ctx, gm_anomaly_create(&scores, s->model, s->data, NULL));
        SUCCEEDS(c, s->ctx, gm_anomaly_score(scores, rows, CONFORMANCE_ROWS, log_p, quantile));
    }
    gm_anomaly_release(scores);
    return 1;
out:
    gm_anomaly_release(scores);
    return 0;
}

static void leaves_all(conformance *c)
{
    subject s;
    size_t size[2] = { 0, 0 };
    unsigned char *before = NULL, *after = NULL;
    if (!subject_make(c, &s, 1) || !subject_set_labels(c, &s, 0)) goto out;
    before = conformance_bytes(c, s.model, 1, &size[0]);
    if (!before || !evaluate(c, &s)) goto out;
    after = conformance_bytes(c, s.model, 1, &size[1]);
    HOLDS(c, after && size[0] == size[1] && !memcmp(before, after, size[0]),
          "evaluation changed the model or its random stream");
out:
    free(before);
    free(after);
    subject_release(&s);
}

/* The same fit with a validation set and without it, and with evaluations between two fits. */
static void fit_with_validation(conformance *c)
{
    subject s[3] = { { 0 } };
    for (int k = 0; k < 3; k++) {
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        if (!subject_make(c, &s[k], 1) || !subject_set_labels(c, &s[k], 1)) goto out;
        if (!CAN(&s[k], FIT)) goto out;
        fit.epochs = k == 2 ? 1 : 2;
        fit.batch = 8;
        if (k == 1) fit.validation = s[k].data;
        SUCCEEDS(c, s[k].ctx, gm_model_fit(s[k].model, s[k].data, &fit));
        if (k < 2) continue;
        if (!evaluate(c, &s[k])) goto out;
        SUCCEEDS(c, s[k].ctx, gm_model_fit(s[k].model, s[k].data, &fit));
    }
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1), "validation changed what a fit does");
    HOLDS(c, conformance_same(c, s[0].model, s[2].model, 1), "evaluation changed what a fit does");
out:
    for (int k = 0; k < 3; k++) subject_release(&s[k]);
}

void check_stream(conformance *c)
{
    leaves_all(c);
    fit_with_validation(c);
}
