/* gm/score.h - how unusual is a row? Log-likelihoods of a model, calibrated on rows that are known
 * to be usual.
 *
 *     gm_anomaly *score = NULL;
 *     gm_anomaly_create(&score, gm_nade_model(nade), held_out, NULL);    keeps their sorted log p
 *     gm_anomaly_rows(score, rows, count, log_prob, quantile);           quantile 0.002: 2 usual
 * rows in 1000 are as unlikely gm_anomaly_threshold(score, 0.01, &alarm); log_prob < alarm: a false
 * alarm for 1 usual row in 100
 *
 * A log-likelihood alone says little: its scale hangs on the data. Its quantile among the
 * log-likelihoods of usual rows is a number between 0 and 1 that is spread evenly over usual rows.
 * For that to hold the calibration rows must be ones that the model was not fitted to; rows of the
 * training set get larger log-likelihoods than new ones, and too many alarms follow.
 *
 * A low likelihood is evidence of an anomaly, a high one is none against it: models give some
 * foreign data larger likelihoods than their own (Nalisnick, Matsukawa, Teh, Gorur and
 * Lakshminarayanan 2019; Choi, Jang and Alemi 2018), smooth or dark pictures for example.
 * GM_TAIL_BOTH also takes unusually large values for unusual (a test of typicality, on one row;
 * Nalisnick, Matsukawa, Teh and Lakshminarayanan 2019). docs/score.md shows what can and cannot be
 * had.
 *
 * Any model with the verb log_prob will do (GM_VERB_LOG_PROB); where that is an estimate, so is the
 * score.
 *
 * Statuses that all functions share: GM_E_INVALID for a NULL argument unless it is said to be
 * optional; GM_E_NOMEM. *out is NULL, or as before, after a failure.
 */
#ifndef GM_ANOMALY_H
#define GM_ANOMALY_H

#include "gm/evaluate.h"
#include "gm/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_anomaly gm_anomaly;

#define GM_TAIL_LOW                                                                                \
    0 /* a small log p is unusual: quantile q = (number below + half the number equal) / number */
#define GM_TAIL_BOTH 1 /* a large one too: quantile 2 min(q, 1 - q) */

typedef struct gm_anomaly_options {
    size_t size;
    int64_t limit; /* only the first so many rows of the dataset; default 0: all */
    int64_t batch; /* rows scored at a time; default 500, at least 1 */
    int32_t tail;  /* GM_TAIL_LOW (default), GM_TAIL_BOTH */
    /* Called on the calling thread after each batch with how many rows are done; non-zero stops. */
    int32_t (*on_row)(void *user, int64_t done);
    void *user;
} gm_anomaly_options;

#define GM_ANOMALY_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_anomaly_options), 0, 500, GM_TAIL_LOW, NULL, NULL                                \
    }

/* Scores the rows of `dataset` (pass 0; with its labels, if the model takes some) and keeps their
 * log-likelihoods, 8 bytes a row, and the model (retained). The dataset is borrowed for the call.
 * Labels that gm_model_set_labels gave stay as they are. options NULL: all defaults. GM_E_INVALID
 * also: an option out of range, values that the likelihood cannot have; GM_E_SHAPE: rows of another
 * size; GM_E_STATE: the model takes labels, and the dataset has none; GM_E_NUMERIC: a
 * log-likelihood is NaN or +infinity (the row is in the line; -infinity is fine); GM_E_UNSUPPORTED:
 * the family has no log_prob; GM_E_CANCELLED; what the dataset returned. */
GM_API gm_status gm_anomaly_create(gm_anomaly **out, gm_model *model, gm_dataset *dataset,
                                   const gm_anomaly_options *options);

