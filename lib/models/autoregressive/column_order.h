/* column_order.h - the order of the columns that a model factors its rows along. */
#ifndef GM_MODELS_AUTOREGRESSIVE_COLUMN_ORDER_H
#define GM_MODELS_AUTOREGRESSIVE_COLUMN_ORDER_H

#include "models/family.h"

/* The order of a model's columns. Zeroed: 0, 1, 2, ... */
typedef struct gm_order {
    int64_t *column; /* at each place; NULL: the place's own number */
} gm_order;

static inline int64_t gm_order_column(const gm_order *order, int64_t place)
{
    return order->column ? order->column[place] : place;
}
/* Takes a host's order (NULL: the zeroed one): GM_E_INVALID when it is no permutation of the row's
 * columns. */
gm_status gm_order_set(gm_order *order, gm_model *model, const int64_t *given);
void gm_order_forget(gm_order *order, gm_model *model);
/* The rows with their columns in the order: rows itself, or a copy in scratch, which stays until
 * whoever asked for the recording gives it back. */
gm_status gm_order_rows(const gm_order *order, gm_model *model, const float *rows, int64_t count,
                        const float **out);
/* Into an archive, and back: *out is NULL if there is none, else the caller's, `columns` numbers.
 */
gm_status gm_order_put(const gm_order *order, gm_model *model, gm_archive *archive,
                       const char *name);
gm_status gm_order_get(int64_t **out, gm_context *ctx, gm_archive *archive, const char *name,
                       int64_t columns);

#endif
