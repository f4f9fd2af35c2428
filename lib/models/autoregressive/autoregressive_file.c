/* autoregressive_file.c - `load` of all autoregressive families. */
#include <stdio.h>

#include "gm/layer_file.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/conditionals.h"
#include "models/family.h"

gm_status gm_autoregressive_load(gm_model **out, gm_context *ctx, gm_archive *archive,
                                 gm_optimizer *optimizer, const char *prefix, int ordered,
                                 gm_autoregressive_rebuild *rebuild)
{
    gm_autoregressive_parts parts = { 0, NULL, optimizer };
    gm_model *model = NULL;
    int64_t *order = NULL;
    char key[64];
    gm_status status;
    (void)snprintf(key, sizeof key, "%scolumns", prefix);
    if (ordered) GM_TRY(gm_archive_get_int(&parts.columns, archive, key));
    (void)snprintf(key, sizeof key, "%sorder", prefix);
    if (ordered) GM_TRY(gm_order_get(&order, ctx, archive, key, parts.columns));
    parts.order = order;
    GM_TRY(rebuild(&model, ctx, archive, &parts));
    GM_TRY(gm_archive_get_params(archive, prefix, model->params));
    *out = model;
    model = NULL;
out:
    if (order) gm_context_free(ctx, order, (size_t)parts.columns * sizeof *order);
    gm_model_release(model);
    return status;
}
