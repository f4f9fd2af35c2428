/* density_model.c - a model with a likelihood, from a file or trained now. */
#include "density_model.h"

#include "message.h"
#include "training.h"

const struct option_defaults density_model_defaults[] = {
    { "dna", NULL, "--epochs 100 --batch 10" },
    { "mushrooms", NULL, "--epochs 100 --batch 20 --rate 2e-3" },
    { NULL, NULL, NULL },
};

static int load(struct density_model *f, const struct density *d, gm_status *s)
{
    const int status = run_find_file(f->path, "--model");
    if (status != OPTIONS_GO_ON) return status;
    if ((*s = gm_model_load(&f->model, d->run->context, f->path))) return 1;
    const char *family = gm_model_family(f->model);
    if (gm_model_row_size(f->model) != d->width) {
        message("--model is a %s of rows of %lld values, those of %s have %lld", family,
                (long long)gm_model_row_size(f->model), d->name, (long long)d->width);
        return 2;
    }
    if (!gm_model_supports(f->model, GM_VERB_LOG_PROB)) {
        message("--model is a %s, which has no likelihood", family);
        return 2;
    }
    if (gm_model_labels(f->model)) {
        message("--model takes labels, expected a model without labels");
        return 2;
    }
    return OPTIONS_GO_ON;
}

/* A NADE in the rows' own order, from top to bottom. */
static gm_status make(struct density_model *f, struct density *d)
{
    gm_context *ctx = d->run->context;
    gm_nade *nade = NULL;
    gm_adam_options how = GM_ADAM_OPTIONS_INIT;
    gm_nade_options options = GM_NADE_OPTIONS_INIT;
    how.rate = f->rate;
    options.hidden = f->hidden;
    gm_status s = gm_adam_create(&options.optimizer, ctx, &how);
    if (!s) s = gm_nade_create(&nade, ctx, d->width, &options);
    if (!s) s = gm_nade_init_biases(nade, d->train);
    f->model = gm_nade_model(nade); /* the same object, so this owner is passed on */
    gm_optimizer_release(options.optimizer);
    return s;
}

int density_model_open(struct density_model *f, struct density *d, gm_status *s)
{
    int status = 0;
    if (f->path) return load(f, d, s);
    if (d->classes != 2) {
        message("%s has rows of %s, expected bits; --model takes another model", d->name,
                d->classes ? "bytes" : "real values");
        return 2;
    }
    if ((*s = make(f, d))) return 1;
    if ((status = training_resume(&f->model, d->run, s)) != OPTIONS_GO_ON) return status;
    status = 0;
    if ((*s = density_train(d, f->model, &status))) return 1;
    return status ? status : OPTIONS_GO_ON;
}

void density_model_close(struct density_model *f)
{
    gm_model_release(f->model);
    f->model = NULL;
}
