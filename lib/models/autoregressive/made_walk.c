/* made_walk.c - along the order of a MADE: each column from its conditional, each hidden unit
 * computed once, when all that it sees is there.
 *
 * At place k the columns at places 0 ... k-1 are there, so units of degree k are complete. What is
 * not there yet is zero in the arrays of values, so a unit is a plain product of its row of weights
 * with what lies below it, and no mask is looked at: inputs above its degree are still zero, and so
 * are units. One row costs one pass.
 */
#include <math.h>
#include <string.h>

#include "models/autoregressive/conditionals.h"
#include "models/autoregressive/made_net.h"
#include "models/family.h"

gm_status gm_made_walk_begin(gm_made_net *net)
{
    gm_context *ctx = net->model->ctx;
    int64_t units = 0;
    for (int32_t l = 0; l < net->o.layers; l++) units += net->units[l];
    net->values = (GM_MADE_WALK + 1) * (net->columns * net->classes + units) + 2 * net->width;
    net->places = units + 2 * net->columns + 1;
    net->value = gm_context_allocate(ctx, (size_t)net->values * sizeof *net->value);
    net->place = gm_context_allocate(ctx, (size_t)net->places * sizeof *net->place);
    if (!net->value || !net->place)
        return gm_model_fail(ctx, GM_E_NOMEM, "made: no memory for sampling");
    return GM_OK;
}

void gm_made_walk_end(gm_made_net *net)
{
    gm_context_free(net->model->ctx, net->value, (size_t)net->values * sizeof *net->value);
    gm_context_free(net->model->ctx, net->place, (size_t)net->places * sizeof *net->place);
}

/* Sixteen sums side by side, so that the compiler keeps them in vectors; their order does not hang
 * on anything but n. */
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

static float activate(const gm_made_net *net, float a)
{
    return (float)gm_activation_value(net->o.activation, net->slope, (double)a);
}

/* Lists the units of a layer by degree (a counting sort; `start` has columns + 1 places). */
static void sort_units(const gm_made_net *net, int32_t layer, const int64_t *degrees, int64_t *list,
                       int64_t *start)
{
    memset(start, 0, (size_t)(net->columns + 1) * sizeof *start);
    for (int64_t i = 0; i < net->units[layer]; i++) start[degrees[i]]++;
    for (int64_t d = 0, at = 0; d <= net->columns; d++) {
        const int64_t n = start[d];
        start[d] = at;
        at += n;
    }
    for (int64_t i = 0; i < net->units[layer]; i++) list[start[degrees[i]]++] = i;
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
    /* Of each layer and of the outputs; seen: the connectivity weights, or NULL. */
    const float *weight[GM_MADE_MAX_LAYERS + 1], *seen[GM_MADE_MAX_LAYERS + 1],
        *bias[GM_MADE_MAX_LAYERS + 1];
    const float *direct, *direct_seen; /* or NULL */
    const int64_t *degrees[GM_MADE_MAX_LAYERS];
} state;

static const float *value_of(gm_param *param)
{
    return param ? gm_param_value(param) : NULL;
}

static void begin(const gm_made_net *net, state *s, int64_t n)
{
    float *value = net->value;
    const int64_t *degrees = net->degrees;
    int64_t *list = net->place, *start = net->place + net->places - net->columns - 1;
    s->n = n;
    s->direct = value_of(net->direct);
    s->direct_seen = value_of(net->direct_seen);
    for (int32_t l = 0; l <= net->o.layers; l++) {
        s->weight[l] = value_of(net->weight[l]);
        s->seen[l] = value_of(net->seen[l]);
        s->bias[l] = value_of(net->bias[l]);
        s->size[l] = l ? net->units[l - 1] : net->columns * net->classes;
        s->reach[l] = 0;
        s->value[l] = value;
        memset(value, 0, (size_t)(n * s->size[l]) * sizeof *value);
        value += GM_MADE_WALK * s->size[l];
        s->there[l] = value;
        memset(value, 0, (size_t)s->size[l] * sizeof *value);
        value += s->size[l];
    }
    for (int32_t l = 0; l < net->o.layers; l++) {
        sort_units(net, l, degrees, list, start);
        s->degrees[l] = degrees;
        s->list[l] = list;
        s->next[l] = 0;
        list += net->units[l];
        degrees += net->units[l];
    }
}

/* What the connectivity weights of a unit above layer l add to its bias. */
static float connected(const float *seen, const state *s, int32_t l, int64_t unit)
{
    return seen ? dot(seen + unit * s->size[l], s->there[l], s->reach[l]) : 0;
}

