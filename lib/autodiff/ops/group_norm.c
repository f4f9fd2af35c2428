/* group_norm.c - group norm and instance norm: one mean and one variance for some neighbouring
 * channels of each image (Wu and He 2018), for each of them (Ulyanov, Vedaldi and Lempitsky 2016).
 * Images do not see each other, so an image's bits do not depend on its batch. */
#include "autodiff/ops/norm.h"

#include "base/options.h"

#define RUN 1024 /* floats that a shard takes, about */

typedef struct group_attr {
    gm_affine affine;
    int64_t groups; /* 0: instance norm, as many as there are channels */
    double eps;
} group_attr;

/* All images as one: n c channels, of which `width` neighbours are a group. Saved: for backward's
 * use, which may not run out of memory, two sums in double of each channel; the mean of its group;
 * its 1 / sqrt(variance + eps). */
#define SAVED 6

typedef struct group_job {
    const gm_call *c;
    const group_attr *attr;
    int64_t channels, inner, width, groups;
    int64_t parameters; /* channel i uses gamma and beta i mod this */
    float *mean, *inverse;
    const float *gamma, *beta;
    double *sum, *dot;
} group_job;

static int64_t groups_of(const gm_call *c)
{
    const group_attr *attr = c->attr;
    return attr->groups ? attr->groups : c->in[0]->shape[1];
}

static gm_status group_infer(gm_call *c)
{
    const group_attr *attr = c->attr;
    const gm_node *x = c->in[0];
    const char *name = c->op->name;
    char text[GM_SHAPE_TEXT];
    int instances = c->op == &gm_op_instance_norm;
    int64_t groups = attr->groups, channels;
    gm_shape_text(text, x->rank, x->shape);
    if (!instances && groups < 1)
        return gm_fail(c->ctx, GM_E_INVALID, "%s: groups is %lld, expected at least 1", name,
                       (long long)groups);
    if (x->rank < (instances ? 3 : 2))
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, expected %s", name, text,
                       instances ? "[n, channels, h, w]" : "[n, channels, ...]");
    if (!instances && x->shape[1] % groups)
        return gm_fail(c->ctx, GM_E_SHAPE,
                       "%s: input is %s, %lld groups do not divide %lld channels", name, text,
                       (long long)groups, (long long)x->shape[1]);
    gm_status status = gm_affine_infer(c, &attr->affine, 1, &x->shape[1]);
    if (status) return status;
    int64_t size = gm_sizes_product(x->shape + 2, x->rank - 2);
    if (!instances) size *= x->shape[1] / groups;
    if (size < 2 && (instances || x->shape[1]))
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, %s for each %s, expected at least 2",
                       name, text, size == 1 ? "one value" : "no value",
                       instances ? "plane" : "group");
    gm_infer_same(c);
    if (!gm_mul_size(x->shape[0], x->shape[1], &channels) ||
        !gm_mul_size(channels, SAVED, &c->saved))
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, too many channels", name, text);
    c->saved += !c->saved; /* an address for no channels, too */
    return GM_OK;
}

static group_job job_of(const gm_call *c)
{
    const group_attr *attr = c->attr;
    const gm_node *x = c->in[0];
    group_job job = { .c = c, .attr = attr, .parameters = x->shape[1] };
    job.channels = x->shape[0] * x->shape[1];
    job.inner = gm_sizes_product(x->shape + 2, x->rank - 2);
    job.groups = x->shape[0] * groups_of(c);
    job.width = job.groups ? job.channels / job.groups : 0;
    job.sum = (double *)(void *)c->out->saved;
    job.dot = job.sum + job.channels;
    job.mean = (float *)(void *)(job.dot + job.channels);
    job.inverse = job.mean + job.channels;
    job.gamma = gm_affine_value(c, attr->affine.gamma);
    job.beta = gm_affine_value(c, attr->affine.beta);
    return job;
}

