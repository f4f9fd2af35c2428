/* rbm.c - restricted Boltzmann machines: contrastive divergence, Gibbs sampling, free energies, the
 * file. Their partition function is in rbm_partition.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/ops.h"
#include "models/belief/bits.h"
#include "models/belief/rbm_part.h"
#include "models/family.h"
#include "models/fields.h"
#include "models/numeric.h"

struct gm_rbm {
    gm_model model; /* first */
    gm_rbm_options o;
    int64_t hidden;
    gm_param *weight, *bias, *visible_bias;
    gm_param *chains; /* [chains, visible], state; NULL: not persistent */
    double log_z;     /* NaN: unknown */
    double log_z_error;
    int64_t log_z_at; /* update that it belongs to */
};

static gm_rbm *of(gm_model *model)
{
    return (gm_rbm *)model;
}

static gm_status check_options(gm_context *ctx, int64_t visible, int64_t hidden,
                               const gm_rbm_options *o)
{
    const gm_model_range whole[] = {
        { "visible", visible, 1, INT32_MAX },   { "hidden", hidden, 1, INT32_MAX },
        { "steps", o->steps, 1, 1000000000 },   { "persistent", o->persistent, 0, 1 },
        { "chains", o->chains, 1, 1000000000 }, { "sample_steps", o->sample_steps, 1, 1000000000 },
    };
    return gm_model_check_ranges(ctx, "rbm", whole, sizeof whole / sizeof *whole);
}

static gm_status make_param(gm_rbm *rbm, gm_param **out, gm_params *set, const char *name,
                            int32_t rank, int64_t rows, int64_t columns)
{
    const int64_t shape[2] = { rows, columns };
    gm_status status;
    GM_TRY(gm_param_create(out, rbm->model.ctx, name, rank, shape));
    GM_TRY(gm_params_add(set, NULL, *out));
out:
    return status;
}

static void toss(gm_rng *rng, float *bits, int64_t n)
{
    for (int64_t i = 0; i < n; i++) bits[i] = gm_rng_double(rng) < 0.5;
}

/* The machine draws from its host's generator, on a tape of its own. */
static gm_status follow(gm_model *model, const gm_model *host)
{
    gm_status status;
    gm_tape *tape = NULL;
    GM_TRY(gm_tape_create(&tape, model->ctx, host->rng));
    gm_tape_release(model->tape);
    model->tape = tape;
    gm_rng_release(model->rng);
    model->rng = host->rng;
    gm_rng_retain(model->rng);
out:
    return status;
}

gm_status gm_rbm_create(gm_rbm **out, gm_context *ctx, int64_t visible, int64_t hidden,
                        const gm_rbm_options *options)
{
    return gm_rbm_create_in(out, ctx, visible, hidden, options, NULL);
}

gm_status gm_rbm_create_in(gm_rbm **out, gm_context *ctx, int64_t visible, int64_t hidden,
                           const gm_rbm_options *options, const gm_model *host)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "rbm: context or out is NULL");
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_rbm *rbm = NULL;
    gm_status status;
    GM_TRY(gm_options_read(ctx, "rbm", &o, sizeof o, options));
    GM_TRY(check_options(ctx, visible, hidden, &o));
    rbm = gm_model_new(ctx, &gm_family_rbm, sizeof *rbm);
    if (!rbm) return GM_E_NOMEM;
    rbm->o = o;
    rbm->o.optimizer = NULL;
    rbm->hidden = hidden;
    rbm->log_z = NAN;
    GM_TRY(gm_model_open(&rbm->model));
    if (host) GM_TRY(follow(&rbm->model, host));
    gm_model *model = &rbm->model;
    model->row_size = visible;
    GM_TRY(make_param(rbm, &rbm->weight, model->params, "weight", 2, hidden, visible));
    GM_TRY(make_param(rbm, &rbm->bias, model->params, "hidden_bias", 1, hidden, 0));
    GM_TRY(make_param(rbm, &rbm->visible_bias, model->params, "visible_bias", 1, visible, 0));
    GM_TRY(gm_param_init(rbm->weight, GM_INIT_NORMAL, 0, 0.01, host ? host->rng : NULL));
    if (o.persistent) {
        GM_TRY(make_param(rbm, &rbm->chains, model->state, "chains", 2, o.chains, visible));
        toss(model->rng, gm_param_value(rbm->chains), o.chains * visible);
    }
    if (!host) GM_TRY(gm_model_bind(model, &model->optimizer, o.optimizer, model->params));
    *out = rbm;
    return GM_OK;
