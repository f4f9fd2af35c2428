/* test_sbn.c - gm/sbn.h: what a net says of given states against plain loops and enumeration,
 * sampling, refusals. */
#include "sbn_reference.h"

#define VISIBLE 4

static const float rows[3 * VISIBLE] = { 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0 };

/* log p(x, h), log p(x), the posterior's means and log q, for each state of the hidden units. */
START_TEST(every_state_against_plain_loops)
{
    for (int shape = 0; shape < REF_SHAPES; shape++) {
        gm_context *ctx = support_context(1, 2);
        gm_sbn *sbn = ref_net(ctx, shape, VISIBLE, GM_SBN_VIMCO, 2, NULL);
        ref r = ref_make(sbn);
        const int64_t states = (int64_t)1 << r.hidden;
        double exact[3], posterior[3 * 8];
        support_ok(ctx, gm_sbn_enumerate(sbn, rows, 3, NULL, exact, posterior));
        for (int k = 0; k < 3; k++) {
            double f[32], mean[8] = { 0 }, got[32];
            float all[32 * VISIBLE], hidden[32 * 8];
            ref_state s = { { 0 } };
            ref_row(&r, rows + k * VISIBLE, s);
            for (int64_t n = 0; n < states; n++) {
                memcpy(all + n * VISIBLE, rows + k * VISIBLE, VISIBLE * sizeof *all);
                ref_spell(&r, n, s, hidden + n * r.hidden);
                f[n] = ref_log_p(&r, s);
            }
            support_ok(ctx, gm_sbn_log_joint(sbn, all, hidden, states, got));
            const double whole = ref_log_sum(f, states);
            for (int64_t n = 0; n < states; n++) {
                ck_assert_double_eq_tol(got[n], f[n], 1e-5);
                for (int64_t j = 0; j < r.hidden; j++)
                    mean[j] += (double)(n >> j & 1) * exp(f[n] - whole);
            }
            ck_assert_double_eq_tol(exact[k], whole, 1e-5);
            for (int64_t j = 0; j < r.hidden; j++)
                ck_assert_double_eq_tol(posterior[k * r.hidden + j], mean[j], 1e-5);
        }
        free(r.w);
        gm_sbn_release(sbn);
        gm_context_release(ctx);
    }
}
END_TEST

/* Draws of q: their probabilities and log q are those of plain loops, and the frequencies those of
 * the enumeration. */
START_TEST(recognition_against_plain_loops)
{
    enum { N = 20000 };
    static float x[N * VISIBLE], hidden[N * 5], chance[N * 5];
    static double log_q[N];
    for (int shape = 0; shape < REF_SHAPES; shape++) {
        gm_context *ctx = support_context(2, 2);
        gm_sbn *sbn = ref_net(ctx, shape, VISIBLE, GM_SBN_NVIL, 1, NULL);
        gm_dataset *data = NULL;
        const int64_t whole[2] = { 3, VISIBLE };
        support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, whole, rows));
        ref r = ref_make(sbn);
        int64_t seen[32] = { 0 };
        double p[32], chi = 0;
        ref_state s = { { 0 } };
        for (int i = 0; i < N; i++) memcpy(x + i * VISIBLE, rows, VISIBLE * sizeof *x);
        support_ok(ctx, gm_sbn_recognise(sbn, x, N, hidden, chance, log_q));
        ref_row(&r, rows, s);
        for (int64_t n = 0; n < 32; n++) {
            ref_spell(&r, n, s, NULL);
            p[n] = exp(ref_log_q(&r, s));
        }
        for (int i = 0; i < N; i++) {
            int64_t n = 0;
            double own = 0;
            for (int j = 0; j < 5; j++) {
                const double c = (double)chance[5 * i + j];
                n |= (int64_t)hidden[5 * i + j] << j;
                own += log(hidden[5 * i + j] > 0 ? c : 1 - c);
            }
            seen[n]++;
            ck_assert_double_eq_tol(log_q[i], log(p[n]), 1e-4);
            ck_assert_double_eq_tol(log_q[i], own, 1e-4);
        }
        for (int n = 0; n < 32; n++)
            chi += ((double)seen[n] - N * p[n]) * ((double)seen[n] - N * p[n]) / (N * p[n]);
        ck_assert_msg(chi < 75, "shape %d: chi-square %g with 31 degrees of freedom", shape, chi);
        /* gm_sbn_init_biases: q sees rows less their means, and the visible biases are the logits.
         */
        support_ok(ctx, gm_sbn_init_biases(sbn, data));
        gm_param *bias = gm_params_find(gm_model_params(gm_sbn_model(sbn)), "p0.bias");
        ck_assert_float_eq_tol(gm_param_value(bias)[0], logf(2), 1e-5f);
        free(r.w);
        r = ref_make(sbn);
        support_ok(ctx, gm_sbn_recognise(sbn, rows, 1, hidden, NULL, log_q));
        const float mean[VISIBLE] = { 2 / 3.0f, 1 / 3.0f, 2 / 3.0f, 2 / 3.0f };
        for (int i = 0; i < VISIBLE; i++) s[0][i] = (double)rows[i] - (double)mean[i];
        int64_t n = 0;
        for (int j = 0; j < 5; j++) n |= (int64_t)hidden[j] << j;
        ref_spell(&r, n, s, NULL);
        ck_assert_double_eq_tol(log_q[0], ref_log_q(&r, s), 1e-4);
        free(r.w);
        gm_dataset_release(data);
        gm_sbn_release(sbn);
        gm_context_release(ctx);
    }
}
END_TEST

