/* watch.c - early stopping, and its part of a checkpoint. */
#include "models/watch.h"

#include <math.h>
#include <string.h>

static int64_t weights(const gm_model *model)
{
    return gm_params_elements(model->params);
}

static int64_t states(const gm_model *model)
{
    return gm_params_elements(model->state);
}

static int averaged(const gm_model *model)
{
    return gm_optimizer_average_on(model->optimizer) != 0;
}

static int64_t values(const gm_model *model)
{
    return weights(model) * (averaged(model) ? 2 : 1) + states(model);
}

/* Does something to every array of values, the averages last, with the place of each among all. */
typedef void (*array_fn)(float *value, int64_t count, void *user, int64_t at);

static void each_of(const gm_model *model, gm_params *set, array_fn what, void *user, int64_t at)
{
    for (int64_t i = 0; i < gm_params_count(set); i++) {
        gm_param *p = gm_params_get(set, i);
        const int64_t count = gm_param_count(p);
        /* more than there were when the watch was made: the host's additions */
        if (count > model->watch->count - at) break;
        what(gm_param_value(p), count, user, at);
        at += count;
    }
}

/* gm_watch_open took the averages' memory, so that it cannot fail. */
static void swap_averages(gm_model *model)
{
    (void)gm_optimizer_swap_average(model->optimizer);
}

/* Averages have an order of their own; in the place of the parameters they have that of these. */
static void each_average(gm_model *model, array_fn what, void *user)
{
    if (!averaged(model)) return;
    swap_averages(model);
    each_of(model, model->params, what, user, weights(model) + states(model));
    swap_averages(model);
}

/* A parameter without an average (of a GAN's D) is met with the averages, too: what an exchange
 * with the averages first has done is undone by one with them last. */
static void each(gm_model *model, array_fn what, void *user, int averages_first)
{
    const int32_t in = gm_optimizer_average_on(model->optimizer);
    if (in) swap_averages(model); /* now they have taken in the latest weights */
    if (in == 1) swap_averages(model);
    if (averages_first) each_average(model, what, user);
    each_of(model, model->params, what, user, 0);
    each_of(model, model->state, what, user, weights(model));
    if (!averages_first) each_average(model, what, user);
    if (in == 2) swap_averages(model); /* the host has them there */
}

static void keep(float *value, int64_t count, void *user, int64_t at)
{
    if (count) memcpy((float *)user + at, value, (size_t)count * sizeof *value);
}

static void exchange(float *value, int64_t count, void *user, int64_t at)
{
    float *other = (float *)user + at;
    for (int64_t i = 0; i < count; i++) {
        const float held = value[i];
        value[i] = other[i];
        other[i] = held;
    }
}

static void give_best(gm_model *model)
{
    each(model, exchange, model->watch->other, 1);
}

static void give_last(gm_model *model)
{
    each(model, exchange, model->watch->other, 0);
}

/* As FNV-1a does with bytes: each step is one to one, so that no single change escapes. */
static void add_up(float *value, int64_t count, void *user, int64_t at)
{
    uint64_t *sum = user;
    (void)at;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &value[i], sizeof bits);
        *sum = (*sum ^ bits) * UINT64_C(0x100000001b3);
    }
}

static uint64_t sum_of(gm_model *model)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    each(model, add_up, &sum, 1);
    return sum;
}

/* The memory of averages that are on and that no step has taken yet. */
static gm_status take_averages(gm_model *model)
{
    gm_status status = GM_OK;
    if (gm_optimizer_average_on(model->optimizer) != 1) return GM_OK;
    GM_TRY(gm_optimizer_swap_average(model->optimizer));
    GM_TRY(gm_optimizer_swap_average(model->optimizer));
out:
    return status;
}

/* The one that is there, without a best epoch, or one of another size. */
static gm_status renew(gm_model *model, int64_t rows)
{
    const int64_t count = values(model);
    struct gm_watch *w = model->watch;
    if (!w || w->count != count) {
        w = gm_model_allocate(model->ctx, sizeof *w);
        float *other = w ? gm_context_allocate(model->ctx, (size_t)count * sizeof *other) : NULL;
        if (!other) {
            gm_context_free(model->ctx, w, sizeof *w);
            return gm_model_fail(model->ctx, GM_E_NOMEM, "fit: no memory for the best %lld weights",
                                 (long long)count);
        }
        gm_watch_close(model);
        w->count = count;
        w->other = other;
        model->watch = w;
    }
    w->known = 0;
    w->waited = 0;
    w->loss = (double)NAN;
    w->rows = rows;
    return GM_OK;
}