out:
    gm_rbm_release(rbm);
    return status;
}

static void destroy(gm_model *model)
{
    gm_rbm *rbm = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    gm_param_release(rbm->weight);
    gm_param_release(rbm->bias);
    gm_param_release(rbm->visible_bias);
    gm_param_release(rbm->chains);
    gm_context_free(ctx, rbm, sizeof *rbm);
}

void gm_rbm_retain(gm_rbm *rbm)
{
    if (rbm) gm_model_retain(&rbm->model);
}

void gm_rbm_release(gm_rbm *rbm)
{
    if (rbm) gm_model_release(&rbm->model);
}

gm_model *gm_rbm_model(gm_rbm *rbm)
{
    return rbm ? &rbm->model : NULL;
}

gm_rbm *gm_rbm_from_model(gm_model *model)
{
    return model && model->family == &gm_family_rbm ? of(model) : NULL;
}

int64_t gm_rbm_visible(const gm_rbm *rbm)
{
    return rbm ? rbm->model.row_size : 0;
}

int64_t gm_rbm_hidden(const gm_rbm *rbm)
{
    return rbm ? rbm->hidden : 0;
}

gm_param *gm_rbm_weight(const gm_rbm *rbm)
{
    return rbm ? rbm->weight : NULL;
}

gm_param *gm_rbm_hidden_bias(const gm_rbm *rbm)
{
    return rbm ? rbm->bias : NULL;
}

gm_param *gm_rbm_visible_bias(const gm_rbm *rbm)
{
    return rbm ? rbm->visible_bias : NULL;
}

void gm_rbm_set_log_z(gm_rbm *rbm, double log_z, double standard_error)
{
    if (!rbm) return;
    rbm->log_z = log_z;
    rbm->log_z_error = standard_error;
    rbm->log_z_at = rbm->model.steps;
}

gm_status gm_rbm_init_biases(gm_rbm *rbm, gm_dataset *data)
{
    if (!rbm || gm_model_check_unused(&rbm->model, "init_biases"))
        return rbm ? GM_E_STATE : GM_E_INVALID;
    const int64_t n = rbm->model.row_size;
    const size_t mark = gm_model_enter(&rbm->model);
    float *mean, *bias = gm_param_value(rbm->visible_bias);
    gm_status status;
    GM_TRY(gm_model_bit_means(&rbm->model, data, &mean));
    for (int64_t i = 0; i < n; i++) bias[i] = gm_model_bias_of_mean(mean[i]);
    rbm->log_z = NAN;
out:
    gm_model_leave(&rbm->model, mark);
    return status;
}

/* Values from 0 to 1: bits, or probabilities in their place. */
static gm_status check_rows(gm_rbm *rbm, const char *verb, const float *rows, int64_t n,
                            const void *out)
{
    const gm_status status = gm_model_check_arrays(&rbm->model, verb, rows, n, out);
    return status ? status
                  : gm_model_check_bits(&rbm->model, verb, 0, rows, n, rbm->model.row_size);
}

gm_var gm_rbm_apply_hidden(gm_tape *tape, gm_rbm *rbm, gm_var v)
{
    if (!tape) return GM_NO_VAR;
    if (!rbm) return gm_tape_fail(tape, GM_E_INVALID, "rbm: hidden: rbm is NULL");
    return gm_linear(tape, v, gm_parameter(tape, rbm->weight), gm_parameter(tape, rbm->bias),
                     GM_ACTIVATION_NONE, 0);
}

