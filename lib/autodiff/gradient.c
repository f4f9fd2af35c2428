/* gradient.c - the sweep that records a gradient, and what the ops' entries share. */
#include "autodiff/gradient.h"

/* Of the nodes low .. high: whether it depends on what is asked about, and its gradient so far. The
 * nodes are reached through the tape anew each time: recording moves its list. */
typedef struct sweep {
    gm_tape *tape;
    int64_t low, high;
    uint8_t *depends;
    gm_var *gradient;
} sweep;

/* Whether gradients pass: not through leaves, nor through what gm_backward takes for a constant. */
static int passes(const gm_node *node)
{
    if (!node->op || !node->op->backward) return 0;
    return node->op != &gm_op_host || gm_host_of(node)->backward;
}

/* Inputs may be constants to gm_backward (requires_grad is 0), so paths are found by the inputs
 * alone. */
static void find_paths(sweep *s, const gm_var *x, int32_t count)
{
    memset(s->depends, 0, (size_t)(s->high - s->low + 1));
    for (int32_t k = 0; k < count; k++)
        if ((int64_t)x[k].index <= s->high) s->depends[x[k].index - s->low] = 1;
    for (int64_t i = s->low; i <= s->high; i++) {
        const gm_node *node = s->tape->nodes[i];
        if (!passes(node)) continue;
        for (int32_t j = 0; j < node->inputs; j++)
            if (node->input[j] >= s->low)
                s->depends[i - s->low] |= s->depends[node->input[j] - s->low];
    }
}

/* Hands the gradient of node i on to its inputs. */
static void pull(sweep *s, int64_t i)
{
    gm_tape *tape = s->tape;
    gm_chain c;
    int any = 0;
    memset(&c, 0, sizeof c);
    c.tape = tape;
    c.node = tape->nodes[i];
    if (!passes(c.node)) return;
    c.out = (gm_var){ tape->recording, (uint32_t)i };
    c.dy = s->gradient[i - s->low];
    for (int32_t j = 0; j < c.node->inputs; j++) {
        uint32_t index = c.node->input[j];
        c.in[j] = (gm_var){ tape->recording, index };
        c.from[j] = tape->nodes[index];
        c.wanted[j] = index >= s->low && s->depends[index - s->low];
        any |= c.wanted[j];
    }
    if (!any) return;
    if (!c.node->op->gradient) {
        const char *name = c.node->op == &gm_op_host ? gm_host_of(c.node)->name : c.node->op->name;
        gm_tape_stick(tape, gm_fail(tape->ctx, GM_E_UNSUPPORTED,
                                    "gradient: %s has no second derivative here", name));
        return;
    }
    c.node->op->gradient(&c);
    for (int32_t j = 0; j < c.node->inputs; j++) {
        if (!c.wanted[j] || !c.din[j].recording) continue;
        gm_var *sum = &s->gradient[c.in[j].index - s->low];
        *sum = sum->recording ? gm_add(tape, *sum, c.din[j]) : c.din[j];
    }
}

static gm_status run(sweep *s, const gm_var *x, int32_t count)
{
    gm_tape *tape = s->tape;
    size_t nodes = (size_t)(s->high - s->low + 1);
    const gm_node *y = tape->nodes[s->high];
    s->depends = gm_tape_scratch(tape, nodes);
    s->gradient = gm_tape_scratch(tape, nodes * sizeof *s->gradient);
    if (tape->status) return tape->status;
    memset(s->gradient, 0, nodes * sizeof *s->gradient);
    find_paths(s, x, count);
    if (!s->depends[s->high - s->low]) return GM_OK;
    s->gradient[s->high - s->low] = gm_constant(tape, y->rank, y->shape, 1);
    for (int64_t i = s->high; i >= s->low && !tape->status; i--)
        if (s->gradient[i - s->low].recording) pull(s, i);
    return tape->status;
}

gm_status gm_gradients(gm_tape *tape, gm_var y, const gm_var *x, int32_t count, gm_var *gradients)
{
    gm_status status;
    GM_TRY(tape ? tape->status : GM_E_INVALID);
    if (!x || !gradients || count < 1)
        GM_TRY(gm_fail(tape->ctx, GM_E_INVALID,
                       "gradient: %d variables at %s, out is %s, expected at least 1", (int)count,
                       x ? "a list" : "NULL", gradients ? "given" : "NULL"));
    const gm_node *top = gm_tape_node(tape, y);
    if (!top) GM_TRY(tape->status);
    sweep s = { .tape = tape, .low = INT64_MAX, .high = y.index };
    for (int32_t k = 0; k < count; k++) {
        if (!gm_tape_node(tape, x[k])) GM_TRY(tape->status);
        if ((int64_t)x[k].index < s.low) s.low = x[k].index;
    }
    if (top->count != 1) {
        char text[GM_SHAPE_TEXT];
        GM_TRY(gm_fail(tape->ctx, GM_E_SHAPE, "gradient: y is %s, expected one element",
                       gm_shape_text(text, top->rank, top->shape)));
    }
    if (s.low <= s.high) GM_TRY(run(&s, x, count));
    for (int32_t k = 0; k < count; k++) {
        gm_var v = x[k];
        const gm_node *node = tape->nodes[v.index];
        int found = (int64_t)v.index <= s.high && s.gradient[v.index - s.low].recording;
        gradients[k] =
            found ? s.gradient[v.index - s.low] : gm_constant(tape, node->rank, node->shape, 0);
    }
    GM_TRY(tape->status);
    return GM_OK;
out:
    gm_tape_stick(tape, status);
    for (int32_t k = 0; gradients && k < count; k++) gradients[k] = GM_NO_VAR;
    return status;
}

gm_var gm_gradient(gm_tape *tape, gm_var y, gm_var x)
{
    gm_var out = GM_NO_VAR;
    (void)gm_gradients(tape, y, &x, 1, &out);
    return out;
}

gm_var gm_chain_reshape(gm_tape *tape, gm_var v, const gm_node *like)
{
    const int64_t *shape = gm_shape(tape, v);
    if (shape && gm_rank(tape, v) == like->rank &&
        !memcmp(shape, like->shape, (size_t)like->rank * sizeof *shape))
        return v;
    return gm_reshape(tape, v, like->rank, like->shape);
}

gm_var gm_chain_sum_to(gm_tape *tape, gm_var v, const gm_node *like)
{
    int32_t rank = gm_rank(tape, v), extra = rank - like->rank, count = 0;
    const int64_t *shape = gm_shape(tape, v);
    int32_t axes[GM_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        if (i < extra || (like->shape[i - extra] == 1 && shape[i] != 1)) axes[count++] = i;
    if (count) v = gm_sum_axes(tape, v, axes, count, 1);
    return gm_chain_reshape(tape, v, like);
}

gm_var gm_chain_fold_rows(gm_tape *tape, gm_var v, int64_t times, const gm_node *like)
{
    static const int32_t middle = 1;
    int64_t width = gm_sizes_product(like->shape + 1, like->rank - 1);
    if (times == 1) return gm_chain_reshape(tape, v, like);
    v = gm_reshape(tape, v, 3, (int64_t[]){ like->shape[0], times, width });
    return gm_chain_reshape(tape, gm_sum_axes(tape, v, &middle, 1, 0), like);
}
