/* log_mean.h - the log of a mean of weights that are given by their logs. */
#ifndef GM_MODELS_LOG_MEAN_H
#define GM_MODELS_LOG_MEAN_H

#include <math.h>
#include <stdint.h>

/* A running log-sum-exp of log weights and of their squares, relative to the largest so far. */
typedef struct gm_log_mean {
    double max, sum, squares;
} gm_log_mean;
#define GM_LOG_MEAN_INIT                                                                           \
    {                                                                                              \
        -INFINITY, 0.0, 0.0                                                                        \
    }
void gm_log_mean_add(gm_log_mean *s, double log_weight);
/* log of the mean of k weights; its deviation by the delta method, sd(w) / (mean(w) sqrt k), unless
 * error is NULL. */
double gm_log_mean_get(const gm_log_mean *s, int64_t k, double *error);

#endif
