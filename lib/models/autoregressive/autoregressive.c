/* autoregressive.c - the questions that all autoregressive models answer, written on each family's
 * two entries: raw conditionals of given rows, and the walk along the order. */
#include "gm/autoregressive.h"

#include <math.h>
#include <string.h>

#include "models/autoregressive/conditionals.h"
#include "models/family.h"
#include "models/numeric.h"

static const gm_autoregressive *entries(const gm_model *model)
{
    return model ? model->family->autoregressive : NULL;
}

int32_t gm_autoregressive_kind(const gm_model *model)
{
    return entries(model) ? entries(model)->kind(model) : -1;
}

int64_t gm_autoregressive_width(const gm_model *model)
{
    return entries(model) ? entries(model)->width(model) : 0;
}

int32_t gm_autoregressive_any_order(const gm_model *model)
{
    return entries(model) && entries(model)->any_order ? entries(model)->any_order(model) : 0;
}

/* Is it such a model, and are there rows? */
static gm_status check(gm_model *model, const char *verb, const void *rows, const void *out,
                       int64_t count)
{
    if (!model) return GM_E_INVALID;
    if (!entries(model))
        return gm_model_fail(model->ctx, GM_E_UNSUPPORTED, "%s: %s: not an autoregressive family",
                             model->family->name, verb);
    if (!rows || !out || count < 1)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: %s: an array is NULL, or count is %lld, expected at least 1",
                             model->family->name, verb, (long long)count);
    if ((uint64_t)count > SIZE_MAX / sizeof(double) / (uint64_t)model->row_size)
        return gm_model_fail(model->ctx, GM_E_INVALID, "%s: %s: %lld rows of %lld are too many",
                             model->family->name, verb, (long long)count,
                             (long long)model->row_size);
    return GM_OK;
}

gm_status gm_autoregressive_order(gm_model *model, int64_t *order)
{
    const gm_status status = check(model, "order", model, order, 1);
    return status ? status : entries(model)->order(model, order);
}

/* What to do with the raw conditionals of `count` rows that begin at row `first`. */
typedef void give_fn(const gm_model *model, const float *raw, const float *rows, int64_t first,
                     int64_t count, void *out);

static void give_log_probs(const gm_model *model, const float *raw, const float *rows,
                           int64_t first, int64_t count, void *out)
{
    const int32_t kind = gm_autoregressive_kind(model);
    const int64_t width = gm_autoregressive_width(model), size = model->row_size;
    double *to = (double *)out + first * size;
    for (int64_t i = 0; i < count * size; i++)
        to[i] = gm_conditional_log_prob(kind, width, raw + i * width, (double)rows[i]);
}

static void give_conditionals(const gm_model *model, const float *raw, const float *rows,
                              int64_t first, int64_t count, void *out)
{
    const int32_t kind = gm_autoregressive_kind(model);
    const int64_t width = gm_autoregressive_width(model), size = model->row_size;
    float *to = (float *)out + first * size * width;
    (void)rows;
    for (int64_t i = 0; i < count * size; i++)
        gm_conditional_describe(kind, width, raw + i * width, to + i * width);
}

/* Raw conditionals of a batch with its labels, group by group, so that memory does not grow with
 * the rows. */
static gm_status visit(gm_model *model, const char *verb, const gm_batch *batch, give_fn *give,
                       void *out)
{
    const float *rows = batch->rows, *labels = batch->labels;
    const int64_t width = gm_autoregressive_width(model), size = model->row_size,
                  count = batch->count;
    const size_t mark = gm_model_mark(model);
    float *raw = NULL;
    size_t bytes = 0;
    gm_status status;
    GM_TRY(gm_conditional_check(model, verb, gm_autoregressive_kind(model), width, 0, rows, NULL,
                                count));
    const int64_t group = count < GM_MODEL_GROUP ? count : GM_MODEL_GROUP;
    if ((uint64_t)width <= SIZE_MAX / sizeof *raw / (uint64_t)size / (uint64_t)group)
        bytes = (size_t)(group * size * width) * sizeof *raw;
    raw = gm_model_take(model, bytes);
    if (!raw)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "%s: %s: no memory for conditionals",
                             model->family->name, verb));
    for (int64_t done = 0; done < count;) {
        const int64_t n = count - done < group ? count - done : group;
        const gm_batch part = { .rows = rows + done * size,
                                .labels = labels ? labels + done : NULL,
                                .count = n };
        const size_t of_group = gm_model_mark(model);
        GM_TRY(entries(model)->raw(model, &part, raw));
        gm_model_give(model, of_group);
        give(model, raw, part.rows, done, n, out);
        done += n;
    }
