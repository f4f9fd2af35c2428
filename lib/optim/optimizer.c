/* optimizer.c - creation, binding, settings. */
#include "optim/optimizer.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/options.h"

static size_t array_bytes(const gm_bound *b)
{
    return (size_t)(b->param->count ? b->param->count : 1) * sizeof(float);
}

static void bound_free(const gm_optimizer *o, const gm_bound *b, float *array)
{
    gm_memory_put(&o->ctx->memory, array, array_bytes(b));
}

gm_status gm_optimizer_make(gm_optimizer **out, gm_context *ctx, const gm_method *method,
                            const gm_constants *constants)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "%s: context or out is NULL", method->name);
    gm_status status = gm_constants_check(ctx, method, constants);
    if (status) return status;
    gm_optimizer *o = gm_memory_get_zero(&ctx->memory, sizeof *o);
    if (!o) return gm_fail_memory(ctx, method->name);
    gm_context_retain(ctx);
    o->ctx = ctx;
    o->owners = 1;
    o->method = method;
    o->constants = *constants;
    o->slots = method->slot_count(constants);
    gm_schedule constant = GM_SCHEDULE_INIT;
    o->schedule = constant;
    *out = o;
    return GM_OK;
}

static void unbind(gm_optimizer *o, gm_bound *b)
{
    for (int32_t i = 0; i < GM_SLOTS; i++) bound_free(o, b, b->slot[i]);
    bound_free(o, b, b->average);
    bound_free(o, b, b->prev);
    gm_param_release(b->param);
}

void gm_optimizer_retain(gm_optimizer *optimizer)
{
    if (optimizer) optimizer->owners++;
}

/* A half-made array of bound parameters, or of their pieces. */
typedef struct plan {
    gm_bound *bound;
    int64_t count;
    gm_piece *pieces;
    int64_t piece_count;
    int64_t *shards;
    int64_t shard_count;
} plan;

static void free_plan(gm_context *ctx, plan *p)
{
    gm_memory_put(&ctx->memory, p->bound, (size_t)p->count * sizeof *p->bound);
    gm_memory_put(&ctx->memory, p->pieces, (size_t)p->piece_count * sizeof *p->pieces);
    gm_memory_put(&ctx->memory, p->shards, (size_t)(p->piece_count + 1) * sizeof *p->shards);
}

static plan plan_of(const gm_optimizer *o)
{
    plan p = { o->bound, o->count, o->pieces, o->piece_count, o->shards, o->shard_count };
    return p;
}

void gm_optimizer_release(gm_optimizer *o)
{
    if (!o || --o->owners > 0) return;
    gm_context *ctx = o->ctx;
    for (int64_t i = 0; i < o->count; i++) unbind(o, &o->bound[i]);
    plan p = plan_of(o);
    free_plan(ctx, &p);
    gm_memory_put(&ctx->memory, o, sizeof *o);
    gm_context_release(ctx);
}

const char *gm_optimizer_kind(const gm_optimizer *optimizer)
{
    return optimizer ? optimizer->method->name : "";
}

gm_context *gm_optimizer_context(const gm_optimizer *optimizer)
{
    return optimizer ? optimizer->ctx : NULL;
}

int64_t gm_optimizer_params(const gm_optimizer *optimizer)
{
    return optimizer ? optimizer->count : 0;
}

/* The arrays come later: gm_optimizer_take. */
static void bind(const gm_optimizer *o, gm_bound *b, gm_param *param, const char *name)
{
    memset(b, 0, sizeof *b);
    gm_param_retain(param);
    b->param = param;
    b->since = o->steps;
    memcpy(b->name, name, strlen(name) + 1);
}

/* An array of zeros, if there is none yet. */
static gm_status take(gm_optimizer *o, const gm_bound *b, float **array)
{
    if (!*array) *array = gm_memory_get_zero(&o->ctx->memory, array_bytes(b));
    return *array ? GM_OK : gm_fail_memory(o->ctx, o->method->name);
}

