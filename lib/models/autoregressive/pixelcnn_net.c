/* pixelcnn_net.c - the networks of PixelCNN: which layers there are, and how an image, or a pixel,
 * goes through them. */
#include <stdio.h>
#include <string.h>

#include "gm/conv.h"
#include "gm/ops.h"
#include "models/autoregressive/pixelcnn_net.h"
#include "models/family.h"

/* Layers of a block, in the order in which they are listed. */
enum { IN, CONV, OUT, PLAIN };
enum { VERTICAL, ACROSS, HORIZONTAL, LAST, GATED };

static int64_t begin_of(const gm_pixelcnn_options *o)
{
    return o->gated ? 2 : 1;
}

static int64_t each_of(const gm_pixelcnn_options *o)
{
    return o->gated ? GATED : PLAIN;
}

int64_t gm_pixelcnn_layers(const gm_pixelcnn_options *o)
{
    return begin_of(o) + o->blocks * each_of(o) + 2;
}

static void set(gm_pixel_layer *l, const char *name, const gm_pixel_taps *taps, int64_t in,
                int64_t out)
{
    (void)snprintf(l->name, sizeof l->name, "%s", name);
    l->taps = taps;
    l->in = in;
    l->out = out;
}

void gm_pixelcnn_describe(const gm_pixelcnn_options *o, int64_t i, gm_pixel_layer *l,
                          gm_pixelcnn *net)
{
    const int64_t begin = begin_of(o), each = each_of(o), h = o->hidden,
                  wide = o->gated ? h : 2 * h;
    const int64_t block = (i - begin) / each, part = (i - begin) % each;
    static const char *const plain_name[PLAIN] = { "in", "conv", "out" };
    static const char *const gated_name[GATED] = { "vertical", "across", "horizontal", "out" };
    const gm_pixel_taps *const plain_taps[PLAIN] = { &net->one, &net->inner, &net->one };
    const gm_pixel_taps *const gated_taps[GATED] = { &net->vertical, &net->one, &net->horizontal,
                                                     &net->one };
    const int64_t plain_size[PLAIN][2] = { { 2 * h, h }, { h, h }, { h, 2 * h } };
    const int64_t gated_size[GATED][2] = { { h, 2 * h }, { 2 * h, 2 * h }, { h, 2 * h }, { h, h } };
    const int64_t end = gm_pixelcnn_layers(o);
    memset(l, 0, sizeof *l);
    if (i == end - 1) {
        set(l, "logits", &net->one, o->head, o->classes == 2 ? 1 : o->classes);
    } else if (i == end - 2) {
        set(l, "head", &net->one, wide, o->head);
    } else if (i < begin) {
        set(l,
            !o->gated ? "first"
            : i       ? "horizontal"
                      : "vertical",
            !o->gated ? &net->first
            : i       ? &net->left
                      : &net->above,
            1, wide);
    } else {
        const int64_t *size = o->gated ? gated_size[part] : plain_size[part];
        set(l, "", o->gated ? gated_taps[part] : plain_taps[part], size[0], size[1]);
        (void)snprintf(l->name, sizeof l->name, "block%lld.%s", (long long)block,
                       o->gated ? gated_name[part] : plain_name[part]);
    }
}

/* Rows `top` to `bottom`, columns `left` to `right`; in the last row only up to `end`. */
static void box(gm_pixel_taps *t, int64_t top, int64_t bottom, int64_t left, int64_t right,
                int64_t end)
{
    t->count = 0;
    for (int64_t i = top; i <= bottom; i++)
        for (int64_t j = left; j <= (i == bottom ? end : right); j++) {
            t->at[2 * t->count] = i;
            t->at[2 * t->count++ + 1] = j;
        }
}

void gm_pixelcnn_fill_taps(gm_pixelcnn *net)
{
    const int64_t a = net->o.first_kernel / 2, b = net->o.kernel / 2;
    box(&net->one, 0, 0, 0, 0, 0);
    box(&net->first, -a, 0, -a, a, -1);
    box(&net->inner, -b, 0, -b, b, 0);
    box(&net->above, -a, -1, -a, a, a);
    box(&net->left, 0, 0, -a, a, -1);
    box(&net->vertical, -b, 0, -b, b, b);
    box(&net->horizontal, 0, 0, -b, b, 0);
}

/* b, or b + the label's row of the table: [out] or [n, out]. */
static gm_var bias_of(const gm_pixel_look *look, const gm_pixel_layer *l)
{
    gm_tape *tape = look->tape;
    gm_var bias = gm_parameter(tape, l->bias);
    if (!l->label) return bias;
    return gm_add(tape, gm_gather(tape, gm_parameter(tape, l->label), look->labels), bias);
}

/* What is new of a layer's input goes into its cache. */
static void keep(const gm_pixel_look *look, const gm_pixel_layer *l, const float *x)
{
    const gm_pixelcnn *net = look->net;
    const int64_t run = look->length * l->in;
    for (int64_t n = 0; n < look->n; n++)
        memcpy(l->cache + (((n * net->height + look->row) * net->width) + look->column) * l->in,
               x + n * run, (size_t)run * sizeof *x);
}

/* The inputs under the taps of each new pixel, side by side: [n, 1, length, taps in]. Beyond the
 * edges they are zero. */
