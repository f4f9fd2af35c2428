/* rows.c - the models of the benchmark, and how libgm trains them. */
#define _POSIX_C_SOURCE 200809L

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LATENT 20 /* of both VAEs */

/* A VAE that owns its parts, with latent 20. encoder and net: made here before, released here. */
static gm_status join_vae(gm_model **out, gm_context *context, gm_layer *encoder, gm_layer *net)
{
    gm_generator_options shape = GM_GENERATOR_OPTIONS_INIT;
    gm_generator *decoder = NULL;
    gm_vae *vae = NULL;
    gm_status s;
    shape.latent = LATENT;
    if ((s = gm_generator_create(&decoder, context, net, &shape))) goto out;
    if ((s = gm_vae_create(&vae, context, encoder, decoder, NULL))) goto out;
    *out = gm_vae_model(vae); /* the same object, so this owner is passed on */
out:
    gm_generator_release(decoder);
    return s;
}

/* The VAE of PyTorch's examples: 784-400-20-400-784, ReLU, Bernoulli, Adam with rate 1e-3. */
static gm_status make_vae(gm_model **out, gm_context *context)
{
    gm_layer *encoder = NULL, *net = NULL;
    gm_status s;
    *out = NULL;
    if ((s = gm_sequence_create(&encoder, context))) goto out;
    gm_sequence_add_linear(encoder, BENCH_PIXELS, 400);
    gm_sequence_add_relu(encoder);
    gm_sequence_add_linear(encoder, 400, 2 * LATENT);
    if ((s = gm_sequence_create(&net, context))) goto out;
    gm_sequence_add_linear(net, LATENT, 400);
    gm_sequence_add_relu(net);
    gm_sequence_add_linear(net, 400, BENCH_PIXELS);
    s = join_vae(out, context, encoder, net);
out:
    gm_layer_release(net);
    gm_layer_release(encoder);
    return s;
}

/* The same with two convolutions on each side, kernel 4 and stride 2:
 * examples/experiments/conv_vae.c. */
static gm_status make_conv_vae(gm_model **out, gm_context *context)
{
    static const int64_t image[] = { 1, 28, 28 }, maps[] = { 64, 7, 7 };
    gm_layer *encoder = NULL, *net = NULL;
    gm_status s;
    *out = NULL;
    if ((s = gm_sequence_create(&encoder, context))) goto out;
    gm_sequence_add_reshape(encoder, 3, image);
    gm_sequence_add_conv2d(encoder, 1, 32, 4, 2, 1);
    gm_sequence_add_relu(encoder);
    gm_sequence_add_conv2d(encoder, 32, 64, 4, 2, 1);
    gm_sequence_add_relu(encoder);
    gm_sequence_add_flatten(encoder);
    gm_sequence_add_linear(encoder, 64 * 7 * 7, 256);
    gm_sequence_add_relu(encoder);
    gm_sequence_add_linear(encoder, 256, 2 * LATENT);
    if ((s = gm_sequence_create(&net, context))) goto out;
    gm_sequence_add_linear(net, LATENT, 256);
    gm_sequence_add_relu(net);
    gm_sequence_add_linear(net, 256, 64 * 7 * 7);
    gm_sequence_add_relu(net);
    gm_sequence_add_reshape(net, 3, maps);
    gm_sequence_add_conv_transpose2d(net, 64, 32, 4, 2, 1);
    gm_sequence_add_relu(net);
    gm_sequence_add_conv_transpose2d(net, 32, 1, 4, 2, 1);
    gm_sequence_add_flatten(net);
    s = join_vae(out, context, encoder, net);
out:
    gm_layer_release(net);
    gm_layer_release(encoder);
    return s;
}

/* Non-saturating game, Adam with rate 2e-4 and beta1 0.5 for both: the defaults. */
static gm_status join_gan(gm_model **out, gm_context *context, gm_generator *generator,
                          gm_layer *discriminator)
{
    gm_gan *gan = NULL;
    gm_status s = gm_gan_create(&gan, context, generator, discriminator, NULL);
    *out = gm_gan_model(gan);
    return s;
}

/* The default of examples/experiments/gan.c: 100-1200-1200-784 against 784-512-256-1. */
static gm_status make_gan(gm_model **out, gm_context *context)
{
    gm_generator_options shape = GM_GENERATOR_OPTIONS_INIT;
    gm_layer *net = NULL, *discriminator = NULL;
    gm_generator *generator = NULL;
    gm_status s;
    *out = NULL;
    shape.latent = 100;
    shape.output = GM_OUTPUT_DIRECT;
    if ((s = gm_sequence_create(&net, context))) goto out;
    gm_sequence_add_linear(net, 100, 1200);
    gm_sequence_add_relu(net);
    gm_sequence_add_linear(net, 1200, 1200);
    gm_sequence_add_relu(net);
    gm_sequence_add_linear(net, 1200, BENCH_PIXELS);
    gm_sequence_add_sigmoid(net);
    if ((s = gm_generator_create(&generator, context, net, &shape))) goto out;
    if ((s = gm_sequence_create(&discriminator, context))) goto out;
    gm_sequence_add_linear(discriminator, BENCH_PIXELS, 512);
    gm_sequence_add_leaky_relu(discriminator, 0.2);
    gm_sequence_add_linear(discriminator, 512, 256);
    gm_sequence_add_leaky_relu(discriminator, 0.2);
    gm_sequence_add_linear(discriminator, 256, 1);
    s = join_gan(out, context, generator, discriminator);
out:
    gm_layer_release(discriminator);
    gm_generator_release(generator);
    gm_layer_release(net);
    return s;
}

