/* test_optimizer_settings.c - clipping and averages by numbers; bad options, settings, bindings and
 * files. */
#include "methods.h"

/* --- Clipping, averages, schedules: by numbers. */

START_TEST(clipping)
{
    world w = make_world(NULL, 1, 0);
    gm_sgd_options sgd = GM_SGD_OPTIONS_INIT;
    sgd.rate = 1;
    support_ok(w.ctx, gm_sgd_create(&w.o, w.ctx, &sgd));
    support_ok(w.ctx, gm_optimizer_add(w.o, w.params));
    gm_param *p = gm_params_get(w.params, 0);
    float *v = gm_param_value(p), *g = gm_param_gradient(p);

    memset(v, 0, 7 * sizeof *v); /* norm 5, limit 2.5: halved */
    gradient_of_one(&w, 0);
    g[1] = 3;
    g[4] = -4;
    support_ok(w.ctx, gm_optimizer_set_clip_norm(w.o, 2.5));
    support_ok(w.ctx, gm_optimizer_step(w.o));
    ck_assert(v[1] == -1.5f && v[4] == 2 && v[0] == 0);
    ck_assert_double_eq(gm_optimizer_gradient_norm(w.o), 5);
    ck_assert(g[1] == 3); /* gradients are only read */

    memset(v, 0, 7 * sizeof *v); /* below the limit: untouched */
    support_ok(w.ctx, gm_optimizer_set_clip_norm(w.o, 5));
    support_ok(w.ctx, gm_optimizer_step(w.o));
    ck_assert(v[1] == -3 && v[4] == 4);

    memset(v, 0, 7 * sizeof *v); /* by value */
    support_ok(w.ctx, gm_optimizer_set_clip_norm(w.o, 0));
    support_ok(w.ctx, gm_optimizer_set_clip_value(w.o, 3.5));
    support_ok(w.ctx, gm_optimizer_step(w.o));
    ck_assert(v[1] == -3 && v[4] == 3.5f);

    memset(v, 0, 7 * sizeof *v); /* both: clamped, then scaled by limit over the norm as given */
    support_ok(w.ctx, gm_optimizer_set_clip_norm(w.o, 2.5));
    support_ok(w.ctx, gm_optimizer_step(w.o));
    ck_assert(v[1] == -1.5f && v[4] == 1.75f);

    memset(v, 0, 7 * sizeof *v); /* gradients near the end of float are finite, and are clipped */
    support_ok(w.ctx, gm_optimizer_set_clip_value(w.o, 0));
    g[1] = 3e30f;
    g[4] = -4e30f;
    support_ok(w.ctx, gm_optimizer_step(w.o));
    ck_assert_float_eq_tol(v[1], -1.5f, 1e-5f);
    ck_assert_float_eq_tol(v[4], 2, 1e-5f);
    free_world(&w);
}
END_TEST

START_TEST(averages)
{
    world w = make_world(NULL, 1, 0);
    gm_sgd_options sgd = GM_SGD_OPTIONS_INIT;
    sgd.rate = 1;
    support_ok(w.ctx, gm_sgd_create(&w.o, w.ctx, &sgd));
    support_ok(w.ctx, gm_optimizer_add(w.o, w.params));
    gm_param *p = gm_params_get(w.params, 0);
    float *v = gm_param_value(p);
    for (int i = 0; i < 7; i++) v[i] = 8;
    ck_assert_int_eq(gm_optimizer_average_on(w.o), 0);
    support_fails(w.ctx, gm_optimizer_swap_average(w.o), GM_E_STATE, "no average");
    support_ok(w.ctx, gm_optimizer_set_average(w.o, 0.75));
    support_ok(w.ctx, gm_optimizer_set_undo(w.o, 1));
    ck_assert_int_eq(gm_optimizer_average_on(w.o), 1);
    gradient_of_one(&w, 4);
    support_ok(w.ctx, gm_optimizer_step(w.o)); /* 4; average 6 + 1 = 7 */
    support_ok(w.ctx, gm_optimizer_step(w.o)); /* 0; average 5.25 */
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    ck_assert_int_eq(gm_optimizer_average_on(w.o), 2);
    for (int i = 0; i < 7; i++) ck_assert(v[i] == 5.25f);
    /* Nothing may happen to weights that are not the weights. */
    gm_archive *archive = NULL;
    support_ok(w.ctx, gm_archive_create(&archive, w.ctx));
    support_fails(w.ctx, gm_optimizer_step(w.o), GM_E_STATE, "swap");
    support_fails(w.ctx, gm_optimizer_undo(w.o), GM_E_STATE, "swap");
    support_fails(w.ctx, gm_optimizer_reset(w.o), GM_E_STATE, "swap");
    support_fails(w.ctx, gm_optimizer_set_average(w.o, 0), GM_E_STATE, "swap");
    support_fails(w.ctx, gm_optimizer_save(w.o, archive, ""), GM_E_STATE, "swap");
    support_fails(w.ctx, gm_optimizer_load(w.o, archive, ""), GM_E_STATE, "swap");
    gm_archive_release(archive);
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    for (int i = 0; i < 7; i++) ck_assert(v[i] == 0);
    /* A step that is undone never enters the average. */
    gradient_of_one(&w, -1e30);
    support_ok(w.ctx, gm_optimizer_step(w.o));
    ck_assert(v[0] > 1e29f);
    support_ok(w.ctx, gm_optimizer_undo(w.o));
    ck_assert(v[0] == 0);
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    ck_assert(v[0] == 5.25f);
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    /* Another decay goes on from here: 0.5 5.25 + 0.5 (-2) = 1.625. */
    support_ok(w.ctx, gm_optimizer_set_average(w.o, 0.5));
    gradient_of_one(&w, 2);
    support_ok(w.ctx, gm_optimizer_step(w.o));
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    ck_assert(v[3] == 1.625f);
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    support_ok(w.ctx, gm_optimizer_reset(w.o)); /* anew from the weights */
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    ck_assert(v[3] == -2);
    support_ok(w.ctx, gm_optimizer_swap_average(w.o));
    support_ok(w.ctx, gm_optimizer_set_average(w.o, 0));
    ck_assert_int_eq(gm_optimizer_average_on(w.o), 0);
    free_world(&w);
}
END_TEST

