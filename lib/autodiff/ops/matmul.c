/* matmul.c - matrix products, and the linear layer's product with bias and activation in one
 * pass. */
#include "autodiff/activation.h"
#include "autodiff/gradient.h"

typedef struct matmul_attr {
    int32_t ta, tb;
} matmul_attr;

typedef struct matmul_sizes {
    int64_t batch, m, n, k;
    int64_t lda, ldb;
} matmul_sizes;

static matmul_sizes sizes_of(const gm_call *c)
{
    const matmul_attr *attr = c->attr;
    const gm_node *a = c->in[0], *b = c->in[1];
    const int64_t *sa = a->shape + a->rank - 2, *sb = b->shape + b->rank - 2;
    matmul_sizes s = { 1, sa[0], sb[1], sa[1], sa[1], sb[1] };
    if (a->rank == 3) s.batch = a->shape[0];
    if (attr->ta) s.m = sa[1], s.k = sa[0];
    if (attr->tb) s.n = sb[0];
    return s;
}

static gm_status matmul_infer(gm_call *c)
{
    const matmul_attr *attr = c->attr;
    const gm_node *a = c->in[0], *b = c->in[1];
    if (a->rank != b->rank || a->rank < 2 || a->rank > 3)
        return gm_fail_shapes(c, "first", a, "second", b, ", want rank 2 or 3 both");
    if (a->rank == 3 && a->shape[0] != b->shape[0])
        return gm_fail_shapes(c, "first", a, "second", b, ", the batches differ");
    matmul_sizes s = sizes_of(c);
    if (s.k != b->shape[b->rank - (attr->tb ? 1 : 2)]) {
        char ta[GM_SHAPE_TEXT], tb[GM_SHAPE_TEXT];
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: first is %s%s, second is %s%s, inner sizes differ",
                       c->op->name, gm_shape_text(ta, a->rank, a->shape),
                       attr->ta ? " transposed" : "", gm_shape_text(tb, b->rank, b->shape),
                       attr->tb ? " transposed" : "");
    }
    c->out->rank = a->rank;
    c->out->shape[0] = s.batch;
    c->out->shape[a->rank - 2] = s.m;
    c->out->shape[a->rank - 1] = s.n;
    return GM_OK;
}

/* One product for each matrix of the batch. Many small ones are shared out whole; few are cut
 * inside. */
typedef struct products {
    int ta, tb, add;
    int64_t m, n, k;
    const float *a, *b;
    int64_t lda, ldb;
    float *c;
} products;

#define WHOLE_BATCH 8

static void product_shard(void *arg, int64_t i)
{
    const products *p = arg;
    gm_gemm_serial(p->ta, p->tb, p->m, p->n, p->k, 1, p->a + i * p->m * p->k, p->lda,
                   p->b + i * p->k * p->n, p->ldb, p->add ? 1 : 0, p->c + i * p->m * p->n, p->n);
}

static void multiply(const gm_call *c, int64_t batch, const products *p)
{
    products copy = *p;
    int64_t mk = p->m * p->k, kn = p->k * p->n, mn = p->m * p->n;
    if (!mn || !batch) return;
    if (!p->k) { /* a product over nothing is 0 */
        if (!p->add) gm_fill_over(c, p->c, 0, batch * mn);
    } else if (batch >= WHOLE_BATCH) {
        gm_team_run(c->team, batch, product_shard, &copy);
    } else {
        for (int64_t i = 0; i < batch; i++)
            gm_gemm(c->team, p->ta, p->tb, p->m, p->n, p->k, 1, p->a + i * mk, p->lda,
                    p->b + i * kn, p->ldb, p->add ? 1 : 0, p->c + i * mn, p->n, NULL);
    }
}

static gm_status matmul_forward(gm_call *c)
{
    const matmul_attr *attr = c->attr;
    matmul_sizes s = sizes_of(c);
    products p = { attr->ta,        attr->tb,        0,     s.m,   s.n,          s.k,
                   c->in[0]->value, c->in[1]->value, s.lda, s.ldb, c->out->value };
    multiply(c, s.batch, &p);
    return GM_OK;
}

