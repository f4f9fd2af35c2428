/* classifier.c - trains a small convolutional network to read digits.
 *
 *     classifier --data DIR        60 000 digits, 3 epochs: 99.2 % of the test digits are read
 *
 * Not a generative model; it is here because it shows in a minute that tape, layers and optimizer
 * learn, and because generators need something that reads their samples: model.safetensors is what
 * the GAN examples take as --classifier. The network is LeCun et al. 1998's in its modern form,
 *
 *     5x5 convolution, ReLU, 2x2 maximum    1 x 28 x 28 -> 16 x 12 x 12
 *     5x5 convolution, ReLU, 2x2 maximum    -> 32 x 4 x 4
 *     two linear layers, ReLU between       -> 128 -> one logit for each class
 *
 * and -log p(class | image) goes down by Adam, its rate falling to 0 in a cosine. Writes loss.png,
 * and samples_first.png and samples_last.png: for each true class (row) and each answer (column)
 * the test digit that got the answer most surely. The diagonal is right; before training a column
 * or two are full.
 */
#include "common/classify.h"
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
#include <stdio.h>
#include <stdlib.h>

#define SIDE 28
#define PIXELS (SIDE * SIDE)
#define POINTS 50 /* of the loss curve, for each epoch */
#define GROUP 500 /* test digits at a time */

struct learner {
    struct classifier c; /* the network, and a tape to test on */
    gm_tape *tape;
    gm_optimizer *adam;
    gm_rng *rng;
    int64_t batch, most; /* rows of a mini-batch; of any read */
    int64_t *order;      /* a permutation of the training rows */
    int64_t *labels;     /* [most] */
    float *rows;         /* [most, PIXELS] */
    float *classes;      /* [most]: labels as the loss takes them */
    struct progress progress;
    double *points, *losses; /* the curve: place in epochs, mean loss since the point before */
    int64_t count, room;
    int64_t first;  /* epochs of --resume */
    double *tested; /* -log p on the test digits at each epoch's end */
};

static gm_status make_net(gm_layer **net, gm_context *context, int64_t classes)
{
    static const int64_t image[] = { 1, SIDE, SIDE };
    const gm_status s = gm_sequence_create(net, context);
    if (s) return s;
    gm_sequence_add_reshape(*net, 3, image);
    gm_sequence_add_conv2d(*net, 1, 16, 5, 1, 0);
    gm_sequence_add_relu(*net);
    gm_sequence_add_max_pool2d(*net, 2, 2, 0);
    gm_sequence_add_conv2d(*net, 16, 32, 5, 1, 0);
    gm_sequence_add_relu(*net);
    gm_sequence_add_max_pool2d(*net, 2, 2, 0);
    gm_sequence_add_flatten(*net);
    gm_sequence_add_linear(*net, 32 * 4 * 4, 128);
    gm_sequence_add_relu(*net);
    gm_sequence_add_linear(*net, 128, classes);
    return gm_sequence_status(*net);
}

/* Images and labels of rows[0 .. count-1] into l. */
static gm_status read_batch(struct learner *l, gm_dataset *data, const int64_t *rows, int64_t count,
                            int64_t pass)
{
    gm_status s;
    if ((s = gm_dataset_read(data, rows, count, pass, l->rows))) return s;
    if ((s = gm_dataset_read_labels(data, rows, count, l->labels))) return s;
    for (int64_t i = 0; i < count; i++) l->classes[i] = (float)l->labels[i];
    return GM_OK;
}

/* Up to POINTS times an epoch: the mean loss since the point before. */
static void add_point(struct learner *l, double place, double *sum, int64_t *seen, int last)
{
    if (*seen == 0 || l->count >= l->room) return;
    if (!last && place - (double)l->first < (double)(l->count + 1) / POINTS) return;
    l->points[l->count] = place;
    l->losses[l->count++] = *sum / (double)*seen;
    *sum = 0;
    *seen = 0;
}

/* One pass over the training rows in a new order; their mean loss into *mean. GM_E_CANCELLED after
 * Ctrl-C. */
