/* activation.h - activations: the operations, and what fused operations share. The table is in
 * kernels/activations.h. */
#ifndef GM_AUTODIFF_ACTIVATION_H
#define GM_AUTODIFF_ACTIVATION_H

#include "autodiff/gradient.h"

#define GM_ACTIVATION_OP(WORD, word, parameter, from_result, formula)                              \
    extern const gm_op gm_op_##word;
GM_ACTIVATION_TABLE(GM_ACTIVATION_OP)
#undef GM_ACTIVATION_OP

typedef struct gm_activation_row {
    int32_t activation; /* GM_ACTIVATION_* */
    int32_t kind;       /* GM_UNARY_* */
    const char *name;
    const gm_op *op;
    int32_t parameter, from_result;
} gm_activation_row;

/* NULL: there is no such activation. NONE has no row. */
const gm_activation_row *gm_activation_find(int32_t activation);

/* What a fused operation computes itself, and what is recorded after it. */
typedef struct gm_fused {
    int32_t kind; /* GM_UNARY_*, IDENTITY included; its derivative follows from its result */
    float slope;
    const gm_activation_row *after; /* NULL: nothing */
} gm_fused;

/* For operation `name`. GM_E_INVALID: unknown activation, slope that is not finite or below 0. */
gm_status gm_fused_make(gm_fused *fused, gm_context *ctx, const char *name, int32_t activation,
                        double slope);
/* The operation's result with what comes after it. */
gm_var gm_fused_finish(const gm_fused *fused, gm_tape *tape, gm_var y);

/* The density of the standard normal distribution, recorded. */
gm_var gm_normal_density_of(gm_tape *tape, gm_var x);
/* The derivative at x, recorded; y is the result there, and only y is given (x of recording 0) when
 * from_result. a: the slope. */
gm_var gm_activation_slope(gm_tape *tape, int32_t kind, float a, gm_var x, gm_var y);

#endif
