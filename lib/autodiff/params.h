/* params.h - the inside of parameters; below the tape, because the tape writes gradients. */
#ifndef GM_AUTODIFF_PARAMS_H
#define GM_AUTODIFF_PARAMS_H

#include "base/context.h"
#include "gm/params.h"

#define GM_PARAM_NAME 64
#define GM_PARAMS_NAME 128

struct gm_param {
    gm_context *ctx; /* retained */
    int64_t owners;
    char name[GM_PARAM_NAME];
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    int64_t count;
    float *value;
    int32_t lent;    /* value is memory of a frozen model: read only, and not given back */
    float *gradient; /* NULL: all zeros, and it has not been asked for yet */
    double origin;   /* what gm_layer_init makes it when its rank is 0 or 1: 0, or a gamma's 1 */
    /* Used by gm_backward while it runs. */
    uint64_t mark;   /* the number of the pass that computes this gradient */
    int32_t written; /* the pass has stored something already */
    float *target;   /* where the pass writes: gradient, or the tape's staging copy */
};

/* The parameter gives its own memory back and reads `values`, which outlive its context. */
void gm_param_lend(gm_param *param, const float *values);
/* The opposite: memory of its own, with the same values. GM_E_NOMEM. */
gm_status gm_param_own(gm_param *param);

/* Makes `gradient` an array, of zeros if it was none. GM_E_NOMEM. */
gm_status gm_param_take_gradient(gm_param *param);

typedef struct gm_params_entry {
    gm_param *param; /* retained */
    char name[GM_PARAMS_NAME];
} gm_params_entry;

struct gm_params {
    gm_context *ctx; /* retained */
    int64_t owners;
    int64_t count, room;
    int32_t sealed; /* takes no more */
    gm_params_entry *entries;
};

#endif
