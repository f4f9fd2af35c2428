/* judge.h - all numbers of gm/evaluate.h that apply to a model, or to samples at hand.
 *
 *     struct judge judge = JUDGE_INIT;
 *     struct judgement found;
 *     s = judge_open(&judge, r.context, &data, classifier_or_null);
 *     if (!s) s = judge_likelihood(&judge, model, &found);
 *     if (!s) s = judge_samples(&judge, samples, count, size, &found);
 *     judge_json(&j, &found);
 *     judge_table(names, found, models);
 *     judge_close(&judge);
 */
#ifndef EXAMPLES_JUDGE_H
#define EXAMPLES_JUDGE_H

#include "classify.h"
#include "json.h"
#include "mnist.h"
#include "parzen.h"

#include "gm/evaluate.h"

/* Numbers, in the order in which they are told. */
#define JUDGE_NLL 0
#define JUDGE_AIS 1       /* -log p(x) of test digits by annealing: an upper bound */
#define JUDGE_AIS_LOWER 2 /* log p(x) of simulated digits, from below */
#define JUDGE_AIS_UPPER 3 /* and from above */
#define JUDGE_PARZEN 4
#define JUDGE_KID 5
#define JUDGE_FRECHET 6
#define JUDGE_PRECISION 7
#define JUDGE_RECALL 8
#define JUDGE_NEAREST 9     /* mean distance of samples to the nearest training digit */
#define JUDGE_USUAL 10      /* the same of test digits */
#define JUDGE_DUPLICATES 11 /* share of samples nearer than most test digits are */
#define JUDGE_DIVERSITY 12
#define JUDGE_MMD 13
#define JUDGE_NUMBERS 14

struct judge {
    int likelihood, parzen, features;  /* which kinds are wanted */
    int binary;                        /* likelihoods are of binarised digits */
    int64_t draws;                     /* of estimates by importance; 0: the family's number */
    int64_t ais, chains, temperatures; /* digits to anneal; 0: none */
    struct parzen windows;             /* samples, rows, seed, sigmas, quiet */

    gm_context *context; /* what follows is judge_open's */
    const struct mnist *data;
    struct classifier *reader; /* features; NULL: pixels */
    gm_dataset *digits;        /* test digits as likelihoods want them */
    float *test, *train;       /* features of test and training digits */
    int64_t width, test_rows, train_rows;
    double close; /* a distance to the nearest training digit that 1 test digit in 100 is within */
    gm_result nearest; /* of test digits */
};

#define JUDGE_INIT                                                                                 \
    {                                                                                              \
        .likelihood = 1, .parzen = 1, .features = 1, .binary = 1, .chains = 16,                    \
        .temperatures = 1000, .windows = PARZEN_INIT                                               \
    }

struct judgement {
    int have[JUDGE_NUMBERS];
    gm_result number[JUDGE_NUMBERS];
};

/* Reads test and training digits, at most windows.rows and all of them; makes their features. The
 * classifier, if not NULL, is used until judge_close. */
gm_status judge_open(struct judge *j, gm_context *context, const struct mnist *data,
                     struct classifier *reader);
void judge_close(struct judge *j); /* also after a failure */

/* Forgets what was found. */
void judge_clear(struct judgement *found);

/* Log-likelihoods, of families that have one; a note on stderr tells why one is left out. */
gm_status judge_likelihood(struct judge *j, gm_model *model, struct judgement *found);

/* Parzen windows, and samples against data on features. Samples have `size` values in [0, 1] each.
 */
gm_status judge_samples(struct judge *j, const float *samples, int64_t count, int64_t size,
                        struct judgement *found);

/* Members "test_nll", "test_nll_error", ... of the present object. */
void judge_json(struct json *json, const struct judgement *found);

/* A table on stderr, a column for each model. */
void judge_table(const char *const *names, const struct judgement *found, int count);

#endif
