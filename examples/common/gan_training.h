/* gan_training.h - what the GAN programs share: the curves of both networks, pictures, and the
 * measures of samples.
 *
 *     struct gan_training a = { .run = &r, .title = "..." };
 *     status = gan_training_open(&a);
 *     ... gm_gan_create ...
 *     if ((status = gan_training_resume(&a, &gan, &s)) != OPTIONS_GO_ON) goto out;
 *     if ((s = gan_training_fit(&a, gan, rows, &status))) goto out;
 *     if ((s = gan_training_report(&a, &json, "gan", &m))) goto out;
 *     if (json_end(&json)) status = 1;
 * out:
 *     gan_training_close(&a);
 */
#ifndef EXAMPLES_GAN_TRAINING_H
#define EXAMPLES_GAN_TRAINING_H

#include <gm/gm.h>

#include "classify.h"
#include "json.h"
#include "mnist.h"
#include "progress.h"
#include "run.h"

#define GAN_TRAINING_CURVES 5 /* both losses, D(x), D(G(z)), diversity */

struct gan_training {
    struct run *run;
    const char *title; /* of the plot */
    int symmetric;     /* pixels are in [-1, 1], as tanh gives them, not in [0, 1] */
    const char *data_label,
        *samples_label; /* what D's values are called in the plot; NULL: D(x), D(G(z)) */
    /* Called before each epoch but the first with its number, from 1 on for the second; may be
     * NULL. */
    void (*on_epoch)(void *user, int64_t epoch);
    void *user;
    int64_t parzen_samples; /* 0: no Parzen estimate */
    int fine; /* its deviation is one of 0.10, 0.11, ... 0.29, not of ten from 0.1 to 1 */
    const char *classifier; /* file of a classifier that reads 1000 samples; NULL: none */

    gm_gan *gan; /* borrowed */
    struct classifier reader;
    struct progress progress;
    double *x, *y[GAN_TRAINING_CURVES];
    int count, room;
    int64_t seen;
    double sums[GAN_TRAINING_CURVES];
    int64_t resumed; /* epochs before this run */
    int stopped;
    double rate;
    double penalty_norm; /* mean |grad D| over the last epoch, if there was a penalty; else NaN */
};

/* Options of all GAN programs, for their tables. */
#define GAN_TRAINING_OPTIONS(a)                                                                    \
    OPTION_INT("parzen-samples", &(a)->parzen_samples, 0, 1000000,                                 \
               "samples of the Parzen estimate; 0: none"),                                         \
        OPTION_TEXT("classifier", &(a)->classifier, "FILE",                                        \
                    "a classifier's model.safetensors, to read 1000 samples with")

struct gan_parts {
    gm_generator *generator;
    gm_layer *discriminator;
    gm_optimizer *generator_optimizer, *discriminator_optimizer;
};

/* The GAN of these, or `s`, if that is a failure in making them; releases them either way. The
 * optimizers of o are set here. */
gm_status gan_training_create(gm_gan **out, gm_context *ctx, struct gan_parts *parts,
                              gm_gan_options *o, gm_status s);

/* Adam with beta1 0.5, the custom for GANs since Radford, Metz and Chintala 2016. */
gm_status gan_training_adam(gm_optimizer **out, gm_context *ctx, double rate, double beta2);

/* Opens the classifier, if one is named: OPTIONS_GO_ON, or the status to exit with. */
int gan_training_open(struct gan_training *a);

/* The training rows without those that validate, if m has no others: of MNIST the first 50 000. */
gm_status gan_training_rows(gm_dataset **out, const struct mnist *m);

/* The GAN of --resume in place of *gan: OPTIONS_GO_ON, or the status to exit with; reported but for
 * *s. */
int gan_training_resume(struct gan_training *a, gm_gan **gan, gm_status *s);

/* Draws the first grid, fits on rows, saves the model, draws the last grid and the curves. GM_OK
 * also after Ctrl-C (a->stopped) and when a loss was not finite (reported; *status is 1).
 */
gm_status gan_training_fit(struct gan_training *a, gm_gan *gan, gm_dataset *rows, int *status);

/* Measures, and starts the line of JSON with what all of them have; the program adds its own and
 * ends it. */
gm_status gan_training_report(struct gan_training *a, struct json *json, const char *model,
                              const struct mnist *m);

void gan_training_close(struct gan_training *a);

#endif
