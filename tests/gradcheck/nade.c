/* nade.c - NADE's operation: gradients by differences, and all against a way that goes place by
 * place. */
#include "autodiff/ops/ops.h"
#include "gradcheck/covered.h"
#include "gradcheck/gradcheck.h"

static gm_var nade(gm_tape *t, gm_var x, gm_var w, gm_var c, gm_var v, gm_var b, int32_t act)
{
    return gm_nade_conditionals(t, x, &(gm_nade_weights){ w, c, v, b }, act);
}

BUILD(sigmoid, nade(t, v[0], v[1], v[2], v[3], v[4], GM_ACTIVATION_SIGMOID))
BUILD(tanh, nade(t, v[0], v[1], v[2], v[3], v[4], GM_ACTIVATION_TANH))
BUILD(relu, nade(t, v[0], v[1], v[2], v[3], v[4], GM_ACTIVATION_RELU))
BUILD(tied, nade(t, v[0], v[1], v[2], v[1], v[3], GM_ACTIVATION_SIGMOID))
BUILD(loss,
      gm_bce_with_logits(t, nade(t, v[0], v[1], v[2], v[3], v[4], GM_ACTIVATION_SIGMOID), v[0]))

static const grad_case cases[] = {
    { "nade",
      "bits",
      build_sigmoid,
      5,
      { { 2, { 3, 6 }, WHOLE(2) },
        { 2, { 6, 5 }, ANY },
        { 1, { 5 }, ANY },
        { 2, { 6, 5 }, ANY },
        { 1, { 6 }, ANY } } },
    { "nade",
      "bits, tanh, several slices and blocks",
      build_tanh,
      5,
      { { 2, { 5, 70 }, WHOLE(2) },
        { 2, { 70, 131 }, -0.3, 0.3, 0, 0 },
        { 1, { 131 }, ANY },
        { 2, { 70, 131 }, ANY },
        { 1, { 70 }, ANY } } },
    { "nade",
      "bits, relu",
      build_relu,
      5,
      { { 2, { 4, 7 }, WHOLE(2) },
        { 2, { 7, 3 }, 0.1, 1, 0, 0 },
        { 1, { 3 }, 0.1, 1, 0, 0 },
        { 2, { 7, 3 }, ANY },
        { 1, { 7 }, ANY } } },
    { "nade",
      "parts",
      build_sigmoid,
      5,
      { { 2, { 3, 6 }, WHOLE(2) },
        { 2, { 6, 5 }, ANY },
        { 1, { 5 }, ANY },
        { 3, { 6, 4, 5 }, ANY },
        { 2, { 6, 4 }, ANY } } },
    { "nade",
      "classes and parts",
      build_tanh,
      5,
      { { 2, { 3, 6 }, WHOLE(4) },
        { 3, { 6, 4, 5 }, ANY },
        { 1, { 5 }, ANY },
        { 3, { 6, 4, 5 }, ANY },
        { 2, { 6, 4 }, ANY } } },
    { "nade",
      "values from 0 to 4",
      build_tanh,
      5,
      { { 2, { 3, 6 }, WHOLE(5) },
        { 2, { 6, 5 }, ANY },
        { 1, { 5 }, ANY },
        { 3, { 6, 3, 5 }, ANY },
        { 2, { 6, 3 }, ANY } } },
    { "nade",
      "tied",
      build_tied,
      4,
      { { 2, { 3, 6 }, WHOLE(2) }, { 2, { 6, 5 }, ANY }, { 1, { 5 }, ANY }, { 1, { 6 }, ANY } } },
    { "nade",
      "one place",
      build_sigmoid,
      5,
      { { 2, { 3, 1 }, WHOLE(2) },
        { 2, { 1, 5 }, ANY },
        { 1, { 5 }, ANY },
        { 2, { 1, 5 }, ANY },
        { 1, { 1 }, ANY } } },
};

START_TEST(gradients)
{
    const grad_case *c = &cases[_i];
    run_case(c, 1, 0);
    run_case(c, 2, 1);
}
END_TEST

