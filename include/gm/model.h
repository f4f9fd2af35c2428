/* gm/model.h - the verbs that all families share: fit, step, sample, log_prob, save, load.
 *
 * Every family has its own handle and constructor (gm_vae, gm_vae_create, ...) and a view of it of
 * type gm_model, gm_vae_model(vae). The view is borrowed from the handle and is the same object:
 * retaining one retains the other.
 *
 * A model owns a random stream (gm_rng), seeded from the context when the model is made and saved
 * with it. With the same build, BLAS and seed, results are bit for bit the same for any number of
 * threads.
 *
 * Memory: a model holds its weights. What training needs (gradients, moments, the weights from
 * before a step) is allocated by its first step; workspace is allocated by the first call of a
 * verb, the family's own functions included, and is kept, so that a later call with as many rows
 * allocates nothing. GM_E_NOMEM can come from any verb that may need more memory, and leaves the
 * model as it was.
 *
 * NaN: no verb, the family's own functions included, gives NaN for an answer. One that comes to it,
 * by weights that overflow, weights that are not finite, or rows that are NaN, returns GM_E_NUMERIC
 * with verb, row and column in the line; arrays to be filled may then hold anything. Infinities are
 * answers (the log of a probability of zero). A standard error that is not known is NaN, where its
 * function says so.
 */
#ifndef GM_MODEL_H
#define GM_MODEL_H

#include "gm/data.h"
#include "gm/optimizer.h"
#include "gm/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_model gm_model;

/* Verbs, for gm_model_supports. */
#define GM_VERB_FIT 1
#define GM_VERB_SAMPLE 2
#define GM_VERB_LOG_PROB 3
#define GM_VERB_SAVE 4

GM_API void gm_model_retain(gm_model *model);
GM_API void gm_model_release(gm_model *model); /* accepts NULL */

/* The family's name, "vae", "generator", ..., and the context; borrowed. */
GM_API const char *gm_model_family(const gm_model *model);
GM_API gm_context *gm_model_context(const gm_model *model);
/* 1 if the family has this GM_VERB_*, else 0. A verb that a family lacks returns GM_E_UNSUPPORTED.
 */
GM_API int32_t gm_model_supports(const gm_model *model, int32_t verb);
/* All parameters (borrowed; the set is sealed, gm_params_seal), and how many floats one data row
 * has. */
GM_API gm_params *gm_model_params(const gm_model *model);
GM_API int64_t gm_model_row_size(const gm_model *model);
/* The optimizer that steps use; NULL for families that have none. Borrowed. */
GM_API gm_optimizer *gm_model_optimizer(const gm_model *model);
/* The number of epochs finished and of updates made since the model was created (kept in
 * checkpoints). */
GM_API int64_t gm_model_epochs(const gm_model *model);
GM_API int64_t gm_model_steps(const gm_model *model);
/* Seeds the model's random stream anew: samples drawn afterwards depend only on the weights and the
 * seed. */
GM_API void gm_model_seed(gm_model *model, uint64_t seed);

/* The number of label classes of a conditional model; 0: the model takes no labels. */
GM_API int64_t gm_model_labels(const gm_model *model);
/* The labels of the rows that later calls of step, sample, log_prob and the family's own verbs work
 * on: one for each row, or a single one for all of them. Copied; they stay until they are set anew.
 * In a verb of a conditional model, missing labels are GM_E_STATE, and another number of labels
 * than rows is GM_E_SHAPE. fit and evaluate use the labels of the dataset instead
 * (gm_dataset_attach_labels; GM_E_STATE: it has none; GM_E_INVALID: more classes than the model's).
 * GM_E_INVALID: NULL, count < 1, a label outside 0 .. gm_model_labels - 1 (place, value and limit
 * in the line); GM_E_UNSUPPORTED: the model takes none; GM_E_NOMEM. After a failure earlier labels
 * stay. */
GM_API gm_status gm_model_set_labels(gm_model *model, const int64_t *labels, int64_t count);

/* A metric: its name and value. */
typedef struct gm_metric {
    const char *name; /* static text: "loss", "reconstruction", "kl", ... */
    double value;
} gm_metric;

#define GM_MAX_METRICS 16

/* One update on one mini-batch: rows [count, row size], borrowed for the call. metrics receives up
 * to `room` of the family's metrics for this batch ("loss" is the first), and *metric_count how
 * many; both may be NULL and room 0. The loss and gradients are checked before the update: if one
 * is not finite, the weights are put back to those of the last good step, and the status is
 * GM_E_NUMERIC. After the first call with a given count a call does no heap allocation.
 * GM_E_INVALID: NULL, count < 1, values outside the model's support (row, column and value in the
 * line); GM_E_NUMERIC; GM_E_UNSUPPORTED; GM_E_NOMEM. After any failure no weight has changed,
 * except for being put back as described, and moments, running statistics and the random stream are
 * as before the call. */
