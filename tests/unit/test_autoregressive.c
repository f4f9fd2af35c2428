/* test_autoregressive.c - gm/autoregressive.h: the questions to any such model, on a linear one,
 * and what is refused. */
#include "densities.h"

static gm_model *plain(gm_context *ctx)
{
    gm_linear_ar *ar = NULL;
    support_ok(ctx, gm_linear_ar_create(&ar, ctx, BITS, NULL));
    return gm_linear_ar_model(ar);
}

/* With the columns in another order. */
static gm_model *turned(gm_context *ctx)
{
    static const int64_t order[BITS] = { 3, 9, 0, 7, 1, 8, 2, 6, 5, 4 };
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    gm_linear_ar *ar = NULL;
    o.order = order;
    support_ok(ctx, gm_linear_ar_create(&ar, ctx, BITS, &o));
    return gm_linear_ar_model(ar);
}

START_TEST(learns)
{
    density_learns(_i ? turned : plain, 1000);
}
END_TEST

START_TEST(all_questions)
{
    gm_context *ctx = support_context(31, 2);
    gm_model *model = density_fitted(ctx, _i ? turned : plain);
    density_sums_to_one(ctx, model);
    density_factors(ctx, model);
    density_samples(ctx, model);
    density_completes(ctx, model);
    density_imputes(ctx, model);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Many rows, so that they are taken in more than one group. */
START_TEST(groups_of_rows)
{
    enum { N = 1300 };
    gm_context *ctx = support_context(32, 1);
    gm_model *model = density_fitted(ctx, turned);
    float *states = density_states(), *rows = malloc(N * BITS * sizeof *rows);
    double *parts = malloc(N * BITS * sizeof *parts), one[BITS];
    ck_assert(rows && parts);
    for (int i = 0; i < N; i++)
        memcpy(rows + i * BITS, states + i * 37 % STATES * BITS, BITS * sizeof *rows);
    support_ok(ctx, gm_autoregressive_log_probs(model, rows, N, parts));
    for (int i = 0; i < N; i += 97) {
        support_ok(ctx, gm_autoregressive_log_probs(model, rows + i * BITS, 1, one));
        for (int c = 0; c < BITS; c++) ck_assert_double_eq_tol(one[c], parts[i * BITS + c], 1e-6);
    }
    free(parts);
    free(rows);
    free(states);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* All known, and nothing known. */
START_TEST(ends_of_knowing)
{
    gm_context *ctx = support_context(33, 1);
    gm_model *model = density_fitted(ctx, plain);
    float row[BITS] = { 1, 0, 1 }, before[BITS];
    uint8_t all[BITS], none[BITS] = { 0 };
    double score, log_known, ess;
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    memset(all, 1, sizeof all);
    memcpy(before, row, sizeof row);
    support_ok(ctx, gm_model_log_prob(model, row, 1, &score));
    support_ok(ctx, gm_autoregressive_sample_given(model, all, 1, NULL, row, &log_known));
    ck_assert_mem_eq(row, before, sizeof row);
    ck_assert_double_eq_tol(log_known, score, 1e-5);
    support_ok(ctx, gm_autoregressive_log_marginal(model, row, all, 1, NULL, &log_known));
    ck_assert_double_eq_tol(log_known, score, 1e-5);
    support_ok(ctx, gm_autoregressive_log_marginal(model, row, none, 1, NULL, &log_known));
    ck_assert_double_eq(log_known, 0);
    support_ok(ctx, gm_autoregressive_sample_given(model, none, 1, NULL, row, NULL));
    for (int c = 0; c < BITS; c++) ck_assert(row[c] == 0 || row[c] == 1);
    o.ess = &ess;
    support_ok(ctx, gm_autoregressive_impute(model, none, 1, &o, row));
    ck_assert_double_eq_tol(ess, 64, 1e-9);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

static gm_param *param(gm_model *model, const char *name)
{
    gm_param *p = gm_params_find(gm_model_params(model), name);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* A value that cannot be: log p is -infinity where that is an answer, and a refusal where draws
 * would hang on it. */
START_TEST(probability_zero)
{
    gm_context *ctx = support_context(34, 1);
    gm_model *model = plain(ctx);
    float row[2 * BITS] = { 0 }, before[2 * BITS];
    uint8_t known[2 * BITS] = { 0 };
    double out[2];
    gm_param_value(param(model, "bias"))[1] = INFINITY; /* the second bit is 1 for certain */
    row[BITS] = 1;
    known[0] = known[1] = known[BITS] = known[BITS + 1] = 1;
    row[1] = 1;
    memcpy(before, row, sizeof row);
    support_ok(ctx, gm_autoregressive_log_marginal(model, row, known, 2, NULL, out));
    ck_assert_double_eq_tol(out[0], -log(2), 1e-6);
    ck_assert(isinf(out[1]) && out[1] < 0);
    support_fails(ctx, gm_autoregressive_sample_given(model, known, 2, NULL, row, out),
                  GM_E_NUMERIC, "row 1, column 1");
    ck_assert_mem_eq(row, before, sizeof row);
    support_fails(ctx, gm_autoregressive_impute(model, known, 2, NULL, row), GM_E_NUMERIC, "row 1");
    ck_assert_mem_eq(row, before, sizeof row);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refusals)
{
    gm_context *ctx = support_context(35, 1);
    gm_model *model = turned(ctx);
    float rows[3 * BITS] = { 0 };
    uint8_t known[3 * BITS] = { 0 };
    double out[3 * BITS];
    int64_t order[BITS];
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    rows[2 * BITS + 4] = (float)0.5;
    support_fails(ctx, gm_autoregressive_log_probs(model, rows, 3, out), GM_E_INVALID,
                  "row 2, column 4 is 0.5, expected 0 or 1");
    support_fails(ctx, gm_autoregressive_conditionals(model, rows, 3, rows), GM_E_INVALID, "row 2");
    support_fails(ctx, gm_model_log_prob(model, rows, 3, out), GM_E_INVALID, "log_prob: row 2");
    support_fails(ctx, gm_model_step(model, rows, 3, NULL, 0, NULL), GM_E_INVALID,
                  "row 2, column 4");
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, 3, NULL,
                                                   out)); /* it is not known */
    known[2 * BITS + 4] = 1;
    support_fails(ctx, gm_autoregressive_log_marginal(model, rows, known, 3, NULL, out),
                  GM_E_INVALID, "0.5");
    support_fails(ctx, gm_autoregressive_impute(model, known, 3, NULL, rows), GM_E_INVALID, "0.5");
    rows[2 * BITS + 4] = 1;
    support_fails(ctx, gm_autoregressive_sample_given(model, known, 3, NULL, rows, out),
                  GM_E_UNSUPPORTED,
                  "row 2, column 4 is given, but one before it in the order is not");
    support_fails(ctx, gm_autoregressive_log_marginal(model, rows, known, 3, NULL, out),
                  GM_E_UNSUPPORTED, "row 2, column 4");
    support_fails(ctx, gm_autoregressive_sample_given(model, known, 0, NULL, rows, out),
                  GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_autoregressive_sample_given(model, known, 1, NULL, NULL, out),
                  GM_E_INVALID, "NULL");
    support_fails(ctx, gm_autoregressive_sample_given(model, NULL, 1, NULL, rows, out),
                  GM_E_INVALID, "NULL");
    support_fails(ctx, gm_autoregressive_log_marginal(model, rows, known, 1, NULL, NULL),
                  GM_E_INVALID, "NULL");
    support_fails(ctx, gm_autoregressive_log_marginal(model, rows, NULL, 1, NULL, out),
                  GM_E_INVALID, "NULL");
    support_fails(ctx, gm_autoregressive_log_probs(model, rows, -1, out), GM_E_INVALID,
                  "count is -1");
    support_fails(ctx, gm_autoregressive_log_probs(model, rows, INT64_MAX, out), GM_E_INVALID,
                  "too many");
    support_fails(ctx, gm_autoregressive_conditionals(model, rows, 1, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_autoregressive_order(model, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_autoregressive_impute(model, NULL, 1, NULL, rows), GM_E_INVALID, "NULL");
    o.draws = 0;
    support_fails(ctx, gm_autoregressive_impute(model, known, 1, &o, rows), GM_E_INVALID,
                  "draws is 0");
    o.draws = INT64_MAX;
    support_fails(ctx, gm_autoregressive_impute(model, known, 1, &o, rows), GM_E_INVALID,
                  "more values");
    o.size = 3;
    support_fails(ctx, gm_autoregressive_impute(model, known, 1, &o, rows), GM_E_INVALID, "impute");
    ck_assert_int_eq(gm_autoregressive_log_probs(NULL, rows, 1, out), GM_E_INVALID);
    ck_assert_int_eq(gm_autoregressive_conditionals(NULL, rows, 1, rows), GM_E_INVALID);
    ck_assert_int_eq(gm_autoregressive_order(NULL, order), GM_E_INVALID);
    ck_assert_int_eq(gm_autoregressive_sample_given(NULL, known, 1, NULL, rows, out), GM_E_INVALID);
    ck_assert_int_eq(gm_autoregressive_log_marginal(NULL, rows, known, 1, NULL, out), GM_E_INVALID);
    ck_assert_int_eq(gm_autoregressive_impute(NULL, known, 1, NULL, rows), GM_E_INVALID);
    ck_assert_int_eq(gm_autoregressive_kind(NULL), -1);
    ck_assert_int_eq(gm_autoregressive_width(NULL), 0);
    ck_assert_int_eq(gm_autoregressive_any_order(NULL), 0);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Other families say so. */
START_TEST(other_families)
{
    gm_context *ctx = support_context(36, 1);
    const gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_vae *vae = nets_vae(ctx, 8, 4, 2, head, NULL);
    gm_model *model = gm_vae_model(vae);
    float row[8] = { 0 };
    uint8_t known[8] = { 0 };
    double out[8];
    int64_t order[8];
    ck_assert_int_eq(gm_autoregressive_kind(model), -1);
    ck_assert_int_eq(gm_autoregressive_width(model), 0);
    ck_assert_int_eq(gm_autoregressive_any_order(model), 0);
    support_fails(ctx, gm_autoregressive_order(model, order), GM_E_UNSUPPORTED, "vae: order");
    support_fails(ctx, gm_autoregressive_log_probs(model, row, 1, out), GM_E_UNSUPPORTED, "vae");
    support_fails(ctx, gm_autoregressive_conditionals(model, row, 1, row), GM_E_UNSUPPORTED, "vae");
    support_fails(ctx, gm_autoregressive_sample_given(model, known, 1, NULL, row, out),
                  GM_E_UNSUPPORTED, "vae");
    support_fails(ctx, gm_autoregressive_log_marginal(model, row, known, 1, NULL, out),
                  GM_E_UNSUPPORTED, "vae");
    support_fails(ctx, gm_autoregressive_impute(model, known, 1, NULL, row), GM_E_UNSUPPORTED,
                  "vae: impute");
    gm_vae_release(vae);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("autoregressive");
    TCase *t = tcase_create("autoregressive");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, all_questions, 0, 2);
    tcase_add_loop_test(t, learns, 0, 2);
    tcase_add_test(t, groups_of_rows);
    tcase_add_test(t, ends_of_knowing);
    tcase_add_test(t, probability_zero);
    tcase_add_test(t, refusals);
    tcase_add_test(t, other_families);
    suite_add_tcase(s, t);
    return s;
}
