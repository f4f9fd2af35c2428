/* gm/evaluate.h - how good a model is, in numbers, each by a protocol that can be named.
 *
 *     gm_evaluate_nll                          -log p(x) of a dataset, exact or by the family's
 * estimate gm_ais, gm_ais_reverse, gm_ais_bracket   log p(x) of a decoder by annealing, from below
 * and from above gm_parzen, gm_parzen_fit                 windows on samples, for models that can
 * only be sampled gm_mmd_evaluate                          could samples and data be of one
 * distribution? gm_kernel_distance, gm_frechet_distance  how far samples are from data, on features
 *     gm_precision_recall                      whether samples look like data, and whether data are
 * covered gm_nearest_data                          how near samples come to rows of the training
 * set (memorisation) gm_diversity                             how different samples are from each
 * other
 *
 * No number says it all: a model can have a good likelihood and poor samples, or the other way
 * round (Theis, van den Oord and Bethge 2016). docs/evaluation.md has the definitions with their
 * papers, and how each of them fails.
 *
 * Common to all: the result is the same bits for any number of threads; random choices hang on a
 * seed given here and touch no other random stream; on_row, if not NULL, is called on the calling
 * thread after each finished group of rows with how many are done, and non-zero stops
 * (GM_E_CANCELLED). After a failure results are as before, and arrays that were to be filled hold
 * anything.
 */
#ifndef GM_EVALUATE_H
#define GM_EVALUATE_H

#include "gm/data.h"
#include "gm/generator.h"
#include "gm/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an evaluation found, and what must be told with the number so that another can be compared
 * with it. The caller sets `size` (the INIT macro does); a struct of an older caller gets its part.
 */
typedef struct gm_result {
    size_t size;
    double value; /* nats, unless the evaluation says otherwise; the mean over the rows where there
                     are rows */
    double standard_error; /* sd over the rows / sqrt(rows), sd with rows - 1; NaN where there is
                              one row or none. It tells of the choice of rows only, not of the
                              samples or of a training */
    int64_t samples;       /* how many samples of the model went into it; 0: none */
    int64_t rows;          /* how many test rows; 0: none */
    uint64_t seed;         /* of what was drawn at random; 0 where nothing was */
    const char *protocol;  /* text that lives as long as the library: "parzen", "exact", ... */
    double sigma;          /* Parzen: the deviation of the windows; 0 for other protocols */
    int64_t k; /* draws or chains a row, neighbours, subsets, as the protocol has it; else 0 */
    double sampling_error; /* of value, from the random draws of an estimate (delta method); 0 where
                              there are none, NaN where one draw tells nothing. The error of the
                              rows is standard_error */
    double acceptance;     /* AIS: share of transitions that were accepted; else 0 */
    double p_value;        /* of a test; else 0 */
} gm_result;

#define GM_RESULT_INIT                                                                             \
    {                                                                                              \
        sizeof(gm_result), 0.0, 0.0, 0, 0, 0, "", 0.0, 0, 0.0, 0.0, 0.0                            \
    }

/* --- Likelihood. */

typedef struct gm_nll_options {
    size_t size;
    int64_t batch;   /* rows at a time; default 100, at least 1 */
    int64_t limit;   /* only the first so many rows; default 0: all */
    int64_t samples; /* K, draws a row, for families whose log p is estimated from draws of latents;
                        default 0: the family's own number */
    uint64_t seed;   /* of those draws; default 1 */
    double *log_prob; /* NULL, or receives log p of each row */
    int32_t (*on_row)(void *user, int64_t done);
    void *user;
} gm_nll_options;

#define GM_NLL_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_nll_options), 100, 0, 0, 1, NULL, NULL, NULL                                     \
    }

