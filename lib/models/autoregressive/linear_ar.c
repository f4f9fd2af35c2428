/* linear_ar.c - linear autoregressive networks: regressions of each column on the ones before it.
 */
#include "gm/linear_ar.h"

#include <math.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/mask.h"
#include "gm/ops.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/conditionals.h"
#include "models/autoregressive/linear_ar_solve.h"
#include "models/fields.h"
#include "models/frozen.h"
#include "models/row_reader.h"

struct gm_linear_ar {
    gm_model model; /* first */
    int32_t kind;
    int64_t classes; /* K; 1 for bits and reals */
    double weight_decay;
    gm_param *weight, *bias, *log_deviation; /* the last only for reals */
    gm_order order;
    float *degrees;  /* of inputs and outputs: the place, counted from 1 */
    float *on_value; /* of the walk: inputs so far that are not zero, with their places among the
                        inputs */
    int64_t *on;
    float *raw; /* of the walk: one conditional */
};

static gm_linear_ar *of(const gm_model *model)
{
    return (gm_linear_ar *)model;
}

static int64_t columns_of(const gm_linear_ar *ar)
{
    return ar->model.row_size;
}

static int32_t kind_of(const gm_model *model)
{
    return of(model)->kind;
}

static int64_t width_of(const gm_model *model)
{
    return of(model)->kind == GM_CONDITIONAL_GAUSSIAN ? 2 : of(model)->classes;
}

static gm_status check_options(gm_context *ctx, int64_t columns, const gm_linear_ar_options *o)
{
    if (columns < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "linear_ar: columns is %lld, expected at least 1",
                             (long long)columns);
    if (o->kind < GM_CONDITIONAL_BINARY || o->kind > GM_CONDITIONAL_GAUSSIAN)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "linear_ar: kind is %d, expected binary, categorical or Gaussian",
                             (int)o->kind);
    if (o->kind == GM_CONDITIONAL_CATEGORICAL && (o->classes < 2 || o->classes > (1 << 24)))
        return gm_model_fail(ctx, GM_E_INVALID, "linear_ar: classes is %lld, expected 2 to 2^24",
                             (long long)o->classes);
    if (!(o->weight_decay >= 0) || isinf(o->weight_decay))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "linear_ar: weight_decay is %g, expected at least 0", o->weight_decay);
    const int64_t classes = o->kind == GM_CONDITIONAL_CATEGORICAL ? o->classes : 1;
    if (columns >= 1 << 22 || columns > 1000000000 / classes)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "linear_ar: %lld columns of %lld classes are too many weights",
                             (long long)columns, (long long)classes);
    return GM_OK;
}

/* A parameter, into *slot and the model's set. */
static gm_status add(gm_linear_ar *ar, gm_param **slot, const char *name, int32_t rank,
                     const int64_t *shape)
{
    gm_status status;
    GM_TRY(gm_param_create(slot, ar->model.ctx, name, rank, shape));
    GM_TRY(gm_params_add(ar->model.params, NULL, *slot));
out:
    return status;
}

static gm_status build(gm_linear_ar *ar, const gm_linear_ar_options *o, int64_t columns)
{
    gm_model *model = &ar->model;
    const int64_t shape[2] = { columns * ar->classes, columns * ar->classes };
    gm_status status;
    GM_TRY(gm_model_open(model));
    model->row_size = columns;
    GM_TRY(gm_order_set(&ar->order, model, o->order));
    GM_TRY(add(ar, &ar->weight, "weight", 2, shape));
    GM_TRY(add(ar, &ar->bias, "bias", 1, shape));
    if (ar->kind == GM_CONDITIONAL_GAUSSIAN)
        GM_TRY(add(ar, &ar->log_deviation, "log_deviation", 1, &columns));
    ar->on = gm_context_allocate(model->ctx, (size_t)columns * sizeof *ar->on);
    ar->on_value = gm_context_allocate(model->ctx, (size_t)columns * sizeof *ar->on_value);
    ar->raw = gm_context_allocate(model->ctx, (size_t)width_of(model) * sizeof *ar->raw);
    ar->degrees = gm_context_allocate(model->ctx, (size_t)shape[0] * sizeof *ar->degrees);
    if (!ar->on || !ar->on_value || !ar->raw || !ar->degrees)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "linear_ar: no memory for %lld columns",
                             (long long)columns));
    for (int64_t i = 0; i < shape[0]; i++) ar->degrees[i] = (float)(i / ar->classes + 1);
    GM_TRY(gm_model_bind(model, &model->optimizer, o->optimizer, model->params));
