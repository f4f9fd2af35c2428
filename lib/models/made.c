/* made.c - masked autoencoders for distribution estimation: mask sets, the bound pass, the mean over sets. The walk along the
 * order is in made_walk.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/ops.h"
#include "models/model.h"

#define FRESH_ORDERS 16
#define LOG_SCALE 10.0 /* log deviations and log scales stay within */

struct gm_made {
    gm_model model; /* first */
    gm_made_options o; /* without its pointers */
    int64_t columns, classes; /* classes: inputs a column */
    int64_t width, total;     /* numbers of a conditional; hidden units of all layers */
    int64_t units[GM_MADE_MAX_LAYERS];
    gm_param *weight[GM_MADE_MAX_LAYERS + 1], *bias[GM_MADE_MAX_LAYERS + 1], *direct;
    gm_param *seen[GM_MADE_MAX_LAYERS + 1], *direct_seen; /* the connectivity weights U, or NULL */
    gm_order given; /* of all sets */
    gm_rng *masks;
    /* The present set. */
    int64_t set; /* -1: none yet */
    int64_t *order, *degrees;
    float *in_degrees, *out_degrees, *hidden_degrees;
    float *ones; /* as many as a layer has inputs at most; NULL without connectivity weights */
    gm_made_walk walk;
};

static gm_made *of(const gm_model *model)
{
    return (gm_made *)model;
}

static int32_t kind_of(const gm_model *model)
{
    return of(model)->o.kind;
}

static int64_t width_of(const gm_model *model)
{
    return of(model)->width;
}

static int32_t any_order_of(const gm_model *model)
{
    return of(model)->o.random_orders;
}

static double slope_of(int32_t activation)
{
    return activation == GM_ACTIVATION_LEAKY_RELU ? 0.1 : 1;
}

/* --- Mask sets. */

static gm_status draw_set(gm_made *made, int64_t set, int64_t *order, int64_t *degrees)
{
    gm_context *ctx = made->model.ctx;
    gm_status status = GM_OK;
    int64_t least = 1;
    gm_rng_seed(made->masks, made->o.mask_seed + (uint64_t)set * UINT64_C(0x9e3779b97f4a7c15));
    if (made->o.random_orders) GM_TRY(gm_rng_permutation(made->masks, order, made->columns));
    else
        for (int64_t k = 0; k < made->columns; k++) order[k] = gm_order_column(&made->given, k);
    for (int32_t l = 0; l < made->o.layers; l++) {
        GM_TRY(gm_mask_hidden_degrees(degrees, ctx, made->units[l], made->columns, made->o.degrees, least,
                                      made->masks));
        if (made->o.degrees == GM_DEGREES_RANDOM) { /* section 4.1: or a unit of the next layer could be cut off */
            least = degrees[0];
            for (int64_t i = 1; i < made->units[l]; i++)
                least = degrees[i] < least ? degrees[i] : least;
        }
        degrees += made->units[l];
    }
out:
    return status;
}

/* Makes set j the present one. */
static gm_status take_set(gm_made *made, int64_t set)
{
    gm_status status = GM_OK;
    if (made->set == set) return GM_OK;
    made->set = -1;
    GM_TRY(draw_set(made, set, made->order, made->degrees));
    for (int64_t k = 0; k < made->columns; k++) {
        const int64_t column = made->order[k];
        for (int64_t c = 0; c < made->classes; c++)
            made->in_degrees[column * made->classes + c] = (float)(k + 1);
        for (int64_t c = 0; c < made->width; c++)
            made->out_degrees[column * made->width + c] = (float)(k + 1);
    }
    for (int64_t i = 0; i < made->total; i++) made->hidden_degrees[i] = (float)made->degrees[i];
    made->set = set;
out:
    return status;
}

/* Outputs that see nothing though columns come before theirs: what is allowed but told. */
static void tell_cut_off(gm_made *made)
{
    char line[128];
    const int64_t *degrees = made->degrees;
    int64_t reach = 0; /* the least degree of a unit that sees something */
    for (int32_t l = 0; l < made->o.layers; l++) {
        int64_t least = made->columns;
        for (int64_t i = 0; i < made->units[l]; i++)
            if (degrees[i] >= reach && degrees[i] < least) least = degrees[i];
        reach = least;
        degrees += made->units[l];
    }
    if (made->o.direct || reach <= 1) return;
    (void)snprintf(line, sizeof line, "made: %lld of %lld outputs are cut off from all columns before them",
                   (long long)reach - 1, (long long)made->columns);
    gm_context_log(made->model.ctx, GM_LOG_WARNING, line);
}

