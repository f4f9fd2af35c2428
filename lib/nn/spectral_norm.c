/* spectral_norm.c - a layer around another, whose weight it divides by its largest singular value.
 */
#include "gm/norm.h"

#include <float.h>

#include "autodiff/ops/norm.h"
#include "base/options.h"
#include "nn/layer.h"

#define FIRST_ITERATIONS 15 /* at creation: the estimate is good before the first step */

enum { ITERATIONS, ROWS, COLUMNS };

static gm_status check_spectral(gm_context *ctx, gm_layer_attrs *a)
{
    if (a->ints[ITERATIONS] < 0 || a->ints[ITERATIONS] > GM_MAX_ITERATIONS)
        return gm_fail(ctx, GM_E_INVALID, "spectral_norm: iterations is %lld, expected 0 to %d",
                       (long long)a->ints[ITERATIONS], GM_MAX_ITERATIONS);
    if (a->ints[ROWS] < 1 || a->ints[COLUMNS] < 1)
        return gm_fail(ctx, GM_E_INVALID,
                       "spectral_norm: the weight is [%lld, %lld], expected at least 1",
                       (long long)a->ints[ROWS], (long long)a->ints[COLUMNS]);
    if (!((float)a->reals[0] > 0 && a->reals[0] <= FLT_MAX))
        return gm_fail(ctx, GM_E_INVALID, "spectral_norm: eps is %g, expected above 0",
                       a->reals[0]);
    return GM_OK;
}

static int32_t spectral_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    gm_layer_array u = { "u", 1, { a->ints[ROWS] }, 1 }, v = { "v", 1, { a->ints[COLUMNS] }, 1 };
    out[0] = u;
    out[1] = v;
    return 2;
}

static gm_param *weight_of(const gm_layer *inner)
{
    return inner->params->entries[0].param;
}

static gm_var fused_spectral(gm_layer *layer, gm_tape *tape, gm_var x, int32_t activation,
                             double slope)
{
    gm_layer *inner = layer->inner;
    gm_spectral_norm_options o = GM_SPECTRAL_NORM_OPTIONS_INIT;
    o.iterations = (int32_t)layer->attrs.ints[ITERATIONS];
    o.eps = layer->attrs.reals[0];
    gm_var weight =
        gm_spectral_normalize(tape, gm_parameter(tape, weight_of(inner)),
                              layer->state->entries[0].param, layer->state->entries[1].param, &o);
    return inner->kind->with_weight(inner, tape, weight, x, activation, slope);
}

static gm_var apply_spectral(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return fused_spectral(layer, tape, x, GM_ACTIVATION_NONE, 0);
}

static gm_status check_inner(gm_context *ctx, const gm_layer *inner)
{
    if (!inner || inner->ctx != ctx)
        return gm_fail(ctx, GM_E_INVALID, "spectral_norm: the inner layer is %s",
                       inner ? "of another context" : "NULL");
    if (!inner->kind->with_weight)
        return gm_fail(ctx, GM_E_UNSUPPORTED, "spectral_norm: a %s has no weight to divide",
                       gm_layer_type(inner));
    return GM_OK;
}

static gm_status hold_spectral(gm_layer *layer, gm_layer *inner)
{
    gm_status status = check_inner(layer->ctx, inner);
    if (status) return status;
    const gm_param *w = weight_of(inner);
    int64_t rows = layer->attrs.ints[ROWS], columns = layer->attrs.ints[COLUMNS];
    if (w->shape[0] != rows || w->count / rows != columns) {
        char text[GM_SHAPE_TEXT];
        return gm_fail(layer->ctx, GM_E_INVALID,
                       "spectral_norm: the inner weight is %s, expected [%lld, %lld]",
                       gm_shape_text(text, w->rank, w->shape), (long long)rows, (long long)columns);
    }
    status = gm_params_add_all(layer->params, "0.", inner->params);
    if (status) return status;
    gm_layer_retain(inner);
    gm_layer_seal(inner);
    layer->inner = inner;
    return GM_OK;
}

const gm_layer_kind gm_kind_spectral_norm = {
    .name = "spectral_norm",
    .ints = { "iterations", "rows", "columns" },
    .reals = { "eps" },
    .check = check_spectral,
    .arrays = spectral_arrays,
    .apply = apply_spectral,
    .fused = fused_spectral,
    .hold = hold_spectral,
};

/* u at random, v by the power method; unlike PyTorch's, v has no draw of its own. */
static gm_status start(gm_layer *layer)
{
    gm_context *ctx = layer->ctx;
    gm_param *u = layer->state->entries[0].param, *v = layer->state->entries[1].param;
    size_t bytes = (size_t)u->count * sizeof(float);
    gm_status status = gm_param_init(u, GM_INIT_NORMAL, 0, 1, NULL);
    if (status) return status;
    float *scratch = gm_memory_get(&ctx->memory, bytes);
    if (!scratch) return gm_fail_memory(ctx, "spectral_norm");
    (void)gm_power_iterate(ctx->team, ctx->kernels, weight_of(layer->inner)->value, u->count,
                           v->count, u->value, v->value, scratch, FIRST_ITERATIONS,
                           layer->attrs.reals[0]);
    gm_memory_put(&ctx->memory, scratch, bytes);
    return GM_OK;
}

gm_status gm_spectral_norm_create(gm_layer **out, gm_context *ctx, gm_layer *inner,
                                  const gm_spectral_norm_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "spectral_norm: context or out is NULL");
    gm_spectral_norm_options o = GM_SPECTRAL_NORM_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, "spectral_norm", &o, sizeof o, options);
    if (!status) status = check_inner(ctx, inner);
    if (!status && o.reserved)
        status = gm_fail(ctx, GM_E_INVALID, "spectral_norm: reserved is %d, expected 0",
                         (int)o.reserved);
    if (status) return status;
    const gm_param *w = weight_of(inner);
    gm_layer_attrs attrs = { { o.iterations, w->shape[0], w->count / w->shape[0] }, { o.eps } };
    status = gm_layer_make(out, ctx, &gm_kind_spectral_norm, &attrs);
    if (status) return status;
    status = hold_spectral(*out, inner);
    if (!status) status = start(*out);
    return status ? gm_layer_drop(out, status) : GM_OK;
}

gm_layer *gm_spectral_norm_inner(const gm_layer *layer)
{
    return layer && layer->kind == &gm_kind_spectral_norm ? layer->inner : NULL;
}
