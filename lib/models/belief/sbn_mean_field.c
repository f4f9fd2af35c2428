/* sbn_mean_field.c - the mean field of a sigmoid belief network (Saul, Jaakkola and Jordan 1996),
 * row by row, and the slope of its bound in the weights.
 *
 * With E over the factorial q, mu_i the mean of unit i (the bit itself for a visible one), and
 * z_i = b_i + sum_j w_ij s_j,
 *
 *     A_i   = E e^(-xi_i z_i) = e^(-xi_i b_i) prod_j (1 - mu_j + mu_j e^(-xi_i w_ij)),
 *     B_i   = E e^((1 - xi_i) z_i) likewise,
 *     bound = sum_i [(mu_i - xi_i) E z_i - log (A_i + B_i)] + sum_(hidden i) H(mu_i).
 *
 * xi_i: - xi_i E z_i - log (A_i + B_i) is concave, and its slope is at least 0 at xi_i = 0 and at
 * most 0 at 1. mu_j: A_i and B_i are affine in mu_j, so - log (A_i + B_i) is convex, above its
 * tangent; the bound with tangents instead has its maximum at mu_j = sigmoid(their slope), where
 * the bound is at least as high as it was: the fixed-point equation, one unit at a time, only
 * rises. */
#include <math.h>
#include <string.h>

#include "models/belief/bits.h"
#include "models/belief/sbn_net.h"
#include "models/frozen.h"
#include "models/numeric.h"

#define MOST_WEIGHT 400.0
#define XI_STEPS 60
#define XI_EXACT 1e-15 /* nats that a better xi would bring */

/* What is kept of a unit: its connections are [edge, edge + to - from), its parents from <= j < to.
 */
typedef struct unit {
    gm_sbn_range parents, children;
    int64_t edge;
    double mu, xi, mean; /* mean: E z */
    double a, b, part;   /* log A, log B, B / (A + B) */
} unit;

typedef struct field {
    gm_sbn *sbn;
    gm_sbn_graph g;
    unit *unit;           /* in the order of the matrix */
    double *w, *up, *low; /* of each connection: w, e^w, e^(-xi w) */
    float *weight, *bias;
    const gm_sbn_mean_field_options *o;
    int64_t row, updates;
} field;

int64_t gm_sbn_field_room(const gm_sbn *sbn)
{
    gm_sbn_graph g;
    gm_sbn_describe(sbn, &g);
    const int64_t wide = (int64_t)(sizeof(double) / sizeof(float));
    const int64_t units = g.units * (int64_t)(sizeof(unit) / sizeof(double)) + 3 * gm_sbn_edges(&g);
    return units * wide + (g.units * g.units + g.units + 1) / 2 * 2;
}

static gm_status open_field(field *f, gm_sbn *sbn, float *room)
{
    gm_sbn_graph *g = &f->g;
    gm_status status = GM_OK;
    gm_sbn_describe(sbn, g);
    const int64_t count = gm_sbn_edges(g), units = g->units;
    f->sbn = sbn;
    f->unit = (unit *)(void *)room;
    f->w = (double *)(void *)(f->unit + units);
    f->up = f->w + count;
    f->low = f->up + count;
    f->weight = (float *)(void *)(f->low + count);
    f->bias = f->weight + units * units;
    GM_TRY(gm_sbn_finite(sbn, "mean_field", f->weight, f->bias));
    int64_t edge = 0;
    for (int32_t l = g->top; l >= 0; l--)
        for (int64_t i = g->place[l]; i < g->place[l] + g->size[l]; i++) {
            unit *u = &f->unit[i];
            u->parents = gm_sbn_parents(g, l, i - g->place[l]);
            u->children = l ? gm_sbn_children(g, l, i - g->place[l]) : (gm_sbn_range){ 0, 0 };
            u->edge = edge;
            for (int64_t j = u->parents.from; j < u->parents.to; j++, edge++) {
                f->w[edge] = (double)f->weight[i * units + j];
                f->up[edge] = exp(f->w[edge]);
                if (fabs(f->w[edge]) > MOST_WEIGHT)
                    GM_TRY(gm_model_fail(
                        gm_sbn_model(sbn)->ctx, GM_E_NUMERIC,
                        "sbn: mean_field: a weight of the net is %g, expected up to %g either way",
                        f->w[edge], MOST_WEIGHT));
            }
        }
out:
    return status;
}