/* The mean of -log p(x) over the rows of `dataset` (pass 0; with its labels, if the model takes
 * some), in nats, for any family with GM_VERB_LOG_PROB. protocol is "exact"; "importance": log 1/K
 * sum_k p(x, z_k) / q(z_k | x), with k = K and its sampling_error, whose mean over draws is an
 * upper bound on the true value and falls to it with K (Burda, Grosse and Salakhutdinov 2016);
 * "annealed": exact but for a given log Z, whose error is in sampling_error; or "bound": see
 * gm_model_likelihood. The model's own random stream is as before afterwards. options NULL: all
 * defaults. GM_E_INVALID: NULL, an option out of range, values that the likelihood cannot have;
 * GM_E_SHAPE: rows of another size; GM_E_STATE: labels are missing; GM_E_UNSUPPORTED: no log_prob,
 * or samples given to a family that has no such estimate; GM_E_NUMERIC: log p of a row is NaN (the
 * row is in the line); GM_E_CANCELLED; GM_E_NOMEM; what the dataset returned. */
GM_API gm_status gm_evaluate_nll(gm_result *out, gm_model *model, gm_dataset *dataset,
                                 const gm_nll_options *options);

/* Temperatures b_0 = 0 ... b_T = 1. Sigmoid: (s(4 (2 t / T - 1)) - s(-4)) / (s(4) - s(-4)) with the
 * logistic function s, whose steps are close at both ends; linear: t / T. */
#define GM_AIS_SIGMOID 0
#define GM_AIS_LINEAR 1

typedef struct gm_ais_options {
    size_t size;
    int64_t chains;       /* a row; default 16, 1 to 100000 */
    int64_t temperatures; /* T, steps from b = 0 to 1; default 1000, 1 to 1000000 */
    int32_t schedule;     /* GM_AIS_*; default sigmoid */
    int32_t leapfrog;     /* steps of a transition; default 10, 1 to 10000 */
    double step;       /* leapfrog step that tuning begins with, in units of the prior's deviation;
                          default 0.5 */
    double acceptance; /* what the step is tuned to; default 0.65, in (0, 1) */
    uint64_t seed;     /* default 1 */
    double *log_prob;  /* NULL, or receives log p of each row (gm_ais_bracket: the lower ones, then
                          the upper ones) */
    /* Called after every transition of a group of chains with how many of `total` are done;
     * non-zero stops. */
    int32_t (*on_step)(void *user, int64_t done, int64_t total);
    void *user;
} gm_ais_options;

#define GM_AIS_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_ais_options), 16, 1000, GM_AIS_SIGMOID, 10, 0.5, 0.65, 1, NULL, NULL, NULL       \
    }

/* log p(x) of rows under a generator, by annealed importance sampling (Neal 2001; for decoders: Wu,
 * Burda, Salakhutdinov and Grosse 2017). Each chain starts at z from the prior and moves through
 * f_b(z) = p(z) p(x | z)^b from b = 0 to 1 by Hamiltonian transitions (leapfrog steps, then accept
 * or reject); its weight is prod_t p(x | z_t)^(b_t+1 - b_t), whose mean is p(x). The value is the
 * mean over the rows of log 1/chains sum w: a lower bound on log p(x) in expectation, and tight
 * when temperatures are many.
 *
 * The generator has a normal prior and a Bernoulli, Gaussian or categorical head; a VAE's is
 * gm_vae_decoder. A conditional one takes the labels of gm_model_set_labels. The step is tuned for
 * each row and temperature in a pilot run with at most 4 chains of its own, so that those that
 * count have fixed transitions; each transition varies it by up to a fifth, against orbits that
 * close. Time: rows x chains x temperatures x leapfrog gradients of the network. Memory: chains are
 * run at most 512 at a time; and 8 bytes for each row of such a group and temperature.
 *
 * rows [count, row size], borrowed for the call. out: k is chains; acceptance. options NULL: all
 * defaults. GM_E_INVALID: NULL, count < 1, an option out of range, a value that is not finite or
 * that the head cannot have; GM_E_UNSUPPORTED: a direct head, a uniform prior; GM_E_STATE,
 * GM_E_SHAPE: labels; GM_E_NUMERIC: log p(x | z) of a chain's first z is not finite;
 * GM_E_CANCELLED; GM_E_NOMEM. */
GM_API gm_status gm_ais(gm_result *out, gm_generator *generator, const float *rows, int64_t count,
                        const gm_ais_options *options);

