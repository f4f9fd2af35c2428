/* sbn.c - sigmoid belief networks: the net, its recognition network, ancestral sampling, the file.
 * How it learns is in sbn_train.c and sbn_em.c, the likelihood and the posterior of given data in
 * sbn_likelihood.c, sbn_gibbs.c and sbn_mean_field.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/ops.h"
#include "models/belief/bits.h"
#include "models/belief/sbn_net.h"
#include "models/fields.h"
#include "models/frozen.h"

#define MAX_LAYERS GM_SBN_MAX_LAYERS

struct gm_sbn {
    gm_model model;   /* first */
    gm_sbn_options o; /* its arrays: NULL */
    int32_t top;      /* L */
    int64_t size[MAX_LAYERS + 1], tanh[MAX_LAYERS], hidden;
    /* p: layer l from l + 1, with the biases, by way of tanh units where there are any; from still
     * higher layers; from earlier units of its own, through a mask; and the biases of the top. */
    gm_layer *down[MAX_LAYERS], *down_tanh[MAX_LAYERS], *skip[MAX_LAYERS][MAX_LAYERS + 1];
    gm_param *lateral[MAX_LAYERS + 1], *bias;
    gm_tensor *mask[MAX_LAYERS + 1];
    /* q: layer l + 1 from l. */
    gm_layer *up[MAX_LAYERS], *up_tanh[MAX_LAYERS];
    gm_layer *baseline[MAX_LAYERS]; /* of layer l + 1, from l */
    gm_param *centre;               /* [visible], state */
    gm_param *statistics; /* [3 L]: mean and variance of each layer's signal and how much they
                             count, state */
    gm_sbn_chains chains;
};

static gm_sbn *of(gm_model *model)
{
    return (gm_sbn *)model;
}

static gm_status check_layers(gm_context *ctx, int64_t visible, const gm_sbn_options *o)
{
    if (visible < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "sbn: visible is %lld, expected at least 1",
                             (long long)visible);
    if (o->layer_count < 1 || o->layer_count > MAX_LAYERS)
        return gm_model_fail(ctx, GM_E_INVALID, "sbn: layer_count is %d, expected 1 to %d",
                             (int)o->layer_count, MAX_LAYERS);
    if (!o->layers) return gm_model_fail(ctx, GM_E_INVALID, "sbn: layers is NULL");
    for (int32_t l = 0; l < o->layer_count; l++)
        if (o->layers[l] < 1)
            return gm_model_fail(ctx, GM_E_INVALID,
                                 "sbn: layer %d has %lld units, expected at least 1", (int)l + 1,
                                 (long long)o->layers[l]);
    for (int32_t l = 0; o->tanh_units && l < o->layer_count; l++)
        if (o->tanh_units[l] < 0)
            return gm_model_fail(ctx, GM_E_INVALID,
                                 "sbn: tanh_units at %d is %lld, expected at least 0", (int)l,
                                 (long long)o->tanh_units[l]);
    return GM_OK;
}

static gm_status check_numbers(gm_context *ctx, const gm_sbn_options *o)
{
    const gm_model_range whole[] = {
        { "estimator", o->estimator, GM_SBN_WAKE_SLEEP, GM_SBN_MEAN_FIELD_EM },
        { "lateral", o->lateral, 0, 1 },
        { "skip", o->skip, 0, 1 },
        { "recognition", o->recognition, 0, 1 },
        { "phases", o->phases, GM_SBN_WAKE, GM_SBN_WAKE | GM_SBN_SLEEP },
        { "samples", o->samples, o->estimator == GM_SBN_VIMCO ? 2 : 1, 1000000 },
        { "log_prob_samples", o->log_prob_samples, 1, 1000000000 },
        { "baseline_units", o->baseline_units, 1, 1000000 },
        { "sweeps", o->sweeps, 1, 1000000000 },
        { "persistent", o->persistent, 0, 1 },
    };
    for (int32_t l = 0; o->estimator == GM_SBN_MEAN_FIELD_EM && o->tanh_units && l < o->layer_count;
         l++)
        if (o->tanh_units[l])
            return gm_model_fail(ctx, GM_E_UNSUPPORTED,
                                 "sbn: estimator %d is mean field, which goes with no tanh units",
                                 (int)o->estimator);
    return gm_model_check_ranges(ctx, "sbn", whole, sizeof whole / sizeof *whole);
}

