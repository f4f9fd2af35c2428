/* masked.c - the linear layer masked by degrees: in ascending and mixed order, narrow and in
 * several panels. */
#include "gradcheck/covered.h"
#include "gradcheck/gradcheck.h"

#include "gm/mask.h"

#define MASKED(...) (&(gm_masked_linear_options){ sizeof(gm_masked_linear_options), __VA_ARGS__ })

/* Degrees of n units from 1 to `most`: ascending, or mixed. */
static gm_var degrees(gm_tape *t, int64_t n, int64_t most, int mixed)
{
    float d[256];
    for (int64_t i = 0; i < n; i++) d[i] = (float)(mixed ? 1 + i * 7 % most : 1 + i * most / n);
    return gm_input_copy(t, 1, &n, d);
}

/* mixed: 1: the outputs are, 2: the inputs are. */
static gm_var masked(gm_tape *t, gm_var x, gm_var w, gm_var b, int mixed, int strict, int32_t act)
{
    const int64_t out = gm_shape(t, w)[0], in = gm_shape(t, w)[1], most = in < 9 ? in : 9;
    return gm_masked_linear(t, x, w, b, degrees(t, out, most, mixed & 1),
                            degrees(t, in, most, mixed & 2), MASKED(strict, act, 0.3));
}

#define NONE GM_ACTIVATION_NONE
/* clang-format off: one builder a line, one case a line. */
BUILD(plain, masked(t, v[0], v[1], v[2], 0, 0, NONE))
BUILD(bare, masked(t, v[0], v[1], GM_NO_VAR, 0, 1, NONE))
BUILD(mixed, masked(t, v[0], v[1], v[2], 3, 1, GM_ACTIVATION_TANH))
BUILD(mixed_out, masked(t, v[0], v[1], v[2], 1, 0, GM_ACTIVATION_SIGMOID))
BUILD(mixed_in, masked(t, v[0], v[1], v[2], 2, 1, GM_ACTIVATION_ELU))
BUILD(soft, masked(t, v[0], v[1], v[2], 0, 1, GM_ACTIVATION_SOFTPLUS))
BUILD(relu, masked(t, v[0], v[1], v[2], 0, 1, GM_ACTIVATION_RELU))
BUILD(self, masked(t, v[0], v[0], GM_NO_VAR, 0, 0, GM_ACTIVATION_TANH))
BUILD(given, gm_masked_linear(t, v[0], v[1], v[2], v[3], v[4], MASKED(0, NONE, 0)))

#define X                                                                                          \
    {                                                                                              \
        2, { 3, 6 }, ANY                                                                           \
    }
#define W                                                                                          \
    {                                                                                              \
        2, { 5, 6 }, ANY                                                                           \
    }
#define B                                                                                          \
    {                                                                                              \
        1, { 5 }, ANY                                                                              \
    }
#define WIDE                                                                                       \
    { 2, { 9, 150 }, ANY }, { 2, { 200, 150 }, ANY },                                              \
    {                                                                                              \
        1, { 200 }, ANY                                                                            \
    }

static const grad_case cases[] = {
    { "masked_linear", "", build_plain, 3, { X, W, B } },
    { "masked_linear", "bare", build_bare, 2, { X, W } },
    { "masked_linear", "mixed", build_mixed, 3, { X, W, B } },
    { "masked_linear", "mixed outputs", build_mixed_out, 3, { X, W, B } },
    { "masked_linear", "mixed inputs", build_mixed_in, 3, { X, W, B } },
    { "masked_linear", "softplus", build_soft, 3, { X, W, B } },
    { "masked_linear", "relu", build_relu, 3, { X, W, B } },
    { "masked_linear", "rank 3", build_plain, 3, { { 3, { 2, 3, 6 }, ANY }, W, B } },
    { "masked_linear", "rank 1", build_soft, 3, { { 1, { 6 }, ANY }, W, B } },
    { "masked_linear", "itself", build_self, 1, { { 2, { 6, 6 }, ANY } } },
    { "masked_linear",
      "one column",
      build_bare,
      2,
      { { 2, { 4, 1 }, ANY }, { 2, { 3, 1 }, ANY } } },
    { "masked_linear",
      "degrees",
      build_given,
      5,
      { X, W, B, { 1, { 5 }, WHOLE(6) }, { 1, { 6 }, WHOLE(6) } } },
    { "masked_linear", "panels", build_plain, 3, { WIDE } },
    { "masked_linear", "panels, strict", build_soft, 3, { WIDE } },
    { "masked_linear", "panels, mixed", build_mixed, 3, { WIDE } },
    { "masked_linear", "panels, mixed outputs", build_mixed_out, 3, { WIDE } },
    { "masked_linear", "panels, mixed inputs", build_mixed_in, 3, { WIDE } },
};

