/* gmmn.c - trains a generative moment matching network on handwritten digits (Li, Swersky and Zemel
 * 2015).
 *
 *     gmmn                  10-64-256-256-1024-784, ReLU and a sigmoid at the end; the samples of a
 *                           step and the pixels of its digits are made alike by the kernels of
 *                           variances 2, 5, 10, 20, 40 and 80
 *     gmmn --autoencoder    the same with 32 codes in place of 784 pixels: those of an autoencoder
 *                           784-1024-32-1024-784 of sigmoids, trained first, with dropout in its
 *                           encoder; --layerwise: pair by pair before that
 *
 * The nets, the kernels, the loss, the batches of 1000 and the split of the training digits, 55 000
 * and 5000 by a random permutation, are the authors'. On pixels so is the optimizer, gradient
 * descent with rate 2 and momentum 0.9; on codes it is Adam. Either rate falls to nothing by a
 * cosine, and an average of the weights makes the samples.
 *
 * The score is the paper's Parzen window estimate: 10 000 samples, the deviation of 0.10, 0.11, ...
 * 0.29 that is best on the digits held out.
 */
#include <gm/gm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/image_grid.h"
#include "common/json.h"
#include "common/message.h"
#include "common/mnist.h"
#include "common/parzen.h"
#include "common/plot.h"
#include "common/progress.h"
#include "common/run.h"
#include "common/stop.h"
#include "common/training.h"

#define PIXELS 784
#define LATENT 10
#define CODES 32
#define HIDDEN 1024 /* of the autoencoder */
#define HELD_OUT 5000
#define SHOWN 100

/* What the program chooses where nothing is asked for. */
#define PIXEL_STEPS 40000
#define PIXEL_RATE 2 /* of the root; MMD^2 itself, whose slope fades, was not tried with it */
#define PIXEL_MOMENTUM 0.9
#define CODE_STEPS 20000
#define CODE_RATE 2e-3
#define AUTOENCODER_EPOCHS 20

static const char *const loss_names[] = { "mmd2", "mmd", NULL };

struct gmmn {
    struct run *run;
    int autoencoder, layerwise, loss;
    double rate, average;
    int64_t steps, autoencoder_epochs, parzen_samples;

    struct progress progress;
    double *curve; /* loss of each epoch, of the part that is being trained */
    int count, room;
    int stopped;
    double last;
};

static int32_t on_report(void *user, const gm_fit_report *p)
{
    struct gmmn *g = user;
    const double loss = training_metric(p->metrics, p->metric_count, "loss");
    if (p->epoch_end) {
        progress_epoch(&g->progress, p->epoch + 1, loss, NAN);
        if (g->count < g->room) g->curve[g->count++] = loss;
        g->last = loss;
    } else {
        progress_step(&g->progress, p->epoch + 1, p->row, p->rows, loss);
    }
    return stop_requested();
}

/* Fits with a progress bar; own: the network, with --checkpoint and --resume, else its autoencoder.
 * GM_OK also after Ctrl-C; g->stopped tells. */
static gm_status fit(struct gmmn *g, gm_model *model, gm_dataset *rows, int64_t epochs,
                     int64_t batch, int own)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    o.epochs = epochs;
    o.batch = batch < gm_dataset_rows(rows) ? batch : gm_dataset_rows(rows);
    o.drop_last = 1; /* the biased estimate depends on the number of rows */
    o.on_report = on_report;
    o.user = g;
    free(g->curve);
    g->count = 0;
    g->room = (int)epochs;
    g->curve = calloc((size_t)epochs, sizeof *g->curve);
    if (!g->curve) return GM_E_NOMEM;
    progress_begin(&g->progress, epochs, g->run->options.quiet);
    const gm_status s =
        own ? training_fit(g->run, model, rows, &o, 0) : gm_model_fit(model, rows, &o);
    progress_end(&g->progress);
    g->stopped = s == GM_E_CANCELLED;
    return g->stopped ? GM_OK : s;
}

/* An optimizer whose rate falls to nothing by a cosine over so many steps: with momentum 0 Adam,
 * else gradient descent. */
static gm_status make_optimizer(gm_optimizer **out, gm_context *ctx, double rate, double momentum,
                                int64_t steps)
{
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_sgd_options sgd = GM_SGD_OPTIONS_INIT;
    gm_schedule fall = GM_SCHEDULE_INIT;
    adam.rate = sgd.rate = rate;
    sgd.momentum = momentum;
    fall.kind = GM_SCHEDULE_COSINE;
    fall.period = steps > 0 ? steps : 1;
    gm_status s = momentum > 0 ? gm_sgd_create(out, ctx, &sgd) : gm_adam_create(out, ctx, &adam);
    return s ? s : gm_optimizer_set_schedule(*out, &fall);
}

/* --- The autoencoder. */

