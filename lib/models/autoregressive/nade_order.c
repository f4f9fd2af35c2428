/* nade_order.c - NADE for all orders at once (Uria, Murray and Larochelle 2014): training with
 * random masks, and walks along any order, in which the first hidden layer's sums follow the mask
 * column by column. */
#include <math.h>
#include <string.h>

#include "models/autoregressive/conditionals.h"
#include "models/autoregressive/nade_net.h"
#include "models/family.h"

/* mask: 1 where a row's value is seen, d - 1 of them; weight: D / (D - d + 1) elsewhere. The cuts
 * of the rows of a batch are spread evenly from a common random start: each is uniform, and
 * together they vary less. */
static void draw_masks(const gm_nade_net *net, int64_t count, float *mask, float *weight)
{
    const int64_t size = net->columns;
    gm_rng *rng = net->model->rng;
    const double start = gm_rng_double(rng);
    (void)gm_rng_uniform(rng, count * size, 0, 1, mask);
    for (int64_t r = 0; r < count; r++) {
        double place = start + (double)r / (double)count;
        place -= floor(place);
        int64_t left = (int64_t)(place * (double)size);
        if (left > size - 1) left = size - 1;
        const float each = (float)((double)size / (double)(size - left));
        for (int64_t c = 0; c < size; c++) {
            /* Selection sampling: of the size - c columns to come, `left` are to be seen. */
            float *m = mask + r * size + c;
            const int seen = *m * (float)(size - c) < (float)left;
            left -= seen;
            *m = (float)seen;
            weight[r * size + c] = seen ? 0 : each;
        }
    }
}

/* c + W (x m) + M m, and what follows it: y [n, D (, P)]. */
static gm_var record(const gm_nade_net *net, gm_var x, gm_var mask, int64_t count)
{
    gm_tape *tape = net->model->tape;
    const int64_t size = net->columns, units = net->hidden,
                  classes = net->classes ? net->classes : 1;
    const int64_t flat[2] = { count, size * classes }, column[3] = { count, size, 1 },
                  w_flat[2] = { size * classes, units }, v_flat[2] = { size * net->width, units },
                  b_flat[1] = { size * net->width }, full[3] = { count, size, net->width };
    gm_var seen;
    if (net->classes) {
        seen = gm_mul(tape, gm_one_hot(tape, x, classes), gm_reshape(tape, mask, 3, column));
        seen = gm_reshape(tape, seen, 2, flat);
    } else {
        seen = gm_mul(tape, x, mask);
    }
    gm_var a = gm_matmul(tape, seen, gm_reshape(tape, gm_parameter(tape, net->w), 2, w_flat), 0, 0);
    a = gm_add(tape, a, gm_matmul(tape, mask, gm_parameter(tape, net->mask), 0, 0));
    gm_var h = gm_activate(tape, gm_add(tape, a, gm_parameter(tape, net->c)), net->activation, 0);
    if (net->layers > 1)
        h = gm_linear(tape, h, gm_parameter(tape, net->deep_w), gm_parameter(tape, net->deep_c),
                      net->activation, 0);
    gm_var y =
        gm_linear(tape, h, gm_reshape(tape, gm_parameter(tape, net->v), 2, v_flat),
                  gm_reshape(tape, gm_parameter(tape, net->b), 1, b_flat), GM_ACTIVATION_NONE, 0);
    return net->kind == GM_CONDITIONAL_BINARY ? y : gm_reshape(tape, y, 3, full);
}

gm_status gm_nade_masked_loss(gm_nade_net *net, const gm_batch *batch, gm_var *loss)
{
    gm_tape *tape = net->model->tape;
    const int64_t count = batch->count, size = net->columns, shape[2] = { count, size };
    float *mask = gm_nade_take(net, 2 * count * size), *weight = mask + count * size;
    if (!mask) return GM_E_NOMEM;
    draw_masks(net, count, mask, weight);
    gm_var x = gm_input_array(tape, 2, shape, batch->rows),
           m = gm_input_array(tape, 2, shape, mask);
    gm_var log_p = gm_nade_log_probs(net, record(net, x, m, count), x, count);
    log_p = gm_mul(tape, log_p, gm_input_array(tape, 2, shape, weight));
    *loss = gm_scale(tape, gm_sum(tape, log_p), -1 / (double)count);
    return gm_tape_status(tape);
}

