/* archive_open.c - the bytes of a safetensors file, from a path or from memory. */
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/foreign.h"
#include "io/archive.h"

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
    return gm_archive_read_header(a, (int64_t)length);
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

gm_status gm_archive_open_image(gm_archive **out, gm_context *ctx, const char *name,
                                const void *bytes, size_t count)
{
    gm_archive *a = NULL;
    gm_status status = GM_OK;
    *out = NULL;
    GM_TRY(gm_archive_make(&a, ctx, name));
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
