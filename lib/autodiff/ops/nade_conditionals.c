/* nade_conditionals.c - the conditionals of NADE (Larochelle and Murray 2011), all places at once
 * or one by one while values are chosen.
 *
 *   a_1 = c,  h_d = f(a_d),  y_d = b_d + V_d h_d,  a_(d+1) = a_d + x_d W_d
 *
 * Places where x_d = 0 leave a as it is: a run of them shares one h. Forward shares out the rows;
 * backward shares out the hidden units, which are independent there (the gradient of y is
 * given), so that each shard owns its columns of every weight's gradient and nothing is reduced. Of
 * a only the last is kept: backward takes x_d W_d off again.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "autodiff/activation.h"
#include "autodiff/ops/ops.h"

#define ROWS 8              /* of a shard */
#define FORWARD_BLOCK 16384 /* floats of V that a shard's rows share while they are in cache */
#define BACK_BLOCK 6144     /* floats of V, W and their gradients, likewise */

typedef struct nade_attr {
    int32_t act; /* GM_UNARY_* */
    int64_t rows;
    gm_nade_choose *choose; /* of a walk */
    void *user;
} nade_attr;

typedef struct nade_sizes {
    int64_t rows, places, parts, classes, units;
} nade_sizes;

typedef struct nade_job {
    const gm_call *c;
    nade_sizes s;
    int32_t act;
    int first;           /* where w is among the inputs; c, v and b follow */
    const float *x;      /* [rows, places] */
    float *a, *h;        /* [rows, units] */
    float *work;         /* backward: what each shard works in */
    int64_t work_floats; /* of one shard */
    _Atomic int64_t bad; /* first value that is no class */
} nade_job;

enum { W, C, V, B };

static nade_sizes sizes_of(const gm_node *const *in, int64_t rows)
{
    const gm_node *w = in[W], *v = in[V];
    nade_sizes s = { rows, w->shape[0], 1, 0, w->shape[w->rank - 1] };
    if (w->rank == 3) s.classes = w->shape[1];
    if (v->rank == 3) s.parts = v->shape[1];
    return s;
}

/* The four weights fit each other. */
static gm_status weights_fit(gm_call *c, const gm_node *const *in)
{
    const gm_node *w = in[W], *v = in[V], *b = in[B];
    if (w->rank < 2 || w->rank > 3 || w->count < 1)
        return gm_fail_shapes(c, "w", w, "v", v,
                              ", expected [places, (classes,) units], not empty");
    const int64_t units = w->shape[w->rank - 1];
    if (in[C]->rank != 1 || in[C]->shape[0] != units)
        return gm_fail_shapes(c, "c", in[C], "w", w, ", expected one value for each unit");
    if (v->rank < 2 || v->rank > 3 || v->count < 1 || v->shape[0] != w->shape[0] ||
        v->shape[v->rank - 1] != units)
        return gm_fail_shapes(c, "v", v, "w", w, ", expected [places, (parts,) units], not empty");
    int fits = b->rank == v->rank - 1;
    for (int32_t i = 0; fits && i < b->rank; i++) fits = b->shape[i] == v->shape[i];
    return fits ? GM_OK
                : gm_fail_shapes(c, "b", b, "v", v, ", expected one value for each row of units");
}

/* Floats that one shard of the way back works in: v, dv, w, dw, then the states. */
static int back_floats(const nade_sizes *s, int64_t *out)
{
    int64_t w, v, states;
    return gm_mul_size(s->places, (s->classes ? s->classes : 1) * 2, &w) &&
           gm_mul_size(s->places, s->parts * 2, &v) && gm_mul_size(s->rows, 4, &states) &&
           w < INT64_MAX / 4 && v < INT64_MAX / 4 && states < INT64_MAX / 4 &&
           gm_mul_size(w + v + states, GM_NADE_LANES, out);
}

static int64_t slices_of(const nade_sizes *s)
{
    return (s->units + GM_NADE_LANES - 1) / GM_NADE_LANES;
}

