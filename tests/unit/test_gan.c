/* test_gan.c - gm/gan.h: the losses, the turns of the players and the options against values
 * computed by hand. Learning and files: test_gan_training.c; refusals and failures:
 * test_gan_refusals.c. */
#include "gans.h"

#define LOSSES 5

static double sigmoid(double l)
{
    return 1 / (1 + exp(-l));
}

/* The table of gm/gan.h, value by value: what D minimises at a row of data, at a sample, and what G
 * minimises. */
static double of_data(int loss, double smoothing, double l)
{
    double t = 1 - smoothing;
    switch (loss) {
    case GM_GAN_MINIMAX:
    case GM_GAN_NON_SATURATING:
        return -t * log(sigmoid(l)) - (1 - t) * log(1 - sigmoid(l));
    case GM_GAN_LEAST_SQUARES:
        return (l - t) * (l - t) / 2;
    case GM_GAN_HINGE:
        return fmax(0, 1 - l);
    default:
        return -l;
    }
}

static double of_sample(int loss, double l)
{
    switch (loss) {
    case GM_GAN_MINIMAX:
    case GM_GAN_NON_SATURATING:
        return -log(1 - sigmoid(l));
    case GM_GAN_LEAST_SQUARES:
        return l * l / 2;
    case GM_GAN_HINGE:
        return fmax(0, 1 + l);
    default:
        return l;
    }
}

static double of_generator(int loss, double l)
{
    switch (loss) {
    case GM_GAN_MINIMAX:
        return log(1 - sigmoid(l));
    case GM_GAN_NON_SATURATING:
        return -log(sigmoid(l));
    case GM_GAN_LEAST_SQUARES:
        return (l - 1) * (l - 1) / 2;
    default:
        return -l;
    }
}

/* Their slopes in the logit. */
static double data_slope(int loss, double smoothing, double l)
{
    double t = 1 - smoothing;
    switch (loss) {
    case GM_GAN_MINIMAX:
    case GM_GAN_NON_SATURATING:
        return sigmoid(l) - t;
    case GM_GAN_LEAST_SQUARES:
        return l - t;
    case GM_GAN_HINGE:
        return l < 1 ? -1 : 0;
    default:
        return -1;
    }
}

static double sample_slope(int loss, double l)
{
    switch (loss) {
    case GM_GAN_MINIMAX:
    case GM_GAN_NON_SATURATING:
        return sigmoid(l);
    case GM_GAN_LEAST_SQUARES:
        return l;
    case GM_GAN_HINGE:
        return l > -1 ? 1 : 0;
    default:
        return 1;
    }
}

static double generator_slope(int loss, double l)
{
    switch (loss) {
    case GM_GAN_MINIMAX:
        return -sigmoid(l);
    case GM_GAN_NON_SATURATING:
        return sigmoid(l) - 1;
    case GM_GAN_LEAST_SQUARES:
        return l - 1;
    default:
        return -1;
    }
}

