/* generator.c - a differentiable generator network trained by itself: no encoder, no discriminator.
 *
 * Each training image x_i has a code z_i of its own, a free parameter, and network and codes are
 * trained together (generative latent optimisation: Bojanowski, Joulin, Lopez-Paz and Szlam 2018):
 *
 *     minimise over theta and all z_i:   mean of -log p(x_i | g(z_i; theta)),   with |z_i| <= 1
 *
 * The prior is found afterwards, as in the paper: a Gaussian with the mean and the full covariance
 * of the codes. It is then folded into the first layer, z = m + L e, so that e ~ N(0, I) is the
 * prior of the model that is saved, and anything that can sample a generator can sample this one.
 *
 * A test image has no code yet: one is trained with the network held fixed. Writes loss.png,
 * samples_first.png, samples_last.png, reconstructions.png and model.safetensors.
 */
#include "common/image_grid.h"
#include "common/json.h"
#include "common/loop_state.h"
#include "common/message.h"
#include "common/mnist.h"
#include "common/plot.h"
#include "common/progress.h"
#include "common/run.h"
#include "common/stop.h"

#include "gm/gm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIXELS 784
#define MOST_LATENT 128
#define TEST_ROWS 500
#define TEST_STEPS 200
#define PAIRS 50 /* in reconstructions.png */

struct work {
    gm_layer *codes; /* an embedding: one row for each training image */
    gm_layer *net;
    gm_generator *generator;
    gm_optimizer *adam, *adagrad; /* of the network; of the codes */
    gm_params *learnt;            /* both */
    gm_tape *tape;
    gm_rng *rng;
    int64_t latent, train_rows, batch;
    int64_t *order;
    float *rows, *index; /* one mini-batch: images, and which they are */
    struct progress progress;
};

/* Where the codes are: train_rows x latent. */
static float *code_values(const struct work *w)
{
    return gm_param_value(gm_params_get(gm_layer_params(w->codes), 0));
}

/* The nearest point of the unit ball. */
static void project(float *z, int64_t n)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++) square += (double)z[i] * z[i];
    if (square <= 1) return;
    for (int64_t i = 0; i < n; i++) z[i] = (float)(z[i] / sqrt(square));
}

static gm_status build(struct work *w, gm_context *context, int64_t hidden, double rate,
                       double code_rate)
{
    gm_generator_options shape = GM_GENERATOR_OPTIONS_INIT;
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_adagrad_options adagrad = GM_ADAGRAD_OPTIONS_INIT;
    gm_status s;
    if ((s = gm_sequence_create(&w->net, context))) return s;
    gm_sequence_add_linear(w->net, w->latent, hidden);
    gm_sequence_add_relu(w->net);
    gm_sequence_add_linear(w->net, hidden, hidden);
    gm_sequence_add_relu(w->net);
    gm_sequence_add_linear(w->net, hidden, PIXELS);
    shape.latent = w->latent;
    if ((s = gm_generator_create(&w->generator, context, w->net, &shape))) return s;

    /* Codes start well inside the ball. */
    if ((s = gm_embedding_create(&w->codes, context, w->train_rows, w->latent))) return s;
    if ((s = gm_rng_normal(w->rng, w->train_rows * w->latent, 0, 0.5 / sqrt((double)w->latent),
                           code_values(w))))
        return s;

    /* Adagrad for the codes: a row that is not in the mini-batch has no gradient and stays where it
     * is, which momentum would not let it do. */
    adam.rate = rate;
    if ((s = gm_adam_create(&w->adam, context, &adam))) return s;
    if ((s = gm_optimizer_add(w->adam, gm_generator_params(w->generator)))) return s;
    adagrad.rate = code_rate;
    if ((s = gm_adagrad_create(&w->adagrad, context, &adagrad))) return s;
    if ((s = gm_optimizer_add(w->adagrad, gm_layer_params(w->codes)))) return s;

    if ((s = gm_params_create(&w->learnt, context))) return s;
    if ((s = gm_params_add_all(w->learnt, "net.", gm_generator_params(w->generator)))) return s;
    if ((s = gm_params_add_all(w->learnt, "codes.", gm_layer_params(w->codes)))) return s;
    return gm_tape_create(&w->tape, context, NULL);
}

