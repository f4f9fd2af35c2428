/* two_sample.c - are two samples of one distribution? (gm/mmd.h)
 *
 * With K the kernel matrix of all N rows of both without its diagonal and a_p in {0, 1}^N those
 * that permutation p puts into the first sample,
 *
 *     sum in the first  Q = a' K a     sum across  R - Q, R = a' K 1     in the second  T - 2 R + Q
 *
 * where T = 1' K 1. A tile of K adds to Q of all permutations by one matrix product, so K is never
 * whole in memory. The given order is permutation 0, so that it meets the same rounding.
 */
#include <math.h>
#include <string.h>

#include "gm/mmd.h"
#include "gm/ops.h"
#include "gm/rng.h"
#include "models/family.h"

#define TILE 512      /* rows of a tile of K */
#define GROUP 256     /* permutations of a product */
#define MOST 10000000 /* permutations */
#define ROUNDING 1e-6 /* of one value of K, by which sums of equal terms may differ */

typedef struct test {
    gm_context *ctx;
    gm_mmd_kernel *kernel;
    gm_tape *tape;
    int64_t d, n, m, orders; /* orders: permutations and the given one */
    const float *x, *y;
    int64_t line; /* bytes of one order's bits */
    void *block;
    size_t size;
    double *q, *of_rows; /* Q of each order; K 1 */
    int64_t *permuted;   /* [n + m] */
    float *k, *a, *b;    /* [TILE, TILE], [GROUP, TILE] twice */
    unsigned char *bits; /* [orders, line] */
    double sizes;        /* sum of |k| */
} test;

/* Rows of a tile; tiles do not cross from x to y. */
typedef struct piece {
    const float *rows;
    int64_t first, count; /* first: among the rows of both */
} piece;

static int64_t tiles_of(int64_t rows)
{
    return (rows + TILE - 1) / TILE;
}

static piece piece_at(const test *t, int64_t i)
{
    int second = i >= tiles_of(t->n);
    int64_t begin = (second ? i - tiles_of(t->n) : i) * TILE, rows = second ? t->m : t->n;
    piece p = { (second ? t->y : t->x) + begin * t->d, begin + (second ? t->n : 0),
                rows - begin < TILE ? rows - begin : TILE };
    return p;
}

static gm_status check_options(gm_context *ctx, const gm_two_sample_options *o)
{
    if ((o->method != GM_TWO_SAMPLE_PERMUTATION && o->method != GM_TWO_SAMPLE_LINEAR) ||
        o->reserved)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "two_sample_test: method is %d, expected GM_TWO_SAMPLE_*; reserved is "
                             "%d, expected 0",
                             (int)o->method, (int)o->reserved);
    if (o->permutations < 1 || o->permutations > MOST)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "two_sample_test: permutations is %lld, expected 1 to %d",
                             (long long)o->permutations, MOST);
    return GM_OK;
}

/* Memory, within the bound that the host gave. */
static gm_status test_open(test *t, const gm_two_sample_options *o)
{
    int64_t all = t->n + t->m;
    t->line = all / 8 + 1;
    t->orders = o->permutations + 1;
    uint64_t fit = o->memory / (uint64_t)t->line;
    if ((uint64_t)t->orders > fit)
        return gm_model_fail(
            t->ctx, GM_E_INVALID,
            "two_sample_test: %lld permutations of %lld rows are more than fit %llu "
            "bytes; %llu do",
            (long long)o->permutations, (long long)all, (unsigned long long)o->memory,
            (unsigned long long)(fit ? fit - 1 : 0));
    t->size = (size_t)(t->orders + all) * sizeof(double) + (size_t)all * sizeof(int64_t) +
              (size_t)(TILE * TILE + 2 * GROUP * TILE) * sizeof(float) +
              (size_t)t->orders * (size_t)t->line;
    t->block = gm_context_allocate(t->ctx, t->size);
    if (!t->block)
        return gm_model_fail(t->ctx, GM_E_NOMEM, "two_sample_test: no memory for %zu bytes",
                             t->size);
    t->q = t->block;
    t->of_rows = t->q + t->orders;
    t->permuted = (int64_t *)(t->of_rows + all);
    t->k = (float *)(t->permuted + all);
    t->a = t->k + TILE * TILE;
    t->b = t->a + GROUP * TILE;
    t->bits = (unsigned char *)(t->b + GROUP * TILE);
    memset(t->q, 0, (size_t)(t->orders + all) * sizeof(double));
    memset(t->bits, 0, (size_t)t->orders * (size_t)t->line);
    return GM_OK;
}

