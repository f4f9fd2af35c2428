/* kills.c - fits with random options, of every family, in a process of their own that is killed at
 * random points, in the middle of writing, too, and made again until they come to their end: the
 * bytes are those of the undisturbed fit. And disks that are full, or whose files cannot be written
 * for other reasons: the old file is whole, the line says why, and the fit goes on.
 *
 * KILLS says how many kills (25), KILLS_SEED which (those of the clock). The linker leads the
 * library's system calls that write through here (--wrap). */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "families.h"

#define ROWS 40
#define EPOCHS 6
static const family_size size = { 6, 12, 4 };

/* --- System calls. */

/* Events are calls that write and, in a life that may be killed, reports of the fit. */
static int64_t none, *events = &none; /* so far; shared with the parent */
static int64_t kill_at, fail_at;      /* at which event; 0: at none */
static int fail_with;                 /* errno */

static int event(void)
{
    if (++*events == kill_at) kill(getpid(), SIGKILL);
    if (*events != fail_at) return 0;
    errno = fail_with;
    return 1;
}

/* Provided by the linker. */
ssize_t __real_write(int fd, const void *bytes, size_t count);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_fchmod(int fd, mode_t mode);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_fchmod(int fd, mode_t mode);

/* A kill finds half of the bytes written. */
ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
    if (*events + 1 == kill_at) (void)__real_write(fd, bytes, count / 2);
    return event() ? -1 : __real_write(fd, bytes, count);
}

int __wrap_fsync(int fd)
{
    return event() ? -1 : __real_fsync(fd);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return event() ? -1 : __real_fchmod(fd, mode);
}

/* Before it, and, for kills, after it. */
int __wrap_rename(const char *from, const char *to)
{
    if (event()) return -1;
    const int failed = __real_rename(from, to);
    if (kill_at) (void)event();
    return failed;
}

/* --- Plans: a family and all options of its fit. */

static uint64_t state = 1; /* splitmix64 (Steele, Lea and Flood 2014) */

static int64_t below(int64_t limit)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (int64_t)((z ^ (z >> 31)) % (uint64_t)limit);
}

typedef struct plan {
    int family;
    int32_t threads, shuffle, drop_last;
    int64_t batch, patience, every, steps;
    int32_t validation, schedule;
    double rate, clip_norm, clip_value, average;
} plan;

static int fits(int family)
{
    gm_context *ctx = support_context(5, 1);
    gm_model *model = family_make(ctx, family, &size);
    const int can = gm_model_supports(model, GM_VERB_FIT);
    gm_model_release(model);
    gm_context_release(ctx);
    return can;
}

static plan plan_make(void)
{
    plan p = { .threads = 1 + (int32_t)below(2), .shuffle = below(4) > 0 };
    do p.family = (int)below(FAMILY_COUNT);
    while (!fits(p.family));
    p.drop_last = below(3) == 0;
    p.batch = 5 + below(12);
    if (p.batch == 13) p.batch = 12; /* 40 rows leave one, which not every family can train on */
    p.validation = below(4) > 0;
    p.patience = p.validation ? below(4) : 0;
    p.every = 1 + below(3);
    p.steps = below(5);
    p.schedule = (int32_t)below(5);
    p.rate = below(2) ? 0.2 : 0.01;
    p.clip_norm = below(2) ? 0.5 : 0;
    p.clip_value = below(2) ? 0.1 : 0;
    p.average = below(2) ? 0.8 : 0;
    return p;
}

static void plan_text(const plan *p, char *text, size_t room)
{
    snprintf(text, room,
             "%s, %d threads, shuffle %d, drop_last %d, batch %lld, validation %d, patience %lld, "
             "checkpoints every %lld epochs and %lld steps, rate %g, schedule %d, clip %g and %g, "
             "average %g",
             families[p->family].name, (int)p->threads, (int)p->shuffle, (int)p->drop_last,
             (long long)p->batch, (int)p->validation, (long long)p->patience, (long long)p->every,
             (long long)p->steps, p->rate, (int)p->schedule, p->clip_norm, p->clip_value,
             p->average);
}

static void set_optimizer(gm_context *ctx, gm_model *model, const plan *p)
{
    gm_optimizer *o = gm_model_optimizer(model);
    gm_schedule s = GM_SCHEDULE_INIT;
    s.kind = p->schedule;
    s.warmup = 3;
    s.period = 20;
    if (s.kind == GM_SCHEDULE_STEP || s.kind == GM_SCHEDULE_EXPONENTIAL) s.factor = 0.9;
    support_ok(ctx, gm_optimizer_set_rate(o, p->rate));
    support_ok(ctx, gm_optimizer_set_schedule(o, &s));
    support_ok(ctx, gm_optimizer_set_clip_norm(o, p->clip_norm));
    support_ok(ctx, gm_optimizer_set_clip_value(o, p->clip_value));
    support_ok(ctx, gm_optimizer_set_average(o, p->average));
}

