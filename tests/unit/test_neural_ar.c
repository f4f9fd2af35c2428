/* test_neural_ar.c - gm/neural_ar.h: against the equations written out, all questions on bits, the
 * other kinds, refusals. */
#include "densities.h"

#define D 5

static const int64_t turn[D] = { 2, 4, 0, 3, 1 };

static gm_neural_ar *make(gm_context *ctx, int64_t columns, gm_neural_ar_options o)
{
    gm_neural_ar *ar = NULL;
    support_ok(ctx, gm_neural_ar_create(&ar, ctx, columns, &o));
    ck_assert_ptr_eq(gm_neural_ar_from_model(gm_neural_ar_model(ar)), ar);
    ck_assert_int_eq(gm_neural_ar_hidden(ar), o.hidden);
    return ar;
}

static gm_model *plain(gm_context *ctx)
{
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    return gm_neural_ar_model(make(ctx, BITS, o));
}

static gm_model *other(gm_context *ctx)
{
    static const int64_t order[BITS] = { 3, 9, 0, 7, 1, 8, 2, 6, 5, 4 };
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    o.order = order;
    o.hidden = 11;
    o.direct = 0;
    o.activation = GM_ACTIVATION_SIGMOID;
    o.weight_decay = 1e-3;
    return gm_neural_ar_model(make(ctx, BITS, o));
}

START_TEST(learns)
{
    density_learns(_i ? other : plain, 1000);
}
END_TEST

START_TEST(all_questions)
{
    gm_context *ctx = support_context(51, 2);
    gm_model *model = density_fitted(ctx, _i ? other : plain);
    density_sums_to_one(ctx, model);
    density_factors(ctx, model);
    density_samples(ctx, model);
    density_completes(ctx, model);
    density_imputes(ctx, model);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

START_TEST(a_life)
{
    density_lifecycle(_i ? other : plain);
    density_stays(_i ? other : plain);
}
END_TEST

static const float *value(gm_model *model, const char *name)
{
    gm_param *p = gm_params_find(gm_model_params(model), name);
    ck_assert_ptr_nonnull(p);
    return gm_param_value(p);
}

static double function(int32_t activation, double a)
{
    switch (activation) {
    case GM_ACTIVATION_RELU:
        return a > 0 ? a : 0;
    case GM_ACTIVATION_LEAKY_RELU:
        return a > 0 ? a : 0.01 * a;
    case GM_ACTIVATION_ELU:
        return a > 0 ? a : exp(a) - 1;
    case GM_ACTIVATION_TANH:
        return tanh(a);
    case GM_ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-a));
    default:
        return log(1 + exp(a));
    }
}

/* log p of bits by the equations of the header, one sum after the other. */
static double by_hand(gm_model *model, int32_t activation, int64_t hidden, const float *row)
{
    double h[64], sum = 0;
    float x[D];
    for (int k = 0; k < D; k++) x[k] = row[turn[k]];
    for (int k = 0; k < D; k++) {
        double a = (double)value(model, "output.bias")[k];
        for (int j = 0; j < k; j++) {
            a += (double)(value(model, "direct.weight")[k * D + j] * x[j]);
            for (int64_t u = j * hidden; u < (j + 1) * hidden; u++)
                a += (double)value(model, "output.weight")[k * D * hidden + u] * h[u];
        }
        sum -= log(1 + exp(x[k] > 0 ? -a : a));
        for (int64_t u = k * hidden; u < (k + 1) * hidden; u++) {
            double c = (double)value(model, "hidden.bias")[u];
            for (int j = 0; j <= k; j++)
                c += (double)(value(model, "hidden.weight")[u * D + j] * x[j]);
            h[u] = function(activation, c);
        }
    }
    return sum;
}

START_TEST(the_equations)
{
    gm_context *ctx = support_context(52, 1);
    for (int32_t a = GM_ACTIVATION_RELU; a <= GM_ACTIVATION_SOFTPLUS; a++) {
        gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
        const float rows[3 * D] = { 1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1 };
        uint8_t known[3 * D];
        double got[3], walked[3];
        memset(known, 1, sizeof known);
        o.activation = a;
        o.hidden = 9;
        o.order = turn;
        gm_model *model = gm_neural_ar_model(make(ctx, D, o));
        support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(model), 0.02));
        for (int i = 0; i < 60; i++) support_ok(ctx, gm_model_step(model, rows, 3, NULL, 0, NULL));
        support_ok(ctx, gm_model_log_prob(model, rows, 3, got));
        support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, 3, NULL, walked));
        for (int i = 0; i < 3; i++) {
            ck_assert_double_eq_tol(got[i], by_hand(model, a, 9, rows + i * D), 2e-5);
            ck_assert_double_eq_tol(walked[i], got[i], 2e-5);
            ck_assert(got[i] > -5 * log(2)); /* it learnt these */
        }
        /* What the mask leaves out is zero still. */
        for (int r = 0; r < D; r++)
            for (int u = r * 9; u < D * 9; u++)
                ck_assert(value(model, "output.weight")[r * D * 9 + u] == 0);
        gm_model_release(model);
    }
    gm_context_release(ctx);
}
END_TEST

