/* layer_file.c - layers in an archive: texts for what they are, arrays for what they learned. */
#include "gm/layer_file.h"

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "io/archive.h"
#include "io/host_layer_file.h"
#include "nn/layer.h"

#define KEY 512 /* prefix, path and name */
#define PREFIX 64
#define PATH 256 /* of the deepest part: 32 numbers of up to 4 digits, with dots */
#define MOST_LAYERS (2 * GM_SEQUENCE_PARTS)

/* What was met so far, for layers that occur twice. */
typedef struct met {
    const gm_layer *layer;
    char path[PATH];
} met;

typedef struct walk {
    gm_context *ctx;
    gm_archive *archive;
    const char *prefix;
    met *list;
    int64_t count, room;
} walk;

static gm_status walk_start(walk *w, gm_context *ctx, gm_archive *archive, const char *prefix)
{
    memset(w, 0, sizeof *w);
    w->ctx = ctx;
    w->archive = archive;
    w->prefix = prefix ? prefix : "";
    if (strlen(w->prefix) >= PREFIX)
        return gm_fail(ctx, GM_E_INVALID, "layer file: the prefix has more than %d characters",
                       PREFIX - 1);
    return GM_OK;
}

static void walk_end(walk *w)
{
    gm_memory_put(&w->ctx->memory, w->list, (size_t)w->room * sizeof *w->list);
}

static gm_status remember(walk *w, const gm_layer *layer, const char *path)
{
    if (w->count >= MOST_LAYERS)
        return gm_fail(w->ctx, GM_E_INVALID, "layer file: more than %d layers", MOST_LAYERS);
    if (w->count == w->room) {
        int64_t room = w->room ? 2 * w->room : 16;
        met *list = gm_memory_grow(&w->ctx->memory, w->list, (size_t)w->room * sizeof *list,
                                   (size_t)room * sizeof *list);
        if (!list) return gm_fail_memory(w->ctx, "layer file");
        w->list = list;
        w->room = room;
    }
    met *m = &w->list[w->count++];
    m->layer = layer;
    memcpy(m->path, path, strlen(path) + 1);
    return GM_OK;
}

/* Paths and names are short by construction, so nothing is cut. */
static const char *key_of(const walk *w, char key[KEY], const char *path, const char *name)
{
    (void)snprintf(key, KEY, "%s%s%s", w->prefix, path, name);
    return key;
}

static gm_status path_of_part(const walk *w, char out[PATH], const char *path, int64_t index)
{
    int n = snprintf(out, PATH, "%s%lld.", path, (long long)index);
    if (n < 0 || n >= PATH) return gm_fail(w->ctx, GM_E_INVALID, "layer file: nested too deep");
    return GM_OK;
}

static gm_status put_set(const walk *w, const char *path, const gm_params *set)
{
    gm_status status = GM_OK;
    char key[KEY];
    for (int64_t i = 0; set && i < set->count && !status; i++) {
        const gm_param *p = set->entries[i].param;
        status = gm_archive_put(w->archive, key_of(w, key, path, set->entries[i].name), p->rank,
                                p->shape, p->value);
    }
    return status;
}

static gm_status put_one(walk *w, const char *path, const gm_layer *layer);

static gm_status put_parts(walk *w, const char *path, const gm_layer *sequence)
{
    gm_status status;
    char key[KEY], part[PATH];
    GM_TRY(gm_sequence_status(sequence));
    GM_TRY(gm_archive_set_int(w->archive, key_of(w, key, path, "count"), sequence->count));
    for (int64_t i = 0; i < sequence->count; i++) {
        GM_TRY(path_of_part(w, part, path, i));
        GM_TRY(put_one(w, part, sequence->parts[i]));
    }
out:
    return status;
}

