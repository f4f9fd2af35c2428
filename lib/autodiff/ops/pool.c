/* pool.c - windows of an image: their maximum and their mean; plane by plane. */
#include "autodiff/gradient.h"
#include "gm/conv.h"
#include "kernels/conv/conv.h"
#include "tensor/tensor.h"

typedef struct pool_attr {
    int64_t kernel, stride, padding;
} pool_attr;

static gm_status pool_infer(gm_call *c)
{
    static const char *const axis[2] = { "height", "width" };
    const pool_attr *p = c->attr;
    const gm_node *x = c->in[0];
    const char *name = c->op->name;
    char text[GM_SHAPE_TEXT];
    if (p->kernel < 1 || p->kernel > GM_CONV_LARGEST || p->stride < 1 ||
        p->stride > GM_CONV_LARGEST)
        return gm_fail(c->ctx, GM_E_INVALID,
                       "%s: kernel is %lld, stride is %lld, expected 1 to 2^30", name,
                       (long long)p->kernel, (long long)p->stride);
    if (p->padding < 0 || p->padding > p->kernel / 2)
        return gm_fail(c->ctx, GM_E_INVALID,
                       "%s: padding is %lld, expected 0 to half the kernel (%lld)", name,
                       (long long)p->padding, (long long)p->kernel);
    if (x->rank != 4)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, expected rank 4", name,
                       gm_shape_text(text, x->rank, x->shape));
    gm_infer_same(c);
    for (int i = 0; i < 2; i++) {
        int64_t size = x->shape[2 + i], span = size + 2 * p->padding - p->kernel;
        if (span < 0 || size < 1 || size > GM_CONV_LARGEST)
            return gm_fail(c->ctx, GM_E_SHAPE,
                           "%s: %s: (%lld + 2*%lld - %lld) / %lld + 1 is below 1 (input %lld, "
                           "padding %lld, kernel %lld, stride %lld)",
                           name, axis[i], (long long)size, (long long)p->padding,
                           (long long)p->kernel, (long long)p->stride, (long long)size,
                           (long long)p->padding, (long long)p->kernel, (long long)p->stride);
        c->out->shape[2 + i] = span / p->stride + 1;
    }
    if (c->op == &gm_op_max_pool2d) {
        if (x->shape[2] * x->shape[3] > INT32_MAX)
            return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, an image is over 2^31 - 1", name,
                           gm_shape_text(text, x->rank, x->shape));
        /* Where each maximum was found: one int32_t fits a float's place. */
        gm_status status = gm_shape_count(c->ctx, name, 4, c->out->shape, &c->saved);
        if (status) return status;
    }
    return GM_OK;
}

typedef struct pool_job {
    const gm_kernels *k;
    const pool_attr *p;
    int64_t h, w, oh, ow;
    const float *x;
    float *y;
    int32_t *at;
    float *dx;
    const float *dy;
    int add;
} pool_job;

static pool_job job_of(const gm_call *c)
{
    const int64_t *in = c->in[0]->shape, *out = c->out->shape;
    pool_job job = { c->k,
                     c->attr,
                     in[2],
                     in[3],
                     out[2],
                     out[3],
                     c->in[0]->value,
                     c->out->value,
                     (int32_t *)(void *)c->out->saved,
                     c->grad[0],
                     c->out->grad,
                     c->add[0] };
    return job;
}

static void run_planes(const gm_call *c, pool_job *job, gm_range_fn fn)
{
    const int64_t *in = c->in[0]->shape;
    gm_team_range(c->team, in[0] * in[1], gm_grain_rows(in[2] * in[3]), fn, job);
}

/* The windows first .. end - 1 in which tap t of an axis is inside. */
static void reach(const pool_attr *p, int64_t out, int64_t size, int64_t t, int64_t *first,
                  int64_t *end)
{
    int64_t shift = t - p->padding;
    *first = shift < 0 ? (-shift + p->stride - 1) / p->stride : 0;
    *end = shift < size ? (size - 1 - shift) / p->stride + 1 : 0;
    if (*end > out) *end = out;
    if (*first > *end) *first = *end;
}

/* Only the taps that some window has inside. */
static int64_t taps_of(const pool_attr *p, int64_t size)
{
    return p->kernel < size + p->padding ? p->kernel : size + p->padding;
}

static void max_planes(void *arg, int64_t begin, int64_t end)
{
    const pool_job *job = arg;
    const pool_attr *p = job->p;
    int64_t s = p->stride, taps_h = taps_of(p, job->h), taps_w = taps_of(p, job->w);
    for (int64_t n = begin; n < end; n++)
        for (int64_t i = 0; i < job->oh; i++) {
            float *best = job->y + (n * job->oh + i) * job->ow;
            int32_t *at = job->at + (n * job->oh + i) * job->ow;
            int64_t top = i * s - p->padding;
            for (int64_t j = 0; j < job->ow;
                 j++) { /* the first element inside, should all be -inf */
                int64_t left = j * s - p->padding;
                best[j] = -INFINITY;
                at[j] = (int32_t)((top > 0 ? top : 0) * job->w + (left > 0 ? left : 0));
            }
            for (int64_t a = 0; a < taps_h; a++) {
                int64_t row = top + a, first, last;
                if (row < 0 || row >= job->h) continue;
                for (int64_t b = 0; b < taps_w; b++) {
                    reach(p, job->ow, job->w, b, &first, &last);
                    int64_t from = row * job->w + first * s + b - p->padding;
                    if (first < last)
                        job->k->pool_max(best + first, at + first,
                                         job->x + n * job->h * job->w + from, s, (int32_t)from,
                                         last - first);
                }
            }
        }
}

