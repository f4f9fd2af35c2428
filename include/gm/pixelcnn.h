/* gm/pixelcnn.h - PixelCNN and gated PixelCNN: an autoregressive network of masked convolutions
 * over images of one channel.
 *
 * The pixels are taken row by row, and p(x) = prod_i p(x_i | x_1, ..., x_i-1): each pixel's
 * conditional is what the network gives at its place, seeing only pixels above it and to its left.
 * Bits have logits, values 0 .. K - 1 a softmax over K.
 *
 *     plain (van den Oord, Kalchbrenner and Kavukcuoglu 2016, figure 5 and table 1; h = hidden):
 *         a first_kernel^2 convolution with mask A (the pixel itself is hidden) to 2 h channels;
 * `blocks` residual blocks x + W3 relu(W2 * relu(W1 relu(x))),   W1: 1 x 1 to h, W2: kernel^2 with
 * mask B, W3: 1 x 1 to 2 h; then relu, 1 x 1 to `head`, relu, 1 x 1 to the logits. Mask B of the
 * plain network leaves a blind spot: pixels above and to the right that no depth reaches (van den
 * Oord et al. 2016b, figure 1). gated (van den Oord et al. 2016b, figure 2): two stacks of h
 * channels. The vertical one sees all rows above; the horizontal one the pixels to the left, and
 * the vertical stack through 1 x 1 convolutions: a = V * v,  v' = tanh(a1) sigmoid(a2),  b = H * h
 * + A a,  h' = h + O tanh(b1) sigmoid(b2); together they see every earlier pixel. Then the same
 * head.
 *
 * Conditional models (labels > 0) add to the bias of every layer a row of a table for the image's
 * label: V_k^T one_hot (2016b, equation 4, with the label's place-independent bias).
 *
 * All that gm/model.h and gm/autoregressive.h offer works: log_prob is exact, sample draws values
 * (not means). Drawing keeps the activations of every layer and computes for each new pixel its own
 * column of them only (the vertical stack: its row), so that all pixels together cost one pass of
 * the network; the values are those of recomputing everything, to the bit. It keeps memory for as
 * many images as fit 32 MB. Taps that a mask hides are not stored and not multiplied
 * (gm_conv2d_taps).
 *
 * Rows are height * width values, row by row. Parameters: "NAME.weight" [taps, in, out],
 * "NAME.bias" [out], and with labels "NAME.label" [labels, out], of plain: first, block0.in,
 * block0.conv, block0.out, ..., head, logits; gated: vertical, horizontal, block0.vertical,
 * block0.across, block0.horizontal, block0.out, ..., head, logits. Metric: "loss", mean negative
 * log-likelihood in nats an image.
 */
#ifndef GM_PIXELCNN_H
#define GM_PIXELCNN_H

#include "gm/autoregressive.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_pixelcnn gm_pixelcnn;

typedef struct gm_pixelcnn_options {
    size_t size;      /* set by the INIT macro */
    int32_t gated;    /* 0 (default): plain; 1: gated */
    int32_t reserved; /* 0 */
    int64_t classes;  /* values of a pixel, 2 to 65536; default 2: bits. More enter the network as x
                         / (classes - 1) */
    int64_t labels;   /* 0 (default), or the number of label classes */
    int64_t hidden;   /* h, 1 to 4096; default 16 */
    int64_t blocks;   /* 0 to 1000; default 8 */
    int64_t first_kernel;    /* odd, 3 to 15; default 7 */
    int64_t kernel;          /* odd, 3 to 15; default 3 */
    int64_t head;            /* channels of the layer before the logits, 1 to 65536; default 32 */
    gm_optimizer *optimizer; /* retained and bound; NULL: Adam with its defaults */
} gm_pixelcnn_options;

#define GM_PIXELCNN_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(gm_pixelcnn_options), 0, 0, 2, 0, 16, 8, 7, 3, 32, NULL                             \
    }

/* height, width: of the images, 1 to 1024 each. options: read during the call; NULL: the defaults.
 * GM_E_INVALID: NULL, a size or an option out of range (named, with its value); GM_E_STATE: the
 * optimizer is bound already; GM_E_NOMEM. *out is NULL then. */
GM_API gm_status gm_pixelcnn_create(gm_pixelcnn **out, gm_context *context, int64_t height,
                                    int64_t width, const gm_pixelcnn_options *options);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_pixelcnn_retain(gm_pixelcnn *net);
GM_API void gm_pixelcnn_release(gm_pixelcnn *net);

/* The view for the shared verbs, borrowed; and back: NULL if the model is of another family. */
GM_API gm_model *gm_pixelcnn_model(gm_pixelcnn *net);
GM_API gm_pixelcnn *gm_pixelcnn_from_model(gm_model *model);

/* The images' sizes; 0 for NULL. */
GM_API int64_t gm_pixelcnn_height(const gm_pixelcnn *net);
GM_API int64_t gm_pixelcnn_width(const gm_pixelcnn *net);

/* The logits of images x [n, height * width] with values as the model has them, on a tape: [n,
 * height, width], or [n, height, width, classes] for more than two. labels [n] for a conditional
 * model, else GM_NO_VAR. For hosts that differentiate them (gm_variable). Sticks to the tape:
 * GM_E_INVALID: NULL, labels missing or not taken; GM_E_SHAPE: x or labels of another shape. */
GM_API gm_var gm_pixelcnn_apply(gm_tape *tape, gm_pixelcnn *net, gm_var x, gm_var labels);

#ifdef __cplusplus
}
#endif

#endif
