/* density.h - what the programs share that fit a model with a likelihood, log p(x), to bits: the
 * data, training with early stopping, pictures and curves, and the negative log-likelihood of the
 * test rows.
 *
 *     struct density d = { .run = &r, .title = "NADE", DENSITY_DEFAULTS };
 *     const struct option own[] = { OPTION_INT("hidden", ...), DENSITY_OPTIONS(&d) };
 *     status = run_begin(&r, "nade", "Trains a ...", argc, argv, own, sizeof own / sizeof *own);
 *     if (status != OPTIONS_GO_ON) return status;
 *     status = density_open(&d);
 *     if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
 *     status = 0;
 *     ... make a model of rows of d.width values; d.train has their mean ...
 *     if ((s = density_train(&d, model, &status))) goto out;
 *     if ((s = density_report(&d, model, &json, "nade"))) goto out;
 *     json_whole(&json, "hidden", hidden);
 *     if (json_end(&json)) status = 1;
 * out:
 *     density_close(&d);
 *     return run_end(&r, s, status);
 *
 * The data: --dataset NAME takes NAME-train, NAME-valid and NAME-test (-idxN-ubyte, plain or .gz)
 * from the folder --data, or from data/uci. Without a name the only one in the folder is taken.
 * Values 0 and 1 are bits; other bytes are grey and become bits as MNIST's do (below), or stay
 * class numbers with `grey`; files of floats are real values, left as they are. "mnist", and a
 * folder with MNIST's files or one file of images: the last sixth of the training digits validates
 * (so 50 000 train and 10 000 validate; the embedded ones are cut as mnist.h says). A grey value v
 * becomes 1 with probability v / 255, once (static), the same bits whatever the seed; --dynamic
 * draws the training rows anew in each epoch. --limit N keeps the first N of each part.
 */
#ifndef EXAMPLES_DENSITY_H
#define EXAMPLES_DENSITY_H

#include <gm/gm.h>

#include "json.h"
#include "progress.h"
#include "run.h"

#define DENSITY_LABELS_NEEDED 1 /* data without labels are refused; only MNIST's files have any */
#define DENSITY_LABELS_IF_ANY 2

struct density {
    struct run *run;
    const char *title;   /* of the plot */
    int labels;          /* set before density_open: DENSITY_LABELS_..., or 0: none are needed */
    const char *measure; /* likewise: what the loss is; NULL: negative log-likelihood */
    const char *samples; /* before density_train: the file for samples after training; NULL:
                            samples_last.png */
    int64_t earlier; /* before density_train: epochs of the model that --epochs does not count (of
                        earlier stages) */
    const char *folder; /* likewise: opened instead of --data; NULL: --data */

    const char *dataset; /* options */
    int dynamic, grey;
    int64_t patience, valid_rows;

    /* Filled in by density_open. */
    gm_dataset *train, *valid, *test;
    char name[64];
    char path[OPTIONS_PATH_SIZE]; /* of the folder or file; "" for data of the program's own */
    int64_t width;                /* values in a row */
    int64_t classes;              /* 2: bits; 256: bytes; 0: real values */
    int64_t height, across;       /* of a row as a picture; 1 x width for rows that are none */

    /* Filled in by density_train. */
    struct progress progress;
    double *x, *loss, *epoch, *check; /* points of the curves */
    int count, room, epochs, epoch_room;
    int before;      /* epochs of the curves before this call */
    int64_t resumed; /* epochs before the curves */
    int64_t seen;    /* rows of this epoch up to the latest point */
    double sum;      /* and their loss */
    int64_t best_epoch;
    double best;  /* its loss on validation rows */
    double speed; /* training rows a second */
    int stopped;
};

#define DENSITY_DEFAULTS .patience = 10

#define DENSITY_OPTIONS(d)                                                                         \
    OPTION_TEXT("dataset", &(d)->dataset, "NAME",                                                  \
                "dna, mushrooms, mnist, or NAME of NAME-train, -valid, -test in --data"),          \
        OPTION_FLAG("dynamic", &(d)->dynamic, "grey training rows become bits anew each epoch"),   \
        OPTION_INT("patience", &(d)->patience, 0, 1000000,                                         \
                   "stop after so many epochs without a lower validation loss; 0: off"),           \
        OPTION_INT("valid-rows", &(d)->valid_rows, 0, 1000000000,                                  \
                   "validation rows looked at in each epoch; 0: all")

/* For programs that also take class numbers 0 to 255. */
#define DENSITY_GREY_OPTION(d)                                                                     \
    OPTION_FLAG("grey", &(d)->grey, "bytes are class numbers 0 to 255 instead of bits")

/* Opens the data, and makes the options' batch at most the number of training rows. Returns
 * OPTIONS_GO_ON, or the status to exit with: 2 for missing files and names, 1 for files that cannot
 * be read; reported, and nothing is open then. */
int density_open(struct density *d);

/* Adam whose rate goes in a straight line, over the epochs of the options, to `last` times what it
 * is at first. */
gm_status density_adam(gm_optimizer **out, const struct density *d, double rate, double last,
                       double weight_decay);

/* Draws samples, fits (with --epochs, --batch, --patience), saves the model, draws samples and
 * curves. Called again, it goes on with the curves, and best_epoch is that of the last call. GM_OK
 * also after Ctrl-C (d->stopped) and when the loss was not finite (reported; *status is 1). */
gm_status density_train(struct density *d, gm_model *model, int *status);

/* log p of rows [0, count) of data, pass 0, into out (NULL: not needed), with the labels of the
 * dataset for a conditional model; their mean with its standard error (sd / sqrt(count)) into *nll
 * and *error, with the sign turned. `what` is printed on stderr. GM_E_CANCELLED after Ctrl-C. */
gm_status density_score(struct density *d, gm_model *model, gm_dataset *data, int64_t count,
                        const char *what, double *out, double *nll, double *error);

/* Members "data", "train_rows", "valid_rows" and "test_rows" of the result. */
void density_json_data(const struct density *d, struct json *json);

/* Scores the validation and test rows and starts the line of JSON with what all have: test_nll,
 * test_nll_error, valid_nll, epochs, best_epoch, ...; the program adds its own and ends it. After a
 * failure nothing is started. */
gm_status density_report(struct density *d, gm_model *model, struct json *json, const char *family);

void density_close(struct density *d);

/* Rows of values 0 .. classes - 1 as grey values in [0, 1], in place, for pictures. */
void density_to_grey(const struct density *d, float *values, int64_t count);

#endif
