/* gm/rbm.h - restricted Boltzmann machines (Smolensky 1986; Hinton 2002; Goodfellow, Bengio and
 * Courville 2016, section 20.2), the undirected relative of the directed nets of gm/sbn.h.
 *
 *     p(v, h) = e^(-E(v, h)) / Z,    E(v, h) = - a v - b h - h W v,    v, h bits
 *     F(v) = - a v - sum_j log(1 + e^(b_j + W_j v)),    log p(v) = - F(v) - log Z
 *
 * Both conditionals are factorial: p(h_j = 1 | v) = sigmoid(b_j + W_j v), p(v_i = 1 | h) =
 * sigmoid(a_i + h W_i). Z is a sum over 2^min(visible, hidden) states: exact if one side has at
 * most 20 units, and estimated by annealed importance sampling otherwise.
 */
#ifndef GM_RBM_H
#define GM_RBM_H

#include "gm/model.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_rbm gm_rbm;

typedef struct gm_rbm_options {
    size_t size;
    int64_t steps;        /* k of contrastive divergence; default 1, at least 1 */
    int32_t persistent;   /* default 0: chains start at the data (CD; Hinton 2002); 1: they continue
                             from the previous update (PCD; Tieleman 2008) */
    int32_t reserved;     /* 0 */
    int64_t chains;       /* number of persistent chains; default 100, at least 1 */
    int64_t sample_steps; /* Gibbs steps before each sample of gm_model_sample; default 1000, at
                             least 1 */
    gm_optimizer *optimizer; /* retained and bound; NULL: Adam with its defaults */
} gm_rbm_options;

#define GM_RBM_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_rbm_options), 1, 0, 0, 100, 1000, NULL                                           \
    }

/* Makes a machine of `visible` and `hidden` units. Weights start as N(0, 0.01^2), biases at 0
 * (Hinton 2012). *out is NULL after a failure. GM_E_INVALID: NULL, a size below 1, an option out of
 * range (named, with its value); GM_E_STATE: the optimizer is bound already; GM_E_NOMEM. */
GM_API gm_status gm_rbm_create(gm_rbm **out, gm_context *context, int64_t visible, int64_t hidden,
                               const gm_rbm_options *options);
/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_rbm_retain(gm_rbm *rbm);
GM_API void gm_rbm_release(gm_rbm *rbm);

/* The view with the shared verbs. fit and step follow the gradient of E_data F - E_chain F with the
 * chains' states constant: "loss" is that difference (near 0, no measure of progress),
 * "reconstruction" is the squared error per unit of one Gibbs step, "free_energy" the mean F of the
 * data. sample: probabilities of the visible units after sample_steps steps from units that are 0
 * or 1 with probability 1/2. log_prob: exact with at most 20 visible or hidden units, else with the
 * log Z set by gm_rbm_set_log_z (GM_E_STATE: none was set). save, load. Borrowed.
 * gm_rbm_from_model: NULL if the model is of another family. */
GM_API gm_model *gm_rbm_model(gm_rbm *rbm);
GM_API gm_rbm *gm_rbm_from_model(gm_model *model);
GM_API int64_t gm_rbm_visible(const gm_rbm *rbm);
GM_API int64_t gm_rbm_hidden(const gm_rbm *rbm);
/* The parameters: weight [hidden, visible], bias of the hidden and of the visible units. Borrowed;
 * write to their values to start training from others. */
GM_API gm_param *gm_rbm_weight(const gm_rbm *rbm);
GM_API gm_param *gm_rbm_hidden_bias(const gm_rbm *rbm);
GM_API gm_param *gm_rbm_visible_bias(const gm_rbm *rbm);

/* Sets the visible biases to the logits of the data's means (kept 0.001 away from 0 and 1; Hinton
 * 2012). GM_E_INVALID: NULL, not bits; GM_E_SHAPE; what the dataset returned. */
GM_API gm_status gm_rbm_init_biases(gm_rbm *rbm, gm_dataset *data);

/* For rows [count, visible]: the free energy F of each, into energies [count]; and p(h_j = 1 | v),
 * into probabilities [count, hidden]. GM_E_INVALID: NULL, count < 1, a value outside [0, 1] (row,
 * column, value); GM_E_NOMEM. */
