/* test_rbm.c - gm/rbm.h: energies, partition functions and chains against all states of small
 * machines; learning, files, refusals. */
#include "lifecycle.h"

#define V 4
#define H 3

static gm_rbm *make(gm_context *ctx, int64_t visible, int64_t hidden, double spread,
                    const gm_rbm_options *o)
{
    gm_rbm *rbm = NULL;
    uint32_t seed = 777;
    support_ok(ctx, gm_rbm_create(&rbm, ctx, visible, hidden, o));
    gm_param *const all[3] = { gm_rbm_weight(rbm), gm_rbm_hidden_bias(rbm),
                               gm_rbm_visible_bias(rbm) };
    for (int p = 0; p < 3; p++)
        for (int64_t i = 0; i < gm_param_count(all[p]); i++) {
            seed = seed * 1664525u + 1013904223u;
            gm_param_value(all[p])[i] = (float)(spread * (2 * (double)(seed >> 8) / 16777216 - 1));
        }
    return rbm;
}

/* -E(v, h) of states by number: unit i is bit i. */
static double minus_energy(const gm_rbm *rbm, int64_t v, int64_t h)
{
    const int64_t nv = gm_rbm_visible(rbm), nh = gm_rbm_hidden(rbm);
    double sum = 0;
    for (int64_t i = 0; i < nv; i++)
        sum += (double)(v >> i & 1) * (double)gm_param_value(gm_rbm_visible_bias(rbm))[i];
    for (int64_t j = 0; j < nh; j++) {
        double a = (double)gm_param_value(gm_rbm_hidden_bias(rbm))[j];
        for (int64_t i = 0; i < nv; i++)
            a += (double)(v >> i & 1) * (double)gm_param_value(gm_rbm_weight(rbm))[j * nv + i];
        sum += (double)(h >> j & 1) * a;
    }
    return sum;
}

static double free_energy(const gm_rbm *rbm, int64_t v)
{
    double sum = 0;
    for (int64_t h = 0; h < (int64_t)1 << gm_rbm_hidden(rbm); h++)
        sum += exp(minus_energy(rbm, v, h));
    return -log(sum);
}

static double brute_log_z(const gm_rbm *rbm)
{
    double sum = 0;
    for (int64_t v = 0; v < (int64_t)1 << gm_rbm_visible(rbm); v++)
        sum += exp(-free_energy(rbm, v));
    return log(sum);
}

static void all_rows(float *rows, int64_t visible)
{
    for (int64_t v = 0; v < (int64_t)1 << visible; v++)
        for (int64_t i = 0; i < visible; i++) rows[v * visible + i] = (float)(v >> i & 1);
}

START_TEST(energies_and_partition)
{
    static const int64_t sizes[3][2] = { { 4, 3 }, { 3, 5 }, { 5, 1 } };
    for (int k = 0; k < 3; k++) {
        gm_context *ctx = support_context(1, 2);
        const int64_t nv = sizes[k][0], nh = sizes[k][1], n = (int64_t)1 << nv;
        gm_rbm *rbm = make(ctx, nv, nh, 1.5, NULL);
        float rows[32 * 5], chance[32 * 5];
        double f[32], lp[32], log_z, sum = 0;
        all_rows(rows, nv);
        support_ok(ctx, gm_rbm_free_energy(rbm, rows, n, f));
        support_ok(ctx, gm_rbm_hidden_probabilities(rbm, rows, n, chance));
        support_ok(ctx, gm_rbm_log_z(&log_z, rbm));
        support_ok(ctx, gm_model_log_prob(gm_rbm_model(rbm), rows, n, lp));
        ck_assert_double_eq_tol(log_z, brute_log_z(rbm), 1e-5);
        for (int64_t v = 0; v < n; v++) {
            ck_assert_double_eq_tol(f[v], free_energy(rbm, v), 1e-5);
            ck_assert_double_eq_tol(lp[v], -f[v] - log_z, 1e-9);
            sum += exp(lp[v]);
            for (int64_t j = 0; j < nh; j++) {
                const double a = minus_energy(rbm, v, (int64_t)1 << j) - minus_energy(rbm, v, 0);
                ck_assert_double_eq_tol((double)chance[v * nh + j], 1 / (1 + exp(-a)), 1e-5);
            }
        }
        ck_assert_double_eq_tol(sum, 1, 1e-5);
        gm_rbm_release(rbm);
        gm_context_release(ctx);
    }
}
END_TEST

