/* test_resize.c - gm_resize: PyTorch's values, a plain reference, what is not read, refusals; its
 * layer. */
#include "gm/conv.h"
#include "gm/gradient.h"
#include "support.h"

static gm_context *ctx;
static gm_tape *t;

static void setup(void)
{
    ctx = support_context(3, 2);
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
}

static void teardown(void)
{
    gm_tape_release(t);
    gm_context_release(ctx);
    t = NULL;
}

static void expect(gm_var v, int64_t h, int64_t w, const float *values)
{
    ck_assert_msg(gm_tape_status(t) == GM_OK, "%s", gm_context_error(ctx));
    ck_assert_int_eq(gm_shape(t, v)[2], h);
    ck_assert_int_eq(gm_shape(t, v)[3], w);
    for (int64_t i = 0; i < h * w; i++)
        ck_assert_msg(fabsf(gm_value(t, v)[i] - values[i]) <= 1e-6f * (1 + fabsf(values[i])),
                      "element %lld is %.9g, expected %.9g", (long long)i,
                      (double)gm_value(t, v)[i], (double)values[i]);
}

/* interpolate(..., mode="bilinear", align_corners=False) and mode="nearest" of [[1, 2], [3, 4]]. */
START_TEST(test_pytorch)
{
    gm_var x = gm_variable(t, 4, (int64_t[]){ 1, 1, 2, 2 }, (float[]){ 1, 2, 3, 4 });
    expect(gm_resize(t, x, 4, 4, GM_RESIZE_BILINEAR), 4, 4,
           (float[]){ 1, 1.25f, 1.75f, 2, 1.5f, 1.75f, 2.25f, 2.5f, 2.5f, 2.75f, 3.25f, 3.5f, 3,
                      3.25f, 3.75f, 4 });
    expect(gm_resize(t, x, 3, 3, GM_RESIZE_BILINEAR), 3, 3,
           (float[]){ 1, 1.5f, 2, 2, 2.5f, 3, 3, 3.5f, 4 });
    expect(gm_resize(t, x, 1, 1, GM_RESIZE_BILINEAR), 1, 1, (float[]){ 2.5f });
    expect(gm_resize(t, x, 3, 3, GM_RESIZE_NEAREST), 3, 3, (float[]){ 1, 1, 2, 1, 1, 2, 3, 3, 4 });
    expect(gm_resize(t, x, 1, 4, GM_RESIZE_NEAREST), 1, 4, (float[]){ 1, 1, 2, 2 });
    expect(gm_resize(t, x, 2, 2, GM_RESIZE_BILINEAR), 2, 2, (float[]){ 1, 2, 3, 4 });
    /* The gradient of the sum: how much each pixel gives. */
    gm_var y = gm_sum(t, gm_resize(t, x, 3, 1, GM_RESIZE_BILINEAR)), g = gm_gradient(t, y, x);
    ck_assert_int_eq(gm_backward(t, y, NULL), GM_OK);
    for (int i = 0; i < 4; i++) {
        ck_assert_float_eq_tol(gm_gradient_of(t, x)[i], 0.75f, 1e-6f);
        ck_assert_float_eq_tol(gm_value(t, g)[i], 0.75f, 1e-6f);
    }
}
END_TEST

static double at(const float *x, int64_t w, int64_t i, int64_t j)
{
    return (double)x[i * w + j];
}

/* The formula of gm/conv.h, in double. */
static double pixel(const float *x, int64_t h, int64_t w, int64_t height, int64_t width, int64_t i,
                    int64_t j, int32_t mode)
{
    if (mode == GM_RESIZE_NEAREST) return at(x, w, i * h / height, j * w / width);
    double r = fmin(fmax(((double)i + 0.5) * (double)h / (double)height - 0.5, 0), (double)(h - 1));
    double s = fmin(fmax(((double)j + 0.5) * (double)w / (double)width - 0.5, 0), (double)(w - 1));
    int64_t a = (int64_t)r, b = (int64_t)s, c = a + 1 < h ? a + 1 : a, d = b + 1 < w ? b + 1 : b;
    double u = r - (double)a, v = s - (double)b;
    return (1 - u) * ((1 - v) * at(x, w, a, b) + v * at(x, w, a, d)) +
           u * ((1 - v) * at(x, w, c, b) + v * at(x, w, c, d));
}

