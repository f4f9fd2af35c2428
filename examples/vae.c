/* vae.c - trains a variational autoencoder on handwritten digits (Kingma and Welling 2014).
 *
 *     vae --preset pytorch    784-400-20-400-784, ReLU, grey targets: the set-up of the PyTorch example
 *     vae --preset paper      500 tanh units, 20 latents, digits binarised anew each epoch, 50 epochs
 *     vae --preset demo       the first with 8 latents, for as many epochs as the 8000 embedded digits want
 *
 * With grey targets the test loss is no likelihood of binary data; with binarised ones the program also gives the
 * importance estimate of -log p(x) with --nll-samples draws for each test image.
 */
#include <gm/gm.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/grid.h"
#include "common/json.h"
#include "common/mnist.h"
#include "common/plot.h"
#include "common/progress.h"
#include "common/run.h"
#include "common/say.h"
#include "common/stop.h"

#define PIXELS 784
#define SHOWN 100       /* samples in a grid */
#define PAIRS 10        /* reconstructions */
#define POINTS 20       /* of the loss curve, for each epoch */

struct preset {
    int64_t hidden, latent, epochs, batch, nll_samples;
    int tanh, binary;
};

static const char *const preset_names[] = { "pytorch", "paper", "demo", NULL };
static const struct preset presets[] = {
    { 400, 20, 10, 128, 0, 0, 0 },
    { 500, 20, 50, 100, 5000, 1, 1 },
    { 400, 8, 80, 128, 0, 0, 0 },
};

/* The loss curve, for the plot. */
struct curve {
    struct progress progress;
    double *x, *loss, *reconstruction, *kl;
    double *epoch, *validation;
    int count, room, epochs, epoch_room;
    int64_t seen;       /* rows of this epoch up to the latest point */
    double sums[3];     /* of loss, reconstruction and KL up to there */
};

static double metric(const gm_metric *metrics, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++) {
        const char *a = metrics[i].name, *b = name;
        while (*a && *a == *b) a++, b++;
        if (*a == *b) return metrics[i].value;
    }
    return NAN;
}

/* A point is the mean since the point before. */
static void add_point(struct curve *c, const gm_progress *p)
{
    static const char *const names[3] = { "loss", "reconstruction", "kl" };
    double *const to[3] = { c->loss, c->reconstruction, c->kl };
    double place = (double)p->epoch + (double)p->row / (double)p->rows;
    if (p->row < c->seen) c->seen = 0, c->sums[0] = c->sums[1] = c->sums[2] = 0; /* a new epoch */
    if (place < (double)(c->count + 1) / POINTS || c->count >= c->room) return;
    c->x[c->count] = place;
    for (int i = 0; i < 3; i++) {
        double sum = metric(p->metrics, p->metric_count, names[i]) * (double)p->row;
        to[i][c->count] = (sum - c->sums[i]) / (double)(p->row - c->seen);
        c->sums[i] = sum;
    }
    c->seen = p->row;
    c->count++;
}

static int32_t on_progress(void *user, const gm_progress *p)
{
    struct curve *c = user;
    double loss = metric(p->metrics, p->metric_count, "loss");
    if (p->epoch_end) {
        double check = metric(p->validation, p->validation_count, "loss");
        progress_epoch(&c->progress, p->epoch + 1, loss, check);
        if (c->epochs < c->epoch_room && p->validation_count) {
            c->epoch[c->epochs] = (double)p->epoch + 1;
            c->validation[c->epochs++] = check;
        }
    } else {
        progress_step(&c->progress, p->epoch + 1, p->row, p->rows, loss);
        add_point(c, p);
    }
    return stop_requested();
}

