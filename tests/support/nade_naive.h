/* nade_naive.h - NADE as its equations say, place by place in double, with the activations of every
 * place kept; and the library's operation beside it. Included by a suite of either precision. */
#ifndef GM_TESTS_NADE_NAIVE_H
#define GM_TESTS_NADE_NAIVE_H

#include "gm/ops.h"
#include "support.h"

typedef struct naive {
    int64_t n, d, p, k, h; /* rows, places, parts, classes or 0, units */
    int32_t act;
} naive;

static double naive_act(int32_t act, double a)
{
    if (act == GM_ACTIVATION_SIGMOID) return 1 / (1 + exp(-a));
    return act == GM_ACTIVATION_TANH ? tanh(a) : a > 0 ? a : 0;
}

static double naive_slope(int32_t act, double h)
{
    if (act == GM_ACTIVATION_SIGMOID) return h * (1 - h);
    return act == GM_ACTIVATION_TANH ? 1 - h * h : h > 0;
}

static int64_t naive_row(const naive *s, const float *x, int64_t d)
{
    return s->k ? d * s->k + (int64_t)x[d] : d;
}

/* y [n, d, p], and the gradients that dy gives, added up. */
static void naive_run(const naive *s, const float *x, const float *w, const float *c,
                      const float *v, const float *b, const float *dy, double *y, double *dw,
                      double *dc, double *dv, double *db)
{
    double *a = calloc((size_t)((s->d + 1) * s->h), sizeof *a),
           *h = calloc((size_t)(s->d * s->h), sizeof *h);
    double *da = calloc((size_t)s->h, sizeof *da);
    for (int64_t r = 0; r < s->n; r++) {
        const float *xr = x + r * s->d;
        for (int64_t j = 0; j < s->h; j++) a[j] = (double)c[j];
        for (int64_t d = 0; d < s->d; d++)
            for (int64_t j = 0; j < s->h; j++) {
                h[d * s->h + j] = naive_act(s->act, a[d * s->h + j]);
                a[(d + 1) * s->h + j] =
                    a[d * s->h + j] +
                    (s->k ? 1 : (double)xr[d]) * (double)w[naive_row(s, xr, d) * s->h + j];
            }
        for (int64_t i = 0; i < s->d * s->p; i++) {
            double sum = (double)b[i];
            for (int64_t j = 0; j < s->h; j++)
                sum += (double)v[i * s->h + j] * h[i / s->p * s->h + j];
            y[r * s->d * s->p + i] = sum;
        }
        for (int64_t j = 0; j < s->h; j++) da[j] = 0;
        for (int64_t d = s->d - 1; d >= 0; d--)
            for (int64_t j = 0; j < s->h; j++) {
                double dh = 0;
                dw[naive_row(s, xr, d) * s->h + j] += (s->k ? 1 : (double)xr[d]) * da[j];
                for (int64_t i = d * s->p; i < (d + 1) * s->p; i++) {
                    const double g = (double)dy[r * s->d * s->p + i];
                    dh += g * (double)v[i * s->h + j];
                    dv[i * s->h + j] += g * h[d * s->h + j];
                    if (!j) db[i] += g;
                }
                da[j] += dh * naive_slope(s->act, h[d * s->h + j]);
            }
        for (int64_t j = 0; j < s->h; j++) dc[j] += da[j];
    }
    free(a);
    free(h);
    free(da);
}

/* The largest difference over the largest value. */
static double naive_gap(const float *got, const double *want, int64_t n)
{
    double gap = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        gap = fmax(gap, fabs((double)got[i] - want[i]));
        most = fmax(most, fabs(want[i]));
    }
    return n && most > 0 ? gap / most : gap;
}