START_TEST(test_reference)
{
    static const int64_t size[6][4] = { { 5, 7, 11, 3 }, { 1, 4, 6, 4 },   { 8, 8, 16, 16 },
                                        { 9, 6, 3, 2 },  { 3, 1, 100, 1 }, { 28, 28, 13, 45 } };
    gm_rng *rng = NULL;
    float data[3 * 784];
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 9), GM_OK);
    for (int i = 0; i < 3 * 784; i++) data[i] = (float)gm_rng_double(rng) - 0.5f;
    gm_rng_release(rng);
    for (int k = 0; k < 12; k++) {
        const int64_t *s = size[k / 2];
        int32_t mode = k % 2 ? GM_RESIZE_NEAREST : GM_RESIZE_BILINEAR;
        gm_tape_reset(t);
        gm_var x = gm_input_copy(t, 4, (int64_t[]){ 1, 3, s[0], s[1] }, data);
        gm_var y = gm_resize(t, x, s[2], s[3], mode);
        ck_assert_int_eq(gm_tape_status(t), GM_OK);
        for (int64_t p = 0; p < 3; p++)
            for (int64_t i = 0; i < s[2]; i++)
                for (int64_t j = 0; j < s[3]; j++)
                    ck_assert_double_eq_tol(
                        (double)gm_value(t, y)[(p * s[2] + i) * s[3] + j],
                        pixel(data + p * s[0] * s[1], s[0], s[1], s[2], s[3], i, j, mode), 1e-6);
    }
}
END_TEST

/* Twice the size by the nearest pixel is gm_upsample_nearest. */
START_TEST(test_upsample)
{
    gm_var x = gm_randn(t, 4, (int64_t[]){ 2, 3, 5, 4 });
    gm_var y = gm_resize(t, x, 15, 12, GM_RESIZE_NEAREST), z = gm_upsample_nearest(t, x, 3);
    ck_assert_int_eq(gm_count(t, y), gm_count(t, z));
    ck_assert_mem_eq(gm_value(t, y), gm_value(t, z), (size_t)gm_count(t, y) * sizeof(float));
}
END_TEST

/* A pixel of weight 0 is not read: infinity and NaN stay where they are. */
START_TEST(test_not_read)
{
    gm_var x = gm_variable(t, 4, (int64_t[]){ 1, 1, 2, 2 }, (float[]){ 1, INFINITY, 3, NAN });
    gm_var same = gm_resize(t, x, 2, 2, GM_RESIZE_BILINEAR);
    gm_var wide = gm_resize(t, x, 2, 8, GM_RESIZE_BILINEAR);
    ck_assert_int_eq(gm_tape_status(t), GM_OK);
    ck_assert_float_eq(gm_value(t, same)[0], 1);
    ck_assert_float_eq(gm_value(t, same)[2], 3);
    ck_assert(isinf(gm_value(t, same)[1]) && isnan(gm_value(t, same)[3]));
    ck_assert_float_eq(gm_value(t, wide)[0], 1);
    ck_assert(isinf(gm_value(t, wide)[7]));
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
#define IMAGE gm_constant(t, 4, (int64_t[]){ 1, 2, 3, 4 }, 0)
    gm_layer *layer = NULL;
    refused(gm_resize(t, IMAGE, 0, 2, 0), GM_E_INVALID, "resize: height is 0");
    refused(gm_resize(t, IMAGE, 2, -1, 1), GM_E_INVALID, "resize: width is -1");
    refused(gm_resize(t, IMAGE, 2, 2, 2), GM_E_INVALID, "resize: mode is 2");
    refused(gm_resize(t, gm_constant(t, 2, (int64_t[]){ 2, 3 }, 0), 2, 2, 0), GM_E_SHAPE,
            "resize: input is [2, 3]");
    refused(gm_resize(t, gm_constant(t, 4, (int64_t[]){ 1, 1, 0, 3 }, 0), 2, 2, 1), GM_E_SHAPE,
            "resize: input is [1, 1, 0, 3]");
    support_fails(ctx, gm_resize_create(&layer, ctx, 0, 2, 0), GM_E_INVALID, "height is 0");
    support_fails(ctx, gm_resize_create(&layer, ctx, 2, 0, 0), GM_E_INVALID, "width is 0");
    support_fails(ctx, gm_resize_create(&layer, ctx, 2, 2, -1), GM_E_INVALID, "mode is -1");
    ck_assert_ptr_null(layer);
    support_ok(ctx, gm_sequence_create(&layer, ctx));
    support_fails(ctx, gm_sequence_add_resize(layer, 0, 1, 0), GM_E_INVALID, "height is 0");
    support_fails(ctx, gm_sequence_status(layer), GM_E_INVALID, "height is 0");
    gm_layer_release(layer);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("resize");
    TCase *tc = tcase_create("resize");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_pytorch);
    tcase_add_test(tc, test_reference);
    tcase_add_test(tc, test_upsample);
    tcase_add_test(tc, test_not_read);
    tcase_add_test(tc, test_refusals);
    suite_add_tcase(s, tc);
    return s;
}
