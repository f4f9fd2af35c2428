/* layers.h - a layer of every kind, for the suites that are for all of them. */
#ifndef GM_TESTS_LAYERS_H
#define GM_TESTS_LAYERS_H

#include "gm/conv.h"
#include "gm/layer.h"
#include "gm/mask.h"
#include "norm_rows.h"
#include "support.h"

#define LARGEST 512 /* floats of an input or an output */

typedef struct row {
    const char *what;
    gm_status (*make)(gm_layer **out, gm_context *context);
    const char *type;
    int32_t rank, out_rank;
    int64_t in[4], out[4];
    int32_t bad_rank; /* an input that does not fit; -1: everything fits */
    int64_t bad[4];
    const char *in_text, *own_text; /* both shapes, as the error line has them */
    int64_t params;
    const char *names[4];
} row;

static gm_status make_linear(gm_layer **out, gm_context *c)
{
    return gm_linear_create(out, c, 4, 3, NULL);
}

static gm_status make_plain_linear(gm_layer **out, gm_context *c)
{
    gm_linear_options o = GM_LINEAR_OPTIONS_INIT;
    o.bias = 0;
    o.weight_init = GM_INIT_ORTHOGONAL;
    return gm_linear_create(out, c, 4, 3, &o);
}

static gm_status make_elu(gm_layer **out, gm_context *c)
{
    return gm_activation_create(out, c, GM_ACTIVATION_ELU, 0.7);
}

static gm_status make_gelu(gm_layer **out, gm_context *c)
{
    return gm_activation_create(out, c, GM_ACTIVATION_GELU, 0.7);
}

static gm_status make_dropout(gm_layer **out, gm_context *c)
{
    return gm_dropout_create(out, c, 0.25);
}

static gm_status make_maxout(gm_layer **out, gm_context *c)
{
    return gm_maxout_create(out, c, 2);
}

static gm_status make_embedding(gm_layer **out, gm_context *c)
{
    return gm_embedding_create(out, c, 5, 2);
}

static gm_status make_reshape(gm_layer **out, gm_context *c)
{
    int64_t shape[2] = { 2, 3 };
    return gm_reshape_create(out, c, 2, shape);
}

static gm_status make_flatten(gm_layer **out, gm_context *c)
{
    return gm_flatten_create(out, c);
}

static gm_status make_empty(gm_layer **out, gm_context *c)
{
    return gm_sequence_create(out, c);
}

static gm_status make_sequence(gm_layer **out, gm_context *c)
{
    gm_layer *inner = NULL;
    gm_status s = gm_sequence_create(out, c);
    if (!s) s = gm_sequence_create(&inner, c);
    if (!s) s = gm_sequence_add_linear(inner, 5, 3);
    if (!s) s = gm_sequence_add_tanh(inner);
    if (!s) s = gm_sequence_add_linear(*out, 4, 5);
    if (!s) s = gm_sequence_add_leaky_relu(*out, 0.2);
    if (!s) s = gm_sequence_add(*out, inner);
    if (!s) s = gm_sequence_add_silu(*out);
    if (!s) s = gm_sequence_add_gelu(*out);
    if (!s) s = gm_sequence_add_dropout(*out, 0.5);
    if (!s) s = gm_sequence_add_sigmoid(*out);
    gm_layer_release(inner);
    return s;
}

static gm_status make_conv(gm_layer **out, gm_context *c)
{
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.stride_h = 2;
    o.padding_w = 1;
    o.dilation_w = 2;
    o.groups = 2;
    return gm_conv2d_create(out, c, 4, 6, 3, 2, &o);
}

static gm_status make_plain_conv(gm_layer **out, gm_context *c)
{
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.bias = 0;
    o.weight_init = GM_INIT_ORTHOGONAL;
    return gm_conv2d_create(out, c, 2, 3, 1, 1, &o);
}

static gm_status make_transpose(gm_layer **out, gm_context *c)
{
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.stride_h = o.stride_w = 2;
    o.padding_h = o.padding_w = 1;
    o.output_padding_w = 1;
    return gm_conv_transpose2d_create(out, c, 3, 2, 4, 4, &o);
}

static gm_status make_max(gm_layer **out, gm_context *c)
{
    return gm_max_pool2d_create(out, c, 3, 2, 1);
}

static gm_status make_avg(gm_layer **out, gm_context *c)
{
    return gm_avg_pool2d_create(out, c, 2, 3, 0);
}

static gm_status make_upsample(gm_layer **out, gm_context *c)
{
    return gm_upsample_nearest_create(out, c, 3);
}

static gm_status make_shuffle(gm_layer **out, gm_context *c)
{
    return gm_pixel_shuffle_create(out, c, 2);
}

