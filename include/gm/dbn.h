/* gm/dbn.h - deep belief networks (Hinton, Osindero and Teh 2006; Goodfellow, Bengio and Courville
 * 2016, section 20.3): a restricted Boltzmann machine (gm/rbm.h) on top of a directed net of
 * sigmoid units like those of gm/sbn.h.
 *
 *     p(x, h_1, ..., h_L) = p(x | h_1) p(h_1 | h_2) ... p(h_(L-2) | h_(L-1)) p*(h_(L-1), h_L)
 *     p(h_(l-1,i) = 1 | h_l) = sigmoid(a_i + h_l W_i),     p*: the machine on top
 *
 * It is trained layer by layer. The first machine learns the rows. gm_dbn_grow freezes it: its
 * weights become the lowest directed layer, its factorial posterior q(h_1 | x) becomes the upward
 * pass, and a new machine learns the distribution of h_1 that q gives for the rows, in place of the
 * old one's p(h_1); and so on. With h_0 = x, each layer raises, or at least keeps, the bound
 *
 *     log p(x) >= E_q [sum_(l < L) (log p(h_(l-1) | h_l) - log q(h_l | h_(l-1)))
 *                      + log p*(h_(L-1))],
 *
 * as long as its machine models h better than the one below it. Where the sizes allow, it begins as
 * a copy of that one with the roles of visible and hidden units exchanged.
 */
#ifndef GM_DBN_H
#define GM_DBN_H

#include "gm/model.h"
#include "gm/rbm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_dbn gm_dbn;

#define GM_DBN_MAX_LAYERS 8 /* hidden layers */

typedef struct gm_dbn_options {
    size_t size;
    int32_t layer_count; /* hidden layers when fully grown, 1 to GM_DBN_MAX_LAYERS; no default */
    int32_t transpose; /* default 1: a new machine whose hidden layer is as wide as the layer below
                          its visible one begins with the transposed weights of the machine below,
                          so that the bound begins at that machine's log p(x); 0: never */
    /* their sizes, from the one above the visible layer up; at least 1 each. Copied */
    const int64_t *layers;
    int32_t draws; /* what is passed up to a new machine. 1 (default): draws from q(h | x); 0: its
                      probabilities, layer by layer. The bound and log_prob always use draws */
    int32_t reserved; /* 0 */
    /* options of the first machine, with its optimizer; NULL: defaults. Copied */
    const gm_rbm_options *rbm;
    int64_t log_prob_samples; /* draws per row in gm_model_log_prob; default 100, at least 1 */
} gm_dbn_options;

#define GM_DBN_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(gm_dbn_options), 0, 1, NULL, 1, 0, NULL, 100                                        \
    }

/* Makes a net with its first machine, ready to be fitted, over rows of `visible` values. *out is
 * NULL after a failure. GM_E_INVALID: NULL, an option out of range (named, with its value), a layer
 * of size 0 (which one); GM_E_STATE: the optimizer is bound already; GM_E_NOMEM. */
GM_API gm_status gm_dbn_create(gm_dbn **out, gm_context *context, int64_t visible,
                               const gm_dbn_options *options);
/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_dbn_retain(gm_dbn *dbn);
GM_API void gm_dbn_release(gm_dbn *dbn);

/* The view with the shared verbs. fit and step train only the uppermost machine, on the rows passed
 * up through q; the metrics are those of gm_rbm_model. Values of rows may be anything from 0 to 1.
 * sample: as many Gibbs steps in the top machine as its options say, then each layer given the one
 * above; the result is the probabilities of the visible units. log_prob: the importance estimate
 * (gm_dbn_log_prob) with log_prob_samples draws; with one machine it is exact up to the error of
 * log Z. save and load keep all machines, and how many there are so far. Borrowed.
 * gm_dbn_from_model: NULL if the model is of another family. */
GM_API gm_model *gm_dbn_model(gm_dbn *dbn);
GM_API gm_dbn *gm_dbn_from_model(gm_model *model);

