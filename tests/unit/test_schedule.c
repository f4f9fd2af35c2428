/* test_schedule.c - learning rates over steps. */
#include "methods.h"

#include "gm/schedule.h"

START_TEST(schedules)
{
    gm_schedule s = GM_SCHEDULE_INIT;
    ck_assert_double_eq(gm_schedule_rate(NULL, 0.5, 100), 0.5);
    ck_assert_double_eq(gm_schedule_rate(&s, 0.5, 100), 0.5);
    s.kind = GM_SCHEDULE_STEP;
    s.period = 10;
    s.factor = 0.5;
    ck_assert_double_eq(gm_schedule_rate(&s, 2, 0), 2);
    ck_assert_double_eq(gm_schedule_rate(&s, 2, 9), 2);
    ck_assert_double_eq(gm_schedule_rate(&s, 2, 10), 1);
    ck_assert_double_eq(gm_schedule_rate(&s, 2, 39), 0.25);
    ck_assert_double_eq(gm_schedule_rate(&s, 2, -5), 2);
    s.kind = GM_SCHEDULE_EXPONENTIAL;
    ck_assert_double_eq_tol(gm_schedule_rate(&s, 2, 3), 0.25, 1e-15);
    s.kind = GM_SCHEDULE_COSINE;
    s.floor = 0.2;
    ck_assert_double_eq_tol(gm_schedule_rate(&s, 1, 0), 1, 1e-15);
    ck_assert_double_eq_tol(gm_schedule_rate(&s, 1, 5), 0.6, 1e-15);
    ck_assert_double_eq_tol(gm_schedule_rate(&s, 1, 10), 0.2, 1e-15);
    ck_assert_double_eq_tol(gm_schedule_rate(&s, 1, 1000), 0.2, 1e-15);
    s.kind = GM_SCHEDULE_LINEAR;
    ck_assert_double_eq_tol(gm_schedule_rate(&s, 1, 5), 0.6, 1e-15);
    ck_assert_double_eq_tol(gm_schedule_rate(&s, 1, 11), 0.2, 1e-15);
    for (int32_t kind = GM_SCHEDULE_CONSTANT; kind <= GM_SCHEDULE_LINEAR; kind++) {
        gm_schedule warm = s, cold = s;
        warm.kind = cold.kind = kind;
        warm.warmup = 4;
        ck_assert_double_eq_tol(gm_schedule_rate(&warm, 1, 0), 0.2, 1e-15);
        ck_assert_double_eq_tol(gm_schedule_rate(&warm, 1, 3), 0.8, 1e-15);
        for (int t = 0; t < 12; t++)
            ck_assert_double_eq(gm_schedule_rate(&warm, 1, 4 + t), gm_schedule_rate(&cold, 1, t));
        ck_assert(isfinite(gm_schedule_rate(&warm, 1, INT64_MAX)));
    }
    /* The optimizer uses it, from its own step 0. */
    world w = make_world(&rows[0], 1, 0);
    support_ok(w.ctx, gm_optimizer_set_schedule(w.o, &s));
    support_ok(w.ctx, gm_optimizer_set_rate(w.o, 0.1));
    ck_assert_double_eq_tol(gm_optimizer_rate(w.o), 0.1, 1e-15);
    steps(&w, 0, 5);
    ck_assert_double_eq_tol(gm_optimizer_rate(w.o), 0.06, 1e-15);
    support_ok(w.ctx, gm_optimizer_set_schedule(w.o, NULL));
    ck_assert_double_eq(gm_optimizer_rate(w.o), 0.1);
    free_world(&w);
}
END_TEST

START_TEST(bad_schedules)
{
    world w = make_world(&rows[0], 1, 0);
    const struct {
        int32_t kind;
        int64_t warmup, period;
        double factor, floor;
        const char *text;
    } bad[] = {
        { 5, 0, 1, 1, 0, "kind is 5" },      { -1, 0, 1, 1, 0, "kind is -1" },
        { 0, -1, 1, 1, 0, "warmup is -1" },  { 1, 0, 0, 1, 0, "period is 0" },
        { 2, 0, -4, 1, 0, "period is -4" },  { 3, 0, 1, 0, 0, "factor is 0" },
        { 3, 0, 1, NAN, 0, "factor is" },    { 1, 0, 1, INFINITY, 0, "factor is inf" },
        { 4, 0, 1, 1, 1.5, "floor is 1.5" }, { 2, 0, 1, 1, NAN, "floor is" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_schedule s = GM_SCHEDULE_INIT;
        s.kind = bad[i].kind;
        s.warmup = bad[i].warmup;
        s.period = bad[i].period;
        s.factor = bad[i].factor;
        s.floor = bad[i].floor;
        support_fails(w.ctx, gm_schedule_check(w.ctx, &s), GM_E_INVALID, bad[i].text);
        support_fails(w.ctx, gm_optimizer_set_schedule(w.o, &s), GM_E_INVALID, bad[i].text);
        ck_assert(isnan(gm_schedule_rate(&s, 1, 0)));
    }
    gm_schedule s = GM_SCHEDULE_INIT;
    s.size = 1;
    support_fails(w.ctx, gm_schedule_check(w.ctx, &s), GM_E_INVALID, "size");
    ck_assert_double_eq(gm_optimizer_rate(w.o), 0.01);
    free_world(&w);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("schedule");
    TCase *t = tcase_create("schedule");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, schedules);
    tcase_add_test(t, bad_schedules);
    suite_add_tcase(s, t);
    return s;
}