gm_var gm_rbm_apply_visible(gm_tape *tape, gm_rbm *rbm, gm_var h)
{
    if (!tape) return GM_NO_VAR;
    if (!rbm) return gm_tape_fail(tape, GM_E_INVALID, "rbm: visible: rbm is NULL");
    return gm_add(tape, gm_matmul(tape, h, gm_parameter(tape, rbm->weight), 0, 0),
                  gm_parameter(tape, rbm->visible_bias));
}

gm_var gm_rbm_apply_free_energy(gm_tape *tape, gm_rbm *rbm, gm_var v)
{
    static const int32_t columns[1] = { 1 };
    static const int64_t flat[1] = { -1 };
    if (!tape) return GM_NO_VAR;
    if (!rbm) return gm_tape_fail(tape, GM_E_INVALID, "rbm: free_energy: rbm is NULL");
    const int64_t shape[2] = { rbm->model.row_size, 1 };
    gm_var soft =
        gm_sum_axes(tape, gm_softplus(tape, gm_rbm_apply_hidden(tape, rbm, v)), columns, 1, 0);
    gm_var a = gm_reshape(tape, gm_parameter(tape, rbm->visible_bias), 2, shape);
    gm_var linear = gm_reshape(tape, gm_matmul(tape, v, a, 0, 0), 1, flat);
    return gm_neg(tape, gm_add(tape, soft, linear));
}

static gm_var record_rows(gm_rbm *rbm, const float *rows, int64_t n)
{
    const int64_t shape[2] = { n, rbm->model.row_size };
    return gm_input_array(rbm->model.tape, 2, shape, rows);
}

gm_status gm_rbm_free_energy(gm_rbm *rbm, const float *rows, int64_t count, double *energies)
{
    if (!rbm) return GM_E_INVALID;
    gm_model *model = &rbm->model;
    gm_status status;
    GM_TRY(check_rows(rbm, "free_energy", rows, count, energies));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var f = gm_rbm_apply_free_energy(model->tape, rbm,
                                            record_rows(rbm, rows + done * model->row_size, m));
        GM_TRY(gm_tape_status(model->tape));
        for (int64_t i = 0; i < m; i++) energies[done + i] = (double)gm_value(model->tape, f)[i];
    }
    GM_TRY(gm_model_check_reals(model, "free_energy", energies, count, 1));
out:
    return status;
}

gm_status gm_rbm_hidden_probabilities(gm_rbm *rbm, const float *rows, int64_t count,
                                      float *probabilities)
{
    if (!rbm) return GM_E_INVALID;
    gm_model *model = &rbm->model;
    gm_status status;
    GM_TRY(check_rows(rbm, "hidden_probabilities", rows, count, probabilities));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var x = record_rows(rbm, rows + done * model->row_size, m);
        gm_var p = gm_sigmoid(model->tape, gm_rbm_apply_hidden(model->tape, rbm, x));
        GM_TRY(gm_tape_status(model->tape));
        memcpy(probabilities + done * rbm->hidden, gm_value(model->tape, p),
               (size_t)(m * rbm->hidden) * sizeof *probabilities);
    }
    GM_TRY(gm_model_check_floats(model, "hidden_probabilities", probabilities, count, rbm->hidden));
out:
    return status;
}

/* Steps of block Gibbs sampling on states [n, visible], a recording each, so that memory does not
 * grow with them. means: NULL, or p(v | h) of the last. */
/* The part of `whole` that step k of `steps` adds. */
static int64_t share(int64_t whole, int64_t k, int64_t steps)
{
    return whole / steps + (k < whole % steps);
}

