/* family.h - what a family provides, and what the shared verbs keep. */
#ifndef GM_MODELS_FAMILY_H
#define GM_MODELS_FAMILY_H

#include <stddef.h>

#include "gm/archive.h"
#include "gm/autoregressive.h"
#include "gm/extend.h"
#include "gm/layer.h"
#include "gm/model.h"
#include "gm/norm.h"
#include "gm/tape.h"
#include "models/call.h"
#include "models/pass.h"
#include "models/scratch.h"

#define GM_TRY(expr)                                                                               \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != GM_OK) goto out;                                                             \
    } while (0)

typedef struct gm_batch {
    const float *rows;
    const float *labels; /* one for each row; NULL: the model takes none */
    int64_t count;
    const int64_t *index; /* which rows of a dataset of `total` these are; NULL: of none */
    int64_t total;
} gm_batch;

struct gm_autoregressive; /* models/autoregressive/conditionals.h */

typedef struct gm_family {
    const char *name;
    /* Its entries decide which verbs it has: a family without `loss` does not fit, and so on. An
     * entry may leave what it took of the scratch: the shared verb that called it gives it back.
     * Records the loss of a batch on the model's tape, in the tape's mode, and adds the metrics,
     * "loss" first. */
    gm_status (*loss)(gm_model *model, const gm_batch *batch, gm_var *loss, gm_metrics *metrics);
    /* One update, for families whose update is more than a step down one loss; NULL: that. It keeps
     * the promises of gm_model_step. */
    gm_status (*step)(gm_model *model, const gm_batch *batch, gm_metrics *metrics);
    gm_status (*sample)(gm_model *model, float *out, const float *labels, int64_t count);
    /* log p of rows. how->samples is what `likelihood` said; who takes samples also reports
     * progress, others need not. error: NULL, or zeros to which the standard errors of estimates
     * are written.
     */
    gm_status (*log_prob)(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error);
    /* What log_prob with `samples` (0: the model's own number) gives; it comes with log_prob, and
     * neither without the other. out is GM_LIKELIHOOD_INIT. GM_E_UNSUPPORTED: samples are asked
     * for, and it takes none. */
    gm_status (*likelihood)(gm_model *model, int64_t samples, gm_likelihood *out);
    /* Options and parts into the archive, with all that fitting needs if it is a checkpoint's; a
     * model out of it (optimizer: NULL or the one of a checkpoint). */
    gm_status (*save)(gm_model *model, gm_archive *archive, int checkpoint);
    gm_status (*load)(gm_model **out, gm_context *ctx, gm_archive *archive,
                      gm_optimizer *optimizer);
    /* Releases the family's own parts and the memory; gm_model_close does the rest. */
    void (*destroy)(gm_model *model);
    const struct gm_autoregressive *autoregressive; /* NULL: the family is not */
} gm_family;

/* The first member of every family's struct. */
struct gm_model {
    const gm_family *family;
    gm_context *ctx; /* retained */
    int64_t owners;
    gm_params *params;
    gm_params *state; /* running statistics and the like, of all parts: no optimizer sees them */
    float *before;    /* all of it as it was before the present step; NULL before the first */
    gm_optimizer *optimizer; /* NULL: the family does not fit */
    gm_rng *rng;
    gm_rng_state drawn; /* rng's as it was before the present step */
    gm_tape *tape;      /* draws from rng */
    int64_t row_size;
    int32_t row_rank; /* of one row, where a net sees axes in it; 0: rows are flat */
    int64_t row_shape[GM_MAX_ROW_RANK];
    int64_t epochs, steps;
    uint64_t order_seed; /* of the order of rows in each pass */
    gm_pass pass;        /* the one after `epochs` */
    int32_t fitting;
    int32_t calls;          /* verbs that are at work, each inside a callback of the one before */
    int32_t in_callback;    /* of a host's family: the tape is the callback's */
    struct gm_watch *watch; /* of early stopping (models/watch.h); NULL: none */
    int64_t classes;        /* of the labels; 0: takes none */
    float *labels;          /* as the host set them */
    int64_t label_count, label_room;
    gm_scratch scratch;
    gm_model_call call;
    /* Of a reader of a frozen model, and of the parts of one: the context that it was made in, and
     * how many rows its memory is for. */
    gm_context *host; /* NULL: not a reader's */
    int64_t most_rows;
};

/* A family's struct, zeroed, with one owner and ctx retained: whatever fails after this, releasing
 * the model is due and enough. NULL without memory, with the line. */
void *gm_model_new(gm_context *ctx, const gm_family *family, size_t size);
/* Makes its rng, tape and empty sets of parameters and state. */
gm_status gm_model_open(gm_model *model);
void gm_model_close(gm_model *model);
/* Adds the state of a part to the model's, under prefix; a part without any is fine. Called before
 * the first step. */
