/* anomaly.c - log-likelihoods and their quantiles among those of usual rows. */
#include "gm/anomaly.h"

#include <math.h>
#include <string.h>

#include "evaluate/ranks.h"
#include "evaluate/result.h"
#include "models/frozen.h"
#include "models/row_reader.h"

#define FORMAT 1

struct gm_anomaly {
    gm_model *model; /* retained */
    int64_t owners;
    int64_t count;
    int32_t tail;
    double *sorted; /* [count] */
};

/* A struct with room for count values. */
static gm_status allocate(gm_anomaly **out, gm_model *model, int64_t count, int32_t tail)
{
    gm_context *ctx = gm_model_host(model);
    gm_anomaly *anomaly = gm_context_allocate(ctx, sizeof *anomaly);
    double *sorted = anomaly ? gm_context_allocate(ctx, gm_ranks_bytes(count)) : NULL;
    if (!sorted) {
        gm_context_free(ctx, anomaly, sizeof *anomaly);
        return gm_model_fail(ctx, GM_E_NOMEM, "anomaly: no memory for %lld log-likelihoods",
                             (long long)count);
    }
    gm_model_retain(model);
    *anomaly = (gm_anomaly){ model, 1, count, tail, sorted };
    *out = anomaly;
    return GM_OK;
}

static gm_status check(const gm_model *model, const gm_anomaly_options *o)
{
    gm_context *ctx = model->ctx;
    if (!gm_model_supports(model, GM_VERB_LOG_PROB))
        return gm_model_fail(ctx, GM_E_UNSUPPORTED, "anomaly: the family %s has no log_prob",
                             model->family->name);
    if (o->tail != GM_ANOMALY_TAIL_LOW && o->tail != GM_ANOMALY_TAIL_BOTH)
        return gm_model_fail(ctx, GM_E_INVALID, "anomaly: tail is %d, expected 0 (low) or 1 (both)",
                             (int)o->tail);
    return GM_OK;
}

/* Log p of the batch that begins at row `begin`. */
static gm_status add_batch(gm_row_reader *reader, int64_t begin, double *out, int64_t *count)
{
    gm_model *model = reader->model;
    gm_batch batch;
    gm_status status;
    GM_TRY(gm_row_reader_next(reader, begin, &batch));
    *count = batch.count;
    GM_TRY(gm_model_score_batch(model, &batch, NULL, NULL, out, NULL));
    for (int64_t i = 0; i < batch.count; i++)
        if (isnan(out[i]) || out[i] == (double)INFINITY)
            GM_TRY(gm_model_fail(model->ctx, GM_E_NUMERIC,
                                 "anomaly: the log-likelihood of row %lld is %g",
                                 (long long)(begin + i), out[i]));
out:
    return status;
}

static gm_status add_all(gm_anomaly *anomaly, gm_row_reader *reader, const gm_anomaly_options *o)
{
    gm_counter counter = { anomaly->model->ctx, "anomaly", "rows", o->on_progress, o->user, 0,
                           anomaly->count };
    gm_status status = GM_OK;
    for (int64_t at = 0, n; at < anomaly->count; at += n) {
        GM_TRY(add_batch(reader, at, anomaly->sorted + at, &n));
        GM_TRY(gm_counter_add(&counter, n));
    }
out:
    return status;
}

/* Samples of an estimate come from a stream of their own, one for the calibration and one for
 * scores: the model's stays where it is, and a row has one score. */
static void own_stream(gm_model *model, uint64_t of, gm_rng_state *before)
{
    gm_rng_save(before, model->rng);
    gm_rng_seed(model->rng, model->order_seed ^ of);
}

gm_status gm_anomaly_create(gm_anomaly **out, gm_model *model, gm_dataset *data,
                            const gm_anomaly_options *options)
{
    if (out) *out = NULL;
    if (!model) return GM_E_INVALID;
    if (!out) return gm_model_fail(model->ctx, GM_E_INVALID, "anomaly: out is NULL");
    gm_anomaly_options o = GM_ANOMALY_OPTIONS_INIT;
    gm_anomaly *anomaly = NULL;
    gm_row_reader reader = { 0 };
    gm_rng_state before;
    gm_status status;
    own_stream(model, 0x616e6f6d616c7943u, &before);
    GM_TRY(gm_options_read(model->ctx, "anomaly", &o, sizeof o, options));
    GM_TRY(check(model, &o));
    GM_TRY(gm_row_reader_open(&reader, "anomaly", model, data, o.batch, o.limit));
    GM_TRY(allocate(&anomaly, model, reader.rows, o.tail));
    GM_TRY(add_all(anomaly, &reader, &o));
    gm_ranks_sort(anomaly->sorted, anomaly->count);
    *out = anomaly;
    anomaly = NULL;
out:
    gm_rng_restore(model->rng, &before);
    gm_anomaly_release(anomaly);
    gm_row_reader_close(&reader);
    return status;
}

