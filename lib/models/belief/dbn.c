/* dbn.c - deep belief networks: a stack of Boltzmann machines of which the uppermost learns,
 * sampling, the file. Likelihoods are in dbn_likelihood.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/ops.h"
#include "models/belief/bits.h"
#include "models/belief/dbn_rows.h"
#include "models/belief/rbm_part.h"
#include "models/fields.h"
#include "models/frozen.h"
#include "models/numeric.h"
#include "models/row_reader.h"
#include "models/watch.h"

struct gm_dbn {
    gm_model model;   /* first */
    gm_dbn_options o; /* its pointers: NULL */
    int32_t stage;
    int64_t size[GM_DBN_MAX_LAYERS + 1];
    gm_rbm *machine[GM_DBN_MAX_LAYERS + 1]; /* of layers l - 1 and l */
};

static gm_dbn *of(gm_model *model)
{
    return (gm_dbn *)model;
}

static gm_status check_options(gm_context *ctx, int64_t visible, const gm_dbn_options *o)
{
    const gm_model_range whole[] = {
        { "visible", visible, 1, INT32_MAX },
        { "layer_count", o->layer_count, 1, GM_DBN_MAX_LAYERS },
        { "transpose", o->transpose, 0, 1 },
        { "draws", o->draws, 0, 1 },
        { "log_prob_samples", o->log_prob_samples, 1, 1000000000 },
    };
    const gm_status status = gm_model_check_ranges(ctx, "dbn", whole, sizeof whole / sizeof *whole);
    if (status) return status;
    if (!o->layers) return gm_model_fail(ctx, GM_E_INVALID, "dbn: layers is NULL");
    for (int32_t l = 0; l < o->layer_count; l++)
        if (o->layers[l] < 1 || o->layers[l] > INT32_MAX)
            return gm_model_fail(ctx, GM_E_INVALID,
                                 "dbn: layer %d has %lld units, expected 1 to %d", (int)l + 1,
                                 (long long)o->layers[l], INT32_MAX);
    return GM_OK;
}

static gm_status join(gm_params **out, gm_context *ctx, const gm_params *old, const char *prefix,
                      const gm_params *added)
{
    gm_status status;
    GM_TRY(gm_params_create(out, ctx));
    GM_TRY(gm_params_add_all(*out, NULL, old));
    GM_TRY(gm_params_add_all(*out, prefix, added));
out:
    return status;
}

/* Retains a machine as the uppermost one, and freezes the one below; all or nothing. bind: it will
 * be trained, by `optimizer` (NULL: Adam). */
static gm_status put_on_top(gm_dbn *dbn, gm_rbm *rbm, int bind, gm_optimizer *optimizer)
{
    gm_model *model = &dbn->model, *top = gm_rbm_model(rbm);
    gm_params *params = NULL, *state = NULL;
    char prefix[16];
    gm_status status;
    (void)snprintf(prefix, sizeof prefix, "%d.", (int)dbn->stage + 1);
    GM_TRY(join(&params, model->ctx, model->params, prefix, top->params));
    GM_TRY(join(&state, model->ctx, model->state, prefix, top->state));
    if (bind) GM_TRY(gm_model_bind(top, &top->optimizer, optimizer, top->params));
    if (dbn->stage) {
        gm_model *below = gm_rbm_model(dbn->machine[dbn->stage]);
        gm_optimizer_release(below->optimizer);
        below->optimizer = NULL;
    }
    gm_optimizer_release(model->optimizer);
    model->optimizer = top->optimizer;
    if (bind) gm_optimizer_retain(model->optimizer);
    if (model->before)
        gm_context_free(model->ctx, model->before,
                        (size_t)gm_params_elements(model->state) * sizeof(float));
    model->before = NULL;
    gm_params *const old[2] = { model->params, model->state };
    model->params = params;
    model->state = state;
    params = old[0];
    state = old[1];
    dbn->machine[++dbn->stage] = rbm;
    gm_rbm_retain(rbm);
out:
    gm_params_release(params);
    gm_params_release(state);
    return status;
}

