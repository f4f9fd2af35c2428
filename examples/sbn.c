/* sbn.c - trains a sigmoid belief network on bits, and estimates the log-likelihood of test rows with draws of its recognition
 * network.
 *
 *     sbn --estimator nvil --layers 200,200         the deep nets of Mnih and Gregor 2014
 *     sbn --estimator vimco --layers 200 --samples 50
 *     sbn --dataset dna --layers 50 --nll-samples 1000
 *
 * Writes samples, the curves, and the weights of the lowest layer as pictures.
 */
#include <gm/gm.h>

#include <math.h>
#include <stdlib.h>

#include "common/density.h"
#include "common/grid.h"
#include "common/say.h"

#define SHOWN 100

static const char *const estimators[] = { "wake-sleep", "rws", "nvil", "vimco", "disarm", NULL };

/* "200,200" into sizes; how many, or 0 if it is no such list. */
static int32_t read_layers(const char *text, int64_t sizes[GM_SBN_MAX_LAYERS])
{
    int32_t count = 0;
    for (const char *at = text; count < GM_SBN_MAX_LAYERS; at++) {
        char *end;
        const long long n = *at >= '0' && *at <= '9' ? strtoll(at, &end, 10) : 0;
        if (n < 1 || n > 1000000) return 0;
        sizes[count++] = n;
        if (!*end) return count;
        if (*end != ',') return 0;
        at = end;
    }
    return 0;
}

/* What each of the first units of layer 1 says to the visible ones: black -, white +. */
static int draw_weights(const struct density *d, gm_sbn *sbn)
{
    char path[OPTIONS_PATH_SIZE];
    gm_param *w = gm_params_find(gm_model_params(gm_sbn_model(sbn)), "p0.weight");
    const int64_t units = gm_sbn_layer_size(sbn, 1), count = units < SHOWN ? units : SHOWN;
    if (d->height < 2) return 0;
    float *images = malloc((size_t)(count * d->width) * sizeof *images);
    double most = 1e-9;
    if (!images) return -1;
    for (int64_t i = 0; i < d->width * units; i++) most = fmax(most, fabs((double)gm_param_value(w)[i]));
    for (int64_t u = 0; u < count; u++)
        for (int64_t i = 0; i < d->width; i++)
            images[u * d->width + i] = (float)(0.5 + (double)gm_param_value(w)[i * units + u] / (2 * most));
    const int failed = grid_write(options_out_path(&d->run->options, "weights.png", path), images, (int)count,
                                  1, (int)d->height, (int)d->across, 10, "Weights from layer 1");
    free(images);
    return failed;
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "Sigmoid belief network", .measure = "minus the bound, nats per row",
                         DENSITY_DEFAULTS };
    struct json json;
    const char *layers = "200,200";
    int64_t sizes[GM_SBN_MAX_LAYERS];
    int estimator = GM_SBN_NVIL, lateral = 0, skip = 0, status;
    double rate = 1e-3, last = 0, decay = 0;
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    gm_status s = GM_OK;
    o.samples = 0;
    const struct option own[] = {
        OPTION_CHOICE("estimator", &estimator, estimators, "how the gradient is estimated"),
        OPTION_TEXT("layers", &layers, "N,N", "hidden units of each layer, the lowest first"),
        OPTION_INT("samples", &o.samples, 0, 100000,
                   "draws of the hidden units for each row; 0: 5 for rws and vimco, 1 for the others"),
        OPTION_INT("nll-samples", &o.log_prob_samples, 1, 100000000,
                   "draws of the estimate of log p(x) for each row"),
        OPTION_REAL("rate", &rate, 1e-12, 1e3, "first learning rate of Adam"),
        OPTION_REAL("last-rate", &last, 0, 1, "what is left of the rate after the last epoch"),
        OPTION_REAL("weight-decay", &decay, 0, 1e3, "L2 penalty's gradient, for each weight"),
        OPTION_FLAG("lateral", &lateral, "units hear the earlier ones of their layer"),
        OPTION_FLAG("skip", &skip, "layers hear all higher ones"),
        DENSITY_OPTIONS(&d),
    };

    status = run_begin(&r, "sbn", "Trains a sigmoid belief network on bits.", argc, argv, own,
                       (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    o.layer_count = read_layers(layers, sizes);
    if (!o.layer_count) {
        say("--layers %s: 1 to %d sizes with commas between them are wanted", layers, GM_SBN_MAX_LAYERS);
        return run_end(&r, GM_OK, 2);
    }
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;

    o.layers = sizes;
    o.estimator = (int32_t)estimator;
    if (!o.samples) o.samples = estimator == GM_SBN_RWS || estimator == GM_SBN_VIMCO ? 5 : 1;
    o.lateral = lateral;
    o.skip = skip;
    if ((s = density_adam(&o.optimizer, &d, rate, last, decay))) goto out;
    if ((s = gm_sbn_create(&sbn, r.context, d.width, &o))) goto out;
    if ((s = gm_sbn_start(sbn, d.train))) goto out;
    if ((s = density_train(&d, gm_sbn_model(sbn), &status))) goto out;
    if (draw_weights(&d, sbn)) status = 1;
    if ((s = density_report(&d, gm_sbn_model(sbn), &json, "sbn"))) goto out;
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
