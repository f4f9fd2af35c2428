/* test_data_idx.c - IDX files: plain, gzip, floats, and those that are not what they should be. */
#include <sys/stat.h>

#include "gm/extend.h"
#include "idx.h"

static void check_idx3(void)
{
    gm_dataset *ds = NULL;
    const int64_t rows[2] = { 0, 1 };
    float out[12];
    support_ok(ctx, gm_dataset_open_idx(&ds, ctx, file));
    ck_assert_int_eq(gm_dataset_rows(ds), 2);
    ck_assert_int_eq(gm_dataset_row_rank(ds), 2);
    ck_assert_int_eq(gm_dataset_row_shape(ds)[0], 2);
    ck_assert_int_eq(gm_dataset_row_shape(ds)[1], 3);
    support_ok(ctx, gm_dataset_read(ds, rows, 2, 0, out));
    for (int i = 0; i < 11; i++) ck_assert(out[i] == (float)i);
    ck_assert(out[11] == 255.0f);
    gm_dataset_release(ds);
}

START_TEST(idx_plain_and_gzip)
{
    uint8_t gz[512];
    support_file_write(file, idx3, sizeof idx3);
    check_idx3();
    size_t n = compress_to(gz, sizeof gz, idx3, sizeof idx3);
    support_file_write(file, gz, n); /* by content: the name does not say gz */
    check_idx3();
    n = compress_to(gz, sizeof gz, idx3, 9); /* two members */
    n += compress_to(gz + n, sizeof gz - n, idx3 + 9, sizeof idx3 - 9);
    support_file_write(file, gz, n);
    check_idx3();
}
END_TEST

START_TEST(idx_floats_and_labels)
{
    static const uint8_t floats[] = { 0, 0, 0x0d, 2,    0, 0, 0, 2, 0, 0, 0,    2,    0x3f, 0x80,
                                      0, 0, 0xc0, 0x20, 0, 0, 0, 0, 0, 1, 0x7f, 0x7f, 0xff, 0xff };
    static const uint8_t labels[] = { 0, 0, 8, 1, 0, 0, 0, 2, 9, 4 };
    uint8_t bad[sizeof floats];
    const int64_t rows[2] = { 0, 1 };
    float out[4];
    int64_t classes[2];
    gm_dataset *ds = NULL, *l = NULL;
    support_file_write(file, floats, sizeof floats);
    support_ok(ctx, gm_dataset_open_idx(&ds, ctx, file));
    support_ok(ctx, gm_dataset_read(ds, rows, 2, 0, out));
    ck_assert(out[0] == 1.0f && out[1] == -2.5f);
    ck_assert(out[2] == 1.401298464324817e-45f && out[3] == 3.4028234663852886e38f);
    support_file_write(file, labels, sizeof labels);
    support_ok(ctx, gm_dataset_open_idx(&l, ctx, file));
    ck_assert_int_eq(gm_dataset_row_rank(l), 0);
    ck_assert_int_eq(gm_dataset_row_size(l), 1);
    support_ok(ctx, gm_dataset_attach_labels(ds, l));
    support_ok(ctx, gm_dataset_read_labels(ds, rows, 2, classes));
    ck_assert(classes[0] == 9 && classes[1] == 4);
    ck_assert_int_eq(gm_dataset_classes(ds), 10);
    gm_dataset_release(ds);
    gm_dataset_release(l);
    memcpy(bad, floats, sizeof bad);
    bad[16] = 0x7f, bad[17] = 0xc0; /* NaN */
    support_file_write(file, bad, sizeof bad);
    support_fails(ctx, gm_dataset_open_idx(&ds, ctx, file), GM_E_NUMERIC, "row 0, column 1");
    ck_assert_ptr_null(ds);
}
END_TEST

/* Writes the bytes and opens them; the line must name the path. */
static void idx_fails(const uint8_t *bytes, size_t size, gm_status status, const char *text)
{
    gm_dataset *ds = (gm_dataset *)&ctx;
    support_file_write(file, bytes, size);
    support_fails(ctx, gm_dataset_open_idx(&ds, ctx, file), status, text);
    ck_assert_ptr_null(ds);
    ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "data.idx"));
}

START_TEST(idx_bad_headers)
{
    uint8_t b[64];
    memcpy(b, idx3, sizeof idx3);
    idx_fails(b, 0, GM_E_FORMAT, "holds 0 bytes");
    idx_fails(b, 3, GM_E_FORMAT, "holds 3 bytes");
    idx_fails(b, 10, GM_E_FORMAT, "ends inside the IDX header");
    b[0] = 'P';
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "starts with 50 00");
    b[0] = 0, b[2] = 0x0e;
    idx_fails(b, sizeof idx3, GM_E_UNSUPPORTED, "0x0e");
    b[2] = 0x55;
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "0x55");
    b[2] = 8, b[3] = 0;
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "0 dimensions");
    b[3] = 5;
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "5 dimensions");
    b[3] = 3, b[7] = 0;
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "holds no rows");
    b[7] = 2, b[15] = 0;
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "rows are empty");
    b[15] = 4;
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "promise 16 bytes of values, the file holds 12");
    idx_fails(idx3, sizeof idx3 - 1, GM_E_FORMAT, "promise 12 bytes of values, the file holds 11");
    memcpy(b, idx3, sizeof idx3);
    idx_fails(b, sizeof idx3 + 1, GM_E_FORMAT, "promise 12 bytes of values, the file holds 13");
    memset(b + 4, 0xff, 12);
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "overflow");
}
END_TEST

