/* axis.c - along one axis: the largest, the smallest, running sums. */
#include "autodiff/gradient.h"
#include "tensor/tensor.h"

/* The array seen as [outer, size, inner]. A shard takes some neighbours of the innermost axis
 * through all of the middle one, so that rows are read as they lie. */
#define LANES 256
typedef struct axis_job {
    int64_t size, inner, lanes, pieces; /* pieces of the innermost axis, `lanes` each */
    int sign;                           /* 1: the largest, -1: the smallest */
    int backwards;                      /* sums from the end on */
    const float *x;
    float *y;
    int32_t *at;
    const float *dy;
    float *dx;
    int add;
} axis_job;

typedef struct axis_attr {
    int32_t axis;
    int32_t keep;      /* of an extreme */
    int32_t backwards; /* of a running sum */
} axis_attr;

static int32_t axis_of(const axis_attr *attr, const gm_node *a)
{
    return gm_axis_of(attr->axis, a->rank);
}

static gm_status fail_axis(gm_call *c)
{
    const axis_attr *attr = c->attr;
    char text[GM_SHAPE_TEXT];
    return gm_fail(c->ctx, GM_E_INVALID, "%s: axis is %d, input is %s", c->op->name,
                   (int)attr->axis, gm_shape_text(text, c->in[0]->rank, c->in[0]->shape));
}

static int64_t outer_of(const gm_call *c)
{
    return gm_sizes_product(c->in[0]->shape, axis_of(c->attr, c->in[0]));
}

static axis_job job_of(const gm_call *c)
{
    const axis_attr *attr = c->attr;
    const gm_node *a = c->in[0];
    int32_t axis = axis_of(attr, a);
    axis_job job = { .size = a->shape[axis], .backwards = attr->backwards };
    job.inner = gm_sizes_product(a->shape + axis + 1, a->rank - axis - 1);
    job.lanes = job.inner < LANES ? job.inner : LANES;
    job.pieces = job.lanes ? (job.inner - 1) / job.lanes + 1 : 0;
    job.x = a->value;
    job.y = c->out->value;
    job.dy = c->out->grad;
    job.dx = c->grad[0];
    job.add = c->add[0];
    return job;
}

static void run(const gm_call *c, axis_job *job, gm_range_fn fn)
{
    gm_team_range(c->team, outer_of(c) * job->pieces, gm_grain_rows(job->size * job->lanes), fn,
                  job);
}

/* Where piece i begins in an array with `size` on the axis, and how many lanes it has. */
static int64_t place(const axis_job *job, int64_t i, int64_t size, int64_t *lanes)
{
    int64_t from = i % job->pieces * job->lanes;
    *lanes = job->inner - from < job->lanes ? job->inner - from : job->lanes;
    return i / job->pieces * size * job->inner + from;
}

static gm_status extreme_infer(gm_call *c)
{
    const axis_attr *attr = c->attr;
    const gm_node *a = c->in[0];
    int32_t axis = axis_of(attr, a);
    char text[GM_SHAPE_TEXT];
    if (axis < 0) return fail_axis(c);
    if (a->shape[axis] < 1 || a->shape[axis] > INT32_MAX)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, expected 1 to 2^31 - 1 along axis %d",
                       c->op->name, gm_shape_text(text, a->rank, a->shape), (int)attr->axis);
    for (int32_t i = 0; i < a->rank; i++)
        if (i != axis || attr->keep) c->out->shape[c->out->rank++] = i == axis ? 1 : a->shape[i];
    /* Where each extreme was found: one int32_t fits a float's place. */
    c->saved = a->count / a->shape[axis];
    c->saved += !c->saved; /* an address for no elements, too */
    return GM_OK;
}

static void extreme_range(void *arg, int64_t begin, int64_t end)
{
    const axis_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        int64_t lanes, to = place(job, i, 1, &lanes);
        const float *x = job->x + place(job, i, job->size, &lanes);
        float *y = job->y + to;
        int32_t *at = job->at + to;
        for (int64_t j = 0; j < lanes; j++) {
            y[j] = x[j];
            at[j] = 0;
        }
        for (int64_t k = 1; k < job->size; k++) {
            x += job->inner;
            for (int64_t j = 0; j < lanes; j++) {
                int better = job->sign > 0 ? x[j] > y[j] : x[j] < y[j];
                better |= (x[j] != x[j]) & (y[j] == y[j]); /* the first NaN stays */
                at[j] = better ? (int32_t)k : at[j];
                y[j] = better ? x[j] : y[j];
            }
        }
    }
}

static void extreme_grad_range(void *arg, int64_t begin, int64_t end)
{
    const axis_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        int64_t lanes, from = place(job, i, 1, &lanes);
        float *dx = job->dx + place(job, i, job->size, &lanes);
        const float *dy = job->dy + from;
        const int32_t *at = job->at + from;
        for (int64_t k = 0; k < job->size && !job->add; k++)
            memset(dx + k * job->inner, 0, (size_t)lanes * sizeof *dx);
        for (int64_t j = 0; j < lanes; j++) dx[at[j] * job->inner + j] += dy[j];
    }
}

