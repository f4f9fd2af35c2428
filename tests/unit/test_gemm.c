/* test_gemm.c - matrix products against a naive loop, and the same bytes for every number of
 * threads. */
#define _DEFAULT_SOURCE
#include <math.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/context.h"
#include "kernels/gemm.h"
#include "support.h"

static float *noise(int64_t n, uint64_t key)
{
    float *p = malloc((size_t)(n > 0 ? n : 1) * sizeof *p);
    ck_assert_ptr_nonnull(p);
    gm_kernels_choose(NULL)->normal(p, key, 0, 0, n);
    return p;
}

/* The table that all products of a test take: of the processor, with BLAS or without. */
static gm_kernels table;
static const gm_kernels *const kernels = &table;

static void with_blas(void)
{
    table = *gm_kernels_choose(NULL);
}

static void without_blas(void)
{
    with_blas();
    table.own_products = 1;
}

typedef struct problem {
    int ta, tb;
    int64_t m, n, k, pad; /* pad: how much longer rows are than they need be */
    float alpha, beta;
} problem;

static int64_t lda_of(const problem *p)
{
    return (p->ta ? p->m : p->k) + p->pad;
}
static int64_t ldb_of(const problem *p)
{
    return (p->tb ? p->k : p->n) + p->pad;
}
static int64_t ldc_of(const problem *p)
{
    return p->n + p->pad;
}

static double exact(const problem *p, const float *a, const float *b, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t l = 0; l < p->k; l++)
        sum += (double)a[p->ta ? l * lda_of(p) + i : i * lda_of(p) + l] *
               (double)b[p->tb ? j * ldb_of(p) + l : l * ldb_of(p) + j];
    return (double)p->alpha * sum;
}

static void check_product(const problem *p, gm_team *team, const gm_epilogue *epilogue, int serial)
{
    int64_t size = p->m * ldc_of(p);
    float *a = noise((p->ta ? p->k : p->m) * lda_of(p), 1);
    float *b = noise((p->tb ? p->n : p->k) * ldb_of(p), 2);
    float *old = noise(size, 3), *c = noise(size, 3);
    if (p->beta == 0.0f) /* what is there must not leak */
        for (int64_t i = 0; i < p->m; i++)
            for (int64_t j = 0; j < p->n; j++) c[i * ldc_of(p) + j] = NAN;
    if (serial)
        gm_gemm_serial(kernels, p->ta, p->tb, p->m, p->n, p->k, p->alpha, a, lda_of(p), b,
                       ldb_of(p), p->beta, c, ldc_of(p));
    else
        gm_gemm(team, kernels, p->ta, p->tb, p->m, p->n, p->k, p->alpha, a, lda_of(p), b, ldb_of(p),
                p->beta, c, ldc_of(p), epilogue);
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < ldc_of(p); j++) {
            int64_t at = i * ldc_of(p) + j;
            if (j >= p->n) {
                if (c[at] != old[at]) ck_abort_msg("padding of row %d changed", (int)i);
                continue;
            }
            double want = exact(p, a, b, i, j) + (double)p->beta * (double)old[at];
            if (epilogue && epilogue->bias) want += (double)epilogue->bias[j];
            if (epilogue && epilogue->act == GM_UNARY_RELU && want < 0) want = 0;
            if (epilogue && epilogue->act == GM_UNARY_TANH) want = tanh(want);
            if (!(fabs((double)c[at] - want) <= 1e-5 * (1 + sqrt((double)p->k))))
                ck_abort_msg(
                    "ta %d tb %d m %d n %d k %d alpha %g beta %g: [%d, %d] is %.9g, not %.9g",
                    p->ta, p->tb, (int)p->m, (int)p->n, (int)p->k, (double)p->alpha,
                    (double)p->beta, (int)i, (int)j, (double)c[at], want);
        }
    }
    free(a);
    free(b);
    free(c);
    free(old);
}

/* _i: the transpositions */
START_TEST(test_small_shapes)
{
    static const int64_t sizes[] = { 1, 2, 15, 17, 33 };
    static const float scales[][2] = { { 1, 0 }, { 1, 1 }, { -0.5f, 2 }, { 0, 0.5f }, { 0, 0 } };
    for (int set = 0; set < 5 * 5 * 5 * 5; set++) {
        problem p = { .ta = _i & 1,
                      .tb = _i >> 1,
                      .m = sizes[set % 5],
                      .n = sizes[set / 5 % 5],
                      .k = sizes[set / 25 % 5],
                      .alpha = scales[set / 125][0],
                      .beta = scales[set / 125][1],
                      .pad = set % 3 };
        check_product(&p, NULL, NULL, set % 2);
    }
}
END_TEST