/* The default of gm/dcgan.h: width 64, batch norm, images of 28 x 28 in [-1, 1]. */
static gm_status make_dcgan(gm_model **out, gm_context *context)
{
    gm_generator *generator = NULL;
    gm_layer *discriminator = NULL;
    gm_status s;
    *out = NULL;
    if ((s = gm_dcgan_generator_create(&generator, context, NULL))) goto out;
    if ((s = gm_dcgan_discriminator_create(&discriminator, context, NULL))) goto out;
    s = join_gan(out, context, generator, discriminator);
out:
    gm_layer_release(discriminator);
    gm_generator_release(generator);
    return s;
}

/* The net of Li, Swersky and Zemel 2015, 10-64-256-256-1024-784, and their kernels; the root of
 * MMD^2, Adam with rate 1e-3. */
static gm_status make_gmmn(gm_model **out, gm_context *context)
{
    static const int64_t sizes[] = { 10, 64, 256, 256, 1024 };
    gm_generator_options shape = GM_GENERATOR_OPTIONS_INIT;
    gm_layer *net = NULL;
    gm_generator *generator = NULL;
    gm_gmmn *gmmn = NULL;
    gm_status s;
    *out = NULL;
    shape.latent = sizes[0];
    shape.prior = GM_PRIOR_UNIFORM;
    shape.output = GM_OUTPUT_DIRECT;
    if ((s = gm_sequence_create(&net, context))) goto out;
    for (int i = 1; i < 5; i++) {
        gm_sequence_add_linear(net, sizes[i - 1], sizes[i]);
        gm_sequence_add_relu(net);
    }
    gm_sequence_add_linear(net, sizes[4], BENCH_PIXELS);
    gm_sequence_add_sigmoid(net);
    if ((s = gm_generator_create(&generator, context, net, &shape))) goto out;
    if ((s = gm_gmmn_create(&gmmn, context, generator, NULL))) goto out;
    *out = gm_gmmn_model(gmmn);
out:
    gm_generator_release(generator);
    gm_layer_release(net);
    return s;
}

/* 500 sigmoid units in one order, Adam with rate 1e-3. */
static gm_status make_nade(gm_model **out, gm_context *context)
{
    gm_nade *nade = NULL;
    const gm_status s = gm_nade_create(&nade, context, BENCH_PIXELS, NULL);
    *out = gm_nade_model(nade);
    return s;
}

/* Logistic regression of every pixel on those before it, Adam with rate 1e-3. */
static gm_status make_linear_ar(gm_model **out, gm_context *context)
{
    gm_linear_ar *ar = NULL;
    const gm_status s = gm_linear_ar_create(&ar, context, BENCH_PIXELS, NULL);
    *out = gm_linear_ar_model(ar); /* the same object, so this owner is passed on */
    return s;
}

/* MADE with two hidden layers of 500 ReLU units, one set of masks, natural order, Adam with rate
 * 1e-3: the default of gm/made.h but for the second layer. */
static gm_status make_made(gm_model **out, gm_context *context)
{
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    gm_made *made = NULL;
    o.layers = 2;
    const gm_status s = gm_made_create(&made, context, BENCH_PIXELS, &o);
    *out = gm_made_model(made);
    return s;
}

/* 15 residual blocks of 16 channels (7 x 7 with mask A, 3 x 3 with mask B), Adam with rate 1e-3. */
static gm_status make_pixelcnn(gm_model **out, gm_context *context)
{
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *net = NULL;
    o.blocks = 15;
    const gm_status s = gm_pixelcnn_create(&net, context, 28, 28, &o);
    *out = gm_pixelcnn_model(net); /* the same object, so this owner is passed on */
    return s;
}

/* Layers 784-200-200, NVIL with one draw a row and baselines of 100 units, Adam with rate 1e-3. */
static gm_status make_sbn(gm_model **out, gm_context *context)
{
    static const int64_t layers[] = { 200, 200 };
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layers = layers;
    o.layer_count = 2;
    o.estimator = GM_SBN_NVIL;
    o.samples = 1;
    const gm_status s = gm_sbn_create(&sbn, context, BENCH_PIXELS, &o);
    *out = gm_sbn_model(sbn); /* the same object, so this owner is passed on */
    return s;
}