static void naive_case(gm_context *ctx, const naive *s, double same)
{
    const int64_t ws = s->d * (s->k ? s->k : 1) * s->h, vs = s->d * s->p * s->h, bs = s->d * s->p;
    const int64_t count[6] = { s->n * s->d, ws, s->h, vs, bs, s->n * bs };
    const int64_t x_shape[2] = { s->n, s->d }, w_flat[2] = { s->d, s->h },
                  w_class[3] = { s->d, s->k, s->h }, v_flat[2] = { s->d, s->h },
                  v_part[3] = { s->d, s->p, s->h }, b_part[2] = { s->d, s->p },
                  y_shape[3] = { s->n, s->d, s->p };
    const int32_t more = s->p > 1;
    float *data[6];
    double *want[5];
    gm_tape *tape = NULL;
    gm_rng *rng = NULL;
    gm_var v[5];
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    support_ok(ctx, gm_rng_create(&rng, ctx, 9));
    for (int i = 0; i < 6; i++) {
        data[i] = malloc((size_t)count[i] * sizeof(float));
        support_ok(ctx, gm_rng_normal(rng, count[i], 0, i == 1 || i == 3 ? 0.3 : 1, data[i]));
    }
    for (int64_t i = 0; i < count[0]; i++)
        if (s->k)
            data[0][i] = (float)gm_rng_below(rng, s->k);
        else if (s->p == 1)
            data[0][i] = (float)(gm_rng_below(rng, 5) == 0); /* else values */
    for (int i = 0; i < 5; i++) want[i] = calloc((size_t)count[i ? i : 5], sizeof(double));
    naive_run(s, data[0], data[1], data[2], data[3], data[4], data[5], want[0], want[1], want[2],
              want[3], want[4]);
    v[0] = gm_input_array(tape, 2, x_shape, data[0]);
    v[1] = gm_variable(tape, s->k ? 3 : 2, s->k ? w_class : w_flat, data[1]);
    v[2] = gm_variable(tape, 1, &s->h, data[2]);
    v[3] = gm_variable(tape, more ? 3 : 2, more ? v_part : v_flat, data[3]);
    v[4] = gm_variable(tape, more ? 2 : 1, more ? b_part : &s->d, data[4]);
    gm_var y =
        gm_nade_conditionals(tape, v[0], &(gm_nade_weights){ v[1], v[2], v[3], v[4] }, s->act);
    gm_var dy = gm_input_array(tape, more ? 3 : 2, y_shape, data[5]);
    support_ok(ctx, gm_backward(tape, gm_sum(tape, gm_mul(tape, y, dy)), NULL));
    ck_assert_int_eq(gm_count(tape, y), count[5]);
    for (int i = 0; i < 5; i++) {
        const double gap = naive_gap(i ? gm_gradient_of(tape, v[i]) : gm_value(tape, y), want[i],
                                     count[i ? i : 5]);
        ck_assert_msg(
            gap <= same,
            "%lld rows, %lld places, %lld parts, %lld classes, %lld units: %s differ by %g",
            (long long)s->n, (long long)s->d, (long long)s->p, (long long)s->k, (long long)s->h,
            i ? "gradients" : "values", gap);
    }
    for (int i = 0; i < 6; i++) free(data[i]);
    for (int i = 0; i < 5; i++) free(want[i]);
    gm_rng_release(rng);
    gm_tape_release(tape);
}

static void nade_against_naive(double same)
{
    static const naive all[] = {
        { 20, 100, 1, 0, 100, GM_ACTIVATION_SIGMOID }, { 3, 784, 1, 0, 500, GM_ACTIVATION_SIGMOID },
        { 17, 61, 1, 0, 33, GM_ACTIVATION_TANH },      { 9, 40, 1, 0, 64, GM_ACTIVATION_RELU },
        { 9, 12, 5, 5, 70, GM_ACTIVATION_SIGMOID },    { 9, 12, 6, 0, 20, GM_ACTIVATION_TANH },
        { 1, 1, 1, 0, 1, GM_ACTIVATION_SIGMOID },
    };
    gm_context *ctx = support_context(4, 2);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) naive_case(ctx, &all[i], same);
    gm_context_release(ctx);
}

#endif
