/* test_anomaly.c - calibrated scores, with a family whose log-likelihood is written in the row; ROC
 * curves by hand. */
#include "gm/gm.h"
#include "models/family.h"
#include "sweep.h"

#define WIDTH 2

/* --- A family: log p(row) = row[0] + 100 label. A row of 1e30 has NaN, 2e30 +infinity, -2e30
 * -infinity. */

typedef struct plain {
    gm_model model;
} plain;

static gm_status plain_log_prob(gm_model *model, const gm_batch *batch,
                                const gm_log_prob_options *how, double *out, double *error)
{
    (void)how;
    (void)error;
    for (int64_t i = 0; i < batch->count; i++) {
        const double v = (double)batch->rows[i * model->row_size];
        out[i] = v > 1.5e30   ? (double)INFINITY
                 : v > 0.5e30 ? (double)NAN
                 : v < -1e30  ? -(double)INFINITY
                              : v;
        if (batch->labels) out[i] += 100 * (double)batch->labels[i];
    }
    return GM_OK;
}

static void plain_destroy(gm_model *model)
{
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    gm_context_free(ctx, model, sizeof(plain));
}

static const gm_family plain_family = { .name = "plain",
                                        .log_prob = plain_log_prob,
                                        .likelihood = gm_model_exact_likelihood,
                                        .destroy = plain_destroy };
static const gm_family other_family = { .name = "other",
                                        .log_prob = plain_log_prob,
                                        .likelihood = gm_model_exact_likelihood,
                                        .destroy = plain_destroy };
static const gm_family mute_family = { .name = "mute", .destroy = plain_destroy };

static gm_status plain_create(gm_model **out, gm_context *ctx, const gm_family *family,
                              int64_t width)
{
    *out = NULL;
    plain *p = gm_model_new(ctx, family, sizeof *p);
    if (!p) return gm_model_fail(ctx, GM_E_NOMEM, "plain: no memory");
    gm_status status = gm_model_open(&p->model);
    p->model.row_size = width;
    if (status)
        gm_model_release(&p->model);
    else
        *out = &p->model;
    return status;
}

static gm_model *model_of(gm_context *ctx, const gm_family *family, int64_t width)
{
    gm_model *model = NULL;
    support_ok(ctx, plain_create(&model, ctx, family, width));
    return model;
}

/* Rows whose first values are these. */
static gm_dataset *rows_of(gm_context *ctx, const float *first, int64_t count)
{
    float *values = calloc((size_t)count * WIDTH, sizeof *values);
    const int64_t shape[2] = { count, WIDTH };
    gm_dataset *data = NULL;
    for (int64_t i = 0; i < count; i++) values[i * WIDTH] = first[i];
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, values));
    free(values);
    return data;
}

static gm_anomaly *score_of(gm_model *model, const float *first, int64_t count, int32_t tail)
{
    gm_context *ctx = gm_model_context(model);
    gm_dataset *data = rows_of(ctx, first, count);
    gm_anomaly *score = NULL;
    gm_anomaly_options o = GM_ANOMALY_OPTIONS_INIT;
    o.tail = tail;
    o.batch = 3;
    support_ok(ctx, gm_anomaly_create(&score, model, data, &o));
    gm_dataset_release(data);
    return score;
}

START_TEST(quantiles_by_hand)
{
    static const float first[8] = {
        -5, -1, -3, -3, -8, -3, -2, -10
    }; /* -10 -8 -5 -3 -3 -3 -2 -1 */
    static const float rows[6 * WIDTH] = { -11, 0, -10, 0, -3, 0, -2.5f, 0, -1, 0, 0, 0 };
    static const double low[6] = { 0, 0.5 / 8, 4.5 / 8, 6.0 / 8, 7.5 / 8, 1 };
    static const double sorted[8] = { -10, -8, -5, -3, -3, -3, -2, -1 };
    double log_prob[6], quantile[6], alone[6];
    gm_context *ctx = support_context(1, 2);
    gm_model *model = model_of(ctx, &plain_family, WIDTH);
    gm_anomaly *one = score_of(model, first, 8, GM_ANOMALY_TAIL_LOW),
               *both = score_of(model, first, 8, GM_ANOMALY_TAIL_BOTH);
    ck_assert(gm_anomaly_count(one) == 8 && gm_anomaly_tail(one) == GM_ANOMALY_TAIL_LOW);
    ck_assert(gm_anomaly_tail(both) == GM_ANOMALY_TAIL_BOTH && gm_anomaly_model(one) == model);
    ck_assert_mem_eq(gm_anomaly_sorted(one), sorted, sizeof sorted);
    support_ok(ctx, gm_anomaly_score(one, rows, 6, log_prob, quantile));
    for (int i = 0; i < 6; i++) {
        ck_assert(log_prob[i] == (double)rows[WIDTH * i] && quantile[i] == low[i]);
        ck_assert(gm_anomaly_quantile(one, log_prob[i]) == low[i]);
    }
    support_ok(ctx, gm_anomaly_score(one, rows, 6, NULL, alone));
    ck_assert_mem_eq(alone, quantile, sizeof alone);
    support_ok(ctx, gm_anomaly_score(one, rows, 6, alone, NULL));
    ck_assert_mem_eq(alone, log_prob, sizeof alone);
    support_ok(ctx, gm_anomaly_score(both, rows, 6, NULL, quantile));
    for (int i = 0; i < 6; i++) ck_assert(quantile[i] == 2 * fmin(low[i], 1 - low[i]));
    ck_assert(isnan(gm_anomaly_quantile(one, (double)NAN)) && isnan(gm_anomaly_quantile(NULL, 0)));
    ck_assert(gm_anomaly_quantile(one, (double)INFINITY) == 1 &&
              gm_anomaly_quantile(one, -(double)INFINITY) == 0);
    gm_anomaly_retain(one);
    gm_anomaly_release(one);
    gm_anomaly_release(both);
    gm_model_release(model); /* the score holds it */
    gm_context_release(ctx);
    ck_assert(gm_anomaly_quantile(one, -4) == 3.0 / 8);
    gm_anomaly_release(one);
    gm_anomaly_release(NULL);
    ck_assert(!gm_anomaly_model(NULL) && !gm_anomaly_count(NULL) && !gm_anomaly_sorted(NULL) &&
              !gm_anomaly_tail(NULL));
}
END_TEST