START_TEST(losses_by_hand)
{
    gm_context *ctx = support_context(31, 1);
    gm_tape *tape = NULL;
    const float d[3] = { 0.5f, -1.25f, 2 }, s[4] = { -0.75f, 1.5f, 0.25f, -2 };
    const int64_t nd[1] = { 3 }, ns[1] = { 4 };
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    for (int loss = 0; loss < LOSSES; loss++)
        for (int k = 0; k < (loss <= GM_GAN_LEAST_SQUARES ? 3 : 1); k++) {
            double smoothing = 0.25 * k, want = 0, wanted = 0;
            for (int i = 0; i < 3; i++) want += of_data(loss, smoothing, (double)d[i]) / 3;
            for (int i = 0; i < 4; i++) want += of_sample(loss, (double)s[i]) / 4;
            for (int i = 0; i < 4; i++) wanted += of_generator(loss, (double)s[i]) / 4;
            gm_tape_reset(tape);
            gm_var data = gm_input_array(tape, 1, nd, d), samples = gm_input_array(tape, 1, ns, s);
            gm_var of_d = gm_gan_discriminator_loss(tape, loss, smoothing, data, samples);
            gm_var of_g = gm_gan_generator_loss(tape, loss, samples);
            support_ok(ctx, gm_tape_status(tape));
            ck_assert_double_eq_tol(gm_scalar(tape, of_d), want, 1e-6);
            ck_assert_double_eq_tol(gm_scalar(tape, of_g), wanted, 1e-6);
        }
    /* Logits that would overflow a naive sigmoid. */
    const float far[2] = { 1000, -1000 };
    const int64_t two[1] = { 2 };
    gm_tape_reset(tape);
    gm_var wide = gm_input_array(tape, 1, two, far);
    ck_assert_double_eq_tol(
        gm_scalar(tape, gm_gan_discriminator_loss(tape, GM_GAN_MINIMAX, 0, wide, wide)), 1000,
        1e-3);
    ck_assert_double_eq_tol(
        gm_scalar(tape, gm_gan_generator_loss(tape, GM_GAN_NON_SATURATING, wide)), 500, 1e-3);
    ck_assert_double_eq_tol(gm_scalar(tape, gm_gan_generator_loss(tape, GM_GAN_MINIMAX, wide)),
                            -500, 1e-3);
    gm_tape_release(tape);
    gm_context_release(ctx);
}
END_TEST

START_TEST(losses_refuse)
{
    gm_context *ctx = support_context(31, 1);
    gm_tape *tape = NULL;
    const float d[2] = { 0 };
    const int64_t two[1] = { 2 };
    static const struct {
        int32_t loss;
        double smoothing;
        const char *line;
    } bad[] = { { 5, 0, "loss is 5" },
                { -1, 0, "loss is -1" },
                { GM_GAN_MINIMAX, 1, "label_smoothing is 1" },
                { GM_GAN_MINIMAX, -0.5, "label_smoothing is -0.5" },
                { GM_GAN_MINIMAX, NAN, "label_smoothing is nan" },
                { GM_GAN_HINGE, 0.5, "label_smoothing is 0.5, but loss 3" } };
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_tape_reset(tape);
        gm_var x = gm_input_array(tape, 1, two, d);
        gm_var l = gm_gan_discriminator_loss(tape, bad[i].loss, bad[i].smoothing, x, x);
        ck_assert_uint_eq(l.recording, 0);
        support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, bad[i].line);
    }
    gm_tape_reset(tape);
    (void)gm_gan_generator_loss(tape, 7, gm_input_array(tape, 1, two, d));
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "loss is 7");
    /* An earlier failure stays. */
    (void)gm_gan_generator_loss(tape, 8, GM_NO_VAR);
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "loss is 7");
    ck_assert_uint_eq(gm_gan_generator_loss(NULL, 0, GM_NO_VAR).recording, 0);
    gm_tape_release(tape);
    gm_context_release(ctx);
}
END_TEST

/* A game that can be played on paper: D is w x + c; G's weights are 0, so that its samples are its
 * bias b. */
#define N 4
static const float rows[2 * N] = { 1, 0.5f, -0.5f, 2, 0.25f, -1, 1.5f, 0.75f };
static const float start_w[2] = { 0.5f, -0.75f }, start_b[2] = { -0.25f, 0.5f };
static const gans_sizes paper = { 1, 0, 2, 0, 0 };

static void set_up(gm_gan *gan)
{
    memcpy(gans_param(gan, "discriminator.0.weight"), start_w, sizeof start_w);
    gans_param(gan, "discriminator.0.bias")[0] = 0.25f;
    memset(gans_param(gan, "generator.0.weight"), 0, 2 * sizeof(float));
    memcpy(gans_param(gan, "generator.0.bias"), start_b, sizeof start_b);
}

static double value_at(const double *w, double c, const float *x)
{
    return w[0] * (double)x[0] + w[1] * (double)x[1] + c;
}

