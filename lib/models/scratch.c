/* scratch.c - the stack of working memory that a model keeps. */
#include "models/scratch.h"

#include "models/family.h"

#define LINE ((size_t)64)

struct gm_scratch_block {
    gm_scratch_block *next;
    size_t size; /* behind the header, which takes a line */
};
_Static_assert(sizeof(gm_scratch_block) <= LINE, "a header fits its line");

static void *inside(gm_scratch_block *block, size_t offset)
{
    return (char *)block + LINE + offset;
}

static gm_scratch_block *add_block(gm_model *model, size_t size)
{
    gm_scratch *s = &model->scratch;
    const size_t half = s->total / 2 / LINE * LINE;
    if (size < half) size = half;
    gm_scratch_block *block = gm_context_allocate(model->ctx, LINE + size);
    if (!block) return NULL;
    block->next = NULL;
    block->size = size;
    s->total += size;
    return block;
}

void *gm_model_take(gm_model *model, size_t size)
{
    gm_scratch *s = &model->scratch;
    gm_scratch_block **at = &s->first;
    size_t below = 0; /* bytes of the blocks before *at */
    if (!size || size > SIZE_MAX / 4) return NULL;
    size = (size + LINE - 1) / LINE * LINE;
    for (; *at; below += (*at)->size, at = &(*at)->next) {
        if (s->used >= below + (*at)->size) continue;
        const size_t offset = s->used > below ? s->used - below : 0;
        if ((*at)->size - offset < size) continue;
        s->used = below + offset + size;
        return inside(*at, offset);
    }
    *at = add_block(model, size);
    if (!*at) return NULL;
    s->used = below + size;
    return inside(*at, 0);
}

size_t gm_model_mark(const gm_model *model)
{
    return model->scratch.used;
}

void gm_model_give(gm_model *model, size_t mark)
{
    model->scratch.used = mark;
}

void gm_model_close_scratch(gm_model *model)
{
    gm_scratch *s = &model->scratch;
    for (gm_scratch_block *next, *b = s->first; b; b = next) {
        next = b->next;
        gm_context_free(model->ctx, b, LINE + b->size);
    }
    s->first = NULL;
    s->total = s->used = 0;
}
