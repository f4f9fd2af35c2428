/* parts.c - parts along an axis: concat, slice, split. */
#include "autodiff/gradient.h"

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
        return gm_fail(c->ctx, GM_E_INVALID, "concat: axis is %d, the first part is %s",
                       (int)*given, gm_shape_text(text, c->out->rank, c->out->shape));
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

gm_status gm_split(gm_tape *tape, gm_var a, int32_t axis, int32_t count, const int64_t *sizes,
                   gm_var *parts)
{
    for (int32_t i = 0; parts && i < count; i++) parts[i] = GM_NO_VAR;
    if (!tape) return GM_E_INVALID;
    const gm_node *node = gm_tape_open(tape) ? gm_tape_node(tape, a) : NULL;
    if (!node) return gm_tape_status(tape);
    gm_context *ctx = gm_tape_context(tape);
    gm_status status = GM_OK;
    char text[GM_SHAPE_TEXT];
    int32_t along = gm_axis_of(axis, node->rank);
    int64_t at = 0, left;
    gm_shape_text(text, node->rank, node->shape);
    if (count < 1 || !parts)
        GM_TRY(gm_fail(ctx, GM_E_INVALID, "split: %d parts at %s, expected at least 1", (int)count,
                       parts ? "a list" : "NULL"));
    if (along < 0)
        GM_TRY(gm_fail(ctx, GM_E_INVALID, "split: axis is %d, input is %s", (int)axis, text));
    left = node->shape[along];
    if (!sizes && left % count)
        GM_TRY(gm_fail(ctx, GM_E_SHAPE, "split: input is %s, %d parts do not divide axis %d", text,
                       (int)count, (int)axis));
    for (int32_t i = 0; sizes && i < count; i++) {
        if (sizes[i] < 0)
            GM_TRY(gm_fail(ctx, GM_E_INVALID, "split: size of part %d is %lld, expected at least 0",
                           (int)i, (long long)sizes[i]));
        if (sizes[i] > left) {
            left = -1;
            break;
        }
        left -= sizes[i];
    }
    if (sizes && left)
        GM_TRY(gm_fail(ctx, GM_E_SHAPE,
                       "split: input is %s, the sizes of %d parts do not make up "
                       "axis %d",
                       text, (int)count, (int)axis));
    for (int32_t i = 0; i < count; i++) {
        int64_t size = sizes ? sizes[i] : node->shape[along] / count;
        parts[i] = gm_slice(tape, a, along, at, at + size);
        at += size;
    }
    GM_TRY(gm_tape_status(tape));
    return GM_OK;
out:
    gm_tape_stick(tape, status);
    for (int32_t i = 0; parts && i < count; i++) parts[i] = GM_NO_VAR;
    return status;
}