/* One pass over the training rows. */
static gm_status train_epoch(struct work *w, gm_dataset *data, int64_t epoch, double *mean)
{
    double sum = 0;
    gm_status s;
    if ((s = gm_rng_permutation(w->rng, w->train_rows, w->order))) return s;
    for (int64_t begin = 0; begin < w->train_rows; begin += w->batch) {
        const int64_t left = w->train_rows - begin;
        const int64_t count = left < w->batch ? left : w->batch;
        const int64_t shape[] = { count, PIXELS };
        const int64_t *which = w->order + begin;
        if ((s = gm_dataset_read(data, which, count, epoch, w->rows))) return s;
        for (int64_t i = 0; i < count; i++) w->index[i] = (float)which[i];

        gm_tape *tape = w->tape;
        gm_tape_reset(tape);
        const gm_var x = gm_input_array(tape, 2, shape, w->rows);
        const gm_var z = gm_apply(tape, w->codes, gm_input_array(tape, 1, shape, w->index));
        const gm_var y = gm_generator_apply(tape, w->generator, z);
        const gm_var loss = gm_mean(tape, gm_generator_nll(tape, w->generator, y, x));
        if ((s = gm_backward(tape, loss, w->learnt))) return s;
        if ((s = gm_optimizer_step(w->adam))) return s;
        if ((s = gm_optimizer_step(w->adagrad))) return s;
        for (int64_t i = 0; i < count; i++)
            project(code_values(w) + which[i] * w->latent, w->latent);

        sum += gm_scalar(tape, loss) * (double)count;
        *mean = sum / (double)(begin + count);
        progress_step(&w->progress, epoch + 1, begin + count, w->train_rows, *mean);
        if (stop_requested()) return GM_E_CANCELLED;
    }
    return GM_OK;
}

/* Mean m and the lower triangle L of the covariance, L L^T = C, of the codes (Cholesky). */
static void fit_gaussian(const struct work *w, double *m, double *l)
{
    const int64_t d = w->latent, n = w->train_rows;
    const float *z = code_values(w);
    memset(m, 0, (size_t)d * sizeof *m);
    memset(l, 0, (size_t)(d * d) * sizeof *l);
    for (int64_t r = 0; r < n; r++) {
        for (int64_t i = 0; i < d; i++) m[i] += z[r * d + i] / (double)n;
    }
    for (int64_t r = 0; r < n; r++) {
        for (int64_t i = 0; i < d; i++) {
            const double a = (z[r * d + i] - m[i]) / (double)n;
            for (int64_t k = 0; k <= i; k++) l[i * d + k] += a * (z[r * d + k] - m[k]);
        }
    }
    for (int64_t i = 0; i < d; i++) l[i * d + i] += 1e-6; /* fewer images than dimensions */
    for (int64_t i = 0; i < d; i++) {
        for (int64_t k = 0; k <= i; k++) {
            double sum = l[i * d + k];
            for (int64_t t = 0; t < k; t++) sum -= l[i * d + t] * l[k * d + t];
            l[i * d + k] = i == k ? sqrt(sum) : sum / l[k * d + k];
        }
    }
}

/* W (m + L e) + b = (W L) e + (W m + b): from here on the network takes e ~ N(0, I). */
static int fold_prior(struct work *w)
{
    const int64_t d = w->latent;
    const gm_params *params = gm_generator_params(w->generator);
    gm_param *weight = gm_params_find(params, "0.weight"), *bias = gm_params_find(params, "0.bias");
    double *m = malloc((size_t)(d * (d + 2)) * sizeof *m);
    if (m == NULL) {
        message("no memory");
        return -1;
    }
    double *l = m + d, *row = l + d * d;
    fit_gaussian(w, m, l);
    for (int64_t h = 0; h < gm_param_count(bias); h++) {
        float *to = gm_param_value(weight) + h * d;
        double shift = 0;
        for (int64_t k = 0; k < d; k++) {
            shift += to[k] * m[k];
            row[k] = 0;
            for (int64_t i = k; i < d; i++) row[k] += to[i] * l[i * d + k];
        }
        for (int64_t k = 0; k < d; k++) to[k] = (float)row[k];
        gm_param_value(bias)[h] += (float)shift;
    }
    free(m);
    return 0;
}

/* Codes for test images, the network fixed: those that are most probable given the image, the
 * minimum over e of -log p(x | e) - log p(e). Nothing but the codes is in the set that gm_backward
 * is given. The mean of -log p(x | e) goes into *loss, images and their reconstructions, by tens,
 * into reconstructions.png. */
