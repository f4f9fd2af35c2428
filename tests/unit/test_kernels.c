/* test_kernels.c - every kernel of every table this processor runs, against plain loops in
 * double. */
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "support.h"

static const char *const names[] = { "baseline", "x86-64-v3", "x86-64-v4" };
#define TABLES 3
#define LONGEST 4097
#define ROOM (LONGEST + 1)

static const int64_t lengths[] = { 0, 1, 3, 15, 16, 17, 1000, LONGEST };
#define LENGTHS ((int)(sizeof lengths / sizeof lengths[0]))

static float x[ROOM], y[ROOM], z[ROOM], g[ROOM], p[ROOM], q[ROOM], old[ROOM];
static double want[ROOM];

/* Sets the inputs to noise. */
static void begin(void)
{
    gm_kernels_choose("baseline")->normal(x, 1, 0, 0, ROOM);
    gm_kernels_choose("baseline")->normal(g, 2, 0, 0, ROOM);
    gm_kernels_choose("baseline")->normal(z, 3, 0, 0, ROOM);
    gm_kernels_choose("baseline")->normal(p, 4, 0, 0, ROOM);
    gm_kernels_choose("baseline")->normal(q, 5, 0, 0, ROOM);
    gm_kernels_choose("baseline")->normal(old, 6, 0, 0, ROOM);
}

/* add = 0: y is NaN before, so that a kernel which reads it is caught. The place behind the end
 * is a sentry. */
static void prepare(int64_t n, int add)
{
    for (int64_t i = 0; i < n; i++) y[i] = add ? old[i] : NAN;
    y[n] = 12345.0f;
}

static void compare(const char *what, int kind, int64_t n, int add, double tolerance)
{
    if (y[n] != 12345.0f) ck_abort_msg("%s %d wrote behind its end (n = %d)", what, kind, (int)n);
    for (int64_t i = 0; i < n; i++) {
        double w = want[i] + (add ? (double)old[i] : 0);
        double bound = tolerance * (1 + fabs(want[i]) + (add ? fabs((double)old[i]) : 0));
        if (!(fabs((double)y[i] - w) <= bound) && !(isnan(w) && isnan(y[i])))
            ck_abort_msg("%s %d, n = %d, add = %d: [%d] is %.9g, not %.9g", what, kind, (int)n, add,
                         (int)i, (double)y[i], w);
    }
}

static double unary_of(int32_t kind, double v, double a, double b)
{
    switch (kind) {
    case GM_UNARY_NEG:
        return -v;
    case GM_UNARY_SCALE:
        return a * v + b;
    case GM_UNARY_SQUARE:
        return v * v;
    case GM_UNARY_SQRT:
        return sqrt(v);
    case GM_UNARY_ABS:
        return fabs(v);
    case GM_UNARY_EXP:
        return exp(v);
    case GM_UNARY_LOG:
        return log(v);
    case GM_UNARY_CLAMP:
        return v < a ? a : v > b ? b : v;
    case GM_UNARY_NORMAL_CDF:
        return 0.5 * erfc(-v / sqrt(2));
    case GM_UNARY_SIN:
        return sin(v);
    case GM_UNARY_COS:
        return cos(v);
    case GM_UNARY_POW:
        return pow(v, a);
#define ACTIVATION(WORD, word, parameter, from_result, formula)                                    \
    case GM_UNARY_##WORD:                                                                          \
        return formula;
        GM_ACTIVATION_TABLE(ACTIVATION)
#undef ACTIVATION
    default:
        return v;
    }
}

/* By central differences in double: independent of any formula for the gradient. */
static double slope_of(int32_t kind, double v, double a, double b)
{
    const double h = 1e-5;
    return (unary_of(kind, v + h, a, b) - unary_of(kind, v - h, a, b)) / (2 * h);
}

