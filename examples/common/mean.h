/* mean.h - a mean and its standard error, value after value (Welford 1962).
 *
 *     struct mean nll = { 0 };
 *     for (...) mean_add(&nll, -log_prob[i]);
 *     ... nll.value, mean_error(&nll) ...
 */
#ifndef EXAMPLES_MEAN_H
#define EXAMPLES_MEAN_H

#include <stdint.h>

struct mean {
    int64_t count;
    double value;   /* the mean; 0 without values */
    double squares; /* sum of squared distances from it */
};

void mean_add(struct mean *m, double value);

/* The values' standard deviation over the root of their number; NaN for less than two. */
double mean_error(const struct mean *m);

#endif
