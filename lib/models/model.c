/* model.c - the shared verbs but for fit (fit.c) and files (model_file.c). */
#include "models/frozen.h"
#include "models/numeric.h"
#include "models/row_reader.h"
#include "models/watch.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

gm_status gm_model_fail(gm_context *ctx, gm_status status, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return gm_context_fail(ctx, status, line);
}

void *gm_model_allocate(gm_context *ctx, size_t size)
{
    void *p = gm_context_allocate(ctx, size);
    if (p) memset(p, 0, size);
    return p;
}

void *gm_model_new(gm_context *ctx, const gm_family *family, size_t size)
{
    gm_model *model = gm_model_allocate(ctx, size);
    if (!model) {
        (void)gm_model_fail(ctx, GM_E_NOMEM, "%s: no memory", family->name);
        return NULL;
    }
    gm_context_retain(ctx);
    model->family = family;
    model->ctx = ctx;
    model->owners = 1;
    model->order_seed = gm_context_seed(ctx);
    return model;
}

gm_status gm_model_open(gm_model *model)
{
    gm_context *ctx = model->ctx;
    gm_status status;
    GM_TRY(gm_rng_create(&model->rng, ctx, gm_context_seed(ctx)));
    GM_TRY(gm_tape_create(&model->tape, ctx, model->rng));
    GM_TRY(gm_params_create(&model->params, ctx));
    GM_TRY(gm_params_create(&model->state, ctx));
out:
    return status;
}

static size_t state_bytes(const gm_model *model)
{
    return (size_t)gm_params_elements(model->state) * sizeof *model->before;
}

gm_status gm_model_add_state(gm_model *model, const char *prefix, const gm_layer *part)
{
    const gm_params *state = gm_layer_state(part);
    return state ? gm_params_add_all(model->state, prefix, state) : GM_OK;
}

void gm_model_close(gm_model *model)
{
    if (model->before) gm_context_free(model->ctx, model->before, state_bytes(model));
    gm_watch_close(model);
    gm_params_release(model->state);
    gm_tape_release(model->tape);
    gm_optimizer_release(model->optimizer);
    gm_params_release(model->params);
    gm_rng_release(model->rng);
    gm_context_free(model->ctx, model->labels, (size_t)model->label_room * sizeof(float));
    gm_model_close_scratch(model);
}

gm_status gm_model_bind(gm_model *model, gm_optimizer **slot, gm_optimizer *optimizer,
                        const gm_params *params)
{
    gm_status status;
    if (optimizer) {
        gm_optimizer_retain(optimizer);
        *slot = optimizer;
    } else {
        GM_TRY(gm_adam_create(slot, model->ctx, NULL));
    }
    if (gm_optimizer_params(*slot) > 0)
        GM_TRY(gm_model_fail(model->ctx, GM_E_STATE,
                             "%s: the optimizer is bound to %lld parameters already; the model "
                             "binds it to its own",
                             model->family->name, (long long)gm_optimizer_params(*slot)));
    /* Binding comes last: a failure before it leaves the host's optimizer unbound, and binding does
     * all or nothing. */
    GM_TRY(gm_optimizer_set_undo(*slot, 1));
    GM_TRY(gm_optimizer_add(*slot, params));
out:
    return status;
}

gm_status gm_model_put_average(gm_model *model, int *in)
{
    *in = gm_optimizer_average_on(model->optimizer) == 1;
    return *in ? gm_optimizer_swap_average(model->optimizer) : GM_OK;
}

gm_status gm_model_take_average(gm_model *model, int in)
{
    return in ? gm_optimizer_swap_average(model->optimizer) : GM_OK;
}

void gm_metrics_add(gm_metrics *metrics, const char *name, double value)
{
    if (metrics->count >= GM_MAX_METRICS) return;
    metrics->metric[metrics->count].name = name;
    metrics->metric[metrics->count].value = value;
    metrics->count++;
}

void gm_model_record(gm_model *model, int32_t mode)
{
    gm_tape_reset(model->tape);
    gm_tape_set_mode(model->tape, mode);
}

gm_status gm_model_check_idle(gm_model *model, const char *verb)
{
    const gm_status status = gm_context_enter(gm_model_host(model));
    if (status) return status;
    gm_context_leave(gm_model_host(model));
    if (!model->in_callback) return GM_OK;
    return gm_model_fail(model->ctx, GM_E_STATE,
                         "%s: %s: called from inside a callback of this model", model->family->name,
                         verb);
}

