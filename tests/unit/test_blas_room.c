/* test_blas_room.c - OpenBLAS's buffers: contexts that find no address space for them are refused
 * instead of spinning, and more host threads than there are buffers take turns. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "nets.h"

/* There if BLAS is OpenBLAS. */
extern const char *openblas_get_config(void) __attribute__((weak));

/* Address space can be limited where there is no sanitizer, which needs terabytes. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define LIMITS 0
#else
#define LIMITS 1
#endif
#define SECONDS 60 /* a child that takes longer hangs */
#define ROWS 64

/* Of this process, in bytes. */
static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%lu", &pages) != 1) pages = 0;
    fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit_space(size_t more)
{
    const struct rlimit limit = { address_space() + more, RLIM_INFINITY };
    (void)setrlimit(RLIMIT_AS, &limit);
}

/* In a child: libcheck's own handler would end the whole group. */
static void limit_time(void)
{
    (void)signal(SIGALRM, SIG_DFL);
    alarm(SECONDS);
}

typedef struct told {
    char line[512];
} told;

static void tell(void *user, int32_t level, const char *line)
{
    told *t = user;
    if (level == GM_LOG_ERROR) snprintf(t->line, sizeof t->line, "%s", line);
}

static gm_status create(gm_context **ctx, int32_t threads, int32_t blas, told *t)
{
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    o.seed = 3;
    o.threads = threads;
    o.blas_threads = blas;
    o.log = tell;
    o.log_user = t;
    t->line[0] = 0;
    return gm_context_create(ctx, GM_HEADER_VERSION, &o);
}

/* A network and its data that take BLAS's buffers; families.h would assert. */
static gm_status steps(gm_context *ctx, uint64_t *bits)
{
    static const int64_t in = 256, out = 512;
    static float rows[ROWS * 256];
    const int64_t shape[2] = { ROWS, in };
    gm_layer *layer = NULL;
    gm_tape *tape = NULL;
    gm_status status = gm_linear_create(&layer, ctx, in, out, NULL);
    if (!status) status = gm_tape_create(&tape, ctx, NULL);
    for (int i = 0; i < 3 && !status; i++) {
        gm_tape_reset(tape);
        gm_var loss = gm_mean(tape, gm_apply(tape, layer, gm_input_array(tape, 2, shape, rows)));
        status = gm_backward(tape, loss, gm_layer_params(layer));
        const float value = status ? 0 : (float)gm_scalar(tape, loss);
        uint32_t word;
        memcpy(&word, &value, sizeof word);
        *bits = *bits * 31 + word;
    }
    gm_tape_release(tape);
    gm_layer_release(layer);
    return status;
}

/* What a child found: 0 as it should be. */
enum { FINE, NO_REFUSAL, WRONG_STATUS, WRONG_LINE, NOT_LATER, WRONG_STEP };

static int refused_child(void)
{
    gm_context *ctx = NULL;
    told t;
    limit_time();
    limit_space((size_t)100 << 20);
    const gm_status status = create(&ctx, 1, 1, &t);
    if (!status) return NO_REFUSAL;
    if (status != GM_E_NOMEM || ctx) return WRONG_STATUS;
    if (!strstr(t.line, "threads is 1") || !strstr(t.line, "128 MB") || !strstr(t.line, "BLAS"))
        return WRONG_LINE;
    limit_space((size_t)1 << 30);
    uint64_t bits = 0;
    if (create(&ctx, 1, 1, &t) || steps(ctx, &bits)) return NOT_LATER;
    gm_context_release(ctx);
    return FINE;
}

static int any_limit_child(size_t more, int32_t threads)
{
    gm_context *ctx = NULL;
    told t;
    uint64_t bits = 0;
    limit_time();
    limit_space(more);
    gm_status status = create(&ctx, threads, 1, &t);
    if (status) return status == GM_E_NOMEM && t.line[0] ? FINE : WRONG_STATUS;
    limit_space(0); /* and from now on there is nothing more */
    status = steps(ctx, &bits);
    if (status && status != GM_E_NOMEM) return WRONG_STEP;
    gm_context_release(ctx);
    return FINE;
}