static gm_status walk(gm_rbm *rbm, float *states, int64_t n, int64_t steps, float *means)
{
    gm_tape *tape = rbm->model.tape;
    const size_t bytes = (size_t)(n * rbm->model.row_size) * sizeof *states;
    gm_status status = GM_OK;
    for (int64_t k = 0; k < steps; k++) {
        gm_model_record(&rbm->model, GM_TAPE_CONSTANT);
        gm_var h =
            gm_bernoulli_draw(tape, gm_rbm_apply_hidden(tape, rbm, record_rows(rbm, states, n)));
        gm_var logits = gm_rbm_apply_visible(tape, rbm, h);
        gm_var v = gm_bernoulli_draw(tape, logits);
        gm_var mean = means && k == steps - 1 ? gm_sigmoid(tape, logits) : GM_NO_VAR;
        GM_TRY(gm_tape_status(tape));
        memcpy(states, gm_value(tape, v), bytes);
        if (means && k == steps - 1) memcpy(means, gm_value(tape, mean), bytes);
        GM_TRY(gm_model_advance(&rbm->model, share(n * rbm->model.row_size, k, steps)));
    }
out:
    return status;
}

gm_status gm_rbm_gibbs(gm_rbm *rbm, int64_t count, int64_t steps,
                       const gm_progress_options *options, float *rows, float *means)
{
    if (!rbm) return GM_E_INVALID;
    gm_status status;
    const size_t mark = gm_model_enter(&rbm->model);
    GM_TRY(check_rows(rbm, "gibbs", rows, count, rows));
    if (steps < 1)
        GM_TRY(gm_model_fail(rbm->model.ctx, GM_E_INVALID,
                             "rbm: gibbs: steps is %lld, expected at least 1", (long long)steps));
    GM_TRY(gm_model_begin_call(&rbm->model, "rbm: gibbs", count * rbm->model.row_size, options));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        const int64_t at = done * rbm->model.row_size;
        GM_TRY(walk(rbm, rows + at, m, steps, means ? means + at : NULL));
    }
    GM_TRY(gm_model_check_floats(&rbm->model, "gibbs", means, count, rbm->model.row_size));
out:
    gm_model_end_call(&rbm->model);
    gm_model_leave(&rbm->model, mark);
    return status;
}

/* Room for the states of n chains. */
static gm_status take_states(gm_rbm *rbm, int64_t n, float **out)
{
    *out = gm_model_take(&rbm->model, (size_t)(n * rbm->model.row_size) * sizeof **out);
    if (*out) return GM_OK;
    return gm_model_fail(rbm->model.ctx, GM_E_NOMEM, "rbm: no memory for %lld chains",
                         (long long)n);
}

/* Hinton 2002: the gradient of the data's mean free energy less that of the chains' after k steps.
 */
static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_rbm *rbm = of(model);
    gm_tape *tape = model->tape;
    const int32_t mode = gm_tape_mode(tape);
    const int persistent = rbm->chains && mode & GM_TAPE_TRAIN;
    const int64_t n = persistent ? rbm->o.chains : batch->count;
    float *states;
    gm_status status;
    if (!model->optimizer && mode & GM_TAPE_TRAIN)
        GM_TRY(gm_model_fail(model->ctx, GM_E_STATE,
                             "rbm: fit: a frozen layer of a deep belief network"));
    GM_TRY(check_rows(rbm, "fit", batch->rows, batch->count, out));
    GM_TRY(take_states(rbm, n, &states));
    memcpy(states, persistent ? gm_param_value(rbm->chains) : batch->rows,
           (size_t)(n * model->row_size) * sizeof *states);
    GM_TRY(walk(rbm, states, n, rbm->o.steps, NULL));
    if (persistent) /* put back, as all state, if the step fails */
        memcpy(gm_param_value(rbm->chains), states, (size_t)(n * model->row_size) * sizeof *states);
    gm_model_record(model, mode);
    gm_var x = record_rows(rbm, batch->rows, batch->count);
    gm_var data = gm_mean(tape, gm_rbm_apply_free_energy(tape, rbm, x));
    gm_var chain = gm_mean(tape, gm_rbm_apply_free_energy(tape, rbm, record_rows(rbm, states, n)));
    gm_var again = gm_sigmoid(
        tape, gm_rbm_apply_visible(tape, rbm, gm_sigmoid(tape, gm_rbm_apply_hidden(tape, rbm, x))));
    gm_var error = gm_mean(tape, gm_square(tape, gm_sub(tape, again, x)));
    *out = gm_sub(tape, data, chain);
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *out));
    gm_metrics_add(metrics, "reconstruction", gm_scalar(tape, error));
    gm_metrics_add(metrics, "free_energy", gm_scalar(tape, data));
    GM_TRY(gm_tape_status(tape));
