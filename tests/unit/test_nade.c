/* test_nade.c - gm/nade.h: what all densities are asked, in one order and in all; outputs of
 * classes and mixtures; refusals. */
#include "densities.h"
#include "gm/nade.h"

#define SAME 1e-5
#include "nade_naive.h"

static gm_nade_options tiny(void)
{
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    o.hidden = 12;
    return o;
}

static gm_model *made(gm_context *ctx, const gm_nade_options *o)
{
    gm_nade *nade = NULL;
    support_ok(ctx, gm_nade_create(&nade, ctx, BITS, o));
    return gm_nade_model(nade);
}

static gm_model *plain(gm_context *ctx)
{
    gm_nade_options o = tiny();
    return made(ctx, &o);
}

static gm_model *turned(gm_context *ctx)
{
    static const int64_t order[BITS] = { 3, 9, 0, 7, 1, 8, 2, 6, 5, 4 };
    gm_nade_options o = tiny();
    o.order = order;
    o.activation = GM_ACTIVATION_TANH;
    return made(ctx, &o);
}

static gm_model *tied(gm_context *ctx)
{
    gm_nade_options o = tiny();
    o.tied = 1;
    o.activation = GM_ACTIVATION_RELU;
    return made(ctx, &o);
}

/* One of all orders, so that samples come from what is scored. */
static gm_model *agnostic(gm_context *ctx)
{
    gm_nade_options o = tiny();
    o.order_agnostic = 1;
    o.orders = 1;
    o.activation = GM_ACTIVATION_RELU;
    return made(ctx, &o);
}

static gm_model *deep(gm_context *ctx)
{
    gm_nade_options o = tiny();
    o.order_agnostic = 1;
    o.orders = 1;
    o.layers = 2;
    o.activation = GM_ACTIVATION_RELU;
    return made(ctx, &o);
}

static const density_fn all[] = { plain, turned, tied, agnostic, deep };
#define ALL (int)(sizeof all / sizeof *all)

/* All orders take longer to learn than one. */
START_TEST(learns)
{
    density_learns(all[_i], _i < 3 ? 1000 : 2000);
}
END_TEST

