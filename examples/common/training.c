/* training.c - metrics by name, --checkpoint and --resume. */
#include "training.h"

#include "message.h"

#include "gm/archive.h"
#include "gm/params.h"

#include <math.h>
#include <string.h>

double training_metric(const gm_metric *metrics, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(metrics[i].name, name)) return metrics[i].value;
    return NAN;
}

int training_same_parameters(const gm_params *a, const gm_params *b)
{
    const int64_t count = gm_params_count(a);
    if (gm_params_count(b) != count) return 0;
    for (int64_t i = 0; i < count; i++) {
        const gm_param *p = gm_params_get(a, i), *q = gm_params_get(b, i);
        const int32_t rank = gm_param_rank(p);
        if (strcmp(gm_params_name(a, i), gm_params_name(b, i)) || gm_param_rank(q) != rank)
            return 0;
        if (memcmp(gm_param_shape(p), gm_param_shape(q), (size_t)rank * sizeof(int64_t))) return 0;
    }
    return 1;
}

int training_is_checkpoint(gm_context *context, const char *path)
{
    gm_archive *archive = NULL;
    const int found = gm_archive_open(&archive, context, path) == GM_OK &&
                      gm_archive_has(archive, "optimizer.steps");
    gm_archive_release(archive);
    return found;
}

int training_resume(gm_model **model, const struct run *r, gm_status *s)
{
    const char *path = r->options.resume;
    gm_model *saved = NULL;
    int status;
    if (!path) return OPTIONS_GO_ON;
    if ((status = run_find_file(path, "--resume")) != OPTIONS_GO_ON) return status;
    if ((*s = gm_model_load(&saved, r->context, path))) return 1;
    const char *family = gm_model_family(saved), *expected = gm_model_family(*model);
    const gm_params *here = gm_model_params(saved), *there = gm_model_params(*model);
    if (strcmp(family, expected) || !training_same_parameters(here, there)) {
        message("--resume '%s' is a %s of %lld weights, but the options make a %s of %lld", path,
                family, (long long)gm_params_elements(here), expected,
                (long long)gm_params_elements(there));
    } else if (gm_model_epochs(saved) < 1 || !training_is_checkpoint(r->context, path)) {
        message("--resume '%s' has no state of a training; give a file that --checkpoint wrote",
                path);
    } else {
        gm_model_release(*model);
        *model = saved;
        return OPTIONS_GO_ON;
    }
    gm_model_release(saved);
    return 2;
}

int64_t training_epochs_left(const struct run *r, const gm_model *model, int64_t earlier)
{
    const int64_t done = gm_model_epochs(model), stop = r->options.stop_after;
    const int64_t all = r->options.epochs + earlier, last = stop && stop < all ? stop : all;
    return last > done ? last - done : 0;
}

gm_status training_fit(const struct run *r, gm_model *model, gm_dataset *rows,
                       const gm_fit_options *options, int64_t earlier)
{
    gm_fit_options o = *options;
    o.epochs = training_epochs_left(r, model, earlier);
    o.checkpoint = r->options.checkpoint;
    const int64_t before = gm_model_epochs(model), all = r->options.epochs + earlier;
    const gm_status s = o.epochs ? gm_model_fit(model, rows, &o) : GM_OK;
    const int whole = gm_model_epochs(model) - before == o.epochs; /* no early stop */
    return !s && whole && gm_model_epochs(model) < all ? GM_E_CANCELLED : s;
}
