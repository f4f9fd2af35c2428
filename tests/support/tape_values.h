/* tape_values.h - what suites of operations share: a tape, shapes and values in a line, what a
 * variable should hold and how the tape should fail. */
#ifndef GM_TESTS_TAPE_VALUES_H
#define GM_TESTS_TAPE_VALUES_H

#include "gm/ops.h"
#include "support.h"

static gm_context *ctx;
static gm_tape *t;

static inline void setup(void)
{
    ctx = support_context(3, 2);
    ck_assert_int_eq(gm_tape_create(&t, ctx, NULL), GM_OK);
}

static inline void teardown(void)
{
    gm_tape_release(t);
    gm_context_release(ctx);
    t = NULL;
}

#define SHAPE(...)                                                                                 \
    (int32_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[])                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define FLOATS(...) ((float[]){ __VA_ARGS__ })
#define AXES(...) ((int32_t[]){ __VA_ARGS__ })

static inline int same(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* A variable of the shape, values 0, 1, 2 ... */
static inline gm_var ramp(int32_t rank, const int64_t *shape)
{
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) n *= shape[i];
    float *data = calloc((size_t)(n ? n : 1), sizeof *data);
    for (int64_t i = 0; i < n; i++) data[i] = (float)i;
    gm_var v = gm_variable(t, rank, shape, data);
    free(data);
    return v;
}

static inline void expect_shape(gm_var v, int32_t rank, const int64_t *shape)
{
    ck_assert_msg(gm_tape_status(t) == GM_OK, "%s", gm_context_error(ctx));
    ck_assert_int_eq(gm_rank(t, v), rank);
    for (int32_t i = 0; i < rank; i++) ck_assert_int_eq(gm_shape(t, v)[i], shape[i]);
}

static inline void expect(gm_var v, int32_t rank, const int64_t *shape, const float *values)
{
    expect_shape(v, rank, shape);
    for (int64_t i = 0; i < gm_count(t, v); i++)
        ck_assert_msg(fabsf(gm_value(t, v)[i] - values[i]) <= 2e-6f * (1 + fabsf(values[i])),
                      "element %lld is %.9g, expected %.9g", (long long)i,
                      (double)gm_value(t, v)[i], (double)values[i]);
}

/* The call fails the tape with this status and a line that has these texts; the tape is reset after
 * it. */
static inline void fails(gm_var v, gm_status status, const char *a, const char *b, const char *c)
{
    const char *line = gm_context_error(ctx);
    ck_assert_int_eq(v.recording, 0);
    ck_assert_msg(gm_tape_status(t) == status, "%s instead of %s: %s",
                  gm_status_name(gm_tape_status(t)), gm_status_name(status), line);
    ck_assert_msg(strstr(line, a) == line, "\"%s\" does not begin with \"%s\"", line, a);
    ck_assert_msg(strstr(line, b) && strstr(line, c), "\"%s\" lacks \"%s\" or \"%s\"", line, b, c);
    gm_tape_reset(t);
}

#endif
