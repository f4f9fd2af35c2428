/* test_tensor.c - shapes and their limits, copies, wrapped memory, views and who outlives whom. */
#include <limits.h>

#include "allocator.h"
#include "gm/tensor.h"
#include "support.h"

static gm_context *watched_context(watched *w, int64_t fail_at)
{
    gm_allocator a = watched_begin(w, fail_at);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.allocator = &a;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    return ctx;
}

START_TEST(create_gives_zeros)
{
    static const int64_t shape[GM_MAX_RANK] = { 2, 3, 4, 5, 1, 2 };
    watched w;
    gm_context *ctx = watched_context(&w, -1);
    int64_t count = 1;
    for (int32_t rank = 0; rank <= GM_MAX_RANK; rank++) {
        gm_tensor *t = NULL;
        if (rank) count *= shape[rank - 1];
        support_ok(ctx, gm_tensor_create(&t, ctx, rank, rank ? shape : NULL));
        ck_assert_int_eq(gm_tensor_rank(t), rank);
        ck_assert_int_eq(gm_tensor_count(t), count);
        for (int32_t i = 0; i < rank; i++) {
            ck_assert_int_eq(gm_tensor_shape(t)[i], shape[i]);
            ck_assert_int_eq(gm_tensor_size(t, i), shape[i]);
        }
        ck_assert_int_eq(gm_tensor_size(t, rank), 0);
        ck_assert_int_eq(gm_tensor_size(t, -1), 0);
        ck_assert_int_eq(gm_tensor_size(t, INT32_MAX), 0);
        float *data = gm_tensor_data(t);
        ck_assert_ptr_eq(data, gm_tensor_read(t));
        ck_assert_uint_eq((uintptr_t)data % 64, 0);
        for (int64_t i = 0; i < count; i++) ck_assert(data[i] == 0);
        gm_tensor_fill(t, 2.5f);
        for (int64_t i = 0; i < count; i++) ck_assert(data[i] == 2.5f);
        gm_tensor_release(t);
    }
    gm_context_release(ctx);
    ck_assert(watched_clean(&w));
}
END_TEST

START_TEST(getters_accept_null)
{
    ck_assert_int_eq(gm_tensor_rank(NULL), 0);
    ck_assert_ptr_null(gm_tensor_shape(NULL));
    ck_assert_int_eq(gm_tensor_size(NULL, 0), 0);
    ck_assert_int_eq(gm_tensor_count(NULL), 0);
    ck_assert_ptr_null(gm_tensor_data(NULL));
    ck_assert_ptr_null(gm_tensor_read(NULL));
    gm_tensor_retain(NULL);
    gm_tensor_release(NULL);
    gm_tensor_fill(NULL, 1);
}
END_TEST

START_TEST(empty_tensors_are_legal)
{
    static const int64_t shapes[][3] = { { 0, 3, 4 },
                                         { 3, 0, 4 },
                                         { 3, 4, 0 },
                                         { 0, 0, 0 },
                                         { 0, INT64_MAX, INT64_MAX },
                                         { INT64_MAX, INT64_MAX, 0 } };
    gm_context *ctx = support_context(0, 1);
    float some = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        gm_tensor *t = NULL, *view = NULL, *wrapped = NULL, *copy = NULL;
        static const int64_t none[1] = { 0 };
        support_ok(ctx, gm_tensor_create(&t, ctx, 3, shapes[i]));
        ck_assert_int_eq(gm_tensor_count(t), 0);
        ck_assert_int_eq(gm_tensor_size(t, 2), shapes[i][2]);
        ck_assert_ptr_nonnull(gm_tensor_data(t));
        gm_tensor_fill(t, 1);
        support_ok(ctx, gm_tensor_rows_view(&view, t, 0, shapes[i][0] ? 1 : 0));
        ck_assert_int_eq(gm_tensor_count(view), 0);
        gm_tensor_release(view);
        support_ok(ctx, gm_tensor_reshape_view(&view, t, 1, none));
        gm_tensor_release(view);
        support_ok(ctx, gm_tensor_wrap(&wrapped, ctx, 3, shapes[i], &some, NULL, NULL));
        support_ok(ctx, gm_tensor_create_from(&copy, ctx, 3, shapes[i], &some));
        gm_tensor_release(wrapped);
        gm_tensor_release(copy);
        gm_tensor_release(t);
    }
    gm_context_release(ctx);
}
END_TEST

typedef struct bad_shape {
    int32_t rank;
    int64_t shape[GM_MAX_RANK + 1];
} bad_shape;

