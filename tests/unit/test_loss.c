/* test_loss.c - gm/loss.h: values against plain references in double, shared targets, wrong shapes
 * and values. */
#include "gm/gradient.h"
#include "gm/loss.h"
#include "gm/ops.h"
#include "tape_values.h"

#define LARGEST (120 * 200)

static float values[4][LARGEST];

/* Fresh values in [low, high) into values[slot]. */
static gm_var fresh(int slot, double low, double high, int32_t rank, const int64_t *shape)
{
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) n *= shape[i];
    ck_assert_int_le(n, LARGEST);
    ck_assert_int_eq(gm_rng_uniform(gm_tape_rng(t), n, low, high, values[slot]), GM_OK);
    return gm_variable(t, rank, shape, values[slot]);
}

static void expect_rows(gm_var v, int64_t rows, const double *want)
{
    ck_assert_msg(gm_tape_status(t) == GM_OK, "%s", gm_context_error(ctx));
    ck_assert_int_eq(gm_rank(t, v), 1);
    ck_assert_int_eq(gm_shape(t, v)[0], rows);
    for (int64_t r = 0; r < rows; r++)
        ck_assert_msg(fabs((double)gm_value(t, v)[r] - want[r]) <= 1e-5 * (1 + fabs(want[r])),
                      "row %lld is %.9g, expected %.9g", (long long)r, (double)gm_value(t, v)[r],
                      want[r]);
}

/* Rows, columns and how many rows share a target row. The last is cut into shards. */
static const int64_t sizes[][3] = { { 1, 1, 1 }, { 3, 7, 1 },     { 6, 5, 3 },
                                    { 6, 5, 6 }, { 120, 200, 1 }, { 120, 200, 4 } };
#define SIZES ((int)(sizeof sizes / sizeof sizes[0]))

START_TEST(test_bce)
{
    int64_t n = sizes[_i][0], d = sizes[_i][1], rep = sizes[_i][2];
    double want[120] = { 0 };
    gm_var l = fresh(0, -30, 30, SHAPE(n, d)), x = fresh(1, 0, 1, SHAPE(n / rep, d));
    for (int64_t r = 0; r < n; r++)
        for (int64_t j = 0; j < d; j++) {
            double u = (double)values[0][r * d + j], v = (double)values[1][r / rep * d + j];
            want[r] += (u > 0 ? u : 0) + log1p(exp(-fabs(u))) - u * v;
        }
    expect_rows(gm_bce_with_logits(t, l, x), n, want);
}
END_TEST

START_TEST(test_squared)
{
    int64_t n = sizes[_i][0], d = sizes[_i][1], rep = sizes[_i][2];
    double sum[120] = { 0 }, mean[120];
    gm_var a = fresh(0, -2, 2, SHAPE(n, d)), b = fresh(1, -2, 2, SHAPE(n / rep, d));
    for (int64_t r = 0; r < n; r++) {
        for (int64_t j = 0; j < d; j++) {
            double gap = (double)values[0][r * d + j] - (double)values[1][r / rep * d + j];
            sum[r] += gap * gap;
        }
        mean[r] = sum[r] / (double)d;
    }
    expect_rows(gm_squared_error(t, a, b), n, sum);
    expect_rows(gm_mse(t, a, b), n, mean);
}
END_TEST

START_TEST(test_gaussian)
{
    int64_t n = sizes[_i][0], d = sizes[_i][1], rep = sizes[_i][2];
    double nll[120] = { 0 }, one[120] = { 0 }, kl[120] = { 0 };
    const double log_two_pi = log(2 * acos(-1));
    gm_var m = fresh(0, -2, 2, SHAPE(n, d)), lv = fresh(1, -3, 3, SHAPE(n, d));
    gm_var x = fresh(2, -2, 2, SHAPE(n / rep, d));
    for (int64_t r = 0; r < n; r++)
        for (int64_t j = 0; j < d; j++) {
            double mu = (double)values[0][r * d + j], v = (double)values[1][r * d + j];
            double gap = (double)values[2][r / rep * d + j] - mu;
            nll[r] += 0.5 * (log_two_pi + v + gap * gap / exp(v));
            one[r] += 0.5 * (log_two_pi - 0.5 + gap * gap / exp(-0.5));
            kl[r] += 0.5 * (mu * mu + exp(v) - v - 1);
        }
    expect_rows(gm_gaussian_nll(t, m, lv, x), n, nll);
    expect_rows(gm_gaussian_nll(t, m, gm_constant(t, 0, NULL, -0.5), x), n, one);
    expect_rows(gm_gaussian_nll(t, m, gm_constant(t, SHAPE(d), -0.5), x), n, one);
    expect_rows(gm_gaussian_nll(t, m, gm_constant(t, SHAPE(n, 1), -0.5), x), n, one);
    expect_rows(gm_gaussian_kl(t, m, lv), n, kl);
}
END_TEST

