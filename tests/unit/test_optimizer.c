/* test_optimizer.c - one list of checks over every method. Settings and bad input:
 * test_optimizer_settings.c. */
#include "methods.h"
#include "optim/optimizer.h"

START_TEST(against_the_paper)
{
    const row *r = &rows[_i];
    world w = make_world(r, 1, 0);
    state s[7];
    memset(s, 0, sizeof s);
    gm_param *p = gm_params_get(w.params, 0);
    for (int k = 0; k < 7; k++) s[k].w = gm_param_value(p)[k];
    ck_assert_str_eq(gm_optimizer_kind(w.o), r->kind);
    ck_assert_double_eq(gm_optimizer_rate(w.o), r->rate);
    for (int t = 0; t < 20; t++) {
        set_gradients(&w, t);
        for (int k = 0; k < 7; k++) r->reference(&s[k], gm_param_gradient(p)[k], r->rate);
        support_ok(w.ctx, gm_optimizer_step(w.o));
        ck_assert_int_eq(gm_optimizer_steps(w.o), t + 1);
        for (int k = 0; k < 7; k++)
            ck_assert_msg(fabs(gm_param_value(p)[k] - s[k].w) <= 3e-6 * (1 + fabs(s[k].w)),
                          "%s, step %d, weight %d: %.9g, the paper says %.9g", r->what, t + 1, k,
                          gm_param_value(p)[k], s[k].w);
    }
    free_world(&w);
}
END_TEST

/* f = 1/2 sum (w - k)^2, less whatever the decay asks for. */
START_TEST(minimises_a_quadratic)
{
    const row *r = &rows[_i];
    world w = make_world(r, 1, 0);
    gm_param *p = gm_params_get(w.params, 0);
    double first = 0, last = 0;
    support_ok(w.ctx, gm_optimizer_set_rate(w.o, r->quadratic_rate));
    for (int t = 0; t < 100; t++) {
        last = 0;
        for (int k = 0; k < 7; k++) {
            double d = gm_param_value(p)[k] - 0.5 * k;
            gm_param_gradient(p)[k] = (float)d;
            last += d * d / 2;
        }
        if (!t) first = last;
        support_ok(w.ctx, gm_optimizer_step(w.o));
    }
    int decays = r->make == make_adam_l2 || r->make == make_adamw || r->make == make_sgd;
    ck_assert_msg(last < first * (decays ? 0.1 : 0.01), "%s: from %g to %g", r->what, first, last);
    free_world(&w);
}
END_TEST

START_TEST(threads_do_not_matter)
{
    const row *r = &rows[_i];
    world one = make_world(r, 1, SETS);
    support_ok(one.ctx, gm_optimizer_set_clip_norm(one.o, 5));
    support_ok(one.ctx, gm_optimizer_set_average(one.o, 0.9));
    steps(&one, 0, 5);
    for (int32_t threads = 2; threads <= 3; threads++) {
        world more = make_world(r, threads, SETS);
        support_ok(more.ctx, gm_optimizer_set_clip_norm(more.o, 5));
        support_ok(more.ctx, gm_optimizer_set_average(more.o, 0.9));
        steps(&more, 0, 5);
        check_same(&one, &more);
        ck_assert_double_eq(gm_optimizer_gradient_norm(one.o), gm_optimizer_gradient_norm(more.o));
        support_ok(one.ctx, gm_optimizer_swap_average(one.o));
        support_ok(more.ctx, gm_optimizer_swap_average(more.o));
        check_same(&one, &more);
        support_ok(one.ctx, gm_optimizer_swap_average(one.o));
        free_world(&more);
    }
    free_world(&one);
}
END_TEST

