/* test_kernels_random.c - Philox against its published answers, and what is made from it. */
#include <math.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "support.h"

static const char *const names[] = { "baseline", "x86-64-v3", "x86-64-v4" };
#define TABLES 3
#define MANY (1 << 20)

static float many[MANY];

/* The known answers of the authors' library, philox4x32 with 10 rounds. */
START_TEST(test_known_answers)
{
    static const struct {
        uint64_t key, stream, block;
        uint32_t words[4];
    } known[] = {
        { 0, 0, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { UINT64_MAX, UINT64_MAX, UINT64_MAX, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { 0x299f31d0a4093822,
          0x0370734413198a2e,
          0x85a308d3243f6a88,
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t y[4];
        k->philox_words(y, known[i].key, known[i].stream, known[i].block, 4);
        for (int w = 0; w < 4; w++) ck_assert_uint_eq(y[w], known[i].words[w]);
    }
}
END_TEST

/* Word w is word w % 4 of block w / 4, wherever the fill began and ended; the block carries into
 * its upper half. */
START_TEST(test_blocks)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    enum { N = 1003 };
    const uint64_t start = 0xffffff80u;
    uint32_t y[N + 1];
    y[N] = 123;
    k->philox_words(y, 11, 12, start, N);
    ck_assert_uint_eq(y[N], 123);
    for (int w = 0; w < N; w++) {
        uint32_t one[4];
        k->philox_words(one, 11, 12, start + (uint64_t)(w / 4), w % 4 + 1);
        ck_assert_uint_eq(y[w], one[w % 4]);
    }
    for (int64_t n = 0; n < 300; n++) { /* few words are made in another way than many */
        uint32_t some[300];
        some[n] = 123;
        k->philox_words(some, 11, 12, start, n);
        ck_assert_mem_eq(some, y, (size_t)n * sizeof *y);
        ck_assert_uint_eq(some[n], 123);
    }
}
END_TEST

START_TEST(test_same_bits_in_every_table)
{
    enum { N = 70001 };
    static float a[N], b[N], p[N];
    const gm_kernels *base = gm_kernels_choose("baseline");
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    base->uniform(p, 9, 9, 9, N);
    base->normal(a, 1, 2, 3, N);
    k->normal(b, 1, 2, 3, N);
    ck_assert_mem_eq(a, b, sizeof a);
    base->uniform(a, 1, 2, 3, N);
    k->uniform(b, 1, 2, 3, N);
    ck_assert_mem_eq(a, b, sizeof a);
    base->bernoulli(a, p, 1, 2, 3, N);
    k->bernoulli(b, p, 1, 2, 3, N);
    ck_assert_mem_eq(a, b, sizeof a);
    base->dropout(a, p, 0.3f, 1, 2, 3, N, 0);
    k->dropout(b, p, 0.3f, 1, 2, 3, N, 0);
    ck_assert_mem_eq(a, b, sizeof a);
}
END_TEST

/* The bits themselves: another compiler, processor or release must not change what a seed means. */
START_TEST(test_golden_normals)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    static float y[4096];
    uint32_t hash = 2166136261u; /* FNV-1a over whole words */
    k->normal(y, 1, 2, 3, 4096);
    ck_assert(y[0] == -0x1.b8cea2p-2f && y[1] == 0x1.42d106p-2f);
    ck_assert(y[2] == -0x1.eb1906p-5f && y[3] == -0x1.209d12p+0f);
    for (int i = 0; i < 4096; i++) {
        uint32_t bits;
        memcpy(&bits, &y[i], sizeof bits);
        hash = (hash ^ bits) * 16777619u;
    }
    ck_assert_uint_eq(hash, 0x84c7af97u);
}
END_TEST

/* A shorter fill, or one that begins at a later block, gives the same values. */
START_TEST(test_fills_agree)
{
    static const int64_t lengths[] = { 0, 1, 2, 3, 15, 16, 17, 255, 256, 257, 1000, 4097 };
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    float whole[5000], y[5000], uniform[5000];
    uint32_t words[5000];
    k->normal(whole, 21, 22, 23, 5000);
    k->uniform(uniform, 21, 22, 23, 5000);
    k->philox_words(words, 21, 22, 23, 5000);
    for (int i = 0; i < 5000; i++) {
        float want = (float)(words[i] >> 8) / 16777216.0f;
        ck_assert(memcmp(&want, &uniform[i], sizeof want) == 0);
    }
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        int64_t n = lengths[l];
        y[n] = 5.0f;
        k->normal(y, 21, 22, 23, n);
        ck_assert_mem_eq(y, whole, (size_t)n * sizeof *y);
        ck_assert(y[n] == 5.0f);
        k->uniform(y, 21, 22, 23, n);
        ck_assert_mem_eq(y, uniform, (size_t)n * sizeof *y);
        ck_assert(y[n] == 5.0f);
    }
    k->normal(y, 21, 22, 23 + 100, 4000);
    ck_assert_mem_eq(y, whole + 400, 4000 * sizeof *y);
}
END_TEST

/* Box-Muller by libm, from the same words. */
START_TEST(test_normal_values)
{
    enum { N = 20000 };
    static uint32_t words[N];
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    k->philox_words(words, 3, 4, 5, N);
    k->normal(many, 3, 4, 5, N);
    for (int i = 0; i < N; i += 2) {
        double u = ((words[i] >> 8) + 1) * 0x1p-24, v = (words[i + 1] >> 8) * 0x1p-24;
        double radius = sqrt(-2 * log(u)), angle = 8 * atan(1) * v;
        ck_assert_double_eq_tol(many[i], radius * cos(angle), 1e-6);
        ck_assert_double_eq_tol(many[i + 1], radius * sin(angle), 1e-6);
    }
}
END_TEST