START_TEST(test_cross_entropy)
{
    int64_t n = sizes[_i][0], k = sizes[_i][1], rep = sizes[_i][2];
    double want[120] = { 0 };
    float label[120];
    gm_var l = fresh(0, -20, 20, SHAPE(n, k));
    for (int64_t r = 0; r < n / rep; r++) label[r] = (float)(r * 3 % k);
    for (int64_t r = 0; r < n; r++) {
        double s = 0;
        for (int64_t j = 0; j < k; j++) s += exp((double)values[0][r * k + j]);
        want[r] = log(s) - (double)values[0][r * k + (int64_t)label[r / rep]];
    }
    expect_rows(gm_cross_entropy(t, l, gm_input_copy(t, SHAPE(n / rep), label)), n, want);
}
END_TEST

START_TEST(test_more_axes)
{
    /* [n, ...] is seen as rows: the same values in another shape give the same losses. */
    gm_var l = fresh(0, -3, 3, SHAPE(4, 2, 3)), x = fresh(1, 0, 1, SHAPE(2, 2, 3));
    gm_var a = gm_bce_with_logits(t, l, x);
    gm_var b = gm_bce_with_logits(t, gm_reshape(t, l, SHAPE(4, 6)), gm_reshape(t, x, SHAPE(2, 6)));
    for (int i = 0; i < 4; i++) ck_assert_float_eq(gm_value(t, a)[i], gm_value(t, b)[i]);
    /* Classes for [n, m, k]: the sum over m. */
    gm_var c = gm_input_copy(t, SHAPE(4, 2), FLOATS(0, 1, 2, 0, 1, 2, 2, 2));
    gm_var all = gm_cross_entropy(t, l, c);
    gm_var each = gm_cross_entropy(t, gm_reshape(t, l, SHAPE(8, 3)), gm_reshape(t, c, SHAPE(8)));
    ck_assert_int_eq(gm_tape_status(t), GM_OK);
    for (int i = 0; i < 4; i++)
        ck_assert_float_eq_tol(gm_value(t, all)[i],
                               gm_value(t, each)[2 * i] + gm_value(t, each)[2 * i + 1], 1e-5f);
    /* A row may be one element, a batch may be empty. */
    double two[2] = { 4, 1 };
    expect_rows(gm_squared_error(t, gm_input_copy(t, SHAPE(2), FLOATS(3, 1)),
                                 gm_input_copy(t, SHAPE(2), FLOATS(1, 2))),
                2, two);
    expect_rows(gm_squared_error(t, fresh(2, 0, 1, SHAPE(2, 0)), fresh(3, 0, 1, SHAPE(2, 0))), 2,
                (double[]){ 0, 0 });
    gm_var none = fresh(2, 0, 1, SHAPE(0, 3));
    expect_rows(gm_bce_with_logits(t, none, none), 0, NULL);
    expect_rows(gm_gaussian_kl(t, none, none), 0, NULL);
    expect_rows(gm_gaussian_nll(t, none, none, none), 0, NULL);
    expect_rows(gm_cross_entropy(t, none, fresh(3, 0, 1, SHAPE(0))), 0, NULL);
}
END_TEST

START_TEST(test_extreme_logits)
{
    gm_var l = gm_variable(t, SHAPE(2, 2), FLOATS(1000, -1000, 1000, -1000));
    gm_var x = gm_input_copy(t, SHAPE(2, 2), FLOATS(1, 0, 0, 1));
    gm_var y = gm_bce_with_logits(t, l, x);
    expect_rows(y, 2, (double[]){ 0, 2000 });
    ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
    ck_assert_float_eq(gm_gradient_of(t, l)[0], 0);
    ck_assert_float_eq(gm_gradient_of(t, l)[2], 1);
    ck_assert_float_eq(gm_gradient_of(t, l)[3], -1);
    y = gm_cross_entropy(t, l, gm_input_copy(t, SHAPE(2), FLOATS(0, 1)));
    expect_rows(y, 2, (double[]){ 0, 2000 });
}
END_TEST

