/* parzen.c - Parzen-window log-likelihood (Breuleux, Bengio and Vincent 2011; Goodfellow et al.
 * 2014).
 *
 * Distances come from distances.c: a tile of exponents is x . s - |s|^2 / 2 up to a term of the
 * row. In single precision the difference of large products loses digits. That matters for the
 * nearest sample, which dominates the sum, and where windows are narrow beside the lengths of rows
 * for all samples that are nearly as near. These are measured again in double; of the others it is
 * known that they are too far to count, or the product tells well enough by how much they are
 * further away.
 */
#include <math.h>

#include "evaluate/distances.h"
#include "gm/ops.h"
#include "gm/parzen.h"

#define MOST_SIGMAS 10000
#define SMALLEST 1e-18 /* sigma; 1 / sigma^2 must be a float */
#define LARGEST 1e18
#define TOLERANCE 1e-4 /* of an exponent, that products may have rounded */
#define REACH 24.0     /* exponents that much below the largest do not count beside a sum */
#define LOG_SQRT_2PI 0.91893853320467274178

typedef struct parzen {
    gm_context *ctx;
    int64_t d, n, tile;
    const double *sigmas;
    int64_t sigma_count;
    gm_counter counter;
    gm_distances distances; /* from the rows at hand to the samples */
    gm_tape *sums;
    void *block;
    size_t block_size;
    double *squared; /* [tile]: from a row to the samples of this tile */
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
    int64_t doubles = 2 * tile + tile * p->sigma_count + 2 * p->sigma_count;
    p->block_size = (size_t)doubles * sizeof(double) + (size_t)(tile * tile) * sizeof(float);
    p->block = gm_context_allocate(p->ctx, p->block_size);
    if (!p->block)
        return gm_model_fail(p->ctx, GM_E_NOMEM, "parzen: no memory for %zu bytes", p->block_size);
    p->squared = p->block;
    p->nearest = p->squared + tile;
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

/* How much further than the nearest a sample may be, as a squared distance, to be measured exactly:
 * where the doubt in a product is too much for a window, that window's reach. */
static double reach(const parzen *p, double doubt)
{
    double widest = 0;
    for (int64_t c = 0; c < p->sigma_count; c++) {
        double square = p->sigmas[c] * p->sigmas[c];
        if (doubt > 2 * TOLERANCE * square && square > widest) widest = square;
    }
    return 2 * widest * (REACH + log((double)p->n));
}

/* One row: how far the nearest of k samples is, and how much further the others are. */
static void measure_row(parzen *p, int64_t i, int64_t k, const float *product, float *beyond)
{
    const gm_distances *d = &p->distances;
    int64_t at = 0, longest = 0;
    for (int64_t j = 1; j < k; j++) {
        if (product[j] > product[at]) at = j;
        if (d->bias[j] < d->bias[longest]) longest = j;
    }
    double doubt = gm_distances_doubt(d, i, longest), nearest = INFINITY;
    double rough = gm_distances_rough(d, i, product[at]);
    /* Typical errors are a sixteenth of the bound. */
    double limit = rough + 2 * doubt + reach(p, doubt / 16);
    for (int64_t j = 0; j < k; j++) {
        p->squared[j] = gm_distances_rough(d, i, product[j]);
        if (p->squared[j] > limit) continue;
        p->squared[j] = gm_distances_exact(d, d->first + i, d->column + j);
        if (p->squared[j] < nearest) nearest = p->squared[j];
    }
    for (int64_t j = 0; j < k; j++)
        beyond[j] = p->squared[j] > nearest ? (float)(0.5 * (nearest - p->squared[j])) : 0;
    p->nearest[i] = nearest;
}

/* From the rows at hand to the samples first .. first + k - 1: nearest and beyond. */
static gm_status measure(parzen *p, int64_t first, int64_t k)
{
    gm_distances *d = &p->distances;
    const float *product;
    gm_status status;
    GM_TRY(gm_distances_columns(d, first, k, &product));
    for (int64_t i = 0; i < d->count; i++) measure_row(p, i, k, product + i * k, p->beyond + i * k);
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

/* Scores all rows of t with every sigma, into p->moments. log_prob is filled for a single sigma. */
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
        GM_TRY(gm_counter_add(&p->counter, count));
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

gm_status gm_parzen(gm_result *out, gm_context *ctx, const gm_rows *samples, const gm_rows *rows,
                    double sigma, const gm_parzen_options *options, double *log_prob)
{
    gm_table tables[2];
    gm_parzen_options o = GM_PARZEN_OPTIONS_INIT;
    parzen p = { .ctx = ctx, .sigmas = &sigma, .sigma_count = 1 };
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    GM_TRY(gm_result_check(ctx, "parzen", out));
    GM_TRY(gm_options_read(ctx, "parzen", &o, sizeof o, options));
    if (!sigma_fits(sigma))
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "parzen: sigma is %g, expected %g to %g", sigma,
                             SMALLEST, LARGEST));
    GM_TRY(gm_table_of(&tables[0], ctx, "parzen", "samples", samples));
    GM_TRY(gm_table_of(&tables[1], ctx, "parzen", "rows", rows));
    GM_TRY(gm_table_check(ctx, "parzen", tables, 2));
    p.counter = (gm_counter){ ctx, "parzen", "rows", o.on_progress, o.user, 0, rows->count };
    GM_TRY(parzen_open(&p, &tables[0]));
    GM_TRY(score(&p, &tables[1], log_prob));
    give(&p, &tables[1], out);
out:
    parzen_close(&p);
    return status;
}

