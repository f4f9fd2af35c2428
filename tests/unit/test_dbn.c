/* test_dbn.c - gm/dbn.h: likelihood, bound and samples against all states of small nets; growing,
 * learning, files, refusals. */
#include "nets.h"

#define V 4
#define L 3

static const int64_t sizes[L] = { 3, 4, 2 };

static void scatter(gm_rbm *rbm, double spread, uint32_t seed)
{
    gm_param *const all[3] = { gm_rbm_weight(rbm), gm_rbm_hidden_bias(rbm),
                               gm_rbm_visible_bias(rbm) };
    for (int p = 0; p < 3; p++)
        for (int64_t i = 0; i < gm_param_count(all[p]); i++) {
            seed = seed * 1664525u + 1013904223u;
            gm_param_value(all[p])[i] = (float)(spread * (2 * (double)(seed >> 8) / 16777216 - 1));
        }
}

/* A net with `stage` machines of uniform weights. */
static gm_dbn *make(gm_context *ctx, int32_t stage, double spread, const gm_rbm_options *o)
{
    gm_dbn_options d = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    d.layers = sizes, d.layer_count = L, d.rbm = o;
    support_ok(ctx, gm_dbn_create(&dbn, ctx, V, &d));
    for (int32_t l = 1; l <= stage; l++) {
        if (l > 1) support_ok(ctx, gm_dbn_grow(dbn, o));
        scatter(gm_dbn_layer(dbn, l), spread, 300 + (uint32_t)l);
    }
    return dbn;
}

/* --- By plain loops. Unit i of a state is its bit i. */

static double input_of(const gm_rbm *rbm, int up, int64_t unit, int64_t state)
{
    const int64_t nv = gm_rbm_visible(rbm), nh = gm_rbm_hidden(rbm);
    const float *w = gm_param_value(gm_rbm_weight(rbm));
    double a =
        (double)gm_param_value(up ? gm_rbm_hidden_bias(rbm) : gm_rbm_visible_bias(rbm))[unit];
    for (int64_t k = 0; k < (up ? nv : nh); k++)
        if (state >> k & 1) a += (double)w[up ? unit * nv + k : k * nv + unit];
    return a;
}

/* log p of one side's state given the other's. */
static double given(const gm_rbm *rbm, int up, int64_t state, int64_t other)
{
    double sum = 0;
    for (int64_t i = 0; i < (up ? gm_rbm_hidden(rbm) : gm_rbm_visible(rbm)); i++) {
        const double a = input_of(rbm, up, i, other);
        sum += (state >> i & 1 ? a : 0) - log1p(exp(a));
    }
    return sum;
}

static double free_energy(const gm_rbm *rbm, int64_t v)
{
    double sum = 0;
    for (int64_t i = 0; i < gm_rbm_visible(rbm); i++)
        if (v >> i & 1) sum += (double)gm_param_value(gm_rbm_visible_bias(rbm))[i];
    for (int64_t j = 0; j < gm_rbm_hidden(rbm); j++) sum += log1p(exp(input_of(rbm, 1, j, v)));
    return -sum;
}

static double log_z(const gm_rbm *rbm)
{
    double sum = 0;
    for (int64_t v = 0; v < (int64_t)1 << gm_rbm_visible(rbm); v++)
        sum += exp(-free_energy(rbm, v));
    return log(sum);
}

/* p of each state of the visible layer. */
static void exact(gm_dbn *dbn, double p[1 << V])
{
    const int32_t stage = gm_dbn_stage(dbn);
    const gm_rbm *top = gm_dbn_layer(dbn, stage);
    double above[16];
    for (int64_t h = 0; h < (int64_t)1 << gm_rbm_visible(top); h++)
        above[h] = exp(-free_energy(top, h) - log_z(top));
    for (int32_t l = stage - 1; l >= 1; l--) {
        const gm_rbm *rbm = gm_dbn_layer(dbn, l);
        double below[16];
        for (int64_t v = 0; v < (int64_t)1 << gm_rbm_visible(rbm); v++) {
            below[v] = 0;
            for (int64_t h = 0; h < (int64_t)1 << gm_rbm_hidden(rbm); h++)
                below[v] += above[h] * exp(given(rbm, 0, v, h));
        }
        memcpy(above, below, sizeof above);
    }
    memcpy(p, above, sizeof above);
}

