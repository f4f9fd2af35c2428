/* fuzz_idx.c - the IDX reader, from memory, with the memory it may hold limited. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <stdlib.h>

#include "data/idx.h"
#include "support_limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Steps as the data comes: a small multiple of what deflate can make of so many bytes. */
    limit l = { 0, 4000000 + 4 * 1032 * size };
    gm_context *ctx = limited_context(&l);
    gm_gzip_reader in = { 0 };
    gm_dataset *ds = NULL;
    gm_status status =
        gm_gzip_reader_open(&in, ctx, "fuzz", size ? data : (const uint8_t *)"", (int64_t)size);
    if (!status) status = gm_idx_read(&ds, ctx, &in);
    gm_gzip_reader_close(&in);
    if (status == GM_E_NOMEM || status == GM_E_INTERNAL || !status != !!ds) abort();
    if (ds) {
        const int64_t rows[2] = { 0, gm_dataset_rows(ds) - 1 };
        float *out = malloc(2 * (size_t)gm_dataset_row_size(ds) * sizeof *out);
        if (!out || gm_dataset_read(ds, rows, 2, 0, out)) abort();
        free(out);
        (void)gm_dataset_attach_labels(ds, ds);
    }
    gm_dataset_release(ds);
    gm_context_release(ctx);
    if (l.held) abort();
    return 0;
}
