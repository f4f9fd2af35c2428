/* made_walk.c - along the order of a MADE: each column from its conditional, each hidden unit computed once, when all that it
 * sees is there.
 *
 * At place k the columns at places 0 ... k-1 are there, so units of degree k are complete. What is not there yet is zero in the
 * arrays of values, so a unit is a plain product of its row of weights with what lies below it, and no mask is looked at:
 * inputs above its degree are still zero, and so are units. One row costs one pass.
 */
#include <math.h>
#include <string.h>

#include "models/model.h"

gm_status gm_made_walk_begin(gm_made_walk *w)
{
    gm_context *ctx = w->model->ctx;
    int64_t units = 0;
    for (int32_t l = 0; l < w->layers; l++) units += w->units[l];
    w->values = (GM_MADE_WALK + 1) * (w->columns * w->classes + units) + 2 * w->width;
    w->places = units + 2 * w->columns + 1;
    w->value = gm_context_allocate(ctx, (size_t)w->values * sizeof *w->value);
    w->place = gm_context_allocate(ctx, (size_t)w->places * sizeof *w->place);
    if (!w->value || !w->place)
        return gm_model_fail(ctx, GM_E_NOMEM, "made: no memory for sampling");
    return GM_OK;
}

void gm_made_walk_end(gm_made_walk *w)
{
    if (!w->model) return;
    gm_context_free(w->model->ctx, w->value, (size_t)w->values * sizeof *w->value);
    gm_context_free(w->model->ctx, w->place, (size_t)w->places * sizeof *w->place);
}

/* Sixteen sums side by side, so that the compiler keeps them in vectors; their order does not hang on anything but n. */
static float dot(const float *a, const float *b, int64_t n)
{
    enum { LANES = 16 };
    float sum[LANES] = { 0 }, rest = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++) rest += a[i] * b[i];
    for (int step = LANES / 2; step; step /= 2)
        for (int k = 0; k < step; k++) sum[k] += sum[k + step];
    return sum[0] + rest;
}

static float activate(const gm_made_walk *w, float a)
{
    const double x = (double)a;
    switch (w->activation) {
    case GM_ACTIVATION_RELU: return a > 0 ? a : 0;
    case GM_ACTIVATION_LEAKY_RELU: return a > 0 ? a : (float)(w->slope * x);
    case GM_ACTIVATION_ELU: return a > 0 ? a : (float)(w->slope * expm1(x));
    case GM_ACTIVATION_TANH: return (float)tanh(x);
    case GM_ACTIVATION_SIGMOID: return (float)(1 / (1 + exp(-x)));
    case GM_ACTIVATION_SOFTPLUS: return (float)(fmax(x, 0) + log1p(exp(-fabs(x))));
    default: return a;
    }
}

/* Lists the units of a layer by degree (a counting sort; `start` has columns + 1 places). */
static void sort_units(const gm_made_walk *w, int32_t layer, int64_t *list, int64_t *start)
{
    const int64_t *degrees = w->degrees[layer];
    memset(start, 0, (size_t)(w->columns + 1) * sizeof *start);
    for (int64_t i = 0; i < w->units[layer]; i++) start[degrees[i]]++;
    for (int64_t d = 0, at = 0; d <= w->columns; d++) {
        const int64_t n = start[d];
        start[d] = at;
        at += n;
    }
    for (int64_t i = 0; i < w->units[layer]; i++) list[start[degrees[i]]++] = i;
}

/* The state of one walk of n rows. */
typedef struct state {
    int64_t n;
    float *value[GM_MADE_MAX_LAYERS + 1]; /* inputs, then each layer: [n, size] */
    float *there[GM_MADE_MAX_LAYERS + 1]; /* 1 for each that is there: [size] */
    int64_t size[GM_MADE_MAX_LAYERS + 1];
    int64_t reach[GM_MADE_MAX_LAYERS + 1]; /* beyond are only zeros */
    const int64_t *list[GM_MADE_MAX_LAYERS];
    int64_t next[GM_MADE_MAX_LAYERS]; /* how many of the list are there */
} state;

static void begin(const gm_made_walk *w, state *s, int64_t n)
{
    float *value = w->value;
    int64_t *list = w->place, *start;
    s->n = n;
    for (int32_t l = 0; l <= w->layers; l++) {
        s->size[l] = l ? w->units[l - 1] : w->columns * w->classes;
        s->reach[l] = 0;
        s->value[l] = value;
        memset(value, 0, (size_t)(n * s->size[l]) * sizeof *value);
        value += GM_MADE_WALK * s->size[l];
        s->there[l] = value;
        memset(value, 0, (size_t)s->size[l] * sizeof *value);
        value += s->size[l];
    }
    start = w->place + w->places - w->columns - 1;
    for (int32_t l = 0; l < w->layers; l++) {
        sort_units(w, l, list, start);
        s->list[l] = list;
        s->next[l] = 0;
        list += w->units[l];
    }
}