START_TEST(resumes_bit_for_bit)
{
    const row *r = &rows[_i];
    gm_schedule schedule = GM_SCHEDULE_INIT;
    schedule.kind = GM_SCHEDULE_COSINE;
    schedule.period = 12;
    schedule.warmup = 3;
    world a = make_world(r, 1, SETS), b = make_world(NULL, 1, SETS), c = make_world(r, 2, SETS);
    support_ok(a.ctx, gm_optimizer_set_schedule(a.o, &schedule));
    support_ok(a.ctx, gm_optimizer_set_average(a.o, 0.8));
    support_ok(a.ctx, gm_optimizer_set_clip_norm(a.o, 40));
    support_ok(a.ctx, gm_optimizer_set_clip_value(a.o, 1));
    steps(&a, 0, 4);

    gm_archive *archive = NULL, *second = NULL;
    support_ok(a.ctx, gm_archive_create(&archive, a.ctx));
    support_ok(a.ctx, gm_optimizer_save(a.o, archive, "opt."));
    float *at4 = weights(&a);
    steps(&a, 4, 6);

    /* b: a new optimizer out of the file. */
    support_ok(b.ctx, gm_params_write(b.params, at4, b.n));
    support_ok(b.ctx, gm_optimizer_load_new(&b.o, b.ctx, archive, "opt."));
    ck_assert_str_eq(gm_optimizer_kind(b.o), r->kind);
    ck_assert_int_eq(gm_optimizer_params(b.o), 0);
    support_ok(b.ctx, gm_optimizer_add(b.o, b.params));
    support_ok(b.ctx, gm_optimizer_load(b.o, archive, "opt."));
    ck_assert_int_eq(gm_optimizer_steps(b.o), 4);
    steps(&b, 4, 6);
    check_same(&a, &b);

    /* c: one with another history and other settings. */
    support_ok(c.ctx, gm_optimizer_set_rate(c.o, 0.5));
    steps(&c, 50, 3);
    support_ok(c.ctx, gm_params_write(c.params, at4, c.n));
    support_ok(c.ctx, gm_optimizer_load(c.o, archive, "opt."));
    steps(&c, 4, 6);
    check_same(&a, &c);

    /* The averages, too; and a second file of the same state is the same. */
    support_ok(a.ctx, gm_archive_create(&second, a.ctx));
    support_ok(a.ctx, gm_optimizer_save(a.o, second, ""));
    support_ok(c.ctx, gm_optimizer_load(c.o, second, NULL));
    support_ok(a.ctx, gm_optimizer_swap_average(a.o));
    support_ok(b.ctx, gm_optimizer_swap_average(b.o));
    support_ok(c.ctx, gm_optimizer_swap_average(c.o));
    check_same(&a, &b);
    check_same(&a, &c);
    free(at4);
    gm_archive_release(archive);
    gm_archive_release(second);
    free_world(&a);
    free_world(&b);
    free_world(&c);
}
END_TEST

START_TEST(refuses_nan)
{
    const row *r = &rows[_i];
    static const float bad[3] = { NAN, INFINITY, -INFINITY };
    world a = make_world(r, 2, SETS), b = make_world(r, 2, SETS);
    support_ok(a.ctx, gm_optimizer_set_average(a.o, 0.9));
    support_ok(b.ctx, gm_optimizer_set_average(b.o, 0.9));
    steps(&a, 0, 2);
    steps(&b, 0, 2);
    for (int i = 0; i < 3; i++) {
        set_gradients(&a, 2);
        gm_param_gradient(gm_params_get(a.params, 3))[19999] = bad[i];
        support_fails(a.ctx, gm_optimizer_step(a.o), GM_E_NUMERIC, "middle");
        ck_assert_int_eq(gm_optimizer_steps(a.o), 2);
    }
    check_same(&a, &b);
    steps(&a, 2, 2); /* moments and average untouched too */
    steps(&b, 2, 2);
    check_same(&a, &b);
    support_ok(a.ctx, gm_optimizer_swap_average(a.o));
    support_ok(b.ctx, gm_optimizer_swap_average(b.o));
    check_same(&a, &b);
    free_world(&a);
    free_world(&b);
}
END_TEST

START_TEST(undoes)
{
    const row *r = &rows[_i];
    world a = make_world(r, 2, SETS), b = make_world(r, 2, SETS);
    support_fails(a.ctx, gm_optimizer_undo(a.o), GM_E_STATE, "no step");
    support_ok(a.ctx, gm_optimizer_set_undo(a.o, 1));
    support_fails(a.ctx, gm_optimizer_undo(a.o), GM_E_STATE, "no step");
    steps(&a, 0, 3);
    steps(&b, 0, 2);
    support_ok(a.ctx, gm_optimizer_undo(a.o));
    check_same(&a, &b);
    support_fails(a.ctx, gm_optimizer_undo(a.o), GM_E_STATE, "no step");
    support_ok(a.ctx, gm_optimizer_set_undo(a.o, 0));
    steps(&a, 3, 1);
    support_fails(a.ctx, gm_optimizer_undo(a.o), GM_E_STATE, "no step");
    free_world(&a);
    free_world(&b);
}
END_TEST