/* Logits that share an offset: exactly representable, so the loss is that of {0, 0, -1}. */
START_TEST(test_offsets)
{
    const float offsets[] = { 0, 1000, -1000, 1e5f, 1e6f, -1e6f };
    const double e = exp(1), u = 2 + 1 / e, p[3] = { 1 / u, 1 / u, 1 / e / u };
    for (int k = 0; k < 6; k++) {
        float o = offsets[k];
        gm_tape_reset(t);
        gm_var l = gm_variable(t, SHAPE(2, 3), FLOATS(o, o, o - 1, o, o, o - 1));
        gm_var y = gm_cross_entropy(t, l, gm_input_copy(t, SHAPE(2), FLOATS(0, 2)));
        expect_rows(y, 2, (double[]){ log(u), 1 + log(u) });
        ck_assert_double_eq_tol((double)gm_value(t, y)[0], log(u), 1e-6);
        gm_var m = gm_variable(t, SHAPE(1, 2, 3), FLOATS(o, o, o - 1, o, o, o - 1));
        gm_var both = gm_cross_entropy(t, m, gm_input_copy(t, SHAPE(1, 2), FLOATS(0, 2)));
        gm_var x = gm_variable(t, SHAPE(3), FLOATS(o, o, o - 1));
        gm_var all = gm_add(t, gm_add(t, gm_sum(t, y), gm_sum(t, both)), gm_logsumexp(t, x));
        ck_assert_int_eq(gm_backward(t, all, NULL), GM_OK);
        for (int i = 0; i < 6; i++) {
            double want = p[i % 3] - (i == 0 || i == 5);
            ck_assert_double_eq_tol((double)gm_gradient_of(t, l)[i], want, 1e-6);
            ck_assert_double_eq_tol((double)gm_gradient_of(t, m)[i], want, 1e-6);
            ck_assert_double_eq_tol((double)gm_gradient_of(t, x)[i % 3], p[i % 3], 1e-6);
        }
    }
}
END_TEST

START_TEST(test_infinite_classes)
{
    const float inf = INFINITY;
    const struct {
        float l[3], class, loss, d[3];
    } limits[] = {
        { { inf, 0, 1 }, 0, 0, { 0, 0, 0 } },
        { { inf, 0, 1 }, 1, inf, { 1, -1, 0 } },
        { { inf, -inf, 1 }, 1, inf, { 1, -1, 0 } },
        { { -inf, 2, 2 }, 1, logf(2), { 0, -0.5f, 0.5f } },
        { { -inf, 2, 2 }, 0, inf, { -1, 0.5f, 0.5f } },
        { { -inf, 2, -inf }, 1, 0, { 0, 0, 0 } },
        { { -inf, -inf, -inf }, 1, NAN, { NAN, NAN, NAN } },
        { { inf, inf, 0 }, 0, NAN, { NAN, NAN, NAN } },
        { { 0, NAN, 0 }, 0, NAN, { NAN, NAN, NAN } },
    };
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        gm_tape_reset(t);
        gm_var l = gm_variable(t, SHAPE(1, 3), limits[k].l);
        gm_var y = gm_cross_entropy(t, l, gm_input_copy(t, SHAPE(1), &limits[k].class));
        gm_var s = gm_softmax(t, l), logs = gm_log_softmax(t, l), whole = gm_logsumexp(t, l);
        ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
        float value = gm_value(t, y)[0], want = limits[k].loss;
        ck_assert_msg(isnan(want) ? isnan(value) : value == want || fabsf(value - want) < 1e-6f,
                      "case %zu: loss is %g, expected %g", k, (double)value, (double)want);
        for (int i = 0; i < 3; i++) {
            float d = gm_gradient_of(t, l)[i], right = limits[k].d[i];
            ck_assert_msg(isnan(right) ? isnan(d) : fabsf(d - right) < 1e-6f,
                          "case %zu: gradient %d is %g, expected %g", k, i, (double)d,
                          (double)right);
            float p = gm_value(t, s)[i], log_p = gm_value(t, logs)[i];
            ck_assert(isnan(value) ? isnan(p) && isnan(log_p) : p >= 0 && log_p <= 0);
        }
        ck_assert(isnan(gm_value(t, whole)[0]) == isnan(limits[k].l[1]));
    }
    /* logsumexp of nothing but -inf is -inf, with gradient 0 */
    gm_tape_reset(t);
    gm_var l = gm_variable(t, SHAPE(2), FLOATS(-inf, -inf)), y = gm_logsumexp(t, l);
    ck_assert_int_eq(gm_backward(t, y, NULL), GM_OK);
    ck_assert(gm_value(t, y)[0] == -inf && gm_gradient_of(t, l)[0] == 0);
}
END_TEST

