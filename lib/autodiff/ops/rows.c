/* rows.c - rows of the first axis: gathered by index, scattered, repeated, made of class numbers.
 */
#include "autodiff/gradient.h"

static int64_t row_width(const gm_node *a)
{
    return gm_sizes_product(a->shape + 1, a->rank - 1);
}

static gm_status gather_infer(gm_call *c)
{
    const gm_node *table = c->in[0], *index = c->in[1];
    int32_t rank = table->rank + index->rank - 1;
    if (table->rank < 1 || rank > GM_MAX_RANK)
        return gm_fail_shapes(c, "table", table, "indices", index,
                              ", expected a table of rank 1 or more, 6 axes together");
    c->out->rank = rank;
    for (int32_t i = 0; i < rank; i++)
        c->out->shape[i] = i < index->rank ? index->shape[i] : table->shape[i - index->rank + 1];
    return GM_OK;
}

typedef struct gather_job {
    const gm_kernels *k;
    const float *index;
    int64_t width;
    const float *from;
    float *to;
    int64_t count;
    int add;
} gather_job;

static void gather_range(void *arg, int64_t begin, int64_t end)
{
    const gather_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        job->k->accumulate(job->to + i * job->width,
                           job->from + (int64_t)job->index[i] * job->width, job->width, job->add);
}

static gm_status check_indices(gm_call *c, const gm_node *index, int64_t limit)
{
    for (int64_t i = 0, row; i < index->count; i++)
        if (!gm_whole_below(index->value[i], limit, &row))
            return gm_fail(c->ctx, GM_E_INVALID,
                           "%s: index at %lld is %g, expected a whole number from 0 to %lld",
                           c->op->name, (long long)i, (double)index->value[i],
                           (long long)limit - 1);
    return GM_OK;
}

static gm_status gather_forward(gm_call *c)
{
    const gm_node *table = c->in[0], *index = c->in[1];
    int64_t width = row_width(table);
    gm_status s = check_indices(c, index, table->shape[0]);
    if (s) return s;
    gather_job job = { c->k, index->value, width, table->value, c->out->value, index->count, 0 };
    gm_team_range(c->team, index->count, gm_grain_rows(width), gather_range, &job);
    return GM_OK;
}

/* Columns [begin, end) of every row named, in the order of the indices: two of them may name the
 * same row. */
static void gather_grad_range(void *arg, int64_t begin, int64_t end)
{
    const gather_job *job = arg;
    for (int64_t i = 0; i < job->count; i++)
        job->k->accumulate(job->to + (int64_t)job->index[i] * job->width + begin,
                           job->from + i * job->width + begin, end - begin, 1);
}

/* table (+)= rows, each at its index */
static void scatter(const gm_call *c, float *table, int64_t count, const float *rows,
                    const gm_node *index, int64_t width, int add)
{
    gather_job job = { c->k, index->value, width, rows, table, index->count, 1 };
    int64_t columns = gm_grain_rows(index->count) / 16 * 16;
    if (!add) gm_fill_over(c, table, 0, count);
    gm_team_range(c->team, width, columns < 64 ? 64 : columns, gather_grad_range, &job);
}

static void gather_backward(gm_call *c)
{
    const gm_node *table = c->in[0], *index = c->in[1];
    if (c->grad[0])
        scatter(c, c->grad[0], table->count, c->out->grad, index, row_width(table), c->add[0]);
    if (c->grad[1] && !c->add[1]) gm_fill_over(c, c->grad[1], 0, index->count);
}

static void gather_gradient(gm_chain *c)
{
    if (c->wanted[0]) c->din[0] = gm_scatter_rows(c->tape, c->dy, c->in[1], c->from[0]->shape[0]);
}

const gm_op gm_op_gather = { "gather",       2, gather_infer, gather_forward, gather_backward,
                             gather_gradient };

gm_var gm_gather(gm_tape *tape, gm_var table, gm_var indices)
{
    return gm_record2(tape, &gm_op_gather, table, indices, NULL, 0);
}

/* Class numbers as rows of one 1 and zeros. The attribute is the number of classes. */
static gm_status one_hot_infer(gm_call *c)
{
    const int64_t *classes = c->attr;
    const gm_node *index = c->in[0];
    char text[GM_SHAPE_TEXT];
    if (*classes < 1)
        return gm_fail(c->ctx, GM_E_INVALID, "one_hot: classes is %lld, expected at least 1",
                       (long long)*classes);
    if (index->rank >= GM_MAX_RANK)
        return gm_fail(c->ctx, GM_E_SHAPE, "one_hot: indices are %s, the result has one axis more",
                       gm_shape_text(text, index->rank, index->shape));
    gm_infer_same(c);
    c->out->shape[c->out->rank++] = *classes;
    return GM_OK;
}

static gm_status one_hot_forward(gm_call *c)
{
    const int64_t *classes = c->attr;
    const gm_node *index = c->in[0];
    gm_fill_over(c, c->out->value, 0, c->out->count);
    for (int64_t i = 0; i < index->count; i++) {
        int64_t at;
        if (!gm_whole_below(index->value[i], *classes, &at))
            return gm_fail(c->ctx, GM_E_INVALID,
                           "one_hot: index at %lld is %g, expected a whole number from 0 to %lld",
                           (long long)i, (double)index->value[i], (long long)*classes - 1);
        c->out->value[i * *classes + at] = 1;
    }
    return GM_OK;
}

