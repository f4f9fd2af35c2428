/* turn.c - whose turn it is: one thread at a time is inside calls on a context. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "base/context.h"
#include "gm/extend.h"

gm_status gm_context_enter(gm_context *ctx)
{
    if (!ctx) return GM_E_INVALID;
    const uintptr_t self = (uintptr_t)pthread_self();
    uintptr_t inside = 0;
    /* Its own thread is the only one that can write its name there, so finding it is final. */
    if (!atomic_compare_exchange_strong(&ctx->inside, &inside, self) && inside != self)
        return GM_E_STATE; /* and no line: that belongs to the thread inside */
    ctx->calls++;
    ctx->owners++;
    return GM_OK;
}

void gm_context_leave(gm_context *ctx)
{
    if (!ctx) return;
    ctx->calls--;
    if (ctx->owners == 1) { /* all others went during the call */
        gm_context_release(ctx);
        return;
    }
    ctx->owners--;
    if (!ctx->calls) atomic_store(&ctx->inside, 0);
}
