/* test_turn.c - a context that is used by two threads at once: the second is refused and changes
 * nothing, and the first does not notice. */
#include <pthread.h>

#include "allocator.h"
#include "families.h"
#include "gm/extend.h"

#define ROWS 32
static const family_size small = { 6, 16, 3 };

typedef struct world {
    gm_context *ctx;
    gm_model *model;
    gm_dataset *data;
    float *rows;
    const char *path;
    int tried, nested;
} world;

static void world_open(world *w, int which)
{
    memset(w, 0, sizeof *w);
    w->ctx = support_context(3, 2);
    w->model = family_make(w->ctx, which, &small);
    const int64_t width = gm_model_row_size(w->model), shape[2] = { ROWS, width };
    w->rows = calloc((size_t)(ROWS * width), sizeof *w->rows);
    ck_assert_ptr_nonnull(w->rows);
    for (int64_t i = 0; i < ROWS * width; i += 2) w->rows[i] = 1;
    support_ok(w->ctx, gm_dataset_from_memory(&w->data, w->ctx, 2, shape, w->rows));
}

static void world_close(world *w)
{
    gm_dataset_release(w->data);
    gm_model_release(w->model);
    gm_context_release(w->ctx);
    free(w->rows);
}

/* All the long verbs, from a thread that has no business there. */
static void *intrude(void *arg)
{
    world *w = arg;
    const int64_t width = gm_model_row_size(w->model);
    float *rows = calloc((size_t)(ROWS * width), sizeof *rows);
    double log_prob[ROWS];
    gm_model *loaded = NULL;
    gm_tensor *samples = NULL;
    gm_metric metrics[GM_MAX_METRICS];
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    const gm_status found[] = {
        gm_model_fit(w->model, w->data, &fit),
        gm_model_step(w->model, rows, ROWS, NULL, 0, NULL),
        gm_model_evaluate(w->model, w->data, support_batches(ROWS, 0), metrics, GM_MAX_METRICS,
                          NULL),
        gm_model_sample_into(w->model, ROWS, NULL, rows),
        gm_model_sample(&samples, w->model, ROWS),
        gm_model_log_prob(w->model, rows, ROWS, log_prob),
        gm_model_save(w->model, w->path),
        gm_model_save_checkpoint(w->model, w->path),
        gm_model_load(&loaded, w->ctx, w->path),
        gm_context_enter(w->ctx),
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        w->tried += found[i] == GM_E_STATE ? 1 : 100;
    if (samples || loaded || !access(w->path, F_OK)) w->tried += 1000;
    free(rows);
    return NULL;
}
#define INTRUSIONS 10

static int32_t while_fitting(void *user, const gm_fit_report *report)
{
    world *w = user;
    pthread_t thread;
    char before[512];
    (void)report;
    snprintf(before, sizeof before, "%s", gm_context_error(w->ctx));
    if (pthread_create(&thread, NULL, intrude, w) || pthread_join(thread, NULL)) w->tried += 10000;
    if (strcmp(before, gm_context_error(w->ctx))) w->tried += 100000;
    w->nested++;
    return 0;
}

static void fit(world *w, int disturbed, float *weights)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    o.epochs = 2;
    o.batch = 8;
    if (disturbed) o.on_report = while_fitting;
    o.user = w;
    support_ok(w->ctx, gm_model_fit(w->model, w->data, &o));
    gm_params *params = gm_model_params(w->model);
    support_ok(w->ctx, gm_params_read(params, gm_params_elements(params), weights));
}

START_TEST(a_second_thread_is_refused_and_the_first_goes_on)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32];
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    for (int which = 0; which < FAMILY_COUNT; which++) {
        static float weights[2][1 << 16];
        world w;
        for (int disturbed = 0; disturbed < 2; disturbed++) {
            world_open(&w, which);
            w.path = path;
            const int fits = gm_model_supports(w.model, GM_VERB_FIT);
            ck_assert_int_lt(gm_params_elements(gm_model_params(w.model)), 1 << 16);
            if (fits) fit(&w, disturbed, weights[disturbed]);
            if (fits && disturbed) ck_assert_int_gt(w.nested, 0);
            if (fits) ck_assert_int_eq(w.tried, disturbed ? w.nested * INTRUSIONS : 0);
            world_close(&w);
        }
        ck_assert_msg(!memcmp(weights[0], weights[1], sizeof weights[0]), "%s",
                      families[which].name);
    }
    support_folder_remove(folder);
}
END_TEST

static int32_t call_in(void *user, int64_t done, int64_t total)
{
    world *w = user;
    float rows[ROWS * 64];
    (void)done;
    (void)total;
    support_ok(w->ctx, gm_model_sample_into(w->model, 2, NULL, rows));
    support_ok(w->ctx, gm_context_enter(w->ctx));
    gm_context_leave(w->ctx);
    w->nested++;
    return 0;
}

static void *follow(void *arg)
{
    world *w = arg;
    w->tried = gm_model_sample_into(w->model, ROWS, NULL, w->rows) == GM_OK;
    return NULL;
}

/* Calls of a callback are the same thread's, and when a call is over another thread may take over.
 */
START_TEST(calls_nest_and_threads_take_over)
{
    world w;
    pthread_t thread;
    gm_progress_options o = GM_PROGRESS_OPTIONS_INIT;
    o.on_progress = call_in;
    o.user = &w;
    world_open(&w, 8); /* nade */
    support_ok(w.ctx, gm_model_sample_into(w.model, ROWS, &o, w.rows));
    ck_assert_int_gt(w.nested, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, follow, &w), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(w.tried, 1);
    ck_assert_int_eq(gm_context_enter(NULL), GM_E_INVALID);
    gm_context_leave(NULL);
    world_close(&w);
}
END_TEST

/* The call is an owner of the context. */
START_TEST(the_last_owner_may_go_during_a_call)
{
    watched w;
    const gm_allocator memory = watched_begin(&w, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.threads = 2;
    o.allocator = &memory;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    support_ok(ctx, gm_context_enter(ctx));
    support_ok(ctx, gm_context_enter(ctx));
    gm_context_release(ctx);
    gm_context_leave(ctx);
    ck_assert_int_eq(gm_context_threads(ctx), 2);
    gm_context_leave(ctx);
    ck_assert(watched_clean(&w));
}
END_TEST

typedef struct race {
    gm_context *ctx;
    int64_t inside, entered;
} race;

static void *push(void *arg)
{
    race *r = arg;
    for (int i = 0; i < 20000; i++) {
        const gm_status status = gm_context_enter(r->ctx);
        if (status) continue;
        r->inside++; /* the sanitizer's and the sum's to judge */
        r->entered++;
        r->inside--;
        gm_context_leave(r->ctx);
    }
    return NULL;
}

START_TEST(only_one_is_ever_inside)
{
    pthread_t threads[4];
    race r = { .ctx = support_context(3, 1) };
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, push, &r), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(r.inside, 0);
    ck_assert_int_gt(r.entered, 0);
    support_ok(r.ctx, gm_context_enter(r.ctx));
    gm_context_leave(r.ctx);
    gm_context_release(r.ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("turn");
    TCase *t = tcase_create("turn");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_second_thread_is_refused_and_the_first_goes_on);
    tcase_add_test(t, calls_nest_and_threads_take_over);
    tcase_add_test(t, the_last_owner_may_go_during_a_call);
    tcase_add_test(t, only_one_is_ever_inside);
    suite_add_tcase(s, t);
    return s;
}
