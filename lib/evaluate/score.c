/* score.c - log-likelihoods and their quantiles among those of usual rows; ROC curves. */
#include "gm/score.h"

#include <math.h>
#include <string.h>

#include "models/family.h"

#define FORMAT 1

struct gm_anomaly {
    gm_model *model; /* retained */
    int64_t owners;
    int64_t count;
    int32_t tail;
    double *sorted; /* [count] */
};

static size_t sorted_bytes(int64_t count)
{
    return (size_t)count * sizeof(double);
}

/* --- Sorting in place without memory: heapsort (Williams 1964). */

static void sift(double *v, int64_t root, int64_t count)
{
    const double value = v[root];
    for (int64_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && v[child + 1] > v[child]) child++;
        if (v[child] <= value) break;
        v[root] = v[child];
    }
    v[root] = value;
}

static void sort(double *v, int64_t count)
{
    for (int64_t i = count / 2; i-- > 0;) sift(v, i, count);
    for (int64_t last = count - 1; last > 0; last--) {
        const double largest = v[0];
        v[0] = v[last];
        v[last] = largest;
        sift(v, 0, last);
    }
}

/* How many of the sorted values are below x, or (with_equal) not above it. */
static int64_t rank_of(const double *v, int64_t count, double x, int with_equal)
{
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (v[middle] < x || (with_equal && v[middle] == x))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The part of the sorted values below x, equal ones counted half. */
static double part_below(const double *v, int64_t count, double x)
{
    const double below = (double)rank_of(v, count, x, 0),
                 not_above = (double)rank_of(v, count, x, 1);
    return (below + not_above) / 2 / (double)count;
}

/* --- Scores. */

/* A struct with room for count values. */
static gm_status allocate(gm_anomaly **out, gm_model *model, int64_t count, int32_t tail)
{
    gm_context *ctx = model->ctx;
    gm_anomaly *score = gm_context_allocate(ctx, sizeof *score);
    double *sorted = score ? gm_context_allocate(ctx, sorted_bytes(count)) : NULL;
    if (!sorted) {
        gm_context_free(ctx, score, sizeof *score);
        return gm_model_fail(ctx, GM_E_NOMEM, "score: no memory for %lld log-likelihoods",
                             (long long)count);
    }
    gm_model_retain(model);
    *score = (gm_anomaly){ model, 1, count, tail, sorted };
    *out = score;
    return GM_OK;
}

static gm_status check(const gm_model *model, gm_dataset *data, const gm_anomaly_options *o)
{
    gm_context *ctx = model->ctx;
    if (!gm_model_supports(model, GM_VERB_LOG_PROB))
        return gm_model_fail(ctx, GM_E_UNSUPPORTED, "score: the family %s has no log_prob",
                             model->family->name);
    if (o->limit < 0 || o->batch < 1)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "score: limit is %lld (expected at least 0), batch %lld (at least 1)",
                             (long long)o->limit, (long long)o->batch);
    if (o->tail != GM_TAIL_LOW && o->tail != GM_TAIL_BOTH)
        return gm_model_fail(ctx, GM_E_INVALID, "score: tail is %d, 0 (low) or 1 (both) is wanted",
                             (int)o->tail);
    if (gm_dataset_row_size(data) != model->row_size)
        return gm_model_fail(ctx, GM_E_SHAPE,
                             "score: rows of the dataset have %lld values, the model's have %lld",
                             (long long)gm_dataset_row_size(data), (long long)model->row_size);
    return GM_OK;
}

/* What one batch takes, in one block: row numbers, values, labels. */
typedef struct rows {
    int64_t room;
    size_t bytes;
    int64_t *index;
    float *values, *labels;
} rows;

