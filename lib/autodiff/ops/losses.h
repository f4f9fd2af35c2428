/* losses.h - what the loss files share: rows, and targets with fewer rows. */
#ifndef GM_AUTODIFF_LOSSES_H
#define GM_AUTODIFF_LOSSES_H

#include "autodiff/ops/ops.h"

/* rows of cols elements each; rep rows share one row of the target. */
typedef struct gm_loss_sizes {
    int64_t rows, cols, rep;
} gm_loss_sizes;

/* Input 0 is [n, ...], input `target` is [n / K, ...]; the output is [n]. The names are for the
 * error line. */
gm_status gm_loss_infer(gm_call *c, int32_t target, const char *first, const char *second);
gm_loss_sizes gm_loss_sizes_of(const gm_call *c, int32_t target);

/* d (+)= factor x */
void gm_loss_scaled(const gm_kernels *k, float *d, float factor, const float *x, int64_t n,
                    int add);

#endif
