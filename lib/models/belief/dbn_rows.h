/* dbn_rows.h - deep belief networks: what dbn.c and dbn_likelihood.c share. */
#ifndef GM_MODELS_BELIEF_DBN_ROWS_H
#define GM_MODELS_BELIEF_DBN_ROWS_H

#include "gm/dbn.h"
#include "models/family.h"

/* Are rows values from 0 to 1, or bits? GM_E_INVALID with row, column and value; or out or rows
 * NULL. */
gm_status gm_dbn_check_rows(gm_dbn *dbn, const char *verb, int bits, const float *rows, int64_t n,
                            const void *out);
/* log_prob_samples of the options. */
int64_t gm_dbn_own_samples(const gm_dbn *dbn);

#endif
