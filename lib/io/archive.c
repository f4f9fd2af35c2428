/* archive.c - the handle and its tensors. */
#include "io/archive.h"

#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "tensor/tensor.h"

/* The type of plain bytes. */
#define BYTE_TYPE "U8"

gm_status gm_archive_make(gm_archive **out, gm_context *ctx, const char *name)
{
    *out = NULL;
    gm_archive *a = gm_memory_get_zero(&ctx->memory, sizeof *a);
    if (!a) return gm_fail_memory(ctx, "archive");
    gm_context_retain(ctx);
    a->ctx = ctx;
    a->owners = 1;
    a->name = gm_memory_copy_text(&ctx->memory, name);
    if (!a->name) {
        gm_archive_release(a);
        return gm_fail_memory(ctx, "archive");
    }
    *out = a;
    return GM_OK;
}

gm_status gm_archive_create(gm_archive **out, gm_context *ctx)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "archive: context or out is NULL");
    return gm_archive_make(out, ctx, "archive");
}

void gm_archive_retain(gm_archive *a)
{
    if (a) a->owners++;
}

gm_context *gm_archive_context(const gm_archive *a)
{
    return a ? a->ctx : NULL;
}

static void free_tensor(gm_context *ctx, gm_archive_tensor *t)
{
    gm_memory_put_text(&ctx->memory, t->name);
    if (t->owned)
        gm_memory_put(&ctx->memory, (void *)(uintptr_t)t->bytes, gm_archive_block(t->size));
    gm_memory_put(&ctx->memory, t->values, gm_archive_block(t->count * (int64_t)sizeof(float)));
}

void gm_archive_release(gm_archive *a)
{
    if (!a || --a->owners > 0) return;
    gm_context *ctx = a->ctx;
    gm_memory *m = &ctx->memory;
    for (int64_t i = 0; i < a->tensor_count; i++) free_tensor(ctx, &a->tensors[i]);
    for (int64_t i = 0; i < a->text_count; i++) {
        gm_memory_put_text(&ctx->memory, a->texts[i].key);
        gm_memory_put_text(&ctx->memory, a->texts[i].text);
    }
    gm_memory_put(m, a->tensors, (size_t)a->tensor_room * sizeof *a->tensors);
    gm_memory_put(m, a->texts, (size_t)a->text_room * sizeof *a->texts);
    if (!a->lent) gm_memory_put(m, a->blob, a->blob_bytes);
    gm_memory_put_text(&ctx->memory, a->name);
    gm_memory_put(m, a, sizeof *a);
    gm_context_release(ctx);
}

gm_status gm_archive_room_tensor(gm_archive *a)
{
    if (a->tensor_count < a->tensor_room) return GM_OK;
    const int64_t room = a->tensor_room ? 2 * a->tensor_room : 16;
    gm_archive_tensor *p = gm_memory_grow(
        &a->ctx->memory, a->tensors, (size_t)a->tensor_room * sizeof *p, (size_t)room * sizeof *p);
    if (!p) return gm_fail_memory(a->ctx, "archive");
    a->tensors = p;
    a->tensor_room = room;
    return GM_OK;
}

