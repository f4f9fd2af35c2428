/* tape.c - recording: nodes, storage, leaves, what a variable holds. */
#include "autodiff/tape.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tensor/tensor.h"

/* Of the arenas' chunks: small models stay small, large ones get few chunks. */
#define FIRST_CHUNK ((size_t)64 << 10)
#define LARGEST_CHUNK ((size_t)1 << 20)

static const gm_var none = { 0, 0 };

static uint32_t new_recording(gm_context *ctx)
{
    uint32_t r = ctx->next_recording++;
    return r ? r : ctx->next_recording++; /* 0 is never valid */
}

gm_status gm_tape_create(gm_tape **out, gm_context *ctx, gm_rng *rng)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "tape: context or out is NULL");
    gm_status status;
    gm_tape *tape = gm_memory_get_zero(&ctx->memory, sizeof *tape);
    if (!tape) return gm_fail_memory(ctx, "tape");
    gm_context_retain(ctx);
    tape->ctx = ctx;
    tape->owners = 1;
    tape->mode = GM_TAPE_TRAIN;
    tape->recording = new_recording(ctx);
    gm_arena_init(&tape->values, &ctx->memory, FIRST_CHUNK, LARGEST_CHUNK);
    gm_arena_init(&tape->gradients, &ctx->memory, FIRST_CHUNK, LARGEST_CHUNK);
    if (rng) {
        gm_rng_retain(rng);
        tape->rng = rng;
    } else {
        GM_TRY(gm_rng_create(&tape->rng, ctx, gm_mix(ctx->seed) + ctx->next_stream++));
    }
    *out = tape;
    return GM_OK;
out:
    gm_tape_release(tape);
    return status;
}

static void release_held(gm_tape *tape)
{
    for (gm_held *h = tape->held; h; h = h->next) gm_tensor_release(h->tensor);
    tape->held = NULL;
}

void gm_tape_retain(gm_tape *tape)
{
    if (tape) tape->owners++;
}

void gm_tape_release(gm_tape *tape)
{
    if (!tape || --tape->owners > 0) return;
    gm_context *ctx = tape->ctx;
    release_held(tape);
    gm_arena_free(&tape->gradients);
    gm_arena_free(&tape->values);
    gm_memory_put(&ctx->memory, tape->nodes, (size_t)tape->room * sizeof *tape->nodes);
    gm_memory_put(&ctx->memory, tape->work, tape->work_size);
    gm_rng_release(tape->rng);
    gm_memory_put(&ctx->memory, tape, sizeof *tape);
    gm_context_release(ctx);
}

gm_context *gm_tape_context(const gm_tape *tape)
{
    return tape ? tape->ctx : NULL;
}

gm_rng *gm_tape_rng(const gm_tape *tape)
{
    return tape ? tape->rng : NULL;
}

gm_status gm_tape_check_free(gm_tape *tape, const char *what)
{
    if (!tape->in_op) return GM_OK;
    const gm_status status =
        gm_fail(tape->ctx, GM_E_STATE,
                "%s: called from inside a callback of an operation on the same tape", what);
    if (!tape->status) tape->status = status;
    return status;
}

void gm_tape_reset(gm_tape *tape)
{
    if (!tape || gm_tape_check_free(tape, "tape_reset")) return;
    release_held(tape);
    gm_arena_reset(&tape->values);
    gm_arena_reset(&tape->gradients);
    tape->pending = NULL;
    tape->count = 0;
    tape->status = GM_OK;
    tape->recording = new_recording(tape->ctx);
}

void gm_tape_set_mode(gm_tape *tape, int32_t mode)
{
    if (tape) tape->mode = mode;
}

int32_t gm_tape_mode(const gm_tape *tape)
{
    return tape ? tape->mode : 0;
}

gm_status gm_tape_status(const gm_tape *tape)
{
    return tape ? tape->status : GM_E_INVALID;
}

gm_var gm_tape_stick(gm_tape *tape, gm_status status)
{
    if (tape && !tape->status) tape->status = status ? status : GM_E_INTERNAL;
    return none;
}

gm_var gm_tape_fail(gm_tape *tape, gm_status status, const char *text)
{
    if (!tape || tape->status) return none;
    return gm_tape_stick(tape, gm_fail(tape->ctx, status, "%s", text ? text : "no text given"));
}

