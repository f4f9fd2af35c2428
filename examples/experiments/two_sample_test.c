/* two_sample_test.c - could two files of numbers be samples of one distribution?
 *
 *     two_sample_test before.csv after.csv
 *
 * Columns are standardised first, by the mean and deviation over both files together, so that none
 * counts for more because its unit is smaller; --no-standardise takes the values as they are.
 *
 * Each file is CSV (one row a line) or IDX (as MNIST's, plain or gz; a row is what follows the
 * first axis). The kernel is a Gaussian, its bandwidth the median of all distances unless
 * --bandwidth gives it. Prints MMD^2 and the p-value of a permutation test (Gretton et al. 2012),
 * the moments of each column side by side where there are few, and draws permutations.png: what
 * MMD^2 is when the rows change sides by chance, with what was observed.
 */
#define _POSIX_C_SOURCE 200809L

#include "common/csv.h"
#include "common/json.h"
#include "common/message.h"
#include "common/plot.h"
#include "common/progress.h"
#include "common/run.h"
#include "common/stop.h"

#include "gm/gm.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BINS 40
#define SHOWN 8 /* columns whose moments are printed */

/* A sample out of either sort of file. */
struct sample {
    struct csv csv;
    gm_tensor *tensor;
    const float *values; /* of one of these, or of the next */
    float *standard;     /* standardised; NULL: not */
    int64_t rows, size;
};

/* gzip, or the two zeros that IDX begins with; no text has either. */
static int is_idx(FILE *f)
{
    unsigned char head[2] = { 1, 1 };
    const size_t got = fread(head, 1, 2, f);
    return got == 2 && ((head[0] == 0x1f && head[1] == 0x8b) || (head[0] == 0 && head[1] == 0));
}

/* 0, or 2 (reported). */
static int read_idx(struct sample *s, gm_context *ctx, const char *path, int64_t limit)
{
    gm_dataset *data = NULL;
    int64_t rows = 0;
    gm_status status = gm_dataset_open_idx(&data, ctx, path);
    if (!status) {
        rows = gm_dataset_rows(data);
        if (limit > 0 && limit < rows) rows = limit;
        status = gm_dataset_read_tensor(&s->tensor, data, 0, rows, 0);
    }
    gm_dataset_release(data);
    if (status) {
        message("%s: %s", gm_status_name(status), gm_context_error(ctx));
        return 2;
    }
    s->values = gm_tensor_read(s->tensor);
    s->rows = rows;
    s->size = gm_tensor_count(s->tensor) / rows;
    return 0;
}

static int read_sample(struct sample *s, gm_context *ctx, const char *path, int header,
                       int64_t limit)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        message("cannot open '%s': %s", path, strerror(errno));
        return 2;
    }
    const int idx = is_idx(f);
    fclose(f);
    if (idx) return read_idx(s, ctx, path, limit);
    if (csv_read(&s->csv, path, header, limit) != 0) return 2;
    s->values = s->csv.values;
    s->rows = s->csv.rows;
    s->size = s->csv.columns;
    return 0;
}

/* Both samples on one scale for each column, in arrays of their own. */
static gm_status standardise(gm_context *context, struct sample *x, struct sample *y)
{
    struct sample *const both[2] = { x, y };
    for (int i = 0; i < 2; i++) {
        both[i]->standard = malloc((size_t)(both[i]->rows * both[i]->size) * sizeof(float));
        if (both[i]->standard == NULL)
            return gm_context_fail(context, GM_E_NOMEM, "no memory for standardised rows");
    }
    const gm_status s =
        gm_standardise(context, &(gm_rows){ x->values, x->rows, x->size },
                       &(gm_rows){ y->values, y->rows, y->size }, x->standard, y->standard);
    x->values = x->standard;
    y->values = y->standard;
    return s;
}

static void sample_free(struct sample *s)
{
    gm_tensor_release(s->tensor);
    csv_free(&s->csv);
    free(s->standard);
}

