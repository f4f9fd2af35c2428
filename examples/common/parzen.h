/* parzen.h - the Parzen-window log-likelihood of a model's samples, by the protocol of Goodfellow
 * et al. 2014: samples of the model, sigma chosen on validation digits, the mean over test digits.
 *
 *     struct parzen p = PARZEN_INIT;
 *     gm_result result = GM_RESULT_INIT;
 *     s = parzen_score(&result, model, &m, &p);
 *     if (!s) json_number(&j, "parzen", result.value), json_number(&j, "parzen_error", ...);
 */
#ifndef EXAMPLES_PARZEN_H
#define EXAMPLES_PARZEN_H

#include "mnist.h"

#include "gm/model.h"
#include "gm/parzen.h"

struct parzen {
    int64_t samples; /* of the model */
    int64_t rows;    /* validation digits and test digits at most, each */
    uint64_t seed;   /* of the samples; the model's generator is seeded anew */
    int symmetric;   /* the model's values are in [-1, 1], as a tanh gives them, not in [0, 1] */
    const double *sigmas; /* NULL: the default list of gm_parzen_fit */
    int64_t sigma_count;
    int quiet;
};

#define PARZEN_INIT                                                                                \
    {                                                                                              \
        10000, 10000, 1, 0, NULL, 0, 0                                                             \
    }

/* The finer list of Li, Swersky and Zemel 2015: 0.10, 0.11, ... 0.29. */
#define PARZEN_FINE 20
extern const double parzen_fine[PARZEN_FINE];

/* Draws samples, then as parzen_rows; result->seed is the seed. Pixels of the model and of m in [0,
 * 1], but for `symmetric`. GM_E_CANCELLED after Ctrl-C. */
gm_status parzen_score(gm_result *result, gm_model *model, const struct mnist *m,
                       const struct parzen *p);

/* The same for `count` samples at hand, of `size` values in [0, 1]: reads validation and test
 * digits, chooses sigma, scores. Validation digits are m->valid, or, where that is NULL, the last
 * training rows (half of them at most). A note on stderr says so when the best sigma was at an end
 * of the list. */
gm_status parzen_rows(gm_result *result, gm_context *context, const float *samples, int64_t count,
                      int64_t size, const struct mnist *m, const struct parzen *p);

/* `count` samples of the model, drawn with the seed and brought to [0, 1]: a new tensor [count, row
 * size]. A conditional model makes each class in turn; these labels stay set. */
gm_status parzen_draw(gm_tensor **out, gm_model *model, int64_t count, const struct parzen *p);

#endif
