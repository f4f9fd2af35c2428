/* test_archive_foreign.c - archives: files of others, files that lie, files cut short or altered.
 */
#include <math.h>

#include "archives.h"
#include "gm/data.h"

/* Opens header + data as a file. */
static gm_status open_made(gm_archive **out, const char *header, const void *data, size_t data_size)
{
    static uint8_t raw[65536];
    const size_t n = strlen(header);
    ck_assert_uint_lt(8 + n + data_size, sizeof raw);
    memset(raw, 0, 8);
    raw[0] = (uint8_t)n;
    raw[1] = (uint8_t)(n >> 8);
    memcpy(raw + 8, header, n);
    if (data_size) memcpy(raw + 8 + n, data, data_size);
    support_file_write(file, raw, 8 + n + data_size);
    return gm_archive_open(out, ctx, file);
}

START_TEST(foreign_files)
{
    gm_archive *a = NULL;
    const float *data;
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    /* No padding, so the floats lie anyhow; blanks, another key order, an unknown key, a double,
     * a half float, a type not known. */
    static const uint8_t raw[] = { 9, 0, 0,    0x28, 0x42, 0,    0, 0, 0,
                                   0, 0, 0xf8, 0x3f, 0x00, 0x3c, 1, 2 };
    support_ok(
        ctx,
        open_made(
            &a,
            "{ \"z\" : {\"data_offsets\":[1,5],\"shape\":[1],\"dtype\":\"F32\",\"note\":null},\n"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"d\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[5,13]},"
            "\"h\":{\"dtype\":\"F16\",\"shape\":[1,1],\"data_offsets\":[13,15]},"
            "\"n\":{\"dtype\":\"F4_NEW\",\"shape\":[4],\"data_offsets\":[15,17]}} ",
            raw, sizeof raw));
    support_ok(ctx, gm_archive_get(&rank, &data, a, "z", shape));
    ck_assert(rank == 1 && shape[0] == 1 && data[0] == 42);
    support_ok(ctx, gm_archive_get(&rank, &data, a, "d", NULL));
    ck_assert(rank == 0 && data[0] == 1.5f);
    ck_assert_str_eq(gm_archive_tensor_type(a, 2), "F16");
    support_ok(ctx, gm_archive_get(&rank, &data, a, "h", NULL));
    ck_assert(rank == 2 && data[0] == 1);
    support_fails(ctx, gm_archive_get(NULL, &data, a, "n", NULL), GM_E_UNSUPPORTED, "type F4_NEW");
    /* Written again, nothing is lost, and all is where it can be read in place. */
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_release(a);
    support_ok(ctx, gm_archive_open(&a, ctx, file));
    ck_assert_int_eq(gm_archive_tensor_count(a), 5);
    ck_assert_str_eq(gm_archive_tensor_type(a, 3), "F4_NEW");
    support_ok(ctx, gm_archive_get(NULL, &data, a, "d", NULL));
    ck_assert(data[0] == 1.5f);
    support_ok(ctx, gm_archive_get(NULL, &data, a, "z", NULL));
    ck_assert(data[0] == 42 && !a->tensors[4].values); /* no copy was needed */
    gm_archive_release(a);
}
END_TEST

/* Every element type whose values are numbers: the values at its ends, exactly, or as the nearest
 * float. */
