/* family.h - what a family provides, and what the shared verbs keep. The only private header of
 * this floor. */
#ifndef GM_MODELS_MODEL_H
#define GM_MODELS_MODEL_H

#include <math.h>
#include <stddef.h>

#include "gm/archive.h"
#include "gm/autoregressive.h"
#include "gm/dbn.h"
#include "gm/evaluate.h"
#include "gm/extend.h"
#include "gm/layer.h"
#include "gm/made.h"
#include "gm/model.h"
#include "gm/nade.h"
#include "gm/norm.h"
#include "gm/pixelcnn.h"
#include "gm/rbm.h"
#include "gm/sbn.h"
#include "gm/tape.h"

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

typedef struct gm_metrics {
    gm_metric metric[GM_MAX_METRICS];
    int32_t count;
} gm_metrics;

/* What an autoregressive family adds (gm/autoregressive.h). A raw conditional is `width` floats:
 * the logit; K logits; mean and log deviation; or C weight logits, C means and C log deviations (or
 * log scales). */
typedef struct gm_autoregressive {
    int32_t (*kind)(const gm_model *model);
    int64_t (*width)(const gm_model *model);
    int32_t (*any_order)(const gm_model *model); /* NULL: 0 */
    gm_status (*order)(gm_model *model, int64_t *out);
    /* Raw conditionals [count, row size, width] of rows with checked values, at most GM_MODEL_GROUP
     * of them. */
    gm_status (*raw)(gm_model *model, const gm_batch *batch, float *out);
    /* Walks the order (known columns first, if any_order): keeps what is known, draws the rest.
     * known NULL: nothing is. log_known NULL, or [count] to which log p(known value | before it) is
     * added up. Any count; known values are checked. draw 0: only log_known is wanted, and known
     * columns come first, so what follows the last of them may be left out. */
    gm_status (*fill)(gm_model *model, float *rows, const float *labels, const uint8_t *known,
                      int64_t count, double *log_known, int draw);
} gm_autoregressive;

typedef struct gm_family {
    const char *name;
    int32_t verbs; /* 1 << GM_VERB_* */
    /* Records the loss of a batch on the model's tape, in the tape's mode, and adds the metrics,
     * "loss" first. */
    gm_status (*loss)(gm_model *model, const gm_batch *batch, gm_var *loss, gm_metrics *metrics);
    /* One update, for families whose update is more than a step down one loss; NULL: that. It keeps
     * the promises of gm_model_step. */
    gm_status (*step)(gm_model *model, const gm_batch *batch, gm_metrics *metrics);
    gm_status (*sample)(gm_model *model, float *out, const float *labels, int64_t count);
    gm_status (*log_prob)(gm_model *model, const gm_batch *batch, double *out);
    /* Options and parts into the archive, with all that fitting needs if it is a checkpoint's; a
     * model out of it (optimizer: NULL or the one of a checkpoint). */
    gm_status (*save)(gm_model *model, gm_archive *archive, int checkpoint);
    gm_status (*load)(gm_model **out, gm_context *ctx, gm_archive *archive,
                      gm_optimizer *optimizer);
    /* Releases the family's own parts and the memory; gm_model_close does the rest. */
    void (*destroy)(gm_model *model);
    /* What log_prob gives, for gm_evaluate_nll: "exact", or the name of an estimate that the
     * family's page documents. NULL: "log_prob", which promises neither. */
    const char *protocol;
    /* An estimate of log_prob from draws of latents; NULL: there is none. *samples: how many a row;
     * 0: the family's own number, which is filled in. error: standard errors of the estimates, may
     * be NULL. */
    gm_status (*estimate)(gm_model *model, const gm_batch *batch, int64_t *samples, double *out,
                          double *error);

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
    int64_t classes; /* of the labels; 0: takes none */
    float *labels;   /* as the host set them */
    int64_t label_count, label_room;
};

/* Opens the shared part of a zeroed struct: retains ctx, makes rng, tape and an empty parameter
 * set. After a failure gm_model_close is still due. */
gm_status gm_model_open(gm_model *model, const gm_family *family, gm_context *ctx);
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

/* A zeroed struct of a family, and its return; NULL without memory. */
void *gm_model_allocate(gm_context *ctx, size_t size);