/* A product of many factors as a logarithm. */
typedef struct product {
    double value, log_sum;
} product;

static inline void times(product *p, double factor)
{
    p->value *= factor;
    if (p->value > 1e-100 && p->value < 1e100) return;
    p->log_sum += log(p->value);
    p->value = 1;
}

static double log_of(const product *p)
{
    return p->log_sum + log(p->value);
}

static double log_sum(double a, double b)
{
    return fmax(a, b) + log1p(exp(-fabs(a - b)));
}

static void weigh(unit *u)
{
    u->part = 1 / (1 + exp(u->a - u->b));
}

/* What unit u has at this xi; slope and curvature of xi E z + log (A + B) there. */
static void set_xi(field *f, unit *u, double xi, double *slope, double *curve)
{
    const int64_t parents = u->parents.to - u->parents.from;
    const unit *parent = f->unit + u->parents.from;
    const double *w = f->w + u->edge, *up = f->up + u->edge, b = (double)f->bias[u - f->unit];
    double *low = f->low + u->edge, mean[2] = { b, b }, variance[2] = { 0, 0 };
    product factors[2] = { { 1, 0 }, { 1, 0 } };
    for (int64_t j = 0; j < parents; j++) {
        const double mu = parent[j].mu;
        low[j] = exp(-xi * w[j]);
        const double e[2] = { low[j], low[j] * up[j] };
        for (int k = 0; k < 2;
             k++) { /* the parent's mean where states weigh e^(-xi z), e^((1 - xi) z) more */
            const double factor = 1 - mu + mu * e[k], tilted = mu * e[k] / factor;
            times(&factors[k], factor);
            mean[k] += w[j] * tilted;
            variance[k] += w[j] * w[j] * tilted * (1 - tilted);
        }
    }
    u->xi = xi;
    u->a = -xi * b + log_of(&factors[0]);
    u->b = (1 - xi) * b + log_of(&factors[1]);
    weigh(u);
    const double apart = mean[1] - mean[0];
    *slope = u->mean - mean[0] - u->part * apart;
    *curve = (1 - u->part) * variance[0] + u->part * variance[1] +
             u->part * (1 - u->part) * apart * apart;
}

/* Newton's steps inside a bracket that halves at worst. */
static void update_xi(field *f, unit *u)
{
    double low = 0, high = 1, slope, curve;
    const double first = u->xi;
    if (u->parents.to == u->parents.from) return; /* exact for any xi */
    set_xi(f, u, first, &slope, &curve);
    const double before = first * u->mean + log_sum(u->a, u->b);
    for (int step = 0; step < XI_STEPS && slope * slope > XI_EXACT * curve && high - low > XI_EXACT;
         step++) {
        if (slope > 0)
            high = u->xi;
        else
            low = u->xi;
        double next = u->xi - slope / curve;
        if (!(next > low && next < high)) next = 0.5 * (low + high);
        if (next == u->xi) break;
        set_xi(f, u, next, &slope, &curve);
    }
    if (u->xi * u->mean + log_sum(u->a, u->b) > before)
        set_xi(f, u, first, &slope, &curve); /* rounding */
}

static int64_t edge_of(const unit *child, int64_t parent)
{
    return child->edge + parent - child->parents.from;
}

static void update_mu(field *f, int64_t j)
{
    unit *u = &f->unit[j];
    const double old = u->mu;
    double slope = u->mean;
    for (int64_t c = u->children.from; c < u->children.to; c++) {
        const unit *child = &f->unit[c];
        const int64_t edge = edge_of(child, j);
        const double low = f->low[edge], high = low * f->up[edge];
        slope += (child->mu - child->xi) * f->w[edge] -
                 (1 - child->part) * (low - 1) / (1 - old + old * low) -
                 child->part * (high - 1) / (1 - old + old * high);
    }
    const double mu = 1 / (1 + exp(-slope));
    u->mu = mu;
    for (int64_t c = u->children.from; c < u->children.to; c++) {
        unit *child = &f->unit[c];
        const int64_t edge = edge_of(child, j);
        const double low = f->low[edge], high = low * f->up[edge];
        child->mean += f->w[edge] * (mu - old);
        child->a += log((1 - mu + mu * low) / (1 - old + old * low));
        child->b += log((1 - mu + mu * high) / (1 - old + old * high));
        weigh(child);
    }
}

