/* parzen.c - the Parzen-window log-likelihood of a model's samples. */
#include "parzen.h"

#include "message.h"
#include "progress.h"
#include "stop.h"

#include "gm/extend.h"

#include <math.h>
#include <stdlib.h>

const double parzen_fine[PARZEN_FINE] = { 0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16,
                                          0.17, 0.18, 0.19, 0.20, 0.21, 0.22, 0.23,
                                          0.24, 0.25, 0.26, 0.27, 0.28, 0.29 };

static int32_t on_progress(void *user, int64_t done, int64_t total)
{
    progress_step(user, 1, done, total, NAN);
    return stop_requested();
}

static gm_status read_rows(gm_tensor **out, gm_dataset *data, int64_t begin, int64_t count,
                           int64_t size)
{
    if (gm_dataset_row_size(data) != size)
        return gm_context_fail(gm_dataset_context(data), GM_E_SHAPE,
                               "parzen: samples and data have rows of different sizes");
    return gm_dataset_read_tensor(out, data, begin, count, 0);
}

static gm_status read_validation(gm_tensor **out, const struct mnist *m, int64_t most, int64_t size)
{
    if (m->valid != NULL)
        return read_rows(out, m->valid, 0, m->valid_rows < most ? m->valid_rows : most, size);
    const int64_t half = m->train_rows > 1 ? m->train_rows / 2 : 1;
    const int64_t count = half < most ? half : most;
    return read_rows(out, m->train, m->train_rows - count, count, size);
}

static void tell_ends(const gm_result *result, const gm_parzen_fit_options *o)
{
    const int64_t count = o->sigma_count ? o->sigma_count : GM_PARZEN_SIGMAS;
    const double *means = o->validation_means;
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (means[i] > means[best]) best = i;
    if (count > 1 && (best == 0 || best == count - 1))
        message("note: sigma %g is at an end of the list; a longer list may find a better one",
                result->sigma);
}

static gm_status classes_in_turn(gm_model *model, int64_t count)
{
    const int64_t classes = gm_model_labels(model);
    int64_t *labels = classes ? malloc((size_t)count * sizeof *labels) : NULL;
    if (!classes) return GM_OK;
    if (!labels)
        return gm_context_fail(gm_model_context(model), GM_E_NOMEM, "no memory for labels");
    for (int64_t i = 0; i < count; i++) labels[i] = i % classes;
    const gm_status s = gm_model_set_labels(model, labels, count);
    free(labels);
    return s;
}

gm_status parzen_draw(gm_tensor **out, gm_model *model, int64_t count, const struct parzen *p)
{
    gm_model_seed(model, p->seed);
    gm_status s = classes_in_turn(model, count);
    if (!s) s = gm_model_sample(out, model, count);
    if (s) return s;
    float *x = gm_tensor_data(*out);
    if (p->symmetric)
        for (int64_t i = 0; i < gm_tensor_count(*out); i++) x[i] = 0.5f * x[i] + 0.5f;
    return GM_OK;
}

gm_status parzen_rows(gm_result *result, gm_context *context, const float *samples, int64_t count,
                      int64_t size, const struct mnist *m, const struct parzen *p)
{
    const int64_t room = p->sigma_count > 0 ? p->sigma_count : GM_PARZEN_SIGMAS;
    const int64_t tested = m->test_rows < p->rows ? m->test_rows : p->rows;
    gm_parzen_fit_options options = GM_PARZEN_FIT_OPTIONS_INIT;
    gm_tensor *valid = NULL, *test = NULL;
    struct progress progress;
    gm_status s;
    double *means = calloc((size_t)room, sizeof *means);
    if (means == NULL)
        return gm_context_fail(context, GM_E_NOMEM, "parzen: no memory for the means");
    if ((s = read_validation(&valid, m, p->rows, size))) goto out;
    if ((s = read_rows(&test, m->test, 0, tested, size))) goto out;

    const int64_t checked = gm_tensor_size(valid, 0);
    if (!p->quiet)
        message("Parzen windows on %lld samples: sigma by %lld digits, then %lld test digits",
                (long long)count, (long long)checked, (long long)tested);
    progress_begin(&progress, 1, p->quiet);
    options.sigmas = p->sigmas;
    options.sigma_count = p->sigma_count;
    options.validation_means = means;
    options.on_progress = on_progress;
    options.user = &progress;
    const gm_rows own = { samples, count, size };
    const gm_rows validation = { gm_tensor_read(valid), checked, size };
    const gm_rows held_out = { gm_tensor_read(test), tested, size };
    s = gm_parzen_fit(result, context, &own, &validation, &held_out, &options);
    progress_end(&progress);
    if (!s && !p->quiet) tell_ends(result, &options);
out:
    gm_tensor_release(test);
    gm_tensor_release(valid);
    free(means);
    return s;
}

gm_status parzen_score(gm_result *result, gm_model *model, const struct mnist *m,
                       const struct parzen *p)
{
    gm_tensor *samples = NULL;
    gm_status s = parzen_draw(&samples, model, p->samples, p);
    if (!s)
        s = parzen_rows(result, gm_model_context(model), gm_tensor_read(samples), p->samples,
                        gm_model_row_size(model), m, p);
    if (!s) result->seed = p->seed;
    gm_tensor_release(samples);
    return s;
}
