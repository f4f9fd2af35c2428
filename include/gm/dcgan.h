/* gm/dcgan.h - the networks of the deep convolutional GAN (Radford, Metz and Chintala 2016), for
 * gm/gan.h.
 *
 * Both nets halve or double an image's side by convolutions with kernel 4, stride 2, padding 1.
 * The side is halved until the smallest map is 4 to 7 pixels wide: 28, 14, 7; or 64, 32, 16, 8, 4.
 *
 *   generator      linear to [n, top, m, m], batch norm, ReLU; then transposed convolutions, each
 *                  halving the channels, with batch norm and ReLU but the last, which gives the
 *                  image through tanh (or sigmoid)
 *   discriminator  convolutions, the first to `width` channels, each later one doubling them, with
 *                  leaky ReLU 0.2 and batch norm but on the first; then linear to one logit
 *
 * With `hidden` above 0 each net has an additional fully connected layer of that many units where
 * its maps are smallest (normalised and activated like the others). Without it, after only two
 * halvings as for side 28, the logit is a linear function of local patches, and nothing depends on
 * a digit as a whole (the MNIST networks of InfoGAN, Chen et al. 2016, have such layers).
 *
 * Weights start as draws from N(0, 0.02^2), biases at 0, norms with gain 1 and bias 0. Convolutions
 * under a batch norm have no bias of their own.
 */
#ifndef GM_DCGAN_H
#define GM_DCGAN_H

#include "gm/generator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Normalisation in the discriminator: batch norm, as in the paper; none, for gradient penalties,
 * which do not go with batch norm (Gulrajani et al. 2017, section 4); spectral norm of every layer
 * with weights (Miyato et al. 2018). */
#define GM_DCGAN_BATCH_NORM 0
#define GM_DCGAN_NO_NORM 1
#define GM_DCGAN_SPECTRAL_NORM 2

/* Pass the same options for both networks of one GAN. */
typedef struct gm_dcgan_options {
    size_t size;
    int64_t side;     /* of the square images, 16 to 128, m 2^k with m from 4 to 7; default 28 */
    int64_t channels; /* of the images, 1 to 1024; default 1 */
    int64_t width;    /* channels of the largest maps, 1 to 4096; default 64 */
    int64_t latent;   /* size of z; default 100; used by the generator only */
    int64_t labels; /* classes of a conditional GAN (see gm/gan.h), at most 4096; default 0: none */
    int32_t output; /* GM_ACTIVATION_TANH (default; data in [-1, 1]) or GM_ACTIVATION_SIGMOID (data
                       in [0, 1]) */
    int32_t discriminator_norm; /* GM_DCGAN_*; default batch norm */
    double deviation; /* standard deviation of the initial weights, positive; default 0.02 */
    int64_t hidden; /* units of the fully connected layer, at most 65536; default 0: none, as in the
                       paper */
} gm_dcgan_options;

#define GM_DCGAN_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(gm_dcgan_options), 28, 1, 64, 100, 0, GM_ACTIVATION_TANH, GM_DCGAN_BATCH_NORM,      \
            0.02, 0                                                                                \
    }

/* Makes the generator, which maps z [n, latent + labels] to images [n, channels, side, side]; its
 * head is direct and its prior normal. options: read during the call; NULL: the defaults. Release
 * it with gm_generator_release. GM_E_INVALID: NULL, an option out of range (named, with its value);
 * GM_E_NOMEM. */
GM_API gm_status gm_dcgan_generator_create(gm_generator **out, gm_context *context,
                                           const gm_dcgan_options *options);

/* Makes the discriminator, a sequence which maps images [n, channels + labels, side, side] to
 * logits [n, 1]. Release it with gm_layer_release. Statuses as above. */
GM_API gm_status gm_dcgan_discriminator_create(gm_layer **out, gm_context *context,
                                               const gm_dcgan_options *options);

#ifdef __cplusplus
}
#endif

#endif
