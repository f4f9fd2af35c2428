/* test_rng.c - the random numbers: the published cipher, the same bytes everywhere, and the right
 * distributions. */
#include <float.h>

#include "allocator.h"
#include "base/context.h"
#include "gm/rng.h"
#include "kernels/kernels.h"
#include "support.h"

#define MANY 100003 /* more than a few shards, and no multiple of four */

static gm_rng *make_rng(gm_context *ctx, uint64_t seed)
{
    gm_rng *rng = NULL;
    support_ok(ctx, gm_rng_create(&rng, ctx, seed));
    ck_assert_ptr_nonnull(rng);
    return rng;
}

/* The vectors that the authors of Philox publish with it (Random123, kat_vectors). */
START_TEST(published_vectors)
{
    static const struct {
        gm_rng_state state;
        uint32_t words[4];
    } known[] = {
        { { 0, 0, 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { UINT64_MAX, UINT64_MAX, UINT64_MAX, 0 },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { UINT64_C(0x299f31d0a4093822), UINT64_C(0x0370734413198a2e),
            UINT64_C(0x85a308d3243f6a88), 0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = make_rng(ctx, 0);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t words[4];
        gm_rng_restore(rng, &known[i].state);
        support_ok(ctx, gm_rng_words(rng, 4, words));
        ck_assert_mem_eq(words, known[i].words, sizeof words);
    }
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

/* A change of the stream changes every saved experiment: then these numbers must be changed
 * knowingly. */
START_TEST(golden_first_values)
{
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = make_rng(ctx, 7);
    uint32_t words[4];
    float uniform[3], normal[4];
    int64_t order[8];
    support_ok(ctx, gm_rng_words(rng, 4, words));
    support_ok(ctx, gm_rng_uniform(rng, 3, 0, 1, uniform));
    support_ok(ctx, gm_rng_normal(rng, 4, 0, 1, normal));
    double d = gm_rng_double(rng);
    int64_t below = gm_rng_below(rng, 1000000);
    support_ok(ctx, gm_rng_permutation(rng, 8, order));
    gm_rng *child = NULL;
    uint32_t childs[1];
    support_ok(ctx, gm_rng_split(&child, rng));
    support_ok(ctx, gm_rng_words(child, 1, childs));
    static const uint32_t golden_words[4] = { 0x4f081b68, 0x9896853a, 0xa393d123, 0x5544dd5e };
    static const float golden_uniform[3] = { 0x1.984018p-2f, 0x1.e3c81cp-2f, 0x1.d7ccfp-4f };
    static const float golden_normal[4] = { 0x1.48e722p+1f, 0x1.8a5644p-1f, 0x1.7227cp-1f,
                                            0x1.d4e79p-2f };
    static const int64_t golden_order[8] = { 0, 4, 6, 7, 3, 1, 5, 2 };
    ck_assert_mem_eq(words, golden_words, sizeof words);
    ck_assert_mem_eq(uniform, golden_uniform, sizeof uniform);
    ck_assert_mem_eq(normal, golden_normal, sizeof normal);
    ck_assert(d == 0x1.73de6e9de6523p-1);
    ck_assert_int_eq(below, 207573);
    ck_assert_mem_eq(order, golden_order, sizeof order);
    ck_assert_uint_eq(childs[0], 0x3c2a5c69);
    gm_rng_release(child);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(seeds_make_streams)
{
    gm_context *ctx = support_context(0, 1);
    gm_rng *a = make_rng(ctx, 5), *b = make_rng(ctx, 5), *c = make_rng(ctx, 6);
    uint32_t x[64], y[64], z[64];
    support_ok(ctx, gm_rng_words(a, 64, x));
    support_ok(ctx, gm_rng_words(b, 64, y));
    support_ok(ctx, gm_rng_words(c, 64, z));
    ck_assert_mem_eq(x, y, sizeof x);
    int same = 0;
    for (int i = 0; i < 64; i++) same += x[i] == z[i];
    ck_assert_int_eq(same, 0);
    gm_rng_seed(c, 5);
    support_ok(ctx, gm_rng_words(c, 64, z));
    ck_assert_mem_eq(x, z, sizeof x);
    gm_rng_release(a);
    gm_rng_release(b);
    gm_rng_release(c);
    gm_context_release(ctx);
}
END_TEST

/* All that a generator can fill, into one block of bytes. */
typedef struct drawn {
    uint32_t words[MANY];
    float uniform[MANY], placed[MANY], normal[MANY], moved[MANY], bernoulli[MANY];
    int64_t order[1000];
} drawn;

static void draw_all(gm_context *ctx, drawn *d)
{
    gm_rng *rng = make_rng(ctx, 42);
    support_ok(ctx, gm_rng_words(rng, MANY, d->words));
    support_ok(ctx, gm_rng_uniform(rng, MANY, 0, 1, d->uniform));
    support_ok(ctx, gm_rng_uniform(rng, MANY, -0.3, 0.7, d->placed));
    support_ok(ctx, gm_rng_normal(rng, MANY, 0, 1, d->normal));
    support_ok(ctx, gm_rng_normal(rng, MANY, 0.1, 2.3, d->moved));
    support_ok(ctx, gm_rng_bernoulli(rng, d->uniform, MANY, d->bernoulli));
    support_ok(ctx, gm_rng_permutation(rng, 1000, d->order));
    gm_rng_release(rng);
}

START_TEST(threads_do_not_change_a_byte)
{
    drawn *one = malloc(sizeof *one), *other = malloc(sizeof *other);
    ck_assert(one && other);
    memset(one, 0, sizeof *one);
    gm_context *ctx = support_context(0, 1);
    draw_all(ctx, one);
    gm_context_release(ctx);
    for (int32_t threads = 2; threads <= 3; threads++) {
        memset(other, 0, sizeof *other);
        ctx = support_context(0, threads);
        draw_all(ctx, other);
        gm_context_release(ctx);
        ck_assert_msg(!memcmp(one, other, sizeof *one), "%d threads draw other numbers", threads);
    }
    free(one);
    free(other);
}
END_TEST

START_TEST(instruction_sets_do_not_change_a_byte)
{
    static const char *const names[] = { "x86-64-v3", "x86-64-v4" };
    drawn *one = malloc(sizeof *one), *other = malloc(sizeof *other);
    ck_assert(one && other);
    memset(one, 0, sizeof *one);
    gm_context *ctx = support_context(0, 1);
    ctx->kernels = gm_kernels_choose("baseline");
    ck_assert_ptr_nonnull(ctx->kernels);
    draw_all(ctx, one);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ctx->kernels = gm_kernels_choose(names[i]);
        if (!ctx->kernels) continue; /* not this processor */
        memset(other, 0, sizeof *other);
        draw_all(ctx, other);
        ck_assert_msg(!memcmp(one, other, sizeof *one), "%s draws other numbers", names[i]);
    }
    gm_context_release(ctx);
    free(one);
    free(other);
}
END_TEST

START_TEST(position_moves_by_whole_blocks)
{
    static const int64_t counts[] = { 0, 1, 3, 4, 5, 127, 128, 129, 50001 };
    static float floats[50001];
    static float p[50001];
    static uint32_t words[50001];
    gm_context *ctx = support_context(0, 2);
    gm_rng *rng = make_rng(ctx, 1);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        int64_t n = counts[i];
        gm_rng_state before, after;
        for (int kind = 0; kind < 4; kind++) {
            gm_rng_save(&before, rng);
            if (kind == 0) support_ok(ctx, gm_rng_words(rng, n, words));
            if (kind == 1) support_ok(ctx, gm_rng_uniform(rng, n, 0, 1, floats));
            if (kind == 2) support_ok(ctx, gm_rng_normal(rng, n, 0, 1, floats));
            if (kind == 3) support_ok(ctx, gm_rng_bernoulli(rng, p, n, floats));
            gm_rng_save(&after, rng);
            ck_assert_uint_eq(after.position - before.position, (uint64_t)(n + 3) / 4);
            ck_assert_uint_eq(after.key, before.key);
            ck_assert_uint_eq(after.stream, before.stream);
        }
    }
    /* One long fill is what two shorter ones give, when the first is of whole blocks. */
    static float whole[50001];
    gm_rng_state start;
    gm_rng_save(&start, rng);
    support_ok(ctx, gm_rng_normal(rng, 50001, 0, 1, whole));
    gm_rng_restore(rng, &start);
    support_ok(ctx, gm_rng_normal(rng, 20, 0, 1, floats));
    support_ok(ctx, gm_rng_normal(rng, 50001 - 20, 0, 1, floats + 20));
    ck_assert_mem_eq(whole, floats, sizeof whole);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(save_and_restore_continue)
{
    gm_context *ctx = support_context(0, 1), *other = support_context(99, 2);
    gm_rng *a = make_rng(ctx, 3), *b = make_rng(other, 77), *child_a = NULL, *child_b = NULL;
    float x[37], y[37];
    gm_rng_state state;
    support_ok(ctx, gm_rng_normal(a, 37, 0, 1, x));
    support_ok(ctx, gm_rng_split(&child_a, a));
    gm_rng_release(child_a);
    gm_rng_save(&state, a);
    gm_rng_restore(b, &state);
    support_ok(ctx, gm_rng_normal(a, 37, 0, 1, x));
    support_ok(other, gm_rng_normal(b, 37, 0, 1, y));
    ck_assert_mem_eq(x, y, sizeof x);
    ck_assert(gm_rng_double(a) == gm_rng_double(b));
    /* The children to come are part of the state. */
    support_ok(ctx, gm_rng_split(&child_a, a));
    support_ok(other, gm_rng_split(&child_b, b));
    support_ok(ctx, gm_rng_uniform(child_a, 37, 0, 1, x));
    support_ok(other, gm_rng_uniform(child_b, 37, 0, 1, y));
    ck_assert_mem_eq(x, y, sizeof x);
    gm_rng_release(child_a);
    gm_rng_release(child_b);
    gm_rng_save(&state, NULL);
    gm_rng_save(NULL, a);
    gm_rng_restore(NULL, &state);
    gm_rng_restore(a, NULL);
    gm_rng_release(a);
    gm_rng_release(b);
    gm_context_release(ctx);
    gm_context_release(other);
}
END_TEST

static double correlation(const float *x, const float *y, int64_t n)
{
    double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    for (int64_t i = 0; i < n; i++) {
        double a = x[i], b = y[i];
        sx += a;
        sy += b;
        sxx += a * a;
        syy += b * b;
        sxy += a * b;
    }
    double k = (double)n;
    return (sxy / k - sx / k * sy / k) /
           sqrt((sxx / k - sx / k * sx / k) * (syy / k - sy / k * sy / k));
}

START_TEST(children_are_independent)
{
    enum { STREAMS = 6 };
    static float x[STREAMS][MANY];
    gm_context *ctx = support_context(0, 1);
    gm_rng *parent = make_rng(ctx, 1), *plain = make_rng(ctx, 1), *child[STREAMS - 1];
    /* Splitting draws nothing from the parent. */
    for (int i = 0; i < STREAMS - 1; i++) {
        gm_rng *from = i == 4 ? child[0] : parent; /* one grandchild */
        support_ok(ctx, gm_rng_split(&child[i], from));
        support_ok(ctx, gm_rng_normal(child[i], MANY, 0, 1, x[i + 1]));
    }
    support_ok(ctx, gm_rng_normal(parent, MANY, 0, 1, x[0]));
    static float untouched[MANY];
    support_ok(ctx, gm_rng_normal(plain, MANY, 0, 1, untouched));
    ck_assert_mem_eq(x[0], untouched, sizeof untouched);
    /* 1/sqrt(n) is 0.0032; five of those. Also shifted by one, and by one block. */
    static const int lags[] = { 0, 1, 4 };
    for (int i = 0; i < STREAMS; i++)
        for (int j = 0; j < STREAMS; j++)
            for (size_t k = 0; k < sizeof lags / sizeof *lags; k++) {
                if (i == j && !lags[k]) continue;
                double r = correlation(x[i], x[j] + lags[k], MANY - lags[k]);
                ck_assert_msg(fabs(r) < 0.016, "streams %d and %d, lag %d: %g", i, j, lags[k], r);
            }
    for (int i = 0; i < STREAMS - 1; i++) gm_rng_release(child[i]);
    gm_rng_release(parent);
    gm_rng_release(plain);
    gm_context_release(ctx);
}
END_TEST

START_TEST(which_child_hangs_on_the_number_of_splits)
{
    gm_context *ctx = support_context(0, 1);
    gm_rng *a = make_rng(ctx, 8), *b = make_rng(ctx, 8), *first = NULL, *second = NULL,
           *late = NULL;
    float x[8], y[8];
    support_ok(ctx, gm_rng_split(&first, a));
    support_ok(ctx, gm_rng_split(&second, a));
    support_ok(ctx, gm_rng_normal(b, 8, 0, 1, x)); /* drawing in between changes nothing */
    support_ok(ctx, gm_rng_split(&late, b));
    support_ok(ctx, gm_rng_uniform(first, 8, 0, 1, x));
    support_ok(ctx, gm_rng_uniform(late, 8, 0, 1, y));
    ck_assert_mem_eq(x, y, sizeof x);
    support_ok(ctx, gm_rng_uniform(second, 8, 0, 1, y));
    for (int i = 0; i < 8; i++) ck_assert(x[i] != y[i]);
    gm_rng_release(a);
    support_ok(ctx, gm_rng_uniform(second, 8, 0, 1, y)); /* a child outlives its parent */
    gm_rng_release(b);
    gm_rng_release(first);
    gm_rng_release(second);
    gm_rng_release(late);
    gm_context_release(ctx);
}
END_TEST

/* Sum of (seen - expected)^2 / expected over bins of equal probability. */
static double chi_square(const int64_t *seen, int bins, int64_t total)
{
    double expected = (double)total / bins, sum = 0;
    for (int i = 0; i < bins; i++) {
        double d = (double)seen[i] - expected;
        sum += d * d / expected;
    }
    return sum;
}

/* The first of n values that is not in [low, high); n if none. */
static int find_outside(const float *x, int n, double low, double high)
{
    for (int i = 0; i < n; i++)
        if (!((double)x[i] >= low && (double)x[i] < high)) return i;
    return n;
}

START_TEST(uniform_is_uniform)
{
    enum { N = 1 << 20, BINS = 64 };
    float *x = malloc(N * sizeof *x);
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = make_rng(ctx, 2);
    int64_t seen[BINS] = { 0 };
    ck_assert_ptr_nonnull(x);
    support_ok(ctx, gm_rng_uniform(rng, N, 0, 1, x));
    ck_assert_int_eq(find_outside(x, N, 0, 1), N);
    for (int i = 0; i < N; i++) seen[(int)(x[i] * BINS)]++;
    /* 63 degrees of freedom: 63 +- 11; six deviations. */
    double chi = chi_square(seen, BINS, N);
    ck_assert_msg(chi > 20 && chi < 130, "chi square %g", chi);
    /* The end of an interval is not in it, also where rounding would lead there. */
    static const double intervals[][2] = {
        { 1000, 1001 }, { -3, -2 }, { 1, 2 }, { 16777215, 16777216 }, { -1e30, 1e30 }
    };
    for (size_t k = 0; k < sizeof intervals / sizeof *intervals; k++) {
        double low = intervals[k][0], high = intervals[k][1];
        support_ok(ctx, gm_rng_uniform(rng, N, low, high, x));
        int bad = find_outside(x, N, low, high);
        ck_assert_msg(bad == N, "%.9g of [%.9g, %.9g)", (double)x[bad < N ? bad : 0], low, high);
    }
    support_ok(ctx, gm_rng_uniform(rng, 100, 2.5, 2.5, x));
    for (int i = 0; i < 100; i++) ck_assert(x[i] == 2.5f);
    free(x);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(normal_is_normal)
{
    enum { N = 1 << 20, BINS = 20 };
    float *x = malloc(N * sizeof *x);
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = make_rng(ctx, 2);
    int64_t seen[BINS] = { 0 };
    double m[5] = { 0 };
    ck_assert_ptr_nonnull(x);
    support_ok(ctx, gm_rng_normal(rng, N, 0, 1, x));
    for (int i = 0; i < N; i++) {
        double v = x[i], power = 1;
        for (int k = 1; k < 5; k++) m[k] += (power *= v) / N;
        int bin = (int)(0.5 * erfc(-v / sqrt(2)) * BINS);
        seen[bin < BINS ? bin : BINS - 1]++;
    }
    /* Deviations of the four moments: 0.001, 0.0014, 0.0038, 0.0096. */
    ck_assert(fabs(m[1]) < 0.006);
    ck_assert(fabs(m[2] - 1) < 0.008);
    ck_assert(fabs(m[3]) < 0.023);
    ck_assert(fabs(m[4] - 3) < 0.06);
    double chi = chi_square(seen, BINS, N); /* 19 +- 6 */
    ck_assert_msg(chi > 3 && chi < 56, "chi square %g", chi);
    double mean = 0, squares = 0;
    support_ok(ctx, gm_rng_normal(rng, N, 5, 0.5, x));
    for (int i = 0; i < N; i++) mean += (double)x[i] / N;
    for (int i = 0; i < N; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean) / N;
    ck_assert(fabs(mean - 5) < 0.003 && fabs(squares - 0.25) < 0.002);
    support_ok(ctx, gm_rng_normal(rng, 9, -1.5, 0, x));
    for (int i = 0; i < 9; i++) ck_assert(x[i] == -1.5f);
    free(x);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(bernoulli_follows_p)
{
    enum { N = 1 << 20 };
    static const float ps[] = { 0, 0.25f, 0.5f, 0.99f, 1 };
    float *p = malloc(N * sizeof *p), *x = malloc(N * sizeof *x);
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = make_rng(ctx, 4);
    ck_assert(p && x);
    for (size_t k = 0; k < sizeof ps / sizeof *ps; k++) {
        double ones = 0, q = ps[k];
        for (int i = 0; i < N; i++) p[i] = ps[k];
        support_ok(ctx, gm_rng_bernoulli(rng, p, N, x));
        int others = 0;
        for (int i = 0; i < N; i++) {
            others += x[i] != 0 && x[i] != 1;
            ones += x[i];
        }
        ck_assert_int_eq(others, 0);
        if (q == 0 || q == 1) ck_assert(ones == q * N);
        ck_assert(fabs(ones / N - q) <= 6 * sqrt(q * (1 - q) / N));
        /* In place. */
        gm_rng_state s;
        gm_rng_save(&s, rng);
        support_ok(ctx, gm_rng_bernoulli(rng, p, N, x));
        gm_rng_restore(rng, &s);
        support_ok(ctx, gm_rng_bernoulli(rng, p, N, p));
        ck_assert_mem_eq(x, p, N * sizeof *x);
    }
    free(p);
    free(x);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(below_is_unbiased)
{
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = make_rng(ctx, 6);
    /* 2^64 / (3 2^61) is 8/3: a remainder would favour the lower two thirds of the range by a half,
     * and a product without rejection would favour two of three residues by a half. */
    const int64_t bound = INT64_C(3) << 61;
    enum { N = 60000 };
    int64_t third[3] = { 0 }, residue[3] = { 0 }, small[7] = { 0 };
    for (int i = 0; i < N; i++) {
        int64_t v = gm_rng_below(rng, bound);
        ck_assert(v >= 0 && v < bound);
        third[v >> 61]++;
        residue[v % 3]++;
        v = gm_rng_below(rng, 7);
        ck_assert(v >= 0 && v < 7);
        small[v]++;
    }
    ck_assert(chi_square(third, 3, N) < 25); /* 2 degrees of freedom: e^-12.5 */
    ck_assert(chi_square(residue, 3, N) < 25);
    ck_assert(chi_square(small, 7, N) < 40);
    ck_assert_int_eq(gm_rng_below(rng, 1), 0);
    ck_assert_int_eq(gm_rng_below(rng, 0), 0);
    ck_assert_int_eq(gm_rng_below(rng, -5), 0);
    ck_assert_int_eq(gm_rng_below(NULL, 5), 0);
    for (int i = 0; i < 100; i++) ck_assert_int_ge(gm_rng_below(rng, INT64_MAX), 0);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(double_has_53_bits)
{
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = make_rng(ctx, 6);
    double mean = 0;
    int odd = 0, bad = 0;
    for (int i = 0; i < 100000; i++) {
        double d = gm_rng_double(rng);
        mean += d / 100000;
        double scaled = ldexp(d, 53);
        bad += !(d >= 0 && d < 1) || scaled != floor(scaled);
        odd += fmod(scaled, 2) == 1; /* the lowest bit is used */
    }
    ck_assert(fabs(mean - 0.5) < 0.006);
    ck_assert_int_eq(bad, 0);
    ck_assert(odd > 49000 && odd < 51000);
    ck_assert(gm_rng_double(NULL) == 0);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(permutations_are_uniform)
{
    enum { N = 48000, ORDERS = 24 };
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = make_rng(ctx, 10);
    int64_t seen[ORDERS] = { 0 };
    for (int i = 0; i < N; i++) {
        int64_t p[4];
        support_ok(ctx, gm_rng_permutation(rng, 4, p));
        int code = 0; /* Lehmer's code */
        for (int a = 0; a < 4; a++) {
            int smaller = 0;
            for (int b = a + 1; b < 4; b++) smaller += p[b] < p[a];
            code = code * (4 - a) + smaller;
        }
        ck_assert(code >= 0 && code < ORDERS);
        seen[code]++;
    }
    double chi = chi_square(seen, ORDERS, N); /* 23 +- 6.8 */
    ck_assert_msg(chi > 4 && chi < 70, "chi square %g", chi);
    static int64_t big[5000];
    static char there[5000];
    support_ok(ctx, gm_rng_permutation(rng, 5000, big));
    for (int i = 0; i < 5000; i++) {
        ck_assert(big[i] >= 0 && big[i] < 5000 && !there[big[i]]);
        there[big[i]] = 1;
    }
    int64_t one = 9;
    support_ok(ctx, gm_rng_permutation(rng, 1, &one));
    ck_assert_int_eq(one, 0);
    support_ok(ctx, gm_rng_permutation(rng, 0, NULL));
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(bad_inputs)
{
    gm_context *ctx = support_context(0, 1);
    gm_rng *rng = (gm_rng *)ctx;
    ck_assert_int_eq(gm_rng_create(NULL, ctx, 1), GM_E_INVALID);
    ck_assert_int_eq(gm_rng_create(&rng, NULL, 1), GM_E_INVALID);
    ck_assert_ptr_null(rng);
    rng = make_rng(ctx, 1);
    gm_rng *child = rng;
    ck_assert_int_eq(gm_rng_split(&child, NULL), GM_E_INVALID);
    ck_assert_ptr_null(child);
    ck_assert_int_eq(gm_rng_split(NULL, rng), GM_E_INVALID);
    gm_rng_retain(NULL);
    gm_rng_release(NULL);
    gm_rng_seed(NULL, 1);

    gm_rng_state before, after;
    gm_rng_save(&before, rng);
    float f[4] = { 7, 7, 7, 7 }, p[4] = { 0, 1, 0.5f, 0.5f };
    const float untouched[4] = { 7, 7, 7, 7 };
    uint32_t u[4];
    int64_t order[4];
    ck_assert_int_eq(gm_rng_words(NULL, 4, u), GM_E_INVALID);
    ck_assert_int_eq(gm_rng_uniform(NULL, 4, 0, 1, f), GM_E_INVALID);
    ck_assert_int_eq(gm_rng_normal(NULL, 4, 0, 1, f), GM_E_INVALID);
    ck_assert_int_eq(gm_rng_bernoulli(NULL, p, 4, f), GM_E_INVALID);
    ck_assert_int_eq(gm_rng_permutation(NULL, 4, order), GM_E_INVALID);
    support_fails(ctx, gm_rng_words(rng, -1, u), GM_E_INVALID, "-1");
    support_fails(ctx, gm_rng_words(rng, 1, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_rng_uniform(rng, -2, 0, 1, f), GM_E_INVALID, "-2");
    support_fails(ctx, gm_rng_uniform(rng, 2, 0, 1, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_rng_normal(rng, INT64_MIN, 0, 1, f), GM_E_INVALID, "count");
    support_fails(ctx, gm_rng_normal(rng, 4, 0, 1, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_rng_bernoulli(rng, p, -1, f), GM_E_INVALID, "-1");
    support_fails(ctx, gm_rng_bernoulli(rng, NULL, 4, f), GM_E_INVALID, "p is NULL");
    support_fails(ctx, gm_rng_bernoulli(rng, p, 4, NULL), GM_E_INVALID, "to be filled is NULL");
    support_fails(ctx, gm_rng_permutation(rng, -1, order), GM_E_INVALID, "-1");
    support_fails(ctx, gm_rng_permutation(rng, 3, NULL), GM_E_INVALID, "NULL");

    static const double bad_intervals[][2] = {
        { 1, 0 },     { NAN, 1 },   { 0, NAN },      { -INFINITY, 0 }, { 0, INFINITY },
        { 0, 1e300 }, { -1e39, 0 }, { -3e38, 3e38 }, /* longer than a float can say */
    };
    for (size_t i = 0; i < sizeof bad_intervals / sizeof *bad_intervals; i++)
        support_fails(ctx, gm_rng_uniform(rng, 4, bad_intervals[i][0], bad_intervals[i][1], f),
                      GM_E_INVALID, "rng_uniform");
    static const double bad_normals[][2] = { { 0, -1 },       { 0, NAN },  { NAN, 1 },
                                             { INFINITY, 1 }, { 1e39, 1 }, { 0, 1e39 },
                                             { 0, INFINITY }, { -1e39, 1 } };
    for (size_t i = 0; i < sizeof bad_normals / sizeof *bad_normals; i++)
        support_fails(ctx, gm_rng_normal(rng, 4, bad_normals[i][0], bad_normals[i][1], f),
                      GM_E_INVALID, "rng_normal");
    static const float bad_p[] = { -FLT_MIN, 1.0000001f, NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < sizeof bad_p / sizeof *bad_p; i++) {
        p[2] = bad_p[i];
        support_fails(ctx, gm_rng_bernoulli(rng, p, 4, f), GM_E_INVALID, "probability 2");
    }
    ck_assert_mem_eq(f, untouched, sizeof f); /* a failing call writes nothing and draws nothing */
    gm_rng_save(&after, rng);
    ck_assert_mem_eq(&before, &after, sizeof before);
    support_ok(ctx, gm_rng_bernoulli(rng, NULL, 0, NULL));
    support_ok(ctx, gm_rng_uniform(rng, 0, 0, 1, NULL));
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(memory_runs_out)
{
    watched w;
    gm_allocator a = watched_begin(&w, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.allocator = &a;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    gm_rng *rng = make_rng(ctx, 1), *child = rng;
    gm_rng_state before, after;
    gm_rng_save(&before, rng);
    w.fail_at = w.calls;
    support_fails(ctx, gm_rng_split(&child, rng), GM_E_NOMEM, "rng");
    ck_assert_ptr_null(child);
    gm_rng_save(&after, rng);
    ck_assert_mem_eq(&before, &after, sizeof before); /* no child was counted */
    w.fail_at = w.calls;
    support_fails(ctx, gm_rng_create(&child, ctx, 1), GM_E_NOMEM, "rng");
    ck_assert_ptr_null(child);
    gm_rng_release(rng);
    gm_context_release(ctx);
    ck_assert(watched_clean(&w));
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("rng");
    TCase *t = tcase_create("rng");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, published_vectors);
    tcase_add_test(t, golden_first_values);
    tcase_add_test(t, seeds_make_streams);
    tcase_add_test(t, threads_do_not_change_a_byte);
    tcase_add_test(t, instruction_sets_do_not_change_a_byte);
    tcase_add_test(t, position_moves_by_whole_blocks);
    tcase_add_test(t, save_and_restore_continue);
    tcase_add_test(t, children_are_independent);
    tcase_add_test(t, which_child_hangs_on_the_number_of_splits);
    tcase_add_test(t, uniform_is_uniform);
    tcase_add_test(t, normal_is_normal);
    tcase_add_test(t, bernoulli_follows_p);
    tcase_add_test(t, below_is_unbiased);
    tcase_add_test(t, double_has_53_bits);
    tcase_add_test(t, permutations_are_uniform);
    tcase_add_test(t, bad_inputs);
    tcase_add_test(t, memory_runs_out);
    suite_add_tcase(s, t);
    return s;
}
