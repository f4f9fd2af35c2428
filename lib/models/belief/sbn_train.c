/* sbn_train.c - how sigmoid belief networks learn. Every estimator is written as a loss whose
 * gradient is the estimate: samples, weights and signals are constants in it.
 *
 * Write f = log p(x, h) - log q(h | x), h ~ q. The bound is E f (K = 1), or E log 1/K sum_k
 * e^(f_k).
 */
#include <math.h>
#include <string.h>

#include "gm/loss.h"
#include "gm/ops.h"
#include "models/belief/bits.h"
#include "models/belief/sbn_net.h"
#include "models/family.h"

#define MAX_LAYERS GM_SBN_MAX_LAYERS
#define STATISTICS_DECAY 0.9

/* k draws of h for each of n rows, and their log p and log q: [n k] each, row by row. */
typedef struct draws {
    int64_t n, k;
    gm_var layers[MAX_LAYERS + 1];                       /* the visible one has n rows */
    gm_var logits[MAX_LAYERS + 1];                       /* of q, from layer 1 */
    gm_var log_q[MAX_LAYERS + 1], log_p[MAX_LAYERS + 1]; /* of each layer */
    gm_var p, q, f;                                      /* sums over the layers, and p - q */
} draws;

static gm_var minus_bce(gm_tape *tape, gm_var logits, gm_var bits)
{
    return gm_neg(tape, gm_bce_with_logits(tape, logits, bits));
}

/* Layers from, from + 1, ..., L of h ~ q, given those below; log p of all of them. */
static void record_rest(gm_tape *tape, gm_sbn *sbn, draws *d, int32_t from)
{
    const int32_t top = gm_sbn_layers(sbn);
    for (int32_t l = from; l <= top; l++) {
        d->logits[l] = gm_sbn_record_q(sbn, l, d->layers[l - 1], d->k);
        d->layers[l] = gm_bernoulli_draw(tape, d->logits[l]);
        d->log_q[l] = minus_bce(tape, d->logits[l], d->layers[l]);
    }
    d->q = d->log_q[1];
    for (int32_t l = 2; l <= top; l++) d->q = gm_add(tape, d->q, d->log_q[l]);
    d->p = gm_sbn_apply_joint(tape, sbn, d->layers, d->log_p);
    d->f = gm_sub(tape, d->p, d->q);
}

/* A constant of one number a draw. */
static gm_var constants(gm_tape *tape, int64_t n, const float *values)
{
    return gm_input_copy(tape, 1, &n, values);
}

/* sum over draws of factor * value / n. */
static gm_var weighted(gm_tape *tape, const draws *d, gm_var factor, gm_var value)
{
    return gm_scale(tape, gm_sum(tape, gm_mul(tape, factor, value)), 1 / (double)d->n);
}

/* -log q of the hidden layers of a sample of p: the sleep phase. */
static gm_var record_sleep(gm_tape *tape, gm_sbn *sbn, int64_t n)
{
    gm_var layers[MAX_LAYERS + 1];
    if (gm_sbn_record_dream(sbn, n, layers)) return GM_NO_VAR;
    return gm_mean(tape, gm_sbn_record_minus_log_q(sbn, 1, layers, NULL));
}

/* Weights of a row's draws: softmax of its log weights; and log 1/K sum w. */
static double row_bound(const float *f, int64_t k, float *weight)
{
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < k; j++) most = fmax(most, (double)f[j]);
    for (int64_t j = 0; j < k; j++) sum += exp((double)f[j] - most);
    for (int64_t j = 0; weight && j < k; j++) weight[j] = (float)(exp((double)f[j] - most) / sum);
    return most + log(sum / (double)k);
}

/* Mean over the rows of log 1/K sum_k w_k; weights [n k] if wanted. */
static double bound_of(gm_tape *tape, const draws *d, float *weights)
{
    const float *f = gm_value(tape, d->f);
    double sum = 0;
    for (int64_t r = 0; f && r < d->n; r++)
        sum += row_bound(f + r * d->k, d->k, weights ? weights + r * d->k : NULL);
    return f ? sum / (double)d->n : NAN;
}

