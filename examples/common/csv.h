/* csv.h - rows of numbers from a text file, commas between them (or semicolons, or tabs): all rows
 * as long as the first.
 *
 *     struct csv t;
 *     if (csv_read(&t, "measured.csv", 1, 0) != 0) return 2;
 *     ... t.values[row * t.columns + column] ...
 *     csv_free(&t);
 *
 * What is wrong is reported with the file, its line and column, counted from 1:
 *     measured.csv: line 7, column 3: "n/a" is no number
 * Text, empty fields, NaN, infinities, numbers beyond float, and rows of another length are wrong;
 * empty lines are passed over.
 */
#ifndef EXAMPLES_CSV_H
#define EXAMPLES_CSV_H

#include <stdint.h>

struct csv {
    float *values; /* [rows, columns] */
    int64_t rows, columns;
};

/* header: the first line is left out. limit: rows at most; 0: all. 0, or -1 (reported on stderr,
 * *out empty). */
int csv_read(struct csv *out, const char *path, int header, int64_t limit);

/* An empty one (all 0) is fine. */
void csv_free(struct csv *t);

#endif
