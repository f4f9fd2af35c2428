/* test_sbn_inference.c - the posterior of sigmoid belief networks by Markov chains and by mean
 * field, against enumeration; training by both. */
#include "models/belief/sbn_net.h"
#include "models/family.h"
#include "sbn_reference.h"

#define VISIBLE 6
#define ROWS 3

static const float rows[ROWS * VISIBLE] = { 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1 };

/* Up to 12 hidden units: two layers; three that hear all above and each other; a small one with
 * tanh units. */
#define NETS 3
static gm_sbn *make_net(gm_context *ctx, int which, double spread)
{
    static const int64_t plain[2] = { 8, 4 }, general[3] = { 5, 4, 3 }, small[2] = { 3, 2 },
                         tanh_units[2] = { 3, 2 };
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layer_count = which == 1 ? 3 : 2;
    o.layers = which == 0 ? plain : which == 1 ? general : small;
    o.lateral = o.skip = which == 1;
    o.tanh_units = which == 2 ? tanh_units : NULL;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, VISIBLE, &o));
    ref_shake(sbn, spread);
    return sbn;
}

START_TEST(chains_find_the_posterior)
{
    gm_context *ctx = support_context(3, 1);
    gm_sbn *sbn = make_net(ctx, _i, 1.5);
    const int64_t hidden = gm_sbn_hidden_units(sbn);
    double exact[ROWS], want[ROWS * 12], mean[ROWS * 12], hat[ROWS * 12], ess[ROWS * 12], worst = 0;
    float states[ROWS * 4 * 12];
    support_ok(ctx, gm_sbn_enumerate(sbn, rows, ROWS, NULL, exact, want));
    for (int32_t start = GM_SBN_INIT_RECOGNITION; start <= GM_SBN_INIT_UNIFORM; start++) {
        gm_sbn_gibbs_options o = GM_SBN_GIBBS_OPTIONS_INIT;
        gm_sbn_gibbs_result r = GM_SBN_GIBBS_RESULT_INIT;
        o.samples = 4000;
        o.start = start;
        o.r_hat = hat, o.ess = ess;
        o.thin = start == GM_SBN_INIT_PRIOR && _i < 2 ? 2 : 1;
        support_ok(ctx, gm_sbn_gibbs(&r, sbn, rows, ROWS, &o, mean, states));
        ck_assert_int_eq(r.sweeps, 200 + o.samples * o.thin);
        ck_assert_int_eq(r.unmixed, 0);
        double most = 0, least = INFINITY, spread = 0;
        for (int64_t i = 0; i < ROWS * hidden; i++) {
            ck_assert_msg(fabs(mean[i] - want[i]) < support_bound(9 * ROWS * hidden) *
                                                            sqrt(want[i] * (1 - want[i]) / ess[i]) +
                                                        1e-3,
                          "net %d, start %d, unit %d: %g, exactly %g", _i, (int)start, (int)i,
                          mean[i], want[i]);
            worst = fmax(worst, fabs(mean[i] - want[i]));
            most = fmax(most, hat[i]);
            least = fmin(least, ess[i]);
            spread = fmax(spread, fabs(want[i] - 0.5));
            ck_assert(hat[i] > 0.999 && hat[i] < 1.05 && ess[i] > 200);
        }
        ck_assert_double_eq(most, r.r_hat);
        ck_assert_double_eq(most, hat[r.row * hidden + r.unit]);
        ck_assert_double_eq(least, r.ess);
        ck_assert(spread > 0.3); /* there is something to find */
        for (int64_t i = 0; i < ROWS * 4 * hidden; i++) ck_assert(states[i] == 0 || states[i] == 1);
        if (_i == 2 && start == GM_SBN_INIT_RECOGNITION) break; /* the tape is slow */
    }
    printf("net %d: marginals by chains are off by at most %.4f\n", _i, worst);
    gm_sbn_release(sbn);
    gm_context_release(ctx);
}
END_TEST