/* A net without machines. *o: the options as read. */
static gm_status open_net(gm_dbn **out, gm_context *ctx, int64_t visible,
                          const gm_dbn_options *options, gm_dbn_options *o)
{
    gm_dbn *dbn;
    gm_status status;
    GM_TRY(gm_options_read(ctx, "dbn", o, sizeof *o, options));
    GM_TRY(check_options(ctx, visible, o));
    dbn = gm_model_new(ctx, &gm_family_dbn, sizeof *dbn);
    if (!dbn) return GM_E_NOMEM;
    dbn->o = *o;
    dbn->o.layers = NULL;
    dbn->o.rbm = NULL;
    dbn->size[0] = visible;
    for (int32_t l = 0; l < o->layer_count; l++) dbn->size[l + 1] = o->layers[l];
    *out = dbn;
    GM_TRY(gm_model_open(&dbn->model));
    dbn->model.row_size = visible;
out:
    return status;
}

gm_status gm_dbn_create(gm_dbn **out, gm_context *ctx, int64_t visible,
                        const gm_dbn_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "dbn: context or out is NULL");
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    gm_status status;
    GM_TRY(open_net(&dbn, ctx, visible, options, &o));
    GM_TRY(gm_dbn_grow(dbn, o.rbm));
    *out = dbn;
    return GM_OK;
out:
    gm_dbn_release(dbn);
    return status;
}

/* Is the next machine one whose p(h) can be that of the machine below? */
static int fits_turned(const gm_dbn *dbn)
{
    return dbn->o.transpose && dbn->stage > 0 &&
           dbn->size[dbn->stage + 1] == dbn->size[dbn->stage - 1];
}

/* Turned over, the machine below is a model of its hidden units with the same p(h): W', biases in
 * each other's place. */
static void turn_over(gm_rbm *to, const gm_rbm *from)
{
    const int64_t rows = gm_rbm_hidden(from), columns = gm_rbm_visible(from);
    const float *w = gm_param_value(gm_rbm_weight(from));
    float *turned = gm_param_value(gm_rbm_weight(to));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) turned[j * rows + i] = w[i * columns + j];
    memcpy(gm_param_value(gm_rbm_visible_bias(to)), gm_param_value(gm_rbm_hidden_bias(from)),
           (size_t)rows * sizeof *w);
    memcpy(gm_param_value(gm_rbm_hidden_bias(to)), gm_param_value(gm_rbm_visible_bias(from)),
           (size_t)columns * sizeof *w);
    double error;
    const double log_z = gm_rbm_given_log_z(from, &error);
    gm_rbm_set_log_z(to, log_z, error);
}

gm_status gm_dbn_grow(gm_dbn *dbn, const gm_rbm_options *options)
{
    if (!dbn) return GM_E_INVALID;
    gm_context *ctx = dbn->model.ctx;
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_rng_state before;
    gm_rbm *rbm = NULL;
    gm_status status;
    gm_rng_save(&before, dbn->model.rng);
    GM_TRY(gm_model_check_trains(&dbn->model, "grow"));
    if (dbn->stage >= dbn->o.layer_count)
        return gm_model_fail(ctx, GM_E_STATE, "dbn: grow: all %d layers are there",
                             (int)dbn->stage);
    GM_TRY(gm_model_check_unused(&dbn->model, "grow"));
    GM_TRY(gm_options_read(ctx, "rbm", &o, sizeof o, options));
    GM_TRY(gm_rbm_create_in(&rbm, ctx, dbn->size[dbn->stage], dbn->size[dbn->stage + 1], &o,
                            &dbn->model));
    if (fits_turned(dbn)) turn_over(rbm, dbn->machine[dbn->stage]);
    GM_TRY(put_on_top(dbn, rbm, 1, o.optimizer));
    gm_model_forget_fits(&dbn->model);
out:
    if (status) gm_rng_restore(dbn->model.rng, &before);
    gm_rbm_release(rbm);
    return status;
}

