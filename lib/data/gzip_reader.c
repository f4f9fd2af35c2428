/* gzip_reader.c - plain or gzip bytes, in pieces, with zlib's memory from the context. */
#include "data/gzip_reader.h"

#include <string.h>

#include "base/error.h"

/* zlib does not pass the size when it frees, the context's allocator needs it: it stands before the
 * block. */
#define LEAD ((size_t)64)

static void *z_allocate(void *user, unsigned items, unsigned size)
{
    const size_t bytes = (size_t)items * size + LEAD;
    unsigned char *p = gm_memory_get(user, bytes);
    if (!p) return NULL;
    memcpy(p, &bytes, sizeof bytes);
    return p + LEAD;
}

static void z_release(void *user, void *pointer)
{
    size_t bytes;
    unsigned char *p = pointer;
    if (!p) return;
    memcpy(&bytes, p - LEAD, sizeof bytes);
    gm_memory_put(user, p - LEAD, bytes);
}

/* Makes sure that something unused is in the buffer, if there is more. */
static gm_status refill(gm_gzip_reader *in)
{
    if (in->at < in->have) return GM_OK;
    in->at = in->have = 0;
    if (in->memory) {
        int64_t n = in->size - in->taken;
        if (n > GM_GZIP_BUFFER) n = GM_GZIP_BUFFER;
        if (n) memcpy(in->buffer, in->memory + in->taken, (size_t)n);
        in->have = n;
    } else {
        gm_status status =
            gm_file_read(in->ctx, &in->file, in->path, in->buffer, GM_GZIP_BUFFER, &in->have);
        if (status) return status;
    }
    in->taken += in->have;
    return GM_OK;
}

gm_status gm_gzip_reader_open(gm_gzip_reader *in, gm_context *ctx, const char *path,
                              const void *memory, int64_t size)
{
    gm_status status = GM_OK;
    in->ctx = ctx;
    in->path = path;
    in->memory = memory;
    in->size = size;
    in->file.fd = -1;
    in->buffer = gm_memory_get(&ctx->memory, GM_GZIP_BUFFER);
    if (!in->buffer) GM_TRY(gm_fail_memory(ctx, "dataset_open_idx"));
    if (!memory) {
        GM_TRY(gm_file_open(ctx, &in->file, path));
        in->size = in->file.size;
    }
    GM_TRY(refill(in));
    in->gzip = in->have >= 2 && in->buffer[0] == 0x1f && in->buffer[1] == 0x8b;
    if (in->gzip) {
        in->z.zalloc = z_allocate;
        in->z.zfree = z_release;
        in->z.opaque = &ctx->memory;
        const int z = inflateInit2(&in->z, 15 + 16); /* largest window, gzip only */
        if (z == Z_MEM_ERROR) GM_TRY(gm_fail_memory(ctx, "dataset_open_idx"));
        if (z != Z_OK) GM_TRY(gm_fail(ctx, GM_E_INTERNAL, "%s: zlib does not start", path));
        in->inflating = 1;
    }
out:
    return status;
}

/* After the end of a gzip member: another one, or the file's end, zero bytes before which are
 * padding (tapes and some mirrors add it, and gzip reads over it). */
static gm_status next_member(gm_gzip_reader *in)
{
    gm_status status = GM_OK;
    for (;;) {
        GM_TRY(refill(in));
        if (in->at == in->have) {
            in->ended = 1;
            return GM_OK;
        }
        if (in->buffer[in->at]) break;
        in->at++;
    }
    if (in->buffer[in->at] != 0x1f)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT,
                       "%s: after its compressed data comes a byte %02x, expected zeros or more "
                       "compressed data",
                       in->path, in->buffer[in->at]));
    if (inflateReset(&in->z) != Z_OK)
        GM_TRY(gm_fail(in->ctx, GM_E_INTERNAL, "%s: zlib does not restart", in->path));
out:
    return status;
}

/* One call of inflate: as much as fits into out, and the ends of gzip members, of which a file may
 * have several. */
static gm_status inflate_some(gm_gzip_reader *in, unsigned char *out, int64_t n, int64_t *got)
{
    const int64_t room = n < (int64_t)1 << 30 ? n : (int64_t)1 << 30;
    *got = 0;
    gm_status status = refill(in);
    if (status) return status;
    in->z.next_in = in->buffer + in->at;
    in->z.avail_in = (unsigned)(in->have - in->at);
    in->z.next_out = out;
    in->z.avail_out = (unsigned)room;
    const int z = inflate(&in->z, Z_NO_FLUSH);
    in->at = in->have - (int64_t)in->z.avail_in;
    *got = room - (int64_t)in->z.avail_out;
    switch (z) {
    case Z_OK:
        return GM_OK;
    case Z_BUF_ERROR: /* nothing to do with what there was */
        if (in->at == in->have) {
            status = refill(in);
            if (!status && in->have == 0)
                status = gm_fail(in->ctx, GM_E_FORMAT,
                                 "%s: ends in the middle of its compressed data", in->path);
        }
        return status;
    case Z_STREAM_END:
        return next_member(in);
    case Z_MEM_ERROR:
        return gm_fail_memory(in->ctx, "dataset_open_idx");
    default:
        return gm_fail(in->ctx, GM_E_FORMAT, "%s: the compressed data is damaged (%s)", in->path,
                       in->z.msg ? in->z.msg : "no details");
    }
}

gm_status gm_gzip_reader_read(gm_gzip_reader *in, void *out, int64_t n, int64_t *got)
{
    unsigned char *to = out;
    int64_t done = 0;
    gm_status status = GM_OK;
    while (done < n && !in->ended) {
        int64_t some;
        if (in->gzip) {
            GM_TRY(inflate_some(in, to + done, n - done, &some));
        } else {
            GM_TRY(refill(in));
            some = in->have - in->at < n - done ? in->have - in->at : n - done;
            if (!some)
                in->ended = 1;
            else
                memcpy(to + done, in->buffer + in->at, (size_t)some);
            in->at += some;
        }
        done += some;
    }
out:
    *got = done;
    return status;
}

int64_t gm_gzip_reader_most(const gm_gzip_reader *in)
{
    if (!in->gzip) return in->size;
    return in->size > INT64_MAX / 1032 ? INT64_MAX : in->size * 1032;
}

void gm_gzip_reader_close(gm_gzip_reader *in)
{
    if (!in->ctx) return;
    if (in->inflating) inflateEnd(&in->z);
    gm_memory_put(&in->ctx->memory, in->buffer, GM_GZIP_BUFFER);
    gm_file_close(&in->file);
    memset(in, 0, sizeof *in);
}
