/* made.c - masked autoencoders for distribution estimation: options, the mean over sets, the verbs,
 * the file. The network of one set is in made_net.c, the walk along the order in made_walk.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/ops.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/conditionals.h"
#include "models/autoregressive/made_net.h"
#include "models/family.h"
#include "models/fields.h"

#define FRESH_ORDERS 16

struct gm_made {
    gm_model model; /* first */
    gm_made_net net;
};

static gm_made *of(const gm_model *model)
{
    return (gm_made *)model;
}

static int32_t kind_of(const gm_model *model)
{
    return of(model)->net.o.kind;
}

static int64_t width_of(const gm_model *model)
{
    return of(model)->net.width;
}

static int32_t any_order_of(const gm_model *model)
{
    return of(model)->net.o.random_orders;
}

/* --- Creation. */

static gm_status check_options(gm_context *ctx, int64_t columns, gm_made_options *o)
{
    if (columns < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "made: columns is %lld, expected at least 1",
                             (long long)columns);
    if (o->layers < 0 || o->layers > GM_MADE_MAX_LAYERS || (!o->layers && !o->direct))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "made: layers is %d, expected 1 to %d, or 0 with direct weights",
                             (int)o->layers, GM_MADE_MAX_LAYERS);
    for (int32_t l = 0; o->hidden && l < o->layers; l++)
        if (o->hidden[l] < 1 || o->hidden[l] > (1 << 30))
            return gm_model_fail(ctx, GM_E_INVALID,
                                 "made: hidden layer %d has %lld units, expected 1 to 2^30", (int)l,
                                 (long long)o->hidden[l]);
    if (!gm_activation_name(o->activation))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "made: activation is %d, expected one of GM_ACTIVATION_*",
                             (int)o->activation);
    if (o->kind < GM_CONDITIONAL_BINARY || o->kind > GM_CONDITIONAL_LAPLACE_MIXTURE)
        return gm_model_fail(ctx, GM_E_INVALID, "made: kind is %d, expected 0 to %d", (int)o->kind,
                             GM_CONDITIONAL_LAPLACE_MIXTURE);
    if (o->kind == GM_CONDITIONAL_CATEGORICAL && (o->classes < 2 || o->classes > (1 << 24)))
        return gm_model_fail(ctx, GM_E_INVALID, "made: classes is %lld, expected 2 to 2^24",
                             (long long)o->classes);
    if (o->kind > GM_CONDITIONAL_GAUSSIAN && (o->components < 1 || o->components > 100000))
        return gm_model_fail(ctx, GM_E_INVALID, "made: components is %lld, expected 1 to 100000",
                             (long long)o->components);
    if (o->degrees < GM_DEGREES_SPREAD || o->degrees > GM_DEGREES_RANDOM)
        return gm_model_fail(ctx, GM_E_INVALID, "made: degrees is %d, expected 0 to 2",
                             (int)o->degrees);
    if ((o->direct != 0 && o->direct != 1) || (o->random_orders != 0 && o->random_orders != 1) ||
        (o->connectivity != 0 && o->connectivity != 1))
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "made: direct is %d, random_orders is %d, connectivity is %d, expected 0 or 1",
            (int)o->direct, (int)o->random_orders, (int)o->connectivity);
    if (o->random_orders && o->order)
        return gm_model_fail(ctx, GM_E_INVALID, "made: an order is given, but random_orders is 1");
    if (o->masks < 0 || o->orders < 0 || (o->masks && o->orders > o->masks))
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "made: masks is %lld, expected at least 0; orders is %lld, expected 0 to masks",
            (long long)o->masks, (long long)o->orders);
    return GM_OK;
}

static gm_status build(gm_made *made, int64_t columns, const gm_made_options *given)
{
    gm_model *model = &made->model;
    gm_made_options *o = &made->net.o;
    gm_status status;
    GM_TRY(gm_model_open(model));
    model->row_size = columns;
    GM_TRY(gm_made_net_begin(&made->net, model, columns, given));
    if (!o->orders) o->orders = o->masks ? o->masks : FRESH_ORDERS;
    GM_TRY(gm_model_bind(model, &model->optimizer, given->optimizer, model->params));
out:
    return status;
}

gm_status gm_made_create(gm_made **out, gm_context *ctx, int64_t columns,
                         const gm_made_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "made: context or out is NULL");
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "made", &o, sizeof o, options);
    if (!status) status = check_options(ctx, columns, &o);
    if (status) return status;
    gm_made *made = gm_model_new(ctx, &gm_family_made, sizeof *made);
    if (!made) return GM_E_NOMEM;
    status = build(made, columns, &o);
    if (status)
        gm_made_release(made);
    else
        *out = made;
    return status;
}