gm_status gm_model_add_state(gm_model *model, const char *prefix, const gm_layer *part);
/* Binds the given optimizer, or a new Adam, to the parameters, and keeps it in *slot, one of the
 * model's own. */
gm_status gm_model_bind(gm_model *model, gm_optimizer **slot, gm_optimizer *optimizer,
                        const gm_params *params);

/* Puts the optimizer's averaged weights into the parameters for sampling and saving, unless there
 * are none or the host has them there; *in: gm_model_take_average takes them out again. */
gm_status gm_model_put_average(gm_model *model, int *in);
gm_status gm_model_take_average(gm_model *model, int in);

/* Zeroed memory; NULL without. */
void *gm_model_allocate(gm_context *ctx, size_t size);

/* "family: ..." with printf's directives, into the context's line. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
gm_status
gm_model_fail(gm_context *ctx, gm_status status, const char *format, ...);
void gm_metrics_add(gm_metrics *metrics, const char *name, double value);

/* GM_E_STATE in a callback of the model's own family, where a verb would take the tape from it. */
gm_status gm_model_check_idle(gm_model *model, const char *verb);
/* Forgets the recording and sets the tape's mode. */
void gm_model_record(gm_model *model, int32_t mode);

/* The labels for `count` rows: those the host set, or NULL if the model takes none. In working
 * memory (models/scratch.h), which the caller gives back: a callback of the host's may set others.
 * GM_E_STATE, GM_E_SHAPE, GM_E_NOMEM. */
gm_status gm_model_labels_for(gm_model *model, const char *verb, int64_t count, const float **out);
/* Has the dataset the labels that the model takes? GM_OK for a model that takes none. */
gm_status gm_model_check_labels(gm_model *model, gm_dataset *data, const char *verb);
gm_status gm_model_read_labels(gm_model *model, gm_dataset *data, const int64_t *rows,
                               int64_t count, float *out);
/* Labels as a variable [count]; GM_NO_VAR for NULL. */
gm_var gm_model_label_var(gm_tape *tape, const float *labels, int64_t count);
/* x with the label beside it, as one-hot values: after the row's own [n, d], or as planes after the
 * channels of images [n, c, h, w]. labels GM_NO_VAR: x itself. */
gm_var gm_model_join_label(gm_tape *tape, gm_var x, gm_var labels, int64_t classes);
/* One step down the family's loss, the whole of what a family without a `step` does. */
gm_status gm_model_descend(gm_model *model, const gm_batch *batch, gm_metrics *metrics);
/* log p of a batch whose labels have been found: what it is (likelihood NULL: not asked for), and
 * standard errors (NULL: none), as gm_model_log_prob_estimate. options: checked, or NULL. */
gm_status gm_model_score_batch(gm_model *model, const gm_batch *batch,
                               const gm_log_prob_options *options, gm_likelihood *likelihood,
                               double *out, double *error);
/* The options that were given, or the defaults. GM_E_INVALID: unknown size, samples < 0; the line
 * begins with `what`. */
gm_status gm_log_prob_options_read(gm_context *ctx, const char *what, gm_log_prob_options *out,
                                   const gm_log_prob_options *given);
/* `likelihood` of a family that is always exact. */
gm_status gm_model_exact_likelihood(gm_model *model, int64_t samples, gm_likelihood *out);
/* One update and its count. After a failure state and random stream are as before, too. */
gm_status gm_model_step_batch(gm_model *model, const gm_batch *batch, gm_metrics *metrics);

/* Rows that sampling and scoring take at a time, so that memory does not grow with how many are
 * asked for. */
#define GM_MODEL_GROUP 512

/* How many rows of `total` are the next group, after the `done` first ones; 0: none are left.
 *     for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) */
static inline int64_t gm_model_group(int64_t total, int64_t done)
{
    return total - done < GM_MODEL_GROUP ? total - done : GM_MODEL_GROUP;
}

/* Each family, and the list of all of them, with NULL at its end (families.c). */
extern const gm_family gm_family_generator;
extern const gm_family gm_family_vae;
extern const gm_family gm_family_gan;
extern const gm_family gm_family_sbn;
extern const gm_family gm_family_rbm;
extern const gm_family gm_family_dbn;
extern const gm_family gm_family_autoencoder;
extern const gm_family gm_family_gmmn;
extern const gm_family gm_family_linear_ar;
extern const gm_family gm_family_neural_ar;
extern const gm_family gm_family_made;
extern const gm_family gm_family_nade;
extern const gm_family gm_family_pixelcnn;
extern const gm_family *const gm_families[];
/* By its name; NULL: none of that name. */
const gm_family *gm_family_find(const char *name);

/* Families of the host's (host_family.c): is there one of this name in the context's registry? And
 * what its load makes, as `load` of a family. */
int gm_host_family_known(const gm_context *ctx, const char *name);
gm_status gm_host_family_load(gm_model **out, gm_context *ctx, const char *name,
                              gm_archive *archive, gm_optimizer *optimizer);

#endif
