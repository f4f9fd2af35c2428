/* test_group_norm.c - group norm: against a plain reference, instance norm and layer norm; an image
 * in its batch; refusals. */
#include "norm_data.h"

#define NORM(eps, act, slope) (&(gm_norm_options){ sizeof(gm_norm_options), eps, 1, act, slope })

START_TEST(test_reference)
{
    enum { N = 3, C = 6, HW = 10 };
    static const int64_t groups[4] = { 1, 2, 3, 6 };
    for (int k = 0; k < 4; k++) {
        const int64_t width = C / groups[k];
        gm_tape_reset(t);
        gm_var x = filled(t, 0, SHAPE(N, C, 2, 5), 37, 23, 0.125f);
        gm_var g = filled(t, 0, SHAPE(C), 3, 7, 0.5f), b = filled(t, 0, SHAPE(C), 2, 5, 0.25f);
        gm_var y = gm_group_norm(t, x, g, b, groups[k], NORM(1e-3, GM_ACTIVATION_TANH, 0));
        support_ok(ctx, gm_tape_status(t));
        for (int64_t first = 0; first < N * C; first += width) {
            double mean = 0, variance = 0;
            const float *from = gm_value(t, x) + first * HW;
            for (int64_t i = 0; i < width * HW; i++) mean += (double)from[i];
            mean /= (double)(width * HW);
            for (int64_t i = 0; i < width * HW; i++)
                variance += ((double)from[i] - mean) * ((double)from[i] - mean);
            variance /= (double)(width * HW);
            for (int64_t i = 0; i < width * HW; i++) {
                int64_t channel = (first + i / HW) % C;
                double z = ((double)from[i] - mean) / sqrt(variance + 1e-3);
                double expected =
                    tanh((double)gm_value(t, g)[channel] * z + (double)gm_value(t, b)[channel]);
                ck_assert_double_eq_tol((double)gm_value(t, y)[first * HW + i], expected, 2e-6);
            }
        }
    }
}
END_TEST

/* As many groups as channels: instance norm, to the last bit, forwards and backwards. */
START_TEST(test_instance)
{
    gm_var x[2], g[2], b[2], y[2];
    for (int k = 0; k < 2; k++) {
        x[k] = filled(t, 1, SHAPE(2, 70, 2, 3), 37, 23, 0.125f);
        g[k] = filled(t, 1, SHAPE(70), 3, 7, 0.5f);
        b[k] = filled(t, 1, SHAPE(70), 2, 5, 0.25f);
    }
    y[0] = gm_group_norm(t, x[0], g[0], b[0], 70, NORM(1e-3, GM_ACTIVATION_ELU, 0.7));
    y[1] = gm_instance_norm(t, x[1], g[1], b[1], NORM(1e-3, GM_ACTIVATION_ELU, 0.7));
    gm_var w = filled(t, 0, SHAPE(2, 70, 2, 3), 11, 13, 0.25f);
    gm_var loss = gm_add(t, gm_sum(t, gm_mul(t, y[0], w)), gm_sum(t, gm_mul(t, y[1], w)));
    support_ok(ctx, gm_backward(t, loss, NULL));
    ck_assert_mem_eq(gm_value(t, y[0]), gm_value(t, y[1]), 840 * sizeof(float));
    ck_assert_mem_eq(gm_gradient_of(t, x[0]), gm_gradient_of(t, x[1]), 840 * sizeof(float));
    ck_assert_mem_eq(gm_gradient_of(t, g[0]), gm_gradient_of(t, g[1]), 70 * sizeof(float));
    ck_assert_mem_eq(gm_gradient_of(t, b[0]), gm_gradient_of(t, b[1]), 70 * sizeof(float));
}
END_TEST

/* One group: layer norm of the whole image, before gamma and beta. More channels than a kernel
 * takes at once. */
START_TEST(test_layer)
{
    gm_var x[2], y[2];
    for (int k = 0; k < 2; k++) x[k] = filled(t, 1, SHAPE(3, 150, 2, 2), 37, 23, 0.125f);
    y[0] = gm_group_norm(t, x[0], GM_NO_VAR, GM_NO_VAR, 1, NULL);
    y[1] = gm_layer_norm(t, x[1], GM_NO_VAR, GM_NO_VAR, 3, NULL);
    gm_var w = filled(t, 0, SHAPE(3, 150, 2, 2), 11, 13, 0.25f);
    gm_var loss = gm_add(t, gm_sum(t, gm_mul(t, y[0], w)), gm_sum(t, gm_mul(t, y[1], w)));
    support_ok(ctx, gm_backward(t, loss, NULL));
    for (int i = 0; i < 1800; i++) {
        ck_assert_float_eq_tol(gm_value(t, y[0])[i], gm_value(t, y[1])[i], 1e-5f);
        ck_assert_float_eq_tol(gm_gradient_of(t, x[0])[i], gm_gradient_of(t, x[1])[i], 1e-5f);
    }
}
END_TEST

