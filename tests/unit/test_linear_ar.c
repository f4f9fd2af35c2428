/* test_linear_ar.c - gm/linear_ar.h: each kind against what is known exactly, the closed form, one
 * column, refusals. */
#include "densities.h"

#define LOG_2PI 1.8378770664093454836
#define D 5
#define ROWS 400

static const int64_t turn[D] = { 2, 4, 0, 3, 1 };

static gm_linear_ar *make(gm_context *ctx, int64_t columns, gm_linear_ar_options o)
{
    gm_linear_ar *ar = NULL;
    support_ok(ctx, gm_linear_ar_create(&ar, ctx, columns, &o));
    ck_assert_ptr_eq(gm_linear_ar_from_model(gm_linear_ar_model(ar)), ar);
    return ar;
}

static gm_linear_ar_options kind_of(int32_t kind)
{
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    o.kind = kind;
    if (kind == GM_CONDITIONAL_CATEGORICAL) o.classes = 3;
    return o;
}

static gm_dataset *dataset(gm_context *ctx, int64_t rows, int64_t columns, const float *values)
{
    const int64_t shape[2] = { rows, columns };
    gm_dataset *data = NULL;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, values));
    return data;
}

static float *value(gm_linear_ar *ar, const char *name)
{
    gm_param *p = gm_params_find(gm_model_params(gm_linear_ar_model(ar)), name);
    ck_assert_ptr_nonnull(p);
    return gm_param_value(p);
}

/* Correlated reals, each column of another size and place. */
static void draw_reals(gm_context *ctx, float *rows)
{
    gm_rng *rng = NULL;
    float z[D];
    support_ok(ctx, gm_rng_create(&rng, ctx, 7));
    for (int i = 0; i < ROWS; i++) {
        support_ok(ctx, gm_rng_normal(rng, D, 0, 1, z));
        for (int c = 0; c < D; c++)
            rows[i * D + c] =
                (float)(c - 2) + (z[c] + (float)0.8 * z[(c + 1) % D]) * (float)(0.5 + 0.3 * c);
    }
    gm_rng_release(rng);
}

/* log N(x; mean, S + ridge I) of the rows' own mean and covariance S, by Gaussian elimination. */
static double gaussian(const float *rows, double ridge, const float *x)
{
    double mean[D] = { 0 }, a[D][D + 1], sum = 0;
    memset(a, 0, sizeof a);
    for (int i = 0; i < ROWS; i++)
        for (int c = 0; c < D; c++) mean[c] += (double)rows[i * D + c] / ROWS;
    for (int i = 0; i < ROWS; i++)
        for (int r = 0; r < D; r++)
            for (int c = 0; c < D; c++)
                a[r][c] += ((double)rows[i * D + r] - mean[r]) *
                           ((double)rows[i * D + c] - mean[c]) / ROWS;
    for (int r = 0; r < D; r++) a[r][r] += ridge, a[r][D] = (double)x[r] - mean[r];
    for (int p = 0; p < D; p++) {
        for (int r = p + 1; r < D; r++) {
            const double f = a[r][p] / a[p][p];
            for (int c = p; c <= D; c++) a[r][c] -= f * a[p][c];
        }
        sum += -0.5 * log(a[p][p]) - 0.5 * a[p][D] * a[p][D] / a[p][p];
    }
    return sum - 0.5 * D * LOG_2PI;
}

