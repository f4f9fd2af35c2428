/* makers.c - a tiny model of every family. Everything that is made may fail: the suite lets each
 * allocation fail. */
#include "makers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRY(call)                                                                                  \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status) goto out;                                                                      \
    } while (0)

/* Wrappers of one type, which a table of releases needs. */
#define RELEASE(type)                                                                              \
    static void release_##type(void *handle)                                                       \
    {                                                                                              \
        gm_##type##_release(handle);                                                               \
    }
RELEASE(layer)
RELEASE(generator)
RELEASE(optimizer)
RELEASE(autoencoder)
RELEASE(mmd_kernel)
#define KEEP(parts, type, object)                                                                  \
    do {                                                                                           \
        (parts)->handle[(parts)->count] = (object);                                                \
        (parts)->release[(parts)->count++] = release_##type;                                       \
    } while (0)

void maker_release(maker_parts *parts)
{
    for (int i = 0; i < parts->count; i++) parts->release[i](parts->handle[i]);
    parts->count = 0;
}

void maker_states(float rows[MAKER_STATES * MAKER_BITS])
{
    for (int s = 0; s < MAKER_STATES; s++)
        for (int c = 0; c < MAKER_BITS; c++) rows[s * MAKER_BITS + c] = (float)(s >> c & 1);
}

/* Values in [-1, 1) that differ from one another; smaller ones for an encoder, whose q is then wide
 * enough for weights of a finite variance. */
static void shake(gm_params *params)
{
    uint32_t state = 2463534242u;
    for (int64_t i = 0; i < gm_params_count(params); i++) {
        gm_param *p = gm_params_get(params, i);
        const double scale = strncmp(gm_params_name(params, i), "encoder", 7) ? 1 : 0.3;
        for (int64_t k = 0; k < gm_param_count(p); k++) {
            state = state * 1664525u + 1013904223u;
            gm_param_value(p)[k] = (float)(scale * ((double)(state >> 8) / (1 << 23) - 1));
        }
    }
}

gm_status maker_make(gm_model **model, const maker *m, gm_context *ctx, maker_parts *parts)
{
    maker_parts own = { .count = 0 };
    if (!parts) parts = &own;
    gm_status status = m->make(model, ctx, parts);
    if (!status) shake(gm_model_params(*model));
    if (status || parts == &own) maker_release(parts);
    return status;
}

/* --- Latent. */

static gm_status net(gm_layer **out, gm_context *ctx, maker_parts *parts, int64_t in, int64_t last)
{
    gm_status status;
    TRY(gm_sequence_create(out, ctx));
    KEEP(parts, layer, *out);
    TRY(gm_sequence_add_linear(*out, in, 3));
    TRY(gm_sequence_add_tanh(*out));
    TRY(gm_sequence_add_linear(*out, 3, last));
out:
    return status;
}

static gm_status head(gm_generator **out, gm_context *ctx, maker_parts *parts, int32_t output,
                      int64_t labels)
{
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    gm_layer *layers = NULL;
    gm_status status;
    o.latent = 1;
    o.output = output;
    o.labels = labels;
    TRY(net(&layers, ctx, parts, 1 + labels, MAKER_BITS));
    TRY(gm_generator_create(out, ctx, layers, &o));
    KEEP(parts, generator, *out);
out:
    return status;
}

/* With an optimizer of the host's, so that there is one more handle. */
static gm_status adam(gm_optimizer **out, gm_context *ctx, maker_parts *parts)
{
    gm_status status;
    TRY(gm_adam_create(out, ctx, NULL));
    KEEP(parts, optimizer, *out);
out:
    return status;
}

static gm_status make_generator(gm_model **model, gm_context *ctx, maker_parts *parts,
                                int64_t labels)
{
    gm_generator *g = NULL;
    gm_status status;
    TRY(head(&g, ctx, parts, GM_OUTPUT_BERNOULLI, labels));
    *model = gm_generator_model(g);
    gm_model_retain(*model);
out:
    return status;
}

