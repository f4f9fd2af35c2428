/* ranks.h - sorted values, and which of them count as equal. */
#ifndef GM_EVALUATE_RANKS_H
#define GM_EVALUATE_RANKS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of so many doubles. */
size_t gm_ranks_bytes(int64_t count);
/* In place, without memory. */
void gm_ranks_sort(double *values, int64_t count);
/* By how much another value may differ from this one by rounding: GM_ANOMALY_ROUNDING max(|x|,
 * least); 0 for an infinite one. */
double gm_ranks_tolerance(double x, double least);
/* The part of the sorted values below x, those that differ by at most the tolerance by half. */
double gm_ranks_part_below(const double *values, int64_t count, double x, double tolerance);

#endif
