/* idx.h - the fixture of the suites that read datasets, and a small IDX file. */
#ifndef GM_TESTS_IDX_H
#define GM_TESTS_IDX_H

#include <zlib.h>

#include "gm/data.h"
#include "support.h"

static gm_context *ctx;
static char folder[SUPPORT_PATH];
static char file[2 * SUPPORT_PATH];

static inline void setup(void)
{
    ctx = support_context(1, 1);
    support_folder_make(folder);
    snprintf(file, sizeof file, "%s/data.idx", folder);
}

/* Whatever a test made must be gone with the context's last owner: else the counters would not be
 * even. */
static inline void teardown(void)
{
    gm_memory_counters m;
    gm_context_memory(&m, ctx);
    static uint64_t empty_bytes;
    if (!empty_bytes) {
        gm_context *other = support_context(1, 1);
        gm_memory_counters n;
        gm_context_memory(&n, other);
        empty_bytes = n.bytes;
        gm_context_release(other);
    }
    ck_assert_uint_eq(m.bytes, empty_bytes);
    gm_context_release(ctx);
    support_folder_remove(folder);
}

static const uint8_t idx3[4 + 12 + 12] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0,  0,
                                           0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255 };

/* gzip members one after the other. */
static inline size_t compress_to(uint8_t *out, size_t room, const void *bytes, size_t size)
{
    z_stream z = { 0 };
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

#endif
