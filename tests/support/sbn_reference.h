/* sbn_reference.h - sigmoid belief networks by plain loops in double, for the suites of gm/sbn.h:
 * every unit on its own, all states enumerated, all weights in one array in the order of the
 * model's parameters. */
#ifndef GM_TESTS_SBN_REFERENCE_H
#define GM_TESTS_SBN_REFERENCE_H

#include "nets.h"

#define REF_UNITS 32 /* of a layer */
#define REF_LAYERS (GM_SBN_MAX_LAYERS + 1)

/* What a layer hears from its neighbour, by way of tanh units where there are any (NULL: none). */
typedef struct ref_link {
    const double *w, *b, *tanh_w, *tanh_b;
    int64_t in; /* columns of w */
} ref_link;

typedef struct ref {
    int top;
    int64_t size[REF_LAYERS];
    int64_t hidden, count;
    double *w;
    const double *top_bias;
    ref_link p[REF_LAYERS], q[REF_LAYERS];
    const double *from[REF_LAYERS][REF_LAYERS], *lateral[REF_LAYERS]; /* NULL: none */
} ref;

/* States of all layers, visible first. */
typedef double ref_state[REF_LAYERS][REF_UNITS];

/* The values of a parameter; NULL: there is none of that name. */
static inline const double *ref_find(const gm_params *params, const double *w, const char *format,
                                     int l, int m, int64_t *columns)
{
    char name[64];
    snprintf(name, sizeof name, format, l, m);
    for (int64_t i = 0; i < gm_params_count(params); i++) {
        gm_param *p = gm_params_get(params, i);
        if (!strcmp(gm_params_name(params, i), name)) {
            if (columns) *columns = gm_param_shape(p)[1];
            return w;
        }
        w += gm_param_count(p);
    }
    return NULL;
}

static inline ref_link ref_find_link(const gm_params *params, const double *w, char kind, int l)
{
    const char *const names[2][4] = {
        { "p%d.weight", "p%d.bias", "p%d.tanh.weight", "p%d.tanh.bias" },
        { "q%d.weight", "q%d.bias", "q%d.tanh.weight", "q%d.tanh.bias" },
    };
    const char *const *name = names[kind == 'q'];
    ref_link k = { NULL, NULL, NULL, NULL, 0 };
    k.w = ref_find(params, w, name[0], l, 0, &k.in);
    k.b = ref_find(params, w, name[1], l, 0, NULL);
    k.tanh_w = ref_find(params, w, name[2], l, 0, NULL);
    k.tanh_b = ref_find(params, w, name[3], l, 0, NULL);
    return k;
}

/* free(r.w) when done. */
static inline ref ref_make(gm_sbn *sbn)
{
    ref r;
    const gm_params *params = gm_model_params(gm_sbn_model(sbn));
    memset(&r, 0, sizeof r);
    r.top = gm_sbn_layers(sbn);
    r.hidden = gm_sbn_hidden_units(sbn);
    for (int l = 0; l <= r.top; l++) r.size[l] = gm_sbn_layer_size(sbn, l);
    float *w = nets_weights(gm_sbn_model(sbn), &r.count);
    r.w = malloc((size_t)r.count * sizeof *r.w);
    ck_assert_ptr_nonnull(r.w);
    for (int64_t i = 0; i < r.count; i++) r.w[i] = (double)w[i];
    free(w);
    r.top_bias = ref_find(params, r.w, "p.top", 0, 0, NULL);
    for (int l = 0; l <= r.top; l++) {
        r.p[l] = ref_find_link(params, r.w, 'p', l);
        r.q[l] = ref_find_link(params, r.w, 'q', l);
        r.lateral[l] = ref_find(params, r.w, "p%d.lateral", l, 0, NULL);
        for (int m = l + 2; m <= r.top; m++)
            r.from[l][m] = ref_find(params, r.w, "p%d.from%d.weight", l, m, NULL);
    }
    return r;
}

static inline double ref_dot(const double *w, const double *s, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += w[j] * s[j];
    return sum;
}

static inline double ref_hear(const ref_link *k, int64_t i, const double *from, int64_t n)
{
    double a = k->b[i];
    for (int64_t j = 0; j < k->in; j++)
        a += k->w[i * k->in + j] *
             (k->tanh_w ? tanh(k->tanh_b[j] + ref_dot(k->tanh_w + j * n, from, n)) : from[j]);
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
        double a = l == r->top ? r->top_bias[i] : ref_hear(&r->p[l], i, s[l + 1], r->size[l + 1]);
        for (int m = l + 2; m <= r->top; m++)
            if (r->from[l][m]) a += ref_dot(r->from[l][m] + i * r->size[m], s[m], r->size[m]);
        if (r->lateral[l]) a += ref_dot(r->lateral[l] + i * r->size[l], s[l], i);
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
            sum += ref_log_bit(ref_hear(&r->q[l], i, s[l - 1], r->size[l - 1]), s[l][i]);
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
static inline gm_sbn *ref_net(gm_context *ctx, int shape, int64_t visible, int32_t estimator,
                              int64_t samples, gm_optimizer *optimizer)
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
    ref_shake(sbn, 0.6);
    return sbn;
}

#endif
