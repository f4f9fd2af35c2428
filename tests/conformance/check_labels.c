/* check_labels.c - whatever takes a dataset takes its labels; those that the host set neither stand
 * in for them nor are lost; and labels matter. */
#include "conformance.h"
#include "gm/anomaly.h"
#include "gm/evaluate.h"
#include "models/family.h"

/* What the verbs that take a dataset say. */
typedef struct found {
    double loss, log_prob[CONFORMANCE_ROWS], sorted[CONFORMANCE_ROWS];
} found;

static int look(conformance *c, subject *s, found *out)
{
    gm_metric metrics[GM_MAX_METRICS];
    gm_nll_options nll = GM_NLL_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT;
    gm_anomaly *scores = NULL;
    int32_t count;
    memset(out, 0, sizeof *out);
    if (CAN(s, FIT)) {
        SUCCEEDS(c, s->ctx,
                 conformance_evaluate(s->model, s->data, 8, 0, metrics, GM_MAX_METRICS, &count));
        out->loss = metrics[0].value;
    }
    if (CAN(s, LOG_PROB)) {
        nll.batch = 8;
        nll.log_prob = out->log_prob;
        SUCCEEDS(c, s->ctx, gm_evaluate_nll(&r, s->model, s->data, &nll));
        SUCCEEDS(c, s->ctx, gm_anomaly_create(&scores, s->model, s->data, NULL));
        memcpy(out->sorted, gm_anomaly_sorted(scores), sizeof out->sorted);
        gm_anomaly_release(scores);
    }
    return 1;
out:
    return 0;
}

/* Labels of the host's: none, other ones, the dataset's own, one for all rows. Nothing that takes a
 * dataset may tell them apart, and they stay. */
static void host_labels(conformance *c)
{
    const int64_t one = 1;
    found first = { 0 }, other = { 0 };
    subject s = { 0 };
    for (int set = 0; set < 4; set++) {
        if (!subject_make(c, &s, 1)) goto out;
        if (set % 3 && !subject_set_labels(c, &s, set == 1)) goto out;
        if (set == 3) SUCCEEDS(c, s.ctx, gm_model_set_labels(s.model, &one, 1));
        if (!look(c, &s, set ? &other : &first)) goto out;
        if (set) {
            HOLDS(c, other.loss <= first.loss && other.loss >= first.loss,
                  "the loss of a dataset is %.9g with labels of the host's, %.9g without",
                  other.loss, first.loss);
            HOLDS(c, !memcmp(&first, &other, sizeof first),
                  "log p of a dataset depends on the host's labels");
            HOLDS(c, s.model->label_count == (set == 3 ? 1 : CONFORMANCE_ROWS),
                  "the host's labels are gone");
            for (int64_t i = 0; i < CONFORMANCE_ROWS && set < 3; i++)
                HOLDS(c,
                      (int64_t)s.model->labels[i] ==
                          (conformance_label(i) + (set == 1)) % MAKER_CLASSES,
                      "label %lld of the host's is %g", (long long)i, (double)s.model->labels[i]);
        }
        subject_release(&s);
    }
out:
    subject_release(&s);
}