out:
    return status;
}

gm_status gm_linear_ar_create(gm_linear_ar **out, gm_context *ctx, int64_t columns,
                              const gm_linear_ar_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "linear_ar: context or out is NULL");
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "linear_ar", &o, sizeof o, options);
    if (!status) status = check_options(ctx, columns, &o);
    if (status) return status;
    gm_linear_ar *ar = gm_model_new(ctx, &gm_family_linear_ar, sizeof *ar);
    if (!ar) return GM_E_NOMEM;
    ar->kind = o.kind;
    ar->classes = o.kind == GM_CONDITIONAL_CATEGORICAL ? o.classes : 1;
    ar->weight_decay = o.weight_decay;
    status = build(ar, &o, columns);
    if (status)
        gm_linear_ar_release(ar);
    else
        *out = ar;
    return status;
}

static void destroy(gm_model *model)
{
    gm_linear_ar *ar = of(model);
    gm_context *ctx = model->ctx;
    const size_t columns = (size_t)model->row_size;
    gm_context_free(ctx, ar->degrees, columns * (size_t)ar->classes * sizeof *ar->degrees);
    gm_context_free(ctx, ar->raw, (size_t)width_of(model) * sizeof *ar->raw);
    gm_context_free(ctx, ar->on_value, columns * sizeof *ar->on_value);
    gm_context_free(ctx, ar->on, columns * sizeof *ar->on);
    gm_order_forget(&ar->order, model);
    gm_model_close(model);
    gm_param_release(ar->log_deviation);
    gm_param_release(ar->bias);
    gm_param_release(ar->weight);
    gm_context_free(ctx, ar, sizeof *ar);
}

void gm_linear_ar_retain(gm_linear_ar *ar)
{
    if (ar) gm_model_retain(&ar->model);
}

void gm_linear_ar_release(gm_linear_ar *ar)
{
    if (ar) gm_model_release(&ar->model);
}

gm_model *gm_linear_ar_model(gm_linear_ar *ar)
{
    return ar ? &ar->model : NULL;
}

gm_linear_ar *gm_linear_ar_from_model(gm_model *model)
{
    return model && model->family == &gm_family_linear_ar ? of(model) : NULL;
}

/* The rows in the model's order, and the linear map of all of them at once: logits, or means. */
typedef struct recorded {
    gm_var x, y; /* [n, columns], [n, columns K] */
} recorded;

static gm_status record(gm_linear_ar *ar, const gm_batch *batch, recorded *r)
{
    gm_tape *tape = ar->model.tape;
    const int64_t columns = columns_of(ar), shape[2] = { batch->count, columns },
                  flat[2] = { batch->count, columns * ar->classes };
    const float *rows;
    gm_status status;
    GM_TRY(gm_order_rows(&ar->order, &ar->model, batch->rows, batch->count, &rows));
    r->x = gm_input_array(tape, 2, shape, rows);
    gm_var in = r->x;
    if (ar->kind == GM_CONDITIONAL_CATEGORICAL)
        in = gm_reshape(tape, gm_one_hot(tape, r->x, ar->classes), 2, flat);
    gm_var degrees = gm_input_array(tape, 1, flat + 1, ar->degrees);
    r->y = gm_masked_linear(
        tape, in, gm_parameter(tape, ar->weight), gm_parameter(tape, ar->bias), degrees, degrees,
        &(gm_masked_linear_options){ sizeof(gm_masked_linear_options), 1, GM_ACTIVATION_NONE, 0 });
    status = gm_tape_status(tape);
out:
    return status;
}

