/* dataset.c - the handle: shape, owners, getters. */
#include "data/dataset.h"

#include <math.h>
#include <string.h>

gm_status gm_dataset_make_source(gm_dataset **out, gm_context *ctx, const char *what, int32_t rank,
                                 const int64_t *shape, int64_t *count)
{
    *out = NULL;
    if (rank < 1 || rank > GM_MAX_ROW_RANK + 1)
        return gm_fail(ctx, GM_E_INVALID, "%s: rank is %d, expected 1 to %d (rows first)", what,
                       (int)rank, GM_MAX_ROW_RANK + 1);
    int64_t n = 1, bytes;
    for (int32_t i = 0; i < rank; i++) {
        char text[GM_SHAPE_TEXT];
        if (shape[i] < 1)
            return gm_fail(ctx, GM_E_INVALID, "%s: shape is %s, expected sizes of at least 1", what,
                           gm_shape_text(text, rank, shape));
        if (!gm_mul_size(n, shape[i], &n) || !gm_mul_size(n, 4 * (int64_t)sizeof(float), &bytes))
            return gm_fail(ctx, GM_E_INVALID, "%s: %s is more than memory can address", what,
                           gm_shape_text(text, rank, shape));
    }
    gm_dataset *ds = gm_memory_get_zero(&ctx->memory, sizeof *ds);
    if (!ds) return gm_fail_memory(ctx, what);
    gm_context_retain(ctx);
    ds->ctx = ctx;
    ds->owners = 1;
    ds->rows = shape[0];
    ds->row_rank = rank - 1;
    ds->row_size = n / shape[0];
    for (int32_t i = 1; i < rank; i++) ds->row_shape[i - 1] = shape[i];
    ds->bound = (double)INFINITY;
    *count = n;
    *out = ds;
    return GM_OK;
}

gm_status gm_dataset_make_view(gm_dataset **out, gm_dataset *parent, const char *what,
                               const gm_dataset_kind *kind)
{
    *out = NULL;
    gm_context *ctx = parent->ctx;
    if (parent->depth >= GM_MAX_VIEWS)
        return gm_fail(ctx, GM_E_INVALID, "%s: %d views are on top of each other already", what,
                       GM_MAX_VIEWS);
    gm_dataset *ds = gm_memory_get_zero(&ctx->memory, sizeof *ds);
    if (!ds) return gm_fail_memory(ctx, what);
    gm_context_retain(ctx);
    gm_dataset_retain(parent);
    ds->ctx = ctx;
    ds->owners = 1;
    ds->kind = kind;
    ds->parent = parent;
    ds->depth = parent->depth + 1;
    ds->rows = parent->rows;
    ds->row_rank = parent->row_rank;
    ds->row_size = parent->row_size;
    memcpy(ds->row_shape, parent->row_shape, sizeof ds->row_shape);
    ds->bound = parent->bound;
    *out = ds;
    return GM_OK;
}

void gm_dataset_retain(gm_dataset *ds)
{
    if (ds) ds->owners++;
}

void gm_dataset_release(gm_dataset *ds)
{
    while (ds && --ds->owners == 0) {
        gm_dataset *parent = ds->parent;
        gm_context *ctx = ds->ctx;
        gm_memory *m = &ctx->memory;
        if (ds->kind && ds->kind->destroy) ds->kind->destroy(ds);
        gm_memory_put_text(m, ds->path);
        gm_memory_put_text(m, ds->labels_path);
        gm_memory_put(m, ds->labels, (size_t)ds->rows * sizeof *ds->labels);
        gm_memory_put(m, ds->scratch, (size_t)ds->scratch_room * sizeof *ds->scratch);
        gm_memory_put(m, ds, sizeof *ds);
        gm_context_release(ctx); /* the parent holds it too, if there is one */
        ds = parent;
    }
}

int64_t gm_dataset_rows(const gm_dataset *ds)
{
    return ds ? ds->rows : 0;
}

int32_t gm_dataset_row_rank(const gm_dataset *ds)
{
    return ds ? ds->row_rank : 0;
}

const int64_t *gm_dataset_row_shape(const gm_dataset *ds)
{
    return ds ? ds->row_shape : NULL;
}

int64_t gm_dataset_row_size(const gm_dataset *ds)
{
    return ds ? ds->row_size : 0;
}

gm_context *gm_dataset_context(const gm_dataset *ds)
{
    return ds ? ds->ctx : NULL;
}

gm_status gm_dataset_set_path(gm_dataset *ds, const char *path)
{
    ds->path = gm_memory_copy_text(&ds->ctx->memory, path);
    return ds->path ? GM_OK : gm_fail_memory(ds->ctx, "dataset");
}

const char *gm_dataset_path(const gm_dataset *ds)
{
    while (ds && ds->parent) ds = ds->parent;
    return ds ? ds->path : NULL;
}

gm_status gm_dataset_check_rows(const gm_dataset *ds, const char *what, const int64_t *rows,
                                int64_t count)
{
    if (count < 0)
        return gm_fail(ds->ctx, GM_E_INVALID, "%s: count is %lld, expected at least 0", what,
                       (long long)count);
    for (int64_t i = 0; i < count; i++)
        if (rows[i] < 0 || rows[i] >= ds->rows)
            return gm_fail(ds->ctx, GM_E_INVALID, "%s: row is %lld, expected 0 to %lld", what,
                           (long long)rows[i], (long long)ds->rows - 1);
    return GM_OK;
}
