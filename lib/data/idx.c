/* idx.c - IDX files: 00 00 type dimensions, one big-endian 32-bit size per dimension, the values.
 */
#include "data/idx.h"

#include "base/bytes.h"
#include "base/error.h"
#include "data/dataset.h"

enum { BYTE = 0x08, SINGLE = 0x0d };

typedef struct header {
    int32_t type, rank;
    int64_t shape[4];
    int64_t bytes; /* of values in the file */
} header;

static gm_status read_header(gm_inflow *in, header *h)
{
    unsigned char raw[16];
    int64_t got;
    gm_status status = GM_OK;
    GM_TRY(gm_inflow_read(in, raw, 4, &got));
    if (got < 4)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: holds %lld bytes, too few for an IDX header",
                       in->path, (long long)got));
    if (raw[0] || raw[1])
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT,
                       "%s: starts with %02x %02x, an IDX file starts with 00 00", in->path, raw[0],
                       raw[1]));
    h->type = raw[2];
    h->rank = raw[3];
    if (h->type == 0x09 || h->type == 0x0b || h->type == 0x0c || h->type == 0x0e)
        GM_TRY(gm_fail(in->ctx, GM_E_UNSUPPORTED,
                       "%s: IDX element type 0x%02x; 0x08 (byte) and 0x0d (float) can be read",
                       in->path, (unsigned)h->type));
    if (h->type != BYTE && h->type != SINGLE)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: 0x%02x is no IDX element type", in->path,
                       (unsigned)h->type));
    if (h->rank < 1 || h->rank > 4)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: has %d dimensions, expected 1 to 4", in->path,
                       (int)h->rank));
    GM_TRY(gm_inflow_read(in, raw, 4 * (int64_t)h->rank, &got));
    if (got < 4 * (int64_t)h->rank)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: ends inside the IDX header", in->path));
    for (int32_t i = 0; i < h->rank; i++) h->shape[i] = gm_load_be32(raw + 4 * i);
out:
    return status;
}

/* The sizes must make sense, and be within what so many bytes of file can hold. */
static gm_status check_header(const gm_inflow *in, header *h)
{
    char text[GM_SHAPE_TEXT];
    gm_shape_text(text, h->rank, h->shape);
    if (!h->shape[0])
        return gm_fail(in->ctx, GM_E_FORMAT, "%s: holds no rows (sizes are %s)", in->path, text);
    h->bytes = h->type == BYTE ? 1 : 4;
    int fits = 1;
    for (int32_t i = 0; i < h->rank; i++) {
        if (!h->shape[i])
            return gm_fail(in->ctx, GM_E_FORMAT, "%s: its rows are empty (sizes are %s)", in->path,
                           text);
        fits = fits && gm_mul_size(h->bytes, h->shape[i], &h->bytes);
    }
    if (!fits) return gm_fail(in->ctx, GM_E_FORMAT, "%s: sizes %s overflow", in->path, text);
    const int64_t start = 4 + 4 * (int64_t)h->rank;
    if (!in->gzip && h->bytes != in->size - start)
        return gm_fail(in->ctx, GM_E_FORMAT,
                       "%s: sizes %s promise %lld bytes of values, the file holds %lld", in->path,
                       text, (long long)h->bytes, (long long)(in->size - start));
    if (h->bytes > gm_inflow_most(in))
        return gm_fail(in->ctx, GM_E_FORMAT,
                       "%s: sizes %s promise %lld bytes of values, more than %lld compressed bytes "
                       "can give",
                       in->path, text, (long long)h->bytes, (long long)in->size);
    return GM_OK;
}

/* h->bytes bytes into a block of exactly that size. It grows as the data comes, when the header
 * promises much more than files of this size usually hold. */
static gm_status read_values(gm_inflow *in, const header *h, unsigned char **out)
{
    gm_memory *m = &in->ctx->memory;
    int64_t room =
        in->gzip ? 1048576 + (in->size < INT64_MAX / 64 ? in->size * 16 : in->size) : h->bytes;
    int64_t have = 0, got;
    gm_status status = GM_OK;
    if (room > h->bytes) room = h->bytes;
    unsigned char *p = gm_memory_get(m, (size_t)room);
    *out = NULL;
    if (!p) GM_TRY(gm_fail_memory(in->ctx, "dataset_open_idx"));
    for (;;) {
        GM_TRY(gm_inflow_read(in, p + have, room - have, &got));
        have += got;
        if (have < room)
            GM_TRY(gm_fail(in->ctx, GM_E_FORMAT,
                           "%s: its sizes promise %lld bytes of values, it holds %lld", in->path,
                           (long long)h->bytes, (long long)have));
        if (have == h->bytes) break;
        int64_t more = room < h->bytes / 2 ? room * 2 : h->bytes;
        unsigned char *bigger = gm_memory_grow(m, p, (size_t)room, (size_t)more);
        if (!bigger) GM_TRY(gm_fail_memory(in->ctx, "dataset_open_idx"));
        p = bigger;
        room = more;
    }
    unsigned char extra;
    GM_TRY(gm_inflow_read(in, &extra, 1, &got));
    if (got)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: holds more than the %lld bytes its sizes promise",
                       in->path, (long long)h->bytes));
    *out = p;
    p = NULL;
out:
    gm_memory_put(m, p, (size_t)room);
    return status;
}

gm_status gm_idx_read(gm_dataset **out, gm_context *ctx, gm_inflow *in)
{
    header h = { 0, 0, { 0 }, 0 };
    unsigned char *raw = NULL;
    float *values = NULL;
    size_t values_bytes = 0;
    gm_status status = GM_OK;
    *out = NULL;
    GM_TRY(read_header(in, &h));
    GM_TRY(check_header(in, &h));
    GM_TRY(read_values(in, &h, &raw));
    if (h.type == BYTE) {
        GM_TRY(gm_dataset_adopt_bytes(out, ctx, in->path, h.rank, h.shape, raw, (size_t)h.bytes,
                                      1.0f));
        raw = NULL;
    } else {
        const int64_t count = h.bytes / 4;
        values_bytes = (size_t)count * sizeof *values;
        values = gm_memory_get(&ctx->memory, values_bytes);
        if (!values) GM_TRY(gm_fail_memory(ctx, "dataset_open_idx"));
        for (int64_t i = 0; i < count; i++) values[i] = gm_from_bits32(gm_load_be32(raw + 4 * i));
        GM_TRY(gm_dataset_adopt_floats(out, ctx, in->path, h.rank, h.shape, values, values_bytes));
        values = NULL;
    }
out:
    gm_memory_put(&ctx->memory, raw, (size_t)h.bytes);
    gm_memory_put(&ctx->memory, values, values_bytes);
    return status;
}

gm_status gm_dataset_open_idx(gm_dataset **out, gm_context *ctx, const char *path)
{
    if (out) *out = NULL;
    if (!out || !ctx || !path)
        return gm_fail(ctx, GM_E_INVALID, "dataset_open_idx: out, context or path is NULL");
    gm_inflow in = { 0 };
    gm_status status = gm_inflow_open(&in, ctx, path, NULL, 0);
    if (!status) status = gm_idx_read(out, ctx, &in);
    gm_inflow_close(&in);
    return status;
}
