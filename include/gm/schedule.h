/* gm/schedule.h - how a learning rate goes with the steps. A pure function of the step: nothing to
 * keep or to save. */
#ifndef GM_SCHEDULE_H
#define GM_SCHEDULE_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* With t the steps since the warm-up (t = 0 at its end) and `base` the rate that the optimizer was
 * given: */
#define GM_SCHEDULE_CONSTANT 0 /* base */
#define GM_SCHEDULE_STEP 1     /* base factor^floor(t / period) */
#define GM_SCHEDULE_COSINE                                                                         \
    2 /* base (floor + (1 - floor) (1 + cos(pi min(t, period) / period)) / 2);                     \
         Loshchilov and Hutter 2017, one descent */
#define GM_SCHEDULE_EXPONENTIAL 3 /* base factor^t */
#define GM_SCHEDULE_LINEAR 4      /* base (1 + (floor - 1) min(t, period) / period) */

typedef struct gm_schedule {
    size_t size;      /* set by the INIT macro */
    int32_t kind;     /* GM_SCHEDULE_*; default CONSTANT */
    int32_t reserved; /* 0 */
    int64_t warmup;   /* the first `warmup` steps have the rate base (step + 1) / (warmup + 1);
                         default 0 */
    int64_t period;   /* steps, at least 1; used by STEP, COSINE, LINEAR; default 1 */
    double factor;    /* above 0, finite; used by STEP and EXPONENTIAL; default 0.1 */
    /* the last rate as a part of base, 0 to 1; used by COSINE and LINEAR; default 0 */
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
