/* neighbours.c - the k nearest, and what follows: precision and recall (Kynkaanniemi, Karras,
 * Laine, Lehtinen and Aila 2019), and how near samples come to the data. */
#include <math.h>
#include <string.h>

#include "evaluate/distances.h"
#include "gm/sample_quality.h"

/* The k nearest so far of one row, nearest first: squared distance and which. */
static void insert(double *squared, int64_t *index, int64_t k, double value, int64_t which)
{
    int64_t at = k - 1;
    for (; at > 0 && squared[at - 1] > value; at--) {
        squared[at] = squared[at - 1];
        index[at] = index[at - 1];
    }
    squared[at] = value;
    index[at] = which;
}

/* Rows at hand against all of b, into near and which, [rows at hand, k]. Products tell which rows
 * cannot be among the nearest; the others are measured exactly. */
static gm_status search(gm_distances *d, int64_t k, int same, double *near, int64_t *which)
{
    gm_status status = GM_OK;
    const float *product;
    for (int64_t i = 0; i < d->count * k; i++) near[i] = INFINITY;
    for (int64_t begin = 0; begin < d->b.rows; begin += d->tile) {
        int64_t left = d->b.rows - begin, n = left < d->tile ? left : d->tile;
        GM_TRY(gm_distances_columns(d, begin, n, &product));
        for (int64_t i = 0; i < d->count; i++) {
            double *own = near + i * k;
            for (int64_t j = 0; j < n; j++) {
                if (same && begin + j == d->first + i) continue;
                double rough = gm_distances_rough(d, i, product[i * n + j]);
                if (rough - gm_distances_doubt(d, i, j) >= own[k - 1]) continue;
                double squared = gm_distances_exact(d, d->first + i, begin + j);
                if (squared < own[k - 1]) insert(own, which + i * k, k, squared, begin + j);
            }
        }
    }
out:
    return status;
}

gm_status gm_neighbours(gm_distances *d, int64_t k, int same, double *squared, int64_t *index,
                        gm_counter *counter)
{
    gm_context *ctx = d->ctx;
    size_t bytes = (size_t)(d->tile * k) * (sizeof(double) + sizeof(int64_t));
    gm_status status = GM_OK;
    double *near = k <= INT64_MAX / 64 / d->tile ? gm_context_allocate(ctx, bytes) : NULL;
    int64_t *which = (int64_t *)(near + d->tile * k);
    if (!near)
        return gm_model_fail(ctx, GM_E_NOMEM, "%s: no memory for %lld neighbours of %lld rows",
                             d->what, (long long)k, (long long)d->tile);
    for (int64_t begin = 0; begin < d->a.rows; begin += d->tile) {
        int64_t left = d->a.rows - begin, n = left < d->tile ? left : d->tile;
        GM_TRY(gm_distances_rows(d, begin, n));
        GM_TRY(search(d, k, same, near, which));
        for (int64_t i = 0; i < n; i++) {
            squared[begin + i] = near[(i + 1) * k - 1];
            if (index) index[begin + i] = which[(i + 1) * k - 1];
        }
        GM_TRY(gm_counter_add(counter, n));
    }
out:
    gm_context_free(ctx, near, bytes);
    return status;
}

typedef struct manifolds {
    gm_context *ctx;
    gm_table samples, data;
    gm_precision_recall_options o;
    gm_counter counter;
    double *sample_radius, *data_radius; /* squared */
    unsigned char *sample_inside, *data_inside;
    void *block;
    size_t block_size;
} manifolds;

static gm_status radii(manifolds *m, const gm_table *set, double *out)
{
    gm_distances d = { 0 };
    gm_status status;
    GM_TRY(gm_distances_open(&d, m->ctx, "precision_recall", set, set));
    GM_TRY(gm_neighbours(&d, m->o.k, 1, out, NULL, &m->counter));
out:
    gm_distances_close(&d);
    return status;
}

/* Is |a - b|^2 at most `limit`? Near the limit a product does not tell. */
static int within(const gm_distances *d, int64_t i, int64_t j, double squared, double limit)
{
    double doubt = gm_distances_doubt(d, i, j);
    if (squared < limit - doubt) return 1;
    return squared <= limit + doubt && gm_distances_exact(d, d->first + i, d->column + j) <= limit;
}

