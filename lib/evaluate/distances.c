/* distances.c - squared distances between two sets of rows, a tile at a time.
 *
 * With c the mean of the second set, and x and y centred on it,
 *
 *     |x - y|^2 = |x|^2 - 2 (x . y - |y|^2 / 2)
 *
 * so one linear layer with the rows y as weights and -|y|^2 / 2 as biases gives a tile. In single
 * precision the difference of large products loses digits, and most of them where rows are near
 * each other beside their lengths: such distances are computed again in double.
 */
#include <math.h>
#include <string.h>

#include "evaluate/distances.h"
#include "gm/ops.h"

#define TILE_VALUES ((int64_t)1 << 22) /* of a tile's rows, unless one row has more */
#define LARGEST 1e18                   /* distances from the mean; their squares must be floats */
#define NEAR 0x1p-6  /* of the squared lengths: below this, products have too few digits left */
#define UNIT 0x1p-24 /* of rounding to float */

gm_status gm_distances_open(gm_distances *d, gm_context *ctx, const char *what, const gm_table *a,
                            const gm_table *b)
{
    int64_t width = a->width, tile = TILE_VALUES / width;
    gm_status status;
    tile = tile < 1 ? 1 : tile < GM_DISTANCES_TILE ? tile : GM_DISTANCES_TILE;
    *d = (gm_distances){ .ctx = ctx, .what = what, .a = *a, .b = *b, .tile = tile };
    d->block_size =
        (size_t)(width + tile) * sizeof(double) + (size_t)(2 * tile * width + tile) * sizeof(float);
    d->block = gm_context_allocate(ctx, d->block_size);
    if (!d->block)
        return gm_model_fail(ctx, GM_E_NOMEM, "%s: no memory for %zu bytes", what, d->block_size);
    d->centre = d->block;
    d->half = d->centre + width;
    d->x = (float *)(d->half + tile);
    d->y = d->x + tile * width;
    d->bias = d->y + tile * width;
    GM_TRY(gm_tape_create(&d->tape, ctx, NULL));
    gm_tape_set_mode(d->tape, GM_TAPE_CONSTANT);
    memset(d->centre, 0, (size_t)width * sizeof *d->centre);
    for (int64_t i = 0; i < b->rows; i++)
        for (int64_t j = 0; j < width; j++) d->centre[j] += (double)b->values[i * width + j];
    for (int64_t j = 0; j < width; j++) d->centre[j] /= (double)b->rows;
out:
    return status;
}

void gm_distances_close(gm_distances *d)
{
    gm_tape_release(d->tape);
    if (d->block) gm_context_free(d->ctx, d->block, d->block_size);
}

/* Rows of t less the centre, into out; |row|^2 / 2 into half, or its negative into bias. */
static gm_status centre_rows(const gm_distances *d, const gm_table *t, int64_t begin, int64_t count,
                             float *out, double *half, float *bias)
{
    int64_t width = t->width;
    for (int64_t i = 0; i < count; i++) {
        const float *row = t->values + (begin + i) * width;
        double squares = 0;
        for (int64_t j = 0; j < width; j++) {
            double v = (double)row[j] - d->centre[j];
            squares += v * v;
            out[i * width + j] = (float)v;
        }
        if (!(squares <= LARGEST * LARGEST))
            return gm_model_fail(d->ctx, GM_E_NUMERIC,
                                 "%s: %s: row %lld is %g from the mean of the %s, at most %g is "
                                 "expected",
                                 d->what, t->name, (long long)(begin + i), sqrt(squares), d->b.name,
                                 LARGEST);
        if (half) half[i] = 0.5 * squares;
        if (bias) bias[i] = (float)(-0.5 * squares);
    }
    return GM_OK;
}

gm_status gm_distances_rows(gm_distances *d, int64_t begin, int64_t count)
{
    d->first = begin;
    d->count = count;
    return centre_rows(d, &d->a, begin, count, d->x, d->half, NULL);
}

gm_status gm_distances_columns(gm_distances *d, int64_t begin, int64_t count, const float **product)
{
    int64_t x_shape[2] = { d->count, d->a.width }, y_shape[2] = { count, d->a.width };
    gm_status status;
    d->column = begin;
    GM_TRY(centre_rows(d, &d->b, begin, count, d->y, NULL, d->bias));
    gm_tape_reset(d->tape);
    gm_var e = gm_linear(d->tape, gm_input_array(d->tape, 2, x_shape, d->x),
                         gm_input_array(d->tape, 2, y_shape, d->y),
                         gm_input_array(d->tape, 1, &count, d->bias), GM_ACTIVATION_NONE, 0);
    GM_TRY(gm_tape_status(d->tape));
    *product = gm_value(d->tape, e);
out:
    return status;
}

/* In four sums, which do not wait for each other. */
double gm_distances_exact(const gm_distances *d, int64_t i, int64_t j)
{
    int64_t width = d->a.width, full = width - width % 4;
    const float *a = d->a.values + i * width, *b = d->b.values + j * width;
    double sum[4] = { 0 };
    for (int64_t c = 0; c < full; c += 4)
        for (int k = 0; k < 4; k++) {
            double v = (double)a[c + k] - (double)b[c + k];
            sum[k] += v * v;
        }
    for (int64_t c = full; c < width; c++) {
        double v = (double)a[c] - (double)b[c];
        sum[c - full] += v * v;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double gm_distances_rough(const gm_distances *d, int64_t i, float product)
{
    return 2 * (d->half[i] - (double)product);
}

/* |x|^2 / 2 + |y|^2 / 2 is at least |x| |y|, which bounds what centring and multiplying have
 * rounded; the error of a sum of products grows with the root of their number (Higham 2002,
 * section 2.8). */
double gm_distances_doubt(const gm_distances *d, int64_t i, int64_t j)
{
    double lengths = d->half[i] - (double)d->bias[j];
    return UNIT * (16 + 4 * sqrt((double)d->a.width)) * lengths;
}

double gm_distances_squared(const gm_distances *d, int64_t i, int64_t j, float product)
{
    double squared = gm_distances_rough(d, i, product);
    double lengths = 2 * (d->half[i] - (double)d->bias[j]);
    return squared > NEAR * lengths ? squared : gm_distances_exact(d, d->first + i, d->column + j);
}