/* -log p(x) of each row. */
static gm_var record_nll(gm_linear_ar *ar, const recorded *r, int64_t count)
{
    gm_tape *tape = ar->model.tape;
    const int64_t shape[3] = { count, columns_of(ar), ar->classes };
    if (ar->kind == GM_CONDITIONAL_BINARY) return gm_bce_with_logits(tape, r->y, r->x);
    if (ar->kind == GM_CONDITIONAL_CATEGORICAL)
        return gm_cross_entropy(tape, gm_reshape(tape, r->y, 3, shape), r->x);
    return gm_gaussian_nll(tape, r->y, gm_scale(tape, gm_parameter(tape, ar->log_deviation), 2),
                           r->x);
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_linear_ar *ar = of(model);
    gm_tape *tape = model->tape;
    recorded r;
    gm_status status;
    GM_TRY(gm_conditional_check(model, "loss", ar->kind, width_of(model), 0, batch->rows, NULL,
                                batch->count));
    GM_TRY(record(ar, batch, &r));
    *out = gm_mean(tape, record_nll(ar, &r, batch->count));
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *out));
    if (ar->weight_decay > 0) {
        gm_var squares = gm_sum(tape, gm_square(tape, gm_parameter(tape, ar->weight)));
        *out = gm_add(tape, *out, gm_scale(tape, squares, ar->weight_decay / 2));
    }
    status = gm_tape_status(tape);
out:
    return status;
}

static gm_status step(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    gm_status status = gm_model_descend(model, batch, metrics);
    if (!status) gm_metrics_add(metrics, "gradient", gm_optimizer_gradient_norm(model->optimizer));
    return status;
}

gm_status gm_linear_ar_solve(gm_linear_ar *ar, gm_dataset *data, double ridge)
{
    if (!ar) return GM_E_INVALID;
    gm_status status = gm_model_check_trains(&ar->model, "solve");
    if (!status) status = gm_model_check_unused(&ar->model, "solve");
    return status ? status : gm_linear_ar_fit_normal(&ar->model, &ar->order, data, ridge);
}

gm_status gm_linear_ar_gradient_norm(double *out, gm_linear_ar *ar, gm_dataset *data)
{
    if (!ar) return GM_E_INVALID;
    gm_model *model = &ar->model;
    if (!out)
        return gm_model_fail(model->ctx, GM_E_INVALID, "linear_ar: gradient_norm: out is NULL");
    gm_row_reader reader = { 0 };
    gm_status status;
    GM_TRY(gm_row_reader_open(&reader, "linear_ar: gradient_norm", model, data, GM_MODEL_GROUP, 0));
    gm_params_zero_gradients(model->params);
    for (int64_t done = 0; done < reader.rows;) {
        gm_batch batch;
        gm_metrics ignored = { 0 };
        gm_var mean;
        GM_TRY(gm_row_reader_next(&reader, done, &batch));
        const size_t of_batch = gm_model_mark(model);
        gm_model_record(model, 0);
        GM_TRY(loss(model, &batch, &mean, &ignored));
        mean = gm_scale(model->tape, mean, (double)batch.count / (double)reader.rows);
        GM_TRY(gm_backward_add(model->tape, mean, model->params));
        gm_model_give(model, of_batch);
        done += batch.count;
    }
    *out = gm_params_gradient_norm(model->params);
out:
    gm_row_reader_close(&reader);
    return status;
}

static gm_status raw(gm_model *model, const gm_batch *batch, float *out)
{
    gm_linear_ar *ar = of(model);
    const int64_t columns = columns_of(ar), width = width_of(model);
    recorded r;
    gm_status status;
    gm_model_record(model, GM_TAPE_CONSTANT);
    GM_TRY(record(ar, batch, &r));
    const float *y = gm_value(model->tape, r.y);
    for (int64_t i = 0; i < batch->count; i++)
        for (int64_t k = 0; k < columns; k++) {
            float *to = out + (i * columns + gm_order_column(&ar->order, k)) * width;
            for (int64_t w = 0; w < ar->classes; w++) *to++ = *y++;
            if (ar->log_deviation) *to = gm_param_value(ar->log_deviation)[k];
        }
out:
    return status;
}

/* b + W x of output `row`, of the inputs so far that are not zero: for bits only the weights of
 * ones are touched. */
