/* makers.h - a tiny model of every family: one maker or more for each, with and without labels
 * where the family takes them, and one for each kind of likelihood that it has. */
#ifndef GM_TESTS_MAKERS_H
#define GM_TESTS_MAKERS_H

#include "gm/gm.h"

#define MAKER_BITS 6 /* of a row; all states are enumerated */
#define MAKER_STATES (1 << MAKER_BITS)
#define MAKER_CLASSES 3

/* What a model was made of: handles of the maker's, to be released in any order. */
#define MAKER_PARTS 8
typedef struct maker_parts {
    void *handle[MAKER_PARTS];
    void (*release[MAKER_PARTS])(void *handle);
    int count;
} maker_parts;

typedef struct maker {
    const char *family, *name;
    gm_status (*make)(gm_model **model, gm_context *ctx, maker_parts *parts);
    int64_t labels; /* classes of the labels that it takes; 0: none */
    /* What its log p is; -1: it has none. */
    int32_t likelihood;
    /* log p of rows by other means than the family's log_prob; NULL: the sum over all states must
     * be 1. labels NULL: none. */
    gm_status (*truth)(gm_model *model, const float *rows, const int64_t *labels, int64_t count,
                       double *log_p);
} maker;

extern const maker makers[];
extern const int maker_count;

/* Makes the model, gives its weights values that are not near their start, and releases its parts,
 * unless they are asked for. */
gm_status maker_make(gm_model **model, const maker *m, gm_context *ctx, maker_parts *parts);
void maker_release(maker_parts *parts);

/* All states of a row, bit c of state s in column c. */
void maker_states(float rows[MAKER_STATES * MAKER_BITS]);

#endif