START_TEST(closed_form_is_the_gaussian)
{
    gm_context *ctx = support_context(41, 1);
    float rows[ROWS * D];
    draw_reals(ctx, rows);
    gm_dataset *data = dataset(ctx, ROWS, D, rows);
    for (int with = 0; with < 4; with++) {
        gm_linear_ar_options o = kind_of(GM_CONDITIONAL_GAUSSIAN);
        const double ridge = with & 1 ? 0.25 : 0;
        double got[50], gradient;
        if (with & 2) o.order = turn;
        gm_linear_ar *ar = make(ctx, D, o);
        support_ok(ctx, gm_linear_ar_solve(ar, data, ridge));
        support_ok(ctx, gm_model_log_prob(gm_linear_ar_model(ar), rows, 50, got));
        for (int i = 0; i < 50; i++) {
            const double want = gaussian(rows, ridge, rows + i * D);
            ck_assert_msg(fabs(got[i] - want) < 1e-6 * fabs(want),
                          "row %d, ridge %g: %.9g, Gaussian %.9g", i, ridge, got[i], want);
        }
        /* What the gradient thinks of it. */
        support_ok(ctx, gm_linear_ar_gradient_norm(&gradient, ar, data));
        ck_assert_msg(ridge > 0 ? gradient > 1e-2 : gradient < 1e-4, "ridge %g: gradient %g", ridge,
                      gradient);
        gm_linear_ar_release(ar);
    }
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

START_TEST(gradient_finds_the_closed_form)
{
    gm_context *ctx = support_context(42, 1);
    float rows[ROWS * D];
    draw_reals(ctx, rows);
    gm_dataset *data = dataset(ctx, ROWS, D, rows);
    gm_linear_ar *best = make(ctx, D, kind_of(GM_CONDITIONAL_GAUSSIAN));
    gm_linear_ar *ar = make(ctx, D, kind_of(GM_CONDITIONAL_GAUSSIAN));
    support_ok(ctx, gm_linear_ar_solve(best, data, 0));
    gm_optimizer *adam = gm_model_optimizer(gm_linear_ar_model(ar));
    for (int stage = 0; stage < 6; stage++) {
        support_ok(ctx, gm_optimizer_set_rate(adam, 0.1 * pow(0.25, stage)));
        for (int i = 0; i < 600; i++)
            support_ok(ctx, gm_model_step(gm_linear_ar_model(ar), rows, ROWS, NULL, 0, NULL));
    }
    static const char *const names[] = { "weight", "bias", "log_deviation" };
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < (p ? D : D * D); i++)
            ck_assert_msg(fabs((double)(value(ar, names[p])[i] - value(best, names[p])[i])) < 1e-3,
                          "%s %d: by gradient %g, closed form %g", names[p], i,
                          (double)value(ar, names[p])[i], (double)value(best, names[p])[i]);
    gm_linear_ar_release(ar);
    gm_linear_ar_release(best);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* Samples have the model's mean and covariance; with some given, the mean of a Gaussian's
 * conditional. */
START_TEST(draws_of_reals)
{
    enum { N = 6000 };
    gm_context *ctx = support_context(43, 1);
    float rows[ROWS * D], *x = malloc(N * D * sizeof *x);
    uint8_t *known = calloc(N, D);
    ck_assert(x && known);
    draw_reals(ctx, rows);
    gm_dataset *data = dataset(ctx, ROWS, D, rows);
    gm_linear_ar_options o = kind_of(GM_CONDITIONAL_GAUSSIAN);
    gm_tensor *drawn = NULL;
    o.order = turn;
    gm_linear_ar *ar = make(ctx, D, o);
    gm_model *model = gm_linear_ar_model(ar);
    support_ok(ctx, gm_linear_ar_solve(ar, data, 0));
    support_ok(ctx, gm_model_sample(&drawn, model, N));
    for (int c = 0; c < D; c++) {
        double m[2] = { 0 }, v[2] = { 0 };
        for (int i = 0; i < N; i++) m[1] += (double)gm_tensor_read(drawn)[i * D + c] / N;
        for (int i = 0; i < ROWS; i++) m[0] += (double)rows[i * D + c] / ROWS;
        for (int i = 0; i < N; i++)
            v[1] += pow((double)gm_tensor_read(drawn)[i * D + c] - m[1], 2) / N;
        for (int i = 0; i < ROWS; i++) v[0] += pow((double)rows[i * D + c] - m[0], 2) / ROWS;
        ck_assert_msg(fabs(m[0] - m[1]) < support_bound(8) * sqrt(v[0] / N),
                      "column %d: mean %g, drawn %g", c, m[0], m[1]);
        ck_assert_msg(fabs(v[1] / v[0] - 1) < support_bound(8) * sqrt(2.0 / N),
                      "column %d: variance %g, drawn %g", c, v[0], v[1]);
    }
    /* turn[0] and turn[1] given: the next column's conditional is what is drawn. */
    float given[2 * D];
    double mean = 0, log_known[2], logs[D];
    for (int i = 0; i < N; i++) {
        x[i * D + turn[0]] = 1;
        x[i * D + turn[1]] = -1;
        known[i * D + turn[0]] = known[i * D + turn[1]] = 1;
        x[i * D + turn[2]] = x[i * D + turn[3]] = x[i * D + turn[4]] = 0;
    }
    support_ok(ctx, gm_autoregressive_conditionals(model, x, 1, given));
    support_ok(ctx, gm_autoregressive_log_probs(model, x, 1, logs));
    support_ok(ctx, gm_autoregressive_log_marginal(model, x, known, 2, NULL, log_known));
    ck_assert_double_eq_tol(log_known[0], logs[turn[0]] + logs[turn[1]], 1e-5);
    support_ok(ctx, gm_autoregressive_sample_given(model, known, N, NULL, x, NULL));
    for (int i = 0; i < N; i++) mean += (double)x[i * D + turn[2]] / N;
    ck_assert_double_eq_tol(mean, (double)given[2 * turn[2]],
                            support_bound(1) * (double)given[2 * turn[2] + 1] / sqrt(N));
    gm_tensor_release(drawn);
    gm_linear_ar_release(ar);
    gm_dataset_release(data);
    free(known);
    free(x);
    gm_context_release(ctx);
}
END_TEST

START_TEST(singular)
{
    gm_context *ctx = support_context(44, 1);
    float rows[ROWS * D];
    double p, gradient;
    draw_reals(ctx, rows);
    for (int fault = 0; fault < 2; fault++) {
        for (int i = 0; i < ROWS; i++)
            rows[i * D + 3] = fault ? rows[i * D + 2] - 2 * rows[i * D + 0] : (float)4.5;
        gm_dataset *data = dataset(ctx, ROWS, D, rows);
        gm_linear_ar_options o = kind_of(GM_CONDITIONAL_GAUSSIAN);
        if (fault) o.order = turn; /* 2, 4, 0, 3: column 3 follows from 2 and 0 */
        gm_linear_ar *ar = make(ctx, D, o);
        value(ar, "bias")[1] = 3;
        support_fails(ctx, gm_linear_ar_solve(ar, data, 0), GM_E_NUMERIC,
                      fault ? "column 3 follows from the columns before it; ridge is 0"
                            : "column 3 is constant; ridge is 0");
        ck_assert(value(ar, "bias")[1] > 2);
        support_ok(ctx, gm_linear_ar_solve(ar, data, 1e-3));
        support_ok(ctx, gm_model_log_prob(gm_linear_ar_model(ar), rows, 1, &p));
        ck_assert(isfinite(p));
        support_ok(ctx, gm_linear_ar_gradient_norm(&gradient, ar, data));
        ck_assert(isfinite(gradient));
        gm_linear_ar_release(ar);
        gm_dataset_release(data);
    }
    gm_context_release(ctx);
}
END_TEST

/* Logistic regression is convex: two starts end at one place, the gradient there is zero, and steps
 * tell its norm. */
START_TEST(bits_are_convex)
{
    gm_context *ctx = support_context(45, 1);
    gm_dataset *data = nets_bits(ctx, 80, BITS);
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    o.weight_decay = 0.02;
    gm_linear_ar *ar[2] = { make(ctx, BITS, o), make(ctx, BITS, o) };
    gm_metric m[GM_MAX_METRICS];
    int32_t n;
    double norm[2], first;
    float rows[80 * BITS];
    int64_t index[80];
    for (int i = 0; i < 80; i++) index[i] = i;
    support_ok(ctx, gm_dataset_read(data, index, 80, 0, rows));
    for (int i = 0; i < BITS; i++)
        for (int j = 0; j < i; j++) value(ar[1], "weight")[i * BITS + j] = (float)(i % 3 - 1);
    support_ok(ctx, gm_linear_ar_gradient_norm(&first, ar[1], data));
    for (int k = 0; k < 2; k++) {
        gm_model *model = gm_linear_ar_model(ar[k]);
        for (int stage = 0; stage < 4; stage++) {
            support_ok(ctx,
                       gm_optimizer_set_rate(gm_model_optimizer(model), 0.1 * pow(0.2, stage)));
            for (int i = 0; i < 500; i++)
                support_ok(ctx, gm_model_step(model, rows, 80, m, GM_MAX_METRICS, &n));
        }
        support_ok(ctx, gm_linear_ar_gradient_norm(&norm[k], ar[k], data));
        ck_assert_str_eq(m[0].name, "loss");
        ck_assert_double_eq_tol(nets_metric(m, n, "gradient"), norm[k], 1e-2);
        ck_assert_msg(norm[k] < 2e-3 && first > 0.1, "gradient %g at first, %g at the end", first,
                      norm[k]);
    }
    for (int i = 0; i < BITS; i++)
        for (int j = 0; j < BITS; j++) {
            const float *w[2] = { value(ar[0], "weight") + i * BITS,
                                  value(ar[1], "weight") + i * BITS };
            ck_assert_double_eq_tol((double)w[0][j], (double)w[1][j], 0.02);
            if (j >= i) ck_assert(w[0][j] == 0);
        }
    /* The loss that is reported has no penalty in it. */
    double p[80], mean = 0;
    support_ok(ctx, gm_model_log_prob(gm_linear_ar_model(ar[0]), rows, 80, p));
    support_ok(ctx, gm_model_evaluate(gm_linear_ar_model(ar[0]), data, support_batches(32, 0), m,
                                      GM_MAX_METRICS, &n));
    for (int i = 0; i < 80; i++) mean -= p[i] / 80;
    ck_assert_double_eq_tol(nets_metric(m, n, "loss"), mean, 1e-4);
    for (int k = 0; k < 2; k++) gm_linear_ar_release(ar[k]);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

/* Three columns of three classes: all 27 states. */
START_TEST(class_numbers)
{
    enum { C = 3, ALL = 27, N = 3000 };
    gm_context *ctx = support_context(46, 1);
    static const int64_t order[C] = { 1, 2, 0 };
    gm_linear_ar_options o = kind_of(GM_CONDITIONAL_CATEGORICAL);
    o.order = order;
    gm_linear_ar *ar = make(ctx, C, o);
    gm_model *model = gm_linear_ar_model(ar);
    float rows[ALL * C], given[ALL * C * 3];
    double p[ALL], parts[ALL * C], sum = 0;
    ck_assert_int_eq(gm_autoregressive_width(model), 3);
    for (int s = 0; s < ALL; s++)
        for (int c = 0, rest = s; c < C; c++, rest /= 3) rows[s * C + c] = (float)(rest % 3);
    /* Rows whose columns follow each other, to learn something. */
    float train[30 * C];
    for (int i = 0; i < 30; i++)
        for (int c = 0; c < C; c++) train[i * C + c] = (float)((i + c * (i % 2)) % 3);
    support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(model), 0.05));
    for (int i = 0; i < 40; i++) support_ok(ctx, gm_model_step(model, train, 30, NULL, 0, NULL));
    support_ok(ctx, gm_model_log_prob(model, rows, ALL, p));
    support_ok(ctx, gm_autoregressive_log_probs(model, rows, ALL, parts));
    support_ok(ctx, gm_autoregressive_conditionals(model, rows, ALL, given));
    for (int s = 0; s < ALL; s++) {
        sum += exp(p[s]);
        ck_assert_double_eq_tol(p[s], parts[s * C] + parts[s * C + 1] + parts[s * C + 2], 1e-9);
        for (int c = 0; c < C; c++) {
            const float *g = given + (s * C + c) * 3;
            ck_assert_double_eq_tol((double)(g[0] + g[1] + g[2]), 1, 1e-5);
            ck_assert_double_eq_tol((double)g[(int)rows[s * C + c]], exp(parts[s * C + c]), 1e-5);
        }
    }
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    ck_assert(exp(p[0]) > 1.3 / ALL); /* (0, 0, 0) is frequent */
    gm_tensor *drawn = NULL;
    int seen[ALL] = { 0 };
    support_ok(ctx, gm_model_sample(&drawn, model, N));
    for (int i = 0; i < N; i++) {
        const float *x = gm_tensor_read(drawn) + i * C;
        seen[(int)x[0] + 3 * (int)x[1] + 9 * (int)x[2]]++;
    }
    for (int s = 0; s < ALL; s++)
        ck_assert_msg(fabs((double)seen[s] / N - exp(p[s])) <
                          support_bound(100) * (sqrt(exp(p[s]) / N) + 2.0 / N),
                      "state %d: %d of %d, p %g", s, seen[s], N, exp(p[s]));
    rows[4] = 3;
    support_fails(ctx, gm_model_log_prob(model, rows, 2, p), GM_E_INVALID,
                  "row 1, column 1 is 3, expected a class from 0 to 2");
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_INVALID, "column 1 is 3");
    uint8_t known[C] = { 0 };
    gm_impute_options io = GM_IMPUTE_OPTIONS_INIT;
    io.mean = 1;
    support_fails(ctx, gm_autoregressive_impute(model, known, 1, &io, rows), GM_E_INVALID,
                  "no mean");
    gm_tensor_release(drawn);
    gm_linear_ar_release(ar);
    gm_context_release(ctx);
}
END_TEST

