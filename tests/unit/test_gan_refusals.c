/* test_gan_refusals.c - gm/gan.h: what a GAN refuses, and what is left after a failure. */
#include "gans.h"

#define N 4
static const float rows[2 * N] = { 1, 0.5f, -0.5f, 2, 0.25f, -1, 1.5f, 0.75f };
static const gans_sizes small = { 2, 4, 2, 5, 0 };

static gm_generator *direct(gm_context *ctx, int64_t labels)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    head.output = GM_OUTPUT_DIRECT;
    head.labels = labels;
    return nets_generator(ctx, 2, 4, 2, head);
}

START_TEST(options_out_of_range)
{
    gm_context *ctx = support_context(51, 1);
    gm_generator *g = direct(ctx, 0);
    gm_layer *d = nets_mlp(ctx, 2, 5, 1);
    gm_gan *gan = (gm_gan *)ctx;
    const gm_gan_options good = GM_GAN_OPTIONS_INIT;
    gm_gan_options o = good;
#define REFUSED(member, value, line)                                                               \
    do {                                                                                           \
        o = good;                                                                                  \
        o.member = (value);                                                                        \
        gan = (gm_gan *)ctx;                                                                       \
        support_fails(ctx, gm_gan_create(&gan, ctx, g, d, &o), GM_E_INVALID, line);                \
        ck_assert_ptr_null(gan);                                                                   \
    } while (0)
    REFUSED(loss, 5, "loss is 5");
    REFUSED(loss, -1, "loss is -1");
    REFUSED(penalty, 3, "penalty is 3");
    REFUSED(penalty, -2, "penalty is -2");
    REFUSED(penalty_weight, 0, "penalty_weight is 0");
    REFUSED(penalty_weight, -3, "penalty_weight is -3");
    REFUSED(penalty_weight, INFINITY, "penalty_weight is inf");
    REFUSED(penalty_weight, NAN, "penalty_weight is nan");
    REFUSED(weight_clip, -0.5, "weight_clip is -0.5");
    REFUSED(weight_clip, INFINITY, "weight_clip is inf");
    REFUSED(weight_clip, NAN, "weight_clip is nan");
    REFUSED(discriminator_steps, 0, "discriminator_steps is 0");
    REFUSED(discriminator_steps, -7, "discriminator_steps is -7");
    REFUSED(label_smoothing, 1, "label_smoothing is 1");
    REFUSED(label_smoothing, -0.25, "label_smoothing is -0.25");
    REFUSED(label_smoothing, NAN, "label_smoothing is nan");
    REFUSED(noise, -1, "noise is -1");
    REFUSED(noise, INFINITY, "noise is inf");
    REFUSED(noise_steps, -1, "noise_steps is -1");
    REFUSED(average, 1, "average is 1");
    REFUSED(average, -0.5, "average is -0.5");
    REFUSED(average, NAN, "average is nan");
    REFUSED(collapse, -1, "collapse is -1");
    REFUSED(collapse, NAN, "collapse is nan");
    REFUSED(size, 3, "size");
#undef REFUSED
    for (int32_t loss = GM_GAN_HINGE; loss <= GM_GAN_WASSERSTEIN; loss++) {
        o = good;
        o.loss = loss;
        o.label_smoothing = 0.5;
        support_fails(ctx, gm_gan_create(&gan, ctx, g, d, &o), GM_E_INVALID,
                      "label_smoothing is 0.5, but loss");
    }
    support_ok(ctx, gm_gan_create(&gan, ctx, g, d, &good)); /* nothing was spoilt */
    gm_gan_release(gan);
    gm_layer_release(d);
    gm_generator_release(g);
    gm_context_release(ctx);
}
END_TEST

