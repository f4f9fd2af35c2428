/* dbn.c - trains a deep belief network on bits, one Boltzmann machine after the other, and
 * measures each stage.
 *
 *     dbn --data DIR                       500 and 784 units: the second machine begins as the
 *                                          first one transposed, with a small rate; see
 *                                          docs/models/dbn.md on what too much does to log Z
 *     dbn --data DIR --layers 500,2000     the sizes of Salakhutdinov and Murray 2008
 *
 * After each stage the top's log Z is estimated by annealed importance sampling, and from it the
 * mean bound of log p(x) of the test rows: for one machine that is log p(x) itself. samples_rbm.png
 * has samples of the first machine alone, samples_last.png those of the whole net.
 */
#include <gm/gm.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/binary.h"
#include "common/mean.h"
#include "common/message.h"
#include "common/stop.h"
#include "common/training.h"

#define GROUP 500

static const struct option_defaults defaults[] = {
    { "dna", NULL,
      "--layers 100,180 --steps 5 --batch 20 --epochs 100 --rate 2e-3 --weight-decay 2e-3 "
      "--upper-epochs 20" },
    { "mushrooms", NULL,
      "--layers 100,112 --steps 25 --batch 20 --epochs 100 --rate 2e-3 --weight-decay 1e-3 "
      "--upper-epochs 20" },
    { "mnist", NULL,
      "--layers 500,784 --steps 25 --batch 100 --epochs 30 --rate 5e-3 --weight-decay 2e-4 "
      "--upper-rate 1e-3 --upper-epochs 8" },
    { NULL, NULL, NULL },
};

/* What is known of each stage. */
struct stage {
    struct binary_z z;
    double bound,
        error; /* nats per test row, with the sign of a loss; its standard error over the rows */
};

struct program {
    struct density d;
    gm_dbn *dbn;
    gm_rbm_options machine;
    int64_t runs, ais_steps, draws;
    int64_t epochs, upper_epochs;         /* of the first machine, of each other one */
    double rate, upper_rate, last, decay; /* of Adam */
    struct stage stage[GM_DBN_MAX_LAYERS];
};

static gm_status measure_bound(struct program *p, struct stage *stage)
{
    const int64_t rows = gm_dataset_rows(p->d.test);
    double bound[GROUP];
    struct mean mean = { 0 };
    gm_status s = GM_OK;
    for (int64_t at = 0, n; !s && at < rows; at += n) {
        gm_tensor *x = NULL;
        n = rows - at < GROUP ? rows - at : GROUP;
        if (stop_requested()) return GM_E_CANCELLED;
        if (!(s = gm_dataset_read_tensor(&x, p->d.test, at, n, 0)))
            s = gm_dbn_bound(
                p->dbn, gm_tensor_read(x), n,
                &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = p->draws },
                bound, NULL);
        gm_tensor_release(x);
        for (int64_t i = 0; !s && i < n; i++) mean_add(&mean, bound[i]);
    }
    if (s) return s;
    stage->bound = -mean.value;
    stage->error = mean_error(&mean);
    if (!p->d.run->options.quiet)
        message("%d %s: bound %.2f nats, give or take %.2f", (int)gm_dbn_stage(p->dbn),
                gm_dbn_stage(p->dbn) == 1 ? "machine" : "machines", stage->bound, stage->error);
    return GM_OK;
}

/* Fits the uppermost machine, and measures what is there then. */
static gm_status run_stage(struct program *p, int *status)
{
    const int32_t now = gm_dbn_stage(p->dbn), last = gm_dbn_layers(p->dbn);
    struct stage *stage = &p->stage[now - 1];
    char file[32] = "samples_rbm.png";
    float *means = malloc((size_t)gm_dbn_layer_size(p->dbn, now - 1) * sizeof *means);
    gm_status s = GM_OK;
    if (!means) return GM_E_NOMEM;
    if (now > 1) (void)snprintf(file, sizeof file, "samples_%d.png", (int)now);
    p->d.samples = now == last ? "samples_last.png" : file;
    if ((s = density_train(&p->d, gm_dbn_model(p->dbn), status)) || p->d.stopped) goto out;
    if ((s = gm_dbn_mean(p->dbn, p->d.train, means))) goto out;
    if ((s = binary_log_z(&p->d, gm_dbn_layer(p->dbn, now), means, p->runs, p->ais_steps,
                          &stage->z)))
        goto out;
    s = measure_bound(p, stage);
out:
    free(means);
    if (s != GM_E_CANCELLED) return s;
    p->d.stopped = 1;
    return GM_OK;
}

