/* layers.c - what every kind of layer owes beside what tests/unit/test_layer.c asks: the same bytes
 * with 1, 2 and 3 threads, gradients for all that is trained, no memory after the first step, files
 * that are the same when written again, hostile files, every allocation failing, handles that go in
 * any order. */
#include "layers.h"
#include "hostile.h"
#include "sweep.h"

#define BATCHES 8 /* of the list's inputs, one after another */

static const row *present;

static int64_t count_of(int32_t rank, const int64_t *shape)
{
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) n *= shape[i];
    return n;
}

/* Class numbers for the embedding, anything for the others. */
static gm_var input_of(gm_tape *tape, int64_t batches)
{
    int64_t shape[4];
    memcpy(shape, present->in, sizeof shape);
    shape[0] *= batches;
    const int64_t n = count_of(present->rank, shape);
    float data[LARGEST * BATCHES];
    ck_assert_int_le(n, LARGEST * BATCHES);
    for (int64_t i = 0; i < n; i++)
        data[i] =
            present->make == make_embedding ? (float)(i * 3 % 5) : (float)(i % 7) * 0.3f - 0.8f;
    return gm_input_copy(tape, present->rank, shape, data);
}

/* Forth and back, in training: the loss; gradients are in the parameters. */
static gm_status pass(gm_tape *tape, gm_layer *layer, int64_t batches, double *loss)
{
    gm_tape_reset(tape);
    gm_tape_set_mode(tape, GM_TAPE_TRAIN);
    gm_var y = gm_apply(tape, layer, input_of(tape, batches));
    gm_var l = gm_sum(tape, gm_square(tape, gm_shift(tape, y, 0.5)));
    gm_status status = gm_tape_status(tape);
    if (!status && gm_params_count(gm_layer_params(layer)))
        status = gm_backward(tape, l, gm_layer_params(layer));
    if (!status) *loss = gm_scalar(tape, l);
    return status;
}

/* All gradients and state, one after another; free it. */
static float *results(gm_layer *layer, int64_t *count)
{
    gm_params *p = gm_layer_params(layer), *state = gm_layer_state(layer);
    const int64_t trained = gm_params_elements(p), kept = state ? gm_params_elements(state) : 0;
    float *all = malloc((size_t)(trained + kept + 1) * sizeof *all), *at = all;
    ck_assert_ptr_nonnull(all);
    for (int64_t i = 0; i < gm_params_count(p); i++) {
        gm_param *one = gm_params_get(p, i);
        memcpy(at, gm_param_gradient(one), (size_t)gm_param_count(one) * sizeof *at);
        at += gm_param_count(one);
    }
    if (state) ck_assert_int_eq(gm_params_read(state, kept, at), GM_OK);
    *count = trained + kept;
    return all;
}

START_TEST(threads_do_not_matter)
{
    float *found[3];
    double loss[3];
    int64_t count = 0;
    present = &rows[_i];
    for (int k = 0; k < 3; k++) {
        gm_context *ctx = support_context(5, k + 1);
        gm_tape *tape = NULL;
        gm_layer *layer = NULL;
        support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
        support_ok(ctx, present->make(&layer, ctx));
        for (int i = 0; i < 2; i++) support_ok(ctx, pass(tape, layer, BATCHES, &loss[k]));
        found[k] = results(layer, &count);
        gm_layer_release(layer);
        gm_tape_release(tape);
        gm_context_release(ctx);
        ck_assert_mem_eq(&loss[0], &loss[k], sizeof *loss);
        ck_assert_mem_eq(found[0], found[k], (size_t)count * sizeof(float));
    }
    for (int k = 0; k < 3; k++) free(found[k]);
}
END_TEST

START_TEST(no_allocation_after_the_first_step)
{
    gm_context *ctx = support_context(5, 2);
    gm_tape *tape = NULL;
    gm_layer *layer = NULL;
    gm_memory_counters before, after;
    double loss;
    present = &rows[_i];
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    support_ok(ctx, present->make(&layer, ctx));
    support_ok(ctx, pass(tape, layer, BATCHES, &loss));
    gm_context_memory(&before, ctx);
    for (int i = 0; i < 3; i++) support_ok(ctx, pass(tape, layer, BATCHES, &loss));
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    gm_layer_release(layer);
    gm_tape_release(tape);
    gm_context_release(ctx);
}
END_TEST

