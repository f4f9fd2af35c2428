/* dcgan.c - the networks of the deep convolutional GAN: Radford, Metz and Chintala 2016, section 3.
 */
#include "gm/dcgan.h"

#include <math.h>

#include "gm/conv.h"
#include "gm/norm.h"
#include "models/family.h"

#define SMALLEST 4
#define SLOPE 0.2

/* How the side is reached: smallest map, halvings. */
typedef struct plan {
    int64_t m, halvings;
} plan;

static gm_status wrong(gm_context *ctx, const char *option, double value, const char *wanted)
{
    return gm_model_fail(ctx, GM_E_INVALID, "dcgan: %s is %g, expected %s", option, value, wanted);
}

static gm_status read_options(gm_dcgan_options *o, plan *p, gm_context *ctx,
                              const gm_dcgan_options *given)
{
    gm_status status;
    GM_TRY(gm_options_read(ctx, "dcgan", o, sizeof *o, given));
    p->m = o->side;
    for (p->halvings = 0; p->m >= 2 * SMALLEST && p->m % 2 == 0; p->halvings++) p->m /= 2;
    if (o->side < 16 || o->side > 128 || p->m < SMALLEST || p->m >= 2 * SMALLEST)
        GM_TRY(
            wrong(ctx, "side", (double)o->side, "16 to 128, and 4, 5, 6 or 7 times a power of 2,"));
    if (o->channels < 1 || o->channels > 1024)
        GM_TRY(wrong(ctx, "channels", (double)o->channels, "1 to 1024"));
    if (o->width < 1 || o->width > 4096) GM_TRY(wrong(ctx, "width", (double)o->width, "1 to 4096"));
    if (o->latent < 1) GM_TRY(wrong(ctx, "latent", (double)o->latent, "at least 1"));
    if (o->labels < 0 || o->labels > 4096)
        GM_TRY(wrong(ctx, "labels", (double)o->labels, "0 to 4096"));
    if (o->output != GM_ACTIVATION_TANH && o->output != GM_ACTIVATION_SIGMOID)
        GM_TRY(wrong(ctx, "output", o->output, "GM_ACTIVATION_TANH or GM_ACTIVATION_SIGMOID"));
    if (o->discriminator_norm < GM_DCGAN_BATCH_NORM ||
        o->discriminator_norm > GM_DCGAN_SPECTRAL_NORM)
        GM_TRY(wrong(ctx, "discriminator_norm", o->discriminator_norm, "one of GM_DCGAN_*"));
    if (!(o->deviation > 0) || isinf(o->deviation))
        GM_TRY(wrong(ctx, "deviation", o->deviation, "a positive number"));
    if (o->hidden < 0 || o->hidden > 65536)
        GM_TRY(wrong(ctx, "hidden", (double)o->hidden, "0 to 65536"));
out:
    return status;
}

/* Adds a layer that was just made (or not: `made`), under spectral norm if asked, and releases it.
 */
static gm_status add(gm_layer *net, gm_layer *part, gm_status made, int spectral)
{
    gm_layer *wrapped = NULL;
    gm_status status = made;
    if (!status && spectral)
        status = gm_spectral_norm_create(&wrapped, gm_layer_context(net), part, NULL);
    if (!status) status = gm_sequence_add(net, wrapped ? wrapped : part);
    gm_layer_release(wrapped);
    gm_layer_release(part);
    return status;
}

static gm_status add_linear(gm_layer *net, const gm_dcgan_options *o, int64_t in, int64_t out,
                            int bias, int spectral)
{
    gm_linear_options lo = GM_LINEAR_OPTIONS_INIT;
    gm_layer *part = NULL;
    lo.bias = bias;
    lo.weight_init = GM_INIT_NORMAL;
    lo.weight_a = 0;
    lo.weight_b = o->deviation;
    lo.bias_init = GM_INIT_CONSTANT;
    lo.bias_a = 0;
    gm_status made = gm_linear_create(&part, gm_layer_context(net), in, out, &lo);
    return add(net, part, made, spectral);
}

/* Kernel 4, stride 2, padding 1: the side doubles or halves exactly. */
static gm_status add_conv(gm_layer *net, const gm_dcgan_options *o, int up, int64_t in, int64_t out,
                          int bias, int spectral)
{
    gm_conv_options co = GM_CONV_OPTIONS_INIT;
    gm_layer *part = NULL;
    gm_context *ctx = gm_layer_context(net);
    co.stride_h = co.stride_w = 2;
    co.padding_h = co.padding_w = 1;
    co.bias = bias;
    co.weight_init = GM_INIT_NORMAL;
    co.weight_a = 0;
    co.weight_b = o->deviation;
    co.bias_init = GM_INIT_CONSTANT;
    co.bias_a = 0;
    gm_status made = up ? gm_conv_transpose2d_create(&part, ctx, in, out, 4, 4, &co)
                        : gm_conv2d_create(&part, ctx, in, out, 4, 4, &co);
    return add(net, part, made, spectral);
}

