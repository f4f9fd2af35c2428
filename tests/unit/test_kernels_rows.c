/* test_kernels_rows.c - row kernels, losses and optimizer updates against plain loops in double. */
#include <math.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "support.h"

static const char *const names[] = { "baseline", "x86-64-v3", "x86-64-v4" };
#define TABLES 3
#define ROWS 5
#define MAX_COLS 4097
#define ROOM (ROWS * MAX_COLS + 1)

static const int64_t lengths[] = { 1, 3, 15, 16, 17, 20, 1000, MAX_COLS };
#define LENGTHS ((int)(sizeof lengths / sizeof lengths[0]))

static float x[ROOM], y[ROOM], z[ROOM], t[ROOM], old[ROOM], dy[ROWS];
static double want[ROOM];

static void begin(void)
{
    const gm_kernels *k = gm_kernels_choose("baseline");
    k->normal(x, 1, 1, 0, ROOM);
    k->normal(z, 2, 1, 0, ROOM);
    k->uniform(t, 3, 1, 0, ROOM);
    k->normal(old, 4, 1, 0, ROOM);
    k->normal(dy, 5, 1, 0, ROWS);
}

static void prepare(float *out, int64_t n, int add)
{
    for (int64_t i = 0; i < n; i++) out[i] = add ? old[i] : NAN;
    out[n] = 12345.0f;
}

static void compare(const char *what, const float *out, int64_t n, int add, double tolerance)
{
    if (out[n] != 12345.0f) ck_abort_msg("%s wrote behind its end (n = %d)", what, (int)n);
    for (int64_t i = 0; i < n; i++) {
        double w = want[i] + (add ? (double)old[i] : 0);
        double bound = tolerance * (1 + fabs(want[i]) + (add ? fabs((double)old[i]) : 0));
        if (!(fabs((double)out[i] - w) <= bound))
            ck_abort_msg("%s, n = %d, add = %d: [%d] is %.9g, not %.9g", what, (int)n, add, (int)i,
                         (double)out[i], w);
    }
}

START_TEST(test_add_bias)
{
    static const int32_t acts[] = { GM_UNARY_IDENTITY, GM_UNARY_RELU, GM_UNARY_TANH,
                                    GM_UNARY_LEAKY_RELU };
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int set = 0; set < 4 * 2 * LENGTHS; set++) {
        int32_t act = acts[set % 4];
        int with_bias = set / 4 % 2;
        int64_t ld = lengths[set / 8], cols = ld > 3 ? ld - 2 : ld;
        memcpy(y, x, sizeof y);
        y[ROWS * ld] = 12345.0f;
        for (int64_t r = 0; r < ROWS; r++) {
            for (int64_t c = 0; c < ld; c++) {
                double v = (double)x[r * ld + c];
                if (c < cols) {
                    if (with_bias) v += (double)z[c];
                    if (act == GM_UNARY_RELU) v = v > 0 ? v : 0;
                    if (act == GM_UNARY_TANH) v = tanh(v);
                    if (act == GM_UNARY_LEAKY_RELU) v = v > 0 ? v : 0.25 * v;
                }
                want[r * ld + c] = v;
            }
        }
        k->add_bias(y, with_bias ? z : NULL, ROWS, cols, ld, act, 0.25f);
        compare("add_bias", y, ROWS * ld, 0, 1e-6);
    }
}
END_TEST

START_TEST(test_column_sums)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int set = 0; set < 2 * LENGTHS; set++) {
        int64_t ld = lengths[set / 2], cols = ld > 3 ? ld - 2 : ld, rows = (ROOM - 1) / ld;
        if (rows > 300) rows = 300;
        for (int64_t c = 0; c < cols; c++) {
            want[c] = 0;
            for (int64_t r = 0; r < rows; r++) want[c] += (double)x[r * ld + c];
        }
        prepare(y, cols, set % 2);
        k->column_sums(y, x, rows, cols, ld, set % 2);
        compare("column_sums", y, cols, set % 2, 1e-5);
    }
    prepare(y, 3, 0);
    want[0] = want[1] = want[2] = 0;
    k->column_sums(y, x, 0, 3, 3, 0);
    compare("column_sums of no rows", y, 3, 0, 0);
}
END_TEST

