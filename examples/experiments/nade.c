/* nade.c - NADE on bits, or on real values: exact likelihoods from hidden units that all
 * conditionals share.
 *
 *     nade --dataset dna                          one order of the columns
 *     nade --dataset mushrooms --order-agnostic   trained for all orders; scored with 1 and with
 *                                                 --orders of them
 *     nade --data DIR                             500 sigmoid units on MNIST's digits as bits
 *
 * Bits and bytes that become bits (see common/density.h); bytes as class numbers with --grey; files
 * of floats with mixtures of Gaussians. Adam, whose rate falls linearly to zero over the epochs.
 * Writes samples_first.png, samples_last.png, loss.png and model.safetensors.
 */
#include <math.h>

#include <gm/gm.h>

#include "common/density.h"
#include "common/message.h"
#include "common/training.h"

static const struct option_defaults defaults[] = {
    { "dna", "order-agnostic", "--activation relu --epochs 2500 --batch 700 --patience 0" },
    { "dna", NULL, "--epochs 100 --batch 10" },
    { "mushrooms", "order-agnostic",
      "--activation relu --epochs 1500 --batch 100 --rate 3e-3 --patience 0" },
    { "mushrooms", NULL, "--epochs 100 --batch 20 --rate 2e-3" },
    { "mnist", "order-agnostic",
      "--layers 2 --activation relu --epochs 320 --batch 100 --patience 0 --valid-rows 500" },
    { "mnist", NULL, "--epochs 30 --batch 100" },
    { NULL, NULL, NULL },
};
static const char *const activations[] = { "sigmoid", "tanh", "relu", NULL };
static const int32_t activation_of[] = { GM_ACTIVATION_SIGMOID, GM_ACTIVATION_TANH,
                                         GM_ACTIVATION_RELU };

struct settings {
    int64_t hidden, layers, orders, components;
    double rate, decay;
    int activation, agnostic, tied;
};

static gm_status make(gm_nade **out, const struct settings *set, const struct density *d)
{
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    gm_status s = density_adam(&o.optimizer, d, set->rate, 0, set->decay);
    o.hidden = set->hidden;
    o.layers = (int32_t)set->layers;
    o.order_agnostic = set->agnostic;
    o.orders = set->orders;
    o.tied = set->tied;
    o.components = set->components;
    o.activation = activation_of[set->activation];
    if (!d->classes) o.kind = GM_CONDITIONAL_GAUSSIAN_MIXTURE;
    if (d->classes > 2) o.kind = GM_CONDITIONAL_CATEGORICAL, o.classes = d->classes;
    if (!s) s = gm_nade_create(out, d->run->context, d->width, &o);
    if (!s) s = gm_nade_init_biases(*out, d->train);
    gm_optimizer_release(o.optimizer);
    return s;
}

/* The test rows with one order alone. */
static gm_status one_order(struct density *d, gm_nade *nade, const struct settings *set,
                           struct json *j)
{
    double nll = NAN, error = NAN;
    if (!set->agnostic || d->stopped) return GM_OK;
    gm_status s = gm_nade_set_orders(nade, 1);
    if (!s)
        s = density_score(d, gm_nade_model(nade), d->test, gm_dataset_rows(d->test),
                          "test rows, one order", NULL, &nll, &error);
    if (s && s != GM_E_CANCELLED) return s;
    json_whole(j, "orders", set->orders);
    json_number(j, "test_nll_one_order", s ? NAN : nll);
    if (s) json_flag(j, "stopped", 1);
    return GM_OK;
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "NADE", DENSITY_DEFAULTS };
    struct settings set = { 500, 1, 16, 10, 1e-3, 0, 0, 0, 0 };
    struct json j;
    gm_nade *nade = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_INT("hidden", &set.hidden, 1, 1000000, "hidden units of a layer"),
        OPTION_CHOICE("activation", &set.activation, activations, "of the hidden units"),
        OPTION_FLAG("order-agnostic", &set.agnostic, "train for all orders of the columns"),
        OPTION_INT("orders", &set.orders, 1, 4096,
                   "orders averaged in scores, with --order-agnostic"),
        OPTION_INT("layers", &set.layers, 1, 2, "hidden layers; 2 with --order-agnostic only"),
        OPTION_FLAG("tied", &set.tied, "outputs have the inputs' weights"),
        OPTION_INT("components", &set.components, 1, 1000,
                   "Gaussians of a conditional, for real values"),
        OPTION_REAL("rate", &set.rate, 1e-12, 1e3, "first learning rate of Adam"),
        OPTION_REAL("weight-decay", &set.decay, 0, 1e3, "L2 penalty's gradient, for each weight"),
        DENSITY_OPTIONS(&d),
        DENSITY_GREY_OPTION(&d),
    };

    options_init(&r.options, "nade", "Trains a neural autoregressive distribution estimator.");
    r.options.defaults = defaults;
    int status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    if (set.layers > 1 && !set.agnostic) {
        message("--layers 2 needs --order-agnostic");
        return run_end(&r, GM_OK, 2);
    }
    if (set.tied && (set.agnostic || d.grey)) {
        message("--tied is for bits in one order");
        return run_end(&r, GM_OK, 2);
    }
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;
    if ((s = make(&nade, &set, &d))) goto out;
    gm_model *model = gm_nade_model(nade);
    if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
    nade = gm_nade_from_model(model);
    status = 0;
    if ((s = density_train(&d, model, &status))) goto out;
    if ((s = density_report(&d, model, &j, "nade"))) goto out;
    json_whole(&j, "hidden", set.hidden);
    json_flag(&j, "order_agnostic", set.agnostic);
    if ((s = one_order(&d, nade, &set, &j))) goto out;
    if (json_end(&j)) status = 1;
out:
    gm_nade_release(nade);
    density_close(&d);
    return run_end(&r, s, status);
}
