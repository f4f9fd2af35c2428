/* gm/neural_ar.h - neural autoregressive networks: a group of hidden units for each column, which
 * all later conditionals reuse.
 *
 * Bengio and Bengio 2000; Goodfellow, Bengio and Courville 2016, section 20.10.9. With the values
 * x_1 ... x_D of a row along an order of the columns,
 *
 *     h_k = act(c_k + sum_j<=k U_kj x_j)                          a group of `hidden` units
 *     a_k = b_k + sum_j<k V_kj h_j  [+ sum_j<k W_kj x_j, `direct`]
 *
 * Each group is computed once. a_k gives p(x_k | x_1, ..., x_k-1): it is a logit for bits, K logits
 * for class numbers, a mean and a log deviation (clamped to +-10) for reals. (Nothing depends on
 * the group h_D.) Unlike in NADE (gm/nade.h) no weights are shared between the groups, so that
 * there are about D^2 hidden (K + width) / 2 weights, quadratic in D.
 *
 * All functions of gm/model.h and gm/autoregressive.h work: log_prob is exact, and sample draws
 * values (not means). Parameters, with the columns arranged along the order: "hidden.weight" [D
 * hidden, D K], "hidden.bias", "output.weight" [D width, D hidden], "output.bias", "direct.weight"
 * [D width, D K] (K: the classes, 1 for bits and reals; width: 1, K or 2). Masked weights are zero
 * and stay zero. Metric: "loss", the mean negative log-likelihood in nats per row (without the
 * penalty).
 */
#ifndef GM_NEURAL_AR_H
#define GM_NEURAL_AR_H

#include "gm/autoregressive.h"
#include "gm/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_neural_ar gm_neural_ar;

typedef struct gm_neural_ar_options {
    size_t size;     /* set by the INIT macro */
    int32_t kind;    /* GM_CONDITIONAL_BINARY (default), _CATEGORICAL or _GAUSSIAN */
    int32_t direct;  /* 1 (default): direct connections from values to later outputs; 0: none */
    int64_t hidden;  /* units of each group, at least 1; default 4 */
    int64_t classes; /* K of CATEGORICAL, at least 2; ignored by the others; default 0 */
    const int64_t *order; /* order[k]: the column at place k, a permutation of 0 .. columns - 1;
                             copied. NULL: 0, 1, 2, ... */
    /* GM_ACTIVATION_*, not NONE; default TANH. LEAKY_RELU has slope 0.01, ELU 1 */
    int32_t activation;
    int32_t reserved;        /* 0 */
    double weight_decay;     /* at least 0, default 0: adds weight_decay / 2 times the sum of all
                                squared weights to the loss (biases are not penalised) */
    gm_optimizer *optimizer; /* retained and bound; NULL: Adam with its defaults */
} gm_neural_ar_options;

#define GM_NEURAL_AR_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(gm_neural_ar_options), 0, 1, 4, 0, NULL, GM_ACTIVATION_TANH, 0, 0.0, NULL           \
    }

/* Makes a model. columns: values in a row, at least 1 (a single column has only a bias). Weights
 * start uniform in +-1 / sqrt(inputs), direct weights and biases at zero. options: read during the
 * call; NULL: the defaults. GM_E_INVALID: NULL, columns below 1, an option out of range (named,
 * with its value), an order that is no permutation (the place is in the line), more weights than
 * can be addressed; GM_E_STATE: the optimizer is bound already; GM_E_NOMEM. *out is NULL after a
 * failure. */
GM_API gm_status gm_neural_ar_create(gm_neural_ar **out, gm_context *context, int64_t columns,
                                     const gm_neural_ar_options *options);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_neural_ar_retain(gm_neural_ar *ar);
GM_API void gm_neural_ar_release(gm_neural_ar *ar);

/* The view with the shared verbs, borrowed; and the model behind a view, NULL if it is of another
 * family. */
GM_API gm_model *gm_neural_ar_model(gm_neural_ar *ar);
GM_API gm_neural_ar *gm_neural_ar_from_model(gm_model *model);

/* Units of each group; 0 for NULL. */
GM_API int64_t gm_neural_ar_hidden(const gm_neural_ar *ar);

#ifdef __cplusplus
}
#endif

#endif
