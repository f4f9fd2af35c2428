/* conv.c - convolution, transposed convolution, and their common gradient with respect to the
 * weights: three operations, each other's gradients, in terms of the three forms of one map
 * (kernels/conv.h). */
#include "gm/conv.h"
#include "autodiff/activation.h"
#include "autodiff/gradient.h"
#include "base/options.h"
#include "kernels/conv/conv.h"
#include "tensor/tensor.h"

enum { FORWARD = 1, BACKWARD_DATA = 2, BACKWARD_WEIGHT = 4 }; /* the forms */

static const char *const axis_name[2] = { "height", "width" };

static gm_status check_number(gm_context *ctx, const char *op, const char *what, int axis,
                              int64_t value, int64_t least)
{
    if (value >= least && value <= GM_CONV_LARGEST) return GM_OK;
    return gm_fail(ctx, GM_E_INVALID, "%s: %s of the %s is %lld, expected %lld to 2^30", op, what,
                   axis_name[axis], (long long)value, (long long)least);
}

static gm_status check_geometry(const gm_call *c)
{
    const gm_conv_attr *attr = c->attr;
    const gm_conv_geometry *g = &attr->geometry;
    const char *op = c->op->name;
    gm_status status = GM_OK;
    for (int i = 0; i < 2; i++) {
        int64_t extra = attr->output_padding[i];
        GM_TRY(check_number(c->ctx, op, "stride", i, g->stride[i], 1));
        GM_TRY(check_number(c->ctx, op, "padding", i, g->padding[i], 0));
        GM_TRY(check_number(c->ctx, op, "dilation", i, g->dilation[i], 1));
        if (extra < 0 || (extra && extra >= g->stride[i] && extra >= g->dilation[i]))
            GM_TRY(
                gm_fail(c->ctx, GM_E_INVALID,
                        "%s: output padding of the %s is %lld, expected at least 0 and below the "
                        "stride (%lld) or the dilation (%lld)",
                        op, axis_name[i], (long long)extra, (long long)g->stride[i],
                        (long long)g->dilation[i]));
    }
    if (g->groups < 1 || g->groups > GM_CONV_LARGEST)
        GM_TRY(gm_fail(c->ctx, GM_E_INVALID, "%s: groups is %lld, expected 1 to 2^30", op,
                       (long long)g->groups));
out:
    return status;
}

static gm_status check_rank(const gm_call *c, const char *a, const char *b)
{
    const gm_node *first = c->in[0], *second = c->in[1];
    char ta[GM_SHAPE_TEXT], tb[GM_SHAPE_TEXT];
    gm_shape_text(ta, first->rank, first->shape);
    gm_shape_text(tb, second->rank, second->shape);
    if (first->rank != 4 || second->rank != 4)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: %s is %s, %s is %s, expected rank 4 of both",
                       c->op->name, a, ta, b, tb);
    for (int i = 0; i < 4; i++)
        if (first->shape[i] > GM_CONV_LARGEST || second->shape[i] > GM_CONV_LARGEST)
            return gm_fail(c->ctx, GM_E_SHAPE, "%s: %s is %s, %s is %s, a size is over 2^30",
                           c->op->name, a, ta, b, tb);
    return GM_OK;
}

/* "weight" with its `channels` (axis 0 of it for one op, 1 for the other) against the input's. */
static gm_status check_channels(const gm_call *c, int64_t wanted, int64_t divided)
{
    const gm_node *x = c->in[0], *w = c->in[1];
    int64_t groups = ((const gm_conv_attr *)c->attr)->geometry.groups;
    char tx[GM_SHAPE_TEXT], tw[GM_SHAPE_TEXT];
    gm_shape_text(tx, x->rank, x->shape);
    gm_shape_text(tw, w->rank, w->shape);
    if (x->shape[1] != wanted)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, weight %s expects %lld channels",
                       c->op->name, tx, tw, (long long)wanted);
    if (divided % groups)
        return gm_fail(c->ctx, GM_E_SHAPE,
                       "%s: weight is %s, %lld groups do not divide %lld channels", c->op->name, tw,
                       (long long)groups, (long long)divided);
    if (w->shape[2] < 1 || w->shape[3] < 1)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: weight is %s, the kernel is empty", c->op->name,
                       tw);
    return GM_OK;
}

static gm_status check_bias(gm_call *c, int64_t channels)
{
    if (c->inputs < 2 || c->inputs > 3)
        return gm_fail(c->ctx, GM_E_INTERNAL, "%s: %d inputs", c->op->name, (int)c->inputs);
    if (c->inputs == 3 && (c->in[2]->rank != 1 || c->in[2]->shape[0] != channels))
        return gm_fail_shapes(c, "bias", c->in[2], "weight", c->in[1],
                              ", expected one value for each channel of the result");
    return GM_OK;
}

