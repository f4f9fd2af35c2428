/* test_sbn_em.c - sigmoid belief networks that learn by Markov chains and by mean field: the
 * gradients, the bars, files, threads, memory. */
#include "lifecycle.h"
#include "sbn_reference.h"

#define VISIBLE 4
#define ROWS 3
#define STATES 32
#define COPIES 67 /* of each row in a batch */
#define STEPS 100

static const float rows[ROWS * VISIBLE] = { 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0 };

/* A step that moves nothing. */
static gm_optimizer *standing_still(gm_context *ctx)
{
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    gm_optimizer *sgd = NULL;
    o.rate = 1e-30;
    support_ok(ctx, gm_sgd_create(&sgd, ctx, &o));
    return sgd;
}

/* Three kinds of nets of 5 hidden units: 0 plain, 1 with everything, 2 with everything but tanh
 * units. */
static gm_sbn *make_net(gm_context *ctx, int kind, int32_t estimator, int32_t recognition,
                        int64_t sweeps, gm_optimizer *optimizer)
{
    static const int64_t plain[2] = { 3, 2 }, deep[3] = { 2, 2, 1 }, tanh_units[3] = { 3, 0, 2 };
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layer_count = kind ? 3 : 2;
    o.layers = kind ? deep : plain;
    o.tanh_units = kind == 1 ? tanh_units : NULL;
    o.lateral = o.skip = kind > 0;
    o.estimator = estimator;
    o.recognition = recognition;
    o.samples = 1;
    o.sweeps = sweeps;
    o.optimizer = optimizer;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, VISIBLE, &o));
    ref_shake(sbn, 0.6);
    return sbn;
}

/* Mean over the rows of log p(x); or with weights `of` 'q', of E log q(h | x) under the posterior
 * `chance`. */
static double objective(const ref *r, char of, double chance[ROWS][STATES])
{
    double sum = 0;
    for (int k = 0; k < ROWS; k++) {
        double f[STATES];
        ref_state s = { { 0 } };
        ref_row(r, rows + k * VISIBLE, s);
        for (int n = 0; n < STATES; n++) {
            ref_spell(r, n, s, NULL);
            if (of == 'p')
                f[n] = ref_log_p(r, s);
            else
                sum += chance[k][n] * ref_log_q(r, s);
        }
        if (of == 'p') sum += ref_log_sum(f, STATES);
    }
    return sum / ROWS;
}

/* The largest deviation of the mean gradient from the exact one, in standard errors and as such,
 * over 20 100 draws. */
static void compare_chains(int kind, double spread, int64_t sweeps, double *errors, double *most,
                           double *size)
{
    gm_context *ctx = support_context(36, 2);
    gm_optimizer *sgd = standing_still(ctx);
    gm_sbn *sbn = make_net(ctx, kind, GM_SBN_GIBBS_EM, 1, sweeps, sgd);
    ref_shake(sbn, spread);
    gm_params *params = gm_model_params(gm_sbn_model(sbn));
    ref r = ref_make(sbn);
    double *mean = calloc((size_t)r.count, sizeof *mean),
           *square = calloc((size_t)r.count, sizeof *square);
    double chance[ROWS][STATES];
    float batch[ROWS * COPIES * VISIBLE];
    int64_t at;
    ck_assert(mean && square);
    for (int k = 0; k < ROWS; k++) {
        ref_state s = { { 0 } };
        ref_row(&r, rows + k * VISIBLE, s);
        for (int n = 0; n < STATES; n++) {
            ref_spell(&r, n, s, NULL);
            chance[k][n] = ref_log_p(&r, s);
        }
        const double whole = ref_log_sum(chance[k], STATES);
        for (int n = 0; n < STATES; n++) chance[k][n] = exp(chance[k][n] - whole);
    }
    for (int i = 0; i < COPIES; i++) memcpy(batch + i * ROWS * VISIBLE, rows, sizeof rows);
    for (int t = 0; t < STEPS; t++) {
        support_ok(ctx, gm_model_step(gm_sbn_model(sbn), batch, ROWS * COPIES, NULL, 0, NULL));
        at = 0;
        for (int64_t p = 0; p < gm_params_count(params); p++) {
            gm_param *w = gm_params_get(params, p);
            for (int64_t i = 0; i < gm_param_count(w); i++, at++) {
                const double g = (double)gm_param_gradient(w)[i];
                mean[at] += g / STEPS;
                square[at] += g * g / STEPS;
            }
        }
    }
    at = 0;
    int moved = 0;
    *errors = *most = *size = 0;
    for (int64_t p = 0; p < gm_params_count(params); p++) {
        const char of = gm_params_name(params, p)[0];
        for (int64_t i = 0; i < gm_param_count(gm_params_get(params, p)); i++, at++) {
            const double kept = r.w[at], step = 1e-4;
            r.w[at] = kept + step;
            double want = -objective(&r, of, chance);
            r.w[at] = kept - step;
            want = (want + objective(&r, of, chance)) / (2 * step);
            r.w[at] = kept;
            const double error =
                sqrt(fmax(0, square[at] - mean[at] * mean[at]) / (STEPS - 1)) + 1e-6;
            *errors = fmax(*errors, fabs(mean[at] - want) / error);
            *most = fmax(*most, fabs(mean[at] - want));
            *size = fmax(*size, fabs(want));
            moved += fabs(want) > 4 * error;
        }
    }
    ck_assert_int_eq(at, r.count);
    ck_assert_msg(moved > at / 4, "%d of %d weights have a gradient that shows", moved, (int)at);
    free(mean);
    free(square);
    free(r.w);
    gm_sbn_release(sbn);
    gm_optimizer_release(sgd);
    gm_context_release(ctx);
}

