/* gan.c - a generative adversarial network (Goodfellow et al. 2014) of handwritten digits.
 *
 *     cc gan.c $(pkg-config --cflags --libs gm) -o gan
 *     ./gan [IMAGES [PICTURE]]    an IDX file of images; a PGM picture of samples to write
 */
#include <gm/gm.h>

#include <stdio.h>

#define LATENT 64
#define SHOWN 10 /* samples in the picture, one below the other */

/* in -> 256, leaky ReLU -> out; a sigmoid brings values between 0 and 1. */
static gm_status make_net(gm_layer **net, gm_context *ctx, int64_t in, int64_t out, int sigmoid)
{
    const gm_status s = gm_sequence_create(net, ctx);
    if (s) return s;
    gm_sequence_add_linear(*net, in, 256);
    gm_sequence_add_leaky_relu(*net, 0.2);
    gm_sequence_add_linear(*net, 256, out);
    if (sigmoid) gm_sequence_add_sigmoid(*net);
    return gm_sequence_status(*net);
}

/* Portable grey map: a line of text, then a byte for each pixel. 0, or -1. */
static int write_picture(const char *path, const float *values, int64_t count, int64_t width)
{
    FILE *f = fopen(path, "wb");
    if (!f) return -1;
    fprintf(f, "P5 %d %d 255\n", (int)width, (int)(count / width));
    for (int64_t i = 0; i < count; i++) fputc((int)(255 * values[i]), f);
    return fclose(f);
}

int main(int argc, char **argv)
{
    const char *images = argc > 1 ? argv[1] : "data/mnist/t10k-images-idx3-ubyte.gz";
    const char *picture = argc > 2 ? argv[2] : "gan.pgm";
    gm_context *ctx = NULL;
    gm_dataset *bytes = NULL, *digits = NULL;
    gm_layer *net = NULL, *discriminator = NULL;
    gm_generator *generator = NULL;
    gm_gan *gan = NULL;
    gm_tensor *samples = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    int failed = 1;
    gm_status s;

    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL))) goto out;
    if ((s = gm_dataset_open_idx(&bytes, ctx, images))) goto out;
    if ((s = gm_dataset_scale(&digits, bytes, 1 / 255.0, 0))) goto out;

    /* G maps noise to images, without a likelihood (a direct head); D maps an image to a logit. */
    const int64_t pixels = gm_dataset_row_size(digits);
    head.latent = LATENT;
    head.output = GM_OUTPUT_DIRECT;
    if ((s = make_net(&net, ctx, LATENT, pixels, 1))) goto out;
    if ((s = make_net(&discriminator, ctx, pixels, 1, 0))) goto out;
    if ((s = gm_generator_create(&generator, ctx, net, &head))) goto out;
    if ((s = gm_gan_create(&gan, ctx, generator, discriminator, NULL))) goto out; /* NULL: Adam */
    fit.epochs = 10;
    if ((s = gm_model_fit(gm_gan_model(gan), digits, &fit))) goto out;
    if ((s = gm_model_sample(&samples, gm_gan_model(gan), SHOWN))) goto out;

    const int64_t width = gm_dataset_row_shape(digits)[gm_dataset_row_rank(digits) - 1];
    failed = write_picture(picture, gm_tensor_read(samples), SHOWN * pixels, width);
    if (failed) perror(picture);
out:
    if (s) fprintf(stderr, "gan: %s: %s\n", gm_status_name(s), gm_context_error(ctx));
    gm_tensor_release(samples);
    gm_gan_release(gan);
    gm_generator_release(generator);
    gm_layer_release(discriminator);
    gm_layer_release(net);
    gm_dataset_release(digits);
    gm_dataset_release(bytes);
    gm_context_release(ctx);
    return failed != 0;
}
