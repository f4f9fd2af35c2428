/* gmmn.c - generative moment matching networks, on rows or on an autoencoder's codes. */
#include "gm/gmmn.h"

#include <math.h>

#include "gm/ops.h"
#include "models/latent/parts.h"
#include "models/row_reader.h"

struct gm_gmmn {
    gm_model model;    /* first */
    gm_gmmn_options o; /* kernel and autoencoder retained; the optimizer is the model's */
    gm_generator *generator;
};

static gm_gmmn *of(gm_model *model)
{
    return (gm_gmmn *)model;
}

static gm_status check_options(gm_context *ctx, const gm_gmmn_options *o)
{
    if (o->loss != GM_GMMN_MMD2 && o->loss != GM_GMMN_MMD)
        return gm_model_fail(ctx, GM_E_INVALID, "gmmn: loss is %d, expected one of GM_GMMN_*",
                             (int)o->loss);
    if (o->estimator != GM_MMD_BIASED && o->estimator != GM_MMD_UNBIASED)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "gmmn: estimator is %d, expected GM_MMD_BIASED (%d) or GM_MMD_UNBIASED (%d)",
            (int)o->estimator, GM_MMD_BIASED, GM_MMD_UNBIASED);
    if (o->loss == GM_GMMN_MMD && o->estimator == GM_MMD_UNBIASED)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "gmmn: the unbiased estimate can be negative and has no root; take "
                             "GM_GMMN_MMD2 or GM_MMD_BIASED");
    if (o->samples < 0 || (o->samples == 1 && o->estimator == GM_MMD_UNBIASED))
        return gm_model_fail(ctx, GM_E_INVALID, "gmmn: samples is %lld, expected 0 or at least %d",
                             (long long)o->samples, o->estimator == GM_MMD_UNBIASED ? 2 : 1);
    if (!(o->average >= 0 && o->average < 1))
        return gm_model_fail(ctx, GM_E_INVALID, "gmmn: average is %g, expected 0 to below 1",
                             o->average);
    if (o->kernel && gm_mmd_kernel_context(o->kernel) != ctx)
        return gm_model_fail(ctx, GM_E_INVALID, "gmmn: the kernel is of another context");
    if (o->autoencoder && gm_model_context(gm_autoencoder_model(o->autoencoder)) != ctx)
        return gm_model_fail(ctx, GM_E_INVALID, "gmmn: the autoencoder is of another context");
    return GM_OK;
}

static gm_status check_generator(gm_context *ctx, gm_generator *g, const gm_autoencoder *a)
{
    if (gm_model_context(gm_generator_model(g)) != ctx)
        return gm_model_fail(ctx, GM_E_INVALID, "gmmn: the generator is of another context");
    if (gm_generator_output(g) != GM_OUTPUT_DIRECT)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "gmmn: the generator's output is %d, expected a direct one (%d): a "
                             "gradient must pass through its samples",
                             (int)gm_generator_output(g), GM_OUTPUT_DIRECT);
    if (gm_generator_labels(g))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "gmmn: the generator takes labels of %lld classes, expected one "
                             "without",
                             (long long)gm_generator_labels(g));
    if (!gm_params_count(gm_generator_params(g)))
        return gm_model_fail(ctx, GM_E_INVALID, "gmmn: the generator has no parameters");
    if (a && gm_generator_row_size(g) != gm_autoencoder_code_size(a))
        return gm_model_fail(
            ctx, GM_E_SHAPE,
            "gmmn: the generator makes rows of %lld values, the autoencoder's codes "
            "have %lld",
            (long long)gm_generator_row_size(g), (long long)gm_autoencoder_code_size(a));
    return GM_OK;
}

/* The authors' code: variances 2 to 80 for pixels of MNIST, 1 for codes. */
static gm_status make_kernel(gm_mmd_kernel **out, gm_context *ctx, int codes)
{
    static const double variances[] = { 2, 5, 10, 20, 40, 80 };
    gm_status status;
    GM_TRY(gm_mmd_kernel_create(out, ctx));
    if (codes) GM_TRY(gm_mmd_kernel_add_gaussian(*out, 1, 1));
    for (size_t i = 0; !codes && i < sizeof variances / sizeof *variances; i++)
        GM_TRY(gm_mmd_kernel_add_gaussian(*out, 1, sqrt(variances[i])));
out:
    return status;
}

