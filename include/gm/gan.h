/* gm/gan.h - generative adversarial networks (Goodfellow et al. 2014; Goodfellow, Bengio and
 * Courville 2016, section 20.10.4).
 *
 * A generator network G makes samples from noise z; a discriminator D gives each row, of the data
 * or made by G, one number: the logit of "this is data". Each is trained against the other. With s
 * the sigmoid function, D and G minimise these losses:
 *
 *                          D                                            G
 *   GM_GAN_MINIMAX         -E log s(D(x)) - E log(1 - s(D(G(z))))       E log(1 - s(D(G(z))))
 *   GM_GAN_NON_SATURATING  the same                                     -E log s(D(G(z)))
 *   GM_GAN_LEAST_SQUARES   1/2 E (D(x) - 1)^2 + 1/2 E D(G(z))^2         1/2 E (D(G(z)) - 1)^2
 *   GM_GAN_HINGE           E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))   -E D(G(z))
 *   GM_GAN_WASSERSTEIN     E D(G(z)) - E D(x)                           -E D(G(z))
 *
 * The first is the minimax value of the textbook (eq. 20.81), v = E log s(D(x)) + E log(1 -
 * s(D(G(z)))); least squares: Mao et al. 2017; hinge: Lim and Ye 2017; Wasserstein: Arjovsky et al.
 * 2017. The Wasserstein loss needs a Lipschitz D: use `weight_clip`, a gradient penalty, or
 * spectral norm layers in D.
 *
 * One step is one update of D on a batch of data and as many new samples. Every
 * `discriminator_steps`-th step also updates G, on the samples of that step and with the D just
 * updated. While one network is updated, the parameters of the other stay exactly as they are.
 */
#ifndef GM_GAN_H
#define GM_GAN_H

#include "gm/generator.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_gan gm_gan;

#define GM_GAN_MINIMAX 0
#define GM_GAN_NON_SATURATING 1
#define GM_GAN_LEAST_SQUARES 2
#define GM_GAN_HINGE 3
#define GM_GAN_WASSERSTEIN 4

/* Penalties added to D's loss; |grad D| is the norm of the gradient of D with respect to one row:
 *
 *   GM_PENALTY_GRADIENT  w E (|grad D(u)| - 1)^2, u uniform between a row of data and a sample
 *                        (Gulrajani et al. 2017)
 *   GM_PENALTY_R1        w/2 E |grad D(x)|^2 at the data (Mescheder, Geiger and Nowozin 2018)
 *
 * With a penalty D must consist of layers that have second derivatives (gm/gradient.h): no batch
 * norm, no max pooling. Otherwise a step is GM_E_UNSUPPORTED, and the line names the operation. */
#define GM_PENALTY_NONE 0
#define GM_PENALTY_GRADIENT 1
#define GM_PENALTY_R1 2

typedef struct gm_gan_options {
    size_t size;
    int32_t loss;          /* GM_GAN_*; default non-saturating */
    int32_t penalty;       /* GM_PENALTY_*; default none */
    double penalty_weight; /* w, positive; default 10 */
    double weight_clip;    /* after each update every parameter of D is clamped to +-weight_clip;
                              default 0: no clipping */
    int64_t discriminator_steps; /* updates of D for each of G, at least 1; default 1 */
    double label_smoothing; /* D's target for data is 1 - label_smoothing instead of 1 (one-sided;
                               Salimans et al. 2016); in [0, 1); default 0; for minimax,
                               non-saturating and least squares only */
    double noise; /* standard deviation of Gaussian noise added to all inputs of D in training
                     (Sonderby et al. 2017); default 0 */
    int64_t noise_steps; /* the noise falls linearly to 0 over this many steps; default 0: it stays
                            constant */
    /* decay of the averaged weights of G, which are used for sampling (Yazici et al. 2019), in [0,
     * 1); default 0: no average, the weights themselves are used */
    double average;
    double collapse; /* the context's log receives a warning when "diversity", averaged over about a
                        hundred steps, falls below this; default 0.25; 0: never */
    gm_optimizer *generator_optimizer; /* retained; NULL: Adam with rate 2e-4, beta1 0.5. Must not
                                          be bound yet */
    /* likewise; not the same object as generator_optimizer */
    gm_optimizer *discriminator_optimizer;
} gm_gan_options;

#define GM_GAN_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_gan_options), GM_GAN_NON_SATURATING, GM_PENALTY_NONE, 10.0, 0.0, 1, 0.0, 0.0, 0, \
            0.0, 0.25, NULL, NULL                                                                  \
    }

