/* test_archive_foreign.c - archives: files of others, files that lie, files cut short or altered.
 */
#include "archives.h"

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
     * types not read. */
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
    support_fails(ctx, gm_archive_get(NULL, &data, a, "h", NULL), GM_E_UNSUPPORTED, "type F16");
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
        { "{\"a\":\xff}", GM_E_FORMAT, "well-formed" },
        { "{\"\xc3\":{}}", GM_E_FORMAT, "well-formed" },
        { "{\"a\\u0000b\":{}}", GM_E_FORMAT, "well-formed" },
        { "{\"t\":{},\"t\":{}}", GM_E_FORMAT, "uplicate" },
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
        { T("[99999999999999999999]", "[0,8]"), GM_E_FORMAT, "well-formed" },
        { T("[2]", "[0]"), GM_E_FORMAT, "two whole numbers" },
        { T("[2]", "[0,8,9]"), GM_E_FORMAT, "two whole numbers" },
        { T("[2]", "[0.0,8]"), GM_E_FORMAT, "two whole numbers" },
        { T("[2]", "{}"), GM_E_FORMAT, "two whole numbers" },
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
    support_fails(ctx, open_made(&a, deep, weight, 8), GM_E_FORMAT, "empty brackets");
    for (size_t i = 5; i < sizeof deep - 1; i++) deep[i] = i % 9 ? ' ' : '[';
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
    support_fails(ctx, gm_archive_open(&a, ctx, file), GM_E_FORMAT, "holds 0 bytes");
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
    ck_assert_int_gt(opened, 50); /* data bytes may change */
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
    tcase_add_test(tc, files_that_lie);
    tcase_add_test(tc, files_cut_short);
    tcase_add_test(tc, mutations);
    suite_add_tcase(suite, tc);
    return suite;
}
