/* unary.c - functions of each element: one kernel each way, cut over the team. */
#include "autodiff/gradient.h"

typedef struct unary_attr {
    int32_t kind; /* GM_UNARY_* */
    float a, b;
} unary_attr;

static gm_status unary_infer(gm_call *c)
{
    const unary_attr *attr = c->attr;
    float a = attr->a, b = attr->b;
    const char *name = c->op->name;
    if (attr->kind == GM_UNARY_CLAMP) {
        if (!(a <= b))
            return gm_fail(c->ctx, GM_E_INVALID, "%s: low is %g, high is %g, want low <= high",
                           name, (double)a, (double)b);
    } else if (!isfinite(a) || !isfinite(b)) {
        return gm_fail(c->ctx, GM_E_INVALID, "%s: argument is %g, expected a finite float", name,
                       (double)(isfinite(a) ? b : a));
    } else if ((attr->kind == GM_UNARY_LEAKY_RELU || attr->kind == GM_UNARY_ELU) && a < 0) {
        return gm_fail(c->ctx, GM_E_INVALID, "%s: slope is %g, expected 0 or more", name,
                       (double)a);
    }
    gm_infer_same(c);
    return GM_OK;
}

typedef struct unary_job {
    const gm_kernels *k;
    const unary_attr *attr;
    float *out;
    const float *dy, *x, *y;
    int add;
} unary_job;

static void unary_range(void *arg, int64_t begin, int64_t end)
{
    const unary_job *job = arg;
    job->k->unary(job->attr->kind, job->out + begin, job->x + begin, job->attr->a, job->attr->b,
                  end - begin);
}

static gm_status unary_forward(gm_call *c)
{
    unary_job job = { .k = c->k, .attr = c->attr, .out = c->out->value, .x = c->in[0]->value };
    gm_team_range(c->team, c->out->count, GM_GRAIN, unary_range, &job);
    return GM_OK;
}

static void unary_grad_range(void *arg, int64_t begin, int64_t end)
{
    const unary_job *job = arg;
    job->k->unary_grad(job->attr->kind, job->out + begin, job->dy + begin, job->x + begin,
                       job->y + begin, job->attr->a, job->attr->b, end - begin, job->add);
}

static void unary_backward(gm_call *c)
{
    if (!c->grad[0]) return;
    unary_job job = { c->k,          c->attr,  c->grad[0], c->out->grad, c->in[0]->value,
                      c->out->value, c->add[0] };
    gm_team_range(c->team, c->out->count, GM_GRAIN, unary_grad_range, &job);
}

/* f'(x) where it is piecewise constant: the backward kernel's answer to a gradient of 1, so that
 * both ways agree at the kinks. Its own derivative is 0. */
static void slope_range(void *arg, int64_t begin, int64_t end)
{
    const unary_job *job = arg;
    float *out = job->out + begin;
    const float *x = job->x + begin;
    job->k->fill(out, 1, end - begin);
    job->k->unary_grad(job->attr->kind, out, out, x, x, job->attr->a, job->attr->b, end - begin, 0);
}

static gm_status slope_forward(gm_call *c)
{
    unary_job job = { .k = c->k, .attr = c->attr, .out = c->out->value, .x = c->in[0]->value };
    gm_team_range(c->team, c->out->count, GM_GRAIN, slope_range, &job);
    return GM_OK;
}

const gm_op gm_op_slope = { "slope", 1, unary_infer, slope_forward, NULL, NULL };

gm_var gm_slope(gm_tape *tape, gm_var x, int32_t kind, float a, float b)
{
    unary_attr attr = { kind, a, b };
    return gm_record1(tape, &gm_op_slope, x, &attr, sizeof attr);
}

