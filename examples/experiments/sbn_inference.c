/* sbn_inference.c - four ways to the posterior of a sigmoid belief network, side by side.
 *
 * A small net learns 4 x 4 bars: all lines across or all lines down, each line on or off with
 * probability 1/2 (30 pictures). With 12 hidden units p(h | x) can be enumerated; Gibbs sampling,
 * mean field and the recognition network are compared with that.
 *
 *     sbn_inference --estimator gibbs              trained by Monte Carlo EM
 *     sbn_inference --estimator wake-sleep --epochs 100
 *
 * Writes inference.png, the probability of each hidden unit for some pictures, by each way. --data
 * is not used.
 */
#include <gm/gm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/density.h"
#include "common/message.h"
#include "common/plot.h"
#include "common/training.h"

#define SIDE 4
#define PIXELS (SIDE * SIDE)
#define PICTURES 32 /* equally likely; the empty and the full one come twice */
#define TIMES 100   /* of each in the training set */
#define FIRST 8
#define SECOND 4
#define UNITS (FIRST + SECOND)
#define DRAWS 2000 /* of q for its marginals */
#define SHOWN 4    /* pictures in the plot, also asked about */
#define ALL (PICTURES + SHOWN)
#define WAYS 4

static const char *const estimators[] = { "wake-sleep", "rws",   "nvil",       "vimco",
                                          "disarm",     "gibbs", "mean-field", NULL };
static const char *const ways[WAYS] = { "enumeration", "Gibbs sampling", "mean field",
                                        "recognition network" };
/* A bar; then what no net of bars makes well, so that several causes compete: half a bar, a cross,
 * a corner. */
static const char shown[SHOWN][PIXELS + 1] = { "0000111100000000", "0000110000000000",
                                               "0100111101000100", "0000000000110011" };

struct posterior {
    double mean[WAYS][ALL * UNITS];
    double exact[ALL], bound[ALL], elbo[ALL];
    gm_sbn_gibbs_result chains;
};

static void make_bars(float bars[ALL * PIXELS])
{
    for (int n = 0; n < PICTURES; n++)
        for (int i = 0; i < PIXELS; i++)
            bars[PIXELS * n + i] = (float)(n >> (n < PICTURES / 2 ? i / SIDE : i % SIDE) & 1);
    for (int n = 0; n < SHOWN; n++)
        for (int i = 0; i < PIXELS; i++)
            bars[PIXELS * (PICTURES + n) + i] = (float)(shown[n][i] - '0');
}

/* The pictures as all parts of the data: each TIMES times to train on, once to look at. */
static gm_status open_bars(struct density *d, const float *bars)
{
    static float many[TIMES * PICTURES * PIXELS];
    const int64_t limit = d->run->options.limit, all = TIMES * PICTURES;
    const int64_t shape[2] = { limit && limit < all ? limit : all, PIXELS },
                  once[2] = { PICTURES, PIXELS };
    gm_status s;
    for (int i = 0; i < TIMES; i++)
        memcpy(many + i * PICTURES * PIXELS, bars, PICTURES * PIXELS * sizeof *many);
    strcpy(d->name, "bars");
    d->width = PIXELS;
    d->classes = 2;
    d->height = d->across = SIDE;
    if (d->run->options.batch > shape[0]) d->run->options.batch = shape[0];
    if ((s = gm_dataset_from_memory(&d->train, d->run->context, 2, shape, many))) return s;
    if ((s = gm_dataset_from_memory(&d->valid, d->run->context, 2, once, bars))) return s;
    return gm_dataset_from_memory(&d->test, d->run->context, 2, once, bars);
}

/* KL(data || model), exact. */
static double divergence(const double exact[PICTURES])
{
    double sum = 0;
    for (int n = 0; n < PICTURES; n++) {
        const int twice = n % (PICTURES / 2) == 0 || n % (PICTURES / 2) == PICTURES / 2 - 1;
        sum += ((twice ? log(2) : 0) - log(PICTURES) - exact[n]) / PICTURES;
    }
    return sum;
}

/* Marginals of q: means of the probabilities with which it draws each unit. */
static gm_status recognise(gm_sbn *sbn, const float *bars, double *mean)
{
    static float rows[DRAWS * PIXELS], hidden[DRAWS * UNITS], chance[DRAWS * UNITS];
    for (int n = 0; n < ALL; n++) {
        for (int i = 0; i < DRAWS; i++)
            memcpy(rows + i * PIXELS, bars + n * PIXELS, PIXELS * sizeof *rows);
        const gm_status s = gm_sbn_recognise(sbn, rows, DRAWS, hidden, chance, NULL);
        if (s) return s;
        for (int j = 0; j < UNITS; j++) {
            double sum = 0;
            for (int i = 0; i < DRAWS; i++) sum += (double)chance[i * UNITS + j];
            mean[n * UNITS + j] = sum / DRAWS;
        }
    }
    return GM_OK;
}

