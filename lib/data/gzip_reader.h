/* gzip_reader.h - bytes that come from a file or from memory, decompressed on the way if they are
 * gzip. */
#ifndef GM_DATA_GZIP_READER_H
#define GM_DATA_GZIP_READER_H

#include <zlib.h>

#include "base/context.h"
#include "base/file.h"

#define GM_GZIP_BUFFER 65536

typedef struct gm_gzip_reader {
    gm_context *ctx;
    const char *path; /* for error lines; borrowed */
    gm_file file;
    const unsigned char *memory; /* instead of a file; borrowed */
    int64_t size;                /* of the file or memory, compressed or not */
    int64_t taken;               /* of it */
    unsigned char *buffer;
    int64_t at, have; /* in buffer: what is not used yet */
    int gzip, ended;
    int inflating; /* z is to be ended */
    z_stream z;
} gm_gzip_reader;

/* Zero the struct first; gm_gzip_reader_close accepts it at any time. memory NULL: opens path. */
gm_status gm_gzip_reader_open(gm_gzip_reader *in, gm_context *ctx, const char *path,
                              const void *memory, int64_t size);
/* The next n bytes; *got is less only at the end. */
gm_status gm_gzip_reader_read(gm_gzip_reader *in, void *out, int64_t n, int64_t *got);
/* How many bytes could come at most, in all: deflate makes at most 1032 bytes of one. */
int64_t gm_gzip_reader_most(const gm_gzip_reader *in);
void gm_gzip_reader_close(gm_gzip_reader *in);

#endif
