/* tensor.c - shape, storage and views. */
#include "tensor/tensor.h"

#include <string.h>

#include "base/error.h"
#include "kernels/kernels.h"

gm_status gm_shape_count(gm_context *ctx, const char *what, int32_t rank, const int64_t *shape,
                         int64_t *count)
{
    if (rank < 0 || rank > GM_MAX_RANK)
        return gm_fail(ctx, GM_E_INVALID, "%s: rank is %d, expected 0 to %d", what, (int)rank,
                       GM_MAX_RANK);
    if (rank && !shape) return gm_fail(ctx, GM_E_INVALID, "%s: shape is NULL", what);
    int64_t n = 1, bytes;
    for (int32_t i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return gm_fail(ctx, GM_E_INVALID, "%s: size of axis %d is %lld, expected at least 0",
                           what, (int)i, (long long)shape[i]);
        if (!gm_mul_size(n, shape[i], &n)) n = INT64_MAX;
    }
    for (int32_t i = 0; i < rank; i++) /* an empty axis behind an overflow */
        if (shape[i] == 0) n = 0;
    if (n == INT64_MAX || !gm_mul_size(n, (int64_t)sizeof(float), &bytes) ||
        bytes > INT64_MAX / 4) {
        char text[GM_SHAPE_TEXT];
        return gm_fail(ctx, GM_E_INVALID, "%s: %s is more than memory can address", what,
                       gm_shape_text(text, rank, shape));
    }
    *count = n;
    return GM_OK;
}

static gm_status create(gm_tensor **out, gm_context *ctx, const char *what, int32_t rank,
                        const int64_t *shape)
{
    int64_t count;
    gm_status status = gm_shape_count(ctx, what, rank, shape, &count);
    if (status) return status;
    gm_tensor *t = gm_memory_get_zero(&ctx->memory, sizeof *t);
    if (!t) return gm_fail_memory(ctx, what);
    gm_context_retain(ctx);
    t->ctx = ctx;
    t->owners = 1;
    t->rank = rank;
    if (rank) memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    t->count = count;
    *out = t;
    return GM_OK;
}

static gm_status create_owned(gm_tensor **out, gm_context *ctx, const char *what, int32_t rank,
                              const int64_t *shape, const float *data)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "%s: context or out is NULL", what);
    gm_tensor *t = NULL;
    gm_status status;
    GM_TRY(create(&t, ctx, what, rank, shape));
    t->bytes = (size_t)(t->count ? t->count : 1) * sizeof(float);
    t->data = gm_memory_get(&ctx->memory, t->bytes);
    if (!t->data) {
        t->bytes = 0;
        GM_TRY(gm_fail_memory(ctx, what));
    }
    if (data)
        memcpy(t->data, data, (size_t)t->count * sizeof(float));
    else
        memset(t->data, 0, t->bytes);
    *out = t;
    return GM_OK;
out:
    gm_tensor_release(t);
    return status;
}

gm_status gm_tensor_create(gm_tensor **out, gm_context *ctx, int32_t rank, const int64_t *shape)
{
    return create_owned(out, ctx, "tensor", rank, shape, NULL);
}

gm_status gm_tensor_create_from(gm_tensor **out, gm_context *ctx, int32_t rank,
                                const int64_t *shape, const float *data)
{
    if (out) *out = NULL;
    if (!data) return gm_fail(ctx, GM_E_INVALID, "tensor_create_from: data is NULL");
    return create_owned(out, ctx, "tensor_create_from", rank, shape, data);
}

gm_status gm_tensor_wrap(gm_tensor **out, gm_context *ctx, int32_t rank, const int64_t *shape,
                         float *data, void (*release)(void *user, float *data), void *user)
{
    if (out) *out = NULL;
    if (!out || !ctx || !data)
        return gm_fail(ctx, GM_E_INVALID, "tensor_wrap: context, data or out is NULL");
    gm_tensor *t = NULL;
    gm_status status = create(&t, ctx, "tensor_wrap", rank, shape);
    if (status) return status;
    t->data = data;
    t->release = release;
    t->release_user = user;
    *out = t;
    return GM_OK;
}

