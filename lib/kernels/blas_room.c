/* blas_room.c - how many products OpenBLAS has buffers for, and who may enter. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "kernels/blas_room.h"

#if defined(GM_BLAS_OPENBLAS) && defined(__GNUC__)

#include <cblas.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* OpenBLAS's own, not in its header; a build that hides them maps its buffers when products come.
 */
extern void *blas_memory_alloc(int kind) __attribute__((weak));
extern void blas_memory_free(void *buffer) __attribute__((weak));

#define MEGABYTES 128 /* of a buffer */
#define BUFFER ((size_t)MEGABYTES << 20)
#define MOST 256 /* buffers that are taken in one go */
/* What the system must have besides: for a context that has no room at all, and for one that could
 * share what others have. */
#define SPARE_LEAST ((size_t)32 << 20)
#define SPARE_MORE ((size_t)1 << 30)
#define YIELDS 20   /* before a wait sleeps, for 20 microseconds, which double */
#define DOUBLINGS 7 /* to 2.6 milliseconds */

/* The process's. gate, upper half: how many products may be inside, lower half: how many are. One
 * may come before any context. The rest is the lock's. */
static struct {
    _Atomic uint64_t gate;
    pthread_mutex_t lock;
    int64_t wanted; /* products of all contexts together */
    int64_t room;   /* products that there are buffers for */
    int64_t mapped; /* buffers */
} openblas = { (uint64_t)1 << 32, PTHREAD_MUTEX_INITIALIZER, 0, 0, 0 };

/* Ever longer: hundreds of threads that look often would take the cores from those inside. */
static void wait_a_little(int *tries)
{
    const struct timespec nap = { 0, 20000L << (*tries < YIELDS ? 0 : *tries - YIELDS) };
    if (*tries < YIELDS)
        (void)sched_yield();
    else
        (void)nanosleep(&nap, NULL);
    if (*tries < YIELDS + DOUBLINGS) ++*tries;
}

void gm_blas_enter(void)
{
    int tries = 0;
    for (;;) {
        uint64_t now = atomic_load(&openblas.gate);
        if ((now & 0xffffffffu) < now >> 32) {
            if (atomic_compare_exchange_weak(&openblas.gate, &now, now + 1)) return;
        } else {
            wait_a_little(&tries);
        }
    }
}

void gm_blas_leave(void)
{
    (void)atomic_fetch_sub(&openblas.gate, 1);
}

static void set_limit(int64_t limit)
{
    uint64_t now = atomic_load(&openblas.gate);
    while (!atomic_compare_exchange_weak(&openblas.gate, &now,
                                         (uint64_t)limit << 32 | (now & 0xffffffffu)))
        continue;
}

/* Nobody enters, and those who are inside leave: then buffers that are taken are those of the
 * table's first places. */
static void close_gate(void)
{
    int tries = 0;
    set_limit(0);
    while (atomic_load(&openblas.gate) & 0xffffffffu) wait_a_little(&tries);
}

/* The threads that OpenBLAS was built for, which is half of the table; the other half is for its
 * own threads. */
static int64_t most_products(void)
{
    const char *at = strstr(openblas_get_config(), "MAX_THREADS=");
    const long threads = at ? strtol(at + strlen("MAX_THREADS="), NULL, 10) : 0;
    return threads < 1 ? 1 : threads < MOST / 2 ? threads : MOST / 2;
}

static void *map(size_t size, int protection)
{
    return mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Has the system address space for so many buffers, and `spare` beside them? */
static int probe(int64_t buffers, size_t spare)
{
    void *pieces[MOST], *rest = map(spare, PROT_NONE);
    int64_t got = 0;
    int enough = rest != MAP_FAILED;
    while (enough && got < buffers) {
        pieces[got] = map(BUFFER, PROT_READ | PROT_WRITE);
        enough = pieces[got] != MAP_FAILED;
        got += enough;
    }
    while (got > 0) (void)munmap(pieces[--got], BUFFER);
    if (rest != MAP_FAILED) (void)munmap(rest, spare);
    return enough;
}

/* Makes OpenBLAS map so many buffers, by holding all of them at once. */
static void map_buffers(int64_t count)
{
    void *held[MOST];
    if (!blas_memory_alloc || !blas_memory_free) return;
    close_gate();
    for (int64_t i = 0; i < count; i++) held[i] = blas_memory_alloc(0);
    for (int64_t i = count; i > 0; i--) blas_memory_free(held[i - 1]);
}

/* Buffers for `products` at once and for OpenBLAS's own threads. */
static int grow(int64_t products, size_t spare)
{
    const int64_t own = openblas_get_num_threads() - 1;
    int64_t count = products + (own > 0 ? own : 0);
    if (count > MOST) count = MOST;
    if (count > openblas.mapped) {
        if (!probe(count - openblas.mapped, spare)) return 0;
        map_buffers(count);
        openblas.mapped = count;
    }
    if (products > openblas.room) openblas.room = products;
    set_limit(openblas.room);
    return 1;
}

int gm_blas_take_room(int32_t threads, int64_t *megabytes)
{
    const int64_t most = most_products(), least = threads < most ? threads : most;
    (void)pthread_mutex_lock(&openblas.lock);
    int64_t products = openblas.wanted + threads;
    if (products > most) products = most;
    int found = grow(products, openblas.room < least ? SPARE_LEAST : SPARE_MORE) ||
                openblas.room >= least || grow(least, SPARE_LEAST);
    if (found) openblas.wanted += threads;
    *megabytes = least * MEGABYTES;
    (void)pthread_mutex_unlock(&openblas.lock);
    return found;
}

void gm_blas_give_room(int32_t threads)
{
    (void)pthread_mutex_lock(&openblas.lock);
    openblas.wanted -= threads;
    (void)pthread_mutex_unlock(&openblas.lock);
}

#else

int gm_blas_take_room(int32_t threads, int64_t *megabytes)
{
    (void)threads;
    *megabytes = 0;
    return 1;
}

void gm_blas_give_room(int32_t threads)
{
    (void)threads;
}

void gm_blas_enter(void)
{
}

void gm_blas_leave(void)
{
}

#endif
