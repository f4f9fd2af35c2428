/* test_tape.c - recording, failures that stick, stale variables, and gm_backward's promises. */
#include "tape_bench.h"

START_TEST(create_and_getters)
{
    bench t;
    begin(&t, 1);
    gm_tape *tape = t.tape;
    ck_assert_int_eq(gm_tape_create(&tape, NULL, NULL), GM_E_INVALID);
    ck_assert_ptr_null(tape);
    support_fails(t.ctx, gm_tape_create(NULL, t.ctx, NULL), GM_E_INVALID, "NULL");
    gm_rng *rng = NULL;
    support_ok(t.ctx, gm_rng_create(&rng, t.ctx, 5));
    support_ok(t.ctx, gm_tape_create(&tape, t.ctx, rng));
    ck_assert_ptr_eq(gm_tape_rng(tape), rng);
    ck_assert_ptr_eq(gm_tape_context(tape), t.ctx);
    gm_rng_release(rng);
    is_invalid(&t, gm_randn(NULL, 2, two_three));
    gm_randn(tape, 2, two_three); /* the tape keeps its generator */
    support_ok(t.ctx, gm_tape_status(tape));
    gm_tape_retain(tape);
    gm_tape_release(tape);
    gm_randn(tape, 2, two_three); /* the second owner's still */
    support_ok(t.ctx, gm_tape_status(tape));
    gm_tape_release(tape);
    ck_assert_ptr_nonnull(gm_tape_rng(t.tape));
    ck_assert_int_eq(gm_tape_mode(t.tape), GM_TAPE_TRAIN);
    gm_tape_set_mode(t.tape, GM_TAPE_CONSTANT);
    gm_tape_reset(t.tape);
    ck_assert_int_eq(gm_tape_mode(t.tape), GM_TAPE_CONSTANT);
    ck_assert_ptr_null(gm_tape_context(NULL));
    ck_assert_ptr_null(gm_tape_rng(NULL));
    ck_assert_int_eq(gm_tape_mode(NULL), 0);
    ck_assert_int_eq(gm_tape_status(NULL), GM_E_INVALID);
    gm_tape_set_mode(NULL, 0);
    gm_tape_reset(NULL);
    gm_tape_retain(NULL);
    gm_tape_release(NULL);
    end(&t);
}
END_TEST

START_TEST(leaves_hold_their_data)
{
    bench t;
    begin(&t, 1);
    float data[6];
    memcpy(data, numbers, sizeof data);
    gm_tensor *tensor = NULL;
    support_ok(t.ctx, gm_tensor_create_from(&tensor, t.ctx, 2, two_three, numbers));
    gm_var input = gm_input(t.tape, tensor);
    gm_var array = gm_input_array(t.tape, 2, two_three, data);
    gm_var copy = gm_input_copy(t.tape, 2, two_three, data);
    gm_var variable = gm_variable(t.tape, 2, two_three, data);
    gm_var parameter = gm_parameter(t.tape, t.a);
    gm_var constant = gm_constant(t.tape, 2, two_three, 0.25);
    gm_var scalar = gm_constant(t.tape, 0, NULL, -7);
    support_ok(t.ctx, gm_tape_status(t.tape));
    data[0] = 100;
    ck_assert_ptr_eq(gm_value(t.tape, input), gm_tensor_data(tensor)); /* no copy */
    ck_assert_ptr_eq(gm_value(t.tape, array), data);
    ck_assert_ptr_eq(gm_value(t.tape, parameter), gm_param_value(t.a));
    ck_assert_mem_eq(gm_value(t.tape, copy), numbers, sizeof numbers);
    ck_assert_mem_eq(gm_value(t.tape, variable), numbers, sizeof numbers);
    for (int i = 0; i < 6; i++) ck_assert(gm_value(t.tape, constant)[i] == 0.25f);
    ck_assert(gm_scalar(t.tape, scalar) == -7);
    ck_assert(isnan(gm_scalar(t.tape, copy)));
    ck_assert_int_eq(gm_rank(t.tape, scalar), 0);
    ck_assert_int_eq(gm_count(t.tape, scalar), 1);
    ck_assert_int_eq(gm_rank(t.tape, copy), 2);
    ck_assert_int_eq(gm_count(t.tape, copy), 6);
    ck_assert_int_eq(gm_shape(t.tape, copy)[0], 2);
    ck_assert_int_eq(gm_shape(t.tape, copy)[1], 3);
    gm_tensor_release(tensor);
    end(&t);
}
END_TEST

