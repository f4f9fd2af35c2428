/* support_limit.h - a context whose allocator counts what is held and refuses beyond a limit: a
 * reader that takes memory on a file's word then fails, and the target says so. */
#ifndef GM_FUZZ_SUPPORT_LIMIT_H
#define GM_FUZZ_SUPPORT_LIMIT_H

#include <stdlib.h>

#include "gm/context.h"

typedef struct limit {
    size_t held, most;
} limit;

static void *limit_get(void *user, size_t size, size_t align)
{
    limit *l = (limit *)user;
    void *p = NULL;
    if (size > l->most - l->held) return NULL;
    if (posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size)) return NULL;
    l->held += size;
    return p;
}

static void limit_put(void *user, void *pointer, size_t size)
{
    ((limit *)user)->held -= size;
    free(pointer);
}

static gm_context *limited_context(limit *l)
{
    const gm_allocator hook = { limit_get, limit_put, l };
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    options.allocator = &hook;
    if (gm_context_create(&ctx, GM_HEADER_VERSION, &options)) abort();
    return ctx;
}

#endif