/* The same backwards, from b = 1 to 0: an upper bound on log p(x) in expectation, -log 1/chains sum
 * 1/w. codes [count, latent] must be exact draws of p(z | x), one for each row, from which all its
 * chains start; that is to be had for simulated data: draw z, then x given z (bidirectional Monte
 * Carlo: Grosse, Ghahramani and Adams 2015). With other codes the bound does not hold. protocol
 * "ais-reverse". */
GM_API gm_status gm_ais_reverse(gm_result *out, gm_generator *generator, const float *rows,
                                const float *codes, int64_t count, const gm_ais_options *options);

/* How far can gm_ais be trusted with this generator and these options? Draws `count` pairs of z and
 * x from the model, and brackets their log p(x): lower gets gm_ais, upper gm_ais_reverse of the
 * same rows. A small gap says that both are near the truth on data like the model's own. The draws
 * come from options.seed. */
GM_API gm_status gm_ais_bracket(gm_result *lower, gm_result *upper, gm_generator *generator,
                                int64_t count, const gm_ais_options *options);

/* --- Parzen windows: a likelihood estimate for models that can only be sampled (GAN, GMMN).
 * Breuleux, Bengio and Vincent 2011; as used by Goodfellow et al. 2014 for the table that later
 * papers compare with. A Gaussian of deviation sigma is laid on each of n samples s_i of the model,
 * and rows x of d values are scored under that mixture:
 *
 *     log p(x) = log sum_i exp(-|x - s_i|^2 / (2 sigma^2)) - log n - d log(sigma sqrt(2 pi))
 *
 * sigma is chosen on validation rows, never on the test rows. The number compares models only under
 * the same protocol: the same n, the same scale of the data (for images usually [0, 1]), the same
 * way to choose sigma. In many dimensions it is a poor estimate and can rank models wrongly (Theis,
 * van den Oord and Bethge 2016). */

/* Scores rows [row_count, row_size] under Gaussians of deviation sigma on samples [sample_count,
 * row_size]. Both arrays are in row-major order and borrowed for the call; sigma is in the unit of
 * the data. log_prob, if not NULL, receives log p of each row, row_count doubles.
 *
 * Distances come from matrix products in single precision, of data centred on the mean of the
 * samples; the distance to the nearest sample of each tile, and all sums over tiles, are in double.
 * log p of a row at distance r from that mean is off by about 1e-7 (r / sigma)^2 at most, and exact
 * to double where one sample is all that counts. The result is the same bits for any number of
 * threads. 10 000 samples and 10 000 rows of 784 take a few seconds. Memory: tiles, of a size that
 * depends on row_size alone.
 * on_row, if not NULL, is called on the calling thread after each finished group of rows with how
 * many rows are done; non-zero stops.
 *
 * GM_E_INVALID: NULL (but log_prob, on_row, user), a count or row_size < 1, more values than can be
 * addressed, sigma not from 1e-18 to 1e18, a value that is not finite (array, row and column are in
 * the line), out->size unknown; GM_E_NUMERIC: a row or sample is further than 1e18 from the mean of
 * the samples; GM_E_CANCELLED; GM_E_NOMEM. After a failure *out is as before, and log_prob holds
 * anything. */
GM_API gm_status gm_parzen(gm_result *out, gm_context *context, int64_t row_size,
                           const float *samples, int64_t sample_count, const float *rows,
                           int64_t row_count, double sigma, double *log_prob,
                           int32_t (*on_row)(void *user, int64_t done), void *user);

/* How many deviations the default list has: 10^(-1 + i/9), i = 0 .. 9, that is 0.1, 0.129, ... 1;
 * the list of Goodfellow et al. 2014. Li, Swersky and Zemel 2015 (GMMN) take 0.10, 0.11, ... 0.29.
 */
#define GM_PARZEN_SIGMAS 10

typedef struct gm_parzen_options {
    size_t size;
    const double *sigmas;     /* candidates, borrowed for the call; NULL: the default list */
    int64_t sigma_count;      /* of sigmas, 1 to 10000; 0 with NULL */
    double *validation_means; /* NULL, or receives the mean log p of the validation rows for each
                                 candidate. The best at either end of the list says that the list is
                                 too short */
    int32_t (*on_row)(void *user,
                      int64_t done); /* as in gm_parzen; counts validation rows, then test rows */
    void *user;
} gm_parzen_options;

