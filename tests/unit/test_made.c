/* test_made.c - MADE: exact over all states, mask sets and orders, any subset given, kinds of data,
 * files, refusals. */
#include "densities.h"

#include "gm/layer_file.h"
#include "gm/made.h"
#include "gm/mask.h"

static gm_model *make(gm_context *ctx, const gm_made_options *o)
{
    gm_made *made = NULL;
    support_ok(ctx, gm_made_create(&made, ctx, BITS, o));
    return gm_made_model(made);
}

static const int64_t wide[1] = { 24 }, deep[3] = { 12, 20, 9 };
static const int64_t turned_order[BITS] = { 3, 9, 0, 7, 1, 8, 2, 6, 5, 4 };

static gm_made_options small(void)
{
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    o.hidden = wide;
    return o;
}

static gm_model *plain(gm_context *ctx)
{
    gm_made_options o = small();
    return make(ctx, &o);
}

static gm_model *turned(gm_context *ctx)
{
    gm_made_options o = small();
    o.order = turned_order;
    o.hidden = deep;
    o.layers = 3;
    o.direct = 1;
    o.activation = GM_ACTIVATION_TANH;
    o.degrees = GM_DEGREES_CYCLIC;
    return make(ctx, &o);
}

/* Order-agnostic, one set of random masks looked at. */
static gm_model *agnostic(gm_context *ctx)
{
    gm_made_options o = small();
    o.random_orders = 1;
    o.degrees = GM_DEGREES_RANDOM;
    o.masks = 0;
    o.orders = 1;
    o.activation = GM_ACTIVATION_ELU;
    return make(ctx, &o);
}

static gm_model *linear(gm_context *ctx)
{
    gm_made_options o = small();
    o.layers = 0;
    o.direct = 1;
    return make(ctx, &o);
}

/* A list of five sets; all of them are averaged. */
static gm_model *listed(gm_context *ctx)
{
    gm_made_options o = small();
    o.hidden = deep;
    o.layers = 2;
    o.masks = 5;
    o.degrees = GM_DEGREES_RANDOM;
    o.activation = GM_ACTIVATION_SOFTPLUS;
    return make(ctx, &o);
}

static gm_model *fresh(gm_context *ctx)
{
    gm_made_options o = small();
    o.masks = 0;
    o.degrees = GM_DEGREES_RANDOM;
    o.random_orders = 1;
    return make(ctx, &o);
}

/* With weights of the connections, and direct ones; two layers. */
static gm_model *aware(gm_context *ctx)
{
    gm_made_options o = small();
    o.hidden = deep;
    o.layers = 2;
    o.direct = 1;
    o.connectivity = 1;
    o.masks = 0;
    o.orders = 1;
    o.degrees = GM_DEGREES_RANDOM;
    o.random_orders = 1;
    return make(ctx, &o);
}

static const density_fn one_set[5] = { plain, turned, agnostic, linear, aware };
static const density_fn all[7] = { plain, turned, agnostic, linear, listed, fresh, aware };

/* Nets as small as these learn the chain in one order, not in all. */
START_TEST(learns)
{
    density_learns(((const density_fn[]){ plain, turned, linear })[_i], 1000);
}
END_TEST

