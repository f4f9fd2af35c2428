/* test_mmd_file.c - gm/mmd.h: kernels in archives. */
#include "nets.h"

static gm_mmd_kernel *rich(gm_context *ctx)
{
    gm_mmd_kernel *k = NULL;
    support_ok(ctx, gm_mmd_kernel_create(&k, ctx));
    support_ok(ctx, gm_mmd_kernel_add_linear(k, 0.1));
    support_ok(ctx, gm_mmd_kernel_add_gaussians(k, 0.7, 0.3, sqrt(2), 4));
    support_ok(ctx, gm_mmd_kernel_add_laplacian(k, 1.1, 0.9));
    support_ok(ctx, gm_mmd_kernel_add_rational_quadratic(k, 0.3, 0.6, 1.7));
    support_ok(ctx, gm_mmd_kernel_add_polynomial(k, 0.01, 0.7, 0.3, 3));
    support_ok(ctx, gm_mmd_kernel_add_gaussian(k, 2, 1.0 / 3));
    return k;
}

static double value(gm_context *ctx, gm_mmd_kernel *k)
{
    static const float x[] = { 0.25f, 1, -0.5f, 0.1f, 2, -1, 0.3f, 0.7f },
                       y[] = { 1.5f, 0, -1, 0.6f };
    static const int64_t n[2] = { 4, 2 }, m[2] = { 2, 2 };
    gm_tape *tape = NULL;
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    gm_var v = gm_mmd2(tape, gm_input_array(tape, 2, n, x), gm_input_array(tape, 2, m, y), k,
                       GM_MMD_BIASED);
    support_ok(ctx, gm_tape_status(tape));
    double result = gm_scalar(tape, v);
    gm_tape_release(tape);
    return result;
}

START_TEST(round_trip)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_context *ctx = support_context(81, 1), *other = support_context(82, 2);
    gm_archive *archive = NULL;
    gm_mmd_kernel *k = rich(ctx), *back = NULL, *empty = NULL;
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/kernel", folder);
    support_ok(ctx, gm_mmd_kernel_create(&empty, ctx));
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_kernel(archive, "k.", k));
    support_ok(ctx, gm_archive_put_kernel(archive, NULL, empty));
    support_ok(ctx, gm_archive_write(archive, path));
    gm_archive_release(archive);
    support_ok(other, gm_archive_open(&archive, other, path));
    support_ok(other, gm_archive_get_kernel(&back, archive, "k."));
    ck_assert_int_eq(gm_mmd_kernel_count(back), gm_mmd_kernel_count(k));
    ck_assert_ptr_eq(gm_mmd_kernel_context(back), other);
    double a = value(ctx, k), b = value(other, back);
    ck_assert_msg(!memcmp(&a, &b, sizeof a), "%.17g, filed %.17g", a, b);
    gm_mmd_kernel_release(back);
    support_ok(other, gm_archive_get_kernel(&back, archive, NULL));
    ck_assert_int_eq(gm_mmd_kernel_count(back), 0);
    gm_mmd_kernel_release(back);
    gm_mmd_kernel_release(empty);
    gm_mmd_kernel_release(k);
    gm_archive_release(archive);
    gm_context_release(other);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

START_TEST(refusals)
{
    static const char long_prefix[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    static const struct {
        const char *key, *text, *line;
        gm_status status;
    } bad[] = { { "count", "-1", "count is -1", GM_E_FORMAT },
                { "count", "11", "10.kind", GM_E_FORMAT },
                { "count", "x", "count", GM_E_FORMAT },
                { "0.kind", "4", "kind is 4", GM_E_INVALID },
                { "0.kind", "-1", "kind is -1", GM_E_INVALID },
                { "0.kind", "4294967296", "kind is 4294967296", GM_E_INVALID },
                { "9.degree", "0", "degree is 0", GM_E_INVALID },
                { "9.degree", "17", "degree is 17", GM_E_INVALID },
                { "0.weight", "0", "weight is 0", GM_E_INVALID },
                { "0.weight", "nan", "weight is nan", GM_E_INVALID },
                { "0.a", "inf", "factor is inf", GM_E_INVALID },
                { "0.a", "-1", "factor is -1", GM_E_INVALID },
                { "0.b", "-1", "constant is -1", GM_E_INVALID } };
    gm_context *ctx = support_context(83, 1);
    gm_mmd_kernel *k = rich(ctx), *back = k;
    ck_assert_int_eq(gm_mmd_kernel_count(k), 9);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_archive *archive = NULL;
        char key[64];
        support_ok(ctx, gm_archive_create(&archive, ctx));
        support_ok(ctx, gm_mmd_kernel_add_linear(k, 1)); /* the last part is a polynomial */
        support_ok(ctx, gm_archive_put_kernel(archive, "k.", k));
        snprintf(key, sizeof key, "k.%s", bad[i].key);
        support_ok(ctx, gm_archive_set_text(archive, key, bad[i].text));
        back = k;
        support_fails(ctx, gm_archive_get_kernel(&back, archive, "k."), bad[i].status, bad[i].line);
        ck_assert_ptr_null(back);
        support_fails(ctx, gm_archive_put_kernel(archive, long_prefix, k), GM_E_INVALID,
                      "63 characters");
        support_fails(ctx, gm_archive_get_kernel(&back, archive, long_prefix), GM_E_INVALID,
                      "63 characters");
        support_fails(ctx, gm_archive_put_kernel(archive, "k.", NULL), GM_E_INVALID, "NULL");
        support_fails(ctx, gm_archive_get_kernel(NULL, archive, "k."), GM_E_INVALID, "NULL");
        ck_assert_int_eq(gm_archive_get_kernel(&back, NULL, "k."), GM_E_INVALID);
        gm_archive_release(archive);
        gm_mmd_kernel_release(k);
        k = rich(ctx);
    }
    ck_assert_ptr_null(gm_mmd_kernel_context(NULL));
    gm_mmd_kernel_release(k);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("mmd_file");
    TCase *t = tcase_create("mmd_file");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, round_trip);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
