/* rbm_part.h - a Boltzmann machine inside another family (dbn.c). */
#ifndef GM_MODELS_BELIEF_RBM_PART_H
#define GM_MODELS_BELIEF_RBM_PART_H

#include "gm/rbm.h"
#include "models/family.h"

#define GM_RBM_MOST_SUMMED 20 /* units of the smaller side, whose states are summed */

/* Its host (NULL: none) has the generator that it draws from; it has no optimizer until the host
 * binds one, and its part of a file has names under `prefix`. The log Z that the machine was given,
 * NaN for none; and that or the exact one, else GM_E_STATE for `verb`. */
gm_status gm_rbm_create_in(gm_rbm **out, gm_context *ctx, int64_t visible, int64_t hidden,
                           const gm_rbm_options *options, const gm_model *host);
/* Samples: n rows of visible states that began as 0 or 1 with probability 1/2, and if not NULL p(v
 * = 1 | h) of their last step. */
gm_status gm_rbm_draw(gm_rbm *rbm, int64_t n, float *states, float *means);
gm_status gm_rbm_put(gm_archive *archive, const char *prefix, gm_rbm *rbm);
gm_status gm_rbm_get(gm_rbm **out, gm_context *ctx, gm_archive *archive, const char *prefix,
                     gm_optimizer *optimizer, const gm_model *host);
double gm_rbm_given_log_z(const gm_rbm *rbm, double *standard_error);
/* What log p is with that log Z. GM_E_STATE for `verb`: there is none. */
gm_status gm_rbm_likelihood(gm_rbm *rbm, const char *verb, gm_likelihood *out);
gm_status gm_rbm_find_log_z(gm_rbm *rbm, const char *verb, double *out);

#endif
