/* test_serve_quiet.c - the calls of a reader take nothing from malloc, lock nothing and make no
 * system call: malloc and the locks are replaced by ones that count, and the system ends a process
 * that calls it (strict seccomp).
 *
 * GM_SERVE_CALLS: how often each verb is called, 300 if not set. Not for sanitizers, which have a
 * malloc and system calls of their own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gm/serve.h"
#include "verbs.h"

/* --- Counters in the place of the C library's functions; they count while `watching`. */

static volatile int watching;
static volatile long long taken, locked;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *p);

static void count_taken(void)
{
    if (watching) taken++;
}

void *malloc(size_t size)
{
    count_taken();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_taken();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    count_taken();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count_taken();
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    count_taken();
    *out = __libc_memalign(align, size);
    return *out ? 0 : ENOMEM;
}

void free(void *p)
{
    count_taken();
    __libc_free(p);
}

typedef int mutex_fn(pthread_mutex_t *);
static mutex_fn *real_lock, *real_try;

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (watching) locked++;
    if (!real_lock) *(void **)(void *)&real_lock = next("pthread_mutex_lock");
    return real_lock(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (watching) locked++;
    if (!real_try) *(void **)(void *)&real_try = next("pthread_mutex_trylock");
    return real_try(mutex);
}

/* --- A process of its own for each family, which the system may end. */

typedef struct account {
    int family, verb, strict; /* what it is doing; does the system watch? */
    long long calls, taken, locked;
    gm_status status;
} account;

static long long calls_wanted(void)
{
    const char *text = getenv("GM_SERVE_CALLS");
    return text ? atoll(text) : 300;
}

#define MIXED 1000 /* calls with as many rows as come; the rest are quicker */

static void call_all(account *a, room *r, long long wanted)
{
    static const int64_t counts[4] = { 1, ROWS, 2, 7 };
    for (int v = 0; v < VERB_COUNT; v++) {
        if (!verbs[v].reads || !verb_of(r->model, v)) continue;
        const int first = !strcmp(verbs[v].name, "interpolate"); /* of one row there is none */
        a->verb = v;
        for (long long i = 0; i < wanted && !a->status; i++, a->calls++)
            a->status = verbs[v].call(r, i < MIXED ? counts[first + i % (4 - first)] : 1 + first);
    }
}

static void child(account *a, gm_frozen *frozen)
{
    static room r;
    gm_context *ctx = NULL;
    gm_reader *reader = NULL;
    a->status = gm_context_create(&ctx, GM_HEADER_VERSION, NULL);
    if (!a->status) a->status = gm_reader_create(&reader, ctx, frozen, ROWS);
    if (a->status) _exit(1);
    r.model = gm_reader_model(reader);
    room_fill(&r);
    const long long wanted = calls_wanted();
    /* The calls of a lazy linker are made before. */
    call_all(a, &r, 1);
    a->calls = 0;
    a->strict = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0;
    watching = 1;
    call_all(a, &r, wanted);
    watching = 0;
    a->taken = taken;
    a->locked = locked;
    (void)syscall(SYS_exit, 0); /* the one that strict mode lets a process end with */
}

START_TEST(calls_of_a_reader_take_nothing)
{
    const size_t bytes = sizeof(account);
    account *a = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(a != MAP_FAILED);
    gm_context *ctx = support_context(5, 1);
    gm_model *model = family_make(ctx, _i, &verbs_size);
    gm_frozen *frozen;
    int status = 0;
    support_ok(ctx, gm_model_freeze(&frozen, model));
    gm_model_release(model);
    gm_context_release(ctx);
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) child(a, frozen);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(!WIFSIGNALED(status), "%s: call %lld: %s calls the system (signal %d)",
                  families[_i].name, a->calls, verbs[a->verb].name, WTERMSIG(status));
    ck_assert_msg(!status && !a->status, "%s: %s: %s", families[_i].name, verbs[a->verb].name,
                  gm_status_name(a->status));
    ck_assert_int_gt((int)(a->calls > 0), 0);
    ck_assert_msg(!a->taken && !a->locked, "%s: %lld calls of malloc and free, %lld locks",
                  families[_i].name, a->taken, a->locked);
    printf("%s: %lld calls, 0 of malloc, 0 locks, %s\n", families[_i].name, a->calls,
           a->strict ? "0 of the system" : "the system does not count its calls here");
    gm_frozen_release(frozen);
    munmap(a, bytes);
}
END_TEST

/* Does the test notice them? */
START_TEST(counters_count)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    int status = 0;
    taken = locked = 0;
    watching = 1;
    void *volatile block = malloc(10); /* else a compiler leaves both out */
    free(block);
    pthread_mutex_lock(&mutex);
    watching = 0;
    ck_assert_int_eq((int)taken, 2);
    ck_assert_int_eq((int)locked, 1);
    taken = locked = 0;
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)) _exit(7); /* not here */
        (void)syscall(SYS_getppid);
        (void)syscall(SYS_exit, 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 7);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("serve quiet");
    TCase *t = tcase_create("serve quiet");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, counters_count);
    tcase_add_loop_test(t, calls_of_a_reader_take_nothing, 0, FAMILY_COUNT);
    suite_add_tcase(suite, t);
    return suite;
}
