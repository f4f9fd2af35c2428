/* choose.c - which table of kernels this processor runs. Constant tables only: nothing here
 * changes. */
#include <stddef.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(GM_NO_X86)
#define GM_X86 1
#endif

extern const gm_kernels gm_kernels_baseline;
#ifdef GM_X86
extern const gm_kernels gm_kernels_v3;
extern const gm_kernels gm_kernels_v4;

/* The builtin also asks whether the system saves the wider registers. What else the levels hold
 * (movbe, f16c, lzcnt) came with these. */
static int runs_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static int runs_v4(void)
{
    return runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

static const gm_kernels *accept(const gm_kernels *table, const char *force)
{
    return !force || strcmp(force, table->name) == 0 ? table : NULL;
}

const gm_kernels *gm_kernels_choose(const char *force)
{
    const gm_kernels *found = NULL;
#ifdef GM_X86
    if (runs_v4()) found = accept(&gm_kernels_v4, force);
    if (!found && runs_v3()) found = accept(&gm_kernels_v3, force);
#endif
    if (!found) found = accept(&gm_kernels_baseline, force);
    return found;
}
