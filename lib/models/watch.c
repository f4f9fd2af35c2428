/* watch.c - early stopping, and its part of a checkpoint. */
#include "models/watch.h"

#include <math.h>

static int64_t weights(const gm_model *model)
{
    return gm_params_elements(model->params);
}

static int64_t states(const gm_model *model)
{
    return gm_params_elements(model->state);
}

gm_status gm_watch_open(gm_model *model)
{
    const int64_t count = weights(model) + states(model);
    if (model->watch && model->watch->count == count) return GM_OK;
    gm_watch_close(model);
    struct gm_watch *w = gm_context_allocate(model->ctx, sizeof *w);
    float *best = w ? gm_context_allocate(model->ctx, (size_t)count * sizeof *best) : NULL;
    if (!best) {
        gm_context_free(model->ctx, w, sizeof *w);
        return gm_model_fail(model->ctx, GM_E_NOMEM, "fit: no memory for the best %lld weights",
                             (long long)count);
    }
    w->loss = NAN;
    w->waited = 0;
    w->count = count;
    w->best = best;
    model->watch = w;
    return GM_OK;
}

void gm_watch_close(gm_model *model)
{
    struct gm_watch *w = model->watch;
    if (!w) return;
    gm_context_free(model->ctx, w->best, (size_t)w->count * sizeof *w->best);
    gm_context_free(model->ctx, w, sizeof *w);
    model->watch = NULL;
}

gm_status gm_watch_add(gm_model *model, double loss)
{
    struct gm_watch *w = model->watch;
    gm_status status = GM_OK;
    if (!isnan(w->loss) && !(loss < w->loss)) {
        w->waited++;
        return GM_OK;
    }
    GM_TRY(gm_params_read(model->params, weights(model), w->best));
    GM_TRY(gm_params_read(model->state, states(model), w->best + weights(model)));
    w->loss = loss;
    w->waited = 0;
out:
    return status;
}

gm_status gm_watch_restore(gm_model *model)
{
    const struct gm_watch *w = model->watch;
    gm_status status = GM_OK;
    if (!w->waited) return GM_OK;
    GM_TRY(gm_params_write(model->params, w->best, weights(model)));
    GM_TRY(gm_params_write(model->state, w->best + weights(model), states(model)));
out:
    return status;
}

gm_status gm_watch_save(const gm_model *model, gm_archive *archive)
{
    const struct gm_watch *w = model->watch;
    gm_status status = GM_OK;
    if (!w || (isnan(w->loss) && !w->waited)) return GM_OK;
    if (isfinite(w->loss)) GM_TRY(gm_archive_set_real(archive, "fit.best_loss", w->loss));
    GM_TRY(gm_archive_set_int(archive, "fit.waited", w->waited));
    GM_TRY(gm_archive_put(archive, "fit.best", 1, &w->count, w->best));
out:
    return status;
}

gm_status gm_watch_load(gm_model *model, gm_archive *archive)
{
    gm_status status = GM_OK;
    if (!gm_archive_has(archive, "fit.waited")) return GM_OK;
    GM_TRY(gm_watch_open(model));
    struct gm_watch *w = model->watch;
    GM_TRY(gm_archive_get_int(&w->waited, archive, "fit.waited"));
    if (w->waited < 0)
        GM_TRY(gm_model_fail(model->ctx, GM_E_FORMAT,
                             "load: fit.waited is %lld, expected at least 0",
                             (long long)w->waited));
    if (gm_archive_has(archive, "fit.best_loss"))
        GM_TRY(gm_archive_get_real(&w->loss, archive, "fit.best_loss"));
    GM_TRY(gm_archive_get_into(archive, "fit.best", 1, &w->count, w->best));
out:
    return status;
}
