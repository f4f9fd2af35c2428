/* optimizers.c - what every method of optimization owes beside what tests/unit/test_optimizer.c
 * asks: files that are the same when written again, and that resume to the byte; hostile files;
 * every allocation failing; refusals; handles that go in any order. */
#include "gm/archive.h"
#include "hostile.h"
#include "methods.h"
#include "sweep.h"

static const row *present;

/* A few weights with gradients. */
static gm_status make_params(gm_params **params, gm_context *ctx)
{
    static const int64_t size = 5;
    gm_param *p = NULL;
    gm_status status = gm_params_create(params, ctx);
    if (!status) status = gm_param_create(&p, ctx, "w", 1, &size);
    if (!status) status = gm_params_add(*params, "net.", p);
    float *gradient = gm_param_gradient(p); /* taken here */
    if (!status && !gradient) status = GM_E_NOMEM;
    for (int64_t i = 0; !status && i < size; i++) {
        gm_param_value(p)[i] = (float)i - 2;
        gradient[i] = (float)(i * 3 % 5) - 1.5f;
    }
    gm_param_release(p);
    return status;
}

static void settings(gm_context *ctx, gm_optimizer *o)
{
    gm_schedule schedule = GM_SCHEDULE_INIT;
    schedule.kind = GM_SCHEDULE_COSINE;
    schedule.period = 12;
    support_ok(ctx, gm_optimizer_set_schedule(o, &schedule));
    support_ok(ctx, gm_optimizer_set_average(o, 0.8));
    support_ok(ctx, gm_optimizer_set_clip_norm(o, 4));
}

static gm_status save(gm_context *ctx, gm_optimizer *o, const char *path)
{
    gm_archive *archive = NULL;
    gm_status status = gm_archive_create(&archive, ctx);
    if (!status) status = gm_optimizer_save(o, archive, "o.");
    if (!status) status = gm_archive_write(archive, path);
    gm_archive_release(archive);
    return status;
}

static gm_status load(gm_context *ctx, const char *path, int run, const void *what)
{
    gm_archive *archive = NULL;
    gm_params *params = NULL;
    gm_optimizer *o = NULL;
    gm_status status = gm_archive_open(&archive, ctx, path);
    (void)what;
    if (!status) status = gm_optimizer_load_new(&o, ctx, archive, "o.");
    ck_assert(!status == !!o);
    if (!status) status = make_params(&params, ctx);
    if (!status) status = gm_optimizer_add(o, params);
    if (!status) status = gm_optimizer_load(o, archive, "o.");
    if (!status && run) (void)gm_optimizer_step(o);
    gm_optimizer_release(o);
    gm_params_release(params);
    gm_archive_release(archive);
    return status;
}

static unsigned char *bytes_of(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes = malloc(65536);
    ck_assert(f && bytes);
    *size = fread(bytes, 1, 65536, f);
    ck_assert_uint_lt(*size, 65536);
    fclose(f);
    return bytes;
}

