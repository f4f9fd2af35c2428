/* where.c - one of two values for each element, chosen by a condition. */
#include "autodiff/gradient.h"

/* Arrays of the walk: 0 the condition, 1 and 2 the values, 3 the output or its gradient. */
enum { CONDITION, A, B, OUT };

typedef struct where_job {
    const float *condition;
    int64_t step[GM_STRIDED_ARRAYS]; /* of the innermost axis */
    const float *a, *b;
    float *y;
    int which; /* whose gradient */
    const float *dy;
    float *d;
} where_job;

static void where_setup(const gm_call *c, gm_strided *g, where_job *job)
{
    gm_strided_begin(g, c->out->rank, c->out->shape);
    for (int i = 0; i < 3; i++) gm_strided_array(g, i, c->in[i]->rank, c->in[i]->shape);
    gm_strided_array(g, OUT, c->out->rank, c->out->shape);
    gm_strided_merge(g);
    for (int i = 0; i < GM_STRIDED_ARRAYS; i++) job->step[i] = g->stride[i][g->axes - 1];
    job->condition = c->in[CONDITION]->value;
}

static void where_run(void *arg, const int64_t at[GM_STRIDED_ARRAYS], int64_t n, int add)
{
    const where_job *job = arg;
    const float *condition = job->condition + at[CONDITION], *a = job->a + at[A],
                *b = job->b + at[B];
    const int64_t *step = job->step;
    float *y = job->y + at[OUT];
    (void)add;
    for (int64_t i = 0; i < n; i++)
        y[i] = condition[i * step[CONDITION]] != 0.0f ? a[i * step[A]] : b[i * step[B]];
}

static gm_status where_forward(gm_call *c)
{
    gm_strided g;
    where_job job = { .a = c->in[A]->value, .b = c->in[B]->value, .y = c->out->value };
    if (!c->out->count) return GM_OK;
    where_setup(c, &g, &job);
    gm_strided_walk(c->team, &g, OUT, 0, where_run, &job);
    return GM_OK;
}

static void where_grad_run(void *arg, const int64_t at[GM_STRIDED_ARRAYS], int64_t n, int add)
{
    const where_job *job = arg;
    const float *condition = job->condition + at[CONDITION], *dy = job->dy + at[OUT];
    int64_t step = job->step[CONDITION];
    int wanted = job->which == A;
    float *d = job->d + at[job->which];
    if (job->step[job->which]) {
        for (int64_t i = 0; i < n; i++) {
            float own = (condition[i * step] != 0.0f) == wanted ? dy[i] : 0.0f;
            d[i] = add ? d[i] + own : own;
        }
    } else {
        double sum = add ? (double)*d : 0;
        for (int64_t i = 0; i < n; i++)
            if ((condition[i * step] != 0.0f) == wanted) sum += (double)dy[i];
        *d = (float)sum;
    }
}

static void where_backward(gm_call *c)
{
    if (c->grad[CONDITION] && !c->add[CONDITION])
        gm_fill_over(c, c->grad[CONDITION], 0, c->in[CONDITION]->count);
    for (int which = A; which <= B; which++) {
        gm_strided g;
        where_job job = { .which = which, .dy = c->out->grad, .d = c->grad[which] };
        if (!job.d) continue;
        if (!c->out->count) { /* repeated zero times */
            if (!c->add[which]) gm_fill_over(c, job.d, 0, c->in[which]->count);
            continue;
        }
        where_setup(c, &g, &job);
        gm_strided_walk(c->team, &g, which, c->add[which], where_grad_run, &job);
    }
}

static void where_gradient(gm_chain *c)
{
    gm_tape *t = c->tape;
    gm_var zero = gm_constant(t, 0, NULL, 0), condition = c->in[CONDITION];
    if (c->wanted[A])
        c->din[A] = gm_chain_sum_to(t, gm_where(t, condition, c->dy, zero), c->from[A]);
    if (c->wanted[B])
        c->din[B] = gm_chain_sum_to(t, gm_where(t, condition, zero, c->dy), c->from[B]);
}

const gm_op gm_op_where = { "where",       3, gm_infer_broadcast, where_forward, where_backward,
                            where_gradient };

gm_var gm_where(gm_tape *tape, gm_var condition, gm_var a, gm_var b)
{
    return gm_record3(tape, &gm_op_where, condition, a, b, NULL, 0);
}