static gm_status put_one(walk *w, const char *path, const gm_layer *layer)
{
    gm_status status;
    char key[KEY], part[PATH];
    const gm_layer_kind *kind = layer->kind;
    for (int64_t i = 0; i < w->count; i++)
        if (w->list[i].layer == layer)
            return gm_archive_set_text(w->archive, key_of(w, key, path, "same"), w->list[i].path);
    GM_TRY(remember(w, layer, path));
    GM_TRY(gm_archive_set_text(w->archive, key_of(w, key, path, "type"), gm_layer_type(layer)));
    if (kind == &gm_kind_host)
        return gm_host_layer_save(layer, w->archive, key_of(w, key, path, ""));
    for (int i = 0; i < GM_LAYER_INTS && kind->ints[i]; i++)
        GM_TRY(gm_archive_set_int(w->archive, key_of(w, key, path, kind->ints[i]),
                                  layer->attrs.ints[i]));
    for (int i = 0; i < GM_LAYER_REALS && kind->reals[i]; i++)
        GM_TRY(gm_archive_set_real(w->archive, key_of(w, key, path, kind->reals[i]),
                                   layer->attrs.reals[i]));
    if (kind == &gm_kind_sequence) {
        GM_TRY(put_parts(w, path, layer));
    } else {
        /* The arrays of an inner layer are its own to store; a spectral norm's state is not. */
        if (!layer->inner) GM_TRY(put_set(w, path, layer->params));
        if (!layer->inner || kind->arrays) GM_TRY(put_set(w, path, layer->state));
    }
    if (layer->inner) {
        GM_TRY(path_of_part(w, part, path, 0));
        GM_TRY(put_one(w, part, layer->inner));
    }
out:
    return status;
}

gm_status gm_archive_put_layer(gm_archive *archive, const char *prefix, const gm_layer *layer)
{
    if (!archive || !layer)
        return gm_fail(gm_archive_context(archive), GM_E_INVALID,
                       "put_layer: archive or layer is NULL");
    walk w;
    if (layer->ctx != gm_archive_context(archive))
        return gm_fail(gm_archive_context(archive), GM_E_INVALID,
                       "put_layer: layer and archive are of different contexts");
    gm_status status = walk_start(&w, layer->ctx, archive, prefix);
    if (!status) status = put_one(&w, "", layer);
    walk_end(&w);
    return status;
}

/* A bad value in a file is the file's fault, not the caller's. */
static gm_status as_format(gm_context *ctx, gm_status status)
{
    if (status != GM_E_INVALID) return status;
    return gm_fail(ctx, GM_E_FORMAT, "layer file: %s", gm_context_error(ctx));
}

/* The stored array has the shape that the attributes ask for: checked before memory is taken for
 * it. */
static gm_status compare(const walk *w, const char *path, const gm_layer_array *array)
{
    char key[KEY], have[GM_SHAPE_TEXT], want[GM_SHAPE_TEXT];
    int32_t rank = 0;
    int64_t shape[GM_MAX_RANK];
    gm_status status =
        gm_archive_get(&rank, NULL, w->archive, key_of(w, key, path, array->name), shape);
    if (status) return status;
    if (rank != array->rank || memcmp(shape, array->shape, (size_t)rank * sizeof *shape))
        return gm_fail(w->ctx, GM_E_FORMAT, "layer file: stored %s is %s, expected %s", key,
                       gm_shape_text(have, rank, shape),
                       gm_shape_text(want, array->rank, array->shape));
    return GM_OK;
}

/* Does the array lie in a frozen model's file? A parameter of a reader takes it where it lies. */
static int is_lent(const gm_archive *a, const gm_param *p, const float *data)
{
    const uintptr_t at = (uintptr_t)data, begin = (uintptr_t)a->blob;
    return a->lent && a->ctx->parent && p->count && at >= begin && at < begin + a->blob_bytes;
}

static gm_status read_param(const walk *w, const char *key, gm_param *p)
{
    const float *data;
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    gm_status status;
    GM_TRY(gm_archive_get(&rank, &data, w->archive, key, shape));
    if (is_lent(w->archive, p, data) && rank == p->rank &&
        !memcmp(shape, p->shape, (size_t)rank * sizeof *shape))
        gm_param_lend(p, data);
    else
        GM_TRY(gm_archive_get_into(w->archive, key, p->rank, p->shape, p->value));
out:
    return status;
}

