/* gan.c - generative adversarial networks: two networks, their losses and their steps. */
#include "gm/gan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/ops.h"
#include "models/fields.h"
#include "models/latent/parts.h"
#include "models/numeric.h"
#include "models/row_reader.h"

#define DIVERSITY_MEMORY 0.99 /* of the running mean that the warning looks at */
#define DIVERSITY_START                                                                            \
    300 /* steps before it may warn: a new generator's samples are all alike                       \
         */

struct gm_gan {
    gm_model model; /* first; its optimizer is the generator's */
    gm_gan_options o;
    gm_generator *generator;
    gm_layer *discriminator;
    gm_optimizer *discriminator_optimizer;
    int32_t
        one_pass; /* D looks at each row by itself: data and samples may go through it together */
    int32_t rank; /* of the discriminator's input without the label, batch axis included */
    int64_t shape[GM_MAX_RANK];
    double *sums; /* row_size: scratch of the diversity */
    double diversity, mean_diversity;
    int32_t warned;
};

static gm_gan *of(gm_model *model)
{
    return (gm_gan *)model;
}

static gm_params *params_of_g(const gm_gan *gan)
{
    return gm_generator_params(gan->generator);
}

static gm_params *params_of_d(const gm_gan *gan)
{
    return gm_layer_params(gan->discriminator);
}

/* Losses whose D is read through a sigmoid. */
static int is_probability(const gm_gan_options *o)
{
    return o->loss == GM_GAN_MINIMAX || o->loss == GM_GAN_NON_SATURATING;
}

static gm_status wrong(gm_context *ctx, const char *option, double value, const char *wanted)
{
    return gm_model_fail(ctx, GM_E_INVALID, "gan: %s is %g, expected %s", option, value, wanted);
}

static int between(double value, double low, double high)
{
    return value >= low && value < high; /* not NaN */
}

static gm_status check_options(gm_context *ctx, const gm_gan_options *o)
{
    if (o->loss < GM_GAN_MINIMAX || o->loss > GM_GAN_WASSERSTEIN)
        return wrong(ctx, "loss", o->loss, "one of GM_GAN_*");
    if (o->penalty < GM_PENALTY_NONE || o->penalty > GM_PENALTY_R1)
        return wrong(ctx, "penalty", o->penalty, "one of GM_PENALTY_*");
    if (!(o->penalty_weight > 0) || isinf(o->penalty_weight))
        return wrong(ctx, "penalty_weight", o->penalty_weight, "a positive number");
    if (!between(o->weight_clip, 0, INFINITY))
        return wrong(ctx, "weight_clip", o->weight_clip, "at least 0");
    if (o->discriminator_steps < 1)
        return wrong(ctx, "discriminator_steps", (double)o->discriminator_steps, "at least 1");
    if (!between(o->label_smoothing, 0, 1))
        return wrong(ctx, "label_smoothing", o->label_smoothing, "0 to below 1");
    if (o->label_smoothing > 0 && o->loss > GM_GAN_LEAST_SQUARES)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "gan: label_smoothing is %g, but loss %d has no target to smooth",
                             o->label_smoothing, (int)o->loss);
    if (!between(o->noise, 0, INFINITY)) return wrong(ctx, "noise", o->noise, "at least 0");
    if (o->noise_steps < 0) return wrong(ctx, "noise_steps", (double)o->noise_steps, "at least 0");
    if (!between(o->average, 0, 1)) return wrong(ctx, "average", o->average, "0 to below 1");
    if (!between(o->collapse, 0, INFINITY))
        return wrong(ctx, "collapse", o->collapse, "at least 0");
    if (o->generator_optimizer && o->generator_optimizer == o->discriminator_optimizer)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "gan: the generator and the discriminator have one optimizer, expected one for each");
    return GM_OK;
}

/* Does the discriminator take `rank` axes `shape` (and the label) for two rows, and give one value
 * for each? */
