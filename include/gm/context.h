/* gm/context.h - statuses, the version, and the context from which everything is made.
 *
 * Create a context, make objects from it, release them and it in any order: objects retain their
 * context. A context and all that was made from it belong to one thread at a time; different
 * contexts may run concurrently. Several threads share one model as a frozen one (gm/serve.h). The
 * library has no mutable globals (but a count of the products inside of OpenBLAS), no thread-local
 * state and nothing to initialise.
 *
 * Fitting, steps, evaluation, sampling, log_prob, backward passes, files of models, and whatever a
 * model refuses while its own callback runs, notice a second thread that is inside a call with the
 * same context: the later call returns GM_E_STATE, changes nothing and leaves no line, because the
 * line belongs to the thread that is inside. A callback's calls are to come from its own thread.
 *
 * The child of a fork may use and release what its parent made, if no other thread was inside a
 * call of the library: its contexts have no workers and give the same bits.
 *
 * It never prints, never ends the process, and never touches the host's random numbers, locale,
 * signals or floating-point mode. Failures are reported as a status plus one line of text
 * (gm_context_error).
 */
#ifndef GM_CONTEXT_H
#define GM_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GM_API __attribute__((visibility("default")))
#else
#define GM_API
#endif

/* The version, and as one number: major * 1000000 + minor * 1000 + patch. */
#define GM_VERSION_MAJOR 0
#define GM_VERSION_MINOR 1
#define GM_VERSION_PATCH 0
#define GM_HEADER_VERSION (GM_VERSION_MAJOR * 1000000 + GM_VERSION_MINOR * 1000 + GM_VERSION_PATCH)

/* Status: 0 or one of the negative numbers below, which never change. */
typedef int32_t gm_status;

#define GM_OK 0               /* done */
#define GM_E_NOMEM (-1)       /* the allocator returned NULL; nothing was changed */
#define GM_E_INVALID (-2)     /* an argument or a value in the data is out of range */
#define GM_E_SHAPE (-3)       /* shapes do not fit each other */
#define GM_E_STALE (-4)       /* a variable from an earlier recording, or from another tape */
#define GM_E_STATE (-5)       /* the object is not ready for this call, or no longer */
#define GM_E_UNSUPPORTED (-6) /* this object does not support the operation */
#define GM_E_IO (-7)          /* the system refused to open, read or write */
#define GM_E_FORMAT (-8)      /* a file is not what it should be */
#define GM_E_VERSION (-9)     /* header and library, or file and library, are incompatible */
#define GM_E_NUMERIC (-10)    /* not finite: overflow, NaN */
#define GM_E_CANCELLED (-11)  /* a callback of the host asked to stop */
#define GM_E_INTERNAL (-12)   /* a fault of the library itself; please report */

/* The name of a status: "GM_E_SHAPE" for -3; "GM_E_UNKNOWN" for a number that is no status. Static
 * text. */
GM_API const char *gm_status_name(gm_status status);

/* The GM_HEADER_VERSION with which the library was built, and the same as text ("0.1.0"). */
GM_API int32_t gm_version(void);
GM_API const char *gm_version_text(void);

/* The context: seed, threads, memory, log and the latest error line of all that is made from it. */
typedef struct gm_context gm_context;

/* What every long call tells the host, on the calling thread: how much is done, of how much, in the
 * units that the call documents. Non-zero stops the call: GM_E_CANCELLED. It may call into the
 * library, with the model at work too: the call goes on with the labels it began with, and draws
 * after what the callback drew. It may release whatever it likes, the last owners of model, data
 * and context too: they stay until the call is over. To fit, step or change the model at work is
 * GM_E_STATE. */
typedef int32_t gm_progress_callback(void *user, int64_t done, int64_t total);

/* Options of long calls that have no others. A NULL pointer in its place means no progress
 * callback. */
typedef struct gm_progress_options {
    size_t size;
    gm_progress_callback *on_progress; /* NULL: none */
    void *user;
} gm_progress_options;

#define GM_PROGRESS_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(gm_progress_options), NULL, NULL                                                    \
    }

/* The host's allocator. `allocate` returns at least `size` bytes aligned to `align` (a power of
 * two, at most 64), or NULL. `release` receives the pointer with the same size. Both are called
 * only from threads that call into the library with this context, never from workers. */
