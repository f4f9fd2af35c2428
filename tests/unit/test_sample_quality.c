/* test_sample_quality.c - gm/sample_quality.h: kernel and Frechet distance, precision and recall,
 * nearest rows, diversity. */
#include "allocator.h"
#include "gm/rng.h"
#include "gm/sample_quality.h"
#include "gm/two_sample.h"
#include "support.h"

static float *normal(gm_context *ctx, uint64_t seed, int64_t count, double mean, double deviation)
{
    float *out = malloc((size_t)count * sizeof *out);
    gm_rng *rng = NULL;
    ck_assert_ptr_nonnull(out);
    support_ok(ctx, gm_rng_create(&rng, ctx, seed));
    support_ok(ctx, gm_rng_normal(rng, count, mean, deviation, out));
    gm_rng_release(rng);
    return out;
}

static double squared(const float *a, const float *b, int64_t d)
{
    double sum = 0;
    for (int64_t j = 0; j < d; j++)
        sum += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
    return sum;
}

static double kernel(const float *a, const float *b, int64_t d)
{
    double dot = 0;
    for (int64_t j = 0; j < d; j++) dot += (double)a[j] * (double)b[j];
    return pow(dot / (double)d + 1, 3);
}

/* Subsets that are the whole sets: the estimate of all rows, whatever is drawn; of more than a tile
 * too. */
START_TEST(kernel_distance_is_the_double_loop)
{
    static const int64_t sizes[][2] = { { 2, 1 }, { 40, 7 }, { 1030, 3 } };
    gm_context *ctx = support_context(1, 2);
    for (int k = 0; k < 6; k++) {
        /* The last three are far from the origin: what the sets share must not cost digits. */
        int64_t n = sizes[k % 3][0], d = sizes[k % 3][1];
        double far = k < 3 ? 0 : 300, digits = k < 3 ? 1e-5 : 1e-10;
        float *a = normal(ctx, 1, n * d, far + 0.5, 1), *b = normal(ctx, 2, n * d, far, 1.2);
        double own = 0, cross = 0;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                if (i != j)
                    own += kernel(a + i * d, a + j * d, d) + kernel(b + i * d, b + j * d, d);
                cross += kernel(a + i * d, b + j * d, d);
            }
        double m = (double)n, scale = cross / (m * m), want = own / (m * (m - 1)) - 2 * scale;
        gm_rows fa = { a, n, d }, fb = { b, n, d };
        gm_kernel_distance_options o = GM_KERNEL_DISTANCE_OPTIONS_INIT;
        gm_result r = GM_RESULT_INIT;
        o.subsets = 2;
        o.subset = n;
        o.seed = 9;
        support_ok(ctx, gm_kernel_distance(&r, ctx, &fa, &fb, &o));
        ck_assert_double_eq_tol(r.value, want, digits * (1 + scale));
        ck_assert_double_eq_tol(r.standard_error, 0, digits * (1 + scale));
        ck_assert(r.samples == n && r.rows == n && r.k == 2 && r.seed == 9);
        ck_assert_str_eq(r.protocol, "kid");
        free(b);
        free(a);
    }
    gm_context_release(ctx);
}
END_TEST

/* Small subsets of two samples of one distribution: near 0 by its own error; of two, far from it.
 */
START_TEST(kernel_distance_over_subsets)
{
    enum { N = 400, D = 5 };
    gm_context *ctx = support_context(1, 1);
    float *a = normal(ctx, 1, N * D, 0, 1), *b = normal(ctx, 2, N * D, 0, 1);
    float *c = normal(ctx, 3, N * D, 0.5, 1);
    gm_rows fa = { a, N, D }, fb = { b, N, D }, fc = { c, N, D };
    gm_kernel_distance_options o = GM_KERNEL_DISTANCE_OPTIONS_INIT;
    gm_result same = GM_RESULT_INIT, other = GM_RESULT_INIT, again = GM_RESULT_INIT;
    o.subset = 50;
    o.subsets = 60;
    support_ok(ctx, gm_kernel_distance(&same, ctx, &fa, &fb, &o));
    support_ok(ctx, gm_kernel_distance(&other, ctx, &fa, &fc, &o));
    ck_assert_msg(fabs(same.value) < support_bound(1) * same.standard_error, "%g", same.value);
    ck_assert(same.standard_error > 0 && other.value > 10 * other.standard_error);
    support_ok(ctx, gm_kernel_distance(&again, ctx, &fa, &fb, &o));
    ck_assert_mem_eq(&again, &same, sizeof same);
    o.seed = 2;
    support_ok(ctx, gm_kernel_distance(&again, ctx, &fa, &fb, &o));
    ck_assert(again.value != same.value);
    /* One subset has no error. */
    o.subsets = 1;
    support_ok(ctx, gm_kernel_distance(&again, ctx, &fa, &fb, &o));
    ck_assert(isnan(again.standard_error));
    free(c);
    free(b);
    free(a);
    gm_context_release(ctx);
}
END_TEST

