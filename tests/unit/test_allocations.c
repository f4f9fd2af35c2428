/* test_allocations.c - a verb that is called again with as many rows takes nothing from the
 * allocator. */
#include "families.h"
#include "models/family.h"

#define ROWS 20
static const family_size small = { 6, 4, 2 };
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

static gm_status step(room *r, int64_t n)
{
    return gm_model_step(r->model, r->rows, n, NULL, 0, NULL);
}

static gm_status evaluate(room *r, int64_t n)
{
    return gm_model_evaluate(r->model, r->data, support_batches(n, 0), NULL, 0, NULL);
}

static gm_status sample(room *r, int64_t n)
{
    return gm_model_sample_into(r->model, n, NULL, r->changed);
}

static gm_status log_prob(room *r, int64_t n)
{
    return gm_model_log_prob(r->model, r->rows, n, r->real);
}

static gm_status log_prob_estimate(room *r, int64_t n)
{
    return gm_model_log_prob_estimate(NULL, r->model, r->rows, n, NULL, r->real, r->real_too);
}

static gm_status nll(room *r, int64_t n)
{
    gm_result result = GM_RESULT_INIT;
    gm_nll_options o = GM_NLL_OPTIONS_INIT;
    o.batch = n;
    return gm_evaluate_nll(&result, r->model, r->data, &o);
}

/* --- Latent. */

static gm_status generator_decode(room *r, int64_t n)
{
    return gm_generator_decode(gm_generator_from_model(r->model), r->rows, n, r->changed);
}

static gm_status generator_sample(room *r, int64_t n)
{
    return gm_generator_sample(gm_generator_from_model(r->model), r->rows, n, r->changed);
}

static gm_status generator_log_prob(room *r, int64_t n)
{
    gm_generator *g = gm_generator_from_model(r->model);
    return gm_generator_log_prob(g, r->rows, r->rows, n, r->real);
}

static gm_status vae_encode(room *r, int64_t n)
{
    return gm_vae_encode(gm_vae_from_model(r->model), r->rows, n, r->codes, r->other);
}

static gm_status vae_decode(room *r, int64_t n)
{
    return gm_vae_decode(gm_vae_from_model(r->model), r->rows, n, r->changed);
}

static gm_status vae_reconstruct(room *r, int64_t n)
{
    return gm_vae_reconstruct(gm_vae_from_model(r->model), r->rows, n, r->changed);
}

static gm_status vae_interpolate(room *r, int64_t n)
{
    return gm_vae_interpolate(gm_vae_from_model(r->model), r->rows, r->rows + 6, n, r->changed);
}

static gm_status vae_elbo(room *r, int64_t n)
{
    return gm_vae_elbo(gm_vae_from_model(r->model), r->rows, n, r->real, r->real_too, NULL);
}

static gm_status gan_discriminate(room *r, int64_t n)
{
    return gm_gan_discriminate(gm_gan_from_model(r->model), r->rows, n, r->real);
}

static gm_status autoencoder_encode(room *r, int64_t n)
{
    return gm_autoencoder_encode(gm_autoencoder_from_model(r->model), r->rows, n, r->codes);
}

static gm_status autoencoder_decode(room *r, int64_t n)
{
    return gm_autoencoder_decode(gm_autoencoder_from_model(r->model), r->rows, n, r->changed);
}

/* --- Autoregressive. */

static gm_status log_probs(room *r, int64_t n)
{
    return gm_autoregressive_log_probs(r->model, r->rows, n, r->real);
}

static gm_status conditionals(room *r, int64_t n)
{
    return gm_autoregressive_conditionals(r->model, r->rows, n, r->codes);
}

static gm_status sample_given(room *r, int64_t n)
{
    memcpy(r->changed, r->rows, sizeof r->rows);
    return gm_autoregressive_sample_given(r->model, r->known, n, NULL, r->changed, r->real);
}

