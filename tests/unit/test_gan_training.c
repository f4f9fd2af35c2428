/* test_gan_training.c - gm/gan.h: what a GAN learns, averages, files, resuming, threads, memory. */
#include "gans.h"

#define N 64
static const float centre[2] = { 2, -1 };

/* Batches of 64 out of the rows, round and round. */
static void train(gm_context *ctx, gm_gan *gan, const float *x, int64_t rows, int64_t steps)
{
    int64_t row = gm_model_row_size(gm_gan_model(gan));
    for (int64_t i = 0; i < steps; i++)
        support_ok(ctx, gm_model_step(gm_gan_model(gan), x + i * N % rows * row, N, NULL, 0, NULL));
}

START_TEST(every_loss_learns_the_mean)
{
    gm_context *ctx = support_context(41, 1);
    float *x = gans_normal(ctx, 1024, 2, centre, 0.5);
    for (int32_t loss = GM_GAN_MINIMAX; loss <= GM_GAN_WASSERSTEIN; loss++) {
        gm_gan_options o = GM_GAN_OPTIONS_INIT;
        double start[2], mean[2];
        o.loss = loss;
        o.average = 0.99; /* the players circle around the answer; their average comes to rest */
        if (loss == GM_GAN_WASSERSTEIN) o.weight_clip = 0.25;
        gm_gan *gan = gans_with_adam(ctx, (gans_sizes){ 2, 0, 2, 16, 0 }, o, 0.005);
        gans_mean(ctx, gan, 1000, start);
        ck_assert(fabs(start[0] - 2) > 0.5 && fabs(start[1] + 1) > 0.2);
        train(ctx, gan, x, 1024, 2000);
        gans_mean(ctx, gan, 1000, mean);
        ck_assert_msg(fabs(mean[0] - 2) < 0.3 && fabs(mean[1] + 1) < 0.3, "loss %d: (%g, %g)",
                      (int)loss, mean[0], mean[1]);
        gm_gan_release(gan);
    }
    free(x);
    gm_context_release(ctx);
}
END_TEST

START_TEST(penalties_hold_the_slope)
{
    gm_context *ctx = support_context(42, 1);
    float *x = gans_normal(ctx, 1024, 2, centre, 0.5);
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    double norm = 0, mean[2];
    o.loss = GM_GAN_WASSERSTEIN;
    o.penalty = GM_PENALTY_GRADIENT;
    gm_gan *gan = gans_with_adam(ctx, (gans_sizes){ 2, 0, 2, 16, 0 }, o, 0.002);
    train(ctx, gan, x, 1024, 800);
    for (int i = 0; i < 50; i++) {
        support_ok(ctx, gm_model_step(gm_gan_model(gan), x, N, m, GM_MAX_METRICS, &count));
        norm += nets_metric(m, count, "penalty_norm") / 50;
    }
    ck_assert_msg(fabs(norm - 1) < 0.2, "WGAN-GP: mean norm %g", norm);
    gans_mean(ctx, gan, 1000, mean);
    ck_assert_msg(hypot(mean[0] - 2, mean[1] + 1) < 1, "WGAN-GP: (%g, %g)", mean[0], mean[1]);
    gm_gan_release(gan);
    /* R1 asks for no slope at all at the data. */
    double with[2] = { 0, 0 };
    for (int k = 0; k < 2; k++) {
        gm_gan_options r = GM_GAN_OPTIONS_INIT;
        r.penalty = GM_PENALTY_R1;
        r.penalty_weight = k ? 100 : 1e-6;
        gan = gans_with_adam(ctx, (gans_sizes){ 2, 0, 2, 16, 0 }, r, 0.002);
        train(ctx, gan, x, 1024, 300);
        for (int i = 0; i < 50; i++) {
            support_ok(ctx, gm_model_step(gm_gan_model(gan), x, N, m, GM_MAX_METRICS, &count));
            with[k] += nets_metric(m, count, "penalty_norm") / 50;
        }
        gm_gan_release(gan);
    }
    ck_assert_msg(with[1] < with[0] / 2, "R1: norms %g, and %g with the penalty", with[0], with[1]);
    free(x);
    gm_context_release(ctx);
}
END_TEST

