/* gan_training.c - training and report of the GAN programs. */
#include "gan_training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_grid.h"
#include "message.h"
#include "parzen.h"
#include "plot.h"
#include "stop.h"
#include "training.h"

#define SHOWN 100       /* samples in a grid */
#define CLASSIFIED 1000 /* samples that the classifier reads */
#define POINTS 20       /* of the curves, for each epoch */

static const char *const metric_names[GAN_TRAINING_CURVES] = { "loss", "discriminator_loss",
                                                               "d_data", "d_samples", "diversity" };

gm_status gan_training_adam(gm_optimizer **out, gm_context *ctx, double rate, double beta2)
{
    gm_adam_options o = GM_ADAM_OPTIONS_INIT;
    o.rate = rate;
    o.beta1 = 0.5;
    o.beta2 = beta2;
    return gm_adam_create(out, ctx, &o);
}

int gan_training_open(struct gan_training *a)
{
    return a->classifier ? classify_open(&a->reader, a->run->context, a->classifier)
                         : OPTIONS_GO_ON;
}

gm_status gan_training_rows(gm_dataset **out, const struct mnist *m)
{
    int64_t rows = gm_dataset_rows(m->train);
    return gm_dataset_range(out, m->train, 0, m->valid ? rows : rows - rows / 6);
}

int gan_training_resume(struct gan_training *a, gm_gan **gan, gm_status *s)
{
    gm_model *model = gm_gan_model(*gan);
    const int status = training_resume(&model, a->run, s);
    *gan = gm_gan_from_model(model);
    return status;
}

/* A point is the mean since the point before. */
static void add_point(struct gan_training *a, const gm_fit_report *p)
{
    double place = (double)p->epoch + (double)p->row / (double)p->rows;
    if (p->row < a->seen) a->seen = 0, memset(a->sums, 0, sizeof a->sums); /* a new epoch */
    if (place < (double)(a->count + 1) / POINTS || a->count >= a->room) return;
    a->x[a->count] = (double)a->resumed + place;
    for (int i = 0; i < GAN_TRAINING_CURVES; i++) {
        double sum = training_metric(p->metrics, p->metric_count, metric_names[i]) * (double)p->row;
        a->y[i][a->count] = (sum - a->sums[i]) / (double)(p->row - a->seen);
        a->sums[i] = sum;
    }
    a->seen = p->row;
    a->count++;
}

static int32_t on_report(void *user, const gm_fit_report *p)
{
    struct gan_training *a = user;
    double loss = training_metric(p->metrics, p->metric_count, "loss");
    if (p->epoch_end) {
        const int64_t epoch = a->resumed + p->epoch + 1;
        progress_epoch(&a->progress, epoch, loss, NAN);
        a->penalty_norm = training_metric(p->metrics, p->metric_count, "penalty_norm");
        if (a->on_epoch) a->on_epoch(a->user, epoch);
    } else {
        progress_step(&a->progress, a->resumed + p->epoch + 1, p->row, p->rows, loss);
        add_point(a, p);
    }
    return stop_requested();
}

gm_status gan_training_create(gm_gan **out, gm_context *ctx, struct gan_parts *parts,
                              gm_gan_options *o, gm_status s)
{
    o->generator_optimizer = parts->generator_optimizer;
    o->discriminator_optimizer = parts->discriminator_optimizer;
    if (!s) s = gm_gan_create(out, ctx, parts->generator, parts->discriminator, o);
    gm_optimizer_release(parts->discriminator_optimizer);
    gm_optimizer_release(parts->generator_optimizer);
    gm_layer_release(parts->discriminator);
    gm_generator_release(parts->generator);
    return s;
}

/* Samples in [0, 1], always of the same noise. */
static gm_status sample(struct gan_training *a, int64_t count, gm_tensor **out)
{
    const struct parzen p = { .seed = (uint64_t)a->run->options.seed, .symmetric = a->symmetric };
    return parzen_draw(out, gm_gan_model(a->gan), count, &p);
}

static gm_status draw(struct gan_training *a, const char *file, const char *title)
{
    char path[OPTIONS_PATH_SIZE];
    gm_tensor *images = NULL;
    gm_status s = sample(a, SHOWN, &images);
    if (!s)
        image_grid_write(options_out_path(&a->run->options, file, path), gm_tensor_read(images),
                         SHOWN, 1, 28, 28, 10, title);
    gm_tensor_release(images);
    return s;
}

static void draw_curves(const struct gan_training *a)
{
    char path[OPTIONS_PATH_SIZE];
    const struct plot_series series[] = {
        { .label = "generator's loss", .x = a->x, .y = a->y[0], .count = a->count },
        { .label = "discriminator's loss", .x = a->x, .y = a->y[1], .count = a->count },
        { .label = a->data_label, .x = a->x, .y = a->y[2], .count = a->count, .panel = 1 },
        { .label = a->samples_label, .x = a->x, .y = a->y[3], .count = a->count, .panel = 1 },
        { .label = "diversity",
          .x = a->x,
          .y = a->y[4],
          .count = a->count,
          .panel = 1,
          .dashed = 1 },
    };
    const struct plot plot = { .title = a->title,
                               .x_label = "epoch",
                               .panels = 2,
                               .panel = { { .y_label = "loss" },
                                          { .y_label = "D, and diversity" } },
                               .series = series,
                               .series_count = 5 };
    plot_write(options_out_path(&a->run->options, "loss.png", path), &plot);
}