static gm_status write_layer(gm_context *ctx, gm_layer *layer, const char *path)
{
    gm_archive *archive = NULL;
    gm_status status = gm_archive_create(&archive, ctx);
    if (!status) status = gm_archive_put_layer(archive, "net.", layer);
    if (!status) status = gm_archive_write(archive, path);
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

static gm_status load(gm_context *ctx, const char *path, int run, const void *what)
{
    gm_archive *archive = NULL;
    gm_layer *layer = NULL;
    gm_tape *tape = NULL;
    double loss;
    gm_status status = gm_archive_open(&archive, ctx, path);
    (void)what;
    if (!status) {
        status = gm_archive_get_layer(&layer, archive, "net.");
        ck_assert(!status == !!layer);
    }
    if (!status && run && !gm_tape_create(&tape, ctx, NULL)) (void)pass(tape, layer, 1, &loss);
    gm_tape_release(tape);
    gm_layer_release(layer);
    gm_archive_release(archive);
    return status;
}

/* Written, read and written: the same file. Then what a hostile one may hold. */
START_TEST(files)
{
    char folder[SUPPORT_PATH], path[2][SUPPORT_PATH + 16];
    gm_context *ctx = support_context(5, 1);
    gm_layer *layer = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    unsigned char *file[2];
    size_t size[2];
    present = &rows[_i];
    const maker names = { .family = present->type, .name = present->what };
    conformance c = { .maker = &names };
    support_memory_folder();
    support_folder_make(folder);
    for (int k = 0; k < 2; k++) snprintf(path[k], sizeof path[k], "%s/%d", folder, k);
    support_ok(ctx, present->make(&layer, ctx));
    support_ok(ctx, write_layer(ctx, layer, path[0]));
    support_ok(ctx, gm_archive_open(&archive, ctx, path[0]));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, "net."));
    support_ok(ctx, write_layer(ctx, loaded, path[1]));
    for (int k = 0; k < 2; k++) file[k] = bytes_of(path[k], &size[k]);
    ck_assert_uint_eq(size[0], size[1]);
    ck_assert_mem_eq(file[0], file[1], size[0]);
    gm_archive_release(archive);
    gm_layer_release(loaded);
    gm_layer_release(layer);
    gm_context_release(ctx);
    support_folder_remove(folder);
    hostile_files(&c, file[0], size[0], 1, load, NULL);
    for (int k = 0; k < 2; k++) free(file[k]);
    ck_assert_msg(!c.failure[0], "%s", c.failure);
}
END_TEST

static gm_status scenario_of(sweep *s)
{
    gm_layer *layer = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    gm_tape *tape = NULL;
    double loss;
    gm_status status;
    MAKE(s, tape, gm_tape_create(&tape, s->ctx, NULL));
    ONCE(present->make(&layer, s->ctx));
    for (int i = 0; i < 2; i++) DO(s, pass(tape, layer, 1, &loss));
    MAKE(s, archive, gm_archive_create(&archive, s->ctx));
    ONCE(gm_archive_put_layer(archive, "net.", layer));
    MAKE(s, loaded, gm_archive_get_layer(&loaded, archive, "net."));
    DO(s, pass(tape, loaded, 1, &loss));
out:
    gm_layer_release(loaded);
    gm_archive_release(archive);
    gm_layer_release(layer);
    gm_tape_release(tape);
    return status;
}

START_TEST(every_allocation_fails)
{
    present = &rows[_i];
    ck_assert_int_gt(sweep_run(present->what, scenario_of, NULL, 1, 1), 0);
}
END_TEST

#define RELEASE(type)                                                                              \
    static void release_##type(void *handle)                                                       \
    {                                                                                              \
        gm_##type##_release(handle);                                                               \
    }
RELEASE(context)
RELEASE(layer)
RELEASE(params)
RELEASE(tape)
RELEASE(archive)

/* All 120 orders of five handles. */
START_TEST(any_order_of_release)
{
    static void (*const release[5])(void *) = { release_context, release_layer, release_params,
                                                release_tape, release_archive };
    present = &rows[_i];
    for (int order = 0; order < 120; order++) {
        watched w;
        const gm_allocator host = watched_begin(&w, -1);
        gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
        gm_context *ctx = NULL;
        gm_layer *layer = NULL;
        gm_tape *tape = NULL;
        gm_archive *archive = NULL;
        double loss;
        options.allocator = &host;
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &options), GM_OK);
        support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
        support_ok(ctx, present->make(&layer, ctx));
        support_ok(ctx, pass(tape, layer, 1, &loss));
        support_ok(ctx, gm_archive_create(&archive, ctx));
        support_ok(ctx, gm_archive_put_layer(archive, "", layer));
        gm_params_retain(gm_layer_params(layer));
        void *handle[5] = { ctx, layer, gm_layer_params(layer), tape, archive };
        release_in_order(5, release, handle, order);
        ck_assert_msg(watched_clean(&w), "%s: order %d: %lld blocks left, %lld faults",
                      present->what, order, (long long)w.live, (long long)w.faults);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("conformance of layers");
    TCase *t = tcase_create("layers");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, threads_do_not_matter, 0, ROWS);
    tcase_add_loop_test(t, no_allocation_after_the_first_step, 0, ROWS);
    tcase_add_loop_test(t, files, 0, ROWS);
    tcase_add_loop_test(t, every_allocation_fails, 0, ROWS);
    tcase_add_loop_test(t, any_order_of_release, 0, ROWS);
    suite_add_tcase(s, t);
    return s;
}
