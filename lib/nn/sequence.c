/* sequence.c - layers one after another. */
#include <stdio.h>
#include <string.h>

#include "gm/norm.h"
#include "nn/layer.h"

/* The first error stays, with its text, so that additions need no checks of their own. */
static gm_status keep(gm_layer *sequence, gm_status status)
{
    if (!status || sequence->status) return status;
    sequence->status = status;
    (void)snprintf(sequence->text, sizeof sequence->text, "%s", gm_context_error(sequence->ctx));
    return status;
}

static gm_status repeat(const gm_layer *sequence)
{
    return gm_fail(sequence->ctx, sequence->status, "%s", sequence->text);
}

static gm_var apply_sequence(gm_layer *layer, gm_tape *tape, gm_var x)
{
    if (layer->status) return gm_tape_fail(tape, layer->status, layer->text);
    for (int64_t i = 0; i < layer->count; i++) {
        gm_layer *part = layer->parts[i], *next = i + 1 < layer->count ? layer->parts[i + 1] : NULL;
        if (part->kind->fused && next && next->kind == &gm_kind_activation) {
            x = part->kind->fused(part, tape, x, (int32_t)next->attrs.ints[0],
                                  next->attrs.reals[0]);
            i++;
        } else {
            x = gm_apply(tape, part, x);
        }
    }
    return x;
}

const gm_layer_kind gm_kind_sequence = {
    .name = "sequence",
    .row_wise = 1,
    .apply = apply_sequence,
};

gm_status gm_sequence_create(gm_layer **out, gm_context *ctx)
{
    return gm_layer_make(out, ctx, &gm_kind_sequence, NULL);
}

/* An empty sequence counts too: what is bounded is the work of one gm_apply. */
static int64_t leaves_of(const gm_layer *part)
{
    return part->leaves ? part->leaves : 1;
}

static gm_status check_part(const gm_layer *sequence, const gm_layer *part)
{
    gm_context *ctx = sequence->ctx;
    if (!part) return gm_fail(ctx, GM_E_INVALID, "sequence: part is NULL");
    if (part->ctx != ctx)
        return gm_fail(ctx, GM_E_INVALID, "sequence: the part (%s) is of another context",
                       gm_layer_type(part));
    if (part == sequence)
        return gm_fail(ctx, GM_E_INVALID, "sequence: a sequence cannot be a part of itself");
    gm_status status = gm_sequence_status(part);
    if (status) return status;
    if (part->depth >= GM_LAYER_DEPTH)
        return gm_fail(ctx, GM_E_INVALID, "sequence: nested deeper than %d", GM_LAYER_DEPTH);
    int64_t leaves = sequence->leaves + leaves_of(part);
    if (sequence->count >= GM_SEQUENCE_PARTS || leaves > GM_SEQUENCE_PARTS)
        return gm_fail(ctx, GM_E_INVALID, "sequence: more than %d parts", GM_SEQUENCE_PARTS);
    return GM_OK;
}

static gm_status add(gm_layer *sequence, gm_layer *part)
{
    gm_status status = check_part(sequence, part);
    if (status) return status;
    gm_context *ctx = sequence->ctx;
    if (sequence->count == sequence->room) {
        int64_t room = sequence->room ? 2 * sequence->room : 8;
        gm_layer **parts =
            gm_memory_grow(&ctx->memory, sequence->parts, (size_t)sequence->room * sizeof *parts,
                           (size_t)room * sizeof *parts);
        if (!parts) return gm_fail_memory(ctx, "sequence");
        sequence->parts = parts;
        sequence->room = room;
    }
    char prefix[24];
    (void)snprintf(prefix, sizeof prefix, "%lld.", (long long)sequence->count);
    status = gm_layer_add_sets(sequence, prefix, part);
    if (status) return status;
    gm_layer_retain(part);
    sequence->parts[sequence->count++] = part;
    sequence->leaves += leaves_of(part);
    gm_layer_seal(part);
    if (sequence->depth <= part->depth) sequence->depth = part->depth + 1;
    return GM_OK;
}

gm_status gm_sequence_ready(const gm_layer *sequence)
{
    if (!sequence) return GM_E_INVALID;
    if (sequence->kind != &gm_kind_sequence)
        return gm_fail(sequence->ctx, GM_E_INVALID, "sequence: a %s takes no parts",
                       gm_layer_type(sequence));
    if (sequence->status) return repeat(sequence);
    /* Not kept: what holds it works on. This also forbids long circles: whoever holds this sequence
     * was made before its next part. */
    if (sequence->sealed)
        return gm_fail(sequence->ctx, GM_E_STATE,
                       "sequence: it has %lld parts, is a part of a layer or model itself, and "
                       "takes no more",
                       (long long)sequence->count);
    return GM_OK;
}

gm_status gm_sequence_add(gm_layer *sequence, gm_layer *part)
{
    gm_status status = gm_sequence_ready(sequence);
    return status ? status : keep(sequence, add(sequence, part));
}

