/* losses.c - losses with a value for each row: Bernoulli, classes, squared distance. */
#include <float.h>
#include <stdatomic.h>

#include "autodiff/gradient.h"
#include "autodiff/ops/losses.h"

gm_status gm_loss_infer(gm_call *c, int32_t target, const char *first, const char *second)
{
    const gm_node *a = c->in[0], *t = c->in[target];
    int fits = a->rank >= 1 && t->rank == a->rank;
    for (int32_t i = 1; fits && i < a->rank; i++) fits = a->shape[i] == t->shape[i];
    if (fits)
        fits = t->shape[0] ? a->shape[0] >= t->shape[0] && a->shape[0] % t->shape[0] == 0
                           : a->shape[0] == 0;
    if (!fits)
        return gm_fail_shapes(c, first, a, second, t,
                              ", expected the same, or fewer rows that divide the first's");
    c->out->rank = 1;
    c->out->shape[0] = a->shape[0];
    return GM_OK;
}

gm_loss_sizes gm_loss_sizes_of(const gm_call *c, int32_t target)
{
    const gm_node *a = c->in[0], *t = c->in[target];
    gm_loss_sizes s = { a->shape[0], gm_sizes_product(a->shape + 1, a->rank - 1), 1 };
    if (t->shape[0]) s.rep = s.rows / t->shape[0];
    return s;
}

typedef struct loss_job {
    const gm_call *c;
    gm_loss_sizes s;
    _Atomic int64_t bad; /* first target element out of range */
} loss_job;

static void lower(_Atomic int64_t *least, int64_t value)
{
    int64_t now = atomic_load(least);
    while (value < now && !atomic_compare_exchange_weak(least, &now, value)) {
    }
}

/* The target is checked by the shard that is about to read it. */
static void bce_range(void *arg, int64_t begin, int64_t end)
{
    loss_job *job = arg;
    const gm_call *c = job->c;
    int64_t cols = job->s.cols, rep = job->s.rep;
    int64_t from = begin / rep * cols, to = ((end - 1) / rep + 1) * cols;
    int64_t at = c->k->find_outside(c->in[1]->value + from, 0, 1, to - from);
    if (at < to - from) {
        lower(&job->bad, from + at);
        return;
    }
    c->k->bce_rows(c->out->value + begin, c->in[0]->value + begin * cols, c->in[1]->value,
                   end - begin, cols, begin, rep);
}

static gm_status bce_infer(gm_call *c)
{
    return gm_loss_infer(c, 1, "logits", "target");
}

static gm_status bce_forward(gm_call *c)
{
    loss_job job = { c, gm_loss_sizes_of(c, 1), INT64_MAX };
    gm_team_range(c->team, job.s.rows, gm_grain_rows(job.s.cols), bce_range, &job);
    int64_t bad = atomic_load(&job.bad);
    if (bad < INT64_MAX)
        return gm_fail(c->ctx, GM_E_INVALID,
                       "%s: target at row %lld, column %lld is %g, expected 0 to 1", c->op->name,
                       (long long)(bad / job.s.cols), (long long)(bad % job.s.cols),
                       (double)c->in[1]->value[bad]);
    return GM_OK;
}

static void bce_grad_range(void *arg, int64_t begin, int64_t end)
{
    const loss_job *job = arg;
    const gm_call *c = job->c;
    int64_t at = begin * job->s.cols;
    c->k->bce_rows_grad(c->grad[0] + at, c->out->grad + begin, c->in[0]->value + at,
                        c->in[1]->value, end - begin, job->s.cols, begin, job->s.rep, c->add[0]);
}

void gm_loss_scaled(const gm_kernels *k, float *d, float factor, const float *x, int64_t n, int add)
{
    if (add)
        k->axpy(d, factor, x, n);
    else
        k->binary(GM_BINARY_MUL, d, x, 1, &factor, 0, n);
}

/* Target rows [begin, end): the rows that share one are added in order. */
static void bce_target_range(void *arg, int64_t begin, int64_t end)
{
    const loss_job *job = arg;
    const gm_call *c = job->c;
    int64_t cols = job->s.cols, rep = job->s.rep;
    for (int64_t r = begin * rep; r < end * rep; r++)
        gm_loss_scaled(c->k, c->grad[1] + r / rep * cols, -c->out->grad[r],
                       c->in[0]->value + r * cols, cols, c->add[1] || r % rep);
}

static void bce_backward(gm_call *c)
{
    loss_job job = { c, gm_loss_sizes_of(c, 1), 0 };
    int64_t cols = job.s.cols, rep = job.s.rep;
    if (c->grad[0]) gm_team_range(c->team, job.s.rows, gm_grain_rows(cols), bce_grad_range, &job);
    if (c->grad[1])
        gm_team_range(c->team, job.s.rows / rep, gm_grain_rows(cols * rep), bce_target_range, &job);
}

const gm_op gm_op_bce_with_logits = { "bce_with_logits", 2, bce_infer, bce_forward, bce_backward,
                                      gm_gradient_bce };

