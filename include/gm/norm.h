/* gm/norm.h - normalisation: of a batch's channels, of rows, of groups of an image's channels, of
 * a weight.
 *
 * Operations and layers alike follow the rules of gm/ops.h and gm/layer.h: operations need no
 * check, failures stick to the tape; layers are created, applied, and released.
 *
 *     gm_sequence_add_linear(net, 100, 400);
 *     gm_sequence_add_batch_norm(net, 400);
 *     gm_sequence_add_relu(net);
 *
 * An activation that directly follows one of these layers in a sequence is computed together with
 * it.
 *
 * State. Batch norm keeps running statistics, spectral norm two vectors. They are parameters that
 * optimizers do not update: gm_layer_params does not list them, but they are saved in files.
 * Operations on a tape in training mode compute new values of the state; these are written once,
 * when gm_backward (or gm_backward_add) completes, and discarded when the recording fails or is
 * reset before that. If a layer is applied twice in one recording, the second application continues
 * from the values of the first. A tape without GM_TAPE_TRAIN reads state and never changes it.
 *
 * Below, v is the variance of the values named, with their number as divisor, and
 * z = (x - mean) / sqrt(v + eps). Statistics are computed in double; results are bit for bit the
 * same for any number of threads.
 */
#ifndef GM_NORM_H
#define GM_NORM_H

#include "gm/layer.h"
#include "gm/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Options of batch norm. Ranges: eps above 0, momentum from 0 to 1. */
typedef struct gm_batch_norm_options {
    size_t size;     /* set by the INIT macro */
    double eps;      /* 1e-5 */
    double momentum; /* 0.1: the weight of the batch in the running statistics */
    /* 1 (default): the layer has gamma and beta; 0: it has not. The operation ignores it */
    int32_t affine;
    /* default GM_ACTIVATION_NONE. For the operation only: a layer accepts no other (an activation
     * that follows it in a sequence is computed in the same pass) */
    int32_t activation;
    double slope; /* 0: as in gm_activate */
} gm_batch_norm_options;
#define GM_BATCH_NORM_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(gm_batch_norm_options), 1e-5, 0.1, 1, 0, 0                                          \
    }

/* Options of layer norm, group norm and instance norm. */
typedef struct gm_norm_options {
    size_t size;        /* set by the INIT macro */
    double eps;         /* 1e-5, above 0 */
    int32_t affine;     /* 1 (default): the layer has gamma and beta; 0: it has not. The operations
                           ignore it */
    int32_t activation; /* default GM_ACTIVATION_NONE. For the operations only: a layer accepts no
                           other */
    double slope;       /* 0: as in gm_activate */
} gm_norm_options;
#define GM_NORM_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(gm_norm_options), 1e-5, 1, 0, 0                                                     \
    }

/* Options of spectral norm. */
typedef struct gm_spectral_norm_options {
    size_t size;        /* set by the INIT macro */
    int32_t iterations; /* steps of the power method per application in training mode, 0 to 1000;
                           default 1 */
    int32_t reserved;   /* 0 */
    double eps;         /* lower bound on the norms that are divided by, above 0; default 1e-12 */
} gm_spectral_norm_options;
#define GM_SPECTRAL_NORM_OPTIONS_INIT                                                              \
    {                                                                                              \
        sizeof(gm_spectral_norm_options), 1, 0, 1e-12                                              \
    }

/* activation(gamma z + beta), mean and v over all values of a channel: x [n, c] or [n, c, ...],
 * gamma and beta [c] or GM_NO_VAR (then 1 and 0), the result has x's shape (Ioffe and Szegedy
 * 2015). On a tape with GM_TAPE_TRAIN (GM_TAPE_CONSTANT or not) mean and v are the batch's, and
 *     running = (1 - momentum) running + momentum batch,
 * where the batch's variance has number - 1 as divisor; otherwise they are the running ones.
 * running_mean, running_variance: two parameters [c] of the tape's context, which must stay valid
 * until the tape's next reset; state as described above. options: read during the call; NULL: the
 * defaults. Activations and slope as in gm_activate. GM_E_SHAPE: rank below 2, sizes other than
 * [c], training with fewer than two values per channel; GM_E_INVALID: NULL or the same parameter
 * twice, another context, options out of range, unknown activation, negative slope. */
GM_API gm_var gm_batch_norm(gm_tape *tape, gm_var x, gm_var gamma, gm_var beta,
                            gm_param *running_mean, gm_param *running_variance,
                            const gm_batch_norm_options *options);

/* activation(gamma z + beta), mean and v over the last `axes` axes (1 to x's rank), for each row by
 * itself; gamma and beta have the shape of these axes or are GM_NO_VAR; the result has x's shape
 * (Ba, Kiros and Hinton 2016). The same in training and evaluation. GM_E_SHAPE: axes above the
 * rank, other shapes, no elements in a row; GM_E_INVALID: axes below 1, options out of range,
 * unknown activation, negative slope. options: read during the call; NULL: the defaults. */
GM_API gm_var gm_layer_norm(gm_tape *tape, gm_var x, gm_var gamma, gm_var beta, int32_t axes,
                            const gm_norm_options *options);

