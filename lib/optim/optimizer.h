/* optimizer.h - the inside of an optimizer, and the table of methods.
 *
 * All bound parameters together are cut into pieces, which never cross a parameter's border, and
 * consecutive pieces are grouped into shards of about equal size. The cut looks at sizes alone: one
 * run of the team over the shards computes the norm, one updates, and the bits do not depend on
 * threads.
 */
#ifndef GM_OPTIM_OPTIMIZER_H
#define GM_OPTIM_OPTIMIZER_H

#include "autodiff/params.h"
#include "base/context.h"
#include "base/error.h"
#include "gm/optimizer.h"
#include "kernels/kernels.h"

#define GM_SLOTS 2
#define GM_PIECE 16384 /* floats of a piece at most, and of a shard about */

/* The constants of all methods; each uses its own part. */
typedef struct gm_constants {
    double rate, weight_decay, momentum, beta1, beta2, eps;
    int64_t nesterov, decoupled;
} gm_constants;

typedef struct gm_method {
    const char *name;
    const char *slots[GM_SLOTS]; /* names of the moments */
    const char *beta2;           /* what this method calls it */
    int32_t (*slot_count)(const gm_constants *c);
    void (*update)(const gm_kernels *k, float *w, const float *g, float *const slot[GM_SLOTS],
                   float *prev, const gm_update *u, int64_t n);
} gm_method;

typedef struct gm_bound {
    gm_param *param; /* retained */
    char name[GM_PARAMS_NAME];
    int64_t since;         /* the optimizer's steps when it was bound: moments count from there */
    float *slot[GM_SLOTS]; /* NULL: the method has none, or zeros that no step has touched yet */
    float *average;        /* NULL: off, or not taken yet */
    int32_t averaged;      /* it holds an average; else that begins as the weights */
    float *prev;           /* NULL: off, or no step yet */
} gm_bound;

typedef struct gm_piece {
    int64_t bound;
    int64_t begin, count;
    double squares;
} gm_piece;

struct gm_optimizer {
    gm_context *ctx; /* retained */
    int64_t owners;
    const gm_method *method;
    gm_constants constants;
    int32_t slots;

    gm_schedule schedule;
    double clip_norm, clip_value; /* 0: off */
    double decay;                 /* of the average; 0: off */
    int32_t swapped;              /* weights and averages have changed places */
    int32_t pending;              /* the average has not seen the latest step yet: see step.c */
    int32_t undo;                 /* 0: off; 1: on; 2: there is a step to undo */
    int64_t steps;
    double norm;

    gm_bound *bound;
    int64_t count;
    gm_piece *pieces;
    int64_t piece_count;
    int64_t *shards; /* first piece of each, and one past the last; room for piece_count + 1 */
    int64_t shard_count;
};

extern const gm_method *const gm_methods[]; /* NULL-terminated */

/* GM_E_INVALID names the constant. */
gm_status gm_constants_check(gm_context *ctx, const gm_method *method, const gm_constants *c);
gm_status gm_optimizer_make(gm_optimizer **out, gm_context *ctx, const gm_method *method,
                            const gm_constants *constants);

/* Takes the arrays that are missing: moments of zeros and, if asked for, averages that begin as the
 * weights. After a failure nothing that can be seen has changed. GM_E_NOMEM. */
gm_status gm_optimizer_take(gm_optimizer *o, int average);
/* The same, with gradients and the weights of before: all that a step needs. */
gm_status gm_optimizer_take_step(gm_optimizer *o);

/* Brings the averages up to date. */
void gm_average_catch_up(gm_optimizer *o);
/* GM_E_STATE when the averages are swapped in. */
gm_status gm_optimizer_check_unswapped(const gm_optimizer *o, const char *what);

#endif