static const bad_shape bad_shapes[] = {
    { -1, { 1 } },
    { INT32_MIN, { 1 } },
    { GM_MAX_RANK + 1, { 1, 1, 1, 1, 1, 1, 1 } },
    { INT32_MAX, { 1 } },
    { 1, { -1 } },
    { 2, { 3, -2 } },
    { 2, { -3, -2 } },
    { 2, { 0, -1 } },
    { 1, { INT64_MIN } },
    { 1, { INT64_MAX } },
    { 1, { INT64_MAX / 4 } },
    { 1, { INT64_C(1) << 60 } },
    { 2, { INT64_C(1) << 32, INT64_C(1) << 32 } }, /* 2^64: 0 for who does not look */
    { 2, { INT64_C(3037000500), INT64_C(3037000500) } },
    { 3, { INT64_C(1) << 22, INT64_C(1) << 22, INT64_C(1) << 22 } },
    { 6, { 65536, 65536, 65536, 65536, 65536, 65536 } },
};

static int released;

static void count_release(void *user, float *data)
{
    (void)data;
    released += *(int *)user;
}

START_TEST(impossible_shapes)
{
    static float data[4];
    static const int64_t two[1] = { 2 };
    int one = 1;
    watched w;
    gm_context *ctx = watched_context(&w, -1);
    gm_tensor *base = NULL, *t;
    support_ok(ctx, gm_tensor_create(&base, ctx, 1, two));
    int64_t live = w.live;
    released = 0;
    for (size_t i = 0; i < sizeof bad_shapes / sizeof *bad_shapes; i++) {
        const bad_shape *b = &bad_shapes[i];
        t = base;
        support_fails(ctx, gm_tensor_create(&t, ctx, b->rank, b->shape), GM_E_INVALID, "tensor: ");
        ck_assert_ptr_null(t);
        t = base;
        support_fails(ctx, gm_tensor_create_from(&t, ctx, b->rank, b->shape, data), GM_E_INVALID,
                      "tensor_create_from");
        ck_assert_ptr_null(t);
        t = base;
        support_fails(ctx, gm_tensor_wrap(&t, ctx, b->rank, b->shape, data, count_release, &one),
                      GM_E_INVALID, "tensor_wrap");
        ck_assert_ptr_null(t);
        t = base;
        support_fails(ctx, gm_tensor_reshape_view(&t, base, b->rank, b->shape), GM_E_INVALID,
                      "reshape_view");
        ck_assert_ptr_null(t);
    }
    ck_assert_int_eq(released, 0); /* the memory is still the host's */
    ck_assert_int_eq(w.live, live);
    gm_tensor_release(base);
    gm_context_release(ctx);
    ck_assert(watched_clean(&w));
}
END_TEST

START_TEST(more_memory_than_there_is)
{
    static const int64_t shape[1] = { INT64_MAX / 64 };
    watched w;
    gm_context *ctx = watched_context(&w, -1);
    gm_tensor *t = (gm_tensor *)ctx;
    /* Addressable, but no allocator has it. */
    support_fails(ctx, gm_tensor_create(&t, ctx, 1, shape), GM_E_NOMEM, "tensor");
    ck_assert_ptr_null(t);
    gm_context_release(ctx);
    ck_assert(watched_clean(&w));
}
END_TEST

START_TEST(null_arguments)
{
    static const int64_t two[1] = { 2 };
    static float data[2];
    gm_context *ctx = support_context(0, 1);
    gm_tensor *base = NULL, *t;
    support_ok(ctx, gm_tensor_create(&base, ctx, 1, two));
    t = base;
    ck_assert_int_eq(gm_tensor_create(&t, NULL, 1, two), GM_E_INVALID);
    ck_assert_ptr_null(t);
    support_fails(ctx, gm_tensor_create(NULL, ctx, 1, two), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_tensor_create(&t, ctx, 1, NULL), GM_E_INVALID, "shape is NULL");
    t = base;
    support_fails(ctx, gm_tensor_create_from(&t, ctx, 1, two, NULL), GM_E_INVALID, "data is NULL");
    ck_assert_ptr_null(t);
    ck_assert_int_eq(gm_tensor_create_from(&t, NULL, 1, two, data), GM_E_INVALID);
    support_fails(ctx, gm_tensor_create_from(NULL, ctx, 1, two, data), GM_E_INVALID, "NULL");
    t = base;
    support_fails(ctx, gm_tensor_wrap(&t, ctx, 1, two, NULL, NULL, NULL), GM_E_INVALID, "NULL");
    ck_assert_ptr_null(t);
    ck_assert_int_eq(gm_tensor_wrap(&t, NULL, 1, two, data, NULL, NULL), GM_E_INVALID);
    support_fails(ctx, gm_tensor_wrap(NULL, ctx, 1, two, data, NULL, NULL), GM_E_INVALID, "NULL");
    t = base;
    ck_assert_int_eq(gm_tensor_rows_view(&t, NULL, 0, 0), GM_E_INVALID);
    ck_assert_ptr_null(t);
    support_fails(ctx, gm_tensor_rows_view(NULL, base, 0, 1), GM_E_INVALID, "NULL");
    t = base;
    ck_assert_int_eq(gm_tensor_reshape_view(&t, NULL, 1, two), GM_E_INVALID);
    ck_assert_ptr_null(t);
    support_fails(ctx, gm_tensor_reshape_view(NULL, base, 1, two), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_tensor_reshape_view(&t, base, 1, NULL), GM_E_INVALID, "shape is NULL");
    gm_tensor_release(base);
    gm_context_release(ctx);
}
END_TEST

