/* test_team.c - the workers: every shard once, nesting, short jobs, teams side by side. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "allocator.h"
#include "base/memory.h"
#include "base/team.h"
#include "support.h"

#define MOST 5000

static gm_memory make_memory(watched *w)
{
    gm_memory m = { watched_begin(w, -1), { 0, 0, 0, 0 } };
    return m;
}

typedef struct tally {
    _Atomic int seen[MOST];
    _Atomic int64_t outside;
    int64_t shards;
} tally;

static void tally_shard(void *arg, int64_t shard)
{
    tally *t = arg;
    if (shard < 0 || shard >= t->shards)
        atomic_fetch_add(&t->outside, 1);
    else
        atomic_fetch_add(&t->seen[shard], 1);
}

static void tally_clear(tally *t, int64_t shards)
{
    for (int i = 0; i < MOST; i++) atomic_store(&t->seen[i], 0);
    atomic_store(&t->outside, 0);
    t->shards = shards;
}

static void tally_check(tally *t, int times, int32_t threads)
{
    ck_assert_int_eq(atomic_load(&t->outside), 0);
    for (int64_t i = 0; i < MOST; i++) {
        int seen = atomic_load(&t->seen[i]);
        if (seen != (i < t->shards ? times : 0))
            ck_abort_msg("%d threads, %d shards: shard %d ran %d times", (int)threads,
                         (int)t->shards, (int)i, seen);
    }
}

START_TEST(every_shard_runs_once)
{
    static const int64_t counts[] = { 0, 1, 2, 3, 7, 8, 9, 64, 1000, MOST };
    static tally t;
    for (int32_t threads = 1; threads <= 8; threads++) {
        watched w;
        gm_memory memory = make_memory(&w);
        gm_team *team = gm_team_create(&memory, threads, NULL);
        ck_assert_ptr_nonnull(team);
        ck_assert_int_eq(gm_team_threads(team), threads);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            tally_clear(&t, counts[i]);
            gm_team_run(team, counts[i], tally_shard, &t);
            tally_check(&t, 1, threads);
        }
        gm_team_destroy(team);
        ck_assert(watched_clean(&w));
        ck_assert_uint_eq(memory.counters.bytes, 0);
    }
}
END_TEST

START_TEST(no_team_is_the_caller)
{
    static tally t;
    tally_clear(&t, 100);
    gm_team_run(NULL, 100, tally_shard, &t);
    tally_check(&t, 1, 0);
    ck_assert_int_eq(gm_team_threads(NULL), 1);
    gm_team_destroy(NULL);
}
END_TEST

typedef struct range_tally {
    _Atomic int seen[MOST];
    _Atomic int wrong;
    int64_t n, grain;
} range_tally;

static void range_run(void *arg, int64_t begin, int64_t end)
{
    range_tally *t = arg;
    int64_t want = t->n - begin < t->grain ? t->n - begin : t->grain;
    if (begin < 0 || begin % t->grain || end - begin != want) {
        atomic_fetch_add(&t->wrong, 1);
        return;
    }
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&t->seen[i], 1);
}

START_TEST(ranges_are_cut_by_the_grain_alone)
{
    static const int64_t counts[] = { 0, 1, 15, 16, 17, 160, 161, MOST };
    static range_tally t;
    for (int32_t threads = 0; threads <= 4; threads++) { /* 0: no team */
        watched w;
        gm_memory memory = make_memory(&w);
        gm_team *team = threads ? gm_team_create(&memory, threads, NULL) : NULL;
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            for (int k = 0; k < MOST; k++) atomic_store(&t.seen[k], 0);
            atomic_store(&t.wrong, 0);
            t.n = counts[i];
            t.grain = 16;
            gm_team_range(team, t.n, t.grain, range_run, &t);
            ck_assert_int_eq(atomic_load(&t.wrong), 0);
            for (int64_t k = 0; k < MOST; k++)
                if (atomic_load(&t.seen[k]) != (k < t.n))
                    ck_abort_msg("%d of %d seen %d times", (int)k, (int)t.n,
                                 atomic_load(&t.seen[k]));
        }
        gm_team_range(team, -5, 16, range_run, &t);
        ck_assert_int_eq(atomic_load(&t.wrong), 0);
        gm_team_destroy(team);
        ck_assert(watched_clean(&w));
    }
}
END_TEST