static gm_status nade_infer(gm_call *c)
{
    const gm_node *x = c->in[0], *const *in = c->in + 1;
    gm_status status = weights_fit(c, in);
    if (status) return status;
    if (x->rank != 2 || x->shape[1] != in[W]->shape[0])
        return gm_fail_shapes(c, "x", x, "w", in[W], ", expected a value for each place");
    const nade_sizes s = sizes_of(in, x->shape[0]);
    int64_t floats, all;
    c->out->rank = in[V]->rank;
    c->out->shape[0] = s.rows;
    c->out->shape[1] = s.places;
    if (in[V]->rank == 3) c->out->shape[2] = s.parts;
    if (!gm_mul_size(s.rows, 2 * s.units, &c->saved))
        return gm_fail(c->ctx, GM_E_INVALID, "%s: %lld rows of %lld units are too many",
                       c->op->name, (long long)s.rows, (long long)s.units);
    if (!c->out->requires_grad) return GM_OK;
    if (!back_floats(&s, &floats) || !gm_mul_size(floats, slices_of(&s), &all) ||
        !gm_mul_size(all, (int64_t)sizeof(float), &all) || (uint64_t)all > SIZE_MAX)
        return gm_fail(c->ctx, GM_E_INVALID, "%s: %lld units are too many", c->op->name,
                       (long long)s.units);
    return gm_tape_reserve(c->tape, c->op->name, (size_t)all);
}

/* Which row of w place d of this row adds, and how often. 0: none. */
static int moves(const nade_job *job, const float *x, int64_t d, const float **w, float *factor)
{
    const nade_sizes *s = &job->s;
    int64_t at = d;
    if (d == s->places - 1 || (!s->classes && x[d] == 0)) return 0;
    *factor = x[d];
    if (s->classes) {
        at = d * s->classes + (int64_t)x[d];
        *factor = 1;
    }
    *w = job->c->in[job->first + W]->value + at * s->units;
    return 1;
}

static void start_row(const nade_job *job, int64_t row)
{
    const int64_t units = job->s.units;
    float *a = job->a + row * units;
    memcpy(a, job->c->in[job->first + C]->value, (size_t)units * sizeof *a);
    job->c->k->nade_units(job->h + row * units, a, NULL, 0, job->act, units);
}

/* Places from .. to - 1 of one row. */
static void forward_row(const nade_job *job, int64_t row, int64_t from, int64_t to)
{
    const nade_sizes *s = &job->s;
    const gm_call *c = job->c;
    const float *x = job->x + row * s->places, *w;
    const float *v = c->in[job->first + V]->value, *b = c->in[job->first + B]->value;
    float *a = job->a + row * s->units, *h = job->h + row * s->units, factor;
    float *y = c->out->value + row * s->places * s->parts;
    for (int64_t d = from; d < to;) {
        int64_t end = d;
        int moved = 0;
        while (end < to && !moved) moved = moves(job, x, end++, &w, &factor);
        c->k->nade_dots(y + d * s->parts, b + d * s->parts, v + d * s->parts * s->units, h,
                        (end - d) * s->parts, s->units);
        if (moved) c->k->nade_units(h, a, w, factor, job->act, s->units);
        d = end;
    }
}

static void lower(_Atomic int64_t *least, int64_t value)
{
    int64_t now = atomic_load(least);
    while (value < now && !atomic_compare_exchange_weak(least, &now, value)) {
    }
}

static void forward_range(void *arg, int64_t begin, int64_t end)
{
    nade_job *job = arg;
    const nade_sizes *s = &job->s;
    int64_t block = FORWARD_BLOCK / (s->parts * s->units), class;
    if (block < 1) block = 1;
    for (int64_t i = begin * s->places; s->classes && i < end * s->places; i++)
        if (!gm_whole_below(job->x[i], s->classes, &class)) {
            lower(&job->bad, i);
            return;
        }
    for (int64_t row = begin; row < end; row++) start_row(job, row);
    for (int64_t d = 0; d < s->places; d += block)
        for (int64_t row = begin; row < end; row++)
            forward_row(job, row, d, d + block < s->places ? d + block : s->places);
}

static gm_status no_class(const gm_call *c, const nade_job *job)
{
    const int64_t bad = atomic_load(&job->bad), places = job->s.places;
    if (bad == INT64_MAX) return GM_OK;
    return gm_fail(
        c->ctx, GM_E_INVALID,
        "%s: class at row %lld, column %lld is %g, expected a whole number from 0 to %lld",
        c->op->name, (long long)(bad / places), (long long)(bad % places), (double)job->x[bad],
        (long long)job->s.classes - 1);
}

static gm_status nade_forward(gm_call *c)
{
    const nade_attr *attr = c->attr;
    nade_job job = { c,
                     sizes_of(c->in + 1, c->in[0]->shape[0]),
                     attr->act,
                     1,
                     c->in[0]->value,
                     c->out->saved,
                     NULL,
                     NULL,
                     0,
                     INT64_MAX };
    job.h = job.a + job.s.rows * job.s.units;
    gm_team_range(c->team, job.s.rows, ROWS, forward_range, &job);
    return no_class(c, &job);
}

/* Columns [lane, lane + width) of [rows, units] into or out of GM_NADE_LANES columns; the rest is
 * 0. */