/* --- Creation. */

static gm_status check_options(gm_context *ctx, int64_t columns, gm_made_options *o)
{
    if (columns < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "made: columns is %lld, at least 1 is wanted",
                             (long long)columns);
    if (o->layers < 0 || o->layers > GM_MADE_MAX_LAYERS || (!o->layers && !o->direct))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "made: layers is %d, 1 to %d is wanted, or 0 with direct weights",
                             (int)o->layers, GM_MADE_MAX_LAYERS);
    for (int32_t l = 0; o->hidden && l < o->layers; l++)
        if (o->hidden[l] < 1 || o->hidden[l] > (1 << 30))
            return gm_model_fail(ctx, GM_E_INVALID, "made: hidden layer %d has %lld units, 1 to 2^30 is wanted",
                                 (int)l, (long long)o->hidden[l]);
    if (o->activation < GM_ACTIVATION_NONE || o->activation > GM_ACTIVATION_SOFTPLUS)
        return gm_model_fail(ctx, GM_E_INVALID, "made: activation is %d, 0 to %d is wanted",
                             (int)o->activation, GM_ACTIVATION_SOFTPLUS);
    if (o->kind < GM_CONDITIONAL_BINARY || o->kind > GM_CONDITIONAL_LAPLACE_MIXTURE)
        return gm_model_fail(ctx, GM_E_INVALID, "made: kind is %d, 0 to %d is wanted", (int)o->kind,
                             GM_CONDITIONAL_LAPLACE_MIXTURE);
    if (o->kind == GM_CONDITIONAL_CATEGORICAL && (o->classes < 2 || o->classes > (1 << 24)))
        return gm_model_fail(ctx, GM_E_INVALID, "made: classes is %lld, 2 to 2^24 is wanted",
                             (long long)o->classes);
    if (o->kind > GM_CONDITIONAL_GAUSSIAN && (o->components < 1 || o->components > 100000))
        return gm_model_fail(ctx, GM_E_INVALID, "made: components is %lld, 1 to 100000 is wanted",
                             (long long)o->components);
    if (o->degrees < GM_DEGREES_SPREAD || o->degrees > GM_DEGREES_RANDOM)
        return gm_model_fail(ctx, GM_E_INVALID, "made: degrees is %d, 0 to 2 is wanted", (int)o->degrees);
    if ((o->direct != 0 && o->direct != 1) || (o->random_orders != 0 && o->random_orders != 1) ||
        (o->connectivity != 0 && o->connectivity != 1))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "made: direct is %d, random_orders is %d, connectivity is %d; 0 or 1 is wanted",
                             (int)o->direct, (int)o->random_orders, (int)o->connectivity);
    if (o->random_orders && o->order)
        return gm_model_fail(ctx, GM_E_INVALID, "made: an order is given, but random_orders is 1");
    if (o->masks < 0 || o->orders < 0 || (o->masks && o->orders > o->masks))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "made: masks is %lld (at least 0 is wanted), orders is %lld (0 to masks)",
                             (long long)o->masks, (long long)o->orders);
    return GM_OK;
}

static int64_t width_for(const gm_made_options *o)
{
    if (o->kind == GM_CONDITIONAL_BINARY) return 1;
    if (o->kind == GM_CONDITIONAL_CATEGORICAL) return o->classes;
    return o->kind == GM_CONDITIONAL_GAUSSIAN ? 2 : 3 * o->components;
}

static gm_status add(gm_made *made, gm_param **slot, const char *prefix, const char *name, int32_t rank,
                     int64_t out, int64_t in)
{
    const int64_t shape[2] = { out, in };
    gm_status status;
    GM_TRY(gm_param_create(slot, made->model.ctx, name, rank, shape));
    if (!strcmp(name, "weight"))
        GM_TRY(gm_param_init(*slot, made->o.weight_init, made->o.weight_a, made->o.weight_b, NULL));
    GM_TRY(gm_params_add(made->model.params, prefix, *slot));
out:
    return status;
}

/* The weights of a layer, and those of its connections if there are any: these are zero at first. */
static gm_status add_pair(gm_made *made, gm_param **weight, gm_param **seen, const char *prefix, int64_t out_size,
                          int64_t in_size)
{
    gm_status status;
    GM_TRY(add(made, weight, prefix, "weight", 2, out_size, in_size));
    if (made->o.connectivity) GM_TRY(add(made, seen, prefix, "connectivity", 2, out_size, in_size));
out:
    return status;
}