static void destroy(gm_model *model)
{
    gm_dbn *dbn = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    for (int32_t l = 1; l <= dbn->stage; l++) gm_rbm_release(dbn->machine[l]);
    gm_context_free(ctx, dbn, sizeof *dbn);
}

void gm_dbn_retain(gm_dbn *dbn)
{
    if (dbn) gm_model_retain(&dbn->model);
}

void gm_dbn_release(gm_dbn *dbn)
{
    if (dbn) gm_model_release(&dbn->model);
}

gm_model *gm_dbn_model(gm_dbn *dbn)
{
    return dbn ? &dbn->model : NULL;
}

gm_dbn *gm_dbn_from_model(gm_model *model)
{
    return model && model->family == &gm_family_dbn ? of(model) : NULL;
}

int32_t gm_dbn_layers(const gm_dbn *dbn)
{
    return dbn ? dbn->o.layer_count : 0;
}

int64_t gm_dbn_layer_size(const gm_dbn *dbn, int32_t layer)
{
    return dbn && layer >= 0 && layer <= dbn->o.layer_count ? dbn->size[layer] : 0;
}

int32_t gm_dbn_stage(const gm_dbn *dbn)
{
    return dbn ? dbn->stage : 0;
}

gm_rbm *gm_dbn_layer(gm_dbn *dbn, int32_t layer)
{
    return dbn && layer >= 1 && layer <= dbn->stage ? dbn->machine[layer] : NULL;
}

gm_status gm_dbn_check_rows(gm_dbn *dbn, const char *verb, int bits, const float *rows, int64_t n,
                            const void *out)
{
    const gm_status status = gm_model_check_arrays(&dbn->model, verb, rows, n, out);
    return status ? status
                  : gm_model_check_bits(&dbn->model, verb, bits, rows, n, dbn->model.row_size);
}

/* Layer `to` of m rows, each layer drawn from q or as its probabilities; soft: the last as
 * probabilities in any case. */
static gm_var record_up(gm_dbn *dbn, const float *rows, int64_t m, int32_t to, int draws, int soft)
{
    gm_tape *tape = dbn->model.tape;
    const int64_t shape[2] = { m, dbn->model.row_size };
    gm_var h = gm_input_array(tape, 2, shape, rows);
    for (int32_t l = 1; l <= to; l++) {
        gm_var logits = gm_rbm_apply_hidden(tape, dbn->machine[l], h);
        h = draws && !(soft && l == to) ? gm_bernoulli_draw(tape, logits)
                                        : gm_sigmoid(tape, logits);
    }
    return h;
}

gm_status gm_dbn_features(gm_dbn *dbn, const float *rows, int64_t count, int32_t layer,
                          float *features)
{
    if (!dbn) return GM_E_INVALID;
    gm_model *model = &dbn->model;
    gm_status status;
    GM_TRY(gm_dbn_check_rows(dbn, "features", 0, rows, count, features));
    if (layer < 1 || layer > dbn->stage)
        GM_TRY(gm_model_fail(model->ctx, GM_E_INVALID,
                             "dbn: features: layer is %d, expected 1 to %d", (int)layer,
                             (int)dbn->stage));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var h = record_up(dbn, rows + done * model->row_size, m, layer, 0, 0);
        GM_TRY(gm_tape_status(model->tape));
        memcpy(features + done * dbn->size[layer], gm_value(model->tape, h),
               (size_t)(m * dbn->size[layer]) * sizeof *features);
    }
    GM_TRY(gm_model_check_floats(model, "features", features, count, dbn->size[layer]));
out:
    return status;
}

