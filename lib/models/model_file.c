/* model_file.c - models to and from safetensors files. */
#include <stdio.h>
#include <string.h>

#include "models/fields.h"
#include "models/frozen.h"
#include "models/load_check.h"
#include "models/watch.h"

#define FORMAT 1
#define MOST (INT64_MAX / 2) /* epochs, updates: whoever goes on counting does not overflow */

gm_status gm_model_get_small(gm_archive *archive, const char *key, int32_t *out)
{
    int64_t value = 0;
    const gm_status status = gm_archive_get_int(&value, archive, key);
    *out = value < 0 || value > INT32_MAX ? -1 : (int32_t)value;
    return status;
}

gm_status gm_model_put_fields(gm_archive *archive, const char *prefix, const gm_model_field *fields,
                              size_t count, const void *from)
{
    char key[64];
    gm_status status = GM_OK;
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)from + fields[i].offset;
        (void)snprintf(key, sizeof key, "%s%s", prefix, fields[i].name);
        if (fields[i].kind == GM_FIELD_REAL)
            GM_TRY(gm_archive_set_real(archive, key, *(const double *)at));
        else if (fields[i].kind == GM_FIELD_SMALL)
            GM_TRY(gm_archive_set_int(archive, key, *(const int32_t *)at));
        else
            GM_TRY(
                gm_archive_set_int(archive, key, *(const int64_t *)at)); /* bits: the same ones */
    }
out:
    return status;
}

gm_status gm_model_get_fields(gm_archive *archive, const char *prefix, const gm_model_field *fields,
                              size_t count, void *into)
{
    char key[64];
    gm_status status = GM_OK;
    for (size_t i = 0; i < count; i++) {
        void *at = (char *)into + fields[i].offset;
        (void)snprintf(key, sizeof key, "%s%s", prefix, fields[i].name);
        if (fields[i].kind == GM_FIELD_REAL)
            GM_TRY(gm_archive_get_real(at, archive, key));
        else if (fields[i].kind == GM_FIELD_SMALL)
            GM_TRY(gm_model_get_small(archive, key, at));
        else
            GM_TRY(gm_archive_get_int(at, archive, key));
    }
out:
    return status;
}

static gm_status put_rng(gm_archive *archive, const gm_rng *rng)
{
    gm_rng_state s;
    gm_status status;
    gm_rng_save(&s, rng);
    GM_TRY(gm_archive_set_int(archive, "gm.rng.key", (int64_t)s.key));
    GM_TRY(gm_archive_set_int(archive, "gm.rng.stream", (int64_t)s.stream));
    GM_TRY(gm_archive_set_int(archive, "gm.rng.position", (int64_t)s.position));
    GM_TRY(gm_archive_set_int(archive, "gm.rng.splits", (int64_t)s.splits));
out:
    return status;
}

static gm_status get_rng(gm_archive *archive, gm_rng *rng)
{
    int64_t key, stream, position, splits;
    gm_status status;
    GM_TRY(gm_archive_get_int(&key, archive, "gm.rng.key"));
    GM_TRY(gm_archive_get_int(&stream, archive, "gm.rng.stream"));
    GM_TRY(gm_archive_get_int(&position, archive, "gm.rng.position"));
    GM_TRY(gm_archive_get_int(&splits, archive, "gm.rng.splits"));
    gm_rng_state s = { (uint64_t)key, (uint64_t)stream, (uint64_t)position, (uint64_t)splits };
    gm_rng_restore(rng, &s);
out:
    return status;
}

/* How far the pass over the data is, if it is not at its beginning. */
static gm_status put_pass(gm_archive *archive, const gm_pass *pass)
{
    gm_status status = GM_OK;
    if (!pass->row) return GM_OK;
    GM_TRY(gm_archive_set_int(archive, "fit.row", pass->row));
    GM_TRY(gm_archive_set_int(archive, "fit.rows", pass->rows));
    GM_TRY(gm_archive_set_int(archive, "fit.shuffle", pass->shuffle));
out:
    return status;
}

