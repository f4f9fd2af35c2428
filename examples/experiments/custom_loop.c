/* custom_loop.c - a training loop of one's own: a variational autoencoder, written on the tape.
 *
 * The library's gm_vae does all this in one call of gm_model_fit. Here every line of the
 * mathematics is a line of C, which is the way to a model that the library does not have. For each
 * image x (Kingma and Welling 2014)
 *
 *     q(z | x) = N(m, e^v)         the encoder gives m and v
 *     z        = m + e^(v/2) eps   eps ~ N(0, I), so that gradients pass through the sample
 *     loss     = -log p(x | z) + KL(q(z | x) || N(0, I))
 *
 * and the mean of the loss over a mini-batch goes down by Adam. Writes loss.png, samples_first.png,
 * samples_last.png, and model.safetensors: the decoder, as a generator that `sample` draws from.
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

#define PIXELS 784
#define HIDDEN 400
#define LATENT 10
#define LIMIT 10.0 /* of the log-variances */

/* An operation that the library lacks: L tanh(a / L) keeps a within -L .. L without the flat ends
 * of a clamp, so e^v cannot overflow and a gradient always finds its way back. The library asks for
 * the shape, the value and the gradient. */
static gm_status soft_limit_infer(void *user, const gm_op_view *o, int32_t *rank, int64_t *shape)
{
    (void)user;
    *rank = o->ranks[0];
    for (int32_t i = 0; i < *rank; i++) shape[i] = o->shapes[0][i];
    return GM_OK;
}

static int64_t elements(const gm_op_view *o)
{
    int64_t n = 1;
    for (int32_t i = 0; i < o->rank; i++) n *= o->shape[i];
    return n;
}

static gm_status soft_limit_forward(void *user, const gm_op_view *o)
{
    const int64_t n = elements(o);
    (void)user;
    for (int64_t i = 0; i < n; i++) o->value[i] = (float)(LIMIT * tanh(o->values[0][i] / LIMIT));
    return GM_OK;
}

/* d/da L tanh(a / L) = 1 - tanh^2(a / L), and tanh(a / L) is the value over L. Gradients are added.
 */
static gm_status soft_limit_backward(void *user, const gm_op_view *o)
{
    const int64_t n = elements(o);
    (void)user;
    if (o->gradients[0] == NULL) return GM_OK;
    for (int64_t i = 0; i < n; i++) {
        const double t = o->value[i] / LIMIT;
        o->gradients[0][i] += (float)(o->gradient[i] * (1 - t * t));
    }
    return GM_OK;
}

static gm_var soft_limit(gm_tape *tape, gm_var a)
{
    gm_host_op op = GM_HOST_OP_INIT;
    op.name = "soft_limit";
    op.infer = soft_limit_infer;
    op.forward = soft_limit_forward;
    op.backward = soft_limit_backward;
    return gm_host(tape, &op, &a, 1);
}

/* -log p(x | z) + KL for each of `count` images, on the tape: the whole model. No line needs a
 * check; the first failure sticks to the tape. */
static gm_var bound(gm_tape *tape, gm_layer *encoder, gm_layer *decoder, const float *rows,
                    int64_t count)
{
    const int64_t shape[] = { count, PIXELS };
    const gm_var x = gm_input_array(tape, 2, shape, rows);
    const gm_var q = gm_apply(tape, encoder, x);
    const gm_var m = gm_slice(tape, q, 1, 0, LATENT);
    const gm_var v = soft_limit(tape, gm_slice(tape, q, 1, LATENT, 2 * LATENT));
    const gm_var z = gm_gaussian_draw(tape, m, v);
    const gm_var logits = gm_apply(tape, decoder, z);
    const gm_var misfit = gm_bce_with_logits(tape, logits, x);
    return gm_add(tape, misfit, gm_gaussian_kl(tape, m, v));
}

struct loop {
    gm_tape *tape;
    gm_layer *encoder, *decoder;
    gm_params *params;
    gm_optimizer *adam;
    gm_rng *rng;
    int64_t *order; /* a permutation of the training rows */
    float *rows;    /* one mini-batch */
    int64_t batch;
    struct progress progress;
};

/* One pass over the training rows in a new order; their mean loss into *mean. GM_E_CANCELLED after
 * Ctrl-C. */
