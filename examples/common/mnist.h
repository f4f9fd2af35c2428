/* mnist.h - handwritten digits, or other data in MNIST's files, as datasets scaled to [0, 1].
 *
 *     struct mnist m;
 *     status = mnist_open(&m, r.context, &r.options, MNIST_ROWS);
 *     if (status != OPTIONS_GO_ON) ...
 *     ... m.train, m.valid (may be NULL), m.test, m.name ...
 *     mnist_close(&m);
 *
 * --data may name
 *
 * - a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
 *   t10k-labels-idx1-ubyte, each plain or with .gz: trains on all training rows, tests on all test
 *   rows, m.valid is NULL. The name is "mnist", or "fashion-mnist" if the path has "fashion" in it;
 *
 * - a folder with only the t10k files, like the one in the repository: the first 8 tenths train,
 *   the next tenth validates, the last tests (8000, 1000 and 1000 rows), and a note on stderr says
 *   so. The name ends in "-10k";
 *
 * - one file of images, plain or gz, cut in the same way. It has no labels. The name is the file's.
 *
 * --limit N keeps the first N rows of each part.
 */
#ifndef EXAMPLES_MNIST_H
#define EXAMPLES_MNIST_H

#include "json.h"
#include "options.h"

#include "gm/data.h"

#define MNIST_ROWS 0    /* rows of shape [784] */
#define MNIST_IMAGES 1  /* rows of shape [1, 28, 28] */
#define MNIST_LABELS 2  /* added to one of these: labels are needed, and attached */
#define MNIST_BYTES 4   /* likewise: values are 0, 1, ... 255 */
#define MNIST_CLASSES 8 /* with MNIST_LABELS: labels may go up to 99, not just 9 */

struct mnist {
    gm_dataset *train, *valid, *test;
    int64_t train_rows, valid_rows, test_rows;
    char name[64];
    const char *path; /* --data */
};

/* Opens. Returns OPTIONS_GO_ON, or the status to exit with: 2 when files are missing or
 * hold images of another size or labels out of range, 1 when they cannot be read; either has been
 * reported, and *m is empty then. */
int mnist_open(struct mnist *m, gm_context *context, const struct options *o, int needs);

/* Members "data", "train_rows", "valid_rows" and "test_rows" of the result. */
void mnist_json(struct json *j, const struct mnist *m);

/* Releases the datasets; an empty *m (all NULL) is fine. */
void mnist_close(struct mnist *m);

#endif
