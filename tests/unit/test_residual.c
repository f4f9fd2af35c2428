/* test_residual.c - the residual layer: values, nesting, state, sharing, files, refusals. */
#include "gm/layer_file.h"
#include "gm/norm.h"
#include "support.h"

static gm_context *ctx;
static gm_tape *t;
static uint64_t held_before;

static void setup(void)
{
    gm_memory_counters m;
    ctx = support_context(3, 2);
    gm_context_memory(&m, ctx);
    held_before = m.bytes;
    support_ok(ctx, gm_tape_create(&t, ctx, NULL));
}

static void teardown(void)
{
    gm_memory_counters m;
    gm_tape_release(t);
    gm_context_memory(&m, ctx);
    ck_assert_uint_eq(m.bytes, held_before);
    gm_context_release(ctx);
}

/* x + relu(-2 x), and its gradient. */
START_TEST(test_values)
{
    gm_layer *inner = NULL, *layer = NULL;
    support_ok(ctx, gm_sequence_create(&inner, ctx));
    support_ok(ctx, gm_sequence_add_linear(inner, 1, 1));
    support_ok(ctx, gm_sequence_add_relu(inner));
    *gm_param_value(gm_params_find(gm_layer_params(inner), "0.weight")) = -2;
    *gm_param_value(gm_params_find(gm_layer_params(inner), "0.bias")) = 0;
    support_ok(ctx, gm_residual_create(&layer, ctx, inner));
    ck_assert_ptr_eq(gm_residual_inner(layer), inner);
    ck_assert_ptr_null(gm_residual_inner(inner));
    ck_assert_ptr_null(gm_residual_inner(NULL));
    ck_assert_ptr_null(gm_spectral_norm_inner(layer));
    ck_assert_ptr_eq(gm_params_find(gm_layer_params(layer), "0.0.weight"),
                     gm_params_find(gm_layer_params(inner), "0.weight"));
    gm_var x = gm_variable(t, 2, (int64_t[]){ 3, 1 }, (float[]){ -1, 0.5f, 2 });
    gm_var y = gm_apply(t, layer, x);
    support_ok(ctx, gm_backward(t, gm_sum(t, y), NULL));
    const float value[3] = { 1, 0.5f, 2 }, slope[3] = { -1, 1, 1 };
    for (int i = 0; i < 3; i++) {
        ck_assert_float_eq(gm_value(t, y)[i], value[i]);
        ck_assert_float_eq(gm_gradient_of(t, x)[i], slope[i]);
    }
    /* The inner sequence is complete. */
    support_fails(ctx, gm_sequence_add_relu(inner), GM_E_STATE, "sequence");
    gm_layer_release(layer);
    gm_layer_release(inner);
}
END_TEST

/* Blocks of batch norm in a sequence, stored and made anew: the same bytes in evaluation, state
 * included; and one inner layer that serves twice. */
START_TEST(test_file)
{
    gm_layer *net = NULL, *loaded = NULL, *inner = NULL;
    gm_archive *archive = NULL;
    const int64_t shape[2] = { 8, 3 };
    support_ok(ctx, gm_sequence_create(&net, ctx));
    support_ok(ctx, gm_sequence_create(&inner, ctx));
    support_ok(ctx, gm_sequence_add_linear(inner, 3, 3));
    support_ok(ctx, gm_sequence_add_batch_norm(inner, 3));
    support_ok(ctx, gm_sequence_add_tanh(inner));
    for (int k = 0; k < 2; k++) support_ok(ctx, gm_sequence_add_residual(net, inner));
    gm_layer_release(inner);
    ck_assert_int_eq(gm_params_count(gm_layer_params(net)), 4); /* listed once */
    ck_assert_int_eq(gm_params_count(gm_layer_state(net)), 2);
    ck_assert_str_eq(gm_params_name(gm_layer_state(net), 0), "0.0.1.running_mean");
    ck_assert_int_eq(gm_layer_row_wise(net), 0);
    gm_tape_set_mode(t, GM_TAPE_TRAIN);
    gm_var y = gm_apply(t, net, gm_randn(t, 2, shape));
    support_ok(ctx, gm_backward(t, gm_sum(t, gm_square(t, y)), gm_layer_params(net)));
    ck_assert_float_ne(gm_param_value(gm_params_get(gm_layer_state(net), 0))[0], 0);

    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "net.", net));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, "net."));
    ck_assert_int_eq(gm_params_count(gm_layer_params(loaded)), 4);
    ck_assert_ptr_eq(gm_residual_inner(gm_sequence_get(loaded, 0)),
                     gm_residual_inner(gm_sequence_get(loaded, 1)));
    gm_tape_reset(t);
    gm_tape_set_mode(t, GM_TAPE_CONSTANT);
    gm_var x = gm_randn(t, 2, shape);
    gm_var one = gm_apply(t, net, x), other = gm_apply(t, loaded, x);
    support_ok(ctx, gm_tape_status(t));
    ck_assert_mem_eq(gm_value(t, one), gm_value(t, other), 24 * sizeof(float));
    gm_archive_release(archive);
    gm_layer_release(net);
    gm_layer_release(loaded);
}
END_TEST

