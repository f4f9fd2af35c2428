/* lifecycle.h - four lives of one model: with 1, 2 and 3 threads, and one that a checkpoint cuts in
 * two. All end with the same bytes.
 *
 *     struct lifecycle l = { .make = make, .what = &options, .go = go, .whole = 5, .cut = 3 };
 *     lifecycle_begin(&l);       all four live, the last up to the cut
 *     lifecycle_cut(&l);         its checkpoint is loaded, as l.rest in another context
 *     lifecycle_resume(&l);       which lives what is left, and compares all
 *     lifecycle_end(&l);
 */
#ifndef GM_TESTS_LIVES_H
#define GM_TESTS_LIVES_H

#include "nets.h"

struct lifecycle {
    gm_model *(*make)(gm_context *ctx, const void *what);
    const void *what;
    void (*go)(gm_context *ctx, gm_model *model, int steps);
    int whole, cut; /* steps of a whole life, and up to the checkpoint */
    int settled;    /* from this step on no memory is taken; 0: not looked at */
    /* What lifecycle_begin makes. */
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_context *ctx[4];
    gm_model *model[4], *rest; /* rest in ctx[1] */
};

static inline void lifecycle_begin(struct lifecycle *l)
{
    support_folder_make(l->folder);
    snprintf(l->path, sizeof l->path, "%s/model", l->folder);
    for (int i = 0; i < 4; i++) {
        const int steps = i < 3 ? l->whole : l->cut;
        gm_memory_counters before, after;
        l->ctx[i] = support_context(51, i % 3 + 1);
        l->model[i] = l->make(l->ctx[i], l->what);
        if (l->settled) l->go(l->ctx[i], l->model[i], l->settled);
        gm_context_memory(&before, l->ctx[i]);
        l->go(l->ctx[i], l->model[i], steps - l->settled);
        gm_context_memory(&after, l->ctx[i]);
        if (l->settled) ck_assert_uint_eq(before.allocations, after.allocations);
    }
}

static inline void lifecycle_cut(struct lifecycle *l)
{
    support_ok(l->ctx[3], gm_model_save_checkpoint(l->model[3], l->path));
    support_ok(l->ctx[1], gm_model_load(&l->rest, l->ctx[1], l->path));
}

static inline void lifecycle_resume(struct lifecycle *l)
{
    l->go(l->ctx[1], l->rest, l->whole - l->cut);
    for (int i = 1; i < 4; i++) nets_same_weights(l->model[0], i < 3 ? l->model[i] : l->rest);
}

static inline void lifecycle_end(struct lifecycle *l)
{
    gm_model_release(l->rest);
    for (int i = 0; i < 4; i++) {
        gm_model_release(l->model[i]);
        gm_context_release(l->ctx[i]);
    }
    support_folder_remove(l->folder);
}

#endif
