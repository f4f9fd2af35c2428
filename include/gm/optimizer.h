/* gm/optimizer.h - optimizers: gradients in, better parameters out.
 *
 * Create, set, bind, step:
 *
 *     gm_optimizer *adam = NULL;
 *     s = gm_adam_create(&adam, context, NULL);
 *     if (!s) s = gm_optimizer_set_clip_norm(adam, 1.0);
 *     if (!s) s = gm_optimizer_add(adam, gm_layer_params(net));
 *     ... gm_backward(tape, loss, gm_layer_params(net)) ...
 *     if (!s) s = gm_optimizer_step(adam);
 *
 * The method and its constants are fixed at creation; the rest may change between steps. Arrays of
 * the parameters' size (gradients, moments, averages, the weights of before a step) are taken when
 * they are first needed, by the first step at the latest, and kept: a later step takes no memory,
 * and a model that never trains holds none of them. The result of a step is the same bits whatever
 * number of threads the context has.
 *
 * Every function takes NULL: status functions return GM_E_INVALID, getters 0. Numbers given as
 * double must be finite. Calls that change a setting return GM_E_INVALID, nothing changed, when the
 * value is out of the range given.
 */
#ifndef GM_OPTIMIZER_H
#define GM_OPTIMIZER_H

#include "gm/archive.h"
#include "gm/params.h"
#include "gm/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_optimizer gm_optimizer;

/* Below, w is a weight, g its gradient after clipping and L2 decay (g + weight_decay w), r the rate
 * of the step. Ranges: rate and weight_decay >= 0; momentum, beta1, beta2, alpha and rho in [0, 1);
 * eps > 0. Otherwise the constructor returns GM_E_INVALID and names the option. All constructors:
 * options are read during the call, NULL: the defaults; GM_E_INVALID (context or out NULL),
 * GM_E_NOMEM; *out is NULL after a failure. */

/* Stochastic gradient descent: m = momentum m + g (the first step: m = g);
 * w -= r m, or w -= r (g + momentum m) with nesterov (Sutskever, Martens, Dahl and Hinton 2013, as
 * usually rewritten). */
typedef struct gm_sgd_options {
    size_t size;         /* set by the INIT macro */
    double rate;         /* 0.01 */
    double momentum;     /* 0 */
    int32_t nesterov;    /* 0 or 1; needs momentum > 0 */
    int32_t reserved;    /* 0 */
    double weight_decay; /* 0 */
} gm_sgd_options;
#define GM_SGD_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_sgd_options), 0.01, 0.0, 0, 0, 0.0                                               \
    }
GM_API gm_status gm_sgd_create(gm_optimizer **out, gm_context *context,
                               const gm_sgd_options *options);

/* Adam (Kingma and Ba 2015, algorithm 1): m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2)
 * g^2; w -= r m' / (sqrt(v') + eps) with m' = m / (1 - beta1^t), v' = v / (1 - beta2^t). decoupled
 * 1 makes AdamW (Loshchilov and Hutter 2019): the decay is not in g; instead w is first multiplied
 * by 1 - r weight_decay. */
typedef struct gm_adam_options {
    size_t size;
    double rate;         /* 0.001 */
    double beta1;        /* 0.9 */
    double beta2;        /* 0.999 */
    double eps;          /* 1e-8 */
    double weight_decay; /* 0 */
    int32_t decoupled;   /* 0 or 1 */
    int32_t reserved;    /* 0 */
} gm_adam_options;
#define GM_ADAM_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(gm_adam_options), 0.001, 0.9, 0.999, 1e-8, 0.0, 0, 0                                \
    }
GM_API gm_status gm_adam_create(gm_optimizer **out, gm_context *context,
                                const gm_adam_options *options);

/* RMSprop (Tieleman and Hinton 2012, lecture 6.5): v = alpha v + (1 - alpha) g^2; w -= r g /
 * (sqrt(v) + eps); with momentum: m = momentum m + g / (sqrt(v) + eps); w -= r m. */
