/* gm/made.h - MADE, the masked autoencoder for distribution estimation (Germain, Gregor, Murray and
 * Larochelle 2015).
 *
 * A fully connected network whose weights are masked (gm/mask.h) so that output i depends only on
 * the columns before column i in an order: one pass gives all conditionals of p(x) = prod_i p(x_i |
 * the columns before it), so log p is exact at the cost of one pass.
 *
 *     int64_t hidden = 500;
 *     gm_made_options o = GM_MADE_OPTIONS_INIT;
 *     o.hidden = &hidden;
 *     s = gm_made_create(&made, ctx, 784, &o);
 *     if (!s) s = gm_model_fit(gm_made_model(made), digits, &fit);
 *     if (!s) s = gm_model_log_prob(gm_made_model(made), rows, count, nats);
 *
 * Mask sets. A set is an order and the degrees of all hidden units. With masks = 1 there is a
 * single set; with masks = N the updates go through N sets in turn; with masks = 0 each update uses
 * a new set. Set j is a function of mask_seed and j alone: sets are not stored, and a checkpoint
 * continues with the right one. Models with several sets are ensembles with shared weights:
 * log_prob is the log of the mean probability over the sets 0 ... orders - 1 (each of them exact),
 * and sampling draws one of these sets for each row, so that it samples the distribution that
 * log_prob evaluates. gm_autoregressive_order, _log_probs and _conditionals use set 0, and so do
 * _sample_given, _log_marginal and _impute.
 *
 * Orders. The order is natural, or the host's; with random_orders each set has a random one of its
 * own (order-agnostic training). The model can then condition exactly on any subset of columns,
 * with an order that begins with the given columns and the degrees of set 0.
 *
 * Connectivity. A unit cannot distinguish a masked input from one that is zero. With connectivity
 * weights U a layer is g(b + (W o M) x + (U o M) 1) (section 4.3 of the paper): U tells a unit
 * which inputs it is connected to, whatever their values. That is useful with several sets; with
 * one it only shifts the biases. U is zero at first. It doubles the number of weights.
 *
 * Weights are stored unmasked, and masked as they enter the products (gm_masked_linear): a weight
 * that one set masks is used by others. With a single set, the natural order and ascending degrees
 * (the defaults) about half of the arithmetic is skipped.
 *
 * Sampling follows the order and computes each hidden unit once, as soon as the columns that it
 * depends on are drawn: one row costs about one pass, not one pass for each column.
 *
 * The verbs are those of gm/model.h: fit, step, sample, log_prob, save. Metric: "loss", the mean of
 * -log p in nats per row; in a step for the set used in that step, in an evaluation as by log_prob
 * (for `orders` sets). gm/autoregressive.h describes the data of each kind. Parameters:
 * "hidden.0.weight" [units, inputs], "hidden.0.bias", ..., "output.weight", "output.bias",
 * "direct.weight"; with U a "connectivity" beside each "weight".
 */
#ifndef GM_MADE_H
#define GM_MADE_H

#include "gm/autoregressive.h"
#include "gm/mask.h"
#include "gm/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_made gm_made;

#define GM_MADE_MAX_LAYERS 16

typedef struct gm_made_options {
    size_t size;
    const int64_t *hidden; /* units of each hidden layer, `layers` numbers, read during the call;
                              NULL: 500 each */
    int32_t layers;        /* hidden layers, 0 to 16; default 1. 0 requires direct */
    int32_t activation; /* GM_ACTIVATION_* of hidden units; default GM_ACTIVATION_RELU. LEAKY_RELU
                           and ELU: with slope 0.1 and 1 */
    int32_t kind;       /* GM_CONDITIONAL_*; default GM_CONDITIONAL_BINARY */
    int32_t direct;     /* 1: direct weights from inputs to outputs as well; default 0 */
    int64_t classes;    /* of categorical data, 2 or more; default 2 */
    int64_t components; /* of mixtures, at least 1; default 5 */
    int32_t degrees;    /* GM_DEGREES_*; default GM_DEGREES_SPREAD. RANDOM: new ones in each set */
    int32_t random_orders; /* 1: a random order in each set; default 0 */
    /* the order of all sets, [columns], copied; NULL: natural. Not with random_orders */
    const int64_t *order;
    int64_t masks;  /* number of sets: N used in turn, or 0: a new one for each update; default 1 */
    int64_t orders; /* sets that log_prob averages over, at most `masks` where that is not 0;
                       default 0: all N sets, or 16 if masks is 0 */
    uint64_t mask_seed;   /* default 0: the context's seed */
    int32_t weight_init;  /* GM_INIT_* of all weights; default GM_INIT_GLOROT_UNIFORM. Biases are
                             zero at first */
    int32_t connectivity; /* 1: connectivity weights as well (above); default 0 */
    double weight_a, weight_b; /* as in gm_param_init; default 1, 0 */
    gm_optimizer *optimizer;   /* retained; NULL: Adam with its defaults */
} gm_made_options;

#define GM_MADE_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(gm_made_options), NULL, 1, GM_ACTIVATION_RELU, GM_CONDITIONAL_BINARY, 0, 2, 5,      \
            GM_DEGREES_SPREAD, 0, NULL, 1, 0, 0, GM_INIT_GLOROT_UNIFORM, 0, 1.0, 0.0, NULL         \
    }

/* Makes a model of rows of `columns` values. options: read during the call; NULL: all defaults. It
 * is allowed that the degrees of set 0 cut outputs off from all columns before theirs; a line in
 * the context's log then says how many outputs. GM_E_INVALID: NULL, columns < 1, a layer of 0
 * units, an option out of range (named), an order that is no permutation, more weights than can be
 * addressed; GM_E_STATE: the optimizer is bound already; GM_E_NOMEM; what gm_param_init returns for
 * weight_init. *out is NULL after a failure. */
GM_API gm_status gm_made_create(gm_made **out, gm_context *context, int64_t columns,
                                const gm_made_options *options);

GM_API void gm_made_retain(gm_made *made);
GM_API void gm_made_release(gm_made *made); /* accepts NULL */
/* The view with the shared verbs, borrowed; and the model behind a view, NULL if it is of another
 * family. NULL gives NULL. */
GM_API gm_model *gm_made_model(gm_made *made);
GM_API gm_made *gm_made_from_model(gm_model *model);

/* Sets and returns how many sets log_prob averages over and sampling draws from. GM_E_INVALID:
 * NULL, orders < 1, above `masks` where that is not 0. */
GM_API gm_status gm_made_set_orders(gm_made *made, int64_t orders);
GM_API int64_t gm_made_orders(const gm_made *made);
/* The options as they were given: masks, layers, and the hidden units of a layer (from 0). 0 for
 * NULL, and for a layer out of range. */
GM_API int64_t gm_made_masks(const gm_made *made);
GM_API int32_t gm_made_layers(const gm_made *made);
GM_API int64_t gm_made_units(const gm_made *made, int32_t layer);

/* The order and the degrees of a set (any number >= 0; below `masks` where that is not 0): into
 * order [columns], where order[k] is the column at place k, and degrees [hidden units], those of
 * all hidden units, layer after layer. Either array may be NULL. From the degrees
 * gm_mask_from_degrees makes the set's masks. GM_E_INVALID: made NULL, set out of range. */
GM_API gm_status gm_made_mask_set(gm_made *made, int64_t set, int64_t *order, int64_t *degrees);

#ifdef __cplusplus
}
#endif

#endif
