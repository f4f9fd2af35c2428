/* hostile.h - a good file, then the same cut short, with bytes turned over, with texts that are
 * absurd. */
#ifndef GM_TESTS_HOSTILE_H
#define GM_TESTS_HOSTILE_H

#include "conformance.h"

/* Loads what the file holds, uses it if `run` (else it may have been told to take very long), and
 * releases it. Returns the status of loading. */
typedef gm_status hostile_load(gm_context *ctx, const char *path, int run, const void *what);

/* Each such file is refused with a status that a file can have and a line, or gives something that
 * can be used and released; nothing is left, and none takes much memory. every 1: each byte of the
 * header, else one in so many. */
void hostile_files(conformance *c, const unsigned char *bytes, size_t size, int every,
                   hostile_load *load, const void *what);

#endif