/* Long chains: the exact gradient of - log p(x), and of q's lesson. A single sweep from q shows
 * where it began. */
START_TEST(gradient_of_chains)
{
    static const struct {
        int kind;
        double spread;
        int64_t sweeps;
    } runs[] = { { 0, 1.5, 20 }, { 1, 0.6, 10 }, { 0, 1.5, 5 }, { 0, 1.5, 2 }, { 0, 1.5, 1 } };
    for (int i = 0; i < 5; i++) {
        double errors, most, size;
        compare_chains(runs[i].kind, runs[i].spread, runs[i].sweeps, &errors, &most, &size);
        printf("net %d, %d sweeps: off by %.4f of %.3f, %.2f standard errors\n", runs[i].kind,
               (int)runs[i].sweeps, most, size, errors);
        if (i < 2)
            ck_assert_msg(errors < support_bound(140), "net %d: %g standard errors", runs[i].kind,
                          errors);
        if (i == 4)
            ck_assert_msg(errors > support_bound(140),
                          "the bias of one sweep should show: %g standard errors", errors);
    }
}
END_TEST

/* A net that hears of the rows over and over. */
static gm_sbn *make_keeper(gm_context *ctx, int32_t persistent, int32_t recognition,
                           gm_optimizer *optimizer)
{
    static const int64_t layers[2] = { 3, 2 };
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layer_count = 2, o.layers = layers;
    o.estimator = GM_SBN_GIBBS_EM;
    o.recognition = recognition;
    o.samples = 2, o.sweeps = 1;
    o.persistent = persistent;
    o.optimizer = optimizer;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, VISIBLE, &o));
    ref_shake(sbn, 3);
    return sbn;
}

static gm_dataset *many_rows(gm_context *ctx, int64_t times)
{
    const int64_t shape[2] = { ROWS * times, VISIBLE };
    gm_dataset *data = NULL;
    float *x = malloc((size_t)times * sizeof rows);
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < times; i++) memcpy(x + i * ROWS * VISIBLE, rows, sizeof rows);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, x));
    free(x);
    return data;
}

struct losses {
    int64_t burn_in, count;
    double mean;
};

static int32_t on_epoch(void *user, const gm_fit_report *p)
{
    struct losses *l = user;
    if (p->epoch_end && p->epoch >= l->burn_in)
        l->mean += (p->metrics[0].value - l->mean) / (double)++l->count;
    return 0;
}

/* Minus the mean of log p(x, h), h ~ p(h | x) exactly. */
static double expected_loss(const gm_sbn *sbn)
{
    ref r = ref_make((gm_sbn *)sbn);
    double sum = 0;
    for (int k = 0; k < ROWS; k++) {
        double f[STATES];
        ref_state s = { { 0 } };
        ref_row(&r, rows + k * VISIBLE, s);
        for (int n = 0; n < STATES; n++) {
            ref_spell(&r, n, s, NULL);
            f[n] = ref_log_p(&r, s);
        }
        const double whole = ref_log_sum(f, STATES);
        for (int n = 0; n < STATES; n++) sum -= exp(f[n] - whole) * f[n];
    }
    free(r.w);
    return sum / ROWS;
}