/* log p(x) by draws of q, on the same nets with up to 12 units. */
START_TEST(importance_estimate)
{
    gm_context *ctx = support_context(9, 1);
    gm_sbn *sbn = make_net(ctx, _i, 0.7);
    double exact[ROWS], got[ROWS], error[ROWS], bound[ROWS];
    support_ok(ctx, gm_sbn_enumerate(sbn, rows, ROWS, NULL, exact, NULL));
    support_ok(ctx, gm_sbn_log_prob(sbn, rows, ROWS,
                                    &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                            .samples = 20000 },
                                    got, error, bound));
    for (int k = 0; k < ROWS; k++) {
        ck_assert(error[k] > 0 && error[k] < 0.1 && bound[k] < exact[k]);
        ck_assert_msg(fabs(got[k] - exact[k]) < support_bound(3 * ROWS) * error[k],
                      "net %d, row %d: %g, exactly %g, error %g", _i, k, got[k], exact[k],
                      error[k]);
    }
    gm_sbn_release(sbn);
    gm_context_release(ctx);
}
END_TEST

/* One hidden unit: then every sweep gives its exact probability, with inputs far from 0 too, where
 * 1 - p is all rounding. */
START_TEST(saturated_units)
{
    static const int64_t one[1] = { 1 };
    static const double heard[6][2] = { { -80, 100 },  { 80, -100 }, { 390, -350 },
                                        { -390, 350 }, { 30, 10 },   { 0, 40 } };
    gm_context *ctx = support_context(4, 1);
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    gm_sbn_gibbs_options g = GM_SBN_GIBBS_OPTIONS_INIT;
    g.samples = 4, g.burn_in = 0;
    o.layer_count = 1, o.layers = one;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 1, &o));
    gm_params *params = gm_model_params(gm_sbn_model(sbn));
    for (int k = 0; k < 12; k++) {
        const float x = (float)(k % 2);
        const double w = heard[k / 2][0], b = heard[k / 2][1];
        gm_sbn_gibbs_result r = GM_SBN_GIBBS_RESULT_INIT;
        double mean;
        gm_param_value(gm_params_find(params, "p0.weight"))[0] = (float)w;
        gm_param_value(gm_params_find(params, "p0.bias"))[0] = (float)b;
        /* The unit's own bias takes back what the visible one says, but for 0.7. */
        const double told = ref_log_bit(b + w, (double)x) - ref_log_bit(b, (double)x);
        gm_param_value(gm_params_find(params, "p.top"))[0] = (float)(0.7 - told);
        const double odds = (double)(float)(0.7 - told) + told;
        support_ok(ctx, gm_sbn_gibbs(&r, sbn, &x, 1, &g, &mean, NULL));
        ck_assert_msg(fabs(mean - 1 / (1 + exp(-odds))) < 1e-9, "weight %g, bias %g, x %g: %g", w,
                      b, (double)x, mean);
    }
    gm_param_value(gm_params_find(params, "p0.bias"))[0] = NAN;
    gm_sbn_gibbs_result r = { sizeof r, 5, 5, 5, 5, 5, 5 };
    const float x = 1;
    double mean;
    support_fails(ctx, gm_sbn_gibbs(&r, sbn, &x, 1, &g, &mean, NULL), GM_E_NUMERIC, "not finite");
    ck_assert_double_eq(r.r_hat, 5);
    gm_sbn_release(sbn);
    gm_context_release(ctx);
}
END_TEST

typedef struct heard {
    int warnings;
    char line[512];
} heard;

static void listen(void *user, int32_t level, const char *line)
{
    heard *h = user;
    if (level != GM_LOG_WARNING) return;
    h->warnings++;
    snprintf(h->line, sizeof h->line, "%s", line);
}

