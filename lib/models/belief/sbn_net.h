/* sbn_net.h - sigmoid belief networks: what sbn.c and sbn_*.c share. */
#ifndef GM_MODELS_BELIEF_SBN_NET_H
#define GM_MODELS_BELIEF_SBN_NET_H

#include "gm/sbn.h"
#include "models/belief/bits.h"

/* The options as given (arrays NULL) and the running statistics of NVIL's signals, three numbers
 * for each hidden layer; the loss of the estimator. */
void gm_sbn_settings(const gm_sbn *sbn, gm_sbn_options *out, float **statistics);
gm_status gm_sbn_loss(gm_model *model, const gm_batch *batch, gm_var *loss, gm_metrics *metrics);
#define GM_SBN_MOST_ENUMERATED 20 /* hidden units */
#define GM_SBN_MIXED 1.1          /* R-hat up to which chains have mixed (Gelman et al. 2013) */
/* So many floats of the model's scratch; NULL without memory. */
float *gm_sbn_take(gm_sbn *sbn, int64_t floats);

/* On the model's tape: rows [m, visible]; states [m, hidden units] cut into layers 1 to L; an
 * ancestral sample of n rows, all layers. */
gm_var gm_sbn_record_rows(gm_sbn *sbn, const float *rows, int64_t m);
void gm_sbn_record_hidden(gm_sbn *sbn, const float *hidden, int64_t m, gm_var *layers);
gm_status gm_sbn_record_dream(gm_sbn *sbn, int64_t n, gm_var *layers);
/* q of layer l given the one below: its logits, each row of the data repeated for its k states. */
gm_var gm_sbn_record_q(gm_sbn *sbn, int32_t l, gm_var below, int64_t k);
/* k draws of q for each row of layers[0], into layers 1 to L, and their logits (NULL: not wanted).
 * And, of states however found, -log q of each; logits NULL: not known yet. */
void gm_sbn_record_draws(gm_sbn *sbn, int64_t k, gm_var *layers, gm_var *logits);
gm_var gm_sbn_record_minus_log_q(gm_sbn *sbn, int64_t k, const gm_var *layers,
                                 const gm_var *logits);

/* The net as a graph over the units of gm_sbn_dense: where each layer begins there and in rows of
 * hidden states, and which units may be parents of unit i of layer l (from <= j < to), or its
 * children.
 */
typedef struct gm_sbn_graph {
    int64_t units, hidden;
    int32_t top, lateral, skip;
    int64_t size[GM_SBN_MAX_LAYERS + 1], place[GM_SBN_MAX_LAYERS + 1],
        column[GM_SBN_MAX_LAYERS + 1];
} gm_sbn_graph;
typedef struct gm_sbn_range {
    int64_t from, to;
} gm_sbn_range;
void gm_sbn_describe(const gm_sbn *sbn, gm_sbn_graph *out);
gm_sbn_range gm_sbn_parents(const gm_sbn_graph *g, int32_t l, int64_t i);
gm_sbn_range gm_sbn_children(const gm_sbn_graph *g, int32_t l, int64_t i);
int64_t gm_sbn_edges(const gm_sbn_graph *g); /* parents of all units, or children: as many */
/* gm_sbn_dense, all of it finite: GM_E_NUMERIC. */
gm_status gm_sbn_finite(gm_sbn *sbn, const char *verb, float *weight, float *bias);
/* `sweeps` sweeps of Gibbs sampling of states [n, chains, hidden] given rows [n, visible]. room:
 * gm_sbn_move_room floats, 64-byte aligned. May use the model's tape. */
int64_t gm_sbn_move_room(const gm_sbn *sbn);
gm_status gm_sbn_move(gm_sbn *sbn, const float *rows, int64_t n, int64_t chains, float *states,
                      int64_t sweeps, float *room);

/* gm_sbn_mean_field of checked rows; slopes, if not NULL: [units, units] and [units], to which the
 * bounds' slopes in all weights and biases of the matrix are added. room: gm_sbn_field_room floats,
 * an even number, 64-byte aligned. */
int64_t gm_sbn_field_room(const gm_sbn *sbn);
gm_status gm_sbn_field(gm_sbn *sbn, const float *rows, int64_t n,
                       const gm_sbn_mean_field_options *options, double *means, double *bound,
                       int64_t *iterations, double *slopes, float *room);
/* Chains that go on from epoch to epoch (sbn_chains.c): what is kept of k states of each row. */
typedef struct gm_sbn_chains {
    uint8_t *bytes; /* [rows, line]; NULL: none */
    int64_t rows, line;
    const float
        *states; /* of the step that is being made, [batch, k, hidden]; NULL: none to keep */
} gm_sbn_chains;
gm_sbn_chains *gm_sbn_kept(gm_sbn *sbn);
gm_status gm_sbn_chains_open(gm_sbn *sbn, int64_t rows,
                             int64_t k); /* those of so many rows, or new ones */
void gm_sbn_chains_end(gm_context *ctx, gm_sbn_chains *chains);
/* Over the states of those rows of a batch that have chains. And, once the step is made, back. */
void gm_sbn_chains_resume(gm_sbn *sbn, const gm_batch *batch, int64_t k, float *states);
void gm_sbn_chains_keep(gm_sbn *sbn, const gm_batch *batch, int64_t k);
gm_status gm_sbn_chains_put(gm_archive *archive, gm_sbn *sbn);
gm_status gm_sbn_chains_get(gm_archive *archive, gm_sbn *sbn, int64_t k);

/* What Gibbs sampling and mean field learn (sbn_em.c). */
gm_status gm_sbn_em_loss(gm_model *model, const gm_sbn_options *o, const gm_batch *batch,
                         gm_var *loss, gm_metrics *metrics);

/* Split R-hat and effective sample size of draws [chains, samples], each `stride` bytes from the
 * last; bits (mixing.c). */
void gm_mixing(const uint8_t *draws, int64_t chains, int64_t samples, int64_t stride, double *r_hat,
               double *ess);

#endif
