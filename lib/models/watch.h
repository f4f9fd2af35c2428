/* watch.h - early stopping: the least validation loss so far, and the weights that gave it. */
#ifndef GM_MODELS_WATCH_H
#define GM_MODELS_WATCH_H

#include "models/family.h"

/* A model has one from its first fit with patience on, and after a load from a checkpoint that was
 * written since: the next fit with patience goes on with it. "Values" are parameters, state and, if
 * the optimizer keeps them, averages of the parameters. Between fits the model has those of the
 * best epoch, and `other` those to go on with; while a fit trains they have changed places. */
struct gm_watch {
    int32_t known;    /* 1: there is a best epoch; 0: no epoch has ended, `other` holds nothing */
    int32_t training; /* 1: the model has the values to go on with */
    double loss;      /* the least */
    int64_t waited;   /* epochs since then */
    int64_t rows;     /* of the validation set; 0: not known (files of old) */
    uint64_t sum;     /* of the values of the best epoch as they were left in the model */
    int64_t count;    /* of values */
    float *other;
};

/* Makes model->watch for a validation set of so many rows: the one that is there if it is of these
 * rows and of the model's present values, else (or if `anew`) a new one, without a best epoch.
 * GM_E_NOMEM, after which all is as before. */
gm_status gm_watch_open(gm_model *model, int64_t rows, int32_t anew);
void gm_watch_close(gm_model *model);
/* Around training; nothing without a watch. What the model has is the values to go on with, and
 * those of the best epoch again. */
void gm_watch_enter(gm_model *model);
void gm_watch_leave(gm_model *model);
/* The loss of an epoch that is over; the values are kept if it is the least. */
void gm_watch_add(gm_model *model, double loss);

/* Around the writing of a checkpoint: in the middle of training the model has the values of the
 * best epoch there; gm_watch_show_best tells if it changed any. */
int gm_watch_show_best(gm_model *model);
void gm_watch_hide_best(gm_model *model, int shown);
/* Into a checkpoint, nothing without a best epoch; and out of one, nothing if it has none.
 * GM_E_FORMAT, GM_E_SHAPE: what it has does not fit the model. */
gm_status gm_watch_save(const gm_model *model, gm_archive *archive);
gm_status gm_watch_load(gm_model *model, gm_archive *archive);

/* What fits left unfinished, the pass over the data and the watch, is forgotten: the model is
 * another one. */
void gm_model_forget_fits(gm_model *model);

#endif
