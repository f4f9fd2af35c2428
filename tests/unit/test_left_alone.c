/* test_left_alone.c - what of the host's process a life of each family leaves as it was: output,
 * signals, locale, random numbers, floating-point mode, folder, descriptors, environment. */
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "families.h"

#define COLUMNS 8
#define ROWS 20
#define SIGNALS 32

/* The mode of the processor's arithmetic without the flags of what has happened. */
static unsigned mode_of_arithmetic(void)
{
#if defined(__x86_64__)
    return _mm_getcsr() & ~0x3fu;
#else
    return (unsigned)fegetround();
#endif
}

static int descriptors(void)
{
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    if (!all) return 0;
    while (readdir(all)) count++;
    closedir(all);
    return count;
}

typedef struct world {
    struct sigaction handler[SIGNALS];
    sigset_t mask;
    char locale[256], folder[SUPPORT_PATH];
    unsigned arithmetic;
    mode_t creation;
    int descriptors, random;
    size_t environment;
} world;

extern char **environ;

static world look(void)
{
    world w;
    memset(&w, 0, sizeof w);
    for (int i = 1; i < SIGNALS; i++) (void)sigaction(i, NULL, &w.handler[i]);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &w.mask), 0);
    snprintf(w.locale, sizeof w.locale, "%s", setlocale(LC_ALL, NULL));
    ck_assert_ptr_nonnull(getcwd(w.folder, sizeof w.folder));
    w.arithmetic = mode_of_arithmetic();
    w.creation = umask(0);
    umask(w.creation);
    w.descriptors = descriptors();
    for (char **e = environ; *e; e++)
        for (const char *c = *e; *c; c++) w.environment = 31 * w.environment + (unsigned char)*c;
    return w;
}

static void looks_alike(const world *a, const world *b, const char *family)
{
    for (int i = 1; i < SIGNALS; i++)
        ck_assert_msg(a->handler[i].sa_handler == b->handler[i].sa_handler &&
                          a->handler[i].sa_flags == b->handler[i].sa_flags,
                      "%s: signal %d has another handler", family, i);
    for (int i = 1; i < SIGNALS; i++)
        ck_assert_msg(sigismember(&a->mask, i) == sigismember(&b->mask, i),
                      "%s: signal %d is blocked as it was not", family, i);
    ck_assert_str_eq(a->locale, b->locale);
    ck_assert_str_eq(a->folder, b->folder);
    ck_assert_msg(a->arithmetic == b->arithmetic, "%s: the mode of arithmetic is %x, was %x",
                  family, b->arithmetic, a->arithmetic);
    ck_assert_int_eq((int)a->creation, (int)b->creation);
    ck_assert_msg(a->descriptors == b->descriptors, "%s: %d open files, were %d", family,
                  b->descriptors, a->descriptors);
    ck_assert_uint_eq(a->environment, b->environment);
}

/* What can be done with a model, and what cannot. */
static void live(int which, const char *folder)
{
    const family_size size = { COLUMNS, 6, 4 };
    char path[SUPPORT_PATH + 32];
    float rows[ROWS * COLUMNS] = { 0 };
    double log_p[ROWS];
    gm_context *ctx = support_context(5, 2);
    gm_model *model = family_make(ctx, which, &size), *loaded = NULL;
    gm_dataset *data = NULL;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 2;
    fit.batch = 5;
    snprintf(path, sizeof path, "%s/model", folder);
    fit.checkpoint = path;
    data = nets_bits(ctx, ROWS, gm_model_row_size(model));
    if (gm_model_supports(model, GM_VERB_FIT)) support_ok(ctx, gm_model_fit(model, data, &fit));
    ck_assert_int_le(gm_model_row_size(model), 2 * COLUMNS);
    if (gm_model_supports(model, GM_VERB_LOG_PROB))
        support_ok(ctx, gm_model_log_prob(model, rows, ROWS / 2, log_p));
    if (gm_model_supports(model, GM_VERB_SAMPLE))
        support_ok(ctx, gm_model_sample_into(model, ROWS / 2, NULL, rows));
    support_ok(ctx, gm_model_save_checkpoint(model, path));
    support_ok(ctx, gm_model_load(&loaded, ctx, path));
    gm_model_release(loaded);
    fit.epochs = 0;
    if (gm_model_supports(model, GM_VERB_FIT))
        support_fails(ctx, gm_model_fit(model, data, &fit), GM_E_INVALID, "epochs is 0");
    support_fails(ctx, gm_model_load(&loaded, ctx, folder), GM_E_IO, "directory");
    support_fails(ctx, gm_model_save(model, folder), GM_E_IO, "directory");
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(ctx);
}

static int kept[2]; /* where descriptors 1 and 2 led, while they lead to a file */

static void catch_output(const char *path)
{
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(file, 0);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        kept[i] = dup(1 + i);
        ck_assert_int_ge(dup2(file, 1 + i), 0);
    }
    close(file);
}

/* After each test, so that what a failing one has to say is seen. */
static void give_output_back(void)
{
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        if (!kept[i]) continue;
        ck_assert_int_ge(dup2(kept[i], 1 + i), 0);
        close(kept[i]);
        kept[i] = 0;
    }
}

START_TEST(a_life_of_each_family_changes_nothing)
{
    char folder[SUPPORT_PATH], output[SUPPORT_PATH + 32];
    struct stat info;
    support_memory_folder();
    support_folder_make(folder);
    snprintf(output, sizeof output, "%s/output", folder);
    srand(7);
    const int first = rand(), second = rand();
    const world before = look();
    srand(7);
    ck_assert_int_eq(rand(), first);
    catch_output(output);
    live(_i, folder);
    give_output_back();
    ck_assert_int_eq(stat(output, &info), 0);
    const world after = look();
    ck_assert_msg(info.st_size == 0, "%s: %lld bytes are printed", families[_i].name,
                  (long long)info.st_size);
    ck_assert_int_eq(rand(), second);
    looks_alike(&before, &after, families[_i].name);
    support_folder_remove(folder);
}
END_TEST

/* A host that rounds upwards and flushes denormals, with signals blocked, finds it so after. */
START_TEST(nor_where_the_host_has_its_own_mode)
{
    char folder[SUPPORT_PATH];
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    support_memory_folder();
    support_folder_make(folder);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &some, &before), 0);
    ck_assert_int_eq(fesetround(FE_UPWARD), 0);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u);
#endif
    const world own = look();
    live(_i, folder);
    const world after = look();
    ck_assert_int_eq(fesetenv(FE_DFL_ENV), 0);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    looks_alike(&own, &after, families[_i].name);
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("left alone");
    TCase *t = tcase_create("families");
    tcase_set_timeout(t, 0);
    tcase_add_checked_fixture(t, NULL, give_output_back);
    tcase_add_loop_test(t, a_life_of_each_family_changes_nothing, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, nor_where_the_host_has_its_own_mode, 0, FAMILY_COUNT);
    suite_add_tcase(s, t);
    return s;
}
