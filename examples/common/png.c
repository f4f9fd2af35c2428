/* png.c - a cairo surface to a PNG file, all or nothing. */
#define _POSIX_C_SOURCE 200809L

#include "png.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cairo_status_t write_bytes(void *user, const unsigned char *bytes, unsigned int count)
{
    return fwrite(bytes, 1, count, user) == count ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

int png_write(cairo_surface_t *surface, const char *path)
{
    const size_t room = strlen(path) + 32;
    char *temporary = malloc(room);
    FILE *file = NULL;
    int made = 0, status = -1;
    const char *reason = NULL;

    cairo_status_t drawn = cairo_surface_status(surface);
    if (temporary == NULL || drawn == CAIRO_STATUS_NO_MEMORY) {
        reason = "out of memory";
        goto out;
    }
    if (drawn != CAIRO_STATUS_SUCCESS) {
        reason = cairo_status_to_string(drawn);
        goto out;
    }
    snprintf(temporary, room, "%s.%ld.tmp", path, (long)getpid());
    const int descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        reason = strerror(errno);
        goto out;
    }
    made = 1;
    file = fdopen(descriptor, "wb");
    if (file == NULL) {
        reason = strerror(errno);
        close(descriptor);
        goto out;
    }
    errno = 0;
    drawn = cairo_surface_write_to_png_stream(surface, write_bytes, file);
    if (drawn != CAIRO_STATUS_SUCCESS) {
        reason = errno != 0 ? strerror(errno) : cairo_status_to_string(drawn);
        goto out;
    }
    const int closed = fclose(file); /* a full disk may show only here */
    file = NULL;
    if (closed != 0 || rename(temporary, path) != 0) {
        reason = strerror(errno);
        goto out;
    }
    made = 0;
    status = 0;
out:
    if (reason != NULL) message("cannot write '%s': %s", path, reason);
    if (file != NULL) fclose(file);
    if (made) unlink(temporary);
    free(temporary);
    return status;
}