/* Rows of class k lie around 4 k - 2. */
static gm_dataset *two_classes(gm_context *ctx)
{
    const float zero[1] = { 0 };
    float *x = gans_normal(ctx, 512, 1, zero, 0.25), labels[512];
    for (int i = 0; i < 512; i++) {
        labels[i] = (float)(i % 2);
        x[i] += i % 2 ? 2 : -2;
    }
    gm_dataset *data = gans_dataset(ctx, 512, 1, x, labels);
    free(x);
    return data;
}

START_TEST(labels_choose_the_place)
{
    gm_context *ctx = support_context(43, 1);
    gm_dataset *data = two_classes(ctx);
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_tensor *t = NULL;
    int64_t each[200];
    double mean;
    o.average = 0.99;
    gm_gan *gan = gans_with_adam(ctx, (gans_sizes){ 2, 8, 1, 16, 2 }, o, 0.005);
    gm_model *model = gm_gan_model(gan);
    ck_assert_int_eq(gm_model_labels(model), 2);
    fit.epochs = 150;
    fit.batch = N;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    for (int64_t k = 0; k < 2; k++) { /* one label for all */
        support_ok(ctx, gm_model_set_labels(model, &k, 1));
        gans_mean(ctx, gan, 1000, &mean);
        ck_assert_msg(fabs(mean - (k ? 2 : -2)) < 0.5, "class %d: %g", (int)k, mean);
    }
    for (int i = 0; i < 200; i++) each[i] = i / 100;
    support_ok(ctx, gm_model_set_labels(model, each, 200)); /* one for each */
    support_ok(ctx, gm_model_sample(&t, model, 200));
    for (int k = 0; k < 2; k++) {
        mean = 0;
        for (int i = 0; i < 100; i++) mean += (double)gm_tensor_read(t)[100 * k + i] / 100;
        ck_assert_msg(fabs(mean - (k ? 2 : -2)) < 0.5, "class %d of both: %g", k, mean);
    }
    gm_tensor_release(t);
    gm_gan_release(gan);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

START_TEST(averages_make_the_samples)
{
    gm_context *ctx = support_context(44, 1);
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    float *x = gans_normal(ctx, N, 2, centre, 0.5);
    for (int averaged = 0; averaged < 2; averaged++) {
        gm_gan_options o = GM_GAN_OPTIONS_INIT;
        o.average = averaged ? 0.75 : 0;
        gm_gan *gan = gans_with_sgd(ctx, (gans_sizes){ 2, 4, 2, 8, 0 }, o, 0.5, 0.5);
        gm_model *model = gm_gan_model(gan), *loaded = NULL;
        gm_model *raw = gm_generator_model(gm_gan_generator(gan));
        gans_players first = gans_look(gan);
        support_ok(ctx, gm_model_step(model, x, N, NULL, 0, NULL));
        gans_players second = gans_look(gan);
        gm_tensor *a = NULL, *b = NULL;
        gm_model_seed(model, 5);
        gm_model_seed(raw, 5);
        support_ok(ctx, gm_model_sample(&a, model, 9));
        support_ok(ctx, gm_model_sample(&b, raw, 9));
        ck_assert_int_eq(!memcmp(gm_tensor_read(a), gm_tensor_read(b), 18 * sizeof(float)),
                         !averaged);
        ck_assert_int_eq(gans_moved(gan, &second), 0); /* sampling puts the weights back */
        /* The file has what samples. */
        support_ok(ctx, gm_model_save(model, path));
        ck_assert_int_eq(gans_moved(gan, &second), 0);
        support_ok(ctx, gm_model_load(&loaded, ctx, path));
        gans_same_samples(ctx, model, ctx, loaded, 9);
        gans_players filed = gans_look(gm_gan_from_model(loaded));
        for (int64_t i = 0; i < filed.ng; i++) {
            double want = averaged ? 0.75 * (double)first.g[i] + 0.25 * (double)second.g[i]
                                   : (double)second.g[i];
            ck_assert_double_eq_tol((double)filed.g[i], want, 1e-6);
        }
        ck_assert_mem_eq(filed.d, second.d, (size_t)filed.nd * sizeof *filed.d);
        if (averaged) { /* the host may have them in; then samples and files are the same, but
                           nobody moves */
            gm_optimizer *of_g = gm_gan_generator_optimizer(gan);
            support_ok(ctx, gm_optimizer_swap_average(of_g));
            gans_players in = gans_look(gan);
            gans_same_samples(ctx, model, ctx, loaded, 9);
            support_ok(ctx, gm_model_save(model, path));
            ck_assert_int_eq(gans_moved(gan, &in), 0);
            support_fails(ctx, gm_model_save_checkpoint(model, path), GM_E_STATE, "swapped in");
            support_fails(ctx, gm_model_step(model, x, N, NULL, 0, NULL), GM_E_STATE, "swapped in");
            ck_assert_int_eq(gans_moved(gan, &in), 0);
            gans_forget(&in);
            gm_model_release(loaded);
            support_ok(ctx, gm_model_load(&loaded, ctx, path));
            gans_same_samples(ctx, model, ctx, loaded, 9);
            support_ok(ctx, gm_optimizer_swap_average(of_g));
            ck_assert_int_eq(gans_moved(gan, &second), 0);
        }
        gans_forget(&filed);
        gans_forget(&second);
        gans_forget(&first);
        gm_tensor_release(a);
        gm_tensor_release(b);
        gm_model_release(loaded);
        gm_gan_release(gan);
    }
    free(x);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

/* Games with everything on, in turn. */
static gm_gan_options rich(int kind)
{
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    o.discriminator_steps = 2;
    o.average = 0.9;
    o.noise = 0.25;
    o.noise_steps = 8;
    o.label_smoothing = 0.125;
    o.penalty_weight = 2;
    if (kind == 1) o.loss = GM_GAN_LEAST_SQUARES, o.penalty = GM_PENALTY_R1;
    if (kind == 2) {
        o.loss = GM_GAN_WASSERSTEIN;
        o.penalty = GM_PENALTY_GRADIENT;
        o.label_smoothing = 0;
        o.weight_clip = 0.5;
    }
    return o;
}

static const gans_sizes rich_sizes = { 2, 6, 2, 8, 2 };

static gm_gan *make_rich(gm_context *ctx, int kind)
{
    int64_t labels[N];
    gm_gan *gan = gans_with_adam(ctx, rich_sizes, rich(kind), 0.01);
    for (int i = 0; i < N; i++) labels[i] = i % 2;
    support_ok(ctx, gm_model_set_labels(gm_gan_model(gan), labels, N));
    return gan;
}

static void steps(gm_context *ctx, gm_model *model, const float *x, int64_t n, gm_metric *m,
                  int32_t *count)
{
    for (int64_t i = 0; i < n; i++)
        support_ok(ctx, gm_model_step(model, x, N, m, GM_MAX_METRICS, count));
}

/* Five steps, a checkpoint, and five more: by the model itself, and by one made from the file in
 * another context, with more threads. All bytes, metrics and samples are the same. */
START_TEST(resume_bit_for_bit)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int kind = 0; kind < 3; kind++) {
        gm_context *ctx = support_context(45, 1), *other = support_context(1000, 2);
        float *x = gans_normal(ctx, N, 2, centre, 0.5);
        gm_gan *gan = make_rich(ctx, kind);
        gm_model *rest = NULL;
        gm_metric m[GM_MAX_METRICS], m2[GM_MAX_METRICS];
        int32_t count, count2;
        int64_t label = 1;
        steps(ctx, gm_gan_model(gan), x, 5, m, &count);
        support_ok(ctx, gm_model_save_checkpoint(gm_gan_model(gan), path));
        steps(ctx, gm_gan_model(gan), x, 5, m, &count);
        support_ok(other, gm_model_load(&rest, other, path));
        ck_assert_int_eq(gm_model_steps(rest), 5);
        ck_assert_int_eq(gm_model_labels(rest), 2);
        support_fails(other, gm_model_step(rest, x, N, NULL, 0, NULL), GM_E_STATE, "labels of 2");
        int64_t labels[N];
        for (int i = 0; i < N; i++) labels[i] = i % 2;
        support_ok(other, gm_model_set_labels(rest, labels, N));
        steps(other, rest, x, 5, m2, &count2);
        gans_same(gan, gm_gan_from_model(rest));
        ck_assert_int_eq(count, count2);
        for (int i = 0; i < count; i++) {
            ck_assert_str_eq(m[i].name, m2[i].name);
            ck_assert_msg(!memcmp(&m[i].value, &m2[i].value, sizeof(double)),
                          "kind %d, %s: %.17g, %.17g", kind, m[i].name, m[i].value, m2[i].value);
        }
        support_ok(ctx, gm_model_set_labels(gm_gan_model(gan), &label, 1));
        support_ok(other, gm_model_set_labels(rest, &label, 1));
        gans_same_samples(ctx, gm_gan_model(gan), other, rest, 700);
        ck_assert_int_eq(
            gm_optimizer_steps(gm_gan_discriminator_optimizer(gan)),
            gm_optimizer_steps(gm_gan_discriminator_optimizer(gm_gan_from_model(rest))));
        gm_model_release(rest);
        gm_gan_release(gan);
        free(x);
        gm_context_release(other);
        gm_context_release(ctx);
    }
    support_folder_remove(folder);
}
END_TEST

