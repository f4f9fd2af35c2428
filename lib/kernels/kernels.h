/* kernels.h - pure functions over plain arrays.
 *
 * Everything elementwise is written once in kernels_isa.c, compiled once per instruction set, and
 * reached through one table that the context chooses at creation. Nothing here allocates, fails,
 * checks a shape, or knows a handle. Callers split long ranges over the worker team.
 *
 * `add` in a gradient kernel: 0 stores the result, 1 adds it to what is there.
 */
#ifndef GM_KERNELS_KERNELS_H
#define GM_KERNELS_KERNELS_H

#include <stdint.h>

#include "kernels/activations.h"

/* The functions of one element without arguments, and of two elements: a row is an operation
 * gm_<word>, whose value and slope are in isa/elementwise.inc and whose recorded gradient in
 * autodiff/ops/unary.c or binary.c. */
/* clang-format off */
#define GM_UNARY_TABLE(X)                                                                          \
    X(NEG, neg) X(SQUARE, square) X(ABS, abs) X(EXP, exp) X(LOG, log) X(SIN, sin) X(COS, cos)      \
    X(SQRT, sqrt)             /* gradient at 0 is 0, never NaN */                                  \
    X(NORMAL_CDF, normal_cdf) /* the standard normal distribution function */
#define GM_BINARY_TABLE(X)                                                                         \
    X(ADD, add) X(SUB, sub) X(MUL, mul) X(DIV, div)                                                \
    X(MINIMUM, minimum) X(MAXIMUM, maximum) /* NaN if either is; a tie's gradient is halved */
/* 1 or 0, 0 for NaN; no gradient. */
#define GM_COMPARISON_TABLE(X)                                                                     \
    X(GREATER, greater) X(GREATER_EQUAL, greater_equal) X(LESS, less) X(LESS_EQUAL, less_equal)    \
    X(EQUAL, equal)
/* clang-format on */

/* y = f(x; a, b). The gradient kernels get x and y, and use whichever is cheaper. */
enum {
    GM_UNARY_IDENTITY = 0,
#define GM_UNARY_ROW(WORD, word) GM_UNARY_##WORD,
    GM_UNARY_TABLE(GM_UNARY_ROW)
#undef GM_UNARY_ROW
        GM_UNARY_SCALE, /* a x + b */
    /* to [a, b]; gradient 1 inside and at the ends, 0 outside; NaN stays NaN */
    GM_UNARY_CLAMP,
    GM_UNARY_POW, /* x^a, as pow of libm */
#define GM_UNARY_ROW(WORD, word, parameter, from_result, formula) GM_UNARY_##WORD,
    GM_ACTIVATION_TABLE(GM_UNARY_ROW) /* the formulas are in gm/ops.h; a: the slope */
#undef GM_UNARY_ROW
    GM_UNARY_COUNT
};

enum {
#define GM_BINARY_ROW(WORD, word) GM_BINARY_##WORD,
    GM_BINARY_TABLE(GM_BINARY_ROW) GM_COMPARISON_TABLE(GM_BINARY_ROW)
#undef GM_BINARY_ROW
        GM_BINARY_COUNT
};

/* A vector of the widest instruction set. */
#define GM_GATHER_LANES 16

/* What one optimizer update needs; `step` counts from 1. Each kernel updates n weights in one
 * pass. */
typedef struct gm_update {
    double rate;         /* scheduled learning rate */
    double grad_scale;   /* clipping by norm, folded into the pass */
    double clip_value;   /* 0: none; else gradients are clamped to +-clip_value first */
    double weight_decay; /* L2 (added to the gradient) or decoupled */
    int32_t decoupled;
    int32_t nesterov;
    double momentum;     /* sgd; rmsprop */
    double beta1, beta2; /* adam; rmsprop: beta2 = alpha; adadelta: beta2 = rho */
    double eps;
    int64_t step;
} gm_update;

/* Some channels of every image: `inner` neighbours are one channel of one image, channels follow
 * each other, images begin `stride` floats apart. */
#define GM_WALK_CHANNELS 64 /* of a walk, at most */
typedef struct gm_walk {
    int64_t images, stride, channels, inner;
} gm_walk;

/* One part of a positive definite kernel, a sum of weight k(.). Those of the first three kinds are
 * functions of the squared distance d2, a polynomial is one of the inner product p. */
#define GM_PAIR_RUN 256 /* pairs that a call takes, at most */
enum {
    GM_PART_GAUSSIAN = 0, /* e^(-a d2) */
    GM_PART_LAPLACIAN,    /* e^(-a sqrt(d2)) */
    GM_PART_QUADRATIC,    /* (1 + a d2)^-b */
    GM_PART_POLYNOMIAL    /* (a p + b)^degree */
};
typedef struct gm_part {
    int32_t kind;
    int32_t degree;
    int32_t square; /* a is twice that of the part before, also a Gaussian: its e squared is this
                       one's */
    float weight, a, b;
} gm_part;