/* Frequencies of all 2^7 states of a net with two visible units against the joint; then with the
 * first hidden layer clamped. */
START_TEST(ancestral_samples)
{
    enum { N = 40000, V = 2 };
    static float hidden[N * 5], x[N * V], values[N * 3];
    for (int shape = 0; shape < REF_SHAPES; shape++) {
        gm_context *ctx = support_context(3, 2);
        gm_sbn *sbn = ref_net(ctx, shape, V, GM_SBN_VIMCO, 2, NULL);
        ref r = ref_make(sbn);
        const int64_t width = r.size[1], kept = (int64_t)1 << width;
        for (int clamp = -1; clamp <= 1; clamp += 2) {
            int64_t seen[128] = { 0 };
            double chi = 0, freedom = -1;
            for (int64_t i = 0; i < N * width; i++) values[i] = (float)(i % width == 0);
            support_ok(ctx, gm_sbn_sample(sbn, N, clamp, clamp > 0 ? values : NULL,
                                          clamp > 0 ? width : 0, hidden, x));
            for (int i = 0; i < N; i++) {
                int64_t n = (int64_t)x[2 * i] | (int64_t)x[2 * i + 1] << 1;
                for (int j = 0; j < 5; j++) n |= (int64_t)hidden[5 * i + j] << (j + 2);
                seen[n]++;
            }
            for (int64_t n = 0; n < 128; n++) {
                ref_state s = { { 0 } };
                ref_spell(&r, n >> 2, s, NULL);
                s[0][0] = (double)(n & 1), s[0][1] = (double)(n >> 1 & 1);
                double f = ref_log_p(&r, s);
                if (clamp > 0) f -= ref_log_layer(&r, 1, s);
                if (clamp > 0 && ((n >> 2) & (kept - 1)) != 1) {
                    ck_assert_int_eq(seen[n], 0); /* another state of the clamped layer */
                    continue;
                }
                const double want = N * exp(f);
                chi += ((double)seen[n] - want) * ((double)seen[n] - want) / want;
                freedom++;
            }
            ck_assert_msg(chi < support_chi_bound(freedom, 3 * REF_SHAPES),
                          "shape %d, clamp %d: chi-square %g of %g", shape, clamp, chi, freedom);
        }
        /* gm_model_sample: probabilities whose means are the visible marginals. */
        gm_tensor *t = NULL;
        double mean = 0, want = 0;
        support_ok(ctx, gm_model_sample(&t, gm_sbn_model(sbn), N));
        for (int i = 0; i < N; i++) {
            ck_assert(gm_tensor_read(t)[V * i] > 0 && gm_tensor_read(t)[V * i] < 1);
            mean += (double)gm_tensor_read(t)[V * i] / N;
        }
        const float pairs[4] = { 1, 0, 1, 1 };
        double lp[2];
        support_ok(ctx, gm_sbn_enumerate(sbn, pairs, 2, NULL, lp, NULL));
        want = exp(lp[0]) + exp(lp[1]);
        ck_assert_msg(fabs(mean - want) < support_bound(REF_SHAPES) * 0.5 / sqrt(N),
                      "mean %g, marginal %g", mean, want);
        gm_tensor_release(t);
        free(r.w);
        gm_sbn_release(sbn);
        gm_context_release(ctx);
    }
}
END_TEST