GM_API int32_t gm_dbn_layers(const gm_dbn *dbn); /* hidden layers when fully grown */
GM_API int64_t gm_dbn_layer_size(const gm_dbn *dbn, int32_t layer); /* 0: visible; 0 out of range */
/* The number of hidden layers, that is of machines, so far; at least 1. */
GM_API int32_t gm_dbn_stage(const gm_dbn *dbn);
/* The machine between layers `layer` - 1 and `layer`, 1 to gm_dbn_stage; NULL otherwise. The
 * uppermost one is the undirected top: gm_rbm_ais estimates its log Z, and gm_rbm_set_log_z sets
 * it, for this net, too. The others are frozen: their weights may be read and written, but training
 * one is GM_E_STATE. All draw from the net's random stream. Borrowed. */
GM_API gm_rbm *gm_dbn_layer(gm_dbn *dbn, int32_t layer);

/* Freezes the uppermost machine and puts the next one on top of it. options: those of the new
 * machine, with its optimizer; NULL: defaults. Its weights are the transposed ones of the machine
 * below, or small and random with biases 0 (see `transpose`). From then on the model's optimizer is
 * the new machine's, and gm_model_params gives a new set: one borrowed before is no longer valid.
 * GM_E_STATE: fully grown, in the middle of a fit, or the optimizer is bound already; what
 * gm_rbm_create returns. The net is as before after a failure. */
GM_API gm_status gm_dbn_grow(gm_dbn *dbn, const gm_rbm_options *options);

/* gm_dbn_mean: the mean over a dataset (pass 0) of the uppermost machine's training data, into mean
 * [size of its visible layer]. gm_dbn_init_biases: sets that machine's visible biases to the logits
 * of this mean (kept 0.001 away from 0 and 1; Hinton 2012), which helps a machine that does not
 * begin as a copy. Both draw from the model's random stream if q draws. GM_E_INVALID: NULL, values
 * outside [0, 1]; GM_E_SHAPE: rows of another size; what the dataset returned; GM_E_NOMEM. */
GM_API gm_status gm_dbn_mean(gm_dbn *dbn, gm_dataset *data, float *mean);
GM_API gm_status gm_dbn_init_biases(gm_dbn *dbn, gm_dataset *data);

/* The upward pass without draws, for rows [count, visible]: the probabilities of each layer's units
 * given those of the layer below, up to `layer` (1 to gm_dbn_stage), into features [count, size of
 * that layer]. GM_E_INVALID: NULL, count < 1, no such layer, a value outside [0, 1] (row, column,
 * value); GM_E_NOMEM. */
GM_API gm_status gm_dbn_features(gm_dbn *dbn, const float *rows, int64_t count, int32_t layer,
                                 float *features);

/* The bound above for each row of bits, in nats, into bound [count]: the mean over samples h ~ q(h
 * | x). standard_error [count], if not NULL, receives its standard error over the samples (NaN for
 * one sample; 0 with one machine, whose log p(x) is exact). Memory does not grow with count or
 * samples. log Z of the top machine is the one set with gm_rbm_set_log_z, or the exact one if a
 * side has at most 20 units; its error is not part of standard_error. options NULL: all defaults.
 * GM_E_INVALID: NULL, count < 1, samples < 0, values that are not bits (row, column, value);
 * GM_E_STATE: log Z is not known; GM_E_CANCELLED; GM_E_NOMEM. */
GM_API gm_status gm_dbn_bound(gm_dbn *dbn, const float *rows, int64_t count,
                              const gm_log_prob_options *options, double *bound,
                              double *standard_error);

/* The log of the mean weight of such samples instead of the mean of the logs, into log_prob
 * [count]: an estimate of log p(x) that is too low on average, by less the more samples there are.
 * standard_error [count], if not NULL, is by the delta method. Statuses as gm_dbn_bound. */
GM_API gm_status gm_dbn_log_prob(gm_dbn *dbn, const float *rows, int64_t count,
                                 const gm_log_prob_options *options, double *log_prob,
                                 double *standard_error);

#ifdef __cplusplus
}
#endif

#endif
