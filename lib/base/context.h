/* context.h - the inside of a context, for the library itself. */
#ifndef GM_BASE_CONTEXT_H
#define GM_BASE_CONTEXT_H

#include <stdatomic.h>

#include "base/memory.h"
#include "base/registry.h"
#include "base/team.h"
#include "gm/context.h"

struct gm_kernels; /* kernels/kernels.h */

struct gm_context {
    gm_memory memory; /* first: it outlives all else in here */
    int64_t owners;
    _Atomic uintptr_t inside; /* the thread that is inside calls, 0: none (turn.c) */
    int64_t calls;            /* of that thread, one within the other */
    uint64_t seed;
    uint64_t next_stream;    /* numbers the random streams made from this context */
    uint32_t next_recording; /* numbers tape recordings, never 0 */
    uint64_t next_pass;      /* numbers the passes of gm_backward, never 0 */
    int32_t threads;
    gm_team *team;     /* NULL when threads is 1 */
    int32_t blas_room; /* products that it took room for (kernels/blas_room.h) */
    const struct gm_kernels *kernels;
    void (*log)(void *user, int32_t level, const char *line);
    void *log_user;
    gm_registry_entry *registry;
    gm_context *parent;        /* of a context inside another (child.h), retained; else NULL */
    int32_t sealed;            /* with a parent: no memory is given any more, no weight written */
    int64_t rows;              /* sealed: how many rows its memory is for */
    void (*ended)(void *user); /* with a parent: NULL, or called when its memory is gone */
    void *ended_user;
    char error[512];
};

#endif