static gm_status make_autoencoder(gm_autoencoder **out, gm_context *ctx, int64_t steps)
{
    gm_layer *encoder = NULL, *decoder = NULL;
    gm_autoencoder_options o = GM_AUTOENCODER_OPTIONS_INIT;
    gm_status s;
    if ((s = gm_sequence_create(&encoder, ctx))) goto out;
    gm_sequence_add_dropout(encoder, 0.2);
    gm_sequence_add_linear(encoder, PIXELS, HIDDEN);
    gm_sequence_add_sigmoid(encoder);
    gm_sequence_add_dropout(encoder, 0.5);
    gm_sequence_add_linear(encoder, HIDDEN, CODES);
    gm_sequence_add_sigmoid(encoder);
    if ((s = gm_sequence_create(&decoder, ctx))) goto out;
    gm_sequence_add_linear(decoder, CODES, HIDDEN);
    gm_sequence_add_sigmoid(decoder);
    gm_sequence_add_linear(decoder, HIDDEN, PIXELS); /* logits; the cross-entropy has the sigmoid */
    if ((s = make_optimizer(&o.optimizer, ctx, 1e-3, 0, steps))) goto out;
    s = gm_autoencoder_create(out, ctx, PIXELS, encoder, decoder, &o);
out:
    gm_optimizer_release(o.optimizer);
    gm_layer_release(decoder);
    gm_layer_release(encoder);
    return s;
}

/* Digits of the test set above, what the decoder makes of their codes below. */
static gm_status draw_reconstructions(const struct gmmn *g, gm_autoencoder *a,
                                      const struct mnist *m)
{
    enum { COLUMNS = 10 };
    static const int64_t shape[] = { COLUMNS, CODES };
    char path[OPTIONS_PATH_SIZE];
    float both[2 * COLUMNS * PIXELS];
    const int64_t n = m->test_rows < COLUMNS ? m->test_rows : COLUMNS;
    gm_tensor *rows = NULL, *codes = NULL, *back = NULL;
    gm_status s;
    if (n < COLUMNS) return GM_OK;
    if ((s = gm_dataset_read_tensor(&rows, m->test, 0, n, 0))) goto out;
    if ((s = gm_dataset_read_tensor(&back, m->test, 0, n, 0))) goto out;
    if ((s = gm_tensor_create(&codes, g->run->context, 2, shape))) goto out;
    if ((s = gm_autoencoder_encode(a, gm_tensor_read(rows), gm_tensor_shape(rows)[0],
                                   gm_tensor_data(codes))))
        goto out;
    if ((s = gm_autoencoder_decode(a, gm_tensor_read(codes), gm_tensor_shape(codes)[0],
                                   gm_tensor_data(back))))
        goto out;
    memcpy(both, gm_tensor_read(rows), COLUMNS * PIXELS * sizeof *both);
    memcpy(both + COLUMNS * PIXELS, gm_tensor_read(back), COLUMNS * PIXELS * sizeof *both);
    image_grid_write(options_out_path(&g->run->options, "reconstructions.png", path), both,
                     2 * COLUMNS, 1, 28, 28, COLUMNS, "Test digits, and back from 32 codes");
out:
    gm_tensor_release(back);
    gm_tensor_release(codes);
    gm_tensor_release(rows);
    return s;
}

static gm_status fit_autoencoder(struct gmmn *g, gm_autoencoder **out, const struct mnist *m)
{
    const int64_t batch = m->train_rows < 100 ? m->train_rows : 100;
    const int64_t epochs = g->autoencoder_epochs;
    gm_status s = make_autoencoder(out, g->run->context, epochs * (m->train_rows / batch));
    if (s) return s;
    gm_model *model = gm_autoencoder_model(*out);
    const int64_t pairs = g->layerwise ? gm_autoencoder_pairs(*out) : 0;
    for (int64_t i = 1; i <= pairs && !g->stopped; i++) {
        if (!g->run->options.quiet) message("autoencoder, pair %d", (int)i);
        if ((s = gm_autoencoder_set_stage(*out, i))) return s;
        if ((s = fit(g, model, m->train, (epochs + 3) / 4, batch, 0))) return s;
    }
    if (g->stopped) return GM_OK;
    if (!g->run->options.quiet) message("autoencoder");
    if ((s = gm_autoencoder_set_stage(*out, 0))) return s;
    if ((s = fit(g, model, m->train, epochs, batch, 0))) return s;
    return draw_reconstructions(g, *out, m);
}

/* --- The network. */

