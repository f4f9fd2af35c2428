/* mmd.c - sums of kernel values over all pairs, in tiles, and their gradients (mmd.h). */
#include "kernels/mmd.h"

#include <string.h>

#define TILE 1024                      /* rows of a tile, at most */
#define TILE_VALUES ((int64_t)1 << 22) /* of a tile's rows, unless one row has more */
#define BLOCK GM_PAIR_RUN              /* rows and columns of a shard */
#define BLOCKS ((TILE / BLOCK) * (TILE / BLOCK))
#define GRAIN 16384 /* values of a shard that only moves them */
#define BAND 128    /* columns of a shard of column sums */
/* Below this part of |a|^2 + |b|^2 a squared distance has lost six of its bits to cancellation. */
#define NEAR 0.015625f

/* Where things lie in the workspace. */
typedef struct bench {
    int64_t tile;                 /* rows of a tile */
    double *sums;                 /* of each block */
    float *a, *b;                 /* rows of a tile, centred */
    float *w;                     /* [tile, tile]: products, then slopes */
    float *of_a, *of_b, *columns; /* squared norms; column sums */
    float *centre;
} bench;

static int64_t tile_rows(int64_t d)
{
    int64_t rows = TILE_VALUES / d;
    return rows < 1 ? 1 : rows < TILE ? rows : TILE;
}

static int64_t whole_lines(int64_t floats)
{
    return (floats + 15) / 16 * 16;
}

size_t gm_mmd_work_size(int64_t d)
{
    int64_t t = tile_rows(d);
    int64_t floats =
        2 * whole_lines(t * d) + whole_lines(t * t) + 3 * whole_lines(t) + whole_lines(d);
    return BLOCKS * sizeof(double) + (size_t)floats * sizeof(float);
}

static bench bench_of(const gm_mmd *e)
{
    bench s;
    int64_t t = s.tile = tile_rows(e->d);
    s.sums = e->work;
    s.a = (float *)(s.sums + BLOCKS);
    s.b = s.a + whole_lines(t * e->d);
    s.w = s.b + whole_lines(t * e->d);
    s.of_a = s.w + whole_lines(t * t);
    s.of_b = s.of_a + whole_lines(t);
    s.columns = s.of_b + whole_lines(t);
    s.centre = s.columns + whole_lines(t);
    return s;
}

static int64_t grain_rows(int64_t d)
{
    return d < GRAIN ? GRAIN / d : 1;
}

/* One class of parts: those by distance, or those by product. */
typedef struct pass {
    const gm_mmd *e;
    bench s;
    const gm_part *parts;
    int32_t count;
    int by_product;
    /* The tile: a [rows, d] against b [cols, d]. */
    const float *a, *b, *of_b;
    int64_t rows, cols;
    int same;     /* b is a */
    int diagonal; /* of the same: pairs i = i count */
    int slopes;   /* w is to hold them */
    float *out;   /* NULL, or where values go */
    int64_t out_ld;
    int add;                      /* to out */
    const float *held_a, *held_b; /* whose centred rows s.a and s.b hold now */
    const float *from_b;          /* the rows of b as they were given */
} pass;

typedef struct centre_job {
    const pass *p;
    const float *x, *y;
    int64_t n, m;
} centre_job;

static void centre_range(void *arg, int64_t begin, int64_t end)
{
    const centre_job *job = arg;
    const gm_mmd *e = job->p->e;
    float *c = job->p->s.centre + begin;
    float scale = (float)(1.0 / ((double)job->n + (double)job->m));
    e->k->column_sums(c, job->x + begin, job->n, end - begin, e->d, 0);
    e->k->column_sums(c, job->y + begin, job->m, end - begin, e->d, 1);
    e->k->unary(GM_UNARY_SCALE, c, c, scale, 0, end - begin);
}

