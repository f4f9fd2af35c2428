/* gans.h - small games and their data, for the suites of the GAN. */
#ifndef GM_TESTS_GANS_H
#define GM_TESTS_GANS_H

#include "nets.h"

/* Sizes of the nets: a hidden layer of 0 units is none. */
typedef struct gans_sizes {
    int64_t latent, g_hidden, row, d_hidden, labels;
} gans_sizes;

static inline gm_gan *gans_from(gm_context *ctx, gans_sizes n, gm_layer *discriminator,
                                const gm_gan_options *options)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    head.output = GM_OUTPUT_DIRECT;
    head.labels = n.labels;
    gm_generator *g = nets_generator(ctx, n.latent, n.g_hidden, n.row, head);
    gm_gan *gan = NULL;
    support_ok(ctx, gm_gan_create(&gan, ctx, g, discriminator, options));
    gm_generator_release(g);
    return gan;
}

static inline gm_gan *gans_make(gm_context *ctx, gans_sizes n, const gm_gan_options *options)
{
    gm_layer *d = nets_mlp(ctx, n.row + n.labels, n.d_hidden, 1);
    gm_gan *gan = gans_from(ctx, n, d, options);
    gm_layer_release(d);
    return gan;
}

static inline gm_optimizer *gans_sgd(gm_context *ctx, double rate)
{
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    gm_optimizer *sgd = NULL;
    o.rate = rate;
    support_ok(ctx, gm_sgd_create(&sgd, ctx, &o));
    return sgd;
}

/* A game whose players go down their gradients with these rates. */
static inline gm_gan *gans_with_sgd(gm_context *ctx, gans_sizes n, gm_gan_options o, double g_rate,
                                    double d_rate)
{
    o.generator_optimizer = gans_sgd(ctx, g_rate);
    o.discriminator_optimizer = gans_sgd(ctx, d_rate);
    gm_gan *gan = gans_make(ctx, n, &o);
    gm_optimizer_release(o.generator_optimizer);
    gm_optimizer_release(o.discriminator_optimizer);
    return gan;
}

static inline gm_gan *gans_with_adam(gm_context *ctx, gans_sizes n, gm_gan_options o, double rate)
{
    gm_adam_options a = GM_ADAM_OPTIONS_INIT;
    a.rate = rate;
    a.beta1 = 0.5;
    support_ok(ctx, gm_adam_create(&o.generator_optimizer, ctx, &a));
    support_ok(ctx, gm_adam_create(&o.discriminator_optimizer, ctx, &a));
    gm_gan *gan = gans_make(ctx, n, &o);
    gm_optimizer_release(o.generator_optimizer);
    gm_optimizer_release(o.discriminator_optimizer);
    return gan;
}

static inline float *gans_param(gm_gan *gan, const char *name)
{
    gm_param *p = gm_params_find(gm_model_params(gm_gan_model(gan)), name);
    ck_assert_msg(p != NULL, "no parameter %s", name);
    return gm_param_value(p);
}

/* All of one player's parameters. Free it. */
static inline float *gans_bytes(const gm_params *params, int64_t *count)
{
    *count = gm_params_elements(params);
    float *w = malloc((size_t)*count * sizeof *w);
    ck_assert_ptr_nonnull(w);
    ck_assert_int_eq(gm_params_read(params, *count, w), GM_OK);
    return w;
}

/* Copies of both players, to see who moved. */
typedef struct gans_players {
    float *g, *d;
    int64_t ng, nd;
} gans_players;

static inline gans_players gans_look(gm_gan *gan)
{
    gans_players p;
    p.g = gans_bytes(gm_generator_params(gm_gan_generator(gan)), &p.ng);
    p.d = gans_bytes(gm_layer_params(gm_gan_discriminator(gan)), &p.nd);
    return p;
}

static inline void gans_forget(gans_players *p)
{
    free(p->g);
    free(p->d);
}

#define GANS_G 1
#define GANS_D 2

/* Which of the players have other bytes than then. */
static inline int gans_moved(gm_gan *gan, const gans_players *then)
{
    gans_players now = gans_look(gan);
    int moved = 0;
    ck_assert(now.ng == then->ng && now.nd == then->nd);
    if (memcmp(now.g, then->g, (size_t)now.ng * sizeof *now.g)) moved |= GANS_G;
    if (memcmp(now.d, then->d, (size_t)now.nd * sizeof *now.d)) moved |= GANS_D;
    gans_forget(&now);
    return moved;
}

static inline void gans_same(gm_gan *a, gm_gan *b)
{
    gans_players p = gans_look(a);
    ck_assert_int_eq(gans_moved(b, &p), 0);
    gans_forget(&p);
}

/* rows of N(mean, deviation^2 I); free them. */
static inline float *gans_normal(gm_context *ctx, int64_t rows, int64_t size, const float *mean,
                                 double deviation)
{
    gm_rng *rng = NULL;
    float *x = malloc((size_t)(rows * size) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    support_ok(ctx, gm_rng_create(&rng, ctx, 77));
    support_ok(ctx, gm_rng_normal(rng, rows * size, 0, deviation, x));
    for (int64_t i = 0; i < rows * size; i++) x[i] += mean[i % size];
    gm_rng_release(rng);
    return x;
}

static inline gm_dataset *gans_dataset(gm_context *ctx, int64_t rows, int64_t size, const float *x,
                                       const float *labels)
{
    gm_dataset *data = NULL, *of = NULL;
    int64_t shape[2] = { rows, size }, one[2] = { rows, 1 };
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, x));
    if (!labels) return data;
    support_ok(ctx, gm_dataset_from_memory(&of, ctx, 2, one, labels));
    support_ok(ctx, gm_dataset_attach_labels(data, of));
    gm_dataset_release(of);
    return data;
}

/* Means over n samples of `row` values each; labels as they are set. */
static inline void gans_mean(gm_context *ctx, gm_gan *gan, int64_t n, double *mean)
{
    gm_tensor *t = NULL;
    int64_t row = gm_model_row_size(gm_gan_model(gan));
    support_ok(ctx, gm_model_sample(&t, gm_gan_model(gan), n));
    for (int64_t c = 0; c < row; c++) {
        mean[c] = 0;
        for (int64_t i = 0; i < n; i++)
            mean[c] += (double)gm_tensor_read(t)[i * row + c] / (double)n;
    }
    gm_tensor_release(t);
}

static inline void gans_same_samples(gm_context *ctx, gm_model *a, gm_context *other, gm_model *b,
                                     int64_t n)
{
    gm_tensor *x = NULL, *y = NULL;
    gm_model_seed(a, 5);
    gm_model_seed(b, 5);
    support_ok(ctx, gm_model_sample(&x, a, n));
    support_ok(other, gm_model_sample(&y, b, n));
    ck_assert_mem_eq(gm_tensor_read(x), gm_tensor_read(y),
                     (size_t)(n * gm_model_row_size(a)) * sizeof(float));
    gm_tensor_release(x);
    gm_tensor_release(y);
}

#endif
