/* gm/data.h - datasets: rows of equal shape, from memory, files or a callback, and views on top of
 * them.
 *
 * A dataset has rows 0 .. gm_dataset_rows - 1, each an array of one shape (rank 0 to 4), and may
 * have a whole number per row, its label. Sources hold values; views hold a rule and their parent,
 * which they retain. So
 *
 *     gm_dataset_open_idx(&bytes, context, "train-images-idx3-ubyte.gz");
 *     gm_dataset_scale(&grey, bytes, 1.0 / 255.0, 0.0);
 *     gm_dataset_binarise(&binary, grey, seed, GM_BINARISE_DYNAMIC);
 *
 * keeps 47 MB of bytes; the two views take no memory and compute values when they are read. All
 * three may then be released in any order.
 *
 * Reading is a function of the rows asked for and of `pass`, the number of times the data has been
 * gone through. Nothing is consumed, there is no position, and the bits do not depend on the number
 * of threads or on how rows are grouped into calls. So a resumed training sees the same data.
 *
 * Statuses that all functions here share: GM_E_INVALID for a NULL argument; GM_E_NOMEM. *out is
 * NULL after a failure.
 */
#ifndef GM_DATA_H
#define GM_DATA_H

#include "gm/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_dataset gm_dataset;

/* Axes of one row at most, and views on top of each other at most. */
#define GM_MAX_ROW_RANK 4
#define GM_MAX_VIEWS 64

/* --- Sources. shape has `rank` sizes (1 to 5), all at least 1; shape[0] is the number of rows.
 * Also GM_E_INVALID: a rank or size out of range, more bytes than can be addressed. */

/* Copies `data`, shape[0] * shape[1] * ... values in row-major order; borrowed for the call.
 * GM_E_NUMERIC: a value is NaN or infinite (its row, column and value are in the line). */
GM_API gm_status gm_dataset_from_memory(gm_dataset **out, gm_context *context, int32_t rank,
                                        const int64_t *shape, const float *data);

/* The same without a copy: `data` stays the host's, and must stay valid and in place until
 * `release` is called with `user`, when the last owner goes (release may be NULL). The values may
 * change between reads; each read checks that what it gives is finite. On failure release is not
 * called. */
GM_API gm_status gm_dataset_wrap(gm_dataset **out, gm_context *context, int32_t rank,
                                 const int64_t *shape, const float *data,
                                 void (*release)(void *user, const float *data), void *user);

/* Copies bytes, kept as bytes; the values read are byte * scale. GM_E_INVALID also: scale is not
 * finite. */
GM_API gm_status gm_dataset_from_bytes(gm_dataset **out, gm_context *context, int32_t rank,
                                       const int64_t *shape, const uint8_t *bytes, double scale);

/* Reads an IDX file (the format of the MNIST files), plain or compressed with gzip, which its first
 * two bytes tell, not its name; zero bytes after compressed data are padding. 1 to 4 dimensions,
 * the first of which counts rows. Element types: 0x08 and 0x09, unsigned and signed bytes, kept as
 * bytes (values 0 to 255, which gm_dataset_scale brings to [0, 1], or -128 to 127); 0x0B and 0x0C,
 * whole numbers of 16 and 32 bits, 0x0D and 0x0E, floats and doubles, kept as floats (rounded:
 * whole numbers beyond 2^24, and doubles). Nothing in the file is trusted: sizes are checked before
 * memory is taken, and a file of k bytes makes the library hold at most about 4000 k bytes (gzip's
 * best ratio), in steps as the data really comes. Every line names the path. GM_E_IO: it cannot be
 * opened or read, or is a directory; GM_E_FORMAT: another kind of file (called by its name where
 * its first bytes tell: a pickle, a web page, the pointer of a large-file store, ...), no such
 * element type, no rows, fewer or more bytes than the sizes promise, sizes that overflow, damaged
 * or truncated compression, bytes other than zeros after it; GM_E_NUMERIC: a value is NaN, infinite
 * or beyond floats. */
GM_API gm_status gm_dataset_open_idx(gm_dataset **out, gm_context *context, const char *path);

/* Rows that the host computes or fetches. `read` writes rows[0 .. count-1] one after the other into
 * out; rows may come in any order and more than once. It is called once per read, on the thread
 * that reads, never from workers, and must give the same for the same arguments. Its non-zero
 * return is passed through to the reader; it may set the line with gm_context_fail. What it gives
 * must be finite. `release` (may be NULL) is called with `user` when the last owner goes; on
 * failure here it is not called. */
GM_API gm_status gm_dataset_from_callback(
    gm_dataset **out, gm_context *context, int32_t rank, const int64_t *shape,
    gm_status (*read)(void *user, const int64_t *rows, int64_t count, int64_t pass, float *out),
    void (*release)(void *user), void *user);

/* --- Views: which rows. Labels follow. Also GM_E_INVALID: more than GM_MAX_VIEWS on top of each
 * other. */

/* The rows rows[0 .. count-1], in that order, repeats allowed; copied. GM_E_INVALID: count < 1, a
 * row out of range. */
GM_API gm_status gm_dataset_subset(gm_dataset **out, gm_dataset *dataset, const int64_t *rows,
                                   int64_t count);
/* Rows [begin, end). GM_E_INVALID: empty, or outside the dataset. */
GM_API gm_status gm_dataset_range(gm_dataset **out, gm_dataset *dataset, int64_t begin,
                                  int64_t end);
/* The first first_rows rows, and the others. GM_E_INVALID: one of them would be empty. Both are
 * made or none is. */
GM_API gm_status gm_dataset_split(gm_dataset **first, gm_dataset **second, gm_dataset *dataset,
                                  int64_t first_rows);
