/* gm/tape.h - reverse-mode automatic differentiation by recording.
 *
 * A tape records operations as they are computed and then runs them backwards (the chain rule;
 * Griewank and Walther 2008, ch. 3). One step of training:
 *
 *     gm_tape_reset(tape);
 *     gm_var x    = gm_input(tape, batch);
 *     gm_var h    = gm_tanh(tape, gm_apply(tape, encoder, x));
 *     gm_var loss = gm_mean(tape, gm_bce_with_logits(tape, gm_apply(tape, decoder, h), x));
 *     s = gm_backward(tape, loss, params);
 *     if (!s) s = gm_optimizer_step(adam);
 *
 * Operations need no check: the first failure sticks to the tape, later operations do nothing and
 * return an invalid variable, and gm_backward (or gm_tape_status) returns that first status. The
 * context's error line names the operation and the shapes.
 *
 * Everything that a recording creates belongs to the tape: values are valid until the next reset,
 * and nothing is released by hand. Storage is kept across resets: after the first step, steps with
 * the same shapes do no heap allocation. The operations themselves are in gm/ops.h and gm/loss.h;
 * layers (gm_apply) in gm/layer.h; gradients that are variables themselves (second derivatives) in
 * gm/gradient.h.
 */
#ifndef GM_TAPE_H
#define GM_TAPE_H

#include "gm/params.h"
#include "gm/rng.h"
#include "gm/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_tape gm_tape;

/* A value on a tape: the number of its recording and its index there. Plain data; copy it freely.
 * Using a variable of an earlier recording, or of another tape, is detected (GM_E_STALE). recording
 * 0 is never valid. */
typedef struct gm_var {
    uint32_t recording;
    uint32_t index;
} gm_var;

#define GM_TAPE_TRAIN 1    /* dropout drops, batch norm uses the batch's statistics */
#define GM_TAPE_CONSTANT 2 /* no gradients wanted: parameters are recorded as constants */

/* Makes a tape in training mode. rng: where dropout and gm_randn draw from; retained; NULL: the
 * tape makes its own from the context's seed. GM_E_INVALID: NULL; GM_E_NOMEM. Retain adds an owner,
 * release removes one; both accept NULL. */
GM_API gm_status gm_tape_create(gm_tape **out, gm_context *context, gm_rng *rng);
GM_API void gm_tape_retain(gm_tape *tape);
GM_API void gm_tape_release(gm_tape *tape);
GM_API gm_context *gm_tape_context(const gm_tape *tape);
GM_API gm_rng *gm_tape_rng(const gm_tape *tape);

/* Forgets the recording: variables become stale, the sticking failure is cleared, storage is kept.
 */
GM_API void gm_tape_reset(gm_tape *tape);

/* GM_TAPE_* bits, for the operations recorded from now on. Survives a reset. Default GM_TAPE_TRAIN.
 */
GM_API void gm_tape_set_mode(gm_tape *tape, int32_t mode);
GM_API int32_t gm_tape_mode(const gm_tape *tape);

/* GM_OK, or the first failure since the last reset. */
GM_API gm_status gm_tape_status(const gm_tape *tape);

/* Makes `status`, with `text` as its line, the tape's failure (unless it has failed already) and
 * returns an invalid variable: for hosts that compose their own operations from these. */
GM_API gm_var gm_tape_fail(gm_tape *tape, gm_status status, const char *text);

/* Records an input without copying it: the data must not change before the next reset. gm_input
 * retains the tensor until then; gm_input_array borrows the array until then. GM_E_INVALID: NULL,
 * or the tensor of another context. */
GM_API gm_var gm_input(gm_tape *tape, gm_tensor *tensor);
GM_API gm_var gm_input_array(gm_tape *tape, int32_t rank, const int64_t *shape, const float *data);
/* The same with a copy of the data. */
GM_API gm_var gm_input_copy(gm_tape *tape, int32_t rank, const int64_t *shape, const float *data);
/* A constant with all elements equal to value; rank 0 for a scalar. */
GM_API gm_var gm_constant(gm_tape *tape, int32_t rank, const int64_t *shape, double value);
/* Noise drawn from the tape's rng: N(0, 1) (gm_randn), and uniform on [0, 1) (gm_rand). Constants
 * for gm_backward. */
GM_API gm_var gm_randn(gm_tape *tape, int32_t rank, const int64_t *shape);
GM_API gm_var gm_rand(gm_tape *tape, int32_t rank, const int64_t *shape);

