/* layer.h - the inside of a layer, and the table of built-in kinds.
 *
 * A built-in kind is one row of the table: what numbers describe it (saved as metadata), which
 * arrays it holds (saved as tensors), and how it is applied. Creating, loading and saving follow
 * from the row: a new kind needs no line elsewhere.
 */
#ifndef GM_NN_LAYER_H
#define GM_NN_LAYER_H

#include "autodiff/params.h"
#include "base/context.h"
#include "base/error.h"
#include "gm/conv.h"
#include "gm/layer.h"

#define GM_LAYER_INTS 16
#define GM_LAYER_REALS 4
#define GM_LAYER_ARRAYS 6
#define GM_LAYER_DEPTH 32      /* nested sequences */
#define GM_SEQUENCE_PARTS 4096 /* of one sequence, and of all that it nests, however often */
#define GM_LAYER_TYPE 32
#define GM_LAYER_ONES 2

typedef struct gm_layer_attrs {
    int64_t ints[GM_LAYER_INTS];
    double reals[GM_LAYER_REALS];
} gm_layer_attrs;

typedef struct gm_layer_array {
    const char *name;
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    int32_t state; /* 1: kept and saved, but not trained (running statistics) */
} gm_layer_array;

typedef struct gm_layer_kind {
    const char *name;
    int32_t row_wise; /* 1: see gm_layer_row_wise; of a layer that holds others: if they all are */
    const char *ints[GM_LAYER_INTS]; /* names of the attributes, ended by NULL */
    const char *reals[GM_LAYER_REALS];
    /* GM_E_INVALID when the attributes are out of range; may put unused ones in order. */
    gm_status (*check)(gm_context *ctx, gm_layer_attrs *attrs);
    /* The arrays that follow from checked attributes; how many. NULL: none. Attributes whose
     * product is too large show when the arrays are made. */
    int32_t (*arrays)(const gm_layer_attrs *attrs, gm_layer_array out[GM_LAYER_ARRAYS]);
    gm_var (*apply)(gm_layer *layer, gm_tape *tape, gm_var x);
    /* With the activation that follows the layer, in one operation. NULL: it cannot. */
    gm_var (*fused)(gm_layer *layer, gm_tape *tape, gm_var x, int32_t activation, double slope);
    /* The same with another weight in place of its first array, "weight", of rank 2 or more. NULL:
     * it has none. */
    gm_var (*with_weight)(gm_layer *layer, gm_tape *tape, gm_var weight, gm_var x,
                          int32_t activation, double slope);
    /* Puts arrays in order after they were filled from a file or anew. GM_E_INVALID: what they hold
     * cannot be. NULL: they are in order as they come. */
    gm_status (*settle)(gm_layer *layer);
    /* Puts the inner layer into one that has none yet: for its constructor and for files.
     * GM_E_INVALID: it does not fit; GM_E_UNSUPPORTED: it is of the wrong kind. NULL: the layer is
     * around no other. */
    gm_status (*hold)(gm_layer *layer, gm_layer *inner);
    /* Arrays that start at 1 instead of 0, and that gm_layer_init puts back there. */
    const char *ones[GM_LAYER_ONES];
} gm_layer_kind;

struct gm_layer {
    gm_context *ctx; /* retained */
    int64_t owners;
    const gm_layer_kind *kind;
    gm_layer_attrs attrs;
    gm_params *params; /* retained */
    gm_params *state;  /* arrays that are not trained, in a sequence its parts'; NULL: none */
    gm_layer *inner;   /* what a spectral norm or a residual layer is around; retained */

    /* A sequence. */
    gm_layer **parts; /* retained */
    int64_t count, room;
    int64_t leaves;   /* parts that are no sequences, nested ones included */
    int32_t depth;    /* of nested sequences and residual layers; 0: is neither */
    int32_t sealed;   /* is held by another or a model: takes no more parts */
    gm_status status; /* the first error, and its text */
    char text[256];

    /* A host's layer. */
    gm_host_layer host;
    char type[GM_LAYER_TYPE];
};

/* All kinds that files may name, one word each; a new one is its file, its word here, and its row
 * in the conformance list (tests/support/layers.h). */
/* clang-format off */
#define GM_LAYER_TABLE(X)                                                                          \
    X(linear) X(activation) X(dropout) X(embedding) X(reshape) X(flatten) X(maxout) X(sequence)    \
    X(residual) X(conv2d) X(conv_transpose2d) X(max_pool2d) X(avg_pool2d) X(upsample_nearest)      \
    X(pixel_shuffle) X(resize) X(batch_norm) X(layer_norm) X(group_norm) X(instance_norm)          \
    X(spectral_norm) X(masked_linear) X(masked_conv2d)
/* clang-format on */
#define GM_LAYER_DECLARE(word) extern const gm_layer_kind gm_kind_##word;
GM_LAYER_TABLE(GM_LAYER_DECLARE)
#undef GM_LAYER_DECLARE
extern const gm_layer_kind gm_kind_host;

/* The table; NULL-terminated. The host's is not among them. */
extern const gm_layer_kind *const gm_layer_kinds[];
const gm_layer_kind *gm_layer_kind_find(const char *name); /* NULL if there is none */

/* A layer with its arrays zero. attrs NULL: no attributes. */
gm_status gm_layer_make(gm_layer **out, gm_context *ctx, const gm_layer_kind *kind,
                        const gm_layer_attrs *attrs);
/* For sequence_add_...: GM_OK when `sequence` takes a part; and adding a layer that was just made
 * and is the sequence's alone (`made` is what its constructor returned). */
gm_status gm_sequence_ready(const gm_layer *sequence);
gm_status gm_sequence_add_made(gm_layer *sequence, gm_layer *part, gm_status made);
/* The part's parameters and state under the prefix, or neither: for layers that hold others. */
gm_status gm_layer_add_sets(gm_layer *layer, const char *prefix, const gm_layer *part);
/* What settles of a layer and of all its parts. */
gm_status gm_layer_settle(gm_layer *layer);
/* What the constructors of linear layers and convolutions do, for a kind with the same attributes.
 */
gm_status gm_linear_make(gm_layer **out_layer, gm_context *ctx, const gm_layer_kind *kind,
                         int64_t in, int64_t out, const gm_linear_options *options);
gm_status gm_conv_make(gm_layer **out, gm_context *ctx, const gm_layer_kind *kind, int64_t in,
                       int64_t channels, int64_t kernel_h, int64_t kernel_w,
                       const gm_conv_options *options);
/* Is this a name that a host's type of layer can have? GM_E_INVALID. */
gm_status gm_host_layer_check_type(gm_context *ctx, const char *type);
/* What follows a failed initialisation in a constructor: releases *out and sets it to NULL. */
gm_status gm_layer_drop(gm_layer **out, gm_status status);

#endif