static int curve_begin(struct curve *c, int64_t epochs, int quiet)
{
    c->room = (int)epochs * POINTS;
    c->epoch_room = (int)epochs;
    c->x = calloc((size_t)c->room, sizeof(double));
    c->loss = calloc((size_t)c->room, sizeof(double));
    c->reconstruction = calloc((size_t)c->room, sizeof(double));
    c->kl = calloc((size_t)c->room, sizeof(double));
    c->epoch = calloc((size_t)c->epoch_room, sizeof(double));
    c->validation = calloc((size_t)c->epoch_room, sizeof(double));
    progress_begin(&c->progress, epochs, quiet);
    return c->x && c->loss && c->reconstruction && c->kl && c->epoch && c->validation ? 0 : -1;
}

static void curve_end(struct curve *c)
{
    progress_end(&c->progress);
    free(c->x);
    free(c->loss);
    free(c->reconstruction);
    free(c->kl);
    free(c->epoch);
    free(c->validation);
}

static int curve_plot(const struct curve *c, const struct options *o)
{
    char path[OPTIONS_PATH_SIZE];
    const struct plot_series series[] = {
        { .label = "loss", .x = c->x, .y = c->loss, .count = c->count },
        { .label = "reconstruction", .x = c->x, .y = c->reconstruction, .count = c->count },
        { .label = "KL(q(z | x) || p(z))", .x = c->x, .y = c->kl, .count = c->count, .panel = 1 },
        { .label = "loss on validation digits", .x = c->epoch, .y = c->validation,
          .count = c->epochs, .dashed = 1 },
    };
    const struct plot plot = { .title = "Variational autoencoder",
                               .x_label = "epoch",
                               .panels = 2,
                               .panel = { { .y_label = "nats per image" },
                                          { .y_label = "KL, nats" } },
                               .series = series,
                               .series_count = c->epochs ? 4 : 3 };
    return plot_write(options_out_path(o, "loss.png", path), &plot);
}

/* x -> means and log-variances, or z -> logits: one hidden layer. */
static gm_status make_net(gm_layer **out, gm_context *ctx, int64_t in, const struct preset *p,
                          int64_t last)
{
    gm_status s = gm_sequence_create(out, ctx);
    if (s) return s;
    gm_sequence_add_linear(*out, in, p->hidden);
    if (p->tanh) gm_sequence_add_tanh(*out);
    else gm_sequence_add_relu(*out);
    gm_sequence_add_linear(*out, p->hidden, last);
    return gm_sequence_status(*out);
}

/* The published runs minimise the sum over the mini-batch, this library its mean. Adam does not mind the factor but for
 * its epsilon, which must shrink with it: else the pixels that are nearly always black learn more slowly. */
static gm_status make_vae(gm_vae **out, gm_context *ctx, const struct preset *p, double rate,
                          int64_t batch)
{
    gm_layer *encoder = NULL, *net = NULL;
    gm_generator *decoder = NULL;
    gm_optimizer *adam = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_adam_options adam_options = GM_ADAM_OPTIONS_INIT;
    gm_vae_options options = GM_VAE_OPTIONS_INIT;
    gm_status s;

    if ((s = make_net(&encoder, ctx, PIXELS, p, 2 * p->latent))) goto out;
    if ((s = make_net(&net, ctx, p->latent, p, PIXELS))) goto out;
    head.latent = p->latent;
    head.output = GM_OUTPUT_BERNOULLI;
    if ((s = gm_generator_create(&decoder, ctx, net, &head))) goto out;
    adam_options.rate = rate;
    adam_options.eps /= (double)batch;
    if ((s = gm_adam_create(&adam, ctx, &adam_options))) goto out;
    options.optimizer = adam;
    s = gm_vae_create(out, ctx, encoder, decoder, &options);
out:
    gm_optimizer_release(adam);
    gm_generator_release(decoder);
    gm_layer_release(net);
    gm_layer_release(encoder);
    return s;
}

/* The same codes each time, so that the two grids show the same samples before and after. */
static gm_status draw_samples(gm_vae *vae, const struct options *o, const char *file,
                              const char *title)
{
    char path[OPTIONS_PATH_SIZE];
    gm_tensor *images = NULL;
    gm_model_seed(gm_vae_model(vae), (uint64_t)o->seed);
    gm_status s = gm_model_sample(&images, gm_vae_model(vae), SHOWN);
    if (!s)
        grid_write(options_out_path(o, file, path), gm_tensor_read(images), SHOWN, 1, 28, 28, 10,
                   title);
    gm_tensor_release(images);
    return s;
}