/* Distances do not depend on the centre; what is lost in computing them does. */
static void find_centre(const pass *p, const float *x, int64_t n, const float *y, int64_t m)
{
    centre_job job = { p, x, y, n, m };
    gm_team_range(p->e->team, p->e->d, BAND, centre_range, &job);
}

typedef struct load_job {
    const pass *p;
    const float *from;
    float *to, *norms;
} load_job;

static void load_range(void *arg, int64_t begin, int64_t end)
{
    const load_job *job = arg;
    const gm_mmd *e = job->p->e;
    for (int64_t i = begin; i < end; i++) {
        float *row = job->to + i * e->d;
        e->k->binary(GM_BINARY_SUB, row, job->from + i * e->d, 1, job->p->s.centre, 1, e->d);
        job->norms[i] = (float)e->k->sum_squares(row, e->d);
    }
}

static void load(pass *p, const float *from, int64_t count, int second)
{
    bench *s = &p->s;
    const float **held = second ? &p->held_b : &p->held_a;
    load_job job = { p, from, second ? s->b : s->a, second ? s->of_b : s->of_a };
    if (!p->by_product && *held != from)
        gm_team_range(p->e->team, count, grain_rows(p->e->d), load_range, &job);
    *held = from;
    p->from_b = from;
    if (second) {
        p->b = p->by_product ? from : s->b;
        p->of_b = s->of_b;
        p->cols = count;
        p->same = 0;
    } else {
        p->a = p->b = p->by_product ? from : s->a;
        p->of_b = s->of_a;
        p->rows = p->cols = count;
        p->same = 1;
    }
}

/* Squared distances of row i to columns from .. from + n - 1, out of the products. What is near is
 * measured on the rows as they were given: centring has rounded it. */
static void distances(const pass *p, float *d2, const float *products, int64_t i, int64_t from,
                      int64_t n)
{
    const gm_mmd *e = p->e;
    float own = p->s.of_a[i];
    if (!e->k->pair_distances(d2, products, own, p->of_b + from, NEAR, n)) return;
    for (int64_t j = 0; j < n; j++)
        if (d2[j] < NEAR * (own + p->of_b[from + j]))
            e->k->sqdist_rows(&d2[j], p->held_a + i * e->d, p->from_b + (from + j) * e->d, 1, e->d);
}

/* A row's products become slopes, or nothing; its values may go to out. Returns their sum. */
static double evaluate_row(const pass *p, int64_t i, int64_t from, int64_t n)
{
    float d2[BLOCK], value[BLOCK], slope[BLOCK];
    float *row = p->s.w + i * p->s.tile + from;
    if (!p->by_product) distances(p, d2, row, i, from, n);
    double total =
        p->e->k->pair_kernel(value, slope, p->by_product ? row : d2, p->parts, p->count, n);
    if (p->slopes) p->e->k->accumulate(row, slope, n, 0);
    if (p->out) p->e->k->accumulate(p->out + i * p->out_ld + from, value, n, p->add);
    return total;
}

/* Pairs of a row with itself, rows top .. top + n - 1; their products are in w still. */
static double evaluate_diagonal(const pass *p, int64_t top, int64_t n)
{
    float from[BLOCK] = { 0 }, value[BLOCK], slope[BLOCK];
    float *w = p->s.w + top * p->s.tile + top;
    int64_t step = p->s.tile + 1;
    for (int64_t i = 0; i < n; i++) from[i] = p->by_product ? w[i * step] : 0;
    double total = p->e->k->pair_kernel(value, slope, from, p->parts, p->count, n);
    if (p->slopes)
        for (int64_t i = 0; i < n; i++) w[i * step] = p->by_product && p->diagonal ? slope[i] : 0;
    return p->diagonal ? total : 0;
}

