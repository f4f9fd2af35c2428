/* replace.c - write beside, sync, rename. */
#define _POSIX_C_SOURCE 200809L

#include "io/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define PIECE ((int64_t)1 << 28)
#define ATTEMPTS 1000 /* names that other threads, or a crash, left behind */
#define TAIL 64

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
    r->temporary_bytes = r->folder + TAIL;
    r->temporary = gm_memory_get(&ctx->memory, r->temporary_bytes);
    if (!r->temporary) return gm_fail_memory(ctx, "archive_write");
    if (r->folder) memcpy(r->temporary, path, r->folder);
    for (int i = 0; i < ATTEMPTS && r->fd < 0; i++) {
        (void)snprintf(r->temporary + r->folder, TAIL, ".gm-%ld-%d.tmp", (long)getpid(), i);
        r->fd = open(r->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (r->fd < 0 && errno != EEXIST && errno != EINTR) break;
    }
    if (r->fd < 0) return gm_file_fail(ctx, path, "cannot be written", errno);
    r->exists = 1;
    if (known && fchmod(r->fd, old.st_mode & 0777))
        return gm_file_fail(ctx, path, "its permissions cannot be kept", errno);
    return GM_OK;
}

gm_status gm_replace_write(gm_replace *r, const void *bytes, int64_t n)
{
    const char *p = bytes;
    while (n > 0) {
        const ssize_t wrote = write(r->fd, p, (size_t)(n < PIECE ? n : PIECE));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return gm_file_fail(r->ctx, r->path, "cannot be written", errno);
        if (wrote == 0) return gm_file_fail(r->ctx, r->path, "cannot be written", ENOSPC);
        p += wrote;
        n -= wrote;
    }
    return GM_OK;
}

/* Some file systems have nothing to sync and say so. */
static int sync_failed(int fd)
{
    int result;
    do result = fsync(fd);
    while (result && errno == EINTR);
    return result && errno != EINVAL && errno != ENOTSUP;
}

gm_status gm_replace_commit(gm_replace *r)
{
    if (sync_failed(r->fd)) return gm_file_fail(r->ctx, r->path, "cannot be synced", errno);
    const int closed = close(r->fd); /* on EINTR it is closed too, or past repair */
    r->fd = -1;
    if (closed && errno != EINTR) return gm_file_fail(r->ctx, r->path, "cannot be written", errno);
    if (rename(r->temporary, r->path))
        return gm_file_fail(r->ctx, r->path, "cannot be replaced", errno);
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
    if (r->fd >= 0) close(r->fd);
    if (r->exists) unlink(r->temporary);
    gm_memory_put(&r->ctx->memory, r->temporary, r->temporary_bytes);
    memset(r, 0, sizeof *r);
    r->fd = -1;
}
