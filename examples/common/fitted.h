/* fitted.h - a model with a likelihood for programs that ask it something: from --model FILE, or
 * fitted now.
 *
 *     struct fitted f = { FITTED_DEFAULTS };
 *     const struct option own[] = { FITTED_OPTIONS(&f), DENSITY_OPTIONS(&d) };
 *     ... run_begin, density_open ...
 *     status = fitted_open(&f, &d, &s);
 *     if (status != OPTIONS_GO_ON) goto out;      reported but for s, which run_end reports
 *     ... f.model ...
 * out:
 *     fitted_close(&f);
 */
#ifndef EXAMPLES_FITTED_H
#define EXAMPLES_FITTED_H

#include "density.h"

struct fitted {
    const char *path; /* options */
    int64_t hidden;
    double rate;
    gm_model *model;
};

#define FITTED_DEFAULTS .hidden = 500, .rate = 1e-3

#define FITTED_OPTIONS(f)                                                                          \
    OPTION_TEXT("model", &(f)->path, "FILE", "a saved model to ask instead of fitting one"),       \
        OPTION_INT("hidden", &(f)->hidden, 1, 1000000, "hidden units of the model fitted"),        \
        OPTION_REAL("rate", &(f)->rate, 1e-12, 1e3, "learning rate of Adam")

/* Loads the model, which must fit the rows of d, have a likelihood and take no labels; or fits one
 * to d->train (density_train). Returns OPTIONS_GO_ON, or the status to exit with. */
int fitted_open(struct fitted *f, struct density *d, gm_status *s);

void fitted_close(struct fitted *f);

#endif