static gm_var patches(const gm_pixel_look *look, const gm_pixel_layer *l)
{
    const gm_pixelcnn *net = look->net;
    const int64_t shape[4] = { look->n, 1, look->length, l->taps->count * l->in };
    float *to = net->patch;
    for (int64_t n = 0; n < look->n; n++)
        for (int64_t j = look->column; j < look->column + look->length; j++)
            for (int64_t t = 0; t < l->taps->count; t++, to += l->in) {
                const int64_t r = look->row + l->taps->at[2 * t], c = j + l->taps->at[2 * t + 1];
                if (r < 0 || r >= net->height || c < 0 || c >= net->width)
                    memset(to, 0, (size_t)l->in * sizeof *to);
                else
                    memcpy(to, l->cache + ((n * net->height + r) * net->width + c) * l->in,
                           (size_t)l->in * sizeof *to);
            }
    return gm_input_copy(look->tape, 4, shape, net->patch);
}

/* Layer i: act(W * f(x) + b) + skip, f = relu or nothing. x GM_NO_VAR: it is in the cache already.
 */
static gm_var convolve(const gm_pixel_look *look, int64_t i, gm_var x, gm_var skip, int relu,
                       int32_t act)
{
    const gm_pixelcnn *net = look->net;
    const gm_pixel_layer *l = &net->layer[i];
    gm_tape *tape = look->tape;
    const int64_t flat[3] = { 1, l->taps->count * l->in, l->out };
    const gm_pixel_taps *taps = l->taps;
    gm_var weight = gm_parameter(tape, l->weight), bias = bias_of(look, l);
    if (gm_tape_status(tape)) return GM_NO_VAR;
    if (!look->whole && l->cache) {
        if (x.recording) keep(look, l, gm_value(tape, x));
        x = patches(look, l);
        weight = gm_reshape(tape, weight, 3, flat);
        taps = &net->one;
    }
    return gm_conv2d_taps(
        tape, x, weight, bias, skip,
        &(gm_taps_options){ sizeof(gm_taps_options), taps->at, taps->count, relu, act, 0 });
}

static gm_var plain(const gm_pixel_look *look, gm_var x)
{
    const gm_pixelcnn_options *o = &look->net->o;
    x = convolve(look, 0, x, GM_NO_VAR, 0, GM_ACTIVATION_NONE);
    for (int64_t b = 0; b < o->blocks; b++) {
        const int64_t at = begin_of(o) + b * PLAIN;
        gm_var h = convolve(look, at + IN, x, GM_NO_VAR, 1, GM_ACTIVATION_RELU);
        h = convolve(look, at + CONV, h, GM_NO_VAR, 0, GM_ACTIVATION_RELU);
        x = convolve(look, at + OUT, h, x, 0, GM_ACTIVATION_NONE);
    }
    return x;
}

/* What the vertical stack gives each block, before its gate, into net->saw. */
static void vertical(const gm_pixel_look *look, gm_var x)
{
    const gm_pixelcnn *net = look->net;
    gm_var v = convolve(look, 0, x, GM_NO_VAR, 0, GM_ACTIVATION_NONE);
    for (int64_t b = 0; b < net->o.blocks; b++) {
        net->saw[b] = convolve(look, 2 + b * GATED + VERTICAL, v, GM_NO_VAR, 0, GM_ACTIVATION_NONE);
        if (b < net->o.blocks - 1) v = gm_gate(look->tape, net->saw[b]);
    }
}

static float *across_of(const gm_pixelcnn *net, int64_t block)
{
    return net->across + block * net->room * net->width * 2 * net->o.hidden;
}

void gm_pixelcnn_look_above(gm_pixel_look *look)
{
    const gm_pixelcnn *net = look->net;
    const int64_t floats = look->n * net->width * 2 * net->o.hidden;
    vertical(look, GM_NO_VAR);
    for (int64_t b = 0; b < net->o.blocks; b++)
        if (!gm_tape_status(look->tape))
            memcpy(across_of(net, b), gm_value(look->tape, net->saw[b]),
                   (size_t)floats * sizeof(float));
}

/* The vertical stack's part for block b: recorded, or of the present pixel out of the row's. */
static gm_var seen(const gm_pixel_look *look, int64_t b)
{
    const gm_pixelcnn *net = look->net;
    const int64_t wide = 2 * net->o.hidden, shape[4] = { look->n, 1, 1, wide };
    if (look->whole) return net->saw[b];
    for (int64_t n = 0; n < look->n; n++)
        memcpy(net->patch + n * wide, across_of(net, b) + (n * net->width + look->column) * wide,
               (size_t)wide * sizeof(float));
    return gm_input_copy(look->tape, 4, shape, net->patch);
}

static gm_var gated(const gm_pixel_look *look, gm_var x)
{
    const gm_pixelcnn *net = look->net;
    if (look->whole) vertical(look, x);
    gm_var h = convolve(look, 1, x, GM_NO_VAR, 0, GM_ACTIVATION_NONE);
    for (int64_t b = 0; b < net->o.blocks; b++) {
        const int64_t at = 2 + b * GATED;
        gm_var a = convolve(look, at + ACROSS, seen(look, b), GM_NO_VAR, 0, GM_ACTIVATION_NONE);
        a = convolve(look, at + HORIZONTAL, h, a, 0, GM_ACTIVATION_NONE);
        a = gm_gate(look->tape, a);
        h = convolve(look, at + LAST, a, h, 0, GM_ACTIVATION_NONE);
    }
    return h;
}

gm_var gm_pixelcnn_logits(gm_pixel_look *look, gm_var x)
{
    const int64_t last = look->net->layers - 1;
    x = look->net->o.gated ? gated(look, x) : plain(look, x);
    x = convolve(look, last - 1, x, GM_NO_VAR, 1, GM_ACTIVATION_RELU);
    return convolve(look, last, x, GM_NO_VAR, 0, GM_ACTIVATION_NONE);
}
