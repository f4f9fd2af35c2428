/* sbn_likelihood.c - the likelihood of given rows under a sigmoid belief network: log p(x, h),
 * draws of q, the importance estimate of log p(x), and its exact value by enumeration. */
#include <math.h>
#include <string.h>

#include "gm/loss.h"
#include "gm/ops.h"
#include "models/belief/bits.h"
#include "models/belief/sbn_net.h"
#include "models/family.h"
#include "models/frozen.h"
#include "models/log_mean.h"
#include "models/numeric.h"

#define MAX_LAYERS GM_SBN_MAX_LAYERS
#define MOST_UNITS GM_SBN_MOST_ENUMERATED
#define DRAWS_AT_ONCE 2048

static gm_status check(gm_sbn *sbn, const char *verb, const float *rows, int64_t n, const void *out)
{
    gm_model *model = gm_sbn_model(sbn);
    const gm_status status = gm_model_check_arrays(model, verb, rows, n, out);
    if (status) return status;
    return gm_model_check_bits(gm_sbn_model(sbn), verb, 1, rows, n, model->row_size);
}

gm_status gm_sbn_log_joint(gm_sbn *sbn, const float *rows, const float *hidden, int64_t count,
                           double *log_joint)
{
    if (!sbn) return GM_E_INVALID;
    gm_model *model = gm_sbn_model(sbn);
    const int64_t units = gm_sbn_hidden_units(sbn);
    gm_status status;
    GM_TRY(check(sbn, "log_joint", rows, count, log_joint));
    if (!hidden) GM_TRY(gm_model_fail(model->ctx, GM_E_INVALID, "sbn: log_joint: hidden is NULL"));
    GM_TRY(gm_model_check_bits(gm_sbn_model(sbn), "log_joint: hidden", 1, hidden, count, units));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_var layers[MAX_LAYERS + 1];
        gm_model_record(model, GM_TAPE_CONSTANT);
        layers[0] = gm_sbn_record_rows(sbn, rows + done * model->row_size, m);
        gm_sbn_record_hidden(sbn, hidden + done * units, m, layers);
        gm_var joint = gm_sbn_apply_joint(model->tape, sbn, layers, NULL);
        GM_TRY(gm_tape_status(model->tape));
        for (int64_t i = 0; i < m; i++)
            log_joint[done + i] = (double)gm_value(model->tape, joint)[i];
    }
    GM_TRY(gm_model_check_reals(model, "log_joint", log_joint, count, 1));
out:
    return status;
}

gm_status gm_sbn_recognise(gm_sbn *sbn, const float *rows, int64_t count, float *hidden,
                           float *probabilities, double *log_q)
{
    if (!sbn) return GM_E_INVALID;
    gm_model *model = gm_sbn_model(sbn);
    gm_tape *tape = model->tape;
    const int64_t units = gm_sbn_hidden_units(sbn);
    gm_status status;
    GM_TRY(check(sbn, "recognise", rows, count, hidden));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_var layers[MAX_LAYERS + 1], logits[MAX_LAYERS + 1];
        int64_t at = 0;
        gm_model_record(model, GM_TAPE_CONSTANT);
        layers[0] = gm_sbn_record_rows(sbn, rows + done * model->row_size, m);
        gm_sbn_record_draws(sbn, 1, layers, logits);
        gm_var minus_log_q = gm_sbn_record_minus_log_q(sbn, 1, layers, logits);
        for (int32_t l = 1; l <= gm_sbn_layers(sbn); l++) {
            const int64_t size = gm_sbn_layer_size(sbn, l);
            gm_var chance = gm_sigmoid(tape, logits[l]);
            GM_TRY(gm_tape_status(tape));
            for (int64_t r = 0; r < m; r++) {
                const int64_t to = (done + r) * units + at;
                memcpy(hidden + to, gm_value(tape, layers[l]) + r * size,
                       (size_t)size * sizeof *hidden);
                if (probabilities)
                    memcpy(probabilities + to, gm_value(tape, chance) + r * size,
                           (size_t)size * sizeof *hidden);
            }
            at += size;
        }
        for (int64_t r = 0; log_q && r < m; r++)
            log_q[done + r] = -(double)gm_value(tape, minus_log_q)[r];
    }
    GM_TRY(gm_model_check_floats(model, "recognise", probabilities, count, units));
    GM_TRY(gm_model_check_reals(model, "recognise", log_q, count, 1));
out:
    return status;
}