/* Glorot and Bengio 2010; biases 0. */
static gm_status make_linear(gm_sbn *sbn, gm_layer **out, const char *prefix, int64_t in,
                             int64_t size, int32_t bias)
{
    gm_linear_options o = GM_LINEAR_OPTIONS_INIT;
    gm_status status;
    o.bias = bias;
    o.weight_init = GM_INIT_GLOROT_UNIFORM;
    o.bias_init = GM_INIT_CONSTANT;
    o.bias_a = 0;
    GM_TRY(gm_linear_create(out, sbn->model.ctx, in, size, &o));
    GM_TRY(gm_params_add_all(sbn->model.params, prefix, gm_layer_params(*out)));
out:
    return status;
}

static gm_status make_lateral(gm_sbn *sbn, int32_t l)
{
    const int64_t n = sbn->size[l], shape[2] = { n, n };
    char name[32];
    gm_status status;
    (void)snprintf(name, sizeof name, "p%d.lateral", (int)l);
    GM_TRY(gm_param_create(&sbn->lateral[l], sbn->model.ctx, name, 2, shape));
    GM_TRY(gm_param_init(sbn->lateral[l], GM_INIT_GLOROT_UNIFORM, 1, 0, NULL));
    GM_TRY(gm_tensor_create(&sbn->mask[l], sbn->model.ctx, 2, shape));
    float *mask = gm_tensor_data(sbn->mask[l]), *value = gm_param_value(sbn->lateral[l]);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            mask[i * n + j] = j < i;
            if (j >= i) value[i * n + j] = 0;
        }
    GM_TRY(gm_params_add(sbn->model.params, NULL, sbn->lateral[l]));
out:
    return status;
}

/* Inputs of layer l from its parents. */
static gm_status make_down(gm_sbn *sbn, int32_t l)
{
    char prefix[32];
    int64_t in = sbn->size[l + 1];
    gm_status status = GM_OK;
    if (sbn->tanh[l]) {
        (void)snprintf(prefix, sizeof prefix, "p%d.tanh.", (int)l);
        GM_TRY(make_linear(sbn, &sbn->down_tanh[l], prefix, in, sbn->tanh[l], 1));
        in = sbn->tanh[l];
    }
    (void)snprintf(prefix, sizeof prefix, "p%d.", (int)l);
    GM_TRY(make_linear(sbn, &sbn->down[l], prefix, in, sbn->size[l], 1));
    for (int32_t m = l + 2; sbn->o.skip && m <= sbn->top; m++) {
        (void)snprintf(prefix, sizeof prefix, "p%d.from%d.", (int)l, (int)m);
        GM_TRY(make_linear(sbn, &sbn->skip[l][m], prefix, sbn->size[m], sbn->size[l], 0));
    }
out:
    return status;
}

/* Inputs of layer l + 1 in q, and the baseline of its signal. */
static gm_status make_up(gm_sbn *sbn, int32_t l)
{
    char prefix[32];
    int64_t in = sbn->size[l];
    gm_status status;
    if (sbn->tanh[l]) {
        (void)snprintf(prefix, sizeof prefix, "q%d.tanh.", (int)l + 1);
        GM_TRY(make_linear(sbn, &sbn->up_tanh[l], prefix, in, sbn->tanh[l], 1));
        in = sbn->tanh[l];
    }
    (void)snprintf(prefix, sizeof prefix, "q%d.", (int)l + 1);
    GM_TRY(make_linear(sbn, &sbn->up[l], prefix, in, sbn->size[l + 1], 1));
    if (sbn->o.estimator != GM_SBN_NVIL) return status;
    (void)snprintf(prefix, sizeof prefix, "baseline%d.", (int)l + 1);
    GM_TRY(gm_sequence_create(&sbn->baseline[l], sbn->model.ctx));
    GM_TRY(gm_sequence_add_linear(sbn->baseline[l], sbn->size[l], sbn->o.baseline_units));
    GM_TRY(gm_sequence_add_tanh(sbn->baseline[l]));
    GM_TRY(gm_sequence_add_linear(sbn->baseline[l], sbn->o.baseline_units, 1));
    GM_TRY(gm_params_add_all(sbn->model.params, prefix, gm_layer_params(sbn->baseline[l])));
out:
    return status;
}

static gm_status make_vector(gm_sbn *sbn, gm_param **out, gm_params *set, const char *name,
                             int64_t n)
{
    gm_status status;
    GM_TRY(gm_param_create(out, sbn->model.ctx, name, 1, &n));
    GM_TRY(gm_params_add(set, NULL, *out));
out:
    return status;
}

