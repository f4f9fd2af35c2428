/* gm/gmmn.h - generative moment matching networks (Li, Swersky and Zemel 2015; Dziugaite, Roy and
 * Ghahramani 2015; Goodfellow, Bengio and Courville 2016, section 20.10.5).
 *
 * A generator network makes samples G(z) from noise z, uniform in the papers. It is trained to
 * minimise the maximum mean discrepancy (gm/mmd.h) between a batch of samples and a batch of data,
 * which is 0 only where two distributions agree in all moments that the kernel sees; for a Gaussian
 * kernel these are all moments. There is no second network. The loss is
 *
 *   GM_GMMN_MMD2   MMD^2(samples, data)
 *   GM_GMMN_MMD    its square root, whose gradient does not vanish as the two come close (section
 *                  4 of the paper)
 *
 * With an autoencoder (gm/autoencoder.h), fitted beforehand, it works on codes ("GMMN+AE"): data
 * are encoded, the generator makes codes, and sample decodes them. Codes have fewer dimensions than
 * rows, so that the MMD needs fewer samples:
 *
 *     gm_model_fit(gm_autoencoder_model(autoencoder), digits, &fit);
 *     gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
 *     o.autoencoder = autoencoder;
 *     gm_gmmn_create(&gmmn, context, generator_of_codes, &o);
 *     gm_model_fit(gm_gmmn_model(gmmn), digits, &fit);
 *     gm_model_sample(&images, gm_gmmn_model(gmmn), 64);
 *
 * Batches must be large, hundreds of rows: the discrepancy between small batches says little about
 * their distributions.
 */
#ifndef GM_GMMN_H
#define GM_GMMN_H

#include "gm/autoencoder.h"
#include "gm/generator.h"
#include "gm/mmd.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_gmmn gm_gmmn;

#define GM_GMMN_MMD2 0
#define GM_GMMN_MMD 1

typedef struct gm_gmmn_options {
    size_t size;
    int32_t loss;          /* GM_GMMN_*; default GM_GMMN_MMD, the root */
    int32_t estimator;     /* GM_MMD_BIASED (default) or GM_MMD_UNBIASED; the unbiased one can be
                              negative, and so is for GM_GMMN_MMD2 only */
    gm_mmd_kernel *kernel; /* retained; it must not change afterwards. NULL: that of Li et al.: for
                              rows a sum of Gaussians with variances 2, 5, 10, 20, 40 and 80, each
                              of weight 1; for codes a Gaussian with variance 1 */
    int64_t samples;       /* drawn in each step; 0 (default): as many as the batch has rows */
    double average;        /* decay of the averaged weights, which are used for sampling, in [0, 1);
                              default 0: no average, the weights themselves are used */
    gm_autoencoder *autoencoder; /* retained; NULL: none */
    gm_optimizer *optimizer;     /* retained; NULL: Adam with its defaults. Must not be bound yet */
} gm_gmmn_options;

#define GM_GMMN_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(gm_gmmn_options), GM_GMMN_MMD, GM_MMD_BIASED, NULL, 0, 0.0, NULL, NULL              \
    }

/* Makes a moment matching network from a generator with a direct head (retained), whose output is
 * rows or, with an autoencoder, codes. The parameters, "generator.*", are the generator's; those of
 * the autoencoder are not trained. *out is NULL after a failure. GM_E_INVALID: NULL, another
 * context, a head that is not direct (gradients cannot pass through its draws), a generator that
 * takes labels, or has no parameters, an option out of range (named, with its value), the root of
 * an unbiased estimate; GM_E_SHAPE: the generator's rows are not the autoencoder's codes;
 * GM_E_STATE: the optimizer is bound already; GM_E_NOMEM. */
GM_API gm_status gm_gmmn_create(gm_gmmn **out, gm_context *context, gm_generator *generator,
                                const gm_gmmn_options *options);
/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_gmmn_retain(gm_gmmn *gmmn);
GM_API void gm_gmmn_release(gm_gmmn *gmmn);

/* The view with the shared verbs: fit, step, sample, save, load. There is no p(x): log_prob is
 * GM_E_UNSUPPORTED. Borrowed.
 *
 * Metrics: "loss", what is minimised; "mmd2", the estimate of MMD^2. The biased estimate is not 0
 * but about (k(x, x) - E k(x, x')) (1/n + 1/m) for n samples that are as good as the m rows of
 * data. A batch of one row is GM_E_SHAPE for the unbiased estimator.
 *
 * sample: G(z) with z from the prior, decoded if there is an autoencoder; with the averaged weights
 * if `average` is above 0. gm_model_save stores the weights that sample uses,
 * gm_model_save_checkpoint everything that training needs; both hold the kernel and the autoencoder
 * (without the state of its optimizer). */
GM_API gm_model *gm_gmmn_model(gm_gmmn *gmmn);
GM_API gm_gmmn *gm_gmmn_from_model(gm_model *model); /* NULL if the model is of another family */
GM_API gm_generator *gm_gmmn_generator(const gm_gmmn *gmmn);     /* borrowed */
GM_API gm_autoencoder *gm_gmmn_autoencoder(const gm_gmmn *gmmn); /* borrowed; NULL: there is none */
GM_API gm_mmd_kernel *gm_gmmn_kernel(const gm_gmmn *gmmn);       /* borrowed */

#ifdef __cplusplus
}
#endif

#endif
