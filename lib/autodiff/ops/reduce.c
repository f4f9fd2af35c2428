/* reduce.c - sums and means, of everything and over axes, and what undoes a sum: broadcasting.
 *
 * The sum of everything is cut into blocks of GM_GRAIN, each summed in double, the blocks added in
 * order.
 */
#include "autodiff/gradient.h"

static double factor_of(const gm_call *c, const gm_op *mean)
{
    /* Of a mean: the output has count / n elements, n what each is the mean of. */
    return c->op == mean ? (double)c->out->count / (double)c->in[0]->count : 1;
}

static gm_status sum_infer(gm_call *c)
{
    const gm_node *a = c->in[0];
    char text[GM_SHAPE_TEXT];
    if (c->op == &gm_op_mean && !a->count)
        return gm_fail(c->ctx, GM_E_SHAPE, "mean: input is %s, the mean of nothing",
                       gm_shape_text(text, a->rank, a->shape));
    c->out->rank = 0;
    return GM_OK;
}

typedef struct sum_job {
    const gm_kernels *k;
    const float *x;
    double *partial;
} sum_job;

static void sum_range(void *arg, int64_t begin, int64_t end)
{
    const sum_job *job = arg;
    job->partial[begin / GM_GRAIN] = job->k->sum(job->x + begin, end - begin);
}

static gm_status sum_forward(gm_call *c)
{
    int64_t n = c->in[0]->count, blocks = n ? (n - 1) / GM_GRAIN + 1 : 0;
    double one = 0, total = 0;
    sum_job job = { c->k, c->in[0]->value, &one };
    if (blocks > 1) {
        job.partial = gm_tape_scratch(c->tape, (size_t)blocks * sizeof(double));
        if (!job.partial) return GM_E_NOMEM;
    }
    gm_team_range(c->team, n, GM_GRAIN, sum_range, &job);
    for (int64_t i = 0; i < blocks; i++) total += job.partial[i];
    c->out->value[0] = (float)(c->op == &gm_op_mean ? total / (double)n : total);
    return GM_OK;
}

typedef struct spread_job {
    const gm_kernels *k;
    float *dx;
    const float *dy;
    float factor;
    int add, inner; /* inner: dy moves along the innermost axis */
} spread_job;

/* dx (+)= value, for a run. */
static void add_constant(const gm_kernels *k, float *dx, float value, int64_t n, int add)
{
    if (add)
        k->binary(GM_BINARY_ADD, dx, dx, 1, &value, 0, n);
    else
        k->fill(dx, value, n);
}

static void spread_range(void *arg, int64_t begin, int64_t end)
{
    const spread_job *job = arg;
    add_constant(job->k, job->dx + begin, job->dy[0] * job->factor, end - begin, job->add);
}

static void sum_backward(gm_call *c)
{
    if (!c->grad[0]) return;
    spread_job job = { c->k,      c->grad[0], c->out->grad, (float)factor_of(c, &gm_op_mean),
                       c->add[0], 0 };
    gm_team_range(c->team, c->in[0]->count, GM_GRAIN, spread_range, &job);
}

/* Of all four: dy, with size 1 where it was summed over, repeated to the input's shape. */
static void spread_gradient(gm_chain *c, const int64_t *kept)
{
    const gm_node *x = c->from[0];
    gm_var dy = gm_reshape(c->tape, c->dy, kept ? x->rank : 0, kept);
    c->din[0] = gm_broadcast(c->tape, dy, x->rank, x->shape);
    if (c->node->op == &gm_op_mean || c->node->op == &gm_op_mean_axes)
        c->din[0] = gm_scale(c->tape, c->din[0], (double)c->node->count / (double)x->count);
}

static void sum_gradient(gm_chain *c)
{
    spread_gradient(c, NULL);
}

const gm_op gm_op_sum = { "sum", 1, sum_infer, sum_forward, sum_backward, sum_gradient };
const gm_op gm_op_mean = { "mean", 1, sum_infer, sum_forward, sum_backward, sum_gradient };

gm_var gm_sum(gm_tape *tape, gm_var a)
{
    return gm_record1(tape, &gm_op_sum, a, NULL, 0);
}

gm_var gm_mean(gm_tape *tape, gm_var a)
{
    return gm_record1(tape, &gm_op_mean, a, NULL, 0);
}

typedef struct axes_attr {
    int32_t axes[GM_MAX_RANK];
    int32_t count, keep;
} axes_attr;

/* The input's shape with 1 where it is summed over; 0 when the axes are wrong (then *bad is the
 * place). */