/* Test digits above, p(x | z) at their mean code below. */
static gm_status draw_reconstructions(gm_vae *vae, gm_dataset *test, const struct options *o)
{
    char path[OPTIONS_PATH_SIZE];
    int64_t rows = gm_dataset_rows(test) < PAIRS ? gm_dataset_rows(test) : PAIRS;
    int64_t shape[2] = { 2 * rows, PIXELS };
    gm_context *ctx = gm_model_context(gm_vae_model(vae));
    gm_tensor *x = NULL, *both = NULL, *above = NULL, *below = NULL;
    gm_status s;
    if ((s = gm_dataset_read_tensor(&x, test, 0, rows, 0))) goto out;
    if ((s = gm_tensor_create(&both, ctx, 2, shape))) goto out;
    if ((s = gm_tensor_rows_view(&above, both, 0, rows))) goto out;
    if ((s = gm_tensor_rows_view(&below, both, rows, 2 * rows))) goto out;
    for (int64_t i = 0; i < rows * PIXELS; i++) gm_tensor_data(above)[i] = gm_tensor_read(x)[i];
    if ((s = gm_vae_reconstruct(vae, x, below))) goto out;
    grid_write(options_out_path(o, "reconstructions.png", path), gm_tensor_read(both),
               (int)(2 * rows), 1, 28, 28, (int)rows, "Test digits and their reconstructions");
out:
    gm_tensor_release(below);
    gm_tensor_release(above);
    gm_tensor_release(both);
    gm_tensor_release(x);
    return s;
}

static int32_t show_rows(void *user, int64_t done)
{
    struct progress *p = user;
    progress_step(p, 1, done, (int64_t)p->begin, NAN);
    return stop_requested();
}