START_TEST(importance_estimate)
{
    for (int shape = 0; shape < REF_SHAPES; shape++) {
        gm_context *ctx = support_context(4, 2);
        gm_sbn *sbn = ref_net(ctx, shape, VISIBLE, GM_SBN_VIMCO, 2, NULL);
        double got[3], error[3], elbo[3], exact[3], one[3], by_model[3];
        support_ok(ctx, gm_sbn_log_prob(sbn, rows, 3,
                                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                                .samples = 20000 },
                                        got, error, elbo));
        support_ok(ctx, gm_sbn_enumerate(sbn, rows, 3, NULL, exact, NULL));
        support_ok(ctx, gm_sbn_log_prob(sbn, rows, 3,
                                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                                .samples = 1 },
                                        one, error + 0, NULL));
        ck_assert(isnan(error[0])); /* one draw has no deviation */
        support_ok(ctx, gm_sbn_log_prob(sbn, rows, 3,
                                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options),
                                                                .samples = 20000 },
                                        got, error, elbo));
        support_ok(ctx, gm_model_log_prob(gm_sbn_model(sbn), rows, 3, by_model));
        for (int k = 0; k < 3; k++) {
            ck_assert(error[k] > 0 && error[k] < 0.03 && isfinite(one[k]));
            ck_assert_msg(fabs(got[k] - exact[k]) < support_bound(3 * REF_SHAPES) * error[k],
                          "row %d: %g, exact %g, error %g", k, got[k], exact[k], error[k]);
            ck_assert(elbo[k] < exact[k]);
            ck_assert(fabs(by_model[k] - exact[k]) < 1);
        }
        gm_sbn_release(sbn);
        gm_context_release(ctx);
    }
}
END_TEST

/* sum over all x of p(x) is 1, and the matrix of the whole net is the net. */
START_TEST(one_matrix)
{
    gm_context *ctx = support_context(5, 1);
    static const int64_t layers[2] = { 3, 2 };
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layer_count = 2, o.layers = layers, o.lateral = o.skip = 1;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, VISIBLE, &o));
    ref_shake(sbn, 0.9);
    float all[16 * VISIBLE], weight[81], bias[9], hidden[5] = { 1, 0, 1, 0, 1 };
    double p[16], sum = 0, joint, by_hand = 0;
    for (int i = 0; i < 16 * VISIBLE; i++) all[i] = (float)(i / VISIBLE >> i % VISIBLE & 1);
    support_ok(ctx, gm_sbn_enumerate(sbn, all, 16, NULL, p, NULL));
    for (int i = 0; i < 16; i++) sum += exp(p[i]);
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    support_ok(ctx, gm_sbn_dense(sbn, weight, bias));
    support_ok(ctx, gm_sbn_log_joint(sbn, rows, hidden, 1, &joint));
    const double s[9] = { 0, 1, 1, 0, 1, 1, 0, 0, 1 }; /* the top layer, the first, the visible */
    for (int i = 0; i < 9; i++) {
        double a = (double)bias[i];
        for (int j = 0; j < 9; j++) {
            ck_assert(j < i || weight[9 * i + j] == 0);
            a += (double)weight[9 * i + j] * s[j];
        }
        by_hand += ref_log_bit(a, s[i]);
    }
    ck_assert_double_eq_tol(by_hand, joint, 1e-5);
    gm_sbn_release(sbn);
    gm_context_release(ctx);
}
END_TEST

static gm_sbn_options options_of(const int64_t *layers, int32_t count)
{
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    o.layers = layers;
    o.layer_count = count;
    return o;
}

