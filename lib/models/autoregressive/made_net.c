/* made_net.c - the network of a MADE: its weights, its mask sets, the pass that gives all
 * conditionals of one set. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/loss.h"
#include "gm/ops.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/made_net.h"
#include "models/family.h"

#define MASKED(...) (&(gm_masked_linear_options){ sizeof(gm_masked_linear_options), __VA_ARGS__ })

/* --- Mask sets. */

static gm_status draw_set(gm_made_net *net, int64_t set, int64_t *order, int64_t *degrees)
{
    gm_context *ctx = net->model->ctx;
    gm_status status = GM_OK;
    int64_t least = 1;
    gm_rng_seed(net->masks, net->o.mask_seed + (uint64_t)set * UINT64_C(0x9e3779b97f4a7c15));
    if (net->o.random_orders)
        GM_TRY(gm_rng_permutation(net->masks, net->columns, order));
    else
        for (int64_t k = 0; k < net->columns; k++) order[k] = gm_order_column(&net->given, k);
    for (int32_t l = 0; l < net->o.layers; l++) {
        GM_TRY(gm_mask_hidden_degrees(ctx, net->units[l], net->columns, net->o.degrees, least,
                                      net->masks, degrees));
        if (net->o.degrees ==
            GM_DEGREES_RANDOM) { /* section 4.1: or a unit of the next layer could be cut off */
            least = degrees[0];
            for (int64_t i = 1; i < net->units[l]; i++)
                least = degrees[i] < least ? degrees[i] : least;
        }
        degrees += net->units[l];
    }
out:
    return status;
}

gm_status gm_made_take_set(gm_made_net *net, int64_t set)
{
    gm_status status = GM_OK;
    if (net->set == set) return GM_OK;
    net->set = -1;
    GM_TRY(draw_set(net, set, net->order, net->degrees));
    for (int64_t k = 0; k < net->columns; k++) {
        const int64_t column = net->order[k];
        for (int64_t c = 0; c < net->classes; c++)
            net->in_degrees[column * net->classes + c] = (float)(k + 1);
        for (int64_t c = 0; c < net->width; c++)
            net->out_degrees[column * net->width + c] = (float)(k + 1);
    }
    for (int64_t i = 0; i < net->total; i++) net->hidden_degrees[i] = (float)net->degrees[i];
    net->set = set;
out:
    return status;
}

/* Outputs that see nothing though columns come before theirs: what is allowed but logged. */
static void tell_cut_off(const gm_made_net *net)
{
    char line[128];
    const int64_t *degrees = net->degrees;
    int64_t reach = 0; /* the least degree of a unit that sees something */
    for (int32_t l = 0; l < net->o.layers; l++) {
        int64_t least = net->columns;
        for (int64_t i = 0; i < net->units[l]; i++)
            if (degrees[i] >= reach && degrees[i] < least) least = degrees[i];
        reach = least;
        degrees += net->units[l];
    }
    if (net->o.direct || reach <= 1) return;
    (void)snprintf(line, sizeof line,
                   "made: %lld of %lld outputs are cut off from all columns before them",
                   (long long)reach - 1, (long long)net->columns);
    gm_context_log(net->model->ctx, GM_LOG_WARNING, line);
}

/* --- Weights and memory. */

int64_t gm_made_width(const gm_made_options *o)
{
    if (o->kind == GM_CONDITIONAL_BINARY) return 1;
    if (o->kind == GM_CONDITIONAL_CATEGORICAL) return o->classes;
    return o->kind == GM_CONDITIONAL_GAUSSIAN ? 2 : 3 * o->components;
}

static gm_status add(gm_made_net *net, gm_param **slot, const char *prefix, const char *name,
                     int32_t rank, int64_t out, int64_t in)
{
    const int64_t shape[2] = { out, in };
    gm_status status;
    GM_TRY(gm_param_create(slot, net->model->ctx, name, rank, shape));
    if (!strcmp(name, "weight"))
        GM_TRY(gm_param_init(*slot, net->o.weight_init, net->o.weight_a, net->o.weight_b, NULL));
    GM_TRY(gm_params_add(net->model->params, prefix, *slot));
out:
    return status;
}

