/* norm.h - what the normalising operations share. */
#ifndef GM_AUTODIFF_NORM_H
#define GM_AUTODIFF_NORM_H

#include "autodiff/activation.h"
#include "autodiff/gradient.h"

/* gamma and beta are the inputs of these numbers; 0: not given. */
typedef struct gm_affine {
    int32_t gamma, beta;
    gm_fused fused; /* gm_fused_finish is the caller's */
} gm_affine;

/* The inputs of an operation with optional gamma and beta: how many, in `inputs`. */
int32_t gm_affine_inputs(gm_affine *a, gm_var inputs[3], gm_var x, gm_var gamma, gm_var beta);
/* Checks eps, activation and slope; fills a->fused. */
gm_status gm_affine_check(gm_affine *a, gm_context *ctx, const char *name, double eps,
                          int32_t activation, double slope);
/* gamma and beta, where given, have this shape. */
gm_status gm_affine_infer(gm_call *c, const gm_affine *a, int32_t rank, const int64_t *shape);
/* Their values and gradients; NULL where not given or not wanted. */
const float *gm_affine_value(const gm_call *c, int32_t which);
float *gm_affine_grad(const gm_call *c, int32_t which);

/* The entry of a norm over the last two axes of x seen as `rows` ([images, groups, channels of a
 * group, values of a channel]), with gamma and beta seen as `scale`, which broadcasts to that. */
void gm_gradient_norm(gm_chain *c, const gm_affine *a, double eps, const int64_t rows[4],
                      const int64_t scale[4]);

/* State of an operation: present, of the tape's context, distinct. */
gm_status gm_state_check(gm_context *ctx, const char *name, const gm_param *p, const gm_param *q);

#define GM_MAX_ITERATIONS 1000 /* of the power method: a file must not ask for days */

/* One estimate of W's largest singular value, W [rows, columns]: `iterations` steps of the power
 * method on u and v, then u^T W v. scratch: as many floats as rows. */
double gm_power_iterate(gm_team *team, const gm_kernels *k, const float *w, int64_t rows,
                        int64_t columns, float *u, float *v, float *scratch, int64_t iterations,
                        double eps);

#endif
