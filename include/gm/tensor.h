/* gm/tensor.h - dense arrays of float, row-major, rank 0 to 6.
 *
 * Tensors carry data between host and library: batches in, samples and results out. Images are [n,
 * channels, height, width]. Storage is contiguous and 64-byte aligned when the library allocates
 * it. Indices and class labels are whole numbers stored as float, exact up to 2^24.
 */
#ifndef GM_TENSOR_H
#define GM_TENSOR_H

#include "gm/context.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GM_MAX_RANK 6

typedef struct gm_tensor gm_tensor;

/* Makes a tensor filled with zeros. shape: `rank` sizes, each >= 0 (an empty tensor is allowed).
 * Rank 0 is a scalar. *out is NULL after a failure. GM_E_INVALID: NULL argument, rank or a size out
 * of range, more bytes than can be addressed; GM_E_NOMEM. */
GM_API gm_status gm_tensor_create(gm_tensor **out, gm_context *context, int32_t rank,
                                  const int64_t *shape);

/* The same with a copy of `data` (borrowed for the call): as many floats as the shape has elements.
 * Statuses as gm_tensor_create. */
GM_API gm_status gm_tensor_create_from(gm_tensor **out, gm_context *context, int32_t rank,
                                       const int64_t *shape, const float *data);

/* A tensor over the host's own memory, without a copy. `data` must stay valid and in place until
 * `release` is called with `user`, after the last owner is gone (release may be NULL when the
 * memory outlives the tensor). On failure release is not called. Statuses as gm_tensor_create. */
GM_API gm_status gm_tensor_wrap(gm_tensor **out, gm_context *context, int32_t rank,
                                const int64_t *shape, float *data,
                                void (*release)(void *user, float *data), void *user);

/* A view of rows [begin, end) of the first axis; shares storage with `tensor`, which it retains.
 * GM_E_INVALID: NULL, rank 0, or a range outside the tensor. */
GM_API gm_status gm_tensor_rows_view(gm_tensor **out, gm_tensor *tensor, int64_t begin,
                                     int64_t end);

/* A view with another shape of the same number of elements; shares storage with `tensor`, which it
 * retains. GM_E_SHAPE: another number of elements; else as gm_tensor_create. */
GM_API gm_status gm_tensor_reshape_view(gm_tensor **out, gm_tensor *tensor, int32_t rank,
                                        const int64_t *shape);

/* Retain adds an owner, release removes one; both accept NULL. */
GM_API void gm_tensor_retain(gm_tensor *tensor);
GM_API void gm_tensor_release(gm_tensor *tensor);

/* Getters; NULL gives 0 or NULL. The shape has `rank` sizes and the data gm_tensor_count floats in
 * row-major order; both are valid as long as the tensor is. gm_tensor_size is 0 for an axis out of
 * range. */
GM_API int32_t gm_tensor_rank(const gm_tensor *tensor);
GM_API const int64_t *gm_tensor_shape(const gm_tensor *tensor);
GM_API int64_t gm_tensor_size(const gm_tensor *tensor, int32_t axis);
GM_API int64_t gm_tensor_count(const gm_tensor *tensor);
GM_API float *gm_tensor_data(gm_tensor *tensor);
GM_API const float *gm_tensor_read(const gm_tensor *tensor); /* the same data, for reading */

/* Sets every element. */
GM_API void gm_tensor_fill(gm_tensor *tensor, float value);

/* Rows in the host's memory: a sample, a dataset, features. values [count, width] in row-major
 * order, borrowed by the functions they are passed to; a plain struct to which no members will be
 * added. */
typedef struct gm_rows {
    const float *values;
    int64_t count;
    int64_t width;
} gm_rows;

#ifdef __cplusplus
}
#endif

#endif