START_TEST(leaves_refuse_nonsense)
{
    bench t, other;
    begin(&t, 1);
    begin(&other, 1);
    static const int64_t negative[2] = { 2, -3 };
    static const int64_t huge[2] = { INT64_C(1) << 32, INT64_C(1) << 32 };
    gm_tensor *tensor = NULL;
    support_ok(other.ctx, gm_tensor_create(&tensor, other.ctx, 2, two_three));
    for (int i = 0;; i++) {
        gm_var v = GM_NO_VAR;
        const char *text = NULL;
        gm_tape_reset(t.tape);
        switch (i) {
        case 0:
            v = gm_input(t.tape, NULL), text = "input: tensor is NULL";
            break;
        case 1:
            v = gm_input(t.tape, tensor), text = "another context";
            break;
        case 2:
            v = gm_input_array(t.tape, 2, two_three, NULL), text = "data is NULL";
            break;
        case 3:
            v = gm_input_copy(t.tape, 2, two_three, NULL), text = "input_copy";
            break;
        case 4:
            v = gm_variable(t.tape, 2, two_three, NULL), text = "variable";
            break;
        case 5:
            v = gm_parameter(t.tape, NULL), text = "param is NULL";
            break;
        case 6:
            v = gm_parameter(t.tape, other.a), text = "another context";
            break;
        case 7:
            v = gm_constant(t.tape, 7, two_three, 1), text = "rank is 7";
            break;
        case 8:
            v = gm_constant(t.tape, -1, two_three, 1), text = "rank is -1";
            break;
        case 9:
            v = gm_constant(t.tape, 2, NULL, 1), text = "shape is NULL";
            break;
        case 10:
            v = gm_constant(t.tape, 2, negative, 1), text = "-3";
            break;
        case 11:
            v = gm_constant(t.tape, 2, huge, 1), text = "memory can address";
            break;
        case 12:
            v = gm_randn(t.tape, 2, huge), text = "randn";
            break;
        case 13:
            v = gm_rand(t.tape, 2, negative), text = "rand";
            break;
        case 14:
            v = gm_input_array(t.tape, 2, huge, numbers), text = "input_array";
            break;
        case 15:
            v = gm_input_copy(t.tape, 2, negative, numbers), text = "input_copy";
            break;
        case 16:
            v = gm_variable(t.tape, 9, two_three, numbers), text = "variable";
            break;
        default:
            break;
        }
        if (!text) break;
        support_fails(t.ctx, gm_tape_status(t.tape), GM_E_INVALID, text);
        is_invalid(&t, v);
    }
    gm_tape_reset(t.tape);
    is_invalid(&t, gm_input(NULL, tensor));
    is_invalid(&t, gm_input_array(NULL, 2, two_three, numbers));
    is_invalid(&t, gm_input_copy(NULL, 2, two_three, numbers));
    is_invalid(&t, gm_variable(NULL, 2, two_three, numbers));
    is_invalid(&t, gm_constant(NULL, 0, NULL, 1));
    is_invalid(&t, gm_rand(NULL, 2, two_three));
    is_invalid(&t, gm_parameter(NULL, t.a));
    support_ok(t.ctx, gm_tape_status(t.tape));
    gm_tensor_release(tensor);
    end(&other);
    end(&t);
}
END_TEST

START_TEST(empty_variables_are_legal)
{
    bench t;
    begin(&t, 1);
    static const int64_t none[2] = { 0, 3 };
    gm_var v = gm_variable(t.tape, 2, none, numbers);
    gm_var loss = gm_sum(t.tape, gm_exp(t.tape, v));
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    ck_assert(gm_scalar(t.tape, loss) == 0);
    ck_assert_int_eq(gm_count(t.tape, v), 0);
    end(&t);
}
END_TEST

