/* test_host_family.c - a family that the host writes has all the shared verbs: a normalizing flow
 * (flow.h). What the host may do wrong is in test_host_family_refusals.c.
 */
#include "flow.h"
#include "lifecycle.h"

#define MOONS 2000

/* Two half circles, as (x, y, which), with noise. */
static void moons(gm_context *ctx, uint64_t seed, int64_t count, float *rows, uint8_t *labels)
{
    gm_rng *rng = NULL;
    support_ok(ctx, gm_rng_create(&rng, ctx, seed));
    for (int64_t i = 0; i < count; i++) {
        const int lower = gm_rng_double(rng) < 0.5;
        const double angle = 3.14159265358979 * gm_rng_double(rng), x = cos(angle), y = sin(angle);
        double noise[2] = { 0, 0 }; /* twelve uniform numbers: of deviation 0.1 */
        for (int k = 0; k < 24; k++) noise[k % 2] += 0.1 * (gm_rng_double(rng) - 0.5);
        rows[2 * i] = (float)((lower ? 1 - x : x) + noise[0]);
        rows[2 * i + 1] = (float)((lower ? 0.5 - y : y) + noise[1]);
        if (labels) labels[i] = (uint8_t)lower;
    }
    gm_rng_release(rng);
}

static gm_dataset *moons_data(gm_context *ctx, uint64_t seed, int64_t count, int labelled)
{
    gm_dataset *data = NULL, *attached = NULL;
    const int64_t shape[2] = { count, 2 };
    float *rows = malloc((size_t)count * 2 * sizeof *rows);
    uint8_t *labels = malloc((size_t)count);
    ck_assert(rows && labels);
    moons(ctx, seed, count, rows, labels);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    if (labelled) {
        support_ok(ctx, gm_dataset_from_bytes(&attached, ctx, 1, shape, labels, 1.0));
        support_ok(ctx, gm_dataset_attach_labels(data, attached));
        gm_dataset_release(attached);
    }
    free(labels);
    free(rows);
    return data;
}

static gm_model *moons_model(gm_context *ctx, int64_t classes, double rate)
{
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_optimizer *optimizer = NULL;
    gm_model *model = NULL;
    adam.rate = rate;
    support_ok(ctx, gm_adam_create(&optimizer, ctx, &adam));
    support_ok(ctx, flow_create(&model, ctx, 6, 24, classes, optimizer));
    gm_optimizer_release(optimizer);
    return model;
}

/* The mean log density of rows under the Gaussian of largest likelihood for `fitted`. */
static double gaussian_log_prob(const float *fitted, const float *rows, int64_t count)
{
    double mean[2] = { 0, 0 }, c[3] = { 0, 0, 0 }, sum = 0;
    for (int64_t i = 0; i < 2 * count; i++) mean[i % 2] += (double)fitted[i] / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double x = (double)fitted[2 * i] - mean[0], y = (double)fitted[2 * i + 1] - mean[1];
        c[0] += x * x / (double)count;
        c[1] += x * y / (double)count;
        c[2] += y * y / (double)count;
    }
    const double det = c[0] * c[2] - c[1] * c[1];
    for (int64_t i = 0; i < count; i++) {
        const double x = (double)rows[2 * i] - mean[0], y = (double)rows[2 * i + 1] - mean[1];
        const double square = (c[2] * x * x - 2 * c[1] * x * y + c[0] * y * y) / det;
        sum -= 0.5 * square + log(2 * 3.14159265358979) + 0.5 * log(det);
    }
    return sum / (double)count;
}

#define SIDE 400
#define STEP 0.02

/* The integral of the density over [-4, 4]^2, and of log p times it. */
static double integrate(gm_context *ctx, gm_model *model, double *entropy)
{
    float *grid = malloc(sizeof(float) * 2 * SIDE * SIDE);
    double *log_prob = malloc(sizeof(double) * SIDE * SIDE), sum = 0;
    ck_assert(grid && log_prob);
    for (int i = 0; i < SIDE * SIDE; i++) {
        grid[2 * i] = (float)((i % SIDE + 0.5) * STEP - 4);
        grid[2 * i + 1] = (float)((i / SIDE + 0.5) * STEP - 4);
    }
    support_ok(ctx, gm_model_log_prob(model, grid, SIDE * SIDE, log_prob));
    *entropy = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const double mass = exp(log_prob[i]) * STEP * STEP;
        sum += mass;
        *entropy -= mass * log_prob[i];
    }
    free(log_prob);
    free(grid);
    return sum;
}

