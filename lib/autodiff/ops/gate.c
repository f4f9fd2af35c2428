/* gate.c - tanh(a) sigmoid(b) of the two halves of the last axis, the gate of gated convolutions.
 */
#include "autodiff/gradient.h"
#include "tensor/tensor.h"

#define PIECE 512 /* floats that are turned into gradients at a time */

/* Saved: tanh(a), then sigmoid(b), as many floats as the result each. */
typedef struct gate_job {
    const gm_kernels *k;
    int64_t half; /* columns of the result */
    float *y, *a, *b;
    const float *x, *dy;
    float *dx;
    int add;
} gate_job;

static gm_status infer(gm_call *c)
{
    const gm_node *x = c->in[0];
    if (x->rank < 1 || x->shape[x->rank - 1] % 2 || x->shape[x->rank - 1] < 2) {
        char text[GM_SHAPE_TEXT];
        gm_shape_text(text, x->rank, x->shape);
        return gm_fail(c->ctx, GM_E_SHAPE, "gate: input is %s, expected an even last axis", text);
    }
    gm_infer_same(c);
    c->out->shape[x->rank - 1] /= 2;
    c->saved = x->count;
    return GM_OK;
}

static gate_job job_of(const gm_call *c)
{
    const gm_node *y = c->out;
    gate_job j = { c->k,
                   y->shape[y->rank - 1],
                   y->value,
                   y->saved,
                   y->saved + y->count,
                   c->in[0]->value,
                   y->grad,
                   c->grad[0],
                   c->add[0] };
    return j;
}

static void forward_rows(void *arg, int64_t begin, int64_t end)
{
    const gate_job *j = arg;
    const int64_t d = j->half, at = begin * d, n = (end - begin) * d;
    const float *x = j->x + 2 * at;
    j->k->copy_rows(j->a + at, d, x, 2 * d, end - begin, d);
    j->k->copy_rows(j->b + at, d, x + d, 2 * d, end - begin, d);
    j->k->unary(GM_UNARY_TANH, j->a + at, j->a + at, 0, 0, n);
    j->k->unary(GM_UNARY_SIGMOID, j->b + at, j->b + at, 0, 0, n);
    j->k->mul_add(j->y + at, j->a + at, j->b + at, n, 0);
}

static int64_t grain_of(const gate_job *j)
{
    return j->half < 2048 ? 2048 / j->half : 1;
}

static gm_status forward(gm_call *c)
{
    gate_job j = job_of(c);
    gm_team_range(c->team, c->out->count / j.half, grain_of(&j), forward_rows, &j);
    return GM_OK;
}

static void store(const gate_job *j, float *dx, const float *from, int64_t rows, int64_t cols)
{
    if (!j->add)
        j->k->copy_rows(dx, 2 * j->half, from, cols, rows, cols);
    else
        for (int64_t r = 0; r < rows; r++)
            j->k->accumulate(dx + r * 2 * j->half, from + r * cols, cols, 1);
}

/* da = dy b (1 - a^2), db = dy a b (1 - b), with a and b the saved values. */
static void backward_rows(void *arg, int64_t begin, int64_t end)
{
    const gate_job *j = arg;
    const int64_t d = j->half, cols = d < PIECE ? d : PIECE, rows = PIECE / cols;
    float piece[PIECE];
    for (int64_t r = begin; r < end; r += rows)
        for (int64_t c = 0; c < d; c += cols) {
            const int64_t high = end - r < rows ? end - r : rows,
                          wide = d - c < cols ? d - c : cols;
            const int64_t at = r * d + c, n = high * wide;
            float *dx = j->dx + r * 2 * d + c;
            j->k->mul_add(piece, j->dy + at, j->b + at, n, 0);
            j->k->unary_grad(GM_UNARY_TANH, piece, piece, j->a + at, j->a + at, 0, 0, n, 0);
            store(j, dx, piece, high, wide);
            j->k->mul_add(piece, j->dy + at, j->a + at, n, 0);
            j->k->unary_grad(GM_UNARY_SIGMOID, piece, piece, j->b + at, j->b + at, 0, 0, n, 0);
            store(j, dx + d, piece, high, wide);
        }
}

static void backward(gm_call *c)
{
    gate_job j = job_of(c);
    if (j.dx) gm_team_range(c->team, c->out->count / j.half, grain_of(&j), backward_rows, &j);
}

static void gradient(gm_chain *c)
{
    const int32_t last = c->node->rank - 1;
    const int64_t d = c->node->shape[last];
    gm_tape *tape = c->tape;
    gm_var a = gm_tanh(tape, gm_slice(tape, c->in[0], last, 0, d));
    gm_var b = gm_sigmoid(tape, gm_slice(tape, c->in[0], last, d, 2 * d));
    gm_var both[2] = {
        gm_mul(tape, gm_mul(tape, c->dy, b), gm_shift(tape, gm_neg(tape, gm_square(tape, a)), 1)),
        gm_mul(tape, gm_mul(tape, c->dy, a), gm_mul(tape, b, gm_shift(tape, gm_neg(tape, b), 1))),
    };
    c->din[0] = gm_concat(tape, both, 2, last);
}

const gm_op gm_op_gate = { "gate", 1, infer, forward, backward, gradient };

gm_var gm_gate(gm_tape *tape, gm_var x)
{
    return gm_record1(tape, &gm_op_gate, x, NULL, 0);
}
