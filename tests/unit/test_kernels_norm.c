/* test_kernels_norm.c - the kernels of normalisation, of each instruction set, against plain loops
 * in double.
 */
#include <math.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "support.h"

static const char *const names[] = { "baseline", "x86-64-v3", "x86-64-v4" };
#define TABLES 3
#define ROOM 70000
#define MARK 12345.0f

static float x[ROOM], dy[ROOM], y[ROOM], dx[ROOM], old[ROOM], kept[ROOM];

static const gm_kernels *begin(int which)
{
    const gm_kernels *k = gm_kernels_choose("baseline");
    k->normal(x, 1, 1, 0, ROOM);
    k->normal(kept, 2, 1, 0, ROOM);
    k->normal(old, 3, 1, 0, ROOM);
    for (int64_t i = 0; i < ROOM; i++) x[i] += 3;
    return gm_kernels_choose(names[which]);
}

static void close_to(const char *what, int64_t i, double have, double want, double scale)
{
    if (!(fabs(have - want) <= 1e-5 * (scale + fabs(want))))
        ck_abort_msg("%s: [%d] is %.9g, not %.9g", what, (int)i, have, want);
}

/* images, all channels, first of the walk, channels of the walk, inner */
static const int64_t walks[][5] = {
    { 7, 5, 0, 5, 1 },    { 9, 130, 30, 64, 1 }, { 4, 6, 2, 3, 2 },
    { 3, 4, 0, 4, 15 },   { 3, 4, 1, 2, 16 },    { 5, 3, 0, 3, 49 },
    { 1, 64, 0, 64, 17 }, { 2, 3, 2, 1, 5000 },  { 6, 9, 0, 9, 196 },
};
#define WALKS ((int)(sizeof walks / sizeof *walks))

typedef struct sums {
    double sum[64], square[64], grad[64], dot[64];
    float mean[64], a[64], b[64], h[64];
} sums;

static gm_walk walk_of(int i, int64_t *begin)
{
    const int64_t *w = walks[i];
    gm_walk walk = { w[0], w[1] * w[4], w[3], w[4] };
    *begin = w[2] * w[4];
    return walk;
}

/* Where element i of channel c of image r is. */
static int64_t at(const gm_walk *w, int64_t begin, int64_t r, int64_t c, int64_t i)
{
    return begin + r * w->stride + c * w->inner + i;
}

START_TEST(test_channels)
{
    const gm_kernels *k = begin(_i % TABLES);
    int64_t first;
    gm_walk w = walk_of(_i / TABLES, &first);
    static sums s;
    if (!k) return;
    k->channel_sums(&w, s.sum, s.square, x + first);
    for (int64_t c = 0; c < w.channels; c++) {
        double sum = 0, square = 0;
        for (int64_t r = 0; r < w.images; r++)
            for (int64_t i = 0; i < w.inner; i++) {
                double v = (double)x[at(&w, first, r, c, i)];
                sum += v;
                square += v * v;
            }
        close_to("sum", c, s.sum[c], sum, 0);
        close_to("square", c, s.square[c], square, 0);
        s.mean[c] = (float)(sum / (double)(w.images * w.inner));
        s.a[c] = 0.5f + (float)c * 0.03f;
        s.b[c] = 0.25f - (float)c * 0.05f;
        s.h[c] = (float)c * 0.1f - 0.7f;
    }

    static const int32_t acts[] = { GM_UNARY_IDENTITY, GM_UNARY_RELU, GM_UNARY_TANH };
    for (int act = 0; act < 3; act++) {
        for (int64_t i = 0; i < ROOM; i++) y[i] = MARK;
        memcpy(dy, kept, sizeof dy);
        k->channel_affine(&w, y + first, x + first, s.mean, s.a, s.h, acts[act], 0);
        k->channel_grad_sums(&w, s.grad, s.dot, dy + first, x + first, y + first, s.mean, acts[act],
                             0);
        int64_t written = 0;
        for (int64_t c = 0; c < w.channels; c++) {
            double grad = 0, dot = 0, scale = 0;
            for (int64_t r = 0; r < w.images; r++)
                for (int64_t i = 0; i < w.inner; i++) {
                    int64_t p = at(&w, first, r, c, i);
                    double m = (double)x[p] - (double)s.mean[c];
                    double z = (double)s.a[c] * m + (double)s.h[c], d = (double)kept[p];
                    double f = act == 0 ? z : act == 1 ? fmax(z, 0) : tanh(z);
                    close_to("affine", p, (double)y[p], f, 1);
                    d *= act == 0 ? 1 : act == 1 ? (double)(y[p] > 0) : 1 - f * f;
                    close_to("before act", p, (double)dy[p], d, 1);
                    grad += (double)dy[p];
                    dot += (double)dy[p] * m;
                    scale += fabs((double)dy[p] * m) + fabs((double)dy[p]);
                }
            close_to("grad", c, s.grad[c], grad, scale);
            close_to("dot", c, s.dot[c], dot, scale);
        }
        for (int64_t i = 0; i < ROOM; i++) written += y[i] != MARK;
        ck_assert_int_eq(written, w.images * w.channels * w.inner); /* nothing between channels */
    }

    for (int add = 0; add < 2; add++) {
        memcpy(dx, old, sizeof dx);
        k->channel_grad(&w, dx + first, kept + first, x + first, s.mean, s.a, s.b, s.h, add);
        int64_t changed = 0;
        for (int64_t c = 0; c < w.channels; c++)
            for (int64_t r = 0; r < w.images; r++)
                for (int64_t i = 0; i < w.inner; i++) {
                    int64_t p = at(&w, first, r, c, i);
                    double want = (double)s.a[c] * (double)kept[p] + (double)s.h[c] +
                                  (double)s.b[c] * ((double)x[p] - (double)s.mean[c]);
                    close_to("dx", p, (double)dx[p], want + (add ? (double)old[p] : 0), 1);
                }
        for (int64_t i = 0; i < ROOM; i++) changed += dx[i] != old[i];
        ck_assert_int_le(changed, w.images * w.channels * w.inner);
    }
}
END_TEST

