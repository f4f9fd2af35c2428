/* replace.c - write beside, sync, rename. */
#define _DEFAULT_SOURCE /* flock */
#define _POSIX_C_SOURCE 200809L

#include "io/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "io/temporary.h"

#define PIECE ((int64_t)1 << 28)
#define ATTEMPTS 100

/* Creates one temporary file and locks it. Another process that tidies up may find it before it is
 * locked and take it for a dead one's: then it has no name any more, and the next one is tried.
 * Where there are no locks nobody can tidy up either. */
static int create(gm_replace *r, mode_t mode)
{
    struct stat made;
    do r->fd = open(r->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    while (r->fd < 0 && errno == EINTR);
    if (r->fd < 0) return errno == EEXIST ? EAGAIN : errno;
    r->exists = 1;
    const int taken = flock(r->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
    if (fstat(r->fd, &made)) return errno;
    if (taken || !made.st_nlink) {
        r->exists = 0;
        close(r->fd);
        r->fd = -1;
        return EAGAIN;
    }
    if (mode == 0600) return 0;
    /* A new file is to have what the process's mask leaves of 0666, which can be asked for in no
     * other way that leaves the mask alone. */
    r->mode = made.st_mode & 0777;
    return fchmod(r->fd, 0600) ? errno : 0;
}

gm_status gm_replace_begin(gm_replace *r, gm_context *ctx, const char *path)
{
    struct stat old;
    memset(r, 0, sizeof *r);
    r->ctx = ctx;
    r->path = path;
    r->fd = -1;
    const int known = !stat(path, &old);
    if (!known && errno != ENOENT) return gm_file_fail(ctx, path, "cannot be written", errno);
    if (known && S_ISDIR(old.st_mode)) return gm_fail(ctx, GM_E_IO, "%s: is a directory", path);
    if (known && !S_ISREG(old.st_mode))
        return gm_fail(ctx, GM_E_IO, "%s: is not a regular file", path);
    const char *slash = strrchr(path, '/');
    r->folder = slash ? (size_t)(slash - path) + 1 : 0;
    r->temporary_bytes = r->folder + GM_TEMPORARY_NAME;
    r->temporary = gm_memory_get(&ctx->memory, r->temporary_bytes);
    if (!r->temporary) return gm_fail_memory(ctx, "archive_write");
    if (r->folder) memcpy(r->temporary, path, r->folder);
    gm_temporary_tidy(path, r->folder, r->temporary);
    if (known) r->mode = old.st_mode & 0777;
    int error = EAGAIN;
    for (int i = 0; i < ATTEMPTS && error == EAGAIN; i++) {
        gm_temporary_name(r->temporary + r->folder);
        error = create(r, known ? 0600 : 0666);
    }
    return error ? gm_file_fail(ctx, path, "cannot be written", error) : GM_OK;
}

static int write_all(int fd, const char *p, int64_t n)
{
    while (n > 0) {
        const ssize_t wrote = write(fd, p, (size_t)(n < PIECE ? n : PIECE));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return wrote ? errno : ENOSPC;
        p += wrote;
        n -= wrote;
    }
    return 0;
}

gm_status gm_replace_write(gm_replace *r, const void *bytes, int64_t n)
{
    sigset_t signals, before, pending;
    const struct timespec at_once = { 0, 0 };
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    const int masked = !pthread_sigmask(SIG_BLOCK, &signals, &before);
    /* One that the host held back before is the host's. */
    const int hosts = sigpending(&pending) || sigismember(&pending, SIGXFSZ) == 1;
    const int error = write_all(r->fd, bytes, n);
    if (error == EFBIG && masked && !hosts)
        while (sigtimedwait(&signals, NULL, &at_once) < 0 && errno == EINTR) {
        }
    if (masked) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? gm_file_fail(r->ctx, r->path, "cannot be written", error) : GM_OK;
}

/* Some file systems have nothing to sync and say so. */
static int sync_failed(int fd)
{
    int result;
    do result = fsync(fd);
    while (result && errno == EINTR);
    return result && errno != EINVAL && errno != ENOTSUP;
}

/* What closing a file reports on file systems over a network, asked without closing it, which would
 * end the lock. */
static int close_failed(int fd)
{
    const int twin = dup(fd);
    return twin >= 0 && close(twin) && errno != EINTR;
}

gm_status gm_replace_commit(gm_replace *r)
{
    if (fchmod(r->fd, r->mode))
        return gm_file_fail(r->ctx, r->path, "its permissions cannot be kept", errno);
    if (sync_failed(r->fd)) return gm_file_fail(r->ctx, r->path, "cannot be synced", errno);
    if (close_failed(r->fd)) return gm_file_fail(r->ctx, r->path, "cannot be written", errno);
    if (rename(r->temporary, r->path))
        return gm_file_fail(r->ctx, r->path, "cannot be replaced", errno);
    (void)flock(r->fd, LOCK_UN); /* or a child forked meanwhile would keep it */
    close(r->fd);
    r->fd = -1;
    r->exists = 0;
    /* The folder's name, in the room of the temporary one. */
    if (r->folder)
        r->temporary[r->folder] = '\0';
    else
        memcpy(r->temporary, ".", 2);
    const int folder = open(r->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return GM_OK; /* may be writable without being readable */
    gm_status status = GM_OK;
    if (sync_failed(folder))
        status =
            gm_file_fail(r->ctx, r->path, "is written, but its folder cannot be synced", errno);
    close(folder);
    return status;
}

void gm_replace_end(gm_replace *r)
{
    if (!r->ctx) return;
    if (r->exists) unlink(r->temporary); /* while it is locked */
    if (r->fd >= 0) close(r->fd);
    gm_memory_put(&r->ctx->memory, r->temporary, r->temporary_bytes);
    memset(r, 0, sizeof *r);
    r->fd = -1;
}
