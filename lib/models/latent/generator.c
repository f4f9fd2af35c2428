/* generator.c - g(z; theta): prior, network, head. */
#include "gm/generator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/ops.h"
#include "models/fields.h"
#include "models/latent/parts.h"
#include "models/numeric.h"
#include "models/row_reader.h"

struct gm_generator {
    gm_model model; /* first */
    gm_generator_options o;
    gm_layer *net;
    int64_t outputs; /* values the network gives for one z */
};

static gm_generator *of(gm_model *model)
{
    return (gm_generator *)model;
}

static gm_status check_options(gm_context *ctx, const gm_generator_options *o)
{
    if (o->latent < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "generator: latent is %lld, expected at least 1",
                             (long long)o->latent);
    if (o->prior != GM_PRIOR_NORMAL && o->prior != GM_PRIOR_UNIFORM)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "generator: prior is %d, expected one of GM_PRIOR_*", (int)o->prior);
    if (o->output < GM_OUTPUT_BERNOULLI || o->output > GM_OUTPUT_DIRECT)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "generator: output is %d, expected one of GM_OUTPUT_*",
                             (int)o->output);
    if (o->output == GM_OUTPUT_CATEGORICAL && o->classes < 2)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "generator: classes is %lld, expected at least 2 for a categorical output",
            (long long)o->classes);
    if (o->output == GM_OUTPUT_DIRECT && o->classes)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "generator: classes is %lld, but a direct output gives continuous data "
            "only: no gradient passes through a discrete sample",
            (long long)o->classes);
    if (o->output == GM_OUTPUT_GAUSSIAN && !o->learn_variance &&
        !(o->variance > 0 && isfinite(o->variance)))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "generator: variance is %g, expected a positive number", o->variance);
    if (o->labels < 0 || o->labels > INT64_MAX - o->latent)
        return gm_model_fail(ctx, GM_E_INVALID, "generator: labels is %lld, expected at least 0",
                             (long long)o->labels);
    if (!(o->prior_scale > 0 && isfinite(o->prior_scale)))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "generator: prior_scale is %g, expected a positive number",
                             o->prior_scale);
    return GM_OK;
}

/* What the network gives for a batch of two: the batch axis must come through, the rest is one row.
 */
static gm_status measure(gm_generator *g)
{
    gm_context *ctx = g->model.ctx;
    gm_status status;
    int64_t in[2] = { 2, g->o.latent + g->o.labels }, shape[GM_MAX_RANK];
    int32_t rank;
    GM_TRY(gm_model_net_output(g->net, "generator: net", 2, in, &rank, shape));
    int64_t row = 1;
    for (int32_t i = 1; i < rank; i++) row *= shape[i];
    if (rank < 1 || shape[0] != 2 || row < 1)
        GM_TRY(gm_model_fail(ctx, GM_E_SHAPE,
                             "generator: for z [2, %lld] the network gives rank %d with %lld rows "
                             "of %lld values, expected 2 rows of at least 1",
                             (long long)in[1], (int)rank, rank ? (long long)shape[0] : 0,
                             (long long)row));
    int64_t parts = 1;
    if (g->o.output == GM_OUTPUT_CATEGORICAL) parts = g->o.classes;
    if (g->o.output == GM_OUTPUT_GAUSSIAN && g->o.learn_variance) parts = 2;
    if (row % parts)
        GM_TRY(
            gm_model_fail(ctx, GM_E_SHAPE,
                          "generator: the network gives %lld values, expected a multiple of %lld",
                          (long long)row, (long long)parts));
    g->outputs = row;
    g->model.row_size = row / parts;
    if (g->o.output == GM_OUTPUT_CATEGORICAL && shape[rank - 1] == parts)
        rank--; /* [n, ..., classes] */
    else if (rank > 1 && shape[1] % parts == 0)
        shape[1] /= parts; /* [n, 2 channels, ...] */
    gm_model_shape_rows(&g->model, rank, shape);
out:
    return status;
}

