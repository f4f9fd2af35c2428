/* sbn_em.c - sigmoid belief networks that learn by expectation maximisation without a recognition
 * network: the posterior by Markov chains (Neal 1992), or by mean field (Saul, Jaakkola and Jordan
 * 1996). A q, if there is one, learns from what they find. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/loss.h"
#include "gm/ops.h"
#include "models/belief/sbn_net.h"
#include "models/family.h"

#define FIELD_TOLERANCE 1e-9

typedef struct step {
    gm_model *model;
    gm_sbn *sbn;
    const gm_sbn_options *o;
    const gm_batch *batch;
    gm_sbn_graph g;
    int64_t n, k;  /* rows; states of each */
    float *states; /* [n k, hidden] */
} step;

static gm_status no_memory(const step *s)
{
    return gm_model_fail(s->model->ctx, GM_E_NOMEM,
                         "sbn: no memory for the posteriors of %lld rows", (long long)s->n);
}

/* The states as layers on the tape, to stay until the next reset. */
static void record_states(const step *s, gm_var *layers)
{
    layers[0] = gm_sbn_record_rows(s->sbn, s->batch->rows, s->n);
    gm_sbn_record_hidden(s->sbn, s->states, s->n * s->k, layers);
}

/* The loss of q on the states: the mean of - log q(h | x). */
static gm_var record_lesson(const step *s, const gm_var *layers)
{
    return gm_mean(s->model->tape, gm_sbn_record_minus_log_q(s->sbn, s->k, layers, NULL));
}

/* Where the chains begin: draws of q, or of the prior. */
static gm_status begin_chains(const step *s, gm_var *layers)
{
    if (!s->o->recognition) return gm_sbn_record_dream(s->sbn, s->n * s->k, layers);
    layers[0] = gm_sbn_record_rows(s->sbn, s->batch->rows, s->n);
    gm_sbn_record_draws(s->sbn, s->k, layers, NULL);
    return gm_tape_status(s->model->tape);
}

/* Neal 1992: minus log p(x, h) of states that Gibbs sampling led to. As sweeps grow h comes from
 * p(h | x), and the gradient's mean is that of
 * - log p(x) (Fisher's identity). */
static gm_status chains_loss(step *s, gm_var *loss, gm_metrics *metrics)
{
    gm_tape *tape = s->model->tape;
    const int32_t mode = gm_tape_mode(tape);
    const int64_t count = s->n * s->k * s->g.hidden,
                  moving = (gm_sbn_move_room(s->sbn) + 1) / 2 * 2;
    gm_var layers[GM_SBN_MAX_LAYERS + 1];
    gm_status status;
    GM_TRY(begin_chains(s, layers));
    float *room = gm_sbn_take(s->sbn, moving + count);
    if (!room) GM_TRY(no_memory(s));
    s->states = room + moving;
    for (int32_t l = 1; l <= s->g.top; l++) {
        const float *from = gm_value(tape, layers[l]);
        for (int64_t r = 0; r < s->n * s->k; r++)
            memcpy(s->states + r * s->g.hidden + s->g.column[l], from + r * s->g.size[l],
                   (size_t)s->g.size[l] * sizeof *from);
    }
    const int go_on = s->o->persistent && s->batch->index && mode & GM_TAPE_TRAIN;
    if (go_on) {
        GM_TRY(gm_sbn_chains_open(s->sbn, s->batch->total, s->k));
        gm_sbn_chains_resume(s->sbn, s->batch, s->k, s->states);
    }
    GM_TRY(gm_sbn_move(s->sbn, s->batch->rows, s->n, s->k, s->states, s->o->sweeps, room));
    if (go_on) gm_sbn_kept(s->sbn)->states = s->states;
    gm_model_record(s->model, mode);
    record_states(s, layers);
    *loss = gm_neg(tape, gm_mean(tape, gm_sbn_apply_joint(tape, s->sbn, layers, NULL)));
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *loss));
    if (s->o->recognition) *loss = gm_add(tape, *loss, record_lesson(s, layers));
    GM_TRY(gm_tape_status(tape));
out:
    return status;
}

/* sum of slope * weight over one parameter, rows x columns of the matrix of slopes from (row,
 * column) on. */
static gm_var linear_in(const step *s, const char *name, const double *slopes, int64_t row,
                        int64_t column, int64_t columns, double scale, float *block)
{
    gm_tape *tape = s->model->tape;
    gm_param *w = gm_params_find(s->model->params, name);
    const int64_t rows = gm_param_count(w) / columns;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            block[i * columns + j] = (float)(scale * slopes[(row + i) * s->g.units + column + j]);
    gm_var slope = gm_input_copy(tape, gm_param_rank(w), gm_param_shape(w), block);
    return gm_sum(tape, gm_mul(tape, gm_parameter(tape, w), slope));
}

