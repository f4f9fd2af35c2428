/* json.h - JSON (RFC 8259) read where it lies, strictly, without memory: a place in the text that
 * moves forward over one value after the other.
 *
 *     if (!gm_json_enter(&j, '{')) ...
 *     while (gm_json_more(&j, '}')) {
 *         gm_json_key(&j, &key);
 *         ... exactly one value ...
 *     }
 *     if (j.wrong) ...
 *
 * The first thing that is wrong stays in `wrong`; from then on every function returns 0. */
#ifndef GM_IO_JSON_H
#define GM_IO_JSON_H

#include <stdint.h>

/* How deep arrays in arrays may be. */
#define GM_JSON_DEEPEST 8

typedef struct gm_json {
    const char *start, *at, *end;
    const char *wrong; /* what was expected at `at`; NULL while all is well */
    int begun;         /* in the array or object entered last: something has been read */
} gm_json;

/* A string as it lies in the text, known to be well-formed. */
typedef struct gm_json_string {
    const char *at, *end; /* between its quotes */
    int64_t length;       /* in bytes, once decoded */
} gm_json_string;

/* What the next value is: one of { [ " t f n, 0 for a number, ! for none of them. */
char gm_json_next(gm_json *j);
/* Into an array, '[', or an object, '{'. */
int gm_json_enter(gm_json *j, char bracket);
/* 1: another element or key follows. 0: the closing bracket came and is behind, or see `wrong`. */
int gm_json_more(gm_json *j, char bracket);
/* A key and its colon. Whether it is there twice is for the caller to see. */
int gm_json_key(gm_json *j, gm_json_string *out);
/* A string: UTF-8 without overlong forms, no raw control characters, no lone surrogates, no
 * \u0000. */
int gm_json_string_value(gm_json *j, gm_json_string *out);
/* A number; *whole is 1 when it is written as a whole one and fits *out. */
int gm_json_number(gm_json *j, int64_t *out, int *whole);
/* Past any value that holds no object. */
int gm_json_skip(gm_json *j);
/* Nothing but blanks is left. */
int gm_json_end(gm_json *j);

/* Writes s->length bytes and a 0. */
void gm_json_decode(char *out, const gm_json_string *s);

#endif