/* "family: ..." with printf's directives, into the context's line. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
gm_status
gm_model_fail(gm_context *ctx, gm_status status, const char *format, ...);
/* An int32 option of a file; what does not fit becomes -1, which no option allows. GM_E_FORMAT: no
 * such key, or no number. */
gm_status gm_model_get_small(gm_archive *archive, const char *key, int32_t *out);

/* Numbers of a struct in an archive, one table for writing and reading: a whole number, or a real
 * one, under prefix and the member's name. What is read into 32 bits and does not fit becomes -1,
 * for `create` to refuse. GM_E_FORMAT: an entry is missing or no such number. */
typedef struct gm_model_field {
    const char *name;
    size_t offset;
    int32_t kind;
} gm_model_field;
#define GM_FIELD_SMALL 0
#define GM_FIELD_WHOLE 1
#define GM_FIELD_BITS 2
#define GM_FIELD_REAL 3
#define GM_FIELD(type, member)                                                                     \
    {                                                                                              \
#member, offsetof(type, member),                                                           \
            _Generic(((type *)0)->member, int32_t                                                  \
                     : GM_FIELD_SMALL, int64_t                                                     \
                     : GM_FIELD_WHOLE, uint64_t                                                    \
                     : GM_FIELD_BITS, double                                                       \
                     : GM_FIELD_REAL)                                                              \
    }
gm_status gm_model_put_fields(gm_archive *archive, const char *prefix, const gm_model_field *fields,
                              size_t count, const void *from);
gm_status gm_model_get_fields(gm_archive *archive, const char *prefix, const gm_model_field *fields,
                              size_t count, void *into);
/* The same for a table that is an array. */
#define GM_PUT_FIELDS(archive, prefix, fields, from)                                               \
    gm_model_put_fields(archive, prefix, fields, sizeof(fields) / sizeof *(fields), from)
#define GM_GET_FIELDS(archive, prefix, fields, into)                                               \
    gm_model_get_fields(archive, prefix, fields, sizeof(fields) / sizeof *(fields), into)
void gm_metrics_add(gm_metrics *metrics, const char *name, double value);

/* What an evaluation begins and ends with: GM_E_INVALID if out is NULL or of unknown size (`what`
 * is in the line); and as much of the result as the caller's struct has room for. */
gm_status gm_result_check(gm_context *ctx, const char *what, const gm_result *out);
void gm_result_give(gm_result *out, const gm_result *result);
/* The mean and its standard error, sd / sqrt(n); NaN for one value. */
void gm_result_mean(gm_result *result, const double *values, int64_t n);

/* Rows that an evaluation was given, by the name that its messages use. Are all of one width, not
 * NULL, not empty, finite? GM_E_INVALID (array, row and column are in the line), GM_E_SHAPE: two
 * widths. */
typedef struct gm_table {
    const char *name;
    const float *values;
    int64_t rows, width;
} gm_table;
gm_status gm_table_check(gm_context *ctx, const char *what, const gm_table *tables, int count);
/* Features as two checked tables, "samples" and "data". */
gm_status gm_features_check(gm_context *ctx, const char *what, const gm_features *samples,
                            const gm_features *data, gm_table tables[2]);

#define GM_DISTANCES_TILE 1024

/* Squared distances between rows of a and rows of b, a tile at a time, by matrix products
 * (distances.c). Memory: tiles, of a size that depends on the width alone. */
typedef struct gm_distances {
    gm_context *ctx;
    const char *what;
    gm_table a, b;
    int64_t tile; /* rows at a time at most, of either; GM_DISTANCES_TILE or fewer */
    int64_t first, count;
    double *centre; /* [width]: the mean of b; what follows is less it */
    double *half;   /* [tile]: |x|^2 / 2 */
    float *x, *y;   /* [tile, width] */
    float *bias;    /* [tile]: -|y|^2 / 2 */
    gm_tape *tape;
    void *block;
    size_t block_size;
} gm_distances;

/* Takes checked tables. After a failure gm_distances_close is still due, as for a zeroed struct. */
gm_status gm_distances_open(gm_distances *d, gm_context *ctx, const char *what, const gm_table *a,
                            const gm_table *b);