static gm_status read_set(const walk *w, const char *path, gm_params *set)
{
    gm_status status = GM_OK;
    char key[KEY];
    for (int64_t i = 0; set && i < set->count && !status; i++) {
        status = read_param(w, key_of(w, key, path, set->entries[i].name), set->entries[i].param);
    }
    return status;
}

static gm_status get_built_in(gm_layer **out, const walk *w, const char *path,
                              const gm_layer_kind *kind)
{
    gm_status status;
    char key[KEY];
    gm_layer_attrs attrs;
    gm_layer_array arrays[GM_LAYER_ARRAYS];
    memset(&attrs, 0, sizeof attrs);
    for (int i = 0; i < GM_LAYER_INTS && kind->ints[i]; i++)
        GM_TRY(gm_archive_get_int(&attrs.ints[i], w->archive, key_of(w, key, path, kind->ints[i])));
    for (int i = 0; i < GM_LAYER_REALS && kind->reals[i]; i++)
        GM_TRY(
            gm_archive_get_real(&attrs.reals[i], w->archive, key_of(w, key, path, kind->reals[i])));
    GM_TRY(kind->check ? as_format(w->ctx, kind->check(w->ctx, &attrs)) : GM_OK);
    int32_t count = kind->arrays ? kind->arrays(&attrs, arrays) : 0;
    for (int32_t i = 0; i < count; i++) GM_TRY(compare(w, path, &arrays[i]));
    GM_TRY(as_format(w->ctx, gm_layer_make(out, w->ctx, kind, &attrs)));
    GM_TRY(read_set(w, path, (*out)->params));
    GM_TRY(read_set(w, path, (*out)->state));
    if (kind->settle) GM_TRY(as_format(w->ctx, kind->settle(*out)));
out:
    return status;
}

static gm_status get_one(gm_layer **out, walk *w, const char *path, int32_t depth);

static gm_status get_parts(gm_layer *sequence, walk *w, const char *path, int32_t depth)
{
    gm_status status;
    char key[KEY], part_path[PATH];
    int64_t count;
    gm_layer *part = NULL;
    GM_TRY(gm_archive_get_int(&count, w->archive, key_of(w, key, path, "count")));
    if (count < 0 || count > GM_SEQUENCE_PARTS)
        GM_TRY(gm_fail(w->ctx, GM_E_FORMAT, "layer file: stored %s is %lld, expected 0 to %d", key,
                       (long long)count, GM_SEQUENCE_PARTS));
    for (int64_t i = 0; i < count; i++) {
        GM_TRY(as_format(w->ctx, path_of_part(w, part_path, path, i)));
        GM_TRY(get_one(&part, w, part_path, depth + 1));
        GM_TRY(as_format(w->ctx, gm_sequence_add(sequence, part)));
        gm_layer_release(part);
        part = NULL;
    }
out:
    gm_layer_release(part);
    return status;
}

/* What a spectral norm or a residual layer is around. */
static gm_status get_inner(gm_layer *layer, walk *w, const char *path, int32_t depth)
{
    gm_status status;
    char part[PATH];
    gm_layer *inner = NULL;
    GM_TRY(as_format(w->ctx, path_of_part(w, part, path, 0)));
    GM_TRY(get_one(&inner, w, part, depth + 1));
    status = layer->kind->hold(layer, inner);
    if (status == GM_E_UNSUPPORTED) status = GM_E_INVALID; /* no file that was saved says so */
    status = as_format(w->ctx, status);
out:
    gm_layer_release(inner);
    return status;
}

static gm_status get_same(gm_layer **out, const walk *w, const char *path, const char *key)
{
    const char *first = NULL;
    gm_status status = gm_archive_get_text(&first, w->archive, key);
    if (status) return status;
    for (int64_t i = 0; i < w->count; i++)
        if (!strcmp(w->list[i].path, first)) {
            union {
                const gm_layer *met;
                gm_layer *layer;
            } same = { w->list[i].layer };
            /* A sequence that still encloses this place cannot be meant; gm_sequence_add would seal
             * it or refuse. */
            if (!strncmp(path, first, strlen(first))) break;
            gm_layer_retain(same.layer);
            *out = same.layer;
            return GM_OK;
        }
    return gm_fail(w->ctx, GM_E_FORMAT, "layer file: %s names \"%.80s\", where no layer is", key,
                   first);
}