START_TEST(create_from_copies)
{
    static const int64_t shape[2] = { 2, 3 };
    float data[6] = { 1, 2, 3, 4, 5, 6 };
    gm_context *ctx = support_context(0, 1);
    gm_tensor *t = NULL;
    support_ok(ctx, gm_tensor_create_from(&t, ctx, 2, shape, data));
    data[4] = 0;
    ck_assert(gm_tensor_read(t)[4] == 5 && gm_tensor_read(t)[5] == 6);
    gm_tensor_release(t);
    gm_context_release(ctx);
}
END_TEST

typedef struct kept {
    int calls;
    float *data;
} kept;

static void keep(void *user, float *data)
{
    kept *k = user;
    k->calls++;
    k->data = data;
}

START_TEST(wrapped_memory_comes_back_once)
{
    static const int64_t shape[2] = { 2, 3 }, flat[1] = { 6 };
    float data[6] = { 1, 2, 3, 4, 5, 6 };
    watched w;
    gm_context *ctx = watched_context(&w, -1);
    kept k = { 0, NULL };
    gm_tensor *t = NULL, *rows = NULL, *all = NULL;
    support_ok(ctx, gm_tensor_wrap(&t, ctx, 2, shape, data, keep, &k));
    ck_assert_ptr_eq(gm_tensor_data(t), data);
    support_ok(ctx, gm_tensor_rows_view(&rows, t, 1, 2));
    support_ok(ctx, gm_tensor_reshape_view(&all, rows, 1, (const int64_t[]){ 3 }));
    ck_assert_ptr_eq(gm_tensor_data(rows), data + 3);
    ck_assert_ptr_eq(gm_tensor_data(all), data + 3);
    gm_tensor_data(all)[1] = 50;
    ck_assert(data[4] == 50);
    gm_tensor_retain(t);
    gm_tensor_release(t);
    gm_tensor_release(t);
    ck_assert_int_eq(k.calls, 0); /* views still look at it */
    gm_tensor_release(rows);
    ck_assert_int_eq(k.calls, 0);
    gm_tensor_release(all);
    ck_assert_int_eq(k.calls, 1);
    ck_assert_ptr_eq(k.data, data);
    /* Without a callback the memory stays the host's. */
    support_ok(ctx, gm_tensor_wrap(&t, ctx, 1, flat, data, NULL, NULL));
    gm_tensor_release(t);
    ck_assert(data[5] == 6);
    gm_context_release(ctx);
    ck_assert_int_eq(k.calls, 1);
    ck_assert(watched_clean(&w));
}
END_TEST

START_TEST(views_share_and_outlive)
{
    static const int64_t shape[3] = { 4, 2, 3 }, other[2] = { 3, 2 };
    watched w;
    gm_context *ctx = watched_context(&w, -1);
    gm_tensor *base = NULL, *middle = NULL, *row = NULL, *reshaped = NULL, *empty = NULL;
    support_ok(ctx, gm_tensor_create(&base, ctx, 3, shape));
    float *data = gm_tensor_data(base);
    for (int i = 0; i < 24; i++) data[i] = (float)i;
    support_ok(ctx, gm_tensor_rows_view(&middle, base, 1, 3));
    ck_assert_int_eq(gm_tensor_rank(middle), 3);
    ck_assert_int_eq(gm_tensor_size(middle, 0), 2);
    ck_assert_int_eq(gm_tensor_count(middle), 12);
    ck_assert_ptr_eq(gm_tensor_data(middle), data + 6);
    support_ok(ctx, gm_tensor_rows_view(&row, middle, 1, 2)); /* a view of a view */
    ck_assert_ptr_eq(gm_tensor_data(row), data + 12);
    support_ok(ctx, gm_tensor_reshape_view(&reshaped, row, 2, other));
    ck_assert_ptr_eq(gm_tensor_data(reshaped), data + 12);
    support_ok(ctx, gm_tensor_rows_view(&empty, base, 4, 4));
    ck_assert_int_eq(gm_tensor_count(empty), 0);
    gm_tensor_release(base);
    gm_tensor_release(middle);
    gm_tensor_release(row);
    gm_context_release(ctx); /* the last views keep all of it */
    ck_assert_int_gt(w.live, 0);
    gm_tensor_fill(reshaped, -1);
    ck_assert(data[11] == 11 && data[12] == -1 && data[17] == -1 && data[18] == 18);
    gm_tensor_release(empty);
    gm_tensor_release(reshaped);
    ck_assert(watched_clean(&w));
}
END_TEST