START_TEST(element_types)
{
    static const struct {
        const char *type;
        const char *bytes;
        size_t width;
        float values[4];
    } cases[] = {
        { "F16", "\0\x3c\1\0\xff\xfb\0\xfc", 2, { 1, 0x1p-24f, -65504, -INFINITY } },
        { "F16", "\0\0\xff\3\0\4\x55\x35", 2, { 0, 1023 * 0x1p-24f, 0x1p-14f, 1365 * 0x1p-12f } },
        { "BF16", "\x80\x3f\x49\xc0\x80\x7f\1\0", 2, { 1, -3.140625f, INFINITY, 0x1p-133f } },
        { "F64",
          "\x9a\x99\x99\x99\x99\x99\xb9\x3f\x9c\x75\0\x88\x3c\xe4\x37\x7e\0\0\0\0\0\0\xf8\xbf"
          "\1\0\0\0\0\0\0\0",
          8,
          { 0.1f, INFINITY, -1.5f, 0 } },
        { "I64",
          "\xe8\3\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\x80"
          "\xff\xff\xff\xff\xff\xff\xff\x7f",
          8,
          { 1000, -1, -0x1p63f, 0x1p63f } },
        { "U64",
          "\xe8\3\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\x80"
          "\1\0\0\0\1\0\0\0",
          8,
          { 1000, 0x1p64f, 0x1p63f, 0x1p32f } },
        { "I32",
          "\1\0\0\1\xff\xff\xff\xff\0\0\0\x80\xff\xff\xff\0",
          4,
          { 16777216, -1, -0x1p31f, 16777215 } },
        { "U32",
          "\3\0\0\1\xff\xff\xff\xff\0\0\0\x80\xff\xff\xff\0",
          4,
          { 16777220, 0x1p32f, 0x1p31f, 16777215 } },
        { "I16", "\1\2\xff\xff\0\x80\xff\x7f", 2, { 513, -1, -32768, 32767 } },
        { "U16", "\1\2\xff\xff\0\x80\xff\x7f", 2, { 513, 65535, 32768, 32767 } },
        { "I8", "\1\xff\x80\x7f", 1, { 1, -1, -128, 127 } },
        { "U8", "\1\xff\x80\x7f", 1, { 1, 255, 128, 127 } },
        { "BOOL", "\1\0\0\1", 1, { 1, 0, 0, 1 } },
    };
    char header[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_archive *a = NULL;
        const float *data = NULL;
        int32_t rank = -1;
        int64_t shape[GM_MAX_RANK] = { 0 }, four[1] = { 4 };
        float copy[4];
        snprintf(header, sizeof header,
                 "{\"t\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%d]}}", cases[i].type,
                 (int)(4 * cases[i].width));
        support_ok(ctx, open_made(&a, header, cases[i].bytes, 4 * cases[i].width));
        support_ok(ctx, gm_archive_get(&rank, &data, a, "t", shape));
        ck_assert(rank == 1 && shape[0] == 4);
        for (int j = 0; j < 4; j++)
            ck_assert_msg(data[j] == cases[i].values[j], "%s: value %d is %a, not %a",
                          cases[i].type, j, (double)data[j], (double)cases[i].values[j]);
        support_ok(ctx, gm_archive_get_into(a, "t", 1, four, copy));
        ck_assert(!memcmp(copy, data, sizeof copy));
        gm_archive_release(a);
    }
    static const char *const refused[] = { "F8_E4M3", "F8_E5M2", "F4" };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        gm_archive *a = NULL;
        const float *data = weight;
        snprintf(header, sizeof header,
                 "{\"t\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,4]}}", refused[i]);
        support_ok(ctx, open_made(&a, header, "\0\0\0\0", 4));
        support_fails(ctx, gm_archive_get(NULL, &data, a, "t", NULL), GM_E_UNSUPPORTED, refused[i]);
        ck_assert_ptr_null(data);
        gm_archive_release(a);
    }
}
END_TEST

/* Rows and labels as other programs store them become a dataset. */
START_TEST(rows_and_labels)
{
    static const char header[] =
        "{\"y\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
        "\"x\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[16,28]}}";
    static const char bytes[] =
        "\7\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0\x3c\0\x40\0\x42\0\xbc\0\0\0\x38";
    const int64_t all[2] = { 0, 1 };
    const float *data;
    int32_t rank;
    int64_t shape[GM_MAX_RANK], classes[2];
    float values[6];
    gm_archive *a = NULL;
    gm_dataset *x = NULL, *y = NULL;
    support_ok(ctx, open_made(&a, header, bytes, sizeof bytes - 1));
    support_ok(ctx, gm_archive_get(&rank, &data, a, "x", shape));
    support_ok(ctx, gm_dataset_from_memory(&x, ctx, rank, shape, data));
    support_ok(ctx, gm_archive_get(&rank, &data, a, "y", shape));
    support_ok(ctx, gm_dataset_from_memory(&y, ctx, rank, shape, data));
    gm_archive_release(a);
    support_ok(ctx, gm_dataset_attach_labels(x, y));
    support_ok(ctx, gm_dataset_read_labels(x, all, 2, classes));
    ck_assert(classes[0] == 7 && classes[1] == 3);
    support_ok(ctx, gm_dataset_read(x, all, 2, 0, values));
    ck_assert(values[1] == 2 && values[3] == -1 && values[5] == 0.5f);
    gm_dataset_release(y);
    gm_dataset_release(x);
}
END_TEST