/* Three steps, a file, three steps: as six. The file written again is the same one. */
START_TEST(files)
{
    char folder[SUPPORT_PATH], path[3][SUPPORT_PATH + 16];
    unsigned char *file[4];
    size_t size[4];
    gm_context *ctx = support_context(5, 1);
    gm_params *params[2] = { NULL, NULL };
    gm_optimizer *o[2] = { NULL, NULL };
    gm_archive *archive = NULL;
    float w[2][5];
    present = &rows[_i];
    const maker names = { .family = present->kind, .name = present->what };
    conformance c = { .maker = &names };
    support_memory_folder();
    support_folder_make(folder);
    for (int k = 0; k < 3; k++) snprintf(path[k], sizeof path[k], "%s/%d", folder, k);
    for (int k = 0; k < 2; k++) support_ok(ctx, make_params(&params[k], ctx));
    support_ok(ctx, present->make(&o[0], ctx));
    support_ok(ctx, gm_optimizer_add(o[0], params[0]));
    settings(ctx, o[0]);
    for (int i = 0; i < 3; i++) support_ok(ctx, gm_optimizer_step(o[0]));
    support_ok(ctx, save(ctx, o[0], path[0]));
    support_ok(ctx, gm_params_read(params[0], 5, w[0]));
    support_ok(ctx, gm_params_write(params[1], w[0], 5));
    support_ok(ctx, gm_archive_open(&archive, ctx, path[0]));
    support_ok(ctx, gm_optimizer_load_new(&o[1], ctx, archive, "o."));
    support_ok(ctx, gm_optimizer_add(o[1], params[1]));
    support_ok(ctx, gm_optimizer_load(o[1], archive, "o."));
    support_ok(ctx, save(ctx, o[1], path[1]));
    for (int k = 0; k < 2; k++) file[k] = bytes_of(path[k], &size[k]);
    ck_assert_uint_eq(size[0], size[1]);
    ck_assert_mem_eq(file[0], file[1], size[0]);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 3; i++) support_ok(ctx, gm_optimizer_step(o[k]));
        support_ok(ctx, save(ctx, o[k], path[1 + k]));
        support_ok(ctx, gm_params_read(params[k], 5, w[k]));
        file[2 + k] = bytes_of(path[1 + k], &size[2 + k]);
    }
    ck_assert_uint_eq(size[2], size[3]);
    ck_assert_mem_eq(file[2], file[3], size[2]);
    ck_assert_mem_eq(w[0], w[1], sizeof w[0]);
    gm_archive_release(archive);
    for (int k = 0; k < 2; k++) {
        gm_optimizer_release(o[k]);
        gm_params_release(params[k]);
    }
    gm_context_release(ctx);
    support_folder_remove(folder);
    hostile_files(&c, file[0], size[0], 1, load, NULL);
    for (int k = 0; k < 4; k++) free(file[k]);
    ck_assert_msg(!c.failure[0], "%s", c.failure);
}
END_TEST

static gm_status whole_life(sweep *s)
{
    gm_params *params = NULL;
    gm_optimizer *o = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    gm_status status;
    ONCE(make_params(&params, s->ctx));
    MAKE(s, o, present->make(&o, s->ctx));
    DO(s, gm_optimizer_add(o, params));
    DO(s, gm_optimizer_set_average(o, 0.8));
    DO(s, gm_optimizer_set_undo(o, 1));
    DO(s, gm_optimizer_step(o));
    DO(s, gm_optimizer_undo(o));
    DO(s, gm_optimizer_step(o));
    MAKE(s, archive, gm_archive_create(&archive, s->ctx));
    ONCE(gm_optimizer_save(o, archive, "o."));
    gm_optimizer_release(o);
    o = NULL;
    MAKE(s, loaded, gm_optimizer_load_new(&loaded, s->ctx, archive, "o."));
    DO(s, gm_optimizer_add(loaded, params));
    DO(s, gm_optimizer_load(loaded, archive, "o."));
    DO(s, gm_optimizer_step(loaded));
    ck_assert_int_eq(gm_optimizer_steps(loaded), 3);
out:
    gm_optimizer_release(loaded);
    gm_archive_release(archive);
    gm_optimizer_release(o);
    gm_params_release(params);
    return status;
}

START_TEST(every_allocation_fails)
{
    present = &rows[_i];
    ck_assert_int_gt(sweep_run(present->what, whole_life, NULL, 1, 1), 0);
}
END_TEST