static gm_status train_epoch(struct learner *l, struct mnist *data, int64_t epoch, double *mean)
{
    double sum = 0, since = 0;
    int64_t seen = 0;
    gm_status s;
    if ((s = gm_rng_permutation(l->rng, data->train_rows, l->order))) return s;
    for (int64_t begin = 0; begin < data->train_rows; begin += l->batch) {
        const int64_t left = data->train_rows - begin;
        const int64_t count = left < l->batch ? left : l->batch;
        const int64_t shape[2] = { count, PIXELS };
        if ((s = read_batch(l, data->train, l->order + begin, count, epoch))) return s;

        gm_tape_reset(l->tape);
        const gm_var x = gm_input_array(l->tape, 2, shape, l->rows);
        const gm_var truth = gm_input_array(l->tape, 1, &count, l->classes);
        const gm_var logits = gm_apply(l->tape, l->c.net, x);
        const gm_var loss = gm_mean(l->tape, gm_cross_entropy(l->tape, logits, truth));
        if ((s = gm_backward(l->tape, loss, gm_layer_params(l->c.net)))) return s;
        if ((s = gm_optimizer_step(l->adam))) return s;

        const double value = gm_scalar(l->tape, loss) * (double)count;
        sum += value;
        since += value;
        seen += count;
        *mean = sum / (double)(begin + count);
        if (!isfinite(value))
            return gm_context_fail(gm_tape_context(l->tape), GM_E_NUMERIC,
                                   "the loss is not finite; a smaller --rate may help");
        add_point(l, (double)epoch + (double)(begin + count) / (double)data->train_rows, &since,
                  &seen, begin + count == data->train_rows);
        progress_step(&l->progress, epoch + 1, begin + count, data->train_rows, *mean);
        if (stop_requested()) return GM_E_CANCELLED;
    }
    return GM_OK;
}

/* For each true class and each answer, the digit that got the answer most surely. */
struct table {
    int64_t classes;
    float *images; /* [classes, classes, PIXELS]; black where there is none */
    float *surest; /* [classes, classes] */
};

static void table_note(struct table *t, int64_t truth, int64_t answer, float sure, const float *row)
{
    const int64_t at = truth * t->classes + answer;
    if (sure <= t->surest[at]) return;
    t->surest[at] = sure;
    for (int64_t j = 0; j < PIXELS; j++) t->images[at * PIXELS + j] = row[j];
}

/* Over the test digits: the share that is read rightly, and the mean of -log p(class | image). The
 * table may be NULL. */
static gm_status test(struct learner *l, struct mnist *data, double *accuracy, double *nll,
                      struct table *table)
{
    const int64_t classes = l->c.classes;
    int64_t rows[GROUP], right = 0;
    float log_p[GROUP * CLASSIFY_MOST];
    double sum = 0;
    gm_status s;
    for (int64_t begin = 0; begin < data->test_rows; begin += GROUP) {
        const int64_t left = data->test_rows - begin, count = left < GROUP ? left : GROUP;
        for (int64_t i = 0; i < count; i++) rows[i] = begin + i;
        if ((s = read_batch(l, data->test, rows, count, 0))) return s;
        if ((s = classify_log_probs(&l->c, l->rows, count, log_p))) return s;
        for (int64_t i = 0; i < count; i++) {
            const float *p = log_p + i * classes;
            int64_t answer = 0;
            for (int64_t k = 1; k < classes; k++)
                if (p[k] > p[answer]) answer = k;
            right += answer == l->labels[i];
            sum -= (double)p[l->labels[i]];
            if (table) table_note(table, l->labels[i], answer, p[answer], l->rows + i * PIXELS);
        }
    }
    *accuracy = (double)right / (double)data->test_rows;
    *nll = sum / (double)data->test_rows;
    return GM_OK;
}

