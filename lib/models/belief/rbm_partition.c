/* rbm_partition.c - the partition function of a restricted Boltzmann machine: exactly, and by
 * annealed importance sampling. */
#include <math.h>
#include <string.h>

#include "gm/ops.h"
#include "gm/rbm.h"
#include "models/belief/bits.h"
#include "models/belief/rbm_part.h"
#include "models/family.h"
#include "models/frozen.h"

#define STATES_AT_ONCE 1024

static double softplus(double a)
{
    return a > 0 ? a + log1p(exp(-a)) : log1p(exp(a));
}

/* log sum over bits s of e^(inner s) prod_j (1 + e^(outer_j + W_j s)): one side's units are summed
 * by hand, the other's in closed form. weight of unit j of the other side from unit i of this one:
 * weight[i step + j stride]. */
typedef struct side {
    const float *inner, *outer, *weight;
    int64_t count, others, step, stride;
} side;

static double sum_states(const side *s, double *input)
{
    double most = -INFINITY, sum = 0, own = 0;
    for (int64_t j = 0; j < s->others; j++) input[j] = (double)s->outer[j];
    /* In the order of a Gray code each state differs from the last in one unit. */
    const uint64_t states = (uint64_t)1 << s->count;
    for (uint64_t n = 0; n < states; n++) {
        if (n) {
            int64_t unit = 0;
            while (!(n >> unit & 1)) unit++;
            const double sign = (n ^ n >> 1) >> unit & 1 ? 1 : -1;
            own += sign * (double)s->inner[unit];
            for (int64_t j = 0; j < s->others; j++)
                input[j] += sign * (double)s->weight[unit * s->step + j * s->stride];
        }
        double f = own;
        for (int64_t j = 0; j < s->others; j++) f += softplus(input[j]);
        if (f > most) {
            sum *= exp(most - f);
            most = f;
        }
        sum += exp(f - most);
    }
    return most + log(sum);
}

gm_status gm_rbm_log_z(double *out, gm_rbm *rbm)
{
    if (!rbm) return GM_E_INVALID;
    gm_context *ctx = gm_model_context(gm_rbm_model(rbm));
    const int64_t visible = gm_rbm_visible(rbm), hidden = gm_rbm_hidden(rbm);
    const int by_hidden = hidden <= visible;
    const int64_t least = by_hidden ? hidden : visible;
    if (!out) return gm_model_fail(ctx, GM_E_INVALID, "rbm: log_z: out is NULL");
    if (least > GM_RBM_MOST_SUMMED)
        return gm_model_fail(
            ctx, GM_E_UNSUPPORTED,
            "rbm: log_z: a sum over 2^%lld states is too long; at most 2^%d are summed",
            (long long)least, GM_RBM_MOST_SUMMED);
    const float *weight = gm_param_value(gm_rbm_weight(rbm));
    const float *b = gm_param_value(gm_rbm_hidden_bias(rbm)),
                *a = gm_param_value(gm_rbm_visible_bias(rbm));
    side s = { b, a, weight, hidden, visible, visible, 1 };
    if (!by_hidden) s = (side){ a, b, weight, visible, hidden, 1, visible };
    gm_model *model = gm_rbm_model(rbm);
    const size_t mark = gm_model_mark(model);
    double *input = gm_model_take(model, (size_t)s.others * sizeof *input);
    if (!input)
        return gm_model_fail(ctx, GM_E_NOMEM, "rbm: log_z: no memory for %lld sums",
                             (long long)s.others);
    *out = sum_states(&s, input);
    gm_model_give(model, mark);
    return GM_OK;
}

typedef struct annealing {
    gm_rbm *rbm;
    gm_model *model; /* the rbm's, on whose tape it records */
    gm_rbm_ais_options o;
    gm_rng_state host; /* of the model's random stream, while that gives the annealing's numbers */
    float *states;     /* [runs, visible] */
    float *base;       /* [visible] biases at beta 0 */
    float *slope;      /* [visible] a - base */
    double *log_w;     /* [runs] */
} annealing;

/* Salakhutdinov and Murray 2008: 500 equal steps from 0 to 0.5, 4000 to 0.9, 10 000 to 1. */
static double beta_at(const gm_rbm_ais_options *o, int64_t k)
{
    if (o->betas) return o->betas[k];
    if (k <= 500) return 0.5 * (double)k / 500;
    if (k <= 4500) return 0.5 + 0.4 * (double)(k - 500) / 4000;
    return 0.9 + 0.1 * (double)(k - 4500) / 10000;
}