/* Hinton et al. 1995. Wake: -log p(x, h), h ~ q(h | x). Sleep: -log q(h | x), (x, h) ~ p. */
static gm_var wake_sleep(gm_tape *tape, gm_sbn *sbn, const draws *d)
{
    gm_var wake = gm_neg(tape, gm_mean(tape, d->p));
    return gm_add(tape, wake, record_sleep(tape, sbn, d->n));
}

/* Bornschein and Bengio 2015: p and, in the wake phase, q follow the normalised weights w_k; in
 * the sleep phase q follows samples of p. */
static gm_var reweighted(gm_tape *tape, gm_sbn *sbn, const gm_sbn_options *o, const draws *d,
                         const float *weights)
{
    gm_var w = constants(tape, d->n * d->k, weights);
    gm_var what = o->phases & GM_SBN_WAKE ? gm_add(tape, d->p, d->q) : d->p;
    gm_var loss = gm_neg(tape, weighted(tape, d, w, what));
    return o->phases & GM_SBN_SLEEP ? gm_add(tape, loss, record_sleep(tape, sbn, d->n)) : loss;
}

/* Mnih and Rezende 2016, equations 8 to 10: the signal of draw j is L - L_(-j), in L_(-j) its f
 * replaced by the mean of the others'; the rest of the bound's gradient is sum_j w_j grad f_j.
 * scratch: n k floats. */
static gm_var vimco(gm_tape *tape, const draws *d, const float *weights, float *scratch)
{
    const float *f = gm_value(tape, d->f);
    const int64_t k = d->k;
    for (int64_t r = 0; f && r < d->n; r++) {
        const float *own = f + r * k;
        const double whole = row_bound(own, k, NULL);
        double sum = 0;
        for (int64_t j = 0; j < k; j++) sum += (double)own[j];
        for (int64_t j = 0; j < k; j++) {
            const double stand_in = (sum - (double)own[j]) / (double)(k - 1);
            double most = stand_in, total = 0;
            for (int64_t i = 0; i < k; i++)
                if (i != j) most = fmax(most, (double)own[i]);
            for (int64_t i = 0; i < k; i++)
                total += exp((i == j ? stand_in : (double)own[i]) - most);
            scratch[r * k + j] = (float)(whole - most - log(total / (double)k));
        }
    }
    gm_var signal = constants(tape, d->n * k, scratch), w = constants(tape, d->n * k, weights);
    gm_var score = weighted(tape, d, signal, d->q);
    return gm_neg(tape, gm_add(tape, score, weighted(tape, d, w, d->f)));
}

/* The running mean c and variance v of a layer's signal (statistics: c, v, how much they count),
 * brought up to date with these values. */
static void follow(float *statistics, const float *values, int64_t n)
{
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)values[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += ((double)values[i] - mean) * ((double)values[i] - mean) / (double)n;
    const double keep = statistics[2] > 0 ? STATISTICS_DECAY : 0;
    statistics[0] = (float)(keep * (double)statistics[0] + (1 - keep) * mean);
    statistics[1] = (float)(keep * (double)statistics[1] + (1 - keep) * square);
    statistics[2] = 1;
}

/* Mnih and Gregor 2014. Layer l's signal is the part of f that it can change,
 *     f_l = log p(h_(l-1) | h_l) + ... + log p(h_L) - log q(h_l | h_(l-1)) - ... - log q(h_L |
 * h_(L-1)), (with skip connections all of log p), less its baseline of the layer below and its
 * running mean, over its running deviation where that is above 1. Both are those of the steps
 * before, so that they depend on none of these draws and the gradient's direction is unbiased; only
 * the very first step, which has none before it, takes its own. The baselines learn by squared
 * error. */
