/* shape.c - the same elements in another shape or order: reshape, transpose; stop_gradient. */
#include "autodiff/gradient.h"

typedef struct reshape_attr {
    int32_t rank;
    int64_t shape[GM_MAX_RANK];
} reshape_attr;

static gm_status reshape_infer(gm_call *c)
{
    const reshape_attr *attr = c->attr;
    const gm_node *a = c->in[0];
    char from[GM_SHAPE_TEXT], to[GM_SHAPE_TEXT];
    int32_t open = -1;
    int64_t known = 1;
    int fits = 1;
    gm_shape_text(from, a->rank, a->shape);
    gm_shape_text(to, attr->rank, attr->shape);
    for (int32_t i = 0; i < attr->rank; i++) {
        int64_t size = attr->shape[i];
        if (size < -1 || (size == -1 && open >= 0))
            return gm_fail(c->ctx, GM_E_INVALID,
                           "reshape: %s to %s, expected sizes and at most one -1", from, to);
        if (size == -1)
            open = i;
        else if (!gm_mul_size(known, size, &known))
            fits = 0;
    }
    c->out->rank = attr->rank;
    memcpy(c->out->shape, attr->shape, sizeof attr->shape);
    if (fits && open >= 0 && known > 0 && a->count % known == 0)
        c->out->shape[open] = a->count / known;
    else if (!fits || open >= 0 || known != a->count)
        return gm_fail(c->ctx, GM_E_SHAPE, "reshape: %s has %lld elements and does not become %s",
                       from, (long long)a->count, to);
    c->alias = 1;
    return GM_OK;
}

static gm_status alias_forward(gm_call *c)
{
    (void)c;
    return GM_OK;
}

static void reshape_backward(gm_call *c)
{
    if (c->grad[0]) gm_accumulate_over(c, c->grad[0], c->out->grad, c->out->count, c->add[0]);
}

static void reshape_gradient(gm_chain *c)
{
    c->din[0] = gm_chain_reshape(c->tape, c->dy, c->from[0]);
}

const gm_op gm_op_reshape = { "reshape",       1, reshape_infer, alias_forward, reshape_backward,
                              reshape_gradient };

gm_var gm_reshape(gm_tape *tape, gm_var a, int32_t rank, const int64_t *shape)
{
    reshape_attr attr = { .rank = rank };
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    if (rank < 0 || rank > GM_MAX_RANK || (rank && !shape))
        return gm_tape_stick(tape, gm_fail(gm_tape_context(tape), GM_E_INVALID,
                                           "reshape: rank %d with %s, expected 0 to %d", (int)rank,
                                           shape ? "a shape" : "shape NULL", GM_MAX_RANK));
    if (rank) memcpy(attr.shape, shape, (size_t)rank * sizeof *shape);
    return gm_record1(tape, &gm_op_reshape, a, &attr, sizeof attr);
}

static gm_status stop_infer(gm_call *c)
{
    gm_infer_same(c);
    c->alias = 1;
    return GM_OK;
}

const gm_op gm_op_stop_gradient = { "stop_gradient", 1, stop_infer, alias_forward, NULL, NULL };

gm_var gm_stop_gradient(gm_tape *tape, gm_var a)
{
    return gm_record1(tape, &gm_op_stop_gradient, a, NULL, 0);
}

/* Array 0 of the walk is where to, with its elements in order; array 1 where from, with any
 * strides. */
typedef struct move_job {
    const gm_kernels *k;
    float *to;
    const float *from;
    int64_t skip; /* innermost stride of `from` */
} move_job;

static void move_run(void *arg, const int64_t at[GM_STRIDED_ARRAYS], int64_t n, int add)
{
    const move_job *job = arg;
    float *to = job->to + at[0];
    const float *from = job->from + at[1];
    int64_t skip = job->skip;
    if (skip == 1) {
        job->k->accumulate(to, from, n, add);
    } else if (add) {
        for (int64_t i = 0; i < n; i++) to[i] += from[i * skip];
    } else {
        for (int64_t i = 0; i < n; i++) to[i] = from[i * skip];
    }
}

