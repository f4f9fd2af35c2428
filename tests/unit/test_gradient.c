/* test_gradient.c - gradients as variables: what they are, where they end, and that they cost no
 * allocation. Their derivatives are compared with differences in tests/gradcheck/second.c. */
#include "gm/conv.h"
#include "gm/gradient.h"
#include "gm/layer.h"
#include "gm/loss.h"
#include "tape_bench.h"

static const int32_t last_axis[1] = { -1 };

static void holds(bench *t, gm_var v, const float *expected)
{
    support_ok(t->ctx, gm_tape_status(t->tape));
    ck_assert_int_eq(gm_rank(t->tape, v), 2);
    ck_assert_mem_eq(gm_shape(t->tape, v), two_three, sizeof two_three);
    for (int i = 0; i < 6; i++)
        ck_assert_msg(gm_value(t->tape, v)[i] == expected[i], "element %d is %g, expected %g", i,
                      (double)gm_value(t->tape, v)[i], (double)expected[i]);
}

static const float ones[6] = { 1, 1, 1, 1, 1, 1 }, zeros[6] = { 0 };

START_TEST(of_every_kind_of_variable)
{
    bench t;
    begin(&t, 1);
    gm_tensor *tensor = NULL;
    float twice[6];
    for (int i = 0; i < 6; i++) twice[i] = 2 * numbers[i];
    support_ok(t.ctx, gm_tensor_create_from(&tensor, t.ctx, 2, two_three, numbers));
    gm_var all[5] = { gm_input(t.tape, tensor), gm_input_array(t.tape, 2, two_three, numbers),
                      gm_input_copy(t.tape, 2, two_three, numbers),
                      gm_variable(t.tape, 2, two_three, numbers), gm_parameter(t.tape, t.a) };
    for (int i = 0; i < 4; i++)
        holds(&t, gm_gradient(t.tape, gm_sum(t.tape, gm_square(t.tape, all[i])), all[i]), twice);
    gm_var y = gm_sum(t.tape, gm_mul(t.tape, all[0], all[4]));
    holds(&t, gm_gradient(t.tape, y, all[0]), gm_param_value(t.a));
    holds(&t, gm_gradient(t.tape, y, all[4]), numbers);
    /* A result on the way; y itself. */
    gm_var middle = gm_neg(t.tape, all[1]);
    y = gm_sum(t.tape, gm_square(t.tape, middle));
    for (int i = 0; i < 6; i++) twice[i] = -2 * numbers[i];
    holds(&t, gm_gradient(t.tape, y, middle), twice);
    gm_var one = gm_gradient(t.tape, y, y);
    ck_assert_int_eq(gm_rank(t.tape, one), 0);
    ck_assert(gm_scalar(t.tape, one) == 1);
    /* One element, but not rank 0. */
    y = gm_reshape(t.tape, y, 2, (int64_t[]){ 1, 1 });
    holds(&t, gm_gradient(t.tape, y, middle), twice);
    gm_tensor_release(tensor);
    end(&t);
}
END_TEST

START_TEST(no_dependence_gives_zeros)
{
    bench t;
    begin(&t, 1);
    gm_var x = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var a = gm_parameter(t.tape, t.a);
    gm_var y = gm_sum(t.tape, gm_square(t.tape, a));
    gm_var later = gm_input_copy(t.tape, 2, two_three, numbers);
    holds(&t, gm_gradient(t.tape, y, x), zeros);
    holds(&t, gm_gradient(t.tape, y, later), zeros);
    holds(&t, gm_gradient(t.tape, y, gm_neg(t.tape, a)), zeros); /* not on the way */
    y = gm_sum(t.tape, gm_mul(t.tape, x, gm_stop_gradient(t.tape, x)));
    holds(&t, gm_gradient(t.tape, y, x), numbers); /* not 2 x */
    y = gm_sum(t.tape, gm_stop_gradient(t.tape, x));
    holds(&t, gm_gradient(t.tape, y, x), zeros);
    /* Zeros, and what is linear in x, are constants of a loss like any other. */
    gm_var g = gm_gradient(t.tape, gm_sum(t.tape, x), x);
    holds(&t, g, ones);
    fill_gradients(&t, 9);
    support_ok(t.ctx, gm_backward(t.tape, gm_sum(t.tape, gm_square(t.tape, g)), t.all));
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 0);
    end(&t);
}
END_TEST

