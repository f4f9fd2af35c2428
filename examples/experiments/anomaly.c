/* anomaly.c - can a likelihood recognise foreign pictures? (docs/modules/anomaly.md)
 *
 *     anomaly --held-out 3                  trains on nine digits and scores the tenth
 *     anomaly --other data/fashion-mnist    trains on all digits and scores pictures of clothes,
 *                                           made bits in the same way
 *     anomaly --model FILE --other DIR      asks a saved model instead of fitting one
 *
 * Scores are log p(x), calibrated on the validation digits. Writes roc.png, log_probs.png (how the
 * two kinds' log-likelihoods are spread) and extremes.png (the least and the most likely pictures
 * of both).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gm/gm.h>

#include "common/density.h"
#include "common/density_model.h"
#include "common/image_grid.h"
#include "common/message.h"
#include "common/plot.h"

#define SHOWN 12    /* pictures in a line of extremes.png */
#define BINS 80     /* of log_probs.png */
#define ALARMS 0.01 /* the rate of false alarms that the threshold is for */

/* One kind of test rows and their scores. */
struct kind {
    gm_dataset *rows; /* retained */
    int64_t count;
    double *log_prob, *quantile, *both; /* both: two-sided quantiles */
};

/* --- Data. */

/* The rows whose label is `label`, or (others) is not. */
static gm_status choose(gm_dataset **out, gm_dataset *data, int64_t label, int others)
{
    const int64_t rows = gm_dataset_rows(data);
    int64_t *index = malloc(2 * (size_t)rows * sizeof *index), *labels = index + rows, count = 0;
    if (!index) return GM_E_NOMEM;
    for (int64_t i = 0; i < rows; i++) index[i] = i;
    gm_status s = gm_dataset_read_labels(data, index, rows, labels);
    for (int64_t i = 0; !s && i < rows; i++)
        if ((labels[i] == label) != others) index[count++] = i;
    if (!s) s = gm_dataset_subset(out, data, index, count);
    free(index);
    return s;
}

/* Takes the digit out of all three parts; the test rows that have it become the unusual ones. */
static gm_status hold_out(struct density *d, int64_t digit, struct kind *unusual)
{
    gm_dataset **const parts[3] = { &d->train, &d->valid, &d->test };
    gm_status s = choose(&unusual->rows, d->test, digit, 0);
    for (int i = 0; !s && i < 3; i++) {
        gm_dataset *rest = NULL;
        if ((s = choose(&rest, *parts[i], digit, 1))) break;
        gm_dataset_release(*parts[i]);
        *parts[i] = rest;
    }
    if (d->run->options.batch > gm_dataset_rows(d->train))
        d->run->options.batch = gm_dataset_rows(d->train);
    return s;
}

/* Test rows of another folder, as bits in the same way. */
static int open_other(struct run *r, const char *folder, struct kind *unusual, char name[64])
{
    const int64_t batch = r->options.batch;
    struct density d = { .run = r, .folder = folder };
    const int status = density_open(&d);
    r->options.batch = batch; /* nothing is trained to these */
    if (status != OPTIONS_GO_ON) return status;
    gm_dataset_retain(unusual->rows = d.test);
    memcpy(name, d.name, sizeof d.name);
    density_close(&d);
    return OPTIONS_GO_ON;
}

/* --- Scores. */

static gm_status score_kind(struct density *d, gm_anomaly *score, struct kind *k, const char *what)
{
    double nll, error;
    k->count = gm_dataset_rows(k->rows);
    k->log_prob = calloc(3 * (size_t)k->count, sizeof *k->log_prob);
    if (!k->log_prob) return GM_E_NOMEM;
    k->quantile = k->log_prob + k->count;
    k->both = k->quantile + k->count;
    gm_status s = density_score(d, gm_anomaly_model(score), k->rows, k->count, what, k->log_prob,
                                &nll, &error);
    for (int64_t i = 0; !s && i < k->count; i++) {
        k->quantile[i] = gm_anomaly_quantile(score, k->log_prob[i]);
        k->both[i] = 2 * fmin(k->quantile[i], 1 - k->quantile[i]);
    }
    return s;
}

/* The part of a kind that the threshold flags. */
static double flagged(const struct kind *k, double threshold)
{
    int64_t count = 0;
    for (int64_t i = 0; i < k->count; i++) count += k->log_prob[i] < threshold;
    return (double)count / (double)k->count;
}

static double mean(const double *v, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += v[i];
    return sum / (double)count;
}

/* --- Pictures. */

