/* bytes.h - numbers in files: fixed byte order, IEEE 754, whatever the host has. */
#ifndef GM_BASE_BYTES_H
#define GM_BASE_BYTES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define GM_BIG_ENDIAN 1
#else
#define GM_BIG_ENDIAN 0
#endif

static inline uint32_t gm_load_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t gm_load_le32(const unsigned char *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline uint64_t gm_load_le64(const unsigned char *p)
{
    return (uint64_t)gm_load_le32(p + 4) << 32 | gm_load_le32(p);
}

static inline void gm_store_le64(unsigned char *p, uint64_t x)
{
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(x >> (8 * i));
}

/* The value of the 32 bits of an IEEE single. */
static inline float gm_from_bits32(uint32_t bits)
{
#ifdef GM_DOUBLE
    int exponent = (int)(bits >> 23 & 0xff);
    double fraction = (double)(bits & 0x7fffff), v;
    if (exponent == 0xff)
        v = fraction != 0.0 ? (double)NAN : (double)INFINITY;
    else if (exponent)
        v = ldexp(fraction + 8388608.0, exponent - 150);
    else
        v = ldexp(fraction, -149);
    return bits >> 31 ? -v : v;
#else
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
#endif
}

/* The value of the 64 bits of an IEEE double. */
static inline double gm_from_bits64(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

#endif
