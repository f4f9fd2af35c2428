/* masked_linear.c - the linear layer whose weight is masked by degrees.
 *
 * Outputs (backward also inputs) are cut into panels. Where the other side's degrees ascend, a
 * panel needs a beginning of the inputs whole, none of their end, and between the two a block in
 * which the mask matters: only that block is copied with zeros. With ascending degrees on both
 * sides this leaves (panels + 1) / (2 panels) of the full product; with others all of the weight is
 * such a block, and the result is the same.
 */
#include "autodiff/activation.h"
#include "autodiff/ops/ops.h"
#include "base/options.h"
#include "gm/mask.h"

#define PANELS 8
#define NARROWEST 64 /* rows or columns of a panel; narrower ones cost BLAS more than they save */
#define OWN_PANEL                                                                                  \
    16 /* the library's own product is indifferent to it, and blocks are small then                \
        */

enum { X, WEIGHT, OUT_DEGREES, IN_DEGREES, BIAS };

typedef struct masked_attr {
    int32_t strict;
    int32_t kind; /* GM_UNARY_*; its derivative is taken from its result */
    float slope;
} masked_attr;

typedef struct masked_job {
    gm_call *c;
    const masked_attr *attr;
    int64_t rows, out, in;
    const float *out_degrees, *in_degrees;
    int out_ascends, in_ascends;
    int64_t size, panels; /* of the side that is cut */
    int64_t block;        /* floats of the largest block */
    float *work;          /* one block for each panel */
} masked_job;

typedef struct span {
    int64_t begin, end;
} span;

/* In whole numbers, strictly above d is at least d + 1/2. */
static float limit_of(const masked_job *j, int64_t o)
{
    return j->out_degrees[o] - (j->attr->strict ? 0.5f : 0.0f);
}

static int ascends(const float *degrees, int64_t n)
{
    int yes = 1;
    for (int64_t i = 1; i < n; i++) yes &= degrees[i] >= degrees[i - 1];
    return yes;
}

/* How many of the ascending degrees are at most (or, strict, below) `limit`, from `begin` on. */
static int64_t reach(const float *degrees, int64_t begin, int64_t n, float limit, int strict)
{
    while (begin < n) {
        const int64_t middle = begin + (n - begin) / 2;
        if (strict ? degrees[middle] < limit : degrees[middle] <= limit)
            begin = middle + 1;
        else
            n = middle;
    }
    return begin;
}

static void cut(masked_job *j, int64_t n)
{
    j->size = (n + PANELS - 1) / PANELS;
    j->size = j->size < NARROWEST ? NARROWEST : (j->size + 15) / 16 * 16;
    if (j->c->k->own_products) j->size = OWN_PANEL;
    j->panels = (n + j->size - 1) / j->size;
}

static span panel(const masked_job *j, int64_t p, int64_t n)
{
    span s = { p * j->size, (p + 1) * j->size < n ? (p + 1) * j->size : n };
    return s;
}

/* Of the inputs, outputs [p.begin, p.end) see those before `begin` whole, and none from `end` on.
 */
static span block_of_outputs(const masked_job *j, span p)
{
    span s = { 0, j->in };
    if (!j->in_ascends) return s;
    float low = limit_of(j, p.begin), high = low;
    for (int64_t o = p.begin + 1; o < p.end; o++) {
        const float d = limit_of(j, o);
        low = d < low ? d : low;
        high = d > high ? d : high;
    }
    s.begin = reach(j->in_degrees, 0, j->in, low, 0);
    s.end = reach(j->in_degrees, s.begin, j->in, high, 0);
    return s;
}

/* Of the outputs, none before `begin` sees inputs [p.begin, p.end), and all from `end` on see them
 * whole. */
static span block_of_inputs(const masked_job *j, span p)
{
    span s = { 0, j->out };
    if (!j->out_ascends) return s;
    float low = j->in_degrees[p.begin], high = low;
    for (int64_t i = p.begin + 1; i < p.end; i++) {
        const float d = j->in_degrees[i];
        low = d < low ? d : low;
        high = d > high ? d : high;
    }
    const float shift = j->attr->strict ? 0.5f : 0.0f;
    s.begin = reach(j->out_degrees, 0, j->out, low + shift, 1);
    s.end = reach(j->out_degrees, s.begin, j->out, high + shift, 1);
    return s;
}

