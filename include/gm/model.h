/* gm/model.h - the verbs that all families share: fit, step, sample, log_prob, save, load.
 *
 * Every family has its own handle and constructor (gm_vae, ...) and a view of it,
 * gm_vae_model(vae), of type gm_model. The view is borrowed from the handle and is the same object:
 * retaining the one retains the other.
 *
 * A model owns a random generator, seeded from the context when the model is made and saved with
 * it. Same build, same BLAS, same seed: same bits, whatever the number of threads.
 *
 * Memory: a model holds its weights. What training needs (gradients, moments, the weights of before
 * a step) comes with its first step; workspace comes with the first call of a verb, its families'
 * own ones too, and is kept, so that a later call with as many rows takes none. GM_E_NOMEM can come
 * from any verb that may need more, and leaves the model as it was.
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

/* "vae", "generator", ... */
GM_API const char *gm_model_family(const gm_model *model);
GM_API gm_context *gm_model_context(const gm_model *model);
/* 1 or 0. A verb that a family lacks returns GM_E_UNSUPPORTED. */
GM_API int32_t gm_model_supports(const gm_model *model, int32_t verb);
/* All parameters, and how many floats one data row has. Borrowed. */
GM_API gm_params *gm_model_params(const gm_model *model);
GM_API int64_t gm_model_row_size(const gm_model *model);
/* The optimizer that steps use; NULL for families that have none. Borrowed. */
GM_API gm_optimizer *gm_model_optimizer(const gm_model *model);
/* Passes over data finished, and updates made, since the model was made (kept in checkpoints). */
GM_API int64_t gm_model_epochs(const gm_model *model);
GM_API int64_t gm_model_steps(const gm_model *model);
/* Seeds the model's generator anew: sampling after this depends on the weights and the seed only.
 */
GM_API void gm_model_seed(gm_model *model, uint64_t seed);

/* How many label classes a conditional model takes; 0: it takes none. */
GM_API int64_t gm_model_labels(const gm_model *model);
/* The labels of the rows that later calls of step, sample, log_prob and the family's own verbs work
 * on: one for each row, or a single one for all of them. Copied; they stay until they are set anew.
 * A verb of a conditional model that finds none is GM_E_STATE, another number of them GM_E_SHAPE.
 * fit and evaluate take the labels of the dataset instead (gm_dataset_attach_labels; GM_E_STATE: it
 * has none; GM_E_INVALID: more classes than the model's). GM_E_INVALID: NULL, count < 1, a label
 * outside 0 .. gm_model_labels - 1 (place, value and limit in the line); GM_E_UNSUPPORTED: the
 * model takes none; GM_E_NOMEM. Earlier labels stay then. */
GM_API gm_status gm_model_set_labels(gm_model *model, const int64_t *labels, int64_t count);

/* Metrics by name. */
typedef struct gm_metric {
    const char *name; /* static text: "loss", "reconstruction", "kl", ... */
    double value;
} gm_metric;

#define GM_MAX_METRICS 16

/* One update on one mini-batch: rows [count, row size], borrowed for the call. metrics receives up
 * to `room` of the family's metrics of this batch ("loss" is the first), *metric_count how many;
 * both may be NULL and room 0. Checks before it updates: a loss or gradient that is not finite is
 * GM_E_NUMERIC; then the weights are put back to the ones of the last good step. After the first
 * call with a given count a call does no heap allocation. GM_E_INVALID: NULL, count < 1, values
 * that the likelihood cannot have (row, column and value in the line); GM_E_NUMERIC;
 * GM_E_UNSUPPORTED; GM_E_NOMEM. On any failure no weight has changed, but for the way back above,
 * and moments, running statistics and the random stream are as before the call. */
GM_API gm_status gm_model_step(gm_model *model, const float *rows, int64_t count,
                               gm_metric *metrics, int32_t room, int32_t *metric_count);

typedef struct gm_model_evaluate_options {
    size_t size;
    int64_t batch;                     /* rows at a time; default 128, at least 1 */
    int64_t limit;                     /* only the first so many rows; default 0: all */
    gm_progress_callback *on_progress; /* counts rows */
    void *user;
} gm_model_evaluate_options;

#define GM_MODEL_EVALUATE_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(gm_model_evaluate_options), 128, 0, NULL, NULL                                      \
    }

/* The metrics that a step would report, without a step, in evaluation mode, averaged over the
 * dataset's rows as pass 0 gives them (see gm/data.h). Draws from a stream of its own: the same
 * each time for the same weights, and what training draws later stays the same. data is borrowed
 * for the call; options NULL: all defaults. GM_E_INVALID: NULL, an option out of range, values that
 * the likelihood cannot have; GM_E_SHAPE: rows of another shape (as for gm_model_fit);
 * GM_E_UNSUPPORTED; GM_E_CANCELLED; GM_E_NOMEM; what the dataset returned. */
