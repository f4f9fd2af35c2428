/* evaluation.h - all numbers of gm/evaluate.h that apply to a model, or to samples at hand.
 *
 *     struct evaluation measure = EVALUATION_INIT;
 *     struct evaluation_result found;
 *     s = evaluation_open(&measure, r.context, &data, classifier_or_null);
 *     if (!s) s = evaluation_likelihood(&measure, model, &found);
 *     if (!s) s = evaluation_samples(&measure, samples, count, size, &found);
 *     evaluation_json(&j, &found);
 *     evaluation_table(names, found, models);
 *     evaluation_close(&measure);
 */
#ifndef EXAMPLES_EVALUATION_H
#define EXAMPLES_EVALUATION_H

#include "classify.h"
#include "json.h"
#include "mnist.h"
#include "parzen.h"

#include "gm/ais.h"
#include "gm/evaluate.h"
#include "gm/sample_quality.h"

/* Numbers, in the order of the report. */
#define EVALUATION_NLL 0
#define EVALUATION_AIS 1       /* -log p(x) of test digits by annealing: an upper bound */
#define EVALUATION_AIS_LOWER 2 /* log p(x) of simulated digits, from below */
#define EVALUATION_AIS_UPPER 3 /* and from above */
#define EVALUATION_PARZEN 4
#define EVALUATION_KID 5
#define EVALUATION_FRECHET 6
#define EVALUATION_PRECISION 7
#define EVALUATION_RECALL 8
#define EVALUATION_NEAREST 9     /* mean distance of samples to the nearest training digit */
#define EVALUATION_USUAL 10      /* the same of test digits */
#define EVALUATION_DUPLICATES 11 /* share of samples nearer than most test digits are */
#define EVALUATION_DIVERSITY 12
#define EVALUATION_MMD 13
#define EVALUATION_NUMBERS 14

struct evaluation {
    int likelihood, parzen, features;  /* which kinds are asked for */
    int binary;                        /* likelihoods are of binarised digits */
    int64_t draws;                     /* of estimates by importance; 0: the family's number */
    int64_t ais, chains, temperatures; /* digits to anneal; 0: none */
    struct parzen windows;             /* samples, rows, seed, sigmas, quiet */

    gm_context *context; /* what follows is evaluation_open's */
    const struct mnist *data;
    struct classifier *reader; /* features; NULL: pixels */
    gm_dataset *digits;        /* test digits as likelihoods take them */
    float *test, *train;       /* features of test and training digits */
    int64_t width, test_rows, train_rows;
    double close; /* a distance to the nearest training digit that 1 test digit in 100 is within */
    gm_result nearest; /* of test digits */
};

#define EVALUATION_INIT                                                                            \
    {                                                                                              \
        .likelihood = 1, .parzen = 1, .features = 1, .binary = 1, .chains = 16,                    \
        .temperatures = 1000, .windows = PARZEN_INIT                                               \
    }

struct evaluation_result {
    int have[EVALUATION_NUMBERS];
    gm_result number[EVALUATION_NUMBERS];
};

/* Reads test and training digits, at most windows.rows and all of them; makes their features. The
 * classifier, if not NULL, is used until evaluation_close. */
gm_status evaluation_open(struct evaluation *j, gm_context *context, const struct mnist *data,
                          struct classifier *reader);
void evaluation_close(struct evaluation *j); /* also after a failure */

/* Forgets what was found. */
void evaluation_clear(struct evaluation_result *found);

/* Log-likelihoods, of families that have one; a note on stderr gives the reason when one is left
 * out. */
gm_status evaluation_likelihood(struct evaluation *j, gm_model *model,
                                struct evaluation_result *found);

/* Parzen windows, and samples against data on features. Samples have `size` values in [0, 1] each.
 */
gm_status evaluation_samples(struct evaluation *j, const float *samples, int64_t count,
                             int64_t size, struct evaluation_result *found);

/* Members "test_nll", "test_nll_error", ... of the present object. */
void evaluation_json(struct json *json, const struct evaluation_result *found);

/* A table on stderr, a column for each model. */
void evaluation_table(const char *const *names, const struct evaluation_result *found, int count);

#endif
