/* numeric.h - values that are not numbers do not pass for answers. */
#ifndef GM_MODELS_NUMERIC_H
#define GM_MODELS_NUMERIC_H

#include "gm/model.h"

/* What a verb is about to give, [rows, width]; NULL is fine. GM_E_NUMERIC with row and column of a
 * NaN. Infinities are answers: the log of a probability of zero. */
gm_status gm_model_check_floats(const gm_model *model, const char *verb, const float *values,
                                int64_t rows, int64_t width);
gm_status gm_model_check_reals(const gm_model *model, const char *verb, const double *values,
                               int64_t rows, int64_t width);

#endif
