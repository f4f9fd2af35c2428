/* gm/schedule.h - schedules of the learning rate. The rate is a pure function of the step number,
 * so there is no state to keep or save. */
#ifndef GM_SCHEDULE_H
#define GM_SCHEDULE_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kinds, with t the number of steps since the warm-up (t = 0 at its end) and `base` the rate of
 * the optimizer. In STEP, floor() rounds down; in COSINE and LINEAR, floor is the option.
 *
 *   GM_SCHEDULE_CONSTANT     base
 *   GM_SCHEDULE_STEP         base factor^floor(t / period)
 *   GM_SCHEDULE_COSINE       base (floor + (1 - floor) (1 + cos(pi min(t, period) / period)) / 2)
 *                            (Loshchilov and Hutter 2017, without restarts)
 *   GM_SCHEDULE_EXPONENTIAL  base factor^t
 *   GM_SCHEDULE_LINEAR       base (1 + (floor - 1) min(t, period) / period) */
#define GM_SCHEDULE_CONSTANT 0
#define GM_SCHEDULE_STEP 1
#define GM_SCHEDULE_COSINE 2
#define GM_SCHEDULE_EXPONENTIAL 3
#define GM_SCHEDULE_LINEAR 4

typedef struct gm_schedule {
    size_t size;      /* set by the INIT macro */
    int32_t kind;     /* GM_SCHEDULE_*; default CONSTANT */
    int32_t reserved; /* 0 */
    int64_t warmup;   /* the first `warmup` steps have the rate base (step + 1) / (warmup + 1);
                         default 0 */
    int64_t period;   /* steps, at least 1; used by STEP, COSINE, LINEAR; default 1 */
    double factor;    /* above 0, finite; used by STEP and EXPONENTIAL; default 0.1 */
    /* the final rate as a fraction of base, 0 to 1; used by COSINE and LINEAR; default 0 */
    double floor;
} gm_schedule;

#define GM_SCHEDULE_INIT                                                                           \
    {                                                                                              \
        sizeof(gm_schedule), 0, 0, 0, 1, 0.1, 0.0                                                  \
    }

/* The rate of step `step`, which counts from 0; a negative step is taken as 0. schedule NULL: base.
 * NaN when the schedule is not valid. Always the same number for the same arguments. */
GM_API double gm_schedule_rate(const gm_schedule *schedule, double base, int64_t step);

/* GM_OK, or GM_E_INVALID with the member and its value in the error line of `context` (may be
 * NULL). schedule NULL is valid. */
GM_API gm_status gm_schedule_check(gm_context *context, const gm_schedule *schedule);

#ifdef __cplusplus
}
#endif

#endif
