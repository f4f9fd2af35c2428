/* gm/vae.h - the variational autoencoder (Kingma and Welling 2014; Rezende, Mohamed and Wierstra
 * 2014).
 *
 * An encoder gives q(z | x) = N(mean, diag(e^logvar)), a generator gives p(x | z), and both are
 * fitted to the bound
 *
 *     log p(x) >= E_q[log p(x | z)] - KL(q(z | x) || p(z))
 *
 * with z = mean + e^(logvar / 2) eps. The KL is exact for the normal prior. With samples = k > 1
 * the bound is the importance-weighted one, E log 1/k sum_i p(x, z_i) / q(z_i | x) (Burda, Grosse
 * and Salakhutdinov 2016).
 *
 * A decoder with labels (gm/generator.h) makes it conditional, q(z | x, y) and p(x | z, y) (Sohn,
 * Lee and Yan 2015): the encoder takes the label too, one-hot, as `labels` values after the row,
 * [n, row size + labels], or, if the decoder gives images, as that many constant planes after the
 * channels, [n, c + labels, h, w]. fit uses the dataset's labels, the other verbs those of
 * gm_model_set_labels (GM_E_STATE: none set, GM_E_SHAPE: another number of them; gm_vae_interpolate
 * needs a single one).
 *
 * The log-variance is kept within [-20, 20], so that its exponential cannot overflow.
 */
#ifndef GM_VAE_H
#define GM_VAE_H

#include "gm/generator.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_vae gm_vae;

typedef struct gm_vae_options {
    size_t size;
    double beta; /* weight of the KL, at least 0; default 1 (Higgins et al. 2017) */
    /* the weight of the KL grows linearly from 0 to beta over this many updates; default 0 */
    int64_t warmup_steps;
    double free_bits; /* in nats: the KL of each latent, averaged over the batch, is penalised only
                         where it exceeds this (Kingma et al. 2016); default 0 */
    int64_t samples;  /* importance samples k in training; default 1. k > 1 requires beta 1, no
                         warm-up and no free bits */
    int64_t log_prob_samples; /* K of gm_model_log_prob; default 100 */
    gm_optimizer *optimizer;  /* retained; NULL: Adam, rate 1e-3. Must not be bound yet */
} gm_vae_options;

#define GM_VAE_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_vae_options), 1.0, 0, 0.0, 1, 100, NULL                                          \
    }

/* Makes a VAE from an encoder layer, which maps data rows to 2 * latent values (means, then
 * log-variances), and a generator with a normal prior and a likelihood. Both are retained; their
 * parameters appear as "encoder.*" and "decoder.*". GM_E_INVALID: NULL, another context, a prior
 * other than N(0, I), a direct head, an option out of range; GM_E_SHAPE: the encoder does not give
 * twice the decoder's latent size (both are named); GM_E_STATE: the optimizer is bound already;
 * GM_E_NOMEM; the error that a sequence keeps. *out is NULL after a failure. */
GM_API gm_status gm_vae_create(gm_vae **out, gm_context *context, gm_layer *encoder,
                               gm_generator *decoder, const gm_vae_options *options);
/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_vae_retain(gm_vae *vae);
GM_API void gm_vae_release(gm_vae *vae);

/* The view with the shared verbs. fit and step report "loss" (what is minimised), "reconstruction"
 * (E -log p(x | z)), "kl" and "elbo" (-reconstruction - kl, or the k-sample bound). sample: the
 * means of p(x | z) for z from the prior. log_prob: the importance estimate with K =
 * log_prob_samples. Borrowed. */
GM_API gm_model *gm_vae_model(gm_vae *vae);
GM_API gm_vae *gm_vae_from_model(gm_model *model); /* NULL if the model is of another family */
GM_API gm_layer *gm_vae_encoder(const gm_vae *vae);
GM_API gm_generator *gm_vae_decoder(const gm_vae *vae);

/* q(z | x) for rows x [count, row size]: its mean and log-variance, into mean and log_variance,
 * each [count, latent]; log_variance may be NULL. Statuses of this function and the next three:
 * GM_E_INVALID: NULL, count < 1, values outside the model's support; GM_E_STATE: labels are
 * missing; GM_E_SHAPE: another number of labels; GM_E_NOMEM. No heap allocation after the first
 * call with that count. */
GM_API gm_status gm_vae_encode(gm_vae *vae, const float *rows, int64_t count, float *mean,
                               float *log_variance);
/* The means of p(x | z) for codes z [count, latent], into rows [count, row size]:
 * gm_generator_decode of the decoder. */
GM_API gm_status gm_vae_decode(gm_vae *vae, const float *codes, int64_t count, float *rows);
/* The means of p(x | z) at the mean z of q(z | x), for rows x [count, row size], into means [count,
 * row size]. */
GM_API gm_status gm_vae_reconstruct(gm_vae *vae, const float *rows, int64_t count, float *means);
/* Interpolates between two rows: decodes count >= 2 codes, equally spaced on the straight line from
 * the mean code of the row `from` to that of the row `to`, into rows [count, row size]. */
GM_API gm_status gm_vae_interpolate(gm_vae *vae, const float *from, const float *to, int64_t count,
                                    float *rows);

/* The bound for each row with one draw of z, in nats, into elbo [count]; reconstruction and kl,
 * which may be NULL, receive E -log p(x | z) and the KL, [count] each. Statuses as gm_vae_encode.
 */
GM_API gm_status gm_vae_elbo(gm_vae *vae, const float *rows, int64_t count, double *elbo,
                             double *reconstruction, double *kl);

/* The importance estimate of log p(x) for each row, log 1/K sum_k p(x, z_k) / q(z_k | x),
 * log-sum-exp in double, into log_prob [count]; its standard error (by the delta method) into
 * standard_error [count], which may be NULL. Memory does not grow with count or samples. The
 * estimate is a lower bound on average, and rises to log p(x) with K. options NULL: all defaults.
 * GM_E_INVALID: NULL, count < 1, samples < 0, values outside the model's support; GM_E_STATE,
 * GM_E_SHAPE: labels, as above; GM_E_CANCELLED; GM_E_NOMEM. */
GM_API gm_status gm_vae_log_prob(gm_vae *vae, const float *rows, int64_t count,
                                 const gm_log_prob_options *options, double *log_prob,
                                 double *standard_error);

#ifdef __cplusplus
}
#endif

#endif
