/* gm/anomaly.h - how unusual is a row? Log-likelihoods of a model, calibrated on rows known to be
 * usual.
 *
 *     gm_anomaly *anomaly = NULL;
 *     gm_anomaly_create(&anomaly, gm_nade_model(nade), held_out, NULL);
 *     gm_anomaly_score(anomaly, rows, count, log_prob, quantile);
 *     gm_anomaly_threshold(&alarm, anomaly, 0.01);
 *
 * It keeps the sorted log p of the held-out rows. A quantile of 0.002 means that 2 usual rows in
 * 1000 are as unlikely as this one. Flagging rows with log_prob < alarm gives a false alarm for 1
 * usual row in 100.
 *
 * A log-likelihood alone says little: its scale depends on the data. Its quantile among the
 * log-likelihoods of usual rows lies between 0 and 1 and is uniformly distributed over usual rows.
 * For that to hold, the model must not have been fitted to the calibration rows: rows of the
 * training set get larger log-likelihoods than new ones, and too many alarms follow.
 *
 * A low likelihood is evidence of an anomaly, but a high likelihood is no evidence against one:
 * models give some foreign data larger likelihoods than their own (Nalisnick, Matsukawa, Teh, Gorur
 * and Lakshminarayanan 2019; Choi, Jang and Alemi 2018), smooth or dark pictures for example.
 * GM_ANOMALY_TAIL_BOTH also counts unusually large values as unusual (a test of typicality on one
 * row; Nalisnick, Matsukawa, Teh and Lakshminarayanan 2019). docs/modules/anomaly.md shows what
 * such scores can and cannot do.
 *
 * Any model with the verb log_prob (GM_VERB_LOG_PROB) will do; where log_prob is an estimate, so is
 * the score.
 *
 * The last bits of a row's log p may depend on the rows that are scored beside it. Values of log p
 * that differ by at most GM_ANOMALY_ROUNDING of their size therefore count as equal here, so that a
 * row's score does not depend on the batch it comes in.
 *
 * Statuses that all functions share: GM_E_INVALID for a NULL argument unless it is said to be
 * optional; GM_E_NOMEM. After a failure *out is NULL if it is a handle, and as before otherwise.
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

/* a and b count as equal if |a - b| is at most this fraction of |a|, or of 1 where |a| is below 1.
 * The families differ by at most 1.5e-7 between batches, as measured on rows of 12 to 784 bits. */
#define GM_ANOMALY_ROUNDING 2e-6

/* Which values are unusual. LOW: small ones; the quantile of a value is q = (number of calibration
 * rows below it + half the number equal to it) / number of calibration rows. BOTH: large ones too;
 * the quantile is 2 min(q, 1 - q). */
#define GM_ANOMALY_TAIL_LOW 0
#define GM_ANOMALY_TAIL_BOTH 1

typedef struct gm_anomaly_options {
    size_t size;
    int64_t limit; /* use only this many rows, from the first on; default 0: all */
    int64_t batch; /* rows scored at a time; default 500, at least 1 */
    int32_t tail;  /* GM_ANOMALY_TAIL_LOW (default), GM_ANOMALY_TAIL_BOTH */
    gm_progress_callback *on_progress; /* counts rows, after each batch */
    void *user;
} gm_anomaly_options;

#define GM_ANOMALY_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_anomaly_options), 0, 500, GM_ANOMALY_TAIL_LOW, NULL, NULL                        \
    }

/* Scores the rows of `dataset` (pass 0; with its labels, if the model is conditional) and keeps
 * their log-likelihoods, 8 bytes a row, and the model (retained). The dataset is borrowed for the
 * call. Labels set by gm_model_set_labels and the model's random stream stay as they are: an
 * estimate draws from a stream of its own, the same each time. options NULL: all defaults.
 * GM_E_INVALID also: an option out of range, values outside the model's support; GM_E_SHAPE: rows
 * of another shape; GM_E_STATE: the model takes labels, and the dataset has none; GM_E_NUMERIC: a
 * log-likelihood is NaN or +infinity (the row is in the line; -infinity is fine); GM_E_UNSUPPORTED:
 * the family has no log_prob; GM_E_CANCELLED; what the dataset returned. */
GM_API gm_status gm_anomaly_create(gm_anomaly **out, gm_model *model, gm_dataset *dataset,
                                   const gm_anomaly_options *options);

