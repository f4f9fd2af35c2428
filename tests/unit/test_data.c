/* test_data.c - datasets: sources, views, labels, reading, memory that runs out. */
#include "gm/extend.h"
#include "idx.h"

/* rows x columns, value r * columns + c. */
static gm_dataset *counting(int64_t rows, int64_t columns)
{
    const int64_t shape[2] = { rows, columns };
    float *v = malloc((size_t)(rows * columns) * sizeof *v);
    for (int64_t i = 0; i < rows * columns; i++) v[i] = (float)i;
    gm_dataset *ds = NULL;
    support_ok(ctx, gm_dataset_from_memory(&ds, ctx, 2, shape, v));
    free(v);
    return ds;
}

/* --- sources */

START_TEST(memory_is_copied)
{
    float v[6] = { 1, 2, 3, 4, 5, 6 };
    const int64_t shape[3] = { 2, 3, 1 };
    gm_dataset *ds = NULL;
    support_ok(ctx, gm_dataset_from_memory(&ds, ctx, 3, shape, v));
    v[0] = 100;
    ck_assert_int_eq(gm_dataset_rows(ds), 2);
    ck_assert_int_eq(gm_dataset_row_rank(ds), 2);
    ck_assert_int_eq(gm_dataset_row_shape(ds)[0], 3);
    ck_assert_int_eq(gm_dataset_row_shape(ds)[1], 1);
    ck_assert_int_eq(gm_dataset_row_size(ds), 3);
    ck_assert_ptr_eq(gm_dataset_context(ds), ctx);
    const int64_t rows[3] = { 1, 0, 1 };
    float out[9];
    support_ok(ctx, gm_dataset_read(ds, rows, 3, 0, out));
    const float want[9] = { 4, 5, 6, 1, 2, 3, 4, 5, 6 };
    ck_assert_mem_eq(out, want, sizeof want);
    gm_dataset_release(ds);
}
END_TEST

static int released;
static void release_floats(void *user, const float *data)
{
    released++;
    ck_assert_ptr_eq(user, data);
}

START_TEST(wrapping_shares_and_releases)
{
    float v[4] = { 1, 2, 3, 4 };
    const int64_t shape[2] = { 2, 2 }, rows[2] = { 0, 1 }, none[2] = { 0, 2 };
    float out[4];
    gm_dataset *ds = NULL, *view = NULL;
    released = 0;
    support_fails(ctx, gm_dataset_wrap(&ds, ctx, 2, none, v, release_floats, v), GM_E_INVALID,
                  "[0, 2]");
    ck_assert_ptr_null(ds);
    ck_assert_int_eq(released, 0);
    support_ok(ctx, gm_dataset_wrap(&ds, ctx, 2, shape, v, release_floats, v));
    v[3] = 9;
    support_ok(ctx, gm_dataset_read(ds, rows, 2, 0, out));
    ck_assert(out[3] == 9);
    v[2] = NAN;
    support_fails(ctx, gm_dataset_read(ds, rows, 2, 0, out), GM_E_NUMERIC, "row 1, column 0");
    v[2] = 0;
    support_ok(ctx, gm_dataset_range(&view, ds, 1, 2));
    gm_dataset_release(ds);
    ck_assert_int_eq(released, 0);
    gm_dataset_release(view);
    ck_assert_int_eq(released, 1);
}
END_TEST

START_TEST(bytes_are_scaled)
{
    const uint8_t b[4] = { 0, 51, 102, 255 };
    const int64_t shape[2] = { 2, 2 }, rows[2] = { 0, 1 };
    float out[4];
    gm_dataset *ds = NULL;
    support_ok(ctx, gm_dataset_from_bytes(&ds, ctx, 2, shape, b, 1.0 / 255.0));
    support_ok(ctx, gm_dataset_read(ds, rows, 2, 0, out));
    ck_assert(out[0] == 0.0f && out[3] == 1.0f); /* exactly: binarise wants [0, 1] */
    ck_assert(fabsf(out[1] - 0.2f) < 1e-6f);
    gm_dataset_release(ds);
    support_fails(ctx, gm_dataset_from_bytes(&ds, ctx, 2, shape, b, INFINITY), GM_E_INVALID,
                  "scale");
    ck_assert_ptr_null(ds);
}
END_TEST