/* Big enough for several tiles, narrow and tall ones too; with bias and activation. */
START_TEST(test_tiles)
{
    static const int64_t sizes[][3] = { { 128, 400, 100 }, { 131, 397, 77 }, { 2000, 10, 300 },
                                        { 3, 3000, 500 },  { 1, 5000, 600 }, { 5000, 1, 600 } };
    float *bias = noise(5000, 9);
    for (int s = 0; s < 6; s++) {
        problem p = { .ta = _i & 1,
                      .tb = _i >> 1,
                      .m = sizes[s][0],
                      .n = sizes[s][1],
                      .k = sizes[s][2],
                      .alpha = 1,
                      .pad = s % 2 * 3 };
        gm_epilogue plain = { .bias = bias, .act = GM_UNARY_IDENTITY };
        gm_epilogue relu = { .bias = bias, .act = GM_UNARY_RELU };
        gm_epilogue bare = { .act = GM_UNARY_TANH };
        check_product(&p, NULL, s % 3 == 0 ? &plain : s % 3 == 1 ? &relu : &bare, 0);
        p.beta = 1;
        check_product(&p, NULL, NULL, s % 2);
    }
    free(bias);
}
END_TEST

START_TEST(test_empty)
{
    float c[6] = { 1, 2, 3, NAN, 5, 6 };
    gm_gemm(NULL, kernels, 0, 0, 0, 3, 4, 1, NULL, 4, NULL, 3, 0, c, 3, NULL);
    gm_gemm(NULL, kernels, 0, 0, 3, 0, 4, 1, NULL, 4, NULL, 1, 0, c, 1, NULL);
    ck_assert(c[0] == 1 && c[1] == 2 && c[2] == 3);
    gm_gemm(NULL, kernels, 0, 0, 1, 3, 0, 1, NULL, 1, NULL, 3, 2, c, 3, NULL); /* k = 0: beta C */
    ck_assert(c[0] == 2 && c[1] == 4 && c[2] == 6);
    gm_gemm_serial(kernels, 0, 0, 2, 3, 0, 1, NULL, 1, NULL, 3, 0, c, 3);
    for (int i = 0; i < 6; i++) ck_assert(c[i] == 0);
    float bias[3] = { 1, -2, 3 };
    gm_epilogue relu = { .bias = bias, .act = GM_UNARY_RELU };
    gm_gemm(NULL, kernels, 0, 0, 2, 3, 0, 1, NULL, 1, NULL, 3, 0, c, 3, &relu);
    for (int i = 0; i < 6; i++) ck_assert(c[i] == (i % 3 == 1 ? 0.0f : bias[i % 3]));
}
END_TEST

START_TEST(test_same_bytes_for_every_team)
{
    static const int64_t sizes[][3] = { { 128, 400, 784 }, { 400, 784, 128 }, { 1000, 20, 400 } };
    gm_context *contexts[3];
    for (int t = 0; t < 3; t++) contexts[t] = support_context(1, t + 1);
    for (int s = 0; s < 3; s++) {
        int64_t m = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
        float *a = noise(m * k, 1), *b = noise(n * k, 2), *bias = noise(n, 3);
        float *first = noise(m * n, 4), *c = noise(m * n, 4);
        gm_epilogue relu = { .bias = bias, .act = GM_UNARY_RELU };
        gm_gemm(NULL, kernels, _i & 1, _i >> 1, m, n, k, 1, a, _i & 1 ? m : k, b, _i >> 1 ? k : n,
                0, first, n, &relu);
        for (int t = 0; t < 3; t++) {
            for (int repeat = 0; repeat < 3; repeat++) {
                gm_gemm(contexts[t]->team, kernels, _i & 1, _i >> 1, m, n, k, 1, a, _i & 1 ? m : k,
                        b, _i >> 1 ? k : n, 0, c, n, &relu);
                ck_assert_mem_eq(c, first, (size_t)(m * n) * sizeof *c);
            }
        }
        free(a);
        free(b);
        free(bias);
        free(first);
        free(c);
    }
    for (int t = 0; t < 3; t++) gm_context_release(contexts[t]);
}
END_TEST

