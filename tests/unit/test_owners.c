/* test_owners.c - a net that a model or another layer holds is complete: what would be added to it
 * is refused, and the holder works on as if it had not been tried. And calls hold what they use: a
 * callback may release everything, and what is forbidden there is refused. */
#include <unistd.h>

#include "families.h"
#include "support.h"

#include "gm/anomaly.h"
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

/* --- Callbacks. */

typedef struct world {
    gm_context *ctx;
    gm_model *model;
    gm_dataset *data;
    gm_tape *tape;
    gm_layer *layer;
    int calls, gone;
} world;

static const family_size small = { 4, 3, 2 };

static world world_make(int family)
{
    world w = { .ctx = support_context(5, 2) };
    w.model = family_make(w.ctx, family, &small);
    w.data = nets_bits(w.ctx, 16, gm_model_row_size(w.model));
    return w;
}

static void let_go(world *w)
{
    gm_model_release(w->model);
    gm_dataset_release(w->data);
    gm_tape_release(w->tape);
    gm_layer_release(w->layer);
    gm_context_release(w->ctx);
    w->gone = 1;
}

/* Tries what is forbidden in a callback, then releases everything. */
static int32_t drop_all(void *user, int64_t done, int64_t total)
{
    world *w = user;
    float rows[64] = { 0 };
    (void)done;
    (void)total;
    if (w->gone || w->calls++) return 0;
    if (gm_model_supports(w->model, GM_VERB_FIT)) {
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        const int64_t steps = gm_model_steps(w->model);
        fit.batch = 4;
        const gm_status again = gm_model_fit(w->model, w->data, &fit);
        ck_assert_msg(again == GM_E_STATE, "fit in a callback is %s", gm_status_name(again));
        support_fails(w->ctx, gm_model_step(w->model, rows, 2, NULL, 0, NULL), GM_E_STATE,
                      "inside a callback");
        ck_assert_int_eq(gm_model_steps(w->model), steps);
    }
    let_go(w);
    return 0;
}

typedef gm_status (*asking)(world *w, float *rows);

static gm_status ask_fit(world *w, float *rows)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    (void)rows;
    o.epochs = 2;
    o.batch = 4;
    o.validation = w->data;
    o.patience = 1;
    o.on_progress = drop_all;
    o.user = w;
    return gm_model_fit(w->model, w->data, &o);
}

static int32_t drop_all_reported(void *user, const gm_fit_report *p)
{
    return drop_all(user, p->row, p->rows);
}

static gm_status ask_fit_reported(world *w, float *rows)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    (void)rows;
    o.epochs = 1;
    o.batch = 4;
    o.on_report = drop_all_reported;
    o.user = w;
    return gm_model_fit(w->model, w->data, &o);
}

static gm_status ask_evaluate(world *w, float *rows)
{
    const gm_model_evaluate_options o = { sizeof o, 4, 0, drop_all, w };
    (void)rows;
    return gm_model_evaluate(w->model, w->data, &o, NULL, 0, NULL);
}

static gm_status ask_sample(world *w, float *rows)
{
    const gm_progress_options o = { sizeof o, drop_all, w };
    return gm_model_sample_into(w->model, 8, &o, rows);
}

static gm_status ask_log_prob(world *w, float *rows)
{
    const gm_log_prob_options o = { sizeof o, 0, drop_all, w };
    double log_prob[8];
    return gm_model_log_prob_estimate(NULL, w->model, rows, 8, &o, log_prob, NULL);
}

static gm_status ask_nll(world *w, float *rows)
{
    gm_nll_options o = GM_NLL_OPTIONS_INIT;
    gm_result result = GM_RESULT_INIT;
    (void)rows;
    o.batch = 4;
    o.on_progress = drop_all;
    o.user = w;
    return gm_evaluate_nll(&result, w->model, w->data, &o);
}

static gm_status ask_anomaly(world *w, float *rows)
{
    gm_anomaly_options o = GM_ANOMALY_OPTIONS_INIT;
    gm_anomaly *anomaly = NULL;
    (void)rows;
    o.batch = 4;
    o.on_progress = drop_all;
    o.user = w;
    const gm_status status = gm_anomaly_create(&anomaly, w->model, w->data, &o);
    gm_anomaly_release(anomaly);
    return status;
}

static gm_status ask_impute(world *w, float *rows)
{
    const uint8_t known[64] = { 0 };
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    o.on_progress = drop_all;
    o.user = w;
    return gm_autoregressive_impute(w->model, known, 4, &o, rows);
}

static gm_status ask_given(world *w, float *rows)
{
    const uint8_t known[64] = { 0 };
    const gm_progress_options o = { sizeof o, drop_all, w };
    return gm_autoregressive_sample_given(w->model, known, 4, &o, rows, NULL);
}

static gm_status ask_gibbs(world *w, float *rows)
{
    const gm_progress_options o = { sizeof o, drop_all, w };
    return gm_rbm_gibbs(gm_rbm_from_model(w->model), 4, 3, &o, rows, NULL);
}

static gm_status ask_rbm_ais(world *w, float *rows)
{
    gm_rbm_ais_options o = GM_RBM_AIS_OPTIONS_INIT;
    gm_rbm_ais_result result = GM_RBM_AIS_RESULT_INIT;
    (void)rows;
    o.runs = 4;
    o.on_progress = drop_all;
    o.user = w;
    return gm_rbm_ais(&result, gm_rbm_from_model(w->model), &o);
}

static gm_status ask_sbn(world *w, float *rows)
{
    const gm_log_prob_options o = { sizeof o, 2, drop_all, w };
    double log_prob[4];
    return gm_sbn_log_prob(gm_sbn_from_model(w->model), rows, 4, &o, log_prob, NULL, NULL);
}