/* A file without training state samples the same and can be trained on; its options are those of
 * the model. */
START_TEST(files_round_trip)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(46, 1), *other = support_context(1000, 1);
    float *x = gans_normal(ctx, N, 2, centre, 0.5);
    gm_gan *gan = make_rich(ctx, 0);
    gm_model *loaded = NULL;
    int64_t labels[N], label = 0;
    steps(ctx, gm_gan_model(gan), x, 5, NULL, NULL);
    support_ok(ctx, gm_model_save(gm_gan_model(gan), path));
    support_ok(other, gm_model_load(&loaded, other, path));
    ck_assert_str_eq(gm_model_family(loaded), "gan");
    gm_gan *back = gm_gan_from_model(loaded);
    ck_assert_ptr_nonnull(back);
    ck_assert_ptr_null(gm_gan_from_model(gm_generator_model(gm_gan_generator(back))));
    ck_assert_int_eq(gm_model_steps(loaded), 5);
    support_ok(ctx, gm_model_set_labels(gm_gan_model(gan), &label, 1));
    support_ok(other, gm_model_set_labels(loaded, &label, 1));
    gans_same_samples(ctx, gm_gan_model(gan), other, loaded, 20);
    /* discriminator_steps came along: the sixth step moves both, the seventh D alone. */
    for (int i = 0; i < N; i++) labels[i] = i % 2;
    support_ok(other, gm_model_set_labels(loaded, labels, N));
    for (int step = 6; step <= 7; step++) {
        gans_players before = gans_look(back);
        steps(other, loaded, x, 1, NULL, NULL);
        ck_assert_int_eq(gans_moved(back, &before), step == 6 ? GANS_G | GANS_D : GANS_D);
        gans_forget(&before);
    }
    gm_model_release(loaded);
    gm_gan_release(gan);
    free(x);
    gm_context_release(other);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