/* A call from inside a shard runs on the thread of that shard, in order. */
typedef struct nest {
    gm_team *team;
    tally inner;
    _Atomic int elsewhere, disorder;
} nest;

typedef struct nest_call {
    nest *all;
    pthread_t thread;
    int64_t next;
} nest_call;

static void inner_shard(void *arg, int64_t shard)
{
    nest_call *call = arg;
    if (!pthread_equal(call->thread, pthread_self())) atomic_fetch_add(&call->all->elsewhere, 1);
    if (call->next++ != shard) atomic_fetch_add(&call->all->disorder, 1);
    tally_shard(&call->all->inner, shard);
}

static void outer_shard(void *arg, int64_t shard)
{
    nest *all = arg;
    nest_call call = { all, pthread_self(), 0 };
    (void)shard;
    gm_team_run(all->team, 50, inner_shard, &call);
}

START_TEST(nested_calls_are_serial)
{
    static nest all;
    for (int32_t threads = 1; threads <= 4; threads++) {
        watched w;
        gm_memory memory = make_memory(&w);
        all.team = gm_team_create(&memory, threads, NULL);
        tally_clear(&all.inner, 50);
        gm_team_run(all.team, 20, outer_shard, &all);
        tally_check(&all.inner, 20, threads);
        if (threads > 1) {
            ck_assert_int_eq(atomic_load(&all.elsewhere), 0);
            ck_assert_int_eq(atomic_load(&all.disorder), 0);
        }
        /* The team is free again afterwards. */
        tally_clear(&all.inner, 77);
        gm_team_run(all.team, 77, tally_shard, &all.inner);
        tally_check(&all.inner, 1, threads);
        gm_team_destroy(all.team);
        ck_assert(watched_clean(&w));
    }
}
END_TEST

/* Job after job through one slot: a worker that wakes late must not run a shard of the last job
 * with the fields of the next. Each job has its own function, argument and number of shards. */
typedef struct job {
    _Atomic int64_t sum;
    int64_t factor;
} job;

static void add_shard(void *arg, int64_t shard)
{
    job *j = arg;
    atomic_fetch_add(&j->sum, j->factor * (shard + 1));
}

static void subtract_shard(void *arg, int64_t shard)
{
    job *j = arg;
    atomic_fetch_sub(&j->sum, j->factor * (shard + 1));
}

static int64_t short_jobs(gm_team *team, int count)
{
    int64_t wrong = 0;
    job jobs[2];
    for (int i = 0; i < count; i++) {
        job *j = &jobs[i & 1];
        int64_t shards = 1 + i % 9, total = shards * (shards + 1) / 2;
        atomic_store(&j->sum, 0);
        j->factor = i;
        gm_team_run(team, shards, i % 3 ? add_shard : subtract_shard, j);
        wrong += atomic_load(&j->sum) != (i % 3 ? 1 : -1) * (int64_t)i * total;
    }
    return wrong;
}

START_TEST(thousands_of_short_jobs)
{
    for (int32_t threads = 2; threads <= 5; threads++) {
        watched w;
        gm_memory memory = make_memory(&w);
        gm_team *team = gm_team_create(&memory, threads, NULL);
        ck_assert_int_eq(short_jobs(team, 5000), 0);
        gm_team_destroy(team);
        ck_assert(watched_clean(&w));
    }
}
END_TEST

/* Workers that went to sleep come back. */
START_TEST(jobs_after_a_pause)
{
    watched w;
    gm_memory memory = make_memory(&w);
    gm_team *team = gm_team_create(&memory, 3, NULL);
    static tally t;
    for (int i = 0; i < 20; i++) {
        struct timespec pause = { 0, 1000000 };
        nanosleep(&pause, NULL);
        tally_clear(&t, 40);
        gm_team_run(team, 40, tally_shard, &t);
        tally_check(&t, 1, 3);
    }
    gm_team_destroy(team);
    ck_assert(watched_clean(&w));
}
END_TEST

static void *host_thread(void *arg)
{
    int64_t *wrong = arg;
    watched w;
    gm_memory memory = make_memory(&w);
    gm_team *team = gm_team_create(&memory, 3, NULL);
    *wrong = team ? short_jobs(team, 2000) : -1;
    gm_team_destroy(team);
    if (!watched_clean(&w)) *wrong = -2;
    return NULL;
}

START_TEST(two_teams_in_two_host_threads)
{
    pthread_t other;
    int64_t here = -3, there = -3;
    ck_assert_int_eq(pthread_create(&other, NULL, host_thread, &there), 0);
    host_thread(&here);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    ck_assert_int_eq(here, 0);
    ck_assert_int_eq(there, 0);
}
END_TEST