static int kept_shape(const axes_attr *attr, const gm_node *a, int64_t kept[GM_MAX_RANK],
                      int32_t *bad)
{
    uint32_t seen = 0;
    memcpy(kept, a->shape, sizeof a->shape);
    for (int32_t i = 0; i < attr->count; i++) {
        int32_t axis = gm_axis_of(attr->axes[i], a->rank);
        *bad = i;
        if (axis < 0 || (seen >> axis & 1u)) return 0;
        seen |= 1u << axis;
        kept[axis] = 1;
    }
    return 1;
}

static gm_status axes_infer(gm_call *c)
{
    const axes_attr *attr = c->attr;
    const gm_node *a = c->in[0];
    char text[GM_SHAPE_TEXT];
    int64_t kept[GM_MAX_RANK];
    int32_t bad = 0, axis;
    const char *shape = gm_shape_text(text, a->rank, a->shape);
    if (!kept_shape(attr, a, kept, &bad))
        return gm_fail(c->ctx, GM_E_INVALID, "%s: axis %d is out of range or repeated, input is %s",
                       c->op->name, (int)attr->axes[bad], shape);
    c->out->rank = 0;
    for (int32_t i = 0; i < a->rank; i++) {
        int32_t summed = 0;
        for (int32_t j = 0; j < attr->count; j++) {
            axis = gm_axis_of(attr->axes[j], a->rank);
            summed |= axis == i;
        }
        if (!summed || attr->keep) c->out->shape[c->out->rank++] = kept[i];
        if (summed && c->op == &gm_op_mean_axes && a->shape[i] == 0)
            return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, the mean of nothing", c->op->name,
                           shape);
    }
    return GM_OK;
}

/* Arrays of the walk: 0 the input or its gradient, 1 the output or its gradient. */
static void axes_strided(const gm_call *c, gm_strided *g)
{
    const gm_node *a = c->in[0];
    int64_t kept[GM_MAX_RANK];
    int32_t bad;
    (void)kept_shape(c->attr, a, kept, &bad);
    gm_strided_begin(g, a->rank, a->shape);
    gm_strided_array(g, 0, a->rank, a->shape);
    gm_strided_array(g, 1, a->rank, kept);
    gm_strided_merge(g);
}

typedef struct axes_job {
    const gm_kernels *k;
    const float *x;
    float *y;
    int inner; /* the output moves along the innermost axis */
} axes_job;

static void axes_run(void *arg, const int64_t at[GM_STRIDED_ARRAYS], int64_t n, int add)
{
    const axes_job *job = arg;
    float *y = job->y + at[1];
    const float *x = job->x + at[0];
    if (job->inner)
        job->k->accumulate(y, x, n, add);
    else
        *y = (float)((add ? (double)*y : 0) + job->k->sum(x, n));
}

static gm_status axes_forward(gm_call *c)
{
    gm_strided g;
    if (!c->in[0]->count) {
        gm_fill_over(c, c->out->value, 0, c->out->count);
        return GM_OK;
    }
    axes_strided(c, &g);
    axes_job job = { c->k, c->in[0]->value, c->out->value, g.stride[1][g.axes - 1] != 0 };
    gm_strided_walk(c->team, &g, 1, 0, axes_run, &job);
    if (c->op == &gm_op_mean_axes) {
        float factor = (float)factor_of(c, &gm_op_mean_axes);
        c->k->binary(GM_BINARY_MUL, job.y, job.y, 1, &factor, 0, c->out->count);
    }
    return GM_OK;
}

static void axes_grad_run(void *arg, const int64_t at[GM_STRIDED_ARRAYS], int64_t n, int add)
{
    const spread_job *job = arg;
    float *dx = job->dx + at[0];
    const float *dy = job->dy + at[1];
    if (!job->inner)
        add_constant(job->k, dx, *dy * job->factor, n, add);
    else if (add)
        job->k->axpy(dx, job->factor, dy, n);
    else
        job->k->binary(GM_BINARY_MUL, dx, dy, 1, &job->factor, 0, n);
}

static void axes_backward(gm_call *c)
{
    gm_strided g;
    if (!c->grad[0] || !c->in[0]->count) return;
    axes_strided(c, &g);
    spread_job job = { c->k,         c->grad[0],
                       c->out->grad, (float)factor_of(c, &gm_op_mean_axes),
                       c->add[0],    g.stride[1][g.axes - 1] != 0 };
    gm_strided_walk(c->team, &g, 0, c->add[0], axes_grad_run, &job);
}

static void axes_gradient(gm_chain *c)
{
    int64_t kept[GM_MAX_RANK];
    int32_t bad;
    (void)kept_shape(c->node->attr, c->from[0], kept, &bad);
    spread_gradient(c, kept);
}

