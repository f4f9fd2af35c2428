/* pixelcnn.c - PixelCNN as a model: its options, likelihood, walk over the pixels, and file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/ops.h"
#include "models/autoregressive/conditionals.h"
#include "models/autoregressive/pixelcnn_net.h"
#include "models/fields.h"
#include "models/row_reader.h"

#define WALK_BYTES ((int64_t)32 << 20)  /* of activations that drawing keeps */
#define SCORE_BYTES ((int64_t)64 << 20) /* of what scoring records at a time */

static gm_pixelcnn *of(const gm_model *model)
{
    return (gm_pixelcnn *)model;
}

static int32_t kind_of(const gm_model *model)
{
    return of(model)->o.classes == 2 ? GM_CONDITIONAL_BINARY : GM_CONDITIONAL_CATEGORICAL;
}

static int64_t outputs_of(const gm_pixelcnn_options *o)
{
    return o->classes == 2 ? 1 : o->classes;
}

static int64_t width_of(const gm_model *model)
{
    return outputs_of(&of(model)->o);
}

static gm_status wrong(gm_context *ctx, const char *what, int64_t value, const char *wanted)
{
    return gm_model_fail(ctx, GM_E_INVALID, "pixelcnn: %s is %lld, expected %s", what,
                         (long long)value, wanted);
}

static int odd(int64_t kernel)
{
    return kernel >= 3 && kernel <= 15 && kernel % 2;
}

static gm_status check(gm_context *ctx, int64_t height, int64_t width, const gm_pixelcnn_options *o)
{
    if (height < 1 || height > 1024) return wrong(ctx, "height", height, "1 to 1024");
    if (width < 1 || width > 1024) return wrong(ctx, "width", width, "1 to 1024");
    if (o->gated != 0 && o->gated != 1) return wrong(ctx, "gated", o->gated, "0 or 1");
    if (o->classes < 2 || o->classes > 65536)
        return wrong(ctx, "classes", o->classes, "2 to 65536");
    if (o->labels < 0 || o->labels > 65536) return wrong(ctx, "labels", o->labels, "0 to 65536");
    if (o->hidden < 1 || o->hidden > 4096) return wrong(ctx, "hidden", o->hidden, "1 to 4096");
    if (o->blocks < 0 || o->blocks > 1000) return wrong(ctx, "blocks", o->blocks, "0 to 1000");
    if (!odd(o->first_kernel))
        return wrong(ctx, "first_kernel", o->first_kernel, "an odd number from 3 to 15");
    if (!odd(o->kernel)) return wrong(ctx, "kernel", o->kernel, "an odd number from 3 to 15");
    if (o->head < 1 || o->head > 65536) return wrong(ctx, "head", o->head, "1 to 65536");
    return GM_OK;
}

/* A parameter of layer l, into *slot and the model's set. */
static gm_status add(gm_pixelcnn *net, const gm_pixel_layer *l, gm_param **slot, const char *what,
                     int32_t rank, const int64_t *shape)
{
    char prefix[40];
    gm_status status;
    (void)snprintf(prefix, sizeof prefix, "%s.", l->name);
    GM_TRY(gm_param_create(slot, net->model.ctx, what, rank, shape));
    GM_TRY(gm_params_add(net->model.params, prefix, *slot));
out:
    return status;
}

/* Half the width of a layer's uniform weights. Inside they keep the variance of what passes the
 * ReLU before them (He et al. 2015); the blocks' last layers share it out, so that depth does not
 * add up; the gated network's stay at 1/sqrt(fan in), as the logits do. */
static double bound_of(const gm_pixelcnn *net, const gm_pixel_layer *l)
{
    const double fan = (double)l->taps->count * (double)l->in;
    if (net->o.gated || l == &net->layer[net->layers - 1]) return 1 / sqrt(fan);
    if (l == net->layer) return sqrt(3 / fan);
    return strstr(l->name, ".out") ? sqrt(6 / fan / (double)net->o.blocks) : sqrt(6 / fan);
}