START_TEST(one_column)
{
    gm_context *ctx = support_context(47, 1);
    const float bits[8] = { 1, 0, 1, 1, 1, 0, 1, 1 }, reals[4] = { 1, 2, 3, 6 };
    gm_linear_ar *ar = make(ctx, 1, kind_of(GM_CONDITIONAL_BINARY));
    gm_tensor *drawn = NULL;
    double p, mean;
    support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(gm_linear_ar_model(ar)), 0.1));
    for (int i = 0; i < 300; i++)
        support_ok(ctx, gm_model_step(gm_linear_ar_model(ar), bits, 8, NULL, 0, NULL));
    support_ok(ctx, gm_model_log_prob(gm_linear_ar_model(ar), bits, 1, &p));
    ck_assert_double_eq_tol(exp(p), 0.75, 1e-3);
    support_ok(ctx, gm_model_sample(&drawn, gm_linear_ar_model(ar), 4));
    gm_tensor_release(drawn);
    gm_linear_ar_release(ar);
    ar = make(ctx, 1, kind_of(GM_CONDITIONAL_GAUSSIAN));
    gm_dataset *data = dataset(ctx, 4, 1, reals);
    support_ok(ctx, gm_linear_ar_solve(ar, data, 0));
    mean = (double)value(ar, "bias")[0];
    ck_assert_double_eq_tol(mean, 3, 1e-6);
    ck_assert_double_eq_tol((double)value(ar, "log_deviation")[0], 0.5 * log(3.5), 1e-6);
    gm_dataset_release(data);
    gm_linear_ar_release(ar);
    gm_context_release(ctx);
}
END_TEST

