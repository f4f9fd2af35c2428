/* test_layer_sequence.c - sequences: errors that stay, nesting, sharing, shortcuts; layers of the
 * host's. */
#include "support.h"

#include <stdint.h>

#include "gm/layer.h"
#include "gm/layer_file.h"
#include "gm/tape.h"
#include "nn/layer.h"

static gm_context *ctx;
static gm_tape *tape;

/* The context's own memory with two threads is not this suite's business: count what a test
 * adds. */
static uint64_t held_before;

static void setup(void)
{
    gm_memory_counters m;
    ctx = support_context(3, 2);
    gm_context_memory(&m, ctx);
    held_before = m.bytes;
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
}

static void teardown(void)
{
    gm_memory_counters m;
    gm_tape_release(tape);
    gm_context_memory(&m, ctx);
    ck_assert_uint_eq(m.bytes, held_before);
    gm_context_release(ctx);
}

/* --- Sequences. */

START_TEST(first_error_stays)
{
    gm_layer *s = NULL, *outer = NULL;
    support_ok(ctx, gm_sequence_create(&s, ctx));
    support_ok(ctx, gm_sequence_add_linear(s, 4, 3));
    support_ok(ctx, gm_sequence_status(s));
    support_fails(ctx, gm_sequence_add_linear(s, 3, -2), GM_E_INVALID, "out is -2");
    (void)gm_fail(ctx, GM_E_IO, "something else");
    support_fails(ctx, gm_sequence_add_relu(s), GM_E_INVALID, "out is -2");
    (void)gm_fail(ctx, GM_E_IO, "something else");
    support_fails(ctx, gm_sequence_status(s), GM_E_INVALID, "out is -2");
    ck_assert_int_eq(gm_sequence_count(s), 1);
    (void)gm_fail(ctx, GM_E_IO, "something else");
    int64_t shape[2] = { 1, 4 };
    gm_apply(tape, s, gm_constant(tape, 2, shape, 0));
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "out is -2");
    int32_t rank;
    int64_t out[GM_MAX_RANK];
    support_fails(ctx, gm_layer_output(s, 2, shape, &rank, out), GM_E_INVALID, "out is -2");
    gm_archive *archive = NULL;
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_fails(ctx, gm_archive_put_layer(archive, "", s), GM_E_INVALID, "out is -2");
    gm_archive_release(archive);
    /* Adding it passes the error on. */
    support_ok(ctx, gm_sequence_create(&outer, ctx));
    support_fails(ctx, gm_sequence_add(outer, s), GM_E_INVALID, "out is -2");
    support_fails(ctx, gm_sequence_status(outer), GM_E_INVALID, "out is -2");
    gm_layer_release(s);
    gm_layer_release(outer);
}
END_TEST

START_TEST(circles)
{
    gm_layer *a = NULL, *b = NULL;
    support_ok(ctx, gm_sequence_create(&a, ctx));
    support_fails(ctx, gm_sequence_add(a, a), GM_E_INVALID, "itself");
    gm_layer_release(a);
    support_ok(ctx, gm_sequence_create(&a, ctx));
    support_ok(ctx, gm_sequence_create(&b, ctx));
    support_ok(ctx, gm_sequence_add(a, b));
    support_fails(ctx, gm_sequence_add(b, a), GM_E_STATE, "takes no more");
    support_ok(ctx, gm_sequence_status(a)); /* what holds it works on */
    gm_layer_release(a);
    gm_layer_release(b);
}
END_TEST

START_TEST(nesting_limits)
{
    gm_layer *deep = NULL, *wrap = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    support_ok(ctx, gm_sequence_create(&deep, ctx));
    support_ok(ctx, gm_sequence_add_linear(deep, 2, 2));
    for (int i = 1; i < 32; i++) {
        support_ok(ctx, gm_sequence_create(&wrap, ctx));
        support_ok(ctx, gm_sequence_add(wrap, deep));
        gm_layer_release(deep);
        deep = wrap;
    }
    support_ok(ctx, gm_sequence_create(&wrap, ctx));
    support_fails(ctx, gm_sequence_add(wrap, deep), GM_E_INVALID, "32");
    gm_layer_release(wrap);
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "", deep));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, ""));
    ck_assert_int_eq(gm_params_count(gm_layer_params(loaded)), 2);
    gm_layer_release(loaded);
    gm_layer_release(deep);
    gm_archive_release(archive);

    /* Doubling: a sequence twice in the next one, and so on. Work is bounded, not only depth. */
    gm_layer *twice = NULL;
    gm_status status = GM_OK;
    support_ok(ctx, gm_sequence_create(&twice, ctx));
    support_ok(ctx, gm_sequence_add_relu(twice));
    int levels = 0;
    while (!status && levels < 40) {
        support_ok(ctx, gm_sequence_create(&wrap, ctx));
        (void)gm_sequence_add(wrap, twice);
        status = gm_sequence_add(wrap, twice);
        gm_layer_release(twice);
        twice = wrap;
        levels++;
    }
    support_fails(ctx, status, GM_E_INVALID, "4096");
    ck_assert_int_eq(levels, 13);
    gm_layer_release(twice);
}
END_TEST

