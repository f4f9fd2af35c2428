/* replace.h - a file's content replaced as a whole: the old or the new, never a part. */
#ifndef GM_IO_REPLACE_H
#define GM_IO_REPLACE_H

#include <sys/types.h>

#include "base/context.h"

typedef struct gm_replace {
    gm_context *ctx;
    const char *path; /* borrowed */
    char *temporary;
    size_t temporary_bytes;
    size_t folder; /* how much of path is the folder, with the slash */
    mode_t mode;   /* of the file in the end */
    int fd;        /* -1: closed */
    int exists;    /* the temporary file is to be removed */
} gm_replace;

/* Starts a new file beside path, readable by its owner alone and locked while this process writes
 * it, so that one of a dead process can be told and is removed here. gm_replace_end is due after
 * any outcome of these. */
gm_status gm_replace_begin(gm_replace *r, gm_context *ctx, const char *path);
/* A file grown too large (RLIMIT_FSIZE) is a status too: the signal that comes with it does not
 * reach the host. */
gm_status gm_replace_write(gm_replace *r, const void *bytes, int64_t n);
/* Gives the permission bits, syncs, renames, syncs the folder. */
gm_status gm_replace_commit(gm_replace *r);
/* Removes the new file unless it was renamed. */
void gm_replace_end(gm_replace *r);

#endif
