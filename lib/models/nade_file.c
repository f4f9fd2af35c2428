/* nade_file.c - NADE in an archive: its options, its order, its weights. */
#include "gm/layer_file.h"
#include "models/nade.h"

gm_status gm_nade_put(const gm_nade_net *net, gm_archive *archive)
{
    const struct {
        const char *name;
        int64_t value;
    } whole[] = { { "nade.columns", net->columns },       { "nade.kind", net->kind },
                  { "nade.activation", net->activation }, { "nade.hidden", net->hidden },
                  { "nade.classes", net->classes },       { "nade.components", net->width / 3 },
                  { "nade.tied", net->tied },             { "nade.order_agnostic", net->agnostic },
                  { "nade.orders", net->order_count },    { "nade.layers", net->layers },
                  { "nade.seed", (int64_t)net->seed } };
    gm_status status = GM_OK;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        GM_TRY(gm_archive_set_int(archive, whole[i].name, whole[i].value));
    GM_TRY(gm_archive_set_real(archive, "nade.log_scale_bound", net->bound));
    GM_TRY(gm_order_put(&net->order, net->model, archive, "nade.order"));
    GM_TRY(gm_archive_put_params(archive, "nade.", net->model->params));
out:
    return status;
}

/* Has the file weights of the sizes that it speaks of? Before memory is taken for them. */
static gm_status check_weights(gm_context *ctx, gm_archive *archive, int64_t columns, const gm_nade_options *o)
{
    const int64_t width = o->kind == GM_CONDITIONAL_CATEGORICAL ? o->classes : 3 * (o->components & 0xffffff);
    int32_t rank;
    int64_t w[GM_MAX_RANK], b[GM_MAX_RANK];
    gm_status status;
    GM_TRY(gm_archive_get(archive, "nade.w", &rank, w, NULL));
    int fits = rank >= 2 && w[0] == columns && w[rank - 1] == o->hidden && (rank < 3 || w[1] == o->classes);
    GM_TRY(gm_archive_get(archive, "nade.b", &rank, b, NULL));
    fits = fits && rank >= 1 && b[0] == columns && (rank < 2 || b[1] == width);
    if (!fits)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE, "load: nade.w and nade.b do not fit %lld columns and %lld hidden units",
                             (long long)columns, (long long)o->hidden));
out:
    return status;
}

gm_status gm_nade_get(gm_nade_options *o, int64_t **order, int64_t *columns, uint64_t *seed, gm_context *ctx,
                      gm_archive *archive)
{
    int64_t bits = 0;
    gm_status status;
    GM_TRY(gm_archive_get_int(archive, "nade.columns", columns));
    GM_TRY(gm_model_get_small(archive, "nade.kind", &o->kind));
    GM_TRY(gm_model_get_small(archive, "nade.activation", &o->activation));
    GM_TRY(gm_archive_get_int(archive, "nade.hidden", &o->hidden));
    GM_TRY(gm_archive_get_int(archive, "nade.classes", &o->classes));
    GM_TRY(gm_archive_get_int(archive, "nade.components", &o->components));
    GM_TRY(gm_model_get_small(archive, "nade.tied", &o->tied));
    GM_TRY(gm_model_get_small(archive, "nade.order_agnostic", &o->order_agnostic));
    GM_TRY(gm_archive_get_int(archive, "nade.orders", &o->orders));
    GM_TRY(gm_model_get_small(archive, "nade.layers", &o->layers));
    GM_TRY(gm_archive_get_int(archive, "nade.seed", &bits));
    GM_TRY(gm_archive_get_real(archive, "nade.log_scale_bound", &o->log_scale_bound));
    GM_TRY(check_weights(ctx, archive, *columns, o));
    GM_TRY(gm_order_get(order, ctx, archive, "nade.order", *columns));
    o->order = *order;
    *seed = (uint64_t)bits;
out:
    return status;
}