gm_status gm_sequence_status(const gm_layer *sequence)
{
    if (!sequence) return GM_E_INVALID;
    if (sequence->status) return repeat(sequence);
    gm_status status = sequence->inner ? gm_sequence_status(sequence->inner) : GM_OK;
    for (int64_t i = 0; i < sequence->count && !status; i++)
        if (sequence->parts[i]->depth) status = gm_sequence_status(sequence->parts[i]);
    return status;
}

int64_t gm_sequence_count(const gm_layer *sequence)
{
    return sequence ? sequence->count : 0;
}

gm_layer *gm_sequence_get(const gm_layer *sequence, int64_t index)
{
    return sequence && index >= 0 && index < sequence->count ? sequence->parts[index] : NULL;
}

gm_status gm_sequence_add_made(gm_layer *sequence, gm_layer *part, gm_status made)
{
    gm_status status = keep(sequence, made ? made : add(sequence, part));
    gm_layer_release(part);
    return status;
}

/* The constructor runs only when the sequence is sound. */
#define ADD(make)                                                                                  \
    do {                                                                                           \
        gm_layer *part = NULL;                                                                     \
        gm_status status = gm_sequence_ready(sequence);                                            \
        if (status) return status;                                                                 \
        gm_context *ctx = sequence->ctx;                                                           \
        status = (make);                                                                           \
        return gm_sequence_add_made(sequence, part, status);                                       \
    } while (0)

gm_status gm_sequence_add_linear(gm_layer *sequence, int64_t in_features, int64_t out_features)
{
    ADD(gm_linear_create(&part, ctx, in_features, out_features, NULL));
}

gm_status gm_sequence_add_relu(gm_layer *sequence)
{
    ADD(gm_activation_create(&part, ctx, GM_ACTIVATION_RELU, 0));
}

gm_status gm_sequence_add_leaky_relu(gm_layer *sequence, double slope)
{
    ADD(gm_activation_create(&part, ctx, GM_ACTIVATION_LEAKY_RELU, slope));
}

gm_status gm_sequence_add_elu(gm_layer *sequence, double alpha)
{
    ADD(gm_activation_create(&part, ctx, GM_ACTIVATION_ELU, alpha));
}

gm_status gm_sequence_add_tanh(gm_layer *sequence)
{
    ADD(gm_activation_create(&part, ctx, GM_ACTIVATION_TANH, 0));
}

gm_status gm_sequence_add_sigmoid(gm_layer *sequence)
{
    ADD(gm_activation_create(&part, ctx, GM_ACTIVATION_SIGMOID, 0));
}

gm_status gm_sequence_add_softplus(gm_layer *sequence)
{
    ADD(gm_activation_create(&part, ctx, GM_ACTIVATION_SOFTPLUS, 0));
}

gm_status gm_sequence_add_silu(gm_layer *sequence)
{
    ADD(gm_activation_create(&part, ctx, GM_ACTIVATION_SILU, 0));
}

gm_status gm_sequence_add_gelu(gm_layer *sequence)
{
    ADD(gm_activation_create(&part, ctx, GM_ACTIVATION_GELU, 0));
}

gm_status gm_sequence_add_maxout(gm_layer *sequence, int64_t pieces)
{
    ADD(gm_maxout_create(&part, ctx, pieces));
}

gm_status gm_sequence_add_dropout(gm_layer *sequence, double p)
{
    ADD(gm_dropout_create(&part, ctx, p));
}

gm_status gm_sequence_add_embedding(gm_layer *sequence, int64_t rows, int64_t width)
{
    ADD(gm_embedding_create(&part, ctx, rows, width));
}

gm_status gm_sequence_add_flatten(gm_layer *sequence)
{
    ADD(gm_flatten_create(&part, ctx));
}

gm_status gm_sequence_add_reshape(gm_layer *sequence, int32_t rank, const int64_t *shape)
{
    ADD(gm_reshape_create(&part, ctx, rank, shape));
}

gm_status gm_sequence_add_batch_norm(gm_layer *sequence, int64_t channels)
{
    ADD(gm_batch_norm_create(&part, ctx, channels, NULL));
}

gm_status gm_sequence_add_layer_norm(gm_layer *sequence, int32_t rank, const int64_t *shape)
{
    ADD(gm_layer_norm_create(&part, ctx, rank, shape, NULL));
}

gm_status gm_sequence_add_group_norm(gm_layer *sequence, int64_t channels, int64_t groups)
{
    ADD(gm_group_norm_create(&part, ctx, channels, groups, NULL));
}

gm_status gm_sequence_add_residual(gm_layer *sequence, gm_layer *inner)
{
    ADD(gm_residual_create(&part, ctx, inner));
}

gm_status gm_sequence_add_instance_norm(gm_layer *sequence, int64_t channels)
{
    ADD(gm_instance_norm_create(&part, ctx, channels, NULL));
}