static int64_t beta_count(const gm_rbm_ais_options *o)
{
    return o->betas ? o->beta_count : 14501;
}

static gm_status check_options(gm_context *ctx, const gm_rbm_ais_options *o, int64_t visible)
{
    if (o->runs < 2 || o->runs > 1000000)
        return gm_model_fail(ctx, GM_E_INVALID, "rbm: ais: runs is %lld, expected 2 to 1000000",
                             (long long)o->runs);
    if (o->betas ? o->beta_count < 2 : o->beta_count != 0)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "rbm: ais: beta_count is %lld, betas is %s, expected at least 2",
                             (long long)o->beta_count, o->betas ? "given" : "NULL");
    for (int64_t k = 0; o->betas && k < o->beta_count; k++) {
        const double b = o->betas[k], least = k ? o->betas[k - 1] : 0;
        if (!(b >= least && b <= 1) || (k == 0 && b != 0) || (k == o->beta_count - 1 && b != 1))
            return gm_model_fail(
                ctx, GM_E_INVALID,
                "rbm: ais: beta at %lld is %g, expected values that rise from 0 to 1", (long long)k,
                b);
    }
    for (int64_t i = 0; o->means && i < visible; i++)
        if (!(o->means[i] >= 0 && o->means[i] <= 1))
            return gm_model_fail(ctx, GM_E_INVALID, "rbm: ais: mean at %lld is %g, expected 0 to 1",
                                 (long long)i, (double)o->means[i]);
    return GM_OK;
}

/* One temperature: the weights take p*_next / p*_now of the states,
 *     (beta' - beta) (a - base) v + sum_j log(1 + e^(beta' x_j)) - log(1 + e^(beta x_j)),  x_j =
 * b_j + W_j v, and the states make a Gibbs step at the next. */
static gm_status anneal(annealing *t, double now, double next, int last)
{
    static const int32_t columns[1] = { 1 };
    const int64_t visible = gm_rbm_visible(t->rbm), runs = t->o.runs;
    const int64_t shape[2] = { runs, visible }, row[1] = { visible };
    gm_tape *tape = t->model->tape;
    gm_status status;
    gm_model_record(t->model, GM_TAPE_CONSTANT);
    gm_var v = gm_input_array(tape, 2, shape, t->states);
    gm_var weight = gm_parameter(tape, gm_rbm_weight(t->rbm));
    gm_var x = gm_linear(tape, v, weight, gm_parameter(tape, gm_rbm_hidden_bias(t->rbm)),
                         GM_ACTIVATION_NONE, 0);
    gm_var hot = gm_scale(tape, x, next);
    gm_var gain = gm_sub(tape, gm_softplus(tape, hot), gm_softplus(tape, gm_scale(tape, x, now)));
    gm_var slope = gm_input_array(tape, 1, row, t->slope);
    gm_var up = gm_add(
        tape, gm_sum_axes(tape, gain, columns, 1, 0),
        gm_scale(tape, gm_sum_axes(tape, gm_mul(tape, v, slope), columns, 1, 0), next - now));
    gm_var moved = v;
    if (!last) {
        gm_var h = gm_bernoulli_draw(tape, hot);
        gm_var bias =
            gm_add(tape, gm_input_array(tape, 1, row, t->base), gm_scale(tape, slope, next));
        gm_var down = gm_add(tape, gm_scale(tape, gm_matmul(tape, h, weight, 0, 0), next), bias);
        moved = gm_bernoulli_draw(tape, down);
    }
    GM_TRY(gm_tape_status(tape));
    for (int64_t r = 0; r < runs; r++) t->log_w[r] += (double)gm_value(tape, up)[r];
    memcpy(t->states, gm_value(tape, moved), (size_t)(runs * visible) * sizeof *t->states);
out:
    return status;
}