static gm_status test(struct work *w, const struct options *o, gm_dataset *data, double *loss,
                      int *status)
{
    const int64_t rows = gm_dataset_rows(data);
    const int64_t n = rows < TEST_ROWS ? rows : TEST_ROWS, shape[] = { n, w->latent };
    const int64_t pairs = n < PAIRS ? n : PAIRS, view[] = { pairs, w->latent };
    const int64_t picture[] = { pairs, PIXELS };
    gm_context *context = gm_tape_context(w->tape);
    gm_adam_options options = GM_ADAM_OPTIONS_INIT;
    gm_tensor *x = NULL, *z = NULL, *y = NULL;
    gm_optimizer *adam = NULL;
    gm_params *only = NULL;
    gm_param *codes = NULL;
    float *both = NULL;
    char path[OPTIONS_PATH_SIZE];
    gm_status s;
    if ((s = gm_dataset_read_tensor(&x, data, 0, n, 0))) goto out;
    if ((s = gm_param_create(&codes, context, "test_codes", 2, shape))) goto out;
    if ((s = gm_params_create(&only, context))) goto out;
    if ((s = gm_params_add(only, NULL, codes))) goto out;
    options.rate = 0.05;
    if ((s = gm_adam_create(&adam, context, &options))) goto out;
    if ((s = gm_optimizer_add(adam, only))) goto out;
    for (int i = 0; i < TEST_STEPS; i++) {
        gm_tape_reset(w->tape);
        const gm_var e = gm_parameter(w->tape, codes);
        const gm_var out = gm_generator_apply(w->tape, w->generator, e);
        const gm_var nll =
            gm_mean(w->tape, gm_generator_nll(w->tape, w->generator, out, gm_input(w->tape, x)));
        const gm_var prior =
            gm_scale(w->tape, gm_sum(w->tape, gm_square(w->tape, e)), 0.5 / (double)n);
        if ((s = gm_backward(w->tape, gm_add(w->tape, nll, prior), only))) goto out;
        if ((s = gm_optimizer_step(adam))) goto out;
        *loss = gm_scalar(w->tape, nll);
    }

    if ((s = gm_tensor_create_from(&z, context, 2, view, gm_param_value(codes)))) goto out;
    if ((s = gm_tensor_create(&y, context, 2, picture))) goto out;
    if ((s = gm_generator_decode(w->generator, gm_tensor_read(z), gm_tensor_shape(z)[0],
                                 gm_tensor_data(y))))
        goto out;
    both = calloc((size_t)(2 * PAIRS * PIXELS),
                  sizeof *both); /* a row of digits, then a row of fits */
    if (both == NULL) {
        message("no memory");
        *status = 1;
        goto out;
    }
    for (int64_t i = 0; i < pairs; i++) {
        float *to = both + (i / 10 * 20 + i % 10) * PIXELS;
        memcpy(to, gm_tensor_read(x) + i * PIXELS, PIXELS * sizeof *to);
        memcpy(to + 10 * PIXELS, gm_tensor_read(y) + i * PIXELS, PIXELS * sizeof *to);
    }
    if (image_grid_write(options_out_path(o, "reconstructions.png", path), both,
                         (int)((pairs + 9) / 10 * 20), 1, 28, 28, 10,
                         "test digits, and below each row the nearest that the generator makes"))
        *status = 1;
out:
    free(both);
    gm_tensor_release(y);
    gm_tensor_release(z);
    gm_tensor_release(x);
    gm_optimizer_release(adam);
    gm_params_release(only);
    gm_param_release(codes);
    return s;
}

static gm_status draw(const struct work *w, const struct options *o, const char *file,
                      const char *title, int *status)
{
    char path[OPTIONS_PATH_SIZE];
    gm_tensor *images = NULL;
    gm_model *model = gm_generator_model(w->generator);
    gm_model_seed(model, (uint64_t)o->seed);
    const gm_status s = gm_model_sample(&images, model, 100);
    if (!s && image_grid_write(options_out_path(o, file, path), gm_tensor_read(images), 100, 1, 28,
                               28, 10, title))
        *status = 1;
    gm_tensor_release(images);
    return s;
}

