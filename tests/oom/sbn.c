/* sbn.c - every allocation fails once: the lives of a sigmoid belief network of a Boltzmann
 * machine, and of a deep belief network. */
#include "gm/gm.h"
#include "sweep.h"

#define ROWS 3
#define VISIBLE 4

static const float rows[ROWS * VISIBLE] = { 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0 };

static gm_status a_nets_life(sweep *s, int32_t estimator)
{
    static const int64_t layers[2] = { 2, 2 }, tanh_units[2] = { 2, 0 };
    gm_status status;
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    gm_model *loaded = NULL;
    gm_dataset *data = NULL;
    gm_tensor *samples = NULL;
    const int64_t shape[2] = { ROWS, VISIBLE };
    float hidden[ROWS * 4], visible[ROWS * VISIBLE];
    double lp[ROWS], mean[ROWS * 4], error[ROWS];
    char path[SUPPORT_PATH + 64];
    snprintf(path, sizeof path, "%s/sbn.safetensors", s->folder);
    o.layers = layers, o.layer_count = 2, o.estimator = estimator, o.samples = 2,
    o.log_prob_samples = 3;
    o.baseline_units = 2;
    if (estimator == GM_SBN_DISARM) o.tanh_units = tanh_units;
    o.lateral = o.skip = estimator == GM_SBN_RWS || estimator == GM_SBN_GIBBS_EM;
    o.recognition = estimator != GM_SBN_GIBBS_EM;
    o.sweeps = 2;
    fit.epochs = 1;
    fit.batch = ROWS;
    o.persistent = 1;
    MAKE(s, data, gm_dataset_from_memory(&data, s->ctx, 2, shape, rows));
    MAKE(s, sbn, gm_sbn_create(&sbn, s->ctx, VISIBLE, &o));
    DO(s, gm_sbn_init_biases(sbn, data));
    for (int i = 0; i < 2; i++) DO(s, gm_model_step(gm_sbn_model(sbn), rows, ROWS, NULL, 0, NULL));
    if (estimator == GM_SBN_RWS) { /* one is asked all */
        DO(s, gm_sbn_sample(sbn, ROWS, -1, NULL, 0, hidden, visible));
        DO(s, gm_sbn_recognise(sbn, rows, ROWS, hidden, NULL, lp));
        DO(s, gm_sbn_log_joint(sbn, rows, hidden, ROWS, lp));
        DO(s, gm_sbn_enumerate(sbn, rows, ROWS, NULL, lp, mean));
        DO(s, gm_sbn_log_prob(
                  sbn, rows, ROWS,
                  &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 5 }, lp,
                  error, NULL));
        MAKE(s, samples, gm_model_sample(&samples, gm_sbn_model(sbn), 3));
    }
    if (estimator == GM_SBN_MEAN_FIELD_EM) {
        gm_sbn_gibbs_options g = GM_SBN_GIBBS_OPTIONS_INIT;
        gm_sbn_gibbs_result r = GM_SBN_GIBBS_RESULT_INIT;
        g.samples = 4, g.burn_in = 1, g.chains = 2;
        DO(s, gm_sbn_gibbs(&r, sbn, rows, ROWS, &g, mean, NULL));
        DO(s, gm_sbn_mean_field(sbn, rows, ROWS, NULL, mean, lp, NULL));
    }
    if (estimator == GM_SBN_GIBBS_EM) DO(s, gm_model_fit(gm_sbn_model(sbn), data, &fit));
    if (estimator == GM_SBN_NVIL || estimator == GM_SBN_GIBBS_EM) {
        DO(s, gm_model_save_checkpoint(gm_sbn_model(sbn), path));
        MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
        DO(s, gm_model_step(loaded, rows, ROWS, NULL, 0, NULL));
    }
out:
    gm_sbn_release(sbn);
    gm_model_release(loaded);
    gm_dataset_release(data);
    gm_tensor_release(samples);
    return status;
}

static gm_status nets(sweep *s)
{
    gm_status status = GM_OK;
    for (int32_t e = GM_SBN_RWS; e <= GM_SBN_MEAN_FIELD_EM; e++) ONCE(a_nets_life(s, e));
out:
    return status;
}

