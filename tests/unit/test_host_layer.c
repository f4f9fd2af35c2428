/* test_host_layer.c - layers that the host writes, in files: through the context's registry. That
 * they are layers like others is in test_layer_sequence.c.
 */
#include "nets.h"

/* x sigmoid(beta x), beta [width] learned (Ramachandran, Zoph and Le 2017). */
typedef struct swish {
    gm_context *ctx;
    gm_params *params;
} swish;

static void swish_release(void *user)
{
    swish *s = user;
    gm_params_release(s->params);
    gm_context_free(s->ctx, s, sizeof *s);
}

static gm_var swish_apply(void *user, gm_tape *tape, gm_var x)
{
    const swish *s = user;
    gm_var beta = gm_parameter(tape, gm_params_get(s->params, 0));
    return gm_mul(tape, x, gm_sigmoid(tape, gm_mul(tape, x, beta)));
}

static gm_status swish_create(gm_layer **out, gm_context *ctx, int64_t width)
{
    gm_host_layer host = GM_HOST_LAYER_INIT;
    gm_param *beta = NULL;
    swish *s = gm_context_allocate(ctx, sizeof *s);
    if (!s) return gm_context_fail(ctx, GM_E_NOMEM, "swish: no memory");
    *s = (swish){ ctx, NULL };
    host.type = "swish";
    host.apply = swish_apply;
    host.release = swish_release;
    host.user = s;
    gm_status status = gm_params_create(&s->params, ctx);
    if (!status) status = gm_param_create(&beta, ctx, "beta", 1, &width);
    if (!status) status = gm_param_init(beta, GM_INIT_CONSTANT, 1, 0, NULL);
    if (!status) status = gm_params_add(s->params, NULL, beta);
    if (!status) status = gm_layer_create_host(out, ctx, &host, s->params);
    gm_param_release(beta);
    if (status) swish_release(s);
    return status;
}

/* What the callbacks do instead, for the tests. */
#define FINE 0
#define FAIL 1
#define FAIL_WITH_LINE 2
#define NOTHING 3
#define ANOTHER_TYPE 4
#define ANOTHER_CONTEXT 5
static int what;
static gm_context *ctx, *far;

static gm_status swish_save(void *user, const gm_layer *layer, gm_archive *archive,
                            const char *prefix)
{
    const swish *s = user;
    ck_assert_ptr_eq(gm_layer_params(layer), s->params);
    if (what == FAIL) return GM_E_CANCELLED;
    if (what == FAIL_WITH_LINE) return gm_context_fail(s->ctx, GM_E_STATE, "swish: not now");
    return gm_archive_put_params(archive, prefix, s->params);
}

static gm_status swish_load(void *shared, gm_archive *archive, const char *prefix, gm_layer **layer)
{
    gm_context *c = gm_archive_context(archive);
    char key[200];
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    ck_assert_ptr_eq(shared, &what);
    ck_assert_ptr_null(*layer);
    if (what == FAIL) return GM_E_CANCELLED;
    if (what == FAIL_WITH_LINE) return gm_context_fail(c, GM_E_STATE, "swish: not now");
    if (what == NOTHING) return GM_OK;
    if (what == ANOTHER_TYPE) return gm_flatten_create(layer, c);
    if (what == ANOTHER_CONTEXT) return swish_create(layer, far, 3);
    snprintf(key, sizeof key, "%sbeta", prefix);
    gm_status status = gm_archive_get(&rank, NULL, archive, key, shape);
    if (!status && rank != 1) status = gm_context_fail(c, GM_E_FORMAT, "swish: beta is no vector");
    if (!status) status = swish_create(layer, c, shape[0]);
    if (!status) status = gm_archive_get_params(archive, prefix, gm_layer_params(*layer));
    if (status) gm_layer_release(*layer);
    return status;
}

static gm_host_layer_type swish_type(void)
{
    gm_host_layer_type t = GM_HOST_LAYER_TYPE_INIT;
    t.type = "swish";
    t.save = swish_save;
    t.load = swish_load;
    t.shared = &what;
    return t;
}

/* x + inner(x), around any layer, also another of its kind. */
static gm_var skip_apply(void *user, gm_tape *tape, gm_var x)
{
    return gm_add(tape, x, gm_apply(tape, user, x));
}

static void skip_release(void *user)
{
    gm_layer_release(user);
}

static gm_status skip_create(gm_layer **out, gm_layer *inner)
{
    gm_host_layer host = GM_HOST_LAYER_INIT;
    host.type = "skip";
    host.apply = skip_apply;
    host.release = skip_release;
    host.user = inner;
    const gm_status status =
        gm_layer_create_host(out, gm_layer_context(inner), &host, gm_layer_params(inner));
    if (!status) gm_layer_retain(inner);
    return status;
}

static gm_status skip_save(void *user, const gm_layer *layer, gm_archive *archive,
                           const char *prefix)
{
    char inner[200];
    (void)layer;
    snprintf(inner, sizeof inner, "%sinner.", prefix);
    return gm_archive_put_layer(archive, inner, user);
}

