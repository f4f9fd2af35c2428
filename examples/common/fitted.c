/* fitted.c - a model with a likelihood, from a file or fitted now. */
#include "fitted.h"

#include "say.h"

static int load(struct fitted *f, const struct density *d, gm_status *s)
{
    const int status = run_find_file(f->path, "--model");
    if (status != OPTIONS_GO_ON) return status;
    if ((*s = gm_model_load(&f->model, d->run->context, f->path))) return 1;
    const char *family = gm_model_family(f->model);
    if (gm_model_row_size(f->model) != d->width) {
        say("--model is a %s of rows of %lld values, those of %s have %lld", family,
            (long long)gm_model_row_size(f->model), d->name, (long long)d->width);
        return 2;
    }
    if (!gm_model_supports(f->model, GM_VERB_LOG_PROB)) {
        say("--model is a %s, which has no likelihood", family);
        return 2;
    }
    if (gm_model_labels(f->model)) {
        say("--model takes labels; one without is wanted");
        return 2;
    }
    return OPTIONS_GO_ON;
}

static gm_status make_net(gm_layer **out, gm_context *ctx, int64_t in, int64_t hidden, int64_t last)
{
    gm_status s = gm_sequence_create(out, ctx);
    if (s) return s;
    gm_sequence_add_linear(*out, in, hidden);
    gm_sequence_add_tanh(*out);
    gm_sequence_add_linear(*out, hidden, last);
    return gm_sequence_status(*out);
}

static gm_status make(struct fitted *f, struct density *d)
{
    gm_context *ctx = d->run->context;
    const int64_t latent = 20;
    gm_optimizer *adam = NULL;
    gm_layer *encoder = NULL, *net = NULL;
    gm_generator *decoder = NULL;
    gm_vae *vae = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_adam_options how = GM_ADAM_OPTIONS_INIT;
    gm_vae_options options = GM_VAE_OPTIONS_INIT;
    gm_status s;
    how.rate = f->rate;
    head.latent = latent;
    head.output = GM_OUTPUT_BERNOULLI;
    if ((s = gm_adam_create(&adam, ctx, &how))) goto out;
    options.optimizer = adam;
    if ((s = make_net(&encoder, ctx, d->width, f->hidden, 2 * latent))) goto out;
    if ((s = make_net(&net, ctx, latent, f->hidden, d->width))) goto out;
    if ((s = gm_generator_create(&decoder, ctx, net, &head))) goto out;
    if ((s = gm_vae_create(&vae, ctx, encoder, decoder, &options))) goto out;
    f->model = gm_vae_model(vae);
out:
    gm_generator_release(decoder);
    gm_layer_release(net);
    gm_layer_release(encoder);
    gm_optimizer_release(adam);
    return s;
}

int fitted_open(struct fitted *f, struct density *d, gm_status *s)
{
    int status = 0;
    if (f->path) return load(f, d, s);
    if (d->classes != 2) {
        say("%s has rows of %s, but bits are wanted; --model takes another model", d->name,
            d->classes ? "bytes" : "real values");
        return 2;
    }
    if ((*s = make(f, d))) return 1;
    if ((*s = density_train(d, f->model, &status))) return 1;
    return status ? status : OPTIONS_GO_ON;
}

void fitted_close(struct fitted *f)
{
    gm_model_release(f->model);
    f->model = NULL;
}