/* The loss has its own gradient with respect to x; only the four weights are looked at. */
START_TEST(gradients_of_the_likelihood)
{
    (void)build_loss;
    gm_context *ctx = support_context(3, 2);
    gm_tape *tape = NULL;
    gm_rng *rng = NULL;
    enum { N = 4, D = 9, H = 7, ALL = D * H + H + D * H + D };
    float all[ALL], x[N * D];
    double found[ALL];
    gm_var v[4], nll;
    const int64_t at[5] = { 0, D * H, D * H + H, 2 * D * H + H, ALL };
    const int64_t shape[4][2] = { { D, H }, { H, 0 }, { D, H }, { D, 0 } }, rows[2] = { N, D };
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 7), GM_OK);
    ck_assert_int_eq(gm_tape_create(&tape, ctx, NULL), GM_OK);
    ck_assert_int_eq(gm_rng_normal(rng, ALL, 0, 1, all), GM_OK);
    for (int i = 0; i < N * D; i++) x[i] = (float)(gm_rng_below(rng, 3) == 0);
    for (int k = -1; k < 2 * ALL; k++) {
        const float kept = k < 0 ? 0 : all[k / 2];
        if (k >= 0) all[k / 2] += k % 2 ? -STEP : STEP;
        gm_tape_reset(tape);
        gm_var bits = gm_input_array(tape, 2, rows, x);
        for (int i = 0; i < 4; i++) v[i] = gm_variable(tape, i % 2 ? 1 : 2, shape[i], all + at[i]);
        nll = gm_sum(
            tape, gm_bce_with_logits(
                      tape, nade(tape, bits, v[0], v[1], v[2], v[3], GM_ACTIVATION_SIGMOID), bits));
        if (k < 0) {
            ck_assert_int_eq(gm_backward(tape, nll, NULL), GM_OK);
            for (int i = 0; i < 4; i++)
                memcpy(found + at[i], gm_gradient_of(tape, v[i]),
                       (size_t)(at[i + 1] - at[i]) * sizeof *found);
            continue;
        }
        all[k / 2] = kept;
        found[k / 2] += (k % 2 ? 1 : -1) * gm_scalar(tape, nll) / (2 * STEP);
        if (k % 2) ck_assert_double_eq_tol(found[k / 2], 0, 1e-7);
    }
    gm_tape_release(tape);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

#define SAME 1e-11
#include "nade_naive.h"

#include "densities.h"
#include "gm/nade.h"

START_TEST(equal_to_the_naive_way)
{
    nade_against_naive(SAME);
}
END_TEST

/* The whole model in double precision: its probabilities sum to 1, in one order and in all. */
static gm_model *model_of(gm_context *ctx)
{
    gm_nade *nade = NULL;
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    o.hidden = 12;
    support_ok(ctx, gm_nade_create(&nade, ctx, BITS, &o));
    return gm_nade_model(nade);
}

static gm_model *agnostic_of(gm_context *ctx)
{
    gm_nade *nade = NULL;
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    o.hidden = 12;
    o.order_agnostic = 1;
    o.activation = GM_ACTIVATION_RELU;
    o.layers = 2;
    o.orders = 3;
    support_ok(ctx, gm_nade_create(&nade, ctx, BITS, &o));
    return gm_nade_model(nade);
}

START_TEST(states_sum_to_one)
{
    gm_context *ctx = support_context(8, 2);
    gm_model *model = density_fitted(ctx, _i ? agnostic_of : model_of);
    density_sums_to_one(ctx, model);
    if (!_i) density_factors(ctx, model);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    static const char *const mine[] = { COVERED_NADE };
    Suite *s = suite_create("gradcheck: nade");
    TCase *t = tcase_create("nade");
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) {
        size_t found = 0;
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            found += !strcmp(cases[k].op, mine[i]);
        if (!found) printf("%s has no case\n", mine[i]);
        if (!found) return NULL;
    }
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, gradients, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(t, gradients_of_the_likelihood);
    tcase_add_test(t, equal_to_the_naive_way);
    tcase_add_loop_test(t, states_sum_to_one, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
