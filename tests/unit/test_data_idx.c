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
    idx_fails(b, 0, GM_E_FORMAT, "empty file");
    idx_fails(b, 3, GM_E_FORMAT, "holds 3 bytes");
    idx_fails(b, 10, GM_E_FORMAT, "ends inside the IDX header");
    b[0] = 'P';
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "starts with 50 00");
    b[0] = 0, b[2] = 0x0a;
    idx_fails(b, sizeof idx3, GM_E_FORMAT, "0x0a");
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

/* IDX bytes of `rows` values, one a row. */
static size_t idx_of(uint8_t *out, uint8_t type, uint8_t rows, const uint8_t *values, size_t bytes)
{
    const uint8_t head[8] = { 0, 0, type, 1, 0, 0, 0, rows };
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, values, bytes);
    return sizeof head + bytes;
}

/* The types of the label files of some sets, and of data in whole numbers or in double precision,
 * as values and as labels, plain and compressed. */
START_TEST(idx_other_types)
{
    static const struct {
        uint8_t type, bytes[32];
        size_t width;
        float values[4];
    } cases[] = {
        { 0x09, { 0x80, 0xff, 0, 0x7f }, 1, { -128, -1, 0, 127 } },
        { 0x0b, { 0x80, 0, 0xff, 0xff, 1, 2, 0x7f, 0xff }, 2, { -32768, -1, 258, 32767 } },
        { 0x0c,
          { 0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 2, 0, 0xff, 0xff, 0xff },
          4,
          { -2147483648.0f, -1, 258, 16777215 } },
        { 0x0e,
          { 0xbf, 0xf8, 0,    0, 0, 0, 0, 0, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a,
            0x40, 0x70, 0x20, 0, 0, 0, 0, 0, 0,    0,    0,    0,    0,    0,    0,    1 },
          8,
          { -1.5f, 0.1f, 258, 0 } },
    };
    const int64_t all[4] = { 0, 1, 2, 3 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int compressed = 0; compressed < 2; compressed++) {
            uint8_t plain[64], gz[256];
            float values[4];
            int64_t label = 0;
            gm_dataset *ds = NULL, *third = NULL, *rows = NULL;
            size_t n = idx_of(plain, cases[i].type, 4, cases[i].bytes, 4 * cases[i].width);
            const size_t m = compress_to(gz, sizeof gz, plain, n);
            support_file_write(file, compressed ? gz : plain, compressed ? m : n);
            support_ok(ctx, gm_dataset_open_idx(&ds, ctx, file));
            ck_assert_int_eq(gm_dataset_rows(ds), 4);
            support_ok(ctx, gm_dataset_read(ds, all, 4, 0, values));
            for (int j = 0; j < 4; j++) ck_assert(values[j] == cases[i].values[j]);
            /* The third is a label, the first is none. */
            support_ok(ctx, gm_dataset_range(&third, ds, 2, 3));
            support_ok(ctx, gm_dataset_range(&rows, ds, 0, 1));
            support_ok(ctx, gm_dataset_attach_labels(rows, third));
            support_ok(ctx, gm_dataset_read_labels(rows, all, 1, &label));
            ck_assert_int_eq(label, (int64_t)cases[i].values[2]);
            support_fails(ctx, gm_dataset_attach_labels(ds, ds), GM_E_INVALID, "row 0 is -");
            gm_dataset_release(rows);
            gm_dataset_release(third);
            gm_dataset_release(ds);
        }
}
END_TEST

/* Views know the range of signed bytes: a scale of them overflows where it must, and only there. */
START_TEST(idx_signed_bytes_scaled)
{
    uint8_t raw[16];
    const int64_t rows[2] = { 0, 1 };
    float values[2];
    gm_dataset *ds = NULL, *scaled = NULL;
    support_file_write(file, raw, idx_of(raw, 0x09, 2, (const uint8_t *)"\x80\x7f", 2));
    support_ok(ctx, gm_dataset_open_idx(&ds, ctx, file));
    support_ok(ctx, gm_dataset_scale(&scaled, ds, 1.0 / 128, 0.5));
    support_ok(ctx, gm_dataset_read(scaled, rows, 2, 0, values));
    ck_assert(values[0] == -0.5f && values[1] == 0.5f + 127.0f / 128);
    gm_dataset_release(scaled);
    support_ok(ctx, gm_dataset_scale(&scaled, ds, 2.67e36, 0));
    support_fails(ctx, gm_dataset_read(scaled, rows, 2, 0, values), GM_E_NUMERIC,
                  "row 0, column 0");
    support_ok(ctx, gm_dataset_read(scaled, rows + 1, 1, 0, values));
    gm_dataset_release(scaled);
    gm_dataset_release(ds);
}
END_TEST

