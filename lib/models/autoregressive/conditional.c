/* conditional.c - one conditional p(x_i | x_<i) of an autoregressive model: its density, its draws,
 * what it can have. */
#include <math.h>

#include "gm/rng.h"
#include "models/autoregressive/conditionals.h"
#include "models/family.h"

#define HALF_LOG_2PI 0.91893853320467274178
#define LOG_2 0.69314718055994530942
#define TWO_PI 6.28318530717958647692

static double softplus(double a)
{
    return a > 0 ? a + log1p(exp(-a)) : log1p(exp(a));
}

static double log_sum_exp(const float *a, int64_t n)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, (double)a[i]);
    if (isinf(most)) return most;
    for (int64_t i = 0; i < n; i++) sum += exp((double)a[i] - most);
    return most + log(sum);
}

/* log density of component c at x. */
static double component(int32_t kind, double mean, double log_scale, double x)
{
    const double r = (x - mean) * exp(-log_scale);
    return kind == GM_CONDITIONAL_LAPLACE_MIXTURE ? -fabs(r) - log_scale - LOG_2
                                                  : -0.5 * r * r - log_scale - HALF_LOG_2PI;
}

/* log sum_c w_c p_c(x), with the weights' normaliser taken out once. */
static double mixture(int32_t kind, int64_t parts, const float *raw, double x)
{
    double most = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t c = 0; c < parts; c++) {
            const double l = (double)raw[c] +
                             component(kind, (double)raw[parts + c], (double)raw[2 * parts + c], x);
            if (pass)
                sum += exp(l - most);
            else
                most = fmax(most, l);
        }
        if (isinf(most)) return most;
    }
    return most + log(sum) - log_sum_exp(raw, parts);
}

double gm_conditional_log_prob(int32_t kind, int64_t width, const float *raw, double x)
{
    switch (kind) {
    case GM_CONDITIONAL_BINARY:
        return x > 0.5 ? -softplus(-(double)raw[0]) : -softplus((double)raw[0]);
    case GM_CONDITIONAL_CATEGORICAL:
        return (double)raw[(int64_t)x] - log_sum_exp(raw, width);
    case GM_CONDITIONAL_GAUSSIAN:
        return component(kind, (double)raw[0], (double)raw[1], x);
    default:
        return mixture(kind, width / 3, raw, x);
    }
}

/* The class that u chooses; *rest is where u lies in its interval, uniform on (0, 1) again. */
static int64_t choose(const float *logits, int64_t n, double u, double *rest)
{
    const double total = log_sum_exp(logits, n);
    double before = 0;
    for (int64_t c = 0; c < n; c++) {
        const double p = exp((double)logits[c] - total);
        if (u < before + p || c == n - 1) {
            const double part = p > 0 ? (u - before) / p : 0.5;
            *rest = fmin(fmax(part, 0x1p-53), 1 - 0x1p-53);
            return c;
        }
        before += p;
    }
    return 0;
}

/* A standard normal number (Box and Muller 1958), or a Laplacian of scale 1. */
static double standard(int32_t kind, double u, double v)
{
    if (kind == GM_CONDITIONAL_LAPLACE_MIXTURE) return u < 0.5 ? log(2 * u) : -log(2 * (1 - u));
    return sqrt(-2 * log(u)) * cos(TWO_PI * v);
}

float gm_conditional_draw(int32_t kind, int64_t width, const float *raw, double u, double v)
{
    const int64_t parts = width / 3;
    double rest = u;
    int64_t c;
    switch (kind) {
    case GM_CONDITIONAL_BINARY:
        return u < 1 / (1 + exp(-(double)raw[0])) ? 1 : 0;
    case GM_CONDITIONAL_CATEGORICAL:
        return (float)choose(raw, width, u, &rest);
    case GM_CONDITIONAL_GAUSSIAN:
        return (float)((double)raw[0] + exp((double)raw[1]) * standard(kind, u, v));
    default:
        c = choose(raw, parts, u, &rest);
        return (float)((double)raw[parts + c] +
                       exp((double)raw[2 * parts + c]) * standard(kind, rest, v));
    }
}

/* Uniform on (0, 1): the generator's [0, 1), but for 0, whose logarithm is not finite. */
static double inside(gm_rng *rng)
{
    const double u = gm_rng_double(rng);
    return u > 0 ? u : 0x1p-54;
}

float gm_conditional_next(gm_rng *rng, int32_t kind, int64_t width, const float *raw)
{
    const double u = inside(rng), v = kind > GM_CONDITIONAL_CATEGORICAL ? inside(rng) : 0.5;
    return gm_conditional_draw(kind, width, raw, u, v);
}

static void softmax(const float *logits, int64_t n, float *out)
{
    const double total = log_sum_exp(logits, n);
    for (int64_t c = 0; c < n; c++) out[c] = (float)exp((double)logits[c] - total);
}

void gm_conditional_describe(int32_t kind, int64_t width, const float *raw, float *out)
{
    const int64_t parts = width / 3;
    switch (kind) {
    case GM_CONDITIONAL_BINARY:
        out[0] = (float)(1 / (1 + exp(-(double)raw[0])));
        return;
    case GM_CONDITIONAL_CATEGORICAL:
        softmax(raw, width, out);
        return;
    case GM_CONDITIONAL_GAUSSIAN:
        out[0] = raw[0];
        out[1] = (float)exp((double)raw[1]);
        return;
    default:
        softmax(raw, parts, out);
        for (int64_t c = 0; c < parts; c++) {
            out[parts + c] = raw[parts + c];
            out[2 * parts + c] = (float)exp((double)raw[2 * parts + c]);
        }
    }
}

gm_status gm_conditional_check(gm_model *model, const char *verb, int32_t kind, int64_t width,
                               int64_t first, const float *rows, const uint8_t *known,
                               int64_t count)
{
    const int64_t size = model->row_size;
    if (kind == GM_CONDITIONAL_BINARY &&
        !known) { /* the common case, without a branch for each value */
        int others = 0;
        for (int64_t i = 0; i < count * size; i++) others |= (rows[i] != 0) & (rows[i] != 1);
        if (!others) return GM_OK;
    }
    for (int64_t i = 0; i < count * size; i++) {
        const double x = (double)rows[i];
        if (known && !known[i]) continue;
        if (kind == GM_CONDITIONAL_BINARY && (x == 0 || x == 1)) continue;
        if (kind == GM_CONDITIONAL_CATEGORICAL && x >= 0 && x < (double)width && x == floor(x))
            continue;
        if (kind > GM_CONDITIONAL_CATEGORICAL && isfinite(x)) continue;
        const long long row = (long long)(first + i / size), column = (long long)(i % size);
        if (kind == GM_CONDITIONAL_CATEGORICAL)
            return gm_model_fail(
                model->ctx, GM_E_INVALID,
                "%s: %s: row %lld, column %lld is %g, expected a class from 0 to %lld",
                model->family->name, verb, row, column, x, (long long)width - 1);
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: %s: row %lld, column %lld is %g, expected %s",
                             model->family->name, verb, row, column, x,
                             kind == GM_CONDITIONAL_BINARY ? "0 or 1" : "a finite number");
    }
    return GM_OK;
}
