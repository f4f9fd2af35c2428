/* verbs.h - every verb of every family that works on rows, as one table. */
#ifndef GM_TESTS_VERBS_H
#define GM_TESTS_VERBS_H

#include "families.h"

#define ROWS 20
static const family_size verbs_size = { 6, 4, 2 };
#define VALUES (ROWS * 12 * 12) /* more than any verb gives of ROWS rows */

/* What verbs read and fill. */
typedef struct room {
    gm_model *model;
    gm_dataset *data;
    float rows[VALUES], changed[VALUES], codes[VALUES], other[VALUES];
    double real[VALUES], real_too[VALUES];
    uint8_t known[VALUES]; /* the first two columns of the order */
} room;

typedef gm_status (*verb_fn)(room *r, int64_t count);

static inline gm_status step(room *r, int64_t n)
{
    return gm_model_step(r->model, r->rows, n, NULL, 0, NULL);
}

static inline gm_status evaluate(room *r, int64_t n)
{
    return gm_model_evaluate(r->model, r->data, support_batches(n, 0), NULL, 0, NULL);
}

static inline gm_status sample(room *r, int64_t n)
{
    return gm_model_sample_into(r->model, n, NULL, r->changed);
}

static inline gm_status log_prob(room *r, int64_t n)
{
    return gm_model_log_prob(r->model, r->rows, n, r->real);
}

static inline gm_status log_prob_estimate(room *r, int64_t n)
{
    return gm_model_log_prob_estimate(NULL, r->model, r->rows, n, NULL, r->real, r->real_too);
}

static inline gm_status nll(room *r, int64_t n)
{
    gm_result result = GM_RESULT_INIT;
    gm_nll_options o = GM_NLL_OPTIONS_INIT;
    o.batch = n;
    return gm_evaluate_nll(&result, r->model, r->data, &o);
}

/* --- Latent. */

static inline gm_status generator_decode(room *r, int64_t n)
{
    return gm_generator_decode(gm_generator_from_model(r->model), r->rows, n, r->changed);
}

static inline gm_status generator_sample(room *r, int64_t n)
{
    return gm_generator_sample(gm_generator_from_model(r->model), r->rows, n, r->changed);
}

static inline gm_status generator_log_prob(room *r, int64_t n)
{
    gm_generator *g = gm_generator_from_model(r->model);
    return gm_generator_log_prob(g, r->rows, r->rows, n, r->real);
}

static inline gm_status vae_encode(room *r, int64_t n)
{
    return gm_vae_encode(gm_vae_from_model(r->model), r->rows, n, r->codes, r->other);
}

static inline gm_status vae_decode(room *r, int64_t n)
{
    return gm_vae_decode(gm_vae_from_model(r->model), r->rows, n, r->changed);
}

static inline gm_status vae_reconstruct(room *r, int64_t n)
{
    return gm_vae_reconstruct(gm_vae_from_model(r->model), r->rows, n, r->changed);
}

static inline gm_status vae_interpolate(room *r, int64_t n)
{
    return gm_vae_interpolate(gm_vae_from_model(r->model), r->rows, r->rows + 6, n, r->changed);
}

static inline gm_status vae_elbo(room *r, int64_t n)
{
    return gm_vae_elbo(gm_vae_from_model(r->model), r->rows, n, r->real, r->real_too, NULL);
}

static inline gm_status gan_discriminate(room *r, int64_t n)
{
    return gm_gan_discriminate(gm_gan_from_model(r->model), r->rows, n, r->real);
}

static inline gm_status autoencoder_encode(room *r, int64_t n)
{
    return gm_autoencoder_encode(gm_autoencoder_from_model(r->model), r->rows, n, r->codes);
}

static inline gm_status autoencoder_decode(room *r, int64_t n)
{
    return gm_autoencoder_decode(gm_autoencoder_from_model(r->model), r->rows, n, r->changed);
}

/* --- Autoregressive. */

static inline gm_status log_probs(room *r, int64_t n)
{
    return gm_autoregressive_log_probs(r->model, r->rows, n, r->real);
}

static inline gm_status conditionals(room *r, int64_t n)
{
    return gm_autoregressive_conditionals(r->model, r->rows, n, r->codes);
}

static inline gm_status sample_given(room *r, int64_t n)
{
    memcpy(r->changed, r->rows, sizeof r->rows);
    return gm_autoregressive_sample_given(r->model, r->known, n, NULL, r->changed, r->real);
}

