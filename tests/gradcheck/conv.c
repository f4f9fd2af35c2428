/* conv.c - the operations of images: convolutions over strides, paddings, dilations, groups, output
 * paddings and odd sizes; pools; enlargements. And that convolution and transposed convolution are
 * adjoint.
 */
#include "gradcheck/covered.h"
#include "gradcheck/gradcheck.h"

#include "autodiff/ops/ops.h"
#include "gm/conv.h"

/* What the builders use: set by each test before it runs its case. */
static gm_conv_options now;
static gm_conv_geometry geometry;
static int32_t activation;
static int64_t size_now[2];

/* clang-format off: one builder a line, one case a line. */
BUILD(conv, gm_conv2d(t, v[0], v[1], v[2], &now, activation, 0.3))
BUILD(bare, gm_conv2d(t, v[0], v[1], GM_NO_VAR, &now, activation, 0.3))
BUILD(turn, gm_conv_transpose2d(t, v[0], v[1], v[2], &now, activation, 0.3))
BUILD(turn_bare, gm_conv_transpose2d(t, v[0], v[1], GM_NO_VAR, &now, activation, 0.3))
BUILD(weight, gm_conv2d_weight(t, v[0], v[1], &geometry, size_now))
BUILD(sized, gm_conv2d_sized(t, v[0], v[1], &geometry, size_now))
BUILD(turn_sized, gm_conv_transpose2d_sized(t, v[0], v[1], &geometry, size_now))
BUILD(conv_self, gm_conv2d(t, v[0], v[0], GM_NO_VAR, NULL, GM_ACTIVATION_NONE, 0))
BUILD(turn_self, gm_conv_transpose2d(t, v[0], v[0], GM_NO_VAR, NULL, GM_ACTIVATION_TANH, 0))
BUILD(weight_self, gm_conv2d_weight(t, v[0], v[0], &geometry, size_now))
BUILD(max22, gm_max_pool2d(t, v[0], 2, 2, 0))
BUILD(max321, gm_max_pool2d(t, v[0], 3, 2, 1))
BUILD(max31, gm_max_pool2d(t, v[0], 3, 1, 1))
BUILD(max23, gm_max_pool2d(t, v[0], 2, 3, 1))
BUILD(avg22, gm_avg_pool2d(t, v[0], 2, 2, 0))
BUILD(avg321, gm_avg_pool2d(t, v[0], 3, 2, 1))
BUILD(avg43, gm_avg_pool2d(t, v[0], 4, 3, 2))
BUILD(up1, gm_upsample_nearest(t, v[0], 1))
BUILD(up3, gm_upsample_nearest(t, v[0], 3))
BUILD(shuffle1, gm_pixel_shuffle(t, v[0], 1))
BUILD(shuffle2, gm_pixel_shuffle(t, v[0], 2))
BUILD(shuffle3, gm_pixel_shuffle(t, v[0], 3))

static const grad_case plain[] = {
    { "conv2d", "itself", build_conv_self, 1, { { 4, { 3, 3, 2, 3 }, ANY } } },
    { "conv_transpose2d", "itself", build_turn_self, 1, { { 4, { 3, 3, 2, 2 }, ANY } } },
    { "max_pool2d", "2 by 2", build_max22, 1, { { 4, { 2, 3, 6, 7 }, ANY } } },
    { "max_pool2d", "overlapping", build_max321, 1, { { 4, { 2, 2, 5, 6 }, ANY } } },
    { "max_pool2d", "stride 1", build_max31, 1, { { 4, { 1, 2, 5, 4 }, ANY } } },
    { "max_pool2d", "apart", build_max23, 1, { { 4, { 2, 2, 7, 5 }, ANY } } },
    { "max_pool2d", "large", build_max22, 1, { { 4, { 4, 9, 32, 31 }, ANY } } },
    { "avg_pool2d", "2 by 2", build_avg22, 1, { { 4, { 2, 3, 6, 7 }, ANY } } },
    { "avg_pool2d", "overlapping", build_avg321, 1, { { 4, { 2, 2, 5, 6 }, ANY } } },
    { "avg_pool2d", "padding 2", build_avg43, 1, { { 4, { 1, 2, 7, 5 }, ANY } } },
    { "upsample_nearest", "1", build_up1, 1, { { 4, { 2, 2, 3, 2 }, ANY } } },
    { "upsample_nearest", "3", build_up3, 1, { { 4, { 2, 2, 3, 2 }, ANY } } },
    { "pixel_shuffle", "1", build_shuffle1, 1, { { 4, { 2, 3, 3, 2 }, ANY } } },
    { "pixel_shuffle", "2", build_shuffle2, 1, { { 4, { 2, 8, 3, 2 }, ANY } } },
    { "pixel_shuffle", "3", build_shuffle3, 1, { { 4, { 1, 18, 2, 3 }, ANY } } },
};
#define PLAIN ((int)(sizeof plain / sizeof plain[0]))
/* clang-format on */