/* floor((h + 2 p - d (k - 1) - 1) / s) + 1 */
static gm_status forward_size(const gm_call *c, int i, int64_t in, int64_t kernel, int64_t *out)
{
    const gm_conv_geometry *g = &((const gm_conv_attr *)c->attr)->geometry;
    int64_t s = g->stride[i], p = g->padding[i], d = g->dilation[i];
    int64_t span = in + 2 * p - d * (kernel - 1) - 1;
    *out = span / s + 1;
    if (span >= 0) return GM_OK;
    return gm_fail(c->ctx, GM_E_SHAPE,
                   "%s: %s: (%lld + 2*%lld - %lld*(%lld-1) - 1) / %lld + 1 is below 1 (input %lld, "
                   "padding %lld, dilation %lld, kernel %lld, stride %lld)",
                   c->op->name, axis_name[i], (long long)in, (long long)p, (long long)d,
                   (long long)kernel, (long long)s, (long long)in, (long long)p, (long long)d,
                   (long long)kernel, (long long)s);
}

/* (h - 1) s - 2 p + d (k - 1) + output padding + 1 */
static gm_status transpose_size(const gm_call *c, int i, int64_t in, int64_t kernel, int64_t *out)
{
    const gm_conv_attr *attr = c->attr;
    const gm_conv_geometry *g = &attr->geometry;
    int64_t s = g->stride[i], p = g->padding[i], d = g->dilation[i], e = attr->output_padding[i];
    *out = (in - 1) * s - 2 * p + d * (kernel - 1) + e + 1;
    if (in >= 1 && *out >= 1 && *out <= GM_CONV_LARGEST) return GM_OK;
    return gm_fail(c->ctx, GM_E_SHAPE,
                   "%s: %s: (%lld-1)*%lld - 2*%lld + %lld*(%lld-1) + %lld + 1 is not 1 to 2^30 "
                   "(input %lld, stride %lld, padding %lld, dilation %lld, kernel %lld, output "
                   "padding %lld)",
                   c->op->name, axis_name[i], (long long)in, (long long)s, (long long)p,
                   (long long)d, (long long)kernel, (long long)e, (long long)in, (long long)s,
                   (long long)p, (long long)d, (long long)kernel, (long long)e);
}

/* The map of a node whose output's shape is known. */
static gm_conv_map map_of(const gm_call *c)
{
    const gm_conv_geometry *g = &((const gm_conv_attr *)c->attr)->geometry;
    const gm_node *x = c->in[0], *y = c->out, *w = c->in[1];
    if (c->op == &gm_op_conv_transpose2d) x = c->out, y = c->in[0];
    if (c->op == &gm_op_conv2d_weight) y = c->in[1], w = c->out;
    gm_conv_map m = {
        x->shape[0],   x->shape[1],    x->shape[2],    x->shape[3],  y->shape[1],  y->shape[2],
        y->shape[3],   w->shape[2],    w->shape[3],    g->stride[0], g->stride[1], g->padding[0],
        g->padding[1], g->dilation[0], g->dilation[1], g->groups,
    };
    return m;
}

/* Workspace for the forms that forward and, when gradients are wanted, backward use. */
static gm_status reserve(gm_call *c, int forward)
{
    gm_conv_map m = map_of(c);
    int forms = c->out->requires_grad ? FORWARD | BACKWARD_DATA | BACKWARD_WEIGHT : forward;
    int32_t threads = gm_team_threads(c->team);
    size_t most = 0, size;
    int64_t count; /* the tape reports a result that is too large */
    gm_status status = gm_shape_count(c->ctx, c->op->name, c->out->rank, c->out->shape, &count);
    if (status) return status;
    if (forms & FORWARD && (size = gm_conv_forward_work(&m, threads)) > most) most = size;
    if (forms & BACKWARD_DATA && (size = gm_conv_backward_data_work(&m, threads)) > most)
        most = size;
    if (forms & BACKWARD_WEIGHT && (size = gm_conv_backward_weight_work(&m, threads)) > most)
        most = size;
    return gm_tape_reserve(c->tape, c->op->name, most);
}

static gm_conv_place place_of(const gm_call *c)
{
    gm_conv_place p = { c->team, c->k, c->tape->work };
    return p;
}

static gm_conv_last last_of(const gm_call *c)
{
    const gm_conv_attr *attr = c->attr;
    gm_conv_last last = { c->inputs == 3 ? c->in[2]->value : NULL, attr->kind, attr->slope };
    return last;
}

typedef struct act_job {
    const gm_kernels *k;
    const gm_conv_attr *attr;
    float *dy;
    const float *y;
} act_job;

static void act_range(void *arg, int64_t begin, int64_t end)
{
    const act_job *job = arg;
    job->k->unary_grad(job->attr->kind, job->dy + begin, job->dy + begin, job->y + begin,
                       job->y + begin, job->attr->slope, 0, end - begin, 0);
}

