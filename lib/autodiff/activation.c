/* activation.c - activations by number and by name, from the one table. */
#include "autodiff/activation.h"

#define ROW(WORD, word, parameter, from_result, formula)                                           \
    { GM_ACTIVATION_##WORD, GM_UNARY_##WORD, #word, &gm_op_##word, parameter, from_result },
static const gm_activation_row rows[] = { GM_ACTIVATION_TABLE(ROW) };
#undef ROW

const gm_activation_row *gm_activation_find(int32_t activation)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].activation == activation) return &rows[i];
    return NULL;
}

const char *gm_activation_name(int32_t activation)
{
    const gm_activation_row *row = gm_activation_find(activation);
    return row ? row->name : activation == GM_ACTIVATION_NONE ? "none" : NULL;
}

int32_t gm_activation_number(const char *name)
{
    for (size_t i = 0; name && i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name)) return rows[i].activation;
    return name && !strcmp(name, "none") ? GM_ACTIVATION_NONE : -1;
}

double gm_activation_value(int32_t activation, double slope, double x)
{
    const gm_activation_row *row = gm_activation_find(activation);
    float y = (float)x;
    if (row)
        gm_kernels_choose("baseline")->unary(row->kind, &y, &y, (float)slope, 0, 1);
    else if (activation != GM_ACTIVATION_NONE)
        y = NAN;
    return (double)y;
}

gm_status gm_fused_make(gm_fused *fused, gm_context *ctx, const char *name, int32_t activation,
                        double slope)
{
    const gm_activation_row *row = gm_activation_find(activation);
    if (!row && activation != GM_ACTIVATION_NONE)
        return gm_fail(ctx, GM_E_INVALID, "%s: activation is %d, expected one of GM_ACTIVATION_*",
                       name, (int)activation);
    const float a = (float)slope;
    if (row && row->parameter && !(a >= 0 && isfinite(a)))
        return gm_fail(ctx, GM_E_INVALID, "%s: slope is %g, expected at least 0", name, (double)a);
    fused->kind = row && row->from_result ? row->kind : GM_UNARY_IDENTITY;
    fused->slope = row && row->parameter ? a : 0;
    fused->after = row && !row->from_result ? row : NULL;
    return GM_OK;
}

static gm_var record(gm_tape *tape, const gm_activation_row *row, gm_var x, double slope)
{
    const gm_unary_attr attr = { row->kind, row->parameter ? (float)slope : 0, 0 };
    return gm_record1(tape, row->op, x, &attr, sizeof attr);
}

gm_var gm_fused_finish(const gm_fused *fused, gm_tape *tape, gm_var y)
{
    return fused->after ? record(tape, fused->after, y, (double)fused->slope) : y;
}

gm_var gm_activate(gm_tape *tape, gm_var a, int32_t activation, double slope)
{
    const gm_activation_row *row = gm_activation_find(activation);
    if (row) return record(tape, row, a, slope);
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    if (activation != GM_ACTIVATION_NONE)
        return gm_tape_stick(tape,
                             gm_fail(gm_tape_context(tape), GM_E_INVALID,
                                     "activate: activation is %d, expected one of GM_ACTIVATION_*",
                                     (int)activation));
    return gm_tape_node(tape, a) ? a : GM_NO_VAR;
}

gm_var gm_normal_density_of(gm_tape *t, gm_var x)
{
    return gm_scale(t, gm_exp(t, gm_scale(t, gm_square(t, x), -0.5)), 0.39894228040143267794);
}

/* s + x s (1 - s) */
static gm_var silu_slope(gm_tape *t, gm_var x)
{
    gm_var s = gm_sigmoid(t, x), both = gm_mul(t, s, gm_sigmoid(t, gm_neg(t, x)));
    return gm_add(t, s, gm_mul(t, x, both));
}

/* With u = 2 sqrt(2 / pi) (x + 0.044715 x^3), x sigmoid(u): s + x u' s (1 - s) */
static gm_var gelu_tanh_slope(gm_tape *t, gm_var x)
{
    const double c = 1.59576912160573071176, d = 0.044715;
    gm_var square = gm_square(t, x);
    gm_var u = gm_mul(t, x, gm_shift(t, gm_scale(t, square, c * d), c));
    gm_var slope = gm_shift(t, gm_scale(t, square, 3 * c * d), c);
    gm_var s = gm_sigmoid(t, u), both = gm_mul(t, s, gm_sigmoid(t, gm_neg(t, u)));
    return gm_add(t, s, gm_mul(t, gm_mul(t, x, slope), both));
}

gm_var gm_activation_slope(gm_tape *t, int32_t kind, float a, gm_var x, gm_var y)
{
    switch (kind) {
    case GM_UNARY_TANH: /* 1 - y^2 */
        return gm_shift(t, gm_neg(t, gm_square(t, y)), 1);
    case GM_UNARY_SIGMOID: /* y (1 - y) */
        return gm_mul(t, y, gm_shift(t, gm_neg(t, y), 1));
    case GM_UNARY_ELU: /* 1 above; a e^x = a + y below, and y has the sign of x */
        return gm_add(t, gm_slope(t, y, GM_UNARY_LEAKY_RELU, a, 0),
                      gm_clamp(t, y, -(double)INFINITY, 0));
    case GM_UNARY_SOFTPLUS:
        return gm_sigmoid(t, x);
    case GM_UNARY_SILU:
        return silu_slope(t, x);
    case GM_UNARY_GELU: /* P(x) + x p(x) */
        return gm_add(t, gm_normal_cdf(t, x), gm_mul(t, x, gm_normal_density_of(t, x)));
    case GM_UNARY_GELU_TANH:
        return gelu_tanh_slope(t, x);
    default: /* piecewise linear, the same at x as at y */
        return gm_slope(t, y, kind, a, 0);
    }
}

gm_var gm_chain_activation(gm_tape *tape, int32_t kind, float a, gm_var y, gm_var dy)
{
    if (kind == GM_UNARY_IDENTITY) return dy;
    return gm_mul(tape, dy, gm_activation_slope(tape, kind, a, GM_NO_VAR, y));
}
