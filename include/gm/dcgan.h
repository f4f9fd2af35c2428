/* gm/dcgan.h - the networks of the deep convolutional GAN (Radford, Metz and Chintala 2016), for
 * gm/gan.h.
 *
 * Both nets halve or double an image's side by convolutions with kernel 4, stride 2, padding 1.
 * From the side given, the number of halvings is the one that ends at a smallest map of 4 to 7: 28
 * goes 28, 14, 7; 64 goes 64, 32, 16, 8, 4.
 *
 *   generator      linear to [n, top, m, m], batch norm, ReLU; then transposed convolutions, each
 *                  halving the channels, with batch norm and ReLU but the last, which gives the
 *                  image through tanh (or sigmoid)
 *   discriminator  convolutions, the first to `width` channels, each later one doubling them, with
 *                  leaky ReLU 0.2 and batch norm but on the first; then linear to one logit
 *
 * With `hidden` units each net has a fully connected layer more where its maps are smallest (normed
 * and activated as the others are): after two halvings alone, as for side 28, the logit is a linear
 * function of local patches, and nothing depends on a digit as a whole (the MNIST nets of Chen et
 * al. 2016, InfoGAN, have such layers).
 *
 * Weights start N(0, 0.02^2), biases 0, norms at gain 1 and bias 0. Convolutions under a batch norm
 * have no bias of their own.
 */
#ifndef GM_DCGAN_H
#define GM_DCGAN_H

#include "gm/generator.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GM_DCGAN_BATCH_NORM 0 /* as in the paper */
#define GM_DCGAN_NO_NORM                                                                           \
    1 /* for gradient penalties, which batch norm does not suit: Gulrajani et al. 2017, section 4  \
       */
#define GM_DCGAN_SPECTRAL_NORM 2 /* of every layer with weights: Miyato et al. 2018 */

/* Give both nets of one GAN the same options. */
typedef struct gm_dcgan_options {
    size_t size;
    int64_t side;     /* of the square images, 16 to 128, m 2^k with m from 4 to 7; default 28 */
    int64_t channels; /* of the images, 1 to 1024; default 1 */
    int64_t width;    /* channels of the largest maps, 1 to 4096; default 64 */
    int64_t latent;   /* size of z; default 100; the generator's alone */
    int64_t labels; /* classes of a conditional GAN (see gm/gan.h), at most 4096; default 0: none */
    int32_t output; /* GM_ACTIVATION_TANH (default; data in [-1, 1]) or GM_ACTIVATION_SIGMOID (data
                       in [0, 1]) */
    int32_t discriminator_norm; /* GM_DCGAN_*; default batch norm */
    double deviation;           /* of the first weights, positive; default 0.02 */
    int64_t hidden; /* units of the fully connected layer, at most 65536; default 0: none, as in the
                       paper */
} gm_dcgan_options;

#define GM_DCGAN_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(gm_dcgan_options), 28, 1, 64, 100, 0, GM_ACTIVATION_TANH, GM_DCGAN_BATCH_NORM,      \
            0.02, 0                                                                                \
    }

/* z [n, latent + labels] to images [n, channels, side, side]: a generator with a direct head and a
 * normal prior. options: read during the call; NULL: the defaults. Release it with
 * gm_generator_release. GM_E_INVALID: NULL, an option out of range (named, with its value);
 * GM_E_NOMEM. */
GM_API gm_status gm_dcgan_generator_create(gm_generator **out, gm_context *context,
                                           const gm_dcgan_options *options);

/* Images [n, channels + labels, side, side] to logits [n, 1]: a sequence. Release it with
 * gm_layer_release. Statuses as above. */
GM_API gm_status gm_dcgan_discriminator_create(gm_layer **out, gm_context *context,
                                               const gm_dcgan_options *options);

#ifdef __cplusplus
}
#endif

#endif