START_TEST(test_infinite_bernoulli)
{
    const float inf = INFINITY;
    const struct {
        float l, t, loss, d;
    } limits[] = {
        { inf, 1, 0, 0 },
        { inf, 0, inf, 1 },
        { inf, 0.25f, inf, 0.75f },
        { -inf, 0, 0, 0 },
        { -inf, 1, inf, -1 },
        { -inf, 0.25f, inf, -0.25f },
        { NAN, 0, NAN, NAN },
        { NAN, 1, NAN, NAN },
        { 30, 1, 9.35762297e-14f, -9.35762297e-14f },
        { -30, 0, 9.35762297e-14f, 9.35762297e-14f },
        { 0, 0.5f, 0.693147181f, 0 },
    };
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        gm_tape_reset(t);
        gm_var l = gm_variable(t, SHAPE(1, 1), &limits[k].l);
        gm_var y = gm_bce_with_logits(t, l, gm_input_copy(t, SHAPE(1, 1), &limits[k].t));
        gm_var again = gm_gradient(t, gm_sum(t, y), l);
        ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
        float got[3] = { gm_value(t, y)[0], gm_gradient_of(t, l)[0], gm_value(t, again)[0] };
        for (int i = 0; i < 3; i++) {
            float want = i ? limits[k].d : limits[k].loss;
            ck_assert_msg(
                isnan(want) ? isnan(got[i])
                            : got[i] == want || fabsf(got[i] - want) <= 2e-6f * fabsf(want),
                "logit %g, target %g: %s is %g, expected %g", (double)limits[k].l,
                (double)limits[k].t, i ? "gradient" : "loss", (double)got[i], (double)want);
        }
    }
}
END_TEST

START_TEST(test_infinite_gaussians)
{
    const float inf = INFINITY, log_two_pi = 1.83787707f;
    const struct {
        float gap, v, loss, dm, dv;
    } nll[] = {
        { 0, -inf, -inf, 0, 0.5f },
        { 1, -inf, inf, -inf, -inf },
        { 0, inf, inf, 0, 0.5f },
        { 1, inf, inf, 0, 0.5f },
        { 0, -300, 0.5f * (log_two_pi - 300), 0, 0.5f },
        { inf, 0, inf, -inf, -inf },
        { 0, NAN, NAN, 0, 0.5f },
        { 1e-20f, -100, 0.5f * (log_two_pi - 100 + 2688.1171f), -2.6881171e23f, -1343.5586f },
    };
    for (size_t k = 0; k < sizeof nll / sizeof *nll; k++) {
        gm_tape_reset(t);
        gm_var m = gm_variable(t, SHAPE(1, 1), FLOATS(0));
        gm_var v = gm_variable(t, SHAPE(1, 1), &nll[k].v);
        gm_var y = gm_gaussian_nll(t, m, v, gm_input_copy(t, SHAPE(1, 1), &nll[k].gap));
        ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
        float got[3] = { gm_value(t, y)[0], gm_gradient_of(t, m)[0], gm_gradient_of(t, v)[0] };
        float want[3] = { nll[k].loss, nll[k].dm, nll[k].dv };
        for (int i = 0; i < 3 && !isnan(want[0]); i++)
            ck_assert_msg(got[i] == want[i] || fabsf(got[i] - want[i]) <= 2e-5f * fabsf(want[i]),
                          "case %zu: output %d is %g, expected %g", k, i, (double)got[i],
                          (double)want[i]);
        if (isnan(want[0])) ck_assert(isnan(got[0]));
    }
    const float kl[][3] = { { inf, inf, inf },
                            { -inf, inf, -0.5f },
                            { 100, inf, inf },
                            { 1e-4f, 2.50008334e-9f, 5.00025e-5f },
                            { -1e-3f, 2.49916688e-7f, -4.99750083e-4f },
                            { 0, 0, 0 },
                            { 0.5f, 0.074360635f, 0.324360635f },
                            { 0.51f, 0.077645598f, 0.332645598f } };
    for (size_t k = 0; k < sizeof kl / sizeof *kl; k++) {
        gm_tape_reset(t);
        gm_var m = gm_variable(t, SHAPE(1, 1), FLOATS(0)), v = gm_variable(t, SHAPE(1, 1), kl[k]);
        gm_var y = gm_gaussian_kl(t, m, v);
        ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
        float got[2] = { gm_value(t, y)[0], gm_gradient_of(t, v)[0] };
        for (int i = 0; i < 2; i++)
            ck_assert_msg(got[i] == kl[k][i + 1] ||
                              fabsf(got[i] - kl[k][i + 1]) <= 1e-6f * fabsf(kl[k][i + 1]),
                          "log_variance %g: output %d is %.9g, expected %.9g", (double)kl[k][0], i,
                          (double)got[i], (double)kl[k][i + 1]);
    }
}
END_TEST