GM_API gm_status gm_model_evaluate(gm_model *model, gm_dataset *data,
                                   const gm_model_evaluate_options *options, gm_metric *metrics,
                                   int32_t room, int32_t *metric_count);

/* Fitting. What on_report is told: where the fit is, and its metrics. */
typedef struct gm_fit_report {
    size_t size;
    int64_t epoch; /* of this fit, from 0 */
    int64_t epochs;
    int64_t row, rows; /* rows done of this epoch, of how many */
    int64_t step;      /* updates since the model was made */
    /* 1: the epoch is over; then the metrics are its means, and validation is set */
    int32_t epoch_end;
    int32_t metric_count;
    const gm_metric *metrics; /* means over the epoch so far */
    int32_t validation_count; /* 0 unless epoch_end and a validation set was given */
    const gm_metric *validation;
    double seconds; /* since the fit began */
} gm_fit_report;

typedef struct gm_fit_options {
    size_t size;
    int64_t epochs; /* default 10, at least 1: passes to make in this call */
    int64_t batch;  /* default 128; at most the dataset's rows */
    /* default 1: a new order each pass, from the model's seed and the pass number */
    int32_t shuffle;
    int32_t drop_last; /* default 0: the last, smaller batch of a pass is used too */
    gm_progress_callback *on_progress; /* counts rows of all epochs, after each update */
    /* Called after every update and at every epoch's end, on the calling thread, with metrics;
     * non-zero stops the fit (GM_E_CANCELLED, the model intact). May call into the library with
     * this context, but not fit or step. */
    int32_t (*on_report)(void *user, const gm_fit_report *report);
    void *user;             /* of both */
    gm_dataset *validation; /* borrowed; NULL: none. Evaluated at each epoch's end */
    int64_t patience; /* default 0: off. Else stop after so many epochs without a lower validation
                         "loss"; the weights and running statistics of the best epoch are put back
                         (GM_OK). Needs validation. Checkpoints of such a fit hold its best loss and
                         weights: after a load, or after GM_E_CANCELLED, the next fit with patience
                         goes on with these, on the same validation rows */
    const char *checkpoint;   /* NULL: none. A path: gm_model_save_checkpoint there every
                                 checkpoint_every epochs */
    int64_t checkpoint_every; /* default 1 */
} gm_fit_options;

#define GM_FIT_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_fit_options), 10, 128, 1, 0, NULL, NULL, NULL, NULL, 0, NULL, 1                  \
    }

/* Fits the model. The dataset's rows must be the model's: have as many values and, where both have
 * as many axes, the same shape (images [channels, h, w]; see gm_dataset_channels_first and
 * gm_dataset_reshape). It is borrowed for the call. A fit continues where the model stands: two
 * fits of one epoch are a fit of two, and so are a fit, a checkpoint, a load and a fit, bit for
 * bit. GM_E_INVALID: NULL, an option out of range (named, with its value), batch larger than the
 * dataset, values that the likelihood cannot have, a last batch of a single row that the model
 * cannot train on (batch norm; see drop_last); GM_E_SHAPE: rows of another shape, which the line
 * names with the model's; GM_E_NUMERIC: a loss or gradient was not finite; the weights of the last
 * good step are kept; GM_E_CANCELLED; GM_E_STATE: called from inside a fit's callback; GM_E_NOMEM;
 * what the dataset or the checkpoint file returned. */
GM_API gm_status gm_model_fit(gm_model *model, gm_dataset *data, const gm_fit_options *options);

/* count samples as a new tensor [count, row size]: the mean of the output distribution given what
 * is drawn (grey probabilities for Bernoulli), as the family's page says. _into fills
 * rows [count, row size], tells progress (options, or NULL) in values, count * row size in all (a
 * deep belief network: in values of its top machine), and
 * does no heap allocation after its first call with that count. GM_E_INVALID: NULL, count < 1;
 * GM_E_UNSUPPORTED; GM_E_CANCELLED; GM_E_NOMEM. After a failure the model's rng is as before, and
 * rows have unspecified values. */
GM_API gm_status gm_model_sample(gm_tensor **out, gm_model *model, int64_t count);
GM_API gm_status gm_model_sample_into(gm_model *model, int64_t count,
                                      const gm_progress_options *options, float *rows);

