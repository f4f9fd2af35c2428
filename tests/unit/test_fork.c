/* test_fork.c - a process that forks while contexts have workers: on both sides what was made goes
 * on with the same bits, and everything can be released. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/context.h"
#include "families.h"

/* There if BLAS is OpenBLAS. The OpenMP of others hangs in the child of a process that used it. */
extern const char *openblas_get_config(void) __attribute__((weak));

#ifdef __SANITIZE_THREAD__ /* which does not see inside of OpenBLAS, and starts no threads in a    \
                              child */
#define STARTS_THREADS 0
#else
#define STARTS_THREADS 1
#endif
#define SECONDS 60 /* a side that takes longer hangs */
#define ROWS 64
static const family_size small = { 6, 16, 3 };
static const family_size wide = { 196, 512, 20 }; /* products of several tiles */

/* What both sides leave here, in memory that they share. */
typedef struct side {
    gm_status fit, sample;
    uint64_t weights, samples;
} side;

static uint64_t hash(uint64_t h, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) h = (h ^ at[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

/* In the child: libcheck has a handler of its own, which ends the whole group. */
static void limit_time(void)
{
    (void)signal(SIGALRM, SIG_DFL);
    alarm(SECONDS);
}

typedef struct home {
    gm_context *ctx;
    gm_model *model;
    gm_dataset *data;
    float *rows;
    int64_t width;
} home;

static void home_open(home *h, int which, const family_size *size, int32_t threads, int32_t blas)
{
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    o.seed = 3;
    o.threads = threads;
    o.blas_threads = blas;
    memset(h, 0, sizeof *h);
    ck_assert_int_eq(gm_context_create(&h->ctx, GM_HEADER_VERSION, &o), GM_OK);
    h->model = family_make(h->ctx, which, size);
    h->width = gm_model_row_size(h->model);
    const int64_t shape[2] = { ROWS, h->width };
    h->rows = calloc((size_t)(ROWS * h->width), sizeof *h->rows);
    ck_assert_ptr_nonnull(h->rows);
    for (int64_t i = 0; i < ROWS * h->width; i++) h->rows[i] = i * 7919 % 13 < 5 ? 1 : 0;
    support_ok(h->ctx, gm_dataset_from_memory(&h->data, h->ctx, 2, shape, h->rows));
}

static gm_status home_fit(home *h)
{
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 1;
    fit.batch = 32;
    return gm_model_supports(h->model, GM_VERB_FIT) ? gm_model_fit(h->model, h->data, &fit) : GM_OK;
}

/* Fits, samples and notes what came of it. */
static void home_use(home *h, side *out)
{
    gm_params *params = gm_model_params(h->model);
    const int64_t count = gm_params_elements(params);
    float *weights = calloc((size_t)count, sizeof *weights);
    out->fit = home_fit(h);
    if (gm_model_supports(h->model, GM_VERB_SAMPLE))
        out->sample = gm_model_sample_into(h->model, ROWS, NULL, h->rows);
    out->samples = hash(0, h->rows, (size_t)(ROWS * h->width) * sizeof *h->rows);
    if (weights && !gm_params_read(params, count, weights))
        out->weights = hash(0, weights, (size_t)count * sizeof *weights);
    free(weights);
}

static void home_close(home *h)
{
    gm_dataset_release(h->data);
    gm_model_release(h->model);
    gm_context_release(h->ctx);
    free(h->rows);
}

static void check_exit(pid_t child, const char *what, int32_t threads)
{
    int state = 0;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_msg(WIFEXITED(state) && WEXITSTATUS(state) == 0, "%s, %d threads: the child %s %d",
                  what, (int)threads, WIFSIGNALED(state) ? "died of signal" : "ended with",
                  WIFSIGNALED(state) ? WTERMSIG(state) : WEXITSTATUS(state));
}

/* One fork: the child uses (or only releases) what the parent made, and so does the parent. */
static void fork_once(int which, const family_size *size, int32_t threads, int32_t blas, int use,
                      long pause)
{
    home h;
    side *sides =
        mmap(NULL, 2 * sizeof *sides, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(sides, MAP_FAILED);
    memset(sides, 0, 2 * sizeof *sides);
    home_open(&h, which, size, threads, blas);
    support_ok(h.ctx, home_fit(&h));
    const struct timespec wait = { 0, pause }; /* workers spin after a job, then they sleep */
    nanosleep(&wait, NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        limit_time();
        if (use) home_use(&h, &sides[1]);
        home_close(&h);
        _exit(0);
    }
    home_use(&h, &sides[0]);
    home_close(&h);
    check_exit(child, families[which].name, threads);
    ck_assert_int_eq(sides[0].fit, GM_OK);
    ck_assert_int_eq(sides[0].sample, GM_OK);
    if (use)
        ck_assert_msg(!memcmp(&sides[0], &sides[1], sizeof *sides),
                      "%s, %d threads: the child fits %s, samples %s; bits differ",
                      families[which].name, (int)threads, gm_status_name(sides[1].fit),
                      gm_status_name(sides[1].sample));
    munmap(sides, 2 * sizeof *sides);
}

static int find_family(const char *name)
{
    for (int i = 0; i < FAMILY_COUNT; i++)
        if (!strcmp(families[i].name, name)) return i;
    ck_abort_msg("no family %s", name);
    return 0;
}

START_TEST(both_sides_go_on_with_the_same_bits)
{
    static const int32_t threads[] = { 1, 2, 8 };
    for (int t = 0; t < 3; t++)
        for (int use = 0; use < 2; use++)
            for (int i = 0; i < 4; i++)
                fork_once(find_family("vae"), &wide, threads[t], 1, use, i % 2 ? 2000000 : 0);
}
END_TEST

START_TEST(of_every_family)
{
    for (int which = 0; which < FAMILY_COUNT; which++) fork_once(which, &small, 8, 1, 1, 0);
}
END_TEST

/* OpenBLAS stops its threads at a fork and starts others on both sides. */
START_TEST(with_threads_of_blas)
{
    fork_once(find_family("vae"), &wide, 1, 2, 1, 0);
    fork_once(find_family("vae"), &wide, 2, 2, 1, 0);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.blas_threads = 1; /* as for the tests before and after */
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    gm_context_release(ctx);
}
END_TEST

static int32_t fork_inside(void *user, const gm_fit_report *report)
{
    home *h = user;
    (void)report;
    pid_t child = fork();
    if (!child) {
        limit_time();
        (void)h;
        return 1; /* the child leaves the fit */
    }
    check_exit(child, "fork in a callback", gm_context_threads(h->ctx));
    return 0;
}

/* The child is in the middle of the parent's fit: it ends that and releases all. */
START_TEST(inside_a_callback_of_fit)
{
    const pid_t parent = getpid();
    home h;
    home_open(&h, find_family("vae"), &wide, 8, 1);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 2;
    fit.batch = 32;
    fit.on_report = fork_inside;
    fit.user = &h;
    gm_status status = gm_model_fit(h.model, h.data, &fit);
    home_close(&h);
    if (getpid() != parent) _exit(status == GM_E_CANCELLED ? 0 : 1);
    ck_assert_int_eq(status, GM_OK);
}
END_TEST

/* A worker of a server: made after the fork, with workers of its own. */
START_TEST(a_child_makes_contexts_of_its_own)
{
    home h;
    home_open(&h, find_family("vae"), &wide, 8, 1);
    support_ok(h.ctx, home_fit(&h));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        home own;
        limit_time();
        home_open(&own, find_family("vae"), &wide, 8, 1);
        gm_status status = home_fit(&own);
        home_close(&own);
        home_close(&h);
        _exit(status ? 1 : 0);
    }
    check_exit(child, "a context of the child's", 8);
    home_close(&h);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("fork");
    TCase *t = tcase_create("fork");
    tcase_set_timeout(t, 600);
    tcase_add_test(t, both_sides_go_on_with_the_same_bits);
    tcase_add_test(t, of_every_family);
    if (STARTS_THREADS && openblas_get_config) tcase_add_test(t, with_threads_of_blas);
    tcase_add_test(t, inside_a_callback_of_fit);
    if (STARTS_THREADS) tcase_add_test(t, a_child_makes_contexts_of_its_own);
    suite_add_tcase(s, t);
    return s;
}
