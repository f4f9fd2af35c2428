/* test_stacks.c - threads with little stack: the host's own may have 64 KB, and workers have what
 * they need whatever the host's default is. */
#define _GNU_SOURCE /* pthread_setattr_default_np */
#include <pthread.h>

#include "base/context.h"
#include "families.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROOM ((size_t)512 << 10) /* frames are larger there */
#else
#define ROOM ((size_t)64 << 10)
#endif

#define ROWS 8
static const family_size small = { 6, 16, 3 };

static void *nothing(void *arg)
{
    return arg;
}

/* The least stack with which a thread of this program starts: the system takes the thread-local
 * state of all libraries out of it (OpenBLAS alone has 60 KB). */
static size_t least_stack(void)
{
    for (size_t size = 16 << 10; size < (size_t)8 << 20; size += 4 << 10) {
        pthread_attr_t attr;
        pthread_t thread;
        pthread_attr_init(&attr);
        int error = pthread_attr_setstacksize(&attr, size);
        if (!error) error = pthread_create(&thread, &attr, nothing, NULL);
        pthread_attr_destroy(&attr);
        if (error) continue;
        pthread_join(thread, NULL);
        return size;
    }
    ck_abort_msg("no thread starts");
    return 0;
}

static void on_small_stack(void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    ck_assert_int_eq(pthread_attr_setstacksize(&attr, least_stack() + ROOM), 0);
    ck_assert_int_eq(pthread_create(&thread, &attr, fn, arg), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
}

/* Everything that a host does with a model of each family. */
static void *live(void *arg)
{
    const int32_t threads = *(const int32_t *)arg;
    for (int which = 0; which < FAMILY_COUNT; which++) {
        gm_context *ctx = support_context(3, threads);
        gm_model *model = family_make(ctx, which, &small), *again = NULL;
        const int64_t width = gm_model_row_size(model), shape[2] = { ROWS, width };
        gm_dataset *data = NULL;
        char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32];
        double log_prob[ROWS];
        float *rows = calloc((size_t)(ROWS * width), sizeof *rows);
        ck_assert_ptr_nonnull(rows);
        for (int64_t i = 0; i < ROWS * width; i += 2) rows[i] = 1;
        support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        fit.epochs = 1;
        fit.batch = 4;
        if (gm_model_supports(model, GM_VERB_FIT)) support_ok(ctx, gm_model_fit(model, data, &fit));
        if (gm_model_supports(model, GM_VERB_LOG_PROB))
            support_ok(ctx, gm_model_log_prob(model, rows, ROWS, log_prob));
        support_folder_make(folder);
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        support_ok(ctx, gm_model_save(model, path));
        support_ok(ctx, gm_model_load(&again, ctx, path));
        if (gm_model_supports(model, GM_VERB_SAMPLE))
            support_ok(ctx, gm_model_sample_into(again, ROWS, NULL, rows));
        support_folder_remove(folder);
        gm_dataset_release(data);
        gm_model_release(again);
        gm_model_release(model);
        gm_context_release(ctx);
        free(rows);
    }
    return NULL;
}

START_TEST(every_family_lives_on_64_kilobytes)
{
    int32_t threads[] = { 1, 3 };
    for (int i = 0; i < 2; i++) on_small_stack(live, &threads[i]);
}
END_TEST

#define DEEP ((size_t)256 << 10)

/* A shard that needs as much stack as products of some BLAS do. */
static void deep(void *arg, int64_t shard)
{
    volatile unsigned char room[DEEP];
    _Atomic int64_t *sum = arg;
    for (size_t i = 0; i < DEEP; i += 512) room[i] = (unsigned char)shard;
    *sum += room[512 * (size_t)shard];
}

/* What `ulimit -s` or pthread_setattr_default_np gave the program's threads is not the workers'. */
START_TEST(workers_have_stacks_of_their_own_size)
{
#ifdef __GLIBC__
    pthread_attr_t before, attr;
    ck_assert_int_eq(pthread_getattr_default_np(&before), 0);
    pthread_attr_init(&attr);
    ck_assert_int_eq(pthread_attr_setstacksize(&attr, least_stack()), 0);
    ck_assert_int_eq(pthread_setattr_default_np(&attr), 0);
    gm_context *ctx = support_context(3, 8);
    _Atomic int64_t sum = 0;
    for (int i = 0; i < 50; i++) gm_team_run(ctx->team, 64, deep, &sum);
    ck_assert_int_eq(sum, 50 * 63 * 64 / 2);
    gm_context_release(ctx);
    ck_assert_int_eq(pthread_setattr_default_np(&before), 0);
    pthread_attr_destroy(&attr);
    pthread_attr_destroy(&before);
#endif
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("stacks");
    TCase *t = tcase_create("stacks");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_family_lives_on_64_kilobytes);
    tcase_add_test(t, workers_have_stacks_of_their_own_size);
    suite_add_tcase(s, t);
    return s;
}