static void show_moments(gm_context *ctx, const struct sample *x, const struct sample *y)
{
    gm_column_moments m[SHOWN];
    if (x->size > SHOWN || gm_moments(ctx, &(gm_rows){ x->values, x->rows, x->size },
                                      &(gm_rows){ y->values, y->rows, y->size }, m) != GM_OK)
        return;
    message("column       mean          variance      skewness      kurtosis, of x and of y");
    for (int64_t c = 0; c < x->size; c++)
        message("%-6lld %9.4g %9.4g %7.3g %7.3g %7.3f %7.3f %7.3f %7.3f", (long long)c + 1,
                m[c].mean[0], m[c].mean[1], m[c].variance[0], m[c].variance[1], m[c].skewness[0],
                m[c].skewness[1], m[c].kurtosis[0], m[c].kurtosis[1]);
}

/* The permuted statistics as a histogram, the observed one as a line. */
static int draw(const char *path, const double *statistics, int64_t count, double observed,
                double p_value)
{
    double low = statistics[0], high = statistics[0], most = 0;
    double x[2 * BINS + 2], y[2 * BINS + 2], line_x[2], line_y[2];
    int64_t bins[BINS] = { 0 };
    char title[96];
    for (int64_t i = 1; i < count; i++) {
        low = fmin(low, statistics[i]);
        high = fmax(high, statistics[i]);
    }
    const double width = high > low ? (high - low) / BINS : 1;
    for (int64_t i = 0; i < count; i++) {
        const int bin = (int)((statistics[i] - low) / width);
        bins[bin < BINS ? bin : BINS - 1]++;
    }
    x[0] = low;
    y[0] = 0;
    for (int i = 0; i < BINS; i++) {
        x[2 * i + 1] = low + i * width;
        x[2 * i + 2] = low + (i + 1) * width;
        y[2 * i + 1] = y[2 * i + 2] = (double)bins[i];
        most = fmax(most, (double)bins[i]);
    }
    x[2 * BINS + 1] = low + BINS * width;
    y[2 * BINS + 1] = 0;
    line_x[0] = line_x[1] = observed;
    line_y[0] = 0;
    line_y[1] = most;
    const struct plot_series series[] = {
        { .label = "permuted rows", .x = x, .y = y, .count = 2 * BINS + 2 },
        { .label = "observed", .x = line_x, .y = line_y, .count = 2 },
    };
    snprintf(title, sizeof title, "MMD\xC2\xB2 of %lld permutations, p = %.4g", (long long)count,
             p_value);
    const struct plot plot = { .title = title,
                               .x_label = "MMD\xC2\xB2, unbiased",
                               .panels = 1,
                               .panel = { { .y_label = "permutations" } },
                               .series = series,
                               .series_count = 2 };
    return plot_write(path, &plot);
}

static int32_t on_progress(void *user, int64_t done, int64_t total)
{
    progress_step(user, 1, done, total, NAN);
    return stop_requested();
}