/* Where the name is, or where it would be inserted. */
static int64_t place_of(const gm_archive *a, const char *name, int *found)
{
    int64_t low = 0, high = a->tensor_count;
    *found = 0;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int order = strcmp(a->tensors[middle].name, name);
        if (order == 0) *found = 1;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes over `bytes`, and frees them on failure. */
static gm_status insert(gm_archive *a, const char *what, const char *name, const char *type,
                        int32_t rank, const int64_t *shape, int64_t count, unsigned char *bytes,
                        int64_t size)
{
    gm_archive_tensor t = { 0 };
    gm_status status = GM_OK;
    int found;
    t.bytes = bytes;
    t.size = size;
    t.owned = 1;
    t.count = count;
    t.rank = rank;
    if (rank) memcpy(t.shape, shape, (size_t)rank * sizeof *shape);
    memcpy(t.type, type, strlen(type) + 1);
    const int64_t at = place_of(a, name, &found);
    GM_TRY(gm_archive_room_tensor(a));
    t.name = gm_memory_copy_text(&a->ctx->memory, name);
    if (!t.name) GM_TRY(gm_fail_memory(a->ctx, what));
    memmove(a->tensors + at + 1, a->tensors + at,
            (size_t)(a->tensor_count - at) * sizeof *a->tensors);
    a->tensors[at] = t;
    a->tensor_count++;
    return GM_OK;
out:
    free_tensor(a->ctx, &t);
    return status;
}

static gm_status check_name(gm_archive *a, const char *what, const char *name)
{
    int found;
    if (!name[0]) return gm_fail(a->ctx, GM_E_INVALID, "%s: the name is empty", what);
    if (!gm_utf8_valid(name))
        return gm_fail(a->ctx, GM_E_INVALID, "%s: the name is not UTF-8", what);
    if (!strcmp(name, GM_ARCHIVE_METADATA))
        return gm_fail(a->ctx, GM_E_INVALID, "%s: the name %s belongs to the format", what, name);
    place_of(a, name, &found);
    if (found)
        return gm_fail(a->ctx, GM_E_INVALID, "%s: there is a tensor named %s already", what, name);
    return GM_OK;
}

/* n floats between memory and the file's byte order, either way. */
static void swap_if_big(unsigned char *p, int64_t n)
{
    if (!GM_BIG_ENDIAN) return;
    const int w = (int)sizeof(float);
    for (int64_t i = 0; i < n; i++, p += w)
        for (int j = 0; j < w / 2; j++) {
            unsigned char c = p[j];
            p[j] = p[w - 1 - j];
            p[w - 1 - j] = c;
        }
}

gm_status gm_archive_put(gm_archive *a, const char *name, int32_t rank, const int64_t *shape,
                         const float *data)
{
    static const char what[] = "archive_put";
    if (!a || !name)
        return gm_fail(a ? a->ctx : NULL, GM_E_INVALID, "%s: archive or name is NULL", what);
    int64_t count = 0;
    gm_status status = check_name(a, what, name);
    if (status) return status;
    status = gm_shape_count(a->ctx, what, rank, shape, &count);
    if (status) return status;
    if (count && !data) return gm_fail(a->ctx, GM_E_INVALID, "%s: data of %s is NULL", what, name);
    const int64_t size = count * (int64_t)sizeof(float);
    unsigned char *copy = gm_memory_get(&a->ctx->memory, gm_archive_block(size));
    if (!copy) return gm_fail_memory(a->ctx, what);
    if (size) memcpy(copy, data, (size_t)size);
    swap_if_big(copy, count);
    return insert(a, what, name, GM_ARCHIVE_FLOAT, rank, shape, count, copy, size);
}

gm_status gm_archive_put_bytes(gm_archive *a, const char *name, const void *bytes, size_t size)
{
    static const char what[] = "archive_put_bytes";
    if (!a || !name || (size && !bytes))
        return gm_fail(a ? a->ctx : NULL, GM_E_INVALID, "%s: archive, name or bytes is NULL", what);
    gm_status status = check_name(a, what, name);
    if (status) return status;
    if (size > (size_t)INT64_MAX / 2)
        return gm_fail(a->ctx, GM_E_INVALID, "%s: %zu bytes cannot be stored", what, size);
    unsigned char *copy = gm_memory_get(&a->ctx->memory, size ? size : 1);
    if (!copy) return gm_fail_memory(a->ctx, what);
    if (size) memcpy(copy, bytes, size);
    const int64_t shape[1] = { (int64_t)size };
    return insert(a, what, name, BYTE_TYPE, 1, shape, (int64_t)size, copy, (int64_t)size);
}

static gm_status find(gm_archive *a, const char *name, gm_archive_tensor **out)
{
    int found;
    const int64_t at = place_of(a, name, &found);
    if (!found) return gm_fail(a->ctx, GM_E_FORMAT, "%s: has no tensor %s", a->name, name);
    *out = &a->tensors[at];
    return GM_OK;
}

gm_status gm_archive_get(int32_t *rank, const float **data, gm_archive *a, const char *name,
                         int64_t shape[GM_MAX_RANK])
{
    if (data) *data = NULL;
    if (!a || !name)
        return gm_fail(a ? a->ctx : NULL, GM_E_INVALID, "archive_get: archive or name is NULL");
    gm_archive_tensor *t = NULL;
    const float *values;
    gm_status status = find(a, name, &t);
    if (status) return status;
    status = gm_archive_values(a, t, &values);
    if (status) return status;
    if (rank) *rank = t->rank;
    if (shape) memcpy(shape, t->shape, sizeof t->shape);
    if (data) *data = values;
    return GM_OK;
}

gm_status gm_archive_get_into(gm_archive *a, const char *name, int32_t rank, const int64_t *shape,
                              float *values)
{
    static const char what[] = "archive_get_into";
    if (!a || !name || !values)
        return gm_fail(a ? a->ctx : NULL, GM_E_INVALID, "%s: archive, name or values is NULL",
                       what);
    gm_archive_tensor *t = NULL;
    const float *from;
    int64_t count;
    gm_status status = gm_shape_count(a->ctx, what, rank, shape, &count);
    if (status) return status;
    status = find(a, name, &t);
    if (status) return status;
    status = gm_archive_values(a, t, &from);
    if (status) return status;
    if (rank != t->rank || (rank && memcmp(shape, t->shape, (size_t)rank * sizeof *shape))) {
        char have[GM_SHAPE_TEXT], wanted[GM_SHAPE_TEXT];
        return gm_fail(a->ctx, GM_E_SHAPE, "%s: tensor %s is %s, expected %s", a->name, name,
                       gm_shape_text(have, t->rank, t->shape), gm_shape_text(wanted, rank, shape));
    }
    if (count) memcpy(values, from, (size_t)count * sizeof *values);
    return GM_OK;
}

gm_status gm_archive_get_bytes(const void **bytes, size_t *size, gm_archive *a, const char *name)
{
    if (bytes) *bytes = NULL;
    if (size) *size = 0;
    if (!a || !name || !bytes || !size)
        return gm_fail(a ? a->ctx : NULL, GM_E_INVALID,
                       "archive_get_bytes: archive, name, bytes or size is NULL");
    gm_archive_tensor *t = NULL;
    gm_status status = find(a, name, &t);
    if (status) return status;
    if (strcmp(t->type, BYTE_TYPE))
        return gm_fail(a->ctx, GM_E_UNSUPPORTED, "%s: tensor %s is of type %s, expected U8",
                       a->name, name, t->type);
    *bytes = t->bytes;
    *size = (size_t)t->size;
    return GM_OK;
}

int32_t gm_archive_has_tensor(const gm_archive *a, const char *name)
{
    int found = 0;
    if (a && name) place_of(a, name, &found);
    return found;
}

int64_t gm_archive_tensor_count(const gm_archive *a)
{
    return a ? a->tensor_count : 0;
}

const char *gm_archive_tensor_name(const gm_archive *a, int64_t index)
{
    return a && index >= 0 && index < a->tensor_count ? a->tensors[index].name : NULL;
}

const char *gm_archive_tensor_type(const gm_archive *a, int64_t index)
{
    return a && index >= 0 && index < a->tensor_count ? a->tensors[index].type : NULL;
}
