/* mmd_linear.c - the linear-time estimator: pairs of neighbours, each looked at once. */
#include "kernels/mmd.h"

#define CHUNK 64   /* pairs of a shard */
#define SHARDS 128 /* between two additions */

typedef struct linear_job {
    const gm_mmd *e;
    const float *x, *y;
    int64_t first, pairs; /* the wave's first pair; all pairs */
    float *gx, *gy;
    double scale;
    double *out; /* the sum of each shard */
} linear_job;

/* Rows of d values, `step` apart, and where their gradient goes. */
typedef struct rows {
    const float *at;
    float *g;
} rows;

static rows row_of(const rows *r, int64_t i, int64_t d)
{
    rows at = { r->at + 2 * i * d, r->g ? r->g + 2 * i * d : NULL };
    return at;
}

/* h_i += sign k(a_i, b_i), and gradients. */
static void add_pairs(const linear_job *job, double *h, double sign, const rows *a, const rows *b,
                      int64_t count)
{
    const gm_mmd *e = job->e;
    const gm_kernels *k = e->k;
    float from[CHUNK], value[CHUNK], slope[CHUNK];
    for (int by_product = 0; by_product < 2; by_product++) {
        const gm_part *parts = e->parts + (by_product ? e->distances : 0);
        int32_t some = by_product ? e->products : e->distances;
        if (!some) continue;
        for (int64_t i = 0; i < count; i++) {
            rows p = row_of(a, i, e->d), q = row_of(b, i, e->d);
            if (by_product)
                from[i] = (float)k->dot(p.at, q.at, e->d);
            else
                k->sqdist_rows(&from[i], p.at, q.at, 1, e->d);
        }
        (void)k->pair_kernel(value, slope, from, parts, some, count);
        for (int64_t i = 0; i < count; i++) {
            rows p = row_of(a, i, e->d), q = row_of(b, i, e->d);
            float w = (float)(sign * job->scale * (double)slope[i]);
            h[i] += sign * (double)value[i];
            /* d/dp is w (p - q) by distance, w q by product. */
            if (p.g) k->axpy(p.g, by_product ? w : -w, q.at, e->d);
            if (p.g && !by_product) k->axpy(p.g, w, p.at, e->d);
            if (q.g) k->axpy(q.g, by_product ? w : -w, p.at, e->d);
            if (q.g && !by_product) k->axpy(q.g, w, q.at, e->d);
        }
    }
}

static void linear_shard(void *arg, int64_t shard)
{
    const linear_job *job = arg;
    int64_t d = job->e->d, begin = job->first + shard * CHUNK, at = 2 * begin * d;
    int64_t count = job->pairs - begin < CHUNK ? job->pairs - begin : CHUNK;
    rows x = { job->x + at, job->gx ? job->gx + at : NULL };
    rows y = { job->y + at, job->gy ? job->gy + at : NULL };
    rows x1 = { x.at + d, x.g ? x.g + d : NULL }, y1 = { y.at + d, y.g ? y.g + d : NULL };
    double h[CHUNK] = { 0 };
    double total = 0;
    add_pairs(job, h, 1, &x, &x1, count);
    add_pairs(job, h, 1, &y, &y1, count);
    add_pairs(job, h, -1, &x, &y1, count);
    add_pairs(job, h, -1, &x1, &y, count);
    for (int64_t i = 0; i < count; i++) total += h[i];
    job->out[shard] = total;
}

double gm_mmd_linear(const gm_mmd *e, const float *x, const float *y, int64_t pairs, float *gx,
                     float *gy)
{
    double part[SHARDS], total = 0;
    linear_job job = { e, x, y, 0, pairs, gx, gy, 1 / (double)pairs, part };
    for (; job.first < pairs; job.first += SHARDS * CHUNK) {
        int64_t shards = (pairs - job.first + CHUNK - 1) / CHUNK;
        if (shards > SHARDS) shards = SHARDS;
        gm_team_run(e->team, shards, linear_shard, &job);
        for (int64_t i = 0; i < shards; i++) total += part[i];
    }
    return total / (double)pairs;
}
