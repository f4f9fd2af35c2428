/* sbn_gibbs.c - Gibbs sampling of the hidden units of a sigmoid belief network, given its visible
 * ones (Neal 1992). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/loss.h"
#include "gm/ops.h"
#include "models/belief/bits.h"
#include "models/belief/sbn_net.h"
#include "models/frozen.h"
#include "models/numeric.h"

#define MOST_LOG 400.0      /* |weights| beyond that decide all the same */
#define TAME 40.0           /* up to here four factors and 1e100 are far from overflow */
#define SMALL 1e-250        /* p and q above it are followed by factors, else by exponentials */
#define CHAINS_AT_ONCE 2048 /* on the tape */
#define DRAWS_AT_ONCE 1.6e7 /* bytes */
#define MOST_VALUES 1e13    /* of any array asked for */

/* The net as the sweeps need it: for each hidden unit its possible children, with w, e^w and e^-w.
 * Of the present chain: states s, inputs a, p = sigmoid(a) and q = 1 - p, each right to its last
 * digit. */
typedef struct sampler {
    gm_sbn *sbn;
    gm_sbn_graph g;
    double *w, *up, *down; /* of all connections, by the parent unit */
    double *s, *a, *p, *q, *chance;
    float *weight, *bias;              /* gm_sbn_dense */
    int tame;                          /* no weight is beyond TAME */
    int tape;                          /* tanh units: by the joint on the tape */
    gm_progress_callback *on_progress; /* counts chains */
    void *user;
    int64_t done, total;
} sampler;

/* What becomes of the states: those after burn_in, every thin-th. */
typedef struct collector {
    int64_t burn_in, samples, thin;
    uint8_t *draws; /* [states, samples, hidden]; may be NULL if samples is 0 */
    double *sums;   /* [states, hidden] of p(s_j = 1 | the rest) */
} collector;

static double logistic(double a)
{
    return 1 / (1 + exp(-a));
}

int64_t gm_sbn_move_room(const gm_sbn *sbn)
{
    gm_sbn_graph g;
    gm_sbn_describe(sbn, &g);
    const int64_t doubles =
        gm_sbn_has_tanh(sbn) ? g.hidden : 3 * gm_sbn_edges(&g) + 4 * g.units + g.hidden;
    const int64_t floats = gm_sbn_has_tanh(sbn) ? 0 : g.units * g.units + g.units;
    return doubles * (int64_t)(sizeof(double) / sizeof(float)) + floats;
}

static gm_status open_sampler(sampler *w, gm_sbn *sbn, float *room)
{
    double *at = (double *)(void *)room;
    gm_status status = GM_OK;
    memset(w, 0, sizeof *w);
    w->sbn = sbn;
    w->tape = gm_sbn_has_tanh(sbn);
    gm_sbn_describe(sbn, &w->g);
    w->chance = at;
    at += w->g.hidden;
    if (w->tape) return GM_OK;
    const int64_t count = gm_sbn_edges(&w->g), units = w->g.units;
    double **const parts[] = { &w->s, &w->a, &w->p, &w->q };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++, at += units) *parts[i] = at;
    w->w = at;
    w->up = at + count;
    w->down = at + 2 * count;
    w->weight = (float *)(void *)(at + 3 * count);
    w->bias = w->weight + units * units;
    GM_TRY(gm_sbn_finite(sbn, "gibbs", w->weight, w->bias));
    int64_t edge = 0, j = 0;
    w->tame = 1;
    for (int32_t l = w->g.top; l >= 1; l--)
        for (int64_t i = 0; i < w->g.size[l]; i++, j++) {
            const gm_sbn_range c = gm_sbn_children(&w->g, l, i);
            for (int64_t child = c.from; child < c.to; child++, edge++) {
                w->w[edge] = (double)w->weight[child * units + j];
                const double bounded = fmax(-MOST_LOG, fmin(MOST_LOG, w->w[edge]));
                w->tame &= fabs(bounded) <= TAME;
                w->up[edge] = exp(bounded);
                w->down[edge] = exp(-bounded);
            }
        }
