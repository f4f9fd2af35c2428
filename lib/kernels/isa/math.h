/* math.h - exp, log and their kin for one number, written so that a loop over them vectorises.
 *
 * No branch, no table, no library call: only adds, multiplies, selects and integer steps on the
 * bits. The polynomials are minimax fits (Remez exchange) of the function that each comment names.
 * In the double build of the tests `float` is double, and libm takes their place.
 *
 * At most 2 ULP: exp, expm1, log. At most 4 ULP: tanh, sigmoid, softplus. Infinities, subnormals
 * and signed zeros come out as libm has them; NaN stays NaN.
 */
#ifndef GM_KERNELS_ISA_MATH_H
#define GM_KERNELS_ISA_MATH_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* One loop pass does not depend on another: arrays are the same one or do not overlap. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"
#define GM_LOOP _Pragma("clang loop vectorize(assume_safety)")
#define GM_ROLLED _Pragma("clang loop unroll(disable)")
#define GM_INLINE static inline __attribute__((always_inline, unused))
#elif defined(__GNUC__)
#define GM_LOOP _Pragma("GCC ivdep")
#define GM_ROLLED _Pragma("GCC unroll 1")
#define GM_INLINE static inline __attribute__((always_inline, unused))
#else
#define GM_LOOP
#define GM_ROLLED
#define GM_INLINE static inline
#endif

/* Functions that several others call, kept out of line: the table is built three times, and size
 * adds up. */
#if defined(__GNUC__)
#define GM_APART static __attribute__((noinline))
#else
#define GM_APART static
#endif

#define GM_PASTE_(a, b) a##b
#define GM_PASTE(a, b) GM_PASTE_(a, b)
/* gm_isa_uniform_v4: what the sources of one instruction set share with each other. */
#define GM_ISA_NAME(stem) GM_PASTE(stem, GM_ISA)

#ifdef GM_DOUBLE

GM_INLINE float gm_exp(float x)
{
    return exp(x);
}
GM_INLINE float gm_expm1(float x)
{
    return expm1(x);
}
GM_INLINE float gm_log(float x)
{
    return log(x);
}
GM_INLINE float gm_log1p_unit(float y)
{
    return log1p(y);
}
GM_INLINE float gm_tanh(float x)
{
    return tanh(x);
}
GM_INLINE float gm_normal_cdf_of(float x)
{
    return 0.5 * erfc(-0.70710678118654752440 * x);
}
GM_INLINE float gm_exp_beyond(float x)
{
    if (x - x != 0) return x < 0 ? -x : x;
    return fabs(x) < 1e-3 ? x * x * (0.5 + x / 6 + x * x / 24 + x * x * x / 120) : expm1(x) - x;
}

GM_INLINE void gm_sincos_turns(float turns, float *sine, float *cosine)
{
    const float tau = (float)6.283185307179586476925;
    *sine = sin(tau * turns);
    *cosine = cos(tau * turns);
}

#else

GM_INLINE int32_t gm_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