static double mean_of(const double *values, int64_t count, double *error)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    const double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    *error = sqrt(squares / (double)(count * (count - 1)));
    return mean;
}

START_TEST(a_flow_learns_two_moons)
{
    gm_context *ctx = support_context(3, 2);
    gm_dataset *data = moons_data(ctx, 1, MOONS, 0), *held = moons_data(ctx, 2, MOONS, 0);
    gm_model *model = moons_model(ctx, 0, 5e-3);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    static float train[2 * MOONS], test[2 * MOONS], samples[2 * MOONS];
    static double log_prob[MOONS];
    double error, entropy;
    moons(ctx, 1, MOONS, train, NULL);
    moons(ctx, 2, MOONS, test, NULL);
    fit.epochs = 100;
    fit.batch = 100;
    fit.validation = held;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    support_ok(ctx, gm_model_log_prob(model, test, MOONS, log_prob));
    const double mean = mean_of(log_prob, MOONS, &error);
    const double gaussian = gaussian_log_prob(train, test, MOONS);
    printf("log p of two moons: flow %.3f +- %.3f, Gaussian %.3f\n", mean, error, gaussian);
    ck_assert_msg(mean > gaussian + 0.3, "flow %g, Gaussian %g", mean, gaussian);

    /* The same number from the evaluation, which says that it is exact. */
    gm_result nll = GM_RESULT_INIT;
    support_ok(ctx, gm_evaluate_nll(&nll, model, held, NULL));
    ck_assert(fabs(nll.value + mean) < 1e-5);
    ck_assert_str_eq(nll.protocol, "exact");
    ck_assert(nll.sampling_error == 0);

    /* A density, and samples of it: E log p over samples is minus the entropy. */
    const double mass = integrate(ctx, model, &entropy);
    printf("integral %.5f, entropy %.4f\n", mass, entropy);
    ck_assert(fabs(mass - 1) < 2e-3);
    gm_model_seed(model, 7);
    support_ok(ctx, gm_model_sample_into(model, MOONS, NULL, samples));
    support_ok(ctx, gm_model_log_prob(model, samples, MOONS, log_prob));
    const double of_samples = mean_of(log_prob, MOONS, &error);
    printf("log p of samples %.4f +- %.4f\n", of_samples, error);
    ck_assert(fabs(of_samples + entropy) < support_bound(1) * error);

    /* Scores: a row far from the moons is rarer than one on them. */
    gm_anomaly *anomaly = NULL;
    const float rows[4] = { 0, 1, 0.5f, -2 };
    double quantile[2];
    support_ok(ctx, gm_anomaly_create(&anomaly, model, held, NULL));
    support_ok(ctx, gm_anomaly_score(anomaly, rows, 2, NULL, quantile));
    ck_assert(quantile[0] > 0.05 && quantile[1] == 0);
    gm_anomaly_release(anomaly);

    /* The two-sample test tells samples of an untrained flow from data. */
    gm_model *raw = moons_model(ctx, 0, 5e-3);
    gm_mmd_kernel *kernel = NULL;
    gm_two_sample_result found = GM_TWO_SAMPLE_RESULT_INIT;
    support_ok(ctx, gm_mmd_kernel_create(&kernel, ctx));
    support_ok(ctx, gm_mmd_kernel_add_gaussian(kernel, 1, 0.5));
    support_ok(ctx, gm_model_sample_into(raw, 300, NULL, samples));
    support_ok(ctx, gm_two_sample_test(&found, kernel, support_rows(samples, 300, 2),
                                       support_rows(test, 300, 2), NULL));
    ck_assert(found.p_value == 0.001);
    gm_mmd_kernel_release(kernel);
    gm_model_release(raw);
    gm_model_release(model);
    gm_dataset_release(held);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* --- Files, and fits that go on. */

static void same_files(const char *a, const char *b)
{
    static char bytes[2][1 << 18];
    size_t size[2];
    const char *path[2] = { a, b };
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(path[i], "rb");
        ck_assert_ptr_nonnull(file);
        size[i] = fread(bytes[i], 1, sizeof bytes[i], file);
        ck_assert(size[i] > 0 && size[i] < sizeof bytes[i]);
        fclose(file);
    }
    ck_assert_uint_eq(size[0], size[1]);
    ck_assert(memcmp(bytes[0], bytes[1], size[0]) == 0);
}

