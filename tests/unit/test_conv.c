/* test_conv.c - the operations of gm/conv.h: values, PyTorch's results, bad input, bytes, memory.
 */
#include "conv_tables.h"
#include "support.h"

#include <stdint.h>

#include "autodiff/ops/ops.h"
#include "gm/conv.h"
#include "gm/layer_file.h"

static gm_context *ctx;
static gm_tape *tape;

static void setup(void)
{
    ctx = support_context(3, 2);
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
}

static void teardown(void)
{
    gm_tape_release(tape);
    gm_context_release(ctx);
}

#define NONE GM_ACTIVATION_NONE, 0

static gm_conv_options square(int64_t stride, int64_t padding)
{
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.stride_h = o.stride_w = stride;
    o.padding_h = o.padding_w = padding;
    return o;
}

static gm_var ones(int64_t n, int64_t c, int64_t h, int64_t w)
{
    int64_t shape[4] = { n, c, h, w };
    return gm_constant(tape, 4, shape, 1);
}

static void same(gm_var v, const float *want, int64_t count)
{
    support_ok(ctx, gm_tape_status(tape));
    ck_assert_int_eq(gm_count(tape, v), count);
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(gm_value(tape, v)[i] == want[i], "element %lld is %g, expected %g",
                      (long long)i, (double)gm_value(tape, v)[i], (double)want[i]);
}

static void has_shape(gm_var v, int64_t n, int64_t c, int64_t h, int64_t w)
{
    support_ok(ctx, gm_tape_status(tape));
    ck_assert_int_eq(gm_rank(tape, v), 4);
    const int64_t *s = gm_shape(tape, v);
    ck_assert_int_eq(s[0], n);
    ck_assert_int_eq(s[1], c);
    ck_assert_int_eq(s[2], h);
    ck_assert_int_eq(s[3], w);
}

/* --- By hand. */

START_TEST(conv_by_hand)
{
    const float x[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, w[4] = { 1, 10, 100, 1000 }, b[1] = { 0.5f };
    int64_t sx[4] = { 1, 1, 3, 3 }, sw[4] = { 1, 1, 2, 2 }, one = 1;
    gm_var vx = gm_input_array(tape, 4, sx, x), vw = gm_input_array(tape, 4, sw, w),
           vb = gm_input_array(tape, 1, &one, b);
    const float plain[4] = { 5421.5f, 6532.5f, 8754.5f, 9865.5f };
    same(gm_conv2d(tape, vx, vw, vb, NULL, NONE), plain, 4);
    gm_conv_options o = square(2, 1);
    const float padded[4] = { 1000, 3200, 7040, 9865 };
    same(gm_conv2d(tape, vx, vw, GM_NO_VAR, &o, NONE), padded, 4);
    o = square(1, 0);
    o.dilation_h = o.dilation_w = 2;
    const float dilated[1] = { 9731 };
    same(gm_conv2d(tape, vx, vw, GM_NO_VAR, &o, NONE), dilated, 1);
}
END_TEST

START_TEST(transpose_by_hand)
{
    const float x[4] = { 1, 2, 3, 4 }, w[4] = { 1, 10, 100, 1000 }, b[1] = { -50 };
    int64_t sx[4] = { 1, 1, 2, 2 }, sw[4] = { 1, 1, 2, 2 }, one = 1;
    gm_var vx = gm_input_array(tape, 4, sx, x), vw = gm_input_array(tape, 4, sw, w),
           vb = gm_input_array(tape, 1, &one, b);
    const float plain[9] = { 1, 12, 20, 103, 1234, 2040, 300, 3400, 4000 };
    same(gm_conv_transpose2d(tape, vx, vw, GM_NO_VAR, NULL, NONE), plain, 9);
    gm_conv_options o = square(2, 0);
    const float apart[16] = {
        1, 10, 2, 20, 100, 1000, 200, 2000, 3, 30, 4, 40, 300, 3000, 400, 4000
    };
    same(gm_conv_transpose2d(tape, vx, vw, GM_NO_VAR, &o, NONE), apart, 16);
    o = square(3, 1);
    o.output_padding_h = o.output_padding_w = 1; /* ReLU after the bias */
    const float far[16] = { 950, 0, 150, 1950, 0, 0, 0, 0, 0, 0, 0, 0, 2950, 0, 350, 3950 };
    gm_var y = gm_conv_transpose2d(tape, vx, vw, vb, &o, GM_ACTIVATION_RELU, 0);
    has_shape(y, 1, 1, 4, 4);
    same(y, far, 16);
}
END_TEST

START_TEST(activations_after)
{
    int64_t sx[4] = { 3, 5, 6, 6 }, sw[4] = { 20, 5, 3, 3 }, st[4] = { 5, 20, 3, 3 }, sb = 20;
    gm_var x = gm_randn(tape, 4, sx), w = gm_randn(tape, 4, sw), t = gm_randn(tape, 4, st),
           b = gm_randn(tape, 1, &sb);
    gm_conv_options o = square(2, 1);
    gm_var plain = gm_conv2d(tape, x, w, b, &o, NONE),
           turned = gm_conv_transpose2d(tape, x, t, b, &o, NONE);
    for (int32_t act = GM_ACTIVATION_RELU; act <= GM_ACTIVATION_SOFTPLUS; act++) {
        gm_var fused[2] = { gm_conv2d(tape, x, w, b, &o, act, 0.2),
                            gm_conv_transpose2d(tape, x, t, b, &o, act, 0.2) };
        gm_var apart[2] = { gm_activate(tape, plain, act, 0.2),
                            gm_activate(tape, turned, act, 0.2) };
        support_ok(ctx, gm_tape_status(tape));
        for (int k = 0; k < 2; k++)
            ck_assert_mem_eq(gm_value(tape, fused[k]), gm_value(tape, apart[k]),
                             (size_t)gm_count(tape, apart[k]) * sizeof(float));
    }
}
END_TEST

/* --- PyTorch's numbers. */

static gm_var numbers(int32_t rank, const int64_t *shape, int salt)
{
    float data[600];
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) n *= shape[i];
    ck_assert_int_le(n, 600);
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)((i * 37 + salt * 11 + i / 7) % 64 - 32) / 16.0f;
    return gm_variable(tape, rank, shape, data);
}

