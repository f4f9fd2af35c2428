/* file.h - reading regular files by POSIX calls, with errors that name the path. */
#ifndef GM_BASE_FILE_H
#define GM_BASE_FILE_H

#include <stdint.h>

#include "gm/context.h"

typedef struct gm_file {
    int fd;       /* -1: closed */
    int64_t size; /* when it was opened */
} gm_file;

/* Opens for reading; GM_E_IO unless it is a regular file. */
gm_status gm_file_open(gm_context *ctx, gm_file *file, const char *path);
/* The next n bytes; *got is less only at the file's end. */
gm_status gm_file_read(gm_context *ctx, gm_file *file, const char *path, void *out, int64_t n,
                       int64_t *got);
void gm_file_close(gm_file *file);

/* "path: what (the system's words for errno)", GM_E_IO. */
gm_status gm_file_fail(gm_context *ctx, const char *path, const char *what, int error);

#endif