/* Chains from one state come to the distribution; so do samples from fair coins. */
START_TEST(chains_against_all_states)
{
    enum { N = 20000 };
    static float rows[N * V], means[N * V];
    gm_context *ctx = support_context(2, 2);
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    o.sample_steps = 30;
    gm_rbm *rbm = make(ctx, V, H, 1, &o);
    const double log_z = brute_log_z(rbm);
    int64_t seen[1 << V] = { 0 };
    double chi = 0, marginal[V] = { 0 }, got[V] = { 0 }, by_sample[V] = { 0 };
    support_ok(ctx, gm_rbm_gibbs(rbm, N, 30, NULL, rows, means));
    gm_tensor *t = NULL;
    support_ok(ctx, gm_model_sample(&t, gm_rbm_model(rbm), N));
    for (int r = 0; r < N; r++) {
        int v = 0;
        for (int i = 0; i < V; i++) {
            v |= (int)rows[r * V + i] << i;
            got[i] += (double)means[r * V + i] / N;
            by_sample[i] += (double)gm_tensor_read(t)[r * V + i] / N;
        }
        seen[v]++;
    }
    for (int v = 0; v < 1 << V; v++) {
        const double p = exp(-free_energy(rbm, v) - log_z);
        chi += ((double)seen[v] - N * p) * ((double)seen[v] - N * p) / (N * p);
        for (int i = 0; i < V; i++) marginal[i] += p * (v >> i & 1);
    }
    ck_assert_msg(chi < support_chi_bound(15, 1), "chi-square %g with 15 degrees of freedom", chi);
    for (int i = 0; i < V; i++) {
        ck_assert_double_eq_tol(got[i], marginal[i], support_bound(2 * V) * 0.5 / sqrt(N));
        ck_assert_double_eq_tol(by_sample[i], marginal[i], support_bound(2 * V) * 0.5 / sqrt(N));
    }
    gm_tensor_release(t);
    gm_rbm_release(rbm);
    gm_context_release(ctx);
}
END_TEST

static gm_optimizer *sgd_of(gm_context *ctx, double rate)
{
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    gm_optimizer *sgd = NULL;
    o.rate = rate;
    support_ok(ctx, gm_sgd_create(&sgd, ctx, &o));
    return sgd;
}

/* With chains long enough to forget the data the gradient is that of -log p, exactly known: CD with
 * many steps, and PCD. */
