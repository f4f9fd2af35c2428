/* host_layer_file.c - layers of the host's types in an archive, through the context's registry. */
#include "io/host_layer_file.h"

#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "gm/extend.h"
#include "nn/layer.h"

#define KIND "layer" /* in the context's registry */

static gm_status read_table(gm_context *ctx, gm_host_layer_type *out,
                            const gm_host_layer_type *given)
{
    const gm_host_layer_type empty = GM_HOST_LAYER_TYPE_INIT;
    *out = empty;
    const gm_status status = gm_options_check(ctx, "host layer type", out, sizeof *out, given);
    if (status) return status;
    if (!out->type) return gm_fail(ctx, GM_E_INVALID, "host layer: type is NULL");
    if (!out->save || !out->load)
        return gm_fail(ctx, GM_E_INVALID, "%.40s: %s is NULL, expected a function", out->type,
                       out->save ? "load" : "save");
    return gm_host_layer_check_type(ctx, out->type);
}

gm_status gm_context_register_layer(gm_context *ctx, const gm_host_layer_type *layer_type)
{
    if (!ctx || !layer_type)
        return gm_fail(ctx, GM_E_INVALID, "register_layer: context or layer_type is NULL");
    gm_host_layer_type table;
    const gm_status status = read_table(ctx, &table, layer_type);
    return status ? status : gm_context_register(ctx, KIND, table.type, layer_type);
}

/* The registered text was the host's to keep only for the call: `type` takes its place. */
static gm_status find_table(gm_context *ctx, gm_host_layer_type *out, const char *type)
{
    gm_host_layer_type given = GM_HOST_LAYER_TYPE_INIT;
    const gm_host_layer_type *registered = gm_context_registered(ctx, KIND, type);
    if (!registered)
        return gm_fail(ctx, GM_E_UNSUPPORTED,
                       "layer file: type is \"%.40s\", expected one of this library or one that "
                       "the host registered",
                       type);
    const gm_status status =
        gm_options_check(ctx, "host layer type", &given, sizeof given, registered);
    if (status) return status;
    given.type = type;
    return read_table(ctx, out, &given);
}

/* The context's line is emptied before a callback, to see whether it writes one. */
static void empty_line(gm_context *ctx, char before[sizeof ctx->error])
{
    memcpy(before, ctx->error, sizeof ctx->error);
    ctx->error[0] = 0;
}

static gm_status called(gm_context *ctx, const char before[sizeof ctx->error], const char *type,
                        const char *callback, gm_status status)
{
    if (status == GM_OK) memcpy(ctx->error, before, sizeof ctx->error);
    if (status == GM_OK) return GM_OK;
    const int known = strcmp(gm_status_name(status), "GM_E_UNKNOWN") != 0;
    if (known && ctx->error[0]) return status;
    return gm_fail(ctx, known ? status : GM_E_INVALID,
                   "%s: the host's %s callback returned %d (%s)", type, callback, (int)status,
                   gm_status_name(status));
}

gm_status gm_host_layer_save(const gm_layer *layer, gm_archive *archive, const char *prefix)
{
    gm_context *ctx = layer->ctx;
    gm_host_layer_type table;
    char before[sizeof ctx->error];
    gm_status status = find_table(ctx, &table, gm_layer_type(layer));
    if (status) return status;
    empty_line(ctx, before);
    status = table.save(layer->host.user, layer, archive, prefix);
    return called(ctx, before, table.type, "save", status);
}

/* What the host's load gave is not taken on trust. */
static gm_status check_loaded(gm_context *ctx, const char *type, const gm_layer *layer)
{
    if (!layer) return gm_fail(ctx, GM_E_INVALID, "%s: load gave no layer", type);
    if (layer->ctx != ctx)
        return gm_fail(ctx, GM_E_INVALID, "%s: load gave a layer of another context", type);
    if (strcmp(gm_layer_type(layer), type) != 0)
        return gm_fail(ctx, GM_E_INVALID, "%s: load gave a layer of type \"%s\"", type,
                       gm_layer_type(layer));
    return GM_OK;
}

gm_status gm_host_layer_load(gm_layer **out, gm_archive *archive, const char *prefix,
                             const char *stored)
{
    gm_context *ctx = gm_archive_context(archive);
    gm_host_layer_type table;
    gm_layer *layer = NULL;
    char before[sizeof ctx->error], type[GM_LAYER_TYPE];
    gm_status status = find_table(ctx, &table, stored);
    if (status) return status;
    (void)snprintf(type, sizeof type, "%s", stored); /* the archive's, which load may change */
    empty_line(ctx, before);
    status = called(ctx, before, type, "load", table.load(table.shared, archive, prefix, &layer));
    if (status) return status;
    status = check_loaded(ctx, type, layer);
    if (status)
        gm_layer_release(layer);
    else
        *out = layer;
    return status;
}