START_TEST(all_questions)
{
    gm_context *ctx = support_context(31, 2);
    gm_model *model = density_fitted(ctx, one_set[_i]);
    const int any = _i == 2 || _i == 4;
    ck_assert_int_eq(gm_autoregressive_any_order(model), any);
    density_sums_to_one(ctx, model);
    density_factors(ctx, model);
    density_samples(ctx, model);
    density_completes(ctx, model);
    if (!any) density_imputes(ctx, model);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Means over several sets are distributions too; each set's own is another, and samples are of the
 * mean. */
START_TEST(ensembles)
{
    gm_context *ctx = support_context(32, 2);
    gm_model *model = density_fitted(ctx, _i ? fresh : listed);
    gm_made *made = gm_made_from_model(model);
    const int64_t orders = _i ? 16 : 5;
    density_fit(ctx, model, 30);
    ck_assert_int_eq(gm_made_orders(made), orders);
    density_sums_to_one(ctx, model);
    density_samples(ctx, model);
    double *mean = density_table(ctx, model);
    /* With one set: set 0; log_prob of n sets is a mean of single sets, so a mean of means must
     * fit. */
    support_ok(ctx, gm_made_set_orders(made, 1));
    double *first = density_table(ctx, model);
    density_factors(ctx, model);
    support_ok(ctx, gm_made_set_orders(made, 2));
    double *two = density_table(ctx, model), differs = 0;
    for (int s = 0; s < STATES; s++) {
        ck_assert(two[s] > first[s] / 2 - 1e-7);
        differs = fmax(differs, fabs(two[s] - first[s]));
        ck_assert(mean[s] > first[s] / (double)orders - 1e-7);
    }
    ck_assert(differs > 1e-5);
    free(two);
    free(first);
    free(mean);
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

/* Any subset given: the walk's marginal is that of the model whose order begins with it, so it sums
 * to 1 over what is given and agrees with its own conditionals. */
START_TEST(any_subset)
{
    gm_context *ctx = support_context(33, 1);
    gm_model *model = density_fitted(ctx, _i ? aware : agnostic);
    const uint8_t known[BITS] = { 0, 1, 0, 0, 1, 0, 0, 1, 0, 0 };
    float rows[8 * BITS] = { 0 };
    uint8_t given[8 * BITS];
    double log_p[8], sum = 0;
    for (int s = 0; s < 8; s++) {
        memcpy(given + s * BITS, known, BITS);
        rows[s * BITS + 1] = (float)(s & 1);
        rows[s * BITS + 4] = (float)(s >> 1 & 1);
        rows[s * BITS + 7] = (float)(s >> 2 & 1);
    }
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, given, 8, NULL, log_p));
    for (int s = 0; s < 8; s++) sum += exp(log_p[s]);
    ck_assert_double_eq_tol(sum, 1, density_tolerance());
    support_ok(ctx, gm_autoregressive_sample_given(model, given, 8, NULL, rows, NULL));
    for (int s = 0; s < 8; s++) {
        ck_assert(rows[s * BITS + 1] == (float)(s & 1) &&
                  rows[s * BITS + 7] == (float)(s >> 2 & 1));
        for (int c = 0; c < BITS; c++)
            ck_assert(rows[s * BITS + c] == 0 || rows[s * BITS + c] == 1);
    }
    gm_model_release(model);
    /* One order: a given column behind one that is not is refused. */
    model = density_fitted(ctx, plain);
    support_fails(ctx, gm_autoregressive_sample_given(model, given, 8, NULL, rows, NULL),
                  GM_E_UNSUPPORTED, "row 0, column 1");
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

static int32_t look_at_all_sets(void *user, int64_t done, int64_t total)
{
    const float row[BITS] = { 0 };
    double log_p;
    (void)done;
    (void)total;
    return gm_model_log_prob(user, row, 1, &log_p) != GM_OK;
}

/* A walk keeps to its set, also when its callback asks the model for log p, which looks at all. */
START_TEST(sets_of_calls_inside)
{
    enum { MANY = 600 };
    static float rows[MANY * BITS];
    static uint8_t known[MANY * BITS];
    static double log_p[2][MANY];
    gm_context *ctx = support_context(34, 1);
    gm_model *model = listed(ctx);
    const gm_progress_options how = { sizeof how, look_at_all_sets, model };
    for (int i = 0; i < MANY * BITS; i++) rows[i] = (float)(i * 7 % 11 < 5);
    for (int i = 0; i < MANY * BITS; i++) known[i] = i % BITS < 6;
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, MANY, NULL, log_p[0]));
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, MANY, &how, log_p[1]));
    ck_assert_mem_eq(log_p[0], log_p[1], sizeof log_p[0]);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Sets are a function of seed and number, orders are permutations, masks keep their promise: shown
 * on the masks themselves. */
