/* gm/result.h - the result of an evaluation.
 *
 * Common to all evaluations: the result is bit for bit the same for any number of threads; random
 * choices depend on a seed in the options and use no other random stream; on_progress, if not NULL,
 * is called on the calling thread after each finished group of rows (or of the units named in the
 * options) with the number done and the total, and a non-zero return stops the call
 * (GM_E_CANCELLED). After a failure results are as before, and arrays that were to be filled have
 * unspecified values.
 */
#ifndef GM_RESULT_H
#define GM_RESULT_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an evaluation found, and what must be reported with the number so that others can be
 * compared with it. The caller sets `size` (the INIT macro does); in a shorter struct, from an
 * older caller, only the members it has are set. */
typedef struct gm_result {
    size_t size;
    double value; /* nats, unless the evaluation says otherwise; the mean over the rows where there
                     are rows */
    double standard_error; /* sd over the rows / sqrt(rows), sd with divisor rows - 1; NaN where
                              there is one row or none. It accounts only for the choice of rows, not
                              for that of samples or for the variation between trainings */
    int64_t samples;       /* how many samples of the model were used; 0: none */
    int64_t rows;          /* how many test rows; 0: none */
    uint64_t seed;         /* of what was drawn at random; 0 where nothing was */
    const char *protocol;  /* static text: "parzen", "exact", ... */
    double sigma;          /* Parzen: the deviation of the windows; 0 for other protocols */
    /* draws or chains per row, neighbours, or subsets, depending on the protocol; else 0 */
    int64_t k;
    double sampling_error; /* standard error of value from the random draws of an estimate (delta
                              method); 0 where there are none, NaN where there is a single one. The
                              error from the choice of rows is standard_error */
    double acceptance;     /* AIS: share of transitions that were accepted; else 0 */
    double p_value;        /* of a test; else 0 */
} gm_result;

#define GM_RESULT_INIT                                                                             \
    {                                                                                              \
        sizeof(gm_result), 0.0, 0.0, 0, 0, 0, "", 0.0, 0, 0.0, 0.0, 0.0                            \
    }

#ifdef __cplusplus
}
#endif

#endif