START_TEST(all_questions)
{
    gm_context *ctx = support_context(41, 2);
    gm_model *model = density_fitted(ctx, all[_i]);
    density_sums_to_one(ctx, model);
    density_factors(ctx, model);
    density_samples(ctx, model);
    density_completes(ctx, model);
    if (!gm_autoregressive_any_order(model) && _i < 2) density_imputes(ctx, model);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

START_TEST(lifecycle)
{
    density_lifecycle(all[_i]);
}
END_TEST

START_TEST(stays)
{
    density_stays(all[_i]);
}
END_TEST

START_TEST(equal_to_the_naive_way)
{
    nade_against_naive(SAME);
}
END_TEST

/* Any columns given, in any row: marginals of the joint along the order in which they come first,
 * and draws that keep them. */
START_TEST(any_subset)
{
    enum { N = 600 };
    gm_context *ctx = support_context(42, 2);
    gm_model *model = density_fitted(ctx, _i ? deep : agnostic);
    float rows[N * BITS];
    uint8_t known[N * BITS];
    double logs[N], again[N], whole[N], none[2];
    ck_assert_int_eq(gm_autoregressive_any_order(model), 1);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < BITS; c++) {
            known[i * BITS + c] = (i * 7 + c * 3) % 4 == 1;
            rows[i * BITS + c] = (float)((i + c) % 2);
        }
    memset(known, 0, BITS); /* nothing in the first, all in the second */
    memset(known + BITS, 1, BITS);
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, N, NULL, logs));
    support_ok(ctx, gm_model_log_prob(model, rows + BITS, 1, whole));
    ck_assert_double_eq(logs[0], 0);
    ck_assert_double_eq_tol(logs[1], whole[0], 1e-4);
    /* p(x_given, x_one) summed over the two values of one more column, which comes last:
     * p(x_given). */
    for (int i = 2; i < 20; i++) {
        int64_t order[BITS];
        uint8_t more[2 * BITS];
        float both[2 * BITS];
        support_ok(ctx, gm_autoregressive_order(model, order));
        int64_t last = -1, open = -1;
        for (int k = 0; k < BITS; k++)
            if (known[i * BITS + order[k]]) last = k;
        for (int k = (int)last + 1; k < BITS && open < 0; k++) open = order[k];
        if (open < 0) continue;
        for (int b = 0; b < 2; b++) {
            memcpy(more + b * BITS, known + i * BITS, BITS);
            memcpy(both + b * BITS, rows + i * BITS, BITS * sizeof *both);
            more[b * BITS + open] = 1;
            both[b * BITS + open] = (float)b;
        }
        support_ok(ctx, gm_autoregressive_log_marginal(model, both, more, 2, NULL, none));
        ck_assert_double_eq_tol(exp(none[0]) + exp(none[1]), exp(logs[i]), 1e-5);
    }
    support_ok(ctx, gm_autoregressive_sample_given(model, known, N, NULL, rows, again));
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq_tol(again[i], logs[i], 1e-5);
        for (int c = 0; c < BITS; c++) {
            if (known[i * BITS + c]) ck_assert(rows[i * BITS + c] == (float)((i + c) % 2));
            ck_assert(rows[i * BITS + c] == 0 || rows[i * BITS + c] == 1);
        }
    }
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* The mean of p over orders; and the loss of random masks is what random orders cost on average. */
START_TEST(orders_are_averaged)
{
    enum { K = 5, N = 300 };
    gm_context *ctx = support_context(43, 1);
    gm_model *model = density_fitted(ctx, agnostic);
    gm_nade *nade = gm_nade_from_model(model);
    gm_dataset *data = nets_bits(ctx, N, BITS);
    float *states = density_states();
    double *p[K + 1], sum = 0;
    for (int k = 1; k <= K; k++) {
        support_ok(ctx, gm_nade_set_orders(nade, k));
        ck_assert_int_eq(gm_nade_orders(nade), k);
        p[k] = density_table(ctx, model);
        if (k >
            1) /* p_1 + ... + p_k = k times the mean: what the k-th adds is a density by itself */
            for (int s = 0; s < STATES; s++)
                ck_assert(k * p[k][s] >= (k - 1) * p[k - 1][s] * (1 - 1e-5));
        sum = 0;
        for (int s = 0; s < STATES; s++) sum += p[k][s];
        ck_assert_double_eq_tol(sum, 1, 1e-5);
    }
    for (int k = 1; k <= K; k++) free(p[k]);
    /* Mean of -log p over orders, against the estimate. */
    enum { MANY = 40, TURNS = 60 };
    double mean = 0, estimate = 0, squares = 0, *score = malloc(N * MANY * sizeof *score);
    float rows[N * BITS];
    int64_t index[N];
    for (int i = 0; i < N; i++) index[i] = i;
    support_ok(ctx, gm_dataset_read(data, index, N, 0, rows));
    for (int k = 0; k < MANY; k++) {
        gm_nade *other = NULL;
        gm_context *own = support_context((uint64_t)(100 + k), 1);
        gm_nade_options o = tiny();
        o.order_agnostic = 1, o.orders = 1, o.activation = GM_ACTIVATION_RELU;
        support_ok(own, gm_nade_create(&other, own, BITS, &o));
        const int64_t count = gm_params_elements(gm_model_params(model));
        float *w = malloc((size_t)count * sizeof *w);
        support_ok(ctx, gm_params_read(gm_model_params(model), count, w));
        support_ok(own, gm_params_write(gm_model_params(gm_nade_model(other)), w, count));
        support_ok(own, gm_model_log_prob(gm_nade_model(other), rows, N, score));
        for (int i = 0; i < N; i++) mean -= score[i] / N / MANY;
        free(w);
        gm_nade_release(other);
        gm_context_release(own);
    }
    support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(model), 0)); /* only looks */
    for (int t = 0; t < TURNS; t++) {
        gm_metric m[GM_MAX_METRICS];
        int32_t n;
        support_ok(ctx, gm_model_step(model, rows, N, m, GM_MAX_METRICS, &n));
        estimate += m[0].value / TURNS;
        squares += m[0].value * m[0].value / TURNS;
    }
    const double error = sqrt((squares - estimate * estimate) / TURNS) + 0.02;
    ck_assert_msg(fabs(mean - estimate) < 4 * error, "masks give %g +- %g, orders %g", estimate,
                  error, mean);
    free(score);
    free(states);
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* A mixture of two bumps, and a second column that follows the first. */
static gm_dataset *bumps(gm_context *ctx, int64_t rows)
{
    gm_rng *rng = NULL;
    gm_dataset *data = NULL;
    const int64_t shape[2] = { rows, 2 };
    float *x = malloc((size_t)rows * 2 * sizeof *x), noise[2];
    support_ok(ctx, gm_rng_create(&rng, ctx, 17));
    for (int64_t i = 0; i < rows; i++) {
        support_ok(ctx, gm_rng_normal(rng, 2, 0, 0.3, noise));
        x[2 * i] = (gm_rng_double(rng) < 0.5 ? -1 : 1) + noise[0];
        x[2 * i + 1] = (float)0.8 * x[2 * i] * x[2 * i] + noise[1];
    }
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, x));
    gm_rng_release(rng);
    free(x);
    return data;
}