START_TEST(same_bytes_for_any_threads)
{
    for (int kind = 0; kind < 3;
         kind++) { /* 0 goes through D in one pass, 1 does not, 2 asks for points between */
        gm_gan *gan[3];
        gm_context *ctx[3];
        int64_t label = 1;
        for (int k = 0; k < 3; k++) {
            ctx[k] = support_context(47, k + 1);
            float *x = gans_normal(ctx[k], N, 2, centre, 0.5);
            gan[k] = make_rich(ctx[k], kind);
            steps(ctx[k], gm_gan_model(gan[k]), x, 20, NULL, NULL);
            gans_same(gan[0], gan[k]);
            support_ok(ctx[k], gm_model_set_labels(gm_gan_model(gan[k]), &label, 1));
            if (k)
                gans_same_samples(ctx[0], gm_gan_model(gan[0]), ctx[k], gm_gan_model(gan[k]), 600);
            free(x);
        }
        for (int k = 0; k < 3; k++) {
            gm_gan_release(gan[k]);
            gm_context_release(ctx[k]);
        }
    }
}
END_TEST

START_TEST(no_allocation_in_a_step)
{
    for (int kind = 0; kind < 3; kind++) {
        gm_context *ctx = support_context(48, 2);
        float *x = gans_normal(ctx, N, 2, centre, 0.5);
        gm_gan *gan = make_rich(ctx, kind);
        gm_tensor *t = NULL;
        const int64_t shape[2] = { N, 2 };
        gm_memory_counters before, after;
        double values[N];
        support_ok(ctx, gm_tensor_create(&t, ctx, 2, shape));
        for (int i = 0; i < 2; i++) {
            gm_context_memory(&before, ctx);
            steps(ctx, gm_gan_model(gan), x, 2, NULL, NULL); /* with G's turn and without */
            support_ok(ctx, gm_model_sample_into(gm_gan_model(gan), gm_tensor_shape(t)[0], NULL,
                                                 gm_tensor_data(t)));
            support_ok(ctx, gm_gan_discriminate(gan, x, N, values));
            gm_context_memory(&after, ctx);
        }
        ck_assert_uint_eq(before.allocations, after.allocations);
        gm_tensor_release(t);
        gm_gan_release(gan);
        free(x);
        gm_context_release(ctx);
    }
}
END_TEST

