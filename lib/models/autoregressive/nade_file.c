/* nade_file.c - NADE in an archive: its options, its order, its weights. */
#include "gm/layer_file.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/nade_net.h"
#include "models/family.h"
#include "models/fields.h"

static const gm_model_field stored[] = {
    GM_FIELD(gm_nade_options, kind),           GM_FIELD(gm_nade_options, activation),
    GM_FIELD(gm_nade_options, hidden),         GM_FIELD(gm_nade_options, classes),
    GM_FIELD(gm_nade_options, components),     GM_FIELD(gm_nade_options, tied),
    GM_FIELD(gm_nade_options, order_agnostic), GM_FIELD(gm_nade_options, orders),
    GM_FIELD(gm_nade_options, layers),         GM_FIELD(gm_nade_options, log_scale_bound),
};

gm_status gm_nade_put(const gm_nade_net *net, gm_archive *archive)
{
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    gm_status status;
    o.kind = net->kind;
    o.activation = net->activation;
    o.hidden = net->hidden;
    o.classes = net->classes;
    o.components = net->width / 3;
    o.tied = net->tied;
    o.order_agnostic = net->agnostic;
    o.orders = net->order_count;
    o.layers = net->layers;
    o.log_scale_bound = net->bound;
    GM_TRY(gm_archive_set_int(archive, "nade.columns", net->columns));
    GM_TRY(gm_archive_set_int(archive, "nade.seed", (int64_t)net->seed));
    GM_TRY(GM_PUT_FIELDS(archive, "nade.", stored, &o));
    GM_TRY(gm_order_put(&net->order, net->model, archive, "nade.order"));
    GM_TRY(gm_archive_put_params(archive, "nade.", net->model->params));
out:
    return status;
}

/* Has the file weights of the sizes that it speaks of? Before memory is taken for them. */
static gm_status check_weights(gm_context *ctx, gm_archive *archive, int64_t columns,
                               const gm_nade_options *o)
{
    const int64_t width =
        o->kind == GM_CONDITIONAL_CATEGORICAL ? o->classes : 3 * (o->components & 0xffffff);
    int32_t rank;
    int64_t w[GM_MAX_RANK], b[GM_MAX_RANK];
    gm_status status;
    GM_TRY(gm_archive_get(&rank, NULL, archive, "nade.w", w));
    int fits = rank >= 2 && w[0] == columns && w[rank - 1] == o->hidden &&
               (rank < 3 || w[1] == o->classes);
    GM_TRY(gm_archive_get(&rank, NULL, archive, "nade.b", b));
    fits = fits && rank >= 1 && b[0] == columns && (rank < 2 || b[1] == width);
    if (!fits)
        GM_TRY(
            gm_model_fail(ctx, GM_E_SHAPE,
                          "load: nade.w and nade.b do not fit %lld columns and %lld hidden units",
                          (long long)columns, (long long)o->hidden));
out:
    return status;
}

gm_status gm_nade_get(gm_nade_options *o, uint64_t *seed, gm_context *ctx, gm_archive *archive,
                      int64_t columns)
{
    int64_t bits = 0;
    gm_status status;
    GM_TRY(GM_GET_FIELDS(archive, "nade.", stored, o));
    GM_TRY(gm_archive_get_int(&bits, archive, "nade.seed"));
    GM_TRY(check_weights(ctx, archive, columns, o));
    *seed = (uint64_t)bits;
out:
    return status;
}
