/* process.c - every source of memory in the process fails, the C library's malloc for whoever calls
 * it (this library, zlib, threads, folders' listings), and not only the context's allocator: once,
 * or from then on. The status is right, nothing is printed or lost, the old file or the new one is
 * there, and the same life without failures gives the bytes of one that was not disturbed.
 *
 * Each point is a process of its own, forked from one that has used BLAS: OpenBLAS takes memory
 * with its first product, and waits for ever when there is none (docs/reliability.md).
 *
 * GM_POINTS=2000 in the environment takes so many points of each life, instead of a few. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "families.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#define COLUMNS 8
#define WIDEST (2 * COLUMNS) /* linear_ar's rows */
#define ROWS 12
#define FEW 20

/* --- malloc and its kin, in the place of the C library's. */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *pointer);

static int64_t calls, live;
static int64_t first_failing = -1; /* -1: none */
static int from_then_on;

static int fails(void)
{
    const int64_t call = calls++;
    if (first_failing < 0 || call < first_failing) return 0;
    if (call > first_failing && !from_then_on) return 0;
    errno = ENOMEM;
    return 1;
}

static void *count(void *pointer)
{
    live += pointer != NULL;
    return pointer;
}

void *malloc(size_t size)
{
    return fails() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *pointer, size_t size)
{
    if (fails()) return NULL;
    void *moved = __libc_realloc(pointer, size);
    live += moved && !pointer;
    return moved;
}

void *memalign(size_t align, size_t size)
{
    return fails() ? NULL : count(__libc_memalign(align, size));
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    void *p = memalign(align, size);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

void free(void *pointer)
{
    live -= pointer != NULL;
    __libc_free(pointer);
}

/* --- One life: load, fit, save, answers. */

static char folder[SUPPORT_PATH], from[SUPPORT_PATH + 16], to[SUPPORT_PATH + 16];

/* whole 0: up to the fit. */
static gm_status live_once(int whole)
{
    gm_context *ctx = NULL;
    gm_model *model = NULL;
    gm_dataset *data = NULL;
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    float rows[ROWS * WIDEST] = { 0 };
    double log_p[ROWS];
    gm_status s;
    options.seed = 3;
    for (int i = 0; i < ROWS * WIDEST; i++) rows[i] = (float)(i * 7 % 3 == 0);
    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, &options))) goto out;
    if ((s = gm_model_load(&model, ctx, from))) goto out;
    if (gm_model_supports(model, GM_VERB_FIT)) {
        const int64_t shape[2] = { ROWS, gm_model_row_size(model) };
        fit.epochs = 1;
        fit.batch = 6;
        fit.checkpoint = to;
        if ((s = gm_dataset_from_memory(&data, ctx, 2, shape, rows))) goto out;
        if ((s = gm_model_fit(model, data, &fit))) goto out;
    }
    if (!whole) goto out;
    if (gm_model_supports(model, GM_VERB_LOG_PROB) &&
        (s = gm_model_log_prob(model, rows, ROWS, log_p)))
        goto out;
    if (gm_model_supports(model, GM_VERB_SAMPLE) &&
        (s = gm_model_sample_into(model, ROWS, NULL, rows)))
        goto out;
    s = gm_model_save_checkpoint(model, to);
out:
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(ctx);
    return s;
}

typedef struct bytes {
    size_t count;
    char at[65536];
} bytes;

static void take(bytes *b, const char *path)
{
    b->count = 0;
    const int fd = open(path, O_RDONLY);
    if (fd < 0) return;
    const ssize_t got = read(fd, b->at, sizeof b->at);
    b->count = got > 0 ? (size_t)got : 0;
    close(fd);
}

static int same(const bytes *a, const bytes *b)
{
    return a->count == b->count && !memcmp(a->at, b->at, a->count);
}

static bytes old_file, after_fit, new_file, found;

static int put_old_file(void)
{
    const int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int wrong = fd < 0 || write(fd, old_file.at, old_file.count) != (ssize_t)old_file.count;
    if (fd >= 0) close(fd);
    return wrong;
}

/* --- One point: a process that ends with 0, or with what is wrong. */

