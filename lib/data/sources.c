/* sources.c - rows in memory, copied or wrapped, floats or bytes, and rows from the host's
 * callback. */
#include <math.h>
#include <string.h>

#include "data/dataset.h"

static gm_status read_floats(const gm_dataset *ds, gm_block *b)
{
    const int64_t size = ds->row_size;
    for (int64_t i = 0; i < b->count; i++)
        memcpy(b->out + i * size, ds->of.floats.data + b->rows[i] * size,
               (size_t)size * sizeof(float));
    /* Owned values were checked when they came; wrapped ones may have changed since. */
    return ds->of.floats.bytes ? GM_OK : gm_dataset_check_finite(ds, b);
}

static void destroy_floats(gm_dataset *ds)
{
    if (ds->of.floats.bytes)
        gm_memory_put(&ds->ctx->memory, (void *)(uintptr_t)ds->of.floats.data, ds->of.floats.bytes);
    else if (ds->of.floats.release)
        ds->of.floats.release(ds->of.floats.user, ds->of.floats.data);
}

static gm_status read_bytes(const gm_dataset *ds, gm_block *b)
{
    const int64_t size = ds->row_size;
    for (int64_t i = 0; i < b->count; i++)
        ds->ctx->kernels->bytes_to_float(b->out + i * size, ds->of.bytes.data + b->rows[i] * size,
                                         ds->of.bytes.scale, ds->of.bytes.shift, size);
    return GM_OK;
}

static void destroy_bytes(gm_dataset *ds)
{
    gm_memory_put(&ds->ctx->memory, (void *)(uintptr_t)ds->of.bytes.data, ds->of.bytes.bytes);
}

static void destroy_callback(gm_dataset *ds)
{
    if (ds->of.callback.release) ds->of.callback.release(ds->of.callback.user);
}

static const gm_dataset_kind floats_kind = { "dataset", NULL, read_floats, destroy_floats };
static const gm_dataset_kind bytes_kind = { "dataset", NULL, read_bytes, destroy_bytes };
/* read.c does the reading: the host is asked once, not block by block in workers. */
const gm_dataset_kind gm_dataset_callback = { "dataset_from_callback", NULL, NULL,
                                              destroy_callback };

gm_status gm_dataset_adopt_floats(gm_dataset **out, gm_context *ctx, const char *what, int32_t rank,
                                  const int64_t *shape, const float *data, size_t bytes)
{
    int64_t count;
    gm_dataset *ds;
    gm_status status = gm_dataset_make_source(&ds, ctx, what, rank, shape, &count);
    if (status) return status;
    if (!ctx->kernels->all_finite(data, count)) {
        int64_t at = 0;
        while (at < count - 1 && isfinite(data[at])) at++;
        status = gm_fail(
            ctx, GM_E_NUMERIC, "%s: row %lld, column %lld is %g, expected a finite float", what,
            (long long)(at / ds->row_size), (long long)(at % ds->row_size), (double)data[at]);
        gm_dataset_release(ds); /* without a kind: the data stays the caller's */
        return status;
    }
    ds->kind = &floats_kind;
    ds->of.floats.data = data;
    ds->of.floats.bytes = bytes;
    *out = ds;
    return GM_OK;
}

gm_status gm_dataset_adopt_bytes(gm_dataset **out, gm_context *ctx, const char *what, int32_t rank,
                                 const int64_t *shape, const uint8_t *data, size_t bytes,
                                 float scale, float shift)
{
    int64_t count;
    gm_dataset *ds;
    gm_status status = gm_dataset_make_source(&ds, ctx, what, rank, shape, &count);
    if (status) return status;
    ds->kind = &bytes_kind;
    ds->bound = 255.0 * fabs((double)scale) + fabs((double)shift);
    ds->of.bytes.data = data;
    ds->of.bytes.bytes = bytes;
    ds->of.bytes.scale = scale;
    ds->of.bytes.shift = shift;
    *out = ds;
    return GM_OK;
}

