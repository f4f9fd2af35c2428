/* test_matmul.c - gm_matmul and gm_linear of gm/ops.h: values, leading axes against nested loops,
 * empty products, refusals. */
#include "gm/ops.h"
#include "tape_values.h"

START_TEST(test_matmul)
{
    gm_var a = gm_input_copy(t, SHAPE(2, 3), FLOATS(1, 2, 3, 4, 5, 6));
    gm_var b = gm_input_copy(t, SHAPE(3, 2), FLOATS(1, -1, 0, 2, 3, 1));
    expect(gm_matmul(t, a, b, 0, 0), SHAPE(2, 2), FLOATS(10, 6, 22, 12));
    expect(gm_matmul(t, b, a, 1, 1), SHAPE(2, 2), FLOATS(10, 22, 6, 12));
    expect(gm_matmul(t, a, a, 0, 1), SHAPE(2, 2), FLOATS(14, 32, 32, 77));
    expect(gm_matmul(t, b, b, 1, 0), SHAPE(2, 2), FLOATS(10, 2, 2, 6));
    gm_var p = ramp(SHAPE(2, 1, 2)), q = ramp(SHAPE(2, 2, 1));
    expect(gm_matmul(t, p, q, 0, 0), SHAPE(2, 1, 1), FLOATS(1, 13));
    expect(gm_matmul(t, ramp(SHAPE(2, 0)), ramp(SHAPE(0, 2)), 0, 0), SHAPE(2, 2),
           FLOATS(0, 0, 0, 0));
    expect_shape(gm_matmul(t, ramp(SHAPE(0, 3)), b, 0, 0), SHAPE(0, 2));
    fails(gm_matmul(t, a, a, 0, 0), GM_E_SHAPE, "matmul:", "first is [2, 3]", "second is [2, 3]");
    a = ramp(SHAPE(2, 3));
    fails(gm_matmul(t, a, a, 1, 1), GM_E_SHAPE, "matmul:", "[2, 3] transposed", "inner");
    a = ramp(SHAPE(2, 3)), b = ramp(SHAPE(3));
    fails(gm_matmul(t, a, b, 0, 0), GM_E_SHAPE, "matmul:", "[2, 3]", "[3]");
    a = ramp(SHAPE(2, 2, 3)), b = ramp(SHAPE(3, 3, 2));
    fails(gm_matmul(t, a, b, 0, 0), GM_E_SHAPE, "matmul:", "[2, 2, 3]", "[3, 3, 2]");
    a = ramp(SHAPE(2, 3, 2, 2)), b = ramp(SHAPE(2, 2, 2, 2));
    fails(gm_matmul(t, a, b, 0, 0), GM_E_SHAPE, "matmul:", "[2, 3, 2, 2]", "[2, 2, 2, 2]");
}
END_TEST

/* Every pattern of repeated and missing leading axes, against nested loops; all four ways to
 * store. */
START_TEST(test_matmul_leading)
{
    static const int64_t full[2] = { 2, 5 }; /* 10 products: whole ones; 2 or 5: cut inside */
    enum { M = 2, K = 3, N = 4 };
    for (int pattern = 0; pattern < 256; pattern++) {
        int ta = pattern & 1, tb = pattern >> 1 & 1;
        int64_t sa[4] = { 1, 1, ta ? K : M, ta ? M : K }, sb[4] = { 1, 1, tb ? N : K, tb ? K : N };
        int64_t so[4];
        for (int d = 0; d < 2; d++) {
            if (pattern >> (2 + d) & 1) sa[d] = full[d];
            if (pattern >> (4 + d) & 1) sb[d] = full[d];
            so[d] = sa[d] > sb[d] ? sa[d] : sb[d];
        }
        int32_t cut_a = sa[0] == 1 && pattern >> 6 & 1, cut_b = sb[0] == 1 && pattern >> 7 & 1;
        gm_tape_reset(t);
        gm_var a = ramp(4 - cut_a, sa + cut_a), b = ramp(4 - cut_b, sb + cut_b);
        gm_var y = gm_matmul(t, a, b, ta, tb);
        ck_assert_int_eq(gm_tape_status(t), GM_OK);
        ck_assert_int_eq(gm_rank(t, y), 4 - (cut_a && cut_b));
        ck_assert_int_eq(gm_count(t, y), so[0] * so[1] * M * N);
        for (int64_t i = 0; i < so[0] * so[1]; i++) {
            int64_t p = i / so[1], q = i % so[1];
            int64_t at_a = (sa[0] == 1 ? 0 : p) * sa[1] + (sa[1] == 1 ? 0 : q);
            int64_t at_b = (sb[0] == 1 ? 0 : p) * sb[1] + (sb[1] == 1 ? 0 : q);
            for (int64_t m = 0; m < M; m++)
                for (int64_t n = 0; n < N; n++) {
                    float sum = 0;
                    for (int64_t k = 0; k < K; k++)
                        sum += gm_value(t, a)[at_a * M * K + (ta ? k * M + m : m * K + k)] *
                               gm_value(t, b)[at_b * K * N + (tb ? n * K + k : k * N + n)];
                    ck_assert_float_eq(gm_value(t, y)[(i * M + m) * N + n], sum);
                }
        }
    }
    /* Nothing on a leading axis: no product, and gradients of 0. */
    gm_tape_reset(t);
    gm_var a = ramp(SHAPE(0, 2, 3)), b = ramp(SHAPE(3, 2));
    gm_var y = gm_matmul(t, a, b, 0, 0);
    expect_shape(y, SHAPE(0, 2, 2));
    ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
    for (int i = 0; i < 6; i++) ck_assert_float_eq(gm_gradient_of(t, b)[i], 0);
}
END_TEST