static gm_status mean_of(gm_dbn *dbn, const char *verb, gm_dataset *data, float *out)
{
    gm_model *model = &dbn->model;
    const int64_t size = dbn->size[dbn->stage - 1];
    const size_t sum_bytes = (size_t)size * sizeof(double);
    double *sum;
    gm_row_reader reader = { 0 };
    gm_status status = GM_OK;
    char what[64];
    (void)snprintf(what, sizeof what, "dbn: %s", verb);
    GM_TRY(gm_row_reader_open(&reader, what, model, data, GM_MODEL_GROUP, 0));
    sum = gm_model_take(model, sum_bytes);
    if (!sum) GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "%s: no memory for the mean", what));
    memset(sum, 0, sum_bytes);
    for (int64_t done = 0; done < reader.rows;) {
        gm_batch batch;
        GM_TRY(gm_row_reader_next(&reader, done, &batch));
        const int64_t m = batch.count;
        GM_TRY(gm_dbn_check_rows(dbn, verb, 0, batch.rows, m, batch.rows));
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var h = record_up(dbn, batch.rows, m, dbn->stage - 1, dbn->o.draws, 1);
        GM_TRY(gm_tape_status(model->tape));
        for (int64_t i = 0; i < m * size; i++) sum[i % size] += (double)gm_value(model->tape, h)[i];
        done += m;
    }
    for (int64_t i = 0; i < size; i++) out[i] = (float)(sum[i] / (double)reader.rows);
out:
    gm_row_reader_close(&reader);
    return status;
}

gm_status gm_dbn_mean(gm_dbn *dbn, gm_dataset *data, float *mean)
{
    if (!dbn) return GM_E_INVALID;
    gm_status status;
    GM_TRY(gm_model_check_init(&dbn->model, "mean", data));
    if (!mean) GM_TRY(gm_model_fail(dbn->model.ctx, GM_E_INVALID, "dbn: mean: mean is NULL"));
    GM_TRY(mean_of(dbn, "mean", data, mean));
out:
    return status;
}

gm_status gm_dbn_init_biases(gm_dbn *dbn, gm_dataset *data)
{
    if (!dbn || gm_model_check_unused(&dbn->model, "init_biases"))
        return dbn ? GM_E_STATE : GM_E_INVALID;
    gm_context *ctx = dbn->model.ctx;
    const int64_t size = dbn->size[dbn->stage - 1];
    const size_t mark = gm_model_enter(&dbn->model);
    float *mean = NULL, *bias = gm_param_value(gm_rbm_visible_bias(dbn->machine[dbn->stage]));
    gm_status status;
    GM_TRY(gm_model_check_init(&dbn->model, "start", data));
    mean = gm_model_take(&dbn->model, (size_t)size * sizeof *mean);
    if (!mean)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "dbn: init_biases: no memory for %lld means",
                             (long long)size));
    GM_TRY(mean_of(dbn, "start", data, mean));
    for (int64_t i = 0; i < size; i++) bias[i] = gm_model_bias_of_mean(mean[i]);
    gm_rbm_set_log_z(dbn->machine[dbn->stage], NAN, NAN);
out:
    gm_model_leave(&dbn->model, mark);
    return status;
}

/* What the uppermost machine sees of a batch: rows on the net's own tape, which the machine's
 * recording leaves alone. */
static gm_status lift(gm_dbn *dbn, const gm_batch *batch, gm_batch *lifted)
{
    gm_model *model = &dbn->model;
    gm_status status;
    GM_TRY(gm_dbn_check_rows(dbn, "fit", 0, batch->rows, batch->count, lifted));
    *lifted = *batch;
    if (dbn->stage == 1) return GM_OK;
    gm_model_record(model, GM_TAPE_CONSTANT);
    gm_var h = record_up(dbn, batch->rows, batch->count, dbn->stage - 1, dbn->o.draws, 0);
    GM_TRY(gm_tape_status(model->tape));
    lifted->rows = gm_value(model->tape, h);
out:
    return status;
}