static gm_status make_generator(gm_generator **out, gm_context *ctx, int64_t row)
{
    static const int64_t sizes[] = { LATENT, 64, 256, 256, 1024 };
    const int count = (int)(sizeof sizes / sizeof *sizes);
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_layer *net = NULL;
    gm_status s;
    head.latent = LATENT;
    head.prior = GM_PRIOR_UNIFORM;
    head.output = GM_OUTPUT_DIRECT;
    if ((s = gm_sequence_create(&net, ctx))) goto out;
    for (int i = 1; i < count; i++) {
        gm_sequence_add_linear(net, sizes[i - 1], sizes[i]);
        gm_sequence_add_relu(net);
    }
    gm_sequence_add_linear(net, sizes[count - 1], row);
    gm_sequence_add_sigmoid(net);
    s = gm_generator_create(out, ctx, net, &head);
out:
    gm_layer_release(net);
    return s;
}

/* For codes two narrower kernels beside the authors' one of variance 1: they tell apart what lies
 * within one digit's cloud. */
static gm_status make_kernel(gm_mmd_kernel **out, gm_context *ctx)
{
    static const double variances[] = { 0.1, 0.3, 1 };
    gm_status s = gm_mmd_kernel_create(out, ctx);
    for (int i = 0; i < 3 && !s; i++) s = gm_mmd_kernel_add_gaussian(*out, 1, sqrt(variances[i]));
    return s;
}

static gm_status make_gmmn(gm_gmmn **out, const struct gmmn *g, gm_autoencoder *autoencoder,
                           int64_t steps)
{
    gm_context *ctx = g->run->context;
    gm_generator *generator = NULL;
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    gm_status s;
    if ((s = make_generator(&generator, ctx, autoencoder ? CODES : PIXELS))) goto out;
    if ((s = make_optimizer(&o.optimizer, ctx, g->rate, autoencoder ? 0 : PIXEL_MOMENTUM, steps)))
        goto out;
    if (autoencoder && (s = make_kernel(&o.kernel, ctx))) goto out;
    o.loss = g->loss;
    o.average = g->average;
    o.autoencoder = autoencoder;
    s = gm_gmmn_create(out, ctx, generator, &o);
out:
    gm_mmd_kernel_release(o.kernel);
    gm_optimizer_release(o.optimizer);
    gm_generator_release(generator);
    return s;
}

static gm_status draw(const struct gmmn *g, gm_model *model, const char *file, const char *title)
{
    const struct parzen p = { .seed = (uint64_t)g->run->options.seed };
    char path[OPTIONS_PATH_SIZE];
    gm_tensor *images = NULL;
    const gm_status s = parzen_draw(&images, model, SHOWN, &p);
    if (!s)
        image_grid_write(options_out_path(&g->run->options, file, path), gm_tensor_read(images),
                         SHOWN, 1, 28, 28, 10, title);
    gm_tensor_release(images);
    return s;
}

static void draw_curve(const struct gmmn *g)
{
    char path[OPTIONS_PATH_SIZE];
    const struct plot_series series[] = {
        { .label = "training", .y = g->curve, .count = g->count }
    };
    const struct plot plot = { .title = "Generative moment matching network",
                               .x_label = "epoch",
                               .panels = 1,
                               .panel = { { .y_label = g->loss == GM_GMMN_MMD ? "MMD" : "MMD^2",
                                            .log_y = 1 } },
                               .series = series,
                               .series_count = 1 };
    plot_write(options_out_path(&g->run->options, "loss.png", path), &plot);
}

static gm_status train(struct gmmn *g, gm_model *model, const struct mnist *m)
{
    const struct options *o = &g->run->options;
    char path[OPTIONS_PATH_SIZE];
    gm_status s;
    if (!gm_model_epochs(model)) {
        if ((s = draw(g, model, "samples_first.png", "Samples before training"))) return s;
        gm_model_seed(model, (uint64_t)o->seed + 1);
    }
    if ((s = fit(g, model, m->train, o->epochs, o->batch, 1))) return s;
    if ((s = gm_model_save(model, options_out_path(o, "model.safetensors", path)))) return s;
    if ((s = draw(g, model, "samples_last.png", "Samples after training"))) return s;
    draw_curve(g);
    return GM_OK;
}

static gm_status report(const struct gmmn *g, struct json *json, gm_model *model,
                        const struct mnist *m)
{
    struct parzen p = PARZEN_INIT;
    gm_result result = GM_RESULT_INIT;
    gm_status s;
    json_begin(json, "gmmn", m->name);
    mnist_json(json, m);
    json_flag(json, "autoencoder", g->autoencoder);
    json_whole(json, "epochs", gm_model_epochs(model)); /* of the autoencoder, if it was stopped */
    json_whole(json, "steps", gm_model_steps(model));
    json_number(json, "loss", g->last);
    json_number(json, "samples_per_second", progress_rate(&g->progress));
    if (g->stopped) json_flag(json, "stopped", 1);
    if (!g->stopped && g->parzen_samples) {
        p.samples = g->parzen_samples;
        p.seed = (uint64_t)g->run->options.seed;
        p.sigmas = parzen_fine;
        p.sigma_count = PARZEN_FINE;
        p.quiet = g->run->options.quiet;
        s = parzen_score(&result, model, m, &p);
        if (s && s != GM_E_CANCELLED) return s;
        if (s) json_flag(json, "stopped", 1);
        if (!s) {
            json_number(json, "parzen", result.value);
            json_number(json, "parzen_error", result.standard_error);
            json_number(json, "parzen_sigma", result.sigma);
            json_whole(json, "parzen_samples", result.samples);
        }
    }
    json_number(json, "seconds", run_seconds(g->run));
    return GM_OK;
}

