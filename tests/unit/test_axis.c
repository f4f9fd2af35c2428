/* test_axis.c - min, max and cumsum along an axis, and split: values, ties, NaN, gradients,
 * refusals. */
#include "gm/gradient.h"
#include "gm/ops.h"
#include "tape_values.h"

static void expect_same(gm_var v, int32_t rank, const int64_t *shape, const float *values)
{
    ck_assert_msg(gm_tape_status(t) == GM_OK, "%s", gm_context_error(ctx));
    ck_assert_int_eq(gm_rank(t, v), rank);
    for (int32_t i = 0; i < rank; i++) ck_assert_int_eq(gm_shape(t, v)[i], shape[i]);
    for (int64_t i = 0; i < gm_count(t, v); i++)
        ck_assert_msg(same(gm_value(t, v)[i], values[i]), "element %lld is %g, expected %g",
                      (long long)i, (double)gm_value(t, v)[i], (double)values[i]);
}

/* Of the sum of y with respect to x, by gm_backward and recorded. */
static void expect_gradient(gm_var y, gm_var x, const float *expected)
{
    gm_var loss = gm_sum(t, y), recorded = gm_gradient(t, loss, x);
    ck_assert_int_eq(gm_backward(t, loss, NULL), GM_OK);
    for (int64_t i = 0; i < gm_count(t, x); i++) {
        ck_assert_float_eq(gm_gradient_of(t, x)[i], expected[i]);
        ck_assert_float_eq(gm_value(t, recorded)[i], expected[i]);
    }
}

START_TEST(test_extremes)
{
    gm_var a = gm_variable(t, SHAPE(2, 3), FLOATS(1, 5, 2, 4, 0, 4));
    expect_same(gm_max(t, a, 1, 0), SHAPE(2), FLOATS(5, 4));
    expect_same(gm_max(t, a, -1, 1), SHAPE(2, 1), FLOATS(5, 4));
    expect_same(gm_max(t, a, 0, 0), SHAPE(3), FLOATS(4, 5, 4));
    expect_same(gm_min(t, a, 1, 0), SHAPE(2), FLOATS(1, 0));
    expect_same(gm_min(t, a, 0, 1), SHAPE(1, 3), FLOATS(1, 0, 2));
    /* the first of two */
    expect_gradient(gm_max(t, a, 1, 0), a, FLOATS(0, 1, 0, 1, 0, 0));
    gm_tape_reset(t);
    a = gm_variable(t, SHAPE(3, 2), FLOATS(3, 1, 3, 0, 3, 0));
    expect_gradient(gm_min(t, a, 0, 1), a, FLOATS(1, 0, 0, 1, 0, 0));
    gm_tape_reset(t);
    a = gm_variable(t, SHAPE(2, 2, 2), FLOATS(1, 2, 3, 0, 7, 5, 6, 8));
    expect_same(gm_max(t, a, 1, 0), SHAPE(2, 2), FLOATS(3, 2, 7, 8));
    expect_gradient(gm_max(t, a, 1, 0), a, FLOATS(0, 1, 1, 0, 1, 0, 0, 1));
}
END_TEST

START_TEST(test_extremes_of_anything)
{
    gm_var a = gm_variable(t, SHAPE(4, 3),
                           FLOATS(1, NAN, NAN, -INFINITY, -INFINITY, -INFINITY, INFINITY, 0,
                                  INFINITY, 0.0f, -0.0f, 1));
    expect_same(gm_max(t, a, 1, 0), SHAPE(4), FLOATS(NAN, -INFINITY, INFINITY, 1));
    expect_same(gm_min(t, a, 1, 0), SHAPE(4), FLOATS(NAN, -INFINITY, 0, 0));
    expect_gradient(gm_max(t, a, 1, 0), a, FLOATS(0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1));
    gm_tape_reset(t);
    a = gm_variable(t, SHAPE(2, 1), FLOATS(2, 3));
    expect_same(gm_max(t, a, 1, 0), SHAPE(2), FLOATS(2, 3));
    gm_var none = gm_input_copy(t, SHAPE(2, 0, 3), FLOATS(0));
    expect_same(gm_min(t, none, 0, 0), SHAPE(0, 3), NULL);
}
END_TEST