out:
    return status;
}

static void set_input(sampler *w, int64_t i, double a)
{
    const double e = exp(-fabs(a)), likely = 1 / (1 + e), unlikely = e / (1 + e);
    w->a[i] = a;
    w->p[i] = a > 0 ? likely : unlikely;
    w->q[i] = a > 0 ? unlikely : likely;
}

/* Units in the order of the matrix, from rows that have layer 1 first; and back. */
static void take_states(sampler *w, const float *row, const float *hidden)
{
    const gm_sbn_graph *g = &w->g;
    for (int32_t l = 0; l <= g->top; l++)
        for (int64_t i = 0; i < g->size[l]; i++)
            w->s[g->place[l] + i] = (double)(l ? hidden[g->column[l] + i] : row[i]);
    for (int64_t i = 0; i < g->units; i++) {
        double a = (double)w->bias[i];
        for (int64_t j = 0; j < i; j++)
            if (w->s[j] > 0) a += (double)w->weight[i * g->units + j];
        set_input(w, i, a);
    }
}

static void give_states(const sampler *w, float *hidden)
{
    const gm_sbn_graph *g = &w->g;
    for (int32_t l = 1; l <= g->top; l++)
        for (int64_t i = 0; i < g->size[l]; i++)
            hidden[g->column[l] + i] = (float)w->s[g->place[l] + i];
}

/* Log odds of unit j, whose children are c and its connections edge, edge + 1, ... With (1 + e^(a +
 * w)) / (1 + e^a) = q + p e^w no logarithm is needed but that of the product over the children. */
static double log_odds(const sampler *w, int64_t j, gm_sbn_range c, int64_t edge)
{
    const int on = w->s[j] > 0;
    const int64_t n = c.to - c.from;
    const double *e = (on ? w->down : w->up) + edge, *weight = w->w + edge;
    const double *s = w->s + c.from, *p = w->p + c.from, *q = w->q + c.from;
    double slope = w->a[j], product = 1, log_sum = 0;
    for (int64_t i = 0; i < n;) {
        if (w->tame && i + 4 <= n) {
            slope += (s[i] * weight[i] + s[i + 1] * weight[i + 1]) +
                     (s[i + 2] * weight[i + 2] + s[i + 3] * weight[i + 3]);
            product *= ((q[i] + p[i] * e[i]) * (q[i + 1] + p[i + 1] * e[i + 1])) *
                       ((q[i + 2] + p[i + 2] * e[i + 2]) * (q[i + 3] + p[i + 3] * e[i + 3]));
            i += 4;
        } else {
            slope += s[i] * weight[i];
            product *= q[i] + p[i] * e[i];
            i++;
        }
        if (product > 1e-100 && product < 1e100) continue;
        log_sum += log(product);
        product = 1;
    }
    log_sum += log(product);
    return on ? slope + log_sum : slope - log_sum;
}

/* The children after the unit flipped: p' = p e^w / (q + p e^w), q' = q / (q + p e^w). */
static void update_children(sampler *w, gm_sbn_range c, int64_t edge, double change)
{
    const double *e = (change > 0 ? w->up : w->down) + edge, *weight = w->w + edge;
    for (int64_t i = c.from, k = 0; i < c.to; i++, k++) {
        const double up = w->p[i] * e[k], whole = 1 / (w->q[i] + up), p = up * whole,
                     q = w->q[i] * whole;
        const double a = w->a[i] + change * weight[k];
        if (w->tame && p > SMALL && q > SMALL) {
            w->a[i] = a;
            w->p[i] = p;
            w->q[i] = q;
        } else {
            set_input(w, i, a);
        }
    }
}

/* One sweep of the chain at hand. */
static void sweep(sampler *w, gm_rng *rng)
{
    const gm_sbn_graph *g = &w->g;
    int64_t edge = 0, j = 0;
    for (int32_t l = g->top; l >= 1; l--)
        for (int64_t i = 0; i < g->size[l]; i++, j++) {
            const gm_sbn_range c = gm_sbn_children(g, l, i);
            const double chance = logistic(log_odds(w, j, c, edge));
            const double bit = gm_rng_double(rng) < chance ? 1 : 0, change = bit - w->s[j];
            w->chance[g->column[l] + i] = chance;
            w->s[j] = bit;
            if (change != 0) update_children(w, c, edge, change);
            edge += c.to - c.from;
        }
}

