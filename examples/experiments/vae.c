/* vae.c - trains a variational autoencoder on handwritten digits (Kingma and Welling 2014).
 *
 *     vae --preset pytorch    784-400-20-400-784, ReLU, grey targets: as the example of PyTorch
 *     vae --preset paper      500 tanh units, 20 latents, digits binarised anew each epoch, 50
 *                             epochs
 *     vae --preset demo       the first with 8 latents, for as many epochs as suit the 8000
 *                             embedded digits
 *
 * With grey targets the test loss is no likelihood of binary data; with binarised ones the program
 * also gives the importance estimate of -log p(x) with --nll-samples draws for each test image.
 */
#include <gm/gm.h>

#include "common/autoencoder.h"
#include "common/json.h"
#include "common/mnist.h"
#include "common/run.h"

#define PIXELS 784

struct preset {
    int64_t hidden, latent, epochs, batch, nll_samples;
    int tanh, binary;
};

static const char *const preset_names[] = { "pytorch", "paper", "demo", NULL };
static const struct preset presets[] = {
    { 400, 20, 10, 128, 0, 0, 0 },
    { 500, 20, 50, 100, 5000, 1, 1 },
    { 400, 8, 80, 128, 0, 0, 0 },
};

/* x -> means and log-variances, or z -> logits: one hidden layer. */
static gm_status make_net(gm_layer **out, gm_context *ctx, int64_t in, const struct preset *p,
                          int64_t last)
{
    gm_status s = gm_sequence_create(out, ctx);
    if (s) return s;
    gm_sequence_add_linear(*out, in, p->hidden);
    if (p->tanh)
        gm_sequence_add_tanh(*out);
    else
        gm_sequence_add_relu(*out);
    gm_sequence_add_linear(*out, p->hidden, last);
    return gm_sequence_status(*out);
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist m = { 0 };
    struct autoencoder a = {
        .run = &r, .title = "Variational autoencoder", .rate = 1e-3, .floor = 1, .nll_samples = -1
    };
    struct json json;
    int choice = 0, status;
    gm_layer *encoder = NULL, *net = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_CHOICE("preset", &choice, preset_names, "which set-up to follow"),
        OPTION_REAL("rate", &a.rate, 1e-12, 1e30, "learning rate of Adam"),
        OPTION_INT("nll-samples", &a.nll_samples, -1, 10000000,
                   "K of the estimate of -log p(x) after training; 0: none; -1: the preset's"),
        OPTION_INT("nll-rows", &a.nll_rows, 0, 1000000000, "test digits to estimate it on; 0: all"),
    };

    options_init(&r.options, "vae", "Trains a variational autoencoder on handwritten digits.");
    r.options.epochs = r.options.batch = 0;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    const struct preset *preset = &presets[choice];
    if (!r.options.epochs) r.options.epochs = preset->epochs;
    if (!r.options.batch) r.options.batch = preset->batch;
    if (a.nll_samples < 0) a.nll_samples = preset->nll_samples;
    a.binary = preset->binary;
    status = mnist_open(&m, r.context, &r.options, MNIST_ROWS);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;

    if ((s = autoencoder_data(&a, &m))) goto out;
    if ((s = make_net(&encoder, r.context, PIXELS, preset, 2 * preset->latent))) goto out;
    if ((s = make_net(&net, r.context, preset->latent, preset, PIXELS))) goto out;
    if ((s = autoencoder_make(&a, encoder, net, preset->latent, 0, &status)) ||
        status != OPTIONS_GO_ON)
        goto out;
    status = 0;
    if ((s = autoencoder_train(&a, &status))) goto out;
    if ((s = autoencoder_report(&a, &json, "vae", &m))) goto out;
    json_text(&json, "preset", preset_names[choice]);
    if (json_end(&json)) status = 1;
out:
    autoencoder_close(&a);
    gm_layer_release(net);
    gm_layer_release(encoder);
    mnist_close(&m);
    return run_end(&r, s, status);
}