START_TEST(bad_sources)
{
    const float v[4] = { 1, 2, 3, 4 }, odd[4] = { 1, 2, INFINITY, 4 };
    const uint8_t b[4] = { 0 };
    gm_dataset *ds = (gm_dataset *)&released;
    const int64_t good[2] = { 2, 2 }, none[2] = { 0, 2 }, hollow[2] = { 2, 0 },
                  minus[2] = { 2, -1 }, huge[3] = { INT64_MAX / 2, 3, 1 },
                  large[2] = { INT64_MAX / 8, 1 }, six[6] = { 1, 1, 1, 1, 1, 1 };
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 2, none, v), GM_E_INVALID, "[0, 2]");
    ck_assert_ptr_null(ds);
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 2, hollow, v), GM_E_INVALID, "[2, 0]");
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 2, minus, v), GM_E_INVALID, "[2, -1]");
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 3, huge, v), GM_E_INVALID, "memory");
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 2, large, v), GM_E_INVALID, "memory");
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 0, good, v), GM_E_INVALID, "rank is 0");
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 6, six, v), GM_E_INVALID, "rank is 6");
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, -1, six, v), GM_E_INVALID, "rank is -1");
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 2, NULL, v), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 2, good, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_from_memory(NULL, ctx, 2, good, v), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dataset_from_memory(&ds, NULL, 2, good, v), GM_E_INVALID);
    support_fails(ctx, gm_dataset_from_memory(&ds, ctx, 2, good, odd), GM_E_NUMERIC,
                  "row 1, column 0 is inf");
    ck_assert_ptr_null(ds);
    support_fails(ctx, gm_dataset_wrap(&ds, ctx, 2, good, NULL, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_from_bytes(&ds, ctx, 2, none, b, 1), GM_E_INVALID, "[0, 2]");
    support_fails(ctx, gm_dataset_from_bytes(&ds, ctx, 2, good, NULL, 1), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_from_callback(&ds, ctx, 2, good, NULL, NULL, NULL), GM_E_INVALID,
                  "NULL");
    ck_assert_int_eq(gm_dataset_rows(NULL), 0);
    ck_assert_int_eq(gm_dataset_row_rank(NULL), 0);
    ck_assert_ptr_null(gm_dataset_row_shape(NULL));
    ck_assert_int_eq(gm_dataset_row_size(NULL), 0);
    ck_assert_ptr_null(gm_dataset_context(NULL));
    ck_assert_int_eq(gm_dataset_has_labels(NULL), 0);
    ck_assert_int_eq(gm_dataset_classes(NULL), 0);
    gm_dataset_release(NULL);
    gm_dataset_retain(NULL);
}
END_TEST

