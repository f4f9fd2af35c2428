/* bits.c - what the nets of binary units share: numbers of options in their ranges, rows of bits or
 * probabilities, biases that begin at the data. */
#include <math.h>
#include <stdio.h>

#include "models/belief/bits.h"
#include "models/frozen.h"
#include "models/row_reader.h"

gm_status gm_model_check_ranges(gm_context *ctx, const char *who, const gm_model_range *ranges,
                                size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most)
            return gm_model_fail(ctx, GM_E_INVALID, "%s: %s is %lld, expected %lld to %lld", who,
                                 ranges[i].name, (long long)ranges[i].value,
                                 (long long)ranges[i].least, (long long)ranges[i].most);
    return GM_OK;
}

gm_status gm_model_check_bits(gm_model *model, const char *verb, int bits, const float *rows,
                              int64_t n, int64_t width)
{
    for (int64_t i = 0; i < n * width; i++)
        if (bits ? rows[i] != 0 && rows[i] != 1 : !(rows[i] >= 0 && rows[i] <= 1))
            return gm_model_fail(model->ctx, GM_E_INVALID,
                                 "%s: %s: row %lld, column %lld is %g, expected 0 %s 1",
                                 model->family->name, verb, (long long)(i / width),
                                 (long long)(i % width), (double)rows[i], bits ? "or" : "to");
    return GM_OK;
}

gm_status gm_model_check_arrays(gm_model *model, const char *verb, const void *rows, int64_t n,
                                const void *out)
{
    if (rows && out && n >= 1) return gm_model_check_count(model, verb, n);
    return gm_model_fail(model->ctx, GM_E_INVALID,
                         "%s: %s: an array is NULL, or count is %lld, expected at least 1",
                         model->family->name, verb, (long long)n);
}

gm_status gm_model_check_init(gm_model *model, const char *verb, gm_dataset *data)
{
    char what[64];
    (void)snprintf(what, sizeof what, "%s: %s", model->family->name, verb);
    const gm_status status = gm_model_check_trains(model, verb);
    return status ? status : gm_model_check_rows(model, data, what);
}

gm_status gm_model_bit_means(gm_model *model, gm_dataset *data, float **out)
{
    const int64_t n = model->row_size;
    float *mean;
    gm_status status;
    GM_TRY(gm_model_check_init(model, "start", data));
    mean = gm_model_take(model, (size_t)n * sizeof *mean);
    if (!mean)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "%s: init_biases: no memory for %lld means",
                             model->family->name, (long long)n));
    GM_TRY(gm_dataset_mean(data, mean));
    for (int64_t i = 0; i < n; i++)
        if (!(mean[i] >= 0 && mean[i] <= 1))
            GM_TRY(gm_model_fail(model->ctx, GM_E_INVALID,
                                 "%s: init_biases: column %lld has mean %g, expected bits",
                                 model->family->name, (long long)i, (double)mean[i]));
    *out = mean;
out:
    return status;
}

float gm_model_bias_of_mean(float mean)
{
    const double p = fmin(fmax((double)mean, 0.001), 0.999);
    return (float)log(p / (1 - p));
}
