/* random.c - operations that draw: dropout, samples of a Gaussian, bits.
 *
 * Each takes its blocks of the tape's random stream when it is recorded, so its numbers depend on
 * the recording's order, not on threads. Four numbers a block; GM_GRAIN is a multiple of four, so
 * shards begin at whole blocks.
 */
#include "autodiff/gradient.h"

typedef struct place {
    uint64_t key, stream, block;
} place;

#define PLACE_FLOATS ((int64_t)((sizeof(place) + sizeof(float) - 1) / sizeof(float)))

/* again: with the mask of an earlier dropout, whose place is given. */
typedef struct dropout_attr {
    float p;
    int32_t again;
    place at;
} dropout_attr;

static gm_status dropout_infer(gm_call *c)
{
    const dropout_attr *attr = c->attr;
    if (!(attr->p >= 0 && attr->p < 1))
        return gm_fail(c->ctx, GM_E_INVALID, "dropout: p is %g, expected 0 to below 1",
                       (double)attr->p);
    gm_infer_same(c);
    c->saved = PLACE_FLOATS;
    return GM_OK;
}

typedef struct dropout_job {
    const gm_kernels *k;
    float p;
    place at;
    float *to;
    const float *from;
    int add;
} dropout_job;

static void dropout_range(void *arg, int64_t begin, int64_t end)
{
    const dropout_job *job = arg;
    job->k->dropout(job->to + begin, job->from + begin, job->p, job->at.key, job->at.stream,
                    job->at.block + (uint64_t)begin / 4, end - begin, job->add);
}

static gm_status dropout_forward(gm_call *c)
{
    const dropout_attr *attr = c->attr;
    dropout_job job = {
        .k = c->k, .p = attr->p, .at = attr->at, .to = c->out->value, .from = c->in[0]->value
    };
    if (!attr->again)
        gm_tape_draw(c->tape, c->out->count, &job.at.key, &job.at.stream, &job.at.block);
    memcpy(c->out->saved, &job.at, sizeof job.at);
    gm_team_range(c->team, c->out->count, GM_GRAIN, dropout_range, &job);
    return GM_OK;
}

static void dropout_backward(gm_call *c)
{
    const dropout_attr *attr = c->attr;
    if (!c->grad[0]) return;
    dropout_job job = {
        .k = c->k, .p = attr->p, .to = c->grad[0], .from = c->out->grad, .add = c->add[0]
    };
    memcpy(&job.at, c->out->saved, sizeof job.at);
    gm_team_range(c->team, c->out->count, GM_GRAIN, dropout_range, &job);
}

static void dropout_gradient(gm_chain *c)
{
    const dropout_attr *first = c->node->attr;
    dropout_attr attr = { .p = first->p, .again = 1 };
    memcpy(&attr.at, c->node->saved, sizeof attr.at);
    c->din[0] = gm_record1(c->tape, &gm_op_dropout, c->dy, &attr, sizeof attr);
}

const gm_op gm_op_dropout = { "dropout",       1, dropout_infer, dropout_forward, dropout_backward,
                              dropout_gradient };

gm_var gm_dropout(gm_tape *tape, gm_var a, double p)
{
    dropout_attr attr = { .p = (float)p };
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    int off = !(gm_tape_mode(tape) & GM_TAPE_TRAIN) || p == 0;
    if (off && p >= 0 && attr.p < 1) return gm_tape_node(tape, a) ? a : GM_NO_VAR;
    return gm_record1(tape, &gm_op_dropout, a, &attr, sizeof attr);
}

static gm_status sample_infer(gm_call *c)
{
    if (!gm_same_shape(c->in[0], c->in[1]))
        return gm_fail_shapes(c, "mean", c->in[0], "log_variance", c->in[1], ", expected the same");
    gm_infer_same(c);
    c->saved = c->in[0]->count;
    return GM_OK;
}

/* saved = deviation eps / 2: with it the gradient of the log-variance is one product. */
typedef struct sample_job {
    const gm_call *c;
    place at;
} sample_job;

#define SAMPLE_CHUNK 512

