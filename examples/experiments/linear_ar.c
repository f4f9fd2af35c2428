/* linear_ar.c - a linear autoregressive network: for bits the fully visible belief network (Frey
 * 1998).
 *
 *     linear_ar --dataset dna
 *     linear_ar --dataset mushrooms
 *     linear_ar --data DIR                                   MNIST
 *     linear_ar --dataset NAME --data DIR --ridge 1e-3       real values, in closed form
 */
#include <stdlib.h>

#include <gm/gm.h>

#include "common/density.h"
#include "common/training.h"

static const struct option_defaults defaults[] = {
    { "dna", NULL, "--epochs 600 --weight-decay 3e-3 --patience 20" },
    { "mushrooms", NULL, "--epochs 600 --batch 20 --rate 3e-3 --patience 20" },
    { "mnist", "dynamic", "--rate 1e-2 --last-rate 0 --patience 0" },
    { "mnist", NULL, "--order random --rate 1e-2 --last-rate 0 --weight-decay 1e-4 --patience 0" },
    { NULL, NULL, NULL },
};
static const char *const orders[] = { "natural", "random", NULL };

static gm_status draw_order(int64_t *order, const struct density *d)
{
    gm_rng *rng = NULL;
    gm_status s = gm_rng_create(&rng, d->run->context, (uint64_t)d->run->options.seed);
    if (!s) s = gm_rng_permutation(rng, d->width, order);
    gm_rng_release(rng);
    return s;
}

static gm_status make(gm_linear_ar **out, const struct density *d, int64_t *order, double rate,
                      double last, double weight_decay)
{
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    gm_status s = order ? draw_order(order, d) : GM_OK;
    if (s) return s;
    o.order = order;
    o.weight_decay = weight_decay;
    if (d->classes == 0) o.kind = GM_CONDITIONAL_GAUSSIAN;
    if (d->classes > 2) {
        o.kind = GM_CONDITIONAL_CATEGORICAL;
        o.classes = d->classes;
    }
    s = density_adam(&o.optimizer, d, rate, last, 0);
    if (!s) s = gm_linear_ar_create(out, d->run->context, d->width, &o);
    gm_optimizer_release(o.optimizer);
    return s;
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "Linear autoregressive network", DENSITY_DEFAULTS };
    struct json json;
    double rate = 1e-3, last = 1, weight_decay = 0, ridge = -1, gradient;
    int status, random_order = 0;
    int64_t *order = NULL;
    gm_linear_ar *ar = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_REAL("rate", &rate, 1e-12, 1e30, "learning rate of Adam"),
        OPTION_REAL("last-rate", &last, 0, 1,
                    "the rate falls in a straight line to this part of it"),
        OPTION_REAL("weight-decay", &weight_decay, 0, 1e30,
                    "adds half of it times the sum of squared weights to the loss"),
        OPTION_CHOICE("order", &random_order, orders, "of the columns; random: --seed's"),
        OPTION_REAL("ridge", &ridge, -1, 1e30,
                    "real values start from the closed form with this ridge; -1: from zero"),
        DENSITY_OPTIONS(&d),
    };

    options_init(&r.options, "linear_ar",
                 "Trains a linear autoregressive network on bits or real values.");
    r.options.defaults = defaults;
    r.options.epochs = 40;
    r.options.batch = 100;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;

    if (random_order && !(order = malloc((size_t)d.width * sizeof *order))) {
        s = GM_E_NOMEM;
        goto out;
    }
    if ((s = make(&ar, &d, order, rate, last, weight_decay))) goto out;
    gm_model *model = gm_linear_ar_model(ar);
    if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
    ar = gm_linear_ar_from_model(model);
    status = 0;
    if (ridge >= 0 && !r.options.resume && (s = gm_linear_ar_solve(ar, d.train, ridge))) goto out;
    if ((s = density_train(&d, model, &status))) goto out;
    if ((s = gm_linear_ar_gradient_norm(&gradient, ar, d.train))) goto out;
    if ((s = density_report(&d, model, &json, "linear_ar"))) goto out;
    json_number(&json, "rate", rate);
    json_number(&json, "last_rate", last);
    json_number(&json, "weight_decay", weight_decay);
    json_number(&json, "gradient_norm", gradient);
    json_text(&json, "order", orders[random_order]);
    if (json_end(&json)) status = 1;
out:
    free(order);
    gm_linear_ar_release(ar);
    density_close(&d);
    return run_end(&r, s, status);
}
