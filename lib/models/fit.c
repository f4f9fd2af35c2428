/* fit.c - the loop over epochs and mini-batches, for every family. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "models/reader.h"
#include "models/watch.h"

/* All that one fit needs besides the model. */
typedef struct fit {
    gm_model *model;
    gm_dataset *data;
    gm_fit_options o;
    int64_t rows;
    int64_t *order; /* rows */
    gm_reader reader;
    gm_rng *rng;     /* of the order */
    gm_metrics sums; /* of this epoch */
    gm_metrics validation;
    struct timespec begin;
} fit;

static size_t order_bytes(const fit *f)
{
    return (size_t)f->rows * sizeof *f->order;
}

static gm_status wrong(const fit *f, const char *option, int64_t value, const char *wanted)
{
    return gm_model_fail(f->model->ctx, GM_E_INVALID, "fit: %s is %lld, expected %s", option,
                         (long long)value, wanted);
}

static gm_status check(const fit *f)
{
    const gm_fit_options *o = &f->o;
    gm_model *model = f->model;
    if (!gm_model_supports(model, GM_VERB_FIT))
        return gm_model_fail(model->ctx, GM_E_UNSUPPORTED, "%s: this family has no fit",
                             model->family->name);
    if (model->fitting)
        return gm_model_fail(model->ctx, GM_E_STATE, "fit: this model is being fitted");
    const gm_status status = gm_model_check_idle(f->model, "fit");
    if (status) return status;
    if (!f->data) return gm_model_fail(model->ctx, GM_E_INVALID, "fit: data is NULL");
    if (o->epochs < 1) return wrong(f, "epochs", o->epochs, "at least 1");
    if (o->batch < 1) return wrong(f, "batch", o->batch, "at least 1");
    if (o->patience < 0) return wrong(f, "patience", o->patience, "at least 0");
    if (o->checkpoint && o->checkpoint_every < 1)
        return wrong(f, "checkpoint_every", o->checkpoint_every, "at least 1");
    if (o->patience && !o->validation)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "fit: patience is %lld, but there is no validation set to watch",
                             (long long)o->patience);
    if (o->batch > f->rows)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "fit: batch is %lld, the dataset has %lld rows", (long long)o->batch,
                             (long long)f->rows);
    return GM_OK;
}

static gm_status check_last_batches(fit *f)
{
    gm_status status = GM_OK;
    if (!f->o.drop_last)
        GM_TRY(gm_reader_try_row(&f->reader, GM_TAPE_TRAIN, f->data, "to fit",
                                 "drop_last leaves it out"));
    if (f->o.validation)
        GM_TRY(gm_reader_try_row(&f->reader, GM_TAPE_CONSTANT, f->o.validation, "of validation",
                                 "choose another batch or number of rows"));
out:
    return status;
}

static gm_status prepare(fit *f)
{
    gm_context *ctx = f->model->ctx;
    gm_status status;
    GM_TRY(gm_reader_open(&f->reader, "fit", f->model, f->data, f->o.batch, 0));
    if (f->o.validation) {
        GM_TRY(gm_model_check_rows(f->model, f->o.validation, "fit: validation"));
        GM_TRY(gm_model_check_labels(f->model, f->o.validation, "fit: validation"));
    }
    f->order = gm_context_allocate(ctx, order_bytes(f));
    if (!f->order)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "fit: no memory for the order of the rows"));
    GM_TRY(check_last_batches(f));
    if (f->o.patience)
        GM_TRY(gm_watch_open(f->model));
    else
        gm_watch_close(f->model);
    GM_TRY(gm_rng_create(&f->rng, ctx, 0));
out:
    return status;
}

static void finish(fit *f)
{
    gm_context *ctx = f->model->ctx;
    gm_rng_release(f->rng);
    gm_reader_close(&f->reader);
    gm_context_free(ctx, f->order, order_bytes(f));
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    if (!timespec_get(&now, TIME_UTC)) return 0;
    return (double)(now.tv_sec - begin->tv_sec) + 1e-9 * (double)(now.tv_nsec - begin->tv_nsec);
}

/* Of each epoch. */
static int64_t rows_used(const fit *f)
{
    return f->o.drop_last ? f->rows - f->rows % f->o.batch : f->rows;
}