/* Wide enough for many shards: the same as a loop, with one thread and three. */
START_TEST(test_large)
{
    enum { A = 7, B = 60, C = 700 };
    static float data[A * B * C], first[A * C];
    gm_rng *rng = NULL;
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 9), GM_OK);
    for (int i = 0; i < A * B * C; i++) data[i] = (float)gm_rng_below(rng, 50);
    gm_rng_release(rng);
    for (int32_t threads = 1; threads <= 3; threads += 2) {
        gm_context *c = support_context(1, threads);
        gm_tape *tape = NULL;
        ck_assert_int_eq(gm_tape_create(&tape, c, NULL), GM_OK);
        gm_var x = gm_variable(tape, SHAPE(A, B, C), data);
        gm_var high = gm_max(tape, x, 1, 0), sums = gm_cumsum(tape, x, 1);
        ck_assert_int_eq(gm_backward(tape, gm_sum(tape, high), NULL), GM_OK);
        for (int a = 0; a < A; a++)
            for (int k = 0; k < C; k++) {
                int taken = 0;
                float sum = 0;
                for (int b = 0; b < B; b++) {
                    int at = (a * B + b) * C + k;
                    sum += data[at];
                    if (data[at] > data[(a * B + taken) * C + k]) taken = b;
                    ck_assert_float_eq(gm_value(tape, sums)[at], sum);
                }
                first[a * C + k] = data[(a * B + taken) * C + k];
                ck_assert_float_eq(gm_value(tape, high)[a * C + k], first[a * C + k]);
                for (int b = 0; b < B; b++)
                    ck_assert_float_eq(gm_gradient_of(tape, x)[(a * B + b) * C + k], b == taken);
            }
        gm_tape_release(tape);
        gm_context_release(c);
    }
}
END_TEST

START_TEST(test_cumsum)
{
    gm_var a = gm_variable(t, SHAPE(2, 3), FLOATS(1, 2, 3, 4, 5, 6));
    expect_same(gm_cumsum(t, a, 1), SHAPE(2, 3), FLOATS(1, 3, 6, 4, 9, 15));
    expect_same(gm_cumsum(t, a, 0), SHAPE(2, 3), FLOATS(1, 2, 3, 5, 7, 9));
    expect_gradient(gm_cumsum(t, a, -1), a, FLOATS(3, 2, 1, 3, 2, 1));
    gm_tape_reset(t);
    /* What is not a number spreads to what follows; the sum before is untouched. */
    a = gm_variable(t, SHAPE(5), FLOATS(1, INFINITY, 2, -INFINITY, 3));
    expect_same(gm_cumsum(t, a, 0), SHAPE(5), FLOATS(1, INFINITY, INFINITY, NAN, NAN));
    gm_var none = gm_input_copy(t, SHAPE(0), FLOATS(0));
    expect_same(gm_cumsum(t, none, 0), SHAPE(0), NULL);
}
END_TEST

/* In double: a million times 0.1 does not lose its digits. */
START_TEST(test_cumsum_precision)
{
    enum { N = 1000000 };
    gm_var a = gm_constant(t, SHAPE(N), 0.1);
    const float *y = gm_value(t, gm_cumsum(t, a, 0));
    ck_assert_double_eq_tol((double)y[N - 1], (double)0.1f * N, 0.01);
}
END_TEST