START_TEST(sharing)
{
    gm_layer *s = NULL, *part = NULL, *act = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    support_ok(ctx, gm_linear_create(&part, ctx, 3, 3, NULL));
    support_ok(ctx, gm_activation_create(&act, ctx, GM_ACTIVATION_TANH, 0));
    support_ok(ctx, gm_sequence_create(&s, ctx));
    support_ok(ctx, gm_sequence_add(s, part));
    support_ok(ctx, gm_sequence_add(s, act));
    support_ok(ctx, gm_sequence_add(s, part));
    gm_layer_release(act);
    ck_assert_ptr_eq(gm_sequence_get(s, 2), part);
    ck_assert_int_eq(gm_params_count(gm_layer_params(s)), 2);
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "a.", s));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, "a."));
    ck_assert_int_eq(gm_params_count(gm_layer_params(loaded)), 2);
    ck_assert_ptr_eq(gm_sequence_get(loaded, 0), gm_sequence_get(loaded, 2));
    gm_layer_release(loaded);
    /* "same" that points nowhere, at what encloses it, or at itself. */
    const char *bad[] = { "7.", "", "2.", "1.0." };
    for (int i = 0; i < 4; i++) {
        support_ok(ctx, gm_archive_set_text(archive, "a.2.same", bad[i]));
        support_fails(ctx, gm_archive_get_layer(&loaded, archive, "a."), GM_E_FORMAT, "a.2.same");
    }
    gm_archive_release(archive);
    gm_layer_release(part);
    gm_layer_release(s);
}
END_TEST

START_TEST(shortcuts)
{
    gm_layer *s = NULL;
    int64_t shape[2] = { 2, 3 };
    support_ok(ctx, gm_sequence_create(&s, ctx));
    gm_sequence_add_embedding(s, 10, 4);
    gm_sequence_add_flatten(s);
    gm_sequence_add_linear(s, 8, 6);
    gm_sequence_add_relu(s);
    gm_sequence_add_leaky_relu(s, 0.1);
    gm_sequence_add_elu(s, 1);
    gm_sequence_add_tanh(s);
    gm_sequence_add_sigmoid(s);
    gm_sequence_add_softplus(s);
    gm_sequence_add_dropout(s, 0.5);
    gm_sequence_add_reshape(s, 2, shape);
    gm_sequence_add_maxout(s, 3);
    support_ok(ctx, gm_sequence_status(s));
    ck_assert_int_eq(gm_sequence_count(s), 12);
    static const char *types[] = { "embedding",  "flatten",    "linear",     "activation",
                                   "activation", "activation", "activation", "activation",
                                   "activation", "dropout",    "reshape",    "maxout" };
    for (int i = 0; i < 12; i++) ck_assert_str_eq(gm_layer_type(gm_sequence_get(s, i)), types[i]);
    int32_t rank;
    int64_t in[2] = { 5, 2 }, out[GM_MAX_RANK];
    support_ok(ctx, gm_layer_output(s, 2, in, &rank, out));
    ck_assert_int_eq(rank, 3);
    ck_assert_int_eq(out[0], 5);
    ck_assert_int_eq(out[2], 1);
    ck_assert_ptr_null(gm_sequence_get(s, 12));
    ck_assert_ptr_null(gm_sequence_get(s, -1));
    gm_layer_release(s);
}
END_TEST

/* --- Layers of the host's. */

static int released;

static void count_release(void *user)
{
    ck_assert_ptr_eq(user, &released);
    released++;
}

static gm_var apply_twice(void *user, gm_tape *t, gm_var x)
{
    (void)user;
    return gm_scale(t, x, 2);
}

static gm_var apply_failing(void *user, gm_tape *t, gm_var x)
{
    (void)user;
    (void)x;
    return gm_tape_fail(t, GM_E_CANCELLED, "not today");
}

static gm_var apply_nothing(void *user, gm_tape *t, gm_var x)
{
    gm_var none = GM_NO_VAR;
    (void)user;
    (void)t;
    (void)x;
    return none;
}