static gm_status try_discriminator(gm_gan *gan, int32_t rank, const int64_t *shape)
{
    int64_t in[GM_MAX_RANK], out[GM_MAX_RANK], count = 1;
    int32_t out_rank;
    memcpy(in, shape, (size_t)rank * sizeof *in);
    in[1] += gan->model.classes;
    gm_status status =
        gm_model_net_output(gan->discriminator, "gan: discriminator", rank, in, &out_rank, out);
    if (status) return status;
    for (int32_t i = 0; i < out_rank; i++) count *= out[i];
    if (out_rank < 1 || out[0] != 2 || count != 2)
        return gm_model_fail(
            gan->model.ctx, GM_E_SHAPE,
            "gan: the discriminator gives %lld values for 2 rows, expected one for each",
            (long long)count);
    gan->rank = rank;
    memcpy(gan->shape, shape, (size_t)rank * sizeof *shape);
    return GM_OK;
}

/* Rows go in as the generator's network gives them (images for convolutions), or flat. */
static gm_status fit_discriminator(gm_gan *gan)
{
    int64_t z[2] = { 2, gm_generator_latent(gan->generator) + gan->model.classes };
    int64_t flat[2] = { 2, gan->model.row_size }, shape[GM_MAX_RANK];
    int32_t rank;
    gm_status status = gm_layer_output(gm_generator_net(gan->generator), 2, z, &rank, shape);
    if (status) return status;
    int images = rank == 4 || (rank > 2 && !gan->model.classes); /* a label joins rows or images */
    if (images && try_discriminator(gan, rank, shape) == GM_OK) return GM_OK;
    return try_discriminator(gan, 2, flat);
}

static gm_status make_adam(gm_optimizer **out, gm_context *ctx)
{
    gm_adam_options o = GM_ADAM_OPTIONS_INIT;
    o.rate = 2e-4;
    o.beta1 = 0.5; /* Radford, Metz and Chintala 2016 */
    return gm_adam_create(out, ctx, &o);
}

static gm_status bind_players(gm_gan *gan)
{
    gm_model *model = &gan->model;
    gm_context *ctx = model->ctx;
    gm_optimizer *made[2] = { NULL, NULL };
    gm_optimizer *g = gan->o.generator_optimizer, *d = gan->o.discriminator_optimizer;
    gm_status status = GM_OK;
    gan->o.generator_optimizer = gan->o.discriminator_optimizer =
        NULL; /* the model's from here on */
    if (!g) GM_TRY(make_adam(&made[0], ctx));
    if (!d) GM_TRY(make_adam(&made[1], ctx));
    if (!g) g = made[0];
    if (!d) d = made[1];
    if (gm_optimizer_context(g) != ctx || gm_optimizer_context(d) != ctx)
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "gan: an optimizer is of another context"));
    if (gm_optimizer_params(d) > 0) /* before the other is bound */
        GM_TRY(
            gm_model_fail(ctx, GM_E_STATE,
                          "gan: the discriminator's optimizer is bound to %lld parameters already",
                          (long long)gm_optimizer_params(d)));
    GM_TRY(gm_model_bind(model, &model->optimizer, g, params_of_g(gan)));
    if (gan->o.average > 0) GM_TRY(gm_optimizer_set_average(g, gan->o.average));
    GM_TRY(gm_model_bind(model, &gan->discriminator_optimizer, d, params_of_d(gan)));
out:
    gm_optimizer_release(made[0]);
    gm_optimizer_release(made[1]);
    return status;
}

static size_t sums_bytes(const gm_gan *gan)
{
    return (size_t)gan->model.row_size * sizeof *gan->sums;
}

static gm_status collect_params(gm_gan *gan)
{
    gm_params *all = gan->model.params, *g = params_of_g(gan), *d = params_of_d(gan);
    gm_status status;
    GM_TRY(gm_params_add_all(all, "generator.", g));
    GM_TRY(gm_params_add_all(all, "discriminator.", d));
    if (gm_params_count(all) != gm_params_count(g) + gm_params_count(d))
        GM_TRY(gm_model_fail(
            gan->model.ctx, GM_E_INVALID,
            "gan: the generator and the discriminator share %lld parameters, expected 0",
            (long long)(gm_params_count(g) + gm_params_count(d) - gm_params_count(all))));
    if (!gm_params_count(g) || !gm_params_count(d))
        GM_TRY(gm_model_fail(gan->model.ctx, GM_E_INVALID,
                             "gan: the generator has %lld parameters, the discriminator %lld, "
                             "expected at least 1 in each",
                             (long long)gm_params_count(g), (long long)gm_params_count(d)));
out:
    return status;
}

