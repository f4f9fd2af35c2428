/* batch_norm.c - one mean and one variance for each channel of a batch (Ioffe and Szegedy 2015).
 *
 * A shard takes some neighbouring channels of all images through both passes, so that the second
 * finds them in cache.
 */
#include "autodiff/ops/norm.h"

#include "base/options.h"

#define RUN 1024 /* floats of a shard that lie together in one image, about */

typedef struct channels_attr {
    gm_affine affine;
    gm_param *mean, *variance;
    double eps, momentum;
    int32_t train;
} channels_attr;

/* Saved: for backward's use, which may not run out of memory, two sums in double of each channel;
 * its mean; its 1 / sqrt(variance + eps). */
#define SAVED 6

typedef struct channels_job {
    const gm_call *c;
    const channels_attr *attr;
    gm_walk whole; /* all channels */
    float *mean, *inverse;
    float *running_mean, *running_variance; /* where new values go; NULL: not in training */
    const float *gamma, *beta;
    double *sum, *dot;
} channels_job;

static gm_walk walk_of(const gm_call *c)
{
    const gm_node *x = c->in[0];
    gm_walk w = { x->shape[0], 0, x->shape[1], gm_sizes_product(x->shape + 2, x->rank - 2) };
    w.stride = w.channels * w.inner;
    return w;
}

static int64_t channels_in_shard(const gm_walk *w)
{
    if (w->inner == 1) return GM_WALK_CHANNELS;
    int64_t n = w->inner ? RUN / w->inner : 1;
    return n < 1 ? 1 : n > GM_WALK_CHANNELS ? GM_WALK_CHANNELS : n;
}

static gm_status channels_infer(gm_call *c)
{
    const channels_attr *attr = c->attr;
    const gm_node *x = c->in[0];
    char text[GM_SHAPE_TEXT];
    gm_shape_text(text, x->rank, x->shape);
    if (x->rank < 2)
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, expected [n, channels, ...]",
                       c->op->name, text);
    gm_status status = gm_affine_infer(c, &attr->affine, 1, &x->shape[1]);
    for (int i = 0; !status && i < 2; i++) {
        const gm_param *p = i ? attr->variance : attr->mean;
        char of[GM_SHAPE_TEXT];
        if (p->rank != 1 || p->shape[0] != x->shape[1])
            status = gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, %s is %s, expected [%lld]",
                             c->op->name, text, p->name, gm_shape_text(of, p->rank, p->shape),
                             (long long)x->shape[1]);
    }
    if (status) return status;
    gm_walk w = walk_of(c);
    if (attr->train && w.images * w.inner < 2)
        return gm_fail(c->ctx, GM_E_SHAPE,
                       "%s: input is %s, %s for each channel, expected at least 2 in training",
                       c->op->name, text, w.images * w.inner == 1 ? "one value" : "no value");
    gm_infer_same(c);
    if (!gm_mul_size(w.channels, SAVED, &c->saved))
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, too many channels", c->op->name, text);
    c->saved += !c->saved; /* an address for no channels, too */
    return GM_OK;
}

static channels_job job_of(const gm_call *c)
{
    const channels_attr *attr = c->attr;
    channels_job job = { .c = c, .attr = attr, .whole = walk_of(c) };
    job.sum = (double *)(void *)c->out->saved;
    job.dot = job.sum + job.whole.channels;
    job.mean = (float *)(void *)(job.dot + job.whole.channels);
    job.inverse = job.mean + job.whole.channels;
    job.gamma = gm_affine_value(c, attr->affine.gamma);
    job.beta = gm_affine_value(c, attr->affine.beta);
    return job;
}

/* Mean and inverse deviation of channels [begin, begin + w->channels), from the batch. */
static void batch_statistics(const channels_job *job, const gm_walk *w, int64_t begin)
{
    const channels_attr *attr = job->attr;
    double sum[GM_WALK_CHANNELS], square[GM_WALK_CHANNELS], n = (double)(w->images * w->inner);
    job->c->k->channel_sums(w, sum, square, job->c->in[0]->value + begin * w->inner);
    for (int64_t i = 0; i < w->channels; i++) {
        double mean = sum[i] / n, variance = square[i] / n - mean * mean;
        if (variance < 0) variance = 0; /* NaN stays */
        job->mean[begin + i] = (float)mean;
        job->inverse[begin + i] = (float)(1 / sqrt(variance + attr->eps));
        if (!job->running_mean) continue;
        float *rm = job->running_mean + begin + i, *rv = job->running_variance + begin + i;
        double m = attr->momentum;
        *rm = (float)((1 - m) * (double)*rm + m * mean);
        *rv = (float)((1 - m) * (double)*rv + m * (variance * n / (n - 1)));
    }
}

static void running_statistics(const channels_job *job, int64_t begin, int64_t end)
{
    const channels_attr *attr = job->attr;
    for (int64_t i = begin; i < end; i++) {
        double variance = (double)attr->variance->value[i];
        job->mean[i] = attr->mean->value[i];
        job->inverse[i] = (float)(1 / sqrt(variance + attr->eps));
    }
}