/* Biases, and what a label adds to them, start at zero. */
static gm_status add_layer(gm_pixelcnn *net, gm_pixel_layer *l)
{
    const int64_t weight[3] = { l->taps->count, l->in, l->out },
                  label[2] = { net->o.labels, l->out };
    const double bound = bound_of(net, l);
    gm_status status;
    GM_TRY(add(net, l, &l->weight, "weight", 3, weight));
    GM_TRY(add(net, l, &l->bias, "bias", 1, &l->out));
    GM_TRY(gm_param_init(l->weight, GM_INIT_UNIFORM, -bound, bound, NULL));
    if (net->o.labels) GM_TRY(add(net, l, &l->label, "label", 2, label));
out:
    return status;
}

static gm_status build(gm_pixelcnn *net)
{
    gm_model *model = &net->model;
    const size_t layers = (size_t)gm_pixelcnn_layers(&net->o), blocks = (size_t)net->o.blocks + 1;
    gm_status status;
    GM_TRY(gm_model_open(model));
    model->row_size = net->height * net->width;
    gm_model_shape_rows(model, 3, (const int64_t[]){ 1, net->height, net->width });
    model->classes = net->o.labels;
    net->layer = gm_model_allocate(model->ctx, layers * sizeof *net->layer);
    net->saw = gm_model_allocate(model->ctx, blocks * sizeof *net->saw);
    if (!net->layer || !net->saw)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "pixelcnn: no memory for %lld layers",
                             (long long)layers));
    net->layers = (int64_t)layers;
    for (int64_t i = 0; i < net->layers; i++) {
        gm_pixelcnn_describe(&net->o, i, &net->layer[i], net);
        GM_TRY(add_layer(net, &net->layer[i]));
    }
    GM_TRY(gm_model_bind(model, &model->optimizer, net->o.optimizer, model->params));
    net->o.optimizer = NULL; /* the model's own slot has it */
out:
    return status;
}

gm_status gm_pixelcnn_create(gm_pixelcnn **out, gm_context *ctx, int64_t height, int64_t width,
                             const gm_pixelcnn_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "pixelcnn: context or out is NULL");
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "pixelcnn", &o, sizeof o, options);
    if (!status) status = check(ctx, height, width, &o);
    if (status) return status;
    gm_pixelcnn *net = gm_model_new(ctx, &gm_family_pixelcnn, sizeof *net);
    if (!net) return GM_E_NOMEM;
    net->o = o;
    net->height = height;
    net->width = width;
    gm_pixelcnn_fill_taps(net);
    status = build(net);
    if (status)
        gm_pixelcnn_release(net);
    else
        *out = net;
    return status;
}

static void destroy(gm_model *model)
{
    gm_pixelcnn *net = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    for (int64_t i = 0; i < net->layers; i++) {
        gm_param_release(net->layer[i].weight);
        gm_param_release(net->layer[i].bias);
        gm_param_release(net->layer[i].label);
    }
    gm_context_free(ctx, net->saw, ((size_t)net->o.blocks + 1) * sizeof *net->saw);
    gm_context_free(ctx, net->layer, (size_t)gm_pixelcnn_layers(&net->o) * sizeof *net->layer);
    gm_context_free(ctx, net, sizeof *net);
}

void gm_pixelcnn_retain(gm_pixelcnn *net)
{
    if (net) gm_model_retain(&net->model);
}

void gm_pixelcnn_release(gm_pixelcnn *net)
{
    if (net) gm_model_release(&net->model);
}

gm_model *gm_pixelcnn_model(gm_pixelcnn *net)
{
    return net ? &net->model : NULL;
}

gm_pixelcnn *gm_pixelcnn_from_model(gm_model *model)
{
    return model && model->family == &gm_family_pixelcnn ? of(model) : NULL;
}

int64_t gm_pixelcnn_height(const gm_pixelcnn *net)
{
    return net ? net->height : 0;
}

int64_t gm_pixelcnn_width(const gm_pixelcnn *net)
{
    return net ? net->width : 0;
}

/* Values as they enter the network: 0 .. K - 1 to 0 .. 1. */
static double scale_of(const gm_pixelcnn *net)
{
    return 1 / (double)(net->o.classes - 1);
}

/* Logits [n, height, width, K] of x [n, height * width]. */
static gm_var record(gm_tape *tape, gm_pixelcnn *net, gm_var x, gm_var labels, int64_t n)
{
    const int64_t image[4] = { n, net->height, net->width, 1 };
    gm_pixel_look look = { net, tape, labels, n, 1, 0, 0, 0 };
    if (net->o.classes > 2) x = gm_scale(tape, x, scale_of(net));
    return gm_pixelcnn_logits(&look, gm_reshape(tape, x, 4, image));
}