/* NULL without a failure: for getters. */
static gm_node *peek(const gm_tape *tape, gm_var v)
{
    if (!tape || v.recording != tape->recording || (int64_t)v.index >= tape->count) return NULL;
    return tape->nodes[v.index];
}

gm_node *gm_tape_node(gm_tape *tape, gm_var v)
{
    gm_node *node = peek(tape, v);
    if (!node && tape && !tape->status)
        tape->status =
            gm_fail(tape->ctx, GM_E_STALE,
                    v.recording ? "tape: variable %u is of recording %u, this is %u"
                                : "tape: variable %u is of no recording (%u; this is %u)",
                    (unsigned)v.index, (unsigned)v.recording, (unsigned)tape->recording);
    return node;
}

void *gm_tape_scratch(gm_tape *tape, size_t size)
{
    void *p = gm_arena_get(&tape->values, size);
    if (!p) gm_tape_stick(tape, gm_fail_memory(tape->ctx, "tape"));
    return p;
}

gm_status gm_tape_reserve(gm_tape *tape, const char *what, size_t size)
{
    gm_memory *memory = &tape->ctx->memory;
    if (tape->shapes_only || tape->work_size >= size) return GM_OK;
    void *work = gm_memory_get(memory, size);
    if (!work) return gm_fail_memory(tape->ctx, what);
    gm_memory_put(memory, tape->work, tape->work_size);
    tape->work = work;
    tape->work_size = size;
    return GM_OK;
}

void gm_tape_draw(gm_tape *tape, int64_t n, uint64_t *key, uint64_t *stream, uint64_t *block)
{
    *key = tape->rng->state.key;
    *stream = tape->rng->state.stream;
    *block = gm_rng_take(tape->rng, n);
}

static gm_status reserve(gm_tape *tape)
{
    if (tape->count < tape->room) return GM_OK;
    int64_t room = tape->room ? 2 * tape->room : 64;
    gm_node **nodes =
        gm_memory_grow(&tape->ctx->memory, tape->nodes, (size_t)tape->room * sizeof *nodes,
                       (size_t)room * sizeof *nodes);
    if (!nodes) return gm_fail_memory(tape->ctx, "tape");
    tape->nodes = nodes;
    tape->room = room;
    return GM_OK;
}

static gm_node *new_node(gm_tape *tape)
{
    if (reserve(tape)) return NULL;
    gm_node *node = gm_arena_get(&tape->values, sizeof *node);
    if (node) memset(node, 0, sizeof *node);
    return node;
}

static gm_var push(gm_tape *tape, gm_node *node)
{
    gm_var v = { tape->recording, (uint32_t)tape->count };
    tape->nodes[tape->count++] = node;
    return v;
}

gm_var gm_record(gm_tape *tape, const gm_op *op, const gm_var *inputs, int32_t count,
                 const void *attr, size_t attr_size)
{
    if (!tape || tape->status || gm_tape_check_free(tape, op->name)) return none;
    gm_context *ctx = tape->ctx;
    gm_status status;
    gm_node *node = NULL;
    gm_call call;
    memset(&call, 0, sizeof call);
    call.tape = tape;
    call.ctx = ctx;
    call.k = ctx->kernels;
    call.team = ctx->team;
    call.op = op;
    call.inputs = count;

    if (count < 0 || count > GM_MAX_INPUTS || (op->arity >= 0 && count != op->arity))
        GM_TRY(gm_fail(ctx, GM_E_INVALID, "%s: %d inputs, expected 1 to %d", op->name, (int)count,
                       GM_MAX_INPUTS));
    uint8_t requires_grad = 0;
    for (int32_t i = 0; i < count; i++) {
        call.in[i] = gm_tape_node(tape, inputs[i]);
        if (!call.in[i]) return none;
        requires_grad |= call.in[i]->requires_grad;
    }
    node = new_node(tape);
    if (!node) GM_TRY(gm_fail_memory(ctx, op->name));
    node->op = op;
    node->inputs = count;
    node->requires_grad = op->backward ? requires_grad : 0;
    node->input = gm_arena_get(&tape->values, (size_t)(count ? count : 1) * sizeof *node->input);
    node->attr = gm_arena_get(&tape->values, attr_size);
    if (!node->input || !node->attr) GM_TRY(gm_fail_memory(ctx, op->name));
    for (int32_t i = 0; i < count; i++) node->input[i] = inputs[i].index;
    if (attr_size) memcpy(node->attr, attr, attr_size);
    call.attr = node->attr;
    call.out = node;

    GM_TRY(op->infer(&call));
    GM_TRY(gm_shape_count(ctx, op->name, node->rank, node->shape, &node->count));
    if (tape->shapes_only) return push(tape, node);
    node->value = call.alias ? call.in[0]->value
                             : gm_arena_get(&tape->values, (size_t)node->count * sizeof(float));
    if (call.saved) node->saved = gm_arena_get(&tape->values, (size_t)call.saved * sizeof(float));
    if (!node->value || (call.saved && !node->saved)) GM_TRY(gm_fail_memory(ctx, op->name));
    if (op->forward) GM_TRY(op->forward(&call));
    if (tape->status) return none; /* scratch ran out */
    return push(tape, node);
out:
    return gm_tape_stick(tape, status);
}

