/* nade.c - the neural autoregressive distribution estimator (Larochelle and Murray 2011): the
 * family, and its walk along one order. */
#include <math.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/conditionals.h"
#include "models/autoregressive/nade_net.h"
#include "models/family.h"
#include "models/frozen.h"

#define MOST_ORDERS 4096

struct gm_nade {
    gm_model model; /* first */
    gm_nade_net net;
};

static gm_nade *of(const gm_model *model)
{
    return (gm_nade *)model;
}

static int32_t kind_of(const gm_model *model)
{
    return of(model)->net.kind;
}

static int64_t width_of(const gm_model *model)
{
    return of(model)->net.width;
}

static int32_t any_order(const gm_model *model)
{
    return of(model)->net.agnostic;
}

float *gm_nade_take(gm_nade_net *net, int64_t floats)
{
    float *taken = gm_model_take(net->model, (size_t)floats * sizeof *taken);
    if (!taken)
        (void)gm_model_fail(net->model->ctx, GM_E_NOMEM,
                            "nade: no memory for %lld numbers of a batch", (long long)floats);
    return taken;
}

static gm_status refuse(gm_context *ctx, const char *what, double value, const char *wanted)
{
    return gm_model_fail(ctx, GM_E_INVALID, "nade: %s is %.10g, expected %s", what, value, wanted);
}

static gm_status check_sizes(gm_context *ctx, int64_t columns, const gm_nade_options *o)
{
    if (columns < 1) return refuse(ctx, "columns", (double)columns, "at least 1");
    if (o->hidden < 1) return refuse(ctx, "hidden", (double)o->hidden, "at least 1");
    if (o->kind < GM_CONDITIONAL_BINARY || o->kind > GM_CONDITIONAL_LAPLACE_MIXTURE ||
        o->kind == GM_CONDITIONAL_GAUSSIAN)
        return refuse(ctx, "kind", o->kind,
                      "binary, categorical or a mixture (of one component or more)");
    if (o->kind == GM_CONDITIONAL_CATEGORICAL && (o->classes < 2 || o->classes > 1 << 24))
        return refuse(ctx, "classes", (double)o->classes, "2 to 2^24");
    const int mixture = o->kind > GM_CONDITIONAL_CATEGORICAL;
    if (mixture && (o->components < 1 || o->components > 1 << 20))
        return refuse(ctx, "components", (double)o->components, "1 to 2^20");
    if (mixture && !(o->log_scale_bound > 0 && o->log_scale_bound <= 20))
        return refuse(ctx, "log_scale_bound", o->log_scale_bound, "above 0 and at most 20");
    const int64_t each = mixture                                 ? 3 * o->components
                         : o->kind == GM_CONDITIONAL_CATEGORICAL ? o->classes
                                                                 : 1;
    const int64_t most = 2000000000;
    if (o->hidden > most || columns > most / o->hidden || each > most / (columns * o->hidden) ||
        (o->layers > 1 && o->hidden > most / o->hidden))
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "nade: %lld columns of %lld numbers and %lld hidden units are too many weights",
            (long long)columns, (long long)each, (long long)o->hidden);
    return GM_OK;
}

static gm_status check_options(gm_context *ctx, int64_t columns, const gm_nade_options *o)
{
    gm_status status = check_sizes(ctx, columns, o);
    if (status) return status;
    if (o->activation != GM_ACTIVATION_SIGMOID && o->activation != GM_ACTIVATION_TANH &&
        o->activation != GM_ACTIVATION_RELU)
        return refuse(ctx, "activation", o->activation, "sigmoid, tanh or relu");
    if (o->tied && (o->kind != GM_CONDITIONAL_BINARY || o->order_agnostic))
        return refuse(ctx, "tied", o->tied, "0 unless columns are bits in one order");
    if (o->order_agnostic && o->order)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "nade: order is given, but the model is order-agnostic");
    if (o->order_agnostic && (o->orders < 1 || o->orders > MOST_ORDERS))
        return refuse(ctx, "orders", (double)o->orders, "1 to 4096");
    if (o->layers < 1 || o->layers > (o->order_agnostic ? 2 : 1))
        return refuse(ctx, "layers", o->layers,
                      o->order_agnostic ? "1 or 2" : "1 (2 if order-agnostic)");
    return GM_OK;
}

/* A parameter into *slot and the model's set, uniform in +-range or, for range 0, zero. */
static gm_status add(gm_nade *nade, gm_param **slot, const char *name, int32_t rank,
                     const int64_t *shape, double range)
{
    gm_status status;
    GM_TRY(gm_param_create(slot, nade->model.ctx, name, rank, shape));
    GM_TRY(gm_params_add(nade->model.params, NULL, *slot));
    if (range > 0) GM_TRY(gm_param_init(*slot, GM_INIT_UNIFORM, -range, range, nade->model.rng));
out:
    return status;
}