out:
    gm_model_give(model, mark);
    return status;
}

/* The same of a host's rows, which have the labels that the host set. */
static gm_status visit_rows(gm_model *model, const char *verb, const float *rows, int64_t count,
                            give_fn *give, void *out)
{
    gm_batch batch = { .rows = rows, .count = count };
    gm_status status = check(model, verb, rows, out, count);
    if (status) return status;
    const size_t mark = gm_model_mark(model);
    GM_TRY(gm_model_labels_for(model, verb, count, &batch.labels));
    GM_TRY(visit(model, verb, &batch, give, out));
out:
    gm_model_give(model, mark);
    return status;
}

gm_status gm_autoregressive_log_probs(gm_model *model, const float *rows, int64_t count,
                                      double *log_probs)
{
    gm_status status;
    GM_TRY(visit_rows(model, "log_probs", rows, count, give_log_probs, log_probs));
    GM_TRY(gm_model_check_reals(model, "log_probs", log_probs, count, model->row_size));
out:
    return status;
}

gm_status gm_autoregressive_conditionals(gm_model *model, const float *rows, int64_t count,
                                         float *values)
{
    gm_status status;
    GM_TRY(visit_rows(model, "conditionals", rows, count, give_conditionals, values));
    GM_TRY(gm_model_check_floats(model, "conditionals", values, count,
                                 model->row_size * gm_autoregressive_width(model)));
out:
    return status;
}

static void give_sums(const gm_model *model, const float *raw, const float *rows, int64_t first,
                      int64_t count, void *out)
{
    const int32_t kind = gm_autoregressive_kind(model);
    const int64_t width = gm_autoregressive_width(model), size = model->row_size;
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int64_t k = i * size; k < (i + 1) * size; k++)
            sum += gm_conditional_log_prob(kind, width, raw + k * width, (double)rows[k]);
        ((double *)out)[first + i] = sum;
    }
}

gm_status gm_autoregressive_score(gm_model *model, const gm_batch *batch,
                                  const gm_log_prob_options *how, double *out, double *error)
{
    (void)how;
    (void)error;
    const gm_status status = check(model, "log_prob", batch->rows, out, batch->count);
    return status ? status : visit(model, "log_prob", batch, give_sums, out);
}

gm_status gm_autoregressive_draw(gm_model *model, float *out, const float *labels, int64_t count)
{
    return entries(model)->fill(model, out, labels, NULL, count, NULL, 1);
}

/* In each row, does every known column come before all others? *row and *column: the first that
 * does not. */
static int begins(const gm_model *model, const int64_t *order, const uint8_t *known, int64_t count,
                  int64_t *row, int64_t *column)
{
    for (int64_t i = 0; i < count; i++) {
        int open = 0;
        for (int64_t k = 0; k < model->row_size; k++) {
            const int given = known[i * model->row_size + order[k]] != 0;
            if (given && open) {
                *row = i;
                *column = order[k];
                return 0;
            }
            open |= !given;
        }
    }
    return 1;
}

/* GM_OK if p(unknown | known) is exact, GM_E_UNSUPPORTED with the line if not. */
static gm_status exact(gm_model *model, const char *verb, const uint8_t *known, int64_t count)
{
    int64_t row = 0, column = 0;
    gm_status status = GM_OK;
    if (gm_autoregressive_any_order(model)) return GM_OK;
    const size_t mark = gm_model_mark(model);
    int64_t *order = gm_model_take(model, (size_t)model->row_size * sizeof *order);
    if (!order)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "%s: %s: no memory for the order",
                             model->family->name, verb);
    GM_TRY(entries(model)->order(model, order));
    if (!begins(model, order, known, count, &row, &column))
        status = gm_model_fail(
            model->ctx, GM_E_UNSUPPORTED,
            "%s: %s: row %lld, column %lld is given, but one before it in the order is not",
            model->family->name, verb, (long long)row, (long long)column);
out:
    gm_model_give(model, mark);
    return status;
}

/* A copy of the rows to work on, with zeros where nothing is known, so that a failure leaves the
 * host's as they were. */
static gm_status copy(gm_model *model, const char *verb, const float *rows, const uint8_t *known,
                      int64_t count, float **out)
{
    const int64_t values = count * model->row_size;
    *out = gm_model_take(model, (size_t)values * sizeof **out);
    if (!*out)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "%s: %s: no memory for %lld rows",
                             model->family->name, verb, (long long)count);
    for (int64_t i = 0; i < values; i++) (*out)[i] = known[i] ? rows[i] : 0;
    return GM_OK;
}

