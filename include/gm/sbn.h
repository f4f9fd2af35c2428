/* gm/sbn.h - sigmoid belief networks: directed nets of binary units (Neal 1992; Goodfellow, Bengio
 * and Courville 2016, section 20.10.1).
 *
 *     p(s_i = 1 | ancestors) = sigmoid(sum_(j < i) W_ji s_j + b_i)
 *
 * The units form layers: layer 0 is visible, layers 1 .. L are hidden, and L is the top, whose
 * units are independent (except for lateral connections) with learned biases. The parents of a unit
 * of layer l are the units of layer l + 1. Options add every higher layer (skip), earlier units of
 * the same layer (lateral; with both, the graph is the general one of the definition), and a layer
 * of deterministic tanh units between layers l + 1 and l.
 *
 * A recognition network q(h | x) with the same layer sizes, which goes upwards with factorial q(h_l
 * | h_(l-1)), is trained with it unless switched off. It gives the bound E_q [log p(x, h) - log q(h
 * | x)], proposals for the importance estimate of log p(x), and the posteriors that most training
 * methods need:
 *
 *   GM_SBN_WAKE_SLEEP     p on h ~ q(h | x), q on samples (x, h) ~ p (Hinton, Dayan, Frey and
 *                         Neal 1995)
 *   GM_SBN_RWS            reweighted wake-sleep, K samples weighted by p / q; wake and sleep
 *                         updates of q (Bornschein and Bengio 2015)
 *   GM_SBN_NVIL           the bound's gradient, with learning signals that are centred by learned
 *                         baselines, functions of the layer below, and divided by their running
 *                         deviation; each layer gets only the terms that depend on it (Mnih and
 *                         Gregor 2014)
 *   GM_SBN_VIMCO          the K-sample bound; the baseline of each sample comes from the others
 *                         (Mnih and Rezende 2016)
 *   GM_SBN_DISARM         the bound's gradient from antithetic pairs, layer by layer (Dong, Mnih
 *                         and Tucker 2020; unbiased; ARM of Yin and Zhou 2019 with its noise
 *                         integrated out)
 *
 * Two methods need no recognition network. They use inference that is also available by itself
 * (gm_sbn_gibbs, gm_sbn_mean_field):
 *
 *   GM_SBN_GIBBS_EM       Monte Carlo EM: log p(x, h) with h from Markov chains (Neal 1992)
 *   GM_SBN_MEAN_FIELD_EM  maximises the mean-field bound in the weights of p (Saul, Jaakkola and
 *                         Jordan 1996)
 *
 * If there is a recognition network, it learns from these posteriors: from the chains' states, or
 * from draws of the mean-field posterior.
 *
 * States of hidden units are arrays [count, hidden units], layer 1 first; values are 0 and 1.
 */
#ifndef GM_SBN_H
#define GM_SBN_H

#include "gm/model.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_sbn gm_sbn;

#define GM_SBN_MAX_LAYERS 8 /* hidden layers */

#define GM_SBN_WAKE_SLEEP 0
#define GM_SBN_RWS 1
#define GM_SBN_NVIL 2
#define GM_SBN_VIMCO 3
#define GM_SBN_DISARM 4
#define GM_SBN_GIBBS_EM 5
#define GM_SBN_MEAN_FIELD_EM 6

/* Which updates of q GM_SBN_RWS makes; bits. */
#define GM_SBN_WAKE 1
#define GM_SBN_SLEEP 2