/* The gradient before the activation, in place; and the bias's. */
static void backward_last(gm_call *c, const gm_conv_place *p)
{
    const gm_conv_attr *attr = c->attr;
    const gm_node *y = c->out;
    act_job job = { c->k, attr, y->grad, y->value };
    if (attr->kind != GM_UNARY_IDENTITY)
        gm_team_range(c->team, y->count, GM_GRAIN, act_range, &job);
    if (c->inputs == 3 && c->grad[2])
        gm_conv_backward_bias(p, y->shape[0], y->shape[1], y->shape[2] * y->shape[3], c->grad[2],
                              y->grad, c->add[2]);
}

static gm_status conv_infer(gm_call *c)
{
    const gm_conv_attr *attr = c->attr;
    const gm_node *x = c->in[0], *w = c->in[1];
    gm_status status;
    GM_TRY(check_geometry(c));
    GM_TRY(check_rank(c, "input", "weight"));
    GM_TRY(check_channels(c, w->shape[1] * attr->geometry.groups, w->shape[0]));
    GM_TRY(check_bias(c, w->shape[0]));
    c->out->rank = 4;
    c->out->shape[0] = x->shape[0];
    c->out->shape[1] = w->shape[0];
    for (int i = 0; i < 2; i++) {
        if (attr->size[i])
            c->out->shape[2 + i] = attr->size[i];
        else
            GM_TRY(forward_size(c, i, x->shape[2 + i], w->shape[2 + i], &c->out->shape[2 + i]));
    }
    GM_TRY(reserve(c, FORWARD));
out:
    return status;
}

static gm_status conv_forward(gm_call *c)
{
    gm_conv_map m = map_of(c);
    gm_conv_place p = place_of(c);
    gm_conv_last last = last_of(c);
    gm_conv_forward(&p, &m, c->out->value, c->in[0]->value, c->in[1]->value, &last, 0);
    return GM_OK;
}

static void conv_backward(gm_call *c)
{
    gm_conv_map m = map_of(c);
    gm_conv_place p = place_of(c);
    const float *dy = c->out->grad;
    backward_last(c, &p);
    if (c->grad[0]) gm_conv_backward_data(&p, &m, c->grad[0], dy, c->in[1]->value, NULL, c->add[0]);
    if (c->grad[1]) gm_conv_backward_weight(&p, &m, c->grad[1], c->in[0]->value, dy, c->add[1]);
}

const gm_op gm_op_conv2d = {
    "conv2d", -1, conv_infer, conv_forward, conv_backward, gm_gradient_conv
};

static gm_status transpose_infer(gm_call *c)
{
    const gm_conv_attr *attr = c->attr;
    const gm_node *y = c->in[0], *w = c->in[1];
    gm_status status;
    GM_TRY(check_geometry(c));
    GM_TRY(check_rank(c, "input", "weight"));
    GM_TRY(check_channels(c, w->shape[0], w->shape[0]));
    c->out->rank = 4;
    c->out->shape[0] = y->shape[0];
    c->out->shape[1] = w->shape[1] * attr->geometry.groups;
    GM_TRY(check_bias(c, c->out->shape[1]));
    for (int i = 0; i < 2; i++) {
        if (attr->size[i])
            c->out->shape[2 + i] = attr->size[i];
        else
            GM_TRY(transpose_size(c, i, y->shape[2 + i], w->shape[2 + i], &c->out->shape[2 + i]));
    }
    GM_TRY(reserve(c, BACKWARD_DATA));
out:
    return status;
}

static gm_status transpose_forward(gm_call *c)
{
    gm_conv_map m = map_of(c);
    gm_conv_place p = place_of(c);
    gm_conv_last last = last_of(c);
    gm_conv_backward_data(&p, &m, c->out->value, c->in[0]->value, c->in[1]->value, &last, 0);
    return GM_OK;
}

static void transpose_backward(gm_call *c)
{
    gm_conv_map m = map_of(c);
    gm_conv_place p = place_of(c);
    const float *dx = c->out->grad;
    backward_last(c, &p);
    if (c->grad[0]) gm_conv_forward(&p, &m, c->grad[0], dx, c->in[1]->value, NULL, c->add[0]);
    if (c->grad[1]) gm_conv_backward_weight(&p, &m, c->grad[1], dx, c->in[0]->value, c->add[1]);
}

const gm_op gm_op_conv_transpose2d = { "conv_transpose2d", -1,
                                       transpose_infer,    transpose_forward,
                                       transpose_backward, gm_gradient_conv_transpose };