void gm_distances_close(gm_distances *d);
/* Rows begin ... of a are the ones to measure. GM_E_NUMERIC: too far from the mean for floats. */
gm_status gm_distances_rows(gm_distances *d, int64_t begin, int64_t count);
/* From them to rows begin ... of b: x . y - |y|^2 / 2, [rows at hand, count], until the next call.
 */
gm_status gm_distances_columns(gm_distances *d, int64_t begin, int64_t count,
                               const float **product);
/* |row i of a - row j of b|^2 of the tables, in double. */
double gm_distances_exact(const gm_distances *d, int64_t i, int64_t j);
/* The same from a product, where that has digits enough; else exactly. i counts in the rows at
 * hand, j in all of b. */
double gm_distances_squared(const gm_distances *d, int64_t i, int64_t j, float product);

/* For each row of a the squared distance to its k-th nearest of b, and which that is (NULL: not
 * wanted); same: a and b are one set, and no row is its own neighbour. on_row as in gm_parzen. */
gm_status gm_neighbours(gm_distances *d, int64_t k, int same, double *squared, int64_t *index,
                        int32_t (*on_row)(void *user, int64_t done), void *user, int64_t *done);

/* Tr (A B)^(1/2) of two covariances [n, n], which may be singular and are overwritten (eigen.c).
 * scratch: n n + 3 n. GM_E_NUMERIC, without a line. */
gm_status gm_trace_sqrt_product(double *a, double *b, int64_t n, double *scratch, double *out);

/* Chains that move through N(u; 0, I) p(x | s u)^b, z = s u, for `rows` rows x and `chains` chains
 * each, row by row (hmc.c). */
struct gm_generator;
typedef struct gm_hmc {
    gm_context *ctx;
    struct gm_generator *g;
    int64_t latent;
    double scale; /* s */
    const float *x, *labels;
    int64_t rows, chains;
    double *nll; /* -log p(x | z) of each chain */
    double *new_nll, *energy;
    float *u, *slope; /* where each chain is, and the gradient of nll there */
    float *new_u, *new_slope, *momentum, *step;
    gm_tape *tape;
    gm_rng *rng;
    void *block;
    size_t block_size;
} gm_hmc;

#define GM_HMC_SHORTEST 1e-7 /* leapfrog steps that tuning may come to */
#define GM_HMC_LONGEST 1.6   /* of a standard normal, beyond 2 the orbit explodes */

/* Room for `most` chains. After a failure gm_hmc_close is still due, as for a zeroed struct. */
gm_status gm_hmc_open(gm_hmc *h, struct gm_generator *g, int64_t most, uint64_t seed);
void gm_hmc_close(gm_hmc *h);
/* Chains at the prior, or all chains of a row at its code. x and labels (NULL: none) are borrowed.
 */
gm_status gm_hmc_start(gm_hmc *h, const float *x, const float *labels, int64_t rows, int64_t chains,
                       const float *codes);
/* One transition of every chain: so many leapfrog steps, of about steps[row]. accepted: for each
 * row the mean chance. */
gm_status gm_hmc_move(gm_hmc *h, double b, int32_t leapfrog, const double *steps, double *accepted);

/* A running log-sum-exp of log weights and of their squares, relative to the largest so far. */
typedef struct gm_log_mean {
    double max, sum, squares;
} gm_log_mean;
#define GM_LOG_MEAN_INIT                                                                           \
    {                                                                                              \
        -INFINITY, 0.0, 0.0                                                                        \
    }
void gm_log_mean_add(gm_log_mean *s, double log_weight);
/* log of the mean of k weights; its deviation by the delta method, sd(w) / (mean(w) sqrt k), unless
 * error is NULL. */
double gm_log_mean_get(const gm_log_mean *s, int64_t k, double *error);

/* Forgets the recording and sets the tape's mode. */
void gm_model_record(gm_model *model, int32_t mode);

/* The labels for `count` rows: those the host set, or NULL if the model takes none. GM_E_STATE,
 * GM_E_SHAPE. */
gm_status gm_model_labels_for(gm_model *model, const char *verb, int64_t count, const float **out);
/* Has the dataset the labels that the model wants? GM_OK for a model that takes none. */
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
/* One update and its count. After a failure state is as before, too. */
gm_status gm_model_step_batch(gm_model *model, const gm_batch *batch, gm_metrics *metrics);

