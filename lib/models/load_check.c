/* load_check.c - what a file may hold before a model is made of it: finite weights, and no more
 * work than the host allows. */
#include "models/load_check.h"

#include <math.h>
#include <string.h>

#include "models/family.h"

/* Where the first value is that is not finite; count: nowhere. */
static int64_t find_odd(const float *values, int64_t count)
{
    int64_t i = 0;
    while (i < count && isfinite(values[i])) i++;
    return i;
}

static gm_status check_weights(gm_context *ctx, gm_archive *archive, const char *path)
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

/* Options that say how much a verb does for a row or a step: the last parts of their keys. */
static int is_work(const char *key)
{
    static const char *const names[] = {
        "samples", "log_prob_samples", "sample_steps", "steps",  "discriminator_steps",
        "sweeps",  "phases",           "chains",       "orders",
    };
    const char *dot = strrchr(key, '.');
    if (!dot || !strncmp(key, "gm.", 3) || !strncmp(key, "optimizer.", 10)) return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(dot + 1, names[i])) return 1;
    return 0;
}

static gm_status check_work(gm_context *ctx, gm_archive *archive, const char *path, int64_t most)
{
    gm_status status = GM_OK;
    for (int64_t k = 0; k < gm_archive_text_count(archive); k++) {
        const char *key = gm_archive_text_key(archive, k);
        int64_t value;
        if (!is_work(key)) continue;
        GM_TRY(gm_archive_get_int(&value, archive, key));
        if (value > most)
            GM_TRY(gm_model_fail(ctx, GM_E_INVALID,
                                 "load: %s: %.64s is %lld, expected at most %lld (most_work of the "
                                 "load's options)",
                                 path, key, (long long)value, (long long)most));
    }
out:
    return status;
}

gm_status gm_model_check_file(gm_context *ctx, gm_archive *archive, const char *path,
                              const gm_load_options *options)
{
    const gm_status status = options->not_finite ? GM_OK : check_weights(ctx, archive, path);
    return status ? status : check_work(ctx, archive, path, options->most_work);
}