static gm_status get_one(gm_layer **out, walk *w, const char *path, int32_t depth)
{
    gm_status status;
    char key[KEY];
    const char *type = NULL;
    *out = NULL;
    if (gm_archive_has(w->archive, key_of(w, key, path, "same")))
        return get_same(out, w, path, key);
    GM_TRY(gm_archive_get_text(&type, w->archive, key_of(w, key, path, "type")));
    const gm_layer_kind *kind = gm_layer_kind_find(type);
    if (!kind) {
        GM_TRY(gm_host_layer_load(out, w->archive, key_of(w, key, path, ""), type));
        return as_format(w->ctx, remember(w, *out, path));
    }
    /* A spectral norm may be a part of the deepest sequence, and has an inner layer itself. */
    int nests = kind == &gm_kind_sequence || kind == &gm_kind_residual;
    if ((nests && depth > GM_LAYER_DEPTH) || (kind->hold && depth > GM_LAYER_DEPTH + 1))
        GM_TRY(gm_fail(w->ctx, GM_E_FORMAT, "layer file: %s: nested deeper than %d", key,
                       GM_LAYER_DEPTH));
    if (kind == &gm_kind_sequence) {
        GM_TRY(gm_layer_make(out, w->ctx, kind, NULL));
        GM_TRY(as_format(w->ctx, remember(w, *out, path)));
        GM_TRY(get_parts(*out, w, path, depth));
    } else {
        GM_TRY(get_built_in(out, w, path, kind));
        if (kind->hold) GM_TRY(get_inner(*out, w, path, depth));
        GM_TRY(as_format(w->ctx, remember(w, *out, path)));
    }
    return GM_OK;
out:
    gm_layer_release(*out);
    *out = NULL;
    return status;
}

gm_status gm_archive_get_layer(gm_layer **out, gm_archive *archive, const char *prefix)
{
    if (out) *out = NULL;
    if (!out || !archive)
        return gm_fail(gm_archive_context(archive), GM_E_INVALID,
                       "get_layer: archive or out is NULL");
    walk w;
    gm_status status = walk_start(&w, gm_archive_context(archive), archive, prefix);
    /* Nothing in the list outlives its sequence while the walk goes on: a failure ends the walk. */
    if (!status) status = get_one(out, &w, "", 1);
    walk_end(&w);
    return status;
}

gm_status gm_archive_put_params(gm_archive *archive, const char *prefix, const gm_params *params)
{
    if (!archive || !params)
        return gm_fail(gm_archive_context(archive), GM_E_INVALID,
                       "put_params: archive or params is NULL");
    walk w;
    gm_status status = walk_start(&w, gm_archive_context(archive), archive, prefix);
    return status ? status : put_set(&w, "", params);
}

gm_status gm_archive_get_params(gm_archive *archive, const char *prefix, gm_params *params)
{
    if (!archive || !params)
        return gm_fail(gm_archive_context(archive), GM_E_INVALID,
                       "get_params: archive or params is NULL");
    walk w;
    gm_status status = walk_start(&w, gm_archive_context(archive), archive, prefix);
    if (!status) status = gm_context_check_unsealed(w.ctx, "get_params");
    char key[KEY], have[GM_SHAPE_TEXT], want[GM_SHAPE_TEXT];
    for (int64_t i = 0; !status && i < params->count; i++) {
        const gm_param *p = params->entries[i].param;
        int32_t rank = 0;
        int64_t shape[GM_MAX_RANK];
        const float *data; /* asked for, so that reading below cannot fail any more */
        status = gm_archive_get(&rank, &data, archive, key_of(&w, key, "", params->entries[i].name),
                                shape);
        if (!status && (rank != p->rank || memcmp(shape, p->shape, (size_t)rank * sizeof *shape)))
            status =
                gm_fail(w.ctx, GM_E_SHAPE, "get_params: stored %s is %s, the parameter is %s", key,
                        gm_shape_text(have, rank, shape), gm_shape_text(want, p->rank, p->shape));
    }
    return status ? status : read_set(&w, "", params);
}
