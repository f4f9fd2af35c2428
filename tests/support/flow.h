/* flow.h - a normalizing flow as a host writes it, on public headers: affine coupling layers in two
 * dimensions (real NVP; Dinh, Sohl-Dickstein and Bengio 2017).
 *
 * Coupling k keeps one coordinate, a, and moves the other: b' = b e^s(a) + t(a), so that log p(x) =
 * log N(z; 0, 1) + sum_k s_k, and sampling goes backwards: b = (b' - t(a)) e^-s(a). With classes,
 * the label stands beside a, as one-hot values.
 */
#ifndef GM_TESTS_FLOW_H
#define GM_TESTS_FLOW_H

#include <stdio.h>
#include <string.h>

#include "gm/gm.h"

#define FLOW_MOST 8

typedef struct flow {
    gm_context *ctx; /* the models of the flow retain it */
    gm_layer *net[FLOW_MOST];
    gm_params *params;
    int64_t couplings, hidden, classes;
} flow;

static inline void flow_destroy(void *user)
{
    flow *f = user;
    if (!f) return;
    gm_params_release(f->params);
    for (int i = 0; i < FLOW_MOST; i++) gm_layer_release(f->net[i]);
    gm_context_free(f->ctx, f, sizeof *f);
}

/* The networks' outputs for the kept coordinate: s in (-2, 2), and t; both [n, 1]. */
static inline void flow_coupling(const flow *f, gm_tape *tape, int64_t k, gm_var kept, gm_var hot,
                                 gm_var *s, gm_var *t)
{
    gm_var in[2] = { kept, hot };
    gm_var y = gm_apply(tape, f->net[k], f->classes ? gm_concat(tape, in, 2, 1) : kept);
    *s = gm_scale(tape, gm_tanh(tape, gm_slice(tape, y, 1, 0, 1)), 2);
    *t = gm_slice(tape, y, 1, 1, 2);
}

static inline gm_var flow_labels(const flow *f, gm_tape *tape, const float *labels, int64_t count)
{
    if (!f->classes) return GM_NO_VAR;
    return gm_one_hot(tape, gm_input_array(tape, 1, &count, labels), f->classes);
}

/* log p of each row, [count]. */
static inline gm_var flow_record(const flow *f, gm_tape *tape, const gm_host_batch *batch)
{
    const int64_t shape[2] = { batch->count, 2 };
    gm_var x = gm_input_array(tape, 2, shape, batch->rows);
    gm_var hot = flow_labels(f, tape, batch->labels, batch->count), sum = GM_NO_VAR;
    gm_var z[2] = { gm_slice(tape, x, 1, 0, 1), gm_slice(tape, x, 1, 1, 2) };
    for (int64_t k = 0; k < f->couplings; k++) {
        gm_var s, t, *moved = &z[1 - k % 2];
        flow_coupling(f, tape, k, z[k % 2], hot, &s, &t);
        *moved = gm_add(tape, gm_mul(tape, *moved, gm_exp(tape, s)), t);
        sum = k ? gm_add(tape, sum, s) : s;
    }
    gm_var nll = gm_gaussian_nll(tape, gm_constant(tape, 2, shape, 0),
                                 gm_constant(tape, 0, NULL, 0), gm_concat(tape, z, 2, 1));
    return gm_sub(tape, gm_reshape(tape, sum, 1, shape), nll);
}

static inline gm_status flow_loss(void *user, gm_tape *tape, const gm_host_batch *batch,
                                  gm_var *loss, gm_metric *metrics, int32_t *metric_count)
{
    gm_var mean = gm_mean(tape, flow_record(user, tape, batch));
    *loss = gm_neg(tape, mean);
    metrics[0].name = "log_prob";
    metrics[0].value = gm_scalar(tape, mean);
    *metric_count = 1;
    return GM_OK;
}

static inline gm_status flow_log_prob(void *user, gm_tape *tape, const gm_host_batch *batch,
                                      int64_t samples, double *log_prob, double *standard_error)
{
    (void)samples;
    (void)standard_error;
    const float *value = gm_value(tape, flow_record(user, tape, batch));
    for (int64_t i = 0; value && i < batch->count; i++) log_prob[i] = (double)value[i];
    return GM_OK;
}

static inline gm_status flow_sample(void *user, gm_tape *tape, const float *labels, int64_t count,
                                    float *rows)
{
    const flow *f = user;
    const int64_t shape[2] = { count, 2 };
    gm_var z = gm_randn(tape, 2, shape), hot = flow_labels(f, tape, labels, count);
    gm_var x[2] = { gm_slice(tape, z, 1, 0, 1), gm_slice(tape, z, 1, 1, 2) };
    for (int64_t k = f->couplings - 1; k >= 0; k--) {
        gm_var s, t, *moved = &x[1 - k % 2];
        flow_coupling(f, tape, k, x[k % 2], hot, &s, &t);
        *moved = gm_mul(tape, gm_sub(tape, *moved, t), gm_exp(tape, gm_neg(tape, s)));
    }
    return gm_read(tape, gm_concat(tape, x, 2, 1), 2 * count, rows);
}

