/* test_model_likelihood.c - what the log p of each family is: exact, an estimate, with which error;
 * the same everywhere it is told. */
#include "gm/dbn.h"
#include "gm/evaluate.h"
#include "gm/linear_ar.h"
#include "gm/made.h"
#include "gm/nade.h"
#include "gm/neural_ar.h"
#include "gm/pixelcnn.h"
#include "gm/sbn.h"
#include "models/family.h"
#include "models/log_mean.h"
#include "nets.h"

#define N 24
#define SIZE 12
#define MANY 600

static gm_model *linear_ar(gm_context *ctx)
{
    gm_linear_ar *ar = NULL;
    support_ok(ctx, gm_linear_ar_create(&ar, ctx, SIZE, NULL));
    return gm_linear_ar_model(ar);
}

static gm_model *neural_ar(gm_context *ctx)
{
    gm_neural_ar *ar = NULL;
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    o.hidden = 2;
    support_ok(ctx, gm_neural_ar_create(&ar, ctx, SIZE, &o));
    return gm_neural_ar_model(ar);
}

static gm_model *made(gm_context *ctx)
{
    gm_made *net = NULL;
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    const int64_t units = 8;
    o.hidden = &units;
    support_ok(ctx, gm_made_create(&net, ctx, SIZE, &o));
    return gm_made_model(net);
}

static gm_model *nade(gm_context *ctx)
{
    gm_nade *net = NULL;
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    o.hidden = 4;
    support_ok(ctx, gm_nade_create(&net, ctx, SIZE, &o));
    return gm_nade_model(net);
}

static gm_model *agnostic_nade(gm_context *ctx)
{
    gm_nade *net = NULL;
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    o.hidden = 4;
    o.order_agnostic = 1;
    o.orders = 3;
    support_ok(ctx, gm_nade_create(&net, ctx, SIZE, &o));
    return gm_nade_model(net);
}

static gm_model *pixelcnn(gm_context *ctx)
{
    gm_pixelcnn *net = NULL;
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    o.hidden = 4;
    o.blocks = 1;
    support_ok(ctx, gm_pixelcnn_create(&net, ctx, 3, 4, &o));
    return gm_pixelcnn_model(net);
}

static gm_model *vae(gm_context *ctx)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    o.log_prob_samples = 40;
    return gm_vae_model(nets_vae(ctx, SIZE, 6, 2, head, &o));
}

static gm_model *make_sbn(gm_context *ctx, int recognition)
{
    static const int64_t layers[2] = { 5, 3 };
    gm_sbn *sbn = NULL;
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    o.layer_count = 2;
    o.layers = layers;
    o.recognition = recognition;
    o.estimator = recognition ? GM_SBN_VIMCO : GM_SBN_GIBBS_EM;
    o.log_prob_samples = 40;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, SIZE, &o));
    return gm_sbn_model(sbn);
}

static gm_model *sbn(gm_context *ctx)
{
    return make_sbn(ctx, 1);
}

static gm_model *sbn_without_q(gm_context *ctx)
{
    return make_sbn(ctx, 0);
}

static gm_model *make_rbm(gm_context *ctx, double log_z, double error)
{
    gm_rbm *rbm = NULL;
    support_ok(ctx, gm_rbm_create(&rbm, ctx, SIZE, 6, NULL));
    gm_rbm_set_log_z(rbm, log_z, error);
    return gm_rbm_model(rbm);
}

static gm_model *rbm(gm_context *ctx)
{
    return make_rbm(ctx, NAN, NAN);
}

static gm_model *rbm_summed_by_the_host(gm_context *ctx)
{
    return make_rbm(ctx, 12.5, 0);
}

static gm_model *rbm_annealed(gm_context *ctx)
{
    return make_rbm(ctx, 12.5, 0.125);
}

static gm_model *rbm_of_unknown_error(gm_context *ctx)
{
    return make_rbm(ctx, 12.5, NAN);
}

