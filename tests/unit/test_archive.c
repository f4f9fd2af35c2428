/* test_archive.c - archives: round trips, the format as a stranger reads it, arguments, disks
 * that are full. */
#include <locale.h>
#include <signal.h>
#include <sys/resource.h>

#include "archives.h"
#include "base/number.h"
#include "base/utf8.h"

START_TEST(round_trip)
{
    gm_archive *a = sample();
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_release(a);
    ck_assert_int_eq(files_in_folder(), 1);
    support_ok(ctx, gm_archive_open(&a, ctx, file));
    ck_assert_ptr_eq(gm_archive_context(a), ctx);
    ck_assert_int_eq(gm_archive_tensor_count(a), 5);
    static const char *const names[] = { "a.state", "bias", "decoder.weight", "empty", "scalar" };
    for (int i = 0; i < 5; i++) ck_assert_str_eq(gm_archive_tensor_name(a, i), names[i]);
    ck_assert_ptr_null(gm_archive_tensor_name(a, 5));
    ck_assert_ptr_null(gm_archive_tensor_name(a, -1));
    ck_assert_str_eq(gm_archive_tensor_type(a, 0), "U8");
    ck_assert_str_eq(gm_archive_tensor_type(a, 1), "F32");
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
    const float *data;
    support_ok(ctx, gm_archive_get(&rank, &data, a, "decoder.weight", shape));
    ck_assert(rank == 2 && shape[0] == 2 && shape[1] == 3);
    ck_assert_mem_eq(data, weight, sizeof weight);
    support_ok(ctx, gm_archive_get(&rank, &data, a, "scalar", NULL));
    ck_assert(rank == 0 && data[0] == 42);
    support_ok(ctx, gm_archive_get(&rank, NULL, a, "empty", shape));
    ck_assert(rank == 2 && shape[0] == 0 && shape[1] == 4);
    float out[6];
    support_ok(ctx, gm_archive_get_into(a, "decoder.weight", 2, (const int64_t[]){ 2, 3 }, out));
    ck_assert_mem_eq(out, weight, sizeof weight);
    const void *bytes;
    size_t size;
    support_ok(ctx, gm_archive_get_bytes(&bytes, &size, a, "a.state"));
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(bytes, "\1\2\3\4\5", 5);
    const char *text;
    int64_t latent;
    double rate;
    support_ok(ctx, gm_archive_get_text(&text, a, "family"));
    ck_assert_str_eq(text, "vae");
    support_ok(ctx, gm_archive_get_text(&text, a, "odd"));
    ck_assert_str_eq(text, "q\" b\\ n\n t\t \x01 \xc3\xa4 \xf0\x9f\x98\x80");
    support_ok(ctx, gm_archive_get_int(&latent, a, "latent"));
    ck_assert_int_eq(latent, 20);
    support_ok(ctx, gm_archive_get_real(&rate, a, "rate"));
    ck_assert(rate == 1e-3);
    ck_assert(gm_archive_has(a, "rate") && !gm_archive_has(a, "rat"));
    ck_assert(gm_archive_has_tensor(a, "bias") && !gm_archive_has_tensor(a, "family"));
    ck_assert_int_eq(gm_archive_text_count(a), 4);
    ck_assert_str_eq(gm_archive_text_key(a, 0), "family");
    ck_assert_ptr_null(gm_archive_text_key(a, 4));
    /* What was read can be added to and written again. */
    support_ok(ctx, gm_archive_put(a, "b", 0, NULL, weight));
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_retain(a);
    gm_archive_release(a);
    gm_archive_release(a);
    support_ok(ctx, gm_archive_open(&a, ctx, file));
    ck_assert_int_eq(gm_archive_tensor_count(a), 6);
    gm_archive_release(a);
}
END_TEST