static gm_status make_parts(gm_sbn *sbn)
{
    gm_status status;
    GM_TRY(make_vector(sbn, &sbn->bias, sbn->model.params, "p.top", sbn->size[sbn->top]));
    for (int32_t l = sbn->top - 1; l >= 0; l--) GM_TRY(make_down(sbn, l));
    for (int32_t l = 0; sbn->o.lateral && l <= sbn->top; l++) GM_TRY(make_lateral(sbn, l));
    for (int32_t l = 0; sbn->o.recognition && l < sbn->top; l++) GM_TRY(make_up(sbn, l));
    GM_TRY(make_vector(sbn, &sbn->centre, sbn->model.state, "centre", sbn->size[0]));
    GM_TRY(make_vector(sbn, &sbn->statistics, sbn->model.state, "statistics", 3 * sbn->top));
out:
    return status;
}

gm_status gm_sbn_create(gm_sbn **out, gm_context *ctx, int64_t visible,
                        const gm_sbn_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "sbn: context or out is NULL");
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    gm_status status;
    GM_TRY(gm_options_read(ctx, "sbn", &o, sizeof o, options));
    GM_TRY(check_layers(ctx, visible, &o));
    GM_TRY(check_numbers(ctx, &o));
    sbn = gm_model_new(ctx, &gm_family_sbn, sizeof *sbn);
    if (!sbn) return GM_E_NOMEM;
    sbn->top = o.layer_count;
    sbn->size[0] = visible;
    for (int32_t l = 0; l < o.layer_count; l++) {
        sbn->size[l + 1] = o.layers[l];
        sbn->tanh[l] = o.tanh_units ? o.tanh_units[l] : 0;
        if (o.layers[l] > INT64_MAX / (4 * MAX_LAYERS))
            GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "sbn: layer %d has %lld units: too many",
                                 (int)l + 1, (long long)o.layers[l]));
        sbn->hidden += o.layers[l];
    }
    sbn->o = o;
    sbn->o.layers = sbn->o.tanh_units = NULL;
    sbn->o.optimizer = NULL;
    GM_TRY(gm_model_open(&sbn->model));
    sbn->model.row_size = visible;
    GM_TRY(make_parts(sbn));
    GM_TRY(gm_model_bind(&sbn->model, &sbn->model.optimizer, o.optimizer, sbn->model.params));
    *out = sbn;
    return GM_OK;
out:
    gm_sbn_release(sbn);
    return status;
}

static void destroy(gm_model *model)
{
    gm_sbn *sbn = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    for (int32_t l = 0; l <= sbn->top; l++) {
        gm_param_release(sbn->lateral[l]);
        gm_tensor_release(sbn->mask[l]);
        if (l == sbn->top) break;
        gm_layer_release(sbn->down[l]);
        gm_layer_release(sbn->down_tanh[l]);
        gm_layer_release(sbn->up[l]);
        gm_layer_release(sbn->up_tanh[l]);
        gm_layer_release(sbn->baseline[l]);
        for (int32_t m = 0; m <= sbn->top; m++) gm_layer_release(sbn->skip[l][m]);
    }
    gm_param_release(sbn->bias);
    gm_param_release(sbn->centre);
    gm_param_release(sbn->statistics);
    gm_sbn_chains_end(ctx, &sbn->chains);
    gm_context_free(ctx, sbn, sizeof *sbn);
}

void gm_sbn_retain(gm_sbn *sbn)
{
    if (sbn) gm_model_retain(&sbn->model);
}

void gm_sbn_release(gm_sbn *sbn)
{
    if (sbn) gm_model_release(&sbn->model);
}

gm_model *gm_sbn_model(gm_sbn *sbn)
{
    return sbn ? &sbn->model : NULL;
}

gm_sbn *gm_sbn_from_model(gm_model *model)
{
    return model && model->family == &gm_family_sbn ? of(model) : NULL;
}

int32_t gm_sbn_layers(const gm_sbn *sbn)
{
    return sbn ? sbn->top : 0;
}

int64_t gm_sbn_layer_size(const gm_sbn *sbn, int32_t layer)
{
    return sbn && layer >= 0 && layer <= sbn->top ? sbn->size[layer] : 0;
}

int64_t gm_sbn_hidden_units(const gm_sbn *sbn)
{
    return sbn ? sbn->hidden : 0;
}

