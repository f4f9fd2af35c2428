/* mixing.c - have Markov chains of bits come together? Split R-hat (Gelman et al. 2013,
 * section 11.4) and the effective sample size (Vehtari, Gelman, Simpson, Carpenter and Buerkner
 * 2021, equations 10 to 13). */
#include <math.h>

#include "models/belief/sbn_net.h"
#include "models/family.h"

/* Half a chain: `n` draws from `first` on. */
typedef struct half {
    const uint8_t *first;
    int64_t stride;
} half;

static half half_of(const uint8_t *draws, int64_t samples, int64_t stride, int64_t which)
{
    const int64_t n = samples / 2, skip = which % 2 ? samples - n : 0;
    return (half){ draws + (which / 2 * samples + skip) * stride, stride };
}

static double mean_of(half h, int64_t n)
{
    int64_t ones = 0;
    for (int64_t t = 0; t < n; t++) ones += h.first[t * h.stride];
    return (double)ones / (double)n;
}

/* 1/n sum_t (s_t - m)(s_(t + lag) - m): for bits only what is on, and the ends, need to be counted.
 */
static double covariance(half h, int64_t n, int64_t lag, double m)
{
    int64_t both = 0, early = 0, late = 0;
    for (int64_t t = 0; t + lag < n; t++) {
        const int64_t a = h.first[t * h.stride], b = h.first[(t + lag) * h.stride];
        both += a & b;
        early += a;
        late += b;
    }
    return ((double)both - m * (double)(early + late) + m * m * (double)(n - lag)) / (double)n;
}

void gm_mixing(const uint8_t *draws, int64_t chains, int64_t samples, int64_t stride, double *r_hat,
               double *ess)
{
    const int64_t halves = 2 * chains, n = samples / 2;
    const double m = (double)halves, length = (double)n, all = m * length;
    double mean = 0, within = 0, between = 0;
    for (int64_t c = 0; c < halves; c++) mean += mean_of(half_of(draws, samples, stride, c), n) / m;
    for (int64_t c = 0; c < halves; c++) {
        const double own = mean_of(half_of(draws, samples, stride, c), n);
        within += own * (1 - own) * length / (length - 1) / m;
        between += (own - mean) * (own - mean) / (m - 1); /* B / n */
    }
    *r_hat = 1;
    *ess = all;
    if (!(within > 0) && !(between > 0)) return; /* it never moved */
    const double whole = (length - 1) / length * within + between;
    *r_hat = within > 0 ? sqrt(whole / within) : INFINITY;
    *ess = 1;
    if (!(within > 0)) return;
    /* Autocorrelations in pairs, rho_2k + rho_(2k+1), as long as they are positive, and never above
     * the pair before (Geyer 1992). */
    double sum = 0, before = INFINITY;
    for (int64_t lag = 0; lag + 1 < n; lag += 2) {
        double pair = 0;
        for (int64_t l = lag; l <= lag + 1; l++) {
            double mine = 0;
            for (int64_t c = 0; c < halves; c++) {
                const half h = half_of(draws, samples, stride, c);
                mine += covariance(h, n, l, mean_of(h, n)) * length / (length - 1) / m;
            }
            pair += 1 - (within - mine) / whole;
        }
        if (!(pair > 0)) break;
        before = fmin(before, pair);
        sum += before;
    }
    const double tau = fmax(2 * sum - 1, 1 / log10(fmax(all, 10.001)));
    *ess = all / tau;
}