/* Row i's log p is that of row i with the dataset's label i. */
static void right_ones(conformance *c)
{
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    double value[CONFORMANCE_ROWS], truth[CONFORMANCE_ROWS];
    int64_t labels[CONFORMANCE_ROWS];
    gm_nll_options nll = GM_NLL_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT;
    gm_anomaly *scores = NULL;
    subject s;
    if (!subject_make(c, &s, 1)) goto out;
    if (!CAN(&s, LOG_PROB)) goto out;
    conformance_rows(rows);
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++) labels[i] = conformance_label(i);
    nll.log_prob = value;
    nll.batch = 8;
    nll.samples = c->maker->likelihood == GM_LIKELIHOOD_IMPORTANCE ? 4000 : 0;
    if (c->maker->truth) {
        SUCCEEDS(c, s.ctx, c->maker->truth(s.model, rows, labels, CONFORMANCE_ROWS, truth));
    } else {
        if (!subject_set_labels(c, &s, 0)) goto out;
        SUCCEEDS(c, s.ctx, gm_model_log_prob(s.model, rows, CONFORMANCE_ROWS, truth));
    }
    if (!subject_set_labels(c, &s, 1)) goto out;
    SUCCEEDS(c, s.ctx, gm_evaluate_nll(&r, s.model, s.data, &nll));
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++)
        HOLDS(c, fabs(value[i] - truth[i]) < (nll.samples ? 0.1 : 1e-6),
              "log p of row %lld of a dataset is %g, expected %g, that with its label",
              (long long)i, value[i], truth[i]);
    if (nll.samples) goto out; /* scores are estimated with fewer */
    SUCCEEDS(c, s.ctx, gm_anomaly_create(&scores, s.model, s.data, NULL));
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++) {
        double nearest = INFINITY;
        for (int64_t k = 0; k < CONFORMANCE_ROWS; k++)
            nearest = fmin(nearest, fabs(gm_anomaly_sorted(scores)[k] - truth[i]));
        HOLDS(c, nearest < 1e-6, "no score of a dataset is %g, that of row %lld with its label",
              truth[i], (long long)i);
    }
out:
    gm_anomaly_release(scores);
    subject_release(&s);
}

/* A fit over one batch of a dataset is a step on those rows with its labels; a step with others is
 * another one. */
static void fit_is_step(conformance *c)
{
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    subject s[3] = { { 0 } };
    size_t bytes;
    conformance_rows(rows);
    fit.epochs = 1;
    fit.batch = CONFORMANCE_ROWS;
    fit.shuffle = 0;
    for (int k = 0; k < 3; k++)
        if (!subject_make(c, &s[k], 1) || !subject_set_labels(c, &s[k], k)) goto out;
    if (!CAN(&s[0], FIT)) goto out;
    SUCCEEDS(c, s[0].ctx, gm_model_step(s[0].model, rows, CONFORMANCE_ROWS, NULL, 0, NULL));
    SUCCEEDS(c, s[1].ctx, gm_model_fit(s[1].model, s[1].data, &fit));
    SUCCEEDS(c, s[2].ctx, gm_model_step(s[2].model, rows, CONFORMANCE_ROWS, NULL, 0, NULL));
    bytes = (size_t)gm_params_elements(s[0].model->params) * sizeof(float);
    float *w[3] = { malloc(bytes), malloc(bytes), malloc(bytes) };
    for (int k = 0; k < 3; k++)
        ck_assert(w[k] && gm_params_read(s[k].model->params, (int64_t)(bytes / sizeof(float)),
                                         w[k]) == GM_OK);
    const int fitted = !memcmp(w[0], w[1], bytes), others = !memcmp(w[0], w[2], bytes);
    for (int k = 0; k < 3; k++) free(w[k]);
    HOLDS(c, fitted, "a fit over one batch is not a step with the dataset's labels");
    HOLDS(c, !others, "a step with other labels has the same result");
out:
    for (int k = 0; k < 3; k++) subject_release(&s[k]);
}

static void matter_to_samples(conformance *c)
{
    float rows[2][MAKER_BITS];
    subject s;
    if (!subject_make(c, &s, 1)) goto out;
    if (!CAN(&s, SAMPLE)) goto out;
    for (int64_t label = 0; label < 2; label++) {
        SUCCEEDS(c, s.ctx, gm_model_set_labels(s.model, &label, 1));
        gm_model_seed(s.model, 3);
        double mean[MAKER_BITS] = { 0 };
        float many[200 * MAKER_BITS];
        for (int k = 0; k < 2; k++) /* once more: labels stay set */
            SUCCEEDS(c, s.ctx, conformance_sample(s.model, 200, many));
        for (int i = 0; i < 200 * MAKER_BITS; i++) mean[i % MAKER_BITS] += (double)many[i];
        for (int k = 0; k < MAKER_BITS; k++) rows[label][k] = (float)mean[k];
    }
    HOLDS(c, memcmp(rows[0], rows[1], sizeof rows[0]), "samples of two labels are the same");
out:
    subject_release(&s);
}

void check_labels(conformance *c)
{
    if (!c->maker->labels) return;
    host_labels(c);
    right_ones(c);
    fit_is_step(c);
    matter_to_samples(c);
}
