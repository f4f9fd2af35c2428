/* hmc.h - Hamiltonian transitions of chains under an annealed posterior. */
#ifndef GM_EVALUATE_HMC_H
#define GM_EVALUATE_HMC_H

#include "gm/generator.h"
#include "models/family.h"

/* Chains that move through N(u; 0, I) p(x | s u)^b, z = s u, for `rows` rows x and `chains` chains
 * each, row by row (hmc.c). */
typedef struct gm_hmc {
    gm_context *ctx;
    gm_generator *g;
    int64_t latent;
    double scale; /* s */
    const float *x, *labels;
    int64_t rows, chains;
    double *nll; /* -log p(x | z) of each chain */
    double *new_nll, *energy;
    float *u, *slope; /* where each chain is, and the gradient of nll there */
    float *new_u, *new_slope, *momentum, *step;
    gm_tape *tape;
    gm_rng *rng;
    void *block;
    size_t block_size;
} gm_hmc;

#define GM_HMC_SHORTEST 1e-7 /* leapfrog steps that tuning may come to */
#define GM_HMC_LONGEST 1.6   /* of a standard normal, beyond 2 the orbit explodes */

/* Room for `most` chains. After a failure gm_hmc_close is still due, as for a zeroed struct. */
gm_status gm_hmc_open(gm_hmc *h, gm_generator *g, int64_t most, uint64_t seed);
void gm_hmc_close(gm_hmc *h);
/* Chains at the prior, or all chains of a row at its code. x and labels (NULL: none) are borrowed.
 */
gm_status gm_hmc_start(gm_hmc *h, const float *x, const float *labels, int64_t rows, int64_t chains,
                       const float *codes);
/* One transition of every chain: so many leapfrog steps, of about steps[row]. accepted: for each
 * row the mean chance. */
gm_status gm_hmc_move(gm_hmc *h, double b, int32_t leapfrog, const double *steps, double *accepted);

#endif