/* The best of four fits from different weights: a mixture may stay in a local minimum, and in which
 * a fit ends depends on the last bits. */
static gm_nade *best_of_four(gm_context *ctx, gm_dataset *data, const gm_nade_options *o)
{
    gm_nade *best = NULL;
    double lowest = INFINITY;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 40;
    fit.batch = 50;
    for (int i = 0; i < 4; i++) {
        gm_nade *nade = NULL;
        gm_metric metrics[GM_MAX_METRICS];
        int32_t count;
        support_ok(ctx, gm_nade_create(&nade, ctx, 2, o));
        gm_model *model = gm_nade_model(nade);
        support_ok(ctx, gm_nade_init_biases(nade, data));
        support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(model), 0.02));
        support_ok(ctx, gm_model_fit(model, data, &fit));
        support_ok(ctx, gm_model_evaluate(model, data, NULL, metrics, GM_MAX_METRICS, &count));
        const int better = metrics[0].value < lowest;
        if (better) lowest = metrics[0].value;
        gm_nade_release(better ? best : nade);
        if (better) best = nade;
    }
    return best;
}

/* RNADE finds the density: entropy is 2 * 0.5 log(2 pi e 0.09) + about log 2. Its density
 * integrates to 1. */
START_TEST(mixtures_of_reals)
{
    gm_context *ctx = support_context(44, 2);
    gm_dataset *data = bumps(ctx, 800);
    gm_nade_options o = tiny();
    o.kind = _i % 2 ? GM_CONDITIONAL_LAPLACE_MIXTURE : GM_CONDITIONAL_GAUSSIAN_MIXTURE;
    o.components = 4;
    o.order_agnostic = _i > 1;
    o.orders = 2;
    o.hidden = 24;
    gm_nade *nade = best_of_four(ctx, data, &o);
    gm_model *model = gm_nade_model(nade);
    enum { SIDE = 70, N = 2000 };
    float *grid = malloc(SIDE * SIDE * 2 * sizeof *grid), *x = malloc(N * 2 * sizeof *x), *given;
    double *p = malloc(SIDE * SIDE * sizeof *p), *score = malloc(N * sizeof *score), sum = 0,
           nll = 0, entropy = 0, square = 0;
    const double step = 0.1;
    for (int i = 0; i < SIDE * SIDE; i++) {
        grid[2 * i] = (float)(step * (i / SIDE) - 3.5);
        grid[2 * i + 1] = (float)(step * (i % SIDE) - 2.5);
    }
    support_ok(ctx, gm_model_log_prob(model, grid, SIDE * SIDE, p));
    for (int i = 0; i < SIDE * SIDE; i++) sum += exp(p[i]) * step * step;
    ck_assert_msg(fabs(sum - 1) < 0.05, "kind %d: the density integrates to %g", (int)o.kind, sum);
    gm_dataset *fresh = bumps(ctx, 800);
    int64_t index[800];
    for (int i = 0; i < 800; i++) index[i] = i;
    support_ok(ctx, gm_dataset_read(fresh, index, 800, 0, x));
    support_ok(ctx, gm_model_log_prob(model, x, 800, score));
    for (int i = 0; i < 800; i++) nll -= score[i] / 800;
    /* A Gaussian of the same covariance has 2.33. */
    ck_assert_msg(nll < (_i % 2 ? 2.0 : 1.5), "kind %d: %g nats; the truth has about 1.1",
                  (int)o.kind, nll);
    /* Samples of an order's own density have its mean log p. */
    if (!o.order_agnostic) {
        gm_tensor *drawn = NULL;
        for (int i = 0; i < SIDE * SIDE; i++) {
            entropy -= exp(p[i]) * p[i] * step * step;
            square += exp(p[i]) * p[i] * p[i] * step * step;
        }
        support_ok(ctx, gm_model_sample(&drawn, model, N));
        support_ok(ctx, gm_model_log_prob(model, gm_tensor_read(drawn), N, score));
        double mean = 0;
        for (int i = 0; i < N; i++) mean += score[i] / N;
        ck_assert_msg(fabs(mean + entropy) < 3 * sqrt((square - entropy * entropy) / N) + 0.05,
                      "samples %g, entropy %g", mean, entropy);
        gm_tensor_release(drawn);
    }
    given = malloc(2 * 12 * sizeof *given);
    ck_assert_int_eq(gm_autoregressive_width(model), 12);
    support_ok(ctx, gm_autoregressive_conditionals(model, x, 1, given));
    for (int c = 0; c < 2; c++) {
        double whole = 0;
        for (int k = 0; k < 4; k++) {
            whole += (double)given[c * 12 + k];
            ck_assert((double)given[c * 12 + 8 + k] >= exp(-6.001) &&
                      (double)given[c * 12 + 8 + k] <= exp(6.001));
        }
        ck_assert_double_eq_tol(whole, 1, 1e-5);
    }
    free(given);
    free(grid);
    free(x);
    free(p);
    free(score);
    gm_dataset_release(fresh);
    gm_nade_release(nade);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* The gradient of a mean is that of the likelihood times the deviation; everything else is the
 * likelihood's. */
START_TEST(means_gradients_are_scaled)
{
    gm_context *ctx = support_context(45, 1);
    gm_nade *nade = NULL;
    gm_nade_options o = tiny();
    o.kind = GM_CONDITIONAL_GAUSSIAN_MIXTURE;
    o.components = 1;
    support_ok(ctx, gm_nade_create(&nade, ctx, 1, &o));
    gm_model *model = gm_nade_model(nade);
    float *b = gm_param_value(gm_params_find(gm_model_params(model), "b"));
    memset(gm_param_value(gm_params_find(gm_model_params(model), "v")), 0, 3 * 12 * sizeof *b);
    const double mean = 0.25, log_deviation = -1, x = 1, deviation = exp(log_deviation),
                 r = (x - mean) / deviation;
    b[0] = 5, b[1] = (float)mean, b[2] = (float)log_deviation;
    const float row = (float)x;
    gm_metric m[GM_MAX_METRICS];
    int32_t n;
    support_ok(ctx, gm_model_step(model, &row, 1, m, GM_MAX_METRICS, &n));
    ck_assert_double_eq_tol(m[0].value, 0.5 * r * r + log_deviation + 0.918938533, 1e-5);
    const float *g = gm_param_gradient(gm_params_find(gm_model_params(model), "b"));
    ck_assert_double_eq_tol((double)g[0], 0, 1e-6);
    ck_assert_double_eq_tol((double)g[1], -r / deviation * deviation, 1e-5);
    ck_assert_double_eq_tol((double)g[2], 1 - r * r, 1e-5);
    gm_nade_release(nade);
    gm_context_release(ctx);
}
END_TEST

/* Two pairs of alike classes. */
static int alike(const float *x)
{
    return (int)x[0] == (int)x[1] && (int)x[2] == (int)x[3];
}

/* Three classes in four columns: all 81 states, in one order and in all. */
START_TEST(classes)
{
    enum { D = 4, K = 3, S = 81, N = 3000 };
    gm_context *ctx = support_context(46, 2);
    gm_nade *nade = NULL;
    gm_nade_options o = tiny();
    o.kind = GM_CONDITIONAL_CATEGORICAL;
    o.classes = K;
    o.order_agnostic = _i;
    o.orders = 1;
    support_ok(ctx, gm_nade_create(&nade, ctx, D, &o));
    gm_model *model = gm_nade_model(nade);
    float states[S * D], data[S * D];
    double p[S], sum = 0;
    int count = 0;
    for (int s = 0, t = 1; s < S; s++, t = 1)
        for (int c = 0; c < D; c++, t *= K) states[s * D + c] = (float)(s / t % K);
    for (int s = 0; s < S; s++)
        if (alike(states + s * D)) memcpy(data + count++ * D, states + s * D, D * sizeof *data);
    ck_assert_int_eq(count, 9);
    const int64_t shape[2] = { 9, D };
    gm_dataset *rows = NULL;
    support_ok(ctx, gm_dataset_from_memory(&rows, ctx, 2, shape, data));
    support_ok(ctx, gm_nade_init_biases(nade, rows));
    support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(model), 0.03));
    for (int k = 0; k < 100; k++) support_ok(ctx, gm_model_step(model, data, 9, NULL, 0, NULL));
    support_ok(ctx, gm_model_log_prob(model, states, S, p));
    double inside = 0;
    for (int s = 0; s < S; s++) {
        sum += exp(p[s]);
        if (alike(states + s * D)) inside += exp(p[s]);
    }
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    ck_assert_msg(inside > 0.3, "%g of the mass is where the data are", inside);
    gm_tensor *drawn = NULL;
    support_ok(ctx, gm_model_sample(&drawn, model, N));
    double found = 0;
    for (int i = 0; i < N; i++) found += alike(gm_tensor_read(drawn) + i * D);
    ck_assert_double_eq_tol(found / N, inside, support_bound(4) * 0.5 / sqrt(N));
    gm_tensor_release(drawn);
    float bad[D] = { 0, 3, 0, 0 };
    support_fails(ctx, gm_model_step(model, bad, 1, NULL, 0, NULL), GM_E_INVALID,
                  "row 0, column 1 is 3, expected a class from 0 to 2");
    gm_dataset_release(rows);
    gm_nade_release(nade);
    gm_context_release(ctx);
}
END_TEST