static double frechet(gm_context *ctx, const float *a, int64_t n, const float *b, int64_t m,
                      int64_t d, double ridge)
{
    gm_rows fa = { a, n, d }, fb = { b, m, d };
    gm_result r = GM_RESULT_INIT;
    support_ok(ctx, gm_frechet_distance(&r, ctx, &fa, &fb, ridge));
    ck_assert(r.samples == n && r.rows == m && isnan(r.standard_error) && r.seed == 0);
    ck_assert_str_eq(r.protocol, "frechet");
    return r.value;
}

static void count_warnings(void *user, int32_t level, const char *line)
{
    (void)line;
    *(int *)user += level == GM_LOG_WARNING;
}

START_TEST(frechet_by_hand)
{
    int warnings = 0;
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    options.log = count_warnings;
    options.log_user = &warnings;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &options), GM_OK);
    /* One value: (m1 - m2)^2 + (s1 - s2)^2, with variances 2 and 8. */
    const float one[2] = { 0, 2 }, two[2] = { 1, 5 };
    ck_assert_double_eq_tol(frechet(ctx, one, 2, two, 2, 1, 0), 4 + 2, 1e-12);
    /* Independent columns: diagonal covariances, 4/3 (1, 4) and 4/3 (9, 1); means 2 apart in one.
     */
    const float a[8] = { 1, 2, 1, -2, -1, 2, -1, -2 }, b[8] = { 5, 1, 5, -1, -1, 1, -1, -1 };
    ck_assert_double_eq_tol(frechet(ctx, a, 4, b, 4, 2, 0), 4 + 4.0 / 3 * (4 + 1), 1e-12);
    ck_assert_int_eq(warnings, 0);
    /* Singular ones: (1, 1) and (1, -1) directions, variances 4 along each: Tr (S1 S2)^(1/2) = 0;
     * and a point. */
    const float up[6] = { 1, 1, -1, -1, 0, 0 }, down[6] = { 1, -1, -1, 1, 0, 0 }, point[4] = { 0 };
    ck_assert_double_eq_tol(frechet(ctx, up, 3, down, 3, 2, 0), 4, 1e-12);
    ck_assert_double_eq_tol(frechet(ctx, up, 3, up, 3, 2, 0), 0, 1e-12);
    ck_assert_int_eq(warnings, 0);
    ck_assert_double_eq_tol(frechet(ctx, up, 3, point, 2, 2, 0), 2, 1e-12);
    ck_assert(frechet(ctx, point, 2, point, 2, 2, 0) == 0);
    ck_assert_int_eq(warnings, 3);
    /* With a ridge r: S1 = r I + 2 u u', S2 = r I + 2 v v': along u (sqrt(2 + r) - sqrt r)^2, and
     * along v. */
    double r = 0.5, root = sqrt(2 + r) - sqrt(r);
    ck_assert_double_eq_tol(frechet(ctx, up, 3, down, 3, 2, r), 2 * root * root, 1e-12);
    ck_assert_int_eq(warnings, 3);
    gm_context_release(ctx);
}
END_TEST

/* Columns of one set are those of the other times r_j, all orthogonal: sum (1 - r_j)^2 times the
 * variance. Then both are turned by a rotation, which changes nothing but makes the covariance
 * full: the eigenvalues have to be found. */
START_TEST(frechet_of_a_rotated_scale)
{
    enum { N = 64, D = 32 };
    gm_context *ctx = support_context(1, 1);
    static float a[N * D], b[N * D], c[N * D], e[N * D];
    double want = 0;
    for (int i = 0; i < N;
         i++) /* columns of a Hadamard matrix, but the first: mean 0, orthogonal */
        for (int j = 0; j < D; j++) {
            int odd = 0;
            for (int bits = i & (j + 1); bits; bits &= bits - 1) odd ^= 1;
            double r = 0.25 * j;
            a[i * D + j] = odd ? -1 : 1;
            b[i * D + j] = (float)(r * (odd ? -1.0 : 1.0));
        }
    for (int j = 0; j < D; j++) want += (1 - 0.25 * j) * (1 - 0.25 * j) * N / (N - 1.0);
    ck_assert_double_eq_tol(frechet(ctx, a, N, b, N, D, 0), want, 1e-10 * want);
    /* A rotation of dyadic numbers, so that floats hold it exactly: a normalised Hadamard matrix of
     * 16 on half of the columns. */
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++) {
            double x = 0, y = 0;
            for (int k = 0; k < 16; k++) {
                int odd = 0;
                for (int bits = k & j & 15; bits; bits &= bits - 1) odd ^= 1;
                x += (odd ? -0.25 : 0.25) * (double)a[i * D + (j & 16) + k];
                y += (odd ? -0.25 : 0.25) * (double)b[i * D + (j & 16) + k];
            }
            c[i * D + j] = (float)x;
            e[i * D + j] = (float)(y + 3); /* and a mean */
        }
    ck_assert_double_eq_tol(frechet(ctx, c, N, e, N, D, 0), want + 9 * D, 1e-10 * want);
    ck_assert_double_eq_tol(frechet(ctx, e, N, c, N, D, 0), want + 9 * D, 1e-10 * want);
    ck_assert_double_eq_tol(frechet(ctx, e, N, e, N, D, 0), 0, 1e-9);
    gm_context_release(ctx);
}
END_TEST

