/* conv_vae.c - trains a convolutional variational autoencoder on handwritten digits.
 *
 *     conv_vae                  20 latents, binarised anew each epoch, 50 epochs, the estimate of
 *                               -log p(x) with K = 5000
 *     conv_vae --conditional    encoder and decoder see the digit's class (Sohn, Lee and Yan 2015)
 *
 *     encoder    28 x 28, 32 maps of 14 x 14, 64 maps of 7 x 7, 256, means and log-variances
 *     decoder    the same way back, by transposed convolutions, to logits
 *
 * All convolutions have kernel 4, stride 2, padding 1, all hidden units are rectified. Adam's rate
 * falls along half a cosine.
 */
#include <gm/gm.h>

#include "common/autoencoder.h"
#include "common/json.h"
#include "common/mnist.h"
#include "common/run.h"

#define LATENT 20
#define CLASSES 10
#define HIDDEN 256
#define MAPS 32
#define SMALL 7 /* the side after two halvings */

static gm_status make_encoder(gm_layer **out, gm_context *ctx, int64_t labels)
{
    gm_status s = gm_sequence_create(out, ctx);
    if (s) return s;
    gm_sequence_add_conv2d(*out, 1 + labels, MAPS, 4, 2, 1);
    gm_sequence_add_relu(*out);
    gm_sequence_add_conv2d(*out, MAPS, 2 * MAPS, 4, 2, 1);
    gm_sequence_add_relu(*out);
    gm_sequence_add_flatten(*out);
    gm_sequence_add_linear(*out, 2 * MAPS * SMALL * SMALL, HIDDEN);
    gm_sequence_add_relu(*out);
    gm_sequence_add_linear(*out, HIDDEN, 2 * LATENT);
    return gm_sequence_status(*out);
}

static gm_status make_decoder(gm_layer **out, gm_context *ctx, int64_t labels)
{
    const int64_t maps[3] = { 2 * MAPS, SMALL, SMALL };
    gm_status s = gm_sequence_create(out, ctx);
    if (s) return s;
    gm_sequence_add_linear(*out, LATENT + labels, HIDDEN);
    gm_sequence_add_relu(*out);
    gm_sequence_add_linear(*out, HIDDEN, 2 * MAPS * SMALL * SMALL);
    gm_sequence_add_relu(*out);
    gm_sequence_add_reshape(*out, 3, maps);
    gm_sequence_add_conv_transpose2d(*out, 2 * MAPS, MAPS, 4, 2, 1);
    gm_sequence_add_relu(*out);
    gm_sequence_add_conv_transpose2d(*out, MAPS, 1, 4, 2, 1);
    return gm_sequence_status(*out);
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist m = { 0 };
    struct autoencoder a = { .run = &r,
                             .title = "Convolutional variational autoencoder",
                             .binary = 1,
                             .rate = 1e-3,
                             .floor = 0.02,
                             .nll_samples = 5000 };
    struct json json;
    int conditional = 0, status;
    gm_layer *encoder = NULL, *net = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_FLAG("conditional", &conditional, "encoder and decoder see the class of the digit"),
        OPTION_REAL("rate", &a.rate, 1e-12, 1e30, "first learning rate of Adam"),
        OPTION_REAL("floor", &a.floor, 0, 1,
                    "the rate falls along half a cosine to this part of it; 1: it stays"),
        OPTION_INT("nll-samples", &a.nll_samples, 0, 10000000,
                   "K of the estimate of -log p(x) after training; 0: none"),
        OPTION_INT("nll-rows", &a.nll_rows, 0, 1000000000, "test digits to estimate it on; 0: all"),
    };

    options_init(&r.options, "conv_vae",
                 "Trains a convolutional variational autoencoder on handwritten digits.");
    r.options.epochs = 50;
    r.options.batch = 100;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = mnist_open(&m, r.context, &r.options, MNIST_ROWS | (conditional ? MNIST_LABELS : 0));
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;

    const int64_t labels = conditional ? CLASSES : 0;
    if ((s = autoencoder_data(&a, &m))) goto out;
    if ((s = make_encoder(&encoder, r.context, labels))) goto out;
    if ((s = make_decoder(&net, r.context, labels))) goto out;
    if ((s = autoencoder_make(&a, encoder, net, LATENT, labels, &status)) ||
        status != OPTIONS_GO_ON)
        goto out;
    status = 0;
    if ((s = autoencoder_train(&a, &status))) goto out;
    if ((s = autoencoder_report(&a, &json, "conv_vae", &m))) goto out;
    json_flag(&json, "conditional", conditional);
    if (json_end(&json)) status = 1;
out:
    autoencoder_close(&a);
    gm_layer_release(net);
    gm_layer_release(encoder);
    mnist_close(&m);
    return run_end(&r, s, status);
}
