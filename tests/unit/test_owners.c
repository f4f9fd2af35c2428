/* test_owners.c - a net that a model or another layer holds is complete: what would be added to it
 * is refused, and the holder works on as if it had not been tried. */
#include <unistd.h>

#include "families.h"
#include "support.h"

#include "gm/layer_file.h"
#include "gm/norm.h"

static gm_context *ctx;

static void setup(void)
{
    ctx = support_context(11, 2);
}

static void teardown(void)
{
    gm_context_release(ctx);
}

static gm_layer *sequence(void)
{
    gm_layer *s = NULL;
    support_ok(ctx, gm_sequence_create(&s, ctx));
    support_ok(ctx, gm_sequence_add_linear(s, 3, 3));
    return s;
}

/* Every way to add; the layer's sets; and that nothing of it sticks. */
static void takes_no_more(gm_layer *s)
{
    gm_layer *part = sequence();
    gm_param *param = NULL;
    const int64_t parts = gm_sequence_count(s), one = 1;
    const int64_t params = gm_params_count(gm_layer_params(s));
    support_ok(ctx, gm_param_create(&param, ctx, "more", 1, &one));
    support_fails(ctx, gm_sequence_add(s, part), GM_E_STATE, "takes no more");
    support_fails(ctx, gm_sequence_add_linear(s, 3, 3), GM_E_STATE, "takes no more");
    support_fails(ctx, gm_sequence_add_linear(s, 3, -3), GM_E_STATE, "takes no more");
    support_fails(ctx, gm_sequence_add_relu(s), GM_E_STATE, "takes no more");
    support_fails(ctx, gm_sequence_add_residual(s, part), GM_E_STATE, "takes no more");
    support_fails(ctx, gm_sequence_add_conv2d(s, 1, 1, 1, 1, 0), GM_E_STATE, "takes no more");
    support_fails(ctx, gm_params_add(gm_layer_params(s), NULL, param), GM_E_STATE, "no more");
    support_fails(ctx, gm_params_add_all(gm_layer_params(s), "x.", gm_layer_params(part)),
                  GM_E_STATE, "no more");
    support_ok(ctx, gm_sequence_status(s));
    ck_assert_int_eq(gm_sequence_count(s), parts);
    ck_assert_int_eq(gm_params_count(gm_layer_params(s)), params);
    /* Such a part is not sealed by the refusal. */
    support_ok(ctx, gm_sequence_add_relu(part));
    gm_param_release(param);
    gm_layer_release(part);
}

START_TEST(layers_hold_complete_ones)
{
    gm_layer *in_sequence = sequence(), *in_residual = sequence(), *outer = NULL, *around = NULL;
    support_ok(ctx, gm_residual_create(&around, ctx, in_residual));
    takes_no_more(in_residual);
    support_ok(ctx, gm_sequence_create(&outer, ctx));
    support_ok(ctx, gm_sequence_add(outer, in_sequence));
    support_ok(ctx, gm_sequence_add(outer, around));
    takes_no_more(in_sequence);
    support_ok(ctx, gm_sequence_add_relu(outer));
    gm_layer_seal(outer);
    gm_layer_seal(NULL);
    takes_no_more(outer);
    gm_layer_release(outer); /* for good, since its sets are bound elsewhere */
    gm_layer_release(around);
    takes_no_more(in_residual);
    takes_no_more(in_sequence);
    gm_layer_release(in_residual);
    gm_layer_release(in_sequence);
}
END_TEST