/* Two samples of known Gaussians come near the formula of the distributions. */
START_TEST(frechet_of_known_gaussians)
{
    enum { N = 8000, D = 3 };
    gm_context *ctx = support_context(1, 1);
    float *a = normal(ctx, 1, N * D, 0, 1), *b = normal(ctx, 2, N * D, 1, 2);
    ck_assert_double_eq_tol(frechet(ctx, a, N, b, N, D, 0), D * (1 + 1), 0.2);
    free(b);
    free(a);
    gm_context_release(ctx);
}
END_TEST

/* On a line: data 0 1 2 3 with radius 1 (k = 1) cover -1 to 4; samples -1.5, 2.5, 10 have radii 4,
 * 4, 7.5. */
START_TEST(precision_and_recall_by_hand)
{
    gm_context *ctx = support_context(1, 1);
    const float data[4] = { 0, 1, 2, 3 }, samples[3] = { -1.5f, 2.5f, 10 };
    gm_rows fs = { samples, 3, 1 }, fd = { data, 4, 1 };
    gm_precision_recall_options o = GM_PRECISION_RECALL_OPTIONS_INIT;
    gm_result p = GM_RESULT_INIT, r = GM_RESULT_INIT;
    o.k = 1;
    support_ok(ctx, gm_precision_recall(&p, &r, ctx, &fs, &fd, &o));
    ck_assert_double_eq_tol(p.value, 1.0 / 3, 1e-15);
    ck_assert_double_eq_tol(p.standard_error, sqrt(2.0 / 9 / 2), 1e-15);
    ck_assert(r.value == 1);
    ck_assert(p.samples == 3 && p.rows == 4 && p.k == 1 && r.samples == 3 && r.rows == 4);
    ck_assert_str_eq(p.protocol, "precision");
    ck_assert_str_eq(r.protocol, "recall");
    /* On the edge counts as inside: 4 is 1 from 3; 4.0001 is not. */
    const float edge[3] = { 4, 4.0001f, -1 };
    gm_rows fe = { edge, 3, 1 };
    support_ok(ctx, gm_precision_recall(&p, NULL, ctx, &fe, &fd, &o));
    ck_assert_double_eq_tol(p.value, 2.0 / 3, 1e-15);
    /* Samples in one spot are precise and cover hardly anything; of equal points every ball is a
     * point. */
    const float spot[4] = { 1, 1, 1, 1 };
    gm_rows fo = { spot, 4, 1 };
    o.k = 3;
    support_ok(ctx, gm_precision_recall(&p, &r, ctx, &fo, &fd, &o));
    ck_assert(p.value == 1 && r.value == 0.25);
    support_ok(ctx, gm_precision_recall(NULL, &r, ctx, &fd, &fd, NULL));
    ck_assert(r.value == 1 && r.k == 3);
    gm_context_release(ctx);
}
END_TEST

/* Squared distance to the k-th nearest other row. */
static double radius(const float *set, int64_t n, int64_t d, int64_t i, int64_t k)
{
    double near[8];
    int64_t have = 0;
    for (int64_t j = 0; j < n; j++) {
        if (i == j) continue;
        double value = squared(set + i * d, set + j * d, d);
        int64_t at = have < k ? have++ : k - 1;
        if (at == k - 1 && have == k && j > k && value >= near[at]) continue;
        for (; at > 0 && near[at - 1] > value; at--) near[at] = near[at - 1];
        near[at] = value;
    }
    return near[k - 1];
}

/* Sets of more than a tile, by loops over all pairs; far from the origin too; and neighbours of
 * each sample. */
