/* autoencoder.c - rows to codes and back, fitted as one piece or layer by layer. */
#include "gm/autoencoder.h"

#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/ops.h"
#include "models/frozen.h"
#include "models/latent/parts.h"
#include "models/numeric.h"
#include "models/row_reader.h"
#include "models/watch.h"

struct gm_autoencoder {
    gm_model model; /* first */
    gm_autoencoder_options o;
    gm_layer *encoder, *decoder;
    int64_t code_size, stage;
};

static gm_autoencoder *of(gm_model *model)
{
    return (gm_autoencoder *)model;
}

/* Values a row that `layer` gives for rows of `in` values. */
static gm_status measure(gm_autoencoder *a, const char *name, gm_layer *layer, int64_t in,
                         int64_t *out)
{
    int64_t shape[2] = { 2, in }, given[GM_MAX_RANK], count = 1;
    int32_t rank;
    char full[32];
    (void)snprintf(full, sizeof full, "autoencoder: %s", name);
    gm_status status = gm_model_net_output(layer, full, 2, shape, &rank, given);
    if (status) return status;
    for (int32_t i = 1; i < rank; i++) count *= given[i];
    if (rank < 2 || given[0] != 2 || count < 1)
        return gm_model_fail(
            a->model.ctx, GM_E_SHAPE,
            "autoencoder: for 2 rows the %s gives %lld rows, expected 2 of at least 1 value", name,
            rank ? (long long)given[0] : 0);
    if (layer == a->decoder) gm_model_shape_rows(&a->model, rank, given);
    *out = count;
    return GM_OK;
}

static gm_status fit_parts(gm_autoencoder *a)
{
    int64_t row;
    gm_status status;
    GM_TRY(measure(a, "encoder", a->encoder, a->model.row_size, &a->code_size));
    GM_TRY(measure(a, "decoder", a->decoder, a->code_size, &row));
    if (row != a->model.row_size)
        GM_TRY(gm_model_fail(a->model.ctx, GM_E_SHAPE,
                             "autoencoder: the decoder gives %lld values a row, expected %lld",
                             (long long)row, (long long)a->model.row_size));
out:
    return status;
}

gm_status gm_autoencoder_create(gm_autoencoder **out, gm_context *ctx, int64_t row_size,
                                gm_layer *encoder, gm_layer *decoder,
                                const gm_autoencoder_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx || !encoder || !decoder)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "autoencoder: context, encoder, decoder or out is NULL");
    if (gm_layer_context(encoder) != ctx || gm_layer_context(decoder) != ctx)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "autoencoder: encoder or decoder is of another context");
    if (row_size < 1)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "autoencoder: row_size is %lld, expected at least 1",
                             (long long)row_size);
    gm_autoencoder_options o = GM_AUTOENCODER_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "autoencoder", &o, sizeof o, options);
    if (status) return status;
    if (o.reconstruction < GM_RECONSTRUCTION_CROSS_ENTROPY ||
        o.reconstruction > GM_RECONSTRUCTION_SQUARED)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "autoencoder: reconstruction is %d, expected one of GM_RECONSTRUCTION_*",
            (int)o.reconstruction);
    gm_autoencoder *a = gm_model_new(ctx, &gm_family_autoencoder, sizeof *a);
    if (!a) return GM_E_NOMEM;
    gm_model *model = &a->model;
    gm_layer_retain(encoder);
    gm_layer_retain(decoder);
    a->encoder = encoder;
    a->decoder = decoder;
    a->o = o;
    a->o.optimizer = NULL; /* the model's from here on */
    GM_TRY(gm_model_open(model));
    model->row_size = row_size;
    GM_TRY(fit_parts(a));
    GM_TRY(gm_model_shape_rows_for(model, encoder));
    GM_TRY(gm_params_add_all(model->params, "encoder.", gm_layer_params(encoder)));
    GM_TRY(gm_params_add_all(model->params, "decoder.", gm_layer_params(decoder)));
    GM_TRY(gm_model_add_state(model, "encoder.", encoder));
    GM_TRY(gm_model_add_state(model, "decoder.", decoder));
    GM_TRY(gm_model_bind(model, &model->optimizer, o.optimizer, model->params));
    gm_layer_seal(encoder);
    gm_layer_seal(decoder);
    *out = a;
    return GM_OK;
