/* impute.c - completing rows of any pattern: sampling importance resampling where the model's order
 * does not allow better. */
#include <math.h>
#include <string.h>

#include "gm/autoregressive.h"
#include "models/autoregressive/conditionals.h"
#include "models/family.h"
#include "models/numeric.h"

/* What one row's proposals need. */
typedef struct proposals {
    gm_model *model;
    int64_t draws;
    float *rows;    /* [draws, row size] */
    uint8_t *known; /* [draws, row size] */
    double *weight; /* [draws]; log weights, then weights that sum to 1 */
    float *labels;  /* [draws]; NULL: the model takes none */
    float *filled;  /* [count, row size]: the answer, until all of it is there */
} proposals;

/* Log weights to weights. The effective sample size, or 0 if there is no weight at all. */
static double normalise(double *weight, int64_t n)
{
    double most = -INFINITY, sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, weight[i]);
    if (!isfinite(most)) return 0;
    for (int64_t i = 0; i < n; i++) sum += weight[i] = exp(weight[i] - most);
    for (int64_t i = 0; i < n; i++) {
        weight[i] /= sum;
        squares += weight[i] * weight[i];
    }
    return 1 / squares;
}

/* Completes one row into `out`. */
static gm_status complete(const proposals *p, const float *row, const uint8_t *known, int64_t place,
                          const gm_impute_options *o, float *out)
{
    gm_model *model = p->model;
    const int64_t size = model->row_size;
    gm_status status;
    for (int64_t d = 0; d < p->draws; d++) {
        memcpy(p->known + d * size, known, (size_t)size);
        for (int64_t i = 0; i < size; i++) p->rows[d * size + i] = known[i] ? row[i] : 0;
        p->weight[d] = 0;
    }
    GM_TRY(model->family->autoregressive->fill(model, p->rows, p->labels, p->known, p->draws,
                                               p->weight, 1));
    const double ess = normalise(p->weight, p->draws);
    if (!(ess > 0))
        GM_TRY(gm_model_fail(
            model->ctx, GM_E_NUMERIC,
            "%s: impute: what is given of row %lld has probability zero in all %lld proposals",
            model->family->name, (long long)place, (long long)p->draws));
    if (o->ess) o->ess[place] = ess;
    if (o->mean) {
        for (int64_t i = 0; i < size; i++) {
            double sum = 0;
            for (int64_t d = 0; d < p->draws; d++)
                sum += p->weight[d] * (double)p->rows[d * size + i];
            out[i] = known[i] ? row[i] : (float)sum;
        }
        return GM_OK;
    }
    int64_t chosen = 0;
    double u = gm_rng_double(model->rng) - p->weight[0];
    while (u >= 0 && chosen < p->draws - 1) u -= p->weight[++chosen];
    memcpy(out, p->rows + chosen * size, (size_t)size * sizeof *out);
out:
    return status;
}

static gm_status check(gm_model *model, const float *rows, const uint8_t *known, int64_t count,
                       const gm_impute_options *o)
{
    const char *name = model->family->name;
    if (!model->family->autoregressive)
        return gm_model_fail(model->ctx, GM_E_UNSUPPORTED,
                             "%s: impute: not an autoregressive family", name);
    if (!rows || !known || count < 1 || o->draws < 1)
        return gm_model_fail(
            model->ctx, GM_E_INVALID,
            "%s: impute: an array is NULL, count is %lld, draws is %lld, expected at least 1", name,
            (long long)count, (long long)o->draws);
    const uint64_t most = SIZE_MAX / sizeof(double) / (uint64_t)model->row_size;
    if ((uint64_t)count > most || (uint64_t)o->draws > most)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: impute: %lld rows, %lld draws: more values than can be addressed",
                             name, (long long)count, (long long)o->draws);
    if (o->mean && gm_autoregressive_kind(model) == GM_CONDITIONAL_CATEGORICAL)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: impute: mean is %d, but class numbers have no mean", name,
                             (int)o->mean);
    return gm_conditional_check(model, "impute", gm_autoregressive_kind(model),
                                gm_autoregressive_width(model), 0, rows, known, count);
}

gm_status gm_autoregressive_impute(gm_model *model, const uint8_t *known, int64_t count,
                                   const gm_impute_options *options, float *rows)
{
    if (!model) return GM_E_INVALID;
    gm_context *ctx = model->ctx;
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    proposals p = { .model = model };
    const size_t mark = gm_model_enter(model);
    const float *labels;
    gm_status status;
    GM_TRY(gm_options_read(ctx, "impute", &o, sizeof o, options));
    GM_TRY(check(model, rows, known, count, &o));
    GM_TRY(gm_model_labels_for(model, "impute", count, &labels));
    const int64_t size = model->row_size;
    p.draws = o.draws;
    p.rows = gm_model_take(model, (size_t)(o.draws * size) * sizeof *p.rows);
    p.known = gm_model_take(model, (size_t)(o.draws * size));
    p.weight = gm_model_take(model, (size_t)o.draws * sizeof *p.weight);
    if (labels) p.labels = gm_model_take(model, (size_t)o.draws * sizeof *p.labels);
    p.filled = gm_model_take(model, (size_t)(count * size) * sizeof *p.filled);
    if (!p.rows || !p.known || !p.weight || !p.filled || (labels && !p.labels))
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "%s: impute: no memory for %lld rows and %lld draws",
                             model->family->name, (long long)count, (long long)o.draws));
    const gm_progress_options progress = { sizeof progress, o.on_progress, o.user };
    if (count > INT64_MAX / o.draws / size)
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID,
                             "%s: impute: %lld rows, %lld draws: more values than can be counted",
                             model->family->name, (long long)count, (long long)o.draws));
    GM_TRY(gm_model_begin_call(model, "impute", count * o.draws * size, &progress));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t d = 0; labels && d < o.draws; d++) p.labels[d] = labels[i];
        GM_TRY(complete(&p, rows + i * size, known + i * size, i, &o, p.filled + i * size));
    }
    GM_TRY(gm_model_check_floats(model, "impute", p.filled, count, size));
    memcpy(rows, p.filled, (size_t)(count * size) * sizeof *rows);
out:
    gm_model_end_call(model);
    gm_model_leave(model, mark);
    return status;
}