START_TEST(pairs_by_brute_force)
{
    enum { N = 1100, M = 400, D = 4, K = 3 };
    gm_context *ctx = support_context(1, 2);
    for (int far = 0; far < 2; far++) {
        float *a = normal(ctx, 1, N * D, far ? 500 : 0, 1),
              *b = normal(ctx, 2, M * D, far ? 500 : 0, 0.7);
        double *ra = malloc(N * sizeof *ra), *rb = malloc(M * sizeof *rb),
               *distance = malloc(N * sizeof *ra);
        int64_t *index = malloc(N * sizeof *index), inside = 0, covered = 0, found = 0;
        gm_rows fa = { a, N, D }, fb = { b, M, D };
        gm_result p = GM_RESULT_INIT, r = GM_RESULT_INIT;
        ck_assert(ra && rb && distance && index);
        memcpy(a + 7 * D, b + 399 * D, D * sizeof *a); /* a duplicate, and one that is nearly one */
        memcpy(a + 1090 * D, b + 3 * D, D * sizeof *a);
        a[1090 * D] += 0.001f;
        for (int64_t i = 0; i < N; i++) ra[i] = radius(a, N, D, i, K);
        for (int64_t j = 0; j < M; j++) rb[j] = radius(b, M, D, j, K);
        for (int64_t i = 0; i < N; i++) {
            int in = 0;
            for (int64_t j = 0; j < M; j++) in |= squared(a + i * D, b + j * D, D) <= rb[j];
            inside += in;
        }
        for (int64_t j = 0; j < M; j++) {
            int in = 0;
            for (int64_t i = 0; i < N; i++) in |= squared(a + i * D, b + j * D, D) <= ra[i];
            covered += in;
        }
        support_ok(ctx, gm_precision_recall(&p, &r, ctx, &fa, &fb, NULL));
        ck_assert_double_eq_tol(p.value, (double)inside / N, 1e-15);
        ck_assert_double_eq_tol(r.value, (double)covered / M, 1e-15);
        ck_assert(p.value > 0.3 && p.value < 0.99 && r.value > 0.5);

        gm_nearest_options o = GM_NEAREST_OPTIONS_INIT;
        o.threshold = 0.01;
        o.distance = distance;
        o.index = index;
        support_ok(ctx, gm_nearest_data(&p, &r, ctx, &fa, &fb, &o));
        double mean = 0;
        for (int64_t i = 0; i < N; i++) {
            double near = INFINITY;
            for (int64_t j = 0; j < M; j++) near = fmin(near, squared(a + i * D, b + j * D, D));
            found += sqrt(near) <= o.threshold;
            mean += distance[i] / N;
            ck_assert_msg(fabs(distance[i] - sqrt(near)) <= 1e-5 * (0.01 + sqrt(near)),
                          "row %lld: %g, not %g", (long long)i, distance[i], sqrt(near));
            ck_assert(index[i] >= 0 && index[i] < M);
            ck_assert(distance[i] == sqrt(squared(a + i * D, b + index[i] * D, D)));
        }
        ck_assert(distance[7] == 0 && index[7] == 399 && index[1090] == 3 && found >= 2);
        ck_assert_double_eq_tol(p.value, mean, 1e-12);
        ck_assert_double_eq_tol(r.value, (double)found / N, 1e-15);
        ck_assert(p.standard_error > 0 && r.k == found && r.samples == N && r.rows == M);
        ck_assert_str_eq(p.protocol, "nearest");
        ck_assert_str_eq(r.protocol, "duplicates");
        support_ok(ctx, gm_nearest_data(NULL, &r, ctx, &fa, &fb, NULL));
        ck_assert(r.k == 1); /* equal rows only */
        free(index);
        free(distance);
        free(rb);
        free(ra);
        free(b);
        free(a);
    }
    gm_context_release(ctx);
}
END_TEST

START_TEST(diversity_is_a_ratio)
{
    enum { N = 1050, M = 30, D = 3 };
    gm_context *ctx = support_context(1, 1);
    float *a = normal(ctx, 1, N * D, 2, 0.5), *b = normal(ctx, 2, M * D, -1, 1);
    double mean[2] = { 0, 0 };
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++) mean[0] += sqrt(squared(a + i * D, a + j * D, D));
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < M; j++) mean[1] += sqrt(squared(b + i * D, b + j * D, D));
    double want = mean[0] / (N * (N - 1.0)) / (mean[1] / (M * (M - 1.0)));
    gm_rows fa = { a, N, D }, fb = { b, M, D };
    gm_result r = GM_RESULT_INIT;
    support_ok(ctx, gm_diversity(&r, ctx, &fa, &fb, NULL));
    ck_assert_double_eq_tol(r.value, want, 1e-5);
    ck_assert(fabs(r.value - 0.5) < support_bound(1) * r.standard_error && r.standard_error < 0.1);
    ck_assert(r.samples == N && r.rows == M);
    ck_assert_str_eq(r.protocol, "diversity");
    support_ok(ctx, gm_diversity(&r, ctx, &fb, &fb, NULL));
    ck_assert(r.value == 1);
    /* A collapse. */
    const float spot[9] = { 1, 2, 3, 1, 2, 3, 1, 2, 3 };
    gm_rows fs = { spot, 3, D };
    support_ok(ctx, gm_diversity(&r, ctx, &fs, &fb, NULL));
    ck_assert(r.value == 0 && r.standard_error == 0);
    free(b);
    free(a);
    gm_context_release(ctx);
}
END_TEST

