/* run.c - what the main of every example begins and ends with. */
#define _POSIX_C_SOURCE 200809L

#include "run.h"

#include "message.h"
#include "progress.h"
#include "stop.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int run_begin(struct run *r, const char *program, const char *summary, int argc, char **argv,
              const struct option *own, int own_count)
{
    options_init(&r->options, program, summary);
    return run_start(r, argc, argv, own, own_count);
}

int run_start(struct run *r, int argc, char **argv, const struct option *own, int own_count)
{
    const int status = options_parse(&r->options, argc, argv, own, own_count);
    return status == OPTIONS_GO_ON ? run_open(r) : status;
}

/* Warnings of the library, such as that of a GAN about to collapse. */
static void on_log(void *user, int32_t level, const char *line)
{
    const struct run *r = user;
    if (level >= GM_LOG_WARNING && !r->options.quiet) message("%s", line);
}

int run_open(struct run *r)
{
    gm_context_options settings = GM_CONTEXT_OPTIONS_INIT;
    gm_context_description what = GM_CONTEXT_DESCRIPTION_INIT;
    r->context = NULL;
    r->begin = progress_clock();
    settings.log = on_log;
    settings.log_user = r;
    settings.seed = (uint64_t)r->options.seed;
    settings.threads = (int32_t)r->options.threads;
    settings.blas_threads = 1; /* the library's own workers call BLAS side by side */
    const gm_status s = gm_context_create(&r->context, GM_HEADER_VERSION, &settings);
    if (run_failed(r, s)) return 1;
    if (!r->options.quiet && gm_context_describe(&what, r->context) == GM_OK &&
        what.hint[0] != '\0') {
        message("hint: %s", what.hint);
    }
    if (stop_install() != 0) {
        gm_context_release(r->context);
        r->context = NULL;
        return 1;
    }
    r->begin = progress_clock();
    return OPTIONS_GO_ON;
}

int run_find_file(const char *path, const char *what)
{
    struct stat info;
    if (stat(path, &info) != 0 || access(path, R_OK) != 0) {
        message("cannot open %s '%s': %s", what, path, strerror(errno));
        return 2;
    }
    if (S_ISDIR(info.st_mode)) {
        message("%s '%s' is a folder; name the .safetensors file in it", what, path);
        return 2;
    }
    return OPTIONS_GO_ON;
}

double run_seconds(const struct run *r)
{
    return progress_clock() - r->begin;
}

int run_failed(const struct run *r, gm_status s)
{
    if (s == GM_OK || s == GM_E_CANCELLED) return 0;
    message("%s: %s", gm_status_name(s), gm_context_error(r->context));
    return 1;
}

int run_end(struct run *r, gm_status s, int status)
{
    if (run_failed(r, s)) status = 1;
    gm_context_release(r->context);
    r->context = NULL;
    return status;
}