/* Evaluating draws from a stream of its own, moves nobody, and leaves what training does next as it
 * was. */
START_TEST(evaluate_leaves_training_alone)
{
    gm_context *ctx[2] = { support_context(49, 1), support_context(49, 1) };
    gm_gan *gan[2];
    for (int k = 0; k < 2; k++) {
        float *x = gans_normal(ctx[k], N, 2, centre, 0.5), labels[N];
        for (int i = 0; i < N; i++) labels[i] = (float)(i % 2);
        gm_dataset *data = gans_dataset(ctx[k], N, 2, x, labels);
        gan[k] = make_rich(ctx[k], 2);
        steps(ctx[k], gm_gan_model(gan[k]), x, 3, NULL, NULL);
        if (k) {
            gm_metric m[2][GM_MAX_METRICS];
            int32_t count;
            gans_players before = gans_look(gan[k]);
            for (int i = 0; i < 2; i++)
                support_ok(ctx[k],
                           gm_model_evaluate(gm_gan_model(gan[k]), data, support_batches(20, 0),
                                             m[i], GM_MAX_METRICS, &count));
            ck_assert_int_eq(gans_moved(gan[k], &before), 0);
            ck_assert_int_eq(count, 5);
            static const char *const names[] = { "loss", "discriminator_loss", "d_data",
                                                 "d_samples", "diversity" };
            for (int i = 0; i < count; i++) {
                ck_assert_str_eq(m[0][i].name, names[i]);
                ck_assert(!memcmp(&m[0][i].value, &m[1][i].value, sizeof(double)));
            }
            /* Wasserstein, without noise and penalty: both are means of D, the data's by
             * gm_gan_discriminate. */
            int64_t classes[N];
            double of_data[N], mean = 0;
            for (int i = 0; i < N; i++) classes[i] = i % 2;
            support_ok(ctx[k], gm_model_set_labels(gm_gan_model(gan[k]), classes, N));
            support_ok(ctx[k], gm_gan_discriminate(gan[k], x, N, of_data));
            for (int i = 0; i < N; i++) mean += of_data[i] / N;
            ck_assert_double_eq_tol(nets_metric(m[0], count, "d_data"), mean, 1e-5);
            ck_assert_double_eq_tol(nets_metric(m[0], count, "discriminator_loss"),
                                    nets_metric(m[0], count, "d_samples") - mean, 1e-5);
            ck_assert_double_eq_tol(nets_metric(m[0], count, "loss"),
                                    -nets_metric(m[0], count, "d_samples"), 1e-5);
            gans_forget(&before);
        }
        steps(ctx[k], gm_gan_model(gan[k]), x, 3, NULL, NULL);
        gm_dataset_release(data);
        free(x);
    }
    gans_same(gan[0], gan[1]);
    for (int k = 0; k < 2; k++) {
        gm_gan_release(gan[k]);
        gm_context_release(ctx[k]);
    }
}
END_TEST

