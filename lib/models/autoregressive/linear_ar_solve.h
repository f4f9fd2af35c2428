/* linear_ar_solve.h - least squares in closed form, for linear_ar.c. */
#ifndef GM_MODELS_AUTOREGRESSIVE_LINEAR_AR_SOLVE_H
#define GM_MODELS_AUTOREGRESSIVE_LINEAR_AR_SOLVE_H

#include "models/autoregressive/column_order.h"

/* gm_linear_ar_solve (linear_ar_solve.c). */
gm_status gm_linear_ar_fit_normal(gm_model *model, const gm_order *order, gm_dataset *data,
                                  double ridge);

#endif