static gm_model *make_dbn(gm_context *ctx, int machines, double error)
{
    static const int64_t layers[2] = { 6, 5 };
    gm_dbn *dbn = NULL;
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    o.layer_count = 2;
    o.layers = layers;
    o.log_prob_samples = 40;
    support_ok(ctx, gm_dbn_create(&dbn, ctx, SIZE, &o));
    gm_param *w = gm_rbm_weight(gm_dbn_layer(dbn, 1));
    for (int64_t i = 0; i < gm_param_count(w); i++)
        gm_param_value(w)[i] = (float)(i * 7 % 11) / 4 - 1.25f;
    if (machines == 2) support_ok(ctx, gm_dbn_grow(dbn, NULL));
    if (error > 0) gm_rbm_set_log_z(gm_dbn_layer(dbn, machines), 9, error);
    return gm_dbn_model(dbn);
}

static gm_model *dbn_of_one(gm_context *ctx)
{
    return make_dbn(ctx, 1, 0);
}

static gm_model *dbn(gm_context *ctx)
{
    return make_dbn(ctx, 2, 0);
}

static gm_model *dbn_annealed(gm_context *ctx)
{
    return make_dbn(ctx, 2, 0.125);
}

/* How each is told. */
static const struct row {
    gm_model *(*make)(gm_context *ctx);
    int32_t kind;
    int64_t samples;
    double common_error;
    int takes_samples;
} rows_of[] = {
    { linear_ar, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { neural_ar, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { made, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { nade, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { agnostic_nade, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { pixelcnn, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { vae, GM_LIKELIHOOD_IMPORTANCE, 40, 0, 1 },
    { sbn, GM_LIKELIHOOD_IMPORTANCE, 40, 0, 1 },
    { sbn_without_q, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { rbm, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { rbm_summed_by_the_host, GM_LIKELIHOOD_EXACT, 0, 0, 0 },
    { rbm_annealed, GM_LIKELIHOOD_ANNEALED, 0, 0.125, 0 },
    { rbm_of_unknown_error, GM_LIKELIHOOD_ANNEALED, 0, NAN, 0 },
    { dbn_of_one, GM_LIKELIHOOD_EXACT, 0, 0, 1 },
    { dbn, GM_LIKELIHOOD_IMPORTANCE, 40, 0, 1 },
    { dbn_annealed, GM_LIKELIHOOD_IMPORTANCE, 40, 0.125, 1 },
};
#define ROWS_OF ((int)(sizeof rows_of / sizeof *rows_of))

static int same(double a, double b)
{
    return isnan(a) ? isnan(b) : a >= b && a <= b;
}

static void fill(float *rows)
{
    for (int64_t i = 0; i < N * SIZE; i++) rows[i] = (float)(i * 7 % 5 < 2);
}

/* By gm_model_likelihood, with the numbers, and by the evaluation of a dataset. */
START_TEST(every_way_tells_the_same)
{
    const struct row *want = &rows_of[_i];
    const int64_t shape[2] = { N, SIZE };
    float rows[N * SIZE];
    double plain[N], value[N], error[N], nll[N];
    gm_context *ctx = support_context(41, 1);
    gm_model *model = want->make(ctx);
    gm_likelihood l = GM_LIKELIHOOD_INIT, with = GM_LIKELIHOOD_INIT;
    gm_result r = GM_RESULT_INIT;
    gm_nll_options o = GM_NLL_OPTIONS_INIT;
    gm_dataset *data = NULL;
    fill(rows);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    support_ok(ctx, gm_model_likelihood(&l, model));
    ck_assert(l.kind == want->kind && l.samples == want->samples &&
              same(l.common_error, want->common_error));
    gm_model_seed(model, o.seed);
    support_ok(ctx, gm_model_log_prob(model, rows, N, plain));
    gm_model_seed(model, o.seed);
    support_ok(ctx, gm_model_log_prob_estimate(&with, model, rows, N, NULL, value, error));
    ck_assert_mem_eq(&l, &with, sizeof l);
    ck_assert_mem_eq(plain, value, sizeof plain);
    double variance = 0;
    for (int i = 0; i < N; i++) {
        ck_assert(l.samples ? error[i] > 0 && error[i] < 1 : same(error[i], 0));
        variance += error[i] * error[i] / N / N;
    }
    o.log_prob = nll;
    support_ok(ctx, gm_evaluate_nll(&r, model, data, &o));
    ck_assert_mem_eq(nll, plain, sizeof plain);
    ck_assert_str_eq(r.protocol, gm_likelihood_name(want->kind));
    ck_assert(r.k == want->samples && r.seed == (want->samples ? o.seed : 0));
    const double expected = sqrt(variance + l.common_error * l.common_error);
    ck_assert(isnan(expected) ? isnan(r.sampling_error)
                              : fabs(r.sampling_error - expected) <= 1e-12 * expected);
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* K of the caller's: told, with errors; one sample tells no error; and refused where there are
 * none. */
START_TEST(samples_of_the_callers)
{
    const struct row *want = &rows_of[_i];
    float rows[N * SIZE];
    double value[N], error[N];
    gm_context *ctx = support_context(42, 1);
    gm_model *model = want->make(ctx);
    gm_likelihood l = GM_LIKELIHOOD_INIT;
    fill(rows);
    if (!want->takes_samples) {
        support_fails(
            ctx,
            gm_model_log_prob_estimate(
                &l, model, rows, N,
                &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 7 }, value,
                error),
            GM_E_UNSUPPORTED, "samples is 7");
    } else {
        support_ok(ctx,
                   gm_model_log_prob_estimate(
                       &l, model, rows, N,
                       &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 7 },
                       value, error));
        ck_assert(l.kind == want->kind && l.samples == (want->samples ? 7 : 0));
        support_ok(ctx,
                   gm_model_log_prob_estimate(
                       &l, model, rows, N,
                       &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 1 },
                       value, error));
        for (int i = 0; i < N; i++) ck_assert(want->samples ? isnan(error[i]) : same(error[i], 0));
    }
    support_fails(ctx,
                  gm_model_log_prob_estimate(
                      &l, model, rows, N,
                      &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = -1 },
                      value, error),
                  GM_E_INVALID, "samples is -1");
    support_fails(ctx, gm_model_log_prob_estimate(&l, model, NULL, N, NULL, value, error),
                  GM_E_INVALID, "NULL");
    support_fails(ctx, gm_model_likelihood(NULL, model), GM_E_INVALID, "out is NULL");
    l.size = sizeof l + 1;
    support_fails(ctx, gm_model_likelihood(&l, model), GM_E_INVALID, "size");
    support_fails(ctx, gm_model_log_prob_estimate(&l, model, rows, N, NULL, value, error),
                  GM_E_INVALID, "size");
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

static int32_t count_calls(void *user, int64_t done, int64_t total)
{
    int64_t *at = user;
    ck_assert(total == MANY && done > at[0] && done <= total);
    at[0] = done;
    return ++at[1] == at[2];
}

/* Progress counts rows to the end, changes no number, and can stop. */
START_TEST(progress)
{
    static float rows[MANY * SIZE];
    static double plain[MANY], told[MANY];
    int64_t at[3] = { 0, 0, -1 };
    gm_context *ctx = support_context(46, 1);
    gm_model *model = rows_of[_i].make(ctx);
    gm_log_prob_options o = GM_LOG_PROB_OPTIONS_INIT;
    for (int64_t i = 0; i < MANY * SIZE; i++) rows[i] = (float)(i * 7 % 5 < 2);
    gm_model_seed(model, 3);
    support_ok(ctx, gm_model_log_prob(model, rows, MANY, plain));
    o.on_progress = count_calls;
    o.user = at;
    gm_model_seed(model, 3);
    support_ok(ctx, gm_model_log_prob_estimate(NULL, model, rows, MANY, &o, told, NULL));
    ck_assert_mem_eq(plain, told, sizeof plain);
    ck_assert(at[0] == MANY && at[1] > 1);
    at[0] = at[1] = 0;
    at[2] = 2;
    support_fails(ctx, gm_model_log_prob_estimate(NULL, model, rows, MANY, &o, told, NULL),
                  GM_E_CANCELLED, "of 600");
    ck_assert_int_eq(at[1], 2);
    gm_model_seed(model, 3);
    support_ok(ctx, gm_model_log_prob(model, rows, MANY, told));
    ck_assert_mem_eq(plain, told, sizeof plain);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

typedef struct values_done {
    int64_t done, total, calls, stop;
} values_done;

static int32_t count_values(void *user, int64_t done, int64_t total)
{
    values_done *v = user;
    ck_assert(done > v->done && done <= total && (!v->total || v->total == total));
    v->done = done;
    v->total = total;
    return ++v->calls == v->stop;
}

static const values_done none = { 0, 0, 0, -1 };

/* Sampling, and completing rows: progress counts values to the end, changes no number, and can
 * stop; then the model draws as if nothing had been. */
START_TEST(progress_of_samples)
{
    static float plain[MANY * SIZE], told[MANY * SIZE], rows[MANY * SIZE];
    gm_context *ctx = support_context(46, 1);
    gm_model *model = rows_of[_i].make(ctx);
    values_done all = none, first = { 0, 0, 0, 1 };
    gm_progress_options o = GM_PROGRESS_OPTIONS_INIT, stop = GM_PROGRESS_OPTIONS_INIT;
    o.on_progress = stop.on_progress = count_values, o.user = &all, stop.user = &first;
    gm_model_seed(model, 3);
    support_ok(ctx, gm_model_sample_into(model, MANY, NULL, plain));
    gm_model_seed(model, 3);
    support_ok(ctx, gm_model_sample_into(model, MANY, &o, told));
    ck_assert_mem_eq(plain, told, sizeof plain);
    ck_assert(all.done == all.total && all.total % MANY == 0 && all.calls > 1);
    gm_model_seed(model, 3);
    support_fails(ctx, gm_model_sample_into(model, MANY, &stop, told), GM_E_CANCELLED, "sample");
    ck_assert_int_eq(first.calls, 1);
    support_ok(ctx, gm_model_sample_into(model, MANY, NULL, told));
    ck_assert_mem_eq(plain, told, sizeof plain);
    o.size = 5;
    support_fails(ctx, gm_model_sample_into(model, MANY, &o, rows), GM_E_INVALID, "size");
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

START_TEST(progress_of_completed_rows)
{
    static float plain[MANY * SIZE], told[MANY * SIZE], rows[MANY * SIZE];
    static double marginal[2][MANY];
    static uint8_t known[MANY * SIZE];
    int64_t order[SIZE];
    gm_context *ctx = support_context(46, 1);
    gm_model *model = rows_of[_i].make(ctx);
    values_done all = none, first = { 0, 0, 0, 1 };
    gm_progress_options o = GM_PROGRESS_OPTIONS_INIT, stop = GM_PROGRESS_OPTIONS_INIT;
    gm_impute_options impute = GM_IMPUTE_OPTIONS_INIT;
    o.on_progress = stop.on_progress = impute.on_progress = count_values;
    o.user = impute.user = &all, stop.user = &first;
    memset(known, 0, sizeof known);
    if (gm_autoregressive_kind(model) < 0) goto out;
    support_ok(ctx, gm_autoregressive_order(model, order));
    for (int64_t i = 0; i < MANY * SIZE; i++) rows[i] = (float)(i * 7 % 5 < 2);
    for (int64_t r = 0; r < MANY; r++)
        for (int k = 0; k < 4; k++) known[r * SIZE + order[k]] = 1;
    memcpy(plain, rows, sizeof rows);
    memcpy(told, rows, sizeof rows);
    gm_model_seed(model, 4);
    support_ok(ctx, gm_autoregressive_sample_given(model, known, MANY, NULL, plain, NULL));
    gm_model_seed(model, 4);
    support_ok(ctx, gm_autoregressive_sample_given(model, known, MANY, &o, told, NULL));
    ck_assert_mem_eq(plain, told, sizeof plain);
    ck_assert(all.done == all.total && all.total == MANY * SIZE);
    memcpy(told, rows, sizeof rows);
    support_fails(ctx, gm_autoregressive_sample_given(model, known, MANY, &stop, told, NULL),
                  GM_E_CANCELLED, "sample_given");
    ck_assert_mem_eq(rows, told, sizeof rows);

    all = none;
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, MANY, NULL, marginal[0]));
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, MANY, &o, marginal[1]));
    ck_assert_mem_eq(marginal[0], marginal[1], sizeof marginal[0]);
    ck_assert(all.calls >= 1 && all.done <= all.total);

    all = none;
    impute.draws = 2;
    support_ok(ctx, gm_autoregressive_impute(model, known, 9, &impute, told));
    ck_assert(all.done == all.total && all.total == 9 * 2 * SIZE);
    first = (values_done){ 0, 0, 0, 1 };
    impute.user = &first;
    memcpy(told, rows, sizeof rows);
    support_fails(ctx, gm_autoregressive_impute(model, known, 9, &impute, told), GM_E_CANCELLED,
                  "impute");
    ck_assert_mem_eq(rows, told, sizeof rows);
out:
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* The standard errors are the deviations of estimates from other draws. With Gaussian estimates the
 * ratio of the variances of 100 of them has a deviation of sqrt(2 / 100), of 24 rows 0.03; the
 * delta method's own error falls as 1/K. */
START_TEST(errors_are_deviations)
{
    enum { DRAWS = 100 };
    float rows[N * SIZE];
    double value[N], error[N], mean[N] = { 0 }, square[N] = { 0 }, told[N] = { 0 }, ratio = 0;
    gm_context *ctx = support_context(43, 1);
    gm_model *model = rows_of[_i].make(ctx);
    fill(rows);
    for (int t = 0; t < DRAWS && rows_of[_i].samples; t++) {
        support_ok(
            ctx, gm_model_log_prob_estimate(
                     NULL, model, rows, N,
                     &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 500 },
                     value, error));
        for (int i = 0; i < N; i++) {
            mean[i] += value[i] / DRAWS;
            square[i] += value[i] * value[i] / DRAWS;
            told[i] += error[i] * error[i] / DRAWS;
        }
    }
    for (int i = 0; i < N; i++) ratio += (square[i] - mean[i] * mean[i]) / told[i] / N;
    if (rows_of[_i].samples) ck_assert_msg(ratio > 0.8 && ratio < 1.25, "%g", ratio);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Every family that has one entry has the other, the table above has every such family, and a file
 * keeps what the log p is. */
START_TEST(every_family_tells)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    int found = 0;
    gm_context *ctx = support_context(44, 1);
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (const gm_family *const *f = gm_families; *f; f++) {
        int here = 0;
        ck_assert_msg(!(*f)->log_prob == !(*f)->likelihood, "%s", (*f)->name);
        for (int i = 0; i < ROWS_OF && (*f)->log_prob; i++) {
            gm_model *model = rows_of[i].make(ctx), *loaded = NULL;
            if (model->family == *f) {
                gm_likelihood l = GM_LIKELIHOOD_INIT;
                here++;
                support_ok(ctx, gm_model_save(model, path));
                support_ok(ctx, gm_model_load(&loaded, ctx, path));
                support_ok(ctx, gm_model_likelihood(&l, loaded));
                ck_assert(l.kind == rows_of[i].kind && l.samples == rows_of[i].samples &&
                          same(l.common_error, rows_of[i].common_error));
            }
            gm_model_release(loaded);
            gm_model_release(model);
        }
        ck_assert_msg(!(*f)->log_prob == !here, "%s has %d makers", (*f)->name, here);
        found += here;
    }
    ck_assert_int_eq(found, ROWS_OF);
    support_folder_remove(folder);
    gm_context_release(ctx);
}
END_TEST

/* Weights in any order, far apart, and 0 among them: their mean and its deviation, by plain sums.
 */
START_TEST(means_of_log_weights)
{
    static const double rising[5] = { -3, -1, 0, 0.5, 2 }, falling[5] = { 2, 0.5, 0, -1, -3 },
                        mixed[5] = { 0, -3, 2, 0.5, -1 };
    static const double *const orders[3] = { rising, falling, mixed };
    for (int k = 0; k < 3; k++)
        for (int zeros = 0; zeros < 3; zeros += 2)
            for (int far = -1; far < 2; far++) {
                gm_log_mean s = GM_LOG_MEAN_INIT;
                const double shift = 600 * far;
                double sum = 0, squares = 0, error;
                const int n = 5 + zeros;
                for (int i = 0; i < zeros; i++) gm_log_mean_add(&s, -(double)INFINITY);
                for (int i = 0; i < 5; i++) {
                    gm_log_mean_add(&s, orders[k][i] + shift);
                    sum += exp(orders[k][i]);
                    squares += exp(2 * orders[k][i]);
                }
                const double mean = sum / n, variance = squares / n - mean * mean;
                ck_assert_double_eq_tol(gm_log_mean_get(&s, n, &error), log(mean) + shift, 1e-9);
                ck_assert_double_eq_tol(error, sqrt(variance / n) / mean, 1e-9);
            }
}
END_TEST

START_TEST(refusals)
{
    const int64_t wide[1] = { 25 };
    float rows[30] = { 0 };
    double value;
    gm_context *ctx = support_context(45, 1);
    gm_likelihood l = GM_LIKELIHOOD_INIT;
    gm_rbm *machine = NULL;
    gm_sbn *net = NULL;
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_generator *g =
        nets_generator(ctx, 2, 4, SIZE, (gm_generator_options)GM_GENERATOR_OPTIONS_INIT);
    ck_assert_int_eq(gm_model_likelihood(&l, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_model_log_prob_estimate(&l, NULL, rows, 1, NULL, &value, NULL),
                     GM_E_INVALID);
    support_fails(ctx, gm_model_likelihood(&l, gm_generator_model(g)), GM_E_UNSUPPORTED,
                  "log_prob");
    support_fails(
        ctx, gm_model_log_prob_estimate(&l, gm_generator_model(g), rows, 1, NULL, &value, NULL),
        GM_E_UNSUPPORTED, "log_prob");
    support_ok(ctx, gm_rbm_create(&machine, ctx, 30, 25, NULL));
    support_fails(ctx, gm_model_likelihood(&l, gm_rbm_model(machine)), GM_E_STATE, "30 by 25");
    gm_rbm_set_log_z(machine, 1, 0);
    support_ok(ctx, gm_model_likelihood(&l, gm_rbm_model(machine)));
    support_ok(ctx, gm_model_step(gm_rbm_model(machine), rows, 1, NULL, 0, NULL));
    support_fails(ctx, gm_model_likelihood(&l, gm_rbm_model(machine)), GM_E_STATE, "30 by 25");
    o.layer_count = 1;
    o.layers = wide;
    o.recognition = 0;
    o.estimator = GM_SBN_GIBBS_EM;
    support_ok(ctx, gm_sbn_create(&net, ctx, 30, &o));
    support_fails(ctx, gm_model_likelihood(&l, gm_sbn_model(net)), GM_E_UNSUPPORTED,
                  "25 hidden units");
    ck_assert_str_eq(gm_likelihood_name(GM_LIKELIHOOD_BOUND), "bound");
    ck_assert_str_eq(gm_likelihood_name(-1), "unknown");
    ck_assert_str_eq(gm_likelihood_name(99), "unknown");
    gm_sbn_release(net);
    gm_rbm_release(machine);
    gm_generator_release(g);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("model_likelihood");
    TCase *c = tcase_create("model_likelihood");
    tcase_add_loop_test(c, every_way_tells_the_same, 0, ROWS_OF);
    tcase_add_loop_test(c, samples_of_the_callers, 0, ROWS_OF);
    tcase_add_loop_test(c, progress, 0, ROWS_OF);
    tcase_add_loop_test(c, progress_of_samples, 0, ROWS_OF);
    tcase_add_loop_test(c, progress_of_completed_rows, 0, ROWS_OF);
    tcase_add_loop_test(c, errors_are_deviations, 0, ROWS_OF);
    tcase_add_test(c, every_family_tells);
    tcase_add_test(c, means_of_log_weights);
    tcase_add_test(c, refusals);
    tcase_set_timeout(c, 120);
    suite_add_tcase(s, c);
    return s;
}