START_TEST(no_memory_per_step)
{
    const row *r = &rows[_i];
    world w = make_world(r, 2, SETS);
    gm_schedule schedule = GM_SCHEDULE_INIT;
    gm_memory_counters before, after;
    schedule.kind = GM_SCHEDULE_EXPONENTIAL;
    schedule.factor = 0.99;
    support_ok(w.ctx, gm_optimizer_set_schedule(w.o, &schedule));
    support_ok(w.ctx, gm_optimizer_set_average(w.o, 0.99));
    support_ok(w.ctx, gm_optimizer_set_undo(w.o, 1));
    support_ok(w.ctx, gm_optimizer_set_clip_norm(w.o, 1));
    gm_context_memory(&before, w.ctx);
    ck_assert_uint_lt(before.bytes, 2 * (uint64_t)gm_params_elements(w.params) * sizeof(float));
    steps(&w, 0, 1); /* takes gradients, moments, averages and the weights of before */
    gm_context_memory(&before, w.ctx);
    steps(&w, 1, 3);
    support_ok(w.ctx, gm_optimizer_undo(w.o));
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    support_ok(w.ctx, gm_optimizer_reset(w.o));
    gm_context_memory(&after, w.ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    /* All goes back. */
    gm_context_retain(w.ctx);
    gm_context *ctx = w.ctx;
    free_world(&w);
    gm_context_memory(&after, ctx);
    gm_context *fresh = support_context(21, 2);
    gm_context_memory(&before, fresh);
    ck_assert_uint_eq(after.bytes, before.bytes);
    gm_context_release(fresh);
    gm_context_release(ctx);
}
END_TEST

START_TEST(resets)
{
    const row *r = &rows[_i];
    world a = make_world(r, 1, 0), b = make_world(r, 1, 0);
    steps(&a, 30, 5);
    support_ok(a.ctx, gm_optimizer_reset(a.o));
    ck_assert_int_eq(gm_optimizer_steps(a.o), 0);
    float *v = weights(&a);
    support_ok(b.ctx, gm_params_write(b.params, v, b.n));
    free(v);
    steps(&a, 0, 4);
    steps(&b, 0, 4);
    check_same(&a, &b);
    free_world(&a);
    free_world(&b);
}
END_TEST

/* Parameters that join later start like fresh ones; a file keeps that. */
START_TEST(late_parameters)
{
    const row *r = &rows[_i];
    world a = make_world(r, 1, 0), b = make_world(r, 1, 0);
    steps(&a, 0, 3);
    gm_params *more = NULL;
    gm_param *p = NULL, *q = gm_params_get(b.params, 0);
    int64_t n = 7;
    support_ok(a.ctx, gm_params_create(&more, a.ctx));
    support_ok(a.ctx, gm_param_create(&p, a.ctx, "late", 1, &n));
    support_ok(a.ctx, gm_params_add(more, NULL, p));
    memcpy(gm_param_value(p), gm_param_value(q), 7 * sizeof(float));
    support_ok(a.ctx, gm_optimizer_add(a.o, more));
    ck_assert_int_eq(gm_optimizer_params(a.o), 2);
    for (int t = 0; t < 4; t++) {
        if (t == 2) {
            gm_archive *archive = NULL;
            support_ok(a.ctx, gm_archive_create(&archive, a.ctx));
            support_ok(a.ctx, gm_optimizer_save(a.o, archive, ""));
            support_ok(a.ctx, gm_optimizer_load(a.o, archive, ""));
            gm_archive_release(archive);
        }
        set_gradients(&a, t);
        set_gradients(&b, t);
        memcpy(gm_param_gradient(p), gm_param_gradient(q), 7 * sizeof(float));
        support_ok(a.ctx, gm_optimizer_step(a.o));
        support_ok(b.ctx, gm_optimizer_step(b.o));
    }
    ck_assert_mem_eq(gm_param_value(p), gm_param_value(q), 7 * sizeof(float));
    gm_params_release(more);
    gm_param_release(p);
    free_world(&a);
    free_world(&b);
}
END_TEST

START_TEST(list_is_complete)
{
    for (const gm_method *const *m = gm_methods; *m; m++) {
        int found = 0;
        for (int i = 0; i < ROWS; i++) found |= !strcmp(rows[i].kind, (*m)->name);
        ck_assert_msg(found, "no conformance row for %s", (*m)->name);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("optimizer");
    TCase *t = tcase_create("optimizer");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, against_the_paper, 0, ROWS);
    tcase_add_loop_test(t, minimises_a_quadratic, 0, ROWS);
    tcase_add_loop_test(t, threads_do_not_matter, 0, ROWS);
    tcase_add_loop_test(t, resumes_bit_for_bit, 0, ROWS);
    tcase_add_loop_test(t, refuses_nan, 0, ROWS);
    tcase_add_loop_test(t, undoes, 0, ROWS);
    tcase_add_loop_test(t, no_memory_per_step, 0, ROWS);
    tcase_add_loop_test(t, resets, 0, ROWS);
    tcase_add_loop_test(t, late_parameters, 0, ROWS);
    tcase_add_test(t, list_is_complete);
    suite_add_tcase(s, t);
    return s;
}