static gm_status generator(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_generator(model, ctx, parts, 0);
}

static gm_status generator_labels(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_generator(model, ctx, parts, MAKER_CLASSES);
}

static gm_status make_vae(gm_model **model, gm_context *ctx, maker_parts *parts, int64_t labels)
{
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    gm_generator *decoder = NULL;
    gm_layer *encoder = NULL;
    gm_vae *vae = NULL;
    gm_status status;
    o.log_prob_samples = 50;
    TRY(adam(&o.optimizer, ctx, parts));
    TRY(head(&decoder, ctx, parts, GM_OUTPUT_BERNOULLI, labels));
    TRY(net(&encoder, ctx, parts, MAKER_BITS + labels, 2));
    TRY(gm_vae_create(&vae, ctx, encoder, decoder, &o));
    *model = gm_vae_model(vae);
out:
    return status;
}

static gm_status vae(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_vae(model, ctx, parts, 0);
}

static gm_status vae_labels(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_vae(model, ctx, parts, MAKER_CLASSES);
}

/* p(x | y) by the rectangle rule over z, whose error for a smooth integrand that falls as a normal
 * density does is far below a float's. */
#define GRID 241
static gm_status vae_truth(gm_model *model, const float *rows, const int64_t *labels, int64_t count,
                           double *log_p)
{
    gm_generator *decoder = gm_vae_decoder(gm_vae_from_model(model));
    float z[GRID], copies[GRID * MAKER_BITS];
    double given[GRID];
    gm_status status = GM_OK;
    for (int k = 0; k < GRID; k++) z[k] = (float)((k - GRID / 2) * 0.05);
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        if (labels) TRY(gm_model_set_labels(gm_generator_model(decoder), labels + i, 1));
        for (int k = 0; k < GRID; k++)
            memcpy(copies + k * MAKER_BITS, rows + i * MAKER_BITS, MAKER_BITS * sizeof *rows);
        TRY(gm_generator_log_prob(decoder, copies, z, GRID, given));
        for (int k = 0; k < GRID; k++)
            sum += 0.05 * 0.3989422804014327 * exp(given[k] - 0.5 * (double)z[k] * (double)z[k]);
        log_p[i] = log(sum);
    }
out:
    return status;
}

static gm_status make_gan(gm_model **model, gm_context *ctx, maker_parts *parts, int64_t labels)
{
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_generator *g = NULL;
    gm_layer *discriminator = NULL;
    gm_gan *gan = NULL;
    gm_status status;
    o.noise = 0.25;
    TRY(adam(&o.generator_optimizer, ctx, parts));
    TRY(head(&g, ctx, parts, GM_OUTPUT_DIRECT, labels));
    TRY(net(&discriminator, ctx, parts, MAKER_BITS + labels, 1));
    TRY(gm_gan_create(&gan, ctx, g, discriminator, &o));
    *model = gm_gan_model(gan);
out:
    return status;
}

static gm_status gan(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_gan(model, ctx, parts, 0);
}

static gm_status gan_labels(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_gan(model, ctx, parts, MAKER_CLASSES);
}

static gm_status autoencoder(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    gm_autoencoder_options o = GM_AUTOENCODER_OPTIONS_INIT;
    gm_layer *encoder = NULL, *decoder = NULL;
    gm_autoencoder *net_of_two = NULL;
    gm_status status;
    TRY(adam(&o.optimizer, ctx, parts));
    TRY(net(&encoder, ctx, parts, MAKER_BITS, 2));
    TRY(net(&decoder, ctx, parts, 2, MAKER_BITS));
    TRY(gm_autoencoder_create(&net_of_two, ctx, MAKER_BITS, encoder, decoder, &o));
    *model = gm_autoencoder_model(net_of_two);
out:
    return status;
}

