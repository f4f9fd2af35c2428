/* norm_data.h - the inputs of the norm suites, as tests/reference/norm.py has them; their fixture.
 */
#ifndef GM_TESTS_NORM_DATA_H
#define GM_TESTS_NORM_DATA_H

#include "gm/norm.h"
#include "support.h"

static gm_context *ctx;
static gm_tape *t;
static uint64_t held_before;

static void setup(void)
{
    gm_memory_counters m;
    ctx = support_context(3, 2);
    gm_context_memory(&m, ctx);
    held_before = m.bytes;
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
}

static void teardown(void)
{
    gm_memory_counters m;
    gm_tape_release(t);
    gm_context_memory(&m, ctx);
    ck_assert_uint_eq(m.bytes, held_before);
    gm_context_release(ctx);
}

#define SHAPE(...)                                                                                 \
    (int32_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[])                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void fill(float *data, int64_t n, int64_t mul, int64_t mod, float scale)
{
    for (int64_t i = 0; i < n; i++) data[i] = (float)((i * mul) % mod - mod / 2) * scale;
}

static gm_var filled(gm_tape *tape, int variable, int32_t rank, const int64_t *shape, int64_t mul,
                     int64_t mod, float scale)
{
    static float data[100000];
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) n *= shape[i];
    ck_assert_int_le(n, 100000);
    fill(data, n, mul, mod, scale);
    return variable ? gm_variable(tape, rank, shape, data) : gm_input_copy(tape, rank, shape, data);
}

#endif
