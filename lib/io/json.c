/* json.c - a strict reader of JSON that takes no memory. */
#include "io/json.h"

#include <string.h>

#include "base/utf8.h"

static int wrong(gm_json *j, const char *expected)
{
    if (!j->wrong) j->wrong = expected;
    return 0;
}

static void skip_blanks(gm_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

/* The next character after blanks; 0 at the end, which no text has outside of strings. */
static char peek(gm_json *j)
{
    skip_blanks(j);
    return j->at < j->end ? *j->at : '\0';
}

static int take(gm_json *j, char c)
{
    if (j->at == j->end || *j->at != c) return 0;
    j->at++;
    return 1;
}

char gm_json_next(gm_json *j)
{
    const char c = peek(j);
    if (c == '-' || (c >= '0' && c <= '9')) return '0';
    return c && strchr("{[\"tfn", c) ? c : '!';
}

int gm_json_enter(gm_json *j, char bracket)
{
    if (j->wrong) return 0;
    if (peek(j) != bracket) return wrong(j, bracket == '{' ? "{" : "[");
    j->at++;
    j->begun = 0;
    return 1;
}

int gm_json_more(gm_json *j, char bracket)
{
    if (j->wrong) return 0;
    const char c = peek(j);
    if (c == bracket) {
        j->at++;
        j->begun = 1; /* in what is around it */
        return 0;
    }
    if (j->begun) {
        if (c != ',') return wrong(j, bracket == '}' ? "a comma or }" : "a comma or ]");
        j->at++;
    }
    j->begun = 1;
    return 1;
}

int gm_json_key(gm_json *j, gm_json_string *out)
{
    if (j->wrong) return 0;
    if (peek(j) != '"') return wrong(j, "a key in quotes");
    if (!gm_json_string_value(j, out)) return 0;
    if (peek(j) != ':') return wrong(j, "a colon");
    j->at++;
    return 1;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t v = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char c = p[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        v = 16 * v + digit;
    }
    return v;
}

/* What follows \u at p: a character, and how far it reaches; -1 for none or half of one. */
static int32_t escaped_character(const char *p, const char *end, int *span)
{
    const int32_t high = hex4(p, end);
    *span = 4;
    if (high < 0xd800 || high > 0xdfff) return high;
    if (high > 0xdbff || end - p < 10 || p[4] != '\\' || p[5] != 'u') return -1;
    const int32_t low = hex4(p + 6, end);
    if (low < 0xdc00 || low > 0xdfff) return -1;
    *span = 10;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The letters that stand for one character after a backslash, and those characters. */
static const char letters[] = "\"\\/bfnrt";
static const char meant[] = "\"\\/\b\f\n\r\t";

/* One escape, behind its backslash; how many bytes it is once decoded, 0 when it is none. */
static int take_escape(gm_json *j)
{
    const char c = j->at < j->end ? *j->at : '\0';
    if (c && strchr(letters, c)) {
        j->at++;
        return 1;
    }
    if (c != 'u') return wrong(j, "one of \"\\/bfnrtu after the backslash");
    int span;
    const int32_t v = escaped_character(j->at + 1, j->end, &span);
    if (v <= 0)
        return wrong(j, v ? "four digits of a character after \\u" : "a character that is not 0");
    j->at += 1 + span;
    return v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
}

int gm_json_string_value(gm_json *j, gm_json_string *out)
{
    if (j->wrong) return 0;
    if (peek(j) != '"') return wrong(j, "a string");
    j->at++;
    out->at = j->at;
    out->length = 0;
    while (j->at < j->end && *j->at != '"') {
        if (take(j, '\\')) {
            const int length = take_escape(j);
            if (!length) return 0;
            out->length += length;
            continue;
        }
        if ((unsigned char)*j->at < 0x20) return wrong(j, "no control character in a string");
        const int length = gm_utf8_length(j->at, (size_t)(j->end - j->at));
        if (!length) return wrong(j, "UTF-8");
        j->at += length;
        out->length += length;
    }
    out->end = j->at;
    return take(j, '"') ? 1 : wrong(j, "the end of a string");
}

void gm_json_decode(char *out, const gm_json_string *s)
{
    for (const char *p = s->at; p < s->end;) {
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        p++;
        if (*p != 'u') {
            *out++ = meant[strchr(letters, *p++) - letters];
            continue;
        }
        int span;
        const int32_t v = escaped_character(p + 1, s->end, &span);
        p += 1 + span;
        out += gm_utf8_encode(out, (uint32_t)v);
    }
    *out = '\0';
}

static int take_digits(gm_json *j)
{
    const char *from = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9') j->at++;
    return j->at > from;
}

int gm_json_number(gm_json *j, int64_t *out, int *whole)
{
    if (j->wrong) return 0;
    (void)peek(j);
    const int negative = take(j, '-');
    const char *from = j->at;
    *out = 0;
    *whole = 1;
    if (!take(j, '0') && !take_digits(j)) return wrong(j, "a number");
    for (const char *p = from; p < j->at; p++) { /* kept negative: INT64_MIN has no positive twin */
        const int digit = *p - '0';
        *whole = *whole && *out >= (INT64_MIN + digit) / 10;
        if (*whole) *out = *out * 10 - digit;
    }
    *whole = *whole && (negative || *out != INT64_MIN);
    if (*whole && !negative) *out = -*out;
    if (take(j, '.')) {
        *whole = 0;
        if (!take_digits(j)) return wrong(j, "a digit");
    }
    if (take(j, 'e') || take(j, 'E')) {
        *whole = 0;
        if (!take(j, '-')) (void)take(j, '+');
        if (!take_digits(j)) return wrong(j, "a digit");
    }
    return 1;
}

static int take_word(gm_json *j, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n)) return wrong(j, "a value");
    j->at += n;
    return 1;
}

/* A value that holds no others. */
static int skip_plain(gm_json *j, char kind)
{
    gm_json_string s;
    int64_t number;
    int whole;
    switch (kind) {
    case '"':
        return gm_json_string_value(j, &s);
    case 't':
        return take_word(j, "true");
    case 'f':
        return take_word(j, "false");
    case 'n':
        return take_word(j, "null");
    case '{':
        return wrong(j, "no object here");
    case '0':
        return gm_json_number(j, &number, &whole);
    default:
        return wrong(j, "a value");
    }
}

int gm_json_skip(gm_json *j)
{
    int depth = 0;
    if (j->wrong) return 0;
    do {
        const char kind = gm_json_next(j);
        if (kind == '[') {
            if (++depth > GM_JSON_DEEPEST) return wrong(j, "at most 8 arrays in each other");
            (void)gm_json_enter(j, '[');
        } else if (!skip_plain(j, kind)) {
            return 0;
        }
        while (depth && !gm_json_more(j, ']')) {
            if (j->wrong) return 0;
            depth--;
        }
    } while (depth);
    return 1;
}

int gm_json_end(gm_json *j)
{
    if (j->wrong) return 0;
    (void)peek(j);
    return j->at == j->end ? 1 : wrong(j, "nothing but blanks after the last bracket");
}