static void register_flow(gm_context *ctx)
{
    const gm_host_family family = flow_family();
    support_ok(ctx, gm_context_register_family(ctx, &family));
}

static void fit_epochs(gm_context *ctx, gm_model *model, int64_t epochs, const char *checkpoint)
{
    gm_dataset *data = moons_data(ctx, 1, 130, 1), *held = moons_data(ctx, 2, 50, 1);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = epochs;
    fit.batch = 20;
    fit.validation = held;
    fit.checkpoint = checkpoint;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    gm_dataset_release(held);
    gm_dataset_release(data);
}

/* Whatever the threads, and however often it is cut: the same bytes. */
START_TEST(checkpoints_and_files)
{
    char folder[SUPPORT_PATH], path[4][SUPPORT_PATH + 16];
    gm_context *ctx[3];
    gm_model *model[3], *rest = NULL, *loaded = NULL;
    float rows[2][40];
    double log_prob[2][20];
    const int64_t label = 1;
    support_folder_make(folder);
    for (int i = 0; i < 4; i++) snprintf(path[i], sizeof path[i], "%s/%d", folder, i);
    for (int i = 0; i < 3; i++) {
        ctx[i] = support_context(11, i + 1);
        register_flow(ctx[i]);
        model[i] = moons_model(ctx[i], 2, 1e-3);
        fit_epochs(ctx[i], model[i], i < 2 ? 4 : 2, path[i]);
    }
    same_files(path[0], path[1]);
    support_ok(ctx[1], gm_model_load(&rest, ctx[1], path[2]));
    ck_assert_str_eq(gm_model_family(rest), "flow");
    ck_assert_int_eq(gm_model_epochs(rest), 2);
    ck_assert_int_eq(gm_model_labels(rest), 2);
    ck_assert_int_eq(gm_model_row_size(rest), 2);
    fit_epochs(ctx[1], rest, 2, path[3]);
    same_files(path[0], path[3]);

    /* Saved and loaded: the same weights, samples, densities, and the same bytes again. */
    support_ok(ctx[0], gm_model_save(model[0], path[0]));
    support_ok(ctx[2], gm_model_load(&loaded, ctx[2], path[0]));
    nets_same_weights(model[0], loaded);
    support_ok(ctx[2], gm_model_save(loaded, path[1]));
    same_files(path[0], path[1]);
    for (int i = 0; i < 2; i++) {
        gm_model *m = i ? loaded : model[0];
        support_ok(gm_model_context(m), gm_model_set_labels(m, &label, 1));
        support_ok(gm_model_context(m), gm_model_sample_into(m, 20, NULL, rows[i]));
        support_ok(gm_model_context(m), gm_model_log_prob(m, rows[i], 20, log_prob[i]));
    }
    ck_assert(memcmp(rows[0], rows[1], sizeof rows[0]) == 0);
    ck_assert(memcmp(log_prob[0], log_prob[1], sizeof log_prob[0]) == 0);
    const flow *f = gm_model_user(loaded, "flow");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(f->hidden, 24);
    ck_assert_ptr_null(gm_model_user(loaded, "other"));
    gm_model_release(loaded);
    gm_model_release(rest);
    for (int i = 0; i < 3; i++) {
        gm_model_release(model[i]);
        gm_context_release(ctx[i]);
    }
    support_folder_remove(folder);
}
END_TEST

typedef struct watched_fit {
    double best, last;
    int64_t epochs, updates;
    int32_t stop;
} watched_fit;

static int32_t watch_fit(void *user, const gm_fit_report *p)
{
    watched_fit *w = user;
    ck_assert_int_eq(p->metric_count, 2);
    ck_assert_str_eq(p->metrics[0].name, "loss");
    ck_assert_str_eq(p->metrics[1].name, "log_prob");
    ck_assert(p->metrics[0].value == -p->metrics[1].value);
    w->updates += !p->epoch_end;
    if (!p->epoch_end) return w->stop;
    w->last = p->validation[0].value;
    if (!w->epochs++ || w->last < w->best) w->best = w->last;
    return 0;
}