static gm_status log_marginal(room *r, int64_t n)
{
    return gm_autoregressive_log_marginal(r->model, r->rows, r->known, n, NULL, r->real);
}

static gm_status impute(room *r, int64_t n)
{
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    o.draws = 4;
    memcpy(r->changed, r->rows, sizeof r->rows);
    return gm_autoregressive_impute(r->model, r->known, n, &o, r->changed);
}

static gm_status gradient_norm(room *r, int64_t n)
{
    (void)n;
    return gm_linear_ar_gradient_norm(r->real, gm_linear_ar_from_model(r->model), r->data);
}

static gm_status nade_init(room *r, int64_t n)
{
    (void)n;
    return gm_nade_init_biases(gm_nade_from_model(r->model), r->data);
}

/* --- Belief nets. */

static gm_status sbn_sample(room *r, int64_t n)
{
    return gm_sbn_sample(gm_sbn_from_model(r->model), n, -1, NULL, 0, r->codes, r->changed);
}

static gm_status sbn_log_joint(room *r, int64_t n)
{
    return gm_sbn_log_joint(gm_sbn_from_model(r->model), r->rows, r->rows, n, r->real);
}

static gm_status sbn_recognise(room *r, int64_t n)
{
    gm_sbn *sbn = gm_sbn_from_model(r->model);
    if (!gm_sbn_has_recognition(sbn)) return GM_OK;
    return gm_sbn_recognise(sbn, r->rows, n, r->codes, r->other, r->real);
}

static gm_status sbn_enumerate(room *r, int64_t n)
{
    return gm_sbn_enumerate(gm_sbn_from_model(r->model), r->rows, n, NULL, r->real, r->real_too);
}

static gm_status sbn_gibbs(room *r, int64_t n)
{
    gm_sbn_gibbs_options o = GM_SBN_GIBBS_OPTIONS_INIT;
    gm_sbn_gibbs_result result = GM_SBN_GIBBS_RESULT_INIT;
    o.burn_in = 2;
    o.samples = 4;
    return gm_sbn_gibbs(&result, gm_sbn_from_model(r->model), r->rows, n, &o, r->real, NULL);
}

static gm_status sbn_mean_field(room *r, int64_t n)
{
    int64_t iterations[ROWS];
    return gm_sbn_mean_field(gm_sbn_from_model(r->model), r->rows, n, NULL, r->real, r->real_too,
                             iterations);
}

static gm_status rbm_free_energy(room *r, int64_t n)
{
    return gm_rbm_free_energy(gm_rbm_from_model(r->model), r->rows, n, r->real);
}

static gm_status rbm_hidden(room *r, int64_t n)
{
    return gm_rbm_hidden_probabilities(gm_rbm_from_model(r->model), r->rows, n, r->codes);
}

static gm_status rbm_gibbs(room *r, int64_t n)
{
    memcpy(r->changed, r->rows, sizeof r->rows);
    return gm_rbm_gibbs(gm_rbm_from_model(r->model), n, 2, NULL, r->changed, r->other);
}

static gm_status rbm_log_z(room *r, int64_t n)
{
    (void)n;
    return gm_rbm_log_z(r->real, gm_rbm_from_model(r->model));
}

static gm_status rbm_ais(room *r, int64_t n)
{
    static const double betas[3] = { 0, 0.5, 1 };
    gm_rbm_ais_options o = GM_RBM_AIS_OPTIONS_INIT;
    gm_rbm_ais_result result = GM_RBM_AIS_RESULT_INIT;
    o.runs = n;
    o.betas = betas;
    o.beta_count = 3;
    return gm_rbm_ais(&result, gm_rbm_from_model(r->model), &o);
}

static gm_status dbn_mean(room *r, int64_t n)
{
    (void)n;
    return gm_dbn_mean(gm_dbn_from_model(r->model), r->data, r->codes);
}

static gm_status dbn_init(room *r, int64_t n)
{
    (void)n;
    return gm_dbn_init_biases(gm_dbn_from_model(r->model), r->data);
}

