/* dbn.h - what dbn.c and dbn_likelihood.c share. */
#ifndef GM_MODELS_DBN_H
#define GM_MODELS_DBN_H

#include "gm/dbn.h"
#include "models/model.h"

/* Are rows values from 0 to 1, or bits? GM_E_INVALID with row, column and value; or out or rows NULL. */
gm_status gm_dbn_check_rows(gm_dbn *dbn, const char *verb, int bits, const float *rows, int64_t n,
                            const void *out);

#endif
