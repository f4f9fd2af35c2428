/* neural_ar.c - neural autoregressive networks: hidden groups of the values so far, used by every
 * later prediction. */
#include "gm/neural_ar.h"

#include <math.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/mask.h"
#include "gm/ops.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/conditionals.h"
#include "models/family.h"
#include "models/fields.h"

#define LOG_DEVIATION 10.0 /* limit of a real value's log deviation */
#define LEAK 0.01
#define MOST 1000000000 /* rows or columns of a weight */

struct gm_neural_ar {
    gm_model model; /* first */
    gm_neural_ar_options o;
    int64_t classes; /* inputs of a column: K; 1 for bits and reals */
    int64_t width;   /* outputs of a column */
    gm_param *in_weight, *in_bias, *out_weight, *out_bias, *direct;
    gm_order order;
    float
        *degrees; /* of inputs, units and outputs, one after the other: the place, counted from 1 */
    /* Of the walk: inputs so far that are not zero and their places among the inputs, the groups so
     * far, one conditional. */
    float *on_value, *unit, *raw;
    int64_t *on;
};

static gm_neural_ar *of(const gm_model *model)
{
    return (gm_neural_ar *)model;
}

static int32_t kind_of(const gm_model *model)
{
    return of(model)->o.kind;
}

static int64_t width_of(const gm_model *model)
{
    return of(model)->width;
}

static double slope_of(const gm_neural_ar *ar)
{
    return ar->o.activation == GM_ACTIVATION_LEAKY_RELU ? LEAK : 1;
}

static gm_status check_options(gm_context *ctx, int64_t columns, const gm_neural_ar_options *o)
{
    if (columns < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "neural_ar: columns is %lld, expected at least 1",
                             (long long)columns);
    if (o->kind < GM_CONDITIONAL_BINARY || o->kind > GM_CONDITIONAL_GAUSSIAN)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "neural_ar: kind is %d, expected binary, categorical or Gaussian",
                             (int)o->kind);
    if (o->direct != 0 && o->direct != 1)
        return gm_model_fail(ctx, GM_E_INVALID, "neural_ar: direct is %d, expected 0 or 1",
                             (int)o->direct);
    if (o->hidden < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "neural_ar: hidden is %lld, expected at least 1",
                             (long long)o->hidden);
    if (o->kind == GM_CONDITIONAL_CATEGORICAL && (o->classes < 2 || o->classes > (1 << 24)))
        return gm_model_fail(ctx, GM_E_INVALID, "neural_ar: classes is %lld, expected 2 to 2^24",
                             (long long)o->classes);
    if (o->activation == GM_ACTIVATION_NONE || !gm_activation_name(o->activation))
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "neural_ar: activation is %d, expected one of GM_ACTIVATION_* but NONE",
            (int)o->activation);
    if (!(o->weight_decay >= 0) || isinf(o->weight_decay))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "neural_ar: weight_decay is %g, expected at least 0", o->weight_decay);
    const int64_t classes = o->kind == GM_CONDITIONAL_CATEGORICAL ? o->classes : 2;
    if (columns >= 1 << 22 || columns > MOST / classes || columns > MOST / o->hidden)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "neural_ar: %lld columns of %lld classes with %lld units are too many weights",
            (long long)columns, (long long)classes, (long long)o->hidden);
    return GM_OK;
}

/* A parameter, into *slot and the model's set. */
static gm_status add(gm_neural_ar *ar, gm_param **slot, const char *prefix, const char *name,
                     int32_t rank, int64_t rows, int64_t columns)
{
    const int64_t shape[2] = { rows, columns };
    gm_status status;
    GM_TRY(gm_param_create(slot, ar->model.ctx, name, rank, shape));
    GM_TRY(gm_params_add(ar->model.params, prefix, *slot));
out:
    return status;
}

/* Random values where the mask keeps them, zeros elsewhere. */
static gm_status start(gm_param *weight, gm_rng *rng, int64_t high, int64_t wide, int own)
{
    gm_status status;
    GM_TRY(gm_param_init(weight, GM_INIT_DEFAULT, 1, 0, rng));
    const int64_t *shape = gm_param_shape(weight);
    for (int64_t r = 0; r < shape[0]; r++) {
        const int64_t seen = (r / high + own) * wide;
        memset(gm_param_value(weight) + r * shape[1] + seen, 0,
               (size_t)(shape[1] - seen) * sizeof(float));
    }
out:
    return status;
}