/* Biases of the independent units, the states drawn from them, and the log of their Z. */
static double begin(annealing *t)
{
    const int64_t visible = gm_rbm_visible(t->rbm);
    double log_z = (double)gm_rbm_hidden(t->rbm) * log(2);
    for (int64_t i = 0; i < visible; i++) {
        t->base[i] = t->o.means ? gm_model_bias_of_mean(t->o.means[i]) : 0;
        t->slope[i] = gm_param_value(gm_rbm_visible_bias(t->rbm))[i] - t->base[i];
        log_z += softplus((double)t->base[i]);
    }
    for (int64_t i = 0; i < t->o.runs * visible; i++)
        t->states[i] = gm_rng_double(t->model->rng) < 1 / (1 + exp(-(double)t->base[i % visible]));
    for (int64_t r = 0; r < t->o.runs; r++) t->log_w[r] = 0;
    return log_z;
}

static void conclude(const annealing *t, double log_base, gm_rbm_ais_result *out)
{
    const double runs = (double)t->o.runs;
    double most = -INFINITY, mean = 0, square = 0;
    for (int64_t r = 0; r < t->o.runs; r++) most = fmax(most, t->log_w[r]);
    for (int64_t r = 0; r < t->o.runs; r++) mean += exp(t->log_w[r] - most) / runs;
    for (int64_t r = 0; r < t->o.runs; r++) {
        const double d = exp(t->log_w[r] - most) - mean;
        square += d * d / (runs - 1);
    }
    const double error = sqrt(square / runs) / mean;
    out->log_z = log_base + most + log(mean);
    out->standard_error = error;
    out->low = error < 1.0 / 3 ? out->log_z + log1p(-3 * error) : -INFINITY;
    out->high = out->log_z + log1p(3 * error);
    out->runs = t->o.runs;
    out->steps = beta_count(&t->o) - 1;
    out->seed = t->o.seed;
}

/* The host's callback finds the model's random stream as the call found it, and may use the model.
 */
static gm_status tell(annealing *t, int64_t done, int64_t steps)
{
    gm_rng *rng = t->model->rng;
    gm_rng_state own;
    gm_rng_save(&own, rng);
    gm_rng_restore(rng, &t->host);
    const gm_status status =
        gm_model_progress(t->model->ctx, "rbm: ais", t->o.on_progress, t->o.user, done, steps);
    gm_rng_save(&t->host, rng);
    gm_rng_restore(rng, &own);
    return status;
}

static gm_status run(annealing *t, gm_rbm_ais_result *out)
{
    gm_status status = GM_OK;
    const double log_base = begin(t);
    const int64_t steps = beta_count(&t->o) - 1;
    for (int64_t k = 0; k < steps; k++) {
        GM_TRY(anneal(t, beta_at(&t->o, k), beta_at(&t->o, k + 1), k == steps - 1));
        GM_TRY(tell(t, k + 1, steps));
    }
    conclude(t, log_base, out);
out:
    return status;
}

gm_status gm_rbm_ais(gm_rbm_ais_result *out, gm_rbm *rbm, const gm_rbm_ais_options *options)
{
    if (!rbm) return GM_E_INVALID;
    gm_model *model = gm_rbm_model(rbm);
    annealing t = { .rbm = rbm, .model = model, .o = GM_RBM_AIS_OPTIONS_INIT };
    const int64_t visible = gm_rbm_visible(rbm);
    const size_t row = (size_t)visible * sizeof(float), mark = gm_model_enter(model);
    gm_rbm_ais_result result = GM_RBM_AIS_RESULT_INIT;
    gm_status status;
    if (!out || !gm_model_size_fits(out->size, sizeof *out))
        GM_TRY(gm_model_fail(model->ctx, GM_E_INVALID, "rbm: ais: out is NULL or of unknown size"));
    GM_TRY(gm_options_read(model->ctx, "rbm: ais", &t.o, sizeof t.o, options));
    GM_TRY(check_options(model->ctx, &t.o, visible));
    GM_TRY(gm_model_check_trains(model, "ais"));
    t.states = gm_model_take(model, row * (size_t)t.o.runs);
    t.base = gm_model_take(model, row);
    t.slope = gm_model_take(model, row);
    t.log_w = gm_model_take(model, (size_t)t.o.runs * sizeof *t.log_w);
    if (!t.states || !t.base || !t.slope || !t.log_w)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "rbm: ais: no memory for %lld runs",
                             (long long)t.o.runs));
    gm_rng_save(&t.host, model->rng);
    gm_rng_seed(model->rng, t.o.seed);
    status = run(&t, &result);
    gm_rng_restore(model->rng, &t.host);
    if (status) goto out;
    result.size = out->size;
    memcpy(out, &result, out->size);
out:
    gm_model_leave(model, mark);
    return status;
}