/* On the codes of an autoencoder, with a kernel of the host's and averaged weights. */
static gm_status gmmn(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    gm_generator_options of_codes = GM_GENERATOR_OPTIONS_INIT;
    gm_generator *g = NULL;
    gm_layer *layers = NULL, *encoder = NULL, *decoder = NULL;
    gm_gmmn *network = NULL;
    gm_status status;
    of_codes.latent = 1;
    of_codes.output = GM_OUTPUT_DIRECT;
    o.average = 0.5;
    TRY(gm_mmd_kernel_create(&o.kernel, ctx));
    KEEP(parts, mmd_kernel, o.kernel);
    TRY(gm_mmd_kernel_add_gaussian(o.kernel, 1, 1.5));
    TRY(net(&encoder, ctx, parts, MAKER_BITS, 2));
    TRY(net(&decoder, ctx, parts, 2, MAKER_BITS));
    TRY(gm_autoencoder_create(&o.autoencoder, ctx, MAKER_BITS, encoder, decoder, NULL));
    KEEP(parts, autoencoder, o.autoencoder);
    TRY(adam(&o.optimizer, ctx, parts));
    TRY(net(&layers, ctx, parts, 1, 2));
    TRY(gm_generator_create(&g, ctx, layers, &of_codes));
    KEEP(parts, generator, g);
    TRY(gm_gmmn_create(&network, ctx, g, &o));
    *model = gm_gmmn_model(network);
out:
    return status;
}

/* --- Autoregressive. */

static const int64_t order[MAKER_BITS] = { 2, 0, 5, 3, 1, 4 };