static int begin_curves(struct gan_training *a, int64_t epochs)
{
    int ok = 1;
    a->room = (int)epochs * POINTS;
    a->x = calloc((size_t)a->room, sizeof(double));
    for (int i = 0; i < GAN_TRAINING_CURVES; i++) {
        a->y[i] = calloc((size_t)a->room, sizeof(double));
        ok = ok && a->y[i];
    }
    return ok && a->x;
}

gm_status gan_training_fit(struct gan_training *a, gm_gan *gan, gm_dataset *rows, int *status)
{
    const struct options *o = &a->run->options;
    char path[OPTIONS_PATH_SIZE];
    gm_model *model = gm_gan_model(gan);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_status s;
    a->gan = gan;
    if (!a->data_label) a->data_label = "D(x)", a->samples_label = "D(G(z))";
    a->resumed = gm_model_epochs(model);
    const int64_t left = training_epochs_left(a->run, model, 0);
    if (!a->resumed && (s = draw(a, "samples_first.png", "Samples before training"))) return s;
    progress_begin(&a->progress, a->resumed + left, o->quiet);
    if (!begin_curves(a, left + 1)) return GM_E_NOMEM;
    if (!a->resumed)
        gm_model_seed(model, (uint64_t)o->seed + 1);
    else if (a->on_epoch)
        a->on_epoch(a->user, a->resumed);
    fit.batch = o->batch < gm_dataset_rows(rows) ? o->batch : gm_dataset_rows(rows);
    fit.drop_last = 1; /* batch norm and the diversity need whole batches */
    fit.on_report = on_report;
    fit.user = a;
    s = training_fit(a->run, model, rows, &fit, 0);
    progress_end(&a->progress);
    a->rate = progress_rate(&a->progress);
    a->stopped = s == GM_E_CANCELLED;
    if (s == GM_E_NUMERIC)
        run_failed(a->run, s), *status = 1; /* the last good weights are worth keeping */
    else if (s && !a->stopped)
        return s;
    if ((s = gm_model_save(model, options_out_path(o, "model.safetensors", path)))) return s;
    if ((s = draw(a, "samples_last.png", "Samples after training"))) return s;
    draw_curves(a);
    return GM_OK;
}

static gm_status measure(struct gan_training *a, struct json *json, const struct mnist *m)
{
    struct parzen p = PARZEN_INIT;
    struct classify_report report;
    gm_result result = GM_RESULT_INIT;
    gm_tensor *samples = NULL;
    gm_status s = GM_OK;
    p.quiet = a->run->options.quiet;
    p.symmetric = a->symmetric;
    if (a->fine) p.sigmas = parzen_fine, p.sigma_count = PARZEN_FINE;
    if (a->parzen_samples) {
        if (!p.quiet) message("Parzen windows on %lld samples", (long long)a->parzen_samples);
        if ((s = sample(a, a->parzen_samples, &samples))) goto out;
        if ((s = parzen_rows(&result, a->run->context, gm_tensor_read(samples), a->parzen_samples,
                             gm_dataset_row_size(m->test), m, &p)))
            goto out;
        json_number(json, "parzen", result.value);
        json_number(json, "parzen_error", result.standard_error);
        json_number(json, "parzen_sigma", result.sigma);
        json_whole(json, "parzen_samples", result.samples);
        gm_tensor_release(samples);
        samples = NULL;
    }
    if (a->classifier) {
        if ((s = sample(a, CLASSIFIED, &samples))) goto out;
        if ((s = classify_report(&a->reader, gm_tensor_read(samples), CLASSIFIED, &report)))
            goto out;
        classify_json(json, &report);
    }
out:
    gm_tensor_release(samples);
    return s;
}

gm_status gan_training_report(struct gan_training *a, struct json *json, const char *model,
                              const struct mnist *m)
{
    json_begin(json, model, m->name);
    mnist_json(json, m);
    json_whole(json, "epochs", gm_model_epochs(gm_gan_model(a->gan)));
    json_number(json, "samples_per_second", a->rate);
    gm_status s = a->stopped ? GM_OK : measure(a, json, m);
    json_number(json, "seconds", run_seconds(a->run));
    if (s == GM_E_CANCELLED) a->stopped = 1, s = GM_OK;
    if (a->stopped) json_flag(json, "stopped", 1);
    return s;
}

void gan_training_close(struct gan_training *a)
{
    progress_end(&a->progress);
    free(a->x);
    for (int i = 0; i < GAN_TRAINING_CURVES; i++) free(a->y[i]);
    classify_close(&a->reader);
}
