/* test_kernels_math.c - exp, log and their kin against libm in double, in every table this
 * processor runs. */
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "support.h"

static const char *const names[] = { "baseline", "x86-64-v3", "x86-64-v4" };
#define TABLES 3
#define RUN 4096

typedef struct function {
    const char *name;
    int32_t kind;
    double (*reference)(double x);
    double ulp;
} function;

static double sigmoid_of(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double softplus_of(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static double elu_of(double x)
{
    return x > 0 ? x : expm1(x);
}

static double log_of(double x)
{
    return x < 0 ? NAN : log(x); /* without the sign that libm gives to NaN */
}

static double silu_of(double x)
{
    return x < -1e30 ? 0 : x * sigmoid_of(x);
}

static const function functions[] = {
    { "exp", GM_UNARY_EXP, exp, 2 },
    { "log", GM_UNARY_LOG, log_of, 2 },
    { "tanh", GM_UNARY_TANH, tanh, 4 },
    { "sigmoid", GM_UNARY_SIGMOID, sigmoid_of, 4 },
    { "softplus", GM_UNARY_SOFTPLUS, softplus_of, 4 },
    { "elu", GM_UNARY_ELU, elu_of, 2 },
    { "silu", GM_UNARY_SILU, silu_of, 64 }, /* where the sigmoid is subnormal */
};
#define FUNCTIONS ((int)(sizeof functions / sizeof functions[0]))

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Distance in units of the last place of the float nearest to the true value. */
static double ulps(float got, double want)
{
    int exponent;
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (isinf(want)) return (double)got == want ? 0 : INFINITY;
    if (isnan(got)) return INFINITY;
    frexp(want, &exponent);
    double unit = ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
    if (isinf(got))
        return fabs(want) > FLT_MAX * (1 - 0x1p-23) && (got > 0) == (want > 0) ? 0 : INFINITY;
    return fabs((double)got - want) / unit;
}

/* The values with bits first, first + step, ... (count of them), through every table. */
static void sweep(const function *f, uint32_t first, uint32_t step, int64_t count)
{
    static float x[RUN], y[RUN];
    static double want[RUN];
    double worst[TABLES] = { 0 };
    for (int64_t at = 0; at < count; at += RUN) {
        int64_t n = count - at < RUN ? count - at : RUN;
        for (int64_t i = 0; i < n; i++) {
            x[i] = from_bits(first + (uint32_t)(at + i) * step);
            want[i] = f->reference((double)x[i]);
        }
        for (int t = 0; t < TABLES; t++) {
            const gm_kernels *k = gm_kernels_choose(names[t]);
            if (!k) continue;
            k->unary(f->kind, y, x, 1.0f, 0.0f, n);
            for (int64_t i = 0; i < n; i++) {
                double error = ulps(y[i], want[i]);
                if (error > worst[t]) worst[t] = error;
                if (!(error <= f->ulp)) /* Check notes every assertion in a file: too many here */
                    ck_abort_msg("%s (%s) of %.9g is %.9g, not %.17g: %g ULP", f->name, names[t],
                                 (double)x[i], (double)y[i], want[i], error);
            }
        }
    }
    for (int t = 0; t < TABLES; t++)
        if (gm_kernels_choose(names[t]))
            printf("%-9s %-10s worst %.3f ULP\n", f->name, names[t], worst[t]);
}

START_TEST(test_all_floats)
{
    sweep(&functions[_i], 0, 4093, (int64_t)(0x100000000u / 4093));
}
END_TEST

/* Where the results are neither 0 nor 1: magnitudes from 2^-12 to 128, both signs. */
START_TEST(test_usual_floats)
{
    sweep(&functions[_i], 0x39800000u, 239, 0x09800000 / 239);
    sweep(&functions[_i], 0xb9800000u, 239, 0x09800000 / 239);
}
END_TEST

/* The distribution function and GELU to a few last places in the middle, and to the digits that x^2
 * leaves in the tail. */
START_TEST(test_normal_cdf)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    for (int i = -1300; i <= 1300; i++) {
        const float x = (float)i / 100;
        const double want = 0.5 * erfc(-(double)x / sqrt(2)),
                     tail = x < 0 ? 0.5 * (double)x * (double)x : 0;
        const double tolerance = want * (1e-6 + tail * 2.4e-7);
        float y[2], d[3], one = 1;
        k->unary(GM_UNARY_NORMAL_CDF, y, &x, 0, 0, 1);
        k->unary(GM_UNARY_GELU, y + 1, &x, 0, 0, 1);
        k->unary_grad(GM_UNARY_NORMAL_CDF, d, &one, &x, y, 0, 0, 1, 0);
        ck_assert_double_eq_tol((double)y[0], want, tolerance);
        ck_assert_double_eq_tol((double)y[1], (double)x * want,
                                tolerance * fabs((double)x) + 1e-44);
        ck_assert_double_eq_tol((double)d[0],
                                exp(-0.5 * (double)x * (double)x) / sqrt(2 * acos(-1)), 1e-7);
    }
    const float inf = INFINITY, far[3] = { -inf, inf, NAN };
    const int32_t kinds[] = { GM_UNARY_NORMAL_CDF, GM_UNARY_GELU, GM_UNARY_GELU_TANH,
                              GM_UNARY_SILU };
    for (int i = 0; i < 4; i++) {
        float y[3], d[3], one[3] = { 1, 1, 1 };
        k->unary(kinds[i], y, far, 0, 0, 3);
        k->unary_grad(kinds[i], d, one, far, y, 0, 0, 3, 0);
        ck_assert_msg(y[0] == 0 && y[1] == (i ? inf : 1) && isnan(y[2]), "kind %d: %g %g %g", i,
                      (double)y[0], (double)y[1], (double)y[2]);
        ck_assert_msg(d[0] == 0 && d[1] == (i ? 1 : 0) && isnan(d[2]), "kind %d: slopes %g %g %g",
                      i, (double)d[0], (double)d[1], (double)d[2]);
    }
}
END_TEST

START_TEST(test_log_near_one)
{
    sweep(&functions[1], 0x3f000000u, 53, 0x00c00000 / 53); /* 1/2 to 1.5 ... 2 */
    sweep(&functions[1], 0x3f7fff00u, 1, 0x200);
    sweep(&functions[1], 0x00000000u, 4001, 0x00800000 / 4001); /* subnormal */
}
END_TEST

static float value(const gm_kernels *k, int32_t kind, float x)
{
    float y = 77.0f;
    k->unary(kind, &y, &x, 1.0f, 0.0f, 1);
    return y;
}

START_TEST(test_special_values)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    const float inf = INFINITY;
    for (int f = 0; f < FUNCTIONS; f++) {
        ck_assert(isnan(value(k, functions[f].kind, NAN)));
        ck_assert(isnan(value(k, functions[f].kind, -NAN)));
    }
    ck_assert(value(k, GM_UNARY_EXP, inf) == inf);
    ck_assert(value(k, GM_UNARY_EXP, -inf) == 0.0f);
    ck_assert(value(k, GM_UNARY_EXP, 0.0f) == 1.0f);
    ck_assert(value(k, GM_UNARY_EXP, 88.7228f) < inf);
    ck_assert(value(k, GM_UNARY_EXP, 88.73f) == inf);
    ck_assert(value(k, GM_UNARY_EXP, -103.0f) > 0.0f); /* subnormal */
    ck_assert(value(k, GM_UNARY_EXP, -104.0f) == 0.0f);
    ck_assert(value(k, GM_UNARY_LOG, 0.0f) == -inf);
    ck_assert(value(k, GM_UNARY_LOG, -0.0f) == -inf);
    ck_assert(value(k, GM_UNARY_LOG, inf) == inf);
    ck_assert(value(k, GM_UNARY_LOG, 1.0f) == 0.0f);
    ck_assert(isnan(value(k, GM_UNARY_LOG, -1.0f)));
    ck_assert(isnan(value(k, GM_UNARY_LOG, -inf)));
    ck_assert(isnan(value(k, GM_UNARY_LOG, -1e-42f)));
    ck_assert(value(k, GM_UNARY_TANH, inf) == 1.0f);
    ck_assert(value(k, GM_UNARY_TANH, -inf) == -1.0f);
    ck_assert(value(k, GM_UNARY_TANH, 1e-30f) == 1e-30f);
    ck_assert(value(k, GM_UNARY_TANH, -1e-42f) == -1e-42f);
    ck_assert(signbit(value(k, GM_UNARY_TANH, -0.0f)));
    ck_assert(value(k, GM_UNARY_SIGMOID, inf) == 1.0f);
    ck_assert(value(k, GM_UNARY_SIGMOID, -inf) == 0.0f);
    ck_assert(value(k, GM_UNARY_SIGMOID, 0.0f) == 0.5f);
    ck_assert(value(k, GM_UNARY_SIGMOID, -100.0f) > 0.0f);
    ck_assert(value(k, GM_UNARY_SOFTPLUS, inf) == inf);
    ck_assert(value(k, GM_UNARY_SOFTPLUS, -inf) == 0.0f);
    ck_assert(value(k, GM_UNARY_SOFTPLUS, 1e30f) == 1e30f);
    ck_assert(value(k, GM_UNARY_ELU, -inf) == -1.0f);
    ck_assert(value(k, GM_UNARY_ELU, inf) == inf);
}
END_TEST