gm_status gm_optimizer_take(gm_optimizer *o, int average)
{
    gm_status status = GM_OK;
    for (int64_t i = 0; i < o->count; i++) {
        gm_bound *b = &o->bound[i];
        for (int32_t k = 0; k < o->slots; k++) GM_TRY(take(o, b, &b->slot[k]));
        if (average) GM_TRY(take(o, b, &b->average));
    }
    for (int64_t i = 0; average && i < o->count; i++) {
        gm_bound *b = &o->bound[i];
        if (!b->averaged)
            memcpy(b->average, b->param->value, (size_t)b->param->count * sizeof(float));
        b->averaged = 1;
    }
out:
    return status;
}

gm_status gm_optimizer_take_step(gm_optimizer *o)
{
    gm_status status = GM_OK;
    for (int64_t i = 0; i < o->count; i++) {
        gm_bound *b = &o->bound[i];
        GM_TRY(gm_param_take_gradient(b->param));
        if (o->undo) GM_TRY(take(o, b, &b->prev));
    }
    GM_TRY(gm_optimizer_take(o, o->decay > 0));
out:
    return status;
}

static gm_status cut(gm_optimizer *o, plan *p)
{
    int64_t pieces = 0;
    for (int64_t i = 0; i < p->count; i++)
        pieces += (p->bound[i].param->count + GM_PIECE - 1) / GM_PIECE;
    if (!pieces) return GM_OK;
    p->pieces = gm_memory_get_zero(&o->ctx->memory, (size_t)pieces * sizeof *p->pieces);
    if (!p->pieces) return gm_fail_memory(o->ctx, o->method->name);
    p->piece_count = pieces;
    p->shards = gm_memory_get(&o->ctx->memory, (size_t)(pieces + 1) * sizeof *p->shards);
    if (!p->shards) return gm_fail_memory(o->ctx, o->method->name);
    int64_t at = 0, shard = 0, load = 0;
    for (int64_t i = 0; i < p->count; i++)
        for (int64_t from = 0; from < p->bound[i].param->count; from += GM_PIECE) {
            int64_t left = p->bound[i].param->count - from;
            gm_piece piece = { i, from, left < GM_PIECE ? left : GM_PIECE, 0 };
            if (!at || load + piece.count > GM_PIECE) {
                p->shards[shard++] = at;
                load = 0;
            }
            load += piece.count;
            p->pieces[at++] = piece;
        }
    p->shards[shard] = pieces;
    p->shard_count = shard;
    return GM_OK;
}

static int is_bound(const gm_optimizer *o, const gm_param *param)
{
    for (int64_t i = 0; i < o->count; i++)
        if (o->bound[i].param == param) return 1;
    return 0;
}

gm_status gm_optimizer_add(gm_optimizer *o, const gm_params *params)
{
    if (!o || !params)
        return gm_fail(o ? o->ctx : NULL, GM_E_INVALID, "optimizer: it, or params, is NULL");
    if (params->ctx != o->ctx)
        return gm_fail(o->ctx, GM_E_INVALID, "%s: params are of another context", o->method->name);
    for (int64_t i = 0; i < params->count; i++)
        if (is_bound(o, params->entries[i].param))
            return gm_fail(o->ctx, GM_E_INVALID, "%s: parameter %s is bound already",
                           o->method->name, params->entries[i].name);
    if (!params->count) return GM_OK;
    gm_status status = GM_OK;
    plan old = plan_of(o), p = { 0 };
    int64_t done = 0;
    p.count = o->count + params->count;
    p.bound = gm_memory_get(&o->ctx->memory, (size_t)p.count * sizeof *p.bound);
    if (!p.bound) {
        p.count = 0;
        GM_TRY(gm_fail_memory(o->ctx, o->method->name));
    }
    if (o->count) memcpy(p.bound, o->bound, (size_t)o->count * sizeof *p.bound);
    gm_average_catch_up(o);
    while (done < params->count) {
        const gm_params_entry *e = &params->entries[done];
        bind(o, &p.bound[o->count + done++], e->param, e->name);
    }
    GM_TRY(cut(o, &p));
    o->bound = p.bound;
    o->count = p.count;
    o->pieces = p.pieces;
    o->piece_count = p.piece_count;
    o->shards = p.shards;
    o->shard_count = p.shard_count;
    if (o->undo) o->undo = 1;
    free_plan(o->ctx, &old);
    return GM_OK;
out:
    while (done > 0) unbind(o, &p.bound[o->count + --done]);
    free_plan(o->ctx, &p);
    return status;
}