typedef struct gm_sbn_options {
    size_t size;
    int32_t layer_count; /* hidden layers, 1 to GM_SBN_MAX_LAYERS; no default */
    int32_t estimator;   /* GM_SBN_*; default VIMCO */
    /* their sizes, from the one above the visible layer up; at least 1 each. Copied */
    const int64_t *layers;
    const int64_t *tanh_units; /* NULL: none; else layer_count widths: tanh_units[l] > 0 tanh units
                                  between layers l + 1 and l, in p and, upwards, in q. Copied */
    int32_t lateral;           /* default 0; 1: earlier units of a layer are parents too */
    int32_t skip;              /* default 0; 1: all higher layers are parents too */
    int32_t recognition;       /* default 1; 0: no q, nor anything that needs one: only the last two
                                  training methods are available */
    int32_t phases;            /* RWS: GM_SBN_WAKE, GM_SBN_SLEEP or both; default both */
    int64_t samples; /* K of RWS and VIMCO, and draws per row of the other methods; default 5, at
                        least 1 (VIMCO: 2) */
    int64_t log_prob_samples; /* K of gm_model_log_prob; default 100 */
    int64_t baseline_units;   /* NVIL: tanh units of each baseline; default 100 */
    /* of p, q and the baselines; retained and bound; NULL: Adam with its defaults */
    gm_optimizer *optimizer;
    int64_t sweeps; /* GIBBS_EM: sweeps over the hidden units, from a draw of q (without q: of the
                       prior) to the state used for learning; MEAN_FIELD_EM: the largest number for
                       each row. Default 10, at least 1 */
    /* GIBBS_EM; default 0; 1: the chains of each row of the fitted dataset continue from epoch to
     * epoch (Neal 1992), by `sweeps` each time, and start as above only in the first. They take one
     * bit for each row, sample and hidden unit and one byte for each row, and are saved in
     * checkpoints. Fitting a dataset with another number of rows starts new chains; with the same
     * number, chains continue by row number. gm_model_step, whose rows have no numbers, starts new
     * chains each time. Other estimators ignore it */
    int32_t persistent;
    int32_t reserved; /* 0 */
} gm_sbn_options;

#define GM_SBN_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_sbn_options), 0, GM_SBN_VIMCO, NULL, NULL, 0, 0, 1, GM_SBN_WAKE | GM_SBN_SLEEP,  \
            5, 100, 100, NULL, 10, 0, 0                                                            \
    }

/* Makes a net over rows of `visible` bits. Weights are initialised as in Glorot and Bengio 2010,
 * biases at 0. *out is NULL after a failure. GM_E_INVALID: NULL, an option out of range (named,
 * with its value), a layer of size 0 (which one), VIMCO with one sample, more parameters than can
 * be addressed; GM_E_UNSUPPORTED: MEAN_FIELD_EM with tanh units; GM_E_STATE: the optimizer is bound
 * already; GM_E_NOMEM. */
GM_API gm_status gm_sbn_create(gm_sbn **out, gm_context *context, int64_t visible,
                               const gm_sbn_options *options);
/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_sbn_retain(gm_sbn *sbn);
GM_API void gm_sbn_release(gm_sbn *sbn);

/* The view with the shared verbs: fit, step, sample (probabilities of the visible units), log_prob
 * (importance estimate with log_prob_samples draws from q; without q it is exact with at most 20
 * hidden units, else GM_E_UNSUPPORTED), save, load. fit and step are GM_E_UNSUPPORTED without q,
 * except for GIBBS_EM and MEAN_FIELD_EM. Metrics: "loss" (minus the bound, in nats), "elbo", and
 * with NVIL "signal" (the deviation of the learning signal). With MEAN_FIELD_EM both are those of
 * the mean-field bound. With GIBBS_EM, in training and without q, "loss" is minus log p(x, h) of
 * the chains' states, which is not a bound, and "elbo" is not reported. Borrowed.
 * gm_sbn_from_model: NULL if the model is of another family. */
GM_API gm_model *gm_sbn_model(gm_sbn *sbn);
GM_API gm_sbn *gm_sbn_from_model(gm_model *model);

GM_API int32_t gm_sbn_layers(const gm_sbn *sbn);                    /* hidden layers */
GM_API int64_t gm_sbn_layer_size(const gm_sbn *sbn, int32_t layer); /* 0: visible; 0 out of range */
GM_API int64_t gm_sbn_hidden_units(const gm_sbn *sbn);              /* of all hidden layers */
GM_API int32_t gm_sbn_has_recognition(const gm_sbn *sbn);
GM_API int32_t gm_sbn_has_tanh(const gm_sbn *sbn);