/* The other half of the slopes of a sample with itself. */
static void mirror(const pass *p, int64_t top, int64_t rows, int64_t left, int64_t cols)
{
    int64_t ld = p->s.tile;
    float *from = p->s.w + top * ld + left, *to = p->s.w + left * ld + top;
    if (top != left) {
        p->e->k->transpose(to, ld, from, ld, rows, cols, 0);
        return;
    }
    for (int64_t i = 1; i < rows; i++)
        for (int64_t j = 0; j < i; j++) to[i * ld + j] = from[j * ld + i];
}

static int64_t blocks_of(int64_t rows)
{
    return (rows + BLOCK - 1) / BLOCK;
}

static void block_shard(void *arg, int64_t shard)
{
    const pass *p = arg;
    int64_t across = blocks_of(p->cols), d = p->e->d, ld = p->s.tile;
    int64_t top = shard / across * BLOCK, left = shard % across * BLOCK;
    int64_t rows = p->rows - top < BLOCK ? p->rows - top : BLOCK;
    int64_t cols = p->cols - left < BLOCK ? p->cols - left : BLOCK;
    int middle = p->same && top == left;
    double total = 0;
    p->s.sums[shard] = 0;
    if (p->same && left < top) return;
    gm_gemm_serial(p->e->k, 0, 1, rows, cols, d, 1, p->a + top * d, d, p->b + left * d, d, 0,
                   p->s.w + top * ld + left, ld);
    for (int64_t i = 0; i < rows; i++) {
        int64_t skip = middle ? i + 1 : 0;
        total += evaluate_row(p, top + i, left + skip, cols - skip);
    }
    if (p->same) total *= 2;
    if (middle) total += evaluate_diagonal(p, top, rows);
    if (p->same && p->slopes) mirror(p, top, rows, left, cols);
    p->s.sums[shard] = total;
}

/* The sum of k over the tile. */
static double tile_sum(pass *p)
{
    int64_t shards = blocks_of(p->rows) * blocks_of(p->cols);
    double total = 0;
    gm_team_run(p->e->team, shards, block_shard, p);
    for (int64_t i = 0; i < shards; i++) total += p->s.sums[i];
    return total;
}

typedef struct own_job {
    const pass *p;
    float *g;
    double scale;
} own_job;

/* g_i += scale (sum_j W_ij) a_i */
static void own_range(void *arg, int64_t begin, int64_t end)
{
    const own_job *job = arg;
    const pass *p = job->p;
    const gm_kernels *k = p->e->k;
    for (int64_t i = begin; i < end; i++) {
        double sum = k->sum(p->s.w + i * p->s.tile, p->cols);
        k->axpy(job->g + i * p->e->d, (float)(job->scale * sum), p->a + i * p->e->d, p->e->d);
    }
}

/* Into the rows of a: g += scale d/da sum k. */
static void gradient_a(const pass *p, double scale, float *g)
{
    const gm_mmd *e = p->e;
    own_job job = { p, g, scale };
    gm_gemm(e->team, e->k, 0, 0, p->rows, e->d, p->cols, (float)(p->by_product ? scale : -scale),
            p->s.w, p->s.tile, p->b, e->d, 1, g, e->d, NULL);
    if (!p->by_product) gm_team_range(e->team, p->rows, grain_rows(e->d), own_range, &job);
}

static void columns_range(void *arg, int64_t begin, int64_t end)
{
    const pass *p = ((const own_job *)arg)->p;
    p->e->k->column_sums(p->s.columns + begin, p->s.w + begin, p->rows, end - begin, p->s.tile, 0);
}

static void own_columns_range(void *arg, int64_t begin, int64_t end)
{
    const own_job *job = arg;
    const pass *p = job->p;
    for (int64_t j = begin; j < end; j++)
        p->e->k->axpy(job->g + j * p->e->d, (float)(job->scale * (double)p->s.columns[j]),
                      p->b + j * p->e->d, p->e->d);
}

