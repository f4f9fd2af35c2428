/* context.c - the object from which everything is made. */
#define _POSIX_C_SOURCE 200809L
#include "base/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"

#define MAX_THREADS 256

static void *system_allocate(void *user, size_t size, size_t align)
{
    (void)user;
    void *p = NULL;
    return posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size) ? NULL : p;
}

static void system_release(void *user, void *pointer, size_t size)
{
    (void)user;
    (void)size;
    free(pointer);
}

/* A header of another major version never fits; while the major is 0, minor versions may differ
 * too. */
static int version_fits(int32_t header)
{
    int32_t major = header / 1000000, minor = header / 1000 % 1000;
    if (header < 0 || major != GM_VERSION_MAJOR) return 0;
    return minor <= GM_VERSION_MINOR;
}

gm_status gm_context_create(gm_context **out, int32_t header_version,
                            const gm_context_options *options)
{
    if (!out) return GM_E_INVALID;
    *out = NULL;
    if (!version_fits(header_version)) return GM_E_VERSION;

    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    if (gm_options_check(NULL, "context", &o, sizeof o, options)) return GM_E_INVALID;
    if (o.threads < 1 || o.threads > MAX_THREADS) return GM_E_INVALID;
    if (o.blas_threads < 0 || o.blas_threads > MAX_THREADS) return GM_E_INVALID;
    gm_allocator hook = { system_allocate, system_release, NULL };
    if (o.allocator) hook = *o.allocator;
    if (!hook.allocate || !hook.release) return GM_E_INVALID;

    gm_memory memory = { hook, { 0, 0, 0, 0 } };
    gm_context *ctx = gm_memory_get_zero(&memory, sizeof *ctx);
    if (!ctx) return GM_E_NOMEM;
    ctx->memory = memory;
    ctx->owners = 1;
    ctx->seed = o.seed;
    ctx->next_recording = 1;
    ctx->next_pass = 1;
    ctx->threads = o.threads;
    ctx->log = o.log;
    ctx->log_user = o.log_user;
    ctx->kernels = gm_kernels_choose(NULL);
    if (o.threads > 1) {
        ctx->team = gm_team_create(&ctx->memory, o.threads);
        if (!ctx->team) {
            gm_context_release(ctx);
            return GM_E_NOMEM;
        }
    }
    if (o.blas_threads && !gm_blas_set_threads(o.blas_threads))
        gm_log_line(ctx, GM_LOG_WARNING, "context: this BLAS has no control of its threads");
    *out = ctx;
    return GM_OK;
}

void gm_context_retain(gm_context *ctx)
{
    if (ctx) ctx->owners++;
}

void gm_context_release(gm_context *ctx)
{
    if (!ctx || --ctx->owners > 0) return;
    gm_team_destroy(ctx->team);
    gm_memory memory = ctx->memory;
    gm_memory_put(&memory, ctx, sizeof *ctx);
}

const char *gm_context_error(const gm_context *ctx)
{
    return ctx ? ctx->error : "no context: its creation failed, see the status";
}

int32_t gm_context_threads(const gm_context *ctx)
{
    return ctx ? ctx->threads : 0;
}

uint64_t gm_context_seed(const gm_context *ctx)
{
    return ctx ? ctx->seed : 0;
}

gm_status gm_context_describe(gm_context_description *out, gm_context *ctx)
{
    if (!ctx || !out) return gm_fail(ctx, GM_E_INVALID, "describe: context or out is NULL");
    gm_context_description d = GM_CONTEXT_DESCRIPTION_INIT;
    size_t size = out->size;
    if (size < sizeof(size_t) || size > sizeof d)
        return gm_fail(ctx, GM_E_INVALID, "describe: size is %zu, this library knows %zu", size,
                       sizeof d);
    gm_blas_info blas;
    memset(&blas, 0, sizeof blas);
    gm_blas_describe(&blas);
    (void)snprintf(d.blas, sizeof d.blas, "%s", blas.name);
    (void)snprintf(d.blas_kernels, sizeof d.blas_kernels, "%s", blas.kernels);
    (void)snprintf(d.hint, sizeof d.hint, "%s", blas.hint);
    (void)snprintf(d.instruction_set, sizeof d.instruction_set, "%s", ctx->kernels->name);
    d.blas_threads = blas.threads;
    d.threads = ctx->threads;
    d.size = size;
    memcpy(out, &d, size);
    return GM_OK;
}

void gm_context_memory(gm_memory_counters *out, const gm_context *ctx)
{
    if (!out) return;
    memset(out, 0, sizeof *out);
    if (ctx) *out = ctx->memory.counters;
}