GM_API gm_status gm_model_step(gm_model *model, const float *rows, int64_t count,
                               gm_metric *metrics, int32_t room, int32_t *metric_count);

typedef struct gm_model_evaluate_options {
    size_t size;
    int64_t batch; /* rows at a time; default 128, at least 1 */
    int64_t limit; /* use only this many rows, from the first on; default 0: all */
    gm_progress_callback *on_progress; /* counts rows */
    void *user;
} gm_model_evaluate_options;

#define GM_MODEL_EVALUATE_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(gm_model_evaluate_options), 128, 0, NULL, NULL                                      \
    }

/* The metrics that a step would report, computed without an update, in evaluation mode, and
 * averaged over the dataset's rows in pass 0 (see gm/data.h). It draws from a random stream of its
 * own: the result is the same each time for the same weights, and later draws of training are not
 * affected. metrics, room and metric_count as in gm_model_step. data is borrowed for the call;
 * options NULL: all defaults. GM_E_INVALID: NULL, an option out of range, values outside the
 * model's support; GM_E_SHAPE: rows of another shape (as for gm_model_fit); GM_E_UNSUPPORTED;
 * GM_E_CANCELLED; GM_E_NOMEM; what the dataset returned. */
GM_API gm_status gm_model_evaluate(gm_model *model, gm_dataset *data,
                                   const gm_model_evaluate_options *options, gm_metric *metrics,
                                   int32_t room, int32_t *metric_count);

/* Fitting. What on_report receives: the state of the fit and its metrics. */
typedef struct gm_fit_report {
    size_t size;
    int64_t epoch; /* of this fit, from 0 */
    int64_t epochs;
    int64_t row, rows; /* rows done in this epoch, and their total */
    int64_t step;      /* updates since the model was created */
    /* 1: the epoch is complete; metrics are its means, and validation is set if there is a
     * validation set */
    int32_t epoch_end;
    int32_t metric_count;
    /* means over the epoch so far; of a pass that goes on from a file, over its rows since then
     * (and metric_count is 0 if there are none) */
    const gm_metric *metrics;
    int32_t validation_count; /* 0 unless epoch_end and a validation set was given */
    const gm_metric *validation;
    double seconds; /* since the fit began */
} gm_fit_report;

typedef struct gm_fit_options {
    size_t size;
    int64_t epochs; /* passes over the data in this call; default 10, at least 1 */
    int64_t batch;  /* default 128; at most the dataset's rows */
    /* default 1: each pass has a new order, which depends on the model's seed and the pass number;
     * 0: rows in the dataset's order */
    int32_t shuffle;
    /* default 0: the last, smaller batch of a pass is used too; 1: it is left out */
    int32_t drop_last;
    /* Counts rows of all epochs: called after each update and, with the count of before, after each
     * batch of validation rows. A fit that it stops there validates again when it goes on */
    gm_progress_callback *on_progress;
    /* Called after every update and at every epoch's end, on the calling thread, with metrics;
     * non-zero stops the fit (GM_E_CANCELLED, the model intact). May do what a
     * gm_progress_callback may. */
    int32_t (*on_report)(void *user, const gm_fit_report *report);
    void *user;             /* passed to both callbacks */
    gm_dataset *validation; /* borrowed; NULL: none. Evaluated at each epoch's end */
    /* default 0: off. Otherwise early stopping: the fit ends (GM_OK) when this many epochs have
     * gone by without a lower validation "loss", and however it ends, by itself or with any status,
     * the model is left with the weights, running statistics and averages of the best epoch. Needs
     * validation */
    int64_t patience;
    /* NULL: none. A path: a checkpoint is saved there (gm_model_save_checkpoint) when an epoch ends
     * and gm_model_epochs is a multiple of checkpoint_every */
    const char *checkpoint;
    int64_t checkpoint_every; /* default 1 */
    /* default 0: none. Otherwise a checkpoint is saved also after an update when gm_model_steps is
     * a multiple of this. Needs checkpoint */
    int64_t checkpoint_steps;
    int32_t anew;     /* default 0. 1: forgets the early stopping and the unfinished pass of earlier
                         fits; begins with the weights that the model has */
    int32_t reserved; /* 0 */
} gm_fit_options;

#define GM_FIT_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_fit_options), 10, 128, 1, 0, NULL, NULL, NULL, NULL, 0, NULL, 1, 0, 0, 0         \
    }

