/* norm.c - the layers of batch norm, layer norm, group norm and instance norm. */
#include "gm/norm.h"

#include <float.h>
#include <string.h>

#include "autodiff/tape.h"
#include "base/options.h"
#include "nn/layer.h"

static gm_status check_common(gm_context *ctx, const char *name, double eps, int64_t affine)
{
    if (!((float)eps > 0 && eps <= FLT_MAX))
        return gm_fail(ctx, GM_E_INVALID, "%s: eps is %g, expected above 0", name, eps);
    if (affine != 0 && affine != 1)
        return gm_fail(ctx, GM_E_INVALID, "%s: affine is %lld, expected 0 or 1", name,
                       (long long)affine);
    return GM_OK;
}

static gm_status check_channels(gm_context *ctx, const char *name, const gm_layer_attrs *a)
{
    if (a->ints[0] < 1)
        return gm_fail(ctx, GM_E_INVALID, "%s: channels is %lld, expected at least 1", name,
                       (long long)a->ints[0]);
    return check_common(ctx, name, a->reals[0], a->ints[1]);
}

/* A layer's activation is a layer of its own, which a sequence computes in the same pass. */
static gm_status check_plain(gm_context *ctx, const char *name, int32_t activation)
{
    if (activation == GM_ACTIVATION_NONE) return GM_OK;
    return gm_fail(ctx, GM_E_INVALID,
                   "%s: activation of a layer is %d, expected GM_ACTIVATION_NONE", name,
                   (int)activation);
}

static int32_t affine_arrays(int64_t affine, int32_t rank, const int64_t *shape,
                             gm_layer_array out[GM_LAYER_ARRAYS])
{
    gm_layer_array gamma = { "gamma", rank, { 0 }, 0 }, beta = { "beta", rank, { 0 }, 0 };
    if (!affine) return 0;
    memcpy(gamma.shape, shape, (size_t)rank * sizeof *shape);
    memcpy(beta.shape, shape, (size_t)rank * sizeof *shape);
    out[0] = gamma;
    out[1] = beta;
    return 2;
}

static gm_var gamma_of(const gm_layer *layer, gm_tape *tape)
{
    return layer->params->count ? gm_parameter(tape, layer->params->entries[0].param) : GM_NO_VAR;
}

static gm_var beta_of(const gm_layer *layer, gm_tape *tape)
{
    return layer->params->count ? gm_parameter(tape, layer->params->entries[1].param) : GM_NO_VAR;
}

/* --- Batch norm. */

static gm_status check_batch(gm_context *ctx, gm_layer_attrs *a)
{
    if (!(a->reals[1] >= 0 && a->reals[1] <= 1))
        return gm_fail(ctx, GM_E_INVALID, "batch_norm: momentum is %g, expected 0 to 1",
                       a->reals[1]);
    return check_channels(ctx, "batch_norm", a);
}

static int32_t batch_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    gm_layer_array mean = { "running_mean", 1, { a->ints[0] }, 1 };
    gm_layer_array variance = { "running_variance", 1, { a->ints[0] }, 1 };
    int32_t n = affine_arrays(a->ints[1], 1, a->ints, out);
    out[n] = mean;
    out[n + 1] = variance;
    return n + 2;
}

static gm_var fused_batch(gm_layer *layer, gm_tape *tape, gm_var x, int32_t activation,
                          double slope)
{
    gm_batch_norm_options o = GM_BATCH_NORM_OPTIONS_INIT;
    o.eps = layer->attrs.reals[0];
    o.momentum = layer->attrs.reals[1];
    o.activation = activation;
    o.slope = slope;
    return gm_batch_norm(tape, x, gamma_of(layer, tape), beta_of(layer, tape),
                         layer->state->entries[0].param, layer->state->entries[1].param, &o);
}

static gm_var apply_batch(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return fused_batch(layer, tape, x, GM_ACTIVATION_NONE, 0);
}

const gm_layer_kind gm_kind_batch_norm = {
    .name = "batch_norm",
    .ints = { "channels", "affine" },
    .reals = { "eps", "momentum" },
    .ones = { "gamma", "running_variance" },
    .check = check_batch,
    .arrays = batch_arrays,
    .apply = apply_batch,
    .fused = fused_batch,
};

gm_status gm_batch_norm_create(gm_layer **out, gm_context *ctx, int64_t channels,
                               const gm_batch_norm_options *options)
{
    if (out) *out = NULL;
    gm_batch_norm_options o = GM_BATCH_NORM_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, "batch_norm", &o, sizeof o, options);
    if (!status) status = check_plain(ctx, "batch_norm", o.activation);
    if (status) return status;
    gm_layer_attrs attrs = { { channels, o.affine }, { o.eps, o.momentum } };
    return gm_layer_make(out, ctx, &gm_kind_batch_norm, &attrs);
}

