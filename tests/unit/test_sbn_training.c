/* test_sbn_training.c - how sigmoid belief networks learn: the mean of each estimator's gradient
 * against finite differences of what it estimates, exactly enumerated; the bars; files, threads,
 * memory. */
#include "lifecycle.h"
#include "sbn_reference.h"

#define VISIBLE 4
#define ROWS 3
#define COPIES 67 /* of each row in a batch */
#define STEPS 100
#define STATES 32

static const float rows[ROWS * VISIBLE] = { 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0 };

/* The objectives, as functions of all weights. Coefficients c[row][state] are constants of the
 * present weights. */
typedef struct targets {
    ref r;
    double c[ROWS][STATES];   /* of log p, and of log q awake */
    double dream[16][STATES]; /* p(x, h) */
} targets;

static void spell_row(const ref *r, int64_t x, ref_state s)
{
    for (int64_t i = 0; i < r->size[0]; i++) s[0][i] = (double)(x >> i & 1);
}

/* What one draw of a row's K = 2 weighs, in expectation over both; and the dreams. */
static void prepare(targets *e)
{
    for (int k = 0; k < ROWS; k++) {
        double q[STATES], w[STATES];
        ref_state s = { { 0 } };
        ref_row(&e->r, rows + k * VISIBLE, s);
        for (int n = 0; n < STATES; n++) {
            ref_spell(&e->r, n, s, NULL);
            q[n] = exp(ref_log_q(&e->r, s));
            w[n] = exp(ref_log_p(&e->r, s)) / q[n];
        }
        for (int n = 0; n < STATES; n++) {
            e->c[k][n] = 0;
            for (int m = 0; m < STATES; m++) e->c[k][n] += 2 * q[n] * q[m] * w[n] / (w[n] + w[m]);
        }
    }
    for (int x = 0; x < 16; x++)
        for (int n = 0; n < STATES; n++) {
            ref_state s = { { 0 } };
            spell_row(&e->r, x, s);
            ref_spell(&e->r, n, s, NULL);
            e->dream[x][n] = exp(ref_log_p(&e->r, s));
        }
}

/* Mean over the rows of E f; of E log (e^f + e^f') / 2; of sum c log p and sum c log q. */
static double of_rows(const targets *e, int what)
{
    double sum = 0;
    for (int k = 0; k < ROWS; k++) {
        double p[STATES], q[STATES];
        ref_state s = { { 0 } };
        ref_row(&e->r, rows + k * VISIBLE, s);
        for (int n = 0; n < STATES; n++) {
            ref_spell(&e->r, n, s, NULL);
            p[n] = ref_log_p(&e->r, s);
            q[n] = ref_log_q(&e->r, s);
        }
        for (int n = 0; n < STATES; n++) {
            if (what == 'b')
                sum += exp(q[n]) * (p[n] - q[n]);
            else if (what == 'p')
                sum += e->c[k][n] * p[n];
            else if (what == 'q')
                sum += e->c[k][n] * q[n];
            else
                for (int m = 0; m < STATES; m++) {
                    const double two[2] = { p[n] - q[n], p[m] - q[m] };
                    sum += exp(q[n] + q[m]) * (ref_log_sum(two, 2) - log(2));
                }
        }
    }
    return sum / ROWS;
}

static double of_dreams(const targets *e)
{
    double sum = 0;
    for (int x = 0; x < 16; x++)
        for (int n = 0; n < STATES; n++) {
            ref_state s = { { 0 } };
            spell_row(&e->r, x, s);
            ref_spell(&e->r, n, s, NULL);
            sum += e->dream[x][n] * ref_log_q(&e->r, s);
        }
    return sum;
}

/* What the estimator climbs, for a weight of p or of q. */
static double objective(const targets *e, int32_t estimator, char of)
{
    switch (estimator) {
    case GM_SBN_WAKE_SLEEP:
        return of == 'p' ? of_rows(e, 'b') : of_dreams(e);
    case GM_SBN_RWS:
        return of == 'p' ? of_rows(e, 'p') : of_rows(e, 'q') + of_dreams(e);
    case GM_SBN_VIMCO:
        return of_rows(e, 'v');
    default:
        return of_rows(e, 'b');
    }
}

/* A step that moves nothing, so that gradients are all of the same weights. */
static gm_optimizer *standing_still(gm_context *ctx)
{
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    gm_optimizer *sgd = NULL;
    o.rate = 1e-30;
    support_ok(ctx, gm_sgd_create(&sgd, ctx, &o));
    return sgd;
}

