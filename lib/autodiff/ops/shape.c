/* shape.c - the same elements elsewhere: reshape, transpose, concat, slice, repeat_rows,
 * gather. */
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

/* Concat and slice see an array as `outer` rows of `width` elements, of which a part begins at
 * `at`. */
typedef struct piece_job {
    const gm_kernels *k;
    float *to;
    const float *from;
    int64_t to_width, from_width, width;
    int add;
} piece_job;

static void piece_range(void *arg, int64_t begin, int64_t end)
{
    const piece_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        job->k->accumulate(job->to + i * job->to_width, job->from + i * job->from_width, job->width,
                           job->add);
}

static void pieces(const gm_call *c, int64_t outer, const piece_job *job)
{
    piece_job copy = *job;
    if (job->width) gm_team_range(c->team, outer, gm_grain_rows(job->width), piece_range, &copy);
}

static int32_t concat_axis(const gm_call *c)
{
    const int32_t *axis = c->attr;
    return gm_axis_of(*axis, c->in[0]->rank);
}

static gm_status concat_infer(gm_call *c)
{
    const int32_t *given = c->attr;
    int32_t axis = concat_axis(c);
    char text[GM_SHAPE_TEXT];
    gm_infer_same(c);
    if (axis < 0)
        return gm_fail(c->ctx, GM_E_INVALID, "concat: axis %d of %s", (int)*given,
                       gm_shape_text(text, c->out->rank, c->out->shape));
    for (int32_t i = 1; i < c->inputs; i++) {
        const gm_node *p = c->in[i];
        int fits = p->rank == c->out->rank;
        for (int32_t j = 0; fits && j < p->rank; j++)
            fits = j == axis || p->shape[j] == c->out->shape[j];
        if (!fits) return gm_fail_shapes(c, "first part", c->in[0], "another", p, ", sizes differ");
        if (p->shape[axis] > INT64_MAX - c->out->shape[axis])
            return gm_fail_shapes(c, "first part", c->in[0], "another", p, ", too large");
        c->out->shape[axis] += p->shape[axis];
    }
    return GM_OK;
}

/* forward: parts into the output; backward: the output's gradient into the parts'. */
static void concat_move(gm_call *c, int forward)
{
    int32_t axis = concat_axis(c);
    int64_t outer = gm_sizes_product(c->out->shape, axis);
    int64_t inner = gm_sizes_product(c->out->shape + axis + 1, c->out->rank - axis - 1);
    int64_t full = c->out->shape[axis] * inner, at = 0;
    for (int32_t i = 0; i < c->inputs; i++) {
        int64_t width = c->in[i]->shape[axis] * inner;
        if (forward) {
            piece_job job = { c->k, c->out->value + at, c->in[i]->value, full, width, width, 0 };
            pieces(c, outer, &job);
        } else if (c->grad[i]) {
            piece_job job = { c->k, c->grad[i], c->out->grad + at, width, full, width, c->add[i] };
            pieces(c, outer, &job);
        }
        at += width;
    }
}

static gm_status concat_forward(gm_call *c)
{
    concat_move(c, 1);
    return GM_OK;
}

static void concat_backward(gm_call *c)
{
    concat_move(c, 0);
}

static void concat_gradient(gm_chain *c)
{
    const int32_t *given = c->node->attr;
    int32_t axis = gm_axis_of(*given, c->node->rank);
    int64_t at = 0;
    for (int32_t i = 0; i < c->node->inputs; i++) {
        int64_t end = at + c->from[i]->shape[axis];
        if (c->wanted[i]) c->din[i] = gm_slice(c->tape, c->dy, axis, at, end);
        at = end;
    }
}

const gm_op gm_op_concat = { "concat",       -1, concat_infer, concat_forward, concat_backward,
                             concat_gradient };

gm_var gm_concat(gm_tape *tape, const gm_var *parts, int32_t count, int32_t axis)
{
    if (!gm_tape_open(tape)) return GM_NO_VAR;
    if (!parts || count < 1 || count > GM_MAX_INPUTS)
        return gm_tape_stick(tape, gm_fail(gm_tape_context(tape), GM_E_INVALID,
                                           "concat: %d parts at %s, expected 1 to %d", (int)count,
                                           parts ? "a list" : "NULL", GM_MAX_INPUTS));
    return gm_record(tape, &gm_op_concat, parts, count, &axis, sizeof axis);
}

typedef struct slice_attr {
    int32_t axis;
    int64_t begin, end;
} slice_attr;

static gm_status slice_infer(gm_call *c)
{
    const slice_attr *attr = c->attr;
    const gm_node *a = c->in[0];
    int32_t axis = gm_axis_of(attr->axis, a->rank);
    if (axis < 0 || attr->begin < 0 || attr->end < attr->begin || attr->end > a->shape[axis]) {
        char text[GM_SHAPE_TEXT];
        return gm_fail(c->ctx, GM_E_INVALID, "slice: %lld to %lld of axis %d, input is %s",
                       (long long)attr->begin, (long long)attr->end, (int)attr->axis,
                       gm_shape_text(text, a->rank, a->shape));
    }
    gm_infer_same(c);
    c->out->shape[axis] = attr->end - attr->begin;
    return GM_OK;
}

static void slice_move(gm_call *c, int forward)
{
    const slice_attr *attr = c->attr;
    const gm_node *a = c->in[0];
    int32_t axis = gm_axis_of(attr->axis, a->rank);
    int64_t outer = gm_sizes_product(a->shape, axis);
    int64_t inner = gm_sizes_product(a->shape + axis + 1, a->rank - axis - 1);
    int64_t full = a->shape[axis] * inner, width = c->out->shape[axis] * inner;
    int64_t at = attr->begin * inner;
    if (forward) {
        piece_job job = { c->k, c->out->value, a->value + at, width, full, width, 0 };
        pieces(c, outer, &job);
    } else if (c->grad[0]) {
        piece_job job = { c->k, c->grad[0] + at, c->out->grad, full, width, width, 1 };
        if (!c->add[0]) gm_fill_over(c, c->grad[0], 0, a->count);
        pieces(c, outer, &job);
    }
}

static gm_status slice_forward(gm_call *c)
{
    slice_move(c, 1);
    return GM_OK;
}

static void slice_backward(gm_call *c)
{
    slice_move(c, 0);
}

/* dy between zeros */
static void slice_gradient(gm_chain *c)
{
    const slice_attr *attr = c->node->attr;
    const gm_node *a = c->from[0];
    int32_t axis = gm_axis_of(attr->axis, a->rank), count = 0;
    int64_t before[GM_MAX_RANK], after[GM_MAX_RANK];
    gm_var parts[3];
    memcpy(before, a->shape, sizeof before);
    memcpy(after, a->shape, sizeof after);
    before[axis] = attr->begin;
    after[axis] -= attr->end;
    if (before[axis]) parts[count++] = gm_constant(c->tape, a->rank, before, 0);
    parts[count++] = c->dy;
    if (after[axis]) parts[count++] = gm_constant(c->tape, a->rank, after, 0);
    c->din[0] = count == 1 ? c->dy : gm_concat(c->tape, parts, count, axis);
}

const gm_op gm_op_slice = {
    "slice", 1, slice_infer, slice_forward, slice_backward, slice_gradient
};

gm_var gm_slice(gm_tape *tape, gm_var a, int32_t axis, int64_t begin, int64_t end)
{
    slice_attr attr = { axis, begin, end };
    return gm_record1(tape, &gm_op_slice, a, &attr, sizeof attr);
}
