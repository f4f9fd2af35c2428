/* ranks.c - sorted values, and which of them count as equal. */
#include "evaluate/ranks.h"

#include <math.h>

#include "gm/anomaly.h"

size_t gm_ranks_bytes(int64_t count)
{
    return (size_t)count * sizeof(double);
}

/* --- Sorting in place without memory: heapsort (Williams 1964). */

static void sift(double *v, int64_t root, int64_t count)
{
    const double value = v[root];
    for (int64_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && v[child + 1] > v[child]) child++;
        if (v[child] <= value) break;
        v[root] = v[child];
    }
    v[root] = value;
}

void gm_ranks_sort(double *v, int64_t count)
{
    for (int64_t i = count / 2; i-- > 0;) sift(v, i, count);
    for (int64_t last = count - 1; last > 0; last--) {
        const double largest = v[0];
        v[0] = v[last];
        v[last] = largest;
        sift(v, 0, last);
    }
}

double gm_ranks_tolerance(double x, double least)
{
    return isfinite(x) ? GM_ANOMALY_ROUNDING * fmax(fabs(x), least) : 0;
}

/* How many of the sorted values are below x, or (with_equal) not above it. */
static int64_t rank_of(const double *v, int64_t count, double x, int with_equal)
{
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (v[middle] < x || (with_equal && v[middle] == x))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double gm_ranks_part_below(const double *v, int64_t count, double x, double tolerance)
{
    const double below = (double)rank_of(v, count, x - tolerance, 0);
    const double not_above = (double)rank_of(v, count, x + tolerance, 1);
    return (below + not_above) / 2 / (double)count;
}
