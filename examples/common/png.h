/* png.h - a cairo surface to a PNG file, all or nothing. */
#ifndef EXAMPLES_PNG_H
#define EXAMPLES_PNG_H

#include <cairo.h>

/* Writes to a temporary file beside `path` and renames it, so that a reader never sees half a
 * picture and a failure leaves an older file as it was. Returns 0, or -1 (reported on stderr). The
 * surface stays the caller's. */
int png_write(cairo_surface_t *surface, const char *path);

#endif
