/* gm/generator.h - the differentiable generator network g(z; theta).
 *
 * A layer maps a latent z, drawn from a simple prior, to data space (Goodfellow, Bengio and
 * Courville 2016, section 20.10.2). Its output is interpreted in one of four ways, called the head:
 *
 *   GM_OUTPUT_BERNOULLI    logits of p(x_i = 1 | z); data in [0, 1]
 *   GM_OUTPUT_GAUSSIAN     means of p(x_i | z) = N(mean_i, variance); the variance is fixed, or
 *                          learned: then the network gives all means and then all log-variances
 *   GM_OUTPUT_CATEGORICAL  logits of `classes` classes for each value, classes last; data are class
 *                          numbers
 *   GM_OUTPUT_DIRECT       the output is the sample itself. There is no p(x | z), so log_prob is
 *                          GM_E_UNSUPPORTED, and the data must be continuous: a gradient cannot
 *                          pass through a discrete sample
 *
 * With labels = K > 0 it is conditional, g(z, y; theta): the network takes [n, latent + K], the
 * code followed by the one-hot label y (Mirza and Osindero 2014). The verbs of its model use the
 * labels set by gm_model_set_labels.
 *
 * The VAE, GAN and GMMN families are built on it. By itself it can sample, decode, compute log p(x
 * | z), save and load; it is trained by one of those families or by a loop of the host's own
 * (examples/experiments/generator.c).
 */
#ifndef GM_GENERATOR_H
#define GM_GENERATOR_H

#include "gm/layer.h"
#include "gm/model.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_generator gm_generator;

/* Priors of z, with s = prior_scale: N(0, s^2 I), and uniform on [-s, s] in each coordinate. */
#define GM_PRIOR_NORMAL 0
#define GM_PRIOR_UNIFORM 1

#define GM_OUTPUT_BERNOULLI 0
#define GM_OUTPUT_GAUSSIAN 1
#define GM_OUTPUT_CATEGORICAL 2
#define GM_OUTPUT_DIRECT 3

typedef struct gm_generator_options {
    size_t size;
    int64_t latent;         /* size of z, at least 1; no default */
    int32_t prior;          /* GM_PRIOR_*; default normal */
    int32_t output;         /* GM_OUTPUT_*; default Bernoulli */
    int32_t learn_variance; /* Gaussian: 1: the network gives log-variances too; default 0 */
    double variance;        /* Gaussian with a fixed variance; default 1 */
    int64_t classes;        /* categorical: at least 2 */
    int64_t labels; /* number of label classes if the network takes a label beside z; default 0: no
                       label */
    double prior_scale; /* s: standard deviation, or half the width, of the prior; positive; default
                           1 */
} gm_generator_options;

#define GM_GENERATOR_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(gm_generator_options), 0, GM_PRIOR_NORMAL, GM_OUTPUT_BERNOULLI, 0, 1.0, 0, 0, 1.0   \
    }

/* Makes a generator around `net` (retained), which must map [n, latent + labels] to what the head
 * needs. *out is NULL after a failure. GM_E_INVALID: NULL, an option out of range; GM_E_SHAPE: net
 * does not accept [n, latent + labels], or its output does not divide into the head's parts;
 * GM_E_NOMEM; the error that a sequence keeps. */
GM_API gm_status gm_generator_create(gm_generator **out, gm_context *context, gm_layer *net,
                                     const gm_generator_options *options);
/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_generator_retain(gm_generator *generator);
GM_API void gm_generator_release(gm_generator *generator);

/* The view with the shared verbs: sample, save, load. Borrowed. */
GM_API gm_model *gm_generator_model(gm_generator *generator);
/* The generator behind a view; NULL if the model is of another family. Borrowed. */
GM_API gm_generator *gm_generator_from_model(gm_model *model);

/* The options and sizes of the generator, its network and its parameters (borrowed). */
GM_API int64_t gm_generator_latent(const gm_generator *generator);
GM_API int64_t gm_generator_row_size(const gm_generator *generator); /* floats in a data row */
GM_API int32_t gm_generator_output(const gm_generator *generator);
GM_API int32_t gm_generator_prior(const gm_generator *generator);
GM_API double gm_generator_prior_scale(const gm_generator *generator);
GM_API int64_t gm_generator_labels(const gm_generator *generator); /* 0: takes none */
GM_API gm_layer *gm_generator_net(const gm_generator *generator);
GM_API gm_params *gm_generator_params(const gm_generator *generator);

/* Draws codes z [count, latent] from the prior with rng. GM_E_INVALID: NULL, count < 1. */
GM_API gm_status gm_generator_sample_prior(gm_generator *generator, gm_rng *rng, int64_t count,
                                           float *codes);

/* The mean of p(x | z) for each of the codes z [count, latent] (categorical: the most probable
 * class), into rows [count, row size]. No heap allocation after the first call with that count.
 * Statuses of this function and the next two: GM_E_INVALID: NULL, count < 1, values outside the
 * head's support; GM_E_STATE: labels are missing; GM_E_SHAPE: another number of labels than rows;
 * GM_E_NOMEM. */
GM_API gm_status gm_generator_decode(gm_generator *generator, const float *codes, int64_t count,
                                     float *rows);

/* A sample x from p(x | z) for each of the codes [count, latent], drawn with the model's random
 * stream, into rows [count, row size]. With a direct head it is the same as decode. */
GM_API gm_status gm_generator_sample(gm_generator *generator, const float *codes, int64_t count,
                                     float *rows);

/* log p(x | z) of each of the rows [count, row size] given its code in codes [count, latent], in
 * nats, into log_prob [count]. GM_E_UNSUPPORTED for a direct head. */
GM_API gm_status gm_generator_log_prob(gm_generator *generator, const float *rows,
                                       const float *codes, int64_t count, double *log_prob);

/* On a tape: the network's output for z [n, latent]. */
GM_API gm_var gm_generator_apply(gm_tape *tape, gm_generator *generator, gm_var z);
/* The same for a conditional generator: labels [m] are class numbers stored as float; z may have m
 * k rows, and each label then serves k consecutive rows. labels GM_NO_VAR: the same as
 * gm_generator_apply. A conditional generator without labels, or an unconditional one with labels,
 * is GM_E_INVALID. GM_E_SHAPE: the rows do not fit. */
GM_API gm_var gm_generator_apply_labelled(gm_tape *tape, gm_generator *generator, gm_var z,
                                          gm_var labels);
/* Codes from the prior on a tape, [count, latent], drawn from the tape's rng. */
GM_API gm_var gm_generator_draw_prior(gm_tape *tape, gm_generator *generator, int64_t count);
/* On a tape: -log p(x | z) from the network's output for z, one value per row, [n]. x may have n /
 * k rows; each then serves k consecutive rows of the output. A direct head is GM_E_UNSUPPORTED. */
GM_API gm_var gm_generator_nll(gm_tape *tape, gm_generator *generator, gm_var output, gm_var x);

#ifdef __cplusplus
}
#endif

#endif