START_TEST(test_unary)
{
    const float a = -0.4f, b = 0.7f;
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int32_t kind = 0; kind < GM_UNARY_COUNT; kind++) {
        int positive = kind == GM_UNARY_SQRT || kind == GM_UNARY_LOG || kind == GM_UNARY_POW;
        for (int64_t i = 0; i < ROOM; i++) {
            z[i] = positive ? fabsf(x[i]) + 0.1f : 3 * x[i];
            if (fabsf(z[i]) < 1e-3f || fabsf(z[i] - a) < 1e-3f || fabsf(z[i] - b) < 1e-3f)
                z[i] = 0.01f; /* away from kinks */
        }
        for (int l = 0; l < LENGTHS; l++) {
            int64_t n = lengths[l];
            for (int64_t i = 0; i < n; i++)
                want[i] = unary_of(kind, (double)z[i], (double)a, (double)b);
            prepare(n, 0);
            k->unary(kind, y, z, a, b, n);
            compare("unary", kind, n, 0, 1e-6);
            memcpy(q, y, sizeof q);
            memcpy(y, z, (size_t)n * sizeof *y);
            k->unary(kind, y, y, a, b, n);
            compare("unary in place", kind, n, 0, 1e-6);

            for (int64_t i = 0; i < n; i++)
                want[i] = (double)g[i] * slope_of(kind, (double)z[i], (double)a, (double)b);
            for (int add = 0; add < 2; add++) {
                prepare(n, add);
                k->unary_grad(kind, y, g, z, q, a, b, n, add);
                compare("unary_grad", kind, n, add, 3e-6);
            }
            memcpy(y, g, (size_t)n * sizeof *y);
            k->unary_grad(kind, y, y, z, q, a, b, n, 0);
            compare("unary_grad in place", kind, n, 0, 3e-6);
        }
    }
}
END_TEST

START_TEST(test_unary_edges)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    const float a = -0.5f, b = 0.5f;
    for (int32_t kind = 0; kind < GM_UNARY_COUNT; kind++) {
        float in[19], out[19];
        for (int i = 0; i < 19; i++) in[i] = i % 3 ? 0.25f : NAN;
        k->unary(kind, out, in, a, b, 19);
        for (int i = 0; i < 19; i++) ck_assert_msg(isnan(out[i]) == !(i % 3), "kind %d", (int)kind);
    }
    float v[3] = { 0.0f, a, b }, w[3], one[3] = { 1.0f, 1.0f, 1.0f }, d[3];
    k->unary(GM_UNARY_SQRT, w, v, 0, 0, 1);
    k->unary_grad(GM_UNARY_SQRT, d, one, v, w, 0, 0, 1, 0);
    ck_assert(w[0] == 0.0f && d[0] == 0.0f);
    k->unary(GM_UNARY_CLAMP, w, v, a, b, 3);
    k->unary_grad(GM_UNARY_CLAMP, d, one, v, w, a, b, 3, 0); /* at both ends: 1 */
    ck_assert(d[0] == 1.0f && d[1] == 1.0f && d[2] == 1.0f);
    k->unary(GM_UNARY_RELU, w, v, 0, 0, 1);
    k->unary_grad(GM_UNARY_RELU, d, one, v, w, 0, 0, 1, 0);
    ck_assert(w[0] == 0.0f && d[0] == 0.0f);
    k->unary_grad(GM_UNARY_ABS, d, one, v, w, 0, 0, 3, 0);
    ck_assert(d[0] == 0.0f && d[1] == -1.0f && d[2] == 1.0f);
}
END_TEST

static double binary_of(int32_t kind, double s, double t)
{
    switch (kind) {
    case GM_BINARY_ADD:
        return s + t;
    case GM_BINARY_SUB:
        return s - t;
    case GM_BINARY_MUL:
        return s * t;
    case GM_BINARY_MINIMUM:
        return s < t ? s : t;
    case GM_BINARY_MAXIMUM:
        return s > t ? s : t;
    case GM_BINARY_GREATER:
        return s > t;
    case GM_BINARY_GREATER_EQUAL:
        return s >= t;
    case GM_BINARY_LESS:
        return s < t;
    case GM_BINARY_LESS_EQUAL:
        return s <= t;
    case GM_BINARY_EQUAL:
        return s == t;
    default:
        return s / t;
    }
}

static double binary_slope(int32_t kind, int which, double s, double t)
{
    switch (kind) {
    case GM_BINARY_ADD:
        return 1;
    case GM_BINARY_SUB:
        return which ? -1 : 1;
    case GM_BINARY_MUL:
        return which ? s : t;
    case GM_BINARY_MINIMUM:
        return s == t ? 0.5 : (s < t) != which;
    case GM_BINARY_MAXIMUM:
        return s == t ? 0.5 : (s > t) != which;
    default:
        return which ? -s / (t * t) : 1 / t;
    }
}