START_TEST(test_plain)
{
    run_case(&plain[_i], 1, 0);
    run_case(&plain[_i], 3, 1);
}
END_TEST

/* One geometry: images, channels in and out, sizes, kernel, strides, paddings, dilations, output
 * paddings, groups; and an activation without a kink. */
typedef struct geometry_case {
    int64_t n, c, o, h, w, kh, kw, sh, sw, ph, pw, dh, dw, eh, ew, groups;
    int32_t activation;
} geometry_case;

#define TANH GM_ACTIVATION_TANH
#define ELU GM_ACTIVATION_ELU
#define SIGMOID GM_ACTIVATION_SIGMOID
#define SOFTPLUS GM_ACTIVATION_SOFTPLUS

static const geometry_case geometries[] = {
    { 2, 1, 3, 5, 6, 3, 3, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0 },
    { 2, 1, 20, 7, 6, 4, 4, 2, 2, 1, 1, 1, 1, 0, 0, 1, TANH },
    { 2, 9, 3, 5, 4, 4, 4, 2, 2, 1, 1, 1, 1, 0, 0, 1, 0 },
    { 3, 9, 18, 4, 5, 3, 2, 2, 3, 1, 0, 1, 2, 1, 2, 1, SIGMOID },
    { 2, 4, 6, 7, 8, 2, 3, 1, 2, 1, 2, 2, 1, 1, 1, 2, 0 },
    { 2, 18, 20, 5, 5, 3, 3, 2, 1, 2, 1, 2, 2, 1, 1, 2, TANH },
    { 1, 5, 5, 9, 7, 5, 5, 3, 2, 2, 2, 1, 1, 2, 1, 5, 0 },
    { 3, 2, 34, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, ELU },
    { 2, 10, 2, 3, 3, 1, 1, 3, 2, 0, 0, 1, 1, 2, 1, 1, 0 },
    { 2, 1, 1, 6, 5, 2, 5, 1, 1, 1, 3, 3, 1, 2, 0, 1, SOFTPLUS },
    { 9, 8, 16, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0 },
    { 2, 8, 4, 5, 5, 2, 2, 4, 4, 1, 1, 1, 1, 3, 3, 1, 0 },
    { 2, 3, 2, 6, 6, 3, 3, 1, 1, 0, 0, 2, 2, 1, 1, 1, TANH },
};
#define GEOMETRIES ((int)(sizeof geometries / sizeof geometries[0]))

static void use(const geometry_case *g, int extra)
{
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    gm_conv_geometry plain_geometry = {
        { g->sh, g->sw }, { g->ph, g->pw }, { g->dh, g->dw }, g->groups
    };
    o.stride_h = g->sh;
    o.stride_w = g->sw;
    o.padding_h = g->ph;
    o.padding_w = g->pw;
    o.dilation_h = g->dh;
    o.dilation_w = g->dw;
    o.groups = g->groups;
    if (extra) {
        o.output_padding_h = g->eh;
        o.output_padding_w = g->ew;
    }
    now = o;
    geometry = plain_geometry;
    activation = g->activation;
}

static int64_t out_size(int64_t h, int64_t k, int64_t s, int64_t p, int64_t d)
{
    return (h + 2 * p - d * (k - 1) - 1) / s + 1;
}

static void both_ways(const grad_case *c)
{
    run_case(c, 1, 0);
    run_case(c, 3, 1);
}

START_TEST(test_conv)
{
    const geometry_case *g = &geometries[_i];
    grad_case c = { "conv2d",
                    "grid",
                    build_conv,
                    3,
                    { { 4, { g->n, g->c, g->h, g->w }, ANY },
                      { 4, { g->o, g->c / g->groups, g->kh, g->kw }, -0.5, 0.5, 0, 0 },
                      { 1, { g->o }, ANY } } };
    use(g, 0);
    both_ways(&c);
    c.build = build_bare;
    c.count = 2;
    both_ways(&c);
    /* A size of the result of one's own: one row less, two columns more than the formula has. */
    c.build = build_sized;
    size_now[0] = out_size(g->h, g->kh, g->sh, g->ph, g->dh);
    size_now[1] = out_size(g->w, g->kw, g->sw, g->pw, g->dw) + 2;
    if (size_now[0] > 1) size_now[0]--;
    both_ways(&c);
}
END_TEST

