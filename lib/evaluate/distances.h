/* distances.h - squared distances between two sets of rows, a tile at a time, by matrix products;
 * and nearest neighbours. */
#ifndef GM_EVALUATE_DISTANCES_H
#define GM_EVALUATE_DISTANCES_H

#include "evaluate/result.h"
#include "gm/tape.h"

#define GM_DISTANCES_TILE 1024

/* Memory: tiles, of a size that depends on the width alone. */
typedef struct gm_distances {
    gm_context *ctx;
    const char *what;
    gm_table a, b;
    int64_t tile; /* rows at a time at most, of either; GM_DISTANCES_TILE or fewer */
    int64_t first, count;
    int64_t column; /* the first row of b that is at hand */
    double *centre; /* [width]: the mean of b; what follows is less it */
    double *half;   /* [tile]: |x|^2 / 2 */
    float *x, *y;   /* [tile, width] */
    float *bias;    /* [tile]: -|y|^2 / 2 */
    gm_tape *tape;
    void *block;
    size_t block_size;
} gm_distances;

/* Takes checked tables. After a failure gm_distances_close is still due, as for a zeroed struct. */
gm_status gm_distances_open(gm_distances *d, gm_context *ctx, const char *what, const gm_table *a,
                            const gm_table *b);
void gm_distances_close(gm_distances *d);
/* Rows begin ... of a are the ones to measure. GM_E_NUMERIC: too far from the mean for floats. */
gm_status gm_distances_rows(gm_distances *d, int64_t begin, int64_t count);
/* From them to rows begin ... of b, which are then at hand: x . y - |y|^2 / 2, [rows at hand,
 * count], until the next call. */
gm_status gm_distances_columns(gm_distances *d, int64_t begin, int64_t count,
                               const float **product);
/* |row i of a - row j of b|^2 of the tables, in double. */
double gm_distances_exact(const gm_distances *d, int64_t i, int64_t j);

/* What follows counts i in the rows of a at hand and j in those of b. */

/* The squared distance from a product, and by how much that may be wrong. */
double gm_distances_rough(const gm_distances *d, int64_t i, float product);
double gm_distances_doubt(const gm_distances *d, int64_t i, int64_t j);
/* From a product where that has digits enough; else exactly. */
double gm_distances_squared(const gm_distances *d, int64_t i, int64_t j, float product);

/* For each row of a the squared distance to its k-th nearest of b, and which that is (NULL: left
 * out), both exact; same: a and b are one set, and no row is its own neighbour. */
gm_status gm_neighbours(gm_distances *d, int64_t k, int same, double *squared, int64_t *index,
                        gm_counter *counter);

#endif