/* The weights of a layer, and those of its connections if there are any: these are zero at first.
 */
static gm_status add_pair(gm_made_net *net, gm_param **weight, gm_param **seen, const char *prefix,
                          int64_t out_size, int64_t in_size)
{
    gm_status status;
    GM_TRY(add(net, weight, prefix, "weight", 2, out_size, in_size));
    if (net->o.connectivity) GM_TRY(add(net, seen, prefix, "connectivity", 2, out_size, in_size));
out:
    return status;
}

static gm_status add_weights(gm_made_net *net)
{
    char prefix[24];
    gm_status status = GM_OK;
    const int32_t layers = net->o.layers;
    const int64_t inputs = net->columns * net->classes, outputs = net->columns * net->width;
    int64_t below = inputs;
    for (int32_t l = 0; l < layers; l++) {
        (void)snprintf(prefix, sizeof prefix, "hidden.%d.", (int)l);
        GM_TRY(add_pair(net, &net->weight[l], &net->seen[l], prefix, net->units[l], below));
        GM_TRY(add(net, &net->bias[l], prefix, "bias", 1, net->units[l], 0));
        below = net->units[l];
    }
    if (layers)
        GM_TRY(add_pair(net, &net->weight[layers], &net->seen[layers], "output.", outputs, below));
    GM_TRY(add(net, &net->bias[layers], "output.", "bias", 1, outputs, 0));
    if (net->o.direct)
        GM_TRY(add_pair(net, &net->direct, &net->direct_seen, "direct.", outputs, inputs));
out:
    return status;
}

static size_t bytes_of(int64_t n, size_t size)
{
    return (size_t)(n > 0 ? n : 1) * size;
}

/* The most inputs of a layer. */
static int64_t widest(const gm_made_net *net)
{
    int64_t most = net->columns * net->classes;
    for (int32_t l = 0; l < net->o.layers; l++) most = net->units[l] > most ? net->units[l] : most;
    return most;
}

static gm_status add_sets(gm_made_net *net)
{
    gm_context *ctx = net->model->ctx;
    net->order = gm_context_allocate(ctx, bytes_of(net->columns, sizeof *net->order));
    net->degrees = gm_context_allocate(ctx, bytes_of(net->total, sizeof *net->degrees));
    net->in_degrees =
        gm_context_allocate(ctx, bytes_of(net->columns * net->classes, sizeof(float)));
    net->out_degrees = gm_context_allocate(ctx, bytes_of(net->columns * net->width, sizeof(float)));
    net->hidden_degrees = gm_context_allocate(ctx, bytes_of(net->total, sizeof(float)));
    if (net->o.connectivity)
        net->ones = gm_context_allocate(ctx, bytes_of(widest(net), sizeof(float)));
    if (!net->order || !net->degrees || !net->in_degrees || !net->out_degrees ||
        !net->hidden_degrees || (net->o.connectivity && !net->ones))
        return gm_model_fail(ctx, GM_E_NOMEM, "made: no memory for masks");
    for (int64_t i = 0; net->ones && i < widest(net); i++) net->ones[i] = 1;
    return gm_rng_create(&net->masks, ctx, net->o.mask_seed);
}