/* All rows in one random order that depends on the seed and the number of rows alone. (gm_model_fit
 * shuffles by itself, anew in each pass; this is for splits.) Takes 8 bytes a row. */
GM_API gm_status gm_dataset_shuffle(gm_dataset **out, gm_dataset *dataset, uint64_t seed);

/* --- Views: which values. */

/* value * scale + shift. GM_E_INVALID: scale or shift is not finite. A read whose result overflows
 * is GM_E_NUMERIC. */
GM_API gm_status gm_dataset_scale(gm_dataset **out, gm_dataset *dataset, double scale,
                                  double shift);
/* 1 where value > threshold, else 0. GM_E_INVALID: threshold is NaN. */
GM_API gm_status gm_dataset_threshold(gm_dataset **out, gm_dataset *dataset, double threshold);

#define GM_BINARISE_STATIC 0  /* the same bits in every pass: Larochelle and Murray 2011 */
#define GM_BINARISE_DYNAMIC 1 /* fresh bits in every pass: Salakhutdinov and Murray 2008 */

/* A value v becomes 1 with probability v, else 0. Static: the bits of a row depend on the seed and
 * the number of the row in `dataset`; dynamic: on the pass as well. No memory is taken, nothing is
 * stored. GM_E_INVALID: unknown mode; when read: a value outside [0, 1] (row, column and value are
 * in the line). */
GM_API gm_status gm_dataset_binarise(gm_dataset **out, gm_dataset *dataset, uint64_t seed,
                                     int32_t mode);

/* Rows of another shape with as many values; rank 0 to 4 is that of one row. GM_E_SHAPE: not as
 * many values. */
GM_API gm_status gm_dataset_reshape(gm_dataset **out, gm_dataset *dataset, int32_t rank,
                                    const int64_t *row_shape);

/* Images stored with their channels last, [h, w, channels], as [channels, h, w], the order in which
 * convolutions see them. No memory is taken: computed when read. GM_E_SHAPE: rows have not three
 * axes. */
GM_API gm_status gm_dataset_channels_first(gm_dataset **out, gm_dataset *dataset);

/* --- Labels. */

/* Gives each row of `images` the value of the same row of `labels`, whose rows have one value: a
 * whole number, 0 to 2^24 - 1. Copied (4 bytes a row); `labels` may be released. They are attached
 * to this handle and seen by all views of it, those made before too; a view's own come first.
 * Earlier ones are replaced. GM_E_SHAPE: another number of rows, or rows of more than one value;
 * GM_E_INVALID: a value that is no label (row and value are in the line); what reading `labels`
 * returns. On failure earlier labels stay. */
GM_API gm_status gm_dataset_attach_labels(gm_dataset *images, gm_dataset *labels);

GM_API int32_t gm_dataset_has_labels(const gm_dataset *dataset); /* 1 or 0 */
/* The largest label attached, plus 1; 0 without labels. A view has the classes of its parent. */
GM_API int64_t gm_dataset_classes(const gm_dataset *dataset);
/* Labels of the given rows. GM_E_STATE: there are none; GM_E_INVALID: a row out of range. Allocates
 * nothing. */
GM_API gm_status gm_dataset_read_labels(gm_dataset *dataset, const int64_t *rows, int64_t count,
                                        int64_t *labels);

/* --- Sizes. NULL gives 0 or NULL. */

GM_API int64_t gm_dataset_rows(const gm_dataset *dataset);
GM_API int32_t gm_dataset_row_rank(const gm_dataset *dataset);
GM_API const int64_t *
gm_dataset_row_shape(const gm_dataset *dataset);                  /* valid while the dataset is */
GM_API int64_t gm_dataset_row_size(const gm_dataset *dataset);    /* values in a row, at least 1 */
GM_API gm_context *gm_dataset_context(const gm_dataset *dataset); /* borrowed */

/* The file that the rows, or the labels attached, were read from, as gm_dataset_open_idx was given
 * its path, found through views; NULL: they are of no file. So a line can name it. Valid while the
 * dataset is, and its labels. */
GM_API const char *gm_dataset_path(const gm_dataset *dataset);
GM_API const char *gm_dataset_labels_path(const gm_dataset *dataset);

/* --- Reading. */

/* The one way data comes out: rows[0 .. count-1] (any order, repeats allowed) one after the other
 * into values, count * gm_dataset_row_size floats. pass: how many times the data has been gone
 * through, from 0; only dynamic binarisation and callbacks look at it. count 0 does nothing. The
 * context's workers share the rows. Allocates nothing, but for views that choose rows of a
 * callback: 8 bytes a row, kept until a larger read. GM_E_INVALID: a row out of range, pass or
 * count negative, a value that a view cannot take; GM_E_NUMERIC: a value is not finite; what a
 * callback returned. After a failure out holds anything. */
GM_API gm_status gm_dataset_read(gm_dataset *dataset, const int64_t *rows, int64_t count,
                                 int64_t pass, float *values);

/* Rows [begin, begin + count) as a new tensor [count, row shape ...]. count 0 gives an empty one.
 * GM_E_INVALID: out of range; what gm_dataset_read returns. */
GM_API gm_status gm_dataset_read_tensor(gm_tensor **out, gm_dataset *dataset, int64_t begin,
                                        int64_t count, int64_t pass);

/* The mean over all rows, pass 0, added up in double: gm_dataset_row_size floats. Good for an
 * output layer's first bias. What gm_dataset_read returns. */
GM_API gm_status gm_dataset_mean(gm_dataset *dataset, float *mean);

GM_API void gm_dataset_retain(gm_dataset *dataset);
GM_API void gm_dataset_release(gm_dataset *dataset); /* accepts NULL */

#ifdef __cplusplus
}
#endif

#endif
