/* vae.c - the variational autoencoder: the bound, and what follows from q(z | x). */
#include "gm/vae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/ops.h"
#include "models/fields.h"
#include "models/frozen.h"
#include "models/latent/parts.h"
#include "models/numeric.h"
#include "models/row_reader.h"

#define LOG_VARIANCE 20.0

struct gm_vae {
    gm_model model; /* first */
    gm_vae_options o;
    gm_layer *encoder;
    gm_generator *decoder;
    int32_t rank; /* of the encoder's input, batch axis included */
    int64_t shape[GM_MAX_RANK];
};

static gm_vae *of(gm_model *model)
{
    return (gm_vae *)model;
}

static gm_status check_options(gm_context *ctx, const gm_vae_options *o)
{
    if (!(o->beta >= 0) || isinf(o->beta))
        return gm_model_fail(ctx, GM_E_INVALID, "vae: beta is %g, expected at least 0", o->beta);
    if (!(o->free_bits >= 0) || isinf(o->free_bits))
        return gm_model_fail(ctx, GM_E_INVALID, "vae: free_bits is %g, expected at least 0",
                             o->free_bits);
    if (o->warmup_steps < 0)
        return gm_model_fail(ctx, GM_E_INVALID, "vae: warmup_steps is %lld, expected at least 0",
                             (long long)o->warmup_steps);
    if (o->samples < 1 || o->samples > 100000)
        return gm_model_fail(ctx, GM_E_INVALID, "vae: samples is %lld, expected 1 to 100000",
                             (long long)o->samples);
    if (o->log_prob_samples < 1)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "vae: log_prob_samples is %lld, expected at least 1",
                             (long long)o->log_prob_samples);
    if (o->samples > 1 && (o->beta != 1 || o->warmup_steps || o->free_bits > 0))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "vae: samples is %lld, expected 1 where beta is not 1, or there is a "
                             "warm-up or free bits",
                             (long long)o->samples);
    return GM_OK;
}

/* Does the encoder take `rank` axes `shape` (and the label) for two rows, and give what the latent
 * needs? */
static gm_status try_encoder(gm_vae *vae, int32_t rank, const int64_t *shape)
{
    int64_t in[GM_MAX_RANK], out[GM_MAX_RANK];
    int64_t latent = gm_generator_latent(vae->decoder), row = 1;
    int32_t out_rank;
    memcpy(in, shape, (size_t)rank * sizeof *in);
    in[1] += vae->model.classes;
    gm_status status = gm_model_net_output(vae->encoder, "vae: encoder", rank, in, &out_rank, out);
    if (status) return status;
    for (int32_t i = 1; i < out_rank; i++) row *= out[i];
    if (out_rank < 2 || out[0] != 2 || row != 2 * latent)
        return gm_model_fail(vae->model.ctx, GM_E_SHAPE,
                             "vae: the encoder gives %lld values a row; for the decoder's latent "
                             "size %lld, expected %lld (means, then log-variances)",
                             (long long)row, (long long)latent, (long long)(2 * latent));
    vae->rank = rank;
    memcpy(vae->shape, shape, (size_t)rank * sizeof *shape);
    return GM_OK;
}

/* The encoder sees rows in the shape in which the decoder gives them (images for convolutions), or
 * flat. */
static gm_status fit_encoder(gm_vae *vae)
{
    int64_t z[2] = { 2, gm_generator_latent(vae->decoder) + vae->model.classes };
    int64_t shape[GM_MAX_RANK];
    int64_t flat[2] = { 2, gm_generator_row_size(vae->decoder) }, count = 1;
    int32_t rank;
    gm_status status = gm_layer_output(gm_generator_net(vae->decoder), 2, z, &rank, shape);
    if (status) return status;
    for (int32_t i = 1; i < rank; i++) count *= shape[i];
    int images = rank == 4 || (rank > 2 && !vae->model.classes); /* a label joins rows or images */
    if (images && count == flat[1] && try_encoder(vae, rank, shape) == GM_OK) return GM_OK;
    return try_encoder(vae, 2, flat);
}