void gm_anomaly_retain(gm_anomaly *anomaly)
{
    if (anomaly) anomaly->owners++;
}

void gm_anomaly_release(gm_anomaly *anomaly)
{
    if (!anomaly || --anomaly->owners) return;
    gm_model *model = anomaly->model;
    gm_context_free(gm_model_host(model), anomaly->sorted, gm_ranks_bytes(anomaly->count));
    gm_context_free(gm_model_host(model), anomaly, sizeof *anomaly);
    gm_model_release(model); /* last: it may hold the last of the context */
}

gm_model *gm_anomaly_model(const gm_anomaly *anomaly)
{
    return anomaly ? anomaly->model : NULL;
}

int64_t gm_anomaly_count(const gm_anomaly *anomaly)
{
    return anomaly ? anomaly->count : 0;
}

int32_t gm_anomaly_tail(const gm_anomaly *anomaly)
{
    return anomaly ? anomaly->tail : GM_ANOMALY_TAIL_LOW;
}

const double *gm_anomaly_sorted(const gm_anomaly *anomaly)
{
    return anomaly ? anomaly->sorted : NULL;
}

double gm_anomaly_quantile(const gm_anomaly *anomaly, double log_prob)
{
    if (!anomaly || isnan(log_prob)) return (double)NAN;
    const double q = gm_ranks_part_below(anomaly->sorted, anomaly->count, log_prob,
                                         gm_ranks_tolerance(log_prob, 1));
    if (anomaly->tail == GM_ANOMALY_TAIL_LOW) return q;
    return 2 * (q < 1 - q ? q : 1 - q);
}

gm_status gm_anomaly_score(gm_anomaly *anomaly, const float *values, int64_t count,
                           double *log_prob, double *quantile)
{
    if (!anomaly) return GM_E_INVALID;
    gm_context *ctx = anomaly->model->ctx;
    if (!log_prob && !quantile)
        return gm_model_fail(ctx, GM_E_INVALID, "anomaly: log_prob and quantile are NULL");
    double *to = log_prob ? log_prob : quantile;
    gm_rng_state before;
    gm_status status;
    own_stream(anomaly->model, 0x616e6f6d616c7953u, &before);
    GM_TRY(gm_model_log_prob(anomaly->model, values, count, to));
    for (int64_t i = 0; i < count; i++) {
        if (isnan(to[i]))
            GM_TRY(gm_model_fail(ctx, GM_E_NUMERIC, "anomaly: the log-likelihood of row %lld is %g",
                                 (long long)i, to[i]));
        if (quantile) quantile[i] = gm_anomaly_quantile(anomaly, to[i]);
    }
out:
    gm_rng_restore(anomaly->model->rng, &before);
    return status;
}

gm_status gm_anomaly_threshold(double *out, const gm_anomaly *anomaly, double rate)
{
    if (!anomaly) return GM_E_INVALID;
    gm_context *ctx = anomaly->model->ctx;
    if (!out) return gm_model_fail(ctx, GM_E_INVALID, "anomaly: threshold: out is NULL");
    if (!(rate >= 0 && rate <= 1))
        return gm_model_fail(ctx, GM_E_INVALID, "anomaly: rate is %g, expected 0 to 1", rate);
    /* Not more than floor(rate n) values are below the one at that place. A product like 0.1 * 30
     * must not fall short. */
    int64_t place = (int64_t)(rate * (double)anomaly->count * (1 + 1e-15));
    double at = place < anomaly->count ? anomaly->sorted[place] : (double)INFINITY;
    /* A row that is equal to that one but for rounding is not below. */
    *out = at - gm_ranks_tolerance(at, 1);
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

gm_status gm_anomaly_save(gm_anomaly *anomaly, const char *path)
{
    if (!anomaly) return GM_E_INVALID;
    gm_model *model = anomaly->model;
    if (!path) return gm_model_fail(model->ctx, GM_E_INVALID, "anomaly: save: path is NULL");
    const size_t size = gm_ranks_bytes(anomaly->count);
    gm_archive *archive = NULL;
    gm_status status;
    uint8_t *bytes = gm_context_allocate(gm_model_host(model), size);
    if (!bytes)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "anomaly: save: no memory for %zu bytes",
                             size);
    for (int64_t i = 0; i < anomaly->count; i++) to_bytes(bytes + 8 * i, anomaly->sorted[i]);
    GM_TRY(gm_archive_create(&archive, gm_model_host(model)));
    GM_TRY(gm_archive_set_int(archive, "gm.anomaly.format", FORMAT));
    GM_TRY(gm_archive_set_text(archive, "gm.anomaly.family", model->family->name));
    GM_TRY(gm_archive_set_int(archive, "gm.anomaly.row_size", model->row_size));
    GM_TRY(gm_archive_set_int(archive, "gm.anomaly.tail", anomaly->tail));
    GM_TRY(gm_archive_put_bytes(archive, "log_probs", bytes, size));
    GM_TRY(gm_archive_write(archive, path));
out:
    gm_archive_release(archive);
    gm_context_free(gm_model_host(model), bytes, size);
    return status;
}