START_TEST(mask_sets)
{
    gm_context *ctx = support_context(34, 1);
    gm_made_options o = small();
    o.hidden = deep;
    o.layers = 3;
    o.masks = 0;
    o.degrees = GM_DEGREES_RANDOM;
    o.random_orders = 1;
    o.mask_seed = 77;
    gm_model *a = make(ctx, &o), *b = make(ctx, &o);
    gm_made *made = gm_made_from_model(a);
    int64_t order[BITS], degrees[41], again[41], other[BITS];
    ck_assert_int_eq(gm_made_layers(made), 3);
    ck_assert_int_eq(gm_made_units(made, 1), 20);
    ck_assert_int_eq(gm_made_units(made, 3), 0);
    ck_assert_int_eq(gm_made_masks(made), 0);
    for (int64_t set = 0; set < 40; set += 13) {
        support_ok(ctx, gm_made_mask_set(made, set, order, degrees));
        support_ok(ctx, gm_made_mask_set(gm_made_from_model(b), set + 1, other, NULL));
        ck_assert_mem_ne(order, other, sizeof order);
        support_ok(ctx, gm_made_mask_set(gm_made_from_model(b), set, other, again));
        ck_assert_mem_eq(order, other, sizeof order);
        ck_assert_mem_eq(degrees, again, sizeof degrees);
        support_ok(ctx, gm_mask_check_order(ctx, order, BITS));
        int64_t least = BITS;
        for (int i = 0; i < 12; i++) least = degrees[i] < least ? degrees[i] : least;
        for (int i = 0; i < 41; i++)
            ck_assert(degrees[i] >= (i < 12 ? 1 : least) && degrees[i] < BITS);
    }
    support_fails(ctx, gm_made_mask_set(made, -1, order, NULL), GM_E_INVALID, "set is -1");
    ck_assert_int_eq(gm_made_mask_set(NULL, 0, NULL, NULL), GM_E_INVALID);
    gm_model_release(a);
    gm_model_release(b);
    gm_context_release(ctx);
}
END_TEST

/* A step leaves alone what the set of the step masks: with one set, such weights keep the value
 * they began with. */
START_TEST(masked_weights_rest)
{
    gm_context *ctx = support_context(35, 2);
    gm_model *model = plain(ctx);
    gm_param *w = gm_params_find(gm_model_params(model), "hidden.0.weight");
    int64_t degrees[24];
    float before[24 * BITS];
    int moved = 0, rested = 0;
    ck_assert_int_eq(gm_param_count(w), 24 * BITS);
    memcpy(before, gm_param_value(w), sizeof before);
    support_ok(ctx, gm_made_mask_set(gm_made_from_model(model), 0, NULL, degrees));
    density_fit(ctx, model, 3);
    for (int u = 0; u < 24; u++)
        for (int i = 0; i < BITS; i++) {
            const int same = gm_param_value(w)[u * BITS + i] == before[u * BITS + i];
            if (i + 1 > degrees[u]) {
                ck_assert(same);
                rested++;
            } else {
                moved += !same;
            }
        }
    ck_assert(moved > 20 && rested > 20);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Into the bias of a plain net what U adds to it under the masks of the degrees: b + (U o M) 1; and
 * the weight as it is. */
static void take_over(gm_model *to, gm_model *from, const char *name, const int64_t *out_degrees,
                      int64_t out, const int64_t *in_degrees, int64_t in, int strict, float *bias)
{
    char key[48];
    snprintf(key, sizeof key, "%s.weight", name);
    gm_param *w = gm_params_find(gm_model_params(to), key);
    memcpy(gm_param_value(w), gm_param_value(gm_params_find(gm_model_params(from), key)),
           (size_t)(out * in) * sizeof(float));
    snprintf(key, sizeof key, "%s.connectivity", name);
    ck_assert_ptr_null(gm_params_find(gm_model_params(to), key));
    const float *u = gm_param_value(gm_params_find(gm_model_params(from), key));
    double most = 0;
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            most = fmax(most, fabs((double)u[o * in + i]));
            if (out_degrees[o] >= in_degrees[i] + strict) bias[o] += u[o * in + i];
        }
    ck_assert_msg(most > 0.01, "%s: nothing was learnt of the connections", name);
}