gm_status gm_made_net_begin(gm_made_net *net, gm_model *model, int64_t columns,
                            const gm_made_options *options)
{
    gm_made_options *o = &net->o;
    gm_status status;
    net->model = model;
    net->columns = columns;
    net->set = -1;
    *o = *options;
    o->hidden = o->order = NULL;
    o->optimizer = NULL;
    if (!o->mask_seed) o->mask_seed = gm_context_seed(model->ctx);
    net->classes = o->kind == GM_CONDITIONAL_CATEGORICAL ? o->classes : 1;
    net->width = gm_made_width(o);
    net->slope = o->activation == GM_ACTIVATION_LEAKY_RELU ? 0.1 : 1;
    for (int32_t l = 0; l < o->layers; l++)
        net->total += net->units[l] = options->hidden ? options->hidden[l] : 500;
    if (columns > 1000000000 / net->width)
        GM_TRY(gm_model_fail(model->ctx, GM_E_INVALID,
                             "made: %lld columns with %lld numbers each are too many",
                             (long long)columns, (long long)net->width));
    GM_TRY(gm_order_set(&net->given, model, options->order));
    GM_TRY(add_weights(net));
    GM_TRY(add_sets(net));
    GM_TRY(gm_made_take_set(net, 0));
    tell_cut_off(net);
    GM_TRY(gm_made_walk_begin(net));
out:
    return status;
}

void gm_made_net_end(gm_made_net *net)
{
    if (!net->model) return;
    gm_context *ctx = net->model->ctx;
    gm_made_walk_end(net);
    gm_context_free(ctx, net->order, bytes_of(net->columns, sizeof *net->order));
    gm_context_free(ctx, net->degrees, bytes_of(net->total, sizeof *net->degrees));
    gm_context_free(ctx, net->in_degrees, bytes_of(net->columns * net->classes, sizeof(float)));
    gm_context_free(ctx, net->out_degrees, bytes_of(net->columns * net->width, sizeof(float)));
    gm_context_free(ctx, net->hidden_degrees, bytes_of(net->total, sizeof(float)));
    gm_context_free(ctx, net->ones, bytes_of(widest(net), sizeof(float)));
    gm_order_forget(&net->given, net->model);
    gm_rng_release(net->masks);
    for (int32_t l = 0; l <= GM_MADE_MAX_LAYERS; l++) {
        gm_param_release(net->weight[l]);
        gm_param_release(net->seen[l]);
        gm_param_release(net->bias[l]);
    }
    gm_param_release(net->direct);
    gm_param_release(net->direct_seen);
}

/* --- One pass. */

static gm_var degrees_var(gm_made_net *net, const float *degrees, int64_t n)
{
    return gm_input_array(net->model->tape, 1, &n, degrees);
}

/* The bias of a layer under the present set, b + (U o M) 1: what connections there are, whatever
 * comes through them. */
static gm_var bias_of(gm_made_net *net, gm_param *seen, gm_var bias, gm_var out_degrees,
                      gm_var in_degrees, int32_t strict)
{
    gm_tape *tape = net->model->tape;
    if (!seen) return bias;
    gm_var weight = gm_parameter(tape, seen),
           ones = gm_input_array(tape, 1, gm_param_shape(seen) + 1, net->ones);
    return gm_masked_linear(tape, ones, weight, bias, out_degrees, in_degrees,
                            MASKED(strict, GM_ACTIVATION_NONE, 0));
}