static void sample_range(void *arg, int64_t begin, int64_t end)
{
    const sample_job *job = arg;
    const gm_call *c = job->c;
    float *half = c->out->saved, *y = c->out->value;
    float scaled[SAMPLE_CHUNK], deviation[SAMPLE_CHUNK];
    c->k->normal(half + begin, job->at.key, job->at.stream, job->at.block + (uint64_t)begin / 4,
                 end - begin);
    for (int64_t i = begin; i < end; i += SAMPLE_CHUNK) {
        int64_t n = end - i < SAMPLE_CHUNK ? end - i : SAMPLE_CHUNK;
        c->k->unary(GM_UNARY_SCALE, scaled, c->in[1]->value + i, 0.5f, 0, n);
        c->k->unary(GM_UNARY_EXP, deviation, scaled, 0, 0, n);
        for (int64_t j = 0; j < n; j++) {
            half[i + j] *= 0.5f * deviation[j];
            y[i + j] = c->in[0]->value[i + j] + 2 * half[i + j];
        }
    }
}

static gm_status sample_forward(gm_call *c)
{
    sample_job job = { .c = c };
    gm_tape_draw(c->tape, c->out->count, &job.at.key, &job.at.stream, &job.at.block);
    gm_team_range(c->team, c->out->count, GM_GRAIN, sample_range, &job);
    return GM_OK;
}

static void sample_grad_range(void *arg, int64_t begin, int64_t end)
{
    const gm_call *c = arg;
    c->k->mul_add(c->grad[1] + begin, c->out->grad + begin, c->out->saved + begin, end - begin,
                  c->add[1]);
}

static void sample_backward(gm_call *c)
{
    if (c->grad[0]) gm_accumulate_over(c, c->grad[0], c->out->grad, c->out->count, c->add[0]);
    if (c->grad[1]) gm_team_range(c->team, c->out->count, GM_GRAIN, sample_grad_range, c);
}

/* saved is a constant; it is proportional to e^(log_variance / 2), which a factor that is 1 tells
 * the derivatives. */
static void sample_gradient(gm_chain *c)
{
    gm_tape *t = c->tape;
    gm_var lv = c->in[1];
    if (c->wanted[0]) c->din[0] = c->dy;
    if (!c->wanted[1]) return;
    gm_var half = gm_input_array(t, c->node->rank, c->node->shape, c->node->saved);
    gm_var zero = gm_sub(t, lv, gm_stop_gradient(t, lv));
    half = gm_mul(t, half, gm_exp(t, gm_scale(t, zero, 0.5)));
    c->din[1] = gm_mul(t, c->dy, half);
}

const gm_op gm_op_gaussian_sample = { "gaussian_sample", 2,
                                      sample_infer,      sample_forward,
                                      sample_backward,   sample_gradient };

gm_var gm_gaussian_draw(gm_tape *tape, gm_var mean, gm_var log_variance)
{
    return gm_record2(tape, &gm_op_gaussian_sample, mean, log_variance, NULL, 0);
}

static gm_status bernoulli_infer(gm_call *c)
{
    gm_infer_same(c);
    return GM_OK;
}

static void bernoulli_range(void *arg, int64_t begin, int64_t end)
{
    const sample_job *job = arg;
    const gm_call *c = job->c;
    float *y = c->out->value + begin;
    c->k->unary(GM_UNARY_SIGMOID, y, c->in[0]->value + begin, 0, 0, end - begin);
    c->k->bernoulli(y, y, job->at.key, job->at.stream, job->at.block + (uint64_t)begin / 4,
                    end - begin);
}

static gm_status bernoulli_forward(gm_call *c)
{
    sample_job job = { .c = c };
    gm_tape_draw(c->tape, c->out->count, &job.at.key, &job.at.stream, &job.at.block);
    gm_team_range(c->team, c->out->count, GM_GRAIN, bernoulli_range, &job);
    return GM_OK;
}

const gm_op gm_op_bernoulli_sample = { "bernoulli_sample", 1,    bernoulli_infer,
                                       bernoulli_forward,  NULL, NULL };

gm_var gm_bernoulli_draw(gm_tape *tape, gm_var logits)
{
    return gm_record1(tape, &gm_op_bernoulli_sample, logits, NULL, 0);
}