gm_status gm_vae_create(gm_vae **out, gm_context *ctx, gm_layer *encoder, gm_generator *decoder,
                        const gm_vae_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx || !encoder || !decoder)
        return gm_model_fail(ctx, GM_E_INVALID, "vae: context, encoder, decoder or out is NULL");
    if (gm_layer_context(encoder) != ctx || gm_model_context(gm_generator_model(decoder)) != ctx)
        return gm_model_fail(ctx, GM_E_INVALID, "vae: encoder or decoder is of another context");
    if (gm_generator_prior(decoder) != GM_PRIOR_NORMAL)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "vae: the decoder's prior is uniform, expected a normal one: q(z | x) is Gaussian");
    if (gm_generator_prior_scale(decoder) != 1)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "vae: the decoder's prior_scale is %g, expected 1: the KL is to N(0, I)",
            gm_generator_prior_scale(decoder));
    if (gm_generator_output(decoder) == GM_OUTPUT_DIRECT)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "vae: the decoder's output is direct, expected a p(x | z) for the bound");
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "vae", &o, sizeof o, options);
    if (status) return status;
    status = check_options(ctx, &o);
    if (status) return status;
    gm_vae *vae = gm_model_new(ctx, &gm_family_vae, sizeof *vae);
    if (!vae) return GM_E_NOMEM;
    vae->o = o;
    gm_layer_retain(encoder);
    gm_generator_retain(decoder);
    vae->encoder = encoder;
    vae->decoder = decoder;
    GM_TRY(gm_model_open(&vae->model));
    vae->model.row_size = gm_generator_row_size(decoder);
    vae->model.classes = gm_generator_labels(decoder);
    GM_TRY(fit_encoder(vae));
    gm_model_shape_rows_like(&vae->model, gm_generator_model(decoder));
    GM_TRY(gm_model_shape_rows_for(&vae->model, encoder));
    GM_TRY(gm_params_add_all(vae->model.params, "encoder.", gm_layer_params(encoder)));
    GM_TRY(gm_params_add_all(vae->model.params, "decoder.", gm_generator_params(decoder)));
    GM_TRY(gm_model_add_state(&vae->model, "encoder.", encoder));
    GM_TRY(gm_model_add_state(&vae->model, "decoder.", gm_generator_net(decoder)));
    GM_TRY(gm_model_bind(&vae->model, &vae->model.optimizer, o.optimizer, vae->model.params));
    gm_layer_seal(encoder);
    *out = vae;
    return GM_OK;
out:
    gm_vae_release(vae);
    return status;
}

static void destroy(gm_model *model)
{
    gm_vae *vae = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    gm_generator_release(vae->decoder);
    gm_layer_release(vae->encoder);
    gm_context_free(ctx, vae, sizeof *vae);
}

void gm_vae_retain(gm_vae *vae)
{
    if (vae) gm_model_retain(&vae->model);
}

void gm_vae_release(gm_vae *vae)
{
    if (vae) gm_model_release(&vae->model);
}

gm_model *gm_vae_model(gm_vae *vae)
{
    return vae ? &vae->model : NULL;
}

gm_vae *gm_vae_from_model(gm_model *model)
{
    return model && model->family == &gm_family_vae ? of(model) : NULL;
}

gm_layer *gm_vae_encoder(const gm_vae *vae)
{
    return vae ? vae->encoder : NULL;
}

gm_generator *gm_vae_decoder(const gm_vae *vae)
{
    return vae ? vae->decoder : NULL;
}

typedef struct posterior {
    gm_var mean, log_variance; /* [n, latent] */
} posterior;

static gm_var record_rows(gm_vae *vae, const float *rows, int64_t n)
{
    int64_t flat[2] = { n, vae->model.row_size };
    return gm_input_array(vae->model.tape, 2, flat, rows);
}

