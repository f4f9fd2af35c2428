/* frechet.c - the Frechet distance of two Gaussians fitted to features (Dowson and Landau 1982;
 * Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter 2017). In double throughout: roots of small
 * eigenvalues show the rounding of covariances. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "evaluate/eigen.h"
#include "evaluate/result.h"
#include "gm/sample_quality.h"

#define BLOCK 4 /* rows at a time: the covariance passes through the cache less often */

typedef struct gaussian {
    double *mean, *covariance; /* [width], [width, width] */
} gaussian;

static void fit(const gm_table *t, double ridge, double *centred, gaussian *g)
{
    int64_t d = t->width, n = t->rows;
    memset(g->mean, 0, (size_t)d * sizeof *g->mean);
    memset(g->covariance, 0, (size_t)(d * d) * sizeof *g->covariance);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) g->mean[j] += (double)t->values[i * d + j];
    for (int64_t j = 0; j < d; j++) g->mean[j] /= (double)n;
    for (int64_t i = 0; i < n; i += BLOCK) {
        for (int64_t r = 0; r < BLOCK; r++)
            for (int64_t j = 0; j < d; j++)
                centred[r * d + j] =
                    i + r < n ? (double)t->values[(i + r) * d + j] - g->mean[j] : 0;
        const double *x = centred, *y = x + d, *z = y + d, *w = z + d;
        for (int64_t j = 0; j < d; j++) {
            double *row = g->covariance + j * d;
            double a = x[j], b = y[j], c = z[j], e = w[j];
            for (int64_t k = 0; k <= j; k++) row[k] += a * x[k] + b * y[k] + c * z[k] + e * w[k];
        }
    }
    for (int64_t j = 0; j < d; j++)
        for (int64_t k = 0; k <= j; k++) {
            double *at = g->covariance + j * d + k;
            *at /= (double)(n - 1);
            g->covariance[k * d + j] = *at;
        }
    for (int64_t j = 0; j < d; j++) g->covariance[j * d + j] += ridge;
}

/* |m1 - m2|^2 + Tr S1 + Tr S2 - 2 Tr (S1 S2)^(1/2); never below 0, which rounding could give. */
static gm_status distance(gaussian *a, gaussian *b, int64_t d, double *scratch, double *out)
{
    double sum = 0, root;
    for (int64_t j = 0; j < d; j++) {
        double away = a->mean[j] - b->mean[j];
        sum += away * away + a->covariance[j * d + j] + b->covariance[j * d + j];
    }
    gm_status status = gm_trace_sqrt_product(a->covariance, b->covariance, d, scratch, &root);
    *out = fmax(0, sum - 2 * root);
    return status;
}

static gm_status check(gm_context *ctx, const gm_table *tables, double ridge)
{
    char line[256];
    if (!(ridge >= 0) || isinf(ridge))
        return gm_model_fail(ctx, GM_E_INVALID, "frechet: ridge is %g, expected at least 0", ridge);
    for (int i = 0; i < 2; i++)
        if (tables[i].rows < 2)
            return gm_model_fail(ctx, GM_E_INVALID,
                                 "frechet: %s has 1 row, expected at least 2 for a covariance",
                                 tables[i].name);
    for (int i = 0; i < 2; i++)
        if (tables[i].rows <= tables[i].width && ridge == 0) {
            (void)snprintf(
                line, sizeof line,
                "frechet: %s has %lld rows of %lld values; its covariance is singular, and "
                "the distance comes out far too large",
                tables[i].name, (long long)tables[i].rows, (long long)tables[i].width);
            gm_context_log(ctx, GM_LOG_WARNING, line);
        }
    return GM_OK;
}

gm_status gm_frechet_distance(gm_result *out, gm_context *ctx, const gm_rows *samples,
                              const gm_rows *data, double ridge)
{
    if (!ctx) return GM_E_INVALID;
    gm_table tables[2];
    gm_result r = GM_RESULT_INIT;
    gaussian g[2];
    double *block = NULL;
    size_t bytes = 0;
    gm_status status;
    GM_TRY(gm_result_check(ctx, "frechet", out));
    GM_TRY(gm_table_pair(ctx, "frechet", samples, data, tables));
    GM_TRY(check(ctx, tables, ridge));
    int64_t d = tables[0].width;
    if (d <= 1 << 24) bytes = (size_t)(3 * d * d + (2 + 3 + BLOCK) * d) * sizeof *block;
    block = gm_context_allocate(ctx, bytes);
    if (!block)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "frechet: no memory for covariances of %lld values",
                             (long long)d));
    double *scratch = block + (2 + BLOCK) * d + 2 * d * d;
    for (int i = 0; i < 2; i++) {
        g[i].mean = block + i * d;
        g[i].covariance = block + (2 + BLOCK) * d + i * d * d;
        fit(&tables[i], ridge, block + 2 * d, &g[i]);
    }
    if (distance(&g[0], &g[1], d, scratch, &r.value))
        GM_TRY(gm_model_fail(ctx, GM_E_NUMERIC,
                             "frechet: the eigenvalues of the covariances cannot be computed: are "
                             "the features very large?"));
    r.standard_error = (double)NAN;
    r.samples = tables[0].rows;
    r.rows = tables[1].rows;
    r.protocol = "frechet";
    gm_result_give(out, &r);
out:
    gm_context_free(ctx, block, bytes);
    return status;
}
