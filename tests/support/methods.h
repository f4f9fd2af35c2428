/* methods.h - every method of gm/optimizer.h with its arithmetic from the paper in double, and a
 * little world to step them in. For test_optimizer.c and its neighbours.
 */
#ifndef GM_TESTS_METHODS_H
#define GM_TESTS_METHODS_H

#include "support.h"

#include <float.h>
#include <stdint.h>

#include "gm/optimizer.h"

/* --- The methods, and what one step of each is, in double, from the papers. */

typedef struct state {
    double w, a, b; /* the weight and two moments */
    int64_t t;
} state;

typedef struct row {
    const char *what, *kind;
    gm_status (*make)(gm_optimizer **out, gm_context *ctx);
    void (*reference)(state *s, double g, double rate);
    double rate, quadratic_rate; /* the method's own; one that minimises the quadratic quickly */
} row;

static inline gm_status make_sgd(gm_optimizer **out, gm_context *ctx)
{
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    o.weight_decay = 0.1;
    return gm_sgd_create(out, ctx, &o);
}

static inline void step_sgd(state *s, double g, double rate)
{
    s->w -= rate * (g + 0.1 * s->w);
}

static inline gm_status make_momentum(gm_optimizer **out, gm_context *ctx)
{
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    o.momentum = 0.9;
    return gm_sgd_create(out, ctx, &o);
}

static inline void step_momentum(state *s, double g, double rate)
{
    s->a = s->t++ ? 0.9 * s->a + g : g;
    s->w -= rate * s->a;
}

static inline gm_status make_nesterov(gm_optimizer **out, gm_context *ctx)
{
    gm_sgd_options o = GM_SGD_OPTIONS_INIT;
    o.momentum = 0.8;
    o.nesterov = 1;
    return gm_sgd_create(out, ctx, &o);
}

static inline void step_nesterov(state *s, double g, double rate)
{
    s->a = s->t++ ? 0.8 * s->a + g : g;
    s->w -= rate * (g + 0.8 * s->a);
}

static inline gm_status make_adam(gm_optimizer **out, gm_context *ctx)
{
    return gm_adam_create(out, ctx, NULL);
}

static inline void step_adam(state *s, double g, double rate)
{
    s->t++;
    s->a = 0.9 * s->a + 0.1 * g;
    s->b = 0.999 * s->b + 0.001 * g * g;
    double first = s->a / (1 - pow(0.9, (double)s->t));
    double second = s->b / (1 - pow(0.999, (double)s->t));
    s->w -= rate * first / (sqrt(second) + 1e-8);
}

static inline gm_status make_adam_l2(gm_optimizer **out, gm_context *ctx)
{
    gm_adam_options o = GM_ADAM_OPTIONS_INIT;
    o.weight_decay = 0.3;
    return gm_adam_create(out, ctx, &o);
}

static inline void step_adam_l2(state *s, double g, double rate)
{
    step_adam(s, g + 0.3 * s->w, rate);
}

static inline gm_status make_adamw(gm_optimizer **out, gm_context *ctx)
{
    gm_adam_options o = GM_ADAM_OPTIONS_INIT;
    o.weight_decay = 0.3;
    o.decoupled = 1;
    return gm_adam_create(out, ctx, &o);
}

static inline void step_adamw(state *s, double g, double rate)
{
    s->w *= 1 - rate * 0.3;
    step_adam(s, g, rate);
}

static inline gm_status make_rmsprop(gm_optimizer **out, gm_context *ctx)
{
    return gm_rmsprop_create(out, ctx, NULL);
}

static inline void step_rmsprop(state *s, double g, double rate)
{
    s->a = 0.99 * s->a + 0.01 * g * g;
    s->w -= rate * g / (sqrt(s->a) + 1e-8);
}

static inline gm_status make_rmsprop_momentum(gm_optimizer **out, gm_context *ctx)
{
    gm_rmsprop_options o = GM_RMSPROP_OPTIONS_INIT;
    o.momentum = 0.5;
    return gm_rmsprop_create(out, ctx, &o);
}

static inline void step_rmsprop_momentum(state *s, double g, double rate)
{
    s->a = 0.99 * s->a + 0.01 * g * g;
    s->b = 0.5 * s->b + g / (sqrt(s->a) + 1e-8);
    s->w -= rate * s->b;
}

static inline gm_status make_adagrad(gm_optimizer **out, gm_context *ctx)
{
    return gm_adagrad_create(out, ctx, NULL);
}

static inline void step_adagrad(state *s, double g, double rate)
{
    s->a += g * g;
    s->w -= rate * g / (sqrt(s->a) + 1e-10);
}

static inline gm_status make_adadelta(gm_optimizer **out, gm_context *ctx)
{
    return gm_adadelta_create(out, ctx, NULL);
}

