/* fit.c - the loop over epochs and mini-batches, for every family. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "models/frozen.h"
#include "models/row_reader.h"
#include "models/watch.h"

/* All that one fit needs besides the model. */
typedef struct fit {
    gm_model *model;
    gm_dataset *data;
    gm_fit_options o;
    int64_t rows;
    int64_t epoch;  /* of this fit, from 0 */
    int64_t *order; /* rows */
    gm_row_reader reader;
    gm_rng *rng; /* of the order */
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
    gm_status status = gm_model_check_unused(model, "fit");
    if (!status) status = gm_model_check_idle(f->model, "fit");
    if (!status) status = gm_model_check_trains(f->model, "fit");
    if (status) return status;
    if (!f->data) return gm_model_fail(model->ctx, GM_E_INVALID, "fit: data is NULL");
    if (o->epochs < 1) return wrong(f, "epochs", o->epochs, "at least 1");
    if (o->batch < 1) return wrong(f, "batch", o->batch, "at least 1");
    if (o->patience < 0) return wrong(f, "patience", o->patience, "at least 0");
    if (o->checkpoint && o->checkpoint_every < 1)
        return wrong(f, "checkpoint_every", o->checkpoint_every, "at least 1");
    if (o->checkpoint_steps < 0)
        return wrong(f, "checkpoint_steps", o->checkpoint_steps, "at least 0");
    if (o->checkpoint_steps && !o->checkpoint)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "fit: checkpoint_steps is %lld, but checkpoint is NULL",
                             (long long)o->checkpoint_steps);
    if (o->anew != 0 && o->anew != 1) return wrong(f, "anew", o->anew, "0 or 1");
    if (o->reserved) return wrong(f, "reserved", o->reserved, "0");
    if (gm_optimizer_average_on(model->optimizer) == 2)
        return gm_model_fail(model->ctx, GM_E_STATE,
                             "fit: the averages are swapped in; swap them back first");
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
        GM_TRY(gm_row_reader_try_row(&f->reader, GM_TAPE_TRAIN, f->data, "to fit",
                                     "drop_last leaves it out"));
    if (f->o.validation)
        GM_TRY(gm_row_reader_try_row(&f->reader, GM_TAPE_CONSTANT, f->o.validation, "of validation",
                                     "choose another batch or number of rows"));
out:
    return status;
}

static gm_status prepare(fit *f)
{
    gm_context *ctx = f->model->ctx;
    gm_status status;
    GM_TRY(gm_row_reader_open(&f->reader, "fit", f->model, f->data, f->o.batch, 0));
    if (f->o.validation) {
        GM_TRY(gm_model_check_rows(f->model, f->o.validation, "fit: validation"));
        GM_TRY(gm_model_check_labels(f->model, f->o.validation, "fit: validation"));
    }
    f->order = gm_context_allocate(ctx, order_bytes(f));
    if (!f->order)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "fit: no memory for the order of the rows"));
    GM_TRY(check_last_batches(f));
    GM_TRY(gm_rng_create(&f->rng, ctx, 0));
    if (f->o.patience) GM_TRY(gm_watch_open(f->model, gm_dataset_rows(f->o.validation), f->o.anew));
out:
    return status;
}

/* Nothing fails any more. What earlier fits left, as far as this one goes on with it. */
static void take_up(const fit *f)
{
    gm_pass *pass = &f->model->pass;
    const int32_t shuffle = f->o.shuffle != 0;
    if (!f->o.patience) gm_watch_close(f->model);
    if (f->o.anew || pass->rows != f->rows || pass->shuffle != shuffle)
        *pass = (gm_pass){ .rows = f->rows, .shuffle = shuffle };
}

