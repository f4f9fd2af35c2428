/* host_family.c - families that the host writes: its callbacks as a family's entries. */
#include "gm/host_family.h"

#include <stdio.h>
#include <string.h>

#include "models/family.h"

#define NAME 32
#define LINE 512
#define KIND "family" /* in the context's registry */

typedef struct host_model {
    gm_model model;   /* first */
    gm_family family; /* the entries that the table has */
    gm_host_family table;
    void *user;
    int32_t whole; /* user is the model's */
    char name[NAME];
} host_model;

static host_model *of(gm_model *model)
{
    return (host_model *)model;
}

/* --- Calling the host. */

typedef struct call {
    gm_context *ctx;
    gm_model *model; /* NULL: there is none yet */
    const char *family;
    int32_t inside; /* another callback of this model's */
    char line[LINE];
} call;

/* The context's line is emptied, to see whether the callback writes one. */
static void call_begin(call *c, gm_context *ctx, gm_model *model, const char *family)
{
    c->ctx = ctx;
    c->model = model;
    c->family = family;
    (void)snprintf(c->line, sizeof c->line, "%s", gm_context_error(ctx));
    (void)gm_context_fail(ctx, GM_OK, "");
    c->inside = model && model->in_callback;
    if (model) model->in_callback = 1;
}

/* What the callback returned becomes the verb's status, and its line the verb's. */
static gm_status call_end(call *c, const char *callback, gm_status status)
{
    if (c->model) c->model->in_callback = c->inside;
    if (status == GM_OK) return gm_context_fail(c->ctx, GM_OK, c->line);
    const int known = strcmp(gm_status_name(status), "GM_E_UNKNOWN") != 0;
    if (known && gm_context_error(c->ctx)[0]) return status;
    return gm_model_fail(c->ctx, known ? status : GM_E_INVALID,
                         "%s: the host's %s callback returned %d (%s)", c->family, callback,
                         (int)status, gm_status_name(status));
}

/* Of a callback that records. */
static gm_status tape_end(call *c, const char *callback, gm_status status)
{
    return call_end(c, callback, status ? status : gm_tape_status(c->model->tape));
}

static void model_begin(call *c, host_model *host)
{
    call_begin(c, host->model.ctx, &host->model, host->name);
}

static gm_host_batch batch_of(const gm_batch *batch, int64_t begin, int64_t count, int64_t row_size)
{
    const gm_host_batch b = { sizeof b, batch->rows + begin * row_size,
                              batch->labels ? batch->labels + begin : NULL, count };
    return b;
}

/* --- The family's entries. */

static gm_status add_metrics(const host_model *host, gm_metrics *metrics, const gm_metric *more,
                             int32_t count)
{
    const int32_t most = GM_MAX_METRICS - 1;
    if (count < 0 || count > most)
        return gm_model_fail(host->model.ctx, GM_E_INVALID,
                             "%s: loss: metric_count is %d, expected 0 to %d", host->name,
                             (int)count, (int)most);
    for (int32_t i = 0; i < count; i++) {
        if (!more[i].name)
            return gm_model_fail(host->model.ctx, GM_E_INVALID,
                                 "%s: loss: name of metric %d is NULL", host->name, (int)i);
        gm_metrics_add(metrics, more[i].name, more[i].value);
    }
    return GM_OK;
}

static gm_status loss(gm_model *model, const gm_batch *batch, gm_var *out, gm_metrics *metrics)
{
    host_model *host = of(model);
    const gm_host_batch b = batch_of(batch, 0, batch->count, model->row_size);
    gm_metric more[GM_MAX_METRICS];
    int32_t count = 0;
    gm_status status;
    call c;
    *out = (gm_var){ 0, 0 };
    model_begin(&c, host);
    GM_TRY(tape_end(&c, "loss", host->table.loss(host->user, model->tape, &b, out, more, &count)));
    const int64_t elements = gm_count(model->tape, *out);
    if (elements != 1)
        GM_TRY(gm_model_fail(model->ctx, elements ? GM_E_SHAPE : GM_E_STALE,
                             "%s: loss has %lld elements on the model's tape, expected 1",
                             host->name, (long long)elements));
    gm_metrics_add(metrics, "loss", gm_scalar(model->tape, *out));
    status = add_metrics(host, metrics, more, count);
out:
    return status;
}

static gm_status sample(gm_model *model, float *rows, const float *labels, int64_t count)
{
    host_model *host = of(model);
    gm_status status = GM_OK;
    call c;
    for (int64_t done = 0, n; (n = gm_model_group(count, done)) > 0; done += n) {
        gm_model_record(model, GM_TAPE_CONSTANT);
        model_begin(&c, host);
        GM_TRY(tape_end(&c, "sample",
                        host->table.sample(host->user, model->tape, labels ? labels + done : NULL,
                                           n, rows + done * model->row_size)));
    }
out:
    return status;
}

