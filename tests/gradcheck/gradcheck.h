/* gradcheck.h - central differences against gm_backward, in the double-precision build.
 *
 * A case builds an operation (or a chain) on variables; the loss is the sum of its output times
 * fixed random weights. Each case runs once as it is and once recorded twice on the same variables,
 * so that both ways of writing a gradient, storing and adding, are seen.
 */
#ifndef GM_TESTS_GRADCHECK_H
#define GM_TESTS_GRADCHECK_H

#include "autodiff/tape.h"

#include "gm/loss.h"
#include "gm/norm.h"
#include "gm/ops.h"
#include "support.h"

#define INPUTS 8
#define STEP 1e-5
#define TOLERANCE 1e-7

typedef struct input {
    int32_t rank;
    int64_t shape[6];
    double low, high; /* values are drawn from here */
    double gap;       /* and keep this far from 0 (a kink) */
    int64_t whole;    /* > 0: whole numbers below it, with gradient 0 */
} input;

typedef gm_var (*build_fn)(gm_tape *t, const gm_var *v);

typedef struct grad_case {
    const char *op;
    const char *what;
    build_fn build;
    int count;
    input in[INPUTS];
} grad_case;

#define UNARY(word)                                                                                \
    static gm_var build_##word(gm_tape *t, const gm_var *v)                                        \
    {                                                                                              \
        return gm_##word(t, v[0]);                                                                 \
    }
#define BINARY(word)                                                                               \
    static gm_var build_##word(gm_tape *t, const gm_var *v)                                        \
    {                                                                                              \
        return gm_##word(t, v[0], v[1]);                                                           \
    }
#define TERNARY(word)                                                                              \
    static gm_var build_##word(gm_tape *t, const gm_var *v)                                        \
    {                                                                                              \
        return gm_##word(t, v[0], v[1], v[2]);                                                     \
    }
/* A builder of any expression in t and v. */
#define BUILD(word, expression)                                                                    \
    static gm_var build_##word(gm_tape *t, const gm_var *v)                                        \
    {                                                                                              \
        return expression;                                                                         \
    }

#define ANY -1.5, 1.5, 0, 0
#define SMOOTH -1.5, 1.5, 0.05, 0
#define POSITIVE 0.3, 2, 0, 0
#define UNIT 0.05, 0.95, 0, 0
#define WHOLE(n) 0, 0, 0, n

/* Everything about one case that stays the same from recording to recording. */
typedef struct trial {
    const grad_case *c;
    gm_tape *tape;
    gm_rng_state start;
    float *data[INPUTS];
    int64_t count[INPUTS];
    float *weight; /* of each output element */
    int twice;
    gm_var in[INPUTS];
    gm_var loss;
} trial;

static int64_t size_of(const input *in)
{
    int64_t n = 1;
    for (int32_t i = 0; i < in->rank; i++) n *= in->shape[i];
    return n;
}

static void draw(gm_rng *rng, const input *in, float *data, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (in->whole) {
            data[i] = (float)gm_rng_below(rng, in->whole);
            continue;
        }
        do {
            data[i] = in->low + (in->high - in->low) * gm_rng_double(rng);
        } while (fabs(data[i]) < in->gap);
    }
}

/* Records the case; the loss is computed here, outside the library. */
static double record(trial *r, gm_rng *rng)
{
    gm_tape_reset(r->tape);
    gm_var part[2];
    double loss = 0;
    for (int i = 0; i < r->c->count; i++)
        r->in[i] = gm_variable(r->tape, r->c->in[i].rank, r->c->in[i].shape, r->data[i]);
    for (int k = 0; k <= r->twice; k++) {
        gm_rng_restore(gm_tape_rng(r->tape), &r->start);
        gm_var y = r->c->build(r->tape, r->in);
        ck_assert_msg(gm_tape_status(r->tape) == GM_OK, "%s (%s): %s", r->c->op, r->c->what,
                      gm_context_error(gm_tape_context(r->tape)));
        int64_t n = gm_count(r->tape, y);
        if (!r->weight) {
            r->weight = calloc((size_t)n, sizeof *r->weight);
            for (int64_t i = 0; i < n; i++) r->weight[i] = gm_rng_double(rng) - 0.5;
        }
        const float *value = gm_value(r->tape, y);
        for (int64_t i = 0; i < n; i++) loss += r->weight[i] * value[i];
        gm_var w = gm_input_array(r->tape, gm_rank(r->tape, y), gm_shape(r->tape, y), r->weight);
        part[k] = gm_sum(r->tape, gm_mul(r->tape, y, w));
    }
    r->loss = r->twice ? gm_add(r->tape, part[0], part[1]) : part[0];
    ck_assert_int_eq(gm_tape_status(r->tape), GM_OK);
    ck_assert_double_eq_tol(gm_scalar(r->tape, r->loss), loss, 1e-10 * (1 + fabs(loss)));
    return loss;
}

static void check_input(trial *r, int which, gm_rng *rng)
{
    const grad_case *c = r->c;
    int64_t n = r->count[which];
    int64_t trials = n <= 64 ? n : 24;
    float *found = malloc((size_t)n * sizeof *found);
    (void)record(r, rng);
    ck_assert_int_eq(gm_backward(r->tape, r->loss, NULL), GM_OK);
    ck_assert_ptr_nonnull(gm_gradient_of(r->tape, r->in[which]));
    memcpy(found, gm_gradient_of(r->tape, r->in[which]), (size_t)n * sizeof *found);
    for (int64_t k = 0; k < trials; k++) {
        int64_t i = n <= 64 ? k : gm_rng_below(rng, n);
        double expected = 0, kept = r->data[which][i];
        if (!c->in[which].whole) {
            r->data[which][i] = kept + STEP;
            double above = record(r, rng);
            r->data[which][i] = kept - STEP;
            double below = record(r, rng);
            r->data[which][i] = kept;
            expected = (above - below) / (2 * STEP);
        }
        double error = fabs(found[i] - expected);
        ck_assert_msg(error <= TOLERANCE * (1 + fabs(expected)),
                      "%s (%s)%s: input %d element %lld: gradient %.12g, differences give %.12g",
                      c->op, c->what, r->twice ? ", twice" : "", which, (long long)i, found[i],
                      expected);
    }
    free(found);
}

static inline void run_case(const grad_case *c, int32_t threads, int twice)
{
    gm_context *ctx = support_context(11, threads);
    gm_rng *rng = NULL;
    trial r = { .c = c, .twice = twice };
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 5), GM_OK);
    ck_assert_int_eq(gm_tape_create(&r.tape, ctx, NULL), GM_OK);
    gm_rng_save(&r.start, gm_tape_rng(r.tape));
    for (int i = 0; i < c->count; i++) {
        r.count[i] = size_of(&c->in[i]);
        r.data[i] = malloc((size_t)r.count[i] * sizeof(float));
        draw(rng, &c->in[i], r.data[i], r.count[i]);
    }
    for (int i = 0; i < c->count; i++) check_input(&r, i, rng);
    for (int i = 0; i < c->count; i++) free(r.data[i]);
    free(r.weight);
    gm_tape_release(r.tape);
    gm_rng_release(rng);
    gm_context_release(ctx);
}

#endif
