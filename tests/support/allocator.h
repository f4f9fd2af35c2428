/* allocator.h - a host's allocator that watches the library: it can fail at will, and it notices a
 * wrong size, a wrong alignment, a double release, a block that is lost, and a call from a thread
 * that is not the host's. */
#ifndef GM_TESTS_ALLOCATOR_H
#define GM_TESTS_ALLOCATOR_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gm/context.h"

typedef struct watched {
    int64_t calls;   /* of allocate, those that failed included */
    int64_t fail_at; /* the call that fails, from 0; -1: none */
    int64_t live;    /* blocks held now */
    uint64_t bytes;  /* held now */
    int64_t faults;  /* what the library did wrong */
    pthread_t thread;
} watched;

#define WATCHED_LARGEST ((size_t)1 << 40)
#define WATCHED_MARK UINT64_C(0x67657665696c6574)

/* In front of every block, one alignment unit before it. */
typedef struct watched_head {
    uint64_t mark;
    size_t size;
} watched_head;

static inline void *watched_allocate(void *user, size_t size, size_t align)
{
    watched *w = user;
    if (!pthread_equal(w->thread, pthread_self())) w->faults++;
    if (align < 1 || align > 64 || (align & (align - 1))) w->faults++;
    if (w->calls++ == w->fail_at) return NULL;
    if (size > WATCHED_LARGEST) return NULL; /* a sanitizer's allocator would end the program */
    void *block = NULL;
    if (posix_memalign(&block, 64, 64 + size)) return NULL;
    watched_head head = { WATCHED_MARK, size };
    memcpy(block, &head, sizeof head);
    memset((char *)block + 64, 0xa5, size); /* nobody may count on zeros */
    w->live++;
    w->bytes += size;
    return (char *)block + 64;
}

static inline void watched_release(void *user, void *pointer, size_t size)
{
    watched *w = user;
    watched_head head;
    char *block = (char *)pointer - 64;
    if (!pthread_equal(w->thread, pthread_self())) w->faults++;
    memcpy(&head, block, sizeof head);
    if (head.mark != WATCHED_MARK || head.size != size) w->faults++;
    memset(block, 0, sizeof head);
    w->live--;
    w->bytes -= size;
    free(block);
}

/* `w` is the host's: it must outlive the context. */
static inline gm_allocator watched_begin(watched *w, int64_t fail_at)
{
    memset(w, 0, sizeof *w);
    w->fail_at = fail_at;
    w->thread = pthread_self();
    gm_allocator a = { watched_allocate, watched_release, w };
    return a;
}

/* 1 when all came back and nothing was done wrong. */
static inline int watched_clean(const watched *w)
{
    return w->live == 0 && w->bytes == 0 && w->faults == 0;
}

#endif