gm_status gm_sbn_log_prob(gm_sbn *sbn, const float *rows, int64_t n,
                          const gm_log_prob_options *options, double *out, double *standard_error,
                          double *elbo)
{
    if (!sbn) return GM_E_INVALID;
    gm_model *model = gm_sbn_model(sbn);
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_likelihood found = GM_LIKELIHOOD_INIT;
    gm_status status;
    const size_t mark = gm_model_enter(model);
    GM_TRY(check(sbn, "log_prob", rows, n, out));
    GM_TRY(gm_log_prob_options_read(model->ctx, "sbn: log_prob", &how, options));
    if (!gm_sbn_has_recognition(sbn))
        GM_TRY(gm_model_fail(model->ctx, GM_E_UNSUPPORTED,
                             "sbn: log_prob: there is no recognition network"));
    GM_TRY(model->family->likelihood(model, how.samples, &found));
    const int64_t samples = found.samples;
    for (int64_t r = 0; r < n; r++) {
        gm_log_mean weights = GM_LOG_MEAN_INIT;
        double sum = 0, error;
        for (int64_t done = 0; done < samples;) {
            const int64_t k = samples - done < DRAWS_AT_ONCE ? samples - done : DRAWS_AT_ONCE;
            gm_var layers[MAX_LAYERS + 1], logits[MAX_LAYERS + 1];
            gm_model_record(model, GM_TAPE_CONSTANT);
            layers[0] = gm_sbn_record_rows(sbn, rows + r * model->row_size, 1);
            gm_sbn_record_draws(sbn, k, layers, logits);
            gm_var f = gm_add(model->tape, gm_sbn_apply_joint(model->tape, sbn, layers, NULL),
                              gm_sbn_record_minus_log_q(sbn, k, layers, logits));
            GM_TRY(gm_tape_status(model->tape));
            for (int64_t i = 0; i < k; i++) {
                const double log_weight = (double)gm_value(model->tape, f)[i];
                gm_log_mean_add(&weights, log_weight);
                sum += log_weight;
            }
            done += k;
        }
        out[r] = gm_log_mean_get(&weights, samples, &error);
        if (standard_error) standard_error[r] = samples < 2 ? NAN : error;
        if (elbo) elbo[r] = sum / (double)samples;
        GM_TRY(gm_model_progress(model->ctx, "sbn: log_prob", how.on_progress, how.user, r + 1, n));
    }
    GM_TRY(gm_model_check_reals(model, "log_prob", out, n, 1));
    GM_TRY(gm_model_check_reals(model, "log_prob", elbo, n, 1));
out:
    gm_model_leave(model, mark);
    return status;
}

/* States first .. first + m - 1 of the hidden units: unit j is bit j of the state's number. */
static void spell(float *hidden, int64_t first, int64_t m, int64_t units)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < units; j++) hidden[i * units + j] = (float)((first + i) >> j & 1);
}

gm_status gm_sbn_enumerate(gm_sbn *sbn, const float *rows, int64_t count,
                           const gm_progress_options *options, double *log_prob, double *posterior)
{
    if (!sbn) return GM_E_INVALID;
    gm_model *model = gm_sbn_model(sbn);
    const int64_t units = gm_sbn_hidden_units(sbn);
    const size_t mark = gm_model_enter(model);
    gm_status status;
    float *hidden;
    GM_TRY(check(sbn, "enumerate", rows, count, log_prob));
    GM_TRY(gm_model_check_trains(model, "enumerate"));
    if (units > MOST_UNITS)
        GM_TRY(gm_model_fail(
            model->ctx, GM_E_UNSUPPORTED,
            "sbn: enumerate: %lld hidden units have 2^%lld states; at most %d units are "
            "enumerated (2^%d states a row)",
            (long long)units, (long long)units, MOST_UNITS, MOST_UNITS));
    const int64_t states = (int64_t)1 << units;
    const int64_t group = states < DRAWS_AT_ONCE ? states : DRAWS_AT_ONCE;
    hidden = gm_sbn_take(sbn, group * units);
    if (!hidden)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "sbn: enumerate: no memory for states"));
    GM_TRY(gm_model_begin_call(model, "sbn: enumerate", count, options));
    for (int64_t r = 0; r < count; r++) {
        double most = -INFINITY, sum = 0, *mean = posterior ? posterior + r * units : NULL;
        for (int64_t j = 0; mean && j < units; j++) mean[j] = 0;
        for (int64_t first = 0; first < states; first += group) {
            gm_var layers[MAX_LAYERS + 1];
            spell(hidden, first, group, units);
            gm_model_record(model, GM_TAPE_CONSTANT);
            layers[0] = gm_sbn_record_rows(sbn, rows + r * model->row_size, 1);
            gm_sbn_record_hidden(sbn, hidden, group, layers);
            gm_var joint = gm_sbn_apply_joint(model->tape, sbn, layers, NULL);
            GM_TRY(gm_tape_status(model->tape));
            for (int64_t i = 0; i < group; i++) {
                const double f = (double)gm_value(model->tape, joint)[i];
                if (f > most) {
                    const double shrink = exp(most - f);
                    sum *= shrink;
                    for (int64_t j = 0; mean && j < units; j++) mean[j] *= shrink;
                    most = f;
                }
                const double e = exp(f - most);
                sum += e;
                for (int64_t j = 0; mean && j < units; j++)
                    if ((first + i) >> j & 1) mean[j] += e;
            }
        }
        log_prob[r] = most + log(sum);
        for (int64_t j = 0; mean && j < units; j++) mean[j] /= sum;
        GM_TRY(gm_model_advance(model, 1));
    }
    GM_TRY(gm_model_check_reals(model, "enumerate", log_prob, count, 1));
    GM_TRY(gm_model_check_reals(model, "enumerate", posterior, count, units));
out:
    gm_model_end_call(model);
    gm_model_leave(model, mark);
    return status;
}
