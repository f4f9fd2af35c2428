/* roc.c - how well scores tell two sets of rows apart. */
#include <math.h>
#include <string.h>

#include "evaluate/ranks.h"
#include "evaluate/result.h"
#include "gm/anomaly.h"

/* Sorted copies of both, in one block. */
typedef struct two {
    size_t bytes;
    double *a, *b;
    int64_t n, m;
} two;

static gm_status check_scores(gm_context *ctx, const char *what, const char *name, const double *v,
                              int64_t count)
{
    if (!v || count < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "%s: %s is %s of %lld values, expected at least 1",
                             what, name, v ? "an array" : "NULL", (long long)count);
    for (int64_t i = 0; i < count; i++)
        if (isnan(v[i]))
            return gm_model_fail(ctx, GM_E_INVALID, "%s: %s: value %lld is %g", what, name,
                                 (long long)i, v[i]);
    return GM_OK;
}

/* Scores that differ by rounding alone become equal: each run that begins with the lowest one takes
 * the highest one's value. */
static void join_equals(two *t)
{
    int64_t i = 0, j = 0;
    while (i < t->n || j < t->m) {
        const double at = j == t->m || (i < t->n && t->a[i] < t->b[j]) ? t->a[i] : t->b[j];
        double last = at;
        int64_t first_i = i, first_j = j;
        while (i < t->n && t->a[i] <= at + gm_ranks_tolerance(at, 0)) i++;
        while (j < t->m && t->b[j] <= at + gm_ranks_tolerance(at, 0)) j++;
        /* The highest, so that the rows with scores up to it are the run's. */
        if (i > first_i) last = t->a[i - 1];
        if (j > first_j && t->b[j - 1] > last) last = t->b[j - 1];
        for (int64_t k = first_i; k < i; k++) t->a[k] = last;
        for (int64_t k = first_j; k < j; k++) t->b[k] = last;
    }
}

static gm_status two_open(two *t, gm_context *ctx, const char *what, const double *usual, int64_t n,
                          const double *unusual, int64_t m)
{
    gm_status status;
    GM_TRY(check_scores(ctx, what, "usual", usual, n));
    GM_TRY(check_scores(ctx, what, "unusual", unusual, m));
    t->n = n;
    t->m = m;
    t->bytes = gm_ranks_bytes(n) + gm_ranks_bytes(m); /* no overflow: both arrays exist */
    t->a = gm_context_allocate(ctx, t->bytes);
    if (!t->a)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "%s: no memory for %zu bytes", what, t->bytes));
    t->b = t->a + n;
    memcpy(t->a, usual, gm_ranks_bytes(n));
    memcpy(t->b, unusual, gm_ranks_bytes(m));
    gm_ranks_sort(t->a, n);
    gm_ranks_sort(t->b, m);
    join_equals(t);
out:
    return status;
}

/* Mean and variance (count - 1) of the parts of `other` below each value of v. */
static void placements(const double *v, int64_t count, const double *other, int64_t other_count,
                       double *mean, double *variance)
{
    double squares = 0;
    *mean = 0;
    for (int64_t i = 0; i < count; i++) {
        const double part = gm_ranks_part_below(other, other_count, v[i], 0), off = part - *mean;
        *mean += off / (double)(i + 1);
        squares += off * (part - *mean);
    }
    *variance = count > 1 ? squares / (double)(count - 1) : (double)NAN;
}

gm_status gm_auc(gm_result *out, gm_context *ctx, const double *usual, int64_t usual_count,
                 const double *unusual, int64_t unusual_count)
{
    if (!ctx) return GM_E_INVALID;
    two t = { 0 };
    gm_result result = GM_RESULT_INIT;
    double inverse, v_usual, v_unusual;
    gm_status status;
    GM_TRY(gm_result_check(ctx, "auc", out));
    GM_TRY(two_open(&t, ctx, "auc", usual, usual_count, unusual, unusual_count));
    placements(t.b, t.m, t.a, t.n, &inverse, &v_unusual);
    placements(t.a, t.n, t.b, t.m, &result.value, &v_usual);
    result.standard_error = sqrt(v_usual / (double)t.n + v_unusual / (double)t.m);
    result.rows = t.n + t.m;
    result.protocol = "auc";
    gm_result_give(out, &result);
out:
    gm_context_free(ctx, t.a, t.bytes);
    return status;
}

gm_status gm_roc(int64_t *count, gm_context *ctx, const double *usual, int64_t usual_count,
                 const double *unusual, int64_t unusual_count, gm_roc_point *points)
{
    if (count) *count = 0;
    if (!ctx) return GM_E_INVALID;
    two t = { 0 };
    int64_t i = 0, j = 0, k = 1;
    gm_status status;
    if (!points || !count) return gm_model_fail(ctx, GM_E_INVALID, "roc: points or count is NULL");
    GM_TRY(two_open(&t, ctx, "roc", usual, usual_count, unusual, unusual_count));
    points[0] = (gm_roc_point){ -(double)INFINITY, 0, 0 };
    while (i < t.n || j < t.m) {
        const double at = j == t.m || (i < t.n && t.a[i] < t.b[j]) ? t.a[i] : t.b[j];
        while (i < t.n && t.a[i] == at) i++;
        while (j < t.m && t.b[j] == at) j++;
        points[k++] = (gm_roc_point){ at, (double)i / (double)t.n, (double)j / (double)t.m };
    }
    *count = k;
out:
    gm_context_free(ctx, t.a, t.bytes);
    return status;
}
