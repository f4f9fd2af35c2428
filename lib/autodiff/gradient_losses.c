/* gradient_losses.c - recorded gradients of the losses. Each has one value a row, and targets may
 * have fewer rows: target row r serves `rep` rows, and gets the sum of their gradients. */
#include "autodiff/gradient.h"
#include "autodiff/ops/losses.h"

/* dy [n] as [n, 1, ...], to be multiplied with rows of input 0. */
static gm_var of_rows(const gm_chain *c)
{
    int64_t shape[GM_MAX_RANK] = { c->node->shape[0], 1, 1, 1, 1, 1 };
    return gm_reshape(c->tape, c->dy, c->from[0]->rank, shape);
}

static int64_t rep_of(const gm_chain *c, int32_t target)
{
    int64_t rows = c->from[target]->shape[0];
    return rows ? c->node->shape[0] / rows : 1;
}

static gm_var repeated(const gm_chain *c, int32_t target)
{
    int64_t rep = rep_of(c, target);
    return rep == 1 ? c->in[target] : gm_repeat_rows(c->tape, c->in[target], rep);
}

static gm_var folded(const gm_chain *c, int32_t target, gm_var v)
{
    return gm_chain_fold_rows(c->tape, v, rep_of(c, target), c->from[target]);
}

/* softplus(l) - t l: sigmoid(l) - t, written (1 - t) sigmoid(l) - t sigmoid(-l), in which no digits
 * cancel where the target is 0 or 1 */
void gm_gradient_bce(gm_chain *c)
{
    gm_tape *t = c->tape;
    gm_var dy = of_rows(c);
    if (c->wanted[0]) {
        gm_var l = c->in[0], target = repeated(c, 1);
        gm_var above = gm_mul(t, gm_shift(t, gm_neg(t, target), 1), gm_sigmoid(t, l));
        gm_var below = gm_mul(t, target, gm_sigmoid(t, gm_neg(t, l)));
        c->din[0] = gm_mul(t, dy, gm_sub(t, above, below));
    }
    if (c->wanted[1]) c->din[1] = folded(c, 1, gm_neg(t, gm_mul(t, dy, c->in[0])));
}

/* softmax(l) - onehot(class), the latter as a constant */
void gm_gradient_class(gm_chain *c)
{
    gm_tape *t = c->tape;
    const gm_node *l = c->from[0], *classes = c->from[1];
    int64_t k = l->shape[l->rank - 1], rep = rep_of(c, 1);
    int64_t mid = gm_sizes_product(l->shape + 1, l->rank - 2);
    if (!c->wanted[0]) return;
    float *onehot = gm_tape_scratch(t, (size_t)l->count * sizeof(float));
    if (!onehot) return;
    memset(onehot, 0, (size_t)l->count * sizeof(float));
    for (int64_t r = 0; r < l->shape[0]; r++)
        for (int64_t j = 0; j < mid; j++)
            onehot[(r * mid + j) * k + (int64_t)classes->value[r / rep * mid + j]] = 1;
    gm_var difference =
        gm_sub(t, gm_softmax(t, c->in[0]), gm_input_array(t, l->rank, l->shape, onehot));
    c->din[0] = gm_mul(t, of_rows(c), difference);
}

/* (a - b)^2, or its mean over the row */
void gm_gradient_distance(gm_chain *c)
{
    gm_tape *t = c->tape;
    double factor = 2;
    if (c->node->op == &gm_op_mse && c->node->count)
        factor *= (double)c->node->count / (double)c->from[0]->count;
    gm_var d = gm_sub(t, c->in[0], repeated(c, 1));
    d = gm_mul(t, gm_scale(t, of_rows(c), factor), d);
    if (c->wanted[0]) c->din[0] = d;
    if (c->wanted[1]) c->din[1] = gm_neg(t, folded(c, 1, d));
}

/* 1/2 (log 2 pi + v + (x - m)^2 e^-v): (m - x) e^-v, 1/2 (1 - (m - x)^2 e^-v), and minus the first
 */
void gm_gradient_nll(gm_chain *c)
{
    gm_tape *t = c->tape;
    gm_var dy = of_rows(c);
    gm_var d = gm_sub(t, c->in[0], repeated(c, 2));
    gm_var scaled = gm_mul(t, d, gm_exp(t, gm_neg(t, c->in[1])));
    gm_var dm = gm_mul(t, dy, scaled);
    if (c->wanted[0]) c->din[0] = dm;
    if (c->wanted[1]) {
        gm_var rest = gm_shift(t, gm_neg(t, gm_mul(t, d, scaled)), 1);
        c->din[1] = gm_scale(t, gm_mul(t, dy, rest), 0.5);
    }
    if (c->wanted[2]) c->din[2] = gm_neg(t, folded(c, 2, dm));
}

/* 1/2 (m^2 + e^v - v - 1) */
void gm_gradient_kl(gm_chain *c)
{
    gm_tape *t = c->tape;
    gm_var dy = of_rows(c);
    if (c->wanted[0]) c->din[0] = gm_mul(t, dy, c->in[0]);
    if (c->wanted[1])
        c->din[1] = gm_scale(t, gm_mul(t, dy, gm_shift(t, gm_exp(t, c->in[1]), -1)), 0.5);
}