gm_status gm_generator_create(gm_generator **out, gm_context *ctx, gm_layer *net,
                              const gm_generator_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx || !net)
        return gm_model_fail(ctx, GM_E_INVALID, "generator: context, net or out is NULL");
    if (gm_layer_context(net) != ctx)
        return gm_model_fail(ctx, GM_E_INVALID, "generator: net is of another context");
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    gm_status status = gm_options_read(ctx, "generator", &o, sizeof o, options);
    if (status) return status;
    status = check_options(ctx, &o);
    if (status) return status;
    gm_generator *g = gm_model_new(ctx, &gm_family_generator, sizeof *g);
    if (!g) return GM_E_NOMEM;
    g->o = o;
    g->model.classes = o.labels;
    gm_layer_retain(net);
    g->net = net;
    GM_TRY(gm_model_open(&g->model));
    GM_TRY(measure(g));
    GM_TRY(gm_params_add_all(g->model.params, "", gm_layer_params(net)));
    GM_TRY(gm_model_add_state(&g->model, "", net));
    gm_layer_seal(net);
    *out = g;
    return GM_OK;
out:
    gm_generator_release(g);
    return status;
}

static void destroy(gm_model *model)
{
    gm_generator *g = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    gm_layer_release(g->net);
    gm_context_free(ctx, g, sizeof *g);
}

void gm_generator_retain(gm_generator *g)
{
    if (g) gm_model_retain(&g->model);
}

void gm_generator_release(gm_generator *g)
{
    if (g) gm_model_release(&g->model);
}

gm_model *gm_generator_model(gm_generator *g)
{
    return g ? &g->model : NULL;
}

gm_generator *gm_generator_from_model(gm_model *model)
{
    return model && model->family == &gm_family_generator ? of(model) : NULL;
}

int64_t gm_generator_latent(const gm_generator *g)
{
    return g ? g->o.latent : 0;
}

int64_t gm_generator_row_size(const gm_generator *g)
{
    return g ? g->model.row_size : 0;
}

int32_t gm_generator_output(const gm_generator *g)
{
    return g ? g->o.output : -1;
}

int32_t gm_generator_prior(const gm_generator *g)
{
    return g ? g->o.prior : -1;
}

double gm_generator_prior_scale(const gm_generator *g)
{
    return g ? g->o.prior_scale : 0;
}

int64_t gm_generator_labels(const gm_generator *g)
{
    return g ? g->o.labels : 0;
}

gm_layer *gm_generator_net(const gm_generator *g)
{
    return g ? g->net : NULL;
}

gm_params *gm_generator_params(const gm_generator *g)
{
    return g ? g->model.params : NULL;
}

gm_status gm_generator_sample_prior(gm_generator *g, gm_rng *rng, int64_t count, float *out)
{
    if (!g) return GM_E_INVALID;
    if (!rng || !out || count < 1 || count > INT64_MAX / g->o.latent)
        return gm_model_fail(
            g->model.ctx, GM_E_INVALID,
            "generator: prior_sample: rng or out is NULL, or count is %lld, expected at least 1",
            (long long)count);
    if (g->o.prior == GM_PRIOR_UNIFORM)
        return gm_rng_uniform(rng, count * g->o.latent, -g->o.prior_scale, g->o.prior_scale, out);
    return gm_rng_normal(rng, count * g->o.latent, 0, g->o.prior_scale, out);
}

gm_var gm_generator_draw_prior(gm_tape *tape, gm_generator *g, int64_t count)
{
    if (!g) return gm_tape_fail(tape, GM_E_INVALID, "generator: generator is NULL");
    int64_t shape[2] = { count, g->o.latent };
    double scale = g->o.prior_scale;
    if (g->o.prior == GM_PRIOR_UNIFORM)
        return gm_shift(tape, gm_scale(tape, gm_rand(tape, 2, shape), 2 * scale), -scale);
    gm_var z = gm_randn(tape, 2, shape);
    return scale == 1 ? z : gm_scale(tape, z, scale);
}