START_TEST(test_softmax)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int l = 0; l < LENGTHS; l++) {
        int64_t cols = lengths[l], n = ROWS * cols;
        double lse[ROWS];
        static double soft[ROOM], logs[ROOM];
        for (int64_t r = 0; r < ROWS; r++) {
            double total = 0;
            for (int64_t c = 0; c < cols; c++) total += exp((double)x[r * cols + c]);
            lse[r] = log(total);
            for (int64_t c = 0; c < cols; c++) {
                logs[r * cols + c] = (double)x[r * cols + c] - lse[r];
                soft[r * cols + c] = exp(logs[r * cols + c]);
            }
        }
        static float ys[ROOM], yl[ROOM];
        float yr[ROWS + 1], top[ROWS], rest[ROWS];
        prepare(ys, n, 0);
        k->softmax(ys, x, ROWS, cols);
        memcpy(want, soft, sizeof want);
        compare("softmax", ys, n, 0, 1e-6);
        memcpy(y, x, sizeof y);
        y[n] = 12345.0f;
        k->softmax(y, y, ROWS, cols);
        compare("softmax in place", y, n, 0, 1e-6);
        prepare(yl, n, 0);
        k->log_softmax(yl, x, ROWS, cols);
        memcpy(want, logs, sizeof want);
        compare("log_softmax", yl, n, 0, 1e-6);
        prepare(yr, ROWS, 0);
        k->logsumexp(yr, top, rest, x, ROWS, cols);
        memcpy(want, lse, sizeof lse);
        compare("logsumexp", yr, ROWS, 0, 1e-6);

        for (int add = 0; add < 2; add++) {
            for (int64_t r = 0; r < ROWS; r++) {
                double inner = 0, total = 0;
                for (int64_t i = r * cols; i < (r + 1) * cols; i++) {
                    inner += (double)z[i] * soft[i];
                    total += (double)z[i];
                }
                for (int64_t i = r * cols; i < (r + 1) * cols; i++) {
                    want[i] = ((double)z[i] - inner) * soft[i];
                    logs[i] = (double)z[i] - soft[i] * total;
                }
            }
            prepare(y, n, add);
            k->softmax_grad(y, z, ys, ROWS, cols, add);
            compare("softmax_grad", y, n, add, 2e-6);
            memcpy(want, logs, sizeof want);
            prepare(y, n, add);
            k->log_softmax_grad(y, z, yl, ROWS, cols, add);
            compare("log_softmax_grad", y, n, add, 1e-5);
            for (int64_t i = 0; i < n; i++) want[i] = (double)dy[i / cols] * soft[i];
            prepare(y, n, add);
            k->logsumexp_grad(y, dy, x, top, rest, ROWS, cols, add);
            compare("logsumexp_grad", y, n, add, 2e-6);
        }
    }
}
END_TEST

/* One logit far above the others, in each of the first and last columns: where the largest is
 * missed, e^300 is infinite. */
START_TEST(test_softmax_of_a_sure_row)
{
    const float sure = 300;
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int l = 0; l < LENGTHS; l++) {
        const int64_t cols = lengths[l];
        for (int64_t step = 0; step < 40; step++) {
            const int64_t at = step < 20 ? step : cols - 1 - (step - 20);
            float all, top, rest;
            if (at < 0 || at >= cols) continue;
            memcpy(z, x, (size_t)cols * sizeof *z);
            z[at] = sure;
            for (int64_t c = 0; c < cols; c++) want[c] = c == at;
            prepare(y, cols, 0);
            k->softmax(y, z, 1, cols);
            compare("softmax of a sure row", y, cols, 0, 1e-6);
            for (int64_t c = 0; c < cols; c++) want[c] = (double)z[c] - (double)sure;
            prepare(y, cols, 0);
            k->log_softmax(y, z, 1, cols);
            compare("log_softmax of a sure row", y, cols, 0, 1e-6);
            k->logsumexp(&all, &top, &rest, z, 1, cols);
            ck_assert_msg(all == sure && top == sure && rest == 0,
                          "logsumexp: %g, %g + %g, column %d of %d", (double)all, (double)top,
                          (double)rest, (int)at, (int)cols);
        }
    }
}
END_TEST