/* q(z | x), or q(z | x, y) with labels; x is [n, row size]. */
static posterior record_posterior(gm_vae *vae, gm_var x, gm_var y)
{
    gm_tape *tape = vae->model.tape;
    int64_t latent = gm_generator_latent(vae->decoder), shape[GM_MAX_RANK], flat[2];
    posterior q;
    memcpy(shape, vae->shape, sizeof shape);
    shape[0] = flat[0] = -1;
    flat[1] = 2 * latent;
    if (vae->rank > 2) x = gm_reshape(tape, x, vae->rank, shape);
    x = gm_model_join_label(tape, x, y, vae->model.classes);
    gm_var h = gm_apply(tape, vae->encoder, x);
    if (gm_rank(tape, h) > 2) h = gm_reshape(tape, h, 2, flat);
    q.mean = gm_slice(tape, h, 1, 0, latent);
    q.log_variance =
        gm_clamp(tape, gm_slice(tape, h, 1, latent, 2 * latent), -LOG_VARIANCE, LOG_VARIANCE);
    return q;
}

/* log p(z) - log q(z | x) for each row of z. */
static gm_var record_log_ratio(gm_vae *vae, posterior q, gm_var z)
{
    gm_tape *tape = vae->model.tape;
    gm_var zero = gm_constant(tape, 0, NULL, 0);
    gm_var standard = gm_scale(tape, z, 0); /* mean 0 in the shape of z */
    gm_var prior = gm_gaussian_nll(tape, standard, zero, z);
    return gm_sub(tape, gm_gaussian_nll(tape, q.mean, q.log_variance, z), prior);
}

/* log w = log p(x | z) + log p(z) - log q(z | x) for k draws of z for each row. */
typedef struct weights {
    gm_var nll, log_ratio, log_weight; /* [n k] */
} weights;

static weights record_weights(gm_vae *vae, gm_var x, gm_var y, posterior q, int64_t k)
{
    gm_tape *tape = vae->model.tape;
    weights w;
    if (k > 1) {
        q.mean = gm_repeat_rows(tape, q.mean, k);
        q.log_variance = gm_repeat_rows(tape, q.log_variance, k);
    }
    gm_var z = gm_gaussian_draw(tape, q.mean, q.log_variance);
    gm_var output = gm_generator_apply_labelled(tape, vae->decoder, z, y);
    w.nll = gm_generator_nll(tape, vae->decoder, output, x);
    w.log_ratio = record_log_ratio(vae, q, z);
    w.log_weight = gm_sub(tape, w.log_ratio, w.nll);
    return w;
}

gm_var gm_vae_log_weights(gm_vae *vae, const gm_batch *batch, int64_t k)
{
    gm_var x = record_rows(vae, batch->rows, batch->count);
    gm_var y = gm_model_label_var(vae->model.tape, batch->labels, batch->count);
    return record_weights(vae, x, y, record_posterior(vae, x, y), k).log_weight;
}

/* Burda, Grosse and Salakhutdinov 2016, equation 8: -E log 1/k sum w. */
static gm_var record_weighted(gm_vae *vae, gm_var x, gm_var y, posterior q, gm_metrics *metrics)
{
    gm_tape *tape = vae->model.tape;
    weights w = record_weights(vae, x, y, q, vae->o.samples);
    int64_t shape[2] = { -1, vae->o.samples };
    gm_var bound =
        gm_shift(tape, gm_mean(tape, gm_logsumexp(tape, gm_reshape(tape, w.log_weight, 2, shape))),
                 -log((double)vae->o.samples));
    gm_var loss = gm_neg(tape, bound);
    double nll = gm_scalar(tape, gm_mean(tape, w.nll));
    gm_metrics_add(metrics, "loss", gm_scalar(tape, loss));
    gm_metrics_add(metrics, "reconstruction", nll);
    gm_metrics_add(metrics, "kl", -gm_scalar(tape, gm_mean(tape, w.log_ratio)));
    gm_metrics_add(metrics, "elbo", gm_scalar(tape, bound));
    return loss;
}

/* sum over the latents of max(free_bits, mean over the batch of KL_j): Kingma et al. 2016,
 * equation 15. */