int main(int argc, char **argv)
{
    struct run r;
    struct progress progress;
    struct sample x = { 0 }, y = { 0 };
    struct json j;
    gm_mmd_kernel *kernel = NULL;
    gm_two_sample_options settings = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result found = GM_TWO_SAMPLE_RESULT_INIT;
    char path[OPTIONS_PATH_SIZE];
    double bandwidth = 0, *statistics = NULL;
    int header = 0, linear = 0, raw = 0;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_FLAG("header", &header, "the first line of a CSV file is not data"),
        OPTION_INT("permutations", &settings.permutations, 1, 1000000, "to compare with"),
        OPTION_REAL("bandwidth", &bandwidth, 0, 1e18, "of the Gaussian; 0: the median distance"),
        OPTION_FLAG(
            "no-standardise", &raw,
            "take the values as they are; else each column is less its mean and divided by its "
            "deviation, both over the two files together"),
        OPTION_FLAG("linear", &linear, "the linear-time test, for very many rows; no plot"),
    };

    options_init(&r.options, "two_sample_test",
                 "Tests whether two files of numbers can be samples of one distribution.");
    r.options.no_training = 1;
    r.options.operand_name = "FILE";
    r.options.operand_most = 2;
    int status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    const struct options *o = &r.options;
    status = 2;
    if (o->operand_count != 2) {
        message("name two files, CSV or IDX; see --help");
        goto out;
    }
    const char *x_path = o->operands[0], *y_path = o->operands[1];
    if (read_sample(&x, r.context, x_path, header, o->limit) != 0) goto out;
    if (read_sample(&y, r.context, y_path, header, o->limit) != 0) goto out;
    if (x.size != y.size) {
        message("rows of '%s' have %lld values, those of '%s' %lld", x_path, (long long)x.size,
                y_path, (long long)y.size);
        goto out;
    }
    status = 1;
    if (!o->quiet) show_moments(r.context, &x, &y);
    if (!raw && (s = standardise(r.context, &x, &y))) goto out;
    if ((statistics = malloc((size_t)settings.permutations * sizeof *statistics)) == NULL) {
        message("no memory for %lld permutations", (long long)settings.permutations);
        goto out;
    }
    status = 0;
    if (bandwidth == 0 &&
        (s = gm_median_bandwidth(&bandwidth, r.context, &(gm_rows){ x.values, x.rows, x.size },
                                 &(gm_rows){ y.values, y.rows, y.size }, (uint64_t)o->seed)))
        goto out;
    if ((s = gm_mmd_kernel_create(&kernel, r.context))) goto out;
    if ((s = gm_mmd_kernel_add_gaussian(kernel, 1, bandwidth))) goto out;
    settings.method = linear ? GM_TWO_SAMPLE_LINEAR : GM_TWO_SAMPLE_PERMUTATION;
    settings.seed = (uint64_t)o->seed;
    settings.statistics = statistics;
    settings.on_progress = on_progress;
    settings.user = &progress;
    progress_begin(&progress, 1, o->quiet || linear);
    s = gm_two_sample_test(&found, kernel, &(gm_rows){ x.values, x.rows, x.size },
                           &(gm_rows){ y.values, y.rows, y.size }, &settings);
    progress_end(&progress);
    if (s == GM_E_CANCELLED) { /* half a kernel matrix says nothing */
        json_begin(&j, NULL, NULL);
        json_flag(&j, "stopped", 1);
        json_number(&j, "seconds", run_seconds(&r));
        if (json_end(&j)) status = 1;
    }
    if (s) goto out;
    if (!o->quiet) {
        message("MMD^2 %.6g, with one distribution 0 +- %.2g; p = %.4g", found.mmd2,
                found.standard_error, found.p_value);
    }
    if (!linear && draw(options_out_path(o, "permutations.png", path), statistics,
                        found.permutations, found.mmd2, found.p_value) != 0)
        status = 1;

    json_begin(&j, NULL, NULL);
    json_text(&j, "x", x_path);
    json_text(&j, "y", y_path);
    json_text(&j, "protocol", found.protocol);
    json_number(&j, "mmd2", found.mmd2);
    json_number(&j, "standard_error", found.standard_error);
    json_number(&j, "p_value", found.p_value);
    json_number(&j, "bandwidth", bandwidth);
    json_flag(&j, "standardised", !raw);
    json_whole(&j, "x_rows", x.rows);
    json_whole(&j, "y_rows", y.rows);
    json_whole(&j, "columns", x.size);
    json_whole(&j, "permutations", found.permutations);
    json_whole(&j, "seed", o->seed);
    json_number(&j, "seconds", run_seconds(&r));
    if (json_end(&j)) status = 1;
out:
    free(statistics);
    gm_mmd_kernel_release(kernel);
    sample_free(&x);
    sample_free(&y);
    return run_end(&r, s, status);
}
