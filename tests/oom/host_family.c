/* host_family.c - every allocation fails once: a host's flow, and a layer of the host's, from their
 * registration to a file and back.
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
    DO(s, gm_model_sample_into(model, 3, NULL, drawn));
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

/* y = 2 x: a layer without anything of its own. */
static gm_var twice_apply(void *user, gm_tape *tape, gm_var x)
{
    (void)user;
    return gm_scale(tape, x, 2);
}

static gm_status twice_create(gm_layer **out, gm_context *ctx)
{
    gm_host_layer host = GM_HOST_LAYER_INIT;
    host.type = "twice";
    host.apply = twice_apply;
    return gm_layer_create_host(out, ctx, &host, NULL);
}

static gm_status twice_save(void *user, const gm_layer *layer, gm_archive *archive,
                            const char *prefix)
{
    char key[64];
    (void)user;
    (void)layer;
    snprintf(key, sizeof key, "%sfactor", prefix);
    return gm_archive_set_int(archive, key, 2);
}

static gm_status twice_load(void *shared, gm_archive *archive, const char *prefix, gm_layer **layer)
{
    (void)shared;
    (void)prefix;
    return twice_create(layer, gm_archive_context(archive));
}

static gm_status a_layer(sweep *s)
{
    gm_status status;
    gm_host_layer_type type = GM_HOST_LAYER_TYPE_INIT;
    gm_layer *net = NULL, *twice = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    type.type = "twice";
    type.save = twice_save;
    type.load = twice_load;
    DO(s, gm_context_register_layer(s->ctx, &type));
    MAKE(s, twice, twice_create(&twice, s->ctx));
    MAKE(s, net, gm_sequence_create(&net, s->ctx));
    ONCE(gm_sequence_add_linear(net, 2, 3));
    ONCE(gm_sequence_add(net, twice));
    MAKE(s, archive, gm_archive_create(&archive, s->ctx));
    ONCE(gm_archive_put_layer(archive, "net.", net)); /* a part of it may be there already */
    MAKE(s, loaded, gm_archive_get_layer(&loaded, archive, "net."));
out:
    gm_archive_release(archive);
    gm_layer_release(loaded);
    gm_layer_release(net);
    gm_layer_release(twice);
    return status;
}

static const sweep_scenario all[] = {
    { "host family", the_flow, 2, 1 },
    { "host layer", a_layer, 1, 1 },
};

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: host family", all, NULL, NULL);
}