/* What is no safetensors file is called what it is. */
START_TEST(other_formats)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *kind;
    } cases[] = {
#define CASE(bytes, kind) { bytes, sizeof(bytes) - 1, kind }
        CASE("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n", "git-LFS"),
        CASE("PK\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0archive/data.pkl", "zip archive"),
        CASE("\x80\2\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "Python pickle"),
        CASE("\x80\4\x95\x0b\0\0\0\0\0\0\0]\x94(K\1K\2e.", "Python pickle"),
        CASE("\x80\2K\1.", "Python pickle"),
        CASE("<!doctype HTML>\n<title>Not found</title>\n", "HTML"),
        CASE("\x1f\x8b\x08\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0", "gzip"),
        CASE("\x89HDF\r\n\x1a\n\0\0\0\0", "HDF5"),
        CASE("GGUF\3\0\0\0\0\0\0\0", "GGUF"),
        CASE("\0\0\x08\3\0\0\xea\x60\0\0\0\x1c\0\0\0\x1c", "IDX"),
#undef CASE
        { "", 0, "empty file" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_archive *a = (gm_archive *)&folder;
        support_file_write(file, cases[i].bytes, cases[i].count);
        support_fails(ctx, gm_archive_open(&a, ctx, file), GM_E_FORMAT, cases[i].kind);
        ck_assert_ptr_null(a);
        ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "model.safetensors"));
        ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "expected a safetensors file"));
    }
    /* A header of 640 bytes in a file cut short is no pickle, though it begins like one. */
    gm_archive *a = NULL;
    support_file_write(file, "\x80\2\0\0\0\0\0\0{\"a\":", 13);
    support_fails(ctx, gm_archive_open(&a, ctx, file), GM_E_FORMAT,
                  "no safetensors file, or cut short: the header's length is 640");
}
END_TEST

#define T(shape, span) "{\"t\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" span "}}"

