/* gm/host_family.h - a family of models that the host writes, with all the shared verbs.
 *
 * The host fills a table of functions, and makes models from it with parameters and a pointer of
 * its own. The verbs of gm/model.h then work as they do for the library's families: fit with
 * validation, patience and checkpoints, step, evaluate, sample, log_prob, save and load; so do
 * likelihoods (gm/evaluate.h) and anomaly scores (gm/anomaly.h). As an example, a density model:
 *
 *     static gm_status flow_loss(void *user, gm_tape *tape, const gm_host_batch *batch,
 *                                gm_var *loss, gm_metric *metrics, int32_t *metric_count)
 *     {
 *         gm_var x = gm_input_array(tape, 2, (int64_t[]){ batch->count, 2 }, batch->rows);
 *         *loss = gm_neg(tape, gm_mean(tape, flow_apply(tape, user, x)));
 *         return GM_OK;
 *     }
 *     ...
 *     gm_host_family family = GM_HOST_FAMILY_INIT;
 *     family.name = "flow";
 *     family.loss = flow_loss;
 *     family.sample = flow_sample;
 *     family.log_prob = flow_log_prob;
 *     family.save = flow_save;
 *     family.load = flow_load;
 *     family.destroy = flow_destroy;
 *     gm_context_register_family(context, &family);
 *     gm_model_create(&model, context, &family, flow, 2, flow->params, NULL);
 *     gm_model_fit(model, data, NULL);
 *
 * Callbacks run during the verb, on the calling thread. They record on the model's tape, which is
 * empty when they begin, draws from the model's random stream (gm_tape_rng) and has the mode of the
 * verb: GM_TAPE_TRAIN in a step, else GM_TAPE_CONSTANT. Failures on the tape need no check. A
 * callback that fails returns a status, with an error line set by gm_context_fail or by the library
 * call that failed; both become the verb's. Callbacks may call the library, but on their own model
 * only getters (its verbs are GM_E_STATE), and they must not release its last owner.
 *
 * After the first call with a given count only the callbacks allocate memory: neither the library's
 * part nor operations on the tape do.
 */
#ifndef GM_HOST_FAMILY_H
#define GM_HOST_FAMILY_H

#include "gm/archive.h"
#include "gm/model.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows that a callback works on, borrowed for the call and, with gm_input_array, by the tape. */
typedef struct gm_host_batch {
    size_t size;
    const float *rows;   /* [count, row size] */
    const float *labels; /* [count], whole numbers from 0; NULL: the model takes none */
    int64_t count;
} gm_host_batch;

/* The table of functions. Entries that are NULL are verbs that the family lacks (GM_E_UNSUPPORTED);
 * `user` is the pointer passed to gm_model_create. The table is copied with each model and with
 * each registration; what it points to must stay valid as long as they exist. */
typedef struct gm_host_family {
    size_t size;
    /* 1 to 31 characters of [A-Za-z0-9_.-], not the name of a built-in family; copied */
    const char *name;

    /* Records the loss of a batch, one element, into *loss. metrics has room for GM_MAX_METRICS - 1
     * further metrics that the host wants reported, the same ones each time, with names in static
     * memory; *metric_count is 0 at first. The library itself reports "loss", computes the
     * gradients and updates the parameters. */
    gm_status (*loss)(void *user, gm_tape *tape, const gm_host_batch *batch, gm_var *loss,
                      gm_metric *metrics, int32_t *metric_count);

    /* Draws rows [count, row size]; labels as in gm_host_batch. count is at most 512. */
    gm_status (*sample)(void *user, gm_tape *tape, const float *labels, int64_t count, float *rows);

    /* log p of each row of the batch, at most 512 rows, into log_prob [count]. samples: K of an
     * estimate, as reported by `likelihood`, else 0. standard_error [count] is NULL, or filled with
     * zeros for the callback to overwrite if log_prob is an estimate. */
    gm_status (*log_prob)(void *user, gm_tape *tape, const gm_host_batch *batch, int64_t samples,
                          double *log_prob, double *standard_error);

    /* Describes what log_prob computes with `samples` samples (0: the model's own number), in
     * *likelihood, which starts as GM_LIKELIHOOD_INIT. Returns GM_E_UNSUPPORTED when log_prob takes
     * no samples but samples is above 0. NULL: log_prob is exact, without samples. */
    gm_status (*likelihood)(void *user, int64_t samples, gm_likelihood *likelihood);

    /* Puts what load needs into the archive: options as texts, parameters and layers
     * (gm/layer_file.h). Names that begin with "gm." or "optimizer." are reserved for the library.
     * checkpoint: 1 if fitting is to continue from the file; the library itself saves the
     * optimizer's state, the model's random stream and the counts. */
    gm_status (*save)(void *user, gm_archive *archive, int32_t checkpoint);

    /* Makes the model that was saved, with gm_model_create, this family and, in the options, the
     * optimizer passed here, which is NULL or that of a checkpoint. Do not trust the archive: for
     * missing entries gm_archive_get_... return GM_E_FORMAT, but sizes must be checked by the
     * callback. */
    gm_status (*load)(void *shared, gm_context *context, gm_archive *archive,
                      gm_optimizer *optimizer, gm_model **model);

    /* Frees `user`. Called once, when the model's last owner is gone; not when gm_model_create
     * fails. NULL: there is nothing to free. */
    void (*destroy)(void *user);

    void *shared; /* passed to load */
} gm_host_family;

#define GM_HOST_FAMILY_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_host_family), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL               \
    }

typedef struct gm_model_options {
    size_t size;
    /* number of label classes of a conditional model; default 0: it takes no labels */
    int64_t classes;
    /* what training changes beside the parameters (gm_layer_state); put back after a step that
     * fails, and by patience. Its members are retained. NULL: none */
    const gm_params *state;
    gm_optimizer *optimizer; /* retained and bound to the parameters; NULL: Adam, all defaults */
} gm_model_options;

#define GM_MODEL_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(gm_model_options), 0, NULL, NULL                                                    \
    }

/* Makes a model of the host's family. row_size: floats in a row. params: each parameter is retained
 * under its name in the set, and the set is only read; NULL: none. user: passed to the callbacks
 * and owned by the model from now on (see destroy); after a failure it still belongs to the caller,
 * and *out is NULL. options NULL: all defaults. Nets that its callbacks apply are complete from
 * here on: seal them with gm_layer_seal.
 *
 * GM_E_INVALID: NULL, an unknown size, a name out of range or of a built-in family, a missing entry
 * (one of loss, sample and log_prob is required, save and load require each other, likelihood
 * requires log_prob; the line names it), row_size < 1, classes < 0, a loss without parameters, an
 * optimizer without a loss, params, state or optimizer of another context; GM_E_STATE: the
 * optimizer is bound already; GM_E_NOMEM. */
GM_API gm_status gm_model_create(gm_model **out, gm_context *context, const gm_host_family *family,
                                 void *user, int64_t row_size, const gm_params *params,
                                 const gm_model_options *options);

/* The `user` pointer of a model of the host's family of this name, for example of one that came
 * from gm_model_load; NULL for other models, and for NULL. */
GM_API void *gm_model_user(const gm_model *model, const char *family);

/* Lets gm_model_load make models of the host's family in this context. The table is copied and
 * stays registered as long as the context exists. GM_E_INVALID: the table, as for gm_model_create;
 * load is NULL; a family of this name is registered already; GM_E_NOMEM. */
GM_API gm_status gm_context_register_family(gm_context *context, const gm_host_family *family);

#ifdef __cplusplus
}
#endif

#endif