static gm_status add_weights(gm_made *made)
{
    char prefix[24];
    gm_status status = GM_OK;
    const int32_t layers = made->o.layers;
    const int64_t inputs = made->columns * made->classes, outputs = made->columns * made->width;
    int64_t below = inputs;
    for (int32_t l = 0; l < layers; l++) {
        (void)snprintf(prefix, sizeof prefix, "hidden.%d.", (int)l);
        GM_TRY(add_pair(made, &made->weight[l], &made->seen[l], prefix, made->units[l], below));
        GM_TRY(add(made, &made->bias[l], prefix, "bias", 1, made->units[l], 0));
        below = made->units[l];
    }
    if (layers) GM_TRY(add_pair(made, &made->weight[layers], &made->seen[layers], "output.", outputs, below));
    GM_TRY(add(made, &made->bias[layers], "output.", "bias", 1, outputs, 0));
    if (made->o.direct) GM_TRY(add_pair(made, &made->direct, &made->direct_seen, "direct.", outputs, inputs));
out:
    return status;
}

static size_t bytes_of(int64_t n, size_t size)
{
    return (size_t)(n > 0 ? n : 1) * size;
}

/* The most inputs of a layer. */
static int64_t widest(const gm_made *made)
{
    int64_t most = made->columns * made->classes;
    for (int32_t l = 0; l < made->o.layers; l++) most = made->units[l] > most ? made->units[l] : most;
    return most;
}

static gm_status add_sets(gm_made *made)
{
    gm_context *ctx = made->model.ctx;
    made->order = gm_context_allocate(ctx, bytes_of(made->columns, sizeof *made->order));
    made->degrees = gm_context_allocate(ctx, bytes_of(made->total, sizeof *made->degrees));
    made->in_degrees = gm_context_allocate(
        ctx, bytes_of(made->columns * made->classes, sizeof *made->in_degrees));
    made->out_degrees = gm_context_allocate(
        ctx, bytes_of(made->columns * made->width, sizeof *made->out_degrees));
    made->hidden_degrees = gm_context_allocate(ctx, bytes_of(made->total, sizeof *made->hidden_degrees));
    if (!made->order || !made->degrees || !made->in_degrees || !made->out_degrees || !made->hidden_degrees)
        return gm_model_fail(ctx, GM_E_NOMEM, "made: no memory for masks");
    if (made->o.connectivity) {
        made->ones = gm_context_allocate(ctx, bytes_of(widest(made), sizeof *made->ones));
        if (!made->ones) return gm_model_fail(ctx, GM_E_NOMEM, "made: no memory for masks");
        for (int64_t i = 0; i < widest(made); i++) made->ones[i] = 1;
    }
    return gm_rng_create(&made->masks, ctx, made->o.mask_seed);
}

static gm_status plan_walk(gm_made *made)
{
    gm_made_walk *w = &made->walk;
    const int64_t *degrees = made->degrees;
    w->model = &made->model;
    w->kind = made->o.kind;
    w->activation = made->o.activation;
    w->slope = slope_of(made->o.activation);
    w->log_scale = LOG_SCALE;
    w->columns = made->columns;
    w->classes = made->classes;
    w->width = made->width;
    w->layers = made->o.layers;
    w->order = made->order;
    for (int32_t l = 0; l <= w->layers; l++) {
        w->units[l] = l < w->layers ? made->units[l] : made->columns * made->width;
        w->degrees[l] = l < w->layers ? degrees : NULL;
        w->weight[l] = made->weight[l] ? gm_param_value(made->weight[l]) : NULL;
        w->seen[l] = made->seen[l] ? gm_param_value(made->seen[l]) : NULL;
        w->bias[l] = gm_param_value(made->bias[l]);
        if (l < w->layers) degrees += made->units[l];
    }
    w->direct = made->direct ? gm_param_value(made->direct) : NULL;
    w->direct_seen = made->direct_seen ? gm_param_value(made->direct_seen) : NULL;
    return gm_made_walk_begin(w);
}