static gm_status build_generator(gm_layer *net, const gm_dcgan_options *o, const plan *p)
{
    int64_t maps = o->width << (p->halvings - 1);
    int64_t first[3] = { maps, p->m, p->m }, in = o->latent + o->labels;
    gm_status status;
    if (o->hidden) {
        GM_TRY(add_linear(net, o, in, o->hidden, 0, 0));
        gm_sequence_add_batch_norm(net, o->hidden);
        gm_sequence_add_relu(net);
        in = o->hidden;
    }
    GM_TRY(add_linear(net, o, in, maps * p->m * p->m, 0, 0));
    gm_sequence_add_reshape(net, 3, first);
    gm_sequence_add_batch_norm(net, maps);
    gm_sequence_add_relu(net);
    for (int64_t i = 1; i < p->halvings; i++, maps /= 2) {
        GM_TRY(add_conv(net, o, 1, maps, maps / 2, 0, 0));
        gm_sequence_add_batch_norm(net, maps / 2);
        gm_sequence_add_relu(net);
    }
    GM_TRY(add_conv(net, o, 1, maps, o->channels, 1, 0));
    if (o->output == GM_ACTIVATION_TANH)
        gm_sequence_add_tanh(net);
    else
        gm_sequence_add_sigmoid(net);
    GM_TRY(gm_sequence_status(net));
out:
    return status;
}

static gm_status build_discriminator(gm_layer *net, const gm_dcgan_options *o, const plan *p)
{
    int64_t maps = o->width;
    int batch = o->discriminator_norm == GM_DCGAN_BATCH_NORM;
    int spectral = o->discriminator_norm == GM_DCGAN_SPECTRAL_NORM;
    gm_status status;
    GM_TRY(add_conv(net, o, 0, o->channels + o->labels, maps, 1, spectral));
    gm_sequence_add_leaky_relu(net, SLOPE);
    for (int64_t i = 1; i < p->halvings; i++, maps *= 2) {
        GM_TRY(add_conv(net, o, 0, maps, 2 * maps, !batch, spectral));
        if (batch) gm_sequence_add_batch_norm(net, 2 * maps);
        gm_sequence_add_leaky_relu(net, SLOPE);
    }
    gm_sequence_add_flatten(net);
    int64_t in = maps * p->m * p->m;
    if (o->hidden) {
        GM_TRY(add_linear(net, o, in, o->hidden, !batch, spectral));
        if (batch) gm_sequence_add_batch_norm(net, o->hidden);
        gm_sequence_add_leaky_relu(net, SLOPE);
        in = o->hidden;
    }
    GM_TRY(add_linear(net, o, in, 1, 1, spectral));
    GM_TRY(gm_sequence_status(net));
out:
    return status;
}

gm_status gm_dcgan_generator_create(gm_generator **out, gm_context *ctx,
                                    const gm_dcgan_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "dcgan: context or out is NULL");
    gm_dcgan_options o = GM_DCGAN_OPTIONS_INIT;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_layer *net = NULL;
    plan p;
    gm_status status;
    GM_TRY(read_options(&o, &p, ctx, options));
    GM_TRY(gm_sequence_create(&net, ctx));
    GM_TRY(build_generator(net, &o, &p));
    head.latent = o.latent;
    head.labels = o.labels;
    head.output = GM_OUTPUT_DIRECT;
    GM_TRY(gm_generator_create(out, ctx, net, &head));
out:
    gm_layer_release(net);
    return status;
}

gm_status gm_dcgan_discriminator_create(gm_layer **out, gm_context *ctx,
                                        const gm_dcgan_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_model_fail(ctx, GM_E_INVALID, "dcgan: context or out is NULL");
    gm_dcgan_options o = GM_DCGAN_OPTIONS_INIT;
    gm_layer *net = NULL;
    plan p;
    gm_status status;
    GM_TRY(read_options(&o, &p, ctx, options));
    GM_TRY(gm_sequence_create(&net, ctx));
    GM_TRY(build_discriminator(net, &o, &p));
    *out = net;
    net = NULL;
out:
    gm_layer_release(net);
    return status;
}