START_TEST(files_that_lie)
{
    static const struct {
        const char *header;
        gm_status status;
        const char *text;
    } cases[] = {
        { "", GM_E_FORMAT, "does not start with {" },
        { " {}", GM_E_FORMAT, "does not start with {" },
        { "[1]", GM_E_FORMAT, "does not start with {" },
        { "{", GM_E_FORMAT, "well-formed" },
        { "{} x", GM_E_FORMAT, "well-formed" },
        { "{\"t\":{\"dtype\":\"F32\",}}", GM_E_FORMAT,
          "well-formed JSON: at byte 20, expected a key" },
        { "{\"t\" {}}", GM_E_FORMAT, "well-formed JSON: at byte 5, expected a colon" },
        { "{\"__metadata__\":{\"a\":\"\\ud800\"}}", GM_E_FORMAT, "well-formed" },
        { "{\"__metadata__\":{\"a\":x}}", GM_E_FORMAT, "well-formed" },
        { "{\"a\":\xff}", GM_E_FORMAT, "well-formed" },
        { "{\"\xc3\":{}}", GM_E_FORMAT, "well-formed" },
        { "{\"a\\u0000b\":{}}", GM_E_FORMAT, "well-formed" },
        { "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"\\u0074\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[8,8]}}",
          GM_E_FORMAT, "tensor t: is there twice (duplicate)" },
        { "{\"t\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", GM_E_FORMAT,
          "tensor t: dtype is there twice (duplicate)" },
        { "{\"t\":{\"x\":1,\"\\u0078\":2}}", GM_E_FORMAT, "x is there twice (duplicate)" },
        { "{\"__metadata__\":{},\"__metadata__\":{}}", GM_E_FORMAT,
          "__metadata__ is there twice (duplicate)" },
        { "{\"t\":{\"a\":{}}}", GM_E_FORMAT, "well-formed JSON: at byte 10, expected no object" },
        { "{\"t\":{\"0\":0,\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,"
          "\"9\":0,\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0}}",
          GM_E_FORMAT, "tensor t: has more than 16 members" },
        { "{\"t\":{\"0123456789012345678901234567890123456789012345678901234567890123\":0}}",
          GM_E_FORMAT, "tensor t: a member's name is over 63 bytes" },
        { "{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", GM_E_FORMAT, "uplicate" },
        { "{\"__metadata__\":[]}", GM_E_FORMAT, "not an object" },
        { "{\"__metadata__\":{\"a\":1}}", GM_E_FORMAT, "\"a\" is not a string" },
        { "{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", GM_E_FORMAT, "empty" },
        { "{\"t\":3}", GM_E_FORMAT, "tensor t: not an object" },
        { "{\"t\":{}}", GM_E_FORMAT, "dtype" },
        { "{\"t\":{\"dtype\":7}}", GM_E_FORMAT, "dtype" },
        { "{\"t\":{\"dtype\":\"\"}}", GM_E_FORMAT, "dtype" },
        { "{\"t\":{\"dtype\":\"f 32\"}}", GM_E_FORMAT, "dtype" },
        { "{\"t\":{\"dtype\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}", GM_E_FORMAT, "dtype" },
        { "{\"t\":{\"dtype\":\"F32\"}}", GM_E_FORMAT, "shape" },
        { "{\"t\":{\"dtype\":\"F32\",\"shape\":[2]}}", GM_E_FORMAT, "data_offsets" },
        { T("2", "[0,8]"), GM_E_FORMAT, "shape is not an array" },
        { T("[2.0]", "[0,8]"), GM_E_FORMAT, "shape holds" },
        { T("[-2]", "[0,8]"), GM_E_FORMAT, "shape holds" },
        { T("[\"2\"]", "[0,8]"), GM_E_FORMAT, "shape holds" },
        { T("[1,1,1,1,1,1,2]", "[0,8]"), GM_E_UNSUPPORTED, "7 axes" },
        { T("[4611686018427387904,4]", "[0,8]"), GM_E_FORMAT, "overflows" },
        { T("[4611686018427387904]", "[0,8]"), GM_E_FORMAT, "do not fit" },
        { T("[99999999999999999999]", "[0,8]"), GM_E_FORMAT, "shape holds" },
        { T("[2]", "[0]"), GM_E_FORMAT, "two whole numbers" },
        { T("[2]", "[0,8,9]"), GM_E_FORMAT, "two whole numbers" },
        { T("[2]", "[0.0,8]"), GM_E_FORMAT, "two whole numbers" },
        { T("[2]", "{}"), GM_E_FORMAT, "at byte 47, expected no object" },
        { T("[2]", "[-8,0]"), GM_E_FORMAT, "[-8, 0], the file has 8" },
        { T("[2]", "[8,0]"), GM_E_FORMAT, "[8, 0]" },
        { T("[3]", "[0,12]"), GM_E_FORMAT, "[0, 12]" },
        { T("[2]", "[0,9223372036854775807]"), GM_E_FORMAT, "the file has 8" },
        { T("[1]", "[0,8]"), GM_E_FORMAT, "do not fit" },
        { T("[1]", "[0,4]"), GM_E_FORMAT, "4 bytes at its end" },
        { T("[1]", "[4,8]"), GM_E_FORMAT, "a hole" },
        { T("[0]", "[4,4]"), GM_E_FORMAT, "a hole" },
        { "{}", GM_E_FORMAT, "8 bytes at its end" },
        { "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
          GM_E_FORMAT, "overlaps" },
        { "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
          GM_E_FORMAT, "overlaps" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_archive *a = (gm_archive *)&folder;
        support_fails(ctx, open_made(&a, cases[i].header, weight, 8), cases[i].status,
                      cases[i].text);
        ck_assert_ptr_null(a);
        ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "model.safetensors"));
    }
    /* Nesting without end, which recursion must survive. */
    static char deep[60000];
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "{\"a\":", 5);
    gm_archive *a = NULL;
    support_fails(ctx, open_made(&a, deep, weight, 8), GM_E_FORMAT, "tensor a: not an object");
    memcpy(deep, "{\"a\":{\"shape\":", 14);
    support_fails(ctx, open_made(&a, deep, weight, 8), GM_E_FORMAT, "well-formed JSON");
    /* Brackets in names and texts are letters like others. */
    support_ok(ctx,
               open_made(&a,
                         "{\"__metadata__\":{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[\"}}",
                         NULL, 0));
    gm_archive_release(a);
}
END_TEST