/* One sweep an epoch is not enough from a fresh beginning; chains that go on reach the posterior.
 */
START_TEST(chains_go_on)
{
    double off[2];
    for (int32_t persistent = 0; persistent <= 1; persistent++) {
        gm_context *ctx = support_context(37, 2);
        gm_optimizer *sgd = standing_still(ctx);
        gm_sbn *sbn = make_keeper(ctx, persistent, 0, sgd);
        gm_dataset *data = many_rows(ctx, 200);
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        struct losses seen = { 100, 0, 0 };
        fit.epochs = 400;
        fit.batch = 70; /* the last one is smaller */
        fit.on_report = on_epoch;
        fit.user = &seen;
        support_ok(ctx, gm_model_fit(gm_sbn_model(sbn), data, &fit));
        off[persistent] = fabs(seen.mean - expected_loss(sbn));
        gm_dataset_release(data);
        gm_sbn_release(sbn);
        gm_optimizer_release(sgd);
        gm_context_release(ctx);
    }
    printf("one sweep an epoch: log p(x, h) is off by %.4f nats, with chains that go on by %.4f\n",
           off[0], off[1]);
    ck_assert_msg(off[1] < 0.007 && off[1] < off[0] / 2, "off by %g, with chains that go on by %g",
                  off[0], off[1]);
}
END_TEST

static gm_model *keeper_born(gm_context *ctx, const void *what)
{
    return gm_sbn_model(make_keeper(ctx, 1, *(const int32_t *)what, NULL));
}

static void fit_rows(gm_context *ctx, gm_model *model, int64_t times, int epochs)
{
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_dataset *data = many_rows(ctx, times);
    fit.batch = 7;
    fit.epochs = epochs;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    gm_dataset_release(data);
}

static void keeper_goes(gm_context *ctx, gm_model *model, int epochs)
{
    fit_rows(ctx, model, 10, epochs);
}

/* Any number of threads; and two epochs, a checkpoint, and one more: the same bytes. Other data
 * begin anew. */
START_TEST(chains_in_a_checkpoint)
{
    const int32_t recognition = _i;
    struct lifecycle l = {
        .make = keeper_born, .what = &recognition, .go = keeper_goes, .whole = 3, .cut = 2
    };
    lifecycle_begin(&l);
    lifecycle_cut(&l);
    lifecycle_resume(&l);
    fit_rows(l.ctx[1], l.rest, 4, 1);
    support_ok(l.ctx[1],
               gm_model_step(l.rest, rows, ROWS, NULL, 0, NULL)); /* rows without numbers */
    lifecycle_end(&l);
}
END_TEST

/* A checkpoint whose chains do not fit is refused. */
START_TEST(foreign_chains)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_context *ctx = support_context(53, 1);
    gm_sbn *sbn = make_keeper(ctx, 1, 0, NULL);
    gm_model *loaded = NULL;
    static const char *const told[] = { "4", "0", "-3", "9223372036854775807", "many" };
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int i = 0; i < 5; i++) {
        gm_archive *a = NULL;
        support_ok(ctx, gm_model_save(gm_sbn_model(sbn), path));
        support_ok(ctx, gm_archive_open(&a, ctx, path));
        support_ok(ctx, gm_archive_set_text(a, "sbn.chains.rows", told[i]));
        support_ok(ctx, gm_archive_put_bytes(a, "sbn.chains", "123456789", 9));
        support_ok(ctx, gm_archive_write(a, path));
        gm_archive_release(a);
        support_fails(ctx, gm_model_load(&loaded, ctx, path), i < 4 ? GM_E_SHAPE : GM_E_FORMAT,
                      "sbn.chains");
        ck_assert_ptr_null(loaded);
    }
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *bad = NULL;
    o.layer_count = 1, o.layers = (const int64_t[]){ 2 };
    o.persistent = 2;
    support_fails(ctx, gm_sbn_create(&bad, ctx, VISIBLE, &o), GM_E_INVALID, "persistent is 2");
    gm_sbn_release(sbn);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

static double field_bound(gm_context *ctx, gm_sbn *sbn, const double *from)
{
    gm_sbn_mean_field_options o = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    double mean[ROWS * 5], bound[ROWS];
    memcpy(mean, from, sizeof mean);
    o.go_on = 1, o.iterations = 5000, o.tolerance = 0;
    support_ok(ctx, gm_sbn_mean_field(sbn, rows, ROWS, &o, mean, bound, NULL));
    return (bound[0] + bound[1] + bound[2]) / ROWS;
}

