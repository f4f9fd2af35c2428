/* row_shape.c - the axes of a model's rows, and whether a dataset's agree with them. */
#include <stdio.h>
#include <string.h>

#include "models/row_reader.h"

void gm_model_shape_rows(gm_model *model, int32_t rank, const int64_t *batch_shape)
{
    int64_t count = 1;
    if (rank < 3 || rank - 1 > GM_MAX_ROW_RANK) return;
    for (int32_t i = 1; i < rank; i++) count *= batch_shape[i];
    if (count != model->row_size) return;
    model->row_rank = rank - 1;
    memcpy(model->row_shape, batch_shape + 1, (size_t)model->row_rank * sizeof *batch_shape);
}

gm_status gm_model_net_output(gm_layer *net, const char *name, int32_t rank, const int64_t *shape,
                              int32_t *out_rank, int64_t *out_shape)
{
    gm_context *ctx = gm_layer_context(net);
    const gm_status status = gm_layer_output(net, rank, shape, out_rank, out_shape);
    if (!status || status == GM_E_NOMEM) return status;
    return gm_model_fail(ctx, status, "%s, tried on %lld rows: %s", name, (long long)shape[0],
                         gm_context_error(ctx));
}

gm_status gm_model_shape_rows_for(gm_model *model, gm_layer *net)
{
    const int64_t flat[2] = { 2, model->row_size };
    int64_t shape[GM_MAX_RANK];
    int32_t rank;
    if (model->row_rank) return GM_OK;
    while (!strcmp(gm_layer_type(net), "sequence") && gm_sequence_count(net))
        net = gm_sequence_get(net, 0);
    if (strcmp(gm_layer_type(net), "reshape")) return GM_OK;
    const gm_status status = gm_layer_output(net, 2, flat, &rank, shape);
    if (!status) gm_model_shape_rows(model, rank, shape);
    return status == GM_E_NOMEM ? status : GM_OK; /* another failure is the family's to find */
}

void gm_model_shape_rows_like(gm_model *model, const gm_model *part)
{
    if (model->row_rank || model->row_size != part->row_size) return;
    model->row_rank = part->row_rank;
    memcpy(model->row_shape, part->row_shape, sizeof model->row_shape);
}

#define TEXT 128

static const char *text_of(char text[TEXT], int32_t rank, const int64_t *shape)
{
    size_t at = (size_t)snprintf(text, TEXT, "[");
    for (int32_t i = 0; i < rank; i++)
        at += (size_t)snprintf(text + at, TEXT - at, "%s%lld", i ? ", " : "", (long long)shape[i]);
    (void)snprintf(text + at, TEXT - at, "]");
    return text;
}

/* [h, w, c] where the model has [c, h, w]. */
static int has_channels_last(const gm_model *model, const int64_t *shape)
{
    const int64_t *own = model->row_shape;
    return model->row_rank == 3 && shape[2] == own[0] && shape[0] == own[1] && shape[1] == own[2];
}

gm_status gm_model_check_rows(const gm_model *model, gm_dataset *data, const char *what)
{
    gm_context *ctx = model->ctx;
    if (!data) return gm_model_fail(ctx, GM_E_INVALID, "%s: data is NULL", what);
    if (gm_dataset_context(data) != ctx)
        return gm_model_fail(ctx, GM_E_INVALID, "%s: the dataset is of another context", what);
    char theirs[TEXT], ours[TEXT];
    const int32_t rank = gm_dataset_row_rank(data);
    const int64_t *shape = gm_dataset_row_shape(data);
    const int same_size = gm_dataset_row_size(data) == model->row_size;
    if (same_size &&
        (rank != model->row_rank || !memcmp(shape, model->row_shape, (size_t)rank * sizeof *shape)))
        return GM_OK;
    if (rank)
        text_of(theirs, rank, shape);
    else /* a source of one axis: often rows whose width was forgotten */
        (void)snprintf(theirs, sizeof theirs, "single values");
    if (model->row_rank)
        text_of(ours, model->row_rank, model->row_shape);
    else
        text_of(ours, 1, &model->row_size);
    const char *path = gm_dataset_path(data);
    return gm_model_fail(ctx, GM_E_SHAPE,
                         "%s: rows of the dataset are %s, those of the model %s%s%s%s%s", what,
                         theirs, ours,
                         same_size && has_channels_last(model, shape)
                             ? "; gm_dataset_channels_first brings them to it"
                             : "",
                         path ? " (" : "", path ? path : "", path ? ")" : "");
}
