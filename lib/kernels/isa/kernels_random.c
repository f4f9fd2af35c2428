/* kernels_random.c - counter-based random numbers: Philox4x32-10.
 *
 * Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
 *
 * Compiled once per instruction set, always with -ffp-contract=off: every step is then one
 * correctly rounded operation of IEEE 754, and a seed gives the same bits on every processor.
 */
#include "kernels/isa/random.h"

enum { LANES = 64, WORDS = 4 * LANES }; /* blocks worked on side by side */
enum { FEW = 32 };                      /* words that are sooner made one block at a time */

GM_INLINE void philox_round(uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3, uint32_t k0,
                            uint32_t k1)
{
    const uint64_t p = (uint64_t)*c0 * 0xd2511f53u;
    const uint64_t q = (uint64_t)*c2 * 0xcd9e8d57u;
    const uint32_t x1 = *c1, x3 = *c3;
    *c0 = (uint32_t)(q >> 32) ^ x1 ^ k0;
    *c1 = (uint32_t)q;
    *c2 = (uint32_t)(p >> 32) ^ x3 ^ k1;
    *c3 = (uint32_t)p;
}

/* Blocks block ... block + LANES - 1: word w of block b into c[w][b]. */
GM_APART void philox(uint32_t c[4][LANES], uint64_t key, uint64_t stream, uint64_t block)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int j = 0; j < LANES; j++) {
        const uint64_t b = block + (uint64_t)j;
        c[0][j] = (uint32_t)b;
        c[1][j] = (uint32_t)(b >> 32);
        c[2][j] = (uint32_t)stream;
        c[3][j] = (uint32_t)(stream >> 32);
    }
    GM_ROLLED for (int round = 0; round < 10; round++)
    {
        GM_LOOP for (int j = 0; j < LANES; j++)
            philox_round(&c[0][j], &c[1][j], &c[2][j], &c[3][j], k0, k1);
        k0 += 0x9e3779b9u; /* golden ratio */
        k1 += 0xbb67ae85u; /* sqrt 3 - 1 */
    }
}

static void words_run(uint32_t *y, uint64_t key, uint64_t stream, uint64_t block)
{
    uint32_t z[4][LANES];
    philox(z, key, stream, block);
    GM_LOOP for (int j = 0; j < LANES; j++)
    {
        y[4 * j] = z[0][j];
        y[4 * j + 1] = z[1][j];
        y[4 * j + 2] = z[2][j];
        y[4 * j + 3] = z[3][j];
    }
}

/* One block, for callers that need a number or two. */
static void philox_one(uint32_t c[4], uint64_t key, uint64_t stream, uint64_t block)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    c[0] = (uint32_t)block;
    c[1] = (uint32_t)(block >> 32);
    c[2] = (uint32_t)stream;
    c[3] = (uint32_t)(stream >> 32);
    GM_ROLLED for (int round = 0; round < 10; round++)
    {
        philox_round(&c[0], &c[1], &c[2], &c[3], k0, k1);
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
}

static void words_few(uint32_t *y, uint64_t key, uint64_t stream, uint64_t block, int64_t n)
{
    for (; n > 0; n -= 4, y += 4, block++) {
        uint32_t c[4];
        philox_one(c, key, stream, block);
        memcpy(y, c, (size_t)(n < 4 ? n : 4) * sizeof *y);
    }
}

void GM_ISA_NAME(gm_philox_words_)(uint32_t *y, uint64_t key, uint64_t stream, uint64_t block,
                                   int64_t n)
{
    for (int64_t at = 0; at < n; at += WORDS, block += LANES) {
        if (n - at >= WORDS) {
            words_run(y + at, key, stream, block);
        } else if (n - at <= FEW) {
            words_few(y + at, key, stream, block, n - at);
        } else {
            uint32_t last[WORDS];
            words_run(last, key, stream, block);
            memcpy(y + at, last, (size_t)(n - at) * sizeof *y);
        }
    }
}

/* The top 24 bits, all of which a float holds, in [0, 1). */
GM_INLINE float unit(uint32_t word)
{
    return (float)(int32_t)(word >> 8) * (float)5.9604644775390625e-8; /* 2^-24 */
}

