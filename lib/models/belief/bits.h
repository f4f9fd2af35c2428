/* bits.h - nets of binary units: checks, biases from data (bits.c). Lines begin with the family's
 * name and the verb. */
#ifndef GM_MODELS_BELIEF_BITS_H
#define GM_MODELS_BELIEF_BITS_H

#include "models/family.h"

/* An option that is a whole number. GM_E_INVALID names the first outside its range, with its value.
 */
typedef struct gm_model_range {
    const char *name;
    int64_t value, least, most;
} gm_model_range;
gm_status gm_model_check_ranges(gm_context *ctx, const char *who, const gm_model_range *ranges,
                                size_t count);
/* Are rows [n, width] bits, or else from 0 to 1? Are both arrays there, and n at least 1? Is there
 * a dataset of the model's rows? */
gm_status gm_model_check_bits(gm_model *model, const char *verb, int bits, const float *rows,
                              int64_t n, int64_t width);
gm_status gm_model_check_arrays(gm_model *model, const char *verb, const void *rows, int64_t n,
                                const void *out);
gm_status gm_model_check_init(gm_model *model, const char *verb, gm_dataset *data);
/* The means of a dataset's columns, for `start`: [row_size], in scratch, which
 * the caller gives back. */
gm_status gm_model_bit_means(gm_model *model, gm_dataset *data, float **out);
/* The logit of a mean that is kept 0.001 away from 0 and 1 (Hinton 2012). */
float gm_model_bias_of_mean(float mean);

#endif
