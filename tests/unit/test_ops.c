/* test_ops.c - gm/ops.h: values against tables and plain references, broadcasting, every wrong
 * argument. */
#include "gm/loss.h"
#include "gm/ops.h"
#include "tape_values.h"

START_TEST(test_binary)
{
    gm_var a = gm_input_copy(t, SHAPE(2, 3), FLOATS(1, 2, 3, 4, 5, 6));
    gm_var row = gm_input_copy(t, SHAPE(3), FLOATS(10, 20, 40));
    gm_var column = gm_input_copy(t, SHAPE(2, 1), FLOATS(2, 4));
    gm_var one = gm_constant(t, 0, NULL, 2);
    expect(gm_add(t, a, a), SHAPE(2, 3), FLOATS(2, 4, 6, 8, 10, 12));
    expect(gm_add(t, a, row), SHAPE(2, 3), FLOATS(11, 22, 43, 14, 25, 46));
    expect(gm_sub(t, row, a), SHAPE(2, 3), FLOATS(9, 18, 37, 6, 15, 34));
    expect(gm_mul(t, a, column), SHAPE(2, 3), FLOATS(2, 4, 6, 16, 20, 24));
    expect(gm_div(t, a, column), SHAPE(2, 3), FLOATS(0.5f, 1, 1.5f, 1, 1.25f, 1.5f));
    expect(gm_div(t, one, column), SHAPE(2, 1), FLOATS(1, 0.5f));
    expect(gm_mul(t, column, row), SHAPE(2, 3), FLOATS(20, 40, 80, 40, 80, 160));
    expect(gm_sub(t, one, one), 0, NULL, FLOATS(0));
}
END_TEST

/* Every pair of broadcast patterns on rank 4, against nested loops. */
START_TEST(test_broadcast_all)
{
    const int64_t full[4] = { 2, 3, 4, 5 };
    for (int p = 0; p < 16; p++)
        for (int q = 0; q < 16; q++) {
            int64_t sa[4], sb[4], so[4];
            gm_tape_reset(t);
            for (int i = 0; i < 4; i++) {
                sa[i] = p >> i & 1 ? 1 : full[i];
                sb[i] = q >> i & 1 ? 1 : full[i];
                so[i] = sa[i] > sb[i] ? sa[i] : sb[i];
            }
            gm_var a = ramp(4, sa), b = ramp(4, sb), y = gm_sub(t, gm_scale(t, a, 1000), b);
            expect_shape(y, 4, so);
            int64_t at = 0;
            for (int64_t i = 0; i < so[0]; i++)
                for (int64_t j = 0; j < so[1]; j++)
                    for (int64_t k = 0; k < so[2]; k++)
                        for (int64_t l = 0; l < so[3]; l++) {
                            int64_t x[4] = { i, j, k, l }, ia = 0, ib = 0;
                            for (int d = 0; d < 4; d++) {
                                ia = ia * sa[d] + (sa[d] == 1 ? 0 : x[d]);
                                ib = ib * sb[d] + (sb[d] == 1 ? 0 : x[d]);
                            }
                            ck_assert_float_eq(gm_value(t, y)[at++],
                                               1000 * gm_value(t, a)[ia] - gm_value(t, b)[ib]);
                        }
            /* The gradient of a sum: how often each element was used. */
            ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
            float each = (float)(gm_count(t, y) / gm_count(t, b));
            for (int64_t i = 0; i < gm_count(t, b); i++)
                ck_assert_float_eq(gm_gradient_of(t, b)[i], -each);
        }
}
END_TEST

START_TEST(test_unary)
{
    gm_var a = gm_input_copy(t, SHAPE(5), FLOATS(-2, -0.5f, 0, 0.5f, 3));
    gm_var p = gm_input_copy(t, SHAPE(3), FLOATS(0, 1, 4));
    float x[5] = { -2, -0.5f, 0, 0.5f, 3 }, want[5];
    expect(gm_neg(t, a), SHAPE(5), FLOATS(2, 0.5f, 0, -0.5f, -3));
    expect(gm_scale(t, a, -2), SHAPE(5), FLOATS(4, 1, 0, -1, -6));
    expect(gm_shift(t, a, 1), SHAPE(5), FLOATS(-1, 0.5f, 1, 1.5f, 4));
    expect(gm_square(t, a), SHAPE(5), FLOATS(4, 0.25f, 0, 0.25f, 9));
    expect(gm_sqrt(t, p), SHAPE(3), FLOATS(0, 1, 2));
    expect(gm_abs(t, a), SHAPE(5), FLOATS(2, 0.5f, 0, 0.5f, 3));
    expect(gm_log(t, gm_shift(t, p, 1)), SHAPE(3), FLOATS(0, 0.693147181f, 1.609437912f));
    expect(gm_relu(t, a), SHAPE(5), FLOATS(0, 0, 0, 0.5f, 3));
    expect(gm_leaky_relu(t, a, 0.1), SHAPE(5), FLOATS(-0.2f, -0.05f, 0, 0.5f, 3));
    expect(gm_clamp(t, a, -1, 0.25), SHAPE(5), FLOATS(-1, -0.5f, 0, 0.25f, 0.25f));
    expect(gm_clamp(t, a, -INFINITY, 0), SHAPE(5), FLOATS(-2, -0.5f, 0, 0, 0));
    for (int i = 0; i < 5; i++) want[i] = (float)exp((double)x[i]);
    expect(gm_exp(t, a), SHAPE(5), want);
    for (int i = 0; i < 5; i++) want[i] = x[i] > 0 ? x[i] : (float)(0.7 * expm1((double)x[i]));
    expect(gm_elu(t, a, 0.7), SHAPE(5), want);
    for (int i = 0; i < 5; i++) want[i] = (float)tanh((double)x[i]);
    expect(gm_tanh(t, a), SHAPE(5), want);
    for (int i = 0; i < 5; i++) want[i] = (float)(1 / (1 + exp(-(double)x[i])));
    expect(gm_sigmoid(t, a), SHAPE(5), want);
    for (int i = 0; i < 5; i++) want[i] = (float)log1p(exp((double)x[i]));
    expect(gm_softplus(t, a), SHAPE(5), want);
    for (int i = 0; i < 5; i++) want[i] = (float)sin((double)x[i]);
    expect(gm_sin(t, a), SHAPE(5), want);
    for (int i = 0; i < 5; i++) want[i] = (float)cos((double)x[i]);
    expect(gm_cos(t, a), SHAPE(5), want);
    expect(gm_pow(t, a, 3), SHAPE(5), FLOATS(-8, -0.125f, 0, 0.125f, 27));
    expect(gm_pow(t, a, 0), SHAPE(5), FLOATS(1, 1, 1, 1, 1));
    expect(gm_pow(t, p, 0.5), SHAPE(3), FLOATS(0, 1, 2));
    /* values of PyTorch */
    expect(gm_silu(t, a), SHAPE(5),
           FLOATS(-0.238405844f, -0.188770339f, 0, 0.311229661f, 2.857722380f));
    expect(gm_gelu(t, a), SHAPE(5),
           FLOATS(-0.045500264f, -0.154268769f, 0, 0.345731231f, 2.995950306f));
    expect(gm_gelu_tanh(t, a), SHAPE(5),
           FLOATS(-0.045402306f, -0.154285988f, 0, 0.345714012f, 2.996362608f));
}
END_TEST

