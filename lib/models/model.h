/* model.h - what a family provides, and what the shared verbs keep. The only private header of this floor. */
#ifndef GM_MODELS_MODEL_H
#define GM_MODELS_MODEL_H

#include "gm/archive.h"
#include "gm/autoregressive.h"
#include "gm/evaluate.h"
#include "gm/extend.h"
#include "gm/layer.h"
#include "gm/model.h"
#include "gm/norm.h"
#include "gm/tape.h"

#define GM_TRY(expr)                      \
    do {                                  \
        status = (expr);                  \
        if (status != GM_OK) goto out;    \
    } while (0)

typedef struct gm_batch {
    const float *rows;
    const float *labels; /* one for each row; NULL: the model takes none */
    int64_t count;
} gm_batch;

typedef struct gm_metrics {
    gm_metric metric[GM_MAX_METRICS];
    int32_t count;
} gm_metrics;

/* What an autoregressive family adds (gm/autoregressive.h). A raw conditional is `width` floats: the logit; K logits; mean and log
 * deviation; or C weight logits, C means and C log deviations (or log scales). */
typedef struct gm_autoregressive {
    int32_t (*kind)(const gm_model *model);
    int64_t (*width)(const gm_model *model);
    int32_t (*any_order)(const gm_model *model); /* NULL: 0 */
    gm_status (*order)(gm_model *model, int64_t *out);
    /* Raw conditionals [count, row size, width] of rows with checked values, at most GM_MODEL_GROUP of them. */
    gm_status (*raw)(gm_model *model, const gm_batch *batch, float *out);
    /* Walks the order (known columns first, if any_order): keeps what is known, draws the rest. known NULL: nothing is. log_known
     * NULL, or [count] to which log p(known value | before it) is added up. Any count; known values are checked. draw 0:
     * only log_known is wanted, and known columns come first, so what follows the last of them may be left out. */
    gm_status (*fill)(gm_model *model, float *rows, const float *labels, const uint8_t *known,
                      int64_t count, double *log_known, int draw);
} gm_autoregressive;

typedef struct gm_family {
    const char *name;
    int32_t verbs; /* 1 << GM_VERB_* */
    /* Records the loss of a batch on the model's tape, in the tape's mode, and adds the metrics, "loss" first. */
    gm_status (*loss)(gm_model *model, const gm_batch *batch, gm_var *loss, gm_metrics *metrics);
    /* One update, for families whose update is more than a step down one loss; NULL: that. It keeps the promises of
     * gm_model_step. */
    gm_status (*step)(gm_model *model, const gm_batch *batch, gm_metrics *metrics);
    gm_status (*sample)(gm_model *model, float *out, const float *labels, int64_t count);
    gm_status (*log_prob)(gm_model *model, const gm_batch *batch, double *out);
    /* Options and parts into the archive, with all that fitting needs if it is a checkpoint's; a model out of it
     * (optimizer: NULL or the one of a checkpoint). */
    gm_status (*save)(gm_model *model, gm_archive *archive, int checkpoint);
    gm_status (*load)(gm_model **out, gm_context *ctx, gm_archive *archive,
                      gm_optimizer *optimizer);
    /* Releases the family's own parts and the memory; gm_model_close does the rest. */
    void (*destroy)(gm_model *model);
    const gm_autoregressive *autoregressive; /* NULL: the family is not */
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
    gm_tape *tape; /* draws from rng */
    int64_t row_size;
    int64_t epochs, steps;
    uint64_t order_seed; /* of the order of rows in each pass */
    int32_t fitting;
    int64_t classes;     /* of the labels; 0: takes none */
    float *labels;       /* as the host set them */
    int64_t label_count, label_room;
};

/* Opens the shared part of a zeroed struct: retains ctx, makes rng, tape and an empty parameter set. After a failure
 * gm_model_close is still due. */
gm_status gm_model_open(gm_model *model, const gm_family *family, gm_context *ctx);
void gm_model_close(gm_model *model);
/* Adds the state of a part to the model's, under prefix; a part without any is fine. Called before the first step. */
gm_status gm_model_add_state(gm_model *model, const char *prefix, const gm_layer *part);
/* Binds the given optimizer, or a new Adam, to the parameters, and keeps it in *slot, one of the model's own. */
gm_status gm_model_bind(gm_model *model, gm_optimizer **slot, gm_optimizer *optimizer,
                        const gm_params *params);

/* A zeroed struct of a family, and its return; NULL without memory. */
void *gm_model_allocate(gm_context *ctx, size_t size);

