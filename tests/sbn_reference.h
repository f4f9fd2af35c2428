/* sbn_reference.h - sigmoid belief networks by plain loops in double, for the suites of gm/sbn.h: every unit on its own, all
 * states enumerated, all weights in one array in the order of the model's parameters. */
#ifndef GM_TESTS_SBN_REFERENCE_H
#define GM_TESTS_SBN_REFERENCE_H

#include "nets.h"

#define REF_UNITS 32 /* of a layer */
#define REF_LAYERS (GM_SBN_MAX_LAYERS + 1)

typedef struct ref {
    gm_params *params;
    int top;
    int64_t size[REF_LAYERS];
    int64_t hidden, count;
    double *w;
} ref;

/* States of all layers, visible first. */
typedef double ref_state[REF_LAYERS][REF_UNITS];

static inline ref ref_make(gm_sbn *sbn)
{
    ref r = { gm_model_params(gm_sbn_model(sbn)), gm_sbn_layers(sbn), { 0 }, gm_sbn_hidden_units(sbn), 0, NULL };
    for (int l = 0; l <= r.top; l++) r.size[l] = gm_sbn_layer_size(sbn, l);
    float *w = nets_weights(gm_sbn_model(sbn), &r.count);
    r.w = malloc((size_t)r.count * sizeof *r.w);
    ck_assert_ptr_nonnull(r.w);
    for (int64_t i = 0; i < r.count; i++) r.w[i] = (double)w[i];
    free(w);
    return r;
}

/* The values of a parameter; NULL: there is none of that name. columns may be NULL. */
static inline const double *ref_find(const ref *r, const char *format, int l, int m, int64_t *columns)
{
    char name[32];
    int64_t at = 0;
    if (m) snprintf(name, sizeof name, "p%d.from%d.weight", l, m);
    else snprintf(name, sizeof name, format, l);
    for (int64_t i = 0; i < gm_params_count(r->params); i++) {
        gm_param *p = gm_params_get(r->params, i);
        if (!strcmp(gm_params_name(r->params, i), name)) {
            if (columns) *columns = gm_param_rank(p) == 2 ? gm_param_shape(p)[1] : 1;
            return r->w + at;
        }
        at += gm_param_count(p);
    }
    return NULL;
}

static inline double ref_dot(const double *w, const double *s, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += w[j] * s[j];
    return sum;
}

/* What a unit hears from the layer `from`, by way of tanh units where there are any. */
static inline double ref_hear(const ref *r, char kind, int l, int64_t i, const double *from, int64_t n)
{
    int64_t in = 0;
    const double *w = ref_find(r, kind == 'p' ? "p%d.weight" : "q%d.weight", l, 0, &in);
    const double *b = ref_find(r, kind == 'p' ? "p%d.bias" : "q%d.bias", l, 0, NULL);
    const double *t = ref_find(r, kind == 'p' ? "p%d.tanh.weight" : "q%d.tanh.weight", l, 0, NULL);
    const double *tb = ref_find(r, kind == 'p' ? "p%d.tanh.bias" : "q%d.tanh.bias", l, 0, NULL);
    double a = b[i];
    for (int64_t k = 0; k < in; k++)
        a += w[i * in + k] * (t ? tanh(tb[k] + ref_dot(t + k * n, from, n)) : from[k]);
    return a;
}

static inline double ref_log_bit(double logit, double bit)
{
    const double a = bit > 0 ? -logit : logit; /* -log(1 + e^a) */
    return a > 0 ? -a - log1p(exp(-a)) : -log1p(exp(a));
}

/* log p of one layer given those above. */
static inline double ref_log_layer(const ref *r, int l, ref_state s)
{
    double sum = 0;
    for (int64_t i = 0; i < r->size[l]; i++) {
        double a = l == r->top ? ref_find(r, "p.top", 0, 0, NULL)[i]
                               : ref_hear(r, 'p', l, i, s[l + 1], r->size[l + 1]);
        for (int m = l + 2; m <= r->top; m++) {
            const double *w = ref_find(r, "", l, m, NULL);
            if (w) a += ref_dot(w + i * r->size[m], s[m], r->size[m]);
        }
        const double *own = ref_find(r, "p%d.lateral", l, 0, NULL);
        if (own) a += ref_dot(own + i * r->size[l], s[l], i);
        sum += ref_log_bit(a, s[l][i]);
    }
    return sum;
}

static inline double ref_log_p(const ref *r, ref_state s)
{
    double sum = 0;
    for (int l = 0; l <= r->top; l++) sum += ref_log_layer(r, l, s);
    return sum;
}

static inline double ref_log_q(const ref *r, ref_state s)
{
    double sum = 0;
    for (int l = 1; l <= r->top; l++)
        for (int64_t i = 0; i < r->size[l]; i++)
            sum += ref_log_bit(ref_hear(r, 'q', l, i, s[l - 1], r->size[l - 1]), s[l][i]);
    return sum;
}

/* State number n of the hidden units: unit j, layer 1 first, is bit j. hidden may be NULL. */
static inline void ref_spell(const ref *r, int64_t n, ref_state s, float *hidden)
{
    int64_t j = 0;
    for (int l = 1; l <= r->top; l++)
        for (int64_t i = 0; i < r->size[l]; i++, j++) {
            s[l][i] = (double)(n >> j & 1);
            if (hidden) hidden[j] = (float)s[l][i];
        }
}

static inline void ref_row(const ref *r, const float *row, ref_state s)
{
    for (int64_t i = 0; i < r->size[0]; i++) s[0][i] = (double)row[i];
}

static inline double ref_log_sum(const double *f, int64_t n)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, f[i]);
    for (int64_t i = 0; i < n; i++) sum += exp(f[i] - most);
    return most + log(sum);
}

/* Every weight, uniform in [-spread, spread]; none above the diagonal of lateral connections. */
static inline void ref_shake(gm_sbn *sbn, double spread)
{
    gm_params *params = gm_model_params(gm_sbn_model(sbn));
    uint32_t seed = 12345;
    for (int64_t p = 0; p < gm_params_count(params); p++) {
        gm_param *w = gm_params_get(params, p);
        const int lateral = strstr(gm_params_name(params, p), "lateral") != NULL;
        for (int64_t i = 0; i < gm_param_count(w); i++) {
            seed = seed * 1664525u + 1013904223u;
            const int64_t n = lateral ? gm_param_shape(w)[1] : 1;
            gm_param_value(w)[i] = lateral && i % n >= i / n
                                       ? 0
                                       : (float)(spread * (2 * (double)(seed >> 8) / 16777216 - 1));
        }
    }
}

/* Shapes of nets that the suites share: two plain layers; and everything at once. */
#define REF_SHAPES 2
static inline gm_sbn *ref_net(gm_context *ctx, int shape, int64_t visible, int32_t estimator, int64_t samples,
                              gm_optimizer *optimizer)
{
    static const int64_t plain[2] = { 3, 2 }, deep[3] = { 2, 2, 1 }, tanh_units[3] = { 3, 0, 2 };
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layer_count = shape ? 3 : 2;
    o.layers = shape ? deep : plain;
    o.tanh_units = shape ? tanh_units : NULL;
    o.lateral = o.skip = shape;
    o.estimator = estimator;
    o.samples = samples;
    o.baseline_units = 4;
    o.optimizer = optimizer;
    support_ok(ctx, gm_sbn_create(&sbn, ctx, visible, &o));
    ref_shake(sbn, 0.9);
    return sbn;
}

#endif
