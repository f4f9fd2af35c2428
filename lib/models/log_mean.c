/* log_mean.c - the log of a mean of weights that are given as logs, as in importance sampling
 * and annealed importance sampling. */
#include <math.h>

#include "models/family.h"
#include "models/log_mean.h"

void gm_log_mean_add(gm_log_mean *s, double log_weight)
{
    if (isnan(log_weight)) s->max = s->sum = log_weight; /* and so is the mean */
    if (log_weight > s->max) {
        double shrink = exp(s->max - log_weight);
        s->sum *= shrink;
        s->squares *= shrink * shrink;
        s->max = log_weight;
    }
    if (isinf(s->max)) return; /* weights of 0 so far */
    double e = exp(log_weight - s->max);
    s->sum += e;
    s->squares += e * e;
}

double gm_log_mean_get(const gm_log_mean *s, int64_t k, double *error)
{
    double n = (double)k, mean = s->sum / n;
    double variance = fmax(0, s->squares / n - mean * mean);
    if (error) *error = mean > 0 ? sqrt(variance / n) / mean : (double)NAN;
    return s->max + log(mean);
}