gm_status gm_model_check_trains(gm_model *model, const char *verb)
{
    if (!model->host) return GM_OK;
    return gm_model_fail(model->ctx, GM_E_STATE,
                         "%s: %s: this is a reader of a frozen model, expected a model that is not "
                         "frozen",
                         model->family->name, verb);
}

gm_status gm_model_check_count(gm_model *model, const char *verb, int64_t count)
{
    if (!model->host || count <= model->most_rows) return GM_OK;
    return gm_model_fail(model->ctx, GM_E_INVALID,
                         "%s: %s: count is %lld, expected 1 to %lld, the reader's max_rows",
                         model->family->name, verb, (long long)count, (long long)model->most_rows);
}

gm_context *gm_model_host(const gm_model *model)
{
    return model->host ? model->host : model->ctx;
}

gm_status gm_model_check_unused(gm_model *model, const char *verb)
{
    if (!model->calls) return GM_OK;
    return gm_model_fail(model->ctx, GM_E_STATE,
                         "%s: %s: called from inside a callback of another call of this model",
                         model->family->name, verb);
}

size_t gm_model_enter(gm_model *model)
{
    gm_model_retain(model);
    model->calls++;
    return gm_model_mark(model);
}

void gm_model_leave(gm_model *model, size_t mark)
{
    gm_model_give(model, mark);
    model->calls--;
    gm_model_release(model);
}

void gm_model_retain(gm_model *model)
{
    if (model) model->owners++;
}

void gm_model_release(gm_model *model)
{
    if (!model || --model->owners > 0) return;
    gm_context *ctx = model->ctx;
    model->family->destroy(model);
    gm_context_release(ctx);
}

const char *gm_model_family(const gm_model *model)
{
    return model ? model->family->name : "";
}

gm_context *gm_model_context(const gm_model *model)
{
    return model ? model->ctx : NULL;
}

int32_t gm_model_supports(const gm_model *model, int32_t verb)
{
    if (!model) return 0;
    switch (verb) {
    case GM_VERB_FIT:
        return model->family->loss != NULL;
    case GM_VERB_SAMPLE:
        return model->family->sample != NULL;
    case GM_VERB_LOG_PROB:
        return model->family->log_prob != NULL;
    case GM_VERB_SAVE:
        return model->family->save != NULL;
    default:
        return 0;
    }
}

gm_params *gm_model_params(const gm_model *model)
{
    if (!model) return NULL;
    gm_params_seal(model->params);
    return model->params;
}

int64_t gm_model_row_size(const gm_model *model)
{
    return model ? model->row_size : 0;
}

gm_optimizer *gm_model_optimizer(const gm_model *model)
{
    return model ? model->optimizer : NULL;
}

int64_t gm_model_epochs(const gm_model *model)
{
    return model ? model->epochs : 0;
}

int64_t gm_model_steps(const gm_model *model)
{
    return model ? model->steps : 0;
}

void gm_model_seed(gm_model *model, uint64_t seed)
{
    if (model) gm_rng_seed(model->rng, seed);
}

static gm_status lacks(const gm_model *model, const char *verb)
{
    return gm_model_fail(model->ctx, GM_E_UNSUPPORTED, "%s: this family has no %s",
                         model->family->name, verb);
}

static void give_metrics(const gm_metrics *from, gm_metric *metrics, int32_t room, int32_t *count)
{
    int32_t n = from->count < room ? from->count : room;
    for (int32_t i = 0; metrics && i < n; i++) metrics[i] = from->metric[i];
    if (count) *count = metrics ? n : 0;
}

/* A loss or gradient was not finite: back to the weights of before the update that led there. */
static gm_status step_back(gm_model *model, const char *what, double value)
{
    int undone = gm_optimizer_undo(model->optimizer) == GM_OK;
    return gm_model_fail(model->ctx, GM_E_NUMERIC,
                         "%s: %s is %g at update %lld; the weights %s are kept",
                         model->family->name, what, value, (long long)model->steps + 1,
                         undone ? "before the update that led there" : "as they are");
}