static inline gm_status log_marginal(room *r, int64_t n)
{
    return gm_autoregressive_log_marginal(r->model, r->rows, r->known, n, NULL, r->real);
}

static inline gm_status impute(room *r, int64_t n)
{
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    o.draws = 4;
    memcpy(r->changed, r->rows, sizeof r->rows);
    return gm_autoregressive_impute(r->model, r->known, n, &o, r->changed);
}

static inline gm_status gradient_norm(room *r, int64_t n)
{
    (void)n;
    return gm_linear_ar_gradient_norm(r->real, gm_linear_ar_from_model(r->model), r->data);
}

static inline gm_status nade_init(room *r, int64_t n)
{
    (void)n;
    return gm_nade_init_biases(gm_nade_from_model(r->model), r->data);
}

/* --- Belief nets. */

static inline gm_status sbn_sample(room *r, int64_t n)
{
    return gm_sbn_sample(gm_sbn_from_model(r->model), n, -1, NULL, 0, r->codes, r->changed);
}

static inline gm_status sbn_log_joint(room *r, int64_t n)
{
    return gm_sbn_log_joint(gm_sbn_from_model(r->model), r->rows, r->rows, n, r->real);
}

static inline gm_status sbn_recognise(room *r, int64_t n)
{
    gm_sbn *sbn = gm_sbn_from_model(r->model);
    if (!gm_sbn_has_recognition(sbn)) return GM_OK;
    return gm_sbn_recognise(sbn, r->rows, n, r->codes, r->other, r->real);
}

static inline gm_status sbn_enumerate(room *r, int64_t n)
{
    return gm_sbn_enumerate(gm_sbn_from_model(r->model), r->rows, n, NULL, r->real, r->real_too);
}

static inline gm_status sbn_gibbs(room *r, int64_t n)
{
    gm_sbn_gibbs_options o = GM_SBN_GIBBS_OPTIONS_INIT;
    gm_sbn_gibbs_result result = GM_SBN_GIBBS_RESULT_INIT;
    o.burn_in = 2;
    o.samples = 4;
    return gm_sbn_gibbs(&result, gm_sbn_from_model(r->model), r->rows, n, &o, r->real, NULL);
}

static inline gm_status sbn_mean_field(room *r, int64_t n)
{
    int64_t iterations[ROWS];
    return gm_sbn_mean_field(gm_sbn_from_model(r->model), r->rows, n, NULL, r->real, r->real_too,
                             iterations);
}

static inline gm_status rbm_free_energy(room *r, int64_t n)
{
    return gm_rbm_free_energy(gm_rbm_from_model(r->model), r->rows, n, r->real);
}

static inline gm_status rbm_hidden(room *r, int64_t n)
{
    return gm_rbm_hidden_probabilities(gm_rbm_from_model(r->model), r->rows, n, r->codes);
}

static inline gm_status rbm_gibbs(room *r, int64_t n)
{
    memcpy(r->changed, r->rows, sizeof r->rows);
    return gm_rbm_gibbs(gm_rbm_from_model(r->model), n, 2, NULL, r->changed, r->other);
}

static inline gm_status rbm_log_z(room *r, int64_t n)
{
    (void)n;
    return gm_rbm_log_z(r->real, gm_rbm_from_model(r->model));
}

static inline gm_status rbm_ais(room *r, int64_t n)
{
    static const double betas[3] = { 0, 0.5, 1 };
    gm_rbm_ais_options o = GM_RBM_AIS_OPTIONS_INIT;
    gm_rbm_ais_result result = GM_RBM_AIS_RESULT_INIT;
    o.runs = n;
    o.betas = betas;
    o.beta_count = 3;
    return gm_rbm_ais(&result, gm_rbm_from_model(r->model), &o);
}

static inline gm_status dbn_mean(room *r, int64_t n)
{
    (void)n;
    return gm_dbn_mean(gm_dbn_from_model(r->model), r->data, r->codes);
}

static inline gm_status dbn_init(room *r, int64_t n)
{
    (void)n;
    return gm_dbn_init_biases(gm_dbn_from_model(r->model), r->data);
}

static inline gm_status dbn_features(room *r, int64_t n)
{
    return gm_dbn_features(gm_dbn_from_model(r->model), r->rows, n, 1, r->codes);
}

static inline gm_status dbn_bound(room *r, int64_t n)
{
    return gm_dbn_bound(gm_dbn_from_model(r->model), r->rows, n, NULL, r->real, r->real_too);
}

