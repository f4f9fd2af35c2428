/* densities.h - what every autoregressive family is asked, on models of bits small enough to look
 * at all their states. Usable in the double build too. */
#ifndef GM_TESTS_DENSITIES_H
#define GM_TESTS_DENSITIES_H

#include "allocator.h"
#include "lifecycle.h"

#define BITS 10
#define STATES (1 << BITS)

/* Makes a model of BITS bits in this context. */
typedef gm_model *(*density_fn)(gm_context *ctx);

static inline double density_tolerance(void)
{
    return sizeof(float) == sizeof(double) ? 1e-12 : 1e-5;
}

static inline void density_fit(gm_context *ctx, gm_model *model, int64_t epochs)
{
    gm_dataset *data = nets_bits(ctx, 60, BITS);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = epochs;
    fit.batch = 16;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    gm_dataset_release(data);
}

/* A model with weights that are not at their start. */
static inline gm_model *density_fitted(gm_context *ctx, density_fn make)
{
    gm_model *model = make(ctx);
    ck_assert_int_eq(gm_model_row_size(model), BITS);
    ck_assert_int_eq(gm_autoregressive_kind(model), GM_CONDITIONAL_BINARY);
    if (gm_model_optimizer(model))
        ck_assert_int_eq(gm_optimizer_set_rate(gm_model_optimizer(model), 0.03), GM_OK);
    density_fit(ctx, model, 6);
    return model;
}

