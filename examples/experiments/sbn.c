/* sbn.c - trains a sigmoid belief network on bits, and estimates the log-likelihood of test rows
 * with draws of its recognition network.
 *
 *     sbn --data DIR                          two layers of 200, VIMCO, MNIST's digits as bits
 *     sbn --estimator nvil                    as Mnih and Gregor 2014
 *     sbn --layers 200 --samples 50
 *     sbn --dataset dna
 *     sbn --dataset mushrooms --layers 20 --estimator gibbs --epochs 20    Monte Carlo EM
 *     sbn --compare --epochs 5 --limit 5000   the five with a recognition network side by side:
 *                                             estimators.png
 *
 * Writes samples as probabilities and as bits, the curves, and the weights of the lowest layer as
 * pictures.
 */
#include <gm/gm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/binary.h"
#include "common/message.h"
#include "common/plot.h"
#include "common/stop.h"
#include "common/training.h"

static const struct option_defaults defaults[] = {
    { "dna", NULL,
      "--estimator vimco --layers 100 --epochs 200 --batch 20 --rate 2e-3 --patience 20 "
      "--nll-samples 1000" },
    { "mushrooms", NULL,
      "--estimator vimco --layers 100,50 --epochs 200 --batch 20 --rate 5e-3 --patience 0 "
      "--nll-samples 1000" },
    { "mnist", "compare", "--batch 100 --rate 0.01" },
    { "mnist", NULL,
      "--estimator vimco --layers 200,200 --epochs 300 --batch 100 --rate 0.01 --patience 0 "
      "--nll-samples 5000" },
    { NULL, NULL, NULL },
};
static const char *const estimators[] = { "wake-sleep", "rws",   "nvil",       "vimco",
                                          "disarm",     "gibbs", "mean-field", NULL };
#define ESTIMATORS                                                                                 \
    5 /* that --compare looks at: the two of EM take far longer on rows as wide as digits */

/* Draws for each row; 0: what is usual for the estimator. */
static int64_t draws_of(int estimator, int64_t asked)
{
    if (asked) return asked;
    return estimator == GM_SBN_RWS || estimator == GM_SBN_VIMCO ? 5 : 1;
}

struct curve {
    double *bound; /* of the validation rows, after each epoch */
    int64_t limit;
    int count, room;
    gm_model *model;
    gm_dataset *valid;
    gm_status failed;
    struct progress progress;
};

static int32_t on_report(void *user, const gm_fit_report *p)
{
    struct curve *c = user;
    gm_metric m[GM_MAX_METRICS];
    int32_t count = 0;
    const double loss = p->metric_count ? p->metrics[0].value : NAN; /* the estimator's own */
    if (!p->epoch_end) {
        progress_step(&c->progress, p->epoch + 1, p->row, p->rows, loss);
        return stop_requested();
    }
    gm_model_evaluate_options how = GM_MODEL_EVALUATE_OPTIONS_INIT;
    how.batch = 500;
    how.limit = c->limit;
    c->failed = gm_model_evaluate(c->model, c->valid, &how, m, GM_MAX_METRICS, &count);
    double bound = NAN;
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(m[i].name, "elbo")) bound = -m[i].value;
    if (c->count < c->room) c->bound[c->count++] = bound;
    progress_epoch(&c->progress, p->epoch + 1, loss, bound);
    return c->failed != GM_OK || stop_requested();
}

/* One estimator for the epochs of the options, from the same seed; its curve into *c. adam: rate,
 * what is left of it, weight decay. */
static gm_status follow(struct density *d, const gm_sbn_options *options, const double adam[3],
                        struct curve *c)
{
    const struct options *from = &d->run->options;
    gm_sbn_options o = *options;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    gm_status s;
    if ((s = density_adam(&o.optimizer, d, adam[0], adam[1], adam[2]))) goto out;
    if ((s = gm_sbn_create(&sbn, d->run->context, d->width, &o))) goto out;
    if ((s = gm_sbn_init_biases(sbn, d->train))) goto out;
    c->model = gm_sbn_model(sbn);
    c->valid = d->valid;
    c->limit = d->valid_rows;
    fit.epochs = from->epochs;
    fit.batch = from->batch;
    fit.on_report = on_report;
    fit.user = c;
    progress_begin(&c->progress, from->epochs, from->quiet);
    s = gm_model_fit(c->model, d->train, &fit);
    progress_end(&c->progress);
    if (c->failed) s = c->failed;
out:
    gm_optimizer_release(o.optimizer);
    gm_sbn_release(sbn);
    return s;
}

static void draw_curves(const struct density *d, const struct curve *curves)
{
    char path[OPTIONS_PATH_SIZE];
    struct plot_series series[ESTIMATORS];
    for (int i = 0; i < ESTIMATORS; i++)
        series[i] = (struct plot_series){ .label = estimators[i],
                                          .y = curves[i].bound,
                                          .count = curves[i].count };
    const struct plot plot = { .title = d->title,
                               .x_label = "epoch",
                               .panels = 1,
                               .panel = { { .y_label =
                                                "minus the bound, nats per validation row" } },
                               .series = series,
                               .series_count = ESTIMATORS };
    plot_write(options_out_path(&d->run->options, "estimators.png", path), &plot);
}

/* The estimators one after the other, in one plot; the bound is E_q [log p(x, h) - log q(h | x)]
 * for each of them. */
