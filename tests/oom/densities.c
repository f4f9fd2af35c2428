/* densities.c - every allocation fails once: autoregressive models, from their making to their files. */
#include "gm/gm.h"
#include "sweep.h"

#define ROWS 6
#define VALUES 4

static float data[ROWS * VALUES]; /* zeros and ones */
static const int64_t order[VALUES] = { 2, 0, 3, 1 };

static gm_status make_linear(sweep *s, gm_model **model, int32_t kind)
{
    gm_status status;
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    gm_linear_ar *ar = NULL;
    o.kind = kind;
    o.classes = 2;
    o.order = order;
    MAKE(s, ar, gm_linear_ar_create(&ar, s->ctx, VALUES, &o));
    *model = gm_linear_ar_model(ar);
out:
    return status;
}

static gm_status make_neural(sweep *s, gm_model **model, int32_t kind)
{
    gm_status status;
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    gm_neural_ar *ar = NULL;
    o.kind = kind;
    o.classes = 2;
    o.order = order;
    MAKE(s, ar, gm_neural_ar_create(&ar, s->ctx, VALUES, &o));
    *model = gm_neural_ar_model(ar);
out:
    return status;
}

/* What all of them do; the questions and files of one kind will do. */
static gm_status a_life(sweep *s, gm_model *model, int whole)
{
    gm_status status;
    gm_model *loaded = NULL;
    gm_tensor *samples = NULL;
    char path[SUPPORT_PATH + 64];
    double score[ROWS * VALUES];
    float rows[ROWS * VALUES], given[ROWS * VALUES * 2];
    uint8_t known[ROWS * VALUES] = { 0 };
    int64_t places[VALUES];
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    snprintf(path, sizeof path, "%s/model.safetensors", s->folder);
    memcpy(rows, data, sizeof rows);
    o.draws = 5;
    DO(s, gm_model_step(model, data, ROWS, NULL, 0, NULL));
    DO(s, gm_model_log_prob(model, data, ROWS, score));
    MAKE(s, samples, gm_model_sample(&samples, model, 3));
    if (!whole) goto out;
    DO(s, gm_autoregressive_order(model, places));
    for (int i = 0; i < ROWS; i++) known[i * VALUES + places[0]] = 1;
    DO(s, gm_autoregressive_log_probs(model, data, ROWS, score));
    DO(s, gm_autoregressive_conditionals(model, data, ROWS, given));
    DO(s, gm_autoregressive_sample_given(model, rows, known, ROWS, score));
    DO(s, gm_autoregressive_log_marginal(model, rows, known, ROWS, score));
    DO(s, gm_autoregressive_impute(model, rows, known, ROWS, &o));
    DO(s, gm_model_save_checkpoint(model, path));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    DO(s, gm_model_step(loaded, data, ROWS, NULL, 0, NULL));
out:
    gm_tensor_release(samples);
    gm_model_release(loaded);
    return status;
}

/* Something is given that cannot be: the column is looked for. */
static gm_status impossible(sweep *s, gm_model *model)
{
    gm_status status = GM_OK;
    float row[VALUES] = { 0 };
    uint8_t known[VALUES] = { 0 };
    known[order[0]] = 1;
    gm_param_value(gm_params_find(gm_model_params(model), "bias"))[0] = INFINITY;
    const gm_status refused = gm_autoregressive_sample_given(model, row, known, 1, NULL);
    ck_assert(refused == GM_E_NUMERIC || refused == GM_E_NOMEM);
    if (refused == GM_E_NOMEM && !s->again) status = refused;
    return status;
}

static gm_status linear(sweep *s)
{
    gm_status status = GM_OK;
    gm_model *model = NULL;
    for (int32_t kind = GM_CONDITIONAL_BINARY; kind <= GM_CONDITIONAL_GAUSSIAN; kind++) {
        gm_model_release(model);
        model = NULL;
        ONCE(make_linear(s, &model, kind));
        ONCE(a_life(s, model, kind == GM_CONDITIONAL_BINARY));
        if (kind == GM_CONDITIONAL_BINARY) ONCE(impossible(s, model));
    }
out:
    gm_model_release(model);
    return status;
}

static gm_status closed_form(sweep *s)
{
    gm_status status;
    gm_model *model = NULL;
    gm_dataset *rows = NULL;
    static const int64_t shape[2] = { ROWS, VALUES };
    double norm;
    ONCE(make_linear(s, &model, GM_CONDITIONAL_GAUSSIAN));
    MAKE(s, rows, gm_dataset_from_memory(&rows, s->ctx, 2, shape, data));
    DO(s, gm_linear_ar_solve(gm_linear_ar_from_model(model), rows, 0.5));
    DO(s, gm_linear_ar_gradient_norm(gm_linear_ar_from_model(model), rows, &norm));
    ck_assert(isfinite(norm));
out:
    gm_dataset_release(rows);
    gm_model_release(model);
    return status;
}

static gm_status neural(sweep *s)
{
    gm_status status = GM_OK;
    gm_model *model = NULL;
    for (int32_t kind = GM_CONDITIONAL_BINARY; kind <= GM_CONDITIONAL_GAUSSIAN; kind++) {
        gm_model_release(model);
        model = NULL;
        ONCE(make_neural(s, &model, kind));
        ONCE(a_life(s, model, kind == GM_CONDITIONAL_BINARY));
    }
out:
    gm_model_release(model);
    return status;
}

static gm_status make_pixelcnn(sweep *s, gm_model **model, int32_t gated, int64_t classes)
{
    gm_status status;
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *net = NULL;
    o.gated = gated;
    o.classes = classes;
    o.hidden = 2;
    o.blocks = 1;
    o.first_kernel = 3;
    o.head = 2;
    MAKE(s, net, gm_pixelcnn_create(&net, s->ctx, 2, VALUES / 2, &o));
    *model = gm_pixelcnn_model(net);
out:
    return status;
}

static gm_status pixelcnn(sweep *s)
{
    gm_status status = GM_OK;
    gm_model *model = NULL;
    for (int32_t gated = 0; gated < 2; gated++) {
        gm_model_release(model);
        model = NULL;
        ONCE(make_pixelcnn(s, &model, gated, gated ? 2 : 3));
        ONCE(a_life(s, model, gated));
    }
out:
    gm_model_release(model);
    return status;
}

START_TEST(every_allocation_fails_once)
{
    static const struct {
        const char *name;
        scenario run;
    } all[] = { { "linear_ar", linear }, { "the closed form", closed_form }, { "neural_ar", neural },
            { "pixelcnn", pixelcnn } };
    char folder[SUPPORT_PATH];
    int64_t failures = 0;
    for (int i = 0; i < ROWS * VALUES; i++) data[i] = (float)((i * 5 + i / 7) % 3 == 0);
    if (!getenv("TMPDIR") && !access("/dev/shm", W_OK)) setenv("TMPDIR", "/dev/shm", 1);
    support_folder_make(folder);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        failures += sweep_run(all[i].name, all[i].run, folder, 2, 0);
    support_folder_remove(folder);
    printf("failures: %lld survived\n", (long long)failures);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("oom: densities");
    TCase *t = tcase_create("densities");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, every_allocation_fails_once);
    suite_add_tcase(s, t);
    return s;
}
