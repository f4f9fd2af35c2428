/* context.c - the object from which everything is made. */
#define _POSIX_C_SOURCE 200809L
#include "base/context.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/error.h"
#include "base/options.h"
#include "kernels/blas_room.h"
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

/* There is no context yet that could keep the line: the host's log gets it. `said` is one on the
 * stack that has the line. */
static gm_status refuse(gm_context *said, gm_status status)
{
    if (status) gm_log_line(said, GM_LOG_ERROR, "%s", said->error);
    return status;
}

/* The log of options that may be of another version: the members up to log_user never move. */
static void find_log(gm_context *said, const gm_context_options *options)
{
    size_t end = offsetof(gm_context_options, log_user) + sizeof options->log_user;
    if (!options || options->size < end || options->size > GM_OPTIONS_LARGEST) return;
    said->log = options->log;
    said->log_user = options->log_user;
}

static gm_status check_number(gm_context *said, const char *name, int32_t value, int32_t least)
{
    if (value >= least && value <= MAX_THREADS) return GM_OK;
    return gm_fail(said, GM_E_INVALID, "context: %s is %d, expected %d to %d", name, (int)value,
                   (int)least, MAX_THREADS);
}

/* Everything about the arguments. */
static gm_status read_options(gm_context *said, int32_t header_version, gm_context_options *o,
                              const gm_context_options *options)
{
    gm_status status;
    if (!version_fits(header_version))
        GM_TRY(gm_fail(said, GM_E_VERSION,
                       "context: header_version is %d, expected %d.0 to %d.%d (%d)",
                       (int)header_version, GM_VERSION_MAJOR, GM_VERSION_MAJOR, GM_VERSION_MINOR,
                       GM_HEADER_VERSION));
    GM_TRY(gm_options_check(said, "context", o, sizeof *o, options));
    GM_TRY(check_number(said, "threads", o->threads, 1));
    GM_TRY(check_number(said, "blas_threads", o->blas_threads, 0));
    if (o->allocator && (!o->allocator->allocate || !o->allocator->release))
        GM_TRY(gm_fail(said, GM_E_INVALID, "context: allocator->%s is NULL, expected a function",
                       o->allocator->allocate ? "release" : "allocate"));
out:
    return status;
}

/* BLAS's threads, and its room for products on all of the context's. */
static gm_status prepare_blas(gm_context *ctx, gm_context *said, const gm_context_options *o)
{
    int64_t megabytes;
    if (o->blas_threads && !gm_blas_set_threads(o->blas_threads))
        gm_log_line(ctx, GM_LOG_WARNING, "context: this BLAS has no control of its threads");
    if (!gm_blas_take_room(o->threads, &megabytes))
        return gm_fail(said, GM_E_NOMEM,
                       "context: threads is %d, for which OpenBLAS needs %lld MB of address space, "
                       "expected a system that gives it (a limit such as ulimit -v?), fewer "
                       "threads, or a build with BLAS=blis",
                       (int)o->threads, (long long)megabytes);
    ctx->blas_room = o->threads;
    return GM_OK;
}

static gm_status create(gm_context **out, gm_context *said, const gm_context_options *o)
{
    gm_allocator hook = { system_allocate, system_release, NULL };
    if (o->allocator) hook = *o->allocator;
    gm_memory memory = { hook, { 0, 0, 0, 0 } };
    gm_context *ctx = gm_memory_get_zero(&memory, sizeof *ctx);
    if (!ctx) return gm_fail_memory(said, "context");
    ctx->memory = memory;
    ctx->owners = 1;
    ctx->seed = o->seed;
    ctx->next_recording = 1;
    ctx->next_pass = 1;
    ctx->threads = o->threads;
    ctx->log = o->log;
    ctx->log_user = o->log_user;
    ctx->kernels = gm_kernels_choose(NULL);
    if (o->threads > 1) {
        int32_t started;
        ctx->team = gm_team_create(&ctx->memory, o->threads, &started);
        if (!ctx->team) {
            gm_context_release(ctx);
            if (started < 0) return gm_fail_memory(said, "context");
            return gm_fail(said, GM_E_NOMEM,
                           "context: threads is %d, but the system started %d of %d workers",
                           (int)o->threads, (int)started, (int)o->threads - 1);
        }
    }
    gm_status status = prepare_blas(ctx, said, o);
    if (status)
        gm_context_release(ctx);
    else
        *out = ctx;
    return status;
}

gm_status gm_context_create(gm_context **out, int32_t header_version,
                            const gm_context_options *options)
{
    gm_context said;
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    memset(&said, 0, sizeof said);
    find_log(&said, options);
    if (!out) return refuse(&said, gm_fail(&said, GM_E_INVALID, "context: out is NULL"));
    *out = NULL;
    gm_status status = read_options(&said, header_version, &o, options);
    if (!status) status = create(out, &said, &o);
    return refuse(&said, status);
}

void gm_context_retain(gm_context *ctx)
{
    if (ctx) ctx->owners++;
}

void gm_context_release(gm_context *ctx)
{
    if (!ctx || --ctx->owners > 0) return;
    if (ctx->parent) {
        gm_context_free_child(ctx);
        return;
    }
    gm_team_destroy(ctx->team);
    if (ctx->blas_room) gm_blas_give_room(ctx->blas_room);
    gm_memory memory = ctx->memory;
    gm_registry_free(ctx->registry, &memory);
    gm_memory_put(&memory, ctx, sizeof *ctx);
}

const char *gm_context_error(const gm_context *ctx)
{
    while (ctx && ctx->parent) ctx = ctx->parent;
    return ctx ? ctx->error
               : "no context: it was not created; see the status, and the line that log got";
}

int32_t gm_context_threads(const gm_context *ctx)
{
    return ctx ? ctx->threads : 0;
}

uint64_t gm_context_seed(const gm_context *ctx)
{
    return ctx ? ctx->seed : 0;
}

/* Does a description of this size end with one of its members? A text that is cut has no end. */
static int description_fits(size_t size)
{
#define END(member)                                                                                \
    offsetof(gm_context_description, member) + sizeof((gm_context_description *)0)->member
    static const size_t ends[] = {
        END(size), END(blas), END(blas_kernels), END(threads), END(instruction_set), END(hint)
    };
#undef END
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (size == ends[i]) return 1;
    return 0;
}

gm_status gm_context_describe(gm_context_description *out, gm_context *ctx)
{
    if (!ctx || !out) return gm_fail(ctx, GM_E_INVALID, "describe: context or out is NULL");
    gm_context_description d = GM_CONTEXT_DESCRIPTION_INIT;
    size_t size = out->size;
    if (!description_fits(size))
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
