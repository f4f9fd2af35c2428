/* last_batch.c - whether a model can work on a last batch of a single row. */
#include <stdio.h>

#include "models/row_reader.h"

/* The loss of the first `count` rows in the reader, which is not kept: only the tape changes. */
static gm_status try_loss(const gm_row_reader *r, int32_t mode, int64_t count)
{
    gm_model *model = r->model;
    const gm_batch batch = { .rows = r->values, .labels = r->labels, .count = count };
    gm_rng_state before;
    gm_metrics ignored = { 0 };
    gm_var loss;
    gm_rng_save(&before, model->rng);
    gm_model_record(model, mode);
    const size_t mark = gm_model_mark(model);
    const gm_status status = model->family->loss(model, &batch, &loss, &ignored);
    gm_model_give(model, mark);
    gm_rng_restore(model->rng, &before);
    return status;
}

/* One value a channel has no variance for batch norm, and one row no pair for an unbiased MMD. So
 * the first row is tried, and then that row twice: when that fails too, it is for another reason,
 * which the step will report. */
gm_status gm_row_reader_try_row(gm_row_reader *r, int32_t mode, gm_dataset *data, const char *set,
                                const char *instead)
{
    gm_model *model = r->model;
    const int64_t rows = gm_dataset_rows(data), first[2] = { 0, 0 };
    gm_status status = GM_OK;
    char line[256];
    if (r->batch < 2 || rows % r->batch != 1) return GM_OK;
    if (model->family->step && !gm_params_elements(model->state)) return GM_OK;
    GM_TRY(gm_dataset_read(data, first, 2, 0, r->values));
    if (r->labels) GM_TRY(gm_model_read_labels(model, data, first, 2, r->labels));
    status = try_loss(r, mode, 1);
    if (!status || status == GM_E_NOMEM) goto out;
    (void)snprintf(line, sizeof line, "%s", gm_context_error(model->ctx));
    status = try_loss(r, mode, 2);
    if (status) return status == GM_E_NOMEM ? status : GM_OK;
    status = gm_model_fail(model->ctx, GM_E_INVALID,
                           "fit: batch is %lld, so the last batch of the %lld rows %s has 1 row, "
                           "which fails (%s); %s",
                           (long long)r->batch, (long long)rows, set, line, instead);
out:
    return status;
}
