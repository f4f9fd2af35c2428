/* hmc.c - Hamiltonian transitions of many chains at once, for densities N(u; 0, I) p(x | s u)^b
 * (Duane, Kennedy, Pendleton and Roweth 1987; Neal 2011). The network's gradient with respect to u
 * does not depend on b, so what one transition ends with the next begins with, at whatever
 * temperature. */
#include <math.h>
#include <string.h>

#include "evaluate/hmc.h"
#include "gm/ops.h"

#define JITTER 0.2 /* of a step: an orbit of constant length may come back to where it was */

static gm_status check_generator(gm_context *ctx, const gm_generator *g)
{
    if (gm_generator_output(g) == GM_OUTPUT_DIRECT)
        return gm_model_fail(
            ctx, GM_E_UNSUPPORTED,
            "ais: the generator's output is direct; there is no p(x | z), and so no "
            "p(x)");
    if (gm_generator_prior(g) != GM_PRIOR_NORMAL)
        return gm_model_fail(ctx, GM_E_UNSUPPORTED,
                             "ais: the generator's prior is uniform, expected a normal one: chains "
                             "move in all of the space");
    return GM_OK;
}

gm_status gm_hmc_open(gm_hmc *h, gm_generator *g, int64_t most, uint64_t seed)
{
    gm_context *ctx = gm_model_context(gm_generator_model(g));
    int64_t latent = gm_generator_latent(g), doubles = 3 * most, floats = most;
    gm_status status;
    if (latent > INT64_MAX / 1024 / most)
        return gm_model_fail(ctx, GM_E_INVALID, "ais: a latent size of %lld cannot be addressed",
                             (long long)latent);
    floats += 5 * most * latent;
    GM_TRY(check_generator(ctx, g));
    *h = (gm_hmc){ .ctx = ctx, .g = g, .latent = latent, .scale = gm_generator_prior_scale(g) };
    h->block_size = (size_t)doubles * sizeof(double) + (size_t)floats * sizeof(float);
    h->block = gm_context_allocate(ctx, h->block_size);
    if (!h->block)
        return gm_model_fail(ctx, GM_E_NOMEM, "ais: no memory for %zu bytes", h->block_size);
    h->nll = h->block;
    h->new_nll = h->nll + most;
    h->energy = h->new_nll + most;
    h->u = (float *)(h->energy + most);
    h->new_u = h->u + most * latent;
    h->slope = h->new_u + most * latent;
    h->new_slope = h->slope + most * latent;
    h->momentum = h->new_slope + most * latent;
    h->step = h->momentum + most * latent;
    GM_TRY(gm_tape_create(&h->tape, ctx, NULL));
    GM_TRY(gm_rng_create(&h->rng, ctx, seed));
    gm_tape_set_mode(h->tape, 0); /* gradients, but no dropout and no statistics of the batch */
out:
    return status;
}

void gm_hmc_close(gm_hmc *h)
{
    gm_rng_release(h->rng);
    gm_tape_release(h->tape);
    if (h->block) gm_context_free(h->ctx, h->block, h->block_size);
}

/* -log p(x | s u) of every chain, and its gradient with respect to u. */
static gm_status measure(gm_hmc *h, const float *u, double *nll, float *slope)
{
    int64_t all = h->rows * h->chains, width = gm_generator_row_size(h->g);
    int64_t codes[2] = { all, h->latent }, rows[2] = { h->rows, width };
    gm_tape *tape = h->tape;
    gm_status status;
    gm_tape_reset(tape);
    gm_var v = gm_variable(tape, 2, codes, u);
    gm_var z = h->scale == 1 ? v : gm_scale(tape, v, h->scale);
    gm_var y = gm_model_label_var(tape, h->labels, h->rows);
    gm_var output = gm_generator_apply_labelled(tape, h->g, z, y);
    gm_var loss = gm_generator_nll(tape, h->g, output, gm_input_array(tape, 2, rows, h->x));
    GM_TRY(gm_backward(tape, gm_sum(tape, loss), NULL));
    const float *value = gm_value(tape, loss), *gradient = gm_gradient_of(tape, v);
    for (int64_t i = 0; i < all; i++) nll[i] = (double)value[i];
    if (gradient)
        memcpy(slope, gradient, (size_t)(all * h->latent) * sizeof *slope);
    else
        memset(slope, 0, (size_t)(all * h->latent) * sizeof *slope);
out:
    return status;
}

