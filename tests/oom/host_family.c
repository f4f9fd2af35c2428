/* host_family.c - every allocation fails once: a host's flow, from its registration to a file and
 * back.
 */
#include "flow.h"
#include "sweep.h"

static const float rows[16] = { 0, 1, 2, 0.5f, -1, 0, 0.25f, 0.75f, 1, 1, 2, -1, 0, 0, 3, 0.5f };

static gm_status the_flow(sweep *s)
{
    const gm_host_family family = flow_family();
    const int64_t shape[2] = { 8, 2 }, labels[8] = { 0, 1, 1, 0, 0, 1, 1, 0 };
    const uint8_t bytes[8] = { 0, 1, 1, 0, 0, 1, 1, 0 };
    gm_status status;
    gm_model *model = NULL, *loaded = NULL;
    gm_dataset *data = NULL, *which = NULL;
    gm_anomaly *anomaly = NULL;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_result nll = GM_RESULT_INIT;
    char path[SUPPORT_PATH + 64];
    float drawn[6];
    double log_prob[8];
    snprintf(path, sizeof path, "%s/flow.safetensors", s->folder);
    DO(s, gm_context_register_family(s->ctx, &family));
    MAKE(s, model, flow_create(&model, s->ctx, 2, 3, 2, NULL));
    MAKE(s, data, gm_dataset_from_memory(&data, s->ctx, 2, shape, rows));
    MAKE(s, which, gm_dataset_from_bytes(&which, s->ctx, 1, shape, bytes, 1));
    DO(s, gm_dataset_attach_labels(data, which));
    fit.epochs = 1;
    fit.batch = 4;
    fit.validation = data;
    fit.patience = 1;
    fit.checkpoint = path;
    ONCE(gm_model_fit(model, data, &fit)); /* a fit that failed halfway goes on from there */
    DO(s, gm_model_set_labels(model, labels, 8));
    DO(s, gm_model_step(model, rows, 8, NULL, 0, NULL));
    DO(s, gm_model_log_prob(model, rows, 8, log_prob));
    DO(s, gm_model_set_labels(model, labels, 3));
    DO(s, gm_model_sample_into(model, 3, drawn));
    DO(s, gm_evaluate_nll(&nll, model, data, NULL));
    MAKE(s, anomaly, gm_anomaly_create(&anomaly, model, data, NULL));
    DO(s, gm_model_save_checkpoint(model, path));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    DO(s, gm_model_set_labels(loaded, labels, 8));
    DO(s, gm_model_step(loaded, rows, 8, NULL, 0, NULL));
out:
    gm_anomaly_release(anomaly);
    gm_dataset_release(which);
    gm_dataset_release(data);
    gm_model_release(loaded);
    gm_model_release(model);
    return status;
}

static const sweep_scenario all[] = { { "host family", the_flow, 2, 1 } };

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: host family", all, NULL, NULL);
}