/* C = op(A) op(B): dop(A) = dC op(B)^T and dop(B) = op(A)^T dC, each stored as its operand is. */
static void matmul_backward(gm_call *c)
{
    const matmul_attr *attr = c->attr;
    matmul_sizes s = sizes_of(c);
    const float *a = c->in[0]->value, *b = c->in[1]->value, *dy = c->out->grad;
    if (c->grad[0]) {
        products p = { 0, !attr->tb, c->add[0], s.m, s.k, s.n, dy, b, s.n, s.ldb, c->grad[0] };
        products t = { attr->tb, 1, c->add[0], s.k, s.m, s.n, b, dy, s.ldb, s.n, c->grad[0] };
        multiply(c, s.batch, attr->ta ? &t : &p);
    }
    if (c->grad[1]) {
        products p = { !attr->ta, 0, c->add[1], s.k, s.n, s.m, a, dy, s.lda, s.n, c->grad[1] };
        products t = { 1, attr->ta, c->add[1], s.n, s.k, s.m, dy, a, s.n, s.lda, c->grad[1] };
        multiply(c, s.batch, attr->tb ? &t : &p);
    }
}

static void matmul_gradient(gm_chain *c)
{
    const matmul_attr *attr = c->node->attr;
    int32_t ta = attr->ta, tb = attr->tb;
    gm_tape *t = c->tape;
    gm_var a = c->in[0], b = c->in[1], dy = c->dy;
    if (c->wanted[0]) c->din[0] = ta ? gm_matmul(t, b, dy, tb, 1) : gm_matmul(t, dy, b, 0, !tb);
    if (c->wanted[1]) c->din[1] = tb ? gm_matmul(t, dy, a, 1, ta) : gm_matmul(t, a, dy, !ta, 0);
}

const gm_op gm_op_matmul = { "matmul",       2, matmul_infer, matmul_forward, matmul_backward,
                             matmul_gradient };

gm_var gm_matmul(gm_tape *tape, gm_var a, gm_var b, int32_t transpose_a, int32_t transpose_b)
{
    matmul_attr attr = { transpose_a != 0, transpose_b != 0 };
    return gm_record2(tape, &gm_op_matmul, a, b, &attr, sizeof attr);
}

/* The activation's derivative is taken from its result, which all but softplus allow (gm_linear
 * sees to that one). */
typedef struct linear_attr {
    int32_t kind; /* GM_UNARY_* */
    float slope;
} linear_attr;

static gm_status linear_infer(gm_call *c)
{
    const gm_node *x = c->in[0], *w = c->in[1];
    if (c->inputs < 2 || c->inputs > 3)
        return gm_fail(c->ctx, GM_E_INTERNAL, "linear: %d inputs", (int)c->inputs);
    if (w->rank != 2 || x->rank < 1)
        return gm_fail_shapes(c, "input", x, "weight", w, ", expected [..., in] and [out, in]");
    if (x->shape[x->rank - 1] != w->shape[1]) {
        char tx[GM_SHAPE_TEXT], tw[GM_SHAPE_TEXT];
        return gm_fail(c->ctx, GM_E_SHAPE, "linear: input is %s, weight %s wants %lld columns",
                       gm_shape_text(tx, x->rank, x->shape), gm_shape_text(tw, w->rank, w->shape),
                       (long long)w->shape[1]);
    }
    if (c->inputs == 3 && (c->in[2]->rank != 1 || c->in[2]->shape[0] != w->shape[0]))
        return gm_fail_shapes(c, "bias", c->in[2], "weight", w,
                              ", expected one value for each row");
    gm_infer_same(c);
    c->out->shape[x->rank - 1] = w->shape[0];
    return GM_OK;
}

static gm_status linear_forward(gm_call *c)
{
    const linear_attr *attr = c->attr;
    const gm_node *x = c->in[0], *w = c->in[1];
    int64_t out = w->shape[0], in = w->shape[1];
    int64_t rows = gm_sizes_product(x->shape, x->rank - 1);
    gm_epilogue last = { c->k, c->inputs == 3 ? c->in[2]->value : NULL, attr->kind, attr->slope };
    float *y = c->out->value;
    if (!c->out->count) return GM_OK;
    if (in) {
        gm_gemm(c->team, 0, 1, rows, out, in, 1, x->value, in, w->value, in, 0, y, out,
                last.bias || last.act != GM_UNARY_IDENTITY ? &last : NULL);
    } else {
        gm_fill_over(c, y, 0, c->out->count);
        c->k->add_bias(y, last.bias, rows, out, out, last.act, last.a);
    }
    return GM_OK;
}