/* Over shards of whole groups. */
static void over_groups(const group_job *job, gm_range_fn fn)
{
    group_job copy = *job;
    int64_t size = job->width * job->inner, grain = size ? RUN / size : 1;
    gm_team_range(job->c->team, job->groups, grain < 1 ? 1 : grain, fn, &copy);
}

/* The next channels from `begin` on that a kernel takes at once. */
static gm_walk walk_from(const group_job *job, int64_t begin, int64_t end)
{
    int64_t n = end - begin < GM_WALK_CHANNELS ? end - begin : GM_WALK_CHANNELS;
    gm_walk w = { 1, n * job->inner, n, job->inner };
    return w;
}

static void statistics(const group_job *job, int64_t begin, int64_t end)
{
    double n = (double)(job->width * job->inner);
    for (int64_t at = begin; at < end;) {
        gm_walk w = walk_from(job, at, end);
        job->c->k->channel_sums(&w, job->sum + at, job->dot + at,
                                job->c->in[0]->value + at * job->inner);
        at += w.channels;
    }
    for (int64_t first = begin; first < end; first += job->width) {
        double sum = 0, square = 0;
        for (int64_t i = first; i < first + job->width; i++) {
            sum += job->sum[i];
            square += job->dot[i];
        }
        double mean = sum / n, variance = square / n - mean * mean;
        if (variance < 0) variance = 0; /* NaN stays */
        for (int64_t i = first; i < first + job->width; i++) {
            job->mean[i] = (float)mean;
            job->inverse[i] = (float)(1 / sqrt(variance + job->attr->eps));
        }
    }
}

static void forward_range(void *arg, int64_t begin, int64_t end)
{
    const group_job *job = arg;
    const gm_affine *affine = &job->attr->affine;
    begin *= job->width;
    end *= job->width;
    statistics(job, begin, end);
    for (int64_t at = begin; at < end;) {
        float scale[GM_WALK_CHANNELS], shift[GM_WALK_CHANNELS];
        gm_walk w = walk_from(job, at, end);
        for (int64_t i = 0; i < w.channels; i++) {
            int64_t p = (at + i) % job->parameters;
            scale[i] = job->gamma ? job->gamma[p] * job->inverse[at + i] : job->inverse[at + i];
            shift[i] = job->beta ? job->beta[p] : 0;
        }
        job->c->k->channel_affine(&w, job->c->out->value + at * job->inner,
                                  job->c->in[0]->value + at * job->inner, job->mean + at, scale,
                                  shift, affine->fused.kind, affine->fused.slope);
        at += w.channels;
    }
}

static gm_status group_forward(gm_call *c)
{
    group_job job = job_of(c);
    if (c->out->count) over_groups(&job, forward_range);
    return GM_OK;
}

static double gamma_at(const group_job *job, int64_t channel)
{
    return job->gamma ? (double)job->gamma[channel % job->parameters] : 1;
}

/* With g = dy gamma / sqrt(v + eps): dx = g - mean(g) - z mean(g z). */
static void backward_range(void *arg, int64_t begin, int64_t end)
{
    const group_job *job = arg;
    const gm_call *c = job->c;
    const gm_affine *affine = &job->attr->affine;
    double n = (double)(job->width * job->inner);
    begin *= job->width;
    end *= job->width;
    for (int64_t at = begin; at < end;) {
        gm_walk w = walk_from(job, at, end);
        int64_t from = at * job->inner;
        c->k->channel_grad_sums(&w, job->sum + at, job->dot + at, c->out->grad + from,
                                c->in[0]->value + from, c->out->value + from, job->mean + at,
                                affine->fused.kind, affine->fused.slope);
        at += w.channels;
    }
    for (int64_t first = begin; c->grad[0] && first < end; first += job->width) {
        double sum = 0, dot = 0, inverse = (double)job->inverse[first];
        for (int64_t i = first; i < first + job->width; i++) {
            sum += gamma_at(job, i) * job->sum[i];
            dot += gamma_at(job, i) * job->dot[i];
        }
        for (int64_t at = first; at < first + job->width;) {
            float a[GM_WALK_CHANNELS], b[GM_WALK_CHANNELS], h[GM_WALK_CHANNELS];
            gm_walk w = walk_from(job, at, first + job->width);
            int64_t from = at * job->inner;
            for (int64_t i = 0; i < w.channels; i++) {
                a[i] = (float)(gamma_at(job, at + i) * inverse);
                b[i] = (float)(-inverse * inverse * inverse * dot / n);
                h[i] = (float)(-inverse * sum / n);
            }
            c->k->channel_grad(&w, c->grad[0] + from, c->out->grad + from, c->in[0]->value + from,
                               job->mean + at, a, b, h, c->add[0]);
            at += w.channels;
        }
    }
    for (int64_t i = begin; i < end; i++) job->dot[i] *= (double)job->inverse[i]; /* sum dy z */
}