START_TEST(test_softmax_edges)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    const float inf = INFINITY;
    float in[4][3] = { { -inf, -inf, -inf }, { 1000, 999, -inf }, { 1, inf, 2 }, { 1, NAN, 2 } };
    float out[4], top[4], rest[4], d[12], one[4] = { 1, 1, 1, 1 }, s[12];
    k->logsumexp(out, top, rest, in[0], 4, 3);
    ck_assert(out[0] == -inf);
    ck_assert_double_eq_tol(out[1], 1000 + log1p(exp(-1)), 1e-4);
    ck_assert(out[2] == inf);
    ck_assert(isnan(out[3]));
    k->logsumexp_grad(d, one, in[0], top, rest, 4, 3, 0);
    ck_assert(d[0] == 0 && d[1] == 0 && d[2] == 0 && d[5] == 0);
    ck_assert(d[6] == 0 && d[7] == 1 && d[8] == 0 && isnan(d[9]) && isnan(d[11]));
    k->logsumexp_grad(d, one, in[0], top, rest, 4, 3, 1);
    ck_assert(d[0] == 0 && d[1] == 0 && d[7] == 2 && isnan(d[10]));
    /* one infinity takes all; a row of -inf, and two infinities, have no limit */
    k->softmax(s, in[0], 3, 3);
    ck_assert(isnan(s[0]) && isnan(s[2]) && s[6] == 0 && s[7] == 1 && s[8] == 0);
    k->log_softmax(s, in[0], 3, 3);
    ck_assert(isnan(s[0]) && isnan(s[2]) && s[6] == -inf && s[7] == 0 && s[8] == -inf);
    float two[3] = { inf, 0, inf };
    k->softmax(s, two, 1, 3);
    ck_assert(isnan(s[0]) && isnan(s[1]) && isnan(s[2]));
    k->logsumexp(out + 1, top, rest, two, 1, 3);
    ck_assert(out[1] == inf && isnan(rest[0]));
    k->softmax(s, in[1], 3, 3);
    ck_assert_double_eq_tol(s[0], 1 / (1 + exp(-1)), 1e-6);
    ck_assert(s[2] == 0.0f);
    ck_assert(isnan(s[6]) && isnan(s[7]) && isnan(s[8])); /* one NaN spoils its row */
    k->log_softmax(s, in[1], 1, 3);
    ck_assert(s[2] == -inf);
    k->logsumexp(out, NULL, NULL, in[0], 1, 0); /* no columns: log 0 */
    ck_assert(out[0] == -inf);
}
END_TEST

/* Every specialised number of pieces and the general one; ties to the first. */
START_TEST(test_maxout)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int64_t pieces = 1; pieces <= 7; pieces++) {
        int64_t groups = ROOM / 2 / pieces, n = groups * pieces;
        static float which[ROOM];
        for (int64_t i = 0; i < n; i++) x[i] = roundf(4 * x[i]) / 4;
        k->maxout(y, which, x, groups, pieces);
        for (int64_t g = 0; g < groups; g++) {
            int64_t best = 0;
            for (int64_t j = 1; j < pieces; j++)
                if (x[g * pieces + j] > x[g * pieces + best]) best = j;
            ck_assert_float_eq(y[g], x[g * pieces + best]);
            ck_assert_float_eq(which[g], (float)best);
        }
        for (int64_t at = 0; at < pieces; at++) { /* a NaN wins from any place */
            const float kept = x[pieces + at];
            x[pieces + at] = NAN;
            k->maxout(y, z, x, 3, pieces);
            ck_assert(isnan(y[1]) && z[1] == (float)at && !isnan(y[0]) && !isnan(y[2]));
            x[pieces + at] = kept;
        }
        for (int add = 0; add < 2; add++) {
            for (int64_t i = 0; i < n; i++)
                want[i] = (int64_t)which[i / pieces] == i % pieces ? (double)z[i / pieces] : 0;
            prepare(y, n, add);
            k->maxout_grad(y, z, which, groups, pieces, add);
            compare("maxout_grad", y, n, add, 1e-6);
        }
    }
}
END_TEST

START_TEST(test_bce)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int set = 0; set < 3 * LENGTHS; set++) {
        int64_t cols = lengths[set / 3], rep = 1 + set % 3, first = set % 3 * 2;
        if ((first + ROWS) / rep * cols >= ROOM) continue; /* only so many targets */
        float rows[ROWS + 1];
        for (int64_t r = 0; r < ROWS; r++) {
            want[r] = 0;
            for (int64_t c = 0; c < cols; c++) {
                double l = 5 * (double)x[r * cols + c];
                want[r] += log1p(exp(l)) - l * (double)t[(first + r) / rep * cols + c];
            }
        }
        for (int64_t i = 0; i < ROWS * cols; i++) z[i] = 5 * x[i];
        prepare(rows, ROWS, 0);
        k->bce_rows(rows, z, t, ROWS, cols, first, rep);
        compare("bce_rows", rows, ROWS, 0, 2e-6);
        for (int add = 0; add < 2; add++) {
            for (int64_t i = 0; i < ROWS * cols; i++)
                want[i] = (1 / (1 + exp(-(double)z[i])) -
                           (double)t[(first + i / cols) / rep * cols + i % cols]) *
                          (double)dy[i / cols];
            prepare(y, ROWS * cols, add);
            k->bce_rows_grad(y, dy, z, t, ROWS, cols, first, rep, add);
            compare("bce_rows_grad", y, ROWS * cols, add, 1e-6);
        }
    }
    float far[4] = { 1000, -1000, 1000, -1000 }, sure[4] = { 1, 0, 0, 1 }, row[2];
    k->bce_rows(row, far, sure, 2, 2, 0, 1);
    ck_assert(row[0] == 0.0f && row[1] == 2000.0f); /* neither overflow nor log 0 */
    far[1] = NAN;
    k->bce_rows(row, far, sure, 2, 2, 0, 1);
    ck_assert(isnan(row[0]) && row[1] == 2000.0f);
}
END_TEST

