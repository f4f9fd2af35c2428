/* result.h - what all evaluations give back, and what they are given. */
#ifndef GM_EVALUATE_RESULT_H
#define GM_EVALUATE_RESULT_H

#include "gm/result.h"
#include "gm/tensor.h"
#include "models/family.h"

/* GM_E_INVALID if out is NULL or of unknown size (`what` is in the line); and as much of the result
 * as the caller's struct has room for. */
gm_status gm_result_check(gm_context *ctx, const char *what, const gm_result *out);
void gm_result_give(gm_result *out, const gm_result *result);
/* The mean and its standard error, sd / sqrt(n); NaN for one value. */
void gm_result_mean(gm_result *result, const double *values, int64_t n);

/* The host's progress callback, and the two counts that it gets. */
typedef struct gm_counter {
    gm_context *ctx;
    const char *what, *unit; /* for the line: "parzen", "rows" */
    gm_progress_callback *on_progress;
    void *user;
    int64_t done, total;
} gm_counter;
/* So much more is done. GM_E_CANCELLED: the host stops. */
gm_status gm_counter_add(gm_counter *counter, int64_t more);

/* Rows that an evaluation was given, by the name that its messages use. */
typedef struct gm_table {
    const char *name;
    const float *values;
    int64_t rows, width;
} gm_table;
/* GM_E_INVALID: the struct is NULL. */
gm_status gm_table_of(gm_table *out, gm_context *ctx, const char *what, const char *name,
                      const gm_rows *rows);
/* Are all of one width, not NULL, not empty, addressable? GM_E_INVALID, GM_E_SHAPE: two widths. */
gm_status gm_table_check_sizes(gm_context *ctx, const char *what, const gm_table *tables,
                               int count);
/* And finite? GM_E_INVALID (array, row and column are in the line). */
gm_status gm_table_check(gm_context *ctx, const char *what, const gm_table *tables, int count);
/* Two checked tables, "samples" and "data". */
gm_status gm_table_pair(gm_context *ctx, const char *what, const gm_rows *samples,
                        const gm_rows *data, gm_table tables[2]);

#endif
