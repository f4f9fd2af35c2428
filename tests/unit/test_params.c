/* test_params.c - parameters, sets of them, initialisers. */
#include "support.h"

#include <float.h>
#include <stdint.h>

#include "gm/params.h"

static gm_context *ctx;

static void setup(void)
{
    ctx = support_context(11, 1);
}

static void teardown(void)
{
    gm_memory_counters m;
    gm_context_retain(ctx);
    gm_context_release(ctx);
    gm_context_memory(&m, ctx);
    /* All that a test made is gone: the context itself is left. */
    ck_assert_uint_eq(m.allocations, m.releases + 1);
    gm_context_release(ctx);
}

static gm_param *param(const char *name, int32_t rank, int64_t a, int64_t b)
{
    gm_param *p = NULL;
    int64_t shape[2] = { a, b };
    support_ok(ctx, gm_param_create(&p, ctx, name, rank, shape));
    return p;
}

START_TEST(creating)
{
    gm_param *p = param("weight", 2, 3, 5);
    ck_assert_str_eq(gm_param_name(p), "weight");
    ck_assert_int_eq(gm_param_rank(p), 2);
    ck_assert_int_eq(gm_param_shape(p)[1], 5);
    ck_assert_int_eq(gm_param_count(p), 15);
    ck_assert_uint_eq((uintptr_t)gm_param_value(p) % 64, 0);
    ck_assert_uint_eq((uintptr_t)gm_param_gradient(p) % 64, 0);
    for (int i = 0; i < 15; i++) {
        ck_assert(gm_param_value(p)[i] == 0);
        ck_assert(gm_param_gradient(p)[i] == 0);
    }
    ck_assert(gm_param_value(p) + 15 <= gm_param_gradient(p));
    gm_param_retain(p);
    gm_param_release(p);
    gm_param_release(p);

    p = param("empty", 2, 0, 4);
    ck_assert_int_eq(gm_param_count(p), 0);
    support_ok(ctx, gm_param_init(p, GM_INIT_DEFAULT, 0, 0, NULL));
    support_ok(ctx, gm_param_init(p, GM_INIT_ORTHOGONAL, 1, 0, NULL));
    gm_param_release(p);
    p = param("scalar", 0, 0, 0);
    ck_assert_int_eq(gm_param_count(p), 1);
    support_ok(ctx, gm_param_init(p, GM_INIT_GLOROT_NORMAL, 1, 0, NULL));
    gm_param_release(p);
}
END_TEST

