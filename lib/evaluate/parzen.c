/* parzen.c - Parzen-window log-likelihood (Breuleux, Bengio and Vincent 2011; Goodfellow et al.
 * 2014).
 *
 * With c the mean of the samples, x and s centred on it,
 *
 *     -|x - s|^2 / 2 = (x . s - |s|^2 / 2) - |x|^2 / 2
 *
 * so one linear layer with the samples as weights and -|s|^2 / 2 as biases gives a tile of
 * exponents up to a term of the row. In single precision the difference of large products loses
 * digits; that matters most for the nearest sample, which dominates the sum. Its distance is
 * therefore computed again in double, and only what the others are further away is taken from the
 * product.
 */
#include <math.h>
#include <string.h>

#include "gm/evaluate.h"
#include "gm/ops.h"
#include "models/model.h"

#define TILE 1024                      /* rows and samples of a tile at most */
#define TILE_VALUES ((int64_t)1 << 22) /* of a tile's rows, unless one row has more */
#define MOST_SIGMAS 10000
#define SMALLEST 1e-18 /* sigma; 1 / sigma^2 must be a float */
#define LARGEST 1e18   /* sigma, and distances from the mean; their squares must be floats */
#define LOG_SQRT_2PI 0.91893853320467274178

typedef struct parzen {
    gm_context *ctx;
    int64_t d, n, tile;
    const float *samples;
    const double *sigmas;
    int64_t sigma_count;
    int32_t (*on_row)(void *user, int64_t done);
    void *user;
    int64_t done;
    gm_tape *products, *sums;
    void *block;
    size_t block_size;
    double *centre;  /* [d] */
    double *nearest; /* [tile]: squared distance to the nearest sample of this tile */
    double *log_sum; /* [tile, sigmas]: log sum exp over the tiles of samples so far */
    double *moments; /* [sigmas, 2]: mean, and sum of squares about it, over the rows so far */
    float *x, *s;    /* [tile, d]: centred */
    float *bias;     /* [tile]: -|s|^2 / 2 */
    float *beyond;   /* [tile, tile]: exponents times sigma^2, less those of the nearest */
} parzen;

/* An array of whole rows: its name for messages, and how many. */
typedef struct table {
    const char *name;
    const float *values;
    int64_t count;
} table;

static gm_status check_table(gm_context *ctx, const table *t, int64_t d)
{
    if (!t->values) return gm_model_fail(ctx, GM_E_INVALID, "parzen: %s is NULL", t->name);
    if (t->count < 1 || d < 1)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "parzen: %s is [%lld, %lld], at least one row of one value is wanted",
                             t->name, (long long)t->count, (long long)d);
    if (d > INT64_MAX / 64 / t->count)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "parzen: %s is [%lld, %lld], more than can be addressed", t->name,
                             (long long)t->count, (long long)d);
    return GM_OK;
}

static gm_status check_values(gm_context *ctx, const table *t, int64_t d)
{
    for (int64_t i = 0; i < t->count * d; i++)
        if (!isfinite(t->values[i]))
            return gm_model_fail(
                ctx, GM_E_INVALID,
                "parzen: %s: row %lld, column %lld is %g, finite values are wanted", t->name,
                (long long)(i / d), (long long)(i % d), (double)t->values[i]);
    return GM_OK;
}

static gm_status check_tables(gm_context *ctx, const table *tables, int count, int64_t d)
{
    gm_status status = GM_OK;
    for (int i = 0; i < count; i++) GM_TRY(check_table(ctx, &tables[i], d));
    for (int i = 0; i < count; i++) GM_TRY(check_values(ctx, &tables[i], d));
out:
    return status;
}

static int sigma_fits(double sigma)
{
    return sigma >= SMALLEST && sigma <= LARGEST;
}

static void find_centre(parzen *p)
{
    memset(p->centre, 0, (size_t)p->d * sizeof *p->centre);
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < p->d; j++) p->centre[j] += (double)p->samples[i * p->d + j];
    for (int64_t j = 0; j < p->d; j++) p->centre[j] /= (double)p->n;
}