/* What the collector takes of sweep t: the place of that sample, or -1. */
static int64_t sample_of(const collector *k, int64_t t)
{
    const int64_t past = t - k->burn_in + 1;
    return past > 0 && past % k->thin == 0 && past / k->thin <= k->samples ? past / k->thin - 1
                                                                           : -1;
}

static void keep(const collector *k, int64_t which, int64_t sample, int64_t hidden,
                 const float *state, const double *chance)
{
    uint8_t *to = k->draws + (which * k->samples + sample) * hidden;
    for (int64_t j = 0; j < hidden; j++) {
        to[j] = state[j] > 0;
        k->sums[which * hidden + j] += chance[j];
    }
}

/* So many more chains have made all their sweeps. */
static gm_status progress(sampler *w, int64_t chains)
{
    w->done += chains;
    return gm_model_progress(gm_sbn_model(w->sbn)->ctx, "sbn: gibbs", w->on_progress, w->user,
                             w->done, w->total);
}

/* States [n, chains, hidden], chain after chain. */
static gm_status run_plain(sampler *w, const float *rows, int64_t n, int64_t chains, float *states,
                           const collector *k)
{
    gm_status status = GM_OK;
    gm_rng *rng = gm_sbn_model(w->sbn)->rng;
    const int64_t hidden = w->g.hidden, sweeps = k->burn_in + k->samples * k->thin;
    for (int64_t c = 0; c < n * chains; c++) {
        float *state = states + c * hidden;
        take_states(w, rows + c / chains * w->g.size[0], state);
        for (int64_t t = 0; t < sweeps; t++) {
            const int64_t sample = sample_of(k, t);
            sweep(w, rng);
            if (sample < 0) continue;
            give_states(w, state);
            keep(k, c, sample, hidden, state, w->chance);
        }
        give_states(w, state);
        GM_TRY(progress(w, 1));
    }
out:
    return status;
}

static gm_status joint(sampler *w, const float *rows, int64_t n, int64_t chains,
                       const float *states, const float **out)
{
    gm_model *model = gm_sbn_model(w->sbn);
    gm_var layers[GM_SBN_MAX_LAYERS + 1];
    gm_status status;
    gm_model_record(model, GM_TAPE_CONSTANT);
    layers[0] = gm_sbn_record_rows(w->sbn, rows, n);
    gm_sbn_record_hidden(w->sbn, states, n * chains, layers);
    gm_var f = gm_sbn_apply_joint(model->tape, w->sbn, layers, NULL);
    GM_TRY(gm_tape_status(model->tape));
    *out = gm_value(model->tape, f);
out:
    return status;
}

/* The same for nets with tanh units, all chains at once: both states of a unit are compared by log
 * p(x, h). Needs n chains <= CHAINS_AT_ONCE. */
static gm_status run_tape(sampler *w, const float *rows, int64_t n, int64_t chains, float *states,
                          const collector *k)
{
    gm_rng *rng = gm_sbn_model(w->sbn)->rng;
    const int64_t hidden = w->g.hidden, many = n * chains,
                  sweeps = k->burn_in + k->samples * k->thin;
    gm_status status = GM_OK;
    double now[CHAINS_AT_ONCE];
    const float *f;
    GM_TRY(joint(w, rows, n, chains, states, &f));
    for (int64_t c = 0; c < many; c++) now[c] = (double)f[c];
    for (int64_t t = 0; t < sweeps; t++) {
        const int64_t sample = sample_of(k, t);
        for (int64_t unit = hidden - 1; unit >= 0; unit--) {
            for (int64_t c = 0; c < many; c++)
                states[c * hidden + unit] = 1 - states[c * hidden + unit];
            GM_TRY(joint(w, rows, n, chains, states, &f));
            for (int64_t c = 0; c < many; c++) {
                float *bit = states + c * hidden + unit;
                const double other =
                    logistic((double)f[c] - now[c]); /* of the state after the flip */
                if (sample >= 0) k->sums[c * hidden + unit] += *bit > 0 ? other : 1 - other;
                if (gm_rng_double(rng) < other)
                    now[c] = (double)f[c];
                else
                    *bit = 1 - *bit;
            }
        }
        for (int64_t i = 0; sample >= 0 && i < many * hidden; i++)
            k->draws[(i / hidden * k->samples + sample) * hidden + i % hidden] = states[i] > 0;
    }
    GM_TRY(progress(w, many));
out:
    return status;
}