/* "family: ..." with printf's directives, into the context's line. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
gm_status gm_model_fail(gm_context *ctx, gm_status status, const char *format, ...);
void gm_metrics_add(gm_metrics *metrics, const char *name, double value);

/* What an evaluation begins and ends with: GM_E_INVALID if out is NULL or of unknown size (`what` is in the line); and
 * as much of the result as the caller's struct has room for. */
gm_status gm_result_check(gm_context *ctx, const char *what, const gm_result *out);
void gm_result_give(gm_result *out, const gm_result *result);

/* Forgets the recording and sets the tape's mode. */
void gm_model_record(gm_model *model, int32_t mode);

/* The labels for `count` rows: those the host set, or NULL if the model takes none. GM_E_STATE, GM_E_SHAPE. */
gm_status gm_model_labels_for(gm_model *model, const char *verb, int64_t count, const float **out);
/* Has the dataset the labels that the model wants? GM_OK for a model that takes none. */
gm_status gm_model_check_labels(gm_model *model, gm_dataset *data, const char *verb);
gm_status gm_model_read_labels(gm_model *model, gm_dataset *data, const int64_t *rows, int64_t count,
                               float *out);
/* Labels as a variable [count]; GM_NO_VAR for NULL. */
gm_var gm_model_label_var(gm_tape *tape, const float *labels, int64_t count);
/* x with the label beside it, as one-hot values: after the row's own [n, d], or as planes after the channels of
 * images [n, c, h, w]. labels GM_NO_VAR: x itself. */
gm_var gm_model_join_label(gm_tape *tape, gm_var x, gm_var labels, int64_t classes);
/* One update and its count. After a failure state is as before, too. */
gm_status gm_model_step_batch(gm_model *model, const gm_batch *batch, gm_metrics *metrics);

/* Rows that sampling and scoring take at a time, so that memory does not grow with how many are asked for. */
#define GM_MODEL_GROUP 512

/* One raw conditional of a kind (see gm_autoregressive above): log p(x), and the value that the uniform numbers u and v in (0, 1) choose
 * (v is used by real values only). In double. */
double gm_conditional_log_prob(int32_t kind, int64_t width, const float *raw, double x);
float gm_conditional_draw(int32_t kind, int64_t width, const float *raw, double u, double v);
/* The same as probabilities and deviations, for hosts. */
void gm_conditional_describe(int32_t kind, int64_t width, const float *raw, float *out);
/* Can an autoregressive model have these values? Binary: 0 and 1 only; class numbers: whole, below width; others: finite.
 * known NULL: all are looked at. GM_E_INVALID with row, column and value. */
gm_status gm_conditional_check(gm_model *model, const char *verb, int32_t kind, int64_t width,
                               const float *rows, const uint8_t *known, int64_t count);

/* Means of p(x | z) for `count` codes on a tape, into out. */
struct gm_generator;
gm_status gm_generator_emit(struct gm_generator *g, gm_tape *tape, gm_var z, gm_var labels,
                            int64_t count, float *out);
/* A generator as a part of another family's file: its options and its network under `prefix`. */
gm_status gm_generator_put(gm_archive *archive, const char *prefix, struct gm_generator *g);
gm_status gm_generator_get(struct gm_generator **out, gm_context *ctx, gm_archive *archive,
                           const char *prefix);

/* log p(x | z) + log p(z) - log q(z | x) of k draws of z for each row, row by row: [count k], recorded on the model's tape. */
struct gm_vae;
gm_var gm_vae_log_weights(struct gm_vae *vae, const gm_batch *batch, int64_t k);

/* Of sigmoid belief networks, for the files that they fill: the options as given (arrays NULL) and the running statistics of NVIL's signals, three
 * numbers for each hidden layer; the loss of the estimator; an ancestral sample of n rows on the model's tape, all layers; whether rows are bits. */
struct gm_sbn;
struct gm_sbn_options;
void gm_sbn_settings(const struct gm_sbn *sbn, struct gm_sbn_options *out, float **statistics);
gm_status gm_sbn_loss(gm_model *model, const gm_batch *batch, gm_var *loss, gm_metrics *metrics);
/* Room for so many floats, kept from call to call; NULL without memory. */
float *gm_sbn_scratch(struct gm_sbn *sbn, int64_t floats);
gm_status gm_sbn_record_dream(struct gm_sbn *sbn, int64_t n, gm_var *layers);
gm_status gm_sbn_check_bits(struct gm_sbn *sbn, const char *verb, const float *rows, int64_t n,
                            int64_t width);

extern const gm_family gm_family_generator;
extern const gm_family gm_family_vae;
extern const gm_family gm_family_gan;
extern const gm_family gm_family_sbn;
extern const gm_family gm_family_rbm;

#endif