START_TEST(creating_badly)
{
    int64_t shape[7] = { 2, 3, 1, 1, 1, 1, 1 }, negative[2] = { 2, -1 };
    int64_t huge[2] = { INT64_MAX / 2, 8 };
    char longest[65];
    memset(longest, 'a', 64);
    longest[64] = 0;
    gm_param *p = (gm_param *)&shape;
    support_fails(ctx, gm_param_create(NULL, ctx, "w", 2, shape), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_param_create(&p, NULL, "w", 2, shape), GM_E_INVALID);
    ck_assert_ptr_null(p);
    support_fails(ctx, gm_param_create(&p, ctx, NULL, 2, shape), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_param_create(&p, ctx, "", 2, shape), GM_E_INVALID, "name");
    support_fails(ctx, gm_param_create(&p, ctx, "a b", 2, shape), GM_E_INVALID, "a b");
    support_fails(ctx, gm_param_create(&p, ctx, longest, 2, shape), GM_E_INVALID, "63");
    longest[63] = 0;
    support_ok(ctx, gm_param_create(&p, ctx, longest, 2, shape));
    gm_param_release(p);
    support_fails(ctx, gm_param_create(&p, ctx, "w", 7, shape), GM_E_INVALID, "rank is 7");
    support_fails(ctx, gm_param_create(&p, ctx, "w", -1, shape), GM_E_INVALID, "rank is -1");
    support_fails(ctx, gm_param_create(&p, ctx, "w", 2, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_param_create(&p, ctx, "w", 2, negative), GM_E_INVALID, "-1");
    support_fails(ctx, gm_param_create(&p, ctx, "w", 2, huge), GM_E_INVALID, "address");
    ck_assert_ptr_null(p);
    gm_param_release(NULL);
    gm_param_retain(NULL);
    ck_assert_str_eq(gm_param_name(NULL), "");
    ck_assert_int_eq(gm_param_count(NULL), 0);
    ck_assert_ptr_null(gm_param_value(NULL));
    ck_assert_ptr_null(gm_param_gradient(NULL));
    ck_assert_ptr_null(gm_param_shape(NULL));
    ck_assert_int_eq(gm_param_rank(NULL), 0);
}
END_TEST

START_TEST(sets)
{
    gm_param *a = param("weight", 2, 2, 3), *b = param("bias", 1, 2, 0);
    gm_params *inner = NULL, *outer = NULL;
    support_ok(ctx, gm_params_create(&inner, ctx));
    support_ok(ctx, gm_params_create(&outer, ctx));
    support_ok(ctx, gm_params_add(inner, NULL, a));
    support_ok(ctx, gm_params_add(inner, NULL, b));
    support_ok(ctx, gm_params_add_all(outer, "0.", inner));
    support_ok(ctx, gm_params_add_all(outer, "1.", inner)); /* shared: nothing new */
    ck_assert_int_eq(gm_params_count(outer), 2);
    ck_assert_str_eq(gm_params_name(outer, 0), "0.weight");
    ck_assert_str_eq(gm_params_name(outer, 1), "0.bias");
    ck_assert_ptr_eq(gm_params_get(outer, 1), b);
    ck_assert_ptr_eq(gm_params_find(outer, "0.weight"), a);
    ck_assert_ptr_null(gm_params_find(outer, "1.weight"));
    ck_assert_ptr_null(gm_params_get(outer, 2));
    ck_assert_ptr_null(gm_params_get(outer, -1));
    ck_assert_ptr_null(gm_params_name(outer, 2));
    ck_assert_int_eq(gm_params_elements(outer), 8);

    float values[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, back[8];
    support_ok(ctx, gm_params_write(outer, values, 8));
    ck_assert(gm_param_value(b)[1] == 8);
    support_ok(ctx, gm_params_read(outer, 8, back));
    ck_assert_mem_eq(back, values, sizeof values);
    support_fails(ctx, gm_params_write(outer, values, 7), GM_E_SHAPE, "7");
    support_fails(ctx, gm_params_read(outer, 9, back), GM_E_SHAPE, "9");
    support_fails(ctx, gm_params_read(outer, 8, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_params_write(NULL, values, 8), GM_E_INVALID);

    gm_param_gradient(a)[0] = 3;
    gm_param_gradient(b)[1] = -4;
    ck_assert_double_eq_tol(gm_params_gradient_norm(outer), 5, 1e-12);
    gm_param_gradient(b)[1] = NAN;
    ck_assert(isnan(gm_params_gradient_norm(outer)));
    gm_params_zero_gradients(outer);
    ck_assert_double_eq(gm_params_gradient_norm(outer), 0);

    gm_param_release(a);
    gm_param_release(b);
    gm_params_retain(inner);
    gm_params_release(inner);
    gm_params_release(inner);
    ck_assert(gm_param_value(gm_params_get(outer, 0))[5] == 6); /* the set owns them now */
    gm_params_release(outer);
}
END_TEST

START_TEST(sets_badly)
{
    gm_context *other = support_context(1, 1);
    gm_param *a = param("weight", 2, 2, 3), *b = param("weight", 1, 2, 0), *foreign = NULL;
    gm_params *set = NULL, *two = NULL, *far = NULL;
    int64_t n = 1;
    char prefix[130];
    memset(prefix, 'p', 129);
    prefix[129] = 0;
    support_ok(ctx, gm_params_create(&set, ctx));
    support_ok(ctx, gm_params_create(&two, ctx));
    support_ok(other, gm_params_create(&far, other));
    support_ok(other, gm_param_create(&foreign, other, "w", 1, &n));
    support_ok(ctx, gm_params_add(set, "x.", a));
    support_fails(ctx, gm_params_add(set, "y.", a), GM_E_INVALID, "already");
    support_fails(ctx, gm_params_add(set, "x.", b), GM_E_INVALID, "taken");
    support_fails(ctx, gm_params_add(set, prefix, b), GM_E_INVALID, "127");
    support_fails(ctx, gm_params_add(set, "a/", b), GM_E_INVALID, "a/weight");
    support_fails(ctx, gm_params_add(set, "", foreign), GM_E_INVALID, "context");
    support_fails(ctx, gm_params_add(set, "", NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_params_add(NULL, "", b), GM_E_INVALID);
    support_fails(ctx, gm_params_add_all(set, "", far), GM_E_INVALID, "context");
    support_fails(ctx, gm_params_add_all(set, "", NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_params_add_all(NULL, "", set), GM_E_INVALID);

    /* All or nothing: the second name is taken, so the first is not added either. */
    gm_param *c = param("fresh", 1, 1, 0);
    support_ok(ctx, gm_params_add(two, "x.", c));
    support_ok(ctx, gm_params_add(two, "x.", b));
    support_fails(ctx, gm_params_add_all(set, NULL, two), GM_E_INVALID, "x.weight");
    ck_assert_int_eq(gm_params_count(set), 1);
    support_ok(ctx, gm_params_add_all(set, "again.", set)); /* itself: all shared */
    ck_assert_int_eq(gm_params_count(set), 1);

    gm_params *p = set;
    ck_assert_int_eq(gm_params_create(&p, NULL), GM_E_INVALID);
    ck_assert_ptr_null(p);
    support_fails(ctx, gm_params_create(NULL, ctx), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_params_count(NULL), 0);
    ck_assert_int_eq(gm_params_elements(NULL), 0);
    ck_assert_double_eq(gm_params_gradient_norm(NULL), 0);
    gm_params_zero_gradients(NULL);
    gm_params_release(NULL);
    gm_params_retain(NULL);
    ck_assert_ptr_null(gm_params_find(NULL, "w"));
    ck_assert_ptr_null(gm_params_find(set, NULL));
    gm_params_release(set);
    gm_params_release(two);
    gm_params_release(far);
    gm_param_release(foreign);
    gm_param_release(a);
    gm_param_release(b);
    gm_param_release(c);
    gm_context_release(other);
}
END_TEST

/* Mean and deviation of all values; bounds into lo and hi. */
static void measure(gm_param *p, double *mean, double *deviation, double *lo, double *hi)
{
    int64_t n = gm_param_count(p);
    const float *v = gm_param_value(p);
    *mean = *deviation = 0;
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        *mean += v[i];
        *lo = v[i] < *lo ? v[i] : *lo;
        *hi = v[i] > *hi ? v[i] : *hi;
    }
    *mean /= (double)n;
    for (int64_t i = 0; i < n; i++) *deviation += (v[i] - *mean) * (v[i] - *mean);
    *deviation = sqrt(*deviation / (double)n);
}

/* The kinds against their formulas, on [50, 4, 5, 10]: fan_in 200, fan_out 2500. */
START_TEST(initialisers)
{
    static const struct {
        int32_t kind;
        double a, b, mean, deviation, bound; /* bound 0: a normal distribution */
    } rows[] = {
        { GM_INIT_DEFAULT, 0, 0, 0, 0, 0.07071067811865475 },
        { GM_INIT_UNIFORM, 1, 3, 2, 0, 1 },
        { GM_INIT_NORMAL, 5, 2, 5, 2, 0 },
        { GM_INIT_GLOROT_UNIFORM, 2, 0, 0, 0, 0.09428090415820635 },
        { GM_INIT_GLOROT_NORMAL, 2, 0, 0, 0.05443310539518174, 0 },
        { GM_INIT_HE_UNIFORM, 1.5, 0, 0, 0, 0.18371173070873836 },
        { GM_INIT_HE_NORMAL, 1.5, 0, 0, 0.10606601717798213, 0 },
    };
    int64_t shape[4] = { 50, 4, 5, 10 };
    gm_param *p = NULL;
    support_ok(ctx, gm_param_create(&p, ctx, "w", 4, shape));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double mean, deviation, lo, hi;
        double want = rows[i].bound > 0 ? rows[i].bound / sqrt(3) : rows[i].deviation;
        support_ok(ctx, gm_param_init(p, rows[i].kind, rows[i].a, rows[i].b, NULL));
        measure(p, &mean, &deviation, &lo, &hi);
        /* 10 000 draws: five standard errors. */
        ck_assert_double_eq_tol(mean, rows[i].mean, 5 * want / 100);
        ck_assert_double_eq_tol(deviation, want, 5 * want / 100);
        if (rows[i].bound <= 0) continue;
        double slack = 1e-6 * (fabs(rows[i].mean) + rows[i].bound);
        ck_assert(lo >= rows[i].mean - rows[i].bound - slack);
        ck_assert(hi <= rows[i].mean + rows[i].bound + slack);
        ck_assert(hi - lo > 1.99 * rows[i].bound); /* the whole interval is used */
    }
    support_ok(ctx, gm_param_init(p, GM_INIT_CONSTANT, -2.5, 0, NULL));
    for (int64_t i = 0; i < gm_param_count(p); i++) ck_assert(gm_param_value(p)[i] == -2.5f);
    for (int64_t i = 0; i < gm_param_count(p); i++) ck_assert(gm_param_gradient(p)[i] == 0);
    gm_param_release(p);

    p = param("b", 1, 10000, 0); /* rank 1: both fans are the size */
    double mean, deviation, lo, hi;
    support_ok(ctx, gm_param_init(p, GM_INIT_GLOROT_UNIFORM, 1, 0, NULL));
    measure(p, &mean, &deviation, &lo, &hi);
    ck_assert_double_eq_tol(deviation, 0.01, 0.0005);
    gm_param_release(p);
}
END_TEST

static void check_orthogonal(int64_t rows, int64_t cols, double gain)
{
    gm_param *p = param("w", 2, rows, cols);
    support_ok(ctx, gm_param_init(p, GM_INIT_ORTHOGONAL, gain, 0, NULL));
    const float *v = gm_param_value(p);
    int wide = rows <= cols;
    int64_t vectors = wide ? rows : cols, length = wide ? cols : rows;
    for (int64_t i = 0; i < vectors; i++)
        for (int64_t j = 0; j <= i; j++) {
            double dot = 0;
            for (int64_t k = 0; k < length; k++)
                dot += wide ? (double)v[i * cols + k] * v[j * cols + k]
                            : (double)v[k * cols + i] * v[k * cols + j];
            ck_assert_double_eq_tol(dot / (gain * gain), i == j ? 1 : 0, 1e-5);
        }
    gm_param_release(p);
}

START_TEST(orthogonal)
{
    check_orthogonal(1, 1, 1);
    check_orthogonal(20, 50, 1);
    check_orthogonal(50, 20, 3);
    check_orthogonal(128, 128, 0.5);
    int64_t shape[3] = { 6, 2, 5 };
    gm_param *p = NULL;
    support_ok(ctx, gm_param_create(&p, ctx, "w", 3, shape));
    support_ok(ctx, gm_param_init(p, GM_INIT_ORTHOGONAL, 1, 0, NULL));
    double squares = 0; /* six orthonormal rows of ten */
    for (int i = 0; i < 60; i++) squares += (double)gm_param_value(p)[i] * gm_param_value(p)[i];
    ck_assert_double_eq_tol(squares, 6, 1e-4);
    gm_param_release(p);
}
END_TEST

START_TEST(seeds)
{
    for (int32_t kind = GM_INIT_DEFAULT; kind <= GM_INIT_ORTHOGONAL; kind++) {
        gm_context *c[3] = { support_context(5, 1), support_context(5, 3), support_context(6, 1) };
        gm_param *p[3];
        int64_t shape[2] = { 40, 30 };
        for (int i = 0; i < 3; i++) {
            support_ok(c[i], gm_param_create(&p[i], c[i], "w", 2, shape));
            support_ok(c[i], gm_param_init(p[i], kind, 1, 2, NULL));
        }
        ck_assert_mem_eq(gm_param_value(p[0]), gm_param_value(p[1]), 1200 * sizeof(float));
        if (kind != GM_INIT_CONSTANT)
            ck_assert_mem_ne(gm_param_value(p[0]), gm_param_value(p[2]), 1200 * sizeof(float));
        /* The next stream of a context is another one. */
        support_ok(c[0], gm_param_init(p[0], kind, 1, 2, NULL));
        if (kind != GM_INIT_CONSTANT)
            ck_assert_mem_ne(gm_param_value(p[0]), gm_param_value(p[1]), 1200 * sizeof(float));
        /* A generator of the host's. */
        gm_rng *rng = NULL;
        support_ok(c[0], gm_rng_create(&rng, c[0], 9));
        support_ok(c[0], gm_param_init(p[0], kind, 1, 2, rng));
        gm_rng_release(rng);
        support_ok(c[1], gm_rng_create(&rng, c[1], 9));
        support_ok(c[1], gm_param_init(p[1], kind, 1, 2, rng));
        gm_rng_release(rng);
        ck_assert_mem_eq(gm_param_value(p[0]), gm_param_value(p[1]), 1200 * sizeof(float));
        for (int i = 0; i < 3; i++) {
            gm_param_release(p[i]);
            gm_context_release(c[i]);
        }
    }
}
END_TEST

START_TEST(initialising_badly)
{
    gm_context *other = support_context(1, 1);
    gm_rng *far = NULL;
    support_ok(other, gm_rng_create(&far, other, 1));
    gm_param *p = param("w", 2, 3, 4), *b = param("b", 1, 3, 0);
    support_ok(ctx, gm_param_init(p, GM_INIT_CONSTANT, 7, 0, NULL));
    ck_assert_int_eq(gm_param_init(NULL, 0, 0, 0, NULL), GM_E_INVALID);
    support_fails(ctx, gm_param_init(p, 9, 1, 1, NULL), GM_E_INVALID, "kind is 9");
    support_fails(ctx, gm_param_init(p, -1, 1, 1, NULL), GM_E_INVALID, "kind is -1");
    support_fails(ctx, gm_param_init(p, GM_INIT_CONSTANT, NAN, 0, NULL), GM_E_INVALID, "nan");
    support_fails(ctx, gm_param_init(p, GM_INIT_UNIFORM, 2, 1, NULL), GM_E_INVALID, "interval");
    support_fails(ctx, gm_param_init(p, GM_INIT_UNIFORM, 0, INFINITY, NULL), GM_E_INVALID, "inf");
    support_fails(ctx, gm_param_init(p, GM_INIT_NORMAL, 0, -1, NULL), GM_E_INVALID, "deviation");
    support_fails(ctx, gm_param_init(p, GM_INIT_HE_NORMAL, -1, 0, NULL), GM_E_INVALID, "gain");
    support_fails(ctx, gm_param_init(b, GM_INIT_ORTHOGONAL, 1, 0, NULL), GM_E_SHAPE, "rank is 1");
    support_fails(ctx, gm_param_init(p, GM_INIT_NORMAL, 0, 1, far), GM_E_INVALID, "context");
    for (int i = 0; i < 12; i++) ck_assert(gm_param_value(p)[i] == 7);
    gm_param_release(p);
    gm_param_release(b);
    gm_rng_release(far);
    gm_context_release(other);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("params");
    TCase *t = tcase_create("params");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, creating);
    tcase_add_test(t, creating_badly);
    tcase_add_test(t, sets);
    tcase_add_test(t, sets_badly);
    tcase_add_test(t, initialisers);
    tcase_add_test(t, orthogonal);
    tcase_add_test(t, seeds);
    tcase_add_test(t, initialising_badly);
    suite_add_tcase(s, t);
    return s;
}
