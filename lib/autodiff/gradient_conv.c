/* gradient_conv.c - recorded gradients of the three convolutions: each is written in the other two,
 * with the same geometry and the size of the result given. */
#include "autodiff/gradient.h"

/* What lies before bias and activation; the bias's gradient on the way. */
static gm_var before_last(gm_chain *c)
{
    static const int32_t all_but_channels[3] = { 0, 2, 3 };
    const gm_conv_attr *attr = c->node->attr;
    gm_var dz = gm_chain_activation(c->tape, attr->kind, attr->slope, c->out, c->dy);
    if (c->node->inputs == 3 && c->wanted[2])
        c->din[2] = gm_sum_axes(c->tape, dz, all_but_channels, 3, 0);
    return dz;
}

/* Rows and columns of input i. */
static const int64_t *size_of(const gm_chain *c, int32_t i)
{
    return c->from[i]->shape + 2;
}

void gm_gradient_conv(gm_chain *c)
{
    const gm_conv_geometry *g = &((const gm_conv_attr *)c->node->attr)->geometry;
    gm_var dz = before_last(c), x = c->in[0], w = c->in[1];
    if (c->wanted[0]) c->din[0] = gm_conv_transpose2d_sized(c->tape, dz, w, g, size_of(c, 0));
    if (c->wanted[1]) c->din[1] = gm_conv2d_weight(c->tape, x, dz, g, size_of(c, 1));
}

void gm_gradient_conv_transpose(gm_chain *c)
{
    const gm_conv_geometry *g = &((const gm_conv_attr *)c->node->attr)->geometry;
    gm_var dz = before_last(c), y = c->in[0], w = c->in[1];
    if (c->wanted[0]) c->din[0] = gm_conv2d_sized(c->tape, dz, w, g, size_of(c, 0));
    if (c->wanted[1]) c->din[1] = gm_conv2d_weight(c->tape, dz, y, g, size_of(c, 1));
}

void gm_gradient_conv_weight(gm_chain *c)
{
    const gm_conv_geometry *g = &((const gm_conv_attr *)c->node->attr)->geometry;
    gm_var x = c->in[0], y = c->in[1], dw = c->dy;
    if (c->wanted[0]) c->din[0] = gm_conv_transpose2d_sized(c->tape, y, dw, g, size_of(c, 0));
    if (c->wanted[1]) c->din[1] = gm_conv2d_sized(c->tape, x, dw, g, size_of(c, 1));
}
