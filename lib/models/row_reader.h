/* row_reader.h - the rows of a dataset as batches of a model: shapes that fit, values, labels. */
#ifndef GM_MODELS_ROW_READER_H
#define GM_MODELS_ROW_READER_H

#include "models/family.h"

/* --- The shape of a model's rows, for families whose nets see axes. */

/* Rows have the shape of a batch [n, ...] without its first axis, if that has as many values as a
 * row, and axes at all. */
void gm_model_shape_rows(gm_model *model, int32_t rank, const int64_t *batch_shape);
/* As the net brings them into shape with its first layer, unless a shape is known. GM_E_NOMEM. */
gm_status gm_model_shape_rows_for(gm_model *model, gm_layer *net);
/* As those of a part. */
void gm_model_shape_rows_like(gm_model *model, const gm_model *part);

/* gm_layer_output for a few rows, with `name` ("vae: encoder") before the line of its failure. */
gm_status gm_model_net_output(gm_layer *net, const char *name, int32_t rank, const int64_t *shape,
                              int32_t *out_rank, int64_t *out_shape);

/* May the model take the dataset's rows? Their shapes agree where they have as many axes; a flat
 * row or a view of another rank has only to have as many values. GM_E_INVALID: no dataset, or of
 * another context; GM_E_SHAPE, with both shapes. The line begins with `what`. */
gm_status gm_model_check_rows(const gm_model *model, gm_dataset *data, const char *what);

/* --- Reading. */

typedef struct gm_row_reader {
    gm_model *model;
    gm_dataset *data;
    int64_t rows;           /* to read in all */
    int64_t batch;          /* at a time, no more than rows */
    int64_t *index;         /* [batch] */
    float *values, *labels; /* [batch, row size], [batch]; labels NULL: the model takes none */
    size_t mark;            /* of the model's stack, on which all three lie */
} gm_row_reader;

/* Zero the struct first; gm_row_reader_close accepts it at any time. Reads `limit` rows (0: all),
 * `batch` at a time. GM_E_INVALID: batch < 1, limit < 0, as gm_model_check_rows; GM_E_SHAPE;
 * GM_E_STATE: the dataset lacks the labels that the model takes. */
gm_status gm_row_reader_open(gm_row_reader *reader, const char *what, gm_model *model,
                             gm_dataset *data, int64_t batch, int64_t limit);
/* The batch that begins at row `begin`, as pass 0 gives it: batch->count rows, fewer at the end.
 * Its arrays are the reader's, and valid until it reads again. */
gm_status gm_row_reader_next(gm_row_reader *reader, int64_t begin, gm_batch *batch);
/* The rows of that index, at most `batch`, of a pass; the batch knows which they are. */
gm_status gm_row_reader_pick(gm_row_reader *reader, const int64_t *index, int64_t count,
                             int64_t pass, gm_batch *batch);
void gm_row_reader_close(gm_row_reader *reader);

/* Does the loss of a single row exist, in that mode of the tape, if the last of the reader's
 * batches of `data` has only one? GM_E_INVALID with the line, which calls the data `set` and says
 * what to do `instead`. Draws nothing, and leaves the reader's arrays with other rows. */
gm_status gm_row_reader_try_row(gm_row_reader *reader, int32_t mode, gm_dataset *data,
                                const char *set, const char *instead);

#endif
