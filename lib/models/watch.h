/* watch.h - early stopping: the least validation loss so far, and the weights that gave it. */
#ifndef GM_MODELS_WATCH_H
#define GM_MODELS_WATCH_H

#include "models/family.h"

/* A model has one from the beginning of a fit with patience to its end, and again after a load from
 * a checkpoint that such a fit wrote: the next fit goes on with it. */
struct gm_watch {
    double loss;    /* the least; NaN before the first */
    int64_t waited; /* epochs since then */
    int64_t count;  /* of values */
    float *best;    /* parameters and, behind them, state */
};

/* Makes model->watch, unless there is one of the model's present size. GM_E_NOMEM. */
gm_status gm_watch_open(gm_model *model);
/* The loss of an epoch that is over; the weights are kept if it is the least. */
gm_status gm_watch_add(gm_model *model, double loss);
/* Puts the kept weights back, if they are not those of the last epoch. */
gm_status gm_watch_restore(gm_model *model);
void gm_watch_close(gm_model *model);

/* Into a checkpoint, nothing without a watch; and out of one, nothing if it has none. GM_E_FORMAT,
 * GM_E_SHAPE: what it has does not fit the model. */
gm_status gm_watch_save(const gm_model *model, gm_archive *archive);
gm_status gm_watch_load(gm_model *model, gm_archive *archive);

#endif