/* A net with connectivity weights is under one set a net without, with other biases. */
START_TEST(connectivity_moves_biases)
{
    gm_context *ctx = support_context(40, 1);
    gm_made_options o = small();
    o.layers = 2;
    o.hidden = deep;
    o.direct = 1;
    o.masks = 0;
    o.orders = 1;
    o.degrees = GM_DEGREES_RANDOM;
    o.random_orders = 1;
    gm_model *plain_net = make(ctx, &o), *net = density_fitted(ctx, aware);
    int64_t order[BITS], columns[BITS], degrees[32], again[32];
    support_ok(ctx, gm_made_mask_set(gm_made_from_model(net), 0, order, degrees));
    support_ok(ctx, gm_made_mask_set(gm_made_from_model(plain_net), 0, NULL, again));
    ck_assert_mem_eq(degrees, again, sizeof degrees);
    support_ok(ctx, gm_mask_input_degrees(ctx, order, BITS, columns));
    static const char *const name[3] = { "hidden.0", "hidden.1", "output" };
    const int64_t *d[4] = { columns, degrees, degrees + 12, columns },
                  n[4] = { BITS, 12, 20, BITS };
    for (int l = 0; l < 3; l++) {
        char key[32];
        snprintf(key, sizeof key, "%s.bias", name[l]);
        float *bias = gm_param_value(gm_params_find(gm_model_params(plain_net), key));
        memcpy(bias, gm_param_value(gm_params_find(gm_model_params(net), key)),
               (size_t)n[l + 1] * sizeof *bias);
        take_over(plain_net, net, name[l], d[l + 1], n[l + 1], d[l], n[l], l == 2, bias);
        if (l == 2) take_over(plain_net, net, "direct", columns, BITS, columns, BITS, 1, bias);
    }
    double *want = density_table(ctx, plain_net), *got = density_table(ctx, net);
    for (int s = 0; s < STATES; s++) ck_assert_double_eq_tol(got[s], want[s], density_tolerance());
    free(got);
    free(want);
    gm_model_release(net);
    gm_model_release(plain_net);
    gm_context_release(ctx);
}
END_TEST

/* Told its connections, a net learns more of ever new orders than one that is not. */
START_TEST(connectivity_helps)
{
    gm_context *ctx = support_context(41, 2);
    double loss[2];
    for (int k = 0; k < 2; k++) {
        gm_made_options o = small();
        gm_made *made = NULL;
        gm_dataset *data = nets_bits(ctx, 60, BITS);
        gm_metric metric[1];
        int32_t count;
        o.masks = 0;
        o.random_orders = 1;
        o.connectivity = k;
        support_ok(ctx, gm_made_create(&made, ctx, BITS, &o));
        support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(gm_made_model(made)), 0.01));
        density_fit(ctx, gm_made_model(made), 150);
        support_ok(ctx, gm_model_evaluate(gm_made_model(made), data, support_batches(60, 0), metric,
                                          1, &count));
        loss[k] = metric[0].value;
        gm_dataset_release(data);
        gm_made_release(made);
    }
    ck_assert_msg(loss[1] < loss[0], "loss %g with connectivity weights, %g without", loss[1],
                  loss[0]);
    gm_context_release(ctx);
}
END_TEST

/* A file that says one thing of its connectivity weights and holds another. */
START_TEST(connectivity_in_files)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_context *ctx = support_context(42, 1);
    const struct {
        density_fn make;
        int64_t says;
        gm_status status;
        const char *line;
    } wrong[] = { { plain, 1, GM_E_FORMAT, "made.hidden.0.connectivity" },
                  { aware, 2, GM_E_INVALID, "connectivity is 2" } };
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int i = 0; i < 2; i++) {
        gm_model *model = wrong[i].make(ctx), *loaded = NULL;
        gm_archive *archive = NULL;
        support_ok(ctx, gm_model_save(model, path));
        support_ok(ctx, gm_archive_open(&archive, ctx, path));
        ck_assert_int_eq(gm_archive_has(archive, "made.connectivity"),
                         i); /* plain files are what they were */
        support_ok(ctx, gm_archive_set_int(archive, "made.connectivity", wrong[i].says));
        support_ok(ctx, gm_archive_write(archive, path));
        support_fails(ctx, gm_model_load(&loaded, ctx, path), wrong[i].status, wrong[i].line);
        ck_assert_ptr_null(loaded);
        gm_archive_release(archive);
        gm_model_release(model);
    }
    support_folder_remove(folder);
    gm_context_release(ctx);
}
END_TEST