static gm_status add_params(gm_neural_ar *ar)
{
    const int64_t columns = ar->model.row_size, inputs = columns * ar->classes,
                  units = columns * ar->o.hidden, outputs = columns * ar->width;
    gm_status status;
    GM_TRY(add(ar, &ar->in_weight, "hidden.", "weight", 2, units, inputs));
    GM_TRY(add(ar, &ar->in_bias, "hidden.", "bias", 1, units, 0));
    GM_TRY(add(ar, &ar->out_weight, "output.", "weight", 2, outputs, units));
    GM_TRY(add(ar, &ar->out_bias, "output.", "bias", 1, outputs, 0));
    if (ar->o.direct) GM_TRY(add(ar, &ar->direct, "direct.", "weight", 2, outputs, inputs));
    GM_TRY(start(ar->in_weight, ar->model.rng, ar->o.hidden, ar->classes, 1));
    GM_TRY(start(ar->out_weight, ar->model.rng, ar->width, ar->o.hidden, 0));
out:
    return status;
}

/* The groups' degrees stand where the columns' inputs, units and outputs do. */
static gm_status add_walk(gm_neural_ar *ar)
{
    gm_context *ctx = ar->model.ctx;
    const int64_t columns = ar->model.row_size, group[3] = { ar->classes, ar->o.hidden, ar->width };
    const int64_t all = columns * (group[0] + group[1] + group[2]);
    ar->degrees = gm_context_allocate(ctx, (size_t)all * sizeof *ar->degrees);
    ar->on_value = gm_context_allocate(ctx, (size_t)columns * sizeof *ar->on_value);
    ar->on = gm_context_allocate(ctx, (size_t)columns * sizeof *ar->on);
    ar->unit = gm_context_allocate(ctx, (size_t)(columns * ar->o.hidden) * sizeof *ar->unit);
    ar->raw = gm_context_allocate(ctx, (size_t)ar->width * sizeof *ar->raw);
    if (!ar->degrees || !ar->on_value || !ar->on || !ar->unit || !ar->raw)
        return gm_model_fail(ctx, GM_E_NOMEM, "neural_ar: no memory for %lld columns",
                             (long long)columns);
    float *degree = ar->degrees;
    for (int part = 0; part < 3; part++)
        for (int64_t i = 0; i < columns * group[part]; i++)
            *degree++ = (float)(i / group[part] + 1);
    return GM_OK;
}

static gm_status build(gm_neural_ar *ar, int64_t columns)
{
    gm_model *model = &ar->model;
    gm_status status;
    GM_TRY(gm_model_open(model));
    model->row_size = columns;
    GM_TRY(gm_order_set(&ar->order, model, ar->o.order));
    GM_TRY(add_params(ar));
    GM_TRY(add_walk(ar));
    GM_TRY(gm_model_bind(model, &model->optimizer, ar->o.optimizer, model->params));
out:
    return status;
}

gm_status gm_neural_ar_create(gm_neural_ar **out, gm_context *ctx, int64_t columns,
                              const gm_neural_ar_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "neural_ar: context or out is NULL");
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "neural_ar", &o, sizeof o, options);
    if (!status) status = check_options(ctx, columns, &o);
    if (status) return status;
    gm_neural_ar *ar = gm_model_new(ctx, &gm_family_neural_ar, sizeof *ar);
    if (!ar) return GM_E_NOMEM;
    ar->o = o;
    ar->classes = o.kind == GM_CONDITIONAL_CATEGORICAL ? o.classes : 1;
    ar->width = o.kind == GM_CONDITIONAL_GAUSSIAN ? 2 : ar->classes;
    status = build(ar, columns);
    ar->o.order = NULL; /* the host's, as the optimizer is the model's now */
    ar->o.optimizer = NULL;
    if (status)
        gm_neural_ar_release(ar);
    else
        *out = ar;
    return status;
}

static void destroy(gm_model *model)
{
    gm_neural_ar *ar = of(model);
    gm_context *ctx = model->ctx;
    const int64_t columns = model->row_size;
    gm_context_free(ctx, ar->degrees,
                    (size_t)(columns * (ar->classes + ar->o.hidden + ar->width)) *
                        sizeof *ar->degrees);
    gm_context_free(ctx, ar->on_value, (size_t)columns * sizeof *ar->on_value);
    gm_context_free(ctx, ar->on, (size_t)columns * sizeof *ar->on);
    gm_context_free(ctx, ar->unit, (size_t)(columns * ar->o.hidden) * sizeof *ar->unit);
    gm_context_free(ctx, ar->raw, (size_t)ar->width * sizeof *ar->raw);
    gm_order_forget(&ar->order, model);
    gm_model_close(model);
    gm_param *all[] = { ar->in_weight, ar->in_bias, ar->out_weight, ar->out_bias, ar->direct };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) gm_param_release(all[i]);
    gm_context_free(ctx, ar, sizeof *ar);
}

