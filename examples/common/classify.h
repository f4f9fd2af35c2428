/* classify.h - a trained classifier of digits, to read what a generator's samples show.
 *
 *     struct classifier c;
 *     struct classify_report report;
 *     status = classify_open(&c, r.context, path);    the file that the program classifier saves
 *     if (status != OPTIONS_GO_ON) ...
 *     s = classify_report(&c, samples, 1000, &report);
 *     classify_json(&j, &report);
 *     classify_close(&c);
 *
 * Rows are images as the classifier was trained on: c.row_size values in [0, 1].
 */
#ifndef EXAMPLES_CLASSIFY_H
#define EXAMPLES_CLASSIFY_H

#include "json.h"
#include "options.h"

#include "gm/layer.h"

#define CLASSIFY_MOST 100 /* classes */
#define CLASSIFY_SURE                                                                              \
    0.9 /* probability of the likeliest class from which on a row counts as sure */

struct classifier {
    gm_layer *net; /* [n, row_size] to logits [n, classes] */
    gm_tape *tape;
    int64_t row_size, classes;
};

/* Reads a file. Returns OPTIONS_GO_ON, or the status to exit with: 2 when it is missing or no
 * classifier, 1 when memory is short; either has been reported, and *c is empty then. */
int classify_open(struct classifier *c, gm_context *context, const char *path);

/* A classifier of a network at hand, which is retained. 1 <= classes <= CLASSIFY_MOST. */
gm_status classify_wrap(struct classifier *c, gm_layer *net, int64_t row_size, int64_t classes);

/* Writes the file that classify_open reads. */
gm_status classify_save(const struct classifier *c, const char *path);

/* log p(class | row) of count rows, into out [count, classes]. Memory does not grow with count. */
gm_status classify_log_probs(struct classifier *c, const float *rows, int64_t count, float *out);

/* The likeliest class of each row, and its probability. Either may be NULL. */
gm_status classify_rows(struct classifier *c, const float *rows, int64_t count, int *labels,
                        double *confidence);

/* What the network makes of rows before its last layer, [count, *width], into a new array (free
 * it): features that tell digits apart. GM_E_UNSUPPORTED: the network is no sequence of two parts
 * or more. */
gm_status classify_features(struct classifier *c, const float *rows, int64_t count, float **out,
                            int64_t *width);

struct classify_report {
    int64_t rows, classes;
    double share[CLASSIFY_MOST]; /* of the rows that fall to each class; they add up to 1 */
    double smallest_share;
    int smallest_class; /* the first that has it */
    double sure;        /* share of rows with a confidence of at least CLASSIFY_SURE */
    double confidence;  /* the mean */
};

gm_status classify_report(struct classifier *c, const float *rows, int64_t count,
                          struct classify_report *out);

/* Members "share_0", "share_1", ..., "smallest_share", "smallest_class", "sure" of the program's
 * last line. */
void classify_json(struct json *j, const struct classify_report *report);

/* An empty *c (all 0) is fine. */
void classify_close(struct classifier *c);

#endif
