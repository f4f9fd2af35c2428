/* rbm.c - trains a restricted Boltzmann machine on bits, and estimates its partition function by
 * annealed importance sampling.
 *
 *     rbm --data DIR                               500 units, CD-25 (Salakhutdinov and Murray 2008)
 *     rbm --data DIR --persistent --steps 1        PCD-1 (Tieleman 2008)
 *
 * With at most 20 hidden units the partition function is also summed exactly. Writes samples, the
 * curves, and the weights as pictures.
 */
#include <gm/gm.h>

#include <stdlib.h>

#include "common/binary.h"
#include "common/training.h"

static const struct option_defaults defaults[] = {
    { "dna", NULL,
      "--hidden 100 --steps 5 --epochs 100 --batch 20 --rate 2e-3 --weight-decay 2e-3" },
    { "mushrooms", NULL,
      "--hidden 100 --steps 25 --epochs 100 --batch 20 --rate 2e-3 --weight-decay 1e-3" },
    { "mnist", NULL, "--steps 25 --epochs 30 --batch 100 --rate 5e-3 --weight-decay 2e-4" },
    { NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
    struct run r;
    struct density d = {
        .run = &r,
        .title = "Restricted Boltzmann machine",
        .measure = "free energy of the data less that of the chains"
    }; /* no measure to stop by: patience 0 */
    struct json json;
    struct binary_z z = { 0 };
    int64_t hidden = 500, runs = 100, ais_steps = 0;
    int persistent = 0, status;
    double rate = 1e-3, last = 0, decay = 0;
    float *means = NULL;
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_rbm *rbm = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_INT("hidden", &hidden, 1, 1000000, "hidden units"),
        OPTION_INT("steps", &o.steps, 1, 100000, "Gibbs steps of each update"),
        OPTION_FLAG("persistent", &persistent, "chains go on from update to update"),
        OPTION_INT("chains", &o.chains, 1, 1000000, "how many, with --persistent"),
        OPTION_INT("sample-steps", &o.sample_steps, 1, 1000000000,
                   "Gibbs steps behind each sample"),
        OPTION_REAL("rate", &rate, 1e-12, 1e3, "first learning rate of Adam"),
        OPTION_REAL("last-rate", &last, 0, 1, "what is left of the rate after the last epoch"),
        OPTION_REAL("weight-decay", &decay, 0, 1e3, "L2 penalty's gradient, for each weight"),
        OPTION_INT("ais-runs", &runs, 2, 1000000, "runs of annealed importance sampling"),
        OPTION_INT("ais-steps", &ais_steps, 0, 100000000,
                   "equal steps of each; 0: the 14 500 of Salakhutdinov and Murray 2008"),
        DENSITY_OPTIONS(&d),
    };

    options_init(&r.options, "rbm", "Trains a restricted Boltzmann machine on bits.");
    r.options.defaults = defaults;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;

    o.persistent = persistent;
    if ((s = density_adam(&o.optimizer, &d, rate, last, decay))) goto out;
    if ((s = gm_rbm_create(&rbm, r.context, d.width, hidden, &o))) goto out;
    if ((s = gm_rbm_init_biases(rbm, d.train))) goto out;
    gm_model *model = gm_rbm_model(rbm);
    if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
    rbm = gm_rbm_from_model(model);
    status = 0;
    if ((s = density_train(&d, model, &status))) goto out;
    if (binary_weights(&d, "weights.png", gm_param_value(gm_rbm_weight(rbm)), hidden, d.width, 1))
        status = 1;
    means = malloc((size_t)d.width * sizeof *means);
    if (!means) {
        s = GM_E_NOMEM;
        goto out;
    }
    if ((s = gm_dataset_mean(d.train, means))) goto out;
    if (!d.stopped) s = binary_log_z(&d, rbm, means, runs, ais_steps, &z);
    if (s == GM_E_CANCELLED)
        d.stopped = 1;
    else if (s)
        goto out;
    if ((s = binary_bits(&d, model, "samples_bits.png"))) goto out;
    if ((s = density_report(&d, model, &json, "rbm"))) goto out;
    json_whole(&json, "hidden", hidden);
    json_whole(&json, "steps", o.steps);
    json_flag(&json, "persistent", persistent);
    binary_report(&json, &z);
    if (json_end(&json)) status = 1;
out:
    free(means);
    density_close(&d);
    gm_optimizer_release(o.optimizer);
    gm_rbm_release(rbm);
    return run_end(&r, s, status);
}