START_TEST(host_layers)
{
    gm_host_layer h = GM_HOST_LAYER_INIT;
    gm_layer *layer = NULL, *s = NULL;
    gm_params *params = NULL;
    gm_param *p = NULL;
    int64_t n = 3;
    released = 0;
    support_ok(ctx, gm_params_create(&params, ctx));
    support_ok(ctx, gm_param_create(&p, ctx, "scale", 1, &n));
    support_ok(ctx, gm_params_add(params, NULL, p));
    char type[8] = "twice";
    h.type = type;
    h.apply = apply_twice;
    h.release = count_release;
    h.user = &released;
    support_ok(ctx, gm_layer_create_host(&layer, ctx, &h, params));
    type[0] = 'x'; /* it was copied */
    ck_assert_str_eq(gm_layer_type(layer), "twice");
    ck_assert_ptr_eq(gm_layer_params(layer), params);
    support_ok(ctx, gm_sequence_create(&s, ctx));
    support_ok(ctx, gm_sequence_add(s, layer));
    support_ok(ctx, gm_sequence_add(s, layer));
    ck_assert_str_eq(gm_params_name(gm_layer_params(s), 0), "0.scale");
    float y;
    support_ok(ctx, gm_read(tape, gm_apply(tape, s, gm_constant(tape, 0, NULL, 3)), 1, &y));
    ck_assert(y == 12);
    gm_archive *archive = NULL;
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_fails(ctx, gm_archive_put_layer(archive, "", s), GM_E_UNSUPPORTED, "twice");
    gm_archive_release(archive);
    gm_layer_release(layer);
    ck_assert_int_eq(released, 0);
    gm_layer_release(s);
    ck_assert_int_eq(released, 1);
    gm_params_release(params);
    gm_param_release(p);

    h.type = "fails";
    h.apply = apply_failing;
    h.release = NULL;
    support_ok(ctx, gm_layer_create_host(&layer, ctx, &h, NULL));
    ck_assert_int_eq(gm_params_count(gm_layer_params(layer)), 0);
    gm_apply(tape, layer, gm_constant(tape, 0, NULL, 3));
    support_fails(ctx, gm_tape_status(tape), GM_E_CANCELLED, "not today");
    gm_layer_release(layer);

    h.apply = apply_nothing;
    int32_t rank;
    int64_t out[GM_MAX_RANK];
    support_ok(ctx, gm_layer_create_host(&layer, ctx, &h, NULL));
    support_fails(ctx, gm_layer_output(layer, 0, NULL, &rank, out), GM_E_STALE, "fails");
    gm_layer_release(layer);
}
END_TEST

START_TEST(host_layers_badly)
{
    gm_host_layer h = GM_HOST_LAYER_INIT;
    gm_layer *layer = NULL;
    gm_context *other = support_context(1, 1);
    gm_params *far = NULL;
    released = 0;
    support_ok(other, gm_params_create(&far, other));
    support_fails(ctx, gm_layer_create_host(&layer, ctx, &h, NULL), GM_E_INVALID, "NULL");
    h.apply = apply_twice;
    h.release = count_release;
    h.user = &released;
    support_fails(ctx, gm_layer_create_host(&layer, ctx, &h, NULL), GM_E_INVALID, "type");
    static const char *types[] = { "", "a b", "linear", "sequence",
                                   "abcdefghijklmnopqrstuvwxyz012345" };
    for (int i = 0; i < 5; i++) {
        h.type = types[i];
        support_fails(ctx, gm_layer_create_host(&layer, ctx, &h, NULL), GM_E_INVALID, "type");
    }
    h.type = "fine";
    support_fails(ctx, gm_layer_create_host(&layer, ctx, &h, far), GM_E_INVALID, "context");
    support_fails(ctx, gm_layer_create_host(&layer, ctx, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_layer_create_host(NULL, ctx, &h, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_layer_create_host(&layer, NULL, &h, NULL), GM_E_INVALID);
    h.size = 3;
    support_fails(ctx, gm_layer_create_host(&layer, ctx, &h, NULL), GM_E_INVALID, "size");
    ck_assert_ptr_null(layer);
    ck_assert_int_eq(released, 0);
    gm_params_release(far);
    gm_context_release(other);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("layer_sequence");
    TCase *t = tcase_create("layer_sequence");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, first_error_stays);
    tcase_add_test(t, circles);
    tcase_add_test(t, nesting_limits);
    tcase_add_test(t, sharing);
    tcase_add_test(t, shortcuts);
    tcase_add_test(t, host_layers);
    tcase_add_test(t, host_layers_badly);
    suite_add_tcase(s, t);
    return s;
}