START_TEST(same_content_same_bytes)
{
    static uint8_t x[4096], y[4096];
    gm_archive *a = sample(), *b = NULL;
    support_ok(ctx, gm_archive_write(a, file));
    const size_t n = read_file(file, x, sizeof x);
    support_ok(ctx, gm_archive_create(&b, ctx));
    /* The other way round. */
    for (int64_t i = gm_archive_text_count(a) - 1; i >= 0; i--) {
        const char *key = gm_archive_text_key(a, i), *text;
        support_ok(ctx, gm_archive_get_text(&text, a, key));
        support_ok(ctx, gm_archive_set_text(b, key, "first"));
        support_ok(ctx, gm_archive_set_text(b, key, text));
    }
    for (int64_t i = gm_archive_tensor_count(a) - 1; i > 0; i--) {
        int32_t rank;
        int64_t shape[GM_MAX_RANK];
        const float *data;
        support_ok(ctx, gm_archive_get(&rank, &data, a, gm_archive_tensor_name(a, i), shape));
        support_ok(ctx, gm_archive_put(b, gm_archive_tensor_name(a, i), rank, shape, data));
    }
    support_ok(ctx, gm_archive_put_bytes(b, "a.state", "\1\2\3\4\5", 5));
    support_ok(ctx, gm_archive_write(b, file));
    ck_assert_uint_eq(read_file(file, y, sizeof y), n);
    ck_assert_mem_eq(x, y, n);
    gm_archive_release(a);
    gm_archive_release(b);
    support_ok(ctx, gm_archive_open(&a, ctx, file));
    support_ok(ctx, gm_archive_write(a, file)); /* read and written: the same again */
    ck_assert_uint_eq(read_file(file, y, sizeof y), n);
    ck_assert_mem_eq(x, y, n);
    gm_archive_release(a);
    /* An empty one is a file too. */
    support_ok(ctx, gm_archive_create(&a, ctx));
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_release(a);
    ck_assert_uint_eq(read_file(file, y, sizeof y), 16);
    ck_assert_mem_eq(y, "\x08\0\0\0\0\0\0\0{}      ", 16);
    support_ok(ctx, gm_archive_open(&a, ctx, file));
    ck_assert_int_eq(gm_archive_tensor_count(a), 0);
    gm_archive_release(a);
}
END_TEST

/* The whole file in memory: the same bytes, and an archive over them copies nothing. */
START_TEST(images)
{
    static uint8_t x[4096];
    gm_archive *a = sample(), *b = NULL;
    void *image;
    size_t count;
    support_ok(ctx, gm_archive_write(a, file));
    support_ok(ctx, gm_archive_image(&image, &count, a));
    ck_assert_uint_eq(read_file(file, x, sizeof x), count);
    ck_assert_mem_eq(x, image, count);
    gm_archive_release(a);
    support_ok(ctx, gm_archive_open_image(&b, ctx, "image", image, count));
    const float *data;
    const void *bytes;
    size_t size;
    support_ok(ctx, gm_archive_get(NULL, &data, b, "decoder.weight", NULL));
    ck_assert_mem_eq(data, weight, sizeof weight);
    ck_assert((const char *)data > (char *)image && (const char *)data < (char *)image + count);
    support_ok(ctx, gm_archive_get_bytes(&bytes, &size, b, "a.state"));
    ck_assert_ptr_eq(bytes, (char *)image + count - 5);
    gm_archive_release(b);
    support_fails(ctx, gm_archive_open_image(&b, ctx, "image", image, count - 1), GM_E_FORMAT,
                  "image");
    ck_assert_ptr_null(b);
    /* At an odd address the values are a copy. */
    memcpy(x + 1, image, count);
    support_ok(ctx, gm_archive_open_image(&b, ctx, "image", x + 1, count));
    support_ok(ctx, gm_archive_get(NULL, &data, b, "decoder.weight", NULL));
    ck_assert_mem_eq(data, weight, sizeof weight);
    gm_archive_release(b);
    gm_memory_put(&ctx->memory, image, count);
}
END_TEST

/* --- A reader written from the format's description alone, for what a stranger would see. */

typedef struct stranger {
    const char *at, *end;
} stranger;

static void skip(stranger *s, char c)
{
    ck_assert(s->at < s->end);
    ck_assert_int_eq(*s->at, c);
    s->at++;
}

