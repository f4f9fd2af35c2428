/* archive_open.c - reading a safetensors file, trusting nothing. */
#include <jansson.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/foreign.h"
#include "io/archive.h"

/* In place, without memory: Floyd's and Williams's heap sort, 1964. `order` compares elements of
 * `width` bytes. */
static void sort(void *array, int64_t n, size_t width, int (*order)(const void *, const void *),
                 void *spare)
{
    char *base = array;
    for (int64_t end = n, root = n / 2; end > 1;) {
        if (root > 0) {
            root--;
        } else {
            end--;
            memcpy(spare, base + (size_t)end * width, width);
            memcpy(base + (size_t)end * width, base, width);
            memcpy(base, spare, width);
        }
        memcpy(spare, base + (size_t)root * width, width);
        int64_t at = root, child;
        while ((child = 2 * at + 1) < end) {
            if (child + 1 < end &&
                order(base + (size_t)child * width, base + (size_t)(child + 1) * width) < 0)
                child++;
            if (order(spare, base + (size_t)child * width) >= 0) break;
            memcpy(base + (size_t)at * width, base + (size_t)child * width, width);
            at = child;
        }
        memcpy(base + (size_t)at * width, spare, width);
    }
}

static int by_name(const void *p, const void *q)
{
    return strcmp(((const gm_archive_tensor *)p)->name, ((const gm_archive_tensor *)q)->name);
}

static int by_offset(const void *p, const void *q)
{
    const gm_archive_tensor *s = p, *t = q;
    if (s->offset != t->offset) return s->offset < t->offset ? -1 : 1;
    return s->size == t->size ? 0 : s->size < t->size ? -1 : 1; /* empty ones first */
}

static int by_key(const void *p, const void *q)
{
    return strcmp(((const gm_archive_text *)p)->key, ((const gm_archive_text *)q)->key);
}

static gm_status read_texts(gm_archive *a, json_t *object)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: %s is not an object", a->name,
                       GM_ARCHIVE_METADATA);
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return gm_fail(a->ctx, GM_E_FORMAT, "%s: text \"%.64s\" is not a string", a->name, key);
        gm_status status = gm_archive_room_text(a);
        if (status) return status;
        gm_archive_text t = { gm_memory_copy_text(&a->ctx->memory, key),
                              gm_memory_copy_text(&a->ctx->memory, json_string_value(value)) };
        if (!t.key || !t.text) {
            gm_memory_put_text(&a->ctx->memory, t.key);
            gm_memory_put_text(&a->ctx->memory, t.text);
            return gm_fail_memory(a->ctx, "archive_open");
        }
        a->texts[a->text_count++] = t;
    }
    return GM_OK;
}

/* GM_E_FORMAT about one tensor. */
static gm_status bad(const gm_archive *a, const char *name, const char *why)
{
    return gm_fail(a->ctx, GM_E_FORMAT, "%s: tensor %.128s: %s", a->name, name, why);
}

