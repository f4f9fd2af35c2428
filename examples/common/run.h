/* run.h - what the main of every example begins and ends with.
 *
 *     struct run r;
 *     status = run_begin(&r, "vae", "Trains a ...", argc, argv, own, own_count);
 *     if (status != OPTIONS_GO_ON) return status;
 *     if ((s = gm_...(..., r.context, ...))) goto out;
 *     ...
 * out:
 *     return run_end(&r, s, status);
 *
 * Exit status of all examples: 0 done, also after Ctrl-C with the result so far; 1 failed while
 * running; 2 wrong options or missing data.
 */
#ifndef EXAMPLES_RUN_H
#define EXAMPLES_RUN_H

#include "options.h"

#include "gm/context.h"

struct run {
    struct options options;
    gm_context *context;
    double begin; /* by progress_clock */
};

/* Reads the options, makes the context (seed and threads as asked, serial BLAS), prints its hint,
 * if any, to stderr and makes Ctrl-C a request to stop. Returns OPTIONS_GO_ON or the status to exit
 * with. */
int run_begin(struct run *r, const char *program, const char *summary, int argc, char **argv,
              const struct option *own, int own_count);

/* The same for a program with other defaults: it calls options_init(&r->options, ...) and changes
 * them first. */
int run_start(struct run *r, int argc, char **argv, const struct option *own, int own_count);

/* The second half of these two, after options_parse: for a program whose defaults depend on its own
 * options. */
int run_open(struct run *r);

/* Is there a file to read at `path`? OPTIONS_GO_ON, or 2 (reported; `what` says what it would be).
 * What is wrong inside is for the library to say. */
int run_find_file(const char *path, const char *what);

/* Seconds since the context was made. */
double run_seconds(const struct run *r);

/* Reports a failure as "vae: GM_E_SHAPE: linear: ..."; GM_OK and GM_E_CANCELLED are none. Returns 1
 * if it was one. */
int run_failed(const struct run *r, gm_status s);

/* Releases the context and gives the exit status: 1 after a failure (which it reports), else
 * `status` (0, 1 or 2). */
int run_end(struct run *r, gm_status s, int status);

#endif
