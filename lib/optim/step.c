/* step.c - one update, the average of the weights, and the way back. */
#include <math.h>
#include <string.h>

#include "base/child.h"
#include "optim/optimizer.h"

gm_status gm_optimizer_check_unswapped(const gm_optimizer *o, const char *what)
{
    if (!o->swapped) return GM_OK;
    return gm_fail(o->ctx, GM_E_STATE, "%s: %s: the averages are swapped in; swap them back first",
                   o->method->name, what);
}

typedef struct job {
    gm_optimizer *o;
    gm_update update;
} job;

static void norm_shard(void *arg, int64_t shard)
{
    gm_optimizer *o = ((job *)arg)->o;
    for (int64_t i = o->shards[shard]; i < o->shards[shard + 1]; i++) {
        gm_piece *p = &o->pieces[i];
        p->squares =
            o->ctx->kernels->sum_squares(o->bound[p->bound].param->gradient + p->begin, p->count);
    }
}

static float *at(float *array, int64_t begin)
{
    return array ? array + begin : NULL;
}

static void average_piece(gm_optimizer *o, const gm_bound *b, const gm_piece *p)
{
    o->ctx->kernels->ema(b->average + p->begin, b->param->value + p->begin, o->decay, p->count);
}

static void update_shard(void *arg, int64_t shard)
{
    const job *j = arg;
    gm_optimizer *o = j->o;
    for (int64_t i = o->shards[shard]; i < o->shards[shard + 1]; i++) {
        const gm_piece *p = &o->pieces[i];
        const gm_bound *b = &o->bound[p->bound];
        float *const slot[GM_SLOTS] = { at(b->slot[0], p->begin), at(b->slot[1], p->begin) };
        gm_update u = j->update;
        u.step -= b->since;
        if (o->pending) average_piece(o, b, p);
        o->method->update(o->ctx->kernels, b->param->value + p->begin,
                          b->param->gradient + p->begin, slot, at(b->prev, p->begin), &u, p->count);
    }
}

static void average_shard(void *arg, int64_t shard)
{
    gm_optimizer *o = ((job *)arg)->o;
    for (int64_t i = o->shards[shard]; i < o->shards[shard + 1]; i++)
        average_piece(o, &o->bound[o->pieces[i].bound], &o->pieces[i]);
}

/* The average takes a step's weights in when the next step begins, or when it is asked for: so
 * a step that is undone in between never enters it. */
void gm_average_catch_up(gm_optimizer *o)
{
    if (!o->pending) return;
    job j = { .o = o };
    gm_team_run(o->ctx->team, o->shard_count, average_shard, &j);
    o->pending = 0;
}

/* Also the check for NaN and infinity: squares are added in double, which holds the square of any
 * float. */
static gm_status measure(gm_optimizer *o, double *norm)
{
    job j = { .o = o };
    gm_team_run(o->ctx->team, o->shard_count, norm_shard, &j);
    double sum = 0;
    for (int64_t i = 0; i < o->piece_count; i++) {
        if (!isfinite(o->pieces[i].squares))
            return gm_fail(o->ctx, GM_E_NUMERIC,
                           "%s: step %lld: the gradient of %s is not finite; no weight was changed",
                           o->method->name, (long long)o->steps + 1,
                           o->bound[o->pieces[i].bound].name);
        sum += o->pieces[i].squares;
    }
    *norm = sqrt(sum);
    return GM_OK;
}

gm_status gm_optimizer_step(gm_optimizer *o)
{
    if (!o) return GM_E_INVALID;
    if (!o->count)
        return gm_fail(o->ctx, GM_E_STATE, "%s: no parameters are bound", o->method->name);
    gm_status status = gm_optimizer_check_unswapped(o, "step");
    if (!status) status = gm_context_check_unsealed(o->ctx, "step");
    if (status) return status;
    double norm = 0;
    status = gm_optimizer_take_step(o);
    if (status) return status;
    status = measure(o, &norm);
    if (status) return status;
    const gm_constants *c = &o->constants;
    job j = { o,
              { .rate = gm_optimizer_rate(o),
                .grad_scale = o->clip_norm > 0 && norm > o->clip_norm ? o->clip_norm / norm : 1,
                .clip_value = o->clip_value,
                .weight_decay = c->weight_decay,
                .decoupled = (int32_t)c->decoupled,
                .nesterov = (int32_t)c->nesterov,
                .momentum = c->momentum,
                .beta1 = c->beta1,
                .beta2 = c->beta2,
                .eps = c->eps,
                .step = o->steps + 1 } };
    gm_team_run(o->ctx->team, o->shard_count, update_shard, &j);
    o->norm = norm;
    o->steps++;
    o->pending = o->decay > 0;
    if (o->undo) o->undo = 2;
    return GM_OK;
}

gm_status gm_optimizer_reset(gm_optimizer *o)
{
    if (!o) return GM_E_INVALID;
    gm_status status = gm_optimizer_check_unswapped(o, "reset");
    if (status) return status;
    for (int64_t i = 0; i < o->count; i++) {
        gm_bound *b = &o->bound[i];
        size_t bytes = (size_t)b->param->count * sizeof(float);
        for (int32_t k = 0; k < o->slots; k++)
            if (b->slot[k]) memset(b->slot[k], 0, bytes);
        if (b->averaged) memcpy(b->average, b->param->value, bytes);
        b->since = 0;
    }
    o->steps = 0;
    o->norm = 0;
    o->pending = 0;
    if (o->undo) o->undo = 1;
    return GM_OK;
}

gm_status gm_optimizer_swap_average(gm_optimizer *o)
{
    if (!o) return GM_E_INVALID;
    if (!(o->decay > 0))
        return gm_fail(o->ctx, GM_E_STATE, "%s: swap_average: no average is kept", o->method->name);
    gm_status status = gm_optimizer_take(o, 1);
    if (status) return status;
    gm_average_catch_up(o);
    for (int64_t i = 0; i < o->count; i++) {
        float *w = o->bound[i].param->value, *a = o->bound[i].average;
        for (int64_t k = 0; k < o->bound[i].param->count; k++) {
            float held = w[k];
            w[k] = a[k];
            a[k] = held;
        }
    }
    o->swapped = !o->swapped;
    return GM_OK;
}

gm_status gm_optimizer_undo(gm_optimizer *o)
{
    if (!o) return GM_E_INVALID;
    if (o->undo != 2)
        return gm_fail(o->ctx, GM_E_STATE, "%s: undo: there is no step to undo", o->method->name);
    gm_status status = gm_optimizer_check_unswapped(o, "undo");
    if (status) return status;
    for (int64_t i = 0; i < o->count; i++) {
        const gm_bound *b = &o->bound[i];
        memcpy(b->param->value, b->prev, (size_t)b->param->count * sizeof(float));
    }
    o->undo = 1;
    o->pending = 0;
    return GM_OK;
}