out:
    gm_autoencoder_release(a);
    return status;
}

static void destroy(gm_model *model)
{
    gm_autoencoder *a = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    gm_layer_release(a->decoder);
    gm_layer_release(a->encoder);
    gm_context_free(ctx, a, sizeof *a);
}

void gm_autoencoder_retain(gm_autoencoder *a)
{
    if (a) gm_model_retain(&a->model);
}

void gm_autoencoder_release(gm_autoencoder *a)
{
    if (a) gm_model_release(&a->model);
}

gm_model *gm_autoencoder_model(gm_autoencoder *a)
{
    return a ? &a->model : NULL;
}

gm_autoencoder *gm_autoencoder_from_model(gm_model *model)
{
    return model && model->family == &gm_family_autoencoder ? of(model) : NULL;
}

gm_layer *gm_autoencoder_encoder(const gm_autoencoder *a)
{
    return a ? a->encoder : NULL;
}

gm_layer *gm_autoencoder_decoder(const gm_autoencoder *a)
{
    return a ? a->decoder : NULL;
}

int64_t gm_autoencoder_code_size(const gm_autoencoder *a)
{
    return a ? a->code_size : 0;
}

int64_t gm_autoencoder_stage(const gm_autoencoder *a)
{
    return a ? a->stage : 0;
}

/* --- Pairs of layers. */

static int is_type(const gm_layer *layer, const char *type)
{
    return !strcmp(gm_layer_type(layer), type);
}

static int64_t linear_parts(const gm_layer *net)
{
    int64_t n = 0;
    for (int64_t i = 0; i < gm_sequence_count(net); i++)
        if (is_type(gm_sequence_get(net, i), "linear")) n++;
    return n;
}

int64_t gm_autoencoder_pairs(const gm_autoencoder *a)
{
    int64_t n = a ? linear_parts(a->encoder) : 0;
    return n && linear_parts(a->decoder) == n ? n : 0;
}

/* Where block `index` of a sequence ends: after its linear part and the activations that follow it;
 * the last takes all that is left. Block -1 ends at 0. */
static int64_t block_end(const gm_layer *net, int64_t index)
{
    int64_t count = gm_sequence_count(net), at = 0;
    if (index + 1 >= linear_parts(net)) return count;
    for (int64_t block = 0; block <= index; block++) {
        while (!is_type(gm_sequence_get(net, at), "linear")) at++;
        at++;
        while (at < count && is_type(gm_sequence_get(net, at), "activation")) at++;
    }
    return at;
}

static gm_var apply_block(gm_tape *tape, gm_layer *net, int64_t index, gm_var x)
{
    for (int64_t i = block_end(net, index - 1); i < block_end(net, index); i++)
        x = gm_apply(tape, gm_sequence_get(net, i), x);
    return x;
}

/* --- On a tape. */

static gm_var flat(gm_tape *tape, gm_var x, int64_t size)
{
    int64_t shape[2] = { -1, size };
    return gm_rank(tape, x) == 2 ? x : gm_reshape(tape, x, 2, shape);
}

static gm_var record_decoder(gm_tape *tape, gm_autoencoder *a, gm_var codes)
{
    return flat(tape, gm_apply(tape, a->decoder, codes), a->model.row_size);
}

gm_var gm_autoencoder_apply_encoder(gm_tape *tape, gm_autoencoder *a, gm_var rows)
{
    if (!a) return gm_tape_fail(tape, GM_E_INVALID, "autoencoder: autoencoder is NULL");
    return flat(tape, gm_apply(tape, a->encoder, rows), a->code_size);
}