gm_status gm_sbn_move(gm_sbn *sbn, const float *rows, int64_t n, int64_t chains, float *states,
                      int64_t sweeps, float *room)
{
    const collector k = { sweeps, 0, 1, NULL, NULL };
    const int64_t most = chains < CHAINS_AT_ONCE ? CHAINS_AT_ONCE / chains : 1;
    sampler w;
    gm_status status;
    GM_TRY(open_sampler(&w, sbn, room));
    if (!w.tape) GM_TRY(run_plain(&w, rows, n, chains, states, &k));
    for (int64_t done = 0; w.tape && done < n;) {
        const int64_t m = n - done < most ? n - done : most;
        float *own = states + done * chains * w.g.hidden;
        for (int64_t c = 0;
             c < chains;) { /* more chains than go at once: a row's are many, in turns */
            const int64_t some = m > 1 || chains - c < CHAINS_AT_ONCE ? chains - c : CHAINS_AT_ONCE;
            GM_TRY(run_tape(&w, rows + done * w.g.size[0], m, some, own + c * w.g.hidden, &k));
            c += some;
        }
        done += m;
    }
out:
    return status;
}

/* --- the public call --- */

typedef struct run {
    gm_sbn *sbn;
    gm_context *ctx;
    gm_sbn_gibbs_options o;
    const float *rows;
    int64_t n, hidden, group; /* rows at a time */
    float *states;            /* the caller's, or scratch */
    collector k;
    size_t sum_bytes;
    gm_sbn_gibbs_result result;
} run;

static gm_status check_options(gm_context *ctx, const gm_sbn_gibbs_options *o)
{
    const gm_model_range whole[] = {
        { "chains", o->chains, 2, 10000 },
        { "burn_in", o->burn_in, 0, INT64_MAX / 4 },
        { "samples", o->samples, 4, INT64_C(1) << 31 },
        { "thin", o->thin, 1, INT64_C(1) << 30 },
        { "start", o->start, GM_SBN_INIT_RECOGNITION, GM_SBN_INIT_STATES },
    };
    return gm_model_check_ranges(ctx, "sbn: gibbs", whole, sizeof whole / sizeof *whole);
}

static gm_status check(run *r, const gm_sbn_gibbs_result *out, const double *means)
{
    const gm_sbn_gibbs_options *o = &r->o;
    gm_status status;
    if (!out || !gm_model_size_fits(out->size, sizeof *out))
        GM_TRY(gm_model_fail(r->ctx, GM_E_INVALID, "sbn: gibbs: out is NULL or of unknown size"));
    if (!r->rows || !means || r->n < 1)
        GM_TRY(gm_model_fail(r->ctx, GM_E_INVALID,
                             "sbn: gibbs: an array is NULL, or count is %lld, expected at least 1",
                             (long long)r->n));
    GM_TRY(check_options(r->ctx, o));
    if (gm_sbn_has_tanh(r->sbn) && o->chains > CHAINS_AT_ONCE)
        GM_TRY(gm_model_fail(
            r->ctx, GM_E_UNSUPPORTED,
            "sbn: gibbs: chains is %lld, expected at most %d for a net with tanh units",
            (long long)o->chains, CHAINS_AT_ONCE));
    GM_TRY(gm_model_check_bits(gm_sbn_model(r->sbn), "gibbs", 1, r->rows, r->n,
                               gm_sbn_layer_size(r->sbn, 0)));
    const double each = (double)o->chains * (double)r->hidden;
    if (each * (double)r->n > MOST_VALUES || each * (double)o->samples > MOST_VALUES)
        GM_TRY(gm_model_fail(r->ctx, GM_E_NOMEM,
                             "sbn: gibbs: no memory for %lld rows, %lld chains and %lld samples",
                             (long long)r->n, (long long)o->chains, (long long)o->samples));
    if (o->start != GM_SBN_INIT_STATES) return GM_OK;
    if (!r->states)
        GM_TRY(gm_model_fail(r->ctx, GM_E_INVALID,
                             "sbn: gibbs: states is NULL, and chains begin there"));
    GM_TRY(gm_model_check_bits(gm_sbn_model(r->sbn), "gibbs: states", 1, r->states,
                               r->n * o->chains, r->hidden));
out:
    return status;
}