START_TEST(test_activate)
{
    gm_var a = gm_input_copy(t, SHAPE(3), FLOATS(-1, 0.5f, 2));
    gm_var other[10] = { a,
                         gm_relu(t, a),
                         gm_leaky_relu(t, a, 0.3),
                         gm_elu(t, a, 0.3),
                         gm_tanh(t, a),
                         gm_sigmoid(t, a),
                         gm_softplus(t, a),
                         gm_silu(t, a),
                         gm_gelu(t, a),
                         gm_gelu_tanh(t, a) };
    for (int32_t i = 0; i < 10; i++)
        expect(gm_activate(t, a, i, 0.3), SHAPE(3), gm_value(t, other[i]));
    ck_assert_uint_eq(gm_activate(t, a, GM_ACTIVATION_NONE, 0).index, a.index);
    /* A linear layer with the identity as weight is the activation alone. */
    gm_var w = gm_input_copy(t, SHAPE(3, 3), FLOATS(1, 0, 0, 0, 1, 0, 0, 0, 1));
    gm_var zero = gm_constant(t, SHAPE(3), 0);
    for (int32_t i = 0; i < 10; i++) {
        expect(gm_linear(t, a, w, zero, i, 0.3), SHAPE(3), gm_value(t, other[i]));
        expect(gm_linear(t, a, w, GM_NO_VAR, i, 0.3), SHAPE(3), gm_value(t, other[i]));
    }
    /* By name and back, and one number at a time. */
    for (int32_t i = 0; i < 10; i++) {
        ck_assert_ptr_nonnull(gm_activation_name(i));
        ck_assert_int_eq(gm_activation_number(gm_activation_name(i)), i);
        for (int k = 0; k < 3; k++)
            ck_assert_double_eq_tol(gm_activation_value(i, 0.3, (double)gm_value(t, a)[k]),
                                    (double)gm_value(t, other[i])[k], 1e-6);
    }
    ck_assert_str_eq(gm_activation_name(GM_ACTIVATION_GELU), "gelu");
    ck_assert(!gm_activation_name(1000) && !gm_activation_name(-1));
    ck_assert(gm_activation_number("swish") == -1 && gm_activation_number(NULL) == -1);
    ck_assert(isnan(gm_activation_value(1000, 0, 1)));
    fails(gm_activate(t, a, 1000, 0), GM_E_INVALID, "activate:", "1000", "GM_ACTIVATION_");
    a = ramp(SHAPE(2));
    fails(gm_activate(t, a, GM_ACTIVATION_ELU, -1), GM_E_INVALID, "elu:", "-1", "at least 0");
    fails(gm_activate(t, GM_NO_VAR, GM_ACTIVATION_NONE, 0), GM_E_STALE, "tape:", "", "");
}
END_TEST

START_TEST(test_zero_gradients)
{
    /* Kinks: 0 where there is no derivative, never NaN. */
    gm_var v = gm_variable(t, SHAPE(1), FLOATS(0));
    gm_var loss = gm_add(t, gm_sum(t, gm_sqrt(t, v)), gm_sum(t, gm_abs(t, v)));
    loss = gm_add(t, loss, gm_sum(t, gm_relu(t, v)));
    loss = gm_add(t, loss, gm_sum(t, gm_pow(t, v, 0)));
    ck_assert_int_eq(gm_backward(t, loss, NULL), GM_OK);
    ck_assert_float_eq(gm_gradient_of(t, v)[0], 0);
    gm_tape_reset(t);
    v = gm_variable(t, SHAPE(4), FLOATS(-2, -1, 1, 2));
    ck_assert_int_eq(gm_backward(t, gm_sum(t, gm_clamp(t, v, -1, 1)), NULL), GM_OK);
    for (int i = 0; i < 4; i++) ck_assert_float_eq(gm_gradient_of(t, v)[i], i == 1 || i == 2);
}
END_TEST