START_TEST(impossible_views)
{
    static const int64_t shape[2] = { 4, 3 }, wrong[2] = { 4, 4 };
    static const int64_t ranges[][2] = { { -1, 2 },
                                         { 3, 2 },
                                         { 0, 5 },
                                         { 5, 5 },
                                         { INT64_MIN, 0 },
                                         { 0, INT64_MAX },
                                         { INT64_MAX, INT64_MIN } };
    gm_context *ctx = support_context(0, 1);
    gm_tensor *t = NULL, *scalar = NULL, *view;
    support_ok(ctx, gm_tensor_create(&t, ctx, 2, shape));
    support_ok(ctx, gm_tensor_create(&scalar, ctx, 0, NULL));
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        view = t;
        support_fails(ctx, gm_tensor_rows_view(&view, t, ranges[i][0], ranges[i][1]), GM_E_INVALID,
                      "rows_view");
        ck_assert_ptr_null(view);
    }
    view = t;
    support_fails(ctx, gm_tensor_rows_view(&view, scalar, 0, 1), GM_E_INVALID, "rows_view");
    ck_assert_ptr_null(view);
    view = t;
    support_fails(ctx, gm_tensor_reshape_view(&view, t, 2, wrong), GM_E_SHAPE, "[4, 4]");
    ck_assert_ptr_null(view);
    ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "[4, 3]"));
    support_fails(ctx, gm_tensor_reshape_view(&view, t, 0, NULL), GM_E_SHAPE, "[]");
    support_ok(ctx, gm_tensor_reshape_view(&view, scalar, 1, (const int64_t[]){ 1 }));
    gm_tensor_release(view);
    gm_tensor_release(t);
    gm_tensor_release(scalar);
    gm_context_release(ctx);
}
END_TEST

START_TEST(memory_runs_out)
{
    static const int64_t shape[2] = { 4, 3 };
    float data[12] = { 0 };
    watched w;
    gm_context *ctx = watched_context(&w, -1);
    gm_tensor *base = NULL, *t;
    kept k = { 0, NULL };
    support_ok(ctx, gm_tensor_create(&base, ctx, 2, shape));
    int64_t live = w.live;
    for (int64_t n = 0; n < 2; n++) { /* the handle, then the storage */
        t = base;
        w.fail_at = w.calls + n;
        support_fails(ctx, gm_tensor_create(&t, ctx, 2, shape), GM_E_NOMEM, "tensor");
        ck_assert_ptr_null(t);
        t = base;
        w.fail_at = w.calls + n;
        support_fails(ctx, gm_tensor_create_from(&t, ctx, 2, shape, data), GM_E_NOMEM, "tensor");
        ck_assert_ptr_null(t);
    }
    t = base;
    w.fail_at = w.calls;
    support_fails(ctx, gm_tensor_wrap(&t, ctx, 2, shape, data, keep, &k), GM_E_NOMEM, "tensor");
    ck_assert_ptr_null(t);
    ck_assert_int_eq(k.calls, 0);
    t = base;
    w.fail_at = w.calls;
    support_fails(ctx, gm_tensor_rows_view(&t, base, 0, 1), GM_E_NOMEM, "rows_view");
    ck_assert_ptr_null(t);
    t = base;
    w.fail_at = w.calls;
    support_fails(ctx, gm_tensor_reshape_view(&t, base, 2, shape), GM_E_NOMEM, "reshape_view");
    ck_assert_ptr_null(t);
    ck_assert_int_eq(w.live, live);
    gm_tensor_release(base);
    gm_context_release(ctx);
    ck_assert(watched_clean(&w));
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("tensor");
    TCase *t = tcase_create("tensor");
    tcase_add_test(t, create_gives_zeros);
    tcase_add_test(t, getters_accept_null);
    tcase_add_test(t, empty_tensors_are_legal);
    tcase_add_test(t, impossible_shapes);
    tcase_add_test(t, more_memory_than_there_is);
    tcase_add_test(t, null_arguments);
    tcase_add_test(t, create_from_copies);
    tcase_add_test(t, wrapped_memory_comes_back_once);
    tcase_add_test(t, views_share_and_outlive);
    tcase_add_test(t, impossible_views);
    tcase_add_test(t, memory_runs_out);
    suite_add_tcase(s, t);
    return s;
}