START_TEST(long_chains_give_the_gradient)
{
    enum { N = 400, T = 50 };
    gm_context *ctx = support_context(3 + (uint64_t)_i, 2);
    gm_optimizer *still = sgd_of(ctx, 1e-30);
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    o.steps = 20, o.persistent = _i, o.chains = N, o.optimizer = still;
    gm_rbm *rbm = make(ctx, V, H, 1, &o);
    gm_params *params = gm_model_params(gm_rbm_model(rbm));
    static float rows[N * V];
    const int64_t count = gm_params_elements(params);
    double mean[V * H + V + H] = { 0 }, square[V * H + V + H] = { 0 };
    for (int i = 0; i < N * V; i++) rows[i] = (float)((i / V % 3 == 0) ^ (i % V == 1));
    for (int t = 0; t < T; t++) {
        int64_t at = 0;
        support_ok(ctx, gm_model_step(gm_rbm_model(rbm), rows, N, NULL, 0, NULL));
        for (int64_t p = 0; p < gm_params_count(params); p++)
            for (int64_t i = 0; i < gm_param_count(gm_params_get(params, p)); i++, at++) {
                const double g = (double)gm_param_gradient(gm_params_get(params, p))[i];
                mean[at] += g / T;
                square[at] += g * g / T;
            }
    }
    ck_assert_int_eq(count, V * H + V + H);
    int64_t at = 0;
    int shows = 0;
    for (int64_t p = 0; p < gm_params_count(params); p++) {
        gm_param *w = gm_params_get(params, p);
        for (int64_t i = 0; i < gm_param_count(w); i++, at++) {
            const float kept = gm_param_value(w)[i];
            const double step = 1.0 / 128;
            double want = 0;
            for (int side = -1; side <= 1; side += 2) {
                double f = brute_log_z(rbm);
                gm_param_value(w)[i] = kept + (float)(side * step);
                f = brute_log_z(rbm);
                for (int r = 0; r < 3; r++) { /* the three rows that there are, by how often */
                    int v = 0, times = 0;
                    for (int c = 0; c < V; c++) v |= (int)rows[r * V + c] << c;
                    for (int k = r; k < N; k += 3) times++;
                    f += free_energy(rbm, v) * times / N;
                }
                want += side * f / (2 * step);
            }
            gm_param_value(w)[i] = kept;
            const double error = sqrt(fmax(0, square[at] - mean[at] * mean[at]) / (T - 1));
            ck_assert_msg(fabs(mean[at] - want) < 1.2 * support_bound(2 * count) * error + 1e-4,
                          "%s[%lld]: %g, exact %g, error %g", gm_params_name(params, p),
                          (long long)i, mean[at], want, error);
            shows += fabs(want) > 4 * error + 1e-4;
        }
    }
    ck_assert_int_gt(shows, count / 2);
    gm_rbm_release(rbm);
    gm_optimizer_release(still);
    gm_context_release(ctx);
}
END_TEST

/* Two steps of CD learn what rows there are: nearly all of the exact probability comes to be
 * theirs. Persistent chains at this rate make it swing between the two, so that no more is asked of
 * either. */
START_TEST(contrastive_divergence_learns)
{
    enum { N = 40 };
    float rows[N * V];
    for (int i = 0; i < N * V; i++) rows[i] = (float)(i / V % 2 == i % V / 2);
    gm_context *ctx = support_context(6, 1);
    gm_optimizer *sgd = sgd_of(ctx, 0.1);
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    o.steps = 2, o.persistent = _i, o.chains = 100, o.optimizer = sgd;
    gm_rbm *rbm = NULL;
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    double lp[2];
    support_ok(ctx, gm_rbm_create(&rbm, ctx, V, H, &o));
    support_ok(ctx, gm_model_log_prob(gm_rbm_model(rbm), rows, 2, lp));
    ck_assert_double_eq_tol(lp[0], -V * log(2), 0.1);
    for (int t = 0; t < 2000; t++)
        support_ok(ctx, gm_model_step(gm_rbm_model(rbm), rows, N, m, GM_MAX_METRICS, &count));
    support_ok(ctx, gm_model_log_prob(gm_rbm_model(rbm), rows, 2, lp));
    ck_assert_msg(exp(lp[0]) + exp(lp[1]) > 0.85, "log p %g and %g; log 1/2 is %g", lp[0], lp[1],
                  log(0.5));
    ck_assert_str_eq(m[0].name, "loss");
    ck_assert(nets_metric(m, count, "reconstruction") < 0.05);
    ck_assert(isfinite(nets_metric(m, count, "free_energy")));
    gm_rbm_release(rbm);
    gm_optimizer_release(sgd);
    gm_context_release(ctx);
}
END_TEST

