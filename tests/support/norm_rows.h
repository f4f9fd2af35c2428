/* norm_rows.h - the normalising layers in the list of layers.h. */
#ifndef GM_TESTS_NORM_ROWS_H
#define GM_TESTS_NORM_ROWS_H

#include "gm/norm.h"

static gm_status make_batch_norm(gm_layer **out, gm_context *c)
{
    return gm_batch_norm_create(out, c, 4, NULL);
}

static gm_status make_plain_batch_norm(gm_layer **out, gm_context *c)
{
    gm_batch_norm_options o = GM_BATCH_NORM_OPTIONS_INIT;
    o.affine = 0;
    return gm_batch_norm_create(out, c, 3, &o);
}

static gm_status make_layer_norm(gm_layer **out, gm_context *c)
{
    int64_t shape[2] = { 3, 4 };
    return gm_layer_norm_create(out, c, 2, shape, NULL);
}

static gm_status make_plain_layer_norm(gm_layer **out, gm_context *c)
{
    gm_norm_options o = GM_NORM_OPTIONS_INIT;
    int64_t shape = 4;
    o.affine = 0;
    return gm_layer_norm_create(out, c, 1, &shape, &o);
}

static gm_status make_group_norm(gm_layer **out, gm_context *c)
{
    return gm_group_norm_create(out, c, 6, 3, NULL);
}

static gm_status make_instance_norm(gm_layer **out, gm_context *c)
{
    return gm_instance_norm_create(out, c, 3, NULL);
}

static gm_status make_spectral_norm(gm_layer **out, gm_context *c)
{
    gm_layer *inner = NULL;
    gm_status s = gm_linear_create(&inner, c, 4, 3, NULL);
    if (!s) s = gm_spectral_norm_create(out, c, inner, NULL);
    gm_layer_release(inner);
    return s;
}

/* State in a sequence, and around a shared layer. */
static gm_status make_normalised(gm_layer **out, gm_context *c)
{
    gm_layer *spectral = NULL;
    gm_status s = make_spectral_norm(&spectral, c);
    if (!s) s = gm_sequence_create(out, c);
    if (!s) s = gm_sequence_add(*out, spectral);
    if (!s) s = gm_sequence_add_batch_norm(*out, 3);
    if (!s) s = gm_sequence_add_leaky_relu(*out, 0.2);
    gm_layer_release(spectral);
    return s;
}

#define NORM_ROWS                                                                                  \
    { "batch norm",                                                                                \
      make_batch_norm,                                                                             \
      "batch_norm",                                                                                \
      2,                                                                                           \
      2,                                                                                           \
      { 6, 4 },                                                                                    \
      { 6, 4 },                                                                                    \
      2,                                                                                           \
      { 6, 5 },                                                                                    \
      "[6, 5]",                                                                                    \
      "[4]",                                                                                       \
      2,                                                                                           \
      { "gamma", "beta" } },                                                                       \
        { "batch norm without affine",                                                             \
          make_plain_batch_norm,                                                                   \
          "batch_norm",                                                                            \
          3,                                                                                       \
          3,                                                                                       \
          { 2, 3, 5 },                                                                             \
          { 2, 3, 5 },                                                                             \
          2,                                                                                       \
          { 2, 5 },                                                                                \
          "[2, 5]",                                                                                \
          "[3]",                                                                                   \
          0,                                                                                       \
          { 0 } },                                                                                 \
        { "layer norm",                                                                            \
          make_layer_norm,                                                                         \
          "layer_norm",                                                                            \
          3,                                                                                       \
          3,                                                                                       \
          { 2, 3, 4 },                                                                             \
          { 2, 3, 4 },                                                                             \
          3,                                                                                       \
          { 2, 4, 3 },                                                                             \
          "[2, 4, 3]",                                                                             \
          "[..., 3, 4]",                                                                           \
          2,                                                                                       \
          { "gamma", "beta" } },                                                                   \
        { "layer norm without affine",                                                             \
          make_plain_layer_norm,                                                                   \
          "layer_norm",                                                                            \
          2,                                                                                       \
          2,                                                                                       \
          { 6, 4 },                                                                                \
          { 6, 4 },                                                                                \
          2,                                                                                       \
          { 6, 5 },                                                                                \
          "[6, 5]",                                                                                \
          "[..., 4]",                                                                              \
          0,                                                                                       \
          { 0 } },                                                                                 \
        { "group norm",                                                                            \
          make_group_norm,                                                                         \
          "group_norm",                                                                            \
          3,                                                                                       \
          3,                                                                                       \
          { 2, 6, 5 },                                                                             \
          { 2, 6, 5 },                                                                             \
          3,                                                                                       \
          { 2, 4, 5 },                                                                             \
          "[2, 4, 5]",                                                                             \
          "6 channels",                                                                            \
          2,                                                                                       \
          { "gamma", "beta" } },                                                                   \
        { "instance norm",                                                                         \
          make_instance_norm,                                                                      \
          "instance_norm",                                                                         \
          3,                                                                                       \
          3,                                                                                       \
          { 2, 3, 5 },                                                                             \
          { 2, 3, 5 },                                                                             \
          3,                                                                                       \
          { 2, 4, 5 },                                                                             \
          "[2, 4, 5]",                                                                             \
          "3 channels",                                                                            \
          2,                                                                                       \
          { "gamma", "beta" } },                                                                   \
        { "spectral norm",                                                                         \
          make_spectral_norm,                                                                      \
          "spectral_norm",                                                                         \
          2,                                                                                       \
          2,                                                                                       \
          { 6, 4 },                                                                                \
          { 6, 3 },                                                                                \
          2,                                                                                       \
          { 6, 5 },                                                                                \
          "[6, 5]",                                                                                \
          "[3, 4]",                                                                                \
          2,                                                                                       \
          { "0.weight", "0.bias" } },                                                              \
        { "normalised sequence",                                                                   \
          make_normalised,                                                                         \
          "sequence",                                                                              \
          2,                                                                                       \
          2,                                                                                       \
          { 6, 4 },                                                                                \
          { 6, 3 },                                                                                \
          2,                                                                                       \
          { 6, 3 },                                                                                \
          "[6, 3]",                                                                                \
          "[3, 4]",                                                                                \
          4,                                                                                       \
          { "0.0.weight", "0.0.bias", "1.gamma", "1.beta" } },

#endif