static gm_status take_memory(run *r)
{
    gm_model *model = gm_sbn_model(r->sbn);
    const double row = (double)r->o.chains * (double)r->o.samples * (double)r->hidden;
    r->group = 1;
    if (gm_sbn_has_tanh(r->sbn)) {
        const double most = fmin(CHAINS_AT_ONCE / (double)r->o.chains, DRAWS_AT_ONCE / row);
        if (most > 1) r->group = most < (double)r->n ? (int64_t)most : r->n;
    }
    const size_t chains = (size_t)(r->group * r->o.chains), hidden = (size_t)r->hidden;
    r->k = (collector){ r->o.burn_in, r->o.samples, r->o.thin, NULL, NULL };
    r->sum_bytes = chains * hidden * sizeof(double);
    r->k.draws = gm_model_take(model, chains * hidden * (size_t)r->o.samples);
    r->k.sums = gm_model_take(model, r->sum_bytes);
    if (!r->states)
        r->states = gm_model_take(model, (size_t)(r->n * r->o.chains) * hidden * sizeof *r->states);
    if (r->k.draws && r->k.sums && r->states) return GM_OK;
    return gm_model_fail(r->ctx, GM_E_NOMEM,
                         "sbn: gibbs: no memory for %lld chains of %lld samples",
                         (long long)r->o.chains, (long long)r->o.samples);
}

static gm_status begin_chains(run *r)
{
    gm_model *model = gm_sbn_model(r->sbn);
    const int64_t chains = r->o.chains, visible = model->row_size;
    gm_status status = GM_OK;
    if (r->o.start == GM_SBN_INIT_STATES) return GM_OK;
    if (r->o.start == GM_SBN_INIT_UNIFORM) {
        for (int64_t i = 0; i < r->n * chains * r->hidden; i++)
            r->states[i] = gm_rng_double(model->rng) < 0.5 ? 1 : 0;
        return GM_OK;
    }
    if (r->o.start == GM_SBN_INIT_PRIOR || !gm_sbn_has_recognition(r->sbn))
        return gm_sbn_sample(r->sbn, r->n * chains, -1, NULL, 0, r->states, NULL);
    for (int64_t row = 0; row < r->n; row++)
        for (int64_t c = 0; c < chains; c++)
            GM_TRY(gm_sbn_recognise(r->sbn, r->rows + row * visible, 1,
                                    r->states + (row * chains + c) * r->hidden, NULL, NULL));
out:
    return status;
}

/* Means and diagnostics of `m` rows from `first` on. */
static void conclude(run *r, int64_t first, int64_t m, double *means)
{
    const int64_t chains = r->o.chains, samples = r->o.samples, hidden = r->hidden;
    for (int64_t row = 0; row < m; row++) {
        int unmixed = 0;
        for (int64_t j = 0; j < hidden; j++) {
            const int64_t at = (first + row) * hidden + j;
            double sum = 0, hat, size;
            for (int64_t c = 0; c < chains; c++) sum += r->k.sums[(row * chains + c) * hidden + j];
            means[at] = sum / ((double)chains * (double)samples);
            gm_mixing(r->k.draws + row * chains * samples * hidden + j, chains, samples, hidden,
                      &hat, &size);
            if (r->o.r_hat) r->o.r_hat[at] = hat;
            if (r->o.ess) r->o.ess[at] = size;
            unmixed |= hat > GM_SBN_MIXED;
            if (at == 0 || hat > r->result.r_hat) {
                r->result.r_hat = hat;
                r->result.row = first + row;
                r->result.unit = j;
            }
            if (at == 0 || size < r->result.ess) r->result.ess = size;
        }
        r->result.unmixed += unmixed;
    }
}