static gm_status add_weights(gm_nade *nade)
{
    gm_nade_net *net = &nade->net;
    const int64_t size = net->columns, units = net->hidden;
    const int bits = net->kind == GM_CONDITIONAL_BINARY;
    const int64_t flat[2] = { size, units }, classes[3] = { size, net->classes, units },
                  parts[3] = { size, net->width, units }, square[2] = { units, units };
    /* One order: the paper's deviation of 0.01. All orders: Glorot and Bengio 2010. */
    const double range = nade->net.agnostic ? sqrt(6 / (double)(size + units)) : 0.01 * sqrt(3);
    gm_status status;
    GM_TRY(add(nade, &net->w, "w", net->classes ? 3 : 2, net->classes ? classes : flat, range));
    GM_TRY(add(nade, &net->c, "c", 1, &units, 0));
    if (nade->net.agnostic) GM_TRY(add(nade, &net->mask, "mask", 2, flat, range));
    if (net->layers > 1) {
        GM_TRY(add(nade, &net->deep_w, "hidden.w", 2, square, sqrt(3 / (double)units)));
        GM_TRY(add(nade, &net->deep_c, "hidden.c", 1, &units, 0));
    }
    if (nade->net.tied) {
        net->v = net->w;
        gm_param_retain(net->v);
    } else {
        GM_TRY(add(nade, &net->v, "v", bits ? 2 : 3, bits ? flat : parts, range));
    }
    GM_TRY(add(nade, &net->b, "b", bits ? 1 : 2, parts, 0));
out:
    return status;
}

static gm_status build(gm_nade *nade, const gm_nade_options *o, int64_t columns)
{
    gm_model *model = &nade->model;
    gm_nade_net *net = &nade->net;
    gm_status status;
    GM_TRY(gm_model_open(model));
    model->row_size = columns;
    net->model = model;
    net->columns = columns;
    net->kind = o->kind;
    net->activation = o->activation;
    net->layers = o->layers;
    net->hidden = o->hidden;
    net->bound = o->log_scale_bound;
    net->width = o->kind == GM_CONDITIONAL_BINARY ? 1 : 3 * o->components;
    if (o->kind == GM_CONDITIONAL_CATEGORICAL) net->classes = net->width = o->classes;
    nade->net.tied = o->tied != 0;
    nade->net.agnostic = o->order_agnostic != 0;
    GM_TRY(gm_order_set(&nade->net.order, model, o->order));
    if (nade->net.agnostic) GM_TRY(gm_nade_make_orders(net, o->orders));
    GM_TRY(add_weights(nade));
    GM_TRY(gm_model_bind(model, &model->optimizer, o->optimizer, model->params));
out:
    return status;
}

static gm_status create(gm_nade **out, gm_context *ctx, int64_t columns,
                        const gm_nade_options *options, uint64_t seed)
{
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "nade", &o, sizeof o, options);
    if (!status) status = check_options(ctx, columns, &o);
    if (status) return status;
    gm_nade *nade = gm_model_new(ctx, &gm_family_nade, sizeof *nade);
    if (!nade) return GM_E_NOMEM;
    nade->net.seed = seed;
    status = build(nade, &o, columns);
    if (status)
        gm_nade_release(nade);
    else
        *out = nade;
    return status;
}

gm_status gm_nade_create(gm_nade **out, gm_context *ctx, int64_t columns,
                         const gm_nade_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "nade: context or out is NULL");
    return create(out, ctx, columns, options, gm_context_seed(ctx));
}

static void destroy(gm_model *model)
{
    gm_nade *nade = of(model);
    gm_context *ctx = model->ctx;
    gm_param *const all[] = { nade->net.w,    nade->net.c,      nade->net.v,     nade->net.b,
                              nade->net.mask, nade->net.deep_w, nade->net.deep_c };
    gm_context_free(ctx, nade->net.orders,
                    (size_t)(nade->net.order_count * model->row_size) * sizeof *nade->net.orders);
    gm_order_forget(&nade->net.order, model);
    gm_model_close(model);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) gm_param_release(all[i]);
    gm_context_free(ctx, nade, sizeof *nade);
}

void gm_nade_retain(gm_nade *nade)
{
    if (nade) gm_model_retain(&nade->model);
}

void gm_nade_release(gm_nade *nade)
{
    if (nade) gm_model_release(&nade->model);
}

gm_model *gm_nade_model(gm_nade *nade)
{
    return nade ? &nade->model : NULL;
}