static gm_status read_type(const gm_archive *a, const char *name, json_t *json,
                           gm_archive_tensor *t)
{
    const char *type = json_string_value(json);
    if (!type) return bad(a, name, "dtype is not a string");
    const size_t length = strlen(type);
    if (!length || length >= sizeof t->type ||
        strspn(type, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != length)
        return bad(a, name, "dtype is not a type's name");
    memcpy(t->type, type, length + 1);
    return GM_OK;
}

static gm_status read_shape(const gm_archive *a, const char *name, json_t *json,
                            gm_archive_tensor *t)
{
    if (!json_is_array(json)) return bad(a, name, "shape is not an array");
    if (json_array_size(json) > GM_MAX_RANK)
        return gm_fail(a->ctx, GM_E_UNSUPPORTED,
                       "%s: tensor %.128s has %zu axes, expected at most %d", a->name, name,
                       json_array_size(json), GM_MAX_RANK);
    t->rank = (int32_t)json_array_size(json);
    t->count = 1;
    int fits = 1;
    for (int32_t i = 0; i < t->rank; i++) {
        const json_t *size = json_array_get(json, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return bad(a, name, "shape holds something else than whole numbers from 0 on");
        t->shape[i] = (int64_t)json_integer_value(size);
        fits = fits && gm_mul_size(t->count, t->shape[i], &t->count);
    }
    return fits ? GM_OK : bad(a, name, "shape overflows");
}

/* [begin, end) within the data, and as many bytes as type and shape say. */
static gm_status read_offsets(const gm_archive *a, const char *name, json_t *json,
                              int64_t data_size, gm_archive_tensor *t)
{
    const json_t *first = json_array_get(json, 0), *last = json_array_get(json, 1);
    if (json_array_size(json) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return bad(a, name, "data_offsets are not two whole numbers");
    const int64_t begin = (int64_t)json_integer_value(first);
    const int64_t end = (int64_t)json_integer_value(last);
    if (begin < 0 || end < begin || end > data_size)
        return gm_fail(
            a->ctx, GM_E_FORMAT,
            "%s: tensor %.128s: data_offsets are [%lld, %lld], the file has %lld bytes of "
            "data",
            a->name, name, (long long)begin, (long long)end, (long long)data_size);
    t->offset = begin;
    t->size = end - begin;
    const int64_t width = gm_archive_width(t->type);
    int64_t wanted;
    if (width && (!gm_mul_size(t->count, width, &wanted) || wanted != t->size))
        return bad(a, name, "shape and data_offsets do not fit");
    return GM_OK;
}

static gm_status read_tensor(gm_archive *a, const char *name, json_t *json, int64_t start)
{
    gm_archive_tensor t = { 0 };
    gm_status status = GM_OK;
    if (!name[0]) GM_TRY(bad(a, name, "the name is empty"));
    if (!json_is_object(json)) GM_TRY(bad(a, name, "not an object"));
    GM_TRY(read_type(a, name, json_object_get(json, "dtype"), &t));
    GM_TRY(read_shape(a, name, json_object_get(json, "shape"), &t));
    GM_TRY(read_offsets(a, name, json_object_get(json, "data_offsets"),
                        (int64_t)a->blob_bytes - start, &t));
    t.bytes = a->blob + start + t.offset;
    GM_TRY(gm_archive_room_tensor(a));
    t.name = gm_memory_copy_text(&a->ctx->memory, name);
    if (!t.name) GM_TRY(gm_fail_memory(a->ctx, "archive_open"));
    a->tensors[a->tensor_count++] = t;
out:
    return status;
}

/* The format requires all of the data to belong to exactly one tensor. */
static gm_status check_cover(gm_archive *a, int64_t data_size)
{
    gm_archive_tensor spare;
    int64_t at = 0;
    sort(a->tensors, a->tensor_count, sizeof spare, by_offset, &spare);
    for (int64_t i = 0; i < a->tensor_count; i++) {
        const gm_archive_tensor *t = &a->tensors[i];
        if (t->offset != at)
            return bad(a, t->name, t->offset < at ? "overlaps another one" : "a hole is before it");
        at += t->size;
    }
    if (at != data_size)
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: %lld bytes at its end belong to no tensor",
                       a->name, (long long)(data_size - at));
    return GM_OK;
}

static gm_status read_header(gm_archive *a, json_t *root, int64_t start)
{
    const char *name;
    json_t *value;
    gm_status status = GM_OK;
    json_object_foreach(root, name, value)
    {
        if (!strcmp(name, GM_ARCHIVE_METADATA))
            GM_TRY(read_texts(a, value));
        else
            GM_TRY(read_tensor(a, name, value, start));
    }
    GM_TRY(check_cover(a, (int64_t)a->blob_bytes - start));
    gm_archive_tensor spare;
    sort(a->tensors, a->tensor_count, sizeof spare, by_name, &spare);
    gm_archive_text spare_text;
    sort(a->texts, a->text_count, sizeof spare_text, by_key, &spare_text);
out:
    return status;
}

/* An empty pair of brackets costs the parser some 220 bytes, so a header made of brackets would
 * take 75 times its size. A real one has three pairs for each 50 bytes or more. */
static int mostly_brackets(const char *text, int64_t length)
{
    int64_t brackets = 0;
    int quoted = 0;
    for (int64_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted)
            brackets += text[i] == '{' || text[i] == '[';
    }
    return brackets > 16 + length / 8;
}

gm_status gm_archive_parse(gm_archive *a)
{
    const int64_t size = (int64_t)a->blob_bytes;
    const uint64_t length = size < 8 ? UINT64_MAX : gm_load_le64(a->blob);
    const int fits = length <= (uint64_t)GM_ARCHIVE_HEADER_MOST && length <= (uint64_t)(size - 8);
    if (!fits || !length || a->blob[8] != '{') {
        const gm_status status = gm_foreign_check(a->ctx, a->name, a->blob,
                                                  size < GM_FOREIGN_BYTES ? size : GM_FOREIGN_BYTES,
                                                  "a safetensors file");
        if (status) return status;
    }
    if (size < 8)
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: holds %lld bytes, too few for a safetensors file",
                       a->name, (long long)size);
    if (!fits)
        return gm_fail(a->ctx, GM_E_FORMAT,
                       "%s: no safetensors file, or cut short: the header's length is %llu, the "
                       "file holds %lld more bytes and the limit is %lld",
                       a->name, (unsigned long long)length, (long long)(size - 8),
                       (long long)GM_ARCHIVE_HEADER_MOST);
    const char *text = (const char *)a->blob + 8;
    if (!length || text[0] != '{')
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: the header does not start with {", a->name);
    if (mostly_brackets(text, (int64_t)length))
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: the header is not well-formed (empty brackets)",
                       a->name);
    json_error_t error;
    json_t *root = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        if (json_error_code(&error) == json_error_out_of_memory)
            return gm_fail_memory(a->ctx, "archive_open");
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: the header is not well-formed JSON (%.100s)",
                       a->name, error.text);
    }
    gm_status status = read_header(a, root, 8 + (int64_t)length);
    json_decref(root);
    return status;
}

