/* nets.h - small networks, models and data for the suites of the families. */
#ifndef GM_TESTS_NETS_H
#define GM_TESTS_NETS_H

#include "gm/gm.h"
#include "support.h"

static inline gm_layer *nets_mlp(gm_context *ctx, int64_t in, int64_t hidden, int64_t out)
{
    gm_layer *net = NULL;
    support_ok(ctx, gm_sequence_create(&net, ctx));
    if (hidden) {
        support_ok(ctx, gm_sequence_add_linear(net, in, hidden));
        support_ok(ctx, gm_sequence_add_tanh(net));
        in = hidden;
    }
    support_ok(ctx, gm_sequence_add_linear(net, in, out));
    return net;
}

static inline gm_generator *nets_generator(gm_context *ctx, int64_t latent, int64_t hidden,
                                           int64_t outputs, gm_generator_options head)
{
    gm_layer *net = nets_mlp(ctx, latent + head.labels, hidden, outputs);
    gm_generator *g = NULL;
    head.latent = latent;
    support_ok(ctx, gm_generator_create(&g, ctx, net, &head));
    gm_layer_release(net);
    return g;
}

/* A VAE with one hidden layer (none if hidden is 0) on either side. */
static inline gm_vae *nets_vae(gm_context *ctx, int64_t row, int64_t hidden, int64_t latent,
                               gm_generator_options head, const gm_vae_options *options)
{
    gm_layer *encoder = nets_mlp(ctx, row + head.labels, hidden, 2 * latent);
    int64_t outputs = row;
    if (head.output == GM_OUTPUT_CATEGORICAL) outputs *= head.classes;
    if (head.output == GM_OUTPUT_GAUSSIAN && head.learn_variance) outputs *= 2;
    gm_generator *decoder = nets_generator(ctx, latent, hidden, outputs, head);
    gm_vae *vae = NULL;
    support_ok(ctx, gm_vae_create(&vae, ctx, encoder, decoder, options));
    gm_generator_release(decoder);
    gm_layer_release(encoder);
    return vae;
}

/* rows of `size` bits: two noisy patterns. */
static inline gm_dataset *nets_bits(gm_context *ctx, int64_t rows, int64_t size)
{
    gm_rng *rng = NULL;
    gm_dataset *data = NULL;
    int64_t shape[2] = { rows, size };
    float *values = malloc((size_t)(rows * size) * sizeof *values);
    ck_assert_ptr_nonnull(values);
    support_ok(ctx, gm_rng_create(&rng, ctx, 99));
    for (int64_t r = 0; r < rows; r++) {
        int64_t kind = gm_rng_below(rng, 2);
        for (int64_t c = 0; c < size; c++)
            values[r * size + c] = (float)((c % 2 == kind) != (gm_rng_double(rng) < 0.1));
    }
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, values));
    free(values);
    gm_rng_release(rng);
    return data;
}

static inline double nets_metric(const gm_metric *m, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(m[i].name, name)) return m[i].value;
    ck_abort_msg("no metric %s", name);
    return 0;
}

/* All parameters in one array, for comparing bytes. Free it. */
static inline float *nets_weights(gm_model *model, int64_t *count)
{
    *count = gm_params_elements(gm_model_params(model));
    float *w = malloc((size_t)*count * sizeof *w);
    ck_assert_ptr_nonnull(w);
    ck_assert_int_eq(gm_params_read(gm_model_params(model), *count, w), GM_OK);
    return w;
}

static inline void nets_same_weights(gm_model *a, gm_model *b)
{
    int64_t count, other;
    float *x = nets_weights(a, &count), *y = nets_weights(b, &other);
    ck_assert_int_eq(count, other);
    ck_assert_mem_eq(x, y, (size_t)count * sizeof *x);
    free(x);
    free(y);
}

#endif