static gm_status draw_roc(const struct run *r, const struct kind *usual, const struct kind *unusual,
                          double auc, const char *title)
{
    const size_t room = (size_t)(usual->count + unusual->count) + 1;
    char path[OPTIONS_PATH_SIZE], label[64];
    gm_roc_point *points = malloc(room * sizeof *points);
    double *x = malloc(2 * room * sizeof *x), *y = x + room;
    const double diagonal[2] = { 0, 1 };
    int64_t count = 0;
    gm_status s = points && x ? GM_OK : GM_E_NOMEM;
    if (!s)
        s = gm_roc(&count, r->context, usual->log_prob, usual->count, unusual->log_prob,
                   unusual->count, points);
    for (int64_t i = 0; i < count; i++) x[i] = points[i].false_alarms, y[i] = points[i].detected;
    snprintf(label, sizeof label, "log p(x), area %.4f", auc);
    const struct plot_series series[] = {
        { .label = label, .x = x, .y = y, .count = (int)count },
        { .label = "chance", .x = diagonal, .y = diagonal, .count = 2, .dashed = 1, .colour = 7 },
    };
    const struct plot plot = { .title = title,
                               .x_label = "usual rows flagged",
                               .panels = 1,
                               .panel = { { .y_label = "unusual rows flagged" } },
                               .series = series,
                               .series_count = 2 };
    if (!s) plot_write(options_out_path(&r->options, "roc.png", path), &plot);
    free(x);
    free(points);
    return s;
}

/* The share of a kind in each of BINS bins of log p. */
static void histogram(const struct kind *k, double low, double high, double *share)
{
    for (int i = 0; i < BINS; i++) share[i] = 0;
    for (int64_t i = 0; i < k->count; i++) {
        const double place = (k->log_prob[i] - low) / (high - low) * BINS;
        if (place >= 0 && place <= BINS)
            share[place < BINS ? (int)place : BINS - 1] += 1 / (double)k->count;
    }
}

static void draw_log_probs(const struct run *r, const struct kind *usual,
                           const struct kind *unusual, const char *title)
{
    double x[BINS], y[2][BINS], low = INFINITY, high = -INFINITY;
    char path[OPTIONS_PATH_SIZE];
    const struct kind *const kinds[2] = { usual, unusual };
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < kinds[k]->count; i++)
            if (isfinite(kinds[k]->log_prob[i])) {
                low = fmin(low, kinds[k]->log_prob[i]);
                high = fmax(high, kinds[k]->log_prob[i]);
            }
    if (!(high > low)) return;
    for (int i = 0; i < BINS; i++) x[i] = low + (i + 0.5) * (high - low) / BINS;
    for (int k = 0; k < 2; k++) histogram(kinds[k], low, high, y[k]);
    const struct plot_series series[] = {
        { .label = "usual rows", .x = x, .y = y[0], .count = BINS },
        { .label = "unusual rows", .x = x, .y = y[1], .count = BINS },
    };
    const struct plot plot = { .title = title,
                               .x_label = "log p(x), nats",
                               .panels = 1,
                               .panel = { { .y_label = "share of the rows in a bin" } },
                               .series = series,
                               .series_count = 2 };
    plot_write(options_out_path(&r->options, "log_probs.png", path), &plot);
}

/* The place of the SHOWN rows with the lowest (sign 1) or highest (sign -1) log p, from the most
 * extreme on. */
static void find_extremes(const struct kind *k, double sign, int64_t place[SHOWN])
{
    for (int n = 0; n < SHOWN; n++) {
        int64_t best = -1;
        for (int64_t i = 0; i < k->count; i++) {
            int taken = 0;
            for (int j = 0; j < n; j++) taken |= place[j] == i;
            if (!taken && (best < 0 || sign * k->log_prob[i] < sign * k->log_prob[best])) best = i;
        }
        place[n] = best;
    }
}

static gm_status draw_extremes(const struct density *d, const struct kind *usual,
                               const struct kind *unusual)
{
    static const char *const names[4] = { "usual, least likely", "usual, most likely",
                                          "unusual, least likely", "unusual, most likely" };
    const struct kind *const kinds[2] = { usual, unusual };
    char path[OPTIONS_PATH_SIZE];
    int64_t place[SHOWN];
    gm_status s = GM_OK;
    if (d->height == 1 || usual->count < SHOWN || unusual->count < SHOWN) return GM_OK;
    float *images = malloc(4 * SHOWN * (size_t)d->width * sizeof *images);
    if (!images) return GM_E_NOMEM;
    for (int row = 0; !s && row < 4; row++) {
        find_extremes(kinds[row / 2], row % 2 ? -1 : 1, place);
        s = gm_dataset_read(kinds[row / 2]->rows, place, SHOWN, 0, images + row * SHOWN * d->width);
    }
    density_to_grey(d, images, 4 * SHOWN);
    const struct image_grid grid = { .images = images,
                                     .count = 4 * SHOWN,
                                     .channels = 1,
                                     .height = (int)d->height,
                                     .width = (int)d->across,
                                     .columns = SHOWN,
                                     .title = "Extremes of log p(x)",
                                     .row_labels = names };
    if (!s) image_grid_draw(options_out_path(&d->run->options, "extremes.png", path), &grid);
    free(images);
    return s;
}

static void begin_report(struct json *j, const struct density *d, const gm_model *model,
                         const char *other, int64_t digit)
{
    json_begin(j, gm_model_family(model), d->name);
    density_json_data(d, j);
    if (other)
        json_text(j, "other", other);
    else
        json_whole(j, "held_out", digit);
    json_whole(j, "epochs", gm_model_epochs(model));
}

/* --- */