static gm_status rows_open(rows *r, const gm_model *model, int64_t room)
{
    if (room > INT64_MAX / 64 / (model->row_size + 4))
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "score: a batch of %lld rows of %lld values is more than can be "
                             "addressed",
                             (long long)room, (long long)model->row_size);
    r->room = room;
    r->bytes = (size_t)room * sizeof *r->index +
               (size_t)(room * (model->row_size + 1)) * sizeof *r->values;
    r->index = gm_context_allocate(model->ctx, r->bytes);
    if (!r->index)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "score: no memory for a batch of %lld rows",
                             (long long)room);
    r->values = (float *)(r->index + room);
    r->labels = r->values + room * model->row_size;
    return GM_OK;
}

static gm_status score_batch(rows *r, gm_model *model, gm_dataset *data, int64_t begin,
                             int64_t count, double *out)
{
    gm_status status;
    for (int64_t i = 0; i < count; i++) r->index[i] = begin + i;
    GM_TRY(gm_dataset_read(data, r->index, count, 0, r->values));
    if (model->classes) GM_TRY(gm_model_read_labels(model, data, r->index, count, r->labels));
    const gm_batch batch = { .rows = r->values,
                             .labels = model->classes ? r->labels : NULL,
                             .count = count };
    GM_TRY(gm_model_score_batch(model, &batch, NULL, NULL, out, NULL));
    for (int64_t i = 0; i < count; i++)
        if (isnan(out[i]) || out[i] == (double)INFINITY)
            GM_TRY(gm_model_fail(model->ctx, GM_E_NUMERIC,
                                 "score: the log-likelihood of row %lld is %g",
                                 (long long)(begin + i), out[i]));
out:
    return status;
}

static gm_status score_all(gm_anomaly *score, rows *r, gm_dataset *data,
                           const gm_anomaly_options *o)
{
    gm_status status = GM_OK;
    for (int64_t at = 0, n; at < score->count; at += n) {
        n = score->count - at < r->room ? score->count - at : r->room;
        GM_TRY(score_batch(r, score->model, data, at, n, score->sorted + at));
        if (o->on_row && o->on_row(o->user, at + n))
            GM_TRY(gm_model_fail(score->model->ctx, GM_E_CANCELLED,
                                 "score: stopped by the host after %lld rows",
                                 (long long)(at + n)));
    }
out:
    return status;
}

gm_status gm_anomaly_create(gm_anomaly **out, gm_model *model, gm_dataset *data,
                            const gm_anomaly_options *options)
{
    if (out) *out = NULL;
    if (!model) return GM_E_INVALID;
    if (!out || !data)
        return gm_model_fail(model->ctx, GM_E_INVALID, "score: dataset or out is NULL");
    gm_anomaly_options o = GM_ANOMALY_OPTIONS_INIT;
    gm_anomaly *score = NULL;
    rows r = { 0 };
    gm_status status;
    GM_TRY(gm_options_read(model->ctx, "score", &o, sizeof o, options));
    GM_TRY(check(model, data, &o));
    GM_TRY(gm_model_check_labels(model, data, "score"));
    int64_t count = gm_dataset_rows(data);
    if (o.limit && o.limit < count) count = o.limit;
    GM_TRY(rows_open(&r, model, o.batch < count ? o.batch : count));
    GM_TRY(allocate(&score, model, count, o.tail));
    GM_TRY(score_all(score, &r, data, &o));
    sort(score->sorted, count);
    *out = score;
    score = NULL;
out:
    gm_anomaly_release(score);
    gm_context_free(model->ctx, r.index, r.bytes);
    return status;
}

void gm_anomaly_retain(gm_anomaly *score)
{
    if (score) score->owners++;
}

void gm_anomaly_release(gm_anomaly *score)
{
    if (!score || --score->owners) return;
    gm_model *model = score->model;
    gm_context_free(model->ctx, score->sorted, sorted_bytes(score->count));
    gm_context_free(model->ctx, score, sizeof *score);
    gm_model_release(model); /* last: it may hold the last of the context */
}

gm_model *gm_anomaly_model(const gm_anomaly *score)
{
    return score ? score->model : NULL;
}