static gm_status infer(gm_sbn *sbn, const float *bars, int64_t samples, struct posterior *p)
{
    gm_sbn_gibbs_options g = GM_SBN_GIBBS_OPTIONS_INIT;
    gm_sbn_mean_field_options f = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    gm_status s;
    g.chains = 8;
    g.samples = samples;
    g.start = GM_SBN_INIT_UNIFORM; /* far apart: chains that do not mix are found out */
    f.iterations = 1000;
    p->chains = (gm_sbn_gibbs_result)GM_SBN_GIBBS_RESULT_INIT;
    if ((s = gm_sbn_enumerate(sbn, bars, ALL, NULL, p->exact, p->mean[0]))) return s;
    if ((s = gm_sbn_gibbs(&p->chains, sbn, bars, ALL, &g, p->mean[1], NULL))) return s;
    if ((s = gm_sbn_mean_field(sbn, bars, ALL, &f, p->mean[2], p->bound, NULL))) return s;
    double estimate[ALL];
    if ((s = gm_sbn_log_prob(
             sbn, bars, ALL,
             &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = DRAWS },
             estimate, NULL, p->elbo)))
        return s;
    return recognise(sbn, bars, p->mean[3]);
}

/* How far a way's marginals are from the enumerated ones, over pictures from `first` up to `end`
 * and all units. */
static double error_of(const struct posterior *p, int way, int first, int end, double *most)
{
    double sum = 0;
    *most = 0;
    for (int i = first * UNITS; i < end * UNITS; i++) {
        const double off = fabs(p->mean[way][i] - p->mean[0][i]);
        sum += off / ((end - first) * UNITS);
        *most = fmax(*most, off);
    }
    return sum;
}

static double below(const struct posterior *p, const double *bound)
{
    double sum = 0;
    for (int n = 0; n < PICTURES; n++) sum += (p->exact[n] - bound[n]) / PICTURES;
    return sum;
}

/* For each unit of each picture in turn a short level line, and gaps between pictures; enumeration
 * is as wide as the others together. */
static int draw(const struct options *o, const struct posterior *p)
{
    enum { POINTS = 3 * SHOWN * UNITS };
    double x[WAYS][POINTS], y[WAYS][POINTS], off[WAYS][POINTS];
    struct plot_series series[2 * WAYS - 1];
    char path[OPTIONS_PATH_SIZE];
    for (int i = 0; i < POINTS; i++) {
        const int unit = i / 3, at = PICTURES * UNITS + unit, end = i % 3;
        const double left = unit + 1 + 3 * (unit / UNITS) - 0.45;
        for (int k = 0; k < WAYS; k++) {
            const double from = k ? left + 0.3 * (k - 1) : left, width = k ? 0.3 : 0.9;
            x[k][i] = end == 0 ? from : from + width;
            y[k][i] = end < 2 ? p->mean[k][at] : NAN;
            off[k][i] = end < 2 ? p->mean[k][at] - p->mean[0][at] : NAN;
        }
    }
    for (int k = 0; k < 2 * WAYS - 1; k++) {
        const int way = k < WAYS ? k : k - WAYS + 1;
        series[k] = (struct plot_series){ .label = k < WAYS ? ways[way] : NULL,
                                          .x = x[way],
                                          .count = POINTS,
                                          .y = k < WAYS ? y[way] : off[way],
                                          .panel = k >= WAYS,
                                          .colour = way + 1 };
    }
    const struct plot plot = {
        .title = "Hidden units given a bar, half a bar, a cross, a corner",
        .x_label = "hidden unit: for each picture 8 of layer 1, then 4 of layer 2",
        .panels = 2,
        .panel = { { .y_label = "p(unit is 1)" }, { .y_label = "less enumeration" } },
        .series = series,
        .series_count = 2 * WAYS - 1
    };
    return plot_write(options_out_path(o, "inference.png", path), &plot);
}

