/* density.c - training, pictures and the likelihood of test rows, for models that have one. */
#include "density.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_grid.h"
#include "mean.h"
#include "message.h"
#include "plot.h"
#include "stop.h"
#include "training.h"

#define POINTS 20 /* of the loss curve, for each epoch */
#define GROUP 500 /* rows scored at a time */
#define SHOWN 100 /* samples in a grid of pictures */
#define COLUMNS 10
#define LINES 60 /* samples that are lines of a picture */

/* --- Curves. */

static int widen(double **curve, int room)
{
    double *wider = realloc(*curve, (size_t)room * sizeof *wider);
    if (wider) *curve = wider;
    return wider != NULL;
}

static int begin_curves(struct density *d, int64_t epochs)
{
    d->before = d->epochs;
    d->best_epoch = d->seen = 0;
    d->sum = 0;
    d->epoch_room = d->before + (int)epochs;
    d->room = d->epoch_room * POINTS;
    return widen(&d->x, d->room) && widen(&d->loss, d->room) && widen(&d->epoch, d->epoch_room) &&
           widen(&d->check, d->epoch_room);
}

/* A point is the mean since the point before. */
static void add_point(struct density *d, const gm_fit_report *p, double loss)
{
    const double in_curves = d->before + (double)p->epoch + (double)p->row / (double)p->rows;
    if (p->row < d->seen) d->seen = 0, d->sum = 0; /* a new epoch */
    if (in_curves < (double)(d->count + 1) / POINTS || d->count >= d->room) return;
    const double sum = loss * (double)p->row;
    d->x[d->count] = (double)d->resumed + in_curves;
    d->loss[d->count++] = (sum - d->sum) / (double)(p->row - d->seen);
    d->sum = sum;
    d->seen = p->row;
}

static int32_t on_report(void *user, const gm_fit_report *p)
{
    struct density *d = user;
    const double loss = training_metric(p->metrics, p->metric_count, "loss");
    if (p->epoch_end) {
        const double check = training_metric(p->validation, p->validation_count, "loss");
        const int64_t epoch = d->resumed + d->before + p->epoch + 1;
        progress_epoch(&d->progress, epoch, loss, check);
        if (d->epochs < d->epoch_room) {
            d->epoch[d->epochs] = (double)epoch;
            d->check[d->epochs++] = check;
            if (!d->best_epoch || check < d->best) d->best_epoch = epoch, d->best = check;
        }
    } else {
        progress_step(&d->progress, d->resumed + d->before + p->epoch + 1, p->row, p->rows, loss);
        add_point(d, p, loss);
    }
    return stop_requested();
}

static void draw_curves(const struct density *d)
{
    char path[OPTIONS_PATH_SIZE];
    const struct plot_series series[] = {
        { .label = "training rows", .x = d->x, .y = d->loss, .count = d->count },
        { .label = "validation rows",
          .x = d->epoch,
          .y = d->check,
          .count = d->epochs,
          .dashed = 1 },
    };
    const struct plot plot = {
        .title = d->title,
        .x_label = "epoch",
        .panels = 1,
        .panel = { { .y_label =
                         d->measure ? d->measure : "negative log-likelihood, nats per row" } },
        .series = series,
        .series_count = 2
    };
    plot_write(options_out_path(&d->run->options, "loss.png", path), &plot);
}

/* --- Pictures. */

void density_to_grey(const struct density *d, float *values, int64_t count)
{
    for (int64_t i = 0; d->classes > 2 && i < count * d->width; i++)
        values[i] /= (float)(d->classes - 1);
}

/* Data in the left half and samples in the right one, each row a line. */
static void draw_lines(const struct density *d, const char *path, const float *samples,
                       const float *data, int64_t count, const char *title)
{
    static const char *const names[2] = { "data", "samples" };
    const int64_t size = count * d->width;
    float *both = malloc(2 * (size_t)size * sizeof *both);
    if (!both) return;
    memcpy(both, data, (size_t)size * sizeof *both);
    memcpy(both + size, samples, (size_t)size * sizeof *both);
    const struct image_grid grid = { .images = both,
                                     .count = 2,
                                     .channels = 1,
                                     .height = (int)count,
                                     .width = (int)d->width,
                                     .columns = 2,
                                     .title = title,
                                     .column_labels = names };
    image_grid_draw(path, &grid);
    free(both);
}