/* Tapes and memory. p has been given its data; after a failure parzen_close is still due. */
static gm_status parzen_open(parzen *p)
{
    int64_t tile = TILE_VALUES / p->d;
    gm_status status;
    p->tile = tile < 1 ? 1 : tile < TILE ? tile : TILE;
    tile = p->tile;
    int64_t doubles = p->d + tile + tile * p->sigma_count + 2 * p->sigma_count;
    int64_t floats = 2 * tile * p->d + tile + tile * tile;
    p->block_size = (size_t)doubles * sizeof(double) + (size_t)floats * sizeof(float);
    p->block = gm_context_allocate(p->ctx, p->block_size);
    if (!p->block)
        return gm_model_fail(p->ctx, GM_E_NOMEM, "parzen: no memory for %zu bytes", p->block_size);
    p->centre = p->block;
    p->nearest = p->centre + p->d;
    p->log_sum = p->nearest + tile;
    p->moments = p->log_sum + tile * p->sigma_count;
    p->x = (float *)(p->moments + 2 * p->sigma_count);
    p->s = p->x + tile * p->d;
    p->bias = p->s + tile * p->d;
    p->beyond = p->bias + tile;
    GM_TRY(gm_tape_create(&p->products, p->ctx, NULL));
    GM_TRY(gm_tape_create(&p->sums, p->ctx, NULL));
    gm_tape_set_mode(p->products, GM_TAPE_CONSTANT);
    gm_tape_set_mode(p->sums, GM_TAPE_CONSTANT);
    find_centre(p);
out:
    return status;
}

static void parzen_close(parzen *p)
{
    gm_tape_release(p->sums);
    gm_tape_release(p->products);
    gm_context_free(p->ctx, p->block, p->block_size);
}

/* Rows begin .. begin + count - 1 of t, less the centre, into out; -|row|^2 / 2 into half (may be
 * NULL). */
static gm_status centre_rows(const parzen *p, const table *t, int64_t begin, int64_t count,
                             float *out, float *half)
{
    for (int64_t i = 0; i < count; i++) {
        const float *row = t->values + (begin + i) * p->d;
        double squares = 0;
        for (int64_t j = 0; j < p->d; j++) {
            double v = (double)row[j] - p->centre[j];
            squares += v * v;
            out[i * p->d + j] = (float)v;
        }
        if (!(squares <= LARGEST * LARGEST))
            return gm_model_fail(p->ctx, GM_E_NUMERIC,
                                 "parzen: %s: row %lld is %g from the mean of the samples, at most "
                                 "%g is wanted",
                                 t->name, (long long)(begin + i), sqrt(squares), LARGEST);
        if (half) half[i] = (float)(-0.5 * squares);
    }
    return GM_OK;
}

static double squared_distance(const float *a, const float *b, int64_t d)
{
    double sum = 0;
    for (int64_t j = 0; j < d; j++) {
        double v = (double)a[j] - (double)b[j];
        sum += v * v;
    }
    return sum;
}

/* For `count` rows (centred in p->x) and the samples first .. first + k - 1: nearest and beyond. */
static gm_status measure(parzen *p, const float *rows, int64_t count, int64_t first, int64_t k)
{
    const table samples = { "samples", p->samples, p->n };
    int64_t x_shape[2] = { count, p->d }, s_shape[2] = { k, p->d };
    gm_tape *tape = p->products;
    gm_status status;
    GM_TRY(centre_rows(p, &samples, first, k, p->s, p->bias));
    gm_tape_reset(tape);
    gm_var product = gm_linear(tape, gm_input_array(tape, 2, x_shape, p->x),
                               gm_input_array(tape, 2, s_shape, p->s),
                               gm_input_array(tape, 1, &k, p->bias), GM_ACTIVATION_NONE, 0);
    GM_TRY(gm_tape_status(tape));
    for (int64_t i = 0; i < count; i++) {
        const float *e = gm_value(tape, product) + i * k;
        float *beyond = p->beyond + i * k;
        int64_t at = 0;
        for (int64_t j = 1; j < k; j++)
            if (e[j] > e[at]) at = j;
        float most = e[at];
        for (int64_t j = 0; j < k; j++) beyond[j] = e[j] - most;
        p->nearest[i] = squared_distance(rows + i * p->d, p->samples + (first + at) * p->d, p->d);
    }
out:
    return status;
}

