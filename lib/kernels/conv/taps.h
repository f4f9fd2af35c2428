/* taps.h - convolution over a list of taps, channels last: the map
 *
 *   y[n,i,j,:] = act(bias + sum over t of W_t^T f(x[n, i + di_t, j + dj_t, :])) + skip[n,i,j,:]
 *
 * on plain arrays; positions outside the image read 0, f is max(., 0) or nothing. Taps that are not
 * in the list cost nothing, as masked convolutions need it. With channels last the product
 * kernel (gm_kernels.gather_product) reads patches, writes results and sums gradients of weights
 * where they lie: nothing is transposed.
 */
#ifndef GM_KERNELS_CONV_TAPS_H
#define GM_KERNELS_CONV_TAPS_H

#include "kernels/conv/conv.h"

#define GM_TAPS_MOST 128      /* taps */
#define GM_TAPS_FARTHEST 1024 /* rows or columns */

typedef struct gm_taps_map {
    int64_t images, h, w;
    int64_t c, o;        /* x [images, h, w, c]; y [images, h, w, o]; weight [taps, c, o] */
    int64_t count;       /* of taps */
    const int64_t *taps; /* di, dj of each */
    int relu;            /* f: 1 max(., 0), 0 nothing */
    int32_t act;         /* GM_UNARY_*; its derivative is taken from its result */
    float a;
    int64_t bias_stride; /* o: each image has a bias of its own; 0: one for all */
} gm_taps_map;

/* Bytes of workspace for `threads` threads; SIZE_MAX when they cannot be counted. */
size_t gm_taps_work(const gm_taps_map *m, int32_t threads, int backward);

/* bias and skip may be NULL; skip only where act is the identity. */
void gm_taps_forward(const gm_conv_place *p, const gm_taps_map *m, float *y, const float *x,
                     const float *w, const float *bias, const float *skip);

/* Where gradients go (NULL: not wanted), and whether they are added. */
typedef struct gm_taps_gradients {
    float *x, *w, *bias, *skip;
    int add_x, add_w, add_bias, add_skip;
} gm_taps_gradients;

/* dy becomes the gradient before act. */
void gm_taps_backward(const gm_conv_place *p, const gm_taps_map *m, const gm_taps_gradients *to,
                      float *dy, const float *y, const float *x, const float *w);

#endif
