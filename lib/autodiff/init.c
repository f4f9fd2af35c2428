/* init.c - how parameters start. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "autodiff/params.h"
#include "base/child.h"
#include "base/error.h"
#include "base/rng.h"
#include "kernels/kernels.h"

#define TRIES 8

typedef struct fans {
    double in, out;
} fans;

/* Rank 2 is [out, in]; what follows the second axis is the receptive field. */
static fans fans_of(const gm_param *p)
{
    fans f = { 1, 1 };
    if (p->rank == 1) f.in = f.out = (double)p->shape[0];
    if (p->rank < 2) return f;
    double field = 1;
    for (int32_t i = 2; i < p->rank; i++) field *= (double)p->shape[i];
    f.in = (double)p->shape[1] * field;
    f.out = (double)p->shape[0] * field;
    return f;
}

/* Makes vector `at` of the `length`-long vectors in q orthonormal to those before it: Gram and
 * Schmidt's projections, each done twice, which leaves the error at the rounding of one sum
 * (Giraud, Langou, Rozloznik 2005). 0 when nothing is left of it. */
static int orthonormalise(const gm_kernels *k, float *q, int64_t at, int64_t length)
{
    float *v = q + at * length;
    double before = sqrt(k->sum_squares(v, length));
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < at; j++)
            k->axpy(v, (float)-k->dot(v, q + j * length, length), q + j * length, length);
    double norm = sqrt(k->sum_squares(v, length));
    if (!(norm > before * 1e-4)) return 0;
    for (int64_t i = 0; i < length; i++) v[i] = (float)((double)v[i] / norm);
    return 1;
}

/* The Q of a normal matrix whose R has a positive diagonal is uniform among orthogonal matrices
 * (Mezzadri 2007); Gram and Schmidt give just that one. A wide matrix gets orthonormal rows, a tall
 * one columns. */
static gm_status orthogonal(gm_param *p, double gain, gm_rng *rng)
{
    gm_context *ctx = p->ctx;
    if (!p->count) return GM_OK;
    int64_t rows = p->shape[0], cols = p->count / rows;
    int wide = rows <= cols;
    int64_t vectors = wide ? rows : cols, length = wide ? cols : rows;
    size_t bytes = (size_t)p->count * sizeof(float);
    float *q = gm_memory_get(&ctx->memory, bytes);
    if (!q) return gm_fail_memory(ctx, p->name);
    gm_status status;
    GM_TRY(gm_rng_normal(rng, p->count, 0, 1, q));
    for (int64_t i = 0; i < vectors; i++)
        for (int tries = 0; !orthonormalise(ctx->kernels, q, i, length); tries++) {
            if (tries == TRIES)
                GM_TRY(gm_fail(ctx, GM_E_NUMERIC,
                               "param_init: %s: no orthogonal matrix in %d draws", p->name, TRIES));
            GM_TRY(gm_rng_normal(rng, length, 0, 1, q + i * length));
        }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            p->value[r * cols + c] =
                (float)(gain * (double)(wide ? q[r * cols + c] : q[c * rows + r]));
out:
    gm_memory_put(&ctx->memory, q, bytes);
    return status;
}

static gm_status check(const gm_param *p, int32_t kind, double a, double b)
{
    if (kind < GM_INIT_DEFAULT || kind > GM_INIT_ORTHOGONAL)
        return gm_fail(p->ctx, GM_E_INVALID,
                       "param_init: %s: kind is %d, expected one of GM_INIT_*", p->name, (int)kind);
    int two = kind == GM_INIT_UNIFORM || kind == GM_INIT_NORMAL;
    if ((kind != GM_INIT_DEFAULT && !(fabs(a) <= FLT_MAX)) || (two && !(fabs(b) <= FLT_MAX)))
        return gm_fail(p->ctx, GM_E_INVALID,
                       "param_init: %s: a is %g, b is %g, expected finite floats", p->name, a, b);
    if (kind == GM_INIT_UNIFORM && !(a <= b && b - a <= FLT_MAX))
        return gm_fail(p->ctx, GM_E_INVALID,
                       "param_init: %s: a is %g, b is %g, expected an interval [a, b) of floats",
                       p->name, a, b);
    if (kind == GM_INIT_NORMAL && b < 0)
        return gm_fail(p->ctx, GM_E_INVALID, "param_init: %s: deviation is %g, expected at least 0",
                       p->name, b);
    if (kind >= GM_INIT_GLOROT_UNIFORM && a < 0)
        return gm_fail(p->ctx, GM_E_INVALID, "param_init: %s: gain is %g, expected at least 0",
                       p->name, a);
    if (kind == GM_INIT_ORTHOGONAL && p->rank < 2)
        return gm_fail(p->ctx, GM_E_SHAPE,
                       "param_init: %s: rank is %d, expected at least 2 for GM_INIT_ORTHOGONAL",
                       p->name, (int)p->rank);
    return GM_OK;
}

gm_status gm_param_init(gm_param *param, int32_t kind, double a, double b, gm_rng *rng)
{
    if (!param) return GM_E_INVALID;
    gm_context *ctx = param->ctx;
    gm_status status = check(param, kind, a, b);
    if (!status) status = gm_context_check_unsealed(ctx, "param_init");
    if (status) return status;
    if (rng && rng->ctx != ctx)
        return gm_fail(ctx, GM_E_INVALID, "param_init: %s: rng is of another context", param->name);
    /* A stream of the context, made on the spot: initialising takes no memory. */
    gm_rng own = { .ctx = ctx, .owners = 1 };
    if (!rng) {
        gm_rng_seed(&own, gm_mix(ctx->seed) + ctx->next_stream++);
        rng = &own;
    }
    float *v = param->value;
    int64_t n = param->count;
    if (!n) return GM_OK;
    fans f = fans_of(param);
    switch (kind) {
    case GM_INIT_DEFAULT:
        return gm_rng_uniform(rng, n, -1 / sqrt(f.in), 1 / sqrt(f.in), v);
    case GM_INIT_CONSTANT:
        ctx->kernels->fill(v, (float)a, n);
        return GM_OK;
    case GM_INIT_UNIFORM:
        return gm_rng_uniform(rng, n, a, b, v);
    case GM_INIT_NORMAL:
        return gm_rng_normal(rng, n, a, b, v);
    case GM_INIT_GLOROT_UNIFORM:
        a *= sqrt(6 / (f.in + f.out));
        return gm_rng_uniform(rng, n, -a, a, v);
    case GM_INIT_GLOROT_NORMAL:
        return gm_rng_normal(rng, n, 0, a * sqrt(2 / (f.in + f.out)), v);
    case GM_INIT_HE_UNIFORM:
        a *= sqrt(3 / f.in);
        return gm_rng_uniform(rng, n, -a, a, v);
    case GM_INIT_HE_NORMAL:
        return gm_rng_normal(rng, n, 0, a / sqrt(f.in), v);
    default:
        return orthogonal(param, a, rng);
    }
}
