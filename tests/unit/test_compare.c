/* test_compare.c - minimum, maximum, comparisons and where of gm/ops.h: values, ties, NaN,
 * infinities, broadcasting, gradients. */
#include "gm/gradient.h"
#include "gm/ops.h"
#include "tape_values.h"

#define PAIRS 12
/* Ordinary values, ties, signed zeros, infinities, NaN on each side. */
static const float left[PAIRS] = {
    1, 2, -3, 0.0f, INFINITY, -INFINITY, 5, 5, 1, NAN, -INFINITY, NAN
};
static const float right[PAIRS] = { 2, 1, -3, -0.0f, 1, 7, INFINITY, -INFINITY, NAN, 1, NAN, NAN };

static void pair(gm_var *a, gm_var *b)
{
    const int64_t shape[1] = { PAIRS };
    gm_tape_reset(t);
    *a = gm_variable(t, 1, shape, left);
    *b = gm_variable(t, 1, shape, right);
}

START_TEST(test_values)
{
    gm_var a, b;
    pair(&a, &b);
    const float *greater = gm_value(t, gm_greater(t, a, b)), *less = gm_value(t, gm_less(t, a, b));
    const float *not_less = gm_value(t, gm_greater_equal(t, a, b));
    const float *not_greater = gm_value(t, gm_less_equal(t, a, b));
    const float *equal = gm_value(t, gm_equal(t, a, b));
    const float *low = gm_value(t, gm_minimum(t, a, b)), *high = gm_value(t, gm_maximum(t, a, b));
    ck_assert_int_eq(gm_tape_status(t), GM_OK);
    for (int i = 0; i < PAIRS; i++) {
        float p = left[i], q = right[i];
        int nan = isnan(p) || isnan(q);
        ck_assert_float_eq(greater[i], p > q);
        ck_assert_float_eq(not_less[i], p >= q);
        ck_assert_float_eq(less[i], p < q);
        ck_assert_float_eq(not_greater[i], p <= q);
        ck_assert_float_eq(equal[i], p == q);
        ck_assert(same(low[i], nan ? NAN : p < q ? p : q));
        ck_assert(same(high[i], nan ? NAN : p > q ? p : q));
    }
}
END_TEST

/* Gradients by gm_backward, and the same numbers recorded by gm_gradients. */
static void expect_gradients(gm_var y, const gm_var *v, int count, const float *const *expected)
{
    gm_var recorded[3];
    gm_var loss = gm_sum(t, y);
    ck_assert_int_eq(gm_gradients(t, loss, v, count, recorded), GM_OK);
    ck_assert_int_eq(gm_backward(t, loss, NULL), GM_OK);
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < gm_count(t, v[k]); i++) {
            ck_assert_float_eq(gm_gradient_of(t, v[k])[i], expected[k][i]);
            ck_assert_float_eq(gm_value(t, recorded[k])[i], expected[k][i]);
        }
}

START_TEST(test_ties)
{
    gm_var v[2];
    float to[2][PAIRS];
    const float *const expected[2] = { to[0], to[1] };
    for (int larger = 0; larger < 2; larger++) {
        pair(&v[0], &v[1]);
        for (int i = 0; i < PAIRS; i++) {
            float p = left[i], q = right[i];
            /* PyTorch: half each in a tie, all to both beside a NaN. */
            to[0][i] = p == q ? 0.5f : (larger ? p < q : p > q) ? 0 : 1;
            to[1][i] = p == q ? 0.5f : (larger ? p > q : p < q) ? 0 : 1;
        }
        expect_gradients(larger ? gm_maximum(t, v[0], v[1]) : gm_minimum(t, v[0], v[1]), v, 2,
                         expected);
    }
    /* Repeated operands gather halves: [2, 2] against [2], one tie a column. */
    gm_tape_reset(t);
    v[0] = gm_variable(t, 2, (int64_t[]){ 2, 2 }, (float[]){ 1, 5, 3, 2 });
    v[1] = gm_variable(t, 1, (int64_t[]){ 2 }, (float[]){ 1, 2 });
    expect_gradients(
        gm_maximum(t, v[0], v[1]), v, 2,
        (const float *const[]){ (float[]){ 0.5f, 1, 1, 0.5f }, (float[]){ 0.5f, 0.5f } });
}
END_TEST