/* Checks shape before anything is copied; *count values. */
static gm_status check(gm_dataset **out, gm_context *ctx, const char *what, int32_t rank,
                       const int64_t *shape, const void *data, int64_t *count)
{
    if (out) *out = NULL;
    if (!out || !ctx || !shape || !data)
        return gm_fail(ctx, GM_E_INVALID, "%s: out, context, shape or data is NULL", what);
    gm_dataset *probe;
    gm_status status = gm_dataset_make_source(&probe, ctx, what, rank, shape, count);
    if (!status) gm_dataset_release(probe);
    return status;
}

gm_status gm_dataset_from_memory(gm_dataset **out, gm_context *ctx, int32_t rank,
                                 const int64_t *shape, const float *data)
{
    static const char what[] = "dataset_from_memory";
    int64_t count;
    gm_status status = check(out, ctx, what, rank, shape, data, &count);
    if (status) return status;
    size_t bytes = (size_t)count * sizeof(float);
    float *copy = gm_memory_get(&ctx->memory, bytes);
    if (!copy) return gm_fail_memory(ctx, what);
    memcpy(copy, data, bytes);
    status = gm_dataset_adopt_floats(out, ctx, what, rank, shape, copy, bytes);
    if (status) gm_memory_put(&ctx->memory, copy, bytes);
    return status;
}

gm_status gm_dataset_wrap(gm_dataset **out, gm_context *ctx, int32_t rank, const int64_t *shape,
                          const float *data, void (*release)(void *user, const float *data),
                          void *user)
{
    if (out) *out = NULL;
    if (!out || !ctx || !shape || !data)
        return gm_fail(ctx, GM_E_INVALID, "dataset_wrap: out, context, shape or data is NULL");
    int64_t count;
    gm_dataset *ds;
    gm_status status = gm_dataset_make_source(&ds, ctx, "dataset_wrap", rank, shape, &count);
    if (status) return status;
    ds->kind = &floats_kind;
    ds->of.floats.data = data;
    ds->of.floats.release = release;
    ds->of.floats.user = user;
    *out = ds;
    return GM_OK;
}

gm_status gm_dataset_from_bytes(gm_dataset **out, gm_context *ctx, int32_t rank,
                                const int64_t *shape, const uint8_t *data, double scale)
{
    static const char what[] = "dataset_from_bytes";
    int64_t count;
    gm_status status = check(out, ctx, what, rank, shape, data, &count);
    if (status) return status;
    if (!isfinite((float)scale) || !isfinite((float)(255.0 * scale)))
        return gm_fail(ctx, GM_E_INVALID, "%s: scale is %g, expected one that keeps bytes finite",
                       what, scale);
    uint8_t *copy = gm_memory_get(&ctx->memory, (size_t)count);
    if (!copy) return gm_fail_memory(ctx, what);
    memcpy(copy, data, (size_t)count);
    status = gm_dataset_adopt_bytes(out, ctx, what, rank, shape, copy, (size_t)count, (float)scale,
                                    0.0f);
    if (status) gm_memory_put(&ctx->memory, copy, (size_t)count);
    return status;
}

gm_status gm_dataset_from_callback(gm_dataset **out, gm_context *ctx, int32_t rank,
                                   const int64_t *shape,
                                   gm_status (*read)(void *user, const int64_t *rows, int64_t count,
                                                     int64_t pass, float *out_rows),
                                   void (*release)(void *user), void *user)
{
    if (out) *out = NULL;
    if (!out || !ctx || !shape || !read)
        return gm_fail(ctx, GM_E_INVALID,
                       "dataset_from_callback: out, context, shape or read is NULL");
    int64_t count;
    gm_dataset *ds;
    gm_status status =
        gm_dataset_make_source(&ds, ctx, "dataset_from_callback", rank, shape, &count);
    if (status) return status;
    ds->kind = &gm_dataset_callback;
    ds->of.callback.read = read;
    ds->of.callback.release = release;
    ds->of.callback.user = user;
    *out = ds;
    return GM_OK;
}
