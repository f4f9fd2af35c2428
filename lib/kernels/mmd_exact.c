/* mmd_exact.c - kernel values in double, pair by pair, for sums that are compared with each other.
 */
#include <math.h>

#include "kernels/mmd.h"

#define GRAIN 4096 /* values of rows of a shard, at least */

static double power(double base, int32_t degree)
{
    double out = 1;
    for (int32_t i = 0; i < degree; i++) out *= base;
    return out;
}

static double part_value(const gm_part *part, double a, double from)
{
    double b = (double)part->b;
    switch (part->kind) {
    case GM_PART_GAUSSIAN:
        return exp(-a * from);
    case GM_PART_LAPLACIAN:
        return exp(-a * sqrt(from));
    case GM_PART_QUADRATIC:
        return exp(-b * log1p(a * from));
    default:
        return power(a * from + b, part->degree);
    }
}

static double pair_value(const gm_mmd *e, const float *x, const float *y)
{
    double d2 = e->distances ? e->k->pair_sqdist(x, y, e->d) : 0;
    double dot = e->products ? e->k->pair_dot(x, y, e->d) : 0, total = 0;
    for (int32_t i = 0; i < e->distances + e->products; i++)
        total += (double)e->parts[i].weight *
                 part_value(&e->parts[i], e->exact[i], i < e->distances ? d2 : dot);
    return total;
}

typedef struct exact_job {
    const gm_mmd *e;
    const float *x, *y;
    int64_t m;
    double *out;
} exact_job;

static void exact_range(void *arg, int64_t begin, int64_t end)
{
    const exact_job *job = arg;
    int64_t d = job->e->d;
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < job->m; j++)
            job->out[i * job->m + j] = pair_value(job->e, job->x + i * d, job->y + j * d);
}

void gm_mmd_exact_values(const gm_mmd *e, const float *x, int64_t n, const float *y, int64_t m,
                         double *out)
{
    exact_job job = { e, x, y, m, out };
    int64_t grain = m < GRAIN ? GRAIN / m : 1;
    gm_team_range(e->team, n, grain, exact_range, &job);
}
