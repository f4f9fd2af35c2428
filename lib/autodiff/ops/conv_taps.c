/* conv_taps.c - convolution over a list of taps, channels last. */
#include "autodiff/activation.h"
#include "autodiff/ops/ops.h"
#include "base/options.h"
#include "gm/conv.h"
#include "kernels/conv/taps.h"
#include "tensor/tensor.h"

enum { X, WEIGHT, OTHERS };

typedef struct taps_attr {
    int32_t relu, bias, skip; /* 1: there is one; bias and skip follow the weight in this order */
    int32_t kind;             /* GM_UNARY_* */
    float slope;
    int64_t count;
    int64_t taps[2 * GM_TAPS_MOST];
} taps_attr;

static int bias_of(const taps_attr *a)
{
    return a->bias ? OTHERS : -1;
}

static int skip_of(const taps_attr *a)
{
    return a->skip ? OTHERS + a->bias : -1;
}

static gm_taps_map map_of(const gm_call *c)
{
    const taps_attr *a = c->attr;
    const gm_node *x = c->in[X], *w = c->in[WEIGHT];
    const int per_image = a->bias && c->in[bias_of(a)]->rank == 2;
    const gm_taps_map m = { x->shape[0],
                            x->shape[1],
                            x->shape[2],
                            x->shape[3],
                            w->shape[2],
                            a->count,
                            a->taps,
                            a->relu,
                            a->kind,
                            a->slope,
                            per_image ? w->shape[2] : 0 };
    return m;
}

static gm_status check_shapes(gm_call *c)
{
    const taps_attr *a = c->attr;
    const gm_node *x = c->in[X], *w = c->in[WEIGHT];
    if (x->rank != 4 || w->rank != 3 || w->shape[0] != a->count || w->shape[1] != x->shape[3] ||
        w->shape[1] < 1 || w->shape[2] < 1)
        return gm_fail_shapes(
            c, "input", x, "weight", w,
            ", expected [n, h, w, c] and [taps, c, out] with sizes of at least 1");
    for (int i = 0; i < 4; i++)
        if (x->shape[i] > GM_CONV_LARGEST || w->shape[2] > GM_CONV_LARGEST)
            return gm_fail_shapes(c, "input", x, "weight", w, ", a size is over 2^30");
    c->out->rank = 4;
    for (int i = 0; i < 3; i++) c->out->shape[i] = x->shape[i];
    c->out->shape[3] = w->shape[2];
    if (a->bias) {
        const gm_node *b = c->in[bias_of(a)];
        const int one = b->rank == 1 && b->shape[0] == w->shape[2];
        const int each = b->rank == 2 && b->shape[0] == x->shape[0] && b->shape[1] == w->shape[2];
        if (!one && !each)
            return gm_fail_shapes(c, "bias", b, "weight", w,
                                  ", expected [out], or [n, out] for n images");
    }
    if (a->skip && !gm_same_shape(c->in[skip_of(a)], c->out))
        return gm_fail_shapes(c, "skip", c->in[skip_of(a)], "weight", w,
                              ", expected the result's shape");
    return GM_OK;
}

static gm_status infer(gm_call *c)
{
    int64_t count; /* the tape reports a result that is too large */
    gm_status status;
    GM_TRY(check_shapes(c));
    GM_TRY(gm_shape_count(c->ctx, c->op->name, c->out->rank, c->out->shape, &count));
    const gm_taps_map m = map_of(c);
    GM_TRY(gm_tape_reserve(c->tape, c->op->name,
                           gm_taps_work(&m, gm_team_threads(c->team), c->out->requires_grad)));
out:
    return status;
}

static const float *value_of(const gm_call *c, int input)
{
    return input < 0 ? NULL : c->in[input]->value;
}

static gm_status forward(gm_call *c)
{
    const taps_attr *a = c->attr;
    const gm_conv_place p = { c->team, c->k, c->tape->work };
    const gm_taps_map m = map_of(c);
    gm_taps_forward(&p, &m, c->out->value, c->in[X]->value, c->in[WEIGHT]->value,
                    value_of(c, bias_of(a)), value_of(c, skip_of(a)));
    return GM_OK;
}

static void backward(gm_call *c)
{
    const taps_attr *a = c->attr;
    const gm_conv_place p = { c->team, c->k, c->tape->work };
    const gm_taps_map m = map_of(c);
    const int bias = bias_of(a), skip = skip_of(a);
    const gm_taps_gradients to = {
        .x = c->grad[X],
        .w = c->grad[WEIGHT],
        .bias = bias < 0 ? NULL : c->grad[bias],
        .skip = skip < 0 ? NULL : c->grad[skip],
        .add_x = c->add[X],
        .add_w = c->add[WEIGHT],
        .add_bias = bias < 0 ? 0 : c->add[bias],
        .add_skip = skip < 0 ? 0 : c->add[skip],
    };
    gm_taps_backward(&p, &m, &to, c->out->grad, c->out->value, c->in[X]->value,
                     c->in[WEIGHT]->value);
}

const gm_op gm_op_conv2d_taps = { "conv2d_taps", -1, infer, forward, backward, NULL };

static gm_var refuse(gm_tape *tape, const char *what, int64_t value, const char *wanted)
{
    return gm_tape_stick(tape, gm_fail(gm_tape_context(tape), GM_E_INVALID,
                                       "conv2d_taps: %s is %lld, expected %s", what,
                                       (long long)value, wanted));
}

gm_var gm_conv2d_taps(gm_tape *tape, gm_var x, gm_var weight, gm_var bias, gm_var skip,
                      const gm_taps_options *options)
{
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_fused fused;
    gm_taps_options o = GM_TAPS_OPTIONS_INIT;
    gm_context *ctx = gm_tape_context(tape);
    gm_status s = gm_options_check(ctx, "conv2d_taps", &o, sizeof o, options);
    if (!s) s = gm_fused_make(&fused, ctx, "conv2d_taps", o.activation, o.slope);
    if (s) return gm_tape_stick(tape, s);
    if (!o.taps) return gm_tape_fail(tape, GM_E_INVALID, "conv2d_taps: taps is NULL");
    if (o.count < 1 || o.count > GM_TAPS_MOST)
        return refuse(tape, "the number of taps", o.count, "1 to 128");
    if (skip.recording && o.activation != GM_ACTIVATION_NONE)
        return refuse(tape, "with a skip connection the activation", o.activation,
                      "GM_ACTIVATION_NONE");
    taps_attr a = { o.relu != 0, bias.recording != 0, skip.recording != 0,
                    fused.kind,  fused.slope,         o.count,
                    { 0 } };
    for (int64_t i = 0; i < 2 * o.count; i++) {
        if (o.taps[i] < -GM_TAPS_FARTHEST || o.taps[i] > GM_TAPS_FARTHEST)
            return refuse(tape, i % 2 ? "a tap's column" : "a tap's row", o.taps[i],
                          "-1024 to 1024");
        a.taps[i] = o.taps[i];
    }
    gm_var inputs[4] = { x, weight };
    int32_t n = 2;
    if (a.bias) inputs[n++] = bias;
    if (a.skip) inputs[n++] = skip;
    const size_t used = sizeof a - sizeof a.taps + (size_t)(2 * o.count) * sizeof *a.taps;
    gm_var y = gm_record(tape, &gm_op_conv2d_taps, inputs, n, &a, used);
    return gm_fused_finish(&fused, tape, y);
}