typedef struct linear_job {
    const gm_kernels *k;
    const linear_attr *attr;
    float *dy;
    const float *y;
    float *db;
    int64_t rows, cols;
    int add;
} linear_job;

/* The gradient before the activation, in place. */
static void linear_act_range(void *arg, int64_t begin, int64_t end)
{
    const linear_job *job = arg;
    job->k->unary_grad(job->attr->kind, job->dy + begin, job->dy + begin, job->y + begin,
                       job->y + begin, job->attr->slope, 0, end - begin, 0);
}

static void linear_bias_range(void *arg, int64_t begin, int64_t end)
{
    const linear_job *job = arg;
    job->k->column_sums(job->db + begin, job->dy + begin, job->rows, end - begin, job->cols,
                        job->add);
}

static void linear_backward(gm_call *c)
{
    const linear_attr *attr = c->attr;
    const gm_node *x = c->in[0], *w = c->in[1];
    int64_t out = w->shape[0], in = w->shape[1];
    int64_t rows = gm_sizes_product(x->shape, x->rank - 1);
    float *dy = c->out->grad;
    linear_job job = { c->k, attr, dy, c->out->value, NULL, rows, out, 0 };
    if (attr->kind != GM_UNARY_IDENTITY)
        gm_team_range(c->team, c->out->count, GM_GRAIN, linear_act_range, &job);

    products dx = { 0, 0, c->add[0], rows, in, out, dy, w->value, out, in, c->grad[0] };
    products dw = { 1, 0, c->add[1], out, in, rows, dy, x->value, out, in, c->grad[1] };
    if (dx.c) multiply(c, 1, &dx);
    if (dw.c) multiply(c, 1, &dw);
    if (c->inputs == 3 && c->grad[2]) {
        int64_t columns = gm_grain_rows(rows) / 16 * 16;
        job.db = c->grad[2];
        job.add = c->add[2];
        gm_team_range(c->team, out, columns < 64 ? 64 : columns, linear_bias_range, &job);
    }
}

static void linear_gradient(gm_chain *c)
{
    static const int32_t rows_axis = 0;
    const linear_attr *attr = c->node->attr;
    gm_tape *t = c->tape;
    const gm_node *x = c->from[0], *w = c->from[1];
    int64_t rows = gm_sizes_product(x->shape, x->rank - 1);
    gm_var dz = gm_chain_activation(t, attr->kind, attr->slope, c->out, c->dy);
    dz = gm_reshape(t, dz, 2, (int64_t[]){ rows, w->shape[0] });
    if (c->wanted[0]) c->din[0] = gm_chain_reshape(t, gm_matmul(t, dz, c->in[1], 0, 0), x);
    if (c->wanted[1]) {
        gm_var flat = gm_reshape(t, c->in[0], 2, (int64_t[]){ rows, w->shape[1] });
        c->din[1] = gm_matmul(t, dz, flat, 1, 0);
    }
    if (c->node->inputs == 3 && c->wanted[2]) c->din[2] = gm_sum_axes(t, dz, &rows_axis, 1, 0);
}

const gm_op gm_op_linear = { "linear",       -1, linear_infer, linear_forward, linear_backward,
                             linear_gradient };

gm_var gm_linear(gm_tape *tape, gm_var x, gm_var weight, gm_var bias, int32_t activation,
                 double slope)
{
    gm_var inputs[3] = { x, weight, bias };
    int32_t count = bias.recording ? 3 : 2;
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_fused fused;
    gm_status s = gm_fused_make(&fused, gm_tape_context(tape), "linear", activation, slope);
    if (s) return gm_tape_stick(tape, s);
    linear_attr attr = { fused.kind, fused.slope };
    gm_var y = gm_record(tape, &gm_op_linear, inputs, count, &attr, sizeof attr);
    return gm_fused_finish(&fused, tape, y);
}
