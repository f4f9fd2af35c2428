/* progress.h - progress of a training run on stderr.
 *
 *     struct progress p;
 *     progress_begin(&p, 10, quiet);
 *     in the fit callback, after a step:      progress_step(&p, epoch, rows_done, rows, loss);
 *     in the fit callback, after an epoch:    progress_epoch(&p, epoch, mean_loss, validation);
 *     progress_end(&p);
 *
 * On a terminal: one line that fits its width, redrawn at most 10 times a second, and a line that
 * stays at the end of each epoch. Elsewhere (a file, a pipe, TERM=dumb): only the line at the end
 * of each epoch. quiet: nothing is printed, but the rate is still measured. Epochs count from 1.
 */
#ifndef EXAMPLES_PROGRESS_H
#define EXAMPLES_PROGRESS_H

#include <stdint.h>

#define PROGRESS_OFF 0
#define PROGRESS_LINES 1
#define PROGRESS_BAR 2

struct progress {
    int mode;
    int ascii; /* the terminal's locale names a character set other than UTF-8 */
    int64_t epochs;
    int64_t epoch_rows; /* done in the present epoch */
    int64_t rows;       /* done in all epochs */
    double training;    /* seconds of training in all finished epochs */
    double begin;       /* of the run, by progress_clock */
    double epoch_begin;
    double last_step;
    double last_drawn;
};

/* Seconds on a clock that never goes back. */
double progress_clock(void);

void progress_begin(struct progress *p, int64_t epochs, int quiet);

/* done of total rows of this epoch are trained on; loss: the latest or the running mean, NaN if
 * unknown. */
void progress_step(struct progress *p, int64_t epoch, int64_t done, int64_t total, double loss);

/* The epoch is over. validation: NaN if there was none. */
void progress_epoch(struct progress *p, int64_t epoch, double loss, double validation);

/* Finishes a line that was begun (after a stop or a failure); may be called twice. */
void progress_end(struct progress *p);

/* Rows trained on per second of training, validation not counted; NaN before the first step. */
double progress_rate(const struct progress *p);

#endif