static void take_string(stranger *s, char *out)
{
    skip(s, '"');
    while (*s->at != '"') {
        ck_assert(s->at < s->end && *s->at != '\\');
        *out++ = *s->at++;
    }
    *out = '\0';
    s->at++;
}

/* CRC-32 as in the standard (ISO 3309), bit by bit. */
static uint32_t crc_of(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static long take_numbers(stranger *s, long *out)
{
    long n = 0;
    skip(s, '[');
    while (*s->at != ']') {
        char *after;
        if (n) skip(s, ',');
        out[n++] = strtol(s->at, &after, 10);
        ck_assert(after != s->at);
        s->at = after;
    }
    skip(s, ']');
    return n;
}

START_TEST(a_stranger_reads_it)
{
    static uint8_t raw[4096];
    static const struct {
        const char *name, *type;
        long rank, shape[2], bytes;
    } want[] = { { "a.state", "U8", 1, { 5, 0 }, 5 },
                 { "bias", "F32", 1, { 3, 0 }, 12 },
                 { "decoder.weight", "F32", 2, { 2, 3 }, 24 },
                 { "scalar", "F32", 0, { 0, 0 }, 4 } };
    gm_archive *a = NULL;
    const float one = 42;
    support_ok(ctx, gm_archive_create(&a, ctx));
    support_ok(ctx, gm_archive_put(a, "decoder.weight", 2, (const int64_t[]){ 2, 3 }, weight));
    support_ok(ctx, gm_archive_put_bytes(a, "a.state", "\1\2\3\4\5", 5));
    support_ok(ctx, gm_archive_put(a, "bias", 1, (const int64_t[]){ 3 }, weight));
    support_ok(ctx, gm_archive_put(a, "scalar", 0, NULL, &one));
    support_ok(ctx, gm_archive_set_text(a, "format", "gm"));
    support_ok(ctx, gm_archive_set_int(a, "epochs", -3));
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_release(a);
    const size_t size = read_file(file, raw, sizeof raw);

    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) length = length << 8 | raw[i];
    ck_assert_uint_eq(length % 8, 0);
    ck_assert_uint_lt(length, size);
    const uint8_t *data = raw + 8 + length;
    stranger s = { (const char *)raw + 8, (const char *)data };
    char text[64], word[64];
    skip(&s, '{');
    take_string(&s, text);
    ck_assert_str_eq(text, "__metadata__");
    skip(&s, ':');
    skip(&s, '{');
    static const char *const texts[] = { "epochs", "-3", "format", "gm", "gm.crc32", NULL };
    for (int i = 0; i < 6; i++) {
        if (i) skip(&s, i % 2 ? ':' : ',');
        take_string(&s, text);
        if (texts[i]) ck_assert_str_eq(text, texts[i]);
    }
    ck_assert_uint_eq(strlen(text), 35);
    skip(&s, '}');
    long covered = 0;
    for (int i = 0; i < 4; i++) {
        long shape[8], span[8];
        skip(&s, ',');
        take_string(&s, word);
        ck_assert_str_eq(word, want[i].name);
        skip(&s, ':');
        skip(&s, '{');
        take_string(&s, word);
        ck_assert_str_eq(word, "dtype");
        skip(&s, ':');
        take_string(&s, word);
        ck_assert_str_eq(word, want[i].type);
        skip(&s, ',');
        take_string(&s, word);
        ck_assert_str_eq(word, "shape");
        skip(&s, ':');
        ck_assert_int_eq(take_numbers(&s, shape), want[i].rank);
        for (long j = 0; j < want[i].rank; j++) ck_assert_int_eq(shape[j], want[i].shape[j]);
        skip(&s, ',');
        take_string(&s, word);
        ck_assert_str_eq(word, "data_offsets");
        skip(&s, ':');
        ck_assert_int_eq(take_numbers(&s, span), 2);
        skip(&s, '}');
        ck_assert_int_eq(span[1] - span[0], want[i].bytes);
        ck_assert(span[0] >= 0 && data + span[1] <= raw + size);
        covered += want[i].bytes;
        if (!strcmp(want[i].type, "F32")) ck_assert_int_eq(span[0] % 4, 0);
        uint32_t crc = crc_of(0, want[i].name, strlen(want[i].name) + 1);
        crc = crc_of(crc, want[i].type, strlen(want[i].type) + 1);
        for (long j = 0; j < want[i].rank; j++) {
            const uint8_t axis[8] = { (uint8_t)shape[j] };
            crc = crc_of(crc, axis, sizeof axis);
        }
        crc = crc_of(crc, data + span[0], (size_t)want[i].bytes);
        ck_assert_uint_eq(crc, strtoul(text + 9 * i, NULL, 16));
        if (i == 0) ck_assert_mem_eq(data + span[0], "\1\2\3\4\5", 5);
        if (i == 3) ck_assert_mem_eq(data + span[0], "\0\0\x28\x42", 4);   /* 42, little-endian */
        if (i == 2) ck_assert_mem_eq(data + span[0] + 4, "\0\0\0\xc0", 4); /* -2 */
    }
    skip(&s, '}');
    while (s.at < s.end) skip(&s, ' ');
    ck_assert_uint_eq((size_t)covered, size - 8 - length); /* no holes */
}
END_TEST