gm_status gm_gan_create(gm_gan **out, gm_context *ctx, gm_generator *generator,
                        gm_layer *discriminator, const gm_gan_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx || !generator || !discriminator)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "gan: context, generator, discriminator or out is NULL");
    if (gm_layer_context(discriminator) != ctx ||
        gm_model_context(gm_generator_model(generator)) != ctx)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "gan: generator or discriminator is of another context");
    if (gm_generator_output(generator) != GM_OUTPUT_DIRECT)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "gan: the generator's output is %d, expected a direct one (%d): a "
                             "gradient must pass through its samples",
                             (int)gm_generator_output(generator), GM_OUTPUT_DIRECT);
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "gan", &o, sizeof o, options);
    if (status) return status;
    status = check_options(ctx, &o);
    if (status) return status;
    gm_gan *gan = gm_model_new(ctx, &gm_family_gan, sizeof *gan);
    if (!gan) return GM_E_NOMEM;
    gan->o = o;
    gm_generator_retain(generator);
    gm_layer_retain(discriminator);
    gan->generator = generator;
    gan->discriminator = discriminator;
    GM_TRY(gm_model_open(&gan->model));
    gan->model.row_size = gm_generator_row_size(generator);
    gan->model.classes = gm_generator_labels(generator);
    gan->one_pass = gm_layer_row_wise(discriminator) && o.penalty != GM_PENALTY_R1;
    GM_TRY(fit_discriminator(gan));
    gm_model_shape_rows_like(&gan->model, gm_generator_model(generator));
    GM_TRY(gm_model_shape_rows_for(&gan->model, discriminator));
    GM_TRY(collect_params(gan));
    GM_TRY(gm_model_add_state(&gan->model, "generator.", gm_generator_net(generator)));
    GM_TRY(gm_model_add_state(&gan->model, "discriminator.", discriminator));
    gan->sums = gm_context_allocate(ctx, sums_bytes(gan));
    if (!gan->sums) GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "gan: no memory"));
    GM_TRY(bind_players(gan));
    gm_layer_seal(discriminator);
    *out = gan;
    return GM_OK;
out:
    gm_gan_release(gan);
    return status;
}

static void destroy(gm_model *model)
{
    gm_gan *gan = of(model);
    gm_context *ctx = model->ctx;
    gm_context_free(ctx, gan->sums, gan->sums ? sums_bytes(gan) : 0);
    gm_optimizer_release(gan->discriminator_optimizer);
    gm_model_close(model);
    gm_generator_release(gan->generator);
    gm_layer_release(gan->discriminator);
    gm_context_free(ctx, gan, sizeof *gan);
}

void gm_gan_retain(gm_gan *gan)
{
    if (gan) gm_model_retain(&gan->model);
}

void gm_gan_release(gm_gan *gan)
{
    if (gan) gm_model_release(&gan->model);
}

gm_model *gm_gan_model(gm_gan *gan)
{
    return gan ? &gan->model : NULL;
}

gm_gan *gm_gan_from_model(gm_model *model)
{
    return model && model->family == &gm_family_gan ? of(model) : NULL;
}

gm_generator *gm_gan_generator(const gm_gan *gan)
{
    return gan ? gan->generator : NULL;
}

gm_layer *gm_gan_discriminator(const gm_gan *gan)
{
    return gan ? gan->discriminator : NULL;
}

gm_optimizer *gm_gan_generator_optimizer(const gm_gan *gan)
{
    return gan ? gan->model.optimizer : NULL;
}

