/* densities.c - every allocation fails once: autoregressive models, from their making to their
 * files. */
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

static gm_status make_made(sweep *s, gm_model **model, int32_t kind)
{
    gm_status status;
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    static const int64_t hidden[2] = { 3, 2 };
    gm_made *made = NULL;
    o.hidden = hidden;
    o.layers = 2;
    o.kind = kind;
    o.direct = 1;
    o.masks = 2;
    o.connectivity = 1;
    o.components = 2;
    if (kind == GM_CONDITIONAL_BINARY)
        o.order = order;
    else
        o.random_orders = 1;
    MAKE(s, made, gm_made_create(&made, s->ctx, VALUES, &o));
    *model = gm_made_model(made);
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
    DO(s, gm_autoregressive_sample_given(model, known, ROWS, NULL, rows, score));
    DO(s, gm_autoregressive_log_marginal(model, rows, known, ROWS, NULL, score));
    DO(s, gm_autoregressive_impute(model, known, ROWS, &o, rows));
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
    const gm_status refused = gm_autoregressive_sample_given(model, known, 1, NULL, row, NULL);
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
    DO(s, gm_linear_ar_gradient_norm(&norm, gm_linear_ar_from_model(model), rows));
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

static gm_status made(sweep *s)
{
    gm_status status = GM_OK;
    gm_model *model = NULL;
    static const int32_t kind[3] = { GM_CONDITIONAL_BINARY, GM_CONDITIONAL_CATEGORICAL,
                                     GM_CONDITIONAL_GAUSSIAN_MIXTURE };
    for (int i = 0; i < 3; i++) {
        gm_model_release(model);
        model = NULL;
        ONCE(make_made(s, &model, kind[i]));
        ONCE(a_life(s, model, !i));
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

/* Masks, layers that keep them, and the proof. */
static gm_status masks(sweep *s)
{
    gm_status status;
    gm_layer *net = NULL, *part = NULL;
    int64_t in[VALUES], hidden[5];
    float first[5 * VALUES], last[5 * VALUES];
    DO(s, gm_mask_input_degrees(s->ctx, order, VALUES, in));
    DO(s, gm_mask_hidden_degrees(s->ctx, 5, VALUES, GM_DEGREES_RANDOM, 1, NULL, hidden));
    DO(s, gm_mask_from_degrees(s->ctx, hidden, 5, in, VALUES, 0, first));
    DO(s, gm_mask_from_degrees(s->ctx, in, VALUES, hidden, 5, 1, last));
    MAKE(s, net, gm_sequence_create(&net, s->ctx));
    MAKE(s, part, gm_masked_linear_create(&part, s->ctx, VALUES, 5, first, NULL));
    ONCE(gm_sequence_add(net, part));
    ONCE(gm_sequence_add_tanh(net));
    ONCE(gm_sequence_add_masked_linear(net, 5, VALUES, last));
    DO(s, gm_sequence_status(net));
    DO(s, gm_mask_check_layer(net, order, VALUES, 1, NULL, NULL, NULL));
    gm_layer_release(net);
    net = NULL;
    MAKE(s, net, gm_sequence_create(&net, s->ctx));
    ONCE(gm_sequence_add_masked_conv2d(net, GM_MASK_A, 1, 2, 3, 1));
    DO(s, gm_sequence_status(net));
out:
    gm_layer_release(part);
    gm_layer_release(net);
    return status;
}

static void fill_data(const char *folder)
{
    (void)folder;
    for (int i = 0; i < ROWS * VALUES; i++) data[i] = (float)((i * 5 + i / 7) % 3 == 0);
}

static const sweep_scenario all[] = {
    { "linear_ar", linear, 2, 0 }, { "the closed form", closed_form, 2, 0 },
    { "neural_ar", neural, 2, 0 }, { "made", made, 2, 0 },
    { "masks", masks, 2, 1 },      { "pixelcnn", pixelcnn, 2, 0 },
};

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: densities", all, fill_data, NULL);
}