/* Walks for a copy of the rows; log_known [count] is set. The copy is scratch: the caller
 * gives it back. */
static gm_status walk(gm_model *model, const char *verb, const float *rows, const uint8_t *known,
                      int64_t count, int draw, const gm_progress_options *options, float **filled,
                      double *log_known)
{
    const float *labels;
    gm_status status;
    *filled = NULL;
    GM_TRY(check(model, verb, rows, known, count));
    GM_TRY(gm_model_labels_for(model, verb, count, &labels));
    GM_TRY(gm_conditional_check(model, verb, gm_autoregressive_kind(model),
                                gm_autoregressive_width(model), 0, rows, known, count));
    GM_TRY(exact(model, verb, known, count));
    GM_TRY(copy(model, verb, rows, known, count, filled));
    for (int64_t i = 0; i < count; i++) log_known[i] = 0;
    GM_TRY(gm_model_begin_call(model, verb, count * model->row_size, options));
    GM_TRY(entries(model)->fill(model, *filled, labels, known, count, log_known, draw));
out:
    if (model) gm_model_end_call(model);
    return status;
}

/* The failure of a row whose given values have probability zero; the line tells the first such
 * column in the order. */
static gm_status impossible(gm_model *model, int64_t place, const float *row, const uint8_t *known,
                            const float *label)
{
    const int32_t kind = gm_autoregressive_kind(model);
    const int64_t size = model->row_size, width = gm_autoregressive_width(model);
    const size_t mark = gm_model_mark(model);
    int64_t *order = gm_model_take(model, (size_t)size * sizeof *order), k = 0;
    float *raw = gm_model_take(model, (size_t)(size * width) * sizeof *raw);
    const gm_batch batch = { .rows = row, .labels = label, .count = 1 };
    gm_status status;
    if (!order || !raw)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "%s: sample_given: no memory for conditionals",
                             model->family->name));
    GM_TRY(entries(model)->order(model, order));
    GM_TRY(entries(model)->raw(model, &batch, raw));
    while (k < size - 1 &&
           (!known[order[k]] || gm_conditional_log_prob(kind, width, raw + order[k] * width,
                                                        (double)row[order[k]]) > -INFINITY))
        k++;
    status = gm_model_fail(
        model->ctx, GM_E_NUMERIC,
        "%s: sample_given: row %lld, column %lld is %g, which has probability zero",
        model->family->name, (long long)place, (long long)order[k], (double)row[order[k]]);
out:
    gm_model_give(model, mark);
    return status;
}

gm_status gm_autoregressive_sample_given(gm_model *model, const uint8_t *known, int64_t count,
                                         const gm_progress_options *options, float *rows,
                                         double *log_known)
{
    if (!model) return GM_E_INVALID;
    const size_t mark = gm_model_enter(model);
    float *filled = NULL;
    double *logs = NULL;
    gm_status status;
    const float *labels;
    GM_TRY(check(model, "sample_given", rows, known, count));
    const size_t bytes = (size_t)count * sizeof *logs;
    logs = gm_model_take(model, bytes);
    if (!logs)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "%s: sample_given: no memory for %lld rows",
                             model->family->name, (long long)count));
    GM_TRY(walk(model, "sample_given", rows, known, count, 1, options, &filled, logs));
    GM_TRY(gm_model_labels_for(model, "sample_given", count, &labels));
    for (int64_t i = 0; i < count; i++)
        if (!(logs[i] > -INFINITY))
            GM_TRY(impossible(model, i, filled + i * model->row_size, known + i * model->row_size,
                              labels ? labels + i : NULL));
    GM_TRY(gm_model_check_floats(model, "sample_given", filled, count, model->row_size));
    memcpy(rows, filled, (size_t)(count * model->row_size) * sizeof *rows);
    if (log_known) memcpy(log_known, logs, bytes);
out:
    gm_model_leave(model, mark);
    return status;
}

gm_status gm_autoregressive_log_marginal(gm_model *model, const float *rows, const uint8_t *known,
                                         int64_t count, const gm_progress_options *options,
                                         double *log_prob)
{
    if (!model) return GM_E_INVALID;
    const size_t mark = gm_model_enter(model);
    float *filled;
    gm_status status;
    GM_TRY(check(model, "log_marginal", rows, log_prob, count));
    GM_TRY(walk(model, "log_marginal", rows, known, count, 0, options, &filled, log_prob));
    GM_TRY(gm_model_check_reals(model, "log_marginal", log_prob, count, 1));
out:
    gm_model_leave(model, mark);
    return status;
}
