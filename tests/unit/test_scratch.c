/* test_scratch.c - the stack of working memory that a model keeps. */
#include "allocator.h"
#include "models/family.h"
#include "support.h"

typedef struct bench {
    watched host;
    gm_model model; /* nothing but its context and its scratch */
} bench;

static void begin(bench *b)
{
    gm_allocator a = watched_begin(&b->host, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    o.allocator = &a;
    memset(&b->model, 0, sizeof b->model);
    ck_assert_int_eq(gm_context_create(&b->model.ctx, GM_HEADER_VERSION, &o), GM_OK);
}

static void end(bench *b)
{
    gm_model_close_scratch(&b->model);
    gm_context_release(b->model.ctx);
    ck_assert(watched_clean(&b->host));
}

START_TEST(blocks_do_not_overlap)
{
    bench b;
    begin(&b);
    unsigned char *p[40];
    for (int i = 0; i < 40; i++) {
        const size_t size = (size_t)(1 + i * i * 7);
        p[i] = gm_model_take(&b.model, size);
        ck_assert_ptr_nonnull(p[i]);
        ck_assert_uint_eq((uintptr_t)p[i] % 64, 0);
        memset(p[i], i, size);
    }
    for (int i = 0; i < 40; i++)
        for (int k = 0; k < 1 + i * i * 7; k++) ck_assert_int_eq(p[i][k], i);
    end(&b);
}
END_TEST

START_TEST(giving_back_gives_the_same_place)
{
    bench b;
    begin(&b);
    ck_assert_ptr_nonnull(gm_model_take(&b.model, 100));
    const size_t mark = gm_model_mark(&b.model);
    void *first = gm_model_take(&b.model, 1000), *second = gm_model_take(&b.model, 50000);
    const int64_t calls = b.host.calls;
    for (int i = 0; i < 3; i++) {
        gm_model_give(&b.model, mark);
        ck_assert_ptr_eq(gm_model_take(&b.model, 1000), first);
        ck_assert_ptr_eq(gm_model_take(&b.model, 50000), second);
    }
    ck_assert_int_eq(b.host.calls, calls);
    gm_model_give(&b.model, 0);
    ck_assert_uint_eq(gm_model_mark(&b.model), 0);
    end(&b);
}
END_TEST

/* One call of a verb: nested takes of sizes that a number decides. */
static size_t take_some(gm_model *model, uint32_t *state, int depth)
{
    size_t peak = 0;
    for (int i = 0; i < 3; i++) {
        const size_t mark = gm_model_mark(model);
        *state = *state * 1664525u + 1013904223u;
        const size_t size = 1 + (*state >> 12) % 20000;
        ck_assert_ptr_nonnull(gm_model_take(model, size));
        const size_t above = depth ? take_some(model, state, depth - 1) : 0;
        if (size + 64 + above > peak) peak = size + 64 + above;
        gm_model_give(model, mark);
    }
    return peak;
}

/* Whatever came before: the second of two equal calls takes nothing; and what is kept is not much
 * more than the most that was ever taken at a time. */
START_TEST(a_second_call_takes_nothing)
{
    bench b;
    size_t most = 0;
    begin(&b);
    for (uint32_t seed = 1; seed < 60; seed++) {
        uint32_t state = seed;
        const size_t peak = take_some(&b.model, &state, 3);
        const int64_t calls = b.host.calls;
        state = seed;
        (void)take_some(&b.model, &state, 3);
        ck_assert_int_eq(b.host.calls, calls);
        if (peak > most) most = peak;
    }
    ck_assert_uint_le(b.model.scratch.total, 4 * most);
    end(&b);
}
END_TEST

START_TEST(no_memory_leaves_it_as_it_was)
{
    bench b;
    begin(&b);
    ck_assert_ptr_null(gm_model_take(&b.model, 0));
    ck_assert_ptr_null(gm_model_take(&b.model, SIZE_MAX));
    ck_assert_ptr_nonnull(gm_model_take(&b.model, 200));
    const size_t mark = gm_model_mark(&b.model), total = b.model.scratch.total;
    b.host.fail_at = b.host.calls;
    ck_assert_ptr_null(gm_model_take(&b.model, 5000));
    ck_assert_uint_eq(gm_model_mark(&b.model), mark);
    ck_assert_uint_eq(b.model.scratch.total, total);
    ck_assert_ptr_nonnull(gm_model_take(&b.model, 5000));
    end(&b);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("scratch");
    TCase *t = tcase_create("scratch");
    tcase_add_test(t, blocks_do_not_overlap);
    tcase_add_test(t, giving_back_gives_the_same_place);
    tcase_add_test(t, a_second_call_takes_nothing);
    tcase_add_test(t, no_memory_leaves_it_as_it_was);
    suite_add_tcase(s, t);
    return s;
}
