/* eigen.c - Tr (A B)^(1/2) of two covariances, which may be singular.
 *
 * With A = L L^T the eigenvalues of A B are those of L^T B L, which is symmetric: nothing is
 * inverted, and no eigenvectors are needed. L comes from a Cholesky decomposition with pivoting,
 * which ends where what is left of A is rounding (Higham 1990); the eigenvalues from Householder's
 * reduction to a tridiagonal matrix and implicit QR steps with Wilkinson's shift (Golub and Van
 * Loan 2013, 8.3). Loops run along rows, so that they are vectors without sums in another order.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "evaluate/eigen.h"

#define MOST_STEPS 60 /* QR steps for an eigenvalue; two are usual */

/* y += f x */
static void add_row(double *y, double f, const double *x, int64_t n)
{
    for (int64_t j = 0; j < n; j++) y[j] += f * x[j];
}

/* A = U^T U: fills rows of u, [n, n], and returns how many there are. left: n values. */
static int64_t decompose(const double *a, int64_t n, double *u, double *left)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        left[i] = a[i * n + i];
        most = fmax(most, left[i]);
    }
    for (int64_t k = 0; k < n; k++) {
        double *row = u + k * n;
        int64_t p = 0;
        for (int64_t i = 1; i < n; i++)
            if (left[i] > left[p]) p = i;
        if (!(left[p] > (double)n * DBL_EPSILON * most)) return k;
        memcpy(row, a + p * n, (size_t)n * sizeof *row);
        for (int64_t m = 0; m < k; m++) add_row(row, -u[m * n + p], u + m * n, n);
        double pivot = sqrt(left[p]);
        for (int64_t i = 0; i < n; i++) {
            row[i] = left[i] == -INFINITY ? 0 : i == p ? pivot : row[i] / pivot;
            left[i] -= row[i] * row[i];
        }
        left[p] = -INFINITY; /* has been a pivot */
    }
    return n;
}

/* U B U^T, [r, r], over u; a and b are overwritten. */
static void sandwich(double *u, int64_t r, double *a, double *b, int64_t n)
{
    memset(a, 0, (size_t)(n * n) * sizeof *a);
    for (int64_t k = 0; k < r; k++)
        for (int64_t i = 0; i < n; i++)
            if (u[k * n + i] != 0) add_row(a + k * n, u[k * n + i], b + i * n, n);
    for (int64_t k = 0; k < r; k++)
        for (int64_t i = 0; i < n; i++) b[i * r + k] = u[k * n + i];
    memset(u, 0, (size_t)(r * r) * sizeof *u);
    for (int64_t k = 0; k < r; k++)
        for (int64_t i = 0; i < n; i++) add_row(u + k * r, a[k * n + i], b + i * r, r);
}

/* The symmetric m, [n, n], to diagonal d and off-diagonal e by reflections I - f v v^T (v is kept
 * in m's rows). w: n values. */
static void tridiagonalise(double *m, int64_t n, double *d, double *e, double *w)
{
    for (int64_t k = 0; k < n; k++) {
        int64_t left = n - k - 1;
        double *v = m + k * n + k + 1, tail = 0;
        d[k] = m[k * n + k];
        if (!left) break;
        for (int64_t i = 1; i < left; i++) tail += v[i] * v[i];
        e[k] = v[0];
        if (!(tail > 0)) continue;
        double length = sqrt(v[0] * v[0] + tail);
        e[k] = v[0] > 0 ? -length : length;
        v[0] -= e[k];
        double f = 2 / (v[0] * v[0] + tail), dot = 0;
        memset(w, 0, (size_t)left * sizeof *w);
        for (int64_t i = 0; i < left; i++) add_row(w, f * v[i], m + (k + 1 + i) * n + k + 1, left);
        for (int64_t i = 0; i < left; i++) dot += w[i] * v[i];
        add_row(w, -0.5 * f * dot, v, left);
        for (int64_t i = 0; i < left; i++) {
            double *row = m + (k + 1 + i) * n + k + 1;
            add_row(row, -v[i], w, left);
            add_row(row, -w[i], v, left);
        }
    }
}

/* One QR step on the block lo .. hi: rotations chase a bulge z down its off-diagonal. */
static void step(double *d, double *e, int64_t lo, int64_t hi)
{
    double half = (d[hi - 1] - d[hi]) / 2, b = e[hi - 1];
    double shift = d[hi] - b * b / (half + copysign(hypot(half, b), half));
    double x = d[lo] - shift, z = e[lo];
    for (int64_t k = lo; k < hi; k++) {
        double r = hypot(x, z), c = r > 0 ? x / r : 1, s = r > 0 ? z / r : 0;
        double one = d[k], two = d[k + 1], off = e[k];
        if (k > lo) e[k - 1] = r;
        d[k] = c * c * one + 2 * c * s * off + s * s * two;
        d[k + 1] = s * s * one - 2 * c * s * off + c * c * two;
        e[k] = c * s * (two - one) + (c * c - s * s) * off;
        x = e[k];
        if (k + 1 < hi) {
            z = s * e[k + 1];
            e[k + 1] *= c;
        }
    }
}

/* d becomes the eigenvalues, in no order; 0 when they do not come. */
static int diagonalise(double *d, double *e, int64_t n)
{
    int64_t hi = n - 1;
    for (int tries = 0; hi > 0;) {
        int64_t lo = hi;
        while (lo > 0 && fabs(e[lo - 1]) > DBL_EPSILON * (fabs(d[lo - 1]) + fabs(d[lo]))) lo--;
        if (lo > 0) e[lo - 1] = 0;
        if (lo == hi) {
            hi--;
            tries = 0;
        } else if (tries++ < MOST_STEPS) {
            step(d, e, lo, hi);
        } else {
            return 0;
        }
    }
    return 1;
}

gm_status gm_trace_sqrt_product(double *a, double *b, int64_t n, double *scratch, double *out)
{
    double *d = scratch + n * n, *e = d + n, *w = e + n, most = 0;
    int64_t r = decompose(a, n, scratch, d);
    *out = 0;
    sandwich(scratch, r, a, b, n);
    tridiagonalise(scratch, r, d, e, w);
    if (!diagonalise(d, e, r)) return GM_E_NUMERIC;
    for (int64_t i = 0; i < r; i++) most = fmax(most, d[i]);
    /* What is below the largest one's rounding is 0; its root would not be small. */
    for (int64_t i = 0; i < r; i++)
        if (d[i] > (double)n * DBL_EPSILON * most) *out += sqrt(d[i]);
    return isfinite(*out) ? GM_OK : GM_E_NUMERIC;
}