static gm_status train_epoch(struct loop *l, struct mnist *data, int64_t epoch, double *mean)
{
    double sum = 0;
    gm_status s;
    if ((s = gm_rng_permutation(l->rng, data->train_rows, l->order))) return s;
    for (int64_t begin = 0; begin < data->train_rows; begin += l->batch) {
        const int64_t left = data->train_rows - begin;
        const int64_t count = left < l->batch ? left : l->batch;
        if ((s = gm_dataset_read(data->train, l->order + begin, count, epoch, l->rows))) return s;

        gm_tape_reset(l->tape);
        const gm_var each = bound(l->tape, l->encoder, l->decoder, l->rows, count);
        const gm_var loss = gm_mean(l->tape, each);
        if ((s = gm_backward(l->tape, loss, l->params))) return s;
        if ((s = gm_optimizer_step(l->adam))) return s;

        sum += gm_scalar(l->tape, loss) * (double)count;
        *mean = sum / (double)(begin + count);
        progress_step(&l->progress, epoch + 1, begin + count, data->train_rows, *mean);
        if (stop_requested()) return GM_E_CANCELLED;
    }
    return GM_OK;
}

/* The mean bound over the test rows; nothing is learnt, so the parameters may be constants. */
static gm_status test(struct loop *l, struct mnist *data, double *mean)
{
    double sum = 0;
    gm_status s = GM_OK;
    gm_tape_set_mode(l->tape, GM_TAPE_CONSTANT);
    for (int64_t begin = 0; begin < data->test_rows; begin += l->batch) {
        const int64_t left = data->test_rows - begin;
        const int64_t count = left < l->batch ? left : l->batch;
        for (int64_t i = 0; i < count; i++) l->order[i] = begin + i;
        if ((s = gm_dataset_read(data->test, l->order, count, 0, l->rows))) break;
        gm_tape_reset(l->tape);
        const gm_var each = bound(l->tape, l->encoder, l->decoder, l->rows, count);
        const gm_var loss = gm_mean(l->tape, each);
        if ((s = gm_tape_status(l->tape))) break;
        sum += gm_scalar(l->tape, loss) * (double)count;
    }
    gm_tape_set_mode(l->tape, GM_TAPE_TRAIN);
    *mean = sum / (double)data->test_rows;
    return s;
}

