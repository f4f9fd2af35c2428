/* test_loss.c - gm/loss.h: values against plain references in double, shared targets, wrong shapes
 * and values. */
#include "gm/loss.h"
#include "gm/ops.h"
#include "support.h"

static gm_context *ctx;
static gm_tape *t;

static void setup(void)
{
    ctx = support_context(4, 2);
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
}

static void teardown(void)
{
    gm_tape_release(t);
    gm_context_release(ctx);
    t = NULL;
}

#define SHAPE(...)                                                                                 \
    (int32_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[])                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define FLOATS(...) ((float[]){ __VA_ARGS__ })
#define LARGEST (120 * 200)

static float values[4][LARGEST];

/* Fresh values in [low, high) into values[slot]. */
static gm_var fresh(int slot, double low, double high, int32_t rank, const int64_t *shape)
{
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) n *= shape[i];
    ck_assert_int_le(n, LARGEST);
    ck_assert_int_eq(gm_rng_uniform(gm_tape_rng(t), values[slot], n, low, high), GM_OK);
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

static void fails(gm_var v, gm_status status, const char *a, const char *b, const char *c)
{
    const char *line = gm_context_error(ctx);
    ck_assert_int_eq(v.recording, 0);
    ck_assert_msg(gm_tape_status(t) == status, "%s instead of %s: %s",
                  gm_status_name(gm_tape_status(t)), gm_status_name(status), line);
    ck_assert_msg(strstr(line, a) == line, "\"%s\" does not begin with \"%s\"", line, a);
    ck_assert_msg(strstr(line, b) && strstr(line, c), "\"%s\" lacks \"%s\" or \"%s\"", line, b, c);
    gm_tape_reset(t);
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
    tcase_add_test(tc, test_bad_targets);
    tcase_add_test(tc, test_bad_shapes);
    suite_add_tcase(s, tc);
    return s;
}