gm_optimizer *gm_gan_discriminator_optimizer(const gm_gan *gan)
{
    return gan ? gan->discriminator_optimizer : NULL;
}

/* --- Both networks and their losses, on a tape. */

/* Rows in the shape in which the discriminator takes them, without the label. */
static gm_var as_input(gm_gan *gan, gm_var rows)
{
    int64_t shape[GM_MAX_RANK];
    if (gan->rank == 2) return rows;
    memcpy(shape, gan->shape, sizeof shape);
    shape[0] = -1;
    return gm_reshape(gan->model.tape, rows, gan->rank, shape);
}

/* D of rows in its own shape: [n]. */
static gm_var discriminate(gm_gan *gan, gm_var input, gm_var labels)
{
    gm_tape *tape = gan->model.tape;
    int64_t flat[1] = { -1 };
    input = gm_model_join_label(tape, input, labels, gan->model.classes);
    return gm_reshape(tape, gm_apply(tape, gan->discriminator, input), 1, flat);
}

/* Instance noise: what D sees in training, n of this step. */
static gm_var blur(gm_gan *gan, gm_var x)
{
    gm_tape *tape = gan->model.tape;
    double done = (double)gan->model.steps, last = (double)gan->o.noise_steps;
    double deviation = gan->o.noise;
    if (gan->o.noise_steps) deviation *= fmax(0, 1 - done / last);
    if (!(deviation > 0) || gm_tape_status(tape)) return x;
    gm_var noise = gm_randn(tape, gm_rank(tape, x), gm_shape(tape, x));
    return gm_add(tape, x, gm_scale(tape, noise, deviation));
}

/* One batch, recorded. */
typedef struct gan_pass {
    gm_var labels;
    gm_var data, samples;       /* rows, in D's shape */
    gm_var of_data, of_samples; /* D's values */
    gm_var loss;                /* D's, with the penalty */
    double penalty_norm;        /* mean |grad D| where the penalty looks */
} gan_pass;

static void draw_batch(gm_gan *gan, const gm_batch *batch, gan_pass *g)
{
    gm_tape *tape = gan->model.tape;
    int64_t shape[2] = { batch->count, gan->model.row_size };
    g->labels = gm_model_label_var(tape, batch->labels, batch->count);
    gm_var z = gm_generator_draw_prior(tape, gan->generator, batch->count);
    gm_var rows = gm_generator_apply_labelled(tape, gan->generator, z, g->labels);
    g->samples = as_input(gan, rows);
    g->data = as_input(gan, gm_input_array(tape, 2, shape, batch->rows));
    g->penalty_norm = 0;
}

/* Gulrajani et al. 2017, equation 3, at points between data and samples; Mescheder et al. 2018,
 * equation 9, at the data that D has just seen. */
static gm_var penalty(gm_gan *gan, gan_pass *g, gm_var data)
{
    gm_tape *tape = gan->model.tape;
    gm_var norms, cost;
    if (gan->o.penalty == GM_PENALTY_R1) {
        norms = gm_gan_gradient_norms(tape, g->of_data, data);
        cost = gm_scale(tape, gm_mean(tape, gm_square(tape, norms)), 0.5 * gan->o.penalty_weight);
    } else {
        int64_t shape[GM_MAX_RANK] = { 1, 1, 1, 1, 1, 1 };
        if (gm_tape_status(tape)) return GM_NO_VAR;
        shape[0] = gm_shape(tape, g->data)[0];
        gm_var part = gm_rand(tape, gan->rank, shape);
        gm_var samples = gm_stop_gradient(tape, g->samples);
        gm_var between = gm_add(tape, samples, gm_mul(tape, part, gm_sub(tape, g->data, samples)));
        norms = gm_gan_gradient_norms(tape, discriminate(gan, between, g->labels), between);
        gm_var off = gm_square(tape, gm_shift(tape, norms, -1));
        cost = gm_scale(tape, gm_mean(tape, off), gan->o.penalty_weight);
    }
    g->penalty_norm = gm_scalar(tape, gm_mean(tape, norms));
    return cost;
}