#define CASES ((int)(sizeof cases / sizeof cases[0]))

/* clang-format on */

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
    static const char *const listed[] = { COVERED_MASKED };
    for (size_t k = 0; k < sizeof listed / sizeof *listed; k++) {
        int found = 0;
        for (int i = 0; i < CASES; i++) found |= !strcmp(listed[k], cases[i].op);
        ck_assert_msg(found, "%s has no gradient check", listed[k]);
    }
}
END_TEST

/* The same as the plain layer with a product by gm_mask_from_degrees, also the gradients, to the
 * last few bits. */
START_TEST(test_against_masks)
{
    enum { ROWS = 7, OUT = 210, IN = 170 };
    const int mixed = _i & 3, strict = _i >> 2;
    int64_t out_degrees[OUT], in_degrees[IN];
    float od[OUT], id[IN], *mask = malloc(OUT * IN * sizeof *mask);
    const int64_t xs[2] = { ROWS, IN }, ws[2] = { OUT, IN }, os = OUT, is = IN;
    gm_context *ctx = support_context(3, 2);
    gm_tape *t = NULL;
    gm_rng *rng = NULL;
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 1), GM_OK);
    for (int i = 0; i < OUT; i++)
        od[i] = (float)(out_degrees[i] = mixed & 1 ? gm_rng_below(rng, 100) : i * 100 / OUT);
    for (int i = 0; i < IN; i++)
        id[i] = (float)(in_degrees[i] = mixed & 2 ? gm_rng_below(rng, 100) : 1 + i * 99 / IN);
    support_ok(ctx, gm_mask_from_degrees(ctx, out_degrees, OUT, in_degrees, IN, strict, mask));
    gm_var x = gm_randn(t, 2, xs), w = gm_randn(t, 2, ws), b = gm_randn(t, 1, &os);
    x = gm_variable(t, 2, xs, gm_value(t, x));
    w = gm_variable(t, 2, ws, gm_value(t, w));
    b = gm_variable(t, 1, &os, gm_value(t, b));
    gm_var y[2];
    y[0] = gm_linear(t, x, gm_mul(t, w, gm_input_array(t, 2, ws, mask)), b, GM_ACTIVATION_RELU, 0);
    y[1] = gm_masked_linear(t, x, w, b, gm_input_array(t, 1, &os, od),
                            gm_input_array(t, 1, &is, id), MASKED(strict, GM_ACTIVATION_RELU, 0));
    support_ok(ctx, gm_tape_status(t));
    for (int i = 0; i < ROWS * OUT; i++)
        ck_assert_double_eq_tol(gm_value(t, y[0])[i], gm_value(t, y[1])[i], 1e-11);
    float *kept[3] = { 0 };
    const gm_var of[3] = { x, w, b };
    for (int k = 0; k < 2; k++) {
        support_ok(ctx, gm_backward(t, gm_sum(t, gm_square(t, y[k])), NULL));
        for (int i = 0; i < 3; i++) {
            const int64_t n = gm_count(t, of[i]);
            const float *g = gm_gradient_of(t, of[i]);
            if (!k) {
                kept[i] = malloc((size_t)n * sizeof(float));
                memcpy(kept[i], g, (size_t)n * sizeof(float));
            }
            for (int64_t e = 0; e < n; e++) {
                ck_assert_double_eq_tol(kept[i][e], g[e], 1e-9);
                if (i == 1 && mask[e] == 0) ck_assert_double_eq(g[e], 0);
            }
        }
    }
    for (int i = 0; i < 3; i++) free(kept[i]);
    free(mask);
    gm_rng_release(rng);
    gm_tape_release(t);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("gradcheck: masked");
    TCase *tc = tcase_create("masked");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_once, 0, CASES);
    tcase_add_loop_test(tc, test_twice, 0, CASES);
    tcase_add_test(tc, test_list_is_covered);
    tcase_add_loop_test(tc, test_against_masks, 0, 8);
    suite_add_tcase(s, tc);
    return s;
}