START_TEST(files_cut_short)
{
    gm_archive *a = NULL;
    static const uint8_t lengths[][8] = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
                                          { 0, 0, 0, 0, 0, 0, 0, 0x80 },
                                          { 1 } };
    for (size_t i = 0; i < 3; i++) {
        support_file_write(file, lengths[i], 8);
        support_fails(ctx, gm_archive_open(&a, ctx, file), GM_E_FORMAT, "header's length is");
    }
    support_file_write(file, lengths, 7);
    support_fails(ctx, gm_archive_open(&a, ctx, file), GM_E_FORMAT, "holds 7 bytes");
    support_file_write(file, lengths, 0);
    support_fails(ctx, gm_archive_open(&a, ctx, file), GM_E_FORMAT, "empty file");
    ck_assert_int_eq(unlink(file), 0);
    support_fails(ctx, gm_archive_open(&a, ctx, file), GM_E_IO, "cannot be opened");
    support_fails(ctx, gm_archive_open(&a, ctx, folder), GM_E_IO, "is a directory");
    ck_assert_ptr_null(a);
}
END_TEST

/* Bytes changed and cut off at random: a status or success, never anything else, and never memory
 * beyond the file's. */
START_TEST(mutations)
{
    static uint8_t good[4096], bad[4096];
    gm_archive *a = sample();
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_release(a);
    const size_t size = read_file(file, good, sizeof good);
    uint64_t state = 1;
    int opened = 0, refused = 0;
    for (int i = 0; i < 2000; i++) {
        size_t n = size;
        memcpy(bad, good, size);
        for (int j = 0; j < 1 + i % 3; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const size_t at = (size_t)(state >> 33) % size;
            bad[at] = (uint8_t)(state >> 25);
        }
        if (i % 2) (void)support_forget_checksums(bad, n);
        if (i % 5 == 0) n = (size_t)(state >> 40) % size;
        support_file_write(file, bad, n);
        a = NULL;
        const gm_status s = gm_archive_open(&a, ctx, file);
        if (s) {
            ck_assert(s == GM_E_FORMAT || s == GM_E_UNSUPPORTED);
            ck_assert_ptr_null(a);
            refused++;
            continue;
        }
        opened++;
        for (int64_t t = 0; t < gm_archive_tensor_count(a); t++) {
            const float *data;
            const void *bytes;
            size_t m;
            float sum = 0;
            int32_t rank;
            int64_t shape[GM_MAX_RANK], count = 1;
            if (!gm_archive_get(&rank, &data, a, gm_archive_tensor_name(a, t), shape)) {
                for (int32_t k = 0; k < rank; k++) count *= shape[k];
                for (int64_t k = 0; k < count; k++) sum += data[k];
            }
            (void)sum;
            if (!gm_archive_get_bytes(&bytes, &m, a, gm_archive_tensor_name(a, t)))
                ck_assert_uint_lt(m, size);
        }
        gm_archive_release(a);
    }
    ck_assert_int_gt(opened, 50); /* data bytes may change where no checksum tells */
    ck_assert_int_gt(refused, 500);
    gm_memory_counters m;
    gm_context_memory(&m, ctx);
    ck_assert_uint_lt(m.peak_bytes, empty_bytes + 100000);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *suite = suite_create("archive: files of others");
    TCase *tc = tcase_create("foreign");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, foreign_files);
    tcase_add_test(tc, element_types);
    tcase_add_test(tc, rows_and_labels);
    tcase_add_test(tc, other_formats);
    tcase_add_test(tc, files_that_lie);
    tcase_add_test(tc, files_cut_short);
    tcase_add_test(tc, mutations);
    suite_add_tcase(suite, tc);
    return suite;
}