/* Conditionals of one column, [n, P], for states a [n, H]; on the tape until its next reset. */
static gm_status look(gm_nade_net *net, const float *a, int64_t count, int64_t column,
                      const float **out)
{
    gm_tape *tape = net->model->tape;
    const int64_t shape[2] = { count, net->hidden }, v_shape[2] = { net->width, net->hidden };
    gm_model_record(net->model, GM_TAPE_CONSTANT);
    gm_var h = gm_activate(tape, gm_input_array(tape, 2, shape, a), net->activation, 0);
    if (net->layers > 1)
        h = gm_linear(tape, h, gm_parameter(tape, net->deep_w), gm_parameter(tape, net->deep_c),
                      net->activation, 0);
    gm_var v = gm_slice(tape, gm_parameter(tape, net->v), 0, column, column + 1);
    gm_var b = gm_slice(tape, gm_parameter(tape, net->b), 0, column, column + 1);
    gm_var y = gm_linear(tape, h, gm_reshape(tape, v, 2, v_shape),
                         gm_reshape(tape, b, 1, &net->width), GM_ACTIVATION_NONE, 0);
    *out = gm_value(tape, y);
    return gm_tape_status(tape);
}

#define CHUNK 16 /* a loop of fixed length becomes vectors without further switches */

static void add_scaled(float *restrict a, const float *restrict w, const float *restrict m, float x,
                       int64_t n)
{
    int64_t j = 0;
    for (; j + CHUNK <= n; j += CHUNK)
        for (int64_t i = j; i < j + CHUNK; i++) a[i] += x * w[i] + m[i];
    for (; j < n; j++) a[j] += x * w[j] + m[j];
}

/* The row's value of a column is seen from now on. */
static void see(const gm_nade_net *net, float *a, float x, int64_t column)
{
    const int64_t row = net->classes ? column * net->classes + (int64_t)x : column;
    add_scaled(a, gm_param_value(net->w) + row * net->hidden,
               gm_param_value(net->mask) + column * net->hidden, net->classes ? 1 : x, net->hidden);
}

static float *begin(gm_nade_net *net, int64_t count)
{
    float *a = gm_nade_take(net, count * net->hidden + net->width);
    for (int64_t r = 0; a && r < count; r++)
        memcpy(a + r * net->hidden, gm_param_value(net->c), (size_t)net->hidden * sizeof *a);
    return a;
}

/* One conditional of row r, with its log deviations in their bound, in scratch of its own. */
static const float *conditional(const gm_nade_net *net, const float *y, int64_t r, float *own)
{
    memcpy(own, y + r * net->width, (size_t)net->width * sizeof *own);
    gm_nade_bound(net, own, 1);
    return own;
}

gm_status gm_nade_walk_raw(gm_nade_net *net, const int64_t *order, const float *rows, int64_t count,
                           float *raw, double *log_prob)
{
    const int64_t size = net->columns, width = net->width;
    const size_t mark = gm_model_mark(net->model);
    float *a = begin(net, count), *own;
    const float *y;
    gm_status status = GM_OK;
    if (!a) return GM_E_NOMEM;
    own = a + count * net->hidden;
    for (int64_t k = 0; k < size; k++) {
        const int64_t column = order[k];
        GM_TRY(look(net, a, count, column, &y));
        for (int64_t r = 0; r < count; r++) {
            const float x = rows[r * size + column], *one = conditional(net, y, r, own);
            if (raw) memcpy(raw + (r * size + column) * width, one, (size_t)width * sizeof *raw);
            if (log_prob) log_prob[r] += gm_conditional_log_prob(net->kind, width, one, (double)x);
            if (k < size - 1) see(net, a + r * net->hidden, x, column);
        }
    }
out:
    gm_model_give(net->model, mark);
    return status;
}