static void pack(float *to, const float *from, int64_t rows, int64_t units, int64_t width)
{
    for (int64_t r = 0; r < rows; r++, to += GM_NADE_LANES, from += units) {
        memcpy(to, from, (size_t)width * sizeof *to);
        for (int64_t i = width; i < GM_NADE_LANES; i++) to[i] = 0;
    }
}

static void unpack(const gm_kernels *k, float *to, const float *from, int64_t rows, int64_t units,
                   int64_t width, int add)
{
    for (int64_t r = 0; r < rows; r++)
        k->accumulate(to + r * units, from + r * GM_NADE_LANES, width, add);
}

/* The way back of GM_NADE_LANES units. */
static void back_shard(void *arg, int64_t slice)
{
    const nade_job *job = arg;
    const nade_sizes *s = &job->s;
    const gm_call *c = job->c;
    const gm_node *const *in = c->in + 1;
    const int64_t lane = slice * GM_NADE_LANES, units = s->units;
    const int64_t width = units - lane < GM_NADE_LANES ? units - lane : GM_NADE_LANES;
    const int64_t vs = s->places * s->parts, ws = s->places * (s->classes ? s->classes : 1);
    float *v = job->work + slice * job->work_floats, *dv = v + vs * GM_NADE_LANES;
    float *w = dv + vs * GM_NADE_LANES, *dw = w + ws * GM_NADE_LANES;
    float *a = dw + ws * GM_NADE_LANES, *h = a + s->rows * GM_NADE_LANES;
    float *da = h + s->rows * GM_NADE_LANES;
    float *dh = da + s->rows * GM_NADE_LANES;
    const gm_nade_back back = {
        s->rows, s->places, s->parts, s->classes, job->act, job->x, c->out->grad, v, w,
        dv,      dw,        a,        h,          da,       dh
    };
    pack(v, in[V]->value + lane, vs, units, width);
    pack(w, in[W]->value + lane, ws, units, width);
    pack(a, job->a + lane, s->rows, units, width);
    pack(h, job->h + lane, s->rows, units, width);
    memset(dv, 0, (size_t)(vs * GM_NADE_LANES) * sizeof *dv);
    memset(dw, 0, (size_t)(ws * GM_NADE_LANES) * sizeof *dw);
    memset(da, 0, (size_t)(2 * s->rows * GM_NADE_LANES) * sizeof *da);
    int64_t block = BACK_BLOCK * s->places / (2 * (vs + ws) * GM_NADE_LANES);
    if (block < 1) block = 1;
    for (int64_t to = s->places; to > 0; to -= block)
        c->k->nade_back(&back, to > block ? to - block : 0, to);
    float *const *grad = c->grad + 1;
    const int *add = c->add + 1;
    if (grad[W]) unpack(c->k, grad[W] + lane, dw, ws, units, width, add[W]);
    for (int64_t r = 0; grad[C] && r < s->rows; r++)
        c->k->accumulate(grad[C] + lane, da + r * GM_NADE_LANES, width, add[C] || r);
    if (grad[V]) unpack(c->k, grad[V] + lane, dv, vs, units, width, add[V]);
}

static void bias_range(void *arg, int64_t begin, int64_t end)
{
    const nade_job *job = arg;
    const gm_call *c = job->c;
    c->k->column_sums(c->grad[1 + B] + begin, c->out->grad + begin, job->s.rows, end - begin,
                      job->s.places * job->s.parts, c->add[1 + B]);
}

static void nade_backward(gm_call *c)
{
    const nade_attr *attr = c->attr;
    nade_job job = { c,
                     sizes_of(c->in + 1, c->in[0]->shape[0]),
                     attr->act,
                     1,
                     c->in[0]->value,
                     c->out->saved,
                     NULL,
                     c->tape->work,
                     0,
                     0 };
    job.h = job.a + job.s.rows * job.s.units;
    (void)back_floats(&job.s, &job.work_floats); /* infer has seen that it fits */
    if (c->grad[0] && !c->add[0]) gm_fill_over(c, c->grad[0], 0, c->in[0]->count);
    if (c->grad[1 + B]) gm_team_range(c->team, job.s.places * job.s.parts, 256, bias_range, &job);
    if (c->grad[1 + W] || c->grad[1 + C] || c->grad[1 + V]) {
        if (!job.s.rows) {
            for (int i = W; i <= V; i++)
                if (c->grad[1 + i] && !c->add[1 + i])
                    gm_fill_over(c, c->grad[1 + i], 0, c->in[1 + i]->count);
            return;
        }
        gm_team_run(c->team, slices_of(&job.s), back_shard, &job);
    }
}