out:
    return status;
}

gm_status gm_rbm_draw(gm_rbm *rbm, int64_t n, float *states, float *means)
{
    toss(rbm->model.rng, states, n * rbm->model.row_size);
    return walk(rbm, states, n, rbm->o.sample_steps, means);
}

static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    gm_rbm *rbm = of(model);
    float *states;
    gm_status status = GM_OK;
    (void)labels;
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        const size_t mark = gm_model_mark(model);
        GM_TRY(take_states(rbm, m, &states));
        status = gm_rbm_draw(rbm, m, states, out + done * model->row_size);
        gm_model_give(model, mark);
        if (status) goto out;
    }
out:
    return status;
}

double gm_rbm_given_log_z(const gm_rbm *rbm, double *standard_error)
{
    const int given = rbm->log_z_at == rbm->model.steps;
    if (standard_error) *standard_error = given ? rbm->log_z_error : (double)NAN;
    return given ? rbm->log_z : (double)NAN;
}

static gm_status unknown_log_z(gm_rbm *rbm, const char *verb)
{
    return gm_model_fail(rbm->model.ctx, GM_E_STATE,
                         "%s: log Z of %lld by %lld units is not known; give one with "
                         "gm_rbm_set_log_z (gm_rbm_ais estimates it)",
                         verb, (long long)rbm->model.row_size, (long long)rbm->hidden);
}

gm_status gm_rbm_find_log_z(gm_rbm *rbm, const char *verb, double *out)
{
    gm_status status = GM_OK;
    *out = gm_rbm_given_log_z(rbm, NULL);
    if (isnan(*out)) status = gm_rbm_log_z(out, rbm);
    return status == GM_E_UNSUPPORTED ? unknown_log_z(rbm, verb) : status;
}

/* A log Z without an error is a sum over all states, the host's or one to be made; any other is an
 * estimate. */
gm_status gm_rbm_likelihood(gm_rbm *rbm, const char *verb, gm_likelihood *out)
{
    double error;
    const int given = !isnan(gm_rbm_given_log_z(rbm, &error));
    if (!given && rbm->model.row_size > GM_RBM_MOST_SUMMED && rbm->hidden > GM_RBM_MOST_SUMMED)
        return unknown_log_z(rbm, verb);
    const int exact = !given || (error >= 0 && error <= 0);
    out->kind = exact ? GM_LIKELIHOOD_EXACT : GM_LIKELIHOOD_ANNEALED;
    out->common_error = exact ? 0 : error;
    return GM_OK;
}

static gm_status likelihood(gm_model *model, int64_t samples, gm_likelihood *out)
{
    const gm_status status = gm_model_exact_likelihood(model, samples, out);
    return status ? status : gm_rbm_likelihood(of(model), "rbm: log_prob", out);
}

static gm_status log_prob(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error)
{
    (void)how;
    (void)error;
    gm_rbm *rbm = of(model);
    double log_z;
    gm_status status;
    GM_TRY(gm_rbm_find_log_z(rbm, "rbm: log_prob", &log_z));
    GM_TRY(gm_rbm_free_energy(rbm, batch->rows, batch->count, out));
    for (int64_t i = 0; i < batch->count; i++) out[i] = -out[i] - log_z;
out:
    return status;
}

/* What a file states of a machine, by name. */
static const char *key_of(char key[64], const char *prefix, const char *name)
{
    (void)snprintf(key, 64, "%s%s", prefix, name);
    return key;
}

static const gm_model_field stored[] = {
    GM_FIELD(gm_rbm_options, steps),
    GM_FIELD(gm_rbm_options, persistent),
    GM_FIELD(gm_rbm_options, chains),
    GM_FIELD(gm_rbm_options, sample_steps),
};

