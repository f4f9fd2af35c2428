/* gm/data.h - datasets: rows of equal shape, from memory, files or a callback, and views on top of
 * them.
 *
 * A dataset has rows 0 .. gm_dataset_rows - 1, arrays that all have the same shape (rank 0 to 4),
 * and may have an integer label for each row. Sources hold values; views hold a rule and their
 * parent, which they retain. For example,
 *
 *     gm_dataset_open_idx(&bytes, context, "train-images-idx3-ubyte.gz");
 *     gm_dataset_scale(&grey, bytes, 1.0 / 255.0, 0.0);
 *     gm_dataset_binarise(&binary, grey, seed, GM_BINARISE_DYNAMIC);
 *
 * keeps 47 MB of bytes; the two views take no memory and compute their values when they are read.
 * All three may be released in any order.
 *
 * What is read depends only on the rows requested and on `pass`, the number of the epoch, from 0.
 * Nothing is consumed, there is no read position, and the values do not depend on the number of
 * threads or on how rows are grouped into calls. So a resumed training sees the same data.
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

/* The largest rank of one row, and the largest number of views on top of each other. */
#define GM_MAX_ROW_RANK 4
#define GM_MAX_VIEWS 64

/* --- Sources. shape has `rank` sizes (rank is 1 to 5), all at least 1; shape[0] is the number of
 * rows. GM_E_INVALID also: a rank or size out of range, more bytes than can be addressed. */

/* Copies `data`, shape[0] * shape[1] * ... values in row-major order; borrowed for the call.
 * GM_E_NUMERIC: a value is NaN or infinite (its row, column and value are in the line). */
GM_API gm_status gm_dataset_from_memory(gm_dataset **out, gm_context *context, int32_t rank,
                                        const int64_t *shape, const float *data);

/* The same without a copy: `data` still belongs to the host, and must stay valid and in place until
 * `release` is called with `user`, after the last owner is gone (release may be NULL). The values
 * may change between reads; each read checks that the values are finite. On failure release is not
 * called. */
GM_API gm_status gm_dataset_wrap(gm_dataset **out, gm_context *context, int32_t rank,
                                 const int64_t *shape, const float *data,
                                 void (*release)(void *user, const float *data), void *user);

/* Copies bytes and keeps them as bytes; the values read are byte * scale. GM_E_INVALID also: scale
 * is not finite. */
GM_API gm_status gm_dataset_from_bytes(gm_dataset **out, gm_context *context, int32_t rank,
                                       const int64_t *shape, const uint8_t *bytes, double scale);

/* Reads an IDX file (the format of the MNIST files), plain or compressed with gzip; its first two
 * bytes decide, not its name. Zero bytes after compressed data are padding. The file has 1 to 4
 * dimensions, of which the first counts rows. Element types: 0x08 and 0x09, unsigned and signed
 * bytes, kept as bytes (values 0 to 255, which gm_dataset_scale can bring to [0, 1], or -128 to
 * 127); 0x0B and 0x0C, integers of 16 and 32 bits, and 0x0D and 0x0E, floats and doubles, kept as
 * floats (integers beyond 2^24 and doubles are rounded). Nothing in the file is trusted: sizes are
 * checked before memory is taken, and a file of k bytes can make the library allocate at most about
 * 4000 k bytes (gzip's best ratio), step by step as data is decompressed. Every error line names
 * the path. GM_E_IO: it cannot be opened or read, or is a directory; GM_E_FORMAT: another kind of
 * file (the line says which where its first bytes show it: a pickle, a web page, the pointer of a
 * large-file store, ...), an unknown element type, no rows, fewer or more bytes than the sizes
 * require, sizes that overflow, damaged or truncated compression, bytes other than zeros after the
 * compressed data; GM_E_NUMERIC: a value is NaN, infinite or beyond floats. */
GM_API gm_status gm_dataset_open_idx(gm_dataset **out, gm_context *context, const char *path);

/* A dataset whose rows the host computes or fetches. `read` writes rows[0 .. count-1] one after the
 * other into out; rows may come in any order and more than once. It is called once per read, on the
 * thread that reads, never from workers, and must produce the same values for the same arguments,
 * all finite. The reading function returns its non-zero status to the caller; it may set the error
 * line with gm_context_fail. `release` (may be NULL) is called with `user` after the last owner is
 * gone; if this function fails it is not called. */
GM_API gm_status gm_dataset_from_callback(
    gm_dataset **out, gm_context *context, int32_t rank, const int64_t *shape,
    gm_status (*read)(void *user, const int64_t *rows, int64_t count, int64_t pass, float *out),
    void (*release)(void *user), void *user);

/* --- Views that select rows. Each row keeps its label. All views retain `dataset`. GM_E_INVALID
 * also: more than GM_MAX_VIEWS views on top of each other. */

/* The rows with the numbers rows[0 .. count-1], in that order; repeats are allowed. The numbers are
 * copied. GM_E_INVALID: count < 1, a row out of range. */
GM_API gm_status gm_dataset_subset(gm_dataset **out, gm_dataset *dataset, const int64_t *rows,
                                   int64_t count);
/* Rows [begin, end). GM_E_INVALID: empty, or outside the dataset. */
GM_API gm_status gm_dataset_range(gm_dataset **out, gm_dataset *dataset, int64_t begin,
                                  int64_t end);
/* The first first_rows rows, and the others. GM_E_INVALID: one of them would be empty. Both are
 * made or none is. */
GM_API gm_status gm_dataset_split(gm_dataset **first, gm_dataset **second, gm_dataset *dataset,
                                  int64_t first_rows);
/* All rows in a random order that depends only on the seed and the number of rows. (gm_model_fit
 * does its own shuffling, anew in each pass; this is for splits.) Takes 8 bytes per row. */
