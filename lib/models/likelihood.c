/* likelihood.c - log p of rows, and what kind of number it is. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/family.h"
#include "models/frozen.h"
#include "models/numeric.h"

static gm_status refuse_samples(gm_model *model, const char *verb, int64_t samples)
{
    return gm_model_fail(model->ctx, GM_E_UNSUPPORTED,
                         "%s: %s: samples is %lld, expected 0: its log p takes none",
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
    if (gm_model_size_fits(out->size, sizeof *out)) return GM_OK;
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

gm_status gm_model_progress(gm_context *ctx, const char *what, gm_progress_callback *on_progress,
                            void *user, int64_t done, int64_t total)
{
    if (!on_progress || !on_progress(user, done, total)) return GM_OK;
    return gm_model_fail(ctx, GM_E_CANCELLED, "%s: stopped by the host after %lld of %lld", what,
                         (long long)done, (long long)total);
}

gm_status gm_model_begin_call(gm_model *model, const char *what, int64_t total,
                              const gm_progress_options *options)
{
    gm_model_call call = { .options = GM_PROGRESS_OPTIONS_INIT, .total = total };
    const gm_status status =
        gm_options_read(model->ctx, what, &call.options, sizeof call.options, options);
    if (status) return status;
    if (call.options.on_progress) call.what = what;
    model->call = call;
    return GM_OK;
}

gm_status gm_model_advance(gm_model *model, int64_t part)
{
    gm_model_call call = model->call;
    if (!call.what || !part) return GM_OK;
    call.done += part;
    gm_model_end_call(model);
    const gm_status status = gm_model_progress(model->ctx, call.what, call.options.on_progress,
                                               call.options.user, call.done, call.total);
    model->call = call;
    return status;
}

void gm_model_end_call(gm_model *model)
{
    model->call = (gm_model_call){ .what = NULL };
}

gm_status gm_log_prob_options_read(gm_context *ctx, const char *what, gm_log_prob_options *out,
                                   const gm_log_prob_options *given)
{
    const gm_status status = gm_options_read(ctx, what, out, sizeof *out, given);
    if (status || out->samples >= 0) return status;
    return gm_model_fail(ctx, GM_E_INVALID, "%s: samples is %lld, expected at least 0", what,
                         (long long)out->samples);
}

/* A family that takes samples reports progress itself; others go through their groups of rows,
 * which change no value. */
static gm_status score_groups(gm_model *model, const gm_batch *batch,
                              const gm_log_prob_options *how, double *out, double *error)
{
    const gm_family *family = model->family;
    const int64_t group = how->samples || !how->on_progress ? batch->count : GM_MODEL_GROUP;
    char what[64];
    gm_status status = GM_OK;
    if (how->on_progress) (void)snprintf(what, sizeof what, "%s: log_prob", family->name);
    for (int64_t done = 0; done < batch->count;) {
        gm_batch part = *batch;
        part.count = batch->count - done < group ? batch->count - done : group;
        part.rows += done * model->row_size;
        if (part.labels) part.labels += done;
        if (part.index) part.index += done;
        const size_t mark = gm_model_mark(model);
        status = family->log_prob(model, &part, how, out + done, error ? error + done : NULL);
        gm_model_give(model, mark);
        if (status) goto out;
        done += part.count;
        if (!how->samples)
            GM_TRY(gm_model_progress(model->ctx, what, how->on_progress, how->user, done,
                                     batch->count));
    }
out:
    return status;
}

gm_status gm_model_score_batch(gm_model *model, const gm_batch *batch,
                               const gm_log_prob_options *options, gm_likelihood *likelihood,
                               double *out, double *error)
{
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_likelihood found = GM_LIKELIHOOD_INIT;
    gm_status status;
    if (options) how = *options;
    GM_TRY(gm_model_check_idle(model, "log_prob"));
    GM_TRY(model->family->likelihood(model, how.samples, &found));
    how.samples = found.samples;
    for (int64_t i = 0; error && i < batch->count; i++) error[i] = 0;
    GM_TRY(score_groups(model, batch, &how, out, error));
    for (int64_t i = 0; error && found.samples == 1 && i < batch->count; i++)
        error[i] = (double)NAN;
    if (likelihood) *likelihood = found;
out:
    return status;
}

static gm_status estimate(gm_likelihood *likelihood, gm_model *model, const float *rows,
                          int64_t count, const gm_log_prob_options *options, double *log_prob,
                          double *standard_error)
{
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_likelihood found;
    gm_status status;
    if (!gm_model_supports(model, GM_VERB_LOG_PROB)) return lacks(model, "log_prob");
    const size_t mark = gm_model_enter(model);
    if (!rows || !log_prob || count < 1)
        GM_TRY(gm_model_fail(
            model->ctx, GM_E_INVALID,
            "%s: log_prob: rows or log_prob is NULL, or count is %lld, expected at least 1",
            model->family->name, (long long)count));
    gm_batch batch = { .rows = rows, .count = count };
    if (likelihood) GM_TRY(check_size(model, "log_prob", likelihood));
    GM_TRY(gm_log_prob_options_read(model->ctx, "log_prob", &how, options));
    GM_TRY(gm_model_labels_for(model, "log_prob", count, &batch.labels));
    GM_TRY(gm_model_score_batch(model, &batch, &how, &found, log_prob, standard_error));
    GM_TRY(gm_model_check_reals(model, "log_prob", log_prob, count, 1));
    if (likelihood) give(likelihood, &found);
out:
    gm_model_leave(model, mark);
    return status;
}

gm_status gm_model_log_prob_estimate(gm_likelihood *likelihood, gm_model *model, const float *rows,
                                     int64_t count, const gm_log_prob_options *options,
                                     double *log_prob, double *standard_error)
{
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    GM_ALONE(ctx, estimate(likelihood, model, rows, count, options, log_prob, standard_error));
}

gm_status gm_model_log_prob(gm_model *model, const float *rows, int64_t count, double *log_prob)
{
    return gm_model_log_prob_estimate(NULL, model, rows, count, NULL, log_prob, NULL);
}
