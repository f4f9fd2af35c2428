/* host_layer.c - a layer that the host wrote. */
#include <string.h>

#include "base/options.h"
#include "nn/layer.h"

static gm_var apply_host(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return layer->host.apply(layer->host.user, tape, x);
}

const gm_layer_kind gm_kind_host = { .name = "host", .apply = apply_host };

static int type_fits(const char *type)
{
    size_t n = strlen(type);
    return n > 0 && n < GM_LAYER_TYPE && !gm_layer_kind_find(type) &&
           strspn(type, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
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
    if (!type_fits(h.type))
        return gm_fail(
            ctx, GM_E_INVALID,
            "host layer: type \"%.40s\" is not 1 to %d characters of [A-Za-z0-9_.-] other "
            "than a built-in layer's",
            h.type, GM_LAYER_TYPE - 1);
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
        gm_params_release(layer->params);
        layer->params = params;
    }
    return GM_OK;
}
