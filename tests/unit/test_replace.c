/* test_replace.c - files replaced as a whole: what the system is asked for and in which order, bits
 * of permission, limits, temporary files of the dead and of the living.
 *
 * The library calls the functions below in the place of the C library's: they note what is asked
 * for, fail when told to, and hand on the rest. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "archives.h"
#include "io/replace.h"
#include "io/temporary.h"

/* --- The functions in between. */

enum { NONE, OPEN, WRITE, SYNC, CHMOD, RENAME };
static struct {
    int fail, error, times; /* which call fails, how, and how often */
    int after;              /* so many of them went well */
    int short_writes;       /* one byte each */
    char log[512];          /* what was called */
    int flags;              /* of the latest exclusive creation */
    mode_t mode;
    mode_t while_written; /* the bits that the file has then */
} seen;

static void note(const char *text)
{
    const size_t n = strlen(seen.log);
    snprintf(seen.log + n, sizeof seen.log - n, "%s%s", n ? " " : "", text);
}

static int fails(int call)
{
    if (seen.fail != call || !seen.times || seen.after-- > 0) return 0;
    seen.times--;
    errno = seen.error;
    return 1;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list list;
        va_start(list, flags);
        mode = (mode_t)va_arg(list, int);
        va_end(list);
    }
    if (flags & O_CREAT) {
        note("create");
        if (fails(OPEN)) return -1;
        seen.flags = flags;
        seen.mode = mode;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    struct stat info;
    if (!fstat(fd, &info) && S_ISREG(info.st_mode)) {
        seen.while_written = info.st_mode & 0777;
        note("write");
        if (fails(WRITE)) return -1;
        if (seen.short_writes && n > 1) n = 1;
    }
    return (ssize_t)syscall(SYS_write, fd, bytes, n);
}

