/* gradient_norm.c - the recorded gradient of layer norm, group norm and instance norm. */
#include "autodiff/gradient.h"
#include "autodiff/ops/norm.h"

/* With z = (x - m) i, i = 1 / sqrt(var + eps), and dz = gamma dy:
 *   dx = i (dz - mean dz - z mean(z dz)),   dgamma = sum z dy,   dbeta = sum dy
 * (Ba et al. 2016). Mean and variance are recorded anew, as functions of x: what forward saved is
 * numbers. */
void gm_gradient_norm(gm_chain *c, const gm_affine *a, double eps, const int64_t rows[4],
                      const int64_t scale[4])
{
    static const int32_t last[2] = { 2, 3 };
    gm_tape *t = c->tape;
    gm_var x = gm_reshape(t, c->in[0], 4, rows);
    gm_var dy = gm_reshape(t, gm_chain_activation(t, a->fused.kind, a->fused.slope, c->out, c->dy),
                           4, rows);
    gm_var d = gm_sub(t, x, gm_mean_axes(t, x, last, 2, 1));
    gm_var variance = gm_mean_axes(t, gm_square(t, d), last, 2, 1);
    gm_var deviation = gm_sqrt(t, gm_shift(t, variance, eps));
    gm_var z = gm_div(t, d, deviation), dz = dy;
    if (a->gamma) {
        gm_var gamma = gm_reshape(t, c->in[a->gamma], 4, scale);
        const gm_node *like = gm_tape_node(t, gamma);
        if (!like) return;
        dz = gm_mul(t, dy, gamma);
        if (c->wanted[a->gamma]) {
            gm_var sum = gm_chain_sum_to(t, gm_mul(t, dy, z), like);
            c->din[a->gamma] = gm_chain_reshape(t, sum, c->from[a->gamma]);
        }
    }
    if (a->beta && c->wanted[a->beta]) {
        const gm_node *like = gm_tape_node(t, gm_reshape(t, c->in[a->beta], 4, scale));
        if (!like) return;
        c->din[a->beta] = gm_chain_reshape(t, gm_chain_sum_to(t, dy, like), c->from[a->beta]);
    }
    if (!c->wanted[0]) return;
    gm_var along = gm_mul(t, z, gm_mean_axes(t, gm_mul(t, z, dz), last, 2, 1));
    gm_var dx = gm_sub(t, gm_sub(t, dz, gm_mean_axes(t, dz, last, 2, 1)), along);
    c->din[0] = gm_chain_reshape(t, gm_div(t, dx, deviation), c->from[0]);
}