/* The numbers are those of gm/mmd.h on the rows that count; equal distributions pass, others do
 * not. */
START_TEST(mmd_is_the_two_sample_test)
{
    enum { N = 150, M = 120, D = 3 };
    gm_context *ctx = support_context(1, 2);
    float *a = normal(ctx, 1, N * D, 0, 1), *b = normal(ctx, 2, M * D, 0, 1);
    float *c = normal(ctx, 3, M * D, 0.8, 1);
    const gm_rows fa = { a, N, D }, fb = { b, M, D }, fc = { c, M, D };
    gm_mmd_evaluate_options o = GM_MMD_EVALUATE_OPTIONS_INIT;
    gm_result same = GM_RESULT_INIT, other = GM_RESULT_INIT;
    gm_two_sample_options t = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result want = GM_TWO_SAMPLE_RESULT_INIT;
    gm_mmd_kernel *kernel = NULL;
    double bandwidth;
    o.limit = 100;
    o.permutations = 199;
    support_ok(ctx, gm_mmd_evaluate(&same, ctx, &fa, &fb, &o));
    support_ok(ctx, gm_mmd_evaluate(&other, ctx, &fa, &fc, &o));
    ck_assert_msg(same.p_value > 0.05, "p %g", same.p_value);
    ck_assert_double_eq_tol(other.p_value, 1.0 / 200, 1e-15);
    support_ok(ctx, gm_median_bandwidth(&bandwidth, ctx, support_rows(a, 100, D),
                                        support_rows(b, 100, D), 1));
    support_ok(ctx, gm_mmd_kernel_create(&kernel, ctx));
    support_ok(ctx, gm_mmd_kernel_add_gaussian(kernel, 1, bandwidth));
    t.permutations = 199;
    t.seed = 1;
    support_ok(ctx, gm_two_sample_test(&want, kernel, support_rows(a, 100, D),
                                       support_rows(b, 100, D), &t));
    ck_assert(same.value == want.mmd2 && same.p_value == want.p_value);
    ck_assert(same.sigma == bandwidth && same.standard_error == want.standard_error);
    ck_assert(same.samples == 100 && same.rows == 100 && same.k == 199 && same.seed == 1);
    ck_assert_str_eq(same.protocol, "mmd-test");
    gm_mmd_kernel_release(kernel);
    free(c);
    free(b);
    free(a);
    gm_context_release(ctx);
}
END_TEST

typedef struct all {
    gm_result mmd, kid, frechet, precision, recall, nearest, duplicates, diversity;
} all;

/* Every function on the same sets. Returns the first failure. */
static gm_status run_all(gm_context *ctx, const gm_rows *a, const gm_rows *b, all *out)
{
    gm_kernel_distance_options o = GM_KERNEL_DISTANCE_OPTIONS_INIT;
    const gm_result init = GM_RESULT_INIT;
    gm_status s;
    o.subset = 3;
    o.subsets = 2;
    *out = (all){ init, init, init, init, init, init, init, init };
    gm_mmd_evaluate_options m = GM_MMD_EVALUATE_OPTIONS_INIT;
    m.limit = 200;
    m.permutations = 20;
    if ((s = gm_kernel_distance(&out->kid, ctx, a, b, &o))) return s;
    if ((s = gm_frechet_distance(&out->frechet, ctx, a, b, 0))) return s;
    if ((s = gm_precision_recall(&out->precision, &out->recall, ctx, a, b, NULL))) return s;
    if ((s = gm_nearest_data(&out->nearest, &out->duplicates, ctx, a, b, NULL))) return s;
    if ((s = gm_diversity(&out->diversity, ctx, a, b, NULL))) return s;
    return gm_mmd_evaluate(&out->mmd, ctx, a, b, &m); /* last: it takes most memory */
}

START_TEST(same_bytes_for_any_threads)
{
    enum { N = 1030, D = 30 };
    all first, now;
    for (int32_t threads = 1; threads <= 3; threads++) {
        gm_context *ctx = support_context(1, threads);
        float *a = normal(ctx, 1, N * D, 0, 1), *b = normal(ctx, 2, N * D, 0, 1);
        gm_rows fa = { a, N, D }, fb = { b, N, D };
        support_ok(ctx, run_all(ctx, &fa, &fb, &now));
        if (threads == 1) first = now;
        ck_assert_mem_eq(&first, &now, sizeof now);
        free(b);
        free(a);
        gm_context_release(ctx);
    }
}
END_TEST