static void finish(fit *f)
{
    gm_context *ctx = f->model->ctx;
    gm_rng_release(f->rng);
    gm_row_reader_close(&f->reader);
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

static gm_status progress(const fit *f, int64_t done)
{
    const int64_t epoch = f->epoch;
    const int64_t rows = rows_used(f), most = INT64_MAX / rows;
    if (done > rows) done = rows; /* with batches of another size than this pass began with */
    return gm_model_progress(f->model->ctx, "fit", f->o.on_progress, f->o.user,
                             epoch < most ? epoch * rows + done : INT64_MAX,
                             f->o.epochs <= most ? f->o.epochs * rows : INT64_MAX);
}

static gm_status report(const fit *f, const gm_pass *pass, int32_t epoch_end)
{
    if (!epoch_end) {
        const gm_status status = progress(f, pass->row);
        if (status) return status;
    }
    if (!f->o.on_report) return GM_OK;
    gm_metric means[GM_MAX_METRICS];
    for (int32_t i = 0; i < pass->sums.count; i++) {
        means[i] = pass->sums.metric[i];
        means[i].value /= (double)pass->counted;
    }
    gm_fit_report p = { sizeof p,
                        f->epoch,
                        f->o.epochs,
                        pass->row,
                        f->rows,
                        f->model->steps,
                        epoch_end,
                        pass->sums.count,
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

/* How many rows the next update of the pass takes; 0: it is over. */
static int64_t next_rows(const fit *f)
{
    const int64_t left = f->rows - f->model->pass.row, batch = f->o.batch;
    if (left >= batch) return batch;
    return f->o.drop_last ? 0 : left;
}

static gm_status update(fit *f, int64_t n)
{
    gm_model *model = f->model;
    gm_pass *pass = &model->pass;
    gm_metrics m = { 0 };
    gm_batch batch;
    gm_status status;
    GM_TRY(gm_row_reader_pick(&f->reader, f->order + pass->row, n, model->epochs, &batch));
    GM_TRY(gm_model_step_batch(model, &batch, &m));
    for (int32_t i = 0; i < m.count; i++) {
        pass->sums.metric[i].name = m.metric[i].name;
        pass->sums.metric[i].value += m.metric[i].value * (double)n;
    }
    pass->sums.count = m.count;
    pass->counted += n;
    pass->row += n;
    if (f->o.checkpoint_steps && model->steps % f->o.checkpoint_steps == 0)
        GM_TRY(gm_model_save_checkpoint(model, f->o.checkpoint));
out:
    return status;
}

/* A batch of validation rows is done. */
static int32_t validating(void *user, int64_t done, int64_t total)
{
    const fit *f = user;
    (void)done;
    (void)total;
    return progress(f, f->model->pass.row) != GM_OK;
}

static gm_status validate(fit *f)
{
    gm_model_evaluate_options how = GM_MODEL_EVALUATE_OPTIONS_INIT;
    how.batch = f->o.batch;
    how.on_progress = validating;
    how.user = f;
    const gm_status status =
        gm_model_evaluate(f->model, f->o.validation, &how, f->validation.metric, GM_MAX_METRICS,
                          &f->validation.count);
    if (status != GM_E_CANCELLED) return status;
    return gm_model_fail(f->model->ctx, status, "fit: stopped by the host while validating");
}

/* Validation comes before the pass is counted as over: what stops there stands before it. */
static gm_status end_pass(fit *f)
{
    gm_model *model = f->model;
    gm_status status = GM_OK;
    if (f->o.validation) {
        GM_TRY(validate(f));
        if (f->o.patience) gm_watch_add(model, f->validation.metric[0].value);
    }
    const gm_pass over = model->pass;
    model->epochs++;
    model->pass = (gm_pass){ .rows = over.rows, .shuffle = over.shuffle };
    if (f->o.checkpoint && model->epochs % f->o.checkpoint_every == 0)
        GM_TRY(gm_model_save_checkpoint(model, f->o.checkpoint));
    GM_TRY(report(f, &over, 1));
out:
    return status;
}

static gm_status run(fit *f)
{
    gm_model *model = f->model;
    gm_status status = GM_OK;
    for (; f->epoch < f->o.epochs; f->epoch++) {
        if (f->o.patience && model->watch->waited >= f->o.patience) break;
        GM_TRY(make_order(f, model->epochs));
        for (int64_t n; (n = next_rows(f)) > 0;) {
            GM_TRY(update(f, n));
            GM_TRY(report(f, &model->pass, 0));
        }
        GM_TRY(end_pass(f));
    }
out:
    return status;
}

static gm_status fit_alone(gm_model *model, gm_dataset *data, const gm_fit_options *options)
{
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
    const size_t mark = gm_model_enter(model);
    gm_dataset_retain(f.o.validation);
    model->fitting = 1;
    status = prepare(&f);
    if (!status) {
        take_up(&f);
        gm_watch_enter(model);
        status = run(&f);
        gm_watch_leave(model);
    }
    finish(&f);
    model->fitting = 0;
    gm_dataset_release(f.o.validation);
    gm_model_leave(model, mark);
    return status;
}

gm_status gm_model_fit(gm_model *model, gm_dataset *data, const gm_fit_options *options)
{
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    GM_ALONE(ctx, fit_alone(model, data, options));
}
