/* made.c - MADE on bits, or on class numbers and real values: exact likelihoods from one pass of a
 * masked network.
 *
 *     made --dataset dna         new masks for each update; the mean of 300 sets is scored
 *     made --dataset mushrooms   two sets of masks with random orders
 *     made --data DIR            MNIST's digits as bits: one set, natural order
 *
 * The rate falls linearly to zero over the epochs (but Adadelta's). With several sets
 * --valid-orders of them are averaged in each epoch's validation, --orders at the end. Writes
 * samples_first.png, samples_last.png, loss.png and model.safetensors.
 */
#include <math.h>
#include <string.h>

#include <gm/gm.h>

#include "common/density.h"
#include "common/message.h"
#include "common/training.h"

#define GROUP 500

static const struct option_defaults defaults[] = {
    { "dna", NULL,
      "--masks 0 --degrees random --random-orders --direct --valid-orders 8 --orders 300 "
      "--epochs 80 --batch 20 --rate 1e-2 --patience 20" },
    { "mushrooms", NULL,
      "--hidden 2000 --activation sigmoid --masks 2 --random-orders --valid-orders 2 "
      "--epochs 120 --batch 20 --rate 3e-3 --weight-decay 3e-5 --patience 30" },
    { "mnist", NULL, "--hidden 4000 --epochs 24 --batch 100 --weight-decay 3e-5 --patience 15" },
    { NULL, NULL, NULL },
};
static const char *const optimizers[] = { "adam", "adadelta", "adagrad", NULL };
static const char *const degrees[] = { "spread", "cyclic", "random", NULL };
static const char *const activations[] = { "relu", "tanh", "sigmoid", "softplus", NULL };
static const int32_t activation_of[] = { GM_ACTIVATION_RELU, GM_ACTIVATION_TANH,
                                         GM_ACTIVATION_SIGMOID, GM_ACTIVATION_SOFTPLUS };

struct settings {
    int64_t hidden, layers, masks, orders, valid_orders, components;
    double rate, decay;
    int optimizer, degrees, activation, random_orders, connectivity, direct, orthogonal;
};

static gm_status make_optimizer(gm_optimizer **out, const struct settings *set,
                                const struct density *d)
{
    gm_context *ctx = d->run->context;
    if (set->optimizer == 1) { /* the constants of Germain et al. */
        gm_adadelta_options how = GM_ADADELTA_OPTIONS_INIT;
        how.rho = 0.95;
        how.eps = 1e-5;
        how.weight_decay = set->decay;
        return gm_adadelta_create(out, ctx, &how);
    }
    if (set->optimizer == 2) {
        gm_adagrad_options how = GM_ADAGRAD_OPTIONS_INIT;
        how.rate = set->rate;
        how.eps = 1e-6;
        how.weight_decay = set->decay;
        return gm_adagrad_create(out, ctx, &how);
    }
    return density_adam(out, d, set->rate, 0, set->decay);
}

/* Bits: the outputs' biases become the logits of the columns' means, so that training starts from
 * the marginals. */
static gm_status start(gm_made *made, const struct density *d)
{
    gm_param *bias = gm_params_find(gm_model_params(gm_made_model(made)), "output.bias");
    float *b = gm_param_value(bias);
    const int64_t rows = gm_dataset_rows(d->train);
    gm_status s = GM_OK;
    if (d->classes != 2) return GM_OK;
    for (int64_t at = 0, n; !s && at < rows; at += n) {
        gm_tensor *t = NULL;
        n = rows - at < GROUP ? rows - at : GROUP;
        s = gm_dataset_read_tensor(&t, d->train, at, n, 0);
        for (int64_t i = 0; !s && i < n * d->width; i++) b[i % d->width] += gm_tensor_read(t)[i];
        gm_tensor_release(t);
    }
    for (int64_t c = 0; !s && c < d->width; c++) {
        const double ones = (double)b[c] + 0.5;
        b[c] = (float)log(ones / ((double)rows + 1 - ones));
    }
    return s;
}