/* Annealing against the sum over all states, 20 by 16 units, with and without the data's means. */
START_TEST(annealing_against_the_sum)
{
    enum { BETAS = 2001, VISIBLE = 20, HIDDEN = 16 };
    static double betas[BETAS];
    for (int i = 0; i < BETAS; i++) betas[i] = (double)i / (BETAS - 1);
    gm_context *ctx = support_context(7, 2);
    gm_rbm *rbm = make(ctx, VISIBLE, HIDDEN, 0.8, NULL);
    gm_rbm_ais_options o = GM_RBM_AIS_OPTIONS_INIT;
    gm_rbm_ais_result r = GM_RBM_AIS_RESULT_INIT, again = GM_RBM_AIS_RESULT_INIT;
    float means[VISIBLE];
    double exact;
    for (int i = 0; i < VISIBLE; i++) means[i] = (float)(i % 5) / 4;
    o.betas = betas, o.beta_count = BETAS;
    support_ok(ctx, gm_rbm_log_z(&exact, rbm));
    for (int k = 0; k < 2; k++) {
        o.means = k ? means : NULL;
        support_ok(ctx, gm_rbm_ais(&r, rbm, &o));
        ck_assert_msg(fabs(r.log_z - exact) < 0.1, "%g, exact %g, error %g", r.log_z, exact,
                      r.standard_error);
        ck_assert_msg(fabs(r.log_z - exact) < support_bound(4) * r.standard_error,
                      "%g, exact %g, error %g", r.log_z, exact, r.standard_error);
        ck_assert(r.low < r.log_z && r.log_z < r.high && r.runs == 100 && r.steps == BETAS - 1);
    }
    support_ok(ctx, gm_rbm_ais(&again, rbm, &o));
    ck_assert_double_eq(again.log_z, r.log_z); /* a seed of its own */
    o.seed = 2;
    support_ok(ctx, gm_rbm_ais(&again, rbm, &o));
    ck_assert_double_ne(again.log_z, r.log_z);
    gm_rbm_release(rbm);
    gm_context_release(ctx);
}
END_TEST

static const float life_rows[3 * V] = { 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0 };

static gm_model *born(gm_context *ctx, const void *what)
{
    return gm_rbm_model(make(ctx, V, H, 0.5, what));
}

static void go(gm_context *ctx, gm_model *model, int steps)
{
    for (int t = 0; t < steps; t++)
        support_ok(ctx, gm_model_step(model, life_rows, 3, NULL, 0, NULL));
}

/* Five steps with 1, 2 and 3 threads; three, a checkpoint, and two more: the same bytes, chains and
 * all. */
START_TEST(files_and_threads)
{
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    struct lifecycle l = { .make = born, .what = &o, .go = go, .whole = 5, .cut = 3, .settled = 2 };
    double a[3], b[3];
    gm_tensor *x = NULL, *y = NULL;
    o.persistent = _i, o.chains = 7, o.steps = 2, o.sample_steps = 5;
    lifecycle_begin(&l);
    gm_rbm_set_log_z(gm_rbm_from_model(l.model[3]), 4.5, 0.5);
    lifecycle_cut(&l);
    support_ok(l.ctx[3], gm_model_log_prob(l.model[3], life_rows, 3, a));
    support_ok(l.ctx[1], gm_model_log_prob(l.rest, life_rows, 3, b));
    ck_assert_mem_eq(a, b, sizeof a);
    lifecycle_resume(&l);
    gm_model_seed(l.model[0], 5);
    gm_model_seed(l.rest, 5);
    support_ok(l.ctx[0], gm_model_sample(&x, l.model[0], 9));
    support_ok(l.ctx[1], gm_model_sample(&y, l.rest, 9));
    ck_assert_mem_eq(gm_tensor_read(x), gm_tensor_read(y), 9 * V * sizeof(float));
    gm_tensor_release(x);
    gm_tensor_release(y);
    lifecycle_end(&l);
}
END_TEST

