/* test_result.c - gm/result.h: every evaluation fills a result of an older caller's size, refuses
 * an unknown one, and leaves it alone after a failure. */
#include "gm/gm.h"
#include "support.h"

enum { ROWS = 12 };

static const float values[ROWS] = { 0, 1, 1, 3, 2, 5, 8, 4, 6, 7, 2, 9 };

/* One of the evaluations that need no model. */
static gm_status evaluate(int which, gm_context *ctx, gm_mmd_kernel *kernel, gm_result *out,
                          int64_t count)
{
    const gm_rows a = { values, count, 1 }, b = { values + 4, count ? 8 : 0, 1 };
    const double scores[2] = { 1, 2 };
    gm_kernel_distance_options k = GM_KERNEL_DISTANCE_OPTIONS_INIT;
    k.subset = 4;
    switch (which) {
    case 0:
        return gm_parzen(out, ctx, &a, &b, 1, NULL, NULL);
    case 1:
        return gm_parzen_fit(out, ctx, &a, &b, &b, NULL);
    case 2:
        return gm_mmd_estimate(out, kernel, &a, &b, GM_MMD_BIASED, NULL);
    case 3:
        return gm_mmd_evaluate(out, ctx, &a, &b, NULL);
    case 4:
        return gm_kernel_distance(out, ctx, &a, &b, &k);
    case 5:
        return gm_frechet_distance(out, ctx, &a, &b, 0);
    case 6:
        return gm_precision_recall(out, NULL, ctx, &a, &b, NULL);
    case 7:
        return gm_nearest_data(out, NULL, ctx, &a, &b, NULL);
    case 8:
        return gm_diversity(out, ctx, &a, &b, NULL);
    default:
        return gm_auc(out, ctx, scores, count ? 2 : 0, scores, 1);
    }
}

START_TEST(sizes)
{
    gm_context *ctx = support_context(1, 1);
    gm_mmd_kernel *kernel = NULL;
    gm_result whole = GM_RESULT_INIT, old = GM_RESULT_INIT, wrong = GM_RESULT_INIT;
    support_ok(ctx, gm_mmd_kernel_create(&kernel, ctx));
    support_ok(ctx, gm_mmd_kernel_add_gaussian(kernel, 1, 1));
    support_ok(ctx, evaluate(_i, ctx, kernel, &whole, 10));
    ck_assert(whole.size == sizeof whole && whole.protocol[0] && !isnan(whole.value));
    old.size = offsetof(gm_result, standard_error);
    old.standard_error = 7;
    support_ok(ctx, evaluate(_i, ctx, kernel, &old, 10));
    ck_assert(old.value == whole.value && old.standard_error == 7);
    ck_assert(old.size == offsetof(gm_result, standard_error));
    wrong.value = 7;
    wrong.size = 3;
    support_fails(ctx, evaluate(_i, ctx, kernel, &wrong, 10), GM_E_INVALID, "3");
    wrong.size = sizeof wrong + 8;
    support_fails(ctx, evaluate(_i, ctx, kernel, &wrong, 10), GM_E_INVALID, "size");
    wrong.size = sizeof wrong;
    support_fails(ctx, evaluate(_i, ctx, kernel, &wrong, 0), GM_E_INVALID, "0");
    ck_assert(wrong.value == 7);
    gm_mmd_kernel_release(kernel);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("result");
    TCase *t = tcase_create("result");
    tcase_add_loop_test(t, sizes, 0, 10);
    suite_add_tcase(s, t);
    return s;
}