/* Equal scores: every quantile is a half, and so is a single row's of itself; -infinity has its
 * place. */
START_TEST(constant_scores)
{
    static const float same[5] = { 7, 7, 7, 7, 7 }, wild[4] = { -2e30f, 1, -2e30f, 2 };
    gm_context *ctx = support_context(1, 1);
    gm_model *model = model_of(ctx, &plain_family, WIDTH);
    gm_anomaly *score = score_of(model, same, 5, GM_ANOMALY_TAIL_LOW);
    double at;
    ck_assert(gm_anomaly_quantile(score, 7) == 0.5 && gm_anomaly_quantile(score, 6) == 0);
    ck_assert(gm_anomaly_quantile(score, 8) == 1);
    support_ok(ctx, gm_anomaly_threshold(&at, score, 0.5));
    ck_assert(at == 7 - 7 * GM_ANOMALY_ROUNDING);
    gm_anomaly_release(score);
    score = score_of(model, same, 1, GM_ANOMALY_TAIL_BOTH);
    ck_assert(gm_anomaly_quantile(score, 7) == 1 && gm_anomaly_quantile(score, 6) == 0);
    gm_anomaly_release(score);
    score = score_of(model, wild, 4, GM_ANOMALY_TAIL_LOW);
    ck_assert(gm_anomaly_quantile(score, -(double)INFINITY) == 0.25 &&
              gm_anomaly_quantile(score, 1) == 2.5 / 4);
    support_ok(ctx, gm_anomaly_threshold(&at, score, 0.25));
    ck_assert(at == -(double)INFINITY);
    gm_anomaly_release(score);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Many rows: sorted, the same for any batch and limit, and thresholds give the rate that they
 * promise. */
START_TEST(many_rows)
{
    enum { N = 1009 };
    float *first = malloc(N * sizeof *first);
    gm_context *ctx = support_context(1, 2);
    gm_model *model = model_of(ctx, &plain_family, WIDTH);
    gm_rng *rng = NULL;
    gm_anomaly *scores[2] = { NULL, NULL };
    gm_anomaly_options o = GM_ANOMALY_OPTIONS_INIT;
    support_ok(ctx, gm_rng_create(&rng, ctx, 5));
    gm_rng_normal(rng, N, 0, 1, first);
    for (int i = 0; i < N; i += 10) first[i] = first[(i + 7) % N]; /* ties */
    gm_dataset *data = rows_of(ctx, first, N);
    for (int i = 0; i < 2; i++) {
        o.batch = i ? 10 * N : 7;
        support_ok(ctx, gm_anomaly_create(&scores[i], model, data, &o));
    }
    const double *v = gm_anomaly_sorted(scores[0]);
    ck_assert_mem_eq(v, gm_anomaly_sorted(scores[1]), N * sizeof *v);
    double sum = 0, sorted_sum = 0, mean = 0;
    for (int i = 0; i < N; i++) sum += (double)first[i], sorted_sum += v[i];
    for (int i = 1; i < N; i++) ck_assert(v[i - 1] <= v[i]);
    ck_assert_double_eq_tol(sum, sorted_sum, 1e-9);
    for (int i = 0; i < N; i++) mean += gm_anomaly_quantile(scores[0], v[i]) / N;
    ck_assert_double_eq_tol(mean, 0.5, 1e-12); /* what half the number of equals is for */
    for (int i = 0; i <= 100; i++) {
        double at;
        int64_t below = 0, more = 0;
        support_ok(ctx, gm_anomaly_threshold(&at, scores[0], i / 100.0));
        for (int j = 0; j < N; j++)
            below += v[j] < at, more += v[j] <= at + 2 * GM_ANOMALY_ROUNDING * fmax(fabs(at), 1);
        ck_assert(below <= i / 100.0 * N + 1e-9 && (more > i / 100.0 * N || i == 100));
    }
    gm_anomaly_release(scores[1]);
    o.limit = 100;
    support_ok(ctx, gm_anomaly_create(&scores[1], model, data, &o));
    ck_assert(gm_anomaly_count(scores[1]) == 100);
    sum = sorted_sum = 0;
    for (int i = 0; i < 100; i++)
        sum += (double)first[i], sorted_sum += gm_anomaly_sorted(scores[1])[i];
    ck_assert_double_eq_tol(sum, sorted_sum, 1e-9);
    for (int i = 0; i < 2; i++) gm_anomaly_release(scores[i]);
    gm_dataset_release(data);
    gm_rng_release(rng);
    gm_model_release(model);
    gm_context_release(ctx);
    free(first);
}
END_TEST

/* A conditional model takes the dataset's labels, and those that the host set stay. */
START_TEST(labels_of_the_dataset)
{
    static const float first[4] = { 1, 2, 3, 4 }, labels[4] = { 2, 0, 1, 0 };
    static const double sorted[4] = { 2, 4, 103, 201 };
    static const int64_t shape[1] = { 4 }, mine = 1;
    const float row[WIDTH] = { 3, 0 };
    double q;
    gm_context *ctx = support_context(1, 1);
    gm_model *model = model_of(ctx, &plain_family, WIDTH);
    gm_dataset *data = rows_of(ctx, first, 4), *kinds = NULL;
    gm_anomaly *score = NULL;
    model->classes = 3;
    support_fails(ctx, gm_anomaly_create(&score, model, data, NULL), GM_E_STATE,
                  "the dataset has none");
    ck_assert_ptr_null(score);
    support_ok(ctx, gm_dataset_from_memory(&kinds, ctx, 1, shape, labels));
    support_ok(ctx, gm_dataset_attach_labels(data, kinds));
    support_ok(ctx, gm_model_set_labels(model, &mine, 1));
    support_ok(ctx, gm_anomaly_create(&score, model, data, NULL));
    ck_assert_mem_eq(gm_anomaly_sorted(score), sorted, sizeof sorted);
    support_ok(ctx, gm_anomaly_score(score, row, 1, NULL, &q));
    ck_assert(q == 2.5 / 4);
    gm_anomaly_release(score);
    gm_dataset_release(kinds);
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

static int32_t stop_at(void *user, int64_t done, int64_t total)
{
    ck_assert_int_eq(total, 9);
    int64_t *calls = user;
    ++*calls;
    return done >= 6;
}

START_TEST(refusals)
{
    static const float good[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, bad[3] = { 1, 2, 1e30f },
                       up[2] = { 1, 2e30f };
    static const float row[WIDTH] = { 1e30f, 0 };
    gm_context *ctx = support_context(1, 1);
    gm_model *model = model_of(ctx, &plain_family, WIDTH),
             *mute = model_of(ctx, &mute_family, WIDTH);
    gm_model *wide = model_of(ctx, &plain_family, 5);
    gm_dataset *data = rows_of(ctx, good, 9), *nan_data = rows_of(ctx, bad, 3),
               *up_data = rows_of(ctx, up, 2);
    gm_anomaly *score = NULL;
    gm_anomaly_options o = GM_ANOMALY_OPTIONS_INIT;
    double out = 7, q = 7;
    int64_t calls = 0;
    ck_assert_int_eq(gm_anomaly_create(&score, NULL, data, NULL), GM_E_INVALID);
    support_fails(ctx, gm_anomaly_create(NULL, model, data, NULL), GM_E_INVALID, "out is NULL");
    support_fails(ctx, gm_anomaly_create(&score, model, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_anomaly_create(&score, mute, data, NULL), GM_E_UNSUPPORTED,
                  "mute has no log_prob");
    support_fails(ctx, gm_anomaly_create(&score, wide, data, NULL), GM_E_SHAPE,
                  "[2], those of the model [5]");
    support_fails(ctx, gm_anomaly_create(&score, model, nan_data, NULL), GM_E_NUMERIC,
                  "row 2 is nan");
    support_fails(ctx, gm_anomaly_create(&score, model, up_data, NULL), GM_E_NUMERIC,
                  "row 1 is inf");
    o.batch = 0;
    support_fails(ctx, gm_anomaly_create(&score, model, data, &o), GM_E_INVALID, "batch is 0");
    o.batch = 2, o.limit = -1;
    support_fails(ctx, gm_anomaly_create(&score, model, data, &o), GM_E_INVALID, "limit is -1");
    o.limit = 0, o.tail = 2;
    support_fails(ctx, gm_anomaly_create(&score, model, data, &o), GM_E_INVALID, "tail is 2");
    o.tail = 0, o.on_progress = stop_at, o.user = &calls;
    support_fails(ctx, gm_anomaly_create(&score, model, data, &o), GM_E_CANCELLED,
                  "after 6 of 9 rows");
    ck_assert(!score && calls == 3);
    support_ok(ctx, gm_anomaly_create(&score, model, data, NULL));
    ck_assert_int_eq(gm_anomaly_score(NULL, row, 1, &out, &q), GM_E_INVALID);
    support_fails(ctx, gm_anomaly_score(score, row, 1, NULL, NULL), GM_E_INVALID, "are NULL");
    support_fails(ctx, gm_anomaly_score(score, NULL, 1, &out, &q), GM_E_INVALID,
                  "rows or log_prob is NULL");
    support_fails(ctx, gm_anomaly_score(score, row, 0, &out, &q), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_anomaly_score(score, row, 1, &out, &q), GM_E_NUMERIC, "nan in row 0");
    ck_assert_int_eq(gm_anomaly_threshold(&out, NULL, 0.5), GM_E_INVALID);
    support_fails(ctx, gm_anomaly_threshold(NULL, score, 0.5), GM_E_INVALID, "out is NULL");
    support_fails(ctx, gm_anomaly_threshold(&out, score, -0.1), GM_E_INVALID, "rate is -0.1");
    support_fails(ctx, gm_anomaly_threshold(&out, score, (double)NAN), GM_E_INVALID, "rate is nan");
    gm_anomaly_release(score);
    gm_dataset_release(up_data);
    gm_dataset_release(nan_data);
    gm_dataset_release(data);
    gm_model_release(wide);
    gm_model_release(mute);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* --- Files. */

static void write_file(gm_context *ctx, const char *path, int64_t format, const char *family,
                       int64_t row_size, int64_t tail, const void *bytes, size_t size)
{
    gm_archive *a = NULL;
    support_ok(ctx, gm_archive_create(&a, ctx));
    support_ok(ctx, gm_archive_set_int(a, "gm.anomaly.format", format));
    support_ok(ctx, gm_archive_set_text(a, "gm.anomaly.family", family));
    support_ok(ctx, gm_archive_set_int(a, "gm.anomaly.row_size", row_size));
    support_ok(ctx, gm_archive_set_int(a, "gm.anomaly.tail", tail));
    support_ok(ctx, gm_archive_put_bytes(a, "log_probs", bytes, size));
    support_ok(ctx, gm_archive_write(a, path));
    gm_archive_release(a);
}

START_TEST(files)
{
    static const float first[5] = { -2e30f, -3.25f, 1e-20f, -3.25f, (float)-1e25 };
    static const uint8_t one_two[16] = { 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x40 };
    static const uint8_t two_one[16] = { 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f };
    static const uint8_t not_a_number[8] = { 0, 0, 0, 0, 0, 0, 0xf8, 0x7f };
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32], model_path[SUPPORT_PATH + 32];
    gm_context *ctx = support_context(1, 1);
    gm_model *model = model_of(ctx, &plain_family, WIDTH),
             *other = model_of(ctx, &other_family, WIDTH);
    gm_model *wide = model_of(ctx, &plain_family, 5), *mute = model_of(ctx, &mute_family, WIDTH);
    gm_anomaly *score = score_of(model, first, 5, GM_ANOMALY_TAIL_BOTH), *back = NULL;
    gm_archive *a = NULL;
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/anomaly.safetensors", folder);
    snprintf(model_path, sizeof model_path, "%s/else.safetensors", folder);
    support_ok(ctx, gm_anomaly_save(score, path));
    support_ok(ctx, gm_anomaly_load(&back, model, path));
    ck_assert(gm_anomaly_count(back) == 5 && gm_anomaly_tail(back) == GM_ANOMALY_TAIL_BOTH);
    ck_assert_mem_eq(gm_anomaly_sorted(back), gm_anomaly_sorted(score), 5 * sizeof(double));
    gm_anomaly_release(back);
    write_file(ctx, path, 1, "plain", WIDTH, 0, one_two, 16);
    support_ok(ctx, gm_anomaly_load(&back, model, path));
    ck_assert(gm_anomaly_count(back) == 2 && gm_anomaly_sorted(back)[0] == 1 &&
              gm_anomaly_sorted(back)[1] == 2);
    gm_anomaly_release(back);
    support_fails(ctx, gm_anomaly_load(&back, other, path), GM_E_SHAPE,
                  "a plain of rows of 2 values, this model is a other");
    support_fails(ctx, gm_anomaly_load(&back, wide, path), GM_E_SHAPE, "of 5");
    support_fails(ctx, gm_anomaly_load(&back, mute, path), GM_E_UNSUPPORTED, "no log_prob");
    ck_assert_int_eq(gm_anomaly_load(&back, NULL, path), GM_E_INVALID);
    support_fails(ctx, gm_anomaly_load(&back, model, NULL), GM_E_INVALID, "path");
    support_fails(ctx, gm_anomaly_load(NULL, model, path), GM_E_INVALID, "out is NULL");
    ck_assert_int_eq(gm_anomaly_save(NULL, path), GM_E_INVALID);
    support_fails(ctx, gm_anomaly_save(score, NULL), GM_E_INVALID, "path is NULL");
    support_fails(ctx, gm_anomaly_save(score, folder), GM_E_IO, folder);
    support_fails(ctx, gm_anomaly_load(&back, model, model_path), GM_E_IO, model_path);
    write_file(ctx, path, 2, "plain", WIDTH, 0, one_two, 16);
    support_fails(ctx, gm_anomaly_load(&back, model, path), GM_E_VERSION, "format 2");
    write_file(ctx, path, 1, "plain", WIDTH, 2, one_two, 16);
    support_fails(ctx, gm_anomaly_load(&back, model, path), GM_E_FORMAT, "tail 2");
    write_file(ctx, path, 1, "plain", WIDTH, 0, one_two, 15);
    support_fails(ctx, gm_anomaly_load(&back, model, path), GM_E_FORMAT, "15 bytes");
    write_file(ctx, path, 1, "plain", WIDTH, 0, two_one, 16);
    support_fails(ctx, gm_anomaly_load(&back, model, path), GM_E_FORMAT, "log-likelihood 1 is 1");
    write_file(ctx, path, 1, "plain", WIDTH, 0, not_a_number, 8);
    support_fails(ctx, gm_anomaly_load(&back, model, path), GM_E_FORMAT, "log-likelihood 0 is nan");
    support_ok(ctx, gm_archive_create(&a, ctx));
    support_ok(ctx, gm_archive_write(a, model_path));
    support_fails(ctx, gm_anomaly_load(&back, model, model_path), GM_E_FORMAT,
                  "holds no calibration");
    ck_assert_ptr_null(back);
    gm_archive_release(a);
    gm_anomaly_release(score);
    gm_model_release(mute);
    gm_model_release(wide);
    gm_model_release(other);
    gm_model_release(model);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

/* --- Two sets of scores. */

/* The definition: pairs counted one by one. */
static double pairs(const double *a, int64_t n, const double *b, int64_t m)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) sum += a[i] > b[j] ? 1 : a[i] == b[j] ? 0.5 : 0;
    return sum / (double)(n * m);
}

static double area_below(const gm_roc_point *p, int64_t count)
{
    double sum = 0;
    for (int64_t i = 1; i < count; i++)
        sum +=
            (p[i].false_alarms - p[i - 1].false_alarms) * (p[i].detected + p[i - 1].detected) / 2;
    return sum;
}

START_TEST(auc_by_hand)
{
    const double usual[4] = { 3, 1, 2, 5 }, unusual[3] = { 0, 2, 1.5 };
    gm_context *ctx = support_context(1, 1);
    gm_result r = GM_RESULT_INIT;
    gm_roc_point p[8];
    int64_t count;
    /* 0 is below all four; 2 below 3 and 5, a half for 2; 1.5 below 3, 2 and 5: 4 + 2.5 + 3 of 12.
     * Each usual row's parts are 3/3, 1/3, 2.5/3, 3/3, each unusual one's 1 - 4/4, ...: the
     * variances of DeLong's standard error. */
    support_ok(ctx, gm_auc(&r, ctx, usual, 4, unusual, 3));
    ck_assert_double_eq_tol(r.value, 9.5 / 12, 1e-15);
    const double a = 9.5 / 12, ux[4] = { 1, 1.0 / 3, 2.5 / 3, 1 }, vy[3] = { 1, 2.5 / 4, 3.0 / 4 };
    double su = 0, sv = 0;
    for (int i = 0; i < 4; i++) su += (ux[i] - a) * (ux[i] - a) / 3;
    for (int i = 0; i < 3; i++) sv += (vy[i] - a) * (vy[i] - a) / 2;
    ck_assert_double_eq_tol(r.standard_error, sqrt(su / 4 + sv / 3), 1e-15);
    ck_assert(r.rows == 7 && !strcmp(r.protocol, "auc") && r.samples == 0);
    support_ok(ctx, gm_roc(&count, ctx, usual, 4, unusual, 3, p));
    const gm_roc_point want[7] = { { -(double)INFINITY, 0, 0 },
                                   { 0, 0, 1.0 / 3 },
                                   { 1, 0.25, 1.0 / 3 },
                                   { 1.5, 0.25, 2.0 / 3 },
                                   { 2, 0.5, 1 },
                                   { 3, 0.75, 1 },
                                   { 5, 1, 1 } };
    ck_assert_int_eq(count, 7);
    for (int i = 0; i < 7; i++) {
        ck_assert(p[i].threshold == want[i].threshold && p[i].false_alarms == want[i].false_alarms);
        ck_assert(p[i].detected == want[i].detected);
    }
    ck_assert_double_eq_tol(area_below(p, count), 9.5 / 12, 1e-15);
    gm_context_release(ctx);
}
END_TEST

START_TEST(auc_at_the_ends)
{
    const double high[3] = { 5, 6, (double)INFINITY }, low[2] = { -(double)INFINITY, 1 },
                 same[4] = { 2, 2, 2, 2 };
    gm_context *ctx = support_context(1, 1);
    gm_result r = GM_RESULT_INIT;
    gm_roc_point p[9];
    int64_t count;
    support_ok(ctx, gm_auc(&r, ctx, high, 3, low, 2));
    ck_assert(r.value == 1 && r.standard_error == 0);
    support_ok(ctx, gm_auc(&r, ctx, low, 2, high, 3));
    ck_assert(r.value == 0 && r.standard_error == 0);
    support_ok(ctx, gm_auc(&r, ctx, same, 4, same, 4));
    ck_assert(r.value == 0.5 && r.standard_error == 0);
    support_ok(ctx, gm_roc(&count, ctx, same, 4, same, 4, p));
    ck_assert(count == 2 && p[1].threshold == 2 && p[1].false_alarms == 1 && p[1].detected == 1);
    support_ok(ctx, gm_auc(&r, ctx, same, 1, low, 2));
    ck_assert(r.value == 1 && isnan(r.standard_error));
    support_ok(ctx, gm_roc(&count, ctx, high, 3, low, 2, p));
    ck_assert(count == 6 && p[1].threshold == -(double)INFINITY && p[1].detected == 0.5 &&
              p[5].false_alarms == 1);
    gm_context_release(ctx);
}
END_TEST

/* Against all pairs, with many ties; quantiles rank as log-likelihoods do, so they have nearly the
 * same area. */
START_TEST(auc_equals_all_pairs)
{
    enum { N = 200, M = 151 };
    double a[N], b[M];
    gm_context *ctx = support_context(1, 1);
    gm_rng *rng = NULL;
    gm_result r = GM_RESULT_INIT;
    gm_roc_point p[N + M + 1];
    float noise[N + M];
    int64_t count;
    support_ok(ctx, gm_rng_create(&rng, ctx, 3));
    for (int coarse = 0; coarse < 3; coarse++) {
        gm_rng_normal(rng, N + M, 0, 1, noise);
        for (int i = 0; i < N + M; i++) {
            const double v = (double)noise[i] - (i < N ? 0 : 0.7);
            *(i < N ? &a[i] : &b[i - N]) = coarse ? floor(v * coarse) : v;
        }
        support_ok(ctx, gm_auc(&r, ctx, a, N, b, M));
        ck_assert_double_eq_tol(r.value, pairs(a, N, b, M), 1e-13);
        ck_assert(r.value > 0.55 && r.standard_error > 0.01 && r.standard_error < 0.05);
        support_ok(ctx, gm_roc(&count, ctx, a, N, b, M, p));
        ck_assert_double_eq_tol(area_below(p, count), r.value, 1e-13);
        ck_assert(p[count - 1].detected == 1 && p[count - 1].false_alarms == 1);
        ck_assert(coarse ? count < 20 : count > 300);
        for (int64_t i = 1; i < count; i++) ck_assert(p[i].threshold > p[i - 1].threshold);
    }
    gm_rng_release(rng);
    gm_context_release(ctx);
}
END_TEST

START_TEST(refused_scores)
{
    const double good[2] = { 1, 2 }, bad[3] = { 1, 2, (double)NAN };
    gm_context *ctx = support_context(1, 1);
    gm_result r = GM_RESULT_INIT, wrong = GM_RESULT_INIT;
    gm_roc_point p[8];
    int64_t count = 9;
    r.value = 7;
    wrong.size = 3;
    ck_assert_int_eq(gm_auc(&r, NULL, good, 2, good, 2), GM_E_INVALID);
    ck_assert_int_eq(gm_roc(&count, NULL, good, 2, good, 2, p), GM_E_INVALID);
    support_fails(ctx, gm_auc(NULL, ctx, good, 2, good, 2), GM_E_INVALID, "auc: out is NULL");
    support_fails(ctx, gm_auc(&wrong, ctx, good, 2, good, 2), GM_E_INVALID, "size is 3");
    support_fails(ctx, gm_auc(&r, ctx, NULL, 2, good, 2), GM_E_INVALID, "usual is NULL");
    support_fails(ctx, gm_auc(&r, ctx, good, 2, good, 0), GM_E_INVALID, "unusual is an array of 0");
    support_fails(ctx, gm_auc(&r, ctx, good, 2, bad, 3), GM_E_INVALID, "unusual: value 2 is nan");
    support_fails(ctx, gm_roc(&count, ctx, bad, 3, good, 2, p), GM_E_INVALID,
                  "roc: usual: value 2 is nan");
    ck_assert(count == 0 && r.value == 7);
    support_fails(ctx, gm_roc(&count, ctx, good, 2, good, 2, NULL), GM_E_INVALID,
                  "points or count");
    support_fails(ctx, gm_roc(NULL, ctx, good, 2, good, 2, p), GM_E_INVALID, "points or count");
    gm_context_release(ctx);
}
END_TEST

/* --- Rounding: a row's last bits may depend on the rows beside it. */

enum { EQUAL_ROWS = 600, EQUAL_BITS = 12 };

static gm_model *density(gm_context *ctx, int which)
{
    gm_linear_ar *linear = NULL;
    gm_neural_ar *neural = NULL;
    gm_made *made = NULL;
    gm_nade *nade = NULL;
    gm_pixelcnn *pixels = NULL;
    gm_rbm *rbm = NULL;
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    o.hidden = 100;
    o.order_agnostic = which == 3;
    switch (which) {
    case 0:
        support_ok(ctx, gm_linear_ar_create(&linear, ctx, EQUAL_BITS, NULL));
        return gm_linear_ar_model(linear);
    case 1:
        support_ok(ctx, gm_neural_ar_create(&neural, ctx, EQUAL_BITS, NULL));
        return gm_neural_ar_model(neural);
    case 2:
        support_ok(ctx, gm_made_create(&made, ctx, EQUAL_BITS, NULL));
        return gm_made_model(made);
    case 3:
    case 4:
        support_ok(ctx, gm_nade_create(&nade, ctx, EQUAL_BITS, &o));
        return gm_nade_model(nade);
    case 5:
        support_ok(ctx, gm_pixelcnn_create(&pixels, ctx, 3, 4, NULL));
        return gm_pixelcnn_model(pixels);
    default:
        support_ok(ctx, gm_rbm_create(&rbm, ctx, EQUAL_BITS, 10, NULL));
        return gm_rbm_model(rbm);
    }
}

/* The commonest row of all, scored in batches of 1, 2, 33 and 500, is as usual as it was in the
 * calibration: linear_ar, neural_ar, made, order-agnostic nade; and nade, pixelcnn and rbm, whose
 * bits do not depend on the batch at all. */
START_TEST(rounding_is_no_difference)
{
    static const int64_t batches[4] = { 1, 2, 33, 500 };
    float *x = malloc(EQUAL_ROWS * EQUAL_BITS * sizeof *x);
    double *log_prob = malloc(EQUAL_ROWS * sizeof *log_prob), first = 0;
    double *quantile = malloc(EQUAL_ROWS * sizeof *quantile);
    const int64_t shape[2] = { EQUAL_ROWS, EQUAL_BITS };
    for (uint64_t seed = 1; seed <= 3; seed++) {
        gm_context *ctx = support_context(seed, 1);
        gm_model *model = density(ctx, _i);
        gm_dataset *data = NULL;
        gm_anomaly *anomaly = NULL;
        gm_anomaly_options o = GM_ANOMALY_OPTIONS_INIT;
        gm_fit_options f = GM_FIT_OPTIONS_INIT;
        double alarm;
        for (int i = 0; i < EQUAL_ROWS * EQUAL_BITS; i++)
            x[i] = i % EQUAL_BITS % 3 == 0 || (i / EQUAL_BITS % 150 == 7 && i % 5 == 0);
        support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, x));
        f.epochs = 3;
        f.batch = 50;
        support_ok(ctx, gm_model_fit(model, data, &f));
        for (int b = 0; b < 4; b++) {
            o.batch = batches[b];
            o.tail = GM_ANOMALY_TAIL_BOTH;
            support_ok(ctx, gm_anomaly_create(&anomaly, model, data, &o));
            support_ok(ctx, gm_anomaly_threshold(&alarm, anomaly, 0.01));
            for (int q = 0; q < 4; q++) {
                int64_t n = batches[q];
                support_ok(ctx, gm_anomaly_score(anomaly, x, n, log_prob, quantile));
                if (!b && !q) first = log_prob[0];
                ck_assert(fabs(log_prob[0] - first) <=
                          (_i < 4 ? GM_ANOMALY_ROUNDING * fmax(1, fabs(first)) : 0));
                ck_assert_msg(
                    quantile[0] > 0.9 && log_prob[0] >= alarm,
                    "family %d, calibrated by %lld, scored by %lld: quantile %g, log p %.17g, "
                    "alarm below %.17g",
                    _i, (long long)batches[b], (long long)n, quantile[0], log_prob[0], alarm);
            }
            gm_anomaly_release(anomaly);
        }
        gm_dataset_release(data);
        gm_model_release(model);
        gm_context_release(ctx);
    }
    free(x);
    free(log_prob);
    free(quantile);
}
END_TEST

/* The bound itself: what is nearer counts by half, what is further does not; ROC curves join the
 * near. */
START_TEST(the_bound)
{
    const double r = GM_ANOMALY_ROUNDING;
    const double usual[4] = { -80, -80 * (1 + 0.9 * r), -80 * (1 - 0.9 * r), -3 };
    const double unusual[3] = { -80 * (1 + 0.5 * r), -90, -80 };
    static const float first[4] = { -80, -80, -80, -3 };
    gm_context *ctx = support_context(1, 1);
    gm_model *model = model_of(ctx, &plain_family, WIDTH);
    gm_anomaly *anomaly = score_of(model, first, 4, GM_ANOMALY_TAIL_LOW);
    gm_result area = GM_RESULT_INIT;
    gm_roc_point p[8];
    int64_t count;
    double at;
    for (double sign = -1; sign < 2; sign += 2) {
        ck_assert(gm_anomaly_quantile(anomaly, -80 * (1 + sign * 0.9 * r)) == 1.5 / 4);
        ck_assert(gm_anomaly_quantile(anomaly, -80 * (1 + sign * 1.1 * r)) ==
                  (sign > 0 ? 0 : 3.0 / 4));
    }
    support_ok(ctx, gm_anomaly_threshold(&at, anomaly, 0.1));
    ck_assert(-80 * (1 + 0.9 * r) >= at && -80 * (1 + 1.1 * r) < at);
    support_ok(ctx, gm_roc(&count, ctx, usual, 4, unusual, 3, p));
    ck_assert_int_eq(count,
                     5); /* -inf, -90, one run about -80 that ends where it is too long, -3 */
    ck_assert(p[1].detected == 1.0 / 3 && p[2].false_alarms == 0.5 && p[2].detected == 1);
    support_ok(ctx, gm_auc(&area, ctx, usual, 4, unusual, 3));
    ck_assert_double_eq_tol(area.value, area_below(p, count), 1e-15);
    gm_anomaly_release(anomaly);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Every allocation fails once. */
static gm_status whole_life(sweep *s)
{
    static const float values[4 * WIDTH] = { 3, 0, 1, 0, 2, 0, 1, 0 };
    static const int64_t shape[2] = { 4, WIDTH };
    char path[SUPPORT_PATH + 64];
    double q[4], at;
    int64_t count;
    gm_status status;
    gm_model *model = NULL;
    gm_dataset *data = NULL;
    gm_anomaly *score = NULL, *back = NULL;
    gm_result r = GM_RESULT_INIT;
    gm_roc_point p[9];
    snprintf(path, sizeof path, "%s/anomaly.safetensors", s->folder);
    MAKE(s, model, plain_create(&model, s->ctx, &plain_family, WIDTH));
    MAKE(s, data, gm_dataset_from_memory(&data, s->ctx, 2, shape, values));
    MAKE(s, score, gm_anomaly_create(&score, model, data, NULL));
    DO(s, gm_anomaly_score(score, values, 4, NULL, q));
    DO(s, gm_anomaly_threshold(&at, score, 0.5));
    ck_assert(q[0] == 3.5 / 4 && at == 2 - 2 * GM_ANOMALY_ROUNDING);
    DO(s, gm_anomaly_save(score, path));
    MAKE(s, back, gm_anomaly_load(&back, model, path));
    ck_assert_mem_eq(gm_anomaly_sorted(back), gm_anomaly_sorted(score), 4 * sizeof(double));
    DO(s, gm_auc(&r, s->ctx, q, 4, q, 4));
    DO(s, gm_roc(&count, s->ctx, q, 4, q, 4, p));
    ck_assert(r.value == 0.5 && count == 4);
out:
    gm_anomaly_release(back);
    gm_anomaly_release(score);
    gm_dataset_release(data);
    gm_model_release(model);
    return status;
}

START_TEST(without_memory)
{
    char folder[SUPPORT_PATH];
    support_folder_make(folder);
    ck_assert_int_gt(sweep_run("score", whole_life, folder, 1, 0), 15);
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("anomaly");
    TCase *t = tcase_create("score");
    tcase_add_test(t, quantiles_by_hand);
    tcase_add_test(t, constant_scores);
    tcase_add_test(t, many_rows);
    tcase_add_test(t, labels_of_the_dataset);
    tcase_add_test(t, refusals);
    tcase_add_test(t, files);
    tcase_add_test(t, auc_by_hand);
    tcase_add_test(t, auc_at_the_ends);
    tcase_add_test(t, auc_equals_all_pairs);
    tcase_add_test(t, refused_scores);
    tcase_add_loop_test(t, rounding_is_no_difference, 0, 7);
    tcase_add_test(t, the_bound);
    tcase_add_test(t, without_memory);
    suite_add_tcase(s, t);
    return s;
}
