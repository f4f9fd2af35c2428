/* two_sample.c - are two samples of one distribution? (gm/two_sample.h)
 *
 * With K the kernel matrix of all N rows of both without its diagonal and a_p in {0, 1}^N those
 * that permutation p puts into the first sample,
 *
 *     sum in the first  Q = a' K a     sum across  R - Q, R = a' K 1     in the second  T - 2 R + Q
 *
 * where T = 1' K 1. A tile of K adds to Q of all permutations by matrix products, so K is never
 * whole in memory. The given order is permutation 0.
 *
 * Permutations with equal statistics must be seen to be equal, or p is too small on discrete rows,
 * where most are. So all sums are of whole numbers, and exact. A value of K is computed in double
 * from its two rows alone and rounded to a whole number of quanta q, 2^-29 of the range of values
 * or less, high 2^15 + low; a product of either part with zeros and ones over a tile stays below
 * 2^24, where floats are exact. Equal values of K thus always add up to the same number, in any
 * order. What is left is that rounding, at most q / 2 a value: a statistic is off by at most (1 + 1
 * + 2) q / 2, and those that differ by no more than twice that, and by what doubles have rounded,
 * count as equal.
 */
#include <math.h>
#include <string.h>

#include "evaluate/result.h"
#include "gm/ops.h"
#include "gm/rng.h"
#include "gm/two_sample.h"

#define TILE 512      /* rows of a tile of K */
#define GROUP 256     /* permutations of a product */
#define MOST 10000000 /* permutations */
#define LIMB 15       /* bits of the low part of a value of K */
#define SLACK 4.25    /* quanta by which rounding to them may move equal statistics apart */
#define EXACT 0x1p-48 /* of the largest value: what rounding in double may have moved another */

typedef struct test {
    gm_context *ctx;
    gm_mmd_kernel *kernel;
    gm_tape *tape;
    int64_t d, n, m, orders; /* orders: permutations and the given one */
    const float *x, *y;
    int64_t line; /* bytes of one order's bits */
    void *block;
    size_t size;
    double quantum;       /* a power of two; a value of K is a whole number of them, */
    double middle;        /* counted from here */
    double slack;         /* quanta by which equal statistics may differ */
    int64_t *q, *of_rows; /* Q of each order; K 1 */
    int64_t *order;       /* [n + m] */
    double *k;            /* [TILE, TILE] */
    float *part[2];       /* [TILE, TILE]: low and high parts of k */
    float *a, *b;         /* [GROUP, TILE] */
    unsigned char *bits;  /* [orders, line] */
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
                             "two_sample_test: method is %d, expected one of GM_TWO_SAMPLE_*; "
                             "reserved is %d, expected 0",
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
    t->size = (size_t)(t->orders + 2 * all) * sizeof(int64_t) +
              (size_t)(TILE * TILE) * (sizeof(double) + 2 * sizeof(float)) +
              (size_t)(2 * GROUP * TILE) * sizeof(float) + (size_t)t->orders * (size_t)t->line;
    t->block = gm_context_allocate(t->ctx, t->size);
    if (!t->block)
        return gm_model_fail(t->ctx, GM_E_NOMEM, "two_sample_test: no memory for %zu bytes",
                             t->size);
    t->q = t->block;
    t->of_rows = t->q + t->orders;
    t->order = t->of_rows + all;
    t->k = (double *)(t->order + all);
    t->part[0] = (float *)(t->k + TILE * TILE);
    t->part[1] = t->part[0] + TILE * TILE;
    t->a = t->part[1] + TILE * TILE;
    t->b = t->a + GROUP * TILE;
    t->bits = (unsigned char *)(t->b + GROUP * TILE);
    memset(t->q, 0, (size_t)(t->orders + all) * sizeof *t->q);
    memset(t->bits, 0, (size_t)t->orders * (size_t)t->line);
    return GM_OK;
}

