/* archive_header.c - reading the JSON header of a safetensors file, trusting nothing. */
#include <string.h>

#include "io/archive.h"
#include "io/checksum.h"
#include "io/json.h"

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

/* A decoded copy, back with gm_memory_put_text; NULL without memory. */
static char *copy_string(gm_archive *a, const gm_json_string *s)
{
    char *text = gm_memory_get(&a->ctx->memory, (size_t)s->length + 1);
    if (text) gm_json_decode(text, s);
    return text;
}

static gm_status malformed(const gm_archive *a, const gm_json *j)
{
    return gm_fail(a->ctx, GM_E_FORMAT,
                   "%s: the header is not well-formed JSON: at byte %lld, expected %s", a->name,
                   (long long)(j->at - j->start), j->wrong);
}

static gm_status read_text(gm_archive *a, gm_json *j)
{
    gm_json_string key, text;
    if (!gm_json_key(j, &key)) return malformed(a, j);
    gm_archive_text t = { copy_string(a, &key), NULL };
    gm_status status = GM_OK;
    if (!t.key) GM_TRY(gm_fail_memory(a->ctx, "archive_open"));
    const char kind = gm_json_next(j);
    if (kind != '"' && kind != '!')
        GM_TRY(gm_fail(a->ctx, GM_E_FORMAT, "%s: text \"%.64s\" is not a string", a->name, t.key));
    if (!gm_json_string_value(j, &text)) GM_TRY(malformed(a, j));
    GM_TRY(gm_archive_room_text(a));
    t.text = copy_string(a, &text);
    if (!t.text) GM_TRY(gm_fail_memory(a->ctx, "archive_open"));
    a->texts[a->text_count++] = t;
    return GM_OK;
out:
    gm_memory_put_text(&a->ctx->memory, t.key);
    return status;
}

static gm_status read_texts(gm_archive *a, gm_json *j)
{
    if (gm_json_next(j) != '{')
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: %s is not an object", a->name,
                       GM_ARCHIVE_METADATA);
    (void)gm_json_enter(j, '{');
    while (gm_json_more(j, '}')) {
        const gm_status status = read_text(a, j);
        if (status) return status;
    }
    return j->wrong ? malformed(a, j) : GM_OK;
}

/* GM_E_FORMAT about one tensor. */
static gm_status bad(const gm_archive *a, const char *name, const char *why)
{
    return gm_fail(a->ctx, GM_E_FORMAT, "%s: tensor %.128s: %s", a->name, name, why);
}

/* --- What is said of one tensor: its members are found first, and then read. */

enum { DTYPE, SHAPE, OFFSETS, KNOWN };
static const char *const known[KNOWN] = { "dtype", "shape", "data_offsets" };
#define MEMBERS 16     /* of one tensor; the format has three */
#define MEMBER_NAME 64 /* with the 0 */

typedef struct members {
    gm_json at[KNOWN]; /* where their values are; start is NULL for one that is missing */
    char names[MEMBERS][MEMBER_NAME];
    int count;
} members;

/* A member's name, which no other one has. */
static gm_status read_member_name(const gm_archive *a, const char *name, gm_json *j, members *m)
{
    gm_json_string key;
    if (!gm_json_key(j, &key)) return malformed(a, j);
    if (m->count == MEMBERS) return bad(a, name, "has more than 16 members, expected three");
    if (key.length >= MEMBER_NAME) return bad(a, name, "a member's name is over 63 bytes long");
    gm_json_decode(m->names[m->count], &key);
    for (int i = 0; i < m->count; i++)
        if (!strcmp(m->names[i], m->names[m->count]))
            return gm_fail(a->ctx, GM_E_FORMAT, "%s: tensor %.128s: %s is there twice (duplicate)",
                           a->name, name, m->names[i]);
    m->count++;
    return GM_OK;
}

/* Goes over the whole object, so that what is read again from `at` is well-formed. */
static gm_status find_members(const gm_archive *a, const char *name, gm_json *j, members *m)
{
    const char kind = gm_json_next(j);
    if (kind == '!') {
        j->wrong = "a value";
        return malformed(a, j);
    }
    if (kind != '{') return bad(a, name, "not an object");
    (void)gm_json_enter(j, '{');
    while (gm_json_more(j, '}')) {
        const gm_status status = read_member_name(a, name, j, m);
        if (status) return status;
        for (int k = 0; k < KNOWN; k++)
            if (!strcmp(m->names[m->count - 1], known[k])) m->at[k] = *j;
        if (!gm_json_skip(j)) return malformed(a, j);
    }
    return j->wrong ? malformed(a, j) : GM_OK;
}

static int is_kind(gm_json *j, char kind)
{
    return j->start && gm_json_next(j) == kind;
}