/* Rows that sampling and scoring take at a time, so that memory does not grow with how many are
 * asked for. */
#define GM_MODEL_GROUP 512

/* One raw conditional of a kind (see gm_autoregressive above): log p(x), and the value that the
 * uniform numbers u and v in (0, 1) choose (v is used by real values only). In double. */
double gm_conditional_log_prob(int32_t kind, int64_t width, const float *raw, double x);
float gm_conditional_draw(int32_t kind, int64_t width, const float *raw, double u, double v);
/* The same as probabilities and deviations, for hosts. */
void gm_conditional_describe(int32_t kind, int64_t width, const float *raw, float *out);
/* Can an autoregressive model have these values? Binary: 0 and 1 only; class numbers: whole, below
 * width; others: finite. known NULL: all are looked at. first: the number of the first row, for the
 * line. GM_E_INVALID with row, column and value. */
gm_status gm_conditional_check(gm_model *model, const char *verb, int32_t kind, int64_t width,
                               int64_t first, const float *rows, const uint8_t *known,
                               int64_t count);

/* The value that p(x_i | x_<i) takes next, from the generator's numbers: one, or two for real
 * values. */
float gm_conditional_next(gm_rng *rng, int32_t kind, int64_t width, const float *raw);

/* `log_prob` and `sample` of a family, on its raw conditionals and its walk. */
gm_status gm_autoregressive_score(gm_model *model, const gm_batch *batch, double *out);
gm_status gm_autoregressive_draw(gm_model *model, float *out, const float *labels, int64_t count);

/* The order of a model's columns. Zeroed: 0, 1, 2, ... */
typedef struct gm_order {
    int64_t *column; /* at each place; NULL: the place's own number */
    float *rows;     /* of gm_order_rows, kept */
    int64_t room;    /* rows */
} gm_order;

static inline int64_t gm_order_column(const gm_order *order, int64_t place)
{
    return order->column ? order->column[place] : place;
}
/* Takes a host's order (NULL: the zeroed one): GM_E_INVALID when it is no permutation of the row's
 * columns. */
gm_status gm_order_set(gm_order *order, gm_model *model, const int64_t *given);
void gm_order_forget(gm_order *order, gm_model *model);
/* The rows with their columns in the order: rows itself, or a copy that stays until the next call.
 */
gm_status gm_order_rows(gm_order *order, gm_model *model, const float *rows, int64_t count,
                        const float **out);
/* Into an archive, and back: *out is NULL if there is none, else the caller's, `columns` numbers.
 */
gm_status gm_order_put(const gm_order *order, gm_model *model, gm_archive *archive,
                       const char *name);
gm_status gm_order_get(int64_t **out, gm_context *ctx, gm_archive *archive, const char *name,
                       int64_t columns);

/* gm_linear_ar_solve (linear_ar_solve.c). */
gm_status gm_linear_ar_fit_normal(gm_model *model, const gm_order *order, gm_dataset *data,
                                  double ridge);

/* Means of p(x | z) for `count` codes on a tape, into out. */
struct gm_generator;
gm_status gm_generator_emit(struct gm_generator *g, gm_tape *tape, gm_var z, gm_var labels,
                            int64_t count, float *out);
/* A generator as a part of another family's file: its options and its network under `prefix`. */
gm_status gm_generator_put(gm_archive *archive, const char *prefix, struct gm_generator *g);
gm_status gm_generator_get(struct gm_generator **out, gm_context *ctx, gm_archive *archive,
                           const char *prefix);

/* The same for an autoencoder; optimizer: NULL or the one that a checkpoint had. */
struct gm_autoencoder;
gm_status gm_autoencoder_put(gm_archive *archive, const char *prefix, struct gm_autoencoder *a);
gm_status gm_autoencoder_get(struct gm_autoencoder **out, gm_context *ctx, gm_archive *archive,
                             const char *prefix, gm_optimizer *optimizer);

/* log p(x | z) + log p(z) - log q(z | x) of k draws of z for each row, row by row: [count k],
 * recorded on the model's tape. */
struct gm_vae;
gm_var gm_vae_log_weights(struct gm_vae *vae, const gm_batch *batch, int64_t k);
/* gm_vae_log_prob of a batch whose labels have been found. */
gm_status gm_vae_estimate(struct gm_vae *vae, const gm_batch *batch, int64_t samples, double *out,
                          double *error, int32_t (*on_row)(void *user, int64_t done), void *user);

