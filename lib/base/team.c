/* team.c - the context's workers: claim shards, spin briefly, then sleep.
 *
 * A job is published by advancing the ticket: its upper half numbers the job, its lower half the
 * next shard to claim. A worker reads the job's fields, then claims with a compare-and-swap; if the
 * owner has moved on in between, the swap fails and what was read is dropped. The owner waits for
 * shards that were claimed, never for workers that have not come: a descheduled worker costs its
 * shard's share, not the job.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#define RELAX() __builtin_ia32_pause()
#else
#define RELAX() atomic_signal_fence(memory_order_seq_cst)
#endif

/* Of a worker's stack, address space until it is touched: the deepest shard is a product by a BLAS
 * with threads of its own. What the host's limits say may be too little. */
#define STACK ((size_t)2 << 20)
#define SPINS 2000 /* about 50 microseconds before a sleep */
#define MAX_SHARDS 0x7fffffff
#define CLOSED ((uint64_t)0xffffffff) /* no shard left to claim */

struct gm_team {
    gm_memory *memory;
    int32_t threads;
    int32_t started;
    pid_t process; /* that has the workers: the child of a fork has none */
    pthread_t *workers;

    _Atomic uint64_t ticket; /* job << 32 | next shard */
    _Atomic(gm_shard_fn) fn;
    _Atomic(void *) arg;
    _Atomic int64_t shards;
    _Atomic int64_t done; /* shards finished of this job */
    _Atomic int32_t busy; /* a job is running: nested calls go serial */

    pthread_mutex_t lock;
    pthread_cond_t wake;     /* workers sleep here */
    pthread_cond_t finished; /* the owner sleeps here */
    _Atomic int32_t sleepers;
    _Atomic int32_t owner_sleeps;
    _Atomic int32_t quit;
};

static uint64_t job_of(uint64_t ticket)
{
    return ticket >> 32;
}

/* Claims and runs shards of the job `job` until none is left. */
static void work(gm_team *team, uint64_t job)
{
    for (;;) {
        uint64_t t = atomic_load(&team->ticket);
        gm_shard_fn fn = atomic_load(&team->fn);
        void *arg = atomic_load(&team->arg);
        int64_t shards = atomic_load(&team->shards);
        int64_t shard = (int64_t)(t & 0xffffffffu);
        if (job_of(t) != job || shard >= shards) return;
        if (!atomic_compare_exchange_weak(&team->ticket, &t, t + 1)) continue;
        fn(arg, shard);
        /* The last one wakes the owner. `team` outlives this: the owner cannot return before done
         * == shards, and destroy joins. */
        if (atomic_fetch_add(&team->done, 1) + 1 == shards && atomic_load(&team->owner_sleeps)) {
            pthread_mutex_lock(&team->lock);
            pthread_cond_signal(&team->finished);
            pthread_mutex_unlock(&team->lock);
        }
    }
}

static int has_work(gm_team *team, uint64_t seen)
{
    return job_of(atomic_load(&team->ticket)) != seen || atomic_load(&team->quit);
}

static void *worker(void *arg)
{
    gm_team *team = arg;
    uint64_t seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && !has_work(team, seen); i++) RELAX();
        if (!has_work(team, seen)) {
            pthread_mutex_lock(&team->lock);
            atomic_fetch_add(&team->sleepers, 1);
            while (!has_work(team, seen)) pthread_cond_wait(&team->wake, &team->lock);
            atomic_fetch_sub(&team->sleepers, 1);
            pthread_mutex_unlock(&team->lock);
        }
        if (atomic_load(&team->quit)) return NULL;
        seen = job_of(atomic_load(&team->ticket));
        work(team, seen);
    }
}

/* Workers start with all signals blocked, so that the host's handlers run on the host's threads. */
static void start_workers(gm_team *team)
{
    sigset_t all, before;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr)) return;
    sigfillset(&all);
    if (!pthread_attr_setstacksize(&attr, STACK) && !pthread_sigmask(SIG_SETMASK, &all, &before)) {
        while (team->started < team->threads - 1) {
            if (pthread_create(&team->workers[team->started], &attr, worker, team)) break;
            team->started++;
        }
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attr);
}

