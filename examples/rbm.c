/* rbm.c - trains a restricted Boltzmann machine on bits, and estimates its partition function by annealed importance sampling.
 *
 *     rbm --hidden 500 --steps 25                  CD-25 (Salakhutdinov and Murray 2008)
 *     rbm --hidden 500 --persistent                PCD-1 (Tieleman 2008)
 *
 * With at most 20 hidden units the partition function is also summed exactly.
 */
#include <gm/gm.h>

#include <math.h>
#include <stdlib.h>

#include "common/density.h"
#include "common/say.h"
#include "common/stop.h"

static int32_t on_step(void *user, int64_t done, int64_t of)
{
    progress_step(user, 1, done, of, NAN);
    return stop_requested();
}

/* log Z with the data's means as the beginning; `steps` equal ones, or the 14 500 of the paper for 0. */
static gm_status anneal(struct density *d, gm_rbm *rbm, int64_t runs, int64_t steps, gm_rbm_ais_result *out)
{
    gm_rbm_ais_options o = GM_RBM_AIS_OPTIONS_INIT;
    struct progress p;
    gm_status s = GM_OK;
    double *betas = calloc((size_t)steps + 1, sizeof *betas);
    float *means = calloc((size_t)d->width, sizeof *means);
    if (!betas || !means) s = GM_E_NOMEM;
    for (int64_t i = 0; !s && i <= steps; i++) betas[i] = steps ? (double)i / (double)steps : 0;
    if (!s) s = gm_dataset_mean(d->train, means);
    o.runs = runs;
    o.betas = steps ? betas : NULL;
    o.beta_count = steps ? steps + 1 : 0;
    o.means = means;
    o.seed = (uint64_t)d->run->options.seed;
    o.on_step = on_step;
    o.user = &p;
    if (!d->run->options.quiet) say("log Z by annealed importance sampling");
    progress_begin(&p, 1, d->run->options.quiet);
    if (!s) s = gm_rbm_ais(out, rbm, &o);
    progress_end(&p);
    free(betas);
    free(means);
    return s;
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "Restricted Boltzmann machine",
                         .measure = "free energy of the data less that of the chains" }; /* no measure to stop by: patience 0 */
    struct json json;
    int64_t hidden = 500, runs = 100, ais_steps = 0;
    int persistent = 0, status;
    double rate = 1e-3, last = 0, decay = 0, exact = NAN;
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_rbm_ais_result z = GM_RBM_AIS_RESULT_INIT;
    gm_rbm *rbm = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_INT("hidden", &hidden, 1, 1000000, "hidden units"),
        OPTION_INT("steps", &o.steps, 1, 100000, "Gibbs steps of each update"),
        OPTION_FLAG("persistent", &persistent, "chains go on from update to update"),
        OPTION_INT("chains", &o.chains, 1, 1000000, "how many, with --persistent"),
        OPTION_INT("sample-steps", &o.sample_steps, 1, 1000000000, "Gibbs steps behind each sample"),
        OPTION_REAL("rate", &rate, 1e-12, 1e3, "first learning rate of Adam"),
        OPTION_REAL("last-rate", &last, 0, 1, "what is left of the rate after the last epoch"),
        OPTION_REAL("weight-decay", &decay, 0, 1e3, "L2 penalty's gradient, for each weight"),
        OPTION_INT("ais-runs", &runs, 2, 1000000, "runs of annealed importance sampling"),
        OPTION_INT("ais-steps", &ais_steps, 0, 100000000,
                   "equal steps of each; 0: the 14 500 of Salakhutdinov and Murray 2008"),
        DENSITY_OPTIONS(&d),
    };

    status = run_begin(&r, "rbm", "Trains a restricted Boltzmann machine on bits.", argc, argv, own,
                       (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;

    o.persistent = persistent;
    if ((s = density_adam(&o.optimizer, &d, rate, last, decay))) goto out;
    if ((s = gm_rbm_create(&rbm, r.context, d.width, hidden, &o))) goto out;
    if ((s = gm_rbm_start(rbm, d.train))) goto out;
    if ((s = density_train(&d, gm_rbm_model(rbm), &status))) goto out;
    if (!d.stopped) s = anneal(&d, rbm, runs, ais_steps, &z);
    if (s == GM_E_CANCELLED) d.stopped = 1;
    else if (s) goto out;
    if (!d.stopped && hidden <= 20 && (s = gm_rbm_log_z(rbm, &exact))) goto out;
    if (!d.stopped) gm_rbm_set_log_z(rbm, isnan(exact) ? z.log_z : exact);
    if ((s = density_report(&d, gm_rbm_model(rbm), &json, "rbm"))) goto out;
    json_whole(&json, "hidden", hidden);
    json_whole(&json, "steps", o.steps);
    json_flag(&json, "persistent", persistent);
    json_number(&json, "log_z", z.runs ? z.log_z : NAN);
    json_number(&json, "log_z_error", z.runs ? z.standard_error : NAN);
    json_number(&json, "log_z_low", z.runs ? z.low : NAN);
    json_number(&json, "log_z_high", z.runs ? z.high : NAN);
    json_number(&json, "log_z_exact", exact);
    if (json_end(&json)) status = 1;
out:
    density_close(&d);
    gm_optimizer_release(o.optimizer);
    gm_rbm_release(rbm);
    return run_end(&r, s, status);
}