static gm_status make_resize(gm_layer **out, gm_context *c)
{
    return gm_resize_create(out, c, 7, 4, GM_RESIZE_BILINEAR);
}

static gm_status make_residual(gm_layer **out, gm_context *c)
{
    gm_layer *inner = NULL;
    gm_status s = gm_sequence_create(&inner, c);
    if (!s) s = gm_sequence_add_linear(inner, 4, 3);
    if (!s) s = gm_sequence_add_tanh(inner);
    if (!s) s = gm_sequence_add_linear(inner, 3, 4);
    if (!s) s = gm_residual_create(out, c, inner);
    gm_layer_release(inner);
    return s;
}

static gm_status make_residual_tanh(gm_layer **out, gm_context *c)
{
    gm_layer *inner = NULL;
    gm_status s = gm_activation_create(&inner, c, GM_ACTIVATION_TANH, 0);
    if (!s) s = gm_residual_create(out, c, inner);
    gm_layer_release(inner);
    return s;
}

/* With state, inside a sequence. */
static gm_status make_residual_images(gm_layer **out, gm_context *c)
{
    gm_layer *inner = NULL;
    gm_status s = gm_sequence_create(&inner, c);
    if (!s) s = gm_sequence_add_conv2d(inner, 4, 4, 3, 1, 1);
    if (!s) s = gm_sequence_add_batch_norm(inner, 4);
    if (!s) s = gm_sequence_create(out, c);
    if (!s) s = gm_sequence_add_residual(*out, inner);
    if (!s) s = gm_sequence_add_relu(*out);
    gm_layer_release(inner);
    return s;
}

static gm_status make_images(gm_layer **out, gm_context *c)
{
    gm_status s = gm_sequence_create(out, c);
    if (!s) s = gm_sequence_add_conv2d(*out, 1, 4, 3, 2, 1);
    if (!s) s = gm_sequence_add_relu(*out);
    if (!s) s = gm_sequence_add_max_pool2d(*out, 2, 1, 0);
    if (!s) s = gm_sequence_add_pixel_shuffle(*out, 2);
    if (!s) s = gm_sequence_add_upsample_nearest(*out, 2);
    if (!s) s = gm_sequence_add_avg_pool2d(*out, 2, 2, 0);
    if (!s) s = gm_sequence_add_conv_transpose2d(*out, 1, 2, 4, 2, 1);
    return s;
}

static gm_status make_masked(gm_layer **out, gm_context *c)
{
    static const float mask[12] = { 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0 };
    return gm_masked_linear_create(out, c, 4, 3, mask, NULL);
}

static gm_status make_masked_conv(gm_layer **out, gm_context *c)
{
    float mask[36];
    gm_conv_options o = GM_CONV_OPTIONS_INIT;
    o.padding_h = o.padding_w = 1;
    gm_status s = gm_mask_conv(c, GM_MASK_B, (int64_t[]){ 2, 2, 3, 3 }, 2, mask);
    return s ? s : gm_masked_conv2d_create(out, c, (int64_t[]){ 2, 2, 3, 3 }, mask, &o);
}