START_TEST(test_binary)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int64_t i = 0; i < ROOM; i++) q[i] = q[i] < 0 ? q[i] - 0.5f : q[i] + 0.5f;
    for (int64_t i = 0; i < ROOM; i += 5) q[i] = p[i]; /* ties */
    for (int set = 0; set < GM_BINARY_COUNT * 4 * LENGTHS; set++) {
        int32_t kind = set % GM_BINARY_COUNT, rest = set / GM_BINARY_COUNT;
        int64_t sp = rest % 2, sq = rest / 2 % 2, n = lengths[rest / 4];
        for (int64_t i = 0; i < n; i++)
            want[i] = binary_of(kind, (double)p[i * sp], (double)q[i * sq]);
        prepare(n, 0);
        k->binary(kind, y, p, sp, q, sq, n);
        compare("binary", kind, n, 0, 1e-6);
        if (sp) {
            memcpy(y, p, (size_t)n * sizeof *y);
            k->binary(kind, y, y, 1, q, sq, n);
            compare("binary onto p", kind, n, 0, 1e-6);
        }
        if (sq) {
            memcpy(y, q, (size_t)n * sizeof *y);
            k->binary(kind, y, p, sp, y, 1, n);
            compare("binary onto q", kind, n, 0, 1e-6);
        }
        for (int which = 0; which < 2 && kind < GM_BINARY_GREATER; which++) {
            for (int add = 0; add < 2; add++) {
                int64_t stride = which ? sq : sp, m = stride ? n : 1;
                double total = 0, size = 0;
                for (int64_t i = 0; i < n; i++) {
                    want[i] = (double)g[i] *
                              binary_slope(kind, which, (double)p[i * sp], (double)q[i * sq]);
                    total += want[i];
                    size += fabs(want[i]);
                }
                if (!stride) want[0] = total;
                prepare(m, add);
                k->binary_grad(kind, which, y, g, p, sp, q, sq, n, add);
                compare("binary_grad", kind * 2 + which, m, add,
                        stride ? 1e-6 : 1e-6 * (1 + sqrt(size)));
            }
        }
    }
}
END_TEST

START_TEST(test_flat)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int l = 0; l < LENGTHS; l++) {
        int64_t n = lengths[l];
        for (int64_t i = 0; i < n; i++) want[i] = 2.5;
        prepare(n, 0);
        k->fill(y, 2.5f, n);
        compare("fill", 0, n, 0, 0);
        for (int64_t i = 0; i < n; i++) want[i] = 0.3 * (double)x[i];
        prepare(n, 1);
        k->axpy(y, 0.3f, x, n);
        compare("axpy", 0, n, 1, 1e-6);
        for (int add = 0; add < 2; add++) {
            for (int64_t i = 0; i < n; i++) want[i] = (double)x[i];
            prepare(n, add);
            k->accumulate(y, x, n, add);
            compare("accumulate", 0, n, add, 1e-6);
            for (int64_t i = 0; i < n; i++) want[i] = (double)x[i] * (double)p[i];
            prepare(n, add);
            k->mul_add(y, x, p, n, add);
            compare("mul_add", 0, n, add, 1e-6);
        }
        double sum = 0, squares = 0, dot = 0, size = 0;
        float most = -INFINITY;
        for (int64_t i = 0; i < n; i++) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
            dot += (double)x[i] * (double)p[i];
            size += fabs((double)x[i]) + fabs((double)x[i] * (double)p[i]);
            most = x[i] > most ? x[i] : most;
        }
        ck_assert_double_eq_tol(k->sum(x, n), sum, 1e-6 * size + 1e-30);
        ck_assert_double_eq_tol(k->sum_squares(x, n), squares, 1e-6 * squares + 1e-30);
        ck_assert_double_eq_tol(k->dot(x, p, n), dot, 1e-6 * size + 1e-30);
        if (n) ck_assert(k->max(x, n) == most);
        ck_assert_int_eq(k->all_finite(x, n), 1);
        ck_assert_int_eq(k->find_outside(x, -100.0f, 100.0f, n), n);

        static const float bad[] = { NAN, INFINITY, -INFINITY, 1e30f };
        /* a bad value at the beginning, in the middle, at the end */
        for (int b = 0; b < 4 && n; b++) {
            for (int64_t at = 0; at < n; at = at == n - 1 ? n : at == 0 && n > 2 ? n / 2 : n - 1) {
                float good = x[at];
                x[at] = bad[b];
                ck_assert_int_eq(k->all_finite(x, n), b == 3);
                ck_assert_int_eq(k->find_outside(x, -100.0f, 100.0f, n), at);
                if (b == 0) {
                    ck_assert(isnan(k->max(x, n)));
                    ck_assert(isnan(k->sum(x, n)));
                    ck_assert(isnan(k->sum_squares(x, n)));
                    ck_assert(isnan(k->dot(x, p, n)));
                } else {
                    ck_assert((k->max(x, n) == bad[b]) == (b != 2 || n == 1));
                    ck_assert(b == 3 || isinf(k->sum(x, n)));
                    ck_assert(b == 3 || k->sum_squares(x, n) == INFINITY);
                }
                x[at] = good;
            }
        }
    }
    float huge[3] = { 1e30f, -1e30f, 0.0f }, tiny[2] = { 1e-30f, 1e-30f };
    ck_assert_double_eq_tol(k->sum_squares(huge, 3), 2e60, 1e54);
    ck_assert_double_eq_tol(k->sum_squares(tiny, 2), 2e-60, 1e-66);
    ck_assert(k->sum_squares(huge + 2, 1) == 0);
    float ends[2] = { -1.0f, 1.0f };
    ck_assert_int_eq(k->find_outside(ends, -1.0f, 1.0f, 2), 2);
}
END_TEST

