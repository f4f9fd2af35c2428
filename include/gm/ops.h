/* gm/ops.h - the operations on a tape.
 *
 * Every operation records itself on `tape`, computes at once and returns its result as a variable.
 * None needs a check: the first failure sticks to the tape, later operations do nothing and return
 * an invalid variable, gm_backward and gm_tape_status return the status of the first failure, and
 * the context's error line names the operation and the shapes.
 *
 * Statuses that can stick, for every operation: GM_E_STALE (an argument is of another recording or
 * tape), GM_E_NOMEM, and those named below. tape NULL gives an invalid variable.
 *
 * Arrays given by pointer (axes, shapes, permutations, parts) are read during the call. Variables
 * are 8-byte values; the same one may be given several times. Every operation has a gradient with
 * respect to all its inputs unless its comment says otherwise. Results are bit for bit the same for
 * any number of threads.
 *
 * Shapes: "[..., d]" stands for any number of leading axes, possibly none. Axes count from 0; a
 * negative axis counts from the end. Scalars given as double must be finite when converted to float
 * (GM_E_INVALID), except the limits of gm_clamp. Elements are float; NaN and infinity propagate as
 * in floating-point arithmetic.
 */
#ifndef GM_OPS_H
#define GM_OPS_H

#include "gm/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "No variable", for optional arguments. */
#ifdef __cplusplus
#define GM_NO_VAR (gm_var{ 0, 0 })
#else
#define GM_NO_VAR ((gm_var){ 0, 0 })
#endif

#define GM_ACTIVATION_NONE 0
#define GM_ACTIVATION_RELU 1       /* max(x, 0) */
#define GM_ACTIVATION_LEAKY_RELU 2 /* x above 0, slope x below */
#define GM_ACTIVATION_ELU 3        /* x above 0, slope (e^x - 1) below; Clevert et al. 2016 */
#define GM_ACTIVATION_TANH 4
#define GM_ACTIVATION_SIGMOID 5  /* 1 / (1 + e^-x) */
#define GM_ACTIVATION_SOFTPLUS 6 /* log(1 + e^x) */
#define GM_ACTIVATION_SILU 7     /* x / (1 + e^-x); Elfwing et al. 2018, also called swish */
/* GELU: x P(x) with the standard normal distribution function P (Hendrycks and Gimpel 2016);
 * GELU_TANH: their approximation x / (1 + e^-u), u = 2 sqrt(2 / pi) (x + 0.044715 x^3). */
#define GM_ACTIVATION_GELU 8
#define GM_ACTIVATION_GELU_TANH 9

/* Arithmetic, element by element, with broadcasting: shapes are aligned at their last axes, and an
 * axis of size 1 (or one that is missing) is repeated to the other's size, as in NumPy. A gradient
 * is summed over what was repeated. GM_E_SHAPE: two sizes differ and neither is 1. */
