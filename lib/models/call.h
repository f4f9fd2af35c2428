/* call.h - the size of a result, progress of long calls, and their end when the host stops them. */
#ifndef GM_MODELS_CALL_H
#define GM_MODELS_CALL_H

#include "gm/extend.h"
#include "gm/model.h"

/* Has a result struct of the host's a size that this library can fill: whole members of the `known`
 * bytes? Structs are whole words, as gm_options_read has it. */
static inline int gm_model_size_fits(size_t size, size_t known)
{
    return size >= sizeof size && size <= known && size % sizeof size == 0;
}

/* Ends a verb with `call` inside the context, unless another thread is (gm/extend.h). */
#define GM_ALONE(ctx, call)                                                                        \
    do {                                                                                           \
        gm_status alone = gm_context_enter(ctx);                                                   \
        if (alone) return alone;                                                                   \
        alone = (call);                                                                            \
        gm_context_leave(ctx);                                                                     \
        return alone;                                                                              \
    } while (0)

/* Tells the host's callback (NULL: none), and GM_E_CANCELLED with the line if it stops. */
gm_status gm_model_progress(gm_context *ctx, const char *what, gm_progress_callback *on_progress,
                            void *user, int64_t done, int64_t total);

/* The long call that is under way, for gm_model_advance. */
typedef struct gm_model_call {
    const char *what; /* NULL: no call that reports progress */
    gm_progress_options options;
    int64_t done, total;
} gm_model_call;

/* Begins a call that tells progress up to `total`; options: the host's, or NULL. GM_E_INVALID:
 * unknown size. From then on gm_model_advance(model, part) tells how much more is done and returns
 * GM_E_CANCELLED if the host stops; after gm_model_end_call, or outside of such calls, it does
 * nothing. While the host's callback runs there is no call: it may begin and end others. */
gm_status gm_model_begin_call(gm_model *model, const char *what, int64_t total,
                              const gm_progress_options *options);
gm_status gm_model_advance(gm_model *model, int64_t part);
void gm_model_end_call(gm_model *model);

/* What a verb that can call the host begins and ends with. In between the model is held, so that
 * the host may release it from inside its callback; leaving also gives back the working memory
 * taken since, and comes last: model and context may be gone. */
size_t gm_model_enter(gm_model *model);
void gm_model_leave(gm_model *model, size_t mark);
/* GM_E_STATE in a callback of another call of the model, for what would change it. */
gm_status gm_model_check_unused(gm_model *model, const char *verb);

#endif
