/* support.h - what several test suites need. Static inline, so that a suite takes only what it
 * uses. */
#ifndef GM_TESTS_SUPPORT_H
#define GM_TESTS_SUPPORT_H

#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gm/context.h"
#include "gm/tensor.h"

/* Rows [count, width] as functions take them. */
#define support_rows(values, count, width) (&(gm_rows){ (values), (count), (width) })

/* How many standard errors none of so many comparisons of normal values passes but with probability
 * 1e-6 (Bonferroni, with the tail's bound exp(-z^2 / 2)): the bound of a test that nearly any seed
 * would pass. */
static inline double support_bound(int64_t comparisons)
{
    return sqrt(2 * log((double)comparisons / 1e-6));
}

/* The same for chi-squares of so many degrees of freedom (Laurent and Massart 2000, lemma 1). */
static inline double support_chi_bound(double freedom, int64_t comparisons)
{
    const double t = log((double)comparisons / 1e-6);
    return freedom + 2 * sqrt(freedom * t) + 2 * t;
}

/* A context with this seed and number of threads. GM_TEST_SEED in the environment is added to the
 * seed: to try whether a test of random numbers passes with others. */
static inline gm_context *support_context(uint64_t seed, int32_t threads)
{
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    const char *other = getenv("GM_TEST_SEED");
    options.seed = seed + (other ? strtoull(other, NULL, 10) : 0);
    options.threads = threads;
    gm_context *ctx = NULL;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &options), GM_OK);
    ck_assert_ptr_nonnull(ctx);
    return ctx;
}

/* Is `text` in the line? The word "expected " is left out of both: tests hold names and values, not
 * prose. */
static inline int support_says(const char *line, const char *text)
{
    static const char word[] = "expected ";
    char plain[2][1024] = { "", "" };
    const char *from[2] = { line, text };
    for (int i = 0; i < 2; i++) {
        size_t length = 0;
        for (const char *at = from[i]; *at && length + 1 < sizeof plain[i];) {
            if (strncmp(at, word, sizeof word - 1) == 0) {
                at += sizeof word - 1;
                continue;
            }
            plain[i][length++] = *at++;
        }
        plain[i][length] = 0;
    }
    return strstr(plain[0], plain[1]) != NULL;
}

/* The call fails with this status, and the error line has this in it. */
#define support_fails(ctx, call, status, text)                                                     \
    do {                                                                                           \
        gm_status support_status = (call);                                                         \
        ck_assert_msg(support_status == (status), "%s is %s, expected %s (%s)", #call,             \
                      gm_status_name(support_status), #status, gm_context_error(ctx));             \
        ck_assert_msg(support_says(gm_context_error(ctx), (text)), "no \"%s\" in \"%s\"", (text),  \
                      gm_context_error(ctx));                                                      \
    } while (0)

/* The call succeeds; if not, the error line is shown. */
/* The options of gm_model_evaluate: rows at a time, and at most so many (0: all). */
#define support_batches(batch, limit)                                                              \
    (&(gm_model_evaluate_options){ sizeof(gm_model_evaluate_options), batch, limit, NULL, NULL })

#define support_ok(ctx, call)                                                                      \
    do {                                                                                           \
        gm_status support_status = (call);                                                         \
        ck_assert_msg(support_status == GM_OK, "%s is %s: %s", #call,                              \
                      gm_status_name(support_status), gm_context_error(ctx));                      \
    } while (0)

/* Fresh folders are made in memory, where the system has such a place: for thousands of files that
 * are synced. */
static inline void support_memory_folder(void)
{
    if (!getenv("TMPDIR") && !access("/dev/shm", W_OK)) setenv("TMPDIR", "/dev/shm", 1);
}

/* A fresh folder, into `path`; gone, with its files, after support_folder_remove. */
#define SUPPORT_PATH 512
static inline void support_folder_make(char path[SUPPORT_PATH])
{
    const char *root = getenv("TMPDIR");
    snprintf(path, SUPPORT_PATH, "%s/gm-test-XXXXXX", root && root[0] ? root : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static inline void support_folder_remove(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) return;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        char file[2 * SUPPORT_PATH];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        remove(file);
    }
    closedir(folder);
    rmdir(path);
}

/* Makes the checksums of a file's tensors another text, which nobody reads: for files whose bytes
 * are changed, and that are to be looked at further. Returns 1 if there were any. */
static inline int support_forget_checksums(void *bytes, size_t size)
{
    static const char key[] = "\"gm.crc32\"";
    char *p = (char *)bytes;
    for (size_t i = 0; i + sizeof key - 1 <= size; i++)
        if (!memcmp(p + i, key, sizeof key - 1)) {
            p[i + sizeof key - 3] = '3';
            return 1;
        }
    return 0;
}

static inline void support_file_write(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

#endif
