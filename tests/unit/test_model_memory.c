/* test_model_memory.c - what a model that was loaded holds: its weights, and no gradients, moments,
 * averages or way back before something needs them. */
#include "families.h"

#define ROWS 2
static const family_size large = { 256, 512,
                                   64 }; /* weights are large beside what ROWS rows take */

static uint64_t held(const gm_context *ctx)
{
    gm_memory_counters now;
    gm_context_memory(&now, ctx);
    return now.bytes;
}

/* Scores, samples and evaluates ROWS rows, as far as the family does. */
static void use(gm_context *ctx, gm_model *model)
{
    const int64_t shape[2] = { ROWS, gm_model_row_size(model) };
    gm_dataset *data = NULL;
    double log_prob[ROWS];
    float *rows = calloc((size_t)(shape[0] * shape[1]), sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    if (gm_model_supports(model, GM_VERB_LOG_PROB))
        support_ok(ctx, gm_model_log_prob(model, rows, ROWS, log_prob));
    if (gm_model_supports(model, GM_VERB_SAMPLE))
        support_ok(ctx, gm_model_sample_into(model, ROWS, NULL, rows));
    if (gm_model_supports(model, GM_VERB_FIT))
        support_ok(ctx, gm_model_evaluate(model, data, support_batches(ROWS, 0), NULL, 0, NULL));
    gm_dataset_release(data);
    free(rows);
}

/* A model of the table out of a file, whose size is *bytes: that of the weights and a header. */
static gm_model *loaded(gm_context *ctx, int which, double *bytes)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32];
    gm_context *first = support_context(3, 1);
    gm_model *model = family_make(first, which, &large);
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    support_ok(first, gm_model_save(model, path));
    gm_model_release(model);
    gm_context_release(first);
    model = NULL;
    support_ok(ctx, gm_model_load(&model, ctx, path));
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    *bytes = (double)ftell(file);
    fclose(file);
    support_folder_remove(folder);
    return model;
}

START_TEST(a_loaded_model_holds_its_weights)
{
    gm_context *ctx = support_context(3, 1);
    const uint64_t before = held(ctx);
    double weights;
    gm_model *model = loaded(ctx, _i, &weights);
    const double at_first = (double)(held(ctx) - before);
    ck_assert_msg(at_first < 1.1 * weights, "%s holds %g times its weights", families[_i].name,
                  at_first / weights);
    use(ctx, model);
    const double used = (double)(held(ctx) - before);
    /* Tiles of distances, which do not shrink with the rows. */
    const double workspace = strcmp(families[_i].name, "gmmn") ? 0 : 5 << 20;
    printf("%s: %.0f bytes of weights, %.3f times as much loaded, %.3f after use\n",
           families[_i].name, weights, at_first / weights, used / weights);
    ck_assert_msg(used < 1.3 * weights + workspace, "%s holds %g times its weights after use",
                  families[_i].name, used / weights);
    gm_model_release(model);
    ck_assert_uint_eq(held(ctx), before);
    gm_context_release(ctx);
}
END_TEST

/* What fitting needs comes with the first step, and stays. */
START_TEST(a_step_takes_what_it_needs)
{
    gm_context *ctx = support_context(3, 1);
    double weights;
    gm_model *model = loaded(ctx, _i, &weights);
    if (gm_model_supports(model, GM_VERB_FIT)) {
        float *rows = calloc((size_t)(ROWS * gm_model_row_size(model)), sizeof *rows);
        ck_assert_ptr_nonnull(rows);
        const uint64_t before = held(ctx);
        support_ok(ctx, gm_model_step(model, rows, ROWS, NULL, 0, NULL));
        const uint64_t after = held(ctx);
        if (gm_model_optimizer(model)) ck_assert_uint_gt(after, before);
        support_ok(ctx, gm_model_step(model, rows, ROWS, NULL, 0, NULL));
        ck_assert_uint_eq(held(ctx), after);
        free(rows);
    }
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("memory of models");
    TCase *t = tcase_create("memory");
    const int count = FAMILY_COUNT;
    tcase_add_loop_test(t, a_loaded_model_holds_its_weights, 0, count);
    tcase_add_loop_test(t, a_step_takes_what_it_needs, 0, count);
    suite_add_tcase(s, t);
    return s;
}
