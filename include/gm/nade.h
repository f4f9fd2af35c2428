/* gm/nade.h - NADE, the neural autoregressive distribution estimator (Larochelle and Murray 2011;
 * Uria, Cote, Gregor, Murray and Larochelle 2016), its real-valued form RNADE (Uria, Murray and
 * Larochelle 2013), and order-agnostic training (Uria, Murray and Larochelle 2014).
 *
 * p(x) = prod_k p(x_o(k) | x_o(1), ..., x_o(k-1)) along an order o of the columns. With D columns
 * and H hidden units that all conditionals share,
 *
 *     a_1 = c,   h_k = f(a_k),   y_k = b_k + V_k h_k,   a_(k+1) = a_k + x_o(k) W_k,
 *
 * so a row costs O(D H). y_k parameterises the conditional of x_o(k):
 *
 *     bits:      the logit. Hidden units are updated only where a bit is one;
 *     classes:   K logits; here W holds a row of units for each class of each column;
 *     reals:     C logits of weights, C means, C log deviations (or log scales) of a mixture of
 *                Gaussians or Laplacians.
 *
 * The log deviations are kept within +-log_scale_bound, and the gradient of each mean is multiplied
 * by its deviation, as in the paper, so that updates do not explode where a component is narrow.
 * Standardise the columns to mean 0 and variance 1.
 *
 * Order-agnostic: the model is trained for all orders at once. Each update hides all but d - 1
 * random columns of each row, with d uniform from 1 to D; a net that is given these and their mask
 * m,
 *
 *     h = f(c + W (x m) + M m),   y = b + V h   (or with one hidden layer more),
 *
 * predicts them; their negative log-likelihood times D / (D - d + 1) is an unbiased estimate of
 * that of a random order. This is then the "loss", also in evaluation. log_prob is exact: the log
 * of the mean of p(x) over `orders` fixed random orders, each of which costs D passes through the
 * net. The model can condition on, sum out or draw any subset of columns
 * (gm_autoregressive_sample_given, _log_marginal): given columns come first, the others follow in
 * the first of the orders. Sampling and gm_autoregressive_log_probs use the first of the orders,
 * too.
 *
 * All functions of gm/model.h and gm/autoregressive.h work; sample draws values (not means).
 * Metric: "loss", in nats per row. Parameters, with the columns arranged along the order: "w" [D,
 * H] or [D, K, H], "c" [H], "v" [D, H] or [D, P, H] for P numbers per conditional, "b" [D] or [D,
 * P]; order-agnostic also "mask" [D, H], and with two layers "hidden.w" [H, H], "hidden.c" [H].
 */
#ifndef GM_NADE_H
#define GM_NADE_H

#include "gm/autoregressive.h"
#include "gm/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_nade gm_nade;

typedef struct gm_nade_options {
    size_t size;            /* set by the INIT macro */
    int32_t kind;           /* GM_CONDITIONAL_BINARY (default), _CATEGORICAL, _GAUSSIAN_MIXTURE or
                               _LAPLACE_MIXTURE */
    int32_t activation;     /* f: GM_ACTIVATION_SIGMOID (default), _TANH or _RELU */
    int64_t hidden;         /* H, at least 1; default 500 */
    int64_t classes;        /* K of CATEGORICAL, at least 2; ignored by the others; default 0 */
    int64_t components;     /* C of mixtures, at least 1; ignored by the others; default 10 */
    double log_scale_bound; /* of mixtures, above 0, at most 20; default 6 */
    const int64_t *order;   /* order[k]: the column at place k, a permutation of 0 .. columns - 1;
                               copied. NULL: 0, 1, 2, ... */
    int32_t tied;           /* 1: V is W. Bits only, not order-agnostic; default 0 */
    int32_t order_agnostic; /* 1: trained for all orders; order must be NULL; default 0 */
    int64_t orders;   /* of an order-agnostic model: how many log_prob averages over, 1 to 4096;
                         default 16 */
    int32_t layers;   /* hidden layers, 1 (default) or, order-agnostic, 2 */
    int32_t reserved; /* 0 */
    gm_optimizer *optimizer; /* retained and bound; NULL: Adam with its defaults */
} gm_nade_options;

#define GM_NADE_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(gm_nade_options), 0, 5, 500, 0, 10, 6.0, NULL, 0, 0, 16, 1, 0, NULL                 \
    }

/* Makes a model. columns: values in a row, at least 1. options: read during the call; NULL: the
 * defaults. Weights start small and random, from the context's seed; see gm_nade_init_biases for
 * the biases. GM_E_INVALID: NULL, columns below 1, an option out of range or in conflict with
 * another (named, with its value), an order that is no permutation (the place is in the line), more
 * weights than can be addressed; GM_E_STATE: the optimizer is bound already; GM_E_NOMEM. *out is
 * NULL after a failure. */
GM_API gm_status gm_nade_create(gm_nade **out, gm_context *context, int64_t columns,
                                const gm_nade_options *options);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_nade_retain(gm_nade *nade);
GM_API void gm_nade_release(gm_nade *nade);

/* The view with the shared verbs, borrowed; and the model behind a view, NULL if it is of another
 * family. */
GM_API gm_model *gm_nade_model(gm_nade *nade);
GM_API gm_nade *gm_nade_from_model(gm_model *model);

/* Sets b to the marginal distribution of each column (pass 0 of the dataset), so that training
 * starts from the marginals: for bits the logit of the mean; for classes log frequencies; for reals
 * components of equal weight around the mean, with the column's deviation. Counts are smoothed by
 * one row, so nothing is infinite. GM_E_INVALID: NULL, values outside the model's support (row,
 * column, value); GM_E_SHAPE: rows of another size; GM_E_NOMEM; what reading the dataset returned.
 * After a failure nothing is changed. */
GM_API gm_status gm_nade_init_biases(gm_nade *nade, gm_dataset *data);

/* Returns and sets how many orders log_prob averages over (1 for a model with one order). With
 * another number the first orders stay the same, so that one model can be evaluated with 1, 2, 4,
 * ... of them. GM_E_INVALID: NULL, not 1 to 4096; GM_E_UNSUPPORTED: the model is not
 * order-agnostic; GM_E_NOMEM. Getters return 0 for NULL. */
GM_API int64_t gm_nade_orders(const gm_nade *nade);
GM_API gm_status gm_nade_set_orders(gm_nade *nade, int64_t orders);

/* Hidden units of a layer, and 1 if the model is order-agnostic. */
GM_API int64_t gm_nade_hidden(const gm_nade *nade);
GM_API int32_t gm_nade_order_agnostic(const gm_nade *nade);

#ifdef __cplusplus
}
#endif

#endif