static gm_status draw(struct learner *l, struct mnist *data, const struct options *o,
                      const char *file, int *status, double *accuracy, double *nll)
{
    const int64_t classes = l->c.classes, cells = classes * classes;
    char path[OPTIONS_PATH_SIZE], title[96], names[CLASSIFY_MOST][12];
    const char *labels[CLASSIFY_MOST];
    struct table t = { .classes = classes };
    gm_status s = GM_E_NOMEM;
    t.images = calloc((size_t)(cells * PIXELS), sizeof *t.images);
    t.surest = calloc((size_t)cells, sizeof *t.surest);
    if (t.images == NULL || t.surest == NULL) goto out;
    for (int64_t i = 0; i < cells; i++) t.surest[i] = -INFINITY;
    if ((s = test(l, data, accuracy, nll, &t))) goto out;
    for (int64_t k = 0; k < classes; k++) {
        snprintf(names[k], sizeof names[k], "%d", (int)k);
        labels[k] = names[k];
    }
    snprintf(title, sizeof title, "Rows: true class, columns: answer. %.2f %% of %lld are right",
             100 * *accuracy, (long long)data->test_rows);
    const struct image_grid grid = { .images = t.images,
                                     .count = (int)cells,
                                     .channels = 1,
                                     .height = SIDE,
                                     .width = SIDE,
                                     .columns = (int)classes,
                                     .title = title,
                                     .row_labels = labels,
                                     .column_labels = labels };
    if (image_grid_draw(options_out_path(o, file, path), &grid)) *status = 1;
out:
    free(t.surest);
    free(t.images);
    return s;
}

static int plot_losses(const struct learner *l, const struct options *o, int64_t epochs)
{
    char path[OPTIONS_PATH_SIZE];
    const struct plot_series series[] = {
        { .label = "training digits", .x = l->points, .y = l->losses, .count = (int)l->count },
        { .label = "test digits", .y = l->tested, .count = (int)epochs, .dashed = 1 },
    };
    const struct plot plot = { .title = "Classifier",
                               .x_label = "epoch",
                               .panels = 1,
                               .panel = { { .y_label = "-log p(class | image), nats",
                                            .log_y = 1 } },
                               .series = series,
                               .series_count = epochs > l->first ? 2 : 1 };
    return plot_write(options_out_path(o, "loss.png", path), &plot);
}

/* Memory, the network, and Adam with its rate going from `rate` to 0 over all steps. */
static gm_status learner_open(struct learner *l, gm_context *context, const struct options *o,
                              const struct mnist *data, double rate)
{
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_schedule fall = GM_SCHEDULE_INIT;
    gm_layer *net = NULL;
    int64_t classes = gm_dataset_classes(data->train);
    gm_status s;
    if (gm_dataset_classes(data->test) > classes) classes = gm_dataset_classes(data->test);
    if (classes > CLASSIFY_MOST)
        return gm_context_fail(context, GM_E_INVALID, "the labels name more than 100 classes");
    l->batch = o->batch < data->train_rows ? o->batch : data->train_rows;
    l->most = l->batch > GROUP ? l->batch : GROUP;
    l->room = o->epochs * POINTS;
    l->order = malloc((size_t)data->train_rows * sizeof *l->order);
    l->labels = malloc((size_t)l->most * sizeof *l->labels);
    l->rows = malloc((size_t)(l->most * PIXELS) * sizeof *l->rows);
    l->classes = malloc((size_t)l->most * sizeof *l->classes);
    l->points = malloc((size_t)l->room * sizeof *l->points);
    l->losses = malloc((size_t)l->room * sizeof *l->losses);
    l->tested = malloc((size_t)o->epochs * sizeof *l->tested);
    if (!l->order || !l->labels || !l->rows || !l->classes || !l->points || !l->losses ||
        !l->tested)
        return gm_context_fail(context, GM_E_NOMEM, "no memory");

    const int64_t steps = (data->train_rows + l->batch - 1) / l->batch * o->epochs;
    adam.rate = rate;
    fall.kind = GM_SCHEDULE_COSINE;
    fall.warmup = steps / 20;
    fall.period = steps - fall.warmup;
    if ((s = make_net(&net, context, classes))) goto out;
    if ((s = classify_wrap(&l->c, net, PIXELS, classes))) goto out;
    if ((s = gm_adam_create(&l->adam, context, &adam))) goto out;
    if ((s = gm_optimizer_set_schedule(l->adam, &fall))) goto out;
    if ((s = gm_optimizer_add(l->adam, gm_layer_params(net)))) goto out;
    if ((s = gm_rng_create(&l->rng, context, (uint64_t)o->seed))) goto out;
    s = gm_tape_create(&l->tape, context, NULL);
out:
    gm_layer_release(net);
    return s;
}

