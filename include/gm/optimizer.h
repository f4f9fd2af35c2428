/* gm/optimizer.h - optimizers: they update parameters from their gradients.
 *
 * Create, configure, bind parameters, step:
 *
 *     gm_optimizer *adam = NULL;
 *     s = gm_adam_create(&adam, context, NULL);
 *     if (!s) s = gm_optimizer_set_clip_norm(adam, 1.0);
 *     if (!s) s = gm_optimizer_add(adam, gm_layer_params(net));
 *     ... gm_backward(tape, loss, gm_layer_params(net)) ...
 *     if (!s) s = gm_optimizer_step(adam);
 *
 * The method and its constants are fixed at creation; the rest may change between steps. Arrays of
 * the parameters' size (gradients, moments, averages, the weights from before a step) are allocated
 * when they are first needed, by the first step at the latest, and kept: later steps allocate
 * nothing, and a model that never trains has none of them. The result of a step is bit for bit the
 * same for any number of threads.
 *
 * Every function accepts NULL: functions with a status return GM_E_INVALID, getters 0. Numbers
 * given as double must be finite. Functions that change a setting return GM_E_INVALID and change
 * nothing when the value is out of range.
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
 * eps > 0. Otherwise the constructor returns GM_E_INVALID and names the option. For all
 * constructors: options are read during the call; NULL: the defaults, which stand beside the
 * members below. GM_E_INVALID also: context or out NULL; GM_E_NOMEM; *out is NULL after a failure.
 */

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
 * called for several sets. Moments of new parameters are zero; an average that is on starts from
 * the weights (see gm_optimizer_set_average). A pending undo is discarded. GM_E_INVALID: NULL,
 * another context, a parameter that is bound already; GM_E_NOMEM. After a failure nothing is bound.
 */
GM_API gm_status gm_optimizer_add(gm_optimizer *optimizer, const gm_params *params);
/* How many parameters are bound. */
GM_API int64_t gm_optimizer_params(const gm_optimizer *optimizer);

/* One update of all bound parameters from their gradients, which are only read. The gradient of a
 * parameter is whatever gm_backward last left there, or zeros. GM_E_STATE: nothing is bound, or the
 * averages are swapped in. GM_E_NUMERIC: a gradient is NaN or infinite (the error line names the
 * parameter). GM_E_NOMEM: only in the first step after parameters were bound or a feature was
 * switched on. After a failure nothing is changed. */
GM_API gm_status gm_optimizer_step(gm_optimizer *optimizer);

/* The number of steps since creation or reset, plus those of a loaded state. */
GM_API int64_t gm_optimizer_steps(const gm_optimizer *optimizer);
/* The norm of all gradients together in the latest step, before clipping; 0 before the first. */
GM_API double gm_optimizer_gradient_norm(const gm_optimizer *optimizer);

/* Sets moments and the step count to zero; averages, if on, start anew from the present weights.
 * Parameters and settings stay. It cannot be undone, and a pending undo is discarded. GM_E_STATE:
 * the averages are swapped in. */
GM_API gm_status gm_optimizer_reset(gm_optimizer *optimizer);

/* Sets the base rate, at least 0. gm_optimizer_rate returns the rate that the next step will use,
 * with the schedule. */
GM_API gm_status gm_optimizer_set_rate(gm_optimizer *optimizer, double rate);
GM_API double gm_optimizer_rate(const gm_optimizer *optimizer);

/* Sets the momentum, in [0, 1), for example to raise it during training (Sutskever, Martens, Dahl
 * and Hinton 2013). The accumulated velocity stays. Only for SGD and RMSprop created with a
 * momentum above 0; it may then be set to 0 and raised again. GM_E_INVALID: out of range, or 0 with
 * nesterov; GM_E_STATE: made without momentum, so there is no array for it; GM_E_UNSUPPORTED: a
 * method without momentum. */
GM_API gm_status gm_optimizer_set_momentum(gm_optimizer *optimizer, double momentum);

/* Sets the schedule, which is copied; NULL: a constant rate. It counts this optimizer's steps.
 * GM_E_INVALID: as gm_schedule_check. */
GM_API gm_status gm_optimizer_set_schedule(gm_optimizer *optimizer, const gm_schedule *schedule);

/* Clipping, 0: off. By norm: gradients are scaled by limit / norm when the norm of all of them
 * together is above limit (Pascanu, Mikolov and Bengio 2013). By value: each element is first
 * clamped to [-limit, limit]. The norm used is always that of the unclamped gradients, so with both
 * on the norm of the result is at most the limit of the norm. */
GM_API gm_status gm_optimizer_set_clip_norm(gm_optimizer *optimizer, double limit);
GM_API gm_status gm_optimizer_set_clip_value(gm_optimizer *optimizer, double limit);

/* An exponential average of the weights, average = decay average + (1 - decay) w after each step
 * (Polyak and Juditsky 1992 in its exponential form). It starts from the weights at the first step,
 * swap or save after this call, which is also when its memory is allocated. decay in (0, 1); 0
 * switches it off and frees it. Setting another decay while it is on keeps the average. GM_E_STATE:
 * the averages are swapped in. */
GM_API gm_status gm_optimizer_set_average(gm_optimizer *optimizer, double decay);
/* Exchanges weights and averages in place, for sampling and evaluation; call it again before
 * training goes on. GM_E_STATE: no average is kept; GM_E_NOMEM, before the first step. */
GM_API gm_status gm_optimizer_swap_average(gm_optimizer *optimizer);
/* 0: no average; 1: one is kept; 2: it is swapped into the parameters now. */
GM_API int32_t gm_optimizer_average_on(const gm_optimizer *optimizer);

/* on 1: each step keeps a copy of the weights from before it (one more float per weight, allocated
 * by the first step); 0 frees the copy. GM_E_INVALID: neither 0 nor 1. */
GM_API gm_status gm_optimizer_set_undo(gm_optimizer *optimizer, int32_t on);
/* Puts back the weights from before the latest step. Only that step can be undone: GM_E_STATE when
 * undo is off, no step was made since it was switched on, the step was undone already, or the
 * averages are swapped in. Moments and the step count keep the effect of the step; the average does
 * not, unless gm_optimizer_swap_average or a save came in between. */
GM_API gm_status gm_optimizer_undo(gm_optimizer *optimizer);

/* Writes kind, options, settings, schedule, steps, moments and averages into the archive (borrowed
 * for the call) under keys that begin with `prefix` (NULL: ""). Weights are not written: they are
 * the model's. GM_E_STATE: the averages are swapped in; GM_E_NOMEM; what gm/archive.h returns for
 * names. */
GM_API gm_status gm_optimizer_save(gm_optimizer *optimizer, gm_archive *archive,
                                   const char *prefix);

/* Restores what gm_optimizer_save wrote into an optimizer of the same kind that is bound to as many
 * parameters of the same sizes in the same order: it continues bit for bit. (For kinds that may
 * have momentum, either both have it or neither.) Options and settings become the stored ones.
 * Everything is checked before anything changes. GM_E_FORMAT: missing or bad entries, another kind;
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
