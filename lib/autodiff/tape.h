/* tape.h - the inside of the tape: nodes, the op table, and the calls an op's functions get.
 *
 * An operation is one row of the op table (ops/): infer checks shapes and sets the output's,
 * forward computes it, backward turns the output's gradient into the inputs'. Recording is eager:
 * gm_record infers, allocates from the arena, computes.
 */
#ifndef GM_AUTODIFF_TAPE_H
#define GM_AUTODIFF_TAPE_H

#include "autodiff/params.h"
#include "base/context.h"
#include "base/error.h"
#include "gm/tape.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"

#define GM_MAX_INPUTS 16

typedef struct gm_op gm_op;
typedef struct gm_node gm_node;
typedef struct gm_chain gm_chain;

struct gm_node {
    const gm_op *op; /* NULL for leaves: input, constant, noise, parameter */
    int32_t inputs;
    int32_t rank;
    uint32_t *input; /* indices, in the arena */
    void *attr;      /* the op's attributes, in the arena */
    float *saved;    /* scratch that forward leaves for backward; gm_infer.saved floats */
    int64_t shape[GM_MAX_RANK];
    int64_t count;
    float *value;
    float *grad;           /* NULL when no gradient is wanted */
    gm_param *param;       /* of a parameter leaf */
    uint8_t requires_grad; /* a path leads from here to a parameter or variable (at record time) */
    uint8_t variable;      /* leaf made by gm_variable */
    uint8_t reached;       /* this pass: a parameter or variable it is asked about lies below */
    uint8_t needed;  /* this pass: reached, and the loss lies above: its gradient is computed */
    int32_t written; /* this pass has stored into grad already */
};

/* What an op's functions see. */
typedef struct gm_call {
    gm_tape *tape;
    gm_context *ctx;
    const gm_kernels *k;
    gm_team *team;
    const gm_op *op;
    const void *attr;
    int32_t inputs;
    const gm_node *in[GM_MAX_INPUTS];
    gm_node
        *out; /* infer fills rank and shape; forward fills value; backward reads grad and value */
    int64_t saved; /* infer sets how many floats `saved` needs (0) */
    int32_t alias; /* infer may set to 1: the output's value IS input 0's storage (reshape,
                      stop_gradient) */
    /* backward: where the gradient of input i goes: NULL if not wanted; add[i] says whether to add
     * or to store. When the same variable is given twice, the second occurrence has add = 1. */
    float *grad[GM_MAX_INPUTS];
    int add[GM_MAX_INPUTS];
    gm_status failed; /* only a host's backward can fail: with this */
} gm_call;

struct gm_op {
    const char *name;
    int32_t arity;                    /* -1: any number from 1 to GM_MAX_INPUTS */
    gm_status (*infer)(gm_call *c);   /* the only place for shape checks; fails through gm_fail */
    gm_status (*forward)(gm_call *c); /* may fail on values (an index out of range) */
    void (*backward)(gm_call *c); /* never fails; the output's grad may be overwritten as scratch.
                                     NULL: constant */
    /* The same as backward, but recorded: the inputs' gradients as operations on the tape, so that
     * they can be differentiated again (gradient.h). NULL: gm_gradient does not get past this op,
     * and names it. */
    void (*gradient)(gm_chain *c);
};

typedef struct gm_held {
    struct gm_held *next;
    gm_tensor *tensor;
} gm_held;

/* A new value of a parameter that is state (a running statistic), waiting for gm_backward. */
typedef struct gm_pending {
    struct gm_pending *next;
    gm_param *param; /* borrowed, as by gm_parameter */
    float *value;    /* param->count floats in the arena */
} gm_pending;

struct gm_tape {
    gm_context *ctx; /* retained */
    gm_rng *rng;     /* retained */
    int64_t owners;
    int32_t mode;
    int32_t shapes_only; /* nothing is computed: variables have shapes, and no values (NULL) */
    gm_status status;
    int32_t in_op; /* a callback of a host's operation is running */
    uint32_t recording;
    gm_arena values;    /* nodes, attributes, values: until the next reset */
    gm_arena gradients; /* until the next gm_backward */
    gm_node **nodes;
    int64_t count, room;
    gm_held *held; /* input tensors, retained until the next reset */
    void *work; /* 64-byte aligned; one workspace for all operations, as large as the largest asked
                   for */
    size_t work_size;
    gm_pending *pending; /* state to be written when gm_backward completes; newest first */
};

/* Records op on inputs. attr is copied into the arena. */
gm_var gm_record(gm_tape *tape, const gm_op *op, const gm_var *inputs, int32_t count,
                 const void *attr, size_t attr_size);
gm_var gm_record1(gm_tape *tape, const gm_op *op, gm_var a, const void *attr, size_t attr_size);
gm_var gm_record2(gm_tape *tape, const gm_op *op, gm_var a, gm_var b, const void *attr,
                  size_t attr_size);
gm_var gm_record3(gm_tape *tape, const gm_op *op, gm_var a, gm_var b, gm_var c, const void *attr,
                  size_t attr_size);

/* May the tape be recorded on, swept, or reset? In a callback of a host's operation it may not:
 * GM_E_STATE sticks. */
gm_status gm_tape_check_free(gm_tape *tape, const char *what);
/* NULL (and the tape fails with GM_E_STALE) when v is not of this recording. */
gm_node *gm_tape_node(gm_tape *tape, gm_var v);
/* Makes a status whose text is already in the context stick; returns the invalid variable. */
gm_var gm_tape_stick(gm_tape *tape, gm_status status);
/* Scratch until the next reset. NULL: the tape fails with GM_E_NOMEM. */
void *gm_tape_scratch(gm_tape *tape, size_t size);
/* Makes the tape's workspace at least `size` bytes; it is one for all operations, kept across
 * resets, and whoever computes may overwrite it. An op asks in infer for what its forward and
 * backward need. GM_E_NOMEM. */
gm_status gm_tape_reserve(gm_tape *tape, const char *what, size_t size);
/* Where an operation puts the new value of `param`, a parameter that is state. It holds the present
 * value, that which an earlier operation of the recording left there included. When gm_backward
 * completes it becomes the parameter's value; a reset before that drops it. NULL: the tape fails
 * with GM_E_NOMEM. */
float *gm_tape_stage(gm_tape *tape, gm_param *param);
/* Ends of the above: writes what is waiting, all or, when something of it is not finite, nothing;
 * forgets it. */
void gm_tape_commit(gm_tape *tape);
/* Takes the blocks that n values of the tape's random stream need, for an op to use. */
void gm_tape_draw(gm_tape *tape, int64_t n, uint64_t *key, uint64_t *stream, uint64_t *block);

/* The table of all built-in ops, for the test that demands a gradient check of each.
 * NULL-terminated. */
extern const gm_op *const gm_op_table[];

/* The op behind gm_host; its name is in the attribute. */
extern const gm_op gm_op_host;
const gm_host_op *gm_host_of(const gm_node *node);

/* Elementwise ranges smaller than this run on the caller alone (floats). */
#define GM_GRAIN 16384

#endif
