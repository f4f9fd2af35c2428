/* ops_triangular.c - the linear layer whose weight is block lower triangular: each position sees the ones before it.
 *
 * Positions are cut into blocks. A block of outputs needs the inputs of the blocks before it, a plain product, and of
 * its own block, where a copy of the weight with zeros above the diagonal is used: so nothing is computed that the mask would
 * cut away but for half of the blocks on the diagonal, and what stands above the diagonal of the weight is never seen.
 */
#include "autodiff/ops.h"

/* Blocks a weight is cut into: the products are then (BLOCKS + 1) / 2 BLOCKS of the full one. */
#define BLOCKS 8
#define NARROWEST 96 /* rows or columns of a block; narrower ones cost BLAS more than they save */

typedef struct triangular_attr {
    int64_t positions;
    int32_t diagonal; /* 1: a position sees itself */
    int32_t kind;     /* GM_UNARY_*; its derivative is taken from its result */
    float slope;
} triangular_attr;

typedef struct triangular {
    const gm_call *c;
    int64_t rows, positions, a, b; /* a inputs and b outputs a position */
    int64_t size, blocks;          /* positions of a block */
    float *scratch;                /* one diagonal block for each block: of the weight, or of its gradient */
} triangular;

static int64_t block_size(int64_t positions, int64_t a, int64_t b)
{
    const int64_t wide = a > b ? a : b;
    const int64_t size = (positions + BLOCKS - 1) / BLOCKS, least = (NARROWEST + wide - 1) / wide;
    const int64_t wanted = size > least ? size : least;
    return wanted < positions ? wanted : positions;
}

static triangular sizes_of(const gm_call *c)
{
    const triangular_attr *attr = c->attr;
    const gm_node *x = c->in[0], *w = c->in[1];
    triangular t = { c, x->shape[0], attr->positions, 0, 0, 0, 0, NULL };
    t.a = w->shape[1] / t.positions;
    t.b = w->shape[0] / t.positions;
    t.size = block_size(t.positions, t.a, t.b);
    t.blocks = (t.positions + t.size - 1) / t.size;
    return t;
}

static gm_status triangular_infer(gm_call *c)
{
    const triangular_attr *attr = c->attr;
    const gm_node *x = c->in[0], *w = c->in[1];
    if (c->inputs < 2 || c->inputs > 3)
        return gm_fail(c->ctx, GM_E_INTERNAL, "%s: %d inputs", c->op->name, (int)c->inputs);
    if (w->rank != 2 || x->rank != 2 || x->shape[1] != w->shape[1])
        return gm_fail_shapes(c, "input", x, "weight", w, ", wants [n, in] and [out, in]");
    if (w->count < 1 || w->shape[0] % attr->positions || w->shape[1] % attr->positions) {
        char text[GM_SHAPE_TEXT];
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: weight is %s, its sizes want to be multiples of %lld positions",
                       c->op->name, gm_shape_text(text, w->rank, w->shape), (long long)attr->positions);
    }
    if (c->inputs == 3 && (c->in[2]->rank != 1 || c->in[2]->shape[0] != w->shape[0]))
        return gm_fail_shapes(c, "bias", c->in[2], "weight", w, ", wants one value for each row");
    gm_infer_same(c);
    c->out->shape[1] = w->shape[0];
    const triangular t = sizes_of(c);
    c->saved = t.blocks * t.size * t.b * t.size * t.a; /* below twice the weight's */
    return gm_tape_reserve(c->tape, c->op->name, (size_t)c->saved * sizeof(float));
}

/* Positions [begin, end) of block i; its diagonal block in the scratch, [(end - begin) b, (end - begin) a]. */
typedef struct block {
    int64_t begin, end, high, wide;
    float *diagonal;
} block;

static block block_at(const triangular *t, int64_t i)
{
    block k = { i * t->size, (i + 1) * t->size, 0, 0, t->scratch + i * t->size * t->b * t->size * t->a };
    if (k.end > t->positions) k.end = t->positions;
    k.high = (k.end - k.begin) * t->b;
    k.wide = (k.end - k.begin) * t->a;
    return k;
}

/* How many columns of its diagonal block row r sees. */
static int64_t seen(const triangular *t, int64_t r)
{
    const triangular_attr *attr = t->c->attr;
    return (r / t->b + (attr->diagonal ? 1 : 0)) * t->a;
}

static void copy_diagonal(void *arg, int64_t i)
{
    const triangular *t = arg;
    const block k = block_at(t, i);
    const int64_t in = t->positions * t->a;
    const float *w = t->c->in[1]->value + k.begin * t->b * in + k.begin * t->a;
    for (int64_t r = 0; r < k.high; r++) {
        const int64_t n = seen(t, r);
        memcpy(k.diagonal + r * k.wide, w + r * in, (size_t)n * sizeof *w);
        memset(k.diagonal + r * k.wide + n, 0, (size_t)(k.wide - n) * sizeof *w);
    }
}

/* Outputs of one block. The last, which is the most work, comes first. */
static void forward_block(void *arg, int64_t shard)
{
    const triangular *t = arg;
    const gm_call *c = t->c;
    const triangular_attr *attr = c->attr;
    const block k = block_at(t, t->blocks - 1 - shard);
    const int64_t in = t->positions * t->a, out = t->positions * t->b;
    const float *x = c->in[0]->value, *w = c->in[1]->value + k.begin * t->b * in;
    float *y = c->out->value + k.begin * t->b;
    gm_gemm_serial(0, 1, t->rows, k.high, k.wide, 1, x + k.begin * t->a, in, k.diagonal, k.wide, 0, y, out);
    if (k.begin)
        gm_gemm_serial(0, 1, t->rows, k.high, k.begin * t->a, 1, x, in, w, in, 1, y, out);
    c->k->add_bias(y, c->inputs == 3 ? c->in[2]->value + k.begin * t->b : NULL, t->rows, k.high, out,
                   attr->kind, attr->slope);
}

