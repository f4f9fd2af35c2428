/* optimizer_file.c - an optimizer's state in an archive.
 *
 * Texts "<prefix>kind", "<prefix>rate", ...; arrays "<prefix><number of the parameter>.<moment>".
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optim/optimizer.h"

#define KEY 192
#define AVERAGE "average"
#define SLOTS "slots"

static gm_status make_key(gm_context *ctx, char key[KEY], const char *prefix, const char *name)
{
    int n = snprintf(key, KEY, "%s%s", prefix ? prefix : "", name);
    if (n < 0 || n >= KEY)
        return gm_fail(ctx, GM_E_INVALID, "optimizer: prefix is longer than %d characters",
                       KEY - 64);
    return GM_OK;
}

static gm_status array_key(gm_context *ctx, char key[KEY], const char *prefix, int64_t index,
                           const char *array)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%lld.%s", (long long)index, array);
    return make_key(ctx, key, prefix, name);
}

/* Everything but the arrays. */
typedef struct settings {
    gm_constants constants;
    gm_schedule schedule;
    double clip_norm, clip_value, decay;
    int64_t kind_of_schedule, steps, count;
    int64_t slots; /* arrays of each parameter: one that momentum 0 needs not, if it was set to 0 */
} settings;

typedef struct field {
    const char *name;
    int64_t *integer; /* one of the two */
    double *real;
} field;

#define FIELDS 18

/* The one list of what is stored, for writing and reading. */
static void list_fields(settings *s, field out[FIELDS])
{
    const field all[FIELDS] = {
        { "rate", NULL, &s->constants.rate },
        { "weight_decay", NULL, &s->constants.weight_decay },
        { "momentum", NULL, &s->constants.momentum },
        { "beta1", NULL, &s->constants.beta1 },
        { "beta2", NULL, &s->constants.beta2 },
        { "eps", NULL, &s->constants.eps },
        { "nesterov", &s->constants.nesterov, NULL },
        { "decoupled", &s->constants.decoupled, NULL },
        { "schedule", &s->kind_of_schedule, NULL },
        { "schedule.warmup", &s->schedule.warmup, NULL },
        { "schedule.period", &s->schedule.period, NULL },
        { "schedule.factor", NULL, &s->schedule.factor },
        { "schedule.floor", NULL, &s->schedule.floor },
        { "clip_norm", NULL, &s->clip_norm },
        { "clip_value", NULL, &s->clip_value },
        { "average_decay", NULL, &s->decay },
        { "steps", &s->steps, NULL },
        { "parameters", &s->count, NULL },
    };
    memcpy(out, all, sizeof all);
}

static gm_status save_array(gm_optimizer *o, gm_archive *archive, const char *prefix, int64_t index,
                            const char *name, const float *data)
{
    char key[KEY];
    const gm_param *p = o->bound[index].param;
    gm_status status = array_key(o->ctx, key, prefix, index, name);
    return status ? status : gm_archive_put(archive, key, p->rank, p->shape, data);
}

gm_status gm_optimizer_save(gm_optimizer *o, gm_archive *archive, const char *prefix)
{
    if (!o || !archive)
        return gm_fail(o ? o->ctx : NULL, GM_E_INVALID, "optimizer_save: it, or archive, is NULL");
    gm_status status;
    GM_TRY(gm_optimizer_check_unswapped(o, "save"));
    GM_TRY(gm_optimizer_take(o, o->decay > 0)); /* a file has the untouched arrays, too */
    gm_average_catch_up(o);
    settings s = { o->constants,     o->schedule, o->clip_norm, o->clip_value, o->decay,
                   o->schedule.kind, o->steps,    o->count,     o->slots };
    field fields[FIELDS];
    char key[KEY];
    list_fields(&s, fields);
    GM_TRY(make_key(o->ctx, key, prefix, "kind"));
    GM_TRY(gm_archive_set_text(archive, key, o->method->name));
    for (int i = 0; i < FIELDS; i++) {
        GM_TRY(make_key(o->ctx, key, prefix, fields[i].name));
        GM_TRY(fields[i].integer ? gm_archive_set_int(archive, key, *fields[i].integer)
                                 : gm_archive_set_real(archive, key, *fields[i].real));
    }
    if (s.slots != o->method->slot_count(&s.constants)) {
        GM_TRY(make_key(o->ctx, key, prefix, SLOTS));
        GM_TRY(gm_archive_set_int(archive, key, s.slots));
    }
    for (int64_t i = 0; i < o->count; i++) {
        const gm_bound *b = &o->bound[i];
        for (int32_t k = 0; k < o->slots; k++)
            GM_TRY(save_array(o, archive, prefix, i, o->method->slots[k], b->slot[k]));
        if (o->decay > 0) GM_TRY(save_array(o, archive, prefix, i, AVERAGE, b->average));
        if (!b->since) continue;
        GM_TRY(array_key(o->ctx, key, prefix, i, "since"));
        GM_TRY(gm_archive_set_int(archive, key, b->since));
    }
out:
    return status;
}

