/* methods.c - the table of methods and their constructors; the arithmetic is in the kernels. */
#include <float.h>
#include <string.h>

#include "base/options.h"
#include "optim/optimizer.h"

static void update_sgd(const gm_kernels *k, float *w, const float *g, float *const slot[GM_SLOTS],
                       float *prev, const gm_update *u, int64_t n)
{
    k->sgd(w, g, slot[0], prev, u, n);
}

static void update_adam(const gm_kernels *k, float *w, const float *g, float *const slot[GM_SLOTS],
                        float *prev, const gm_update *u, int64_t n)
{
    k->adam(w, g, slot[0], slot[1], prev, u, n);
}

static void update_rmsprop(const gm_kernels *k, float *w, const float *g,
                           float *const slot[GM_SLOTS], float *prev, const gm_update *u, int64_t n)
{
    k->rmsprop(w, g, slot[0], slot[1], prev, u, n);
}

static void update_adagrad(const gm_kernels *k, float *w, const float *g,
                           float *const slot[GM_SLOTS], float *prev, const gm_update *u, int64_t n)
{
    k->adagrad(w, g, slot[0], prev, u, n);
}

static void update_adadelta(const gm_kernels *k, float *w, const float *g,
                            float *const slot[GM_SLOTS], float *prev, const gm_update *u, int64_t n)
{
    k->adadelta(w, g, slot[0], slot[1], prev, u, n);
}

static int32_t none_or_one(const gm_constants *c)
{
    return c->momentum > 0 ? 1 : 0;
}

static int32_t one_or_two(const gm_constants *c)
{
    return c->momentum > 0 ? 2 : 1;
}

static int32_t one(const gm_constants *c)
{
    (void)c;
    return 1;
}

static int32_t two(const gm_constants *c)
{
    (void)c;
    return 2;
}

static const gm_method sgd = { "sgd", { "momentum" }, "beta2", none_or_one, update_sgd };
static const gm_method adam = { "adam", { "first", "second" }, "beta2", two, update_adam };
static const gm_method rmsprop = {
    "rmsprop", { "second", "momentum" }, "alpha", one_or_two, update_rmsprop
};
static const gm_method adagrad = { "adagrad", { "squares" }, "beta2", one, update_adagrad };
static const gm_method adadelta = {
    "adadelta", { "second", "moves" }, "rho", two, update_adadelta
};

const gm_method *const gm_methods[] = { &sgd, &adam, &rmsprop, &adagrad, &adadelta, NULL };

gm_status gm_constants_check(gm_context *ctx, const gm_method *method, const gm_constants *c)
{
    const struct {
        const char *name;
        double value, end; /* from 0 to below end */
    } ranges[] = {
        { "rate", c->rate, FLT_MAX },   { "weight_decay", c->weight_decay, FLT_MAX },
        { "momentum", c->momentum, 1 }, { "beta1", c->beta1, 1 },
        { method->beta2, c->beta2, 1 }, { "eps", c->eps, FLT_MAX },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= 0 && ranges[i].value < ranges[i].end)) /* NaN, too */
            return gm_fail(ctx, GM_E_INVALID, "%s: %s is %g, expected 0 to below %g", method->name,
                           ranges[i].name, ranges[i].value, ranges[i].end);
    /* In float, too, or the first division is by zero. */
    if (!((float)c->eps > 0))
        return gm_fail(ctx, GM_E_INVALID, "%s: eps is %g, expected above 0", method->name, c->eps);
    if (c->nesterov != 0 && (c->nesterov != 1 || !(c->momentum > 0)))
        return gm_fail(ctx, GM_E_INVALID, "%s: nesterov is %lld, expected 0, or 1 with momentum",
                       method->name, (long long)c->nesterov);
    if (c->decoupled != 0 && c->decoupled != 1)
        return gm_fail(ctx, GM_E_INVALID, "%s: decoupled is %lld, expected 0 or 1", method->name,
                       (long long)c->decoupled);
    return GM_OK;
}

static gm_status check_reserved(gm_context *ctx, const char *what, int32_t reserved)
{
    if (!reserved) return GM_OK;
    return gm_fail(ctx, GM_E_INVALID, "%s: reserved is %d, expected 0", what, (int)reserved);
}

gm_status gm_sgd_create(gm_optimizer **out, gm_context *ctx, const gm_sgd_options *options)
{
    if (out) *out = NULL;
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, "sgd", &o, sizeof o, options);
    if (!status) status = check_reserved(ctx, "sgd", o.reserved);
    if (status) return status;
    gm_constants c = { .rate = o.rate,
                       .momentum = o.momentum,
                       .nesterov = o.nesterov,
                       .weight_decay = o.weight_decay,
                       .eps = 1 };
    return gm_optimizer_make(out, ctx, &sgd, &c);
}

gm_status gm_adam_create(gm_optimizer **out, gm_context *ctx, const gm_adam_options *options)
{
    if (out) *out = NULL;
    gm_adam_options o = GM_ADAM_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, "adam", &o, sizeof o, options);
    if (!status) status = check_reserved(ctx, "adam", o.reserved);
    if (status) return status;
    gm_constants c = { .rate = o.rate,
                       .beta1 = o.beta1,
                       .beta2 = o.beta2,
                       .eps = o.eps,
                       .weight_decay = o.weight_decay,
                       .decoupled = o.decoupled };
    return gm_optimizer_make(out, ctx, &adam, &c);
}

gm_status gm_rmsprop_create(gm_optimizer **out, gm_context *ctx, const gm_rmsprop_options *options)
{
    if (out) *out = NULL;
    gm_rmsprop_options o = GM_RMSPROP_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, "rmsprop", &o, sizeof o, options);
    if (status) return status;
    gm_constants c = { .rate = o.rate,
                       .beta2 = o.alpha,
                       .eps = o.eps,
                       .momentum = o.momentum,
                       .weight_decay = o.weight_decay };
    return gm_optimizer_make(out, ctx, &rmsprop, &c);
}

gm_status gm_adagrad_create(gm_optimizer **out, gm_context *ctx, const gm_adagrad_options *options)
{
    if (out) *out = NULL;
    gm_adagrad_options o = GM_ADAGRAD_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, "adagrad", &o, sizeof o, options);
    if (status) return status;
    gm_constants c = { .rate = o.rate, .eps = o.eps, .weight_decay = o.weight_decay };
    return gm_optimizer_make(out, ctx, &adagrad, &c);
}

gm_status gm_adadelta_create(gm_optimizer **out, gm_context *ctx,
                             const gm_adadelta_options *options)
{
    if (out) *out = NULL;
    gm_adadelta_options o = GM_ADADELTA_OPTIONS_INIT;
    gm_status status = gm_options_check(ctx, "adadelta", &o, sizeof o, options);
    if (status) return status;
    gm_constants c = {
        .rate = o.rate, .beta2 = o.rho, .eps = o.eps, .weight_decay = o.weight_decay
    };
    return gm_optimizer_make(out, ctx, &adadelta, &c);
}
