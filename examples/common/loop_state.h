/* loop_state.h - --checkpoint and --resume of programs with a training loop of their own: what a
 * loop must keep to go on bit for bit.
 *
 *     const struct loop_state state = { .program = "custom_loop", .params = params,
 *                                       .optimizers = { adam }, .rngs = { rng } };
 *     status = loop_state_resume(&state, &r, &epochs, &s);      epochs: how many were finished,
 *     if (status != OPTIONS_GO_ON) goto out;                    0 without --resume
 *     ... after each epoch ...
 *     if ((s = loop_state_save(&state, &r, epochs))) goto out;  does nothing without --checkpoint
 */
#ifndef EXAMPLES_LOOP_STATE_H
#define EXAMPLES_LOOP_STATE_H

#include "run.h"

#include "gm/optimizer.h"
#include "gm/rng.h"

#define LOOP_STATE_MOST 2

struct loop_state {
    const char *program; /* a file of another one is refused */
    gm_params *params;
    gm_optimizer *optimizers[LOOP_STATE_MOST]; /* up to the first NULL */
    gm_rng *rngs[LOOP_STATE_MOST];             /* likewise */
};

/* Reads the file of --resume into all of these. OPTIONS_GO_ON, or the status to exit with: 2,
 * reported, for a file that is missing or of another program; 1 with *s. */
int loop_state_resume(const struct loop_state *state, const struct run *r, int64_t *epochs,
                      gm_status *s);

gm_status loop_state_save(const struct loop_state *state, const struct run *r, int64_t epochs);

#endif