/* --- Nets of binary units (bits.c). Lines begin with the family's name and the verb. */

/* An option that is a whole number. GM_E_INVALID names the first outside its range, with its value.
 */
typedef struct gm_model_range {
    const char *name;
    int64_t value, least, most;
} gm_model_range;
gm_status gm_model_check_ranges(gm_context *ctx, const char *who, const gm_model_range *ranges,
                                size_t count);
/* Are rows [n, width] bits, or else from 0 to 1? Are both arrays there, and n at least 1? Is there
 * a dataset of the model's rows? */
gm_status gm_model_check_bits(gm_model *model, const char *verb, int bits, const float *rows,
                              int64_t n, int64_t width);
gm_status gm_model_check_arrays(gm_model *model, const char *verb, const void *rows, int64_t n,
                                const void *out);
gm_status gm_model_check_init(gm_model *model, const char *verb, gm_dataset *data);
/* The means of a dataset's columns, for `start`: [row_size], the caller's to free. */
gm_status gm_model_bit_means(gm_model *model, gm_dataset *data, float **out);
/* The logit of a mean that is kept 0.001 away from 0 and 1 (Hinton 2012). */
float gm_model_bias_of_mean(float mean);
/* Room for so many floats, kept from call to call and not copied when it grows; NULL without
 * memory, and the old stays. */
float *gm_model_room(gm_context *ctx, float **room, size_t *bytes, int64_t floats);

/* Split R-hat and effective sample size of draws [chains, samples], each `stride` bytes from the
 * last; bits (mixing.c). */
void gm_mixing(const uint8_t *draws, int64_t chains, int64_t samples, int64_t stride, double *r_hat,
               double *ess);

/* --- MADE: what made.c (the verbs), made_net.c (weights, mask sets, the pass) and made_walk.c
 * (along the order) share. */

#define GM_MADE_WALK 16        /* rows that walk together */
#define GM_MADE_LOG_SCALE 10.0 /* log deviations and log scales stay within */

typedef struct gm_made_net {
    gm_model *model;
    gm_made_options o;        /* without its pointers */
    int64_t columns, classes; /* classes: inputs a column */
    int64_t width, total;     /* numbers of a conditional; hidden units of all layers */
    int64_t units[GM_MADE_MAX_LAYERS];
    double slope; /* of the activation */
    /* Of the hidden layers, then of the outputs; seen: the connectivity weights U, or NULL. */
    gm_param *weight[GM_MADE_MAX_LAYERS + 1], *seen[GM_MADE_MAX_LAYERS + 1],
        *bias[GM_MADE_MAX_LAYERS + 1];
    gm_param *direct, *direct_seen; /* or NULL */
    gm_order given;                 /* of all sets */
    gm_rng *masks;
    int64_t set; /* the present one, -1: none; its order and the degrees of all hidden units, and
                    all degrees for the tape */
    int64_t *order, *degrees;
    float *in_degrees, *out_degrees, *hidden_degrees;
    float *ones;  /* as many as a layer has inputs at most; NULL without connectivity weights */
    float *value; /* the walk's memory */
    int64_t *place;
    int64_t values, places;
} gm_made_net;
/* Zeroed: makes the weights, adds them to the model, takes set 0. The sizes and options are
 * checked. */
gm_status gm_made_net_begin(gm_made_net *net, gm_model *model, int64_t columns,
                            const gm_made_options *options);
void gm_made_net_end(gm_made_net *net); /* zeroed, or begun without success: too */
/* Numbers of a conditional. */
int64_t gm_made_width(const gm_made_options *o);
/* Makes set j the present one. */
gm_status gm_made_take_set(gm_made_net *net, int64_t set);
/* The rows [n, columns], and their raw conditionals [n, columns, width] by the present set; and
 * -log p of each row. */
typedef struct gm_made_pass {
    gm_var x, raw;
} gm_made_pass;
gm_made_pass gm_made_record(gm_made_net *net, const float *rows, int64_t n);
gm_var gm_made_nll(gm_made_net *net, const gm_made_pass *r, int64_t n);
/* The walk's memory (made_walk.c). */
gm_status gm_made_walk_begin(gm_made_net *net);
void gm_made_walk_end(gm_made_net *net);
/* By the present set, up to GM_MADE_WALK rows: row r is rows + which[r] columns (which NULL: r);
 * known and log_known are by r. The rest as fill in gm_autoregressive; with any_order all rows have
 * the same columns known. */