START_TEST(parameters_on_the_way)
{
    bench t;
    begin(&t, 1);
    /* y = sum a x^2: the gradient is 2 a x, the sum of its squares has derivative 8 a x^2 by a. */
    gm_var x = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var y = gm_sum(t.tape, gm_mul(t.tape, gm_parameter(t.tape, t.a), gm_square(t.tape, x)));
    gm_var g = gm_gradient(t.tape, y, x);
    gm_var again = gm_gradient(t.tape, y, x);
    gm_var loss = gm_sum(t.tape, gm_square(t.tape, g));
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    for (int i = 0; i < 6; i++) {
        float a = gm_param_value(t.a)[i];
        ck_assert(gm_value(t.tape, g)[i] == 2 * a * numbers[i]);
        ck_assert(gm_value(t.tape, again)[i] == 2 * a * numbers[i]);
        ck_assert(gm_param_gradient(t.a)[i] == 8 * a * numbers[i] * numbers[i]);
        ck_assert(gm_param_gradient(t.b)[i] == 0);
    }
    /* Recorded as a constant, a is one here too; x still is not. */
    gm_tape_reset(t.tape);
    gm_tape_set_mode(t.tape, GM_TAPE_CONSTANT);
    x = gm_input_copy(t.tape, 2, two_three, numbers);
    g = gm_gradient(t.tape, gm_sum(t.tape, gm_mul(t.tape, gm_parameter(t.tape, t.a), x)), x);
    holds(&t, g, gm_param_value(t.a));
    end(&t);
}
END_TEST

START_TEST(several_in_one_sweep)
{
    bench t;
    begin(&t, 1);
    gm_var x = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var a = gm_parameter(t.tape, t.a);
    gm_var z = gm_mul(t.tape, x, a), later;
    gm_var y = gm_sum(t.tape, gm_mul(t.tape, gm_square(t.tape, z), x)); /* x^3 a^2 */
    gm_var asked[5] = { x, z, a, x, later = gm_constant(t.tape, 0, NULL, 4) }, out[5];
    support_ok(t.ctx, gm_gradients(t.tape, y, asked, 5, out));
    for (int i = 0; i < 6; i++) {
        float p = gm_param_value(t.a)[i], n = numbers[i];
        ck_assert(gm_value(t.tape, out[0])[i] == 3 * n * n * p * p);
        ck_assert(gm_value(t.tape, out[1])[i] == 2 * n * p * n);
        ck_assert(gm_value(t.tape, out[2])[i] == 2 * n * n * n * p);
        ck_assert(gm_value(t.tape, out[3])[i] == 3 * n * n * p * p);
    }
    ck_assert_int_eq(gm_rank(t.tape, out[4]), 0);
    ck_assert(gm_scalar(t.tape, out[4]) == 0);
    for (int k = 0; k < 4; k++) {
        gm_var one = gm_gradient(t.tape, y, asked[k]);
        holds(&t, one, gm_value(t.tape, out[k]));
    }
    support_ok(t.ctx, gm_gradients(t.tape, y, asked, 5, asked)); /* in place */
    holds(&t, asked[1], gm_value(t.tape, out[1]));
    ck_assert_int_ne((int)asked[4].index, (int)later.index);
    end(&t);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    bench t;
    begin(&t, 1);
    gm_tape *tape = t.tape;
    gm_var old = gm_input_copy(tape, 2, two_three, numbers);
    for (int i = 0; i < 8; i++) {
        gm_tape_reset(tape);
        gm_var x = gm_input_copy(tape, 2, two_three, numbers), y = gm_sum(tape, x), v = x;
        gm_status expected = GM_E_INVALID;
        const char *text = "gradient: ";
        gm_var two[2] = { x, old }, out[2] = { x, x };
        switch (i) {
        case 0:
            v = gm_gradient(tape, x, x), expected = GM_E_SHAPE, text = "y is [2, 3], one";
            break;
        case 1:
            v = gm_gradient(tape, y, old), expected = GM_E_STALE, text = "recording";
            break;
        case 2:
            v = gm_gradient(tape, old, x), expected = GM_E_STALE, text = "recording";
            break;
        case 3:
            v = gm_gradient(tape, y, GM_NO_VAR), expected = GM_E_STALE, text = "recording";
            break;
        case 4:
            gm_gradients(tape, y, NULL, 1, &v), text = "NULL";
            break;
        case 5:
            gm_gradients(tape, y, two, 0, out), text = "0 variables";
            v = GM_NO_VAR;
            break;
        case 6:
            gm_gradients(tape, y, two, 1, NULL), text = "NULL";
            v = GM_NO_VAR;
            break;
        default:
            ck_assert_int_eq(gm_gradients(tape, y, two, 2, out), GM_E_STALE);
            is_invalid(&t, out[0]);
            v = out[1];
            expected = GM_E_STALE;
            text = "recording";
            break;
        }
        support_fails(t.ctx, gm_tape_status(tape), expected, text);
        is_invalid(&t, v);
        /* It sticks. */
        is_invalid(&t, gm_gradient(tape, y, x));
        ck_assert_int_eq(gm_gradients(tape, y, &x, 1, &v), expected);
        support_fails(t.ctx, gm_tape_status(tape), expected, text);
    }
    gm_var v = old;
    is_invalid(&t, gm_gradient(NULL, old, old));
    ck_assert_int_eq(gm_gradients(NULL, old, &old, 1, &v), GM_E_INVALID);
    is_invalid(&t, v);
    end(&t);
}
END_TEST

