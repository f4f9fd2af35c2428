/* gan_losses.c - what generator and discriminator minimise, and the norm that gradient penalties
 * are about. */
#include "gm/gan.h"

#include <stdio.h>

#include "gm/gradient.h"
#include "models/family.h"

/* A tape that can record, and arguments that make sense. */
static int check(gm_tape *tape, int32_t loss, double smoothing)
{
    char line[128] = "";
    if (!tape || gm_tape_status(tape)) return 0;
    if (loss < GM_GAN_MINIMAX || loss > GM_GAN_WASSERSTEIN)
        (void)snprintf(line, sizeof line, "gan: loss is %d, expected one of GM_GAN_*", (int)loss);
    else if (!(smoothing >= 0 && smoothing < 1))
        (void)snprintf(line, sizeof line, "gan: label_smoothing is %g, expected 0 to below 1",
                       smoothing);
    else if (smoothing > 0 && loss > GM_GAN_LEAST_SQUARES)
        (void)snprintf(line, sizeof line,
                       "gan: label_smoothing is %g, but loss %d has no target to smooth", smoothing,
                       (int)loss);
    if (line[0]) gm_tape_fail(tape, GM_E_INVALID, line);
    return !line[0];
}

/* With s the sigmoid, -log s(l) = softplus(-l) and -log(1 - s(l)) = softplus(l), which do not
 * overflow. */
static gm_var minus_log_sigmoid(gm_tape *tape, gm_var l)
{
    return gm_softplus(tape, gm_neg(tape, l));
}

gm_var gm_gan_discriminator_loss(gm_tape *tape, int32_t loss, double label_smoothing, gm_var data,
                                 gm_var samples)
{
    double target = 1 - label_smoothing;
    gm_var real, fake;
    if (!check(tape, loss, label_smoothing)) return GM_NO_VAR;
    switch (loss) {
    case GM_GAN_MINIMAX:
    case GM_GAN_NON_SATURATING: /* t softplus(-l) + (1 - t) softplus(l) = softplus(l) - t l */
        real = target == 1 ? minus_log_sigmoid(tape, data)
                           : gm_sub(tape, gm_softplus(tape, data), gm_scale(tape, data, target));
        fake = gm_softplus(tape, samples);
        break;
    case GM_GAN_LEAST_SQUARES:
        real = gm_scale(tape, gm_square(tape, gm_shift(tape, data, -target)), 0.5);
        fake = gm_scale(tape, gm_square(tape, samples), 0.5);
        break;
    case GM_GAN_HINGE:
        real = gm_relu(tape, gm_shift(tape, gm_neg(tape, data), 1));
        fake = gm_relu(tape, gm_shift(tape, samples, 1));
        break;
    default:
        real = gm_neg(tape, data);
        fake = samples;
        break;
    }
    return gm_add(tape, gm_mean(tape, real), gm_mean(tape, fake));
}

gm_var gm_gan_generator_loss(gm_tape *tape, int32_t loss, gm_var samples)
{
    if (!check(tape, loss, 0)) return GM_NO_VAR;
    switch (loss) {
    case GM_GAN_MINIMAX: /* log(1 - s(l)) */
        return gm_neg(tape, gm_mean(tape, gm_softplus(tape, samples)));
    case GM_GAN_NON_SATURATING:
        return gm_mean(tape, minus_log_sigmoid(tape, samples));
    case GM_GAN_LEAST_SQUARES:
        return gm_scale(tape, gm_mean(tape, gm_square(tape, gm_shift(tape, samples, -1))), 0.5);
    default:
        return gm_neg(tape, gm_mean(tape, samples));
    }
}

gm_var gm_gan_gradient_norms(gm_tape *tape, gm_var values, gm_var rows)
{
    static const int32_t within[1] = { 1 };
    int32_t rank = gm_rank(tape, rows);
    if (!tape || gm_tape_status(tape)) return GM_NO_VAR;
    int64_t n = gm_count(tape, values);
    if (gm_rank(tape, values) != 1 || rank < 1 || n != gm_shape(tape, rows)[0]) {
        char line[160];
        (void)snprintf(line, sizeof line,
                       "gan: gradient_norms: %lld values of rank %d for rows of rank %d (%lld of "
                       "them), expected one value for each row",
                       (long long)n, (int)gm_rank(tape, values), (int)rank,
                       rank > 0 ? (long long)gm_shape(tape, rows)[0] : 0);
        return gm_tape_fail(tape, GM_E_SHAPE, line);
    }
    int64_t flat[2] = { n, gm_count(tape, rows) };
    if (flat[0]) flat[1] /= flat[0];
    /* Each value depends on its own row alone, so the gradient of the sum has the gradient of each
     * in its row. */
    gm_var gradient = gm_gradient(tape, gm_sum(tape, values), rows);
    gm_var squares = gm_square(tape, gm_reshape(tape, gradient, 2, flat));
    return gm_sqrt(tape, gm_sum_axes(tape, squares, within, 1, 0));
}