static gm_status report(fit *f, int64_t epoch, int64_t done, int32_t epoch_end)
{
    if (!epoch_end) {
        const int64_t rows = rows_used(f), most = INT64_MAX / rows;
        const gm_status status =
            gm_model_progress(f->model->ctx, "fit", f->o.on_progress, f->o.user,
                              epoch < most ? epoch * rows + done : INT64_MAX,
                              f->o.epochs <= most ? f->o.epochs * rows : INT64_MAX);
        if (status) return status;
    }
    if (!f->o.on_report) return GM_OK;
    gm_metric means[GM_MAX_METRICS];
    for (int32_t i = 0; i < f->sums.count; i++) {
        means[i] = f->sums.metric[i];
        means[i].value /= (double)done;
    }
    gm_fit_report p = { sizeof p,
                        epoch,
                        f->o.epochs,
                        done,
                        f->rows,
                        f->model->steps,
                        epoch_end,
                        f->sums.count,
                        means,
                        epoch_end ? f->validation.count : 0,
                        f->validation.metric,
                        seconds_since(&f->begin) };
    if (f->o.on_report(f->o.user, &p))
        return gm_model_fail(f->model->ctx, GM_E_CANCELLED,
                             "fit: stopped by the host at update %lld", (long long)f->model->steps);
    return GM_OK;
}

/* The order of pass number `pass` depends on the seed and the number alone, so that a resumed fit
 * sees the same. */
static gm_status make_order(fit *f, int64_t pass)
{
    for (int64_t i = 0; i < f->rows; i++) f->order[i] = i;
    if (!f->o.shuffle) return GM_OK;
    gm_rng_state state = { f->model->order_seed, 1 + (uint64_t)pass, 0, 0 };
    gm_rng_restore(f->rng, &state);
    return gm_rng_permutation(f->rng, f->rows, f->order);
}

static gm_status run_epoch(fit *f, int64_t epoch)
{
    gm_model *model = f->model;
    gm_status status;
    int64_t pass = model->epochs;
    GM_TRY(make_order(f, pass));
    memset(&f->sums, 0, sizeof f->sums);
    for (int64_t done = 0; done < f->rows;) {
        int64_t n = f->rows - done < f->o.batch ? f->rows - done : f->o.batch;
        if (n < f->o.batch && f->o.drop_last && done) break;
        gm_metrics m = { 0 };
        gm_batch batch;
        GM_TRY(gm_reader_pick(&f->reader, f->order + done, n, pass, &batch));
        GM_TRY(gm_model_step_batch(model, &batch, &m));
        for (int32_t i = 0; i < m.count; i++) {
            f->sums.metric[i].name = m.metric[i].name;
            f->sums.metric[i].value += m.metric[i].value * (double)n;
        }
        f->sums.count = m.count;
        done += n;
        GM_TRY(report(f, epoch, done, 0));
    }
out:
    return status;
}

static gm_status run(fit *f)
{
    gm_model *model = f->model;
    gm_status status = GM_OK;
    const int64_t patience = f->o.patience;
    for (int64_t epoch = 0; epoch < f->o.epochs; epoch++) {
        if (patience && model->watch->waited >= patience) break;
        GM_TRY(run_epoch(f, epoch));
        model->epochs++;
        if (f->o.validation) {
            gm_model_evaluate_options how = GM_MODEL_EVALUATE_OPTIONS_INIT;
            how.batch = f->o.batch;
            GM_TRY(gm_model_evaluate(model, f->o.validation, &how, f->validation.metric,
                                     GM_MAX_METRICS, &f->validation.count));
            if (patience) GM_TRY(gm_watch_add(model, f->validation.metric[0].value));
        }
        if (f->o.checkpoint && (epoch + 1) % f->o.checkpoint_every == 0)
            GM_TRY(gm_model_save_checkpoint(model, f->o.checkpoint));
        GM_TRY(report(f, epoch, rows_used(f), 1));
    }
    if (patience) GM_TRY(gm_watch_restore(model));
out:
    return status;
}

gm_status gm_model_fit(gm_model *model, gm_dataset *data, const gm_fit_options *options)
{
    if (!model) return GM_E_INVALID;
    fit f;
    memset(&f, 0, sizeof f);
    gm_fit_options defaults = GM_FIT_OPTIONS_INIT;
    f.model = model;
    f.data = data;
    f.o = defaults;
    f.rows = data ? gm_dataset_rows(data) : 0;
    (void)timespec_get(&f.begin, TIME_UTC);
    gm_status status = gm_options_read(model->ctx, "fit", &f.o, sizeof f.o, options);
    if (status) return status;
    status = check(&f);
    if (status) return status;
    model->fitting = 1;
    status = prepare(&f);
    if (!status) status = run(&f);
    finish(&f);
    if (status != GM_E_CANCELLED) gm_watch_close(model);
    model->fitting = 0;
    return status;
}