/* A step of both players, with a penalty or none, against the same by hand. */
static void play(gm_context *ctx, gm_gan_options o)
{
    const double rate = 0.25;
    gm_gan *gan = gans_with_sgd(ctx, paper, o, rate, rate);
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    double w[2] = { (double)start_w[0], (double)start_w[1] }, c = 0.25, g[3] = { 0 };
    double loss = 0, d_data = 0, length = sqrt(w[0] * w[0] + w[1] * w[1]);
    int probability = o.loss <= GM_GAN_NON_SATURATING;
    set_up(gan);
    support_ok(ctx, gm_model_step(gm_gan_model(gan), rows, N, m, GM_MAX_METRICS, &count));
    double at = value_at(w, c, start_b);
    for (int i = 0; i < N; i++) {
        const float *x = rows + 2 * i;
        double l = value_at(w, c, x), slope = data_slope(o.loss, o.label_smoothing, l) / N;
        loss += (of_data(o.loss, o.label_smoothing, l) + of_sample(o.loss, at)) / N;
        d_data += (probability ? sigmoid(l) : l) / N;
        for (int k = 0; k < 2; k++) g[k] += slope * (double)x[k];
        g[2] += slope;
    }
    for (int k = 0; k < 2; k++) g[k] += sample_slope(o.loss, at) * (double)start_b[k];
    g[2] += sample_slope(o.loss, at);
    if (o.penalty == GM_PENALTY_GRADIENT) {
        loss += o.penalty_weight * (length - 1) * (length - 1);
        for (int k = 0; k < 2; k++) g[k] += 2 * o.penalty_weight * (length - 1) * w[k] / length;
    } else if (o.penalty == GM_PENALTY_R1) {
        loss += o.penalty_weight / 2 * length * length;
        for (int k = 0; k < 2; k++) g[k] += o.penalty_weight * w[k];
    }
    ck_assert_double_eq_tol(nets_metric(m, count, "discriminator_loss"), loss, 1e-5);
    ck_assert_double_eq_tol(nets_metric(m, count, "d_data"), d_data, 1e-5);
    ck_assert_double_eq_tol(nets_metric(m, count, "d_samples"), probability ? sigmoid(at) : at,
                            1e-5);
    ck_assert_double_eq_tol(nets_metric(m, count, "discriminator_norm"),
                            sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2]), 1e-5);
    ck_assert_double_eq_tol(nets_metric(m, count, "diversity"), 0, 1e-6);
    if (o.penalty) ck_assert_double_eq_tol(nets_metric(m, count, "penalty_norm"), length, 1e-5);
    for (int i = 0; i < count; i++) ck_assert(o.penalty || strcmp(m[i].name, "penalty_norm") != 0);
    /* D has moved, and the new D judges G. */
    for (int k = 0; k < 2; k++) {
        w[k] -= rate * g[k];
        ck_assert_double_eq_tol((double)gans_param(gan, "discriminator.0.weight")[k], w[k], 1e-5);
    }
    c -= rate * g[2];
    ck_assert_double_eq_tol((double)gans_param(gan, "discriminator.0.bias")[0], c, 1e-5);
    at = value_at(w, c, start_b);
    ck_assert_str_eq(m[0].name, "loss");
    ck_assert_double_eq_tol(m[0].value, of_generator(o.loss, at), 1e-5);
    for (int k = 0; k < 2; k++)
        ck_assert_double_eq_tol((double)gans_param(gan, "generator.0.bias")[k],
                                (double)start_b[k] - rate * generator_slope(o.loss, at) * w[k],
                                1e-5);
    gm_gan_release(gan);
}

START_TEST(a_step_by_hand)
{
    gm_context *ctx = support_context(32, 1);
    for (int loss = 0; loss < LOSSES; loss++)
        for (int penalty = GM_PENALTY_NONE; penalty <= GM_PENALTY_R1; penalty++) {
            gm_gan_options o = GM_GAN_OPTIONS_INIT;
            o.loss = loss;
            o.penalty = penalty;
            o.penalty_weight = 3;
            play(ctx, o);
            o.label_smoothing = 0.25;
            if (loss <= GM_GAN_LEAST_SQUARES) play(ctx, o);
        }
    gm_context_release(ctx);
}
END_TEST