/* -log p(x), mean over the test digits, with its standard error over the digits. */
static gm_status estimate(gm_vae *vae, gm_dataset *test, int64_t samples, int64_t limit,
                          const struct options *o, double *nll, double *error)
{
    int64_t rows = gm_dataset_rows(test);
    if (limit && limit < rows) rows = limit;
    gm_tensor *x = NULL;
    double *score = calloc((size_t)rows, sizeof *score), sum = 0, squares = 0;
    gm_status s = score ? gm_dataset_read_tensor(&x, test, 0, rows, 0) : GM_E_NOMEM;
    struct progress p;
    if (!s && !o->quiet)
        say("estimating log p(x) of %lld test digits with K = %lld", (long long)rows,
            (long long)samples);
    progress_begin(&p, 1, o->quiet);
    p.begin = (double)rows;
    if (!s)
        s = gm_vae_log_prob(vae, gm_tensor_read(x), rows, samples, score, NULL, show_rows, &p);
    progress_end(&p);
    for (int64_t i = 0; !s && i < rows; i++) sum -= score[i], squares += score[i] * score[i];
    *nll = sum / (double)rows;
    *error = sqrt(fmax(0, squares / (double)rows - *nll * *nll) / (double)rows);
    free(score);
    gm_tensor_release(x);
    return s;
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist m = { 0 };
    struct curve curve = { 0 };
    struct json json;
    int choice = 0, status, stopped = 0;
    double rate = 1e-3;
    int64_t nll_samples = -1, nll_rows = 0;
    const struct option own[] = {
        OPTION_CHOICE("preset", &choice, preset_names, "which set-up to follow"),
        OPTION_REAL("rate", &rate, 1e-12, 1e30, "learning rate of Adam"),
        OPTION_INT("nll-samples", &nll_samples, -1, 10000000,
                   "K of the estimate of -log p(x) after training; 0: none; -1: the preset's"),
        OPTION_INT("nll-rows", &nll_rows, 0, 1000000000, "test digits to estimate it on; 0: all"),
    };

    options_init(&r.options, "vae", "Trains a variational autoencoder on handwritten digits.");
    r.options.epochs = r.options.batch = 0;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    const struct preset *preset = &presets[choice];
    if (!r.options.epochs) r.options.epochs = preset->epochs;
    if (!r.options.batch) r.options.batch = preset->batch;
    if (nll_samples < 0) nll_samples = preset->nll_samples;

    gm_vae *vae = NULL;
    gm_dataset *train = NULL, *test = NULL;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_metric test_metrics[GM_MAX_METRICS];
    int32_t test_count = 0;
    double nll = NAN, error = NAN;
    char path[OPTIONS_PATH_SIZE];
    gm_status s = GM_OK;

    status = mnist_open(&m, r.context, &r.options, MNIST_ROWS);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;
    train = m.train;
    test = m.test;
    gm_dataset_retain(train);
    gm_dataset_retain(test);
    if (preset->binary) {
        gm_dataset_release(train);
        gm_dataset_release(test);
        test = NULL;
        if ((s = gm_dataset_binarise(&train, m.train, 1, GM_BINARISE_DYNAMIC))) goto out;
        if ((s = gm_dataset_binarise(&test, m.test, 2, GM_BINARISE_STATIC))) goto out;
    }
    if (r.options.batch > gm_dataset_rows(train)) r.options.batch = gm_dataset_rows(train);
    if ((s = make_vae(&vae, r.context, preset, rate, r.options.batch))) goto out;
    if ((s = draw_samples(vae, &r.options, "samples_first.png", "Samples before training"))) goto out;

    if (curve_begin(&curve, r.options.epochs, r.options.quiet)) {
        s = GM_E_NOMEM;
        goto out;
    }
    fit.epochs = r.options.epochs;
    fit.batch = r.options.batch;
    fit.validation = preset->binary ? NULL : m.valid;
    fit.on_progress = on_progress;
    fit.user = &curve;
    s = gm_model_fit(gm_vae_model(vae), train, &fit);
    progress_end(&curve.progress);
    stopped = s == GM_E_CANCELLED;
    if (s == GM_E_NUMERIC) run_failed(&r, s), status = 1; /* the last good weights are still worth keeping */
    else if (s && !stopped) goto out;

    double rate_seen = progress_rate(&curve.progress);
    if ((s = gm_model_save(gm_vae_model(vae), options_out_path(&r.options, "model.safetensors", path))))
        goto out;
    if ((s = gm_model_evaluate(gm_vae_model(vae), test, 500, 0, test_metrics, GM_MAX_METRICS,
                               &test_count)))
        goto out;
    if ((s = draw_samples(vae, &r.options, "samples_last.png", "Samples after training"))) goto out;
    if ((s = draw_reconstructions(vae, test, &r.options))) goto out;
    curve_plot(&curve, &r.options);
    if (nll_samples && preset->binary && !stopped) {
        s = estimate(vae, test, nll_samples, nll_rows, &r.options, &nll, &error);
        if (s == GM_E_CANCELLED) stopped = 1;
        else if (s) goto out;
    }
    s = GM_OK;

    json_begin(&json, "vae", m.name);
    json_text(&json, "preset", preset_names[choice]);
    json_whole(&json, "epochs", gm_model_epochs(gm_vae_model(vae)));
    json_number(&json, "samples_per_second", rate_seen);
    json_number(&json, "seconds", run_seconds(&r));
    if (stopped) json_flag(&json, "stopped", 1);
    json_number(&json, "test_loss", metric(test_metrics, test_count, "loss"));
    if (preset->binary) json_number(&json, "elbo", -metric(test_metrics, test_count, "elbo"));
    if (isfinite(nll)) {
        json_number(&json, "test_nll", nll);
        json_number(&json, "test_nll_error", error);
        json_whole(&json, "nll_samples", nll_samples);
    }
    if (json_end(&json)) status = 1;
out:
    curve_end(&curve);
    gm_vae_release(vae);
    gm_dataset_release(test);
    gm_dataset_release(train);
    mnist_close(&m);
    return run_end(&r, s, status);
}
