/* layer_norm.c - each row by its own mean and variance (Ba, Kiros and Hinton 2016). */
#include "autodiff/ops/norm.h"
#include "base/options.h"

typedef struct rows_attr {
    gm_affine affine;
    int32_t axes;
    double eps;
} rows_attr;

/* Saved: the mean, then 1 / sqrt(variance + eps), of each row. */
typedef struct rows_job {
    const gm_call *c;
    const rows_attr *attr;
    int64_t rows, cols;
    float *mean, *inverse;
} rows_job;

static gm_status rows_infer(gm_call *c)
{
    const rows_attr *attr = c->attr;
    const gm_node *x = c->in[0];
    char text[GM_SHAPE_TEXT];
    gm_shape_text(text, x->rank, x->shape);
    if (attr->axes < 1)
        return gm_fail(c->ctx, GM_E_INVALID, "layer_norm: axes is %d, expected at least 1",
                       (int)attr->axes);
    if (attr->axes > x->rank)
        return gm_fail(c->ctx, GM_E_SHAPE, "layer_norm: input is %s, expected %d axes or more",
                       text, (int)attr->axes);
    int32_t lead = x->rank - attr->axes;
    if (!gm_sizes_product(x->shape + lead, attr->axes))
        return gm_fail(c->ctx, GM_E_SHAPE, "layer_norm: input is %s: a row has no elements", text);
    gm_status status = gm_affine_infer(c, &attr->affine, attr->axes, x->shape + lead);
    gm_infer_same(c);
    c->saved = 2 * gm_sizes_product(x->shape, lead);
    c->saved += !c->saved; /* an address for no rows, too */
    return status;
}

static rows_job job_of(const gm_call *c)
{
    const rows_attr *attr = c->attr;
    const gm_node *x = c->in[0];
    rows_job job = { .c = c, .attr = attr };
    job.rows = gm_sizes_product(x->shape, x->rank - attr->axes);
    job.cols = gm_sizes_product(x->shape + x->rank - attr->axes, attr->axes);
    job.mean = c->out->saved;
    job.inverse = job.mean + job.rows;
    return job;
}

static void forward_range(void *arg, int64_t begin, int64_t end)
{
    const rows_job *job = arg;
    const gm_call *c = job->c;
    const gm_affine *affine = &job->attr->affine;
    c->k->norm_rows(c->out->value + begin * job->cols, job->mean + begin, job->inverse + begin,
                    c->in[0]->value + begin * job->cols, gm_affine_value(c, affine->gamma),
                    gm_affine_value(c, affine->beta), job->attr->eps, end - begin, job->cols,
                    affine->fused.kind, affine->fused.slope);
}

static gm_status rows_forward(gm_call *c)
{
    rows_job job = job_of(c);
    gm_team_range(c->team, job.rows, gm_grain_rows(job.cols), forward_range, &job);
    return GM_OK;
}

/* The gradient before the activation, in place, and that of x. */
static void backward_range(void *arg, int64_t begin, int64_t end)
{
    const rows_job *job = arg;
    const gm_call *c = job->c;
    const gm_affine *affine = &job->attr->affine;
    int64_t at = begin * job->cols, n = (end - begin) * job->cols;
    float *dy = c->out->grad + at;
    const float *y = c->out->value + at;
    if (affine->fused.kind != GM_UNARY_IDENTITY)
        c->k->unary_grad(affine->fused.kind, dy, dy, y, y, affine->fused.slope, 0, n, 0);
    if (c->grad[0])
        c->k->norm_rows_grad(c->grad[0] + at, dy, c->in[0]->value + at, job->mean + begin,
                             job->inverse + begin, gm_affine_value(c, affine->gamma), end - begin,
                             job->cols, c->add[0]);
}

static void columns_range(void *arg, int64_t begin, int64_t end)
{
    const rows_job *job = arg;
    const gm_call *c = job->c;
    const gm_affine *affine = &job->attr->affine;
    float *dgamma = gm_affine_grad(c, affine->gamma), *dbeta = gm_affine_grad(c, affine->beta);
    c->k->norm_columns_grad(dgamma ? dgamma + begin : NULL, dbeta ? dbeta + begin : NULL,
                            c->out->grad + begin, c->in[0]->value + begin, job->mean, job->inverse,
                            job->rows, end - begin, job->cols, c->add[affine->gamma],
                            c->add[affine->beta]);
}

static void rows_backward(gm_call *c)
{
    rows_job job = job_of(c);
    const gm_affine *affine = &job.attr->affine;
    gm_team_range(c->team, job.rows, gm_grain_rows(job.cols), backward_range, &job);
    if (!gm_affine_grad(c, affine->gamma) && !gm_affine_grad(c, affine->beta)) return;
    int64_t columns = gm_grain_rows(job.rows) / GM_WALK_CHANNELS * GM_WALK_CHANNELS;
    gm_team_range(c->team, job.cols, columns < GM_WALK_CHANNELS ? GM_WALK_CHANNELS : columns,
                  columns_range, &job);
}

static void rows_gradient(gm_chain *c)
{
    const rows_attr *attr = c->node->attr;
    const gm_node *x = c->from[0];
    int32_t lead = x->rank - attr->axes;
    int64_t cols = gm_sizes_product(x->shape + lead, attr->axes);
    const int64_t rows[4] = { gm_sizes_product(x->shape, lead), 1, 1, cols };
    const int64_t scale[4] = { 1, 1, 1, cols };
    gm_gradient_norm(c, &attr->affine, attr->eps, rows, scale);
}

const gm_op gm_op_layer_norm = { "layer_norm",  -1,           rows_infer, rows_forward,
                                 rows_backward, rows_gradient };

gm_var gm_layer_norm(gm_tape *tape, gm_var x, gm_var gamma, gm_var beta, int32_t axes,
                     const gm_norm_options *options)
{
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_var inputs[3];
    gm_norm_options o = GM_NORM_OPTIONS_INIT;
    gm_context *ctx = gm_tape_context(tape);
    gm_status s = gm_options_check(ctx, "layer_norm", &o, sizeof o, options);
    if (s) return gm_tape_stick(tape, s);
    rows_attr attr = { .axes = axes, .eps = o.eps };
    int32_t count = gm_affine_inputs(&attr.affine, inputs, x, gamma, beta);
    s = gm_affine_check(&attr.affine, ctx, "layer_norm", o.eps, o.activation, o.slope);
    if (s) return gm_tape_stick(tape, s);
    gm_var y = gm_record(tape, &gm_op_layer_norm, inputs, count, &attr, sizeof attr);
    return gm_fused_finish(&attr.affine.fused, tape, y);
}