/* What the channels of each image add to the parameters they share, in the order of the images. */
static void parameter_gradient(const group_job *job, float *to, int add, const double *terms)
{
    for (int64_t p = 0; to && p < job->parameters; p++) {
        double total = add ? (double)to[p] : 0;
        for (int64_t i = p; i < job->channels; i += job->parameters) total += terms[i];
        to[p] = (float)total;
    }
}

static void group_backward(gm_call *c)
{
    group_job job = job_of(c);
    const gm_affine *affine = &job.attr->affine;
    if (c->out->count) over_groups(&job, backward_range);
    parameter_gradient(&job, gm_affine_grad(c, affine->gamma), c->add[affine->gamma], job.dot);
    parameter_gradient(&job, gm_affine_grad(c, affine->beta), c->add[affine->beta], job.sum);
}

static void group_gradient(gm_chain *c)
{
    const group_attr *attr = c->node->attr;
    const int64_t *shape = c->from[0]->shape;
    int64_t groups = attr->groups ? attr->groups : shape[1];
    int64_t width = groups ? shape[1] / groups : 0;
    const int64_t rows[4] = { shape[0], groups, width,
                              gm_sizes_product(shape + 2, c->from[0]->rank - 2) };
    const int64_t scale[4] = { 1, groups, width, 1 };
    gm_gradient_norm(c, &attr->affine, attr->eps, rows, scale);
}

const gm_op gm_op_group_norm = { "group_norm",  -1, group_infer, group_forward, group_backward,
                                 group_gradient };
const gm_op gm_op_instance_norm = { "instance_norm", -1, group_infer, group_forward, group_backward,
                                    group_gradient };

static gm_var record(gm_tape *tape, const gm_op *op, gm_var x, gm_var gamma, gm_var beta,
                     int64_t groups, const gm_norm_options *options)
{
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_var inputs[3];
    gm_norm_options o = GM_NORM_OPTIONS_INIT;
    gm_context *ctx = gm_tape_context(tape);
    gm_status s = gm_options_check(ctx, op->name, &o, sizeof o, options);
    if (s) return gm_tape_stick(tape, s);
    group_attr attr = { .groups = groups, .eps = o.eps };
    int32_t count = gm_affine_inputs(&attr.affine, inputs, x, gamma, beta);
    s = gm_affine_check(&attr.affine, ctx, op->name, o.eps, o.activation, o.slope);
    if (s) return gm_tape_stick(tape, s);
    gm_var y = gm_record(tape, op, inputs, count, &attr, sizeof attr);
    return gm_fused_finish(&attr.affine.fused, tape, y);
}

gm_var gm_group_norm(gm_tape *tape, gm_var x, gm_var gamma, gm_var beta, int64_t groups,
                     const gm_norm_options *options)
{
    return record(tape, &gm_op_group_norm, x, gamma, beta, groups, options);
}

gm_var gm_instance_norm(gm_tape *tape, gm_var x, gm_var gamma, gm_var beta,
                        const gm_norm_options *options)
{
    return record(tape, &gm_op_instance_norm, x, gamma, beta, 0, options);
}