/* A family whose making needs a context, the number of columns and options alone. */
#define AUTOREGRESSIVE(family, function, ...)                                                      \
    static gm_status function(gm_model **model, gm_context *ctx, maker_parts *parts)               \
    {                                                                                              \
        gm_##family *handle = NULL;                                                                \
        gm_status status;                                                                          \
        __VA_ARGS__                                                                                \
        TRY(adam(&o.optimizer, ctx, parts));                                                       \
        TRY(gm_##family##_create(&handle, ctx, MAKER_BITS, &o));                                   \
        *model = gm_##family##_model(handle);                                                      \
    out:                                                                                           \
        return status;                                                                             \
    }

AUTOREGRESSIVE(linear_ar, linear_ar, gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
               o.order = order; o.weight_decay = 0.01;)
AUTOREGRESSIVE(neural_ar, neural_ar, gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
               o.hidden = 2; o.order = order;)
AUTOREGRESSIVE(made, made, gm_made_options o = GM_MADE_OPTIONS_INIT;
               static const int64_t hidden[2] = { 5, 4 }; o.hidden = hidden; o.layers = 2;
               o.direct = 1; o.masks = 2; o.random_orders = 1;)
AUTOREGRESSIVE(nade, nade, gm_nade_options o = GM_NADE_OPTIONS_INIT; o.hidden = 4; o.order = order;)
AUTOREGRESSIVE(nade, nade_any_order, gm_nade_options o = GM_NADE_OPTIONS_INIT; o.hidden = 4;
               o.order_agnostic = 1; o.orders = 3; o.layers = 2;)

static gm_status make_pixelcnn(gm_model **model, gm_context *ctx, maker_parts *parts, int gated,
                               int64_t labels)
{
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *handle = NULL;
    gm_status status;
    o.gated = gated;
    o.labels = labels;
    o.hidden = 2;
    o.blocks = 1;
    o.first_kernel = 3;
    o.head = 2;
    TRY(adam(&o.optimizer, ctx, parts));
    TRY(gm_pixelcnn_create(&handle, ctx, 2, MAKER_BITS / 2, &o));
    *model = gm_pixelcnn_model(handle);
out:
    return status;
}

static gm_status pixelcnn(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_pixelcnn(model, ctx, parts, 0, 0);
}

static gm_status pixelcnn_labels(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_pixelcnn(model, ctx, parts, 0, MAKER_CLASSES);
}

static gm_status pixelcnn_gated_labels(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_pixelcnn(model, ctx, parts, 1, MAKER_CLASSES);
}

/* --- Belief nets. */

static const int64_t units[2] = { 3, 2 };

static gm_status make_sbn(gm_model **model, gm_context *ctx, maker_parts *parts, int32_t estimator,
                          int32_t recognition)
{
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    gm_status status;
    o.layer_count = 2;
    o.layers = units;
    o.estimator = estimator;
    o.recognition = recognition;
    o.persistent = !recognition;
    o.samples = 2;
    o.sweeps = 2;
    o.log_prob_samples = 50;
    TRY(adam(&o.optimizer, ctx, parts));
    TRY(gm_sbn_create(&sbn, ctx, MAKER_BITS, &o));
    *model = gm_sbn_model(sbn);
out:
    return status;
}

static gm_status sbn(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_sbn(model, ctx, parts, GM_SBN_VIMCO, 1);
}

static gm_status sbn_chains(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_sbn(model, ctx, parts, GM_SBN_GIBBS_EM, 0);
}

static gm_status sbn_truth(gm_model *model, const float *rows, const int64_t *labels, int64_t count,
                           double *log_p)
{
    (void)labels;
    return gm_sbn_enumerate(gm_sbn_from_model(model), rows, count, NULL, log_p, NULL);
}

static gm_status make_rbm(gm_model **model, gm_context *ctx, maker_parts *parts, int32_t persistent)
{
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_rbm *rbm = NULL;
    gm_status status;
    o.persistent = persistent;
    o.chains = 5;
    o.sample_steps = 3;
    TRY(adam(&o.optimizer, ctx, parts));
    TRY(gm_rbm_create(&rbm, ctx, MAKER_BITS, 4, &o));
    *model = gm_rbm_model(rbm);
out:
    return status;
}

static gm_status rbm(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_rbm(model, ctx, parts, 1);
}

/* log Z as annealing might have given it. */
#define GIVEN_LOG_Z 12.5
static gm_status rbm_annealed(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    const gm_status status = make_rbm(model, ctx, parts, 0);
    if (!status) gm_rbm_set_log_z(gm_rbm_from_model(*model), GIVEN_LOG_Z, 0.125);
    return status;
}

static gm_status rbm_annealed_truth(gm_model *model, const float *rows, const int64_t *labels,
                                    int64_t count, double *log_p)
{
    (void)labels;
    gm_status status = gm_rbm_free_energy(gm_rbm_from_model(model), rows, count, log_p);
    for (int64_t i = 0; !status && i < count; i++) log_p[i] = -log_p[i] - GIVEN_LOG_Z;
    return status;
}

static gm_status make_dbn(gm_model **model, gm_context *ctx, maker_parts *parts, int machines)
{
    gm_rbm_options first = GM_RBM_OPTIONS_INIT;
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    gm_status status;
    first.sample_steps = 3;
    o.layer_count = 2;
    o.layers = units;
    o.rbm = &first;
    o.log_prob_samples = 50;
    TRY(adam(&first.optimizer, ctx, parts));
    TRY(gm_dbn_create(&dbn, ctx, MAKER_BITS, &o));
    shake(gm_model_params(gm_dbn_model(dbn)));
    if (machines == 2) TRY(gm_dbn_grow(dbn, NULL));
    *model = gm_dbn_model(dbn);
    dbn = NULL;
out:
    gm_dbn_release(dbn);
    return status;
}

static gm_status dbn(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_dbn(model, ctx, parts, 1);
}

static gm_status dbn_two(gm_model **model, gm_context *ctx, maker_parts *parts)
{
    return make_dbn(model, ctx, parts, 2);
}

/* sum over h of p(x | h) p(h): the second machine's marginal, and the first one's way down. */
static gm_status dbn_truth(gm_model *model, const float *rows, const int64_t *labels, int64_t count,
                           double *log_p)
{
    enum { H = 1 << 3 };
    gm_dbn *net_of_two = gm_dbn_from_model(model);
    gm_rbm *first = gm_dbn_layer(net_of_two, 1), *second = gm_dbn_layer(net_of_two, 2);
    const float *w = gm_param_value(gm_rbm_weight(first));
    const float *b = gm_param_value(gm_rbm_visible_bias(first));
    float h[H * 3];
    double energy[H], log_z;
    gm_status status;
    (void)labels;
    for (int s = 0; s < H; s++)
        for (int j = 0; j < 3; j++) h[s * 3 + j] = (float)(s >> j & 1);
    TRY(gm_rbm_log_z(&log_z, second));
    TRY(gm_rbm_free_energy(second, h, H, energy));
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int s = 0; s < H; s++) {
            double log_joint = -energy[s] - log_z;
            for (int c = 0; c < MAKER_BITS; c++) {
                double a = (double)b[c];
                for (int j = 0; j < 3; j++)
                    a += (double)h[s * 3 + j] * (double)w[j * MAKER_BITS + c];
                log_joint -= log1p(exp(rows[i * MAKER_BITS + c] > 0.5f ? -a : a));
            }
            sum += exp(log_joint);
        }
        log_p[i] = log(sum);
    }