/* P(X < x) of a conditional as gm_autoregressive_conditionals describes it. */
static double below(int32_t kind, const float *given, int64_t width, double x)
{
    const int64_t parts = kind == GM_CONDITIONAL_GAUSSIAN ? 1 : width / 3;
    const float *mean = given + (kind == GM_CONDITIONAL_GAUSSIAN ? 0 : parts),
                *scale = mean + parts;
    double sum = 0;
    for (int64_t c = 0; c < parts; c++) {
        const double z = (x - (double)mean[c]) / (double)scale[c];
        const double p = kind == GM_CONDITIONAL_LAPLACE_MIXTURE
                             ? (z < 0 ? exp(z) / 2 : 1 - exp(-z) / 2)
                             : erfc(-z / sqrt(2)) / 2;
        sum += p * (kind == GM_CONDITIONAL_GAUSSIAN ? 1 : (double)given[c]);
    }
    return sum;
}

/* All kinds: loss falls, log_prob integrates or sums to 1 over one column, what is drawn comes from
 * it. */
START_TEST(kinds)
{
    enum { D = 3, N = 240 };
    static const int32_t kind[4] = { GM_CONDITIONAL_CATEGORICAL, GM_CONDITIONAL_GAUSSIAN,
                                     GM_CONDITIONAL_GAUSSIAN_MIXTURE,
                                     GM_CONDITIONAL_LAPLACE_MIXTURE };
    gm_context *ctx = support_context(36, 2);
    gm_made_options o = small();
    gm_made *made = NULL;
    o.kind = kind[_i];
    o.classes = 4;
    o.components = 2;
    o.masks = 3;
    o.orders = _i % 2 ? 3 : 1;
    o.random_orders = 1;
    support_ok(ctx, gm_made_create(&made, ctx, D, &o));
    gm_model *model = gm_made_model(made);
    support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(model), 0.02));
    ck_assert_int_eq(gm_autoregressive_kind(model), kind[_i]);
    ck_assert_int_eq(gm_autoregressive_width(model), _i == 0 ? 4 : _i == 1 ? 2 : 6);
    float rows[N * D];
    for (int i = 0; i < N; i++) { /* the second follows the first, the third their sum */
        const int a = i % 4, b = (a + (i / 4 % 5 == 0)) % 4;
        const float noise = _i ? (float)(i * 37 % 11 - 5) / (float)40 : 0;
        rows[i * D] = (float)a + noise;
        rows[i * D + 1] = (float)b - noise;
        rows[i * D + 2] = (float)((a + b) % 4) + noise / 2;
    }
    gm_metric first[1], last[1];
    int32_t count;
    for (int step = 0; step < 300; step++)
        support_ok(ctx, gm_model_step(model, rows, N, step ? last : first, 1, &count));
    ck_assert_msg(last->value < first->value - 1, "loss %g, then %g", first->value, last->value);
    /* Over a grid of the first row's last column, p(x) / p(x before) is a distribution: here over
     * all three columns' grid for classes, and one column for reals through the conditionals. */
    if (!_i) {
        float grid[64 * D];
        double p[64], sum = 0;
        for (int s = 0; s < 64; s++)
            for (int c = 0; c < D; c++) grid[s * D + c] = (float)(s >> 2 * c & 3);
        support_ok(ctx, gm_model_log_prob(model, grid, 64, p));
        for (int s = 0; s < 64; s++) sum += exp(p[s]);
        ck_assert_double_eq_tol(sum, 1, density_tolerance());
    } else {
        enum { STEPS = 4000 };
        int64_t order[D];
        float *grid = malloc(STEPS * D * sizeof *grid);
        double *parts = malloc(STEPS * D * sizeof *parts), sum = 0;
        ck_assert(grid && parts);
        support_ok(ctx, gm_autoregressive_order(model, order));
        for (int s = 0; s < STEPS; s++) {
            memcpy(grid + s * D, rows, D * sizeof *grid);
            grid[s * D + order[D - 1]] = (float)(-20 + 45.0 * s / STEPS);
        }
        support_ok(ctx, gm_autoregressive_log_probs(model, grid, STEPS, parts));
        for (int s = 0; s < STEPS; s++) sum += exp(parts[s * D + order[D - 1]]) * 45.0 / STEPS;
        ck_assert_msg(fabs(sum - 1) < 0.02, "the density integrates to %g", sum);
        free(parts);
        free(grid);
    }
    /* What is drawn, through its conditional's distribution function, is uniform. */
    if (_i) {
        enum { M = 1000 };
        gm_tensor *drawn = NULL;
        const int64_t width = gm_autoregressive_width(model);
        float *given = malloc((size_t)(M * D * width) * sizeof *given);
        ck_assert_ptr_nonnull(given);
        support_ok(ctx, gm_made_set_orders(made, 1));
        support_ok(ctx, gm_model_sample(&drawn, model, M));
        support_ok(ctx, gm_autoregressive_conditionals(model, gm_tensor_read(drawn), M, given));
        for (int c = 0; c < D; c++) {
            double mean = 0, square = 0;
            for (int i = 0; i < M; i++) {
                const double u = below(kind[_i], given + (i * D + c) * width, width,
                                       (double)gm_tensor_read(drawn)[i * D + c]) -
                                 0.5;
                mean += u / M;
                square += u * u / M;
            }
            ck_assert_msg(fabs(mean) < support_bound(5 * D) / sqrt(12.0 * M), "column %d: mean %g",
                          c, mean);
            ck_assert_msg(fabs(square - 1 / 12.0) < 0.012, "column %d: square %g", c, square);
        }
        free(given);
        gm_tensor_release(drawn);
    }
    gm_made_release(made);
    gm_context_release(ctx);
}
END_TEST