/* Beyond tiles only a few bytes a row. */
START_TEST(memory_is_bounded)
{
    enum { D = 2, MOST = 2100 };
    uint64_t peaks[2];
    for (int i = 0; i < 2; i++) {
        int64_t n = i ? MOST : 1024;
        gm_context *ctx = support_context(1, 1);
        float *a = normal(ctx, 1, MOST * D, 0, 1);
        gm_rows f = { a, n, D };
        gm_memory_counters before, after;
        all out;
        gm_context_memory(&before, ctx);
        support_ok(ctx, run_all(ctx, &f, &f, &out));
        gm_context_memory(&after, ctx);
        ck_assert_uint_eq(after.bytes, before.bytes);
        peaks[i] = after.peak_bytes;
        free(a);
        gm_context_release(ctx);
    }
    ck_assert_uint_le(peaks[1], peaks[0] + 32 * 2 * (MOST - 1024));
}
END_TEST

static int32_t stop_at_once(void *user, int64_t done, int64_t total)
{
    ck_assert_int_le(done, total);
    *(int64_t *)user = done;
    return 1;
}

/* Clusters far apart: nearest rows, their distances, duplicates and precision are those of loops.
 */
START_TEST(distant_clusters)
{
    enum { N = 200, MOST = 16 };
    gm_context *ctx = support_context(1, 2);
    float *a = normal(ctx, 1, N * MOST, 0, 1), *b = normal(ctx, 2, N * MOST, 0, 1);
    static float x[N * MOST], y[N * MOST];
    static double exact[N][N], own[N], distance[N];
    int64_t index[N];
    for (int64_t d = 1; d <= MOST; d *= 4)
        for (double apart = 10; apart < 2e6; apart *= 10) {
            gm_rows fx = { x, N, d }, fy = { y, N, d };
            gm_nearest_options o = GM_NEAREST_OPTIONS_INIT;
            gm_result near = GM_RESULT_INIT, same = GM_RESULT_INIT, precision = GM_RESULT_INIT;
            int inside = 0;
            for (int64_t i = 0; i < N * d; i++) {
                x[i] = (float)((double)a[i] + (i / d % 2 ? apart : 0));
                y[i] = (float)((double)b[i] + (i / d % 2 ? apart : 0));
            }
            for (int i = 0; i < N; i++) {
                double best[3] = { INFINITY, INFINITY, INFINITY };
                for (int j = 0; j < N; j++) {
                    double between = 0, within = 0;
                    for (int64_t c = 0; c < d; c++) {
                        double e = (double)x[i * d + c] - (double)y[j * d + c];
                        double f = (double)y[i * d + c] - (double)y[j * d + c];
                        between += e * e;
                        within += f * f;
                    }
                    exact[i][j] = between;
                    if (i == j) continue;
                    for (int q = 0; q < 3; q++)
                        if (within < best[q]) {
                            double kept = best[q];
                            best[q] = within;
                            within = kept;
                        }
                }
                own[i] = best[2];
            }
            for (int i = 0; i < N; i++) {
                int found = 0;
                for (int j = 0; j < N; j++) found |= exact[i][j] <= own[j];
                inside += found;
            }
            o.distance = distance;
            o.index = index;
            support_ok(ctx, gm_nearest_data(&near, &same, ctx, &fx, &fy, &o));
            for (int i = 0; i < N; i++) {
                double best = INFINITY;
                for (int j = 0; j < N; j++) best = fmin(best, exact[i][j]);
                ck_assert_msg(exact[i][index[i]] <= best * (1 + 1e-12),
                              "%g apart, %lld columns: row %d is %g away, not %g", apart,
                              (long long)d, i, sqrt(exact[i][index[i]]), sqrt(best));
                ck_assert_double_eq_tol(distance[i], sqrt(best), 1e-12 * (1 + sqrt(best)));
            }
            support_ok(ctx, gm_precision_recall(&precision, NULL, ctx, &fx, &fy, NULL));
            ck_assert_double_eq_tol(precision.value, (double)inside / N, 1e-12);
            support_ok(ctx, gm_nearest_data(&near, &same, ctx, &fx, &fx, NULL));
            ck_assert(near.value == 0 && same.value == 1);
        }
    free(a);
    free(b);
    gm_context_release(ctx);
}
END_TEST

#define REFUSED(call, text) support_fails(ctx, call, GM_E_INVALID, text)

