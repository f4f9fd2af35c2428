/* dbn_likelihood.c - the likelihood of given rows under a deep belief network: the variational
 * bound of log p(x), and its importance estimate from the same draws. */
#include <math.h>
#include <stdio.h>

#include "gm/loss.h"
#include "gm/ops.h"
#include "models/belief/dbn_rows.h"
#include "models/belief/rbm_part.h"
#include "models/family.h"
#include "models/log_mean.h"
#include "models/numeric.h"

#define DRAWS_AT_ONCE 2048

/* k draws of h_1, ..., h_(L-1) ~ q for each of m rows: for each draw [m k], row by row,
 *     sum_(l < L) log p(h_(l-1) | h_l) - log q(h_l | h_(l-1)) - F_L(h_(L-1)), that is log p(x, h) -
 * log q(h | x) + log Z. */
static gm_var record_weights(gm_dbn *dbn, const float *rows, int64_t m, int64_t k)
{
    gm_tape *tape = gm_dbn_model(dbn)->tape;
    const int32_t stage = gm_dbn_stage(dbn);
    const int64_t shape[2] = { m, gm_dbn_layer_size(dbn, 0) };
    gm_var h = gm_input_array(tape, 2, shape, rows), sum = GM_NO_VAR;
    for (int32_t l = 1; l < stage; l++) {
        gm_rbm *machine = gm_dbn_layer(dbn, l);
        gm_var up = gm_rbm_apply_hidden(tape, machine, h);
        if (l == 1 && k > 1) up = gm_repeat_rows(tape, up, k);
        gm_var above = gm_bernoulli_draw(tape, up);
        gm_var down = gm_rbm_apply_visible(tape, machine, above);
        gm_var part =
            gm_sub(tape, gm_bce_with_logits(tape, up, above), gm_bce_with_logits(tape, down, h));
        sum = l == 1 ? part : gm_add(tape, sum, part);
        h = above;
    }
    gm_var top = gm_neg(tape, gm_rbm_apply_free_energy(tape, gm_dbn_layer(dbn, stage), h));
    return stage == 1 ? top : gm_add(tape, sum, top);
}

/* The draws' log weights of one row so far. */
typedef struct tally {
    gm_log_mean weights;
    double count, mean, squares; /* of the logs, as Welford 1962 */
} tally;

static void add(tally *t, double x)
{
    gm_log_mean_add(&t->weights, x);
    const double step = x - t->mean;
    t->count += 1;
    t->mean += step / t->count;
    t->squares += step * (x - t->mean);
}

/* Calls of one verb: what is common to both. */
typedef struct call {
    gm_dbn *dbn;
    const char *verb;
    const float *rows;
    int64_t n, samples;
    gm_log_prob_options how;
    double log_z;
} call;

static gm_status check(call *c, const gm_log_prob_options *given, const void *out)
{
    gm_context *ctx = gm_dbn_model(c->dbn)->ctx;
    char name[32];
    gm_status status;
    GM_TRY(gm_dbn_check_rows(c->dbn, c->verb, 1, c->rows, c->n, out));
    (void)snprintf(name, sizeof name, "dbn: %s", c->verb);
    GM_TRY(gm_log_prob_options_read(ctx, name, &c->how, given));
    c->samples = c->how.samples ? c->how.samples : gm_dbn_own_samples(c->dbn);
    GM_TRY(gm_rbm_find_log_z(gm_dbn_layer(c->dbn, gm_dbn_stage(c->dbn)), name, &c->log_z));
out:
    return status;
}

/* The tallies of m <= GM_MODEL_GROUP rows from `begin` on. One machine has one weight a row, and it
 * is exact. */
static gm_status weigh(const call *c, int64_t begin, int64_t m, tally *tallies)
{
    gm_model *model = gm_dbn_model(c->dbn);
    const int64_t samples = gm_dbn_stage(c->dbn) == 1 ? 1 : c->samples;
    const int64_t most = m < DRAWS_AT_ONCE ? DRAWS_AT_ONCE / m : 1;
    const float *rows = c->rows + begin * model->row_size;
    gm_status status = GM_OK;
    for (int64_t r = 0; r < m; r++) tallies[r] = (tally){ GM_LOG_MEAN_INIT, 0, 0, 0 };
    for (int64_t done = 0; done < samples;) {
        const int64_t k = samples - done < most ? samples - done : most;
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var w = record_weights(c->dbn, rows, m, k);
        GM_TRY(gm_tape_status(model->tape));
        for (int64_t i = 0; i < m * k; i++)
            add(&tallies[i / k], (double)gm_value(model->tape, w)[i]);
        done += k;
    }
out:
    return status;
}

/* The bound (a mean of logs), or the log of the mean weight, of every row. */
static gm_status estimate(call *c, const gm_log_prob_options *given, int bound, double *out,
                          double *standard_error)
{
    char what[32];
    const int exact = gm_dbn_stage(c->dbn) == 1;
    tally tallies[GM_MODEL_GROUP];
    gm_model *model = gm_dbn_model(c->dbn);
    gm_status status;
    const size_t mark = gm_model_enter(model);
    GM_TRY(check(c, given, out));
    (void)snprintf(what, sizeof what, "dbn: %s", c->verb);
    for (int64_t done = 0, m; (m = gm_model_group(c->n, done)) > 0; done += m) {
        GM_TRY(weigh(c, done, m, tallies));
        for (int64_t r = 0; r < m; r++) {
            const tally *t = &tallies[r];
            double error;
            const double log_mean = gm_log_mean_get(&t->weights, (int64_t)t->count, &error);
            if (bound) error = sqrt(t->squares / (t->count - 1) / t->count);
            out[done + r] = (bound ? t->mean : log_mean) - c->log_z;
            if (standard_error) standard_error[done + r] = exact ? 0 : t->count > 1 ? error : NAN;
        }
        GM_TRY(
            gm_model_progress(model->ctx, what, c->how.on_progress, c->how.user, done + m, c->n));
    }
    GM_TRY(gm_model_check_reals(gm_dbn_model(c->dbn), c->verb, out, c->n, 1));
out:
    gm_model_leave(model, mark);
    return status;
}

gm_status gm_dbn_bound(gm_dbn *dbn, const float *rows, int64_t count,
                       const gm_log_prob_options *options, double *bound, double *standard_error)
{
    if (!dbn) return GM_E_INVALID;
    call c = { dbn, "bound", rows, count, 0, GM_LOG_PROB_OPTIONS_INIT, 0 };
    return estimate(&c, options, 1, bound, standard_error);
}

gm_status gm_dbn_log_prob(gm_dbn *dbn, const float *rows, int64_t count,
                          const gm_log_prob_options *options, double *log_prob,
                          double *standard_error)
{
    if (!dbn) return GM_E_INVALID;
    call c = { dbn, "log_prob", rows, count, 0, GM_LOG_PROB_OPTIONS_INIT, 0 };
    return estimate(&c, options, 0, log_prob, standard_error);
}