#define GM_PARZEN_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(gm_parzen_options), NULL, 0, NULL, NULL, NULL                                       \
    }

/* The whole protocol: takes the candidate with the highest mean log p over the validation rows (the
 * first of equals), and scores the test rows with it: out->sigma, and the rest about the test rows.
 * All distances are computed once for all candidates. Arrays as in gm_parzen, each [its count,
 * row_size]. options NULL: all defaults. Statuses as gm_parzen; GM_E_INVALID also: sigmas and
 * sigma_count do not fit each other, a candidate out of range (which one is in the line). After a
 * failure *out is as before, and validation_means holds anything. */
GM_API gm_status gm_parzen_fit(gm_result *out, gm_context *context, int64_t row_size,
                               const float *samples, int64_t sample_count, const float *validation,
                               int64_t validation_count, const float *test, int64_t test_count,
                               const gm_parzen_options *options);

/* --- Samples against data, on features. Features are what the host makes of images: the last but
 * one layer of a classifier, or pixels where there is none. Numbers compare only on the same
 * features. */

/* Rows of features, [rows, width] in row-major order, borrowed for the call; plain data that never
 * grows. What the functions below share: GM_E_INVALID: NULL, no rows, width < 1, more values than
 * can be addressed, a value that is not finite (array, row and column are in the line), an option
 * out of range; GM_E_SHAPE: two widths; GM_E_NUMERIC: a row is further than 1e18 from the mean;
 * GM_E_NOMEM. In results samples and rows are those of the two arguments. */
typedef struct gm_features {
    const float *values;
    int64_t rows;
    int64_t width;
} gm_features;

typedef struct gm_mmd_options {
    size_t size;
    double bandwidth;     /* of the Gaussian kernel; default 0: the median distance */
    int64_t limit;        /* only the first so many rows of each set; default 1000; 0: all */
    int64_t permutations; /* default 999, 1 to 10^7 */
    uint64_t seed;        /* of the permutations, and of the rows for a median; default 1 */
} gm_mmd_options;

#define GM_MMD_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_mmd_options), 0.0, 1000, 999, 1                                                  \
    }

/* The two-sample test of gm/mmd.h (Gretton et al. 2012) of samples against held-out data: unbiased
 * MMD^2 with one Gaussian kernel, and the p-value of the hypothesis that both are of one
 * distribution. p_value; sigma is the bandwidth, k the permutations; standard_error is the
 * deviation of MMD^2 under the hypothesis. protocol "mmd-test". For other kernels take
 * gm_two_sample_test itself. GM_E_INVALID also: limit negative, bandwidth negative or NaN, no
 * median (all or most distances are zero), too many permutations; GM_E_SHAPE also: fewer than two
 * rows. */
GM_API gm_status gm_mmd_evaluate(gm_result *out, gm_context *context, const gm_features *samples,
                                 const gm_features *data, const gm_mmd_options *options);

typedef struct gm_kernel_distance_options {
    size_t size;
    int64_t subsets; /* default 100, at least 1 */
    int64_t subset;  /* rows of each set in a subset; default 1000, at least 2 */
    uint64_t seed;   /* of the subsets; default 1 */
    int32_t (*on_subset)(void *user, int64_t done); /* as on_row */
    void *user;
} gm_kernel_distance_options;

#define GM_KERNEL_DISTANCE_OPTIONS_INIT                                                            \
    {                                                                                              \
        sizeof(gm_kernel_distance_options), 100, 1000, 1, NULL, NULL                               \
    }

/* KID (Binkowski, Sutherland, Arbel and Gretton 2018): unbiased MMD^2 with the kernel (a . b /
 * width + 1)^3, the mean over subsets that are drawn without replacement from each set. May be
 * negative. standard_error: sd over subsets / sqrt(subsets); subsets share rows, so it is too small
 * when they are a large part of the set. protocol "kid", k the subsets. Products are in single
 * precision, all else in double. Memory: 2 subset x width floats and a tile. GM_E_INVALID also:
 * subset larger than either set. */
GM_API gm_status gm_kernel_distance(gm_result *out, gm_context *context, const gm_features *samples,
                                    const gm_features *data,
                                    const gm_kernel_distance_options *options);

