/* gmmn.c - every allocation fails once: the life of an autoencoder, and of a moment matching
 * network on its codes. */
#include "gm/gmmn.h"
#include "sweep.h"

#define ROWS 6
#define VALUES 4

static float data[ROWS * VALUES];
static const int64_t shape[2] = { ROWS, VALUES };

static void path_in(char path[SUPPORT_PATH + 64], const sweep *s, const char *name)
{
    snprintf(path, SUPPORT_PATH + 64, "%s/%s", s->folder, name);
}

/* A sequence keeps its first failure, so its parts are added ONCE. */
static gm_status make_net(sweep *s, gm_layer **net, int64_t in, int64_t hidden, int64_t last)
{
    gm_status status;
    MAKE(s, *net, gm_sequence_create(net, s->ctx));
    ONCE(gm_sequence_add_dropout(*net, 0.25));
    ONCE(gm_sequence_add_linear(*net, in, hidden));
    ONCE(gm_sequence_add_sigmoid(*net));
    ONCE(gm_sequence_add_linear(*net, hidden, last));
out:
    return status;
}

/* A call that fails has moved nobody. */
static gm_status step(gm_model *model)
{
    float before[256], after[256];
    int64_t n = gm_params_elements(gm_model_params(model));
    ck_assert_int_le(n, 256);
    ck_assert_int_eq(gm_params_read(gm_model_params(model), n, before), GM_OK);
    gm_status status = gm_model_step(model, data, ROWS, NULL, 0, NULL);
    ck_assert_int_eq(gm_params_read(gm_model_params(model), n, after), GM_OK);
    ck_assert_int_eq(!memcmp(before, after, (size_t)n * sizeof *before), status != GM_OK);
    return status;
}

static gm_status make_autoencoder(sweep *s, gm_autoencoder **a)
{
    gm_status status;
    gm_layer *encoder = NULL, *decoder = NULL;
    ONCE(make_net(s, &encoder, VALUES, 3, 2));
    ONCE(make_net(s, &decoder, 2, 3, VALUES));
    MAKE(s, *a, gm_autoencoder_create(a, s->ctx, VALUES, encoder, decoder, NULL));
out:
    gm_layer_release(encoder);
    gm_layer_release(decoder);
    return status;
}

static gm_status an_autoencoder(sweep *s)
{
    gm_status status;
    static const int64_t code_shape[2] = { ROWS, 2 };
    gm_autoencoder *a = NULL;
    gm_model *model, *loaded = NULL;
    gm_tensor *rows = NULL, *codes = NULL;
    char path[SUPPORT_PATH + 64];
    path_in(path, s, "autoencoder.safetensors");
    ONCE(make_autoencoder(s, &a));
    model = gm_autoencoder_model(a);
    DO(s, gm_autoencoder_set_stage(a, 2));
    DO(s, step(model));
    DO(s, gm_autoencoder_set_stage(a, 0));
    DO(s, step(model));
    MAKE(s, rows, gm_tensor_create(&rows, s->ctx, 2, shape));
    MAKE(s, codes, gm_tensor_create(&codes, s->ctx, 2, code_shape));
    memcpy(gm_tensor_data(rows), data, sizeof data);
    DO(s, gm_autoencoder_encode(a, gm_tensor_read(rows), gm_tensor_shape(rows)[0],
                                gm_tensor_data(codes)));
    DO(s, gm_autoencoder_decode(a, gm_tensor_read(codes), gm_tensor_shape(codes)[0],
                                gm_tensor_data(rows)));
    DO(s, gm_model_save_checkpoint(model, path));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    DO(s, step(loaded));
out:
    gm_tensor_release(codes);
    gm_tensor_release(rows);
    gm_model_release(loaded);
    gm_autoencoder_release(a);
    return status;
}

static gm_status make_gmmn(sweep *s, gm_gmmn **gmmn, gm_autoencoder *a)
{
    gm_status status;
    gm_layer *net = NULL;
    gm_generator *g = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    head.latent = 2;
    head.prior = GM_PRIOR_UNIFORM;
    head.output = GM_OUTPUT_DIRECT;
    o.average = 0.5;
    o.autoencoder = a;
    ONCE(make_net(s, &net, 2, 3, a ? 2 : VALUES));
    MAKE(s, g, gm_generator_create(&g, s->ctx, net, &head));
    MAKE(s, *gmmn, gm_gmmn_create(gmmn, s->ctx, g, &o)); /* makes its own kernel */
out:
    gm_layer_release(net);
    gm_generator_release(g);
    return status;
}

static gm_status a_gmmn(sweep *s)
{
    gm_status status;
    gm_gmmn *gmmn = NULL;
    gm_dataset *rows = NULL;
    gm_tensor *samples = NULL;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    ONCE(make_gmmn(s, &gmmn, NULL));
    DO(s, step(gm_gmmn_model(gmmn)));
    MAKE(s, rows, gm_dataset_from_memory(&rows, s->ctx, 2, shape, data));
    fit.epochs = 1;
    fit.batch = 4;
    DO(s, gm_model_fit(gm_gmmn_model(gmmn), rows, &fit));
    MAKE(s, samples, gm_model_sample(&samples, gm_gmmn_model(gmmn), ROWS));
out:
    gm_tensor_release(samples);
    gm_dataset_release(rows);
    gm_gmmn_release(gmmn);
    return status;
}

static gm_status codes(sweep *s)
{
    gm_status status;
    gm_autoencoder *a = NULL;
    gm_gmmn *gmmn = NULL;
    gm_model *model, *loaded = NULL;
    gm_tensor *samples = NULL;
    char path[SUPPORT_PATH + 64];
    path_in(path, s, "gmmn.safetensors");
    ONCE(make_autoencoder(s, &a));
    ONCE(make_gmmn(s, &gmmn, a));
    model = gm_gmmn_model(gmmn);
    DO(s, step(model));
    MAKE(s, samples, gm_model_sample(&samples, model, ROWS));
    DO(s, gm_model_save(model, path));
    DO(s, gm_model_save_checkpoint(model, path));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    DO(s, step(loaded));
out:
    gm_tensor_release(samples);
    gm_model_release(loaded);
    gm_gmmn_release(gmmn);
    gm_autoencoder_release(a);
    return status;
}

static void fill_data(const char *folder)
{
    (void)folder;
    for (int i = 0; i < ROWS * VALUES; i++) data[i] = (float)((i * 5 + i / 7) % 4) / 4;
}

static const sweep_scenario all[] = {
    { "an autoencoder's life", an_autoencoder, 1, 1 },
    { "a fit on rows", a_gmmn, 1, 1 },
    { "a life on codes", codes, 1, 1 },
};

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: gmmn", all, fill_data, NULL);
}