/* A top unit and eight that all copy it: chains stay where they began. */
START_TEST(chains_that_do_not_mix)
{
    static const int64_t layers[2] = { 8, 1 };
    enum { CHAINS = 6 };
    heard h = { 0, "" };
    gm_context_options host = GM_CONTEXT_OPTIONS_INIT;
    host.seed = 5;
    host.log = listen;
    host.log_user = &h;
    gm_context *ctx = NULL;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &host), GM_OK);
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layer_count = 2, o.layers = layers;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, VISIBLE, &o));
    gm_params *params = gm_model_params(gm_sbn_model(sbn));
    for (int i = 0; i < 8; i++) {
        gm_param_value(gm_params_find(params, "p1.weight"))[i] = 16;
        gm_param_value(gm_params_find(params, "p1.bias"))[i] = -8;
    }
    gm_param *w = gm_params_find(params, "p0.weight");
    for (int64_t i = 0; i < gm_param_count(w); i++) gm_param_value(w)[i] = 0;
    gm_sbn_gibbs_options g = GM_SBN_GIBBS_OPTIONS_INIT;
    gm_sbn_gibbs_result r = GM_SBN_GIBBS_RESULT_INIT;
    double mean[2 * 9], hat[2 * 9], ess[2 * 9];
    float states[2 * CHAINS * 9];
    g.r_hat = hat, g.ess = ess;
    g.chains = CHAINS, g.start = GM_SBN_INIT_UNIFORM, g.samples = 400, g.seed = 9;
    support_ok(ctx, gm_sbn_gibbs(&r, sbn, rows, 2, &g, mean, states));
    ck_assert_int_eq(h.warnings, 1);
    ck_assert_msg(strstr(h.line, "did not mix: R-hat is") && strstr(h.line, "of 2 rows"), "%s",
                  h.line);
    ck_assert(r.r_hat > 2 && r.unmixed >= 1 && r.ess < 50);
    ck_assert_double_eq(hat[r.row * 9 + r.unit], r.r_hat);
    printf("%s\n", h.line);
    /* Begun together in one place they look well, whatever else there is: that is what far-apart
     * beginnings are for. */
    for (int place = 0; place < 2; place++) {
        for (int i = 0; i < 2 * CHAINS * 9; i++) states[i] = (float)place;
        g.start = GM_SBN_INIT_STATES;
        support_ok(ctx, gm_sbn_gibbs(&r, sbn, rows, 2, &g, mean, states));
        ck_assert(r.unmixed == 0 && r.r_hat < GM_SBN_MIXED);
        ck_assert(fabs(mean[8] - place) < 0.01 && fabs(mean[0] - place) < 0.01);
    }
    ck_assert_int_eq(h.warnings, 1);
    gm_sbn_release(sbn);
    gm_context_release(ctx);
}
END_TEST

/* The same bytes for any number of threads, and from one seed to the same seed; the model's own
 * generator only without one. */
START_TEST(seeds_and_threads)
{
    double mean[4][ROWS * 12], ess[4][ROWS * 12];
    float states[4][ROWS * 4 * 12];
    for (int net = 0; net < NETS; net++) {
        gm_sbn_gibbs_options o = GM_SBN_GIBBS_OPTIONS_INIT;
        o.samples = 21, o.burn_in = 3, o.thin = 2;
        for (int i = 0; i < 4; i++) {
            gm_context *ctx = support_context(6, i % 3 + 1);
            gm_sbn *sbn = make_net(ctx, net, 1);
            gm_rng_state before, after;
            gm_sbn_gibbs_result r = GM_SBN_GIBBS_RESULT_INIT;
            memset(mean[i], 0, sizeof mean[i]);
            memset(ess[i], 0, sizeof ess[i]);
            memset(states[i], 0, sizeof states[i]);
            o.seed = i == 3 ? 78 : 77;
            o.ess = ess[i];
            gm_rng_save(&before, gm_sbn_model(sbn)->rng);
            support_ok(ctx, gm_sbn_gibbs(&r, sbn, rows, ROWS, &o, mean[i], states[i]));
            gm_rng_save(&after, gm_sbn_model(sbn)->rng);
            ck_assert_mem_eq(&before, &after, sizeof before);
            if (i == 2) { /* without a seed the numbers go on */
                o.seed = 0;
                o.ess = NULL;
                support_ok(ctx, gm_sbn_gibbs(&r, sbn, rows, ROWS, &o, mean[3], NULL));
                support_ok(ctx, gm_sbn_gibbs(&r, sbn, rows, ROWS, &o, ess[3], NULL));
                ck_assert(memcmp(mean[3], ess[3], sizeof mean[3]) != 0);
            }
            gm_sbn_release(sbn);
            gm_context_release(ctx);
        }
        for (int i = 1; i < 3; i++) {
            ck_assert_mem_eq(mean[0], mean[i], sizeof mean[0]);
            ck_assert_mem_eq(ess[0], ess[i], sizeof ess[0]);
            ck_assert_mem_eq(states[0], states[i], sizeof states[0]);
        }
        ck_assert(memcmp(mean[0], mean[3], sizeof mean[0]) != 0);
    }
}
END_TEST