START_TEST(test_gaussian)
{
    const double log_two_pi = log(8 * atan(1));
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    for (int l = 0; l < LENGTHS; l++) {
        int64_t cols = lengths[l], n = ROWS * cols;
        float rows[ROWS + 1];
        static double nll[ROOM], kl[ROOM], dist[ROOM];
        for (int64_t i = 0; i < n; i++) {
            double m = (double)x[i], v = (double)z[i], gap = (double)t[i] - m;
            nll[i] = 0.5 * (log_two_pi + v + gap * gap * exp(-v));
            kl[i] = 0.5 * (m * m + exp(v) - v - 1);
            dist[i] = (m - (double)t[i]) * (m - (double)t[i]);
        }
        for (int which = 0; which < 3; which++) {
            for (int64_t r = 0; r < ROWS; r++) {
                want[r] = 0;
                for (int64_t i = r * cols; i < (r + 1) * cols; i++)
                    want[r] += which == 0 ? nll[i] : which == 1 ? kl[i] : dist[i];
            }
            prepare(rows, ROWS, 0);
            if (which == 0) k->gaussian_nll_rows(rows, x, z, t, ROWS, cols);
            if (which == 1) k->gaussian_kl_rows(rows, x, z, ROWS, cols);
            if (which == 2) k->sqdist_rows(rows, x, t, ROWS, cols);
            compare("gaussian rows", rows, ROWS, 0, 2e-6);
        }
        for (int mask = 1; mask < 8; mask++) { /* which outputs, each with its own add */
            static float dm[ROOM], dv[ROOM], dx[ROOM];
            int am = mask & 1, av = mask >> 1 & 1, ax = mask >> 2 & 1;
            float *pm = mask & 1 ? dm : NULL, *pv = mask & 2 ? dv : NULL,
                  *px = mask & 4 ? dx : NULL;
            if (mask == 7) av = 0;
            if (mask == 5) am = 0;
            prepare(dm, n, am);
            prepare(dv, n, av);
            prepare(dx, n, ax);
            k->gaussian_nll_rows_grad(pm, pv, px, dy, x, z, t, ROWS, cols, am, av, ax);
            for (int out = 0; out < 3; out++) {
                for (int64_t i = 0; i < n; i++) {
                    double gap = (double)t[i] - (double)x[i], e = exp(-(double)z[i]),
                           s = (double)dy[i / cols];
                    want[i] = out == 0   ? -gap * e * s
                              : out == 1 ? 0.5 * (1 - gap * gap * e) * s
                                         : gap * e * s;
                }
                if (out == 0 && pm) compare("nll dmean", dm, n, am, 2e-6);
                if (out == 1 && pv) compare("nll dlogvar", dv, n, av, 2e-6);
                if (out == 2 && px) compare("nll dx", dx, n, ax, 2e-6);
            }
            if (mask > 3) continue;
            prepare(dm, n, am);
            prepare(dv, n, av);
            k->gaussian_kl_rows_grad(pm, pv, dy, x, z, ROWS, cols, am, av);
            for (int64_t i = 0; i < n; i++) want[i] = (double)dy[i / cols] * (double)x[i];
            if (pm) compare("kl dmean", dm, n, am, 1e-6);
            for (int64_t i = 0; i < n; i++)
                want[i] = (double)dy[i / cols] * 0.5 * expm1((double)z[i]);
            if (pv) compare("kl dlogvar", dv, n, av, 1e-6);
        }
    }
    /* Near the prior the terms cancel: mean 0, logvar 1e-3 is 2.5e-7, not noise. */
    float mean = 0, logvar = 1e-3f, row;
    k->gaussian_kl_rows(&row, &mean, &logvar, 1, 1);
    double exact = 0.5 * (expm1((double)logvar) - (double)logvar);
    ck_assert_double_eq_tol(row, exact, 1e-3 * exact);
}
END_TEST