static gm_var record_free_bits(gm_vae *vae, posterior q)
{
    gm_tape *tape = vae->model.tape;
    static const int32_t rows[1] = { 0 };
    gm_var variance = gm_exp(tape, q.log_variance);
    gm_var kl = gm_sub(tape, gm_add(tape, gm_square(tape, q.mean), variance), q.log_variance);
    kl = gm_scale(tape, gm_shift(tape, kl, -1), 0.5);
    kl = gm_mean_axes(tape, kl, rows, 1, 0);
    return gm_sum(tape, gm_clamp(tape, kl, vae->o.free_bits, INFINITY));
}

static double kl_weight(const gm_vae *vae)
{
    /* Evaluation sees the weight that the next update would use. */
    double done = (double)vae->model.steps, warmup = (double)vae->o.warmup_steps;
    return done < warmup ? vae->o.beta * done / warmup : vae->o.beta;
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_vae *vae = of(model);
    gm_tape *tape = model->tape;
    gm_var x = record_rows(vae, batch->rows, batch->count);
    gm_var y = gm_model_label_var(tape, batch->labels, batch->count);
    posterior q = record_posterior(vae, x, y);
    if (vae->o.samples > 1) {
        *out = record_weighted(vae, x, y, q, metrics);
        return gm_tape_status(tape);
    }
    gm_var z = gm_gaussian_draw(tape, q.mean, q.log_variance);
    gm_var output = gm_generator_apply_labelled(tape, vae->decoder, z, y);
    gm_var nll = gm_mean(tape, gm_generator_nll(tape, vae->decoder, output, x));
    gm_var kl = gm_mean(tape, gm_gaussian_kl(tape, q.mean, q.log_variance));
    gm_var cost = vae->o.free_bits > 0 ? record_free_bits(vae, q) : kl;
    double weight = kl_weight(vae);
    *out = gm_add(tape, nll, weight == 1 ? cost : gm_scale(tape, cost, weight));
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *out));
    gm_metrics_add(metrics, "reconstruction", gm_scalar(tape, nll));
    gm_metrics_add(metrics, "kl", gm_scalar(tape, kl));
    gm_metrics_add(metrics, "elbo", -gm_scalar(tape, nll) - gm_scalar(tape, kl));
    return gm_tape_status(tape);
}

/* The labels of rows done .. done + m - 1 on the tape. */
static gm_var labels_at(gm_vae *vae, const float *labels, int64_t done, int64_t m)
{
    return gm_model_label_var(vae->model.tape, labels ? labels + done : NULL, m);
}

static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    gm_vae *vae = of(model);
    gm_tape *tape = model->tape;
    gm_status status = GM_OK;
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var z = gm_generator_draw_prior(tape, vae->decoder, m);
        GM_TRY(gm_tape_status(tape));
        GM_TRY(gm_generator_emit(vae->decoder, tape, z, labels_at(vae, labels, done, m), m,
                                 out + done * model->row_size));
        GM_TRY(gm_model_advance(model, m * model->row_size));
    }
out:
    return status;
}

static gm_status check_rows(gm_vae *vae, const char *verb, const float *rows, int64_t count,
                            const void *out)
{
    if (rows && out && count > 0) return GM_OK;
    return gm_model_fail(vae->model.ctx, GM_E_INVALID,
                         "vae: %s: an array is NULL, or count is %lld, expected at least 1", verb,
                         (long long)count);
}

/* Means and log-variances (or NULL) of n rows, in groups. */
static gm_status encode(gm_vae *vae, const float *rows, const float *labels, int64_t n, float *mean,
                        float *log_variance)
{
    gm_tape *tape = vae->model.tape;
    int64_t latent = gm_generator_latent(vae->decoder), row = vae->model.row_size;
    gm_status status = GM_OK;
    for (int64_t done = 0, m; (m = gm_model_group(n, done)) > 0; done += m) {
        gm_model_record(&vae->model, GM_TAPE_CONSTANT);
        posterior q = record_posterior(vae, record_rows(vae, rows + done * row, m),
                                       labels_at(vae, labels, done, m));
        GM_TRY(gm_read(tape, q.mean, m * latent, mean + done * latent));
        if (log_variance)
            GM_TRY(gm_read(tape, q.log_variance, m * latent, log_variance + done * latent));
    }
out:
    return status;
}