START_TEST(test_split)
{
    gm_var part[3], a = gm_variable(t, SHAPE(2, 4), FLOATS(0, 1, 2, 3, 4, 5, 6, 7));
    ck_assert_int_eq(gm_split(t, a, 1, 3, (int64_t[]){ 1, 0, 3 }, part), GM_OK);
    expect_same(part[0], SHAPE(2, 1), FLOATS(0, 4));
    expect_same(part[1], SHAPE(2, 0), NULL);
    expect_same(part[2], SHAPE(2, 3), FLOATS(1, 2, 3, 5, 6, 7));
    expect_same(gm_concat(t, part, 3, 1), SHAPE(2, 4), gm_value(t, a));
    /* Each part's gradient goes to its place. */
    gm_var y = gm_add(t, gm_sum(t, part[0]), gm_scale(t, gm_sum(t, part[2]), 2));
    expect_gradient(y, a, FLOATS(1, 2, 2, 2, 1, 2, 2, 2));
    ck_assert_int_eq(gm_split(t, a, -2, 2, NULL, part), GM_OK);
    expect_same(part[0], SHAPE(1, 4), FLOATS(0, 1, 2, 3));
    expect_same(part[1], SHAPE(1, 4), FLOATS(4, 5, 6, 7));
    ck_assert_int_eq(gm_split(t, a, 1, 1, NULL, part), GM_OK);
    expect_same(part[0], SHAPE(2, 4), gm_value(t, a));
}
END_TEST

static void refused(gm_status found, gm_status status, const char *text)
{
    ck_assert_int_eq(found, status);
    support_fails(ctx, gm_tape_status(t), status, text);
    gm_tape_reset(t);
}

static void refused_var(gm_var v, gm_status status, const char *text)
{
    ck_assert_int_eq(v.recording, 0);
    refused(gm_tape_status(t), status, text);
}

START_TEST(test_refusals)
{
#define A gm_constant(t, SHAPE(2, 3), 0)
    gm_var part[3] = { { 1, 1 }, { 1, 1 }, { 1, 1 } };
    refused_var(gm_max(t, A, 2, 0), GM_E_INVALID, "max: axis is 2, input is [2, 3]");
    refused_var(gm_min(t, A, -3, 0), GM_E_INVALID, "min: axis is -3, input is [2, 3]");
    refused_var(gm_max(t, gm_constant(t, SHAPE(2, 0), 0), 1, 0), GM_E_SHAPE,
                "max: input is [2, 0]");
    refused_var(gm_max(t, gm_constant(t, 0, NULL, 0), 0, 0), GM_E_INVALID, "max: axis is 0");
    refused_var(gm_cumsum(t, A, 2), GM_E_INVALID, "cumsum: axis is 2, input is [2, 3]");
    ck_assert_int_eq(gm_cumsum(NULL, GM_NO_VAR, 0).recording, 0);
    refused(gm_split(t, A, 2, 1, NULL, part), GM_E_INVALID, "split: axis is 2, input is [2, 3]");
    ck_assert_int_eq(part[0].recording, 0);
    ck_assert_int_eq(part[1].recording, 1); /* beyond count */
    refused(gm_split(t, A, 1, 2, NULL, part), GM_E_SHAPE, "split: input is [2, 3], 2 parts");
    refused(gm_split(t, A, 1, 0, NULL, part), GM_E_INVALID, "split: 0 parts");
    refused(gm_split(t, A, 1, 2, NULL, NULL), GM_E_INVALID, "split: 2 parts at NULL");
    refused(gm_split(t, A, 1, 2, (int64_t[]){ 4, -1 }, part), GM_E_SHAPE, "split: input is [2, 3]");
    refused(gm_split(t, A, 1, 2, (int64_t[]){ -1, 4 }, part), GM_E_INVALID, "part 0 is -1");
    refused(gm_split(t, A, 1, 3, (int64_t[]){ 2, 1, 1 }, part), GM_E_SHAPE,
            "split: input is [2, 3]");
    refused(gm_split(t, A, 1, 2, (int64_t[]){ 1, 1 }, part), GM_E_SHAPE, "split: input is [2, 3]");
    refused(gm_split(t, GM_NO_VAR, 1, 2, NULL, part), GM_E_STALE, "tape");
    ck_assert_int_eq(gm_split(NULL, GM_NO_VAR, 1, 1, NULL, part), GM_E_INVALID);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("axis");
    TCase *tc = tcase_create("axis");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_extremes);
    tcase_add_test(tc, test_extremes_of_anything);
    tcase_add_test(tc, test_large);
    tcase_add_test(tc, test_cumsum);
    tcase_add_test(tc, test_cumsum_precision);
    tcase_add_test(tc, test_split);
    tcase_add_test(tc, test_refusals);
    suite_add_tcase(s, tc);
    return s;
}