static gm_status skip_load(void *shared, gm_archive *archive, const char *prefix, gm_layer **layer)
{
    char path[200];
    gm_layer *inner = NULL;
    (void)shared;
    snprintf(path, sizeof path, "%sinner.", prefix);
    gm_status status = gm_archive_get_layer(&inner, archive, path);
    if (!status) status = skip_create(layer, inner);
    gm_layer_release(inner);
    return status;
}

static void setup(void)
{
    what = FINE;
    ctx = support_context(3, 1);
    far = support_context(4, 1);
}

static void teardown(void)
{
    gm_context_release(far);
    gm_context_release(ctx);
}

static void register_both(gm_context *c)
{
    char type[5] = "skip";
    gm_host_layer_type t = swish_type();
    support_ok(c, gm_context_register_layer(c, &t));
    t.type = type;
    t.save = skip_save;
    t.load = skip_load;
    support_ok(c, gm_context_register_layer(c, &t));
    memset(type, 'x', sizeof type - 1); /* it was copied */
}

/* linear, swish, skip(linear), skip(skip(linear)), the same swish. */
static gm_layer *make_net(gm_context *c)
{
    gm_layer *net = NULL, *soft = NULL, *inner = NULL, *part = NULL, *outer = NULL;
    support_ok(c, gm_sequence_create(&net, c));
    support_ok(c, gm_sequence_create(&inner, c));
    support_ok(c, swish_create(&soft, c, 3));
    support_ok(c,
               gm_param_init(gm_params_get(gm_layer_params(soft), 0), GM_INIT_UNIFORM, 0, 2, NULL));
    support_ok(c, gm_sequence_add_linear(net, 2, 3));
    support_ok(c, gm_sequence_add(net, soft));
    support_ok(c, gm_sequence_add_linear(inner, 3, 3));
    support_ok(c, skip_create(&part, inner));
    support_ok(c, gm_sequence_add(net, part));
    gm_layer_release(part);
    gm_layer_release(inner);
    support_ok(c, gm_linear_create(&inner, c, 3, 3, NULL));
    support_ok(c, skip_create(&part, inner));
    support_ok(c, skip_create(&outer, part));
    support_ok(c, gm_sequence_add(net, outer));
    support_ok(c, gm_sequence_add(net, soft)); /* a second time */
    gm_layer_release(outer);
    gm_layer_release(part);
    gm_layer_release(inner);
    gm_layer_release(soft);
    return net;
}

static void output_of(gm_layer *net, float y[6])
{
    static const float x[4] = { 0.5f, -1, 2, 0.25f };
    const int64_t shape[2] = { 2, 2 };
    gm_context *c = gm_layer_context(net);
    gm_tape *tape = NULL;
    support_ok(c, gm_tape_create(&tape, c, NULL));
    support_ok(c, gm_read(tape, gm_apply(tape, net, gm_input_array(tape, 2, shape, x)), 6, y));
    gm_tape_release(tape);
}

START_TEST(into_a_file_and_out_of_it)
{
    gm_layer *net = make_net(ctx), *loaded = NULL;
    gm_archive *archive = NULL;
    float y[2][6];
    register_both(ctx);
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "net.", net));
    const char *text;
    support_ok(ctx, gm_archive_get_text(&text, archive, "net.1.type"));
    ck_assert_str_eq(text, "swish");
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, "net."));
    ck_assert_int_eq(gm_sequence_count(loaded), 5);
    ck_assert_str_eq(gm_layer_type(gm_sequence_get(loaded, 2)), "skip");
    ck_assert_ptr_eq(gm_sequence_get(loaded, 1), gm_sequence_get(loaded, 4)); /* still one layer */
    output_of(net, y[0]);
    output_of(loaded, y[1]);
    ck_assert(memcmp(y[0], y[1], sizeof y[0]) == 0);
    gm_archive_release(archive);
    gm_layer_release(loaded);
    gm_layer_release(net);
}
END_TEST

/* A model of the library's with the host's layers inside. */
START_TEST(inside_a_model)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_layer *encoder = make_net(ctx), *last = NULL, *net = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_vae *vae = NULL;
    gm_model *loaded = NULL;
    const float rows[4] = { 0, 1, 1, 1 };
    double score[2][2];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/vae", folder);
    support_ok(ctx, gm_sequence_create(&net, ctx));
    support_ok(ctx, gm_sequence_add(net, encoder));
    support_ok(ctx, gm_sequence_add_linear(net, 3, 4));
    last = nets_mlp(ctx, 2, 0, 2);
    head.latent = 2;
    gm_generator *decoder = NULL;
    support_ok(ctx, gm_generator_create(&decoder, ctx, last, &head));
    support_ok(ctx, gm_vae_create(&vae, ctx, net, decoder, NULL));
    gm_model *model = gm_vae_model(vae);
    support_ok(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL));
    support_fails(ctx, gm_model_save(model, path), GM_E_UNSUPPORTED, "\"swish\"");
    ck_assert(access(path, F_OK) != 0);
    register_both(ctx);
    support_ok(ctx, gm_model_save_checkpoint(model, path));
    support_fails(far, gm_model_load(&loaded, far, path), GM_E_UNSUPPORTED, "\"swish\"");
    support_ok(ctx, gm_model_load(&loaded, ctx, path));
    nets_same_weights(model, loaded);
    support_ok(ctx, gm_model_log_prob(model, rows, 2, score[0]));
    support_ok(ctx, gm_model_log_prob(loaded, rows, 2, score[1]));
    ck_assert(memcmp(score[0], score[1], sizeof score[0]) == 0);
    support_ok(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL));
    support_ok(ctx, gm_model_step(loaded, rows, 2, NULL, 0, NULL));
    nets_same_weights(model, loaded);
    gm_model_release(loaded);
    gm_vae_release(vae);
    gm_generator_release(decoder);
    gm_layer_release(last);
    gm_layer_release(net);
    gm_layer_release(encoder);
    support_folder_remove(folder);
}
END_TEST

