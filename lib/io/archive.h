/* archive.h - the inside of an archive: two arrays, sorted by name. */
#ifndef GM_IO_ARCHIVE_H
#define GM_IO_ARCHIVE_H

#include "base/context.h"
#include "base/error.h"
#include "gm/archive.h"

#define GM_ARCHIVE_TYPE 16
/* As in the reference implementation; a header lists names and shapes, so this is far beyond real
 * files. */
#define GM_ARCHIVE_HEADER_MOST ((int64_t)100000000)
#define GM_ARCHIVE_METADATA "__metadata__"

typedef struct gm_archive_tensor {
    char *name;
    char type[GM_ARCHIVE_TYPE]; /* as in files: F32, U8, ... */
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    int64_t count;              /* product of shape */
    const unsigned char *bytes; /* as in files: little-endian; in the archive's blob, or owned */
    int64_t size;
    int64_t offset;    /* of the data: in the file read, or while writing */
    uint32_t checksum; /* while writing */
    int owned;
    float *values; /* decoded copy, when bytes cannot be handed out as they are; else NULL */
} gm_archive_tensor;

typedef struct gm_archive_text {
    char *key, *text;
} gm_archive_text;

struct gm_archive {
    gm_context *ctx; /* retained */
    int64_t owners;
    char *name;          /* for error lines: the path, or "archive" */
    unsigned char *blob; /* the file it was opened from, or NULL */
    size_t blob_bytes;
    int lent; /* the blob is somebody else's: read, never freed */
    gm_archive_tensor *tensors;
    int64_t tensor_count, tensor_room;
    gm_archive_text *texts;
    int64_t text_count, text_room;
};

gm_status gm_archive_make(gm_archive **out, gm_context *ctx, const char *name);
/* Fills an empty archive from its blob. */
gm_status gm_archive_parse(gm_archive *a);
/* The part of it that reads the JSON, of so many bytes. */
gm_status gm_archive_read_header(gm_archive *a, int64_t length);

/* An archive over the bytes of a whole safetensors file, which are read where they lie and must
 * outlive it; `name` is for error lines. As gm_archive_open, but for GM_E_IO. */
gm_status gm_archive_open_image(gm_archive **out, gm_context *ctx, const char *name,
                                const void *bytes, size_t count);
/* What gm_archive_write would write, as one block of the context's allocator: the caller's, with
 * gm_memory_put. *bytes is NULL after a failure. */
gm_status gm_archive_image(void **bytes, size_t *count, gm_archive *a);

/* Room for one more tensor or text at the end; GM_E_NOMEM leaves all as it is. */
gm_status gm_archive_room_tensor(gm_archive *a);
gm_status gm_archive_room_text(gm_archive *a);
/* The size of a block for so many bytes: blocks are never of 0 bytes. */
static inline size_t gm_archive_block(int64_t bytes)
{
    return bytes > 0 ? (size_t)bytes : 1;
}

/* The type of the library's own floats. */
#define GM_ARCHIVE_FLOAT (sizeof(float) == 8 ? "F64" : "F32")
/* Bytes per element of a type; 0 for one that this library does not know. */
int64_t gm_archive_width(const char *type);
/* The tensor's values as floats: the stored bytes when they are floats of this host, in place;
 * else a copy, made once. GM_E_UNSUPPORTED: its type has no such values. */
gm_status gm_archive_values(gm_archive *a, gm_archive_tensor *t, const float **out);

#endif
