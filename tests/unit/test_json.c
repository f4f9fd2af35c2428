/* test_json.c - the strict reader of JSON: what RFC 8259 allows, what it does not, and where it
 * stops. */
#include "io/json.h"
#include "support.h"

/* The text as one value, in a block of its own size, so that a sanitizer sees a read past it. */
static const char *read_value(const char *text, size_t size, int64_t *at)
{
    char *copy = malloc(size + !size);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, size);
    gm_json j = { copy, copy, copy + size, NULL, 0 };
    if (gm_json_skip(&j)) (void)gm_json_end(&j);
    *at = j.at - j.start;
    free(copy);
    return j.wrong;
}

#define CASE(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

START_TEST(allowed)
{
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
        CASE("0"),
        CASE(" -0 "),
        CASE("12"),
        CASE("-1.5"),
        CASE("1e5"),
        CASE("1E+05"),
        CASE("0.0e-0"),
        CASE("1e999999"),
        CASE("123456789012345678901234567890"),
        CASE("true"),
        CASE("\tfalse\n"),
        CASE("\r\nnull "),
        CASE("\"\""),
        CASE("\"a\""),
        CASE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        CASE("\"\\u0041\\u00e4\\u20AC\\ud83d\\uDE00\\uffff\""),
        CASE("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\x7f\""),
        CASE("[]"),
        CASE("[ ]"),
        CASE("[1]"),
        CASE("[1, \"2\", [], [[3]], null ]"),
        CASE("[[[[[[[[0]]]]]]]]"),
        CASE("[\"[\", \"]\", \"\\\"]\"]"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t at;
        const char *wrong = read_value(cases[i].text, cases[i].size, &at);
        ck_assert_msg(!wrong, "%s: expected %s at %lld", cases[i].text, wrong, (long long)at);
    }
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *text;
        size_t size;
        int64_t at; /* where it stops */
        const char *expected;
    } cases[] = {
#define BAD(text, at, expected) { text, sizeof(text) - 1, at, expected }
        BAD("", 0, "a value"),
        BAD(" ", 1, "a value"),
        BAD("x", 0, "a value"),
        BAD("'a'", 0, "a value"),
        BAD("NaN", 0, "a value"),
        BAD("Infinity", 0, "a value"),
        BAD("-Infinity", 1, "a number"),
        BAD("-", 1, "a number"),
        BAD("+1", 0, "a value"),
        BAD(".5", 0, "a value"),
        BAD("01", 1, "nothing but blanks"),
        BAD("-01", 2, "nothing but blanks"),
        BAD("0x10", 1, "nothing but blanks"),
        BAD("1.", 2, "a digit"),
        BAD("1.e3", 2, "a digit"),
        BAD("1e", 2, "a digit"),
        BAD("1e+", 3, "a digit"),
        BAD("1 2", 2, "nothing but blanks"),
        BAD("1,", 1, "nothing but blanks"),
        BAD("tru", 0, "a value"),
        BAD("nul", 0, "a value"),
        BAD("truex", 4, "nothing but blanks"),
        BAD("True", 0, "a value"),
        BAD("\xef\xbb\xbf"
            "1",
            0, "a value"), /* a byte order mark */
        BAD("1\0", 1, "nothing but blanks"),
        BAD("1\f", 1, "nothing but blanks"),
        BAD("1 // x", 2, "nothing but blanks"),
        BAD("\"", 1, "the end of a string"),
        BAD("\"a", 2, "the end of a string"),
        BAD("\"a\\\"", 4, "the end of a string"),
        BAD("\"a\nb\"", 2, "no control character"),
        BAD("\"a\0b\"", 2, "no control character"),
        BAD("\"\t\"", 1, "no control character"),
        BAD("\"\\", 2, "after the backslash"),
        BAD("\"\\x41\"", 2, "after the backslash"),
        BAD("\"\\'\"", 2, "after the backslash"),
        BAD("\"\\0\"", 2, "after the backslash"),
        BAD("\"\\u\"", 2, "four digits"),
        BAD("\"\\u12\"", 2, "four digits"),
        BAD("\"\\u123", 2, "four digits"),
        BAD("\"\\u00g0\"", 2, "four digits"),
        BAD("\"\\u-001\"", 2, "four digits"),
        BAD("\"\\u0000\"", 2, "not 0"),
        BAD("\"\\ud800\"", 2, "four digits"),
        BAD("\"\\udc00\"", 2, "four digits"),
        BAD("\"\\ud800\\u0041\"", 2, "four digits"),
        BAD("\"\\ud800\\ud800\"", 2, "four digits"),
        BAD("\"\\udc00\\ud800\"", 2, "four digits"),
        BAD("\"\\ud800\\", 2, "four digits"),
        BAD("\"\\ud800\\udc0\"", 2, "four digits"),
        BAD("\"\x80\"", 1, "UTF-8"),
        BAD("\"\xc3\"", 1, "UTF-8"),
        BAD("\"\xc3", 1, "UTF-8"),
        BAD("\"\xf0\x9f\x98", 1, "UTF-8"),
        BAD("\"\xc0\xaf\"", 1, "UTF-8"),     /* overlong */
        BAD("\"\xed\xa0\x80\"", 1, "UTF-8"), /* half of a pair */
        BAD("\"\xf4\x90\x80\x80\"", 1, "UTF-8"),
        BAD("\"\xff\"", 1, "UTF-8"),
        BAD("[", 1, "a value"),
        BAD("[1", 2, "a comma or ]"),
        BAD("[1,", 3, "a value"),
        BAD("[1,]", 3, "a value"),
        BAD("[,1]", 1, "a value"),
        BAD("[1 2]", 3, "a comma or ]"),
        BAD("[1}", 2, "a comma or ]"),
        BAD("[1:2]", 2, "a comma or ]"),
        BAD("]", 0, "a value"),
        BAD("[]]", 2, "nothing but blanks"),
        BAD("[[[[[[[[[0]]]]]]]]]", 8, "at most 8 arrays"),
        BAD("{}", 0, "no object"),
        BAD("[{}]", 1, "no object"),
#undef BAD
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t at;
        const char *wrong = read_value(cases[i].text, cases[i].size, &at);
        ck_assert_msg(wrong && strstr(wrong, cases[i].expected) && at == cases[i].at,
                      "case %zu, %s: expected %s at %lld, not %s at %lld", i, cases[i].text, wrong,
                      (long long)at, cases[i].expected, (long long)cases[i].at);
    }
}
END_TEST

