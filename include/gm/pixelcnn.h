/* gm/pixelcnn.h - PixelCNN and gated PixelCNN: an autoregressive network of masked convolutions
 * over images of one channel.
 *
 * The pixels are ordered row by row, and p(x) = prod_i p(x_i | x_1, ..., x_i-1): the network's
 * output at a pixel is its conditional, and depends only on pixels above it and to its left. For
 * bits it is a logit, for values 0 .. K - 1 a softmax over K classes.
 *
 *     plain (van den Oord, Kalchbrenner and Kavukcuoglu 2016, figure 5 and table 1; h = hidden):
 *         a first_kernel^2 convolution with mask A (the pixel itself is hidden) to 2 h channels;
 *         `blocks` residual blocks x + W3 relu(W2 * relu(W1 relu(x))), with W1: 1 x 1 to h,
 *         W2: kernel^2 with mask B, W3: 1 x 1 to 2 h;
 *         then relu, 1 x 1 to `head` channels, relu, 1 x 1 to the logits.
 *     Mask B of the plain network leaves a blind spot: pixels above and to the right that are not
 *     reached at any depth (van den Oord et al. 2016b, figure 1).
 *
 *     gated (van den Oord et al. 2016b, "Conditional image generation with PixelCNN decoders",
 *     figure 2): two stacks of h channels. The vertical stack v sees all rows above; the horizontal
 *     stack h sees the pixels to the left and, through 1 x 1 convolutions, the vertical stack:
 *         a = V * v,         v' = tanh(a1) sigmoid(a2),
 *         b = H * h + A a,   h' = h + O tanh(b1) sigmoid(b2).
 *     Together they see every earlier pixel. The head is the same.
 *
 * Conditional models (labels > 0) add to the bias of every layer the row for the image's label from
 * a table: V_k^T one_hot (2016b, equation 4, with a bias that does not depend on the location).
 *
 * All functions of gm/model.h and gm/autoregressive.h work: log_prob is exact, and sample draws
 * values (not means). Sampling caches the activations of every layer and computes for each new
 * pixel only its own column of them (in the vertical stack: its row), so that all pixels together
 * cost one pass of the network; the values are bit for bit those of recomputing everything. The
 * cache holds as many images as fit into 32 MB. Masked taps are neither stored nor multiplied
 * (gm_conv2d_taps).
 *
 * Rows are height * width values, row by row. Parameters: "NAME.weight" [taps, in, out],
 * "NAME.bias" [out], and with labels "NAME.label" [labels, out]. The names are, for plain: first,
 * block0.in, block0.conv, block0.out, ..., head, logits; for gated: vertical, horizontal,
 * block0.vertical, block0.across, block0.horizontal, block0.out, ..., head, logits. Metric: "loss",
 * the mean negative log-likelihood in nats per image.
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
    int64_t classes;  /* number of values of a pixel, 2 to 65536; default 2: bits. With more than 2
                         the network's input is x / (classes - 1) */
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

/* Makes a model of images of height x width pixels, 1 to 1024 each. options: read during the call;
 * NULL: the defaults. GM_E_INVALID: NULL, a size or an option out of range (named, with its value);
 * GM_E_STATE: the optimizer is bound already; GM_E_NOMEM. *out is NULL after a failure. */
GM_API gm_status gm_pixelcnn_create(gm_pixelcnn **out, gm_context *context, int64_t height,
                                    int64_t width, const gm_pixelcnn_options *options);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_pixelcnn_retain(gm_pixelcnn *net);
GM_API void gm_pixelcnn_release(gm_pixelcnn *net);

/* The view with the shared verbs, borrowed; and the model behind a view, NULL if it is of another
 * family. */
GM_API gm_model *gm_pixelcnn_model(gm_pixelcnn *net);
GM_API gm_pixelcnn *gm_pixelcnn_from_model(gm_model *model);

/* The images' sizes; 0 for NULL. */
GM_API int64_t gm_pixelcnn_height(const gm_pixelcnn *net);
GM_API int64_t gm_pixelcnn_width(const gm_pixelcnn *net);

/* The logits of images x [n, height * width] with values as the model has them, on a tape: [n,
 * height, width], or [n, height, width, classes] for more than two. labels [n] for a conditional
 * model, else GM_NO_VAR. Useful for differentiating them (gm_variable). These stick to the tape:
 * GM_E_INVALID: NULL, labels missing or not taken; GM_E_SHAPE: x or labels of another shape. */
GM_API gm_var gm_pixelcnn_apply(gm_tape *tape, gm_pixelcnn *net, gm_var x, gm_var labels);

#ifdef __cplusplus
}
#endif

#endif