START_TEST(bad_reads)
{
    gm_dataset *ds = counting(4, 2);
    const int64_t over[2] = { 1, 4 }, minus[1] = { -1 }, good[1] = { 3 };
    float out[4];
    support_fails(ctx, gm_dataset_read(ds, over, 2, 0, out), GM_E_INVALID, "row is 4");
    support_fails(ctx, gm_dataset_read(ds, minus, 1, 0, out), GM_E_INVALID, "row is -1");
    support_fails(ctx, gm_dataset_read(ds, good, -1, 0, out), GM_E_INVALID, "count is -1");
    support_fails(ctx, gm_dataset_read(ds, good, 1, -1, out), GM_E_INVALID, "pass is -1");
    support_fails(ctx, gm_dataset_read(ds, NULL, 1, 0, out), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_read(ds, good, 1, 0, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dataset_read(NULL, good, 1, 0, out), GM_E_INVALID);
    support_ok(ctx, gm_dataset_read(ds, NULL, 0, 0, NULL));
    gm_tensor *t = NULL;
    support_fails(ctx, gm_dataset_read_tensor(&t, ds, 2, 3, 0), GM_E_INVALID, "3 rows from 2");
    support_fails(ctx, gm_dataset_read_tensor(&t, ds, -1, 1, 0), GM_E_INVALID, "from -1");
    support_fails(ctx, gm_dataset_read_tensor(&t, ds, 0, INT64_MAX, 0), GM_E_INVALID,
                  "there are 4");
    support_fails(ctx, gm_dataset_read_tensor(NULL, ds, 0, 1, 0), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dataset_read_tensor(&t, NULL, 0, 1, 0), GM_E_INVALID);
    ck_assert_ptr_null(t);
    support_fails(ctx, gm_dataset_mean(ds, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dataset_mean(NULL, out), GM_E_INVALID);
    gm_dataset_release(ds);
}
END_TEST

START_TEST(tensor_and_mean)
{
    gm_dataset *ds = counting(150, 3); /* more than one block */
    gm_tensor *t = NULL;
    support_ok(ctx, gm_dataset_read_tensor(&t, ds, 100, 2, 0));
    ck_assert_int_eq(gm_tensor_rank(t), 2);
    ck_assert_int_eq(gm_tensor_size(t, 0), 2);
    ck_assert_int_eq(gm_tensor_size(t, 1), 3);
    for (int i = 0; i < 6; i++) ck_assert(gm_tensor_read(t)[i] == (float)(300 + i));
    gm_tensor_release(t);
    support_ok(ctx, gm_dataset_read_tensor(&t, ds, 150, 0, 0));
    ck_assert_int_eq(gm_tensor_count(t), 0);
    gm_tensor_release(t);
    float mean[3];
    support_ok(ctx, gm_dataset_mean(ds, mean));
    for (int i = 0; i < 3; i++) ck_assert(mean[i] == (float)(149 * 3) / 2 + (float)i);
    gm_dataset_release(ds);
}
END_TEST

/* --- a host's callback */

typedef struct host {
    int calls, released;
    int64_t last_count, last_pass;
    gm_status fail;
    const char *line;
    float offset;
} host;

static gm_status host_read(void *user, const int64_t *rows, int64_t count, int64_t pass, float *out)
{
    host *h = user;
    h->calls++;
    h->last_count = count;
    h->last_pass = pass;
    if (h->fail && h->line) return gm_context_fail(ctx, h->fail, h->line);
    if (h->fail) return h->fail;
    for (int64_t i = 0; i < count; i++) {
        out[2 * i] = (float)rows[i];
        out[2 * i + 1] = h->offset;
    }
    return GM_OK;
}

static void host_release(void *user)
{
    ((host *)user)->released++;
}

START_TEST(callbacks)
{
    host h = { 0, 0, 0, 0, 0, NULL, 0.5f };
    const int64_t shape[2] = { 1000, 2 };
    gm_dataset *ds = NULL, *back = NULL, *doubled = NULL;
    support_ok(ctx, gm_dataset_from_callback(&ds, ctx, 2, shape, host_read, host_release, &h));
    int64_t rows[200];
    for (int i = 0; i < 200; i++) rows[i] = 999 - i;
    support_ok(ctx, gm_dataset_subset(&back, ds, rows, 200));
    support_ok(ctx, gm_dataset_scale(&doubled, back, 2.0, 1.0));
    float out[400];
    for (int i = 0; i < 200; i++) rows[i] = i;
    support_ok(ctx, gm_dataset_read(doubled, rows, 200, 7, out));
    ck_assert_int_eq(h.calls, 1); /* once, though it is more than one block */
    ck_assert_int_eq(h.last_count, 200);
    ck_assert_int_eq(h.last_pass, 7);
    for (int i = 0; i < 200; i++)
        ck_assert(out[2 * i] == (float)(2 * (999 - i) + 1) && out[2 * i + 1] == 2.0f);
    gm_memory_counters before, after;
    gm_context_memory(&before, ctx);
    support_ok(ctx, gm_dataset_read(doubled, rows, 200, 8, out));
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);

    h.fail = GM_E_CANCELLED;
    support_fails(ctx, gm_dataset_read(doubled, rows, 2, 0, out), GM_E_CANCELLED,
                  "callback returned -11");
    h.line = "the cable is out";
    support_fails(ctx, gm_dataset_read(doubled, rows, 2, 0, out), GM_E_CANCELLED,
                  "the cable is out");
    h.fail = 0;
    h.offset = NAN;
    support_fails(ctx, gm_dataset_read(doubled, rows, 2, 0, out), GM_E_NUMERIC,
                  "row 999, column 1 is");
    gm_dataset_release(ds);
    gm_dataset_release(back);
    ck_assert_int_eq(h.released, 0);
    gm_dataset_release(doubled);
    ck_assert_int_eq(h.released, 1);
}
END_TEST

/* --- views */

START_TEST(views_choose_rows)
{
    gm_dataset *ds = counting(10, 1), *range = NULL, *subset = NULL, *first = NULL, *second = NULL;
    const int64_t pick[3] = { 4, 0, 4 }, rows[3] = { 0, 1, 2 };
    float out[10];
    support_ok(ctx, gm_dataset_range(&range, ds, 3, 9));
    support_ok(ctx, gm_dataset_subset(&subset, range, pick, 3));
    gm_dataset_release(ds); /* the views hold it */
    gm_dataset_release(range);
    support_ok(ctx, gm_dataset_read(subset, rows, 3, 0, out));
    ck_assert(out[0] == 7 && out[1] == 3 && out[2] == 7);
    support_ok(ctx, gm_dataset_split(&first, &second, subset, 1));
    ck_assert_int_eq(gm_dataset_rows(first), 1);
    ck_assert_int_eq(gm_dataset_rows(second), 2);
    support_ok(ctx, gm_dataset_read(second, rows, 2, 0, out));
    ck_assert(out[0] == 3 && out[1] == 7);
    gm_dataset_release(first);
    gm_dataset_release(second);
    gm_dataset_release(subset);
}
END_TEST

START_TEST(shuffles_are_permutations)
{
    enum { N = 500 };
    gm_dataset *ds = counting(N, 1), *a = NULL, *b = NULL, *c = NULL;
    int64_t rows[N];
    float x[N], y[N], z[N];
    int seen[N] = { 0 }, moved = 0;
    for (int i = 0; i < N; i++) rows[i] = i;
    support_ok(ctx, gm_dataset_shuffle(&a, ds, 5));
    support_ok(ctx, gm_dataset_shuffle(&b, ds, 5));
    support_ok(ctx, gm_dataset_shuffle(&c, ds, 6));
    support_ok(ctx, gm_dataset_read(a, rows, N, 0, x));
    support_ok(ctx, gm_dataset_read(b, rows, N, 0, y));
    support_ok(ctx, gm_dataset_read(c, rows, N, 0, z));
    ck_assert_mem_eq(x, y, sizeof x);
    ck_assert_mem_ne(x, z, sizeof x);
    for (int i = 0; i < N; i++) {
        seen[(int)x[i]]++;
        moved += x[i] != (float)i;
    }
    for (int i = 0; i < N; i++) ck_assert_int_eq(seen[i], 1);
    ck_assert_int_gt(moved, N * 9 / 10);
    gm_dataset_release(a);
    gm_dataset_release(b);
    gm_dataset_release(c);
    gm_dataset_release(ds);
}
END_TEST

START_TEST(views_change_values)
{
    gm_dataset *ds = counting(2, 4), *scaled = NULL, *over = NULL, *shaped = NULL;
    const int64_t rows[2] = { 1, 0 }, square[2] = { 2, 2 }, wrong[2] = { 2, 3 };
    float out[8];
    support_ok(ctx, gm_dataset_scale(&scaled, ds, -0.5, 1.0));
    support_ok(ctx, gm_dataset_read(scaled, rows, 2, 0, out));
    for (int i = 0; i < 8; i++) ck_assert(out[i] == 1.0f - 0.5f * (float)((i + 4) % 8));
    support_ok(ctx, gm_dataset_threshold(&over, ds, 5.0));
    support_ok(ctx, gm_dataset_read(over, rows, 2, 0, out));
    for (int i = 0; i < 8; i++) ck_assert(out[i] == ((i + 4) % 8 > 5 ? 1.0f : 0.0f));
    support_ok(ctx, gm_dataset_reshape(&shaped, ds, 2, square));
    ck_assert_int_eq(gm_dataset_row_rank(shaped), 2);
    ck_assert_int_eq(gm_dataset_row_size(shaped), 4);
    gm_dataset_release(shaped);
    support_fails(ctx, gm_dataset_reshape(&shaped, ds, 2, wrong), GM_E_SHAPE,
                  "rows are [4], [2, 3]");
    support_fails(ctx, gm_dataset_reshape(&shaped, ds, 0, NULL), GM_E_SHAPE, "[]");
    support_fails(ctx, gm_dataset_reshape(&shaped, ds, 5, square), GM_E_INVALID, "rank is 5");
    support_fails(ctx, gm_dataset_reshape(&shaped, ds, 2, NULL), GM_E_INVALID, "NULL");
    ck_assert_ptr_null(shaped);
    gm_dataset_release(scaled);
    support_ok(ctx, gm_dataset_scale(&scaled, ds, 3e38, 0.0));
    support_fails(ctx, gm_dataset_read(scaled, rows, 2, 0, out), GM_E_NUMERIC,
                  "dataset_scale: row 1, column 0 is inf");
    gm_dataset_release(scaled);
    gm_dataset_release(over);
    gm_dataset_release(ds);
}
END_TEST

/* Small images and those too large for the stack, many channels, one; below another view, with
 * labels, and for any number of threads. */
START_TEST(channels_come_first)
{
    static const int64_t sizes[][3] = {
        { 2, 2, 2 },   { 4, 5, 3 },    { 1, 1, 7 },   { 6, 7, 1 },
        { 41, 37, 3 }, { 3, 2, 2500 }, { 64, 65, 4 }, { 1, 5000, 1 }
    };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int32_t threads = 1; threads < 3; threads++) {
            const int64_t *s = sizes[k], pixels = s[0] * s[1], channels = s[2];
            const int64_t shape[4] = { 3, s[0], s[1], channels }, rows[2] = { 2, 0 };
            const int64_t size = pixels * channels;
            gm_context *c = support_context(1, threads);
            gm_dataset *ds = NULL, *first = NULL, *scaled = NULL, *labels = NULL;
            float *v = malloc((size_t)(3 * size) * sizeof *v),
                  *got = malloc((size_t)(2 * size) * sizeof *got);
            const float three[3] = { 5, 6, 7 };
            int64_t found[2];
            for (int64_t i = 0; i < 3 * size; i++) v[i] = (float)i;
            support_ok(c, gm_dataset_from_memory(&ds, c, 4, shape, v));
            support_ok(c, gm_dataset_from_memory(&labels, c, 1, shape, three));
            support_ok(c, gm_dataset_attach_labels(ds, labels));
            support_ok(c, gm_dataset_channels_first(&first, ds));
            support_ok(c, gm_dataset_scale(&scaled, first, 2, 0));
            ck_assert_int_eq(gm_dataset_row_rank(first), 3);
            const int64_t *to = gm_dataset_row_shape(first);
            ck_assert(to[0] == channels && to[1] == s[0] && to[2] == s[1]);
            support_ok(c, gm_dataset_read(scaled, rows, 2, 0, got));
            for (int r = 0; r < 2; r++)
                for (int64_t i = 0; i < channels; i++)
                    for (int64_t p = 0; p < pixels; p++)
                        ck_assert(got[r * size + i * pixels + p] ==
                                  2 * v[rows[r] * size + p * channels + i]);
            support_ok(c, gm_dataset_read_labels(scaled, rows, 2, found));
            ck_assert(found[0] == 7 && found[1] == 5);
            free(v);
            free(got);
            gm_dataset *sets[] = { labels, scaled, first, ds };
            for (int i = 0; i < 4; i++) gm_dataset_release(sets[i]);
            gm_context_release(c);
        }
}
END_TEST