gm_var gm_pixelcnn_apply(gm_tape *tape, gm_pixelcnn *net, gm_var x, gm_var labels)
{
    if (!net) return gm_tape_fail(tape, GM_E_INVALID, "pixelcnn: net is NULL");
    if (!tape || gm_tape_status(tape)) return GM_NO_VAR;
    if (!labels.recording != !net->o.labels)
        return gm_tape_fail(tape, GM_E_INVALID,
                            net->o.labels ? "pixelcnn: it is conditional, and no labels are given"
                                          : "pixelcnn: it takes no labels, but some are given");
    const int32_t rank = gm_rank(tape, x);
    if (rank < 0) return gm_tape_fail(tape, GM_E_STALE, "pixelcnn: x is of another recording");
    const int64_t n = rank ? gm_shape(tape, x)[0] : 0;
    if (rank != 2 || gm_shape(tape, x)[1] != net->model.row_size ||
        (labels.recording && gm_count(tape, labels) != n))
        return gm_tape_fail(
            tape, GM_E_SHAPE,
            "pixelcnn: x or labels have another shape, expected [n, height * width] and [n]");
    const int64_t flat[3] = { n, net->height, net->width };
    gm_var logits = record(tape, net, x, labels, n);
    return net->o.classes == 2 ? gm_reshape(tape, logits, 3, flat) : logits;
}

/* The logits of a batch, [n, pixels] or [n, pixels, K]; its rows into *x. */
static gm_var record_batch(gm_pixelcnn *net, const gm_batch *batch, gm_var *x)
{
    gm_tape *tape = net->model.tape;
    const int64_t flat[3] = { batch->count, net->model.row_size, net->o.classes };
    *x = gm_input_array(tape, 2, flat, batch->rows);
    gm_var labels = gm_model_label_var(tape, batch->labels, batch->count);
    return gm_reshape(tape, record(tape, net, *x, labels, batch->count),
                      net->o.classes == 2 ? 2 : 3, flat);
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_pixelcnn *net = of(model);
    gm_tape *tape = model->tape;
    gm_var x;
    gm_status status;
    GM_TRY(gm_conditional_check(model, "loss", kind_of(model), width_of(model), 0, batch->rows,
                                NULL, batch->count));
    gm_var logits = record_batch(net, batch, &x);
    *out = gm_mean(tape, net->o.classes == 2 ? gm_bce_with_logits(tape, logits, x)
                                             : gm_cross_entropy(tape, logits, x));
    gm_metrics_add(metrics, "loss", gm_scalar(tape, *out));
    status = gm_tape_status(tape);
out:
    return status;
}

/* Floats that one image's activations take: of all layers. */
static int64_t floats_of(const gm_pixelcnn *net)
{
    int64_t channels = 2;
    for (int64_t i = 0; i < net->layers; i++)
        channels += net->layer[i].out * (net->o.gated ? 3 : 1);
    return channels * net->model.row_size;
}

static int64_t images_in(int64_t bytes, int64_t floats, int64_t count)
{
    const int64_t fit = bytes / (int64_t)sizeof(float) / floats;
    return fit < 1 ? 1 : fit < count ? fit : count;
}

static gm_status raw(gm_model *model, const gm_batch *batch, float *out)
{
    gm_pixelcnn *net = of(model);
    const int64_t each = model->row_size * width_of(model);
    const int64_t group = images_in(SCORE_BYTES, floats_of(net), batch->count);
    gm_status status = GM_OK;
    for (int64_t done = 0; done < batch->count;) {
        const int64_t n = batch->count - done < group ? batch->count - done : group;
        const gm_batch part = { .rows = batch->rows + done * model->row_size,
                                .labels = batch->labels ? batch->labels + done : NULL,
                                .count = n };
        gm_var x;
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var logits = record_batch(net, &part, &x);
        GM_TRY(gm_read(model->tape, logits, n * each, out + done * each));
        done += n;
    }
out:
    return status;
}

/* Does the walk keep this layer's input? 1 x 1 convolutions look at the new pixel only. */
static int keeps(const gm_pixelcnn *net, const gm_pixel_layer *l)
{
    return l->taps != &net->one;
}

