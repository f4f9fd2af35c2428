/* mmd.c - gradient checks of the maximum mean discrepancy, and its estimators against double loops
 * to the last digits of double. */
#include "gm/mmd.h"
#include "gradcheck/covered.h"
#include "gradcheck/gradcheck.h"
#include "mmd_naive.h"

/* The tape needs the kernel for the recording only. */
static gm_var mmd(gm_tape *t, gm_var x, gm_var y, int sort, int32_t estimator)
{
    gm_mmd_kernel *kernel = naive_kernel(gm_tape_context(t), sort);
    gm_var v = gm_mmd2(t, x, y, kernel, estimator);
    gm_mmd_kernel_release(kernel);
    return v;
}

/* y as a constant: a copy of v[1] that no gradient passes. */
#define ESTIMATOR(name, sort, estimator)                                                           \
    BUILD(name, mmd(t, v[0], v[1], sort, estimator))                                               \
    BUILD(name##_x, mmd(t, v[0], gm_stop_gradient(t, v[1]), sort, estimator))                      \
    BUILD(name##_y, mmd(t, gm_stop_gradient(t, v[0]), v[1], sort, estimator))

ESTIMATOR(biased_gaussian, NAIVE_GAUSSIAN, GM_MMD_BIASED)
ESTIMATOR(biased_ladder, NAIVE_SERIES, GM_MMD_BIASED)
ESTIMATOR(unbiased_laplacian, NAIVE_LAPLACIAN, GM_MMD_UNBIASED)
ESTIMATOR(biased_quadratic, NAIVE_QUADRATIC, GM_MMD_BIASED)
ESTIMATOR(biased_polynomial, NAIVE_POLYNOMIAL, GM_MMD_BIASED)
ESTIMATOR(unbiased_polynomial, NAIVE_POLYNOMIAL, GM_MMD_UNBIASED)
ESTIMATOR(biased_linear, NAIVE_LINEAR, GM_MMD_BIASED)
ESTIMATOR(biased_all, NAIVE_ALL, GM_MMD_BIASED)
ESTIMATOR(unbiased_all, NAIVE_ALL, GM_MMD_UNBIASED)
ESTIMATOR(linear_all, NAIVE_ALL, GM_MMD_LINEAR)
ESTIMATOR(block_all, NAIVE_ALL, GM_MMD_BLOCK)
ESTIMATOR(block_3, NAIVE_ALL, GM_MMD_BLOCKS_OF(3))
BUILD(itself, mmd(t, v[0], gm_square(t, v[0]), NAIVE_ALL, GM_MMD_BIASED))
BUILD(root, gm_sqrt(t, mmd(t, v[0], v[1], NAIVE_SERIES, GM_MMD_BIASED)))

#define X                                                                                          \
    {                                                                                              \
        2, { 7, 3 }, ANY                                                                           \
    }
#define Y                                                                                          \
    {                                                                                              \
        2, { 5, 3 }, 0, 2, 0, 0                                                                    \
    }
#define Y7                                                                                         \
    {                                                                                              \
        2, { 7, 3 }, 0, 2, 0, 0                                                                    \
    }
#define BOTH(name, text, x, y)                                                                     \
    {                                                                                              \
        "mmd2", text, build_##name, 2,                                                             \
        {                                                                                          \
            x, y                                                                                   \
        }                                                                                          \
    }

/* clang-format off */
static const grad_case cases[] = {
    BOTH(biased_gaussian, "biased, Gaussian", X, Y),
    BOTH(biased_ladder, "biased, ladder", X, Y),
    BOTH(unbiased_laplacian, "unbiased, Laplacian", X, Y),
    BOTH(biased_quadratic, "biased, rational quadratic", X, Y),
    BOTH(biased_polynomial, "biased, polynomial", X, Y),
    BOTH(unbiased_polynomial, "unbiased, polynomial", X, Y),
    BOTH(biased_linear, "biased, linear", X, Y),
    BOTH(biased_all, "biased, all", X, Y),
    BOTH(unbiased_all, "unbiased, all", X, Y),
    BOTH(linear_all, "linear, all", X, Y7),
    BOTH(block_all, "block, all", X, Y7),
    BOTH(block_3, "block of 3, all", X, Y7),
    BOTH(root, "root", X, Y),
    { "mmd2", "of a sample and its squares", build_itself, 1, { X } },
    { "mmd2",
      "images",
      build_biased_all,
      2,
      { { 4, { 3, 2, 2, 2 }, ANY }, { 3, { 4, 2, 4 }, ANY } } },
    { "mmd2",
      "blocks",
      build_biased_all,
      2,
      { { 2, { 300, 2 }, ANY }, { 2, { 270, 2 }, ANY } } },
};
/* clang-format on */

#define CASES ((int)(sizeof cases / sizeof cases[0]))

START_TEST(test_once)
{
    run_case(&cases[_i], 1, 0);
}
END_TEST

START_TEST(test_twice)
{
    run_case(&cases[_i], 3, 1);
}
END_TEST

START_TEST(test_list_is_covered)
{
    static const char *const listed[] = { COVERED_MMD };
    for (size_t k = 0; k < sizeof listed / sizeof *listed; k++) {
        int found = 0;
        for (int i = 0; i < CASES; i++) found |= !strcmp(listed[k], cases[i].op);
        ck_assert_msg(found, "%s has no gradient check", listed[k]);
    }
}
END_TEST

/* With one sample a constant its part of the gradient is the same as with none. */
typedef struct sided {
    build_fn both, x, y;
} sided;
#define SIDED(name)                                                                                \
    {                                                                                              \
        build_##name, build_##name##_x, build_##name##_y                                           \
    }
static const sided sides[] = {
    SIDED(biased_gaussian),  SIDED(biased_ladder),     SIDED(unbiased_laplacian),
    SIDED(biased_quadratic), SIDED(biased_polynomial), SIDED(unbiased_polynomial),
    SIDED(biased_linear),    SIDED(biased_all),        SIDED(unbiased_all),
    SIDED(linear_all),       SIDED(block_all),         SIDED(block_3),
};
#define SIDES ((int)(sizeof sides / sizeof sides[0]))

START_TEST(test_one_side)
{
    const int64_t shape[2] = { 9, 4 };
    double x[36], y[36], g[2][36];
    gm_context *ctx = support_context(2, 2);
    gm_tape *t = NULL;
    naive_draw(x, 36, 1, 0);
    naive_draw(y, 36, 2, 0.5);
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
    for (int pass = 0; pass < 3; pass++) {
        gm_tape_reset(t);
        gm_var v[2] = { gm_variable(t, 2, shape, x), gm_variable(t, 2, shape, y) };
        build_fn build = pass == 0 ? sides[_i].both : pass == 1 ? sides[_i].x : sides[_i].y;
        support_ok(ctx, gm_backward(t, build(t, v), NULL));
        for (int i = 0; i < 2; i++) {
            const double *found = gm_gradient_of(t, v[i]);
            ck_assert_int_eq(found != NULL, pass == 0 || pass - 1 == i);
            if (!found) continue;
            if (pass == 0) memcpy(g[i], found, sizeof g[i]);
            ck_assert_int_eq(memcmp(g[i], found, sizeof g[i]), 0);
        }
    }
    gm_tape_release(t);
    gm_context_release(ctx);
}
END_TEST

/* Sizes about the borders of blocks and tiles. */
START_TEST(test_exact)
{
    static const int64_t sizes[][3] = { { 2, 2, 1 },     { 9, 9, 4 },    { 40, 40, 30 },
                                        { 257, 256, 3 }, { 1030, 5, 2 }, { 3, 1026, 2 } };
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        int64_t n = sizes[k][0], m = sizes[k][1], d = sizes[k][2];
        int64_t x_shape[2] = { n, d }, y_shape[2] = { m, d };
        double *x = malloc((size_t)(n * d) * sizeof *x), *y = malloc((size_t)(m * d) * sizeof *y);
        gm_context *ctx = support_context(2, 2);
        gm_tape *t = NULL;
        naive_draw(x, n * d, 1, 0);
        naive_draw(y, m * d, 2, 0.5);
        ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
        for (int32_t estimator = 0; estimator < 4; estimator++) {
            if (estimator > GM_MMD_UNBIASED && n != m) continue;
            double want = naive_mmd2(x, n, y, m, d, _i, estimator);
            gm_tape_reset(t);
            double found = gm_scalar(t, mmd(t, gm_input_array(t, 2, x_shape, x),
                                            gm_input_array(t, 2, y_shape, y), _i, estimator));
            ck_assert_int_eq(gm_tape_status(t), GM_OK);
            ck_assert_msg(fabs(found - want) <= 1e-12 * fabs(want),
                          "kernel %d, estimator %d, %lld and %lld rows of %lld: %.17g, the loop "
                          "gives %.17g",
                          _i, (int)estimator, (long long)n, (long long)m, (long long)d, found,
                          want);
        }
        gm_tape_release(t);
        gm_context_release(ctx);
        free(x);
        free(y);
    }
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("gradcheck: mmd");
    TCase *tc = tcase_create("mmd");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_once, 0, CASES);
    tcase_add_loop_test(tc, test_twice, 0, CASES);
    tcase_add_loop_test(tc, test_one_side, 0, SIDES);
    tcase_add_loop_test(tc, test_exact, 0, NAIVE_SORTS);
    tcase_add_test(tc, test_list_is_covered);
    suite_add_tcase(s, tc);
    return s;
}