static gm_status get_pass(gm_archive *archive, gm_context *ctx, const char *path, gm_pass *pass)
{
    gm_status status = GM_OK;
    if (!gm_archive_has(archive, "fit.row")) return GM_OK;
    GM_TRY(gm_archive_get_int(&pass->row, archive, "fit.row"));
    GM_TRY(gm_archive_get_int(&pass->rows, archive, "fit.rows"));
    GM_TRY(gm_model_get_small(archive, "fit.shuffle", &pass->shuffle));
    if (pass->row < 1 || pass->row > pass->rows || pass->shuffle < 0 || pass->shuffle > 1)
        GM_TRY(gm_model_fail(ctx, GM_E_FORMAT,
                             "load: %s: fit.row is %lld, fit.rows is %lld, fit.shuffle is %d, "
                             "expected 1 to fit.rows, and 0 or 1",
                             path, (long long)pass->row, (long long)pass->rows,
                             (int)pass->shuffle));
out:
    return status;
}

static gm_status put_model(gm_model *model, gm_archive *archive, int checkpoint)
{
    gm_status status;
    GM_TRY(model->family->save(model, archive, checkpoint));
    GM_TRY(gm_archive_set_int(archive, "gm.format", FORMAT));
    GM_TRY(gm_archive_set_text(archive, "gm.library", gm_version_text()));
    GM_TRY(gm_archive_set_text(archive, "gm.family", model->family->name));
    GM_TRY(gm_archive_set_int(archive, "gm.epochs", model->epochs));
    GM_TRY(gm_archive_set_int(archive, "gm.steps", model->steps));
    GM_TRY(gm_archive_set_int(archive, "gm.order_seed", (int64_t)model->order_seed));
    GM_TRY(put_rng(archive, model->rng));
    if (!checkpoint) return GM_OK;
    if (model->optimizer) GM_TRY(gm_optimizer_save(model->optimizer, archive, "optimizer."));
    GM_TRY(put_pass(archive, &model->pass));
    GM_TRY(gm_watch_save(model, archive));
out:
    return status;
}

gm_status gm_model_archive(gm_archive **out, gm_model *model, const char *verb, int checkpoint)
{
    gm_archive *archive = NULL;
    gm_status status;
    *out = NULL;
    if (!gm_model_supports(model, GM_VERB_SAVE))
        return gm_model_fail(model->ctx, GM_E_UNSUPPORTED, "%s: this family has no %s",
                             model->family->name, verb);
    GM_TRY(gm_model_check_idle(model, verb));
    GM_TRY(gm_model_check_trains(model, verb));
    GM_TRY(gm_archive_create(&archive, model->ctx));
    /* A checkpoint's weights are those of the best epoch, in the middle of a fit, too. */
    const int shown = checkpoint ? gm_watch_show_best(model) : 0;
    status = put_model(model, archive, checkpoint);
    gm_watch_hide_best(model, shown);
    if (status) goto out;
    *out = archive;
    return GM_OK;
out:
    gm_archive_release(archive);
    return status;
}

static gm_status save(gm_model *model, const char *path, int checkpoint)
{
    if (!model) return GM_E_INVALID;
    if (!path) return gm_model_fail(model->ctx, GM_E_INVALID, "save: path is NULL");
    gm_archive *archive;
    gm_status status = gm_model_archive(&archive, model, "save", checkpoint);
    if (!status) status = gm_archive_write(archive, path);
    gm_archive_release(archive);
    return status;
}

gm_status gm_model_save(gm_model *model, const char *path)
{
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    GM_ALONE(ctx, save(model, path, 0));
}

gm_status gm_model_save_checkpoint(gm_model *model, const char *path)
{
    if (!model) return GM_E_INVALID;
    gm_context *ctx = gm_model_host(model);
    GM_ALONE(ctx, save(model, path, 1));
}

