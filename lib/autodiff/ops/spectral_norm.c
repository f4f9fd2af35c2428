/* spectral_norm.c - a weight divided by an estimate of its largest singular value (Miyato, Kataoka,
 * Koyama and Yoshida 2018). */
#include "autodiff/ops/norm.h"

#include <float.h>

#include "base/options.h"

typedef struct spectral_attr {
    gm_param *u, *v;
    int64_t iterations;
    double eps;
} spectral_attr;

/* Saved: sigma, whether eps took its place, u, v, and scratch of the size of u. */
enum { SIGMA, HELD, VECTORS };

static gm_status spectral_infer(gm_call *c)
{
    const spectral_attr *attr = c->attr;
    const gm_node *w = c->in[0];
    char text[GM_SHAPE_TEXT], of_u[GM_SHAPE_TEXT], of_v[GM_SHAPE_TEXT];
    gm_shape_text(text, w->rank, w->shape);
    if (w->rank < 2 || !w->count)
        return gm_fail(c->ctx, GM_E_SHAPE,
                       "spectral_normalize: weight is %s, expected [rows, columns...]", text);
    int64_t rows = w->shape[0], columns = w->count / rows;
    if (attr->u->rank != 1 || attr->v->rank != 1 || attr->u->count != rows ||
        attr->v->count != columns)
        return gm_fail(
            c->ctx, GM_E_SHAPE,
            "spectral_normalize: weight is %s, u is %s, v is %s, expected [%lld] and [%lld]", text,
            gm_shape_text(of_u, attr->u->rank, attr->u->shape),
            gm_shape_text(of_v, attr->v->rank, attr->v->shape), (long long)rows,
            (long long)columns);
    gm_infer_same(c);
    c->saved = VECTORS + 2 * rows + columns;
    return GM_OK;
}

/* x / max(|x|, eps) */
static void normalise(const gm_kernels *k, float *x, int64_t n, double eps)
{
    double norm = sqrt(k->sum_squares(x, n));
    float inverse = (float)(1 / (norm < eps ? eps : norm));
    for (int64_t i = 0; i < n; i++) x[i] *= inverse;
}

double gm_power_iterate(gm_team *team, const gm_kernels *k, const float *w, int64_t rows,
                        int64_t columns, float *u, float *v, float *scratch, int64_t iterations,
                        double eps)
{
    for (int64_t i = 0; i < iterations; i++) {
        gm_gemm(team, k, 0, 0, 1, columns, rows, 1, u, rows, w, columns, 0, v, columns, NULL);
        normalise(k, v, columns, eps);
        gm_gemm(team, k, 0, 0, rows, 1, columns, 1, w, columns, v, 1, 0, u, 1, NULL);
        normalise(k, u, rows, eps);
    }
    gm_gemm(team, k, 0, 0, rows, 1, columns, 1, w, columns, v, 1, 0, scratch, 1, NULL);
    return k->dot(u, scratch, rows);
}

typedef struct scale_job {
    const gm_kernels *k;
    float *y;
    const float *x, *u, *v;
    float a; /* y = a x, or dw (+)= a (x - inner u v^T) */
    double inner;
    int64_t columns;
    int add;
} scale_job;

static void scale_range(void *arg, int64_t begin, int64_t end)
{
    const scale_job *job = arg;
    job->k->unary(GM_UNARY_SCALE, job->y + begin, job->x + begin, job->a, 0, end - begin);
}