/* log(e^a + e^b); a may be -infinity. */
static double log_add(double a, double b)
{
    return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

/* The tile that was measured, into log_sum. */
static gm_status add_tile(parzen *p, int64_t count, int64_t k)
{
    int64_t shape[2] = { count, k };
    gm_tape *tape = p->sums;
    gm_status status = GM_OK;
    for (int64_t c = 0; c < p->sigma_count; c++) {
        double precision = 1 / (p->sigmas[c] * p->sigmas[c]);
        gm_tape_reset(tape);
        gm_var sums = gm_logsumexp(
            tape, gm_scale(tape, gm_input_array(tape, 2, shape, p->beyond), precision));
        GM_TRY(gm_tape_status(tape));
        for (int64_t i = 0; i < count; i++) {
            double *to = &p->log_sum[i * p->sigma_count + c];
            double own = (double)gm_value(tape, sums)[i] - 0.5 * precision * p->nearest[i];
            *to = log_add(*to, own);
        }
    }
out:
    return status;
}

/* Mean and squares about it of log p, for each sigma (Welford 1962). `before` rows came earlier. */
static void add_rows(parzen *p, int64_t before, int64_t count, double *log_prob)
{
    for (int64_t c = 0; c < p->sigma_count; c++) {
        double *m = p->moments + 2 * c;
        double scale = log((double)p->n) + (double)p->d * (log(p->sigmas[c]) + LOG_SQRT_2PI);
        for (int64_t i = 0; i < count; i++) {
            double value = p->log_sum[i * p->sigma_count + c] - scale, away = value - m[0];
            m[0] += away / (double)(before + i + 1);
            m[1] += away * (value - m[0]);
            if (log_prob) log_prob[before + i] = value;
        }
    }
}

/* Scores all rows of t with every sigma, into p->moments. log_prob wants a single sigma. */
static gm_status score(parzen *p, const table *t, double *log_prob)
{
    gm_status status = GM_OK;
    for (int64_t c = 0; c < 2 * p->sigma_count; c++) p->moments[c] = 0;
    for (int64_t begin = 0; begin < t->count; begin += p->tile) {
        int64_t left = t->count - begin, count = left < p->tile ? left : p->tile;
        for (int64_t i = 0; i < count * p->sigma_count; i++) p->log_sum[i] = -INFINITY;
        GM_TRY(centre_rows(p, t, begin, count, p->x, NULL));
        for (int64_t first = 0; first < p->n; first += p->tile) {
            int64_t k = p->n - first < p->tile ? p->n - first : p->tile;
            GM_TRY(measure(p, t->values + begin * p->d, count, first, k));
            GM_TRY(add_tile(p, count, k));
        }
        add_rows(p, begin, count, log_prob);
        p->done += count;
        if (p->on_row && p->on_row(p->user, p->done))
            GM_TRY(gm_model_fail(p->ctx, GM_E_CANCELLED,
                                 "parzen: stopped by the host after %lld rows",
                                 (long long)p->done));
    }
out:
    return status;
}

/* The result of a score with a single sigma. */
static void give(const parzen *p, const table *t, gm_result *out)
{
    gm_result r = GM_RESULT_INIT;
    double rows = (double)t->count;
    r.value = p->moments[0];
    r.standard_error = t->count > 1 ? sqrt(p->moments[1] / (rows - 1) / rows) : (double)NAN;
    r.samples = p->n;
    r.rows = t->count;
    r.protocol = "parzen";
    r.sigma = p->sigmas[0];
    gm_result_give(out, &r);
}

gm_status gm_parzen(gm_result *out, gm_context *ctx, int64_t row_size, const float *samples,
                    int64_t sample_count, const float *rows, int64_t row_count, double sigma,
                    double *log_prob, int32_t (*on_row)(void *user, int64_t done), void *user)
{
    const table tables[2] = { { "samples", samples, sample_count }, { "rows", rows, row_count } };
    parzen p = { .ctx = ctx,
                 .d = row_size,
                 .n = sample_count,
                 .samples = samples,
                 .sigmas = &sigma,
                 .sigma_count = 1,
                 .on_row = on_row,
                 .user = user };
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    GM_TRY(gm_result_check(ctx, "parzen", out));
    if (!sigma_fits(sigma))
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "parzen: sigma is %g, %g to %g is wanted", sigma,
                             SMALLEST, LARGEST));
    GM_TRY(check_tables(ctx, tables, 2, row_size));
    GM_TRY(parzen_open(&p));
    GM_TRY(score(&p, &tables[1], log_prob));
    give(&p, &tables[1], out);
