/* gm/layer.h - layers: functions of one variable with parameters of their own.
 *
 * A layer's sizes are fixed at creation; its parameters are ordinary gm_params; gm_apply records it
 * on a tape. A layer may be applied many times, on several tapes, and may be part of several
 * sequences: its weights are then shared.
 *
 *     gm_layer *net = NULL;
 *     gm_sequence_create(&net, context);
 *     gm_sequence_add_linear(net, 784, 400);
 *     gm_sequence_add_relu(net);
 *     gm_sequence_add_linear(net, 400, 10);
 *     gm_var logits = gm_apply(tape, net, x);
 *
 * Weights drawn at creation come from streams of the context: the same seed and the same order of
 * creation give the same weights.
 *
 * Common to every constructor: *out (*out_layer) is NULL after any failure; the layer retains the
 * context. Statuses of every constructor: GM_E_INVALID (NULL argument, a size out of range or so
 * large that its bytes cannot be addressed), GM_E_NOMEM, and what is named below.
 */
#ifndef GM_LAYER_H
#define GM_LAYER_H

#include "gm/ops.h"
#include "gm/params.h"
#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_layer gm_layer;

/* Applies the layer to x and records it on the tape. Like every operation it needs no check:
 * failures stick to the tape. GM_E_SHAPE: x does not fit (both shapes are in the error line); the
 * first error of a sequence that was not built completely; GM_E_INVALID: layer NULL, or layer and
 * tape of different contexts. The layer must stay valid until the tape's next reset. */
GM_API gm_var gm_apply(gm_tape *tape, gm_layer *layer, gm_var x);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_layer_retain(gm_layer *layer);
GM_API void gm_layer_release(gm_layer *layer);

/* The layer's parameters, borrowed: "weight", "bias"; in a sequence they are preceded by the part's
 * number, "0.weight", "2.bias". Empty for layers that have none. A sequence's set grows as parts
 * are added. NULL for NULL. */
GM_API gm_params *gm_layer_params(const gm_layer *layer);

/* The layer's type: "linear", "activation", "maxout", "dropout", "embedding", "reshape", "flatten",
 * "sequence", "residual", those of gm/conv.h ("conv2d", "conv_transpose2d", "max_pool2d",
 * "avg_pool2d", "upsample_nearest", "pixel_shuffle", "resize"), of gm/mask.h and of gm/norm.h, or a
 * host's own name. Valid as long as the layer is; "" for NULL. */
GM_API const char *gm_layer_type(const gm_layer *layer);

/* 1: each row of the output depends on the same row of the input alone, so that rows of two batches
 * may be computed in one pass. 0: batch norm and spectral norm (whose state each pass updates in
 * training), a host's layer, NULL, and a sequence or residual layer with one of these inside. */
GM_API int32_t gm_layer_row_wise(const gm_layer *layer);

/* Declares the layer complete, with all that it holds: from now on a sequence takes no more parts,
 * and the sets of parameters and state no more parameters (GM_E_STATE). There is no way back.
 * Layers that are put into others, and nets that are given to a model, are sealed when that
 * succeeds, and stay so after it was released: their shapes were measured and their parameters
 * bound. A host's family or layer that applies other layers seals them itself. NULL does nothing.
 */
GM_API void gm_layer_seal(gm_layer *layer);

/* The layer's context, borrowed. NULL for NULL. */
GM_API gm_context *gm_layer_context(const gm_layer *layer);

/* The output's shape for an input of this shape (both with the batch axis), found without computing
 * anything or taking memory for values, on a tape of its own, without drawing from any random
 * stream and without changing parameters. A net with a layer of the host's is run on zeros.
 * out_shape must have room for GM_MAX_RANK sizes; neither *out_rank nor out_shape is written on
 * failure. GM_E_SHAPE: the input does not fit; GM_E_INVALID: NULL, rank or a size out of range;
 * GM_E_NOMEM; what a host's layer or a sequence reports. */
GM_API gm_status gm_layer_output(gm_layer *layer, int32_t rank, const int64_t *shape,
                                 int32_t *out_rank, int64_t *out_shape);

/* Initialises the parameters anew: those of rank 2 and more by `kind` (GM_INIT_*, a and b as in
 * gm_param_init), those of rank 0 and 1 to zeros, or to ones where the layer's initial value is one
 * (gm/norm.h). rng NULL: streams of the context. Statuses as gm_param_init; after a failure the
 * parameters before the failing one have their new values. */
