/* test_gan_images.c - gm/gan.h with convolutions and normalisation (Radford, Metz and Chintala
 * 2016; Miyato et al. 2018): what the layers keep beside their weights goes the same way for any
 * threads, through evaluation, and through files. */
#include "gans.h"

#define N 12
#define SIDE 4
#define ROW (SIDE * SIDE)
#define CLASSES 2

#define SPECTRAL                                                                                   \
    0 /* D with spectral norm: data and samples go through it apart, and a step of its power       \
         method each */
#define BATCH 1 /* D with batch norm */
#define KINDS 2

static gm_gan *make(gm_context *ctx, int kind)
{
    static const int64_t seed[3] = { 4, 2, 2 };
    gm_layer *net = nets_mlp(ctx, 3 + CLASSES, 0, 16), *d = NULL, *conv = NULL, *normed = NULL;
    gm_generator *g = NULL;
    gm_gan *gan = NULL;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_conv_options c = GM_CONV_OPTIONS_INIT;
    support_ok(ctx, gm_sequence_add_reshape(net, 3, seed));
    support_ok(ctx, gm_sequence_add_batch_norm(net, 4));
    support_ok(ctx, gm_sequence_add_relu(net));
    support_ok(ctx, gm_sequence_add_conv_transpose2d(net, 4, 1, 2, 2, 0));
    support_ok(ctx, gm_sequence_add_tanh(net));
    c.stride_h = c.stride_w = 2;
    support_ok(ctx, gm_conv2d_create(&conv, ctx, 1 + CLASSES, 4, 2, 2, &c));
    support_ok(ctx, gm_spectral_norm_create(&normed, ctx, conv, NULL));
    support_ok(ctx, gm_sequence_create(&d, ctx));
    support_ok(ctx, gm_sequence_add(d, kind == SPECTRAL ? normed : conv));
    if (kind == BATCH) support_ok(ctx, gm_sequence_add_batch_norm(d, 4));
    support_ok(ctx, gm_sequence_add_leaky_relu(d, 0.25));
    support_ok(ctx, gm_sequence_add_flatten(d));
    support_ok(ctx, gm_sequence_add_linear(d, 16, 1));
    head.latent = 3, head.labels = CLASSES, head.output = GM_OUTPUT_DIRECT;
    o.loss = kind == SPECTRAL ? GM_GAN_HINGE : GM_GAN_NON_SATURATING;
    o.average = 0.75;
    support_ok(ctx, gm_generator_create(&g, ctx, net, &head));
    support_ok(ctx, gm_gan_create(&gan, ctx, g, d, &o));
    gm_generator_release(g);
    gm_layer *layers[] = { net, d, conv, normed };
    for (int i = 0; i < 4; i++) gm_layer_release(layers[i]);
    return gan;
}

static float x[N * ROW], kinds[N];

static void fill(void)
{
    for (int i = 0; i < N * ROW; i++)
        x[i] = (float)(i * 7 % 11) / 8 - 0.5f + (float)(i / ROW % 2) / 4;
    for (int i = 0; i < N; i++) kinds[i] = (float)(i % CLASSES);
}

static void steps(gm_context *ctx, gm_model *model, int64_t n)
{
    int64_t labels[N];
    for (int i = 0; i < N; i++) labels[i] = i % CLASSES;
    support_ok(ctx, gm_model_set_labels(model, labels, N));
    for (int64_t i = 0; i < n; i++) support_ok(ctx, gm_model_step(model, x, N, NULL, 0, NULL));
}

/* Parameters and state of both players. */
static void same_all(gm_gan *a, gm_gan *b)
{
    gm_layer *la[2] = { gm_gan_discriminator(a), gm_generator_net(gm_gan_generator(a)) };
    gm_layer *lb[2] = { gm_gan_discriminator(b), gm_generator_net(gm_gan_generator(b)) };
    gans_same(a, b);
    for (int k = 0; k < 2; k++) {
        int64_t n, m;
        float *p = gans_bytes(gm_layer_state(la[k]), &n),
              *q = gans_bytes(gm_layer_state(lb[k]), &m);
        ck_assert(n == m && n > 0);
        ck_assert_mem_eq(p, q, (size_t)n * sizeof *p);
        free(p);
        free(q);
    }
}

START_TEST(same_bytes_and_files)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    fill();
    for (int kind = 0; kind < KINDS; kind++) {
        gm_context *ctx[3];
        gm_gan *gan[3];
        gm_model *rest = NULL, *plain = NULL;
        for (int k = 0; k < 3; k++) {
            ctx[k] = support_context(71, k + 1);
            gan[k] = make(ctx[k], kind);
            steps(ctx[k], gm_gan_model(gan[k]), 4);
            if (k == 1) { /* an evaluation in between changes nothing */
                gm_dataset *data = gans_dataset(ctx[k], N, ROW, x, kinds);
                support_ok(ctx[k], gm_model_evaluate(gm_gan_model(gan[k]), data,
                                                     support_batches(5, 0), NULL, 0, NULL));
                same_all(gan[0], gan[1]);
                gm_dataset_release(data);
            }
            if (k == 0) support_ok(ctx[k], gm_model_save_checkpoint(gm_gan_model(gan[k]), path));
        }
        same_all(gan[0], gan[1]);
        same_all(gan[0], gan[2]);
        support_ok(ctx[2], gm_model_load(&rest, ctx[2], path));
        same_all(gan[0], gm_gan_from_model(rest));
        steps(ctx[0], gm_gan_model(gan[0]), 4);
        steps(ctx[1], gm_gan_model(gan[1]), 4);
        steps(ctx[2], rest, 4);
        same_all(gan[0], gan[1]);
        same_all(gan[0], gm_gan_from_model(rest));
        gans_same_samples(ctx[0], gm_gan_model(gan[0]), ctx[2], rest, N);
        support_ok(ctx[0], gm_model_save(gm_gan_model(gan[0]), path));
        support_ok(ctx[1], gm_model_load(&plain, ctx[1], path));
        steps(ctx[1], plain, 0); /* labels */
        gans_same_samples(ctx[0], gm_gan_model(gan[0]), ctx[1], plain, N);
        gm_model_release(plain);
        gm_model_release(rest);
        for (int k = 0; k < 3; k++) {
            gm_gan_release(gan[k]);
            gm_context_release(ctx[k]);
        }
    }
    support_folder_remove(folder);
}
END_TEST

START_TEST(no_allocation_in_a_step)
{
    fill();
    for (int kind = 0; kind < KINDS; kind++) {
        gm_context *ctx = support_context(72, 2);
        gm_gan *gan = make(ctx, kind);
        gm_memory_counters before, after;
        for (int i = 0; i < 2; i++) {
            gm_context_memory(&before, ctx);
            steps(ctx, gm_gan_model(gan), 2);
            gm_context_memory(&after, ctx);
        }
        ck_assert_uint_eq(before.allocations, after.allocations);
        gm_gan_release(gan);
        gm_context_release(ctx);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("gan: images");
    TCase *t = tcase_create("images");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, same_bytes_and_files);
    tcase_add_test(t, no_allocation_in_a_step);
    suite_add_tcase(s, t);
    return s;
}
