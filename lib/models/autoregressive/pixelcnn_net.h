/* pixelcnn_net.h - PixelCNN: its layers (pixelcnn.c), and the two ways through them: whole images,
 * or what is new in a row (pixelcnn_net.c). */
#ifndef GM_MODELS_AUTOREGRESSIVE_PIXELCNN_NET_H
#define GM_MODELS_AUTOREGRESSIVE_PIXELCNN_NET_H

#include "gm/pixelcnn.h"
#include "models/family.h"

#define GM_PIXELCNN_TAPS 128

/* The positions that a masked kernel leaves. */
typedef struct gm_pixel_taps {
    int64_t count;
    int64_t at[2 * GM_PIXELCNN_TAPS];
} gm_pixel_taps;

/* One convolution. */
typedef struct gm_pixel_layer {
    char name[32];
    const gm_pixel_taps *taps;
    int64_t in, out;
    gm_param *weight, *bias, *label; /* label NULL: the model takes none */
    float *cache; /* of the walk: its input at all positions, [images, height, width, in] */
} gm_pixel_layer;

struct gm_pixelcnn {
    gm_model model; /* first */
    gm_pixelcnn_options o;
    int64_t height, width;
    gm_pixel_taps one, first, inner;                 /* plain: mask A, mask B */
    gm_pixel_taps above, left, vertical, horizontal; /* gated */
    int64_t layers;
    gm_pixel_layer *layer;
    gm_var *saw; /* gated: what the vertical stack gives each block */

    /* The walk's memory, for `room` images. */
    float *image, *patch; /* image: the pixels as they enter; patch: of one layer */
    float *across; /* gated: the vertical stack's part of the present row, [blocks][images, width, 2
                      h] */
    int64_t room;
};

/* Where the network is looked at. */
typedef struct gm_pixel_look {
    gm_pixelcnn *net;
    gm_tape *tape;
    gm_var labels; /* [n], GM_NO_VAR for none */
    int64_t n;
    int whole; /* whole images; else the `length` pixels of `row` from `column` on */
    int64_t row, column, length;
} gm_pixel_look;

/* What layer i (of how many) of a network with these options is. */
int64_t gm_pixelcnn_layers(const gm_pixelcnn_options *o);
void gm_pixelcnn_describe(const gm_pixelcnn_options *o, int64_t i, gm_pixel_layer *layer,
                          gm_pixelcnn *net);
void gm_pixelcnn_fill_taps(gm_pixelcnn *net);

/* Logits [n, height, width, K] of whole images x [n, height, width, 1] as they enter; or [n, 1, 1,
 * K] of a pixel, x GM_NO_VAR: then the images and what was computed before are in the walk's
 * memory. */
gm_var gm_pixelcnn_logits(gm_pixel_look *look, gm_var x);
/* Gated: the vertical stack of a row, into the walk's memory; before the row's first pixel. */
void gm_pixelcnn_look_above(gm_pixel_look *look);

#endif