/* --- Layer norm. */

static gm_norm_options options_of(const gm_layer *layer, int32_t activation, double slope)
{
    gm_norm_options o = GM_NORM_OPTIONS_INIT;
    o.eps = layer->attrs.reals[0];
    o.activation = activation;
    o.slope = slope;
    return o;
}

enum { RANK, SIZES, AFFINE = SIZES + GM_MAX_RANK - 1 };

static gm_status check_layer(gm_context *ctx, gm_layer_attrs *a)
{
    if (a->ints[RANK] < 1 || a->ints[RANK] > GM_MAX_RANK - 1)
        return gm_fail(ctx, GM_E_INVALID, "layer_norm: rank is %lld, expected 1 to %d",
                       (long long)a->ints[RANK], GM_MAX_RANK - 1);
    for (int64_t i = 0; i < GM_MAX_RANK - 1; i++) {
        if (i >= a->ints[RANK])
            a->ints[SIZES + i] = 0;
        else if (a->ints[SIZES + i] < 1)
            return gm_fail(ctx, GM_E_INVALID,
                           "layer_norm: size of axis %lld is %lld, expected at least 1",
                           (long long)i, (long long)a->ints[SIZES + i]);
    }
    return check_common(ctx, "layer_norm", a->reals[0], a->ints[AFFINE]);
}

static int32_t layer_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    return affine_arrays(a->ints[AFFINE], (int32_t)a->ints[RANK], a->ints + SIZES, out);
}

/* Without gamma and beta the operation sees only how many axes there are. */
static int fits(const gm_layer *layer, const gm_tape *tape, gm_var x)
{
    const int64_t *ints = layer->attrs.ints, *shape = gm_shape(tape, x);
    int32_t lead = gm_rank(tape, x) - (int32_t)ints[RANK];
    return lead >= 0 && !memcmp(shape + lead, ints + SIZES, (size_t)ints[RANK] * sizeof *shape);
}

static gm_var fused_layer(gm_layer *layer, gm_tape *tape, gm_var x, int32_t activation,
                          double slope)
{
    const int64_t *ints = layer->attrs.ints;
    int32_t rank = gm_rank(tape, x);
    if (rank >= 0 && !fits(layer, tape, x)) {
        char have[GM_SHAPE_TEXT], want[GM_SHAPE_TEXT];
        return gm_tape_stick(
            tape, gm_fail(layer->ctx, GM_E_SHAPE, "layer_norm: input is %s, expected [..., %s",
                          gm_shape_text(have, rank, gm_shape(tape, x)),
                          gm_shape_text(want, (int32_t)ints[RANK], ints + SIZES) + 1));
    }
    const gm_norm_options o = options_of(layer, activation, slope);
    return gm_layer_norm(tape, x, gamma_of(layer, tape), beta_of(layer, tape), (int32_t)ints[RANK],
                         &o);
}

static gm_var apply_layer(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return fused_layer(layer, tape, x, GM_ACTIVATION_NONE, 0);
}

const gm_layer_kind gm_kind_layer_norm = {
    .name = "layer_norm",
    .row_wise = 1,
    .ints = { "rank", "size0", "size1", "size2", "size3", "size4", "affine" },
    .reals = { "eps" },
    .ones = { "gamma" },
    .check = check_layer,
    .arrays = layer_arrays,
    .apply = apply_layer,
    .fused = fused_layer,
};

static gm_status read_options(gm_context *ctx, const char *name, gm_norm_options *o,
                              const gm_norm_options *options)
{
    gm_status status = gm_options_check(ctx, name, o, sizeof *o, options);
    return status ? status : check_plain(ctx, name, o->activation);
}

gm_status gm_layer_norm_create(gm_layer **out, gm_context *ctx, int32_t rank, const int64_t *shape,
                               const gm_norm_options *options)
{
    if (out) *out = NULL;
    gm_norm_options o = GM_NORM_OPTIONS_INIT;
    gm_status status = read_options(ctx, "layer_norm", &o, options);
    if (status) return status;
    if (rank > 0 && !shape) return gm_fail(ctx, GM_E_INVALID, "layer_norm: shape is NULL");
    gm_layer_attrs attrs = { { rank }, { o.eps } };
    /* With a rank that is out of range, nothing is known of how long shape is. */
    for (int32_t i = 0; rank < GM_MAX_RANK && i < rank; i++) attrs.ints[SIZES + i] = shape[i];
    attrs.ints[AFFINE] = o.affine;
    return gm_layer_make(out, ctx, &gm_kind_layer_norm, &attrs);
}

