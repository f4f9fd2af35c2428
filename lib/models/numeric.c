/* numeric.c - NaN in results, and weights that are not finite in files. */
#include "models/numeric.h"

#include <math.h>
#include <string.h>

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

/* Where the first value is that is not finite; count: nowhere. */
static int64_t find_odd(const float *values, int64_t count)
{
    int64_t i = 0;
    while (i < count && isfinite(values[i])) i++;
    return i;
}

gm_status gm_model_check_weights(gm_context *ctx, gm_archive *archive, const char *path)
{
    static const char *const kinds[] = { "F32", "F64", "F16", "BF16" };
    static const char skipped[] = "optimizer.";
    gm_status status = GM_OK;
    for (int64_t k = 0; k < gm_archive_tensor_count(archive); k++) {
        const char *name = gm_archive_tensor_name(archive, k);
        const char *type = gm_archive_tensor_type(archive, k);
        const float *values;
        int64_t shape[GM_MAX_RANK], count = 1;
        int32_t rank;
        int known = 0;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            known = known || !strcmp(type, kinds[i]);
        if (!known || !strncmp(name, skipped, sizeof skipped - 1)) continue;
        GM_TRY(gm_archive_get(&rank, &values, archive, name, shape));
        for (int32_t i = 0; i < rank; i++) count *= shape[i];
        const int64_t at = find_odd(values, count);
        if (at < count)
            GM_TRY(gm_model_fail(ctx, GM_E_NUMERIC,
                                 "load: %s: tensor %.128s holds %g at place %lld, expected finite "
                                 "weights",
                                 path, name, (double)values[at], (long long)at));
    }
out:
    return status;
}