/* Sets the visible biases to the logits of the data's means (kept 0.001 away from 0 and 1), and
 * centres the recognition network's input by the means: call it before the fit. GM_E_INVALID: NULL,
 * not bits; GM_E_SHAPE: rows of another size; what the dataset returned. */
GM_API gm_status gm_sbn_init_biases(gm_sbn *sbn, gm_dataset *data);

/* The whole net as one matrix over all units = hidden + visible, in the order of ancestral
 * sampling: the top layer first, the visible layer last, and within a layer by number. weight[i *
 * units + j], j < i, is the weight from unit j to unit i; 0 where there is no connection. Both
 * arrays are the caller's: weight [units, units] and bias [units]. GM_E_UNSUPPORTED: the net has
 * tanh units; GM_E_INVALID: NULL. */
GM_API gm_status gm_sbn_dense(gm_sbn *sbn, float *weight, float *bias);

/* Ancestral sampling of all layers: hidden [count, hidden units] and visible [count, visible]
 * (either may be NULL). clamp: -1, or the layer whose units are set to `values` [count, its size]
 * instead of being drawn; layers above it are then drawn from their prior, those below given it, so
 * this shows what such a state generates, not what may have caused it (gm_sbn_recognise and
 * gm_sbn_enumerate do that). Draws from the model's random stream. GM_E_INVALID: NULL sbn, count <
 * 1, no such layer, values NULL with a layer or not bits (row, column, value); GM_E_SHAPE: width is
 * not that layer's size; GM_E_NOMEM.
 */
GM_API gm_status gm_sbn_sample(gm_sbn *sbn, int64_t count, int32_t clamp, const float *values,
                               int64_t width, float *hidden, float *visible);

/* log p(x, h), in nats, of each pair of rows x [count, visible] and hidden states h [count, hidden
 * units], into log_joint [count]. GM_E_INVALID: NULL, count < 1, values that are not bits;
 * GM_E_NOMEM. */
GM_API gm_status gm_sbn_log_joint(gm_sbn *sbn, const float *rows, const float *hidden,
                                  int64_t count, double *log_joint);

/* Draws h ~ q(h | x), into hidden [count, hidden units], and gives, if not NULL, the probabilities
 * with which each unit was drawn, [count, hidden units], and log q(h | x), into log_q [count].
 * GM_E_UNSUPPORTED: no recognition network; else as gm_sbn_log_joint. */
GM_API gm_status gm_sbn_recognise(gm_sbn *sbn, const float *rows, int64_t count, float *hidden,
                                  float *probabilities, double *log_q);

/* The importance estimate of log p(x) of each row with samples from q (log-mean-exp in double),
 * into log_prob [count]; and, if not NULL, its standard error by the delta method, into
 * standard_error [count], and the mean of the log weights (the bound), into elbo [count]. Memory
 * does not grow with samples. options NULL: all defaults. GM_E_INVALID: samples < 0;
 * GM_E_UNSUPPORTED: no recognition network; GM_E_CANCELLED; else as gm_sbn_log_joint. */
GM_API gm_status gm_sbn_log_prob(gm_sbn *sbn, const float *rows, int64_t count,
                                 const gm_log_prob_options *options, double *log_prob,
                                 double *standard_error, double *elbo);

/* By enumeration of all 2^H states of the H <= 20 hidden units: log p(x) of each row, into log_prob
 * [count], and if posterior is not NULL the posterior means p(h_j = 1 | x), [count, hidden units].
 * Progress (options, or NULL) counts rows. GM_E_UNSUPPORTED: more than 20 hidden units (the line
 * says how many states that is); GM_E_CANCELLED; else as gm_sbn_log_joint. */
GM_API gm_status gm_sbn_enumerate(gm_sbn *sbn, const float *rows, int64_t count,
                                  const gm_progress_options *options, double *log_prob,
                                  double *posterior);