START_TEST(idx_bad_gzip)
{
    uint8_t gz[512], b[64];
    size_t n = compress_to(gz, sizeof gz, idx3, sizeof idx3);
    for (size_t cut = 2; cut < n; cut++) idx_fails(gz, cut, GM_E_FORMAT, "data.idx");
    idx_fails(gz, n - 4, GM_E_FORMAT, "ends in the middle of its compressed data");
    gz[n - 6] ^= 1; /* the checksum */
    idx_fails(gz, n, GM_E_FORMAT, "damaged");
    gz[n - 6] ^= 1;
    gz[n] = 'x'; /* rubbish behind */
    idx_fails(gz, n + 1, GM_E_FORMAT, "data.idx");
    /* Sizes that promise more, and less, than there is. */
    memcpy(b, idx3, sizeof idx3);
    b[15] = 4;
    n = compress_to(gz, sizeof gz, b, sizeof idx3);
    idx_fails(gz, n, GM_E_FORMAT, "promise 16 bytes of values, it holds 12");
    b[15] = 2;
    n = compress_to(gz, sizeof gz, b, sizeof idx3);
    idx_fails(gz, n, GM_E_FORMAT, "holds more than the 8 bytes");
    /* A terabyte out of a few bytes is refused on sight; and what is refused later did not take
     * much before. */
    b[5] = 0xff, b[6] = 0xff, b[9] = 0xff, b[15] = 4;
    n = compress_to(gz, sizeof gz, b, sizeof idx3);
    gm_memory_counters before, after;
    gm_context_memory(&before, ctx);
    idx_fails(gz, n, GM_E_FORMAT, "compressed bytes can give");
    gm_context_memory(&after, ctx);
    ck_assert_uint_lt(after.peak_bytes, before.bytes + 4000000);
}
END_TEST

/* Data that compresses well beyond the first guess of memory: the block grows. */
START_TEST(idx_highly_compressed)
{
    enum { N = 5000000 };
    uint8_t *raw = calloc(1, N + 8), *gz = malloc(N);
    const uint8_t head[8] = { 0, 0, 8, 1, N >> 24, (N >> 16) & 255, (N >> 8) & 255, N & 255 };
    memcpy(raw, head, sizeof head);
    raw[8 + N - 1] = 7;
    const size_t n = compress_to(gz, N, raw, N + 8);
    ck_assert_uint_lt(n, N / 100);
    support_file_write(file, gz, n);
    gm_dataset *ds = NULL;
    support_ok(ctx, gm_dataset_open_idx(&ds, ctx, file));
    ck_assert_int_eq(gm_dataset_rows(ds), N);
    const int64_t rows[2] = { N - 1, 0 };
    float out[2];
    support_ok(ctx, gm_dataset_read(ds, rows, 2, 0, out));
    ck_assert(out[0] == 7 && out[1] == 0);
    gm_dataset_release(ds);
    free(raw);
    free(gz);
}
END_TEST

START_TEST(idx_no_file)
{
    gm_dataset *ds = NULL;
    char fifo[2 * SUPPORT_PATH];
    support_fails(ctx, gm_dataset_open_idx(&ds, ctx, file), GM_E_IO, "data.idx: cannot be opened");
    support_fails(ctx, gm_dataset_open_idx(&ds, ctx, folder), GM_E_IO, "is a directory");
    snprintf(fifo, sizeof fifo, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    support_fails(ctx, gm_dataset_open_idx(&ds, ctx, fifo), GM_E_IO, "not a regular file");
    support_fails(ctx, gm_dataset_open_idx(&ds, ctx, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_dataset_open_idx(NULL, ctx, file), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_dataset_open_idx(&ds, NULL, file), GM_E_INVALID);
    ck_assert_ptr_null(ds);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *suite = suite_create("data: IDX");
    TCase *tc = tcase_create("idx");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, idx_plain_and_gzip);
    tcase_add_test(tc, idx_floats_and_labels);
    tcase_add_test(tc, idx_bad_headers);
    tcase_add_test(tc, idx_bad_gzip);
    tcase_add_test(tc, idx_highly_compressed);
    tcase_add_test(tc, idx_no_file);
    suite_add_tcase(suite, tc);
    return suite;
}
