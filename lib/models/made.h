/* made.h - what made.c and made_walk.c share. */
#ifndef GM_MODELS_MADE_H
#define GM_MODELS_MADE_H

#include "gm/made.h"
#include "models/model.h"

/* The walk along the order (made_walk.c): what it knows of the model, and its own memory. weight, bias and units of
 * `layers` hidden layers and then the outputs; degrees of the hidden layers. */
#define GM_MADE_WALK 16 /* rows that walk together */
typedef struct gm_made_walk {
    gm_model *model;
    int32_t kind, activation, layers;
    int64_t columns, classes, width;
    double slope, log_scale;
    int64_t units[GM_MADE_MAX_LAYERS + 1];
    const int64_t *degrees[GM_MADE_MAX_LAYERS + 1], *order;
    const float *weight[GM_MADE_MAX_LAYERS + 1], *bias[GM_MADE_MAX_LAYERS + 1], *direct;
    float *value;
    int64_t *place;
    int64_t values, places;
} gm_made_walk;
gm_status gm_made_walk_begin(gm_made_walk *w); /* takes the memory */
void gm_made_walk_end(gm_made_walk *w);        /* zeroed: nothing */
/* Up to GM_MADE_WALK rows: row r is rows + which[r] columns (which NULL: r); known and log_known are by r. The rest as fill in
 * gm_autoregressive; with any_order all rows have the same columns known. */
void gm_made_walk_rows(gm_made_walk *w, float *rows, const int64_t *which, int64_t n,
                       const uint8_t *known, int any_order, double *log_known, int draw);

#endif