static gm_status triangular_forward(gm_call *c)
{
    triangular t = sizes_of(c);
    t.scratch = c->out->saved;
    if (!t.rows) return GM_OK;
    gm_team_run(c->team, t.blocks, copy_diagonal, &t);
    gm_team_run(c->team, t.blocks, forward_block, &t);
    return GM_OK;
}

/* dx of one block: what comes from its own outputs and from those of all later ones. */
static void input_block(void *arg, int64_t i)
{
    const triangular *t = arg;
    const gm_call *c = t->c;
    const block k = block_at(t, i);
    const int64_t in = t->positions * t->a, out = t->positions * t->b;
    const float *dy = c->out->grad, *w = c->in[1]->value + k.end * t->b * in + k.begin * t->a;
    float *dx = c->grad[0] + k.begin * t->a;
    gm_gemm_serial(0, 0, t->rows, k.wide, k.high, 1, dy + k.begin * t->b, out, k.diagonal, k.wide,
                   c->add[0] ? 1 : 0, dx, in);
    if (k.end < t->positions)
        gm_gemm_serial(0, 0, t->rows, k.wide, out - k.end * t->b, 1, dy + k.end * t->b, out, w, in, 1,
                       dx, in);
}

/* dW of one block's rows: dy^T x up to the diagonal, zeros after it. */
static void weight_block(void *arg, int64_t shard)
{
    const triangular *t = arg;
    const gm_call *c = t->c;
    const block k = block_at(t, t->blocks - 1 - shard);
    const int64_t in = t->positions * t->a, out = t->positions * t->b;
    const float *x = c->in[0]->value, *dy = c->out->grad + k.begin * t->b;
    float *dw = c->grad[1] + k.begin * t->b * in;
    const int add = c->add[1];
    if (k.begin)
        gm_gemm_serial(1, 0, k.high, k.begin * t->a, t->rows, 1, dy, out, x, in, add ? 1 : 0, dw, in);
    gm_gemm_serial(1, 0, k.high, k.wide, t->rows, 1, dy, out, x + k.begin * t->a, in, 0, k.diagonal,
                   k.wide);
    for (int64_t r = 0; r < k.high; r++) {
        float *to = dw + r * in + k.begin * t->a;
        const int64_t n = seen(t, r);
        c->k->accumulate(to, k.diagonal + r * k.wide, n, add);
        if (!add) memset(to + n, 0, (size_t)(in - k.begin * t->a - n) * sizeof *to);
    }
}

static void act_range(void *arg, int64_t begin, int64_t end)
{
    const gm_call *c = ((const triangular *)arg)->c;
    const triangular_attr *attr = c->attr;
    c->k->unary_grad(attr->kind, c->out->grad + begin, c->out->grad + begin, c->out->value + begin,
                     c->out->value + begin, attr->slope, 0, end - begin, 0);
}

static void bias_range(void *arg, int64_t begin, int64_t end)
{
    const triangular *t = arg;
    const gm_call *c = t->c;
    c->k->column_sums(c->grad[2] + begin, c->out->grad + begin, t->rows, end - begin,
                      t->positions * t->b, c->add[2]);
}

static void triangular_backward(gm_call *c)
{
    const triangular_attr *attr = c->attr;
    triangular t = sizes_of(c);
    if (attr->kind != GM_UNARY_IDENTITY)
        gm_team_range(c->team, c->out->count, GM_GRAIN, act_range, &t);
    t.scratch = c->out->saved;
    if (c->grad[0] && t.rows) gm_team_run(c->team, t.blocks, input_block, &t);
    t.scratch = c->tape->work;
    if (c->grad[1]) gm_team_run(c->team, t.blocks, weight_block, &t);
    if (c->inputs == 3 && c->grad[2]) {
        const int64_t columns = gm_grain_rows(t.rows) / 16 * 16;
        gm_team_range(c->team, t.positions * t.b, columns < 64 ? 64 : columns, bias_range, &t);
    }
}

const gm_op gm_op_triangular_linear = { "triangular_linear", -1, triangular_infer,
                                        triangular_forward, triangular_backward, NULL };

gm_var gm_triangular_linear(gm_tape *tape, gm_var x, gm_var weight, gm_var bias, int64_t positions,
                            int32_t diagonal, int32_t activation, double slope)
{
    gm_var inputs[3] = { x, weight, bias };
    const int32_t count = bias.recording ? 3 : 2;
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_context *ctx = gm_tape_context(tape);
    gm_status s = gm_activation_check(ctx, "triangular_linear", activation, (float)slope);
    if (!s && positions < 1)
        s = gm_fail(ctx, GM_E_INVALID, "triangular_linear: positions is %lld, at least 1 is wanted",
                    (long long)positions);
    if (s) return gm_tape_stick(tape, s);
    const int split = activation == GM_ACTIVATION_SOFTPLUS;
    triangular_attr attr = { positions, diagonal != 0,
                             split ? GM_UNARY_IDENTITY : gm_activation_unary(activation),
                             (float)slope };
    gm_var y = gm_record(tape, &gm_op_triangular_linear, inputs, count, &attr, sizeof attr);
    return split ? gm_softplus(tape, y) : y;
}