int32_t gm_sbn_has_recognition(const gm_sbn *sbn)
{
    return sbn && sbn->o.recognition;
}

int32_t gm_sbn_has_tanh(const gm_sbn *sbn)
{
    for (int32_t l = 0; sbn && l < sbn->top; l++)
        if (sbn->tanh[l]) return 1;
    return 0;
}

void gm_sbn_settings(const gm_sbn *sbn, gm_sbn_options *out, float **statistics)
{
    *out = sbn->o;
    *statistics = gm_param_value(sbn->statistics);
}

void gm_sbn_describe(const gm_sbn *sbn, gm_sbn_graph *out)
{
    int64_t at = 0;
    *out = (gm_sbn_graph){ sbn->hidden + sbn->size[0],
                           sbn->hidden,
                           sbn->top,
                           sbn->o.lateral,
                           sbn->o.skip,
                           { 0 },
                           { 0 },
                           { 0 } };
    for (int32_t l = sbn->top; l >= 0; l--) {
        out->size[l] = sbn->size[l];
        out->place[l] = at;
        at += sbn->size[l];
    }
    for (int32_t l = 2; l <= sbn->top; l++) out->column[l] = out->column[l - 1] + sbn->size[l - 1];
}

gm_sbn_range gm_sbn_parents(const gm_sbn_graph *g, int32_t l, int64_t i)
{
    const int64_t first = l < g->top && !g->skip ? g->place[l + 1] : 0;
    return (gm_sbn_range){ first, g->place[l] + (g->lateral ? i : 0) };
}

gm_sbn_range gm_sbn_children(const gm_sbn_graph *g, int32_t l, int64_t i)
{
    const int64_t first = g->lateral ? g->place[l] + i + 1 : g->place[l] + g->size[l];
    return (gm_sbn_range){ first, g->skip ? g->units : g->place[l - 1] + g->size[l - 1] };
}

int64_t gm_sbn_edges(const gm_sbn_graph *g)
{
    int64_t sum = 0;
    for (int32_t l = g->top; l >= 0; l--)
        for (int64_t i = 0; i < g->size[l]; i++) {
            const gm_sbn_range p = gm_sbn_parents(g, l, i);
            sum += p.to - p.from;
        }
    return sum;
}

gm_status gm_sbn_finite(gm_sbn *sbn, const char *verb, float *weight, float *bias)
{
    const int64_t units = sbn->hidden + sbn->size[0];
    gm_status status = gm_sbn_dense(sbn, weight, bias);
    for (int64_t i = 0; !status && i < units * units; i++)
        if (!isfinite(weight[i]) || !isfinite(bias[i / units]))
            status = gm_model_fail(sbn->model.ctx, GM_E_NUMERIC,
                                   "sbn: %s: a weight of the net is not finite", verb);
    return status;
}

/* The inputs of layer l from above, for n rows; not from units of its own. */
static gm_var record_above(gm_tape *tape, gm_sbn *sbn, int32_t l, const gm_var *layers, int64_t n)
{
    const int64_t shape[2] = { n, sbn->size[l] };
    if (l == sbn->top) return gm_broadcast(tape, gm_parameter(tape, sbn->bias), 2, shape);
    gm_var h = layers[l + 1];
    if (sbn->down_tanh[l]) h = gm_tanh(tape, gm_apply(tape, sbn->down_tanh[l], h));
    gm_var a = gm_apply(tape, sbn->down[l], h);
    for (int32_t m = l + 2; sbn->o.skip && m <= sbn->top; m++)
        a = gm_add(tape, a, gm_apply(tape, sbn->skip[l][m], layers[m]));
    return a;
}

gm_var gm_sbn_apply_logits(gm_tape *tape, gm_sbn *sbn, int32_t layer, const gm_var *layers)
{
    if (!tape) return GM_NO_VAR;
    if (!sbn || !layers || layer < 0 || layer > sbn->top)
        return gm_tape_fail(tape, GM_E_INVALID,
                            "sbn: logits: sbn or layers is NULL, or no such layer");
    const int64_t n = gm_shape(tape, layers[sbn->top]) ? gm_shape(tape, layers[sbn->top])[0] : 0;
    gm_var a = record_above(tape, sbn, layer, layers, n);
    if (!sbn->o.lateral) return a;
    gm_var own = gm_linear(
        tape, layers[layer],
        gm_mul(tape, gm_parameter(tape, sbn->lateral[layer]), gm_input(tape, sbn->mask[layer])),
        GM_NO_VAR, GM_ACTIVATION_NONE, 0);
    const int64_t rows = gm_shape(tape, own) ? gm_shape(tape, own)[0] : 0;
    if (rows && rows < n)
        own = gm_repeat_rows(tape, own, n / rows); /* a row of data serves several h */
    return gm_add(tape, a, own);
}

