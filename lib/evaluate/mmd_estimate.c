/* mmd_estimate.c - the maximum mean discrepancy of plain arrays (gm/mmd.h). */
#include <float.h>
#include <math.h>
#include <string.h>

#include "evaluate/result.h"
#include "gm/mmd.h"

#define TILE 512   /* rows of a tile of kernel values */
#define GROUP 1024 /* terms between two reports of progress */

typedef struct estimate {
    gm_context *ctx;
    gm_mmd_kernel *kernel;
    gm_counter counter;
    int64_t d;
    float *values; /* [TILE, TILE], one of them */
    double *exact;
    void *block;
    size_t size;
} estimate;

static int64_t tiles_of(int64_t rows)
{
    return (rows + TILE - 1) / TILE;
}

/* The sums of k and |k| over all pairs of rows of x and y; y NULL: of x with itself, without pairs
 * of a row with itself unless `diagonal`. */
static gm_status add_pairs(estimate *e, const float *x, int64_t n, const float *y, int64_t m,
                           int diagonal, double *sum, double *size)
{
    int64_t d = e->d;
    gm_status status = GM_OK;
    *sum = *size = 0;
    for (int64_t i = 0; i < n; i += TILE)
        for (int64_t j = y ? 0 : i; j < (y ? m : n); j += TILE) {
            int64_t rows = n - i < TILE ? n - i : TILE, left = (y ? m : n) - j;
            int64_t columns = left < TILE ? left : TILE;
            int middle = !y && i == j;
            gm_rows a = { x + i * d, rows, d }, b = { (y ? y : x) + j * d, columns, d };
            double of_tile = 0;
            if (e->exact)
                GM_TRY(gm_mmd_kernel_exact_values(e->kernel, &a, &b, e->exact));
            else
                GM_TRY(gm_mmd_kernel_values(e->kernel, &a, &b, e->values));
            for (int64_t p = 0; p < rows; p++)
                for (int64_t q = 0; q < columns; q++) {
                    int64_t at = p * columns + q;
                    double v = e->exact ? e->exact[at] : (double)e->values[at];
                    if (middle && !diagonal && p == q) continue;
                    of_tile += v;
                    *size += (y || middle ? 1 : 2) * fabs(v);
                }
            *sum += (y || middle ? 1 : 2) * of_tile;
            if (!e->exact) GM_TRY(gm_counter_add(&e->counter, 1));
        }
out:
    return status;
}

/* The estimate over all pairs, and by how much rounding may have moved it. */
static gm_status quadratic(estimate *e, const float *x, int64_t n, const float *y, int64_t m,
                           int biased, double *value, double *bound)
{
    double a = (double)n, b = (double)m, sum[3], size[3];
    double over[3] = { a * (biased ? a : a - 1), b * (biased ? b : b - 1), a * b };
    gm_status status;
    GM_TRY(add_pairs(e, x, n, NULL, 0, biased, &sum[0], &size[0]));
    GM_TRY(add_pairs(e, y, m, NULL, 0, biased, &sum[1], &size[1]));
    GM_TRY(add_pairs(e, x, n, y, m, 1, &sum[2], &size[2]));
    *value = sum[0] / over[0] + sum[1] / over[1] - 2 * sum[2] / over[2];
    *bound = (a + b) * (a + b) * DBL_EPSILON *
             (size[0] / over[0] + size[1] / over[1] + 2 * size[2] / over[2]);
out:
    return status;
}

/* One term of the linear-time estimate: rows 0 and 1 of x and of y. */
static gm_status neighbours(estimate *e, const float *x, const float *y, double *value,
                            double *bound)
{
    const float *pair[4][2] = {
        { x, x + e->d }, { y, y + e->d }, { x, y + e->d }, { x + e->d, y }
    };
    double k[4];
    gm_status status = GM_OK;
    for (int i = 0; i < 4; i++) {
        gm_rows a = { pair[i][0], 1, e->d }, b = { pair[i][1], 1, e->d };
        GM_TRY(gm_mmd_kernel_exact_values(e->kernel, &a, &b, &k[i]));
    }
    *value = k[0] + k[1] - k[2] - k[3];
    *bound = 4 * DBL_EPSILON * (fabs(k[0]) + fabs(k[1]) + fabs(k[2]) + fabs(k[3]));
out:
    return status;
}

/* Independent terms, of `rows` rows each: their mean, and its standard error (Welford 1962). What
 * is 0, or equal, but for rounding is so exactly. */
static gm_status terms_of(estimate *e, const float *x, const float *y, int linear, int64_t rows,
                          gm_result *r)
{
    int64_t terms = e->counter.total;
    double squares = 0, value, bound, widest = 0;
    gm_status status = GM_OK;
    for (int64_t i = 0; i < terms; i++) {
        const float *a = x + i * rows * e->d, *b = y + i * rows * e->d;
        if (linear)
            GM_TRY(neighbours(e, a, b, &value, &bound));
        else
            GM_TRY(quadratic(e, a, rows, b, rows, 0, &value, &bound));
        if (isfinite(bound)) { /* else a kernel value overflowed, and so may the estimate */
            if (fabs(value) <= bound) value = 0;
            if (bound > widest) widest = bound;
        }
        double away = value - r->value;
        r->value += away / (double)(i + 1);
        squares += away * (value - r->value);
        if (linear ? (i + 1) % GROUP == 0 || i + 1 == terms : 1)
            GM_TRY(gm_counter_add(&e->counter, linear ? i % GROUP + 1 : 1));
    }
    if (fabs(r->value) <= widest) r->value = 0;
    if (terms > 1) {
        double deviation = sqrt(squares / (double)(terms - 1));
        r->standard_error = deviation <= widest ? 0 : deviation / sqrt((double)terms);
    }
out:
    return status;
}