/* A function of p's weights, linear, with these slopes: what the bound is near the weights as they
 * are. */
static gm_var record_linear(const step *s, const double *slopes, double scale, float *block)
{
    gm_tape *tape = s->model->tape;
    const gm_sbn_graph *g = &s->g;
    gm_var sum = GM_NO_VAR;
    char name[48];
    for (int32_t l = g->top; l >= 0; l--) {
        gm_param *b;
        if (l == g->top)
            (void)snprintf(name, sizeof name, "p.top");
        else
            (void)snprintf(name, sizeof name, "p%d.bias", (int)l);
        b = gm_params_find(s->model->params, name);
        for (int64_t i = 0; i < g->size[l]; i++)
            block[i] = (float)(scale * slopes[g->units * g->units + g->place[l] + i]);
        gm_var part = gm_sum(tape, gm_mul(tape, gm_parameter(tape, b),
                                          gm_input_copy(tape, 1, gm_param_shape(b), block)));
        sum = l == g->top ? part : gm_add(tape, sum, part);
        for (int32_t m = l; m <= g->top; m++) {
            if (m == l && !g->lateral) continue;
            if (m > l + 1 && !g->skip) break;
            if (m == l)
                (void)snprintf(name, sizeof name, "p%d.lateral", (int)l);
            else if (m == l + 1)
                (void)snprintf(name, sizeof name, "p%d.weight", (int)l);
            else
                (void)snprintf(name, sizeof name, "p%d.from%d.weight", (int)l, (int)m);
            sum = gm_add(
                tape, sum,
                linear_in(s, name, slopes, g->place[l], g->place[m], g->size[m], scale, block));
        }
    }
    return sum;
}

/* Saul, Jaakkola and Jordan 1996: the bound at its means and xi, which are constants in the
 * gradient. */
static gm_status field_loss(step *s, gm_var *loss, gm_metrics *metrics)
{
    gm_tape *tape = s->model->tape;
    const gm_sbn_graph *g = &s->g;
    const int64_t wide = (int64_t)(sizeof(double) / sizeof(float)),
                  all = g->units * g->units + g->units;
    const int64_t field = gm_sbn_field_room(s->sbn), states = s->n * s->k * g->hidden;
    int64_t most = 1;
    for (int32_t l = 0; l <= g->top; l++) most = g->size[l] > most ? g->size[l] : most;
    const int64_t doubles = all + s->n * g->hidden + s->n;
    const gm_sbn_mean_field_options f = {
        sizeof f, s->o->sweeps, FIELD_TOLERANCE, 0, 0, NULL, NULL
    };
    gm_status status = GM_OK;
    float *room = gm_sbn_take(s->sbn, field + doubles * wide + most * most + states);
    if (!room) GM_TRY(no_memory(s));
    double *slopes = (double *)(void *)(room + field), *means = slopes + all,
           *bounds = means + s->n * g->hidden;
    float *block = (float *)(void *)(bounds + s->n);
    const int learn = !(gm_tape_mode(tape) & GM_TAPE_CONSTANT);
    double bound = 0;
    s->states = block + most * most;
    memset(slopes, 0, (size_t)all * sizeof *slopes);
    GM_TRY(gm_sbn_field(s->sbn, s->batch->rows, s->n, &f, means, bounds, NULL,
                        learn ? slopes : NULL, room));
    for (int64_t r = 0; r < s->n; r++) bound += bounds[r] / (double)s->n;
    gm_metrics_add(metrics, "loss", -bound);
    gm_metrics_add(metrics, "elbo", bound);
    *loss = record_linear(s, slopes, -1 / (double)s->n, block);
    *loss = gm_shift(tape, *loss, -bound - gm_scalar(tape, *loss));
    if (s->o->recognition && learn) {
        gm_var layers[GM_SBN_MAX_LAYERS + 1];
        for (int64_t i = 0; i < states; i++) {
            const int64_t of = i / g->hidden / s->k * g->hidden + i % g->hidden;
            s->states[i] = gm_rng_double(s->model->rng) < means[of];
        }
        record_states(s, layers);
        *loss = gm_add(tape, *loss, record_lesson(s, layers));
    }
    GM_TRY(gm_tape_status(tape));
out:
    return status;
}

gm_status gm_sbn_em_loss(gm_model *model, const gm_sbn_options *o, const gm_batch *batch,
                         gm_var *loss, gm_metrics *metrics)
{
    step s = { .model = model,
               .sbn = gm_sbn_from_model(model),
               .o = o,
               .batch = batch,
               .n = batch->count,
               .k = o->samples };
    gm_sbn_describe(s.sbn, &s.g);
    return o->estimator == GM_SBN_GIBBS_EM ? chains_loss(&s, loss, metrics)
                                           : field_loss(&s, loss, metrics);
}