START_TEST(test_unary_bad)
{
    gm_var a = ramp(SHAPE(2));
    fails(gm_clamp(t, a, 2, 1), GM_E_INVALID, "clamp:", "low is 2", "high is 1");
    a = ramp(SHAPE(2));
    fails(gm_clamp(t, a, NAN, 1), GM_E_INVALID, "clamp:", "nan", "");
    a = ramp(SHAPE(2));
    fails(gm_clamp(t, a, 0, NAN), GM_E_INVALID, "clamp:", "nan", "");
    a = ramp(SHAPE(2));
    fails(gm_scale(t, a, NAN), GM_E_INVALID, "scale:", "nan", "finite");
    a = ramp(SHAPE(2));
    fails(gm_scale(t, a, 1e300), GM_E_INVALID, "scale:", "inf", "finite");
    a = ramp(SHAPE(2));
    fails(gm_shift(t, a, -INFINITY), GM_E_INVALID, "shift:", "inf", "finite");
    a = ramp(SHAPE(2));
    fails(gm_leaky_relu(t, a, -0.5), GM_E_INVALID, "leaky_relu:", "-0.5", "at least 0");
    a = ramp(SHAPE(2));
    fails(gm_pow(t, a, NAN), GM_E_INVALID, "pow:", "nan", "finite");
    a = ramp(SHAPE(2));
    fails(gm_elu(t, a, NAN), GM_E_INVALID, "elu:", "nan", "finite");
}
END_TEST

START_TEST(test_softmax)
{
    gm_var a = gm_input_copy(t, SHAPE(2, 3), FLOATS(0, 1, 2, 1000, 1000, 999));
    double e = exp(1), s = 1 + e + e * e, u = 2 + 1 / e;
    expect(gm_softmax(t, a), SHAPE(2, 3),
           FLOATS((float)(1 / s), (float)(e / s), (float)(e * e / s), (float)(1 / u),
                  (float)(1 / u), (float)(1 / e / u)));
    expect(gm_log_softmax(t, a), SHAPE(2, 3),
           FLOATS((float)-log(s), (float)(1 - log(s)), (float)(2 - log(s)), (float)-log(u),
                  (float)-log(u), (float)(-1 - log(u))));
    expect(gm_logsumexp(t, a), SHAPE(2), FLOATS((float)log(s), (float)(1000 + log(u))));
    expect(gm_logsumexp(t, gm_input_copy(t, SHAPE(1), FLOATS(7))), 0, NULL, FLOATS(7));
    expect_shape(gm_logsumexp(t, ramp(SHAPE(0, 4))), SHAPE(0));
    fails(gm_softmax(t, gm_constant(t, 0, NULL, 1)), GM_E_SHAPE, "softmax:", "[]", "");
    fails(gm_log_softmax(t, gm_constant(t, 0, NULL, 1)), GM_E_SHAPE, "log_softmax:", "[]", "");
    fails(gm_logsumexp(t, ramp(SHAPE(3, 0))), GM_E_SHAPE, "logsumexp:", "[3, 0]", "");
}
END_TEST

START_TEST(test_maxout)
{
    gm_var a = gm_input_copy(t, SHAPE(2, 6), FLOATS(1, 3, 2, -5, -4, -6, 7, 7, 0, NAN, 1, 2));
    gm_var v = gm_variable(t, SHAPE(2, 4), FLOATS(2, 2, -1, 0, 5, 3, 4, 4));
    gm_var y = gm_maxout(t, a, 3);
    expect_shape(y, SHAPE(2, 2));
    ck_assert(gm_value(t, y)[0] == 3 && gm_value(t, y)[1] == -4 && gm_value(t, y)[2] == 7);
    ck_assert(isnan(gm_value(t, y)[3]));
    expect(gm_maxout(t, v, 1), SHAPE(2, 4), FLOATS(2, 2, -1, 0, 5, 3, 4, 4));
    expect(gm_maxout(t, ramp(SHAPE(4)), 4), SHAPE(1), FLOATS(3));
    expect_shape(gm_maxout(t, ramp(SHAPE(0, 4)), 2), SHAPE(0, 2));
    expect_shape(gm_maxout(t, ramp(SHAPE(3, 0)), 2), SHAPE(3, 0));
    gm_var m = gm_maxout(t, v, 2); /* a tie gives all to the first */
    expect(m, SHAPE(2, 2), FLOATS(2, 0, 5, 4));
    ck_assert_int_eq(gm_backward(t, gm_sum(t, gm_mul(t, m, m)), NULL), GM_OK);
    static const float want[8] = { 4, 0, 0, 0, 10, 0, 8, 0 };
    for (int i = 0; i < 8; i++) ck_assert_float_eq(gm_gradient_of(t, v)[i], want[i]);
    fails(gm_maxout(t, ramp(SHAPE(2, 7)), 3), GM_E_SHAPE, "maxout:", "[2, 7]", "3 pieces");
    fails(gm_maxout(t, gm_constant(t, 0, NULL, 1), 1), GM_E_SHAPE, "maxout:", "[]", "");
    fails(gm_maxout(t, ramp(SHAPE(2, 7)), 0), GM_E_INVALID, "maxout:", "pieces is 0", "");
}
END_TEST

START_TEST(test_reductions)
{
    gm_var a = ramp(SHAPE(2, 3, 4));
    expect(gm_sum(t, a), 0, NULL, FLOATS(276));
    expect(gm_mean(t, a), 0, NULL, FLOATS(11.5f));
    expect(gm_sum_axes(t, a, AXES(0), 1, 0), SHAPE(3, 4),
           FLOATS(12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34));
    expect(gm_sum_axes(t, a, AXES(1), 1, 1), SHAPE(2, 1, 4),
           FLOATS(12, 15, 18, 21, 48, 51, 54, 57));
    expect(gm_sum_axes(t, a, AXES(-1), 1, 0), SHAPE(2, 3), FLOATS(6, 22, 38, 54, 70, 86));
    expect(gm_mean_axes(t, a, AXES(2, 0), 2, 0), SHAPE(3), FLOATS(7.5f, 11.5f, 15.5f));
    expect(gm_mean_axes(t, a, AXES(0, 1, 2), 3, 1), SHAPE(1, 1, 1), FLOATS(11.5f));
    expect(gm_sum_axes(t, a, NULL, 0, 0), SHAPE(2, 3, 4), gm_value(t, a));
    expect(gm_sum(t, ramp(SHAPE(0, 3))), 0, NULL, FLOATS(0));
    expect(gm_sum_axes(t, ramp(SHAPE(0, 3)), AXES(0), 1, 0), SHAPE(3), FLOATS(0, 0, 0));
    /* A sum that float alone would lose. */
    int64_t n = 50000;
    gm_var large = gm_constant(t, 1, &n, 0.1);
    ck_assert_double_eq_tol(gm_scalar(t, gm_sum(t, large)), 50000 * (double)0.1f, 1e-3);
}
END_TEST

