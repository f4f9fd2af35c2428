/* memory.c - counted allocation through the host's hook. */
#include "base/memory.h"

#include <string.h>

#define ALIGN ((size_t)64)

void *gm_memory_get(gm_memory *m, size_t size)
{
    if (!size || size > SIZE_MAX / 2 - ALIGN) return NULL;
    void *p = m->hook.allocate(m->hook.user, size, ALIGN);
    if (!p) return NULL;
    m->counters.allocations++;
    m->counters.bytes += size;
    if (m->counters.bytes > m->counters.peak_bytes) m->counters.peak_bytes = m->counters.bytes;
    return p;
}

void *gm_memory_get_zero(gm_memory *m, size_t size)
{
    void *p = gm_memory_get(m, size);
    if (p) memset(p, 0, size);
    return p;
}

void gm_memory_put(gm_memory *m, void *p, size_t size)
{
    if (!p) return;
    m->counters.releases++;
    m->counters.bytes -= size;
    m->hook.release(m->hook.user, p, size);
}

void gm_memory_hand_over(gm_memory *m, size_t size)
{
    m->counters.releases++;
    m->counters.bytes -= size;
}

void *gm_memory_grow(gm_memory *m, void *p, size_t old_size, size_t new_size)
{
    void *q = gm_memory_get(m, new_size);
    if (!q) return NULL;
    if (p) {
        memcpy(q, p, old_size < new_size ? old_size : new_size);
        gm_memory_put(m, p, old_size);
    }
    return q;
}

char *gm_memory_copy_text(gm_memory *m, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = gm_memory_get(m, bytes);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}

void gm_memory_put_text(gm_memory *m, char *text)
{
    if (text) gm_memory_put(m, text, strlen(text) + 1);
}

int gm_mul_size(int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0) return 0;
    if (a && b > INT64_MAX / a) return 0;
    *out = a * b;
    return 1;
}