/* *out is NULL for a family of the host's. */
static gm_status find_family(const gm_family **out, const char **name, gm_context *ctx,
                             gm_archive *archive, const char *path)
{
    int64_t format;
    gm_status status;
    if (!gm_archive_has(archive, "gm.format"))
        return gm_model_fail(ctx, GM_E_FORMAT,
                             "load: %s holds tensors, but no model of this library's", path);
    GM_TRY(gm_archive_get_int(&format, archive, "gm.format"));
    if (format != FORMAT)
        GM_TRY(gm_model_fail(ctx, GM_E_VERSION, "load: %s is of format %lld, this library reads %d",
                             path, (long long)format, FORMAT));
    GM_TRY(gm_archive_get_text(name, archive, "gm.family"));
    *out = gm_family_find(*name);
    if (!*out && !gm_host_family_known(ctx, *name))
        GM_TRY(gm_model_fail(ctx, GM_E_UNSUPPORTED,
                             "load: %s: family is \"%.64s\", expected one of this library or one "
                             "that the host registered",
                             path, *name));
out:
    return status;
}

gm_status gm_model_from_archive(gm_model **out, gm_context *ctx, gm_archive *archive,
                                const char *path)
{
    gm_optimizer *optimizer = NULL;
    gm_model *model = NULL;
    const gm_family *family = NULL;
    const char *name = NULL;
    gm_status status;
    int64_t epochs, steps, seed;
    *out = NULL;
    GM_TRY(find_family(&family, &name, ctx, archive, path));
    GM_TRY(gm_archive_get_int(&epochs, archive, "gm.epochs"));
    GM_TRY(gm_archive_get_int(&steps, archive, "gm.steps"));
    GM_TRY(gm_archive_get_int(&seed, archive, "gm.order_seed"));
    if (epochs < 0 || epochs > MOST || steps < 0 || steps > MOST)
        GM_TRY(gm_model_fail(ctx, GM_E_FORMAT,
                             "load: %s: epochs is %lld, steps is %lld, expected 0 to %lld", path,
                             (long long)epochs, (long long)steps, (long long)MOST));
    if (gm_archive_has(archive, "optimizer.kind"))
        GM_TRY(gm_optimizer_load_new(&optimizer, ctx, archive, "optimizer."));
    GM_TRY(family ? family->load(&model, ctx, archive, optimizer)
                  : gm_host_family_load(&model, ctx, name, archive, optimizer));
    if (optimizer) GM_TRY(gm_optimizer_load(optimizer, archive, "optimizer."));
    GM_TRY(get_pass(archive, ctx, path, &model->pass));
    GM_TRY(gm_watch_load(model, archive));
    GM_TRY(get_rng(archive, model->rng));
    model->epochs = epochs;
    model->steps = steps;
    model->order_seed = (uint64_t)seed;
    *out = model;
    model = NULL;
out:
    gm_model_release(model);
    gm_optimizer_release(optimizer);
    return status;
}

static gm_status check_options(gm_context *ctx, const gm_load_options *o)
{
    if (o->most_work < 1)
        return gm_model_fail(ctx, GM_E_INVALID, "load: most_work is %lld, expected at least 1",
                             (long long)o->most_work);
    if (o->not_finite < 0 || o->not_finite > 1)
        return gm_model_fail(ctx, GM_E_INVALID, "load: not_finite is %d, expected 0 or 1",
                             (int)o->not_finite);
    return GM_OK;
}

static gm_status load(gm_model **out, gm_context *ctx, const char *path,
                      const gm_load_options *options)
{
    gm_load_options o = GM_LOAD_OPTIONS_INIT;
    gm_archive *archive = NULL;
    gm_status status;
    GM_TRY(gm_options_read(ctx, "load", &o, sizeof o, options));
    GM_TRY(check_options(ctx, &o));
    GM_TRY(gm_archive_open(&archive, ctx, path));
    GM_TRY(gm_model_check_file(ctx, archive, path, &o));
    GM_TRY(gm_model_from_archive(out, ctx, archive, path));
out:
    gm_archive_release(archive);
    return status;
}

gm_status gm_model_load_with(gm_model **out, gm_context *ctx, const char *path,
                             const gm_load_options *options)
{
    if (out) *out = NULL;
    if (!out || !ctx || !path)
        return gm_model_fail(ctx, GM_E_INVALID, "load: context, path or out is NULL");
    GM_ALONE(ctx, load(out, ctx, path, options));
}

gm_status gm_model_load(gm_model **out, gm_context *ctx, const char *path)
{
    return gm_model_load_with(out, ctx, path, NULL);
}
