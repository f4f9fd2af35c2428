/* fuzz_archive.c - the safetensors reader, from memory, with the memory it may hold limited. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <stdlib.h>
#include <string.h>

#include "io/archive.h"
#include "support_limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything an archive tells, touched. */
static void walk(gm_archive *a, size_t size)
{
    volatile float sink = 0;
    for (int64_t i = 0; i < gm_archive_tensor_count(a); i++) {
        const char *name = gm_archive_tensor_name(a, i);
        const float *values;
        const void *bytes;
        size_t n;
        int32_t rank;
        int64_t shape[GM_MAX_RANK], count = 1;
        if (!gm_archive_has_tensor(a, name)) abort();
        if (!gm_archive_get(&rank, &values, a, name, shape)) {
            for (int32_t j = 0; j < rank; j++) count *= shape[j];
            if (count) sink = values[0] + values[count - 1];
        }
        if (!gm_archive_get_bytes(&bytes, &n, a, name) && n > size) abort();
    }
    (void)sink;
    for (int64_t i = 0; i < gm_archive_text_count(a); i++) {
        const char *text;
        int64_t whole;
        double real;
        if (gm_archive_get_text(&text, a, gm_archive_text_key(a, i))) abort();
        (void)gm_archive_get_int(&whole, a, gm_archive_text_key(a, i));
        (void)gm_archive_get_real(&real, a, gm_archive_text_key(a, i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    limit l = { 0, 100000 + 64 * size };
    gm_context *ctx = limited_context(&l);
    gm_archive *a = NULL;
    if (gm_archive_make(&a, ctx, "fuzz")) abort();
    if (size) {
        a->blob = gm_memory_get(&ctx->memory, size);
        if (!a->blob) abort();
        memcpy(a->blob, data, size);
        a->blob_bytes = size;
    }
    const gm_status status = gm_archive_parse(a);
    if (status == GM_E_NOMEM || status == GM_E_INTERNAL) abort();
    if (!status) walk(a, size);
    gm_archive_release(a);
    gm_context_release(ctx);
    if (l.held) abort();
    return 0;
}
