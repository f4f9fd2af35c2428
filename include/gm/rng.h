/* gm/rng.h - random numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, 2011).
 *
 * A generator is a key, a stream number and a position. Its output depends on these alone, never on
 * the number of threads or the processor, so a saved state continues with the same numbers.
 */
#ifndef GM_RNG_H
#define GM_RNG_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_rng gm_rng;

/* All there is to a generator; plain data that may be stored. */
typedef struct gm_rng_state {
    uint64_t key;
    uint64_t stream;
    uint64_t position; /* next block of four 32-bit words */
    uint64_t splits;   /* children made so far */
} gm_rng_state;

/* A generator with the given seed. Statuses: GM_E_INVALID (NULL), GM_E_NOMEM. */
GM_API gm_status gm_rng_create(gm_rng **out, gm_context *context, uint64_t seed);
GM_API void gm_rng_retain(gm_rng *rng);
GM_API void gm_rng_release(gm_rng *rng);

/* A child whose numbers are independent of the parent's and of its other children's. Which child it
 * is depends on how many splits came before, not on how much was drawn. */
GM_API gm_status gm_rng_split(gm_rng **out, gm_rng *parent);

/* Starts anew from a seed. */
GM_API void gm_rng_seed(gm_rng *rng, uint64_t seed);

GM_API void gm_rng_save(gm_rng_state *out, const gm_rng *rng);
GM_API void gm_rng_restore(gm_rng *rng, const gm_rng_state *state);

/* Each fills n values (n >= 0) and advances by ceil(n / 4) blocks: what a call gives does not
 * depend on how the host cut earlier calls into threads. GM_E_INVALID: NULL, n negative, a
 * parameter out of range. */
GM_API gm_status gm_rng_words(gm_rng *rng, int64_t count, uint32_t *words);
GM_API gm_status gm_rng_uniform(gm_rng *rng, int64_t count, double low, double high,
                                float *values); /* [low, high) */
GM_API gm_status gm_rng_normal(gm_rng *rng, int64_t count, double mean, double deviation,
                               float *values);
/* 1 with probability p[i], else 0; p may be out. Probabilities outside [0, 1] are GM_E_INVALID, out
 * untouched. */
GM_API gm_status gm_rng_bernoulli(gm_rng *rng, const float *p, int64_t count, float *values);
/* A permutation of 0 .. n-1, uniform (Fisher and Yates; Lemire's unbiased bounded numbers). */
GM_API gm_status gm_rng_permutation(gm_rng *rng, int64_t count, int64_t *permutation);
/* One number. */
GM_API double gm_rng_double(gm_rng *rng); /* [0, 1), 53 bits */
GM_API int64_t gm_rng_below(gm_rng *rng,
                            int64_t bound); /* 0 .. bound-1, unbiased; 0 if bound < 1 */

#ifdef __cplusplus
}
#endif

#endif