static void destroy(gm_model *model)
{
    gm_made *made = of(model);
    gm_context *ctx = model->ctx;
    gm_made_net_end(&made->net);
    gm_model_close(model);
    gm_context_free(ctx, made, sizeof *made);
}

void gm_made_retain(gm_made *made)
{
    if (made) gm_model_retain(&made->model);
}

void gm_made_release(gm_made *made)
{
    if (made) gm_model_release(&made->model);
}

gm_model *gm_made_model(gm_made *made)
{
    return made ? &made->model : NULL;
}

gm_made *gm_made_from_model(gm_model *model)
{
    return model && model->family == &gm_family_made ? of(model) : NULL;
}

gm_status gm_made_set_orders(gm_made *made, int64_t orders)
{
    if (!made) return GM_E_INVALID;
    if (orders < 1 || (made->net.o.masks && orders > made->net.o.masks))
        return gm_model_fail(made->model.ctx, GM_E_INVALID,
                             "made: orders is %lld; there are %lld mask sets (0: any number)",
                             (long long)orders, (long long)made->net.o.masks);
    made->net.o.orders = orders;
    return GM_OK;
}

int64_t gm_made_orders(const gm_made *made)
{
    return made ? made->net.o.orders : 0;
}

int64_t gm_made_masks(const gm_made *made)
{
    return made ? made->net.o.masks : 0;
}

int32_t gm_made_layers(const gm_made *made)
{
    return made ? made->net.o.layers : 0;
}

int64_t gm_made_units(const gm_made *made, int32_t layer)
{
    return made && layer >= 0 && layer < made->net.o.layers ? made->net.units[layer] : 0;
}

gm_status gm_made_mask_set(gm_made *made, int64_t set, int64_t *order, int64_t *degrees)
{
    if (!made) return GM_E_INVALID;
    if (set < 0 || (made->net.o.masks && set >= made->net.o.masks))
        return gm_model_fail(made->model.ctx, GM_E_INVALID,
                             "made: set is %lld; there are %lld mask sets (0: any number)",
                             (long long)set, (long long)made->net.o.masks);
    gm_status status = gm_made_take_set(&made->net, set);
    if (!status && order) memcpy(order, made->net.order, (size_t)made->net.columns * sizeof *order);
    if (!status && degrees)
        memcpy(degrees, made->net.degrees, (size_t)made->net.total * sizeof *degrees);
    return status;
}

/* log (1 / orders) sum_j p_j(x) of at most GM_MODEL_GROUP rows with checked values: the sum is kept
 * as most + log sum, so that it neither over- nor underflows. */
static gm_status score_group(gm_made *made, const float *rows, int64_t n, double *out)
{
    double sum[GM_MODEL_GROUP];
    gm_status status = GM_OK;
    for (int64_t j = 0; j < made->net.o.orders; j++) {
        GM_TRY(gm_made_take_set(&made->net, j));
        gm_model_record(&made->model, GM_TAPE_CONSTANT);
        const gm_made_pass r = gm_made_record(&made->net, rows, n);
        gm_var nll = gm_made_nll(&made->net, &r, n);
        GM_TRY(gm_tape_status(made->model.tape));
        const float *value = gm_value(made->model.tape, nll);
        for (int64_t i = 0; i < n; i++) {
            const double l = -(double)value[i];
            if (!j || l > out[i]) {
                sum[i] = j ? sum[i] * exp(out[i] - l) + 1 : 1;
                out[i] = l;
            } else {
                sum[i] += exp(l - out[i]);
            }
        }
    }
    for (int64_t i = 0; i < n; i++) out[i] += log(sum[i] / (double)made->net.o.orders);
out:
    return status;
}

static gm_status log_prob(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error)
{
    gm_made *made = of(model);
    const int64_t size = model->row_size;
    gm_status status;
    if (made->net.o.orders == 1) return gm_autoregressive_score(model, batch, how, out, error);
    GM_TRY(gm_conditional_check(model, "log_prob", made->net.o.kind, made->net.width, 0,
                                batch->rows, NULL, batch->count));
    for (int64_t done = 0, n; (n = gm_model_group(batch->count, done)) > 0; done += n) {
        GM_TRY(score_group(made, batch->rows + done * size, n, out + done));
    }
out:
    return status;
}

