/* mmd_kernel_values.c - a kernel's matrix, and a bandwidth for it, on plain arrays. */
#include <math.h>

#include "autodiff/mmd_kernel.h"
#include "gm/rng.h"

static gm_status check_rows(gm_context *ctx, const char *what, const char *name,
                            const gm_rows *rows)
{
    if (!rows || !rows->values) return gm_fail(ctx, GM_E_INVALID, "%s: %s is NULL", what, name);
    if (rows->count < 1 || rows->width < 1 || rows->width > INT64_MAX / 64 / rows->count)
        return gm_fail(ctx, GM_E_INVALID,
                       "%s: %s is [%lld, %lld], expected at least one row of one value, and no "
                       "more than can be addressed",
                       what, name, (long long)rows->count, (long long)rows->width);
    return GM_OK;
}

static gm_status check_pair(gm_context *ctx, const char *what, const gm_rows *x, const gm_rows *y)
{
    gm_status status;
    GM_TRY(check_rows(ctx, what, "x", x));
    GM_TRY(check_rows(ctx, what, "y", y));
    if (x->width != y->width)
        GM_TRY(gm_fail(ctx, GM_E_SHAPE,
                       "%s: x has rows of %lld values, y of %lld, expected one width", what,
                       (long long)x->width, (long long)y->width));
out:
    return status;
}

static gm_status check_matrix(gm_mmd_kernel *kernel, const char *what, const gm_rows *x,
                              const gm_rows *y, const void *out)
{
    gm_context *ctx = kernel->ctx;
    gm_status status;
    GM_TRY(check_pair(ctx, what, x, y));
    if (!out) GM_TRY(gm_fail(ctx, GM_E_INVALID, "%s: values is NULL", what));
    if (x->count > INT64_MAX / 64 / y->count)
        GM_TRY(gm_fail(ctx, GM_E_INVALID, "%s: out is [%lld, %lld], more than can be addressed",
                       what, (long long)x->count, (long long)y->count));
    if (!gm_mmd_kernel_count(kernel))
        GM_TRY(gm_fail(ctx, GM_E_INVALID, "%s: the kernel is without parts", what));
out:
    return status;
}

gm_status gm_mmd_kernel_values(gm_mmd_kernel *kernel, const gm_rows *x, const gm_rows *y,
                               float *values)
{
    static const char what[] = "mmd_kernel_values";
    gm_status status;
    if (!kernel) return GM_E_INVALID;
    gm_context *ctx = kernel->ctx;
    GM_TRY(check_matrix(kernel, what, x, y, values));
    size_t size = gm_mmd_work_size(x->width);
    gm_mmd e = gm_mmd_kernel_job(kernel, x->width);
    e.work = gm_memory_get(&ctx->memory, size);
    if (!e.work) GM_TRY(gm_fail_memory(ctx, what));
    gm_mmd_values(&e, x->values, x->count, y->values, y->count, values);
    gm_memory_put(&ctx->memory, e.work, size);
out:
    return status;
}

gm_status gm_mmd_kernel_exact_values(gm_mmd_kernel *kernel, const gm_rows *x, const gm_rows *y,
                                     double *values)
{
    gm_status status;
    if (!kernel) return GM_E_INVALID;
    GM_TRY(check_matrix(kernel, "mmd_kernel_exact_values", x, y, values));
    gm_mmd e = gm_mmd_kernel_job(kernel, x->width);
    gm_mmd_exact_values(&e, x->values, x->count, y->values, y->count, values);
out:
    return status;
}

/* The k-th smallest, with all before it no larger and all behind it no smaller (Hoare 1961). The
 * numbers are finite. */
static float select_kth(float *v, int64_t n, int64_t k)
{
    int64_t left = 0, right = n - 1;
    while (left < right) {
        float pivot = v[left + (right - left) / 2];
        int64_t i = left, j = right;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i > j) break;
            float kept = v[i];
            v[i++] = v[j];
            v[j--] = kept;
        }
        if (k <= j)
            right = j;
        else if (k >= i)
            left = i;
        else
            break;
    }
    return v[k];
}

