/* density_model.h - a model with a likelihood for programs that ask it something: from --model
 * FILE, or trained now.
 *
 *     struct density_model f = { DENSITY_MODEL_DEFAULTS };
 *     const struct option own[] = { DENSITY_MODEL_OPTIONS(&f), DENSITY_OPTIONS(&d) };
 *     ... run_begin, density_open ...
 *     status = density_model_open(&f, &d, &s);
 *     if (status != OPTIONS_GO_ON) goto out;      reported but for s, which run_end reports
 *     ... f.model ...
 * out:
 *     density_model_close(&f);
 */
#ifndef EXAMPLES_DENSITY_MODEL_H
#define EXAMPLES_DENSITY_MODEL_H

#include "density.h"

struct density_model {
    const char *path; /* options */
    int64_t hidden;
    double rate;
    gm_model *model;
};

/* Those of the program nade in one order, for options.defaults. */
extern const struct option_defaults density_model_defaults[];

#define DENSITY_MODEL_DEFAULTS .hidden = 500, .rate = 1e-3

#define DENSITY_MODEL_OPTIONS(f)                                                                   \
    OPTION_TEXT("model", &(f)->path, "FILE", "a saved model to ask instead of fitting one"),       \
        OPTION_INT("hidden", &(f)->hidden, 1, 1000000, "hidden units of the model trained"),       \
        OPTION_REAL("rate", &(f)->rate, 1e-12, 1e3, "learning rate of Adam")

/* Loads the model, which must fit the rows of d, have a likelihood and take no labels; or fits one
 * to d->train (density_train). Returns OPTIONS_GO_ON, or the status to exit with. */
int density_model_open(struct density_model *f, struct density *d, gm_status *s);

void density_model_close(struct density_model *f);

#endif