/* A parameter's present value (not copied: do not update it between recording and gm_backward). */
GM_API gm_var gm_parameter(gm_tape *tape, gm_param *param);

/* The values, rank, shape and number of elements of a variable. Pointers are valid until the next
 * reset. An invalid variable gives NULL, rank -1, count 0. */
GM_API const float *gm_value(const gm_tape *tape, gm_var v);
GM_API int32_t gm_rank(const gm_tape *tape, gm_var v);
GM_API const int64_t *gm_shape(const gm_tape *tape, gm_var v);
GM_API int64_t gm_count(const gm_tape *tape, gm_var v);
/* The one element of a one-element variable, NaN for others. */
GM_API double gm_scalar(const gm_tape *tape, gm_var v);
/* Copies the value into values [count]; count must be gm_count(v). GM_E_SHAPE: another count;
 * GM_E_STALE; or the status that sticks to the tape. */
GM_API gm_status gm_read(gm_tape *tape, gm_var v, int64_t count, float *values);

/* Gradients of `loss` (one element) with respect to every parameter in `wrt`, into the parameters'
 * gradients (gm_param_gradient): each is overwritten, with zeros where the loss does not depend on
 * it. Parameters outside `wrt` are constants, and only what lies between those in `wrt` and the
 * loss is computed. Either it completes or every gradient is as before: allocation precedes
 * computation. The recording stays; gm_backward may be called again, for another loss or set. State
 * that operations update in training (running statistics, gm/norm.h) takes its new value when this
 * completes, whatever the loss and set, once for each recording of an operation: not after a
 * failure, not a second time when it is called again, and not when the tape is reset first. No
 * state is written when a new value is NaN or infinite. Returns the status that sticks to the tape;
 * GM_E_STALE; GM_E_SHAPE: loss does not have exactly one element; GM_E_INVALID: NULL, another
 * context; GM_E_NOMEM; what a host's backward callback returned. */
GM_API gm_status gm_backward(gm_tape *tape, gm_var loss, const gm_params *wrt);

/* The same, but adds to the gradients: for sums over several mini-batches. */
GM_API gm_status gm_backward_add(gm_tape *tape, gm_var loss, const gm_params *wrt);

/* After gm_backward: the gradient with respect to a variable made by gm_variable, gm_count floats,
 * until the next gm_backward or reset; NULL for any other variable, and where the loss does not
 * depend on it. */
GM_API const float *gm_gradient_of(const gm_tape *tape, gm_var v);

/* As gm_input_copy, but gm_backward computes its gradient, whatever `wrt` is (wrt may then be
 * NULL). */
GM_API gm_var gm_variable(gm_tape *tape, int32_t rank, const int64_t *shape, const float *data);

/* A host's own operation. `infer` receives the inputs' shapes and sets the output's rank and shape
 * (room for GM_MAX_RANK sizes), or returns a status; `forward` computes the output; `backward` adds
 * to (never overwrites) the gradients of the inputs, which are NULL for inputs that need none.
 * infer and forward run in gm_host, backward in gm_backward, on the calling thread. A failing
 * callback's status sticks to the tape with the operation's name. */
typedef struct gm_op_view {
    size_t size;
    int32_t inputs;
    const int32_t *ranks; /* of each input */
    const int64_t *const *shapes;
    const float *const *values; /* NULL in infer */
    int32_t rank;               /* of the output */
    const int64_t *shape;
    float *value;            /* written by forward, read by backward */
    const float *gradient;   /* of the output, in backward */
    float *const *gradients; /* of the inputs, in backward */
} gm_op_view;

typedef struct gm_host_op {
    size_t size;
    const char *name; /* kept as a pointer until the next reset */
    gm_status (*infer)(void *user, const gm_op_view *view, int32_t *rank, int64_t *shape);
    gm_status (*forward)(void *user, const gm_op_view *view);
    gm_status (*backward)(void *user, const gm_op_view *view); /* NULL: the result is a constant */
    void *user;
} gm_host_op;

#define GM_HOST_OP_INIT                                                                            \
    {                                                                                              \
        sizeof(gm_host_op), NULL, NULL, NULL, NULL, NULL                                           \
    }

/* Records the host's operation on `count` (1 to 16) inputs. The struct is copied. */
GM_API gm_var gm_host(gm_tape *tape, const gm_host_op *op, const gm_var *inputs, int32_t count);

#ifdef __cplusplus
}
#endif

#endif