const gm_op gm_op_one_hot = { "one_hot", 1, one_hot_infer, one_hot_forward, NULL, NULL };

gm_var gm_one_hot(gm_tape *tape, gm_var indices, int64_t classes)
{
    return gm_record1(tape, &gm_op_one_hot, indices, &classes, sizeof classes);
}

/* What gather's gradient does, as an operation: its attribute is the number of rows of the table.
 */
static gm_status scatter_infer(gm_call *c)
{
    const int64_t *rows = c->attr;
    const gm_node *a = c->in[0], *index = c->in[1];
    int fits = index->rank <= a->rank && a->rank - index->rank < GM_MAX_RANK;
    for (int32_t i = 0; fits && i < index->rank; i++) fits = a->shape[i] == index->shape[i];
    if (!fits)
        return gm_fail_shapes(c, "rows", a, "indices", index, ", expected an index for each");
    c->out->rank = a->rank - index->rank + 1;
    c->out->shape[0] = *rows;
    for (int32_t i = 1; i < c->out->rank; i++) c->out->shape[i] = a->shape[index->rank + i - 1];
    return GM_OK;
}

static gm_status scatter_forward(gm_call *c)
{
    const int64_t *rows = c->attr;
    gm_status s = check_indices(c, c->in[1], *rows);
    if (!s)
        scatter(c, c->out->value, c->out->count, c->in[0]->value, c->in[1], row_width(c->out), 0);
    return s;
}

static void scatter_backward(gm_call *c)
{
    const gm_node *index = c->in[1];
    int64_t width = row_width(c->out);
    gather_job job = {
        c->k, index->value, width, c->out->grad, c->grad[0], index->count, c->add[0]
    };
    if (c->grad[0]) gm_team_range(c->team, index->count, gm_grain_rows(width), gather_range, &job);
    if (c->grad[1] && !c->add[1]) gm_fill_over(c, c->grad[1], 0, index->count);
}

static void scatter_gradient(gm_chain *c)
{
    if (c->wanted[0]) c->din[0] = gm_gather(c->tape, c->dy, c->in[1]);
}

const gm_op gm_op_scatter_rows = { "scatter_rows",   2,
                                   scatter_infer,    scatter_forward,
                                   scatter_backward, scatter_gradient };

gm_var gm_scatter_rows(gm_tape *tape, gm_var a, gm_var indices, int64_t rows)
{
    return gm_record2(tape, &gm_op_scatter_rows, a, indices, &rows, sizeof rows);
}

static gm_status repeat_infer(gm_call *c)
{
    const int64_t *times = c->attr;
    const gm_node *a = c->in[0];
    char text[GM_SHAPE_TEXT];
    if (*times < 1)
        return gm_fail(c->ctx, GM_E_INVALID, "repeat_rows: times is %lld, expected at least 1",
                       (long long)*times);
    gm_infer_same(c);
    if (a->rank < 1 || !gm_mul_size(a->shape[0], *times, &c->out->shape[0]))
        return gm_fail(c->ctx, GM_E_SHAPE,
                       "repeat_rows: input is %s, times is %lld, expected rows that can be counted",
                       gm_shape_text(text, a->rank, a->shape), (long long)*times);
    return GM_OK;
}

typedef struct repeat_job {
    const gm_kernels *k;
    float *to;
    const float *from;
    int64_t times, width;
    int add;
} repeat_job;

static void repeat_range(void *arg, int64_t begin, int64_t end)
{
    const repeat_job *job = arg;
    int64_t w = job->width;
    for (int64_t i = begin; i < end; i++)
        job->k->accumulate(job->to + i * w, job->from + i / job->times * w, w, 0);
}

static gm_status repeat_forward(gm_call *c)
{
    const int64_t *times = c->attr;
    repeat_job job = { c->k, c->out->value, c->in[0]->value, *times, row_width(c->in[0]), 0 };
    gm_team_range(c->team, c->out->shape[0], gm_grain_rows(job.width), repeat_range, &job);
    return GM_OK;
}

static void repeat_grad_range(void *arg, int64_t begin, int64_t end)
{
    const repeat_job *job = arg;
    int64_t w = job->width;
    for (int64_t i = begin; i < end; i++)
        job->k->column_sums(job->to + i * w, job->from + i * job->times * w, job->times, w, w,
                            job->add);
}

static void repeat_backward(gm_call *c)
{
    const int64_t *times = c->attr;
    if (!c->grad[0]) return;
    repeat_job job = { c->k, c->grad[0], c->out->grad, *times, row_width(c->in[0]), c->add[0] };
    gm_team_range(c->team, c->in[0]->shape[0], gm_grain_rows(job.width * *times), repeat_grad_range,
                  &job);
}

static void repeat_gradient(gm_chain *c)
{
    const int64_t *times = c->node->attr;
    c->din[0] = gm_chain_fold_rows(c->tape, c->dy, *times, c->from[0]);
}

const gm_op gm_op_repeat_rows = { "repeat_rows",  1, repeat_infer, repeat_forward, repeat_backward,
                                  repeat_gradient };

gm_var gm_repeat_rows(gm_tape *tape, gm_var a, int64_t times)
{
    return gm_record1(tape, &gm_op_repeat_rows, a, &times, sizeof times);
}