static gm_status compare(struct density *d, gm_sbn_options o, const double adam[3], int *status)
{
    struct curve curves[ESTIMATORS] = { { 0 } };
    struct json json;
    const int64_t asked = o.samples;
    gm_status s = GM_OK;
    for (int i = 0; i < ESTIMATORS; i++) {
        curves[i].room = (int)d->run->options.epochs;
        curves[i].bound = calloc((size_t)curves[i].room, sizeof(double));
        if (!curves[i].bound) s = GM_E_NOMEM;
    }
    for (int i = 0; !s && i < ESTIMATORS; i++) {
        if (!d->run->options.quiet) message("%s", estimators[i]);
        o.estimator = (int32_t)i;
        o.samples = draws_of(i, asked);
        s = follow(d, &o, adam, &curves[i]);
    }
    d->stopped = s == GM_E_CANCELLED;
    if (s && !d->stopped) goto out;
    s = GM_OK;
    draw_curves(d, curves);
    json_begin(&json, "sbn", d->name);
    density_json_data(d, &json);
    json_whole(&json, "epochs", d->run->options.epochs);
    json_number(&json, "seconds", run_seconds(d->run));
    if (d->stopped) json_flag(&json, "stopped", 1);
    json_open(&json, "bound");
    for (int i = 0; i < ESTIMATORS; i++)
        json_number(&json, estimators[i],
                    curves[i].count ? curves[i].bound[curves[i].count - 1] : NAN);
    json_close(&json);
    json_open(&json, "rows_per_second");
    for (int i = 0; i < ESTIMATORS; i++)
        json_number(&json, estimators[i], progress_rate(&curves[i].progress));
    json_close(&json);
    if (json_end(&json)) *status = 1;
out:
    for (int i = 0; i < ESTIMATORS; i++) free(curves[i].bound);
    return s;
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r,
                         .title = "Sigmoid belief network",
                         .measure = "minus the bound, nats per row",
                         DENSITY_DEFAULTS };
    struct json json;
    const char *layers = "200,200";
    int64_t sizes[GM_SBN_MAX_LAYERS];
    int estimator = GM_SBN_NVIL, lateral = 0, skip = 0, persistent = 0, all = 0, status;
    double rate = 1e-3, last = 0, decay = 0;
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    gm_status s = GM_OK;
    o.samples = 0;
    const struct option own[] = {
        OPTION_CHOICE("estimator", &estimator, estimators, "how the gradient is estimated"),
        OPTION_TEXT("layers", &layers, "N,N", "hidden units of each layer, the lowest first"),
        OPTION_INT(
            "samples", &o.samples, 0, 100000,
            "draws of the hidden units for each row; 0: 5 for rws and vimco, 1 for the others"),
        OPTION_INT("nll-samples", &o.log_prob_samples, 1, 100000000,
                   "draws of the estimate of log p(x) for each row"),
        OPTION_INT("sweeps", &o.sweeps, 1, 1000000,
                   "of Gibbs sampling, or of mean field at most, for each row and step"),
        OPTION_FLAG("persistent", &persistent,
                    "gibbs: the chains of each row go on from epoch to epoch"),
        OPTION_REAL("rate", &rate, 1e-12, 1e3, "first learning rate of Adam"),
        OPTION_REAL("last-rate", &last, 0, 1, "what is left of the rate after the last epoch"),
        OPTION_REAL("weight-decay", &decay, 0, 1e3, "L2 penalty's gradient, for each weight"),
        OPTION_FLAG("lateral", &lateral, "units see the earlier ones of their layer"),
        OPTION_FLAG("skip", &skip, "layers see all higher ones"),
        OPTION_FLAG("compare", &all,
                    "trains with each of the first five and plots their bounds, nothing else"),
        DENSITY_OPTIONS(&d),
    };

    options_init(&r.options, "sbn", "Trains a sigmoid belief network on bits.");
    r.options.defaults = defaults;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    if (all && (r.options.checkpoint || r.options.resume)) {
        message("--compare trains several nets; --checkpoint and --resume are for one");
        return run_end(&r, GM_OK, 2);
    }
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    o.layer_count = binary_layers(layers, sizes, GM_SBN_MAX_LAYERS);
    if (!o.layer_count) {
        density_close(&d);
        return run_end(&r, GM_OK, 2);
    }
    status = 0;

    o.layers = sizes;
    o.lateral = lateral;
    o.skip = skip;
    o.persistent = persistent;
    if (all) {
        s = compare(&d, o, (const double[]){ rate, last, decay }, &status);
        goto out;
    }
    o.estimator = (int32_t)estimator;
    o.samples = draws_of(estimator, o.samples);
    if ((s = density_adam(&o.optimizer, &d, rate, last, decay))) goto out;
    if ((s = gm_sbn_create(&sbn, r.context, d.width, &o))) goto out;
    if ((s = gm_sbn_init_biases(sbn, d.train))) goto out;
    gm_model *model = gm_sbn_model(sbn);
    if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
    sbn = gm_sbn_from_model(model);
    status = 0;
    if ((s = density_train(&d, model, &status))) goto out;
    const float *weight = gm_param_value(gm_params_find(gm_model_params(model), "p0.weight"));
    if (binary_weights(&d, "weights.png", weight, sizes[0], 1, sizes[0])) status = 1;
    if ((s = binary_bits(&d, model, "samples_bits.png"))) goto out;
    if ((s = density_report(&d, model, &json, "sbn"))) goto out;
    json_text(&json, "estimator", estimators[estimator]);
    json_text(&json, "layers", layers);
    json_whole(&json, "samples", o.samples);
    json_whole(&json, "nll_samples", o.log_prob_samples);
    if (json_end(&json)) status = 1;
out:
    density_close(&d);
    gm_optimizer_release(o.optimizer);
    gm_sbn_release(sbn);
    return run_end(&r, s, status);
}