/* An image alone has the bits it has in its batch, whatever the number of threads; training and
 * evaluation alike. */
START_TEST(test_alone)
{
    enum { N = 9, SIZE = 12 * 25 };
    float data[N * SIZE], whole[N * SIZE];
    fill(data, N * SIZE, 37, 1009, 0.01f);
    for (int32_t threads = 1; threads <= 3; threads++) {
        gm_context *c = support_context(3, threads);
        gm_tape *tape = NULL;
        gm_layer *layer = NULL;
        support_ok(c, gm_tape_create(&tape, c, NULL));
        support_ok(c, gm_group_norm_create(&layer, c, 12, 4, NULL));
        ck_assert_int_eq(gm_layer_row_wise(layer), 1);
        gm_var y = gm_apply(tape, layer, gm_input_array(tape, SHAPE(N, 12, 5, 5), data));
        support_ok(c, gm_tape_status(tape));
        if (threads == 1)
            memcpy(whole, gm_value(tape, y), sizeof whole);
        else
            ck_assert_mem_eq(gm_value(tape, y), whole, sizeof whole);
        for (int32_t mode = 0; mode < 2; mode++)
            for (int i = 0; i < N; i++) {
                gm_tape_set_mode(tape, mode ? GM_TAPE_TRAIN : 0);
                y = gm_apply(tape, layer,
                             gm_input_array(tape, SHAPE(1, 12, 5, 5), data + i * SIZE));
                ck_assert_mem_eq(gm_value(tape, y), whole + i * SIZE, SIZE * sizeof(float));
            }
        gm_layer_release(layer);
        gm_tape_release(tape);
        gm_context_release(c);
    }
}
END_TEST

static void refused(gm_var v, gm_status status, const char *text)
{
    ck_assert_int_eq(v.recording, 0);
    support_fails(ctx, gm_tape_status(t), status, text);
    gm_tape_reset(t);
}

START_TEST(test_refusals)
{
#define GROUP(groups, ...)                                                                         \
    gm_group_norm(t, gm_constant(t, SHAPE(__VA_ARGS__), 0), GM_NO_VAR, GM_NO_VAR, groups, NULL)
    refused(GROUP(0, 2, 4, 3), GM_E_INVALID, "group_norm: groups is 0");
    refused(GROUP(3, 2, 4, 3), GM_E_SHAPE, "group_norm: input is [2, 4, 3], 3 groups");
    refused(GROUP(1, 4), GM_E_SHAPE, "group_norm: input is [4]");
    refused(GROUP(4, 2, 4), GM_E_SHAPE, "group_norm: input is [2, 4], one value");
    refused(GROUP(2, 2, 4, 0), GM_E_SHAPE, "group_norm: input is [2, 4, 0], no value");
    gm_var x = gm_constant(t, SHAPE(2, 4, 3), 0), three = gm_constant(t, SHAPE(3), 1);
    refused(gm_group_norm(t, x, three, GM_NO_VAR, 2, NULL), GM_E_SHAPE, "gamma is [3]");
    x = gm_constant(t, SHAPE(2, 4, 3), 0);
    refused(gm_group_norm(t, x, GM_NO_VAR, GM_NO_VAR, 2, NORM(0, 0, 0)), GM_E_INVALID, "eps is 0");
    gm_layer *layer = NULL;
    support_fails(ctx, gm_group_norm_create(&layer, ctx, 6, 4, NULL), GM_E_INVALID, "groups is 4");
    support_fails(ctx, gm_group_norm_create(&layer, ctx, 6, 0, NULL), GM_E_INVALID, "groups is 0");
    support_fails(ctx, gm_group_norm_create(&layer, ctx, 0, 1, NULL), GM_E_INVALID,
                  "channels is 0");
    support_fails(ctx, gm_group_norm_create(&layer, ctx, 6, 2, NORM(1, GM_ACTIVATION_RELU, 0)),
                  GM_E_INVALID, "activation of a layer is 1");
    ck_assert_ptr_null(layer);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("group_norm");
    TCase *tc = tcase_create("group_norm");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_reference);
    tcase_add_test(tc, test_instance);
    tcase_add_test(tc, test_layer);
    tcase_add_test(tc, test_alone);
    tcase_add_test(tc, test_refusals);
    suite_add_tcase(s, tc);
    return s;
}