gm_var gm_autoencoder_apply_decoder(gm_tape *tape, gm_autoencoder *a, gm_var codes)
{
    if (!a) return gm_tape_fail(tape, GM_E_INVALID, "autoencoder: autoencoder is NULL");
    gm_var y = record_decoder(tape, a, codes);
    return a->o.reconstruction == GM_RECONSTRUCTION_CROSS_ENTROPY ? gm_sigmoid(tape, y) : y;
}

static gm_var cost(gm_autoencoder *a, gm_var y, gm_var x)
{
    gm_tape *tape = a->model.tape;
    if (a->o.reconstruction == GM_RECONSTRUCTION_CROSS_ENTROPY)
        return gm_mean(tape, gm_bce_with_logits(tape, y, x));
    return gm_mean(tape, gm_squared_error(tape, y, x));
}

/* Pair number `stage` gives back its own input, which the pairs outside it make as they are. */
static gm_var record_pair(gm_autoencoder *a, int64_t stage, gm_var x)
{
    gm_tape *tape = a->model.tape;
    int32_t mode = gm_tape_mode(tape);
    gm_var h = x;
    gm_tape_set_mode(tape, GM_TAPE_CONSTANT);
    for (int64_t i = 0; i < stage - 1; i++) h = apply_block(tape, a->encoder, i, h);
    gm_tape_set_mode(tape, mode);
    gm_var y = apply_block(tape, a->encoder, stage - 1, h);
    y = apply_block(tape, a->decoder, gm_autoencoder_pairs(a) - stage, y);
    if (stage == 1) return cost(a, flat(tape, y, a->model.row_size), x);
    return gm_mean(tape, gm_squared_error(tape, y, h));
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_autoencoder *a = of(model);
    gm_tape *tape = model->tape;
    int64_t shape[2] = { batch->count, model->row_size };
    gm_var x = gm_input_array(tape, 2, shape, batch->rows);
    if (a->stage)
        *out = record_pair(a, a->stage, x);
    else
        *out = cost(a, record_decoder(tape, a, gm_autoencoder_apply_encoder(tape, a, x)), x);
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *out));
    return gm_tape_status(tape);
}

gm_status gm_autoencoder_set_stage(gm_autoencoder *a, int64_t stage)
{
    if (!a) return GM_E_INVALID;
    gm_model *model = &a->model;
    gm_status status;
    GM_TRY(gm_model_check_trains(model, "set_stage"));
    if (stage < 0 || stage > gm_autoencoder_pairs(a))
        GM_TRY(
            gm_model_fail(model->ctx, GM_E_INVALID,
                          "autoencoder: stage is %lld, expected 0 to %lld, the pairs of its layers",
                          (long long)stage, (long long)gm_autoencoder_pairs(a)));
    GM_TRY(gm_model_check_unused(model, "set_stage"));
    if (stage == a->stage) return GM_OK;
    if (stage) { /* do the halves fit? */
        int64_t shape[2] = { 1, model->row_size };
        gm_model_record(model, GM_TAPE_CONSTANT);
        (void)record_pair(a, stage, gm_constant(model->tape, 2, shape, 0));
        GM_TRY(gm_tape_status(model->tape));
    }
    GM_TRY(gm_optimizer_reset(model->optimizer));
    gm_model_forget_fits(model);
    a->stage = stage;
out:
    return status;
}

/* --- Codes and rows. */

typedef gm_var (*half)(gm_tape *tape, gm_autoencoder *a, gm_var x);

/* from [count, in] to [count, out] by one half, in groups. */
static gm_status convert(gm_autoencoder *a, const char *verb, half apply, const float *from,
                         int64_t count, int64_t in, float *to, int64_t out)
{
    gm_model *model = &a->model;
    gm_status status = GM_OK;
    if (!from || !to || count < 1)
        GM_TRY(gm_model_fail(
            model->ctx, GM_E_INVALID,
            "autoencoder: %s: an array is NULL, or count is %lld, expected at least 1", verb,
            (long long)count));
    GM_TRY(gm_model_check_count(model, verb, count));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        int64_t shape[2] = { m, in };
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var x = gm_input_array(model->tape, 2, shape, from + done * in);
        gm_var y = apply(model->tape, a, x);
        GM_TRY(gm_tape_status(model->tape));
        GM_TRY(gm_read(model->tape, y, m * out, to + done * out));
    }
    GM_TRY(gm_model_check_floats(model, verb, to, count, out));
