/* upsample.c - larger images: elements repeated, or channels moved to positions. */
#include "autodiff/gradient.h"
#include "gm/conv.h"
#include "kernels/conv/conv.h"

typedef struct upsample_attr {
    int64_t factor;
} upsample_attr;

static gm_status upsample_infer(gm_call *c)
{
    int64_t f = ((const upsample_attr *)c->attr)->factor;
    const gm_node *x = c->in[0];
    const char *name = c->op->name;
    char text[GM_SHAPE_TEXT];
    if (f < 1 || f > GM_CONV_LARGEST)
        return gm_fail(c->ctx, GM_E_INVALID, "%s: factor is %lld, expected 1 to 2^30", name,
                       (long long)f);
    gm_shape_text(text, x->rank, x->shape);
    if (x->rank != 4)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, expected rank 4", name, text);
    gm_infer_same(c);
    for (int i = 2; i < 4; i++)
        if (!gm_mul_size(x->shape[i], f, &c->out->shape[i]))
            return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, factor %lld makes it too large",
                           name, text, (long long)f);
    if (c->op == &gm_op_pixel_shuffle) {
        if (x->shape[1] % (f * f))
            return gm_fail(c->ctx, GM_E_SHAPE,
                           "%s: input is %s, factor %lld expects a multiple of %lld channels", name,
                           text, (long long)f, (long long)(f * f));
        c->out->shape[1] = x->shape[1] / (f * f);
    }
    return GM_OK;
}

typedef struct upsample_job {
    int64_t f, h, w;
    const float *x;
    float *y;
    float *dx;
    const float *dy;
    int add;
} upsample_job;

static void run_planes(gm_call *c, gm_range_fn fn)
{
    const gm_node *x = c->in[0];
    upsample_job job = { ((const upsample_attr *)c->attr)->factor,
                         x->shape[2],
                         x->shape[3],
                         x->value,
                         c->out->value,
                         c->grad[0],
                         c->out->grad,
                         c->add[0] };
    int64_t planes = c->out->shape[0] * c->out->shape[1];
    if (c->out->count)
        gm_team_range(c->team, planes, gm_grain_rows(c->out->shape[2] * c->out->shape[3]), fn,
                      &job);
}

static void upsample_planes(void *arg, int64_t begin, int64_t end)
{
    const upsample_job *job = arg;
    int64_t f = job->f, w = job->w;
    for (int64_t i = begin * job->h; i < end * job->h; i++) {
        const float *x = job->x + i * w;
        float *y = job->y + i * w * f * f;
        for (int64_t j = 0; j < w; j++)
            for (int64_t b = 0; b < f; b++) y[j * f + b] = x[j];
        for (int64_t a = 1; a < f; a++) memcpy(y + a * w * f, y, (size_t)(w * f) * sizeof *y);
    }
}

static gm_status upsample_forward(gm_call *c)
{
    run_planes(c, upsample_planes);
    return GM_OK;
}

static void upsample_grad_planes(void *arg, int64_t begin, int64_t end)
{
    const upsample_job *job = arg;
    int64_t f = job->f, w = job->w;
    for (int64_t i = begin * job->h; i < end * job->h; i++) {
        float *dx = job->dx + i * w;
        const float *dy = job->dy + i * w * f * f;
        for (int64_t j = 0; j < w; j++) {
            float sum = 0;
            for (int64_t a = 0; a < f; a++)
                for (int64_t b = 0; b < f; b++) sum += dy[(a * w + j) * f + b];
            dx[j] = sum + (job->add ? dx[j] : 0);
        }
    }
}

static void upsample_backward(gm_call *c)
{
    if (c->grad[0]) run_planes(c, upsample_grad_planes);
}

/* Rows [n c h, f, w, f], summed over both f. */
static void upsample_gradient(gm_chain *c)
{
    static const int32_t repeated[2] = { 1, 3 };
    const upsample_attr *attr = c->node->attr;
    const gm_node *x = c->from[0];
    int64_t f = attr->factor, rows = gm_sizes_product(x->shape, 3);
    gm_var dy = gm_reshape(c->tape, c->dy, 4, (int64_t[]){ rows, f, x->shape[3], f });
    c->din[0] = gm_chain_reshape(c->tape, gm_sum_axes(c->tape, dy, repeated, 2, 0), x);
}

const gm_op gm_op_upsample_nearest = { "upsample_nearest", 1,
                                       upsample_infer,     upsample_forward,
                                       upsample_backward,  upsample_gradient };

/* Output plane n c is made of the f^2 input planes from n c f^2 on. */
static void shuffle_planes(void *arg, int64_t begin, int64_t end)
{
    const upsample_job *job = arg;
    int64_t f = job->f, h = job->h, w = job->w;
    for (int64_t row = begin * h * f; row < end * h * f; row++) {
        int64_t plane = row / (h * f), i = row % (h * f) / f, a = row % f;
        for (int64_t b = 0; b < f; b++) {
            int64_t at = (((plane * f + a) * f + b) * h + i) * w;
            float *y = job->y + row * w * f + b;
            for (int64_t j = 0; j < w; j++) y[j * f] = job->x[at + j];
        }
    }
}

static gm_status shuffle_forward(gm_call *c)
{
    run_planes(c, shuffle_planes);
    return GM_OK;
}

static void shuffle_grad_planes(void *arg, int64_t begin, int64_t end)
{
    const upsample_job *job = arg;
    int64_t f = job->f, h = job->h, w = job->w;
    for (int64_t row = begin * h * f; row < end * h * f; row++) {
        int64_t plane = row / (h * f), i = row % (h * f) / f, a = row % f;
        for (int64_t b = 0; b < f; b++) {
            float *dx = job->dx + (((plane * f + a) * f + b) * h + i) * w;
            const float *dy = job->dy + row * w * f + b;
            for (int64_t j = 0; j < w; j++) dx[j] = dy[j * f] + (job->add ? dx[j] : 0);
        }
    }
}

static void shuffle_backward(gm_call *c)
{
    if (c->grad[0]) run_planes(c, shuffle_grad_planes);
}

/* [n c, h, a, w, b] back to [n c, a, b, h, w] */
static void shuffle_gradient(gm_chain *c)
{
    static const int32_t back[5] = { 0, 2, 4, 1, 3 };
    const upsample_attr *attr = c->node->attr;
    const gm_node *x = c->from[0], *y = c->node;
    int64_t f = attr->factor, planes = y->shape[0] * y->shape[1];
    gm_var dy =
        gm_reshape(c->tape, c->dy, 5, (int64_t[]){ planes, x->shape[2], f, x->shape[3], f });
    c->din[0] = gm_chain_reshape(c->tape, gm_transpose(c->tape, dy, back), x);
}

const gm_op gm_op_pixel_shuffle = { "pixel_shuffle",  1,
                                    upsample_infer,   shuffle_forward,
                                    shuffle_backward, shuffle_gradient };

gm_var gm_upsample_nearest(gm_tape *tape, gm_var x, int64_t factor)
{
    upsample_attr attr = { factor };
    return gm_record1(tape, &gm_op_upsample_nearest, x, &attr, sizeof attr);
}

gm_var gm_pixel_shuffle(gm_tape *tape, gm_var x, int64_t factor)
{
    upsample_attr attr = { factor };
    return gm_record1(tape, &gm_op_pixel_shuffle, x, &attr, sizeof attr);
}