static gm_status log_prob(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error)
{
    host_model *host = of(model);
    gm_status status = GM_OK;
    call c;
    for (int64_t done = 0, n; (n = gm_model_group(batch->count, done)) > 0; done += n) {
        const gm_host_batch b = batch_of(batch, done, n, model->row_size);
        gm_model_record(model, GM_TAPE_CONSTANT);
        model_begin(&c, host);
        GM_TRY(tape_end(&c, "log_prob",
                        host->table.log_prob(host->user, model->tape, &b, how->samples, out + done,
                                             error ? error + done : NULL)));
        if (how->samples)
            GM_TRY(gm_model_progress(model->ctx, host->name, how->on_progress, how->user, done + n,
                                     batch->count));
    }
out:
    return status;
}

static gm_status likelihood(gm_model *model, int64_t samples, gm_likelihood *out)
{
    host_model *host = of(model);
    call c;
    model_begin(&c, host);
    const gm_status status =
        call_end(&c, "likelihood", host->table.likelihood(host->user, samples, out));
    if (status) return status;
    out->size = sizeof *out;
    out->reserved = 0;
    if (out->kind < GM_LIKELIHOOD_EXACT || out->kind > GM_LIKELIHOOD_BOUND)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: likelihood: kind is %d, expected one of GM_LIKELIHOOD_*",
                             host->name, (int)out->kind);
    if (out->samples < 0)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: likelihood: samples is %lld, expected at least 0", host->name,
                             (long long)out->samples);
    return GM_OK;
}

static gm_status save(gm_model *model, gm_archive *archive, int checkpoint)
{
    host_model *host = of(model);
    call c;
    model_begin(&c, host);
    return call_end(&c, "save", host->table.save(host->user, archive, checkpoint));
}

static void destroy(gm_model *model)
{
    host_model *host = of(model);
    gm_context *ctx = model->ctx;
    gm_model_close(model);
    if (host->whole && host->table.destroy) host->table.destroy(host->user);
    gm_context_free(ctx, host, sizeof *host);
}

/* --- Tables. */

static int name_fits(const char *name)
{
    const size_t n = strlen(name);
    return n > 0 && n < NAME && !gm_family_find(name) &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

static gm_status missing(gm_context *ctx, const char *name, const char *entry, const char *why)
{
    return gm_model_fail(ctx, GM_E_INVALID, "%s: %s is NULL, expected a function%s", name, entry,
                         why);
}

/* The host's table, copied and checked. */
static gm_status read_table(gm_context *ctx, gm_host_family *out, const gm_host_family *given)
{
    const gm_host_family empty = GM_HOST_FAMILY_INIT;
    *out = empty;
    const gm_status status = gm_options_read(ctx, "host family", out, sizeof *out, given);
    if (status) return status;
    const char *name = out->name;
    if (!name) return gm_model_fail(ctx, GM_E_INVALID, "host family: name is NULL");
    if (!name_fits(name))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "host family: name is \"%.40s\", expected 1 to %d characters of "
                             "[A-Za-z0-9_.-] and no family's of this library",
                             name, NAME - 1);
    if (!out->loss && !out->sample && !out->log_prob)
        return missing(ctx, name, "loss", " there, in sample or in log_prob");
    if (out->likelihood && !out->log_prob)
        return missing(ctx, name, "log_prob", " beside likelihood");
    if (out->save && !out->load) return missing(ctx, name, "load", " beside save");
    if (out->load && !out->save) return missing(ctx, name, "save", " beside load");
    return GM_OK;
}

static void fill_family(host_model *host)
{
    const gm_host_family *t = &host->table;
    gm_family *f = &host->family;
    (void)snprintf(host->name, sizeof host->name, "%s", t->name);
    host->table.name = f->name = host->name;
    if (t->loss) f->loss = loss;
    if (t->sample) f->sample = sample;
    if (t->log_prob) f->log_prob = log_prob;
    if (t->log_prob) f->likelihood = t->likelihood ? likelihood : gm_model_exact_likelihood;
    if (t->save) f->save = save;
    f->destroy = destroy;
}

static gm_status check_model(gm_context *ctx, const gm_host_family *t, int64_t row_size,
                             const gm_params *params, const gm_model_options *o)
{
    if (row_size < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "%s: row_size is %lld, expected at least 1",
                             t->name, (long long)row_size);
    if (o->classes < 0)
        return gm_model_fail(ctx, GM_E_INVALID, "%s: classes is %lld, expected at least 0", t->name,
                             (long long)o->classes);
    if (t->loss && !gm_params_count(params))
        return gm_model_fail(ctx, GM_E_INVALID,
                             "%s: params has no parameter, expected at least one for its loss",
                             t->name);
    if (!t->loss && o->optimizer)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "%s: optimizer is given, expected NULL without loss", t->name);
    return GM_OK;
}

