/* random.h - what kernels_random.c gives to the table of its instruction set. */
#ifndef GM_KERNELS_ISA_RANDOM_H
#define GM_KERNELS_ISA_RANDOM_H

#include "kernels/isa/math.h"

void GM_ISA_NAME(gm_philox_words_)(uint32_t *y, uint64_t key, uint64_t stream, uint64_t block,
                                   int64_t n);
void GM_ISA_NAME(gm_uniform_)(float *y, uint64_t key, uint64_t stream, uint64_t block, int64_t n);
void GM_ISA_NAME(gm_normal_)(float *y, uint64_t key, uint64_t stream, uint64_t block, int64_t n);
void GM_ISA_NAME(gm_bernoulli_)(float *y, const float *p, uint64_t key, uint64_t stream,
                                uint64_t block, int64_t n);
void GM_ISA_NAME(gm_dropout_)(float *y, const float *x, float drop, uint64_t key, uint64_t stream,
                              uint64_t block, int64_t n, int add);

#endif