out:
    return status;
}

#define NONE (-1)
const maker makers[] = {
    { "generator", "generator", generator, 0, NONE, NULL },
    { "generator", "generator, labels", generator_labels, MAKER_CLASSES, NONE, NULL },
    { "vae", "vae", vae, 0, GM_LIKELIHOOD_IMPORTANCE, vae_truth },
    { "vae", "vae, labels", vae_labels, MAKER_CLASSES, GM_LIKELIHOOD_IMPORTANCE, vae_truth },
    { "gan", "gan", gan, 0, NONE, NULL },
    { "gan", "gan, labels", gan_labels, MAKER_CLASSES, NONE, NULL },
    { "autoencoder", "autoencoder", autoencoder, 0, NONE, NULL },
    { "gmmn", "gmmn", gmmn, 0, NONE, NULL },
    { "linear_ar", "linear_ar", linear_ar, 0, GM_LIKELIHOOD_EXACT, NULL },
    { "neural_ar", "neural_ar", neural_ar, 0, GM_LIKELIHOOD_EXACT, NULL },
    { "made", "made", made, 0, GM_LIKELIHOOD_EXACT, NULL },
    { "nade", "nade", nade, 0, GM_LIKELIHOOD_EXACT, NULL },
    { "nade", "nade, any order", nade_any_order, 0, GM_LIKELIHOOD_EXACT, NULL },
    { "pixelcnn", "pixelcnn", pixelcnn, 0, GM_LIKELIHOOD_EXACT, NULL },
    { "pixelcnn", "pixelcnn, labels", pixelcnn_labels, MAKER_CLASSES, GM_LIKELIHOOD_EXACT, NULL },
    { "pixelcnn", "pixelcnn, gated, labels", pixelcnn_gated_labels, MAKER_CLASSES,
      GM_LIKELIHOOD_EXACT, NULL },
    { "sbn", "sbn", sbn, 0, GM_LIKELIHOOD_IMPORTANCE, sbn_truth },
    { "sbn", "sbn, chains", sbn_chains, 0, GM_LIKELIHOOD_EXACT, sbn_truth },
    { "rbm", "rbm", rbm, 0, GM_LIKELIHOOD_EXACT, NULL },
    { "rbm", "rbm, annealed", rbm_annealed, 0, GM_LIKELIHOOD_ANNEALED, rbm_annealed_truth },
    { "dbn", "dbn of one machine", dbn, 0, GM_LIKELIHOOD_EXACT, NULL },
    { "dbn", "dbn", dbn_two, 0, GM_LIKELIHOOD_IMPORTANCE, dbn_truth },
};
const int maker_count = (int)(sizeof makers / sizeof *makers);
