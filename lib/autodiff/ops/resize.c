/* resize.c - images of another size: the nearest pixel, or a mean of the four around a point.
 *
 * Pixels are squares and the image's edges stay where they are (PyTorch's align_corners=False): the
 * centre of row i of the result lies at (i + 1/2) h / height - 1/2 of the input's rows.
 */
#include "autodiff/gradient.h"
#include "gm/conv.h"
#include "kernels/conv/conv.h"
#include "tensor/tensor.h"

/* From `small` to `large` rows and columns whatever the sizes are; resize's adjoint goes back. */
typedef struct resize_attr {
    int64_t from[2], to[2];
    int32_t mode;
} resize_attr;

/* Saved: for each row, then each column of `to`, the first of two neighbours (an int32_t in a
 * float's place) and the weight of the second. */
typedef struct resize_job {
    int64_t h, w, oh, ow;
    const int32_t *first_h, *first_w;
    const float *weight_h, *weight_w;
    const float *read;
    float *write;
    int add;
} resize_job;

static gm_status resize_infer(gm_call *c)
{
    const resize_attr *attr = c->attr;
    const gm_node *x = c->in[0];
    char text[GM_SHAPE_TEXT];
    int back = c->op == &gm_op_resize_adjoint;
    gm_shape_text(text, x->rank, x->shape);
    if (attr->mode != GM_RESIZE_NEAREST && attr->mode != GM_RESIZE_BILINEAR)
        return gm_fail(c->ctx, GM_E_INVALID, "%s: mode is %d, expected one of GM_RESIZE_*",
                       c->op->name, (int)attr->mode);
    for (int i = 0; i < 2; i++)
        if (attr->to[i] < 1 || attr->to[i] > GM_CONV_LARGEST)
            return gm_fail(c->ctx, GM_E_INVALID, "%s: %s is %lld, expected 1 to 2^30", c->op->name,
                           i ? "width" : "height", (long long)attr->to[i]);
    if (x->rank != 4)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, expected rank 4", c->op->name, text);
    gm_infer_same(c);
    for (int i = 0; i < 2; i++) {
        int64_t from = back ? attr->from[i] : x->shape[2 + i];
        if (from < 1 || from > GM_CONV_LARGEST)
            return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, an image is empty or over 2^30",
                           c->op->name, text);
        c->out->shape[2 + i] = back ? from : attr->to[i];
    }
    c->saved = 2 * (attr->to[0] + attr->to[1]);
    return GM_OK;
}

/* Where the n rows (or columns) of the result lie among `size`. */
static void fill_axis(int32_t mode, int64_t size, int64_t n, int32_t *first, float *weight)
{
    for (int64_t i = 0; i < n; i++) {
        if (mode == GM_RESIZE_NEAREST) {
            first[i] = (int32_t)(i * size / n);
            weight[i] = 0;
            continue;
        }
        double at = ((double)i + 0.5) * (double)size / (double)n - 0.5;
        if (at < 0) at = 0;
        int64_t whole = (int64_t)at;
        if (whole > size - 1) whole = size - 1;
        first[i] = (int32_t)whole;
        weight[i] = whole == size - 1 ? 0 : (float)(at - (double)whole);
    }
}

static resize_job job_of(const gm_call *c)
{
    const resize_attr *attr = c->attr;
    const gm_node *small = c->op == &gm_op_resize ? c->in[0] : c->out;
    int32_t *first = (int32_t *)(void *)c->out->saved;
    resize_job job = { .h = small->shape[2], .w = small->shape[3] };
    job.oh = attr->to[0];
    job.ow = attr->to[1];
    job.first_h = first;
    job.first_w = first + job.oh * (int64_t)(sizeof(float) / sizeof *first);
    return job;
}

static void place(const gm_call *c, resize_job *job, float *saved)
{
    const resize_attr *attr = c->attr;
    int64_t oh = attr->to[0], ow = attr->to[1];
    job->weight_h = saved + oh + ow;
    job->weight_w = saved + 2 * oh + ow;
}

