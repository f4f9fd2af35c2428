/* binary.h - what the programs share whose models have layers of binary hidden units (sbn, rbm,
 * dbn): sizes of layers on the command line, weights as pictures, the partition function of a
 * Boltzmann machine.
 *
 *     int64_t sizes[8];
 *     count = binary_layers("500,500", sizes, 8);
 *     binary_weights(&d, "weights.png", value, hidden, d.width, 1);
 *     if ((s = binary_log_z(&d, rbm, means, 100, 0, &z))) goto out;
 */
#ifndef EXAMPLES_BINARY_H
#define EXAMPLES_BINARY_H

#include "density.h"

/* "200,200" into sizes. Returns how many, or 0 (reported; 2 is the status to exit with) if it is no
 * list of 1 to `most` sizes. */
int32_t binary_layers(const char *text, int64_t *sizes, int32_t most);

/* Weights of the first 100 units to the visible ones, black -, white +, as a grid in the folder
 * --out; value[unit * by_unit + pixel * by_pixel]. Rows that are no pictures have none. 0, or -1
 * (reported). */
int binary_weights(const struct density *d, const char *file, const float *value, int64_t units,
                   int64_t by_unit, int64_t by_pixel);

/* Samples whose pixels are drawn with the probabilities that gm_model_sample gives, as a grid; rows
 * that are no pictures have none. */
gm_status binary_bits(const struct density *d, gm_model *model, const char *file);

struct binary_z {
    gm_rbm_ais_result ais;
    double exact; /* NaN: both sides have more than 20 units */
};

/* log Z by annealing from independent units of these means [visible], and exactly where that is
 * possible; the machine gets the better of the two. steps: equal ones, or the 14 500 of
 * Salakhutdinov and Murray 2008 for 0. GM_E_CANCELLED after Ctrl-C. */
gm_status binary_log_z(const struct density *d, gm_rbm *rbm, const float *means, int64_t runs,
                       int64_t steps, struct binary_z *out);

/* Members log_z, log_z_error, log_z_low, log_z_high, log_z_exact; null before binary_log_z (a
 * zeroed struct). */
void binary_report(struct json *json, const struct binary_z *z);

#endif