/* The gradient of mean field's bound: means and xi are at their best, so their own change does not
 * count. */
START_TEST(gradient_of_mean_field)
{
    for (int kind = 0; kind <= 2; kind += 2) {
        gm_context *ctx = support_context(36, 2);
        gm_optimizer *sgd = standing_still(ctx);
        gm_sbn *sbn = make_net(ctx, kind, GM_SBN_MEAN_FIELD_EM, 0, 5000, sgd);
        gm_params *params = gm_model_params(gm_sbn_model(sbn));
        double mean[ROWS * 5], bound[ROWS], exact[ROWS], worst = 0;
        gm_metric m[GM_MAX_METRICS];
        int32_t count;
        ref_shake(sbn, 1.5);
        support_ok(ctx, gm_sbn_mean_field(sbn, rows, ROWS, NULL, mean, bound, NULL));
        support_ok(ctx, gm_model_step(gm_sbn_model(sbn), rows, ROWS, m, GM_MAX_METRICS, &count));
        ck_assert_double_eq_tol(nets_metric(m, count, "elbo"),
                                (bound[0] + bound[1] + bound[2]) / ROWS, 1e-4);
        ck_assert_double_eq(nets_metric(m, count, "loss"), -nets_metric(m, count, "elbo"));
        support_ok(ctx, gm_model_log_prob(gm_sbn_model(sbn), rows, ROWS, exact));
        ck_assert(exact[0] > bound[0] && exact[1] > bound[1] && exact[2] > bound[2]);
        int checked = 0, moved = 0;
        for (int64_t p = 0; p < gm_params_count(params); p++) {
            gm_param *w = gm_params_get(params, p);
            const int lateral = strstr(gm_params_name(params, p), "lateral") != NULL;
            for (int64_t i = 0; i < gm_param_count(w); i++) {
                if (lateral && i % gm_param_shape(w)[1] >= i / gm_param_shape(w)[1]) continue;
                float *value = gm_param_value(w) + i;
                const float kept = *value, up = kept + 1e-3f, down = kept - 1e-3f;
                *value = up;
                double want = -field_bound(ctx, sbn, mean);
                *value = down;
                want = (want + field_bound(ctx, sbn, mean)) / ((double)up - (double)down);
                *value = kept;
                const double got = (double)gm_param_gradient(w)[i];
                ck_assert_msg(fabs(got - want) < 1e-4, "net %d, %s[%d]: %g, by differences %g",
                              kind, gm_params_name(params, p), (int)i, got, want);
                worst = fmax(worst, fabs(got - want));
                checked++;
                moved += fabs(want) > 0.01;
            }
        }
        printf("net %d: %d weights, off by at most %.2g\n", kind, checked, worst);
        ck_assert(checked > 25 && moved > checked / 2);
        gm_sbn_release(sbn);
        gm_optimizer_release(sgd);
        gm_context_release(ctx);
    }
}
END_TEST

/* 4 x 4 bars: all lines across or all lines down, each on or off by a fair coin. */
static double bars_divergence(gm_context *ctx, gm_sbn *sbn, const float *bars)
{
    double lp[32], sum = 0;
    support_ok(ctx, gm_sbn_enumerate(sbn, bars, 32, NULL, lp, NULL));
    for (int n = 0; n < 32; n++)
        sum += ((n % 16 == 0 || n % 16 == 15 ? log(2) : 0) - log(32) - lp[n]) / 32;
    return sum;
}

START_TEST(bars_are_recovered_by_chains)
{
    static const int64_t layers[2] = { 8, 4 };
    float bars[32 * 16];
    for (int n = 0; n < 32; n++)
        for (int i = 0; i < 16; i++) bars[16 * n + i] = (float)(n >> (n < 16 ? i / 4 : i % 4) & 1);
    gm_context *ctx = support_context(41, 1);
    gm_adam_options a = GM_ADAM_OPTIONS_INIT;
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_optimizer *adam = NULL;
    gm_sbn *sbn = NULL;
    a.rate = 0.1;
    support_ok(ctx, gm_adam_create(&adam, ctx, &a));
    o.layer_count = 2, o.layers = layers, o.optimizer = adam;
    o.estimator = GM_SBN_GIBBS_EM, o.samples = 2, o.sweeps = 4;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 16, &o));
    const double before = bars_divergence(ctx, sbn, bars);
    double after = before;
    int steps = 0;
    while (after > 0.15 && steps < 20000) {
        for (int i = 0; i < 300; i++, steps++)
            support_ok(ctx, gm_model_step(gm_sbn_model(sbn), bars, 32, NULL, 0, NULL));
        after = bars_divergence(ctx, sbn, bars);
    }
    printf("bars by chains: %g nats, then %g after %d steps\n", before, after, steps);
    ck_assert_msg(after > -1e-4 && after <= 0.15, "KL %g, then %g", before, after);
    gm_sbn_release(sbn);
    gm_optimizer_release(adam);
    gm_context_release(ctx);
}
END_TEST