gm_status gm_vae_encode(gm_vae *vae, const float *rows, int64_t count, float *mean,
                        float *log_variance)
{
    if (!vae) return GM_E_INVALID;
    const size_t mark = gm_model_mark(&vae->model);
    const float *labels;
    gm_status status;
    GM_TRY(check_rows(vae, "encode", rows, count, mean));
    GM_TRY(gm_model_labels_for(&vae->model, "encode", count, &labels));
    GM_TRY(encode(vae, rows, labels, count, mean, log_variance));
    const int64_t latent = gm_generator_latent(vae->decoder);
    GM_TRY(gm_model_check_floats(&vae->model, "encode", mean, count, latent));
    GM_TRY(gm_model_check_floats(&vae->model, "encode", log_variance, count, latent));
out:
    gm_model_give(&vae->model, mark);
    return status;
}

gm_status gm_vae_decode(gm_vae *vae, const float *codes, int64_t count, float *rows)
{
    if (!vae) return GM_E_INVALID;
    const size_t mark = gm_model_mark(&vae->model);
    gm_model *model = &vae->model;
    gm_tape *tape = model->tape;
    const int64_t latent = gm_generator_latent(vae->decoder);
    const float *labels;
    gm_status status;
    GM_TRY(check_rows(vae, "decode", codes, count, rows));
    GM_TRY(gm_model_labels_for(model, "decode", count, &labels));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        int64_t shape[2] = { m, latent };
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var code = gm_input_array(tape, 2, shape, codes + done * latent);
        GM_TRY(gm_generator_emit(vae->decoder, tape, code, labels_at(vae, labels, done, m), m,
                                 rows + done * model->row_size));
    }
    GM_TRY(gm_model_check_floats(model, "decode", rows, count, model->row_size));
out:
    gm_model_give(&vae->model, mark);
    return status;
}

gm_status gm_vae_reconstruct(gm_vae *vae, const float *rows, int64_t count, float *means)
{
    if (!vae) return GM_E_INVALID;
    const size_t mark = gm_model_mark(&vae->model);
    gm_model *model = &vae->model;
    const int64_t row = model->row_size;
    const float *labels;
    gm_status status;
    GM_TRY(check_rows(vae, "reconstruct", rows, count, means));
    GM_TRY(gm_model_labels_for(model, "reconstruct", count, &labels));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var y = labels_at(vae, labels, done, m);
        posterior q = record_posterior(vae, record_rows(vae, rows + done * row, m), y);
        GM_TRY(gm_tape_status(model->tape));
        GM_TRY(gm_generator_emit(vae->decoder, model->tape, q.mean, y, m, means + done * row));
    }
    GM_TRY(gm_model_check_floats(model, "reconstruct", means, count, row));
out:
    gm_model_give(&vae->model, mark);
    return status;
}

gm_status gm_vae_interpolate(gm_vae *vae, const float *from, const float *to, int64_t count,
                             float *rows)
{
    if (!vae) return GM_E_INVALID;
    const size_t mark = gm_model_mark(&vae->model);
    gm_model *model = &vae->model;
    gm_tape *tape = model->tape;
    const float *labels;
    gm_status status;
    if (!from || !to || !rows || count < 2)
        GM_TRY(gm_model_fail(
            model->ctx, GM_E_INVALID,
            "vae: interpolate: an array is NULL, or count is %lld, expected at least 2",
            (long long)count));
    GM_TRY(gm_model_check_count(model, "interpolate", count));
    GM_TRY(gm_model_labels_for(model, "interpolate", 1, &labels));
    for (int64_t i = 0; i < count; i++) {
        double t = (double)i / (double)(count - 1);
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var y = labels_at(vae, labels, 0, 1);
        gm_var first = record_posterior(vae, record_rows(vae, from, 1), y).mean;
        gm_var last = record_posterior(vae, record_rows(vae, to, 1), y).mean;
        gm_var z = gm_add(tape, gm_scale(tape, first, 1 - t), gm_scale(tape, last, t));
        GM_TRY(gm_tape_status(tape));
        GM_TRY(gm_generator_emit(vae->decoder, tape, z, y, 1, rows + i * model->row_size));
    }
    GM_TRY(gm_model_check_floats(model, "interpolate", rows, count, model->row_size));
out:
    gm_model_give(&vae->model, mark);
    return status;
}

