/* archive_write.c - an archive as a safetensors file, always the same bytes for the same content.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "io/archive.h"
#include "io/checksum.h"
#include "io/replace.h"

/* The header goes through here twice: to count (out is NULL), then to write. */
typedef struct sink {
    char *out;
    size_t length;
} sink;

static void put(sink *s, const char *text)
{
    const size_t n = strlen(text);
    if (s->out) memcpy(s->out + s->length, text, n);
    s->length += n;
}

/* A JSON string (RFC 8259): quotes, backslashes and control characters escaped, UTF-8 as it is. */
static void put_string(sink *s, const char *text)
{
    put(s, "\"");
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        char escaped[8] = { (char)c, '\0' };
        if (c == '"' || c == '\\')
            (void)snprintf(escaped, sizeof escaped, "\\%c", c);
        else if (c < 0x20)
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", c);
        put(s, escaped);
    }
    put(s, "\"");
}

static void put_int(sink *s, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    put(s, text);
}

static void put_checksums(sink *s, const gm_archive *a)
{
    char digits[16];
    put_string(s, GM_CHECKSUM_KEY);
    put(s, ":\"");
    for (int64_t i = 0; i < a->tensor_count; i++) {
        (void)snprintf(digits, sizeof digits, "%s%08" PRIx32, i ? " " : "", a->tensors[i].checksum);
        put(s, digits);
    }
    put(s, "\"");
}

/* The texts, and among them in their order the checksums, if there are tensors. */
static void put_texts(sink *s, const gm_archive *a)
{
    const char *comma = "";
    int due = a->tensor_count > 0;
    put(s, "\"" GM_ARCHIVE_METADATA "\":{");
    for (int64_t i = 0; i <= a->text_count; i++, comma = ",") {
        if (due && (i == a->text_count || strcmp(a->texts[i].key, GM_CHECKSUM_KEY) > 0)) {
            put(s, comma);
            put_checksums(s, a);
            comma = ",";
            due = 0;
        }
        if (i == a->text_count) break;
        put(s, comma);
        put_string(s, a->texts[i].key);
        put(s, ":");
        put_string(s, a->texts[i].text);
    }
    put(s, "}");
}

static void put_header(sink *s, const gm_archive *a)
{
    const char *comma = "";
    put(s, "{");
    if (a->text_count || a->tensor_count) {
        put_texts(s, a);
        comma = ",";
    }
    for (int64_t i = 0; i < a->tensor_count; i++, comma = ",") {
        const gm_archive_tensor *t = &a->tensors[i];
        put(s, comma);
        put_string(s, t->name);
        put(s, ":{\"dtype\":\"");
        put(s, t->type);
        put(s, "\",\"shape\":[");
        for (int32_t j = 0; j < t->rank; j++) {
            put(s, j ? "," : "");
            put_int(s, t->shape[j]);
        }
        put(s, "],\"data_offsets\":[");
        put_int(s, t->offset);
        put(s, ",");
        put_int(s, t->offset + t->size);
        put(s, "]}");
    }
    put(s, "}");
    while (s->length % 8) put(s, " ");
}

/* The order of the data: wide types first, so that all are aligned; then by name. */
static const int64_t widths[] = { 8, 4, 2, 1, 0 };
#define WIDTHS ((int)(sizeof widths / sizeof *widths))

/* Gives each tensor its place and its checksum; how many bytes they are together. */
static int64_t place(gm_archive *a)
{
    int64_t at = 0;
    for (int w = 0; w < WIDTHS; w++)
        for (int64_t i = 0; i < a->tensor_count; i++) {
            gm_archive_tensor *t = &a->tensors[i];
            if (gm_archive_width(t->type) != widths[w]) continue;
            t->offset = at;
            t->checksum = gm_checksum_of(t);
            at += t->size;
        }
    return at;
}

/* Calls `use` with each tensor's bytes, in their order in the file. */
static gm_status each_tensor(const gm_archive *a, void *user,
                             gm_status (*use)(void *user, const gm_archive_tensor *t))
{
    for (int w = 0; w < WIDTHS; w++)
        for (int64_t i = 0; i < a->tensor_count; i++) {
            const gm_archive_tensor *t = &a->tensors[i];
            if (gm_archive_width(t->type) != widths[w]) continue;
            gm_status status = use(user, t);
            if (status) return status;
        }
    return GM_OK;
}

static gm_status write_tensor(void *replace, const gm_archive_tensor *t)
{
    return gm_replace_write(replace, t->bytes, t->size);
}

static gm_status copy_tensor(void *data, const gm_archive_tensor *t)
{
    if (t->size) memcpy((char *)data + t->offset, t->bytes, (size_t)t->size);
    return GM_OK;
}

/* Places the tensors and makes the header, in a block that has room for the data too if asked for.
 * *length is what the header takes, with the 8 bytes of its length. */
static gm_status make_header(gm_archive *a, int with_data, char **block, size_t *block_bytes,
                             size_t *length)
{
    gm_context *ctx = a->ctx;
    sink s = { NULL, 0 };
    const int64_t data = place(a);
    put_header(&s, a);
    /* The readers' own limit: better no file than one that cannot be read back. */
    if ((int64_t)s.length > GM_ARCHIVE_HEADER_MOST)
        return gm_fail(ctx, GM_E_INVALID,
                       "archive_write: names and texts take %zu bytes, %lld is the limit", s.length,
                       (long long)GM_ARCHIVE_HEADER_MOST);
    *length = 8 + s.length;
    *block_bytes = *length + (with_data ? (size_t)data : 0);
    *block = gm_memory_get(&ctx->memory, *block_bytes);
    if (!*block) return gm_fail_memory(ctx, "archive_write");
    gm_store_le64((unsigned char *)*block, (uint64_t)s.length);
    s.out = *block + 8;
    s.length = 0;
    put_header(&s, a);
    return GM_OK;
}

gm_status gm_archive_image(void **bytes, size_t *count, gm_archive *a)
{
    char *block = NULL;
    size_t header;
    *bytes = NULL;
    gm_status status = make_header(a, 1, &block, count, &header);
    if (status) return status;
    *bytes = block;
    return each_tensor(a, block + header, copy_tensor);
}

gm_status gm_archive_write(gm_archive *a, const char *path)
{
    if (!a || !path)
        return gm_fail(a ? a->ctx : NULL, GM_E_INVALID, "archive_write: archive or path is NULL");
    gm_context *ctx = a->ctx;
    gm_replace r = { .fd = -1 };
    gm_status status = GM_OK;
    char *header = NULL;
    size_t header_bytes = 0, length;
    GM_TRY(make_header(a, 0, &header, &header_bytes, &length));
    GM_TRY(gm_replace_begin(&r, ctx, path));
    GM_TRY(gm_replace_write(&r, header, (int64_t)length));
    GM_TRY(each_tensor(a, &r, write_tensor));
    GM_TRY(gm_replace_commit(&r));
out:
    gm_replace_end(&r);
    gm_memory_put(&ctx->memory, header, header_bytes);
    return status;
}