/* Chains of bits that flip with chance f have autocorrelations (1 - 2f)^t, so N draws count as N f
 * / (1 - f). */
START_TEST(effective_samples_and_r_hat)
{
    enum { CHAINS = 4, SAMPLES = 8000, STRIDE = 3 };
    static uint8_t draws[CHAINS * SAMPLES * STRIDE];
    static const double flips[4] = { 0.5, 0.25, 0.1, 0.6 };
    gm_context *ctx = support_context(7, 1);
    gm_rng *rng = NULL;
    double hat, ess;
    support_ok(ctx, gm_rng_create(&rng, ctx, 7));
    for (int k = 0; k < 4; k++) {
        for (int c = 0; c < CHAINS; c++) {
            uint8_t s = gm_rng_double(rng) < 0.5;
            for (int t = 0; t < SAMPLES; t++) {
                s ^= gm_rng_double(rng) < flips[k];
                draws[(c * SAMPLES + t) * STRIDE] = s;
            }
        }
        const double want = CHAINS * SAMPLES * flips[k] / (1 - flips[k]);
        gm_mixing(draws, CHAINS, SAMPLES, STRIDE, &hat, &ess);
        ck_assert_msg(fabs(ess / want - 1) < 0.15, "flips %g: %g effective draws, %g expected",
                      flips[k], ess, want);
        ck_assert(hat > 0.999 && hat < 1.01);
    }
    /* By hand: the halves 0 1, 1 1, 1 1, 1 1 have W = 1/8, B/n = 1/16. */
    static const uint8_t two[8] = { 0, 1, 1, 1, 1, 1, 1, 1 };
    gm_mixing(two, 2, 4, 1, &hat, &ess);
    ck_assert_double_eq_tol(hat, sqrt((0.5 * 0.125 + 0.0625) / 0.125), 1e-12);
    /* An odd draw in the middle belongs to no half. */
    static const uint8_t odd[10] = { 0, 1, 0, 1, 1, 1, 1, 0, 1, 1 };
    double again;
    gm_mixing(odd, 2, 5, 1, &again, &ess);
    ck_assert_double_eq(again, hat);
    static const uint8_t still[8] = { 1, 1, 1, 1, 1, 1, 1, 1 },
                         apart[8] = { 0, 0, 0, 0, 1, 1, 1, 1 };
    gm_mixing(still, 2, 4, 1, &hat, &ess);
    ck_assert(hat == 1 && ess == 8);
    gm_mixing(apart, 2, 4, 1, &hat, &ess);
    ck_assert(isinf(hat) && ess == 1);
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

/* Both tell progress and stop when asked to; the chains then leave the model's generator as it was,
 * and the same call gives the same again. */
typedef struct stopper {
    int64_t at, calls, done, total;
} stopper;

static int32_t stop_at(void *user, int64_t done, int64_t total)
{
    stopper *s = user;
    ck_assert(done > s->done && done <= total);
    s->done = done, s->total = total;
    return ++s->calls == s->at;
}

START_TEST(progress_and_stops)
{
    for (int net = 0; net < NETS; net++) {
        gm_context *ctx = support_context(6, 1);
        gm_sbn *sbn = make_net(ctx, net, 1);
        gm_model *model = gm_sbn_model(sbn);
        double mean[3][ROWS * 12], bound[ROWS];
        gm_sbn_gibbs_options o = GM_SBN_GIBBS_OPTIONS_INIT;
        gm_sbn_gibbs_result r = { sizeof r, 5, 5, 5, 5, 5, 5 };
        stopper whole = { 0, 0, 0, 0 }, early = { 2, 0, 0, 0 };
        o.samples = 5, o.burn_in = 2, o.on_progress = stop_at;
        gm_model_seed(model, 12);
        o.user = &early;
        /* All chains of a row with tanh units, or more rows, go abreast. */
        const gm_status s = gm_sbn_gibbs(&r, sbn, rows, ROWS, &o, mean[0], NULL);
        if (early.calls == 2) {
            ck_assert_int_eq(s, GM_E_CANCELLED);
            ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "of 12"));
            ck_assert(r.r_hat == 5 && r.sweeps == 5);
        } else {
            ck_assert_int_eq(s, GM_OK);
        }
        gm_model_seed(model, 12);
        o.user = &whole;
        support_ok(ctx, gm_sbn_gibbs(&r, sbn, rows, ROWS, &o, mean[1], NULL));
        ck_assert(whole.done == whole.total && whole.total == ROWS * 4);
        gm_model_seed(model, 12);
        o.on_progress = NULL;
        support_ok(ctx, gm_sbn_gibbs(&r, sbn, rows, ROWS, &o, mean[2], NULL));
        ck_assert_mem_eq(mean[1], mean[2], (size_t)(ROWS * gm_sbn_hidden_units(sbn)) * 8);
        if (!gm_sbn_has_tanh(sbn)) {
            gm_sbn_mean_field_options m = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
            stopper all = { 0, 0, 0, 0 }, first = { 1, 0, 0, 0 };
            m.on_progress = stop_at, m.user = &first;
            support_fails(ctx, gm_sbn_mean_field(sbn, rows, ROWS, &m, mean[0], bound, NULL),
                          GM_E_CANCELLED, "1 of 3");
            m.user = &all;
            support_ok(ctx, gm_sbn_mean_field(sbn, rows, ROWS, &m, mean[0], bound, NULL));
            ck_assert(all.calls == ROWS && all.done == ROWS);
        }
        gm_sbn_release(sbn);
        gm_context_release(ctx);
    }
}
END_TEST