START_TEST(one_moves_at_a_time)
{
    gm_context *ctx = support_context(33, 1);
    const gans_sizes n = { 2, 4, 2, 5, 0 };
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    o.discriminator_steps = 3;
    gm_gan *gan = gans_with_sgd(ctx, n, o, 0.125, 0.125);
    for (int step = 1; step <= 9; step++) {
        gans_players before = gans_look(gan);
        support_ok(ctx, gm_model_step(gm_gan_model(gan), rows, N, m, GM_MAX_METRICS, &count));
        ck_assert_int_eq(gans_moved(gan, &before), step % 3 ? GANS_D : GANS_D | GANS_G);
        /* What G would minimise is told in each step, the norm is that of its latest move. */
        ck_assert(isfinite(nets_metric(m, count, "loss")) && nets_metric(m, count, "loss") > 0);
        ck_assert((nets_metric(m, count, "generator_norm") > 0) == (step >= 3));
        gans_forget(&before);
    }
    ck_assert_int_eq(gm_model_steps(gm_gan_model(gan)), 9);
    ck_assert_int_eq(gm_optimizer_steps(gm_gan_generator_optimizer(gan)), 3);
    ck_assert_int_eq(gm_optimizer_steps(gm_gan_discriminator_optimizer(gan)), 9);
    gm_gan_release(gan);
    o.discriminator_steps = 1;
    for (int still = GANS_G; still <= GANS_D; still++) {
        gan = gans_with_sgd(ctx, n, o, still == GANS_G ? 0 : 0.125, still == GANS_D ? 0 : 0.125);
        gans_players before = gans_look(gan);
        for (int step = 0; step < 3; step++) {
            support_ok(ctx, gm_model_step(gm_gan_model(gan), rows, N, NULL, 0, NULL));
            ck_assert_int_eq(gans_moved(gan, &before), (GANS_G | GANS_D) - still);
        }
        gans_forget(&before);
        gm_gan_release(gan);
    }
    gm_context_release(ctx);
}
END_TEST

START_TEST(norms_of_a_linear_critic)
{
    gm_context *ctx = support_context(34, 1);
    gm_layer *critic = nets_mlp(ctx, 3, 0, 1);
    gm_params *params = gm_layer_params(critic);
    gm_tape *tape = NULL;
    float *w = gm_param_value(gm_params_find(params, "0.weight"));
    const float *slope = gm_param_gradient(gm_params_find(params, "0.weight"));
    const float at[12] = { 1, 2, 3, -4, 5, 6, 0, 0, 0, 1e3f, -1e3f, 7 };
    const int64_t shape[2] = { 4, 3 }, flat[1] = { -1 }, three[1] = { 3 };
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    for (int zero = 0; zero < 2; zero++) {
        w[0] = zero ? 0 : 2, w[1] = zero ? 0 : -3, w[2] = zero ? 0 : 6; /* |w| = 7 */
        gm_tape_reset(tape);
        gm_var x = gm_input_array(tape, 2, shape, at);
        gm_var values = gm_reshape(tape, gm_apply(tape, critic, x), 1, flat);
        gm_var norms = gm_gan_gradient_norms(tape, values, x);
        support_ok(ctx, gm_tape_status(tape));
        ck_assert_int_eq(gm_rank(tape, norms), 1);
        ck_assert_int_eq(gm_count(tape, norms), 4);
        for (int i = 0; i < 4; i++) ck_assert_float_eq(gm_value(tape, norms)[i], zero ? 0 : 7);
        support_ok(ctx, gm_backward(tape, gm_mean(tape, norms), params));
        for (int k = 0; k < 3; k++) ck_assert_float_eq_tol(slope[k], zero ? 0 : w[k] / 7, 1e-6f);
    }
    gm_tape_reset(tape);
    gm_var x = gm_input_array(tape, 2, shape, at), y = gm_input_array(tape, 1, three, at);
    (void)gm_gan_gradient_norms(tape, y, x);
    support_fails(ctx, gm_tape_status(tape), GM_E_SHAPE, "one value for each row");
    gm_tape_reset(tape);
    x = gm_input_array(tape, 2, shape, at);
    (void)gm_gan_gradient_norms(tape, gm_apply(tape, critic, x), x); /* [4, 1] */
    support_fails(ctx, gm_tape_status(tape), GM_E_SHAPE, "one value for each row");
    ck_assert_uint_eq(gm_gan_gradient_norms(NULL, y, x).recording, 0);
    gm_tape_release(tape);
    gm_layer_release(critic);
    gm_context_release(ctx);
}
END_TEST