/* The bound, from layer l's machine upwards, of a state of layer l - 1. */
static double exact_bound(gm_dbn *dbn, int32_t l, int64_t v)
{
    const gm_rbm *rbm = gm_dbn_layer(dbn, l);
    double sum = 0;
    if (l == gm_dbn_stage(dbn)) return -free_energy(rbm, v) - log_z(rbm);
    for (int64_t h = 0; h < (int64_t)1 << gm_rbm_hidden(rbm); h++) {
        const double q = given(rbm, 1, h, v);
        sum += exp(q) * (given(rbm, 0, v, h) - q + exact_bound(dbn, l + 1, h));
    }
    return sum;
}

static void all_rows(float rows[(1 << V) * V])
{
    for (int v = 0; v < 1 << V; v++)
        for (int i = 0; i < V; i++) rows[v * V + i] = (float)(v >> i & 1);
}

START_TEST(bound_and_likelihood)
{
    enum { N = 1 << V, DRAWS = 6000 };
    const int32_t stage = (int32_t)_i;
    gm_context *ctx = support_context(1 + (uint64_t)stage, 2);
    gm_dbn *dbn = make(ctx, stage, 1.5, NULL);
    float rows[N * V];
    double p[N], bound[N], error[N], lp[N], lp_error[N], sum = 0, gap = 0;
    ck_assert_int_eq(gm_dbn_stage(dbn), stage);
    all_rows(rows);
    exact(dbn, p);
    support_ok(ctx, gm_dbn_bound(dbn, rows, N,
                                 &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                         .samples = DRAWS },
                                 bound, error));
    support_ok(ctx, gm_dbn_log_prob(dbn, rows, N,
                                    &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                            .samples = DRAWS },
                                    lp, lp_error));
    for (int v = 0; v < N; v++) {
        const double want = exact_bound(dbn, 1, v);
        sum += p[v];
        gap += (log(p[v]) - want) / N;
        ck_assert(want <= log(p[v]) + 1e-9);
        ck_assert_msg(fabs(bound[v] - want) < support_bound(6 * N) * error[v] + 1e-5,
                      "%d: bound %g, exact %g, error %g", v, bound[v], want, error[v]);
        ck_assert_msg(fabs(lp[v] - log(p[v])) < support_bound(6 * N) * lp_error[v] + 1e-5,
                      "%d: log p %g, exact %g, error %g", v, lp[v], log(p[v]), lp_error[v]);
        if (stage == 1) {
            ck_assert_double_eq_tol(bound[v], log(p[v]), 1e-5);
            ck_assert(error[v] == 0 && lp_error[v] == 0);
        } else {
            ck_assert(error[v] > 0 && error[v] < 0.1 && lp_error[v] > 0);
        }
    }
    ck_assert_double_eq_tol(sum, 1, 1e-9);
    if (stage > 1)
        ck_assert_msg(gap > 0.02, "the bound's mean gap %g is too small to tell it from log p",
                      gap);
    support_ok(ctx, gm_dbn_bound(
                        dbn, rows, 1,
                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 1 },
                        bound, error));
    ck_assert(stage == 1 ? error[0] == 0 : isnan(error[0]));
    gm_dbn_release(dbn);
    gm_context_release(ctx);
}
END_TEST

/* Means over samples of the probability of each row are p(x). */
START_TEST(samples_against_all_states)
{
    enum { N = 12000 };
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_context *ctx = support_context(11, 2);
    o.sample_steps = 30;
    gm_dbn *dbn = make(ctx, _i, 1.5, &o);
    double p[1 << V];
    gm_tensor *t = NULL;
    exact(dbn, p);
    support_ok(ctx, gm_model_sample(&t, gm_dbn_model(dbn), N));
    for (int v = 0; v < 1 << V; v++) {
        double mean = 0, square = 0;
        for (int r = 0; r < N; r++) {
            double one = 1;
            for (int i = 0; i < V; i++) {
                const double c = (double)gm_tensor_read(t)[r * V + i];
                one *= v >> i & 1 ? c : 1 - c;
            }
            mean += one / N;
            square += one * one / N;
        }
        const double error = sqrt((square - mean * mean) / N);
        ck_assert_msg(fabs(mean - p[v]) < support_bound(3 << V) * error,
                      "%d: %g, exact %g, error %g", v, mean, p[v], error);
    }
    gm_tensor_release(t);
    gm_dbn_release(dbn);
    gm_context_release(ctx);
}
END_TEST