START_TEST(refused_chains)
{
    gm_context *ctx = support_context(8, 1);
    gm_sbn *sbn = make_net(ctx, 0, 1), *deep = make_net(ctx, 2, 1);
    gm_sbn_gibbs_options o;
    gm_sbn_gibbs_result r = GM_SBN_GIBBS_RESULT_INIT;
    double mean[2 * 12];
    float x[2 * VISIBLE] = { 0 }, states[2 * 4 * 12] = { 0 };
#define REFUSED(field, bad, text)                                                                  \
    do {                                                                                           \
        o = (gm_sbn_gibbs_options)GM_SBN_GIBBS_OPTIONS_INIT;                                       \
        o.field = (bad);                                                                           \
        support_fails(ctx, gm_sbn_gibbs(&r, sbn, x, 2, &o, mean, NULL), GM_E_INVALID, text);       \
    } while (0)
    REFUSED(chains, 1, "chains is 1, expected 2 to 10000");
    REFUSED(burn_in, -1, "burn_in is -1");
    REFUSED(samples, 0, "samples is 0");
    REFUSED(samples, 3, "samples is 3, 4 to");
    REFUSED(thin, 0, "thin is 0");
    REFUSED(start, 4, "start is 4");
    REFUSED(start, GM_SBN_INIT_STATES, "states is NULL");
    o = (gm_sbn_gibbs_options)GM_SBN_GIBBS_OPTIONS_INIT;
    o.samples = 1000000000;
    o.chains = 10000;
    support_fails(ctx, gm_sbn_gibbs(&r, sbn, x, 2, &o, mean, NULL), GM_E_NOMEM, "10000 chains");
    o = (gm_sbn_gibbs_options)GM_SBN_GIBBS_OPTIONS_INIT;
    o.chains = 3000, o.samples = 4;
    support_fails(ctx, gm_sbn_gibbs(&r, deep, x, 1, &o, mean, NULL), GM_E_UNSUPPORTED,
                  "chains is 3000");
    support_fails(ctx, gm_sbn_gibbs(NULL, sbn, x, 2, NULL, mean, NULL), GM_E_INVALID,
                  "out is NULL");
    support_fails(ctx, gm_sbn_gibbs(&r, sbn, NULL, 2, NULL, mean, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_sbn_gibbs(&r, sbn, x, 2, NULL, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_sbn_gibbs(&r, sbn, x, 0, NULL, mean, NULL), GM_E_INVALID, "count is 0");
    ck_assert_int_eq(gm_sbn_gibbs(&r, NULL, x, 1, NULL, mean, NULL), GM_E_INVALID);
    o = (gm_sbn_gibbs_options)GM_SBN_GIBBS_OPTIONS_INIT;
    o.start = GM_SBN_INIT_STATES;
    states[5 * 12 + 7] = 0.5f;
    support_fails(ctx, gm_sbn_gibbs(&r, sbn, x, 2, &o, mean, states), GM_E_INVALID,
                  "states: row 5, column 7 is 0.5");
    x[VISIBLE + 2] = 3;
    support_fails(ctx, gm_sbn_gibbs(&r, sbn, x, 2, NULL, mean, NULL), GM_E_INVALID,
                  "row 1, column 2 is 3");
    gm_sbn_release(sbn);
    gm_sbn_release(deep);
    gm_context_release(ctx);
}
END_TEST

/* --- mean field --- */

typedef struct rising {
    double last, exact[ROWS];
    int64_t row, updates, units;
} rising;

static int32_t must_rise(void *user, int64_t row, int64_t updates, double bound)
{
    rising *r = user;
    if (row != r->row) r->last = -INFINITY;
    r->row = row;
    ck_assert_msg(bound >= r->last - 1e-10 * (1 + fabs(bound)),
                  "row %d, update %d: the bound falls from %.15g to %.15g", (int)row, (int)updates,
                  r->last, bound);
    ck_assert_msg(bound <= r->exact[row] + 1e-5, "row %d, update %d: bound %g, log p %g", (int)row,
                  (int)updates, bound, r->exact[row]);
    r->last = bound;
    r->updates++;
    return 0;
}

/* No update lowers the bound, none brings it above log p(x), for nets from nearly linear to nearly
 * deterministic. */
START_TEST(mean_field_rises)
{
    static const double spreads[4] = { 0.1, 1, 3, 20 };
    gm_context *ctx = support_context(11, 1);
    double mean[ROWS * 12], bound[ROWS], posterior[ROWS * 12], gap = 0;
    int64_t iterations[ROWS];
    for (int k = 0; k < 8; k++) {
        gm_sbn *sbn = make_net(ctx, k % 2, spreads[k / 2]);
        const int64_t hidden = gm_sbn_hidden_units(sbn);
        gm_sbn_mean_field_options o = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
        rising r = { -INFINITY, { 0 }, -1, 0, hidden + VISIBLE };
        support_ok(ctx, gm_sbn_enumerate(sbn, rows, ROWS, NULL, r.exact, posterior));
        o.on_update = must_rise, o.user = &r;
        o.iterations = 1000;
        support_ok(ctx, gm_sbn_mean_field(sbn, rows, ROWS, &o, mean, bound, iterations));
        int64_t made = 0;
        for (int i = 0; i < ROWS; i++) {
            made += iterations[i];
            ck_assert(iterations[i] > 1 && iterations[i] < 1000);
            ck_assert(bound[i] < r.exact[i] + 1e-5);
            if (k < 2) ck_assert(r.exact[i] - bound[i] < 0.01); /* nearly linear: nearly exact */
            gap = fmax(gap, r.exact[i] - bound[i]);
        }
        ck_assert_double_eq(bound[ROWS - 1], r.last);
        ck_assert_int_eq(r.updates, made * (2 * hidden + VISIBLE));
        for (int64_t i = 0; i < ROWS * hidden; i++) {
            ck_assert(mean[i] >= 0 && mean[i] <= 1);
            if (k < 2) ck_assert(fabs(mean[i] - posterior[i]) < 0.005);
        }
        /* Where it ended nothing is to be gained; from the posterior's means it rises, too. */
        o.go_on = 1, o.iterations = 1;
        double again[ROWS];
        r.row = -1;
        support_ok(ctx, gm_sbn_mean_field(sbn, rows, ROWS, &o, mean, again, iterations));
        for (int i = 0; i < ROWS; i++) ck_assert_double_eq_tol(again[i], bound[i], 1e-4);
        r.row = -1;
        o.iterations = 50;
        support_ok(ctx, gm_sbn_mean_field(sbn, rows, ROWS, &o, posterior, again, NULL));
        gm_sbn_release(sbn);
    }
    printf("mean field is below log p by at most %.3f nats\n", gap);
    gm_context_release(ctx);
}
END_TEST

/* The bound of any mu and xi, written out: expectations over all states. */
START_TEST(mean_field_is_its_bound)
{
    enum { H = 5, UNITS = H + VISIBLE };
    static const int64_t layers[2] = { 3, 2 };
    gm_context *ctx = support_context(12, 1);
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    float weight[UNITS * UNITS], bias[UNITS];
    o.layer_count = 2, o.layers = layers, o.lateral = o.skip = 1;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, VISIBLE, &o));
    ref_shake(sbn, 2);
    support_ok(ctx, gm_sbn_dense(sbn, weight, bias));
    gm_sbn_mean_field_options f = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    double mean[H], bound;
    f.iterations = 2000, f.tolerance = 0;
    support_ok(ctx, gm_sbn_mean_field(sbn, rows, 1, &f, mean, &bound, NULL));
    double sum = 0;
    const double mu[H] = { mean[3], mean[4], mean[0], mean[1], mean[2] }; /* in the matrix' order */
    for (int i = 0; i < UNITS; i++) {
        double least = INFINITY, m = i < H ? mu[i] : (double)rows[i - H];
        for (int step = 0; step <= 2000; step++) { /* xi on a grid: what the minimum is near to */
            const double xi = step / 2000.0;
            double z_mean = 0, log_e = 0;
            for (int n = 0; n < 1 << H; n++) {
                double p = 1, z = (double)bias[i];
                for (int j = 0; j < H; j++) {
                    const int on = n >> j & 1;
                    p *= on ? mu[j] : 1 - mu[j];
                    if (on) z += (double)weight[i * UNITS + j];
                }
                for (int j = H; j < UNITS; j++)
                    z += (double)weight[i * UNITS + j] * (double)rows[j - H];
                z_mean += p * z;
                log_e += p * (exp(-xi * z) + exp((1 - xi) * z));
            }
            if (step == 0) sum += m * z_mean;
            least = fmin(least, xi * z_mean + log(log_e));
        }
        sum -= least;
        if (i < H) sum -= mu[i] * log(mu[i]) + (1 - mu[i]) * log1p(-mu[i]);
    }
    ck_assert_msg(sum <= bound + 1e-9 && bound - sum < 1e-4, "bound %.9g, by hand %.9g", bound,
                  sum);
    /* Stationary in each mean. */
    for (int j = 0; j < H; j++) {
        for (int side = -1; side <= 1; side += 2) {
            double moved[H], other;
            gm_sbn_mean_field_options g = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
            memcpy(moved, mean, sizeof moved);
            moved[j] += side * 1e-3 * fmin(mean[j], 1 - mean[j]);
            g.go_on = 1, g.iterations = 1;
            support_ok(ctx, gm_sbn_mean_field(sbn, rows, 1, &g, moved, &other, NULL));
            ck_assert(other < bound + 1e-9);
        }
    }
    gm_sbn_release(sbn);
    gm_context_release(ctx);
}
END_TEST