gm_status gm_gmmn_create(gm_gmmn **out, gm_context *ctx, gm_generator *generator,
                         const gm_gmmn_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx || !generator)
        return gm_model_fail(ctx, GM_E_INVALID, "gmmn: context, generator or out is NULL");
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "gmmn", &o, sizeof o, options);
    if (status) return status;
    status = check_options(ctx, &o);
    if (status) return status;
    status = check_generator(ctx, generator, o.autoencoder);
    if (status) return status;
    gm_gmmn *gmmn = gm_model_new(ctx, &gm_family_gmmn, sizeof *gmmn);
    if (!gmmn) return GM_E_NOMEM;
    gm_model *model = &gmmn->model;
    gmmn->o = o;
    gmmn->o.optimizer = NULL; /* the model's from here on */
    gm_generator_retain(generator);
    gm_mmd_kernel_retain(o.kernel);
    gm_autoencoder_retain(o.autoencoder);
    gmmn->generator = generator;
    GM_TRY(gm_model_open(model));
    if (!o.kernel) GM_TRY(make_kernel(&gmmn->o.kernel, ctx, o.autoencoder != NULL));
    model->row_size = o.autoencoder ? gm_model_row_size(gm_autoencoder_model(o.autoencoder))
                                    : gm_generator_row_size(generator);
    gm_model_shape_rows_like(model, o.autoencoder ? gm_autoencoder_model(o.autoencoder)
                                                  : gm_generator_model(generator));
    GM_TRY(gm_params_add_all(model->params, "generator.", gm_generator_params(generator)));
    GM_TRY(gm_model_add_state(model, "generator.", gm_generator_net(generator)));
    GM_TRY(gm_model_bind(model, &model->optimizer, o.optimizer, model->params));
    if (o.average > 0) GM_TRY(gm_optimizer_set_average(model->optimizer, o.average));
    *out = gmmn;
    return GM_OK;
out:
    gm_gmmn_release(gmmn);
    return status;
}

static void destroy(gm_model *model)
{
    gm_gmmn *gmmn = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    gm_generator_release(gmmn->generator);
    gm_mmd_kernel_release(gmmn->o.kernel);
    gm_autoencoder_release(gmmn->o.autoencoder);
    gm_context_free(ctx, gmmn, sizeof *gmmn);
}

void gm_gmmn_retain(gm_gmmn *gmmn)
{
    if (gmmn) gm_model_retain(&gmmn->model);
}

void gm_gmmn_release(gm_gmmn *gmmn)
{
    if (gmmn) gm_model_release(&gmmn->model);
}

gm_model *gm_gmmn_model(gm_gmmn *gmmn)
{
    return gmmn ? &gmmn->model : NULL;
}

gm_gmmn *gm_gmmn_from_model(gm_model *model)
{
    return model && model->family == &gm_family_gmmn ? of(model) : NULL;
}

gm_generator *gm_gmmn_generator(const gm_gmmn *gmmn)
{
    return gmmn ? gmmn->generator : NULL;
}

gm_autoencoder *gm_gmmn_autoencoder(const gm_gmmn *gmmn)
{
    return gmmn ? gmmn->o.autoencoder : NULL;
}

gm_mmd_kernel *gm_gmmn_kernel(const gm_gmmn *gmmn)
{
    return gmmn ? gmmn->o.kernel : NULL;
}

/* The rows that are matched: the data, or their codes as the autoencoder gives them when it is not
 * being fitted. */
static gm_var record_data(gm_gmmn *gmmn, const gm_batch *batch)
{
    gm_tape *tape = gmmn->model.tape;
    int64_t shape[2] = { batch->count, gmmn->model.row_size };
    gm_var x = gm_input_array(tape, 2, shape, batch->rows);
    if (!gmmn->o.autoencoder) return x;
    int32_t mode = gm_tape_mode(tape);
    gm_tape_set_mode(tape, GM_TAPE_CONSTANT);
    gm_var codes = gm_autoencoder_apply_encoder(tape, gmmn->o.autoencoder, x);
    gm_tape_set_mode(tape, mode);
    return codes;
}

/* Li, Swersky and Zemel 2015, equation 3 and its root. Rounding can leave a biased estimate a
 * little below 0. */
