/* parzen.c - Parzen-window log-likelihood (Breuleux, Bengio and Vincent 2011; Goodfellow et al.
 * 2014).
 *
 * Distances come from distances.c: a tile of exponents is x . s - |s|^2 / 2 up to a term of the
 * row. In single precision the difference of large products loses digits; that matters most for the
 * nearest sample, which dominates the sum. Its distance is therefore computed again in double, and
 * only what the others are further away is taken from the product.
 */
#include <math.h>

#include "gm/evaluate.h"
#include "gm/ops.h"
#include "models/family.h"

#define MOST_SIGMAS 10000
#define SMALLEST 1e-18 /* sigma; 1 / sigma^2 must be a float */
#define LARGEST 1e18
#define LOG_SQRT_2PI 0.91893853320467274178

typedef struct parzen {
    gm_context *ctx;
    int64_t d, n, tile;
    const double *sigmas;
    int64_t sigma_count;
    int32_t (*on_row)(void *user, int64_t done);
    void *user;
    int64_t done;
    gm_distances distances; /* from the rows at hand to the samples */
    gm_tape *sums;
    void *block;
    size_t block_size;
    double *nearest; /* [tile]: squared distance to the nearest sample of this tile */
    double *log_sum; /* [tile, sigmas]: log sum exp over the tiles of samples so far */
    double *moments; /* [sigmas, 2]: mean, and sum of squares about it, over the rows so far */
    float *beyond;   /* [tile, tile]: exponents times sigma^2, less those of the nearest */
} parzen;

static int sigma_fits(double sigma)
{
    return sigma >= SMALLEST && sigma <= LARGEST;
}

/* Tapes and memory. p has been given its sigmas; after a failure parzen_close is still due. */
static gm_status parzen_open(parzen *p, const gm_table *samples)
{
    gm_status status;
    p->d = samples->width;
    p->n = samples->rows;
    GM_TRY(gm_distances_open(&p->distances, p->ctx, "parzen", samples, samples));
    int64_t tile = p->tile = p->distances.tile;
    int64_t doubles = tile + tile * p->sigma_count + 2 * p->sigma_count;
    p->block_size = (size_t)doubles * sizeof(double) + (size_t)(tile * tile) * sizeof(float);
    p->block = gm_context_allocate(p->ctx, p->block_size);
    if (!p->block)
        return gm_model_fail(p->ctx, GM_E_NOMEM, "parzen: no memory for %zu bytes", p->block_size);
    p->nearest = p->block;
    p->log_sum = p->nearest + tile;
    p->moments = p->log_sum + tile * p->sigma_count;
    p->beyond = (float *)(p->moments + 2 * p->sigma_count);
    GM_TRY(gm_tape_create(&p->sums, p->ctx, NULL));
    gm_tape_set_mode(p->sums, GM_TAPE_CONSTANT);
out:
    return status;
}

static void parzen_close(parzen *p)
{
    gm_tape_release(p->sums);
    gm_context_free(p->ctx, p->block, p->block_size);
    gm_distances_close(&p->distances);
}

/* From the rows at hand to the samples first .. first + k - 1: nearest and beyond. */
static gm_status measure(parzen *p, int64_t first, int64_t k)
{
    gm_distances *d = &p->distances;
    const float *product;
    gm_status status;
    GM_TRY(gm_distances_columns(d, first, k, &product));
    for (int64_t i = 0; i < d->count; i++) {
        const float *e = product + i * k;
        float *beyond = p->beyond + i * k;
        int64_t at = 0;
        for (int64_t j = 1; j < k; j++)
            if (e[j] > e[at]) at = j;
        float most = e[at];
        for (int64_t j = 0; j < k; j++) beyond[j] = e[j] - most;
        p->nearest[i] = gm_distances_exact(d, d->first + i, first + at);
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
static gm_status score(parzen *p, const gm_table *t, double *log_prob)
{
    gm_status status = GM_OK;
    p->distances.a = *t;
    for (int64_t c = 0; c < 2 * p->sigma_count; c++) p->moments[c] = 0;
    for (int64_t begin = 0; begin < t->rows; begin += p->tile) {
        int64_t left = t->rows - begin, count = left < p->tile ? left : p->tile;
        for (int64_t i = 0; i < count * p->sigma_count; i++) p->log_sum[i] = -INFINITY;
        GM_TRY(gm_distances_rows(&p->distances, begin, count));
        for (int64_t first = 0; first < p->n; first += p->tile) {
            int64_t k = p->n - first < p->tile ? p->n - first : p->tile;
            GM_TRY(measure(p, first, k));
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
static void give(const parzen *p, const gm_table *t, gm_result *out)
{
    gm_result r = GM_RESULT_INIT;
    double rows = (double)t->rows;
    r.value = p->moments[0];
    r.standard_error = t->rows > 1 ? sqrt(p->moments[1] / (rows - 1) / rows) : (double)NAN;
    r.samples = p->n;
    r.rows = t->rows;
    r.protocol = "parzen";
    r.sigma = p->sigmas[0];
    gm_result_give(out, &r);
}

gm_status gm_parzen(gm_result *out, gm_context *ctx, int64_t row_size, const float *samples,
                    int64_t sample_count, const float *rows, int64_t row_count, double sigma,
                    double *log_prob, int32_t (*on_row)(void *user, int64_t done), void *user)
{
    const gm_table tables[2] = { { "samples", samples, sample_count, row_size },
                                 { "rows", rows, row_count, row_size } };
    parzen p = { .ctx = ctx, .sigmas = &sigma, .sigma_count = 1, .on_row = on_row, .user = user };
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    GM_TRY(gm_result_check(ctx, "parzen", out));
    if (!sigma_fits(sigma))
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "parzen: sigma is %g, expected %g to %g", sigma,
                             SMALLEST, LARGEST));
    GM_TRY(gm_table_check(ctx, "parzen", tables, 2));
    GM_TRY(parzen_open(&p, &tables[0]));
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
            return gm_model_fail(ctx, GM_E_INVALID, "parzen: sigma %lld is %g, expected %g to %g",
                                 (long long)i, o->sigmas[i], SMALLEST, LARGEST);
    return GM_OK;
}

gm_status gm_parzen_fit(gm_result *out, gm_context *ctx, int64_t row_size, const float *samples,
                        int64_t sample_count, const float *validation, int64_t validation_count,
                        const float *test, int64_t test_count, const gm_parzen_options *options)
{
    const gm_table tables[3] = { { "samples", samples, sample_count, row_size },
                                 { "validation", validation, validation_count, row_size },
                                 { "test", test, test_count, row_size } };
    gm_parzen_options o = GM_PARZEN_OPTIONS_INIT;
    double ladder[GM_PARZEN_SIGMAS];
    parzen p = { .ctx = ctx };
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    GM_TRY(gm_result_check(ctx, "parzen", out));
    GM_TRY(gm_options_read(ctx, "parzen", &o, sizeof o, options));
    GM_TRY(check_sigmas(ctx, &o));
    GM_TRY(gm_table_check(ctx, "parzen", tables, 3));
    for (int i = 0; i < GM_PARZEN_SIGMAS; i++)
        ladder[i] = pow(10, -1 + (double)i / (GM_PARZEN_SIGMAS - 1));
    p.sigmas = o.sigmas ? o.sigmas : ladder;
    p.sigma_count = o.sigmas ? o.sigma_count : GM_PARZEN_SIGMAS;
    p.on_row = o.on_row;
    p.user = o.user;
    GM_TRY(parzen_open(&p, &tables[0]));
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