/* Classes: all states; reals: samples score as the entropy says, and what is given decides. */
START_TEST(class_numbers)
{
    enum { C = 3, ALL = 27 };
    gm_context *ctx = support_context(53, 1);
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    o.kind = GM_CONDITIONAL_CATEGORICAL;
    o.classes = 3;
    gm_model *model = gm_neural_ar_model(make(ctx, C, o));
    float rows[ALL * C];
    uint8_t known[ALL * C];
    double p[ALL], walked[ALL], sum = 0;
    memset(known, 1, sizeof known);
    for (int s = 0; s < ALL; s++)
        for (int c = 0, rest = s; c < C; c++, rest /= 3) rows[s * C + c] = (float)(rest % 3);
    for (int i = 0; i < 30; i++)
        support_ok(ctx, gm_model_step(model, rows + 6 * C, 5, NULL, 0, NULL));
    support_ok(ctx, gm_model_log_prob(model, rows, ALL, p));
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, ALL, NULL, walked));
    for (int s = 0; s < ALL; s++) {
        sum += exp(p[s]);
        ck_assert_double_eq_tol(walked[s], p[s], 1e-5);
    }
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    rows[1] = (float)1.5;
    support_fails(ctx, gm_model_step(model, rows, 1, NULL, 0, NULL), GM_E_INVALID,
                  "row 0, column 1 is 1.5, expected a class from 0 to 2");
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* The second column is the square of the first, but for little noise: no linear model can say so.
 */
START_TEST(reals)
{
    enum { N = 500 };
    gm_context *ctx = support_context(54, 1);
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    gm_rng *rng = NULL;
    float x[2 * N], z[2 * N], given[2 * 2 * N];
    uint8_t known[2 * N];
    double score[N], walked[N], error = 0;
    o.kind = GM_CONDITIONAL_GAUSSIAN;
    o.hidden = 24;
    gm_model *model = gm_neural_ar_model(make(ctx, 2, o));
    support_ok(ctx, gm_rng_create(&rng, ctx, 3));
    support_ok(ctx, gm_rng_normal(rng, 2 * N, 0, 1, z));
    for (int i = 0; i < N; i++) {
        x[2 * i] = z[2 * i];
        x[2 * i + 1] = z[2 * i] * z[2 * i] + (float)0.1 * z[2 * i + 1];
    }
    support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(model), 0.01));
    for (int i = 0; i < 1500; i++)
        support_ok(ctx, gm_model_step(model, x + i % 5 * 200, 100, NULL, 0, NULL));
    support_ok(ctx, gm_autoregressive_conditionals(model, x, N, given));
    for (int i = 0; i < N; i++) error += fabs((double)(given[4 * i + 2] - z[2 * i] * z[2 * i])) / N;
    ck_assert_msg(error < 0.25, "the mean of the second is %g away from the square", error);
    ck_assert_int_eq(gm_autoregressive_width(model), 2);
    memset(known, 1, sizeof known);
    support_ok(ctx, gm_model_log_prob(model, x, N, score));
    support_ok(ctx, gm_autoregressive_log_marginal(model, x, known, N, NULL, walked));
    for (int i = 0; i < N; i++)
        ck_assert_double_eq_tol(score[i], walked[i], 1e-4 * (1 + fabs(score[i])));
    /* Given the first: draws lie where the conditional says. */
    double mean = 0;
    for (int i = 0; i < N; i++) {
        x[2 * i] = 1;
        known[2 * i + 1] = 0;
    }
    support_ok(ctx, gm_autoregressive_conditionals(model, x, 1, given));
    support_ok(ctx, gm_autoregressive_sample_given(model, known, N, NULL, x, NULL));
    for (int i = 0; i < N; i++) mean += (double)x[2 * i + 1] / N;
    ck_assert_double_eq_tol(mean, (double)given[2],
                            support_bound(1) * (double)given[3] / sqrt(N) + 1e-5);
    gm_rng_release(rng);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

