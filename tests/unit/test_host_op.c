/* test_host_op.c - operations that the host defines: like the built-in ones, also when they fail.
 */
#include "tape_bench.h"

/* The host's own operation: the product of two inputs of one shape. It fails where it is told to.
 */
typedef struct product {
    gm_status infer, forward, backward;
    int backwards;       /* calls */
    int values_in_infer; /* must stay NULL */
    int missing;         /* gradients that were NULL */
    int32_t rank;        /* what infer tells, when not 0 */
    int64_t size;
} product;

static gm_status product_infer(void *user, const gm_op_view *v, int32_t *rank, int64_t *shape)
{
    product *p = user;
    if (v->values || v->value || v->gradient || v->gradients) p->values_in_infer++;
    if (p->infer) return p->infer;
    *rank = p->rank ? p->rank : v->ranks[0];
    for (int32_t i = 0; i < v->ranks[0]; i++) shape[i] = v->shapes[0][i];
    if (p->size) shape[0] = p->size;
    return GM_OK;
}

static int64_t view_count(const gm_op_view *v)
{
    int64_t n = 1;
    for (int32_t i = 0; i < v->rank; i++) n *= v->shape[i];
    return n;
}

static gm_status product_forward(void *user, const gm_op_view *v)
{
    product *p = user;
    for (int64_t i = 0; i < view_count(v); i++) v->value[i] = v->values[0][i] * v->values[1][i];
    return p->forward;
}

static gm_status product_backward(void *user, const gm_op_view *v)
{
    product *p = user;
    p->backwards++;
    for (int k = 0; k < 2; k++) {
        if (!v->gradients[k]) p->missing++;
        for (int64_t i = 0; v->gradients[k] && i < view_count(v); i++)
            v->gradients[k][i] += v->gradient[i] * v->values[1 - k][i];
    }
    return p->backward;
}

static gm_host_op product_op(product *p)
{
    gm_host_op op = GM_HOST_OP_INIT;
    memset(p, 0, sizeof *p);
    op.name = "my product";
    op.infer = product_infer;
    op.forward = product_forward;
    op.backward = product_backward;
    op.user = p;
    return op;
}

START_TEST(a_hosts_operation_is_like_any_other)
{
    bench t;
    begin(&t, 1);
    product p;
    gm_host_op op = product_op(&p);
    gm_var in[2] = { gm_parameter(t.tape, t.a), gm_parameter(t.tape, t.b) };
    gm_var y = gm_host(t.tape, &op, in, 2);
    memset(&op, 0, sizeof op); /* it was copied */
    gm_var loss = gm_sum(t.tape, gm_scale(t.tape, y, 2));
    support_ok(t.ctx, gm_tape_status(t.tape));
    for (int i = 0; i < 6; i++)
        ck_assert(gm_value(t.tape, y)[i] == gm_param_value(t.a)[i] * gm_param_value(t.b)[i]);
    fill_gradients(&t, NAN);
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    for (int i = 0; i < 6; i++) {
        ck_assert(gm_param_gradient(t.a)[i] == 2 * gm_param_value(t.b)[i]);
        ck_assert(gm_param_gradient(t.b)[i] == 2 * gm_param_value(t.a)[i]);
    }
    ck_assert_int_eq(p.missing, 0);
    support_ok(t.ctx, gm_backward_add(t.tape, loss, t.all));
    ck_assert(gm_param_gradient(t.a)[1] == 4 * gm_param_value(t.b)[1]);
    /* Only what is asked for. */
    fill_gradients(&t, 5);
    support_ok(t.ctx, gm_backward(t.tape, loss, t.only_a));
    ck_assert_int_eq(p.missing, 1);
    ck_assert(gm_param_gradient(t.a)[1] == 2 * gm_param_value(t.b)[1]);
    ck_assert(gm_param_gradient(t.b)[1] == 5);
    ck_assert_int_eq(p.backwards, 3);
    /* The same input twice. */
    gm_tape_reset(t.tape);
    op = product_op(&p);
    in[0] = in[1] = gm_parameter(t.tape, t.a);
    support_ok(t.ctx, gm_backward(t.tape, gm_sum(t.tape, gm_host(t.tape, &op, in, 2)), t.all));
    for (int i = 0; i < 6; i++) ck_assert(gm_param_gradient(t.a)[i] == 2 * gm_param_value(t.a)[i]);
    ck_assert_int_eq(p.values_in_infer, 0);
    end(&t);
}
END_TEST

START_TEST(without_backward_it_is_a_constant)
{
    bench t;
    begin(&t, 1);
    product p;
    gm_host_op op = product_op(&p);
    op.backward = NULL;
    gm_var a = gm_parameter(t.tape, t.a), in[2] = { a, gm_parameter(t.tape, t.b) };
    gm_var y = gm_host(t.tape, &op, in, 2);
    support_ok(t.ctx, gm_backward(t.tape, gm_sum(t.tape, gm_mul(t.tape, y, a)), t.all));
    for (int i = 0; i < 6; i++) {
        ck_assert(gm_param_gradient(t.a)[i] == gm_value(t.tape, y)[i]);
        ck_assert(gm_param_gradient(t.b)[i] == 0);
    }
    end(&t);
}
END_TEST