/* --- checksums */

static gm_status opens(const uint8_t *bytes, size_t size)
{
    gm_archive *a = NULL;
    support_file_write(file, bytes, size);
    const gm_status status = gm_archive_open(&a, ctx, file);
    gm_archive_release(a);
    return status;
}

/* A bit of a tensor, wherever, is missed by nobody; types, axes and names count as well. */
START_TEST(damaged_tensors)
{
    static uint8_t raw[4096];
    gm_archive *a = sample();
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_release(a);
    const size_t size = read_file(file, raw, sizeof raw);
    size_t header = 8;
    for (int i = 0; i < 4; i++) header += (size_t)raw[i] << 8 * i;
    for (size_t bit = 8 * header; bit < 8 * size; bit++) {
        raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
        support_fails(ctx, opens(raw, size), GM_E_FORMAT, " is damaged: its checksum is ");
        raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    raw[size - 1] ^= 1;
    support_fails(ctx, opens(raw, size), GM_E_FORMAT, "tensor a.state is damaged");
    raw[size - 1] ^= 1;
    char *text = (char *)raw;
    static const struct {
        const char *from, *to, *says;
    } cases[] = { { "\"F32\",\"shape\":[3]", "\"I32\",\"shape\":[3]", "tensor bias is damaged" },
                  { "[2,3]", "[3,2]", "tensor decoder.weight is damaged" },
                  { "\"bias\"", "\"bibs\"", "tensor bibs is damaged" },
                  { "\"gm.crc32\":\"", "\"gm.crc32\":\"z", "\"gm.crc32\" is \"z" },
                  { "\"gm.crc32\":\"", "\"gm.crc32\":\"\\", "JSON" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bad[4096];
        char *at = NULL;
        for (size_t k = 8; k < header && !at; k++)
            if (!strncmp(text + k, cases[i].from, strlen(cases[i].from))) at = text + k;
        ck_assert_ptr_nonnull(at);
        memcpy(bad, raw, size);
        memcpy(bad + (at - text), cases[i].to, strlen(cases[i].to));
        support_fails(ctx, opens(bad, size), GM_E_FORMAT, cases[i].says);
    }
    /* Files of others have none. */
    ck_assert(support_forget_checksums(raw, size));
    raw[size - 1] ^= 1;
    support_ok(ctx, opens(raw, size));
}
END_TEST

/* They are of the file, and not among the archive's texts. */
START_TEST(checksums_are_no_texts)
{
    gm_archive *a = sample();
    support_fails(ctx, gm_archive_set_text(a, "gm.crc32", "00000000"), GM_E_INVALID,
                  "gm.crc32 belongs to the format");
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_release(a);
    support_ok(ctx, gm_archive_open(&a, ctx, file));
    ck_assert(!gm_archive_has(a, "gm.crc32"));
    ck_assert_int_eq(gm_archive_text_count(a), 4);
    gm_archive_release(a);
    /* Of so many tensors, no more and no fewer. */
    static const char *const wrong[] = { "", "00000000 00000000", "0000000", "000000000" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char raw[256] = { 0 };
        const int n = snprintf(raw + 8, sizeof raw - 8,
                               "{\"__metadata__\":{\"gm.crc32\":\"%s\"},\"t\":{\"dtype\":\"U8\","
                               "\"shape\":[0],\"data_offsets\":[0,0]}}",
                               wrong[i]);
        raw[0] = (char)n;
        support_fails(ctx, opens((uint8_t *)raw, 8 + (size_t)n), GM_E_FORMAT,
                      "expected 8 digits for each of 1 tensors");
    }
}
END_TEST

/* --- numbers */

START_TEST(numbers)
{
    static const double reals[] = { 0,         -0.0,     1,
                                    0.1,       1e-3,     1.0 / 3,
                                    1e300,     -5e-324,  1.7976931348623157e308,
                                    123456789, INFINITY, -INFINITY };
    gm_archive *a = NULL;
    const char *text;
    double back;
    int64_t whole;
    support_ok(ctx, gm_archive_create(&a, ctx));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        support_ok(ctx, gm_archive_set_real(a, "x", reals[i]));
        support_ok(ctx, gm_archive_get_real(&back, a, "x"));
        ck_assert(back == reals[i] && signbit(back) == signbit(reals[i]));
    }
    support_ok(ctx, gm_archive_set_real(a, "x", NAN));
    support_ok(ctx, gm_archive_get_real(&back, a, "x"));
    ck_assert(isnan(back));
    support_ok(ctx, gm_archive_set_real(a, "x", 0.1));
    support_ok(ctx, gm_archive_get_text(&text, a, "x"));
    ck_assert_str_eq(text, "0.1");
    static const int64_t ints[] = { 0, 1, -1, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        support_ok(ctx, gm_archive_set_int(a, "x", ints[i]));
        support_ok(ctx, gm_archive_get_int(&whole, a, "x"));
        ck_assert_int_eq(whole, ints[i]);
    }
    static const char *const not_ints[] = { "",
                                            "-",
                                            "1.0",
                                            " 1",
                                            "1 ",
                                            "+1",
                                            "0x10",
                                            "9223372036854775808",
                                            "-9223372036854775809",
                                            "99999999999999999999" };
    for (size_t i = 0; i < sizeof not_ints / sizeof *not_ints; i++) {
        support_ok(ctx, gm_archive_set_text(a, "x", not_ints[i]));
        support_fails(ctx, gm_archive_get_int(&whole, a, "x"), GM_E_FORMAT, "\"x\"");
        ck_assert_int_eq(whole, 0);
    }
    static const char *const not_reals[] = { "",      "-",   ".",        "1e",  "1e+",   " 1", "1 ",
                                             "0x1p3", "1,5", "infinity", "NAN", "1.2.3", "--1" };
    for (size_t i = 0; i < sizeof not_reals / sizeof *not_reals; i++) {
        support_ok(ctx, gm_archive_set_text(a, "x", not_reals[i]));
        support_fails(ctx, gm_archive_get_real(&back, a, "x"), GM_E_FORMAT, "\"x\"");
        ck_assert(back == 0.0);
    }
    static const struct {
        const char *text;
        double value;
    } others[] = { { "12", 12 }, { ".5", 0.5 }, { "5.", 5 }, { "+2", 2 }, { "-1.5E3", -1500 } };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        support_ok(ctx, gm_archive_set_text(a, "x", others[i].text));
        support_ok(ctx, gm_archive_get_real(&back, a, "x"));
        ck_assert(back == others[i].value);
    }
    gm_archive_release(a);
}
END_TEST