static gm_status build(gm_made *made, const gm_made_options *given)
{
    gm_model *model = &made->model;
    gm_status status;
    GM_TRY(gm_model_open(model, &gm_family_made, model->ctx));
    model->row_size = made->columns;
    made->o = *given;
    made->o.hidden = made->o.order = NULL;
    made->o.optimizer = NULL;
    made->set = -1;
    if (!made->o.mask_seed) made->o.mask_seed = gm_context_seed(model->ctx);
    if (!made->o.orders) made->o.orders = made->o.masks ? made->o.masks : FRESH_ORDERS;
    made->classes = made->o.kind == GM_CONDITIONAL_CATEGORICAL ? made->o.classes : 1;
    made->width = width_for(&made->o);
    for (int32_t l = 0; l < made->o.layers; l++)
        made->total += made->units[l] = given->hidden ? given->hidden[l] : 500;
    if (made->columns > 1000000000 / made->width)
        GM_TRY(gm_model_fail(model->ctx, GM_E_INVALID, "made: %lld columns with %lld numbers each are too many",
                             (long long)made->columns, (long long)made->width));
    GM_TRY(gm_order_set(&made->given, model, given->order));
    GM_TRY(add_weights(made));
    GM_TRY(add_sets(made));
    GM_TRY(take_set(made, 0));
    GM_TRY(plan_walk(made));
    tell_cut_off(made);
    GM_TRY(gm_model_bind(model, &model->optimizer, given->optimizer, model->params));
out:
    return status;
}

gm_status gm_made_create(gm_made **out, gm_context *ctx, int64_t columns, const gm_made_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "made: context or out is NULL");
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "made", &o, sizeof o, options);
    if (!status) status = check_options(ctx, columns, &o);
    if (status) return status;
    gm_made *made = gm_model_allocate(ctx, sizeof *made);
    if (!made) return gm_model_fail(ctx, GM_E_NOMEM, "made: no memory");
    made->model.ctx = ctx;
    made->columns = columns;
    status = build(made, &o);
    if (status) gm_made_release(made);
    else *out = made;
    return status;
}

static void destroy(gm_model *model)
{
    gm_made *made = of(model);
    gm_context *ctx = model->ctx;
    gm_made_walk_end(&made->walk);
    gm_context_free(ctx, made->order, bytes_of(made->columns, sizeof *made->order));
    gm_context_free(ctx, made->degrees, bytes_of(made->total, sizeof *made->degrees));
    gm_context_free(ctx, made->in_degrees, bytes_of(made->columns * made->classes, sizeof(float)));
    gm_context_free(ctx, made->out_degrees, bytes_of(made->columns * made->width, sizeof(float)));
    gm_context_free(ctx, made->hidden_degrees, bytes_of(made->total, sizeof(float)));
    gm_context_free(ctx, made->ones, bytes_of(widest(made), sizeof(float)));
    gm_order_forget(&made->given, model);
    gm_rng_release(made->masks);
    gm_model_close(model);
    for (int32_t l = 0; l <= GM_MADE_MAX_LAYERS; l++) {
        gm_param_release(made->weight[l]);
        gm_param_release(made->seen[l]);
        gm_param_release(made->bias[l]);
    }
    gm_param_release(made->direct);
    gm_param_release(made->direct_seen);
    gm_context_free(ctx, made, sizeof *made);
}

void gm_made_retain(gm_made *made)
{
    if (made) gm_model_retain(&made->model);
}

void gm_made_release(gm_made *made)
{
    if (made) gm_model_release(&made->model);
}

gm_model *gm_made_model(gm_made *made)
{
    return made ? &made->model : NULL;
}

gm_made *gm_made_from_model(gm_model *model)
{
    return model && model->family == &gm_family_made ? of(model) : NULL;
}

gm_status gm_made_set_orders(gm_made *made, int64_t orders)
{
    if (!made) return GM_E_INVALID;
    if (orders < 1 || (made->o.masks && orders > made->o.masks))
        return gm_model_fail(made->model.ctx, GM_E_INVALID,
                             "made: orders is %lld; there are %lld mask sets (0: any number)",
                             (long long)orders, (long long)made->o.masks);
    made->o.orders = orders;
    return GM_OK;
}

int64_t gm_made_orders(const gm_made *made)
{
    return made ? made->o.orders : 0;
}

int64_t gm_made_masks(const gm_made *made)
{
    return made ? made->o.masks : 0;
}

int32_t gm_made_layers(const gm_made *made)
{
    return made ? made->o.layers : 0;
}

int64_t gm_made_units(const gm_made *made, int32_t layer)
{
    return made && layer >= 0 && layer < made->o.layers ? made->units[layer] : 0;
}