int64_t gm_anomaly_count(const gm_anomaly *score)
{
    return score ? score->count : 0;
}

int32_t gm_anomaly_tail(const gm_anomaly *score)
{
    return score ? score->tail : GM_TAIL_LOW;
}

const double *gm_anomaly_sorted(const gm_anomaly *score)
{
    return score ? score->sorted : NULL;
}

double gm_anomaly_quantile(const gm_anomaly *score, double log_prob)
{
    if (!score || isnan(log_prob)) return (double)NAN;
    const double q = part_below(score->sorted, score->count, log_prob);
    if (score->tail == GM_TAIL_LOW) return q;
    return 2 * (q < 1 - q ? q : 1 - q);
}

gm_status gm_anomaly_rows(gm_anomaly *score, const float *values, int64_t count, double *log_prob,
                          double *quantile)
{
    if (!score) return GM_E_INVALID;
    gm_context *ctx = score->model->ctx;
    if (!log_prob && !quantile)
        return gm_model_fail(ctx, GM_E_INVALID, "score: log_prob and quantile are NULL");
    double *to = log_prob ? log_prob : quantile;
    gm_status status;
    GM_TRY(gm_model_log_prob(score->model, values, count, to));
    for (int64_t i = 0; i < count; i++) {
        if (isnan(to[i]))
            GM_TRY(gm_model_fail(ctx, GM_E_NUMERIC, "score: the log-likelihood of row %lld is %g",
                                 (long long)i, to[i]));
        if (quantile) quantile[i] = gm_anomaly_quantile(score, to[i]);
    }
out:
    return status;
}

gm_status gm_anomaly_threshold(const gm_anomaly *score, double rate, double *out)
{
    if (!score) return GM_E_INVALID;
    gm_context *ctx = score->model->ctx;
    if (!out) return gm_model_fail(ctx, GM_E_INVALID, "score: threshold: out is NULL");
    if (!(rate >= 0 && rate <= 1))
        return gm_model_fail(ctx, GM_E_INVALID, "score: rate is %g, expected 0 to 1", rate);
    /* Not more than floor(rate n) values are below the one at that place. A product like 0.1 * 30
     * must not fall short. */
    int64_t place = (int64_t)(rate * (double)score->count * (1 + 1e-15));
    *out = place < score->count ? score->sorted[place] : (double)INFINITY;
    return GM_OK;
}

/* --- Files. Doubles as bytes, the lowest first. */

static void to_bytes(uint8_t *bytes, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(bits >> (8 * i));
}

static double from_bytes(const uint8_t *bytes)
{
    uint64_t bits = 0;
    double value;
    for (int i = 0; i < 8; i++) bits |= (uint64_t)bytes[i] << (8 * i);
    memcpy(&value, &bits, sizeof value);
    return value;
}

gm_status gm_anomaly_save(gm_anomaly *score, const char *path)
{
    if (!score) return GM_E_INVALID;
    gm_model *model = score->model;
    if (!path) return gm_model_fail(model->ctx, GM_E_INVALID, "score: save: path is NULL");
    const size_t size = sorted_bytes(score->count);
    gm_archive *archive = NULL;
    gm_status status;
    uint8_t *bytes = gm_context_allocate(model->ctx, size);
    if (!bytes)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "score: save: no memory for %zu bytes", size);
    for (int64_t i = 0; i < score->count; i++) to_bytes(bytes + 8 * i, score->sorted[i]);
    GM_TRY(gm_archive_create(&archive, model->ctx));
    GM_TRY(gm_archive_set_int(archive, "gm.score.format", FORMAT));
    GM_TRY(gm_archive_set_text(archive, "gm.score.family", model->family->name));
    GM_TRY(gm_archive_set_int(archive, "gm.score.row_size", model->row_size));
    GM_TRY(gm_archive_set_int(archive, "gm.score.tail", score->tail));
    GM_TRY(gm_archive_put_bytes(archive, "log_probs", bytes, size));
    GM_TRY(gm_archive_write(archive, path));
