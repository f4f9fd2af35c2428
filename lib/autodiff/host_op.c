/* host_op.c - operations that the host defines. */
#include <string.h>

#include "autodiff/tape.h"
#include "base/options.h"
#include "tensor/tensor.h"

typedef struct host_attr {
    gm_host_op op;
} host_attr;

typedef struct host_view {
    gm_op_view view;
    int32_t ranks[GM_MAX_INPUTS];
    const int64_t *shapes[GM_MAX_INPUTS];
    const float *values[GM_MAX_INPUTS];
    float *gradients[GM_MAX_INPUTS];
} host_view;

static void make_view(host_view *v, const gm_call *c)
{
    memset(v, 0, sizeof *v);
    v->view.size = sizeof v->view;
    v->view.inputs = c->inputs;
    v->view.ranks = v->ranks;
    v->view.shapes = v->shapes;
    for (int32_t i = 0; i < c->inputs; i++) {
        v->ranks[i] = c->in[i]->rank;
        v->shapes[i] = c->in[i]->shape;
        v->values[i] = c->in[i]->value;
    }
}

static gm_status complain(const gm_call *c, const char *callback, gm_status status)
{
    const host_attr *a = c->attr;
    return gm_fail(c->ctx, status, "%s: the host's %s callback returned %d (%s)", a->op.name,
                   callback, (int)status, gm_status_name(status));
}

/* After the callback: its status, or that of what it tried with the tape. */
static gm_status leave(const gm_call *c, const char *callback, gm_status status)
{
    c->tape->in_op--;
    return status ? complain(c, callback, status) : c->tape->status;
}

static gm_status infer(gm_call *c)
{
    const host_attr *a = c->attr;
    host_view v;
    make_view(&v, c);
    int32_t rank = -1;
    int64_t shape[GM_MAX_RANK] = { 0 };
    c->tape->in_op++;
    gm_status status = a->op.infer(a->op.user, &v.view, &rank, shape);
    status = leave(c, "infer", status);
    if (status) return status;
    if (rank < 0 || rank > GM_MAX_RANK)
        return gm_fail(c->ctx, GM_E_INVALID,
                       "%s: the host's infer callback gave rank %d, expected 0 to %d", a->op.name,
                       (int)rank, GM_MAX_RANK);
    c->out->rank = rank;
    memcpy(c->out->shape, shape, sizeof shape);
    if (!a->op.backward) c->out->requires_grad = 0;
    /* The tape checks sizes too, but does not know the operation's name. */
    int64_t count;
    return gm_shape_count(c->ctx, a->op.name, rank, shape, &count);
}

static gm_status forward(gm_call *c)
{
    const host_attr *a = c->attr;
    host_view v;
    make_view(&v, c);
    v.view.values = v.values;
    v.view.rank = c->out->rank;
    v.view.shape = c->out->shape;
    v.view.value = c->out->value;
    c->tape->in_op++;
    return leave(c, "forward", a->op.forward(a->op.user, &v.view));
}

static void backward(gm_call *c)
{
    const host_attr *a = c->attr;
    host_view v;
    make_view(&v, c);
    v.view.values = v.values;
    v.view.rank = c->out->rank;
    v.view.shape = c->out->shape;
    v.view.value = c->out->value;
    v.view.gradient = c->out->grad;
    v.view.gradients = v.gradients;
    /* The callback only ever adds, so what is not there yet starts at zero. */
    for (int32_t i = 0; i < c->inputs; i++) {
        v.gradients[i] = c->grad[i];
        if (c->grad[i] && !c->add[i]) c->k->fill(c->grad[i], 0, c->in[i]->count);
    }
    if (!a->op.backward) return;
    c->tape->in_op++;
    c->failed = leave(c, "backward", a->op.backward(a->op.user, &v.view));
}

const gm_op gm_op_host = { "host", -1, infer, forward, backward, NULL };

const gm_host_op *gm_host_of(const gm_node *node)
{
    const host_attr *a = node->attr;
    return &a->op;
}

gm_var gm_host(gm_tape *tape, const gm_host_op *op, const gm_var *inputs, int32_t count)
{
    static const gm_var none = { 0, 0 };
    if (!tape || gm_tape_status(tape)) return none;
    host_attr a = { GM_HOST_OP_INIT };
    gm_status status = gm_options_check(tape->ctx, "host op", &a.op, sizeof a.op, op);
    if (status) return gm_tape_stick(tape, status);
    if (!a.op.name || !a.op.infer || !a.op.forward || !inputs || count < 1)
        return gm_tape_fail(
            tape, GM_E_INVALID,
            "host op: name, infer, forward or inputs is NULL, or there is no input");
    if (count > GM_MAX_INPUTS)
        return gm_tape_stick(tape,
                             gm_fail(tape->ctx, GM_E_INVALID, "%s: %d inputs, expected 1 to %d",
                                     a.op.name, (int)count, GM_MAX_INPUTS));
    gm_tape_retain(tape); /* its callbacks may release it */
    const gm_var v = gm_record(tape, &gm_op_host, inputs, count, &a, sizeof a);
    gm_tape_release(tape);
    return v;
}
