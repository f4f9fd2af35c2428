/* parts.h - generators, autoencoders and VAEs as parts: of other families' files, and of estimates.
 */
#ifndef GM_MODELS_LATENT_PARTS_H
#define GM_MODELS_LATENT_PARTS_H

#include "gm/autoencoder.h"
#include "gm/generator.h"
#include "gm/vae.h"
#include "models/family.h"

/* Means of p(x | z) for `count` codes on a tape, into out. */
struct gm_generator;
gm_status gm_generator_emit(struct gm_generator *g, gm_tape *tape, gm_var z, gm_var labels,
                            int64_t count, float *out);
/* A generator as a part of another family's file: its options and its network under `prefix`. */
gm_status gm_generator_put(gm_archive *archive, const char *prefix, struct gm_generator *g);
gm_status gm_generator_get(struct gm_generator **out, gm_context *ctx, gm_archive *archive,
                           const char *prefix);

/* The same for an autoencoder; optimizer: NULL or the one that a checkpoint had. */
struct gm_autoencoder;
gm_status gm_autoencoder_put(gm_archive *archive, const char *prefix, struct gm_autoencoder *a);
gm_status gm_autoencoder_get(struct gm_autoencoder **out, gm_context *ctx, gm_archive *archive,
                             const char *prefix, gm_optimizer *optimizer);

/* log p(x | z) + log p(z) - log q(z | x) of k draws of z for each row, row by row: [count k],
 * recorded on the model's tape. */
struct gm_vae;
gm_var gm_vae_log_weights(struct gm_vae *vae, const gm_batch *batch, int64_t k);
/* log_prob of the family. */
gm_status gm_vae_estimate(struct gm_vae *vae, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error);

#endif