gm_status gm_hmc_start(gm_hmc *h, const float *x, const float *labels, int64_t rows, int64_t chains,
                       const float *codes)
{
    gm_status status;
    int64_t all = rows * chains;
    h->x = x;
    h->labels = labels;
    h->rows = rows;
    h->chains = chains;
    if (!codes) GM_TRY(gm_rng_normal(h->rng, all * h->latent, 0, 1, h->u));
    for (int64_t i = 0; codes && i < all; i++)
        for (int64_t j = 0; j < h->latent; j++)
            h->u[i * h->latent + j] = (float)((double)codes[i / chains * h->latent + j] / h->scale);
    GM_TRY(measure(h, h->u, h->nll, h->slope));
out:
    return status;
}

/* b (-log p(x | z)) - log N(u) - log N(momentum), but for constants. */
static double energy(const gm_hmc *h, double b, const float *u, double nll, int64_t i)
{
    const float *at = u + i * h->latent, *p = h->momentum + i * h->latent;
    double sum = 0;
    for (int64_t j = 0; j < h->latent; j++)
        sum += (double)at[j] * (double)at[j] + (double)p[j] * (double)p[j];
    return b * nll + 0.5 * sum;
}

/* momentum -= part step (u + b slope), then, unless it was the last half step, u += step momentum.
 */
static void push(gm_hmc *h, double b, double part, const float *slope, int drift)
{
    int64_t all = h->rows * h->chains;
    for (int64_t i = 0; i < all; i++) {
        float step = h->step[i], kick = (float)part * step, heat = (float)b;
        float *u = h->new_u + i * h->latent, *p = h->momentum + i * h->latent;
        const float *g = slope + i * h->latent;
        for (int64_t j = 0; j < h->latent; j++) p[j] -= kick * (u[j] + heat * g[j]);
        if (drift)
            for (int64_t j = 0; j < h->latent; j++) u[j] += step * p[j];
    }
}

/* Metropolis: chain i goes to the end of its orbit, or stays. Returns with which probability it
 * went. */
static double decide(gm_hmc *h, double b, int64_t i)
{
    size_t bytes = (size_t)h->latent * sizeof *h->u;
    double change = energy(h, b, h->new_u, h->new_nll[i], i) - h->energy[i];
    double chance = isnan(change) ? 0 : fmin(1, exp(-change));
    if (gm_rng_double(h->rng) < chance) {
        memcpy(h->u + i * h->latent, h->new_u + i * h->latent, bytes);
        memcpy(h->slope + i * h->latent, h->new_slope + i * h->latent, bytes);
        h->nll[i] = h->new_nll[i];
    }
    return chance;
}

gm_status gm_hmc_move(gm_hmc *h, double b, int32_t leapfrog, const double *steps, double *accepted)
{
    int64_t all = h->rows * h->chains;
    gm_status status;
    GM_TRY(gm_rng_normal(h->rng, all * h->latent, 0, 1, h->momentum));
    GM_TRY(gm_rng_uniform(h->rng, all, 1 - JITTER, 1 + JITTER, h->step));
    for (int64_t i = 0; i < all; i++) {
        h->step[i] = (float)((double)h->step[i] * steps[i / h->chains]);
        h->energy[i] = energy(h, b, h->u, h->nll[i], i);
    }
    memcpy(h->new_u, h->u, (size_t)(all * h->latent) * sizeof *h->u);
    push(h, b, 0.5, h->slope, 1);
    for (int32_t l = 1; l <= leapfrog; l++) {
        GM_TRY(measure(h, h->new_u, h->new_nll, h->new_slope));
        push(h, b, l < leapfrog ? 1 : 0.5, h->new_slope, l < leapfrog);
    }
    for (int64_t i = 0; i < h->rows; i++) accepted[i] = 0;
    for (int64_t i = 0; i < all; i++)
        accepted[i / h->chains] += decide(h, b, i) / (double)h->chains;
out:
    return status;
}
