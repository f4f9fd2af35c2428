/* backward.c - the reverse sweep: mark, allocate, compute, commit. */
#include <string.h>

#include "autodiff/tape.h"
#include "gm/extend.h"

/* Which nodes lie between what the pass is asked about and the loss. Tells whether any node of the
 * host's is one. */
static int mark_nodes(gm_tape *tape, uint32_t loss, const gm_params *wrt, uint64_t pass)
{
    int host = 0;
    if (wrt)
        for (int64_t i = 0; i < wrt->count; i++) {
            wrt->entries[i].param->mark = pass;
            wrt->entries[i].param->written = 0;
            wrt->entries[i].param->target = NULL;
        }
    for (int64_t i = 0; i < tape->count; i++) {
        gm_node *node = tape->nodes[i];
        node->needed = node->reached = 0;
        node->grad = NULL;
        node->written = 0;
        if (i > (int64_t)loss) continue;
        if (!node->op) {
            node->reached = node->variable || (node->param && node->param->mark == pass);
        } else if (node->requires_grad) {
            for (int32_t j = 0; j < node->inputs; j++)
                node->reached |= tape->nodes[node->input[j]]->reached;
        }
    }
    tape->nodes[loss]->needed = tape->nodes[loss]->reached;
    for (int64_t i = (int64_t)loss; i >= 0; i--) {
        const gm_node *node = tape->nodes[i];
        if (!node->needed || !node->op) continue;
        host |= node->op == &gm_op_host;
        for (int32_t j = 0; j < node->inputs; j++) {
            gm_node *in = tape->nodes[node->input[j]];
            in->needed |= in->reached;
        }
    }
    return host;
}

/* Where every needed gradient goes. Parameters' go straight into place, unless a host's callback
 * may still fail: then into a copy that is committed at the end. All that are asked about have a
 * gradient from here on, of zeros if they had none. */
static gm_status allocate(gm_tape *tape, uint32_t loss, const gm_params *wrt, int staged)
{
    for (int64_t i = 0; wrt && i < wrt->count; i++)
        if (gm_param_take_gradient(wrt->entries[i].param))
            return gm_fail_memory(tape->ctx, "backward");
    for (int64_t i = 0; i <= (int64_t)loss; i++) {
        gm_node *node = tape->nodes[i];
        if (!node->needed) continue;
        if (node->param && !staged) {
            node->param->target = node->param->gradient;
        } else if (!node->param || !node->param->target) {
            float *p = gm_arena_get(&tape->gradients, (size_t)node->count * sizeof(float));
            if (!p) return gm_fail_memory(tape->ctx, "backward");
            if (node->param)
                node->param->target = p;
            else
                node->grad = p;
        }
        if (node->param) node->grad = node->param->target;
    }
    return GM_OK;
}

static gm_status sweep(gm_tape *tape, uint32_t loss)
{
    gm_call call;
    memset(&call, 0, sizeof call);
    call.tape = tape;
    call.ctx = tape->ctx;
    call.k = tape->ctx->kernels;
    call.team = tape->ctx->team;
    tape->nodes[loss]->grad[0] = 1;
    for (int64_t i = (int64_t)loss; i >= 0; i--) {
        gm_node *node = tape->nodes[i];
        if (!node->needed || !node->op) continue;
        call.op = node->op;
        call.attr = node->attr;
        call.inputs = node->inputs;
        call.out = node;
        for (int32_t j = 0; j < node->inputs; j++) {
            gm_node *in = tape->nodes[node->input[j]];
            int32_t *written = in->param ? &in->param->written : &in->written;
            call.in[j] = in;
            call.grad[j] = in->needed ? in->grad : NULL;
            call.add[j] = *written;
            if (in->needed) *written = 1;
        }
        node->op->backward(&call);
        if (call.failed) return call.failed;
    }
    return GM_OK;
}

static void commit(gm_tape *tape, const gm_params *wrt, int staged, int add)
{
    if (!wrt) return;
    for (int64_t i = 0; i < wrt->count; i++) {
        gm_param *p = wrt->entries[i].param;
        if (staged && p->written)
            tape->ctx->kernels->accumulate(p->gradient, p->target, p->count, add);
        if (!p->written && !add) memset(p->gradient, 0, (size_t)p->count * sizeof(float));
    }
}

static gm_status backward(gm_tape *tape, gm_var loss, const gm_params *wrt, int add)
{
    if (gm_tape_check_free(tape, "backward")) return GM_E_STATE;
    if (tape->status) return tape->status;
    if (wrt && wrt->ctx != tape->ctx)
        return gm_fail(tape->ctx, GM_E_INVALID, "backward: the parameters are of another context");
    gm_node *node = gm_tape_node(tape, loss);
    gm_status status = tape->status;
    if (!node) {
        tape->status = GM_OK; /* the recording itself is sound */
        return status;
    }
    if (node->count != 1) {
        char text[GM_SHAPE_TEXT];
        return gm_fail(tape->ctx, GM_E_SHAPE, "backward: the loss is %s, expected one element",
                       gm_shape_text(text, node->rank, node->shape));
    }
    uint64_t pass = tape->ctx->next_pass++;
    gm_arena_reset(&tape->gradients);
    int staged = mark_nodes(tape, loss.index, wrt, pass) || (node->param != NULL);
    GM_TRY(allocate(tape, loss.index, wrt, staged));
    if (add && !staged && wrt) /* what is there counts as written */
        for (int64_t i = 0; i < wrt->count; i++) wrt->entries[i].param->written = 1;
    if (node->needed) {
        GM_TRY(sweep(tape, loss.index));
        if (node->param) node->param->written = 1;
    }
    commit(tape, wrt, staged, add);
    gm_tape_commit(tape);
out:
    if (status) /* gm_gradient_of has nothing to show */
        for (int64_t i = 0; i <= (int64_t)loss.index; i++) tape->nodes[i]->needed = 0;
    return status;
}

/* A host's callback may release tape and parameters. */
static gm_status backward_alone(gm_tape *tape, gm_var loss, const gm_params *wrt, int add)
{
    union {
        const gm_params *given;
        gm_params *held;
    } set = { wrt };
    if (!tape) return GM_E_INVALID;
    gm_context *ctx = tape->ctx;
    gm_status status = gm_context_enter(ctx);
    if (status) return status;
    gm_tape_retain(tape);
    gm_params_retain(set.held);
    status = backward(tape, loss, wrt, add);
    gm_params_release(set.held);
    gm_tape_release(tape);
    gm_context_leave(ctx);
    return status;
}

gm_status gm_backward(gm_tape *tape, gm_var loss, const gm_params *wrt)
{
    return backward_alone(tape, loss, wrt, 0);
}

gm_status gm_backward_add(gm_tape *tape, gm_var loss, const gm_params *wrt)
{
    return backward_alone(tape, loss, wrt, 1);
}

const float *gm_gradient_of(const gm_tape *tape, gm_var v)
{
    if (!tape || v.recording != tape->recording || (int64_t)v.index >= tape->count) return NULL;
    const gm_node *node = tape->nodes[v.index];
    return node->variable && node->needed ? node->grad : NULL;
}
