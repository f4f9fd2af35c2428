/* rehearse.c - all reading verbs of a model once, so that its memory is there. */
#include "serve/rehearse.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "gm/autoencoder.h"
#include "gm/autoregressive.h"
#include "gm/dbn.h"
#include "gm/gan.h"
#include "gm/gmmn.h"
#include "gm/rbm.h"
#include "gm/sbn.h"
#include "gm/vae.h"

/* What the verbs read, and room for what they give: zeros are valid rows of every family. */
typedef struct stage {
    gm_model *model;
    int64_t rows, columns;
    float *x;           /* [rows, width] of zeros */
    float *y, *z;       /* [rows, width] */
    double *real, *too; /* [rows, width] */
    int64_t *whole;     /* [rows] */
    uint8_t *known;     /* [rows, columns] */
} stage;

typedef gm_status verb_fn(stage *s);

/* --- Shared verbs. */

static gm_status sample(stage *s)
{
    return gm_model_sample_into(s->model, s->rows, NULL, s->y);
}

static gm_status log_prob(stage *s)
{
    return gm_model_log_prob_estimate(NULL, s->model, s->x, s->rows, NULL, s->real, s->too);
}

/* --- Latent families. */

static gm_status generator_decode(stage *s)
{
    return gm_generator_decode(gm_generator_from_model(s->model), s->x, s->rows, s->y);
}

static gm_status generator_sample(stage *s)
{
    return gm_generator_sample(gm_generator_from_model(s->model), s->x, s->rows, s->y);
}

static gm_status generator_log_prob(stage *s)
{
    return gm_generator_log_prob(gm_generator_from_model(s->model), s->x, s->x, s->rows, s->real);
}

static gm_status vae_encode(stage *s)
{
    return gm_vae_encode(gm_vae_from_model(s->model), s->x, s->rows, s->y, s->z);
}

static gm_status vae_decode(stage *s)
{
    return gm_vae_decode(gm_vae_from_model(s->model), s->x, s->rows, s->y);
}

static gm_status vae_reconstruct(stage *s)
{
    return gm_vae_reconstruct(gm_vae_from_model(s->model), s->x, s->rows, s->y);
}

static gm_status vae_interpolate(stage *s)
{
    return s->rows < 2 ? GM_OK
                       : gm_vae_interpolate(gm_vae_from_model(s->model), s->x, s->x, s->rows, s->y);
}

static gm_status vae_elbo(stage *s)
{
    return gm_vae_elbo(gm_vae_from_model(s->model), s->x, s->rows, s->real, s->too, NULL);
}

static gm_status vae_log_prob(stage *s)
{
    return gm_vae_log_prob(gm_vae_from_model(s->model), s->x, s->rows, NULL, s->real, s->too);
}

static gm_status autoencoder_encode(stage *s)
{
    return gm_autoencoder_encode(gm_autoencoder_from_model(s->model), s->x, s->rows, s->y);
}

static gm_status autoencoder_decode(stage *s)
{
    return gm_autoencoder_decode(gm_autoencoder_from_model(s->model), s->x, s->rows, s->y);
}

static gm_status gan_discriminate(stage *s)
{
    return gm_gan_discriminate(gm_gan_from_model(s->model), s->x, s->rows, s->real);
}

/* --- Autoregressive families: nothing known, then the first half of the order. */

static gm_status log_probs(stage *s)
{
    return gm_autoregressive_log_probs(s->model, s->x, s->rows, s->real);
}

static gm_status conditionals(stage *s)
{
    return gm_autoregressive_conditionals(s->model, s->x, s->rows, s->y);
}

static void forget(stage *s)
{
    memset(s->known, 0, (size_t)(s->rows * s->columns));
}

static gm_status know_half(stage *s)
{
    int64_t *order = (int64_t *)(void *)s->too;
    forget(s);
    const gm_status status = gm_autoregressive_order(s->model, order);
    for (int64_t r = 0; !status && r < s->rows; r++)
        for (int64_t k = 0; k < s->columns / 2; k++) s->known[r * s->columns + order[k]] = 1;
    return status;
}

static float *blank(stage *s)
{
    memset(s->y, 0, (size_t)(s->rows * s->columns) * sizeof *s->y);
    return s->y;
}

static gm_status sample_given(stage *s)
{
    gm_status status;
    forget(s);
    GM_TRY(gm_autoregressive_sample_given(s->model, s->known, s->rows, NULL, blank(s), s->real));
    GM_TRY(know_half(s));
    GM_TRY(gm_autoregressive_sample_given(s->model, s->known, s->rows, NULL, blank(s), s->real));
out:
    return status;
}

static gm_status log_marginal(stage *s)
{
    gm_status status;
    forget(s);
    GM_TRY(gm_autoregressive_log_marginal(s->model, s->x, s->known, s->rows, NULL, s->real));
    GM_TRY(know_half(s));
    GM_TRY(gm_autoregressive_log_marginal(s->model, s->x, s->known, s->rows, NULL, s->real));
out:
    return status;
}

