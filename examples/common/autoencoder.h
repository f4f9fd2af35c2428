/* autoencoder.h - what the programs of variational autoencoders share: the data, the optimizer, the
 * curves, pictures, and the measures on test digits.
 *
 *     struct autoencoder a = { .run = &r, .title = "...", .binary = 1, .rate = 1e-3 };
 *     if ((s = autoencoder_data(&a, &m))) goto out;
 *     ... encoder, net ...
 *     if ((s = autoencoder_make(&a, encoder, net, latent, labels, &status))) goto out;
 *     if ((s = autoencoder_train(&a, &status))) goto out;
 *     if ((s = autoencoder_report(&a, &json, "vae", &m))) goto out;
 *     if (json_end(&json)) status = 1;
 * out:
 *     autoencoder_close(&a);
 */
#ifndef EXAMPLES_AUTOENCODER_H
#define EXAMPLES_AUTOENCODER_H

#include <gm/gm.h>

#include "json.h"
#include "mnist.h"
#include "progress.h"
#include "run.h"

#define AUTOENCODER_CURVES 3 /* loss, reconstruction, KL */

struct autoencoder {
    struct run *run;
    const char *title;   /* of the plot */
    int binary;          /* training digits are binarised anew in each epoch, test digits once */
    double rate;         /* of Adam */
    double floor;        /* the rate falls to this part of it along half a cosine; 1: it stays */
    int64_t nll_samples; /* K of the estimate of -log p(x), for binary digits; 0: none */
    int64_t nll_rows;    /* test digits that it is made on; 0: all */

    gm_vae *vae;
    gm_dataset *train, *valid, *test; /* valid: NULL for binary digits */
    struct progress progress;
    double *x, *y[AUTOENCODER_CURVES], *epoch, *validation;
    int count, room, epochs, epoch_room;
    int64_t seen;                    /* rows of this epoch up to the latest point */
    double sums[AUTOENCODER_CURVES]; /* up to there */
    int64_t resumed;                 /* epochs before this run */
    int stopped;
    double speed; /* training rows a second */
};

/* The digits that m holds, binarised if so asked; and the batch of the options, at most all of the
 * training digits. */
gm_status autoencoder_data(struct autoencoder *a, const struct mnist *m);

/* The model of these nets with Adam: encoder to 2 latent values a row, net from latent (and labels)
 * to logits of the pixels. labels: classes of a conditional model, 0 for others. Or the model of
 * --resume: *status is OPTIONS_GO_ON then, or the status to exit with, for a reported reason. */
gm_status autoencoder_make(struct autoencoder *a, gm_layer *encoder, gm_layer *net, int64_t latent,
                           int64_t labels, int *status);

/* Draws the first grid, fits, saves the model, draws the last grid, reconstructions and curves.
 * GM_OK also after Ctrl-C (a->stopped) and when the loss was not finite (reported; *status is 1).
 */
gm_status autoencoder_train(struct autoencoder *a, int *status);

/* Measures, and starts the line of JSON with what all of them have; the program adds its own and
 * ends it. After a failure nothing is started. */
gm_status autoencoder_report(struct autoencoder *a, struct json *json, const char *model,
                             const struct mnist *m);

void autoencoder_close(struct autoencoder *a);

#endif