START_TEST(test_transpose)
{
    const geometry_case *g = &geometries[_i];
    grad_case c = { "conv_transpose2d",
                    "grid",
                    build_turn,
                    3,
                    { { 4, { g->n, g->o, g->h, g->w }, ANY },
                      { 4, { g->o, g->c / g->groups, g->kh, g->kw }, -0.5, 0.5, 0, 0 },
                      { 1, { g->c }, ANY } } };
    use(g, 1);
    both_ways(&c);
    c.build = build_turn_bare;
    c.count = 2;
    both_ways(&c);
    c.build = build_turn_sized;
    size_now[0] = g->h * g->sh + 1;
    size_now[1] = g->w;
    both_ways(&c);
}
END_TEST

START_TEST(test_weight)
{
    const geometry_case *g = &geometries[_i];
    int64_t oh = out_size(g->h, g->kh, g->sh, g->ph, g->dh),
            ow = out_size(g->w, g->kw, g->sw, g->pw, g->dw);
    grad_case c = { "conv2d_weight",
                    "grid",
                    build_weight,
                    2,
                    { { 4, { g->n, g->c, g->h, g->w }, ANY },
                      { 4, { g->n, g->o, oh, ow }, ANY } } };
    use(g, 0);
    size_now[0] = g->kh;
    size_now[1] = g->kw;
    both_ways(&c);
    grad_case self = {
        "conv2d_weight", "itself", build_weight_self, 1, { { 4, { 2, 4, 3, 3 }, ANY } }
    };
    gm_conv_geometry one = { { 1, 1 }, { 1, 1 }, { 1, 1 }, 1 };
    geometry = one;
    size_now[0] = size_now[1] = 3;
    both_ways(&self);
}
END_TEST

static double inner(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* <conv(x, w), y> = <x, convT(y, w)> = <w, weight(x, y)>, to the last digits. */
START_TEST(test_adjoint)
{
    const geometry_case *g = &geometries[_i];
    gm_context *ctx = support_context(11, 2);
    gm_tape *t = NULL;
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
    int64_t sx[4] = { g->n, g->c, g->h, g->w }, sw[4] = { g->o, g->c / g->groups, g->kh, g->kw };
    int64_t size[2] = { g->h, g->w }, kernel[2] = { g->kh, g->kw };
    use(g, 0);
    gm_var x = gm_randn(t, 4, sx), w = gm_randn(t, 4, sw);
    gm_var cx = gm_conv2d(t, x, w, GM_NO_VAR, &now, GM_ACTIVATION_NONE, 0);
    ck_assert_int_eq(gm_tape_status(t), GM_OK);
    gm_var y = gm_randn(t, 4, gm_shape(t, cx));
    gm_var ty = gm_conv_transpose2d_sized(t, y, w, &geometry, size);
    gm_var xy = gm_conv2d_weight(t, x, y, &geometry, kernel);
    ck_assert_int_eq(gm_tape_status(t), GM_OK);
    double a = inner(gm_value(t, cx), gm_value(t, y), gm_count(t, y));
    double b = inner(gm_value(t, x), gm_value(t, ty), gm_count(t, x));
    double c = inner(gm_value(t, w), gm_value(t, xy), gm_count(t, w));
    ck_assert_double_ne(a, 0);
    ck_assert_double_eq_tol(a, b, 1e-10 * (1 + fabs(a)));
    ck_assert_double_eq_tol(a, c, 1e-10 * (1 + fabs(a)));
    gm_tape_release(t);
    gm_context_release(ctx);
}
END_TEST

START_TEST(test_list_is_kept)
{
    static const char *const grids[] = { "conv2d", "conv_transpose2d", "conv2d_weight" };
    static const char *const covered[] = { COVERED_CONV };
    for (size_t k = 0; k < sizeof covered / sizeof *covered; k++) {
        int found = 0;
        for (int i = 0; i < 3; i++) found |= !strcmp(grids[i], covered[k]);
        for (int i = 0; i < PLAIN; i++) found |= !strcmp(plain[i].op, covered[k]);
        ck_assert_msg(found, "%s has no case here", covered[k]);
    }
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("gradcheck: conv");
    TCase *tc = tcase_create("conv");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_plain, 0, PLAIN);
    tcase_add_loop_test(tc, test_conv, 0, GEOMETRIES);
    tcase_add_loop_test(tc, test_transpose, 0, GEOMETRIES);
    tcase_add_loop_test(tc, test_weight, 0, GEOMETRIES);
    tcase_add_loop_test(tc, test_adjoint, 0, GEOMETRIES);
    tcase_add_test(tc, test_list_is_kept);
    suite_add_tcase(s, tc);
    return s;
}