static gm_status max_forward(gm_call *c)
{
    pool_job job = job_of(c);
    if (c->out->count) run_planes(c, &job, max_planes);
    return GM_OK;
}

static void max_grad_planes(void *arg, int64_t begin, int64_t end)
{
    const pool_job *job = arg;
    int64_t area = job->h * job->w, outputs = job->oh * job->ow;
    if (!job->add) job->k->fill(job->dx + begin * area, 0, (end - begin) * area);
    for (int64_t n = begin; n < end; n++) {
        float *dx = job->dx + n * area;
        const float *dy = job->dy + n * outputs;
        const int32_t *at = job->at + n * outputs;
        for (int64_t j = 0; j < outputs; j++) dx[at[j]] += dy[j];
    }
}

static void max_backward(gm_call *c)
{
    pool_job job = job_of(c);
    if (c->grad[0]) run_planes(c, &job, max_grad_planes);
}

const gm_op gm_op_max_pool2d = { "max_pool2d", 1, pool_infer, max_forward, max_backward };

static void avg_planes(void *arg, int64_t begin, int64_t end)
{
    const pool_job *job = arg;
    const pool_attr *p = job->p;
    int64_t s = p->stride, taps_h = taps_of(p, job->h), taps_w = taps_of(p, job->w);
    float factor = (float)(1 / ((double)p->kernel * (double)p->kernel));
    for (int64_t n = begin; n < end; n++)
        for (int64_t i = 0; i < job->oh; i++) {
            float *y = job->y + (n * job->oh + i) * job->ow;
            for (int64_t j = 0; j < job->ow; j++) y[j] = 0;
            for (int64_t a = 0; a < taps_h; a++) {
                int64_t row = i * s - p->padding + a, first, last;
                if (row < 0 || row >= job->h) continue;
                const float *x = job->x + (n * job->h + row) * job->w;
                for (int64_t b = 0; b < taps_w; b++) {
                    reach(p, job->ow, job->w, b, &first, &last);
                    for (int64_t j = first; j < last; j++) y[j] += x[j * s + b - p->padding];
                }
            }
            for (int64_t j = 0; j < job->ow; j++) y[j] *= factor;
        }
}

static gm_status avg_forward(gm_call *c)
{
    pool_job job = job_of(c);
    if (c->out->count) run_planes(c, &job, avg_planes);
    return GM_OK;
}

static void avg_grad_planes(void *arg, int64_t begin, int64_t end)
{
    const pool_job *job = arg;
    const pool_attr *p = job->p;
    int64_t area = job->h * job->w, s = p->stride;
    int64_t taps_h = taps_of(p, job->h), taps_w = taps_of(p, job->w);
    float factor = (float)(1 / ((double)p->kernel * (double)p->kernel));
    if (!job->add) job->k->fill(job->dx + begin * area, 0, (end - begin) * area);
    for (int64_t n = begin; n < end; n++)
        for (int64_t i = 0; i < job->oh; i++) {
            const float *dy = job->dy + (n * job->oh + i) * job->ow;
            for (int64_t a = 0; a < taps_h; a++) {
                int64_t row = i * s - p->padding + a, first, last;
                if (row < 0 || row >= job->h) continue;
                float *dx = job->dx + n * area + row * job->w;
                for (int64_t b = 0; b < taps_w; b++) {
                    reach(p, job->ow, job->w, b, &first, &last);
                    for (int64_t j = first; j < last; j++)
                        dx[j * s + b - p->padding] += factor * dy[j];
                }
            }
        }
}

static void avg_backward(gm_call *c)
{
    pool_job job = job_of(c);
    if (c->grad[0]) run_planes(c, &job, avg_grad_planes);
}

/* Each plane is convolved with a kernel of 1 / kernel^2: the gradient is the transposed
 * convolution. */
static void avg_gradient(gm_chain *c)
{
    const pool_attr *p = c->node->attr;
    const gm_node *x = c->from[0], *y = c->node;
    gm_tape *t = c->tape;
    int64_t planes = x->shape[0] * x->shape[1];
    gm_conv_geometry g = { { p->stride, p->stride }, { p->padding, p->padding }, { 1, 1 }, 1 };
    gm_var mean = gm_constant(t, 4, (int64_t[]){ 1, 1, p->kernel, p->kernel },
                              1 / ((double)p->kernel * (double)p->kernel));
    gm_var dy = gm_reshape(t, c->dy, 4, (int64_t[]){ planes, 1, y->shape[2], y->shape[3] });
    c->din[0] = gm_chain_reshape(t, gm_conv_transpose2d_sized(t, dy, mean, &g, x->shape + 2), x);
}

const gm_op gm_op_avg_pool2d = { "avg_pool2d", 1,           pool_infer, avg_forward,
                                 avg_backward, avg_gradient };

gm_var gm_max_pool2d(gm_tape *tape, gm_var x, int64_t kernel, int64_t stride, int64_t padding)
{
    pool_attr attr = { kernel, stride, padding };
    return gm_record1(tape, &gm_op_max_pool2d, x, &attr, sizeof attr);
}

gm_var gm_avg_pool2d(gm_tape *tape, gm_var x, int64_t kernel, int64_t stride, int64_t padding)
{
    pool_attr attr = { kernel, stride, padding };
    return gm_record1(tape, &gm_op_avg_pool2d, x, &attr, sizeof attr);
}
