/* check_allocations.c - after the first call with a count, step, sample, log_prob and a score take
 * no memory from the heap; nor does a set of labels of a size that there was. */
#include "conformance.h"

typedef gm_status call(subject *s, float *rows, double *values);

static gm_status step(subject *s, float *rows, double *values)
{
    (void)values;
    return gm_model_step(s->model, rows, CONFORMANCE_ROWS, NULL, 0, NULL);
}

static gm_status sample(subject *s, float *rows, double *values)
{
    float drawn[CONFORMANCE_ROWS * MAKER_BITS];
    (void)rows;
    (void)values;
    return conformance_sample(s->model, CONFORMANCE_ROWS, drawn);
}

static gm_status log_prob(subject *s, float *rows, double *values)
{
    return gm_model_log_prob(s->model, rows, CONFORMANCE_ROWS, values);
}

static gm_status log_prob_estimate(subject *s, float *rows, double *values)
{
    double errors[CONFORMANCE_ROWS];
    return gm_model_log_prob_estimate(NULL, s->model, rows, CONFORMANCE_ROWS, NULL, values, errors);
}

static const struct {
    const char *name;
    int32_t verb;
    call *make;
} calls[] = { { "step", GM_VERB_FIT, step },
              { "sample", GM_VERB_SAMPLE, sample },
              { "log_prob", GM_VERB_LOG_PROB, log_prob },
              { "log_prob_estimate", GM_VERB_LOG_PROB, log_prob_estimate } };
#define CALLS ((int)(sizeof calls / sizeof *calls))

/* Each alone three times, and then all in turn, since they share what they work in. */
void check_allocations(conformance *c)
{
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    double values[CONFORMANCE_ROWS];
    gm_memory_counters before, after;
    subject s;
    conformance_rows(rows);
    if (!subject_make(c, &s, 2) || !subject_set_labels(c, &s, 0)) goto out;
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < CALLS; i++)
            for (int k = 0; k < (round ? 1 : 3); k++) {
                if (!gm_model_supports(s.model, calls[i].verb)) continue;
                gm_context_memory(&before, s.ctx);
                SUCCEEDS(c, s.ctx, calls[i].make(&s, rows, values));
                gm_context_memory(&after, s.ctx);
                HOLDS(c, (!round && !k) || before.allocations == after.allocations,
                      "%s takes memory %lld times at call %d with the same count", calls[i].name,
                      (long long)(after.allocations - before.allocations),
                      round ? round + 3 : k + 1);
            }
out:
    subject_release(&s);
}