typedef struct gm_allocator {
    void *(*allocate)(void *user, size_t size, size_t align);
    void (*release)(void *user, void *pointer, size_t size);
    void *user;
} gm_allocator;

#define GM_LOG_INFO 0
#define GM_LOG_WARNING 1
#define GM_LOG_ERROR 2 /* used only for the reason why gm_context_create failed */

typedef struct gm_context_options {
    size_t size;          /* sizeof(gm_context_options), set by the INIT macro */
    uint64_t seed;        /* of all randomness; 0 is a seed like any other */
    int32_t threads;      /* 1 to 256, the caller included; default 1 */
    int32_t blas_threads; /* default 0: leaves BLAS's own number of threads alone; else 1 to 256,
                             set PROCESS-WIDE. 1 is best with threads >= 1, because the library's
                             workers call BLAS concurrently */
    const gm_allocator *allocator; /* NULL: the C library's. The struct is copied. */
    void (*log)(void *user, int32_t level, const char *line); /* NULL: silent. level: GM_LOG_* */
    void *log_user;
} gm_context_options;

#define GM_CONTEXT_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_context_options), 0, 1, 0, NULL, NULL, NULL                                      \
    }

/* Makes a context. Pass GM_HEADER_VERSION as header_version: the library refuses a header of
 * another major version, or of a newer minor version while the major is 0 (GM_E_VERSION). options
 * NULL: all defaults; options are read during the call. *out is NULL after any failure.
 * GM_E_INVALID: out NULL, threads or blas_threads out of range, an allocator with only one of its
 * functions, non-zero unknown bytes in a larger options struct, a size that is no multiple of
 * sizeof(size_t); GM_E_VERSION; GM_E_NOMEM (also when the system cannot start more threads, or has
 * no address space for the buffers of OpenBLAS: 128 MB for each of `threads`).
 *
 * After a failure there is no context to hold the error line, so options->log receives it, with
 * level GM_LOG_ERROR; it names the member or the versions that do not fit. For this reason the
 * members up to log_user keep their place in every version. There is no line if options is NULL or
 * ends before log_user, if log is NULL, or if options->size is below sizeof(size_t) or above 4096:
 * such a struct was not initialised with the INIT macro, so nothing in it is used. */
GM_API gm_status gm_context_create(gm_context **out, int32_t header_version,
                                   const gm_context_options *options);

/* Retain adds an owner, release removes one; objects made from the context are owners too, and it
 * is freed with the last of them. Both accept NULL. */
GM_API void gm_context_retain(gm_context *context);
GM_API void gm_context_release(gm_context *context);

/* The error line of the most recent failing call: no newline, at most 511 bytes, "" if no call has
 * failed. Valid until the next failing call. Reporting allocates nothing. context NULL gives a
 * fixed text, for a context that could not be created. */
GM_API const char *gm_context_error(const gm_context *context);

/* The number of threads and the seed that the context was made with; 0 for NULL. */
GM_API int32_t gm_context_threads(const gm_context *context);
GM_API uint64_t gm_context_seed(const gm_context *context);

/* What the library runs on, for bug reports and tuning. */
typedef struct gm_context_description {
    size_t size;           /* set to sizeof by the INIT macro */
    char blas[64];         /* "OpenBLAS 0.3.21" */
    char blas_kernels[32]; /* "SkylakeX" */
    int32_t blas_threads;
    int32_t threads;
    char instruction_set[32]; /* "x86-64-v4", "x86-64-v3", "baseline" */
    char hint[192];           /* what to change to be faster, or "" */
} gm_context_description;

#define GM_CONTEXT_DESCRIPTION_INIT                                                                \
    {                                                                                              \
        sizeof(gm_context_description), "", "", 0, 0, "", ""                                       \
    }

/* Fills *out. GM_E_INVALID: context or out NULL, out->size not that of a known version. */
GM_API gm_status gm_context_describe(gm_context_description *out, gm_context *context);

/* Counts of what passed through the allocator since the context was created. */
typedef struct gm_memory_counters {
    uint64_t allocations; /* calls of allocate that succeeded */
    uint64_t releases;
    uint64_t bytes; /* held now */
    uint64_t peak_bytes;
} gm_memory_counters;

/* Fills *out; zeros if context is NULL. */
GM_API void gm_context_memory(gm_memory_counters *out, const gm_context *context);

#ifdef __cplusplus
}
#endif

#endif