static int report(struct density *d, const struct posterior *p, gm_model *model,
                  const char *estimator)
{
    struct json json;
    static const char *const keys[WAYS] = { NULL, "gibbs", "mean_field", "recognition" };
    json_begin(&json, "sbn_inference", d->name);
    density_json_data(d, &json);
    json_text(&json, "estimator", estimator);
    json_whole(&json, "epochs", gm_model_epochs(model));
    json_whole(&json, "steps", gm_model_steps(model));
    json_number(&json, "kl", divergence(p->exact));
    for (int k = 1; k < WAYS; k++) {
        double most, most_shown;
        const double mean = error_of(p, k, 0, PICTURES, &most);
        const double mean_shown = error_of(p, k, PICTURES, ALL, &most_shown);
        json_open(&json, keys[k]);
        json_number(&json, "error", mean);
        json_number(&json, "largest_error", most);
        json_number(&json, "error_shown", mean_shown);
        json_number(&json, "largest_error_shown", most_shown);
        if (k == 1) json_number(&json, "r_hat", p->chains.r_hat);
        if (k == 1) json_whole(&json, "unmixed", p->chains.unmixed);
        if (k > 1) json_number(&json, "below_log_prob", below(p, k == 2 ? p->bound : p->elbo));
        json_close(&json);
        if (!d->run->options.quiet)
            message("%s: marginals are off by %.4f in the mean, %.4f at most (pictures shown: "
                    "%.4f, %.4f)",
                    ways[k], mean, most, mean_shown, most_shown);
    }
    json_number(&json, "samples_per_second", d->speed);
    json_number(&json, "seconds", run_seconds(d->run));
    if (d->stopped) json_flag(&json, "stopped", 1);
    return json_end(&json);
}

int main(int argc, char **argv)
{
    static const int64_t layers[2] = { FIRST, SECOND };
    static float bars[ALL * PIXELS];
    static struct posterior p;
    struct run r;
    struct density d = { .run = &r,
                         .title = "Sigmoid belief network on bars",
                         .measure = "minus the bound, nats per row" };
    int estimator = GM_SBN_NVIL, persistent = 0, status;
    int64_t gibbs_samples = 4000;
    double rate = 0.1, last = 0.05;
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_optimizer *adam = NULL;
    gm_sbn *sbn = NULL;
    gm_status s = GM_OK;
    o.samples = 0;
    const struct option own[] = {
        OPTION_CHOICE("estimator", &estimator, estimators, "how the net learns"),
        OPTION_INT(
            "samples", &o.samples, 0, 100000,
            "draws of the hidden units for each row; 0: 5 for rws and vimco, 2 for the others"),
        OPTION_INT("sweeps", &o.sweeps, 1, 100000,
                   "of gibbs and mean-field, for each row and step"),
        OPTION_FLAG("persistent", &persistent,
                    "gibbs: the chains of each row go on from epoch to epoch"),
        OPTION_INT("gibbs-samples", &gibbs_samples, 4, 100000000,
                   "states of each of 8 chains that count, for the comparison"),
        OPTION_REAL("rate", &rate, 1e-12, 1e3, "learning rate of Adam at first"),
        OPTION_REAL("last-rate", &last, 0, 1,
                    "what is left of it at the end; in between it falls in a straight line"),
    };
    options_init(&r.options, "sbn_inference",
                 "Compares ways to the posterior of a sigmoid belief network.");
    r.options.epochs = 40;
    r.options.batch = PICTURES;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = 0;

    make_bars(bars);
    if ((s = open_bars(&d, bars))) goto out;
    if ((s = density_adam(&adam, &d, rate, last, 0))) goto out;
    if (!o.samples) o.samples = estimator == GM_SBN_RWS || estimator == GM_SBN_VIMCO ? 5 : 2;
    o.layer_count = 2;
    o.layers = layers;
    o.estimator = (int32_t)estimator;
    o.persistent = persistent;
    o.optimizer = adam;
    o.baseline_units = 16;
    if ((s = gm_sbn_create(&sbn, r.context, PIXELS, &o))) goto out;
    if ((s = gm_sbn_init_biases(sbn, d.train))) goto out;
    gm_model *model = gm_sbn_model(sbn);
    if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
    sbn = gm_sbn_from_model(model);
    status = 0;
    if ((s = density_train(&d, model, &status))) goto out;
    if ((s = infer(sbn, bars, gibbs_samples, &p))) goto out;
    if (draw(&r.options, &p)) status = 1;
    if (report(&d, &p, model, estimators[estimator])) status = 1;
out:
    density_close(&d);
    gm_optimizer_release(adam);
    gm_sbn_release(sbn);
    return run_end(&r, s, status);
}