gm_status gm_rbm_put(gm_archive *archive, const char *prefix, gm_rbm *rbm)
{
    char key[64];
    double log_z_error;
    gm_status status;
    GM_TRY(gm_archive_set_int(archive, key_of(key, prefix, "rbm.visible"), rbm->model.row_size));
    GM_TRY(gm_archive_set_int(archive, key_of(key, prefix, "rbm.hidden"), rbm->hidden));
    GM_TRY(GM_PUT_FIELDS(archive, key_of(key, prefix, "rbm."), stored, &rbm->o));
    GM_TRY(gm_archive_set_real(archive, key_of(key, prefix, "rbm.log_z"),
                               gm_rbm_given_log_z(rbm, &log_z_error)));
    GM_TRY(gm_archive_set_real(archive, key_of(key, prefix, "rbm.log_z_error"), log_z_error));
    GM_TRY(gm_archive_put_params(archive, prefix, rbm->model.params));
    GM_TRY(gm_archive_put_params(archive, key_of(key, prefix, "state."), rbm->model.state));
out:
    return status;
}

/* Nothing is allocated on the word of a file: the stored arrays must have the sizes that it states.
 */
static gm_status check_stored(gm_archive *archive, const char *name, int64_t rows, int64_t columns)
{
    int64_t shape[GM_MAX_RANK];
    int32_t rank;
    const float *data;
    gm_status status;
    GM_TRY(gm_archive_get(&rank, &data, archive, name, shape));
    if (rank != 2 || shape[0] != rows || shape[1] != columns)
        GM_TRY(gm_model_fail(gm_archive_context(archive), GM_E_SHAPE,
                             "rbm: load: %s is not the [%lld, %lld] that the file states", name,
                             (long long)rows, (long long)columns));
out:
    return status;
}

gm_status gm_rbm_get(gm_rbm **out, gm_context *ctx, gm_archive *archive, const char *prefix,
                     gm_optimizer *optimizer, const gm_model *host)
{
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_rbm *rbm = NULL;
    int64_t visible, hidden;
    double log_z, log_z_error;
    char key[64];
    gm_status status;
    GM_TRY(gm_archive_get_int(&visible, archive, key_of(key, prefix, "rbm.visible")));
    GM_TRY(gm_archive_get_int(&hidden, archive, key_of(key, prefix, "rbm.hidden")));
    GM_TRY(GM_GET_FIELDS(archive, key_of(key, prefix, "rbm."), stored, &o));
    GM_TRY(gm_archive_get_real(&log_z, archive, key_of(key, prefix, "rbm.log_z")));
    GM_TRY(gm_archive_get_real(&log_z_error, archive, key_of(key, prefix, "rbm.log_z_error")));
    o.optimizer = optimizer;
    GM_TRY(check_stored(archive, key_of(key, prefix, "weight"), hidden, visible));
    if (o.persistent == 1)
        GM_TRY(check_stored(archive, key_of(key, prefix, "state.chains"), o.chains, visible));
    GM_TRY(gm_rbm_create_in(&rbm, ctx, visible, hidden, &o, host));
    GM_TRY(gm_archive_get_params(archive, prefix, rbm->model.params));
    GM_TRY(gm_archive_get_params(archive, key_of(key, prefix, "state."), rbm->model.state));
    rbm->log_z_error = log_z_error;
    rbm->log_z = log_z; /* of as many updates as the caller says */
    *out = rbm;
    return GM_OK;
out:
    gm_rbm_release(rbm);
    return status;
}

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    (void)checkpoint;
    return gm_rbm_put(archive, "", of(model));
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    gm_rbm *rbm = NULL;
    int64_t steps;
    gm_status status;
    GM_TRY(gm_archive_get_int(&steps, archive, "gm.steps"));
    GM_TRY(gm_rbm_get(&rbm, ctx, archive, "", optimizer, NULL));
    rbm->log_z_at = steps;
    *out = &rbm->model;
out:
    return status;
}

const gm_family gm_family_rbm = {
    .name = "rbm",
    .loss = loss,
    .sample = sample,
    .log_prob = log_prob,
    .likelihood = likelihood,
    .save = save,
    .load = load,
    .destroy = destroy,
};