int fsync(int fd)
{
    struct stat info;
    note(!fstat(fd, &info) && S_ISDIR(info.st_mode) ? "sync-folder" : "sync");
    return fails(SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fchmod(int fd, mode_t mode)
{
    note("chmod");
    return fails(CHMOD) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int rename(const char *from, const char *to)
{
    note("rename");
    return fails(RENAME) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static void forget(int fail, int error, int times)
{
    memset(&seen, 0, sizeof seen);
    seen.fail = fail;
    seen.error = error;
    seen.times = times;
}

/* --- A file of one text. */

static gm_status put(const char *path, const char *text)
{
    gm_replace r;
    gm_status status = gm_replace_begin(&r, ctx, path);
    if (!status) status = gm_replace_write(&r, text, (int64_t)strlen(text));
    if (!status) status = gm_replace_commit(&r);
    gm_replace_end(&r);
    return status;
}

static void holds(const char *path, const char *text)
{
    uint8_t bytes[256];
    ck_assert_uint_eq(read_file(path, bytes, sizeof bytes), strlen(text));
    ck_assert(!memcmp(bytes, text, strlen(text)));
}

static mode_t bits(const char *path)
{
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    return info.st_mode & 07777;
}

/* The file goes to the disk before it gets its name, and the name after. */
START_TEST(order_of_calls)
{
    forget(NONE, 0, 0);
    support_ok(ctx, put(file, "old"));
    ck_assert_str_eq(seen.log, "create chmod write chmod sync rename sync-folder");
    forget(NONE, 0, 0);
    support_ok(ctx, put(file, "new"));
    ck_assert_str_eq(seen.log, "create write chmod sync rename sync-folder");
    ck_assert_int_eq(seen.flags & (O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC),
                     O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC);
    holds(file, "new");
}
END_TEST

/* A file is its owner's alone while it is written, also before its first byte; then it has the bits
 * of the old one, or of a new one under the process's mask. */
START_TEST(permissions)
{
    const mode_t mask = umask(027);
    forget(NONE, 0, 0);
    support_ok(ctx, put(file, "1"));
    ck_assert_uint_eq(seen.while_written, 0600);
    ck_assert_uint_eq(bits(file), 0640);
    umask(0);
    static const mode_t old[] = { 0600, 0644, 0666, 0400, 0755, 0640 };
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        ck_assert_int_eq(chmod(file, old[i]), 0);
        forget(NONE, 0, 0);
        support_ok(ctx, put(file, "2"));
        ck_assert_uint_eq(seen.mode, 0600);
        ck_assert_uint_eq(seen.while_written, 0600);
        ck_assert_uint_eq(bits(file), old[i]);
    }
    umask(mask);
}
END_TEST

/* Each call fails with errors of its own, once; the old file is whole and nothing is left. */
START_TEST(failures)
{
    static const struct {
        int call, error;
        const char *text;
    } cases[] = {
        { OPEN, EACCES, "cannot be written (" },
        { OPEN, EMFILE, "cannot be written (" },
        { OPEN, EROFS, "cannot be written (" },
        { WRITE, ENOSPC, "cannot be written (No space" },
        { WRITE, EDQUOT, "cannot be written (" },
        { WRITE, EIO, "cannot be written (" },
        { WRITE, EFBIG, "cannot be written (File" },
        { CHMOD, EPERM, "its permissions cannot be" },
        { SYNC, EIO, "cannot be synced (" },
        { SYNC, ENOSPC, "cannot be synced (" },
        { RENAME, EACCES, "cannot be replaced (" },
        { RENAME, ENOENT, "cannot be replaced (" },
    };
    support_ok(ctx, put(file, "old"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        forget(cases[i].call, cases[i].error, 1);
        support_fails(ctx, put(file, "new"), GM_E_IO, cases[i].text);
        ck_assert_int_eq(seen.times, 0);
        ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "model.safetensors"));
        ck_assert_int_eq(files_in_folder(), 1);
        holds(file, "old");
    }
    forget(CHMOD, EPERM, 1); /* of a file that is new */
    ck_assert_int_eq(unlink(file), 0);
    support_fails(ctx, put(file, "new"), GM_E_IO, "cannot be written");
    ck_assert_int_eq(files_in_folder(), 0);
}
END_TEST

/* Signals that come in between, and writes that take a part. */
START_TEST(interrupted)
{
    static const int calls[] = { OPEN, WRITE, SYNC };
    for (size_t i = 0; i < 3; i++) {
        forget(calls[i], EINTR, 3);
        support_ok(ctx, put(file, "whole"));
        ck_assert_int_eq(seen.times, 0);
        holds(file, "whole");
    }
    forget(NONE, 0, 0);
    seen.short_writes = 1;
    support_ok(ctx, put(file, "byte by byte"));
    holds(file, "byte by byte");
    /* File systems with nothing to sync. */
    forget(SYNC, EINVAL, 2);
    support_ok(ctx, put(file, "not synced"));
    /* A name that is taken: another one. */
    forget(OPEN, EEXIST, 5);
    support_ok(ctx, put(file, "found a name"));
    holds(file, "found a name");
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

/* The file is in place when its folder cannot be synced, and the line says so. */
START_TEST(folder_not_synced)
{
    support_ok(ctx, put(file, "old"));
    forget(SYNC, EIO, 1);
    seen.after = 1; /* the file's own */
    support_fails(ctx, put(file, "new"), GM_E_IO, "is written, but its folder cannot be synced");
    holds(file, "new");
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

/* --- A limit on the size of files, with the host's signals as they are. */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int is_pending(int signal)
{
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, signal);
}

static int is_blocked(int signal)
{
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    return sigismember(&set, signal);
}

START_TEST(file_size_limit)
{
    static char much[100000];
    struct rlimit old;
    gm_replace r;
    support_ok(ctx, put(file, "old"));
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL); /* which ends the process */
    for (int held = 0; held < 3; held++) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGXFSZ);
        /* The host's own: let through, held back, held back with one that waits. */
        if (held) pthread_sigmask(SIG_BLOCK, &set, NULL);
        if (held == 2) raise(SIGXFSZ);
        limit_files(50000);
        support_ok(ctx, gm_replace_begin(&r, ctx, file));
        const gm_status status = gm_replace_write(&r, much, sizeof much);
        gm_replace_end(&r);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
        support_fails(ctx, status, GM_E_IO, "cannot be written (File too large)");
        ck_assert_int_eq(is_blocked(SIGXFSZ), held > 0);
        ck_assert_int_eq(is_pending(SIGXFSZ), held == 2);
        ck_assert_int_eq(files_in_folder(), 1);
        holds(file, "old");
        if (held == 2) {
            int got;
            sigwait(&set, &got);
        }
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    support_ok(ctx, put(file, "new"));
}
END_TEST

/* --- Temporary files that stay behind. */

/* A process that ends in the middle of a file. */
static void die_writing(const char *path)
{
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        gm_replace r;
        if (!gm_replace_begin(&r, ctx, path) && !gm_replace_write(&r, "half", 4)) raise(SIGKILL);
        _exit(1);
    }
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
}

