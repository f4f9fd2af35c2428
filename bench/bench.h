/* bench.h - the parts of the benchmark: the rows of its table, the process that runs PyTorch, the
 * busy neighbours. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "gm/gm.h"

#include <stdint.h>
#include <sys/types.h>

#define BENCH_PIXELS 784

/* One family. Another row is one more entry in rows.c and a function of the same name in
 * torch_bench.py. */
struct row {
    const char *name;
    int64_t batch;
    double low; /* the darkest value, 0 or -1 */
    int bits;   /* pixels are 0 or 1, cut at one half, and one image's sampling is timed, too */
    /* A model that gm_model_step can train on rows of BENCH_PIXELS values in [low, 1]. */
    gm_status (*make)(gm_model **out, gm_context *context);
};

extern const struct row bench_rows[];
extern const int bench_row_count;

/* A model in a context of its own, its data, and where it is in them. */
struct work {
    const struct row *row;
    gm_context *context;
    gm_model *model;
    gm_dataset *data;
    gm_rng *order_rng;
    int64_t *order;
    float *rows;
    gm_tensor *image; /* of work_sample */
    int64_t count, at, pass;
    int is_random; /* the digits were not there */
};

/* Makes the model and opens the data; folder: where the IDX files are. A failure leaves *w for
 * work_end. */
gm_status work_begin(struct work *w, const struct row *row, int32_t threads, const char *folder);
void work_end(struct work *w);

/* Prints the times and rates of readers of frozen models; 0, or 1 with a line on stderr. */
int bench_serve(double seconds, int rounds);

/* Samples one image after the other for about so many seconds; images per second into *rate. */
gm_status work_sample(struct work *w, double seconds, double *rate);

/* Trains for about so many seconds; rows trained on per second into *rate. */
gm_status work_block(struct work *w, double seconds, double *rate);

/* A python that trains the same model with PyTorch, one block for each line it is sent. */
struct torch {
    pid_t pid; /* 0: there is none */
    int to, from;
    int threads;
    char what[256]; /* version and BLAS, as it tells them */
};

/* Starts one with `threads` threads, for all of torch and its BLAS. python NULL: the first of
 * python3 and /usr/bin/python3 that can import torch. Returns 0, or -1 if there is none. */
int torch_begin(struct torch *t, const char *python, const char *script, int threads,
                const char *folder);
/* One block; rate receives samples a second; row "NAME.sample" draws images one by one instead. -1
 * if it failed (then the process has been ended) or lacks the row. */
int torch_block(struct torch *t, const char *row, double seconds, double *rate);
void torch_end(struct torch *t);

/* `count` processes that do nothing but compute; they go with busy_end, or when this process ends.
 */
struct busy {
    int count;
    pid_t pids[256];
};
int busy_begin(struct busy *b, int count);
void busy_end(struct busy *b);

/* Seconds on a clock that never goes back. */
double bench_clock(void);

#endif
