/* vae.c - a variational autoencoder (Kingma and Welling 2014) of handwritten digits, trained and
 * saved.
 *
 *     cc vae.c $(pkg-config --cflags --libs gm) -o vae
 *     ./vae [IMAGES [MODEL]]      an IDX file of images, plain or gz; where to save the model
 *
 * Every call returns a status. The first that fails leads to the end, where the context's line says
 * what was wrong.
 */
#include <gm/gm.h>

#include <stdio.h>

#define HIDDEN 400
#define LATENT 20

/* in -> HIDDEN, ReLU -> out. A sequence keeps its first error and returns it at the end. */
static gm_status make_net(gm_layer **net, gm_context *ctx, int64_t in, int64_t out)
{
    const gm_status s = gm_sequence_create(net, ctx);
    if (s) return s;
    gm_sequence_add_linear(*net, in, HIDDEN);
    gm_sequence_add_relu(*net);
    gm_sequence_add_linear(*net, HIDDEN, out);
    return gm_sequence_status(*net);
}

int main(int argc, char **argv)
{
    const char *images = argc > 1 ? argv[1] : "data/mnist/t10k-images-idx3-ubyte.gz";
    const char *file = argc > 2 ? argv[2] : "vae.safetensors";
    gm_context *ctx = NULL;
    gm_dataset *bytes = NULL, *digits = NULL, *train = NULL, *test = NULL;
    gm_layer *encoder = NULL, *net = NULL;
    gm_generator *decoder = NULL;
    gm_vae *vae = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT; /* a standard normal z, pixels as bits */
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_metric metric[GM_MAX_METRICS];
    int32_t count = 0;
    gm_status s;

    /* Grey values 0 to 255 become 0 to 1. Nine tenths of the images train, the others test. */
    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL))) goto out;
    if ((s = gm_dataset_open_idx(&bytes, ctx, images))) goto out;
    if ((s = gm_dataset_scale(&digits, bytes, 1 / 255.0, 0))) goto out;
    if ((s = gm_dataset_split(&train, &test, digits, gm_dataset_rows(digits) * 9 / 10))) goto out;

    /* The encoder gives LATENT means and LATENT log-variances, the decoder's net a logit for each
     * pixel. */
    const int64_t pixels = gm_dataset_row_size(digits);
    head.latent = LATENT;
    if ((s = make_net(&encoder, ctx, pixels, 2 * LATENT))) goto out;
    if ((s = make_net(&net, ctx, LATENT, pixels))) goto out;
    if ((s = gm_generator_create(&decoder, ctx, net, &head))) goto out;
    /* NULL instead of options: Adam with rate 0.001. */
    if ((s = gm_vae_create(&vae, ctx, encoder, decoder, NULL))) goto out;

    /* The verbs of gm/model.h are the same for every family. */
    gm_model *model = gm_vae_model(vae);
    fit.epochs = 5;
    if ((s = gm_model_fit(model, train, &fit))) goto out;
    if ((s = gm_model_evaluate(model, test, NULL, metric, GM_MAX_METRICS, &count))) goto out;
    for (int32_t i = 0; i < count; i++)
        printf("%s of test images: %g\n", metric[i].name, metric[i].value);
    s = gm_model_save(model, file);
out:
    if (s) fprintf(stderr, "vae: %s: %s\n", gm_status_name(s), gm_context_error(ctx));
    /* In any order: what an object needs, it retains. Releasing NULL does nothing. */
    gm_vae_release(vae);
    gm_generator_release(decoder);
    gm_layer_release(net);
    gm_layer_release(encoder);
    gm_dataset_release(test);
    gm_dataset_release(train);
    gm_dataset_release(digits);
    gm_dataset_release(bytes);
    gm_context_release(ctx);
    return s != GM_OK;
}