/* Rows further apart than an int can count: more than CBLAS could be told. */
START_TEST(test_wide_leading_dimension)
{
    const int64_t ld = ((int64_t)1 << 31) + 5;
    size_t bytes = (size_t)(ld + 4) * sizeof(float);
    float *a = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a == MAP_FAILED) return; /* no room to address it: nothing such a matrix could be in */
    float b[6] = { 1, 2, 3, 4, 5, 6 }, c[4] = { NAN, NAN, NAN, NAN };
    for (int i = 0; i < 3; i++) {
        a[i] = (float)(i + 1);
        a[ld + i] = (float)(10 * i);
    }
    gm_gemm(NULL, kernels, 0, 0, 2, 2, 3, 1, a, ld, b, 2, 0, c, 2, NULL);
    ck_assert(c[0] == 22 && c[1] == 28 && c[2] == 130 && c[3] == 160);
    gm_gemm_serial(kernels, 0, 1, 2, 2, 3, 2, b, 3, a, ld, 1, c, 2);
    ck_assert(c[0] == 22 + 28 && c[1] == 28 + 160 && c[2] == 130 + 64 && c[3] == 160 + 340);
    /* one row: any distance will do */
    gm_gemm(NULL, kernels, 0, 0, 1, 2, 3, 1, a, ld, b, 2, 0, c, ld, NULL);
    ck_assert(c[0] == 22 && c[1] == 28);
    munmap(a, bytes);
}
END_TEST

/* Whatever rows are asked for beside it, a row of the result has the same bits. */
START_TEST(test_a_row_has_the_same_bits_in_every_batch)
{
    static const int64_t sizes[][2] = { { 1, 7 }, { 50, 16 }, { 133, 45 }, { 784, 500 } };
    for (int s = 0; s < 4; s++) {
        const int64_t n = sizes[s][0], k = sizes[s][1], rows = 11;
        float *a = noise(rows * k, 1), *b = noise(n * k, 2), *bias = noise(n, 3);
        float *whole = noise(rows * n, 4), *one = noise(n, 5);
        const gm_epilogue tanh_of = { .bias = bias, .act = GM_UNARY_TANH };
        const int64_t ldb = _i ? k : n;
        gm_gemm(NULL, kernels, 0, _i, rows, n, k, 1, a, k, b, ldb, 0, whole, n, &tanh_of);
        for (int64_t r = 0; r < rows; r++) {
            gm_gemm(NULL, kernels, 0, _i, 1, n, k, 1, a + r * k, k, b, ldb, 0, one, n, &tanh_of);
            ck_assert_mem_eq(one, whole + r * n, (size_t)n * sizeof *one);
        }
        free(a);
        free(b);
        free(bias);
        free(whole);
        free(one);
    }
}
END_TEST

START_TEST(test_describe)
{
    gm_blas_info info;
    memset(&info, 'x', sizeof info);
    gm_blas_describe(&info);
    ck_assert_ptr_nonnull(memchr(info.name, 0, sizeof info.name));
    ck_assert_ptr_nonnull(memchr(info.kernels, 0, sizeof info.kernels));
    ck_assert_ptr_nonnull(memchr(info.hint, 0, sizeof info.hint));
    ck_assert_int_gt((int)strlen(info.name), 0);
    ck_assert_int_ge(info.threads, 1);
    printf("%s, %s, %d thread(s), hint \"%s\"\n", info.name, info.kernels, (int)info.threads,
           info.hint);
    int32_t before = info.threads;
    if (gm_blas_set_threads(1)) {
        gm_blas_describe(&info);
        ck_assert_int_eq(info.threads, 1);
        ck_assert_ptr_null(strstr(info.hint, "blas_threads"));
        ck_assert_int_eq(gm_blas_set_threads(2), 1);
        gm_blas_describe(&info);
        ck_assert_int_le(info.threads, 2);
        ck_assert((info.threads > 1) == (strstr(info.hint, "blas_threads") != NULL));
        ck_assert_int_eq(gm_blas_set_threads(before), 1);
    }
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("gemm");
    for (int own = 0; own < 2; own++) {
        TCase *tests = tcase_create(own ? "without BLAS" : "gemm");
        tcase_set_timeout(tests, 0);
        tcase_add_checked_fixture(tests, own ? without_blas : with_blas, NULL);
        tcase_add_loop_test(tests, test_small_shapes, 0, 4);
        tcase_add_loop_test(tests, test_tiles, 0, 4);
        tcase_add_test(tests, test_empty);
        tcase_add_loop_test(tests, test_same_bytes_for_every_team, 0, 4);
        tcase_add_test(tests, test_wide_leading_dimension);
        if (own) tcase_add_loop_test(tests, test_a_row_has_the_same_bits_in_every_batch, 0, 2);
        suite_add_tcase(suite, tests);
    }
    TCase *blas = tcase_create("blas");
    tcase_add_test(blas, test_describe);
    suite_add_tcase(suite, blas);
    return suite;
}
