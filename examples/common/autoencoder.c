/* autoencoder.c - data, training and report of the programs of variational autoencoders. */
#include "autoencoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image_grid.h"
#include "mean.h"
#include "message.h"
#include "plot.h"
#include "stop.h"
#include "training.h"

#define PIXELS 784
#define SHOWN 100 /* samples in a grid */
#define COLUMNS 10
#define PAIRS 10  /* reconstructions */
#define POINTS 20 /* of the loss curve, for each epoch */

gm_status autoencoder_data(struct autoencoder *a, const struct mnist *m)
{
    struct options *o = &a->run->options;
    gm_status s = GM_OK;
    if (a->binary) {
        if ((s = gm_dataset_binarise(&a->train, m->train, 1, GM_BINARISE_DYNAMIC))) return s;
        if ((s = gm_dataset_binarise(&a->test, m->test, 2, GM_BINARISE_STATIC))) return s;
    } else {
        gm_dataset_retain(a->train = m->train);
        gm_dataset_retain(a->valid = m->valid);
        gm_dataset_retain(a->test = m->test);
    }
    if (o->batch > gm_dataset_rows(a->train)) o->batch = gm_dataset_rows(a->train);
    return s;
}

/* The published runs minimise the sum over the mini-batch, this library its mean. Adam does not
 * mind the factor but for its epsilon, which must shrink with it: else the pixels that are nearly
 * always black learn more slowly. */
static gm_status make_adam(gm_optimizer **out, const struct autoencoder *a)
{
    const struct options *o = &a->run->options;
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_schedule fall = GM_SCHEDULE_INIT;
    adam.rate = a->rate;
    adam.eps /= (double)o->batch;
    fall.kind = GM_SCHEDULE_COSINE;
    fall.floor = a->floor;
    fall.period = o->epochs * ((gm_dataset_rows(a->train) + o->batch - 1) / o->batch);
    gm_status s = gm_adam_create(out, a->run->context, &adam);
    return s || a->floor >= 1 ? s : gm_optimizer_set_schedule(*out, &fall);
}

gm_status autoencoder_make(struct autoencoder *a, gm_layer *encoder, gm_layer *net, int64_t latent,
                           int64_t labels, int *status)
{

    gm_generator *decoder = NULL;
    gm_optimizer *adam = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_vae_options options = GM_VAE_OPTIONS_INIT;
    gm_status s;
    head.latent = latent;
    head.labels = labels;
    head.output = GM_OUTPUT_BERNOULLI;
    if ((s = gm_generator_create(&decoder, a->run->context, net, &head))) goto out;
    if ((s = make_adam(&adam, a))) goto out;
    options.optimizer = adam;
    s = gm_vae_create(&a->vae, a->run->context, encoder, decoder, &options);
    if (s) goto out;
    gm_model *model = gm_vae_model(a->vae);
    *status = training_resume(&model, a->run, &s);
    a->vae = gm_vae_from_model(model);
out:
    gm_optimizer_release(adam);
    gm_generator_release(decoder);
    return s;
}

/* A point is the mean since the point before. */
static void add_point(struct autoencoder *a, const gm_fit_report *p)
{
    static const char *const names[AUTOENCODER_CURVES] = { "loss", "reconstruction", "kl" };
    double place = (double)p->epoch + (double)p->row / (double)p->rows;    /* in this run */
    if (p->row < a->seen) a->seen = 0, memset(a->sums, 0, sizeof a->sums); /* a new epoch */
    if (place < (double)(a->count + 1) / POINTS || a->count >= a->room) return;
    a->x[a->count] = (double)a->resumed + place;
    for (int i = 0; i < AUTOENCODER_CURVES; i++) {
        double sum = training_metric(p->metrics, p->metric_count, names[i]) * (double)p->row;
        a->y[i][a->count] = (sum - a->sums[i]) / (double)(p->row - a->seen);
        a->sums[i] = sum;
    }
    a->seen = p->row;
    a->count++;
}

static int32_t on_report(void *user, const gm_fit_report *p)
{
    struct autoencoder *a = user;
    double loss = training_metric(p->metrics, p->metric_count, "loss");
    if (p->epoch_end) {
        double check = training_metric(p->validation, p->validation_count, "loss");
        progress_epoch(&a->progress, a->resumed + p->epoch + 1, loss, check);
        if (a->epochs < a->epoch_room && p->validation_count) {
            a->epoch[a->epochs] = (double)(a->resumed + p->epoch + 1);
            a->validation[a->epochs++] = check;
        }
    } else {
        progress_step(&a->progress, a->resumed + p->epoch + 1, p->row, p->rows, loss);
        add_point(a, p);
    }
    return stop_requested();
}

