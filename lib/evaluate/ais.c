/* ais.c - annealed importance sampling of log p(x) under a decoder (Neal 2001; Wu, Burda,
 * Salakhutdinov and Grosse 2017).
 *
 * With z = s u, u ~ N(0, I), and b_0 = 0 < ... < b_T = 1, chains move through the densities
 *
 *     f_t(u) = N(u; 0, I) p(x | s u)^b_t
 *
 * Forwards a chain starts at the prior, its log weight grows by (b_t - b_t-1) log p(x | z) and then
 * it moves by a transition that leaves f_t as it is. Backwards it starts at p(z | x), and takes the
 * same steps in the opposite order with the opposite sign. The transitions themselves are in hmc.c.
 */
#include <math.h>

#include "evaluate/hmc.h"
#include "evaluate/result.h"
#include "gm/ais.h"
#include "models/log_mean.h"

#define AT_ONCE 512 /* chains that run together at most, for all rows of a group */
#define PILOT 4     /* chains a row that tune the steps */
#define WARM_UP 30  /* transitions before the pilot's first temperature */
#define SHARPNESS 4.0

typedef struct ais {
    gm_context *ctx;
    gm_generator *g;
    gm_ais_options o;
    const float *rows, *codes, *labels; /* codes NULL: forwards */
    int64_t count, group;               /* rows, and how many of them run together */
    int64_t done, total;                /* transitions, for on_progress */
    gm_hmc hmc;
    double *betas;  /* [T + 1] */
    double *steps;  /* [T + 1, group]: leapfrog steps, as the pilot found them */
    double *weight; /* [AT_ONCE]: log weights so far */
    double *score;  /* [count]: log p(x), for the result */
    void *block;
    size_t block_size;
    double accepted, variance;
    int64_t transitions;
} ais;

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

static void set_schedule(ais *a)
{
    int64_t last = a->o.temperatures;
    double low = logistic(-SHARPNESS), high = logistic(SHARPNESS);
    for (int64_t t = 0; t <= last; t++) {
        double at = (double)t / (double)last;
        a->betas[t] = a->o.schedule == GM_AIS_LINEAR
                          ? at
                          : (logistic(SHARPNESS * (2 * at - 1)) - low) / (high - low);
    }
    a->betas[0] = 0;
    a->betas[last] = 1;
}

static gm_status check_options(gm_context *ctx, const gm_ais_options *o)
{
    if (o->chains < 1 || o->chains > 100000 || o->temperatures < 1 || o->temperatures > 1000000 ||
        o->leapfrog < 1 || o->leapfrog > 10000)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "ais: chains is %lld, expected 1 to 100000; temperatures is %lld, "
                             "expected 1 to 1000000; leapfrog is %d, expected 1 to 10000",
                             (long long)o->chains, (long long)o->temperatures, (int)o->leapfrog);
    if (o->schedule != GM_AIS_SIGMOID && o->schedule != GM_AIS_LINEAR)
        return gm_model_fail(ctx, GM_E_INVALID, "ais: schedule is %d, expected one of GM_AIS_*",
                             (int)o->schedule);
    if (!(o->step > 0 && isfinite(o->step)) || !(o->acceptance > 0 && o->acceptance < 1))
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "ais: step is %g, expected above 0; acceptance is %g, expected between 0 and 1",
            o->step, o->acceptance);
    return GM_OK;
}

static gm_status check_rows(const ais *a)
{
    gm_table tables[2] = { { "rows", a->rows, a->count, gm_generator_row_size(a->g) },
                           { "codes", a->codes, a->count, gm_generator_latent(a->g) } };
    gm_status status;
    GM_TRY(gm_table_check(a->ctx, "ais", &tables[0], 1));
    if (a->codes) GM_TRY(gm_table_check(a->ctx, "ais", &tables[1], 1));
    if (gm_generator_output(a->g) == GM_OUTPUT_BERNOULLI) {
        int64_t width = tables[0].width;
        for (int64_t i = 0; i < a->count * width; i++)
            if (!(a->rows[i] >= 0 && a->rows[i] <= 1))
                GM_TRY(gm_model_fail(
                    a->ctx, GM_E_INVALID, "ais: rows: row %lld, column %lld is %g, expected 0 to 1",
                    (long long)(i / width), (long long)(i % width), (double)a->rows[i]));
    }
out:
    return status;
}