gm_status gm_model_descend(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    gm_status status;
    gm_var loss;
    gm_model_record(model, GM_TAPE_TRAIN);
    status = model->family->loss(model, batch, &loss, metrics);
    if (status == GM_E_NUMERIC) status = step_back(model, "the loss", NAN);
    if (status) goto out;
    double value = gm_scalar(model->tape, loss);
    if (!isfinite(value)) GM_TRY(step_back(model, "the loss", value));
    GM_TRY(gm_backward(model->tape, loss, model->params));
    status = gm_optimizer_step(model->optimizer);
    if (status == GM_E_NUMERIC)
        status =
            step_back(model, "the norm of the gradient", gm_params_gradient_norm(model->params));
out:
    return status;
}

/* A backward pass that completes has written new state; what comes after it can still fail. */
static gm_status remember_state(gm_model *model)
{
    int64_t count = gm_params_elements(model->state);
    gm_rng_save(&model->drawn, model->rng);
    if (!count) return GM_OK;
    if (!model->before) model->before = gm_context_allocate(model->ctx, state_bytes(model));
    if (!model->before)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "%s: no memory for %lld values of state",
                             model->family->name, (long long)count);
    return gm_params_read(model->state, count, model->before);
}

static void put_state_back(gm_model *model)
{
    gm_rng_restore(model->rng, &model->drawn);
    if (model->before)
        (void)gm_params_write(model->state, model->before, gm_params_elements(model->state));
}

/* A step on rows whose labels have been found. */
gm_status gm_model_step_batch(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    const size_t mark = gm_model_mark(model);
    gm_status status = gm_model_check_idle(model, "step");
    if (!status) status = gm_model_check_trains(model, "step");
    if (!status) status = remember_state(model);
    if (status) return status;
    status = model->family->step ? model->family->step(model, batch, metrics)
                                 : gm_model_descend(model, batch, metrics);
    gm_model_give(model, mark);
    if (!status)
        model->steps++;
    else
        put_state_back(model);
    return status;
}

static gm_status step(gm_model *model, const float *rows, int64_t count, gm_metric *metrics,
                      int32_t room, int32_t *metric_count)
{
    if (!gm_model_supports(model, GM_VERB_FIT)) return lacks(model, "step");
    if (!rows || count < 1)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: step: rows is %s, count is %lld, expected at least 1",
                             model->family->name, rows ? "given" : "NULL", (long long)count);
    gm_status status;
    gm_metrics m = { 0 };
    gm_batch batch = { .rows = rows, .labels = NULL, .count = count };
    status = gm_model_check_unused(model, "step");
    if (status) return status;
    const size_t mark = gm_model_enter(model);
    GM_TRY(gm_model_labels_for(model, "step", count, &batch.labels));
    GM_TRY(gm_model_step_batch(model, &batch, &m));
    give_metrics(&m, metrics, room, metric_count);
out:
    gm_model_leave(model, mark);
    return status;
}

gm_status gm_model_step(gm_model *model, const float *rows, int64_t count, gm_metric *metrics,
                        int32_t room, int32_t *metric_count)
{
    if (metric_count) *metric_count = 0;
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    GM_ALONE(ctx, step(model, rows, count, metrics, room, metric_count));
}

/* The metrics of a batch in evaluation mode, times its rows, onto the sums. */
static gm_status add_metrics(gm_model *model, const gm_batch *batch, gm_metrics *sums)
{
    gm_var loss;
    gm_metrics m = { 0 };
    gm_model_record(model, GM_TAPE_CONSTANT);
    const size_t mark = gm_model_mark(model);
    const gm_status status = model->family->loss(model, batch, &loss, &m);
    gm_model_give(model, mark);
    if (status) return status;
    for (int32_t i = 0; i < m.count; i++) {
        m.metric[i].value *= (double)batch->count;
        if (i < sums->count) m.metric[i].value += sums->metric[i].value;
    }
    *sums = m;
    return GM_OK;
}