/* All states, bit c of state s in column c. */
static inline float *density_states(void)
{
    float *rows = malloc(STATES * BITS * sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    for (int s = 0; s < STATES; s++)
        for (int c = 0; c < BITS; c++) rows[s * BITS + c] = (float)(s >> c & 1);
    return rows;
}

/* p of all states. */
static inline double *density_table(gm_context *ctx, gm_model *model)
{
    float *rows = density_states();
    double *p = malloc(STATES * sizeof *p);
    ck_assert_ptr_nonnull(p);
    support_ok(ctx, gm_model_log_prob(model, rows, STATES, p));
    for (int s = 0; s < STATES; s++) p[s] = exp(p[s]);
    free(rows);
    return p;
}

/* Does state s have the known bits of row? */
static inline int density_matches(int s, const float *row, const uint8_t *known)
{
    for (int c = 0; c < BITS; c++)
        if (known[c] && (s >> c & 1) != (row[c] > (float)0.5)) return 0;
    return 1;
}

static inline double density_marginal(const double *p, const float *row, const uint8_t *known)
{
    double sum = 0;
    for (int s = 0; s < STATES; s++)
        if (density_matches(s, row, known)) sum += p[s];
    return sum;
}

static inline void density_sums_to_one(gm_context *ctx, gm_model *model)
{
    double *p = density_table(ctx, model), sum = 0, most = 0;
    for (int s = 0; s < STATES; s++) {
        sum += p[s];
        if (p[s] > most) most = p[s];
    }
    ck_assert_msg(fabs(sum - 1) < density_tolerance(), "the probabilities sum to 1 + %g", sum - 1);
    ck_assert_msg(most > 4.0 / STATES, "the largest is %g: nothing was learnt", most);
    free(p);
}

/* Parts sum to log_prob, conditionals give the same numbers, and no conditional looks at what comes
 * later. */
static inline void density_factors(gm_context *ctx, gm_model *model)
{
    float *rows = density_states();
    double *parts = malloc(STATES * BITS * sizeof *parts), *whole = malloc(STATES * sizeof *whole);
    float *given = malloc(STATES * BITS * sizeof *given);
    int64_t order[BITS];
    ck_assert(parts && whole && given);
    support_ok(ctx, gm_autoregressive_log_probs(model, rows, STATES, parts));
    support_ok(ctx, gm_model_log_prob(model, rows, STATES, whole));
    support_ok(ctx, gm_autoregressive_conditionals(model, rows, STATES, given));
    support_ok(ctx, gm_autoregressive_order(model, order));
    ck_assert_int_eq(gm_autoregressive_width(model), 1);
    for (int s = 0; s < STATES; s++) {
        double sum = 0;
        for (int c = 0; c < BITS; c++) {
            const double p = (double)given[s * BITS + c];
            sum += parts[s * BITS + c];
            ck_assert_double_eq_tol(exp(parts[s * BITS + c]), s >> c & 1 ? p : 1 - p,
                                    density_tolerance());
        }
        ck_assert_double_eq_tol(sum, whole[s], density_tolerance() * 10);
        /* Turn the bit at a place: what comes up to that place is the same, all that can differ is
         * later. */
        const int64_t place = s % BITS;
        const int other = s ^ 1 << order[place];
        for (int64_t k = 0; k <= place; k++)
            ck_assert_double_eq_tol((double)given[s * BITS + order[k]],
                                    (double)given[other * BITS + order[k]],
                                    density_tolerance() / 10);
    }
    free(given);
    free(whole);
    free(parts);
    free(rows);
}

/* Samples come as often as their probability says: mean log p is the entropy's negative, and so for
 * every bit and pair. */
static inline void density_samples(gm_context *ctx, gm_model *model)
{
    enum { N = 4000 };
    gm_tensor *drawn = NULL;
    double *p = density_table(ctx, model), *score = malloc(N * sizeof *score);
    double entropy = 0, square = 0, mean = 0;
    support_ok(ctx, gm_model_sample(&drawn, model, N));
    const float *x = gm_tensor_read(drawn);
    support_ok(ctx, gm_model_log_prob(model, x, N, score));
    for (int s = 0; s < STATES; s++) {
        entropy -= p[s] * log(p[s]);
        square += p[s] * log(p[s]) * log(p[s]);
    }
    for (int i = 0; i < N; i++) mean += score[i] / N;
    const double error = sqrt((square - entropy * entropy) / N);
    ck_assert_msg(fabs(mean + entropy) < support_bound(8) * error,
                  "mean log p of samples %g, entropy %g, error %g", mean, entropy, error);
    for (int a = 0; a < BITS; a++)
        for (int b = 0; b <= a; b++) {
            double want = 0, got = 0;
            for (int s = 0; s < STATES; s++)
                if ((s >> a & 1) && (s >> b & 1)) want += p[s];
            for (int i = 0; i < N; i++) got += (double)(x[i * BITS + a] * x[i * BITS + b]) / N;
            ck_assert_msg(fabs(got - want) <
                              support_bound(8 * BITS * BITS) * sqrt(fabs(want * (1 - want)) / N) +
                                  1e-3,
                          "bits %d and %d: %g of the samples, %g of the states", a, b, got, want);
        }
    gm_tensor_release(drawn);
    free(score);
    free(p);
}

/* The first places of the order are given: draws of the rest, and the marginal, are those of the
 * states. */
static inline void density_completes(gm_context *ctx, gm_model *model)
{
    enum { N = 3000, GIVEN = 4 };
    int64_t order[BITS];
    double *p = density_table(ctx, model), *logs = malloc(N * sizeof *logs), marginal[2];
    float *rows = malloc(N * BITS * sizeof *rows);
    uint8_t *known = calloc(N, BITS);
    ck_assert(logs && rows && known);
    support_ok(ctx, gm_autoregressive_order(model, order));
    for (int i = 0; i < N * BITS; i++) rows[i] = (float)7; /* what is not known is not looked at */
    for (int i = 0; i < N; i++)
        for (int k = 0; k < GIVEN; k++) {
            rows[i * BITS + order[k]] = (float)(k % 2);
            known[i * BITS + order[k]] = 1;
        }
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, 2, NULL, marginal));
    ck_assert(rows[order[BITS - 1]] > 6);
    support_ok(ctx, gm_autoregressive_sample_given(model, known, N, NULL, rows, logs));
    const double whole = density_marginal(p, rows, known);
    ck_assert_double_eq_tol(exp(marginal[0]), whole, density_tolerance());
    ck_assert_double_eq(marginal[0], marginal[1]);
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq_tol(exp(logs[i]), whole, density_tolerance());
        ck_assert(density_matches(0, rows + i * BITS, known + i * BITS) ||
                  rows[i * BITS + order[1]] > 0); /* what was given is still there */
    }
    for (int c = 0; c < BITS; c++) {
        double want = 0, got = 0;
        for (int s = 0; s < STATES; s++)
            if ((s >> c & 1) && density_matches(s, rows, known)) want += p[s] / whole;
        for (int i = 0; i < N; i++) got += (double)rows[i * BITS + c] / N;
        ck_assert_msg(fabs(got - want) <
                          support_bound(8 * BITS) * sqrt(fabs(want * (1 - want)) / N) + 1e-4,
                      "bit %d given the first: %g of the draws, %g of the states", c, got, want);
    }
    free(known);
    free(rows);
    free(logs);
    free(p);
}