/* The recipe behind "the same bytes with any number of threads": shards of a fixed size, partial
 * sums added in order. */
#define PIECES 1000
typedef struct summing {
    const float *x;
    float partial[PIECES];
} summing;

static void sum_shard(void *arg, int64_t shard)
{
    summing *s = arg;
    float sum = 0;
    for (int i = 0; i < 100; i++) sum += s->x[shard * 100 + i];
    s->partial[shard] = sum;
}

START_TEST(a_sum_over_fixed_shards_has_the_same_bytes)
{
    static float x[PIECES * 100];
    static summing s;
    float first = 0;
    for (int i = 0; i < PIECES * 100; i++) x[i] = 1.0f / (float)(1 + i % 977);
    s.x = x;
    for (int32_t threads = 1; threads <= 8; threads++) {
        watched w;
        gm_memory memory = make_memory(&w);
        gm_team *team = gm_team_create(&memory, threads, NULL);
        for (int round = 0; round < 10; round++) {
            gm_team_run(team, PIECES, sum_shard, &s);
            float sum = 0;
            for (int i = 0; i < PIECES; i++) sum += s.partial[i];
            if (threads == 1 && round == 0) first = sum;
            ck_assert_mem_eq(&first, &sum, sizeof sum);
        }
        gm_team_destroy(team);
    }
}
END_TEST

#define MASKED 4

typedef struct masks {
    pthread_t owner;
    _Atomic int came;
    _Atomic int open; /* signals that some worker would take */
} masks;

/* No shard ends before every thread has one. */
static void look_at_mask(void *arg, int64_t shard)
{
    masks *m = arg;
    sigset_t blocked;
    (void)shard;
    atomic_fetch_add(&m->came, 1);
    while (atomic_load(&m->came) < MASKED) sched_yield();
    if (pthread_equal(m->owner, pthread_self()) || pthread_sigmask(SIG_BLOCK, NULL, &blocked))
        return;
    for (int i = 1; i < 32; i++)
        if (i != SIGKILL && i != SIGSTOP && !sigismember(&blocked, i))
            atomic_fetch_add(&m->open, 1);
}

/* So that the handlers of the host run on its own threads; whose mask is as it was. */
START_TEST(workers_take_no_signals)
{
    watched w;
    sigset_t none, mine, before, after;
    masks m = { .owner = pthread_self() };
    gm_memory memory = make_memory(&w);
    sigemptyset(&none);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &none, &mine), 0);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    gm_team *team = gm_team_create(&memory, MASKED, NULL);
    ck_assert_ptr_nonnull(team);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &mine, &after), 0);
    for (int i = 1; i < 32; i++) ck_assert_int_eq(sigismember(&before, i), sigismember(&after, i));
    gm_team_run(team, MASKED, look_at_mask, &m);
    ck_assert_int_eq(atomic_load(&m.came), MASKED);
    ck_assert_int_eq(atomic_load(&m.open), 0);
    gm_team_destroy(team);
}
END_TEST

START_TEST(creation_survives_failing_allocations)
{
    for (int64_t n = 0; n < 3; n++) {
        watched w;
        gm_memory memory = { watched_begin(&w, n), { 0, 0, 0, 0 } };
        gm_team *team = gm_team_create(&memory, 4, NULL);
        if (n < 2)
            ck_assert_ptr_null(team);
        else
            ck_assert_ptr_nonnull(team);
        gm_team_destroy(team);
        ck_assert(watched_clean(&w));
        ck_assert_uint_eq(memory.counters.bytes, 0);
    }
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("team");
    TCase *t = tcase_create("team");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, every_shard_runs_once);
    tcase_add_test(t, no_team_is_the_caller);
    tcase_add_test(t, ranges_are_cut_by_the_grain_alone);
    tcase_add_test(t, nested_calls_are_serial);
    tcase_add_test(t, thousands_of_short_jobs);
    tcase_add_test(t, jobs_after_a_pause);
    tcase_add_test(t, two_teams_in_two_host_threads);
    tcase_add_test(t, a_sum_over_fixed_shards_has_the_same_bytes);
    tcase_add_test(t, workers_take_no_signals);
    tcase_add_test(t, creation_survives_failing_allocations);
    suite_add_tcase(s, t);
    return s;
}