START_TEST(test_bad_targets)
{
    const float bad[4] = { -0.25f, 1.5f, NAN, INFINITY };
    const char *const text[4] = { "-0.25,", "1.5,", "nan,", "inf," };
    for (int k = 0; k < 4; k++) {
        gm_var l = fresh(0, -1, 1, SHAPE(4, 3));
        gm_var x = gm_input_copy(t, SHAPE(2, 3), FLOATS(0, 1, 0.5f, 1, bad[k], 0));
        fails(gm_bce_with_logits(t, l, x), GM_E_INVALID,
              "bce_with_logits: target at row 1, column 1 is", text[k], "0 to 1");
    }
    const float wrong[5] = { 3, -1, 0.5f, NAN, INFINITY };
    const char *const said[5] = { "3,", "-1,", "0.5,", "nan,", "inf," };
    for (int k = 0; k < 5; k++) {
        gm_var l = fresh(0, -1, 1, SHAPE(4, 3));
        gm_var c = gm_input_copy(t, SHAPE(4), FLOATS(0, 1, wrong[k], 2));
        fails(gm_cross_entropy(t, l, c), GM_E_INVALID, "cross_entropy: class at row 2, column 0 is",
              said[k], "0 to 2");
    }
    /* The first of several is named, however the rows are cut. */
    for (int i = 0; i < LARGEST; i++) values[1][i] = i < 4444 ? 0.5f : 7;
    gm_var l = fresh(0, -1, 1, SHAPE(120, 200)), x = gm_input_copy(t, SHAPE(120, 200), values[1]);
    fails(gm_bce_with_logits(t, l, x), GM_E_INVALID, "bce_with_logits:", "row 22, column 44", "7");
}
END_TEST