typedef struct gm_rmsprop_options {
    size_t size;
    double rate;         /* 0.001 */
    double alpha;        /* 0.99 */
    double eps;          /* 1e-8 */
    double momentum;     /* 0 */
    double weight_decay; /* 0 */
} gm_rmsprop_options;
#define GM_RMSPROP_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_rmsprop_options), 0.001, 0.99, 1e-8, 0.0, 0.0                                    \
    }
GM_API gm_status gm_rmsprop_create(gm_optimizer **out, gm_context *context,
                                   const gm_rmsprop_options *options);

/* Adagrad (Duchi, Hazan and Singer 2011): v += g^2; w -= r g / (sqrt(v) + eps). */
typedef struct gm_adagrad_options {
    size_t size;
    double rate;         /* 0.01 */
    double eps;          /* 1e-10 */
    double weight_decay; /* 0 */
} gm_adagrad_options;
#define GM_ADAGRAD_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_adagrad_options), 0.01, 1e-10, 0.0                                               \
    }
GM_API gm_status gm_adagrad_create(gm_optimizer **out, gm_context *context,
                                   const gm_adagrad_options *options);

/* Adadelta (Zeiler 2012): v = rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) g; u = rho u
 * + (1 - rho) d^2; w -= r d. */
typedef struct gm_adadelta_options {
    size_t size;
    double rate;         /* 1 */
    double rho;          /* 0.9 */
    double eps;          /* 1e-6 */
    double weight_decay; /* 0 */
} gm_adadelta_options;
#define GM_ADADELTA_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(gm_adadelta_options), 1.0, 0.9, 1e-6, 0.0                                           \
    }
GM_API gm_status gm_adadelta_create(gm_optimizer **out, gm_context *context,
                                    const gm_adadelta_options *options);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_optimizer_retain(gm_optimizer *optimizer);
GM_API void gm_optimizer_release(gm_optimizer *optimizer);

/* "sgd", "adam", "rmsprop", "adagrad", "adadelta". Static text; "" for NULL. */
GM_API const char *gm_optimizer_kind(const gm_optimizer *optimizer);
GM_API gm_context *gm_optimizer_context(const gm_optimizer *optimizer);

/* Binds every parameter of the set: the parameters are retained, the set is only read. May be
 * called for several sets. Moments of new parameters are zero; an average that is on starts as the
 * weights (see gm_optimizer_set_average). An undo that is possible is given up. GM_E_INVALID: NULL,
 * another context, a parameter that is bound already; GM_E_NOMEM. Nothing is bound then. */
GM_API gm_status gm_optimizer_add(gm_optimizer *optimizer, const gm_params *params);
/* How many parameters are bound. */
GM_API int64_t gm_optimizer_params(const gm_optimizer *optimizer);

/* One update of all bound parameters from their gradients, which are only read. Parameters with no
 * gradient of late have whatever gm_backward last left there, or zeros. GM_E_STATE: nothing is
 * bound; the averages are swapped in. GM_E_NUMERIC: a gradient is NaN or infinite, the error line
 * names the parameter. GM_E_NOMEM, from the first step after parameters were bound or an ability
 * was switched on. Nothing is changed after a failure. */
GM_API gm_status gm_optimizer_step(gm_optimizer *optimizer);

/* How many steps were made since creation, reset or load. */
GM_API int64_t gm_optimizer_steps(const gm_optimizer *optimizer);
/* Norm of all gradients together, as the latest step found them, before clipping; 0 before the
 * first. */
GM_API double gm_optimizer_gradient_norm(const gm_optimizer *optimizer);

/* Moments to zero, steps to 0; averages, if on, start anew from the present weights. Parameters and
 * settings stay. No undo after it. GM_E_STATE: the averages are swapped in. */
GM_API gm_status gm_optimizer_reset(gm_optimizer *optimizer);

/* The base rate, at least 0. get_rate: what the next step will use, the schedule included. */
GM_API gm_status gm_optimizer_set_rate(gm_optimizer *optimizer, double rate);
GM_API double gm_optimizer_rate(const gm_optimizer *optimizer);

