/* rng.h - the inside of a generator. */
#ifndef GM_BASE_RNG_H
#define GM_BASE_RNG_H

#include "base/context.h"
#include "base/error.h"
#include "gm/rng.h"

/* Values a worker fills in one go: whole blocks of four. */
#define GM_RNG_GRAIN 16384

struct gm_rng {
    gm_context *ctx; /* retained */
    int64_t owners;
    gm_rng_state state;
};

uint64_t gm_mix(uint64_t x);
/* Moves on by the blocks that n values take; returns the first of them. */
uint64_t gm_rng_take(gm_rng *rng, int64_t n);

#endif
