/* gemm.c - matrix products: the rule that cuts them into tiles, and the calls to BLAS. */
#define _POSIX_C_SOURCE 200809L /* for the cblas.h of BLIS */
#include "kernels/gemm.h"

#include "kernels/blas_room.h"

#include <limits.h>
#include <stddef.h>

/* The cblas.h of BLIS brings static functions along. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <cblas.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#define ALIGN 16                   /* tile borders: whole vectors, whole cache lines */
#define LONGEST ((int64_t)1 << 20) /* rows or columns of a tile */
#define DEEPEST ((int64_t)1 << 30) /* of k in one call: CBLAS counts in int */
#define NARROWEST                                                                                  \
    176 /* columns of a tile, before rows are cut instead: narrower ones pack too often */
#define SHORTEST 128 /* rows */

typedef struct gemm_job {
    gm_product p;
    const gm_kernels *kernels;
    const gm_epilogue *epilogue;
    int64_t row_tiles, column_tiles;
} gemm_job;

/* How many tiles a product deserves. A tile of less than some million multiply-adds costs more
 * in waking a worker than it saves; more than one tile means an even number, for two threads. */
static int64_t tiles_wanted(int64_t m, int64_t n, int64_t k)
{
    double work = (double)m * (double)n * (double)k;
    if (work < 2e6) return 1;
    if (work < 16e6) return 2;
    if (work < 80e6) return 4;
    return work < 320e6 ? 8 : 16;
}

/* Columns are cut first: BLAS runs faster on many rows and few columns than the other way round. */
static void tiles_layout(gemm_job *job)
{
    int64_t wanted = tiles_wanted(job->p.m, job->p.n, job->p.k);
    int64_t rows = 1, columns = 1;
    while (columns < wanted && job->p.n / (2 * columns) >= NARROWEST) columns *= 2;
    while (rows * columns < wanted && job->p.m / (2 * rows) >= SHORTEST) rows *= 2;
    while (job->p.n / columns >= LONGEST) columns *= 2;
    while (job->p.m / rows >= LONGEST) rows *= 2;
    job->row_tiles = rows;
    job->column_tiles = columns;
}

/* Where tile i of `tiles` begins: units of ALIGN, shared out as evenly as they go. */
static int64_t border(int64_t size, int64_t tiles, int64_t i)
{
    int64_t units = (size + ALIGN - 1) / ALIGN;
    int64_t at = (units / tiles * i + units % tiles * i / tiles) * ALIGN;
    return at < size ? at : size;
}

static void scale_rows(float *c, int64_t ldc, int64_t m, int64_t n, float beta)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            c[i * ldc + j] = beta == 0.0f ? 0.0f : beta * c[i * ldc + j];
}

/* For rows that lie further apart than an int can say. */
static void product_plain(const gm_product *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < g->k; p++) {
                float a = g->ta ? g->a[p * g->lda + i] : g->a[i * g->lda + p];
                float b = g->tb ? g->b[j * g->ldb + p] : g->b[p * g->ldb + j];
                sum += (double)a * (double)b;
            }
            float *c = g->c + i * g->ldc + j;
            double old = g->beta == 0.0f ? 0.0 : (double)g->beta * (double)*c;
            *c = (float)((double)g->alpha * sum + old);
        }
    }
}

/* BLAS looks at the leading dimension even of a single row, where it means nothing. */
static int64_t leading(int64_t ld, int64_t rows, int64_t columns)
{
    return rows > 1 ? ld : columns > 1 ? columns : 1;
}

/* One call: every size fits an int. */
static void product_blas(const gm_product *g)
{
    int64_t lda = g->ta ? leading(g->lda, g->k, g->m) : leading(g->lda, g->m, g->k);
    int64_t ldb = g->tb ? leading(g->ldb, g->n, g->k) : leading(g->ldb, g->k, g->n);
    int64_t ldc = leading(g->ldc, g->m, g->n);
    if (lda > INT_MAX || ldb > INT_MAX || ldc > INT_MAX) {
        product_plain(g);
        return;
    }
    gm_blas_enter();
    cblas_sgemm(CblasRowMajor, g->ta ? CblasTrans : CblasNoTrans, g->tb ? CblasTrans : CblasNoTrans,
                (int)g->m, (int)g->n, (int)g->k, g->alpha, g->a, (int)lda, g->b, (int)ldb, g->beta,
                g->c, (int)ldc);
    gm_blas_leave();
}

/* The part of the job in rows [top, bottom) and columns [left, right). */
static void part(const gemm_job *job, int64_t top, int64_t bottom, int64_t left, int64_t right)
{
    gm_product g = job->p;
    g.m = bottom - top;
    g.n = right - left;
    if (g.m <= 0 || g.n <= 0) return;
    g.c += top * g.ldc + left;
    if (g.k <= 0 || g.alpha == 0.0f) { /* neither operand is read; not every BLAS agrees on k = 0 */
        scale_rows(g.c, g.ldc, g.m, g.n, g.beta);
        return;
    }
    g.a += g.ta ? top : top * g.lda;
    g.b += g.tb ? left * g.ldb : left;
    for (int64_t rest = job->p.k; rest > 0; rest -= DEEPEST) {
        g.k = rest < DEEPEST ? rest : DEEPEST;
        if (job->kernels->own_products)
            job->kernels->product(&g);
        else
            product_blas(&g);
        g.a += g.ta ? g.k * g.lda : g.k;
        g.b += g.tb ? g.k : g.k * g.ldb;
        g.beta = 1.0f;
    }
}

static void tile(void *arg, int64_t shard)
{
    const gemm_job *job = arg;
    int64_t row = shard / job->column_tiles, column = shard % job->column_tiles;
    int64_t top = border(job->p.m, job->row_tiles, row);
    int64_t bottom = border(job->p.m, job->row_tiles, row + 1);
    int64_t left = border(job->p.n, job->column_tiles, column);
    int64_t right = border(job->p.n, job->column_tiles, column + 1);
    part(job, top, bottom, left, right);

    const gm_epilogue *e = job->epilogue;
    if (e && bottom > top && right > left)
        job->kernels->add_bias(job->p.c + top * job->p.ldc + left, e->bias ? e->bias + left : NULL,
                               bottom - top, right - left, job->p.ldc, e->act, e->a);
}

void gm_gemm(gm_team *team, const gm_kernels *kernels, int ta, int tb, int64_t m, int64_t n,
             int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
             float beta, float *c, int64_t ldc, const gm_epilogue *epilogue)
{
    gemm_job job = { .p = { ta, tb, m, n, k, alpha, beta, a, b, c, lda, ldb, ldc },
                     .kernels = kernels,
                     .epilogue = epilogue };
    if (m <= 0 || n <= 0) return;
    tiles_layout(&job);
    gm_team_run(team, job.row_tiles * job.column_tiles, tile, &job);
}

void gm_gemm_serial(const gm_kernels *kernels, int ta, int tb, int64_t m, int64_t n, int64_t k,
                    float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                    float beta, float *c, int64_t ldc)
{
    gemm_job job = { .p = { ta, tb, m, n, k, alpha, beta, a, b, c, lda, ldb, ldc },
                     .kernels = kernels };
    for (int64_t top = 0; top < m; top += LONGEST)
        for (int64_t left = 0; left < n; left += LONGEST)
            part(&job, top, m - top < LONGEST ? m : top + LONGEST, left,
                 n - left < LONGEST ? n : left + LONGEST);
}