/* The same into the rows of b. */
static void gradient_b(const pass *p, double scale, float *g)
{
    const gm_mmd *e = p->e;
    own_job job = { p, g, scale };
    gm_gemm(e->team, e->k, 1, 0, p->cols, e->d, p->rows, (float)(p->by_product ? scale : -scale),
            p->s.w, p->s.tile, p->a, e->d, 1, g, e->d, NULL);
    if (p->by_product) return;
    gm_team_range(e->team, p->cols, BAND, columns_range, &job);
    gm_team_range(e->team, p->cols, grain_rows(e->d), own_columns_range, &job);
}

static int64_t part_of(int64_t n, int64_t begin, int64_t tile)
{
    return n - begin < tile ? n - begin : tile;
}

/* scale times the sum over all pairs of x, those with a row of its own included when asked for. */
static double within(pass *p, double scale, const float *x, int64_t n, float *g)
{
    int64_t tile = p->s.tile, d = p->e->d;
    double total = 0;
    p->slopes = g != NULL;
    for (int64_t i = 0; i < n; i += tile) {
        load(p, x + i * d, part_of(n, i, tile), 0);
        total += tile_sum(p);
        if (g) gradient_a(p, 2 * scale, g + i * d);
        for (int64_t j = i + tile; j < n; j += tile) {
            load(p, x + j * d, part_of(n, j, tile), 1);
            total += 2 * tile_sum(p);
            if (g) gradient_a(p, 2 * scale, g + i * d);
            if (g) gradient_b(p, 2 * scale, g + j * d);
        }
    }
    return scale * total;
}

static double between(pass *p, double scale, const float *x, int64_t n, const float *y, int64_t m,
                      float *gx, float *gy)
{
    int64_t tile = p->s.tile, d = p->e->d;
    double total = 0;
    p->slopes = gx || gy;
    for (int64_t i = 0; i < n; i += tile) {
        load(p, x + i * d, part_of(n, i, tile), 0);
        for (int64_t j = 0; j < m; j += tile) {
            load(p, y + j * d, part_of(m, j, tile), 1);
            total += tile_sum(p);
            if (gx) gradient_a(p, scale, gx + i * d);
            if (gy) gradient_b(p, scale, gy + j * d);
        }
    }
    return scale * total;
}

static pass pass_of(const gm_mmd *e, int by_product)
{
    pass p;
    memset(&p, 0, sizeof p);
    p.e = e;
    p.s = bench_of(e);
    p.by_product = by_product;
    p.parts = e->parts + (by_product ? e->distances : 0);
    p.count = by_product ? e->products : e->distances;
    return p;
}

double gm_mmd_total(const gm_mmd *e, const gm_mmd_sum *s, const float *x, int64_t n, const float *y,
                    int64_t m, float *gx, float *gy)
{
    double total = 0;
    for (int by_product = 0; by_product < 2; by_product++) {
        pass p = pass_of(e, by_product);
        if (!p.count) continue;
        p.diagonal = s->diagonal;
        if (!by_product) find_centre(&p, x, n, y, m);
        total += within(&p, s->xx, x, n, gx);
        total += between(&p, s->xy, x, n, y, m, gx, gy);
        total += within(&p, s->yy, y, m, gy);
    }
    return total;
}

void gm_mmd_values(const gm_mmd *e, const float *x, int64_t n, const float *y, int64_t m,
                   float *out)
{
    int add = 0;
    for (int by_product = 0; by_product < 2; by_product++) {
        pass p = pass_of(e, by_product);
        int64_t tile = p.s.tile;
        if (!p.count) continue;
        p.add = add;
        p.out_ld = m;
        if (!by_product) find_centre(&p, x, n, y, m);
        for (int64_t i = 0; i < n; i += tile) {
            load(&p, x + i * e->d, part_of(n, i, tile), 0);
            for (int64_t j = 0; j < m; j += tile) {
                load(&p, y + j * e->d, part_of(m, j, tile), 1);
                p.out = out + i * m + j;
                (void)tile_sum(&p);
            }
        }
        add = 1;
    }
}