GM_API gm_status gm_layer_init(gm_layer *layer, int32_t kind, double a, double b, gm_rng *rng);

/* Options of gm_linear_create. */
typedef struct gm_linear_options {
    size_t size;         /* set by the INIT macro */
    int32_t bias;        /* 1: with a bias (default); 0: without */
    int32_t weight_init; /* GM_INIT_*; default GM_INIT_DEFAULT: uniform in +-1/sqrt(in) */
    double weight_a;     /* as in gm_param_init */
    double weight_b;
    int32_t bias_init; /* GM_INIT_*; default GM_INIT_DEFAULT: uniform in +-1/sqrt(in) */
    int32_t reserved;  /* 0 */
    double bias_a;
    double bias_b;
} gm_linear_options;

#define GM_LINEAR_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(gm_linear_options), 1, 0, 1.0, 0.0, 0, 0, 1.0, 0.0                                  \
    }

/* A fully connected layer, y = x weight^T + bias: x [..., in_features], weight [out_features,
 * in_features], bias [out_features], y [..., out_features]; both sizes are at least 1. options:
 * read during the call; NULL: the defaults. GM_E_INVALID also: an unknown initialiser, bias not 0
 * or 1; GM_E_SHAPE: an initialiser that needs a matrix, for the bias. */
GM_API gm_status gm_linear_create(gm_layer **out_layer, gm_context *context, int64_t in_features,
                                  int64_t out_features, const gm_linear_options *options);

/* An elementwise function, GM_ACTIVATION_* except NONE. slope, at least 0: that of LEAKY_RELU below
 * 0, the alpha of ELU; ignored by the others. */
GM_API gm_status gm_activation_create(gm_layer **out, gm_context *context, int32_t activation,
                                      double slope);

/* The maximum of each `pieces` (at least 1) consecutive elements of the last axis: [..., units
 * pieces] to [..., units]; see gm_maxout. Applying it to an axis that pieces does not divide is
 * GM_E_SHAPE. */
GM_API gm_status gm_maxout_create(gm_layer **out, gm_context *context, int64_t pieces);

/* Dropout with probability p in [0, 1): see gm_dropout. It acts on tapes in training mode only. */
GM_API gm_status gm_dropout_create(gm_layer **out, gm_context *context, double p);

/* A table of `rows` vectors of `width` floats, "weight" [rows, width], initialised as N(0, 1).
 * Input [n...] of whole numbers 0 .. rows-1 stored as float, output [n..., width]. Applying it to
 * other numbers is GM_E_INVALID. */
GM_API gm_status gm_embedding_create(gm_layer **out, gm_context *context, int64_t rows,
                                     int64_t width);

/* Reshapes [n, ...] to [n, shape...]; the first axis stays. rank (0 to 5) and shape are without the
 * batch axis, each size at least 1. Applying it to another number of elements per row is
 * GM_E_SHAPE. */
GM_API gm_status gm_reshape_create(gm_layer **out, gm_context *context, int32_t rank,
                                   const int64_t *shape);

/* Flattens [n, ...] to [n, product of the other sizes]. */
GM_API gm_status gm_flatten_create(gm_layer **out, gm_context *context);

/* A sequence: each part's output is the next part's input. It is empty at first (an empty sequence
 * returns its input). A linear part, a convolution (gm/conv.h) or a norm (gm/norm.h) is computed in
 * one pass together with an activation that follows it directly. */
GM_API gm_status gm_sequence_create(gm_layer **out, gm_context *context);

/* Adds a part at the end and retains it. The part's parameters join the sequence's under
 * "<number>.". Parts must be complete when they are added: they are sealed (gm_layer_seal).
 * GM_E_INVALID: NULL, `sequence` is no sequence, another context, the sequence inside itself,
 * nesting deeper than 32, more than 4096 parts; GM_E_STATE: `sequence` is sealed, since it is a
 * part of another layer or of a model; GM_E_NOMEM. The sequence keeps its first error
 * (gm_sequence_status) and is otherwise as before; a refusal of a sealed one is not kept, so that
 * what holds it works on. */
GM_API gm_status gm_sequence_add(gm_layer *sequence, gm_layer *part);