gm_status gm_made_mask_set(gm_made *made, int64_t set, int64_t *order, int64_t *degrees)
{
    if (!made) return GM_E_INVALID;
    if (set < 0 || (made->o.masks && set >= made->o.masks))
        return gm_model_fail(made->model.ctx, GM_E_INVALID,
                             "made: set is %lld; there are %lld mask sets (0: any number)", (long long)set,
                             (long long)made->o.masks);
    gm_status status = take_set(made, set);
    if (!status && order) memcpy(order, made->order, (size_t)made->columns * sizeof *order);
    if (!status && degrees) memcpy(degrees, made->degrees, (size_t)made->total * sizeof *degrees);
    return status;
}

/* --- One pass. */

static gm_var degrees_var(gm_made *made, const float *degrees, int64_t n)
{
    return gm_input_array(made->model.tape, 1, &n, degrees);
}

/* The bias of a layer under the present set, b + (U o M) 1: what connections there are, whatever comes through them. */
static gm_var bias_of(gm_made *made, gm_param *seen, gm_var bias, gm_var out_degrees, gm_var in_degrees,
                      int32_t strict)
{
    gm_tape *tape = made->model.tape;
    if (!seen) return bias;
    gm_var weight = gm_parameter(tape, seen), ones = gm_input_array(tape, 1, gm_param_shape(seen) + 1, made->ones);
    return gm_masked_linear(tape, ones, weight, bias, out_degrees, in_degrees, strict, GM_ACTIVATION_NONE, 0);
}

/* The rows [n, columns], and their raw conditionals [n, columns, width] by the present set. */
typedef struct recorded {
    gm_var x, raw;
} recorded;

static recorded record(gm_made *made, const float *rows, int64_t n)
{
    gm_tape *tape = made->model.tape;
    const int64_t inputs = made->columns * made->classes, outputs = made->columns * made->width;
    const int64_t shape[2] = { n, made->columns }, flat[2] = { n, inputs },
                  whole[3] = { n, made->columns, made->width };
    const float *degrees = made->hidden_degrees;
    const int32_t layers = made->o.layers;
    recorded r = { gm_input_array(tape, 2, shape, rows), GM_NO_VAR };
    gm_var in = made->classes > 1 ? gm_reshape(tape, gm_one_hot(tape, r.x, made->classes), 2, flat) : r.x;
    gm_var in_degrees = degrees_var(made, made->in_degrees, inputs), h = in, h_degrees = in_degrees;
    gm_var out_degrees = degrees_var(made, made->out_degrees, outputs);
    gm_var bias = gm_parameter(tape, made->bias[layers]);
    for (int32_t l = 0; l < layers; l++) {
        gm_var own = degrees_var(made, degrees, made->units[l]);
        gm_var b = bias_of(made, made->seen[l], gm_parameter(tape, made->bias[l]), own, h_degrees, 0);
        h = gm_masked_linear(tape, h, gm_parameter(tape, made->weight[l]), b, own, h_degrees, 0,
                             made->o.activation, slope_of(made->o.activation));
        h_degrees = own;
        degrees += made->units[l];
    }
    gm_var y = GM_NO_VAR;
    bias = bias_of(made, made->seen[layers], bias, out_degrees, h_degrees, 1);
    bias = bias_of(made, made->direct_seen, bias, out_degrees, in_degrees, 1);
    if (layers)
        y = gm_masked_linear(tape, h, gm_parameter(tape, made->weight[layers]), bias, out_degrees,
                             h_degrees, 1, GM_ACTIVATION_NONE, 0);
    if (made->direct) {
        gm_var straight = gm_masked_linear(tape, in, gm_parameter(tape, made->direct),
                                           layers ? GM_NO_VAR : bias, out_degrees, in_degrees, 1,
                                           GM_ACTIVATION_NONE, 0);
        y = layers ? gm_add(tape, y, straight) : straight;
    }
    if (made->o.kind >= GM_CONDITIONAL_CATEGORICAL) y = gm_reshape(tape, y, 3, whole);
    if (made->o.kind >= GM_CONDITIONAL_GAUSSIAN) {
        const int64_t logs = made->width - (made->width == 2 ? 1 : made->width / 3);
        gm_var parts[2] = { gm_slice(tape, y, 2, 0, logs),
                            gm_clamp(tape, gm_slice(tape, y, 2, logs, made->width), -LOG_SCALE, LOG_SCALE) };
        y = gm_concat(tape, parts, 2, 2);
    }
    r.raw = y;
    return r;
}