/* One column: its bias is all there is, and gm_nade_init_biases sets it. */
START_TEST(one_column)
{
    gm_context *ctx = support_context(47, 1);
    const float rows[4] = { 1, 0, 1, 1 };
    const int64_t shape[2] = { 4, 1 };
    gm_dataset *data = NULL;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    for (int agnostic_too = 0; agnostic_too < 2; agnostic_too++) {
        gm_nade *nade = NULL;
        gm_nade_options o = tiny();
        double p[2];
        o.order_agnostic = agnostic_too;
        support_ok(ctx, gm_nade_create(&nade, ctx, 1, &o));
        gm_model *model = gm_nade_model(nade);
        float *v = gm_param_value(gm_params_find(gm_model_params(model), "v"));
        memset(v, 0, 12 * sizeof *v);
        support_ok(ctx, gm_nade_init_biases(nade, data));
        support_ok(ctx, gm_model_log_prob(model, rows, 2, p));
        ck_assert_double_eq_tol(exp(p[0]), 3.5 / 5, 1e-6);
        ck_assert_double_eq_tol(exp(p[0]) + exp(p[1]), 1, 1e-6);
        for (int k = 0; k < 3; k++) support_ok(ctx, gm_model_step(model, rows, 4, NULL, 0, NULL));
        gm_tensor *drawn = NULL;
        support_ok(ctx, gm_model_sample(&drawn, model, 5));
        gm_tensor_release(drawn);
        gm_nade_release(nade);
    }
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refusals)
{
    gm_context *ctx = support_context(48, 1);
    gm_nade *nade = (gm_nade *)ctx;
    const int64_t twice[BITS] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 8 }, beyond[BITS] = { 0, 10 };
    const size_t size = sizeof(gm_nade_options);
    const struct {
        int64_t columns;
        gm_nade_options o; /* in the order of the header */
        const char *line;
    } bad[] = {
        { 0,
          { size, 0, 5, 4, 0, 2, 6, NULL, 0, 0, 2, 1, 0, NULL },
          "columns is 0, expected at least 1" },
        { BITS,
          { size, 0, 5, 0, 0, 2, 6, NULL, 0, 0, 2, 1, 0, NULL },
          "hidden is 0, expected at least 1" },
        { BITS, { size, 0, 5, INT64_MAX, 0, 2, 6, NULL, 0, 0, 2, 1, 0, NULL }, "too many weights" },
        { BITS, { size, 2, 5, 4, 0, 2, 6, NULL, 0, 0, 2, 1, 0, NULL }, "kind is 2" },
        { BITS, { size, 9, 5, 4, 0, 2, 6, NULL, 0, 0, 2, 1, 0, NULL }, "kind is 9" },
        { BITS,
          { size, 1, 5, 4, 0, 2, 6, NULL, 0, 0, 2, 1, 0, NULL },
          "classes is 0, expected 2 to" },
        { BITS,
          { size, 3, 5, 4, 0, 0, 6, NULL, 0, 0, 2, 1, 0, NULL },
          "components is 0, expected 1 to" },
        { BITS,
          { size, 4, 5, 4, 0, 2, (double)NAN, NULL, 0, 0, 2, 1, 0, NULL },
          "log_scale_bound is" },
        { BITS,
          { size, 0, 3, 4, 0, 2, 6, NULL, 0, 0, 2, 1, 0, NULL },
          "activation is 3, expected sigmoid, tanh or relu" },
        { BITS, { size, 0, 5, 4, 0, 2, 6, NULL, 1, 1, 2, 1, 0, NULL }, "tied is 1" },
        { BITS,
          { size, 0, 5, 4, 0, 2, 6, NULL, 0, 0, 2, 2, 0, NULL },
          "layers is 2, expected 1 (2 if order-agnostic)" },
        { BITS,
          { size, 0, 5, 4, 0, 2, 6, NULL, 0, 1, 2, 3, 0, NULL },
          "layers is 3, expected 1 or 2" },
        { BITS,
          { size, 0, 5, 4, 0, 2, 6, NULL, 0, 1, 0, 1, 0, NULL },
          "orders is 0, expected 1 to 4096" },
        { BITS,
          { size, 0, 5, 4, 0, 2, 6, twice, 0, 0, 2, 1, 0, NULL },
          "8 at place 9 is there already" },
        { BITS,
          { size, 0, 5, 4, 0, 2, 6, beyond, 0, 0, 2, 1, 0, NULL },
          "10 at place 1 is out of range" },
        { BITS, { size, 0, 5, 4, 0, 2, 6, twice, 0, 1, 2, 1, 0, NULL }, "order is given" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        support_fails(ctx, gm_nade_create(&nade, ctx, bad[i].columns, &bad[i].o), GM_E_INVALID,
                      bad[i].line);
        ck_assert_ptr_null(nade);
    }
    support_fails(ctx, gm_nade_create(NULL, ctx, BITS, NULL), GM_E_INVALID, "NULL");
    gm_model *model = plain(ctx);
    nade = gm_nade_from_model(model);
    float rows[3 * BITS] = { 0 };
    double out[3];
    rows[2 * BITS + 4] = (float)0.5;
    support_fails(ctx, gm_model_step(model, rows, 3, NULL, 0, NULL), GM_E_INVALID,
                  "row 2, column 4 is 0.5, expected 0 or 1");
    rows[2 * BITS + 4] = NAN; /* a missing value */
    support_fails(ctx, gm_model_step(model, rows, 3, NULL, 0, NULL), GM_E_INVALID,
                  "row 2, column 4 is nan");
    support_fails(ctx, gm_model_log_prob(model, rows, 3, out), GM_E_INVALID, "row 2, column 4");
    rows[2 * BITS + 4] = 2; /* a dataset refuses what is missing by itself */
    const int64_t shape[2] = { 3, BITS }, other[2] = { 5, 6 };
    gm_dataset *data = NULL, *narrow = NULL;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    support_ok(ctx, gm_dataset_from_memory(&narrow, ctx, 2, other, rows));
    support_fails(ctx, gm_nade_init_biases(nade, data), GM_E_INVALID,
                  "row 2, column 4 is 2, expected 0 or 1");
    support_fails(ctx, gm_nade_init_biases(nade, narrow), GM_E_SHAPE,
                  "[6], those of the model [10]");
    support_fails(ctx, gm_nade_init_biases(nade, NULL), GM_E_INVALID, "NULL");
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.batch = 3;
    support_fails(ctx, gm_model_fit(model, data, &fit), GM_E_INVALID, "column 4 is 2");
    support_fails(ctx, gm_nade_set_orders(nade, 2), GM_E_UNSUPPORTED, "one order");
    ck_assert_int_eq(gm_nade_orders(nade), 1);
    ck_assert_int_eq(gm_nade_hidden(nade), 12);
    ck_assert_int_eq(gm_nade_order_agnostic(nade), 0);
    ck_assert_ptr_null(gm_nade_model(NULL));
    ck_assert_int_eq(gm_nade_orders(NULL) + gm_nade_hidden(NULL) + gm_nade_order_agnostic(NULL), 0);
    ck_assert_int_eq(gm_nade_init_biases(NULL, data), GM_E_INVALID);
    ck_assert_int_eq(gm_nade_set_orders(NULL, 1), GM_E_INVALID);
    gm_nade_options o = tiny();
    gm_nade *second = NULL;
    o.optimizer = gm_model_optimizer(model);
    support_fails(ctx, gm_nade_create(&second, ctx, BITS, &o), GM_E_STATE, "bound");
    gm_model_release(model);
    model = agnostic(ctx);
    support_fails(ctx, gm_nade_set_orders(gm_nade_from_model(model), 5000), GM_E_INVALID,
                  "orders is 5000");
    gm_model_release(model);
    gm_dataset_release(narrow);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

static float second_class(void *user, int64_t row, int64_t place, const float *conditional)
{
    (void)user, (void)row, (void)conditional;
    return place == 1 ? 7 : 1;
}

/* The operations by themselves: what they refuse. */
START_TEST(operations_refuse)
{
    gm_context *ctx = support_context(49, 2);
    gm_tape *tape = NULL;
    float x[12] = { 0, 1, 2 }, w[60] = { 0 };
    const int64_t bits[2] = { 2, 3 }, flat[2] = { 3, 4 }, class[3] = { 3, 2, 4 }, four = 4,
                  three = 3, none[2] = { 3, 0 };
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    for (int k = 0; k < 9; k++) {
        static const char *const lines[] = {
            "activation is 3",
            "x is [3, 4]",
            "c is [3]",
            "v is [3, 0]",
            "b is [4]",
            "row 0, column 2 is 2, expected a whole number from 0 to 1",
            "nade_walk: rows",
            "nade_walk: choose is NULL",
            "row 0, column 1 is 7"
        };
        gm_tape_reset(tape);
        gm_var v = gm_input_array(tape, 2, k == 3 ? none : flat, w),
               c = gm_input_array(tape, 1, k == 2 ? &three : &four, w);
        gm_var b = gm_input_array(tape, 1, k == 4 ? &four : &three, w);
        gm_var in =
            k == 5 || k == 8 ? gm_input_array(tape, 3, class, w) : gm_input_array(tape, 2, flat, w);
        if (k < 6)
            (void)gm_nade_conditionals(tape, gm_input_array(tape, 2, k == 1 ? flat : bits, x),
                                       &(gm_nade_weights){ in, c, v, b },
                                       k ? GM_ACTIVATION_TANH : GM_ACTIVATION_ELU);
        else
            (void)gm_nade_walk(tape, k == 6 ? 0 : 2, &(gm_nade_weights){ in, c, v, b },
                               GM_ACTIVATION_TANH, k == 7 ? NULL : second_class, NULL);
        support_fails(ctx, gm_tape_status(tape), k >= 1 && k < 5 ? GM_E_SHAPE : GM_E_INVALID,
                      lines[k]);
    }
    gm_tape_release(tape);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("nade");
    TCase *t = tcase_create("nade");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, all_questions, 0, ALL);
    tcase_add_loop_test(t, learns, 0, ALL);
    tcase_add_loop_test(t, lifecycle, 0, ALL);
    tcase_add_loop_test(t, stays, 0, ALL);
    tcase_add_test(t, equal_to_the_naive_way);
    tcase_add_loop_test(t, any_subset, 0, 2);
    tcase_add_test(t, orders_are_averaged);
    tcase_add_loop_test(t, mixtures_of_reals, 0, 4);
    tcase_add_test(t, means_gradients_are_scaled);
    tcase_add_loop_test(t, classes, 0, 2);
    tcase_add_test(t, one_column);
    tcase_add_test(t, refusals);
    tcase_add_test(t, operations_refuse);
    suite_add_tcase(s, t);
    return s;
}