START_TEST(the_first_failure_sticks)
{
    bench t;
    begin(&t, 1);
    static const int64_t three_two[2] = { 3, 2 };
    gm_var x = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var y = gm_input_copy(t.tape, 2, three_two, numbers);
    gm_var bad = gm_add(t.tape, x, y);
    is_invalid(&t, bad);
    support_fails(t.ctx, gm_tape_status(t.tape), GM_E_SHAPE, "add");
    char first[512];
    snprintf(first, sizeof first, "%s", gm_context_error(t.ctx));
    /* Nothing later is recorded, nor changes the line: not even other faults. */
    gm_var after = gm_exp(t.tape, x);
    is_invalid(&t, after);
    is_invalid(&t, gm_input(t.tape, NULL));
    is_invalid(&t, gm_constant(t.tape, -1, NULL, 0));
    is_invalid(&t, gm_tape_fail(t.tape, GM_E_IO, "later"));
    is_invalid(&t, gm_add(t.tape, bad, bad));
    is_invalid(&t, gm_host(t.tape, NULL, NULL, 0));
    ck_assert_int_eq(gm_tape_status(t.tape), GM_E_SHAPE);
    float out[6];
    fill_gradients(&t, 9);
    ck_assert_int_eq(gm_backward(t.tape, x, t.all), GM_E_SHAPE);
    ck_assert_int_eq(gm_read(t.tape, x, 6, out), GM_E_SHAPE);
    ck_assert_str_eq(gm_context_error(t.ctx), first);
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 9);
    /* What was recorded before is still there to look at. */
    ck_assert(gm_value(t.tape, x)[2] == 3);
    gm_tape_reset(t.tape);
    support_ok(t.ctx, gm_tape_status(t.tape));
    gm_exp(t.tape, gm_input_copy(t.tape, 2, two_three, numbers));
    support_ok(t.ctx, gm_tape_status(t.tape));
    end(&t);
}
END_TEST

START_TEST(hosts_can_fail_the_tape)
{
    bench t;
    begin(&t, 1);
    is_invalid(&t, gm_tape_fail(t.tape, GM_E_CANCELLED, "mine: \n stopped"));
    support_fails(t.ctx, gm_tape_status(t.tape), GM_E_CANCELLED, "mine:   stopped");
    gm_tape_reset(t.tape);
    gm_tape_fail(t.tape, GM_OK, "a failure all the same");
    ck_assert_int_ne(gm_tape_status(t.tape), GM_OK);
    gm_tape_reset(t.tape);
    gm_tape_fail(t.tape, GM_E_IO, NULL);
    ck_assert_int_eq(gm_tape_status(t.tape), GM_E_IO);
    gm_tape_fail(NULL, GM_E_IO, "no tape");
    end(&t);
}
END_TEST

START_TEST(stale_variables_are_noticed)
{
    bench t;
    begin(&t, 1);
    gm_tape *other = NULL;
    support_ok(t.ctx, gm_tape_create(&other, t.ctx, NULL));
    gm_var old = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var foreign = gm_input_copy(other, 2, two_three, numbers);
    gm_tape_reset(t.tape);
    gm_var fresh = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var beyond = { fresh.recording, fresh.index + 1 };
    const gm_var stale[] = { old, foreign, GM_NO_VAR, beyond, { fresh.recording, UINT32_MAX } };
    float out[6];
    for (size_t i = 0; i < sizeof stale / sizeof *stale; i++) {
        is_invalid(&t, stale[i]);
        ck_assert_ptr_null(gm_gradient_of(t.tape, stale[i]));
        /* Reading and gm_backward report it, and leave the recording usable. */
        support_fails(t.ctx, gm_read(t.tape, stale[i], 6, out), GM_E_STALE, "variable");
        support_fails(t.ctx, gm_backward(t.tape, stale[i], t.all), GM_E_STALE, "variable");
        support_ok(t.ctx, gm_tape_status(t.tape));
    }
    support_ok(t.ctx, gm_read(t.tape, fresh, 6, out));
    for (size_t i = 0; i < sizeof stale / sizeof *stale; i++) {
        gm_tape_reset(t.tape);
        gm_var x = gm_input_copy(t.tape, 2, two_three, numbers);
        is_invalid(&t, gm_add(t.tape, x, stale[i]));
        support_fails(t.ctx, gm_tape_status(t.tape), GM_E_STALE, "recording");
    }
    gm_tape_release(other);
    end(&t);
}
END_TEST