START_TEST(refusals)
{
    gm_context *ctx = support_context(1, 1);
    float good[12] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, bad[12] = { 0 };
    const gm_rows a = { good, 6, 2 }, wide = { good, 4, 3 }, none = { good, 0, 2 };
    const gm_rows null = { NULL, 6, 2 }, nan = { bad, 6, 2 }, one = { good, 1, 2 };
    const gm_rows equal = { bad, 2, 2 };
    gm_result r = GM_RESULT_INIT, s = GM_RESULT_INIT;
    int64_t done = 0;
    all out;
    bad[5] = (float)NAN;
    r.value = 7;
    ck_assert_int_eq(gm_kernel_distance(&r, NULL, &a, &a, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_frechet_distance(&r, NULL, &a, &a, 0), GM_E_INVALID);
    ck_assert_int_eq(gm_mmd_evaluate(&r, NULL, &a, &a, NULL), GM_E_INVALID);
    REFUSED(gm_mmd_evaluate(NULL, ctx, &a, &a, NULL), "mmd: out is NULL");
    ck_assert_int_eq(gm_precision_recall(&r, &s, NULL, &a, &a, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_nearest_data(&r, &s, NULL, &a, &a, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_diversity(&r, NULL, &a, &a, NULL), GM_E_INVALID);
    REFUSED(gm_kernel_distance(NULL, ctx, &a, &a, NULL), "kernel_distance: out is NULL");
    REFUSED(gm_frechet_distance(NULL, ctx, &a, &a, 0), "frechet: out is NULL");
    REFUSED(gm_precision_recall(NULL, NULL, ctx, &a, &a, NULL), "precision_recall: out is NULL");
    REFUSED(gm_nearest_data(NULL, NULL, ctx, &a, &a, NULL), "nearest: out is NULL");
    REFUSED(gm_diversity(NULL, ctx, &a, &a, NULL), "diversity: out is NULL");

    /* What all share, by each of them. */
    const struct {
        const gm_rows *samples, *data;
        gm_status status;
        const char *text;
    } wrong[] = {
        { NULL, &a, GM_E_INVALID, "samples is NULL" },
        { &a, NULL, GM_E_INVALID, "data is NULL" },
        { &a, &null, GM_E_INVALID, "data is NULL" },
        { &none, &a, GM_E_INVALID, "samples is [0, 2]" },
        { &a, &wide, GM_E_SHAPE, "samples has rows of 2 values, data of 3" },
        { &a, &nan, GM_E_INVALID, "data: row 2, column 1 is nan" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const gm_rows *p = wrong[i].samples, *q = wrong[i].data;
        support_fails(ctx, gm_kernel_distance(&r, ctx, p, q, NULL), wrong[i].status, wrong[i].text);
        support_fails(ctx, gm_mmd_evaluate(&r, ctx, p, q, NULL), wrong[i].status, wrong[i].text);
        support_fails(ctx, gm_frechet_distance(&r, ctx, p, q, 0), wrong[i].status, wrong[i].text);
        support_fails(ctx, gm_precision_recall(&r, &s, ctx, p, q, NULL), wrong[i].status,
                      wrong[i].text);
        support_fails(ctx, gm_nearest_data(&r, &s, ctx, p, q, NULL), wrong[i].status,
                      wrong[i].text);
        support_fails(ctx, gm_diversity(&r, ctx, p, q, NULL), wrong[i].status, wrong[i].text);
    }

    gm_kernel_distance_options k = GM_KERNEL_DISTANCE_OPTIONS_INIT;
    REFUSED(gm_kernel_distance(&r, ctx, &a, &a, NULL), "subset is 1000, but samples has 6 rows");
    k.subset = 5;
    REFUSED(gm_kernel_distance(&r, ctx, &a, &equal, &k), "subset is 5, but data has 2 rows");
    k.subset = 1;
    REFUSED(gm_kernel_distance(&r, ctx, &a, &a, &k), "subset is 1, expected at least 2");
    k.subset = 2;
    k.subsets = 0;
    REFUSED(gm_kernel_distance(&r, ctx, &a, &a, &k), "subsets is 0");
    k.subsets = 3;
    k.on_progress = stop_at_once;
    k.user = &done;
    support_fails(ctx, gm_kernel_distance(&r, ctx, &a, &a, &k), GM_E_CANCELLED,
                  "after 1 of 3 subsets");

    REFUSED(gm_frechet_distance(&r, ctx, &one, &a, 0), "samples has 1 row");
    gm_mmd_evaluate_options m = GM_MMD_EVALUATE_OPTIONS_INIT;
    support_fails(ctx, gm_mmd_evaluate(&r, ctx, &one, &a, &m), GM_E_SHAPE, "1");
    m.limit = -1;
    REFUSED(gm_mmd_evaluate(&r, ctx, &a, &a, &m), "limit is -1");
    m.limit = 0;
    m.bandwidth = (double)NAN;
    REFUSED(gm_mmd_evaluate(&r, ctx, &a, &a, &m), "bandwidth is nan");
    m.bandwidth = 1;
    m.permutations = 0;
    REFUSED(gm_mmd_evaluate(&r, ctx, &a, &a, &m), "permutations");

    REFUSED(gm_frechet_distance(&r, ctx, &a, &a, -1), "ridge is -1");
    REFUSED(gm_frechet_distance(&r, ctx, &a, &a, (double)NAN), "ridge is nan");

    gm_precision_recall_options p = GM_PRECISION_RECALL_OPTIONS_INIT;
    p.k = 6;
    REFUSED(gm_precision_recall(&r, &s, ctx, &a, &a, &p),
            "k is 6 for 6 samples and 6 data rows, expected 1 to 5");
    p.k = 2;
    REFUSED(gm_precision_recall(&r, &s, ctx, &a, &equal, &p), "expected 1 to 1");
    p.k = 0;
    REFUSED(gm_precision_recall(&r, &s, ctx, &a, &a, &p), "k is 0");
    p.k = 1;
    p.on_progress = stop_at_once;
    p.user = &done;
    support_fails(ctx, gm_precision_recall(&r, &s, ctx, &a, &a, &p), GM_E_CANCELLED, "after 6 of ");

    gm_nearest_options n = GM_NEAREST_OPTIONS_INIT;
    n.threshold = (double)NAN;
    REFUSED(gm_nearest_data(&r, &s, ctx, &a, &a, &n), "threshold is nan");
    n.threshold = -1;
    REFUSED(gm_nearest_data(&r, &s, ctx, &a, &a, &n), "threshold is -1");
    n.threshold = 0;
    n.on_progress = stop_at_once;
    n.user = &done;
    support_fails(ctx, gm_nearest_data(&r, &s, ctx, &a, &a, &n), GM_E_CANCELLED, "after 6 of ");

    bad[5] = 0;
    REFUSED(gm_diversity(&r, ctx, &a, &one, NULL), "data has 1 row");
    REFUSED(gm_diversity(&r, ctx, &a, &equal, NULL), "all data rows are equal");
    gm_diversity_options d = GM_DIVERSITY_OPTIONS_INIT;
    d.on_progress = stop_at_once;
    d.user = &done;
    support_fails(ctx, gm_diversity(&r, ctx, &a, &a, &d), GM_E_CANCELLED, "after 6 of ");
    REFUSED(gm_mmd_evaluate(&r, ctx, &equal, &equal, NULL), "zero");
    bad[0] = (float)1e20;
    support_fails(ctx, gm_nearest_data(&r, NULL, ctx, &a, &equal, NULL), GM_E_NUMERIC,
                  "from the mean of the data");
    bad[0] = (float)1e30;
    k.on_progress = NULL;
    support_fails(ctx, gm_kernel_distance(&r, ctx, &equal, &equal, &k), GM_E_NUMERIC, "too large");
    ck_assert(r.value == 7 && s.rows == 0);
    support_ok(ctx, run_all(ctx, &a, &a, &out));
    gm_context_release(ctx);
}
END_TEST

START_TEST(without_memory)
{
    static const float values[10] = { 0, 1, 2, 3, 5, 8, 13, 21, 34, 55 };
    const gm_rows f = { values, 5, 2 };
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        watched w;
        gm_allocator a = watched_begin(&w, -1);
        gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
        gm_context *ctx = NULL;
        all out;
        o.allocator = &a;
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
        w.fail_at = w.calls + n;
        gm_status s = run_all(ctx, &f, &f, &out);
        int failed = w.calls > w.fail_at;
        if (failed) {
            failures++;
            ck_assert_int_eq(s, GM_E_NOMEM);
            ck_assert(gm_context_error(ctx)[0]);
            support_ok(ctx, gm_frechet_distance(&out.frechet, ctx, &f, &f, 0));
        } else {
            ck_assert_int_eq(s, GM_OK);
        }
        gm_context_release(ctx);
        ck_assert(watched_clean(&w));
        if (!failed) break;
    }
    ck_assert_int_gt(failures, 20);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("evaluate: features");
    TCase *t = tcase_create("features");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, kernel_distance_is_the_double_loop);
    tcase_add_test(t, kernel_distance_over_subsets);
    tcase_add_test(t, frechet_by_hand);
    tcase_add_test(t, frechet_of_a_rotated_scale);
    tcase_add_test(t, frechet_of_known_gaussians);
    tcase_add_test(t, precision_and_recall_by_hand);
    tcase_add_test(t, pairs_by_brute_force);
    tcase_add_test(t, diversity_is_a_ratio);
    tcase_add_test(t, mmd_is_the_two_sample_test);
    tcase_add_test(t, same_bytes_for_any_threads);
    tcase_add_test(t, memory_is_bounded);
    tcase_add_test(t, distant_clusters);
    tcase_add_test(t, refusals);
    tcase_add_test(t, without_memory);
    suite_add_tcase(s, t);
    return s;
}