static gm_status same_shape(void *user, const gm_op_view *view, int32_t *rank, int64_t *shape)
{
    (void)user;
    *rank = view->ranks[0];
    memcpy(shape, view->shapes[0], (size_t)*rank * sizeof *shape);
    return GM_OK;
}

static gm_status doubled(void *user, const gm_op_view *view)
{
    (void)user;
    for (int i = 0; i < 6; i++) view->value[i] = 2 * view->values[0][i];
    return GM_OK;
}

static gm_status doubled_back(void *user, const gm_op_view *view)
{
    (void)user;
    for (int i = 0; view->gradients[0] && i < 6; i++)
        view->gradients[0][i] += 2 * view->gradient[i];
    return GM_OK;
}

START_TEST(what_has_no_entry_is_named)
{
    bench t;
    begin(&t, 1);
    gm_host_op op = GM_HOST_OP_INIT;
    op.name = "my_double";
    op.infer = same_shape;
    op.forward = doubled;
    op.backward = doubled_back;
    gm_var x = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var a = gm_parameter(t.tape, t.a);
    gm_var hosted = gm_host(t.tape, &op, &a, 1);
    gm_var y = gm_sum(t.tape, gm_mul(t.tape, x, hosted));
    /* Off the way it is a variable like any other, and gm_backward passes it. */
    gm_var g = gm_gradient(t.tape, y, x);
    holds(&t, g, gm_value(t.tape, hosted));
    support_ok(t.ctx, gm_backward(t.tape, gm_sum(t.tape, g), t.all));
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 2);
    is_invalid(&t, gm_gradient(t.tape, y, a));
    support_fails(t.ctx, gm_tape_status(t.tape), GM_E_UNSUPPORTED,
                  "gradient: my_double has no second derivative here");
    gm_tape_reset(t.tape);
    x = gm_reshape(t.tape, gm_input_copy(t.tape, 2, two_three, numbers), 4,
                   (int64_t[]){ 1, 1, 2, 3 });
    is_invalid(&t, gm_gradient(t.tape, gm_sum(t.tape, gm_max_pool2d(t.tape, x, 2, 1, 0)), x));
    support_fails(t.ctx, gm_tape_status(t.tape), GM_E_UNSUPPORTED,
                  "gradient: max_pool2d has no second derivative here");
    /* Without a backward callback it is a constant. */
    gm_tape_reset(t.tape);
    op.backward = NULL;
    a = gm_parameter(t.tape, t.a);
    holds(&t, gm_gradient(t.tape, gm_sum(t.tape, gm_host(t.tape, &op, &a, 1)), a), zeros);
    end(&t);
}
END_TEST