static gm_status check_sigmas(gm_context *ctx, const gm_parzen_fit_options *o)
{
    if (!o->sigmas != !o->sigma_count || o->sigma_count < 0 || o->sigma_count > MOST_SIGMAS)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "parzen: sigmas is %s, sigma_count is %lld, expected 1 to %d of them, or NULL and 0",
            o->sigmas ? "given" : "NULL", (long long)o->sigma_count, MOST_SIGMAS);
    for (int64_t i = 0; i < o->sigma_count; i++)
        if (!sigma_fits(o->sigmas[i]))
            return gm_model_fail(ctx, GM_E_INVALID, "parzen: sigma %lld is %g, expected %g to %g",
                                 (long long)i, o->sigmas[i], SMALLEST, LARGEST);
    return GM_OK;
}

gm_status gm_parzen_fit(gm_result *out, gm_context *ctx, const gm_rows *samples,
                        const gm_rows *validation, const gm_rows *test,
                        const gm_parzen_fit_options *options)
{
    gm_table tables[3];
    gm_parzen_fit_options o = GM_PARZEN_FIT_OPTIONS_INIT;
    double series[GM_PARZEN_SIGMAS];
    parzen p = { .ctx = ctx };
    gm_status status;
    if (!ctx) return GM_E_INVALID;
    GM_TRY(gm_result_check(ctx, "parzen", out));
    GM_TRY(gm_options_read(ctx, "parzen", &o, sizeof o, options));
    GM_TRY(check_sigmas(ctx, &o));
    GM_TRY(gm_table_of(&tables[0], ctx, "parzen", "samples", samples));
    GM_TRY(gm_table_of(&tables[1], ctx, "parzen", "validation", validation));
    GM_TRY(gm_table_of(&tables[2], ctx, "parzen", "test", test));
    GM_TRY(gm_table_check(ctx, "parzen", tables, 3));
    for (int i = 0; i < GM_PARZEN_SIGMAS; i++)
        series[i] = pow(10, -1 + (double)i / (GM_PARZEN_SIGMAS - 1));
    p.sigmas = o.sigmas ? o.sigmas : series;
    p.sigma_count = o.sigmas ? o.sigma_count : GM_PARZEN_SIGMAS;
    p.counter = (gm_counter){
        ctx, "parzen", "rows", o.on_progress, o.user, 0, validation->count + test->count
    };
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
