/* mmd.c - the maximum mean discrepancy of plain arrays, and their moments (gm/mmd.h). */
#include <math.h>

#include "gm/mmd.h"
#include "gm/rng.h"
#include "models/family.h"

/* A sample: its name for messages. */
typedef struct table {
    const char *name;
    const float *values;
    int64_t count;
} table;

static gm_status check_table(gm_context *ctx, const char *what, const table *t, int64_t d)
{
    if (!t->values) return gm_model_fail(ctx, GM_E_INVALID, "%s: %s is NULL", what, t->name);
    if (t->count < 1 || d < 1 || d > INT64_MAX / 64 / t->count)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "%s: %s is [%lld, %lld], expected at least one row of one value, and "
                             "no more than can be addressed",
                             what, t->name, (long long)t->count, (long long)d);
    return GM_OK;
}

static gm_status check_values(gm_context *ctx, const table *t, int64_t d)
{
    for (int64_t i = 0; i < t->count * d; i++)
        if (!isfinite(t->values[i]))
            return gm_model_fail(
                ctx, GM_E_INVALID, "mmd: %s: row %lld, column %lld is %g, expected finite values",
                t->name, (long long)(i / d), (long long)(i % d), (double)t->values[i]);
    return GM_OK;
}

/* The tape's result, one recording. */
static gm_status record(gm_tape *tape, const float *x, int64_t n, const float *y, int64_t m,
                        int64_t d, gm_mmd_kernel *kernel, int32_t estimator, double *value)
{
    int64_t x_shape[2] = { n, d }, y_shape[2] = { m, d };
    gm_tape_reset(tape);
    gm_tape_set_mode(tape, GM_TAPE_CONSTANT);
    *value = gm_scalar(tape, gm_mmd2(tape, gm_input_array(tape, 2, x_shape, x),
                                     gm_input_array(tape, 2, y_shape, y), kernel, estimator));
    return gm_tape_status(tape);
}

/* Independent terms, of `rows` rows each: their mean, and its standard error (Welford 1962). */
static gm_status record_terms(gm_tape *tape, const table *x, const table *y, int64_t d,
                              gm_mmd_kernel *kernel, int32_t estimator, int64_t rows, gm_result *r)
{
    int64_t terms = x->count / rows;
    double squares = 0, value;
    gm_status status = GM_OK;
    for (int64_t i = 0; i < terms; i++) {
        GM_TRY(record(tape, x->values + i * rows * d, rows, y->values + i * rows * d, rows, d,
                      kernel, estimator, &value));
        double away = value - r->value;
        r->value += away / (double)(i + 1);
        squares += away * (value - r->value);
    }
    if (terms > 1) r->standard_error = sqrt(squares / (double)(terms - 1) / (double)terms);
out:
    return status;
}

static int64_t block_rows(int32_t estimator, int64_t n)
{
    int64_t root = (int64_t)sqrt((double)n);
    if (estimator == GM_MMD_LINEAR) return 2;
    if (estimator != GM_MMD_BLOCK) return estimator >> 8;
    return root < 2 ? 2 : root;
}

gm_status gm_mmd_estimate(gm_result *out, gm_mmd_kernel *kernel, int64_t row_size, const float *x,
                          int64_t x_count, const float *y, int64_t y_count, int32_t estimator)
{
    static const char *const names[] = { "mmd2 biased", "mmd2 unbiased", "mmd2 linear",
                                         "mmd2 block" };
    const table tables[2] = { { "x", x, x_count }, { "y", y, y_count } };
    gm_context *ctx = gm_mmd_kernel_context(kernel);
    gm_result r = GM_RESULT_INIT;
    gm_rng *rng = NULL;
    gm_tape *tape = NULL;
    gm_status status;
    int32_t sort = estimator & 0xff;
    if (!kernel) return GM_E_INVALID;
    GM_TRY(gm_result_check(ctx, "mmd", out));
    for (int i = 0; i < 2; i++) GM_TRY(check_table(ctx, "mmd", &tables[i], row_size));
    for (int i = 0; i < 2; i++) GM_TRY(check_values(ctx, &tables[i], row_size));
    GM_TRY(gm_rng_create(&rng, ctx, 0));
    GM_TRY(gm_tape_create(&tape, ctx, rng));
    r.standard_error = (double)NAN;
    r.samples = x_count;
    r.rows = y_count;
    int64_t rows = block_rows(estimator, x_count);
    if ((sort == GM_MMD_LINEAR || sort == GM_MMD_BLOCK) && x_count == y_count && rows >= 2 &&
        x_count >= rows)
        GM_TRY(record_terms(tape, &tables[0], &tables[1], row_size, kernel,
                            sort == GM_MMD_LINEAR ? estimator : GM_MMD_UNBIASED, rows, &r));
    else /* or what is wrong with the arguments */
        GM_TRY(record(tape, x, x_count, y, y_count, row_size, kernel, estimator, &r.value));
    r.protocol = names[sort];
    gm_result_give(out, &r);
out:
    gm_tape_release(tape);
    gm_rng_release(rng);
    return status;
}

static void column_moments(gm_column_moments *out, int which, const table *t, int64_t d)
{
    double n = (double)t->count, mean = 0, m2 = 0, m3 = 0, m4 = 0;
    for (int64_t i = 0; i < t->count; i++) mean += (double)t->values[i * d];
    mean /= n;
    for (int64_t i = 0; i < t->count; i++) {
        double away = (double)t->values[i * d] - mean, square = away * away;
        m2 += square / n;
        m3 += square * away / n;
        m4 += square * square / n;
    }
    out->mean[which] = mean;
    out->variance[which] = m2;
    out->skewness[which] = m2 > 0 ? m3 / (m2 * sqrt(m2)) : (double)NAN;
    out->kurtosis[which] = m2 > 0 ? m4 / (m2 * m2) : (double)NAN;
}

gm_status gm_moments(gm_column_moments *out, gm_context *ctx, int64_t row_size, const float *x,
                     int64_t x_count, const float *y, int64_t y_count)
{
    const table tables[2] = { { "x", x, x_count }, { "y", y, y_count } };
    const double none = (double)NAN;
    int samples = y || y_count ? 2 : 1;
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    if (!out) GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "moments: out is NULL"));
    for (int i = 0; i < samples; i++) GM_TRY(check_table(ctx, "moments", &tables[i], row_size));
    for (int64_t c = 0; c < row_size; c++)
        for (int i = 0; i < 2; i++) {
            table column = { "", i < samples ? tables[i].values + c : NULL, tables[i].count };
            out[c].mean[i] = out[c].variance[i] = out[c].skewness[i] = out[c].kurtosis[i] = none;
            if (i < samples) column_moments(&out[c], i, &column, row_size);
        }
out:
    return status;
}