/* A failed addition or constructor leaves the part open. */
START_TEST(failures_seal_nothing)
{
    gm_layer *s = sequence(), *broken = NULL, *linear = NULL, *spectral = NULL;
    gm_vae *vae = NULL;
    gm_generator *decoder = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    support_ok(ctx, gm_sequence_create(&broken, ctx));
    ck_assert_int_eq(gm_sequence_add_linear(broken, 0, 0), GM_E_INVALID);
    ck_assert_int_eq(gm_sequence_add(broken, s), GM_E_INVALID);
    head.latent = 2; /* the net takes 3 */
    ck_assert_int_eq(gm_generator_create(&decoder, ctx, s, &head), GM_E_SHAPE);
    ck_assert_int_eq(gm_vae_create(&vae, ctx, s, NULL, NULL), GM_E_INVALID);
    support_ok(ctx, gm_sequence_add_relu(s));
    support_ok(ctx, gm_linear_create(&linear, ctx, 3, 3, NULL));
    support_ok(ctx, gm_spectral_norm_create(&spectral, ctx, linear, NULL));
    support_fails(ctx, gm_params_add_all(gm_layer_params(linear), "x.", gm_layer_params(s)),
                  GM_E_STATE, "no more");
    gm_layer_release(spectral);
    gm_layer_release(linear);
    gm_layer_release(broken);
    gm_layer_release(s);
}
END_TEST

static gm_var pass(void *user, gm_tape *t, gm_var x)
{
    return gm_apply(t, user, x);
}

START_TEST(host_layers_hold_complete_sets)
{
    gm_layer *inner = sequence(), *layer = NULL;
    gm_host_layer host = GM_HOST_LAYER_INIT;
    host.type = "pass";
    host.apply = pass;
    host.user = inner;
    support_ok(ctx, gm_layer_create_host(&layer, ctx, &host, gm_layer_params(inner)));
    ck_assert_int_eq(gm_sequence_add_linear(inner, 3, 3), GM_E_STATE); /* its set is the host's */
    ck_assert_int_eq(gm_sequence_count(inner), 1);
    gm_layer_release(layer);
    gm_layer_release(inner);
}
END_TEST

/* The nets that this model was given, at most 2. */
static int nets_of(gm_model *model, gm_layer *nets[2])
{
    gm_layer *all[] = { gm_vae_encoder(gm_vae_from_model(model)),
                        gm_generator_net(gm_vae_decoder(gm_vae_from_model(model))),
                        gm_generator_net(gm_generator_from_model(model)),
                        gm_generator_net(gm_gan_generator(gm_gan_from_model(model))),
                        gm_gan_discriminator(gm_gan_from_model(model)),
                        gm_autoencoder_encoder(gm_autoencoder_from_model(model)),
                        gm_autoencoder_decoder(gm_autoencoder_from_model(model)),
                        gm_generator_net(gm_gmmn_generator(gm_gmmn_from_model(model))) };
    int count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]) nets[count++] = all[i];
    return count;
}

START_TEST(models_hold_complete_nets)
{
    const family_size size = { 4, 3, 2 };
    gm_model *model = family_make(ctx, _i, &size), *loaded = NULL;
    gm_layer *nets[2];
    gm_param *param = NULL;
    const int64_t one = 1, before = gm_params_count(gm_model_params(model));
    char path[64];
    const int count = nets_of(model, nets);
    for (int i = 0; i < count; i++) {
        gm_layer_retain(nets[i]);
        takes_no_more(nets[i]);
    }
    support_ok(ctx, gm_param_create(&param, ctx, "more", 1, &one));
    support_fails(ctx, gm_params_add(gm_model_params(model), NULL, param), GM_E_STATE, "no more");
    ck_assert_int_eq(gm_params_count(gm_model_params(model)), before);
    (void)snprintf(path, sizeof path, "build/tests/owners.%ld.%d", (long)getpid(), _i);
    support_ok(ctx, gm_model_save_checkpoint(model, path));
    support_ok(ctx, gm_model_load(&loaded, ctx, path));
    (void)remove(path);
    for (int i = nets_of(loaded, nets); i-- > 0;) takes_no_more(nets[i]);
    (void)nets_of(model, nets);
    gm_model_release(loaded);
    gm_model_release(model);
    for (int i = 0; i < count; i++) {
        takes_no_more(nets[i]);
        gm_layer_release(nets[i]);
    }
    gm_param_release(param);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *suite = suite_create("owners");
    TCase *tests = tcase_create("owners");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, layers_hold_complete_ones);
    tcase_add_test(tests, failures_seal_nothing);
    tcase_add_test(tests, host_layers_hold_complete_sets);
    tcase_add_loop_test(tests, models_hold_complete_nets, 0, FAMILY_COUNT);
    suite_add_tcase(suite, tests);
    return suite;
}
