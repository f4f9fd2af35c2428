/* norm.c - gradient checks of gm/norm.h: statistics of the batch and running ones, with and without
 * gamma and beta, each activation.
 */
#include "gradcheck/covered.h"
#include "gradcheck/gradcheck.h"

#define NORM(eps, act, slope) (&(gm_norm_options){ sizeof(gm_norm_options), eps, 1, act, slope })

/* State lives with the context of the case: made at its first recording. Nothing here completes a
 * step of training, but gm_backward commits: momentum 0 and no iterations keep the state as it is,
 * so that differences see one function. */
static gm_param *state[2];
static gm_context *owner;

static void state_of(gm_tape *t, int64_t first, int64_t second)
{
    gm_context *ctx = gm_tape_context(t);
    if (owner == ctx) return;
    owner = ctx;
    ck_assert_int_eq(gm_param_create(&state[0], ctx, "first", 1, &first), GM_OK);
    ck_assert_int_eq(gm_param_create(&state[1], ctx, "second", 1, &second), GM_OK);
    for (int64_t i = 0; i < first; i++) gm_param_value(state[0])[i] = 0.3 - 0.1 * (double)(i % 5);
    for (int64_t i = 0; i < second; i++) gm_param_value(state[1])[i] = 0.5 + 0.2 * (double)(i % 4);
}

static gm_var batch(gm_tape *t, const gm_var *v, int gamma, int beta, int32_t act, double slope,
                    int32_t mode)
{
    gm_batch_norm_options o = GM_BATCH_NORM_OPTIONS_INIT;
    o.momentum = 0;
    o.eps = 1e-3;
    o.activation = act;
    o.slope = slope;
    int64_t c = gm_shape(t, v[0])[1];
    state_of(t, c, c);
    int32_t before = gm_tape_mode(t);
    gm_tape_set_mode(t, mode);
    gm_var y = gm_batch_norm(t, v[0], gamma ? v[1] : GM_NO_VAR, beta ? v[1 + gamma] : GM_NO_VAR,
                             state[0], state[1], &o);
    gm_tape_set_mode(t, before);
    return y;
}

static gm_var spectral(gm_tape *t, gm_var w, double eps)
{
    gm_spectral_norm_options o = GM_SPECTRAL_NORM_OPTIONS_INIT;
    o.iterations = 0;
    o.eps = eps;
    int64_t rows = gm_shape(t, w)[0];
    state_of(t, rows, gm_count(t, w) / rows);
    return gm_spectral_normalize(t, w, state[0], state[1], &o);
}

#define TRAIN GM_TAPE_TRAIN

/* clang-format off: one builder a line, one case a line. */
BUILD(batch, batch(t, v, 1, 1, GM_ACTIVATION_NONE, 0, TRAIN))
BUILD(batch_bare, batch(t, v, 0, 0, GM_ACTIVATION_NONE, 0, TRAIN))
BUILD(batch_gamma, batch(t, v, 1, 0, GM_ACTIVATION_TANH, 0, TRAIN))
BUILD(batch_beta, batch(t, v, 0, 1, GM_ACTIVATION_NONE, 0, TRAIN))
BUILD(batch_relu, batch(t, v, 1, 1, GM_ACTIVATION_RELU, 0, TRAIN))
BUILD(batch_leaky, batch(t, v, 1, 1, GM_ACTIVATION_LEAKY_RELU, 0.2, TRAIN))
BUILD(batch_elu, batch(t, v, 1, 1, GM_ACTIVATION_ELU, 0.7, TRAIN))
BUILD(batch_tanh, batch(t, v, 1, 1, GM_ACTIVATION_TANH, 0, TRAIN))
BUILD(batch_sigmoid, batch(t, v, 1, 1, GM_ACTIVATION_SIGMOID, 0, TRAIN))
BUILD(batch_softplus, batch(t, v, 1, 1, GM_ACTIVATION_SOFTPLUS, 0, TRAIN))
BUILD(batch_running, batch(t, v, 1, 1, GM_ACTIVATION_NONE, 0, 0))
BUILD(batch_running_tanh, batch(t, v, 1, 1, GM_ACTIVATION_TANH, 0, 0))
BUILD(batch_running_bare, batch(t, v, 0, 0, GM_ACTIVATION_NONE, 0, 0))
BUILD(batch_shared, batch(t, (gm_var[]){ v[0], v[1], v[1] }, 1, 1, GM_ACTIVATION_NONE, 0, TRAIN))

