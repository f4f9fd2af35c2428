/* gan.c - trains a generative adversarial network on handwritten digits (Goodfellow et al. 2014).
 *
 *     gan                   100-1200-1200-784 against 784-512-256-1, Adam, 40 epochs
 *     gan --preset 2014     the nets, the schedule and the protocol of the paper's MNIST experiment
 *     gan --conditional     either, with the digit's class given to both nets (Mirza and
 *                           Osindero 2014)
 *
 * The first has noise and dropout on the side of the discriminator, which otherwise becomes too
 * strong: the generator then makes one picture again and again. The preset has the same generator,
 * a maxout discriminator with dropout, stochastic gradient descent with momentum, and 250 epochs;
 * its samples are of weights averaged over the last 40 epochs or so (decay 0.99995), which the
 * paper does not mention and which removes the speckles. With seed 1 it collapses in its third
 * epoch, as plain GANs do now and then; its default is 2.
 *
 * The score is the paper's Parzen window estimate: 10 000 samples, the deviation chosen on the
 * validation digits (10 000 here, the paper took 1000 of them), for the preset from 0.10, 0.11, ...
 * 0.29 (the paper: ten values from 0.1 to 1).
 */
#include <gm/gm.h>

#include <math.h>
#include <stdlib.h>

#include "common/gan_training.h"
#include "common/json.h"
#include "common/mnist.h"
#include "common/run.h"

#define PIXELS 784
#define LATENT 100
#define CLASSES 10

static const char *const preset_names[] = { "adam", "2014", NULL };
static const char *const loss_names[] = { "minimax", "non-saturating", "least-squares",
                                          "hinge",   "wasserstein",    NULL };

struct settings {
    int preset; /* 0: adam, 1: 2014 */
    int loss, conditional;
    double rate, average, noise, smoothing, dropout;
    int64_t d_steps;
};

static gm_status add_uniform(gm_layer *net, gm_context *ctx, int64_t in, int64_t out, double bound)
{
    gm_layer *layer = NULL;
    gm_linear_options o = GM_LINEAR_OPTIONS_INIT;
    if (bound > 0) {
        o.weight_init = GM_INIT_UNIFORM;
        o.weight_a = -bound;
        o.weight_b = bound;
        o.bias_init = GM_INIT_CONSTANT;
        o.bias_a = 0;
    }
    gm_status s = gm_linear_create(&layer, ctx, in, out, &o);
    if (!s) s = gm_sequence_add(net, layer);
    gm_layer_release(layer);
    return s;
}

/* The paper's last bias starts at the logit of each pixel's mean. */
static gm_status start_at_mean(gm_layer *net, gm_dataset *train)
{
    float mean[PIXELS];
    gm_status s = gm_dataset_mean(train, mean);
    if (s) return s;
    const gm_params *params = gm_layer_params(net);
    float *bias = gm_param_value(gm_params_get(params, gm_params_count(params) - 1));
    for (int i = 0; i < PIXELS; i++) {
        double p = fmin(fmax((double)mean[i], 1e-7), 1 - 1e-7);
        bias[i] = (float)log(p / (1 - p));
    }
    return GM_OK;
}

static gm_status make_generator(gm_generator **out, gm_context *ctx, const struct settings *set,
                                gm_dataset *train)
{
    gm_layer *net = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    double bound = set->preset ? 0.05 : 0;
    gm_status s;
    head.latent = LATENT;
    head.output = GM_OUTPUT_DIRECT;
    head.labels = set->conditional ? CLASSES : 0;
    if (set->preset) {
        head.prior = GM_PRIOR_UNIFORM;
        head.prior_scale = sqrt(3); /* variance 1 */
    }
    if ((s = gm_sequence_create(&net, ctx))) goto out;
    if ((s = add_uniform(net, ctx, LATENT + head.labels, 1200, bound))) goto out;
    gm_sequence_add_relu(net);
    if ((s = add_uniform(net, ctx, 1200, 1200, bound))) goto out;
    gm_sequence_add_relu(net);
    if ((s = add_uniform(net, ctx, 1200, PIXELS, bound))) goto out;
    if (set->preset && (s = start_at_mean(net, train))) goto out;
    gm_sequence_add_sigmoid(net);
    s = gm_generator_create(out, ctx, net, &head);
out:
    gm_layer_release(net);
    return s;
}

static gm_status make_discriminator(gm_layer **out, gm_context *ctx, const struct settings *set)
{
    int64_t in = PIXELS + (set->conditional ? CLASSES : 0);
    gm_status s = gm_sequence_create(out, ctx);
    if (s) return s;
    if (set->preset) {
        gm_sequence_add_dropout(*out, 0.2);
        if ((s = add_uniform(*out, ctx, in, 240 * 5, 0.005))) return s;
        gm_sequence_add_maxout(*out, 5);
        gm_sequence_add_dropout(*out, 0.5);
        if ((s = add_uniform(*out, ctx, 240, 240 * 5, 0.005))) return s;
        gm_sequence_add_maxout(*out, 5);
        gm_sequence_add_dropout(*out, 0.5);
        if ((s = add_uniform(*out, ctx, 240, 1, 0.005))) return s;
    } else {
        gm_sequence_add_linear(*out, in, 512);
        gm_sequence_add_leaky_relu(*out, 0.2);
        if (set->dropout > 0) gm_sequence_add_dropout(*out, set->dropout);
        gm_sequence_add_linear(*out, 512, 256);
        gm_sequence_add_leaky_relu(*out, 0.2);
        if (set->dropout > 0) gm_sequence_add_dropout(*out, set->dropout);
        gm_sequence_add_linear(*out, 256, 1);
    }
    return gm_sequence_status(*out);
}

