/* gemm.h - matrix products through CBLAS, or through the library's own kernel where the table of
 * kernels asks for it; only gemm.c and blas.c include <cblas.h>.
 *
 * A product is cut into tiles by a rule that looks at its sizes alone, never at the number of
 * threads, so the bits of the result are the same for 1, 2, 3 ... threads (given a serial,
 * deterministic BLAS).
 */
#ifndef GM_KERNELS_GEMM_H
#define GM_KERNELS_GEMM_H

#include <stdint.h>

#include "base/team.h"
#include "kernels/kernels.h"

/* What is done with each tile of C while it is in cache: C = act(C + bias), bias one value per
 * column. */
typedef struct gm_epilogue {
    const float *bias; /* n values or NULL */
    int32_t act;       /* GM_UNARY_* */
    float a;
} gm_epilogue;

/* C[m,n] = alpha op(A) op(B) + beta C, row-major, ld in elements. ta: A is stored [k,m]; tb: B
 * is stored [n,k]. beta 0 never reads C. epilogue may be NULL. k = 0 gives beta C. */
void gm_gemm(gm_team *team, const gm_kernels *kernels, int ta, int tb, int64_t m, int64_t n,
             int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
             float beta, float *c, int64_t ldc, const gm_epilogue *epilogue);

/* The same on the calling thread alone, in one call: for callers that are shards
 * themselves. */
void gm_gemm_serial(const gm_kernels *kernels, int ta, int tb, int64_t m, int64_t n, int64_t k,
                    float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                    float beta, float *c, int64_t ldc);

/* Name, configuration, number of threads of the BLAS in use; a hint when its kernels do not fit
 * the processor ("" when they do). Each text is NUL-terminated within its size. */
typedef struct gm_blas_info {
    char name[64];
    char kernels[32]; /* OpenBLAS core name, BLIS arch */
    int32_t threads;
    char hint[192];
} gm_blas_info;
void gm_blas_describe(gm_blas_info *info);
/* Process-wide; 0 when the BLAS in use has no such control. */
int gm_blas_set_threads(int32_t threads);

#endif
