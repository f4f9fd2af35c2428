/* mask_check.c - is a layer autoregressive? As seen by its Jacobian. */
#include "gm/mask.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/error.h"
#include "base/options.h"
#include "gm/gradient.h"
#include "nn/layer.h"

#define GROUP 128 /* rows of the Jacobian at a time */

typedef struct proof {
    gm_context *ctx;
    gm_layer *layer;
    int64_t columns, outputs, width, inner;
    int32_t rank;
    int64_t shape[GM_MAX_RANK]; /* of a batch; shape[0] is set each time */
    int64_t *place;             /* [columns]: of each column in the order */
    float *x;                   /* [GROUP, columns], the same row in all */
    float *pick;                /* [GROUP, outputs], all zero between uses */
    int64_t output, input;      /* the first pair that offends, -1 before */
} proof;

static int64_t column_of(const proof *p, int64_t output)
{
    return output / (p->width * p->inner) * p->inner + output % p->inner;
}

/* Looks at rows first ... first + n - 1 of the Jacobian, whose gradients are n rows of inputs. */
static gm_status look(proof *p, const float *gradient, int64_t first, int64_t n)
{
    for (int64_t r = 0; r < n; r++) {
        const int64_t column = column_of(p, first + r), place = p->place[column];
        for (int64_t i = 0; i < p->columns; i++) {
            const double g = (double)gradient[r * p->columns + i];
            if (!isfinite(g))
                return gm_fail(p->ctx, GM_E_NUMERIC,
                               "mask: the derivative of output %lld by input %lld is %g",
                               (long long)(first + r), (long long)i, g);
            if (g == 0 || p->place[i] < place) continue;
            p->output = first + r;
            p->input = i;
            return gm_fail(p->ctx, GM_E_STATE,
                           "mask: output %lld (column %lld, place %lld) depends on input %lld, "
                           "which comes at place %lld",
                           (long long)p->output, (long long)column, (long long)place, (long long)i,
                           (long long)p->place[i]);
        }
    }
    return GM_OK;
}

/* The gradient of the sum of y[r, first + r] by row r of the input is row first + r of the
 * Jacobian: rows of a batch do not see each other. */
static gm_status rows_of_jacobian(proof *p, gm_tape *tape, int64_t first, int64_t n)
{
    const int64_t flat[2] = { n, p->outputs };
    gm_status status;
    p->shape[0] = n;
    gm_tape_reset(tape);
    gm_var x = gm_variable(tape, p->rank + 1, p->shape, p->x);
    gm_var y = gm_apply(tape, p->layer, x);
    GM_TRY(gm_tape_status(tape));
    if (gm_count(tape, y) != n * p->outputs)
        GM_TRY(gm_fail(p->ctx, GM_E_SHAPE,
                       "mask: the layer gives %lld numbers for %lld rows, expected %lld",
                       (long long)gm_count(tape, y), (long long)n, (long long)(n * p->outputs)));
    for (int64_t r = 0; r < n; r++) p->pick[r * p->outputs + first + r] = 1;
    gm_var chosen =
        gm_mul(tape, gm_reshape(tape, y, 2, flat), gm_input_array(tape, 2, flat, p->pick));
    status = gm_backward(tape, gm_sum(tape, chosen), NULL);
    for (int64_t r = 0; r < n; r++) p->pick[r * p->outputs + first + r] = 0;
    const float *gradient = status ? NULL : gm_gradient_of(tape, x);
    if (gradient) status = look(p, gradient, first, n);
out:
    return status;
}

static gm_status check(proof *p, const gm_mask_check_options *o)
{
    int64_t product = 1;
    if (p->columns < 1 || p->width < 1 ||
        p->columns > INT64_MAX / (int64_t)sizeof(double) / GROUP / p->width)
        return gm_fail(
            p->ctx, GM_E_INVALID,
            "mask: columns is %lld, width is %lld, expected at least 1 and what can be addressed",
            (long long)p->columns, (long long)p->width);
    if (o->draws < 1 || o->inner < 1 || p->columns % o->inner || o->reserved || o->rank < 0 ||
        o->rank >= GM_MAX_RANK || (o->rank && !o->shape))
        return gm_fail(p->ctx, GM_E_INVALID,
                       "mask: draws is %lld, inner is %lld for %lld columns, or the row's shape is "
                       "out of range",
                       (long long)o->draws, (long long)o->inner, (long long)p->columns);
    for (int32_t i = 0; i < o->rank; i++) {
        p->shape[i + 1] = o->shape[i];
        product = o->shape[i] < 1 || o->shape[i] > p->columns ? 0 : product * o->shape[i];
        if (product > p->columns) product = 0;
    }
    if (o->rank && product != p->columns)
        return gm_fail(p->ctx, GM_E_INVALID,
                       "mask: the row's shape has another number of elements, expected %lld",
                       (long long)p->columns);
    p->rank = o->rank ? o->rank : 1;
    if (!o->rank) p->shape[1] = p->columns;
    p->inner = o->inner;
    p->outputs = p->columns * p->width;
    return GM_OK;
}

gm_status gm_mask_check_layer(gm_layer *layer, const int64_t *order, int64_t columns, int64_t width,
                              const gm_mask_check_options *options, int64_t *output, int64_t *input)
{
    if (output) *output = -1;
    if (input) *input = -1;
    if (!layer) return GM_E_INVALID;
    proof p = { .ctx = layer->ctx,
                .layer = layer,
                .columns = columns,
                .width = width,
                .output = -1,
                .input = -1 };
    gm_memory *memory = &layer->ctx->memory;
    gm_mask_check_options o = GM_MASK_CHECK_OPTIONS_INIT;
    gm_rng *rng = NULL;
    gm_tape *tape = NULL;
    size_t places = 0, inputs = 0, picks = 0;
    gm_status status;
    GM_TRY(gm_options_check(p.ctx, "mask", &o, sizeof o, options));
    GM_TRY(check(&p, &o));
    if (order) GM_TRY(gm_mask_check_order(p.ctx, order, columns));
    const int64_t group = p.outputs < GROUP ? p.outputs : GROUP;
    places = (size_t)columns * sizeof *p.place;
    inputs = (size_t)(group * columns) * sizeof *p.x;
    picks = (size_t)(group * p.outputs) * sizeof *p.pick;
    p.place = gm_memory_get(memory, places);
    p.x = gm_memory_get(memory, inputs);
    p.pick = gm_memory_get_zero(memory, picks);
    if (!p.place || !p.x || !p.pick) GM_TRY(gm_fail_memory(p.ctx, "mask"));
    for (int64_t k = 0; k < columns; k++) p.place[order ? order[k] : k] = k;
    GM_TRY(gm_rng_create(&rng, p.ctx, o.seed));
    GM_TRY(gm_tape_create(&tape, p.ctx, rng));
    gm_tape_set_mode(tape, 0);
    for (int64_t d = 0; d < o.draws; d++) {
        GM_TRY(gm_rng_normal(rng, columns, 0, 1, p.x));
        for (int64_t r = 1; r < group; r++)
            memcpy(p.x + r * columns, p.x, (size_t)columns * sizeof *p.x);
        for (int64_t first = 0; first < p.outputs; first += group) {
            const int64_t left = p.outputs - first;
            GM_TRY(rows_of_jacobian(&p, tape, first, left < group ? left : group));
        }
    }
out:
    if (output) *output = p.output;
    if (input) *input = p.input;
    gm_tape_release(tape);
    gm_rng_release(rng);
    gm_memory_put(memory, p.place, places);
    gm_memory_put(memory, p.x, inputs);
    gm_memory_put(memory, p.pick, picks);
    return status;
}
