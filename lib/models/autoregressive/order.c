/* order.c - the order of an autoregressive model's columns: rows in it, and its place in a file. */
#include <string.h>

#include "gm/mask.h"
#include "models/autoregressive/column_order.h"
#include "models/family.h"

gm_status gm_order_set(gm_order *order, gm_model *model, const int64_t *given)
{
    const size_t bytes = (size_t)model->row_size * sizeof *given;
    if (!given) return GM_OK;
    const gm_status status = gm_mask_check_order(model->ctx, given, model->row_size);
    if (status) return status;
    order->column = gm_context_allocate(model->ctx, bytes);
    if (!order->column)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "%s: no memory for the order",
                             model->family->name);
    memcpy(order->column, given, bytes);
    return GM_OK;
}

void gm_order_forget(gm_order *order, gm_model *model)
{
    gm_context_free(model->ctx, order->column, (size_t)model->row_size * sizeof *order->column);
    memset(order, 0, sizeof *order);
}

gm_status gm_order_rows(const gm_order *order, gm_model *model, const float *rows, int64_t count,
                        const float **out)
{
    const int64_t size = model->row_size;
    const size_t row = (size_t)size * sizeof **out;
    *out = rows;
    if (!order->column) return GM_OK;
    float *to =
        (uint64_t)count <= SIZE_MAX / row ? gm_model_take(model, (size_t)count * row) : NULL;
    if (!to)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "%s: no memory for %lld rows",
                             model->family->name, (long long)count);
    *out = to;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < size; k++) *to++ = rows[i * size + order->column[k]];
    return GM_OK;
}

gm_status gm_order_put(const gm_order *order, gm_model *model, gm_archive *archive,
                       const char *name)
{
    const int64_t size = model->row_size;
    if (!order->column) return GM_OK;
    float *values = gm_context_allocate(model->ctx, (size_t)size * sizeof *values);
    if (!values)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "%s: save: no memory for the order",
                             model->family->name);
    for (int64_t k = 0; k < size; k++) values[k] = (float)order->column[k];
    const gm_status status = gm_archive_put(archive, name, 1, &size, values);
    gm_context_free(model->ctx, values, (size_t)size * sizeof *values);
    return status;
}

gm_status gm_order_get(int64_t **out, gm_context *ctx, gm_archive *archive, const char *name,
                       int64_t columns)
{
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    const float *values;
    gm_status status;
    *out = NULL;
    if (!gm_archive_has_tensor(archive, name)) return GM_OK;
    GM_TRY(gm_archive_get(&rank, &values, archive, name, shape));
    if (rank != 1 || shape[0] != columns || columns < 1)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE, "load: %s is not a list of %lld columns", name,
                             (long long)columns));
    int64_t *column = gm_context_allocate(ctx, (size_t)columns * sizeof *column);
    if (!column) GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "load: no memory for %s", name));
    /* What is no number of a column becomes -1, which is refused with its place. */
    for (int64_t k = 0; k < columns; k++)
        column[k] = values[k] >= 0 && values[k] < (float)columns ? (int64_t)values[k] : -1;
    *out = column;
out:
    return status;
}
