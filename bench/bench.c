/* bench.c - training speed, one row a family: libgm beside PyTorch, in turns.
 *
 * The machine is rarely quiet, so each round runs a block of either side, and the medians over the
 * rounds are compared. The row for one thread compares with PyTorch on one thread; the row for all
 * with PyTorch's better of one thread and all.
 */
#define _POSIX_C_SOURCE 200809L

#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_ROUNDS 99

struct settings {
    double seconds;
    int rounds, threads; /* threads 0: a row for one and a row for all */
    const char *row, *data, *python, *script;
    int no_torch, busy, serve;
};

static const char usage[] =
    "bench [options]\n"
    "Training speed of libgm and PyTorch side by side, samples per second.\n\n"
    "  --row NAME       only this family (default all)\n"
    "  --threads N      only with N threads (default: 1, and all processors)\n"
    "  --seconds X      of a block, 0.01 to 600 (default 2)\n"
    "  --rounds N       blocks of either side, 1 to 99 (default 7)\n"
    "  --busy           also with one other process computing on each processor\n"
    "  --no-torch       only libgm\n"
    "  --serve          only readers of frozen models: one row a call\n"
    "  --python PATH    a python that can import torch (default: found)\n"
    "  --script PATH    torch_bench.py (default bench/torch_bench.py)\n"
    "  --data DIR       folder with the MNIST test images (default data/mnist)\n"
    "  --help           print this and exit\n";

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int count)
{
    double sorted[MOST_ROUNDS];
    if (count < 1) return 0;
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    return 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
}

/* Reads a number between low and high, or says what is wrong. */
static int number(const char *name, const char *text, double low, double high, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end != text && *end == '\0' && *out >= low && *out <= high) return 0;
    fprintf(stderr, "bench: %s wants a number from %g to %g, got '%s'\n", name, low, high, text);
    return -1;
}

/* -1: go on; else the exit status. */
static int parse(struct settings *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        double x;
        if (strcmp(name, "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (strcmp(name, "--busy") == 0) {
            o->busy = 1;
            continue;
        }
        if (strcmp(name, "--serve") == 0) {
            o->serve = 1;
            continue;
        }
        if (strcmp(name, "--no-torch") == 0) {
            o->no_torch = 1;
            continue;
        }
        const char **text = strcmp(name, "--row") == 0      ? &o->row
                            : strcmp(name, "--data") == 0   ? &o->data
                            : strcmp(name, "--python") == 0 ? &o->python
                            : strcmp(name, "--script") == 0 ? &o->script
                                                            : NULL;
        const int is_number = strcmp(name, "--threads") == 0 || strcmp(name, "--seconds") == 0 ||
                              strcmp(name, "--rounds") == 0;
        if (text == NULL && !is_number) {
            fprintf(stderr, "bench: unknown option '%s'; see --help\n", name);
            return 2;
        }
        if (i + 1 == argc) {
            fprintf(stderr, "bench: %s wants a value\n", name);
            return 2;
        }
        const char *value = argv[++i];
        if (text != NULL) {
            *text = value;
        } else if (strcmp(name, "--seconds") == 0) {
            if (number(name, value, 0.01, 600, &o->seconds) != 0) return 2;
        } else {
            const int most = strcmp(name, "--threads") == 0 ? 256 : MOST_ROUNDS;
            if (number(name, value, 1, most, &x) != 0) return 2;
            *(most == 256 ? &o->threads : &o->rounds) = (int)x;
        }
    }
    return -1;
}

static int failed(const struct work *w, gm_status s)
{
    fprintf(stderr, "bench: %s: %s: %s\n", w->row->name, gm_status_name(s),
            gm_context_error(w->context));
    return 1;
}

/* bench/torch_bench.py here, else in the repository that the program was built in
 * (ROOT/build/bench/bench). */
static const char *find_script(char path[4096])
{
    static const char plain[] = "bench/torch_bench.py", tail[] = "/bench/torch_bench.py";
    if (access(plain, R_OK) == 0) return plain;
    const ssize_t length = readlink("/proc/self/exe", path, 4096 - sizeof tail);
    if (length <= 0) return plain;
    path[length] = '\0';
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(path, '/');
        if (slash == NULL) return plain;
        *slash = '\0';
    }
    memcpy(path + strlen(path), tail, sizeof tail);
    return path;
}