/* A machine that begins as the one below turned over is the same p(h): every draw's weight is log
 * p(x), exactly known, also with a log Z that was given. */
START_TEST(growing_does_not_lower_the_bound)
{
    static const int64_t two[2] = { 3, V };
    enum { N = 1 << V };
    gm_context *ctx = support_context(21, 1);
    gm_dbn_options d = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    float rows[N * V];
    double before[N], after[N], error[N];
    d.layers = two, d.layer_count = 2, d.transpose = !_i;
    all_rows(rows);
    support_ok(ctx, gm_dbn_create(&dbn, ctx, V, &d));
    scatter(gm_dbn_layer(dbn, 1), 1.5, 7);
    support_ok(ctx, gm_model_log_prob(gm_rbm_model(gm_dbn_layer(dbn, 1)), rows, N, before));
    gm_rbm_set_log_z(gm_dbn_layer(dbn, 1), log_z(gm_dbn_layer(dbn, 1)) + 2, 0.5);
    support_ok(ctx, gm_dbn_grow(dbn, NULL));
    support_ok(ctx, gm_dbn_bound(dbn, rows, N,
                                 &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                         .samples = 50 },
                                 after, error));
    for (int v = 0; v < N && !_i; v++) {
        ck_assert_double_eq_tol(after[v], before[v] - 2, 1e-4);
        ck_assert(error[v] < 1e-5);
    }
    const float *w = gm_param_value(gm_rbm_weight(gm_dbn_layer(dbn, 2)));
    for (int i = 0; i < 3 * V && _i; i++) ck_assert(fabs((double)w[i]) < 0.1 && w[i] != 0);
    gm_rbm_set_log_z(gm_dbn_layer(dbn, 2), NAN, 0.5);
    support_ok(ctx, gm_dbn_bound(dbn, rows, N,
                                 &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                         .samples = 50 },
                                 after, error));
    for (int v = 0; v < N && !_i; v++) ck_assert_double_eq_tol(after[v], before[v], 1e-4);
    gm_dbn_release(dbn);
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

static double mean_bound(gm_dbn *dbn, const int *state, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += exact_bound(dbn, 1, state[i]) / n;
    return sum;
}

/* A first machine that has learnt nothing leaves much to its p(h): the second raises the exact
 * bound, with draws of q as its data or their probabilities, and leaves the first as it is. */
START_TEST(the_second_layer_learns)
{
    static const int state[4] = { 3, 5, 10, 12 };
    static const int64_t two[2] = { 3, V };
    enum { N = 100 };
    gm_context *ctx = support_context(31, 1);
    gm_optimizer *sgd[2] = { sgd_of(ctx, 0.1), sgd_of(ctx, 0.05) };
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_dbn_options d = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    float rows[N * V], kept[3 * V];
    double bound[2];
    o.steps = 5, o.optimizer = sgd[0];
    d.layers = two, d.layer_count = 2, d.rbm = &o, d.draws = !_i;
    for (int i = 0; i < N * V; i++) rows[i] = (float)(state[i / V % 4] >> i % V & 1);
    support_ok(ctx, gm_dbn_create(&dbn, ctx, V, &d));
    gm_model *model = gm_dbn_model(dbn);
    ck_assert_ptr_eq(gm_model_optimizer(model), sgd[0]);
    scatter(gm_dbn_layer(dbn, 1), 3, 13);
    bound[0] = mean_bound(dbn, state, 4);
    o.optimizer = sgd[1];
    support_ok(ctx, gm_dbn_grow(dbn, &o));
    ck_assert_ptr_eq(gm_model_optimizer(model), sgd[1]);
    ck_assert_double_eq_tol(mean_bound(dbn, state, 4), bound[0], 1e-5);
    memcpy(kept, gm_param_value(gm_rbm_weight(gm_dbn_layer(dbn, 1))), sizeof kept);
    for (int t = 0; t < 1000; t++) support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    bound[1] = mean_bound(dbn, state, 4);
    ck_assert_mem_eq(kept, gm_param_value(gm_rbm_weight(gm_dbn_layer(dbn, 1))), sizeof kept);
    ck_assert_msg(bound[1] > bound[0] + 0.3, "%g with one machine, %g with two", bound[0],
                  bound[1]);
    ck_assert(bound[1] < -log(4) + 1e-9); /* as much as four rows can have */
    gm_dbn_release(dbn);
    for (int i = 0; i < 2; i++) gm_optimizer_release(sgd[i]);
    gm_context_release(ctx);
}
END_TEST

