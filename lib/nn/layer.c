/* layer.c - what all layers share: creation from a kind's row, owners, applying, shapes,
 * initialising. */
#include "nn/layer.h"

#include <string.h>

#include "autodiff/tape.h"
#include "gm/norm.h"
#include "gm/rng.h"
#include "kernels/kernels.h"

#define ROW(word) &gm_kind_##word,
const gm_layer_kind *const gm_layer_kinds[] = { GM_LAYER_TABLE(ROW) NULL };

const gm_layer_kind *gm_layer_kind_find(const char *name)
{
    for (const gm_layer_kind *const *k = gm_layer_kinds; *k; k++)
        if (!strcmp((*k)->name, name)) return *k;
    return NULL;
}

static gm_status make_arrays(gm_layer *layer)
{
    gm_status status = GM_OK;
    gm_layer_array arrays[GM_LAYER_ARRAYS];
    gm_param *param = NULL;
    int32_t count = layer->kind->arrays ? layer->kind->arrays(&layer->attrs, arrays) : 0;
    for (int32_t i = 0; i < count; i++) {
        gm_params **set = arrays[i].state ? &layer->state : &layer->params;
        if (!*set) GM_TRY(gm_params_create(set, layer->ctx));
        GM_TRY(
            gm_param_create(&param, layer->ctx, arrays[i].name, arrays[i].rank, arrays[i].shape));
        for (int32_t k = 0; k < GM_LAYER_ONES && layer->kind->ones[k]; k++)
            if (!strcmp(layer->kind->ones[k], arrays[i].name)) param->origin = 1;
        if (param->origin != 0)
            layer->ctx->kernels->fill(param->value, (float)param->origin, param->count);
        GM_TRY(gm_params_add(*set, NULL, param));
        gm_param_release(param);
        param = NULL;
    }
out:
    gm_param_release(param);
    return status;
}

gm_status gm_layer_add_sets(gm_layer *layer, const char *prefix, const gm_layer *part)
{
    gm_status status = GM_OK;
    if (part->state && !layer->state) status = gm_params_create(&layer->state, layer->ctx);
    int64_t before = gm_params_count(layer->state);
    if (!status && part->state) status = gm_params_add_all(layer->state, prefix, part->state);
    if (!status) status = gm_params_add_all(layer->params, prefix, part->params);
    while (status && gm_params_count(layer->state) > before)
        gm_param_release(layer->state->entries[--layer->state->count].param);
    return status;
}

gm_status gm_layer_make(gm_layer **out, gm_context *ctx, const gm_layer_kind *kind,
                        const gm_layer_attrs *attrs)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "%s: context or out is NULL", kind->name);
    gm_layer_attrs checked;
    memset(&checked, 0, sizeof checked);
    if (attrs) checked = *attrs;
    gm_status status = kind->check ? kind->check(ctx, &checked) : GM_OK;
    if (status) return status;
    gm_layer *layer = gm_memory_get_zero(&ctx->memory, sizeof *layer);
    if (!layer) return gm_fail_memory(ctx, kind->name);
    gm_context_retain(ctx);
    layer->ctx = ctx;
    layer->owners = 1;
    layer->kind = kind;
    layer->attrs = checked;
    layer->depth = kind == &gm_kind_sequence || kind == &gm_kind_residual;
    GM_TRY(gm_params_create(&layer->params, ctx));
    GM_TRY(make_arrays(layer));
    *out = layer;
    return GM_OK;
out:
    gm_layer_release(layer);
    return status;
}

gm_status gm_layer_drop(gm_layer **out, gm_status status)
{
    gm_layer_release(*out);
    *out = NULL;
    return status;
}

void gm_layer_retain(gm_layer *layer)
{
    if (layer) layer->owners++;
}

/* Sequences nest no deeper than GM_LAYER_DEPTH, so the recursion ends soon. */
void gm_layer_release(gm_layer *layer)
{
    if (!layer || --layer->owners > 0) return;
    gm_context *ctx = layer->ctx;
    for (int64_t i = 0; i < layer->count; i++) gm_layer_release(layer->parts[i]);
    gm_memory_put(&ctx->memory, layer->parts, (size_t)layer->room * sizeof *layer->parts);
    gm_params_release(layer->params);
    gm_params_release(layer->state);
    gm_layer_release(layer->inner);
    if (layer->host.release) layer->host.release(layer->host.user);
    gm_memory_put(&ctx->memory, layer, sizeof *layer);
    gm_context_release(ctx);
}

