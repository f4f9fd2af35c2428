/* gm/nade.h - NADE, the neural autoregressive distribution estimator (Larochelle and Murray 2011;
 * Uria, Cote, Gregor, Murray and Larochelle 2016), its real-valued form RNADE (Uria, Murray and
 * Larochelle 2013), and order-agnostic training (Uria, Murray and Larochelle 2014).
 *
 * p(x) = prod_k p(x_o(k) | x_o(1), ..., x_o(k-1)) along an order o of the columns. With D columns
 * and H hidden units that all conditionals share,
 *
 *     a_1 = c,   h_k = f(a_k),   y_k = b_k + V_k h_k,   a_(k+1) = a_k + x_o(k) W_k,
 *
 * so a row costs O(D H). What y_k is for x_o(k):
 *
 *     bits:      its logit. Hidden units are touched only where a bit is one;
 *     classes:   K logits; here W holds a row of units for each class of each column;
 *     reals:     C logits of weights, C means, C log deviations (or log scales) of a mixture of
 *                Gaussians or Laplacians.
 *
 * The log deviations are kept within +-log_scale_bound, and the gradient of each mean is multiplied
 * by its deviation, as the paper has it, so that steps do not explode where a component is narrow.
 * Give columns of mean 0 and variance 1.
 *
 * Order-agnostic: the model is trained for all orders at once. Each update hides all but d - 1
 * columns of each row, d uniform from 1 to D and the columns at random; a net that sees the rest
 * and the mask m of what it sees,
 *
 *     h = f(c + W (x m) + M m),   y = b + V h   (or with one hidden layer more),
 *
 * predicts them; their negative log-likelihood times D / (D - d + 1) is an unbiased estimate of
 * that of a random order. This is the "loss" then, in evaluation too; log_prob is exact: log of the
 * mean over `orders` fixed random orders of p(x). One of them costs D passes through the net. Any
 * subset of columns can be given, summed out or drawn (gm_autoregressive_sample_given,
 * _log_marginal): what is given comes first, the rest in the first of the orders; sampling and
 * gm_autoregressive_log_probs take the first of the orders, too.
 *
 * All that gm/model.h and gm/autoregressive.h offer works; sample draws values (not means). Metric:
 * "loss", nats a row. Parameters, with the columns in their order: "w" [D, H] or [D, K, H], "c"
 * [H], "v" [D, H] or [D, P, H] for P numbers a conditional, "b" [D] or [D, P]; order-agnostic also
 * "mask" [D, H], and with two layers "hidden.w" [H, H], "hidden.c" [H].
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

/* columns: values in a row, at least 1. options: read during the call; NULL: the defaults. Weights
 * start small and random, from the context's seed; see gm_nade_init_biases for the biases.
 * GM_E_INVALID: NULL, columns below 1, an option out of range or in conflict with another (named,
 * with its value), an order that is no permutation (the place is in the line), more weights than
 * can be addressed; GM_E_STATE: the optimizer is bound already; GM_E_NOMEM. *out is NULL then. */
GM_API gm_status gm_nade_create(gm_nade **out, gm_context *context, int64_t columns,
                                const gm_nade_options *options);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_nade_retain(gm_nade *nade);
GM_API void gm_nade_release(gm_nade *nade);

/* The view for the shared verbs, borrowed; and back: NULL if the model is of another family. */
GM_API gm_model *gm_nade_model(gm_nade *nade);
GM_API gm_nade *gm_nade_from_model(gm_model *model);

/* Sets b to what each column is by itself, so that training starts from the marginals (pass 0 of
 * the dataset): bits: the logit of their mean; classes: log frequencies; reals: components of equal
 * weight about the mean, with the column's deviation. Counts are smoothed by one row, so nothing is
 * infinite. GM_E_INVALID: NULL, values that the model cannot have (row, column, value); GM_E_SHAPE:
 * rows of another size; GM_E_NOMEM; what reading the dataset returned. Nothing is changed then. */
GM_API gm_status gm_nade_init_biases(gm_nade *nade, gm_dataset *data);

/* How many orders log_prob averages over (1 for a model of one order), and another number of them:
 * the first ones stay the same, so that one model can be scored with 1, 2, 4, ... of them.
 * GM_E_INVALID: NULL, not 1 to 4096; GM_E_UNSUPPORTED: the model is not order-agnostic; GM_E_NOMEM.
 * Getters give 0 for NULL. */
GM_API int64_t gm_nade_orders(const gm_nade *nade);
GM_API gm_status gm_nade_set_orders(gm_nade *nade, int64_t orders);

/* Hidden units of a layer, and 1 if the model is order-agnostic. */
GM_API int64_t gm_nade_hidden(const gm_nade *nade);
GM_API int32_t gm_nade_order_agnostic(const gm_nade *nade);

#ifdef __cplusplus
}
#endif

#endif