START_TEST(test_reductions_bad)
{
    fails(gm_mean(t, ramp(SHAPE(0, 3))), GM_E_SHAPE, "mean:", "[0, 3]", "nothing");
    fails(gm_mean_axes(t, ramp(SHAPE(0, 3)), AXES(0), 1, 0), GM_E_SHAPE, "mean_axes:", "[0, 3]",
          "");
    gm_var a = ramp(SHAPE(2, 3));
    fails(gm_sum_axes(t, a, AXES(2), 1, 0), GM_E_INVALID, "sum_axes:", "axis 2", "[2, 3]");
    a = ramp(SHAPE(2, 3));
    fails(gm_sum_axes(t, a, AXES(-3), 1, 0), GM_E_INVALID, "sum_axes:", "axis -3", "[2, 3]");
    a = ramp(SHAPE(2, 3));
    fails(gm_mean_axes(t, a, AXES(1, -1), 2, 0), GM_E_INVALID, "mean_axes:", "axis -1", "repeated");
    a = ramp(SHAPE(2, 3));
    fails(gm_sum_axes(t, a, NULL, 1, 0), GM_E_INVALID, "sum_axes:", "NULL", "");
    a = ramp(SHAPE(2, 3));
    fails(gm_sum_axes(t, a, AXES(0), -1, 0), GM_E_INVALID, "sum_axes:", "-1", "");
    a = ramp(SHAPE(2, 3));
    fails(gm_sum_axes(t, a, AXES(0), 7, 0), GM_E_INVALID, "sum_axes:", "7", "");
}
END_TEST

START_TEST(test_binary_bad)
{
    gm_var (*const ops[4])(gm_tape *, gm_var, gm_var) = { gm_add, gm_sub, gm_mul, gm_div };
    const char *const names[4] = { "add:", "sub:", "mul:", "div:" };
    for (int i = 0; i < 4; i++) {
        gm_var a = ramp(SHAPE(3, 4)), b = ramp(SHAPE(3, 5));
        fails(ops[i](t, a, b), GM_E_SHAPE, names[i], "[3, 4]", "[3, 5]");
        a = ramp(SHAPE(2, 3)), b = ramp(SHAPE(2));
        fails(ops[i](t, a, b), GM_E_SHAPE, names[i], "[2, 3]", "[2]");
        a = ramp(SHAPE(0)), b = ramp(SHAPE(2));
        fails(ops[i](t, a, b), GM_E_SHAPE, names[i], "[0]", "[2]");
    }
    expect_shape(gm_add(t, ramp(SHAPE(0, 3)), ramp(SHAPE(3))), SHAPE(0, 3));
    expect_shape(gm_add(t, ramp(SHAPE(0)), ramp(SHAPE(1))), SHAPE(0));
}
END_TEST

START_TEST(test_reshape)
{
    gm_var a = ramp(SHAPE(2, 6));
    gm_var y = gm_reshape(t, a, SHAPE(3, -1));
    expect(y, SHAPE(3, 4), gm_value(t, a));
    ck_assert_ptr_eq(gm_value(t, y), gm_value(t, a)); /* no copy */
    expect_shape(gm_reshape(t, ramp(SHAPE(1, 1)), 0, NULL), 0, NULL);
    expect_shape(gm_reshape(t, ramp(SHAPE(0, 3)), SHAPE(3, 0)), SHAPE(3, 0));
    expect_shape(gm_reshape(t, ramp(SHAPE(0, 3)), SHAPE(-1, 3)), SHAPE(0, 3));
    fails(gm_reshape(t, a, SHAPE(5, -1)), GM_E_SHAPE, "reshape:", "[2, 6]", "[5, -1]");
    a = ramp(SHAPE(2, 6));
    fails(gm_reshape(t, a, SHAPE(3, 5)), GM_E_SHAPE, "reshape:", "[2, 6]", "[3, 5]");
    a = ramp(SHAPE(2, 6));
    fails(gm_reshape(t, a, SHAPE(-1, -1)), GM_E_INVALID, "reshape:", "[2, 6]", "[-1, -1]");
    a = ramp(SHAPE(2, 6));
    fails(gm_reshape(t, a, SHAPE(-2, 6)), GM_E_INVALID, "reshape:", "[2, 6]", "[-2, 6]");
    a = ramp(SHAPE(0, 6));
    fails(gm_reshape(t, a, SHAPE(0, -1)), GM_E_SHAPE, "reshape:", "[0, 6]", "[0, -1]");
    a = ramp(SHAPE(2, 6));
    fails(gm_reshape(t, a, SHAPE(INT64_MAX, INT64_MAX)), GM_E_SHAPE, "reshape:", "[2, 6]", "");
    a = ramp(SHAPE(2, 6));
    fails(gm_reshape(t, a, 7, (int64_t[7]){ 1 }), GM_E_INVALID, "reshape:", "rank 7", "");
    a = ramp(SHAPE(2, 6));
    fails(gm_reshape(t, a, -1, NULL), GM_E_INVALID, "reshape:", "rank -1", "");
    a = ramp(SHAPE(2, 6));
    fails(gm_reshape(t, a, 1, NULL), GM_E_INVALID, "reshape:", "NULL", "");
}
END_TEST

