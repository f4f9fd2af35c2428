/* losses_gaussian.c - log-density and KL of Gaussians with diagonal covariance, one value a row. */
#include "autodiff/gradient.h"
#include "autodiff/ops/losses.h"

typedef struct gaussian_job {
    const gm_call *c;
    gm_loss_sizes s;
} gaussian_job;

static float *row_of(float *base, int64_t row, int64_t cols)
{
    return base ? base + row * cols : NULL;
}

static gm_status nll_infer(gm_call *c)
{
    gm_status s = gm_loss_infer(c, 2, "mean", "x");
    if (s) return s;
    if (!gm_same_shape(c->in[0], c->in[1]))
        return gm_fail_shapes(c, "mean", c->in[0], "log_variance", c->in[1],
                              ", expected the same, or one that broadcasts to the mean's");
    return GM_OK;
}

static void nll_range(void *arg, int64_t begin, int64_t end)
{
    const gaussian_job *job = arg;
    const gm_call *c = job->c;
    int64_t cols = job->s.cols, rep = job->s.rep;
    const float *mean = c->in[0]->value, *lv = c->in[1]->value, *x = c->in[2]->value;
    float *y = c->out->value;
    if (rep == 1) {
        c->k->gaussian_nll_rows(y + begin, mean + begin * cols, lv + begin * cols, x + begin * cols,
                                end - begin, cols);
        return;
    }
    for (int64_t r = begin; r < end; r++)
        c->k->gaussian_nll_rows(y + r, mean + r * cols, lv + r * cols, x + r / rep * cols, 1, cols);
}

static gm_status nll_forward(gm_call *c)
{
    gaussian_job job = { c, gm_loss_sizes_of(c, 2) };
    gm_team_range(c->team, job.s.rows, gm_grain_rows(job.s.cols), nll_range, &job);
    return GM_OK;
}

/* Target rows [begin, end), rep rows of the mean each; `which` inputs' gradients (bits). */
static void nll_grad_part(const gaussian_job *job, int64_t begin, int64_t end, int which)
{
    const gm_call *c = job->c;
    int64_t cols = job->s.cols, rep = job->s.rep;
    const float *mean = c->in[0]->value, *lv = c->in[1]->value, *x = c->in[2]->value;
    float *dmean = which & 1 ? c->grad[0] : NULL, *dlv = which & 2 ? c->grad[1] : NULL,
          *dx = which & 4 ? c->grad[2] : NULL;
    int64_t step = rep == 1 ? end - begin : 1;
    for (int64_t r = begin * rep; r < end * rep; r += step)
        c->k->gaussian_nll_rows_grad(row_of(dmean, r, cols), row_of(dlv, r, cols),
                                     row_of(dx, r / rep, cols), c->out->grad + r, mean + r * cols,
                                     lv + r * cols, x + r / rep * cols, step, cols, c->add[0],
                                     c->add[1], c->add[2] || r % rep);
}

/* A variable given twice has one gradient array, and a kernel's outputs must not overlap: then one
 * by one. */
static int overlap(const gm_call *c)
{
    for (int32_t i = 0; i < c->inputs; i++)
        for (int32_t j = 0; j < i; j++)
            if (c->grad[i] && c->grad[i] == c->grad[j]) return 1;
    return 0;
}

static void nll_grad_range(void *arg, int64_t begin, int64_t end)
{
    const gaussian_job *job = arg;
    if (!overlap(job->c)) {
        nll_grad_part(job, begin, end, 7);
        return;
    }
    for (int which = 1; which < 8; which *= 2) nll_grad_part(job, begin, end, which);
}

static void nll_backward(gm_call *c)
{
    gaussian_job job = { c, gm_loss_sizes_of(c, 2) };
    int64_t rep = job.s.rep;
    gm_team_range(c->team, job.s.rows / rep, gm_grain_rows(job.s.cols * rep), nll_grad_range, &job);
}

const gm_op gm_op_gaussian_nll = { "gaussian_nll", 3, nll_infer, nll_forward, nll_backward,
                                   gm_gradient_nll };

/* Whether b repeats to a's shape. */
static int broadcasts_to(const gm_node *a, const gm_node *b)
{
    if (b->rank > a->rank) return 0;
    for (int32_t i = 1; i <= b->rank; i++) {
        int64_t size = b->shape[b->rank - i];
        if (size != 1 && size != a->shape[a->rank - i]) return 0;
    }
    return 1;
}

gm_var gm_gaussian_nll(gm_tape *tape, gm_var mean, gm_var log_variance, gm_var x)
{
    const gm_node *m, *lv;
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    m = gm_tape_node(tape, mean);
    lv = m ? gm_tape_node(tape, log_variance) : NULL;
    if (!m || !lv) return GM_NO_VAR;
    /* A shared log-variance is written out; its gradient is summed by the addition. */
    if (!gm_same_shape(m, lv) && broadcasts_to(m, lv))
        log_variance = gm_add(tape, gm_constant(tape, m->rank, m->shape, 0), log_variance);
    return gm_record3(tape, &gm_op_gaussian_nll, mean, log_variance, x, NULL, 0);
}

static gm_status kl_infer(gm_call *c)
{
    if (c->in[0]->rank < 1 || !gm_same_shape(c->in[0], c->in[1]))
        return gm_fail_shapes(c, "mean", c->in[0], "log_variance", c->in[1],
                              ", expected the same, [n, ...]");
    c->out->rank = 1;
    c->out->shape[0] = c->in[0]->shape[0];
    return GM_OK;
}

static void kl_range(void *arg, int64_t begin, int64_t end)
{
    const gaussian_job *job = arg;
    const gm_call *c = job->c;
    int64_t at = begin * job->s.cols;
    c->k->gaussian_kl_rows(c->out->value + begin, c->in[0]->value + at, c->in[1]->value + at,
                           end - begin, job->s.cols);
}

static gm_status kl_forward(gm_call *c)
{
    gaussian_job job = { c, gm_loss_sizes_of(c, 1) };
    gm_team_range(c->team, job.s.rows, gm_grain_rows(job.s.cols), kl_range, &job);
    return GM_OK;
}

static void kl_grad_range(void *arg, int64_t begin, int64_t end)
{
    const gaussian_job *job = arg;
    const gm_call *c = job->c;
    int64_t cols = job->s.cols, at = begin * cols;
    int twice = overlap(c);
    for (int part = 0; part <= twice; part++) {
        float *dmean = twice && part ? NULL : c->grad[0], *dlv = twice && !part ? NULL : c->grad[1];
        c->k->gaussian_kl_rows_grad(row_of(dmean, begin, cols), row_of(dlv, begin, cols),
                                    c->out->grad + begin, c->in[0]->value + at,
                                    c->in[1]->value + at, end - begin, cols, c->add[0], c->add[1]);
    }
}

static void kl_backward(gm_call *c)
{
    gaussian_job job = { c, gm_loss_sizes_of(c, 1) };
    gm_team_range(c->team, job.s.rows, gm_grain_rows(job.s.cols), kl_grad_range, &job);
}

const gm_op gm_op_gaussian_kl = { "gaussian_kl", 2,           kl_infer,
                                  kl_forward,    kl_backward, gm_gradient_kl };

gm_var gm_gaussian_kl(gm_tape *tape, gm_var mean, gm_var log_variance)
{
    return gm_record2(tape, &gm_op_gaussian_kl, mean, log_variance, NULL, 0);
}