static gm_status read_type(const gm_archive *a, const char *name, gm_json *j, gm_archive_tensor *t)
{
    gm_json_string type;
    if (!is_kind(j, '"')) return bad(a, name, "dtype is not a string");
    (void)gm_json_string_value(j, &type);
    if (type.length && type.length < (int64_t)sizeof t->type) {
        gm_json_decode(t->type, &type);
        if (strspn(t->type, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(t->type))
            return GM_OK;
    }
    return bad(a, name, "dtype is not a type's name");
}

/* An array of whole numbers; *count is how many elements it has, the first `room` of which are
 * stored. 0: something else is there. */
static int read_whole_numbers(gm_json *j, int64_t *out, int64_t room, int64_t *count)
{
    int64_t value = 0;
    int all = 1, whole = 0;
    *count = 0;
    if (!gm_json_enter(j, '[')) return 0;
    while (gm_json_more(j, ']')) {
        whole = 0;
        if (gm_json_next(j) == '0')
            (void)gm_json_number(j, &value, &whole);
        else
            (void)gm_json_skip(j);
        all = all && whole;
        if (*count < room) out[*count] = value;
        (*count)++;
    }
    return all;
}

static gm_status read_shape(const gm_archive *a, const char *name, gm_json *j, gm_archive_tensor *t)
{
    int64_t axes;
    if (!is_kind(j, '[')) return bad(a, name, "shape is not an array");
    int fits = read_whole_numbers(j, t->shape, GM_MAX_RANK, &axes);
    if (axes > GM_MAX_RANK)
        return gm_fail(a->ctx, GM_E_UNSUPPORTED,
                       "%s: tensor %.128s has %lld axes, expected at most %d", a->name, name,
                       (long long)axes, GM_MAX_RANK);
    for (int64_t i = 0; i < axes && fits; i++) fits = t->shape[i] >= 0;
    if (!fits)
        return bad(a, name,
                   "shape holds something else than whole numbers from 0 to 9223372036854775807");
    t->rank = (int32_t)axes;
    t->count = 1;
    for (int32_t i = 0; i < t->rank; i++)
        fits = fits && gm_mul_size(t->count, t->shape[i], &t->count);
    return fits ? GM_OK : bad(a, name, "shape overflows");
}

/* [begin, end) within the data, and as many bytes as type and shape say. */
static gm_status read_offsets(const gm_archive *a, const char *name, gm_json *j, int64_t data_size,
                              gm_archive_tensor *t)
{
    int64_t span[2], count;
    if (!is_kind(j, '[') || !read_whole_numbers(j, span, 2, &count) || count != 2)
        return bad(a, name, "data_offsets are not two whole numbers");
    const int64_t begin = span[0], end = span[1];
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

/* Takes `name` over, also on failure. */
static gm_status read_tensor(gm_archive *a, char *name, gm_json *j, int64_t start)
{
    gm_archive_tensor t = { 0 };
    members m = { 0 };
    gm_status status = GM_OK;
    if (!name[0]) GM_TRY(bad(a, name, "the name is empty"));
    GM_TRY(find_members(a, name, j, &m));
    GM_TRY(read_type(a, name, &m.at[DTYPE], &t));
    GM_TRY(read_shape(a, name, &m.at[SHAPE], &t));
    GM_TRY(read_offsets(a, name, &m.at[OFFSETS], (int64_t)a->blob_bytes - start, &t));
    t.bytes = a->blob + start + t.offset;
    GM_TRY(gm_archive_room_tensor(a));
    t.name = name;
    a->tensors[a->tensor_count++] = t;
    return GM_OK;
out:
    gm_memory_put_text(&a->ctx->memory, name);
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

/* Sorts by name and by key, which brings together what is there twice. */
static gm_status check_names(gm_archive *a)
{
    gm_archive_tensor tensor;
    gm_archive_text text;
    sort(a->tensors, a->tensor_count, sizeof tensor, by_name, &tensor);
    sort(a->texts, a->text_count, sizeof text, by_key, &text);
    for (int64_t i = 1; i < a->tensor_count; i++)
        if (!by_name(&a->tensors[i - 1], &a->tensors[i]))
            return bad(a, a->tensors[i].name, "is there twice (duplicate)");
    for (int64_t i = 1; i < a->text_count; i++)
        if (!by_key(&a->texts[i - 1], &a->texts[i]))
            return gm_fail(a->ctx, GM_E_FORMAT, "%s: text \"%.64s\" is there twice (duplicate)",
                           a->name, a->texts[i].key);
    return GM_OK;
}

static gm_status read_entry(gm_archive *a, gm_json *j, int64_t start, int *metadata)
{
    gm_json_string key;
    if (!gm_json_key(j, &key)) return malformed(a, j);
    char *name = copy_string(a, &key);
    if (!name) return gm_fail_memory(a->ctx, "archive_open");
    if (strcmp(name, GM_ARCHIVE_METADATA)) return read_tensor(a, name, j, start);
    gm_memory_put_text(&a->ctx->memory, name);
    if ((*metadata)++)
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: %s is there twice (duplicate)", a->name,
                       GM_ARCHIVE_METADATA);
    return read_texts(a, j);
}

gm_status gm_archive_read_header(gm_archive *a, int64_t length)
{
    const char *text = (const char *)a->blob + 8;
    const int64_t start = 8 + length;
    gm_json j = { text, text, text + length, NULL, 0 };
    gm_archive_tensor spare;
    gm_status status = GM_OK;
    int metadata = 0;
    (void)gm_json_enter(&j, '{');
    while (gm_json_more(&j, '}')) GM_TRY(read_entry(a, &j, start, &metadata));
    if (!gm_json_end(&j)) GM_TRY(malformed(a, &j));
    GM_TRY(check_names(a));
    GM_TRY(check_cover(a, (int64_t)a->blob_bytes - start));
    sort(a->tensors, a->tensor_count, sizeof spare, by_name, &spare);
    GM_TRY(gm_checksum_check(a));
out:
    return status;
}