START_TEST(test_comparison_is_constant)
{
    gm_var v[2];
    pair(&v[0], &v[1]);
    gm_var both = gm_add(t, gm_greater(t, v[0], v[1]), gm_equal(t, v[0], v[1]));
    gm_var loss = gm_sum(t, both);
    ck_assert_int_eq(gm_backward(t, loss, NULL), GM_OK);
    const float *none = gm_gradient_of(t, v[0]);
    for (int i = 0; none && i < PAIRS; i++) ck_assert_float_eq(none[i], 0);
    gm_var recorded = gm_gradient(t, loss, v[0]);
    for (int i = 0; i < PAIRS; i++) ck_assert_float_eq(gm_value(t, recorded)[i], 0);
    /* A product with one keeps the other factor's gradient. */
    pair(&v[0], &v[1]);
    gm_var ones = gm_constant(t, 1, (int64_t[]){ PAIRS }, 1);
    gm_var w = gm_variable(t, 1, (int64_t[]){ PAIRS }, gm_value(t, ones));
    gm_var mask = gm_less(t, v[0], v[1]);
    ck_assert_int_eq(gm_backward(t, gm_sum(t, gm_mul(t, w, mask)), NULL), GM_OK);
    for (int i = 0; i < PAIRS; i++) ck_assert_float_eq(gm_gradient_of(t, w)[i], left[i] < right[i]);
}
END_TEST

START_TEST(test_where)
{
    const float condition[6] = { 1, 0, -2, -0.0f, NAN, INFINITY };
    const int64_t six[1] = { 6 };
    gm_var v[3];
    v[0] = gm_variable(t, 1, six, condition);
    /* What is not taken may be anything. */
    v[1] = gm_variable(t, 1, six, (float[]){ 1, NAN, 3, INFINITY, 5, 6 });
    v[2] = gm_variable(t, 1, six, (float[]){ NAN, -2, NAN, -4, -INFINITY, NAN });
    gm_var y = gm_where(t, v[0], v[1], v[2]);
    const float expected[6] = { 1, -2, 3, -4, 5, 6 };
    for (int i = 0; i < 6; i++) ck_assert_float_eq(gm_value(t, y)[i], expected[i]);
    expect_gradients(y, v, 3,
                     (const float *const[]){ (float[]){ 0, 0, 0, 0, 0, 0 },
                                             (float[]){ 1, 0, 1, 0, 1, 1 },
                                             (float[]){ 0, 1, 0, 1, 0, 0 } });
    /* log x where x > 0, else 0, with its argument chosen too: no NaN on the way back. */
    gm_tape_reset(t);
    gm_var x = gm_variable(t, 1, (int64_t[]){ 3 }, (float[]){ -1, 0, 2 });
    gm_var zero = gm_constant(t, 0, NULL, 0), one = gm_constant(t, 0, NULL, 1);
    gm_var positive = gm_greater(t, x, zero);
    y = gm_where(t, positive, gm_log(t, gm_where(t, positive, x, one)), zero);
    expect_gradients(y, &x, 1, (const float *const[]){ (float[]){ 0, 0, 0.5f } });
}
END_TEST