/* A value does not depend on where in an array it stands: vector body and remainder agree to the
 * bit. */
START_TEST(test_same_at_every_place)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    enum { N = 97 };
    float x[N], y[N];
    k->normal(x, 5, 6, 7, N);
    for (int32_t kind = 0; kind < GM_UNARY_COUNT; kind++) {
        k->unary(kind, y, x, -0.7f, 0.6f, N);
        for (int i = 0; i < N; i++) {
            float one;
            k->unary(kind, &one, &x[i], -0.7f, 0.6f, 1);
            ck_assert_msg(memcmp(&one, &y[i], sizeof one) == 0, "kind %d, place %d: %.9g, %.9g",
                          (int)kind, i, (double)one, (double)y[i]);
        }
    }
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("kernels_math");
    TCase *tests = tcase_create("math");
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, test_all_floats, 0, FUNCTIONS);
    tcase_add_loop_test(tests, test_usual_floats, 0, FUNCTIONS);
    tcase_add_test(tests, test_log_near_one);
    tcase_add_loop_test(tests, test_special_values, 0, TABLES);
    tcase_add_loop_test(tests, test_normal_cdf, 0, TABLES);
    tcase_add_loop_test(tests, test_same_at_every_place, 0, TABLES);
    suite_add_tcase(suite, tests);
    return suite;
}