/* y = resized x, plane by plane */
static void gather_planes(void *arg, int64_t begin, int64_t end)
{
    const resize_job *job = arg;
    for (int64_t row = begin * job->oh; row < end * job->oh; row++) {
        int64_t i = row % job->oh;
        float u = job->weight_h[i];
        const float *x = job->read + (row / job->oh * job->h + job->first_h[i]) * job->w;
        const float *below = u > 0 ? x + job->w : x;
        float *y = job->write + row * job->ow;
        for (int64_t j = 0; j < job->ow; j++) {
            int64_t k = job->first_w[j];
            float v = job->weight_w[j], value = x[k];
            if (v > 0) value = (1 - v) * value + v * x[k + 1];
            if (u > 0) {
                float second = below[k];
                if (v > 0) second = (1 - v) * second + v * below[k + 1];
                value = (1 - u) * value + u * second;
            }
            y[j] = value + (job->add ? y[j] : 0);
        }
    }
}

/* x = what gather_planes' gradient is for a gradient y */
static void scatter_planes(void *arg, int64_t begin, int64_t end)
{
    const resize_job *job = arg;
    int64_t area = job->h * job->w;
    if (!job->add)
        memset(job->write + begin * area, 0, (size_t)((end - begin) * area) * sizeof(float));
    for (int64_t row = begin * job->oh; row < end * job->oh; row++) {
        int64_t i = row % job->oh;
        float u = job->weight_h[i];
        float *x = job->write + (row / job->oh * job->h + job->first_h[i]) * job->w;
        float *below = x + job->w; /* where u > 0 */
        const float *y = job->read + row * job->ow;
        for (int64_t j = 0; j < job->ow; j++) {
            int64_t k = job->first_w[j];
            float v = job->weight_w[j];
            x[k] += (1 - u) * (1 - v) * y[j];
            if (v > 0) x[k + 1] += (1 - u) * v * y[j];
            if (u > 0) below[k] += u * (1 - v) * y[j];
            if (u > 0 && v > 0) below[k + 1] += u * v * y[j];
        }
    }
}

static void run(const gm_call *c, resize_job *job, int gather)
{
    int64_t planes = c->out->shape[0] * c->out->shape[1];
    if (!planes) return;
    place(c, job, c->out->saved);
    gm_team_range(c->team, planes, gm_grain_rows(job->oh * job->ow),
                  gather ? gather_planes : scatter_planes, job);
}

static gm_status resize_forward(gm_call *c)
{
    const resize_attr *attr = c->attr;
    resize_job job = job_of(c);
    float *saved = c->out->saved;
    int32_t *first = (int32_t *)(void *)saved;
    int64_t wide = (int64_t)(sizeof(float) / sizeof *first);
    fill_axis(attr->mode, job.h, job.oh, first, saved + job.oh + job.ow);
    fill_axis(attr->mode, job.w, job.ow, first + job.oh * wide, saved + 2 * job.oh + job.ow);
    job.read = c->in[0]->value;
    job.write = c->out->value;
    run(c, &job, c->op == &gm_op_resize);
    return GM_OK;
}

static void resize_backward(gm_call *c)
{
    resize_job job = job_of(c);
    if (!c->grad[0]) return;
    job.read = c->out->grad;
    job.write = c->grad[0];
    job.add = c->add[0];
    run(c, &job, c->op != &gm_op_resize);
}

/* Each is the other's, with the same sizes. */
static void resize_gradient(gm_chain *c)
{
    resize_attr attr = *(const resize_attr *)c->node->attr;
    int back = c->node->op == &gm_op_resize_adjoint;
    if (!back) memcpy(attr.from, c->from[0]->shape + 2, sizeof attr.from);
    c->din[0] = gm_record1(c->tape, back ? &gm_op_resize : &gm_op_resize_adjoint, c->dy, &attr,
                           sizeof attr);
}

const gm_op gm_op_resize = { "resize",       1, resize_infer, resize_forward, resize_backward,
                             resize_gradient };
const gm_op gm_op_resize_adjoint = { "resize_adjoint", 1,
                                     resize_infer,     resize_forward,
                                     resize_backward,  resize_gradient };

gm_var gm_resize(gm_tape *tape, gm_var x, int64_t height, int64_t width, int32_t mode)
{
    resize_attr attr = { { 0, 0 }, { height, width }, mode };
    return gm_record1(tape, &gm_op_resize, x, &attr, sizeof attr);
}