GM_API gm_status gm_dataset_shuffle(gm_dataset **out, gm_dataset *dataset, uint64_t seed);

/* --- Views that change values. */

/* value * scale + shift. GM_E_INVALID: scale or shift is not finite. A read whose result overflows
 * is GM_E_NUMERIC. */
GM_API gm_status gm_dataset_scale(gm_dataset **out, gm_dataset *dataset, double scale,
                                  double shift);
/* 1 where value > threshold, else 0. GM_E_INVALID: threshold is NaN. */
GM_API gm_status gm_dataset_threshold(gm_dataset **out, gm_dataset *dataset, double threshold);

#define GM_BINARISE_STATIC 0  /* the same bits in every pass: Larochelle and Murray 2011 */
#define GM_BINARISE_DYNAMIC 1 /* fresh bits in every pass: Salakhutdinov and Murray 2008 */

/* A value v becomes 1 with probability v, else 0. Static: the bits of a row depend on the seed and
 * the number of the row in `dataset`; dynamic: on the pass as well. The bits are computed when they
 * are read, and none are stored. GM_E_INVALID: unknown mode; when read: a value outside [0, 1]
 * (row, column and value are in the line). */
GM_API gm_status gm_dataset_binarise(gm_dataset **out, gm_dataset *dataset, uint64_t seed,
                                     int32_t mode);

/* Gives rows another shape with the same number of values; rank (0 to 4) and row_shape are those of
 * one row. GM_E_SHAPE: another number of values. */
GM_API gm_status gm_dataset_reshape(gm_dataset **out, gm_dataset *dataset, int32_t rank,
                                    const int64_t *row_shape);

/* Presents images stored with their channels last, [h, w, channels], as [channels, h, w], the
 * layout that convolutions expect. Computed when read, without memory of its own. GM_E_SHAPE: rows
 * do not have three axes. */
GM_API gm_status gm_dataset_channels_first(gm_dataset **out, gm_dataset *dataset);

/* --- Labels. */

/* Gives each row of `images` the value of the same row of `labels`, whose rows have one value: a
 * whole number, 0 to 2^24 - 1. Labels are copied (4 bytes per row); `labels` may be released. They
 * are attached to this handle and visible in all views of it, also those made before; labels
 * attached to a view itself take precedence. They replace labels attached earlier. GM_E_SHAPE:
 * another number of rows, or rows of more than one value; GM_E_INVALID: a value that is no label
 * (row and value are in the line); what reading `labels` returns. On failure earlier labels stay.
 */
GM_API gm_status gm_dataset_attach_labels(gm_dataset *images, gm_dataset *labels);

GM_API int32_t gm_dataset_has_labels(const gm_dataset *dataset); /* 1 or 0 */
/* The largest label attached, plus 1; 0 without labels. A view has the classes of its parent. */
GM_API int64_t gm_dataset_classes(const gm_dataset *dataset);
/* The labels of rows[0 .. count-1], into labels [count]. GM_E_STATE: there are none; GM_E_INVALID:
 * a row out of range. Allocates nothing. */
GM_API gm_status gm_dataset_read_labels(gm_dataset *dataset, const int64_t *rows, int64_t count,
                                        int64_t *labels);

/* --- Sizes. NULL gives 0 or NULL. */

GM_API int64_t gm_dataset_rows(const gm_dataset *dataset);
GM_API int32_t gm_dataset_row_rank(const gm_dataset *dataset);
/* gm_dataset_row_rank sizes; valid as long as the dataset is. */
GM_API const int64_t *gm_dataset_row_shape(const gm_dataset *dataset);
GM_API int64_t gm_dataset_row_size(const gm_dataset *dataset);    /* values in a row, at least 1 */
GM_API gm_context *gm_dataset_context(const gm_dataset *dataset); /* borrowed */

/* The path of the file from which the rows, or the attached labels, were read, as it was passed to
 * gm_dataset_open_idx; views give that of their source. NULL if they are not from a file. Useful in
 * error messages. Valid as long as the dataset, and its labels, are. */
GM_API const char *gm_dataset_path(const gm_dataset *dataset);
GM_API const char *gm_dataset_labels_path(const gm_dataset *dataset);

/* --- Reading. */

/* Reads rows[0 .. count-1] (in any order, repeats allowed) one after the other into values, count *
 * gm_dataset_row_size floats. pass: the number of the epoch, from 0; only dynamic binarisation and
 * callbacks use it. count 0 does nothing. The context's workers share the rows. Allocates nothing,
 * except for views that select rows of a callback: 8 bytes per row, kept until a larger read.
 * GM_E_INVALID: a row out of range, pass or count negative, a value that a view does not accept;
 * GM_E_NUMERIC: a value is not finite; what a callback returned. After a failure the contents of
 * values are unspecified. */
GM_API gm_status gm_dataset_read(gm_dataset *dataset, const int64_t *rows, int64_t count,
                                 int64_t pass, float *values);

/* Rows [begin, begin + count) as a new tensor [count, row shape ...], owned by the caller. count 0
 * gives an empty tensor. GM_E_INVALID: out of range; what gm_dataset_read returns. */
GM_API gm_status gm_dataset_read_tensor(gm_tensor **out, gm_dataset *dataset, int64_t begin,
                                        int64_t count, int64_t pass);

/* The mean over all rows (pass 0), summed in double, into mean [gm_dataset_row_size]. Useful for
 * initialising the bias of an output layer. Statuses as gm_dataset_read. */
GM_API gm_status gm_dataset_mean(gm_dataset *dataset, float *mean);

GM_API void gm_dataset_retain(gm_dataset *dataset);
GM_API void gm_dataset_release(gm_dataset *dataset); /* accepts NULL */

#ifdef __cplusplus
}
#endif

#endif