static gm_status spectral_forward(gm_call *c)
{
    const spectral_attr *attr = c->attr;
    const gm_node *w = c->in[0];
    int64_t rows = w->shape[0], columns = w->count / rows;
    float *u = c->out->saved + VECTORS, *v = u + rows, *scratch = v + columns;
    int train = gm_tape_mode(c->tape) & GM_TAPE_TRAIN;
    float *next_u = NULL, *next_v = NULL;
    if (train) {
        next_u = gm_tape_stage(c->tape, attr->u);
        next_v = gm_tape_stage(c->tape, attr->v);
        if (!next_u || !next_v) return GM_E_NOMEM;
    }
    memcpy(u, train ? next_u : attr->u->value, (size_t)rows * sizeof *u);
    memcpy(v, train ? next_v : attr->v->value, (size_t)columns * sizeof *v);
    double sigma = gm_power_iterate(c->team, c->k, w->value, rows, columns, u, v, scratch,
                                    train ? attr->iterations : 0, attr->eps);
    int held = sigma < attr->eps; /* NaN is not */
    if (held) sigma = attr->eps;
    if (train) {
        memcpy(next_u, u, (size_t)rows * sizeof *u);
        memcpy(next_v, v, (size_t)columns * sizeof *v);
    }
    c->out->saved[SIGMA] = (float)sigma;
    c->out->saved[HELD] = (float)held;
    scale_job job = { .k = c->k, .y = c->out->value, .x = w->value, .a = (float)(1 / sigma) };
    gm_team_range(c->team, w->count, GM_GRAIN, scale_range, &job);
    return GM_OK;
}

static void gradient_range(void *arg, int64_t begin, int64_t end)
{
    const scale_job *job = arg;
    for (int64_t r = begin; r < end; r++) {
        float *to = job->y + r * job->columns;
        if (!job->add) job->k->fill(to, 0, job->columns);
        job->k->axpy(to, job->a, job->x + r * job->columns, job->columns);
        float back = (float)((double)job->a * job->inner * (double)job->u[r]);
        if (back != 0) job->k->axpy(to, -back, job->v, job->columns);
    }
}

/* sigma = u^T W v with u and v constants, so d sigma / dW = u v^T. */
static void spectral_backward(gm_call *c)
{
    const gm_node *w = c->in[0];
    int64_t rows = w->shape[0], columns = w->count / rows;
    const float *u = c->out->saved + VECTORS, *v = u + rows;
    const float *dy = c->out->grad;
    if (!c->grad[0]) return;
    double inner = c->out->saved[HELD] != 0 ? 0 : c->k->dot(dy, c->out->value, w->count);
    scale_job job = { c->k,  c->grad[0], dy,       u, v, 1 / c->out->saved[SIGMA],
                      inner, columns,    c->add[0] };
    gm_team_range(c->team, rows, gm_grain_rows(columns), gradient_range, &job);
}

const gm_op gm_op_spectral_normalize = { "spectral_normalize", 1, spectral_infer, spectral_forward,
                                         spectral_backward };

static gm_status check(gm_context *ctx, const spectral_attr *attr,
                       const gm_spectral_norm_options *o)
{
    if (o->iterations < 0 || o->iterations > GM_MAX_ITERATIONS || o->reserved)
        return gm_fail(ctx, GM_E_INVALID,
                       "spectral_normalize: iterations is %d, expected 0 to %d; reserved is %d, "
                       "expected 0",
                       (int)o->iterations, GM_MAX_ITERATIONS, (int)o->reserved);
    if (!((float)o->eps > 0 && o->eps <= FLT_MAX))
        return gm_fail(ctx, GM_E_INVALID, "spectral_normalize: eps is %g, expected above 0",
                       o->eps);
    return gm_state_check(ctx, "spectral_normalize", attr->u, attr->v);
}

gm_var gm_spectral_normalize(gm_tape *tape, gm_var weight, gm_param *u, gm_param *v,
                             const gm_spectral_norm_options *options)
{
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    gm_context *ctx = gm_tape_context(tape);
    gm_spectral_norm_options o = GM_SPECTRAL_NORM_OPTIONS_INIT;
    spectral_attr attr = { .u = u, .v = v };
    gm_status s = gm_options_check(ctx, "spectral_normalize", &o, sizeof o, options);
    if (!s) s = check(ctx, &attr, &o);
    if (s) return gm_tape_stick(tape, s);
    attr.iterations = o.iterations;
    attr.eps = o.eps;
    return gm_record1(tape, &gm_op_spectral_normalize, weight, &attr, sizeof attr);
}
