/* reader.c - readers of frozen models. */
#include "base/child.h"
#include "models/family.h"
#include "serve/frozen.h"
#include "serve/rehearse.h"

struct gm_reader {
    gm_model *model; /* in a context of its own, in which the reader lies too */
    int64_t owners;
    int64_t max_rows;
};

/* Neither more memory nor other weights from now on. */
static void settle(void *context, gm_model *model, int64_t max_rows)
{
    model->host = context;
    model->most_rows = max_rows;
}

gm_status gm_reader_create(gm_reader **out, gm_context *ctx, gm_frozen *frozen, int64_t max_rows)
{
    if (out) *out = NULL;
    if (!out || !ctx || !frozen)
        return gm_fail(ctx, GM_E_INVALID, "reader: context, frozen model or out is NULL");
    if (max_rows < 1)
        return gm_fail(ctx, GM_E_INVALID, "reader: max_rows is %lld, expected at least 1",
                       (long long)max_rows);
    gm_model *model = NULL;
    gm_status status;
    GM_TRY(gm_frozen_open(&model, ctx, frozen, "frozen model"));
    GM_TRY(gm_rehearse(model, max_rows));
    gm_reader *reader = gm_memory_get_zero(&model->ctx->memory, sizeof *reader);
    if (!reader) GM_TRY(gm_fail_memory(ctx, "reader"));
    gm_each_part(model, settle, ctx, max_rows);
    gm_context_seal(model->ctx, max_rows);
    gm_context_retain(model->ctx);
    reader->model = model;
    reader->owners = 1;
    reader->max_rows = max_rows;
    *out = reader;
    return GM_OK;
out:
    gm_model_release(model);
    return status;
}

gm_status gm_reader_bytes(size_t *out, gm_context *ctx, gm_frozen *frozen, int64_t max_rows)
{
    gm_reader *reader;
    if (out) *out = 0;
    if (!out) return gm_fail(ctx, GM_E_INVALID, "reader_bytes: out is NULL");
    const gm_status status = gm_reader_create(&reader, ctx, frozen, max_rows);
    if (!status) *out = gm_context_child_bytes(reader->model->ctx);
    gm_reader_release(reader);
    return status;
}

void gm_reader_retain(gm_reader *reader)
{
    if (reader) reader->owners++;
}

void gm_reader_release(gm_reader *reader)
{
    if (!reader || --reader->owners > 0) return;
    gm_model *model = reader->model;
    gm_context *child = model->ctx;
    gm_memory_put(&child->memory, reader, sizeof *reader);
    gm_model_release(model);
    gm_context_release(child);
}

gm_model *gm_reader_model(const gm_reader *reader)
{
    return reader ? reader->model : NULL;
}

int64_t gm_reader_max_rows(const gm_reader *reader)
{
    return reader ? reader->max_rows : 0;
}