/* Makes a GAN from a generator with a direct head and a discriminator layer, which maps rows to one
 * value each: rows in the shape of the generator network's output ([n, c, h, w] for images) or, if
 * D does not accept that, flat [n, row size]. Both are retained; their parameters appear as
 * "generator.*" and "discriminator.*". A generator with labels makes it conditional: D then takes
 * the label too, one-hot, as `labels` values after a flat row, [n, row size + labels], or as that
 * many constant planes after the channels of images, [n, c + labels, h, w]. *out is NULL after a
 * failure. GM_E_INVALID: NULL, another context, a head that is not direct (gradients cannot pass
 * through its draws), an option out of range (named, with its value), one optimizer for both;
 * GM_E_SHAPE: D does not accept G's output, or gives more than one value per row; GM_E_STATE: an
 * optimizer is bound already; GM_E_NOMEM (generator_optimizer, if given, may then be bound already
 * and cannot be used again); the error that a sequence keeps. */
GM_API gm_status gm_gan_create(gm_gan **out, gm_context *context, gm_generator *generator,
                               gm_layer *discriminator, const gm_gan_options *options);
/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_gan_retain(gm_gan *gan);
GM_API void gm_gan_release(gm_gan *gan);

/* The view with the shared verbs: fit, step, sample, save, load. There is no p(x): log_prob is
 * GM_E_UNSUPPORTED. Borrowed.
 *
 * Metrics of a step, computed on its batch before the updates:
 *
 *   "loss"                what G minimises (in a step without an update of G: what it would)
 *   "discriminator_loss"  what D minimises, penalty included
 *   "d_data"              mean of s(D(x)); for least squares, hinge and Wasserstein of D itself
 *   "d_samples"           mean of s(D(G(z))), or of D itself
 *   "discriminator_norm"  norm of the gradient of D at its latest update
 *   "generator_norm"      norm of the gradient of G at its latest update
 *   "diversity"           square root of (mean squared distance between two samples / mean squared
 *                         distance between two rows of data): 0 when all samples are equal, near 1
 *                         when they differ as much as the data. A batch of one row, or of equal
 *                         rows, repeats the previous value
 *   "penalty_norm"        with a penalty: mean |grad D|
 *
 * gm_model_evaluate reports the same metrics except the norms, without noise and penalty, for the
 * weights themselves (not their average). GM_E_NUMERIC: a loss or gradient of D or G was not
 * finite; both are then put back to weights that gave finite losses.
 *
 * sample: G(z) with z from the prior; with the averaged weights if `average` is above 0.
 * gm_model_save stores the weights that sample uses; gm_model_save_checkpoint stores everything
 * that training needs. */
GM_API gm_model *gm_gan_model(gm_gan *gan);
GM_API gm_gan *gm_gan_from_model(gm_model *model); /* NULL if the model is of another family */
GM_API gm_generator *gm_gan_generator(const gm_gan *gan); /* borrowed */
GM_API gm_layer *gm_gan_discriminator(const gm_gan *gan); /* borrowed */
/* The optimizers of G and D: their rates and schedules may change while training. Borrowed. */
GM_API gm_optimizer *gm_gan_generator_optimizer(const gm_gan *gan);
GM_API gm_optimizer *gm_gan_discriminator_optimizer(const gm_gan *gan);

/* D of each of the rows [count, row size], borrowed for the call: the logit of "data" (or the
 * critic's value), in evaluation mode, into values [count]. A conditional GAN takes the labels of
 * gm_model_set_labels. GM_E_INVALID: NULL, count < 1; GM_E_STATE: labels are missing; GM_E_SHAPE:
 * another number of labels than rows; GM_E_NOMEM. No heap allocation after the first call with that
 * count. */
GM_API gm_status gm_gan_discriminate(gm_gan *gan, const float *rows, int64_t count, double *values);

/* The losses on a tape, for training loops of a host's own: from D's values [n] for data and for
 * samples, the loss of D (with one-sided label smoothing) and the loss of G; rank 0. Failures stick
 * to the tape: GM_E_INVALID: loss is none of GM_GAN_*, smoothing not in [0, 1) or not 0 for a loss
 * without targets; GM_E_SHAPE: nothing to average. */
GM_API gm_var gm_gan_discriminator_loss(gm_tape *tape, int32_t loss, double label_smoothing,
                                        gm_var data, gm_var samples);
GM_API gm_var gm_gan_generator_loss(gm_tape *tape, int32_t loss, gm_var samples);
/* |d values_i / d rows_i| for each row, [n]: values [n] must have been computed from rows [n, ...]
 * on this tape, each from its own row. The result is differentiable with respect to everything that
 * values depends on, so it can be part of a loss; at a norm of 0 its gradient is 0. GM_E_SHAPE:
 * values are not [n], one for each row; the failures of gm_gradient. */
GM_API gm_var gm_gan_gradient_norms(gm_tape *tape, gm_var values, gm_var rows);

#ifdef __cplusplus
}
#endif

#endif