/* --- Metrics. */

/* Mean of D, through the sigmoid where the loss has one. */
static double mean_judgement(const gm_gan *gan, gm_var values)
{
    const float *v = gm_value(gan->model.tape, values);
    int64_t n = gm_count(gan->model.tape, values);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += is_probability(&gan->o) ? 1 / (1 + exp(-(double)v[i])) : (double)v[i];
    return sum / (double)n;
}

/* The mean squared distance between two of n rows: 2 / (n - 1) sum_i |x_i - mean|^2, up to the
 * factor that drops out of the ratio. */
static double spread(gm_gan *gan, gm_var rows)
{
    const float *x = gm_value(gan->model.tape, rows);
    int64_t d = gan->model.row_size, n = gm_count(gan->model.tape, rows) / d;
    double *sum = gan->sums, squares = 0, of_mean = 0;
    memset(sum, 0, sums_bytes(gan));
    for (int64_t i = 0; i < n; i++, x += d)
        for (int64_t c = 0; c < d; c++) {
            sum[c] += (double)x[c];
            squares += (double)x[c] * (double)x[c];
        }
    for (int64_t c = 0; c < d; c++) of_mean += sum[c] * sum[c];
    return fmax(0, squares - of_mean / (double)n);
}

static void measure_diversity(gm_gan *gan, const gan_pass *g)
{
    double data = spread(gan, g->data);
    if (data > 0) gan->diversity = sqrt(spread(gan, g->samples) / data);
}

/* The warning comes once, when the mean falls below the mark, and again after it was above. */
static void watch_collapse(gm_gan *gan)
{
    int64_t step = gan->model.steps;
    double memory = step < 100 ? (double)step / (double)(step + 1) : DIVERSITY_MEMORY;
    gan->mean_diversity = memory * gan->mean_diversity + (1 - memory) * gan->diversity;
    if (step < DIVERSITY_START || !(gan->o.collapse > 0)) return;
    if (gan->mean_diversity >= gan->o.collapse) {
        gan->warned = 0;
    } else if (!gan->warned) {
        char line[160];
        (void)snprintf(
            line, sizeof line,
            "gan: the generator may be collapsing: at update %lld its samples differ %.2g "
            "times as much as the data do",
            (long long)step, gan->mean_diversity);
        gm_context_log(gan->model.ctx, GM_LOG_WARNING, line);
        gan->warned = 1;
    }
}

static void report(gm_gan *gan, const gan_pass *g, double loss, gm_metrics *metrics, int training)
{
    gm_metrics_add(metrics, "loss", loss);
    gm_metrics_add(metrics, "discriminator_loss", gm_scalar(gan->model.tape, g->loss));
    gm_metrics_add(metrics, "d_data", mean_judgement(gan, g->of_data));
    gm_metrics_add(metrics, "d_samples", mean_judgement(gan, g->of_samples));
    gm_metrics_add(metrics, "diversity", gan->diversity);
    if (!training) return;
    gm_metrics_add(metrics, "discriminator_norm",
                   gm_optimizer_gradient_norm(gan->discriminator_optimizer));
    gm_metrics_add(metrics, "generator_norm", gm_optimizer_gradient_norm(gan->model.optimizer));
    if (gan->o.penalty) gm_metrics_add(metrics, "penalty_norm", g->penalty_norm);
}

/* --- Steps. */

/* After Arjovsky, Chintala and Bottou 2017, algorithm 1. */
static void clip_weights(const gm_gan *gan)
{
    gm_params *params = params_of_d(gan);
    float limit = (float)gan->o.weight_clip;
    for (int64_t i = 0; limit > 0 && i < gm_params_count(params); i++) {
        gm_param *p = gm_params_get(params, i);
        float *w = gm_param_value(p);
        for (int64_t j = 0; j < gm_param_count(p); j++)
            w[j] = w[j] > limit ? limit : w[j] < -limit ? -limit : w[j];
    }
}

/* D's values for data and samples: in one pass, which is faster, where no layer looks across rows.
 */
