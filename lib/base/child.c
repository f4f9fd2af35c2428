/* child.c - a context inside another. */
#include "base/child.h"

#include <string.h>

#include "base/error.h"
#include "kernels/kernels.h"

/* The child with its own table of kernels behind it. */
typedef struct child_block {
    gm_context ctx;
    gm_kernels kernels;
} child_block;

static void *child_allocate(void *user, size_t size, size_t align)
{
    gm_context *child = user;
    (void)align; /* all memory of a context is aligned alike */
    return child->sealed ? NULL : gm_memory_get(&child->parent->memory, size);
}

static void child_release(void *user, void *pointer, size_t size)
{
    gm_context *child = user;
    gm_memory_put(&child->parent->memory, pointer, size);
}

gm_status gm_context_create_child(gm_context **out, gm_context *parent)
{
    *out = NULL;
    child_block *block = gm_memory_get_zero(&parent->memory, sizeof *block);
    if (!block) return gm_fail_memory(parent, "context");
    gm_context *child = &block->ctx;
    child->memory.hook = (gm_allocator){ child_allocate, child_release, child };
    child->memory.counters.bytes = sizeof *block;
    child->memory.counters.peak_bytes = sizeof *block;
    child->owners = 1;
    child->seed = parent->seed;
    child->next_stream = parent->next_stream++;
    child->next_recording = 1;
    child->next_pass = 1;
    child->threads = 1;
    block->kernels = *parent->kernels;
    block->kernels.own_products = 1;
    child->kernels = &block->kernels;
    child->log = parent->log;
    child->log_user = parent->log_user;
    child->registry = parent->registry;
    child->parent = parent;
    gm_context_retain(parent);
    *out = child;
    return GM_OK;
}

void gm_context_seal(gm_context *child, int64_t rows)
{
    child->rows = rows;
    child->sealed = 1;
}

gm_status gm_context_check_unsealed(gm_context *ctx, const char *what)
{
    if (!ctx->sealed) return GM_OK;
    return gm_fail(ctx, GM_E_STATE,
                   "%s: the weights are those of a frozen model, expected ones that can be written",
                   what);
}

void gm_context_at_end(gm_context *child, void (*ended)(void *user), void *user)
{
    child->ended = ended;
    child->ended_user = user;
}

size_t gm_context_child_bytes(const gm_context *child)
{
    return (size_t)child->memory.counters.bytes;
}

void gm_context_free_child(gm_context *child)
{
    gm_context *parent = child->parent;
    void (*ended)(void *user) = child->ended;
    void *user = child->ended_user;
    gm_memory_put(&parent->memory, (child_block *)(void *)child, sizeof(child_block));
    if (ended) ended(user);
    gm_context_release(parent);
}
