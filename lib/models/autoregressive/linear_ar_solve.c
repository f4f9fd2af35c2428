/* linear_ar_solve.c - linear regression of every column on the ones before it, in closed form.
 *
 * With x ~ N(m, C) and C = L L', e = L^-1 (x - m) is standard normal. Row k of that, solved for
 * x_k:
 *
 *     x_k = m_k - L_kk sum_j<k (L^-1)_kj (x_j - m_j) + L_kk e_k
 *
 * so one Cholesky factor gives all regressions: W_kj = -L_kk (L^-1)_kj, and L_kk is the deviation.
 * The normal equations of column k are the leading k rows of C, so a ridge on C's diagonal is ridge
 * regression's.
 */
#include <math.h>
#include <string.h>

#include "gm/linear_ar.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/linear_ar_solve.h"
#include "models/row_reader.h"

/* Part of a column's variance below which what is left of it is taken for rounding: floats carry
 * 6e-8, squared. */
#define SINGULAR 1e-12

typedef struct normal {
    gm_model *model;
    gm_row_reader reader;
    const gm_order *order;
    int64_t size;
    double *mean;    /* [size], in the order */
    double *factor;  /* [size, size]: covariance, then L, then L^-1, lower triangle */
    double *scale;   /* [size]: variances, then deviations */
    double *centred; /* [size]: one row */
} normal;

/* Calls `take` with every row of the data in the order. */
static gm_status each_row(normal *n, void (*take)(normal *n, const float *row))
{
    gm_status status = GM_OK;
    for (int64_t done = 0; done < n->reader.rows;) {
        gm_batch batch;
        GM_TRY(gm_row_reader_next(&n->reader, done, &batch));
        for (int64_t i = 0; i < batch.count; i++) take(n, batch.rows + i * n->size);
        done += batch.count;
    }
out:
    return status;
}

static void add_mean(normal *n, const float *row)
{
    for (int64_t k = 0; k < n->size; k++) n->mean[k] += (double)row[gm_order_column(n->order, k)];
}

static void add_covariance(normal *n, const float *row)
{
    double *restrict d = n->centred;
    for (int64_t k = 0; k < n->size; k++)
        d[k] = (double)row[gm_order_column(n->order, k)] - n->mean[k];
    for (int64_t i = 0; i < n->size; i++) {
        double *restrict c = n->factor + i * n->size;
        const double a = d[i];
        if (a < 0 || a > 0)
            for (int64_t j = 0; j <= i; j++) c[j] += a * d[j];
    }
}

/* sum a_i b_i, in four sums that the compiler can keep apart. */
static double dot(const double *a, const double *b, int64_t n)
{
    double sum[4] = { 0 };
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int64_t l = 0; l < 4; l++) sum[l] += a[i + l] * b[i + l];
    for (; i < n; i++) sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* C to L in place, row by row (Cholesky and Banachiewicz). */
static gm_status factorise(normal *n, double ridge)
{
    for (int64_t i = 0; i < n->size; i++) {
        double *row = n->factor + i * n->size;
        for (int64_t j = 0; j < i; j++) {
            const double *other = n->factor + j * n->size;
            row[j] = (row[j] - dot(row, other, j)) / other[j];
        }
        const double left = row[i] - dot(row, row, i);
        if (!(left > SINGULAR * row[i]) || !isfinite(left)) {
            const int constant = !(n->scale[i] > 0);
            return gm_model_fail(
                n->model->ctx, GM_E_NUMERIC,
                "linear_ar: solve: singular normal equations: column %lld %s; ridge is %g, a "
                "larger one is needed",
                (long long)gm_order_column(n->order, i),
                constant ? "is constant" : "follows from the columns before it", ridge);
        }
        row[i] = sqrt(left);
    }
    return GM_OK;
}

/* L to L^-1 in place: (L^-1)_ij = -sum_j<=k<i L_ik (L^-1)_kj / L_ii, each row from those above it.
 */
static void invert(normal *n)
{
    const int64_t size = n->size;
    for (int64_t i = 0; i < size; i++) {
        double *row = n->factor + i * size;
        double *restrict sum = n->centred;
        n->scale[i] = row[i];
        memset(sum, 0, (size_t)size * sizeof *sum);
        for (int64_t k = 0; k < i; k++) {
            const double *restrict above = n->factor + k * size;
            for (int64_t j = 0; j <= k; j++) sum[j] -= row[k] * above[j];
        }
        for (int64_t j = 0; j < i; j++) row[j] = sum[j] / row[i];
        row[i] = 1 / row[i];
    }
}

static void give(const normal *n, gm_params *params)
{
    const int64_t size = n->size;
    float *weight = gm_param_value(gm_params_find(params, "weight"));
    float *bias = gm_param_value(gm_params_find(params, "bias"));
    float *deviation = gm_param_value(gm_params_find(params, "log_deviation"));
    for (int64_t i = 0; i < size; i++) {
        const double *row = n->factor + i * size;
        double b = n->mean[i];
        for (int64_t j = 0; j < size; j++) {
            const double w = j < i ? -n->scale[i] * row[j] : 0;
            weight[i * size + j] = (float)w;
            b -= w * n->mean[j];
        }
        bias[i] = (float)b;
        deviation[i] = (float)log(n->scale[i]);
    }
}

static gm_status check(gm_model *model, double ridge)
{
    if (gm_autoregressive_kind(model) != GM_CONDITIONAL_GAUSSIAN)
        return gm_model_fail(model->ctx, GM_E_UNSUPPORTED,
                             "linear_ar: solve: only a model of reals has a closed form");
    if (!(ridge >= 0) || isinf(ridge))
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "linear_ar: solve: ridge is %g, expected at least 0", ridge);
    return GM_OK;
}

gm_status gm_linear_ar_fit_normal(gm_model *model, const gm_order *order, gm_dataset *data,
                                  double ridge)
{
    gm_context *ctx = model->ctx;
    gm_status status = check(model, ridge);
    if (status) return status;
    normal n = { .model = model, .order = order, .size = model->row_size };
    const int64_t size = n.size;
    /* The model has size^2 floats, so these products do not overflow but perhaps for the last. */
    const size_t doubles = (size_t)(size * size + 3 * size);
    const size_t bytes = doubles <= SIZE_MAX / sizeof(double) ? doubles * sizeof(double) : 0;
    GM_TRY(gm_row_reader_open(&n.reader, "linear_ar: solve", model, data, GM_MODEL_GROUP, 0));
    n.factor = gm_context_allocate(ctx, bytes);
    if (!n.factor)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM,
                             "linear_ar: solve: no memory for a covariance of %lld columns",
                             (long long)size));
    memset(n.factor, 0, bytes);
    n.mean = n.factor + size * size;
    n.scale = n.mean + size;
    n.centred = n.scale + size;
    const double rows = (double)n.reader.rows;
    GM_TRY(each_row(&n, add_mean));
    for (int64_t k = 0; k < size; k++) n.mean[k] /= rows;
    GM_TRY(each_row(&n, add_covariance));
    for (int64_t i = 0; i < size; i++) {
        for (int64_t j = 0; j <= i; j++) n.factor[i * size + j] /= rows;
        n.scale[i] = n.factor[i * size + i];
        n.factor[i * size + i] += ridge;
    }
    GM_TRY(factorise(&n, ridge));
    invert(&n);
    give(&n, model->params);
out:
    gm_context_free(ctx, n.factor, bytes);
    gm_row_reader_close(&n.reader);
    return status;
}