START_TEST(read_copies)
{
    bench t;
    begin(&t, 1);
    float out[6] = { 0 };
    gm_var x = gm_input_copy(t.tape, 2, two_three, numbers);
    support_ok(t.ctx, gm_read(t.tape, x, 6, out));
    ck_assert_mem_eq(out, numbers, sizeof out);
    support_fails(t.ctx, gm_read(t.tape, x, 5, out), GM_E_SHAPE, "6 elements, out 5");
    support_fails(t.ctx, gm_read(t.tape, x, -1, out), GM_E_SHAPE, "-1");
    support_fails(t.ctx, gm_read(t.tape, x, 6, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_read(NULL, x, 6, out), GM_E_INVALID);
    end(&t);
}
END_TEST

START_TEST(input_keeps_its_tensor_until_the_reset)
{
    bench t;
    begin(&t, 1);
    float data[6];
    gm_tensor *tensor = NULL;
    memcpy(data, numbers, sizeof data);
    support_ok(t.ctx, gm_tensor_create_from(&tensor, t.ctx, 2, two_three, numbers));
    gm_var x = gm_input(t.tape, tensor), again = gm_input(t.tape, tensor);
    int64_t live = t.w.live;
    gm_tensor_release(tensor);
    ck_assert_int_eq(t.w.live, live);
    ck_assert(gm_value(t.tape, x)[5] == -6 && gm_value(t.tape, again)[5] == -6);
    gm_tape_reset(t.tape);
    ck_assert_int_lt(t.w.live, live);
    /* A tape that goes gives its tensors back too. */
    support_ok(t.ctx, gm_tensor_create_from(&tensor, t.ctx, 2, two_three, numbers));
    gm_input(t.tape, tensor);
    gm_tensor_release(tensor);
    end(&t);
}
END_TEST

START_TEST(noise_comes_from_the_tapes_generator)
{
    bench t;
    begin(&t, 1);
    gm_tape *one = NULL, *two = NULL;
    gm_rng *a = NULL, *b = NULL;
    support_ok(t.ctx, gm_rng_create(&a, t.ctx, 5));
    support_ok(t.ctx, gm_rng_create(&b, t.ctx, 5));
    support_ok(t.ctx, gm_tape_create(&one, t.ctx, a));
    support_ok(t.ctx, gm_tape_create(&two, t.ctx, NULL));
    float expected[6];
    support_ok(t.ctx, gm_rng_normal(b, 6, 0, 1, expected));
    gm_var n = gm_randn(one, 2, two_three);
    ck_assert_mem_eq(gm_value(one, n), expected, sizeof expected);
    support_ok(t.ctx, gm_rng_uniform(b, 6, 0, 1, expected));
    gm_var u = gm_rand(one, 2, two_three);
    ck_assert_mem_eq(gm_value(one, u), expected, sizeof expected);
    /* Tapes without one have streams of their own. */
    gm_var p = gm_randn(two, 2, two_three), q = gm_randn(t.tape, 2, two_three);
    for (int i = 0; i < 6; i++) ck_assert(gm_value(two, p)[i] != gm_value(t.tape, q)[i]);
    gm_rng_release(a);
    gm_rng_release(b);
    gm_tape_release(one);
    gm_tape_release(two);
    end(&t);
}
END_TEST

/* sum(a a) + 3 sum(b): gradients 2 a and 3. */
static gm_var record_loss(bench *t)
{
    gm_var a = gm_parameter(t->tape, t->a), b = gm_parameter(t->tape, t->b);
    return gm_add(t->tape, gm_sum(t->tape, gm_mul(t->tape, a, a)),
                  gm_scale(t->tape, gm_sum(t->tape, b), 3));
}

static void check_gradients(bench *t, float base, float factor)
{
    for (int i = 0; i < 6; i++) {
        float a = base + factor * 2 * gm_param_value(t->a)[i], b = base + factor * 3;
        ck_assert_msg(gm_param_gradient(t->a)[i] == a, "a[%d]: %g, not %g", i,
                      (double)gm_param_gradient(t->a)[i], (double)a);
        ck_assert_msg(gm_param_gradient(t->b)[i] == b, "b[%d]: %g, not %g", i,
                      (double)gm_param_gradient(t->b)[i], (double)b);
    }
}

START_TEST(backward_overwrites_or_adds)
{
    bench t;
    begin(&t, 1);
    fill_gradients(&t, NAN);
    gm_var loss = record_loss(&t);
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    check_gradients(&t, 0, 1);
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all)); /* the recording stays */
    check_gradients(&t, 0, 1);
    support_ok(t.ctx, gm_backward_add(t.tape, loss, t.all));
    check_gradients(&t, 0, 2);
    fill_gradients(&t, 10);
    support_ok(t.ctx, gm_backward_add(t.tape, loss, t.all));
    check_gradients(&t, 10, 1);
    end(&t);
}
END_TEST