/* Which families have it: those that have the shared verb; all autoregressive ones; or one. Left
 * out are those that go over a whole dataset, and give their memory back (fit, solve, init_biases
 * of the nets that take gm_dataset_mean), and those that make an object or a file. */
#define AUTOREGRESSIVE "autoregressive"
static const struct {
    const char *name, *family; /* family NULL: `needs` says it */
    int32_t needs;
    verb_fn call;
    int reads; /* a reader of a frozen model has it */
} verbs[] = {
    { "log_prob", NULL, GM_VERB_LOG_PROB, log_prob, 1 },
    { "log_prob_estimate", NULL, GM_VERB_LOG_PROB, log_prob_estimate, 1 },
    { "evaluate_nll", NULL, GM_VERB_LOG_PROB, nll, 0 },
    { "sample", NULL, GM_VERB_SAMPLE, sample, 1 },
    { "evaluate", NULL, GM_VERB_FIT, evaluate, 0 },
    { "step", NULL, GM_VERB_FIT, step, 0 },
    { "decode", "generator", 0, generator_decode, 1 },
    { "sample of codes", "generator", 0, generator_sample, 1 },
    { "log_prob of codes", "generator", 0, generator_log_prob, 1 },
    { "encode", "vae", 0, vae_encode, 1 },
    { "decode", "vae", 0, vae_decode, 1 },
    { "reconstruct", "vae", 0, vae_reconstruct, 1 },
    { "interpolate", "vae", 0, vae_interpolate, 1 },
    { "elbo", "vae", 0, vae_elbo, 1 },
    { "discriminate", "gan", 0, gan_discriminate, 1 },
    { "encode", "autoencoder", 0, autoencoder_encode, 1 },
    { "decode", "autoencoder", 0, autoencoder_decode, 1 },
    { "log_probs", AUTOREGRESSIVE, 0, log_probs, 1 },
    { "conditionals", AUTOREGRESSIVE, 0, conditionals, 1 },
    { "sample_given", AUTOREGRESSIVE, 0, sample_given, 1 },
    { "log_marginal", AUTOREGRESSIVE, 0, log_marginal, 1 },
    { "impute", AUTOREGRESSIVE, 0, impute, 1 },
    { "gradient_norm", "linear_ar", 0, gradient_norm, 0 },
    { "init_biases", "nade", 0, nade_init, 0 },
    { "sample of layers", "sbn", 0, sbn_sample, 1 },
    { "log_joint", "sbn", 0, sbn_log_joint, 1 },
    { "recognise", "sbn", 0, sbn_recognise, 1 },
    { "enumerate", "sbn", 0, sbn_enumerate, 0 },
    { "gibbs", "sbn", 0, sbn_gibbs, 0 },
    { "mean_field", "sbn", 0, sbn_mean_field, 1 },
    { "free_energy", "rbm", 0, rbm_free_energy, 1 },
    { "hidden_probabilities", "rbm", 0, rbm_hidden, 1 },
    { "gibbs", "rbm", 0, rbm_gibbs, 1 },
    { "log_z", "rbm", 0, rbm_log_z, 1 },
    { "ais", "rbm", 0, rbm_ais, 0 },
    { "init_biases", "dbn", 0, dbn_init, 0 },
    { "mean", "dbn", 0, dbn_mean, 0 },
    { "features", "dbn", 0, dbn_features, 1 },
    { "bound", "dbn", 0, dbn_bound, 1 },
};

#define VERB_COUNT ((int)(sizeof verbs / sizeof *verbs))

static inline int verb_of(const gm_model *model, int verb)
{
    const char *family = verbs[verb].family;
    if (!family) return gm_model_supports(model, verbs[verb].needs);
    if (!strcmp(family, AUTOREGRESSIVE)) return gm_autoregressive_kind(model) >= 0;
    return !strcmp(family, gm_model_family(model));
}

/* Rows of bits, and the first two columns of the order as known. */
static inline void room_fill(room *r)
{
    const int64_t columns = gm_model_row_size(r->model);
    ck_assert_int_le(ROWS * columns, VALUES);
    for (int64_t i = 0; i < ROWS * columns; i++) r->rows[i] = (float)((i * 37 + i / 7) % 5 < 2);
    if (gm_autoregressive_kind(r->model) < 0) return;
    int64_t order[VALUES];
    ck_assert_int_eq(gm_autoregressive_order(r->model, order), GM_OK);
    for (int64_t i = 0; i < ROWS; i++)
        for (int k = 0; k < 2; k++) r->known[i * columns + order[k]] = 1;
}

#endif