START_TEST(idx_values_beyond_floats)
{
    static const uint8_t huge[16] = { 0x3f, 0xf0, 0,    0,    0,    0, 0,    0,
                                      0x7e, 0x37, 0xe4, 0x3c, 0x88, 0, 0x75, 0x9c };
    static const uint8_t infinite[8] = { 0xff, 0xf0 };
    static const uint8_t rounded[8] = { 0, 0xff, 0xff, 0xff, 1, 0, 0, 1 };
    const int64_t first = 0;
    int64_t label;
    gm_dataset *ds = NULL, *last = NULL;
    uint8_t raw[32];
    /* 2^24 + 1 is 2^24 as a float, which so is no label; 2^24 - 1 is one. */
    support_file_write(file, raw, idx_of(raw, 0x0c, 2, rounded, 8));
    support_ok(ctx, gm_dataset_open_idx(&ds, ctx, file));
    support_fails(ctx, gm_dataset_attach_labels(ds, ds), GM_E_INVALID, "row 1 is");
    support_ok(ctx, gm_dataset_range(&last, ds, 0, 1));
    support_ok(ctx, gm_dataset_attach_labels(last, last));
    support_ok(ctx, gm_dataset_read_labels(last, &first, 1, &label));
    ck_assert_int_eq(label, 16777215);
    gm_dataset_release(last);
    gm_dataset_release(ds);
    idx_fails(raw, idx_of(raw, 0x0e, 2, huge, 16), GM_E_NUMERIC, "row 1, column 0 is 1e+300");
    idx_fails(raw, idx_of(raw, 0x0e, 1, infinite, 8), GM_E_NUMERIC, "row 0, column 0 is -inf");
    idx_fails(raw, idx_of(raw, 0x0e, 2, huge, 15), GM_E_FORMAT, "16 bytes");
    idx_fails(raw, idx_of(raw, 0x0b, 2, huge, 5), GM_E_FORMAT, "4 bytes");
}
END_TEST

/* gzip reads over zero bytes after its data, as tapes and mirrors add them, and so does this. */
START_TEST(idx_gzip_padding)
{
    static uint8_t gz[200000];
    const size_t n = compress_to(gz, sizeof gz, idx3, sizeof idx3);
    static const size_t paddings[] = { 1, 7, 512, 65536, 150000 };
    for (size_t i = 0; i < sizeof paddings / sizeof *paddings; i++) {
        memset(gz + n, 0, sizeof gz - n);
        support_file_write(file, gz, n + paddings[i]);
        check_idx3();
        gz[n + paddings[i]] = '\n';
        idx_fails(gz, n + paddings[i] + 1, GM_E_FORMAT, "0a");
    }
    gz[n] = '\n';
    idx_fails(gz, n + 1, GM_E_FORMAT, "0a");
    gz[n] = 0x1f; /* the beginning of another member, and no more */
    idx_fails(gz, n + 1, GM_E_FORMAT, "middle");
    /* Blocks of a tape, a member each. */
    memset(gz, 0, sizeof gz);
    const size_t first = compress_to(gz, 512, idx3, 9);
    ck_assert_uint_lt(first, 512);
    const size_t second = compress_to(gz + 512, 512, idx3 + 9, sizeof idx3 - 9);
    support_file_write(file, gz, 512 + second + 100);
    check_idx3();
}
END_TEST