static gm_status draw(const struct run *r, gm_model *model, const char *file, const char *title,
                      int *status)
{
    char path[OPTIONS_PATH_SIZE];
    gm_tensor *images = NULL;
    gm_model_seed(model,
                  (uint64_t)r->options.seed); /* the same z for the first and the last picture */
    const gm_status s = gm_model_sample(&images, model, 100);
    if (!s && image_grid_write(options_out_path(&r->options, file, path), gm_tensor_read(images),
                               100, 1, 28, 28, 10, title))
        *status = 1;
    gm_tensor_release(images);
    return s;
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist data = { 0 };
    struct loop l = { 0 };
    struct json j;
    gm_generator_options shape = GM_GENERATOR_OPTIONS_INIT;
    gm_generator *generator = NULL;
    double *losses = NULL, test_loss = NAN;
    int64_t epochs = 0, first = 0; /* first: those of --resume */
    int stopped = 0;
    char path[OPTIONS_PATH_SIZE];
    gm_status s = GM_OK;

    options_init(&r.options, "custom_loop",
                 "Trains a variational autoencoder by a loop of its own.");
    r.options.epochs = 40;
    int status = run_start(&r, argc, argv, NULL, 0);
    if (status != OPTIONS_GO_ON) return status;
    const struct options *o = &r.options;
    if ((status = mnist_open(&data, r.context, o, MNIST_ROWS)) != OPTIONS_GO_ON) goto out;
    status = 0;

    /* The two networks. A failure inside a sequence is kept there and comes out at the first use.
     */
    if ((s = gm_sequence_create(&l.encoder, r.context))) goto out;
    gm_sequence_add_linear(l.encoder, PIXELS, HIDDEN);
    gm_sequence_add_relu(l.encoder);
    gm_sequence_add_linear(l.encoder, HIDDEN, 2 * LATENT);
    if ((s = gm_sequence_create(&l.decoder, r.context))) goto out;
    gm_sequence_add_linear(l.decoder, LATENT, HIDDEN);
    gm_sequence_add_relu(l.decoder);
    gm_sequence_add_linear(l.decoder, HIDDEN, PIXELS);

    /* What is learnt, by what. */
    if ((s = gm_params_create(&l.params, r.context))) goto out;
    if ((s = gm_params_add_all(l.params, "encoder.", gm_layer_params(l.encoder)))) goto out;
    if ((s = gm_params_add_all(l.params, "decoder.", gm_layer_params(l.decoder)))) goto out;
    if ((s = gm_adam_create(&l.adam, r.context, NULL))) goto out; /* rate 1e-3 */
    if ((s = gm_optimizer_add(l.adam, l.params))) goto out;

    /* The decoder with a prior in front is a model that can be sampled and saved. It shares the
     * layer. */
    shape.latent = LATENT;
    if ((s = gm_generator_create(&generator, r.context, l.decoder, &shape))) goto out;
    gm_model *model = gm_generator_model(generator);

    l.batch = o->batch;
    const int64_t most = data.train_rows > l.batch ? data.train_rows : l.batch;
    l.order = malloc((size_t)most * sizeof *l.order);
    l.rows = malloc((size_t)(l.batch * PIXELS) * sizeof *l.rows);
    losses = malloc((size_t)o->epochs * sizeof *losses);
    if (l.order == NULL || l.rows == NULL || losses == NULL) {
        message("no memory");
        status = 1;
        goto out;
    }
    if ((s = gm_rng_create(&l.rng, r.context, (uint64_t)o->seed))) goto out;
    if ((s = gm_tape_create(&l.tape, r.context, NULL))) goto out;

    const struct loop_state state = { .program = "custom_loop",
                                      .params = l.params,
                                      .optimizers = { l.adam },
                                      .rngs = { l.rng, gm_tape_rng(l.tape) } };
    if ((status = loop_state_resume(&state, &r, &first, &s)) != OPTIONS_GO_ON) goto out;
    status = 0;
    for (int64_t i = 0; i < o->epochs; i++) losses[i] = NAN;
    if (!first && (s = draw(&r, model, "samples_first.png", "before training", &status))) goto out;
    progress_begin(&l.progress, o->epochs, o->quiet);
    for (epochs = first; epochs < options_last_epoch(o); epochs++) {
        double checked = NAN;
        s = train_epoch(&l, &data, epochs, &losses[epochs]);
        stopped = s == GM_E_CANCELLED;
        if (s && !stopped) goto out;
        if (stopped) break;
        if ((s = test(&l, &data, &checked))) goto out;
        progress_epoch(&l.progress, epochs + 1, losses[epochs], checked);
        if ((s = loop_state_save(&state, &r, epochs + 1))) goto out;
    }
    stopped = stopped || epochs < o->epochs;
    progress_end(&l.progress);

    if ((s = test(&l, &data, &test_loss))) goto out;
    if ((s = draw(&r, model, "samples_last.png", "samples of the trained decoder", &status)))
        goto out;
    if ((s = gm_model_save(model, options_out_path(o, "model.safetensors", path)))) goto out;
    if (epochs > first) {
        const struct plot_series line = { .label = "training", .y = losses, .count = (int)epochs };
        const struct plot plot = { .title = "A loop of one's own",
                                   .x_label = "epoch",
                                   .panels = 1,
                                   .panel = { { .y_label = "loss (nats per image)" } },
                                   .series = &line,
                                   .series_count = 1 };
        if (plot_write(options_out_path(o, "loss.png", path), &plot)) status = 1;
    }
    json_begin(&j, "custom_loop", data.name);
    mnist_json(&j, &data);
    json_whole(&j, "epochs", epochs);
    json_number(&j, "test_loss", test_loss);
    json_number(&j, "samples_per_second", progress_rate(&l.progress));
    json_number(&j, "seconds", run_seconds(&r));
    if (stopped) json_flag(&j, "stopped", 1);
    if (json_end(&j)) status = 1;
out:
    progress_end(&l.progress);
    gm_tape_release(l.tape);
    gm_rng_release(l.rng);
    gm_generator_release(generator);
    gm_optimizer_release(l.adam);
    gm_params_release(l.params);
    gm_layer_release(l.decoder);
    gm_layer_release(l.encoder);
    mnist_close(&data);
    free(losses);
    free(l.rows);
    free(l.order);
    return run_end(&r, s, status);
}