gm_status gm_archive_open(gm_archive **out, gm_context *ctx, const char *path)
{
    if (out) *out = NULL;
    if (!out || !ctx || !path)
        return gm_fail(ctx, GM_E_INVALID, "archive_open: out, context or path is NULL");
    gm_archive *a = NULL;
    gm_file file = { -1, 0 };
    int64_t got = 0;
    gm_status status = GM_OK;
    GM_TRY(gm_archive_make(&a, ctx, path));
    GM_TRY(gm_file_open(ctx, &file, path));
    if (file.size) {
        a->blob = gm_memory_get(&ctx->memory, (size_t)file.size);
        if (!a->blob) GM_TRY(gm_fail_memory(ctx, "archive_open"));
        a->blob_bytes = (size_t)file.size;
        GM_TRY(gm_file_read(ctx, &file, path, a->blob, file.size, &got));
        if (got < file.size)
            GM_TRY(gm_fail(ctx, GM_E_FORMAT, "%s: became shorter while it was read", path));
    }
    GM_TRY(gm_archive_parse(a));
    *out = a;
    a = NULL;
out:
    gm_file_close(&file);
    gm_archive_release(a);
    return status;
}

gm_status gm_archive_open_image(gm_archive **out, gm_context *ctx, const void *bytes, size_t count)
{
    gm_archive *a = NULL;
    gm_status status = GM_OK;
    *out = NULL;
    GM_TRY(gm_archive_make(&a, ctx, "image of a file"));
    a->blob = (unsigned char *)(uintptr_t)bytes;
    a->blob_bytes = count;
    a->lent = 1;
    GM_TRY(gm_archive_parse(a));
    *out = a;
    a = NULL;
out:
    gm_archive_release(a);
    return status;
}
