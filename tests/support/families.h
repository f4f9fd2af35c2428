/* families.h - a model of every family, in the size that a test wants. */
#ifndef GM_TESTS_FAMILIES_H
#define GM_TESTS_FAMILIES_H

#include "nets.h"

typedef struct family_size {
    int64_t columns, hidden, codes;
} family_size;

/* Its parts are released with it. */
typedef gm_model *(*family_fn)(gm_context *ctx, const family_size *size);

static inline gm_model *family_generator(gm_context *ctx, const family_size *size)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    head.output = GM_OUTPUT_BERNOULLI;
    return gm_generator_model(
        nets_generator(ctx, size->columns, size->hidden, size->columns, head));
}

static inline gm_model *family_vae(gm_context *ctx, const family_size *size)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    head.output = GM_OUTPUT_BERNOULLI;
    o.log_prob_samples = 2;
    return gm_vae_model(nets_vae(ctx, size->columns, size->hidden, size->codes, head, &o));
}

static inline gm_model *family_gan(gm_context *ctx, const family_size *size)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_gan *gan = NULL;
    head.output = GM_OUTPUT_DIRECT;
    gm_generator *g = nets_generator(ctx, size->columns, size->hidden, size->columns, head);
    gm_layer *discriminator = nets_mlp(ctx, size->columns, size->hidden, 1);
    support_ok(ctx, gm_gan_create(&gan, ctx, g, discriminator, NULL));
    gm_layer_release(discriminator);
    gm_generator_release(g);
    return gm_gan_model(gan);
}

static inline gm_autoencoder *family_codes(gm_context *ctx, const family_size *size)
{
    gm_autoencoder *net = NULL;
    gm_layer *encoder = nets_mlp(ctx, size->columns, size->hidden, size->codes);
    gm_layer *decoder = nets_mlp(ctx, size->codes, size->hidden, size->columns);
    support_ok(ctx, gm_autoencoder_create(&net, ctx, size->columns, encoder, decoder, NULL));
    gm_layer_release(encoder);
    gm_layer_release(decoder);
    return net;
}

static inline gm_model *family_autoencoder(gm_context *ctx, const family_size *size)
{
    return gm_autoencoder_model(family_codes(ctx, size));
}

static inline gm_model *family_gmmn(gm_context *ctx, const family_size *size)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    gm_gmmn *gmmn = NULL;
    head.output = GM_OUTPUT_DIRECT;
    o.autoencoder = family_codes(ctx, size);
    gm_generator *g = nets_generator(ctx, size->codes, size->hidden, size->codes, head);
    support_ok(ctx, gm_gmmn_create(&gmmn, ctx, g, &o));
    gm_generator_release(g);
    gm_autoencoder_release(o.autoencoder);
    return gm_gmmn_model(gmmn);
}

static inline gm_model *family_linear_ar(gm_context *ctx, const family_size *size)
{
    gm_linear_ar *ar = NULL;
    support_ok(ctx, gm_linear_ar_create(&ar, ctx, 2 * size->columns, NULL));
    return gm_linear_ar_model(ar);
}

static inline gm_model *family_neural_ar(gm_context *ctx, const family_size *size)
{
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    gm_neural_ar *ar = NULL;
    o.hidden = 8;
    support_ok(ctx, gm_neural_ar_create(&ar, ctx, size->columns, &o));
    return gm_neural_ar_model(ar);
}

static inline gm_model *family_made(gm_context *ctx, const family_size *size)
{
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    gm_made *made = NULL;
    o.hidden = &size->hidden;
    o.layers = 1;
    support_ok(ctx, gm_made_create(&made, ctx, size->columns, &o));
    return gm_made_model(made);
}

static inline gm_model *family_nade(gm_context *ctx, const family_size *size)
{
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    gm_nade *nade = NULL;
    o.hidden = size->hidden;
    support_ok(ctx, gm_nade_create(&nade, ctx, size->columns, &o));
    return gm_nade_model(nade);
}

static inline gm_model *family_pixelcnn(gm_context *ctx, const family_size *size)
{
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *net = NULL;
    o.hidden = size->hidden / 4 + 1;
    o.blocks = 8;
    o.head = size->hidden;
    support_ok(ctx, gm_pixelcnn_create(&net, ctx, 2, 3, &o));
    return gm_pixelcnn_model(net);
}

static inline gm_model *family_sbn(gm_context *ctx, const family_size *size)
{
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    const int64_t units[2] = { size->hidden, size->hidden / 2 };
    o.layer_count = 2;
    o.layers = units;
    o.log_prob_samples = 2;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, size->columns, &o));
    return gm_sbn_model(sbn);
}

static inline gm_model *family_rbm(gm_context *ctx, const family_size *size)
{
    gm_rbm *rbm = NULL;
    support_ok(ctx, gm_rbm_create(&rbm, ctx, size->columns, size->hidden, NULL));
    gm_rbm_set_log_z(rbm, 100, 0.1);
    return gm_rbm_model(rbm);
}

static inline gm_model *family_dbn(gm_context *ctx, const family_size *size)
{
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    const int64_t units[2] = { size->hidden, size->hidden / 2 };
    o.layer_count = 2;
    o.layers = units;
    o.log_prob_samples = 2;
    support_ok(ctx, gm_dbn_create(&dbn, ctx, size->columns, &o));
    support_ok(ctx, gm_dbn_grow(dbn, NULL));
    gm_rbm_set_log_z(gm_dbn_layer(dbn, 2), 100, 0.1);
    return gm_dbn_model(dbn);
}

static const struct {
    const char *name;
    family_fn make;
} families[] = {
    { "generator", family_generator },
    { "vae", family_vae },
    { "gan", family_gan },
    { "autoencoder", family_autoencoder },
    { "gmmn", family_gmmn },
    { "linear_ar", family_linear_ar },
    { "neural_ar", family_neural_ar },
    { "made", family_made },
    { "nade", family_nade },
    { "pixelcnn", family_pixelcnn },
    { "sbn", family_sbn },
    { "rbm", family_rbm },
    { "dbn", family_dbn },
};
#define FAMILY_COUNT ((int)(sizeof families / sizeof *families))

static inline gm_model *family_make(gm_context *ctx, int which, const family_size *size)
{
    gm_model *model = families[which].make(ctx, size);
    ck_assert_str_eq(gm_model_family(model), families[which].name);
    return model;
}

#endif