static inline void flow_prefix(char prefix[32], int64_t k)
{
    snprintf(prefix, 32, "flow.%lld.", (long long)k);
}

static inline gm_status flow_save(void *user, gm_archive *archive, int32_t checkpoint)
{
    const flow *f = user;
    char prefix[32];
    (void)checkpoint;
    gm_status s = gm_archive_set_int(archive, "flow.couplings", f->couplings);
    if (!s) s = gm_archive_set_int(archive, "flow.hidden", f->hidden);
    if (!s) s = gm_archive_set_int(archive, "flow.classes", f->classes);
    for (int64_t k = 0; k < f->couplings && !s; k++) {
        flow_prefix(prefix, k);
        s = gm_archive_put_layer(archive, prefix, f->net[k]);
    }
    return s;
}

static inline gm_status flow_load(void *shared, gm_context *ctx, gm_archive *archive,
                                  gm_optimizer *optimizer, gm_model **out);

static inline gm_host_family flow_family(void)
{
    gm_host_family family = GM_HOST_FAMILY_INIT;
    family.name = "flow";
    family.loss = flow_loss;
    family.sample = flow_sample;
    family.log_prob = flow_log_prob;
    family.save = flow_save;
    family.load = flow_load;
    family.destroy = flow_destroy;
    return family;
}

static inline gm_status flow_net(gm_layer **out, gm_context *ctx, int64_t inputs, int64_t hidden)
{
    gm_status s = gm_sequence_create(out, ctx);
    if (s) return s;
    s = gm_sequence_add_linear(*out, inputs, hidden);
    if (!s) s = gm_sequence_add_tanh(*out);
    if (!s) s = gm_sequence_add_linear(*out, hidden, 2);
    return s;
}

/* The networks are new ones, or the archive's. */
static inline gm_status flow_parts(flow *f, gm_archive *archive)
{
    gm_status s = gm_params_create(&f->params, f->ctx);
    for (int64_t k = 0; k < f->couplings && !s; k++) {
        char prefix[32];
        flow_prefix(prefix, k);
        s = archive ? gm_archive_get_layer(&f->net[k], archive, prefix)
                    : flow_net(&f->net[k], f->ctx, 1 + f->classes, f->hidden);
        if (!s) s = gm_params_add_all(f->params, prefix, gm_layer_params(f->net[k]));
        const int64_t in[2] = { 1, 1 + f->classes };
        int64_t shape[GM_MAX_RANK];
        int32_t rank;
        if (!s) s = gm_layer_output(f->net[k], 2, in, &rank, shape);
        if (!s && (rank != 2 || shape[1] != 2))
            s = gm_context_fail(f->ctx, GM_E_FORMAT,
                                "flow: a network gives no pairs, expected s, t");
    }
    return s;
}

static inline gm_status flow_make(gm_model **out, gm_context *ctx, const flow *sizes,
                                  gm_archive *archive, gm_optimizer *optimizer)
{
    const gm_host_family family = flow_family();
    gm_model_options options = GM_MODEL_OPTIONS_INIT;
    *out = NULL;
    if (sizes->couplings < 1 || sizes->couplings > FLOW_MOST || sizes->classes < 0 ||
        sizes->classes > 1000)
        return gm_context_fail(ctx, GM_E_FORMAT, "flow: couplings or classes is out of range");
    flow *f = gm_context_allocate(ctx, sizeof *f);
    if (!f) return gm_context_fail(ctx, GM_E_NOMEM, "flow: no memory");
    memset(f, 0, sizeof *f);
    f->ctx = ctx;
    f->couplings = sizes->couplings;
    f->hidden = sizes->hidden;
    f->classes = sizes->classes;
    options.classes = f->classes;
    options.optimizer = optimizer;
    gm_status s = flow_parts(f, archive);
    if (!s) s = gm_model_create(out, ctx, &family, f, 2, f->params, &options);
    if (s) flow_destroy(f);
    return s;
}

static inline gm_status flow_create(gm_model **out, gm_context *ctx, int64_t couplings,
                                    int64_t hidden, int64_t classes, gm_optimizer *optimizer)
{
    flow sizes;
    memset(&sizes, 0, sizeof sizes);
    sizes.couplings = couplings;
    sizes.hidden = hidden;
    sizes.classes = classes;
    return flow_make(out, ctx, &sizes, NULL, optimizer);
}

static inline gm_status flow_load(void *shared, gm_context *ctx, gm_archive *archive,
                                  gm_optimizer *optimizer, gm_model **out)
{
    flow sizes;
    (void)shared;
    memset(&sizes, 0, sizeof sizes);
    gm_status s = gm_archive_get_int(&sizes.couplings, archive, "flow.couplings");
    if (!s) s = gm_archive_get_int(&sizes.hidden, archive, "flow.hidden");
    if (!s) s = gm_archive_get_int(&sizes.classes, archive, "flow.classes");
    return s ? s : flow_make(out, ctx, &sizes, archive, optimizer);
}

#endif
