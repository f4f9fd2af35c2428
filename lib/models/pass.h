/* pass.h - metrics, and how far fits are in a pass over a dataset. */
#ifndef GM_MODELS_PASS_H
#define GM_MODELS_PASS_H

#include "gm/model.h"

typedef struct gm_metrics {
    gm_metric metric[GM_MAX_METRICS];
    int32_t count;
} gm_metrics;

typedef struct gm_pass {
    int64_t row;     /* rows of it that updates have used; 0: a new pass begins */
    int64_t rows;    /* of the dataset */
    int32_t shuffle; /* of its order */
    int64_t counted; /* rows whose metrics are in the sums: not those of before a load */
    gm_metrics sums; /* metrics times rows */
} gm_pass;

#endif
