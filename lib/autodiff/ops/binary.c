/* binary.c - arithmetic and comparisons with broadcasting (NumPy's rule: aligned at the last axes,
 * size 1 is repeated). */
#include "autodiff/gradient.h"

static int32_t kind_of(const gm_call *c)
{
    const int32_t *kind = c->attr;
    return *kind;
}

/* Arrays of the walk: 0 the first operand, 1 the second, 2 the output or its gradient. */
typedef struct binary_job {
    const gm_kernels *k;
    int32_t kind;
    int which; /* whose gradient */
    int64_t sp, sq;
    const float *p, *q, *dy;
    float *y; /* output, or the gradient wanted */
} binary_job;

static void binary_setup(const gm_call *c, gm_strided *g, binary_job *job)
{
    gm_strided_begin(g, c->out->rank, c->out->shape);
    gm_strided_array(g, 0, c->in[0]->rank, c->in[0]->shape);
    gm_strided_array(g, 1, c->in[1]->rank, c->in[1]->shape);
    gm_strided_array(g, 2, c->out->rank, c->out->shape);
    gm_strided_merge(g);
    job->k = c->k;
    job->kind = kind_of(c);
    job->sp = g->stride[0][g->axes - 1];
    job->sq = g->stride[1][g->axes - 1];
    job->p = c->in[0]->value;
    job->q = c->in[1]->value;
}

static void binary_run(void *arg, const int64_t at[GM_STRIDED_ARRAYS], int64_t n, int add)
{
    const binary_job *job = arg;
    (void)add;
    job->k->binary(job->kind, job->y + at[2], job->p + at[0], job->sp, job->q + at[1], job->sq, n);
}

static gm_status binary_forward(gm_call *c)
{
    gm_strided g;
    binary_job job = { 0 };
    if (!c->out->count) return GM_OK;
    binary_setup(c, &g, &job);
    job.y = c->out->value;
    gm_strided_walk(c->team, &g, 2, 0, binary_run, &job);
    return GM_OK;
}

static void binary_grad_run(void *arg, const int64_t at[GM_STRIDED_ARRAYS], int64_t n, int add)
{
    const binary_job *job = arg;
    job->k->binary_grad(job->kind, job->which, job->y + at[job->which], job->dy + at[2],
                        job->p + at[0], job->sp, job->q + at[1], job->sq, n, add);
}

static void binary_backward(gm_call *c)
{
    for (int which = 0; which < 2; which++) {
        gm_strided g;
        binary_job job = { 0 };
        if (!c->grad[which]) continue;
        if (!c->out->count) { /* repeated zero times */
            if (!c->add[which]) gm_fill_over(c, c->grad[which], 0, c->in[which]->count);
            continue;
        }
        binary_setup(c, &g, &job);
        job.which = which;
        job.dy = c->out->grad;
        job.y = c->grad[which];
        gm_strided_walk(c->team, &g, which, c->add[which], binary_grad_run, &job);
    }
}

/* Which part of dy a minimum or a maximum gives to its operand `own`: all where it is the result, a
 * half where both are equal, 0 elsewhere; as the kernel, all where there is a NaN. */
static gm_var share(gm_tape *t, int32_t kind, gm_var own, gm_var other)
{
    gm_var low = kind == GM_BINARY_MAXIMUM ? own : other;
    gm_var high = kind == GM_BINARY_MAXIMUM ? other : own;
    gm_var twice = gm_add(t, gm_less(t, low, high), gm_less_equal(t, low, high));
    return gm_shift(t, gm_scale(t, twice, -0.5), 1);
}

static void binary_gradient(gm_chain *c)
{
    gm_tape *t = c->tape;
    gm_var p = c->in[0], q = c->in[1], dy = c->dy, dp = dy, dq = dy;
    const int32_t *kind = c->node->attr;
    switch (*kind) {
    case GM_BINARY_MUL:
        if (c->wanted[0]) dp = gm_mul(t, dy, q);
        if (c->wanted[1]) dq = gm_mul(t, dy, p);
        break;
    case GM_BINARY_DIV: /* y = p / q: dy / q, and -y dy / q */
        dp = gm_div(t, dy, q);
        if (c->wanted[1]) dq = gm_neg(t, gm_mul(t, dp, c->out));
        break;
    case GM_BINARY_MINIMUM:
    case GM_BINARY_MAXIMUM:
        if (c->wanted[0]) dp = gm_mul(t, dy, share(t, *kind, p, q));
        if (c->wanted[1]) dq = gm_mul(t, dy, share(t, *kind, q, p));
        break;
    default:
        break;
    }
    if (c->wanted[0]) c->din[0] = gm_chain_sum_to(t, dp, c->from[0]);
    if (c->wanted[1]) {
        c->din[1] = gm_chain_sum_to(t, dq, c->from[1]);
        if (*kind == GM_BINARY_SUB) c->din[1] = gm_neg(t, c->din[1]);
    }
}

#define BINARY_OP(WORD, word)                                                                      \
    const gm_op gm_op_##word = {                                                                   \
        #word, 2, gm_infer_broadcast, binary_forward, binary_backward, binary_gradient             \
    };
GM_BINARY_TABLE(BINARY_OP)

/* Constant wherever they have a derivative. */
#define COMPARISON_OP(WORD, word)                                                                  \
    const gm_op gm_op_##word = { #word, 2, gm_infer_broadcast, binary_forward, NULL, NULL };
GM_COMPARISON_TABLE(COMPARISON_OP)

static gm_var binary(gm_tape *tape, const gm_op *op, gm_var a, gm_var b, int32_t kind)
{
    return gm_record2(tape, op, a, b, &kind, sizeof kind);
}

#define BINARY_FUNCTION(WORD, word)                                                                \
    gm_var gm_##word(gm_tape *tape, gm_var a, gm_var b)                                            \
    {                                                                                              \
        return binary(tape, &gm_op_##word, a, b, GM_BINARY_##WORD);                                \
    }

GM_BINARY_TABLE(BINARY_FUNCTION)
GM_COMPARISON_TABLE(BINARY_FUNCTION)
