/* kernel_distance.c - the kernel distance on features (Binkowski, Sutherland, Arbel and Gretton
 * 2018). */
#include <math.h>

#include "evaluate/result.h"
#include "gm/ops.h"
#include "gm/sample_quality.h"

#define TILE 1024 /* rows of a tile of products */

typedef struct kid {
    gm_context *ctx;
    gm_kernel_distance_options o;
    gm_table tables[2]; /* samples, data */
    gm_tape *tape;
    gm_rng *rng;
    double *values;    /* [subsets] */
    int64_t *order[2]; /* all rows of each set, in the order that drawing has made */
    float *rows[2];    /* [subset, width]: less the centre */
    double *along[2];  /* [subset]: the centre times each of them */
    double *centre;    /* [width]: the mean of the data */
    double square;     /* |centre|^2 */
    void *block;
    size_t block_size;
} kid;

static void find_centre(kid *k)
{
    const gm_table *t = &k->tables[1];
    for (int64_t j = 0; j < t->width; j++) k->centre[j] = 0;
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t j = 0; j < t->width; j++)
            k->centre[j] += (double)t->values[i * t->width + j] / (double)t->rows;
    k->square = 0;
    for (int64_t j = 0; j < t->width; j++) k->square += k->centre[j] * k->centre[j];
}

static gm_status kid_open(kid *k)
{
    gm_status status;
    int64_t width = k->tables[0].width, m = k->o.subset;
    int64_t a = k->tables[0].rows, b = k->tables[1].rows;
    k->block_size = (size_t)(a + b) * sizeof(int64_t) +
                    (size_t)(k->o.subsets + 2 * m + width) * sizeof(double) +
                    (size_t)(2 * m * width) * sizeof(float);
    k->block = gm_context_allocate(k->ctx, k->block_size);
    if (!k->block)
        return gm_model_fail(k->ctx, GM_E_NOMEM, "kernel_distance: no memory for %zu bytes",
                             k->block_size);
    k->values = k->block;
    k->along[0] = k->values + k->o.subsets;
    k->along[1] = k->along[0] + m;
    k->centre = k->along[1] + m;
    k->order[0] = (int64_t *)(k->centre + width);
    k->order[1] = k->order[0] + a;
    k->rows[0] = (float *)(k->order[1] + b);
    k->rows[1] = k->rows[0] + m * width;
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < k->tables[s].rows; i++) k->order[s][i] = i;
    find_centre(k);
    GM_TRY(gm_tape_create(&k->tape, k->ctx, NULL));
    GM_TRY(gm_rng_create(&k->rng, k->ctx, k->o.seed));
    gm_tape_set_mode(k->tape, GM_TAPE_CONSTANT);
out:
    return status;
}

static void kid_close(kid *k)
{
    gm_rng_release(k->rng);
    gm_tape_release(k->tape);
    gm_context_free(k->ctx, k->block, k->block_size);
}

/* A subset without replacement: the first steps of a shuffle, which may go on from any order. */
static void draw(kid *k, int s)
{
    const gm_table *t = &k->tables[s];
    int64_t *order = k->order[s];
    for (int64_t i = 0; i < k->o.subset; i++) {
        int64_t j = i + gm_rng_below(k->rng, t->rows - i), row = order[j];
        order[j] = order[i];
        order[i] = row;
        const float *from = t->values + row * t->width;
        float *to = k->rows[s] + i * t->width;
        double along = 0;
        for (int64_t c = 0; c < t->width; c++) {
            double v = (double)from[c] - k->centre[c];
            along += v * k->centre[c];
            to[c] = (float)v;
        }
        k->along[s][i] = along;
    }
}

/* The sum of the kernel over all pairs of rows of the two subsets; of one with itself: without
 * pairs of a row with itself. */