void gm_made_walk_rows(gm_made_net *net, float *rows, const int64_t *which, int64_t n,
                       const uint8_t *known, int any_order, double *log_known, int draw);

/* --- NADE: what its two ways, one order (nade.c) and all (nade_order.c), share with its outputs
 * and its file. */

/* Sizes, and weights in their order. */
typedef struct gm_nade_net {
    gm_model *model;
    int32_t kind, activation, layers;
    int64_t columns, hidden;
    int64_t classes; /* K; 0 but for class numbers */
    int64_t width;   /* of a conditional */
    double bound;    /* of log deviations */
    gm_param *w, *c, *v, *b, *mask, *deep_w,
        *deep_c;    /* v may be w; the last three only order-agnostic */
    float *scratch; /* kept from call to call */
    int64_t room;
    int32_t tied, agnostic;
    gm_order order;
    uint64_t seed;   /* order-agnostic: of the orders */
    int64_t *orders; /* [order_count, columns] */
    int64_t order_count;
} gm_nade_net;
/* At least so many floats of scratch, or NULL with the line. */
float *gm_nade_scratch(gm_nade_net *net, int64_t floats);
/* log p(x_k | ...) of conditionals y [n, D (, P)] for x [n, D]: [n, D], (nade_output.c). */
gm_var gm_nade_log_probs(const gm_nade_net *net, gm_var y, gm_var x, int64_t count);
/* Log deviations of `count` conditionals into their bound. */
void gm_nade_bound(const gm_nade_net *net, float *raw, int64_t count);
gm_status gm_nade_fit_bias(gm_nade_net *net, gm_dataset *data);
/* Order-agnostic: the loss of random masks; and walks along `order` of all columns. */
gm_status gm_nade_masked_loss(gm_nade_net *net, const gm_batch *batch, gm_var *loss);
gm_status gm_nade_walk_raw(gm_nade_net *net, const int64_t *order, const float *rows, int64_t count,
                           float *raw, double *log_prob);
gm_status gm_nade_walk_fill(gm_nade_net *net, const int64_t *order, float *rows,
                            const uint8_t *known, int64_t count, double *log_known, int draw);
/* The first `count` orders of the seed; log 1/K sum_k p_k(x) of rows with checked values. */
gm_status gm_nade_make_orders(gm_nade_net *net, int64_t count);
gm_status gm_nade_mean_log_prob(gm_nade_net *net, const gm_batch *batch, double *out);
/* Options and weights into an archive; and options back (order: NULL, or the caller's to free,
 * columns numbers). */
gm_status gm_nade_put(const gm_nade_net *net, gm_archive *archive);
gm_status gm_nade_get(struct gm_nade_options *o, int64_t **order, int64_t *columns, uint64_t *seed,
                      gm_context *ctx, gm_archive *archive);

/* --- PixelCNN: its layers (pixelcnn.c), and the two ways through them: whole images, or what is
 * new in a row (pixelcnn_net.c). */

#define GM_PIXELCNN_TAPS 128

/* The positions that a masked kernel leaves. */
typedef struct gm_pixel_taps {
    int64_t count;
    int64_t at[2 * GM_PIXELCNN_TAPS];
} gm_pixel_taps;

/* One convolution. */
typedef struct gm_pixel_layer {
    char name[32];
    const gm_pixel_taps *taps;
    int64_t in, out;
    gm_param *weight, *bias, *label; /* label NULL: the model takes none */
    float *cache; /* of the walk: its input at all positions, [images, height, width, in] */
} gm_pixel_layer;

struct gm_pixelcnn {
    gm_model model; /* first */
    gm_pixelcnn_options o;
    int64_t height, width;
    gm_pixel_taps one, first, inner;                 /* plain: mask A, mask B */
    gm_pixel_taps above, left, vertical, horizontal; /* gated */
    int64_t layers;
    gm_pixel_layer *layer;
    gm_var *saw; /* gated: what the vertical stack gives each block */