/* What the file says is out of range is the file's fault. */
static gm_status as_format(gm_context *ctx, gm_status status)
{
    if (status != GM_E_INVALID) return status;
    return gm_fail(ctx, GM_E_FORMAT, "optimizer: stored %s", gm_context_error(ctx));
}

/* How many arrays a parameter has: it follows from the constants, unless momentum was set to 0
 * later. */
static gm_status read_slots(gm_context *ctx, gm_archive *archive, const char *prefix,
                            const gm_method *method, settings *s)
{
    char key[KEY];
    s->slots = method->slot_count(&s->constants);
    gm_status status = make_key(ctx, key, prefix, SLOTS);
    if (status || !gm_archive_has(archive, key)) return status;
    int64_t fewest = s->slots;
    gm_constants moving = s->constants;
    moving.momentum = 0.5;
    status = gm_archive_get_int(&s->slots, archive, key);
    if (!status && s->slots != fewest && s->slots != method->slot_count(&moving))
        return gm_fail(ctx, GM_E_FORMAT, "optimizer: stored %s is %lld, expected %lld or %d", key,
                       (long long)s->slots, (long long)fewest, (int)method->slot_count(&moving));
    return status;
}

static gm_status read_settings(gm_context *ctx, gm_archive *archive, const char *prefix,
                               const gm_method **method, settings *s)
{
    gm_status status;
    char key[KEY];
    const char *kind = NULL;
    memset(s, 0, sizeof *s);
    field fields[FIELDS];
    list_fields(s, fields);
    GM_TRY(make_key(ctx, key, prefix, "kind"));
    GM_TRY(gm_archive_get_text(&kind, archive, key));
    *method = NULL;
    for (const gm_method *const *m = gm_methods; *m; m++)
        if (!strcmp((*m)->name, kind)) *method = *m;
    if (!*method)
        GM_TRY(
            gm_fail(ctx, GM_E_UNSUPPORTED, "optimizer: stored kind \"%.40s\" is not known", kind));
    for (int i = 0; i < FIELDS; i++) {
        GM_TRY(make_key(ctx, key, prefix, fields[i].name));
        GM_TRY(fields[i].integer ? gm_archive_get_int(fields[i].integer, archive, key)
                                 : gm_archive_get_real(fields[i].real, archive, key));
    }
    if (s->kind_of_schedule < GM_SCHEDULE_CONSTANT || s->kind_of_schedule > GM_SCHEDULE_LINEAR)
        GM_TRY(gm_fail(ctx, GM_E_FORMAT, "optimizer: stored schedule %lld is not known",
                       (long long)s->kind_of_schedule));
    s->schedule.size = sizeof s->schedule;
    s->schedule.kind = (int32_t)s->kind_of_schedule;
    GM_TRY(as_format(ctx, gm_schedule_check(ctx, &s->schedule)));
    GM_TRY(as_format(ctx, gm_constants_check(ctx, *method, &s->constants)));
    GM_TRY(read_slots(ctx, archive, prefix, *method, s));
    int good = s->clip_norm >= 0 && s->clip_norm <= FLT_MAX && s->clip_value >= 0 &&
               s->clip_value <= FLT_MAX && s->decay >= 0 && s->decay < 1 && s->steps >= 0 &&
               s->steps < INT64_MAX && s->count >= 0;
    if (!good)
        GM_TRY(gm_fail(ctx, GM_E_FORMAT,
                       "optimizer: stored steps %lld, clip_norm %g, clip_value %g or average_decay "
                       "%g is out of range",
                       (long long)s->steps, s->clip_norm, s->clip_value, s->decay));
out:
    return status;
}

static void apply_settings(gm_optimizer *o, const settings *s)
{
    o->constants = s->constants;
    o->schedule = s->schedule;
    o->clip_norm = s->clip_norm;
    o->clip_value = s->clip_value;
    o->decay = s->decay;
}