static gm_status add_up(kid *k, int s, int t, double *sum)
{
    int64_t width = k->tables[0].width, m = k->o.subset;
    gm_status status = GM_OK;
    *sum = 0;
    for (int64_t i = 0; i < m; i += TILE)
        for (int64_t j = 0; j < m; j += TILE) {
            int64_t a[2] = { m - i < TILE ? m - i : TILE, width };
            int64_t b[2] = { m - j < TILE ? m - j : TILE, width };
            gm_tape_reset(k->tape);
            gm_var p = gm_matmul(k->tape, gm_input_array(k->tape, 2, a, k->rows[s] + i * width),
                                 gm_input_array(k->tape, 2, b, k->rows[t] + j * width), 0, 1);
            GM_TRY(gm_tape_status(k->tape));
            const float *dot = gm_value(k->tape, p);
            for (int64_t x = 0; x < a[0]; x++) {
                double row = 0, own = k->square + k->along[s][i + x];
                for (int64_t y = 0; y < b[0]; y++) {
                    double whole = (double)dot[x * b[0] + y] + own + k->along[t][j + y];
                    double v = whole / (double)width + 1;
                    if (s != t || i + x != j + y) row += v * v * v;
                }
                *sum += row;
            }
        }
out:
    return status;
}

static gm_status run(kid *k, gm_result *out)
{
    gm_result r = GM_RESULT_INIT;
    double m = (double)k->o.subset, own[2], cross;
    gm_counter counter = { k->ctx, "kernel_distance", "subsets", k->o.on_progress, k->o.user,
                           0,      k->o.subsets };
    gm_status status = GM_OK;
    for (int64_t i = 0; i < k->o.subsets; i++) {
        draw(k, 0);
        draw(k, 1);
        GM_TRY(add_up(k, 0, 0, &own[0]));
        GM_TRY(add_up(k, 1, 1, &own[1]));
        GM_TRY(add_up(k, 0, 1, &cross));
        k->values[i] = (own[0] + own[1]) / (m * (m - 1)) - 2 * cross / (m * m);
        if (!isfinite(k->values[i]))
            GM_TRY(
                gm_model_fail(k->ctx, GM_E_NUMERIC,
                              "kernel_distance: subset %lld gives %g; the features are too large",
                              (long long)i, k->values[i]));
        GM_TRY(gm_counter_add(&counter, 1));
    }
    gm_result_mean(&r, k->values, k->o.subsets);
    r.samples = k->tables[0].rows;
    r.rows = k->tables[1].rows;
    r.seed = k->o.seed;
    r.protocol = "kid";
    r.k = k->o.subsets;
    gm_result_give(out, &r);
out:
    return status;
}

static gm_status check_options(const kid *k)
{
    if (k->o.subsets < 1 || k->o.subsets > INT64_MAX / 1024 || k->o.subset < 2)
        return gm_model_fail(k->ctx, GM_E_INVALID,
                             "kernel_distance: subsets is %lld, expected at least 1; subset is "
                             "%lld, expected at least 2",
                             (long long)k->o.subsets, (long long)k->o.subset);
    for (int s = 0; s < 2; s++)
        if (k->o.subset > k->tables[s].rows)
            return gm_model_fail(
                k->ctx, GM_E_INVALID, "kernel_distance: subset is %lld, but %s has %lld rows",
                (long long)k->o.subset, k->tables[s].name, (long long)k->tables[s].rows);
    return GM_OK;
}

gm_status gm_kernel_distance(gm_result *out, gm_context *ctx, const gm_rows *samples,
                             const gm_rows *data, const gm_kernel_distance_options *options)
{
    if (!ctx) return GM_E_INVALID;
    kid k = { .ctx = ctx, .o = GM_KERNEL_DISTANCE_OPTIONS_INIT };
    gm_status status;
    GM_TRY(gm_result_check(ctx, "kernel_distance", out));
    GM_TRY(gm_options_read(ctx, "kernel_distance", &k.o, sizeof k.o, options));
    GM_TRY(gm_table_pair(ctx, "kernel_distance", samples, data, k.tables));
    GM_TRY(check_options(&k));
    GM_TRY(kid_open(&k));
    GM_TRY(run(&k, out));
out:
    kid_close(&k);
    return status;
}