typedef struct heard {
    int lines;
    char last[256];
} heard;

static void listen(void *user, int32_t level, const char *line)
{
    heard *h = user;
    if (level != GM_LOG_WARNING || !strstr(line, "collaps")) return;
    h->lines++;
    snprintf(h->last, sizeof h->last, "%s", line);
}

static gm_context *listening(heard *h)
{
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.seed = 50;
    o.log = listen;
    o.log_user = h;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    return ctx;
}

/* A G that gives one row only is told of once; one whose samples differ never, and not after its
 * file was read either. */
START_TEST(collapse_is_told_once)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int kind = 0; kind < 3; kind++) { /* collapsed; collapsed but not watched; healthy */
        heard h = { 0, "" };
        gm_context *ctx = listening(&h);
        float *x = gans_normal(ctx, N, 2, centre, 0.5);
        gm_gan_options o = GM_GAN_OPTIONS_INIT;
        gm_metric m[GM_MAX_METRICS];
        int32_t count;
        if (kind == 1) o.collapse = 0;
        gm_gan *gan = gans_with_sgd(ctx, (gans_sizes){ 2, 0, 2, 0, 0 }, o, 0, 0);
        float *w = gans_param(gan, "generator.0.weight");
        for (int i = 0; i < 4; i++)
            w[i] = kind < 2 || i % 3 ? 0 : 0.5f; /* deviation 0.5, as the data */
        for (int step = 0; step < 300; step++) {
            steps(ctx, gm_gan_model(gan), x, 1, m, &count);
            ck_assert_int_eq(h.lines, 0);
        }
        steps(ctx, gm_gan_model(gan), x, 20, m, &count);
        double diversity = nets_metric(m, count, "diversity");
        ck_assert_int_eq(h.lines, kind == 0);
        if (kind < 2)
            ck_assert_double_eq_tol(diversity, 0, 1e-6);
        else
            ck_assert_double_eq_tol(diversity, 1, 0.3);
        if (kind == 0) ck_assert_msg(strstr(h.last, "at update") != NULL, "%s", h.last);
        for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
            heard later = { 0, "" };
            gm_context *other = listening(&later);
            gm_model *loaded = NULL;
            support_ok(ctx, checkpoint ? gm_model_save_checkpoint(gm_gan_model(gan), path)
                                       : gm_model_save(gm_gan_model(gan), path));
            support_ok(other, gm_model_load(&loaded, other, path));
            steps(other, loaded, x, 5, m, &count);
            ck_assert_int_eq(later.lines, 0); /* told already, or nothing to tell */
            gm_model_release(loaded);
            gm_context_release(other);
        }
        gm_gan_release(gan);
        free(x);
        gm_context_release(ctx);
    }
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("gan: training");
    TCase *t = tcase_create("training");
    tcase_set_timeout(t, 240);
    tcase_add_test(t, every_loss_learns_the_mean);
    tcase_add_test(t, penalties_hold_the_slope);
    tcase_add_test(t, labels_choose_the_place);
    tcase_add_test(t, averages_make_the_samples);
    tcase_add_test(t, resume_bit_for_bit);
    tcase_add_test(t, files_round_trip);
    tcase_add_test(t, same_bytes_for_any_threads);
    tcase_add_test(t, no_allocation_in_a_step);
    tcase_add_test(t, evaluate_leaves_training_alone);
    tcase_add_test(t, collapse_is_told_once);
    suite_add_tcase(s, t);
    return s;
}