/* Looks at one stored array and, when `to` is given, copies it. */
static gm_status load_array(const gm_optimizer *o, gm_archive *archive, const char *prefix,
                            int64_t index, const char *name, float *to)
{
    char key[KEY], have[GM_SHAPE_TEXT], want[GM_SHAPE_TEXT];
    const gm_param *p = o->bound[index].param;
    int32_t rank = 0;
    int64_t shape[GM_MAX_RANK];
    const float *data = NULL;
    gm_status status = array_key(o->ctx, key, prefix, index, name);
    if (!status) status = gm_archive_get(&rank, &data, archive, key, shape);
    if (status) return status;
    if (rank != p->rank || (rank && memcmp(shape, p->shape, (size_t)rank * sizeof *shape)))
        return gm_fail(o->ctx, GM_E_SHAPE, "optimizer: stored %s is %s, parameter %s is %s", key,
                       gm_shape_text(have, rank, shape), o->bound[index].name,
                       gm_shape_text(want, p->rank, p->shape));
    if (to && p->count) memcpy(to, data, (size_t)p->count * sizeof(float));
    return GM_OK;
}

static gm_status load_since(const gm_optimizer *o, gm_archive *archive, const char *prefix,
                            int64_t index, int64_t steps, int64_t *since)
{
    char key[KEY];
    *since = 0;
    gm_status status = array_key(o->ctx, key, prefix, index, "since");
    if (status || !gm_archive_has(archive, key)) return status;
    status = gm_archive_get_int(since, archive, key);
    if (!status && (*since < 0 || *since > steps))
        return gm_fail(o->ctx, GM_E_FORMAT, "optimizer: stored %s is %lld, expected 0 to %lld", key,
                       (long long)*since, (long long)steps);
    return status;
}

/* The first pass looks, the second copies: then nothing is left that could fail. */
static gm_status load_arrays(gm_optimizer *o, gm_archive *archive, const char *prefix,
                             const settings *s, int copy)
{
    gm_status status = GM_OK;
    for (int64_t i = 0; i < o->count; i++) {
        gm_bound *b = &o->bound[i];
        int64_t since;
        for (int32_t k = 0; k < o->slots; k++)
            GM_TRY(
                load_array(o, archive, prefix, i, o->method->slots[k], copy ? b->slot[k] : NULL));
        if (s->decay > 0)
            GM_TRY(load_array(o, archive, prefix, i, AVERAGE, copy ? b->average : NULL));
        GM_TRY(load_since(o, archive, prefix, i, s->steps, &since));
        if (copy) b->since = since;
    }
out:
    return status;
}

gm_status gm_optimizer_load(gm_optimizer *o, gm_archive *archive, const char *prefix)
{
    if (!o || !archive)
        return gm_fail(o ? o->ctx : NULL, GM_E_INVALID, "optimizer_load: it, or archive, is NULL");
    gm_status status;
    settings s;
    const gm_method *method;
    GM_TRY(gm_optimizer_check_unswapped(o, "load"));
    GM_TRY(read_settings(o->ctx, archive, prefix, &method, &s));
    if (method != o->method)
        GM_TRY(gm_fail(o->ctx, GM_E_FORMAT, "optimizer: stored kind is %s, this one is %s",
                       method->name, o->method->name));
    if (s.slots != o->slots)
        GM_TRY(
            gm_fail(o->ctx, GM_E_FORMAT,
                    "optimizer: stored momentum is %g, this one has %g: one of them has no array "
                    "for it",
                    s.constants.momentum, o->constants.momentum));
    if (s.count != o->count)
        GM_TRY(gm_fail(o->ctx, GM_E_SHAPE, "optimizer: stored for %lld parameters, %lld are bound",
                       (long long)s.count, (long long)o->count));
    GM_TRY(load_arrays(o, archive, prefix, &s, 0));
    /* Taking the memory is the last thing that may fail. */
    GM_TRY(gm_optimizer_take(o, s.decay > 0));
    GM_TRY(gm_optimizer_set_average(o, s.decay));
    apply_settings(o, &s);
    GM_TRY(load_arrays(o, archive, prefix, &s, 1));
    o->steps = s.steps;
    o->norm = 0;
    o->pending = 0;
    if (o->undo) o->undo = 1;
out:
    return status;
}

gm_status gm_optimizer_load_new(gm_optimizer **out, gm_context *ctx, gm_archive *archive,
                                const char *prefix)
{
    if (out) *out = NULL;
    if (!out || !ctx || !archive)
        return gm_fail(ctx, GM_E_INVALID, "optimizer_load_new: context, archive or out is NULL");
    settings s;
    const gm_method *method;
    gm_status status = read_settings(ctx, archive, prefix, &method, &s);
    if (!status) status = gm_optimizer_make(out, ctx, method, &s.constants);
    if (status) return status;
    apply_settings(*out, &s);
    (*out)->slots = (int32_t)s.slots;
    return GM_OK;
}