START_TEST(log_z_of_large_machines)
{
    gm_context *ctx = support_context(8, 1);
    gm_rbm *rbm = make(ctx, 21, 22, 0.1, NULL);
    static const int64_t shape[2] = { 1, 21 };
    gm_dataset *data;
    float rows[21] = { 0 };
    double z = 5, lp, f;
    support_fails(ctx, gm_rbm_log_z(&z, rbm), GM_E_UNSUPPORTED, "2^21 states is");
    ck_assert_double_eq(z, 5);
    support_fails(ctx, gm_model_log_prob(gm_rbm_model(rbm), rows, 1, &lp), GM_E_STATE,
                  "gm_rbm_set_log_z");
    gm_rbm_set_log_z(rbm, 30, 0.5);
    support_ok(ctx, gm_model_log_prob(gm_rbm_model(rbm), rows, 1, &lp));
    support_ok(ctx, gm_rbm_free_energy(rbm, rows, 1, &f));
    ck_assert_double_eq_tol(lp, -f - 30, 1e-9);
    support_ok(ctx, gm_model_step(gm_rbm_model(rbm), rows, 1, NULL, 0,
                                  NULL)); /* an update ends its truth */
    support_fails(ctx, gm_model_log_prob(gm_rbm_model(rbm), rows, 1, &lp), GM_E_STATE, "not known");
    gm_rbm_set_log_z(rbm, 30, 0.5);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    support_ok(ctx, gm_rbm_init_biases(rbm, data)); /* so do other biases */
    support_fails(ctx, gm_model_log_prob(gm_rbm_model(rbm), rows, 1, &lp), GM_E_STATE, "not known");
    gm_dataset_release(data);
    gm_rbm_release(rbm);
    gm_context_release(ctx);
}
END_TEST

static int32_t stop_third(void *user, int64_t done, int64_t of)
{
    ck_assert_int_eq(of, 14500);
    *(int64_t *)user = done;
    return done == 3;
}