/* Millions of equal terms: a float alone would stop at 2^24. */
START_TEST(test_long_sums)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    const int64_t n = 3 * 1000 * 1000 + 7;
    float *ones = malloc((size_t)n * sizeof *ones), *zeros = calloc((size_t)n, sizeof *zeros), row;
    ck_assert(ones && zeros);
    k->fill(ones, 0.1f, n);
    ck_assert_double_eq_tol(k->sum(ones, n), 0.1f * (double)n, 1e-6 * (double)n * 0.1);
    k->bce_rows(&row, zeros, ones, 1, n, 0, 1);
    ck_assert_double_eq_tol(row, log(2) * (double)n, 2e-7 * log(2) * (double)n);
    k->sqdist_rows(&row, ones, zeros, 1, n);
    ck_assert_double_eq_tol(row, 0.01 * (double)n, 1e-6 * 0.01 * (double)n);
    k->column_sums(&row, ones, n, 1, 1, 0);
    ck_assert_double_eq_tol(row, 0.1 * (double)n, 1e-6 * 0.1 * (double)n);
    free(ones);
    free(zeros);
}
END_TEST

START_TEST(test_bytes)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    uint8_t bytes[ROOM];
    for (int i = 0; i < ROOM; i++) bytes[i] = (uint8_t)(i * 7);
    for (int l = 0; l < LENGTHS; l++) {
        for (int64_t i = 0; i < lengths[l]; i++) want[i] = bytes[i] / 255.0 - 0.5;
        prepare(lengths[l], 0);
        k->bytes_to_float(y, bytes, 1 / 255.0f, -0.5f, lengths[l]);
        compare("bytes_to_float", 0, lengths[l], 0, 1e-6);
    }
}
END_TEST

START_TEST(test_choice)
{
    const gm_kernels *best = gm_kernels_choose(NULL);
    ck_assert_ptr_nonnull(best);
    ck_assert_ptr_eq(gm_kernels_choose(best->name), best);
    ck_assert_ptr_null(gm_kernels_choose("no such table"));
    ck_assert_str_eq(gm_kernels_choose("baseline")->name, "baseline");
    for (int t = 0; t < TABLES; t++) { /* every place of a table is filled */
        const gm_kernels *k = gm_kernels_choose(names[t]);
        if (!k) continue;
        ck_assert_int_eq(k->own_products, 0);
        const size_t begin = offsetof(gm_kernels, unary);
        void (*const *slot)(void) = (void (*const *)(void))((const char *)k + begin);
        size_t count = (sizeof *k - begin) / sizeof *slot;
        for (size_t i = 0; i < count; i++) ck_assert_msg(slot[i] != NULL, "place %d", (int)i);
    }
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tests = tcase_create("elementwise");
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, test_unary, 0, TABLES);
    tcase_add_loop_test(tests, test_unary_edges, 0, TABLES);
    tcase_add_loop_test(tests, test_binary, 0, TABLES);
    tcase_add_loop_test(tests, test_flat, 0, TABLES);
    tcase_add_loop_test(tests, test_long_sums, 0, TABLES);
    tcase_add_loop_test(tests, test_bytes, 0, TABLES);
    tcase_add_test(tests, test_choice);
    suite_add_tcase(suite, tests);
    return suite;
}