GM_API gm_status gm_rbm_free_energy(gm_rbm *rbm, const float *rows, int64_t count,
                                    double *energies);
GM_API gm_status gm_rbm_hidden_probabilities(gm_rbm *rbm, const float *rows, int64_t count,
                                             float *probabilities);
/* `steps` steps of block Gibbs sampling from rows [count, visible], in place: h ~ p(h | v), v ~ p(v
 * | h). means [count, visible], if not NULL, receives p(v = 1 | h) of the last step. Draws from the
 * model's random stream. Progress (options, or NULL) counts values, count * visible in all.
 * Statuses as gm_rbm_free_energy; GM_E_INVALID also: steps < 1; GM_E_CANCELLED: rows are then in
 * the state that the steps so far left. */
GM_API gm_status gm_rbm_gibbs(gm_rbm *rbm, int64_t count, int64_t steps,
                              const gm_progress_options *options, float *rows, float *means);

/* On a tape: logits of the hidden units [n, hidden] given the visible ones [n, visible], logits of
 * the visible ones given the hidden ones, and F of each row, [n]. */
GM_API gm_var gm_rbm_apply_hidden(gm_tape *tape, gm_rbm *rbm, gm_var visible);
GM_API gm_var gm_rbm_apply_visible(gm_tape *tape, gm_rbm *rbm, gm_var hidden);
GM_API gm_var gm_rbm_apply_free_energy(gm_tape *tape, gm_rbm *rbm, gm_var visible);

/* log Z by summing over all states of the smaller side. GM_E_UNSUPPORTED: both sides have more than
 * 20 units (the line says what it would cost); GM_E_INVALID: NULL. */
GM_API gm_status gm_rbm_log_z(double *out, gm_rbm *rbm);

/* Annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008): from independent units,
 * with visible biases at the logits of `means`, to the machine, along betas from 0 to 1. */
typedef struct gm_rbm_ais_options {
    size_t size;
    int64_t runs;        /* default 100, at least 2 */
    const double *betas; /* rising from 0 to 1, borrowed for the call; NULL: 500 steps to 0.5, 4000
                            to 0.9 and 10 000 to 1, as in Salakhutdinov and Murray */
    int64_t beta_count;  /* of betas, at least 2; 0 with NULL */
    const float *means;  /* means of the data, [visible]; NULL: 1/2 each */
    uint64_t seed;
    gm_progress_callback *on_progress; /* counts steps along betas */
    void *user;
} gm_rbm_ais_options;

#define GM_RBM_AIS_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_rbm_ais_options), 100, NULL, 0, NULL, 1, NULL, NULL                              \
    }

typedef struct gm_rbm_ais_result {
    size_t size;
    double log_z;          /* log of the mean of the runs' weights */
    double standard_error; /* of log_z, by the delta method */
    double low, high;      /* log(mean - 3 sd / sqrt(runs)) and log(mean + 3 sd / sqrt(runs)) of the
                              weights; low is -infinity where the spread is too large */
    int64_t runs, steps;
    uint64_t seed;
} gm_rbm_ais_result;

#define GM_RBM_AIS_RESULT_INIT                                                                     \
    {                                                                                              \
        sizeof(gm_rbm_ais_result), 0, 0, 0, 0, 0, 0, 0                                             \
    }

/* Estimates log Z by annealed importance sampling, as above. options NULL: all defaults. The
 * model's own random stream is not used. GM_E_INVALID: NULL, an option out of range, betas that do
 * not rise from 0 to 1; GM_E_CANCELLED; GM_E_NOMEM. *out is as before after a failure. */
GM_API gm_status gm_rbm_ais(gm_rbm_ais_result *out, gm_rbm *rbm, const gm_rbm_ais_options *options);
/* Sets the log Z that log_prob uses until the next update or gm_rbm_init_biases (NaN: none), and
 * its standard error, as found by gm_rbm_ais. With an error of 0 it counts as exact
 * (GM_LIKELIHOOD_EXACT), with any other error, or NaN if the error is not known, as an estimate
 * (GM_LIKELIHOOD_ANNEALED), and gm_model_likelihood then reports the error. Both are saved. */
GM_API void gm_rbm_set_log_z(gm_rbm *rbm, double log_z, double standard_error);

#ifdef __cplusplus
}
#endif

#endif
