/* matmul.c - matrix products, one for each place on the leading axes. */
#include "autodiff/gradient.h"

typedef struct matmul_attr {
    int32_t ta, tb;
} matmul_attr;

/* The leading axes, aligned at their last: how many matrices each operand moves on along each; 0
 * where it is repeated. */
#define LEADING (GM_MAX_RANK - 2)
typedef struct leading {
    int32_t axes;
    int64_t size[LEADING];
    int64_t step[3][LEADING]; /* of the first operand, the second, the result */
} leading;

typedef struct matmul_sizes {
    leading batch;
    int64_t m, n, k;
    int64_t lda, ldb;
} matmul_sizes;

static void leading_steps(const leading *batch, const gm_node *a, int64_t step[LEADING])
{
    int64_t matrices = 1;
    for (int32_t i = batch->axes - 1; i >= 0; i--) {
        int32_t axis = i - batch->axes + a->rank - 2;
        int64_t size = axis < 0 ? 1 : a->shape[axis];
        step[i] = size == 1 ? 0 : matrices;
        matrices *= size;
    }
}

static matmul_sizes sizes_of(const gm_call *c)
{
    const matmul_attr *attr = c->attr;
    const gm_node *a = c->in[0], *b = c->in[1];
    const int64_t *sa = a->shape + a->rank - 2, *sb = b->shape + b->rank - 2;
    matmul_sizes s = { { 0 }, sa[0], sb[1], sa[1], sa[1], sb[1] };
    if (attr->ta) s.m = sa[1], s.k = sa[0];
    if (attr->tb) s.n = sb[0];
    s.batch.axes = c->out->rank - 2;
    for (int32_t i = 0; i < s.batch.axes; i++) s.batch.size[i] = c->out->shape[i];
    leading_steps(&s.batch, a, s.batch.step[0]);
    leading_steps(&s.batch, b, s.batch.step[1]);
    leading_steps(&s.batch, c->out, s.batch.step[2]);
    return s;
}

static gm_status matmul_infer(gm_call *c)
{
    const matmul_attr *attr = c->attr;
    const gm_node *a = c->in[0], *b = c->in[1];
    if (a->rank < 2 || b->rank < 2)
        return gm_fail_shapes(c, "first", a, "second", b, ", expected rank 2 or more");
    c->out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int32_t i = 3; i <= c->out->rank; i++) {
        int64_t p = i <= a->rank ? a->shape[a->rank - i] : 1;
        int64_t q = i <= b->rank ? b->shape[b->rank - i] : 1;
        if (p != q && p != 1 && q != 1)
            return gm_fail_shapes(c, "first", a, "second", b, ", leading axes do not broadcast");
        c->out->shape[c->out->rank - i] = p == 1 ? q : p;
    }
    matmul_sizes s = sizes_of(c);
    if (s.k != b->shape[b->rank - (attr->tb ? 1 : 2)]) {
        char ta[GM_SHAPE_TEXT], tb[GM_SHAPE_TEXT];
        return gm_fail(c->ctx, GM_E_SHAPE, "%s: first is %s%s, second is %s%s, inner sizes differ",
                       c->op->name, gm_shape_text(ta, a->rank, a->shape),
                       attr->ta ? " transposed" : "", gm_shape_text(tb, b->rank, b->shape),
                       attr->tb ? " transposed" : "");
    }
    c->out->shape[c->out->rank - 2] = s.m;
    c->out->shape[c->out->rank - 1] = s.n;
    return GM_OK;
}

/* C (+)= op(A) op(B), for each place on the leading axes. Those along which C does not move are
 * summed over, in order. Many small products are shared out whole; few are cut inside. */
typedef struct products {
    int ta, tb, add;
    int64_t m, n, k;
    const float *a, *b;
    int64_t lda, ldb;
    float *c;
    const leading *batch;
    int which[3];              /* the rows of its steps that are A's, B's and C's */
    const gm_kernels *kernels; /* multiply sets it */
    gm_team *team;             /* NULL: each product on one thread */
} products;

#define WHOLE_BATCH 8

static void one_product(const products *p, const int64_t at[3], int add)
{
    const float *a = p->a + at[0] * p->m * p->k, *b = p->b + at[1] * p->k * p->n;
    float *c = p->c + at[2] * p->m * p->n;
    if (p->team)
        gm_gemm(p->team, p->kernels, p->ta, p->tb, p->m, p->n, p->k, 1, a, p->lda, b, p->ldb,
                add ? 1 : 0, c, p->n, NULL);
    else
        gm_gemm_serial(p->kernels, p->ta, p->tb, p->m, p->n, p->k, 1, a, p->lda, b, p->ldb,
                       add ? 1 : 0, c, p->n);
}

