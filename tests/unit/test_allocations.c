/* test_allocations.c - a verb that is called again with as many rows takes nothing from the
 * allocator. */
#include "models/family.h"
#include "verbs.h"

static uint64_t allocations(const gm_context *ctx)
{
    gm_memory_counters now;
    gm_context_memory(&now, ctx);
    return now.allocations;
}

/* A model that nothing was done with, and ROWS rows of bits for it. */
static gm_context *prepare(room *r, int which)
{
    gm_context *ctx = support_context(5, 1);
    memset(r, 0, sizeof *r);
    r->model = family_make(ctx, which, &verbs_size);
    const int64_t columns = gm_model_row_size(r->model), shape[2] = { ROWS, columns };
    room_fill(r);
    support_ok(ctx, gm_dataset_from_memory(&r->data, ctx, 2, shape, r->rows));
    return ctx;
}

static void finish(gm_context *ctx, room *r)
{
    gm_dataset_release(r->data);
    gm_model_release(r->model);
    gm_context_release(ctx);
}

/* Each verb alone; then again, with two counts. What it took of the scratch it gives back. */
START_TEST(a_verb_called_again_takes_nothing)
{
    static const int64_t counts[2] = { 3, ROWS - 1 };
    static room r;
    for (int v = 0; v < VERB_COUNT; v++) {
        gm_context *ctx = prepare(&r, _i);
        uint64_t before = 0;
        for (int call = 0; verb_of(r.model, v) && call < 6; call++) {
            const int64_t count = counts[call % 2];
            support_ok(ctx, verbs[v].call(&r, count));
            const uint64_t now = allocations(ctx);
            ck_assert_msg(call < 2 || now == before,
                          "%s: %s of %lld rows, called again, allocates %llu times",
                          families[_i].name, verbs[v].name, (long long)count,
                          (unsigned long long)(now - before));
            ck_assert_msg(gm_model_mark(r.model) == 0, "%s: %s keeps scratch", families[_i].name,
                          verbs[v].name);
            before = now;
        }
        finish(ctx, &r);
    }
}
END_TEST

/* Every verb is some family's, and every family has verbs of the table. */
START_TEST(the_table_is_used)
{
    static room r;
    int used[VERB_COUNT] = { 0 };
    for (int f = 0; f < FAMILY_COUNT; f++) {
        gm_context *ctx = prepare(&r, f);
        int of_family = 0;
        for (int v = 0; v < VERB_COUNT; v++) {
            of_family += verb_of(r.model, v);
            used[v] += verb_of(r.model, v);
        }
        ck_assert_msg(of_family > 0, "%s has no verb in the table", families[f].name);
        finish(ctx, &r);
    }
    for (int v = 0; v < VERB_COUNT; v++)
        ck_assert_msg(used[v] > 0, "no family has %s", verbs[v].name);
    int listed = 0;
    while (gm_families[listed]) listed++;
    ck_assert_int_eq(listed, FAMILY_COUNT);
}
END_TEST

typedef struct watch {
    gm_context *ctx;
    uint64_t before;
    int64_t updates; /* of later epochs, that took memory */
} watch;

static int32_t look(void *user, const gm_fit_report *p)
{
    watch *w = user;
    const uint64_t now = allocations(w->ctx);
    if (p->epoch > 0 && now != w->before) w->updates++;
    w->before = now;
    return 0;
}

/* The first epoch has batches of every size that the others have. */
START_TEST(updates_after_the_first_epoch_take_nothing)
{
    static room r;
    gm_context *ctx = prepare(&r, _i);
    watch w = { .ctx = ctx };
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 4;
    fit.batch = 6;
    fit.on_report = look;
    fit.user = &w;
    if (gm_model_supports(r.model, GM_VERB_FIT)) {
        support_ok(ctx, gm_model_fit(r.model, r.data, &fit));
        ck_assert_int_eq(w.updates, 0);
    }
    finish(ctx, &r);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("allocations");
    TCase *t = tcase_create("allocations");
    tcase_add_test(t, the_table_is_used);
    tcase_add_loop_test(t, a_verb_called_again_takes_nothing, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, updates_after_the_first_epoch_take_nothing, 0, FAMILY_COUNT);
    suite_add_tcase(s, t);
    return s;
}