/* Twenty rows are soon learned by heart: the weights of the best epoch come back. */
START_TEST(patience_and_a_stop)
{
    gm_context *ctx = support_context(5, 1);
    gm_dataset *data = moons_data(ctx, 1, 20, 0), *held = moons_data(ctx, 2, 200, 0);
    gm_model *model = moons_model(ctx, 0, 2e-2);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    watched_fit w = { 0, 0, 0, 0, 0 };
    gm_metric metrics[GM_MAX_METRICS];
    int32_t count;
    fit.epochs = 500;
    fit.batch = 10;
    fit.validation = held;
    fit.patience = 5;
    fit.on_report = watch_fit;
    fit.user = &w;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    ck_assert(w.epochs < 500 && w.last > w.best);
    support_ok(ctx, gm_model_evaluate(model, held, support_batches(10, 0), metrics, GM_MAX_METRICS,
                                      &count));
    ck_assert_int_eq(count, 2);
    ck_assert(metrics[0].value == w.best);
    w.stop = 1;
    w.updates = 0;
    fit.anew = 1;
    support_fails(ctx, gm_model_fit(model, data, &fit), GM_E_CANCELLED, "update");
    ck_assert_int_eq(w.updates, 1);
    gm_model_release(model);
    gm_dataset_release(held);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* Labels come from the dataset when there is one, else from the host. */
START_TEST(labels)
{
    gm_context *ctx = support_context(6, 2);
    gm_dataset *data = moons_data(ctx, 1, MOONS, 1), *held = moons_data(ctx, 2, 200, 1),
               *bare = moons_data(ctx, 2, 200, 0);
    gm_model *model = moons_model(ctx, 2, 5e-3);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    static float rows[400];
    uint8_t which[200];
    int64_t right[200], wrong[200];
    double log_prob[2][200], error;
    fit.epochs = 30;
    fit.batch = 100;
    support_fails(ctx, gm_model_fit(model, bare, &fit), GM_E_STATE, "labels");
    support_ok(ctx, gm_model_fit(model, data, &fit));
    moons(ctx, 2, 200, rows, which);
    for (int i = 0; i < 200; i++) wrong[i] = 1 - (right[i] = which[i]);
    support_fails(ctx, gm_model_log_prob(model, rows, 200, log_prob[0]), GM_E_STATE, "labels");
    support_ok(ctx, gm_model_set_labels(model, right, 200));
    support_ok(ctx, gm_model_log_prob(model, rows, 200, log_prob[0]));
    support_ok(ctx, gm_model_set_labels(model, wrong, 200));
    support_ok(ctx, gm_model_log_prob(model, rows, 200, log_prob[1]));
    const double with_right = mean_of(log_prob[0], 200, &error);
    ck_assert(with_right > mean_of(log_prob[1], 200, &error) + 1);
    gm_result nll = GM_RESULT_INIT;
    support_ok(ctx, gm_evaluate_nll(&nll, model, held, NULL));
    ck_assert(fabs(nll.value + with_right) < 1e-5);
    gm_model_release(model);
    gm_dataset_release(bare);
    gm_dataset_release(held);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* After the first call with a count no verb takes memory, and rows beyond a group are as others. */
START_TEST(no_memory_after_the_first_call)
{
    gm_context *ctx = support_context(8, 2);
    gm_model *model = moons_model(ctx, 0, 1e-3);
    static float rows[2 * 1100];
    static double log_prob[1100];
    double alone;
    gm_memory_counters before, after;
    moons(ctx, 4, 1100, rows, NULL);
    for (int i = 0; i < 3; i++) {
        if (i == 1) gm_context_memory(&before, ctx);
        support_ok(ctx, gm_model_step(model, rows, 64, NULL, 0, NULL));
        support_ok(ctx, gm_model_log_prob(model, rows, 1100, log_prob));
        support_ok(ctx, gm_model_log_prob(model, rows + 2 * 1050, 1, &alone));
        ck_assert(fabs(alone - log_prob[1050]) < 1e-5);
        support_ok(ctx, gm_model_sample_into(model, 1100, NULL, rows));
    }
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("host_family");
    TCase *t = tcase_create("host_family");
    tcase_set_timeout(t, 600);
    tcase_add_test(t, a_flow_learns_two_moons);
    tcase_add_test(t, checkpoints_and_files);
    tcase_add_test(t, patience_and_a_stop);
    tcase_add_test(t, labels);
    tcase_add_test(t, no_memory_after_the_first_call);
    suite_add_tcase(s, t);
    return s;
}