/* log p of each row, in nats, into log_prob [count]: exact, or an estimate, as gm_model_likelihood
 * tells. rows: [count, row size], borrowed for the call. GM_E_INVALID: NULL, count < 1, values that
 * the likelihood cannot have; GM_E_STATE: log Z of a Boltzmann machine is not known, or labels are
 * missing; GM_E_UNSUPPORTED; GM_E_NOMEM. */
GM_API gm_status gm_model_log_prob(gm_model *model, const float *rows, int64_t count,
                                   double *log_prob);

/* What the numbers of log_prob are. */
#define GM_LIKELIHOOD_EXACT 0 /* log p(x) */
#define GM_LIKELIHOOD_IMPORTANCE                                                                   \
    1 /* log 1/K sum_k p(x, z_k) / q(z_k | x): too low on average, by less the larger K is         \
         (Burda, Grosse and Salakhutdinov 2016) */
#define GM_LIKELIHOOD_ANNEALED                                                                     \
    2 /* exact but for a log Z found by annealed importance sampling (Neal 2001), which is too low \
         on average; so log p is too high */
#define GM_LIKELIHOOD_BOUND 3 /* a lower bound on log p(x) */

typedef struct gm_likelihood {
    size_t size;
    int32_t kind;        /* GM_LIKELIHOOD_* */
    int32_t reserved;    /* 0 */
    int64_t samples;     /* K, posterior samples a row; 0: there are none */
    double common_error; /* standard error of a term that all rows share, the log Z of a Boltzmann
                            machine; 0: there is none, NaN: it is not known */
} gm_likelihood;

#define GM_LIKELIHOOD_INIT                                                                         \
    {                                                                                              \
        sizeof(gm_likelihood), 0, 0, 0, 0.0                                                        \
    }

/* What gm_model_log_prob gives for the model as it stands. A struct of an older caller gets its
 * part. GM_E_INVALID: NULL, out->size unknown; GM_E_STATE: log Z is not known; GM_E_UNSUPPORTED:
 * the model has no log_prob. */
GM_API gm_status gm_model_likelihood(gm_likelihood *out, gm_model *model);
/* "exact", "importance", "annealed", "bound"; "unknown" for other numbers. Static text. */
GM_API const char *gm_likelihood_name(int32_t kind);

/* For log p in full: gm_model_log_prob_estimate, and the families' own. */
typedef struct gm_log_prob_options {
    size_t size;
    int64_t samples; /* K, posterior samples a row, at least 1; default 0: the model's own number */
    gm_progress_callback *on_progress; /* counts rows; NULL: none */
    void *user;
} gm_log_prob_options;

#define GM_LOG_PROB_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(gm_log_prob_options), 0, NULL, NULL                                                 \
    }

/* gm_model_log_prob with each row's standard error: from the posterior samples, by the delta
 * method; 0 where there are none, NaN where there is a single one. It does not have the error that
 * all rows share. likelihood and standard_error [count] may be NULL; options NULL: all defaults.
 * Statuses as gm_model_log_prob and gm_model_likelihood; GM_E_INVALID also: samples < 0;
 * GM_E_UNSUPPORTED also: samples are given, and the family's log p takes none; GM_E_CANCELLED.
 * After a failure the arrays hold anything. */
GM_API gm_status gm_model_log_prob_estimate(gm_likelihood *likelihood, gm_model *model,
                                            const float *rows, int64_t count,
                                            const gm_log_prob_options *options, double *log_prob,
                                            double *standard_error);

/* Writes weights, architecture, options and the state of the generator as a safetensors file: to a
 * temporary file in the same folder, synced, then renamed, so that a failure leaves an old file as
 * it was. GM_E_INVALID: NULL; GM_E_UNSUPPORTED: a host's layer is inside
 * whose type is not registered (gm/layer_file.h), or the family has no save; GM_E_STATE: the
 * average of the weights is swapped in (checkpoints); GM_E_IO; GM_E_NOMEM. */
GM_API gm_status gm_model_save(gm_model *model, const char *path);
/* The same plus the optimizer's state: fitting continues from it bit for bit. */
GM_API gm_status gm_model_save_checkpoint(gm_model *model, const char *path);

/* Rebuilds a model of any family from either kind of file: without the host's help, but for
 * families of the host's, which it has registered (gm/host_family.h). Release it with
 * gm_model_release. Nothing in the file is trusted. GM_E_INVALID: NULL, or an option in the file
 * that is out of range; GM_E_IO, GM_E_FORMAT (with what is wrong), GM_E_VERSION (a newer format),
 * GM_E_UNSUPPORTED (an unknown family or layer, named in the line), GM_E_SHAPE, GM_E_NOMEM; what
 * the host's load returned. */
GM_API gm_status gm_model_load(gm_model **out, gm_context *context, const char *path);

#ifdef __cplusplus
}
#endif

#endif