static gm_var nvil(gm_tape *tape, gm_sbn *sbn, const gm_sbn_options *o, const draws *d,
                   float *statistics, float *scratch, gm_metrics *metrics)
{
    const int32_t top = gm_sbn_layers(sbn);
    const int64_t many = d->n * d->k;
    gm_var loss = gm_neg(tape, gm_mean(tape, d->p)), f = d->log_p[top];
    double spread = 0;
    for (int32_t l = top; l >= 1; l--) {
        gm_var base = gm_sbn_apply_baseline(tape, sbn, l, d->layers[l - 1]);
        if (l == 1 && d->k > 1) base = gm_repeat_rows(tape, base, d->k);
        f = gm_sub(tape, gm_add(tape, f, d->log_p[l - 1]), d->log_q[l]);
        gm_var part = f;
        for (int32_t m = l - 2; o->skip && m >= 0; m--) part = gm_add(tape, part, d->log_p[m]);
        const float *value = gm_value(tape, part), *expected = gm_value(tape, base);
        if (!value || !expected) return GM_NO_VAR;
        float *own = statistics + 3 * (l - 1);
        for (int64_t i = 0; i < many; i++) scratch[i] = value[i] - expected[i];
        const int train = (gm_tape_mode(tape) & GM_TAPE_TRAIN) != 0, first = !(own[2] > 0);
        if (train && first) follow(own, scratch, many);
        const double centre = (double)own[0], deviation = fmax(1, sqrt((double)own[1]));
        if (train && !first) follow(own, scratch, many);
        spread += sqrt((double)own[1]) / top;
        gm_var target = gm_shift(tape, gm_stop_gradient(tape, part), -centre);
        gm_var miss = gm_sub(tape, target, base);
        gm_var signal = gm_scale(tape, gm_stop_gradient(tape, miss), 1 / deviation);
        loss = gm_sub(tape, loss, gm_mean(tape, gm_mul(tape, signal, d->log_q[l])));
        loss = gm_add(tape, loss, gm_mean(tape, gm_square(tape, miss)));
    }
    gm_metrics_add(metrics, "signal", spread);
    return loss;
}

/* Dong, Mnih and Tucker 2020: for each layer two antithetic draws b = 1[u > 1 - s], b' = 1[u < s]
 * of probability s = sigmoid(phi), the layers above drawn for each, and d/dphi_i = (f(b) - f(b')) /
 * 2 * (-1)^(b'_i) 1[b_i != b'_i] sigmoid(|phi_i|). Layers above have scores of their own. p learns
 * from the pairs of the top layer. */
static gm_var disarm(gm_tape *tape, gm_sbn *sbn, const draws *d, float *scratch)
{
    const int32_t top = gm_sbn_layers(sbn);
    const int64_t rows = d->n * d->k;
    gm_var loss = GM_NO_VAR;
    for (int32_t l = 1; l <= top; l++) {
        const int64_t size = gm_sbn_layer_size(sbn, l), shape[2] = { rows, size };
        gm_var chance = gm_sigmoid(tape, gm_stop_gradient(tape, d->logits[l]));
        gm_var u = gm_rand(tape, 2, shape);
        draws pair[2] = { *d, *d };
        const float *s = gm_value(tape, chance), *v = gm_value(tape, u);
        if (!s || !v) return GM_NO_VAR;
        for (int which = 0; which < 2; which++) {
            for (int64_t i = 0; i < rows * size; i++)
                scratch[i] = which ? v[i] < s[i] : v[i] > 1 - s[i];
            pair[which].layers[l] = gm_input_copy(tape, 2, shape, scratch);
            pair[which].log_q[l] = minus_bce(tape, d->logits[l], pair[which].layers[l]);
            record_rest(tape, sbn, &pair[which], l + 1);
        }
        const float *one = gm_value(tape, pair[0].f), *other = gm_value(tape, pair[1].f);
        const float *b = gm_value(tape, pair[0].layers[l]), *c = gm_value(tape, pair[1].layers[l]);
        if (!one || !other || !b || !c) return GM_NO_VAR;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = r * size; i < (r + 1) * size; i++)
                scratch[i] = b[i] == c[i] ? 0
                                          : 0.5f * (one[r] - other[r]) * (c[i] > 0 ? -1 : 1) *
                                                (s[i] > 0.5f ? s[i] : 1 - s[i]);
        gm_var score =
            gm_sum(tape, gm_mul(tape, gm_input_copy(tape, 2, shape, scratch), d->logits[l]));
        score = gm_scale(tape, score, -1 / (double)rows);
        loss = l == 1 ? score : gm_add(tape, loss, score);
        if (l == top)
            loss = gm_sub(tape, loss,
                          gm_scale(tape, gm_mean(tape, gm_add(tape, pair[0].p, pair[1].p)), 0.5));
    }
    return loss;
}

