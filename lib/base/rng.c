/* rng.c - gm_rng: a key, a stream and a position over the Philox kernels. */
#include "gm/rng.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/kernels.h"

/* Weyl and mixing constants of splitmix64 (Steele, Lea and Flood 2014): seeds that differ in one
 * bit give keys that differ in about half of them. */
uint64_t gm_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static gm_status create(gm_rng **out, gm_context *ctx, const gm_rng_state *state)
{
    gm_rng *rng = gm_memory_get_zero(&ctx->memory, sizeof *rng);
    if (!rng) return gm_fail_memory(ctx, "rng");
    gm_context_retain(ctx);
    rng->ctx = ctx;
    rng->owners = 1;
    rng->state = *state;
    *out = rng;
    return GM_OK;
}

gm_status gm_rng_create(gm_rng **out, gm_context *ctx, uint64_t seed)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "rng: context or out is NULL");
    gm_rng_state state = { gm_mix(seed), 0, 0, 0 };
    return create(out, ctx, &state);
}

void gm_rng_retain(gm_rng *rng)
{
    if (rng) rng->owners++;
}

void gm_rng_release(gm_rng *rng)
{
    if (!rng || --rng->owners > 0) return;
    gm_context *ctx = rng->ctx;
    gm_memory_put(&ctx->memory, rng, sizeof *rng);
    gm_context_release(ctx);
}

gm_status gm_rng_split(gm_rng **out, gm_rng *parent)
{
    if (out) *out = NULL;
    if (!out || !parent)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID,
                       "rng_split: parent or out is NULL");
    gm_rng_state *s = &parent->state;
    /* The child's key depends on the parent's key, stream and the child's number; its numbers come
     * from the cipher under another key. */
    gm_rng_state child = { gm_mix(s->key ^ gm_mix(s->stream ^ gm_mix(s->splits + 1))), 0, 0, 0 };
    gm_status status = create(out, parent->ctx, &child);
    if (!status) s->splits++;
    return status;
}

void gm_rng_seed(gm_rng *rng, uint64_t seed)
{
    if (!rng) return;
    gm_rng_state state = { gm_mix(seed), 0, 0, 0 };
    rng->state = state;
}

void gm_rng_save(gm_rng_state *out, const gm_rng *rng)
{
    if (rng && out) *out = rng->state;
}

void gm_rng_restore(gm_rng *rng, const gm_rng_state *state)
{
    if (rng && state) rng->state = *state;
}

uint64_t gm_rng_take(gm_rng *rng, int64_t n)
{
    uint64_t block = rng->state.position;
    rng->state.position += ((uint64_t)n + 3) / 4;
    return block;
}

static gm_status check(const gm_rng *rng, const void *array, int64_t count, const char *name)
{
    if (!rng) return GM_E_INVALID;
    if (count < 0)
        return gm_fail(rng->ctx, GM_E_INVALID, "%s: count is %lld, expected at least 0", name,
                       (long long)count);
    if (!array && count)
        return gm_fail(rng->ctx, GM_E_INVALID, "%s: the array to be filled is NULL", name);
    return GM_OK;
}

gm_status gm_rng_words(gm_rng *rng, int64_t count, uint32_t *words)
{
    gm_status status = check(rng, words, count, "rng_words");
    if (status) return status;
    const gm_rng_state s = rng->state;
    rng->ctx->kernels->philox_words(words, s.key, s.stream, gm_rng_take(rng, count), count);
    return GM_OK;
}

/* Long fills go over the team in runs of whole blocks. */
typedef struct fill_job {
    const gm_kernels *k;
    gm_rng_state state;
    float *out;
    const float *p;
    int normal;
    float scale, shift, below;
} fill_job;

/* y scale + shift, at most `below`: rounding may lift a number just under the end of [low, high)
 * onto it. Two roundings on every processor: written as two statements, so that no compiler fuses
 * them. */
static void place(float *y, float scale, float shift, float below, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float product = y[i] * scale;
        float sum = product + shift;
        y[i] = sum > below ? below : sum;
    }
}

static void fill_range(void *arg, int64_t begin, int64_t end)
{
    const fill_job *job = arg;
    uint64_t block = job->state.position + (uint64_t)begin / 4;
    float *out = job->out + begin;
    int64_t n = end - begin;
    if (job->p) {
        job->k->bernoulli(out, job->p + begin, job->state.key, job->state.stream, block, n);
        return;
    }
    if (job->normal)
        job->k->normal(out, job->state.key, job->state.stream, block, n);
    else
        job->k->uniform(out, job->state.key, job->state.stream, block, n);
    if (job->scale != 1 || job->shift != 0) place(out, job->scale, job->shift, job->below, n);
}