/* FID (Heusel et al. 2017): |m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)) of means and covariances (n
 * - 1), all in double: the squared 2-Wasserstein distance of two Gaussians (Dowson and Landau
 * 1982). protocol "frechet"; standard_error is NaN: the estimate's bias, which falls as 1/n, is
 * larger than its spread. Compare at equal n only. ridge, 0 or more, is added to the diagonals of
 * both covariances. 0 is fine for singular ones too, since nothing is inverted: with S1 = L L^T, Tr
 * (S1 S2)^(1/2) is the sum of the roots of the eigenvalues of L^T S2 L. A covariance of no more
 * rows than columns is always singular, and the distance then far too large: the context's log gets
 * a warning. Memory: 3 width^2 doubles; time: rows width^2 + 6 width^3, on one thread. GM_E_INVALID
 * also: fewer than two rows, ridge negative or not finite. */
GM_API gm_status gm_frechet_distance(gm_result *out, gm_context *context,
                                     const gm_features *samples, const gm_features *data,
                                     double ridge);

typedef struct gm_precision_recall_options {
    size_t size;
    int64_t k; /* neighbours; default 3, from 1 to the rows of either set less one */
    int32_t (*on_row)(void *user, int64_t done);
    void *user;
} gm_precision_recall_options;

#define GM_PRECISION_RECALL_OPTIONS_INIT                                                           \
    {                                                                                              \
        sizeof(gm_precision_recall_options), 3, NULL, NULL                                         \
    }

/* Improved precision and recall (Kynkaanniemi et al. 2019). Each row of a set has a ball that
 * reaches to its k-th nearest other row of that set. precision: the share of samples that lie in
 * the ball of a data row; recall: the share of data rows that lie in the ball of a sample.
 * standard_error: sqrt(p (1 - p) / (n - 1)) of the rows that were asked. Protocols "precision",
 * "recall". Either may be NULL. Memory: tiles and about 9 bytes a row; time: three products of all
 * rows by all rows. GM_E_INVALID also: k too large, both NULL. */
GM_API gm_status gm_precision_recall(gm_result *precision, gm_result *recall, gm_context *context,
                                     const gm_features *samples, const gm_features *data,
                                     const gm_precision_recall_options *options);

typedef struct gm_nearest_options {
    size_t size;
    double threshold; /* a sample at this distance of a data row, or nearer, is a duplicate; default
                         0: equal rows only */
    double *distance; /* NULL, or receives each sample's distance to its nearest data row */
    int64_t *index;   /* NULL, or receives which row that is (of equally near ones, one) */
    int32_t (*on_row)(void *user, int64_t done);
    void *user;
} gm_nearest_options;

#define GM_NEAREST_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_nearest_options), 0.0, NULL, NULL, NULL, NULL                                    \
    }

/* For each sample the nearest data row, by Euclidean distance: with the training set as data this
 * shows memorisation, which no other number here does. distance: the mean distance (protocol
 * "nearest"); duplicates: the share of samples within the threshold ("duplicates", k how many). The
 * same of held-out data against the training set tells what is usual. Either may be NULL. Which row
 * is nearest is found by products in single precision; its distance is computed in double.
 * GM_E_INVALID also: threshold negative or NaN, both NULL. */
GM_API gm_status gm_nearest_data(gm_result *distance, gm_result *duplicates, gm_context *context,
                                 const gm_features *samples, const gm_features *data,
                                 const gm_nearest_options *options);

/* The mean distance between two samples over the mean distance between two data rows: 1 is as
 * diverse as the data, 0 is a collapse to one point. standard_error: of the ratio, from those of
 * the two U-statistics (2 sd of the rows' means / sqrt(n); Hoeffding 1948), by the delta method.
 * protocol "diversity". on_row counts the rows of both sets. GM_E_INVALID also: fewer than two
 * rows, all data rows are equal. */
GM_API gm_status gm_diversity(gm_result *out, gm_context *context, const gm_features *samples,
                              const gm_features *data, int32_t (*on_row)(void *user, int64_t done),
                              void *user);

#ifdef __cplusplus
}
#endif

#endif