BUILD(layer, gm_layer_norm(t, v[0], v[1], v[2], 1, NORM(1e-3, GM_ACTIVATION_NONE, 0)))
BUILD(layer_bare,
      gm_layer_norm(t, v[0], GM_NO_VAR, GM_NO_VAR, 1, NORM(1e-3, GM_ACTIVATION_NONE, 0)))
BUILD(layer_gamma, gm_layer_norm(t, v[0], v[1], GM_NO_VAR, 1, NORM(1e-3, GM_ACTIVATION_TANH, 0)))
BUILD(layer_beta, gm_layer_norm(t, v[0], GM_NO_VAR, v[1], 1, NORM(1e-3, GM_ACTIVATION_NONE, 0)))
BUILD(layer_two, gm_layer_norm(t, v[0], v[1], v[2], 2, NORM(1e-3, GM_ACTIVATION_NONE, 0)))
BUILD(layer_all, gm_layer_norm(t, v[0], v[1], v[2], 3, NORM(1e-3, GM_ACTIVATION_SIGMOID, 0)))
BUILD(layer_relu, gm_layer_norm(t, v[0], v[1], v[2], 1, NORM(1e-3, GM_ACTIVATION_RELU, 0)))
BUILD(layer_leaky, gm_layer_norm(t, v[0], v[1], v[2], 1, NORM(1e-3, GM_ACTIVATION_LEAKY_RELU, 0.2)))
BUILD(layer_elu, gm_layer_norm(t, v[0], v[1], v[2], 1, NORM(1e-3, GM_ACTIVATION_ELU, 0.7)))
BUILD(layer_tanh, gm_layer_norm(t, v[0], v[1], v[2], 1, NORM(1e-3, GM_ACTIVATION_TANH, 0)))
BUILD(layer_softplus, gm_layer_norm(t, v[0], v[1], v[2], 1, NORM(1e-3, GM_ACTIVATION_SOFTPLUS, 0)))
BUILD(layer_shared, gm_layer_norm(t, v[0], v[1], v[1], 1, NORM(1e-3, GM_ACTIVATION_NONE, 0)))
BUILD(layer_self, gm_layer_norm(t, v[0], v[0], v[0], 2, NORM(1e-3, GM_ACTIVATION_NONE, 0)))

BUILD(instance, gm_instance_norm(t, v[0], v[1], v[2], NORM(1e-3, GM_ACTIVATION_NONE, 0)))
BUILD(instance_bare,
      gm_instance_norm(t, v[0], GM_NO_VAR, GM_NO_VAR, NORM(1e-3, GM_ACTIVATION_NONE, 0)))
BUILD(instance_gamma, gm_instance_norm(t, v[0], v[1], GM_NO_VAR, NORM(1e-3, GM_ACTIVATION_TANH, 0)))
BUILD(instance_relu, gm_instance_norm(t, v[0], v[1], v[2], NORM(1e-3, GM_ACTIVATION_RELU, 0)))
BUILD(instance_leaky,
      gm_instance_norm(t, v[0], v[1], v[2], NORM(1e-3, GM_ACTIVATION_LEAKY_RELU, 0.2)))
BUILD(instance_elu, gm_instance_norm(t, v[0], v[1], v[2], NORM(1e-3, GM_ACTIVATION_ELU, 0.7)))
BUILD(instance_sigmoid, gm_instance_norm(t, v[0], v[1], v[2], NORM(1e-3, GM_ACTIVATION_SIGMOID, 0)))
BUILD(instance_softplus,
      gm_instance_norm(t, v[0], v[1], v[2], NORM(1e-3, GM_ACTIVATION_SOFTPLUS, 0)))

BUILD(group, gm_group_norm(t, v[0], v[1], v[2], 2, NORM(1e-3, GM_ACTIVATION_NONE, 0)))
BUILD(group_bare, gm_group_norm(t, v[0], GM_NO_VAR, GM_NO_VAR, 2, NORM(1e-3, 0, 0)))
BUILD(group_one, gm_group_norm(t, v[0], v[1], v[2], 1, NORM(1e-3, GM_ACTIVATION_TANH, 0)))
BUILD(group_gamma, gm_group_norm(t, v[0], v[1], GM_NO_VAR, 4, NORM(1e-3, GM_ACTIVATION_ELU, 0.7)))
BUILD(group_shared, gm_group_norm(t, v[0], v[1], v[1], 2, NORM(1e-3, GM_ACTIVATION_SOFTPLUS, 0)))

