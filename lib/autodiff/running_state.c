/* running_state.c - state that operations update: written when gm_backward completes, not before.
 */
#include <string.h>

#include "autodiff/tape.h"

float *gm_tape_stage(gm_tape *tape, gm_param *param)
{
    for (gm_pending *p = tape->pending; p; p = p->next)
        if (p->param == param) return p->value;
    size_t bytes = (size_t)param->count * sizeof(float);
    gm_pending *p = gm_tape_scratch(tape, sizeof *p);
    float *value = p ? gm_tape_scratch(tape, bytes) : NULL;
    if (!value) return NULL;
    memcpy(value, param->value, bytes);
    p->param = param;
    p->value = value;
    p->next = tape->pending;
    tape->pending = p;
    return value;
}

/* One step on data with a NaN would spoil a running statistic for good. The optimizer refuses such
 * a step; so does this. */
void gm_tape_commit(gm_tape *tape)
{
    int finite = 1;
    for (const gm_pending *p = tape->pending; p; p = p->next)
        finite &= tape->ctx->kernels->all_finite(p->value, p->param->count);
    for (const gm_pending *p = tape->pending; finite && p; p = p->next)
        memcpy(p->param->value, p->value, (size_t)p->param->count * sizeof(float));
    tape->pending = NULL;
}