static gm_status make(gm_made **out, const struct settings *set, const struct density *d)
{
    int64_t units[GM_MADE_MAX_LAYERS];
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    gm_status s = make_optimizer(&o.optimizer, set, d);
    for (int i = 0; i < GM_MADE_MAX_LAYERS; i++) units[i] = set->hidden;
    o.hidden = units;
    o.layers = (int32_t)set->layers;
    o.activation = activation_of[set->activation];
    o.direct = set->direct;
    o.components = set->components;
    o.degrees = set->degrees;
    o.random_orders = set->random_orders;
    o.connectivity = set->connectivity;
    o.masks = set->masks;
    o.orders = set->masks && set->valid_orders > set->masks ? set->masks : set->valid_orders;
    if (set->orthogonal) o.weight_init = GM_INIT_ORTHOGONAL;
    if (!d->classes) o.kind = GM_CONDITIONAL_GAUSSIAN_MIXTURE;
    if (d->classes > 2) o.kind = GM_CONDITIONAL_CATEGORICAL, o.classes = d->classes;
    if (!s) s = gm_made_create(out, d->run->context, d->width, &o);
    if (!s) s = start(*out, d);
    gm_optimizer_release(o.optimizer);
    return s;
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "MADE", DENSITY_DEFAULTS };
    struct settings set = { 500, 1, 1, 0, 16, 5, 1e-3, 0, 0, 0, 0, 0, 0, 0, 0 };
    struct json j;
    gm_made *made = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_INT("hidden", &set.hidden, 1, 1000000, "hidden units of a layer"),
        OPTION_INT("layers", &set.layers, 1, GM_MADE_MAX_LAYERS, "hidden layers"),
        OPTION_CHOICE("activation", &set.activation, activations, "of the hidden units"),
        OPTION_INT("masks", &set.masks, 0, 1000000,
                   "sets of masks in turn; 0: new ones for each update"),
        OPTION_CHOICE("degrees", &set.degrees, degrees, "of the hidden units"),
        OPTION_FLAG("random-orders", &set.random_orders, "each set has an order of its own"),
        OPTION_FLAG("connectivity", &set.connectivity,
                    "weights of the connections as well, for several sets"),
        OPTION_INT("orders", &set.orders, 0, 100000,
                   "sets averaged in the scores; 0: as in the validation"),
        OPTION_INT("valid-orders", &set.valid_orders, 1, 100000,
                   "sets averaged in each epoch's validation"),
        OPTION_FLAG("direct", &set.direct, "weights from inputs to outputs as well"),
        OPTION_FLAG("orthogonal", &set.orthogonal, "weights start orthogonal"),
        OPTION_INT("components", &set.components, 1, 1000,
                   "Gaussians of a conditional, for real values"),
        OPTION_CHOICE("optimizer", &set.optimizer, optimizers, "which one"),
        OPTION_REAL("rate", &set.rate, 1e-12, 1e3, "first learning rate of Adam and Adagrad"),
        OPTION_REAL("weight-decay", &set.decay, 0, 1e3, "L2 penalty's gradient, for each weight"),
        DENSITY_OPTIONS(&d),
        DENSITY_GREY_OPTION(&d),
    };

    options_init(&r.options, "made", "Trains a masked autoencoder for distribution estimation.");
    r.options.defaults = defaults;
    int status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    if (set.masks && set.orders > set.masks && !options_given(&r.options, "orders")) set.orders = 0;
    if (set.masks && set.orders > set.masks) {
        message("--orders is %lld, but there are %lld --masks", (long long)set.orders,
                (long long)set.masks);
        density_close(&d);
        return run_end(&r, GM_OK, 2);
    }
    status = 0;
    if ((s = make(&made, &set, &d))) goto out;
    gm_model *model = gm_made_model(made);
    if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
    made = gm_made_from_model(model);
    status = 0;
    if ((s = density_train(&d, model, &status))) goto out;
    if (set.orders && (s = gm_made_set_orders(made, set.orders))) goto out;
    if ((s = density_report(&d, model, &j, "made"))) goto out;
    json_whole(&j, "hidden", set.hidden);
    json_whole(&j, "layers", set.layers);
    json_whole(&j, "masks", set.masks);
    json_whole(&j, "orders", gm_made_orders(made));
    json_flag(&j, "connectivity", set.connectivity);
    if (json_end(&j)) status = 1;
out:
    gm_made_release(made);
    density_close(&d);
    return run_end(&r, s, status);
}