START_TEST(test_bad_shapes)
{
    gm_var (*const pairs[4])(gm_tape *, gm_var, gm_var) = { gm_bce_with_logits, gm_squared_error,
                                                            gm_mse, gm_gaussian_kl };
    const char *const names[4] = { "bce_with_logits:", "squared_error:", "mse:", "gaussian_kl:" };
    for (int i = 0; i < 4; i++) {
        gm_var a = fresh(0, 0, 1, SHAPE(4, 3)), b = fresh(1, 0, 1, SHAPE(4, 2));
        fails(pairs[i](t, a, b), GM_E_SHAPE, names[i], "[4, 3]", "[4, 2]");
        a = fresh(0, 0, 1, SHAPE(4, 3)), b = fresh(1, 0, 1, SHAPE(3, 3));
        fails(pairs[i](t, a, b), GM_E_SHAPE, names[i], "[4, 3]", "[3, 3]");
        a = fresh(0, 0, 1, SHAPE(4, 3)), b = fresh(1, 0, 1, SHAPE(8, 3));
        fails(pairs[i](t, a, b), GM_E_SHAPE, names[i], "[4, 3]", "[8, 3]");
        a = fresh(0, 0, 1, SHAPE(4, 3)), b = fresh(1, 0, 1, SHAPE(0, 3));
        fails(pairs[i](t, a, b), GM_E_SHAPE, names[i], "[4, 3]", "[0, 3]");
        a = fresh(0, 0, 1, SHAPE(4, 3)), b = fresh(1, 0, 1, SHAPE(3));
        fails(pairs[i](t, a, b), GM_E_SHAPE, names[i], "[4, 3]", "[3]");
        a = fresh(0, 0, 1, 0, NULL);
        fails(pairs[i](t, a, a), GM_E_SHAPE, names[i], "[]", "");
        a = fresh(0, 0, 1, SHAPE(2));
        gm_tape_reset(t);
        fails(pairs[i](t, a, a), GM_E_STALE, "tape:", "recording", "");
        ck_assert_int_eq(pairs[i](NULL, a, a).recording, 0);
    }
    gm_var a = fresh(0, 0, 1, SHAPE(2, 0));
    fails(gm_mse(t, a, a), GM_E_SHAPE, "mse:", "[2, 0]", "nothing");
    a = fresh(0, 0, 1, SHAPE(4, 3));
    gm_var b = fresh(1, 0, 1, SHAPE(2, 3)), c = fresh(2, 0, 1, SHAPE(4, 2));
    fails(gm_gaussian_nll(t, a, b, a), GM_E_SHAPE, "gaussian_nll: mean is [4, 3]",
          "log_variance is [2, 3]", "");
    a = fresh(0, 0, 1, SHAPE(4, 3)), c = fresh(2, 0, 1, SHAPE(4, 2));
    fails(gm_gaussian_nll(t, a, a, c), GM_E_SHAPE, "gaussian_nll: mean is [4, 3]", "x is [4, 2]",
          "");
    a = fresh(0, 0, 1, SHAPE(3)), b = fresh(1, 0, 1, SHAPE(2, 3));
    fails(gm_gaussian_nll(t, a, b, a), GM_E_SHAPE, "gaussian_nll:", "[3]", "[2, 3]");
    fails(gm_gaussian_nll(t, GM_NO_VAR, GM_NO_VAR, GM_NO_VAR), GM_E_STALE, "tape:", "", "");
    ck_assert_int_eq(gm_gaussian_nll(NULL, a, a, a).recording, 0);
    const int64_t classes[4][2] = { { 3, 0 }, { 8, 0 }, { 0, 0 }, { 4, 3 } };
    for (int i = 0; i < 4; i++) {
        a = fresh(0, 0, 1, SHAPE(4, 3)), b = fresh(1, 0, 1, i == 3 ? 2 : 1, classes[i]);
        fails(gm_cross_entropy(t, a, b), GM_E_SHAPE, "cross_entropy:", "logits is [4, 3]",
              "classes is");
    }
    a = fresh(0, 0, 1, SHAPE(3)), b = fresh(1, 0, 1, 0, NULL);
    fails(gm_cross_entropy(t, a, b), GM_E_SHAPE, "cross_entropy:", "[3]", "[]");
    a = fresh(0, 0, 1, SHAPE(3, 0)), b = fresh(1, 0, 1, SHAPE(3));
    fails(gm_cross_entropy(t, a, b), GM_E_SHAPE, "cross_entropy:", "[3, 0]", "[3]");
    ck_assert_int_eq(gm_cross_entropy(NULL, a, a).recording, 0);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("loss");
    TCase *tc = tcase_create("loss");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_bce, 0, SIZES);
    tcase_add_loop_test(tc, test_squared, 0, SIZES);
    tcase_add_loop_test(tc, test_gaussian, 0, SIZES);
    tcase_add_loop_test(tc, test_cross_entropy, 0, SIZES);
    tcase_add_test(tc, test_more_axes);
    tcase_add_test(tc, test_extreme_logits);
    tcase_add_test(tc, test_offsets);
    tcase_add_test(tc, test_infinite_classes);
    tcase_add_test(tc, test_infinite_bernoulli);
    tcase_add_test(tc, test_infinite_gaussians);
    tcase_add_test(tc, test_bad_targets);
    tcase_add_test(tc, test_bad_shapes);
    suite_add_tcase(s, tc);
    return s;
}
