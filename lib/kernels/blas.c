/* blas.c - which BLAS this is, and whether it runs the kernels that fit the processor. */
#include <stdio.h>
#include <string.h>

#include "kernels/gemm.h"

#if defined(GM_BLAS_OPENBLAS) || defined(GM_BLAS_BLIS)
/* AVX-512 as the Skylake kernels of both libraries need it */
static int wide_processor(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return 0;
#endif
}
#endif

#if defined(GM_BLAS_OPENBLAS)
#include <cblas.h>

static int any_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return 1;
    return 0;
}

/* What OPENBLAS_CORETYPE would do better, or NULL. Only builds with DYNAMIC_ARCH can choose. */
static const char *better_core(const char *core, const char *config)
{
#if defined(__x86_64__) && defined(__GNUC__)
    static const char *const wide[] = { "SkylakeX", "Cooperlake", "SapphireRapids", NULL };
    static const char *const middle[] = { "Haswell", "Zen", "Excavator", NULL };
    if (!strstr(config, "DYNAMIC_ARCH") || any_of(core, wide)) return NULL;
    if (wide_processor()) return "SKYLAKEX";
    if (!any_of(core, middle) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "HASWELL";
#else
    (void)any_of;
    (void)wide_processor;
    (void)core;
    (void)config;
#endif
    return NULL;
}

void gm_blas_describe(gm_blas_info *info)
{
    const char *config = openblas_get_config();
    const char *core = openblas_get_corename();
    memset(info, 0, sizeof *info);
    size_t words = 0, length = 0; /* "OpenBLAS 0.3.21", without the options behind it */
    while (config[length] && (config[length] != ' ' || ++words < 2)) length++;
    snprintf(info->name, sizeof info->name, "%.*s", (int)(length < 63 ? length : 63), config);
    snprintf(info->kernels, sizeof info->kernels, "%s", core);
    info->threads = openblas_get_num_threads();

    const char *better = better_core(core, config);
    size_t used = 0;
    if (better) {
        snprintf(info->hint, sizeof info->hint,
                 "OpenBLAS runs its %.24s kernels; OPENBLAS_CORETYPE=%s in the environment would"
                 " use all of this processor",
                 core, better);
        used = strlen(info->hint);
    }
    if (info->threads > 1)
        snprintf(info->hint + used, sizeof info->hint - used,
                 "%sblas_threads = 1 goes best with worker threads", used ? "; " : "");
}

int gm_blas_set_threads(int32_t threads)
{
    openblas_set_num_threads(threads < 1 ? 1 : threads);
    return 1;
}

#elif defined(GM_BLAS_BLIS)
/* Declared here: blis.h does not go through strict warnings. dim_t is 64 bits wide on all 64-bit
 * systems. */
extern char *bli_info_get_version_str(void);
extern int bli_arch_query_id(void);
extern char *bli_arch_string(int id);
extern int64_t bli_thread_get_num_threads(void);
extern void bli_thread_set_num_threads(int64_t threads);

void gm_blas_describe(gm_blas_info *info)
{
    memset(info, 0, sizeof *info);
    int64_t threads = bli_thread_get_num_threads(); /* -1 while it has not been set */
    snprintf(info->name, sizeof info->name, "BLIS %.48s", bli_info_get_version_str());
    snprintf(info->kernels, sizeof info->kernels, "%s", bli_arch_string(bli_arch_query_id()));
    info->threads = threads < 1 ? 1 : (int32_t)threads;
    size_t used = 0;
    if (strcmp(info->kernels, "skx") != 0 && wide_processor()) {
        snprintf(info->hint, sizeof info->hint,
                 "BLIS runs its %.24s kernels; BLIS_ARCH_TYPE=skx in the environment would use"
                 " all of this processor",
                 info->kernels);
        used = strlen(info->hint);
    }
    if (info->threads > 1)
        snprintf(info->hint + used, sizeof info->hint - used,
                 "%sblas_threads = 1 goes best with worker threads", used ? "; " : "");
}

int gm_blas_set_threads(int32_t threads)
{
    bli_thread_set_num_threads(threads < 1 ? 1 : threads);
    return 1;
}

#else

void gm_blas_describe(gm_blas_info *info)
{
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "CBLAS");
    info->threads = 1;
}

int gm_blas_set_threads(int32_t threads)
{
    (void)threads;
    return 0;
}

#endif