START_TEST(optimizers_that_will_not_do)
{
    gm_context *ctx = support_context(52, 1), *other = support_context(52, 1);
    gm_generator *g = direct(ctx, 0);
    gm_layer *d = nets_mlp(ctx, 2, 5, 1), *own = nets_mlp(ctx, 2, 0, 1);
    gm_optimizer *one = gans_sgd(ctx, 0.1), *two = gans_sgd(ctx, 0.1), *bound = gans_sgd(ctx, 0.1),
                 *foreign = gans_sgd(other, 0.1);
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_gan *gan = NULL;
    support_ok(ctx, gm_optimizer_add(bound, gm_layer_params(own)));
    o.generator_optimizer = o.discriminator_optimizer = one;
    support_fails(ctx, gm_gan_create(&gan, ctx, g, d, &o), GM_E_INVALID, "have one optimizer");
    o.discriminator_optimizer = foreign;
    support_fails(ctx, gm_gan_create(&gan, ctx, g, d, &o), GM_E_INVALID, "another context");
    o.discriminator_optimizer = bound;
    support_fails(ctx, gm_gan_create(&gan, ctx, g, d, &o), GM_E_STATE,
                  "bound to 2 parameters already");
    ck_assert_int_eq(gm_optimizer_params(one), 0); /* the other is as it was */
    o.generator_optimizer = bound;
    o.discriminator_optimizer = two;
    support_fails(ctx, gm_gan_create(&gan, ctx, g, d, &o), GM_E_STATE,
                  "bound to 2 parameters already");
    ck_assert_int_eq(gm_optimizer_params(two), 0);
    ck_assert_int_eq(gm_optimizer_params(bound), 2);
    o.generator_optimizer = one;
    support_ok(ctx, gm_gan_create(&gan, ctx, g, d, &o));
    ck_assert_ptr_eq(gm_gan_generator_optimizer(gan), one);
    ck_assert_ptr_eq(gm_model_optimizer(gm_gan_model(gan)), one);
    ck_assert_ptr_eq(gm_gan_discriminator_optimizer(gan), two);
    ck_assert_ptr_eq(gm_gan_generator(gan), g);
    ck_assert_ptr_eq(gm_gan_discriminator(gan), d);
    gm_gan_release(gan);
    support_ok(ctx, gm_gan_create(&gan, ctx, g, d, NULL)); /* Radford et al. 2016 */
    ck_assert_str_eq(gm_optimizer_kind(gm_gan_generator_optimizer(gan)), "adam");
    ck_assert_double_eq(gm_optimizer_rate(gm_gan_discriminator_optimizer(gan)), 2e-4);
    gm_gan_release(gan);
    ck_assert_ptr_null(gm_gan_model(NULL));
    ck_assert_ptr_null(gm_gan_from_model(NULL));
    ck_assert_ptr_null(gm_gan_generator_optimizer(NULL));
    gm_optimizer *all[] = { one, two, bound, foreign };
    for (int i = 0; i < 4; i++) gm_optimizer_release(all[i]);
    gm_layer_release(own);
    gm_layer_release(d);
    gm_generator_release(g);
    gm_context_release(other);
    gm_context_release(ctx);
}
END_TEST