static gm_status evaluate(gm_model *model, gm_dataset *data,
                          const gm_model_evaluate_options *options, gm_metric *metrics,
                          int32_t room, int32_t *metric_count)
{
    gm_model_evaluate_options o = GM_MODEL_EVALUATE_OPTIONS_INIT;
    if (!gm_model_supports(model, GM_VERB_FIT)) return lacks(model, "evaluate");
    gm_row_reader reader = { 0 };
    gm_metrics total = { 0 };
    gm_rng_state before;
    gm_status status;
    /* Its own random numbers: evaluating does not change what training will draw. */
    gm_rng_save(&before, model->rng);
    GM_TRY(gm_options_read(model->ctx, "evaluate", &o, sizeof o, options));
    GM_TRY(gm_model_check_idle(model, "evaluate"));
    GM_TRY(gm_model_check_trains(model, "evaluate"));
    GM_TRY(gm_row_reader_open(&reader, "evaluate", model, data, o.batch, o.limit));
    gm_rng_seed(model->rng, model->order_seed ^ 0x6576616c75617465u);
    for (int64_t done = 0; done < reader.rows;) {
        gm_batch b;
        GM_TRY(gm_row_reader_next(&reader, done, &b));
        GM_TRY(add_metrics(model, &b, &total));
        done += b.count;
        GM_TRY(gm_model_progress(model->ctx, "evaluate", o.on_progress, o.user, done, reader.rows));
    }
    for (int32_t i = 0; i < total.count; i++) {
        total.metric[i].value /= (double)reader.rows;
        if (isnan(total.metric[i].value))
            GM_TRY(gm_model_fail(model->ctx, GM_E_NUMERIC,
                                 "%s: evaluate: %s is nan, expected a number", model->family->name,
                                 total.metric[i].name));
    }
    give_metrics(&total, metrics, room, metric_count);
out:
    gm_rng_restore(model->rng, &before);
    gm_row_reader_close(&reader);
    return status;
}

gm_status gm_model_evaluate(gm_model *model, gm_dataset *data,
                            const gm_model_evaluate_options *options, gm_metric *metrics,
                            int32_t room, int32_t *metric_count)
{
    if (metric_count) *metric_count = 0;
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    GM_ALONE(ctx, evaluate(model, data, options, metrics, room, metric_count));
}

static gm_status sample_into(gm_model *model, int64_t count, const gm_progress_options *options,
                             float *rows)
{
    if (!gm_model_supports(model, GM_VERB_SAMPLE)) return lacks(model, "sample");
    if (!rows || count < 1)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: sample: rows is %s, count is %lld, expected at least 1",
                             model->family->name, rows ? "given" : "NULL", (long long)count);
    if (count > INT64_MAX / model->row_size)
        return gm_model_fail(model->ctx, GM_E_INVALID, "%s: sample: %lld rows of %lld are too many",
                             model->family->name, (long long)count, (long long)model->row_size);
    const float *labels;
    gm_rng_state before;
    gm_status status = gm_model_check_idle(model, "sample");
    if (status) return status;
    const size_t mark = gm_model_enter(model);
    gm_rng_save(&before, model->rng);
    status = gm_model_labels_for(model, "sample", count, &labels);
    if (!status) status = gm_model_begin_call(model, "sample", count * model->row_size, options);
    if (!status) status = model->family->sample(model, rows, labels, count);
    if (!status) status = gm_model_check_floats(model, "sample", rows, count, model->row_size);
    gm_model_end_call(model);
    if (status) gm_rng_restore(model->rng, &before);
    gm_model_leave(model, mark);
    return status;
}

gm_status gm_model_sample_into(gm_model *model, int64_t count, const gm_progress_options *options,
                               float *rows)
{
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    GM_ALONE(ctx, sample_into(model, count, options, rows));
}

static gm_status sample(gm_tensor **out, gm_model *model, int64_t count)
{
    if (!out || count < 1)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: sample: count is %lld, expected at least 1%s",
                             model->family->name, (long long)count, out ? "" : "; out is NULL");
    if (!gm_model_supports(model, GM_VERB_SAMPLE)) return lacks(model, "sample");
    gm_status status;
    gm_tensor *t = NULL;
    int64_t shape[2] = { count, model->row_size };
    GM_TRY(gm_tensor_create(&t, model->ctx, 2, shape));
    GM_TRY(gm_model_sample_into(model, count, NULL, gm_tensor_data(t)));
    *out = t;
    return GM_OK;
out:
    gm_tensor_release(t);
    return status;
}

gm_status gm_model_sample(gm_tensor **out, gm_model *model, int64_t count)
{
    if (out) *out = NULL;
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    GM_ALONE(ctx, sample(out, model, count));
}