static gm_status extreme_forward(gm_call *c)
{
    axis_job job = job_of(c);
    job.sign = c->op == &gm_op_max ? 1 : -1;
    job.at = (int32_t *)(void *)c->out->saved;
    if (c->out->count) run(c, &job, extreme_range);
    return GM_OK;
}

static void extreme_backward(gm_call *c)
{
    axis_job job = job_of(c);
    job.at = (int32_t *)(void *)c->out->saved;
    if (c->grad[0] && c->out->count) run(c, &job, extreme_grad_range);
}

/* dy to the element that was taken, as a product with a constant of ones there. */
static void extreme_gradient(gm_chain *c)
{
    const axis_attr *attr = c->node->attr;
    const gm_node *x = c->from[0];
    const int32_t *at = (const int32_t *)(const void *)c->node->saved;
    gm_tape *t = c->tape;
    int32_t axis = axis_of(attr, x);
    int64_t inner = gm_sizes_product(x->shape + axis + 1, x->rank - axis - 1);
    int64_t kept[GM_MAX_RANK];
    float *taken = gm_tape_scratch(t, (size_t)x->count * sizeof *taken);
    if (!taken) return;
    memcpy(kept, x->shape, sizeof kept);
    kept[axis] = 1;
    memset(taken, 0, (size_t)x->count * sizeof *taken);
    for (int64_t i = 0; i < c->node->count; i++)
        taken[(i / inner * x->shape[axis] + at[i]) * inner + i % inner] = 1;
    gm_var mask = gm_input_array(t, x->rank, x->shape, taken);
    c->din[0] = gm_mul(t, gm_reshape(t, c->dy, x->rank, kept), mask);
}

const gm_op gm_op_min = { "min",           1, extreme_infer, extreme_forward, extreme_backward,
                          extreme_gradient };
const gm_op gm_op_max = { "max",           1, extreme_infer, extreme_forward, extreme_backward,
                          extreme_gradient };

gm_var gm_min(gm_tape *tape, gm_var a, int32_t axis, int32_t keep)
{
    axis_attr attr = { .axis = axis, .keep = keep };
    return gm_record1(tape, &gm_op_min, a, &attr, sizeof attr);
}

gm_var gm_max(gm_tape *tape, gm_var a, int32_t axis, int32_t keep)
{
    axis_attr attr = { .axis = axis, .keep = keep };
    return gm_record1(tape, &gm_op_max, a, &attr, sizeof attr);
}

static gm_status cumsum_infer(gm_call *c)
{
    if (axis_of(c->attr, c->in[0]) < 0) return fail_axis(c);
    gm_infer_same(c);
    return GM_OK;
}

/* to (+)= running sums of from, in double. */
static void running(const axis_job *job, int64_t i, float *to, const float *from, int backwards,
                    int add)
{
    double sum[LANES];
    int64_t lanes, at = place(job, i, job->size, &lanes);
    int64_t step = backwards ? -job->inner : job->inner;
    if (backwards) at += (job->size - 1) * job->inner;
    for (int64_t j = 0; j < lanes; j++) sum[j] = 0;
    for (int64_t k = 0; k < job->size; k++, at += step)
        for (int64_t j = 0; j < lanes; j++) {
            sum[j] += (double)from[at + j];
            to[at + j] = (float)(add ? (double)to[at + j] + sum[j] : sum[j]);
        }
}

static void cumsum_range(void *arg, int64_t begin, int64_t end)
{
    const axis_job *job = arg;
    for (int64_t i = begin; i < end; i++) running(job, i, job->y, job->x, job->backwards, 0);
}

/* What an element adds to: all sums from its own on. */
static void cumsum_grad_range(void *arg, int64_t begin, int64_t end)
{
    const axis_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        running(job, i, job->dx, job->dy, !job->backwards, job->add);
}

static gm_status cumsum_forward(gm_call *c)
{
    axis_job job = job_of(c);
    if (c->out->count) run(c, &job, cumsum_range);
    return GM_OK;
}

static void cumsum_backward(gm_call *c)
{
    axis_job job = job_of(c);
    if (c->grad[0] && c->out->count) run(c, &job, cumsum_grad_range);
}

static void cumsum_gradient(gm_chain *c)
{
    axis_attr attr = *(const axis_attr *)c->node->attr;
    attr.backwards = !attr.backwards;
    c->din[0] = gm_record1(c->tape, &gm_op_cumsum, c->dy, &attr, sizeof attr);
}

const gm_op gm_op_cumsum = { "cumsum",       1, cumsum_infer, cumsum_forward, cumsum_backward,
                             cumsum_gradient };

gm_var gm_cumsum(gm_tape *tape, gm_var a, int32_t axis)
{
    axis_attr attr = { .axis = axis };
    return gm_record1(tape, &gm_op_cumsum, a, &attr, sizeof attr);
}
