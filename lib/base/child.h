/* child.h - a context inside another: what a reader is made from.
 *
 * Its memory is its parent's, counted; it has no workers, its products take the library's own
 * kernel in place of BLAS, and its errors are the parent's error line. Once sealed it gives no more
 * memory: whatever would allocate fails with GM_E_NOMEM. */
#ifndef GM_BASE_CHILD_H
#define GM_BASE_CHILD_H

#include "base/context.h"

/* Retains the parent, and finds what is registered there. GM_E_NOMEM. Released as any context. */
gm_status gm_context_create_child(gm_context **out, gm_context *parent);

/* rows: how many the memory that is there is for, for error lines. */
void gm_context_seal(gm_context *child, int64_t rows);
/* GM_E_STATE in a sealed context, for what would write weights; the line begins with `what`. */
gm_status gm_context_check_unsealed(gm_context *ctx, const char *what);

/* When all that was made from the child is gone, and itself, `ended` is called. */
void gm_context_at_end(gm_context *child, void (*ended)(void *user), void *user);

/* What lies in the child's memory now, itself included. */
size_t gm_context_child_bytes(const gm_context *child);

/* For gm_context_release alone. */
void gm_context_free_child(gm_context *child);

#endif