START_TEST(parameters_outside_wrt_are_constants)
{
    bench t;
    begin(&t, 1);
    unsigned char before[6 * sizeof(float)];
    fill_gradients(&t, 5);
    gm_param_gradient(t.b)[2] = NAN;
    memcpy(before, gm_param_gradient(t.b), sizeof before);
    gm_var loss = record_loss(&t);
    support_ok(t.ctx, gm_backward(t.tape, loss, t.only_a));
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 2 * gm_param_value(t.a)[i]);
    ck_assert_mem_eq(gm_param_gradient(t.b), before, sizeof before);
    /* No set at all: legal, nothing changes. */
    fill_gradients(&t, 7);
    support_ok(t.ctx, gm_backward(t.tape, loss, NULL));
    for (int i = 0; i < 6; i++)
        ck_assert(gm_param_gradient(t.a)[i] == 7 && gm_param_gradient(t.b)[i] == 7);
    /* Then another set, on the same recording. */
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    check_gradients(&t, 0, 1);
    end(&t);
}
END_TEST

START_TEST(no_dependence_gives_zeros)
{
    bench t;
    begin(&t, 1);
    fill_gradients(&t, 5);
    gm_var a = gm_parameter(t.tape, t.a);
    gm_var b = gm_stop_gradient(t.tape, gm_parameter(t.tape, t.b));
    gm_var loss = gm_sum(t.tape, gm_mul(t.tape, a, b));
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    for (int i = 0; i < 6; i++) {
        ck_assert(gm_param_gradient(t.a)[i] == gm_param_value(t.b)[i]);
        ck_assert(gm_param_gradient(t.b)[i] == 0);
    }
    /* A loss of constants; and parameters that were never recorded. */
    fill_gradients(&t, 5);
    gm_tape_reset(t.tape);
    loss = gm_sum(t.tape, gm_input_copy(t.tape, 2, two_three, numbers));
    support_ok(t.ctx, gm_backward_add(t.tape, loss, t.all)); /* adds nothing */
    ck_assert(gm_param_gradient(t.a)[3] == 5 && gm_param_gradient(t.b)[3] == 5);
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    for (int i = 0; i < 6; i++)
        ck_assert(gm_param_gradient(t.a)[i] == 0 && gm_param_gradient(t.b)[i] == 0);
    end(&t);
}
END_TEST

START_TEST(what_is_recorded_after_the_loss_does_not_matter)
{
    bench t;
    begin(&t, 1);
    gm_var a = gm_parameter(t.tape, t.a);
    gm_var early = gm_sum(t.tape, a);
    gm_var late = gm_sum(t.tape, gm_exp(t.tape, gm_scale(t.tape, a, 100))); /* infinite */
    support_ok(t.ctx, gm_backward(t.tape, early, t.only_a));
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 1);
    support_ok(t.ctx, gm_backward(t.tape, late, t.only_a));
    ck_assert(isinf(gm_param_gradient(t.a)[5]));
    support_ok(t.ctx, gm_backward(t.tape, early, t.only_a));
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 1);
    end(&t);
}
END_TEST

