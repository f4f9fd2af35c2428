/* host_layer.c - a layer that the host wrote. */
#include <string.h>

#include "base/name.h"
#include "base/options.h"
#include "nn/layer.h"

static gm_var apply_host(gm_layer *layer, gm_tape *tape, gm_var x)
{
    gm_layer_retain(layer); /* the callback may release it */
    const gm_var y = layer->host.apply(layer->host.user, tape, x);
    gm_layer_release(layer);
    return y;
}

const gm_layer_kind gm_kind_host = { .name = "host", .apply = apply_host };

gm_status gm_host_layer_check_type(gm_context *ctx, const char *type)
{
    if (gm_name_fits(type, GM_LAYER_TYPE) && !gm_layer_kind_find(type)) return GM_OK;
    return gm_fail(ctx, GM_E_INVALID,
                   "host layer: type is \"%.40s\", expected 1 to %d characters " GM_NAME_RULE
                   " and no built-in layer's",
                   type, GM_LAYER_TYPE - 1);
}

gm_status gm_layer_create_host(gm_layer **out, gm_context *ctx, const gm_host_layer *host,
                               gm_params *params)
{
    if (out) *out = NULL;
    if (!out || !ctx || !host)
        return gm_fail(ctx, GM_E_INVALID, "host layer: context, host or out is NULL");
    gm_host_layer h = GM_HOST_LAYER_INIT;
    gm_status status = gm_options_check(ctx, "host layer", &h, sizeof h, host);
    if (status) return status;
    if (!h.apply || !h.type) return gm_fail(ctx, GM_E_INVALID, "host layer: apply or type is NULL");
    status = gm_host_layer_check_type(ctx, h.type);
    if (status) return status;
    if (params && params->ctx != ctx)
        return gm_fail(ctx, GM_E_INVALID, "host layer: params are of another context");
    status = gm_layer_make(out, ctx, &gm_kind_host, NULL);
    if (status) return status;
    gm_layer *layer = *out;
    memcpy(layer->type, h.type, strlen(h.type) + 1);
    layer->host = h;
    layer->host.type = layer->type;
    if (params) {
        gm_params_retain(params);
        gm_params_seal(params);
        gm_params_release(layer->params);
        layer->params = params;
    }
    return GM_OK;
}