/* Nothing that is refused changes what a step does. */
START_TEST(refusals)
{
    gm_context *ctx = support_context(5, 1), *other = support_context(6, 1);
    gm_params *params[3] = { NULL, NULL, NULL };
    gm_optimizer *o[2] = { NULL, NULL };
    gm_archive *archive = NULL;
    float w[2][5];
    present = &rows[_i];
    for (int k = 0; k < 3; k++) support_ok(ctx, make_params(&params[k], k < 2 ? ctx : other));
    for (int k = 0; k < 2; k++) {
        support_ok(ctx, present->make(&o[k], ctx));
        support_fails(ctx, gm_optimizer_step(o[k]), GM_E_STATE, present->kind);
        support_ok(ctx, gm_optimizer_add(o[k], params[k]));
    }
    support_fails(ctx, gm_optimizer_add(o[0], NULL), GM_E_INVALID, "params");
    support_fails(ctx, gm_optimizer_add(o[0], params[2]), GM_E_INVALID, "context");
    support_fails(ctx, gm_optimizer_add(o[0], params[0]), GM_E_INVALID, "net.w");
    support_fails(ctx, gm_optimizer_set_rate(o[0], -1), GM_E_INVALID, "rate is -1");
    support_fails(ctx, gm_optimizer_set_rate(o[0], NAN), GM_E_INVALID, "rate is nan");
    support_fails(ctx, gm_optimizer_set_average(o[0], 1), GM_E_INVALID, "is 1");
    support_fails(ctx, gm_optimizer_set_clip_norm(o[0], -2), GM_E_INVALID, "is -2");
    support_fails(ctx, gm_optimizer_set_clip_value(o[0], NAN), GM_E_INVALID, "is nan");
    support_fails(ctx, gm_optimizer_set_undo(o[0], 7), GM_E_INVALID, "undo is 7");
    support_fails(ctx, gm_optimizer_undo(o[0]), GM_E_STATE, "undo");
    support_fails(ctx, gm_optimizer_swap_average(o[0]), GM_E_STATE, "swap_average");
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_fails(ctx, gm_optimizer_load(o[0], archive, "o."), GM_E_FORMAT, "o.kind");
    ck_assert_int_eq(gm_optimizer_save(o[0], NULL, ""), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_step(NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_optimizer_add(NULL, params[0]), GM_E_INVALID);
    /* A gradient that is no number. */
    float *g = gm_param_gradient(gm_params_get(params[0], 0)), held = g[2];
    g[2] = NAN;
    support_fails(ctx, gm_optimizer_step(o[0]), GM_E_NUMERIC, "net.w");
    g[2] = held;
    for (int k = 0; k < 2; k++) {
        support_ok(ctx, gm_optimizer_step(o[k]));
        support_ok(ctx, gm_params_read(params[k], 5, w[k]));
    }
    ck_assert_mem_eq(w[0], w[1], sizeof w[0]);
    gm_archive_release(archive);
    for (int k = 0; k < 2; k++) gm_optimizer_release(o[k]);
    for (int k = 0; k < 3; k++) gm_params_release(params[k]);
    gm_context_release(ctx);
    gm_context_release(other);
}
END_TEST

#define RELEASE(type)                                                                              \
    static void release_##type(void *handle)                                                       \
    {                                                                                              \
        gm_##type##_release(handle);                                                               \
    }
RELEASE(context)
RELEASE(optimizer)
RELEASE(params)
RELEASE(archive)

/* All 24 orders of four handles. */
START_TEST(any_order_of_release)
{
    static void (*const release[4])(void *) = { release_context, release_optimizer, release_params,
                                                release_archive };
    present = &rows[_i];
    for (int order = 0; order < 24; order++) {
        watched w;
        const gm_allocator host = watched_begin(&w, -1);
        gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
        gm_context *ctx = NULL;
        gm_params *params = NULL;
        gm_optimizer *o = NULL;
        gm_archive *archive = NULL;
        options.allocator = &host;
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &options), GM_OK);
        support_ok(ctx, make_params(&params, ctx));
        support_ok(ctx, present->make(&o, ctx));
        support_ok(ctx, gm_optimizer_add(o, params));
        settings(ctx, o);
        support_ok(ctx, gm_optimizer_step(o));
        support_ok(ctx, gm_archive_create(&archive, ctx));
        support_ok(ctx, gm_optimizer_save(o, archive, ""));
        void *handle[4] = { ctx, o, params, archive };
        release_in_order(4, release, handle, order);
        ck_assert_msg(watched_clean(&w), "%s: order %d: %lld blocks left, %lld faults",
                      present->what, order, (long long)w.live, (long long)w.faults);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("conformance of optimizers");
    TCase *t = tcase_create("optimizers");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, files, 0, ROWS);
    tcase_add_loop_test(t, every_allocation_fails, 0, ROWS);
    tcase_add_loop_test(t, refusals, 0, ROWS);
    tcase_add_loop_test(t, any_order_of_release, 0, ROWS);
    suite_add_tcase(s, t);
    return s;
}