gm_nade *gm_nade_from_model(gm_model *model)
{
    return model && model->family == &gm_family_nade ? of(model) : NULL;
}

gm_status gm_nade_init_biases(gm_nade *nade, gm_dataset *data)
{
    if (!nade) return GM_E_INVALID;
    gm_status status = gm_model_check_trains(&nade->model, "init_biases");
    if (!status) status = gm_model_check_unused(&nade->model, "init_biases");
    return status ? status : gm_nade_fit_bias(&nade->net, data);
}

int64_t gm_nade_orders(const gm_nade *nade)
{
    return !nade ? 0 : nade->net.agnostic ? nade->net.order_count : 1;
}

gm_status gm_nade_set_orders(gm_nade *nade, int64_t orders)
{
    if (!nade) return GM_E_INVALID;
    if (!nade->net.agnostic)
        return gm_model_fail(nade->model.ctx, GM_E_UNSUPPORTED, "nade: the model has one order");
    if (orders < 1 || orders > MOST_ORDERS)
        return refuse(nade->model.ctx, "orders", (double)orders, "1 to 4096");
    return gm_nade_make_orders(&nade->net, orders);
}

int64_t gm_nade_hidden(const gm_nade *nade)
{
    return nade ? nade->net.hidden : 0;
}

int32_t gm_nade_order_agnostic(const gm_nade *nade)
{
    return nade ? nade->net.agnostic : 0;
}

/* The weights on a tape. */
typedef struct weights {
    gm_var w, c, v, b;
} weights;

static weights record_weights(const gm_nade_net *net)
{
    gm_tape *tape = net->model->tape;
    weights p = { gm_parameter(tape, net->w), gm_parameter(tape, net->c), GM_NO_VAR,
                  gm_parameter(tape, net->b) };
    p.v = net->v == net->w ? p.w : gm_parameter(tape, net->v);
    return p;
}

/* Rows in the order, and the conditionals of all places. */
static gm_status record(gm_nade *nade, const gm_batch *batch, gm_var *x, gm_var *y)
{
    gm_tape *tape = nade->model.tape;
    const int64_t shape[2] = { batch->count, nade->model.row_size };
    const float *rows;
    gm_status status;
    GM_TRY(gm_order_rows(&nade->net.order, &nade->model, batch->rows, batch->count, &rows));
    const weights p = record_weights(&nade->net);
    *x = gm_input_array(tape, 2, shape, rows);
    *y = gm_nade_conditionals(tape, *x, &(gm_nade_weights){ p.w, p.c, p.v, p.b },
                              nade->net.activation);
    status = gm_tape_status(tape);
out:
    return status;
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_nade *nade = of(model);
    const gm_nade_net *net = &nade->net;
    gm_tape *tape = model->tape;
    gm_var x, y, nll;
    gm_status status;
    GM_TRY(gm_conditional_check(model, "loss", net->kind, net->width, 0, batch->rows, NULL,
                                batch->count));
    if (nade->net.agnostic) {
        GM_TRY(gm_nade_masked_loss(&nade->net, batch, out));
    } else {
        GM_TRY(record(nade, batch, &x, &y));
        if (net->kind == GM_CONDITIONAL_BINARY)
            nll = gm_mean(tape, gm_bce_with_logits(tape, y, x));
        else if (net->kind == GM_CONDITIONAL_CATEGORICAL)
            nll = gm_mean(tape, gm_cross_entropy(tape, y, x));
        else
            nll = gm_scale(tape, gm_sum(tape, gm_nade_log_probs(net, y, x, batch->count)),
                           -1 / (double)batch->count);
        *out = nll;
    }
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *out));
    status = gm_tape_status(tape);
out:
    return status;
}

static gm_status raw(gm_model *model, const gm_batch *batch, float *out)
{
    gm_nade *nade = of(model);
    const int64_t size = model->row_size, width = nade->net.width;
    gm_var x, y;
    gm_status status;
    if (nade->net.agnostic)
        return gm_nade_walk_raw(&nade->net, nade->net.orders, batch->rows, batch->count, out, NULL);
    gm_model_record(model, GM_TAPE_CONSTANT);
    GM_TRY(record(nade, batch, &x, &y));
    const float *from = gm_value(model->tape, y);
    for (int64_t i = 0; i < batch->count; i++)
        for (int64_t k = 0; k < size; k++, from += width)
            memcpy(out + (i * size + gm_order_column(&nade->net.order, k)) * width, from,
                   (size_t)width * sizeof *out);
    gm_nade_bound(&nade->net, out, batch->count * size);
out:
    return status;
}

