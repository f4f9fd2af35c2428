/* gm/anomaly.h - how unusual is a row? Log-likelihoods of a model, calibrated on rows known to be
 * usual.
 *
 *     gm_anomaly *anomaly = NULL;
 *     gm_anomaly_create(&anomaly, gm_nade_model(nade), held_out, NULL);
 *     gm_anomaly_score(anomaly, rows, count, log_prob, quantile);
 *     gm_anomaly_threshold(&alarm, anomaly, 0.01);
 *
 * It keeps the sorted log p of the held-out rows. A quantile of 0.002: 2 usual rows in 1000 are as
 * unlikely. log_prob < alarm: a false alarm for 1 usual row in 100.
 *
 * A log-likelihood alone says little: its scale depends on the data. Its quantile among the
 * log-likelihoods of usual rows is a number between 0 and 1 that is spread evenly over usual rows.
 * For that to hold the calibration rows must be ones that the model was not fitted to; rows of the
 * training set get larger log-likelihoods than new ones, and too many alarms follow.
 *
 * A low likelihood is evidence of an anomaly, a high one is none against it: models give some
 * foreign data larger likelihoods than their own (Nalisnick, Matsukawa, Teh, Gorur and
 * Lakshminarayanan 2019; Choi, Jang and Alemi 2018), smooth or dark pictures for example.
 * GM_ANOMALY_TAIL_BOTH also takes unusually large values for unusual (a test of typicality, on one
 * row; Nalisnick, Matsukawa, Teh and Lakshminarayanan 2019). docs/modules/anomaly.md shows what can
 * and cannot be had.
 *
 * Any model with the verb log_prob will do (GM_VERB_LOG_PROB); where that is an estimate, so is the
 * score.
 *
 * The last bits of a row's log p may depend on the rows that are scored beside it. So log p that
 * differ by at most GM_ANOMALY_ROUNDING of their size are equal here: the commonest row of all is
 * never more unusual than itself, whichever batch it comes in.
 *
 * Statuses that all functions share: GM_E_INVALID for a NULL argument unless it is said to be
 * optional; GM_E_NOMEM. *out is NULL, or as before, after a failure.
 */
#ifndef GM_ANOMALY_H
#define GM_ANOMALY_H

#include "gm/data.h"
#include "gm/model.h"
#include "gm/result.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_anomaly gm_anomaly;

/* a and b count as equal if |a - b| is at most this part of |a|; of 1 where a log p is
 * nearer 0. The families differ by at most 1.5e-7 between batches, as measured on rows of 12 to 784
 * bits. */
#define GM_ANOMALY_ROUNDING 2e-6

#define GM_ANOMALY_TAIL_LOW                                                                        \
    0 /* a small log p is unusual: quantile q = (number below + half the number equal) / number */
#define GM_ANOMALY_TAIL_BOTH 1 /* a large one too: quantile 2 min(q, 1 - q) */

typedef struct gm_anomaly_options {
    size_t size;
    int64_t limit; /* only the first so many rows of the dataset; default 0: all */
    int64_t batch; /* rows scored at a time; default 500, at least 1 */
    int32_t tail;  /* GM_ANOMALY_TAIL_LOW (default), GM_ANOMALY_TAIL_BOTH */
    gm_progress_callback *on_progress; /* counts rows, after each batch */
    void *user;
} gm_anomaly_options;

#define GM_ANOMALY_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_anomaly_options), 0, 500, GM_ANOMALY_TAIL_LOW, NULL, NULL                        \
    }

/* Scores the rows of `dataset` (pass 0; with its labels, if the model takes some) and keeps their
 * log-likelihoods, 8 bytes a row, and the model (retained). The dataset is borrowed for the call.
 * Labels that gm_model_set_labels gave, and the model's random stream, stay as they are: an
 * estimate draws from a stream of its own, the same each time. options NULL: all defaults.
 * GM_E_INVALID also: an option out of range, values that the likelihood cannot have; GM_E_SHAPE:
 * rows of another shape; GM_E_STATE: the model takes labels, and the dataset has none;
 * GM_E_NUMERIC: a log-likelihood is NaN or +infinity (the row is in the line; -infinity is fine);
 * GM_E_UNSUPPORTED: the family has no log_prob; GM_E_CANCELLED; what the dataset returned. */
