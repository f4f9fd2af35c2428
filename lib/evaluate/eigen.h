/* eigen.h - the trace of a root of two covariances. */
#ifndef GM_EVALUATE_EIGEN_H
#define GM_EVALUATE_EIGEN_H

#include "models/family.h"

/* Tr (A B)^(1/2) of two covariances [n, n], which may be singular and are overwritten. scratch: n n
 * + 3 n. GM_E_NUMERIC, without a line. */
gm_status gm_trace_sqrt_product(double *a, double *b, int64_t n, double *scratch, double *out);

#endif
