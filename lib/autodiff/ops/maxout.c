/* maxout.c - the largest of each few neighbours (Goodfellow et al. 2013). */
#include "autodiff/gradient.h"

static gm_status maxout_infer(gm_call *c)
{
    const int64_t *pieces = c->attr;
    const gm_node *x = c->in[0];
    char text[GM_SHAPE_TEXT];
    if (*pieces < 1)
        return gm_fail(c->ctx, GM_E_INVALID, "maxout: pieces is %lld, expected at least 1",
                       (long long)*pieces);
    if (x->rank < 1 || x->shape[x->rank - 1] % *pieces)
        return gm_fail(c->ctx, GM_E_SHAPE,
                       "maxout: input is %s, expected a last axis that %lld pieces divide",
                       gm_shape_text(text, x->rank, x->shape), (long long)*pieces);
    gm_infer_same(c);
    c->out->shape[x->rank - 1] /= *pieces;
    /* Which piece won, for each group: that alone decides where the gradient goes. */
    c->saved = x->count / *pieces;
    return GM_OK;
}

typedef struct maxout_job {
    const gm_kernels *k;
    int64_t pieces;
    float *which;
    float *y;
    const float *x;
    float *dx;
    int add;
} maxout_job;

static void forward_range(void *arg, int64_t begin, int64_t end)
{
    const maxout_job *job = arg;
    job->k->maxout(job->y + begin, job->which + begin, job->x + begin * job->pieces, end - begin,
                   job->pieces);
}

static void backward_range(void *arg, int64_t begin, int64_t end)
{
    const maxout_job *job = arg;
    job->k->maxout_grad(job->dx + begin * job->pieces, job->y + begin, job->which + begin,
                        end - begin, job->pieces, job->add);
}

static gm_status maxout_forward(gm_call *c)
{
    const int64_t *pieces = c->attr;
    maxout_job job = { c->k, *pieces, c->out->saved, c->out->value, c->in[0]->value, NULL, 0 };
    gm_team_range(c->team, c->out->count, gm_grain_rows(*pieces), forward_range, &job);
    return GM_OK;
}

static void maxout_backward(gm_call *c)
{
    const int64_t *pieces = c->attr;
    if (!c->grad[0]) return;
    maxout_job job = { c->k, *pieces, c->out->saved, c->out->grad, NULL, c->grad[0], c->add[0] };
    gm_team_range(c->team, c->out->count, gm_grain_rows(*pieces), backward_range, &job);
}

/* dy to the piece that won, as a product with a constant of ones there. */
static void maxout_gradient(gm_chain *c)
{
    const int64_t *pieces = c->node->attr;
    const gm_node *x = c->from[0];
    int64_t groups = c->node->count;
    gm_tape *t = c->tape;
    float *won = gm_tape_scratch(t, (size_t)x->count * sizeof *won);
    if (!won) return;
    memset(won, 0, (size_t)x->count * sizeof *won);
    for (int64_t i = 0; i < groups; i++) won[i * *pieces + (int64_t)c->node->saved[i]] = 1;
    gm_var mask = gm_input_array(t, 2, (int64_t[]){ groups, *pieces }, won);
    gm_var dy = gm_reshape(t, c->dy, 2, (int64_t[]){ groups, 1 });
    c->din[0] = gm_chain_reshape(t, gm_mul(t, dy, mask), x);
}

const gm_op gm_op_maxout = { "maxout",       1, maxout_infer, maxout_forward, maxout_backward,
                             maxout_gradient };

gm_var gm_maxout(gm_tape *tape, gm_var x, int64_t pieces)
{
    return gm_record1(tape, &gm_op_maxout, x, &pieces, sizeof pieces);
}