static int plot_losses(const struct options *o, const double *losses, int64_t epochs)
{
    char path[OPTIONS_PATH_SIZE];
    const struct plot_series line = { .label = "training", .y = losses, .count = (int)epochs };
    const struct plot plot = { .title = "Generator and codes trained together",
                               .x_label = "epoch",
                               .panels = 1,
                               .panel = { { .y_label = "-log p(x | z) (nats per image)" } },
                               .series = &line,
                               .series_count = 1 };
    return plot_write(options_out_path(o, "loss.png", path), &plot);
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist data = { 0 };
    struct work w = { 0 };
    struct json j;
    int64_t hidden = 400, epochs = 0, first = 0; /* first: epochs of --resume */
    double rate = 1e-3, code_rate = 0.05, *losses = NULL, test_loss = NAN;
    int stopped = 0;
    char path[OPTIONS_PATH_SIZE];
    gm_status s = GM_OK;
    w.latent = 16;
    const struct option own[] = {
        OPTION_INT("latent", &w.latent, 1, MOST_LATENT, "size of a code"),
        OPTION_INT("hidden", &hidden, 1, 4096, "units of each hidden layer"),
        OPTION_REAL("rate", &rate, 1e-9, 1.0, "learning rate of the network (Adam)"),
        OPTION_REAL("code-rate", &code_rate, 1e-9, 10.0, "learning rate of the codes (Adagrad)"),
    };

    options_init(&r.options, "generator",
                 "Trains a differentiable generator network, with a free code for each image.");
    r.options.epochs = 60;
    int status = run_start(&r, argc, argv, own, 4);
    if (status != OPTIONS_GO_ON) return status;
    const struct options *o = &r.options;
    if ((status = mnist_open(&data, r.context, o, MNIST_ROWS)) != OPTIONS_GO_ON) goto out;
    status = 0;

    w.train_rows = data.train_rows;
    w.batch = o->batch;
    w.order = malloc((size_t)w.train_rows * sizeof *w.order);
    w.rows = malloc((size_t)(w.batch * PIXELS) * sizeof *w.rows);
    w.index = malloc((size_t)w.batch * sizeof *w.index);
    losses = malloc((size_t)o->epochs * sizeof *losses);
    if (w.order == NULL || w.rows == NULL || w.index == NULL || losses == NULL) {
        message("no memory");
        status = 1;
        goto out;
    }
    if ((s = gm_rng_create(&w.rng, r.context, (uint64_t)o->seed))) goto out;
    if ((s = build(&w, r.context, hidden, rate, code_rate))) goto out;

    const struct loop_state state = { .program = "generator",
                                      .params = w.learnt,
                                      .optimizers = { w.adam, w.adagrad },
                                      .rngs = { w.rng, gm_tape_rng(w.tape) } };
    if ((status = loop_state_resume(&state, &r, &first, &s)) != OPTIONS_GO_ON) goto out;
    status = 0;
    for (int64_t i = 0; i < o->epochs; i++) losses[i] = NAN;
    if (!first && (s = draw(&w, o, "samples_first.png", "before training", &status))) goto out;
    progress_begin(&w.progress, o->epochs, o->quiet);
    for (epochs = first; epochs < options_last_epoch(o); epochs++) {
        s = train_epoch(&w, data.train, epochs, &losses[epochs]);
        stopped = s == GM_E_CANCELLED;
        if (stopped) break;
        if (s) goto out;
        progress_epoch(&w.progress, epochs + 1, losses[epochs], NAN);
        if ((s = loop_state_save(&state, &r, epochs + 1))) goto out;
    }
    stopped = stopped || epochs < o->epochs;
    progress_end(&w.progress);
    s = GM_OK;

    if (fold_prior(&w)) {
        status = 1;
        goto out;
    }
    gm_model *model = gm_generator_model(w.generator);
    if ((s = draw(&w, o, "samples_last.png", "samples of the trained generator", &status)))
        goto out;
    if ((s = gm_model_save(model, options_out_path(o, "model.safetensors", path)))) goto out;
    if ((s = test(&w, o, data.test, &test_loss, &status))) goto out;
    if (epochs > first && plot_losses(o, losses, epochs)) status = 1;

    json_begin(&j, "generator", data.name);
    mnist_json(&j, &data);
    json_whole(&j, "epochs", epochs);
    json_number(&j, "test_loss", test_loss);
    json_number(&j, "samples_per_second", progress_rate(&w.progress));
    json_number(&j, "seconds", run_seconds(&r));
    if (stopped) json_flag(&j, "stopped", 1);
    if (json_end(&j)) status = 1;
out:
    progress_end(&w.progress);
    gm_tape_release(w.tape);
    gm_params_release(w.learnt);
    gm_optimizer_release(w.adagrad);
    gm_optimizer_release(w.adam);
    gm_generator_release(w.generator);
    gm_layer_release(w.net);
    gm_layer_release(w.codes);
    gm_rng_release(w.rng);
    mnist_close(&data);
    free(losses);
    free(w.index);
    free(w.rows);
    free(w.order);
    return run_end(&r, s, status);
}
