/* moments.c - moments of the columns of two samples (gm/two_sample.h). */
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