    /* The walk's memory, for `room` images. */
    float *store, *image, *patch; /* image: the pixels as they enter; patch: of one layer */
    float *across; /* gated: the vertical stack's part of the present row, [blocks][images, width, 2
                      h] */
    size_t store_bytes;
    int64_t room;
};

/* Where the network is looked at. */
typedef struct gm_pixel_look {
    gm_pixelcnn *net;
    gm_tape *tape;
    gm_var labels; /* [n], GM_NO_VAR for none */
    int64_t n;
    int whole; /* whole images; else the `length` pixels of `row` from `column` on */
    int64_t row, column, length;
} gm_pixel_look;

/* What layer i (of how many) of a network with these options is. */
int64_t gm_pixelcnn_layers(const gm_pixelcnn_options *o);
void gm_pixelcnn_describe(const gm_pixelcnn_options *o, int64_t i, gm_pixel_layer *layer,
                          gm_pixelcnn *net);
void gm_pixelcnn_fill_taps(gm_pixelcnn *net);

/* Logits [n, height, width, K] of whole images x [n, height, width, 1] as they enter; or [n, 1, 1,
 * K] of a pixel, x GM_NO_VAR: then the images and what was computed before are in the walk's
 * memory. */
gm_var gm_pixelcnn_logits(gm_pixel_look *look, gm_var x);
/* Gated: the vertical stack of a row, into the walk's memory; before the row's first pixel. */
void gm_pixelcnn_look_above(gm_pixel_look *look);

/* --- Sigmoid belief networks: what sbn.c and sbn_*.c share. */

/* The options as given (arrays NULL) and the running statistics of NVIL's signals, three numbers
 * for each hidden layer; the loss of the estimator. */
void gm_sbn_settings(const gm_sbn *sbn, gm_sbn_options *out, float **statistics);
gm_status gm_sbn_loss(gm_model *model, const gm_batch *batch, gm_var *loss, gm_metrics *metrics);
#define GM_SBN_MOST_ENUMERATED 20 /* hidden units */
#define GM_SBN_MIXED 1.1          /* R-hat up to which chains have mixed (Gelman et al. 2013) */
/* Room for so many floats, kept from call to call; NULL without memory. */
float *gm_sbn_scratch(gm_sbn *sbn, int64_t floats);

/* On the model's tape: rows [m, visible]; states [m, hidden units] cut into layers 1 to L; an
 * ancestral sample of n rows, all layers. */
gm_var gm_sbn_record_rows(gm_sbn *sbn, const float *rows, int64_t m);
void gm_sbn_record_hidden(gm_sbn *sbn, const float *hidden, int64_t m, gm_var *layers);
gm_status gm_sbn_record_dream(gm_sbn *sbn, int64_t n, gm_var *layers);
/* q of layer l given the one below: its logits, each row of the data repeated for its k states. */
gm_var gm_sbn_record_q(gm_sbn *sbn, int32_t l, gm_var below, int64_t k);
/* k draws of q for each row of layers[0], into layers 1 to L, and their logits (NULL: not wanted).
 * And, of states however found, -log q of each; logits NULL: not known yet. */
void gm_sbn_record_draws(gm_sbn *sbn, int64_t k, gm_var *layers, gm_var *logits);
gm_var gm_sbn_record_minus_log_q(gm_sbn *sbn, int64_t k, const gm_var *layers,
                                 const gm_var *logits);

/* The net as a graph over the units of gm_sbn_dense: where each layer begins there and in rows of
 * hidden states, and which units unit i of layer l may hear (from <= j < to), or may be heard by.
 */
typedef struct gm_sbn_graph {
    int64_t units, hidden;
    int32_t top, lateral, skip;
    int64_t size[GM_SBN_MAX_LAYERS + 1], place[GM_SBN_MAX_LAYERS + 1],
        column[GM_SBN_MAX_LAYERS + 1];
} gm_sbn_graph;
typedef struct gm_sbn_range {
    int64_t from, to;
} gm_sbn_range;
void gm_sbn_describe(const gm_sbn *sbn, gm_sbn_graph *out);
gm_sbn_range gm_sbn_parents(const gm_sbn_graph *g, int32_t l, int64_t i);
gm_sbn_range gm_sbn_children(const gm_sbn_graph *g, int32_t l, int64_t i);
int64_t gm_sbn_edges(const gm_sbn_graph *g); /* parents of all units, or children: as many */
/* gm_sbn_dense, all of it finite: GM_E_NUMERIC. */
gm_status gm_sbn_finite(gm_sbn *sbn, const char *verb, float *weight, float *bias);
/* `sweeps` sweeps of Gibbs sampling of states [n, chains, hidden] given rows [n, visible]. room:
 * gm_sbn_move_room floats, 64-byte aligned. May use the model's tape. */