/* Rows of an image each, D by hand: pixels times its first weights, and the label's planes. */
START_TEST(discriminate_by_hand)
{
    gm_context *ctx = support_context(35, 1);
    const gans_sizes conditional = { 1, 0, 2, 0, 3 };
    gm_gan *gan = gans_make(ctx, paper, NULL);
    set_up(gan);
    double w[2] = { (double)start_w[0], (double)start_w[1] }, out[1200];
    float many[2400];
    int64_t labels[1200];
    for (int i = 0; i < 2400; i++) many[i] = (float)(i % 17) * 0.125f - 1;
    for (int i = 0; i < 1200; i++) labels[i] = i % 3;
    support_ok(ctx, gm_gan_discriminate(gan, many, 1200, out)); /* more than a group */
    for (int i = 0; i < 1200; i++)
        ck_assert_double_eq_tol(out[i], value_at(w, 0.25, many + 2 * i), 1e-6);
    support_fails(ctx, gm_gan_discriminate(gan, many, 0, out), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_gan_discriminate(gan, NULL, 1, out), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_gan_discriminate(gan, many, 1, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_gan_discriminate(NULL, many, 1, out), GM_E_INVALID);
    gm_gan_release(gan);
    gan = gans_make(ctx, conditional, NULL);
    const float *v = gans_param(gan, "discriminator.0.weight");
    float c = gans_param(gan, "discriminator.0.bias")[0];
    support_fails(ctx, gm_gan_discriminate(gan, many, 4, out), GM_E_STATE, "labels of 3 classes");
    support_ok(ctx, gm_model_set_labels(gm_gan_model(gan), labels, 1200));
    support_fails(ctx, gm_gan_discriminate(gan, many, 4, out), GM_E_SHAPE,
                  "4 rows, but 1200 labels");
    support_ok(ctx, gm_gan_discriminate(gan, many, 1200, out));
    for (int i = 0; i < 1200; i++) {
        double want = (double)(v[0] * many[2 * i] + v[1] * many[2 * i + 1] + v[2 + i % 3] + c);
        ck_assert_double_eq_tol(out[i], want, 1e-5);
    }
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* G gives [n, 1, 2, 2]; D flattens what it sees, so with labels it sees one pixel plane and then
 * those of the label. */
START_TEST(images_get_planes)
{
    gm_context *ctx = support_context(36, 1);
    static const int64_t image[3] = { 1, 2, 2 };
    const float pixels[8] = { 1, 2, 3, 4, -1, 0.5f, 0, 2 };
    const int64_t labels[2] = { 1, 0 };
    for (int64_t classes = 0; classes <= 2; classes += 2) {
        gm_layer *net = nets_mlp(ctx, 1 + classes, 0, 4), *d = NULL;
        gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
        gm_generator *g = NULL;
        gm_gan *gan = NULL;
        double out[2];
        head.latent = 1, head.labels = classes, head.output = GM_OUTPUT_DIRECT;
        support_ok(ctx, gm_sequence_add_reshape(net, 3, image));
        support_ok(ctx, gm_sequence_create(&d, ctx));
        support_ok(ctx, gm_sequence_add_flatten(d));
        support_ok(ctx, gm_sequence_add_linear(d, 4 * (1 + classes), 1));
        support_ok(ctx, gm_generator_create(&g, ctx, net, &head));
        support_ok(ctx, gm_gan_create(&gan, ctx, g, d, NULL));
        const float *w = gans_param(gan, "discriminator.1.weight");
        float c = gans_param(gan, "discriminator.1.bias")[0];
        if (classes) support_ok(ctx, gm_model_set_labels(gm_gan_model(gan), labels, 2));
        support_ok(ctx, gm_gan_discriminate(gan, pixels, 2, out));
        for (int i = 0; i < 2; i++) {
            float want = c;
            for (int p = 0; p < 4; p++) {
                want += w[p] * pixels[4 * i + p];
                if (classes) want += w[4 + 4 * labels[i] + p];
            }
            ck_assert_double_eq_tol(out[i], (double)want, 1e-5);
        }
        support_ok(ctx, gm_model_step(gm_gan_model(gan), pixels, 2, NULL, 0, NULL));
        gm_tensor *t = NULL;
        support_ok(ctx, gm_model_sample(&t, gm_gan_model(gan), 2));
        ck_assert_int_eq(gm_tensor_size(t, 1), 4);
        gm_tensor_release(t);
        gm_gan_release(gan);
        gm_generator_release(g);
        gm_layer_release(d);
        gm_layer_release(net);
    }
    gm_context_release(ctx);
}
END_TEST

START_TEST(clipping_holds)
{
    gm_context *ctx = support_context(37, 1);
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    const float limit = (float)0.05;
    o.loss = GM_GAN_WASSERSTEIN;
    o.weight_clip = 0.05;
    gm_gan *gan = gans_make(ctx, (gans_sizes){ 2, 4, 2, 8, 0 }, &o);
    for (int step = 0; step < 20; step++) {
        int64_t at_limit = 0;
        support_ok(ctx, gm_model_step(gm_gan_model(gan), rows, N, NULL, 0, NULL));
        gans_players p = gans_look(gan);
        for (int64_t i = 0; i < p.nd; i++) {
            ck_assert(p.d[i] >= -limit && p.d[i] <= limit);
            at_limit += p.d[i] <= -limit || p.d[i] >= limit;
        }
        ck_assert_int_gt(at_limit, 0);
        gans_forget(&p);
    }
    gm_gan_release(gan);
    gm_context_release(ctx);
}
END_TEST

/* D is its first coordinate, data and samples are 0: with noise of deviation s what D minimises is
 * 1/2 + s^2 on average. */
START_TEST(noise_falls)
{
    enum { MANY = 20000 };
    gm_context *ctx = support_context(38, 1);
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    float *zeros = calloc(2 * MANY, sizeof *zeros);
    ck_assert_ptr_nonnull(zeros);
    o.loss = GM_GAN_LEAST_SQUARES;
    o.noise = 0.5;
    for (int stays = 0; stays < 2; stays++) {
        o.noise_steps = stays ? 0 : 4;
        gm_gan *gan = gans_with_sgd(ctx, paper, o, 0, 0);
        set_up(gan);
        memset(gans_param(gan, "generator.0.bias"), 0, 2 * sizeof(float));
        gans_param(gan, "discriminator.0.weight")[0] = 1;
        gans_param(gan, "discriminator.0.weight")[1] = 0;
        gans_param(gan, "discriminator.0.bias")[0] = 0;
        for (int step = 0; step < 6; step++) {
            double s = stays ? 0.5 : step < 4 ? 0.5 * (1 - step / 4.0) : 0;
            support_ok(ctx,
                       gm_model_step(gm_gan_model(gan), zeros, MANY, m, GM_MAX_METRICS, &count));
            ck_assert_double_eq_tol(nets_metric(m, count, "discriminator_loss"), 0.5 + s * s,
                                    (s > 0 ? 0.03 * s : 1e-6));
            ck_assert_double_eq_tol(nets_metric(m, count, "loss"), 0.5 + s * s / 2,
                                    (s > 0 ? 0.03 * s : 1e-6));
        }
        gm_gan_release(gan);
    }
    free(zeros);
    gm_context_release(ctx);
}
END_TEST

/* Once its steps are over, the noise is gone altogether: from equal weights and seeds a step is
 * that of a game without. */
START_TEST(noise_ends)
{
    gm_context *ctx = support_context(39, 1);
    const gans_sizes n = { 2, 4, 2, 5, 0 };
    gm_gan_options o = GM_GAN_OPTIONS_INIT, plain = GM_GAN_OPTIONS_INIT;
    o.noise = 0.5;
    o.noise_steps = 4;
    gm_gan *noisy = gans_with_sgd(ctx, n, o, 0.125, 0.125);
    gm_gan *clear = gans_with_sgd(ctx, n, plain, 0.125, 0.125);
    for (int step = 0; step < 7; step++) {
        int64_t count;
        float *w = nets_weights(gm_gan_model(noisy), &count);
        support_ok(ctx, gm_params_write(gm_model_params(gm_gan_model(clear)), w, count));
        gm_gan *both[2] = { noisy, clear };
        for (int k = 0; k < 2; k++) {
            gm_model_seed(gm_gan_model(both[k]), 9);
            support_ok(ctx, gm_model_step(gm_gan_model(both[k]), rows, N, NULL, 0, NULL));
        }
        gans_players p = gans_look(clear);
        ck_assert_int_eq(gans_moved(noisy, &p), step < 4 ? GANS_G | GANS_D : 0);
        gans_forget(&p);
        free(w);
    }
    gm_gan_release(clear);
    gm_gan_release(noisy);
    gm_context_release(ctx);
}
END_TEST

static gm_var as_it_is(void *user, gm_tape *tape, gm_var x)
{
    (void)user;
    return gm_scale(tape, x, 1);
}

/* A host's layer may look across rows, so D then sees data and samples apart: the step is the same
 * but for rounding. */
START_TEST(one_pass_or_two)
{
    gm_gan *gan[2];
    gm_context *ctx[2];
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    for (int k = 0; k < 2; k++) {
        ctx[k] = support_context(40, 1);
        gm_layer *d = nets_mlp(ctx[k], 5, 6, 1), *own = NULL;
        gm_host_layer host = GM_HOST_LAYER_INIT;
        const int64_t labels[N] = { 0, 2, 1, 0 };
        host.type = "own";
        host.apply = as_it_is;
        support_ok(ctx[k], gm_layer_create_host(&own, ctx[k], &host, NULL));
        if (k) support_ok(ctx[k], gm_sequence_add(d, own));
        gm_layer_release(own);
        o.generator_optimizer = gans_sgd(ctx[k], 0.25);
        o.discriminator_optimizer = gans_sgd(ctx[k], 0.25);
        gan[k] = gans_from(ctx[k], (gans_sizes){ 2, 4, 2, 6, 3 }, d, &o);
        gm_optimizer_release(o.generator_optimizer);
        gm_optimizer_release(o.discriminator_optimizer);
        gm_layer_release(d);
        support_ok(ctx[k], gm_model_set_labels(gm_gan_model(gan[k]), labels, N));
        for (int step = 0; step < 3; step++)
            support_ok(ctx[k], gm_model_step(gm_gan_model(gan[k]), rows, N, NULL, 0, NULL));
    }
    int64_t count;
    float *a = nets_weights(gm_gan_model(gan[0]), &count),
          *b = nets_weights(gm_gan_model(gan[1]), &count);
    for (int64_t i = 0; i < count; i++) ck_assert_float_eq_tol(a[i], b[i], 1e-5f);
    free(a);
    free(b);
    for (int k = 0; k < 2; k++) {
        gm_gan_release(gan[k]);
        gm_context_release(ctx[k]);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("gan");
    TCase *t = tcase_create("gan");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, losses_by_hand);
    tcase_add_test(t, losses_refuse);
    tcase_add_test(t, a_step_by_hand);
    tcase_add_test(t, one_moves_at_a_time);
    tcase_add_test(t, norms_of_a_linear_critic);
    tcase_add_test(t, discriminate_by_hand);
    tcase_add_test(t, images_get_planes);
    tcase_add_test(t, clipping_holds);
    tcase_add_test(t, noise_falls);
    tcase_add_test(t, noise_ends);
    tcase_add_test(t, one_pass_or_two);
    suite_add_tcase(s, t);
    return s;
}