/* Adds to `at` where place i of the axes along which C moves (or does not) lies. */
static void move(const products *p, int moving, int64_t i, int64_t at[3])
{
    const leading *batch = p->batch;
    for (int32_t axis = batch->axes - 1; axis >= 0; axis--) {
        if (moving != (batch->step[p->which[2]][axis] != 0)) continue;
        int64_t index = i % batch->size[axis];
        i /= batch->size[axis];
        for (int k = 0; k < 3; k++) at[k] += index * batch->step[p->which[k]][axis];
    }
}

/* How many places there are on the axes along which C moves (or does not). */
static int64_t places(const products *p, int moving)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < p->batch->axes; axis++)
        if (moving == (p->batch->step[p->which[2]][axis] != 0)) count *= p->batch->size[axis];
    return count;
}

static void product_shard(void *arg, int64_t i)
{
    const products *p = arg;
    int64_t summed = places(p, 0);
    for (int64_t j = 0; j < summed; j++) {
        int64_t at[3] = { 0 };
        move(p, 1, i, at);
        move(p, 0, j, at);
        one_product(p, at, p->add || j);
    }
}

static void multiply(const gm_call *c, const products *p)
{
    products copy = *p;
    copy.kernels = c->k;
    int64_t count = places(p, 1), mn = p->m * p->n;
    if (!mn || !count) return;
    if (!p->k || !places(p, 0)) { /* a product over nothing is 0 */
        if (!p->add) gm_fill_over(c, p->c, 0, count * mn);
    } else if (count >= WHOLE_BATCH) {
        gm_team_run(c->team, count, product_shard, &copy);
    } else {
        copy.team = c->team;
        for (int64_t i = 0; i < count; i++) product_shard(&copy, i);
    }
}

static gm_status matmul_forward(gm_call *c)
{
    const matmul_attr *attr = c->attr;
    matmul_sizes s = sizes_of(c);
    products p = { attr->ta,
                   attr->tb,
                   0,
                   s.m,
                   s.n,
                   s.k,
                   c->in[0]->value,
                   c->in[1]->value,
                   s.lda,
                   s.ldb,
                   c->out->value,
                   &s.batch,
                   { 0, 1, 2 },
                   NULL,
                   NULL };
    multiply(c, &p);
    return GM_OK;
}

/* C = op(A) op(B): dop(A) = dC op(B)^T and dop(B) = op(A)^T dC, each stored as its operand is. */
static void matmul_backward(gm_call *c)
{
    const matmul_attr *attr = c->attr;
    matmul_sizes s = sizes_of(c);
    const leading *l = &s.batch;
    const float *a = c->in[0]->value, *b = c->in[1]->value, *dy = c->out->grad;
    float *da = c->grad[0], *db = c->grad[1];
    int ta = attr->ta, tb = attr->tb;
    if (da && !ta) {
        products p = { 0,   !tb,   c->add[0], s.m, s.k,         s.n,  dy,  b,
                       s.n, s.ldb, da,        l,   { 2, 1, 0 }, NULL, NULL };
        multiply(c, &p);
    } else if (da) {
        products p = { tb,    1,   c->add[0], s.k, s.m,         s.n,  b,   dy,
                       s.ldb, s.n, da,        l,   { 1, 2, 0 }, NULL, NULL };
        multiply(c, &p);
    }
    if (db && !tb) {
        products p = { !ta,   0,   c->add[1], s.k, s.n,         s.m,  a,   dy,
                       s.lda, s.n, db,        l,   { 0, 2, 1 }, NULL, NULL };
        multiply(c, &p);
    } else if (db) {
        products p = { 1,   ta,    c->add[1], s.n, s.k,         s.m,  dy,  a,
                       s.n, s.lda, db,        l,   { 2, 0, 1 }, NULL, NULL };
        multiply(c, &p);
    }
}

static void matmul_gradient(gm_chain *c)
{
    const matmul_attr *attr = c->node->attr;
    int32_t ta = attr->ta, tb = attr->tb;
    gm_tape *t = c->tape;
    gm_var a = c->in[0], b = c->in[1], dy = c->dy;
    if (c->wanted[0]) {
        gm_var da = ta ? gm_matmul(t, b, dy, tb, 1) : gm_matmul(t, dy, b, 0, !tb);
        c->din[0] = gm_chain_sum_to(t, da, c->from[0]);
    }
    if (c->wanted[1]) {
        gm_var db = tb ? gm_matmul(t, dy, a, 1, ta) : gm_matmul(t, a, dy, !ta, 0);
        c->din[1] = gm_chain_sum_to(t, db, c->from[1]);
    }
}

const gm_op gm_op_matmul = { "matmul",       2, matmul_infer, matmul_forward, matmul_backward,
                             matmul_gradient };

gm_var gm_matmul(gm_tape *tape, gm_var a, gm_var b, int32_t transpose_a, int32_t transpose_b)
{
    matmul_attr attr = { transpose_a != 0, transpose_b != 0 };
    return gm_record2(tape, &gm_op_matmul, a, b, &attr, sizeof attr);
}