/* What is no IDX file is called what it is. */
START_TEST(idx_foreign)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *kind;
    } cases[] = {
#define CASE(bytes, kind) { bytes, sizeof(bytes) - 1, kind }
        CASE("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n", "git-LFS"),
        CASE("PK\3\4\0\0\0\0\0\0\0\0", "zip archive"),
        CASE("\x80\2}q\0(X\1\0\0\0aq\1K\1u.", "Python pickle"),
        CASE("\x80\4\x95\x0b\0\0\0\0\0\0\0]\x94(K\1K\2e.", "Python pickle"),
        CASE("<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n", "HTML"),
        CASE("\xef\xbb\xbf \r\n<!-- a\n comment -->\n<HTML lang=\"en\">", "HTML"),
        CASE("\x93NUMPY\1\0v\0{'descr': '|u1'}", "NumPy"),
        CASE("\x78\x9c\3\0\0\0\0\1", "zlib"),
        CASE("\x89PNG\r\n\x1a\n", "PNG"),
        CASE("\x0a\0\0\0\0\0\0\0{\"a\":{}}", "safetensors"),
#undef CASE
    };
    uint8_t gz[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        idx_fails(bytes, cases[i].count, GM_E_FORMAT, cases[i].kind);
        idx_fails(gz, compress_to(gz, sizeof gz, bytes, cases[i].count), GM_E_FORMAT,
                  cases[i].kind);
    }
    idx_fails(gz, compress_to(gz, sizeof gz, "", 0), GM_E_FORMAT, "empty file");
    idx_fails((const uint8_t *)"label,pixel1\n5,0\n", 17, GM_E_FORMAT, "starts with 6c 61");
}
END_TEST

/* Lines about rows and labels can name the files that they are from. */
START_TEST(idx_paths)
{
    static const uint8_t labels[] = { 0, 0, 8, 1, 0, 0, 0, 2, 9, 4 };
    static const uint8_t signed_labels[] = { 0, 0, 9, 1, 0, 0, 0, 2, 9, 0xff };
    char other[2 * SUPPORT_PATH];
    gm_dataset *ds = NULL, *view = NULL, *l = NULL, *memory = NULL;
    const float values[2] = { 0, 1 };
    const int64_t two = 2;
    snprintf(other, sizeof other, "%s/labels.idx", folder);
    support_file_write(file, idx3, sizeof idx3);
    support_file_write(other, labels, sizeof labels);
    support_ok(ctx, gm_dataset_open_idx(&ds, ctx, file));
    support_ok(ctx, gm_dataset_scale(&view, ds, 2, 0));
    support_ok(ctx, gm_dataset_open_idx(&l, ctx, other));
    support_ok(ctx, gm_dataset_from_memory(&memory, ctx, 1, &two, values));
    ck_assert_str_eq(gm_dataset_path(view), file);
    ck_assert_ptr_null(gm_dataset_labels_path(view));
    ck_assert_ptr_null(gm_dataset_path(memory));
    ck_assert_ptr_null(gm_dataset_path(NULL));
    support_ok(ctx, gm_dataset_attach_labels(ds, l));
    gm_dataset_release(l);
    ck_assert_str_eq(gm_dataset_labels_path(view), other);
    /* A failure leaves the labels there were. */
    support_file_write(other, signed_labels, sizeof signed_labels);
    support_ok(ctx, gm_dataset_open_idx(&l, ctx, other));
    support_fails(ctx, gm_dataset_attach_labels(ds, l), GM_E_INVALID, "row 1 is -1");
    ck_assert(support_says(gm_context_error(ctx), "labels.idx"));
    gm_dataset_release(l);
    support_file_write(other, signed_labels, 0);
    support_fails(ctx, gm_dataset_open_idx(&l, ctx, other), GM_E_FORMAT, "labels.idx");
    support_file_write(other, idx3, sizeof idx3);
    support_ok(ctx, gm_dataset_open_idx(&l, ctx, other));
    support_fails(ctx, gm_dataset_attach_labels(ds, l), GM_E_SHAPE, "6 values");
    ck_assert(support_says(gm_context_error(ctx), "labels.idx"));
    ck_assert_str_eq(gm_dataset_labels_path(view), other);
    support_ok(ctx, gm_dataset_attach_labels(ds, memory));
    ck_assert_ptr_null(gm_dataset_labels_path(view));
    gm_dataset *sets[] = { l, memory, view, ds };
    for (int i = 0; i < 4; i++) gm_dataset_release(sets[i]);
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
    tcase_add_test(tc, idx_other_types);
    tcase_add_test(tc, idx_signed_bytes_scaled);
    tcase_add_test(tc, idx_values_beyond_floats);
    tcase_add_test(tc, idx_gzip_padding);
    tcase_add_test(tc, idx_foreign);
    tcase_add_test(tc, idx_paths);
    tcase_add_test(tc, idx_no_file);
    suite_add_tcase(suite, tc);
    return suite;
}
