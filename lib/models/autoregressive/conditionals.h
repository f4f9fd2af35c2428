/* conditionals.h - what an autoregressive family adds to its table, and one conditional of each
 * kind. */
#ifndef GM_MODELS_AUTOREGRESSIVE_CONDITIONALS_H
#define GM_MODELS_AUTOREGRESSIVE_CONDITIONALS_H

#include "gm/autoregressive.h"
#include "models/family.h"

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
     * added up. Any count; known values are checked. draw 0: only log_known is computed, and known
     * columns come first, so what follows the last of them may be left out. */
    gm_status (*fill)(gm_model *model, float *rows, const float *labels, const uint8_t *known,
                      int64_t count, double *log_known, int draw);
} gm_autoregressive;

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
gm_status gm_autoregressive_score(gm_model *model, const gm_batch *batch,
                                  const gm_log_prob_options *how, double *out, double *error);
gm_status gm_autoregressive_draw(gm_model *model, float *out, const float *labels, int64_t count);

/* `load` of a family, whose file has all under `prefix`: if ordered, the number of columns and
 * their order are read first; the weights last, into what `rebuild` makes of the options in the
 * file. It takes no memory that the file does not fill. */
typedef struct gm_autoregressive_parts {
    int64_t columns;      /* 0: not ordered */
    const int64_t *order; /* NULL: 0, 1, 2, ... */
    gm_optimizer *optimizer;
} gm_autoregressive_parts;
typedef gm_status gm_autoregressive_rebuild(gm_model **out, gm_context *ctx, gm_archive *archive,
                                            const gm_autoregressive_parts *parts);
gm_status gm_autoregressive_load(gm_model **out, gm_context *ctx, gm_archive *archive,
                                 gm_optimizer *optimizer, const char *prefix, int ordered,
                                 gm_autoregressive_rebuild *rebuild);

#endif