/* Values for LANES blocks, in the order of the words. */
GM_INLINE void interleave(float *y, float z[4][LANES])
{
    GM_LOOP for (int j = 0; j < LANES; j++)
    {
        y[4 * j] = z[0][j];
        y[4 * j + 1] = z[1][j];
        y[4 * j + 2] = z[2][j];
        y[4 * j + 3] = z[3][j];
    }
}

GM_APART void uniform_run(float *y, uint64_t key, uint64_t stream, uint64_t block)
{
    uint32_t c[4][LANES];
    float z[4][LANES];
    philox(c, key, stream, block);
    for (int w = 0; w < 4; w++) GM_LOOP for (int j = 0; j < LANES; j++) z[w][j] = unit(c[w][j]);
    interleave(y, z);
}

void GM_ISA_NAME(gm_uniform_)(float *y, uint64_t key, uint64_t stream, uint64_t block, int64_t n)
{
    for (int64_t at = 0; at < n; at += WORDS, block += LANES) {
        if (n - at >= WORDS) {
            uniform_run(y + at, key, stream, block);
        } else {
            float last[WORDS];
            uniform_run(last, key, stream, block);
            memcpy(y + at, last, (size_t)(n - at) * sizeof *y);
        }
    }
}

/* Box and Muller 1958: two uniform numbers make two normal ones. The first is shifted into (0,
 * 1], where log is finite: no value exceeds sqrt(48 log 2) = 5.8. */
GM_INLINE void box_muller(float *first, float *second, uint32_t a, uint32_t b)
{
    float u = unit(a) + (float)5.9604644775390625e-8;
    float sine, cosine;
#ifdef GM_DOUBLE
    float radius = sqrt(-2.0 * log(u));
#else
    float radius = sqrtf(-2.0f * gm_log_normal(u, 0.0f));
#endif
    gm_sincos_turns(unit(b), &sine, &cosine);
    *first = radius * cosine;
    *second = radius * sine;
}

GM_APART void normal_run(float *y, uint64_t key, uint64_t stream, uint64_t block)
{
    uint32_t c[4][LANES];
    float z[4][LANES];
    philox(c, key, stream, block);
    for (int w = 0; w < 4; w += 2)
        GM_LOOP for (int j = 0; j < LANES; j++)
            box_muller(&z[w][j], &z[w + 1][j], c[w][j], c[w + 1][j]);
    interleave(y, z);
}

void GM_ISA_NAME(gm_normal_)(float *y, uint64_t key, uint64_t stream, uint64_t block, int64_t n)
{
    for (int64_t at = 0; at < n; at += WORDS, block += LANES) {
        if (n - at >= WORDS) {
            normal_run(y + at, key, stream, block);
        } else {
            float last[WORDS];
            normal_run(last, key, stream, block);
            memcpy(y + at, last, (size_t)(n - at) * sizeof *y);
        }
    }
}

void GM_ISA_NAME(gm_bernoulli_)(float *y, const float *p, uint64_t key, uint64_t stream,
                                uint64_t block, int64_t n)
{
    float u[WORDS];
    for (int64_t at = 0; at < n; at += WORDS, block += LANES) {
        int64_t m = n - at < WORDS ? n - at : WORDS;
        uniform_run(u, key, stream, block);
        GM_LOOP for (int64_t i = 0; i < m; i++) y[at + i] = u[i] < p[at + i] ? 1.0f : 0.0f;
    }
}

void GM_ISA_NAME(gm_dropout_)(float *y, const float *x, float drop, uint64_t key, uint64_t stream,
                              uint64_t block, int64_t n, int add)
{
    const float keep = 1.0f / (1.0f - drop);
    float u[WORDS];
    for (int64_t at = 0; at < n; at += WORDS, block += LANES) {
        int64_t m = n - at < WORDS ? n - at : WORDS;
        uniform_run(u, key, stream, block);
        GM_LOOP for (int64_t i = 0; i < m; i++) u[i] = x[at + i] * (u[i] >= drop ? keep : 0.0f);
        if (add)
            GM_LOOP for (int64_t i = 0; i < m; i++) y[at + i] += u[i];
        else
            memcpy(y + at, u, (size_t)m * sizeof *y);
    }
}