static gm_status step(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    gm_dbn *dbn = of(model);
    gm_batch lifted;
    gm_status status;
    GM_TRY(lift(dbn, batch, &lifted));
    GM_TRY(gm_model_step_batch(gm_rbm_model(dbn->machine[dbn->stage]), &lifted, metrics));
out:
    return status;
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_dbn *dbn = of(model);
    gm_model *top = gm_rbm_model(dbn->machine[dbn->stage]);
    const int32_t mode = gm_tape_mode(model->tape);
    gm_batch lifted;
    gm_status status;
    GM_TRY(lift(dbn, batch, &lifted));
    const size_t mark = gm_model_mark(top);
    gm_model_record(top, mode);
    status = top->family->loss(top, &lifted, out, metrics);
    gm_model_give(top, mark); /* only looked at: `step` is another way */
out:
    return status;
}

/* Visible states of the top machine from its chains, then ancestral sampling downwards; the lowest
 * layer as probabilities. With one machine its own way of sampling is all. */
static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    gm_dbn *dbn = of(model);
    const int32_t under = dbn->stage - 1;
    gm_rbm *top = dbn->machine[dbn->stage];
    gm_tape *tape = model->tape;
    const size_t mark = gm_model_mark(model);
    gm_model *machine = gm_rbm_model(top);
    gm_status status = GM_OK;
    /* The chains of the machine on top are what takes time. */
    machine->call = model->call;
    machine->call.total = count * machine->row_size;
    if (!under) GM_TRY(machine->family->sample(machine, out, labels, count));
    for (int64_t done = 0; under && done < count;) {
        const int64_t m = count - done < GM_MODEL_GROUP ? count - done : GM_MODEL_GROUP;
        const int64_t shape[2] = { m, dbn->size[under] };
        float *states = gm_model_take(model, (size_t)(m * dbn->size[under]) * sizeof *states);
        if (!states)
            GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "dbn: no memory for %lld chains",
                                 (long long)m));
        GM_TRY(gm_rbm_draw(top, m, states, NULL));
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var h = gm_input_array(tape, 2, shape, states);
        for (int32_t l = under; l > 1; l--)
            h = gm_bernoulli_draw(tape, gm_rbm_apply_visible(tape, dbn->machine[l], h));
        gm_var p = gm_sigmoid(tape, gm_rbm_apply_visible(tape, dbn->machine[1], h));
        GM_TRY(gm_tape_status(tape));
        memcpy(out + done * model->row_size, gm_value(tape, p),
               (size_t)(m * model->row_size) * sizeof *out);
        gm_model_give(model, mark);
        done += m;
    }
out:
    gm_model_give(model, mark);
    gm_model_end_call(machine);
    return status;
}

int64_t gm_dbn_own_samples(const gm_dbn *dbn)
{
    return dbn->o.log_prob_samples;
}

static gm_status log_prob(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error)
{
    gm_log_prob_options o = *how;
    if (of(model)->stage == 1) o.on_progress = NULL; /* exact: reported by the caller */
    return gm_dbn_log_prob(of(model), batch->rows, batch->count, &o, out, error);
}

/* With one machine, log p is that machine's, and no samples are drawn however many are asked for.
 */