/* Every pattern of repeated axes of the three operands, against nested loops. */
START_TEST(test_where_broadcast)
{
    static const int64_t full[3] = { 2, 3, 4 };
    for (int pattern = 0; pattern < 512; pattern++) {
        int64_t shape[3][3], whole[3] = { 1, 1, 1 }, sizes[3] = { 1, 1, 1 };
        float data[3][24], count[3][24] = { { 0 } };
        gm_var v[3];
        gm_tape_reset(t);
        for (int k = 0; k < 3; k++) {
            for (int d = 0; d < 3; d++) {
                shape[k][d] = pattern >> (3 * k + d) & 1 ? 1 : full[d];
                sizes[k] *= shape[k][d];
                if (shape[k][d] > whole[d]) whole[d] = shape[k][d];
            }
            for (int i = 0; i < 24; i++) data[k][i] = k ? (float)(100 * k + i) : (float)(i % 3 % 2);
            /* leading axes of size 1 may be missing */
            int32_t skip = shape[k][0] == 1 ? 1 : 0;
            v[k] = gm_variable(t, 3 - skip, shape[k] + skip, data[k]);
        }
        gm_var y = gm_where(t, v[0], v[1], v[2]);
        ck_assert_int_eq(gm_tape_status(t), GM_OK);
        ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
        int64_t at = 0;
        for (int64_t i = 0; i < whole[0]; i++)
            for (int64_t j = 0; j < whole[1]; j++)
                for (int64_t l = 0; l < whole[2]; l++) {
                    int64_t x[3] = { i, j, l }, place[3] = { 0, 0, 0 };
                    for (int k = 0; k < 3; k++)
                        for (int d = 0; d < 3; d++)
                            place[k] = place[k] * shape[k][d] + (shape[k][d] == 1 ? 0 : x[d]);
                    int taken = data[0][place[0]] != 0 ? 1 : 2;
                    count[taken][place[taken]] += 1;
                    /* axes that were left out are in front, so the order is the same */
                    ck_assert_float_eq(gm_value(t, y)[at++], data[taken][place[taken]]);
                }
        ck_assert_int_eq(gm_count(t, y), at);
        for (int k = 0; k < 3; k++)
            for (int64_t i = 0; i < sizes[k]; i++)
                ck_assert_float_eq(gm_gradient_of(t, v[k])[i], k ? count[k][i] : 0);
    }
}
END_TEST

START_TEST(test_empty)
{
    gm_var a = gm_variable(t, 2, (int64_t[]){ 0, 3 }, left);
    gm_var b = gm_variable(t, 1, (int64_t[]){ 3 }, (float[]){ 1, 2, 3 });
    gm_var y = gm_where(t, gm_less(t, a, b), gm_minimum(t, a, b), b);
    ck_assert_int_eq(gm_count(t, y), 0);
    ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
    for (int i = 0; i < 3; i++) ck_assert_float_eq(gm_gradient_of(t, b)[i], 0);
}
END_TEST

static void refused(gm_var v, const char *text)
{
    ck_assert_int_eq(v.recording, 0);
    support_fails(ctx, gm_tape_status(t), GM_E_SHAPE, text);
    gm_tape_reset(t);
}

START_TEST(test_refusals)
{
#define TWO gm_constant(t, 1, (int64_t[]){ 2 }, 0)
#define THREE gm_constant(t, 1, (int64_t[]){ 3 }, 0)
    refused(gm_minimum(t, TWO, THREE), "minimum: [2] and [3]");
    refused(gm_maximum(t, TWO, THREE), "maximum: [2] and [3]");
    refused(gm_greater(t, TWO, THREE), "greater: [2] and [3]");
    refused(gm_equal(t, TWO, THREE), "equal: [2] and [3]");
    refused(gm_where(t, TWO, TWO, THREE), "where: [2], [2] and [3]");
    refused(gm_where(t, THREE, TWO, TWO), "where: [3], [2] and [2]");
    ck_assert_int_eq(gm_where(t, TWO, GM_NO_VAR, TWO).recording, 0);
    ck_assert_int_eq(gm_tape_status(t), GM_E_STALE);
    ck_assert_int_eq(gm_where(NULL, GM_NO_VAR, GM_NO_VAR, GM_NO_VAR).recording, 0);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("compare");
    TCase *tc = tcase_create("compare");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_values);
    tcase_add_test(tc, test_ties);
    tcase_add_test(tc, test_comparison_is_constant);
    tcase_add_test(tc, test_where);
    tcase_add_test(tc, test_where_broadcast);
    tcase_add_test(tc, test_empty);
    tcase_add_test(tc, test_refusals);
    suite_add_tcase(s, tc);
    return s;
}