/* Rate 0.1 that shrinks by 1.000004 each step, momentum from 0.5 to 0.7 over 250 epochs. The
 * paper's code halves D's loss, which for this method is the same as halving its rate. */
static gm_status make_sgd(gm_optimizer **out, gm_context *ctx, double rate)
{
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    gm_schedule shrink = GM_SCHEDULE_INIT;
    o.rate = rate;
    o.momentum = 0.5;
    shrink.kind = GM_SCHEDULE_EXPONENTIAL;
    shrink.factor = 1 / 1.000004;
    gm_status s = gm_sgd_create(out, ctx, &o);
    return s ? s : gm_optimizer_set_schedule(*out, &shrink);
}

static void raise_momentum(void *user, int64_t epoch)
{
    gm_gan *gan = user;
    double part = fmin(1, fmax(0, (double)(epoch - 1) / 249));
    gm_optimizer_set_momentum(gm_gan_generator_optimizer(gan), 0.5 + 0.2 * part);
    gm_optimizer_set_momentum(gm_gan_discriminator_optimizer(gan), 0.5 + 0.2 * part);
}

static gm_status make_gan(gm_gan **out, gm_context *ctx, const struct settings *set,
                          gm_dataset *train)
{
    struct gan_parts p = { NULL, NULL, NULL, NULL };
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_status s;
    if ((s = make_generator(&p.generator, ctx, set, train))) goto out;
    if ((s = make_discriminator(&p.discriminator, ctx, set))) goto out;
    if (set->preset) {
        double rate = set->rate > 0 ? set->rate : 0.1;
        if ((s = make_sgd(&p.generator_optimizer, ctx, rate))) goto out;
        if ((s = make_sgd(&p.discriminator_optimizer, ctx, rate / 2))) goto out;
    } else {
        double rate = set->rate > 0 ? set->rate : 2e-4;
        if ((s = gan_training_adam(&p.generator_optimizer, ctx, rate, 0.999))) goto out;
        if ((s = gan_training_adam(&p.discriminator_optimizer, ctx, rate, 0.999))) goto out;
    }
    o.loss = set->loss;
    o.discriminator_steps = set->d_steps;
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
    struct gan_training a = { .run = &r, .title = "Generative adversarial network" };
    struct settings set = {
        .loss = GM_GAN_NON_SATURATING, .d_steps = 1, .dropout = 0.3, .average = -1, .noise = -1
    };
    struct json json;
    int status;
    gm_gan *gan = NULL;
    gm_dataset *rows = NULL;
    gm_status s = GM_OK;
    a.parzen_samples = 10000;
    const struct option own[] = {
        OPTION_CHOICE("preset", &set.preset, preset_names, "which set-up to follow"),
        OPTION_CHOICE("loss", &set.loss, loss_names, "what both networks minimise"),
        OPTION_FLAG("conditional", &set.conditional, "both networks see the class of the digit"),
        OPTION_REAL("rate", &set.rate, 0, 10, "learning rate of both networks; 0: the preset's"),
        OPTION_REAL("average", &set.average, -1, 0.99999,
                    "decay of the averaged generator that samples; 0: none; -1: the preset's"),
        OPTION_REAL("dropout", &set.dropout, 0, 0.9,
                    "in the discriminator; the 2014 preset has its own"),
        OPTION_REAL("noise", &set.noise, -1, 10,
                    "deviation of the noise on what D sees; -1: the preset's"),
        OPTION_REAL("smoothing", &set.smoothing, 0, 0.9, "D's target for data is 1 less this"),
        OPTION_INT("d-steps", &set.d_steps, 1, 100, "updates of D for each of G"),
        GAN_TRAINING_OPTIONS(&a),
    };

    options_init(&r.options, "gan",
                 "Trains a generative adversarial network on handwritten digits.");
    r.options.epochs = r.options.batch = 0;
    status = options_parse(&r.options, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    if (!r.options.epochs) r.options.epochs = set.preset ? 250 : 40;
    if (set.average < 0) set.average = set.preset ? 0.99995 : 0.999;
    a.fine = set.preset;
    if (set.noise < 0) set.noise = set.preset ? 0 : 0.3;
    if (set.preset && !options_given(&r.options, "seed")) r.options.seed = 2;
    if (!r.options.batch) r.options.batch = set.preset ? 100 : 128;
    status = run_open(&r);
    if (status != OPTIONS_GO_ON) return status;
    status = gan_training_open(&a);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status =
        mnist_open(&m, r.context, &r.options, MNIST_ROWS | (set.conditional ? MNIST_LABELS : 0));
    if (status != OPTIONS_GO_ON) goto out;
    status = 0;
    if ((s = gan_training_rows(&rows, &m))) goto out;
    if ((s = make_gan(&gan, r.context, &set, rows))) goto out;
    if ((status = gan_training_resume(&a, &gan, &s)) != OPTIONS_GO_ON) goto out;
    status = 0;
    if (set.preset) {
        a.on_epoch = raise_momentum;
        a.user = gan;
    }
    if (set.loss > GM_GAN_NON_SATURATING) {
        a.data_label = "D(x), no sigmoid";
        a.samples_label = "D(G(z)), no sigmoid";
    }
    if ((s = gan_training_fit(&a, gan, rows, &status))) goto out;
    if ((s = gan_training_report(&a, &json, "gan", &m))) goto out;
    json_text(&json, "preset", preset_names[set.preset]);
    json_text(&json, "loss", loss_names[set.loss]);
    if (json_end(&json)) status = 1;
out:
    gan_training_close(&a);
    gm_gan_release(gan);
    gm_dataset_release(rows);
    mnist_close(&m);
    return run_end(&r, s, status);
}