START_TEST(bad_views)
{
    gm_dataset *ds = counting(4, 2), *v = NULL, *w = NULL;
    const int64_t rows[2] = { 0, 4 };
    support_fails(ctx, gm_dataset_subset(&v, ds, rows, 2), GM_E_INVALID, "row is 4");
    support_fails(ctx, gm_dataset_subset(&v, ds, rows, 0), GM_E_INVALID, "count is 0");
    support_fails(ctx, gm_dataset_subset(&v, ds, rows, INT64_MAX), GM_E_INVALID, "count is");
    support_fails(ctx, gm_dataset_subset(&v, ds, NULL, 1), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_range(&v, ds, 2, 2), GM_E_INVALID, "rows 2 to 2");
    support_fails(ctx, gm_dataset_range(&v, ds, -1, 2), GM_E_INVALID, "rows -1 to 2");
    support_fails(ctx, gm_dataset_range(&v, ds, 0, 5), GM_E_INVALID, "dataset of 4");
    support_fails(ctx, gm_dataset_split(&v, &w, ds, 0), GM_E_INVALID, "0 rows of 4");
    support_fails(ctx, gm_dataset_split(&v, &w, ds, 4), GM_E_INVALID, "4 rows of 4");
    support_fails(ctx, gm_dataset_split(&v, NULL, ds, 2), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_scale(&v, ds, NAN, 0), GM_E_INVALID, "scale is");
    support_fails(ctx, gm_dataset_scale(&v, ds, 1, INFINITY), GM_E_INVALID, "shift is inf");
    support_fails(ctx, gm_dataset_threshold(&v, ds, NAN), GM_E_INVALID, "NaN");
    support_fails(ctx, gm_dataset_binarise(&v, ds, 1, 2), GM_E_INVALID, "mode is 2");
    support_fails(ctx, gm_dataset_range(NULL, ds, 0, 1), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_shuffle(NULL, ds, 0), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_scale(NULL, ds, 1, 0), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_threshold(NULL, ds, 1), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_binarise(NULL, ds, 1, 0), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_channels_first(&v, ds), GM_E_SHAPE, "[2]");
    support_fails(ctx, gm_dataset_channels_first(NULL, ds), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dataset_channels_first(&v, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_dataset_shuffle(&v, NULL, 0), GM_E_INVALID);
    ck_assert_int_eq(gm_dataset_range(&v, NULL, 0, 1), GM_E_INVALID);
    ck_assert_ptr_null(v);
    /* A tower of views has a limit, and falls without recursion. */
    gm_dataset *top = ds;
    for (int i = 0; i < GM_MAX_VIEWS; i++) {
        support_ok(ctx, gm_dataset_scale(&v, top, 1.0, 1.0));
        gm_dataset_release(top);
        top = v;
    }
    support_fails(ctx, gm_dataset_scale(&v, top, 1.0, 1.0), GM_E_INVALID, "64 views");
    float out[2];
    support_ok(ctx, gm_dataset_read(top, rows, 1, 0, out));
    ck_assert(out[0] == 64 && out[1] == 65);
    gm_dataset_release(top);
}
END_TEST

/* --- binarisation */

static gm_dataset *greys(int64_t rows, int64_t columns)
{
    const int64_t shape[2] = { rows, columns };
    uint8_t *v = malloc((size_t)(rows * columns));
    for (int64_t i = 0; i < rows * columns; i++)
        v[i] = (uint8_t)(i % columns * 255 / (columns - 1));
    gm_dataset *bytes = NULL, *ds = NULL;
    support_ok(ctx, gm_dataset_from_bytes(&bytes, ctx, 2, shape, v, 1.0));
    support_ok(ctx, gm_dataset_scale(&ds, bytes, 1.0 / 255.0, 0.0));
    gm_dataset_release(bytes);
    free(v);
    return ds;
}

START_TEST(binarise_has_the_right_odds)
{
    enum { ROWS = 4000, COLUMNS = 6 };
    gm_dataset *ds = greys(ROWS, COLUMNS), *b = NULL;
    float mean[COLUMNS];
    for (int32_t mode = 0; mode < 2; mode++) {
        support_ok(ctx, gm_dataset_binarise(&b, ds, 3, mode));
        support_ok(ctx, gm_dataset_mean(b, mean));
        for (int i = 0; i < COLUMNS; i++) {
            const double p = (double)(i * 255 / (COLUMNS - 1)) / 255.0;
            ck_assert(fabs((double)mean[i] - p) <= support_bound(64) * sqrt(p * (1 - p) / ROWS));
        }
        ck_assert(mean[0] == 0.0f && mean[COLUMNS - 1] == 1.0f);
        gm_dataset_release(b);
    }
    gm_dataset_release(ds);
}
END_TEST

START_TEST(binarise_hangs_on_row_seed_and_pass_alone)
{
    enum { ROWS = 200, COLUMNS = 50, N = ROWS * COLUMNS };
    gm_dataset *ds = greys(ROWS, COLUMNS), *fixed = NULL, *fresh = NULL, *other = NULL,
               *back = NULL;
    support_ok(ctx, gm_dataset_binarise(&fixed, ds, 3, GM_BINARISE_STATIC));
    support_ok(ctx, gm_dataset_binarise(&fresh, ds, 3, GM_BINARISE_DYNAMIC));
    support_ok(ctx, gm_dataset_binarise(&other, ds, 4, GM_BINARISE_STATIC));
    static float a[N], b[N];
    int64_t rows[ROWS], turned[ROWS];
    for (int i = 0; i < ROWS; i++) {
        rows[i] = i;
        turned[i] = ROWS - 1 - i;
    }
    support_ok(ctx, gm_dataset_read(fixed, rows, ROWS, 0, a));
    for (int i = 0; i < N; i++) ck_assert(a[i] == 0.0f || a[i] == 1.0f);
    support_ok(ctx, gm_dataset_read(fixed, rows, ROWS, 9, b));
    ck_assert_mem_eq(a, b, sizeof a);
    support_ok(ctx, gm_dataset_read(other, rows, ROWS, 0, b));
    ck_assert_mem_ne(a, b, sizeof a);
    support_ok(ctx, gm_dataset_read(fresh, rows, ROWS, 0, a));
    support_ok(ctx, gm_dataset_read(fresh, rows, ROWS, 1, b));
    ck_assert_mem_ne(a, b, sizeof a);
    support_ok(ctx, gm_dataset_read(fresh, rows, ROWS, 0, b));
    ck_assert_mem_eq(a, b, sizeof a);
    /* One by one, and from behind, and through a view on top: the same rows. */
    for (int i = 0; i < ROWS; i++)
        support_ok(ctx, gm_dataset_read(fresh, rows + i, 1, 0, b + i * COLUMNS));
    ck_assert_mem_eq(a, b, sizeof a);
    support_ok(ctx, gm_dataset_subset(&back, fresh, turned, ROWS));
    support_ok(ctx, gm_dataset_read(back, turned, ROWS, 0, b));
    ck_assert_mem_eq(a, b, sizeof a);
    /* Rows are independent of each other. */
    ck_assert_mem_ne(a, a + COLUMNS, COLUMNS * sizeof *a);
    gm_dataset_release(fixed);
    gm_dataset_release(fresh);
    gm_dataset_release(other);
    gm_dataset_release(back);
    gm_dataset_release(ds);
}
END_TEST

START_TEST(binarise_wants_probabilities)
{
    const float v[6] = { 0, 0.5f, 1, 0, 1.25f, 0 };
    const int64_t shape[2] = { 3, 2 }, rows[3] = { 0, 1, 2 };
    gm_dataset *ds = NULL, *b = NULL;
    float out[6];
    support_ok(ctx, gm_dataset_from_memory(&ds, ctx, 2, shape, v));
    support_ok(ctx, gm_dataset_binarise(&b, ds, 1, GM_BINARISE_STATIC));
    support_ok(ctx, gm_dataset_read(b, rows, 2, 0, out));
    support_fails(ctx, gm_dataset_read(b, rows, 3, 0, out), GM_E_INVALID,
                  "row 2, column 0 is 1.25");
    support_fails(ctx, gm_dataset_mean(b, out), GM_E_INVALID, "row 2");
    gm_dataset_release(ds);
    gm_dataset_release(b);
}
END_TEST

START_TEST(threads_do_not_matter)
{
    enum { ROWS = 300, COLUMNS = 784 };
    static float results[3][ROWS * COLUMNS];
    static const int32_t threads[3] = { 1, 2, 5 };
    int64_t rows[ROWS];
    char lines[3][512];
    for (int i = 0; i < ROWS; i++) rows[i] = (i * 7) % ROWS;
    gm_context *kept = ctx;
    for (int t = 0; t < 3; t++) {
        ctx = support_context(1, threads[t]);
        gm_dataset *ds = greys(ROWS, COLUMNS), *shuffled = NULL, *b = NULL, *bad = NULL;
        support_ok(ctx, gm_dataset_shuffle(&shuffled, ds, 2));
        support_ok(ctx, gm_dataset_binarise(&b, shuffled, 3, GM_BINARISE_DYNAMIC));
        gm_memory_counters before, after;
        gm_context_memory(&before, ctx);
        support_ok(ctx, gm_dataset_read(b, rows, ROWS, 4, results[t]));
        gm_context_memory(&after, ctx);
        ck_assert_uint_eq(before.allocations, after.allocations);
        gm_dataset_release(b);
        support_ok(ctx, gm_dataset_scale(&bad, shuffled, 2.0, 0.0));
        support_ok(ctx, gm_dataset_binarise(&b, bad, 3, GM_BINARISE_DYNAMIC));
        static float out[ROWS * COLUMNS];
        support_fails(ctx, gm_dataset_read(b, rows, ROWS, 4, out), GM_E_INVALID, "expected 0 to 1");
        snprintf(lines[t], sizeof lines[t], "%s", gm_context_error(ctx));
        gm_dataset_release(b);
        gm_dataset_release(bad);
        gm_dataset_release(shuffled);
        gm_dataset_release(ds);
        gm_context_release(ctx);
    }
    ctx = kept;
    for (int t = 1; t < 3; t++) {
        ck_assert_mem_eq(results[0], results[t], sizeof results[0]);
        ck_assert_str_eq(lines[0], lines[t]);
    }
}
END_TEST

/* --- labels */

static gm_dataset *numbers(const float *v, int64_t n)
{
    gm_dataset *ds = NULL;
    support_ok(ctx, gm_dataset_from_memory(&ds, ctx, 1, &n, v));
    return ds;
}

START_TEST(labels_flow_through_views)
{
    const float v[5] = { 0, 3, 1, 2, 3 }, w[2] = { 6, 7 };
    gm_dataset *ds = counting(5, 2), *labels = numbers(v, 5), *range = NULL, *grey = NULL,
               *own = numbers(w, 2);
    const int64_t rows[2] = { 2, 0 };
    int64_t out[2];
    support_ok(ctx, gm_dataset_range(&range, ds, 1, 5));
    support_ok(ctx, gm_dataset_scale(&grey, range, 2, 0));
    ck_assert_int_eq(gm_dataset_has_labels(grey), 0);
    support_fails(ctx, gm_dataset_read_labels(grey, rows, 2, out), GM_E_STATE, "no labels");
    support_ok(ctx, gm_dataset_attach_labels(ds, labels));
    gm_dataset_release(labels);
    ck_assert_int_eq(gm_dataset_has_labels(grey), 1);
    ck_assert_int_eq(gm_dataset_classes(grey), 4);
    support_ok(ctx, gm_dataset_read_labels(grey, rows, 2, out));
    ck_assert(out[0] == 2 && out[1] == 3);
    support_fails(ctx, gm_dataset_read_labels(grey, (const int64_t[]){ 4 }, 1, out), GM_E_INVALID,
                  "row is 4");
    support_fails(ctx, gm_dataset_read_labels(grey, rows, -1, out), GM_E_INVALID, "count");
    support_fails(ctx, gm_dataset_read_labels(grey, rows, 2, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dataset_read_labels(NULL, rows, 2, out), GM_E_INVALID);
    gm_dataset *two = NULL;
    support_ok(ctx, gm_dataset_range(&two, grey, 0, 2));
    support_ok(ctx, gm_dataset_attach_labels(two, own));
    support_ok(ctx, gm_dataset_attach_labels(two, own)); /* replaces */
    ck_assert_int_eq(gm_dataset_classes(two), 8);
    ck_assert_int_eq(gm_dataset_classes(grey), 4);
    gm_dataset_release(two);
    gm_dataset_release(own);
    gm_dataset_release(ds);
    gm_dataset_release(range);
    gm_dataset_release(grey);
}
END_TEST

START_TEST(bad_labels)
{
    gm_dataset *ds = counting(2, 2), *l = NULL;
    static const float wrong[4][2] = { { 0, -1 }, { 0, 0.5f }, { 0, 33554432.0f }, { 0, 1e30f } };
    for (int i = 0; i < 4; i++) {
        l = numbers(wrong[i], 2);
        support_fails(ctx, gm_dataset_attach_labels(ds, l), GM_E_INVALID, "row 1");
        gm_dataset_release(l);
    }
    l = numbers((const float[]){ 0, 1, 2 }, 3);
    support_fails(ctx, gm_dataset_attach_labels(ds, l), GM_E_SHAPE, "3 labels for 2 rows");
    gm_dataset_release(l);
    support_fails(ctx, gm_dataset_attach_labels(ds, ds), GM_E_SHAPE, "2 values");
    support_fails(ctx, gm_dataset_attach_labels(ds, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_attach_labels(NULL, ds), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dataset_has_labels(ds), 0);
    /* A dataset may be its own labels: they are copied, so no circle of owners arises. */
    l = numbers((const float[]){ 4, 1 }, 2);
    support_ok(ctx, gm_dataset_attach_labels(l, l));
    ck_assert_int_eq(gm_dataset_classes(l), 5);
    gm_dataset_release(l);
    gm_dataset_release(ds);
}
END_TEST

/* --- memory that runs out */

typedef struct meter {
    int64_t left; /* allocations that still succeed; -1: all */
    int64_t held;
} meter;

static void *meter_get(void *user, size_t size, size_t align)
{
    meter *m = user;
    void *p = NULL;
    if (m->left == 0) return NULL;
    if (m->left > 0) m->left--;
    if (posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size)) return NULL;
    m->held++;
    return p;
}

static void meter_put(void *user, void *p, size_t size)
{
    (void)size;
    ((meter *)user)->held--;
    free(p);
}

static gm_status all_of_it(gm_context *c, const char *path)
{
    gm_dataset *ds = NULL, *shuffled = NULL, *a = NULL, *b = NULL, *grey = NULL, *bits = NULL,
               *called = NULL, *chosen = NULL, *labels = NULL, *image = NULL, *turned = NULL;
    gm_tensor *t = NULL;
    host h = { 0, 0, 0, 0, 0, NULL, 0 };
    const int64_t shape[2] = { 2, 2 }, rows[2] = { 1, 0 };
    float out[12], mean[6];
    gm_status s;
    if ((s = gm_dataset_open_idx(&ds, c, path))) goto out;
    if ((s = gm_dataset_from_memory(&labels, c, 1, shape, (const float[]){ 1, 2 }))) goto out;
    if ((s = gm_dataset_attach_labels(ds, labels))) goto out;
    if ((s = gm_dataset_shuffle(&shuffled, ds, 1))) goto out;
    if ((s = gm_dataset_split(&a, &b, shuffled, 1))) goto out;
    if ((s = gm_dataset_scale(&grey, a, 1.0 / 255.0, 0))) goto out;
    if ((s = gm_dataset_binarise(&bits, grey, 1, 1))) goto out;
    if ((s = gm_dataset_reshape(&image, bits, 3, (const int64_t[]){ 1, 3, 2 }))) goto out;
    if ((s = gm_dataset_channels_first(&turned, image))) goto out;
    if ((s = gm_dataset_read_tensor(&t, turned, 0, 1, 0))) goto out;
    if ((s = gm_dataset_mean(ds, mean))) goto out;
    if ((s = gm_dataset_from_callback(&called, c, 2, shape, host_read, NULL, &h))) goto out;
    if ((s = gm_dataset_subset(&chosen, called, rows, 2))) goto out;
    if ((s = gm_dataset_read(chosen, rows, 2, 0, out))) goto out;
out:
    gm_tensor_release(t);
    gm_dataset_release(ds);
    gm_dataset_release(image);
    gm_dataset_release(turned);
    gm_dataset_release(labels);
    gm_dataset_release(shuffled);
    gm_dataset_release(a);
    gm_dataset_release(b);
    gm_dataset_release(grey);
    gm_dataset_release(bits);
    gm_dataset_release(called);
    gm_dataset_release(chosen);
    return s;
}

START_TEST(every_allocation_fails_once)
{
    uint8_t gz[512];
    support_file_write(file, gz, compress_to(gz, sizeof gz, idx3, sizeof idx3));
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        meter m = { -1, 0 };
        const gm_allocator hook = { meter_get, meter_put, &m };
        gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
        options.allocator = &hook;
        gm_context *c = NULL;
        ck_assert_int_eq(gm_context_create(&c, GM_HEADER_VERSION, &options), GM_OK);
        m.left = n;
        const gm_status s = all_of_it(c, file);
        ck_assert(s == GM_OK || s == GM_E_NOMEM);
        if (s) ck_assert_ptr_nonnull(strstr(gm_context_error(c), "no memory"));
        gm_context_release(c);
        ck_assert_int_eq(m.held, 0);
        if (!s) break;
        failures++;
    }
    ck_assert_int_gt(failures, 20);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *suite = suite_create("data");
    TCase *tc = tcase_create("data");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, memory_is_copied);
    tcase_add_test(tc, wrapping_shares_and_releases);
    tcase_add_test(tc, bytes_are_scaled);
    tcase_add_test(tc, bad_sources);
    tcase_add_test(tc, bad_reads);
    tcase_add_test(tc, tensor_and_mean);
    tcase_add_test(tc, callbacks);
    tcase_add_test(tc, views_choose_rows);
    tcase_add_test(tc, shuffles_are_permutations);
    tcase_add_test(tc, views_change_values);
    tcase_add_test(tc, channels_come_first);
    tcase_add_test(tc, bad_views);
    tcase_add_test(tc, binarise_has_the_right_odds);
    tcase_add_test(tc, binarise_hangs_on_row_seed_and_pass_alone);
    tcase_add_test(tc, binarise_wants_probabilities);
    tcase_add_test(tc, threads_do_not_matter);
    tcase_add_test(tc, labels_flow_through_views);
    tcase_add_test(tc, bad_labels);
    tcase_add_test(tc, every_allocation_fails_once);
    suite_add_tcase(suite, tc);
    return suite;
}