gm_var gm_sbn_apply_joint(gm_tape *tape, gm_sbn *sbn, const gm_var *layers, gm_var *parts)
{
    gm_var sum = GM_NO_VAR;
    if (!tape) return sum;
    if (!sbn || !layers)
        return gm_tape_fail(tape, GM_E_INVALID, "sbn: joint: sbn or layers is NULL");
    for (int32_t l = sbn->top; l >= 0; l--) {
        gm_var logits = gm_sbn_apply_logits(tape, sbn, l, layers);
        gm_var part = gm_neg(tape, gm_bce_with_logits(tape, logits, layers[l]));
        if (parts) parts[l] = part;
        sum = l == sbn->top ? part : gm_add(tape, sum, part);
    }
    return sum;
}

gm_var gm_sbn_apply_recognition(gm_tape *tape, gm_sbn *sbn, int32_t layer, gm_var below)
{
    if (!tape) return GM_NO_VAR;
    if (!sbn || layer < 1 || layer > sbn->top)
        return gm_tape_fail(tape, GM_E_INVALID, "sbn: recognition: sbn is NULL, or no such layer");
    if (!sbn->o.recognition)
        return gm_tape_fail(tape, GM_E_UNSUPPORTED,
                            "sbn: recognition: the net has no recognition network");
    if (layer == 1) below = gm_sub(tape, below, gm_parameter(tape, sbn->centre));
    if (sbn->up_tanh[layer - 1])
        below = gm_tanh(tape, gm_apply(tape, sbn->up_tanh[layer - 1], below));
    return gm_apply(tape, sbn->up[layer - 1], below);
}

gm_var gm_sbn_apply_baseline(gm_tape *tape, gm_sbn *sbn, int32_t layer, gm_var below)
{
    static const int64_t flat[1] = { -1 };
    if (!tape) return GM_NO_VAR;
    if (!sbn || layer < 1 || layer > sbn->top)
        return gm_tape_fail(tape, GM_E_INVALID, "sbn: baseline: sbn is NULL, or no such layer");
    if (!sbn->baseline[layer - 1])
        return gm_tape_fail(tape, GM_E_UNSUPPORTED, "sbn: baseline: only NVIL has baselines");
    if (layer == 1) below = gm_sub(tape, below, gm_parameter(tape, sbn->centre));
    return gm_reshape(tape, gm_apply(tape, sbn->baseline[layer - 1], below), 1, flat);
}

gm_sbn_chains *gm_sbn_kept(gm_sbn *sbn)
{
    return &sbn->chains;
}

float *gm_sbn_take(gm_sbn *sbn, int64_t floats)
{
    return gm_model_take(&sbn->model, (size_t)floats * sizeof(float));
}

/* Units of a layer with lateral connections, one after the other; `above` is their input from
 * the other layers. */
static gm_var draw_lateral(gm_sbn *sbn, gm_tape *tape, int32_t l, gm_var above, int64_t n)
{
    const int64_t size = sbn->size[l], shape[2] = { n, size };
    const float *weight = gm_param_value(sbn->lateral[l]), *from = gm_value(tape, above);
    if (!from) return GM_NO_VAR;
    const size_t mark = gm_model_mark(&sbn->model);
    float *drawn = gm_sbn_take(sbn, n * size);
    if (!drawn)
        return gm_tape_fail(tape, GM_E_NOMEM,
                            "sbn: no memory for a layer with lateral connections");
    for (int64_t r = 0; r < n; r++) {
        float *bits = drawn + r * size;
        for (int64_t i = 0; i < size; i++) {
            double a = (double)from[r * size + i];
            for (int64_t j = 0; j < i; j++)
                if (bits[j] > 0) a += (double)weight[i * size + j];
            bits[i] = gm_rng_double(gm_tape_rng(tape)) < 1 / (1 + exp(-a));
        }
    }
    const gm_var copy = gm_input_copy(tape, 2, shape, drawn);
    gm_model_give(&sbn->model, mark);
    return copy;
}