static gm_status sample_rows(run *r, double *means)
{
    const int64_t chains = r->o.chains, visible = gm_sbn_layer_size(r->sbn, 0);
    gm_status status = GM_OK;
    sampler w;
    float *room = gm_sbn_take(r->sbn, gm_sbn_move_room(r->sbn));
    if (!room)
        GM_TRY(
            gm_model_fail(r->ctx, GM_E_NOMEM, "sbn: gibbs: no memory for the net's connections"));
    GM_TRY(open_sampler(&w, r->sbn, room));
    w.on_progress = r->o.on_progress;
    w.user = r->o.user;
    w.total = r->n * chains;
    for (int64_t done = 0; done < r->n;) {
        const int64_t m = r->n - done < r->group ? r->n - done : r->group;
        float *states = r->states + done * chains * r->hidden;
        const float *rows = r->rows + done * visible;
        memset(r->k.sums, 0, r->sum_bytes);
        if (!w.tape)
            GM_TRY(run_plain(&w, rows, m, chains, states, &r->k));
        else
            GM_TRY(run_tape(&w, rows, m, chains, states, &r->k));
        conclude(r, done, m, means);
        done += m;
    }
out:
    return status;
}

static void warn(const run *r)
{
    char line[200];
    if (!(r->result.r_hat > GM_SBN_MIXED)) return;
    (void)snprintf(line, sizeof line,
                   "sbn: gibbs: the chains did not mix: R-hat is %.3g at row %lld, unit %lld; %lld "
                   "of %lld rows "
                   "are above %g",
                   r->result.r_hat, (long long)r->result.row, (long long)r->result.unit,
                   (long long)r->result.unmixed, (long long)r->n, GM_SBN_MIXED);
    gm_context_log(r->ctx, GM_LOG_WARNING, line);
}

gm_status gm_sbn_gibbs(gm_sbn_gibbs_result *out, gm_sbn *sbn, const float *rows, int64_t count,
                       const gm_sbn_gibbs_options *options, double *means, float *states)
{
    if (!sbn) return GM_E_INVALID;
    gm_model *model = gm_sbn_model(sbn);
    const size_t mark = gm_model_enter(model);
    run r = { .sbn = sbn,
              .ctx = model->ctx,
              .o = GM_SBN_GIBBS_OPTIONS_INIT,
              .rows = rows,
              .n = count,
              .hidden = gm_sbn_hidden_units(sbn),
              .states = states,
              .result = GM_SBN_GIBBS_RESULT_INIT };
    gm_rng_state before;
    gm_status status;
    GM_TRY(gm_options_read(r.ctx, "sbn: gibbs", &r.o, sizeof r.o, options));
    GM_TRY(check(&r, out, means));
    GM_TRY(gm_model_check_trains(model, "gibbs"));
    gm_rng_save(&before, model->rng);
    if (r.o.seed) gm_rng_seed(model->rng, r.o.seed);
    status = take_memory(&r);
    if (!status) status = begin_chains(&r);
    if (!status) status = sample_rows(&r, means);
    if (!status) status = gm_model_check_reals(model, "gibbs", means, count, r.hidden);
    if (r.o.seed || status) gm_rng_restore(model->rng, &before);
    if (status) goto out;
    r.result.sweeps = r.o.burn_in + r.o.samples * r.o.thin;
    r.result.size = out->size;
    memcpy(out, &r.result, out->size);
    warn(&r);
out:
    gm_model_leave(model, mark);
    return status;
}