static gm_status ask_enumerate(world *w, float *rows)
{
    const gm_progress_options o = { sizeof o, drop_all, w };
    double log_prob[4];
    return gm_sbn_enumerate(gm_sbn_from_model(w->model), rows, 4, &o, log_prob, NULL);
}

/* Every verb of every family: it goes on with what it holds to its end, and what is forbidden in
 * its callback is refused. (Under AddressSanitizer this sees a use of freed memory.) */
START_TEST(callbacks_may_release_everything)
{
    static const asking verbs[] = { ask_fit,      ask_fit_reported, ask_evaluate, ask_sample,
                                    ask_log_prob, ask_nll,          ask_anomaly,  ask_impute,
                                    ask_given,    ask_gibbs,        ask_rbm_ais,  ask_sbn,
                                    ask_enumerate };
    int told = 0;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        world w = world_make(_i);
        float rows[64] = { 0 };
        const gm_status status = verbs[i](&w, rows);
        ck_assert_msg(!w.gone || status == GM_OK, "verb %d is %s after its callback released all",
                      (int)i, gm_status_name(status));
        told += w.gone;
        if (!w.gone) let_go(&w);
    }
    ck_assert_int_ge(told, 1);
}
END_TEST

static gm_status read_and_drop(void *user, const int64_t *rows, int64_t count, int64_t at,
                               float *out)
{
    world *w = user;
    (void)rows;
    (void)at;
    for (int64_t i = 0; i < 4 * count; i++) out[i] = (float)(i % 2);
    if (!w->gone && w->calls++ == 1) let_go(w);
    return GM_OK;
}

/* A dataset that is released, with model and context, by its own callback. */
START_TEST(datasets_may_be_released_while_they_are_read)
{
    const int64_t shape[2] = { 700, 4 };
    for (int verb = 0; verb < 3; verb++) {
        world w = { .ctx = support_context(5, 2) };
        gm_rbm *rbm = NULL;
        float mean[4];
        gm_tensor *t = NULL;
        gm_fit_options o = GM_FIT_OPTIONS_INIT;
        o.batch = 4;
        support_ok(w.ctx, gm_rbm_create(&rbm, w.ctx, 4, 3, NULL));
        w.model = gm_rbm_model(rbm);
        support_ok(w.ctx,
                   gm_dataset_from_callback(&w.data, w.ctx, 2, shape, read_and_drop, NULL, &w));
        w.calls = verb == 2; /* a tensor is read at once */
        gm_status status = verb == 0   ? gm_model_fit(w.model, w.data, &o)
                           : verb == 1 ? gm_dataset_mean(w.data, mean)
                                       : gm_dataset_read_tensor(&t, w.data, 0, 4, 0);
        ck_assert_int_eq(status, GM_OK);
        ck_assert_int_eq(w.gone, 1);
        gm_tensor_release(t);
    }
}
END_TEST

/* An operation of the host's whose callback tries to use the tape, or releases all. */
static gm_status op_infer(void *user, const gm_op_view *view, int32_t *rank, int64_t *shape)
{
    (void)user;
    (void)view;
    *rank = 1;
    shape[0] = 1;
    return GM_OK;
}

static void misuse(world *w, int when)
{
    const int64_t one = 1;
    if (w->calls / 10 != when) return;
    switch (w->calls % 10) {
    case 0:
        gm_tape_reset(w->tape);
        break;
    case 1:
        for (int i = 0; i < 100; i++) (void)gm_constant(w->tape, 1, &one, 1);
        break;
    case 2:
        (void)gm_backward(w->tape, GM_NO_VAR, NULL);
        break;
    default:
        let_go(w);
    }
}

static gm_status op_forward(void *user, const gm_op_view *view)
{
    view->value[0] = 1;
    misuse(user, 0);
    return GM_OK;
}

static gm_status op_backward(void *user, const gm_op_view *view)
{
    if (view->gradients[0]) view->gradients[0][0] += 1;
    misuse(user, 1);
    return GM_OK;
}

START_TEST(operations_leave_their_tape_alone)
{
    const int64_t one = 1;
    for (int which = 0; which < 2; which++)
        for (int try = 0; try < 4; try++) {
            world w = { .ctx = support_context(5, 2), .calls = 10 * which + try };
            gm_host_op op = GM_HOST_OP_INIT;
            const float x = 1;
            op.name = "own";
            op.infer = op_infer;
            op.forward = op_forward;
            op.backward = op_backward;
            op.user = &w;
            support_ok(w.ctx, gm_tape_create(&w.tape, w.ctx, NULL));
            const gm_var in = gm_variable(w.tape, 1, &one, &x);
            const gm_var v = gm_host(w.tape, &op, &in, 1);
            if (w.gone) continue;
            const gm_status status = which ? gm_backward(w.tape, v, NULL) : gm_tape_status(w.tape);
            if (w.gone) continue;
            support_fails(w.ctx, status, GM_E_STATE, "inside a callback of an operation");
            gm_tape_reset(w.tape);
            support_ok(w.ctx, gm_tape_status(w.tape));
            let_go(&w);
        }
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
    TCase *calls = tcase_create("callbacks");
    tcase_set_timeout(calls, 120);
    tcase_add_loop_test(calls, callbacks_may_release_everything, 0, FAMILY_COUNT);
    tcase_add_test(calls, datasets_may_be_released_while_they_are_read);
    tcase_add_test(calls, operations_leave_their_tape_alone);
    suite_add_tcase(suite, calls);
    return suite;
}