/* Ancestral sampling of n rows, layer `clamp` (-1: none) set to `values`. layers: L + 1 variables.
 * down_to: the lowest layer that is drawn. */
static void record_ancestral(gm_sbn *sbn, gm_tape *tape, int64_t n, int32_t clamp, gm_var values,
                             int32_t down_to, gm_var *layers)
{
    for (int32_t l = sbn->top; l >= down_to; l--) {
        if (l == clamp) {
            layers[l] = values;
            continue;
        }
        gm_var above = record_above(tape, sbn, l, layers, n);
        layers[l] =
            sbn->o.lateral ? draw_lateral(sbn, tape, l, above, n) : gm_bernoulli_draw(tape, above);
    }
}

gm_status gm_sbn_record_dream(gm_sbn *sbn, int64_t n, gm_var *layers)
{
    record_ancestral(sbn, sbn->model.tape, n, -1, GM_NO_VAR, 0, layers);
    return gm_tape_status(sbn->model.tape);
}

static gm_status check_clamp(gm_sbn *sbn, int64_t n, int32_t clamp, const float *values,
                             int64_t width)
{
    gm_context *ctx = sbn->model.ctx;
    if (n < 1 || clamp < -1 || clamp > sbn->top)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "sbn: sample: count is %lld, expected at least 1; clamp is %d, expected -1 to %d",
            (long long)n, (int)clamp, (int)sbn->top);
    if (clamp < 0) return GM_OK;
    if (!values) return gm_model_fail(ctx, GM_E_INVALID, "sbn: sample: values is NULL");
    if (width != sbn->size[clamp])
        return gm_model_fail(ctx, GM_E_SHAPE,
                             "sbn: sample: values have %lld columns, layer %d has %lld units",
                             (long long)width, (int)clamp, (long long)sbn->size[clamp]);
    return gm_model_check_bits(&sbn->model, "sample", 1, values, n, width);
}

gm_status gm_sbn_sample(gm_sbn *sbn, int64_t count, int32_t clamp, const float *values,
                        int64_t width, float *hidden, float *visible)
{
    if (!sbn) return GM_E_INVALID;
    gm_tape *tape = sbn->model.tape;
    gm_status status;
    GM_TRY(check_clamp(sbn, count, clamp, values, width));
    GM_TRY(gm_model_check_count(&sbn->model, "sample", count));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        const int64_t shape[2] = { m, width };
        gm_var layers[MAX_LAYERS + 1], given = GM_NO_VAR;
        int64_t at = 0;
        gm_model_record(&sbn->model, GM_TAPE_CONSTANT);
        if (clamp >= 0) given = gm_input_array(tape, 2, shape, values + done * width);
        record_ancestral(sbn, tape, m, clamp, given, 0, layers);
        GM_TRY(gm_tape_status(tape));
        if (visible)
            memcpy(visible + done * sbn->size[0], gm_value(tape, layers[0]),
                   (size_t)(m * sbn->size[0]) * sizeof *visible);
        for (int32_t l = 1; hidden && l <= sbn->top; l++) {
            const float *from = gm_value(tape, layers[l]);
            for (int64_t r = 0; r < m; r++)
                memcpy(hidden + (done + r) * sbn->hidden + at, from + r * sbn->size[l],
                       (size_t)sbn->size[l] * sizeof *hidden);
            at += sbn->size[l];
        }
    }
out:
    return status;
}

/* Probabilities of the visible units, given what was drawn above them (and before them, with
 * lateral connections). */
static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    gm_sbn *sbn = of(model);
    gm_tape *tape = model->tape;
    gm_status status = GM_OK;
    (void)labels;
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_var layers[MAX_LAYERS + 1];
        gm_model_record(model, GM_TAPE_CONSTANT);
        record_ancestral(sbn, tape, m, -1, GM_NO_VAR, sbn->o.lateral ? 0 : 1, layers);
        gm_var p = gm_sigmoid(tape, gm_sbn_apply_logits(tape, sbn, 0, layers));
        GM_TRY(gm_tape_status(tape));
        memcpy(out + done * model->row_size, gm_value(tape, p),
               (size_t)(m * model->row_size) * sizeof *out);
        GM_TRY(gm_model_advance(model, m * model->row_size));
    }
out:
    return status;
}