out:
    gm_archive_release(archive);
    gm_context_free(model->ctx, bytes, size);
    return status;
}

/* Is the file one for this model? */
static gm_status check_file(const gm_model *model, gm_archive *archive, const char *path)
{
    const char *family;
    int64_t format, row_size;
    gm_context *ctx = model->ctx;
    gm_status status;
    if (!gm_archive_has(archive, "gm.score.format"))
        return gm_model_fail(ctx, GM_E_FORMAT, "score: %s holds no calibration", path);
    GM_TRY(gm_archive_get_int(archive, "gm.score.format", &format));
    if (format != FORMAT)
        GM_TRY(gm_model_fail(ctx, GM_E_VERSION,
                             "score: %s is of format %lld, this library reads %d", path,
                             (long long)format, FORMAT));
    GM_TRY(gm_archive_get_text(archive, "gm.score.family", &family));
    GM_TRY(gm_archive_get_int(archive, "gm.score.row_size", &row_size));
    if (strcmp(family, model->family->name) != 0 || row_size != model->row_size)
        GM_TRY(gm_model_fail(
            ctx, GM_E_SHAPE,
            "score: %s was made with a %.64s of rows of %lld values, this model is "
            "a %s of %lld",
            path, family, (long long)row_size, model->family->name, (long long)model->row_size));
out:
    return status;
}

static gm_status fill(gm_anomaly *score, const uint8_t *bytes, const char *path)
{
    for (int64_t i = 0; i < score->count; i++) {
        const double v = from_bytes(bytes + 8 * i);
        if (isnan(v) || v == (double)INFINITY || (i && v < score->sorted[i - 1]))
            return gm_model_fail(score->model->ctx, GM_E_FORMAT,
                                 "score: %s: log-likelihood %lld is %g, expected %s", path,
                                 (long long)i, v, i ? "one not below the last" : "a number");
        score->sorted[i] = v;
    }
    return GM_OK;
}

gm_status gm_anomaly_load(gm_anomaly **out, gm_model *model, const char *path)
{
    if (out) *out = NULL;
    if (!model) return GM_E_INVALID;
    gm_context *ctx = model->ctx;
    if (!out || !path) return gm_model_fail(ctx, GM_E_INVALID, "score: load: path or out is NULL");
    gm_archive *archive = NULL;
    gm_anomaly *score = NULL;
    const void *bytes;
    size_t size;
    int64_t tail;
    gm_status status;
    if (!gm_model_supports(model, GM_VERB_LOG_PROB))
        return gm_model_fail(ctx, GM_E_UNSUPPORTED, "score: the family %s has no log_prob",
                             model->family->name);
    GM_TRY(gm_archive_open(&archive, ctx, path));
    GM_TRY(check_file(model, archive, path));
    GM_TRY(gm_archive_get_int(archive, "gm.score.tail", &tail));
    GM_TRY(gm_archive_get_bytes(archive, "log_probs", &bytes, &size));
    if (!size || size % 8 || (tail != GM_TAIL_LOW && tail != GM_TAIL_BOTH))
        GM_TRY(gm_model_fail(ctx, GM_E_FORMAT, "score: %s: %zu bytes of log-likelihoods, tail %lld",
                             path, size, (long long)tail));
    GM_TRY(allocate(&score, model, (int64_t)(size / 8), (int32_t)tail));
    GM_TRY(fill(score, bytes, path));
    *out = score;
    score = NULL;
out:
    gm_anomaly_release(score);
    gm_archive_release(archive);
    return status;
}

/* --- Two sets of scores. */

/* Sorted copies of both, in one block. */
typedef struct two {
    size_t bytes;
    double *a, *b;
    int64_t n, m;
} two;