START_TEST(refused_options)
{
    gm_context *ctx = support_context(6, 1);
    static const int64_t layers[3] = { 3, 2, 1 }, empty[2] = { 3, 0 }, less[1] = { -1 };
    gm_sbn *sbn = (gm_sbn *)ctx, *second = NULL;
    gm_sbn_options o = options_of(layers, 2);
    support_fails(ctx, gm_sbn_create(NULL, ctx, 4, &o), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_sbn_create(&sbn, NULL, 4, &o), GM_E_INVALID);
    ck_assert_ptr_null(sbn);
    support_fails(ctx, gm_sbn_create(&sbn, ctx, 4, NULL), GM_E_INVALID, "layer_count is 0");
    support_fails(ctx, gm_sbn_create(&sbn, ctx, 0, &o), GM_E_INVALID, "visible is 0");
    o.layer_count = GM_SBN_MAX_LAYERS + 1;
    support_fails(ctx, gm_sbn_create(&sbn, ctx, 4, &o), GM_E_INVALID, "layer_count is 9");
    o = options_of(NULL, 1);
    support_fails(ctx, gm_sbn_create(&sbn, ctx, 4, &o), GM_E_INVALID, "layers is NULL");
    o = options_of(empty, 2);
    support_fails(ctx, gm_sbn_create(&sbn, ctx, 4, &o), GM_E_INVALID, "layer 2 has 0 units");
    o = options_of(layers, 1);
    o.tanh_units = less;
    support_fails(ctx, gm_sbn_create(&sbn, ctx, 4, &o), GM_E_INVALID, "tanh_units at 0 is -1");
#define REFUSED(field, bad, text)                                                                  \
    do {                                                                                           \
        o = options_of(layers, 2);                                                                 \
        o.field = (bad);                                                                           \
        support_fails(ctx, gm_sbn_create(&sbn, ctx, 4, &o), GM_E_INVALID, text);                   \
        ck_assert_ptr_null(sbn);                                                                   \
    } while (0)
    REFUSED(estimator, 99, "estimator is 99");
    REFUSED(estimator, -1, "estimator is -1");
    REFUSED(lateral, 2, "lateral is 2");
    REFUSED(skip, -1, "skip is -1");
    REFUSED(recognition, 2, "recognition is 2");
    REFUSED(phases, 0, "phases is 0");
    REFUSED(samples, 0, "samples is 0");
    REFUSED(samples, 1, "samples is 1, 2 to");
    REFUSED(log_prob_samples, 0, "log_prob_samples is 0");
    REFUSED(baseline_units, 0, "baseline_units is 0");
    REFUSED(sweeps, 0, "sweeps is 0");
    o = options_of(layers, 2);
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 4, &o));
    o.optimizer = gm_model_optimizer(gm_sbn_model(sbn));
    support_fails(ctx, gm_sbn_create(&second, ctx, 4, &o), GM_E_STATE, "bound");
    gm_sbn_release(sbn);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refused_questions)
{
    gm_context *ctx = support_context(7, 1);
    static const int64_t layers[2] = { 3, 2 }, many[2] = { 15, 6 }, tanh_units[2] = { 2, 0 };
    static const int64_t wide[2] = { 2, 5 }, narrow[2] = { 2, 4 };
    gm_sbn_options o = options_of(layers, 2);
    gm_sbn *sbn = NULL;
    gm_dataset *data = NULL;
    float x[8] = { 0 }, h[10] = { 0 }, bias[9], weight[81];
    double out[2];
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 4, &o));
    gm_model *model = gm_sbn_model(sbn);
    x[6] = 0.5f;
    support_fails(ctx, gm_model_step(model, x, 2, NULL, 0, NULL), GM_E_INVALID,
                  "row 1, column 2 is 0.5");
    support_fails(ctx, gm_sbn_log_joint(sbn, x, h, 2, out), GM_E_INVALID, "row 1, column 2 is 0.5");
    support_fails(ctx, gm_sbn_enumerate(sbn, x, 2, NULL, out, NULL), GM_E_INVALID,
                  "row 1, column 2 is 0.5");
    support_fails(ctx, gm_sbn_recognise(sbn, x, 2, h, NULL, NULL), GM_E_INVALID,
                  "row 1, column 2 is 0.5");
    support_fails(
        ctx,
        gm_sbn_log_prob(sbn, x, 2,
                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 5 },
                        out, NULL, NULL),
        GM_E_INVALID, "row 1, column 2 is 0.5");
    x[6] = 0, h[9] = 3;
    support_fails(ctx, gm_sbn_log_joint(sbn, x, h, 2, out), GM_E_INVALID,
                  "hidden: row 1, column 4 is 3");
    support_fails(ctx, gm_sbn_log_joint(sbn, x, NULL, 2, out), GM_E_INVALID, "hidden is NULL");
    support_fails(ctx, gm_sbn_log_joint(sbn, x, h, 0, out), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_sbn_enumerate(sbn, NULL, 1, NULL, out, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx,
                  gm_sbn_log_prob(
                      sbn, x, 1,
                      &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = -1 },
                      out, NULL, NULL),
                  GM_E_INVALID, "samples is -1");
    support_fails(ctx, gm_sbn_recognise(sbn, x, 1, NULL, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_sbn_sample(sbn, 0, -1, NULL, 0, h, x), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_sbn_sample(sbn, 1, 3, h, 3, h, x), GM_E_INVALID,
                  "clamp is 3, expected -1 to 2");
    support_fails(ctx, gm_sbn_sample(sbn, 1, 1, NULL, 3, h, x), GM_E_INVALID, "values is NULL");
    support_fails(ctx, gm_sbn_sample(sbn, 1, 1, h, 2, h, x), GM_E_SHAPE,
                  "2 columns, layer 1 has 3 units");
    support_fails(ctx, gm_sbn_sample(sbn, 2, 2, h + 6, 2, NULL, x), GM_E_INVALID,
                  "row 1, column 1 is 3");
    support_fails(ctx, gm_sbn_dense(sbn, NULL, bias), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_sbn_init_biases(sbn, NULL), GM_E_INVALID, "NULL");
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, wide, h));
    support_fails(ctx, gm_sbn_init_biases(sbn, data), GM_E_SHAPE, "[5], those of the model [4]");
    gm_dataset_release(data);
    x[0] = 5;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, narrow, x));
    support_fails(ctx, gm_sbn_init_biases(sbn, data), GM_E_INVALID, "column 0 has mean 2.5");
    gm_dataset_release(data);
    gm_tape *tape = NULL;
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    (void)gm_sbn_apply_baseline(tape, sbn, 1, GM_NO_VAR);
    support_fails(ctx, gm_tape_status(tape), GM_E_UNSUPPORTED, "only NVIL has baselines");
    gm_tape_reset(tape);
    (void)gm_sbn_apply_recognition(tape, sbn, 3, GM_NO_VAR);
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "no such layer");
    gm_tape_reset(tape);
    (void)gm_sbn_apply_joint(tape, sbn, NULL, NULL);
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "NULL");
    gm_tape_reset(tape);
    (void)gm_sbn_apply_logits(tape, NULL, 0, NULL);
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "NULL");
    gm_tape_release(tape);
    gm_sbn_release(sbn);
    x[0] = 0;
    o = options_of(many, 2);
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 4, &o));
    support_fails(ctx, gm_sbn_enumerate(sbn, x, 1, NULL, out, NULL), GM_E_UNSUPPORTED,
                  "21 hidden units have 2^21 states; at most 20");
    gm_sbn_release(sbn);
    /* Without q: what wants one, and what does not. */
    o = options_of(layers, 2);
    o.recognition = 0;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 4, &o));
    ck_assert_int_eq(gm_sbn_has_recognition(sbn), 0);
    support_fails(ctx, gm_model_step(gm_sbn_model(sbn), x, 2, NULL, 0, NULL), GM_E_UNSUPPORTED,
                  "estimator is 3");
    support_fails(ctx, gm_sbn_recognise(sbn, x, 2, h, NULL, NULL), GM_E_UNSUPPORTED,
                  "no recognition network");
    support_fails(
        ctx,
        gm_sbn_log_prob(sbn, x, 2,
                        &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 5 },
                        out, NULL, NULL),
        GM_E_UNSUPPORTED, "no recognition network");
    support_ok(ctx, gm_sbn_enumerate(sbn, x, 1, NULL, out, NULL));
    support_ok(ctx, gm_model_log_prob(gm_sbn_model(sbn), x, 1, out + 1)); /* few units: exact */
    ck_assert_double_eq(out[0], out[1]);
    support_ok(ctx, gm_sbn_sample(sbn, 1, -1, NULL, 0, h, NULL));
    gm_sbn_release(sbn);
    o = options_of(many, 2);
    o.recognition = 0;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 4, &o));
    support_fails(ctx, gm_model_log_prob(gm_sbn_model(sbn), x, 2, out), GM_E_UNSUPPORTED,
                  "no recognition network");
    gm_sbn_release(sbn);
    o = options_of(layers, 2);
    o.tanh_units = tanh_units;
    o.estimator = GM_SBN_MEAN_FIELD_EM;
    support_fails(ctx, gm_sbn_create(&sbn, ctx, 4, &o), GM_E_UNSUPPORTED,
                  "mean field, which goes with no tanh");
    o.estimator = GM_SBN_VIMCO;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, 4, &o));
    support_fails(ctx, gm_sbn_dense(sbn, weight, bias), GM_E_UNSUPPORTED, "tanh");
    gm_sbn_release(sbn);
    ck_assert_int_eq(gm_sbn_dense(NULL, weight, bias), GM_E_INVALID);
    ck_assert_ptr_null(gm_sbn_model(NULL));
    ck_assert_ptr_null(gm_sbn_from_model(NULL));
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("sbn");
    TCase *t = tcase_create("sbn");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_state_against_plain_loops);
    tcase_add_test(t, recognition_against_plain_loops);
    tcase_add_test(t, ancestral_samples);
    tcase_add_test(t, importance_estimate);
    tcase_add_test(t, one_matrix);
    tcase_add_test(t, refused_options);
    tcase_add_test(t, refused_questions);
    suite_add_tcase(s, t);
    return s;
}
