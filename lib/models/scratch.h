/* scratch.h - the working memory of a model: a stack that is kept, so that a verb that is called
 * again with as many rows takes nothing from the allocator.
 *
 *     const size_t mark = gm_model_mark(model);
 *     float *a = gm_model_take(model, bytes), *b = gm_model_take(model, others);
 *     if (!a || !b) GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, ...));
 *     ...
 * out:
 *     gm_model_give(model, mark);
 *
 * Verbs that call others nest: who takes gives back what lies above its mark, after a failure too.
 */
#ifndef GM_MODELS_SCRATCH_H
#define GM_MODELS_SCRATCH_H

#include <stddef.h>

#include "gm/model.h"

typedef struct gm_scratch_block gm_scratch_block;
/* A member of gm_model: zeros at first. Blocks are only ever added, behind those that are there,
 * each at least half as large as those together: so a sequence of calls that was made once finds
 * room in the same places. */
typedef struct gm_scratch {
    gm_scratch_block *first;
    size_t total; /* bytes of all blocks */
    size_t used;  /* the top: bytes of the blocks below the present one, and those used of it */
} gm_scratch;

/* Aligned to 64 bytes, contents undefined. NULL: no memory, or size is 0 (as products that would
 * overflow are given). */
void *gm_model_take(gm_model *model, size_t size);
size_t gm_model_mark(const gm_model *model);
void gm_model_give(gm_model *model, size_t mark);
/* All of it back to the allocator. */
void gm_model_close_scratch(gm_model *model);

#endif