/* What the machines below are stays the same bytes while one learns; frozen ones refuse. */
START_TEST(only_the_uppermost_learns)
{
    static const float rows[3 * V] = { 1, 0, 0, 1, 0, 0, 1, 1, 0.5f, 1, 1, 0 };
    gm_context *ctx = support_context(41, 2);
    gm_dbn *dbn = make(ctx, 1, 0.5, NULL);
    gm_model *model = gm_dbn_model(dbn);
    for (int32_t stage = 1; stage <= L; stage++) {
        if (stage > 1) support_ok(ctx, gm_dbn_grow(dbn, NULL));
        int64_t n;
        float *before = nets_weights(model, &n);
        gm_metric m[GM_MAX_METRICS];
        int32_t count;
        ck_assert_int_eq(gm_params_count(gm_model_params(model)), 3 * stage);
        for (int t = 0; t < 3; t++)
            support_ok(ctx, gm_model_step(model, rows, 3, m, GM_MAX_METRICS, &count));
        ck_assert_str_eq(m[0].name, "loss");
        ck_assert(isfinite(nets_metric(m, count, "reconstruction")));
        float *after = nets_weights(model, &n);
        int64_t frozen = 0;
        for (int32_t l = 1; l < stage; l++)
            frozen += gm_params_elements(gm_model_params(gm_rbm_model(gm_dbn_layer(dbn, l))));
        ck_assert_mem_eq(before, after, (size_t)frozen * sizeof *before);
        ck_assert_mem_ne(before + frozen, after + frozen, (size_t)(n - frozen) * sizeof *before);
        free(before);
        free(after);
        if (stage < 2) continue;
        float inside[4] = { 0 };
        gm_model *below = gm_rbm_model(gm_dbn_layer(dbn, stage - 1));
        support_fails(ctx, gm_model_step(below, inside, 1, NULL, 0, NULL), GM_E_STATE,
                      "a frozen layer");
    }
    ck_assert_int_eq(gm_model_steps(model), 9);
    gm_dbn_release(dbn);
    gm_context_release(ctx);
}
END_TEST

/* Evaluation draws from a stream of its own, up to and within the machine. */
START_TEST(evaluation_leaves_training_alone)
{
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_model *model[2];
    gm_context *ctx[2];
    float *w[2], rows[6 * V];
    int64_t n;
    gm_metric m[2];
    o.persistent = 1, o.chains = 5;
    for (int i = 0; i < 6 * V; i++) rows[i] = (float)(i * 7 % 5 < 2);
    for (int i = 0; i < 2; i++) {
        gm_dataset *data = NULL;
        const int64_t shape[2] = { 6, V };
        ctx[i] = support_context(45, 1);
        model[i] = gm_dbn_model(make(ctx[i], 2, 0.5, &o));
        support_ok(ctx[i], gm_dataset_from_memory(&data, ctx[i], 2, shape, rows));
        for (int k = 0; k < 2 && i; k++) {
            int32_t count;
            support_ok(ctx[i],
                       gm_model_evaluate(model[i], data, support_batches(4, 0), &m[k], 1, &count));
        }
        support_ok(ctx[i], gm_model_step(model[i], rows, 6, NULL, 0, NULL));
        w[i] = nets_weights(model[i], &n);
        gm_dataset_release(data);
    }
    ck_assert_double_eq(m[0].value, m[1].value);
    ck_assert_mem_eq(w[0], w[1], (size_t)n * sizeof **w);
    for (int i = 0; i < 2; i++) {
        free(w[i]);
        gm_model_release(model[i]);
        gm_context_release(ctx[i]);
    }
}
END_TEST

/* Two steps of each machine with 1, 2 and 3 threads; the same with a checkpoint in the middle of
 * the second's, loaded and grown in another context: the same bytes, chains, draws and likelihood.
 */