static gm_status weight_infer(gm_call *c)
{
    const gm_conv_attr *attr = c->attr;
    const gm_node *x = c->in[0], *y = c->in[1];
    int64_t groups = attr->geometry.groups;
    gm_status status;
    GM_TRY(check_geometry(c));
    GM_TRY(check_rank(c, "input", "gradient"));
    if (x->shape[0] != y->shape[0] || x->shape[1] % groups || y->shape[1] % groups)
        GM_TRY(gm_fail_shapes(c, "input", x, "gradient", y,
                              ", the images differ or groups do not divide the channels"));
    c->out->rank = 4;
    c->out->shape[0] = y->shape[1];
    c->out->shape[1] = x->shape[1] / groups;
    for (int i = 0; i < 2; i++) {
        GM_TRY(check_number(c->ctx, c->op->name, "kernel", i, attr->size[i], 1));
        c->out->shape[2 + i] = attr->size[i];
    }
    GM_TRY(reserve(c, BACKWARD_WEIGHT));
out:
    return status;
}

static gm_status weight_forward(gm_call *c)
{
    gm_conv_map m = map_of(c);
    gm_conv_place p = place_of(c);
    gm_conv_backward_weight(&p, &m, c->out->value, c->in[0]->value, c->in[1]->value, 0);
    return GM_OK;
}

static void weight_backward(gm_call *c)
{
    gm_conv_map m = map_of(c);
    gm_conv_place p = place_of(c);
    const float *dw = c->out->grad;
    if (c->grad[0]) gm_conv_backward_data(&p, &m, c->grad[0], c->in[1]->value, dw, NULL, c->add[0]);
    if (c->grad[1]) gm_conv_forward(&p, &m, c->grad[1], c->in[0]->value, dw, NULL, c->add[1]);
}

const gm_op gm_op_conv2d_weight = { "conv2d_weight", 2,
                                    weight_infer,    weight_forward,
                                    weight_backward, gm_gradient_conv_weight };

static gm_var record(gm_tape *tape, const gm_op *op, gm_var x, gm_var weight, gm_var bias,
                     const gm_conv_options *options, int32_t activation, double slope)
{
    gm_var inputs[3] = { x, weight, bias };
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_status s = gm_options_check(gm_tape_context(tape), op->name, &o, sizeof o, options);
    gm_fused fused;
    if (!s) s = gm_fused_make(&fused, gm_tape_context(tape), op->name, activation, slope);
    if (s) return gm_tape_stick(tape, s);
    gm_conv_attr attr = {
        { { o.stride_h, o.stride_w },
          { o.padding_h, o.padding_w },
          { o.dilation_h, o.dilation_w },
          o.groups },
        { 0, 0 },
        { 0, 0 },
        fused.kind,
        fused.slope,
    };
    if (op == &gm_op_conv_transpose2d) {
        attr.output_padding[0] = o.output_padding_h;
        attr.output_padding[1] = o.output_padding_w;
    } else if (o.output_padding_h || o.output_padding_w) {
        return gm_tape_fail(tape, GM_E_INVALID,
                            "conv2d: output padding is for transposed convolutions, expected 0");
    }
    gm_var y = gm_record(tape, op, inputs, bias.recording ? 3 : 2, &attr, sizeof attr);
    return gm_fused_finish(&fused, tape, y);
}

gm_var gm_conv2d(gm_tape *tape, gm_var x, gm_var weight, gm_var bias,
                 const gm_conv_options *options, int32_t activation, double slope)
{
    return record(tape, &gm_op_conv2d, x, weight, bias, options, activation, slope);
}

gm_var gm_conv_transpose2d(gm_tape *tape, gm_var x, gm_var weight, gm_var bias,
                           const gm_conv_options *options, int32_t activation, double slope)
{
    return record(tape, &gm_op_conv_transpose2d, x, weight, bias, options, activation, slope);
}

static gm_var record_sized(gm_tape *tape, const gm_op *op, gm_var a, gm_var b,
                           const gm_conv_geometry *g, const int64_t size[2])
{
    gm_conv_attr attr = { *g, { size[0], size[1] }, { 0, 0 }, GM_UNARY_IDENTITY, 0 };
    return gm_record2(tape, op, a, b, &attr, sizeof attr);
}

gm_var gm_conv2d_sized(gm_tape *tape, gm_var x, gm_var w, const gm_conv_geometry *g,
                       const int64_t size[2])
{
    return record_sized(tape, &gm_op_conv2d, x, w, g, size);
}

gm_var gm_conv_transpose2d_sized(gm_tape *tape, gm_var y, gm_var w, const gm_conv_geometry *g,
                                 const int64_t size[2])
{
    return record_sized(tape, &gm_op_conv_transpose2d, y, w, g, size);
}

gm_var gm_conv2d_weight(gm_tape *tape, gm_var x, gm_var y, const gm_conv_geometry *g,
                        const int64_t kernel[2])
{
    return record_sized(tape, &gm_op_conv2d_weight, x, y, g, kernel);
}