static int64_t block_rows(int32_t estimator, int64_t n)
{
    int64_t root = (int64_t)sqrt((double)n);
    if (estimator == GM_MMD_LINEAR) return 2;
    if (estimator != GM_MMD_BLOCK) return estimator >> 8;
    return root < 2 ? 2 : root;
}

/* Can the operation do this? If not it says so itself. */
static gm_status check_estimator(estimate *e, const gm_table *x, const gm_table *y,
                                 int32_t estimator)
{
    int64_t x_shape[2] = { x->rows, e->d }, y_shape[2] = { y->rows, e->d };
    int32_t sort = estimator & 0xff;
    int64_t rows = block_rows(estimator, x->rows), least = sort == GM_MMD_BIASED ? 1 : 2;
    int in_terms = sort == GM_MMD_LINEAR || sort == GM_MMD_BLOCK;
    gm_tape *tape = NULL;
    gm_status status;
    if (gm_mmd_kernel_count(e->kernel) && estimator >= 0 && sort <= GM_MMD_BLOCK &&
        (sort == GM_MMD_BLOCK || estimator == sort) && x->rows >= least && y->rows >= least &&
        (!in_terms || (x->rows == y->rows && rows >= 2 && x->rows >= rows)))
        return GM_OK;
    GM_TRY(gm_tape_create(&tape, e->ctx, NULL));
    gm_mmd2(tape, gm_input_array(tape, 2, x_shape, x->values),
            gm_input_array(tape, 2, y_shape, y->values), e->kernel, estimator);
    GM_TRY(gm_tape_status(tape));
    status = GM_E_INTERNAL; /* never: both know the same rules */
out:
    gm_tape_release(tape);
    return status;
}

static gm_status open_estimate(estimate *e, int exact)
{
    e->size = (size_t)(TILE * TILE) * (exact ? sizeof *e->exact : sizeof *e->values);
    e->block = gm_context_allocate(e->ctx, e->size);
    if (!e->block)
        return gm_model_fail(e->ctx, GM_E_NOMEM, "mmd: no memory for %zu bytes", e->size);
    if (exact)
        e->exact = e->block;
    else
        e->values = e->block;
    return GM_OK;
}

gm_status gm_mmd_estimate(gm_result *out, gm_mmd_kernel *kernel, const gm_rows *x, const gm_rows *y,
                          int32_t estimator, const gm_mmd_estimate_options *options)
{
    static const char *const names[] = { "mmd2 biased", "mmd2 unbiased", "mmd2 linear",
                                         "mmd2 block" };
    gm_mmd_estimate_options o = GM_MMD_ESTIMATE_OPTIONS_INIT;
    gm_context *ctx = gm_mmd_kernel_context(kernel);
    estimate e = { .ctx = ctx, .kernel = kernel };
    gm_table t[2];
    gm_result r = GM_RESULT_INIT;
    gm_status status;
    int32_t sort = estimator & 0xff;
    double bound;
    if (!kernel) return GM_E_INVALID;
    GM_TRY(gm_result_check(ctx, "mmd", out));
    GM_TRY(gm_options_read(ctx, "mmd", &o, sizeof o, options));
    GM_TRY(gm_table_of(&t[0], ctx, "mmd", "x", x));
    GM_TRY(gm_table_of(&t[1], ctx, "mmd", "y", y));
    GM_TRY(gm_table_check(ctx, "mmd", t, 2));
    e.d = x->width;
    GM_TRY(check_estimator(&e, &t[0], &t[1], estimator));
    e.counter = (gm_counter){ ctx, "mmd", "tiles", o.on_progress, o.user, 0, 0 };
    r.standard_error = (double)NAN;
    r.samples = x->count;
    r.rows = y->count;
    if (sort == GM_MMD_LINEAR || sort == GM_MMD_BLOCK) {
        int64_t rows = block_rows(estimator, x->count);
        e.counter.unit = "terms";
        e.counter.total = x->count / rows;
        GM_TRY(open_estimate(&e, 1));
        GM_TRY(terms_of(&e, x->values, y->values, sort == GM_MMD_LINEAR, rows, &r));
    } else if (sort != GM_MMD_BIASED || x->count != y->count ||
               memcmp(x->values, y->values, (size_t)(x->count * e.d) * sizeof(float)) != 0) {
        int64_t a = tiles_of(x->count), b = tiles_of(y->count);
        e.counter.total = a * (a + 1) / 2 + b * (b + 1) / 2 + a * b;
        GM_TRY(open_estimate(&e, 0));
        GM_TRY(quadratic(&e, x->values, x->count, y->values, y->count, sort == GM_MMD_BIASED,
                         &r.value, &bound));
        if (sort == GM_MMD_BIASED && r.value < 0) r.value = 0; /* a squared norm; NaN stays */
    }
    r.protocol = names[sort];
    gm_result_give(out, &r);
out:
    gm_context_free(ctx, e.block, e.size);
    return status;
}
