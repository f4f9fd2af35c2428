/* test_load.c - what gm_model_load_with takes and refuses: work, and weights that are not finite.
 */
#include "families.h"
#include "gm/archive.h"
#include "gm/serve.h"

static const family_size small = { 6, 4, 2 };

typedef struct place {
    gm_context *ctx;
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32];
} place;

static void begin(place *p, int which)
{
    p->ctx = support_context(5, 1);
    gm_model *model = family_make(p->ctx, which, &small);
    support_memory_folder();
    support_folder_make(p->folder);
    snprintf(p->path, sizeof p->path, "%s/model.safetensors", p->folder);
    support_ok(p->ctx, gm_model_save_checkpoint(model, p->path));
    gm_model_release(model);
}

static void end(place *p)
{
    support_folder_remove(p->folder);
    gm_context_release(p->ctx);
}

/* Each option of the file that is work, above the limit and at it. */
START_TEST(work_of_a_file)
{
    static const char *const names[] = {
        ".samples", ".log_prob_samples", ".sample_steps", ".steps", ".discriminator_steps",
        ".sweeps",  ".phases",           ".chains",       ".orders"
    };
    place p;
    gm_model *model;
    gm_archive *archive;
    char was[64], expected[128];
    begin(&p, _i);
    support_ok(p.ctx, gm_archive_open(&archive, p.ctx, p.path));
    for (int64_t k = 0; k < gm_archive_text_count(archive); k++) {
        const char *key = gm_archive_text_key(archive, k), *text;
        int is_work = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            const size_t length = strlen(key), own = strlen(names[i]);
            is_work |= length > own && !strcmp(key + length - own, names[i]);
        }
        if (!is_work || !strncmp(key, "gm.", 3) || !strncmp(key, "optimizer.", 10)) continue;
        support_ok(p.ctx, gm_archive_get_text(&text, archive, key));
        snprintf(was, sizeof was, "%s", text);
        support_ok(p.ctx, gm_archive_set_text(archive, key, "1000001"));
        support_ok(p.ctx, gm_archive_write(archive, p.path));
        snprintf(expected, sizeof expected, "%s is 1000001, expected at most 1000000", key);
        support_fails(p.ctx, gm_model_load(&model, p.ctx, p.path), GM_E_INVALID, expected);
        ck_assert_ptr_null(model);
        gm_frozen *frozen;
        support_fails(p.ctx, gm_frozen_load(&frozen, p.ctx, p.path), GM_E_INVALID, expected);
        support_ok(p.ctx, gm_archive_set_text(archive, key, was));
        support_ok(p.ctx, gm_archive_write(archive, p.path));
        const int64_t value = atoll(was);
        gm_load_options o = GM_LOAD_OPTIONS_INIT;
        if (value < 2) continue;
        o.most_work = value - 1;
        snprintf(expected, sizeof expected, "expected at most %lld", (long long)value - 1);
        support_fails(p.ctx, gm_model_load_with(&model, p.ctx, p.path, &o), GM_E_INVALID, expected);
    }
    support_ok(p.ctx, gm_model_load(&model, p.ctx, p.path));
    gm_model_release(model);
    gm_archive_release(archive);
    end(&p);
}
END_TEST

/* A NaN and an infinity in the last place of each tensor of weights. */
START_TEST(weights_that_are_not_finite)
{
    place p;
    gm_context *ctx;
    gm_archive *from, *to;
    gm_model *model;
    begin(&p, _i);
    ctx = p.ctx;
    support_ok(ctx, gm_archive_open(&from, ctx, p.path));
    for (int64_t bad = 0; bad < gm_archive_tensor_count(from); bad++) {
        const char *name = gm_archive_tensor_name(from, bad);
        if (strcmp(gm_archive_tensor_type(from, bad), "F32") || !strncmp(name, "optimizer.", 10))
            continue;
        support_ok(ctx, gm_archive_create(&to, ctx));
        int64_t counted = 0;
        for (int64_t k = 0; k < gm_archive_text_count(from); k++) {
            const char *key = gm_archive_text_key(from, k), *text;
            support_ok(ctx, gm_archive_get_text(&text, from, key));
            support_ok(ctx, gm_archive_set_text(to, key, text));
        }
        for (int64_t k = 0; k < gm_archive_tensor_count(from); k++) {
            const char *each = gm_archive_tensor_name(from, k);
            int64_t shape[GM_MAX_RANK], count = 1;
            int32_t rank;
            const float *data;
            if (!strcmp(gm_archive_tensor_type(from, k), "U8")) {
                const void *bytes;
                size_t size;
                support_ok(ctx, gm_archive_get_bytes(&bytes, &size, from, each));
                support_ok(ctx, gm_archive_put_bytes(to, each, bytes, size));
                continue;
            }
            support_ok(ctx, gm_archive_get(&rank, &data, from, each, shape));
            for (int32_t i = 0; i < rank; i++) count *= shape[i];
            float *copy = malloc((size_t)(count + 1) * sizeof *copy);
            memcpy(copy, data, (size_t)count * sizeof *copy);
            if (k == bad && count) copy[count - 1] = bad % 2 ? NAN : -INFINITY;
            if (k == bad) counted = count;
            support_ok(ctx, gm_archive_put(to, each, rank, shape, copy));
            free(copy);
        }
        support_ok(ctx, gm_archive_write(to, p.path));
        gm_archive_release(to);
        if (!counted) continue;
        gm_load_options o = GM_LOAD_OPTIONS_INIT;
        gm_frozen *frozen;
        support_fails(ctx, gm_model_load(&model, ctx, p.path), GM_E_NUMERIC, name);
        ck_assert_ptr_null(model);
        support_fails(ctx, gm_frozen_load(&frozen, ctx, p.path), GM_E_NUMERIC, name);
        o.not_finite = 1; /* masks and orders have checks of their own */
        const gm_status status = gm_model_load_with(&model, ctx, p.path, &o);
        ck_assert_msg(status != GM_E_NUMERIC, "%s: %s", name, gm_context_error(ctx));
        gm_model_release(model);
    }
    gm_archive_release(from);
    end(&p);
}
END_TEST

START_TEST(options_of_a_load)
{
    place p;
    gm_model *model;
    gm_load_options o = GM_LOAD_OPTIONS_INIT;
    begin(&p, 0);
    o.most_work = 0;
    support_fails(p.ctx, gm_model_load_with(&model, p.ctx, p.path, &o), GM_E_INVALID,
                  "most_work is 0, expected at least 1");
    o.most_work = 1;
    o.not_finite = 2;
    support_fails(p.ctx, gm_model_load_with(&model, p.ctx, p.path, &o), GM_E_INVALID,
                  "not_finite is 2, expected 0 or 1");
    ck_assert_ptr_null(model);
    o.not_finite = 1;
    support_ok(p.ctx, gm_model_load_with(&model, p.ctx, p.path, &o));
    gm_model_release(model);
    support_ok(p.ctx, gm_model_load_with(&model, p.ctx, p.path, NULL));
    gm_model_release(model);
    support_fails(p.ctx, gm_model_load_with(NULL, p.ctx, p.path, NULL), GM_E_INVALID, "out");
    end(&p);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("load");
    TCase *t = tcase_create("load");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, work_of_a_file, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, weights_that_are_not_finite, 0, FAMILY_COUNT);
    tcase_add_test(t, options_of_a_load);
    suite_add_tcase(suite, t);
    return suite;
}
