/* idx.c - IDX files: 00 00 type dimensions, one big-endian 32-bit size per dimension, the values.
 */
#include "data/idx.h"

#include <math.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/foreign.h"
#include "data/dataset.h"

/* One value of the file, as a float. */
typedef double load_fn(const unsigned char *raw);

typedef struct element {
    int32_t type;
    int64_t width; /* bytes in the file */
    load_fn *load; /* NULL: kept as bytes, the value is byte + shift */
    float shift;
    unsigned char flip; /* the bits of a byte that are turned before it is kept */
} element;

static double load_int16(const unsigned char *raw)
{
    const int32_t bits = raw[0] << 8 | raw[1];
    return bits < 0x8000 ? bits : bits - 0x10000;
}

static double load_int32(const unsigned char *raw)
{
    const int64_t bits = gm_load_be32(raw);
    return (double)(bits < INT64_C(0x80000000) ? bits : bits - INT64_C(0x100000000));
}

static double load_single(const unsigned char *raw)
{
    return (double)gm_from_bits32(gm_load_be32(raw));
}

static double load_double(const unsigned char *raw)
{
    return gm_from_bits64((uint64_t)gm_load_be32(raw) << 32 | gm_load_be32(raw + 4));
}

/* A signed byte with its highest bit turned is an unsigned one that is 128 larger. */
static const element elements[] = {
    { 0x08, 1, NULL, 0.0f, 0 },        { 0x09, 1, NULL, -128.0f, 0x80 },
    { 0x0b, 2, load_int16, 0.0f, 0 },  { 0x0c, 4, load_int32, 0.0f, 0 },
    { 0x0d, 4, load_single, 0.0f, 0 }, { 0x0e, 8, load_double, 0.0f, 0 },
};

static const element *find_element(int32_t type)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (elements[i].type == type) return &elements[i];
    return NULL;
}

typedef struct header {
    const element *element;
    int32_t rank;
    int64_t shape[4];
    int64_t count; /* of values */
    int64_t bytes; /* of values in the file */
} header;

/* A file that does not begin like IDX. `raw` holds its first `got` bytes, and has room for
 * GM_FOREIGN_BYTES. */
static gm_status refuse_foreign(gm_gzip_reader *in, unsigned char *raw, int64_t got)
{
    int64_t more = 0;
    gm_status status;
    GM_TRY(gm_gzip_reader_read(in, raw + got, GM_FOREIGN_BYTES - got, &more));
    got += more;
    GM_TRY(gm_foreign_check(in->ctx, in->path, raw, got, "an IDX file"));
    if (got < 4)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: holds %lld bytes, too few for an IDX header",
                       in->path, (long long)got));
    GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: starts with %02x %02x, an IDX file starts with 00 00",
                   in->path, raw[0], raw[1]));
out:
    return status;
}

static gm_status read_header(gm_gzip_reader *in, header *h)
{
    unsigned char raw[GM_FOREIGN_BYTES];
    int64_t got;
    gm_status status = GM_OK;
    GM_TRY(gm_gzip_reader_read(in, raw, 4, &got));
    if (got < 4 || raw[0] || raw[1]) GM_TRY(refuse_foreign(in, raw, got));
    h->element = find_element(raw[2]);
    h->rank = raw[3];
    if (!h->element)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: 0x%02x is not an IDX element type", in->path,
                       (unsigned)raw[2]));
    if (h->rank < 1 || h->rank > 4)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: has %d dimensions, expected 1 to 4", in->path,
                       (int)h->rank));
    GM_TRY(gm_gzip_reader_read(in, raw, 4 * (int64_t)h->rank, &got));
    if (got < 4 * (int64_t)h->rank)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: ends inside the IDX header", in->path));
    for (int32_t i = 0; i < h->rank; i++) h->shape[i] = gm_load_be32(raw + 4 * i);
out:
    return status;
}

/* The sizes must make sense, and be within what so many bytes of file can hold. */
static gm_status check_header(const gm_gzip_reader *in, header *h)
{
    char text[GM_SHAPE_TEXT];
    gm_shape_text(text, h->rank, h->shape);
    if (!h->shape[0])
        return gm_fail(in->ctx, GM_E_FORMAT, "%s: holds no rows (sizes are %s)", in->path, text);
    h->count = 1;
    int fits = 1;
    for (int32_t i = 0; i < h->rank; i++) {
        if (!h->shape[i])
            return gm_fail(in->ctx, GM_E_FORMAT, "%s: its rows are empty (sizes are %s)", in->path,
                           text);
        fits = fits && gm_mul_size(h->count, h->shape[i], &h->count);
    }
    fits = fits && gm_mul_size(h->count, 8, &h->bytes); /* more than any width, here and there */
    if (fits) h->bytes = h->count * h->element->width;
    if (!fits) return gm_fail(in->ctx, GM_E_FORMAT, "%s: sizes %s overflow", in->path, text);
    const int64_t start = 4 + 4 * (int64_t)h->rank;
    if (!in->gzip && h->bytes != in->size - start)
        return gm_fail(in->ctx, GM_E_FORMAT,
                       "%s: sizes %s promise %lld bytes of values, the file holds %lld", in->path,
                       text, (long long)h->bytes, (long long)(in->size - start));
    if (h->bytes > gm_gzip_reader_most(in))
        return gm_fail(in->ctx, GM_E_FORMAT,
                       "%s: sizes %s promise %lld bytes of values, more than %lld compressed bytes "
                       "can give",
                       in->path, text, (long long)h->bytes, (long long)in->size);
    return GM_OK;
}