int64_t gm_sbn_move_room(const gm_sbn *sbn);
gm_status gm_sbn_move(gm_sbn *sbn, const float *rows, int64_t n, int64_t chains, float *states,
                      int64_t sweeps, float *room);

/* gm_sbn_mean_field of checked rows; slopes, if not NULL: [units, units] and [units], to which the
 * bounds' slopes in all weights and biases of the matrix are added. room: gm_sbn_field_room floats,
 * an even number, 64-byte aligned. */
int64_t gm_sbn_field_room(const gm_sbn *sbn);
gm_status gm_sbn_field(gm_sbn *sbn, const float *rows, int64_t n,
                       const gm_sbn_mean_field_options *options, double *means, double *bound,
                       int64_t *iterations, double *slopes, float *room);
/* Chains that go on from epoch to epoch (sbn_chains.c): what is kept of k states of each row. */
typedef struct gm_sbn_chains {
    uint8_t *bytes; /* [rows, line]; NULL: none */
    int64_t rows, line;
    const float
        *states; /* of the step that is being made, [batch, k, hidden]; NULL: none to keep */
} gm_sbn_chains;
gm_sbn_chains *gm_sbn_kept(gm_sbn *sbn);
gm_status gm_sbn_chains_open(gm_sbn *sbn, int64_t rows,
                             int64_t k); /* those of so many rows, or new ones */
void gm_sbn_chains_end(gm_context *ctx, gm_sbn_chains *chains);
/* Over the states of those rows of a batch that have chains. And, once the step is made, back. */
void gm_sbn_chains_resume(gm_sbn *sbn, const gm_batch *batch, int64_t k, float *states);
void gm_sbn_chains_keep(gm_sbn *sbn, const gm_batch *batch, int64_t k);
gm_status gm_sbn_chains_put(gm_archive *archive, gm_sbn *sbn);
gm_status gm_sbn_chains_get(gm_archive *archive, gm_sbn *sbn, int64_t k);

/* What Gibbs sampling and mean field learn (sbn_em.c). */
gm_status gm_sbn_em_loss(gm_model *model, const gm_sbn_options *o, const gm_batch *batch,
                         gm_var *loss, gm_metrics *metrics);

/* --- Boltzmann machines: one inside another family (dbn.c). */

/* Its host (NULL: none) has the generator that it draws from; it has no optimizer until the host
 * binds one, and its part of a file has names under `prefix`. The log Z that the machine was given,
 * NaN for none; and that or the exact one, else GM_E_STATE for `verb`. */
gm_status gm_rbm_create_in(gm_rbm **out, gm_context *ctx, int64_t visible, int64_t hidden,
                           const gm_rbm_options *options, const gm_model *host);
/* Samples: n rows of visible states that began at fair coins, and if not NULL p(v = 1 | h) of their
 * last step. */
gm_status gm_rbm_draw(gm_rbm *rbm, int64_t n, float *states, float *means);
gm_status gm_rbm_put(gm_archive *archive, const char *prefix, gm_rbm *rbm);
gm_status gm_rbm_get(gm_rbm **out, gm_context *ctx, gm_archive *archive, const char *prefix,
                     gm_optimizer *optimizer, const gm_model *host);
double gm_rbm_given_log_z(const gm_rbm *rbm);
gm_status gm_rbm_find_log_z(gm_rbm *rbm, const char *verb, double *out);

/* --- Deep belief networks: what dbn.c and dbn_likelihood.c share. */

/* Are rows values from 0 to 1, or bits? GM_E_INVALID with row, column and value; or out or rows
 * NULL. */
gm_status gm_dbn_check_rows(gm_dbn *dbn, const char *verb, int bits, const float *rows, int64_t n,
                            const void *out);

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

#endif
