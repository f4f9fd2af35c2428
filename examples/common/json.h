/* json.h - the result of an example: one JSON object on one line, the last on stdout.
 *
 *     struct json j;
 *     json_begin(&j, "vae", "mnist");
 *     json_whole(&j, "epochs", 10);
 *     json_number(&j, "test_loss", 104.9);
 *     status = json_end(&j) != 0;
 *
 * prints {"model":"vae","dataset":"mnist","epochs":10,"test_loss":104.9}. Keys that programs share:
 * epochs, samples_per_second, seconds, stopped, and, where they apply, test_nll, test_loss, elbo,
 * parzen, test_accuracy (nats per row, except the accuracy, a fraction).
 */
#ifndef EXAMPLES_JSON_H
#define EXAMPLES_JSON_H

#include <stddef.h>
#include <stdint.h>

struct json {
    char *text;
    size_t used, room;
    int failed; /* out of memory; json_end reports it */
};

/* Starts the object with "model" and "dataset" (left out when NULL). */
void json_begin(struct json *j, const char *model, const char *dataset);

/* Adds a member. Numbers have a decimal point whatever the locale, up to 10 digits; NaN and
 * infinities become null. Text is escaped; bytes that are not UTF-8 become U+FFFD. text NULL gives
 * null. Keys must not repeat. */
void json_number(struct json *j, const char *key, double value);
void json_whole(struct json *j, const char *key, int64_t value);
void json_text(struct json *j, const char *key, const char *text);
void json_flag(struct json *j, const char *key, int value);

/* Members that follow are those of an object inside, until it is closed. */
void json_open(struct json *j, const char *key);
void json_close(struct json *j);

/* Members "data", "train_rows", "valid_rows", "test_rows": what was used. path NULL: no "data";
 * valid_rows 0: no validation. */
void json_data(struct json *j, const char *path, int64_t train_rows, int64_t valid_rows,
               int64_t test_rows);

/* Prints the line, flushes stdout and frees the memory. Returns 0, or -1 (reported on stderr). */
int json_end(struct json *j);

#endif
