/* neural_ar.c - a neural autoregressive network: a hidden group for each column (Bengio and Bengio
 * 2000).
 *
 *     neural_ar --dataset dna
 *     neural_ar --dataset mushrooms
 *     neural_ar --data DIR                 MNIST
 */
#include <gm/gm.h>

#include "common/density.h"
#include "common/training.h"

static const struct option_defaults defaults[] = {
    { "dna", NULL, "--epochs 400 --hidden 8 --weight-decay 8e-3" },
    { "mushrooms", NULL, "--epochs 300 --batch 50 --hidden 4 --weight-decay 1e-4" },
    { "mnist", NULL, "--epochs 40 --hidden 4 --last-rate 0 --weight-decay 1e-4" },
    { NULL, NULL, NULL },
};
static const char *const functions[] = { "relu", "tanh", "sigmoid", NULL };
static const int32_t activations[] = { GM_ACTIVATION_RELU, GM_ACTIVATION_TANH,
                                       GM_ACTIVATION_SIGMOID };

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "Neural autoregressive network", DENSITY_DEFAULTS };
    struct json json;
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    double rate = 1e-3, last = 1;
    int function = 1, bare = 0, status;
    gm_neural_ar *ar = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_INT("hidden", &o.hidden, 1, 1000000, "hidden units for each column"),
        OPTION_CHOICE("activation", &function, functions, "of the hidden units"),
        OPTION_FLAG("no-direct", &bare, "leave out the direct connections"),
        OPTION_REAL("rate", &rate, 1e-12, 1e30, "learning rate of Adam"),
        OPTION_REAL("last-rate", &last, 0, 1,
                    "the rate falls in a straight line to this part of it"),
        OPTION_REAL("weight-decay", &o.weight_decay, 0, 1e30,
                    "adds half of it times the sum of squared weights to the loss"),
        DENSITY_OPTIONS(&d),
    };

    options_init(&r.options, "neural_ar",
                 "Trains a neural autoregressive network on bits or real values.");
    r.options.defaults = defaults;
    r.options.epochs = 40;
    r.options.batch = 100;
    status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;

    o.activation = activations[function];
    o.direct = !bare;
    if (d.classes == 0) o.kind = GM_CONDITIONAL_GAUSSIAN;
    if (d.classes > 2) {
        o.kind = GM_CONDITIONAL_CATEGORICAL;
        o.classes = d.classes;
    }
    if ((s = density_adam(&o.optimizer, &d, rate, last, 0))) goto out;
    if ((s = gm_neural_ar_create(&ar, r.context, d.width, &o))) goto out;
    gm_model *model = gm_neural_ar_model(ar);
    if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
    ar = gm_neural_ar_from_model(model);
    status = 0;
    if ((s = density_train(&d, model, &status))) goto out;
    if ((s = density_report(&d, model, &json, "neural_ar"))) goto out;
    json_whole(&json, "hidden", o.hidden);
    json_text(&json, "activation", functions[function]);
    json_whole(&json, "direct", o.direct);
    json_number(&json, "rate", rate);
    json_number(&json, "last_rate", last);
    json_number(&json, "weight_decay", o.weight_decay);
    if (json_end(&json)) status = 1;
out:
    gm_optimizer_release(o.optimizer);
    gm_neural_ar_release(ar);
    density_close(&d);
    return run_end(&r, s, status);
}
