/* nade_output.c - log p of a value by NADE's outputs: bits, classes, mixtures (Uria, Murray and
 * Larochelle 2013); and biases with the distribution of each column by itself. */
#include <math.h>
#include <string.h>

#include "gm/loss.h"
#include "models/autoregressive/column_order.h"
#include "models/autoregressive/conditionals.h"
#include "models/autoregressive/nade_net.h"
#include "models/row_reader.h"

#define HALF_LOG_2PI 0.91893853320467274178
#define LOG_2 0.69314718055994530942

/* The gradient of the mean is multiplied by the deviation: it passes through the second term alone.
 */
static gm_var scaled_mean(gm_tape *tape, gm_var mean, gm_var log_scale)
{
    gm_var value = gm_stop_gradient(tape, mean),
           scale = gm_stop_gradient(tape, gm_exp(tape, log_scale));
    return gm_add(tape, value, gm_mul(tape, gm_sub(tape, mean, value), scale));
}

static gm_var mixture(const gm_nade_net *net, gm_var y, gm_var x, int64_t count)
{
    gm_tape *tape = net->model->tape;
    const int64_t parts = net->width / 3, shape[3] = { count, net->columns, 1 };
    const int gaussian = net->kind == GM_CONDITIONAL_GAUSSIAN_MIXTURE;
    gm_var weight = gm_log_softmax(tape, gm_slice(tape, y, 2, 0, parts));
    gm_var mean = gm_slice(tape, y, 2, parts, 2 * parts);
    gm_var log_scale =
        gm_clamp(tape, gm_slice(tape, y, 2, 2 * parts, 3 * parts), -net->bound, net->bound);
    gm_var gap = gm_sub(tape, gm_reshape(tape, x, 3, shape), scaled_mean(tape, mean, log_scale));
    gm_var r = gm_mul(tape, gap, gm_exp(tape, gm_neg(tape, log_scale)));
    gm_var cost = gaussian ? gm_scale(tape, gm_square(tape, r), 0.5) : gm_abs(tape, r);
    cost = gm_shift(tape, gm_add(tape, cost, log_scale), gaussian ? HALF_LOG_2PI : LOG_2);
    return gm_logsumexp(tape, gm_sub(tape, weight, cost));
}

gm_var gm_nade_log_probs(const gm_nade_net *net, gm_var y, gm_var x, int64_t count)
{
    static const int32_t last = 2;
    gm_tape *tape = net->model->tape;
    if (net->kind == GM_CONDITIONAL_BINARY)
        return gm_sub(tape, gm_mul(tape, x, y), gm_softplus(tape, y));
    if (net->kind == GM_CONDITIONAL_CATEGORICAL) {
        gm_var chosen = gm_mul(tape, gm_one_hot(tape, x, net->classes), gm_log_softmax(tape, y));
        return gm_sum_axes(tape, chosen, &last, 1, 0);
    }
    return mixture(net, y, x, count);
}

void gm_nade_bound(const gm_nade_net *net, float *raw, int64_t count)
{
    const int64_t parts = net->width / 3;
    const float bound = (float)net->bound;
    if (net->kind <= GM_CONDITIONAL_CATEGORICAL) return;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 2 * parts; k < 3 * parts; k++) {
            float *s = raw + i * net->width + k;
            *s = *s < -bound ? -bound : *s > bound ? bound : *s;
        }
}

/* Sums of one row into `sum`: ones; each class; values, and their squares. */
static void add_row(const gm_nade_net *net, const float *row, double *sum, int64_t each)
{
    for (int64_t c = 0; c < net->columns; c++, sum += each) {
        const double x = (double)row[c];
        if (net->kind == GM_CONDITIONAL_CATEGORICAL) {
            sum[(int64_t)x]++;
        } else {
            sum[0] += x;
            if (each > 1) sum[1] += x * x;
        }
    }
}

static void set_bias(const gm_nade_net *net, float *b, const double *sum, double rows)
{
    const int64_t parts = net->width / 3;
    if (net->kind == GM_CONDITIONAL_BINARY) {
        b[0] = (float)log((sum[0] + 0.5) / (rows - sum[0] + 0.5));
        return;
    }
    if (net->kind == GM_CONDITIONAL_CATEGORICAL) {
        for (int64_t k = 0; k < net->classes; k++)
            b[k] = (float)log((sum[k] + 1 / (double)net->classes) / (rows + 1));
        return;
    }
    const double mean = sum[0] / rows,
                 deviation = sqrt(fmax(sum[1] / rows - mean * mean, 0) + 1e-6);
    for (int64_t k = 0; k < parts; k++) {
        const double at = parts > 1 ? 3 * (double)k / (double)(parts - 1) - 1.5 : 0;
        b[k] = 0;
        b[parts + k] = (float)(mean + at * deviation);
        b[2 * parts + k] = (float)log(deviation);
    }
}

gm_status gm_nade_fit_bias(gm_nade_net *net, gm_dataset *data)
{
    gm_model *model = net->model;
    const int64_t size = net->columns;
    const int64_t each = net->classes ? net->classes : net->kind == GM_CONDITIONAL_BINARY ? 1 : 2;
    const size_t bytes = (size_t)(size * each) * sizeof(double);
    double *sum = NULL;
    gm_row_reader reader = { 0 };
    gm_status status = GM_OK;
    GM_TRY(gm_row_reader_open(&reader, "nade: start", model, data, GM_MODEL_GROUP, 0));
    sum = gm_model_take(model, bytes);
    if (!sum)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM,
                             "nade: init_biases: no memory for sums of %lld columns",
                             (long long)size));
    memset(sum, 0, bytes);
    for (int64_t done = 0; done < reader.rows;) {
        gm_batch batch;
        GM_TRY(gm_row_reader_next(&reader, done, &batch));
        GM_TRY(gm_conditional_check(model, "start", net->kind, net->width, done, batch.rows, NULL,
                                    batch.count));
        for (int64_t i = 0; i < batch.count; i++) add_row(net, batch.rows + i * size, sum, each);
        done += batch.count;
    }
    for (int64_t k = 0; k < size; k++)
        set_bias(net, gm_param_value(net->b) + k * net->width,
                 sum + gm_order_column(&net->order, k) * each, (double)reader.rows);
out:
    gm_row_reader_close(&reader);
    return status;
}
