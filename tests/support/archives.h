/* archives.h - the fixture of the archive suites, and a small archive. */
#ifndef GM_TESTS_ARCHIVES_H
#define GM_TESTS_ARCHIVES_H

#include <sys/stat.h>

#include "gm/archive.h"
#include "io/archive.h"
#include "support.h"

static gm_context *ctx;
static char folder[SUPPORT_PATH];
static char file[2 * SUPPORT_PATH];
static uint64_t empty_bytes;

static inline void setup(void)
{
    gm_memory_counters m;
    ctx = support_context(1, 1);
    gm_context_memory(&m, ctx);
    empty_bytes = m.bytes;
    support_folder_make(folder);
    snprintf(file, sizeof file, "%s/model.safetensors", folder);
}

static inline void teardown(void)
{
    gm_memory_counters m;
    gm_context_memory(&m, ctx);
    ck_assert_uint_eq(m.bytes, empty_bytes);
    gm_context_release(ctx);
    support_folder_remove(folder);
}

static inline size_t read_file(const char *path, uint8_t *out, size_t room)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    const size_t n = fread(out, 1, room, f);
    ck_assert_uint_lt(n, room);
    fclose(f);
    return n;
}

static inline int files_in_folder(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static const float weight[6] = { 1, -2, 0.5f, 1e-30f, 3e38f, 0 };

/* A small archive with a bit of everything. */
static inline gm_archive *sample(void)
{
    gm_archive *a = NULL;
    const int64_t matrix[2] = { 2, 3 }, row[1] = { 3 }, empty[2] = { 0, 4 };
    const float one = 42;
    support_ok(ctx, gm_archive_create(&a, ctx));
    support_ok(ctx, gm_archive_put(a, "decoder.weight", 2, matrix, weight));
    support_ok(ctx,
               gm_archive_put_bytes(a, "a.state", "\1\2\3\4\5", 5)); /* odd size, sorts first */
    support_ok(ctx, gm_archive_put(a, "bias", 1, row, weight));
    support_ok(ctx, gm_archive_put(a, "scalar", 0, NULL, &one));
    support_ok(ctx, gm_archive_put(a, "empty", 2, empty, NULL));
    support_ok(ctx, gm_archive_set_text(a, "family", "vae"));
    support_ok(ctx, gm_archive_set_int(a, "latent", 20));
    support_ok(ctx, gm_archive_set_real(a, "rate", 1e-3));
    support_ok(ctx,
               gm_archive_set_text(a, "odd", "q\" b\\ n\n t\t \x01 \xc3\xa4 \xf0\x9f\x98\x80"));
    return a;
}

#endif