/* Where the values go: bytes as they are, others as floats. It grows as the data comes, when the
 * header promises much more than files of this size usually hold. */
typedef struct values {
    unsigned char *p;
    int64_t room, have; /* values */
    int64_t width;      /* bytes of one here */
} values;

static gm_status grow(const gm_gzip_reader *in, values *v, int64_t room)
{
    gm_memory *m = &in->ctx->memory;
    unsigned char *p =
        gm_memory_grow(m, v->p, (size_t)(v->room * v->width), (size_t)(room * v->width));
    if (!p) return gm_fail_memory(in->ctx, "dataset_open_idx");
    v->p = p;
    v->room = room;
    return GM_OK;
}

/* The file's next values, at most `most` and no more than go through a small buffer. */
static gm_status read_some(gm_gzip_reader *in, const header *h, values *v, int64_t most)
{
    unsigned char raw[4096];
    const element *e = h->element;
    const int64_t n = most < (int64_t)sizeof raw / e->width ? most : (int64_t)sizeof raw / e->width;
    int64_t got;
    float *to = (float *)(void *)v->p + v->have;
    const gm_status status = gm_gzip_reader_read(in, raw, n * e->width, &got);
    if (status) return status;
    if (got < n * e->width)
        return gm_fail(in->ctx, GM_E_FORMAT,
                       "%s: its sizes promise %lld bytes of values, it holds %lld", in->path,
                       (long long)h->bytes, (long long)(v->have * e->width + got));
    for (int64_t i = 0; i < n; i++) {
        const double value = e->load(raw + i * e->width);
        if (isfinite(value) && !isfinite((float)value)) {
            const int64_t size = h->count / h->shape[0], at = v->have + i;
            return gm_fail(in->ctx, GM_E_NUMERIC,
                           "%s: row %lld, column %lld is %g, expected a finite float", in->path,
                           (long long)(at / size), (long long)(at % size), value);
        }
        to[i] = (float)value;
    }
    v->have += n;
    return GM_OK;
}

static gm_status read_bytes(gm_gzip_reader *in, const header *h, values *v)
{
    int64_t got;
    unsigned char *to = v->p + v->have;
    const gm_status status = gm_gzip_reader_read(in, to, v->room - v->have, &got);
    if (status) return status;
    for (int64_t i = 0; i < got && h->element->flip; i++) to[i] ^= h->element->flip;
    v->have += got;
    if (v->have == v->room) return GM_OK;
    return gm_fail(in->ctx, GM_E_FORMAT,
                   "%s: its sizes promise %lld bytes of values, it holds %lld", in->path,
                   (long long)h->bytes, (long long)v->have);
}

static gm_status read_values(gm_gzip_reader *in, const header *h, values *v)
{
    int64_t got;
    unsigned char extra;
    int64_t room =
        in->gzip ? 1048576 + (in->size < INT64_MAX / 64 ? in->size * 16 : in->size) : h->bytes;
    gm_status status = GM_OK;
    room = room / h->element->width + 1;
    GM_TRY(grow(in, v, room < h->count ? room : h->count));
    while (v->have < h->count) {
        if (v->have == v->room)
            GM_TRY(grow(in, v, v->room < h->count / 2 ? v->room * 2 : h->count));
        GM_TRY(h->element->load ? read_some(in, h, v, v->room - v->have) : read_bytes(in, h, v));
    }
    GM_TRY(gm_gzip_reader_read(in, &extra, 1, &got));
    if (got)
        GM_TRY(gm_fail(in->ctx, GM_E_FORMAT, "%s: holds more than the %lld bytes its sizes promise",
                       in->path, (long long)h->bytes));
out:
    return status;
}

gm_status gm_idx_read(gm_dataset **out, gm_context *ctx, gm_gzip_reader *in)
{
    header h = { 0 };
    values v = { 0 };
    gm_status status = GM_OK;
    *out = NULL;
    GM_TRY(read_header(in, &h));
    GM_TRY(check_header(in, &h));
    v.width = h.element->load ? (int64_t)sizeof(float) : 1;
    GM_TRY(read_values(in, &h, &v));
    const size_t bytes = (size_t)(v.room * v.width);
    if (h.element->load)
        GM_TRY(gm_dataset_adopt_floats(out, ctx, in->path, h.rank, h.shape,
                                       (const float *)(const void *)v.p, bytes));
    else
        GM_TRY(gm_dataset_adopt_bytes(out, ctx, in->path, h.rank, h.shape, v.p, bytes, 1.0f,
                                      h.element->shift));
    v.p = NULL; /* the dataset's */
    GM_TRY(gm_dataset_set_path(*out, in->path));
    return GM_OK;
out:
    gm_dataset_release(*out);
    *out = NULL;
    gm_memory_put(&ctx->memory, v.p, (size_t)(v.room * v.width));
    return status;
}

gm_status gm_dataset_open_idx(gm_dataset **out, gm_context *ctx, const char *path)
{
    if (out) *out = NULL;
    if (!out || !ctx || !path)
        return gm_fail(ctx, GM_E_INVALID, "dataset_open_idx: out, context or path is NULL");
    gm_gzip_reader in = { 0 };
    gm_status status = gm_gzip_reader_open(&in, ctx, path, NULL, 0);
    if (!status) status = gm_idx_read(out, ctx, &in);
    gm_gzip_reader_close(&in);
    return status;
}