START_TEST(left_by_the_dead)
{
    char other[3 * SUPPORT_PATH];
    snprintf(other, sizeof other, "%s/other", folder);
    support_ok(ctx, put(file, "old"));
    for (int i = 0; i < 3; i++) die_writing(i ? file : other);
    holds(file, "old");
    ck_assert_int_ge(files_in_folder(), 2);
    support_ok(ctx, put(file, "new"));
    ck_assert_int_eq(files_in_folder(), 1);
    holds(file, "new");
}
END_TEST

/* What somebody writes just now is not touched, nor what only looks alike. */
START_TEST(left_alone)
{
    static const char *const names[] = { ".gm-0123456789abcdef.tmp2", ".gm-0123456789abcdeg.tmp",
                                         ".gm-0123456789abcde.tmp", "gm-0123456789abcdef.tmp",
                                         ".gm-0123456789ABCDEF.tmp" };
    enum { NAMES = sizeof names / sizeof *names };
    char other[3 * SUPPORT_PATH], path[3 * SUPPORT_PATH];
    gm_replace r;
    snprintf(other, sizeof other, "%s/other", folder);
    for (int i = 0; i < NAMES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        support_file_write(path, "mine", 4);
    }
    snprintf(path, sizeof path, "%s/.gm-0123456789abcde0.tmp", folder);
    ck_assert_int_eq(symlink("nowhere", path), 0);
    snprintf(path, sizeof path, "%s/.gm-0123456789abcde1.tmp", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    support_ok(ctx, gm_replace_begin(&r, ctx, other));
    support_ok(ctx, gm_replace_write(&r, "liv", 3));
    support_ok(ctx, put(file, "first"));
    support_ok(ctx, put(file, "second"));
    ck_assert_int_eq(files_in_folder(), NAMES + 4);
    support_ok(ctx, gm_replace_write(&r, "ing", 3));
    support_ok(ctx, gm_replace_commit(&r));
    gm_replace_end(&r);
    holds(other, "living");
    ck_assert_int_eq(files_in_folder(), NAMES + 4);
}
END_TEST

/* A file that was taken for a dead one's before it was locked: the writer takes another name. */
static void *tidy_all_the_time(void *stop)
{
    char spare[3 * SUPPORT_PATH];
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED))
        gm_temporary_tidy(file, strlen(folder) + 1, spare);
    return NULL;
}

START_TEST(tidied_while_it_begins)
{
    pthread_t thread;
    int stop = 0;
    support_ok(ctx, put(file, "old"));
    ck_assert_int_eq(pthread_create(&thread, NULL, tidy_all_the_time, &stop), 0);
    for (int i = 0; i < 300; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        support_ok(ctx, put(file, text));
        holds(file, text);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(names)
{
    char name[2][GM_TEMPORARY_NAME];
    gm_temporary_name(name[0]);
    gm_temporary_name(name[1]);
    ck_assert_uint_eq(strlen(name[0]), GM_TEMPORARY_NAME - 1);
    ck_assert_str_ne(name[0], name[1]);
    char pid[32];
    snprintf(pid, sizeof pid, "-%ld", (long)getpid());
    ck_assert_ptr_null(strstr(name[0], pid));
}
END_TEST

/* Symbolic links are replaced, long names are names. */
START_TEST(odd_paths)
{
    char link[3 * SUPPORT_PATH], name[256], path[1024];
    struct stat info;
    support_ok(ctx, put(file, "old"));
    snprintf(link, sizeof link, "%s/link", folder);
    ck_assert_int_eq(symlink("model.safetensors", link), 0);
    support_ok(ctx, put(link, "new"));
    ck_assert_int_eq(lstat(link, &info), 0);
    ck_assert(S_ISREG(info.st_mode));
    holds(file, "old");
    memset(name, 'x', 255);
    name[255] = '\0';
    snprintf(path, sizeof path, "%s/%s", folder, name);
    support_ok(ctx, put(path, "long"));
    holds(path, "long");
    snprintf(path, sizeof path, "%s/%sx", folder, name);
    support_fails(ctx, put(path, "longer"), GM_E_IO, "cannot be written");
    ck_assert_int_eq(files_in_folder(), 3);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *suite = suite_create("replace");
    TCase *tc = tcase_create("replace");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, order_of_calls);
    tcase_add_test(tc, permissions);
    tcase_add_test(tc, failures);
    tcase_add_test(tc, interrupted);
    tcase_add_test(tc, folder_not_synced);
    tcase_add_test(tc, file_size_limit);
    tcase_add_test(tc, left_by_the_dead);
    tcase_add_test(tc, left_alone);
    tcase_add_test(tc, tidied_while_it_begins);
    tcase_add_test(tc, names);
    tcase_add_test(tc, odd_paths);
    suite_add_tcase(suite, tc);
    return suite;
}