START_TEST(files_and_one_column)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_context *ctx = support_context(55, 1);
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int32_t kind = GM_CONDITIONAL_BINARY; kind <= GM_CONDITIONAL_GAUSSIAN; kind++)
        for (int64_t columns = 1; columns <= D; columns += D - 1) {
            const float row[D] = { 0, 1, 1, 1, 0 };
            gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
            double p[2];
            gm_model *loaded = NULL;
            gm_tensor *drawn = NULL;
            o.kind = kind;
            o.classes = 3;
            o.order = columns == D ? turn : NULL;
            o.activation = GM_ACTIVATION_SOFTPLUS;
            o.direct = kind == GM_CONDITIONAL_GAUSSIAN;
            gm_model *model = gm_neural_ar_model(make(ctx, columns, o));
            for (int i = 0; i < 5; i++)
                support_ok(ctx, gm_model_step(model, row, 1, NULL, 0, NULL));
            support_ok(ctx, gm_model_sample(&drawn, model, 3));
            support_ok(ctx, gm_model_save(model, path));
            support_ok(ctx, gm_model_load(&loaded, ctx, path));
            ck_assert_int_eq(gm_autoregressive_kind(loaded), kind);
            ck_assert_int_eq(gm_neural_ar_hidden(gm_neural_ar_from_model(loaded)), 4);
            support_ok(ctx, gm_model_log_prob(model, row, 1, p));
            support_ok(ctx, gm_model_log_prob(loaded, row, 1, p + 1));
            ck_assert_double_eq(p[0], p[1]);
            gm_model_release(loaded);
            static const char *const keys[] = { "neural_ar.columns", "neural_ar.hidden",
                                                "neural_ar.classes", "neural_ar.activation" };
            for (int k = 0; k < 4; k++) {
                gm_archive *archive = NULL;
                support_ok(ctx, gm_archive_open(&archive, ctx, path));
                support_ok(ctx, gm_archive_set_int(archive, keys[k], 1 << 20));
                support_ok(ctx, gm_archive_write(archive, path));
                gm_archive_release(archive);
                support_fails(ctx, gm_model_load(&loaded, ctx, path),
                              k < 3 ? GM_E_SHAPE : GM_E_INVALID, k < 3 ? "1048576" : "activation");
                support_ok(ctx, gm_model_save(model, path));
            }
            gm_tensor_release(drawn);
            gm_model_release(model);
        }
    support_folder_remove(folder);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refusals)
{
    gm_context *ctx = support_context(56, 1);
    gm_neural_ar *ar = (gm_neural_ar *)ctx;
    const gm_neural_ar_options defaults = GM_NEURAL_AR_OPTIONS_INIT;
    gm_neural_ar_options o = defaults;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 0, NULL), GM_E_INVALID, "columns is 0");
    ck_assert_ptr_null(ar);
    ck_assert_int_eq(gm_neural_ar_create(&ar, NULL, 3, NULL), GM_E_INVALID);
    support_fails(ctx, gm_neural_ar_create(NULL, ctx, 3, NULL), GM_E_INVALID, "NULL");
    o.hidden = 0;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "hidden is 0");
    o.hidden = INT64_MAX;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "too many");
    o = defaults, o.kind = GM_CONDITIONAL_LAPLACE_MIXTURE;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "kind is 4");
    o = defaults, o.kind = GM_CONDITIONAL_CATEGORICAL;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "classes is 0");
    o = defaults, o.direct = 2;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "direct is 2");
    o = defaults, o.activation = GM_ACTIVATION_NONE;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "activation is 0");
    o = defaults, o.weight_decay = INFINITY;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "weight_decay is inf");
    const int64_t twice[3] = { 1, 1, 2 };
    o = defaults, o.order = twice;
    support_fails(ctx, gm_neural_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "1 at place 1");
    ar = make(ctx, 3, defaults);
    o = defaults, o.optimizer = gm_model_optimizer(gm_neural_ar_model(ar));
    gm_neural_ar *second = NULL;
    support_fails(ctx, gm_neural_ar_create(&second, ctx, 3, &o), GM_E_STATE, "bound");
    const float row[3] = { 0, 2, 1 };
    support_fails(ctx, gm_model_step(gm_neural_ar_model(ar), row, 1, NULL, 0, NULL), GM_E_INVALID,
                  "row 0, column 1 is 2, expected 0 or 1");
    ck_assert_ptr_null(gm_neural_ar_model(NULL));
    ck_assert_ptr_null(gm_neural_ar_from_model(NULL));
    ck_assert_int_eq(gm_neural_ar_hidden(NULL), 0);
    gm_neural_ar_retain(NULL);
    gm_neural_ar_release(NULL);
    gm_neural_ar_release(ar);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("neural_ar");
    TCase *t = tcase_create("neural_ar");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, all_questions, 0, 2);
    tcase_add_loop_test(t, learns, 0, 2);
    tcase_add_loop_test(t, a_life, 0, 2);
    tcase_add_test(t, the_equations);
    tcase_add_test(t, class_numbers);
    tcase_add_test(t, reals);
    tcase_add_test(t, files_and_one_column);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