START_TEST(test_transpose)
{
    expect(gm_transpose(t, ramp(SHAPE(2, 3)), NULL), SHAPE(3, 2), FLOATS(0, 3, 1, 4, 2, 5));
    expect(gm_transpose(t, ramp(SHAPE(2, 2, 3)), AXES(1, 0, 2)), SHAPE(2, 2, 3),
           FLOATS(0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11));
    expect(gm_transpose(t, ramp(SHAPE(1, 2, 3)), AXES(2, 0, 1)), SHAPE(3, 1, 2),
           FLOATS(0, 3, 1, 4, 2, 5));
    expect_shape(gm_transpose(t, ramp(0, NULL), NULL), 0, NULL);
    expect_shape(gm_transpose(t, ramp(SHAPE(0, 4)), NULL), SHAPE(4, 0));
    gm_var a = ramp(SHAPE(2, 3));
    fails(gm_transpose(t, a, AXES(0, 2)), GM_E_INVALID, "transpose:", "2", "[2, 3]");
    a = ramp(SHAPE(2, 3));
    fails(gm_transpose(t, a, AXES(1, 1)), GM_E_INVALID, "transpose:", "1", "[2, 3]");
    a = ramp(SHAPE(2, 3));
    fails(gm_transpose(t, a, AXES(-1, 0)), GM_E_INVALID, "transpose:", "-1", "[2, 3]");
    fails(gm_transpose(t, GM_NO_VAR, AXES(0)), GM_E_STALE, "tape:", "", "");
}
END_TEST

START_TEST(test_concat_slice)
{
    gm_var a = ramp(SHAPE(2, 2)), b = gm_shift(t, ramp(SHAPE(2, 1)), 10);
    expect(gm_concat(t, (gm_var[]){ a, b, a }, 3, 1), SHAPE(2, 5),
           FLOATS(0, 1, 10, 0, 1, 2, 3, 11, 2, 3));
    expect(gm_concat(t, (gm_var[]){ a, a }, 2, -2), SHAPE(4, 2), FLOATS(0, 1, 2, 3, 0, 1, 2, 3));
    expect(gm_concat(t, &a, 1, 0), SHAPE(2, 2), gm_value(t, a));
    expect(gm_concat(t, (gm_var[]){ ramp(SHAPE(0, 2)), a }, 2, 0), SHAPE(2, 2), gm_value(t, a));
    gm_var c = ramp(SHAPE(3, 4));
    expect(gm_slice(t, c, 0, 1, 3), SHAPE(2, 4), FLOATS(4, 5, 6, 7, 8, 9, 10, 11));
    expect(gm_slice(t, c, -1, 1, 3), SHAPE(3, 2), FLOATS(1, 2, 5, 6, 9, 10));
    expect_shape(gm_slice(t, c, 1, 4, 4), SHAPE(3, 0));
    fails(gm_concat(t, (gm_var[]){ a, c }, 2, 0), GM_E_SHAPE, "concat:", "[2, 2]", "[3, 4]");
    a = ramp(SHAPE(2, 2)), b = ramp(SHAPE(2));
    fails(gm_concat(t, (gm_var[]){ a, b }, 2, 0), GM_E_SHAPE, "concat:", "[2, 2]", "[2]");
    a = ramp(SHAPE(2, 2));
    fails(gm_concat(t, &a, 1, 2), GM_E_INVALID, "concat:", "axis is 2", "[2, 2]");
    a = ramp(SHAPE(2, 2));
    fails(gm_concat(t, &a, 0, 0), GM_E_INVALID, "concat:", "0 parts", "");
    fails(gm_concat(t, NULL, 1, 0), GM_E_INVALID, "concat:", "NULL", "");
    gm_var many[17];
    for (int i = 0; i < 17; i++) many[i] = ramp(SHAPE(1));
    fails(gm_concat(t, many, 17, 0), GM_E_INVALID, "concat:", "17", "16");
    c = ramp(SHAPE(3, 4));
    fails(gm_slice(t, c, 2, 0, 1), GM_E_INVALID, "slice:", "axis 2", "[3, 4]");
    c = ramp(SHAPE(3, 4));
    fails(gm_slice(t, c, 1, 2, 5), GM_E_INVALID, "slice:", "2 to 5", "[3, 4]");
    c = ramp(SHAPE(3, 4));
    fails(gm_slice(t, c, 1, 2, 1), GM_E_INVALID, "slice:", "2 to 1", "[3, 4]");
    c = ramp(SHAPE(3, 4));
    fails(gm_slice(t, c, 1, -1, 1), GM_E_INVALID, "slice:", "-1 to 1", "[3, 4]");
    c = ramp(0, NULL);
    fails(gm_slice(t, c, 0, 0, 0), GM_E_INVALID, "slice:", "axis 0", "[]");
}
END_TEST