GM_API gm_var gm_add(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_sub(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_mul(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_div(gm_tape *tape, gm_var a, gm_var b);
/* The smaller, and the larger, of two elements; NaN where either is NaN. The gradient goes to the
 * operand that is the result, half to each where they are equal, and in full to both where one is
 * NaN (as in PyTorch). */
GM_API gm_var gm_minimum(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_maximum(gm_tape *tape, gm_var a, gm_var b);

/* 1 where a > b (a >= b, a < b, a <= b, a == b), else 0, also where one is NaN; broadcast as above.
 * Constants for gm_backward. GM_E_SHAPE as above. */
GM_API gm_var gm_greater(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_greater_equal(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_less(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_less_equal(gm_tape *tape, gm_var a, gm_var b);
GM_API gm_var gm_equal(gm_tape *tape, gm_var a, gm_var b);

/* a where condition is not 0 (NaN is not), b elsewhere; all three broadcast. Only the operand that
 * was taken gets a gradient, and the other gets 0, even if it is NaN or infinite; the condition's
 * gradient is 0. To differentiate through a function that is infinite or NaN where it is not taken,
 * apply gm_where to its argument, too: a gradient of 0 times an infinite slope is NaN. GM_E_SHAPE
 * as above. */
GM_API gm_var gm_where(gm_tape *tape, gm_var condition, gm_var a, gm_var b);

/* Functions of each element; the result has the input's shape. */
GM_API gm_var gm_neg(gm_tape *tape, gm_var a);
GM_API gm_var gm_scale(gm_tape *tape, gm_var a, double factor); /* factor a */
GM_API gm_var gm_shift(gm_tape *tape, gm_var a, double amount); /* a + amount */
GM_API gm_var gm_square(gm_tape *tape, gm_var a);
GM_API gm_var gm_sqrt(gm_tape *tape, gm_var a); /* the gradient at 0 is 0 */
GM_API gm_var gm_abs(gm_tape *tape, gm_var a);  /* the gradient at 0 is 0 */
GM_API gm_var gm_exp(gm_tape *tape, gm_var a);
GM_API gm_var gm_log(gm_tape *tape, gm_var a);
GM_API gm_var gm_relu(gm_tape *tape, gm_var a); /* the gradient at 0 is 0 */
/* slope and alpha: 0 or more (GM_E_INVALID). */
GM_API gm_var gm_leaky_relu(gm_tape *tape, gm_var a, double slope);
GM_API gm_var gm_elu(gm_tape *tape, gm_var a, double alpha);
GM_API gm_var gm_tanh(gm_tape *tape, gm_var a);
GM_API gm_var gm_sigmoid(gm_tape *tape, gm_var a);
GM_API gm_var gm_softplus(gm_tape *tape, gm_var a);
/* All three are 0, not NaN, at -infinity. gm_gelu is the exact function, as is PyTorch's default;
 * gm_gelu_tanh is the approximation with which some published networks were trained. */
GM_API gm_var gm_silu(gm_tape *tape, gm_var a);
GM_API gm_var gm_gelu(gm_tape *tape, gm_var a);
GM_API gm_var gm_gelu_tanh(gm_tape *tape, gm_var a);
/* The standard normal distribution function, accurate also where it is small. */
GM_API gm_var gm_normal_cdf(gm_tape *tape, gm_var a);
GM_API gm_var gm_sin(gm_tape *tape, gm_var a);
GM_API gm_var gm_cos(gm_tape *tape, gm_var a);
/* a^exponent, as C's pow: 1 for an exponent of 0, NaN for a negative a with an exponent that is not
 * an integer. The gradient is exponent a^(exponent - 1), and 0 for an exponent of 0. */
GM_API gm_var gm_pow(gm_tape *tape, gm_var a, double exponent);

/* One of the activations by number (GM_ACTIVATION_*); slope is used by LEAKY_RELU and ELU. NONE
 * returns a itself. GM_E_INVALID: unknown number, negative slope. */
GM_API gm_var gm_activate(gm_tape *tape, gm_var a, int32_t activation, double slope);
/* The name of an activation: "none", "relu", "leaky_relu", "elu", "tanh", "sigmoid", "softplus",
 * "silu", "gelu", "gelu_tanh"; static text, NULL for an unknown number. And the number of a name:
 * -1 for an unknown name and NULL. */
GM_API const char *gm_activation_name(int32_t activation);
GM_API int32_t gm_activation_number(const char *name);
/* The activation of a single value x, rounded to float: the result of gm_activate up to the last
 * bits. NaN for an unknown activation. */
GM_API double gm_activation_value(int32_t activation, double slope, double x);
/* min(max(a, low), high); NaN stays NaN. The gradient is 1 from low to high, ends included, and 0
 * outside. low and high may be infinite. GM_E_INVALID: low above high, a limit NaN. */
GM_API gm_var gm_clamp(gm_tape *tape, gm_var a, double low, double high);

/* Over the last axis, [..., d] with d >= 1 (GM_E_SHAPE: rank 0 or d = 0). Safe against overflow:
 * the row's maximum is subtracted first. A single +infinity in a row has all of the mass (softmax
 * is 1 there, 0 elsewhere). A row of only -infinity, or with several +infinities, gives NaN, except
 * that gm_logsumexp gives -infinity (with gradient 0) and +infinity, respectively. */
GM_API gm_var gm_softmax(gm_tape *tape, gm_var a);     /* [..., d], e^a / sum e^a */
GM_API gm_var gm_log_softmax(gm_tape *tape, gm_var a); /* [..., d], a - log sum e^a */
GM_API gm_var gm_logsumexp(gm_tape *tape, gm_var a);   /* [...], log sum e^a */

/* The maximum of each `pieces` (>= 1) consecutive elements of the last axis: [..., units pieces]
 * gives [..., units] (maxout; Goodfellow et al. 2013). NaN if any of them is NaN. The gradient goes
 * to the largest element, the first one if several are equal. GM_E_INVALID: pieces below 1;
 * GM_E_SHAPE: rank 0, or pieces does not divide the last axis. */
GM_API gm_var gm_maxout(gm_tape *tape, gm_var x, int64_t pieces);

/* tanh(a) sigmoid(b) of the halves of the last axis: [..., 2 d] gives [..., d], a the first d
 * elements and b the others (the gate of van den Oord et al. 2016, "Conditional image generation
 * with PixelCNN decoders", equation 2). GM_E_SHAPE: rank 0, a last axis that is odd or 0. */
GM_API gm_var gm_gate(gm_tape *tape, gm_var x);

/* The sum, and the mean, of all elements; the result has rank 0. The sum of no elements is 0.
 * Accumulated in double. gm_mean: GM_E_SHAPE: a has no elements. */
GM_API gm_var gm_sum(gm_tape *tape, gm_var a);
GM_API gm_var gm_mean(gm_tape *tape, gm_var a);

/* The sum, and the mean, over `count` of the axes (0: over none, a copy). keep not 0: these axes
 * stay, with size 1; else they are dropped. GM_E_INVALID: axes NULL with count above 0, count out
 * of range, an axis out of range or named twice; gm_mean_axes: GM_E_SHAPE: a mean of no elements.
 */
GM_API gm_var gm_sum_axes(gm_tape *tape, gm_var a, const int32_t *axes, int32_t count,
                          int32_t keep);
GM_API gm_var gm_mean_axes(gm_tape *tape, gm_var a, const int32_t *axes, int32_t count,
                           int32_t keep);

/* The smallest and the largest along an axis of size 1 or more; keep as above. NaN if any element
 * is NaN. The gradient goes to a single element, the first of the extremes (or of the NaN).
 * GM_E_INVALID: axis out of range; GM_E_SHAPE: the axis has no elements, or 2^31 or more. */
GM_API gm_var gm_min(gm_tape *tape, gm_var a, int32_t axis, int32_t keep);
GM_API gm_var gm_max(gm_tape *tape, gm_var a, int32_t axis, int32_t keep);

/* Running sums along an axis, in a's shape: element i is the sum of elements 0 to i. Accumulated in
 * double. GM_E_INVALID: axis out of range. */
GM_API gm_var gm_cumsum(gm_tape *tape, gm_var a, int32_t axis);

/* a broadcast to this shape by the rule of gm_add; the gradient is summed over what was repeated.
 * GM_E_SHAPE: a does not broadcast to it; GM_E_INVALID: shape NULL with rank above 0, rank out of
 * range, a negative size. */
GM_API gm_var gm_broadcast(gm_tape *tape, gm_var a, int32_t rank, const int64_t *shape);

/* op(a) op(b), op transposing the last two axes where its flag is not 0: [m, k] and [k, n] give [m,
 * n]; with up to four leading axes, one product for each index of them: [b, h, m, k] and [b, h, k,
 * n] give [b, h, m, n]. Leading axes broadcast as in gm_add: [b, m, k] and [k, n] give [b, m, n].
 * GM_E_SHAPE: a rank below 2, leading axes that do not broadcast, inner sizes that differ. */
GM_API gm_var gm_matmul(gm_tape *tape, gm_var a, gm_var b, int32_t transpose_a,
                        int32_t transpose_b);

/* activation(x weight^T + bias), in one pass: x [..., in], weight [out, in], bias [out] or
 * GM_NO_VAR; the result is [..., out]. Activations and slope as in gm_activate. GM_E_SHAPE: sizes
 * do not fit; GM_E_INVALID: unknown activation, negative slope. */
GM_API gm_var gm_linear(gm_tape *tape, gm_var x, gm_var weight, gm_var bias, int32_t activation,
                        double slope);

/* The same elements in another shape, without a copy. One size may be -1: it follows from the
 * others. GM_E_INVALID: shape NULL with rank above 0, rank out of range, a negative size other than
 * one -1; GM_E_SHAPE: another number of elements, or the size for -1 cannot be determined. */
GM_API gm_var gm_reshape(gm_tape *tape, gm_var a, int32_t rank, const int64_t *shape);

/* Axis i of the result is axis perm[i] of a; perm has as many entries as a has axes. perm NULL
 * reverses the axes. GM_E_INVALID: perm is no permutation. */
GM_API gm_var gm_transpose(gm_tape *tape, gm_var a, const int32_t *perm);

/* Joins 1 to 16 parts along an axis. All other sizes must agree (GM_E_SHAPE).
 * GM_E_INVALID: parts NULL, count or axis out of range. */
GM_API gm_var gm_concat(gm_tape *tape, const gm_var *parts, int32_t count, int32_t axis);

/* Elements begin .. end-1 of an axis. GM_E_INVALID: axis out of range, not 0 <= begin <= end <=
 * size. */
GM_API gm_var gm_slice(gm_tape *tape, gm_var a, int32_t axis, int64_t begin, int64_t end);

/* The reverse of gm_concat: cuts a along an axis into `count` (>= 1) parts, parts[i] with sizes[i]
 * of that axis; sizes NULL: all parts have the same size. parts must have room for `count`
 * variables, which are also written on failure, then as invalid ones. Returns the tape's status.
 * GM_E_INVALID: axis or count out of range, parts NULL, a negative size; GM_E_SHAPE: the sizes do
 * not add up to the axis, or `count` does not divide it. */
GM_API gm_status gm_split(gm_tape *tape, gm_var a, int32_t axis, int32_t count,
                          const int64_t *sizes, gm_var *parts);

/* Takes rows of a table by index: table [n, ...], indices [m...]; the result is [m..., ...].
 * Indices are whole numbers from 0 to n-1 stored as float. The gradients of rows that are taken
 * several times add up; indices have gradient 0. GM_E_SHAPE: table of rank 0, result of rank over
 * 6; GM_E_INVALID: an index is not a whole number or is out of range (the error line has its place,
 * value and limit). */
GM_API gm_var gm_gather(gm_tape *tape, gm_var table, gm_var indices);

/* One-hot vectors: indices [m...], whole numbers from 0 to classes - 1 stored as float, give [m...,
 * classes], 1 at the index and 0 elsewhere. A constant for gm_backward. GM_E_SHAPE: result of rank
 * over 6; GM_E_INVALID: classes below 1, an index that is no class (as for gm_gather). */
GM_API gm_var gm_one_hot(gm_tape *tape, gm_var indices, int64_t classes);

/* Repeats each row of the first axis `times` (>= 1) times consecutively: [n, ...] gives [n times,
 * ...], for times = 3 the rows 0 0 0 1 1 1 ... GM_E_SHAPE: rank 0, or more elements than can be
 * addressed; GM_E_INVALID: times below 1. */
GM_API gm_var gm_repeat_rows(gm_tape *tape, gm_var a, int64_t times);

/* In training mode (GM_TAPE_TRAIN) each element becomes 0 with probability p, else a / (1 - p);
 * otherwise, and for p = 0, it is a itself (Srivastava et al. 2014, in the inverted form). Draws
 * from the tape's rng. GM_E_INVALID: p not in [0, 1). */
GM_API gm_var gm_dropout(gm_tape *tape, gm_var a, double p);

/* a, as a constant: no gradient passes. The values are not copied. */
GM_API gm_var gm_stop_gradient(gm_tape *tape, gm_var a);

/* mean + e^(log_variance / 2) eps, eps ~ N(0, 1) drawn from the tape's rng: a sample of
 * N(mean, e^log_variance) through which gradients pass (Kingma and Welling 2014, the
 * reparameterisation trick). GM_E_SHAPE: the shapes differ. */
GM_API gm_var gm_gaussian_draw(gm_tape *tape, gm_var mean, gm_var log_variance);

/* 1 with probability 1 / (1 + e^-logit), else 0, for each element, drawn from the tape's rng. A
 * constant for gm_backward: no gradient passes through a draw (for estimators see gm/sbn.h). */
GM_API gm_var gm_bernoulli_draw(gm_tape *tape, gm_var logits);

/* The weights of a NADE, with the shapes given below. */
typedef struct gm_nade_weights {
    gm_var w, c, v, b;
} gm_nade_weights;

/* The conditionals of NADE (Larochelle and Murray 2011; Uria et al. 2016), places in the order in
 * which they stand:
 *     a_1 = c,   h_d = activation(a_d),   y_d = b_d + V_d h_d,   a_(d+1) = a_d + x_d W_d.
 * Shapes: x [n, D]; w [D, H]; c [H]; v [D, H] and b [D] give [n, D], one number (a logit) for each
 * place; v [D, P, H] and b [D, P] give [n, D, P]. With w [D, K, H], x are class numbers, and
 * a_(d+1) = a_d + W_(d, x_d). y_d depends on x_1 .. x_(d-1) alone. w and v may be the same
 * variable. Where x_d is 0 no hidden unit is updated, forwards or backwards, and only the last
 * activations are kept. activation: GM_ACTIVATION_RELU, _TANH, _SIGMOID (GM_E_INVALID). x is data:
 * its gradient is 0. GM_E_SHAPE: sizes do not fit, or no places or units; GM_E_INVALID: a class out
 * of range (row, column and value in the line). */
GM_API gm_var gm_nade_conditionals(gm_tape *tape, gm_var x, const gm_nade_weights *weights,
                                   int32_t activation);

/* The same place by place, where `choose` supplies the values: given the P numbers of the
 * conditional at `place` of `row` it returns the value there. The result is the values, [rows, D],
 * a constant for gm_backward. Within a row places come in order; rows may be processed concurrently
 * on several threads of the context, so choose must write only data of its own row. It must not use
 * the tape. Arguments and statuses as above; GM_E_INVALID also: rows < 1, choose NULL. */
typedef float gm_nade_choose(void *user, int64_t row, int64_t place, const float *conditional);
GM_API gm_var gm_nade_walk(gm_tape *tape, int64_t rows, const gm_nade_weights *weights,
                           int32_t activation, gm_nade_choose *choose, void *user);

#ifdef __cplusplus
}
#endif

#endif