static masked_job job_of(gm_call *c, int cut_inputs)
{
    const gm_node *x = c->in[X], *w = c->in[WEIGHT];
    masked_job j = { .c = c, .attr = c->attr, .out = w->shape[0], .in = w->shape[1] };
    j.rows = gm_sizes_product(x->shape, x->rank - 1);
    j.out_degrees = c->in[OUT_DEGREES]->value;
    j.in_degrees = c->in[IN_DEGREES]->value;
    j.out_ascends = ascends(j.out_degrees, j.out);
    j.in_ascends = ascends(j.in_degrees, j.in);
    const int64_t n = cut_inputs ? j.in : j.out;
    cut(&j, n);
    for (int64_t p = 0; p < j.panels; p++) {
        const span s = panel(&j, p, n),
                   b = cut_inputs ? block_of_inputs(&j, s) : block_of_outputs(&j, s);
        const int64_t floats = (s.end - s.begin) * (b.end - b.begin);
        j.block = floats > j.block ? floats : j.block;
    }
    j.work = c->tape->work;
    return j;
}

static gm_status masked_infer(gm_call *c)
{
    const gm_node *x = c->in[X], *w = c->in[WEIGHT];
    if (c->inputs < 4 || c->inputs > 5)
        return gm_fail(c->ctx, GM_E_INTERNAL, "masked_linear: %d inputs", (int)c->inputs);
    if (w->rank != 2 || x->rank < 1 || w->count < 1)
        return gm_fail_shapes(c, "input", x, "weight", w, ", expected [..., in] and [out, in]");
    if (x->shape[x->rank - 1] != w->shape[1])
        return gm_fail_shapes(c, "input", x, "weight", w, ": its columns differ");
    for (int i = OUT_DEGREES; i < c->inputs; i++) {
        const gm_node *d = c->in[i];
        if (d->rank != 1 || d->shape[0] != w->shape[i == IN_DEGREES])
            return gm_fail_shapes(c,
                                  i == BIAS         ? "bias"
                                  : i == IN_DEGREES ? "degrees of inputs"
                                                    : "degrees of outputs",
                                  d, "weight", w, ", expected one value for each");
    }
    gm_infer_same(c);
    c->out->shape[x->rank - 1] = w->shape[0];
    const masked_job a = job_of(c, 0);
    const int64_t one = a.panels * a.block;
    int64_t other = 0;
    if (c->tape->mode != GM_TAPE_CONSTANT) { /* there may be a way back */
        const masked_job b = job_of(c, 1);
        other = b.panels * b.block;
    }
    /* Each is at most the weight and its rounding, so nothing overflows. */
    return gm_tape_reserve(c->tape, c->op->name,
                           (size_t)(one > other ? one : other) * sizeof(float));
}

static void masked_forward_panel(void *arg, int64_t shard)
{
    masked_job *j = arg;
    const gm_call *c = j->c;
    const int64_t which = j->panels - 1 - shard; /* the longest first */
    const span p = panel(j, which, j->out), b = block_of_outputs(j, p);
    const int64_t n = p.end - p.begin, wide = b.end - b.begin;
    const float *x = c->in[X]->value, *w = c->in[WEIGHT]->value + p.begin * j->in;
    float *y = c->out->value + p.begin, *block = j->work + which * j->block;
    if (b.begin || !wide)
        gm_gemm_serial(c->k, 0, 1, j->rows, n, b.begin, 1, x, j->in, w, j->in, 0, y, j->out);
    if (wide) {
        for (int64_t o = 0; o < n; o++)
            c->k->mask_below(block + o * wide, w + o * j->in + b.begin, j->in_degrees + b.begin,
                             limit_of(j, p.begin + o), wide);
        gm_gemm_serial(c->k, 0, 1, j->rows, n, wide, 1, x + b.begin, j->in, block, wide,
                       b.begin ? 1 : 0, y, j->out);
    }
    const float *bias = c->inputs > BIAS ? c->in[BIAS]->value + p.begin : NULL;
    if (bias || j->attr->kind != GM_UNARY_IDENTITY)
        c->k->add_bias(y, bias, j->rows, n, j->out, j->attr->kind, j->attr->slope);
}

static gm_status masked_forward(gm_call *c)
{
    if (!c->out->count) return GM_OK;
    masked_job j = job_of(c, 0);
    gm_team_run(c->team, j.panels, masked_forward_panel, &j);
    return GM_OK;
}

static void masked_input_panel(void *arg, int64_t shard)
{
    masked_job *j = arg;
    const gm_call *c = j->c;
    const span p = panel(j, shard, j->in), b = block_of_inputs(j, p); /* the first has most */
    const int64_t n = p.end - p.begin, high = b.end - b.begin, whole = j->out - b.end;
    const float *dy = c->out->grad, *w = c->in[WEIGHT]->value + p.begin;
    float *dx = c->grad[X] + p.begin, *block = j->work + shard * j->block;
    float beta = c->add[X] ? 1 : 0;
    if (whole || !high) {
        gm_gemm_serial(c->k, 0, 0, j->rows, n, whole, 1, dy + b.end, j->out, w + b.end * j->in,
                       j->in, beta, dx, j->in);
        beta = 1;
    }
    if (!high) return;
    for (int64_t o = 0; o < high; o++)
        c->k->mask_below(block + o * n, w + (b.begin + o) * j->in, j->in_degrees + p.begin,
                         limit_of(j, b.begin + o), n);
    gm_gemm_serial(c->k, 0, 0, j->rows, n, high, 1, dy + b.begin, j->out, block, n, beta, dx,
                   j->in);
}