START_TEST(files_and_threads)
{
    static const float rows[3 * V] = { 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0 };
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_context *ctx[4];
    gm_model *model[4];
    float *w[4];
    int64_t n;
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    o.persistent = _i, o.chains = 7, o.steps = 2, o.sample_steps = 5;
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int i = 0; i < 4; i++) {
        ctx[i] = support_context(51, i % 3 + 1);
        model[i] = gm_dbn_model(make(ctx[i], 1, 0.5, &o));
        for (int32_t l = 1; l <= L; l++) {
            gm_memory_counters before, after;
            if (l > 1) support_ok(ctx[i], gm_dbn_grow(gm_dbn_from_model(model[i]), &o));
            for (int t = 0; t < 3; t++) {
                if (t == 1) gm_context_memory(&before, ctx[i]);
                support_ok(ctx[i], gm_model_step(model[i], rows, 3, NULL, 0, NULL));
                if (t || l != 2 || i < 3) continue;
                support_ok(ctx[3], gm_model_save_checkpoint(model[3], path));
                gm_model_release(model[3]);
                gm_context_release(ctx[3]);
                ctx[3] = support_context(99, 2);
                support_ok(ctx[3], gm_model_load(&model[3], ctx[3], path));
                gm_context_memory(&before, ctx[i]);
            }
            gm_context_memory(&after, ctx[i]);
            if (i < 3 || l != 2) ck_assert_uint_eq(before.allocations, after.allocations);
        }
        w[i] = nets_weights(model[i], &n);
        ck_assert_mem_eq(w[0], w[i], (size_t)n * sizeof **w);
    }
    gm_rbm_set_log_z(gm_dbn_layer(gm_dbn_from_model(model[0]), L), 4.5, 0.5);
    support_ok(ctx[0], gm_model_save(model[0], path));
    gm_model_release(model[1]);
    support_ok(ctx[1], gm_model_load(&model[1], ctx[1], path));
    ck_assert_int_eq(gm_dbn_stage(gm_dbn_from_model(model[1])), L);
    ck_assert_int_eq(gm_model_steps(model[1]), 3 * L);
    gm_tensor *x[2] = { NULL, NULL };
    double lp[2][3];
    for (int i = 0; i < 2; i++) {
        gm_model_seed(model[i], 5);
        support_ok(ctx[i], gm_model_sample(&x[i], model[i], 9));
        support_ok(ctx[i], gm_model_log_prob(model[i], rows, 3, lp[i]));
    }
    ck_assert_mem_eq(gm_tensor_read(x[0]), gm_tensor_read(x[1]), 9 * V * sizeof(float));
    ck_assert_mem_eq(lp[0], lp[1], sizeof lp[0]);
    for (int i = 0; i < 2; i++) gm_tensor_release(x[i]);
    for (int i = 0; i < 4; i++) {
        free(w[i]);
        gm_model_release(model[i]);
        gm_context_release(ctx[i]);
    }
    support_folder_remove(folder);
}
END_TEST

/* Features by loops; the mean of what a machine learns is that of q given each row, which is known
 * where one layer is below. */
START_TEST(upwards)
{
    enum { N = 5 };
    float rows[N * V], one[N * 3], two[N * 4], mean[4], bias[3];
    gm_context *ctx = support_context(61, 2);
    gm_dbn *dbn = make(ctx, 2, 1.5, NULL);
    gm_dataset *data = NULL;
    const int64_t shape[2] = { N, V };
    for (int i = 0; i < N * V; i++) rows[i] = (float)(i * 5 % 7 < 3);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    support_ok(ctx, gm_dbn_features(dbn, rows, N, 1, one));
    support_ok(ctx, gm_dbn_features(dbn, rows, N, 2, two));
    for (int r = 0; r < N; r++) {
        int64_t v = 0;
        for (int i = 0; i < V; i++) v |= (int64_t)rows[r * V + i] << i;
        for (int j = 0; j < 3; j++)
            ck_assert_double_eq_tol((double)one[r * 3 + j],
                                    1 / (1 + exp(-input_of(gm_dbn_layer(dbn, 1), 1, j, v))), 1e-5);
        for (int j = 0; j < 4; j++) {
            const gm_rbm *rbm = gm_dbn_layer(dbn, 2);
            double a = (double)gm_param_value(gm_rbm_hidden_bias(rbm))[j];
            for (int i = 0; i < 3; i++)
                a += (double)gm_param_value(gm_rbm_weight(rbm))[j * 3 + i] * (double)one[r * 3 + i];
            ck_assert_double_eq_tol((double)two[r * 4 + j], 1 / (1 + exp(-a)), 1e-5);
        }
    }
    support_ok(ctx, gm_dbn_mean(dbn, data, mean));
    support_ok(ctx, gm_dbn_init_biases(dbn, data));
    memcpy(bias, gm_param_value(gm_rbm_visible_bias(gm_dbn_layer(dbn, 2))), sizeof bias);
    for (int j = 0; j < 3; j++) {
        double want = 0;
        for (int r = 0; r < N; r++) want += (double)one[r * 3 + j] / N;
        ck_assert_double_eq_tol((double)mean[j], want, 1e-5);
        ck_assert_double_eq_tol((double)bias[j], log(want / (1 - want)), 1e-4);
    }
    gm_dataset_release(data);
    gm_dbn_release(dbn);
    gm_context_release(ctx);
}
END_TEST