static double median_of(float *v, int64_t n)
{
    double low = (double)select_kth(v, n, (n - 1) / 2);
    if (n % 2) return low;
    float high = v[n / 2];
    for (int64_t i = n / 2 + 1; i < n; i++) high = v[i] < high ? v[i] : high;
    return 0.5 * (low + (double)high);
}

typedef struct median_job {
    const gm_kernels *k;
    const float *const *row;
    int64_t n, d;
    float *d2; /* row i against those before it, from i (i - 1) / 2 */
} median_job;

static void median_range(void *arg, int64_t begin, int64_t end)
{
    const median_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < i; j++)
            job->k->sqdist_rows(&job->d2[i * (i - 1) / 2 + j], job->row[i], job->row[j], 1, job->d);
}

/* The bandwidth out of all squared distances. */
static gm_status median_give(gm_context *ctx, double *out, float *d2, int64_t pairs)
{
    int64_t zeros = 0;
    for (int64_t i = 0; i < pairs; i++) {
        if (!isfinite(d2[i]))
            return gm_fail(ctx, GM_E_INVALID,
                           "median_bandwidth: a squared distance is %g, expected a finite value",
                           (double)d2[i]);
        zeros += d2[i] == 0;
        d2[i] = sqrtf(d2[i]);
    }
    if (zeros == pairs)
        return gm_fail(ctx, GM_E_INVALID,
                       "median_bandwidth: all distances are zero (%lld pairs): no bandwidth fits",
                       (long long)pairs);
    double median = median_of(d2, pairs);
    if (!(median > 0))
        return gm_fail(ctx, GM_E_INVALID,
                       "median_bandwidth: %lld of %lld distances are zero, and so is the median",
                       (long long)zeros, (long long)pairs);
    *out = median;
    return GM_OK;
}

gm_status gm_median_bandwidth(double *out, gm_context *ctx, const gm_rows *x, const gm_rows *y,
                              uint64_t seed)
{
    static const char what[] = "median_bandwidth";
    gm_status status;
    gm_rng *rng = NULL;
    int64_t *order = NULL;
    const float **row = NULL;
    float *d2 = NULL;
    int64_t all = 0, n = 0, pairs = 0;
    if (!ctx) return GM_E_INVALID;
    if (!out) GM_TRY(gm_fail(ctx, GM_E_INVALID, "%s: out is NULL", what));
    if (y) GM_TRY(check_pair(ctx, what, x, y));
    GM_TRY(check_rows(ctx, what, "x", x));
    int64_t d = x->width;
    all = x->count + (y ? y->count : 0);
    if (all < 2)
        GM_TRY(
            gm_fail(ctx, GM_E_INVALID, "%s: one row has no distances, expected at least 2", what));
    n = all < GM_MEDIAN_ROWS ? all : GM_MEDIAN_ROWS;
    pairs = n * (n - 1) / 2;
    order = gm_memory_get(&ctx->memory, (size_t)all * sizeof *order);
    row = gm_memory_get(&ctx->memory, (size_t)n * sizeof *row);
    d2 = gm_memory_get(&ctx->memory, (size_t)pairs * sizeof *d2);
    if (!order || !row || !d2) GM_TRY(gm_fail_memory(ctx, what));
    GM_TRY(gm_rng_create(&rng, ctx, seed));
    for (int64_t i = 0; i < all; i++) order[i] = i;
    if (all > n) GM_TRY(gm_rng_permutation(rng, all, order));
    for (int64_t i = 0; i < n; i++)
        row[i] =
            order[i] < x->count ? x->values + order[i] * d : y->values + (order[i] - x->count) * d;
    median_job job = { ctx->kernels, row, n, d, d2 };
    gm_team_range(ctx->team, n, 16, median_range, &job);
    GM_TRY(median_give(ctx, out, d2, pairs));
out:
    gm_rng_release(rng);
    gm_memory_put(&ctx->memory, d2, (size_t)pairs * sizeof *d2);
    gm_memory_put(&ctx->memory, (void *)row, (size_t)n * sizeof *row);
    gm_memory_put(&ctx->memory, order, (size_t)all * sizeof *order);
    return status;
}
