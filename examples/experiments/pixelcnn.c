/* pixelcnn.c - PixelCNN on binarised digits, or on images of one channel: exact likelihoods from
 * masked convolutions.
 *
 *     pixelcnn --data DIR                       MNIST's files in DIR, training bits drawn anew in
 *                                               each epoch
 *     pixelcnn --data DIR --no-dynamic          bits drawn once
 *     pixelcnn --gated --conditional            the gated network, each digit given its class
 *     pixelcnn --grey                           256 grey values instead of bits
 *     pixelcnn --start FILE --rate 2e-3         goes on from a saved network of the same options
 *
 * Adam, whose rate falls along half a cosine to zero over the epochs. Writes samples_first.png,
 * samples_last.png, loss.png and model.safetensors.
 */
#include <gm/gm.h>

#include <stdlib.h>
#include <string.h>

#include "common/density.h"
#include "common/message.h"
#include "common/training.h"

static const struct option_defaults defaults[] = {
    { "mnist", NULL, "--dynamic --batch 4 --rate 2e-3 --epochs 31 --patience 0 --valid-rows 500" },
    { NULL, NULL, NULL },
};

struct settings {
    gm_pixelcnn_options net;
    const char *start;
    double rate;
    int gated, conditional;
};

static gm_status make(gm_pixelcnn **out, const struct settings *set, const struct density *d)
{
    const struct options *o = &d->run->options;
    const int64_t batches = (gm_dataset_rows(d->train) + o->batch - 1) / o->batch;
    gm_pixelcnn_options net = set->net;
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_schedule fall = GM_SCHEDULE_INIT;
    gm_status s;
    adam.rate = set->rate;
    fall.kind = GM_SCHEDULE_COSINE;
    fall.period = o->epochs * batches;
    fall.warmup = fall.period / 100;
    fall.floor = 0;
    net.gated = set->gated;
    net.classes = d->classes;
    net.labels = set->conditional ? gm_dataset_classes(d->train) : 0;
    if ((s = gm_adam_create(&net.optimizer, d->run->context, &adam))) return s;
    s = gm_optimizer_set_schedule(net.optimizer, &fall);
    if (!s) s = gm_pixelcnn_create(out, d->run->context, d->height, d->across, &net);
    gm_optimizer_release(net.optimizer);
    return s;
}

/* Gives the network the weights of a saved one. Returns OPTIONS_GO_ON, or an exit status, then *s
 * may say why. */
static int take_weights(gm_pixelcnn *net, const struct settings *set, const struct density *d,
                        gm_status *s)
{
    gm_model *saved = NULL;
    float *values = NULL;
    int status = run_find_file(set->start, "--start");
    if (status != OPTIONS_GO_ON) return status;
    status = 1;
    if ((*s = gm_model_load(&saved, d->run->context, set->start))) goto out;
    const gm_params *from = gm_model_params(saved);
    gm_params *to = gm_model_params(gm_pixelcnn_model(net));
    const int64_t count = gm_params_elements(to);
    if (!gm_pixelcnn_from_model(saved) || !training_same_parameters(from, to)) {
        message("--start is a %s of %lld weights, but the options ask for a pixelcnn of other "
                "shapes, with %lld",
                gm_model_family(saved), (long long)gm_params_elements(from), (long long)count);
        status = 2;
        goto out;
    }
    values = malloc((size_t)count * sizeof *values);
    *s = values ? gm_params_read(from, count, values) : GM_E_NOMEM;
    if (!*s) *s = gm_params_write(to, values, count);
    if (!*s) status = OPTIONS_GO_ON;
out:
    free(values);
    gm_model_release(saved);
    return status;
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "PixelCNN", DENSITY_DEFAULTS };
    struct settings set = { GM_PIXELCNN_OPTIONS_INIT, NULL, 4e-3, 0, 0 };
    struct json json;
    gm_pixelcnn *net = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_INT("hidden", &set.net.hidden, 1, 4096, "channels h of a layer"),
        OPTION_INT("blocks", &set.net.blocks, 0, 1000, "residual blocks"),
        OPTION_INT("first-kernel", &set.net.first_kernel, 3, 15,
                   "size of the first convolution, odd"),
        OPTION_INT("kernel", &set.net.kernel, 3, 15, "size of the others, odd"),
        OPTION_INT("head", &set.net.head, 1, 65536, "channels before the logits"),
        OPTION_FLAG("gated", &set.gated, "the gated network of two stacks"),
        OPTION_FLAG("conditional", &set.conditional, "give the network each image's label"),
        OPTION_REAL("rate", &set.rate, 1e-12, 1e3, "highest learning rate of Adam"),
        OPTION_TEXT("start", &set.start, "FILE",
                    "a saved network whose weights to begin with; same options"),
        DENSITY_OPTIONS(&d),
        DENSITY_GREY_OPTION(&d),
    };

    options_init(&r.options, "pixelcnn", "Trains a PixelCNN.");
    set.net.kernel = 5; /* 3 leaves a wider blind spot */
    r.options.defaults = defaults;
    r.options.epochs = 30;
    r.options.batch = 16;
    int status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    d.labels = set.conditional;
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    status = 0;
    if ((s = make(&net, &set, &d))) goto out;
    gm_model *model = gm_pixelcnn_model(net);
    if ((status = training_resume(&model, &r, &s)) != OPTIONS_GO_ON) goto out;
    net = gm_pixelcnn_from_model(model);
    status = 0;
    if (set.start && !r.options.resume &&
        (status = take_weights(net, &set, &d, &s)) != OPTIONS_GO_ON)
        goto out;
    status = 0;
    if ((s = density_train(&d, model, &status))) goto out;
    if ((s = density_report(&d, model, &json, "pixelcnn"))) goto out;
    json_whole(&json, "hidden", set.net.hidden);
    json_whole(&json, "blocks", set.net.blocks);
    json_flag(&json, "gated", set.gated);
    json_number(&json, "rate", set.rate);
    if (json_end(&json)) status = 1;
out:
    gm_pixelcnn_release(net);
    density_close(&d);
    return run_end(&r, s, status);
}
