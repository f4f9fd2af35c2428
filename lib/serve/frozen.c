/* frozen.c - frozen models: made from a model, a file or bytes. */
#define _POSIX_C_SOURCE 200809L
#include "serve/frozen.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/child.h"
#include "base/file.h"
#include "models/frozen.h"
#include "models/load_check.h"

static void end(void *frozen)
{
    gm_frozen_release(frozen);
}

gm_status gm_frozen_open(gm_model **out, gm_context *parent, gm_frozen *frozen, const char *name)
{
    gm_context *child = NULL;
    gm_archive *archive = NULL;
    gm_status status;
    *out = NULL;
    GM_TRY(gm_context_create_child(&child, parent));
    gm_frozen_retain(frozen);
    gm_context_at_end(child, end, frozen);
    GM_TRY(gm_archive_open_image(&archive, child, name, frozen->bytes, frozen->count));
    GM_TRY(gm_model_from_archive(out, child, archive, name));
out:
    gm_archive_release(archive);
    gm_context_release(child);
    return status;
}

/* A struct with one owner and no bytes yet. */
static gm_frozen *make(gm_context *ctx)
{
    while (ctx->parent) ctx = ctx->parent; /* whose memory is counted and may end */
    const gm_allocator *hook = &ctx->memory.hook;
    gm_frozen *frozen = hook->allocate(hook->user, sizeof *frozen, 64);
    if (!frozen) {
        (void)gm_fail_memory(ctx, "freeze");
        return NULL;
    }
    memset(frozen, 0, sizeof *frozen);
    atomic_init(&frozen->owners, 1);
    frozen->hook = *hook;
    return frozen;
}

static void describe(gm_frozen *frozen, const gm_model *model)
{
    const char *family = gm_model_family(model);
    const size_t length = strlen(family);
    memcpy(frozen->family, family, length < GM_FROZEN_FAMILY ? length : GM_FROZEN_FAMILY - 1);
    frozen->row_size = gm_model_row_size(model);
}

gm_status gm_model_freeze(gm_frozen **out, gm_model *model)
{
    if (out) *out = NULL;
    if (!model) return GM_E_INVALID;
    gm_context *ctx = model->ctx;
    if (!out) return gm_fail(ctx, GM_E_INVALID, "freeze: out is NULL");
    gm_archive *archive = NULL;
    gm_frozen *frozen = NULL;
    void *bytes = NULL;
    gm_status status;
    GM_TRY(gm_model_archive(&archive, model, "freeze", 0));
    frozen = make(ctx);
    if (!frozen) GM_TRY(GM_E_NOMEM);
    GM_TRY(gm_archive_image(&bytes, &frozen->count, archive));
    gm_memory_hand_over(&ctx->memory, frozen->count);
    frozen->bytes = bytes;
    describe(frozen, model);
    *out = frozen;
    frozen = NULL;
out:
    gm_frozen_release(frozen);
    gm_archive_release(archive);
    return status;
}

/* Can readers take all weights where they lie? Not those of a checkpoint, whose averages and best
 * weights are elsewhere in the file, and not other types than singles. */
static int usable(const gm_archive *a)
{
    if (gm_archive_has(a, "optimizer.kind")) return 0;
    for (int64_t i = 0; i < a->tensor_count; i++) {
        const gm_archive_tensor *t = &a->tensors[i];
        const int is_float = !strcmp(t->type, GM_ARCHIVE_FLOAT);
        if (is_float ? (uintptr_t)t->bytes % sizeof(float) != 0 : strcmp(t->type, "U8") != 0)
            return 0;
    }
    return !GM_BIG_ENDIAN;
}