/* The last column of the order known and the others not: no model with one order is exact then. */
static gm_status impute(stage *s)
{
    int64_t *order = (int64_t *)(void *)s->too;
    gm_status status;
    GM_TRY(know_half(s));
    GM_TRY(gm_autoregressive_impute(s->model, s->known, s->rows, NULL, blank(s)));
    forget(s);
    GM_TRY(gm_autoregressive_order(s->model, order));
    for (int64_t r = 0; r < s->rows; r++) s->known[r * s->columns + order[s->columns - 1]] = 1;
    GM_TRY(gm_autoregressive_impute(s->model, s->known, s->rows, NULL, blank(s)));
out:
    return status;
}

/* --- Belief nets. */

static gm_status sbn_sample(stage *s)
{
    return gm_sbn_sample(gm_sbn_from_model(s->model), s->rows, -1, NULL, 0, s->y, s->z);
}

static gm_status sbn_log_joint(stage *s)
{
    return gm_sbn_log_joint(gm_sbn_from_model(s->model), s->x, s->x, s->rows, s->real);
}

static gm_status sbn_recognise(stage *s)
{
    return gm_sbn_recognise(gm_sbn_from_model(s->model), s->x, s->rows, s->y, s->z, s->real);
}

static gm_status sbn_log_prob(stage *s)
{
    gm_sbn *sbn = gm_sbn_from_model(s->model);
    return gm_sbn_log_prob(sbn, s->x, s->rows, NULL, s->real, s->too, NULL);
}

static gm_status sbn_mean_field(stage *s)
{
    gm_sbn *sbn = gm_sbn_from_model(s->model);
    return gm_sbn_mean_field(sbn, s->x, s->rows, NULL, s->real, s->too, s->whole);
}

static gm_status rbm_free_energy(stage *s)
{
    return gm_rbm_free_energy(gm_rbm_from_model(s->model), s->x, s->rows, s->real);
}

static gm_status rbm_hidden(stage *s)
{
    return gm_rbm_hidden_probabilities(gm_rbm_from_model(s->model), s->x, s->rows, s->y);
}

static gm_status rbm_gibbs(stage *s)
{
    return gm_rbm_gibbs(gm_rbm_from_model(s->model), s->rows, 1, NULL, blank(s), s->z);
}

static gm_status dbn_features(stage *s)
{
    gm_dbn *dbn = gm_dbn_from_model(s->model);
    return gm_dbn_features(dbn, s->x, s->rows, gm_dbn_stage(dbn), s->y);
}

static gm_status dbn_bound(stage *s)
{
    return gm_dbn_bound(gm_dbn_from_model(s->model), s->x, s->rows, NULL, s->real, s->too);
}

static gm_status dbn_log_prob(stage *s)
{
    return gm_dbn_log_prob(gm_dbn_from_model(s->model), s->x, s->rows, NULL, s->real, s->too);
}

#define AUTOREGRESSIVE "autoregressive"
static const struct {
    const char *family; /* NULL: every one */
    verb_fn *call;
} verbs[] = {
    { NULL, sample },
    { NULL, log_prob },
    { "generator", generator_decode },
    { "generator", generator_sample },
    { "generator", generator_log_prob },
    { "vae", vae_encode },
    { "vae", vae_decode },
    { "vae", vae_reconstruct },
    { "vae", vae_interpolate },
    { "vae", vae_elbo },
    { "vae", vae_log_prob },
    { "autoencoder", autoencoder_encode },
    { "autoencoder", autoencoder_decode },
    { "gan", gan_discriminate },
    { AUTOREGRESSIVE, log_probs },
    { AUTOREGRESSIVE, conditionals },
    { AUTOREGRESSIVE, sample_given },
    { AUTOREGRESSIVE, log_marginal },
    { AUTOREGRESSIVE, impute },
    { "sbn", sbn_sample },
    { "sbn", sbn_log_joint },
    { "sbn", sbn_recognise },
    { "sbn", sbn_log_prob },
    { "sbn", sbn_mean_field },
    { "rbm", rbm_free_energy },
    { "rbm", rbm_hidden },
    { "rbm", rbm_gibbs },
    { "dbn", dbn_features },
    { "dbn", dbn_bound },
    { "dbn", dbn_log_prob },
};

static int has(const gm_model *model, const char *family)
{
    if (!family) return 1;
    if (!strcmp(family, AUTOREGRESSIVE)) return gm_autoregressive_kind(model) >= 0;
    return !strcmp(family, gm_model_family(model));
}

/* --- The parts of a model that are models themselves. */

void gm_each_part(gm_model *model, void (*use)(void *user, gm_model *part, int64_t rows),
                  void *user, int64_t rows)
{
    gm_vae *vae = gm_vae_from_model(model);
    gm_gan *gan = gm_gan_from_model(model);
    gm_gmmn *gmmn = gm_gmmn_from_model(model);
    gm_dbn *dbn = gm_dbn_from_model(model);
    use(user, model, rows);
    if (vae) use(user, gm_generator_model(gm_vae_decoder(vae)), rows);
    if (gan) use(user, gm_generator_model(gm_gan_generator(gan)), rows);
    if (gmmn) use(user, gm_generator_model(gm_gmmn_generator(gmmn)), rows);
    if (gmmn && gm_gmmn_autoencoder(gmmn))
        use(user, gm_autoencoder_model(gm_gmmn_autoencoder(gmmn)), rows);
    for (int32_t l = 1; dbn && l <= gm_dbn_stage(dbn); l++)
        use(user, gm_rbm_model(gm_dbn_layer(dbn, l)), rows);
}

