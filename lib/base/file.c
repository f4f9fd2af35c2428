/* file.c - reading regular files. */
#define _POSIX_C_SOURCE 200809L

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define PIECE ((int64_t)1 << 28) /* one call of read takes no more than about 2^31 everywhere */

gm_status gm_file_fail(gm_context *ctx, const char *path, const char *what, int error)
{
    char words[128];
    if (strerror_r(error, words, sizeof words)) words[0] = '\0';
    return gm_fail(ctx, GM_E_IO, "%s: %s (%s)", path, what, words[0] ? words : "unknown error");
}

gm_status gm_file_open(gm_context *ctx, gm_file *file, const char *path)
{
    struct stat info;
    file->size = 0;
    /* Without O_NONBLOCK a pipe without a writer would hang the host. */
    do file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (file->fd < 0 && errno == EINTR);
    if (file->fd < 0) return gm_file_fail(ctx, path, "cannot be opened", errno);
    gm_status status = GM_OK;
    if (fstat(file->fd, &info))
        status = gm_file_fail(ctx, path, "cannot be opened", errno);
    else if (S_ISDIR(info.st_mode))
        status = gm_fail(ctx, GM_E_IO, "%s: is a directory", path);
    else if (!S_ISREG(info.st_mode))
        status = gm_fail(ctx, GM_E_IO, "%s: is not a regular file", path);
    else
        file->size = (int64_t)info.st_size;
    if (status) gm_file_close(file);
    return status;
}

gm_status gm_file_read(gm_context *ctx, gm_file *file, const char *path, void *out, int64_t n,
                       int64_t *got)
{
    int64_t at = 0;
    while (at < n) {
        int64_t want = n - at < PIECE ? n - at : PIECE;
        ssize_t r = read(file->fd, (char *)out + at, (size_t)want);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return gm_file_fail(ctx, path, "cannot be read", errno);
        if (r == 0) break;
        at += r;
    }
    *got = at;
    return GM_OK;
}

void gm_file_close(gm_file *file)
{
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
}