START_TEST(players_that_do_not_fit)
{
    gm_context *ctx = support_context(53, 1), *other = support_context(53, 1);
    gm_generator *g = direct(ctx, 0), *conditional = direct(ctx, 3), *foreign = direct(other, 0),
                 *bits;
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    bits = nets_generator(ctx, 2, 4, 2, head);
    gm_layer *d = nets_mlp(ctx, 2, 5, 1), *two = nets_mlp(ctx, 2, 5, 2),
             *wide = nets_mlp(ctx, 3, 5, 1), *far = nets_mlp(other, 2, 5, 1), *bare = NULL,
             *shared = NULL, *tail = NULL;
    gm_gan *gan = NULL;
    support_fails(ctx, gm_gan_create(&gan, ctx, NULL, d, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_gan_create(&gan, ctx, g, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_gan_create(NULL, ctx, g, d, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_gan_create(&gan, ctx, bits, d, NULL), GM_E_INVALID, "output is 0");
    support_fails(ctx, gm_gan_create(&gan, ctx, foreign, d, NULL), GM_E_INVALID, "another context");
    support_fails(ctx, gm_gan_create(&gan, ctx, g, far, NULL), GM_E_INVALID, "another context");
    support_fails(ctx, gm_gan_create(&gan, ctx, g, two, NULL), GM_E_SHAPE,
                  "gives 4 values for 2 rows");
    support_fails(ctx, gm_gan_create(&gan, ctx, g, wide, NULL), GM_E_SHAPE,
                  "gan: discriminator, tried on 2 rows: linear: input is [2, 2]");
    /* The label makes rows wider. */
    support_fails(ctx, gm_gan_create(&gan, ctx, conditional, d, NULL), GM_E_SHAPE,
                  "input is [2, 5]");
    /* Nothing to move: D, then G. */
    support_ok(ctx, gm_sequence_create(&bare, ctx));
    support_fails(ctx, gm_gan_create(&gan, ctx, g, bare, NULL), GM_E_SHAPE, "4 values for 2 rows");
    support_ok(ctx, gm_sequence_add_maxout(bare, 2));
    support_fails(ctx, gm_gan_create(&gan, ctx, g, bare, NULL), GM_E_INVALID,
                  "the discriminator 0");
    gm_generator *still = NULL;
    head.output = GM_OUTPUT_DIRECT;
    head.latent = 4;
    support_ok(ctx, gm_generator_create(&still, ctx, bare, &head)); /* [n, 4] to [n, 2] */
    support_fails(ctx, gm_gan_create(&gan, ctx, still, d, NULL), GM_E_INVALID,
                  "generator has 0 parameters");
    /* One layer in both. */
    tail = nets_mlp(ctx, 2, 0, 2);
    head.latent = 2;
    gm_generator_release(g);
    support_ok(ctx, gm_generator_create(&g, ctx, tail, &head));
    support_ok(ctx, gm_sequence_create(&shared, ctx));
    support_ok(ctx, gm_sequence_add(shared, gm_sequence_get(tail, 0)));
    support_ok(ctx, gm_sequence_add_linear(shared, 2, 1));
    support_fails(ctx, gm_gan_create(&gan, ctx, g, shared, NULL), GM_E_INVALID,
                  "share 2 parameters");
    ck_assert_ptr_null(gan);
    gm_layer *layers[] = { d, two, wide, far, bare, shared, tail };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) gm_layer_release(layers[i]);
    gm_generator *generators[] = { g, conditional, foreign, bits, still };
    for (size_t i = 0; i < sizeof generators / sizeof *generators; i++)
        gm_generator_release(generators[i]);
    gm_context_release(other);
    gm_context_release(ctx);
}
END_TEST

START_TEST(verbs_refuse)
{
    gm_context *ctx = support_context(54, 1);
    gm_gan *gan = gans_make(ctx, small, NULL);
    gm_model *model = gm_gan_model(gan);
    const int64_t label = 0;
    double out[N];
    ck_assert_int_eq(gm_model_supports(model, GM_VERB_LOG_PROB), 0);
    ck_assert_int_eq(gm_model_supports(model, GM_VERB_FIT), 1);
    support_fails(ctx, gm_model_log_prob(model, rows, N, out), GM_E_UNSUPPORTED, "log_prob");
    support_fails(ctx, gm_model_set_labels(model, &label, 1), GM_E_UNSUPPORTED, "takes no labels");
    support_fails(ctx, gm_model_step(model, rows, 0, NULL, 0, NULL), GM_E_INVALID, "count is 0");
    ck_assert_int_eq(gm_model_set_labels(NULL, &label, 1), GM_E_INVALID);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

START_TEST(labels_refuse)
{
    gm_context *ctx = support_context(55, 1);
    gm_gan *gan = gans_make(ctx, (gans_sizes){ 2, 4, 2, 5, 3 }, NULL);
    gm_model *model = gm_gan_model(gan);
    const float none[N] = { 0, 1, 2, 0 }, four[N] = { 0, 1, 3, 0 };
    gm_dataset *bare = gans_dataset(ctx, N, 2, rows, NULL),
               *right = gans_dataset(ctx, N, 2, rows, none),
               *many = gans_dataset(ctx, N, 2, rows, four);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_tensor *t = NULL;
    gans_players before = gans_look(gan);
    fit.epochs = 1, fit.batch = N;
    support_fails(ctx, gm_model_fit(model, bare, &fit), GM_E_STATE,
                  "takes labels of 3 classes, the dataset has none");
    support_fails(ctx, gm_model_fit(model, many, &fit), GM_E_INVALID,
                  "go from 0 to 3, the model takes 0 to 2");
    support_fails(ctx, gm_model_evaluate(model, bare, support_batches(N, 0), NULL, 0, NULL),
                  GM_E_STATE, "dataset has none");
    support_fails(ctx, gm_model_evaluate(model, many, support_batches(N, 0), NULL, 0, NULL),
                  GM_E_INVALID, "go from 0 to 3");
    support_fails(ctx, gm_model_sample(&t, model, 2), GM_E_STATE, "labels of 3 classes");
    ck_assert_ptr_null(t);
    support_fails(ctx, gm_model_step(model, rows, N, NULL, 0, NULL), GM_E_STATE,
                  "labels of 3 classes");
    const int64_t labels[N] = { 0, 1, 2, 2 }, high[2] = { 1, 3 }, low[1] = { -1 };
    support_fails(ctx, gm_model_set_labels(model, high, 2), GM_E_INVALID,
                  "label at 1 is 3, 0 to 2");
    support_fails(ctx, gm_model_set_labels(model, low, 1), GM_E_INVALID,
                  "label at 0 is -1, 0 to 2");
    support_fails(ctx, gm_model_set_labels(model, NULL, 1), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_model_set_labels(model, labels, 0), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_model_sample(&t, model, 2), GM_E_STATE, "labels"); /* still none */
    support_ok(ctx, gm_model_set_labels(model, labels, N));
    support_fails(ctx, gm_model_set_labels(model, high, 2), GM_E_INVALID, "label at 1");
    support_fails(ctx, gm_model_sample(&t, model, 2), GM_E_SHAPE, "2 rows, but 4 labels");
    support_fails(ctx, gm_model_step(model, rows, N - 1, NULL, 0, NULL), GM_E_SHAPE,
                  "3 rows, but 4 labels");
    ck_assert_int_eq(gans_moved(gan, &before), 0);
    support_ok(ctx, gm_model_sample(&t, model, N)); /* the earlier labels stayed */
    gm_tensor_release(t);
    support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    ck_assert_int_eq(gans_moved(gan, &before), GANS_G | GANS_D);
    support_ok(ctx, gm_model_fit(model, right, &fit)); /* with the dataset's, whatever is set */
    /* A single label serves any number of rows, again and again. */
    support_ok(ctx, gm_model_set_labels(model, labels + 3, 1));
    for (int64_t n = 1; n < 700; n += 300) {
        support_ok(ctx, gm_model_sample(&t, model, n));
        gm_tensor_release(t);
    }
    gans_forget(&before);
    gm_dataset_release(many);
    gm_dataset_release(right);
    gm_dataset_release(bare);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* A penalty wants second derivatives of each row alone, which batch norm has not: the step says so,
 * and nobody has moved. */
START_TEST(penalty_names_the_layer)
{
    gm_context *ctx = support_context(56, 1);
    for (int32_t penalty = GM_PENALTY_NONE; penalty <= GM_PENALTY_R1; penalty++) {
        gm_layer *d = NULL;
        gm_gan_options o = GM_GAN_OPTIONS_INIT;
        support_ok(ctx, gm_sequence_create(&d, ctx));
        support_ok(ctx, gm_sequence_add_linear(d, 2, 6));
        support_ok(ctx, gm_sequence_add_batch_norm(d, 6));
        support_ok(ctx, gm_sequence_add_linear(d, 6, 1));
        o.penalty = penalty;
        gm_gan *gan = gans_from(ctx, small, d, &o);
        gans_players before = gans_look(gan);
        gm_model *model = gm_gan_model(gan);
        if (penalty) {
            support_fails(ctx, gm_model_step(model, rows, N, NULL, 0, NULL), GM_E_UNSUPPORTED,
                          "batch_norm");
            ck_assert_int_eq(gans_moved(gan, &before), 0);
            ck_assert_int_eq(gm_model_steps(model), 0);
            ck_assert_int_eq(gm_optimizer_steps(gm_gan_discriminator_optimizer(gan)), 0);
        } else {
            support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
        }
        gans_forget(&before);
        gm_gan_release(gan);
        gm_layer_release(d);
    }
    gm_context_release(ctx);
}
END_TEST

static gm_gan_options squares(int64_t discriminator_steps)
{
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    o.loss = GM_GAN_LEAST_SQUARES;
    o.discriminator_steps = discriminator_steps;
    return o;
}

/* G leaps so far that D's next loss is not finite: both go back to before that update. */
START_TEST(g_explodes)
{
    gm_context *ctx = support_context(57, 1);
    gm_gan *gan = gans_with_sgd(ctx, (gans_sizes){ 2, 0, 2, 0, 0 }, squares(1), 1e30, 0.125);
    gm_model *model = gm_gan_model(gan);
    gans_players before = gans_look(gan);
    support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    ck_assert_int_eq(gans_moved(gan, &before), GANS_G | GANS_D);
    support_fails(ctx, gm_model_step(model, rows, N, NULL, 0, NULL), GM_E_NUMERIC,
                  "of the discriminator is inf at update 2; the weights before");
    ck_assert_int_eq(gans_moved(gan, &before), 0);
    ck_assert_int_eq(gm_model_steps(model), 1);
    /* With a rate that makes sense it goes on. */
    support_ok(ctx, gm_optimizer_set_rate(gm_gan_generator_optimizer(gan), 0.125));
    for (int i = 0; i < 5; i++) support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    gans_forget(&before);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* D leaps while G stands still: D goes back one update, G stays at its latest, which has given
 * finite losses since. */
START_TEST(d_explodes_between_turns)
{
    gm_context *ctx = support_context(58, 1);
    gm_gan *gan = gans_with_sgd(ctx, (gans_sizes){ 2, 0, 2, 0, 0 }, squares(3), 0.125, 0.125);
    gm_model *model = gm_gan_model(gan);
    for (int i = 0; i < 4; i++) support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    gans_players before = gans_look(gan);
    support_ok(ctx, gm_optimizer_set_rate(gm_gan_discriminator_optimizer(gan), 1e30));
    support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL)); /* the fifth: D alone */
    ck_assert_int_eq(gans_moved(gan, &before), GANS_D);
    support_fails(ctx, gm_model_step(model, rows, N, NULL, 0, NULL), GM_E_NUMERIC, "at update 6");
    ck_assert_int_eq(gans_moved(gan, &before), 0);
    support_ok(ctx, gm_optimizer_set_rate(gm_gan_discriminator_optimizer(gan), 0.125));
    for (int i = 0; i < 5; i++) support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    gans_forget(&before);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* D leaps in an update in which G is to move, and G's loss is not finite: D is put back, the update
 * never was. */
START_TEST(d_explodes_before_g)
{
    gm_context *ctx = support_context(59, 1);
    gm_gan *gan = gans_with_sgd(ctx, (gans_sizes){ 2, 0, 2, 0, 0 }, squares(1), 0.125, 0.125);
    gm_model *model = gm_gan_model(gan);
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    gans_players before = gans_look(gan);
    support_ok(ctx, gm_optimizer_set_rate(gm_gan_discriminator_optimizer(gan), 1e30));
    support_fails(ctx, gm_model_step(model, rows, N, m, GM_MAX_METRICS, &count), GM_E_NUMERIC,
                  "of the generator is inf at update 2; the weights before this update");
    ck_assert_int_eq(count, 0);
    ck_assert_int_eq(gans_moved(gan, &before), 0);
    ck_assert_int_eq(gm_model_steps(model), 1);
    support_ok(ctx, gm_optimizer_set_rate(gm_gan_discriminator_optimizer(gan), 0.125));
    support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    gans_forget(&before);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* A finite loss with a gradient that is not: D's first layer gets 1e38 times the data. */
START_TEST(gradient_explodes)
{
    gm_context *ctx = support_context(60, 1);
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    const float far[2] = { 100, 100 };
    o.loss = GM_GAN_WASSERSTEIN;
    gm_gan *gan = gans_with_sgd(ctx, (gans_sizes){ 2, 0, 2, 1, 0 }, o, 0.125, 0.125);
    memset(gans_param(gan, "discriminator.0.weight"), 0, 2 * sizeof(float));
    gans_param(gan, "discriminator.0.bias")[0] = 0;
    gans_param(gan, "discriminator.2.weight")[0] = (float)1e38;
    gans_players before = gans_look(gan);
    support_fails(ctx, gm_model_step(gm_gan_model(gan), far, 1, NULL, 0, NULL), GM_E_NUMERIC,
                  "the norm of the gradient of the discriminator");
    ck_assert_int_eq(gans_moved(gan, &before), 0);
    gans_forget(&before);
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* What a file says is not trusted: options out of range, a memory of the watch that is no number, a
 * player that is missing. */
START_TEST(files_refuse)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    gm_context *ctx = support_context(61, 1);
    gm_gan *gan = gans_make(ctx, small, NULL);
    gm_archive *archive = NULL;
    gm_model *model = NULL;
    static const struct {
        const char *key;
        double value;
        int whole;
        gm_status status;
    } bad[] = { { "gan.loss", 5, 1, GM_E_INVALID },
                { "gan.loss", 4294967296.0, 1, GM_E_INVALID }, /* 0 in 32 bits */
                { "gan.penalty", -1, 1, GM_E_INVALID },
                { "gan.discriminator_steps", 0, 1, GM_E_INVALID },
                { "gan.average", 1, 0, GM_E_INVALID },
                { "gan.noise", -1, 0, GM_E_INVALID },
                { "gan.mean_diversity", -1, 0, GM_E_FORMAT },
                { "generator.output", GM_OUTPUT_BERNOULLI, 1, GM_E_INVALID },
                { "generator.prior_scale", 0, 0, GM_E_INVALID },
                { "generator.labels", -1, 1, GM_E_INVALID },
                { "generator.labels", 1, 1, GM_E_SHAPE } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        support_ok(ctx, gm_model_save_checkpoint(gm_gan_model(gan), path));
        support_ok(ctx, gm_archive_open(&archive, ctx, path));
        ck_assert_msg(gm_archive_has(archive, bad[i].key), "no %s in the file", bad[i].key);
        if (bad[i].whole)
            support_ok(ctx, gm_archive_set_int(archive, bad[i].key, (int64_t)bad[i].value));
        else
            support_ok(ctx, gm_archive_set_real(archive, bad[i].key, bad[i].value));
        support_ok(ctx, gm_archive_write(archive, path));
        gm_archive_release(archive);
        support_fails(ctx, gm_model_load(&model, ctx, path), bad[i].status, "");
        ck_assert_ptr_null(model);
    }
    /* Every byte of a checkpoint's head, and some of the rest, turned: a status each time, never a
     * crash. */
    static unsigned char bytes[65536];
    support_ok(ctx, gm_model_save_checkpoint(gm_gan_model(gan), path));
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    ck_assert(size > 1000 && size < sizeof bytes);
    int refused = 0;
    for (size_t i = 0; i < size; i += 13) {
        unsigned char keep = bytes[i];
        bytes[i] = (unsigned char)(keep ^ (1 + i % 255));
        support_file_write(path, bytes, size);
        gm_status s = gm_model_load(&model, ctx, path);
        ck_assert((s == GM_OK) == (model != NULL));
        ck_assert(s == GM_OK || gm_context_error(ctx)[0]);
        refused += s != GM_OK;
        gm_model_release(model);
        bytes[i] = keep;
    }
    ck_assert_int_gt(refused, 50);
    gm_gan_release(gan);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("gan: refusals");
    TCase *t = tcase_create("refusals");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, options_out_of_range);
    tcase_add_test(t, optimizers_that_will_not_do);
    tcase_add_test(t, players_that_do_not_fit);
    tcase_add_test(t, verbs_refuse);
    tcase_add_test(t, labels_refuse);
    tcase_add_test(t, penalty_names_the_layer);
    tcase_add_test(t, g_explodes);
    tcase_add_test(t, d_explodes_between_turns);
    tcase_add_test(t, d_explodes_before_g);
    tcase_add_test(t, gradient_explodes);
    tcase_add_test(t, files_refuse);
    suite_add_tcase(s, t);
    return s;
}