/* All units of degree `place` at most, layer by layer. */
static void complete(const gm_made_net *net, state *s, int64_t place)
{
    for (int32_t l = 0; l < net->o.layers; l++)
        while (s->next[l] < net->units[l] && s->degrees[l][s->list[l][s->next[l]]] <= place) {
            const int64_t unit = s->list[l][s->next[l]++], below = s->reach[l];
            const float *weight = s->weight[l] + unit * s->size[l];
            const float bias = s->bias[l][unit] + connected(s->seen[l], s, l, unit);
            for (int64_t r = 0; r < s->n; r++)
                s->value[l + 1][r * s->size[l + 1] + unit] =
                    activate(net, bias + dot(weight, s->value[l] + r * s->size[l], below));
            s->there[l + 1][unit] = 1;
            if (unit >= s->reach[l + 1]) s->reach[l + 1] = unit + 1;
        }
}

/* The biases of a column's conditional, for all rows. */
static void output_bias(const gm_made_net *net, const state *s, int64_t column, float *bias)
{
    const int32_t top = net->o.layers;
    for (int64_t c = 0; c < net->width; c++) {
        const int64_t o = column * net->width + c;
        bias[c] = s->bias[top][o] + connected(s->seen[top], s, top, o) +
                  connected(s->direct_seen, s, 0, o);
    }
}

/* The raw conditional of a column in row r. */
static void conditional(const gm_made_net *net, const state *s, int64_t column, const float *bias,
                        int64_t r, float *raw)
{
    const int32_t top = net->o.layers;
    const int64_t logs = net->o.kind < GM_CONDITIONAL_GAUSSIAN    ? net->width
                         : net->o.kind == GM_CONDITIONAL_GAUSSIAN ? 1
                                                                  : net->width / 3 * 2;
    for (int64_t c = 0; c < net->width; c++) {
        const int64_t o = column * net->width + c;
        float a = bias[c];
        if (top)
            a += dot(s->weight[top] + o * s->size[top], s->value[top] + r * s->size[top],
                     s->reach[top]);
        if (s->direct)
            a += dot(s->direct + o * s->size[0], s->value[0] + r * s->size[0], s->reach[0]);
        raw[c] = c < logs ? a : (float)fmin(fmax((double)a, -GM_MADE_LOG_SCALE), GM_MADE_LOG_SCALE);
    }
}

/* The order of a walk: known columns first, each part as the model's order has it. */
static const int64_t *order_of(const gm_made_net *net, const uint8_t *known)
{
    int64_t *out = net->place + net->places - 2 * net->columns - 1, n = 0;
    for (int pass = 1; pass >= 0; pass--)
        for (int64_t k = 0; k < net->columns; k++)
            if ((known[net->order[k]] != 0) == pass) out[n++] = net->order[k];
    return out;
}

void gm_made_walk_rows(gm_made_net *net, float *rows, const int64_t *which, int64_t n,
                       const uint8_t *known, int any_order, double *log_known, int draw)
{
    const int64_t size = net->columns;
    float *raw = net->value + net->values - net->width, *bias = raw - net->width;
    const int64_t *order = known && any_order ? order_of(net, known) : net->order;
    int64_t places = size;
    state s;
    begin(net, &s, n);
    if (!draw) { /* what follows the last known column is not asked for */
        int64_t last = 0;
        for (int64_t k = 0; k < size; k++)
            for (int64_t r = 0; r < n; r++)
                if (known && known[r * size + order[k]]) last = k + 1;
        places = last;
    }
    for (int64_t k = 0; k < places; k++) {
        const int64_t column = order[k], end = (column + 1) * net->classes;
        complete(net, &s, k);
        output_bias(net, &s, column, bias);
        for (int64_t r = 0; r < n; r++) {
            float *row = rows + (which ? which[r] : r) * size, *in = s.value[0] + r * s.size[0];
            const int given = known && known[r * size + column];
            if (!given || log_known) conditional(net, &s, column, bias, r, raw);
            if (given && log_known)
                log_known[r] +=
                    gm_conditional_log_prob(net->o.kind, net->width, raw, (double)row[column]);
            if (!given && draw)
                row[column] = gm_conditional_next(net->model->rng, net->o.kind, net->width, raw);
            if (net->classes > 1)
                in[column * net->classes + (int64_t)row[column]] = 1;
            else
                in[column] = row[column];
        }
        for (int64_t i = end - net->classes; i < end; i++) s.there[0][i] = 1;
        if (end > s.reach[0]) s.reach[0] = end;
    }
}