void gm_neural_ar_retain(gm_neural_ar *ar)
{
    if (ar) gm_model_retain(&ar->model);
}

void gm_neural_ar_release(gm_neural_ar *ar)
{
    if (ar) gm_model_release(&ar->model);
}

gm_model *gm_neural_ar_model(gm_neural_ar *ar)
{
    return ar ? &ar->model : NULL;
}

gm_neural_ar *gm_neural_ar_from_model(gm_model *model)
{
    return model && model->family == &gm_family_neural_ar ? of(model) : NULL;
}

int64_t gm_neural_ar_hidden(const gm_neural_ar *ar)
{
    return ar ? ar->o.hidden : 0;
}

/* The rows in the model's order, and what the net makes of them. */
typedef struct recorded {
    gm_var x, y; /* [n, columns], [n, columns width] */
} recorded;

static gm_status record(gm_neural_ar *ar, const gm_batch *batch, recorded *r)
{
    gm_tape *tape = ar->model.tape;
    const int64_t n = batch->count, columns = ar->model.row_size, inputs = columns * ar->classes,
                  units = columns * ar->o.hidden, outputs = columns * ar->width;
    const int64_t shape[2] = { n, columns }, flat[2] = { n, inputs };
    const float *rows;
    gm_status status;
    GM_TRY(gm_order_rows(&ar->order, &ar->model, batch->rows, n, &rows));
    r->x = gm_input_array(tape, 2, shape, rows);
    gm_var in = r->x;
    if (ar->o.kind == GM_CONDITIONAL_CATEGORICAL)
        in = gm_reshape(tape, gm_one_hot(tape, r->x, ar->classes), 2, flat);
    gm_var of_input = gm_input_array(tape, 1, &inputs, ar->degrees);
    gm_var of_unit = gm_input_array(tape, 1, &units, ar->degrees + inputs);
    gm_var of_output = gm_input_array(tape, 1, &outputs, ar->degrees + inputs + units);
    gm_var h = gm_masked_linear(tape, in, gm_parameter(tape, ar->in_weight),
                                gm_parameter(tape, ar->in_bias), of_unit, of_input,
                                &(gm_masked_linear_options){ sizeof(gm_masked_linear_options), 0,
                                                             ar->o.activation, slope_of(ar) });
    r->y = gm_masked_linear(
        tape, h, gm_parameter(tape, ar->out_weight), gm_parameter(tape, ar->out_bias), of_output,
        of_unit,
        &(gm_masked_linear_options){ sizeof(gm_masked_linear_options), 1, GM_ACTIVATION_NONE, 0 });
    if (ar->direct)
        r->y = gm_add(tape, r->y,
                      gm_masked_linear(
                          tape, in, gm_parameter(tape, ar->direct), GM_NO_VAR, of_output, of_input,
                          &(gm_masked_linear_options){ sizeof(gm_masked_linear_options), 1,
                                                       GM_ACTIVATION_NONE, 0 }));
    status = gm_tape_status(tape);
out:
    return status;
}

/* Number `which` of the two that a real value's conditional has: [n, columns]. */
static gm_var part(gm_neural_ar *ar, gm_var y, int64_t which)
{
    gm_tape *tape = ar->model.tape;
    const int64_t pairs[3] = { -1, ar->model.row_size, 2 }, flat[2] = { -1, ar->model.row_size };
    gm_var one = gm_slice(tape, gm_reshape(tape, y, 3, pairs), 2, which, which + 1);
    return gm_reshape(tape, one, 2, flat);
}

