/* views.c - views that choose rows, and reshape. */
#include <string.h>

#include "data/dataset.h"
#include "gm/rng.h"

static void map_subset(const gm_dataset *ds, const int64_t *rows, int64_t count, int64_t *parent)
{
    for (int64_t i = 0; i < count; i++) parent[i] = ds->of.subset.rows[rows[i]];
}

static void destroy_subset(gm_dataset *ds)
{
    gm_memory_put(&ds->ctx->memory, ds->of.subset.rows, ds->of.subset.bytes);
}

static void map_range(const gm_dataset *ds, const int64_t *rows, int64_t count, int64_t *parent)
{
    for (int64_t i = 0; i < count; i++) parent[i] = ds->of.range.begin + rows[i];
}

static const gm_dataset_kind subset_kind = { "dataset_subset", map_subset, NULL, destroy_subset };
static const gm_dataset_kind range_kind = { "dataset_range", map_range, NULL, NULL };
static const gm_dataset_kind reshape_kind = { "dataset_reshape", NULL, NULL, NULL };

/* A subset with room for count row numbers, which are still to be written. */
static gm_status make_subset(gm_dataset **out, gm_dataset *parent, const char *what, int64_t count)
{
    gm_dataset *ds;
    gm_status status = gm_dataset_make_view(&ds, parent, what, &subset_kind);
    if (status) return status;
    size_t bytes = (size_t)count * sizeof *ds->of.subset.rows;
    ds->of.subset.rows = gm_memory_get(&ds->ctx->memory, bytes);
    ds->of.subset.bytes = bytes;
    ds->rows = count;
    if (!ds->of.subset.rows) {
        status = gm_fail_memory(ds->ctx, what);
        gm_dataset_release(ds);
        return status;
    }
    *out = ds;
    return GM_OK;
}

gm_status gm_dataset_subset(gm_dataset **out, gm_dataset *parent, const int64_t *rows,
                            int64_t count)
{
    if (out) *out = NULL;
    if (!out || !parent || !rows)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "dataset_subset: out, dataset or rows is NULL");
    if (count < 1 || (uint64_t)count > SIZE_MAX / 4 / sizeof *rows)
        return gm_fail(parent->ctx, GM_E_INVALID,
                       "dataset_subset: count is %lld, expected at least 1", (long long)count);
    gm_status status = gm_dataset_check_rows(parent, "dataset_subset", rows, count);
    if (status) return status;
    status = make_subset(out, parent, "dataset_subset", count);
    if (!status) memcpy((*out)->of.subset.rows, rows, (size_t)count * sizeof *rows);
    return status;
}

gm_status gm_dataset_shuffle(gm_dataset **out, gm_dataset *parent, uint64_t seed)
{
    if (out) *out = NULL;
    if (!out || !parent)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "dataset_shuffle: out or dataset is NULL");
    gm_status status = GM_OK;
    gm_rng *rng = NULL;
    gm_dataset *ds = NULL;
    GM_TRY(gm_rng_create(&rng, parent->ctx, seed));
    GM_TRY(make_subset(&ds, parent, "dataset_shuffle", parent->rows));
    GM_TRY(gm_rng_permutation(rng, ds->rows, ds->of.subset.rows));
    *out = ds;
    ds = NULL;
out:
    gm_dataset_release(ds);
    gm_rng_release(rng);
    return status;
}

static gm_status make_range(gm_dataset **out, gm_dataset *parent, const char *what, int64_t begin,
                            int64_t end)
{
    gm_dataset *ds;
    gm_status status = gm_dataset_make_view(&ds, parent, what, &range_kind);
    if (status) return status;
    ds->of.range.begin = begin;
    ds->rows = end - begin;
    *out = ds;
    return GM_OK;
}

gm_status gm_dataset_range(gm_dataset **out, gm_dataset *parent, int64_t begin, int64_t end)
{
    if (out) *out = NULL;
    if (!out || !parent)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "dataset_range: out or dataset is NULL");
    if (begin < 0 || end <= begin || end > parent->rows)
        return gm_fail(parent->ctx, GM_E_INVALID,
                       "dataset_range: rows %lld to %lld of a dataset of %lld", (long long)begin,
                       (long long)end, (long long)parent->rows);
    return make_range(out, parent, "dataset_range", begin, end);
}

gm_status gm_dataset_split(gm_dataset **first, gm_dataset **second, gm_dataset *parent,
                           int64_t first_rows)
{
    if (first) *first = NULL;
    if (second) *second = NULL;
    if (!first || !second || !parent)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "dataset_split: first, second or dataset is NULL");
    if (first_rows < 1 || first_rows >= parent->rows)
        return gm_fail(parent->ctx, GM_E_INVALID,
                       "dataset_split: the first part gets %lld rows of %lld, each part needs one",
                       (long long)first_rows, (long long)parent->rows);
    gm_status status = make_range(first, parent, "dataset_split", 0, first_rows);
    if (status) return status;
    status = make_range(second, parent, "dataset_split", first_rows, parent->rows);
    if (status) {
        gm_dataset_release(*first);
        *first = NULL;
    }
    return status;
}

gm_status gm_dataset_reshape(gm_dataset **out, gm_dataset *parent, int32_t rank,
                             const int64_t *row_shape)
{
    if (out) *out = NULL;
    if (!out || !parent || (rank > 0 && !row_shape))
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "dataset_reshape: out, dataset or row_shape is NULL");
    if (rank < 0 || rank > GM_MAX_ROW_RANK)
        return gm_fail(parent->ctx, GM_E_INVALID, "dataset_reshape: rank is %d, expected 0 to %d",
                       (int)rank, GM_MAX_ROW_RANK);
    int64_t size = 1;
    int fits = 1;
    for (int32_t i = 0; i < rank && fits; i++)
        fits = row_shape[i] > 0 && gm_mul_size(size, row_shape[i], &size);
    if (!fits || size != parent->row_size) {
        char wanted[GM_SHAPE_TEXT], have[GM_SHAPE_TEXT];
        return gm_fail(parent->ctx, GM_E_SHAPE,
                       "dataset_reshape: rows are %s, %s has another number of values",
                       gm_shape_text(have, parent->row_rank, parent->row_shape),
                       gm_shape_text(wanted, rank, row_shape));
    }
    gm_dataset *ds;
    gm_status status = gm_dataset_make_view(&ds, parent, "dataset_reshape", &reshape_kind);
    if (status) return status;
    ds->row_rank = rank;
    memset(ds->row_shape, 0, sizeof ds->row_shape);
    if (rank) memcpy(ds->row_shape, row_shape, (size_t)rank * sizeof *row_shape);
    *out = ds;
    return GM_OK;
}