gm_status gm_sbn_init_biases(gm_sbn *sbn, gm_dataset *data)
{
    if (!sbn || gm_model_check_unused(&sbn->model, "init_biases"))
        return sbn ? GM_E_STATE : GM_E_INVALID;
    const int64_t n = sbn->size[0];
    const size_t mark = gm_model_enter(&sbn->model);
    float *mean, *bias = gm_param_value(gm_params_find(gm_layer_params(sbn->down[0]), "bias"));
    gm_status status;
    GM_TRY(gm_model_bit_means(&sbn->model, data, &mean));
    for (int64_t i = 0; i < n; i++) {
        bias[i] = gm_model_bias_of_mean(mean[i]);
        gm_param_value(sbn->centre)[i] = mean[i];
    }
out:
    gm_model_leave(&sbn->model, mark);
    return status;
}

gm_status gm_sbn_dense(gm_sbn *sbn, float *weight, float *bias)
{
    if (!sbn) return GM_E_INVALID;
    if (!weight || !bias)
        return gm_model_fail(sbn->model.ctx, GM_E_INVALID, "sbn: dense: an array is NULL");
    if (gm_sbn_has_tanh(sbn))
        return gm_model_fail(sbn->model.ctx, GM_E_UNSUPPORTED,
                             "sbn: dense: a net with tanh units is not one matrix");
    gm_sbn_graph g;
    gm_sbn_describe(sbn, &g);
    const int64_t units = g.units, *place = g.place;
    memset(weight, 0, (size_t)(units * units) * sizeof *weight);
    for (int32_t l = sbn->top; l >= 0; l--) {
        const gm_params *own = l < sbn->top ? gm_layer_params(sbn->down[l]) : NULL;
        gm_param *b = own ? gm_params_find(own, "bias") : sbn->bias;
        memcpy(bias + place[l], gm_param_value(b), (size_t)sbn->size[l] * sizeof *bias);
        for (int32_t m = l; m <= sbn->top; m++) {
            gm_layer *from = m == l + 1 ? sbn->down[l] : m > l ? sbn->skip[l][m] : NULL;
            gm_param *w = from ? gm_params_find(gm_layer_params(from), "weight") : NULL;
            if (m == l) w = sbn->lateral[l];
            for (int64_t i = 0; w && i < sbn->size[l]; i++)
                memcpy(weight + (place[l] + i) * units + place[m],
                       gm_param_value(w) + i * sbn->size[m],
                       (size_t)(m == l ? i : sbn->size[m]) * sizeof *weight);
        }
    }
    return GM_OK;
}

/* Without a recognition network all states of the hidden units are summed, if they are few. */
static gm_status log_prob(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error)
{
    gm_sbn *sbn = of(model);
    if (!sbn->o.recognition)
        return gm_sbn_enumerate(sbn, batch->rows, batch->count, NULL, out, NULL);
    return gm_sbn_log_prob(sbn, batch->rows, batch->count, how, out, error, NULL);
}

static gm_status likelihood(gm_model *model, int64_t samples, gm_likelihood *out)
{
    const gm_sbn *sbn = of(model);
    if (!sbn->o.recognition && sbn->hidden > GM_SBN_MOST_ENUMERATED)
        return gm_model_fail(model->ctx, GM_E_UNSUPPORTED,
                             "sbn: log_prob: there is no recognition network, and %lld hidden "
                             "units are more than the %d "
                             "whose states are summed",
                             (long long)sbn->hidden, GM_SBN_MOST_ENUMERATED);
    if (!sbn->o.recognition) return gm_model_exact_likelihood(model, samples, out);
    out->kind = GM_LIKELIHOOD_IMPORTANCE;
    out->samples = samples ? samples : sbn->o.log_prob_samples;
    return GM_OK;
}

static const gm_model_field stored[] = {
    GM_FIELD(gm_sbn_options, estimator),
    GM_FIELD(gm_sbn_options, lateral),
    GM_FIELD(gm_sbn_options, skip),
    GM_FIELD(gm_sbn_options, recognition),
    GM_FIELD(gm_sbn_options, phases),
    GM_FIELD(gm_sbn_options, samples),
    GM_FIELD(gm_sbn_options, log_prob_samples),
    GM_FIELD(gm_sbn_options, baseline_units),
};