static void check_gradient(int32_t estimator, int shape)
{
    gm_context *ctx = support_context(31 + (uint64_t)estimator, 2);
    gm_optimizer *sgd = standing_still(ctx);
    gm_sbn *sbn = ref_net(ctx, shape, VISIBLE, estimator,
                          estimator == GM_SBN_RWS || estimator == GM_SBN_VIMCO ? 2 : 1, sgd);
    ref_shake(sbn, 0.4); /* so that no signal of NVIL deviates by more than 1, and none is shrunk */
    gm_params *params = gm_model_params(gm_sbn_model(sbn));
    targets e = { .r = ref_make(sbn) };
    const size_t bytes = (size_t)e.r.count * sizeof(double);
    double *mean = calloc(1, bytes), *square = calloc(1, bytes);
    float batch[ROWS * COPIES * VISIBLE];
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    int64_t at = 0;
    ck_assert(mean && square);
    prepare(&e);
    for (int i = 0; i < COPIES; i++) memcpy(batch + i * ROWS * VISIBLE, rows, sizeof rows);
    for (int t = -1; t < STEPS; t++) {
        support_ok(
            ctx, gm_model_step(gm_sbn_model(sbn), batch, ROWS * COPIES, m, GM_MAX_METRICS, &count));
        if (t < 0) continue; /* NVIL's first step is told to be another */
        if (estimator == GM_SBN_NVIL) ck_assert_double_lt(nets_metric(m, count, "signal"), 0.9);
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
    int checked = 0, moved = 0;
    for (int64_t p = 0; p < gm_params_count(params); p++) {
        const char of = gm_params_name(params, p)[0];
        for (int64_t i = 0; i < gm_param_count(gm_params_get(params, p)); i++, at++) {
            if (of != 'p' && of != 'q') continue; /* a baseline */
            const double kept = e.r.w[at], step = 1e-4;
            e.r.w[at] = kept + step;
            double want = -objective(&e, estimator, of);
            e.r.w[at] = kept - step;
            want = (want + objective(&e, estimator, of)) / (2 * step);
            e.r.w[at] = kept;
            const double error = sqrt(fmax(0, square[at] - mean[at] * mean[at]) / (STEPS - 1));
            ck_assert_msg(fabs(mean[at] - want) < support_bound(20 * e.r.count) * error + 1e-6,
                          "estimator %d, shape %d, %s[%lld]: mean gradient %g, exact %g, error %g",
                          (int)estimator, shape, gm_params_name(params, p), (long long)i, mean[at],
                          want, error);
            checked++;
            moved += fabs(want) > 4 * error + 1e-6;
        }
    }
    ck_assert_msg(checked > 40 && moved > checked / 4, "%d weights, %d with a gradient that shows",
                  checked, moved);
    free(mean);
    free(square);
    free(e.r.w);
    gm_sbn_release(sbn);
    gm_optimizer_release(sgd);
    gm_context_release(ctx);
}

START_TEST(mean_gradients)
{
    for (int shape = 0; shape < REF_SHAPES; shape++) check_gradient(_i, shape);
}
END_TEST

/* 4 x 4 bars: all lines across or all lines down, each on or off by a fair coin. Some states come
 * twice. */
static void make_bars(float bars[32 * 16])
{
    for (int n = 0; n < 32; n++)
        for (int i = 0; i < 16; i++) bars[16 * n + i] = (float)(n >> (n < 16 ? i / 4 : i % 4) & 1);
}

static double bars_divergence(gm_context *ctx, gm_sbn *sbn, const float *bars)
{
    double lp[32], sum = 0;
    support_ok(ctx, gm_sbn_enumerate(sbn, bars, 32, NULL, lp, NULL));
    for (int n = 0; n < 32; n++) {
        const int twice = n % 16 == 0 || n % 16 == 15;
        sum += ((twice ? log(2) : 0) - log(32) - lp[n]) / 32;
    }
    return sum;
}

/* Exact KL(data || p) of at most 0.15 nat. */
START_TEST(bars_are_recovered)
{
    static const int32_t estimators[2] = { GM_SBN_VIMCO, GM_SBN_NVIL };
    static const int64_t layers[2] = { 8, 4 };
    float bars[32 * 16];
    make_bars(bars);
    gm_context *ctx = support_context(41, 1);
    gm_adam_options a = GM_ADAM_OPTIONS_INIT;
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_optimizer *adam = NULL;
    gm_sbn *sbn = NULL;
    a.rate = 0.02;
    support_ok(ctx, gm_adam_create(&adam, ctx, &a));
    o.layer_count = 2, o.layers = layers, o.optimizer = adam;
    o.estimator = estimators[_i];
    o.samples = o.estimator == GM_SBN_VIMCO ? 5 : 2;
    o.baseline_units = 16;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 16, &o));
    const double before = bars_divergence(ctx, sbn, bars);
    int steps = 0;
    double after = before;
    while (after > 0.15 && steps < 20000) {
        for (int i = 0; i < 500; i++, steps++)
            support_ok(ctx, gm_model_step(gm_sbn_model(sbn), bars, 32, NULL, 0, NULL));
        after = bars_divergence(ctx, sbn, bars);
    }
    printf("bars, estimator %d: %g nats, then %g after %d steps\n", (int)o.estimator, before, after,
           steps);
    ck_assert_msg(after > -1e-4 && after <= 0.15, "estimator %d: KL %g, then %g", (int)o.estimator,
                  before, after);
    gm_sbn_release(sbn);
    gm_optimizer_release(adam);
    gm_context_release(ctx);
}
END_TEST