/* Rows of a Markov chain: the first bit a fair coin, each later one equal to the one before it with
 * probability 0.85. */
static inline float *density_chain(gm_context *ctx, int64_t rows, uint64_t seed)
{
    gm_rng *rng = NULL;
    float *x = malloc((size_t)(rows * BITS) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    support_ok(ctx, gm_rng_create(&rng, ctx, seed));
    for (int64_t i = 0; i < rows * BITS; i++) {
        const int turn = gm_rng_double(rng) < (i % BITS ? 0.15 : 0.5);
        x[i] = i % BITS ? (turn ? 1 - x[i - 1] : x[i - 1]) : (float)turn;
    }
    gm_rng_release(rng);
    return x;
}

/* The two-sample test: samples of the model against rows of the chain that it has not seen. */
static inline gm_two_sample_result density_test(gm_context *ctx, gm_model *model)
{
    enum { N = 600 };
    gm_tensor *drawn = NULL;
    gm_mmd_kernel *kernel = NULL;
    gm_two_sample_result result = GM_TWO_SAMPLE_RESULT_INIT;
    float *fresh = density_chain(ctx, N, 8);
    support_ok(ctx, gm_model_sample(&drawn, model, N));
    support_ok(ctx, gm_mmd_kernel_create(&kernel, ctx));
    support_ok(ctx, gm_mmd_kernel_add_gaussian(kernel, 1, 1.5));
    support_ok(ctx,
               gm_two_sample_test(&result, kernel, support_rows(gm_tensor_read(drawn), N, BITS),
                                  support_rows(fresh, N, BITS), NULL));
    gm_mmd_kernel_release(kernel);
    gm_tensor_release(drawn);
    free(fresh);
    return result;
}

/* Before it has learnt the chain from `count` rows its samples do not pass for the data; afterwards
 * they do, or nearly: a squared distance of less than a quarter. */
static inline void density_learns(density_fn make, int64_t count)
{
    const int64_t shape[2] = { count, BITS };
    gm_context *ctx = support_context(9, 2);
    gm_model *model = make(ctx);
    gm_dataset *data = NULL;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    float *rows = density_chain(ctx, count, 7);
    const gm_two_sample_result before = density_test(ctx, model);
    ck_assert_double_lt(before.p_value, 0.01);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    fit.epochs = 30;
    fit.batch = 25;
    ck_assert_int_eq(gm_optimizer_set_rate(gm_model_optimizer(model), 0.01), GM_OK);
    support_ok(ctx, gm_model_fit(model, data, &fit));
    ck_assert_int_eq(gm_optimizer_set_rate(gm_model_optimizer(model), 0.001), GM_OK);
    support_ok(ctx, gm_model_fit(model, data, &fit));
    const gm_two_sample_result after = density_test(ctx, model);
    printf("samples against data: MMD^2 %g before training, %g after it, p-value %g\n", before.mmd2,
           after.mmd2, after.p_value);
    ck_assert_msg(after.p_value > 0.01 || after.mmd2 < before.mmd2 / 4,
                  "MMD^2 %g before training, %g after it, p-value %g", before.mmd2, after.mmd2,
                  after.p_value);
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(ctx);
    free(rows);
}

/* Given bits at the end of the order: importance resampling comes near the states' posterior. */
static inline void density_imputes(gm_context *ctx, gm_model *model)
{
    enum { N = 2000 };
    int64_t order[BITS];
    double *p = density_table(ctx, model), ess[N];
    float *rows = malloc(N * BITS * sizeof *rows);
    uint8_t *known = calloc(N, BITS);
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    ck_assert(rows && known);
    support_ok(ctx, gm_autoregressive_order(model, order));
    for (int i = 0; i < N * BITS; i++) rows[i] = (float)7;
    for (int i = 0; i < N; i++)
        for (int k = BITS - 3; k < BITS; k++) {
            rows[i * BITS + order[k]] = (float)(k % 2);
            known[i * BITS + order[k]] = 1;
        }
    double want[BITS] = { 0 };
    const double whole = density_marginal(p, rows, known);
    for (int s = 0; s < STATES; s++)
        for (int c = 0; c < BITS; c++)
            if ((s >> c & 1) && density_matches(s, rows, known)) want[c] += p[s] / whole;
    float mean[BITS];
    memcpy(mean, rows, sizeof mean);
    o.draws = 20000;
    o.mean = 1;
    o.ess = ess;
    support_ok(ctx, gm_autoregressive_impute(model, known, 1, &o, mean));
    ck_assert(ess[0] > 1 && ess[0] <= 20000);
    for (int c = 0; c < BITS; c++)
        ck_assert_msg(fabs((double)mean[c] - want[c]) <
                          support_bound(8 * BITS) * sqrt(fabs(want[c] * (1 - want[c])) / ess[0]) +
                              1e-4,
                      "bit %d: mean %g, the states' %g", c, (double)mean[c], want[c]);
    o.draws = 40; /* the error of few draws: about 1 / draws */
    o.mean = 0;
    support_ok(ctx, gm_autoregressive_impute(model, known, N, &o, rows));
    for (int c = 0; c < BITS; c++) {
        double got = 0;
        for (int i = 0; i < N; i++) got += (double)rows[i * BITS + c] / N;
        ck_assert_msg(fabs(got - want[c]) <
                          support_bound(8 * BITS) * sqrt(fabs(want[c] * (1 - want[c])) / N) + 0.02,
                      "bit %d imputed: %g, the states' %g", c, got, want[c]);
    }
    free(known);
    free(rows);
    free(p);
}

static inline gm_model *density_born(gm_context *ctx, const void *what)
{
    return (*(const density_fn *)what)(ctx);
}

static inline void density_goes(gm_context *ctx, gm_model *model, int epochs)
{
    density_fit(ctx, model, epochs);
}

/* Saved, loaded, continued: the same bytes as without that; and whatever the number of threads. */
static inline void density_lifecycle(density_fn make)
{
    struct lifecycle l = {
        .make = density_born, .what = &make, .go = density_goes, .whole = 4, .cut = 2
    };
    gm_model *loaded = NULL;
    gm_tensor *drawn[2] = { NULL, NULL };
    double score[2][4];
    float *rows = density_states();
    lifecycle_begin(&l);
    lifecycle_cut(&l);
    lifecycle_resume(&l);
    support_ok(l.ctx[0], gm_model_save(l.model[0], l.path));
    support_ok(l.ctx[2], gm_model_load(&loaded, l.ctx[2], l.path));
    ck_assert_str_eq(gm_model_family(loaded), gm_model_family(l.model[0]));
    for (int k = 0; k < 2; k++) {
        gm_model *m = k ? loaded : l.model[0];
        support_ok(l.ctx[2 * k], gm_model_log_prob(m, rows + 300 * BITS, 4, score[k]));
        support_ok(l.ctx[2 * k], gm_model_sample(&drawn[k], m, 20));
    }
    ck_assert_mem_eq(score[0], score[1], sizeof score[0]);
    ck_assert_mem_eq(gm_tensor_read(drawn[0]), gm_tensor_read(drawn[1]), 20 * BITS * sizeof(float));
    for (int k = 0; k < 2; k++) gm_tensor_release(drawn[k]);
    gm_model_release(loaded);
    lifecycle_end(&l);
    free(rows);
}

/* After the first step, sample and score, none of them takes memory from the heap. */
static inline void density_stays(density_fn make)
{
    watched w;
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    gm_tensor *drawn = NULL;
    const int64_t shape[2] = { 20, BITS };
    float *rows = density_states();
    const gm_allocator host = watched_begin(&w, -1);
    options.allocator = &host;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &options), GM_OK);
    gm_model *model = make(ctx);
    support_ok(ctx, gm_tensor_create(&drawn, ctx, 2, shape));
    int64_t before = 0;
    for (int k = 0; k < 4; k++) {
        before = w.calls;
        support_ok(ctx, gm_model_step(model, rows + 7 * BITS, 20, NULL, 0, NULL));
        support_ok(ctx, gm_model_sample_into(model, gm_tensor_shape(drawn)[0], NULL,
                                             gm_tensor_data(drawn)));
    }
    ck_assert_int_eq(w.calls, before);
    gm_tensor_release(drawn);
    gm_model_release(model);
    gm_context_release(ctx);
    ck_assert(watched_clean(&w));
    free(rows);
}

#endif