static void discriminate_both(gm_gan *gan, gan_pass *g, gm_var data, gm_var samples)
{
    gm_tape *tape = gan->model.tape;
    if (!gan->one_pass) {
        g->of_data = discriminate(gan, data, g->labels);
        g->of_samples = discriminate(gan, samples, g->labels);
        return;
    }
    gm_var rows[2] = { data, samples }, labels[2] = { g->labels, g->labels };
    gm_var y = g->labels.recording ? gm_concat(tape, labels, 2, 0) : GM_NO_VAR;
    gm_var both = discriminate(gan, gm_concat(tape, rows, 2, 0), y);
    int64_t n = gm_count(tape, both) / 2;
    g->of_data = gm_slice(tape, both, 0, 0, n);
    g->of_samples = gm_slice(tape, both, 0, n, 2 * n);
}

/* Something of D's is not finite: the latest update of either network may have led here. D's was in
 * the update before this one, and so was G's if that was one of its; else G's weights have given a
 * finite loss since. */
static gm_status step_back(gm_gan *gan, const char *what, double value)
{
    gm_model *model = &gan->model;
    int g_moved = model->steps % gan->o.discriminator_steps == 0;
    int undone = gm_optimizer_undo(gan->discriminator_optimizer) == GM_OK;
    if (g_moved && gm_optimizer_undo(model->optimizer) == GM_OK) undone = 1;
    return gm_model_fail(
        model->ctx, GM_E_NUMERIC,
        "gan: %s of the discriminator is %g at update %lld; the weights %s are kept", what, value,
        (long long)model->steps + 1,
        undone ? "before the update that led there" : "that led there");
}

/* D's turn. A failure leaves its weights as they were, or where a loss is not finite, those of the
 * last good step. */
static gm_status move_discriminator(gm_gan *gan, gan_pass *g)
{
    gm_tape *tape = gan->model.tape;
    gm_status status;
    gm_var data = blur(gan, g->data);
    discriminate_both(gan, g, data, blur(gan, g->samples));
    g->loss = gm_gan_discriminator_loss(tape, gan->o.loss, gan->o.label_smoothing, g->of_data,
                                        g->of_samples);
    if (gan->o.penalty) g->loss = gm_add(tape, g->loss, penalty(gan, g, data));
    GM_TRY(gm_tape_status(tape));
    double value = gm_scalar(tape, g->loss);
    if (!isfinite(value)) GM_TRY(step_back(gan, "the loss", value));
    GM_TRY(gm_backward(tape, g->loss, params_of_d(gan)));
    status = gm_optimizer_step(gan->discriminator_optimizer);
    if (status == GM_E_NUMERIC)
        status =
            step_back(gan, "the norm of the gradient", gm_params_gradient_norm(params_of_d(gan)));
    if (!status) clip_weights(gan);
out:
    return status;
}

/* Something of G's is not finite. What D and G were before this update gave finite losses; the step
 * puts D back. */
static gm_status stay(gm_gan *gan, const char *what, double value)
{
    return gm_model_fail(gan->model.ctx, GM_E_NUMERIC,
                         "gan: %s of the generator is %g at update %lld; the weights before this "
                         "update are kept",
                         what, value, (long long)gan->model.steps + 1);
}

/* G's update, on the same samples, with the D that has just been updated. */
static gm_status move_generator(gm_gan *gan, const gan_pass *g, double *value)
{
    gm_tape *tape = gan->model.tape;
    gm_status status;
    gm_var loss = gm_gan_generator_loss(tape, gan->o.loss,
                                        discriminate(gan, blur(gan, g->samples), g->labels));
    GM_TRY(gm_tape_status(tape));
    *value = gm_scalar(tape, loss);
    if (!isfinite(*value)) GM_TRY(stay(gan, "the loss", *value));
    GM_TRY(gm_backward(tape, loss, params_of_g(gan)));
    status = gm_optimizer_step(gan->model.optimizer);
    if (status == GM_E_NUMERIC)
        status = stay(gan, "the norm of the gradient", gm_params_gradient_norm(params_of_g(gan)));
out:
    return status;
}