static gm_model *decayed(gm_context *ctx)
{
    static const int64_t order[BITS] = { 9, 8, 7, 6, 5, 4, 3, 2, 0, 1 };
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    o.order = order;
    o.weight_decay = 0.01;
    return gm_linear_ar_model(make(ctx, BITS, o));
}

START_TEST(a_life)
{
    density_lifecycle(decayed);
    density_stays(decayed);
}
END_TEST

/* The other kinds in a file. */
START_TEST(files)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_context *ctx = support_context(48, 1);
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int32_t kind = GM_CONDITIONAL_CATEGORICAL; kind <= GM_CONDITIONAL_GAUSSIAN; kind++) {
        const float row[D] = { 0, 2, 1, 1, 0 };
        gm_linear_ar_options o = kind_of(kind);
        double p[2];
        gm_model *loaded = NULL;
        o.order = turn;
        gm_linear_ar *ar = make(ctx, D, o);
        for (int i = 0; i < 5; i++)
            support_ok(ctx, gm_model_step(gm_linear_ar_model(ar), row, 1, NULL, 0, NULL));
        support_ok(ctx, gm_model_save(gm_linear_ar_model(ar), path));
        support_ok(ctx, gm_model_load(&loaded, ctx, path));
        ck_assert_int_eq(gm_autoregressive_kind(loaded), kind);
        ck_assert_ptr_null(gm_linear_ar_from_model(NULL));
        support_ok(ctx, gm_model_log_prob(gm_linear_ar_model(ar), row, 1, p));
        support_ok(ctx, gm_model_log_prob(loaded, row, 1, p + 1));
        ck_assert_double_eq(p[0], p[1]);
        gm_model_release(loaded);
        /* Sizes and places that the weights do not have. */
        static const char *const keys[] = { "linear_ar.columns", "linear_ar.classes",
                                            "linear_ar.kind" };
        for (int k = 0; k < 3; k++) {
            gm_archive *archive = NULL;
            support_ok(ctx, gm_archive_open(&archive, ctx, path));
            support_ok(ctx, gm_archive_set_int(archive, keys[k], k < 2 ? 1 << 20 : -3));
            support_ok(ctx, gm_archive_write(archive, path));
            gm_archive_release(archive);
            support_fails(ctx, gm_model_load(&loaded, ctx, path), k < 2 ? GM_E_SHAPE : GM_E_INVALID,
                          k < 2 ? "1048576" : "kind");
            support_ok(ctx, gm_model_save(gm_linear_ar_model(ar), path));
        }
        gm_linear_ar_release(ar);
    }
    support_folder_remove(folder);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refusals)
{
    gm_context *ctx = support_context(49, 1);
    gm_linear_ar *ar = (gm_linear_ar *)ctx, *second = NULL;
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    support_fails(ctx, gm_linear_ar_create(&ar, ctx, 0, NULL), GM_E_INVALID, "columns is 0");
    ck_assert_ptr_null(ar);
    support_fails(ctx, gm_linear_ar_create(&ar, ctx, 1 << 23, NULL), GM_E_INVALID, "too many");
    ck_assert_int_eq(gm_linear_ar_create(&ar, NULL, 3, NULL), GM_E_INVALID);
    support_fails(ctx, gm_linear_ar_create(NULL, ctx, 3, NULL), GM_E_INVALID, "NULL");
    o.kind = GM_CONDITIONAL_GAUSSIAN_MIXTURE;
    support_fails(ctx, gm_linear_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "kind is 3");
    o.kind = GM_CONDITIONAL_CATEGORICAL, o.classes = 1;
    support_fails(ctx, gm_linear_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "classes is 1");
    o.kind = GM_CONDITIONAL_BINARY, o.weight_decay = -1;
    support_fails(ctx, gm_linear_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "weight_decay is -1");
    o.weight_decay = 0;
    const int64_t twice[3] = { 0, 2, 2 }, out_of_range[3] = { 0, 3, 1 };
    o.order = twice;
    support_fails(ctx, gm_linear_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "2 at place 2");
    o.order = out_of_range;
    support_fails(ctx, gm_linear_ar_create(&ar, ctx, 3, &o), GM_E_INVALID, "3 at place 1");
    o.order = NULL;
    ar = make(ctx, 3, o);
    o.optimizer = gm_model_optimizer(gm_linear_ar_model(ar));
    support_fails(ctx, gm_linear_ar_create(&second, ctx, 3, &o), GM_E_STATE, "bound");
    gm_dataset *data = nets_bits(ctx, 10, 3), *wide = nets_bits(ctx, 10, 4);
    double norm;
    support_fails(ctx, gm_linear_ar_solve(ar, data, 0), GM_E_UNSUPPORTED, "only a model of reals");
    support_fails(ctx, gm_linear_ar_gradient_norm(&norm, ar, wide), GM_E_SHAPE,
                  "[4], those of the model [3]");
    support_fails(ctx, gm_linear_ar_gradient_norm(&norm, ar, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_linear_ar_gradient_norm(&norm, NULL, data), GM_E_INVALID);
    ck_assert_int_eq(gm_linear_ar_solve(NULL, data, 0), GM_E_INVALID);
    gm_linear_ar *real = make(ctx, 3, kind_of(GM_CONDITIONAL_GAUSSIAN));
    support_fails(ctx, gm_linear_ar_solve(real, wide, 0), GM_E_SHAPE,
                  "[4], those of the model [3]");
    support_fails(ctx, gm_linear_ar_solve(real, data, -1), GM_E_INVALID, "ridge is -1");
    support_fails(ctx, gm_linear_ar_solve(real, data, NAN), GM_E_INVALID, "ridge");
    support_fails(ctx, gm_linear_ar_solve(real, NULL, 0), GM_E_INVALID, "data is NULL");
    float row[3] = { 0, INFINITY, 0 };
    support_fails(ctx, gm_model_step(gm_linear_ar_model(real), row, 1, NULL, 0, NULL), GM_E_INVALID,
                  "row 0, column 1 is inf, expected a finite number");
    row[1] = NAN;
    support_fails(ctx, gm_model_step(gm_linear_ar_model(ar), row, 1, NULL, 0, NULL), GM_E_INVALID,
                  "row 0, column 1 is");
    ck_assert_ptr_null(gm_linear_ar_model(NULL));
    gm_linear_ar_retain(NULL);
    gm_linear_ar_release(NULL);
    gm_linear_ar_release(real);
    gm_linear_ar_release(ar);
    gm_dataset_release(wide);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("linear_ar");
    TCase *t = tcase_create("linear_ar");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, closed_form_is_the_gaussian);
    tcase_add_test(t, gradient_finds_the_closed_form);
    tcase_add_test(t, draws_of_reals);
    tcase_add_test(t, singular);
    tcase_add_test(t, bits_are_convex);
    tcase_add_test(t, class_numbers);
    tcase_add_test(t, one_column);
    tcase_add_test(t, a_life);
    tcase_add_test(t, files);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    return s;
}