static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_gmmn *gmmn = of(model);
    gm_tape *tape = model->tape;
    gm_var data = record_data(gmmn, batch);
    gm_var z = gm_generator_draw_prior(tape, gmmn->generator,
                                       gmmn->o.samples ? gmmn->o.samples : batch->count);
    gm_var samples = gm_generator_apply(tape, gmmn->generator, z);
    gm_var mmd2 = gm_mmd2(tape, samples, data, gmmn->o.kernel, gmmn->o.estimator);
    *out = mmd2;
    if (gmmn->o.loss == GM_GMMN_MMD) *out = gm_sqrt(tape, gm_clamp(tape, mmd2, 0, INFINITY));
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *out));
    gm_metrics_add(metrics, "mmd2", gm_scalar(tape, mmd2));
    return gm_tape_status(tape);
}

/* --- Samples and files: with the averaged weights, if there are any. */

static gm_status draw(gm_gmmn *gmmn, float *out, int64_t count)
{
    gm_model *model = &gmmn->model;
    gm_tape *tape = model->tape;
    gm_status status = GM_OK;
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var z = gm_generator_draw_prior(tape, gmmn->generator, m);
        gm_var x = gm_generator_apply(tape, gmmn->generator, z);
        if (gmmn->o.autoencoder) x = gm_autoencoder_apply_decoder(tape, gmmn->o.autoencoder, x);
        GM_TRY(gm_tape_status(tape));
        GM_TRY(gm_read(tape, x, m * model->row_size, out + done * model->row_size));
        GM_TRY(gm_model_advance(model, m * model->row_size));
    }
out:
    return status;
}

static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    (void)labels;
    int in;
    gm_status status = gm_model_put_average(model, &in);
    if (status) return status;
    status = draw(of(model), out, count);
    gm_status back = gm_model_take_average(model, in);
    return status ? status : back;
}

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    gm_gmmn *gmmn = of(model);
    const gm_gmmn_options *o = &gmmn->o;
    gm_status status;
    int in = 0;
    GM_TRY(gm_archive_set_int(archive, "gmmn.loss", o->loss));
    GM_TRY(gm_archive_set_int(archive, "gmmn.estimator", o->estimator));
    GM_TRY(gm_archive_set_int(archive, "gmmn.samples", o->samples));
    GM_TRY(gm_archive_set_real(archive, "gmmn.average", o->average));
    GM_TRY(gm_archive_set_int(archive, "gmmn.codes", o->autoencoder != NULL));
    GM_TRY(gm_archive_put_kernel(archive, "gmmn.kernel.", o->kernel));
    if (o->autoencoder) GM_TRY(gm_autoencoder_put(archive, "autoencoder.", o->autoencoder));
    if (!checkpoint) GM_TRY(gm_model_put_average(model, &in)); /* what sample uses */
    status = gm_generator_put(archive, "generator.", gmmn->generator);
    gm_status back = gm_model_take_average(model, in);
    if (!status) status = back;
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    gm_status status;
    gm_generator *generator = NULL;
    gm_gmmn *gmmn = NULL;
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    int64_t kind, estimator, codes;
    GM_TRY(gm_archive_get_int(&kind, archive, "gmmn.loss"));
    GM_TRY(gm_archive_get_int(&estimator, archive, "gmmn.estimator"));
    GM_TRY(gm_archive_get_int(&o.samples, archive, "gmmn.samples"));
    GM_TRY(gm_archive_get_real(&o.average, archive, "gmmn.average"));
    GM_TRY(gm_archive_get_int(&codes, archive, "gmmn.codes"));
    /* What is no constant of theirs becomes a number that gm_gmmn_create refuses. */
    o.loss = kind == GM_GMMN_MMD2 || kind == GM_GMMN_MMD ? (int32_t)kind : -1;
    o.estimator =
        estimator == GM_MMD_BIASED || estimator == GM_MMD_UNBIASED ? (int32_t)estimator : -1;
    o.optimizer = optimizer;
    GM_TRY(gm_archive_get_kernel(&o.kernel, archive, "gmmn.kernel."));
    if (codes) GM_TRY(gm_autoencoder_get(&o.autoencoder, ctx, archive, "autoencoder.", NULL));
    GM_TRY(gm_generator_get(&generator, ctx, archive, "generator."));
    GM_TRY(gm_gmmn_create(&gmmn, ctx, generator, &o));
out:
    gm_generator_release(generator);
    gm_autoencoder_release(o.autoencoder);
    gm_mmd_kernel_release(o.kernel);
    *out = gm_gmmn_model(gmmn);
    return status;
}

const gm_family gm_family_gmmn = {
    .name = "gmmn",
    .loss = loss,
    .sample = sample,
    .save = save,
    .load = load,
    .destroy = destroy,
};