static gm_status step(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    gm_gan *gan = of(model);
    gm_status status;
    gan_pass g;
    double loss = 0;
    gm_model_record(model, GM_TAPE_TRAIN);
    draw_batch(gan, batch, &g);
    GM_TRY(move_discriminator(gan, &g));
    if ((model->steps + 1) % gan->o.discriminator_steps == 0) {
        status = move_generator(gan, &g, &loss);
    } else {
        loss =
            gm_scalar(model->tape, gm_gan_generator_loss(model->tape, gan->o.loss, g.of_samples));
        status = gm_tape_status(model->tape);
    }
    if (status) { /* D goes back: a step that fails changes nothing */
        (void)gm_optimizer_undo(gan->discriminator_optimizer);
        goto out;
    }
    measure_diversity(gan, &g);
    watch_collapse(gan);
    report(gan, &g, loss, metrics, 1);
out:
    return status;
}

/* For gm_model_evaluate: one batch without an update. */
static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    gm_gan *gan = of(model);
    gm_status status;
    gan_pass g;
    double diversity = gan->diversity;
    draw_batch(gan, batch, &g);
    discriminate_both(gan, &g, g.data, g.samples);
    g.loss = gm_gan_discriminator_loss(model->tape, gan->o.loss, gan->o.label_smoothing, g.of_data,
                                       g.of_samples);
    *out = gm_gan_generator_loss(model->tape, gan->o.loss, g.of_samples);
    GM_TRY(gm_tape_status(model->tape));
    measure_diversity(gan, &g);
    report(gan, &g, gm_scalar(model->tape, *out), metrics, 0);
    gan->diversity = diversity;
out:
    return status;
}

gm_status gm_gan_discriminate(gm_gan *gan, const float *rows, int64_t count, double *values)
{
    if (!gan) return GM_E_INVALID;
    gm_model *model = &gan->model;
    gm_status status;
    const float *labels;
    const size_t mark = gm_model_mark(model);
    if (!rows || !values || count < 1)
        GM_TRY(gm_model_fail(
            model->ctx, GM_E_INVALID,
            "gan: discriminate: rows or values is NULL, or count is %lld, expected at least 1",
            (long long)count));
    GM_TRY(gm_model_labels_for(model, "discriminate", count, &labels));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        int64_t shape[2] = { m, model->row_size };
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var x = gm_input_array(model->tape, 2, shape, rows + done * model->row_size);
        gm_var y = gm_model_label_var(model->tape, labels ? labels + done : NULL, m);
        gm_var scores = discriminate(gan, as_input(gan, x), y);
        GM_TRY(gm_tape_status(model->tape));
        for (int64_t i = 0; i < m; i++) values[done + i] = (double)gm_value(model->tape, scores)[i];
    }
    GM_TRY(gm_model_check_reals(model, "discriminate", values, count, 1));
out:
    gm_model_give(model, mark);
    return status;
}

/* --- Samples and files: with the averaged weights, if there are any. */

static gm_status draw(gm_gan *gan, float *out, const float *labels, int64_t count)
{
    gm_model *model = &gan->model;
    gm_status status = GM_OK;
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var z = gm_generator_draw_prior(model->tape, gan->generator, m);
        gm_var y = gm_model_label_var(model->tape, labels ? labels + done : NULL, m);
        GM_TRY(
            gm_generator_emit(gan->generator, model->tape, z, y, m, out + done * model->row_size));
        GM_TRY(gm_model_advance(model, m * model->row_size));
    }
out:
    return status;
}

static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    gm_gan *gan = of(model);
    int in;
    gm_status status = gm_model_put_average(&gan->model, &in);
    if (status) return status;
    status = draw(gan, out, labels, count);
    gm_status back = gm_model_take_average(&gan->model, in);
    return status ? status : back;
}

