/* wgan_gp.c - trains a Wasserstein GAN with gradient penalty on handwritten digits (Gulrajani et
 * al. 2017).
 *
 * The nets are those of the DCGAN, but the critic has no batch norm: the penalty is about the
 * critic's gradient at each single row, and batch norm lets rows depend on each other. The critic
 * makes five updates for each update of the generator. --penalty r1 takes the non-saturating loss
 * with R1 at the data instead (Mescheder, Geiger and Nowozin 2018).
 */
#include <gm/gm.h>

#include "common/gan_training.h"
#include "common/json.h"
#include "common/mnist.h"
#include "common/run.h"

static const char *const penalty_names[] = { "gradient", "r1", NULL };

struct settings {
    int penalty;
    int64_t width, latent, critic_steps;
    double rate, weight, average;
};

static gm_status make_gan(gm_gan **out, gm_context *ctx, const struct settings *set)
{
    gm_dcgan_options nets = GM_DCGAN_OPTIONS_INIT;
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    struct gan_parts p = { NULL, NULL, NULL, NULL };
    gm_status s;
    nets.width = set->width;
    nets.latent = set->latent;
    nets.discriminator_norm = GM_DCGAN_NO_NORM;
    nets.deviation =
        0.05; /* without norms, 0.02 leaves the critic's first values near 0 for long */
    if ((s = gm_dcgan_generator_create(&p.generator, ctx, &nets))) goto out;
    if ((s = gm_dcgan_discriminator_create(&p.discriminator, ctx, &nets))) goto out;
    if ((s = gan_training_adam(&p.generator_optimizer, ctx, set->rate, 0.9))) goto out;
    if ((s = gan_training_adam(&p.discriminator_optimizer, ctx, set->rate, 0.9))) goto out;
    o.loss = set->penalty ? GM_GAN_NON_SATURATING : GM_GAN_WASSERSTEIN;
    o.penalty = set->penalty ? GM_PENALTY_R1 : GM_PENALTY_GRADIENT;
    o.penalty_weight = set->weight;
    o.discriminator_steps = set->critic_steps;
    o.average = set->average;
out:
    return gan_training_create(out, ctx, &p, &o, s);
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist m = { 0 };
    struct gan_training a = { .run = &r,
                              .title = "Wasserstein GAN with gradient penalty",
                              .symmetric = 1,
                              .parzen_samples = 10000 };
    struct settings set = {
        .width = 64, .latent = 128, .critic_steps = 5, .rate = 1e-4, .weight = 10, .average = 0.99
    };
    struct json json;
    int status;
    gm_gan *gan = NULL;
    gm_dataset *rows = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_CHOICE("penalty", &set.penalty, penalty_names, "WGAN-GP, or R1"),
        OPTION_REAL("penalty-weight", &set.weight, 1e-12, 1e6, "weight of the penalty"),
        OPTION_INT("critic-steps", &set.critic_steps, 1, 100,
                   "updates of the critic for each of G"),
        OPTION_INT("width", &set.width, 1, 1024, "channels of the largest maps"),
        OPTION_INT("latent", &set.latent, 1, 100000, "size of the noise"),
        OPTION_REAL("rate", &set.rate, 1e-12, 10, "learning rate of both networks"),
        OPTION_REAL("average", &set.average, 0, 0.99999,
                    "decay of the averaged generator that samples; 0: none"),
        GAN_TRAINING_OPTIONS(&a),
    };

    options_init(&r.options, "wgan_gp",
                 "Trains a Wasserstein GAN with gradient penalty on handwritten digits.");
    r.options.epochs = 8;
    r.options.batch = 50;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = gan_training_open(&a);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = mnist_open(&m, r.context, &r.options, MNIST_IMAGES);
    if (status != OPTIONS_GO_ON) goto out;
    status = 0;
    if ((s = gm_dataset_scale(&rows, m.train, 2, -1))) goto out;
    if ((s = make_gan(&gan, r.context, &set))) goto out;
    if ((status = gan_training_resume(&a, &gan, &s)) != OPTIONS_GO_ON) goto out;
    status = 0;
    if (!set.penalty) {
        a.data_label = "critic of data";
        a.samples_label = "critic of samples";
    }
    if ((s = gan_training_fit(&a, gan, rows, &status))) goto out;
    if ((s = gan_training_report(&a, &json, "wgan_gp", &m))) goto out;
    json_text(&json, "penalty", penalty_names[set.penalty]);
    json_number(&json, "critic_gradient_norm", a.penalty_norm);
    if (json_end(&json)) status = 1;
out:
    gan_training_close(&a);
    gm_gan_release(gan);
    gm_dataset_release(rows);
    mnist_close(&m);
    return run_end(&r, s, status);
}