static gm_status dbn_features(room *r, int64_t n)
{
    return gm_dbn_features(gm_dbn_from_model(r->model), r->rows, n, 1, r->codes);
}

static gm_status dbn_bound(room *r, int64_t n)
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
} verbs[] = {
    { "log_prob", NULL, GM_VERB_LOG_PROB, log_prob },
    { "log_prob_estimate", NULL, GM_VERB_LOG_PROB, log_prob_estimate },
    { "evaluate_nll", NULL, GM_VERB_LOG_PROB, nll },
    { "sample", NULL, GM_VERB_SAMPLE, sample },
    { "evaluate", NULL, GM_VERB_FIT, evaluate },
    { "step", NULL, GM_VERB_FIT, step },
    { "decode", "generator", 0, generator_decode },
    { "sample of codes", "generator", 0, generator_sample },
    { "log_prob of codes", "generator", 0, generator_log_prob },
    { "encode", "vae", 0, vae_encode },
    { "decode", "vae", 0, vae_decode },
    { "reconstruct", "vae", 0, vae_reconstruct },
    { "interpolate", "vae", 0, vae_interpolate },
    { "elbo", "vae", 0, vae_elbo },
    { "discriminate", "gan", 0, gan_discriminate },
    { "encode", "autoencoder", 0, autoencoder_encode },
    { "decode", "autoencoder", 0, autoencoder_decode },
    { "log_probs", AUTOREGRESSIVE, 0, log_probs },
    { "conditionals", AUTOREGRESSIVE, 0, conditionals },
    { "sample_given", AUTOREGRESSIVE, 0, sample_given },
    { "log_marginal", AUTOREGRESSIVE, 0, log_marginal },
    { "impute", AUTOREGRESSIVE, 0, impute },
    { "gradient_norm", "linear_ar", 0, gradient_norm },
    { "init_biases", "nade", 0, nade_init },
    { "sample of layers", "sbn", 0, sbn_sample },
    { "log_joint", "sbn", 0, sbn_log_joint },
    { "recognise", "sbn", 0, sbn_recognise },
    { "enumerate", "sbn", 0, sbn_enumerate },
    { "gibbs", "sbn", 0, sbn_gibbs },
    { "mean_field", "sbn", 0, sbn_mean_field },
    { "free_energy", "rbm", 0, rbm_free_energy },
    { "hidden_probabilities", "rbm", 0, rbm_hidden },
    { "gibbs", "rbm", 0, rbm_gibbs },
    { "log_z", "rbm", 0, rbm_log_z },
    { "ais", "rbm", 0, rbm_ais },
    { "init_biases", "dbn", 0, dbn_init },
    { "mean", "dbn", 0, dbn_mean },
    { "features", "dbn", 0, dbn_features },
    { "bound", "dbn", 0, dbn_bound },
};

static int has(const gm_model *model, int verb)
{
    const char *family = verbs[verb].family;
    if (!family) return gm_model_supports(model, verbs[verb].needs);
    if (!strcmp(family, AUTOREGRESSIVE)) return gm_autoregressive_kind(model) >= 0;
    return !strcmp(family, gm_model_family(model));
}

static uint64_t allocations(const gm_context *ctx)
{
    gm_memory_counters now;
    gm_context_memory(&now, ctx);
    return now.allocations;
}

/* A model that nothing was done with, and ROWS rows of bits for it. */
static gm_context *prepare(room *r, int which)
{
    gm_context *ctx = support_context(5, 1);
    memset(r, 0, sizeof *r);
    r->model = family_make(ctx, which, &small);
    const int64_t columns = gm_model_row_size(r->model), shape[2] = { ROWS, columns };
    ck_assert_int_le(ROWS * columns, VALUES);
    for (int64_t i = 0; i < ROWS * columns; i++) r->rows[i] = (float)((i * 37 + i / 7) % 5 < 2);
    support_ok(ctx, gm_dataset_from_memory(&r->data, ctx, 2, shape, r->rows));
    if (gm_autoregressive_kind(r->model) >= 0) {
        int64_t order[VALUES];
        support_ok(ctx, gm_autoregressive_order(r->model, order));
        for (int64_t i = 0; i < ROWS; i++)
            for (int k = 0; k < 2; k++) r->known[i * columns + order[k]] = 1;
    }
    return ctx;
}