/* Memory for a walk over `n` images, cut out of one piece: the caches, the image (which the first
 * layers share), the vertical stack's row, patches. base NULL: only counts the floats. */
static int64_t carve(gm_pixelcnn *net, int64_t n, float *base)
{
    int64_t used = n * net->model.row_size, patch = 2 * net->o.hidden;
    net->image = base;
    for (int64_t i = 0; i < net->layers; i++) {
        gm_pixel_layer *l = &net->layer[i];
        if (!keeps(net, l)) continue;
        const int64_t length = l->taps == &net->above || l->taps == &net->vertical ? net->width : 1;
        const int64_t wide = length * l->taps->count * l->in;
        if (wide > patch) patch = wide;
        l->cache = base;
        if (l->in == 1 && i < (net->o.gated ? 2 : 1)) continue; /* the image itself */
        l->cache = base ? base + used : NULL;
        used += n * net->model.row_size * l->in;
    }
    net->across = base ? base + used : NULL;
    if (net->o.gated) used += net->o.blocks * n * net->width * 2 * net->o.hidden;
    net->patch = base ? base + used : NULL;
    return used + n * patch;
}

/* The walk is over `room` images in this memory: at first, and after a callback of the host's, in
 * which the model may have walked over others. */
static void enter_room(gm_pixelcnn *net, int64_t room, float *base)
{
    net->room = room;
    (void)carve(net, room, base);
}

/* Room to walk, given back by who walks. */
static gm_status take_room(gm_pixelcnn *net, int64_t count, float **base)
{
    gm_model *model = &net->model;
    const int64_t each = carve(net, 1, NULL), n = images_in(WALK_BYTES, each, count);
    *base = gm_model_take(model, (size_t)(n * each) * sizeof **base);
    if (!*base)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "pixelcnn: no memory to walk over %lld images",
                             (long long)n);
    enter_room(net, n, *base);
    return GM_OK;
}

/* One pixel of n images: its conditional; known values count, others are drawn. */
static gm_status walk_pixel(gm_pixelcnn *net, gm_pixel_look *look, const float *labels, float *rows,
                            const uint8_t *known, double *log_known)
{
    gm_model *model = &net->model;
    const int64_t size = model->row_size, width = width_of(model), n = look->n;
    const int64_t pixel = look->row * net->width + look->column;
    const float scale = (float)scale_of(net);
    gm_status status;
    if (net->o.gated && look->column == 0) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        look->labels = gm_model_label_var(model->tape, labels, n);
        look->length = net->width;
        gm_pixelcnn_look_above(look);
        GM_TRY(gm_tape_status(model->tape));
    }
    gm_model_record(model, GM_TAPE_CONSTANT);
    look->labels = gm_model_label_var(model->tape, labels, n);
    look->length = 1;
    gm_var logits = gm_pixelcnn_logits(look, GM_NO_VAR);
    GM_TRY(gm_tape_status(model->tape));
    const float *value = gm_value(model->tape, logits);
    for (int64_t i = 0; i < n; i++) {
        float *x = rows + i * size + pixel;
        const float *conditional = value + i * width;
        if (!known || !known[i * size + pixel])
            *x = gm_conditional_next(model->rng, kind_of(model), width, conditional);
        else if (log_known)
            log_known[i] += gm_conditional_log_prob(kind_of(model), width, conditional, (double)*x);
        net->image[i * size + pixel] = *x * scale;
    }
out:
    return status;
}

/* Without draws the walk ends where nothing is known any more. */
static int any_known(const uint8_t *known, int64_t n, int64_t size, int64_t pixel)
{
    for (int64_t i = 0; i < n; i++)
        if (known && known[i * size + pixel]) return 1;
    return 0;
}

static gm_status fill(gm_model *model, float *rows, const float *labels, const uint8_t *known,
                      int64_t count, double *log_known, int draw)
{
    gm_pixelcnn *net = of(model);
    const int64_t size = model->row_size;
    const size_t mark = gm_model_mark(model);
    float *base = NULL;
    gm_status status;
    GM_TRY(take_room(net, count, &base));
    const int64_t room = net->room;
    for (int64_t done = 0; done < count;) {
        const int64_t n = count - done < room ? count - done : room;
        const uint8_t *given = known ? known + done * size : NULL;
        gm_pixel_look look = { net, model->tape, GM_NO_VAR, n, 0, 0, 0, 1 };
        for (int64_t pixel = 0; pixel < size; pixel++) {
            if (!draw && !any_known(given, n, size, pixel)) break;
            look.row = pixel / net->width;
            look.column = pixel % net->width;
            GM_TRY(walk_pixel(net, &look, labels ? labels + done : NULL, rows + done * size, given,
                              log_known ? log_known + done : NULL));
            GM_TRY(gm_model_advance(model, n));
            enter_room(net, room, base);
        }
        done += n;
    }
out:
    gm_model_give(model, mark);
    return status;
}