/* What the connectivity weights of a unit above layer l add to its bias. */
static float connected(const float *seen, const state *s, int32_t l, int64_t unit)
{
    return seen ? dot(seen + unit * s->size[l], s->there[l], s->reach[l]) : 0;
}

/* All units of degree `place` at most, layer by layer. */
static void complete(const gm_made_walk *w, state *s, int64_t place)
{
    for (int32_t l = 0; l < w->layers; l++)
        while (s->next[l] < w->units[l] && w->degrees[l][s->list[l][s->next[l]]] <= place) {
            const int64_t unit = s->list[l][s->next[l]++], below = s->reach[l];
            const float *weight = w->weight[l] + unit * s->size[l];
            const float bias = w->bias[l][unit] + connected(w->seen[l], s, l, unit);
            for (int64_t r = 0; r < s->n; r++)
                s->value[l + 1][r * s->size[l + 1] + unit] =
                    activate(w, bias + dot(weight, s->value[l] + r * s->size[l], below));
            s->there[l + 1][unit] = 1;
            if (unit >= s->reach[l + 1]) s->reach[l + 1] = unit + 1;
        }
}

/* The biases of a column's conditional, for all rows. */
static void output_bias(const gm_made_walk *w, const state *s, int64_t column, float *bias)
{
    for (int64_t c = 0; c < w->width; c++) {
        const int64_t o = column * w->width + c;
        bias[c] = w->bias[w->layers][o] + connected(w->seen[w->layers], s, w->layers, o) +
                  connected(w->direct_seen, s, 0, o);
    }
}

/* The raw conditional of a column in row r. */
static void conditional(const gm_made_walk *w, const state *s, int64_t column, const float *bias, int64_t r,
                        float *raw)
{
    const int32_t top = w->layers;
    const int64_t logs = w->kind < GM_CONDITIONAL_GAUSSIAN ? w->width
                         : w->kind == GM_CONDITIONAL_GAUSSIAN ? 1
                                                               : w->width / 3 * 2;
    for (int64_t c = 0; c < w->width; c++) {
        const int64_t o = column * w->width + c;
        float a = bias[c];
        if (top) a += dot(w->weight[top] + o * s->size[top], s->value[top] + r * s->size[top], s->reach[top]);
        if (w->direct) a += dot(w->direct + o * s->size[0], s->value[0] + r * s->size[0], s->reach[0]);
        raw[c] = c < logs ? a : (float)fmin(fmax((double)a, -w->log_scale), w->log_scale);
    }
}

/* The order of a walk: known columns first, each part as the model's order has it. */
static const int64_t *order_of(const gm_made_walk *w, const uint8_t *known)
{
    int64_t *out = w->place + w->places - 2 * w->columns - 1, n = 0;
    for (int pass = 1; pass >= 0; pass--)
        for (int64_t k = 0; k < w->columns; k++)
            if ((known[w->order[k]] != 0) == pass) out[n++] = w->order[k];
    return out;
}

void gm_made_walk_rows(gm_made_walk *w, float *rows, const int64_t *which, int64_t n,
                       const uint8_t *known, int any_order, double *log_known, int draw)
{
    const int64_t size = w->columns;
    float *raw = w->value + w->values - w->width, *bias = raw - w->width;
    const int64_t *order = known && any_order ? order_of(w, known) : w->order;
    int64_t places = size;
    state s;
    begin(w, &s, n);
    if (!draw) { /* what follows the last known column is not asked for */
        int64_t last = 0;
        for (int64_t k = 0; k < size; k++)
            for (int64_t r = 0; r < n; r++)
                if (known && known[r * size + order[k]]) last = k + 1;
        places = last;
    }
    for (int64_t k = 0; k < places; k++) {
        const int64_t column = order[k], end = (column + 1) * w->classes;
        complete(w, &s, k);
        output_bias(w, &s, column, bias);
        for (int64_t r = 0; r < n; r++) {
            float *row = rows + (which ? which[r] : r) * size, *in = s.value[0] + r * s.size[0];
            const int given = known && known[r * size + column];
            if (!given || log_known) conditional(w, &s, column, bias, r, raw);
            if (given && log_known)
                log_known[r] += gm_conditional_log_prob(w->kind, w->width, raw, (double)row[column]);
            if (!given && draw) row[column] = gm_conditional_next(w->model->rng, w->kind, w->width, raw);
            if (w->classes > 1) in[column * w->classes + (int64_t)row[column]] = 1;
            else in[column] = row[column];
        }
        for (int64_t i = end - w->classes; i < end; i++) s.there[0][i] = 1;
        if (end > s.reach[0]) s.reach[0] = end;
    }
}