/* Fixed seeds: these either hold for ever or never. Bounds are about six standard errors. */
START_TEST(test_normal_moments)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    double mean = 0, square = 0, cube = 0, fourth = 0, neighbour = 0;
    k->normal(many, 42, 0, 0, MANY);
    for (int i = 0; i < MANY; i++) {
        double z = many[i];
        mean += z;
        square += z * z;
        cube += z * z * z;
        fourth += z * z * z * z;
        if (i) neighbour += z * (double)many[i - 1];
    }
    const double n = MANY, root = sqrt(n);
    ck_assert_double_eq_tol(mean / n, 0, 6 / root);
    ck_assert_double_eq_tol(square / n, 1, 6 * sqrt(2) / root);
    ck_assert_double_eq_tol(cube / n, 0, 6 * sqrt(15) / root);
    ck_assert_double_eq_tol(fourth / n, 3, 6 * sqrt(96) / root);
    ck_assert_double_eq_tol(neighbour / n, 0, 6 / root);
}
END_TEST

/* 256 equally likely cells; chi square has mean 255 and standard deviation 22.6. */
static void even_cells(const int32_t count[256])
{
    double chi = 0, expected = MANY / 256.0;
    for (int c = 0; c < 256; c++) chi += (count[c] - expected) * (count[c] - expected) / expected;
    ck_assert_double_gt(chi, 255 - 6 * 22.6);
    ck_assert_double_lt(chi, 255 + 6 * 22.6);
}

START_TEST(test_uniform_cells)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    int32_t count[256] = { 0 }, pairs[256] = { 0 };
    k->uniform(many, 43, 1, 1, MANY);
    for (int i = 0; i < MANY; i++) {
        if (!(many[i] >= 0.0f && many[i] < 1.0f)) ck_abort_msg("%g", (double)many[i]);
        count[(int)(many[i] * 256)]++;
        int before = (int)(many[i ? i - 1 : MANY - 1] * 16);
        pairs[before * 16 + (int)(many[i] * 16)]++;
    }
    even_cells(count);
    even_cells(pairs);
}
END_TEST

START_TEST(test_normal_cells)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    int32_t count[256] = { 0 };
    k->normal(many, 44, 2, 2, MANY);
    for (int i = 0; i < MANY; i++) {
        int cell = (int)(128 * erfc(-(double)many[i] / sqrt(2)));
        count[cell > 255 ? 255 : cell]++;
    }
    even_cells(count);
}
END_TEST

/* Nearby keys, streams and blocks are unrelated. */
START_TEST(test_streams_differ)
{
    const gm_kernels *k = gm_kernels_choose(NULL);
    enum { N = 4096 };
    static uint32_t a[N], b[N];
    k->philox_words(a, 1, 1, 0, N);
    for (int which = 0; which < 3; which++) {
        k->philox_words(b, which == 0 ? 2 : 1, which == 1 ? 2 : 1, which == 2 ? N / 4 : 0, N);
        int same = 0;
        for (int i = 0; i < N; i++) same += (a[i] >> 31) == (b[i] >> 31);
        ck_assert_int_gt(same, N / 2 - 6 * 32);
        ck_assert_int_lt(same, N / 2 + 6 * 32);
    }
}
END_TEST

START_TEST(test_bernoulli_and_dropout)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    enum { N = 10007 };
    static float u[N], x[N], y[N], z[N];
    k->uniform(u, 7, 8, 9, N);
    k->normal(x, 1, 1, 1, N);
    for (int i = 0; i < N; i++) y[i] = (float)i / N;
    y[0] = 0.0f;
    y[N - 1] = 1.0f;
    memcpy(z, y, sizeof y);
    k->bernoulli(y, y, 7, 8, 9, N); /* in place */
    for (int i = 0; i < N; i++) ck_assert(y[i] == (u[i] < z[i] ? 1.0f : 0.0f));

    k->dropout(y, x, 0.25f, 7, 8, 9, N, 0);
    int64_t dropped = 0;
    for (int i = 0; i < N; i++) {
        double kept = u[i] >= 0.25f ? (double)x[i] / 0.75 : 0.0;
        ck_assert_double_eq_tol(y[i], kept, 1e-6);
        dropped += y[i] == 0.0f;
    }
    ck_assert_int_gt(dropped, N / 4 - 6 * 44);
    ck_assert_int_lt(dropped, N / 4 + 6 * 44);
    memcpy(z, x, sizeof x);
    k->dropout(z, x, 0.25f, 7, 8, 9, N, 1);
    for (int i = 0; i < N; i++) ck_assert_double_eq_tol(z[i], (double)x[i] + (double)y[i], 1e-5);
    k->dropout(y, x, 0.0f, 7, 8, 9, N, 0); /* nothing is dropped */
    ck_assert_mem_eq(y, x, sizeof x);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("kernels_random");
    TCase *tests = tcase_create("random");
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, test_known_answers, 0, TABLES);
    tcase_add_loop_test(tests, test_blocks, 0, TABLES);
    tcase_add_loop_test(tests, test_same_bits_in_every_table, 1, TABLES);
    tcase_add_loop_test(tests, test_golden_normals, 0, TABLES);
    tcase_add_loop_test(tests, test_fills_agree, 0, TABLES);
    tcase_add_loop_test(tests, test_normal_values, 0, TABLES);
    tcase_add_loop_test(tests, test_normal_moments, 0, TABLES);
    tcase_add_loop_test(tests, test_uniform_cells, 0, TABLES);
    tcase_add_loop_test(tests, test_normal_cells, 0, TABLES);
    tcase_add_test(tests, test_streams_differ);
    tcase_add_loop_test(tests, test_bernoulli_and_dropout, 0, TABLES);
    suite_add_tcase(suite, tests);
    return suite;
}
