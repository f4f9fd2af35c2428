/* gm/evaluate.h - how good a model is, in numbers, each by a named protocol.
 *
 *   here                  -log p(x) of a dataset, exact or by the family's estimate
 *   gm/ais.h              log p(x) of a decoder by annealed importance sampling, with bounds
 *   gm/parzen.h           Parzen windows on samples, for models that can only be sampled
 *   gm/sample_quality.h   samples against data on features: two-sample test, kernel and Frechet
 *                         distance, precision and recall, nearest rows, diversity
 *   gm/two_sample.h       do two samples come from the same distribution?
 *   gm/anomaly.h          how unusual is a row?
 *
 * No single number is enough: a model can have a good likelihood and poor samples, or the other way
 * round (Theis, van den Oord and Bethge 2016). docs/modules/evaluation.md has the definitions with
 * their papers, and how each of them fails. gm/result.h describes what all evaluations share.
 */
#ifndef GM_EVALUATE_H
#define GM_EVALUATE_H

#include "gm/data.h"
#include "gm/model.h"
#include "gm/result.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_nll_options {
    size_t size;
    int64_t batch;    /* rows at a time; default 100, at least 1 */
    int64_t limit;    /* use only this many rows, from the first on; default 0: all */
    int64_t samples;  /* K, draws per row, for families whose log p is estimated from draws of
                         latents; default 0: the family's own number */
    uint64_t seed;    /* of those draws; default 1 */
    double *log_prob; /* NULL, or receives log p of each row, [rows] */
    gm_progress_callback *on_progress; /* counts rows */
    void *user;
} gm_nll_options;

#define GM_NLL_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_nll_options), 100, 0, 0, 1, NULL, NULL, NULL                                     \
    }

/* The mean of -log p(x) over the rows of `dataset` (pass 0; with its labels, if the model is
 * conditional), in nats, for any family with GM_VERB_LOG_PROB. out->protocol says how log p(x) was
 * found (see gm_model_likelihood): "exact"; "importance": log 1/K sum_k p(x, z_k) / q(z_k | x),
 * with K in k and its error in sampling_error; in expectation the value is then an upper bound on
 * the true one, and falls to it as K grows (Burda, Grosse and Salakhutdinov 2016); "annealed":
 * exact up to the error of a given log Z, which is in sampling_error; or "bound". The model's own
 * random stream is left as it was. options NULL: all defaults. GM_E_INVALID: NULL, an option out of
 * range, values outside the model's support; GM_E_SHAPE: rows of another shape; GM_E_STATE: labels
 * are missing; GM_E_UNSUPPORTED: no log_prob, or samples given to a family that has no such
 * estimate; GM_E_NUMERIC: log p of a row is NaN (the row is in the line); GM_E_CANCELLED;
 * GM_E_NOMEM; what the dataset returned. */
GM_API gm_status gm_evaluate_nll(gm_result *out, gm_model *model, gm_dataset *dataset,
                                 const gm_nll_options *options);

#ifdef __cplusplus
}
#endif

#endif