/* activation(gamma z + beta), mean and v over each of `groups` groups of neighbouring channels of
 * each image: x [n, c, ...], gamma and beta [c] or GM_NO_VAR (Wu and He 2018). One group is the
 * whole image, c groups are instance norm. An image's result does not depend on its batch, to the
 * last bit, and is the same in training and evaluation. GM_E_SHAPE: rank below 2, groups does not
 * divide c, other sizes than [c], groups of fewer than two values; GM_E_INVALID: groups below 1,
 * options out of range, unknown activation, negative slope. options: read during the call; NULL:
 * the defaults.
 */
GM_API gm_var gm_group_norm(gm_tape *tape, gm_var x, gm_var gamma, gm_var beta, int64_t groups,
                            const gm_norm_options *options);

/* activation(gamma z + beta), mean and v over each plane of each image: x [n, c, h, w] (or any rank
 * from 3 on), gamma and beta [c] or GM_NO_VAR (Ulyanov, Vedaldi and Lempitsky 2016). The same in
 * training and evaluation. GM_E_SHAPE: rank below 3, other sizes than [c], planes of fewer than two
 * values; GM_E_INVALID: options out of range, unknown activation, negative slope. options: read
 * during the call; NULL: the defaults. */
GM_API gm_var gm_instance_norm(gm_tape *tape, gm_var x, gm_var gamma, gm_var beta,
                               const gm_norm_options *options);

/* weight / s, where s = u^T W v estimates the largest singular value of W, the weight seen as
 * [first axis, all the rest] (Miyato, Kataoka, Koyama and Yoshida 2018). On a tape with
 * GM_TAPE_TRAIN, options->iterations steps of the power method come first: v = W^T u / |W^T u|, u =
 * W v / |W v|. u [rows], v [columns]: parameters as in gm_batch_norm; they count as constants in
 * the gradient, which is (dy - <dy, y> u v^T) / s. Where s is below eps, eps takes its place as a
 * constant. options NULL: the defaults. GM_E_SHAPE: weight of rank below 2 or without elements, u
 * or v of other sizes; GM_E_INVALID: u or v NULL or the same, another context, options out of
 * range. */
GM_API gm_var gm_spectral_normalize(gm_tape *tape, gm_var weight, gm_param *u, gm_param *v,
                                    const gm_spectral_norm_options *options);

/* The layers. options: read during the call; NULL: the defaults. GM_E_INVALID also: options out of
 * range. Parameters "gamma" (1 at first) and "beta" (0), where affine; gm_layer_init puts them back
 * to that. Type "batch_norm", "layer_norm", "group_norm", "instance_norm", "spectral_norm". */

/* Batch norm for inputs [n, channels] and [n, channels, ...]; channels at least 1. State:
 * "running_mean" (0 at first) and "running_variance" (1). */
GM_API gm_status gm_batch_norm_create(gm_layer **out, gm_context *context, int64_t channels,
                                      const gm_batch_norm_options *options);

/* Layer norm for inputs [..., shape]; rank 1 to 5, each size at least 1. */
GM_API gm_status gm_layer_norm_create(gm_layer **out, gm_context *context, int32_t rank,
                                      const int64_t *shape, const gm_norm_options *options);

/* Group norm for inputs [n, channels, ...]; channels and groups at least 1. GM_E_INVALID also:
 * groups does not divide channels. */
GM_API gm_status gm_group_norm_create(gm_layer **out, gm_context *context, int64_t channels,
                                      int64_t groups, const gm_norm_options *options);

/* Instance norm for inputs [n, channels, h, w]; channels at least 1. */
GM_API gm_status gm_instance_norm_create(gm_layer **out, gm_context *context, int64_t channels,
                                         const gm_norm_options *options);

/* A layer like `inner`, with its weight divided by its largest singular value. inner: a layer with
 * a weight of rank 2 or more, such as "linear", "conv2d" and "conv_transpose2d"; it is retained,
 * and may also be applied by itself. Parameters: inner's under "0.". State: "u", drawn from a
 * stream of the context, and "v", both after some steps of the power method on the present weight.
 * GM_E_INVALID also: inner NULL or of another context; GM_E_UNSUPPORTED: a layer of another kind.
 */
GM_API gm_status gm_spectral_norm_create(gm_layer **out, gm_context *context, gm_layer *inner,
                                         const gm_spectral_norm_options *options);
/* The inner layer, borrowed; NULL for other layers. */
GM_API gm_layer *gm_spectral_norm_inner(const gm_layer *layer);

/* State of a layer, borrowed, under names like those of gm_layer_params: "running_mean"; in a
 * sequence "1.running_mean". For inspecting and copying; NULL for layers that have none. */
GM_API gm_params *gm_layer_state(const gm_layer *layer);

/* Shortcuts, as in gm/layer.h. */
GM_API gm_status gm_sequence_add_batch_norm(gm_layer *sequence, int64_t channels);
GM_API gm_status gm_sequence_add_layer_norm(gm_layer *sequence, int32_t rank, const int64_t *shape);
GM_API gm_status gm_sequence_add_group_norm(gm_layer *sequence, int64_t channels, int64_t groups);
GM_API gm_status gm_sequence_add_instance_norm(gm_layer *sequence, int64_t channels);

#ifdef __cplusplus
}
#endif

#endif