START_TEST(kinks_have_the_slopes_of_backward)
{
    bench t;
    begin(&t, 1);
    static const int64_t five[1] = { 5 };
    static const float at[5] = { -1, -0.0f, 0, 1, 4 };
    for (int kind = 0; kind < 7; kind++) {
        gm_tape_reset(t.tape);
        gm_var x = gm_variable(t.tape, 1, five, at), f = x;
        switch (kind) {
        case 0:
            f = gm_relu(t.tape, x);
            break;
        case 1:
            f = gm_leaky_relu(t.tape, x, 0.25);
            break;
        case 2:
            f = gm_abs(t.tape, x);
            break;
        case 3:
            f = gm_clamp(t.tape, x, 0, 1);
            break;
        case 4:
            f = gm_elu(t.tape, x, 0.5);
            break;
        case 5:
            f = gm_sqrt(t.tape, gm_abs(t.tape, x));
            break;
        default:
            f = gm_elu(t.tape, x, 0);
            break;
        }
        gm_var y = gm_sum(t.tape, f), g = gm_gradient(t.tape, y, x);
        gm_var h = gm_gradient(t.tape, gm_sum(t.tape, g), x);
        support_ok(t.ctx, gm_backward(t.tape, y, NULL));
        for (int i = 0; i < 5; i++) {
            float expected = gm_gradient_of(t.tape, x)[i], found = gm_value(t.tape, g)[i];
            ck_assert_msg(fabsf(expected - found) <= 1e-6f, "%d at %g: %g, backward gives %g", kind,
                          (double)at[i], (double)found, (double)expected);
            ck_assert(isfinite(gm_value(t.tape, h)[i]));
        }
    }
    end(&t);
}
END_TEST

/* The norm of each row's gradient is 0 where all weights are: no NaN comes of it. */
START_TEST(a_norm_of_zero_is_smooth)
{
    bench t;
    begin(&t, 1);
    memset(gm_param_value(t.a), 0, sizeof zeros);
    gm_var x = gm_input_copy(t.tape, 2, two_three, numbers);
    gm_var y = gm_sum(t.tape, gm_tanh(t.tape, gm_mul(t.tape, x, gm_parameter(t.tape, t.a))));
    gm_var g = gm_gradient(t.tape, y, x);
    gm_var norm = gm_sqrt(t.tape, gm_sum_axes(t.tape, gm_square(t.tape, g), last_axis, 1, 0));
    gm_var loss = gm_mean(t.tape, gm_square(t.tape, gm_shift(t.tape, norm, -1)));
    ck_assert(gm_scalar(t.tape, loss) == 1);
    fill_gradients(&t, 9);
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 0);
    holds(&t, gm_gradient(t.tape, loss, x), zeros);
    end(&t);
}
END_TEST

START_TEST(dropout_keeps_its_mask)
{
    bench t;
    begin(&t, 1);
    static const int64_t many[1] = { 1000 };
    gm_var x = gm_rand(t.tape, 1, many);
    gm_var dropped = gm_dropout(t.tape, gm_shift(t.tape, x, 1), 0.5);
    gm_rng_state before, after;
    gm_rng_save(&before, gm_tape_rng(t.tape));
    gm_var g = gm_gradient(t.tape, gm_sum(t.tape, gm_square(t.tape, dropped)), x);
    gm_rng_save(&after, gm_tape_rng(t.tape));
    ck_assert_mem_eq(&before, &after, sizeof before); /* a gradient draws nothing */
    support_ok(t.ctx, gm_tape_status(t.tape));
    int kept = 0;
    for (int i = 0; i < 1000; i++) {
        float value = gm_value(t.tape, dropped)[i];
        kept += value != 0;
        ck_assert(gm_value(t.tape, g)[i] == 4 * value);
    }
    ck_assert_int_gt(kept, 400);
    ck_assert_int_lt(kept, 600);
    end(&t);
}
END_TEST