/* An evaluation's loss is what log_prob says; of one set, that set's. */
static gm_status mean_over_sets(gm_model *model, const gm_batch *batch, gm_var *out)
{
    double score[GM_MODEL_GROUP], sum = 0;
    gm_status status = GM_OK;
    for (int64_t done = 0, n; (n = gm_model_group(batch->count, done)) > 0; done += n) {
        GM_TRY(score_group(of(model), batch->rows + done * model->row_size, n, score));
        for (int64_t i = 0; i < n; i++) sum += score[i];
    }
    gm_model_record(model, GM_TAPE_CONSTANT);
    *out = gm_constant(model->tape, 0, NULL, -sum / (double)batch->count);
out:
    return status;
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_made *made = of(model);
    const int training = (gm_tape_mode(model->tape) & GM_TAPE_TRAIN) != 0;
    gm_status status;
    GM_TRY(gm_conditional_check(model, "loss", made->net.o.kind, made->net.width, 0, batch->rows,
                                NULL, batch->count));
    if (!training && made->net.o.orders > 1) {
        GM_TRY(mean_over_sets(model, batch, out));
    } else {
        const int64_t turn = made->net.o.masks ? model->steps % made->net.o.masks : model->steps;
        GM_TRY(gm_made_take_set(&made->net, training ? turn : 0));
        const gm_made_pass r = gm_made_record(&made->net, batch->rows, batch->count);
        *out = gm_mean(model->tape, gm_made_nll(&made->net, &r, batch->count));
    }
    gm_metrics_add(metrics, "loss", gm_scalar(model->tape, *out));
    status = gm_tape_status(model->tape);
out:
    return status;
}

static gm_status raw(gm_model *model, const gm_batch *batch, float *out)
{
    gm_made *made = of(model);
    gm_status status;
    GM_TRY(gm_made_take_set(&made->net, 0));
    gm_model_record(model, GM_TAPE_CONSTANT);
    const gm_made_pass r = gm_made_record(&made->net, batch->rows, batch->count);
    GM_TRY(gm_read(model->tape, r.raw, batch->count * made->net.columns * made->net.width, out));
out:
    return status;
}

static gm_status order(gm_model *model, int64_t *out)
{
    return gm_made_mask_set(of(model), 0, out, NULL);
}

/* Set 0, its order with what is known first where the model can have any order. */
static gm_status fill(gm_model *model, float *rows, const float *labels, const uint8_t *known,
                      int64_t count, double *log_known, int draw)
{
    gm_made *made = of(model);
    const int64_t size = model->row_size;
    gm_status status;
    (void)labels;
    for (int64_t done = 0; done < count;) {
        const uint8_t *given = known ? known + done * size : NULL;
        int64_t n = 1;
        while (done + n < count && n < GM_MADE_WALK &&
               (!given || !made->net.o.random_orders ||
                !memcmp(given, given + n * size, (size_t)size)))
            n++;
        GM_TRY(gm_made_take_set(&made->net, 0)); /* a callback may have taken another */
        gm_made_walk_rows(&made->net, rows + done * size, NULL, n, given, made->net.o.random_orders,
                          log_known ? log_known + done : NULL, draw);
        GM_TRY(gm_model_advance(model, n * size));
        done += n;
    }
out:
    return status;
}

/* Each row from a set of its own, as log_prob has it; rows of a group that have the same set walk
 * together. */
static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    gm_made *made = of(model);
    int64_t set[GM_MODEL_GROUP], mine[GM_MADE_WALK];
    gm_status status = GM_OK;
    if (made->net.o.orders == 1) return fill(model, out, labels, NULL, count, NULL, 1);
    for (int64_t done = 0, n; (n = gm_model_group(count, done)) > 0; done += n) {
        for (int64_t i = 0; i < n; i++) set[i] = gm_rng_below(model->rng, made->net.o.orders);
        for (int64_t i = 0; i < n; i++) {
            int64_t same = 0;
            const int64_t now = set[i];
            if (now < 0) continue; /* done already */
            for (int64_t k = i; k < n && same < GM_MADE_WALK; k++)
                if (set[k] == now) {
                    mine[same++] = k;
                    set[k] = -1;
                }
            GM_TRY(gm_made_take_set(&made->net, now));
            gm_made_walk_rows(&made->net, out + done * model->row_size, mine, same, NULL, 0, NULL,
                              1);
            GM_TRY(gm_model_advance(model, same * model->row_size));
        }
    }
out:
    return status;
}

/* --- Files. */