static char log_text[256];

static void keep_log(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)level;
    snprintf(log_text, sizeof log_text, "%s", line);
}

START_TEST(small_and_cut_off)
{
    gm_context_options host = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    gm_made *made = NULL;
    gm_made_options o = small();
    host.log = keep_log;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &host), GM_OK);
    /* One column: a bias and no more. */
    const float bits[4] = { 1, 0, 1, 1 };
    double p[2];
    support_ok(ctx, gm_made_create(&made, ctx, 1, &o));
    for (int step = 0; step < 2000; step++)
        support_ok(ctx, gm_model_step(gm_made_model(made), bits, 4, NULL, 0, NULL));
    support_ok(ctx, gm_model_log_prob(gm_made_model(made), bits, 2, p));
    ck_assert_double_eq_tol(exp(p[0]) + exp(p[1]), 1, density_tolerance());
    ck_assert_double_eq_tol(exp(p[0]), 0.75, 0.02);
    gm_made_release(made);
    made = NULL;
    /* One hidden unit of a random degree: all outputs at places up to it see nothing. */
    static const int64_t lone[1] = { 1 };
    int64_t degree = 0;
    o.hidden = lone;
    o.degrees = GM_DEGREES_RANDOM;
    for (o.mask_seed = 1; degree < 3; o.mask_seed++) {
        log_text[0] = 0;
        gm_made_release(made);
        support_ok(ctx, gm_made_create(&made, ctx, BITS, &o));
        support_ok(ctx, gm_made_mask_set(made, 0, NULL, &degree));
        ck_assert_int_eq(log_text[0] != 0, degree > 1);
    }
    char want[64];
    snprintf(want, sizeof want, "%lld of 10 outputs are cut off", (long long)degree - 1);
    ck_assert_ptr_nonnull(strstr(log_text, want));
    double *table = density_table(ctx, gm_made_model(made)), sum = 0;
    for (int s = 0; s < STATES; s++) sum += table[s];
    ck_assert_double_eq_tol(sum, 1, density_tolerance());
    free(table);
    gm_made_release(made);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refusals)
{
    gm_context *ctx = support_context(38, 1);
    gm_made *made = NULL;
    static const int64_t none[2] = { 5, 0 }, twice[BITS] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 8 };
    gm_made_options o = small();
