/* test_file.c - reading regular files: calls that are interrupted, that give a part, that fail.
 *
 * open and read stand here in the place of the C library's for the library under test, which is
 * linked into this program. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/context.h"
#include "base/file.h"
#include "support.h"

/* While `watching`: so many calls fail first, and a read gives at most `piece` bytes. */
static struct {
    int watching, opens, reads, error, flags;
    size_t piece;
} plan;

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (plan.watching) {
        plan.flags = flags;
        if (plan.opens > 0) {
            plan.opens--;
            errno = plan.error;
            return -1;
        }
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t read(int fd, void *bytes, size_t size)
{
    if (plan.watching && plan.reads > 0) {
        plan.reads--;
        errno = plan.error;
        return -1;
    }
    if (plan.watching && plan.piece && size > plan.piece) size = plan.piece;
    return syscall(SYS_read, fd, bytes, size);
}

static gm_context *ctx;
static char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
static const char text[] = "twenty bytes of text";
#define BYTES ((int64_t)sizeof text)

static void set_up(void)
{
    memset(&plan, 0, sizeof plan);
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    support_file_write(path, text, sizeof text);
    ctx = support_context(1, 1);
}

static void tear_down(void)
{
    memset(&plan, 0, sizeof plan);
    gm_context_release(ctx);
    support_folder_remove(folder);
}

/* The whole file, as one call asks for it. */
static gm_status whole(char into[sizeof text], int64_t *got)
{
    gm_file file = { -1, 0 };
    *got = 0;
    plan.watching = 1;
    gm_status status = gm_file_open(ctx, &file, path);
    if (!status) {
        ck_assert_int_eq(file.size, BYTES);
        status = gm_file_read(ctx, &file, path, into, file.size, got);
    }
    gm_file_close(&file);
    plan.watching = 0;
    return status;
}

START_TEST(interruptions_and_parts)
{
    for (int opens = 0; opens < 3; opens++)
        for (int reads = 0; reads < 3; reads++)
            for (size_t piece = 0; piece < 8; piece += 7) {
                char into[sizeof text] = "";
                int64_t got;
                plan.opens = opens;
                plan.reads = reads;
                plan.error = EINTR;
                plan.piece = piece;
                support_ok(ctx, whole(into, &got));
                ck_assert_int_eq(plan.opens + plan.reads, 0);
                ck_assert_int_eq(got, BYTES);
                ck_assert_str_eq(into, text);
            }
    ck_assert(plan.flags & O_CLOEXEC);
}
END_TEST

START_TEST(failures)
{
    char into[sizeof text];
    int64_t got;
    plan.error = EIO;
    plan.opens = 1;
    support_fails(ctx, whole(into, &got), GM_E_IO, "cannot be opened");
    ck_assert(support_says(gm_context_error(ctx), strerror(EIO)));
    plan.reads = 1;
    support_fails(ctx, whole(into, &got), GM_E_IO, "cannot be read");
    ck_assert(support_says(gm_context_error(ctx), path));
}
END_TEST

/* Neither hangs, nor is taken for a file. */
START_TEST(what_is_no_file)
{
    char into[sizeof text];
    int64_t got;
    ck_assert_int_eq(unlink(path), 0);
    support_fails(ctx, whole(into, &got), GM_E_IO, "cannot be opened");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    support_fails(ctx, whole(into, &got), GM_E_IO, "not a regular file");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    support_fails(ctx, whole(into, &got), GM_E_IO, "is a directory");
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

/* A file that has become shorter since it was opened gives what there is. */
START_TEST(shorter_than_it_was)
{
    char into[sizeof text];
    int64_t got;
    gm_file file = { -1, 0 };
    support_ok(ctx, gm_file_open(ctx, &file, path));
    ck_assert_int_eq(truncate(path, 6), 0);
    support_ok(ctx, gm_file_read(ctx, &file, path, into, file.size, &got));
    ck_assert_int_eq(got, 6);
    gm_file_close(&file);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("file");
    TCase *t = tcase_create("reading");
    tcase_set_timeout(t, 0);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, interruptions_and_parts);
    tcase_add_test(t, failures);
    tcase_add_test(t, what_is_no_file);
    tcase_add_test(t, shorter_than_it_was);
    suite_add_tcase(s, t);
    return s;
}