static const int64_t sizes[][2] = { { 1, 1 },   { 5, 3 },    { 4, 16 },
                                    { 3, 100 }, { 70, 130 }, { 2, 3000 } };
#define SIZES ((int)(sizeof sizes / sizeof *sizes))

START_TEST(test_rows)
{
    const gm_kernels *k = begin(_i % TABLES);
    int64_t rows = sizes[_i / TABLES][0], cols = sizes[_i / TABLES][1];
    static float mean[70], inverse[70], dgamma[3001], dbeta[3001];
    if (!k) return;
    for (int affine = 0; affine < 2; affine++) {
        const float *gamma = affine ? old : NULL, *beta = affine ? old + 5000 : NULL;
        y[rows * cols] = MARK;
        k->norm_rows(y, mean, inverse, x, gamma, beta, 1e-2, rows, cols, GM_UNARY_TANH, 0);
        ck_assert(y[rows * cols] == MARK);
        for (int add = 0; add < 2; add++) {
            memcpy(dx, old, sizeof dx);
            k->norm_rows_grad(dx, kept, x, mean, inverse, gamma, rows, cols, add);
            for (int64_t r = 0; r < rows; r++) {
                const float *v = x + r * cols, *d = kept + r * cols;
                double sum = 0, square = 0, g1 = 0, g2 = 0, n = (double)cols;
                for (int64_t c = 0; c < cols; c++) sum += (double)v[c];
                for (int64_t c = 0; c < cols; c++) square += pow((double)v[c] - sum / n, 2);
                double m = sum / n, s = 1 / sqrt(square / n + 1e-2);
                close_to("mean", r, (double)mean[r], m, 1);
                close_to("inverse", r, (double)inverse[r], s, 1);
                for (int64_t c = 0; c < cols; c++) {
                    double z = ((double)v[c] - m) * s, g = (double)d[c];
                    double f = affine ? z * (double)gamma[c] + (double)beta[c] : z;
                    if (affine) g *= (double)gamma[c];
                    close_to("norm_rows", r * cols + c, (double)y[r * cols + c], tanh(f), 1);
                    g1 += g / n;
                    g2 += g * z / n;
                }
                for (int64_t c = 0; c < cols; c++) {
                    double z = ((double)v[c] - m) * s, g = (double)d[c];
                    if (affine) g *= (double)gamma[c];
                    double want = s * (g - g1 - z * g2) + (add ? (double)old[r * cols + c] : 0);
                    close_to("norm_rows_grad", r * cols + c, (double)dx[r * cols + c], want, 10);
                }
            }
        }
    }
    for (int add = 0; add < 2; add++) {
        memcpy(dgamma, old, sizeof dgamma);
        memcpy(dbeta, old + 100, sizeof dbeta);
        k->norm_columns_grad(dgamma, dbeta, kept, x, mean, inverse, rows, cols, cols, add, !add);
        k->norm_columns_grad(NULL, NULL, kept, x, mean, inverse, rows, cols, cols, add, !add);
        for (int64_t c = 0; c < cols; c++) {
            double g = add ? (double)old[c] : 0, b = add ? 0 : (double)old[100 + c];
            for (int64_t r = 0; r < rows; r++) {
                double d = (double)kept[r * cols + c];
                g += d * ((double)x[r * cols + c] - (double)mean[r]) * (double)inverse[r];
                b += d;
            }
            close_to("dgamma", c, (double)dgamma[c], g, 10);
            close_to("dbeta", c, (double)dbeta[c], b, 10);
        }
        ck_assert(dgamma[cols] == old[cols] && dbeta[cols] == old[100 + cols]);
    }
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("kernels_norm");
    TCase *tests = tcase_create("kernels_norm");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_channels, 0, TABLES * WALKS);
    tcase_add_loop_test(tests, test_rows, 0, TABLES * SIZES);
    suite_add_tcase(s, tests);
    return s;
}
