/* tensor.h - the inside of a tensor. */
#ifndef GM_TENSOR_TENSOR_H
#define GM_TENSOR_TENSOR_H

#include "base/context.h"
#include "gm/tensor.h"

struct gm_tensor {
    gm_context *ctx; /* retained */
    int64_t owners;
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    int64_t count;
    float *data;
    size_t bytes; /* owned bytes, 0 when wrapped or a view */
    void (*release)(void *user, float *data);
    void *release_user;
    gm_tensor *base; /* retained: the tensor that owns the storage of a view */
};

/* Product of a shape with checks: rank 0..GM_MAX_RANK, every size >= 0, no overflow in bytes. */
gm_status gm_shape_count(gm_context *ctx, const char *what, int32_t rank, const int64_t *shape,
                         int64_t *count);

#endif
