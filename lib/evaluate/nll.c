/* nll.c - the mean of -log p(x) over a dataset, by whatever log p the family has. */
#include <math.h>

#include "evaluate/result.h"
#include "gm/evaluate.h"
#include "models/row_reader.h"

typedef struct nll {
    gm_model *model;
    gm_nll_options o;
    gm_row_reader reader;
    gm_likelihood likelihood;
    double *out, *error; /* of a batch */
} nll;

static gm_status check(const nll *e)
{
    gm_model *model = e->model;
    const gm_nll_options *o = &e->o;
    if (!gm_model_supports(model, GM_VERB_LOG_PROB))
        return gm_model_fail(
            model->ctx, GM_E_UNSUPPORTED,
            "nll: the family %s has no log_prob; its samples can be compared with data",
            model->family->name);
    if (o->samples < 0)
        return gm_model_fail(model->ctx, GM_E_INVALID, "nll: samples is %lld, expected at least 0",
                             (long long)o->samples);
    return GM_OK;
}

static gm_status allocate(nll *e)
{
    e->out = gm_model_take(e->model, 2 * (size_t)e->reader.batch * sizeof *e->out);
    if (!e->out)
        return gm_model_fail(e->model->ctx, GM_E_NOMEM, "nll: no memory for a batch of %lld rows",
                             (long long)e->reader.batch);
    e->error = e->out + e->reader.batch;
    return GM_OK;
}

/* Log p of the batch that begins at row `done`, into e->out and e->error. */
static gm_status score(nll *e, int64_t done, int64_t *count)
{
    gm_model *model = e->model;
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_batch batch;
    gm_status status;
    how.samples = e->o.samples;
    GM_TRY(gm_row_reader_next(&e->reader, done, &batch));
    *count = batch.count;
    GM_TRY(gm_model_score_batch(model, &batch, &how, &e->likelihood, e->out, e->error));
    for (int64_t i = 0; i < batch.count; i++)
        if (isnan(e->out[i]))
            GM_TRY(gm_model_fail(model->ctx, GM_E_NUMERIC, "nll: log p of row %lld is nan",
                                 (long long)(done + i)));
out:
    return status;
}

static gm_status run(nll *e, gm_result *out)
{
    const gm_likelihood *found = &e->likelihood;
    gm_result r = GM_RESULT_INIT;
    const int64_t rows = e->reader.rows;
    double mean = 0, squares = 0, variance = 0, n = (double)rows;
    gm_counter counter = { e->model->ctx, "nll", "rows", e->o.on_progress, e->o.user, 0, rows };
    gm_status status = GM_OK;
    for (int64_t done = 0; done < rows;) {
        int64_t m;
        GM_TRY(score(e, done, &m));
        for (int64_t i = 0; i < m; i++) { /* Welford 1962 */
            double value = -e->out[i], away = value - mean;
            mean += away / (double)(done + i + 1);
            squares += away * (value - mean);
            variance += e->error[i] * e->error[i];
            if (e->o.log_prob) e->o.log_prob[done + i] = e->out[i];
        }
        done += m;
        GM_TRY(gm_counter_add(&counter, m));
    }
    r.value = mean;
    r.standard_error = rows > 1 ? sqrt(squares / (n - 1) / n) : (double)NAN;
    r.rows = rows;
    r.protocol = gm_likelihood_name(found->kind);
    r.k = found->samples;
    r.seed = found->samples ? e->o.seed : 0;
    r.sampling_error = sqrt(variance / n / n + found->common_error * found->common_error);
    gm_result_give(out, &r);
out:
    return status;
}

gm_status gm_evaluate_nll(gm_result *out, gm_model *model, gm_dataset *data,
                          const gm_nll_options *options)
{
    if (!model) return GM_E_INVALID;
    nll e = { .model = model, .o = GM_NLL_OPTIONS_INIT };
    gm_rng_state before;
    gm_status status;
    gm_rng_save(&before, model->rng);
    GM_TRY(gm_result_check(model->ctx, "nll", out));
    GM_TRY(gm_options_read(model->ctx, "nll", &e.o, sizeof e.o, options));
    GM_TRY(check(&e));
    GM_TRY(gm_row_reader_open(&e.reader, "nll", model, data, e.o.batch, e.o.limit));
    GM_TRY(allocate(&e));
    gm_rng_seed(model->rng, e.o.seed); /* looking does not change what the model draws next */
    GM_TRY(run(&e, out));
out:
    gm_rng_restore(model->rng, &before);
    gm_row_reader_close(&e.reader);
    return status;
}