static int64_t upper_epochs(const struct program *p)
{
    return p->upper_epochs ? p->upper_epochs : p->epochs;
}

/* The net of --resume, which may have more machines than one. */
static gm_status resume(struct program *p, int *status)
{
    const struct run *r = p->d.run;
    gm_model *saved = NULL;
    gm_status s = GM_OK;
    if (!r->options.resume) return GM_OK;
    if ((*status = run_find_file(r->options.resume, "--resume")) != OPTIONS_GO_ON) return GM_OK;
    if ((s = gm_model_load(&saved, r->context, r->options.resume))) return s;
    gm_dbn *dbn = gm_dbn_from_model(saved);
    int same = dbn && gm_dbn_layers(dbn) == gm_dbn_layers(p->dbn) &&
               training_is_checkpoint(r->context, r->options.resume);
    for (int32_t l = 0; same && l <= gm_dbn_layers(dbn); l++)
        same = gm_dbn_layer_size(dbn, l) == gm_dbn_layer_size(p->dbn, l);
    if (!same) {
        message("--resume '%s' is no checkpoint of a dbn with these --layers", r->options.resume);
        gm_model_release(saved);
        *status = 2;
        return GM_OK;
    }
    gm_dbn_release(p->dbn);
    p->dbn = dbn;
    if (gm_dbn_stage(dbn) > 1) p->d.run->options.epochs = upper_epochs(p);
    return GM_OK;
}

/* Each machine has an optimizer of its own. *status stays OPTIONS_GO_ON unless --resume is refused.
 */
static gm_status begin_stage(struct program *p, const gm_dbn_options *options, int *status)
{
    p->d.run->options.epochs = options ? p->epochs : upper_epochs(p);
    gm_status s =
        density_adam(&p->machine.optimizer, &p->d,
                     options || p->upper_rate <= 0 ? p->rate : p->upper_rate, p->last, p->decay);
    if (s) return s;
    if (options)
        s = gm_dbn_create(&p->dbn, p->d.run->context, p->d.width, options);
    else
        s = gm_dbn_grow(p->dbn, &p->machine);
    gm_optimizer_release(p->machine.optimizer);
    if (s) return s;
    if (options && ((s = resume(p, status)) || *status != OPTIONS_GO_ON)) return s;
    const int32_t now = gm_dbn_stage(p->dbn);
    p->d.earlier = gm_model_epochs(gm_dbn_model(p->dbn));
    if (options && p->d.earlier) { /* resumed in the midst of this stage */
        p->d.earlier = now > 1 ? p->epochs + (now - 2) * upper_epochs(p) : 0;
        return GM_OK;
    }
    const int copy =
        now > 1 && gm_dbn_layer_size(p->dbn, now) == gm_dbn_layer_size(p->dbn, now - 2);
    return copy ? GM_OK : gm_dbn_init_biases(p->dbn, p->d.train);
}

static gm_status report(struct program *p, const char *layers, int *status)
{
    struct json json;
    const gm_status s = density_report(&p->d, gm_dbn_model(p->dbn), &json, "dbn");
    if (s) return s;
    const int32_t stages = gm_dbn_stage(p->dbn);
    const struct stage *top = &p->stage[stages - 1];
    json_text(&json, "layers", layers);
    json_whole(&json, "steps", p->machine.steps);
    json_whole(&json, "draws", p->draws);
    json_number(&json, "rbm_nll", p->stage[0].bound);
    json_number(&json, "rbm_nll_error", p->stage[0].error);
    json_number(&json, "bound", top->bound);
    json_number(&json, "bound_error", top->error);
    for (int32_t l = 1; l <= stages && stages > 1; l++) {
        char key[32];
        (void)snprintf(key, sizeof key, "stage%d", (int)l);
        json_open(&json, key);
        json_number(&json, "bound", p->stage[l - 1].bound);
        binary_report(&json, &p->stage[l - 1].z);
        json_close(&json);
    }
    binary_report(&json, &top->z);
    if (json_end(&json)) *status = 1;
    return GM_OK;
}

