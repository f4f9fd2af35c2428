/* transforms.c - views that change values: scale, threshold, binarise. */
#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "data/dataset.h"

static gm_status apply_scale(const gm_dataset *ds, gm_block *b)
{
    ds->ctx->kernels->unary(GM_UNARY_SCALE, b->out, b->out, ds->of.scale.factor, ds->of.scale.shift,
                            b->count * ds->row_size);
    /* Bytes times a moderate factor cannot overflow; other values can. */
    return ds->bound < (double)FLT_MAX / 2.0 ? GM_OK : gm_dataset_check_finite(ds, b);
}

static gm_status apply_threshold(const gm_dataset *ds, gm_block *b)
{
    const float at = ds->of.threshold.at;
    const int64_t n = b->count * ds->row_size;
    for (int64_t i = 0; i < n; i++) b->out[i] = b->out[i] > at ? 1.0f : 0.0f;
    return GM_OK;
}

/* One random stream per row, so that a row's bits do not depend on what else is read; one key per
 * pass. */
static gm_status apply_binarise(const gm_dataset *ds, gm_block *b)
{
    const gm_kernels *k = ds->ctx->kernels;
    const int64_t size = ds->row_size, n = b->count * size;
    const int64_t at = k->find_outside(b->out, 0.0f, 1.0f, n);
    if (at < n) {
        b->bad = at / size;
        return gm_fail(b->ctx, GM_E_INVALID,
                       "dataset_binarise: row %lld, column %lld is %g, expected 0 to 1",
                       (long long)b->rows[b->bad], (long long)(at % size), (double)b->out[at]);
    }
    uint64_t key = ds->of.binarise.key;
    if (ds->of.binarise.mode == GM_BINARISE_DYNAMIC) key = gm_mix(key + (uint64_t)b->pass);
    for (int64_t i = 0; i < b->count; i++) {
        float *row = b->out + i * size;
        k->bernoulli(row, row, key, (uint64_t)b->rows[i], 0, size);
    }
    return GM_OK;
}

static const gm_dataset_kind scale_kind = { "dataset_scale", NULL, apply_scale, NULL };
static const gm_dataset_kind threshold_kind = { "dataset_threshold", NULL, apply_threshold, NULL };
static const gm_dataset_kind binarise_kind = { "dataset_binarise", NULL, apply_binarise, NULL };

gm_status gm_dataset_scale(gm_dataset **out, gm_dataset *parent, double scale, double shift)
{
    if (out) *out = NULL;
    if (!out || !parent)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "dataset_scale: out or dataset is NULL");
    if (!isfinite((float)scale) || !isfinite((float)shift))
        return gm_fail(parent->ctx, GM_E_INVALID,
                       "dataset_scale: scale is %g and shift is %g, expected finite ones", scale,
                       shift);
    gm_dataset *ds;
    gm_status status = gm_dataset_make_view(&ds, parent, "dataset_scale", &scale_kind);
    if (status) return status;
    ds->of.scale.factor = (float)scale;
    ds->of.scale.shift = (float)shift;
    ds->bound = parent->bound < (double)INFINITY ? parent->bound * fabs(scale) + fabs(shift)
                                                 : (double)INFINITY;
    *out = ds;
    return GM_OK;
}

gm_status gm_dataset_threshold(gm_dataset **out, gm_dataset *parent, double threshold)
{
    if (out) *out = NULL;
    if (!out || !parent)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "dataset_threshold: out or dataset is NULL");
    if (isnan(threshold))
        return gm_fail(parent->ctx, GM_E_INVALID, "dataset_threshold: threshold is NaN");
    gm_dataset *ds;
    gm_status status = gm_dataset_make_view(&ds, parent, "dataset_threshold", &threshold_kind);
    if (status) return status;
    ds->of.threshold.at = (float)threshold;
    ds->bound = 1.0;
    *out = ds;
    return GM_OK;
}

gm_status gm_dataset_binarise(gm_dataset **out, gm_dataset *parent, uint64_t seed, int32_t mode)
{
    if (out) *out = NULL;
    if (!out || !parent)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "dataset_binarise: out or dataset is NULL");
    if (mode != GM_BINARISE_STATIC && mode != GM_BINARISE_DYNAMIC)
        return gm_fail(parent->ctx, GM_E_INVALID, "dataset_binarise: mode is %d, expected 0 or 1",
                       (int)mode);
    gm_dataset *ds;
    gm_status status = gm_dataset_make_view(&ds, parent, "dataset_binarise", &binarise_kind);
    if (status) return status;
    /* Away from the keys that gm_rng and other parts make of the same seed. */
    ds->of.binarise.key = gm_mix(gm_mix(seed) ^ (0x62696e6172697365u + (uint64_t)mode));
    ds->of.binarise.mode = mode;
    ds->bound = 1.0;
    *out = ds;
    return GM_OK;
}
