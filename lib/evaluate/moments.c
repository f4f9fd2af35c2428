/* moments.c - moments of the columns of two samples, and one scale for them (gm/two_sample.h). */
#include <math.h>

#include "evaluate/result.h"
#include "gm/two_sample.h"

static void column_moments(gm_column_moments *out, int which, const gm_table *t, int64_t d)
{
    double n = (double)t->rows, mean = 0, m2 = 0, m3 = 0, m4 = 0;
    for (int64_t i = 0; i < t->rows; i++) mean += (double)t->values[i * d];
    mean /= n;
    for (int64_t i = 0; i < t->rows; i++) {
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

gm_status gm_moments(gm_context *ctx, const gm_rows *x, const gm_rows *y,
                     gm_column_moments *moments)
{
    const double none = (double)NAN;
    gm_table t[2];
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    if (!moments) GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "moments: moments is NULL"));
    GM_TRY(gm_table_of(&t[0], ctx, "moments", "x", x));
    if (y) GM_TRY(gm_table_of(&t[1], ctx, "moments", "y", y));
    GM_TRY(gm_table_check_sizes(ctx, "moments", t, y ? 2 : 1));
    for (int64_t c = 0; c < x->width; c++)
        for (int i = 0; i < 2; i++) {
            moments[c].mean[i] = moments[c].variance[i] = moments[c].skewness[i] =
                moments[c].kurtosis[i] = none;
            if (i && !y) continue;
            gm_table column = { "", t[i].values + c, t[i].rows, 1 };
            column_moments(&moments[c], i, &column, x->width);
        }
out:
    return status;
}

/* Mean and deviation of a column over both tables. */
static void pooled(const gm_table t[2], int64_t column, int64_t width, double *mean,
                   double *deviation)
{
    const double rows = (double)t[0].rows + (double)t[1].rows;
    double sum = 0, squares = 0;
    for (int i = 0; i < 2; i++)
        for (int64_t r = 0; r < t[i].rows; r++) sum += (double)t[i].values[r * width + column];
    *mean = sum / rows;
    for (int i = 0; i < 2; i++)
        for (int64_t r = 0; r < t[i].rows; r++) {
            const double away = (double)t[i].values[r * width + column] - *mean;
            squares += away * away;
        }
    *deviation = sqrt(squares / rows);
}

gm_status gm_standardise(gm_context *ctx, const gm_rows *x, const gm_rows *y, float *x_values,
                         float *y_values)
{
    gm_table t[2];
    float *const values[2] = { x_values, y_values };
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    if (!x_values || !y_values)
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "standardise: %s is NULL",
                             x_values ? "y_values" : "x_values"));
    GM_TRY(gm_table_of(&t[0], ctx, "standardise", "x", x));
    GM_TRY(gm_table_of(&t[1], ctx, "standardise", "y", y));
    GM_TRY(gm_table_check_sizes(ctx, "standardise", t, 2));
    for (int64_t c = 0; c < x->width; c++) {
        double mean, deviation;
        pooled(t, c, x->width, &mean, &deviation);
        const int constant = deviation <= 1e-7 * fabs(mean) || deviation <= 0;
        for (int i = 0; i < 2; i++)
            for (int64_t r = 0; r < t[i].rows; r++) {
                const int64_t at = r * x->width + c;
                const double away = (double)t[i].values[at] - mean;
                values[i][at] = constant ? 0.0f : (float)(away / deviation);
            }
    }
out:
    return status;
}