/* --- Group norm. */

static gm_status check_group(gm_context *ctx, gm_layer_attrs *a)
{
    gm_status status = check_channels(ctx, "group_norm", a);
    if (status) return status;
    if (a->ints[2] < 1 || a->ints[0] % a->ints[2])
        return gm_fail(ctx, GM_E_INVALID,
                       "group_norm: groups is %lld, channels is %lld, expected a divisor",
                       (long long)a->ints[2], (long long)a->ints[0]);
    return GM_OK;
}

static int32_t channel_arrays(const gm_layer_attrs *a, gm_layer_array out[GM_LAYER_ARRAYS])
{
    return affine_arrays(a->ints[1], 1, a->ints, out);
}

/* Without gamma and beta the operation sees no number of channels. */
static int has_channels(const gm_layer *layer, gm_tape *tape, gm_var x)
{
    int32_t rank = gm_rank(tape, x);
    char have[GM_SHAPE_TEXT];
    if (rank < 2 || gm_shape(tape, x)[1] == layer->attrs.ints[0]) return 1;
    (void)gm_tape_stick(tape,
                        gm_fail(layer->ctx, GM_E_SHAPE, "%s: input is %s, expected %lld channels",
                                layer->kind->name, gm_shape_text(have, rank, gm_shape(tape, x)),
                                (long long)layer->attrs.ints[0]));
    return 0;
}

static gm_var fused_group(gm_layer *layer, gm_tape *tape, gm_var x, int32_t activation,
                          double slope)
{
    const gm_norm_options o = options_of(layer, activation, slope);
    if (!has_channels(layer, tape, x)) return GM_NO_VAR;
    return gm_group_norm(tape, x, gamma_of(layer, tape), beta_of(layer, tape), layer->attrs.ints[2],
                         &o);
}

static gm_var apply_group(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return fused_group(layer, tape, x, GM_ACTIVATION_NONE, 0);
}

const gm_layer_kind gm_kind_group_norm = {
    .name = "group_norm",
    .row_wise = 1,
    .ints = { "channels", "affine", "groups" },
    .reals = { "eps" },
    .ones = { "gamma" },
    .check = check_group,
    .arrays = channel_arrays,
    .apply = apply_group,
    .fused = fused_group,
};

gm_status gm_group_norm_create(gm_layer **out, gm_context *ctx, int64_t channels, int64_t groups,
                               const gm_norm_options *options)
{
    if (out) *out = NULL;
    gm_norm_options o = GM_NORM_OPTIONS_INIT;
    gm_status status = read_options(ctx, "group_norm", &o, options);
    if (status) return status;
    gm_layer_attrs attrs = { { channels, o.affine, groups }, { o.eps } };
    return gm_layer_make(out, ctx, &gm_kind_group_norm, &attrs);
}

/* --- Instance norm. */

static gm_status check_instance(gm_context *ctx, gm_layer_attrs *a)
{
    return check_channels(ctx, "instance_norm", a);
}

static gm_var fused_instance(gm_layer *layer, gm_tape *tape, gm_var x, int32_t activation,
                             double slope)
{
    const gm_norm_options o = options_of(layer, activation, slope);
    if (gm_rank(tape, x) >= 3 && !has_channels(layer, tape, x)) return GM_NO_VAR;
    return gm_instance_norm(tape, x, gamma_of(layer, tape), beta_of(layer, tape), &o);
}

static gm_var apply_instance(gm_layer *layer, gm_tape *tape, gm_var x)
{
    return fused_instance(layer, tape, x, GM_ACTIVATION_NONE, 0);
}

const gm_layer_kind gm_kind_instance_norm = {
    .name = "instance_norm",
    .row_wise = 1,
    .ints = { "channels", "affine" },
    .reals = { "eps" },
    .ones = { "gamma" },
    .check = check_instance,
    .arrays = channel_arrays,
    .apply = apply_instance,
    .fused = fused_instance,
};

gm_status gm_instance_norm_create(gm_layer **out, gm_context *ctx, int64_t channels,
                                  const gm_norm_options *options)
{
    if (out) *out = NULL;
    gm_norm_options o = GM_NORM_OPTIONS_INIT;
    gm_status status = read_options(ctx, "instance_norm", &o, options);
    if (status) return status;
    gm_layer_attrs attrs = { { channels, o.affine }, { o.eps } };
    return gm_layer_make(out, ctx, &gm_kind_instance_norm, &attrs);
}