/* Objects, and a walk over them. */
START_TEST(objects)
{
    static const struct {
        const char *text;
        int64_t members; /* -1: refused */
    } cases[] = {
        { "{}", 0 },          { " { } ", 0 },
        { "{\"a\":1}", 1 },   { "{\"a\" : [1,2] ,\n\"b\":\"c\"}", 2 },
        { "{\"\":0}", 1 },    { "{", -1 },
        { "{\"a\"", -1 },     { "{\"a\":", -1 },
        { "{\"a\":1", -1 },   { "{\"a\":1,", -1 },
        { "{\"a\":1,}", -1 }, { "{,\"a\":1}", -1 },
        { "{\"a\" 1}", -1 },  { "{\"a\",1}", -1 },
        { "{a:1}", -1 },      { "{1:1}", -1 },
        { "{null:1}", -1 },   { "{\"a\":1 \"b\":2}", -1 },
        { "{\"a\":1]", -1 },  { "{\"a\":1}}", -1 },
        { "[]", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        gm_json j = { text, text, text + strlen(text), NULL, 0 };
        gm_json_string key;
        int64_t members = 0;
        (void)gm_json_enter(&j, '{');
        while (gm_json_more(&j, '}')) {
            (void)gm_json_key(&j, &key);
            members += gm_json_skip(&j);
        }
        (void)gm_json_end(&j);
        ck_assert_msg((j.wrong ? -1 : members) == cases[i].members, "%s: %lld members, expected %s",
                      text, (long long)members, j.wrong ? j.wrong : "no fault");
    }
}
END_TEST

START_TEST(decoded)
{
    static const struct {
        const char *text, *meant;
    } cases[] = {
        { "\"\"", "" },
        { "\"plain\"", "plain" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
        { "\"\\u0041\\u007f\\u0080\\u07FF\\u0800\\uffff\"",
          "A\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf" },
        { "\"\\ud800\\udc00 \\ud83d\\ude00 \\udbff\\udfff\"",
          "\xf0\x90\x80\x80 \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf" },
        { "\"\xc3\xa4\xf0\x9f\x98\x80\"", "\xc3\xa4\xf0\x9f\x98\x80" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        gm_json j = { text, text, text + strlen(text), NULL, 0 };
        gm_json_string s;
        char out[64];
        ck_assert_int_eq(gm_json_string_value(&j, &s), 1);
        ck_assert_int_eq(s.length, (int64_t)strlen(cases[i].meant));
        gm_json_decode(out, &s);
        ck_assert_str_eq(out, cases[i].meant);
        ck_assert(gm_json_end(&j));
    }
}
END_TEST

START_TEST(numbers)
{
    static const struct {
        const char *text;
        int whole;
        int64_t value;
    } cases[] = {
        { "0", 1, 0 },
        { "-0", 1, 0 },
        { "7", 1, 7 },
        { "-1234567890123", 1, -1234567890123 },
        { "9223372036854775807", 1, INT64_MAX },
        { "-9223372036854775808", 1, INT64_MIN },
        { "9223372036854775808", 0, 0 },
        { "-9223372036854775809", 0, 0 },
        { "18446744073709551616", 0, 0 },
        { "99999999999999999999999999999999999999999", 0, 0 },
        { "1.0", 0, 0 },
        { "1e2", 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        gm_json j = { text, text, text + strlen(text), NULL, 0 };
        int64_t value;
        int whole;
        ck_assert_int_eq(gm_json_number(&j, &value, &whole), 1);
        ck_assert_msg(whole == cases[i].whole && (!whole || value == cases[i].value), "%s", text);
        ck_assert(gm_json_end(&j));
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *suite = suite_create("json");
    TCase *tc = tcase_create("json");
    tcase_add_test(tc, allowed);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, objects);
    tcase_add_test(tc, decoded);
    tcase_add_test(tc, numbers);
    suite_add_tcase(suite, tc);
    return suite;
}
