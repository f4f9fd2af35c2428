/* test_norm_layers.c - the layers of gm/norm.h: wrong options, threads, memory, files. */
#include <stdint.h>

#include "gm/layer_file.h"
#include "norm_data.h"

START_TEST(bad_layers)
{
    gm_layer *l = NULL, *linear = NULL, *flat = NULL, *far = NULL;
    gm_context *other = support_context(1, 1);
    gm_batch_norm_options b = GM_BATCH_NORM_OPTIONS_INIT;
    gm_norm_options n = GM_NORM_OPTIONS_INIT;
    gm_spectral_norm_options s = GM_SPECTRAL_NORM_OPTIONS_INIT;
    int64_t shape[2] = { 3, 0 };
    support_ok(ctx, gm_linear_create(&linear, ctx, 3, 2, NULL));
    support_ok(ctx, gm_flatten_create(&flat, ctx));
    support_ok(other, gm_linear_create(&far, other, 3, 2, NULL));
    support_fails(ctx, gm_batch_norm_create(&l, ctx, 0, NULL), GM_E_INVALID, "channels is 0");
    b.affine = 2;
    support_fails(ctx, gm_batch_norm_create(&l, ctx, 3, &b), GM_E_INVALID, "affine is 2");
    b.affine = 1;
    b.momentum = NAN;
    support_fails(ctx, gm_batch_norm_create(&l, ctx, 3, &b), GM_E_INVALID, "momentum is");
    b.momentum = 0.1;
    b.eps = 0;
    support_fails(ctx, gm_batch_norm_create(&l, ctx, 3, &b), GM_E_INVALID, "eps is 0");
    support_fails(ctx, gm_layer_norm_create(&l, ctx, 0, NULL, NULL), GM_E_INVALID, "rank is 0");
    support_fails(ctx, gm_layer_norm_create(&l, ctx, 6, shape, NULL), GM_E_INVALID, "rank is 6");
    support_fails(ctx, gm_layer_norm_create(&l, ctx, 2, shape, NULL), GM_E_INVALID, "axis 1 is 0");
    support_fails(ctx, gm_layer_norm_create(&l, ctx, 2, NULL, NULL), GM_E_INVALID, "NULL");
    n.eps = -1;
    support_fails(ctx, gm_layer_norm_create(&l, ctx, 1, shape, &n), GM_E_INVALID, "eps is -1");
    support_fails(ctx, gm_instance_norm_create(&l, ctx, 3, &n), GM_E_INVALID, "eps is -1");
    n.activation = GM_ACTIVATION_RELU;
    support_fails(ctx, gm_instance_norm_create(&l, ctx, 3, &n), GM_E_INVALID,
                  "activation of a layer is 1");
    support_fails(ctx, gm_instance_norm_create(NULL, ctx, 3, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_batch_norm_create(&l, NULL, 3, NULL), GM_E_INVALID);
    support_fails(ctx, gm_spectral_norm_create(&l, ctx, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_spectral_norm_create(&l, ctx, far, NULL), GM_E_INVALID, "context");
    support_fails(ctx, gm_spectral_norm_create(&l, ctx, flat, NULL), GM_E_UNSUPPORTED, "flatten");
    s.iterations = -1;
    support_fails(ctx, gm_spectral_norm_create(&l, ctx, linear, &s), GM_E_INVALID, "is -1");
    ck_assert_ptr_null(l);
    ck_assert_ptr_null(gm_layer_state(linear));
    ck_assert_ptr_null(gm_layer_state(NULL));
    ck_assert_ptr_null(gm_spectral_norm_inner(NULL));
    gm_layer_release(linear);
    gm_layer_release(flat);
    gm_layer_release(far);
    gm_context_release(other);
}
END_TEST

static gm_layer *make_net(gm_context *c)
{
    gm_layer *net = NULL, *inner = NULL, *spectral = NULL;
    int64_t image[3] = { 6, 5, 5 };
    support_ok(c, gm_sequence_create(&net, c));
    support_ok(c, gm_linear_create(&inner, c, 20, 150, NULL));
    support_ok(c, gm_spectral_norm_create(&spectral, c, inner, NULL));
    support_ok(c, gm_sequence_add(net, spectral));
    gm_sequence_add_leaky_relu(net, 0.2);
    gm_sequence_add_batch_norm(net, 150);
    gm_sequence_add_relu(net);
    gm_sequence_add_reshape(net, 3, image);
    gm_sequence_add_batch_norm(net, 6);
    gm_sequence_add_elu(net, 1);
    gm_sequence_add_instance_norm(net, 6);
    gm_sequence_add_layer_norm(net, 2, image + 1);
    gm_sequence_add_softplus(net);
    support_ok(c, gm_sequence_status(net));
    gm_layer_release(inner);
    gm_layer_release(spectral);
    return net;
}

#define BATCH_ROWS 70

static void train(gm_context *c, gm_tape *tape, gm_layer *net, int steps)
{
    (void)c;
    for (int i = 0; i < steps; i++) {
        gm_tape_reset(tape);
        gm_var y = gm_apply(tape, net, filled(tape, 1, SHAPE(BATCH_ROWS, 20), 37 + i, 101, 0.05f));
        gm_var w = filled(tape, 0, SHAPE(BATCH_ROWS, 6, 5, 5), 11, 13, 0.1f);
        gm_params *p = gm_layer_params(net);
        support_ok(c, gm_backward(tape, gm_mean(tape, gm_mul(tape, y, w)), p));
        for (int64_t k = 0; k < gm_params_count(p); k++) {
            gm_param *one = gm_params_get(p, k);
            for (int64_t j = 0; j < gm_param_count(one); j++)
                gm_param_value(one)[j] -= 0.1f * gm_param_gradient(one)[j];
        }
    }
}

/* All that a net has learned: parameters, then state. */
static int64_t everything(gm_context *c, gm_layer *net, float *out)
{
    int64_t n = gm_params_elements(gm_layer_params(net));
    int64_t m = gm_params_elements(gm_layer_state(net));
    support_ok(c, gm_params_read(gm_layer_params(net), n, out));
    support_ok(c, gm_params_read(gm_layer_state(net), m, out + n));
    return n + m;
}

static float learned[3][5000];

START_TEST(same_bytes_for_any_threads)
{
    int64_t n = 0;
    for (int32_t threads = 1; threads <= 3; threads++) {
        gm_context *c = support_context(5, threads);
        gm_tape *tape = NULL;
        support_ok(c, gm_tape_create(&tape, c, NULL));
        gm_layer *net = make_net(c);
        train(c, tape, net, 3);
        n = everything(c, net, learned[threads - 1]);
        ck_assert_int_le(n, 5000);
        ck_assert(isfinite(learned[threads - 1][0]) && isfinite(learned[threads - 1][n - 1]));
        ck_assert_mem_eq(learned[0], learned[threads - 1], (size_t)n * sizeof(float));
        gm_layer_release(net);
        gm_tape_release(tape);
        gm_context_release(c);
    }
}
END_TEST

START_TEST(no_allocation_after_first)
{
    gm_memory_counters before, after;
    gm_layer *net = make_net(ctx);
    train(ctx, t, net, 1);
    gm_context_memory(&before, ctx);
    train(ctx, t, net, 3);
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    gm_layer_release(net);
}
END_TEST

/* A net that was stored goes on as the first one does: statistics and vectors came along. */
START_TEST(files_keep_state)
{
    gm_layer *net = make_net(ctx), *loaded = NULL;
    gm_archive *archive = NULL;
    static const char *names[] = {
        "0.u", "0.v", "2.running_mean", "2.running_variance", "5.running_mean", "5.running_variance"
    };
    train(ctx, t, net, 2);
    ck_assert_int_eq(gm_params_count(gm_layer_state(net)), 6);
    for (int i = 0; i < 6; i++) ck_assert_str_eq(gm_params_name(gm_layer_state(net), i), names[i]);
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "net.", net));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, "net."));
    int64_t n = everything(ctx, net, learned[0]);
    ck_assert_int_eq(everything(ctx, loaded, learned[1]), n);
    ck_assert_mem_eq(learned[0], learned[1], (size_t)n * sizeof(float));
    ck_assert(gm_param_value(gm_params_find(gm_layer_state(loaded), "2.running_variance"))[7] != 1);
    train(ctx, t, net, 2);
    train(ctx, t, loaded, 2);
    (void)everything(ctx, net, learned[0]);
    (void)everything(ctx, loaded, learned[1]);
    ck_assert_mem_eq(learned[0], learned[1], (size_t)n * sizeof(float));
    /* Initialised anew, a gamma is 1 again, a beta 0. */
    support_ok(ctx, gm_layer_init(loaded, GM_INIT_NORMAL, 0, 0.02, NULL));
    gm_params *p = gm_layer_params(loaded);
    ck_assert(gm_param_value(gm_params_find(p, "2.gamma"))[149] == 1);
    ck_assert(gm_param_value(gm_params_find(p, "2.beta"))[149] == 0);
    ck_assert(gm_param_value(gm_params_find(p, "0.0.bias"))[149] == 0);
    gm_archive_release(archive);
    gm_layer_release(loaded);
    gm_layer_release(net);
}
END_TEST