gm_var gm_generator_apply(gm_tape *tape, gm_generator *g, gm_var z)
{
    return gm_generator_apply_labelled(tape, g, z, GM_NO_VAR);
}

gm_var gm_generator_apply_labelled(gm_tape *tape, gm_generator *g, gm_var z, gm_var labels)
{
    if (!g) return gm_tape_fail(tape, GM_E_INVALID, "generator: generator is NULL");
    if (!tape || gm_tape_status(tape)) return GM_NO_VAR;
    if (!labels.recording != !g->o.labels)
        return gm_tape_fail(tape, GM_E_INVALID,
                            g->o.labels ? "generator: it is conditional, and no labels are given"
                                        : "generator: it takes no labels, but some are given");
    z = gm_model_join_label(tape, z, labels, g->o.labels);
    gm_var y = gm_apply(tape, g->net, z);
    if (gm_rank(tape, y) == 2) return y;
    int64_t shape[2] = { -1, g->outputs };
    return gm_reshape(tape, y, 2, shape);
}

gm_var gm_generator_nll(gm_tape *tape, gm_generator *g, gm_var output, gm_var x)
{
    if (!g) return gm_tape_fail(tape, GM_E_INVALID, "generator: generator is NULL");
    int64_t row = g->model.row_size;
    switch (g->o.output) {
    case GM_OUTPUT_BERNOULLI:
        return gm_bce_with_logits(tape, output, x);
    case GM_OUTPUT_GAUSSIAN: {
        if (!g->o.learn_variance)
            return gm_gaussian_nll(tape, output, gm_constant(tape, 0, NULL, log(g->o.variance)), x);
        gm_var mean = gm_slice(tape, output, 1, 0, row);
        gm_var log_variance = gm_clamp(tape, gm_slice(tape, output, 1, row, 2 * row), -20, 20);
        return gm_gaussian_nll(tape, mean, log_variance, x);
    }
    case GM_OUTPUT_CATEGORICAL: {
        const int64_t *shape = gm_shape(tape, output), *given = gm_shape(tape, x);
        if (!shape || !given)
            return gm_tape_fail(tape, GM_E_STALE, "generator: nll: stale variable");
        int64_t n = shape[0], k = given[0] ? n / given[0] : 1;
        int64_t logits[2] = { n * row, g->o.classes }, classes[1] = { n * row },
                rows[2] = { n, row };
        static const int32_t last[1] = { 1 };
        if (k > 1) x = gm_repeat_rows(tape, x, k);
        gm_var nll = gm_cross_entropy(tape, gm_reshape(tape, output, 2, logits),
                                      gm_reshape(tape, x, 1, classes));
        return gm_sum_axes(tape, gm_reshape(tape, nll, 2, rows), last, 1, 0);
    }
    default:
        return gm_tape_fail(tape, GM_E_UNSUPPORTED,
                            "generator: a direct output has no p(x | z); use a Bernoulli, Gaussian "
                            "or categorical head");
    }
}

/* The most probable class of each value. */
static void argmax(const float *logits, int64_t values, int64_t classes, float *out)
{
    for (int64_t i = 0; i < values; i++) {
        const float *l = logits + i * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++)
            if (l[c] > l[best]) best = c;
        out[i] = (float)best;
    }
}

/* Replaces means by a draw from p(x | z). logits: the network's raw output, for the categorical
 * head. */