static gm_status view(gm_tensor **out, gm_tensor *tensor, const char *what, int32_t rank,
                      const int64_t *shape, int64_t offset)
{
    gm_status status = create(out, tensor->ctx, what, rank, shape);
    if (status) return status;
    (*out)->data = tensor->data + offset;
    (*out)->base = tensor->base ? tensor->base : tensor;
    gm_tensor_retain((*out)->base);
    return GM_OK;
}

gm_status gm_tensor_rows_view(gm_tensor **out, gm_tensor *tensor, int64_t begin, int64_t end)
{
    if (out) *out = NULL;
    if (!out || !tensor)
        return gm_fail(tensor ? tensor->ctx : NULL, GM_E_INVALID,
                       "rows_view: tensor or out is NULL");
    if (tensor->rank < 1 || begin < 0 || end < begin || end > tensor->shape[0])
        return gm_fail(tensor->ctx, GM_E_INVALID, "rows_view: rows %lld to %lld of %lld",
                       (long long)begin, (long long)end,
                       tensor->rank ? (long long)tensor->shape[0] : 0);
    int64_t shape[GM_MAX_RANK];
    memcpy(shape, tensor->shape, sizeof shape);
    shape[0] = end - begin;
    int64_t row = tensor->shape[0] ? tensor->count / tensor->shape[0] : 0;
    return view(out, tensor, "rows_view", tensor->rank, shape, begin * row);
}

gm_status gm_tensor_reshape_view(gm_tensor **out, gm_tensor *tensor, int32_t rank,
                                 const int64_t *shape)
{
    if (out) *out = NULL;
    if (!out || !tensor)
        return gm_fail(tensor ? tensor->ctx : NULL, GM_E_INVALID,
                       "reshape_view: tensor or out is NULL");
    int64_t count;
    gm_status status = gm_shape_count(tensor->ctx, "reshape_view", rank, shape, &count);
    if (status) return status;
    if (count != tensor->count) {
        char a[GM_SHAPE_TEXT], b[GM_SHAPE_TEXT];
        return gm_fail(tensor->ctx, GM_E_SHAPE, "reshape_view: %s does not hold what %s holds",
                       gm_shape_text(b, rank, shape),
                       gm_shape_text(a, tensor->rank, tensor->shape));
    }
    return view(out, tensor, "reshape_view", rank, shape, 0);
}

void gm_tensor_retain(gm_tensor *t)
{
    if (t) t->owners++;
}

void gm_tensor_release(gm_tensor *t)
{
    if (!t || --t->owners > 0) return;
    gm_context *ctx = t->ctx;
    if (t->release) t->release(t->release_user, t->data);
    if (t->bytes) gm_memory_put(&ctx->memory, t->data, t->bytes);
    gm_tensor_release(t->base);
    gm_memory_put(&ctx->memory, t, sizeof *t);
    gm_context_release(ctx);
}

int32_t gm_tensor_rank(const gm_tensor *t)
{
    return t ? t->rank : 0;
}

const int64_t *gm_tensor_shape(const gm_tensor *t)
{
    return t ? t->shape : NULL;
}

int64_t gm_tensor_size(const gm_tensor *t, int32_t axis)
{
    return t && axis >= 0 && axis < t->rank ? t->shape[axis] : 0;
}

int64_t gm_tensor_count(const gm_tensor *t)
{
    return t ? t->count : 0;
}

float *gm_tensor_data(gm_tensor *t)
{
    return t ? t->data : NULL;
}

const float *gm_tensor_read(const gm_tensor *t)
{
    return t ? t->data : NULL;
}

void gm_tensor_fill(gm_tensor *t, float value)
{
    if (t) t->ctx->kernels->fill(t->data, value, t->count);
}
