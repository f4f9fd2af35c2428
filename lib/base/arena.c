/* arena.c - bump allocation in chunks that stay across resets. */
#include <string.h>

#include "base/memory.h"

#define ALIGN ((size_t)64)

struct gm_chunk {
    gm_chunk *next;
    size_t size; /* payload */
};

/* The payload starts one alignment unit behind the header. */
#define HEADER ALIGN
_Static_assert(sizeof(gm_chunk) <= HEADER, "chunk header fits its slot");

void gm_arena_init(gm_arena *a, gm_memory *memory, size_t first, size_t most)
{
    memset(a, 0, sizeof *a);
    a->memory = memory;
    a->chunk = first;
    a->most = most;
}

void gm_arena_free(gm_arena *a)
{
    gm_chunk *c = a->first;
    while (c) {
        gm_chunk *next = c->next;
        gm_memory_put(a->memory, c, HEADER + c->size);
        c = next;
    }
    a->first = a->current = NULL;
    a->used = 0;
}

void gm_arena_reset(gm_arena *a)
{
    a->current = a->first;
    a->used = 0;
}

void *gm_arena_get(gm_arena *a, size_t size)
{
    if (size > SIZE_MAX / 4) return NULL;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (!size) size = ALIGN;

    /* The chunk in use, then the ones behind it from earlier recordings, then a new one. */
    while (a->current) {
        if (a->current->size - a->used >= size) {
            void *p = (char *)a->current + HEADER + a->used;
            a->used += size;
            return p;
        }
        if (!a->current->next) break;
        a->current = a->current->next;
        a->used = 0;
    }
    size_t payload = size > a->chunk ? size : a->chunk;
    gm_chunk *c = gm_memory_get(a->memory, HEADER + payload);
    if (!c) return NULL;
    c->next = NULL;
    c->size = payload;
    if (a->chunk <= a->most / 2) a->chunk *= 2;
    if (a->current)
        a->current->next = c;
    else
        a->first = c;
    a->current = c;
    a->used = size;
    return (char *)c + HEADER;
}