static gm_status check_scores(gm_context *ctx, const char *what, const char *name, const double *v,
                              int64_t count)
{
    if (!v || count < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "%s: %s is %s of %lld values, expected at least 1",
                             what, name, v ? "an array" : "NULL", (long long)count);
    for (int64_t i = 0; i < count; i++)
        if (isnan(v[i]))
            return gm_model_fail(ctx, GM_E_INVALID, "%s: %s: value %lld is %g", what, name,
                                 (long long)i, v[i]);
    return GM_OK;
}

static gm_status two_open(two *t, gm_context *ctx, const char *what, const double *usual, int64_t n,
                          const double *unusual, int64_t m)
{
    gm_status status;
    GM_TRY(check_scores(ctx, what, "usual", usual, n));
    GM_TRY(check_scores(ctx, what, "unusual", unusual, m));
    t->n = n;
    t->m = m;
    t->bytes = sorted_bytes(n) + sorted_bytes(m); /* no overflow: both arrays exist */
    t->a = gm_context_allocate(ctx, t->bytes);
    if (!t->a)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "%s: no memory for %zu bytes", what, t->bytes));
    t->b = t->a + n;
    memcpy(t->a, usual, sorted_bytes(n));
    memcpy(t->b, unusual, sorted_bytes(m));
    sort(t->a, n);
    sort(t->b, m);
out:
    return status;
}

/* Mean and variance (count - 1) of the parts of `other` below each value of v. */
static void placements(const double *v, int64_t count, const double *other, int64_t other_count,
                       double *mean, double *variance)
{
    double squares = 0;
    *mean = 0;
    for (int64_t i = 0; i < count; i++) {
        const double part = part_below(other, other_count, v[i]), off = part - *mean;
        *mean += off / (double)(i + 1);
        squares += off * (part - *mean);
    }
    *variance = count > 1 ? squares / (double)(count - 1) : (double)NAN;
}

gm_status gm_auc(gm_result *out, gm_context *ctx, const double *usual, int64_t usual_count,
                 const double *unusual, int64_t unusual_count)
{
    if (!ctx) return GM_E_INVALID;
    two t = { 0 };
    gm_result result = GM_RESULT_INIT;
    double inverse, v_usual, v_unusual;
    gm_status status;
    GM_TRY(gm_result_check(ctx, "auc", out));
    GM_TRY(two_open(&t, ctx, "auc", usual, usual_count, unusual, unusual_count));
    placements(t.b, t.m, t.a, t.n, &inverse, &v_unusual);
    placements(t.a, t.n, t.b, t.m, &result.value, &v_usual);
    result.standard_error = sqrt(v_usual / (double)t.n + v_unusual / (double)t.m);
    result.rows = t.n + t.m;
    result.protocol = "auc";
    gm_result_give(out, &result);
out:
    gm_context_free(ctx, t.a, t.bytes);
    return status;
}

gm_status gm_roc(gm_roc_point *points, int64_t *count, gm_context *ctx, const double *usual,
                 int64_t usual_count, const double *unusual, int64_t unusual_count)
{
    if (count) *count = 0;
    if (!ctx) return GM_E_INVALID;
    two t = { 0 };
    int64_t i = 0, j = 0, k = 1;
    gm_status status;
    if (!points || !count) return gm_model_fail(ctx, GM_E_INVALID, "roc: points or count is NULL");
    GM_TRY(two_open(&t, ctx, "roc", usual, usual_count, unusual, unusual_count));
    points[0] = (gm_roc_point){ -(double)INFINITY, 0, 0 };
    while (i < t.n || j < t.m) {
        const double at = j == t.m || (i < t.n && t.a[i] < t.b[j]) ? t.a[i] : t.b[j];
        while (i < t.n && t.a[i] == at) i++;
        while (j < t.m && t.b[j] == at) j++;
        points[k++] = (gm_roc_point){ at, (double)i / (double)t.n, (double)j / (double)t.m };
    }
    *count = k;
out:
    gm_context_free(ctx, t.a, t.bytes);
    return status;
}