gm_status gm_vae_elbo(gm_vae *vae, const float *rows, int64_t count, double *elbo,
                      double *reconstruction, double *kl)
{
    if (!vae) return GM_E_INVALID;
    const size_t mark = gm_model_mark(&vae->model);
    gm_tape *tape = vae->model.tape;
    gm_status status;
    const float *labels;
    GM_TRY(check_rows(vae, "elbo", rows, count, elbo));
    GM_TRY(gm_model_labels_for(&vae->model, "elbo", count, &labels));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_model_record(&vae->model, GM_TAPE_CONSTANT);
        gm_var x = record_rows(vae, rows + done * vae->model.row_size, m);
        gm_var y = labels_at(vae, labels, done, m);
        posterior q = record_posterior(vae, x, y);
        gm_var z = gm_gaussian_draw(tape, q.mean, q.log_variance);
        gm_var output = gm_generator_apply_labelled(tape, vae->decoder, z, y);
        gm_var nll = gm_generator_nll(tape, vae->decoder, output, x);
        gm_var cost = gm_gaussian_kl(tape, q.mean, q.log_variance);
        GM_TRY(gm_tape_status(tape));
        for (int64_t i = 0; i < m; i++) {
            double r = (double)gm_value(tape, nll)[i], d = (double)gm_value(tape, cost)[i];
            elbo[done + i] = -r - d;
            if (reconstruction) reconstruction[done + i] = -r;
            if (kl) kl[done + i] = d;
        }
    }
    GM_TRY(gm_model_check_reals(&vae->model, "elbo", elbo, count, 1));
    GM_TRY(gm_model_check_reals(&vae->model, "elbo", reconstruction, count, 1));
    GM_TRY(gm_model_check_reals(&vae->model, "elbo", kl, count, 1));
out:
    gm_model_give(&vae->model, mark);
    return status;
}

static gm_status log_prob(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error)
{
    return gm_vae_estimate(of(model), batch, how, out, error);
}

static gm_status likelihood(gm_model *model, int64_t samples, gm_likelihood *out)
{
    out->kind = GM_LIKELIHOOD_IMPORTANCE;
    out->samples = samples ? samples : of(model)->o.log_prob_samples;
    return GM_OK;
}

static const gm_model_field stored[] = {
    GM_FIELD(gm_vae_options, beta),
    GM_FIELD(gm_vae_options, free_bits),
    GM_FIELD(gm_vae_options, warmup_steps),
    GM_FIELD(gm_vae_options, samples),
    GM_FIELD(gm_vae_options, log_prob_samples),
};

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    (void)checkpoint;
    gm_vae *vae = of(model);
    gm_status status;
    GM_TRY(GM_PUT_FIELDS(archive, "vae.", stored, &vae->o));
    GM_TRY(gm_archive_put_layer(archive, "encoder.", vae->encoder));
    GM_TRY(gm_generator_put(archive, "decoder.", vae->decoder));
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    gm_status status;
    gm_layer *encoder = NULL;
    gm_generator *decoder = NULL;
    gm_vae *vae = NULL;
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    GM_TRY(GM_GET_FIELDS(archive, "vae.", stored, &o));
    GM_TRY(gm_archive_get_layer(&encoder, archive, "encoder."));
    GM_TRY(gm_generator_get(&decoder, ctx, archive, "decoder."));
    o.optimizer = optimizer;
    GM_TRY(gm_vae_create(&vae, ctx, encoder, decoder, &o));
out:
    gm_generator_release(decoder);
    gm_layer_release(encoder);
    *out = gm_vae_model(vae);
    return status;
}

const gm_family gm_family_vae = {
    .name = "vae",
    .loss = loss,
    .sample = sample,
    .log_prob = log_prob,
    .save = save,
    .load = load,
    .destroy = destroy,
    .likelihood = likelihood,
};