gm_made_pass gm_made_record(gm_made_net *net, const float *rows, int64_t n)
{
    gm_tape *tape = net->model->tape;
    const int64_t inputs = net->columns * net->classes, outputs = net->columns * net->width;
    const int64_t shape[2] = { n, net->columns }, flat[2] = { n, inputs },
                  whole[3] = { n, net->columns, net->width };
    const float *degrees = net->hidden_degrees;
    const int32_t layers = net->o.layers;
    gm_made_pass r = { gm_input_array(tape, 2, shape, rows), GM_NO_VAR };
    gm_var in =
        net->classes > 1 ? gm_reshape(tape, gm_one_hot(tape, r.x, net->classes), 2, flat) : r.x;
    gm_var in_degrees = degrees_var(net, net->in_degrees, inputs), h = in, h_degrees = in_degrees;
    gm_var out_degrees = degrees_var(net, net->out_degrees, outputs);
    gm_var bias = gm_parameter(tape, net->bias[layers]);
    for (int32_t l = 0; l < layers; l++) {
        gm_var own = degrees_var(net, degrees, net->units[l]);
        gm_var b = bias_of(net, net->seen[l], gm_parameter(tape, net->bias[l]), own, h_degrees, 0);
        h = gm_masked_linear(tape, h, gm_parameter(tape, net->weight[l]), b, own, h_degrees,
                             MASKED(0, net->o.activation, net->slope));
        h_degrees = own;
        degrees += net->units[l];
    }
    gm_var y = GM_NO_VAR;
    bias = bias_of(net, net->seen[layers], bias, out_degrees, h_degrees, 1);
    bias = bias_of(net, net->direct_seen, bias, out_degrees, in_degrees, 1);
    if (layers)
        y = gm_masked_linear(tape, h, gm_parameter(tape, net->weight[layers]), bias, out_degrees,
                             h_degrees, MASKED(1, GM_ACTIVATION_NONE, 0));
    if (net->direct) {
        gm_var straight =
            gm_masked_linear(tape, in, gm_parameter(tape, net->direct), layers ? GM_NO_VAR : bias,
                             out_degrees, in_degrees, MASKED(1, GM_ACTIVATION_NONE, 0));
        y = layers ? gm_add(tape, y, straight) : straight;
    }
    if (net->o.kind >= GM_CONDITIONAL_CATEGORICAL) y = gm_reshape(tape, y, 3, whole);
    if (net->o.kind >= GM_CONDITIONAL_GAUSSIAN) {
        const int64_t logs = net->width - (net->width == 2 ? 1 : net->width / 3);
        gm_var free_part = gm_slice(tape, y, 2, 0, logs),
               log_part = gm_slice(tape, y, 2, logs, net->width);
        gm_var parts[2] = { free_part,
                            gm_clamp(tape, log_part, -GM_MADE_LOG_SCALE, GM_MADE_LOG_SCALE) };
        y = gm_concat(tape, parts, 2, 2);
    }
    r.raw = y;
    return r;
}

/* -log p of each row of a mixture: log sum_c w_c p_c(x), summed over the columns. */
static gm_var mixture_nll(gm_made_net *net, const gm_made_pass *r, int64_t n)
{
    gm_tape *tape = net->model->tape;
    const int64_t parts = net->width / 3, shape[3] = { n, net->columns, 1 };
    static const int32_t columns[1] = { 1 };
    gm_var weight = gm_log_softmax(tape, gm_slice(tape, r->raw, 2, 0, parts));
    gm_var mean = gm_slice(tape, r->raw, 2, parts, 2 * parts);
    gm_var log_scale = gm_slice(tape, r->raw, 2, 2 * parts, 3 * parts);
    gm_var z = gm_mul(tape, gm_sub(tape, gm_reshape(tape, r->x, 3, shape), mean),
                      gm_exp(tape, gm_neg(tape, log_scale)));
    const int laplace = net->o.kind == GM_CONDITIONAL_LAPLACE_MIXTURE;
    z = laplace ? gm_abs(tape, z) : gm_scale(tape, gm_square(tape, z), 0.5);
    z = gm_shift(tape, gm_add(tape, z, log_scale), laplace ? log(2.0) : 0.91893853320467274178);
    gm_var p = gm_logsumexp(tape, gm_sub(tape, weight, z));
    return gm_neg(tape, gm_sum_axes(tape, p, columns, 1, 0));
}

gm_var gm_made_nll(gm_made_net *net, const gm_made_pass *r, int64_t n)
{
    gm_tape *tape = net->model->tape;
    const int64_t shape[2] = { n, net->columns };
    switch (net->o.kind) {
    case GM_CONDITIONAL_BINARY:
        return gm_bce_with_logits(tape, r->raw, r->x);
    case GM_CONDITIONAL_CATEGORICAL:
        return gm_cross_entropy(tape, r->raw, r->x);
    case GM_CONDITIONAL_GAUSSIAN:
        return gm_gaussian_nll(
            tape, gm_reshape(tape, gm_slice(tape, r->raw, 2, 0, 1), 2, shape),
            gm_scale(tape, gm_reshape(tape, gm_slice(tape, r->raw, 2, 1, 2), 2, shape), 2), r->x);
    default:
        return mixture_nll(net, r, n);
    }
}