gm_status gm_model_create(gm_model **out, gm_context *ctx, const gm_host_family *family, void *user,
                          int64_t row_size, const gm_params *params,
                          const gm_model_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx || !family)
        return gm_model_fail(ctx, GM_E_INVALID, "host family: context, family or out is NULL");
    gm_model_options o = GM_MODEL_OPTIONS_INIT;
    gm_host_family table;
    gm_status status = read_table(ctx, &table, family);
    if (status) return status;
    status = gm_options_read(ctx, table.name, &o, sizeof o, options);
    if (status) return status;
    status = check_model(ctx, &table, row_size, params, &o);
    if (status) return status;
    const gm_family named = { .name = table.name, .destroy = destroy };
    host_model *host = gm_model_new(ctx, &named, sizeof *host);
    if (!host) return GM_E_NOMEM;
    gm_model *model = &host->model;
    host->table = table;
    host->user = user;
    fill_family(host);
    model->family = &host->family;
    GM_TRY(gm_model_open(model));
    model->row_size = row_size;
    model->classes = o.classes;
    if (params) GM_TRY(gm_params_add_all(model->params, NULL, params));
    if (o.state) GM_TRY(gm_params_add_all(model->state, NULL, o.state));
    if (table.loss) GM_TRY(gm_model_bind(model, &model->optimizer, o.optimizer, model->params));
    host->whole = 1;
    *out = model;
    return GM_OK;
out:
    gm_model_release(model);
    return status;
}

static int is_of(const gm_model *model, const char *family)
{
    return model && family && model->family->destroy == destroy &&
           !strcmp(model->family->name, family);
}

void *gm_model_user(const gm_model *model, const char *family)
{
    return is_of(model, family) ? ((const host_model *)model)->user : NULL;
}

/* --- The registry. */

gm_status gm_context_register_family(gm_context *ctx, const gm_host_family *family)
{
    if (!ctx || !family)
        return gm_model_fail(ctx, GM_E_INVALID, "register_family: context or family is NULL");
    gm_host_family table;
    const gm_status status = read_table(ctx, &table, family);
    if (status) return status;
    if (!table.load) return missing(ctx, table.name, "load", " to register it");
    return gm_context_register(ctx, KIND, table.name, family);
}

int gm_host_family_known(const gm_context *ctx, const char *name)
{
    return gm_context_registered(ctx, KIND, name) != NULL;
}

/* A model that can go on from the file: what the host's load gave is not taken on trust. */
static gm_status check_loaded(gm_context *ctx, const char *name, const gm_model *model,
                              const gm_optimizer *optimizer)
{
    if (!model) return gm_model_fail(ctx, GM_E_INVALID, "%s: load gave no model", name);
    if (model->ctx != ctx)
        return gm_model_fail(ctx, GM_E_INVALID, "%s: load gave a model of another context", name);
    if (!is_of(model, name))
        return gm_model_fail(ctx, GM_E_INVALID, "%s: load gave a model of the family \"%s\"", name,
                             model->family->name);
    if (optimizer && model->optimizer != optimizer)
        return gm_model_fail(ctx, GM_E_INVALID,
                             "%s: load gave a model with another optimizer than the checkpoint's",
                             name);
    return GM_OK;
}

gm_status gm_host_family_load(gm_model **out, gm_context *ctx, const char *stored,
                              gm_archive *archive, gm_optimizer *optimizer)
{
    gm_host_family table;
    gm_model *model = NULL;
    gm_host_family given = GM_HOST_FAMILY_INIT;
    gm_status status = gm_options_read(ctx, "host family", &given, sizeof given,
                                       gm_context_registered(ctx, KIND, stored));
    call c;
    char name[NAME]; /* stored is the archive's, which the callback may change */
    *out = NULL;
    (void)snprintf(name, sizeof name, "%s", stored);
    given.name = name; /* the registered text was the host's to keep only for the call */
    if (!status) status = read_table(ctx, &table, &given);
    if (status) return status;
    if (!table.load) return missing(ctx, name, "load", "");
    call_begin(&c, ctx, NULL, name);
    status = call_end(&c, "load", table.load(table.shared, ctx, archive, optimizer, &model));
    if (status) return status;
    status = check_loaded(ctx, name, model, optimizer);
    if (!status) *out = model;
    if (status) gm_model_release(model);
    return status;
}