/* Is this column known in any row, or unknown in any? */
static int any(const uint8_t *known, int64_t count, int64_t size, int64_t column, int given)
{
    if (!known) return !given;
    for (int64_t r = 0; r < count; r++)
        if ((known[r * size + column] != 0) == given) return 1;
    return 0;
}

/* What is known comes first in each row, in the order; then the others, in the order. */
gm_status gm_nade_walk_fill(gm_nade_net *net, const int64_t *order, float *rows,
                            const uint8_t *known, int64_t count, double *log_known, int draw)
{
    const int64_t size = net->columns, width = net->width;
    const size_t mark = gm_model_mark(net->model);
    float *a = begin(net, count), *own;
    const float *y = NULL;
    gm_status status = GM_OK;
    if (!a) return GM_E_NOMEM;
    own = a + count * net->hidden;
    for (int pass = 0; pass < (draw ? 2 : 1); pass++)
        for (int64_t k = 0; k < size; k++) {
            const int64_t column = order[k];
            if (pass) GM_TRY(gm_model_advance(net->model, count));
            if (!any(known, count, size, column, !pass)) continue;
            if (pass || log_known) GM_TRY(look(net, a, count, column, &y));
            for (int64_t r = 0; r < count; r++) {
                float *x = rows + r * size + column;
                if ((known && known[r * size + column]) == pass) continue;
                if (pass)
                    *x = gm_conditional_next(net->model->rng, net->kind, width,
                                             conditional(net, y, r, own));
                else if (log_known)
                    log_known[r] += gm_conditional_log_prob(
                        net->kind, width, conditional(net, y, r, own), (double)*x);
                see(net, a + r * net->hidden, *x, column);
            }
        }
    if (!draw) GM_TRY(gm_model_advance(net->model, count * size));
out:
    gm_model_give(net->model, mark);
    return status;
}

static size_t orders_bytes(const gm_nade_net *net, int64_t count)
{
    return (size_t)(count * net->columns) * sizeof(int64_t);
}

gm_status gm_nade_make_orders(gm_nade_net *net, int64_t count)
{
    gm_context *ctx = net->model->ctx;
    gm_rng *rng = NULL;
    gm_status status;
    int64_t *orders = gm_context_allocate(ctx, orders_bytes(net, count));
    if (!orders)
        GM_TRY(gm_model_fail(ctx, GM_E_NOMEM, "nade: no memory for %lld orders", (long long)count));
    GM_TRY(gm_rng_create(&rng, ctx, net->seed));
    for (int64_t i = 0; i < count; i++)
        GM_TRY(gm_rng_permutation(rng, net->columns, orders + i * net->columns));
    gm_context_free(ctx, net->orders, orders_bytes(net, net->order_count));
    net->orders = orders;
    net->order_count = count;
    orders = NULL;
out:
    gm_rng_release(rng);
    gm_context_free(ctx, orders, orders_bytes(net, count));
    return status;
}

gm_status gm_nade_mean_log_prob(gm_nade_net *net, const gm_batch *batch, double *out)
{
    const int64_t size = net->columns;
    double most[GM_MODEL_GROUP], sum[GM_MODEL_GROUP], one[GM_MODEL_GROUP];
    gm_status status = GM_OK;
    for (int64_t done = 0, n; (n = gm_model_group(batch->count, done)) > 0; done += n) {
        for (int64_t k = 0; k < net->order_count; k++) {
            memset(one, 0, sizeof one);
            GM_TRY(gm_nade_walk_raw(net, net->orders + k * size, batch->rows + done * size, n, NULL,
                                    one));
            for (int64_t i = 0; i < n; i++) {
                const double top = k && most[i] > one[i] ? most[i] : one[i];
                sum[i] = isinf(top) ? 0 : (k ? sum[i] * exp(most[i] - top) : 0) + exp(one[i] - top);
                most[i] = top;
            }
        }
        for (int64_t i = 0; i < n; i++)
            out[done + i] = most[i] + log(sum[i] / (double)net->order_count);
    }
out:
    return status;
}