static gm_status likelihood(gm_model *model, int64_t samples, gm_likelihood *out)
{
    gm_dbn *dbn = of(model);
    const gm_status status = gm_rbm_likelihood(dbn->machine[dbn->stage], "dbn: log_prob", out);
    if (status || dbn->stage == 1) return status;
    out->kind = GM_LIKELIHOOD_IMPORTANCE;
    out->samples = samples ? samples : dbn->o.log_prob_samples;
    return GM_OK;
}

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    gm_dbn *dbn = of(model);
    char key[32];
    gm_status status;
    (void)checkpoint;
    GM_TRY(gm_archive_set_int(archive, "dbn.visible", dbn->size[0]));
    GM_TRY(gm_archive_set_int(archive, "dbn.layers", dbn->o.layer_count));
    GM_TRY(gm_archive_set_int(archive, "dbn.stage", dbn->stage));
    GM_TRY(gm_archive_set_int(archive, "dbn.transpose", dbn->o.transpose));
    GM_TRY(gm_archive_set_int(archive, "dbn.draws", dbn->o.draws));
    GM_TRY(gm_archive_set_int(archive, "dbn.log_prob_samples", dbn->o.log_prob_samples));
    for (int32_t l = 1; l <= dbn->o.layer_count; l++) {
        (void)snprintf(key, sizeof key, "dbn.layer%d", (int)l);
        GM_TRY(gm_archive_set_int(archive, key, dbn->size[l]));
    }
    for (int32_t l = 1; l <= dbn->stage; l++) {
        (void)snprintf(key, sizeof key, "%d.", (int)l);
        GM_TRY(gm_rbm_put(archive, key, dbn->machine[l]));
    }
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    gm_dbn_options o = GM_DBN_OPTIONS_INIT, as_read;
    gm_dbn *dbn = NULL;
    gm_rbm *rbm = NULL;
    int64_t visible, sizes[GM_DBN_MAX_LAYERS];
    int32_t stage;
    char key[32];
    gm_status status;
    GM_TRY(gm_archive_get_int(&visible, archive, "dbn.visible"));
    GM_TRY(gm_model_get_small(archive, "dbn.layers", &o.layer_count));
    GM_TRY(gm_model_get_small(archive, "dbn.stage", &stage));
    GM_TRY(gm_model_get_small(archive, "dbn.transpose", &o.transpose));
    GM_TRY(gm_model_get_small(archive, "dbn.draws", &o.draws));
    GM_TRY(gm_archive_get_int(&o.log_prob_samples, archive, "dbn.log_prob_samples"));
    if (o.layer_count < 1 || o.layer_count > GM_DBN_MAX_LAYERS || stage < 1 ||
        stage > o.layer_count)
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID,
                             "dbn: load: %d layers, of which %d are there, expected 1 to %d",
                             (int)o.layer_count, (int)stage, GM_DBN_MAX_LAYERS));
    for (int32_t l = 1; l <= o.layer_count; l++) {
        (void)snprintf(key, sizeof key, "dbn.layer%d", (int)l);
        GM_TRY(gm_archive_get_int(&sizes[l - 1], archive, key));
    }
    o.layers = sizes;
    as_read = o;
    GM_TRY(open_net(&dbn, ctx, visible, &o, &as_read));
    for (int32_t l = 1; l <= stage; l++) {
        (void)snprintf(key, sizeof key, "%d.", (int)l);
        GM_TRY(gm_rbm_get(&rbm, ctx, archive, key, NULL, &dbn->model));
        if (gm_rbm_visible(rbm) != dbn->size[l - 1] || gm_rbm_hidden(rbm) != dbn->size[l])
            GM_TRY(gm_model_fail(
                ctx, GM_E_SHAPE,
                "dbn: load: machine %d has %lld by %lld units, the layers %lld by %lld", (int)l,
                (long long)gm_rbm_visible(rbm), (long long)gm_rbm_hidden(rbm),
                (long long)dbn->size[l - 1], (long long)dbn->size[l]));
        GM_TRY(put_on_top(dbn, rbm, l == stage, optimizer));
        gm_rbm_release(rbm);
        rbm = NULL;
    }
    *out = &dbn->model;
    return GM_OK;
out:
    gm_rbm_release(rbm);
    gm_dbn_release(dbn);
    return status;
}

const gm_family gm_family_dbn = {
    .name = "dbn",
    .loss = loss,
    .step = step,
    .sample = sample,
    .log_prob = log_prob,
    .save = save,
    .load = load,
    .destroy = destroy,
    .likelihood = likelihood,
};