/* -log p of each row of a mixture: log sum_c w_c p_c(x), summed over the columns. */
static gm_var mixture_nll(gm_made *made, const recorded *r, int64_t n)
{
    gm_tape *tape = made->model.tape;
    const int64_t parts = made->width / 3, shape[3] = { n, made->columns, 1 };
    static const int32_t columns[1] = { 1 };
    gm_var weight = gm_log_softmax(tape, gm_slice(tape, r->raw, 2, 0, parts));
    gm_var mean = gm_slice(tape, r->raw, 2, parts, 2 * parts);
    gm_var log_scale = gm_slice(tape, r->raw, 2, 2 * parts, 3 * parts);
    gm_var z = gm_mul(tape, gm_sub(tape, gm_reshape(tape, r->x, 3, shape), mean),
                      gm_exp(tape, gm_neg(tape, log_scale)));
    const int laplace = made->o.kind == GM_CONDITIONAL_LAPLACE_MIXTURE;
    z = laplace ? gm_abs(tape, z) : gm_scale(tape, gm_square(tape, z), 0.5);
    z = gm_shift(tape, gm_add(tape, z, log_scale), laplace ? log(2.0) : 0.91893853320467274178);
    gm_var p = gm_logsumexp(tape, gm_sub(tape, weight, z));
    return gm_neg(tape, gm_sum_axes(tape, p, columns, 1, 0));
}

static gm_var record_nll(gm_made *made, const recorded *r, int64_t n)
{
    gm_tape *tape = made->model.tape;
    const int64_t shape[2] = { n, made->columns };
    switch (made->o.kind) {
    case GM_CONDITIONAL_BINARY: return gm_bce_with_logits(tape, r->raw, r->x);
    case GM_CONDITIONAL_CATEGORICAL: return gm_cross_entropy(tape, r->raw, r->x);
    case GM_CONDITIONAL_GAUSSIAN:
        return gm_gaussian_nll(tape, gm_reshape(tape, gm_slice(tape, r->raw, 2, 0, 1), 2, shape),
                               gm_scale(tape, gm_reshape(tape, gm_slice(tape, r->raw, 2, 1, 2), 2, shape), 2),
                               r->x);
    default: return mixture_nll(made, r, n);
    }
}

/* log (1 / orders) sum_j p_j(x) of at most GM_MODEL_GROUP rows with checked values: the sum is kept as most + log sum, so that it
 * neither over- nor underflows. */
static gm_status score_group(gm_made *made, const float *rows, int64_t n, double *out)
{
    double sum[GM_MODEL_GROUP];
    gm_status status = GM_OK;
    for (int64_t j = 0; j < made->o.orders; j++) {
        GM_TRY(take_set(made, j));
        gm_model_record(&made->model, GM_TAPE_CONSTANT);
        const recorded r = record(made, rows, n);
        gm_var nll = record_nll(made, &r, n);
        GM_TRY(gm_tape_status(made->model.tape));
        const float *value = gm_value(made->model.tape, nll);
        for (int64_t i = 0; i < n; i++) {
            const double l = -(double)value[i];
            if (!j || l > out[i]) {
                sum[i] = j ? sum[i] * exp(out[i] - l) + 1 : 1;
                out[i] = l;
            } else {
                sum[i] += exp(l - out[i]);
            }
        }
    }
    for (int64_t i = 0; i < n; i++) out[i] += log(sum[i] / (double)made->o.orders);
out:
    return status;
}

static gm_status log_prob(gm_model *model, const gm_batch *batch, double *out)
{
    gm_made *made = of(model);
    const int64_t size = model->row_size;
    gm_status status;
    if (made->o.orders == 1) return gm_autoregressive_score(model, batch, out);
    GM_TRY(gm_conditional_check(model, "log_prob", made->o.kind, made->width, 0, batch->rows, NULL, batch->count));
    for (int64_t done = 0; done < batch->count;) {
        const int64_t n = batch->count - done < GM_MODEL_GROUP ? batch->count - done : GM_MODEL_GROUP;
        GM_TRY(score_group(made, batch->rows + done * size, n, out + done));
        done += n;
    }
out:
    return status;
}

