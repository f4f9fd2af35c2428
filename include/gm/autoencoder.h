/* gm/autoencoder.h - autoencoders: a code for each row, and the row back from it (Hinton and
 * Salakhutdinov 2006; Goodfellow, Bengio and Courville 2016, chapter 14).
 *
 * An encoder layer maps a row x to a code c(x), and a decoder layer maps codes back to rows. The
 * loss is the mean over the rows of a batch of one of
 *
 *   GM_RECONSTRUCTION_CROSS_ENTROPY  -sum_i [x_i log s(y_i) + (1 - x_i) log(1 - s(y_i))]
 *   GM_RECONSTRUCTION_SQUARED        sum_i (x_i - y_i)^2
 *
 * where y are the decoder's outputs. For the cross-entropy they are logits, s is the sigmoid and x
 * lies in [0, 1].
 *
 * Dropout layers in the encoder make it robust to missing parts of its input (Vincent et al. 2008);
 * they are active during training only, not when encoding.
 *
 * It is fitted as a whole, or first greedily layer by layer (gm_autoencoder_set_stage). By itself
 * it defines no distribution: log_prob and sample are GM_E_UNSUPPORTED. gm/gmmn.h learns one over
 * its codes.
 */
#ifndef GM_AUTOENCODER_H
#define GM_AUTOENCODER_H

#include "gm/layer.h"
#include "gm/model.h"
#include "gm/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_autoencoder gm_autoencoder;

#define GM_RECONSTRUCTION_CROSS_ENTROPY 0
#define GM_RECONSTRUCTION_SQUARED 1

typedef struct gm_autoencoder_options {
    size_t size;
    int32_t reconstruction;  /* GM_RECONSTRUCTION_*; default cross-entropy */
    int32_t reserved;        /* 0 */
    gm_optimizer *optimizer; /* retained; NULL: Adam with its defaults. Must not be bound yet */
} gm_autoencoder_options;

#define GM_AUTOENCODER_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(gm_autoencoder_options), GM_RECONSTRUCTION_CROSS_ENTROPY, 0, NULL                   \
    }

/* Makes an autoencoder for rows of `row_size` values: the encoder maps [n, row_size] to [n, code
 * size] (its output may have any rank; codes are flattened here), the decoder maps [n, code size]
 * to row_size values per row. Both are retained; their parameters appear as "encoder.*" and
 * "decoder.*". GM_E_INVALID: NULL, another context, row_size < 1, an option out of range (named,
 * with its value); GM_E_SHAPE: a layer does not take its input, or the decoder gives rows of
 * another size; GM_E_STATE: the optimizer is bound already; GM_E_NOMEM; the error that a sequence
 * keeps (gm_sequence_status). *out is NULL after a failure. */
GM_API gm_status gm_autoencoder_create(gm_autoencoder **out, gm_context *context, int64_t row_size,
                                       gm_layer *encoder, gm_layer *decoder,
                                       const gm_autoencoder_options *options);
/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_autoencoder_retain(gm_autoencoder *autoencoder);
GM_API void gm_autoencoder_release(gm_autoencoder *autoencoder);

/* The view with the shared verbs: fit, step, save, load. Its one metric is "loss". Borrowed. */
GM_API gm_model *gm_autoencoder_model(gm_autoencoder *autoencoder);
GM_API gm_autoencoder *gm_autoencoder_from_model(gm_model *model); /* NULL if of another family */
GM_API gm_layer *gm_autoencoder_encoder(const gm_autoencoder *autoencoder); /* borrowed */
GM_API gm_layer *gm_autoencoder_decoder(const gm_autoencoder *autoencoder); /* borrowed */
GM_API int64_t gm_autoencoder_code_size(const gm_autoencoder *autoencoder);

/* Greedy layerwise training (Bengio, Lamblin, Popovici and Larochelle 2007). Where encoder and
 * decoder are sequences with equally many linear parts, the i-th linear part of the encoder counted
 * from its input (with the parts before it, and the activations that follow it) pairs with the i-th
 * linear part of the decoder counted from its output. Returns the number of such pairs; 0 if these
 * layers do not pair. */
GM_API int64_t gm_autoencoder_pairs(const gm_autoencoder *autoencoder);
/* Sets what steps and fits train from now on. stage i = 1 .. pairs: only pair i, to reconstruct its
 * own input. For i = 1 that is the row (with the loss of the options), for i > 1 the output of the
 * encoder half of pair i - 1, computed without dropout (with the squared error). stage 0, the
 * initial one: the whole autoencoder. A change of stage resets the optimizer: moments belong to one
 * stage, and a schedule starts again in each. (Weight decay, if the optimizer has any, acts on the
 * other pairs too.) Files keep the stage. GM_E_INVALID: NULL, stage out of range; GM_E_SHAPE: the
 * pair's halves do not fit each other; GM_E_STATE: inside a fit, or the optimizer's averages are
 * swapped in; GM_E_NOMEM. After a failure the stage is unchanged. */
GM_API gm_status gm_autoencoder_set_stage(gm_autoencoder *autoencoder, int64_t stage);
GM_API int64_t gm_autoencoder_stage(const gm_autoencoder *autoencoder);

/* Encodes rows [count, row size] into codes [count, code size], and decodes codes into rows
 * (cross-entropy: s(y), else y). Both work in evaluation mode, on groups of rows, so that memory
 * does not grow with count; no heap allocation after the first call with that count. GM_E_INVALID:
 * NULL, count < 1; GM_E_NOMEM. */
GM_API gm_status gm_autoencoder_encode(gm_autoencoder *autoencoder, const float *rows,
                                       int64_t count, float *codes);
GM_API gm_status gm_autoencoder_decode(gm_autoencoder *autoencoder, const float *codes,
                                       int64_t count, float *rows);

/* The same on a tape: rows [n, row size] to codes [n, code size], codes to the decoder's outputs y.
 * The tape's mode decides whether dropout is active and gradients are recorded. */
GM_API gm_var gm_autoencoder_apply_encoder(gm_tape *tape, gm_autoencoder *autoencoder, gm_var rows);
GM_API gm_var gm_autoencoder_apply_decoder(gm_tape *tape, gm_autoencoder *autoencoder,
                                           gm_var codes);

#ifdef __cplusplus
}
#endif

#endif