static void fill(gm_rng *rng, float *out, const float *p, int normal, double scale, double shift,
                 float below, int64_t n)
{
    fill_job job = { rng->ctx->kernels, rng->state,   out,  p, normal,
                     (float)scale,      (float)shift, below };
    (void)gm_rng_take(rng, n);
    gm_team_range(rng->ctx->team, n, GM_RNG_GRAIN, fill_range, &job);
}

gm_status gm_rng_uniform(gm_rng *rng, int64_t count, double low, double high, float *values)
{
    gm_status status = check(rng, values, count, "rng_uniform");
    if (status) return status;
    if (!(low <= high) || !(low >= -FLT_MAX) || !(high <= FLT_MAX) || !(high - low <= FLT_MAX))
        return gm_fail(
            rng->ctx, GM_E_INVALID,
            "rng_uniform: low is %g, high is %g, expected an interval [low, high) of floats", low,
            high);
    float first = (float)low, end = (float)high;
    float below = first < end ? nextafterf(end, first) : first;
    fill(rng, values, NULL, 0, high - low, low, below, count);
    return GM_OK;
}

gm_status gm_rng_normal(gm_rng *rng, int64_t count, double mean, double deviation, float *values)
{
    gm_status status = check(rng, values, count, "rng_normal");
    if (status) return status;
    if (!(fabs(mean) <= FLT_MAX) || !(deviation >= 0 && deviation <= FLT_MAX))
        return gm_fail(rng->ctx, GM_E_INVALID,
                       "rng_normal: mean is %g, deviation is %g, expected finite floats, the "
                       "deviation at least 0",
                       mean, deviation);
    fill(rng, values, NULL, 1, deviation, mean, INFINITY, count);
    return GM_OK;
}

gm_status gm_rng_bernoulli(gm_rng *rng, const float *p, int64_t count, float *values)
{
    gm_status status = check(rng, values, count, "rng_bernoulli");
    if (status) return status;
    if (!p && count) return gm_fail(rng->ctx, GM_E_INVALID, "rng_bernoulli: p is NULL");
    int64_t bad = count ? rng->ctx->kernels->find_outside(p, 0, 1, count) : count;
    if (bad < count)
        return gm_fail(rng->ctx, GM_E_INVALID,
                       "rng_bernoulli: probability %lld is %g, expected 0 to 1", (long long)bad,
                       (double)p[bad]);
    fill(rng, values, p, 0, 1, 0, INFINITY, count);
    return GM_OK;
}

/* One 64-bit word; takes one block. */
static uint64_t word64(gm_rng *rng)
{
    uint32_t w[2];
    const gm_rng_state s = rng->state;
    rng->ctx->kernels->philox_words(w, s.key, s.stream, gm_rng_take(rng, 2), 2);
    return (uint64_t)w[1] << 32 | w[0];
}

/* (a * b) >> 64 and the lower half, without a 128-bit type. */
static uint64_t multiply(uint64_t a, uint64_t b, uint64_t *low)
{
    uint64_t a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
    uint64_t mid = a1 * b0 + ((a0 * b0) >> 32);
    uint64_t mid2 = a0 * b1 + (mid & 0xffffffffu);
    *low = a * b;
    return a1 * b1 + (mid >> 32) + (mid2 >> 32);
}

/* Lemire 2019, "Fast random integer generation in an interval". */
int64_t gm_rng_below(gm_rng *rng, int64_t bound)
{
    if (!rng || bound < 1) return 0;
    uint64_t range = (uint64_t)bound, low;
    uint64_t high = multiply(word64(rng), range, &low);
    if (low < range) {
        uint64_t reject = (0 - range) % range;
        while (low < reject) high = multiply(word64(rng), range, &low);
    }
    return (int64_t)high;
}

double gm_rng_double(gm_rng *rng)
{
    return rng ? (double)(word64(rng) >> 11) * 0x1p-53 : 0;
}

gm_status gm_rng_permutation(gm_rng *rng, int64_t count, int64_t *permutation)
{
    gm_status status = check(rng, permutation, count, "rng_permutation");
    if (status) return status;
    for (int64_t i = 0; i < count; i++) permutation[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = gm_rng_below(rng, i + 1);
        int64_t t = permutation[i];
        permutation[i] = permutation[j];
        permutation[j] = t;
    }
    return GM_OK;
}