static gm_status draw_from(gm_generator *g, const float *output, float *mean, int64_t n)
{
    int64_t row = g->model.row_size;
    gm_rng *rng = g->model.rng;
    switch (g->o.output) {
    case GM_OUTPUT_BERNOULLI:
        return gm_rng_bernoulli(rng, mean, n * row, mean);
    case GM_OUTPUT_GAUSSIAN:
        for (int64_t r = 0; r < n; r++) {
            float noise[256];
            for (int64_t c = 0; c < row; c += 256) {
                int64_t m = row - c < 256 ? row - c : 256;
                gm_status status = gm_rng_normal(rng, m, 0, 1, noise);
                if (status) return status;
                for (int64_t i = 0; i < m; i++) {
                    double lv = log(g->o.variance);
                    if (g->o.learn_variance)
                        lv = fmin(20, fmax(-20, (double)output[(2 * r + 1) * row + c + i]));
                    mean[r * row + c + i] += (float)(exp(lv / 2) * (double)noise[i]);
                }
            }
        }
        return GM_OK;
    case GM_OUTPUT_CATEGORICAL: /* Gumbel-max: argmax of logit - log(-log u) */
        for (int64_t i = 0; i < n * row; i++) {
            const float *l = output + i * g->o.classes;
            double best = -INFINITY;
            for (int64_t c = 0; c < g->o.classes; c++) {
                double u = gm_rng_double(rng);
                double score = (double)l[c] - log(-log(u > 0 ? u : 0x1p-54));
                if (score > best) {
                    best = score;
                    mean[i] = (float)c;
                }
            }
        }
        return GM_OK;
    default:
        return GM_OK;
    }
}

/* Means (or draws) for the m codes z on a tape, into out. */
static gm_status emit(gm_generator *g, gm_tape *tape, gm_var z, gm_var labels, int64_t m,
                      float *out, int draw)
{
    int64_t row = g->model.row_size;
    gm_status status;
    gm_var y = gm_generator_apply_labelled(tape, g, z, labels);
    gm_var mean = y;
    if (g->o.output == GM_OUTPUT_BERNOULLI) mean = gm_sigmoid(tape, y);
    if (g->o.output == GM_OUTPUT_GAUSSIAN && g->o.learn_variance)
        mean = gm_slice(tape, y, 1, 0, row);
    GM_TRY(gm_tape_status(tape));
    const float *output = gm_value(tape, y);
    if (g->o.output == GM_OUTPUT_CATEGORICAL)
        argmax(output, m * row, g->o.classes, out);
    else
        memcpy(out, gm_value(tape, mean), (size_t)(m * row) * sizeof(float));
    if (draw) GM_TRY(draw_from(g, output, out, m));
out:
    return status;
}

gm_status gm_generator_emit(gm_generator *g, gm_tape *tape, gm_var z, gm_var labels, int64_t count,
                            float *out)
{
    return emit(g, tape, z, labels, count, out, 0);
}

/* In groups, so that memory does not grow with n. z NULL: codes from the prior. labels NULL: none.
 */
static gm_status generate(gm_generator *g, const float *z, const float *labels, int64_t n,
                          float *out, int draw)
{
    gm_tape *tape = g->model.tape;
    gm_status status = GM_OK;
    for (int64_t done = 0, m; (m = gm_model_group(n, done)) > 0; done += m) {
        int64_t shape[2] = { m, g->o.latent };
        gm_var code;
        gm_model_record(&g->model, GM_TAPE_CONSTANT);
        if (z)
            code = gm_input_array(tape, 2, shape, z + done * g->o.latent);
        else
            code = gm_generator_draw_prior(tape, g, m);
        gm_var label = gm_model_label_var(tape, labels ? labels + done : NULL, m);
        GM_TRY(emit(g, tape, code, label, m, out + done * g->model.row_size, draw));
        GM_TRY(gm_model_advance(&g->model, m * g->model.row_size));
    }
out:
    return status;
}

static gm_status check_arrays(gm_generator *g, const char *verb, const float *codes,
                              const void *rows, int64_t count)
{
    if (codes && rows && count > 0) return GM_OK;
    return gm_model_fail(
        g->model.ctx, GM_E_INVALID,
        "generator: %s: codes or rows is NULL, or count is %lld, expected at least 1", verb,
        (long long)count);
}

static gm_status convert(gm_generator *g, const char *verb, const float *codes, int64_t count,
                         float *rows, int draw)
{
    const float *labels;
    gm_status status;
    const size_t mark = gm_model_mark(&g->model);
    GM_TRY(check_arrays(g, verb, codes, rows, count));
    GM_TRY(gm_model_labels_for(&g->model, verb, count, &labels));
    GM_TRY(generate(g, codes, labels, count, rows, draw));
    GM_TRY(gm_model_check_floats(&g->model, verb, rows, count, g->model.row_size));
out:
    gm_model_give(&g->model, mark);
    return status;
}