START_TEST(empty_variables_are_legal)
{
    bench t;
    begin(&t, 1);
    static const int64_t none[2] = { 0, 3 };
    gm_var x = gm_variable(t.tape, 2, none, numbers);
    gm_var w = gm_parameter(t.tape, t.a);
    gm_var y = gm_linear(t.tape, x, w, GM_NO_VAR, GM_ACTIVATION_TANH, 0);
    gm_var both = gm_add(t.tape, gm_sum(t.tape, gm_mse(t.tape, y, y)),
                         gm_sum(t.tape, gm_logsumexp(t.tape, y)));
    gm_var in[2] = { x, w }, out[2];
    support_ok(t.ctx, gm_gradients(t.tape, both, in, 2, out));
    ck_assert_int_eq(gm_count(t.tape, out[0]), 0);
    ck_assert_int_eq(gm_shape(t.tape, out[0])[1], 3);
    holds(&t, out[1], zeros);
    end(&t);
}
END_TEST

START_TEST(broadcast_repeats)
{
    bench t;
    begin(&t, 1);
    static const int64_t three[1] = { 3 }, two_one[2] = { 2, 1 }, full[3] = { 2, 2, 3 };
    static const int64_t bad[2] = { 3, 2 }, negative[2] = { 2, -3 }, none[2] = { 0, 3 };
    static const int64_t huge[3] = { INT64_C(1) << 40, INT64_C(1) << 40, 3 };
    gm_var row = gm_broadcast(t.tape, gm_input_copy(t.tape, 1, three, numbers), 3, full);
    gm_var column = gm_broadcast(t.tape, gm_input_copy(t.tape, 2, two_one, numbers), 3, full);
    gm_var one = gm_constant(t.tape, 0, NULL, 7);
    gm_var all = gm_broadcast(t.tape, one, 2, two_three);
    support_ok(t.ctx, gm_tape_status(t.tape));
    ck_assert_int_eq(gm_rank(t.tape, row), 3);
    ck_assert_mem_eq(gm_shape(t.tape, row), full, sizeof full);
    for (int i = 0; i < 12; i++) {
        ck_assert(gm_value(t.tape, row)[i] == numbers[i % 3]);
        ck_assert(gm_value(t.tape, column)[i] == numbers[i / 3 % 2]);
    }
    for (int i = 0; i < 6; i++) ck_assert(gm_value(t.tape, all)[i] == 7);
    ck_assert(gm_scalar(t.tape, gm_broadcast(t.tape, one, 0, NULL)) == 7);
    ck_assert_int_eq(gm_count(t.tape, gm_broadcast(t.tape, one, 2, none)), 0);
    /* Repeated zero times, its gradient is 0. */
    gm_var v = gm_variable(t.tape, 1, three, numbers);
    gm_var y = gm_sum(t.tape, gm_broadcast(t.tape, v, 2, none));
    support_ok(t.ctx, gm_backward(t.tape, y, NULL));
    for (int i = 0; i < 3; i++) ck_assert(gm_gradient_of(t.tape, v)[i] == 0);
    for (int i = 0; i < 3; i++) ck_assert(gm_value(t.tape, gm_gradient(t.tape, y, v))[i] == 0);
    for (int i = 0;; i++) {
        gm_status expected = GM_E_INVALID;
        const char *text = NULL;
        gm_tape_reset(t.tape);
        gm_var x = gm_input_copy(t.tape, 2, two_three, numbers), z = x;
        switch (i) {
        case 0:
            z = gm_broadcast(t.tape, x, 2, bad), expected = GM_E_SHAPE;
            text = "[2, 3] does not broadcast to [3, 2]";
            break;
        case 1:
            z = gm_broadcast(t.tape, x, 1, three), expected = GM_E_SHAPE, text = "to [3]";
            break;
        case 2:
            z = gm_broadcast(t.tape, gm_sum(t.tape, x), 2, negative), text = "-3";
            break;
        case 3:
            z = gm_broadcast(t.tape, x, 2, NULL), text = "shape NULL";
            break;
        case 4:
            z = gm_broadcast(t.tape, x, 7, full), text = "rank 7";
            break;
        case 5:
            z = gm_broadcast(t.tape, x, -1, full), text = "rank -1";
            break;
        case 6:
            z = gm_broadcast(t.tape, gm_sum(t.tape, x), 3, huge), text = "memory can address";
            break;
        case 7:
            z = gm_broadcast(t.tape, v, 2, two_three), expected = GM_E_STALE, text = "recording";
            break;
        default:
            break;
        }
        if (!text) break;
        support_fails(t.ctx, gm_tape_status(t.tape), expected, text);
        is_invalid(&t, z);
    }
    is_invalid(&t, gm_broadcast(NULL, v, 2, two_three));
    end(&t);
}
END_TEST