gm_status gm_watch_open(gm_model *model, int64_t rows, int32_t anew)
{
    struct gm_watch *w = model->watch;
    const gm_status status = take_averages(model);
    if (status) return status;
    if (!anew && w && w->known && w->count == values(model) && (!w->rows || w->rows == rows) &&
        w->sum == sum_of(model)) {
        w->rows = rows;
        return GM_OK;
    }
    return renew(model, rows);
}

void gm_watch_close(gm_model *model)
{
    struct gm_watch *w = model->watch;
    if (!w) return;
    gm_context_free(model->ctx, w->other, (size_t)w->count * sizeof *w->other);
    gm_context_free(model->ctx, w, sizeof *w);
    model->watch = NULL;
}

void gm_watch_enter(gm_model *model)
{
    struct gm_watch *w = model->watch;
    if (!w) return;
    w->training = 1;
    if (w->known) give_last(model);
}

void gm_watch_leave(gm_model *model)
{
    struct gm_watch *w = model->watch;
    if (!w) return;
    if (w->known) give_best(model);
    if (w->known) w->sum = sum_of(model);
    w->training = 0;
}

int gm_watch_show_best(gm_model *model)
{
    const struct gm_watch *w = model->watch;
    const int turn = w && w->training && w->known;
    if (turn) give_best(model);
    return turn;
}

void gm_watch_hide_best(gm_model *model, int shown)
{
    if (shown) give_last(model);
}

void gm_watch_add(gm_model *model, double loss)
{
    struct gm_watch *w = model->watch;
    if (w->known && !isnan(w->loss) && !(loss < w->loss)) {
        w->waited++;
        return;
    }
    each(model, keep, w->other, 1);
    w->known = 1;
    w->loss = loss;
    w->waited = 0;
}

gm_status gm_watch_save(const gm_model *model, gm_archive *archive)
{
    const struct gm_watch *w = model->watch;
    gm_status status = GM_OK;
    if (!w || !w->known) return GM_OK;
    GM_TRY(gm_archive_set_real(archive, "fit.best_loss", w->loss));
    GM_TRY(gm_archive_set_int(archive, "fit.waited", w->waited));
    GM_TRY(gm_archive_set_int(archive, "fit.validation_rows", w->rows));
    GM_TRY(gm_archive_put(archive, "fit.last", 1, &w->count, w->other));
out:
    return status;
}

/* A number of at least 0. */
static gm_status get_count(int64_t *out, gm_model *model, gm_archive *archive, const char *key)
{
    gm_status status = gm_archive_get_int(out, archive, key);
    if (!status && (*out < 0 || *out == INT64_MAX))
        status = gm_model_fail(model->ctx, GM_E_FORMAT, "load: %s is %lld, expected at least 0%s",
                               key, (long long)*out, *out < 0 ? "" : " and less than that");
    return status;
}

/* Files of before "fit.last" have the values to go on with in the model's place, and beside them
 * those of the best epoch, "fit.best", without averages: they get the present ones. */
static gm_status load_best(gm_model *model, gm_archive *archive)
{
    struct gm_watch *w = model->watch;
    const int64_t count = weights(model) + states(model);
    gm_status status;
    each(model, keep, w->other, 1);
    GM_TRY(gm_archive_get_into(archive, "fit.best", 1, &count, w->other));
    give_best(model);
out:
    return status;
}

gm_status gm_watch_load(gm_model *model, gm_archive *archive)
{
    gm_status status = GM_OK;
    if (!gm_archive_has(archive, "fit.waited")) return GM_OK;
    GM_TRY(take_averages(model));
    GM_TRY(renew(model, 0));
    struct gm_watch *w = model->watch;
    GM_TRY(get_count(&w->waited, model, archive, "fit.waited"));
    if (gm_archive_has(archive, "fit.validation_rows"))
        GM_TRY(get_count(&w->rows, model, archive, "fit.validation_rows"));
    if (gm_archive_has(archive, "fit.best_loss"))
        GM_TRY(gm_archive_get_real(&w->loss, archive, "fit.best_loss"));
    if (gm_archive_has_tensor(archive, "fit.best"))
        GM_TRY(load_best(model, archive));
    else
        GM_TRY(gm_archive_get_into(archive, "fit.last", 1, &w->count, w->other));
    w->known = 1;
    w->sum = sum_of(model);
out:
    return status;
}

void gm_model_forget_fits(gm_model *model)
{
    memset(&model->pass, 0, sizeof model->pass);
    gm_watch_close(model);
}