static void check_child(pid_t child, const char *what, size_t more, int32_t threads)
{
    int state = 0;
    ck_assert_int_ge(child, 0);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_msg(WIFEXITED(state) && WEXITSTATUS(state) == FINE,
                  "%s, %zu MB more, %d threads: the child %s %d", what, more >> 20, (int)threads,
                  WIFSIGNALED(state) ? "died of signal" : "found fault",
                  WIFSIGNALED(state) ? WTERMSIG(state) : WEXITSTATUS(state));
}

/* Both before this process has made a context, whose buffers children would inherit. */
START_TEST(without_address_space_a_context_is_refused)
{
    pid_t child = fork();
    if (!child) _exit(refused_child());
    check_child(child, "refused", 100 << 20, 1);
}
END_TEST

START_TEST(no_limit_of_address_space_makes_it_spin)
{
    for (size_t more = 0; more < (size_t)700 << 20; more += (size_t)20 << 20)
        for (int32_t threads = 1; threads <= 3; threads++) {
            pid_t child = fork();
            if (!child) _exit(any_limit_child(more, threads));
            check_child(child, "any limit", more, threads);
        }
}
END_TEST

#define HOSTS 300
#ifdef __SANITIZE_THREAD__ /* which does not see inside of OpenBLAS's threads */
#define BLAS_THREADS 1
#else
#define BLAS_THREADS 2
#endif

typedef struct host {
    pthread_t thread;
    pthread_barrier_t *go;
    gm_status status;
    uint64_t bits;
} host;

static void *serve(void *arg)
{
    host *h = arg;
    gm_context *ctx = NULL;
    told t;
    h->status = create(&ctx, 1, BLAS_THREADS, &t);
    pthread_barrier_wait(h->go);
    if (!h->status) h->status = steps(ctx, &h->bits);
    gm_context_release(ctx);
    return NULL;
}

/* With BLAS's own threads, for which products wait with their buffers in their hands. */
START_TEST(hundreds_of_host_threads_take_turns)
{
    static host hosts[HOSTS];
    pthread_barrier_t go;
    pthread_attr_t attr;
    ck_assert_int_eq(pthread_barrier_init(&go, NULL, HOSTS), 0);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 1 << 20);
    for (int i = 0; i < HOSTS; i++) {
        hosts[i].go = &go;
        ck_assert_int_eq(pthread_create(&hosts[i].thread, &attr, serve, &hosts[i]), 0);
    }
    for (int i = 0; i < HOSTS; i++) pthread_join(hosts[i].thread, NULL);
    for (int i = 0; i < HOSTS; i++) {
        ck_assert_int_eq(hosts[i].status, GM_OK);
        ck_assert_uint_eq(hosts[i].bits, hosts[0].bits);
    }
    pthread_attr_destroy(&attr);
    pthread_barrier_destroy(&go);
}
END_TEST

/* A context may ask for more threads than OpenBLAS has places for. */
START_TEST(more_workers_than_places_take_turns)
{
    gm_context *ctx = NULL;
    told t;
    uint64_t bits[2] = { 0, 0 };
    ck_assert_int_eq(create(&ctx, 1, 1, &t), GM_OK);
    support_ok(ctx, steps(ctx, &bits[0]));
    gm_context_release(ctx);
    ck_assert_int_eq(create(&ctx, 256, 1, &t), GM_OK);
    support_ok(ctx, steps(ctx, &bits[1]));
    gm_context_release(ctx);
    ck_assert_uint_eq(bits[0], bits[1]);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("blas_room");
    TCase *t = tcase_create("blas_room");
    tcase_set_timeout(t, 600);
    if (LIMITS && openblas_get_config) {
        tcase_add_test(t, without_address_space_a_context_is_refused);
        tcase_add_test(t, no_limit_of_address_space_makes_it_spin);
    }
    tcase_add_test(t, hundreds_of_host_threads_take_turns);
    tcase_add_test(t, more_workers_than_places_take_turns);
    suite_add_tcase(s, t);
    return s;
}