out:
    return status;
}

gm_status gm_autoencoder_encode(gm_autoencoder *a, const float *rows, int64_t count, float *codes)
{
    if (!a) return GM_E_INVALID;
    return convert(a, "encode", gm_autoencoder_apply_encoder, rows, count, a->model.row_size, codes,
                   a->code_size);
}

gm_status gm_autoencoder_decode(gm_autoencoder *a, const float *codes, int64_t count, float *rows)
{
    if (!a) return GM_E_INVALID;
    return convert(a, "decode", gm_autoencoder_apply_decoder, codes, count, a->code_size, rows,
                   a->model.row_size);
}

/* --- Files, also as a part of another family's. */

gm_status gm_autoencoder_put(gm_archive *archive, const char *prefix, gm_autoencoder *a)
{
    char key[64];
    gm_status status;
    const struct {
        const char *name;
        int64_t value;
    } whole[] = { { "row_size", a->model.row_size },
                  { "reconstruction", a->o.reconstruction },
                  { "stage", a->stage } };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        (void)snprintf(key, sizeof key, "%s%s", prefix, whole[i].name);
        GM_TRY(gm_archive_set_int(archive, key, whole[i].value));
    }
    (void)snprintf(key, sizeof key, "%sencoder.", prefix);
    GM_TRY(gm_archive_put_layer(archive, key, a->encoder));
    (void)snprintf(key, sizeof key, "%sdecoder.", prefix);
    GM_TRY(gm_archive_put_layer(archive, key, a->decoder));
out:
    return status;
}

gm_status gm_autoencoder_get(gm_autoencoder **out, gm_context *ctx, gm_archive *archive,
                             const char *prefix, gm_optimizer *optimizer)
{
    char key[64];
    gm_status status;
    gm_layer *encoder = NULL, *decoder = NULL;
    gm_autoencoder *a = NULL;
    gm_autoencoder_options o = GM_AUTOENCODER_OPTIONS_INIT;
    int64_t row_size, reconstruction, stage;
    const struct {
        const char *name;
        int64_t *value;
    } whole[] = { { "row_size", &row_size },
                  { "reconstruction", &reconstruction },
                  { "stage", &stage } };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        (void)snprintf(key, sizeof key, "%s%s", prefix, whole[i].name);
        GM_TRY(gm_archive_get_int(whole[i].value, archive, key));
    }
    o.reconstruction = reconstruction == GM_RECONSTRUCTION_SQUARED ||
                               reconstruction == GM_RECONSTRUCTION_CROSS_ENTROPY
                           ? (int32_t)reconstruction
                           : -1;
    o.optimizer = optimizer;
    (void)snprintf(key, sizeof key, "%sencoder.", prefix);
    GM_TRY(gm_archive_get_layer(&encoder, archive, key));
    (void)snprintf(key, sizeof key, "%sdecoder.", prefix);
    GM_TRY(gm_archive_get_layer(&decoder, archive, key));
    GM_TRY(gm_autoencoder_create(&a, ctx, row_size, encoder, decoder, &o));
    GM_TRY(gm_autoencoder_set_stage(a, stage));
    *out = a;
    a = NULL;
out:
    gm_autoencoder_release(a);
    gm_layer_release(decoder);
    gm_layer_release(encoder);
    return status;
}

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    (void)checkpoint;
    return gm_autoencoder_put(archive, "autoencoder.", of(model));
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    gm_autoencoder *a = NULL;
    gm_status status = gm_autoencoder_get(&a, ctx, archive, "autoencoder.", optimizer);
    *out = gm_autoencoder_model(a);
    return status;
}

const gm_family gm_family_autoencoder = {
    .name = "autoencoder",
    .loss = loss,
    .save = save,
    .load = load,
    .destroy = destroy,
};
