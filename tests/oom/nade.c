/* nade.c - every allocation fails once: NADE in one order and in all, with all that it can be
 * asked. */
#include "gm/nade.h"
#include "sweep.h"

#define ROWS 4
#define VALUES 5

static float data[ROWS * VALUES]; /* zeros and ones */

static gm_status life(sweep *s, int32_t kind, int32_t agnostic)
{
    gm_status status;
    gm_nade *nade = NULL;
    gm_model *model, *loaded = NULL;
    gm_dataset *rows = NULL;
    gm_tensor *samples = NULL;
    char path[SUPPORT_PATH + 64];
    static const int64_t shape[2] = { ROWS, VALUES }, order[VALUES] = { 2, 0, 1, 4, 3 };
    uint8_t known[ROWS * VALUES] = { 0 };
    float copy[ROWS * VALUES], conditionals[ROWS * VALUES * 6];
    double score[ROWS], parts[ROWS * VALUES];
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    snprintf(path, sizeof path, "%s/nade.safetensors", s->folder);
    memcpy(copy, data, sizeof copy);
    for (int r = 0; r < ROWS; r++) known[r * VALUES + 2] = 1;
    o.kind = kind;
    o.hidden = 3;
    o.classes = kind == GM_CONDITIONAL_CATEGORICAL ? 2 : 0;
    o.components = 2;
    o.order_agnostic = agnostic;
    o.layers = agnostic + 1;
    o.orders = 2;
    o.order = agnostic ? NULL : order;
    MAKE(s, nade, gm_nade_create(&nade, s->ctx, VALUES, &o));
    model = gm_nade_model(nade);
    MAKE(s, rows, gm_dataset_from_memory(&rows, s->ctx, 2, shape, data));
    DO(s, gm_nade_init_biases(nade, rows));
    for (int i = 0; i < 2; i++) DO(s, gm_model_step(model, data, ROWS, NULL, 0, NULL));
    DO(s, gm_model_log_prob(model, data, ROWS, score));
    DO(s, gm_autoregressive_log_probs(model, data, ROWS, parts));
    DO(s, gm_autoregressive_conditionals(model, data, ROWS, conditionals));
    DO(s, gm_autoregressive_sample_given(model, known, ROWS, NULL, copy, score));
    if (agnostic) DO(s, gm_nade_set_orders(nade, 3));
    MAKE(s, samples, gm_model_sample(&samples, model, 2));
    DO(s, gm_model_save_checkpoint(model, path));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    DO(s, gm_model_step(loaded, data, ROWS, NULL, 0, NULL));
out:
    gm_tensor_release(samples);
    gm_dataset_release(rows);
    gm_model_release(loaded);
    gm_nade_release(nade);
    return status;
}

static gm_status bits(sweep *s)
{
    return life(s, GM_CONDITIONAL_BINARY, 0);
}

static gm_status classes_in_all_orders(sweep *s)
{
    return life(s, GM_CONDITIONAL_CATEGORICAL, 1);
}

static gm_status reals(sweep *s)
{
    return life(s, GM_CONDITIONAL_GAUSSIAN_MIXTURE, 0);
}

static void fill_data(const char *folder)
{
    (void)folder;
    for (int i = 0; i < ROWS * VALUES; i++) data[i] = (float)((i * 5 + i / 7) % 3 == 0);
}

static const sweep_scenario all[] = {
    { "bits", bits, 1, 0 },
    { "classes in all orders", classes_in_all_orders, 1, 0 },
    { "reals", reals, 1, 0 },
};

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: nade", all, fill_data, NULL);
}