START_TEST(test_gather_repeat)
{
    gm_var a = ramp(SHAPE(3, 2));
    gm_var i = gm_input_copy(t, SHAPE(2, 2), FLOATS(2, 0, 0, 1));
    expect(gm_gather(t, a, i), SHAPE(2, 2, 2), FLOATS(4, 5, 0, 1, 0, 1, 2, 3));
    expect(gm_gather(t, ramp(SHAPE(3)), gm_constant(t, 0, NULL, 1)), 0, NULL, FLOATS(1));
    expect_shape(gm_gather(t, ramp(SHAPE(0, 2)), ramp(SHAPE(0))), SHAPE(0, 2));
    expect(gm_repeat_rows(t, ramp(SHAPE(2, 2)), 2), SHAPE(4, 2), FLOATS(0, 1, 0, 1, 2, 3, 2, 3));
    expect(gm_repeat_rows(t, ramp(SHAPE(2)), 1), SHAPE(2), FLOATS(0, 1));
    expect(gm_one_hot(t, ramp(SHAPE(2)), 3), SHAPE(2, 3), FLOATS(1, 0, 0, 0, 1, 0));
    expect(gm_one_hot(t, gm_constant(t, 0, NULL, 1), 2), SHAPE(2), FLOATS(0, 1));
    expect_shape(gm_one_hot(t, ramp(SHAPE(0)), 4), SHAPE(0, 4));
    const float bad[5] = { 3, -1, 1.5f, NAN, INFINITY };
    const char *const text[5] = { "3,", "-1,", "1.5,", "nan,", "inf," };
    for (int k = 0; k < 5; k++) {
        a = ramp(SHAPE(3, 2)), i = gm_input_copy(t, SHAPE(3), FLOATS(0, 1, bad[k]));
        fails(gm_gather(t, a, i), GM_E_INVALID, "gather: index at 2 is", text[k], "0 to 2");
        i = gm_input_copy(t, SHAPE(3), FLOATS(0, 1, bad[k]));
        fails(gm_one_hot(t, i, 3), GM_E_INVALID, "one_hot: index at 2 is", text[k], "0 to 2");
    }
    a = ramp(0, NULL), i = ramp(SHAPE(1));
    fails(gm_gather(t, a, i), GM_E_SHAPE, "gather: table is []", "indices is [1]", "");
    a = ramp(SHAPE(1, 1, 1, 1)), i = ramp(SHAPE(1, 1, 1, 1));
    fails(gm_gather(t, a, i), GM_E_SHAPE, "gather:", "[1, 1, 1, 1]", "6 axes");
    fails(gm_repeat_rows(t, ramp(SHAPE(2)), 0), GM_E_INVALID, "repeat_rows:", "0", "");
    fails(gm_one_hot(t, ramp(SHAPE(2)), 0), GM_E_INVALID, "one_hot:", "0", "at least 1");
    a = ramp(SHAPE(1, 1, 1, 1, 1, 1));
    fails(gm_one_hot(t, a, 2), GM_E_SHAPE, "one_hot:", "[1, 1, 1, 1, 1, 1]", "");
    fails(gm_repeat_rows(t, ramp(0, NULL), 2), GM_E_SHAPE, "repeat_rows:", "[]", "2");
    fails(gm_repeat_rows(t, ramp(SHAPE(4)), INT64_MAX / 2), GM_E_SHAPE, "repeat_rows:", "[4]", "");
}
END_TEST

START_TEST(test_dropout)
{
    int64_t n = 20001, zeros = 0;
    gm_var a = gm_constant(t, 1, &n, 3);
    gm_var y = gm_dropout(t, a, 0.25);
    expect_shape(y, 1, &n);
    for (int64_t i = 0; i < n; i++) {
        float v = gm_value(t, y)[i];
        zeros += v == 0;
        ck_assert(v == 0 || fabsf(v - 4) < 1e-5f);
    }
    ck_assert(fabs((double)zeros / (double)n - 0.25) < 0.02);
    gm_var z = gm_dropout(t, a, 0.25); /* other places */
    ck_assert_int_ne(memcmp(gm_value(t, y), gm_value(t, z), (size_t)n * sizeof(float)), 0);
    ck_assert_uint_eq(gm_dropout(t, a, 0).index, a.index);
    gm_tape_set_mode(t, 0);
    ck_assert_uint_eq(gm_dropout(t, a, 0.25).index, a.index);
    fails(gm_dropout(t, a, 1), GM_E_INVALID, "dropout:", "p is 1", "");
    gm_tape_set_mode(t, GM_TAPE_TRAIN);
    fails(gm_dropout(t, ramp(SHAPE(2)), -0.1), GM_E_INVALID, "dropout:", "-0.1", "");
    fails(gm_dropout(t, ramp(SHAPE(2)), NAN), GM_E_INVALID, "dropout:", "nan", "");
    fails(gm_dropout(t, GM_NO_VAR, 0), GM_E_STALE, "tape:", "", "");
}
END_TEST

START_TEST(test_gaussian_sample)
{
    int64_t shape[2] = { 400, 100 };
    gm_var mean = gm_constant(t, 2, shape, 2), lv = gm_constant(t, 2, shape, 2 * log(3));
    gm_var y = gm_gaussian_draw(t, mean, lv);
    double m = gm_scalar(t, gm_mean(t, y));
    double v = gm_scalar(t, gm_mean(t, gm_square(t, gm_shift(t, y, -2))));
    ck_assert_double_eq_tol(m, 2, support_bound(3) * 3 / sqrt(40000));
    ck_assert_double_eq_tol(v, 9, support_bound(3) * 9 * sqrt(2.0 / 40000));
    gm_var a = ramp(SHAPE(2, 3)), b = ramp(SHAPE(2, 1));
    fails(gm_gaussian_draw(t, a, b), GM_E_SHAPE, "gaussian_sample:", "[2, 3]", "[2, 1]");
}
END_TEST