static int32_t stop(void *user, int64_t row, int64_t updates, double bound)
{
    (void)user;
    (void)bound;
    return row == 1 && updates == 5;
}

START_TEST(refused_mean_fields)
{
    gm_context *ctx = support_context(13, 1);
    gm_sbn *sbn = make_net(ctx, 0, 1), *deep = make_net(ctx, 2, 1);
    gm_sbn_mean_field_options o = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    double mean[2 * 12] = { 0 }, bound[2];
    float x[2 * VISIBLE] = { 0 };
    o.iterations = 0;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, &o, mean, bound, NULL), GM_E_INVALID,
                  "iterations is 0");
    o = (gm_sbn_mean_field_options)GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    o.tolerance = -1;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, &o, mean, bound, NULL), GM_E_INVALID,
                  "tolerance is -1");
    o.tolerance = NAN;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, &o, mean, bound, NULL), GM_E_INVALID,
                  "tolerance is");
    o = (gm_sbn_mean_field_options)GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    o.go_on = 2;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, &o, mean, bound, NULL), GM_E_INVALID,
                  "go_on is 2");
    o.go_on = 1;
    mean[12 + 3] = 1.5;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, &o, mean, bound, NULL), GM_E_INVALID,
                  "means: row 1, column 3 is 1.5");
    o = (gm_sbn_mean_field_options)GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    o.on_update = stop;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, &o, mean, bound, NULL), GM_E_CANCELLED,
                  "row 1, update 5");
    support_fails(ctx, gm_sbn_mean_field(deep, x, 2, NULL, mean, bound, NULL), GM_E_UNSUPPORTED,
                  "tanh units");
    support_fails(ctx, gm_sbn_mean_field(sbn, NULL, 2, NULL, mean, bound, NULL), GM_E_INVALID,
                  "NULL");
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, NULL, NULL, bound, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, NULL, mean, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 0, NULL, mean, bound, NULL), GM_E_INVALID,
                  "count is 0");
    ck_assert_int_eq(gm_sbn_mean_field(NULL, x, 1, NULL, mean, bound, NULL), GM_E_INVALID);
    gm_param *w = gm_params_find(gm_model_params(gm_sbn_model(sbn)), "p1.weight");
    gm_param_value(w)[1] = -1000;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, NULL, mean, bound, NULL), GM_E_NUMERIC,
                  "is -1000, expected up to 400");
    gm_param_value(w)[1] = INFINITY;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, NULL, mean, bound, NULL), GM_E_NUMERIC,
                  "not finite");
    x[VISIBLE + 1] = -1;
    support_fails(ctx, gm_sbn_mean_field(sbn, x, 2, NULL, mean, bound, NULL), GM_E_INVALID,
                  "row 1, column 1 is -1");
    gm_sbn_release(sbn);
    gm_sbn_release(deep);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("sbn inference");
    TCase *t = tcase_create("sbn inference");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, chains_find_the_posterior, 0, NETS);
    tcase_add_loop_test(t, importance_estimate, 0, NETS);
    tcase_add_test(t, saturated_units);
    tcase_add_test(t, chains_that_do_not_mix);
    tcase_add_test(t, seeds_and_threads);
    tcase_add_test(t, effective_samples_and_r_hat);
    tcase_add_test(t, progress_and_stops);
    tcase_add_test(t, refused_chains);
    tcase_add_test(t, mean_field_rises);
    tcase_add_test(t, mean_field_is_its_bound);
    tcase_add_test(t, refused_mean_fields);
    suite_add_tcase(s, t);
    return s;
}
