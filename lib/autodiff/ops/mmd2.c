/* mmd2.c - the squared maximum mean discrepancy of two samples (Gretton, Borgwardt, Rasch,
 * Schoelkopf and Smola 2012).
 *
 * A loss is recorded to be differentiated, and the gradient needs what the value needs: all
 * distances. Both are therefore computed at once, and backward only scales.
 */
#include "autodiff/mmd_kernel.h"
#include "autodiff/ops/losses.h"

typedef struct mmd_attr {
    const gm_mmd_kernel *kernel; /* borrowed: not looked at after the recording */
    int32_t estimator;
    int64_t block; /* GM_MMD_BLOCK: rows of a block; 0: the square root of all */
} mmd_attr;

static int64_t row_size(const gm_node *node)
{
    return gm_sizes_product(node->shape + 1, node->rank - 1);
}

static gm_status mmd_infer(gm_call *c)
{
    const mmd_attr *attr = c->attr;
    const gm_node *x = c->in[0], *y = c->in[1];
    int linear = attr->estimator == GM_MMD_LINEAR || attr->estimator == GM_MMD_BLOCK;
    int64_t least = attr->estimator == GM_MMD_BIASED ? 1 : 2;
    if (x->rank < 2 || y->rank < 2 || row_size(x) != row_size(y) || row_size(x) < 1)
        return gm_fail_shapes(c, "x", x, "y", y,
                              ", expected rows [n, ...] and [m, ...] of one width");
    if (attr->block > least) least = attr->block;
    if (x->shape[0] < least || y->shape[0] < least)
        return gm_fail(c->ctx, GM_E_SHAPE,
                       "mmd2: x has %lld rows, y %lld, expected at least %lld of each",
                       (long long)x->shape[0], (long long)y->shape[0], (long long)least);
    if (linear && x->shape[0] != y->shape[0])
        return gm_fail(c->ctx, GM_E_SHAPE,
                       "mmd2: x has %lld rows, y %lld, expected as many of both for this estimator",
                       (long long)x->shape[0], (long long)y->shape[0]);
    c->out->rank = 0;
    c->saved = (x->requires_grad ? x->count : 0) + (y->requires_grad ? y->count : 0);
    return gm_tape_reserve(c->tape, "mmd2", gm_mmd_work_size(row_size(x)));
}

/* With n and m rows: biased sum_ij k(x_i, x_j) / n^2 ..., unbiased without i = j over n (n - 1). */
static double quadratic(const gm_mmd *e, int biased, double scale, const float *x, int64_t n,
                        const float *y, int64_t m, float *gx, float *gy)
{
    double a = (double)n, b = (double)m;
    gm_mmd_sum sum = { scale / (a * (biased ? a : a - 1)), scale / (b * (biased ? b : b - 1)),
                       -2 * scale / (a * b), biased };
    return gm_mmd_total(e, &sum, x, n, y, m, gx, gy);
}

/* The mean over blocks of the unbiased estimate; what does not fill a block is left out. */
static double in_blocks(const gm_mmd *e, int64_t block, const float *x, const float *y, int64_t n,
                        float *gx, float *gy)
{
    int64_t blocks = n / block, size = block * e->d;
    double total = 0;
    for (int64_t i = 0; i < blocks; i++)
        total += quadratic(e, 0, 1 / (double)blocks, x + i * size, block, y + i * size, block,
                           gx ? gx + i * size : NULL, gy ? gy + i * size : NULL);
    return total;
}

static int64_t block_rows(int64_t n, int64_t block)
{
    if (block) return block;
    int64_t root = (int64_t)sqrt((double)n);
    return root < 2 ? 2 : root;
}

/* The biased estimate of a sample against itself is 0, and so is its gradient; the sums, taken in
 * different orders, would only come close. */
static int same_sample(const gm_node *x, const gm_node *y)
{
    return x->count == y->count && x->shape[0] == y->shape[0] &&
           !memcmp(x->value, y->value, (size_t)x->count * sizeof(float));
}

static gm_status mmd_forward(gm_call *c)
{
    const mmd_attr *attr = c->attr;
    const gm_node *x = c->in[0], *y = c->in[1];
    int64_t n = x->shape[0], m = y->shape[0];
    gm_mmd e = gm_mmd_kernel_job(attr->kernel, row_size(x));
    float *gx = x->requires_grad ? c->out->saved : NULL;
    float *gy = y->requires_grad ? c->out->saved + (gx ? x->count : 0) : NULL;
    double value = 0;
    if (c->saved) gm_fill_over(c, c->out->saved, 0, c->saved);
    e.work = c->tape->work;
    switch (attr->estimator) {
    case GM_MMD_BIASED:
        if (!same_sample(x, y)) value = quadratic(&e, 1, 1, x->value, n, y->value, m, gx, gy);
        value = value < 0 ? 0 : value; /* a squared norm; NaN stays */
        break;
    case GM_MMD_UNBIASED:
        value = quadratic(&e, 0, 1, x->value, n, y->value, m, gx, gy);
        break;
    case GM_MMD_LINEAR:
        value = gm_mmd_linear(&e, x->value, y->value, n / 2, gx, gy);
        break;
    default:
        value = in_blocks(&e, block_rows(n, attr->block), x->value, y->value, n, gx, gy);
        break;
    }
    c->out->value[0] = (float)value;
    return GM_OK;
}

typedef struct scaled_job {
    const gm_call *c;
    const float *from;
    int32_t input;
} scaled_job;

static void scaled_range(void *arg, int64_t begin, int64_t end)
{
    const scaled_job *job = arg;
    const gm_call *c = job->c;
    gm_loss_scaled(c->k, c->grad[job->input] + begin, c->out->grad[0], job->from + begin,
                   end - begin, c->add[job->input]);
}

static void mmd_backward(gm_call *c)
{
    const float *from = c->out->saved;
    for (int32_t i = 0; i < 2; i++) {
        scaled_job job = { c, from, i };
        if (c->grad[i]) gm_team_range(c->team, c->in[i]->count, GM_GRAIN, scaled_range, &job);
        if (c->in[i]->requires_grad) from += c->in[i]->count;
    }
}

const gm_op gm_op_mmd2 = { "mmd2", 2, mmd_infer, mmd_forward, mmd_backward, NULL };

gm_var gm_mmd2(gm_tape *tape, gm_var x, gm_var y, gm_mmd_kernel *kernel, int32_t estimator)
{
    mmd_attr attr = { kernel, estimator & 0xff, estimator >> 8 };
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_context *ctx = gm_tape_context(tape);
    if (!kernel || kernel->ctx != ctx || !gm_mmd_kernel_count(kernel))
        return gm_tape_stick(tape, gm_fail(ctx, GM_E_INVALID, "mmd2: the kernel is %s",
                                           !kernel              ? "NULL"
                                           : kernel->ctx != ctx ? "of another context"
                                                                : "without parts"));
    if (estimator < 0 || attr.estimator < GM_MMD_BIASED || attr.estimator > GM_MMD_BLOCK ||
        (attr.block && (attr.estimator != GM_MMD_BLOCK || attr.block < 2)))
        return gm_tape_stick(
            tape,
            gm_fail(ctx, GM_E_INVALID,
                    "mmd2: estimator is %d, expected one of GM_MMD_*, blocks of at least 2 rows",
                    (int)estimator));
    return gm_record2(tape, &gm_op_mmd2, x, y, &attr, sizeof attr);
}