static inline void step_adadelta(state *s, double g, double rate)
{
    s->a = 0.9 * s->a + 0.1 * g * g;
    double d = sqrt(s->b + 1e-6) / sqrt(s->a + 1e-6) * g;
    s->b = 0.9 * s->b + 0.1 * d * d;
    s->w -= rate * d;
}

static const row rows[] = {
    { "sgd", "sgd", make_sgd, step_sgd, 0.01, 0.2 },
    { "momentum", "sgd", make_momentum, step_momentum, 0.01, 0.05 },
    { "nesterov", "sgd", make_nesterov, step_nesterov, 0.01, 0.05 },
    { "adam", "adam", make_adam, step_adam, 0.001, 0.1 },
    { "adam with l2", "adam", make_adam_l2, step_adam_l2, 0.001, 0.1 },
    { "adamw", "adam", make_adamw, step_adamw, 0.001, 0.1 },
    { "rmsprop", "rmsprop", make_rmsprop, step_rmsprop, 0.001, 0.05 },
    { "rmsprop with momentum", "rmsprop", make_rmsprop_momentum, step_rmsprop_momentum, 0.001,
      0.03 },
    { "adagrad", "adagrad", make_adagrad, step_adagrad, 0.01, 0.5 },
    { "adadelta", "adadelta", make_adadelta, step_adadelta, 1, 20 },
};
#define ROWS ((int)(sizeof rows / sizeof *rows))

/* --- A little world: a context, parameters of several sizes, an optimizer. */

#define SETS 4
static const int64_t sizes[SETS] = { 70000, 3, 1,
                                     20000 }; /* several pieces; tiny ones; one and a bit */

typedef struct world {
    gm_context *ctx;
    gm_params *params;
    gm_optimizer *o;
    int64_t n;
} world;

static inline void add_param(world *w, const char *name, int64_t size)
{
    gm_param *p = NULL;
    support_ok(w->ctx, gm_param_create(&p, w->ctx, name, 1, &size));
    support_ok(w->ctx, gm_param_init(p, GM_INIT_NORMAL, 0, 1, NULL));
    support_ok(w->ctx, gm_params_add(w->params, NULL, p));
    gm_param_release(p);
}

static inline world make_world(const row *r, int32_t threads, int sets)
{
    static const char *names[SETS] = { "big", "three", "one", "middle" };
    world w = { support_context(21, threads), NULL, NULL, 0 };
    support_ok(w.ctx, gm_params_create(&w.params, w.ctx));
    for (int i = 0; i < sets; i++) add_param(&w, names[i], sizes[i]);
    if (!sets) add_param(&w, "small", 7);
    w.n = gm_params_elements(w.params);
    if (!r) return w;
    support_ok(w.ctx, r->make(&w.o, w.ctx));
    support_ok(w.ctx, gm_optimizer_add(w.o, w.params));
    return w;
}

static inline void free_world(world *w)
{
    gm_optimizer_release(w->o);
    gm_params_release(w->params);
    gm_context_release(w->ctx);
}

/* A gradient that hangs on the step, the place and the weight: the same for the same history. */
static inline void set_gradients(world *w, int64_t step)
{
    int64_t at = 0;
    for (int64_t i = 0; i < gm_params_count(w->params); i++) {
        gm_param *p = gm_params_get(w->params, i);
        for (int64_t k = 0; k < gm_param_count(p); k++, at++)
            gm_param_gradient(p)[k] =
                0.3f * gm_param_value(p)[k] + (float)((at * 7 + step * 13) % 11 - 5) * 0.25f;
    }
}

static inline void steps(world *w, int64_t first, int64_t count)
{
    for (int64_t i = first; i < first + count; i++) {
        set_gradients(w, i);
        support_ok(w->ctx, gm_optimizer_step(w->o));
    }
}

static inline float *weights(world *w)
{
    float *v = malloc((size_t)w->n * sizeof *v);
    ck_assert_ptr_nonnull(v);
    support_ok(w->ctx, gm_params_read(w->params, w->n, v));
    return v;
}

static inline void check_same(world *a, world *b)
{
    float *x = weights(a), *y = weights(b);
    ck_assert_int_eq(a->n, b->n);
    ck_assert_mem_eq(x, y, (size_t)a->n * sizeof *x);
    free(x);
    free(y);
}

static inline void gradient_of_one(world *w, double g)
{
    for (int64_t i = 0; i < gm_params_count(w->params); i++) {
        gm_param *p = gm_params_get(w->params, i);
        for (int64_t k = 0; k < gm_param_count(p); k++) gm_param_gradient(p)[k] = (float)g;
    }
}

#endif