static gm_status ais_open(ais *a)
{
    int64_t last = a->o.temperatures, chains = a->o.chains < AT_ONCE ? a->o.chains : AT_ONCE;
    gm_status status;
    a->group = AT_ONCE / (chains < PILOT ? PILOT : chains);
    if (a->group > a->count) a->group = a->count;
    int64_t groups = (a->count + a->group - 1) / a->group;
    int64_t blocks = (a->o.chains + chains - 1) / chains;
    a->total = groups * (WARM_UP + last + blocks * last);
    a->block_size =
        (size_t)(last + 1 + (last + 1) * a->group + AT_ONCE + a->count) * sizeof(double);
    a->block = gm_context_allocate(a->ctx, a->block_size);
    if (!a->block)
        return gm_model_fail(a->ctx, GM_E_NOMEM, "ais: no memory for %zu bytes", a->block_size);
    a->betas = a->block;
    a->steps = a->betas + last + 1;
    a->weight = a->steps + (last + 1) * a->group;
    a->score = a->weight + AT_ONCE;
    set_schedule(a);
    GM_TRY(gm_hmc_open(&a->hmc, a->g, AT_ONCE, a->o.seed));
out:
    return status;
}

static void ais_close(ais *a)
{
    gm_hmc_close(&a->hmc);
    gm_context_free(a->ctx, a->block, a->block_size);
}

/* One transition of all chains at temperature t, and word to the host. */
static gm_status move(ais *a, int64_t t, double *accepted)
{
    gm_status status;
    GM_TRY(gm_hmc_move(&a->hmc, a->betas[t], a->o.leapfrog, a->steps + t * a->group, accepted));
    a->done++;
    if (a->o.on_progress && a->o.on_progress(a->o.user, a->done, a->total))
        GM_TRY(gm_model_fail(a->ctx, GM_E_CANCELLED,
                             "ais: stopped by the host after %lld of %lld transitions",
                             (long long)a->done, (long long)a->total));
out:
    return status;
}

/* Where chains of rows begin .. begin + n - 1 start: at the prior, or at the codes given. */
static gm_status start(ais *a, int64_t begin, int64_t n, int64_t chains, const float *codes)
{
    gm_status status;
    int64_t width = gm_generator_row_size(a->g), latent = gm_generator_latent(a->g);
    GM_TRY(gm_hmc_start(&a->hmc, a->rows + begin * width, a->labels ? a->labels + begin : NULL, n,
                        chains, codes ? codes + begin * latent : NULL));
    for (int64_t i = 0; i < n * chains; i++)
        if (!isfinite(a->hmc.nll[i]))
            GM_TRY(gm_model_fail(a->ctx, GM_E_NUMERIC,
                                 "ais: row %lld: log p(x | z) at the first z of a chain is %g",
                                 (long long)(begin + i / chains), -a->hmc.nll[i]));
out:
    return status;
}

/* The steps for each temperature and row of a group: chains that do not count walk once through,
 * and each transition makes the next step longer or shorter by how much acceptance is above or
 * below what it is tuned to (Robbins and Monro 1951, with a fixed gain, since the best step shrinks
 * along the way). */
static gm_status tune(ais *a, int64_t begin, int64_t n)
{
    int64_t chains = a->o.chains < PILOT ? a->o.chains : PILOT, last = a->o.temperatures;
    double accepted[AT_ONCE];
    gm_status status;
    GM_TRY(start(a, begin, n, chains, NULL));
    for (int64_t i = 0; i < n; i++) a->steps[a->group + i] = a->o.step;
    for (int64_t t = 1 - WARM_UP; t <= last; t++) {
        int64_t at = t < 1 ? 1 : t, next = t < 1 ? 1 : t + 1;
        double gain = t < 1 ? 0.3 : 0.1;
        GM_TRY(move(a, at, accepted));
        for (int64_t i = 0; i < n && next <= last; i++) {
            double step = a->steps[at * a->group + i];
            step *= exp(gain * (accepted[i] - a->o.acceptance));
            a->steps[next * a->group + i] = fmin(GM_HMC_LONGEST, fmax(GM_HMC_SHORTEST, step));
        }
    }
out:
    return status;
}

/* Chains of a group, once along the path. */
static gm_status walk(ais *a, int64_t begin, int64_t n, int64_t chains)
{
    int64_t last = a->o.temperatures, all = n * chains;
    double accepted[AT_ONCE];
    gm_status status;
    GM_TRY(start(a, begin, n, chains, a->codes));
    for (int64_t i = 0; i < all; i++) a->weight[i] = 0;
    for (int64_t k = 1; k <= last; k++) {
        int64_t t = a->codes ? last + 1 - k : k;
        double by = a->betas[t] - a->betas[t - 1];
        if (a->codes) GM_TRY(move(a, t, accepted));
        for (int64_t i = 0; i < all; i++) a->weight[i] -= (a->codes ? -by : by) * a->hmc.nll[i];
        if (!a->codes) GM_TRY(move(a, t, accepted));
        for (int64_t i = 0; i < n; i++) a->accepted += accepted[i] * (double)chains;
        a->transitions += all;
    }
out:
    return status;
}

