/* dcgan.c - trains a deep convolutional GAN on handwritten digits (Radford, Metz and Chintala
 * 2016).
 *
 * Generator: z -> 512 -> 128 x 7 x 7 -> 64 x 14 x 14 -> 28 x 28, tanh; discriminator: the way back,
 * leaky ReLU; batch norm in both but on the images' side; Adam with beta1 0.5. What samples are the
 * averaged weights of the generator. --hidden 0 leaves the fully connected layers out, as the paper
 * does for its larger images; on digits a classifier is then sure of two thirds of the samples
 * instead of nine tenths.
 *
 *     dcgan --classifier build/out/classifier/model.safetensors
 *
 * lets a trained classifier read 1000 samples: the share of each digit, and on how many it is at
 * least 0.9 sure.
 */
#include <gm/gm.h>

#include "common/gan_training.h"
#include "common/json.h"
#include "common/mnist.h"
#include "common/run.h"

#define CLASSES 10

static const char *const loss_names[] = { "minimax", "non-saturating", "least-squares",
                                          "hinge",   "wasserstein",    NULL };
static const char *const norm_names[] = { "batch", "none", "spectral", NULL };

struct settings {
    int loss, conditional, norm;
    int64_t width, latent, hidden;
    double rate, average, smoothing, noise, last_rate;
};

/* The rate falls along a cosine to last_rate times itself over the whole run. */
static gm_status make_adam(gm_optimizer **out, gm_context *ctx, const struct settings *set,
                           int64_t steps)
{
    gm_schedule fall = GM_SCHEDULE_INIT;
    fall.kind = GM_SCHEDULE_COSINE;
    fall.period = steps > 0 ? steps : 1;
    fall.floor = set->last_rate;
    gm_status s = gan_training_adam(out, ctx, set->rate, 0.999);
    return s || set->last_rate >= 1 ? s : gm_optimizer_set_schedule(*out, &fall);
}

static gm_status make_gan(gm_gan **out, gm_context *ctx, const struct settings *set, int64_t steps)
{
    gm_dcgan_options nets = GM_DCGAN_OPTIONS_INIT;
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    struct gan_parts p = { NULL, NULL, NULL, NULL };
    gm_status s;
    nets.width = set->width;
    nets.latent = set->latent;
    nets.hidden = set->hidden;
    nets.labels = set->conditional ? CLASSES : 0;
    nets.discriminator_norm = set->norm;
    if ((s = gm_dcgan_generator_create(&p.generator, ctx, &nets))) goto out;
    if ((s = gm_dcgan_discriminator_create(&p.discriminator, ctx, &nets))) goto out;
    if ((s = make_adam(&p.generator_optimizer, ctx, set, steps))) goto out;
    if ((s = make_adam(&p.discriminator_optimizer, ctx, set, steps))) goto out;
    o.loss = set->loss;
    o.label_smoothing = set->smoothing;
    o.noise = set->noise;
    o.average = set->average;
    if (o.loss == GM_GAN_WASSERSTEIN) o.weight_clip = 0.01;
out:
    return gan_training_create(out, ctx, &p, &o, s);
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist m = { 0 };
    struct gan_training a = {
        .run = &r, .title = "Deep convolutional GAN", .symmetric = 1, .parzen_samples = 10000
    };
    struct settings set = { .loss = GM_GAN_NON_SATURATING,
                            .width = 64,
                            .latent = 100,
                            .hidden = 512,
                            .rate = 5e-4,
                            .last_rate = 0.05,
                            .average = 0.999,
                            .noise = 0.3 };
    struct json json;
    int status;
    gm_gan *gan = NULL;
    gm_dataset *rows = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_CHOICE("loss", &set.loss, loss_names, "what both networks minimise"),
        OPTION_CHOICE("norm", &set.norm, norm_names, "of the discriminator's layers"),
        OPTION_FLAG("conditional", &set.conditional, "both networks see the class of the digit"),
        OPTION_INT("width", &set.width, 1, 1024, "channels of the largest maps"),
        OPTION_INT("latent", &set.latent, 1, 100000, "size of the noise"),
        OPTION_INT("hidden", &set.hidden, 0, 65536,
                   "units of a fully connected layer in either net; 0: none"),
        OPTION_REAL("rate", &set.rate, 1e-12, 10, "learning rate of both networks"),
        OPTION_REAL("last-rate", &set.last_rate, 0, 1,
                    "what the rate falls to, as a part of it; 1: it stays"),
        OPTION_REAL("average", &set.average, 0, 0.99999,
                    "decay of the averaged generator that samples; 0: none"),
        OPTION_REAL("smoothing", &set.smoothing, 0, 0.9, "D's target for data is 1 less this"),
        OPTION_REAL("noise", &set.noise, 0, 10, "deviation of the noise on what D sees"),
        GAN_TRAINING_OPTIONS(&a),
    };

    options_init(&r.options, "dcgan", "Trains a deep convolutional GAN on handwritten digits.");
    r.options.epochs = 5;
    r.options.batch = 64;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = gan_training_open(&a);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status =
        mnist_open(&m, r.context, &r.options, MNIST_IMAGES | (set.conditional ? MNIST_LABELS : 0));
    if (status != OPTIONS_GO_ON) goto out;
    status = 0;
    if ((s = gm_dataset_scale(&rows, m.train, 2, -1))) goto out;
    if ((s = make_gan(&gan, r.context, &set,
                      gm_dataset_rows(rows) / r.options.batch * r.options.epochs)))
        goto out;
    if ((status = gan_training_resume(&a, &gan, &s)) != OPTIONS_GO_ON) goto out;
    status = 0;
    if (set.loss > GM_GAN_NON_SATURATING) {
        a.data_label = "D(x), no sigmoid";
        a.samples_label = "D(G(z)), no sigmoid";
    }
    if ((s = gan_training_fit(&a, gan, rows, &status))) goto out;
    if ((s = gan_training_report(&a, &json, "dcgan", &m))) goto out;
    json_text(&json, "loss", loss_names[set.loss]);
    json_text(&json, "norm", norm_names[set.norm]);
    if (json_end(&json)) status = 1;
out:
    gan_training_close(&a);
    gm_gan_release(gan);
    gm_dataset_release(rows);
    mnist_close(&m);
    return run_end(&r, s, status);
}
