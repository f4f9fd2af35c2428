/* mean.c - a mean and its standard error. */
#include "mean.h"

#include <math.h>

void mean_add(struct mean *m, double value)
{
    const double off = value - m->value;
    m->count++;
    m->value += off / (double)m->count;
    m->squares += off * (value - m->value);
}

double mean_error(const struct mean *m)
{
    const double n = (double)m->count;
    return m->count > 1 ? sqrt(m->squares / (n - 1) / n) : NAN;
}