const struct row bench_rows[] = {
    { "vae", 128, 0, 0, make_vae },
    { "conv_vae", 128, 0, 0, make_conv_vae },
    { "gan", 128, 0, 0, make_gan },
    { "dcgan", 64, -1, 0, make_dcgan },
    { "nade", 100, 0, 1, make_nade },
    { "gmmn", 1000, 0, 0, make_gmmn },
    { "linear_ar", 100, 0, 1, make_linear_ar },
    { "made", 100, 0, 1, make_made },
    { "pixelcnn", 32, 0, 1, make_pixelcnn },
    { "sbn", 100, 0, 1, make_sbn },
};
const int bench_row_count = (int)(sizeof bench_rows / sizeof bench_rows[0]);

double bench_clock(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The digits as 784 floats a row, scaled to [low, 1]; random numbers if there are no digits. */
static gm_status open_data(struct work *w, const char *folder)
{
    static const char *const endings[] = { "", ".gz" };
    static const int64_t flat[] = { BENCH_PIXELS }, shape[] = { 10000, BENCH_PIXELS };
    const double low = w->row->low;
    const size_t noise_size = (size_t)(shape[0] * shape[1]);
    gm_dataset *raw = NULL, *rows = NULL;
    float *noise = NULL;
    gm_status s;
    char path[4096];
    for (int i = 0; i < 2; i++) {
        const int n =
            snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte%s", folder, endings[i]);
        if (n < 0 || n >= (int)sizeof path || access(path, R_OK) != 0) continue;
        if ((s = gm_dataset_open_idx(&raw, w->context, path))) goto out;
        if ((s = gm_dataset_reshape(&rows, raw, 1, flat))) goto out;
        s = gm_dataset_scale(&w->data, rows, (1 - low) / 255.0, low);
        goto out;
    }
    w->is_random = 1;
    noise = malloc(noise_size * sizeof *noise);
    if (noise == NULL) return GM_E_NOMEM;
    if ((s = gm_rng_uniform(w->order_rng, (int64_t)noise_size, low, 1, noise))) goto out;
    s = gm_dataset_from_memory(&w->data, w->context, 2, shape, noise);
out:
    free(noise);
    gm_dataset_release(rows);
    gm_dataset_release(raw);
    return s;
}

gm_status work_begin(struct work *w, const struct row *row, int32_t threads, const char *folder)
{
    gm_context_options settings = GM_CONTEXT_OPTIONS_INIT;
    gm_status s;
    memset(w, 0, sizeof *w);
    w->row = row;
    settings.seed = 1;
    settings.threads = threads;
    settings.blas_threads = 1;
    if ((s = gm_context_create(&w->context, GM_HEADER_VERSION, &settings))) return s;
    if ((s = gm_rng_create(&w->order_rng, w->context, 1))) return s;
    if ((s = open_data(w, folder))) return s;
    if ((s = row->make(&w->model, w->context))) return s;
    w->count = gm_dataset_rows(w->data);
    w->order = malloc((size_t)w->count * sizeof *w->order);
    w->rows = malloc((size_t)(row->batch * BENCH_PIXELS) * sizeof *w->rows);
    if (w->order == NULL || w->rows == NULL) return GM_E_NOMEM;
    return gm_rng_permutation(w->order_rng, w->count, w->order);
}

void work_end(struct work *w)
{
    gm_tensor_release(w->image);
    gm_model_release(w->model);
    gm_dataset_release(w->data);
    gm_rng_release(w->order_rng);
    gm_context_release(w->context);
    free(w->order);
    free(w->rows);
    memset(w, 0, sizeof *w);
}

gm_status work_block(struct work *w, double seconds, double *rate)
{
    const int64_t batch = w->row->batch;
    int64_t done = 0;
    const double begin = bench_clock();
    double spent = 0;
    while (spent < seconds) {
        gm_status s;
        if (w->at + batch > w->count) {
            w->at = 0;
            w->pass++;
            if ((s = gm_rng_permutation(w->order_rng, w->count, w->order))) return s;
        }
        if ((s = gm_dataset_read(w->data, w->order + w->at, batch, w->pass, w->rows))) return s;
        for (int64_t i = 0; w->row->bits && i < batch * BENCH_PIXELS; i++)
            w->rows[i] = w->rows[i] > 0.5f;
        if ((s = gm_model_step(w->model, w->rows, batch, NULL, 0, NULL))) return s;
        w->at += batch;
        done += batch;
        spent = bench_clock() - begin;
    }
    *rate = (double)done / spent;
    return GM_OK;
}

gm_status work_sample(struct work *w, double seconds, double *rate)
{
    static const int64_t shape[] = { 1, BENCH_PIXELS };
    const double begin = bench_clock();
    double spent = 0;
    int64_t done = 0;
    gm_status s;
    if (!w->image && (s = gm_tensor_create(&w->image, w->context, 2, shape))) return s;
    for (; spent < seconds; spent = bench_clock() - begin, done++)
        if ((s = gm_model_sample_into(w->model, gm_tensor_shape(w->image)[0], NULL,
                                      gm_tensor_data(w->image))))
            return s;
    *rate = (double)done / spent;
    return GM_OK;
}