BUILD(spectral, spectral(t, v[0], 1e-12))
BUILD(spectral_held, spectral(t, v[0], 1e3))
BUILD(spectral_linear, gm_linear(t, v[0], spectral(t, v[1], 1e-12), v[2], GM_ACTIVATION_TANH, 0))

#define X2                                                                                         \
    {                                                                                              \
        2, { 7, 5 }, ANY                                                                           \
    }
#define X4                                                                                         \
    {                                                                                              \
        4, { 3, 4, 2, 3 }, ANY                                                                     \
    }
#define P5                                                                                         \
    {                                                                                              \
        1, { 5 }, POSITIVE                                                                         \
    }
#define P4                                                                                         \
    {                                                                                              \
        1, { 4 }, POSITIVE                                                                         \
    }

static const grad_case cases[] = {
    { "batch_norm", "", build_batch, 3, { X2, P5, P5 } },
    { "batch_norm", "images", build_batch, 3, { X4, P4, P4 } },
    { "batch_norm",
      "rank 3",
      build_batch,
      3,
      { { 3, { 2, 3, 17 }, ANY }, { 1, { 3 }, ANY }, { 1, { 3 }, ANY } } },
    { "batch_norm", "bare", build_batch_bare, 1, { X4 } },
    { "batch_norm", "bare, two rows", build_batch_bare, 1, { { 2, { 2, 5 }, ANY } } },
    { "batch_norm", "gamma", build_batch_gamma, 2, { X4, P4 } },
    { "batch_norm", "beta", build_batch_beta, 2, { X2, P5 } },
    { "batch_norm", "relu", build_batch_relu, 3, { X4, P4, P4 } },
    { "batch_norm", "leaky_relu", build_batch_leaky, 3, { X2, P5, P5 } },
    { "batch_norm", "elu", build_batch_elu, 3, { X4, P4, P4 } },
    { "batch_norm", "tanh", build_batch_tanh, 3, { X2, P5, P5 } },
    { "batch_norm", "sigmoid", build_batch_sigmoid, 3, { X4, P4, P4 } },
    { "batch_norm", "softplus", build_batch_softplus, 3, { X4, P4, P4 } },
    { "batch_norm", "running", build_batch_running, 3, { X4, P4, P4 } },
    { "batch_norm", "running, rows", build_batch_running_tanh, 3, { X2, P5, P5 } },
    { "batch_norm", "running, bare", build_batch_running_bare, 1, { { 2, { 1, 5 }, ANY } } },
    { "batch_norm", "one parameter twice", build_batch_shared, 2, { X2, P5 } },
    { "batch_norm",
      "many columns",
      build_batch_tanh,
      3,
      { { 2, { 40, 150 }, ANY }, { 1, { 150 }, ANY }, { 1, { 150 }, ANY } } },
    { "batch_norm",
      "many channels",
      build_batch_sigmoid,
      3,
      { { 4, { 5, 70, 3, 3 }, ANY }, { 1, { 70 }, ANY }, { 1, { 70 }, ANY } } },
    { "batch_norm",
      "large planes",
      build_batch_tanh,
      3,
      { { 4, { 2, 3, 40, 40 }, ANY }, { 1, { 3 }, ANY }, { 1, { 3 }, ANY } } },

    { "layer_norm", "", build_layer, 3, { X2, P5, P5 } },
    { "layer_norm",
      "rank 1",
      build_layer,
      3,
      { { 1, { 6 }, ANY }, { 1, { 6 }, ANY }, { 1, { 6 }, ANY } } },
    { "layer_norm", "rank 3", build_layer, 3, { { 3, { 2, 3, 5 }, ANY }, P5, P5 } },
    { "layer_norm", "bare", build_layer_bare, 1, { X2 } },
    { "layer_norm", "gamma", build_layer_gamma, 2, { X2, P5 } },
    { "layer_norm", "beta", build_layer_beta, 2, { X2, P5 } },
    { "layer_norm",
      "two axes",
      build_layer_two,
      3,
      { X4, { 2, { 2, 3 }, ANY }, { 2, { 2, 3 }, ANY } } },
    { "layer_norm",
      "all axes",
      build_layer_all,
      3,
      { { 3, { 2, 3, 4 }, ANY }, { 3, { 2, 3, 4 }, ANY }, { 3, { 2, 3, 4 }, ANY } } },
    { "layer_norm", "relu", build_layer_relu, 3, { X2, P5, P5 } },
    { "layer_norm", "leaky_relu", build_layer_leaky, 3, { X2, P5, P5 } },
    { "layer_norm", "elu", build_layer_elu, 3, { X2, P5, P5 } },
    { "layer_norm", "softplus", build_layer_softplus, 3, { X2, P5, P5 } },
    { "layer_norm", "one parameter twice", build_layer_shared, 2, { X2, P5 } },
    { "layer_norm", "itself", build_layer_self, 1, { X2 } },
    { "layer_norm",
      "large",
      build_layer_tanh,
      3,
      { { 2, { 130, 300 }, ANY }, { 1, { 300 }, ANY }, { 1, { 300 }, ANY } } },

    { "instance_norm", "", build_instance, 3, { X4, P4, P4 } },
    { "instance_norm",
      "rank 3",
      build_instance,
      3,
      { { 3, { 2, 3, 5 }, ANY }, { 1, { 3 }, ANY }, { 1, { 3 }, ANY } } },
    { "instance_norm", "bare", build_instance_bare, 1, { X4 } },
    { "instance_norm", "gamma", build_instance_gamma, 2, { X4, P4 } },
    { "instance_norm", "relu", build_instance_relu, 3, { X4, P4, P4 } },
    { "instance_norm", "leaky_relu", build_instance_leaky, 3, { X4, P4, P4 } },
    { "instance_norm", "elu", build_instance_elu, 3, { X4, P4, P4 } },
    { "instance_norm", "softplus", build_instance_softplus, 3, { X4, P4, P4 } },
    { "instance_norm",
      "large",
      build_instance_sigmoid,
      3,
      { { 4, { 9, 17, 6, 7 }, ANY }, { 1, { 17 }, ANY }, { 1, { 17 }, ANY } } },

    { "group_norm", "", build_group, 3, { X4, P4, P4 } },
    { "group_norm", "bare", build_group_bare, 1, { X4 } },
    { "group_norm", "one group", build_group_one, 3, { X4, P4, P4 } },
    { "group_norm", "gamma, groups of one", build_group_gamma, 2, { X4, P4 } },
    { "group_norm", "one parameter twice", build_group_shared, 2, { X4, P4 } },
    { "group_norm",
      "rows",
      build_group,
      3,
      { { 2, { 5, 6 }, ANY }, { 1, { 6 }, ANY }, { 1, { 6 }, ANY } } },
    { "group_norm",
      "wide groups",
      build_group,
      3,
      { { 3, { 2, 300, 3 }, ANY }, { 1, { 300 }, ANY }, { 1, { 300 }, ANY } } },
    { "spectral_normalize", "", build_spectral, 1, { { 2, { 4, 6 }, POSITIVE } } },
    { "spectral_normalize", "rank 4", build_spectral, 1, { { 4, { 3, 2, 2, 3 }, POSITIVE } } },
    { "spectral_normalize", "held by eps", build_spectral_held, 1, { { 2, { 4, 6 }, ANY } } },
    { "spectral_normalize", "large", build_spectral, 1, { { 2, { 150, 130 }, POSITIVE } } },
    { "chain",
      "a spectral linear layer",
      build_spectral_linear,
      3,
      { { 2, { 3, 6 }, ANY }, { 2, { 4, 6 }, POSITIVE }, { 1, { 4 }, ANY } } },
};

#define CASES ((int)(sizeof cases / sizeof cases[0]))

/* clang-format on */

static void release_state(void)
{
    gm_param_release(state[0]);
    gm_param_release(state[1]);
    state[0] = state[1] = NULL;
    owner = NULL;
}

START_TEST(test_once)
{
    run_case(&cases[_i], 1, 0);
    release_state();
}
END_TEST

START_TEST(test_twice)
{
    run_case(&cases[_i], 3, 1);
    release_state();
}
END_TEST

START_TEST(test_list_is_covered)
{
    static const char *const listed[] = { COVERED_NORM };
    for (size_t k = 0; k < sizeof listed / sizeof *listed; k++) {
        int found = 0;
        for (int i = 0; i < CASES; i++) found |= !strcmp(listed[k], cases[i].op);
        ck_assert_msg(found, "%s has no gradient check", listed[k]);
    }
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("gradcheck: norm");
    TCase *tc = tcase_create("norm");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_once, 0, CASES);
    tcase_add_loop_test(tc, test_twice, 0, CASES);
    tcase_add_test(tc, test_list_is_covered);
    suite_add_tcase(s, tc);
    return s;
}