static int begin_curves(struct autoencoder *a, int64_t epochs)
{
    int ok = 1;
    a->room = (int)epochs * POINTS;
    a->epoch_room = (int)epochs;
    a->x = calloc((size_t)a->room, sizeof(double));
    a->epoch = calloc((size_t)a->epoch_room, sizeof(double));
    a->validation = calloc((size_t)a->epoch_room, sizeof(double));
    for (int i = 0; i < AUTOENCODER_CURVES; i++) {
        a->y[i] = calloc((size_t)a->room, sizeof(double));
        ok = ok && a->y[i];
    }
    return ok && a->x && a->epoch && a->validation;
}

static void draw_curves(const struct autoencoder *a)
{
    char path[OPTIONS_PATH_SIZE];
    const struct plot_series series[] = {
        { .label = "loss", .x = a->x, .y = a->y[0], .count = a->count },
        { .label = "reconstruction", .x = a->x, .y = a->y[1], .count = a->count },
        { .label = "KL(q(z | x) || p(z))", .x = a->x, .y = a->y[2], .count = a->count, .panel = 1 },
        { .label = "loss on validation digits",
          .x = a->epoch,
          .y = a->validation,
          .count = a->epochs,
          .dashed = 1 },
    };
    const struct plot plot = { .title = a->title,
                               .x_label = "epoch",
                               .panels = 2,
                               .panel = { { .y_label = "nats per image" },
                                          { .y_label = "KL, nats" } },
                               .series = series,
                               .series_count = a->epochs ? 4 : 3 };
    plot_write(options_out_path(&a->run->options, "loss.png", path), &plot);
}

/* The labels of the first `rows` test digits, or of the columns of a grid (test NULL); nothing for
 * other models. */
static gm_status set_labels(struct autoencoder *a, gm_dataset *test, int64_t rows)
{
    gm_model *model = gm_vae_model(a->vae);
    int64_t classes = gm_model_labels(model);
    if (!classes) return GM_OK;
    int64_t *label = malloc(2 * (size_t)rows * sizeof *label), *index = label + rows;
    gm_status s = label ? GM_OK : GM_E_NOMEM;
    for (int64_t i = 0; !s && i < rows; i++) label[i] = i % COLUMNS % classes, index[i] = i;
    if (!s && test) s = gm_dataset_read_labels(test, index, rows, label);
    if (!s) s = gm_model_set_labels(model, label, rows);
    free(label);
    return s;
}

/* The same codes each time, so that the two grids show the same samples before and after. A
 * conditional model fills each column with one class. */
static gm_status draw_samples(struct autoencoder *a, const char *file, const char *title)
{
    static const char *const digits[COLUMNS] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
    const struct options *o = &a->run->options;
    char path[OPTIONS_PATH_SIZE];
    gm_model *model = gm_vae_model(a->vae);
    gm_tensor *images = NULL;
    gm_status s = set_labels(a, NULL, SHOWN);
    gm_model_seed(model, (uint64_t)o->seed);
    if (!s) s = gm_model_sample(&images, model, SHOWN);
    if (!s) {
        const struct image_grid grid = { .images = gm_tensor_read(images),
                                         .count = SHOWN,
                                         .channels = 1,
                                         .height = 28,
                                         .width = 28,
                                         .columns = COLUMNS,
                                         .title = title,
                                         .column_labels = gm_model_labels(model) ? digits : NULL };
        image_grid_draw(options_out_path(o, file, path), &grid);
    }
    gm_tensor_release(images);
    return s;
}

/* Test digits above, p(x | z) at their mean code below. */
static gm_status draw_reconstructions(struct autoencoder *a)
{
    char path[OPTIONS_PATH_SIZE];
    int64_t rows = gm_dataset_rows(a->test) < PAIRS ? gm_dataset_rows(a->test) : PAIRS;
    int64_t shape[2] = { 2 * rows, PIXELS };
    gm_tensor *x = NULL, *both = NULL, *above = NULL, *below = NULL;
    gm_status s;
    if ((s = gm_dataset_read_tensor(&x, a->test, 0, rows, 0))) goto out;
    if ((s = gm_tensor_create(&both, a->run->context, 2, shape))) goto out;
    if ((s = gm_tensor_rows_view(&above, both, 0, rows))) goto out;
    if ((s = gm_tensor_rows_view(&below, both, rows, 2 * rows))) goto out;
    for (int64_t i = 0; i < rows * PIXELS; i++) gm_tensor_data(above)[i] = gm_tensor_read(x)[i];
    if ((s = set_labels(a, a->test, rows))) goto out;
    if ((s = gm_vae_reconstruct(a->vae, gm_tensor_read(x), gm_tensor_shape(x)[0],
                                gm_tensor_data(below))))
        goto out;
    image_grid_write(options_out_path(&a->run->options, "reconstructions.png", path),
                     gm_tensor_read(both), (int)(2 * rows), 1, 28, 28, (int)rows,
                     "Test digits and their reconstructions");
out:
    gm_tensor_release(below);
    gm_tensor_release(above);
    gm_tensor_release(both);
    gm_tensor_release(x);
    return s;
}