const gm_op gm_op_sum_axes = {
    "sum_axes", 1, axes_infer, axes_forward, axes_backward, axes_gradient
};
const gm_op gm_op_mean_axes = { "mean_axes",  1, axes_infer, axes_forward, axes_backward,
                                axes_gradient };

static gm_var over_axes(gm_tape *tape, const gm_op *op, gm_var a, const int32_t *axes,
                        int32_t count, int32_t keep)
{
    axes_attr attr = { .count = count, .keep = keep };
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    if (count < 0 || count > GM_MAX_RANK || (count && !axes))
        return gm_tape_stick(tape, gm_fail(gm_tape_context(tape), GM_E_INVALID,
                                           "%s: %d axes at %s, expected 0 to %d", op->name,
                                           (int)count, axes ? "a list" : "NULL", GM_MAX_RANK));
    if (count) memcpy(attr.axes, axes, (size_t)count * sizeof *axes);
    return gm_record1(tape, op, a, &attr, sizeof attr);
}

gm_var gm_sum_axes(gm_tape *tape, gm_var a, const int32_t *axes, int32_t count, int32_t keep)
{
    return over_axes(tape, &gm_op_sum_axes, a, axes, count, keep);
}

gm_var gm_mean_axes(gm_tape *tape, gm_var a, const int32_t *axes, int32_t count, int32_t keep)
{
    return over_axes(tape, &gm_op_mean_axes, a, axes, count, keep);
}

typedef struct shape_attr {
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
} shape_attr;

static gm_status broadcast_infer(gm_call *c)
{
    const shape_attr *attr = c->attr;
    const gm_node *a = c->in[0];
    int fits = a->rank <= attr->rank;
    for (int32_t i = 1; fits && i <= a->rank; i++) {
        int64_t size = a->shape[a->rank - i];
        fits = size == 1 || size == attr->shape[attr->rank - i];
    }
    if (!fits) {
        char from[GM_SHAPE_TEXT], to[GM_SHAPE_TEXT];
        return gm_fail(c->ctx, GM_E_SHAPE, "broadcast: %s does not broadcast to %s",
                       gm_shape_text(from, a->rank, a->shape),
                       gm_shape_text(to, attr->rank, attr->shape));
    }
    c->out->rank = attr->rank;
    memcpy(c->out->shape, attr->shape, sizeof attr->shape);
    return GM_OK;
}

/* Arrays of the walk: 0 the output or its gradient, 1 the input or its gradient. */
static int broadcast_strided(const gm_call *c, gm_strided *g)
{
    gm_strided_begin(g, c->out->rank, c->out->shape);
    gm_strided_array(g, 0, c->out->rank, c->out->shape);
    gm_strided_array(g, 1, c->in[0]->rank, c->in[0]->shape);
    gm_strided_merge(g);
    return g->stride[1][g->axes - 1] != 0;
}

static gm_status broadcast_forward(gm_call *c)
{
    gm_strided g;
    if (!c->out->count) return GM_OK;
    int inner = broadcast_strided(c, &g);
    spread_job job = { c->k, c->out->value, c->in[0]->value, 1, 0, inner };
    gm_strided_walk(c->team, &g, 0, 0, axes_grad_run, &job);
    return GM_OK;
}

static void broadcast_backward(gm_call *c)
{
    gm_strided g;
    if (!c->grad[0]) return;
    if (!c->out->count) { /* repeated zero times */
        if (!c->add[0]) gm_fill_over(c, c->grad[0], 0, c->in[0]->count);
        return;
    }
    int inner = broadcast_strided(c, &g);
    axes_job job = { c->k, c->out->grad, c->grad[0], inner };
    gm_strided_walk(c->team, &g, 1, c->add[0], axes_run, &job);
}

static void broadcast_gradient(gm_chain *c)
{
    c->din[0] = gm_chain_sum_to(c->tape, c->dy, c->from[0]);
}

const gm_op gm_op_broadcast = { "broadcast",        1,
                                broadcast_infer,    broadcast_forward,
                                broadcast_backward, broadcast_gradient };

gm_var gm_broadcast(gm_tape *tape, gm_var a, int32_t rank, const int64_t *shape)
{
    shape_attr attr = { .rank = rank };
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    if (rank < 0 || rank > GM_MAX_RANK || (rank && !shape))
        return gm_tape_stick(tape,
                             gm_fail(gm_tape_context(tape), GM_E_INVALID,
                                     "broadcast: rank %d with %s, expected 0 to %d", (int)rank,
                                     shape ? "a shape" : "shape NULL", GM_MAX_RANK));
    if (rank) memcpy(attr.shape, shape, (size_t)rank * sizeof *shape);
    return gm_record1(tape, &gm_op_broadcast, a, &attr, sizeof attr);
}