out:
    parzen_close(&p);
    return status;
}

static gm_status check_sigmas(gm_context *ctx, const gm_parzen_options *o)
{
    if (!o->sigmas != !o->sigma_count || o->sigma_count < 0 || o->sigma_count > MOST_SIGMAS)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "parzen: sigmas is %s and sigma_count %lld; 1 to %d of them, or NULL "
                             "and 0, are wanted",
                             o->sigmas ? "given" : "NULL", (long long)o->sigma_count, MOST_SIGMAS);
    for (int64_t i = 0; i < o->sigma_count; i++)
        if (!sigma_fits(o->sigmas[i]))
            return gm_model_fail(ctx, GM_E_INVALID, "parzen: sigma %lld is %g, %g to %g is wanted",
                                 (long long)i, o->sigmas[i], SMALLEST, LARGEST);
    return GM_OK;
}

gm_status gm_parzen_fit(gm_result *out, gm_context *ctx, int64_t row_size, const float *samples,
                        int64_t sample_count, const float *validation, int64_t validation_count,
                        const float *test, int64_t test_count, const gm_parzen_options *options)
{
    const table tables[3] = { { "samples", samples, sample_count },
                              { "validation", validation, validation_count },
                              { "test", test, test_count } };
    gm_parzen_options o = GM_PARZEN_OPTIONS_INIT;
    double ladder[GM_PARZEN_LADDER];
    parzen p = { .ctx = ctx, .d = row_size, .n = sample_count, .samples = samples };
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    GM_TRY(gm_result_check(ctx, "parzen", out));
    GM_TRY(gm_options_read(ctx, "parzen", &o, sizeof o, options));
    GM_TRY(check_sigmas(ctx, &o));
    GM_TRY(check_tables(ctx, tables, 3, row_size));
    for (int i = 0; i < GM_PARZEN_LADDER; i++)
        ladder[i] = pow(10, -1 + (double)i / (GM_PARZEN_LADDER - 1));
    p.sigmas = o.sigmas ? o.sigmas : ladder;
    p.sigma_count = o.sigmas ? o.sigma_count : GM_PARZEN_LADDER;
    p.on_row = o.on_row;
    p.user = o.user;
    GM_TRY(parzen_open(&p));
    GM_TRY(score(&p, &tables[1], NULL));
    int64_t best = 0;
    for (int64_t c = 0; c < p.sigma_count; c++) {
        if (p.moments[2 * c] > p.moments[2 * best]) best = c;
        if (o.validation_means) o.validation_means[c] = p.moments[2 * c];
    }
    p.sigmas += best;
    p.sigma_count = 1;
    GM_TRY(score(&p, &tables[2], NULL));
    give(&p, &tables[2], out);
out:
    parzen_close(&p);
    return status;
}