gm_status autoencoder_train(struct autoencoder *a, int *status)
{
    const struct options *o = &a->run->options;
    char path[OPTIONS_PATH_SIZE];
    gm_model *model = gm_vae_model(a->vae);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_status s;
    a->resumed = gm_model_epochs(model);
    const int64_t left = training_epochs_left(a->run, model, 0);
    if (!a->resumed && (s = draw_samples(a, "samples_first.png", "Samples before training")))
        return s;
    progress_begin(&a->progress, a->resumed + left, o->quiet);
    if (!begin_curves(a, left + 1)) return GM_E_NOMEM;
    fit.batch = o->batch;
    fit.validation = a->valid;
    fit.on_report = on_report;
    fit.user = a;
    s = training_fit(a->run, model, a->train, &fit, 0);
    progress_end(&a->progress);
    a->speed = progress_rate(&a->progress);
    a->stopped = s == GM_E_CANCELLED;
    if (s == GM_E_NUMERIC)
        run_failed(a->run, s), *status = 1; /* the last good weights are still worth keeping */
    else if (s && !a->stopped)
        return s;
    if ((s = gm_model_save(model, options_out_path(o, "model.safetensors", path)))) return s;
    if ((s = draw_samples(a, "samples_last.png", "Samples after training"))) return s;
    if ((s = draw_reconstructions(a))) return s;
    draw_curves(a);
    return GM_OK;
}

static int32_t show_rows(void *user, int64_t done, int64_t total)
{
    progress_step(user, 1, done, total, NAN);
    return stop_requested();
}

/* -log p(x), mean over the test digits, with its standard error over the digits. */
static gm_status estimate(struct autoencoder *a, double *nll, double *error)
{
    const int quiet = a->run->options.quiet;
    gm_log_prob_options o = GM_LOG_PROB_OPTIONS_INIT;
    int64_t rows = gm_dataset_rows(a->test);
    if (a->nll_rows && a->nll_rows < rows) rows = a->nll_rows;
    gm_tensor *x = NULL;
    double *score = calloc((size_t)rows, sizeof *score);
    struct mean mean = { 0 };
    struct progress p;
    gm_status s = score ? gm_dataset_read_tensor(&x, a->test, 0, rows, 0) : GM_E_NOMEM;
    if (!s) s = set_labels(a, a->test, rows);
    if (!s && !quiet)
        message("estimating log p(x) of %lld test digits with K = %lld", (long long)rows,
                (long long)a->nll_samples);
    progress_begin(&p, 1, quiet);
    o.samples = a->nll_samples;
    o.on_progress = show_rows;
    o.user = &p;
    if (!s) s = gm_vae_log_prob(a->vae, gm_tensor_read(x), rows, &o, score, NULL);
    progress_end(&p);
    for (int64_t i = 0; !s && i < rows; i++) mean_add(&mean, -score[i]);
    *nll = mean.value;
    *error = mean_error(&mean);
    free(score);
    gm_tensor_release(x);
    return s;
}

gm_status autoencoder_report(struct autoencoder *a, struct json *json, const char *model,
                             const struct mnist *m)
{
    gm_metric metrics[GM_MAX_METRICS];
    int32_t count = 0;
    double nll = NAN, error = NAN;
    gm_model *vae = gm_vae_model(a->vae);
    gm_status s = gm_model_evaluate(vae, a->test, NULL, metrics, GM_MAX_METRICS, &count);
    if (s) return s;
    if (a->nll_samples && a->binary && !a->stopped) {
        s = estimate(a, &nll, &error);
        a->stopped = s == GM_E_CANCELLED;
        if (s && !a->stopped) return s;
    }
    json_begin(json, model, m->name);
    mnist_json(json, m);
    json_whole(json, "epochs", gm_model_epochs(vae));
    json_number(json, "samples_per_second", a->speed);
    json_number(json, "seconds", run_seconds(a->run));
    if (a->stopped) json_flag(json, "stopped", 1);
    json_number(json, "test_loss", training_metric(metrics, count, "loss"));
    if (a->binary) json_number(json, "elbo", -training_metric(metrics, count, "elbo"));
    if (a->nll_samples && a->binary && !a->stopped) {
        json_number(json, "test_nll", nll);
        json_number(json, "test_nll_error", error);
        json_whole(json, "nll_samples", a->nll_samples);
    }
    return GM_OK;
}

void autoencoder_close(struct autoencoder *a)
{
    progress_end(&a->progress);
    free(a->x);
    free(a->epoch);
    free(a->validation);
    for (int i = 0; i < AUTOENCODER_CURVES; i++) free(a->y[i]);
    gm_vae_release(a->vae);
    gm_dataset_release(a->test);
    gm_dataset_release(a->valid);
    gm_dataset_release(a->train);
}