START_TEST(one_parameter_many_times)
{
    bench t;
    begin(&t, 1);
    /* Recorded twice, used four times: a a + 2 a + 5 a, gradient 2 a + 7. */
    gm_var a = gm_parameter(t.tape, t.a), again = gm_parameter(t.tape, t.a);
    gm_var sum = gm_add(t.tape, gm_mul(t.tape, a, again),
                        gm_add(t.tape, gm_scale(t.tape, a, 2), gm_scale(t.tape, again, 5)));
    gm_var loss = gm_sum(t.tape, sum);
    fill_gradients(&t, NAN);
    support_ok(t.ctx, gm_backward(t.tape, loss, t.only_a));
    for (int i = 0; i < 6; i++)
        ck_assert(gm_param_gradient(t.a)[i] == 2 * gm_param_value(t.a)[i] + 7);
    fill_gradients(&t, 1);
    support_ok(t.ctx, gm_backward_add(t.tape, loss, t.only_a));
    for (int i = 0; i < 6; i++)
        ck_assert(gm_param_gradient(t.a)[i] == 2 * gm_param_value(t.a)[i] + 8);
    /* a - a: the gradient is zero, and was computed. */
    loss = gm_sum(t.tape, gm_sub(t.tape, a, a));
    support_ok(t.ctx, gm_backward(t.tape, loss, t.only_a));
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 0);
    end(&t);
}
END_TEST

START_TEST(a_parameter_as_the_loss)
{
    bench t;
    begin(&t, 1);
    gm_param *scalar = NULL;
    gm_params *set = NULL;
    static const int64_t one[1] = { 1 };
    support_ok(t.ctx, gm_param_create(&scalar, t.ctx, "s", 1, one));
    support_ok(t.ctx, gm_params_create(&set, t.ctx));
    support_ok(t.ctx, gm_params_add(set, NULL, scalar));
    gm_var loss = gm_parameter(t.tape, scalar);
    gm_param_gradient(scalar)[0] = 5;
    support_ok(t.ctx, gm_backward(t.tape, loss, t.only_a)); /* not asked for */
    ck_assert(gm_param_gradient(scalar)[0] == 5);
    support_ok(t.ctx, gm_backward_add(t.tape, loss, set));
    ck_assert(gm_param_gradient(scalar)[0] == 6);
    support_ok(t.ctx, gm_backward(t.tape, loss, set));
    ck_assert(gm_param_gradient(scalar)[0] == 1);
    gm_params_release(set);
    gm_param_release(scalar);
    end(&t);
}
END_TEST

START_TEST(the_loss_has_one_element)
{
    bench t, other;
    begin(&t, 1);
    begin(&other, 1);
    gm_var a = gm_parameter(t.tape, t.a);
    gm_var loss = gm_sum(t.tape, a);
    fill_gradients(&t, 5);
    support_fails(t.ctx, gm_backward(t.tape, a, t.all), GM_E_SHAPE, "[2, 3]");
    support_fails(t.ctx, gm_backward(t.tape, loss, other.all), GM_E_INVALID, "another context");
    ck_assert_int_eq(gm_backward(NULL, loss, t.all), GM_E_INVALID);
    ck_assert_int_eq(gm_backward_add(NULL, loss, t.all), GM_E_INVALID);
    ck_assert(gm_param_gradient(t.a)[0] == 5);
    support_ok(t.ctx, gm_tape_status(t.tape));
    /* [1, 1, 1] is one element too. */
    static const int64_t ones[3] = { 1, 1, 1 };
    support_ok(t.ctx, gm_backward(t.tape, gm_reshape(t.tape, loss, 3, ones), t.all));
    ck_assert(gm_param_gradient(t.a)[0] == 1);
    end(&other);
    end(&t);
}
END_TEST