/* Where the chains of gm_sbn_gibbs start:
 *
 *   GM_SBN_INIT_RECOGNITION  at draws from q; without q: as PRIOR
 *   GM_SBN_INIT_PRIOR        at ancestral draws
 *   GM_SBN_INIT_UNIFORM      each unit 0 or 1 with probability 1/2: overdispersed, as R-hat needs
 *   GM_SBN_INIT_STATES       at the caller's states, so that chains can be continued */
#define GM_SBN_INIT_RECOGNITION 0
#define GM_SBN_INIT_PRIOR 1
#define GM_SBN_INIT_UNIFORM 2
#define GM_SBN_INIT_STATES 3

typedef struct gm_sbn_gibbs_options {
    size_t size;
    int64_t chains;   /* for each row; default 4, 2 to 10 000 (R-hat compares chains) */
    int64_t burn_in;  /* initial sweeps that are discarded; default 200, at least 0 */
    int64_t samples;  /* states of each chain that are used; default 1000, at least 4 */
    int64_t thin;     /* sweeps from one of them to the next; default 1, at least 1 */
    int32_t start;    /* GM_SBN_INIT_*; default RECOGNITION */
    int32_t reserved; /* 0 */
    uint64_t seed;    /* seed of the chains, which then leave the model's rng as it is; 0 (default):
                         they draw from the model's rng */
    double *r_hat;    /* NULL, or receives split R-hat of each unit, [count, hidden units] */
    double *ess;      /* NULL, or receives its effective sample size, [count, hidden units] */
    gm_progress_callback *on_progress; /* counts chains that are complete */
    void *user;
} gm_sbn_gibbs_options;

#define GM_SBN_GIBBS_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(gm_sbn_gibbs_options), 4, 200, 1000, 1, GM_SBN_INIT_RECOGNITION, 0, 0, NULL, NULL,  \
            NULL, NULL                                                                             \
    }

typedef struct gm_sbn_gibbs_result {
    size_t size;
    double r_hat; /* the largest over all rows and units; infinite: chains are stuck in different
                     states */
    int64_t row, unit; /* where that is */
    int64_t unmixed;   /* rows with a unit above 1.1 (Gelman et al. 2013) */
    double ess;        /* the smallest effective sample size */
    int64_t sweeps;    /* of each chain */
} gm_sbn_gibbs_result;

#define GM_SBN_GIBBS_RESULT_INIT                                                                   \
    {                                                                                              \
        sizeof(gm_sbn_gibbs_result), 0, 0, 0, 0, 0, 0                                              \
    }

/* Gibbs sampling of p(h | x) (Neal 1992): a sweep draws each hidden unit once, the top layer first,
 * with
 *
 *     log odds of s_j = a_j + sum_i log [p(s_i | s_j = 1, the rest) / p(s_i | s_j = 0, the rest)],
 *
 * where a_j is the unit's input and i runs over its children. Inputs are updated as units flip, so
 * a sweep costs about as much as one pass through the net (with tanh units the whole joint is
 * computed anew for each unit).
 *
 * means [count, hidden units]: the posterior's means, averages of p(s_j = 1 | the rest) over the
 * samples. The options' r_hat and ess: split R-hat (Gelman et al. 2013) and the effective sample
 * size with Geyer's initial monotone sequence (Vehtari et al. 2021; their rank normalisation makes
 * no difference for binary values) of each unit's states; a unit that had one value in all chains
 * has R-hat 1 and all samples. states [count, chains, hidden units] receives the last states, and
 * with INIT_STATES holds those to start from; it may be NULL.
 *
 * If the chains did not mix (largest R-hat above 1.1), the context's log receives a warning; this
 * is not a failure. options NULL: all defaults. GM_E_INVALID: NULL, count < 1, an option out of
 * range (named, with its value), rows or states that are not bits (row, column, value), states NULL
 * with INIT_STATES; GM_E_UNSUPPORTED: more than 2048 chains with tanh units; GM_E_NUMERIC: a weight
 * is not finite; GM_E_CANCELLED; GM_E_NOMEM. After a failure *out and the model's rng are as
 * before. */
