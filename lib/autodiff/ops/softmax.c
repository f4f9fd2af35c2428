/* softmax.c - softmax, its logarithm, and the logarithm of its denominator, over the last axis.
 */
#include "autodiff/gradient.h"

static gm_status softmax_infer(gm_call *c)
{
    const gm_node *a = c->in[0];
    char text[GM_SHAPE_TEXT];
    if (a->rank < 1 || a->shape[a->rank - 1] < 1)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, expected a last axis of at least 1",
                       c->op->name, gm_shape_text(text, a->rank, a->shape));
    gm_infer_same(c);
    if (c->op == &gm_op_logsumexp) {
        c->out->rank--;
        c->saved = 2 * (a->count / a->shape[a->rank - 1]); /* the result in two parts */
    }
    return GM_OK;
}

/* Rows [begin, end) each way; which kernels they call depends on the op alone. */
typedef struct rows_job {
    const gm_call *c;
    int64_t cols;
} rows_job;

static void forward_range(void *arg, int64_t begin, int64_t end)
{
    const rows_job *job = arg;
    const gm_call *c = job->c;
    const float *x = c->in[0]->value + begin * job->cols;
    float *y = c->out->value;
    if (c->op == &gm_op_softmax)
        c->k->softmax(y + begin * job->cols, x, end - begin, job->cols);
    else if (c->op == &gm_op_log_softmax)
        c->k->log_softmax(y + begin * job->cols, x, end - begin, job->cols);
    else
        c->k->logsumexp(y + begin, c->out->saved + begin, c->out->saved + c->out->count + begin, x,
                        end - begin, job->cols);
}

static void backward_range(void *arg, int64_t begin, int64_t end)
{
    const rows_job *job = arg;
    const gm_call *c = job->c;
    int64_t at = begin * job->cols, rows = end - begin;
    const float *y = c->out->value, *dy = c->out->grad, *saved = c->out->saved;
    float *dx = c->grad[0] + at;
    if (c->op == &gm_op_softmax)
        c->k->softmax_grad(dx, dy + at, y + at, rows, job->cols, c->add[0]);
    else if (c->op == &gm_op_log_softmax)
        c->k->log_softmax_grad(dx, dy + at, y + at, rows, job->cols, c->add[0]);
    else
        c->k->logsumexp_grad(dx, dy + begin, c->in[0]->value + at, saved + begin,
                             saved + c->out->count + begin, rows, job->cols, c->add[0]);
}

static void over_rows(const gm_call *c, gm_range_fn fn)
{
    const gm_node *a = c->in[0];
    rows_job job = { c, a->shape[a->rank - 1] };
    gm_team_range(c->team, a->count / job.cols, gm_grain_rows(job.cols), fn, &job);
}

static gm_status softmax_forward(gm_call *c)
{
    over_rows(c, forward_range);
    return GM_OK;
}

static void softmax_backward(gm_call *c)
{
    if (c->grad[0]) over_rows(c, backward_range);
}

static void softmax_gradient(gm_chain *c)
{
    static const int32_t last = -1;
    gm_tape *t = c->tape;
    gm_var dot = gm_sum_axes(t, gm_mul(t, c->dy, c->out), &last, 1, 1);
    c->din[0] = gm_mul(t, c->out, gm_sub(t, c->dy, dot));
}

static void log_softmax_gradient(gm_chain *c)
{
    static const int32_t last = -1;
    gm_tape *t = c->tape;
    gm_var total = gm_sum_axes(t, c->dy, &last, 1, 1);
    c->din[0] = gm_sub(t, c->dy, gm_mul(t, gm_exp(t, c->out), total));
}

/* dy softmax(x), with dy as a column */
static void logsumexp_gradient(gm_chain *c)
{
    gm_tape *t = c->tape;
    const gm_node *x = c->from[0];
    int64_t column[GM_MAX_RANK];
    memcpy(column, x->shape, sizeof column);
    column[x->rank - 1] = 1;
    gm_var dy = gm_reshape(t, c->dy, x->rank, column);
    c->din[0] = gm_mul(t, dy, gm_softmax(t, c->in[0]));
}

const gm_op gm_op_softmax = { "softmax",       1, softmax_infer, softmax_forward, softmax_backward,
                              softmax_gradient };
const gm_op gm_op_log_softmax = { "log_softmax",    1,
                                  softmax_infer,    softmax_forward,
                                  softmax_backward, log_softmax_gradient };
const gm_op gm_op_logsumexp = { "logsumexp",      1,
                                softmax_infer,    softmax_forward,
                                softmax_backward, logsumexp_gradient };

gm_var gm_softmax(gm_tape *tape, gm_var a)
{
    return gm_record1(tape, &gm_op_softmax, a, NULL, 0);
}

gm_var gm_log_softmax(gm_tape *tape, gm_var a)
{
    return gm_record1(tape, &gm_op_log_softmax, a, NULL, 0);
}

gm_var gm_logsumexp(gm_tape *tape, gm_var a)
{
    return gm_record1(tape, &gm_op_logsumexp, a, NULL, 0);
}
