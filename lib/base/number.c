/* number.c - numbers as text. The C library writes and reads the locale's decimal sign, which the
 * host may change; so the sign is asked of snprintf each time and exchanged with a point. */
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 128 /* no decimal that is read needs more characters */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

const char *gm_number_format(char text[GM_NUMBER_TEXT], double value)
{
    if (isnan(value)) return strcpy(text, "nan");
    if (isinf(value)) return strcpy(text, value < 0 ? "-inf" : "inf");
    char local[GM_NUMBER_TEXT];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(local, sizeof local, "%.*g", digits, value);
        if (strtod(local, NULL) == value) break;
    }
    int at = 0;
    for (const char *p = local; *p;) {
        if (is_digit(*p) || *p == '-' || *p == '+' || *p == 'e') {
            text[at++] = *p++;
        } else {
            text[at++] = '.';
            while (*p && !is_digit(*p) && *p != 'e') p++;
        }
    }
    text[at] = '\0';
    return text;
}

static const char *skip_digits(const char *p)
{
    while (is_digit(*p)) p++;
    return p;
}

/* [-+] digits [. digits] [e [-+] digits], with a digit before or after the point; *point is where
 * the point is. */
static int is_decimal(const char *text, const char **point)
{
    const char *p = text + (*text == '-' || *text == '+'), *start = p;
    *point = NULL;
    p = skip_digits(p);
    int64_t digits = p - start;
    if (*p == '.') {
        *point = p++;
        start = p;
        p = skip_digits(p);
        digits += p - start;
    }
    if (!digits) return 0;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+') p++;
        if (!is_digit(*p)) return 0;
        p = skip_digits(p);
    }
    return *p == '\0';
}

int gm_number_parse(const char *text, double *out)
{
    static const struct {
        const char *text;
        double value;
    } words[] = { { "inf", (double)INFINITY },
                  { "-inf", -(double)INFINITY },
                  { "nan", (double)NAN } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(text, words[i].text)) {
            *out = words[i].value;
            return 1;
        }
    const char *point;
    const size_t length = strlen(text);
    if (length >= LONGEST || !is_decimal(text, &point)) return 0;
    char local[LONGEST + 16], sign[16];
    (void)snprintf(sign, sizeof sign, "%.1f", 0.5); /* "0.5", "0,5", ... */
    const size_t sign_length = strlen(sign) >= 3 ? strlen(sign) - 2 : 0;
    const size_t before = point ? (size_t)(point - text) : length;
    memcpy(local, text, before);
    if (point) {
        memcpy(local + before, sign + 1, sign_length);
        memcpy(local + before + sign_length, point + 1, length - before); /* with the end */
    } else {
        local[before] = '\0';
    }
    char *end;
    *out = strtod(local, &end);
    return *end == '\0';
}

int gm_number_parse_int(const char *text, int64_t *out)
{
    const int negative = *text == '-';
    const char *p = text + negative;
    if (!*p) return 0;
    int64_t v = 0; /* kept negative: INT64_MIN has no positive twin */
    for (; *p; p++) {
        if (!is_digit(*p)) return 0;
        const int digit = *p - '0';
        if (v < (INT64_MIN + digit) / 10) return 0;
        v = v * 10 - digit;
    }
    if (!negative && v == INT64_MIN) return 0;
    *out = negative ? v : -v;
    return 1;
}