/* Is the file one for this model? */
static gm_status check_file(const gm_model *model, gm_archive *archive, const char *path)
{
    const char *family;
    int64_t format, row_size;
    gm_context *ctx = model->ctx;
    gm_status status;
    if (!gm_archive_has(archive, "gm.anomaly.format"))
        return gm_model_fail(ctx, GM_E_FORMAT, "anomaly: %s holds no calibration", path);
    GM_TRY(gm_archive_get_int(&format, archive, "gm.anomaly.format"));
    if (format != FORMAT)
        GM_TRY(gm_model_fail(ctx, GM_E_VERSION,
                             "anomaly: %s is of format %lld, this library reads %d", path,
                             (long long)format, FORMAT));
    GM_TRY(gm_archive_get_text(&family, archive, "gm.anomaly.family"));
    GM_TRY(gm_archive_get_int(&row_size, archive, "gm.anomaly.row_size"));
    if (strcmp(family, model->family->name) != 0 || row_size != model->row_size)
        GM_TRY(gm_model_fail(
            ctx, GM_E_SHAPE,
            "anomaly: %s was made with a %.64s of rows of %lld values, this model is "
            "a %s of %lld",
            path, family, (long long)row_size, model->family->name, (long long)model->row_size));
out:
    return status;
}

static gm_status fill(gm_anomaly *anomaly, const uint8_t *bytes, const char *path)
{
    for (int64_t i = 0; i < anomaly->count; i++) {
        const double v = from_bytes(bytes + 8 * i);
        if (isnan(v) || v == (double)INFINITY || (i && v < anomaly->sorted[i - 1]))
            return gm_model_fail(anomaly->model->ctx, GM_E_FORMAT,
                                 "anomaly: %s: log-likelihood %lld is %g, expected %s", path,
                                 (long long)i, v, i ? "one not below the last" : "a number");
        anomaly->sorted[i] = v;
    }
    return GM_OK;
}

gm_status gm_anomaly_load(gm_anomaly **out, gm_model *model, const char *path)
{
    if (out) *out = NULL;
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    if (!out || !path)
        return gm_model_fail(ctx, GM_E_INVALID, "anomaly: load: path or out is NULL");
    gm_archive *archive = NULL;
    gm_anomaly *anomaly = NULL;
    const void *bytes;
    size_t size;
    int64_t tail;
    gm_status status;
    if (!gm_model_supports(model, GM_VERB_LOG_PROB))
        return gm_model_fail(ctx, GM_E_UNSUPPORTED, "anomaly: the family %s has no log_prob",
                             model->family->name);
    GM_TRY(gm_archive_open(&archive, ctx, path));
    GM_TRY(check_file(model, archive, path));
    GM_TRY(gm_archive_get_int(&tail, archive, "gm.anomaly.tail"));
    GM_TRY(gm_archive_get_bytes(&bytes, &size, archive, "log_probs"));
    if (!size || size % 8 || (tail != GM_ANOMALY_TAIL_LOW && tail != GM_ANOMALY_TAIL_BOTH))
        GM_TRY(gm_model_fail(ctx, GM_E_FORMAT,
                             "anomaly: %s: %zu bytes of log-likelihoods, tail %lld", path, size,
                             (long long)tail));
    GM_TRY(allocate(&anomaly, model, (int64_t)(size / 8), (int32_t)tail));
    GM_TRY(fill(anomaly, bytes, path));
    *out = anomaly;
    anomaly = NULL;
out:
    gm_anomaly_release(anomaly);
    gm_archive_release(archive);
    return status;
}