gm_var gm_record1(gm_tape *tape, const gm_op *op, gm_var a, const void *attr, size_t attr_size)
{
    return gm_record(tape, op, &a, 1, attr, attr_size);
}

gm_var gm_record2(gm_tape *tape, const gm_op *op, gm_var a, gm_var b, const void *attr,
                  size_t attr_size)
{
    gm_var in[2] = { a, b };
    return gm_record(tape, op, in, 2, attr, attr_size);
}

gm_var gm_record3(gm_tape *tape, const gm_op *op, gm_var a, gm_var b, gm_var c, const void *attr,
                  size_t attr_size)
{
    gm_var in[3] = { a, b, c };
    return gm_record(tape, op, in, 3, attr, attr_size);
}

/* A leaf of the given shape; its value is for the caller to set when own is 0. */
static gm_node *leaf(gm_tape *tape, const char *what, int32_t rank, const int64_t *shape, int own)
{
    if (!tape || tape->status || gm_tape_check_free(tape, what)) return NULL;
    gm_status status;
    gm_node *node = new_node(tape);
    if (!node) GM_TRY(gm_fail_memory(tape->ctx, what));
    GM_TRY(gm_shape_count(tape->ctx, what, rank, shape, &node->count));
    node->rank = rank;
    if (rank) memcpy(node->shape, shape, (size_t)rank * sizeof *shape);
    if (own && !tape->shapes_only) {
        node->value = gm_arena_get(&tape->values, (size_t)node->count * sizeof(float));
        if (!node->value) GM_TRY(gm_fail_memory(tape->ctx, what));
    }
    return node;
out:
    gm_tape_stick(tape, status);
    return NULL;
}

gm_var gm_input(gm_tape *tape, gm_tensor *tensor)
{
    if (!tape || tape->status) return none;
    if (!tensor) return gm_tape_fail(tape, GM_E_INVALID, "input: tensor is NULL");
    if (tensor->ctx != tape->ctx)
        return gm_tape_fail(tape, GM_E_INVALID, "input: the tensor is of another context");
    gm_held *held = gm_tape_scratch(tape, sizeof *held);
    gm_node *node = leaf(tape, "input", tensor->rank, tensor->shape, 0);
    if (!node) return none;
    gm_tensor_retain(tensor);
    held->tensor = tensor;
    held->next = tape->held;
    tape->held = held;
    node->value = tensor->data;
    return push(tape, node);
}

gm_var gm_input_array(gm_tape *tape, int32_t rank, const int64_t *shape, const float *data)
{
    if (!tape || tape->status) return none;
    if (!data) return gm_tape_fail(tape, GM_E_INVALID, "input_array: data is NULL");
    gm_node *node = leaf(tape, "input_array", rank, shape, 0);
    if (!node) return none;
    /* Nothing writes to a leaf's value. */
    union {
        const float *borrowed;
        float *value;
    } data_of = { data };
    node->value = data_of.value;
    return push(tape, node);
}