/* What the way back of NADE needs for GM_NADE_LANES of its hidden units; all arrays of units have
 * that many columns. The state [rows, lanes] is that of the last place at first: a, h = f(a), and
 * da, dh = 0; at the end da is the gradient of the first place's a. dv and dw are added to. */
#define GM_NADE_LANES 64
typedef struct gm_nade_back {
    int64_t rows, places, parts; /* numbers for each place */
    int64_t classes;             /* 0: x is a value, which scales a row of w; else chooses one */
    int32_t act;                 /* GM_UNARY_RELU, _TANH or _SIGMOID */
    const float *x;              /* [rows, places] */
    const float *dy;             /* [rows, places, parts] */
    const float *v, *w;          /* [places, parts, lanes], [places, classes, lanes] */
    float *dv, *dw;
    float *a, *h, *da, *dh;
} gm_nade_back;

/* C[m,n] = alpha op(A) op(B) + beta C, row-major, ld in elements. ta: A is stored [k,m]; tb: B is
 * stored [n,k]. beta 0 never reads C. No size is 0. */
typedef struct gm_product {
    int ta, tb;
    int64_t m, n, k;
    float alpha, beta;
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
} gm_product;

typedef struct gm_kernels {
    const char *name; /* "baseline", "x86-64-v3", "x86-64-v4" */
    /* Not 0: gm_gemm takes `product` in place of BLAS, which allocates and locks. A copy of a table
     * sets it. */
    int32_t own_products;

    void (*unary)(int32_t kind, float *y, const float *x, float a, float b, int64_t n);
    /* dx (+)= dy f'(x). dx may be dy when add is 0. */
    void (*unary_grad)(int32_t kind, float *dx, const float *dy, const float *x, const float *y,
                       float a, float b, int64_t n, int add);

    /* y_i = p_(i sp) op q_(i sq), strides sp and sq are 0 or 1. y may be p or q when that stride
     * is 1. */
    void (*binary)(int32_t kind, float *y, const float *p, int64_t sp, const float *q, int64_t sq,
                   int64_t n);
    /* Gradient into the first (which = 0) or second (which = 1) operand of an n-element run
     * whose operand strides are sp, sq. If the operand's stride is 1: d_i (+)= ...; if it is 0:
     * d_0 (+)= the sum. */
    void (*binary_grad)(int32_t kind, int which, float *d, const float *dy, const float *p,
                        int64_t sp, const float *q, int64_t sq, int64_t n, int add);

    void (*fill)(float *y, float value, int64_t n);
    void (*axpy)(float *y, float a, const float *x, int64_t n);                    /* y += a x */
    void (*accumulate)(float *y, const float *x, int64_t n, int add);              /* y (+)= x */
    void (*mul_add)(float *y, const float *p, const float *q, int64_t n, int add); /* y (+)= p q */
    /* y_i = x_i where degree_i <= limit, else 0; y may be x */
    void (*mask_below)(float *y, const float *x, const float *degree, float limit, int64_t n);
    double (*sum)(const float *x, int64_t n); /* fixed order, blocks accumulated in double */
    double (*sum_squares)(const float *x, int64_t n);
    double (*dot)(const float *x, const float *y, int64_t n);
    float (*max)(const float *x, int64_t n); /* n >= 1; NaN if any is NaN */
    int (*all_finite)(const float *x, int64_t n);
    /* First index of a value outside [lo, hi] or NaN; n if none. */
    int64_t (*find_outside)(const float *x, float lo, float hi, int64_t n);

    /* Rows of a [rows, cols] array, leading dimension cols. */
    void (*add_bias)(float *y, const float *bias, int64_t rows, int64_t cols, int64_t ld,
                     int32_t act, float a); /* y[r*ld + c] = act(y + bias_c), bias may be NULL */
    void (*column_sums)(float *y, const float *x, int64_t rows, int64_t cols, int64_t ld, int add);
    /* A row with one +inf has its limit: all of the mass is there. A row of -inf, one with several
     * +inf and one with a NaN are NaN. */
    void (*softmax)(float *y, const float *x, int64_t rows, int64_t cols);
    void (*log_softmax)(float *y, const float *x, int64_t rows, int64_t cols);
    /* y = top + rest: the row's largest, and the logarithm of the sum of e^(x - top); any of the
     * three may be NULL. All -inf: y and top -inf, rest NaN; a lone +inf: rest 0, several: NaN. */
    void (*logsumexp)(float *y, float *top, float *rest, const float *x, int64_t rows,
                      int64_t cols);
    /* dx (+)= (dy - sum(dy y)) y, row by row */
    void (*softmax_grad)(float *dx, const float *dy, const float *y, int64_t rows, int64_t cols,
                         int add);
    /* dx (+)= dy - exp(y) sum(dy) */
    void (*log_softmax_grad)(float *dx, const float *dy, const float *y, int64_t rows, int64_t cols,
                             int add);
    /* dx (+)= dy_r exp(x - y_r), y in the two parts above; 0 for a row of -inf */
    void (*logsumexp_grad)(float *dx, const float *dy, const float *x, const float *top,
                           const float *rest, int64_t rows, int64_t cols, int add);

    /* y_g = max of the `pieces` values x[g * pieces ...], and which of them it is, the first if
     * several; NaN if any is NaN. dx gets dy_g there and 0 elsewhere. */
    void (*maxout)(float *y, float *which, const float *x, int64_t groups, int64_t pieces);
    void (*maxout_grad)(float *dx, const float *dy, const float *which, int64_t groups,
                        int64_t pieces, int add);

    /* Per channel: sum x and sum x^2. */
    void (*channel_sums)(const gm_walk *w, double *sum, double *square, const float *x);
    /* y = act(scale_c (x - mean_c) + shift_c) */
    void (*channel_affine)(const gm_walk *w, float *y, const float *x, const float *mean,
                           const float *scale, const float *shift, int32_t act, float a);
    /* dy becomes the gradient before act (taken from y); sum dy and sum dy (x - mean_c) of it. */
    void (*channel_grad_sums)(const gm_walk *w, double *sum, double *dot, float *dy, const float *x,
                              const float *y, const float *mean, int32_t act, float a);
    /* dx (+)= a_c dy + b_c (x - mean_c) + h_c */
    void (*channel_grad)(const gm_walk *w, float *dx, const float *dy, const float *x,
                         const float *mean, const float *a, const float *b, const float *h,
                         int add);
    /* y = act(gamma (x - mean_r) inverse_r + beta), mean and 1 / sqrt(variance + eps) of each row;
     * gamma and beta [cols] may be NULL. The gradients: dy is that before act. */
    void (*norm_rows)(float *y, float *mean, float *inverse, const float *x, const float *gamma,
                      const float *beta, double eps, int64_t rows, int64_t cols, int32_t act,
                      float a);
    void (*norm_rows_grad)(float *dx, const float *dy, const float *x, const float *mean,
                           const float *inverse, const float *gamma, int64_t rows, int64_t cols,
                           int add);
    void (*norm_columns_grad)(float *dgamma, float *dbeta, const float *dy, const float *x,
                              const float *mean, const float *inverse, int64_t rows, int64_t cols,
                              int64_t ld, int add_gamma, int add_beta); /* outputs may be NULL */

    /* Losses, one value a row (sums over cols). rep: how many consecutive rows of the first
     * operand share one row of the target (1 usually; K for K-sample bounds). y, dy, logits and
     * dlogits point at row first_row of the whole, target at its row 0: row first_row + r uses
     * target row (first_row + r) / rep. */
    void (*bce_rows)(float *y, const float *logits, const float *target, int64_t rows, int64_t cols,
                     int64_t first_row, int64_t rep); /* sum softplus(l) - t l */
    void (*bce_rows_grad)(float *dlogits, const float *dy, const float *logits, const float *target,
                          int64_t rows, int64_t cols, int64_t first_row, int64_t rep, int add);
    /* sum (p-q)^2 */
    void (*sqdist_rows)(float *y, const float *p, const float *q, int64_t rows, int64_t cols);
    /* sum 1/2 (log 2 pi + logvar + (x - mean)^2 / e^logvar) */
    void (*gaussian_nll_rows)(float *y, const float *mean, const float *logvar, const float *x,
                              int64_t rows, int64_t cols);
    void (*gaussian_nll_rows_grad)(float *dmean, float *dlogvar, float *dx, const float *dy,
                                   const float *mean, const float *logvar, const float *x,
                                   int64_t rows, int64_t cols, int add_mean, int add_logvar,
                                   int add_x); /* any of the three outputs may be NULL */
    /* KL(N(mean, e^logvar) || N(0, 1)) = 1/2 sum mean^2 + e^logvar - logvar - 1 */
    void (*gaussian_kl_rows)(float *y, const float *mean, const float *logvar, int64_t rows,
                             int64_t cols);
    void (*gaussian_kl_rows_grad)(float *dmean, float *dlogvar, const float *dy, const float *mean,
                                  const float *logvar, int64_t rows, int64_t cols, int add_mean,
                                  int add_logvar); /* either output may be NULL */

    /* Counter-based random numbers: block i of the stream is Philox4x32-10(key, counter + i) and
     * gives four words. Each fills n values from block `block` on; the result depends on (key,
     * stream, block) alone, the same on every instruction set. stream is the upper half of the
     * 128-bit counter, block the lower half. */
    void (*philox_words)(uint32_t *y, uint64_t key, uint64_t stream, uint64_t block, int64_t n);
    /* [0, 1) */
    void (*uniform)(float *y, uint64_t key, uint64_t stream, uint64_t block, int64_t n);
    /* N(0, 1) */
    void (*normal)(float *y, uint64_t key, uint64_t stream, uint64_t block, int64_t n);
    /* y_i = 1 if uniform_i < p_i else 0; y may be p */
    void (*bernoulli)(float *y, const float *p, uint64_t key, uint64_t stream, uint64_t block,
                      int64_t n);
    /* y_i = x_i * (uniform_i >= drop ? 1 / (1 - drop) : 0); backward is the same call on dy with
     * add */
    void (*dropout)(float *y, const float *x, float drop, uint64_t key, uint64_t stream,
                    uint64_t block, int64_t n, int add);

    /* |x - y|^2 and x.y, in double: symmetric, the same bits for every instruction set. */
    double (*pair_sqdist)(const float *x, const float *y, int64_t n);
    double (*pair_dot)(const float *x, const float *y, int64_t n);

    /* d2_i = a + b_i - 2 p_i, not below 0: the squared distance of two points from their norms and
     * product. Not 0 when some d2_i is below near (a + b_i), where few digits are left of it. */
    int64_t (*pair_distances)(float *d2, const float *p, float a, const float *b, float near,
                              int64_t n);
    /* The kernel of n <= GM_PAIR_RUN pairs, and its slope: 2 dk/d(d2), or dk/dp; `from` is d2 or p,
     * parts are all of one sort. Returns the sum of the values. */
    double (*pair_kernel)(float *value, float *slope, const float *from, const gm_part *parts,
                          int32_t count, int64_t n);

    void (*bytes_to_float)(float *y, const uint8_t *x, float scale, float shift, int64_t n);

    /* A matrix product whose left operand is gathered: it is where it lies, at any offsets.
     *   y[r ldy + l] (+)= start + sum_d x[row[r] + step[d]] b[d ldb + l],  l < lanes
     * lanes: a multiple of GM_GATHER_LANES. start: NULL, or one value a row (by_row) or a lane.
     * Every sum runs over d in order. */
    void (*gather_product)(float *y, int64_t ldy, const float *x, const int64_t *row, int64_t rows,
                           const int64_t *step, int64_t depth, const float *b, int64_t ldb,
                           int64_t lanes, const float *start, int by_row, int add);
    /* A product on the calling thread, for few rows: the bits of a row of C depend on n and k, not
     * on m or on where the row is. */
    void (*product)(const gm_product *p);
    /* y[c ldy + r] (+)= x[r ldx + c] */
    void (*transpose)(float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows,
                      int64_t cols, int add);
    /* y[r ldy + c] = x[r ldx + c] */
    void (*copy_rows)(float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows,
                      int64_t cols);
    /* Where x[j stride] is above best[j], or NaN: best[j] becomes it, at[j] first + j stride. */
    void (*pool_max)(float *best, int32_t *at, const float *x, int64_t stride, int32_t first,
                     int64_t n);

    /* y_r = start_r + sum_j v[r n + j] h_j; the same bits for any number of rows */
    void (*nade_dots)(float *y, const float *start, const float *v, const float *h, int64_t rows,
                      int64_t n);
    /* a += x w (not if w is NULL); h = f(a) */
    void (*nade_units)(float *h, float *a, const float *w, float x, int32_t act, int64_t n);
    /* Places to - 1 down to from, of all rows */
    void (*nade_back)(const gm_nade_back *p, int64_t from, int64_t to);

    /* Optimizer updates, one pass. prev, where not NULL, receives the weights as they were. */
    /* m NULL: no momentum */
    void (*sgd)(float *w, const float *g, float *m, float *prev, const gm_update *u, int64_t n);
    void (*adam)(float *w, const float *g, float *m, float *v, float *prev, const gm_update *u,
                 int64_t n);
    void (*rmsprop)(float *w, const float *g, float *v, float *m, float *prev, const gm_update *u,
                    int64_t n); /* m NULL: no momentum */
    void (*adagrad)(float *w, const float *g, float *v, float *prev, const gm_update *u, int64_t n);
    void (*adadelta)(float *w, const float *g, float *v, float *d, float *prev, const gm_update *u,
                     int64_t n);
    /* avg = decay avg + (1-decay) w */
    void (*ema)(float *avg, const float *w, double decay, int64_t n);
} gm_kernels;

/* The best table for this processor. force: NULL, or a table's name (tests), NULL is returned
 * when the processor cannot run it or no such table was built. */
const gm_kernels *gm_kernels_choose(const char *force);

#endif