/* With a decimal comma, where the system has such a locale. */
START_TEST(numbers_in_another_locale)
{
    static const char *const commas[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8",
                                          "de_DE" };
    int found = 0;
    for (size_t i = 0; i < sizeof commas / sizeof *commas && !found; i++)
        found = setlocale(LC_NUMERIC, commas[i]) != NULL;
    char text[GM_NUMBER_TEXT];
    double back = 0;
    ck_assert_str_eq(gm_number_format(text, -1234.5678e-20), "-1.2345678e-17");
    ck_assert(gm_number_parse("-1.25e2", &back) && back == -125.0);
    ck_assert(!gm_number_parse("1,5", &back));
    setlocale(LC_NUMERIC, "C");
}
END_TEST

START_TEST(utf8)
{
    static const char *const good[] = { "",
                                        "abc",
                                        "\xc3\xa4",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = { "\x80",
                                       "\xc3",
                                       "\xc0\xaf",
                                       "\xc1\xbf",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xe2\x82",
                                       "a\xff",
                                       "\xc3(" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) ck_assert(gm_utf8_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) ck_assert(!gm_utf8_valid(bad[i]));
}
END_TEST

/* --- arguments */

START_TEST(bad_arguments)
{
    gm_archive *a = sample(), *none = (gm_archive *)&folder;
    const int64_t two[1] = { 2 }, minus[1] = { -1 }, huge[2] = { INT64_MAX / 2, 9 },
                  wrong[2] = { 3, 2 };
    const float *data = weight;
    float out[6] = { 7 };
    const char *text;
    const void *bytes;
    size_t size;
    support_fails(ctx, gm_archive_put(a, "bias", 1, two, weight), GM_E_INVALID,
                  "named bias already");
    support_fails(ctx, gm_archive_put(a, "", 1, two, weight), GM_E_INVALID, "empty");
    support_fails(ctx, gm_archive_put(a, "\xff", 1, two, weight), GM_E_INVALID, "UTF-8");
    support_fails(ctx, gm_archive_put(a, "__metadata__", 1, two, weight), GM_E_INVALID,
                  "__metadata__");
    support_fails(ctx, gm_archive_put(a, "new", 1, minus, weight), GM_E_INVALID, "-1");
    support_fails(ctx, gm_archive_put(a, "new", 2, huge, weight), GM_E_INVALID, "memory");
    support_fails(ctx, gm_archive_put(a, "new", 7, two, weight), GM_E_INVALID, "rank is 7");
    support_fails(ctx, gm_archive_put(a, "new", 1, NULL, weight), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_put(a, "new", 1, two, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_put(a, NULL, 1, two, weight), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_archive_put(NULL, "new", 1, two, weight), GM_E_INVALID);
    support_fails(ctx, gm_archive_put_bytes(a, "new", NULL, 1), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_put_bytes(a, "new", weight, SIZE_MAX), GM_E_INVALID, "stored");
    ck_assert_int_eq(gm_archive_tensor_count(a), 5);
    support_fails(ctx, gm_archive_get(NULL, &data, a, "nothing", NULL), GM_E_FORMAT,
                  "no tensor nothing");
    ck_assert_ptr_null(data);
    support_fails(ctx, gm_archive_get(NULL, &data, a, NULL, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_get_bytes(&bytes, &size, a, "bias"), GM_E_UNSUPPORTED,
                  "type F32");
    support_fails(ctx, gm_archive_get_bytes(&bytes, &size, a, "x"), GM_E_FORMAT, "no tensor x");
    support_fails(ctx, gm_archive_get_bytes(NULL, &size, a, "x"), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_get_into(a, "decoder.weight", 2, wrong, out), GM_E_SHAPE,
                  "decoder.weight is [2, 3], expected [3, 2]");
    support_fails(ctx, gm_archive_get_into(a, "decoder.weight", 1, two, out), GM_E_SHAPE,
                  "expected [2]");
    support_fails(ctx, gm_archive_get_into(a, "nothing", 1, two, out), GM_E_FORMAT, "nothing");
    support_fails(ctx, gm_archive_get_into(a, "bias", 1, two, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_get_into(a, "bias", -1, two, out), GM_E_INVALID, "rank is -1");
    ck_assert(out[0] == 7);
    support_fails(ctx, gm_archive_set_text(a, "", "x"), GM_E_INVALID, "empty");
    support_fails(ctx, gm_archive_set_text(a, "\xff", "x"), GM_E_INVALID, "UTF-8");
    support_fails(ctx, gm_archive_set_text(a, "family", "\xff"), GM_E_INVALID, "family");
    support_fails(ctx, gm_archive_set_text(a, "family", NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_archive_set_text(NULL, "x", "y"), GM_E_INVALID);
    ck_assert_int_eq(gm_archive_set_int(NULL, "x", 1), GM_E_INVALID);
    ck_assert_int_eq(gm_archive_set_real(NULL, "x", 1), GM_E_INVALID);
    support_ok(ctx, gm_archive_get_text(&text, a, "family"));
    ck_assert_str_eq(text, "vae");
    support_fails(ctx, gm_archive_get_text(&text, a, "nothing"), GM_E_FORMAT, "\"nothing\"");
    ck_assert_ptr_null(text);
    support_fails(ctx, gm_archive_get_int(NULL, a, "nothing"), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_get_real(NULL, a, "nothing"), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_get_text(&text, a, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_create(NULL, ctx), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_archive_create(&none, NULL), GM_E_INVALID);
    ck_assert_ptr_null(none);
    support_fails(ctx, gm_archive_open(&none, ctx, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_open(NULL, ctx, file), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_write(a, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_archive_write(NULL, file), GM_E_INVALID);
    ck_assert_int_eq(gm_archive_tensor_count(NULL), 0);
    ck_assert_int_eq(gm_archive_text_count(NULL), 0);
    ck_assert_int_eq(gm_archive_has(NULL, "x"), 0);
    ck_assert_int_eq(gm_archive_has_tensor(a, NULL), 0);
    ck_assert_ptr_null(gm_archive_tensor_name(NULL, 0));
    ck_assert_ptr_null(gm_archive_tensor_type(a, 9));
    ck_assert_ptr_null(gm_archive_context(NULL));
    gm_archive_retain(NULL);
    gm_archive_release(NULL);
    gm_archive_release(a);
}
END_TEST

/* --- writing where it cannot be done */

START_TEST(places_that_cannot_be_written)
{
    static uint8_t before[4096], after[4096];
    char path[3 * SUPPORT_PATH];
    gm_archive *a = sample();
    support_ok(ctx, gm_archive_write(a, file));
    const size_t n = read_file(file, before, sizeof before);
    ck_assert_int_eq(chmod(file, 0640), 0);
    snprintf(path, sizeof path, "%s/no/such/folder", folder);
    support_fails(ctx, gm_archive_write(a, path), GM_E_IO, "cannot be written");
    snprintf(path, sizeof path, "%s/under-a-file", file);
    support_fails(ctx, gm_archive_write(a, path), GM_E_IO, "cannot be written");
    support_fails(ctx, gm_archive_write(a, folder), GM_E_IO, "is a directory");
    support_fails(ctx, gm_archive_write(a, "/dev/null"), GM_E_IO, "not a regular file");
    support_fails(ctx, gm_archive_write(a, ""), GM_E_IO, "cannot");
    support_fails(ctx, gm_archive_write(a, "/proc/gm-test"), GM_E_IO, "cannot be written");
    ck_assert_int_eq(files_in_folder(), 1);
    support_ok(ctx, gm_archive_write(a, file));
    struct stat info;
    ck_assert_int_eq(stat(file, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0640); /* kept */
    ck_assert_uint_eq(read_file(file, after, sizeof after), n);
    ck_assert_mem_eq(before, after, n);
    if (geteuid() != 0) {
        ck_assert_int_eq(chmod(folder, 0500), 0);
        support_fails(ctx, gm_archive_write(a, file), GM_E_IO, "cannot be written");
        ck_assert_int_eq(chmod(folder, 0700), 0);
    }
    gm_archive_release(a);
}
END_TEST

/* A limit on the size of files does to write() what a full disk does, and the signal that comes
 * with it does not come. */
START_TEST(disk_is_full)
{
    static uint8_t before[4096], after[4096];
    static float much[100000];
    const int64_t count = 100000;
    struct rlimit old, tight;
    gm_archive *a = sample();
    support_ok(ctx, gm_archive_write(a, file));
    const size_t n = read_file(file, before, sizeof before);
    support_ok(ctx, gm_archive_put(a, "much", 1, &count, much));
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 50000;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const gm_status status = gm_archive_write(a, file);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_int_eq(status, GM_E_IO);
    ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "model.safetensors: cannot be written"));
    ck_assert_int_eq(files_in_folder(), 1);
    ck_assert_uint_eq(read_file(file, after, sizeof after), n);
    ck_assert_mem_eq(before, after, n);
    support_ok(ctx, gm_archive_write(a, file));
    gm_archive_release(a);
}
END_TEST

/* In the working directory, by a name without a folder. */
START_TEST(a_name_without_a_folder)
{
    char back[SUPPORT_PATH];
    gm_archive *a = sample(), *b = NULL;
    ck_assert_ptr_nonnull(getcwd(back, sizeof back));
    ck_assert_int_eq(chdir(folder), 0);
    const gm_status wrote = gm_archive_write(a, "here");
    const gm_status opened = gm_archive_open(&b, ctx, "here");
    ck_assert_int_eq(chdir(back), 0);
    support_ok(ctx, wrote);
    support_ok(ctx, opened);
    ck_assert_int_eq(files_in_folder(), 1);
    gm_archive_release(a);
    gm_archive_release(b);
}
END_TEST

/* --- memory that runs out */

typedef struct meter {
    int64_t left, held;
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

static gm_status all_of_it(gm_context *c)
{
    gm_archive *a = NULL, *b = NULL;
    const int64_t shape[1] = { 6 };
    const float *data;
    gm_status s;
    char name[16];
    if ((s = gm_archive_create(&a, c))) goto out;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%d", i);
        if ((s = gm_archive_put(a, name, 1, shape, weight))) goto out;
        if ((s = gm_archive_set_int(a, name, i))) goto out;
    }
    if ((s = gm_archive_set_text(a, "1", "changed"))) goto out;
    if ((s = gm_archive_put_bytes(a, "bytes", name, 3))) goto out;
    if ((s = gm_archive_write(a, file))) goto out;
    if ((s = gm_archive_open(&b, c, file))) goto out;
    if ((s = gm_archive_get(NULL, &data, b, "1", NULL))) goto out;
out:
    gm_archive_release(a);
    gm_archive_release(b);
    return s;
}

START_TEST(every_allocation_fails_once)
{
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        meter m = { -1, 0 };
        const gm_allocator hook = { meter_get, meter_put, &m };
        gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
        options.allocator = &hook;
        gm_context *c = NULL;
        ck_assert_int_eq(gm_context_create(&c, GM_HEADER_VERSION, &options), GM_OK);
        m.left = n;
        const gm_status s = all_of_it(c);
        ck_assert(s == GM_OK || s == GM_E_NOMEM);
        gm_context_release(c);
        ck_assert_int_eq(m.held, 0);
        ck_assert_int_le(files_in_folder(), 1);
        if (!s) break;
        failures++;
    }
    ck_assert_int_gt(failures, 100);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *suite = suite_create("archive");
    TCase *tc = tcase_create("archive");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, same_content_same_bytes);
    tcase_add_test(tc, images);
    tcase_add_test(tc, a_stranger_reads_it);
    tcase_add_test(tc, damaged_tensors);
    tcase_add_test(tc, checksums_are_no_texts);
    tcase_add_test(tc, numbers);
    tcase_add_test(tc, numbers_in_another_locale);
    tcase_add_test(tc, utf8);
    tcase_add_test(tc, bad_arguments);
    tcase_add_test(tc, places_that_cannot_be_written);
    tcase_add_test(tc, disk_is_full);
    tcase_add_test(tc, a_name_without_a_folder);
    tcase_add_test(tc, every_allocation_fails_once);
    suite_add_tcase(suite, tc);
    return suite;
}