gm_status gm_generator_decode(gm_generator *g, const float *codes, int64_t count, float *rows)
{
    return g ? convert(g, "decode", codes, count, rows, 0) : GM_E_INVALID;
}

gm_status gm_generator_sample(gm_generator *g, const float *codes, int64_t count, float *rows)
{
    return g ? convert(g, "sample", codes, count, rows, 1) : GM_E_INVALID;
}

gm_status gm_generator_log_prob(gm_generator *g, const float *rows, const float *codes,
                                int64_t count, double *log_prob)
{
    if (!g) return GM_E_INVALID;
    gm_tape *tape = g->model.tape;
    gm_status status = check_arrays(g, "log_prob", codes, rows, count);
    if (status) return status;
    if (!log_prob)
        return gm_model_fail(g->model.ctx, GM_E_INVALID, "generator: log_prob: log_prob is NULL");
    const float *labels;
    const size_t mark = gm_model_mark(&g->model);
    GM_TRY(gm_model_labels_for(&g->model, "log_prob", count, &labels));
    for (int64_t done = 0, m; (m = gm_model_group(count, done)) > 0; done += m) {
        int64_t code[2] = { m, g->o.latent }, row[2] = { m, g->model.row_size };
        gm_model_record(&g->model, GM_TAPE_CONSTANT);
        gm_var y = gm_generator_apply_labelled(
            tape, g, gm_input_array(tape, 2, code, codes + done * code[1]),
            gm_model_label_var(tape, labels ? labels + done : NULL, m));
        gm_var nll =
            gm_generator_nll(tape, g, y, gm_input_array(tape, 2, row, rows + done * row[1]));
        GM_TRY(gm_tape_status(tape));
        for (int64_t i = 0; i < m; i++) log_prob[done + i] = -(double)gm_value(tape, nll)[i];
    }
    GM_TRY(gm_model_check_reals(&g->model, "log_prob", log_prob, count, 1));
out:
    gm_model_give(&g->model, mark);
    return status;
}

static gm_status sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    return generate(of(model), NULL, labels, count, out, 0);
}

static const gm_model_field stored[] = {
    GM_FIELD(gm_generator_options, latent),   GM_FIELD(gm_generator_options, prior),
    GM_FIELD(gm_generator_options, output),   GM_FIELD(gm_generator_options, learn_variance),
    GM_FIELD(gm_generator_options, classes),  GM_FIELD(gm_generator_options, labels),
    GM_FIELD(gm_generator_options, variance), GM_FIELD(gm_generator_options, prior_scale),
};

gm_status gm_generator_put(gm_archive *archive, const char *prefix, gm_generator *g)
{
    gm_status status;
    GM_TRY(GM_PUT_FIELDS(archive, prefix, stored, &g->o));
    GM_TRY(gm_archive_put_layer(archive, prefix, g->net));
out:
    return status;
}

gm_status gm_generator_get(gm_generator **out, gm_context *ctx, gm_archive *archive,
                           const char *prefix)
{
    gm_status status;
    gm_layer *net = NULL;
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    GM_TRY(GM_GET_FIELDS(archive, prefix, stored, &o));
    GM_TRY(gm_archive_get_layer(&net, archive, prefix));
    GM_TRY(gm_generator_create(out, ctx, net, &o));
out:
    gm_layer_release(net);
    return status;
}

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    (void)checkpoint;
    return gm_generator_put(archive, "net.", of(model));
}

static gm_status load(gm_model **out, gm_context *ctx, gm_archive *archive, gm_optimizer *optimizer)
{
    (void)optimizer;
    gm_generator *g = NULL;
    gm_status status = gm_generator_get(&g, ctx, archive, "net.");
    *out = gm_generator_model(g);
    return status;
}

const gm_family gm_family_generator = {
    .name = "generator",
    .sample = sample,
    .save = save,
    .load = load,
    .destroy = destroy,
};