static void learner_close(struct learner *l)
{
    progress_end(&l->progress);
    gm_tape_release(l->tape);
    gm_rng_release(l->rng);
    gm_optimizer_release(l->adam);
    classify_close(&l->c);
    free(l->tested);
    free(l->losses);
    free(l->points);
    free(l->classes);
    free(l->rows);
    free(l->labels);
    free(l->order);
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist data = { 0 };
    struct learner l = { 0 };
    struct json j;
    double rate = 2e-3, accuracy = NAN, nll = NAN, before = NAN;
    int64_t epochs = 0;
    int stopped = 0;
    char path[OPTIONS_PATH_SIZE];
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_REAL("rate", &rate, 1e-9, 1.0, "learning rate of Adam at its highest"),
    };

    options_init(&r.options, "classifier", "Trains a convolutional classifier of digits.");
    r.options.epochs = 3;
    r.options.batch = 50;
    int status = run_start(&r, argc, argv, own, 1);
    if (status != OPTIONS_GO_ON) return status;
    const struct options *o = &r.options;
    if ((status = mnist_open(&data, r.context, o, MNIST_ROWS | MNIST_LABELS | MNIST_CLASSES)) !=
        OPTIONS_GO_ON)
        goto out;
    status = 0;

    if ((s = learner_open(&l, r.context, o, &data, rate))) goto out;
    const struct loop_state state = { .program = "classifier",
                                      .params = gm_layer_params(l.c.net),
                                      .optimizers = { l.adam },
                                      .rngs = { l.rng, gm_tape_rng(l.tape) } };
    if ((status = loop_state_resume(&state, &r, &l.first, &s)) != OPTIONS_GO_ON) goto out;
    status = 0;
    for (int64_t i = 0; i < o->epochs; i++) l.tested[i] = NAN;
    if (!l.first && (s = draw(&l, &data, o, "samples_first.png", &status, &before, &nll))) goto out;
    progress_begin(&l.progress, o->epochs, o->quiet);
    for (epochs = l.first; epochs < options_last_epoch(o); epochs++) {
        double mean = NAN, share = NAN;
        s = train_epoch(&l, &data, epochs, &mean);
        stopped = s == GM_E_CANCELLED;
        if (s && !stopped) goto out;
        if (stopped) break;
        if ((s = test(&l, &data, &share, &l.tested[epochs], NULL))) goto out;
        progress_epoch(&l.progress, epochs + 1, mean, l.tested[epochs]);
        if ((s = loop_state_save(&state, &r, epochs + 1))) goto out;
    }
    stopped = stopped || epochs < o->epochs;
    progress_end(&l.progress);

    if ((s = classify_save(&l.c, options_out_path(o, "model.safetensors", path)))) goto out;
    if ((s = draw(&l, &data, o, "samples_last.png", &status, &accuracy, &nll))) goto out;
    if (l.count > 0 && plot_losses(&l, o, epochs)) status = 1;
    json_begin(&j, "classifier", data.name);
    mnist_json(&j, &data);
    json_whole(&j, "epochs", epochs);
    json_number(&j, "test_accuracy", accuracy);
    json_number(&j, "test_nll", nll);
    json_number(&j, "accuracy_before", before);
    json_whole(&j, "parameters", gm_params_elements(gm_layer_params(l.c.net)));
    json_number(&j, "samples_per_second", progress_rate(&l.progress));
    json_number(&j, "seconds", run_seconds(&r));
    if (stopped) json_flag(&j, "stopped", 1);
    if (json_end(&j)) status = 1;
out:
    learner_close(&l);
    mnist_close(&data);
    return run_end(&r, s, status);
}