/* The same draws each time, so that both grids show what training changed. A conditional model
 * fills each column with one class. */
static gm_status draw_samples(struct density *d, gm_model *model, const char *file,
                              const char *title)
{
    static const char *const digits[COLUMNS] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
    const struct options *o = &d->run->options;
    const int64_t classes = gm_model_labels(model), rows = gm_dataset_rows(d->train);
    int64_t count = d->height > 1 ? SHOWN : rows < LINES ? rows : LINES, label[SHOWN];
    char path[OPTIONS_PATH_SIZE];
    gm_tensor *images = NULL, *data = NULL;
    gm_status s = GM_OK;
    if (!gm_model_supports(model, GM_VERB_SAMPLE)) return GM_OK;
    for (int64_t i = 0; i < count; i++) label[i] = i % COLUMNS % (classes ? classes : 1);
    if (classes && (s = gm_model_set_labels(model, label, count))) return s;
    gm_model_seed(model, (uint64_t)o->seed);
    if ((s = gm_model_sample(&images, model, count))) goto out;
    density_to_grey(d, gm_tensor_data(images), count);
    options_out_path(o, file, path);
    if (d->height > 1) {
        const struct image_grid grid = { .images = gm_tensor_read(images),
                                         .count = (int)count,
                                         .channels = 1,
                                         .height = (int)d->height,
                                         .width = (int)d->across,
                                         .columns = COLUMNS,
                                         .title = title,
                                         .column_labels = classes == COLUMNS ? digits : NULL };
        image_grid_draw(path, &grid);
    } else {
        if ((s = gm_dataset_read_tensor(&data, d->train, 0, count, 0))) goto out;
        density_to_grey(d, gm_tensor_data(data), count);
        draw_lines(d, path, gm_tensor_read(images), gm_tensor_read(data), count, title);
    }
out:
    gm_tensor_release(data);
    gm_tensor_release(images);
    return s;
}

/* --- Training. */

gm_status density_adam(gm_optimizer **out, const struct density *d, double rate, double last,
                       double weight_decay)
{
    const struct options *o = &d->run->options;
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_schedule fall = GM_SCHEDULE_INIT;
    adam.rate = rate;
    adam.weight_decay = weight_decay;
    fall.kind = GM_SCHEDULE_LINEAR;
    fall.period = o->epochs * ((gm_dataset_rows(d->train) + o->batch - 1) / o->batch);
    fall.floor = last;
    const gm_status s = gm_adam_create(out, d->run->context, &adam);
    return s ? s : gm_optimizer_set_schedule(*out, &fall);
}

gm_status density_train(struct density *d, gm_model *model, int *status)
{
    const struct options *o = &d->run->options;
    char path[OPTIONS_PATH_SIZE];
    gm_dataset *valid = NULL;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    const int64_t rows = gm_dataset_rows(d->valid);
    const int64_t used = d->valid_rows && d->valid_rows < rows ? d->valid_rows : rows;
    gm_status s = gm_dataset_range(&valid, d->valid, 0, used);
    if (s) goto out;
    const int64_t left = training_epochs_left(d->run, model, d->earlier);
    if (!d->epochs) d->resumed = gm_model_epochs(model);
    if (!d->epochs && !d->resumed &&
        (s = draw_samples(d, model, "samples_first.png", "Samples before training")))
        goto out;
    progress_begin(&d->progress, d->resumed + d->epochs + left, o->quiet);
    if (!begin_curves(d, left)) {
        s = GM_E_NOMEM;
        goto out;
    }
    fit.batch = o->batch;
    fit.validation = valid;
    fit.patience = d->patience;
    fit.on_report = on_report;
    fit.user = d;
    s = training_fit(d->run, model, d->train, &fit, d->earlier);
    progress_end(&d->progress);
    d->speed = progress_rate(&d->progress);
    d->stopped = s == GM_E_CANCELLED;
    if (s == GM_E_NUMERIC)
        run_failed(d->run, s), *status = 1; /* the last good weights are still worth keeping */
    else if (s && !d->stopped)
        goto out;
    if ((s = gm_model_save(model, options_out_path(o, "model.safetensors", path)))) goto out;
    if ((s = draw_samples(d, model, d->samples ? d->samples : "samples_last.png",
                          "Samples after training")))
        goto out;
    draw_curves(d);
out:
    gm_dataset_release(valid);
    return s;
}

