/* unary.c - functions of each element: one kernel each way, cut over the team. */
#include "autodiff/activation.h"

/* One of an activation: "slope", at least 0. */
static int has_parameter(int32_t kind)
{
#define CASE(WORD, word, parameter, from_result, formula)                                          \
    case GM_UNARY_##WORD:                                                                          \
        return parameter;
    switch (kind) {
        GM_ACTIVATION_TABLE(CASE)
    default:
        return 0;
    }
#undef CASE
}

static gm_status unary_infer(gm_call *c)
{
    const gm_unary_attr *attr = c->attr;
    float a = attr->a, b = attr->b;
    const char *name = c->op->name;
    if (attr->kind == GM_UNARY_CLAMP) {
        if (!(a <= b))
            return gm_fail(c->ctx, GM_E_INVALID, "%s: low is %g, high is %g, expected low <= high",
                           name, (double)a, (double)b);
    } else if (!isfinite(a) || !isfinite(b)) {
        return gm_fail(c->ctx, GM_E_INVALID, "%s: argument is %g, expected a finite float", name,
                       (double)(isfinite(a) ? b : a));
    } else if (has_parameter(attr->kind) && a < 0) {
        return gm_fail(c->ctx, GM_E_INVALID, "%s: slope is %g, expected at least 0", name,
                       (double)a);
    }
    gm_infer_same(c);
    return GM_OK;
}

typedef struct unary_job {
    const gm_kernels *k;
    const gm_unary_attr *attr;
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

/* f'(x) where it is piecewise constant: the backward kernel's result for a gradient of 1, so that
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
    gm_unary_attr attr = { kind, a, b };
    return gm_record1(tape, &gm_op_slope, x, &attr, sizeof attr);
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
    const gm_unary_attr *attr = c->node->attr;
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
    case GM_UNARY_NORMAL_CDF:
        *dx = gm_mul(t, dy, gm_normal_density_of(t, x));
        break;
    case GM_UNARY_SIN:
        *dx = gm_mul(t, dy, gm_cos(t, x));
        break;
    case GM_UNARY_COS:
        *dx = gm_neg(t, gm_mul(t, dy, gm_sin(t, x)));
        break;
    case GM_UNARY_POW: /* b x^(b - 1); x^0 is 1 everywhere */
        *dx = attr->a == 0
                  ? gm_scale(t, dy, 0)
                  : gm_scale(t, gm_mul(t, dy, gm_pow(t, x, (double)attr->a - 1)), (double)attr->a);
        break;
    case GM_UNARY_ABS:
    case GM_UNARY_CLAMP:
        *dx = gm_mul(t, dy, gm_slope(t, x, attr->kind, attr->a, attr->b));
        break;
    default:
        *dx = gm_mul(t, dy, gm_activation_slope(t, attr->kind, attr->a, x, y));
        break;
    }
}

#define UNARY_OP(word)                                                                             \
    const gm_op gm_op_##word = { #word,         1, unary_infer, unary_forward, unary_backward,     \
                                 unary_gradient }

UNARY_OP(scale);
UNARY_OP(shift);
UNARY_OP(clamp);
UNARY_OP(pow);

#define TABLE_OP(WORD, word) UNARY_OP(word);
GM_UNARY_TABLE(TABLE_OP)

#define ACTIVATION_OP(WORD, word, parameter, from_result, formula) UNARY_OP(word);
GM_ACTIVATION_TABLE(ACTIVATION_OP)

static gm_var unary(gm_tape *tape, const gm_op *op, gm_var x, int32_t kind, double a, double b)
{
    gm_unary_attr attr = { kind, (float)a, (float)b };
    return gm_record1(tape, op, x, &attr, sizeof attr);
}

gm_var gm_scale(gm_tape *tape, gm_var a, double factor)
{
    return unary(tape, &gm_op_scale, a, GM_UNARY_SCALE, factor, 0);
}

gm_var gm_shift(gm_tape *tape, gm_var a, double amount)
{
    return unary(tape, &gm_op_shift, a, GM_UNARY_SCALE, 1, amount);
}

gm_var gm_clamp(gm_tape *tape, gm_var a, double low, double high)
{
    return unary(tape, &gm_op_clamp, a, GM_UNARY_CLAMP, low, high);
}

gm_var gm_pow(gm_tape *tape, gm_var a, double exponent)
{
    return unary(tape, &gm_op_pow, a, GM_UNARY_POW, exponent, 0);
}

#define FUNCTION_0(WORD, word)                                                                     \
    gm_var gm_##word(gm_tape *tape, gm_var a)                                                      \
    {                                                                                              \
        return unary(tape, &gm_op_##word, a, GM_UNARY_##WORD, 0, 0);                               \
    }
#define FUNCTION_1(WORD, word)                                                                     \
    gm_var gm_##word(gm_tape *tape, gm_var a, double slope)                                        \
    {                                                                                              \
        return unary(tape, &gm_op_##word, a, GM_UNARY_##WORD, slope, 0);                           \
    }
#define FUNCTION(WORD, word, parameter, from_result, formula) FUNCTION_##parameter(WORD, word)
GM_ACTIVATION_TABLE(FUNCTION)
GM_UNARY_TABLE(FUNCTION_0)
