/* gm/result.h - what an evaluation gives back.
 *
 * Common to all evaluations: the result is the same bits for any number of threads; random choices
 * depend on a seed given here and touch no other random stream; on_progress, if not NULL, is called
 * on the calling thread after each finished group of rows (or what the options say) with how many
 * are done of how many, and non-zero stops (GM_E_CANCELLED). After a failure results are as before,
 * and arrays that were to be filled have unspecified values.
 */
#ifndef GM_RESULT_H
#define GM_RESULT_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an evaluation found, and what must be told with the number so that another can be compared
 * with it. The caller sets `size` (the INIT macro does); a struct of an older caller gets its part.
 */
typedef struct gm_result {
    size_t size;
    double value; /* nats, unless the evaluation says otherwise; the mean over the rows where there
                     are rows */
    double standard_error; /* sd over the rows / sqrt(rows), sd with rows - 1; NaN where there is
                              one row or none. It tells of the choice of rows only, not of the
                              samples or of a training */
    int64_t samples;       /* how many samples of the model went into it; 0: none */
    int64_t rows;          /* how many test rows; 0: none */
    uint64_t seed;         /* of what was drawn at random; 0 where nothing was */
    const char *protocol;  /* static text: "parzen", "exact", ... */
    double sigma;          /* Parzen: the deviation of the windows; 0 for other protocols */
    int64_t k; /* draws or chains a row, neighbours, subsets, as the protocol has it; else 0 */
    double sampling_error; /* of value, from the random draws of an estimate (delta method); 0 where
                              there are none, NaN where one draw tells nothing. The error of the
                              rows is standard_error */
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
