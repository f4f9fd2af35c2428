/* frozen.h - the inside of a frozen model: the bytes of a model's file. */
#ifndef GM_SERVE_FROZEN_H
#define GM_SERVE_FROZEN_H

#include <stdatomic.h>

#include "base/context.h"
#include "gm/serve.h"
#include "io/archive.h"

#define GM_FROZEN_FAMILY 64

/* Where the bytes came from, and so where they go. */
enum {
    GM_FROZEN_OWN, /* of the allocator */
    GM_FROZEN_MAPPED,
    GM_FROZEN_HOST
};

struct gm_frozen {
    atomic_llong owners;
    gm_allocator hook; /* of the context that it was made with, which may be gone */
    const void *bytes;
    size_t count;
    int32_t origin;
    void (*release)(void *user, const void *bytes); /* of the host's bytes; may be NULL */
    void *user;
    int64_t row_size;
    char family[GM_FROZEN_FAMILY];
};

/* The model in it, in a context inside `parent`, whose memory is gone with the model; it retains
 * the frozen model. */
gm_status gm_frozen_open(gm_model **out, gm_context *parent, gm_frozen *frozen, const char *name);

#endif