START_TEST(refusals)
{
    gm_context *ctx = support_context(9, 1);
    gm_rbm *rbm = (gm_rbm *)ctx, *second = NULL;
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    support_fails(ctx, gm_rbm_create(&rbm, ctx, 0, 3, NULL), GM_E_INVALID, "visible is 0");
    ck_assert_ptr_null(rbm);
    support_fails(ctx, gm_rbm_create(&rbm, ctx, 3, 0, NULL), GM_E_INVALID, "hidden is 0");
    support_fails(ctx, gm_rbm_create(NULL, ctx, 3, 3, NULL), GM_E_INVALID, "NULL");
    const gm_rbm_options defaults = o;
#define REFUSED(field, bad, text)                                                                  \
    do {                                                                                           \
        o = defaults;                                                                              \
        o.field = (bad);                                                                           \
        support_fails(ctx, gm_rbm_create(&rbm, ctx, V, H, &o), GM_E_INVALID, text);                \
    } while (0)
    REFUSED(steps, 0, "steps is 0");
    REFUSED(persistent, 2, "persistent is 2");
    REFUSED(chains, 0, "chains is 0");
    REFUSED(sample_steps, -1, "sample_steps is -1");
    rbm = make(ctx, V, H, 0.5, NULL);
    o = defaults;
    o.optimizer = gm_model_optimizer(gm_rbm_model(rbm));
    support_fails(ctx, gm_rbm_create(&second, ctx, V, H, &o), GM_E_STATE, "bound");
    float rows[2 * V] = { 0 }, chance[2 * H];
    double out[2];
    rows[6] = 1.5f;
    support_fails(ctx, gm_model_step(gm_rbm_model(rbm), rows, 2, NULL, 0, NULL), GM_E_INVALID,
                  "row 1, column 2 is 1.5");
    support_fails(ctx, gm_rbm_free_energy(rbm, rows, 2, out), GM_E_INVALID,
                  "row 1, column 2 is 1.5");
    support_fails(ctx, gm_rbm_hidden_probabilities(rbm, rows, 2, chance), GM_E_INVALID,
                  "row 1, column 2 is 1.5");
    support_fails(ctx, gm_rbm_gibbs(rbm, 2, 1, NULL, rows, NULL), GM_E_INVALID,
                  "row 1, column 2 is 1.5");
    rows[6] = NAN;
    support_fails(ctx, gm_rbm_free_energy(rbm, rows, 2, out), GM_E_INVALID,
                  "row 1, column 2 is nan");
    rows[6] = 0;
    support_fails(ctx, gm_rbm_gibbs(rbm, 2, 0, NULL, rows, NULL), GM_E_INVALID, "steps is 0");
    support_fails(ctx, gm_rbm_free_energy(rbm, rows, 0, out), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_rbm_free_energy(rbm, rows, 1, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_rbm_log_z(NULL, rbm), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_rbm_init_biases(rbm, NULL), GM_E_INVALID, "NULL");
    gm_dataset *data = NULL;
    const int64_t shape[2] = { 2, 3 }, right[2] = { 2, V };
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    support_fails(ctx, gm_rbm_init_biases(rbm, data), GM_E_SHAPE, "[3], those of the model [4]");
    gm_dataset_release(data);
    rows[1] = 4;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, right, rows));
    support_fails(ctx, gm_rbm_init_biases(rbm, data), GM_E_INVALID, "column 1 has mean 2");
    gm_dataset_release(data);
    rows[1] = 1;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, right, rows));
    support_ok(ctx, gm_rbm_init_biases(rbm, data));
    ck_assert_float_eq_tol(gm_param_value(gm_rbm_visible_bias(rbm))[1], 0, 1e-6f);
    ck_assert_float_eq_tol(gm_param_value(gm_rbm_visible_bias(rbm))[0], logf(0.001f / 0.999f),
                           1e-4f);
    gm_dataset_release(data);

    gm_rbm_ais_options a = GM_RBM_AIS_OPTIONS_INIT;
    gm_rbm_ais_result r = GM_RBM_AIS_RESULT_INIT;
    const double falls[3] = { 0, 0.7, 0.5 }, late[2] = { 0.1, 1 }, early[2] = { 0, 0.9 };
    float means[V] = { 0, 2, 0, 0 };
    int64_t done = 0;
    a.runs = 1;
    support_fails(ctx, gm_rbm_ais(&r, rbm, &a), GM_E_INVALID, "runs is 1");
    a.runs = 2, a.beta_count = 3;
    support_fails(ctx, gm_rbm_ais(&r, rbm, &a), GM_E_INVALID, "beta_count is 3");
    a.betas = falls;
    support_fails(ctx, gm_rbm_ais(&r, rbm, &a), GM_E_INVALID, "beta at 2 is 0.5");
    a.betas = late, a.beta_count = 2;
    support_fails(ctx, gm_rbm_ais(&r, rbm, &a), GM_E_INVALID, "beta at 0 is 0.1");
    a.betas = early;
    support_fails(ctx, gm_rbm_ais(&r, rbm, &a), GM_E_INVALID, "beta at 1 is 0.9");
    a.betas = NULL, a.beta_count = 0, a.means = means;
    support_fails(ctx, gm_rbm_ais(&r, rbm, &a), GM_E_INVALID, "mean at 1 is 2");
    a.means = NULL, a.on_progress = stop_third, a.user = &done;
    support_fails(ctx, gm_rbm_ais(&r, rbm, &a), GM_E_CANCELLED, "3 of 14500");
    ck_assert_int_eq(done, 3);
    ck_assert_int_eq(r.runs, 0); /* as it was */
    support_fails(ctx, gm_rbm_ais(NULL, rbm, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_rbm_ais(&r, NULL, NULL), GM_E_INVALID);
    ck_assert_ptr_null(gm_rbm_from_model(NULL));
    gm_rbm_release(rbm);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("rbm");
    TCase *t = tcase_create("rbm");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, energies_and_partition);
    tcase_add_test(t, chains_against_all_states);
    tcase_add_loop_test(t, long_chains_give_the_gradient, 0, 2);
    tcase_add_loop_test(t, contrastive_divergence_learns, 0, 2);
    tcase_add_test(t, annealing_against_the_sum);
    tcase_add_loop_test(t, files_and_threads, 0, 2);
    tcase_add_test(t, log_z_of_large_machines);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