START_TEST(variables_have_gradients)
{
    bench t;
    begin(&t, 1);
    gm_var x = gm_variable(t.tape, 2, two_three, numbers);
    gm_var unused = gm_variable(t.tape, 2, two_three, numbers);
    gm_var input = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var a = gm_parameter(t.tape, t.a);
    gm_var product = gm_mul(t.tape, x, gm_add(t.tape, a, input));
    gm_var loss = gm_sum(t.tape, product);
    ck_assert_ptr_null(gm_gradient_of(t.tape, x)); /* nothing ran yet */
    support_ok(t.ctx, gm_backward(t.tape, loss, NULL));
    const float *g = gm_gradient_of(t.tape, x);
    ck_assert_ptr_nonnull(g);
    for (int i = 0; i < 6; i++) ck_assert(g[i] == gm_param_value(t.a)[i] + numbers[i]);
    ck_assert_ptr_null(gm_gradient_of(t.tape, unused));
    ck_assert_ptr_null(gm_gradient_of(t.tape, input));
    ck_assert_ptr_null(gm_gradient_of(t.tape, a));
    ck_assert_ptr_null(gm_gradient_of(t.tape, product));
    ck_assert_ptr_null(gm_gradient_of(t.tape, loss));
    ck_assert_ptr_null(gm_gradient_of(NULL, x));
    /* Together with parameters; the variable's gradient is never added up. */
    support_ok(t.ctx, gm_backward_add(t.tape, loss, t.all));
    support_ok(t.ctx, gm_backward_add(t.tape, loss, t.all));
    g = gm_gradient_of(t.tape, x);
    for (int i = 0; i < 6; i++) {
        ck_assert(g[i] == gm_param_value(t.a)[i] + numbers[i]);
        ck_assert(gm_param_gradient(t.a)[i] == 2 * numbers[i]);
    }
    /* A variable as the loss. */
    gm_var one = gm_variable(t.tape, 0, NULL, numbers);
    support_ok(t.ctx, gm_backward(t.tape, one, NULL));
    ck_assert(gm_gradient_of(t.tape, one)[0] == 1);
    ck_assert_ptr_null(gm_gradient_of(t.tape, x)); /* this loss does not depend on it */
    gm_tape_reset(t.tape);
    ck_assert_ptr_null(gm_gradient_of(t.tape, x));
    end(&t);
}
END_TEST

START_TEST(constant_mode_wants_no_gradients)
{
    bench t;
    begin(&t, 1);
    fill_gradients(&t, 5);
    gm_tape_set_mode(t.tape, GM_TAPE_CONSTANT);
    gm_var frozen = gm_parameter(t.tape, t.a);
    gm_tape_set_mode(t.tape, GM_TAPE_TRAIN); /* for what comes from now on */
    gm_var b = gm_parameter(t.tape, t.b);
    support_ok(t.ctx, gm_backward(t.tape, gm_sum(t.tape, gm_mul(t.tape, frozen, b)), t.all));
    for (int i = 0; i < 6; i++) {
        ck_assert(gm_param_gradient(t.a)[i] == 0);
        ck_assert(gm_param_gradient(t.b)[i] == gm_param_value(t.a)[i]);
    }
    end(&t);
}
END_TEST

/* A step with most kinds of operations. */
static gm_status train_step(bench *t)
{
    gm_tape_reset(t->tape);
    static const int64_t big[2] = { 700, 3 };
    gm_var x = gm_randn(t->tape, 2, big);
    gm_var h = gm_tanh(t->tape, gm_linear(t->tape, x, gm_parameter(t->tape, t->a), GM_NO_VAR,
                                          GM_ACTIVATION_RELU, 0));
    gm_var y = gm_linear(t->tape, x, gm_parameter(t->tape, t->b), GM_NO_VAR, 0, 0);
    gm_var parts[2] = { gm_dropout(t->tape, h, 0.5), y };
    gm_var loss = gm_mean(t->tape, gm_square(t->tape, gm_concat(t->tape, parts, 2, 1)));
    gm_status status = gm_backward(t->tape, loss, t->all);
    return status ? status : gm_backward_add(t->tape, loss, t->all);
}