static gm_status order(gm_model *model, int64_t *out)
{
    for (int64_t k = 0; k < model->row_size; k++) out[k] = k;
    return GM_OK;
}

static const gm_model_field stored[] = {
    GM_FIELD(gm_pixelcnn_options, gated),  GM_FIELD(gm_pixelcnn_options, classes),
    GM_FIELD(gm_pixelcnn_options, labels), GM_FIELD(gm_pixelcnn_options, hidden),
    GM_FIELD(gm_pixelcnn_options, blocks), GM_FIELD(gm_pixelcnn_options, first_kernel),
    GM_FIELD(gm_pixelcnn_options, kernel), GM_FIELD(gm_pixelcnn_options, head),
};

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    (void)checkpoint;
    gm_pixelcnn *net = of(model);
    gm_status status;
    GM_TRY(gm_archive_set_int(archive, "pixelcnn.height", net->height));
    GM_TRY(gm_archive_set_int(archive, "pixelcnn.width", net->width));
    GM_TRY(GM_PUT_FIELDS(archive, "pixelcnn.", stored, &net->o));
    GM_TRY(gm_archive_put_params(archive, "pixelcnn.", model->params));
out:
    return status;
}

/* Has the file the weights of the layers that it speaks of? Before memory is taken for them. */
static gm_status check_file(gm_context *ctx, gm_archive *archive, int64_t height, int64_t width,
                            const gm_pixelcnn_options *o)
{
    gm_pixelcnn net;
    gm_status status;
    memset(&net, 0, sizeof net);
    net.o = *o;
    GM_TRY(check(ctx, height, width, o));
    gm_pixelcnn_fill_taps(&net);
    for (int64_t i = 0; i < gm_pixelcnn_layers(o); i++) {
        char name[64];
        int32_t rank;
        int64_t shape[GM_MAX_RANK];
        gm_pixel_layer l;
        gm_pixelcnn_describe(o, i, &l, &net);
        (void)snprintf(name, sizeof name, "pixelcnn.%s.weight", l.name);
        GM_TRY(gm_archive_get(&rank, NULL, archive, name, shape));
        if (rank != 3 || shape[0] != l.taps->count || shape[1] != l.in || shape[2] != l.out)
            GM_TRY(gm_model_fail(ctx, GM_E_SHAPE,
                                 "load: %s does not fit, expected [%lld, %lld, %lld]", name,
                                 (long long)l.taps->count, (long long)l.in, (long long)l.out));
    }
out:
    return status;
}

static gm_status rebuild(gm_model **out, gm_context *ctx, gm_archive *archive,
                         const gm_autoregressive_parts *parts)
{
    gm_pixelcnn *net = NULL;
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    int64_t height, width;
    gm_status status;
    GM_TRY(gm_archive_get_int(&height, archive, "pixelcnn.height"));
    GM_TRY(gm_archive_get_int(&width, archive, "pixelcnn.width"));
    GM_TRY(GM_GET_FIELDS(archive, "pixelcnn.", stored, &o));
    GM_TRY(check_file(ctx, archive, height, width, &o));
    o.optimizer = parts->optimizer;
    status = gm_pixelcnn_create(&net, ctx, height, width, &o);
    *out = gm_pixelcnn_model(net);
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    return gm_autoregressive_load(out, ctx, archive, optimizer, "pixelcnn.", 0, rebuild);
}

static const gm_autoregressive entries = {
    .kind = kind_of,
    .width = width_of,
    .order = order,
    .raw = raw,
    .fill = fill,
};

const gm_family gm_family_pixelcnn = {
    .name = "pixelcnn",
    .loss = loss,
    .sample = gm_autoregressive_draw,
    .log_prob = gm_autoregressive_score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .autoregressive = &entries,
    .likelihood = gm_model_exact_likelihood,
};
