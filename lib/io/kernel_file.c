/* kernel_file.c - kernels in an archive: the numbers of each part. */
#include <stdio.h>
#include <string.h>

#include "autodiff/mmd_kernel.h"
#include "gm/archive.h"

#define KEY 128

static gm_status check(gm_context *ctx, const char *prefix)
{
    if (strlen(prefix) < 64) return GM_OK;
    return gm_fail(ctx, GM_E_INVALID, "kernel: the prefix has more than 63 characters");
}

gm_status gm_archive_put_kernel(gm_archive *archive, const char *prefix,
                                const gm_mmd_kernel *kernel)
{
    char key[KEY];
    gm_context *ctx = gm_archive_context(archive);
    gm_status status;
    if (!prefix) prefix = "";
    if (!archive || !kernel) return gm_fail(ctx, GM_E_INVALID, "kernel: archive or kernel is NULL");
    GM_TRY(check(ctx, prefix));
    (void)snprintf(key, sizeof key, "%scount", prefix);
    GM_TRY(gm_archive_set_int(archive, key, gm_mmd_kernel_count(kernel)));
    for (int32_t i = 0; i < gm_mmd_kernel_count(kernel); i++) {
        const gm_part *p = &kernel->parts[i];
        (void)snprintf(key, sizeof key, "%s%d.kind", prefix, (int)i);
        GM_TRY(gm_archive_set_int(archive, key, p->kind));
        (void)snprintf(key, sizeof key, "%s%d.degree", prefix, (int)i);
        GM_TRY(gm_archive_set_int(archive, key, p->degree));
        (void)snprintf(key, sizeof key, "%s%d.weight", prefix, (int)i);
        GM_TRY(gm_archive_set_real(archive, key, (double)p->weight));
        (void)snprintf(key, sizeof key, "%s%d.a", prefix, (int)i);
        GM_TRY(gm_archive_set_real(archive, key, kernel->exact[i]));
        (void)snprintf(key, sizeof key, "%s%d.b", prefix, (int)i);
        GM_TRY(gm_archive_set_real(archive, key, (double)p->b));
    }
out:
    return status;
}

static gm_status get_part(gm_mmd_kernel *kernel, gm_archive *archive, const char *prefix, int64_t i)
{
    char key[KEY];
    int64_t kind, degree;
    double weight, a, b;
    gm_status status;
    (void)snprintf(key, sizeof key, "%s%lld.kind", prefix, (long long)i);
    GM_TRY(gm_archive_get_int(&kind, archive, key));
    (void)snprintf(key, sizeof key, "%s%lld.degree", prefix, (long long)i);
    GM_TRY(gm_archive_get_int(&degree, archive, key));
    (void)snprintf(key, sizeof key, "%s%lld.weight", prefix, (long long)i);
    GM_TRY(gm_archive_get_real(&weight, archive, key));
    (void)snprintf(key, sizeof key, "%s%lld.a", prefix, (long long)i);
    GM_TRY(gm_archive_get_real(&a, archive, key));
    (void)snprintf(key, sizeof key, "%s%lld.b", prefix, (long long)i);
    GM_TRY(gm_archive_get_real(&b, archive, key));
    GM_TRY(gm_mmd_kernel_add_part(kernel, kind, weight, a, b, degree));
out:
    return status;
}

gm_status gm_archive_get_kernel(gm_mmd_kernel **out, gm_archive *archive, const char *prefix)
{
    char key[KEY];
    gm_context *ctx = gm_archive_context(archive);
    gm_mmd_kernel *kernel = NULL;
    gm_status status;
    int64_t count;
    if (out) *out = NULL;
    if (!prefix) prefix = "";
    if (!out || !archive) return gm_fail(ctx, GM_E_INVALID, "kernel: archive or out is NULL");
    GM_TRY(check(ctx, prefix));
    (void)snprintf(key, sizeof key, "%scount", prefix);
    GM_TRY(gm_archive_get_int(&count, archive, key));
    if (count < 0) GM_TRY(gm_fail(ctx, GM_E_FORMAT, "kernel: %s is %lld", key, (long long)count));
    GM_TRY(gm_mmd_kernel_create(&kernel, ctx));
    for (int64_t i = 0; i < count; i++) GM_TRY(get_part(kernel, archive, prefix, i));
    *out = kernel;
    return GM_OK;
out:
    gm_mmd_kernel_release(kernel);
    return status;
}