static void finish(gm_context *ctx, room *r)
{
    gm_dataset_release(r->data);
    gm_model_release(r->model);
    gm_context_release(ctx);
}

/* Each verb alone; then again, with two counts. What it took of the scratch it gives back. */
START_TEST(a_verb_called_again_takes_nothing)
{
    static const int64_t counts[2] = { 3, ROWS - 1 };
    static room r;
    for (int v = 0; v < (int)(sizeof verbs / sizeof *verbs); v++) {
        gm_context *ctx = prepare(&r, _i);
        uint64_t before = 0;
        for (int call = 0; has(r.model, v) && call < 6; call++) {
            const int64_t count = counts[call % 2];
            support_ok(ctx, verbs[v].call(&r, count));
            const uint64_t now = allocations(ctx);
            ck_assert_msg(call < 2 || now == before,
                          "%s: %s of %lld rows, called again, allocates %llu times",
                          families[_i].name, verbs[v].name, (long long)count,
                          (unsigned long long)(now - before));
            ck_assert_msg(gm_model_mark(r.model) == 0, "%s: %s keeps scratch", families[_i].name,
                          verbs[v].name);
            before = now;
        }
        finish(ctx, &r);
    }
}
END_TEST

/* Every verb is some family's, and every family has verbs of the table. */
START_TEST(the_table_is_used)
{
    static room r;
    int used[sizeof verbs / sizeof *verbs] = { 0 };
    for (int f = 0; f < FAMILY_COUNT; f++) {
        gm_context *ctx = prepare(&r, f);
        int of_family = 0;
        for (int v = 0; v < (int)(sizeof verbs / sizeof *verbs); v++) {
            of_family += has(r.model, v);
            used[v] += has(r.model, v);
        }
        ck_assert_msg(of_family > 0, "%s has no verb in the table", families[f].name);
        finish(ctx, &r);
    }
    for (int v = 0; v < (int)(sizeof verbs / sizeof *verbs); v++)
        ck_assert_msg(used[v] > 0, "no family has %s", verbs[v].name);
    int listed = 0;
    while (gm_families[listed]) listed++;
    ck_assert_int_eq(listed, FAMILY_COUNT);
}
END_TEST

typedef struct watch {
    gm_context *ctx;
    uint64_t before;
    int64_t updates; /* of later epochs, that took memory */
} watch;

static int32_t look(void *user, const gm_fit_report *p)
{
    watch *w = user;
    const uint64_t now = allocations(w->ctx);
    if (p->epoch > 0 && now != w->before) w->updates++;
    w->before = now;
    return 0;
}

/* The first epoch has batches of every size that the others have. */
START_TEST(updates_after_the_first_epoch_take_nothing)
{
    static room r;
    gm_context *ctx = prepare(&r, _i);
    watch w = { .ctx = ctx };
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 4;
    fit.batch = 6;
    fit.on_report = look;
    fit.user = &w;
    if (gm_model_supports(r.model, GM_VERB_FIT)) {
        support_ok(ctx, gm_model_fit(r.model, r.data, &fit));
        ck_assert_int_eq(w.updates, 0);
    }
    finish(ctx, &r);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("allocations");
    TCase *t = tcase_create("allocations");
    tcase_add_test(t, the_table_is_used);
    tcase_add_loop_test(t, a_verb_called_again_takes_nothing, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, updates_after_the_first_epoch_take_nothing, 0, FAMILY_COUNT);
    suite_add_tcase(s, t);
    return s;
}