/* An evaluation's loss is what log_prob says; of one set, that set's. */
static gm_status mean_over_sets(gm_model *model, const gm_batch *batch, gm_var *out)
{
    double score[GM_MODEL_GROUP], sum = 0;
    gm_status status = GM_OK;
    for (int64_t done = 0; done < batch->count;) {
        const int64_t n = batch->count - done < GM_MODEL_GROUP ? batch->count - done : GM_MODEL_GROUP;
        GM_TRY(score_group(of(model), batch->rows + done * model->row_size, n, score));
        for (int64_t i = 0; i < n; i++) sum += score[i];
        done += n;
    }
    gm_model_record(model, GM_TAPE_CONSTANT);
    *out = gm_constant(model->tape, 0, NULL, -sum / (double)batch->count);
out:
    return status;
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_made *made = of(model);
    const int training = (gm_tape_mode(model->tape) & GM_TAPE_TRAIN) != 0;
    gm_status status;
    GM_TRY(gm_conditional_check(model, "loss", made->o.kind, made->width, 0, batch->rows, NULL, batch->count));
    if (!training && made->o.orders > 1) {
        GM_TRY(mean_over_sets(model, batch, out));
    } else {
        const int64_t turn = made->o.masks ? model->steps % made->o.masks : model->steps;
        GM_TRY(take_set(made, training ? turn : 0));
        const recorded r = record(made, batch->rows, batch->count);
        *out = gm_mean(model->tape, record_nll(made, &r, batch->count));
    }
    gm_metrics_add(metrics, "loss", gm_scalar(model->tape, *out));
    status = gm_tape_status(model->tape);
out:
    return status;
}

static gm_status raw(gm_model *model, const gm_batch *batch, float *out)
{
    gm_made *made = of(model);
    gm_status status;
    GM_TRY(take_set(made, 0));
    gm_model_record(model, GM_TAPE_CONSTANT);
    const recorded r = record(made, batch->rows, batch->count);
    GM_TRY(gm_read(model->tape, r.raw, out, batch->count * made->columns * made->width));
out:
    return status;
}

static gm_status order(gm_model *model, int64_t *out)
{
    return gm_made_mask_set(of(model), 0, out, NULL);
}

/* Set 0, its order with what is known first where the model can have any order. */
static gm_status fill(gm_model *model, float *rows, const float *labels, const uint8_t *known,
                      int64_t count, double *log_known, int draw)
{
    gm_made *made = of(model);
    const int64_t size = model->row_size;
    gm_status status;
    (void)labels;
    GM_TRY(take_set(made, 0));
    for (int64_t done = 0; done < count;) {
        const uint8_t *given = known ? known + done * size : NULL;
        int64_t n = 1;
        while (done + n < count && n < GM_MADE_WALK &&
               (!given || !made->o.random_orders || !memcmp(given, given + n * size, (size_t)size)))
            n++;
        gm_made_walk_rows(&made->walk, rows + done * size, NULL, n, given, made->o.random_orders,
                          log_known ? log_known + done : NULL, draw);
        done += n;
    }
out:
    return status;
}

/* Each row from a set of its own, as log_prob has it; rows of a group that have the same set walk together. */
static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    gm_made *made = of(model);
    int64_t set[GM_MODEL_GROUP], mine[GM_MADE_WALK];
    gm_status status = GM_OK;
    if (made->o.orders == 1) return fill(model, out, labels, NULL, count, NULL, 1);
    for (int64_t done = 0; done < count;) {
        const int64_t n = count - done < GM_MODEL_GROUP ? count - done : GM_MODEL_GROUP;
        for (int64_t i = 0; i < n; i++) set[i] = gm_rng_below(model->rng, made->o.orders);
        for (int64_t i = 0; i < n; i++) {
            int64_t same = 0;
            const int64_t now = set[i];
            if (now < 0) continue; /* done already */
            for (int64_t k = i; k < n && same < GM_MADE_WALK; k++)
                if (set[k] == now) {
                    mine[same++] = k;
                    set[k] = -1;
                }
            GM_TRY(take_set(made, now));
            gm_made_walk_rows(&made->walk, out + done * model->row_size, mine, same, NULL, 0, NULL, 1);
        }
        done += n;
    }
out:
    return status;
}

/* --- Files. */

static const gm_model_field stored[] = {
    GM_FIELD(gm_made_options, layers), GM_FIELD(gm_made_options, activation), GM_FIELD(gm_made_options, kind),
    GM_FIELD(gm_made_options, direct), GM_FIELD(gm_made_options, classes), GM_FIELD(gm_made_options, components),
    GM_FIELD(gm_made_options, degrees), GM_FIELD(gm_made_options, random_orders), GM_FIELD(gm_made_options, masks),
    GM_FIELD(gm_made_options, orders), GM_FIELD(gm_made_options, mask_seed),
};

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    const gm_made *made = of(model);
    const gm_made_options *o = &made->o;
    char key[32];
    gm_status status;
    (void)checkpoint;
    GM_TRY(gm_archive_set_int(archive, "made.columns", made->columns));
    GM_TRY(GM_PUT_FIELDS(archive, "made.", stored, o));
    if (o->connectivity) GM_TRY(gm_archive_set_int(archive, "made.connectivity", 1)); /* absent: none */
    for (int32_t l = 0; l < o->layers; l++) {
        (void)snprintf(key, sizeof key, "made.units.%d", (int)l);
        GM_TRY(gm_archive_set_int(archive, key, made->units[l]));
    }
    GM_TRY(gm_order_put(&made->given, model, archive, "made.order"));
    GM_TRY(gm_archive_put_params(archive, "made.", model->params));