/* What is drawn is the tape's generator's own sequence, also across the cuts of a long array. */
/* Frequencies, certain bits, and that no gradient passes. */
START_TEST(test_bernoulli_sample)
{
    int64_t shape[2] = { 400, 100 };
    gm_var logits = gm_constant(t, 2, shape, log(3));
    gm_var y = gm_bernoulli_draw(t, logits);
    for (int64_t i = 0; i < 40000; i++) ck_assert(gm_value(t, y)[i] == 0 || gm_value(t, y)[i] == 1);
    ck_assert_double_eq_tol(gm_scalar(t, gm_mean(t, y)), 0.75,
                            support_bound(3) * sqrt(0.75 * 0.25 / 40000));
    gm_var again = gm_bernoulli_draw(t, logits);
    ck_assert(memcmp(gm_value(t, y), gm_value(t, again), 40000 * sizeof(float)) != 0);
    float sure[4] = { 1000, -1000, 1000, -1000 };
    gm_var a = gm_variable(t, SHAPE(2, 2), sure);
    expect(gm_bernoulli_draw(t, a), SHAPE(2, 2), FLOATS(1, 0, 1, 0));
    /* y = sum s(a) + sum a: only the second has a gradient. */
    gm_var loss = gm_add(t, gm_sum(t, gm_bernoulli_draw(t, a)), gm_sum(t, a));
    ck_assert_int_eq(gm_backward(t, loss, NULL), GM_OK);
    for (int i = 0; i < 4; i++) ck_assert_float_eq(gm_gradient_of(t, a)[i], 1);
    ck_assert_int_eq(gm_bernoulli_draw(NULL, a).recording, 0);
}
END_TEST

START_TEST(test_draws)
{
    int64_t n = 40003;
    float *noise = malloc((size_t)n * sizeof *noise);
    gm_rng *rng = gm_tape_rng(t);
    gm_rng_state start, end;
    gm_var zero = gm_constant(t, 1, &n, 0), one = gm_constant(t, 1, &n, 1);
    gm_rng_save(&start, rng);
    gm_var y = gm_gaussian_draw(t, zero, zero);
    gm_rng_save(&end, rng);
    gm_rng_restore(rng, &start);
    ck_assert_int_eq(gm_rng_normal(rng, n, 0, 1, noise), GM_OK);
    ck_assert_int_eq(memcmp(gm_value(t, y), noise, (size_t)n * sizeof *noise), 0);
    gm_rng_save(&start, rng);
    ck_assert_uint_eq(start.position, end.position);
    y = gm_dropout(t, one, 0.5);
    gm_rng_restore(rng, &start);
    ck_assert_int_eq(gm_rng_uniform(rng, n, 0, 1, noise), GM_OK);
    for (int64_t i = 0; i < n; i++) ck_assert_float_eq(gm_value(t, y)[i], noise[i] >= 0.5f ? 2 : 0);
    free(noise);
}
END_TEST

START_TEST(test_stop_gradient)
{
    gm_var a = ramp(SHAPE(2, 3)), y = gm_stop_gradient(t, a);
    expect(y, SHAPE(2, 3), gm_value(t, a));
    ck_assert_ptr_eq(gm_value(t, y), gm_value(t, a));
    ck_assert_int_eq(gm_backward(t, gm_sum(t, y), NULL), GM_OK);
    ck_assert_ptr_null(gm_gradient_of(t, a));
}
END_TEST

START_TEST(test_sticks)
{
    gm_var a = ramp(SHAPE(3, 4)), b = ramp(SHAPE(3, 5));
    gm_var bad = gm_add(t, a, b);
    char line[512];
    snprintf(line, sizeof line, "%s", gm_context_error(ctx));
    /* Later operations, with faults of their own, change nothing. */
    ck_assert_int_eq(gm_linear(t, bad, a, GM_NO_VAR, 99, 0).recording, 0);
    ck_assert_int_eq(gm_reshape(t, a, 99, NULL).recording, 0);
    ck_assert_int_eq(gm_concat(t, NULL, 0, 0).recording, 0);
    ck_assert_int_eq(gm_sum_axes(t, a, NULL, 3, 0).recording, 0);
    ck_assert_int_eq(gm_dropout(t, a, 5).recording, 0);
    ck_assert_int_eq(gm_activate(t, a, 99, 0).recording, 0);
    ck_assert_int_eq(gm_gaussian_nll(t, a, bad, b).recording, 0);
    ck_assert_int_eq(gm_transpose(t, bad, NULL).recording, 0);
    ck_assert_int_eq(gm_mul(t, bad, bad).recording, 0);
    ck_assert_str_eq(line, gm_context_error(ctx));
    ck_assert_int_eq(gm_backward(t, bad, NULL), GM_E_SHAPE);
    gm_tape_reset(t);
    ck_assert_int_eq(gm_tape_status(t), GM_OK);
    /* a is of the recording before. */
    fails(gm_neg(t, a), GM_E_STALE, "tape:", "recording", "");
}
END_TEST

START_TEST(test_null_tape)
{
    gm_var a = ramp(SHAPE(2));
    ck_assert_int_eq(gm_add(NULL, a, a).recording, 0);
    ck_assert_int_eq(gm_relu(NULL, a).recording, 0);
    ck_assert_int_eq(gm_activate(NULL, a, 0, 0).recording, 0);
    ck_assert_int_eq(gm_softmax(NULL, a).recording, 0);
    ck_assert_int_eq(gm_sum(NULL, a).recording, 0);
    ck_assert_int_eq(gm_sum_axes(NULL, a, NULL, 0, 0).recording, 0);
    ck_assert_int_eq(gm_matmul(NULL, a, a, 0, 0).recording, 0);
    ck_assert_int_eq(gm_linear(NULL, a, a, a, 0, 0).recording, 0);
    ck_assert_int_eq(gm_reshape(NULL, a, 0, NULL).recording, 0);
    ck_assert_int_eq(gm_transpose(NULL, a, NULL).recording, 0);
    ck_assert_int_eq(gm_concat(NULL, &a, 1, 0).recording, 0);
    ck_assert_int_eq(gm_slice(NULL, a, 0, 0, 0).recording, 0);
    ck_assert_int_eq(gm_gather(NULL, a, a).recording, 0);
    ck_assert_int_eq(gm_repeat_rows(NULL, a, 1).recording, 0);
    ck_assert_int_eq(gm_dropout(NULL, a, 0.5).recording, 0);
    ck_assert_int_eq(gm_stop_gradient(NULL, a).recording, 0);
    ck_assert_int_eq(gm_gaussian_draw(NULL, a, a).recording, 0);
    ck_assert_int_eq(gm_tape_status(t), GM_OK);
}
END_TEST