static const gm_model_field stored[] = {
    GM_FIELD(gm_made_options, layers),    GM_FIELD(gm_made_options, activation),
    GM_FIELD(gm_made_options, kind),      GM_FIELD(gm_made_options, direct),
    GM_FIELD(gm_made_options, classes),   GM_FIELD(gm_made_options, components),
    GM_FIELD(gm_made_options, degrees),   GM_FIELD(gm_made_options, random_orders),
    GM_FIELD(gm_made_options, masks),     GM_FIELD(gm_made_options, orders),
    GM_FIELD(gm_made_options, mask_seed),
};

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    const gm_made *made = of(model);
    const gm_made_options *o = &made->net.o;
    char key[32];
    gm_status status;
    (void)checkpoint;
    GM_TRY(gm_archive_set_int(archive, "made.columns", made->net.columns));
    GM_TRY(GM_PUT_FIELDS(archive, "made.", stored, o));
    if (o->connectivity)
        GM_TRY(gm_archive_set_int(archive, "made.connectivity", 1)); /* absent: none */
    for (int32_t l = 0; l < o->layers; l++) {
        (void)snprintf(key, sizeof key, "made.units.%d", (int)l);
        GM_TRY(gm_archive_set_int(archive, key, made->net.units[l]));
    }
    GM_TRY(gm_order_put(&made->net.given, model, archive, "made.order"));
    GM_TRY(gm_archive_put_params(archive, "made.", model->params));
out:
    return status;
}

/* Has the file a weight of the size that it speaks of? Before memory is taken for it. */
static gm_status check_weight(gm_context *ctx, gm_archive *archive, const char *layer,
                              int32_t connectivity, int64_t out, int64_t in)
{
    char key[64];
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    gm_status status = GM_OK;
    for (int32_t k = 0; k <= connectivity; k++) {
        (void)snprintf(key, sizeof key, "made.%s.%s", layer, k ? "connectivity" : "weight");
        GM_TRY(gm_archive_get(&rank, NULL, archive, key, shape));
        if (rank != 2 || shape[0] != out || shape[1] != in)
            GM_TRY(gm_model_fail(ctx, GM_E_SHAPE, "load: %s is not [%lld, %lld]", key,
                                 (long long)out, (long long)in));
    }
out:
    return status;
}

static gm_status check_weights(gm_context *ctx, gm_archive *archive, int64_t columns,
                               const gm_made_options *o)
{
    char layer[24];
    gm_status status = GM_OK;
    const int32_t also = o->connectivity;
    const int64_t per = o->kind == GM_CONDITIONAL_CATEGORICAL ? o->classes : 1,
                  width = gm_made_width(o);
    /* check_options has bounded the factors. */
    if (columns > 1000000000 / width)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE, "load: made.columns is %lld", (long long)columns));
    int64_t below = columns * per;
    for (int32_t l = 0; l < o->layers; l++) {
        (void)snprintf(layer, sizeof layer, "hidden.%d", (int)l);
        GM_TRY(check_weight(ctx, archive, layer, also, o->hidden[l], below));
        below = o->hidden[l];
    }
    if (o->layers) GM_TRY(check_weight(ctx, archive, "output", also, columns * width, below));
    if (o->direct)
        GM_TRY(check_weight(ctx, archive, "direct", also, columns * width, columns * per));
out:
    return status;
}

static gm_status rebuild(gm_model **out, gm_context *ctx, gm_archive *archive,
                         const gm_autoregressive_parts *parts)
{
    gm_made *made = NULL;
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    int64_t units[GM_MADE_MAX_LAYERS];
    char key[32];
    gm_status status;
    GM_TRY(GM_GET_FIELDS(archive, "made.", stored, &o));
    if (gm_archive_has(archive, "made.connectivity"))
        GM_TRY(gm_model_get_small(archive, "made.connectivity", &o.connectivity));
    for (int32_t l = 0; l < o.layers && l < GM_MADE_MAX_LAYERS; l++) {
        (void)snprintf(key, sizeof key, "made.units.%d", (int)l);
        GM_TRY(gm_archive_get_int(&units[l], archive, key));
    }
    o.hidden = o.layers <= GM_MADE_MAX_LAYERS ? units : NULL;
    o.weight_init = GM_INIT_CONSTANT; /* drawing them would be for nothing */
    o.order = parts->order;
    o.optimizer = parts->optimizer;
    GM_TRY(check_options(ctx, parts->columns, &o));
    GM_TRY(check_weights(ctx, archive, parts->columns, &o));
    status = gm_made_create(&made, ctx, parts->columns, &o);
    *out = gm_made_model(made);
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    return gm_autoregressive_load(out, ctx, archive, optimizer, "made.", 1, rebuild);
}

static const gm_autoregressive entries = {
    .kind = kind_of,
    .width = width_of,
    .any_order = any_order_of,
    .order = order,
    .raw = raw,
    .fill = fill,
};

const gm_family gm_family_made = {
    .name = "made",
    .loss = loss,
    .sample = sample,
    .log_prob = log_prob,
    .save = save,
    .load = load,
    .destroy = destroy,
    .autoregressive = &entries,
    .likelihood = gm_model_exact_likelihood,
};