gm_var gm_chain_activation(gm_tape *tape, int32_t kind, float a, gm_var y, gm_var dy)
{
    gm_var slope;
    switch (kind) {
    case GM_UNARY_IDENTITY:
        return dy;
    case GM_UNARY_TANH: /* 1 - y^2 */
        slope = gm_shift(tape, gm_neg(tape, gm_square(tape, y)), 1);
        break;
    case GM_UNARY_SIGMOID: /* y (1 - y) */
        slope = gm_mul(tape, y, gm_shift(tape, gm_neg(tape, y), 1));
        break;
    case GM_UNARY_ELU: /* 1 above; a e^x = a + y below, and y has the sign of x */
        slope = gm_add(tape, gm_slope(tape, y, GM_UNARY_LEAKY_RELU, a, 0),
                       gm_clamp(tape, y, -(double)INFINITY, 0));
        break;
    default:
        slope = gm_slope(tape, y, kind, a, 0);
        break;
    }
    return gm_mul(tape, dy, slope);
}

/* 1 / (2 y), and 0 where y is 0: there the divisor is 1 and the numerator is masked. */
static gm_var sqrt_gradient(gm_tape *tape, gm_var y, gm_var dy)
{
    gm_var above = gm_slope(tape, y, GM_UNARY_RELU, 0, 0);
    gm_var divisor = gm_add(tape, y, gm_shift(tape, gm_neg(tape, above), 1));
    return gm_scale(tape, gm_div(tape, gm_mul(tape, dy, above), divisor), 0.5);
}

static void unary_gradient(gm_chain *c)
{
    const unary_attr *attr = c->node->attr;
    gm_tape *t = c->tape;
    gm_var x = c->in[0], y = c->out, dy = c->dy, *dx = &c->din[0];
    switch (attr->kind) {
    case GM_UNARY_NEG:
        *dx = gm_neg(t, dy);
        break;
    case GM_UNARY_SCALE: /* shift is one with a = 1 */
        *dx = c->node->op == &gm_op_shift ? dy : gm_scale(t, dy, (double)attr->a);
        break;
    case GM_UNARY_SQUARE:
        *dx = gm_scale(t, gm_mul(t, x, dy), 2);
        break;
    case GM_UNARY_SQRT:
        *dx = sqrt_gradient(t, y, dy);
        break;
    case GM_UNARY_EXP:
        *dx = gm_mul(t, dy, y);
        break;
    case GM_UNARY_LOG:
        *dx = gm_div(t, dy, x);
        break;
    case GM_UNARY_SOFTPLUS:
        *dx = gm_mul(t, dy, gm_sigmoid(t, x));
        break;
    case GM_UNARY_ABS:
    case GM_UNARY_CLAMP:
        *dx = gm_mul(t, dy, gm_slope(t, x, attr->kind, attr->a, attr->b));
        break;
    default:
        *dx = gm_chain_activation(t, attr->kind, attr->a, y, dy);
        break;
    }
}

#define UNARY_OP(word)                                                                             \
    const gm_op gm_op_##word = { #word,         1, unary_infer, unary_forward, unary_backward,     \
                                 unary_gradient }

UNARY_OP(neg);
UNARY_OP(scale);
UNARY_OP(shift);
UNARY_OP(square);
UNARY_OP(sqrt);
UNARY_OP(abs);
UNARY_OP(exp);
UNARY_OP(log);
UNARY_OP(relu);
UNARY_OP(leaky_relu);
UNARY_OP(elu);
UNARY_OP(tanh);
UNARY_OP(sigmoid);
UNARY_OP(softplus);
UNARY_OP(clamp);

static gm_var unary(gm_tape *tape, const gm_op *op, gm_var x, int32_t kind, double a, double b)
{
    unary_attr attr = { kind, (float)a, (float)b };
    return gm_record1(tape, op, x, &attr, sizeof attr);
}

gm_var gm_neg(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_neg, a, GM_UNARY_NEG, 0, 0);
}

gm_var gm_scale(gm_tape *tape, gm_var a, double factor)
{
    return unary(tape, &gm_op_scale, a, GM_UNARY_SCALE, factor, 0);
}

gm_var gm_shift(gm_tape *tape, gm_var a, double amount)
{
    return unary(tape, &gm_op_shift, a, GM_UNARY_SCALE, 1, amount);
}

