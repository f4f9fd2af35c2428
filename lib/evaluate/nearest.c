/* nearest.c - how near samples come to rows of the data, and how far they are from each other. */
#include <math.h>

#include "evaluate/distances.h"
#include "gm/sample_quality.h"

static void give_nearest(const gm_table *tables, const gm_nearest_options *o, const double *squared,
                         double *distance, gm_result *out, gm_result *duplicates)
{
    gm_result r = GM_RESULT_INIT, c = GM_RESULT_INIT;
    int64_t n = tables[0].rows, found = 0;
    for (int64_t i = 0; i < n; i++) {
        distance[i] = sqrt(squared[i]);
        found += distance[i] <= o->threshold;
    }
    gm_result_mean(&r, distance, n);
    r.samples = c.samples = n;
    r.rows = c.rows = tables[1].rows;
    r.protocol = "nearest";
    c.protocol = "duplicates";
    c.value = (double)found / (double)n;
    c.standard_error = n > 1 ? sqrt(c.value * (1 - c.value) / (double)(n - 1)) : (double)NAN;
    c.k = found;
    if (out) gm_result_give(out, &r);
    if (duplicates) gm_result_give(duplicates, &c);
}

gm_status gm_nearest_data(gm_result *distance, gm_result *duplicates, gm_context *ctx,
                          const gm_rows *samples, const gm_rows *data,
                          const gm_nearest_options *options)
{
    if (!ctx) return GM_E_INVALID;
    gm_nearest_options o = GM_NEAREST_OPTIONS_INIT;
    gm_distances d = { 0 };
    gm_table tables[2];
    double *squared = NULL;
    size_t bytes = 0;
    gm_counter counter = { ctx, "nearest", "rows", NULL, NULL, 0, 0 };
    gm_status status;
    if (distance || !duplicates) GM_TRY(gm_result_check(ctx, "nearest", distance));
    if (duplicates) GM_TRY(gm_result_check(ctx, "nearest", duplicates));
    GM_TRY(gm_options_read(ctx, "nearest", &o, sizeof o, options));
    if (!(o.threshold >= 0))
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "nearest: threshold is %g, expected at least 0",
                             o.threshold));
    GM_TRY(gm_table_pair(ctx, "nearest", samples, data, tables));
    counter.on_progress = o.on_progress;
    counter.user = o.user;
    counter.total = tables[0].rows;
    bytes = (size_t)tables[0].rows * sizeof *squared;
    squared = gm_context_allocate(ctx, bytes);
    if (!squared)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "nearest: no memory for %lld rows",
                             (long long)tables[0].rows));
    GM_TRY(gm_distances_open(&d, ctx, "nearest", &tables[0], &tables[1]));
    GM_TRY(gm_neighbours(&d, 1, 0, squared, o.index, &counter));
    give_nearest(tables, &o, squared, o.distance ? o.distance : squared, distance, duplicates);
out:
    gm_distances_close(&d);
    gm_context_free(ctx, squared, bytes);
    return status;
}

/* The mean distance between two rows of a set, and its error: each row's mean distance to the
 * others, twice its deviation over sqrt n (Hoeffding 1948). */
static gm_status mean_distance(gm_context *ctx, const gm_table *set, gm_counter *counter,
                               double *mean, double *error)
{
    gm_distances d = { 0 };
    const float *product;
    gm_status status;
    double squares = 0, n = (double)set->rows;
    *mean = 0;
    GM_TRY(gm_distances_open(&d, ctx, "diversity", set, set));
    for (int64_t first = 0; first < set->rows; first += d.tile) {
        int64_t left = set->rows - first, rows = left < d.tile ? left : d.tile;
        GM_TRY(gm_distances_rows(&d, first, rows));
        double sums[GM_DISTANCES_TILE] = { 0 };
        for (int64_t begin = 0; begin < set->rows; begin += d.tile) {
            int64_t rest = set->rows - begin, m = rest < d.tile ? rest : d.tile;
            GM_TRY(gm_distances_columns(&d, begin, m, &product));
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < m; j++)
                    if (first + i != begin + j)
                        sums[i] += sqrt(gm_distances_squared(&d, i, j, product[i * m + j]));
        }
        for (int64_t i = 0; i < rows; i++) {
            double own = sums[i] / (n - 1), away = own - *mean;
            *mean += away / (double)(first + i + 1);
            squares += away * (own - *mean);
        }
        GM_TRY(gm_counter_add(counter, rows));
    }
    *error = 2 * sqrt(squares / (n - 1) / n);
out:
    gm_distances_close(&d);
    return status;
}

gm_status gm_diversity(gm_result *out, gm_context *ctx, const gm_rows *samples, const gm_rows *data,
                       const gm_diversity_options *options)
{
    if (!ctx) return GM_E_INVALID;
    gm_table tables[2];
    gm_result r = GM_RESULT_INIT;
    gm_diversity_options o = GM_DIVERSITY_OPTIONS_INIT;
    gm_counter counter = { ctx, "diversity", "rows", NULL, NULL, 0, 0 };
    double mean[2], error[2];
    gm_status status;
    GM_TRY(gm_result_check(ctx, "diversity", out));
    GM_TRY(gm_options_read(ctx, "diversity", &o, sizeof o, options));
    GM_TRY(gm_table_pair(ctx, "diversity", samples, data, tables));
    for (int i = 0; i < 2; i++)
        if (tables[i].rows < 2)
            GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "diversity: %s has 1 row, expected at least 2",
                                 tables[i].name));
    counter.on_progress = o.on_progress;
    counter.user = o.user;
    counter.total = tables[0].rows + tables[1].rows;
    for (int i = 0; i < 2; i++)
        GM_TRY(mean_distance(ctx, &tables[i], &counter, &mean[i], &error[i]));
    if (!(mean[1] > 0))
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "diversity: all data rows are equal"));
    r.value = mean[0] / mean[1];
    r.standard_error = hypot(error[0], r.value * error[1]) / mean[1];
    r.samples = tables[0].rows;
    r.rows = tables[1].rows;
    r.protocol = "diversity";
    gm_result_give(out, &r);
out:
    return status;
}
