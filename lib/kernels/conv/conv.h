/* conv.h - two-dimensional convolution on plain arrays: the three forms of one trilinear map.
 *
 *   T(w, x, y) = sum over n, o, c, a, b, i, j of
 *                w[o,c,a,b]  x[n, c, i sh - ph + a dh, j sw - pw + b dw]  y[n,o,i,j]
 *
 * (positions outside the image read 0). Its derivative by y is the convolution of x with w, by x
 * the transposed convolution of y, by w the correlation of x and y; every operation and every
 * gradient of the convolution family, of any order, is one of the three.
 *
 * None of them makes the matrix of patches (im2col) of a whole image and multiplies it: the product
 * kernel (gm_kernels.gather_product) reads patches where they lie, through tables of offsets. All
 * work is cut into shards of images by sizes alone, and sums over images have a fixed order.
 */
#ifndef GM_KERNELS_CONV_H
#define GM_KERNELS_CONV_H

#include <stddef.h>
#include <stdint.h>

#include "base/team.h"
#include "kernels/kernels.h"

/* Sizes from 0 to GM_CONV_LARGEST each. In a group, c / groups channels of x meet o / groups of y.
 */
#define GM_CONV_LARGEST ((int64_t)1 << 30)
typedef struct gm_conv_map {
    int64_t images;
    int64_t c, h, w;   /* x [images, c, h, w] */
    int64_t o, oh, ow; /* y [images, o, oh, ow] */
    int64_t kh, kw;    /* w [o, c / groups, kh, kw] */
    int64_t sh, sw, ph, pw, dh, dw, groups;
} gm_conv_map;

/* What follows the sums: act(sum + bias), one bias a channel of the result. */
typedef struct gm_conv_last {
    const float *bias; /* or NULL */
    int32_t act;       /* GM_UNARY_* */
    float a;
} gm_conv_last;

typedef struct gm_conv_place {
    gm_team *team;
    const gm_kernels *kernels;
    void *work; /* as many bytes as the map needs for this form, 64-byte aligned */
} gm_conv_place;

/* Bytes of workspace for `threads` threads; SIZE_MAX when they cannot be counted. */
size_t gm_conv_forward_work(const gm_conv_map *m, int32_t threads);
size_t gm_conv_backward_data_work(const gm_conv_map *m, int32_t threads);
size_t gm_conv_backward_weight_work(const gm_conv_map *m, int32_t threads);

/* y (+)= the convolution of x with w. last: NULL, or only with add 0. */
void gm_conv_forward(const gm_conv_place *p, const gm_conv_map *m, float *y, const float *x,
                     const float *w, const gm_conv_last *last, int add);
/* x (+)= the transposed convolution of y with w. */
void gm_conv_backward_data(const gm_conv_place *p, const gm_conv_map *m, float *x, const float *y,
                           const float *w, const gm_conv_last *last, int add);
/* w (+)= the correlation of x and y. */
void gm_conv_backward_weight(const gm_conv_place *p, const gm_conv_map *m, float *w, const float *x,
                             const float *y, int add);
/* db[o] (+)= the sum of y over images and positions; y [images, channels, pixels]. */
void gm_conv_backward_bias(const gm_conv_place *p, int64_t images, int64_t channels, int64_t pixels,
                           float *db, const float *y, int add);

#endif