/* The momentum, in [0, 1): for methods that raise it while they train (Sutskever, Martens, Dahl and
 * Hinton 2013). What has gathered stays. SGD and RMSprop that were made with a momentum above 0; it
 * may become 0 and rise again. GM_E_INVALID: out of range, or 0 with nesterov; GM_E_STATE: made
 * without momentum, so there is no array for it; GM_E_UNSUPPORTED: a method without momentum. */
GM_API gm_status gm_optimizer_set_momentum(gm_optimizer *optimizer, double momentum);

/* The schedule, copied; NULL: a constant rate. It counts this optimizer's steps. */
GM_API gm_status gm_optimizer_set_schedule(gm_optimizer *optimizer, const gm_schedule *schedule);

/* Clipping, 0: off. By norm: gradients are scaled by limit / norm when the norm of all of them
 * together is above limit (Pascanu, Mikolov and Bengio 2013). By value: each element is clamped to
 * [-limit, limit] before that; the norm is always that of the gradients as given, so with both on
 * the result's norm is at most limit. */
GM_API gm_status gm_optimizer_set_clip_norm(gm_optimizer *optimizer, double limit);
GM_API gm_status gm_optimizer_set_clip_value(gm_optimizer *optimizer, double limit);

/* An exponential average of the weights, average = decay average + (1 - decay) w after each step
 * (Polyak and Juditsky 1992 in its exponential form). It starts as the weights that the first step,
 * swap or save after this call finds, and takes its memory there. decay in (0, 1); 0 switches it
 * off and frees it. Setting another decay while it is on keeps the average. GM_E_STATE: the
 * averages are swapped in. */
GM_API gm_status gm_optimizer_set_average(gm_optimizer *optimizer, double decay);
/* Exchanges weights and averages in place, for sampling and evaluating; call it again to go on
 * training. GM_E_STATE: no average is kept; GM_E_NOMEM, before the first step. */
GM_API gm_status gm_optimizer_swap_average(gm_optimizer *optimizer);
/* 0: no average; 1: one is kept; 2: it is swapped into the parameters now. */
GM_API int32_t gm_optimizer_average_on(const gm_optimizer *optimizer);

/* on 1: each step keeps the weights as they were before it (one more float a weight, taken by the
 * first); 0 frees them. GM_E_INVALID: neither 0 nor 1. */
GM_API gm_status gm_optimizer_set_undo(gm_optimizer *optimizer, int32_t on);
/* Puts back the weights of before the latest step. Once: GM_E_STATE when undo is off, no step was
 * made since it was switched on, it was undone already, or the averages are swapped in. Moments and
 * the step count keep what the step did; the average does not take that step in, unless
 * gm_optimizer_swap_average or a save came in between. */
GM_API gm_status gm_optimizer_undo(gm_optimizer *optimizer);

/* Writes kind, options, settings, schedule, steps, moments and averages into the archive (borrowed
 * for the call) under keys that begin with `prefix` (NULL: ""). Weights are not written: they are
 * the model's. An optimizer whose averages are swapped in is refused (GM_E_STATE). GM_E_NOMEM; what
 * gm/archive.h returns for names. */
GM_API gm_status gm_optimizer_save(gm_optimizer *optimizer, gm_archive *archive,
                                   const char *prefix);

/* Restores what gm_optimizer_save wrote into an optimizer of the same kind that is bound to as many
 * parameters of the same sizes in the same order: it continues bit for bit. (Either both have
 * momentum or neither, for kinds that may have it.) Options and settings become the stored ones.
 * All is checked before anything changes. GM_E_FORMAT: missing or bad entries, another kind;
 * GM_E_SHAPE: other parameters; GM_E_STATE: the averages are swapped in; GM_E_NOMEM. */
GM_API gm_status gm_optimizer_load(gm_optimizer *optimizer, gm_archive *archive,
                                   const char *prefix);

/* Makes an optimizer of the stored kind, options and settings, not bound to anything: bind the
 * parameters in the order in which they were bound before, then gm_optimizer_load. GM_E_FORMAT:
 * missing or bad entries; GM_E_UNSUPPORTED: a kind that this library does not know. */
GM_API gm_status gm_optimizer_load_new(gm_optimizer **out, gm_context *context, gm_archive *archive,
                                       const char *prefix);

#ifdef __cplusplus
}
#endif

#endif