START_TEST(test_refusals)
{
    gm_layer *layer = NULL, *inner = NULL, *wide = NULL, *bad = NULL;
    gm_context *other = support_context(1, 1);
    support_ok(other, gm_flatten_create(&inner, other));
    support_fails(ctx, gm_residual_create(&layer, ctx, NULL), GM_E_INVALID, "residual: the inner");
    support_fails(ctx, gm_residual_create(&layer, ctx, inner), GM_E_INVALID, "context");
    support_fails(ctx, gm_residual_create(NULL, ctx, inner), GM_E_INVALID, "NULL");
    ck_assert_ptr_null(layer);
    gm_layer_release(inner);
    gm_context_release(other);
    support_ok(ctx, gm_sequence_create(&bad, ctx));
    (void)gm_sequence_add_linear(bad, 0, 3);
    support_fails(ctx, gm_residual_create(&layer, ctx, bad), GM_E_INVALID, "linear");
    gm_layer_release(bad);

    /* Another shape: no broadcasting, although it would fit. */
    support_ok(ctx, gm_linear_create(&wide, ctx, 3, 1, NULL));
    support_ok(ctx, gm_residual_create(&layer, ctx, wide));
    gm_layer_release(wide);
    gm_var y = gm_apply(t, layer, gm_constant(t, 2, (int64_t[]){ 4, 3 }, 1));
    ck_assert_int_eq(y.recording, 0);
    support_fails(ctx, gm_tape_status(t), GM_E_SHAPE, "residual: input is [4, 3]");
    ck_assert(support_says(gm_context_error(ctx), "[4, 1]"));
    gm_tape_reset(t);
    ck_assert_int_eq(gm_apply(t, layer, GM_NO_VAR).recording, 0);
    ck_assert_int_eq(gm_tape_status(t), GM_E_STALE);
    gm_layer_release(layer);
}
END_TEST

/* 32 residual layers around each other, not 33; and what holds too deep a file. */
START_TEST(test_depth)
{
    gm_layer *layer = NULL, *outer = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    support_ok(ctx, gm_activation_create(&layer, ctx, GM_ACTIVATION_TANH, 0));
    for (int i = 0; i < 32; i++) {
        support_ok(ctx, gm_residual_create(&outer, ctx, layer));
        gm_layer_release(layer);
        layer = outer;
    }
    support_fails(ctx, gm_residual_create(&outer, ctx, layer), GM_E_INVALID, "deeper than 32");
    support_ok(ctx, gm_sequence_create(&outer, ctx));
    support_fails(ctx, gm_sequence_add(outer, layer), GM_E_INVALID, "deeper than 32");
    gm_layer_release(outer);
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "", layer));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, ""));
    gm_layer_release(loaded);
    gm_layer_release(layer);
    gm_archive_release(archive);
    /* The same under one more. */
    char key[160] = "";
    support_ok(ctx, gm_archive_create(&archive, ctx));
    for (int i = 0; i < 33; i++) {
        char type[170];
        (void)snprintf(type, sizeof type, "%stype", key);
        support_ok(ctx, gm_archive_set_text(archive, type, "residual"));
        strcat(key, "0.");
    }
    support_fails(ctx, gm_archive_get_layer(&loaded, archive, ""), GM_E_FORMAT, "deeper than 32");
    ck_assert_ptr_null(loaded);
    gm_archive_release(archive);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("residual");
    TCase *tc = tcase_create("residual");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_values);
    tcase_add_test(tc, test_file);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_depth);
    suite_add_tcase(s, tc);
    return s;
}