/* A limit or rate: finite and at least 0. */
static gm_status set(gm_optimizer *o, const char *what, double *to, double value)
{
    if (!o) return GM_E_INVALID;
    if (!(value >= 0 && value <= FLT_MAX))
        return gm_fail(o->ctx, GM_E_INVALID, "%s: %s is %g, expected a float of at least 0",
                       o->method->name, what, value);
    *to = value;
    return GM_OK;
}

gm_status gm_optimizer_set_rate(gm_optimizer *o, double rate)
{
    return set(o, "rate", o ? &o->constants.rate : NULL, rate);
}

gm_status gm_optimizer_set_momentum(gm_optimizer *o, double momentum)
{
    if (!o) return GM_E_INVALID;
    gm_constants with = o->constants, without = o->constants;
    with.momentum = 0.5;
    without.momentum = 0;
    if (o->method->slot_count(&with) == o->method->slot_count(&without))
        return gm_fail(o->ctx, GM_E_UNSUPPORTED, "%s: it has no momentum", o->method->name);
    with.momentum = momentum;
    gm_status status = gm_constants_check(o->ctx, o->method, &with);
    if (status) return status;
    if (o->slots == o->method->slot_count(&without))
        return gm_fail(
            o->ctx, GM_E_STATE,
            "%s: momentum is %g, but the optimizer was made without: no array is kept for it",
            o->method->name, momentum);
    o->constants.momentum = momentum;
    return GM_OK;
}

gm_status gm_optimizer_set_clip_norm(gm_optimizer *o, double limit)
{
    return set(o, "clip_norm", o ? &o->clip_norm : NULL, limit);
}

gm_status gm_optimizer_set_clip_value(gm_optimizer *o, double limit)
{
    return set(o, "clip_value", o ? &o->clip_value : NULL, limit);
}

double gm_optimizer_rate(const gm_optimizer *o)
{
    return o ? gm_schedule_rate(&o->schedule, o->constants.rate, o->steps) : 0;
}

gm_status gm_optimizer_set_schedule(gm_optimizer *o, const gm_schedule *schedule)
{
    if (!o) return GM_E_INVALID;
    gm_status status = gm_schedule_check(o->ctx, schedule);
    gm_schedule s = GM_SCHEDULE_INIT;
    if (!status) status = gm_options_check(o->ctx, "schedule", &s, sizeof s, schedule);
    if (!status) o->schedule = s;
    return status;
}

int64_t gm_optimizer_steps(const gm_optimizer *o)
{
    return o ? o->steps : 0;
}

double gm_optimizer_gradient_norm(const gm_optimizer *o)
{
    return o ? o->norm : 0;
}

static void drop_averages(gm_optimizer *o)
{
    for (int64_t i = 0; i < o->count; i++) {
        bound_free(o, &o->bound[i], o->bound[i].average);
        o->bound[i].average = NULL;
        o->bound[i].averaged = 0;
    }
}

gm_status gm_optimizer_set_average(gm_optimizer *o, double decay)
{
    if (!o) return GM_E_INVALID;
    if (!(decay >= 0 && decay < 1))
        return gm_fail(o->ctx, GM_E_INVALID, "%s: average decay is %g, expected 0 to below 1",
                       o->method->name, decay);
    gm_status status = gm_optimizer_check_unswapped(o, "set_average");
    if (status) return status;
    gm_average_catch_up(o); /* what was made so far counts with the old decay */
    if (decay <= 0) drop_averages(o);
    o->decay = decay;
    return GM_OK;
}

int32_t gm_optimizer_average_on(const gm_optimizer *o)
{
    if (!o || !(o->decay > 0)) return 0;
    return o->swapped ? 2 : 1;
}

static void drop_prev(gm_optimizer *o)
{
    for (int64_t i = 0; i < o->count; i++) {
        bound_free(o, &o->bound[i], o->bound[i].prev);
        o->bound[i].prev = NULL;
    }
}

gm_status gm_optimizer_set_undo(gm_optimizer *o, int32_t on)
{
    if (!o) return GM_E_INVALID;
    if (on != 0 && on != 1)
        return gm_fail(o->ctx, GM_E_INVALID, "%s: undo is %d, expected 0 or 1", o->method->name,
                       (int)on);
    if (on && o->undo) return GM_OK;
    if (!on) drop_prev(o);
    o->undo = on;
    return GM_OK;
}