#define REFUSED(change, text)                                                                      \
    do {                                                                                           \
        o = small();                                                                               \
        change;                                                                                    \
        support_fails(ctx, gm_made_create(&made, ctx, BITS, &o), GM_E_INVALID, text);              \
        ck_assert_ptr_null(made);                                                                  \
    } while (0)
    support_fails(ctx, gm_made_create(&made, ctx, 0, NULL), GM_E_INVALID, "columns is 0");
    support_fails(ctx, gm_made_create(NULL, ctx, 3, NULL), GM_E_INVALID, "NULL");
    REFUSED((o.hidden = none, o.layers = 2), "hidden layer 1 has 0 units");
    REFUSED(o.order = twice, "permutation");
    REFUSED((o.order = turned_order, o.random_orders = 1), "random_orders is 1");
    REFUSED(o.layers = 17, "layers is 17");
    REFUSED(o.layers = 0, "direct");
    REFUSED(o.activation = 99, "activation is 99");
    REFUSED(o.kind = 5, "kind is 5");
    REFUSED((o.kind = GM_CONDITIONAL_CATEGORICAL, o.classes = 1), "classes is 1");
    REFUSED((o.kind = GM_CONDITIONAL_GAUSSIAN_MIXTURE, o.components = 0), "components is 0");
    REFUSED(o.degrees = 3, "degrees is 3");
    REFUSED(o.masks = -1, "masks is -1");
    REFUSED((o.masks = 4, o.orders = 5), "orders is 5");
    REFUSED(o.direct = 2, "direct is 2");
    REFUSED(o.connectivity = -1, "connectivity is -1");
    REFUSED(o.weight_init = 77, "77");
    gm_model *model = plain(ctx);
    made = gm_made_from_model(model);
    support_fails(ctx, gm_made_set_orders(made, 2), GM_E_INVALID, "orders is 2");
    support_fails(ctx, gm_made_set_orders(made, 0), GM_E_INVALID, "orders is 0");
    float row[BITS] = { 0, 1, 0, 0, (float)0.5 };
    double p;
    support_fails(ctx, gm_model_step(model, row, 1, NULL, 0, NULL), GM_E_INVALID,
                  "row 0, column 4 is 0.5");
    support_fails(ctx, gm_model_log_prob(model, row, 1, &p), GM_E_INVALID, "column 4");
    row[4] = NAN;
    support_fails(ctx, gm_model_step(model, row, 1, NULL, 0, NULL), GM_E_INVALID,
                  "column 4 is nan");
    ck_assert_ptr_null(gm_made_from_model(NULL));
    ck_assert_ptr_null(gm_made_model(NULL));
    gm_made_release(NULL);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("made");
    TCase *t = tcase_create("made");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, all_questions, 0, 5);
    tcase_add_loop_test(t, learns, 0, 3);
    tcase_add_loop_test(t, ensembles, 0, 2);
    tcase_add_loop_test(t, lifecycle, 0, 7);
    tcase_add_loop_test(t, stays, 0, 7);
    tcase_add_loop_test(t, any_subset, 0, 2);
    tcase_add_test(t, sets_of_calls_inside);
    tcase_add_test(t, mask_sets);
    tcase_add_test(t, masked_weights_rest);
    tcase_add_test(t, connectivity_moves_biases);
    tcase_add_test(t, connectivity_helps);
    tcase_add_test(t, connectivity_in_files);
    tcase_add_loop_test(t, kinds, 0, 4);
    tcase_add_test(t, small_and_cut_off);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