/* Fills what the bytes say, with a trial; or puts an own copy of the model in *out. */
static gm_status examine(gm_frozen **out, gm_context *ctx, gm_frozen *frozen, const char *name)
{
    gm_archive *archive = NULL;
    gm_model *model = NULL;
    gm_status status;
    *out = NULL;
    GM_TRY(gm_archive_open_image(&archive, ctx, name, frozen->bytes, frozen->count));
    const gm_load_options usual = GM_LOAD_OPTIONS_INIT;
    GM_TRY(gm_model_check_file(ctx, archive, name, &usual));
    if (usable(archive)) {
        GM_TRY(gm_frozen_open(&model, ctx, frozen, name));
        describe(frozen, model);
    } else {
        GM_TRY(gm_model_from_archive(&model, ctx, archive, name));
        GM_TRY(gm_model_freeze(out, model));
    }
out:
    gm_model_release(model);
    gm_archive_release(archive);
    return status;
}

gm_status gm_frozen_wrap(gm_frozen **out, gm_context *ctx, const void *bytes, size_t count,
                         void (*release)(void *user, const void *bytes), void *user)
{
    if (out) *out = NULL;
    if (!out || !ctx || !bytes)
        return gm_fail(ctx, GM_E_INVALID, "frozen: context, bytes or out is NULL");
    gm_frozen *frozen = make(ctx), *copy = NULL;
    if (!frozen) return GM_E_NOMEM;
    gm_status status;
    frozen->bytes = bytes;
    frozen->count = count;
    frozen->origin = GM_FROZEN_HOST;
    GM_TRY(examine(&copy, ctx, frozen, "bytes"));
    frozen->release = release;
    frozen->user = user;
    *out = copy ? copy : frozen;
    if (!copy) frozen = NULL;
out:
    gm_frozen_release(frozen);
    return status;
}

static gm_status map(gm_context *ctx, gm_frozen *frozen, const char *path)
{
    gm_file file = { -1, 0 };
    gm_status status;
    GM_TRY(gm_file_open(ctx, &file, path));
    if (!file.size) GM_TRY(gm_fail(ctx, GM_E_FORMAT, "%s: is empty, expected a model", path));
    void *at = mmap(NULL, (size_t)file.size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (at == MAP_FAILED) GM_TRY(gm_file_fail(ctx, path, "cannot be mapped", errno));
    frozen->bytes = at;
    frozen->count = (size_t)file.size;
    frozen->origin = GM_FROZEN_MAPPED;
out:
    gm_file_close(&file);
    return status;
}

gm_status gm_frozen_load(gm_frozen **out, gm_context *ctx, const char *path)
{
    if (out) *out = NULL;
    if (!out || !ctx || !path)
        return gm_fail(ctx, GM_E_INVALID, "frozen: context, path or out is NULL");
    gm_frozen *frozen = make(ctx), *copy = NULL;
    if (!frozen) return GM_E_NOMEM;
    gm_status status;
    GM_TRY(map(ctx, frozen, path));
    GM_TRY(examine(&copy, ctx, frozen, path));
    *out = copy ? copy : frozen;
    if (!copy) frozen = NULL;
out:
    gm_frozen_release(frozen);
    return status;
}

void gm_frozen_retain(gm_frozen *frozen)
{
    if (frozen) atomic_fetch_add_explicit(&frozen->owners, 1, memory_order_relaxed);
}

void gm_frozen_release(gm_frozen *frozen)
{
    if (!frozen || atomic_fetch_sub_explicit(&frozen->owners, 1, memory_order_acq_rel) > 1) return;
    void *bytes = (void *)(uintptr_t)frozen->bytes;
    if (frozen->origin == GM_FROZEN_MAPPED)
        (void)munmap(bytes, frozen->count);
    else if (frozen->origin == GM_FROZEN_OWN && bytes)
        frozen->hook.release(frozen->hook.user, bytes, frozen->count);
    else if (frozen->release)
        frozen->release(frozen->user, frozen->bytes);
    const gm_allocator hook = frozen->hook;
    hook.release(hook.user, frozen, sizeof *frozen);
}

const char *gm_frozen_family(const gm_frozen *frozen)
{
    return frozen ? frozen->family : "";
}

int64_t gm_frozen_row_size(const gm_frozen *frozen)
{
    return frozen ? frozen->row_size : 0;
}

size_t gm_frozen_bytes(const gm_frozen *frozen)
{
    return frozen ? frozen->count : 0;
}