/* Every method in double, written out as in PyTorch's documentation. */
typedef struct weight {
    double w, m, v;
} weight;

enum { SGD, SGD_PLAIN, ADAM, RMSPROP, RMSPROP_MOMENTUM, ADAGRAD, ADADELTA, METHODS };

static void step(int method, weight *a, double grad, const gm_update *u)
{
    double t1 = (double)u->step;
    if (u->clip_value > 0) grad = fmin(fmax(grad, -u->clip_value), u->clip_value);
    grad *= u->grad_scale;
    if (u->decoupled)
        a->w -= u->rate * u->weight_decay * a->w;
    else
        grad += u->weight_decay * a->w;
    switch (method) {
    case SGD_PLAIN:
        a->w -= u->rate * grad;
        break;
    case SGD:
        a->m = u->step == 1 ? grad : u->momentum * a->m + grad;
        a->w -= u->rate * (u->nesterov ? grad + u->momentum * a->m : a->m);
        break;
    case ADAM:
        a->m = u->beta1 * a->m + (1 - u->beta1) * grad;
        a->v = u->beta2 * a->v + (1 - u->beta2) * grad * grad;
        a->w -= u->rate * (a->m / (1 - pow(u->beta1, t1))) /
                (sqrt(a->v / (1 - pow(u->beta2, t1))) + u->eps);
        break;
    case RMSPROP:
    case RMSPROP_MOMENTUM:
        a->v = u->beta2 * a->v + (1 - u->beta2) * grad * grad;
        a->m = (method == RMSPROP ? 0 : u->momentum * a->m) + grad / (sqrt(a->v) + u->eps);
        a->w -= u->rate * a->m;
        break;
    case ADAGRAD:
        a->v += grad * grad;
        a->w -= u->rate * grad / (sqrt(a->v) + u->eps);
        break;
    default: {
        a->v = u->beta2 * a->v + (1 - u->beta2) * grad * grad;
        double delta = sqrt(a->m + u->eps) / sqrt(a->v + u->eps) * grad;
        a->m = u->beta2 * a->m + (1 - u->beta2) * delta * delta;
        a->w -= u->rate * delta;
    }
    }
}

static void run_method(const gm_kernels *k, int method, float *w, const float *g, float *m,
                       float *v, float *prev, const gm_update *u, int64_t n)
{
    switch (method) {
    case SGD:
        k->sgd(w, g, m, prev, u, n);
        break;
    case SGD_PLAIN:
        k->sgd(w, g, NULL, prev, u, n);
        break;
    case ADAM:
        k->adam(w, g, m, v, prev, u, n);
        break;
    case RMSPROP:
        k->rmsprop(w, g, v, NULL, prev, u, n);
        break;
    case RMSPROP_MOMENTUM:
        k->rmsprop(w, g, v, m, prev, u, n);
        break;
    case ADAGRAD:
        k->adagrad(w, g, v, prev, u, n);
        break;
    default:
        k->adadelta(w, g, v, m, prev, u, n);
        break;
    }
}

START_TEST(test_updates)
{
    enum { N = 2500, STEPS = 5 };
    static float w[N + 1], g[N], m[N], v[N], prev[N + 1], before[N];
    static weight reference[N];
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    begin();
    if (!k) return;
    /* variant: bit 0 decay, bit 1 decoupled, bit 2 clipping, bit 3 nesterov, bit 4 no prev, bit
     * 5 short */
    for (int set = 0; set < METHODS * 64; set++) {
        int method = set % METHODS, variant = set / METHODS;
        int64_t n = variant & 32 ? 17 : N;
        gm_update u = { .rate = 0.05,
                        .grad_scale = variant & 4 ? 0.7 : 1,
                        .clip_value = variant & 4 ? 0.5 : 0,
                        .weight_decay = variant & 1 ? 0.1 : 0,
                        .decoupled = variant >> 1 & 1,
                        .nesterov = variant >> 3 & 1,
                        .momentum = 0.9,
                        .beta1 = 0.9,
                        .beta2 = 0.95,
                        .eps = 1e-6 };
        memset(m, 0, sizeof m);
        memset(v, 0, sizeof v);
        if (method == SGD) k->fill(m, NAN, n); /* its first step does not look */
        for (int64_t i = 0; i < n; i++) {
            w[i] = x[i];
            reference[i] = (weight){ (double)x[i], 0, 0 };
        }
        w[n] = prev[n] = 12345.0f;
        for (u.step = 1; u.step <= STEPS; u.step++) {
            for (int64_t i = 0; i < n; i++) {
                g[i] = old[i * 7 % N + u.step];
                step(method, &reference[i], (double)g[i], &u);
                want[i] = reference[i].w;
            }
            memcpy(before, w, (size_t)n * sizeof *w);
            run_method(k, method, w, g, m, v, variant & 16 ? NULL : prev, &u, n);
            char what[64];
            snprintf(what, sizeof what, "method %d, variant %d, step %d", method, variant,
                     (int)u.step);
            compare(what, w, n, 0, 1e-5);
            if (!(variant & 16)) ck_assert_mem_eq(prev, before, (size_t)n * sizeof *w);
            ck_assert(prev[n] == 12345.0f);
        }
    }
}
END_TEST