/* --- Bad input. */

START_TEST(bad_options)
{
    gm_context *ctx = support_context(1, 1);
    gm_optimizer *o = NULL;
#define REFUSED(type, INIT, create, member, value, text)                                           \
    do {                                                                                           \
        type options = INIT;                                                                       \
        options.member = (value);                                                                  \
        o = (gm_optimizer *)&options;                                                              \
        support_fails(ctx, create(&o, ctx, &options), GM_E_INVALID, text);                         \
        ck_assert_ptr_null(o);                                                                     \
    } while (0)
    REFUSED(gm_sgd_options, GM_SGD_OPTIONS_INIT, gm_sgd_create, rate, -1, "rate is -1");
    REFUSED(gm_sgd_options, GM_SGD_OPTIONS_INIT, gm_sgd_create, rate, INFINITY, "rate is inf");
    REFUSED(gm_sgd_options, GM_SGD_OPTIONS_INIT, gm_sgd_create, momentum, 1, "momentum is 1");
    REFUSED(gm_sgd_options, GM_SGD_OPTIONS_INIT, gm_sgd_create, nesterov, 1, "nesterov is 1");
    REFUSED(gm_sgd_options, GM_SGD_OPTIONS_INIT, gm_sgd_create, weight_decay, NAN, "weight_decay");
    REFUSED(gm_sgd_options, GM_SGD_OPTIONS_INIT, gm_sgd_create, reserved, 1, "reserved");
    REFUSED(gm_sgd_options, GM_SGD_OPTIONS_INIT, gm_sgd_create, size, 0, "size");
    REFUSED(gm_adam_options, GM_ADAM_OPTIONS_INIT, gm_adam_create, beta1, 1, "beta1 is 1");
    REFUSED(gm_adam_options, GM_ADAM_OPTIONS_INIT, gm_adam_create, beta2, -0.1, "beta2 is -0.1");
    REFUSED(gm_adam_options, GM_ADAM_OPTIONS_INIT, gm_adam_create, eps, 0, "eps is 0");
    REFUSED(gm_adam_options, GM_ADAM_OPTIONS_INIT, gm_adam_create, eps, 1e-300, "eps is 1e-300");
    REFUSED(gm_adam_options, GM_ADAM_OPTIONS_INIT, gm_adam_create, decoupled, 2, "decoupled is 2");
    REFUSED(gm_adam_options, GM_ADAM_OPTIONS_INIT, gm_adam_create, reserved, 2, "reserved");
    REFUSED(gm_rmsprop_options, GM_RMSPROP_OPTIONS_INIT, gm_rmsprop_create, alpha, 1, "alpha is 1");
    REFUSED(gm_rmsprop_options, GM_RMSPROP_OPTIONS_INIT, gm_rmsprop_create, size, 9999, "size");
    REFUSED(gm_adagrad_options, GM_ADAGRAD_OPTIONS_INIT, gm_adagrad_create, eps, -1, "eps is -1");
    REFUSED(gm_adadelta_options, GM_ADADELTA_OPTIONS_INIT, gm_adadelta_create, rho, 2, "rho is 2");
#undef REFUSED
    support_fails(ctx, gm_sgd_create(NULL, ctx, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_adam_create(&o, NULL, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_rmsprop_create(&o, NULL, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_adagrad_create(&o, NULL, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_adadelta_create(&o, NULL, NULL), GM_E_INVALID);
    gm_context_release(ctx);
}
END_TEST

/* Momentum that changes while training: the recurrence by hand, and a file in the middle. */
START_TEST(momentum_changes)
{
    static const double schedule[] = { 0.5, 0.9, 0, 0.25, 0.75 };
    for (int r = 0; r < 2; r++) { /* sgd, then rmsprop */
        world w = make_world(&rows[r ? 7 : 1], 1, 0);
        double rate = gm_optimizer_rate(w.o), m = 0, square = 0;
        double x = gm_param_value(gm_params_get(w.params, 0))[2];
        for (int i = 0; i < 5; i++) {
            support_ok(w.ctx, gm_optimizer_set_momentum(w.o, schedule[i]));
            if (i == 3) { /* stored with momentum 0, but with the array */
                gm_archive *archive = NULL;
                gm_optimizer *o = NULL;
                support_ok(w.ctx, gm_archive_create(&archive, w.ctx));
                support_ok(w.ctx, gm_optimizer_set_momentum(w.o, 0));
                support_ok(w.ctx, gm_optimizer_save(w.o, archive, "o."));
                support_ok(w.ctx, gm_optimizer_load_new(&o, w.ctx, archive, "o."));
                support_ok(w.ctx, gm_optimizer_add(o, w.params));
                support_ok(w.ctx, gm_optimizer_load(o, archive, "o."));
                support_ok(w.ctx, gm_archive_set_text(archive, "o.slots", "3"));
                support_fails(w.ctx, gm_optimizer_load(o, archive, "o."), GM_E_FORMAT, "slots");
                gm_archive_release(archive);
                gm_optimizer_release(w.o);
                w.o = o;
                support_ok(w.ctx, gm_optimizer_set_momentum(w.o, schedule[i]));
            }
            double g = 0.5 * (i + 1);
            gradient_of_one(&w, g);
            support_ok(w.ctx, gm_optimizer_step(w.o));
            square = 0.99 * square + 0.01 * g * g;
            m = schedule[i] * m + (r ? g / (sqrt(square) + 1e-8) : g);
            x -= rate * m;
            ck_assert_float_eq_tol(gm_param_value(gm_params_get(w.params, 0))[2], (float)x, 1e-5f);
        }
        free_world(&w);
    }
}
END_TEST

START_TEST(bad_momentum)
{
    world moving = make_world(&rows[1], 1, 0), nesterov = make_world(&rows[2], 1, 0);
    world plain = make_world(&rows[0], 1, 0), adam = make_world(&rows[3], 1, 0);
    world rms = make_world(&rows[6], 1, 0);
    support_fails(moving.ctx, gm_optimizer_set_momentum(moving.o, 1), GM_E_INVALID,
                  "momentum is 1");
    support_fails(moving.ctx, gm_optimizer_set_momentum(moving.o, -0.5), GM_E_INVALID,
                  "momentum is -0.5");
    support_fails(moving.ctx, gm_optimizer_set_momentum(moving.o, NAN), GM_E_INVALID, "momentum");
    support_fails(nesterov.ctx, gm_optimizer_set_momentum(nesterov.o, 0), GM_E_INVALID,
                  "nesterov is 1");
    support_fails(plain.ctx, gm_optimizer_set_momentum(plain.o, 0.5), GM_E_STATE, "made without");
    support_fails(rms.ctx, gm_optimizer_set_momentum(rms.o, 0.5), GM_E_STATE, "made without");
    support_fails(adam.ctx, gm_optimizer_set_momentum(adam.o, 0.5), GM_E_UNSUPPORTED, "adam");
    ck_assert_int_eq(gm_optimizer_set_momentum(NULL, 0.5), GM_E_INVALID);
    free_world(&moving);
    free_world(&nesterov);
    free_world(&plain);
    free_world(&adam);
    free_world(&rms);
}
END_TEST

START_TEST(bad_settings)
{
    world w = make_world(&rows[3], 1, 0);
    ck_assert_ptr_eq(gm_optimizer_context(w.o), w.ctx);
    support_fails(w.ctx, gm_optimizer_set_rate(w.o, -1), GM_E_INVALID, "rate is -1");
    support_fails(w.ctx, gm_optimizer_set_rate(w.o, NAN), GM_E_INVALID, "rate is");
    support_fails(w.ctx, gm_optimizer_set_clip_norm(w.o, -1), GM_E_INVALID, "clip_norm is -1");
    support_fails(w.ctx, gm_optimizer_set_clip_value(w.o, INFINITY), GM_E_INVALID, "inf");
    support_fails(w.ctx, gm_optimizer_set_average(w.o, 1), GM_E_INVALID, "decay is 1");
    support_fails(w.ctx, gm_optimizer_set_average(w.o, NAN), GM_E_INVALID, "decay is");
    support_fails(w.ctx, gm_optimizer_set_undo(w.o, 2), GM_E_INVALID, "undo is 2");
    ck_assert_double_eq(gm_optimizer_rate(w.o), 0.001);

    ck_assert_int_eq(gm_optimizer_set_rate(NULL, 1), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_set_clip_norm(NULL, 1), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_set_clip_value(NULL, 1), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_set_schedule(NULL, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_set_average(NULL, 0.5), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_set_undo(NULL, 1), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_swap_average(NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_undo(NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_step(NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_reset(NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_add(NULL, w.params), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_steps(NULL), 0);
    ck_assert_int_eq(gm_optimizer_params(NULL), 0);
    ck_assert_int_eq(gm_optimizer_average_on(NULL), 0);
    ck_assert_double_eq(gm_optimizer_rate(NULL), 0);
    ck_assert_double_eq(gm_optimizer_gradient_norm(NULL), 0);
    ck_assert_str_eq(gm_optimizer_kind(NULL), "");
    ck_assert_ptr_null(gm_optimizer_context(NULL));
    gm_optimizer_release(NULL);
    gm_optimizer_retain(NULL);
    gm_optimizer_retain(w.o);
    gm_optimizer_release(w.o);
    free_world(&w);
}
END_TEST

START_TEST(bad_binding)
{
    world w = make_world(NULL, 1, 2), far = make_world(NULL, 1, 0);
    gm_params *both = NULL, *empty = NULL;
    gm_param *extra = NULL, *hollow = NULL;
    int64_t n = 2, zero = 0;
    support_ok(w.ctx, gm_adam_create(&w.o, w.ctx, NULL));
    support_fails(w.ctx, gm_optimizer_step(w.o), GM_E_STATE, "no parameters");
    support_fails(w.ctx, gm_optimizer_add(w.o, NULL), GM_E_INVALID, "NULL");
    support_fails(w.ctx, gm_optimizer_add(w.o, far.params), GM_E_INVALID, "context");
    support_ok(w.ctx, gm_params_create(&empty, w.ctx));
    support_ok(w.ctx, gm_optimizer_add(w.o, empty));
    support_fails(w.ctx, gm_optimizer_step(w.o), GM_E_STATE, "no parameters");
    support_ok(w.ctx, gm_optimizer_add(w.o, w.params));
    support_fails(w.ctx, gm_optimizer_add(w.o, w.params), GM_E_INVALID, "big is bound already");
    /* Two new ones and one old: none is bound. */
    support_ok(w.ctx, gm_params_create(&both, w.ctx));
    support_ok(w.ctx, gm_param_create(&extra, w.ctx, "extra", 1, &n));
    support_ok(w.ctx, gm_params_add(both, NULL, extra));
    support_ok(w.ctx, gm_params_add_all(both, NULL, w.params));
    support_fails(w.ctx, gm_optimizer_add(w.o, both), GM_E_INVALID, "bound already");
    ck_assert_int_eq(gm_optimizer_params(w.o), 2);
    /* A parameter without elements is legal. */
    support_ok(w.ctx, gm_param_create(&hollow, w.ctx, "hollow", 1, &zero));
    support_ok(w.ctx, gm_params_add(empty, NULL, hollow));
    support_ok(w.ctx, gm_optimizer_add(w.o, empty));
    steps(&w, 0, 2);
    gm_optimizer_release(w.o);
    support_ok(w.ctx, gm_adam_create(&w.o, w.ctx, NULL));
    support_ok(w.ctx, gm_optimizer_add(w.o, empty));
    support_ok(w.ctx, gm_optimizer_step(w.o));
    gm_params_release(both);
    gm_params_release(empty);
    gm_param_release(extra);
    gm_param_release(hollow);
    free_world(&w);
    free_world(&far);
}
END_TEST

START_TEST(bad_files)
{
    static const struct {
        const char *key, *text;
        gm_status status;
    } bad[] = {
        { "o.kind", "lion", GM_E_UNSUPPORTED },
        { "o.kind", "adagrad", GM_E_FORMAT },
        { "o.rate", "-1", GM_E_FORMAT },
        { "o.rate", "fast", GM_E_FORMAT },
        { "o.beta1", "1", GM_E_FORMAT },
        { "o.beta2", "nan", GM_E_FORMAT },
        { "o.eps", "0", GM_E_FORMAT },
        { "o.decoupled", "2", GM_E_FORMAT },
        { "o.nesterov", "1", GM_E_FORMAT },
        { "o.steps", "-1", GM_E_FORMAT },
        { "o.steps", "x", GM_E_FORMAT },
        { "o.parameters", "2", GM_E_SHAPE },
        { "o.schedule", "9", GM_E_FORMAT },
        { "o.schedule", "4294967296", GM_E_FORMAT },
        { "o.schedule.warmup", "-1", GM_E_FORMAT },
        { "o.clip_norm", "-1", GM_E_FORMAT },
        { "o.clip_value", "inf", GM_E_FORMAT },
        { "o.average_decay", "1", GM_E_FORMAT },
        { "o.average_decay", "0.5", GM_E_FORMAT },
        { "o.0.since", "3", GM_E_FORMAT },
    };
    world w = make_world(&rows[3], 1, 0), twin = make_world(&rows[3], 1, 0);
    steps(&w, 0, 2);
    steps(&twin, 0, 2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_archive *archive = NULL;
        support_ok(w.ctx, gm_archive_create(&archive, w.ctx));
        support_ok(w.ctx, gm_optimizer_save(w.o, archive, "o."));
        support_ok(w.ctx, gm_archive_set_text(archive, bad[i].key, bad[i].text));
        gm_status status = gm_optimizer_load(w.o, archive, "o.");
        ck_assert_msg(status == bad[i].status, "%s = %s: %s (%s)", bad[i].key, bad[i].text,
                      gm_status_name(status), gm_context_error(w.ctx));
        gm_archive_release(archive);
    }
    steps(&w, 2, 2); /* as if nothing had been tried */
    steps(&twin, 2, 2);
    check_same(&w, &twin);

    gm_archive *archive = NULL;
    gm_optimizer *o = w.o;
    support_ok(w.ctx, gm_archive_create(&archive, w.ctx));
    support_fails(w.ctx, gm_optimizer_load(w.o, archive, ""), GM_E_FORMAT, "kind");
    support_fails(w.ctx, gm_optimizer_load_new(&o, w.ctx, archive, ""), GM_E_FORMAT, "kind");
    ck_assert_ptr_null(o);
    char prefix[300];
    memset(prefix, 'p', 299);
    prefix[299] = 0;
    support_fails(w.ctx, gm_optimizer_save(w.o, archive, prefix), GM_E_INVALID, "prefix");
    support_fails(w.ctx, gm_optimizer_save(w.o, NULL, ""), GM_E_INVALID, "NULL");
    support_fails(w.ctx, gm_optimizer_load(w.o, NULL, ""), GM_E_INVALID, "NULL");
    support_fails(w.ctx, gm_optimizer_load_new(NULL, w.ctx, archive, ""), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_optimizer_load_new(&o, NULL, archive, ""), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_save(NULL, archive, ""), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_load(NULL, archive, ""), GM_E_INVALID);

    /* Other parameters, and momentum on one side only. */
    support_ok(w.ctx, gm_optimizer_save(w.o, archive, "o."));
    world three = make_world(&rows[3], 1, 1), plain = make_world(&rows[0], 1, 0),
          moving = make_world(&rows[1], 1, 0);
    support_fails(three.ctx, gm_optimizer_load(three.o, archive, "o."), GM_E_SHAPE, "[7]");
    ck_assert_ptr_nonnull(strstr(gm_context_error(three.ctx), "[70000]"));
    support_ok(plain.ctx, gm_optimizer_save(plain.o, archive, "p."));
    support_fails(moving.ctx, gm_optimizer_load(moving.o, archive, "p."), GM_E_FORMAT, "momentum");
    free_world(&three);
    free_world(&plain);
    free_world(&moving);
    gm_archive_release(archive);
    free_world(&w);
    free_world(&twin);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("optimizer_settings");
    TCase *t = tcase_create("optimizer_settings");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, clipping);
    tcase_add_test(t, averages);
    tcase_add_test(t, bad_options);
    tcase_add_test(t, momentum_changes);
    tcase_add_test(t, bad_momentum);
    tcase_add_test(t, bad_settings);
    tcase_add_test(t, bad_binding);
    tcase_add_test(t, bad_files);
    suite_add_tcase(s, t);
    return s;
}