/* WGAN-GP's penalty of a small critic, large enough to be cut over threads. */
static gm_status penalty_step(bench *t, gm_layer *critic)
{
    gm_tape_reset(t->tape);
    static const int64_t big[2] = { 700, 40 };
    gm_var x = gm_randn(t->tape, 2, big);
    gm_var g = gm_gradient(t->tape, gm_sum(t->tape, gm_apply(t->tape, critic, x)), x);
    gm_var norm = gm_sqrt(t->tape, gm_sum_axes(t->tape, gm_square(t->tape, g), last_axis, 1, 0));
    gm_var loss = gm_mean(t->tape, gm_square(t->tape, gm_shift(t->tape, norm, -1)));
    return gm_backward(t->tape, loss, gm_layer_params(critic));
}

/* 0: linear layers with a dropout between; 1: convolutions of the rows as images. */
#define CRITICS 2
static gm_layer *make_critic(bench *t, int which)
{
    static const int64_t image[3] = { 1, 5, 8 };
    gm_layer *critic = NULL;
    support_ok(t->ctx, gm_sequence_create(&critic, t->ctx));
    if (which) {
        gm_sequence_add_reshape(critic, 3, image);
        gm_sequence_add_conv2d(critic, 1, 6, 3, 2, 1); /* [6, 3, 4] */
        gm_sequence_add_leaky_relu(critic, 0.2);
        gm_sequence_add_conv_transpose2d(critic, 6, 4, 2, 1, 0); /* [4, 4, 5] */
        gm_sequence_add_tanh(critic);
        gm_sequence_add_flatten(critic);
        gm_sequence_add_linear(critic, 80, 1);
        support_ok(t->ctx, gm_sequence_status(critic));
        return critic;
    }
    gm_sequence_add_linear(critic, 40, 64);
    gm_sequence_add_leaky_relu(critic, 0.2);
    gm_sequence_add_dropout(critic, 0.25);
    gm_sequence_add_linear(critic, 64, 32);
    gm_sequence_add_tanh(critic);
    gm_sequence_add_linear(critic, 32, 1);
    support_ok(t->ctx, gm_sequence_status(critic));
    return critic;
}

START_TEST(threads_change_no_bit)
{
    float *first = NULL;
    for (int32_t threads = 1; threads <= 3; threads++) {
        bench t;
        begin(&t, threads);
        gm_layer *critic = make_critic(&t, _i);
        gm_params *params = gm_layer_params(critic);
        size_t size = (size_t)gm_params_elements(params) * sizeof(float), at = 0;
        float *found = malloc(size);
        double sum = 0;
        support_ok(t.ctx, penalty_step(&t, critic));
        for (int64_t i = 0; i < gm_params_count(params); i++) {
            gm_param *p = gm_params_get(params, i);
            size_t n = (size_t)gm_param_count(p);
            memcpy(found + at, gm_param_gradient(p), n * sizeof *found);
            at += n;
        }
        for (size_t i = 0; i < at; i++) sum += fabs((double)found[i]);
        ck_assert_double_gt(sum, 0);
        if (first) ck_assert_mem_eq(first, found, size);
        if (first)
            free(found);
        else
            first = found;
        gm_layer_release(critic);
        end(&t);
    }
    free(first);
}
END_TEST

