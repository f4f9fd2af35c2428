/* gm/autoregressive.h - what models with p(x) = prod_k p(x_o(k) | x_o(1), ..., x_o(k-1)) can do
 * beyond the shared verbs.
 *
 * The families linear_ar, neural_ar, nade, made and pixelcnn factor the probability of a row along
 * an order o of its columns (the chain rule; Frey 1998; Bengio and Bengio 2000), so log p is exact,
 * each conditional is available, and values that come after given ones in the order can be drawn
 * exactly. A model trained for all orders at once (the order-agnostic NADE; Uria, Murray and
 * Larochelle 2014) chooses an order in which the given columns come first, and so can condition on
 * any subset of columns.
 *
 * These functions work on the view of such a model (gm_nade_model(nade), ...); on other families
 * they are GM_E_UNSUPPORTED. Rows are [count, row size], row-major, and borrowed for the call.
 * Labels of conditional models are those set by gm_model_set_labels. Draws come from the model's
 * own random stream (gm_model_seed).
 */
#ifndef GM_AUTOREGRESSIVE_H
#define GM_AUTOREGRESSIVE_H

#include "gm/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of conditionals, and the numbers that gm_autoregressive_conditionals gives for one. C:
 * components, K: classes. */
#define GM_CONDITIONAL_BINARY 0      /* p(x = 1); x is 0 or 1; width 1 */
#define GM_CONDITIONAL_CATEGORICAL 1 /* p(x = 0), ..., p(x = K-1); x is a class number; width K */
#define GM_CONDITIONAL_GAUSSIAN 2    /* mean, standard deviation; width 2 */
#define GM_CONDITIONAL_GAUSSIAN_MIXTURE 3 /* C weights, C means, C deviations; width 3 C */
/* C weights, C means, C scales b of the densities e^(-|x - mean| / b) / (2 b); width 3 C. */
#define GM_CONDITIONAL_LAPLACE_MIXTURE 4

/* The model's kind, GM_CONDITIONAL_*; -1 if it is of another family or NULL. And the width, how
 * many numbers describe one conditional; 0 for such models. */
GM_API int32_t gm_autoregressive_kind(const gm_model *model);
GM_API int64_t gm_autoregressive_width(const gm_model *model);
/* 1: the model can condition exactly on any subset of columns; 0: only on a prefix of its order. */
GM_API int32_t gm_autoregressive_any_order(const gm_model *model);

/* The order: order [row size], order[k] is the column at place k. For an order-agnostic model, or
 * one with several orders, the order that sampling uses next. GM_E_INVALID: NULL; GM_E_UNSUPPORTED.
 */
GM_API gm_status gm_autoregressive_order(gm_model *model, int64_t *order);

/* log p(x_i | the columns before it) in nats for each row and column, into log_probs [count, row
 * size], in the order of the columns; a row's sum is its log_prob (for models that average over
 * several orders, that of the first order alone). GM_E_INVALID: NULL, count < 1, a value outside
 * the model's support (row, column and value in the line); GM_E_NOMEM; GM_E_UNSUPPORTED. */
GM_API gm_status gm_autoregressive_log_probs(gm_model *model, const float *rows, int64_t count,
                                             double *log_probs);

/* The conditional of each column given the values before it in the row: [count, row size, width],
 * as listed above. The last bits of a row's numbers may depend on count, as sums in matrix products
 * do: an entropy coder and its decoder ask for as many rows at a time. Statuses as
 * gm_autoregressive_log_probs. */
GM_API gm_status gm_autoregressive_conditionals(gm_model *model, const float *rows, int64_t count,
                                                float *values);

/* Completes rows in place. known [count, row size] is not 0 where the row's value is given. Given
 * values stay; the others are drawn exactly from p(unknown | known), and what was there before is
 * ignored. log_known, if not NULL, receives log p(known) of each row, [count], exact too.
 * GM_E_UNSUPPORTED: in a row, a given column comes after one that is not, and the model has one
 * order (row and column in the line; gm_autoregressive_impute does that approximately);
 * GM_E_INVALID: NULL (except options and log_known), count < 1, a given value outside the model's
 * support; GM_E_NUMERIC: a given value has probability zero (row and column in the line);
 * GM_E_CANCELLED: by the callback in options (which may be NULL); progress counts values, count *
 * row size in all; GM_E_NOMEM. After a failure rows are as before. */
GM_API gm_status gm_autoregressive_sample_given(gm_model *model, const uint8_t *known,
                                                int64_t count, const gm_progress_options *options,
                                                float *rows, double *log_known);

/* log p(known) of each row, with the unknown values summed out, into log_prob [count]. Exact, or
 * GM_E_UNSUPPORTED as above. Nothing is drawn. Other statuses as gm_autoregressive_sample_given;
 * a probability of zero gives -infinity instead of GM_E_NUMERIC. */
GM_API gm_status gm_autoregressive_log_marginal(gm_model *model, const float *rows,
                                                const uint8_t *known, int64_t count,
                                                const gm_progress_options *options,
                                                double *log_prob);

/* Imputation for any pattern of given values. Where gm_autoregressive_sample_given is exact this
 * does the same, `draws` times. Otherwise it is sampling importance resampling (Rubin 1987): each
 * proposal goes through the order, keeps the given values and draws the others, and is weighted by
 * the product of p(given value | the values before it); one proposal is then chosen by weight. The
 * error falls with `draws`. The effective sample size ess = (sum w)^2 / sum w^2 shows whether they
 * were enough: near 1 is poor, equal to draws is exact. */
typedef struct gm_impute_options {
    size_t size;
    int64_t draws; /* proposals for each row; default 64, at least 1 */
    int32_t mean;  /* 0 (default): unknown values become those of one proposal; 1: they become their
                      weighted mean over all proposals (for bits the posterior probability of a 1;
                      refused for class numbers) */
    double *ess;   /* NULL, or receives the effective sample size of each row */
    gm_progress_callback *on_progress; /* counts values, count * draws * row size in all */
    void *user;
} gm_impute_options;

#define GM_IMPUTE_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(gm_impute_options), 64, 0, NULL, NULL, NULL                                         \
    }

/* Fills in the unknown values of rows [count, row size] in place; known as in
 * gm_autoregressive_sample_given. options NULL: all defaults. GM_E_INVALID: NULL, count < 1, draws
 * < 1, mean for class numbers, a given value outside the model's support; GM_E_NUMERIC: no proposal
 * has a weight above zero; GM_E_UNSUPPORTED; GM_E_CANCELLED; GM_E_NOMEM. After a failure rows are
 * as before. */
GM_API gm_status gm_autoregressive_impute(gm_model *model, const uint8_t *known, int64_t count,
                                          const gm_impute_options *options, float *rows);

#ifdef __cplusplus
}
#endif

#endif
