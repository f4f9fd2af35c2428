/* norm.c - what the normalising operations share. */
#include "autodiff/ops/norm.h"

#include <float.h>

int32_t gm_affine_inputs(gm_affine *a, gm_var inputs[3], gm_var x, gm_var gamma, gm_var beta)
{
    int32_t count = 1;
    inputs[0] = x;
    a->gamma = a->beta = 0;
    if (gamma.recording) inputs[a->gamma = count++] = gamma;
    if (beta.recording) inputs[a->beta = count++] = beta;
    return count;
}

gm_status gm_affine_check(gm_affine *a, gm_context *ctx, const char *name, double eps,
                          int32_t activation, double slope)
{
    if (!((float)eps > 0 && eps <= FLT_MAX))
        return gm_fail(ctx, GM_E_INVALID, "%s: eps is %g, expected above 0", name, eps);
    return gm_fused_make(&a->fused, ctx, name, activation, slope);
}

gm_status gm_affine_infer(gm_call *c, const gm_affine *a, int32_t rank, const int64_t *shape)
{
    const int32_t which[2] = { a->gamma, a->beta };
    for (int i = 0; i < 2; i++) {
        if (!which[i]) continue;
        const gm_node *p = c->in[which[i]], *x = c->in[0];
        char tx[GM_SHAPE_TEXT], tp[GM_SHAPE_TEXT], want[GM_SHAPE_TEXT];
        if (p->rank != rank || memcmp(p->shape, shape, (size_t)rank * sizeof *shape))
            return gm_fail(c->ctx, GM_E_SHAPE, "%s: input is %s, %s is %s, expected %s",
                           c->op->name, gm_shape_text(tx, x->rank, x->shape), i ? "beta" : "gamma",
                           gm_shape_text(tp, p->rank, p->shape), gm_shape_text(want, rank, shape));
    }
    return GM_OK;
}

const float *gm_affine_value(const gm_call *c, int32_t which)
{
    return which ? c->in[which]->value : NULL;
}

float *gm_affine_grad(const gm_call *c, int32_t which)
{
    return which ? c->grad[which] : NULL;
}

gm_status gm_state_check(gm_context *ctx, const char *name, const gm_param *p, const gm_param *q)
{
    if (!p || !q) return gm_fail(ctx, GM_E_INVALID, "%s: a parameter of state is NULL", name);
    if (p == q) return gm_fail(ctx, GM_E_INVALID, "%s: %s is given twice as state", name, p->name);
    if (p->ctx != ctx || q->ctx != ctx)
        return gm_fail(ctx, GM_E_INVALID, "%s: %s is of another context", name,
                       p->ctx != ctx ? p->name : q->name);
    return GM_OK;
}
