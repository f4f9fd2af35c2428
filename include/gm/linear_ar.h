/* gm/linear_ar.h - linear autoregressive networks: each column is predicted from the ones before
 * it, without hidden units.
 *
 * p(x) = prod_k p(x_o(k) | x_o(1), ..., x_o(k-1)) along an order o of the columns, and each
 * conditional is a linear model (Goodfellow, Bengio and Courville 2016, section 20.10.8):
 *
 *     bits:     logistic regression, logit a_k = b_k + sum_j<k W_kj x_j: the fully visible belief
 *               network (Frey 1998);
 *     classes:  softmax regression on the one-hot values of the columns before;
 *     reals:    linear regression, x_k ~ N(b_k + sum_j<k W_kj x_j, e^(2 s_k)): a Gaussian with full
 *               covariance.
 *
 * The negative log-likelihood is convex in W and b (for reals: given s), so every local minimum is
 * a global one, wherever a fit starts; weights start at zero. gm_linear_ar_gradient_norm shows how
 * near it is, and steps report the norm of their batch's gradient as the metric "gradient". For
 * reals the optimum is known in closed form: gm_linear_ar_solve.
 *
 * All functions of gm/model.h and gm/autoregressive.h work: log_prob is exact, and sample draws
 * values (not means). Parameters, with the columns arranged along the order: "weight" [columns K,
 * columns K] (K: the classes; 1 for bits and reals), whose row o has the weights of output o, and
 * of which only the blocks below the diagonal are used; "bias" [columns K]; for reals
 * "log_deviation" [columns]. Metrics: "loss", the mean negative log-likelihood in nats per row
 * (without the penalty), and in steps "gradient".
 */
#ifndef GM_LINEAR_AR_H
#define GM_LINEAR_AR_H

#include "gm/autoregressive.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_linear_ar gm_linear_ar;

typedef struct gm_linear_ar_options {
    size_t size;          /* set by the INIT macro */
    int32_t kind;         /* GM_CONDITIONAL_BINARY (default), _CATEGORICAL or _GAUSSIAN */
    int32_t reserved;     /* 0 */
    int64_t classes;      /* K of CATEGORICAL, at least 2; ignored by the others; default 0 */
    const int64_t *order; /* order[k]: the column at place k, a permutation of 0 .. columns - 1;
                             copied. NULL: 0, 1, 2, ... */
    double weight_decay; /* at least 0, default 0: adds weight_decay / 2 sum W^2 to the loss (biases
                            are not penalised) */
    gm_optimizer *optimizer; /* retained and bound; NULL: Adam with its defaults */
} gm_linear_ar_options;

#define GM_LINEAR_AR_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(gm_linear_ar_options), 0, 0, 0, NULL, 0.0, NULL                                     \
    }

/* Makes a model. columns: values in a row, at least 1 (a single column has only a bias). options:
 * read during the call; NULL: the defaults. GM_E_INVALID: NULL, columns below 1, an option out of
 * range (named, with its value), an order that is no permutation (the place is in the line), more
 * weights than can be addressed; GM_E_STATE: the optimizer is bound already; GM_E_NOMEM. *out is
 * NULL after a failure. */
GM_API gm_status gm_linear_ar_create(gm_linear_ar **out, gm_context *context, int64_t columns,
                                     const gm_linear_ar_options *options);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_linear_ar_retain(gm_linear_ar *ar);
GM_API void gm_linear_ar_release(gm_linear_ar *ar);

/* The view with the shared verbs, borrowed; and the model behind a view, NULL if it is of another
 * family. */
GM_API gm_model *gm_linear_ar_model(gm_linear_ar *ar);
GM_API gm_linear_ar *gm_linear_ar_from_model(gm_model *model);

/* Reals only: sets all parameters to the optimum for the dataset, in closed form. S is the
 * covariance of its rows (divided by their number) and S + ridge I = L L' its Cholesky factors, in
 * double precision: then W, b and the deviations L_kk make the model the Gaussian N(mean, S + ridge
 * I). With ridge 0 that is the maximum-likelihood Gaussian, and W the least-squares weights; with a
 * ridge above 0 W is ridge regression's. Uses columns^2 doubles while it runs; the optimizer's
 * state stays as it is. GM_E_UNSUPPORTED: bits or classes; GM_E_INVALID: NULL, ridge negative or
 * not finite; GM_E_SHAPE: rows of another size; GM_E_NUMERIC: the normal equations are singular: a
 * column is constant or follows from those before it (the line says which; give a ridge above 0);
 * GM_E_NOMEM; what reading the dataset returned. After a failure nothing is changed. */
GM_API gm_status gm_linear_ar_solve(gm_linear_ar *ar, gm_dataset *data, double ridge);

/* The norm of the gradient of the mean loss plus penalty over the whole dataset (pass 0): 0 at the
 * optimum. Overwrites the parameters' gradients. GM_E_INVALID: NULL, values outside the model's
 * support; GM_E_SHAPE: rows of another size; GM_E_NOMEM; what reading returned. */
GM_API gm_status gm_linear_ar_gradient_norm(double *out, gm_linear_ar *ar, gm_dataset *data);

#ifdef __cplusplus
}
#endif

#endif