/* Numbers that the estimator keeps beside the tape: as many as any of its parts needs, twice. */
static int64_t room(const gm_sbn *sbn, const gm_sbn_options *o, int64_t rows)
{
    int64_t most = 2;
    for (int32_t l = 1; o->estimator == GM_SBN_DISARM && l <= gm_sbn_layers(sbn); l++)
        if (gm_sbn_layer_size(sbn, l) > most) most = gm_sbn_layer_size(sbn, l);
    return most * rows;
}

static gm_status recognised(gm_model *model, gm_sbn *sbn, const gm_sbn_options *o,
                            const gm_batch *batch, float *statistics, gm_var *loss,
                            gm_metrics *metrics)
{
    gm_tape *tape = model->tape;
    draws d = { .n = batch->count, .k = o->samples };
    const int64_t count = d.n * d.k;
    gm_status status = GM_OK;
    float *weights = gm_sbn_take(sbn, room(sbn, o, count));
    if (!weights)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "sbn: no memory for %lld draws",
                             (long long)count));
    d.layers[0] = gm_sbn_record_rows(sbn, batch->rows, batch->count);
    record_rest(tape, sbn, &d, 1);
    GM_TRY(gm_tape_status(tape));
    const int many = o->estimator == GM_SBN_RWS || o->estimator == GM_SBN_VIMCO;
    const double bound = bound_of(tape, &d, weights);
    const double elbo = gm_scalar(tape, gm_mean(tape, d.f));
    gm_metrics_add(metrics, "loss", many ? -bound : -elbo);
    gm_metrics_add(metrics, "elbo", elbo);
    if (gm_tape_mode(tape) & GM_TAPE_CONSTANT)
        *loss = gm_neg(tape, gm_mean(tape, d.f));
    else if (o->estimator == GM_SBN_WAKE_SLEEP)
        *loss = wake_sleep(tape, sbn, &d);
    else if (o->estimator == GM_SBN_RWS)
        *loss = reweighted(tape, sbn, o, &d, weights);
    else if (o->estimator == GM_SBN_VIMCO)
        *loss = vimco(tape, &d, weights, weights + count);
    else if (o->estimator == GM_SBN_DISARM)
        *loss = disarm(tape, sbn, &d, weights);
    else
        *loss = nvil(tape, sbn, o, &d, statistics, weights, metrics);
    GM_TRY(gm_tape_status(tape));
out:
    return status;
}

gm_status gm_sbn_loss(gm_model *model, const gm_batch *batch, gm_var *loss, gm_metrics *metrics)
{
    gm_sbn *sbn = gm_sbn_from_model(model);
    gm_sbn_options o;
    float *statistics;
    gm_status status;
    gm_sbn_settings(sbn, &o, &statistics);
    GM_TRY(gm_model_check_bits(gm_sbn_model(sbn), "fit", 1, batch->rows, batch->count,
                               model->row_size));
    const int by_em = o.estimator == GM_SBN_GIBBS_EM || o.estimator == GM_SBN_MEAN_FIELD_EM;
    const int bound_too = o.estimator == GM_SBN_GIBBS_EM && o.recognition &&
                          gm_tape_mode(model->tape) & GM_TAPE_CONSTANT;
    if (by_em && !bound_too) return gm_sbn_em_loss(model, &o, batch, loss, metrics);
    if (!o.recognition)
        GM_TRY(gm_model_fail(model->ctx, GM_E_UNSUPPORTED,
                             "sbn: fit: estimator is %d, expected one without a recognition "
                             "network, as the net has none",
                             (int)o.estimator));
    GM_TRY(recognised(model, sbn, &o, batch, statistics, loss, metrics));
out:
    return status;
}