static void close_to(const char *what, const float *got, const float *want, size_t count)
{
    ck_assert_ptr_nonnull(got);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) <= 1e-5f * (1 + fabsf(want[i])),
                      "%s: element %zu is %g, PyTorch has %g", what, i, (double)got[i],
                      (double)want[i]);
}

/* Compares y and the gradients of sum(y g) with respect to `inputs`. */
static void against(const char *what, gm_var y, const float *want, size_t count,
                    const gm_var *inputs, const float *const *gradients, const size_t *counts,
                    int n)
{
    support_ok(ctx, gm_tape_status(tape));
    ck_assert_uint_eq((size_t)gm_count(tape, y), count);
    close_to(what, gm_value(tape, y), want, count);
    gm_var g = gm_stop_gradient(tape, numbers(4, gm_shape(tape, y), 9));
    support_ok(ctx, gm_backward(tape, gm_sum(tape, gm_mul(tape, y, g)), NULL));
    for (int i = 0; i < n; i++) {
        ck_assert_uint_eq((size_t)gm_count(tape, inputs[i]), counts[i]);
        close_to(what, gm_gradient_of(tape, inputs[i]), gradients[i], counts[i]);
    }
}

#define LENGTH(table) (sizeof(table) / sizeof *(table))
#define AGAINST_1(name, y)                                                                         \
    against(#name, y, torch_##name, LENGTH(torch_##name), &v[0],                                   \
            (const float *const[]){ torch_##name##_dx }, (size_t[]){ LENGTH(torch_##name##_dx) },  \
            1)
#define AGAINST_3(name, y)                                                                         \
    against(#name, y, torch_##name, LENGTH(torch_##name), v,                                       \
            (const float *const[]){ torch_##name##_dx, torch_##name##_dw, torch_##name##_db },     \
            (size_t[]){ LENGTH(torch_##name##_dx), LENGTH(torch_##name##_dw),                      \
                        LENGTH(torch_##name##_db) },                                               \
            3)

static void three(gm_var v[3], const int64_t *x, const int64_t *w, int64_t b)
{
    gm_tape_reset(tape);
    v[0] = numbers(4, x, 1);
    v[1] = numbers(4, w, 2);
    v[2] = numbers(1, &b, 3);
}

START_TEST(pytorch)
{
    gm_var v[3];
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.stride_h = 2;
    o.padding_h = 1;
    o.padding_w = 2;
    o.dilation_w = 2;
    o.groups = 2;
    three(v, (int64_t[]){ 2, 4, 5, 4 }, (int64_t[]){ 6, 2, 3, 2 }, 6);
    AGAINST_3(conv, gm_conv2d(tape, v[0], v[1], v[2], &o, NONE));

    o.stride_h = 3;
    o.stride_w = 2;
    o.padding_w = 0;
    o.output_padding_h = 2;
    o.output_padding_w = 1;
    three(v, (int64_t[]){ 2, 4, 2, 3 }, (int64_t[]){ 4, 3, 3, 2 }, 6);
    AGAINST_3(transpose, gm_conv_transpose2d(tape, v[0], v[1], v[2], &o, NONE));

    o = square(1, 2);
    o.dilation_h = o.dilation_w = 3;
    o.output_padding_h = o.output_padding_w = 2; /* not below the stride, but below the dilation */
    three(v, (int64_t[]){ 1, 2, 3, 3 }, (int64_t[]){ 2, 1, 2, 2 }, 1);
    AGAINST_3(dilated, gm_conv_transpose2d(tape, v[0], v[1], v[2], &o, NONE));

    int64_t pooled[4] = { 2, 2, 5, 6 }, small[4] = { 1, 2, 2, 3 }, deep[4] = { 1, 8, 2, 3 };
    gm_tape_reset(tape);
    v[0] = numbers(4, pooled, 1);
    AGAINST_1(max, gm_max_pool2d(tape, v[0], 3, 2, 1));
    AGAINST_1(mean, gm_avg_pool2d(tape, v[0], 3, 2, 1));
    v[0] = numbers(4, small, 1);
    AGAINST_1(upsample, gm_upsample_nearest(tape, v[0], 3));
    v[0] = numbers(4, deep, 1);
    AGAINST_1(shuffle, gm_pixel_shuffle(tape, v[0], 2));
}
END_TEST

/* --- Pools. */

START_TEST(pools_by_hand)
{
    const float x[16] = { 1, 5, 5, -2, 3, 0, 5, 1, -1, -1, -7, -8, -1, -1, -9, -6 };
    int64_t shape[4] = { 1, 1, 4, 4 };
    gm_var v = gm_variable(tape, 4, shape, x);
    const float most[4] = { 5, 5, -1, -6 }, mean[4] = { 2.25f, 2.25f, -1, -7.5f };
    same(gm_avg_pool2d(tape, v, 2, 2, 0), mean, 4);
    gm_var y = gm_max_pool2d(tape, v, 2, 2, 0);
    same(y, most, 4);
    support_ok(ctx, gm_backward(tape, gm_sum(tape, y), NULL));
    /* The first of equal elements. */
    const float found[16] = { 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1 };
    ck_assert_mem_eq(gm_gradient_of(tape, v), found, sizeof found);

    /* Padding is never a maximum, NaN always; a window of -inf sends its gradient to an element. */
    float odd[9] = { -1, -2, -INFINITY, NAN, -3, -INFINITY, -4, -5, -INFINITY };
    int64_t three_shape[4] = { 1, 1, 3, 3 };
    for (int64_t stride = 1; stride <= 3; stride++) {
        gm_var u = gm_variable(tape, 4, three_shape, odd);
        y = gm_max_pool2d(tape, u, 3, stride, 1);
        support_ok(ctx, gm_backward(tape, gm_sum(tape, y), NULL));
        ck_assert(isnan(gm_value(tape, y)[0]));
        double total = 0;
        for (int i = 0; i < 9; i++) total += (double)gm_gradient_of(tape, u)[i];
        ck_assert(total == (double)gm_count(tape, y));
    }
    for (int i = 0; i < 9; i++) odd[i] = -INFINITY;
    gm_var u = gm_variable(tape, 4, three_shape, odd);
    y = gm_max_pool2d(tape, u, 2, 2, 1);
    ck_assert(gm_value(tape, y)[3] == -INFINITY);
    support_ok(ctx, gm_backward(tape, gm_sum(tape, y), NULL));
    const float first[9] = { 1, 1, 0, 1, 1, 0, 0, 0, 0 };
    ck_assert_mem_eq(gm_gradient_of(tape, u), first, sizeof first);
}
END_TEST

/* --- Empty batches and sized results. */

START_TEST(nothing_in)
{
    int64_t none[4] = { 0, 3, 8, 8 }, w[4] = { 4, 3, 3, 3 }, t[4] = { 3, 4, 3, 3 };
    float weights[108] = { 0 };
    gm_var x = gm_variable(tape, 4, none, weights), vw = gm_variable(tape, 4, w, weights),
           vt = gm_variable(tape, 4, t, weights);
    has_shape(gm_conv2d(tape, x, vw, GM_NO_VAR, NULL, NONE), 0, 4, 6, 6);
    has_shape(gm_conv_transpose2d(tape, x, vt, GM_NO_VAR, NULL, NONE), 0, 4, 10, 10);
    has_shape(gm_max_pool2d(tape, x, 2, 2, 0), 0, 3, 4, 4);
    has_shape(gm_avg_pool2d(tape, x, 2, 2, 0), 0, 3, 4, 4);
    has_shape(gm_upsample_nearest(tape, x, 2), 0, 3, 16, 16);
    has_shape(gm_pixel_shuffle(tape, x, 1), 0, 3, 8, 8);
    for (int i = 0; i < 108; i++) weights[i] = 7;
    gm_var y = gm_conv2d(tape, x, vw, GM_NO_VAR, NULL, NONE),
           z = gm_conv_transpose2d(tape, x, vt, GM_NO_VAR, NULL, NONE);
    support_ok(ctx, gm_backward(tape, gm_add(tape, gm_sum(tape, y), gm_sum(tape, z)), NULL));
    for (int i = 0; i < 108; i++) {
        ck_assert(gm_gradient_of(tape, vw)[i] == 0);
        ck_assert(gm_gradient_of(tape, vt)[i] == 0);
    }
}
END_TEST

/* The gradients of the family, written with its own operations, are the gradients. */
START_TEST(family_is_closed)
{
    gm_conv_geometry g = { { 3, 2 }, { 1, 0 }, { 1, 2 }, 2 };
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.stride_h = 3;
    o.stride_w = 2;
    o.padding_h = 1;
    o.dilation_w = 2;
    o.groups = 2;
    int64_t sx[4] = { 2, 4, 9, 8 }, sw[4] = { 6, 2, 2, 3 }, size[2] = { 9, 8 },
            kernel[2] = { 2, 3 };
    gm_var x = numbers(4, sx, 1), w = numbers(4, sw, 2);
    gm_var y = gm_conv2d(tape, x, w, GM_NO_VAR, &o, NONE);
    support_ok(ctx, gm_tape_status(tape));
    gm_var dy = gm_stop_gradient(tape, numbers(4, gm_shape(tape, y), 4));
    support_ok(ctx, gm_backward(tape, gm_sum(tape, gm_mul(tape, y, dy)), NULL));
    gm_var dx = gm_conv_transpose2d_sized(tape, dy, w, &g, size),
           dw = gm_conv2d_weight(tape, x, dy, &g, kernel);
    support_ok(ctx, gm_tape_status(tape));
    ck_assert_mem_eq(gm_value(tape, dx), gm_gradient_of(tape, x), 2 * 4 * 9 * 8 * sizeof(float));
    ck_assert_mem_eq(gm_value(tape, dw), gm_gradient_of(tape, w), 6 * 2 * 2 * 3 * sizeof(float));
    /* The transposed one back: rows that no window of y reached get a size of y's all the same. */
    int64_t ysize[2] = { gm_shape(tape, y)[2], gm_shape(tape, y)[3] };
    gm_var again = gm_conv2d_sized(tape, x, w, &g, ysize);
    ck_assert_mem_eq(gm_value(tape, again), gm_value(tape, y),
                     (size_t)gm_count(tape, y) * sizeof(float));
}
END_TEST

/* --- Bad input. */

#define BAD(call, status, text)                                                                    \
    do {                                                                                           \
        gm_tape_reset(tape);                                                                       \
        (void)(call);                                                                              \
        support_fails(ctx, gm_tape_status(tape), status, text);                                    \
    } while (0)

static gm_var conv(gm_conv_options o)
{
    return gm_conv2d(tape, ones(2, 4, 4, 4), ones(6, 4 / (o.groups > 0 ? o.groups : 1), 3, 3),
                     GM_NO_VAR, &o, NONE);
}

static gm_var turn(gm_conv_options o)
{
    return gm_conv_transpose2d(tape, ones(2, 4, 4, 4), ones(4, 6, 3, 3), GM_NO_VAR, &o, NONE);
}

START_TEST(bad_options)
{
    gm_conv_options o = GM_CONV_OPTIONS_INIT, good = o;
#define WITH(field, value) (o = good, o.field = (value), o)
    BAD(conv(WITH(stride_h, 0)), GM_E_INVALID, "conv2d: stride of the height is 0, 1 to 2^30");
    BAD(conv(WITH(stride_w, -1)), GM_E_INVALID, "conv2d: stride of the width is -1");
    BAD(conv(WITH(dilation_h, 0)), GM_E_INVALID, "conv2d: dilation of the height is 0");
    BAD(conv(WITH(dilation_w, 0)), GM_E_INVALID, "conv2d: dilation of the width is 0");
    BAD(conv(WITH(padding_h, -1)), GM_E_INVALID, "conv2d: padding of the height is -1, 0 to");
    BAD(conv(WITH(padding_w, INT64_MAX)), GM_E_INVALID, "conv2d: padding of the width is 92233");
    BAD(conv(WITH(groups, 0)), GM_E_INVALID, "conv2d: groups is 0");
    BAD(conv(WITH(output_padding_w, 1)), GM_E_INVALID, "conv2d: output padding is for transposed");
    BAD(conv(WITH(size, 3)), GM_E_INVALID, "conv2d");
    BAD(turn(WITH(output_padding_h, 1)), GM_E_INVALID,
        "conv_transpose2d: output padding of the height is 1, expected at least 0 and below the "
        "stride "
        "(1) or the dilation (1)");
    BAD(turn(WITH(output_padding_w, -1)), GM_E_INVALID, "output padding of the width is -1");
    BAD(turn(WITH(stride_h, 0)), GM_E_INVALID, "conv_transpose2d: stride of the height is 0");
    o = good;
    BAD(gm_conv2d(tape, ones(1, 1, 4, 4), ones(1, 1, 3, 3), GM_NO_VAR, NULL, 77, 0), GM_E_INVALID,
        "conv2d: activation is 77");
    BAD(gm_conv_transpose2d(tape, ones(1, 1, 4, 4), ones(1, 1, 3, 3), GM_NO_VAR, NULL,
                            GM_ACTIVATION_ELU, -1),
        GM_E_INVALID, "conv_transpose2d: slope is -1");
    ck_assert_uint_eq(gm_conv2d(NULL, GM_NO_VAR, GM_NO_VAR, GM_NO_VAR, NULL, NONE).recording, 0);
}
END_TEST

START_TEST(bad_shapes)
{
    gm_conv_options o = square(1, 1), far = square(1 << 29, 0), two = square(1, 0);
    two.groups = 2;
    BAD(gm_conv2d(tape, ones(1, 1, 4, 9), ones(1, 1, 7, 7), GM_NO_VAR, &o, NONE), GM_E_SHAPE,
        "conv2d: height: (4 + 2*1 - 1*(7-1) - 1) / 1 + 1 is below 1 (input 4, padding 1, dilation "
        "1, kernel 7, stride 1)");
    BAD(gm_conv2d(tape, ones(1, 1, 9, 4), ones(1, 1, 7, 7), GM_NO_VAR, NULL, NONE), GM_E_SHAPE,
        "conv2d: width: (4 + 2*0 - 1*(7-1) - 1) / 1 + 1 is below 1");
    BAD(gm_conv2d(tape, ones(2, 3, 8, 8), ones(5, 4, 3, 3), GM_NO_VAR, NULL, NONE), GM_E_SHAPE,
        "conv2d: input is [2, 3, 8, 8], weight [5, 4, 3, 3]");
    BAD(gm_conv2d(tape, ones(2, 4, 8, 8), ones(5, 2, 3, 3), GM_NO_VAR, &two, NONE), GM_E_SHAPE,
        "conv2d: weight is [5, 2, 3, 3], 2 groups do not divide 5 channels");
    BAD(gm_conv2d(tape, ones(2, 4, 8, 8), ones(5, 4, 0, 3), GM_NO_VAR, NULL, NONE), GM_E_SHAPE,
        "conv2d: weight is [5, 4, 0, 3], the kernel is empty");
    int64_t three_shape[3] = { 4, 8, 8 }, six = 6, five = 5;
    BAD(gm_conv2d(tape, gm_constant(tape, 3, three_shape, 0), ones(5, 4, 3, 3), GM_NO_VAR, NULL,
                  NONE),
        GM_E_SHAPE, "conv2d: input is [4, 8, 8], weight is [5, 4, 3, 3]");
    BAD(gm_conv2d(tape, ones(2, 4, 8, 8), ones(5, 4, 3, 3), gm_constant(tape, 1, &six, 0), NULL,
                  NONE),
        GM_E_SHAPE, "conv2d: bias is [6], weight is [5, 4, 3, 3]");
    BAD(gm_conv_transpose2d(tape, ones(2, 3, 8, 8), ones(4, 5, 3, 3), GM_NO_VAR, NULL, NONE),
        GM_E_SHAPE, "conv_transpose2d: input is [2, 3, 8, 8], weight [4, 5, 3, 3]");
    BAD(gm_conv_transpose2d(tape, ones(2, 3, 8, 8), ones(3, 5, 3, 3), GM_NO_VAR, &two, NONE),
        GM_E_SHAPE, "conv_transpose2d: weight is [3, 5, 3, 3], 2 groups do not divide 3 channels");
    BAD(gm_conv_transpose2d(tape, ones(2, 4, 8, 8), ones(4, 3, 3, 3),
                            gm_constant(tape, 1, &five, 0), NULL, NONE),
        GM_E_SHAPE, "conv_transpose2d: bias is [5]");
    o = square(1, 2);
    BAD(gm_conv_transpose2d(tape, ones(1, 1, 1, 9), ones(1, 1, 3, 3), GM_NO_VAR, &o, NONE),
        GM_E_SHAPE, "conv_transpose2d: height: (1-1)*1 - 2*2 + 1*(3-1) + 0 + 1 is not 1 to 2^30");
    BAD(gm_conv_transpose2d(tape, ones(1, 1, 4, 4), ones(1, 1, 1, 1), GM_NO_VAR, &far, NONE),
        GM_E_SHAPE, "is not 1 to 2^30");
    BAD(gm_conv_transpose2d(tape, ones(1, 1, 2, 2), ones(1, 64, 1, 1), GM_NO_VAR, &far, NONE),
        GM_E_INVALID, "more than memory can address");
    gm_conv_geometry g = { { 1, 1 }, { 0, 0 }, { 1, 1 }, 2 };
    int64_t kernel[2] = { 2, 2 }, none[2] = { 0, 2 };
    BAD(gm_conv2d_weight(tape, ones(1, 3, 4, 4), ones(1, 2, 3, 3), &g, kernel), GM_E_SHAPE,
        "conv2d_weight: input is [1, 3, 4, 4], gradient is [1, 2, 3, 3]");
    BAD(gm_conv2d_weight(tape, ones(1, 4, 4, 4), ones(2, 2, 3, 3), &g, kernel), GM_E_SHAPE,
        "the images differ");
    BAD(gm_conv2d_weight(tape, ones(1, 4, 4, 4), ones(1, 2, 3, 3), &g, none), GM_E_INVALID,
        "conv2d_weight: kernel of the height is 0");
}
END_TEST

START_TEST(bad_pools)
{
    BAD(gm_max_pool2d(tape, ones(1, 1, 4, 4), 0, 1, 0), GM_E_INVALID, "max_pool2d: kernel is 0");
    BAD(gm_max_pool2d(tape, ones(1, 1, 4, 4), 2, 0, 0), GM_E_INVALID, "stride is 0");
    BAD(gm_avg_pool2d(tape, ones(1, 1, 4, 4), 2, 1, 2), GM_E_INVALID, "avg_pool2d: padding is 2");
    BAD(gm_avg_pool2d(tape, ones(1, 1, 4, 4), 2, 1, -1), GM_E_INVALID, "padding is -1");
    BAD(gm_max_pool2d(tape, ones(1, 1, 4, 4), 7, 3, 1), GM_E_SHAPE,
        "max_pool2d: height: (4 + 2*1 - 7) / 3 + 1 is below 1 (input 4, padding 1, kernel 7, "
        "stride "
        "3)");
    int64_t three_shape[3] = { 4, 8, 8 };
    BAD(gm_avg_pool2d(tape, gm_constant(tape, 3, three_shape, 0), 2, 2, 0), GM_E_SHAPE,
        "avg_pool2d: input is [4, 8, 8], expected rank 4");
    BAD(gm_upsample_nearest(tape, ones(1, 1, 4, 4), 0), GM_E_INVALID, "factor is 0");
    BAD(gm_pixel_shuffle(tape, ones(1, 6, 4, 4), 2), GM_E_SHAPE,
        "pixel_shuffle: input is [1, 6, 4, 4], factor 2");
    BAD(gm_upsample_nearest(tape, gm_constant(tape, 3, three_shape, 0), 2), GM_E_SHAPE,
        "upsample_nearest: input is [4, 8, 8], expected rank 4");
    BAD(gm_upsample_nearest(tape, ones(1, 4, 4, 4), 1 << 30), GM_E_INVALID,
        "more than memory can address");
}
END_TEST

/* --- Layers. */

START_TEST(layers_refuse)
{
    gm_layer *layer = NULL;
    gm_conv_options o = GM_CONV_OPTIONS_INIT, good = o;
    (void)good;
#define REFUSED(call, status, text)                                                                \
    do {                                                                                           \
        support_fails(ctx, call, status, text);                                                    \
        ck_assert_ptr_null(layer);                                                                 \
    } while (0)
    REFUSED(gm_conv2d_create(&layer, ctx, 0, 4, 3, 3, NULL), GM_E_INVALID, "conv2d: in is 0");
    REFUSED(gm_conv2d_create(&layer, ctx, 4, -4, 3, 3, NULL), GM_E_INVALID, "conv2d: out is -4");
    REFUSED(gm_conv2d_create(&layer, ctx, 4, 4, 3, 0, NULL), GM_E_INVALID, "kernel_w is 0");
    o = good, o.groups = 3;
    REFUSED(gm_conv2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_INVALID,
            "conv2d: groups is 3, in is 6, out is 4, expected a divisor of both");
    o = good, o.stride_w = 0;
    REFUSED(gm_conv2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_INVALID, "stride_w is 0");
    o = good, o.padding_h = -1;
    REFUSED(gm_conv2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_INVALID, "padding_h is -1");
    o = good, o.bias = 2;
    REFUSED(gm_conv2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_INVALID, "bias is 2, 0 to 1");
    o = good, o.output_padding_h = 1;
    REFUSED(gm_conv2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_INVALID, "output padding is for");
    REFUSED(gm_conv_transpose2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_INVALID,
            "conv_transpose2d: output_padding_h is 1, below the stride (1) or the dilation (1)");
    o = good, o.weight_init = 99;
    REFUSED(gm_conv2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_INVALID, "kind is 99");
    o = good, o.bias_init = GM_INIT_ORTHOGONAL;
    REFUSED(gm_conv2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_SHAPE, "rank is 1");
    o = good, o.reserved = 1;
    REFUSED(gm_conv2d_create(&layer, ctx, 6, 4, 3, 3, &o), GM_E_INVALID, "reserved is 1");
    REFUSED(gm_conv2d_create(&layer, ctx, 1 << 30, 1 << 30, 1 << 30, 3, NULL), GM_E_INVALID, "");
    REFUSED(gm_conv2d_create(&layer, NULL, 1, 1, 1, 1, NULL), GM_E_INVALID, "");
    ck_assert_int_eq(gm_conv2d_create(NULL, ctx, 1, 1, 1, 1, NULL), GM_E_INVALID);
    REFUSED(gm_max_pool2d_create(&layer, ctx, 0, 1, 0), GM_E_INVALID, "max_pool2d: kernel is 0");
    REFUSED(gm_avg_pool2d_create(&layer, ctx, 3, 1, 2), GM_E_INVALID, "avg_pool2d: padding is 2");
    REFUSED(gm_upsample_nearest_create(&layer, ctx, 0), GM_E_INVALID,
            "upsample_nearest: factor is 0");
    REFUSED(gm_pixel_shuffle_create(&layer, ctx, -2), GM_E_INVALID, "pixel_shuffle: factor is -2");
}
END_TEST

START_TEST(layers_start)
{
    gm_layer *layer = NULL;
    double largest[2] = { 0, 0 };
    support_ok(ctx, gm_conv2d_create(&layer, ctx, 16, 40, 5, 5, NULL));
    gm_params *p = gm_layer_params(layer);
    ck_assert_int_eq(gm_params_elements(p), 40 * 16 * 25 + 40);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < gm_param_count(gm_params_get(p, k)); i++)
            largest[k] = fmax(largest[k], fabs((double)gm_param_value(gm_params_get(p, k))[i]));
    ck_assert(largest[0] <= 0.05 + 1e-8 && largest[0] > 0.0499); /* 1/sqrt(16 25) */
    ck_assert(largest[1] <= 0.05 + 1e-8 && largest[1] > 0.04);
    gm_layer_release(layer);
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.groups = 2;
    o.bias_init = GM_INIT_CONSTANT;
    o.bias_a = 3;
    support_ok(ctx, gm_conv_transpose2d_create(&layer, ctx, 6, 4, 2, 3, &o));
    const int64_t want[4] = { 6, 2, 2, 3 };
    gm_param *w = gm_params_get(gm_layer_params(layer), 0);
    ck_assert_int_eq(gm_param_rank(w), 4);
    ck_assert_mem_eq(gm_param_shape(w), want, sizeof want);
    ck_assert(gm_param_value(gm_params_get(gm_layer_params(layer), 1))[3] == 3);
    gm_layer_release(layer);
}
END_TEST

/* --- A small network: its bytes for 1, 2 and 3 threads, its memory after the first step. */

static gm_layer *network(gm_context *c)
{
    gm_layer *net = NULL;
    int64_t folded[3] = { 20, 7, 7 };
    support_ok(c, gm_sequence_create(&net, c));
    gm_sequence_add_conv2d(net, 1, 20, 4, 2, 1);
    gm_sequence_add_leaky_relu(net, 0.2);
    gm_sequence_add_max_pool2d(net, 2, 2, 0);
    gm_sequence_add_conv2d(net, 20, 24, 3, 1, 1);
    gm_sequence_add_elu(net, 1);
    gm_sequence_add_flatten(net);
    gm_sequence_add_linear(net, 24 * 49, 980);
    gm_sequence_add_reshape(net, 3, folded);
    gm_sequence_add_conv_transpose2d(net, 20, 12, 4, 2, 1);
    gm_sequence_add_relu(net);
    gm_sequence_add_avg_pool2d(net, 2, 2, 0);
    gm_sequence_add_pixel_shuffle(net, 2);
    gm_sequence_add_upsample_nearest(net, 2);
    gm_sequence_add_conv_transpose2d(net, 3, 1, 3, 1, 1);
    support_ok(c, gm_sequence_status(net));
    return net;
}

static void step(gm_context *c, gm_tape *t, gm_layer *net)
{
    static float data[10 * 28 * 28];
    int64_t shape[4] = { 10, 1, 28, 28 };
    for (int i = 0; i < 10 * 28 * 28; i++) data[i] = (float)(i * 7 % 31) / 31.0f;
    gm_tape_reset(t);
    gm_var x = gm_input_array(t, 4, shape, data);
    gm_var y = gm_apply(t, net, x);
    support_ok(c, gm_backward(t, gm_mean(t, gm_bce_with_logits(t, y, x)), gm_layer_params(net)));
}

START_TEST(same_bytes_for_any_threads)
{
    float *first[16] = { NULL };
    for (int32_t threads = 1; threads <= 3; threads++) {
        gm_context *c = support_context(8, threads);
        gm_tape *t = NULL;
        gm_layer *net = network(c);
        support_ok(c, gm_tape_create(&t, c, NULL));
        step(c, t, net);
        gm_params *p = gm_layer_params(net);
        ck_assert_int_le(gm_params_count(p), 16);
        for (int64_t i = 0; i < gm_params_count(p); i++) {
            gm_param *one = gm_params_get(p, i);
            size_t size = (size_t)gm_param_count(one) * sizeof(float);
            if (threads > 1) {
                ck_assert_mem_eq(first[i], gm_param_gradient(one), size);
                continue;
            }
            first[i] = malloc(size);
            memcpy(first[i], gm_param_gradient(one), size);
        }
        gm_layer_release(net);
        gm_tape_release(t);
        gm_context_release(c);
    }
    for (int i = 0; i < 16; i++) free(first[i]);
}
END_TEST

START_TEST(nothing_is_allocated_after_the_first_step)
{
    gm_memory_counters before, after;
    gm_layer *net = network(ctx);
    step(ctx, tape, net);
    gm_context_memory(&before, ctx);
    step(ctx, tape, net);
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    ck_assert_uint_eq(before.bytes, after.bytes);
    gm_layer_release(net);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("conv");
    TCase *t = tcase_create("conv");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, conv_by_hand);
    tcase_add_test(t, transpose_by_hand);
    tcase_add_test(t, activations_after);
    tcase_add_test(t, pytorch);
    tcase_add_test(t, pools_by_hand);
    tcase_add_test(t, nothing_in);
    tcase_add_test(t, family_is_closed);
    tcase_add_test(t, bad_options);
    tcase_add_test(t, bad_shapes);
    tcase_add_test(t, bad_pools);
    tcase_add_test(t, layers_refuse);
    tcase_add_test(t, layers_start);
    tcase_add_test(t, same_bytes_for_any_threads);
    tcase_add_test(t, nothing_is_allocated_after_the_first_step);
    suite_add_tcase(s, t);
    return s;
}