gm_var gm_bce_with_logits(gm_tape *tape, gm_var logits, gm_var target)
{
    return gm_record2(tape, &gm_op_bce_with_logits, logits, target, NULL, 0);
}

/* Cross entropy sees logits as rows of k, `mid` of them a row of the result. saved: the
 * largest logit of each, logsumexp less it, then (mid > 1) the gradient each receives. */
typedef struct class_job {
    const gm_call *c;
    int64_t rows, mid, k, rep;
    _Atomic int64_t bad;
} class_job;

static void class_setup(class_job *job, const gm_call *c, int64_t bad)
{
    const gm_node *l = c->in[0], *t = c->in[1];
    job->c = c;
    job->rows = l->shape[0];
    job->mid = gm_sizes_product(l->shape + 1, l->rank - 2);
    job->k = l->shape[l->rank - 1];
    job->rep = t->shape[0] ? l->shape[0] / t->shape[0] : 1;
    atomic_init(&job->bad, bad);
}

static gm_status class_infer(gm_call *c)
{
    const gm_node *l = c->in[0], *t = c->in[1];
    int fits = l->rank >= 2 && l->shape[l->rank - 1] >= 1 && t->rank == l->rank - 1;
    for (int32_t i = 1; fits && i < t->rank; i++) fits = l->shape[i] == t->shape[i];
    if (fits)
        fits = t->shape[0] ? l->shape[0] >= t->shape[0] && l->shape[0] % t->shape[0] == 0
                           : l->shape[0] == 0;
    if (!fits)
        return gm_fail_shapes(c, "logits", l, "classes", t, ", expected [n, ..., k] and [n, ...]");
    c->out->rank = 1;
    c->out->shape[0] = l->shape[0];
    c->saved = (l->rank > 2 ? 3 : 2) * (l->count / l->shape[l->rank - 1]);
    return GM_OK;
}

/* Where the class of part j of row r stands. */
static int64_t class_at(const class_job *job, int64_t r, int64_t j)
{
    return r / job->rep * job->mid + j;
}

static void class_range(void *arg, int64_t begin, int64_t end)
{
    class_job *job = arg;
    const gm_call *c = job->c;
    int64_t mid = job->mid, k = job->k;
    float *top = c->out->saved, *rest = top + job->rows * mid;
    c->k->logsumexp(NULL, top + begin * mid, rest + begin * mid, c->in[0]->value + begin * mid * k,
                    (end - begin) * mid, k);
    for (int64_t r = begin; r < end; r++) {
        double sum = 0;
        for (int64_t j = 0; j < mid; j++) {
            int64_t at = class_at(job, r, j), label;
            if (!gm_whole_below(c->in[1]->value[at], k, &label)) {
                lower(&job->bad, at);
                return;
            }
            int64_t part = r * mid + j;
            float logit = c->in[0]->value[part * k + label];
            /* what is subtracted is equal, perhaps infinite, where the class has the largest logit
             */
            if (logit != top[part]) sum += (double)top[part] - (double)logit;
            sum += (double)rest[part];
        }
        c->out->value[r] = (float)sum;
    }
}

static gm_status class_forward(gm_call *c)
{
    class_job job;
    class_setup(&job, c, INT64_MAX);
    gm_team_range(c->team, job.rows, gm_grain_rows(job.mid * job.k), class_range, &job);
    int64_t bad = atomic_load(&job.bad);
    if (bad < INT64_MAX)
        return gm_fail(
            c->ctx, GM_E_INVALID,
            "%s: class at row %lld, column %lld is %g, expected a whole number from 0 to "
            "%lld",
            c->op->name, (long long)(bad / job.mid), (long long)(bad % job.mid),
            (double)c->in[1]->value[bad], (long long)job.k - 1);
    return GM_OK;
}

/* dl (+)= dy (softmax(l) - onehot) */
static void class_grad_range(void *arg, int64_t begin, int64_t end)
{
    class_job *job = arg;
    const gm_call *c = job->c;
    int64_t mid = job->mid, k = job->k;
    const float *top = c->out->saved, *rest = top + job->rows * mid, *dy = c->out->grad;
    if (c->in[0]->rank > 2) {
        float *each = c->out->saved + 2 * job->rows * mid;
        for (int64_t r = begin; r < end; r++) c->k->fill(each + r * mid, dy[r], mid);
        dy = each;
    }
    c->k->logsumexp_grad(c->grad[0] + begin * mid * k, dy + begin * mid,
                         c->in[0]->value + begin * mid * k, top + begin * mid, rest + begin * mid,
                         (end - begin) * mid, k, c->add[0]);
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = 0; j < mid; j++) {
            int64_t label = (int64_t)c->in[1]->value[class_at(job, r, j)];
            int64_t part = r * mid + j;
            c->grad[0][part * k + label] -= dy[part];
            /* a row of -inf: there the loss is NaN */
            if (top[part] < -FLT_MAX) c->k->fill(c->grad[0] + part * k, rest[part], k);
        }
}

