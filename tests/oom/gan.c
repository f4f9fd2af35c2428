/* gan.c - every allocation fails once: a GAN's whole life, plain and conditional, and a fit with
 * labels. */
#include "gm/gan.h"
#include "sweep.h"

#define ROWS 6
#define VALUES 3
#define LATENT 2
#define CLASSES 2

static float data[ROWS * VALUES];
static float kinds[ROWS];
static int64_t labels[ROWS];

static void path_in(char path[SUPPORT_PATH + 64], const sweep *s, const char *name)
{
    snprintf(path, SUPPORT_PATH + 64, "%s/%s", s->folder, name);
}

/* A sequence keeps its first failure, so its parts are added ONCE. */
static gm_status make_net(sweep *s, gm_layer **net, int64_t in, int64_t last)
{
    gm_status status;
    MAKE(s, *net, gm_sequence_create(net, s->ctx));
    ONCE(gm_sequence_add_linear(*net, in, 4));
    ONCE(gm_sequence_add_tanh(*net));
    ONCE(gm_sequence_add_linear(*net, 4, last));
out:
    return status;
}

static gm_status make_gan(sweep *s, gm_gan **gan, int64_t classes, int32_t penalty)
{
    gm_status status;
    gm_layer *net = NULL, *d = NULL;
    gm_generator *g = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    head.latent = LATENT;
    head.output = GM_OUTPUT_DIRECT;
    head.labels = classes;
    o.penalty = penalty;
    o.average = 0.5;
    o.noise = 0.25;
    o.discriminator_steps = 2;
    ONCE(make_net(s, &net, LATENT + classes, VALUES));
    ONCE(make_net(s, &d, VALUES + classes, 1));
    MAKE(s, g, gm_generator_create(&g, s->ctx, net, &head));
    MAKE(s, *gan, gm_gan_create(gan, s->ctx, g, d, &o));
out:
    gm_layer_release(net);
    gm_layer_release(d);
    gm_generator_release(g);
    return status;
}

/* A step that fails has moved nobody. */
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

/* files: to files and back too, which is most of the allocations; one of the two games is enough
 * for that. */
static gm_status a_life(sweep *s, int64_t classes, int32_t penalty, int files)
{
    gm_status status;
    gm_gan *gan = NULL;
    gm_model *model, *loaded = NULL, *resumed = NULL;
    gm_dataset *rows = NULL, *of = NULL;
    gm_tensor *samples = NULL;
    char path[SUPPORT_PATH + 64], checkpoint[SUPPORT_PATH + 64];
    static const int64_t shape[2] = { ROWS, VALUES }, one[2] = { ROWS, 1 };
    gm_metric metrics[GM_MAX_METRICS];
    int32_t count;
    double judged[ROWS];
    path_in(path, s, "gan.safetensors");
    path_in(checkpoint, s, "checkpoint.safetensors");
    ONCE(make_gan(s, &gan, classes, penalty));
    model = gm_gan_model(gan);
    if (classes) DO(s, gm_model_set_labels(model, labels, ROWS));
    for (int i = 0; i < 2; i++) DO(s, step(model)); /* D alone, then both */
    ck_assert_int_eq(gm_model_steps(model), 2);
    MAKE(s, rows, gm_dataset_from_memory(&rows, s->ctx, 2, shape, data));
    if (classes) {
        MAKE(s, of, gm_dataset_from_memory(&of, s->ctx, 2, one, kinds));
        DO(s, gm_dataset_attach_labels(rows, of));
    }
    DO(s, gm_model_evaluate(model, rows, support_batches(4, 0), metrics, GM_MAX_METRICS, &count));
    DO(s, gm_gan_discriminate(gan, data, ROWS, judged));
    MAKE(s, samples, gm_model_sample(&samples, model, ROWS));
    if (!files) goto out;
    DO(s, gm_model_save(model, path));
    DO(s, gm_model_save_checkpoint(model, checkpoint));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    MAKE(s, resumed, gm_model_load(&resumed, s->ctx, checkpoint));
    if (classes) DO(s, gm_model_set_labels(resumed, labels, ROWS));
    DO(s, step(resumed));
out:
    gm_dataset_release(rows);
    gm_dataset_release(of);
    gm_tensor_release(samples);
    gm_model_release(loaded);
    gm_model_release(resumed);
    gm_gan_release(gan);
    return status;
}

static gm_status plain(sweep *s)
{
    return a_life(s, 0, GM_PENALTY_NONE, 0);
}

static gm_status conditional(sweep *s)
{
    return a_life(s, CLASSES, GM_PENALTY_GRADIENT, 1);
}

static gm_status a_fit(sweep *s)
{
    gm_status status;
    gm_gan *gan = NULL;
    gm_dataset *rows = NULL, *of = NULL;
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    static const int64_t shape[2] = { ROWS, VALUES }, one[2] = { ROWS, 1 };
    MAKE(s, rows, gm_dataset_from_memory(&rows, s->ctx, 2, shape, data));
    MAKE(s, of, gm_dataset_from_memory(&of, s->ctx, 2, one, kinds));
    DO(s, gm_dataset_attach_labels(rows, of));
    ONCE(make_gan(s, &gan, CLASSES, GM_PENALTY_R1));
    o.epochs = 2;
    o.batch = 4;
    o.validation = rows;
    DO(s, gm_model_fit(gm_gan_model(gan), rows, &o));
out:
    gm_dataset_release(rows);
    gm_dataset_release(of);
    gm_gan_release(gan);
    return status;
}

static void fill_data(const char *folder)
{
    (void)folder;
    for (int i = 0; i < ROWS * VALUES; i++) data[i] = (float)((i * 5 + i / 7) % 3) - 1;
    for (int i = 0; i < ROWS; i++) labels[i] = i % CLASSES, kinds[i] = (float)(i % CLASSES);
}

static const sweep_scenario all[] = {
    { "a GAN's life", plain, 2, 1 },
    { "a conditional GAN's life", conditional, 2, 1 },
    { "a fit", a_fit, 2, 1 },
};

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: gan", all, fill_data, NULL);
}