START_TEST(a_hosts_failure_sticks_with_its_name)
{
    bench t;
    begin(&t, 1);
    product p;
    gm_host_op op;
    static const gm_status codes[] = { GM_E_SHAPE, GM_E_CANCELLED, -1000, 7 };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        for (int where = 0; where < 2; where++) {
            gm_tape_reset(t.tape);
            op = product_op(&p);
            if (where)
                p.forward = codes[i];
            else
                p.infer = codes[i];
            gm_var in[2] = { gm_parameter(t.tape, t.a), gm_parameter(t.tape, t.b) };
            is_invalid(&t, gm_host(t.tape, &op, in, 2));
            support_fails(t.ctx, gm_tape_status(t.tape), codes[i], "my product");
        }
    }
    /* Shapes that infer makes up. */
    static const struct {
        int32_t rank;
        int64_t size;
    } made_up[] = { { 7, 0 }, { -1, 0 }, { INT32_MAX, 0 }, { 0, -1 }, { 0, INT64_MAX } };
    for (size_t i = 0; i < sizeof made_up / sizeof *made_up; i++) {
        gm_tape_reset(t.tape);
        op = product_op(&p);
        p.rank = made_up[i].rank;
        p.size = made_up[i].size;
        gm_var in[2] = { gm_parameter(t.tape, t.a), gm_parameter(t.tape, t.b) };
        is_invalid(&t, gm_host(t.tape, &op, in, 2));
        support_fails(t.ctx, gm_tape_status(t.tape), GM_E_INVALID, "my product");
    }
    end(&t);
}
END_TEST

START_TEST(a_failing_backward_changes_no_gradient)
{
    bench t;
    begin(&t, 1);
    product p;
    gm_host_op op = product_op(&p);
    float before_a[6], before_b[6];
    gm_var a = gm_parameter(t.tape, t.a), b = gm_parameter(t.tape, t.b), in[2] = { a, b };
    gm_var x = gm_variable(t.tape, 2, two_three, numbers);
    gm_var y = gm_host(t.tape, &op, in, 2);
    /* a and b also get gradients that are computed before the host's callback runs. */
    gm_var loss = gm_sum(t.tape, gm_mul(t.tape, gm_mul(t.tape, a, b), gm_mul(t.tape, x, y)));
    support_ok(t.ctx, gm_tape_status(t.tape));
    for (int i = 0; i < 6; i++) {
        gm_param_gradient(t.a)[i] = i == 3 ? NAN : (float)i;
        gm_param_gradient(t.b)[i] = i == 4 ? -INFINITY : (float)-i;
    }
    memcpy(before_a, gm_param_gradient(t.a), sizeof before_a);
    memcpy(before_b, gm_param_gradient(t.b), sizeof before_b);
    p.backward = GM_E_CANCELLED;
    for (int add = 0; add < 2; add++) {
        support_fails(t.ctx,
                      add ? gm_backward_add(t.tape, loss, t.all) : gm_backward(t.tape, loss, t.all),
                      GM_E_CANCELLED, "my product");
        ck_assert_mem_eq(gm_param_gradient(t.a), before_a, sizeof before_a);
        ck_assert_mem_eq(gm_param_gradient(t.b), before_b, sizeof before_b);
        ck_assert_ptr_null(gm_gradient_of(t.tape, x));
    }
    ck_assert_int_eq(p.backwards, 2);
    /* When the host is well again, so is the recording: d/da of a^2 b^2 x. */
    p.backward = GM_OK;
    support_ok(t.ctx, gm_backward(t.tape, loss, t.all));
    for (int i = 0; i < 6; i++) {
        float va = gm_param_value(t.a)[i], vb = gm_param_value(t.b)[i];
        ck_assert(gm_param_gradient(t.a)[i] == 2 * va * vb * vb * numbers[i]);
        ck_assert(gm_param_gradient(t.b)[i] == 2 * va * va * vb * numbers[i]);
        ck_assert(gm_gradient_of(t.tape, x)[i] == va * va * vb * vb);
    }
    /* A failing operation that does not lie on the way is not asked. */
    p.backward = GM_E_IO;
    support_ok(t.ctx, gm_backward(t.tape, gm_sum(t.tape, a), t.all));
    end(&t);
}
END_TEST

START_TEST(host_operations_refuse_nonsense)
{
    bench t;
    begin(&t, 1);
    product p;
    gm_var none[17];
    for (int i = 0;; i++) {
        gm_host_op op = product_op(&p);
        const gm_host_op *given = &op;
        gm_tape_reset(t.tape);
        gm_var in[17];
        for (int k = 0; k < 17; k++) in[k] = gm_parameter(t.tape, t.a);
        const gm_var *inputs = in;
        int32_t count = 2;
        gm_status expected = GM_E_INVALID;
        const char *text = "host op";
        switch (i) {
        case 0:
            op.name = NULL;
            break;
        case 1:
            op.infer = NULL;
            break;
        case 2:
            op.forward = NULL;
            break;
        case 3:
            inputs = NULL;
            break;
        case 4:
            count = 0;
            break;
        case 5:
            count = -1;
            break;
        case 6:
            count = 17, text = "my product: 17 inputs";
            break;
        case 7:
            given = NULL;
            break;
        case 8:
            op.size = 1;
            break;
        case 9:
            in[1] = GM_NO_VAR, expected = GM_E_STALE, text = "recording";
            break;
        default:
            expected = GM_OK;
            break;
        }
        gm_var v = gm_host(t.tape, given, inputs, count);
        if (!expected) break;
        support_fails(t.ctx, gm_tape_status(t.tape), expected, text);
        is_invalid(&t, v);
    }
    support_ok(t.ctx, gm_tape_status(t.tape));
    memset(none, 0, sizeof none);
    is_invalid(&t, gm_host(NULL, NULL, none, 1));
    end(&t);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("host op");
    TCase *t = tcase_create("host op");
    tcase_add_test(t, a_hosts_operation_is_like_any_other);
    tcase_add_test(t, without_backward_it_is_a_constant);
    tcase_add_test(t, a_hosts_failure_sticks_with_its_name);
    tcase_add_test(t, a_failing_backward_changes_no_gradient);
    tcase_add_test(t, host_operations_refuse_nonsense);
    suite_add_tcase(s, t);
    return s;
}
