/* likelihood.c - log p of rows, and what kind of number it is. */
#include <string.h>

#include "models/family.h"

static gm_status refuse_samples(gm_model *model, const char *verb, int64_t samples)
{
    return gm_model_fail(model->ctx, GM_E_UNSUPPORTED,
                         "%s: %s: samples is %lld, but its log p takes none; 0 is expected",
                         model->family->name, verb, (long long)samples);
}

gm_status gm_model_exact_likelihood(gm_model *model, int64_t samples, gm_likelihood *out)
{
    if (samples) return refuse_samples(model, "log_prob", samples);
    out->kind = GM_LIKELIHOOD_EXACT;
    return GM_OK;
}

const char *gm_likelihood_name(int32_t kind)
{
    static const char *const names[] = { "exact", "importance", "annealed", "bound" };
    return kind >= 0 && kind < (int32_t)(sizeof names / sizeof *names) ? names[kind] : "unknown";
}

static gm_status lacks(gm_model *model, const char *verb)
{
    return gm_model_fail(model->ctx, GM_E_UNSUPPORTED, "%s: this family has no %s",
                         model->family->name, verb);
}

static gm_status check_size(gm_model *model, const char *verb, const gm_likelihood *out)
{
    if (out->size >= sizeof out->size && out->size <= sizeof *out) return GM_OK;
    return gm_model_fail(model->ctx, GM_E_INVALID,
                         "%s: %s: size of the result is %zu, this library knows %zu",
                         model->family->name, verb, out->size, sizeof *out);
}

/* As much as the caller's struct has room for. */
static void give(gm_likelihood *out, const gm_likelihood *found)
{
    const size_t size = out->size;
    memcpy(out, found, size);
    out->size = size;
}

gm_status gm_model_likelihood(gm_likelihood *out, gm_model *model)
{
    gm_likelihood found = GM_LIKELIHOOD_INIT;
    gm_status status;
    if (!model) return GM_E_INVALID;
    if (!out)
        return gm_model_fail(model->ctx, GM_E_INVALID, "%s: likelihood: out is NULL",
                             model->family->name);
    if (!gm_model_supports(model, GM_VERB_LOG_PROB)) return lacks(model, "log_prob");
    GM_TRY(check_size(model, "likelihood", out));
    GM_TRY(model->family->likelihood(model, 0, &found));
    give(out, &found);
out:
    return status;
}

gm_status gm_model_score_batch(gm_model *model, const gm_batch *batch, int64_t samples,
                               gm_likelihood *likelihood, double *out, double *error)
{
    gm_likelihood found = GM_LIKELIHOOD_INIT;
    gm_status status;
    GM_TRY(model->family->likelihood(model, samples, &found));
    for (int64_t i = 0; error && i < batch->count; i++) error[i] = 0;
    GM_TRY(model->family->log_prob(model, batch, found.samples, out, error));
    for (int64_t i = 0; error && found.samples == 1 && i < batch->count; i++)
        error[i] = (double)NAN;
    if (likelihood) *likelihood = found;
out:
    return status;
}

gm_status gm_model_log_prob_estimate(gm_likelihood *likelihood, gm_model *model, const float *rows,
                                     int64_t count, int64_t samples, double *log_prob,
                                     double *standard_error)
{
    gm_likelihood found;
    gm_status status;
    if (!model) return GM_E_INVALID;
    if (!gm_model_supports(model, GM_VERB_LOG_PROB)) return lacks(model, "log_prob");
    if (!rows || !log_prob || count < 1 || samples < 0)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: log_prob: rows or out is NULL, or count is %lld (at least 1), or "
                             "samples %lld (at least 0)",
                             model->family->name, (long long)count, (long long)samples);
    gm_batch batch = { .rows = rows, .count = count };
    if (likelihood) GM_TRY(check_size(model, "log_prob", likelihood));
    GM_TRY(gm_model_labels_for(model, "log_prob", count, &batch.labels));
    GM_TRY(gm_model_score_batch(model, &batch, samples, &found, log_prob, standard_error));
    if (likelihood) give(likelihood, &found);
out:
    return status;
}

gm_status gm_model_log_prob(gm_model *model, const float *rows, int64_t count, double *out)
{
    return gm_model_log_prob_estimate(NULL, model, rows, count, 0, out, NULL);
}