gm_team *gm_team_create(gm_memory *memory, int32_t threads, int32_t *started)
{
    gm_team *team = gm_memory_get_zero(memory, sizeof *team);
    if (started) *started = -1;
    if (!team) return NULL;
    team->memory = memory;
    team->threads = threads;
    team->process = getpid();
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->finished, NULL);
    if (threads > 1) {
        team->workers = gm_memory_get(memory, (size_t)(threads - 1) * sizeof *team->workers);
        if (team->workers) start_workers(team);
        if (team->workers && started) *started = team->started;
    }
    if (team->started < threads - 1) {
        gm_team_destroy(team);
        return NULL;
    }
    return team;
}

static int alive(const gm_team *team)
{
    return team->process == getpid();
}

static void stop_workers(gm_team *team)
{
    pthread_mutex_lock(&team->lock);
    atomic_store(&team->quit, 1);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
    for (int32_t i = 0; i < team->started; i++) pthread_join(team->workers[i], NULL);
    pthread_cond_destroy(&team->finished);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->lock);
}

void gm_team_destroy(gm_team *team)
{
    if (!team) return;
    /* After a fork the lock may be held, and the conditions waited at, by threads that are gone. */
    if (alive(team)) stop_workers(team);
    if (team->workers)
        gm_memory_put(team->memory, team->workers,
                      (size_t)(team->threads - 1) * sizeof *team->workers);
    gm_memory_put(team->memory, team, sizeof *team);
}

int32_t gm_team_threads(const gm_team *team)
{
    return team ? team->threads : 1;
}

static void run_serial(int64_t shards, gm_shard_fn fn, void *arg)
{
    for (int64_t i = 0; i < shards; i++) fn(arg, i);
}

static void wait_done(gm_team *team, int64_t shards)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&team->done) == shards) return;
        RELAX();
    }
    pthread_mutex_lock(&team->lock);
    atomic_store(&team->owner_sleeps, 1);
    while (atomic_load(&team->done) != shards) pthread_cond_wait(&team->finished, &team->lock);
    atomic_store(&team->owner_sleeps, 0);
    pthread_mutex_unlock(&team->lock);
}

void gm_team_run(gm_team *team, int64_t shards, gm_shard_fn fn, void *arg)
{
    int32_t idle = 0;
    if (!team || shards < 2 || shards > MAX_SHARDS || !alive(team) ||
        !atomic_compare_exchange_strong(&team->busy, &idle, 1)) {
        run_serial(shards, fn, arg);
        return;
    }
    /* The old ticket is closed before the fields change, so a claim made with old fields fails; the
     * new ticket comes last, so whoever sees it sees the new fields. */
    uint64_t old = job_of(atomic_load(&team->ticket));
    uint64_t job = (old + 1) & 0xffffffffu;
    atomic_store(&team->ticket, old << 32 | CLOSED);
    atomic_store(&team->done, 0);
    atomic_store(&team->fn, fn);
    atomic_store(&team->arg, arg);
    atomic_store(&team->shards, shards);
    atomic_store(&team->ticket, job << 32);
    if (atomic_load(&team->sleepers)) {
        pthread_mutex_lock(&team->lock);
        pthread_cond_broadcast(&team->wake);
        pthread_mutex_unlock(&team->lock);
    }
    work(team, job);
    wait_done(team, shards);
    atomic_store(&team->busy, 0);
}

typedef struct range_job {
    gm_range_fn fn;
    void *arg;
    int64_t n, grain;
} range_job;

static void range_shard(void *arg, int64_t shard)
{
    const range_job *job = arg;
    int64_t begin = shard * job->grain;
    int64_t end = job->n - begin < job->grain ? job->n : begin + job->grain;
    job->fn(job->arg, begin, end);
}

void gm_team_range(gm_team *team, int64_t n, int64_t grain, gm_range_fn fn, void *arg)
{
    if (n <= 0) return;
    range_job job = { fn, arg, n, grain };
    gm_team_run(team, (n - 1) / grain + 1, range_shard, &job);
}
