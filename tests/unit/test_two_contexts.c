/* test_two_contexts.c - every family in two contexts on two threads at once: each with the bits
 * that it has alone. The thread sanitizer and valgrind look on as well (.ci/run). */
#include <pthread.h>

#include "families.h"

#define ROWS 24
#define CONTEXTS 2
static const family_size small = { 6, 16, 3 };

typedef struct life {
    int which;
    const char *path;
    float rows[ROWS * 64]; /* samples */
    double log_prob[ROWS];
    gm_status status;
} life;

static gm_status use(life *l, gm_context *ctx, gm_model *model, gm_dataset *data, const float *rows)
{
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_model *again = NULL;
    gm_status s = GM_OK;
    fit.epochs = 2;
    fit.batch = 8;
    if (gm_model_supports(model, GM_VERB_FIT)) s = gm_model_fit(model, data, &fit);
    if (!s) s = gm_model_save_checkpoint(model, l->path);
    if (!s) s = gm_model_load(&again, ctx, l->path);
    if (!s && gm_model_supports(again, GM_VERB_LOG_PROB))
        s = gm_model_log_prob(again, rows, ROWS, l->log_prob);
    if (!s && gm_model_supports(again, GM_VERB_SAMPLE))
        s = gm_model_sample_into(again, ROWS, NULL, l->rows);
    gm_model_release(again);
    return s;
}

static void *live(void *arg)
{
    life *l = arg;
    gm_context *ctx = support_context(3, 2);
    gm_model *model = family_make(ctx, l->which, &small);
    const int64_t width = gm_model_row_size(model), shape[2] = { ROWS, width };
    gm_dataset *data = NULL;
    float *rows = calloc((size_t)(ROWS * width), sizeof *rows);
    ck_assert(rows && width <= 64);
    for (int64_t i = 0; i < ROWS * width; i++) rows[i] = i * 7919 % 13 < 5 ? 1 : 0;
    l->status = gm_dataset_from_memory(&data, ctx, 2, shape, rows);
    if (!l->status) l->status = use(l, ctx, model, data, rows);
    gm_dataset_release(data);
    gm_model_release(model);
    gm_context_release(ctx);
    free(rows);
    return NULL;
}

START_TEST(every_family_is_as_if_alone)
{
    char folder[SUPPORT_PATH], paths[CONTEXTS][SUPPORT_PATH + 32];
    static life alone, beside[CONTEXTS];
    support_folder_make(folder);
    for (int i = 0; i < CONTEXTS; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%d.safetensors", folder, i);
    for (int which = 0; which < FAMILY_COUNT; which++) {
        pthread_t threads[CONTEXTS];
        alone = (life){ .which = which, .path = paths[0] };
        (void)live(&alone);
        ck_assert_msg(!alone.status, "%s: %s", families[which].name, gm_status_name(alone.status));
        for (int i = 0; i < CONTEXTS; i++) {
            beside[i] = (life){ .which = which, .path = paths[i] };
            ck_assert_int_eq(pthread_create(&threads[i], NULL, live, &beside[i]), 0);
        }
        for (int i = 0; i < CONTEXTS; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < CONTEXTS; i++) {
            ck_assert_int_eq(beside[i].status, GM_OK);
            ck_assert_msg(!memcmp(beside[i].rows, alone.rows, sizeof alone.rows) &&
                              !memcmp(beside[i].log_prob, alone.log_prob, sizeof alone.log_prob),
                          "%s: bits differ", families[which].name);
        }
    }
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("two_contexts");
    TCase *t = tcase_create("two_contexts");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, every_family_is_as_if_alone);
    suite_add_tcase(s, t);
    return s;
}