START_TEST(a_second_step_allocates_nothing)
{
    for (int32_t threads = 1; threads <= 3; threads++) {
        bench t;
        begin(&t, threads);
        gm_layer *critic = make_critic(&t, _i);
        gm_memory_counters before, after;
        support_ok(t.ctx, penalty_step(&t, critic));
        gm_context_memory(&before, t.ctx);
        for (int i = 0; i < 3; i++) support_ok(t.ctx, penalty_step(&t, critic));
        gm_context_memory(&after, t.ctx);
        ck_assert_mem_eq(&before, &after, sizeof before);
        gm_layer_release(critic);
        end(&t);
    }
}
END_TEST

/* The tape's list of nodes moves while the sweep records. */
START_TEST(long_recordings_grow)
{
    bench t;
    begin(&t, 1);
    gm_var x = gm_constant(t.tape, 0, NULL, 1), v = x;
    for (int i = 0; i < 3000; i++) v = gm_scale(t.tape, v, i % 2 ? 2 : 0.5);
    gm_var y = gm_square(t.tape, v);
    gm_var g = gm_gradient(t.tape, y, x);
    ck_assert(gm_scalar(t.tape, g) == 2);
    ck_assert(gm_scalar(t.tape, gm_gradient(t.tape, g, x)) == 2);
    support_ok(t.ctx, gm_tape_status(t.tape));
    end(&t);
}
END_TEST

START_TEST(every_allocation_of_a_step_may_fail)
{
    int failures = 0;
    for (int64_t n = 0;; n++) {
        bench t;
        begin(&t, 1);
        gm_layer *critic = make_critic(&t, _i);
        gm_param *p = gm_params_get(gm_layer_params(critic), 0);
        gm_param_gradient(p)[0] = 5;
        t.w.fail_at = t.w.calls + n;
        gm_status status = penalty_step(&t, critic);
        if (status) {
            ck_assert_int_eq(status, GM_E_NOMEM);
            ck_assert(gm_param_gradient(p)[0] == 5);
            failures++;
            support_ok(t.ctx, penalty_step(&t, critic));
        }
        gm_layer_release(critic);
        end(&t);
        if (!status) break;
        ck_assert_int_lt(failures, 1000);
    }
    ck_assert_int_ge(failures, 3);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("gradient");
    TCase *t = tcase_create("values");
    tcase_add_test(t, of_every_kind_of_variable);
    tcase_add_test(t, no_dependence_gives_zeros);
    tcase_add_test(t, parameters_on_the_way);
    tcase_add_test(t, several_in_one_sweep);
    tcase_add_test(t, kinks_have_the_slopes_of_backward);
    tcase_add_test(t, a_norm_of_zero_is_smooth);
    tcase_add_test(t, dropout_keeps_its_mask);
    tcase_add_test(t, empty_variables_are_legal);
    tcase_add_test(t, broadcast_repeats);
    suite_add_tcase(s, t);
    t = tcase_create("failures");
    tcase_add_test(t, nonsense_is_refused);
    tcase_add_test(t, what_has_no_entry_is_named);
    suite_add_tcase(s, t);
    t = tcase_create("memory");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, threads_change_no_bit, 0, CRITICS);
    tcase_add_loop_test(t, a_second_step_allocates_nothing, 0, CRITICS);
    tcase_add_test(t, long_recordings_grow);
    tcase_add_loop_test(t, every_allocation_of_a_step_may_fail, 0, CRITICS);
    suite_add_tcase(s, t);
    return s;
}