/* -log p(x) of each row. */
static gm_var record_nll(gm_neural_ar *ar, const recorded *r)
{
    gm_tape *tape = ar->model.tape;
    const int64_t shape[3] = { -1, ar->model.row_size, ar->classes };
    if (ar->o.kind == GM_CONDITIONAL_BINARY) return gm_bce_with_logits(tape, r->y, r->x);
    if (ar->o.kind == GM_CONDITIONAL_CATEGORICAL)
        return gm_cross_entropy(tape, gm_reshape(tape, r->y, 3, shape), r->x);
    gm_var log_deviation = gm_clamp(tape, part(ar, r->y, 1), -LOG_DEVIATION, LOG_DEVIATION);
    return gm_gaussian_nll(tape, part(ar, r->y, 0), gm_scale(tape, log_deviation, 2), r->x);
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_neural_ar *ar = of(model);
    gm_tape *tape = model->tape;
    gm_param *weights[] = { ar->in_weight, ar->out_weight, ar->direct };
    recorded r;
    gm_status status;
    GM_TRY(gm_conditional_check(model, "loss", ar->o.kind, ar->width, 0, batch->rows, NULL,
                                batch->count));
    GM_TRY(record(ar, batch, &r));
    *out = gm_mean(tape, record_nll(ar, &r));
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *out));
    for (int i = 0; ar->o.weight_decay > 0 && i < 3; i++) {
        if (!weights[i]) continue;
        gm_var squares = gm_sum(tape, gm_square(tape, gm_parameter(tape, weights[i])));
        *out = gm_add(tape, *out, gm_scale(tape, squares, ar->o.weight_decay / 2));
    }
    status = gm_tape_status(tape);
out:
    return status;
}

static double limited(double log_deviation)
{
    return fmin(fmax(log_deviation, -LOG_DEVIATION), LOG_DEVIATION);
}

static gm_status raw(gm_model *model, const gm_batch *batch, float *out)
{
    gm_neural_ar *ar = of(model);
    const int64_t columns = model->row_size, width = ar->width;
    recorded r;
    gm_status status;
    gm_model_record(model, GM_TAPE_CONSTANT);
    GM_TRY(record(ar, batch, &r));
    const float *y = gm_value(model->tape, r.y);
    for (int64_t i = 0; i < batch->count; i++)
        for (int64_t k = 0; k < columns; k++, y += width) {
            float *to = out + (i * columns + gm_order_column(&ar->order, k)) * width;
            memcpy(to, y, (size_t)width * sizeof *y);
            if (ar->o.kind == GM_CONDITIONAL_GAUSSIAN) to[1] = (float)limited((double)y[1]);
        }
out:
    return status;
}

/* w x, of the inputs so far that are not zero: for bits only the weights of ones are touched. */
static double of_values(const gm_neural_ar *ar, const float *w, int64_t count)
{
    double a = 0;
    if (ar->o.kind == GM_CONDITIONAL_GAUSSIAN)
        for (int64_t i = 0; i < count; i++) a += (double)w[ar->on[i]] * (double)ar->on_value[i];
    else
        for (int64_t i = 0; i < count; i++) a += (double)w[ar->on[i]];
    return a;
}

/* w h, of n units: eight sums side by side, so that it runs in vectors. */
static double of_units(const float *restrict w, const float *restrict h, int64_t n)
{
    float sum[8] = { 0 };
    double all = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) sum[l] += w[i + l] * h[i + l];
    for (; i < n; i++) all += (double)w[i] * (double)h[i];
    for (int l = 0; l < 8; l++) all += (double)sum[l];
    return all;
}

static double activate(const gm_neural_ar *ar, double a)
{
    return gm_activation_value(ar->o.activation, slope_of(ar), a);
}

/* The conditional at place k, into ar->raw. */
static void predict(gm_neural_ar *ar, int64_t k, int64_t count)
{
    const int64_t columns = ar->model.row_size, units = columns * ar->o.hidden,
                  inputs = columns * ar->classes;
    for (int64_t w = 0; w < ar->width; w++) {
        const int64_t row = k * ar->width + w;
        double a = (double)gm_param_value(ar->out_bias)[row];
        a += of_units(gm_param_value(ar->out_weight) + row * units, ar->unit, k * ar->o.hidden);
        if (ar->direct) a += of_values(ar, gm_param_value(ar->direct) + row * inputs, count);
        ar->raw[w] = (float)a;
    }
    if (ar->o.kind == GM_CONDITIONAL_GAUSSIAN) ar->raw[1] = (float)limited((double)ar->raw[1]);
}