GM_API void gm_anomaly_retain(gm_anomaly *score);
GM_API void gm_anomaly_release(gm_anomaly *score);          /* accepts NULL */
GM_API gm_model *gm_anomaly_model(const gm_anomaly *score); /* borrowed; NULL for NULL */
GM_API int64_t gm_anomaly_count(const gm_anomaly *score);   /* calibration rows; 0 for NULL */
GM_API int32_t gm_anomaly_tail(const gm_anomaly *score);    /* GM_TAIL_* */
/* The calibration rows' log-likelihoods, from the lowest on; borrowed, valid while the score is. */
GM_API const double *gm_anomaly_sorted(const gm_anomaly *score);

/* rows [count, row size], borrowed for the call: log p of each, in nats, and its quantile, near 0
 * for unusual rows; each array has `count` doubles, one of them may be NULL. Labels are those of
 * gm_model_set_labels. GM_E_INVALID also: count < 1, both NULL, values that the likelihood cannot
 * have; GM_E_NUMERIC: a log-likelihood is NaN (the row is in the line); what gm_model_log_prob
 * returns. After a failure the arrays hold anything. */
GM_API gm_status gm_anomaly_rows(gm_anomaly *score, const float *rows, int64_t count,
                                 double *log_prob, double *quantile);

/* The quantile of a log-likelihood that is known already. NaN for NaN, or a score that is NULL.
 * Allocates nothing. */
GM_API double gm_anomaly_quantile(const gm_anomaly *score, double log_prob);

/* The largest log-likelihood *out such that at most the part `rate` (0 to 1) of the calibration
 * rows is below it: flagging log_prob < *out gives false alarms at that rate. The lower tail alone.
 * GM_E_INVALID also: rate outside [0, 1]. */
GM_API gm_status gm_anomaly_threshold(const gm_anomaly *score, double rate, double *out);

/* The calibration as a safetensors file (docs/files.md), without the model, which has a file of its
 * own; and back, for a model of the same family and row size. Nothing in the file is trusted.
 * GM_E_IO; GM_E_FORMAT: not such a file, or values that are NaN, +infinity or not sorted;
 * GM_E_VERSION; GM_E_SHAPE: made with a model of another family or row size. */
GM_API gm_status gm_anomaly_save(gm_anomaly *score, const char *path);
GM_API gm_status gm_anomaly_load(gm_anomaly **out, gm_model *model, const char *path);

/* --- How well do scores tell two sets of rows apart? Any scores that are lower for unusual rows:
 * log-likelihoods, or quantiles. `usual` and `unusual` have at least one value each; borrowed. Also
 * GM_E_INVALID: a count < 1, a NaN (array and place are in the line). Infinite values are fine.
 * Memory: a sorted copy of both arrays, for the call. */

/* The area under the ROC curve: the probability that a usual row scores above an unusual one, equal
 * scores counted half (Hanley and McNeil 1982; Mann and Whitney 1947, whose U over the number of
 * pairs it is). 0.5: nothing is told apart; 1: all is; 0: all is, the wrong way. out: value;
 * standard_error by DeLong, DeLong and Clarke-Pearson 1988, over the choice of both sets' rows (NaN
 * if one has a single row); rows: of both sets; protocol "auc". GM_E_INVALID also: out->size
 * unknown. */
GM_API gm_status gm_auc(gm_result *out, gm_context *context, const double *usual,
                        int64_t usual_count, const double *unusual, int64_t unusual_count);

typedef struct gm_roc_point {
    double threshold;    /* rows that score <= threshold are flagged */
    double false_alarms; /* the part of the usual rows that are */
    double detected;     /* the part of the unusual rows that are */
} gm_roc_point;

/* The ROC curve: a point for each distinct score, from the lowest on, after (0, 0) with threshold
 * -infinity. points has room for usual_count + unusual_count + 1; *count receives how many there
 * are. The last is (1, 1). The area below, by trapezoids, is gm_auc's value. */
GM_API gm_status gm_roc(gm_roc_point *points, int64_t *count, gm_context *context,
                        const double *usual, int64_t usual_count, const double *unusual,
                        int64_t unusual_count);

#ifdef __cplusplus
}
#endif

#endif
