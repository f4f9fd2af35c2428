/* gm/host_family.h - a family of models that the host writes, with all the shared verbs.
 *
 * The host fills a table of functions, and makes models of it out of parameters and a pointer of
 * its own. The verbs of gm/model.h then work as they do for the library's families: fit with
 * validation, patience and checkpoints, step, evaluate, sample, log_prob, save and load; so do
 * likelihoods (gm/evaluate.h) and anomaly scores (gm/anomaly.h). A density as an example:
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
 * empty when they begin, draws from the model's generator (gm_tape_rng) and has the mode of the
 * verb: GM_TAPE_TRAIN in a step, else GM_TAPE_CONSTANT. What fails on the tape needs no check. A
 * callback that fails returns a status, with a line by gm_context_fail or of the call that failed;
 * both become the verb's. They may call the library, but of their own model no verb but getters
 * (GM_E_STATE), and they may not release its last owner.
 *
 * Only the callbacks allocate: after the first call with a count the library's part takes no
 * memory, and neither do operations on the tape.
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

/* The table. Entries that are NULL are verbs that the family lacks (GM_E_UNSUPPORTED); `user` is
 * what gm_model_create was given. It is copied with each model and with each registration; what it
 * points to must live as long. */
typedef struct gm_host_family {
    size_t size;
    const char *name; /* 1 to 31 characters of [A-Za-z0-9_.-], no built-in family's; copied */

    /* Records the loss of a batch, one element. metrics has space for GM_MAX_METRICS - 1 more that
     * the host wants reported, the same ones each time, their names static text; *metric_count is 0
     * at first. The library reports "loss" itself, takes the gradients and steps. */
    gm_status (*loss)(void *user, gm_tape *tape, const gm_host_batch *batch, gm_var *loss,
                      gm_metric *metrics, int32_t *metric_count);

    /* Draws rows [count, row size]; labels as in a batch. At most 512 at a time. */
    gm_status (*sample)(void *user, gm_tape *tape, const float *labels, int64_t count, float *rows);

    /* log p of each row, at most 512 at a time, into log_prob [count]. samples: K of an estimate,
     * as `likelihood` said, else 0. standard_error [count] is NULL or zeros, for estimates. */
    gm_status (*log_prob)(void *user, gm_tape *tape, const gm_host_batch *batch, int64_t samples,
                          double *log_prob, double *standard_error);

    /* What log_prob with `samples` (0: the model's own number) gives, into *likelihood, which is
     * GM_LIKELIHOOD_INIT. GM_E_UNSUPPORTED when it takes no samples and some are asked for. NULL:
     * exact, without samples. */
    gm_status (*likelihood)(void *user, int64_t samples, gm_likelihood *likelihood);

    /* Puts what load needs into the archive: options as texts, parameters and layers
     * (gm/layer_file.h). Names that begin with "gm." or "optimizer." are the library's. checkpoint:
     * 1 if fitting is to go on from it; the optimizer's state, the generator and the counts are
     * saved by the library. */
    gm_status (*save)(void *user, gm_archive *archive, int32_t checkpoint);

    /* Makes the model that was saved: gm_model_create with this family and, in its options, this
     * optimizer, which is NULL or that of a checkpoint. Nothing in the archive is to be trusted:
     * missing entries are GM_E_FORMAT by gm_archive_get_..., sizes are the callback's to check. */
    gm_status (*load)(void *shared, gm_context *context, gm_archive *archive,
                      gm_optimizer *optimizer, gm_model **model);

    /* Called once, when the model's last owner is gone; not when gm_model_create fails. NULL: there
     * is nothing to do. */
    void (*destroy)(void *user);

    void *shared; /* for load */
} gm_host_family;

#define GM_HOST_FAMILY_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_host_family), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL               \
    }

typedef struct gm_model_options {
    size_t size;
    int64_t classes;         /* of the labels that the model takes; default 0: none */
    const gm_params *state;  /* what training keeps beside parameters (gm_layer_state), put back
                                after a step that fails, and by patience; retained one by one */
    gm_optimizer *optimizer; /* retained and bound to the parameters; NULL: Adam, all defaults */
} gm_model_options;

#define GM_MODEL_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(gm_model_options), 0, NULL, NULL                                                    \
    }

/* Makes a model of the host's family. row_size: floats in a row. params: each is retained under its
 * name in the set, which is only read; NULL: none. user: handed to the callbacks, the model's from
 * now on (destroy); after a failure it is still the caller's. options NULL: all defaults.
 *
 * GM_E_INVALID: NULL, an unknown size, a name out of range or of a built-in family, an entry that
 * is missing (one of loss, sample and log_prob is needed, save and load need each other, likelihood
 * needs log_prob: the line names it), row_size < 1, classes < 0, a loss without parameters, an
 * optimizer without a loss, params, state or optimizer of another context; GM_E_STATE: the
 * optimizer is bound already; GM_E_NOMEM. */
GM_API gm_status gm_model_create(gm_model **out, gm_context *context, const gm_host_family *family,
                                 void *user, int64_t row_size, const gm_params *params,
                                 const gm_model_options *options);

/* The `user` of a model of the host's family of this name; NULL for other models, and for NULL. For
 * hosts that have a model back from gm_model_load. */
GM_API void *gm_model_user(const gm_model *model, const char *family);

/* Lets gm_model_load make models of the host's family in this context. The table is copied, and
 * stays until the context goes. GM_E_INVALID: as gm_model_create, for the table; no load; another
 * family of this name is registered; GM_E_NOMEM. */
GM_API gm_status gm_context_register_family(gm_context *context, const gm_host_family *family);

#ifdef __cplusplus
}
#endif

#endif
