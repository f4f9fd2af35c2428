/* adversary.h - what the GAN programs share: the curves of both players, pictures, and the measures of samples.
 *
 *     struct adversary a = { .run = &r, .name = "gan", .title = "...", .scale = 1 };
 *     s = adversary_train(&a, gan, &m, epochs, batch);
 *     status = adversary_finish(&a, s, &json);
 *
 * Samples times scale plus shift lie in [0, 1], as grids, the Parzen estimate and the classifier want them.
 */
#ifndef EXAMPLES_ADVERSARY_H
#define EXAMPLES_ADVERSARY_H

#include <gm/gm.h>

#include "json.h"
#include "mnist.h"
#include "progress.h"
#include "run.h"

#define ADVERSARY_CURVES 5 /* both losses, D(x), D(G(z)), diversity */

struct adversary {
    struct run *run;
    const char *title;       /* of the plot */
    double scale, shift;     /* from samples to [0, 1] */
    /* What D's values are called: through a sigmoid they are probabilities. */
    const char *data_label, *samples_label;
    /* Called at each epoch's end with the number of the next one, from 1 on; may be NULL. */
    void (*on_epoch)(void *user, int64_t epoch);
    void *user;
    int64_t parzen_samples;  /* 0: no Parzen estimate */
    gm_gan *gan;             /* borrowed */
    gm_dataset *train, *valid, *test; /* in [0, 1]; valid is cut off the training rows if there is none */
    struct progress progress;
    double *x, *y[ADVERSARY_CURVES];
    int count, room;
    int64_t seen;
    double sums[ADVERSARY_CURVES];
    int stopped;
    double rate;
};

/* Datasets: the last sixth of the training rows becomes the validation set if m has none (of MNIST the last 10 000). */
gm_status adversary_open(struct adversary *a, const struct mnist *m);

/* A grid of 100 samples, always of the same noise; with labels each column has one class. */
gm_status adversary_draw(struct adversary *a, const char *file, const char *title);

/* Draws the first grid, fits on rows (the training rows as the model wants them), saves the model, draws the last grid
 * and the curves. GM_OK also after Ctrl-C (a->stopped) and when a player's loss was not finite (reported; *status is 1). */
gm_status adversary_train(struct adversary *a, gm_gan *gan, gm_dataset *rows, int *status);

/* Starts the line of JSON with what all of them have; measures and adds the Parzen estimate. */
gm_status adversary_report(struct adversary *a, struct json *json, const char *model,
                           const char *dataset);

void adversary_close(struct adversary *a);

#endif