START_TEST(test_update_edges)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    for (int method = 0; method < METHODS; method++) {
        gm_update u = { .rate = 0.1,
                        .grad_scale = 1,
                        .clip_value = 1,
                        .momentum = 0.9,
                        .beta1 = 0.9,
                        .beta2 = 0.99,
                        .eps = 1e-8,
                        .step = 1 };
        float w[3] = { 1, 1, 1 }, m[3] = { 0 }, v[3] = { 0 }, g[3] = { NAN, INFINITY, 0 };
        run_method(k, method, w, g, m, v, NULL, &u, 3);
        ck_assert(isnan(w[0]));    /* clipping does not hide NaN */
        ck_assert(isfinite(w[1])); /* but tames infinity */
        ck_assert(w[2] == 1.0f);
    }
    float avg[17], w[17];
    for (int i = 0; i < 17; i++) {
        avg[i] = (float)i;
        w[i] = -1.0f;
    }
    k->ema(avg, w, 0.75, 17);
    for (int i = 0; i < 17; i++) ck_assert_double_eq_tol(avg[i], 0.75 * i - 0.25, 1e-6);
}
END_TEST

/* Gradients cease: moments decay to zero and never rest among the denormal numbers, where
 * arithmetic is slow. */
START_TEST(test_moments_settle)
{
    const gm_kernels *k = gm_kernels_choose(names[_i]);
    if (!k) return;
    float w[17], g[17], m[17] = { 0 }, v[17] = { 0 }, d[17] = { 0 };
    gm_update u = {
        .rate = 1e-3, .grad_scale = 1, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.9, .eps = 1e-8
    };
    for (int i = 0; i < 17; i++) w[i] = 1;
    for (u.step = 1; u.step < 3000; u.step++) {
        for (int i = 0; i < 17; i++) g[i] = u.step < 3 ? 0.5f : 0;
        k->adam(w, g, m, v, NULL, &u, 17);
        k->sgd(w, g, d, NULL, &u, 17);
        for (int i = 0; i < 17; i++) {
            ck_assert(fpclassify(m[i]) != FP_SUBNORMAL);
            ck_assert(fpclassify(v[i]) != FP_SUBNORMAL);
            ck_assert(fpclassify(d[i]) != FP_SUBNORMAL);
            if (u.step < 100) ck_assert(m[i] > 0 && v[i] > 0 && d[i] > 0);
        }
    }
    for (int i = 0; i < 17; i++) ck_assert(m[i] == 0 && v[i] == 0 && d[i] == 0);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("kernels_rows");
    TCase *tests = tcase_create("rows");
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, test_add_bias, 0, TABLES);
    tcase_add_loop_test(tests, test_column_sums, 0, TABLES);
    tcase_add_loop_test(tests, test_softmax, 0, TABLES);
    tcase_add_loop_test(tests, test_softmax_of_a_sure_row, 0, TABLES);
    tcase_add_loop_test(tests, test_softmax_edges, 0, TABLES);
    tcase_add_loop_test(tests, test_maxout, 0, TABLES);
    tcase_add_loop_test(tests, test_bce, 0, TABLES);
    tcase_add_loop_test(tests, test_gaussian, 0, TABLES);
    tcase_add_loop_test(tests, test_updates, 0, TABLES);
    tcase_add_loop_test(tests, test_update_edges, 0, TABLES);
    tcase_add_loop_test(tests, test_moments_settle, 0, TABLES);
    suite_add_tcase(suite, tests);
    return suite;
}
