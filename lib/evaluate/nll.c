/* nll.c - the mean of -log p(x) over a dataset, by whatever log p the family has. */
#include <math.h>

#include "evaluate/result.h"
#include "gm/evaluate.h"

typedef struct nll {
    gm_model *model;
    gm_dataset *data;
    gm_nll_options o;
    int64_t count; /* rows */
    int64_t *index;
    float *rows, *labels;
    gm_likelihood likelihood;
    double *out, *error;
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
    if (o->batch < 1 || o->limit < 0 || o->samples < 0)
        return gm_model_fail(
            model->ctx, GM_E_INVALID,
            "nll: batch is %lld (at least 1 is expected), limit %lld and samples %lld "
            "(at least 0)",
            (long long)o->batch, (long long)o->limit, (long long)o->samples);
    if (gm_dataset_row_size(e->data) != model->row_size)
        return gm_model_fail(model->ctx, GM_E_SHAPE,
                             "nll: rows have %lld values, the model's have %lld",
                             (long long)gm_dataset_row_size(e->data), (long long)model->row_size);
    if (gm_dataset_context(e->data) != model->ctx)
        return gm_model_fail(model->ctx, GM_E_INVALID, "nll: the dataset is of another context");
    return gm_model_check_labels(model, e->data, "nll");
}

static gm_status open_block(nll *e)
{
    gm_model *model = e->model;
    int64_t batch = e->o.batch < e->count ? e->o.batch : e->count;
    e->o.batch = batch;
    if (model->row_size > INT64_MAX / 64 / batch)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "nll: batch is %lld, more than can be addressed", (long long)batch);
    e->index = gm_model_take(model, (size_t)batch * (sizeof(int64_t) + 2 * sizeof(double)) +
                                        (size_t)(batch * (model->row_size + 1)) * sizeof(float));
    if (!e->index)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "nll: no memory for a batch of %lld rows",
                             (long long)batch);
    e->out = (double *)(e->index + batch);
    e->error = e->out + batch;
    e->rows = (float *)(e->error + batch);
    e->labels = e->rows + batch * model->row_size;
    return GM_OK;
}

/* Log p of rows done .. done + n - 1, into e->out and e->error. */
static gm_status score(nll *e, int64_t done, int64_t n)
{
    gm_model *model = e->model;
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_batch batch = { .rows = e->rows, .labels = model->classes ? e->labels : NULL, .count = n };
    gm_status status;
    how.samples = e->o.samples;
    for (int64_t i = 0; i < n; i++) e->index[i] = done + i;
    GM_TRY(gm_dataset_read(e->data, e->index, n, 0, e->rows));
    if (model->classes) GM_TRY(gm_model_read_labels(model, e->data, e->index, n, e->labels));
    GM_TRY(gm_model_score_batch(model, &batch, &how, &e->likelihood, e->out, e->error));
    for (int64_t i = 0; i < n; i++)
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
    double mean = 0, squares = 0, variance = 0, n = (double)e->count;
    gm_counter counter = { e->model->ctx, "nll", "rows", e->o.on_progress, e->o.user, 0, e->count };
    gm_status status = GM_OK;
    for (int64_t done = 0; done < e->count;) {
        int64_t m = e->count - done < e->o.batch ? e->count - done : e->o.batch;
        GM_TRY(score(e, done, m));
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
    r.standard_error = e->count > 1 ? sqrt(squares / (n - 1) / n) : (double)NAN;
    r.rows = e->count;
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
    nll e = { .model = model, .data = data, .o = GM_NLL_OPTIONS_INIT };
    const size_t mark = gm_model_mark(model);
    gm_rng_state before;
    gm_status status;
    gm_rng_save(&before, model->rng);
    GM_TRY(gm_result_check(model->ctx, "nll", out));
    if (!data) GM_TRY(gm_model_fail(model->ctx, GM_E_INVALID, "nll: dataset is NULL"));
    GM_TRY(gm_options_read(model->ctx, "nll", &e.o, sizeof e.o, options));
    GM_TRY(check(&e));
    e.count = gm_dataset_rows(data);
    if (e.o.limit && e.o.limit < e.count) e.count = e.o.limit;
    GM_TRY(open_block(&e));
    gm_rng_seed(model->rng, e.o.seed); /* looking does not change what the model draws next */
    GM_TRY(run(&e, out));
out:
    gm_rng_restore(model->rng, &before);
    gm_model_give(model, mark);
    return status;
}