GM_API gm_status gm_sbn_gibbs(gm_sbn_gibbs_result *out, gm_sbn *sbn, const float *rows,
                              int64_t count, const gm_sbn_gibbs_options *options, double *means,
                              float *states);

typedef struct gm_sbn_mean_field_options {
    size_t size;
    int64_t iterations; /* the largest number of passes over all units; default 100, at least 1 */
    double tolerance;   /* stops when an iteration raises the bound by less; default 1e-6 nats, at
                           least 0 */
    int32_t go_on;      /* default 0: start from means of 1/2; 1: start from those in `means` */
    int32_t reserved;   /* 0 */
    /* Called after each single update of a xi or a mean, with the bound (which takes time to
     * compute); a non-zero return stops the call. May be NULL. */
    int32_t (*on_update)(void *user, int64_t row, int64_t updates, double bound);
    gm_progress_callback *on_progress; /* counts rows */
    void *user;                        /* passed to both callbacks */
} gm_sbn_mean_field_options;

#define GM_SBN_MEAN_FIELD_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(gm_sbn_mean_field_options), 100, 1e-6, 0, 0, NULL, NULL, NULL                       \
    }

/* Mean field (Saul, Jaakkola and Jordan 1996): for each row the factorial q(h) with means mu that
 * approximates p(h | x). With z_i the input of unit i, and for any xi_i,
 *
 *     log p(x) >= sum_i [(mu_i - xi_i) E z_i - log E (e^(-xi_i z_i) + e^((1 - xi_i) z_i))]
 *                 + entropy of q,
 *
 * which has a closed form because q is factorial. Each update raises the bound: xi_i goes to the
 * minimum of a convex function in [0, 1]; mu_j to sigmoid(slope of the rest of the bound), the
 * maximum of a minorant, since that rest is convex in mu_j.
 *
 * means [count, hidden units] receives mu (and with go_on holds the starting values); bound
 * [count], in nats; iterations [count], which may be NULL: how many were made. Mean field converges
 * to one of several modes; which one depends on where it starts. options NULL: all defaults.
 * GM_E_UNSUPPORTED: the net has tanh units; GM_E_INVALID: NULL, count < 1, an option out of range,
 * rows that are not bits, means outside [0, 1] (row, column, value); GM_E_NUMERIC: a weight is not
 * finite, or beyond 400; GM_E_CANCELLED; GM_E_NOMEM. */
GM_API gm_status gm_sbn_mean_field(gm_sbn *sbn, const float *rows, int64_t count,
                                   const gm_sbn_mean_field_options *options, double *means,
                                   double *bound, int64_t *iterations);

/* On a tape. gm_sbn_apply_joint: log p of a whole state, one value per row, [n]. layers: L + 1
 * variables, the visible layer first, each [n, its size] (the visible one may have n / k rows; each
 * then serves k consecutive rows). parts, if not NULL, receives L + 1 variables: log p of each
 * layer given those above. gm_sbn_apply_logits: the logits [n, size] of p(layer | the layers above,
 * and with lateral connections the earlier units of its own). gm_sbn_apply_recognition: the logits
 * [n, size] of q(h_layer | the layer below). */
GM_API gm_var gm_sbn_apply_joint(gm_tape *tape, gm_sbn *sbn, const gm_var *layers, gm_var *parts);
GM_API gm_var gm_sbn_apply_logits(gm_tape *tape, gm_sbn *sbn, int32_t layer, const gm_var *layers);
GM_API gm_var gm_sbn_apply_recognition(gm_tape *tape, gm_sbn *sbn, int32_t layer, gm_var below);
/* The baseline [n] of a layer's NVIL signal, from the layer below. GM_E_UNSUPPORTED: the net is not
 * trained with NVIL. */
GM_API gm_var gm_sbn_apply_baseline(gm_tape *tape, gm_sbn *sbn, int32_t layer, gm_var below);

#ifdef __cplusplus
}
#endif

#endif