#define WIDE 300
#define ROWS 130

/* A step through most operations on sizes that are cut into many shards; all gradients into out. */
static void big_step(int32_t threads, float *out)
{
    gm_context *c = support_context(9, threads);
    gm_tape *tape = NULL;
    ck_assert_int_eq(gm_tape_create(&tape, c, NULL), GM_OK);
    gm_rng *rng = gm_tape_rng(tape);
    float *data = malloc(sizeof(float) * ROWS * WIDE),
          *weight = malloc(sizeof(float) * WIDE * WIDE);
    ck_assert_int_eq(gm_rng_uniform(rng, ROWS * WIDE, 0, 1, data), GM_OK);
    ck_assert_int_eq(gm_rng_uniform(rng, WIDE * WIDE, -0.1, 0.1, weight), GM_OK);
    gm_var x = gm_variable(tape, SHAPE(ROWS, WIDE), data);
    gm_var w = gm_variable(tape, SHAPE(WIDE, WIDE), weight);
    gm_var b = gm_variable(tape, SHAPE(WIDE), weight);
    gm_var h = gm_dropout(tape, gm_linear(tape, x, w, b, GM_ACTIVATION_TANH, 0), 0.2);
    gm_var lv = gm_mul(tape, gm_add(tape, h, b), gm_logsumexp(tape, gm_transpose(tape, h, NULL)));
    gm_var z = gm_gaussian_draw(tape, h, gm_clamp(tape, lv, -2, 2));
    gm_var k = gm_gaussian_kl(tape, h, gm_softplus(tape, lv));
    gm_var r = gm_bce_with_logits(tape, gm_matmul(tape, z, w, 0, 1), x);
    gm_var s = gm_sum_axes(tape, gm_softmax(tape, z), AXES(0), 1, 0);
    gm_var loss = gm_add(tape, gm_mean(tape, gm_add(tape, k, r)), gm_sum(tape, gm_square(tape, s)));
    ck_assert_msg(gm_backward(tape, loss, NULL) == GM_OK, "%s", gm_context_error(c));
    memcpy(out, gm_gradient_of(tape, x), sizeof(float) * ROWS * WIDE);
    memcpy(out + ROWS * WIDE, gm_gradient_of(tape, w), sizeof(float) * WIDE * WIDE);
    memcpy(out + (ROWS + WIDE) * WIDE, gm_gradient_of(tape, b), sizeof(float) * WIDE);
    out[(ROWS + WIDE + 1) * WIDE] = gm_value(tape, loss)[0];
    free(data);
    free(weight);
    gm_tape_release(tape);
    gm_context_release(c);
}

START_TEST(test_same_bytes_for_any_threads)
{
    size_t n = (ROWS + WIDE + 1) * WIDE + 1;
    float *one = malloc(n * sizeof *one), *other = malloc(n * sizeof *other);
    big_step(1, one);
    ck_assert(isfinite(one[n - 1]));
    for (int32_t threads = 2; threads <= 4; threads++) {
        big_step(threads, other);
        ck_assert_msg(memcmp(one, other, n * sizeof *one) == 0, "%d threads differ", (int)threads);
    }
    free(one);
    free(other);
}
END_TEST

START_TEST(test_no_allocation_after_first)
{
    gm_memory_counters before, after;
    float data[60];
    for (int i = 0; i < 60; i++) data[i] = 0.01f * (float)i;
    for (int step = 0; step < 3; step++) {
        gm_context_memory(step == 1 ? &before : &after, ctx);
        gm_tape_reset(t);
        gm_var x = gm_variable(t, SHAPE(6, 10), data), w = gm_variable(t, SHAPE(10, 6), data);
        gm_var y = gm_linear(t, gm_transpose(t, x, NULL), w, GM_NO_VAR, GM_ACTIVATION_ELU, 1);
        y = gm_concat(t, (gm_var[]){ y, gm_dropout(t, y, 0.5) }, 2, 1);
        y = gm_gaussian_nll(t, y, gm_constant(t, 0, NULL, 0), gm_slice(t, y, 0, 0, 5));
        ck_assert_msg(gm_backward(t, gm_mean(t, y), NULL) == GM_OK, "%s", gm_context_error(ctx));
    }
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("ops");
    TCase *tc = tcase_create("ops");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_binary);
    tcase_add_test(tc, test_broadcast_all);
    tcase_add_test(tc, test_binary_bad);
    tcase_add_test(tc, test_unary);
    tcase_add_test(tc, test_activate);
    tcase_add_test(tc, test_zero_gradients);
    tcase_add_test(tc, test_unary_bad);
    tcase_add_test(tc, test_softmax);
    tcase_add_test(tc, test_maxout);
    tcase_add_test(tc, test_reductions);
    tcase_add_test(tc, test_reductions_bad);
    tcase_add_test(tc, test_reshape);
    tcase_add_test(tc, test_transpose);
    tcase_add_test(tc, test_concat_slice);
    tcase_add_test(tc, test_gather_repeat);
    tcase_add_test(tc, test_dropout);
    tcase_add_test(tc, test_gaussian_sample);
    tcase_add_test(tc, test_bernoulli_sample);
    tcase_add_test(tc, test_draws);
    tcase_add_test(tc, test_stop_gradient);
    tcase_add_test(tc, test_sticks);
    tcase_add_test(tc, test_null_tape);
    tcase_add_test(tc, test_same_bytes_for_any_threads);
    tcase_add_test(tc, test_no_allocation_after_first);
    suite_add_tcase(s, tc);
    return s;
}