/* --- One life: a model, from the checkpoint if there is one, and its fit to the end. */

typedef struct life {
    gm_context *ctx;
    gm_model *model;
    gm_dataset *data, *check;
    gm_fit_options o;
} life;

static int32_t tick(void *user, const gm_fit_report *report)
{
    (void)user;
    (void)report;
    if (!fail_at) (void)event();
    return 0;
}

static void path_in(char path[SUPPORT_PATH + 16], const char *folder, const char *name)
{
    snprintf(path, SUPPORT_PATH + 16, "%s/%s", folder, name);
}

static life life_begin(const plan *p, const char *checkpoint)
{
    life l = { .ctx = support_context(5, p->threads) };
    if (access(checkpoint, F_OK)) {
        l.model = family_make(l.ctx, p->family, &size);
        set_optimizer(l.ctx, l.model, p);
    } else {
        support_ok(l.ctx, gm_model_load(&l.model, l.ctx, checkpoint));
    }
    gm_dataset *all = nets_bits(l.ctx, 2 * ROWS, gm_model_row_size(l.model));
    support_ok(l.ctx, gm_dataset_range(&l.data, all, 0, ROWS));
    support_ok(l.ctx, gm_dataset_range(&l.check, all, ROWS + 10, 2 * ROWS));
    gm_dataset_release(all);
    l.o = (gm_fit_options)GM_FIT_OPTIONS_INIT;
    l.o.batch = p->batch;
    l.o.shuffle = p->shuffle;
    l.o.drop_last = p->drop_last;
    l.o.on_report = tick;
    l.o.validation = p->validation ? l.check : NULL;
    l.o.patience = p->patience;
    l.o.checkpoint = checkpoint;
    l.o.checkpoint_every = p->every;
    l.o.checkpoint_steps = p->steps;
    l.o.epochs = EPOCHS - gm_model_epochs(l.model);
    return l;
}

static void life_end(life *l)
{
    gm_model_release(l->model);
    gm_dataset_release(l->check);
    gm_dataset_release(l->data);
    gm_context_release(l->ctx);
}

static gm_status life_fit(life *l)
{
    l->o.epochs = EPOCHS - gm_model_epochs(l->model);
    return l->o.epochs > 0 ? gm_model_fit(l->model, l->data, &l->o) : GM_OK;
}

/* The whole of it: the checkpoints in FOLDER/fit, the end in FOLDER/end. */
static void live(const plan *p, const char *folder)
{
    char checkpoint[SUPPORT_PATH + 16], end[SUPPORT_PATH + 16];
    path_in(checkpoint, folder, "fit");
    path_in(end, folder, "end");
    life l = life_begin(p, checkpoint);
    *events = 0;
    support_ok(l.ctx, life_fit(&l));
    support_ok(l.ctx, gm_model_save_checkpoint(l.model, end));
    life_end(&l);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* In a process of its own, killed at an event (0: at none) or, from here, after some microseconds
 * (-1: not). 1: it was killed, 0: it came to its end. */
static int live_in_child(const plan *p, const char *folder, int64_t at_event, int64_t after)
{
    int how = 0;
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        alarm(60);
        kill_at = at_event;
        live(p, folder);
        _exit(0);
    }
    if (after >= 0) {
        const struct timespec pause = { after / 1000000, after % 1000000 * 1000 };
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) return 1;
    ck_assert_msg(WIFEXITED(how) && !WEXITSTATUS(how), "a life ended with 0x%x", (unsigned)how);
    return 0;
}

/* --- Comparing. */

static char *read_file(const char *folder, const char *name, size_t *bytes)
{
    char path[SUPPORT_PATH + 16];
    path_in(path, folder, name);
    FILE *f = fopen(path, "rb");
    *bytes = 0;
    if (!f) return NULL;
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(f);
    rewind(f);
    char *content = malloc(*bytes + 1);
    ck_assert(content && fread(content, 1, *bytes, f) == *bytes);
    fclose(f);
    return content;
}

static int same_files(const char *a, const char *b, const char *name)
{
    size_t na, nb;
    char *x = read_file(a, name, &na), *y = read_file(b, name, &nb);
    const int same = !x == !y && na == nb && (!x || !memcmp(x, y, na));
    free(y);
    free(x);
    return same;
}

/* Nothing but the two files. */
static int is_tidy(const char *folder)
{
    int others = 0;
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    for (const struct dirent *e; (e = readdir(entries));)
        others += strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, "fit") &&
                  strcmp(e->d_name, "end");
    closedir(entries);
    return !others;
}

