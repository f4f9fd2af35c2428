/* linear.c - the linear layer's product with bias and activation in one pass. */
#include "autodiff/activation.h"
#include "autodiff/gradient.h"

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
        return gm_fail(c->ctx, GM_E_SHAPE, "linear: input is %s, weight %s expects %lld columns",
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
    gm_epilogue last = { c->inputs == 3 ? c->in[2]->value : NULL, attr->kind, attr->slope };
    float *y = c->out->value;
    if (!c->out->count) return GM_OK;
    if (in) {
        gm_gemm(c->team, c->k, 0, 1, rows, out, in, 1, x->value, in, w->value, in, 0, y, out,
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

/* The gradient of input i (+)= op(dy) q [m, n], ta: dy transposed. */
static void product(const gm_call *c, int ta, int64_t m, int64_t n, int64_t k, const float *dy,
                    const float *q, int64_t ld, int i)
{
    if (!k) /* a product over nothing is 0 */
        gm_fill_over(c, c->grad[i], 0, c->add[i] ? 0 : m * n);
    else if (m && n)
        gm_gemm(c->team, c->k, ta, 0, m, n, k, 1, dy, ld, q, n, c->add[i] ? 1 : 0, c->grad[i], n,
                NULL);
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

    if (c->grad[0]) product(c, 0, rows, in, out, dy, w->value, out, 0);
    if (c->grad[1]) product(c, 1, out, in, rows, dy, x->value, out, 1);
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
