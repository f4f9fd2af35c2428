/* csv.c - rows of numbers from a text file. */
#define _POSIX_C_SOURCE 200809L

#include "csv.h"

#include "message.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

struct reader {
    const char *path;
    struct csv *out;
    int64_t line, room; /* room: values */
};

static int add(struct reader *r, float value)
{
    struct csv *t = r->out;
    const int64_t used = t->rows * t->columns;
    if (used == r->room) {
        const int64_t room = r->room > 0 ? 2 * r->room : 1024;
        float *values = realloc(t->values, (size_t)room * sizeof *values);
        if (values == NULL) {
            message("%s: no memory for %lld numbers", r->path, (long long)room);
            return -1;
        }
        t->values = values;
        r->room = room;
    }
    t->values[used] = value;
    return 0;
}

/* One field, up to `end`. */
static int field(struct reader *r, const char *from, const char *end, int64_t column, float *out)
{
    char *stop;
    const int shown = end - from > 40 ? 40 : (int)(end - from);
    const char *what = NULL;
    const double value = strtod(from, &stop);
    *out = (float)value;
    if (stop > end) stop = (char *)from; /* blanks and then the next field */
    while (stop < end && (*stop == ' ' || *stop == '\r')) stop++;
    if (stop != end || stop == from)
        what = "no number";
    else if (!isfinite(value))
        what = "not finite";
    else if (!isfinite(*out))
        what = "beyond the range of float";
    if (what == NULL) return 0;
    message("%s: line %lld, column %lld: \"%.*s\" is %s", r->path, (long long)r->line,
            (long long)column, shown, from, what);
    return -1;
}

static int line(struct reader *r, char *text, size_t length)
{
    struct csv *t = r->out;
    /* A row is put together with `columns` 1, so that values count; the first decides how many. */
    const int64_t expected = t->columns, rows = t->rows;
    int64_t count = 0;
    int status = 0;
    const char *end = text + length;
    while (end > text && strchr(" \t\r\n", end[-1]) != NULL && end[-1] != '\0') end--;
    if (end == text) return 0;
    t->columns = 1;
    t->rows = rows * expected;
    for (const char *at = text; status == 0;) {
        float value;
        const char *next = at;
        while (next < end && strchr(",;\t", *next) == NULL) next++;
        status = field(r, at, next, ++count, &value);
        if (status == 0 && expected > 0 && count > expected) {
            message("%s: line %lld, column %lld: the row goes on, expected %lld columns", r->path,
                    (long long)r->line, (long long)count, (long long)expected);
            status = -1;
        }
        if (status == 0) status = add(r, value);
        t->rows += status == 0;
        if (next == end) break;
        at = next + 1;
    }
    if (status == 0 && expected > 0 && count < expected) {
        message("%s: line %lld, column %lld: the row has ended, expected %lld columns", r->path,
                (long long)r->line, (long long)count + 1, (long long)expected);
        status = -1;
    }
    t->columns = expected > 0 ? expected : count;
    t->rows = rows + 1;
    return status;
}

int csv_read(struct csv *out, const char *path, int header, int64_t limit)
{
    struct reader r = { path, out, 0, 0 };
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    int status = 0;
    memset(out, 0, sizeof *out);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        message("cannot open '%s': %s", path, strerror(errno));
        return -1;
    }
    while (status == 0 && (limit == 0 || out->rows < limit) &&
           (errno = 0, length = getline(&text, &room, f)) >= 0) {
        r.line++;
        if (header && r.line == 1) continue;
        status = line(&r, text, (size_t)length);
    }
    if (status == 0 && (ferror(f) || errno == ENOMEM)) {
        message("cannot read '%s': %s", path, strerror(errno));
        status = -1;
    }
    if (status == 0 && out->rows == 0) {
        message("%s: no rows", path);
        status = -1;
    }
    free(text);
    fclose(f);
    if (status != 0) csv_free(out);
    return status;
}

void csv_free(struct csv *t)
{
    free(t->values);
    memset(t, 0, sizeof *t);
}
