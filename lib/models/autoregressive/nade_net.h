/* nade_net.h - NADE: what its two ways, one order (nade.c) and all (nade_order.c), share with its
 * outputs and its file. */
#ifndef GM_MODELS_AUTOREGRESSIVE_NADE_NET_H
#define GM_MODELS_AUTOREGRESSIVE_NADE_NET_H

#include "gm/nade.h"
#include "models/autoregressive/column_order.h"

/* Sizes, and weights in their order. */
typedef struct gm_nade_net {
    gm_model *model;
    int32_t kind, activation, layers;
    int64_t columns, hidden;
    int64_t classes; /* K; 0 but for class numbers */
    int64_t width;   /* of a conditional */
    double bound;    /* of log deviations */
    gm_param *w, *c, *v, *b, *mask, *deep_w,
        *deep_c; /* v may be w; the last three only order-agnostic */
    int32_t tied, agnostic;
    gm_order order;
    uint64_t seed;   /* order-agnostic: of the orders */
    int64_t *orders; /* [order_count, columns] */
    int64_t order_count;
} gm_nade_net;
/* So many floats of the model's scratch, or NULL with the line. */
float *gm_nade_take(gm_nade_net *net, int64_t floats);
/* log p(x_k | ...) of conditionals y [n, D (, P)] for x [n, D]: [n, D], (nade_output.c). */
gm_var gm_nade_log_probs(const gm_nade_net *net, gm_var y, gm_var x, int64_t count);
/* Log deviations of `count` conditionals into their bound. */
void gm_nade_bound(const gm_nade_net *net, float *raw, int64_t count);
gm_status gm_nade_fit_bias(gm_nade_net *net, gm_dataset *data);
/* Order-agnostic: the loss of random masks; and walks along `order` of all columns. */
gm_status gm_nade_masked_loss(gm_nade_net *net, const gm_batch *batch, gm_var *loss);
gm_status gm_nade_walk_raw(gm_nade_net *net, const int64_t *order, const float *rows, int64_t count,
                           float *raw, double *log_prob);
gm_status gm_nade_walk_fill(gm_nade_net *net, const int64_t *order, float *rows,
                            const uint8_t *known, int64_t count, double *log_known, int draw);
/* The first `count` orders of the seed; log 1/K sum_k p_k(x) of rows with checked values. */
gm_status gm_nade_make_orders(gm_nade_net *net, int64_t count);
gm_status gm_nade_mean_log_prob(gm_nade_net *net, const gm_batch *batch, double *out);
/* Options and weights into an archive; and options back, but for the order. */
gm_status gm_nade_put(const gm_nade_net *net, gm_archive *archive);
gm_status gm_nade_get(struct gm_nade_options *o, uint64_t *seed, gm_context *ctx,
                      gm_archive *archive, int64_t columns);

#endif