static void print_machine(gm_context *context, long processors)
{
    gm_context_description d = GM_CONTEXT_DESCRIPTION_INIT;
    if (gm_context_describe(&d, context) != GM_OK) return;
    printf("libgm %s with %s (%s kernels, %d thread%s), %s; %ld processors\n", gm_version_text(),
           d.blas, d.blas_kernels[0] != '\0' ? d.blas_kernels : "unknown", (int)d.blas_threads,
           d.blas_threads == 1 ? "" : "s", d.instruction_set, processors);
    if (d.hint[0] != '\0') printf("hint: %s\n", d.hint);
}

/* One line of the table: one family with so many threads. */
static int run_row(const struct settings *o, const struct row *row, int threads,
                   struct torch *sides, int side_count)
{
    double ours[MOST_ROUNDS], theirs[2][MOST_ROUNDS], rate, best = 0, low = 0, high = 0;
    int alive[2] = { 0, 0 }, best_side = 0, status = 0;
    struct work w;
    gm_status s = work_begin(&w, row, threads, o->data);
    if (s) {
        status = failed(&w, s);
        goto out;
    }
    /* Before the clock counts: first touches of memory, PyTorch's choice of the fastest way. */
    if ((s = work_block(&w, o->seconds / 4, &rate))) {
        status = failed(&w, s);
        goto out;
    }
    for (int k = 0; k < side_count; k++) {
        alive[k] = torch_block(&sides[k], row->name, o->seconds / 4, &rate) == 0;
    }
    for (int i = 0; i < o->rounds; i++) {
        if ((s = work_block(&w, o->seconds, &ours[i]))) {
            status = failed(&w, s);
            goto out;
        }
        for (int k = 0; k < side_count; k++) {
            if (!alive[k]) continue;
            alive[k] = torch_block(&sides[k], row->name, o->seconds, &theirs[k][i]) == 0;
        }
    }
    const double middle = median(ours, o->rounds);
    for (int k = 0; k < side_count; k++) {
        if (!alive[k]) continue;
        rate = median(theirs[k], o->rounds);
        if (rate <= best) continue;
        best = rate;
        best_side = k;
    }
    printf("%-12s %7d %12.0f", row->name, threads, middle);
    if (best > 0) {
        for (int i = 0; i < o->rounds; i++) {
            const double ratio = ours[i] / theirs[best_side][i];
            if (i == 0 || ratio < low) low = ratio;
            if (i == 0 || ratio > high) high = ratio;
        }
        printf(" %12.0f %9d %7.2f   %.2f to %.2f", best, sides[best_side].threads, middle / best,
               low, high);
    } else {
        printf(" %12s %9s %7s   -", "-", "-", "-");
    }
    printf("%s\n", w.is_random ? "   (random data)" : "");
    fflush(stdout);
out:
    work_end(&w);
    return status;
}

/* Drawing one image at a time, one thread on either side. */
static int run_sampling(const struct settings *o, const struct row *row, struct torch *torch,
                        int torches)
{
    double ours[MOST_ROUNDS], theirs[MOST_ROUNDS], rate;
    char name[64];
    int alive = torches > 0, status = 0;
    struct work w;
    (void)snprintf(name, sizeof name, "%s.sample", row->name);
    gm_status s = work_begin(&w, row, 1, o->data);
    if (!s) s = work_sample(&w, o->seconds / 4, &rate);
    if (alive && !s) alive = torch_block(torch, name, o->seconds / 4, &rate) == 0;
    for (int i = 0; i < o->rounds && !s; i++) {
        s = work_sample(&w, o->seconds, &ours[i]);
        if (alive && !s) alive = torch_block(torch, name, o->seconds, &theirs[i]) == 0;
    }
    if (s) {
        status = failed(&w, s);
    } else {
        const double ms = 1e3 / median(ours, o->rounds);
        printf("%-12s %12.3f", row->name, ms);
        if (alive)
            printf(" %12.3f %7.1f\n", 1e3 / median(theirs, o->rounds),
                   1e3 / median(theirs, o->rounds) / ms);
        else
            printf(" %12s %7s\n", "-", "-");
        fflush(stdout);
    }
    work_end(&w);
    return status;
}