/* One row, place after place. */
static void fill_row(gm_neural_ar *ar, float *row, const uint8_t *known, double *log_known,
                     int draw)
{
    const int64_t columns = ar->model.row_size, inputs = columns * ar->classes,
                  hidden = ar->o.hidden;
    int64_t count = 0;
    for (int64_t k = 0; k < columns; k++) {
        const int64_t column = gm_order_column(&ar->order, k);
        const int given = known && known[column];
        if (!given && !draw) return;
        predict(ar, k, count);
        if (!given)
            row[column] = gm_conditional_next(ar->model.rng, ar->o.kind, ar->width, ar->raw);
        else if (log_known)
            *log_known +=
                gm_conditional_log_prob(ar->o.kind, ar->width, ar->raw, (double)row[column]);
        const float x = row[column];
        if (ar->o.kind == GM_CONDITIONAL_CATEGORICAL) {
            ar->on[count++] = k * ar->classes + (int64_t)x;
        } else if (x < 0 || x > 0) {
            ar->on_value[count] = x;
            ar->on[count++] = k;
        }
        for (int64_t u = k * hidden; u < (k + 1) * hidden; u++)
            ar->unit[u] = (float)activate(
                ar, (double)gm_param_value(ar->in_bias)[u] +
                        of_values(ar, gm_param_value(ar->in_weight) + u * inputs, count));
    }
}

static gm_status fill(gm_model *model, float *rows, const float *labels, const uint8_t *known,
                      int64_t count, double *log_known, int draw)
{
    gm_status status = GM_OK;
    (void)labels;
    for (int64_t i = 0; i < count; i++) {
        fill_row(of(model), rows + i * model->row_size, known ? known + i * model->row_size : NULL,
                 log_known ? log_known + i : NULL, draw);
        GM_TRY(gm_model_advance(model, model->row_size));
    }
out:
    return status;
}

static gm_status order(gm_model *model, int64_t *out)
{
    for (int64_t k = 0; k < model->row_size; k++) out[k] = gm_order_column(&of(model)->order, k);
    return GM_OK;
}

static const gm_model_field stored[] = {
    GM_FIELD(gm_neural_ar_options, kind),       GM_FIELD(gm_neural_ar_options, direct),
    GM_FIELD(gm_neural_ar_options, hidden),     GM_FIELD(gm_neural_ar_options, classes),
    GM_FIELD(gm_neural_ar_options, activation), GM_FIELD(gm_neural_ar_options, weight_decay),
};

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    (void)checkpoint;
    gm_neural_ar *ar = of(model);
    gm_neural_ar_options o = ar->o;
    gm_status status;
    o.classes = ar->classes;
    GM_TRY(gm_archive_set_int(archive, "neural_ar.columns", model->row_size));
    GM_TRY(GM_PUT_FIELDS(archive, "neural_ar.", stored, &o));
    GM_TRY(gm_order_put(&ar->order, model, archive, "neural_ar.order"));
    GM_TRY(gm_archive_put_params(archive, "neural_ar.", model->params));
out:
    return status;
}

/* Has the file weights of the sizes that it speaks of? Before memory is taken for them. */
static gm_status check_weight(gm_context *ctx, gm_archive *archive, int64_t columns, int64_t hidden,
                              int64_t classes)
{
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    gm_status status;
    GM_TRY(gm_archive_get(&rank, NULL, archive, "neural_ar.hidden.weight", shape));
    if (rank != 2 || columns < 1 || hidden < 1 || classes < 1 || shape[0] % columns ||
        shape[1] % columns || shape[0] / columns != hidden || shape[1] / columns != classes)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE,
                             "load: neural_ar.hidden.weight does not fit %lld columns of %lld "
                             "classes and %lld units",
                             (long long)columns, (long long)classes, (long long)hidden));
out:
    return status;
}

static gm_status rebuild(gm_model **out, gm_context *ctx, gm_archive *archive,
                         const gm_autoregressive_parts *parts)
{
    gm_neural_ar *ar = NULL;
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    gm_status status;
    GM_TRY(GM_GET_FIELDS(archive, "neural_ar.", stored, &o));
    GM_TRY(check_weight(ctx, archive, parts->columns, o.hidden, o.classes));
    o.order = parts->order;
    o.optimizer = parts->optimizer;
    status = gm_neural_ar_create(&ar, ctx, parts->columns, &o);
    *out = gm_neural_ar_model(ar);
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    return gm_autoregressive_load(out, ctx, archive, optimizer, "neural_ar.", 1, rebuild);
}

static const gm_autoregressive entries = {
    .kind = kind_of,
    .width = width_of,
    .order = order,
    .raw = raw,
    .fill = fill,
};

const gm_family gm_family_neural_ar = {
    .name = "neural_ar",
    .loss = loss,
    .sample = gm_autoregressive_draw,
    .log_prob = gm_autoregressive_score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .autoregressive = &entries,
    .likelihood = gm_model_exact_likelihood,
};