static gm_status report(struct density *d, gm_anomaly *score, const struct kind *usual,
                        const struct kind *unusual, const char *other, int64_t digit, int *status)
{
    gm_context *ctx = d->run->context;
    gm_result auc = GM_RESULT_INIT, both = GM_RESULT_INIT;
    char title[128];
    double threshold;
    struct json j;
    gm_status s;
    if ((s = gm_auc(&auc, ctx, usual->log_prob, usual->count, unusual->log_prob, unusual->count)))
        return s;
    if ((s = gm_auc(&both, ctx, usual->both, usual->count, unusual->both, unusual->count)))
        return s;
    if ((s = gm_anomaly_threshold(&threshold, score, ALARMS))) return s;
    if (other)
        snprintf(title, sizeof title, "%s (usual) against %s", d->name, other);
    else
        snprintf(title, sizeof title, "%s: nine digits (usual) against %lld", d->name,
                 (long long)digit);
    if ((s = draw_roc(d->run, usual, unusual, auc.value, title))) return s;
    draw_log_probs(d->run, usual, unusual, title);
    if ((s = draw_extremes(d, usual, unusual))) return s;
    begin_report(&j, d, gm_anomaly_model(score), other, digit);
    json_number(&j, "auc", auc.value);
    json_number(&j, "auc_error", auc.standard_error);
    json_number(&j, "auc_both_tails", both.value);
    json_number(&j, "false_alarms", flagged(usual, threshold));
    json_number(&j, "detected", flagged(unusual, threshold));
    json_number(&j, "threshold", threshold);
    json_number(&j, "usual_log_prob", mean(usual->log_prob, usual->count));
    json_number(&j, "unusual_log_prob", mean(unusual->log_prob, unusual->count));
    json_whole(&j, "usual_rows", usual->count);
    json_whole(&j, "unusual_rows", unusual->count);
    json_number(&j, "seconds", run_seconds(d->run));
    if (d->stopped) json_flag(&j, "stopped", 1);
    if (json_end(&j)) *status = 1;
    return GM_OK;
}

/* After Ctrl-C: scores of a part of the rows are no result, but that a model was trained is. */
static int report_stopped(const struct density *d, const gm_model *model, const char *other,
                          int64_t digit)
{
    struct json j;
    begin_report(&j, d, model, other, digit);
    json_number(&j, "seconds", run_seconds(d->run));
    json_flag(&j, "stopped", 1);
    return json_end(&j);
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "Likelihood of usual rows", DENSITY_DEFAULTS };
    struct density_model f = { DENSITY_MODEL_DEFAULTS };
    struct kind usual = { 0 }, unusual = { 0 };
    const char *other = NULL;
    char other_name[64] = "";
    int64_t digit = -1;
    gm_anomaly *score = NULL;
    gm_anomaly_options how = GM_ANOMALY_OPTIONS_INIT;
    gm_status s = GM_OK;
    char path[OPTIONS_PATH_SIZE];
    const struct option own[] = {
        OPTION_INT("held-out", &digit, -1, 9,
                   "digit to leave out and score; -1: 3, or none with --other"),
        OPTION_TEXT("other", &other, "DIR",
                    "score this folder's test pictures, made bits in the same way"),
        DENSITY_MODEL_OPTIONS(&f),
        DENSITY_OPTIONS(&d),
    };

    options_init(&r.options, "anomaly",
                 "Scores pictures of a kind that a model was not trained to.");
    r.options.defaults = density_model_defaults;
    int status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    if (other && digit >= 0) {
        message("either --held-out or --other, not both");
        return run_end(&r, GM_OK, 2);
    }
    if (!other && digit < 0) digit = 3;
    d.labels = !other;
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    if (other && (status = open_other(&r, other, &unusual, other_name)) != OPTIONS_GO_ON) goto out;
    status = 1;
    if (!other && (s = hold_out(&d, digit, &unusual))) goto out;
    gm_dataset_retain(usual.rows = d.test);
    if (gm_dataset_row_size(unusual.rows) != d.width) {
        message("rows of %s have %lld values, those of %s %lld", other,
                (long long)gm_dataset_row_size(unusual.rows), d.name, (long long)d.width);
        status = 2;
        goto out;
    }
    if ((status = density_model_open(&f, &d, &s)) != OPTIONS_GO_ON) goto out;
    status = 0;
    if (d.stopped) s = GM_E_CANCELLED;
    if (!s) s = gm_anomaly_create(&score, f.model, d.valid, &how);
    if (!s) s = gm_anomaly_save(score, options_out_path(&r.options, "anomaly.safetensors", path));
    if (!s) s = score_kind(&d, score, &usual, "usual rows");
    if (!s) s = score_kind(&d, score, &unusual, "unusual rows");
    if (!s) s = report(&d, score, &usual, &unusual, other ? other_name : NULL, digit, &status);
    if (s == GM_E_CANCELLED && report_stopped(&d, f.model, other ? other_name : NULL, digit))
        status = 1;
out:
    free(usual.log_prob);
    free(unusual.log_prob);
    gm_dataset_release(usual.rows);
    gm_dataset_release(unusual.rows);
    gm_anomaly_release(score);
    density_model_close(&f);
    density_close(&d);
    return run_end(&r, s, status);
}