void gm_layer_seal(gm_layer *layer)
{
    if (!layer) return;
    layer->sealed = 1;
    gm_params_seal(layer->params);
    gm_params_seal(layer->state);
}

gm_params *gm_layer_params(const gm_layer *layer)
{
    return layer ? layer->params : NULL;
}

gm_params *gm_layer_state(const gm_layer *layer)
{
    return layer ? layer->state : NULL;
}

const char *gm_layer_type(const gm_layer *layer)
{
    if (!layer) return "";
    return layer->type[0] ? layer->type : layer->kind->name;
}

gm_context *gm_layer_context(const gm_layer *layer)
{
    return layer ? layer->ctx : NULL;
}

/* Layers nest no deeper than GM_LAYER_DEPTH, so the recursion ends soon. */
int32_t gm_layer_row_wise(const gm_layer *layer)
{
    if (!layer || !layer->kind->row_wise) return 0;
    if (layer->inner && !gm_layer_row_wise(layer->inner)) return 0;
    for (int64_t i = 0; i < layer->count; i++)
        if (!gm_layer_row_wise(layer->parts[i])) return 0;
    return 1;
}

gm_var gm_apply(gm_tape *tape, gm_layer *layer, gm_var x)
{
    if (!layer) return gm_tape_fail(tape, GM_E_INVALID, "apply: layer is NULL");
    if (!tape || gm_tape_status(tape)) return GM_NO_VAR;
    if (layer->ctx != gm_tape_context(tape))
        return gm_tape_fail(tape, GM_E_INVALID, "apply: layer and tape are of different contexts");
    return layer->kind->apply(layer, tape, x);
}

/* A layer of the host's may look at values while it is recorded. */
static int has_host(const gm_layer *layer)
{
    if (layer->kind == &gm_kind_host || (layer->inner && has_host(layer->inner))) return 1;
    for (int64_t i = 0; i < layer->count; i++)
        if (has_host(layer->parts[i])) return 1;
    return 0;
}

gm_status gm_layer_output(gm_layer *layer, int32_t rank, const int64_t *shape, int32_t *out_rank,
                          int64_t *out_shape)
{
    if (!layer || !out_rank || !out_shape || (rank && !shape))
        return gm_fail(layer ? layer->ctx : NULL, GM_E_INVALID,
                       "layer_output: layer, shape or an output is NULL");
    gm_rng *rng = NULL;
    gm_tape *tape = NULL;
    gm_status status;
    /* A generator of its own: the context's streams stay as they are. */
    GM_TRY(gm_rng_create(&rng, layer->ctx, 0));
    GM_TRY(gm_tape_create(&tape, layer->ctx, rng));
    gm_tape_set_mode(tape, GM_TAPE_CONSTANT);
    tape->shapes_only = !has_host(layer);
    gm_var y = gm_apply(tape, layer, gm_constant(tape, rank, shape, 0));
    GM_TRY(gm_tape_status(tape));
    int32_t found = gm_rank(tape, y);
    if (found < 0)
        GM_TRY(gm_fail(layer->ctx, GM_E_STALE, "layer_output: %s gave no variable of its tape",
                       gm_layer_type(layer)));
    *out_rank = found;
    if (found) memcpy(out_shape, gm_shape(tape, y), (size_t)found * sizeof *out_shape);
out:
    gm_tape_release(tape);
    gm_rng_release(rng);
    return status;
}

/* Parts nest no deeper than GM_LAYER_DEPTH, so the recursion ends soon. */
gm_status gm_layer_settle(gm_layer *layer)
{
    gm_status status = layer->kind->settle ? layer->kind->settle(layer) : GM_OK;
    if (!status && layer->inner) status = gm_layer_settle(layer->inner);
    for (int64_t i = 0; i < layer->count && !status; i++) status = gm_layer_settle(layer->parts[i]);
    return status;
}

gm_status gm_layer_init(gm_layer *layer, int32_t kind, double a, double b, gm_rng *rng)
{
    if (!layer) return GM_E_INVALID;
    gm_status status = GM_OK;
    for (int64_t i = 0; i < layer->params->count && !status; i++) {
        gm_param *p = layer->params->entries[i].param;
        status = p->rank >= 2 ? gm_param_init(p, kind, a, b, rng)
                              : gm_param_init(p, GM_INIT_CONSTANT, p->origin, 0, rng);
    }
    return status ? status : gm_layer_settle(layer);
}