/* --- Kills. */

static int64_t number_from(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text && text[0] ? strtoll(text, NULL, 10) : otherwise;
}

/* A plan undisturbed, then with up to four kills. How many there were. */
static int64_t kill_some(int64_t most)
{
    char whole[SUPPORT_PATH], killed[SUPPORT_PATH], text[512];
    const plan p = plan_make();
    int64_t kills = 0;
    plan_text(&p, text, sizeof text);
    support_folder_make(whole);
    support_folder_make(killed);
    const int64_t begin = now();
    ck_assert_int_eq(live_in_child(&p, whole, 0, -1), 0);
    const int64_t time = now() - begin, all = *events;
    ck_assert_int_gt(all, EPOCHS);
    const int64_t some = 1 + below(4);
    if (most > some) most = some;
    for (int tries = 0; kills < most && tries < 20; tries++)
        kills += below(2) ? live_in_child(&p, killed, 1 + below(all), -1)
                          : live_in_child(&p, killed, 0, below(time));
    ck_assert_int_eq(live_in_child(&p, killed, 0, -1), 0);
    ck_assert_msg(same_files(whole, killed, "fit"), "other checkpoints after %lld kills: %s",
                  (long long)kills, text);
    ck_assert_msg(same_files(whole, killed, "end"), "another end after %lld kills: %s",
                  (long long)kills, text);
    ck_assert_msg(is_tidy(killed), "files are left over after %lld kills: %s", (long long)kills,
                  text);
    support_folder_remove(killed);
    support_folder_remove(whole);
    return kills;
}

START_TEST(kills)
{
    const int64_t count = number_from("KILLS", 25), seed = number_from("KILLS_SEED", now());
    int64_t done = 0, plans = 0;
    events = mmap(NULL, sizeof *events, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(events != MAP_FAILED);
    support_memory_folder();
    state = (uint64_t)seed;
    printf("seed %lld\n", (long long)seed);
    fflush(stdout); /* before processes share it */
    for (; done < count; plans++) done += kill_some(count - done);
    printf("kills: %lld in %lld fits, each with the bytes of the undisturbed one\n",
           (long long)done, (long long)plans);
    munmap(events, sizeof *events);
    events = &none;
}
END_TEST

/* --- Disks. */

/* The reasons in turn, at each call that writes. */
START_TEST(disks_that_fail)
{
    static const struct {
        int number;
        const char *says;
    } reasons[] = { { ENOSPC, "No space left" },
                    { EDQUOT, "quota" },
                    { EIO, "Input/output error" } };
    char whole[SUPPORT_PATH], folder[SUPPORT_PATH], checkpoint[SUPPORT_PATH + 16],
        end[SUPPORT_PATH + 16];
    const plan p = { .family = 1,
                     .threads = 1,
                     .shuffle = 1,
                     .batch = 8,
                     .validation = 1,
                     .patience = 3,
                     .every = 2,
                     .steps = 3,
                     .rate = 0.1,
                     .average = 0.8 };
    support_memory_folder();
    support_folder_make(whole);
    live(&p, whole);
    int64_t failed = 0;
    for (int64_t n = 1, over = 0; !over; n++) {
        support_folder_make(folder);
        path_in(checkpoint, folder, "fit");
        path_in(end, folder, "end");
        life l = life_begin(&p, checkpoint);
        *events = 0;
        fail_at = n;
        fail_with = reasons[n % 3].number;
        const gm_status status = life_fit(&l);
        over = *events < n;
        ck_assert_int_eq(status, over ? GM_OK : GM_E_IO);
        fail_at = 0;
        if (!over) {
            failed++;
            const char *line = gm_context_error(l.ctx);
            ck_assert_msg(strstr(line, checkpoint) && strstr(line, reasons[n % 3].says),
                          "call %lld: \"%s\"", (long long)n, line);
            ck_assert_msg(is_tidy(folder), "call %lld: a file is left", (long long)n);
            if (!access(checkpoint, F_OK)) { /* the old file, or the new one: a whole one */
                life again = life_begin(&p, checkpoint);
                life_end(&again);
            }
            support_ok(l.ctx, life_fit(&l));
        }
        support_ok(l.ctx, gm_model_save_checkpoint(l.model, end));
        ck_assert_msg(same_files(whole, folder, "end"), "call %lld: another end", (long long)n);
        life_end(&l);
        support_folder_remove(folder);
    }
    ck_assert_int_gt(failed, 50);
    printf("disks: %lld calls that fail\n", (long long)failed);
    support_folder_remove(whole);
}
END_TEST

/* Places that cannot take the file from the second epoch on. */

static void folder_away(const char *folder)
{
    support_folder_remove(folder);
}

static void folder_closed(const char *folder)
{
    ck_assert_int_eq(chmod(folder, 0555), 0);
}

static void name_taken(const char *folder)
{
    char path[SUPPORT_PATH + 16];
    path_in(path, folder, "fit");
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void link_in_a_circle(const char *folder)
{
    char path[SUPPORT_PATH + 16];
    path_in(path, folder, "fit");
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(symlink("fit", path), 0);
}

typedef struct place {
    const char *says;
    void (*change)(const char *folder);
    int whole; /* the file of before is still there */
} place;

static const place places[] = {
    { "No such file", folder_away, 0 },
    { "Permission denied", folder_closed, 1 },
    { "is a directory", name_taken, 0 },
    { "symbolic links", link_in_a_circle, 0 },
};
#define PLACES ((int)(sizeof places / sizeof *places))

/* As somebody who is not let in everywhere. */
static void in_place(const place *where)
{
    char folder[SUPPORT_PATH], checkpoint[SUPPORT_PATH + 16];
    const plan p = { .family = 1, .threads = 1, .shuffle = 1, .batch = 8, .every = 1, .rate = 0.1 };
    size_t before = 0, after = 0;
    if (!geteuid()) ck_assert_int_eq(seteuid(65534), 0);
    support_folder_make(folder);
    path_in(checkpoint, folder, "fit");
    life l = life_begin(&p, checkpoint);
    l.o.epochs = 1;
    support_ok(l.ctx, gm_model_fit(l.model, l.data, &l.o));
    char *old = read_file(folder, "fit", &before);
    where->change(folder);
    support_fails(l.ctx, life_fit(&l), GM_E_IO, where->says);
    ck_assert_msg(strstr(gm_context_error(l.ctx), checkpoint), "\"%s\"", gm_context_error(l.ctx));
    if (where->whole) {
        char *now_there = read_file(folder, "fit", &after);
        ck_assert(old && now_there && before == after && !memcmp(old, now_there, before));
        free(now_there);
        ck_assert_int_eq(chmod(folder, 0755), 0);
    }
    l.o.checkpoint = NULL;
    support_ok(l.ctx, life_fit(&l)); /* the model is none the worse for it */
    ck_assert_int_eq(gm_model_epochs(l.model), EPOCHS);
    free(old);
    life_end(&l);
    chmod(folder, 0755);
    remove(checkpoint);
    support_folder_remove(folder);
}

START_TEST(places_that_take_nothing)
{
    int how = 0;
    support_memory_folder();
    fflush(stdout);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        alarm(60);
        in_place(&places[_i]);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how) && !WEXITSTATUS(how), "\"%s\": 0x%x", places[_i].says,
                  (unsigned)how);
}
END_TEST