const gm_op gm_op_nade = { "nade", 5, nade_infer, nade_forward, nade_backward, NULL };

/* 0 and a failure on the tape if the activation is none that NADE has. */
static int activation_of(gm_tape *tape, int32_t activation, int32_t *act)
{
    char line[96];
    if (!gm_tape_open(tape)) return 0;
    const gm_activation_row *row = gm_activation_find(activation);
    *act = row && row->from_result && !row->parameter ? row->kind : -1;
    if (*act >= 0) return 1;
    (void)snprintf(line, sizeof line, "nade: activation is %d, relu, expected tanh or sigmoid",
                   (int)activation);
    gm_tape_fail(tape, GM_E_INVALID, line);
    return 0;
}

gm_var gm_nade_conditionals(gm_tape *tape, gm_var x, const gm_nade_weights *weights,
                            int32_t activation)
{
    nade_attr attr = { 0 };
    if (!weights) return gm_tape_fail(tape, GM_E_INVALID, "nade: weights is NULL");
    const gm_var inputs[5] = { x, weights->w, weights->c, weights->v, weights->b };
    if (!activation_of(tape, activation, &attr.act)) return GM_NO_VAR;
    return gm_record(tape, &gm_op_nade, inputs, 5, &attr, sizeof attr);
}

static gm_status walk_infer(gm_call *c)
{
    const nade_attr *attr = c->attr;
    gm_status status = weights_fit(c, c->in);
    if (status) return status;
    const nade_sizes s = sizes_of(c->in, attr->rows);
    int64_t floats;
    c->out->rank = 2;
    c->out->shape[0] = s.rows;
    c->out->shape[1] = s.places;
    /* Two states, and one conditional. */
    if (s.units > INT64_MAX / 4 || s.parts > INT64_MAX / 4 ||
        !gm_mul_size(s.rows, 2 * s.units + s.parts, &floats))
        return gm_fail(c->ctx, GM_E_INVALID, "%s: %lld rows of %lld units are too many",
                       c->op->name, (long long)s.rows, (long long)s.units);
    c->saved = floats;
    return GM_OK;
}

static void walk_range(void *arg, int64_t begin, int64_t end)
{
    nade_job *job = arg;
    const nade_sizes *s = &job->s;
    const gm_call *c = job->c;
    const nade_attr *attr = c->attr;
    const float *v = c->in[V]->value, *b = c->in[B]->value, *w;
    for (int64_t row = begin; row < end; row++) {
        float *a = job->a + row * s->units, *h = job->h + row * s->units, factor;
        float *x = c->out->value + row * s->places;
        float *y = job->h + s->rows * s->units + row * s->parts;
        start_row(job, row);
        for (int64_t d = 0; d < s->places; d++) {
            int64_t class;
            c->k->nade_dots(y, b + d * s->parts, v + d * s->parts * s->units, h, s->parts,
                            s->units);
            x[d] = attr->choose(attr->user, row, d, y);
            if (s->classes && !gm_whole_below(x[d], s->classes, &class)) {
                lower(&job->bad, row * s->places + d);
                return;
            }
            if (moves(job, x, d, &w, &factor))
                c->k->nade_units(h, a, w, factor, job->act, s->units);
        }
    }
}

static gm_status walk_forward(gm_call *c)
{
    const nade_attr *attr = c->attr;
    nade_job job = { c,
                     sizes_of(c->in, attr->rows),
                     attr->act,
                     0,
                     c->out->value,
                     c->out->saved,
                     NULL,
                     NULL,
                     0,
                     INT64_MAX };
    job.h = job.a + job.s.rows * job.s.units;
    gm_team_range(c->team, job.s.rows, ROWS, walk_range, &job);
    return no_class(c, &job);
}

const gm_op gm_op_nade_walk = { "nade_walk", 4, walk_infer, walk_forward, NULL, NULL };

gm_var gm_nade_walk(gm_tape *tape, int64_t rows, const gm_nade_weights *weights, int32_t activation,
                    gm_nade_choose *choose, void *user)
{
    nade_attr attr = { 0, rows, choose, user };
    if (!weights) return gm_tape_fail(tape, GM_E_INVALID, "nade_walk: weights is NULL");
    const gm_var inputs[4] = { weights->w, weights->c, weights->v, weights->b };
    if (!activation_of(tape, activation, &attr.act)) return GM_NO_VAR;
    if (rows < 1 || !choose)
        return gm_tape_fail(tape, GM_E_INVALID,
                            rows < 1 ? "nade_walk: rows is below 1, expected at least 1"
                                     : "nade_walk: choose is NULL");
    return gm_record(tape, &gm_op_nade_walk, inputs, 4, &attr, sizeof attr);
}