GM_API gm_status gm_anomaly_create(gm_anomaly **out, gm_model *model, gm_dataset *dataset,
                                   const gm_anomaly_options *options);

GM_API void gm_anomaly_retain(gm_anomaly *anomaly);
GM_API void gm_anomaly_release(gm_anomaly *anomaly);          /* accepts NULL */
GM_API gm_model *gm_anomaly_model(const gm_anomaly *anomaly); /* borrowed; NULL for NULL */
GM_API int64_t gm_anomaly_count(const gm_anomaly *anomaly);   /* calibration rows; 0 for NULL */
GM_API int32_t gm_anomaly_tail(const gm_anomaly *anomaly);    /* GM_ANOMALY_TAIL_* */
/* The calibration rows' log-likelihoods, from the lowest on; borrowed, valid while the anomaly is.
 */
GM_API const double *gm_anomaly_sorted(const gm_anomaly *anomaly);

/* rows [count, row size], borrowed for the call: log p of each, in nats, and its quantile, near 0
 * for unusual rows; each array has `count` doubles, one of them may be NULL. Labels are those of
 * gm_model_set_labels. Estimates draw from a stream of their own: the same rows have the same
 * scores each time, and the model's random stream stays as it is. GM_E_INVALID also: count < 1,
 * both NULL, values that the likelihood cannot have; GM_E_NUMERIC: a log-likelihood is NaN (the row
 * is in the line); what gm_model_log_prob returns. After a failure the arrays hold anything. */
GM_API gm_status gm_anomaly_score(gm_anomaly *anomaly, const float *rows, int64_t count,
                                  double *log_prob, double *quantile);

/* The quantile of a log-likelihood that is known already. NaN for NaN, or an anomaly that is NULL.
 * Allocates nothing. */
GM_API double gm_anomaly_quantile(const gm_anomaly *anomaly, double log_prob);

/* The log-likelihood *out such that at most the part `rate` (0 to 1) of the calibration rows is
 * below it: flagging log_prob < *out gives false alarms at that rate. It lies below one of the
 * calibration rows', the largest possible, by GM_ANOMALY_ROUNDING, so that a row equal to that one
 * but for rounding is not flagged; +infinity for rate 1. The lower tail alone. GM_E_INVALID also:
 * rate outside [0, 1]. */
GM_API gm_status gm_anomaly_threshold(double *out, const gm_anomaly *anomaly, double rate);

/* The calibration as a safetensors file (docs/modules/files.md), without the model, which has a
 * file of its own; and back, for a model of the same family and row size. Nothing in the file is
 * trusted. GM_E_IO; GM_E_FORMAT: not such a file, or values that are NaN, +infinity or not sorted;
 * GM_E_VERSION; GM_E_SHAPE: made with a model of another family or row size. */
GM_API gm_status gm_anomaly_save(gm_anomaly *anomaly, const char *path);
GM_API gm_status gm_anomaly_load(gm_anomaly **out, gm_model *model, const char *path);

/* --- How well do scores tell two sets of rows apart? Any scores that are lower for unusual rows:
 * log-likelihoods, or quantiles. `usual` and `unusual` have at least one value each; borrowed. Also
 * GM_E_INVALID: a count < 1, a NaN (array and place are in the line). Infinite values are fine.
 * Scores that lie above the lowest of them by at most GM_ANOMALY_ROUNDING of its size are equal to
 * it. Memory: a sorted copy of both arrays, for the call. */

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

/* The ROC curve: a point for each distinct score (the highest of equal ones), from the lowest on,
 * after (0, 0) with threshold -infinity. points has room for usual_count + unusual_count + 1;
 * *count receives how many there are. The last is (1, 1). The area below, by trapezoids, is
 * gm_auc's value. */
GM_API gm_status gm_roc(int64_t *count, gm_context *context, const double *usual,
                        int64_t usual_count, const double *unusual, int64_t unusual_count,
                        gm_roc_point *points);

#ifdef __cplusplus
}
#endif

#endif