/* Who is in the first sample, for the given order and each permutation. */
static gm_status deal_out(test *t, gm_rng *rng)
{
    gm_status status = GM_OK;
    for (int64_t p = 0; p < t->orders; p++) {
        unsigned char *bits = t->bits + p * t->line;
        if (p) GM_TRY(gm_rng_permutation(rng, t->permuted, t->n + t->m));
        for (int64_t i = 0; i < t->n; i++) {
            int64_t row = p ? t->permuted[i] : i;
            bits[row / 8] = (unsigned char)(bits[row / 8] | 1u << (row % 8));
        }
    }
out:
    return status;
}

static int bit_of(const test *t, int64_t order, int64_t row)
{
    return t->bits[order * t->line + row / 8] >> (row % 8) & 1;
}

/* [orders, rows of the piece] */
static void spread(const test *t, float *to, int64_t first, int64_t orders, const piece *p)
{
    for (int64_t o = 0; o < orders; o++)
        for (int64_t i = 0; i < p->count; i++)
            to[o * p->count + i] = (float)bit_of(t, first + o, p->first + i);
}

/* The tile's part in K 1, and in the sum of sizes. */
static void add_rows(test *t, const piece *p, const piece *q, int same)
{
    for (int64_t i = 0; i < p->count; i++)
        for (int64_t j = 0; j < q->count; j++) {
            double v = (double)t->k[i * q->count + j];
            t->of_rows[p->first + i] += v;
            if (!same) t->of_rows[q->first + j] += v;
            t->sizes += (same ? 1 : 2) * fabs(v);
        }
}

static gm_status add_tile(test *t, const piece *p, const piece *q, int same)
{
    gm_status status;
    GM_TRY(gm_mmd_kernel_values(t->kernel, t->d, p->rows, p->count, q->rows, q->count, t->k));
    if (same)
        for (int64_t i = 0; i < p->count; i++) t->k[i * p->count + i] = 0;
    add_rows(t, p, q, same);
    for (int64_t first = 0; first < t->orders; first += GROUP) {
        int64_t orders = t->orders - first < GROUP ? t->orders - first : GROUP;
        int64_t k_shape[2] = { p->count, q->count }, b_shape[2] = { orders, q->count };
        spread(t, t->a, first, orders, p);
        spread(t, t->b, first, orders, q);
        gm_tape_reset(t->tape);
        gm_var product = gm_matmul(t->tape, gm_input_array(t->tape, 2, b_shape, t->b),
                                   gm_input_array(t->tape, 2, k_shape, t->k), 0, 1);
        GM_TRY(gm_tape_status(t->tape));
        const float *of = gm_value(t->tape, product);
        for (int64_t o = 0; o < orders; o++) {
            double sum = 0;
            for (int64_t i = 0; i < p->count; i++)
                sum += (double)(of[o * p->count + i] * t->a[o * p->count + i]);
            t->q[first + o] += same ? sum : 2 * sum;
        }
    }
out:
    return status;
}

/* Unbiased MMD^2 of an order. */
static double statistic(const test *t, int64_t order, double all)
{
    double n = (double)t->n, m = (double)t->m, r = 0, q = t->q[order];
    for (int64_t i = 0; i < t->n + t->m; i++)
        if (bit_of(t, order, i)) r += t->of_rows[i];
    return q / (n * (n - 1)) + (all - 2 * r + q) / (m * (m - 1)) - 2 * (r - q) / (n * m);
}