static gm_status machine(sweep *s)
{
    static const double betas[4] = { 0, 0.3, 0.6, 1 };
    gm_status status;
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_rbm_ais_options a = GM_RBM_AIS_OPTIONS_INIT;
    gm_rbm_ais_result r = GM_RBM_AIS_RESULT_INIT;
    gm_rbm *rbm = NULL;
    gm_model *loaded = NULL;
    gm_dataset *data = NULL;
    gm_tensor *samples = NULL;
    const int64_t shape[2] = { ROWS, VISIBLE };
    float states[ROWS * VISIBLE], chance[ROWS * 3];
    double lp[ROWS];
    char path[SUPPORT_PATH + 64];
    snprintf(path, sizeof path, "%s/rbm.safetensors", s->folder);
    o.persistent = 1, o.chains = 4, o.sample_steps = 2;
    a.runs = 3, a.betas = betas, a.beta_count = 4;
    memcpy(states, rows, sizeof rows);
    MAKE(s, data, gm_dataset_from_memory(&data, s->ctx, 2, shape, rows));
    MAKE(s, rbm, gm_rbm_create(&rbm, s->ctx, VISIBLE, 3, &o));
    DO(s, gm_rbm_init_biases(rbm, data));
    for (int i = 0; i < 2; i++) DO(s, gm_model_step(gm_rbm_model(rbm), rows, ROWS, NULL, 0, NULL));
    DO(s, gm_rbm_gibbs(rbm, ROWS, 2, NULL, states, NULL));
    DO(s, gm_rbm_hidden_probabilities(rbm, rows, ROWS, chance));
    DO(s, gm_rbm_ais(&r, rbm, &a));
    DO(s, gm_model_log_prob(gm_rbm_model(rbm), rows, ROWS, lp));
    MAKE(s, samples, gm_model_sample(&samples, gm_rbm_model(rbm), 3));
    DO(s, gm_model_save_checkpoint(gm_rbm_model(rbm), path));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    DO(s, gm_model_step(loaded, rows, ROWS, NULL, 0, NULL));
out:
    gm_rbm_release(rbm);
    gm_model_release(loaded);
    gm_dataset_release(data);
    gm_tensor_release(samples);
    return status;
}

static gm_status tower(sweep *s)
{
    static const int64_t layers[2] = { 2, VISIBLE };
    gm_status status;
    gm_rbm_options r = GM_RBM_OPTIONS_INIT;
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    gm_model *loaded = NULL;
    gm_dataset *data = NULL;
    gm_tensor *samples = NULL;
    const int64_t shape[2] = { ROWS, VISIBLE };
    float features[ROWS * VISIBLE];
    double lp[ROWS], error[ROWS];
    char path[SUPPORT_PATH + 64];
    snprintf(path, sizeof path, "%s/dbn.safetensors", s->folder);
    r.persistent = 1, r.chains = 3, r.sample_steps = 2;
    o.layers = layers, o.layer_count = 2, o.rbm = &r;
    MAKE(s, data, gm_dataset_from_memory(&data, s->ctx, 2, shape, rows));
    MAKE(s, dbn, gm_dbn_create(&dbn, s->ctx, VISIBLE, &o));
    DO(s, gm_model_step(gm_dbn_model(dbn), rows, ROWS, NULL, 0, NULL));
    DO(s, gm_dbn_grow(dbn, &r));
    DO(s, gm_dbn_init_biases(dbn, data));
    DO(s, gm_model_step(gm_dbn_model(dbn), rows, ROWS, NULL, 0, NULL));
    DO(s, gm_dbn_features(dbn, rows, ROWS, 2, features));
    DO(s, gm_dbn_bound(dbn, rows, ROWS,
                       &(gm_log_prob_options){ .size = sizeof(gm_log_prob_options), .samples = 2 },
                       lp, error));
    DO(s, gm_model_log_prob(gm_dbn_model(dbn), rows, ROWS, lp));
    MAKE(s, samples, gm_model_sample(&samples, gm_dbn_model(dbn), 3));
    DO(s, gm_model_save_checkpoint(gm_dbn_model(dbn), path));
    MAKE(s, loaded, gm_model_load(&loaded, s->ctx, path));
    DO(s, gm_model_step(loaded, rows, ROWS, NULL, 0, NULL));
out:
    gm_dbn_release(dbn);
    gm_model_release(loaded);
    gm_dataset_release(data);
    gm_tensor_release(samples);
    return status;
}

static const sweep_scenario all[] = {
    { "sigmoid belief networks", nets, 2, 1 },
    { "a Boltzmann machine", machine, 2, 0 },
    { "a deep belief network", tower, 1, 0 },
};

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: sbn", all, NULL, NULL);
}