static gm_var copied(gm_tape *tape, const char *what, int32_t rank, const int64_t *shape,
                     const float *data, int variable)
{
    if (!tape || tape->status) return none;
    if (!data)
        return gm_tape_stick(tape, gm_fail(tape->ctx, GM_E_INVALID, "%s: data is NULL", what));
    gm_node *node = leaf(tape, what, rank, shape, 1);
    if (!node) return none;
    if (node->value) memcpy(node->value, data, (size_t)node->count * sizeof(float));
    node->variable = node->requires_grad = (uint8_t)variable;
    return push(tape, node);
}

gm_var gm_input_copy(gm_tape *tape, int32_t rank, const int64_t *shape, const float *data)
{
    return copied(tape, "input_copy", rank, shape, data, 0);
}

gm_var gm_variable(gm_tape *tape, int32_t rank, const int64_t *shape, const float *data)
{
    return copied(tape, "variable", rank, shape, data, 1);
}

gm_var gm_constant(gm_tape *tape, int32_t rank, const int64_t *shape, double value)
{
    gm_node *node = leaf(tape, "constant", rank, shape, 1);
    if (!node) return none;
    if (node->value) tape->ctx->kernels->fill(node->value, (float)value, node->count);
    return push(tape, node);
}

gm_var gm_randn(gm_tape *tape, int32_t rank, const int64_t *shape)
{
    gm_node *node = leaf(tape, "randn", rank, shape, 1);
    if (!node) return none;
    if (node->value) (void)gm_rng_normal(tape->rng, node->count, 0, 1, node->value);
    return push(tape, node);
}

gm_var gm_rand(gm_tape *tape, int32_t rank, const int64_t *shape)
{
    gm_node *node = leaf(tape, "rand", rank, shape, 1);
    if (!node) return none;
    if (node->value) (void)gm_rng_uniform(tape->rng, node->count, 0, 1, node->value);
    return push(tape, node);
}

gm_var gm_parameter(gm_tape *tape, gm_param *param)
{
    if (!tape || tape->status) return none;
    if (!param) return gm_tape_fail(tape, GM_E_INVALID, "parameter: param is NULL");
    if (param->ctx != tape->ctx)
        return gm_tape_stick(tape, gm_fail(tape->ctx, GM_E_INVALID,
                                           "parameter: %s is of another context", param->name));
    gm_node *node = leaf(tape, "parameter", param->rank, param->shape, 0);
    if (!node) return none;
    node->value = param->value;
    if (!(tape->mode & GM_TAPE_CONSTANT)) {
        node->param = param;
        node->requires_grad = 1;
    }
    return push(tape, node);
}

const float *gm_value(const gm_tape *tape, gm_var v)
{
    const gm_node *node = peek(tape, v);
    return node ? node->value : NULL;
}

int32_t gm_rank(const gm_tape *tape, gm_var v)
{
    const gm_node *node = peek(tape, v);
    return node ? node->rank : -1;
}

const int64_t *gm_shape(const gm_tape *tape, gm_var v)
{
    const gm_node *node = peek(tape, v);
    return node ? node->shape : NULL;
}

int64_t gm_count(const gm_tape *tape, gm_var v)
{
    const gm_node *node = peek(tape, v);
    return node ? node->count : 0;
}

double gm_scalar(const gm_tape *tape, gm_var v)
{
    const gm_node *node = peek(tape, v);
    return node && node->count == 1 ? (double)node->value[0] : (double)NAN;
}

gm_status gm_read(gm_tape *tape, gm_var v, int64_t count, float *values)
{
    if (!tape || !values)
        return gm_fail(tape ? tape->ctx : NULL, GM_E_INVALID, "read: tape or values is NULL");
    if (tape->status) return tape->status;
    const gm_node *node = gm_tape_node(tape, v);
    if (!node) {
        gm_status status = tape->status;
        tape->status = GM_OK; /* reading is not recording: the tape stays usable */
        return status;
    }
    if (node->count != count)
        return gm_fail(tape->ctx, GM_E_SHAPE, "read: the variable has %lld elements, out %lld",
                       (long long)node->count, (long long)count);
    memcpy(values, node->value, (size_t)count * sizeof(float));
    return GM_OK;
}