static void class_backward(gm_call *c)
{
    class_job job;
    class_setup(&job, c, 0);
    if (c->grad[0])
        gm_team_range(c->team, job.rows, gm_grain_rows(job.mid * job.k), class_grad_range, &job);
    if (c->grad[1] && !c->add[1]) gm_fill_over(c, c->grad[1], 0, c->in[1]->count);
}

const gm_op gm_op_cross_entropy = { "cross_entropy",  2, class_infer, class_forward, class_backward,
                                    gm_gradient_class };

gm_var gm_cross_entropy(gm_tape *tape, gm_var logits, gm_var classes)
{
    return gm_record2(tape, &gm_op_cross_entropy, logits, classes, NULL, 0);
}

static gm_status distance_infer(gm_call *c)
{
    const gm_node *a = c->in[0];
    gm_status s = gm_loss_infer(c, 1, "first", "second");
    if (s) return s;
    if (c->op == &gm_op_mse && !gm_sizes_product(a->shape + 1, a->rank - 1))
        return gm_fail_shapes(c, "first", a, "second", c->in[1], ", the mean of nothing");
    return GM_OK;
}

static float distance_factor(const loss_job *job)
{
    return job->c->op == &gm_op_mse ? 1 / (float)job->s.cols : 1;
}

static void distance_range(void *arg, int64_t begin, int64_t end)
{
    const loss_job *job = arg;
    const gm_call *c = job->c;
    int64_t cols = job->s.cols, rep = job->s.rep;
    float *y = c->out->value, factor = distance_factor(job);
    const float *a = c->in[0]->value, *b = c->in[1]->value;
    if (rep == 1) {
        c->k->sqdist_rows(y + begin, a + begin * cols, b + begin * cols, end - begin, cols);
    } else {
        for (int64_t r = begin; r < end; r++)
            c->k->sqdist_rows(y + r, a + r * cols, b + r / rep * cols, 1, cols);
    }
    if (c->op == &gm_op_mse)
        for (int64_t r = begin; r < end; r++) y[r] *= factor;
}

static gm_status distance_forward(gm_call *c)
{
    loss_job job = { c, gm_loss_sizes_of(c, 1), 0 };
    gm_team_range(c->team, job.s.rows, gm_grain_rows(job.s.cols), distance_range, &job);
    return GM_OK;
}

#define DISTANCE_CHUNK 512

/* d (+)= factor (a - b), through a piece of stack. */
static void add_difference(const gm_kernels *k, float *d, float factor, const float *a,
                           const float *b, int64_t n, int add)
{
    float difference[DISTANCE_CHUNK];
    for (int64_t i = 0; i < n; i += DISTANCE_CHUNK) {
        int64_t m = n - i < DISTANCE_CHUNK ? n - i : DISTANCE_CHUNK;
        k->binary(GM_BINARY_SUB, difference, a + i, 1, b + i, 1, m);
        gm_loss_scaled(k, d + i, factor, difference, m, add);
    }
}

static void distance_first_range(void *arg, int64_t begin, int64_t end)
{
    const loss_job *job = arg;
    const gm_call *c = job->c;
    int64_t cols = job->s.cols, rep = job->s.rep;
    float factor = 2 * distance_factor(job);
    for (int64_t r = begin; r < end; r++)
        add_difference(c->k, c->grad[0] + r * cols, factor * c->out->grad[r],
                       c->in[0]->value + r * cols, c->in[1]->value + r / rep * cols, cols,
                       c->add[0]);
}

static void distance_second_range(void *arg, int64_t begin, int64_t end)
{
    const loss_job *job = arg;
    const gm_call *c = job->c;
    int64_t cols = job->s.cols, rep = job->s.rep;
    float factor = -2 * distance_factor(job);
    for (int64_t r = begin * rep; r < end * rep; r++)
        add_difference(c->k, c->grad[1] + r / rep * cols, factor * c->out->grad[r],
                       c->in[0]->value + r * cols, c->in[1]->value + r / rep * cols, cols,
                       c->add[1] || r % rep);
}

static void distance_backward(gm_call *c)
{
    loss_job job = { c, gm_loss_sizes_of(c, 1), 0 };
    int64_t cols = job.s.cols, rep = job.s.rep;
    if (c->grad[0])
        gm_team_range(c->team, job.s.rows, gm_grain_rows(cols), distance_first_range, &job);
    if (c->grad[1])
        gm_team_range(c->team, job.s.rows / rep, gm_grain_rows(cols * rep), distance_second_range,
                      &job);
}

const gm_op gm_op_squared_error = { "squared_error",   2,
                                    distance_infer,    distance_forward,
                                    distance_backward, gm_gradient_distance };
const gm_op gm_op_mse = {
    "mse", 2, distance_infer, distance_forward, distance_backward, gm_gradient_distance
};

gm_var gm_squared_error(gm_tape *tape, gm_var a, gm_var b)
{
    return gm_record2(tape, &gm_op_squared_error, a, b, NULL, 0);
}

gm_var gm_mse(gm_tape *tape, gm_var a, gm_var b)
{
    return gm_record2(tape, &gm_op_mse, a, b, NULL, 0);
}