/* Shortcuts: make a layer with default options, add it, and release it. Their results need no
 * check, since the sequence keeps the first error: every later addition and gm_apply report it with
 * its text. Statuses: of the constructor and of gm_sequence_add. */
GM_API gm_status gm_sequence_add_linear(gm_layer *sequence, int64_t in_features,
                                        int64_t out_features);
GM_API gm_status gm_sequence_add_relu(gm_layer *sequence);
GM_API gm_status gm_sequence_add_leaky_relu(gm_layer *sequence, double slope);
GM_API gm_status gm_sequence_add_elu(gm_layer *sequence, double alpha);
GM_API gm_status gm_sequence_add_tanh(gm_layer *sequence);
GM_API gm_status gm_sequence_add_sigmoid(gm_layer *sequence);
GM_API gm_status gm_sequence_add_softplus(gm_layer *sequence);
GM_API gm_status gm_sequence_add_silu(gm_layer *sequence);
GM_API gm_status gm_sequence_add_gelu(gm_layer *sequence);
GM_API gm_status gm_sequence_add_maxout(gm_layer *sequence, int64_t pieces);
GM_API gm_status gm_sequence_add_dropout(gm_layer *sequence, double p);
GM_API gm_status gm_sequence_add_embedding(gm_layer *sequence, int64_t rows, int64_t width);
GM_API gm_status gm_sequence_add_flatten(gm_layer *sequence);
GM_API gm_status gm_sequence_add_reshape(gm_layer *sequence, int32_t rank, const int64_t *shape);

/* GM_OK for every layer that can be applied; otherwise the first error of a sequence, or of a part
 * of it, with its text put into the context's error line again. GM_E_INVALID for NULL. Constructors
 * of models call this. */
GM_API gm_status gm_sequence_status(const gm_layer *sequence);

/* x + inner(x) (He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition"):
 * `inner` is any layer whose output has its input's shape, often a sequence. It is retained, and
 * must be complete: it is sealed (gm_layer_seal). Parameters and state are inner's,
 * under "0.". If inner changes the shape, applying the layer is GM_E_SHAPE, with both shapes in the
 * line; there is no broadcasting. GM_E_INVALID also: inner NULL or of another context, nested
 * deeper than 32; the first error of a sequence. */
GM_API gm_status gm_residual_create(gm_layer **out, gm_context *context, gm_layer *inner);
/* The inner layer, borrowed; NULL for other layers. */
GM_API gm_layer *gm_residual_inner(const gm_layer *layer);
/* Adds a residual layer around `inner`. */
GM_API gm_status gm_sequence_add_residual(gm_layer *sequence, gm_layer *inner);

/* The number of parts of a sequence (0 for other layers), and the part at `index`, from 0, borrowed
 * (NULL out of range). */
GM_API int64_t gm_sequence_count(const gm_layer *sequence);
GM_API gm_layer *gm_sequence_get(const gm_layer *sequence, int64_t index);

/* A host's own layer, made of operations (gm/ops.h, gm_host) or other layers. `apply` records it on
 * the tape and returns its result; it may use gm_tape_fail. `release` (may be NULL) is called once,
 * when the layer's last owner is gone; not when creation fails. Both run on the calling thread. */
typedef struct gm_host_layer {
    size_t size; /* set by the INIT macro */
    /* 1 to 31 characters of [A-Za-z0-9_.-], not the type of a built-in layer; copied */
    const char *type;
    gm_var (*apply)(void *user, gm_tape *tape, gm_var x);
    void (*release)(void *user);
    void *user;
} gm_host_layer;

#define GM_HOST_LAYER_INIT                                                                         \
    {                                                                                              \
        sizeof(gm_host_layer), NULL, NULL, NULL, NULL                                              \
    }

/* Makes a host's layer. params: its parameters; the set is retained, and must be complete: it is
 * sealed (gm_params_seal); NULL: none. The layer can be saved if its type is registered
 * (gm_context_register_layer); otherwise saving it is GM_E_UNSUPPORTED. GM_E_INVALID also: apply
 * NULL, a bad type, params of another context. */
GM_API gm_status gm_layer_create_host(gm_layer **out, gm_context *context,
                                      const gm_host_layer *host, gm_params *params);

#ifdef __cplusplus
}
#endif

#endif
