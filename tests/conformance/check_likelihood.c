/* check_likelihood.c - log p is what the model says it is: exact, an estimate from samples, exact
 * but for a given log Z; its values are those of the enumerated distribution, and its errors hold.
 */
#include "conformance.h"
#include "models/family.h"

static int same_stream(const gm_rng_state *a, const gm_rng *rng)
{
    gm_rng_state b;
    gm_rng_save(&b, rng);
    return a->key == b.key && a->stream == b.stream && a->position == b.position &&
           a->splits == b.splits;
}

/* Values that use no samples: the same each time, with errors of 0, and no random number. */
static void fixed(conformance *c, subject *s, const float *rows, const int64_t *labels)
{
    double log_p[MAKER_STATES], again[MAKER_STATES], error[MAKER_STATES], truth[MAKER_STATES];
    double sum = 0;
    gm_likelihood told = GM_LIKELIHOOD_INIT;
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_rng_state before;
    gm_rng_save(&before, s->model->rng);
    SUCCEEDS(c, s->ctx,
             c->verbs->log_prob_estimate(&told, s->model, rows, MAKER_STATES, NULL, log_p, error));
    SUCCEEDS(c, s->ctx, gm_model_log_prob(s->model, rows, MAKER_STATES, again));
    HOLDS(c, told.samples == 0, "samples is %lld, expected 0", (long long)told.samples);
    HOLDS(c, !memcmp(log_p, again, sizeof log_p), "log p differs from one call to the next");
    HOLDS(c, same_stream(&before, s->model->rng), "log p took random numbers");
    for (int i = 0; i < MAKER_STATES; i++)
        HOLDS(c, error[i] <= 0 && error[i] >= 0, "error of row %d is %g, expected 0", i, error[i]);
    if (c->maker->truth) {
        SUCCEEDS(c, s->ctx, c->maker->truth(s->model, rows, labels, MAKER_STATES, truth));
        for (int i = 0; i < MAKER_STATES; i++)
            HOLDS(c, fabs(log_p[i] - truth[i]) < 2e-5, "log p of row %d is %.9g, expected %.9g", i,
                  log_p[i], truth[i]);
    }
    for (int i = 0; i < MAKER_STATES; i++) sum += exp(log_p[i]);
    if (c->maker->likelihood == GM_LIKELIHOOD_EXACT) {
        HOLDS(c, fabs(sum - 1) < 2e-5, "the probabilities sum to 1 + %g", sum - 1);
        HOLDS(c, told.common_error <= 0 && told.common_error >= 0, "common_error is %g, expected 0",
              told.common_error);
    } else {
        HOLDS(c, told.common_error > 0, "common_error is %g, expected above 0", told.common_error);
    }
    if (gm_model_log_prob_estimate(NULL, s->model, rows, 1, NULL, log_p, NULL) == GM_OK) {
        how.samples = 7;
        const gm_status status =
            gm_model_log_prob_estimate(&told, s->model, rows, MAKER_STATES, &how, again, NULL);
        HOLDS(c, status == GM_OK || status == GM_E_UNSUPPORTED, "with samples: %s",
              gm_status_name(status));
    }
out:;
}

/* exp of an estimate is unbiased: its mean over REPEATS calls comes near the true p, by the error
 * that those calls show; and the error that is told is of that size. */
#define REPEATS 40
static void estimated(conformance *c, subject *s, const float *rows, const int64_t *labels)
{
    double log_p[MAKER_STATES], error[MAKER_STATES], truth[MAKER_STATES];
    double mean[MAKER_STATES] = { 0 }, squares[MAKER_STATES] = { 0 }, said = 0, found = 0;
    gm_likelihood told = GM_LIKELIHOOD_INIT;
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    int differ = 0;
    SUCCEEDS(c, s->ctx, c->maker->truth(s->model, rows, labels, MAKER_STATES, truth));
    for (int r = 0; r < REPEATS; r++) {
        SUCCEEDS(
            c, s->ctx,
            c->verbs->log_prob_estimate(&told, s->model, rows, MAKER_STATES, NULL, log_p, error));
        for (int i = 0; i < MAKER_STATES; i++) {
            const double p = exp(log_p[i] - truth[i]), away = p - mean[i];
            differ |= r && fabs(away) > 1e-9;
            mean[i] += away / (r + 1);
            squares[i] += away * (p - mean[i]);
            said += error[i] * error[i];
            HOLDS(c, error[i] > 0, "error of row %d is %g, expected above 0", i, error[i]);
        }
    }
    HOLDS(c, told.samples == 50, "samples is %lld, expected 50", (long long)told.samples);
    HOLDS(c, differ, "an estimate is the same each time");
    for (int i = 0; i < MAKER_STATES; i++) {
        const double deviation = sqrt(squares[i] / (REPEATS - 1));
        found += deviation * deviation;
        /* Student's t of 39 degrees of freedom: its tail is wider than the normal's. */
        HOLDS(c,
              fabs(mean[i] - 1) <
                  1.6 * support_bound(MAKER_STATES * 12) * deviation / sqrt(REPEATS) + 1e-5,
              "p of row %d is %g times the true one, error %g", i, mean[i],
              deviation / sqrt(REPEATS));
    }
    said /= REPEATS;
    HOLDS(c, said > found / 3 && said < found * 3, "mean square of errors is %g, of deviations %g",
          said, found);
    how.samples = 1;
    SUCCEEDS(c, s->ctx,
             c->verbs->log_prob_estimate(&told, s->model, rows, MAKER_STATES, &how, log_p, error));
    HOLDS(c, told.samples == 1 && isnan(error[0]), "samples is %lld, error %g, expected 1, nan",
          (long long)told.samples, error[0]);
out:;
}

void check_likelihood(conformance *c)
{
    float rows[MAKER_STATES * MAKER_BITS];
    int64_t labels[MAKER_STATES];
    gm_likelihood told = GM_LIKELIHOOD_INIT;
    subject s;
    if (!subject_make(c, &s, 1)) goto out;
    HOLDS(c, CAN(&s, LOG_PROB) == (c->maker->likelihood >= 0), "has log_prob: %d",
          CAN(&s, LOG_PROB));
    if (!CAN(&s, LOG_PROB)) {
        REFUSES(c, s.ctx, gm_model_likelihood(&told, s.model), GM_E_UNSUPPORTED, "log_prob");
        goto out;
    }
    maker_states(rows);
    for (int64_t label = 0; label < (c->maker->labels ? MAKER_CLASSES : 1); label++) {
        for (int i = 0; i < MAKER_STATES; i++) labels[i] = label;
        if (c->maker->labels)
            SUCCEEDS(c, s.ctx, gm_model_set_labels(s.model, labels, MAKER_STATES));
        SUCCEEDS(c, s.ctx, gm_model_likelihood(&told, s.model));
        HOLDS(c, told.kind == c->maker->likelihood, "likelihood is %s, expected %s",
              gm_likelihood_name(told.kind), gm_likelihood_name(c->maker->likelihood));
        (c->maker->likelihood == GM_LIKELIHOOD_IMPORTANCE ? estimated : fixed)(
            c, &s, rows, c->maker->labels ? labels : NULL);
    }
out:
    subject_release(&s);
}