static int32_t grow_within(void *user, const gm_fit_report *p)
{
    gm_dbn *dbn = user;
    (void)p;
    support_fails(gm_model_context(gm_dbn_model(dbn)), gm_dbn_grow(dbn, NULL), GM_E_STATE,
                  "inside a callback");
    return 0;
}

START_TEST(refusals)
{
    static const int64_t bad[2] = { 3, 0 }, wide[2] = { 30, 25 };
    gm_context *ctx = support_context(71, 1);
    gm_dbn *dbn = (gm_dbn *)ctx;
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    gm_rbm_options r = GM_RBM_OPTIONS_INIT;
    o.layers = sizes, o.layer_count = L;
    const gm_dbn_options usual = o;
    support_fails(ctx, gm_dbn_create(&dbn, ctx, V, NULL), GM_E_INVALID, "layer_count is 0");
    ck_assert_ptr_null(dbn);
#define REFUSED(field, value, text)                                                                \
    do {                                                                                           \
        o = usual;                                                                                 \
        o.field = (value);                                                                         \
        support_fails(ctx, gm_dbn_create(&dbn, ctx, V, &o), GM_E_INVALID, text);                   \
    } while (0)
    REFUSED(layer_count, 9, "layer_count is 9, 1 to 8");
    REFUSED(layers, NULL, "layers is NULL");
    REFUSED(transpose, 2, "transpose is 2");
    REFUSED(draws, -1, "draws is -1");
    REFUSED(log_prob_samples, 0, "log_prob_samples is 0");
    r.steps = 0;
    REFUSED(rbm, &r, "rbm: steps is 0");
    o = usual;
    o.layers = bad, o.layer_count = 2;
    support_fails(ctx, gm_dbn_create(&dbn, ctx, V, &o), GM_E_INVALID, "layer 2 has 0 units");
    support_fails(ctx, gm_dbn_create(&dbn, ctx, 0, &usual), GM_E_INVALID, "visible is 0");
    support_fails(ctx, gm_dbn_create(NULL, ctx, V, &usual), GM_E_INVALID, "NULL");

    dbn = make(ctx, 2, 0.5, NULL);
    gm_model *model = gm_dbn_model(dbn);
    float rows[2 * V] = { 0 }, out[2 * 4];
    double lp[2] = { 1, 2 };
    rows[6] = 0.5f;
    support_ok(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL));
    support_fails(
        ctx,
        gm_dbn_bound(dbn, rows, 2,
                     &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 5 },
                     lp, NULL),
        GM_E_INVALID, "bound: row 1, column 2 is 0.5, expected 0 or 1");
    support_fails(
        ctx,
        gm_dbn_log_prob(dbn, rows, 2,
                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 5 },
                        lp, NULL),
        GM_E_INVALID, "log_prob: row 1, column 2 is 0.5");
    rows[6] = 1.5f;
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_INVALID,
                  "row 1, column 2 is 1.5, expected 0 to 1");
    support_fails(ctx, gm_dbn_features(dbn, rows, 2, 1, out), GM_E_INVALID,
                  "row 1, column 2 is 1.5");
    rows[6] = 1;
    support_fails(ctx, gm_dbn_features(dbn, rows, 2, 3, out), GM_E_INVALID, "layer is 3, 1 to 2");
    support_fails(
        ctx,
        gm_dbn_bound(dbn, rows, 2,
                     &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = -1 },
                     lp, NULL),
        GM_E_INVALID, "samples is -1");
    support_fails(ctx,
                  gm_dbn_log_prob(
                      dbn, rows, 2,
                      &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = -1 },
                      lp, NULL),
                  GM_E_INVALID, "samples is -1");
    support_fails(
        ctx,
        gm_dbn_bound(dbn, rows, 0,
                     &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 1 },
                     lp, NULL),
        GM_E_INVALID, "count is 0");
    support_fails(
        ctx,
        gm_dbn_bound(dbn, rows, 1,
                     &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 1 },
                     NULL, NULL),
        GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dbn_mean(dbn, NULL, out), GM_E_INVALID, "mean: data is NULL");
    support_fails(ctx, gm_dbn_init_biases(dbn, NULL), GM_E_INVALID, "start: data is NULL");
    gm_dataset *data = NULL;
    const int64_t narrow[2] = { 2, V - 1 }, right[2] = { 2, V };
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, narrow, rows));
    support_fails(ctx, gm_dbn_init_biases(dbn, data), GM_E_SHAPE, "[3], those of the model [4]");
    gm_dataset_release(data);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, right, rows));
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 1, fit.batch = 2, fit.on_report = grow_within, fit.user = dbn;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    gm_dataset_release(data);

    /* A net that cannot grow is as it was. */
    r.steps = 0;
    support_fails(ctx, gm_dbn_grow(dbn, &r), GM_E_INVALID, "steps is 0");
    r.steps = 1, r.optimizer = gm_model_optimizer(model);
    support_fails(ctx, gm_dbn_grow(dbn, &r), GM_E_STATE, "bound");
    ck_assert_int_eq(gm_dbn_stage(dbn), 2);
    support_ok(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL));
    support_ok(ctx, gm_dbn_grow(dbn, NULL));
    support_fails(ctx, gm_dbn_grow(dbn, NULL), GM_E_STATE, "all 3 layers");
    ck_assert_ptr_null(gm_dbn_layer(dbn, 0));
    ck_assert_ptr_null(gm_dbn_layer(dbn, 4));
    ck_assert_int_eq(gm_dbn_layers(dbn), L);
    ck_assert_int_eq(gm_dbn_layer_size(dbn, 3), 2);
    ck_assert_int_eq(gm_dbn_layer_size(dbn, 4), 0);
    ck_assert_ptr_null(gm_dbn_from_model(gm_rbm_model(gm_dbn_layer(dbn, 1))));
    gm_dbn_release(dbn);

    /* log Z of a large top is to be given, and forgotten with the next step. */
    o = usual;
    o.layers = wide, o.layer_count = 2;
    support_ok(ctx, gm_dbn_create(&dbn, ctx, V, &o));
    support_ok(ctx, gm_dbn_grow(dbn, NULL));
    support_fails(
        ctx,
        gm_dbn_bound(dbn, rows, 2,
                     &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 2 },
                     lp, NULL),
        GM_E_STATE, "dbn: bound: log Z of 30 by 25 units is not known");
    support_fails(ctx, gm_model_log_prob(gm_dbn_model(dbn), rows, 2, lp), GM_E_STATE,
                  "gm_rbm_set_log_z");
    ck_assert(lp[0] == 1 && lp[1] == 2);
    gm_rbm_set_log_z(gm_dbn_layer(dbn, 2), 40, 0.5);
    support_ok(ctx, gm_dbn_bound(
                        dbn, rows, 2,
                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 2 },
                        lp, NULL));
    support_ok(ctx, gm_model_step(gm_dbn_model(dbn), rows, 2, NULL, 0, NULL));
    support_fails(
        ctx,
        gm_dbn_bound(dbn, rows, 2,
                     &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 2 },
                     lp, NULL),
        GM_E_STATE, "not known");
    gm_dbn_release(dbn);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("dbn");
    TCase *t = tcase_create("dbn");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, bound_and_likelihood, 1, L + 1);
    tcase_add_loop_test(t, samples_against_all_states, 1, L + 1);
    tcase_add_loop_test(t, growing_does_not_lower_the_bound, 0, 2);
    tcase_add_loop_test(t, the_second_layer_learns, 0, 2);
    tcase_add_test(t, only_the_uppermost_learns);
    tcase_add_test(t, evaluation_leaves_training_alone);
    tcase_add_loop_test(t, files_and_threads, 0, 2);
    tcase_add_test(t, upwards);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
