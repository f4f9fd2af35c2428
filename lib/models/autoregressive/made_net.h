/* made_net.h - MADE: what made.c (the verbs), made_net.c (weights, mask sets, the pass) and
 * made_walk.c (along the order) share. */
#ifndef GM_MODELS_AUTOREGRESSIVE_MADE_NET_H
#define GM_MODELS_AUTOREGRESSIVE_MADE_NET_H

#include "gm/made.h"
#include "models/autoregressive/column_order.h"

#define GM_MADE_WALK 16        /* rows that walk together */
#define GM_MADE_LOG_SCALE 10.0 /* log deviations and log scales stay within */

typedef struct gm_made_net {
    gm_model *model;
    gm_made_options o;        /* without its pointers */
    int64_t columns, classes; /* classes: inputs a column */
    int64_t width, total;     /* numbers of a conditional; hidden units of all layers */
    int64_t units[GM_MADE_MAX_LAYERS];
    double slope; /* of the activation */
    /* Of the hidden layers, then of the outputs; seen: the connectivity weights U, or NULL. */
    gm_param *weight[GM_MADE_MAX_LAYERS + 1], *seen[GM_MADE_MAX_LAYERS + 1],
        *bias[GM_MADE_MAX_LAYERS + 1];
    gm_param *direct, *direct_seen; /* or NULL */
    gm_order given;                 /* of all sets */
    gm_rng *masks;
    int64_t set; /* the present one, -1: none; its order and the degrees of all hidden units, and
                    all degrees for the tape */
    int64_t *order, *degrees;
    float *in_degrees, *out_degrees, *hidden_degrees;
    float *ones;  /* as many as a layer has inputs at most; NULL without connectivity weights */
    float *value; /* the walk's memory */
    int64_t *place;
    int64_t values, places;
} gm_made_net;
/* Zeroed: makes the weights, adds them to the model, takes set 0. The sizes and options are
 * checked. */
gm_status gm_made_net_begin(gm_made_net *net, gm_model *model, int64_t columns,
                            const gm_made_options *options);
void gm_made_net_end(gm_made_net *net); /* zeroed, or begun without success: too */
/* Numbers of a conditional. */
int64_t gm_made_width(const gm_made_options *o);
/* Makes set j the present one. */
gm_status gm_made_take_set(gm_made_net *net, int64_t set);
/* The rows [n, columns], and their raw conditionals [n, columns, width] by the present set; and
 * -log p of each row. */
typedef struct gm_made_pass {
    gm_var x, raw;
} gm_made_pass;
gm_made_pass gm_made_record(gm_made_net *net, const float *rows, int64_t n);
gm_var gm_made_nll(gm_made_net *net, const gm_made_pass *r, int64_t n);
/* The walk's memory (made_walk.c). */
gm_status gm_made_walk_begin(gm_made_net *net);
void gm_made_walk_end(gm_made_net *net);
/* By the present set, up to GM_MADE_WALK rows: row r is rows + which[r] columns (which NULL: r);
 * known and log_known are by r. The rest as fill in gm_autoregressive; with any_order all rows have
 * the same columns known. */
void gm_made_walk_rows(gm_made_net *net, float *rows, const int64_t *which, int64_t n,
                       const uint8_t *known, int any_order, double *log_known, int draw);

#endif