GM_API void gm_anomaly_retain(gm_anomaly *anomaly);
GM_API void gm_anomaly_release(gm_anomaly *anomaly);          /* accepts NULL */
GM_API gm_model *gm_anomaly_model(const gm_anomaly *anomaly); /* borrowed; NULL for NULL */
GM_API int64_t gm_anomaly_count(const gm_anomaly *anomaly);   /* calibration rows; 0 for NULL */
GM_API int32_t gm_anomaly_tail(const gm_anomaly *anomaly);    /* GM_ANOMALY_TAIL_* */
/* The calibration rows' log-likelihoods in ascending order, gm_anomaly_count doubles; borrowed,
 * valid as long as the handle is. NULL for NULL. */
GM_API const double *gm_anomaly_sorted(const gm_anomaly *anomaly);

/* For rows [count, row size], borrowed for the call: log p of each in nats, into log_prob [count],
 * and its quantile, near 0 for unusual rows, into quantile [count]; one of the two may be NULL.
 * Labels are those of gm_model_set_labels. Estimates draw from a stream of their own: the same rows
 * have the same scores each time, and the model's random stream stays as it is. GM_E_INVALID also:
 * count < 1, both arrays NULL, values outside the model's support; GM_E_NUMERIC: a log-likelihood
 * is NaN (the row is in the line); what gm_model_log_prob returns. After a failure the contents of
 * both arrays are unspecified. */
GM_API gm_status gm_anomaly_score(gm_anomaly *anomaly, const float *rows, int64_t count,
                                  double *log_prob, double *quantile);

/* The quantile of a log-likelihood that has been computed already. NaN for NaN, or if anomaly is
 * NULL. Allocates nothing. */
GM_API double gm_anomaly_quantile(const gm_anomaly *anomaly, double log_prob);

/* The threshold *out such that at most a fraction `rate` (0 to 1) of the calibration rows has a
 * log-likelihood below it: flagging log_prob < *out gives false alarms at that rate. It is the
 * largest such value among the calibration rows' own, less GM_ANOMALY_ROUNDING of its size, so that
 * a row equal to that one up to rounding is not flagged; +infinity for rate 1. It concerns the
 * lower tail only. GM_E_INVALID also: rate outside [0, 1]. */
GM_API gm_status gm_anomaly_threshold(double *out, const gm_anomaly *anomaly, double rate);

/* Saves the calibration as a safetensors file (docs/modules/files.md), without the model, which has
 * a file of its own; and loads it again for a model of the same family and row size, which is
 * retained. Nothing in the file is trusted. GM_E_IO; GM_E_FORMAT: not such a file, or values that
 * are NaN, +infinity or not sorted; GM_E_VERSION; GM_E_SHAPE: made with a model of another family
 * or row size. */
GM_API gm_status gm_anomaly_save(gm_anomaly *anomaly, const char *path);
GM_API gm_status gm_anomaly_load(gm_anomaly **out, gm_model *model, const char *path);

/* --- How well do scores tell two sets of rows apart? Any scores will do that are lower for unusual
 * rows: log-likelihoods, or quantiles. `usual` and `unusual` have at least one value each and are
 * borrowed for the call. GM_E_INVALID also: a count < 1, a NaN (array and index are in the line).
 * Infinite values are fine. Going up from the lowest score, scores within GM_ANOMALY_ROUNDING of
 * the lowest of their group count as equal to it. Memory: a sorted copy of both arrays during the
 * call. */

/* The area under the ROC curve: the probability that a usual row scores above an unusual one, equal
 * scores counted half (Hanley and McNeil 1982; Mann and Whitney 1947, whose U over the number of
 * pairs it is). 0.5: no better than chance; 1: perfect; 0: perfectly inverted. In *out: value;
 * standard_error by DeLong, DeLong and Clarke-Pearson 1988, over the choice of both sets' rows (NaN
 * if one of them has a single row); rows, the number in both sets together; protocol "auc".
 * GM_E_INVALID also: out->size unknown. */
GM_API gm_status gm_auc(gm_result *out, gm_context *context, const double *usual,
                        int64_t usual_count, const double *unusual, int64_t unusual_count);

typedef struct gm_roc_point {
    double threshold;    /* rows that score <= threshold are flagged */
    double false_alarms; /* the fraction of the usual rows that is flagged */
    double detected;     /* the fraction of the unusual rows that is flagged */
} gm_roc_point;

/* The ROC curve: a point for each distinct score (the highest of equal ones), in ascending order,
 * after a first point (0, 0) with threshold -infinity. points must have room for usual_count +
 * unusual_count + 1; *count receives how many were written. The last point is (1, 1). The area
 * under the curve by the trapezoidal rule is gm_auc's value. */
GM_API gm_status gm_roc(int64_t *count, gm_context *context, const double *usual,
                        int64_t usual_count, const double *unusual, int64_t unusual_count,
                        gm_roc_point *points);

#ifdef __cplusplus
}
#endif

#endif