static void masked_weight_panel(void *arg, int64_t shard)
{
    masked_job *j = arg;
    const gm_call *c = j->c;
    const int64_t which = j->panels - 1 - shard;
    const span p = panel(j, which, j->out), b = block_of_outputs(j, p);
    const int64_t n = p.end - p.begin, wide = b.end - b.begin;
    const int add = c->add[WEIGHT];
    const float *dy = c->out->grad + p.begin, *x = c->in[X]->value;
    float *dw = c->grad[WEIGHT] + p.begin * j->in, *block = j->work + which * j->block;
    if (add) {
        if (b.begin)
            gm_gemm_serial(c->k, 1, 0, n, b.begin, j->rows, 1, dy, j->out, x, j->in, 1, dw, j->in);
        if (wide)
            gm_gemm_serial(c->k, 1, 0, n, wide, j->rows, 1, dy, j->out, x + b.begin, j->in, 0,
                           block, wide);
    } else if (b.end) {
        gm_gemm_serial(c->k, 1, 0, n, b.end, j->rows, 1, dy, j->out, x, j->in, 0, dw, j->in);
    }
    for (int64_t o = 0; o < n; o++) {
        float *row = dw + o * j->in, *part = add ? block + o * wide : row + b.begin;
        c->k->mask_below(part, part, j->in_degrees + b.begin, limit_of(j, p.begin + o), wide);
        if (add)
            c->k->accumulate(row + b.begin, part, wide, 1);
        else
            c->k->fill(row + b.end, 0, j->in - b.end);
    }
}

/* The gradient before the activation, in place. */
static void masked_act_range(void *arg, int64_t begin, int64_t end)
{
    const masked_job *j = arg;
    float *dy = j->c->out->grad + begin;
    const float *y = j->c->out->value + begin;
    j->c->k->unary_grad(j->attr->kind, dy, dy, y, y, j->attr->slope, 0, end - begin, 0);
}

static void masked_bias_range(void *arg, int64_t begin, int64_t end)
{
    const masked_job *j = arg;
    j->c->k->column_sums(j->c->grad[BIAS] + begin, j->c->out->grad + begin, j->rows, end - begin,
                         j->out, j->c->add[BIAS]);
}

static void masked_backward(gm_call *c)
{
    masked_job j = job_of(c, 0);
    if (j.attr->kind != GM_UNARY_IDENTITY)
        gm_team_range(c->team, c->out->count, GM_GRAIN, masked_act_range, &j);
    /* In the order of the inputs: when one variable is both, the second adds. */
    if (c->grad[X] && j.rows) {
        masked_job across = job_of(c, 1);
        gm_team_run(c->team, across.panels, masked_input_panel, &across);
    }
    if (c->grad[WEIGHT]) gm_team_run(c->team, j.panels, masked_weight_panel, &j);
    for (int i = OUT_DEGREES; i <= IN_DEGREES; i++)
        if (c->grad[i] && !c->add[i]) gm_fill_over(c, c->grad[i], 0, c->in[i]->count);
    if (c->inputs > BIAS && c->grad[BIAS]) {
        const int64_t columns = gm_grain_rows(j.rows) / 16 * 16;
        gm_team_range(c->team, j.out, columns < 64 ? 64 : columns, masked_bias_range, &j);
    }
}

const gm_op gm_op_masked_linear = { "masked_linear", -1,  masked_infer, masked_forward,
                                    masked_backward, NULL };

gm_var gm_masked_linear(gm_tape *tape, gm_var x, gm_var weight, gm_var bias, gm_var out_degrees,
                        gm_var in_degrees, const gm_masked_linear_options *options)
{
    const gm_var inputs[5] = { x, weight, out_degrees, in_degrees, bias };
    gm_fused fused;
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_masked_linear_options o = GM_MASKED_LINEAR_OPTIONS_INIT;
    gm_context *ctx = gm_tape_context(tape);
    gm_status s = gm_options_check(ctx, "masked_linear", &o, sizeof o, options);
    if (!s) s = gm_fused_make(&fused, ctx, "masked_linear", o.activation, o.slope);
    if (s) return gm_tape_stick(tape, s);
    masked_attr attr = { o.strict != 0, fused.kind, fused.slope };
    gm_var y =
        gm_record(tape, &gm_op_masked_linear, inputs, bias.recording ? 5 : 4, &attr, sizeof attr);
    return gm_fused_finish(&fused, tape, y);
}