static gm_status run_group(ais *a, int64_t begin, int64_t n)
{
    gm_log_mean sums[AT_ONCE];
    gm_status status;
    GM_TRY(tune(a, begin, n));
    for (int64_t i = 0; i < n; i++) sums[i] = (gm_log_mean)GM_LOG_MEAN_INIT;
    for (int64_t done = 0; done < a->o.chains;) {
        int64_t most = a->o.chains < AT_ONCE ? a->o.chains : AT_ONCE;
        int64_t chains = a->o.chains - done < most ? a->o.chains - done : most;
        GM_TRY(walk(a, begin, n, chains));
        for (int64_t i = 0; i < n * chains; i++) gm_log_mean_add(&sums[i / chains], a->weight[i]);
        done += chains;
    }
    for (int64_t i = 0; i < n; i++) {
        double error, value = gm_log_mean_get(&sums[i], a->o.chains, &error);
        a->score[begin + i] = a->codes ? -value : value;
        a->variance += error * error;
    }
out:
    return status;
}

static gm_status run(ais *a, gm_result *out)
{
    gm_result r = GM_RESULT_INIT;
    gm_status status = GM_OK;
    for (int64_t begin = 0; begin < a->count; begin += a->group) {
        int64_t left = a->count - begin;
        GM_TRY(run_group(a, begin, left < a->group ? left : a->group));
    }
    gm_result_mean(&r, a->score, a->count);
    for (int64_t i = 0; a->o.log_prob && i < a->count; i++) a->o.log_prob[i] = a->score[i];
    r.rows = a->count;
    r.k = a->o.chains;
    r.seed = a->o.seed;
    r.protocol = a->codes ? "ais-reverse" : "ais";
    r.sampling_error = a->o.chains > 1 ? sqrt(a->variance) / (double)a->count : (double)NAN;
    r.acceptance = a->accepted / (double)a->transitions;
    gm_result_give(out, &r);
out:
    return status;
}

static gm_status estimate(gm_result *out, gm_generator *g, const float *rows, const float *codes,
                          int64_t count, const gm_ais_options *o)
{
    ais a = { .ctx = gm_model_context(gm_generator_model(g)),
              .g = g,
              .o = *o,
              .rows = rows,
              .codes = codes,
              .count = count };
    gm_status status;
    gm_model *model = gm_generator_model(g);
    const size_t mark = gm_model_enter(model);
    GM_TRY(check_rows(&a));
    GM_TRY(gm_model_labels_for(model, "ais", count, &a.labels));
    GM_TRY(ais_open(&a));
    GM_TRY(run(&a, out));
out:
    ais_close(&a);
    gm_model_leave(model, mark);
    return status;
}

/* What all three begin with: the generator, the options over their defaults. */
static gm_status begin(gm_generator *g, const gm_result *out, const gm_ais_options *options,
                       gm_ais_options *o)
{
    if (!g) return GM_E_INVALID;
    gm_context *ctx = gm_model_context(gm_generator_model(g));
    gm_status status;
    GM_TRY(gm_result_check(ctx, "ais", out));
    GM_TRY(gm_options_read(ctx, "ais", o, sizeof *o, options));
    GM_TRY(check_options(ctx, o));
out:
    return status;
}

gm_status gm_ais(gm_result *out, gm_generator *g, const float *rows, int64_t count,
                 const gm_ais_options *options)
{
    gm_ais_options o = GM_AIS_OPTIONS_INIT;
    gm_status status = begin(g, out, options, &o);
    return status ? status : estimate(out, g, rows, NULL, count, &o);
}

gm_status gm_ais_reverse(gm_result *out, gm_generator *g, const float *rows, const float *codes,
                         int64_t count, const gm_ais_options *options)
{
    gm_ais_options o = GM_AIS_OPTIONS_INIT;
    gm_status status = begin(g, out, options, &o);
    if (!status && !codes)
        status = gm_model_fail(gm_model_context(gm_generator_model(g)), GM_E_INVALID,
                               "ais: codes is NULL, expected exact draws of p(z | x)");
    return status ? status : estimate(out, g, rows, codes, count, &o);
}