static const char *const wrongs[] = { "",
                                      "no file",
                                      "another status than GM_OK or GM_E_NOMEM",
                                      "blocks are lost",
                                      "neither the old file nor a new one",
                                      "a temporary file is left",
                                      "the second try fails",
                                      "the second try gives other bytes",
                                      "something is printed" };

static int files(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n - 2;
}

static int examine(int64_t point, int always, const char *printed)
{
    struct stat info;
    if (put_old_file()) return 1;
    const int fd = open(printed, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) return 1;
    const int before = files();
    const int64_t blocks = live;
    calls = 0;
    from_then_on = always;
    first_failing = point;
    gm_status status = live_once(1);
    first_failing = -1;
    if (status != GM_OK && status != GM_E_NOMEM) return 2;
    if (live != blocks) return 3;
    take(&found, to);
    if (!same(&found, &old_file) && !same(&found, &after_fit) && !same(&found, &new_file)) return 4;
    if (files() != before) return 5;
    status = live_once(1);
    if (status) return 6;
    take(&found, to);
    if (!same(&found, &new_file)) return 7;
    fflush(NULL);
    return fstat(1, &info) || info.st_size ? 8 : 0;
}

static void point(const char *family, int64_t at, int always)
{
    char printed[SUPPORT_PATH + 16];
    int how = 0;
    snprintf(printed, sizeof printed, "%s/printed", folder);
    fflush(NULL);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        alarm(60); /* one that never ends is a failure, too */
        _exit(examine(at, always, printed));
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how), "%s: call %lld of malloc fails%s: signal %d", family,
                  (long long)at, always ? ", and all after it" : "", WTERMSIG(how));
    const int wrong = WEXITSTATUS(how);
    ck_assert_msg(!wrong, "%s: call %lld of malloc fails%s: %s", family, (long long)at,
                  always ? ", and all after it" : "",
                  wrong < (int)(sizeof wrongs / sizeof *wrongs) ? wrongs[wrong] : "?");
}

/* The files that may be there: the one before, what fit writes, what is saved in the end. */
static void prepare(int which)
{
    const family_size size = { COLUMNS, 6, 4 };
    gm_context *ctx = support_context(5, 1);
    gm_model *model = family_make(ctx, which, &size);
    ck_assert_int_le(gm_model_row_size(model), WIDEST);
    support_ok(ctx, gm_model_save_checkpoint(model, from));
    gm_model_release(model);
    gm_context_release(ctx);
    take(&old_file, from);
    ck_assert(old_file.count > 0 && old_file.count < sizeof old_file.at);
    ck_assert_int_eq(put_old_file(), 0);
    ck_assert_int_eq(live_once(0), GM_OK); /* BLAS has its memory now */
    take(&after_fit, to);
    ck_assert_int_eq(live_once(1), GM_OK);
    take(&new_file, to);
    ck_assert(new_file.count > 0 && new_file.count < sizeof new_file.at);
}

START_TEST(each_call_fails)
{
    const char *wish = getenv("GM_POINTS");
    const int64_t most = wish ? atoll(wish) : FEW;
    support_memory_folder();
    support_folder_make(folder);
    snprintf(from, sizeof from, "%s/from", folder);
    snprintf(to, sizeof to, "%s/to", folder);
    prepare(_i);
    calls = 0;
    ck_assert_int_eq(live_once(1), GM_OK);
    const int64_t all = calls < 2000 || !wish ? calls : 2000;
    const int64_t stride = all > most ? all / most : 1;
    int64_t points = 0;
    for (int always = 0; always < 2; always++)
        for (int64_t n = 0; n < all; n += stride, points++) point(families[_i].name, n, always);
    printf("process: %lld points of %lld calls: %s\n", (long long)points, (long long)all,
           families[_i].name);
    support_folder_remove(folder);
}
END_TEST

#define CASES FAMILY_COUNT
#else
START_TEST(each_call_fails)
{
    printf("process: needs glibc, and malloc for itself: left out\n");
}
END_TEST
#define CASES 1
#endif

Suite *gm_suite(void)
{
    Suite *s = suite_create("memory of the process");
    TCase *t = tcase_create("process");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, each_call_fails, 0, CASES);
    suite_add_tcase(s, t);
    return s;
}