/* The authors' split of MNIST's 60 000 training digits. Data with a validation part of their own
 * keep it. */
static gm_status hold_out(struct mnist *m, int64_t seed)
{
    gm_dataset *all = NULL, *train = NULL, *valid = NULL;
    if (m->valid || m->train_rows < 2) return GM_OK;
    const int64_t rows = m->train_rows, out = rows < 12 * HELD_OUT ? (rows + 11) / 12 : HELD_OUT;
    gm_status s = gm_dataset_shuffle(&all, m->train, (uint64_t)seed);
    if (!s) s = gm_dataset_split(&train, &valid, all, rows - out);
    if (!s) {
        gm_dataset_release(m->train);
        m->train = train;
        m->valid = valid;
        m->train_rows = rows - out;
        m->valid_rows = out;
    }
    gm_dataset_release(all);
    return s;
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist m = { 0 };
    struct gmmn g = { .run = &r,
                      .loss = GM_GMMN_MMD,
                      .rate = 0,
                      .average = 0.99,
                      .steps = 0,
                      .autoencoder_epochs = 0,
                      .parzen_samples = 10000 };
    struct json json;
    int status;
    gm_autoencoder *autoencoder = NULL;
    gm_gmmn *gmmn = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_FLAG("autoencoder", &g.autoencoder, "match codes of an autoencoder, not pixels"),
        OPTION_FLAG("layerwise", &g.layerwise, "fit the autoencoder pair by pair before all of it"),
        OPTION_CHOICE("loss", &g.loss, loss_names, "MMD^2 or its root"),
        OPTION_REAL(
            "rate", &g.rate, 0, 10,
            "first learning rate, of Adam on codes, of gradient descent on pixels; 0: chosen"),
        OPTION_REAL("average", &g.average, 0, 0.99999,
                    "decay of the averaged weights that sample; 0: none"),
        OPTION_INT("steps", &g.steps, 0, 100000000,
                   "updates, rounded up to whole epochs, where --epochs is not given; 0: chosen"),
        OPTION_INT("autoencoder-epochs", &g.autoencoder_epochs, 0, 100000,
                   "of the autoencoder; 0: chosen"),
        OPTION_INT("parzen-samples", &g.parzen_samples, 0, 1000000,
                   "samples of the Parzen estimate; 0: none"),
    };

    options_init(&r.options, "gmmn",
                 "Trains a generative moment matching network on handwritten digits.");
    r.options.epochs = 0;
    r.options.batch = 1000;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = mnist_open(&m, r.context, &r.options, MNIST_ROWS);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;
    if ((s = hold_out(&m, r.options.seed))) goto out;
    if (r.options.batch > m.train_rows) r.options.batch = m.train_rows;
    const int64_t each = m.train_rows / r.options.batch; /* steps of an epoch */
    if (!g.steps) g.steps = g.autoencoder ? CODE_STEPS : PIXEL_STEPS;
    if (g.rate <= 0) g.rate = g.autoencoder ? CODE_RATE : PIXEL_RATE;
    if (!r.options.epochs) r.options.epochs = (g.steps + each - 1) / each;
    if (!g.autoencoder_epochs)
        g.autoencoder_epochs =
            options_given(&r.options, "epochs") ? r.options.epochs : AUTOENCODER_EPOCHS;
    /* A checkpoint has the autoencoder in it, already trained. */
    if (g.autoencoder && r.options.resume)
        s = make_autoencoder(&autoencoder, r.context, 1);
    else if (g.autoencoder)
        s = fit_autoencoder(&g, &autoencoder, &m);
    if (s) goto out;
    gm_model *model = gm_autoencoder_model(autoencoder);
    if (!g.stopped) {
        if ((s = make_gmmn(&gmmn, &g, autoencoder, r.options.epochs * each))) goto out;
        model = gm_gmmn_model(gmmn);
        if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
        gmmn = gm_gmmn_from_model(model);
        status = 0;
        if ((s = train(&g, model, &m))) goto out;
    }
    if ((s = report(&g, &json, model, &m))) goto out;
    if (json_end(&json)) status = 1;
out:
    free(g.curve);
    gm_gmmn_release(gmmn);
    gm_autoencoder_release(autoencoder);
    mnist_close(&m);
    return run_end(&r, s, status);
}
