/* gm/rng.h - random numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, 2011).
 *
 * A random stream (gm_rng) is a key, a stream number and a position. Its output depends only on
 * these, not on the number of threads or the processor, so a saved state continues with the same
 * numbers.
 */
#ifndef GM_RNG_H
#define GM_RNG_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_rng gm_rng;

/* The whole state of a random stream: plain data that may be stored and restored in another
 * process. */
typedef struct gm_rng_state {
    uint64_t key;
    uint64_t stream;
    uint64_t position; /* next block of four 32-bit words */
    uint64_t splits;   /* children made so far */
} gm_rng_state;

/* Makes a random stream with the given seed. *out is NULL after a failure. GM_E_INVALID: NULL;
 * GM_E_NOMEM. */
GM_API gm_status gm_rng_create(gm_rng **out, gm_context *context, uint64_t seed);
/* Retain adds an owner, release removes one; both accept NULL. */
GM_API void gm_rng_retain(gm_rng *rng);
GM_API void gm_rng_release(gm_rng *rng);

/* A child whose numbers are independent of the parent's and of its other children's. Which child it
 * is depends on how many splits came before, not on how many numbers were drawn. Statuses as
 * gm_rng_create. */
GM_API gm_status gm_rng_split(gm_rng **out, gm_rng *parent);

/* Starts anew from a seed: the numbers are those of a stream created with it. */
GM_API void gm_rng_seed(gm_rng *rng, uint64_t seed);

/* Saves the state, and restores it: the numbers that follow are then the same again. With a NULL
 * argument nothing happens. */
GM_API void gm_rng_save(gm_rng_state *out, const gm_rng *rng);
GM_API void gm_rng_restore(gm_rng *rng, const gm_rng_state *state);

/* Each of these fills an array of the caller's with count values (count >= 0) and advances the
 * position by ceil(count / 4) blocks; the values do not depend on the number of threads.
 * GM_E_INVALID: NULL, count negative, low or high (mean, deviation) not finite or out of range,
 * high <= low; the array and the position are untouched then. */
GM_API gm_status gm_rng_words(gm_rng *rng, int64_t count, uint32_t *words);
/* Uniform in [low, high). */
GM_API gm_status gm_rng_uniform(gm_rng *rng, int64_t count, double low, double high, float *values);
/* Normal with this mean and standard deviation. */
GM_API gm_status gm_rng_normal(gm_rng *rng, int64_t count, double mean, double deviation,
                               float *values);
/* values[i] = 1 with probability p[i], else 0; values may be p itself. GM_E_INVALID also: a
 * probability outside [0, 1]. */
GM_API gm_status gm_rng_bernoulli(gm_rng *rng, const float *p, int64_t count, float *values);
/* A permutation of 0 .. count-1, uniform (Fisher and Yates; Lemire's unbiased bounded numbers). */
GM_API gm_status gm_rng_permutation(gm_rng *rng, int64_t count, int64_t *permutation);
/* A single number: uniform in [0, 1) with 53 bits; or one of 0 .. bound-1, without bias (0 if bound
 * is below 1). */
GM_API double gm_rng_double(gm_rng *rng);
GM_API int64_t gm_rng_below(gm_rng *rng, int64_t bound);

#ifdef __cplusplus
}
#endif

#endif