/* A spectral norm and its inner layer, each a part: the weight is stored once and shared again. */
START_TEST(shared_inner)
{
    gm_layer *net = NULL, *inner = NULL, *spectral = NULL, *loaded = NULL;
    support_ok(ctx, gm_sequence_create(&net, ctx));
    support_ok(ctx, gm_linear_create(&inner, ctx, 3, 3, NULL));
    support_ok(ctx, gm_spectral_norm_create(&spectral, ctx, inner, NULL));
    support_ok(ctx, gm_sequence_add(net, inner));
    support_ok(ctx, gm_sequence_add(net, spectral));
    ck_assert_int_eq(gm_params_count(gm_layer_params(net)), 2);
    gm_archive *archive = NULL;
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "", net));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, ""));
    ck_assert_ptr_eq(gm_spectral_norm_inner(gm_sequence_get(loaded, 1)),
                     gm_sequence_get(loaded, 0));
    ck_assert_int_eq(gm_params_count(gm_layer_params(loaded)), 2);
    gm_archive_release(archive);
    gm_layer_release(loaded);
    gm_layer_release(net);
    gm_layer_release(inner);
    gm_layer_release(spectral);
}
END_TEST

START_TEST(hostile_files)
{
    static const struct {
        const char *key, *text;
    } bad[] = {
        { "0.rows", "151" },
        { "0.columns", "0" },
        { "0.iterations", "-1" },
        { "0.iterations", "1001" },
        { "0.eps", "0" },
        { "0.0.type", "flatten" },
        { "0.0.same", "0." },
        { "0.0.in", "21" },
        { "2.channels", "149" },
        { "2.channels", "-1" },
        { "2.affine", "3" },
        { "2.momentum", "nan" },
        { "2.eps", "-1" },
        { "7.channels", "7" },
        { "8.rank", "6" },
        { "8.size0", "0" },
        { "8.size1", "4611686018427387904" },
        { "8.affine", "2" },
    };
    gm_layer *net = make_net(ctx), *loaded = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_archive *archive = NULL;
        support_ok(ctx, gm_archive_create(&archive, ctx));
        support_ok(ctx, gm_archive_put_layer(archive, "", net));
        support_ok(ctx, gm_archive_set_text(archive, bad[i].key, bad[i].text));
        loaded = net;
        gm_status status = gm_archive_get_layer(&loaded, archive, "");
        ck_assert_msg(status == GM_E_FORMAT, "%s = %s: %s (%s)", bad[i].key, bad[i].text,
                      gm_status_name(status), gm_context_error(ctx));
        ck_assert_ptr_null(loaded);
        gm_archive_release(archive);
    }
    /* Spectral norms around spectral norms without end. */
    gm_archive *archive = NULL;
    char key[300] = "";
    support_ok(ctx, gm_archive_create(&archive, ctx));
    for (int i = 0; i < 100; i++) {
        const int64_t one = 1;
        const float value = 1;
        size_t at = strlen(key);
        strcpy(key + at, "type");
        support_ok(ctx, gm_archive_set_text(archive, key, "spectral_norm"));
        for (int k = 0; k < 3; k++) {
            static const char *ints[] = { "iterations", "rows", "columns" };
            strcpy(key + at, ints[k]);
            support_ok(ctx, gm_archive_set_int(archive, key, 1));
        }
        strcpy(key + at, "eps");
        support_ok(ctx, gm_archive_set_real(archive, key, 1));
        strcpy(key + at, "u");
        support_ok(ctx, gm_archive_put(archive, key, 1, &one, &value));
        strcpy(key + at, "v");
        support_ok(ctx, gm_archive_put(archive, key, 1, &one, &value));
        strcpy(key + at, "0.");
    }
    support_fails(ctx, gm_archive_get_layer(&loaded, archive, ""), GM_E_FORMAT, "deep");
    gm_archive_release(archive);
    gm_layer_release(net);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("norm_layers");
    TCase *tc = tcase_create("norm_layers");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, bad_layers);
    tcase_add_test(tc, same_bytes_for_any_threads);
    tcase_add_test(tc, no_allocation_after_first);
    tcase_add_test(tc, files_keep_state);
    tcase_add_test(tc, shared_inner);
    tcase_add_test(tc, hostile_files);
    suite_add_tcase(s, tc);
    return s;
}