static double entropy(double mu)
{
    double sum = 0;
    if (mu > 0) sum -= mu * log(mu);
    if (mu < 1) sum -= (1 - mu) * log1p(-mu);
    return sum;
}

static double bound_of(const field *f)
{
    double sum = 0;
    for (int64_t i = 0; i < f->g.units; i++) {
        const unit *u = &f->unit[i];
        sum += (u->mu - u->xi) * u->mean - log_sum(u->a, u->b);
        if (i < f->g.hidden) sum += entropy(u->mu);
    }
    return sum;
}

static void begin_row(field *f, const float *row, const double *means)
{
    const gm_sbn_graph *g = &f->g;
    double slope, curve;
    for (int32_t l = 0; l <= g->top; l++)
        for (int64_t i = 0; i < g->size[l]; i++)
            f->unit[g->place[l] + i].mu = l ? means[g->column[l] + i] : (double)row[i];
    for (int64_t i = 0; i < g->units; i++) {
        unit *u = &f->unit[i];
        u->mean = (double)f->bias[i];
        for (int64_t j = u->parents.from; j < u->parents.to; j++)
            u->mean += f->w[edge_of(u, j)] * f->unit[j].mu;
        set_xi(f, u, 0.5, &slope, &curve);
    }
}

static gm_status tell(field *f)
{
    f->updates++;
    if (!f->o->on_update || !f->o->on_update(f->o->user, f->row, f->updates, bound_of(f)))
        return GM_OK;
    return gm_model_fail(gm_sbn_model(f->sbn)->ctx, GM_E_CANCELLED,
                         "sbn: mean_field: stopped at row %lld, update %lld", (long long)f->row,
                         (long long)f->updates);
}

static gm_status solve_row(field *f, double *bound, int64_t *iterations)
{
    double last = bound_of(f), now = last;
    gm_status status = GM_OK;
    int64_t made = 0;
    f->updates = 0;
    while (made < f->o->iterations) {
        for (int64_t i = 0; i < f->g.units; i++) {
            update_xi(f, &f->unit[i]);
            GM_TRY(tell(f));
        }
        for (int64_t j = 0; j < f->g.hidden; j++) {
            update_mu(f, j);
            GM_TRY(tell(f));
        }
        now = bound_of(f);
        made++;
        if (!(now - last > f->o->tolerance)) break;
        last = now;
    }
    *bound = now;
    if (iterations) *iterations = made;
out:
    return status;
}

/* The bound's slope in each weight and bias, with mu and xi where they are: they are stationary, or
 * nearly, so that they need not be followed. */
static void add_slopes(const field *f, double *weight, double *bias)
{
    for (int64_t i = 0; i < f->g.units; i++) {
        const unit *u = &f->unit[i];
        bias[i] += u->mu - u->part;
        for (int64_t j = u->parents.from; j < u->parents.to; j++) {
            const int64_t edge = edge_of(u, j);
            const double mu = f->unit[j].mu, low = f->low[edge], high = low * f->up[edge];
            weight[i * f->g.units + j] +=
                mu * (u->mu - u->xi + (1 - u->part) * u->xi * low / (1 - mu + mu * low) -
                      u->part * (1 - u->xi) * high / (1 - mu + mu * high));
        }
    }
}

