/* numeric.c - NaN in results. */
#include "models/numeric.h"

#include <math.h>

#include "models/family.h"

static gm_status refuse(const gm_model *model, const char *verb, int64_t at, int64_t width)
{
    return gm_model_fail(model->ctx, GM_E_NUMERIC,
                         "%s: %s: the result is nan in row %lld, column %lld, expected a number",
                         model->family->name, verb, (long long)(at / width),
                         (long long)(at % width));
}

gm_status gm_model_check_floats(const gm_model *model, const char *verb, const float *values,
                                int64_t rows, int64_t width)
{
    for (int64_t i = 0; values && i < rows * width; i++)
        if (isnan(values[i])) return refuse(model, verb, i, width);
    return GM_OK;
}

gm_status gm_model_check_reals(const gm_model *model, const char *verb, const double *values,
                               int64_t rows, int64_t width)
{
    for (int64_t i = 0; values && i < rows * width; i++)
        if (isnan(values[i])) return refuse(model, verb, i, width);
    return GM_OK;
}