/* Which samples lie in a ball of the data, and which data rows in one of a sample. */
static gm_status cover(manifolds *m)
{
    gm_distances d = { 0 };
    const float *product;
    gm_status status;
    GM_TRY(gm_distances_open(&d, m->ctx, "precision_recall", &m->samples, &m->data));
    for (int64_t first = 0; first < d.a.rows; first += d.tile) {
        int64_t left = d.a.rows - first, rows = left < d.tile ? left : d.tile;
        GM_TRY(gm_distances_rows(&d, first, rows));
        for (int64_t begin = 0; begin < d.b.rows; begin += d.tile) {
            int64_t rest = d.b.rows - begin, n = rest < d.tile ? rest : d.tile;
            GM_TRY(gm_distances_columns(&d, begin, n, &product));
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < n; j++) {
                    int64_t s = first + i, t = begin + j;
                    double squared = gm_distances_rough(&d, i, product[i * n + j]);
                    if (!m->sample_inside[s] && within(&d, i, j, squared, m->data_radius[t]))
                        m->sample_inside[s] = 1;
                    if (!m->data_inside[t] && within(&d, i, j, squared, m->sample_radius[s]))
                        m->data_inside[t] = 1;
                }
        }
        GM_TRY(gm_counter_add(&m->counter, rows));
    }
out:
    gm_distances_close(&d);
    return status;
}

static void give(const manifolds *m, const char *protocol, const unsigned char *inside, int64_t n,
                 gm_result *out)
{
    gm_result r = GM_RESULT_INIT;
    int64_t found = 0;
    if (!out) return;
    for (int64_t i = 0; i < n; i++) found += inside[i];
    r.value = (double)found / (double)n;
    r.standard_error = sqrt(r.value * (1 - r.value) / (double)(n - 1));
    r.samples = m->samples.rows;
    r.rows = m->data.rows;
    r.protocol = protocol;
    r.k = m->o.k;
    gm_result_give(out, &r);
}

static gm_status check(manifolds *m, const gm_rows *samples, const gm_rows *data,
                       const gm_precision_recall_options *options)
{
    gm_table tables[2];
    gm_status status;
    GM_TRY(gm_options_read(m->ctx, "precision_recall", &m->o, sizeof m->o, options));
    GM_TRY(gm_table_pair(m->ctx, "precision_recall", samples, data, tables));
    m->samples = tables[0];
    m->data = tables[1];
    int64_t fewest = samples->count < data->count ? samples->count : data->count;
    if (m->o.k < 1 || m->o.k >= fewest)
        GM_TRY(gm_model_fail(
            m->ctx, GM_E_INVALID,
            "precision_recall: k is %lld for %lld samples and %lld data rows, expected 1 to %lld",
            (long long)m->o.k, (long long)samples->count, (long long)data->count,
            (long long)(fewest - 1)));
out:
    return status;
}

gm_status gm_precision_recall(gm_result *precision, gm_result *recall, gm_context *ctx,
                              const gm_rows *samples, const gm_rows *data,
                              const gm_precision_recall_options *options)
{
    if (!ctx) return GM_E_INVALID;
    manifolds m = { .ctx = ctx, .o = GM_PRECISION_RECALL_OPTIONS_INIT };
    gm_status status;
    if (precision || !recall) GM_TRY(gm_result_check(ctx, "precision_recall", precision));
    if (recall) GM_TRY(gm_result_check(ctx, "precision_recall", recall));
    GM_TRY(check(&m, samples, data, options));
    int64_t n = m.samples.rows + m.data.rows;
    m.counter = (gm_counter){ ctx, "precision_recall", "rows", m.o.on_progress, m.o.user,
                              0,   n + m.samples.rows };
    m.block_size = (size_t)n * (sizeof(double) + 1);
    m.block = gm_context_allocate(ctx, m.block_size);
    if (!m.block)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "precision_recall: no memory for %lld rows",
                             (long long)n));
    m.sample_radius = m.block;
    m.data_radius = m.sample_radius + m.samples.rows;
    m.sample_inside = (unsigned char *)(m.data_radius + m.data.rows);
    m.data_inside = m.sample_inside + m.samples.rows;
    memset(m.sample_inside, 0, (size_t)n);
    GM_TRY(radii(&m, &m.samples, m.sample_radius));
    GM_TRY(radii(&m, &m.data, m.data_radius));
    GM_TRY(cover(&m));
    give(&m, "precision", m.sample_inside, m.samples.rows, precision);
    give(&m, "recall", m.data_inside, m.data.rows, recall);
out:
    gm_context_free(ctx, m.block, m.block_size);
    return status;
}