START_TEST(test_linear)
{
    gm_var x = gm_input_copy(t, SHAPE(2, 3), FLOATS(1, 2, 3, -1, 0, 1));
    gm_var w = gm_input_copy(t, SHAPE(2, 3), FLOATS(1, 0, 1, 0, 2, -1));
    gm_var b = gm_input_copy(t, SHAPE(2), FLOATS(-1, 0.5f));
    expect(gm_linear(t, x, w, b, GM_ACTIVATION_NONE, 0), SHAPE(2, 2), FLOATS(3, 1.5f, -1, -0.5f));
    expect(gm_linear(t, x, w, b, GM_ACTIVATION_RELU, 0), SHAPE(2, 2), FLOATS(3, 1.5f, 0, 0));
    expect(gm_linear(t, x, w, GM_NO_VAR, GM_ACTIVATION_NONE, 0), SHAPE(2, 2), FLOATS(4, 1, 0, -1));
    expect_shape(gm_linear(t, ramp(SHAPE(2, 5, 3)), w, b, 0, 0), SHAPE(2, 5, 2));
    expect_shape(gm_linear(t, ramp(SHAPE(3)), w, b, 0, 0), SHAPE(2));
    expect_shape(gm_linear(t, ramp(SHAPE(0, 3)), w, b, 0, 0), SHAPE(0, 2));
    expect(gm_linear(t, ramp(SHAPE(2, 0)), ramp(SHAPE(2, 0)), b, GM_ACTIVATION_RELU, 0),
           SHAPE(2, 2), FLOATS(0, 0.5f, 0, 0.5f));
    /* An empty batch has gradients of zero. */
    gm_var weight = ramp(SHAPE(2, 3)), bias = ramp(SHAPE(2));
    gm_var y = gm_linear(t, ramp(SHAPE(0, 3)), weight, bias, GM_ACTIVATION_TANH, 0);
    ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
    for (int i = 0; i < 6; i++) ck_assert_float_eq(gm_gradient_of(t, weight)[i], 0);
    for (int i = 0; i < 2; i++) ck_assert_float_eq(gm_gradient_of(t, bias)[i], 0);
}
END_TEST

START_TEST(test_linear_bad)
{
    gm_var x = ramp(SHAPE(128, 783)), w = ramp(SHAPE(4, 784)), b = ramp(SHAPE(5));
    fails(gm_linear(t, x, w, GM_NO_VAR, 0, 0), GM_E_SHAPE, "linear: input is [128, 783]",
          "[4, 784]", "784 columns");
    x = ramp(SHAPE(2, 784)), w = ramp(SHAPE(4, 784)), b = ramp(SHAPE(5));
    fails(gm_linear(t, x, w, b, 0, 0), GM_E_SHAPE, "linear: bias is [5]", "[4, 784]", "");
    x = ramp(SHAPE(2, 3)), w = ramp(SHAPE(4, 3)), b = ramp(SHAPE(1, 4));
    fails(gm_linear(t, x, w, b, 0, 0), GM_E_SHAPE, "linear: bias is [1, 4]", "[4, 3]", "");
    x = ramp(0, NULL), w = ramp(SHAPE(4, 1));
    fails(gm_linear(t, x, w, GM_NO_VAR, 0, 0), GM_E_SHAPE, "linear:", "input is []", "[4, 1]");
    x = ramp(SHAPE(2, 3)), w = ramp(SHAPE(3));
    fails(gm_linear(t, x, w, GM_NO_VAR, 0, 0), GM_E_SHAPE, "linear:", "[2, 3]", "weight is [3]");
    x = ramp(SHAPE(2, 3)), w = ramp(SHAPE(4, 3));
    fails(gm_linear(t, x, w, GM_NO_VAR, -1, 0), GM_E_INVALID, "linear:", "-1", "GM_ACTIVATION_");
    x = ramp(SHAPE(2, 3)), w = ramp(SHAPE(4, 3));
    fails(gm_linear(t, x, w, GM_NO_VAR, GM_ACTIVATION_LEAKY_RELU, -2), GM_E_INVALID,
          "linear:", "-2", "slope");
    fails(gm_linear(t, GM_NO_VAR, GM_NO_VAR, GM_NO_VAR, 0, 0), GM_E_STALE, "tape:", "", "");
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("matmul");
    TCase *tc = tcase_create("matmul");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_matmul);
    tcase_add_test(tc, test_matmul_leading);
    tcase_add_test(tc, test_linear);
    tcase_add_test(tc, test_linear_bad);
    suite_add_tcase(s, tc);
    return s;
}