gm_var gm_square(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_square, a, GM_UNARY_SQUARE, 0, 0);
}

gm_var gm_sqrt(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_sqrt, a, GM_UNARY_SQRT, 0, 0);
}

gm_var gm_abs(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_abs, a, GM_UNARY_ABS, 0, 0);
}

gm_var gm_exp(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_exp, a, GM_UNARY_EXP, 0, 0);
}

gm_var gm_log(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_log, a, GM_UNARY_LOG, 0, 0);
}

gm_var gm_relu(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_relu, a, GM_UNARY_RELU, 0, 0);
}

gm_var gm_leaky_relu(gm_tape *tape, gm_var a, double slope)
{
    return unary(tape, &gm_op_leaky_relu, a, GM_UNARY_LEAKY_RELU, slope, 0);
}

gm_var gm_elu(gm_tape *tape, gm_var a, double alpha)
{
    return unary(tape, &gm_op_elu, a, GM_UNARY_ELU, alpha, 0);
}

gm_var gm_tanh(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_tanh, a, GM_UNARY_TANH, 0, 0);
}

gm_var gm_sigmoid(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_sigmoid, a, GM_UNARY_SIGMOID, 0, 0);
}

gm_var gm_softplus(gm_tape *tape, gm_var a)
{
    return unary(tape, &gm_op_softplus, a, GM_UNARY_SOFTPLUS, 0, 0);
}

gm_var gm_clamp(gm_tape *tape, gm_var a, double low, double high)
{
    return unary(tape, &gm_op_clamp, a, GM_UNARY_CLAMP, low, high);
}

int32_t gm_activation_unary(int32_t activation)
{
    switch (activation) {
    case GM_ACTIVATION_NONE:
        return GM_UNARY_IDENTITY;
    case GM_ACTIVATION_RELU:
        return GM_UNARY_RELU;
    case GM_ACTIVATION_LEAKY_RELU:
        return GM_UNARY_LEAKY_RELU;
    case GM_ACTIVATION_ELU:
        return GM_UNARY_ELU;
    case GM_ACTIVATION_TANH:
        return GM_UNARY_TANH;
    case GM_ACTIVATION_SIGMOID:
        return GM_UNARY_SIGMOID;
    case GM_ACTIVATION_SOFTPLUS:
        return GM_UNARY_SOFTPLUS;
    default:
        return -1;
    }
}

gm_status gm_activation_check(gm_context *ctx, const char *name, int32_t activation, float slope)
{
    if (gm_activation_unary(activation) < 0)
        return gm_fail(ctx, GM_E_INVALID, "%s: activation %d is unknown", name, (int)activation);
    int sloped = activation == GM_ACTIVATION_LEAKY_RELU || activation == GM_ACTIVATION_ELU;
    if (sloped && !(slope >= 0 && isfinite(slope)))
        return gm_fail(ctx, GM_E_INVALID, "%s: slope is %g, expected 0 or more", name,
                       (double)slope);
    return GM_OK;
}

gm_var gm_activate(gm_tape *tape, gm_var a, int32_t activation, double slope)
{
    switch (activation) {
    case GM_ACTIVATION_RELU:
        return gm_relu(tape, a);
    case GM_ACTIVATION_LEAKY_RELU:
        return gm_leaky_relu(tape, a, slope);
    case GM_ACTIVATION_ELU:
        return gm_elu(tape, a, slope);
    case GM_ACTIVATION_TANH:
        return gm_tanh(tape, a);
    case GM_ACTIVATION_SIGMOID:
        return gm_sigmoid(tape, a);
    case GM_ACTIVATION_SOFTPLUS:
        return gm_softplus(tape, a);
    default:
        break;
    }
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_status s = gm_activation_check(gm_tape_context(tape), "activate", activation, (float)slope);
    if (s) return gm_tape_stick(tape, s);
    return gm_tape_node(tape, a) ? a : GM_NO_VAR;
}