/* Fits the model. The dataset's rows must match the model's: they must have as many values and,
 * where both have the same number of axes, the same shape (images [channels, h, w]; see
 * gm_dataset_channels_first and gm_dataset_reshape). The dataset is borrowed for the call. options
 * NULL: all defaults.
 *
 * A fit continues from the model's present state, of which a checkpoint holds all: two fits of one
 * epoch each are bit for bit the same as one fit of two epochs, with patience, too, and with a
 * checkpoint and a load in between. A fit that was stopped inside a pass over the data, whatever
 * stopped it, is continued at the next row of that pass, which then counts as one of `epochs`:
 * after a stop, epochs - gm_model_epochs more are what is missing. (If the dataset has another
 * number of rows, or shuffle is another, the pass begins again.)
 *
 * What early stopping knows (the least loss, the epochs since then, the weights to go on with)
 * stays with the model, which so holds its weights twice, and goes into checkpoints, whose own
 * weights are those of the best epoch. The next fit with patience continues with these; when as
 * many epochs as its patience have gone by already, it trains none. They are forgotten by a fit
 * without patience, by `anew`, and by a fit that finds other weights than were left (the host's
 * step, or gm_params_write), another number of validation rows, or another stage of the model.
 *
 * GM_E_INVALID: NULL, an option out of range (named, with its value), batch larger than the
 * dataset, values outside the model's support, a last batch of a single row that the model cannot
 * train on (batch norm; see drop_last); GM_E_SHAPE: rows of another shape, which the line names
 * with the model's; GM_E_NUMERIC: a loss or gradient was not finite; the weights of the last good
 * step are kept (with patience: of the best epoch); GM_E_CANCELLED; GM_E_STATE: called from inside
 * a fit's callback, or the averages of the weights are swapped in; GM_E_NOMEM; what the dataset or
 * the checkpoint file returned. */
GM_API gm_status gm_model_fit(gm_model *model, gm_dataset *data, const gm_fit_options *options);

/* Draws count samples, as a new tensor [count, row size] owned by the caller: latents are drawn,
 * and the result is the mean of the output distribution given them (for Bernoulli probabilities,
 * shown as grey values), or as the family's header says. gm_model_sample_into fills rows [count,
 * row size], reports progress (options, or NULL) in values, count * row size in all (for a deep
 * belief network in values of its top machine), and does no heap allocation after its first call
 * with that count. GM_E_INVALID: NULL, count < 1; GM_E_UNSUPPORTED; GM_E_CANCELLED; GM_E_NUMERIC;
 * GM_E_NOMEM.
 * After a failure the model's rng is as before, and rows have unspecified values. */
GM_API gm_status gm_model_sample(gm_tensor **out, gm_model *model, int64_t count);
GM_API gm_status gm_model_sample_into(gm_model *model, int64_t count,
                                      const gm_progress_options *options, float *rows);

/* log p of each row, in nats, into log_prob [count]: exact, or an estimate; gm_model_likelihood
 * tells which. rows: [count, row size], borrowed for the call. GM_E_INVALID: NULL, count < 1,
 * values outside the model's support; GM_E_STATE: log Z of a Boltzmann machine is not known, or
 * labels are missing; GM_E_NUMERIC: it is NaN (row in the line); GM_E_UNSUPPORTED; GM_E_NOMEM. */
GM_API gm_status gm_model_log_prob(gm_model *model, const float *rows, int64_t count,
                                   double *log_prob);

/* What log_prob computes:
 *
 *   GM_LIKELIHOOD_EXACT       log p(x)
 *   GM_LIKELIHOOD_IMPORTANCE  log 1/K sum_k p(x, z_k) / q(z_k | x): too low on average, by less the
 *                             larger K is (Burda, Grosse and Salakhutdinov 2016)
 *   GM_LIKELIHOOD_ANNEALED    exact up to the error of a log Z found by annealed importance
 *                             sampling (Neal 2001), which is too low on average, so that log p is
 *                             too high
 *   GM_LIKELIHOOD_BOUND       a lower bound on log p(x) */
#define GM_LIKELIHOOD_EXACT 0
#define GM_LIKELIHOOD_IMPORTANCE 1
#define GM_LIKELIHOOD_ANNEALED 2
#define GM_LIKELIHOOD_BOUND 3

typedef struct gm_likelihood {
    size_t size;
    int32_t kind;        /* GM_LIKELIHOOD_* */
    int32_t reserved;    /* 0 */
    int64_t samples;     /* K, posterior samples per row; 0: there are none */
    double common_error; /* standard error of a term that all rows share, the log Z of a Boltzmann
                            machine; 0: there is no such term, NaN: its error is not known */
} gm_likelihood;