/* A link is replaced, what it points to stays; a name may be as long as the system lets it, and one
 * that is longer is refused before anything is trained in vain. */
START_TEST(links_and_long_names)
{
    char folder[SUPPORT_PATH], checkpoint[SUPPORT_PATH + 16], other[SUPPORT_PATH + 16],
        name[SUPPORT_PATH + 300];
    const plan p = { .family = 1, .threads = 1, .shuffle = 1, .batch = 8, .every = 1, .rate = 0.1 };
    size_t bytes;
    struct stat what;
    support_memory_folder();
    support_folder_make(folder);
    path_in(checkpoint, folder, "fit");
    path_in(other, folder, "other");
    life l = life_begin(&p, checkpoint);
    support_file_write(other, "other", 5);
    ck_assert_int_eq(symlink("other", checkpoint), 0);
    l.o.epochs = 1;
    support_ok(l.ctx, gm_model_fit(l.model, l.data, &l.o));
    ck_assert(!lstat(checkpoint, &what) && S_ISREG(what.st_mode));
    char *kept = read_file(folder, "other", &bytes);
    ck_assert(kept && bytes == 5 && !memcmp(kept, "other", 5));
    free(kept);
    for (int length = 254; length <= 257; length++) {
        const int fitting = length <= 255, at = snprintf(name, sizeof name, "%s/", folder);
        memset(name + at, 'x', (size_t)length);
        name[at + length] = '\0';
        l.o.checkpoint = name;
        if (fitting)
            support_ok(l.ctx, gm_model_fit(l.model, l.data, &l.o));
        else
            support_fails(l.ctx, gm_model_fit(l.model, l.data, &l.o), GM_E_IO, "name too long");
    }
    life_end(&l);
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("kills");
    TCase *t = tcase_create("kills");
    tcase_set_timeout(t, 1200);
    tcase_add_test(t, kills);
    tcase_add_test(t, disks_that_fail);
    tcase_add_loop_test(t, places_that_take_nothing, 0, PLACES);
    tcase_add_test(t, links_and_long_names);
    suite_add_tcase(s, t);
    return s;
}