GM_INLINE float gm_from_bits(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Modulo 2^32: on NaN and negative numbers the bits mean nothing, but must not overflow. */
GM_INLINE int32_t gm_shift_bits(float x, uint32_t down)
{
    return (int32_t)((uint32_t)gm_bits(x) - down);
}

/* 2^n for -126 <= n <= 127 */
GM_INLINE float gm_power2(int32_t n)
{
    return gm_from_bits((int32_t)((uint32_t)(n + 127) << 23));
}

/* x = n log 2 + r with |r| <= log(2)/2. Adding 1.5 * 2^23 rounds to a whole number and leaves it
 * in the low bits. log 2 is cut in two, the upper part short enough for n times it to be exact.
 * Returns e^r - 1. */
GM_INLINE float gm_exp_reduce(float x, int32_t *n)
{
    const float magic = 12582912.0f;
    float shifted = x * 1.44269504f + magic;
    float whole = shifted - magic;
    float r = x - whole * 0.693359375f;
    r = r - whole * -2.12194440e-4f;
    *n = gm_shift_bits(shifted, 0x4b400000u);

    /* (e^r - 1 - r) / r^2, relative error of e^r 2^-28 */
    float p = 1.38144679e-3f;
    p = p * r + 8.36878041e-3f;
    p = p * r + 4.16683942e-2f;
    p = p * r + 1.66665201e-1f;
    p = p * r + 4.99999934e-1f;
    return r + (r * r) * p;
}

GM_INLINE float gm_exp(float x)
{
    int32_t n;
    float c = x > 89.0f ? 89.0f : x;
    c = c < -104.0f ? -104.0f : c;
    float p = gm_exp_reduce(c, &n);
    /* In two steps, so that 2^128 and results below the normal range come out rounded once. */
    int32_t half = n >> 1;
    return ((1.0f + p) * gm_power2(half)) * gm_power2(n - half);
}

/* 2^n ((e^r - 1) + (1 - 2^-n)) */
GM_INLINE float gm_expm1(float x)
{
    int32_t n;
    float c = x > 89.0f ? 89.0f : x;
    c = c < -40.0f ? -40.0f : c;
    float p = gm_exp_reduce(c, &n);
    int32_t half = n >> 1;
    int32_t capped = n > 100 ? 100 : n; /* 2^-100 and less vanish beside 1 */
    float y = ((p + (1.0f - gm_power2(-capped))) * gm_power2(half)) * gm_power2(n - half);
    return x == 0.0f ? x : y;
}

/* e^x - 1 - x, which is never below 0: near 0, where the terms cancel to x^2/2, by its series. */
GM_INLINE float gm_exp_beyond(float x)
{
    float c = x > 0.5f ? 0.5f : x;
    c = c < -0.5f ? -0.5f : c;
    float p = 2.48015873e-5f;
    p = p * c + 1.98412698e-4f;
    p = p * c + 1.38888889e-3f;
    p = p * c + 8.33333333e-3f;
    p = p * c + 4.16666667e-2f;
    p = p * c + 1.66666667e-1f;
    p = p * c + 0.5f;
    const float e = gm_expm1(x);
    const float far = e < HUGE_VALF ? e - x : e;
    return c == x ? (x * x) * p : far;
}

/* tail(f) with log(1 + f) = f + tail(f), -1/4 <= f <= 1/2; `low` is added to the tail. */
GM_INLINE float gm_log_tail(float f, float low)
{
    /* (log(1 + f) - f + f^2/2) / f^3, relative error of log(1 + f) 2^-27.6 */
    float p = -4.50747835e-2f;
    p = p * f + 1.04630192e-1f;
    p = p * f + -1.31611920e-1f;
    p = p * f + 1.44783949e-1f;
    p = p * f + -1.66473123e-1f;
    p = p * f + 1.99908613e-1f;
    p = p * f + -2.50000958e-1f;
    p = p * f + 3.33334491e-1f;
    float z = f * f;
    return ((f * z) * p + low) - 0.5f * z;
}

/* log of a positive, finite, normal number */
GM_INLINE float gm_log_normal(float x, float exponent)
{
    int32_t e = gm_shift_bits(x, 0x3f400000u) >> 23; /* x = 2^e m, 3/4 <= m < 3/2 */
    float f = gm_from_bits(gm_shift_bits(x, (uint32_t)e << 23)) - 1.0f;
    float whole = (float)e + exponent;
    return (f + gm_log_tail(f, whole * -2.12194440e-4f)) + whole * 0.693359375f;
}

GM_INLINE float gm_log(float x)
{
    const float inf = HUGE_VALF;
    int below = x < FLT_MIN;
    float y = gm_log_normal(below ? x * 8388608.0f : x, below ? -23.0f : 0.0f);
    y = x < inf ? y : x; /* infinity and NaN */
    y = x == 0.0f ? -inf : y;
    return x < 0.0f ? inf - inf : y;
}

/* log(1 + y) for 0 <= y <= 1, small against y itself */
GM_INLINE float gm_log1p_unit(float y)
{
    int upper = y >= 0.5f;
    float f = upper ? (y - 1.0f) * 0.5f : y; /* log(1 + y) = log 2 + log(1 + (y - 1)/2) */
    float base = upper ? 0.693147181f : 0.0f;
    return (f + gm_log_tail(f, 0.0f)) + base;
}

/* With t = e^(-2|x|) - 1: tanh |x| = -t / (t + 2) */
GM_INLINE float gm_tanh(float x)
{
    float size = fabsf(x);
    float t = gm_expm1(-2.0f * size);
    return copysignf(-t / (t + 2.0f), x);
}

/* The standard normal distribution function, half of erfc(z) for z = |x| / sqrt(2), by the rational
 * Chebyshev fit of Press et al. (Numerical Recipes, section 6.2: relative error below 1.2e-7). At
 * most 16 ULP above -5; below, that of x^2 in the exponent is added. */
GM_INLINE float gm_normal_cdf_of(float x)
{
    const float z = fabsf(x) * 0.707106781f;
    const float t = 1.0f / (1.0f + 0.5f * z);
    float p = 0.17087277f;
    p = p * t + -0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t + -1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t + -0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    p = p * t + -1.26551223f;
    const float half = z < 20.0f                ? 0.5f * t * gm_exp(p - 0.5f * (x * x))
                       : z < 1e30f || z > 1e30f ? 0.0f
                                                : z;
    return x > 0.0f ? 1.0f - half : half;
}

/* sin and cos of 2 pi `turns`, 0 <= turns < 1, error about 2^-24 */
GM_INLINE void gm_sincos_turns(float turns, float *sine, float *cosine)
{
    const float magic = 12582912.0f;
    float shifted = turns * 4.0f + magic;
    float r = turns - (shifted - magic) * 0.25f; /* exact, |r| <= 1/8 */
    int32_t quarter = gm_bits(shifted);
    float z = r * r;

    float s = -75.3935628f; /* sin(2 pi r) / r in r^2 */
    s = s * z + 81.5923536f;
    s = s * z + -41.3416615f;
    s = s * z + 6.28318529f;
    s = s * r;
    float c = 59.2459643f; /* (cos(2 pi r) - 1) / r^2 in r^2 */
    c = c * z + -85.4437417f;
    c = c * z + 64.9393265f;
    c = c * z + -19.7392087f;
    c = c * z + 1.0f;

    float a = quarter & 1 ? c : s;
    float b = quarter & 1 ? s : c;
    *sine = quarter & 2 ? -a : a;
    *cosine = (quarter + 1) & 2 ? -b : b;
}

#endif

GM_INLINE float gm_normal_density(float x)
{
    return (float)0.39894228040143267794 * gm_exp(-0.5f * (x * x));
}

/* Both sides from e^-|x|, which cannot overflow. */
GM_INLINE float gm_sigmoid(float x)
{
    float e = gm_exp(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

GM_INLINE float gm_softplus(float x)
{
    return (x > 0.0f ? x : 0.0f) + gm_log1p_unit(gm_exp(-fabsf(x)));
}

#endif