static void forward_range(void *arg, int64_t begin, int64_t end)
{
    const channels_job *job = arg;
    const gm_affine *affine = &job->attr->affine;
    gm_walk w = job->whole;
    float scale[GM_WALK_CHANNELS], shift[GM_WALK_CHANNELS];
    w.channels = end - begin;
    if (job->attr->train)
        batch_statistics(job, &w, begin);
    else
        running_statistics(job, begin, end);
    for (int64_t i = 0; i < w.channels; i++) {
        int64_t p = begin + i;
        scale[i] = job->gamma ? job->gamma[p] * job->inverse[p] : job->inverse[p];
        shift[i] = job->beta ? job->beta[p] : 0;
    }
    job->c->k->channel_affine(&w, job->c->out->value + begin * w.inner,
                              job->c->in[0]->value + begin * w.inner, job->mean + begin, scale,
                              shift, affine->fused.kind, affine->fused.slope);
}

static gm_status channels_forward(gm_call *c)
{
    channels_job job = job_of(c);
    if (job.attr->train) {
        job.running_mean = gm_tape_stage(c->tape, job.attr->mean);
        job.running_variance = gm_tape_stage(c->tape, job.attr->variance);
        if (!job.running_mean || !job.running_variance) return GM_E_NOMEM;
    }
    gm_team_range(c->team, job.whole.channels, channels_in_shard(&job.whole), forward_range, &job);
    return GM_OK;
}

/* With g = dy gamma / sqrt(v + eps): dx = g - mean(g) - z mean(g z) (Ioffe and Szegedy 2015,
 * section 3), or g alone when the statistics were constants. */
static void backward_range(void *arg, int64_t begin, int64_t end)
{
    const channels_job *job = arg;
    const gm_call *c = job->c;
    const gm_affine *affine = &job->attr->affine;
    gm_walk w = job->whole;
    float a[GM_WALK_CHANNELS], b[GM_WALK_CHANNELS], h[GM_WALK_CHANNELS];
    double *sum = job->sum + begin, *dot = job->dot + begin;
    double n = (double)(w.images * w.inner);
    int64_t at = begin * w.inner;
    w.channels = end - begin;
    c->k->channel_grad_sums(&w, sum, dot, c->out->grad + at, c->in[0]->value + at,
                            c->out->value + at, job->mean + begin, affine->fused.kind,
                            affine->fused.slope);
    for (int64_t i = 0; i < w.channels; i++) {
        double inverse = (double)job->inverse[begin + i];
        double g = job->gamma ? (double)job->gamma[begin + i] : 1;
        int moving = job->attr->train;
        a[i] = (float)(g * inverse);
        b[i] = moving ? (float)(-g * inverse * inverse * inverse * dot[i] / n) : 0;
        h[i] = moving ? (float)(-g * inverse * sum[i] / n) : 0;
        dot[i] *= inverse; /* now sum dy z */
    }
    if (c->grad[0])
        c->k->channel_grad(&w, c->grad[0] + at, c->out->grad + at, c->in[0]->value + at,
                           job->mean + begin, a, b, h, c->add[0]);
}

static void parameter_gradient(const channels_job *job, float *to, int add, const double *terms)
{
    for (int64_t i = 0; to && i < job->whole.channels; i++)
        to[i] = (float)(add ? (double)to[i] + terms[i] : terms[i]);
}

static void channels_backward(gm_call *c)
{
    channels_job job = job_of(c);
    const gm_affine *affine = &job.attr->affine;
    gm_team_range(c->team, job.whole.channels, channels_in_shard(&job.whole), backward_range, &job);
    parameter_gradient(&job, gm_affine_grad(c, affine->gamma), c->add[affine->gamma], job.dot);
    parameter_gradient(&job, gm_affine_grad(c, affine->beta), c->add[affine->beta], job.sum);
}

const gm_op gm_op_batch_norm = { "batch_norm", -1, channels_infer, channels_forward,
                                 channels_backward };
static gm_status read_options(gm_context *ctx, channels_attr *attr,
                              const gm_batch_norm_options *options)
{
    gm_batch_norm_options o = GM_BATCH_NORM_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, "batch_norm", &o, sizeof o, options);
    if (!status) status = gm_state_check(ctx, "batch_norm", attr->mean, attr->variance);
    if (!status && !(o.momentum >= 0 && o.momentum <= 1))
        status =
            gm_fail(ctx, GM_E_INVALID, "batch_norm: momentum is %g, expected 0 to 1", o.momentum);
    if (!status)
        status = gm_affine_check(&attr->affine, ctx, "batch_norm", o.eps, o.activation, o.slope);
    attr->eps = o.eps;
    attr->momentum = o.momentum;
    return status;
}

gm_var gm_batch_norm(gm_tape *tape, gm_var x, gm_var gamma, gm_var beta, gm_param *running_mean,
                     gm_param *running_variance, const gm_batch_norm_options *options)
{
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_var inputs[3];
    channels_attr attr = { .mean = running_mean,
                           .variance = running_variance,
                           .train = gm_tape_mode(tape) & GM_TAPE_TRAIN };
    gm_context *ctx = gm_tape_context(tape);
    int32_t count = gm_affine_inputs(&attr.affine, inputs, x, gamma, beta);
    gm_status s = read_options(ctx, &attr, options);
    if (s) return gm_tape_stick(tape, s);
    gm_var y = gm_record(tape, &gm_op_batch_norm, inputs, count, &attr, sizeof attr);
    return gm_fused_finish(&attr.affine.fused, tape, y);
}