typedef struct net_kind {
    int kind;
    int32_t estimator, recognition;
} net_kind;

static gm_model *born(gm_context *ctx, const void *what)
{
    const net_kind *k = what;
    return gm_sbn_model(make_net(ctx, k->kind, k->estimator, k->recognition, 3, NULL));
}

static void go(gm_context *ctx, gm_model *model, int steps)
{
    for (int t = 0; t < steps; t++)
        support_ok(ctx, gm_model_step(model, rows, ROWS, NULL, 0, NULL));
}

/* Five steps with any number of threads; three, a checkpoint, and two by what it holds: the same
 * bytes, and no allocation on the way. */
START_TEST(files_threads_and_memory)
{
    for (int kind = 0; kind < 3; kind++)
        for (int32_t recognition = 0; recognition <= 1; recognition++) {
            const net_kind k = { kind, _i, recognition };
            struct lifecycle l = {
                .make = born, .what = &k, .go = go, .whole = 5, .cut = 3, .settled = 2
            };
            if (kind == 1 && _i == GM_SBN_MEAN_FIELD_EM) continue; /* tanh units */
            lifecycle_begin(&l);
            lifecycle_cut(&l);
            lifecycle_resume(&l);
            ck_assert_int_eq(gm_sbn_has_recognition(gm_sbn_from_model(l.rest)), recognition);
            lifecycle_end(&l);
        }
}
END_TEST

/* Evaluation moves nothing and names what it can. */
START_TEST(evaluation)
{
    for (int32_t recognition = 0; recognition <= 1; recognition++) {
        gm_context *ctx = support_context(71, 1);
        gm_sbn *sbn = make_net(ctx, 0, _i, recognition, 3, NULL);
        gm_dataset *data = NULL;
        const int64_t shape[2] = { ROWS, VISIBLE };
        gm_metric m[GM_MAX_METRICS];
        int32_t count;
        int64_t n;
        double exact[ROWS];
        support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
        float *before = nets_weights(gm_sbn_model(sbn), &n);
        support_ok(ctx, gm_sbn_enumerate(sbn, rows, ROWS, NULL, exact, NULL));
        support_ok(ctx, gm_model_evaluate(gm_sbn_model(sbn), data, support_batches(2, 0), m,
                                          GM_MAX_METRICS, &count));
        ck_assert_str_eq(m[0].name, "loss");
        const double chains = _i == GM_SBN_GIBBS_EM && !recognition;
        ck_assert_int_eq(count, chains ? 1 : 2);
        ck_assert(m[0].value > 0 && m[0].value < 20);
        if (_i == GM_SBN_MEAN_FIELD_EM)
            ck_assert(m[0].value > -(exact[0] + exact[1] + exact[2]) / 3);
        float *after = nets_weights(gm_sbn_model(sbn), &n);
        ck_assert_mem_eq(before, after, (size_t)n * sizeof *after);
        free(before);
        free(after);
        gm_dataset_release(data);
        gm_sbn_release(sbn);
        gm_context_release(ctx);
    }
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("sbn em");
    TCase *t = tcase_create("sbn em");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, gradient_of_chains);
    tcase_add_test(t, chains_go_on);
    tcase_add_loop_test(t, chains_in_a_checkpoint, 0, 2);
    tcase_add_test(t, foreign_chains);
    tcase_add_test(t, gradient_of_mean_field);
    tcase_add_test(t, bars_are_recovered_by_chains);
    tcase_add_loop_test(t, files_threads_and_memory, GM_SBN_GIBBS_EM, GM_SBN_MEAN_FIELD_EM + 1);
    tcase_add_loop_test(t, evaluation, GM_SBN_GIBBS_EM, GM_SBN_MEAN_FIELD_EM + 1);
    suite_add_tcase(s, t);
    return s;
}
