/* gm/ais.h - log p(x) of rows under a decoder by annealed importance sampling: a lower bound, an
 * upper bound, and both together. */
#ifndef GM_AIS_H
#define GM_AIS_H

#include "gm/generator.h"
#include "gm/result.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Temperatures b_0 = 0 ... b_T = 1. Sigmoid: (s(4 (2 t / T - 1)) - s(-4)) / (s(4) - s(-4)) with the
 * logistic function s, which takes small steps near both ends; linear: t / T. */
#define GM_AIS_SIGMOID 0
#define GM_AIS_LINEAR 1

typedef struct gm_ais_options {
    size_t size;
    int64_t chains;       /* for each row; default 16, 1 to 100000 */
    int64_t temperatures; /* T, the number of steps from b = 0 to 1; default 1000, 1 to 1000000 */
    int32_t schedule;     /* GM_AIS_*; default sigmoid */
    int32_t leapfrog;     /* leapfrog steps per transition; default 10, 1 to 10000 */
    double step; /* leapfrog step size at which tuning begins, in units of the prior's standard
                    deviation; default 0.5 */
    double acceptance; /* acceptance rate to which the step is tuned; default 0.65, in (0, 1) */
    uint64_t seed;     /* default 1 */
    double *log_prob;  /* NULL, or receives log p of each row, [count] (gm_ais_bracket: [2 count],
                          the lower bounds and then the upper ones) */
    /* Progress counts transitions and is reported after each transition of a group of chains. */
    gm_progress_callback *on_progress;
    void *user;
} gm_ais_options;

#define GM_AIS_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_ais_options), 16, 1000, GM_AIS_SIGMOID, 10, 0.5, 0.65, 1, NULL, NULL, NULL       \
    }

/* log p(x) of rows under a generator, by annealed importance sampling (Neal 2001; for decoders: Wu,
 * Burda, Salakhutdinov and Grosse 2017). Each chain starts at z from the prior and moves through
 * f_b(z) = p(z) p(x | z)^b from b = 0 to 1 by Hamiltonian transitions (leapfrog steps, then accept
 * or reject); its weight is prod_t p(x | z_t)^(b_t+1 - b_t), whose mean is p(x). out->value is the
 * mean over the rows of log(1/chains sum w): in expectation a lower bound on log p(x), which
 * becomes tight as the number of temperatures grows.
 *
 * The generator has a normal prior and a Bernoulli, Gaussian or categorical head; a VAE's is
 * gm_vae_decoder. A conditional one takes the labels of gm_model_set_labels. The step size is tuned
 * for each row and temperature in a pilot run with at most 4 chains of its own, so that the chains
 * that count have fixed transitions; each transition varies the step by up to a fifth, so that no
 * trajectory returns to where it began. Time: rows x chains x temperatures x leapfrog gradients of
 * the network. Memory: at most 512 chains run at a time, and each row of such a group takes 8 bytes
 * per temperature.
 *
 * rows [count, row size], borrowed for the call. In *out, k is the number of chains and acceptance
 * the share of accepted transitions. options NULL: all defaults. GM_E_INVALID: NULL, count < 1, an
 * option out of range, a value that is not finite or that the head does not allow;
 * GM_E_UNSUPPORTED: a direct head, a uniform prior; GM_E_STATE: labels are missing; GM_E_SHAPE:
 * another number of labels than rows; GM_E_NUMERIC: log p(x | z) of a chain's first z is not
 * finite; GM_E_CANCELLED; GM_E_NOMEM. */
GM_API gm_status gm_ais(gm_result *out, gm_generator *generator, const float *rows, int64_t count,
                        const gm_ais_options *options);

/* The same backwards, from b = 1 to 0: -log(1/chains sum 1/w), in expectation an upper bound on log
 * p(x). codes [count, latent] must be exact draws from p(z | x), one for each row, from which all
 * its chains start. Such draws exist for simulated data: draw z, then x given z (bidirectional
 * Monte Carlo: Grosse, Ghahramani and Adams 2015). With other codes the bound does not hold. rows
 * and codes are borrowed for the call; statuses as gm_ais. protocol "ais-reverse". */
GM_API gm_status gm_ais_reverse(gm_result *out, gm_generator *generator, const float *rows,
                                const float *codes, int64_t count, const gm_ais_options *options);

/* How far can gm_ais be trusted with this generator and these options? Draws `count` pairs of z and
 * x from the model and brackets their log p(x): *lower receives the result of gm_ais, *upper that
 * of gm_ais_reverse on the same rows. A small gap means that both are near the truth on data like
 * the model's own. The draws depend on options->seed. Statuses as gm_ais. */
GM_API gm_status gm_ais_bracket(gm_result *lower, gm_result *upper, gm_generator *generator,
                                int64_t count, const gm_ais_options *options);

#ifdef __cplusplus
}
#endif

#endif