gm_status gm_sbn_field(gm_sbn *sbn, const float *rows, int64_t n,
                       const gm_sbn_mean_field_options *o, double *means, double *bound,
                       int64_t *iterations, double *slopes, float *room)
{
    field f = { .o = o };
    gm_status status;
    GM_TRY(open_field(&f, sbn, room));
    const int64_t hidden = f.g.hidden, units = f.g.units;
    for (int64_t r = 0; r < n; r++) {
        double *own = means + r * hidden;
        for (int64_t j = 0; !o->go_on && j < hidden; j++) own[j] = 0.5;
        f.row = r;
        begin_row(&f, rows + r * f.g.size[0], own);
        GM_TRY(solve_row(&f, &bound[r], iterations ? &iterations[r] : NULL));
        for (int32_t l = 1; l <= f.g.top; l++)
            for (int64_t i = 0; i < f.g.size[l]; i++)
                own[f.g.column[l] + i] = f.unit[f.g.place[l] + i].mu;
        if (slopes) add_slopes(&f, slopes, slopes + units * units);
        GM_TRY(gm_model_progress(gm_sbn_model(sbn)->ctx, "sbn: mean_field", o->on_progress, o->user,
                                 r + 1, n));
    }
out:
    return status;
}

static gm_status check(gm_sbn *sbn, const float *rows, int64_t n,
                       const gm_sbn_mean_field_options *o, const double *means, const double *bound)
{
    gm_context *ctx = gm_sbn_model(sbn)->ctx;
    const int64_t hidden = gm_sbn_hidden_units(sbn);
    if (!rows || !means || !bound || n < 1)
        return gm_model_fail(
            ctx, GM_E_INVALID,
            "sbn: mean_field: an array is NULL, or count is %lld, expected at least 1",
            (long long)n);
    if (o->iterations < 1)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "sbn: mean_field: iterations is %lld, expected at least 1",
                             (long long)o->iterations);
    if (!(o->tolerance >= 0))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "sbn: mean_field: tolerance is %g, expected at least 0", o->tolerance);
    if (o->go_on != 0 && o->go_on != 1)
        return gm_model_fail(ctx, GM_E_INVALID, "sbn: mean_field: go_on is %d, expected 0 or 1",
                             (int)o->go_on);
    if (gm_sbn_has_tanh(sbn))
        return gm_model_fail(ctx, GM_E_UNSUPPORTED,
                             "sbn: mean_field: the net has tanh units; the input of a unit must be "
                             "linear in the others");
    for (int64_t i = 0; o->go_on && i < n * hidden; i++)
        if (!(means[i] >= 0 && means[i] <= 1))
            return gm_model_fail(
                ctx, GM_E_INVALID,
                "sbn: mean_field: means: row %lld, column %lld is %g, expected 0 to 1",
                (long long)(i / hidden), (long long)(i % hidden), means[i]);
    const gm_status status = gm_model_check_count(gm_sbn_model(sbn), "mean_field", n);
    if (status) return status;
    return gm_model_check_bits(gm_sbn_model(sbn), "mean_field", 1, rows, n,
                               gm_sbn_layer_size(sbn, 0));
}

gm_status gm_sbn_mean_field(gm_sbn *sbn, const float *rows, int64_t count,
                            const gm_sbn_mean_field_options *options, double *means, double *bound,
                            int64_t *iterations)
{
    if (!sbn) return GM_E_INVALID;
    gm_model *model = gm_sbn_model(sbn);
    gm_context *ctx = model->ctx;
    const size_t mark = gm_model_enter(model);
    gm_sbn_mean_field_options o = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    gm_status status;
    GM_TRY(gm_options_read(ctx, "sbn: mean_field", &o, sizeof o, options));
    GM_TRY(check(sbn, rows, count, &o, means, bound));
    float *room = gm_sbn_take(sbn, gm_sbn_field_room(sbn));
    if (!room)
        GM_TRY(
            gm_model_fail(ctx, GM_E_NOMEM, "sbn: mean_field: no memory for the net's connections"));
    GM_TRY(gm_sbn_field(sbn, rows, count, &o, means, bound, iterations, NULL, room));
    GM_TRY(gm_model_check_reals(model, "mean_field", means, count, gm_sbn_hidden_units(sbn)));
    GM_TRY(gm_model_check_reals(model, "mean_field", bound, count, 1));
out:
    gm_model_leave(model, mark);
    return status;
}