/* --- Scores. */

static int32_t on_rows(void *user, int64_t done, int64_t total)
{
    (void)user, (void)done, (void)total;
    return stop_requested();
}

static gm_status score_group(gm_model *model, gm_dataset *data, int64_t begin, int64_t count,
                             double *out)
{
    gm_tensor *rows = NULL;
    int64_t index[GROUP], label[GROUP];
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    gm_status s = GM_OK;
    how.on_progress = on_rows; /* a group of estimates may take a minute */
    if (gm_model_labels(model)) {
        for (int64_t i = 0; i < count; i++) index[i] = begin + i;
        if ((s = gm_dataset_read_labels(data, index, count, label))) return s;
        if ((s = gm_model_set_labels(model, label, count))) return s;
    }
    if ((s = gm_dataset_read_tensor(&rows, data, begin, count, 0))) return s;
    s = gm_model_log_prob_estimate(NULL, model, gm_tensor_read(rows), count, &how, out, NULL);
    gm_tensor_release(rows);
    return s;
}

gm_status density_score(struct density *d, gm_model *model, gm_dataset *data, int64_t count,
                        const char *what, double *out, double *nll, double *error)
{
    double group[GROUP];
    struct mean mean = { 0 };
    struct progress p;
    gm_status s = GM_OK;
    if (!d->run->options.quiet) message("log p(x) of %lld %s", (long long)count, what);
    progress_begin(&p, 1, d->run->options.quiet);
    for (int64_t at = 0, n; !s && at < count; at += n) {
        n = count - at < GROUP ? count - at : GROUP;
        if (stop_requested()) s = GM_E_CANCELLED;
        if (!s) s = score_group(model, data, at, n, group);
        for (int64_t i = 0; !s && i < n; i++) mean_add(&mean, group[i]);
        if (!s && out) memcpy(out + at, group, (size_t)n * sizeof *out);
        if (!s) progress_step(&p, 1, at + n, count, -mean.value);
    }
    progress_end(&p);
    *nll = -mean.value;
    *error = mean_error(&mean);
    return s;
}

void density_json_data(const struct density *d, struct json *json)
{
    json_data(json, d->path[0] ? d->path : NULL, gm_dataset_rows(d->train),
              gm_dataset_rows(d->valid), gm_dataset_rows(d->test));
}

gm_status density_report(struct density *d, gm_model *model, struct json *json, const char *family)
{
    double valid = NAN, valid_error = NAN, test = NAN, test_error = NAN;
    const int64_t rows = gm_dataset_rows(d->valid);
    const int64_t used = d->valid_rows && d->valid_rows < rows ? d->valid_rows : rows;
    gm_status s = GM_OK;
    if (!d->stopped)
        s = density_score(d, model, d->valid, used, "validation rows", NULL, &valid, &valid_error);
    if (!s && !d->stopped)
        s = density_score(d, model, d->test, gm_dataset_rows(d->test), "test rows", NULL, &test,
                          &test_error);
    if (s == GM_E_CANCELLED)
        d->stopped = 1, test = test_error = NAN;
    else if (s)
        return s;
    json_begin(json, family, d->name);
    density_json_data(d, json);
    json_whole(json, "epochs", gm_model_epochs(model));
    json_whole(json, "best_epoch", d->best_epoch);
    json_number(json, "samples_per_second", d->speed);
    json_number(json, "seconds", run_seconds(d->run));
    if (d->stopped) json_flag(json, "stopped", 1);
    json_number(json, "test_nll", test);
    json_number(json, "test_nll_error", test_error);
    json_number(json, "valid_nll", valid);
    json_whole(json, "parameters", gm_params_elements(gm_model_params(model)));
    return GM_OK;
}

void density_close(struct density *d)
{
    gm_dataset **const data[] = { &d->train, &d->valid, &d->test };
    double **const curves[] = { &d->x, &d->loss, &d->epoch, &d->check };
    for (int i = 0; i < 3; i++) gm_dataset_release(*data[i]), *data[i] = NULL;
    for (int i = 0; i < 4; i++) free(*curves[i]), *curves[i] = NULL;
}
