/* memory.h - the host's allocator, counted, and an arena on top of it. */
#ifndef GM_BASE_MEMORY_H
#define GM_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "gm/context.h"

/* Counters are plain: a context belongs to one thread at a time, and workers never allocate. */
typedef struct gm_memory {
    gm_allocator hook;
    gm_memory_counters counters;
} gm_memory;

/* 64-byte aligned, NULL when the hook fails or size is 0 or absurd. Contents undefined. */
void *gm_memory_get(gm_memory *m, size_t size);
void *gm_memory_get_zero(gm_memory *m, size_t size);
/* Accepts NULL. size must be the size asked for. */
void gm_memory_put(gm_memory *m, void *p, size_t size);
/* A block of that size is somebody else's from now on, who gives it back through the hook. */
void gm_memory_hand_over(gm_memory *m, size_t size);
/* Moves to a bigger block; on failure returns NULL and the old block stands. */
void *gm_memory_grow(gm_memory *m, void *p, size_t old_size, size_t new_size);

/* A copy of a text, strlen + 1 bytes; NULL without memory. Back with _put_text, which accepts NULL.
 */
char *gm_memory_copy_text(gm_memory *m, const char *text);
void gm_memory_put_text(gm_memory *m, char *text);

/* a * b into *out; 0 when it overflows int64_t or either is negative. */
int gm_mul_size(int64_t a, int64_t b, int64_t *out);

/* Bump allocation in chunks that stay across resets: repeating the same requests after a reset
 * allocates nothing. */
typedef struct gm_chunk gm_chunk;
typedef struct gm_arena {
    gm_memory *memory;
    gm_chunk *first, *current;
    size_t used;  /* bytes used of the current chunk */
    size_t chunk; /* least size of the next chunk; doubles up to `most` */
    size_t most;
} gm_arena;

void gm_arena_init(gm_arena *a, gm_memory *memory, size_t first, size_t most);
void gm_arena_free(gm_arena *a);
void gm_arena_reset(gm_arena *a);
void *gm_arena_get(gm_arena *a, size_t size); /* 64-byte aligned, NULL on failure */

#endif