/* clang-format off */
static const row rows[] = {
    NORM_ROWS
    { "linear", make_linear, "linear", 2, 2, { 6, 4 }, { 6, 3 }, 2, { 6, 5 }, "[6, 5]",
      "[3, 4]", 2, { "weight", "bias" } },
    { "linear without bias", make_plain_linear, "linear", 3, 3, { 2, 6, 4 }, { 2, 6, 3 }, 1,
      { 3 }, "[3]", "[3, 4]", 1, { "weight" } },
    { "activation", make_elu, "activation", 2, 2, { 6, 4 }, { 6, 4 }, -1, { 0 }, "", "", 0,
      { 0 } },
    { "gelu", make_gelu, "activation", 2, 2, { 6, 4 }, { 6, 4 }, -1, { 0 }, "", "", 0, { 0 }
      },
    { "dropout", make_dropout, "dropout", 2, 2, { 6, 4 }, { 6, 4 }, -1, { 0 }, "", "", 0, {
      0 } },
    { "maxout", make_maxout, "maxout", 2, 2, { 6, 4 }, { 6, 2 }, 2, { 6, 5 }, "[6, 5]",
      "2 pieces", 0, { 0 } },
    { "embedding", make_embedding, "embedding", 2, 3, { 6, 4 }, { 6, 4, 2 }, -1, { 0 }, "",
      "", 1, { "weight" } },
    { "reshape", make_reshape, "reshape", 2, 3, { 4, 6 }, { 4, 2, 3 }, 2, { 4, 7 },
      "[4, 7]", "[4, 2, 3]", 0, { 0 } },
    { "flatten", make_flatten, "flatten", 3, 2, { 4, 2, 3 }, { 4, 6 }, 0, { 0 }, "[]",
      "batch axis", 0, { 0 } },
    { "empty sequence", make_empty, "sequence", 2, 2, { 6, 4 }, { 6, 4 }, -1, { 0 }, "", "",
      0, { 0 } },
    { "sequence", make_sequence, "sequence", 2, 2, { 6, 4 }, { 6, 3 }, 2, { 6, 3 },
      "[6, 3]", "[5, 4]", 4, { "0.weight", "0.bias", "2.0.weight", "2.0.bias" } },
    { "conv2d", make_conv, "conv2d", 4, 4, { 2, 4, 5, 4 }, { 2, 6, 2, 4 }, 4, { 2, 3, 5, 4
      }, "[2, 3, 5, 4]", "[6, 2, 3, 2]", 2, { "weight", "bias" } },
    { "conv2d without bias", make_plain_conv, "conv2d", 4, 4, { 2, 2, 3, 3 }, { 2, 3, 3, 3
      }, 2, { 6, 4 }, "[6, 4]", "[3, 2, 1, 1]", 1, { "weight" } },
    { "conv_transpose2d", make_transpose, "conv_transpose2d", 4, 4, { 2, 3, 4, 4 }, { 2, 2,
      8, 9 }, 4, { 2, 2, 4, 4 }, "[2, 2, 4, 4]", "[3, 2, 4, 4]", 2, { "weight", "bias" } },
    { "max_pool2d", make_max, "max_pool2d", 4, 4, { 2, 3, 5, 4 }, { 2, 3, 3, 2 }, 2, { 6, 4
      }, "[6, 4]", "rank 4", 0, { 0 } },
    { "avg_pool2d", make_avg, "avg_pool2d", 4, 4, { 2, 3, 5, 4 }, { 2, 3, 2, 1 }, 4, { 2, 3,
      1, 4 }, "input 1", "kernel 2", 0, { 0 } },
    { "upsample_nearest", make_upsample, "upsample_nearest", 4, 4, { 2, 2, 2, 3 }, { 2, 2,
      6, 9 }, 2, { 6, 4 }, "[6, 4]", "rank 4", 0, { 0 } },
    { "pixel_shuffle", make_shuffle, "pixel_shuffle", 4, 4, { 2, 4, 2, 3 }, { 2, 1, 4, 6 },
      4, { 2, 3, 2, 3 }, "[2, 3, 2, 3]", "4 channels", 0, { 0 } },
    { "images", make_images, "sequence", 4, 4, { 2, 1, 7, 5 }, { 2, 2, 12, 8 }, 4, { 2, 2,
      7, 5 }, "[2, 2, 7, 5]", "[4, 1, 3, 3]", 4, { "0.weight", "0.bias", "6.weight",
      "6.bias" } },
    { "masked_linear", make_masked, "masked_linear", 2, 2, { 6, 4 }, { 6, 3 }, 2, { 6, 5 },
      "[6, 5]", "[3, 4]", 2, { "weight", "bias" } },
    { "masked_conv2d", make_masked_conv, "masked_conv2d", 4, 4, { 2, 2, 4, 3 }, { 2, 2, 4, 3
      }, 4, { 2, 3, 4, 3 }, "[2, 3, 4, 3]", "[2, 2, 3, 3]", 2, { "weight", "bias" } },
    { "resize", make_resize, "resize", 4, 4, { 2, 3, 2, 5 }, { 2, 3, 7, 4 }, 2, { 6, 4 },
      "[6, 4]", "rank 4", 0, { 0 } },
    { "residual", make_residual, "residual", 2, 2, { 6, 4 }, { 6, 4 }, 2, { 6, 5 },
      "[6, 5]", "[3, 4]", 4, { "0.0.weight", "0.0.bias", "0.2.weight", "0.2.bias" } },
    { "residual of an activation", make_residual_tanh, "residual", 3, 3, { 2, 3, 4 }, { 2,
      3, 4 }, -1, { 0 }, "", "", 0, { 0 } },
    { "residual images", make_residual_images, "sequence", 4, 4, { 2, 4, 3, 3 }, { 2, 4, 3,
      3 }, 4, { 2, 3, 3, 3 }, "[2, 3, 3, 3]", "[4, 4, 3, 3]", 4, { "0.0.0.weight",
      "0.0.0.bias", "0.0.1.gamma", "0.0.1.beta" } },
};
/* clang-format on */
#define ROWS ((int)(sizeof rows / sizeof *rows))

#endif