/* to, of `shape`, (+)= from, whose axis perm[i] is axis i of `to`. */
static void permute(const gm_call *c, float *to, const float *from, int32_t rank,
                    const int64_t *shape, const int32_t *perm, int add)
{
    gm_strided g;
    int64_t stride[GM_MAX_RANK], size[GM_MAX_RANK], step = 1;
    gm_strided_begin(&g, rank, shape);
    gm_strided_array(&g, 0, rank, shape);
    for (int32_t i = 0; i < rank; i++) size[perm[i]] = shape[i];
    for (int32_t i = rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= size[i];
    }
    if (!step) return;
    for (int32_t i = 0; i < rank; i++) g.stride[1][i] = stride[perm[i]];
    gm_strided_merge(&g);
    move_job job = { c->k, to, from, g.stride[1][g.axes - 1] };
    gm_strided_walk(c->team, &g, 0, add, move_run, &job);
}

typedef struct perm_attr {
    int32_t given;
    int32_t perm[GM_MAX_RANK];
} perm_attr;

static void perm_of(const gm_call *c, int32_t perm[GM_MAX_RANK])
{
    const perm_attr *attr = c->attr;
    int32_t rank = c->in[0]->rank;
    for (int32_t i = 0; i < rank; i++) perm[i] = attr->given ? attr->perm[i] : rank - 1 - i;
}

static gm_status transpose_infer(gm_call *c)
{
    const gm_node *a = c->in[0];
    int32_t perm[GM_MAX_RANK];
    uint32_t seen = 0;
    perm_of(c, perm);
    for (int32_t i = 0; i < a->rank; i++) {
        if (perm[i] < 0 || perm[i] >= a->rank || (seen >> perm[i] & 1u)) {
            char text[GM_SHAPE_TEXT];
            return gm_fail(c->ctx, GM_E_INVALID,
                           "transpose: entry %d is %d, expected a permutation of the axes of %s",
                           (int)i, (int)perm[i], gm_shape_text(text, a->rank, a->shape));
        }
        seen |= 1u << perm[i];
        c->out->shape[i] = a->shape[perm[i]];
    }
    c->out->rank = a->rank;
    return GM_OK;
}

static gm_status transpose_forward(gm_call *c)
{
    int32_t perm[GM_MAX_RANK];
    perm_of(c, perm);
    permute(c, c->out->value, c->in[0]->value, c->out->rank, c->out->shape, perm, 0);
    return GM_OK;
}

static void transpose_backward(gm_call *c)
{
    int32_t perm[GM_MAX_RANK], inverse[GM_MAX_RANK];
    if (!c->grad[0]) return;
    perm_of(c, perm);
    for (int32_t i = 0; i < c->out->rank; i++) inverse[perm[i]] = i;
    permute(c, c->grad[0], c->out->grad, c->out->rank, c->in[0]->shape, inverse, c->add[0]);
}

static void transpose_gradient(gm_chain *c)
{
    const perm_attr *attr = c->node->attr;
    int32_t inverse[GM_MAX_RANK] = { 0 };
    if (attr->given)
        for (int32_t i = 0; i < c->node->rank; i++) inverse[attr->perm[i]] = i;
    c->din[0] = gm_transpose(c->tape, c->dy, attr->given ? inverse : NULL);
}

const gm_op gm_op_transpose = { "transpose",        1,
                                transpose_infer,    transpose_forward,
                                transpose_backward, transpose_gradient };

gm_var gm_transpose(gm_tape *tape, gm_var a, const int32_t *perm)
{
    perm_attr attr = { .given = perm != NULL };
    int32_t rank = tape ? gm_rank(tape, a) : -1;
    if (perm && rank > 0) memcpy(attr.perm, perm, (size_t)rank * sizeof *perm);
    return gm_record1(tape, &gm_op_transpose, a, &attr, sizeof attr);
}