START_TEST(a_second_step_allocates_nothing)
{
    for (int32_t threads = 1; threads <= 3; threads++) {
        bench t;
        begin(&t, threads);
        gm_memory_counters before, after;
        support_ok(t.ctx, train_step(&t));
        gm_context_memory(&before, t.ctx);
        for (int i = 0; i < 5; i++) support_ok(t.ctx, train_step(&t));
        gm_context_memory(&after, t.ctx);
        ck_assert_mem_eq(&before, &after, sizeof before);
        end(&t);
    }
}
END_TEST

START_TEST(long_recordings_grow)
{
    bench t;
    begin(&t, 1);
    gm_var x = gm_parameter(t.tape, t.a);
    for (int i = 0; i < 5000; i++) x = gm_shift(t.tape, x, 1);
    support_ok(t.ctx, gm_backward(t.tape, gm_sum(t.tape, x), t.all));
    ck_assert(gm_value(t.tape, x)[0] == 5001);
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 1);
    end(&t);
}
END_TEST

START_TEST(every_allocation_of_a_step_may_fail)
{
    int failures = 0;
    for (int64_t n = 0;; n++) {
        bench t;
        begin(&t, 1);
        fill_gradients(&t, 5);
        t.w.fail_at = t.w.calls + n;
        gm_status status = train_step(&t);
        if (status) {
            ck_assert_int_eq(status, GM_E_NOMEM);
            ck_assert_uint_gt(strlen(gm_context_error(t.ctx)), 0);
            failures++;
            /* Memory is back: so is the tape, and no gradient was touched by what failed. */
            for (int i = 0; i < 6; i++)
                ck_assert(gm_param_gradient(t.a)[i] == 5 && gm_param_gradient(t.b)[i] == 5);
            support_ok(t.ctx, train_step(&t));
        }
        end(&t);
        if (!status) break;
        ck_assert_int_lt(failures, 1000);
    }
    ck_assert_int_ge(failures, 3);
}
END_TEST

START_TEST(creation_survives_failing_allocations)
{
    bench t;
    begin(&t, 1);
    for (int64_t n = 0; n < 2; n++) { /* the tape, its generator */
        gm_tape *tape = t.tape;
        int64_t live = t.w.live;
        t.w.fail_at = t.w.calls + n;
        ck_assert_int_eq(gm_tape_create(&tape, t.ctx, NULL), GM_E_NOMEM);
        ck_assert_ptr_null(tape);
        ck_assert_int_eq(t.w.live, live);
    }
    end(&t);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("tape");
    TCase *t = tcase_create("recording");
    tcase_add_test(t, create_and_getters);
    tcase_add_test(t, leaves_hold_their_data);
    tcase_add_test(t, leaves_refuse_nonsense);
    tcase_add_test(t, empty_variables_are_legal);
    tcase_add_test(t, the_first_failure_sticks);
    tcase_add_test(t, hosts_can_fail_the_tape);
    tcase_add_test(t, stale_variables_are_noticed);
    tcase_add_test(t, read_copies);
    tcase_add_test(t, input_keeps_its_tensor_until_the_reset);
    tcase_add_test(t, noise_comes_from_the_tapes_generator);
    suite_add_tcase(s, t);
    t = tcase_create("backward");
    tcase_add_test(t, backward_overwrites_or_adds);
    tcase_add_test(t, parameters_outside_wrt_are_constants);
    tcase_add_test(t, no_dependence_gives_zeros);
    tcase_add_test(t, what_is_recorded_after_the_loss_does_not_matter);
    tcase_add_test(t, one_parameter_many_times);
    tcase_add_test(t, a_parameter_as_the_loss);
    tcase_add_test(t, the_loss_has_one_element);
    tcase_add_test(t, variables_have_gradients);
    tcase_add_test(t, constant_mode_wants_no_gradients);
    suite_add_tcase(s, t);
    t = tcase_create("memory");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, a_second_step_allocates_nothing);
    tcase_add_test(t, long_recordings_grow);
    tcase_add_test(t, every_allocation_of_a_step_may_fail);
    tcase_add_test(t, creation_survives_failing_allocations);
    suite_add_tcase(s, t);
    return s;
}
