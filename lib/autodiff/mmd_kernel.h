/* mmd_kernel.h - the inside of a kernel: its parts, ready for lib/kernels. */
#ifndef GM_AUTODIFF_KERNEL_H
#define GM_AUTODIFF_KERNEL_H

#include "base/context.h"
#include "base/error.h"
#include "gm/mmd.h"
#include "kernels/mmd.h"

struct gm_mmd_kernel {
    gm_context *ctx; /* retained */
    int64_t owners;
    gm_part *parts; /* Gaussians, wide ones first; others by distance; those by product */
    double *exact;  /* `a` of each, not rounded to float */
    int32_t distances, products, room;
};

/* A part as it was filed: the members of a gm_part, `a` from `exact`. GM_E_INVALID: a number out of
 * range. */
gm_status gm_mmd_kernel_add_part(gm_mmd_kernel *kernel, int64_t kind, double weight, double a,
                                 double b, int64_t degree);

/* What the sums need, but a workspace. */
gm_mmd gm_mmd_kernel_job(const gm_mmd_kernel *kernel, int64_t d);

#endif