static const gm_model_field of_em[] = { GM_FIELD(gm_sbn_options, sweeps),
                                        GM_FIELD(gm_sbn_options, persistent) };

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    gm_sbn *sbn = of(model);
    char key[32];
    gm_status status;
    GM_TRY(gm_archive_set_int(archive, "sbn.visible", sbn->size[0]));
    GM_TRY(gm_archive_set_int(archive, "sbn.layers", sbn->top));
    GM_TRY(GM_PUT_FIELDS(archive, "sbn.", stored, &sbn->o));
    if (sbn->o.estimator >= GM_SBN_GIBBS_EM) GM_TRY(GM_PUT_FIELDS(archive, "sbn.", of_em, &sbn->o));
    if (checkpoint) GM_TRY(gm_sbn_chains_put(archive, sbn));
    for (int32_t l = 0; l < sbn->top; l++) {
        (void)snprintf(key, sizeof key, "sbn.layer%d", (int)l + 1);
        GM_TRY(gm_archive_set_int(archive, key, sbn->size[l + 1]));
        (void)snprintf(key, sizeof key, "sbn.tanh%d", (int)l);
        GM_TRY(gm_archive_set_int(archive, key, sbn->tanh[l]));
    }
    GM_TRY(gm_archive_put_params(archive, "", model->params));
    GM_TRY(gm_archive_put_params(archive, "state.", model->state));
out:
    return status;
}

/* Nothing is allocated on the word of a file: the stored weights must have the sizes that it
 * states.
 */
static gm_status check_stored(gm_archive *archive, int64_t visible, const gm_sbn_options *o)
{
    gm_status status = GM_OK;
    for (int32_t l = 0; l < o->layer_count; l++) {
        char name[32];
        int64_t shape[GM_MAX_RANK], below = l ? o->layers[l - 1] : visible;
        int32_t rank;
        const float *data;
        (void)snprintf(name, sizeof name, "p%d.weight", (int)l);
        GM_TRY(gm_archive_get(&rank, &data, archive, name, shape));
        const int64_t in = o->tanh_units[l] ? o->tanh_units[l] : o->layers[l];
        if (rank != 2 || shape[0] != below || shape[1] != in)
            GM_TRY(gm_model_fail(gm_archive_context(archive), GM_E_SHAPE,
                                 "sbn: load: %s does not fit layers of %lld and %lld units", name,
                                 (long long)below, (long long)in));
    }
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    int64_t sizes[MAX_LAYERS], tanh[MAX_LAYERS], visible;
    char key[32];
    gm_status status;
    GM_TRY(gm_archive_get_int(&visible, archive, "sbn.visible"));
    GM_TRY(gm_model_get_small(archive, "sbn.layers", &o.layer_count));
    GM_TRY(GM_GET_FIELDS(archive, "sbn.", stored, &o));
    if (o.layer_count < 1 || o.layer_count > MAX_LAYERS)
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "sbn: layer_count is %d, expected 1 to %d",
                             (int)o.layer_count, MAX_LAYERS));
    for (int32_t l = 0; l < o.layer_count; l++) {
        (void)snprintf(key, sizeof key, "sbn.layer%d", (int)l + 1);
        GM_TRY(gm_archive_get_int(&sizes[l], archive, key));
        (void)snprintf(key, sizeof key, "sbn.tanh%d", (int)l);
        GM_TRY(gm_archive_get_int(&tanh[l], archive, key));
    }
    o.layers = sizes;
    o.tanh_units = tanh;
    if (o.estimator >= GM_SBN_GIBBS_EM) GM_TRY(GM_GET_FIELDS(archive, "sbn.", of_em, &o));
    o.optimizer = optimizer;
    GM_TRY(check_stored(archive, visible, &o));
    GM_TRY(gm_sbn_create(&sbn, ctx, visible, &o));
    GM_TRY(gm_archive_get_params(archive, "", sbn->model.params));
    GM_TRY(gm_archive_get_params(archive, "state.", sbn->model.state));
    GM_TRY(gm_sbn_chains_get(archive, sbn, o.samples));
    *out = &sbn->model;
    return GM_OK;
out:
    gm_sbn_release(sbn);
    return status;
}

/* Chains are kept when the step is made: one that fails leaves them where they were. */
static gm_status step(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    gm_sbn *sbn = of(model);
    gm_status status;
    GM_TRY(gm_model_descend(model, batch, metrics));
    gm_sbn_chains_keep(sbn, batch, sbn->o.samples);
out:
    sbn->chains.states = NULL;
    return status;
}

const gm_family gm_family_sbn = {
    .name = "sbn",
    .loss = gm_sbn_loss,
    .step = step,
    .sample = sample,
    .log_prob = log_prob,
    .likelihood = likelihood,
    .save = save,
    .load = load,
    .destroy = destroy,
};