/* Training with one spinning process on each processor, against without, in turns. */
static int run_busy(const struct settings *o, const struct row *row, int threads, long processors)
{
    double quiet[MOST_ROUNDS], loaded[MOST_ROUNDS];
    int status = 0;
    struct busy neighbours;
    struct work w;
    gm_status s = work_begin(&w, row, threads, o->data);
    if (!s) s = work_block(&w, o->seconds / 4, &quiet[0]);
    for (int i = 0; i < o->rounds && !s; i++) {
        if ((s = work_block(&w, o->seconds, &quiet[i]))) break;
        if (busy_begin(&neighbours, (int)processors) != 0) {
            fprintf(stderr, "bench: cannot start a busy process\n");
            status = 1;
            goto out;
        }
        s = work_block(&w, o->seconds, &loaded[i]);
        busy_end(&neighbours);
    }
    if (s) {
        status = failed(&w, s);
        goto out;
    }
    const double a = median(quiet, o->rounds), b = median(loaded, o->rounds);
    printf("%-12s %7d %12.0f %12.0f %9.2f\n", row->name, threads, a, b, b / a);
    fflush(stdout);
out:
    work_end(&w);
    return status;
}

int main(int argc, char **argv)
{
    struct settings o = { 2.0, 7, 0, NULL, "data/mnist", NULL, NULL, 0, 0, 0 };
    struct torch sides[2] = { { 0 }, { 0 } };
    int status = parse(&o, argc, argv), counts[2], count = 1, known = 0, torches = 0;
    char path[4096];
    gm_context *context = NULL;
    if (status >= 0) return status;
    for (int i = 0; i < bench_row_count; i++) {
        known |= o.row == NULL || strcmp(o.row, bench_rows[i].name) == 0;
    }
    if (!known) {
        fprintf(stderr, "bench: there is no row '%s'\n", o.row);
        return 2;
    }
    /* A python that died is noticed by the failing write, not by a signal. */
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, NULL);

    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 1) processors = 1;
    if (processors > 256) processors = 256;
    counts[0] = o.threads > 0 ? o.threads : 1;
    if (o.threads == 0 && processors > 1) counts[count++] = (int)processors;
    const int most = counts[count - 1];

    gm_context_options settings = GM_CONTEXT_OPTIONS_INIT;
    settings.blas_threads = 1;
    const gm_status s = gm_context_create(&context, GM_HEADER_VERSION, &settings);
    if (s) {
        fprintf(stderr, "bench: %s\n", gm_status_name(s));
        return 1;
    }
    print_machine(context, processors);
    gm_context_release(context);
    if (o.serve) return bench_serve(o.seconds, o.rounds);
    if (!o.no_torch) {
        const char *script = o.script != NULL ? o.script : find_script(path);
        torches = torch_begin(&sides[0], o.python, script, 1, o.data) == 0;
        if (torches && most > 1)
            torches += torch_begin(&sides[1], o.python, script, most, o.data) == 0;
        printf("%s\n", torches ? sides[0].what : "PyTorch: no python3 here can import torch");
    }
    printf("%d rounds of %g s in turns; medians, samples per second\n\n", o.rounds, o.seconds);
    printf("%-12s %7s %12s %12s %9s %7s   %s\n", "row", "threads", "libgm", "PyTorch", "(threads)",
           "ratio", "by round");
    fflush(stdout);
    for (int i = 0; i < bench_row_count && status <= 0; i++) {
        if (o.row != NULL && strcmp(o.row, bench_rows[i].name) != 0) continue;
        for (int k = 0; k < count && status <= 0; k++) {
            /* on one thread PyTorch has one, too */
            const int choices = counts[k] > 1 ? torches : torches > 0;
            status = run_row(&o, &bench_rows[i], counts[k], sides, choices);
        }
    }
    for (int i = 0, first = 1; i < bench_row_count && status <= 0; i++) {
        if (!bench_rows[i].bits || (o.row != NULL && strcmp(o.row, bench_rows[i].name) != 0))
            continue;
        if (first)
            printf("\nsampling one image, one thread; medians, milliseconds\n%-12s %12s %12s %7s\n",
                   "row", "libgm", "PyTorch", "ratio");
        first = 0;
        status = run_sampling(&o, &bench_rows[i], &sides[0], torches);
    }
    if (o.busy && status <= 0) {
        printf("\nwith %ld other busy process%s\n", processors, processors == 1 ? "" : "es");
        printf("%-12s %7s %12s %12s %9s\n", "row", "threads", "quiet", "busy", "share");
    }
    for (int i = 0; o.busy && i < bench_row_count && status <= 0; i++) {
        if (o.row != NULL && strcmp(o.row, bench_rows[i].name) != 0) continue;
        for (int k = 0; k < count && status <= 0; k++)
            status = run_busy(&o, &bench_rows[i], counts[k], processors);
    }
    torch_end(&sides[0]);
    torch_end(&sides[1]);
    return status > 0 ? status : 0;
}