/* --- The rehearsal. */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The most values that a verb reads or gives for a row. */
static int64_t width_of(gm_model *model)
{
    const gm_generator *g = gm_generator_from_model(model);
    gm_vae *vae = gm_vae_from_model(model);
    const gm_sbn *sbn = gm_sbn_from_model(model);
    const gm_rbm *rbm = gm_rbm_from_model(model);
    const gm_dbn *dbn = gm_dbn_from_model(model);
    int64_t width = model->row_size;
    if (gm_autoregressive_kind(model) >= 0) width *= larger(1, gm_autoregressive_width(model));
    if (vae) g = gm_vae_decoder(vae);
    width = larger(width, g ? gm_generator_latent(g) : 0);
    width = larger(width, gm_autoencoder_code_size(gm_autoencoder_from_model(model)));
    width = larger(width, sbn ? gm_sbn_hidden_units(sbn) : 0);
    width = larger(width, rbm ? gm_rbm_hidden(rbm) : 0);
    for (int32_t l = 1; dbn && l <= gm_dbn_layers(dbn); l++)
        width = larger(width, gm_dbn_layer_size(dbn, l));
    return width;
}

/* All arrays lie in one block; doubles first. */
static size_t block_bytes(int64_t rows, int64_t width)
{
    const size_t values = (size_t)rows * (size_t)width;
    return values * (2 * sizeof(double) + 3 * sizeof(float) + 1) + (size_t)rows * sizeof(int64_t);
}

/* log p is asked for even where log Z is not known yet: it may be set later. Returns the machine
 * that got one for now. */
static gm_rbm *lend_log_z(gm_model *model)
{
    gm_likelihood known = GM_LIKELIHOOD_INIT;
    gm_dbn *dbn = gm_dbn_from_model(model);
    gm_rbm *rbm = dbn ? gm_dbn_layer(dbn, gm_dbn_stage(dbn)) : gm_rbm_from_model(model);
    if (!rbm || gm_model_likelihood(&known, gm_rbm_model(rbm)) != GM_E_STATE) return NULL;
    gm_rbm_set_log_z(rbm, 0, 0);
    return rbm;
}

static gm_status set_labels(stage *s)
{
    if (!s->model->classes) return GM_OK;
    memset(s->whole, 0, (size_t)s->rows * sizeof *s->whole);
    return gm_model_set_labels(s->model, s->whole, s->rows);
}

static gm_status call_verbs(stage *s)
{
    gm_rng_state before;
    gm_status status;
    gm_rng_save(&before, s->model->rng);
    gm_rbm *rbm = lend_log_z(s->model);
    GM_TRY(set_labels(s));
    for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++)
        if (has(s->model, verbs[v].family) && verbs[v].call(s) == GM_E_NOMEM) GM_TRY(GM_E_NOMEM);
out:
    if (rbm) gm_rbm_set_log_z(rbm, (double)NAN, 0);
    s->model->label_count = 0;
    gm_rng_restore(s->model->rng, &before);
    return status;
}

static gm_status rehearse_part(gm_model *model, int64_t rows)
{
    const int64_t width = width_of(model);
    gm_context *ctx = model->ctx;
    if (rows > INT64_MAX / 64 / larger(width, 1))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "reader: max_rows is %lld, of %lld values each, more than can be "
                             "addressed",
                             (long long)rows, (long long)width);
    const size_t bytes = block_bytes(rows, width);
    char *block = gm_model_allocate(ctx, bytes);
    if (!block)
        return gm_model_fail(ctx, GM_E_NOMEM, "reader: no memory to try %lld rows",
                             (long long)rows);
    const int64_t values = rows * width;
    stage s = { .model = model, .rows = rows, .columns = model->row_size };
    s.real = (double *)(void *)block;
    s.too = s.real + values;
    s.whole = (int64_t *)(void *)(s.too + values);
    s.x = (float *)(void *)(s.whole + rows);
    s.y = s.x + values;
    s.z = s.y + values;
    s.known = (uint8_t *)(void *)(s.z + values);
    const gm_status status = call_verbs(&s);
    gm_context_free(ctx, block, bytes);
    return status;
}

static void try_part(void *status, gm_model *part, int64_t rows)
{
    gm_status *first = status;
    if (!*first) *first = rehearse_part(part, rows);
}

gm_status gm_rehearse(gm_model *model, int64_t rows)
{
    const gm_context *ctx = model->ctx;
    gm_context *host = ctx->parent;
    char line[sizeof host->error];
    gm_status status = GM_OK;
    memcpy(line, host->error, sizeof line);
    gm_each_part(model, try_part, &status, rows);
    if (!status) memcpy(host->error, line, sizeof line); /* of verbs that have their reasons */
    return status;
}
