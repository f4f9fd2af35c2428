/* result.c - what all evaluations give back, and what they are given. */
#include <math.h>
#include <string.h>

#include "evaluate/result.h"

gm_status gm_result_check(gm_context *ctx, const char *what, const gm_result *out)
{
    if (!out) return gm_model_fail(ctx, GM_E_INVALID, "%s: out is NULL", what);
    if (gm_model_size_fits(out->size, sizeof *out)) return GM_OK;
    return gm_model_fail(ctx, GM_E_INVALID, "%s: out->size is %zu, this library knows %zu", what,
                         out->size, sizeof *out);
}

void gm_result_give(gm_result *out, const gm_result *result)
{
    size_t size = out->size;
    memcpy(out, result, size);
    out->size = size;
}

void gm_result_mean(gm_result *result, const double *values, int64_t n)
{
    double mean = 0, squares = 0; /* Welford 1962 */
    for (int64_t i = 0; i < n; i++) {
        double away = values[i] - mean;
        mean += away / (double)(i + 1);
        squares += away * (values[i] - mean);
    }
    result->value = mean;
    result->standard_error = n > 1 ? sqrt(squares / (double)(n - 1) / (double)n) : (double)NAN;
}

static gm_status check_sizes(gm_context *ctx, const char *what, const gm_table *t)
{
    if (!t->values) return gm_model_fail(ctx, GM_E_INVALID, "%s: %s is NULL", what, t->name);
    if (t->rows < 1 || t->width < 1)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "%s: %s is [%lld, %lld], expected at least one row of one value", what,
                             t->name, (long long)t->rows, (long long)t->width);
    if (t->width > INT64_MAX / 64 / t->rows)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "%s: %s is [%lld, %lld], more than can be addressed", what, t->name,
                             (long long)t->rows, (long long)t->width);
    return GM_OK;
}

static gm_status check_values(gm_context *ctx, const char *what, const gm_table *t)
{
    for (int64_t i = 0; i < t->rows * t->width; i++)
        if (!isfinite(t->values[i]))
            return gm_model_fail(ctx, GM_E_INVALID,
                                 "%s: %s: row %lld, column %lld is %g, expected a finite value",
                                 what, t->name, (long long)(i / t->width),
                                 (long long)(i % t->width), (double)t->values[i]);
    return GM_OK;
}

gm_status gm_counter_add(gm_counter *counter, int64_t more)
{
    counter->done += more;
    if (!counter->on_progress ||
        !counter->on_progress(counter->user, counter->done, counter->total))
        return GM_OK;
    return gm_model_fail(counter->ctx, GM_E_CANCELLED,
                         "%s: stopped by the host after %lld of %lld %s", counter->what,
                         (long long)counter->done, (long long)counter->total, counter->unit);
}

gm_status gm_table_of(gm_table *out, gm_context *ctx, const char *what, const char *name,
                      const gm_rows *rows)
{
    if (!rows) return gm_model_fail(ctx, GM_E_INVALID, "%s: %s is NULL", what, name);
    *out = (gm_table){ name, rows->values, rows->count, rows->width };
    return GM_OK;
}

gm_status gm_table_check_sizes(gm_context *ctx, const char *what, const gm_table *tables, int count)
{
    gm_status status = GM_OK;
    for (int i = 0; i < count; i++) GM_TRY(check_sizes(ctx, what, &tables[i]));
    for (int i = 1; i < count; i++)
        if (tables[i].width != tables[0].width)
            GM_TRY(gm_model_fail(ctx, GM_E_SHAPE,
                                 "%s: %s has rows of %lld values, %s of %lld, expected one width",
                                 what, tables[0].name, (long long)tables[0].width, tables[i].name,
                                 (long long)tables[i].width));
out:
    return status;
}

gm_status gm_table_check(gm_context *ctx, const char *what, const gm_table *tables, int count)
{
    gm_status status;
    GM_TRY(gm_table_check_sizes(ctx, what, tables, count));
    for (int i = 0; i < count; i++) GM_TRY(check_values(ctx, what, &tables[i]));
out:
    return status;
}

gm_status gm_table_pair(gm_context *ctx, const char *what, const gm_rows *samples,
                        const gm_rows *data, gm_table tables[2])
{
    gm_status status;
    GM_TRY(gm_table_of(&tables[0], ctx, what, "samples", samples));
    GM_TRY(gm_table_of(&tables[1], ctx, what, "data", data));
    GM_TRY(gm_table_check(ctx, what, tables, 2));
out:
    return status;
}
