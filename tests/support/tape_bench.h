/* tape_bench.h - what the suites of the tape need: a tape and two parameters, in a context that
 * watches its memory. */
#ifndef GM_TESTS_TAPE_BENCH_H
#define GM_TESTS_TAPE_BENCH_H

#include "allocator.h"
#include "gm/ops.h"
#include "gm/tape.h"
#include "support.h"

static const int64_t two_three[2] = { 2, 3 };
static const float numbers[6] = { 1, -2, 3, -4, 5, -6 };

/* Parameters a, b of shape [2, 3], both in `all`, a alone in `only_a`. */
typedef struct bench {
    watched w;
    gm_context *ctx;
    gm_tape *tape;
    gm_param *a, *b;
    gm_params *all, *only_a;
} bench;

static inline gm_param *make_param(gm_context *ctx, const char *name, float first)
{
    gm_param *p = NULL;
    support_ok(ctx, gm_param_create(&p, ctx, name, 2, two_three));
    for (int i = 0; i < 6; i++) gm_param_value(p)[i] = first + (float)i;
    return p;
}

static inline void begin(bench *t, int32_t threads)
{
    gm_allocator a = watched_begin(&t->w, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    o.allocator = &a;
    o.threads = threads;
    ck_assert_int_eq(gm_context_create(&t->ctx, GM_HEADER_VERSION, &o), GM_OK);
    support_ok(t->ctx, gm_tape_create(&t->tape, t->ctx, NULL));
    t->a = make_param(t->ctx, "a", 1);
    t->b = make_param(t->ctx, "b", -2);
    support_ok(t->ctx, gm_params_create(&t->all, t->ctx));
    support_ok(t->ctx, gm_params_create(&t->only_a, t->ctx));
    support_ok(t->ctx, gm_params_add(t->all, NULL, t->a));
    support_ok(t->ctx, gm_params_add(t->all, NULL, t->b));
    support_ok(t->ctx, gm_params_add(t->only_a, NULL, t->a));
}

static inline void end(bench *t)
{
    gm_context_release(t->ctx);
    gm_param_release(t->a);
    gm_param_release(t->b);
    gm_params_release(t->all);
    gm_tape_release(t->tape);
    gm_params_release(t->only_a);
    ck_assert(watched_clean(&t->w));
}

static inline void fill_gradients(bench *t, float value)
{
    for (int i = 0; i < 6; i++) gm_param_gradient(t->a)[i] = gm_param_gradient(t->b)[i] = value;
}

static inline void is_invalid(bench *t, gm_var v)
{
    ck_assert_ptr_null(gm_value(t->tape, v));
    ck_assert_int_eq(gm_rank(t->tape, v), -1);
    ck_assert_ptr_null(gm_shape(t->tape, v));
    ck_assert_int_eq(gm_count(t->tape, v), 0);
    ck_assert(isnan(gm_scalar(t->tape, v)));
}

#endif