/* Who is in the first sample, for the given order and each permutation. */
static gm_status draw_orders(test *t, gm_rng *rng)
{
    gm_status status = GM_OK;
    for (int64_t p = 0; p < t->orders; p++) {
        unsigned char *bits = t->bits + p * t->line;
        if (p) GM_TRY(gm_rng_permutation(rng, t->n + t->m, t->order));
        for (int64_t i = 0; i < t->n; i++) {
            int64_t row = p ? t->order[i] : i;
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

static gm_status kernel_tile(test *t, const piece *p, const piece *q)
{
    gm_rows a = { p->rows, p->count, t->d }, b = { q->rows, q->count, t->d };
    return gm_mmd_kernel_exact_values(t->kernel, &a, &b, t->k);
}

/* The smallest and the largest value of K beside its diagonal. */
static gm_status find_range(test *t, gm_counter *counter, double *least, double *most)
{
    gm_status status = GM_OK;
    int64_t tiles = tiles_of(t->n) + tiles_of(t->m);
    *least = INFINITY;
    *most = -INFINITY;
    for (int64_t i = 0; i < tiles; i++)
        for (int64_t j = i; j < tiles; j++) {
            piece p = piece_at(t, i), q = piece_at(t, j);
            GM_TRY(kernel_tile(t, &p, &q));
            for (int64_t at = 0; at < p.count * q.count; at++) {
                double v = t->k[at];
                if (i == j && at / q.count == at % q.count) continue;
                if (!isfinite(v))
                    GM_TRY(
                        gm_model_fail(t->ctx, GM_E_NUMERIC,
                                      "two_sample_test: the kernel of rows %lld and %lld of both "
                                      "is %g: it is too steep for the data",
                                      (long long)(p.first + at / q.count),
                                      (long long)(q.first + at % q.count), v));
                if (v < *least) *least = v;
                if (v > *most) *most = v;
            }
            GM_TRY(gm_counter_add(counter, 1));
        }
out:
    return status;
}

/* A constant that is added to all values of K changes no statistic: they are counted from the
 * middle of their range, at most 2^29 quanta to either side, and fewer where sums over all pairs
 * would not be 64-bit numbers. */
static void choose_quantum(test *t, double least, double most)
{
    int bits = 29, exponent = 0, rows = 0;
    double half = 0.5 * (most - least), largest = fmax(fabs(least), fabs(most));
    while (rows < 30 && t->n + t->m > (int64_t)1 << rows) rows++;
    if (bits > 60 - 2 * rows) bits = 60 - 2 * rows;
    (void)frexp(half, &exponent); /* half < 2^exponent */
    t->quantum = half > 0 ? ldexp(1, exponent - bits) : 1;
    t->middle = least + half;
    t->slack = SLACK + 8 * EXACT * largest / t->quantum;
}

/* A tile of K in quanta, into both parts and K 1. */
static void add_rows(test *t, const piece *p, const piece *q, int same)
{
    for (int64_t i = 0; i < p->count; i++)
        for (int64_t j = 0; j < q->count; j++) {
            int64_t at = i * q->count + j;
            int64_t whole = same && i == j ? 0 : llround((t->k[at] - t->middle) / t->quantum);
            int64_t high = (whole + (1 << (LIMB - 1))) >> LIMB;
            t->part[0][at] = (float)(whole - high * (1 << LIMB));
            t->part[1][at] = (float)high;
            t->of_rows[p->first + i] += whole;
            if (!same) t->of_rows[q->first + j] += whole;
        }
}

/* One part's share in Q of a group of orders, whose bits are in a and b. */
static gm_status add_part(test *t, int part, int64_t first, int64_t orders, const piece *p,
                          const piece *q, int same)
{
    int64_t k_shape[2] = { p->count, q->count }, b_shape[2] = { orders, q->count };
    gm_status status;
    gm_tape_reset(t->tape);
    gm_var product = gm_matmul(t->tape, gm_input_array(t->tape, 2, b_shape, t->b),
                               gm_input_array(t->tape, 2, k_shape, t->part[part]), 0, 1);
    GM_TRY(gm_tape_status(t->tape));
    const float *of = gm_value(t->tape, product);
    for (int64_t o = 0; o < orders; o++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < p->count; i++)
            sum += (int64_t)(of[o * p->count + i] * t->a[o * p->count + i]);
        t->q[first + o] += sum * (part ? 1 << LIMB : 1) * (same ? 1 : 2);
    }
out:
    return status;
}

static gm_status add_tile(test *t, const piece *p, const piece *q, int same)
{
    gm_status status;
    GM_TRY(kernel_tile(t, p, q));
    add_rows(t, p, q, same);
    for (int64_t first = 0; first < t->orders; first += GROUP) {
        int64_t orders = t->orders - first < GROUP ? t->orders - first : GROUP;
        spread(t, t->a, first, orders, p);
        spread(t, t->b, first, orders, q);
        for (int part = 0; part < 2; part++) GM_TRY(add_part(t, part, first, orders, p, q, same));
    }
out:
    return status;
}

/* Unbiased MMD^2 of an order, in quanta. */
static double statistic(const test *t, int64_t order, int64_t all)
{
    double n = (double)t->n, m = (double)t->m;
    int64_t r = 0, q = t->q[order];
    for (int64_t i = 0; i < t->n + t->m; i++)
        if (bit_of(t, order, i)) r += t->of_rows[i];
    return (double)q / (n * (n - 1)) + (double)(all - 2 * r + q) / (m * (m - 1)) -
           2 * (double)(r - q) / (n * m);
}

static gm_status by_permutation(test *t, const gm_two_sample_options *o, gm_two_sample_result *r)
{
    gm_rng *rng = NULL;
    gm_status status;
    int64_t all = 0;
    double mean = 0, squares = 0, least, most;
    int64_t tiles = tiles_of(t->n) + tiles_of(t->m), as_far = 0;
    gm_counter counter = { t->ctx, "two_sample_test",  "tiles", o->on_progress, o->user,
                           0,      tiles * (tiles + 1) };
    GM_TRY(test_open(t, o));
    GM_TRY(find_range(t, &counter, &least, &most));
    choose_quantum(t, least, most);
    GM_TRY(gm_rng_create(&rng, t->ctx, o->seed));
    GM_TRY(gm_tape_create(&t->tape, t->ctx, rng));
    gm_tape_set_mode(t->tape, GM_TAPE_CONSTANT);
    GM_TRY(draw_orders(t, rng));
    for (int64_t i = 0; i < tiles; i++)
        for (int64_t j = i; j < tiles; j++) {
            piece p = piece_at(t, i), q = piece_at(t, j);
            GM_TRY(add_tile(t, &p, &q, i == j));
            GM_TRY(gm_counter_add(&counter, 1));
        }
    for (int64_t i = 0; i < t->n + t->m; i++) all += t->of_rows[i];
    double given = statistic(t, 0, all);
    r->mmd2 = given * t->quantum;
    for (int64_t p = 1; p < t->orders; p++) {
        double found = statistic(t, p, all), value = found * t->quantum, away = value - mean;
        as_far += found >= given - t->slack;
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

static gm_status by_linear(const test *t, const gm_two_sample_options *o, gm_two_sample_result *r)
{
    gm_result found = GM_RESULT_INIT;
    gm_mmd_estimate_options estimate = GM_MMD_ESTIMATE_OPTIONS_INIT;
    gm_rows x = { t->x, t->n, t->d }, y = { t->y, t->m, t->d };
    gm_status status;
    if (t->n != t->m || t->n < 4)
        GM_TRY(gm_model_fail(t->ctx, GM_E_SHAPE,
                             "two_sample_test: x has %lld rows, y %lld, expected as many of both, "
                             "at least 4, for the linear test",
                             (long long)t->n, (long long)t->m));
    estimate.on_progress = o->on_progress;
    estimate.user = o->user;
    GM_TRY(gm_mmd_estimate(&found, t->kernel, &x, &y, GM_MMD_LINEAR, &estimate));
    if (!isfinite(found.value) || !isfinite(found.standard_error))
        GM_TRY(gm_model_fail(t->ctx, GM_E_NUMERIC,
                             "two_sample_test: mmd2 is %g, its standard error %g; finite ones are "
                             "expected: the kernel is too steep for the data",
                             found.value, found.standard_error));
    r->mmd2 = found.value;
    r->standard_error = found.standard_error;
    /* 1 - Phi(z); without any spread nothing speaks for chance, or nothing for a difference. Terms
     * that are 0 or equal but for rounding are exactly that in the estimate. */
    r->p_value = found.standard_error > 0 ? 0.5 * erfc(found.value / found.standard_error / sqrt(2))
                                          : (found.value > 0 ? 0 : 1);
    r->protocol = "mmd linear-time test";
out:
    return status;
}

gm_status gm_two_sample_test(gm_two_sample_result *out, gm_mmd_kernel *kernel, const gm_rows *x,
                             const gm_rows *y, const gm_two_sample_options *options)
{
    static const char what[] = "two_sample_test";
    gm_two_sample_options o = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result r = GM_TWO_SAMPLE_RESULT_INIT;
    gm_context *ctx = gm_mmd_kernel_context(kernel);
    gm_table tables[2];
    gm_status status;
    if (!kernel) return GM_E_INVALID;
    if (!out || !gm_model_size_fits(out->size, sizeof *out))
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID,
                             "%s: out is NULL or of unknown size; start from the INIT macro",
                             what));
    GM_TRY(gm_options_read(ctx, what, &o, sizeof o, options));
    GM_TRY(check_options(ctx, &o));
    GM_TRY(gm_table_of(&tables[0], ctx, what, "x", x));
    GM_TRY(gm_table_of(&tables[1], ctx, what, "y", y));
    GM_TRY(gm_table_check(ctx, what, tables, 2));
    if (x->count < 2 || y->count < 2)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE,
                             "%s: x has %lld rows, y %lld, expected at least 2 of each", what,
                             (long long)x->count, (long long)y->count));
    test t = { .ctx = ctx,
               .kernel = kernel,
               .d = x->width,
               .n = x->count,
               .m = y->count,
               .x = x->values,
               .y = y->values };
    GM_TRY(o.method == GM_TWO_SAMPLE_LINEAR ? by_linear(&t, &o, &r) : by_permutation(&t, &o, &r));
    r.x_count = x->count;
    r.y_count = y->count;
    size_t size = out->size;
    memcpy(out, &r, size);
    out->size = size;
out:
    return status;
}