out:
    return status;
}

/* Has the file a weight of the size that it speaks of? Before memory is taken for it. */
static gm_status check_weight(gm_context *ctx, gm_archive *archive, const char *layer, int32_t connectivity,
                              int64_t out, int64_t in)
{
    char key[64];
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    gm_status status = GM_OK;
    for (int32_t k = 0; k <= connectivity; k++) {
        (void)snprintf(key, sizeof key, "made.%s.%s", layer, k ? "connectivity" : "weight");
        GM_TRY(gm_archive_get(archive, key, &rank, shape, NULL));
        if (rank != 2 || shape[0] != out || shape[1] != in)
            GM_TRY(gm_model_fail(ctx, GM_E_SHAPE, "load: %s is not [%lld, %lld]", key, (long long)out,
                                 (long long)in));
    }
out:
    return status;
}

static gm_status check_weights(gm_context *ctx, gm_archive *archive, int64_t columns,
                               const gm_made_options *o)
{
    char layer[24];
    gm_status status = GM_OK;
    const int32_t also = o->connectivity;
    const int64_t per = o->kind == GM_CONDITIONAL_CATEGORICAL ? o->classes : 1, width = width_for(o);
    /* check_options has bounded the factors. */
    if (columns > 1000000000 / width)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE, "load: made.columns is %lld", (long long)columns));
    int64_t below = columns * per;
    for (int32_t l = 0; l < o->layers; l++) {
        (void)snprintf(layer, sizeof layer, "hidden.%d", (int)l);
        GM_TRY(check_weight(ctx, archive, layer, also, o->hidden[l], below));
        below = o->hidden[l];
    }
    if (o->layers) GM_TRY(check_weight(ctx, archive, "output", also, columns * width, below));
    if (o->direct) GM_TRY(check_weight(ctx, archive, "direct", also, columns * width, columns * per));
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    gm_made *made = NULL;
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    int64_t units[GM_MADE_MAX_LAYERS], columns = 0, *places = NULL;
    char key[32];
    gm_status status;
    GM_TRY(gm_archive_get_int(archive, "made.columns", &columns));
    GM_TRY(GM_GET_FIELDS(archive, "made.", stored, &o));
    if (gm_archive_has(archive, "made.connectivity"))
        GM_TRY(gm_model_get_small(archive, "made.connectivity", &o.connectivity));
    for (int32_t l = 0; l < o.layers && l < GM_MADE_MAX_LAYERS; l++) {
        (void)snprintf(key, sizeof key, "made.units.%d", (int)l);
        GM_TRY(gm_archive_get_int(archive, key, &units[l]));
    }
    o.hidden = o.layers <= GM_MADE_MAX_LAYERS ? units : NULL;
    o.weight_init = GM_INIT_CONSTANT; /* drawing them would be for nothing */
    o.optimizer = optimizer;
    GM_TRY(check_options(ctx, columns, &o));
    GM_TRY(check_weights(ctx, archive, columns, &o));
    GM_TRY(gm_order_get(&places, ctx, archive, "made.order", columns));
    o.order = places;
    GM_TRY(gm_made_create(&made, ctx, columns, &o));
    GM_TRY(gm_archive_get_params(archive, "made.", made->model.params));
    *out = &made->model;
    made = NULL;
out:
    if (places) gm_context_free(ctx, places, (size_t)columns * sizeof *places);
    gm_made_release(made);
    return status;
}

static const gm_autoregressive entries = {
    .kind = kind_of,
    .width = width_of,
    .any_order = any_order_of,
    .order = order,
    .raw = raw,
    .fill = fill,
};

const gm_family gm_family_made = {
    .name = "made",
    .verbs = 1 << GM_VERB_FIT | 1 << GM_VERB_SAMPLE | 1 << GM_VERB_LOG_PROB | 1 << GM_VERB_SAVE,
    .loss = loss,
    .sample = sample,
    .log_prob = log_prob,
    .save = save,
    .load = load,
    .destroy = destroy,
    .autoregressive = &entries,
    .protocol = "exact",
};