START_TEST(tables_refused)
{
    gm_host_layer_type t = swish_type();
    support_fails(ctx, gm_context_register_layer(ctx, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_context_register_layer(NULL, &t), GM_E_INVALID);
    t.save = NULL;
    support_fails(ctx, gm_context_register_layer(ctx, &t), GM_E_INVALID, "swish: save is NULL");
    t = swish_type();
    t.load = NULL;
    support_fails(ctx, gm_context_register_layer(ctx, &t), GM_E_INVALID, "swish: load is NULL");
    t = swish_type();
    t.type = NULL;
    support_fails(ctx, gm_context_register_layer(ctx, &t), GM_E_INVALID, "type is NULL");
    t.type = "linear";
    support_fails(ctx, gm_context_register_layer(ctx, &t), GM_E_INVALID, "\"linear\"");
    t.type = "a b";
    support_fails(ctx, gm_context_register_layer(ctx, &t), GM_E_INVALID, "\"a b\"");
    t = swish_type();
    t.size = 3;
    support_fails(ctx, gm_context_register_layer(ctx, &t), GM_E_INVALID, "size is 3");
    t = swish_type();
    support_ok(ctx, gm_context_register_layer(ctx, &t));
    support_fails(ctx, gm_context_register_layer(ctx, &t), GM_E_INVALID, "name is \"swish\"");
}
END_TEST

START_TEST(callbacks_that_fail)
{
    gm_layer *layer = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    const float values[4] = { 1, 2, 3, 4 };
    const int64_t shape[2] = { 2, 2 };
    support_ok(ctx, swish_create(&layer, ctx, 3));
    register_both(ctx);
    support_ok(ctx, gm_archive_create(&archive, ctx));
    what = FAIL;
    support_fails(ctx, gm_archive_put_layer(archive, "a.", layer), GM_E_CANCELLED,
                  "swish: the host's save callback returned");
    what = FAIL_WITH_LINE;
    support_fails(ctx, gm_archive_put_layer(archive, "b.", layer), GM_E_STATE, "swish: not now");
    what = FINE;
    support_ok(ctx, gm_archive_put_layer(archive, "c.", layer));
    static const struct {
        int what;
        gm_status status;
        const char *text;
    } bad[] = {
        { FAIL, GM_E_CANCELLED, "swish: the host's load callback returned" },
        { FAIL_WITH_LINE, GM_E_STATE, "swish: not now" },
        { NOTHING, GM_E_INVALID, "swish: load gave no layer" },
        { ANOTHER_TYPE, GM_E_INVALID, "swish: load gave a layer of type \"flatten\"" },
        { ANOTHER_CONTEXT, GM_E_INVALID, "swish: load gave a layer of another context" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        what = bad[i].what;
        support_fails(ctx, gm_archive_get_layer(&loaded, archive, "c."), bad[i].status,
                      bad[i].text);
        ck_assert_ptr_null(loaded);
    }
    /* Files that lack something, or have it in another shape. */
    what = FINE;
    support_ok(ctx, gm_archive_set_text(archive, "d.type", "swish"));
    support_fails(ctx, gm_archive_get_layer(&loaded, archive, "d."), GM_E_FORMAT, "d.beta");
    support_ok(ctx, gm_archive_set_text(archive, "e.type", "swish"));
    support_ok(ctx, gm_archive_put(archive, "e.beta", 2, shape, values));
    support_fails(ctx, gm_archive_get_layer(&loaded, archive, "e."), GM_E_FORMAT, "swish: beta");
    support_ok(ctx, gm_archive_set_text(archive, "f.type", "skip"));
    support_ok(ctx, gm_archive_set_text(archive, "f.inner.type", "skip"));
    support_ok(ctx, gm_archive_set_text(archive, "f.inner.inner.same", ""));
    support_fails(ctx, gm_archive_get_layer(&loaded, archive, "f."), GM_E_FORMAT, "same");
    gm_archive_release(archive);
    gm_layer_release(layer);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("host_layer");
    TCase *t = tcase_create("host_layer");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, into_a_file_and_out_of_it);
    tcase_add_test(t, inside_a_model);
    tcase_add_test(t, tables_refused);
    tcase_add_test(t, callbacks_that_fail);
    suite_add_tcase(s, t);
    return s;
}