int main(int argc, char **argv)
{
    struct run r;
    struct program p = { .d = { .run = &r,
                                .title = "Deep belief network",
                                .measure = "free energy of the data less that of the chains" },
                         .machine = GM_RBM_OPTIONS_INIT,
                         .runs = 100,
                         .draws = 20,
                         .rate = 1e-3 };
    const char *layers = "500,784";
    int64_t sizes[GM_DBN_MAX_LAYERS];
    int persistent = 0, status;
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_TEXT("layers", &layers, "N,N", "hidden units of each layer, the lowest first"),
        OPTION_INT("steps", &p.machine.steps, 1, 100000, "Gibbs steps of each update"),
        OPTION_FLAG("persistent", &persistent, "chains go on from update to update"),
        OPTION_INT("chains", &p.machine.chains, 1, 1000000, "how many, with --persistent"),
        OPTION_INT("sample-steps", &p.machine.sample_steps, 1, 1000000000,
                   "Gibbs steps behind each sample"),
        OPTION_REAL("rate", &p.rate, 1e-12, 1e3, "first learning rate of Adam"),
        OPTION_REAL("upper-rate", &p.upper_rate, 0, 1e3,
                    "that of the machines above the first; 0: the same"),
        OPTION_INT("upper-epochs", &p.upper_epochs, 0, 1000000,
                   "epochs of each machine above the first; 0: --epochs"),
        OPTION_REAL("last-rate", &p.last, 0, 1,
                    "what is left of the rate after the last epoch of a layer"),
        OPTION_REAL("weight-decay", &p.decay, 0, 1e3, "L2 penalty's gradient, for each weight"),
        OPTION_INT("draws", &p.draws, 1, 1000000, "draws of the bound for each test row"),
        OPTION_INT("nll-samples", &o.log_prob_samples, 1, 100000000,
                   "draws of the estimate of log p(x) for each row"),
        OPTION_INT("ais-runs", &p.runs, 2, 1000000, "runs of annealed importance sampling"),
        OPTION_INT("ais-steps", &p.ais_steps, 0, 100000000,
                   "equal steps of each; 0: the 14 500 of Salakhutdinov and Murray 2008"),
        DENSITY_OPTIONS(&p.d),
    };

    options_init(&r.options, "dbn",
                 "Trains a deep belief network on bits; --epochs is of each layer.");
    r.options.defaults = defaults;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = density_open(&p.d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    o.layer_count = binary_layers(layers, sizes, GM_DBN_MAX_LAYERS);
    if (!o.layer_count) {
        density_close(&p.d);
        return run_end(&r, GM_OK, 2);
    }
    if (options_given(&r.options, "epochs") && !options_given(&r.options, "upper-epochs"))
        p.upper_epochs = 0;
    status = 0;

    for (int32_t l = 0; l < GM_DBN_MAX_LAYERS; l++) p.stage[l].bound = p.stage[l].error = NAN;
    p.machine.persistent = persistent;
    p.epochs = r.options.epochs;
    o.layers = sizes;
    o.rbm = &p.machine;
    for (int32_t l = 1; l <= o.layer_count && !p.d.stopped; l = gm_dbn_stage(p.dbn) + 1) {
        status = OPTIONS_GO_ON;
        if ((s = begin_stage(&p, l == 1 ? &o : NULL, &status)) || status != OPTIONS_GO_ON) goto out;
        status = 0;
        if ((s = run_stage(&p, &status))) goto out;
    }
    gm_rbm *lowest = gm_dbn_layer(p.dbn, 1);
    if (binary_weights(&p.d, "weights.png", gm_param_value(gm_rbm_weight(lowest)), sizes[0],
                       p.d.width, 1))
        status = 1;
    if ((s = binary_bits(&p.d, gm_dbn_model(p.dbn), "samples_bits.png"))) goto out;
    s = report(&p, layers, &status);
out:
    density_close(&p.d);
    gm_dbn_release(p.dbn);
    return run_end(&r, s, status);
}