static gm_status by_permutation(test *t, const gm_two_sample_options *o, gm_two_sample_result *r)
{
    gm_rng *rng = NULL;
    gm_status status;
    double all = 0, rows = (double)(t->n + t->m), mean = 0, squares = 0;
    int64_t tiles = tiles_of(t->n) + tiles_of(t->m), total = tiles * (tiles + 1) / 2, done = 0,
            as_far = 0;
    GM_TRY(test_open(t, o));
    GM_TRY(gm_rng_create(&rng, t->ctx, o->seed));
    GM_TRY(gm_tape_create(&t->tape, t->ctx, rng));
    gm_tape_set_mode(t->tape, GM_TAPE_CONSTANT);
    GM_TRY(deal_out(t, rng));
    for (int64_t i = 0; i < tiles; i++)
        for (int64_t j = i; j < tiles; j++) {
            piece p = piece_at(t, i), q = piece_at(t, j);
            GM_TRY(add_tile(t, &p, &q, i == j));
            done++;
            if (o->on_tile && o->on_tile(o->user, done, total))
                GM_TRY(
                    gm_model_fail(t->ctx, GM_E_CANCELLED,
                                  "two_sample_test: stopped by the host after %lld of %lld tiles",
                                  (long long)done, (long long)total));
        }
    for (int64_t i = 0; i < t->n + t->m; i++) all += t->of_rows[i];
    r->mmd2 = statistic(t, 0, all);
    if (!isfinite(r->mmd2))
        GM_TRY(gm_model_fail(t->ctx, GM_E_NUMERIC,
                             "two_sample_test: MMD^2 is %g: the kernel is too steep for the data",
                             r->mmd2));
    double slack = ROUNDING * t->sizes / (rows * rows) / sqrt(rows);
    for (int64_t p = 1; p < t->orders; p++) {
        double value = statistic(t, p, all), away = value - mean;
        as_far += value >= r->mmd2 - slack;
        mean += away / (double)p;
        squares += away * (value - mean);
        if (o->statistics) o->statistics[p - 1] = value;
    }
    r->p_value = (double)(as_far + 1) / (double)t->orders;
    r->standard_error =
        o->permutations > 1 ? sqrt(squares / (double)(o->permutations - 1)) : (double)NAN;
    r->permutations = o->permutations;
    r->seed = o->seed;
    r->protocol = "mmd permutation test";
out:
    gm_tape_release(t->tape);
    gm_rng_release(rng);
    gm_context_free(t->ctx, t->block, t->size);
    return status;
}

static gm_status by_linear(const test *t, gm_two_sample_result *r)
{
    gm_result found = GM_RESULT_INIT;
    gm_status status;
    if (t->n != t->m || t->n < 4)
        GM_TRY(gm_model_fail(t->ctx, GM_E_SHAPE,
                             "two_sample_test: x has %lld rows, y %lld; the linear test wants as "
                             "many of both, at least 4",
                             (long long)t->n, (long long)t->m));
    GM_TRY(gm_mmd_estimate(&found, t->kernel, t->d, t->x, t->n, t->y, t->m, GM_MMD_LINEAR));
    r->mmd2 = found.value;
    r->standard_error = found.standard_error;
    /* 1 - Phi(z); without any spread nothing speaks for chance, or nothing for a difference. */
    r->p_value = found.standard_error > 0 ? 0.5 * erfc(found.value / found.standard_error / sqrt(2))
                                          : (found.value > 0 ? 0 : 1);
    r->protocol = "mmd linear-time test";
out:
    return status;
}

static gm_status check_sample(gm_context *ctx, const char *name, const float *values, int64_t count,
                              int64_t d)
{
    if (!values || d < 1 || count < 1 || d > INT64_MAX / 64 / count)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "two_sample_test: %s is %s [%lld, %lld], rows of at least one value are "
            "wanted, and no more than can be addressed",
            name, values ? "" : "NULL,", (long long)count, (long long)d);
    for (int64_t i = 0; i < count * d; i++)
        if (!isfinite(values[i]))
            return gm_model_fail(ctx, GM_E_INVALID,
                                 "two_sample_test: %s: row %lld, column %lld is %g, finite values "
                                 "are wanted",
                                 name, (long long)(i / d), (long long)(i % d), (double)values[i]);
    return GM_OK;
}

gm_status gm_two_sample_test(gm_two_sample_result *out, gm_mmd_kernel *kernel, int64_t row_size,
                             const float *x, int64_t x_count, const float *y, int64_t y_count,
                             const gm_two_sample_options *options)
{
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
    gm_context *ctx = gm_mmd_kernel_context(kernel);
    test t = {
        .ctx = ctx, .kernel = kernel, .d = row_size, .n = x_count, .m = y_count, .x = x, .y = y
    };
    gm_status status;
    if (!kernel) return GM_E_INVALID;
    if (!out || out->size < sizeof out->size || out->size > sizeof *out)
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID,
                             "two_sample_test: out is NULL or of unknown size; start from the INIT "
                             "macro"));
    GM_TRY(gm_options_read(ctx, "two_sample_test", &o, sizeof o, options));
    GM_TRY(check_options(ctx, &o));
    GM_TRY(check_sample(ctx, "x", x, x_count, row_size));
    GM_TRY(check_sample(ctx, "y", y, y_count, row_size));
    if (x_count < 2 || y_count < 2)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE,
                             "two_sample_test: x has %lld rows, y %lld; at least 2 of each are "
                             "wanted",
                             (long long)x_count, (long long)y_count));
    GM_TRY(o.method == GM_TWO_SAMPLE_LINEAR ? by_linear(&t, &r) : by_permutation(&t, &o, &r));
    r.x_count = x_count;
    r.y_count = y_count;
    size_t size = out->size;
    memcpy(out, &r, size);
    out->size = size;
out:
    return status;
}