#define GM_LIKELIHOOD_INIT                                                                         \
    {                                                                                              \
        sizeof(gm_likelihood), 0, 0, 0, 0.0                                                        \
    }

/* Describes what gm_model_log_prob computes for the model in its present state. In a shorter
 * struct, from an older caller, only the members it has are set. GM_E_INVALID: NULL, out->size
 * unknown; GM_E_STATE: log Z is not known; GM_E_UNSUPPORTED: the model has no log_prob. */
GM_API gm_status gm_model_likelihood(gm_likelihood *out, gm_model *model);
/* "exact", "importance", "annealed", "bound"; "unknown" for other numbers. Static text. */
GM_API const char *gm_likelihood_name(int32_t kind);

/* Options of gm_model_log_prob_estimate and of the families' own functions. */
typedef struct gm_log_prob_options {
    size_t size;
    /* K, posterior samples per row, at least 1; default 0: the model's own number */
    int64_t samples;
    gm_progress_callback *on_progress; /* counts rows; NULL: none */
    void *user;
} gm_log_prob_options;

#define GM_LOG_PROB_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(gm_log_prob_options), 0, NULL, NULL                                                 \
    }

/* gm_model_log_prob with each row's standard error, from the posterior samples by the delta method;
 * 0 where there are none, NaN where there is a single one. It does not include the error that all
 * rows share (likelihood->common_error). likelihood and standard_error [count] may be NULL; options
 * NULL: all defaults. Statuses as gm_model_log_prob and gm_model_likelihood; GM_E_INVALID also:
 * samples < 0; GM_E_UNSUPPORTED also: samples is above 0, but the family's log p takes none;
 * GM_E_CANCELLED. After a failure the contents of the arrays are unspecified. */
GM_API gm_status gm_model_log_prob_estimate(gm_likelihood *likelihood, gm_model *model,
                                            const float *rows, int64_t count,
                                            const gm_log_prob_options *options, double *log_prob,
                                            double *standard_error);

/* Writes weights, architecture, options and the state of the random stream as a safetensors file:
 * to a temporary file in the same folder, synced, then renamed, so that a failure leaves an old
 * file as it was. GM_E_INVALID: NULL; GM_E_UNSUPPORTED: the model contains a host's layer whose
 * type is not registered (gm/layer_file.h), or the family has no save; GM_E_STATE: the averages of
 * the weights are swapped in (checkpoints only); GM_E_IO; GM_E_NOMEM. */
GM_API gm_status gm_model_save(gm_model *model, const char *path);
/* The same plus the optimizer's state and what fits left unfinished: the pass over the data, early
 * stopping (see gm_model_fit). Fitting continues from it bit for bit. */
GM_API gm_status gm_model_save_checkpoint(gm_model *model, const char *path);

/* Makes a model of any family from either kind of file. The host need not know its architecture; it
 * only has to register families of its own first (gm/host_family.h). Release the model with
 * gm_model_release. *out is NULL after a failure. Nothing in the file is trusted. GM_E_INVALID:
 * NULL, or an option in the file that is out of range; GM_E_IO, GM_E_FORMAT (with what is wrong),
 * GM_E_VERSION (a newer format), GM_E_UNSUPPORTED (an unknown family or layer, named in the line),
 * GM_E_SHAPE, GM_E_NUMERIC (a weight is NaN or infinite; file, tensor and place are in the line),
 * GM_E_NOMEM; what the host's load callback returned. */
GM_API gm_status gm_model_load(gm_model **out, gm_context *context, const char *path);

/* What a file may ask of the host that loads it. */
typedef struct gm_load_options {
    size_t size;
    /* The largest number of posterior samples, Gibbs or update steps, sweeps, chains or orders that
     * the model's options in the file may have: they fix how long its verbs take. Default 1000000,
     * at least 1 */
    int64_t most_work;
    int32_t not_finite; /* 1: weights that are NaN or infinite are taken, too; default 0 */
    int32_t reserved;   /* 0 */
} gm_load_options;

#define GM_LOAD_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(gm_load_options), 1000000, 0, 0                                                     \
    }

/* gm_model_load with options; NULL: all defaults, as gm_model_load has them. Loading takes memory
 * for what the file's tensors hold and little more, whatever sizes the file claims. Statuses as
 * gm_model_load; GM_E_INVALID also: an option out of range, or an option of the model above
 * most_work (key and value are in the line). */
GM_API gm_status gm_model_load_with(gm_model **out, gm_context *context, const char *path,
                                    const gm_load_options *options);

#ifdef __cplusplus
}
#endif

#endif