static const gm_model_field stored[] = {
    GM_FIELD(gm_gan_options, loss),
    GM_FIELD(gm_gan_options, penalty),
    GM_FIELD(gm_gan_options, penalty_weight),
    GM_FIELD(gm_gan_options, weight_clip),
    GM_FIELD(gm_gan_options, discriminator_steps),
    GM_FIELD(gm_gan_options, label_smoothing),
    GM_FIELD(gm_gan_options, noise),
    GM_FIELD(gm_gan_options, noise_steps),
    GM_FIELD(gm_gan_options, average),
    GM_FIELD(gm_gan_options, collapse),
};

/* What the collapse warning goes by: without it a model that is trained on would warn at once. */
static gm_status save_watch(const gm_gan *gan, gm_archive *archive)
{
    gm_status status;
    GM_TRY(gm_archive_set_real(archive, "gan.diversity", gan->diversity));
    GM_TRY(gm_archive_set_real(archive, "gan.mean_diversity", gan->mean_diversity));
    GM_TRY(gm_archive_set_int(archive, "gan.warned", gan->warned));
out:
    return status;
}

static gm_status load_watch(gm_gan *gan, gm_archive *archive)
{
    int64_t warned;
    gm_status status;
    GM_TRY(gm_archive_get_real(&gan->diversity, archive, "gan.diversity"));
    GM_TRY(gm_archive_get_real(&gan->mean_diversity, archive, "gan.mean_diversity"));
    GM_TRY(gm_archive_get_int(&warned, archive, "gan.warned"));
    gan->warned = warned != 0;
    if (!between(gan->diversity, 0, INFINITY) || !between(gan->mean_diversity, 0, INFINITY))
        GM_TRY(
            gm_model_fail(gan->model.ctx, GM_E_FORMAT,
                          "load: gan.diversity is %g, its mean %g, expected numbers of at least 0",
                          gan->diversity, gan->mean_diversity));
out:
    return status;
}

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    gm_gan *gan = of(model);
    gm_status status;
    GM_TRY(GM_PUT_FIELDS(archive, "gan.", stored, &gan->o));
    GM_TRY(save_watch(gan, archive));
    GM_TRY(gm_archive_put_layer(archive, "discriminator.", gan->discriminator));
    if (checkpoint) {
        GM_TRY(
            gm_optimizer_save(gan->discriminator_optimizer, archive, "discriminator_optimizer."));
        GM_TRY(gm_generator_put(archive, "generator.", gan->generator));
    } else { /* what sample uses */
        int in;
        GM_TRY(gm_model_put_average(&gan->model, &in));
        status = gm_generator_put(archive, "generator.", gan->generator);
        gm_status back = gm_model_take_average(&gan->model, in);
        if (!status) status = back;
    }
out:
    return status;
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    static const char *const second_prefix = "discriminator_optimizer.";
    gm_status status;
    gm_generator *generator = NULL;
    gm_layer *discriminator = NULL;
    gm_optimizer *second = NULL;
    gm_gan *gan = NULL;
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    GM_TRY(GM_GET_FIELDS(archive, "gan.", stored, &o));
    GM_TRY(gm_generator_get(&generator, ctx, archive, "generator."));
    GM_TRY(gm_archive_get_layer(&discriminator, archive, "discriminator."));
    if (optimizer) GM_TRY(gm_optimizer_load_new(&second, ctx, archive, second_prefix));
    o.generator_optimizer = optimizer;
    o.discriminator_optimizer = second;
    GM_TRY(gm_gan_create(&gan, ctx, generator, discriminator, &o));
    GM_TRY(load_watch(gan, archive));
    if (second) GM_TRY(gm_optimizer_load(second, archive, second_prefix));
out:
    if (status) {
        gm_gan_release(gan);
        gan = NULL;
    }
    gm_optimizer_release(second);
    gm_layer_release(discriminator);
    gm_generator_release(generator);
    *out = gm_gan_model(gan);
    return status;
}

const gm_family gm_family_gan = {
    .name = "gan",
    .loss = loss,
    .step = step,
    .sample = sample,
    .save = save,
    .load = load,
    .destroy = destroy,
};