static gm_status log_prob(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error)
{
    gm_nade_net *net = &of(model)->net;
    if (!net->agnostic) return gm_autoregressive_score(model, batch, how, out, error);
    const gm_status status = gm_conditional_check(model, "log_prob", net->kind, net->width, 0,
                                                  batch->rows, NULL, batch->count);
    return status ? status : gm_nade_mean_log_prob(net, batch, out);
}

/* What the walk of a group of rows needs; each row touches what is its own. */
typedef struct chosen {
    const gm_nade *nade;
    float *rows;
    const uint8_t *known;
    double *log_known;
    const float *u; /* two uniform numbers for each value; NULL: nothing is drawn */
    float *raw;     /* [rows, width] */
} chosen;

static double inside(float u)
{
    return u > 0 ? (double)u : 0x1p-26;
}

static float choose(void *user, int64_t row, int64_t place, const float *conditional)
{
    const chosen *c = user;
    const gm_nade_net *net = &c->nade->net;
    const int64_t at = row * net->columns + gm_order_column(&c->nade->net.order, place);
    float *raw = c->raw + row * net->width;
    const int given = c->known && c->known[at];
    if (!given && !c->u) return 0;
    if (given && !c->log_known) return c->rows[at];
    memcpy(raw, conditional, (size_t)net->width * sizeof *raw);
    gm_nade_bound(net, raw, 1);
    if (given)
        c->log_known[row] +=
            gm_conditional_log_prob(net->kind, net->width, raw, (double)c->rows[at]);
    else
        c->rows[at] = gm_conditional_draw(net->kind, net->width, raw, inside(c->u[2 * at]),
                                          inside(c->u[2 * at + 1]));
    return c->rows[at];
}

static gm_status fill(gm_model *model, float *rows, const float *labels, const uint8_t *known,
                      int64_t count, double *log_known, int draw)
{
    gm_nade *nade = of(model);
    const int64_t size = model->row_size;
    gm_status status = GM_OK;
    (void)labels;
    for (int64_t done = 0, n; (n = gm_model_group(count, done)) > 0; done += n) {
        chosen c = { nade,
                     rows + done * size,
                     known ? known + done * size : NULL,
                     log_known ? log_known + done : NULL,
                     NULL,
                     NULL };
        if (nade->net.agnostic) {
            GM_TRY(gm_nade_walk_fill(&nade->net, nade->net.orders, c.rows, c.known, n, c.log_known,
                                     draw));
            continue;
        }
        const size_t mark = gm_model_mark(model);
        float *scratch = gm_nade_take(&nade->net, n * (2 * size + nade->net.width));
        if (!scratch) return GM_E_NOMEM;
        c.raw = scratch + 2 * n * size;
        if (draw) {
            GM_TRY(gm_rng_uniform(model->rng, 2 * n * size, 0, 1, scratch));
            c.u = scratch;
        }
        gm_model_record(model, GM_TAPE_CONSTANT);
        const weights p = record_weights(&nade->net);
        (void)gm_nade_walk(model->tape, n, &(gm_nade_weights){ p.w, p.c, p.v, p.b },
                           nade->net.activation, choose, &c);
        gm_model_give(model, mark);
        GM_TRY(gm_tape_status(model->tape));
        GM_TRY(gm_model_advance(model, n * size));
    }
out:
    return status;
}

static gm_status order(gm_model *model, int64_t *out)
{
    const gm_nade *nade = of(model);
    for (int64_t k = 0; k < model->row_size; k++)
        out[k] = nade->net.agnostic ? nade->net.orders[k] : gm_order_column(&nade->net.order, k);
    return GM_OK;
}

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    (void)checkpoint;
    return gm_nade_put(&of(model)->net, archive);
}

static gm_status rebuild(gm_model **out, gm_context *ctx, gm_archive *archive,
                         const gm_autoregressive_parts *parts)
{
    gm_nade *nade = NULL;
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    uint64_t seed = 0;
    gm_status status;
    GM_TRY(gm_nade_get(&o, &seed, ctx, archive, parts->columns));
    o.order = parts->order;
    o.optimizer = parts->optimizer;
    status = create(&nade, ctx, parts->columns, &o, seed);
    *out = gm_nade_model(nade);
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    return gm_autoregressive_load(out, ctx, archive, optimizer, "nade.", 1, rebuild);
}

static const gm_autoregressive entries = {
    .kind = kind_of,
    .width = width_of,
    .any_order = any_order,
    .order = order,
    .raw = raw,
    .fill = fill,
};

const gm_family gm_family_nade = {
    .name = "nade",
    .loss = loss,
    .sample = gm_autoregressive_draw,
    .log_prob = log_prob,
    .save = save,
    .load = load,
    .destroy = destroy,
    .autoregressive = &entries,
    .likelihood = gm_model_exact_likelihood,
};