static void same_samples(gm_context *ctx, gm_model *a, gm_model *b)
{
    gm_tensor *x = NULL, *y = NULL;
    gm_model_seed(a, 5);
    gm_model_seed(b, 5);
    support_ok(ctx, gm_model_sample(&x, a, 20));
    support_ok(ctx, gm_model_sample(&y, b, 20));
    ck_assert_mem_eq(gm_tensor_read(x), gm_tensor_read(y), 20 * VISIBLE * sizeof(float));
    gm_tensor_release(x);
    gm_tensor_release(y);
}

typedef struct net_kind {
    int shape;
    int32_t estimator;
} net_kind;

static gm_model *born(gm_context *ctx, const void *what)
{
    const net_kind *k = what;
    return gm_sbn_model(ref_net(ctx, k->shape, VISIBLE, k->estimator, 3, NULL));
}

static void go(gm_context *ctx, gm_model *model, int steps)
{
    for (int t = 0; t < steps; t++)
        support_ok(ctx, gm_model_step(model, rows, ROWS, NULL, 0, NULL));
}

/* Seven steps with any number of threads; three, a checkpoint, and four by what it holds: the same
 * bytes, and no allocation after two. */
START_TEST(files_threads_and_memory)
{
    for (int shape = 0; shape < REF_SHAPES; shape++) {
        const net_kind kind = { shape, _i };
        struct lifecycle l = {
            .make = born, .what = &kind, .go = go, .whole = 7, .cut = 3, .settled = 2
        };
        lifecycle_begin(&l);
        lifecycle_cut(&l);
        gm_model *twin = NULL;
        support_ok(l.ctx[2], gm_model_load(&twin, l.ctx[2], l.path));
        same_samples(l.ctx[3], l.model[3], twin);
        gm_model_release(twin);
        lifecycle_resume(&l);
        gm_sbn *loaded = gm_sbn_from_model(l.rest);
        ck_assert_int_eq(gm_sbn_layers(loaded), shape ? 3 : 2);
        ck_assert_int_eq(gm_sbn_has_tanh(loaded), shape);
        ck_assert_int_eq(gm_sbn_has_recognition(loaded), 1);
        ck_assert_int_eq(gm_sbn_hidden_units(loaded), 5);
        lifecycle_end(&l);
    }
}
END_TEST

/* Evaluation moves nothing: no weight, no running statistic. */
START_TEST(evaluation_moves_nothing)
{
    gm_context *ctx = support_context(71, 1);
    gm_sbn *sbn = ref_net(ctx, 0, VISIBLE, _i, 3, NULL);
    gm_dataset *data = NULL;
    const int64_t shape[2] = { ROWS, VISIBLE };
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    int64_t n;
    double exact[ROWS], mean = 0;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    float *before = nets_weights(gm_sbn_model(sbn), &n);
    support_ok(ctx, gm_sbn_enumerate(sbn, rows, ROWS, NULL, exact, NULL));
    for (int k = 0; k < 200; k++) {
        support_ok(ctx, gm_model_evaluate(gm_sbn_model(sbn), data, support_batches(2, 0), m,
                                          GM_MAX_METRICS, &count));
        ck_assert_str_eq(m[0].name, "loss");
        mean += nets_metric(m, count, "elbo") / 200;
    }
    ck_assert(mean < (exact[0] + exact[1] + exact[2]) / 3); /* a bound */
    float *after = nets_weights(gm_sbn_model(sbn), &n);
    ck_assert_mem_eq(before, after, (size_t)n * sizeof *after);
    free(before);
    free(after);
    gm_dataset_release(data);
    gm_sbn_release(sbn);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("sbn training");
    TCase *t = tcase_create("sbn training");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, mean_gradients, GM_SBN_WAKE_SLEEP, GM_SBN_DISARM + 1);
    tcase_add_loop_test(t, bars_are_recovered, 0, 2);
    tcase_add_loop_test(t, files_threads_and_memory, GM_SBN_WAKE_SLEEP, GM_SBN_DISARM + 1);
    tcase_add_loop_test(t, evaluation_moves_nothing, GM_SBN_WAKE_SLEEP, GM_SBN_DISARM + 1);
    suite_add_tcase(s, t);
    return s;
}
