/* row_reader.c - the one way in which verbs read a dataset. */
#include "models/row_reader.h"

#include <string.h>

gm_status gm_row_reader_open(gm_row_reader *r, const char *what, gm_model *model, gm_dataset *data,
                             int64_t batch, int64_t limit)
{
    gm_context *ctx = model->ctx;
    gm_status status;
    GM_TRY(gm_model_check_rows(model, data, what));
    if (batch < 1 || limit < 0)
        GM_TRY(gm_model_fail(
            ctx, GM_E_INVALID,
            "%s: batch is %lld, expected at least 1; limit is %lld, expected at least 0", what,
            (long long)batch, (long long)limit));
    GM_TRY(gm_model_check_labels(model, data, what));
    r->model = model;
    r->data = data;
    r->rows = gm_dataset_rows(data);
    if (limit && limit < r->rows) r->rows = limit;
    r->batch = batch < r->rows ? batch : r->rows;
    if (model->row_size > INT64_MAX / 64 / r->batch - 4)
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID,
                             "%s: a batch of %lld rows of %lld values is more than can be "
                             "addressed",
                             what, (long long)r->batch, (long long)model->row_size));
    r->mark = gm_model_mark(model);
    r->index = gm_model_take(model, (size_t)r->batch * (sizeof *r->index + sizeof *r->labels) +
                                        (size_t)(r->batch * model->row_size) * sizeof *r->values);
    if (!r->index)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "%s: no memory for a batch of %lld rows", what,
                             (long long)r->batch));
    (void)gm_model_enter(model);
    gm_dataset_retain(data);
    r->values = (float *)(void *)(r->index + r->batch);
    if (model->classes) r->labels = r->values + r->batch * model->row_size;
out:
    return status;
}

gm_status gm_row_reader_pick(gm_row_reader *r, const int64_t *index, int64_t count, int64_t pass,
                             gm_batch *batch)
{
    gm_status status;
    GM_TRY(gm_dataset_read(r->data, index, count, pass, r->values));
    if (r->labels) GM_TRY(gm_model_read_labels(r->model, r->data, index, count, r->labels));
    *batch = (gm_batch){ r->values, r->labels, count, index, gm_dataset_rows(r->data) };
out:
    return status;
}

gm_status gm_row_reader_next(gm_row_reader *r, int64_t begin, gm_batch *batch)
{
    const int64_t count = r->rows - begin < r->batch ? r->rows - begin : r->batch;
    for (int64_t i = 0; i < count; i++) r->index[i] = begin + i;
    const gm_status status = gm_row_reader_pick(r, r->index, count, 0, batch);
    batch->index = NULL; /* looked at, not trained on: no chains of rows go on */
    batch->total = 0;
    return status;
}

void gm_row_reader_close(gm_row_reader *r)
{
    if (r->index) {
        gm_dataset_release(r->data);
        gm_model_leave(r->model, r->mark);
    }
    memset(r, 0, sizeof *r);
}