static double activation(const gm_linear_ar *ar, int64_t row, int64_t count)
{
    const float *w = gm_param_value(ar->weight) + row * columns_of(ar) * ar->classes;
    double a = (double)gm_param_value(ar->bias)[row];
    if (ar->kind == GM_CONDITIONAL_GAUSSIAN)
        for (int64_t i = 0; i < count; i++) a += (double)w[ar->on[i]] * (double)ar->on_value[i];
    else
        for (int64_t i = 0; i < count; i++) a += (double)w[ar->on[i]];
    return a;
}

/* One row, place after place. */
static void fill_row(gm_linear_ar *ar, float *row, const uint8_t *known, double *log_known,
                     int draw)
{
    const int64_t columns = columns_of(ar), width = width_of(&ar->model);
    int64_t count = 0;
    for (int64_t k = 0; k < columns; k++) {
        const int64_t column = gm_order_column(&ar->order, k);
        const int given = known && known[column];
        if (!given && !draw) return;
        for (int64_t w = 0; w < ar->classes; w++)
            ar->raw[w] = (float)activation(ar, k * ar->classes + w, count);
        if (ar->log_deviation) ar->raw[1] = gm_param_value(ar->log_deviation)[k];
        if (!given)
            row[column] = gm_conditional_next(ar->model.rng, ar->kind, width, ar->raw);
        else if (log_known)
            *log_known += gm_conditional_log_prob(ar->kind, width, ar->raw, (double)row[column]);
        const float x = row[column];
        if (ar->kind == GM_CONDITIONAL_CATEGORICAL) {
            ar->on[count++] = k * ar->classes + (int64_t)x;
        } else if (x < 0 || x > 0) {
            ar->on_value[count] = x;
            ar->on[count++] = k;
        }
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
    GM_FIELD(gm_linear_ar_options, kind),
    GM_FIELD(gm_linear_ar_options, classes),
    GM_FIELD(gm_linear_ar_options, weight_decay),
};

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    (void)checkpoint;
    gm_linear_ar *ar = of(model);
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    gm_status status;
    o.kind = ar->kind;
    o.classes = ar->classes;
    o.weight_decay = ar->weight_decay;
    GM_TRY(gm_archive_set_int(archive, "linear_ar.columns", columns_of(ar)));
    GM_TRY(GM_PUT_FIELDS(archive, "linear_ar.", stored, &o));
    GM_TRY(gm_order_put(&ar->order, model, archive, "linear_ar.order"));
    GM_TRY(gm_archive_put_params(archive, "linear_ar.", model->params));
out:
    return status;
}

/* Has the file weights of the sizes that it speaks of? Before memory is taken for them. */
static gm_status check_weight(gm_context *ctx, gm_archive *archive, int64_t columns,
                              int64_t classes)
{
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    gm_status status;
    GM_TRY(gm_archive_get(&rank, NULL, archive, "linear_ar.weight", shape));
    if (rank != 2 || columns < 1 || classes < 1 || shape[1] / classes != columns ||
        shape[1] % classes)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE,
                             "load: linear_ar.weight does not fit %lld columns of %lld classes",
                             (long long)columns, (long long)classes));
out:
    return status;
}

static gm_status rebuild(gm_model **out, gm_context *ctx, gm_archive *archive,
                         const gm_autoregressive_parts *parts)
{
    gm_linear_ar *ar = NULL;
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    gm_status status;
    GM_TRY(GM_GET_FIELDS(archive, "linear_ar.", stored, &o));
    GM_TRY(check_weight(ctx, archive, parts->columns, o.classes));
    o.order = parts->order;
    o.optimizer = parts->optimizer;
    status = gm_linear_ar_create(&ar, ctx, parts->columns, &o);
    *out = gm_linear_ar_model(ar);
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    return gm_autoregressive_load(out, ctx, archive, optimizer, "linear_ar.", 1, rebuild);
}

static const gm_autoregressive entries = {
    .kind = kind_of,
    .width = width_of,
    .order = order,
    .raw = raw,
    .fill = fill,
};

const gm_family gm_family_linear_ar = {
    .name = "linear_ar",
    .loss = loss,
    .step = step,
    .sample = gm_autoregressive_draw,
    .log_prob = gm_autoregressive_score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .autoregressive = &entries,
    .likelihood = gm_model_exact_likelihood,
};
