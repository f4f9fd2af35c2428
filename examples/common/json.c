/* json.c - the result of an example: one JSON object on one line. */
#include "json.h"

#include "message.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct json *j, const char *bytes, size_t count)
{
    if (j->failed) return;
    if (j->room - j->used < count) {
        const size_t room = (j->used + count) * 2 + 256;
        char *text = realloc(j->text, room);
        if (text == NULL) {
            j->failed = 1;
            return;
        }
        j->text = text;
        j->room = room;
    }
    memcpy(j->text + j->used, bytes, count);
    j->used += count;
}

static void put_text(struct json *j, const char *text)
{
    put(j, text, strlen(text));
}

/* Length of the UTF-8 character at s (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF), or 0. */
static size_t utf8_length(const unsigned char *s)
{
    size_t length;
    if (s[0] < 0x80) return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        length = 2;
    else if (s[0] >= 0xE0 && s[0] <= 0xEF)
        length = 3;
    else if (s[0] >= 0xF0 && s[0] <= 0xF4)
        length = 4;
    else
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
    }
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F)) return 0;
    if ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) return 0;
    return length;
}

static void put_string(struct json *j, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    put(j, "\"", 1);
    while (*s != '\0') {
        const size_t length = utf8_length(s);
        if (length == 0) {
            put_text(j, "\\ufffd");
        } else if (*s == '"' || *s == '\\') {
            const char pair[2] = { '\\', (char)*s };
            put(j, pair, 2);
        } else if (*s < 0x20 || *s == 0x7F) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*s);
            put_text(j, escape);
        } else {
            put(j, (const char *)s, length);
        }
        s += length == 0 ? 1 : length;
    }
    put(j, "\"", 1);
}

static void put_key(struct json *j, const char *key)
{
    if (!j->failed && j->used > 0 && j->text[j->used - 1] != '{') put(j, ",", 1);
    put_string(j, key);
    put(j, ":", 1);
}

void json_begin(struct json *j, const char *model, const char *dataset)
{
    memset(j, 0, sizeof *j);
    put(j, "{", 1);
    if (model != NULL) json_text(j, "model", model);
    if (dataset != NULL) json_text(j, "dataset", dataset);
}

void json_number(struct json *j, const char *key, double value)
{
    char printed[64], plain[64];
    size_t used = 0;
    int in_point = 0;
    put_key(j, key);
    if (!isfinite(value)) {
        put_text(j, "null");
        return;
    }
    snprintf(printed, sizeof printed, "%.10g", value);
    /* the locale's decimal point may be a comma, or several bytes */
    for (const char *c = printed; *c != '\0'; c++) {
        const int point = strchr("0123456789+-e", *c) == NULL;
        if (!point)
            plain[used++] = *c;
        else if (!in_point)
            plain[used++] = '.';
        in_point = point;
    }
    put(j, plain, used);
}

void json_whole(struct json *j, const char *key, int64_t value)
{
    char printed[32];
    put_key(j, key);
    snprintf(printed, sizeof printed, "%" PRId64, value);
    put_text(j, printed);
}

void json_text(struct json *j, const char *key, const char *text)
{
    put_key(j, key);
    if (text == NULL)
        put_text(j, "null");
    else
        put_string(j, text);
}

void json_flag(struct json *j, const char *key, int value)
{
    put_key(j, key);
    put_text(j, value ? "true" : "false");
}

void json_open(struct json *j, const char *key)
{
    put_key(j, key);
    put(j, "{", 1);
}

void json_close(struct json *j)
{
    put(j, "}", 1);
}

void json_data(struct json *j, const char *path, int64_t train_rows, int64_t valid_rows,
               int64_t test_rows)
{
    if (path) json_text(j, "data", path);
    json_whole(j, "train_rows", train_rows);
    json_whole(j, "valid_rows", valid_rows);
    json_whole(j, "test_rows", test_rows);
}

int json_end(struct json *j)
{
    int status = -1;
    put(j, "}\n", 2);
    if (j->failed) {
        message("out of memory for the result line");
    } else if (fwrite(j->text, 1, j->used, stdout) != j->used || fflush(stdout) != 0) {
        message("cannot write the result to stdout: %s", strerror(errno));
    } else {
        status = 0;
    }
    free(j->text);
    memset(j, 0, sizeof *j);
    return status;
}
